package machine

import (
	"testing"

	"picket/cluster/wire"
)

// TestAcknowledgementsBehindLongFrames: a link is kept as long as the peer brings something else than beats, for what it acknowledges comes behind that; and it is given up when nothing but
// beats comes that acknowledge nothing.
func TestAcknowledgementsBehindLongFrames(t *testing.T) {
	rows := []Row{{Incarnation: 1, Name: "me"}, {Incarnation: 2, Name: "2"}}
	for name, brings := range map[string]func(x *table, n uint64){
		"parts of a long frame": func(x *table, _ uint64) { x.Alive(2, true, true) },
		"frames":                func(x *table, n uint64) { x.Frame(2, wire.Frame{Number: n, Body: &wire.Settled{}}) },
		"beats":                 func(x *table, _ uint64) { x.Frame(2, wire.Frame{Body: &wire.Beat{}}) },
	} {
		t.Run(name, func(t *testing.T) {
			x := newTable(t, 2)
			x.send(x.peers[2], &wire.Flush{Mark: 1})
			for n := range uint64(10) {
				brings(x, x.peers[2].have+1)
				x.turn(rows)
				if kept := name != "beats"; x.peers[2].up != kept && n > 1 {
					t.Fatalf("after %d s: link %v, want %v", n+1, x.peers[2].up, kept)
				}
			}
			if name != "beats" {
				x.Frame(2, wire.Frame{Body: &wire.Beat{Have: x.peers[2].last}})
				if len(x.peers[2].kept) > 0 {
					t.Error("what was acknowledged is kept")
				}
			}
		})
	}
}
