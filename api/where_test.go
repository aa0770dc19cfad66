package api

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"picket/broker"
)

// Conditions hold for those for whom they should.
func TestWhere(t *testing.T) {
	c := &broker.ClientState{ID: "dev7", User: "ann", Connected: true, Address: netip.MustParseAddrPort("10.1.2.3:5"), Queued: 7, Version: "5.0"}
	away := &broker.ClientState{ID: "x=y"}
	for text, want := range map[string][2]bool{
		"id=dev7": {true, false}, "id!=dev7": {false, true}, "id^=dev": {true, false}, "id~ev": {true, false}, "id=x=y": {false, true}, "id~": {true, true}, "id>dev7": {false, true}, "id>dev": {true, true}, "id<x": {true, false}, "id<x=y": {true, false}, "user=": {false, true},
		"queued>6": {true, false}, "queued>7": {false, false}, "queued<7": {false, true}, "queued=7": {true, false}, "queued!=7": {false, true}, "queued>-1": {true, true},
		"connected=true": {true, false}, "connected!=true": {false, true}, "connected=false": {false, true}, "mqtt=5.0": {true, false},
		"address=10.0.0.0/8": {true, false}, "address=10.1.2.3": {true, false}, "address!=10.0.0.0/8": {false, true}, "address=::ffff:10.1.2.3": {true, false},
	} {
		holds, err := parseWhere(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := [2]bool{holds(c), holds(away)}; got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	for _, text := range []string{"", "=", "id", "address<x", "queued~7", "queued=x", "queued=", "tls=1", "tls<true", "address=x", "address^=10.1.2.3", "secret=x", "id =x", "ID=x", "queued>>1"} {
		if _, err := parseWhere(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func FuzzWhere(f *testing.F) {
	for _, s := range []string{"queued>0", "id^=dev", "address=10.0.0.0/8", "tls!=true", "id~=", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		holds, err := parseWhere(s)
		if (holds == nil) != (err != nil) {
			t.Fatal(err)
		}
		if err == nil {
			holds(&broker.ClientState{})
			if !slices.ContainsFunc(fieldNames(), func(name string) bool { return strings.HasPrefix(s, name) }) {
				t.Fatalf("%q is about no field", s)
			}
		}
	})
}

func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add("zz")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseCursor(s)
		if err != nil {
			return
		}
		if again, err := parseCursor(cursor(n)); n < 0 || err != nil || again != n {
			t.Fatalf("%q is %d, and %d again, %v", s, n, again, err)
		}
	})
}
