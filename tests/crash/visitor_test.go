//go:build unix

package crash

import (
	"fmt"
	"time"

	"picket/packet"
)

// visitor makes sessions and ends them. What it gets does not matter; whether its session is there does.
type visitor struct {
	client
}

func (w *world) newVisitor(n int, version packet.Version) *visitor {
	v := &visitor{client: w.client(fmt.Sprintf("visitor%d", n), version)}
	v.role = v
	return v
}

func (v *visitor) begin(present bool) {
	if present {
		return
	}
	filters := []packet.Subscription{{Filter: v.w.groups[v.rng.IntN(len(v.w.groups))], QoS: byte(v.rng.IntN(3))}}
	v.write((&packet.Subscribe{ID: 1, Filters: filters}).Append(nil, v.version))
}

func (v *visitor) disconnected() {}

func (v *visitor) received(first byte, body []byte) error {
	if packet.Type(first>>4) == packet.PUBLISH {
		var p packet.Publish
		if err := p.Decode(v.version, first, body); err != nil {
			return err
		}
		switch p.QoS {
		case 1:
			v.reply(&packet.Ack{Kind: packet.PUBACK, ID: p.ID}, nil)
		case 2:
			v.reply(&packet.Ack{Kind: packet.PUBREC, ID: p.ID}, nil)
		}
		return nil
	}
	p, err := packet.Decode(v.version, first, body)
	if ack, ok := p.(*packet.Ack); ok && ack.Kind == packet.PUBREL {
		v.reply(&packet.Ack{Kind: packet.PUBCOMP, ID: ack.ID}, nil)
	}
	return err
}

// live visits for one life.
func (v *visitor) live(l *life) {
	for {
		v.mu.Lock()
		v.clean = v.rng.IntN(2) == 0
		v.mu.Unlock()
		if !l.pause(v.w.upTo(v.rng, 60*time.Millisecond)) || !v.persist(l) {
			break
		}
		if l.pauseOr(v.w.upTo(v.rng, 60*time.Millisecond), v.over()) && v.version == packet.V5 && v.rng.IntN(3) == 0 {
			v.resign()
		}
		v.leave(v.rng.IntN(2) == 0)
	}
	v.leave(false)
}

// resign ends the session with the connection, which the server does not acknowledge.
func (v *visitor) resign() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.link == nil || v.clean {
		return
	}
	v.established = false
	v.write((&packet.Disconnect{Props: (&packet.Properties{}).Set(packet.SessionExpiryInterval)}).Append(nil, v.version))
}
