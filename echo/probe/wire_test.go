package probe

import (
	"bufio"
	"bytes"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRoundTripOfMessages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ports := rapid.SliceOfN(rapid.Uint16Min(1), 1, maxPorts).Draw(t, "ports")
		if got, err := parsePorts(appendPorts(nil, ports), maxPorts); err != nil || !reflect.DeepEqual(got, ports) {
			t.Fatalf("ports: %v, %v", got, err)
		}
		var reached []Reached
		for _, p := range ports {
			reached = append(reached, Reached{p, Outcome(rapid.IntRange(int(Open), int(Failed)).Draw(t, "outcome")),
				time.Duration(rapid.Uint32().Draw(t, "microseconds")) * time.Microsecond})
		}
		if got, err := parseReached(appendReached(nil, reached)); err != nil || !reflect.DeepEqual(got, reached) {
			t.Fatalf("outcomes: %v, %v", got, err)
		}
		number := rapid.Uint32Max(maxDatagrams-1).Draw(t, "number")
		n := rapid.IntRange(minDatagram, maxDatagram).Draw(t, "size")
		d := datagram{rapid.Uint64().Draw(t, "id"), number, size}
		b := appendDatagram(nil, token, fromClient, d, n)
		if got, ok := parseDatagram(b, token, fromClient); !ok || got != d || len(b) != n {
			t.Fatalf("datagram: %v, %v, %d bytes", got, ok, len(b))
		}
		var s seen
		if !s.add(number) || s.add(number) || !s.has(number) {
			t.Fatal("a number is not in the set")
		}
		if got, err := parseSeen(s.bytes()); err != nil || got != s {
			t.Fatalf("set: %v", err)
		}
	})
	for _, a := range []string{"192.0.2.7:1883", "[2001:db8::7]:1", "[::1]:65535"} {
		want := netip.MustParseAddrPort(a)
		if got, err := parseAddress(appendAddress(nil, want)); err != nil || got != want {
			t.Errorf("%s: got %s, %v", want, got, err)
		}
	}
	want := &TCP{time.Millisecond, time.Microsecond, 3, 4, 1500, 1448}
	if got, err := parseTCP(appendTCP(nil, want)); err != nil || *got != *want {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := parseTCP(appendTCP(nil, nil)); err != nil || got != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

// FuzzServerReads gives the server's side anything, as a stranger may: it must not panic and not take more memory than it was sent.
func FuzzServerReads(f *testing.F) {
	var b bytes.Buffer
	nonce := make([]byte, nonceSize)
	c := &codec{key: sessionKey(token, nonce, nonce), sends: fromClient, w: &b}
	b.Write(appendHello(nil, nonce))
	c.write(login, nil)
	c.write(reach, appendPorts(nil, []uint16{1883, 8883}))
	f.Add(b.Bytes())
	f.Add(appendHello(nil, nonce))
	f.Add(append(append([]byte(magic), 0), appendRefusal(nil, "probe-too-often")...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		client, err := readHello(r)
		if err != nil {
			return
		}
		c := &codec{key: sessionKey(token, client, nonce), expects: fromClient, r: r}
		for {
			k, body, err := c.read()
			if err != nil {
				return
			}
			if len(body) > maxBody {
				t.Fatalf("a body of %d bytes", len(body))
			}
			_ = k
		}
	})
}

// FuzzBodies gives every body's parser anything; what it takes, it writes again as it was.
func FuzzBodies(f *testing.F) {
	f.Add(appendPorts(nil, []uint16{1883, 8883}))
	f.Add(appendReached(nil, []Reached{{1883, Open, time.Second}}))
	f.Add(appendAddress(nil, netip.MustParseAddrPort("[2001:db8::7]:1")))
	f.Add(appendTCP(nil, &TCP{RTT: time.Second, PathMTU: 1500}))
	f.Add(appendDatagram(nil, token, fromClient, datagram{1, 2, loss}, 100))
	f.Fuzz(func(t *testing.T, b []byte) {
		if ports, err := parsePorts(b, maxPorts); err == nil && !bytes.Equal(appendPorts(nil, ports), b) {
			t.Errorf("ports %v", ports)
		}
		if all, err := parseReached(b); err == nil && !bytes.Equal(appendReached(nil, all), b) {
			t.Errorf("outcomes %v", all)
		}
		if a, err := parseAddress(b); err == nil && !bytes.Equal(appendAddress(nil, a), b) {
			t.Errorf("address %v", a)
		}
		if now, a, err := parseWelcome(b); err == nil && !bytes.Equal(appendWelcome(nil, now, a), b) {
			t.Errorf("welcome %v %v", now, a)
		}
		if tcp, err := parseTCP(b); err == nil && !bytes.Equal(appendTCP(nil, tcp), b) {
			t.Errorf("TCP %+v", tcp)
		}
		if s, err := parseSeen(b); err == nil && !bytes.Equal(s.bytes(), b) {
			t.Error("set")
		}
		if d, ok := parseDatagram(b, token, fromClient); ok && d.number >= maxDatagrams {
			t.Errorf("datagram %+v", d)
		}
		idOf(b)
	})
}
