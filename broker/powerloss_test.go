package broker

import (
	"flag"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"picket/packet"
)

var powerSeed = flag.Uint64("powerseed", 0, "the one seed that TestPowerLoss runs")

// image is what a disk holds after a power loss, and what clients had been told by then.
type image struct {
	fs   vfs.FS
	acks [2][]byte // what each publisher had received
	sent int       // messages that the second one had sent, at least
}

// camera takes images of a disk, each at an fsync: what was not synced is there in part, or not at all.
type camera struct {
	fs  *vfs.MemFS
	mu  sync.Mutex
	rng *rand.Rand
	now func() [2][]byte // nil: not yet
	all []image

	sent atomic.Int64
}

func (c *camera) String() string { return "camera" }

func (c *camera) MaybeError(op errorfs.Op) error {
	if op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == nil || c.rng.IntN(4) > 0 || len(c.all) == 12 {
		return nil
	}
	acks := c.now() // first: what is promised later is no concern of this image
	c.all = append(c.all, image{fs: c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.rng.IntN(101), RNG: c.rng}), acks: acks, sent: int(c.sent.Load())})
	return nil
}

// cloneable is a file system that can be cloned at any moment. [vfs.MemFS] takes a lock for reading twice in ReuseForWrite, and stands still for ever when a
// clone is asked for in between.
type cloneable struct{ *vfs.MemFS }

func (c cloneable) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := c.Rename(old, name); err != nil {
		return nil, err
	}
	return c.OpenReadWrite(name, category)
}

// TestPowerLoss lets the power fail at many moments while two clients publish at QoS 1 and 2 to one that is away, and to retained topics. On what is left of
// the disk, the broker goes on with everything that it had acknowledged, nothing of QoS 2 comes twice, and the order is kept.
func TestPowerLoss(t *testing.T) {
	first, n := uint64(1), uint64(6)
	if *powerSeed != 0 {
		first, n = *powerSeed, 1
	}
	for seed := first; seed < first+n; seed++ {
		t.Run("seed "+strconv.FormatUint(seed, 10), func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("to run it again: go test ./broker -run TestPowerLoss -powerseed %d", seed)
				}
			}()
			for i, img := range live(t, seed) {
				t.Run("image "+itoa(i), func(t *testing.T) { resume(t, img) })
			}
		})
	}
}

// live publishes until there are enough images.
func live(t *testing.T, seed uint64) []image {
	rng := rand.New(rand.NewPCG(seed, 1))
	cam := &camera{fs: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(seed, 2))}
	x := newStored(t, errorfs.Wrap(cloneable{cam.fs}, cam))
	away := x.connect(t, packet.V5, persistent("away"))
	away.expect()
	away.send(subscribeTo("m/#", 2))
	away.expect()
	away.leave()
	pubs := [2]*peer{}
	for i := range pubs {
		pubs[i] = x.connect(t, packet.V5, persistent("pub"+itoa(i)))
		pubs[i].expect()
	}
	cam.mu.Lock()
	cam.now = func() (acks [2][]byte) {
		for i, p := range pubs {
			p.mu.Lock()
			acks[i] = slices.Clone(p.all)
			p.mu.Unlock()
		}
		return acks
	}
	cam.mu.Unlock()
	var sent [2]int
	enough := func() bool {
		cam.mu.Lock()
		defer cam.mu.Unlock()
		return len(cam.all) == 12
	}
	var acked int // messages of the first one
	for !enough() {
		i := rng.IntN(2)
		p := pubs[i]
		for range rng.IntN(4) {
			sent[i]++
			if i == 1 {
				cam.sent.Store(int64(sent[i])) // before it is sent
			}
			p.send(message(i, sent[i]))
		}
		wait := i == 0 && rng.IntN(3) == 0 // otherwise a fast machine, or a slow disk, would put everything into a few groups
		within(t, "what was sent is acknowledged", func() bool {
			for one := p.next(); one != nil; one = p.next() {
				if ack, ok := one.(*packet.Ack); ok && ack.Kind == packet.PUBREC {
					p.send(&packet.Ack{Kind: packet.PUBREL, ID: ack.ID})
				} else if ok && ack.Kind == packet.PUBACK {
					acked++
				}
			}
			return !wait || acked == sent[0]
		})
	}
	for _, p := range pubs {
		p.leave()
	}
	cam.mu.Lock()
	defer cam.mu.Unlock()
	cam.now = nil
	return cam.all
}

// message is a publisher's n-th: pub0 sends at QoS 1, and every tenth to be retained; pub1 at QoS 2.
func message(publisher, n int) *packet.Publish {
	m := &packet.Publish{Topic: []byte("m/" + itoa(publisher)), QoS: byte(publisher + 1), ID: uint16(n), Payload: []byte(itoa(n))}
	m.Retain = publisher == 0 && n%10 == 0
	return m
}

// resume starts a broker on what is left, and has everybody go on as the standard says.
func resume(t *testing.T, img image) {
	x := newStored(t, img.fs)
	told := [2]map[packet.Type][]int{}
	for i, all := range img.acks {
		told[i] = make(map[packet.Type][]int)
		p := &peer{sink: &sink{all: all}, t: t, version: packet.V5}
		for one := p.next(); one != nil; one = p.next() {
			if ack, ok := one.(*packet.Ack); ok {
				told[i][ack.Kind] = append(told[i][ack.Kind], int(ack.ID))
			}
		}
	}
	acked, received, over := told[0][packet.PUBACK], told[1][packet.PUBREC], told[1][packet.PUBCOMP]
	if m := x.b.retained.get("m/0"); m != nil || len(acked) >= 10 {
		if m == nil {
			t.Fatal("the retained message is gone")
		}
		if n, _ := strconv.Atoi(string(m.Payload)); n < len(acked)/10*10 {
			t.Fatalf("message %d is retained, and %d has been acknowledged", n, len(acked)/10*10)
		}
	}
	// The publisher of QoS 2 sends again what it does not know to have arrived, and PUBREL for what has.
	pub := x.connect(t, packet.V5, persistent("pub1"))
	if ack, ok := pub.expect().(*packet.Connack); !ok || !ack.SessionPresent {
		t.Fatalf("%+v", ack)
	}
	for _, n := range received {
		if !slices.Contains(over, n) {
			pub.send(&packet.Ack{Kind: packet.PUBREL, ID: uint16(n)})
		}
	}
	last := max(img.sent, len(received)) + 3
	for n := len(received) + 1; n <= last; n++ {
		m := message(1, n)
		m.Dup = true
		pub.send(m)
		for {
			ack, ok := pub.expect().(*packet.Ack)
			if !ok {
				t.Fatal("something else came")
			}
			if ack.Kind == packet.PUBREC {
				break
			}
		}
		pub.send(&packet.Ack{Kind: packet.PUBREL, ID: uint16(n)})
	}
	away := x.connect(t, packet.V5, persistent("away"))
	if ack, ok := away.expect().(*packet.Connack); !ok || !ack.SessionPresent {
		t.Fatalf("%+v", ack)
	}
	var got [2][]int
	within(t, "everything is delivered", func() bool {
		for one := away.next(); one != nil; one = away.next() {
			switch one := one.(type) {
			case *packet.Publish:
				i := int(one.QoS) - 1
				n, err := strconv.Atoi(string(one.Payload))
				if err != nil || !strings.HasSuffix(string(one.Topic), itoa(i)) {
					t.Fatalf("%s %q: %v", one.Topic, one.Payload, err)
				}
				got[i] = append(got[i], n)
				away.send(&packet.Ack{Kind: [2]packet.Type{packet.PUBACK, packet.PUBREC}[i], ID: one.ID})
			case *packet.Ack:
				away.send(&packet.Ack{Kind: packet.PUBCOMP, ID: one.ID})
			}
		}
		return len(got[0]) >= len(acked) && slices.Contains(got[1], last)
	})
	for i, want := range [2]int{len(acked), last} {
		for n := range want {
			if n >= len(got[i]) || got[i][n] != n+1 {
				t.Fatalf("QoS %d: %v were delivered, want %d of them in order; acknowledged: %v", i+1, got[i], want, told[i])
			}
		}
	}
	if len(got[1]) != last {
		t.Fatalf("QoS 2: %v were delivered, want each of %d once", got[1], last)
	}
	pub.leave()
	away.leave()
}
