package broker

import (
	"bytes"
	"maps"

	"picket/access"
	"picket/cause"
	"picket/logging"
	"picket/packet"
)

// Other parts of a program work on the broker through these, and through [Broker.Local]: they take commands, disconnect a client and have clients judged
// again.

// ControlHandler carries out a command: what a client has published to a topic below $CONTROL/. It is called on an event loop and must not block; an answer goes
// by a [Local]. The payload is its own.
type ControlHandler func(from *access.Client, payload []byte)

// HandleControl has commands on a topic below $CONTROL/ carried out, or by nobody any more if h is nil. Who may send them is decided by [access.Client.Control].
func (b *Broker) HandleControl(name string, h ControlHandler) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fresh := make(map[string]ControlHandler)
	if old := b.controls.Load(); old != nil {
		maps.Copy(fresh, *old)
	}
	if fresh[name] = h; h == nil {
		delete(fresh, name)
	}
	b.controls.Store(&fresh)
}

// control finds who carries out what is published to a topic name; nil for nobody, as for every name that does not begin with $.
func (b *Broker) control(name string) ControlHandler {
	if name[0] != '$' {
		return nil
	}
	if all := b.controls.Load(); all != nil {
		return (*all)[name]
	}
	return nil
}

// command hands the worker's run to whoever carries it out, and acknowledges it.
func (w *worker) command(c *connection, h ControlHandler) {
	r, from := &w.run, c.s.rules.Load()
	for i := range r.n {
		h(from, bytes.Clone(r.body(i)))
	}
	w.acknowledge(c, reply{after: w.commit()})
}

// Disconnect ends the connection of a client for a cause, with a text for its reason string and the log, and reports whether it had one. Its will is
// published. Its session stays as it would after a lost connection.
func (b *Broker) Disconnect(clientID string, id cause.ID, text string) bool {
	s := b.session(clientID)
	return s != nil && b.disconnect([]*Session{s}, disconnected(id, text)) > 0
}

// DisconnectEach is [Broker.Disconnect] for all clients that which chooses, and returns how many had a connection. A CONNECT that is being judged is judged anew: once
// what it is judged by has changed and this has returned, nobody is connected who was let in by what held before and whom which chooses. The text is nobody's message to
// these clients: it is in their reason string only where reason_strings is true.
func (b *Broker) DisconnectEach(which func(*access.Client) bool, id cause.ID, text string) int {
	b.epoch.Add(1)
	return b.disconnect(b.sessionsOf(which), refusal{code: packet.AdministrativeAction, id: id, text: text})
}

// disconnected is what a client is told whose connection is ended for a cause. What somebody has written for the client it is told whatever reason_strings says.
func disconnected(id cause.ID, text string) refusal {
	return refusal{code: packet.AdministrativeAction, id: id, text: text, told: id == cause.DisconnectedByAdmin}
}

func (b *Broker) disconnect(all []*Session, why refusal) (n int) {
	b.do(func(w *worker) {
		for _, s := range all {
			s.mu.Lock()
			if c := s.conn; c != nil && c.stage() < closing {
				n++
				c.dismissLocked(w, why, "Client %s been disconnected by administrative action: %s.", s.id, why.text)
			}
			s.mu.Unlock()
		}
	})
	return n
}

// Rejudge looks at clients again, as a reload does at all: those that would not be let in any more have to go, and what is known of what the others may do is asked
// anew. An [access.Authority] has it called when what it says of some clients has changed. which may be nil for all.
func (b *Broker) Rejudge(which func(*access.Client) bool) {
	b.reloading.Lock()
	defer b.reloading.Unlock()
	b.recheck(b.settings.Load(), nil, which)
}

// Report counts and logs what another part of the program has refused, dropped or given up, under its cause.
func (b *Broker) Report(level logging.Type, id cause.ID, format string, args ...any) {
	b.report(incident{cause: id, level: level}, format, args...)
}
