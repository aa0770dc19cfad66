package broker

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"picket/cause"
	"picket/logging"
	"picket/packet"
)

// Maintenance is a time in which the broker takes no clients but those it excepts. It lives in memory: a broker that is started
// again is open.
type Maintenance struct {
	Since           time.Time
	Until           time.Time      // when it ends by itself; zero: when somebody ends it
	Message         string         // for the reason string of MQTT 5 and the log; at most [MaxMessage] bytes
	ServerReference string         // the server to use instead (MQTT-4.13 of 5.0: HOST or HOST:PORT, several with blanks between them); may be empty
	Moved           bool           // it is to be used for good: Server moved instead of Use another server
	Grace           time.Duration  // how long those who are connected may stay; 0: they have to go at once
	ExceptLocal     bool           // clients from this machine may come and stay
	Allow           []netip.Prefix // and so may clients from these networks
}

// MaxMessage bounds the texts of a [Maintenance], so that they fit into the packet that any client takes.
const MaxMessage = 512

// maintenance is one in force.
type maintenance struct {
	Maintenance
	over chan struct{} // closed when it has ended or another one has taken its place
}

// BeginMaintenance closes the broker to clients. One that is in force already is replaced. The error says what about m cannot be.
func (b *Broker) BeginMaintenance(m Maintenance) error {
	switch {
	case len(m.Message) > MaxMessage || len(m.ServerReference) > MaxMessage:
		return fmt.Errorf("message and server reference may have %d bytes each", MaxMessage)
	case !packet.ValidText(m.Message) || !packet.ValidText(m.ServerReference):
		return errors.New("message and server reference have to be UTF-8 text without control characters")
	case m.Moved && m.ServerReference == "":
		return errors.New("clients cannot be told that the server has moved without saying where to")
	case m.Grace < 0:
		return errors.New("the grace period cannot be negative")
	case !m.Until.IsZero() && !m.Until.After(b.now()):
		return fmt.Errorf("%s has passed already", m.Until.Format(time.RFC3339))
	}
	m.Since = b.now()
	fresh := &maintenance{Maintenance: m, over: make(chan struct{})}
	select {
	case <-b.stopping:
		return errors.New("the broker is being stopped")
	default:
	}
	old := b.maintained.Swap(fresh)
	b.epoch.Add(1)
	if old != nil {
		close(old.over)
	}
	b.notice(logging.Warning, cause.Maintenance, "Maintenance has begun: %s.", fresh.reason())
	b.wait.Go(func() { b.maintain(fresh) })
	return nil
}

// EndMaintenance opens the broker again, and reports whether it was closed.
func (b *Broker) EndMaintenance() bool {
	m := b.maintained.Load()
	return m != nil && b.endMaintenance(m, "by command")
}

func (b *Broker) endMaintenance(m *maintenance, how string) bool {
	if !b.maintained.CompareAndSwap(m, nil) {
		return false
	}
	close(m.over)
	b.notice(logging.Warning, cause.Maintenance, "Maintenance has ended %s after %s.", how, b.now().Sub(m.Since).Round(time.Second))
	return true
}

// Maintenance returns the one in force.
func (b *Broker) Maintenance() (Maintenance, bool) {
	if m := b.maintained.Load(); m != nil {
		return m.Maintenance, true
	}
	return Maintenance{}, false
}

// maintain sends the clients away when their time has come and ends the maintenance when its own has.
func (b *Broker) maintain(m *maintenance) {
	grace, stop := b.time.after(m.Grace)
	defer stop()
	var end <-chan time.Time
	if !m.Until.IsZero() {
		var stop func()
		end, stop = b.time.after(m.Until.Sub(b.now()))
		defer stop()
	}
	for {
		select {
		case <-grace:
			b.sendAway(m)
		case <-end:
			b.endMaintenance(m, "on time")
			return
		case <-m.over:
			return
		case <-b.stopping:
			return
		}
	}
}

// sendAway disconnects everyone whom the maintenance does not except, some at a time, so that publishing all their wills holds nobody up for
// long.
func (b *Broker) sendAway(m *maintenance) {
	all := b.sessionsOf(nil)
	why := m.refusal(true)
	gone := 0
	for some := range slices.Chunk(all, 500) {
		b.do(func(w *worker) {
			for _, s := range some {
				s.mu.Lock()
				if c := s.conn; c != nil && c.stage() < closing && !m.admits(c.remote().Addr(), c.local) {
					c.dismissLocked(w, why, "") // how many it was is said below
					gone++
				}
				s.mu.Unlock()
			}
		})
	}
	b.notice(logging.Notice, cause.Maintenance, "%d clients have been disconnected.", gone)
}

// admits tells whether a client from an address may work while the maintenance lasts; local says whether it is on this machine.
func (m *Maintenance) admits(addr netip.Addr, local bool) bool {
	if local && m.ExceptLocal {
		return true
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(m.Allow, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// refusal is what clients are told: by CONNACK, or by DISCONNECT those who are connected. The codes for a server that is away differ.
func (m *maintenance) refusal(connected bool) refusal {
	r := refusal{code: packet.ServerUnavailable, id: cause.Maintenance, text: m.reason(), reference: m.ServerReference, told: true}
	switch {
	case m.Moved:
		r.code = packet.ServerMoved
	case m.ServerReference != "":
		r.code = packet.UseAnotherServer
	case connected:
		r.code = packet.AdministrativeAction
	}
	return r
}

// reason is the text behind the cause's id.
func (m *maintenance) reason() string {
	text := "closed for maintenance"
	if !m.Until.IsZero() {
		text += " until " + m.Until.Format(time.RFC3339)
	}
	if m.ServerReference != "" {
		text += "; use " + m.ServerReference
	}
	if m.Message != "" {
		text += ": " + m.Message
	}
	return text
}
