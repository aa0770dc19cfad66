package broker

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"picket/cause"
	"picket/packet"
	"picket/store"
)

// A client that has been let in and waits for the store is told why it has to go after all: by CONNACK, with a cause that is counted once.
func TestWhoWaitsForTheStoreIsToldWhyItHasToGo(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(t *testing.T, x *bench, v packet.Version)
		cause cause.ID
	}{
		"taken over":  {func(t *testing.T, x *bench, v packet.Version) { x.connect(t, v, persistent("one")) }, cause.SessionTakenOver},
		"maintenance": {func(t *testing.T, x *bench, _ packet.Version) { begin(t, x, Maintenance{}) }, cause.Maintenance},
		"disconnected": {func(_ *testing.T, x *bench, _ packet.Version) {
			x.b.Disconnect("one", cause.NoLongerAllowed, "it has to")
		}, cause.NoLongerAllowed},
		"another clean": {func(t *testing.T, x *bench, v packet.Version) {
			x.connect(t, v, &packet.Connect{ClientID: "one", CleanStart: true})
		}, cause.SessionTakenOver},
	} {
		for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
			g := new(gate)
			t.Cleanup(g.open) // before the store is closed
			x := newStoredWith(t, errorfs.Wrap(vfs.NewMem(), g), func(s store.Store) store.Store { return s }, func(c *Config) { c.ReasonStrings = true })
			g.shut()
			one := x.connect(t, v, persistent("one"))
			c.end(t, x, v)
			ack, ok := one.expect().(*packet.Connack)
			if !ok || !ack.Code.Failed() || ack.Code.Return3() != 3 {
				t.Errorf("%s, version %d: %+v", name, v, ack)
			} else if v == packet.V5 && !hasCause(ack.Props, c.cause) {
				t.Errorf("%s: the reason is %+v", name, ack.Props)
			}
			if n := x.b.Causes()[c.cause]; n != 1 {
				t.Errorf("%s, version %d: counted %d times", name, v, n)
			}
			g.open()
			one.leave()
			if one.next() != nil {
				t.Errorf("%s, version %d: there is more behind CONNACK", name, v)
			}
		}
	}
}

func begin(t *testing.T, x *bench, m Maintenance) {
	t.Helper()
	if err := x.b.BeginMaintenance(m); err != nil {
		t.Error(err)
	}
}

func hasCause(p *packet.Properties, id cause.ID) bool {
	reason := ""
	if p != nil {
		reason = p.ReasonString
	}
	return len(reason) > len(id) && reason[:len(id)+1] == string(id)+":"
}

// What CONNECT is judged by may change until the client is in its session: it is judged again then, and whoever the change excepts is let in.
func TestRulesThatChangeMeanwhile(t *testing.T) {
	for _, excepts := range []bool{false, true} {
		var x *bench
		var did bool
		x = newBench(t, func(c *Config) {
			c.Ownership = claims(func(clientID string) error {
				if !did {
					did = true
					begin(t, x, Maintenance{ExceptLocal: excepts})
				}
				return own(x.b, clientID)
			})
		})
		ack, ok := x.connect(t, packet.V5, &packet.Connect{ClientID: "one", CleanStart: true}).expect().(*packet.Connack)
		if !ok || ack.Code.Failed() == excepts || !excepts && !hasCause(ack.Props, cause.Maintenance) {
			t.Errorf("excepted %v: %+v", excepts, ack)
		}
		if n := x.b.stats.connects.Load(); n != 1 {
			t.Errorf("%d CONNECTs are counted", n)
		}
	}
}
