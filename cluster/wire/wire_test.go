package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"

	"picket/record"
)

// examples has a frame of each kind, with everything set.
func examples() []Frame {
	return []Frame{
		{Body: &Hello{Cluster: "7f3a", Node: "a", Incarnation: 7, To: 1 << 63, Lowest: 1, Highest: 3, Level: 2, Have: 300}},
		{Body: &Beat{Have: 1<<64 - 1}},
		{Body: &Gauges{Overloaded: true, Draining: true, Clients: 41210, Sessions: 60118, Routes: 8022}},
		{Body: &Loose{Run{Plain: true, Topic: "a/b", From: "p", Props: []byte{1, 1}, Payloads: [][]byte{[]byte("one"), []byte("two")}}}},
		{Number: 1, Body: &Routes{Routes: 9, First: true, Last: true, Changes: []Change{{Filter: "a/+"}, {Filter: "$share/g/b/#", Online: 2, Away: 1<<32 - 1}, {Filter: "c", Gone: true}}}},
		{Number: 2, Body: &Seen{Routes: 9}},
		{Number: 3, Body: &Run{ID: 5, Oldest: 4, QoS: 2, Retain: true, Plain: true, Expires: 1<<63 - 1, Topic: "a/b", From: "p", User: "u", Door: "|:1883", Props: []byte{1, 1},
			Groups: []string{"$share/g/a/#"}, Payloads: [][]byte{[]byte("one"), nil, []byte("three")}}},
		{Number: 300, Body: &Settled{Done: []uint64{1, 2, 400}, Again: []uint64{3}, Refused: []Refusal{{4, "queue-full"}}}},
		{Number: 4, Body: &Release{Client: "c", Fence: 6}},
		{Number: 5, Body: &Released{Client: "c", Fence: 6}},
		{Number: 6, Body: &Taken{Client: "c", Fence: 7}},
		{Number: 9, Body: &Ask{Client: "c"}},
		{Number: 7, Body: &Flush{Mark: 1}},
		{Number: 8, Body: &Flushed{Mark: 1}},
		{Number: 1<<64 - 1, Body: &Retain{Shard: 15, Version: 77, Topic: "a/b", Message: []byte("record")}},
	}
}

func TestFramesComeBackAsTheyWere(t *testing.T) {
	kinds := make(map[Kind]bool)
	var all []byte
	for _, want := range examples() {
		kinds[want.Body.Kind()] = true
		all = Append(all, want)
	}
	rest := all
	for _, want := range examples() {
		n, err := Length([4]byte(rest), MaxFrame)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(rest[4 : 4+n])
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s came back as %+v, %v, want %+v", want.Body.Kind(), got.Body, err, want.Body)
		}
		for cut := range n { // nothing that is cut off is taken for a whole frame, unless nothing of a list is left out
			if f, err := Decode(rest[4 : 4+cut]); err == nil {
				t.Errorf("%d of %d bytes of %s are read as %+v", cut, n, want.Body.Kind(), f.Body)
			}
		}
		rest = rest[4+n:]
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes are left", len(rest))
	}
	for k, form := range forms {
		if (form.read != nil) != kinds[Kind(k)] {
			t.Errorf("%s: there is no example of it, or no form", Kind(k))
		}
	}
}

func TestWhatIsNoFrameIsRefused(t *testing.T) {
	number := func(n uint64) []byte { return binary.AppendUvarint(nil, n) }
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "frame, byte 0: expected the kind"},
		{"an unknown kind", []byte{99, 1}, "frame, byte 0: expected a kind that is known"},
		{"no number", []byte{byte(KindSeen), 0, 1}, "SEEN frame, byte 1: expected a number from 1 on"},
		{"something behind it", []byte{byte(KindBeat), 1, 1}, "BEAT frame, byte 2: expected the end of the record"},
		{"a number in a longer form", []byte{byte(KindBeat), 0x81, 0}, "BEAT frame, byte 1: expected the number up to which"},
		{"an unknown flag", []byte{byte(KindGauges), 4, 0, 0, 0}, "GAUGES frame, byte 1: expected flags that are known"},
		{"QoS 3", []byte{byte(KindRun), 1, 1, 1, 3}, "RUN frame, byte 4: expected a QoS of 0 to 2"},
		{"QoS 0 with a number", []byte{byte(KindLoose), 1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0}, "LOOSE frame, byte 1: expected a run of QoS 0 without numbers"},
		{"more changes than bytes", append([]byte{byte(KindRoutes), 1, 1, 0}, number(1<<40)...), "ROUTES frame, byte 4: expected how many changes follow"},
		{"more items than may be", append(append([]byte{byte(KindSettled), 1}, number(MaxItems+1)...), bytes.Repeat([]byte{1}, MaxItems+8)...), "SETTLED frame, byte 2: expected how many settled runs follow"},
		{"a number that is not above the one before", []byte{byte(KindSettled), 1, 2, 1, 0, 0, 0}, "SETTLED frame, byte 4: expected a number above"},
		{"numbers beyond 64 bits", append(append([]byte{byte(KindSettled), 1, 2}, number(1<<64-1)...), 1, 0, 0), "SETTLED frame, byte 13: expected what is added"},
		{"a name that is too long", append([]byte{byte(KindHello), MaxName + 1}, strings.Repeat("x", MaxName+9)...), "HELLO frame, byte 1: expected the length of the cluster's name"},
	} {
		_, err := Decode(c.data)
		var where *record.Error
		if !errors.As(err, &where) || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s…", c.name, err, c.want)
		}
	}
}

func TestLengthIsBoundedBeforeAnythingIsRead(t *testing.T) {
	for _, c := range []struct {
		length uint32
		limit  int
		ok     bool
	}{{0, MaxHello, false}, {1, MaxHello, true}, {MaxHello, MaxHello, true}, {MaxHello + 1, MaxHello, false}, {MaxFrame, MaxFrame, true}, {MaxFrame + 1, MaxFrame, false}, {1<<32 - 1, MaxFrame, false}} {
		n, err := Length([4]byte(binary.BigEndian.AppendUint32(nil, c.length)), c.limit)
		if ok := err == nil; ok != c.ok || ok && n != int(c.length) {
			t.Errorf("a length of %d where %d may come: %d, %v", c.length, c.limit, n, err)
		}
	}
	long := Hello{Cluster: strings.Repeat("x", MaxName), Node: strings.Repeat("x", MaxName), Incarnation: anything, To: anything, Lowest: anything, Highest: anything, Level: anything, Have: anything}
	if n := len(Append(nil, Frame{Body: &long})) - 4; n > MaxHello {
		t.Errorf("the longest HELLO has %d bytes, and %d are read", n, MaxHello)
	}
	widest := Run{ID: anything, Oldest: anything, QoS: 2, Expires: 1<<63 - 1, Topic: strings.Repeat("t", MaxText), From: strings.Repeat("t", MaxText), User: strings.Repeat("t", MaxText),
		Door: strings.Repeat("t", MaxText), Payloads: [][]byte{make([]byte, 1<<20)}}
	if n := len(Append(nil, Frame{Number: anything, Body: &widest})) - 4 - 1<<20 + maxBytes; n > MaxFrame {
		t.Errorf("a RUN of the longest packet has %d bytes, and %d may come", n, MaxFrame)
	}
}

// What a frame makes the receiver allocate is bounded by what it has sent.
func TestAListIsNotAllocatedBeforeItIsThere(t *testing.T) {
	data := append([]byte{byte(KindRun), 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0}, binary.AppendUvarint(nil, MaxItems)...)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Decode(data); err == nil {
			t.Error("a list that is not there was read")
		}
	}); n > 6 {
		t.Errorf("%v allocations", n)
	}
}

func TestTheHighestCommonVersionIsSpoken(t *testing.T) {
	for _, c := range []struct {
		a, b [2]uint64
		want uint64
		ok   bool
	}{{[2]uint64{1, 1}, [2]uint64{1, 1}, 1, true}, {[2]uint64{1, 3}, [2]uint64{2, 5}, 3, true}, {[2]uint64{1, 2}, [2]uint64{3, 4}, 2, false}, {[2]uint64{4, 5}, [2]uint64{1, 4}, 4, true}} {
		a, b := &Hello{Lowest: c.a[0], Highest: c.a[1]}, &Hello{Lowest: c.b[0], Highest: c.b[1]}
		for range 2 {
			if v, ok := Common(a, b); v != c.want && ok || ok != c.ok {
				t.Errorf("%v and %v speak %d, %v", c.a, c.b, v, ok)
			}
			a, b = b, a
		}
	}
}

// FuzzDecode has any bytes read as a frame. What is accepted has exactly one form: written again it is the same.
func FuzzDecode(f *testing.F) {
	for _, x := range examples() {
		f.Add(Append(nil, x)[4:])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := Decode(data)
		if err != nil {
			return
		}
		if again := Append(nil, frame)[4:]; !bytes.Equal(again, data) {
			t.Errorf("%x was written again as %x", data, again)
		}
	})
}

func BenchmarkRun(b *testing.B) {
	r := &Run{ID: 5, Oldest: 4, QoS: 1, Plain: true, Topic: "a/b/c", From: "publisher"}
	for range 32 {
		r.Payloads = append(r.Payloads, make([]byte, 64))
	}
	buf := Append(nil, Frame{Number: 1, Body: r})
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = Append(buf[:0], Frame{Number: 1, Body: r})
		if _, err := Decode(buf[4:]); err != nil {
			b.Fatal(err)
		}
	}
}
