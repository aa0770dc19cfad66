package machine

import (
	"testing"

	"picket/cluster/wire"
)

// TestRunsWaitForASessionThatIsTakenAgain: a run that waits for a session which has just come goes on also where another node takes it before it is installed.
func TestRunsWaitForASessionThatIsTakenAgain(t *testing.T) {
	for _, order := range []string{"lost, then asked for", "asked for, then lost"} {
		x := newTable(t, 2, 3)
		x.arrive(Session{Client: "c", Fence: 1}, false)
		id := x.Publish(&wire.Run{QoS: 1, Plain: true, Topic: "t", From: "p", Payloads: [][]byte{{'x'}}}, 1, true)
		x.looked(true)
		x.Targets(id, nil, false)
		x.Had(id, []string{"c"})
		if order == "lost, then asked for" {
			x.Lost("c", 1)
		} else {
			x.frameOf(2, &wire.Release{Client: "c", Fence: 1})
			x.Lost("c", 1)
			x.Stopped("c")
		}
		x.looked(false)
		if x.Installed("c", 1) {
			t.Errorf("%s: it is installed", order)
		}
		x.frameOf(2, &wire.Taken{Client: "c", Fence: 2})
		for _, peer := range []uint64{2, 3} {
			x.frameOf(peer, &wire.Flushed{Mark: 1})
		}
		x.looked(true)
		x.Targets(id, nil, false)
		if len(x.runs)+len(x.received)+len(x.arrivals)+len(x.moved) > 0 {
			t.Errorf("%s: %d runs, %d held, %d arrivals, %d moved are left", order, len(x.runs), len(x.received), len(x.arrivals), len(x.moved))
		}
	}
}
