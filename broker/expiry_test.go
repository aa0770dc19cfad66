package broker

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/packet"
	"picket/store"
)

// TestExpiryByTheClock sets the clock on without the broker's tick: whether a client finds its session, whether its will has been published and which messages it gets
// is decided by the time at which its CONNECT comes, with a store and without one, and after a restart.
func TestExpiryByTheClock(t *testing.T) {
	for _, kind := range []string{"in memory", "stored"} {
		t.Run(kind, func(t *testing.T) {
			hand := newHandClock()
			set := func(c *Config) { c.clock = hand }
			fs := vfs.NewCrashableMem()
			start := func() *bench {
				if kind == "stored" {
					return newStoredWith(t, fs, func(s store.Store) store.Store { return s }, set)
				}
				return newBench(t, set)
			}
			x := start()
			watcher := x.member(t, "watcher", true, nil)
			watcher.subscribe(t, "gone", 0)
			present := func(m *member) bool {
				m.mu.Lock()
				defer m.mu.Unlock()
				return m.all[2]&1 != 0
			}
			come := func(will bool) *member {
				return x.member(t, "a", true, func(p *packet.Connect) {
					p.Props.SessionExpiry = 10
					if will {
						p.Will = &packet.Will{Topic: "gone", Payload: []byte("a"), Props: new(packet.Properties).Set(packet.WillDelayInterval)}
						p.Will.Props.WillDelay = 5
					}
				})
			}
			a := come(true)
			a.subscribe(t, "for/a", 1)
			a.leave()
			hand.jump(5*time.Second - 1)
			if a = come(true); !present(a) || len(watcher.payloads(t)) > 0 {
				t.Errorf("before the will's delay: session present %v, wills %q", present(a), watcher.payloads(t))
			}
			a.leave()
			hand.jump(5 * time.Second)
			if a = come(false); !present(a) {
				t.Error("the session is gone when the will's delay has passed")
			}
			if wills := watcher.eventually(t, 1); len(wills) != 1 {
				t.Errorf("wills %q when the delay has passed, want one", wills)
			}
			a.leave()
			for _, seconds := range []uint32{3, 9} {
				p := &packet.Publish{Topic: []byte("for/a"), QoS: 1, ID: 1, Payload: []byte{'0' + byte(seconds)}, Props: packet.AppendExpiry(nil, seconds)}
				x.feed(t, watcher, p.Append(nil, packet.V5))
			}
			hand.jump(4 * time.Second)
			a = come(false)
			if got := a.eventually(t, 1); len(got) != 1 || got[0] != "9" {
				t.Errorf("%q came after four seconds, want what lives nine", got)
			}
			a.leave()
			if kind == "stored" {
				fs = fs.CrashClone(vfs.CrashCloneCfg{})
				x = start()
			}
			hand.jump(10 * time.Second)
			if a = come(false); present(a) {
				t.Error("a session whose expiry interval has passed is there")
			}
			a.leave()
			hand.jump(10*time.Second - time.Nanosecond)
			if a = come(false); !present(a) {
				t.Error("a session whose expiry interval has not passed is gone")
			}
		})
	}
}
