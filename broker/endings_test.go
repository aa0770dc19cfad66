package broker

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"picket/packet"
)

// TestEndedSessionsStayEnded ends a session in each way, lets its client begin a clean one, and crashes as soon as CONNACK has come: the session is not
// there again, and what it left to a shared group is still passed on.
func TestEndedSessionsStayEnded(t *testing.T) {
	ends := map[string]func(t *testing.T, p *peer){
		"DISCONNECT that ends the session": func(t *testing.T, p *peer) {
			p.send(&packet.Disconnect{Props: new(packet.Properties).Set(packet.SessionExpiryInterval)})
			p.leave()
		},
		"Clean Start": func(t *testing.T, p *peer) { p.leave() },
		"Clean Start while it is connected": func(t *testing.T, p *peer) {
			t.Cleanup(p.leave)
		},
		"expiry": func(t *testing.T, p *peer) {
			p.leave()
			p.x.b.fall(time.Now().Add(200 * time.Second))
		},
	}
	for name, end := range ends {
		for group, filter := range map[string]string{"alone": "job", "in a group": "$share/g/job"} {
			t.Run(name+", "+group, func(t *testing.T) {
				g, fs := new(gate), vfs.NewCrashableMem()
				t.Cleanup(g.open)
				x := newStored(t, errorfs.Wrap(cloneable{fs}, g))
				t.Cleanup(g.open)
				first := x.connect(t, packet.V5, &packet.Connect{ClientID: "first", Props: (&packet.Properties{SessionExpiry: 100}).Set(packet.SessionExpiryInterval)})
				first.expect()
				first.send(subscribeTo(filter, 1))
				first.expect()
				pub := x.connect(t, packet.V5, &packet.Connect{ClientID: "pub", CleanStart: true})
				pub.expect()
				pub.send(&packet.Publish{Topic: []byte("job"), QoS: 1, ID: 1, Payload: []byte("left")})
				first.expect()
				pub.expect()
				second := x.connect(t, packet.V5, persistent("second"))
				second.expect()
				second.send(subscribeTo("$share/g/job", 1))
				second.expect()
				second.leave()
				if err := x.b.store.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}

				g.shut()
				end(t, first)
				again := x.connect(t, packet.V5, &packet.Connect{ClientID: "first", CleanStart: true})
				again.nothing("CONNACK while the session before would come back")
				g.open()
				if ack, ok := again.expect().(*packet.Connack); !ok || ack.SessionPresent || ack.Code != packet.Success {
					t.Fatalf("%+v", ack)
				}
				after := newStored(t, fs.CrashClone(vfs.CrashCloneCfg{}))
				if ack, ok := after.connect(t, packet.V5, persistent("first")).expect().(*packet.Connack); !ok || ack.SessionPresent {
					t.Errorf("after the crash: %+v", ack)
				}
				if group == "in a group" {
					heir := after.connect(t, packet.V5, persistent("second"))
					if ack, ok := heir.expect().(*packet.Connack); !ok || !ack.SessionPresent {
						t.Fatalf("%+v", ack)
					}
					if m, ok := heir.expect().(*packet.Publish); !ok || string(m.Payload) != "left" {
						t.Errorf("%+v", m)
					}
				}
				within(t, "both sessions are in the store, and no other", func() bool {
					return after.b.store.Stats().Sessions == 2
				})
				again.leave()
				pub.leave()
			})
		}
	}
}
