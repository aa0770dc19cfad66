package broker

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/packet"
	"picket/session"
)

func TestTiming(t *testing.T) {
	var one Timing
	for _, d := range []time.Duration{0, 100 * time.Microsecond, 101 * time.Microsecond, 2 * time.Second, time.Hour} {
		one.observe(d)
	}
	atMost, count, sum := one.Read()
	if count != 5 || sum != 3602.000201 || atMost[.0001] != 2 || atMost[.00025] != 3 || atMost[1] != 3 || atMost[2.5] != 4 || atMost[60] != 4 {
		t.Errorf("%v, %d, %v", atMost, count, sum)
	}
}

// What is timed is timed where it happens: logins, connections, deliveries and commits.
func TestWhatIsTimed(t *testing.T) {
	counts := func(b *Broker) map[string]uint64 {
		all := make(map[string]uint64)
		for _, one := range b.Timings() {
			_, all[one.Name], _ = one.Read()
		}
		return all
	}
	x := newSpeaking(t)
	p := x.connect(t, 0, packet.V5, nil)
	if got := counts(x.b); got["connect_seconds"] != 1 || got["login_seconds"] != 1 || got["store_commit_seconds"] != 0 {
		t.Errorf("after one login: %v", got)
	}
	p.send(&packet.Publish{Topic: []byte("open/a"), QoS: 1, ID: 1})
	p.next()
	until(t, func() bool { return counts(x.b)["delivery_seconds"] == 1 })

	stored := newStored(t, vfs.NewCrashableMem())
	inside := stored.b.Local(nil, nil)
	for range timedCommit {
		if err := inside.Publish(t.Context(), &session.Message{Topic: "a", Payload: []byte("x"), QoS: 1, Retain: true}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, func() bool { return counts(stored.b)["store_commit_seconds"] == 1 })
}
