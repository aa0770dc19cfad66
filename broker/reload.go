package broker

import (
	"context"
	"net/http"
	"time"

	"picket/access"
	"picket/cause"
	"picket/listener"
	"picket/logging"
	"picket/packet"
)

// options are what the broker wants of its listeners.
func (b *Broker) options(c *settings) listener.Options {
	return listener.Options{
		Newcomers: c.newcomers, NewcomerBytes: c.memory.kinds[heldConnecting],
		Charged: func(n int64) { b.memory.force(heldConnecting, n) },
		Loops:   c.Loops,
		Given:   c.Given,
		Nagle:   !c.TCPNoDelay,
		HTTP:    b.pages(c),
		Opening: func(s listener.Socket) { b.log.Printf(logging.Info, "%s", s) },
		Refused: b.refused,
		Note: func(c *listener.Config, text string) {
			b.log.Printf(logging.Warning, "Warning: %s: %s.", c.Source, text)
		},
	}
}

// pages hands the listener's HTTP requests to the program. A reload changes what answers, as it is asked anew for each configuration.
func (b *Broker) pages(first *settings) func(*listener.Config, http.Handler) (http.Handler, error) {
	return func(c *listener.Config, rest http.Handler) (http.Handler, error) {
		if first.HTTP == nil {
			return rest, nil
		}
		return first.HTTP(listenerOf(c), rest)
	}
}

// Reload puts the configuration that load returns in force, before the next CONNECT is judged. Clients that are still allowed stay; when load
// fails, or anything in the configuration cannot be used, the old one stays in force and the error says why.
func (b *Broker) Reload(load func() (*Config, error)) error {
	b.reloading.Lock()
	defer b.reloading.Unlock()
	b.shut(false)
	defer b.open()
	fresh, err := load()
	if err != nil {
		return err
	}
	c := *fresh
	t, err := b.prepare(c)
	if err != nil {
		return err
	}
	changes, err := b.listeners.Update(context.Background(), transportsOf(c.Listeners))
	if err != nil {
		return err
	}
	b.install(t)
	b.recheck(t, changes.Removed, nil)
	return nil
}

// Expect announces a [Broker.Reload], for which every CONNECT from now on waits.
func (b *Broker) Expect() { b.shut(true) }

// Open lets clients in that have waited since a start with [Config.Shut].
func (b *Broker) Open() {
	b.gateMu.Lock()
	b.due = false
	b.gateMu.Unlock()
	b.open()
}

// shut closes the gate that CONNECT has to pass.
func (b *Broker) shut(due bool) {
	b.gateMu.Lock()
	defer b.gateMu.Unlock()
	b.due = due
	if b.gate.Load() == nil {
		gate := make(chan struct{})
		b.gate.Store(&gate)
		b.epoch.Add(1)
	}
}

// open opens the gate after a reload, unless another one has been announced meanwhile.
func (b *Broker) open() {
	b.gateMu.Lock()
	defer b.gateMu.Unlock()
	if gate := b.gate.Load(); !b.due && gate != nil {
		b.gate.Store(nil)
		close(*gate)
	}
}

// recheck looks at clients again: those of removed listeners and those that would not be let in any more have to go, the others get the new rules. which chooses
// among them, unless it is nil.
func (b *Broker) recheck(now *settings, gone []*listener.Config, which func(*access.Client) bool) {
	r := &review{b: b, now: now, removed: make(map[*Listener]bool), current: make(map[string]*Listener)}
	for _, l := range gone {
		r.removed[listenerOf(l)] = true
	}
	for _, l := range now.Listeners {
		r.current[listenerKey(l)] = l
	}
	all := b.sessionsOf(which)
	b.mu.Lock()
	for l := range b.locals {
		if is := l.s.rules.Load(); which == nil || which(is) {
			l.s.rules.Store(is.Under(now.policies[0]))
		}
	}
	b.mu.Unlock()
	b.do(func(w *worker) {
		for _, s := range all {
			b.mu.Lock() // dues may change
			s.mu.Lock()
			r.session(w, s)
			s.mu.Unlock()
			b.mu.Unlock()
		}
	})
}

// review judges sessions by the settings that have just come into force.
type review struct {
	b       *Broker
	now     *settings
	removed map[*Listener]bool   // those that are in no configuration any more
	current map[string]*Listener // the others, by their keys
}

// session looks at one session. The mutexes of the broker and of the session are held.
func (r *review) session(w *worker, s *Session) {
	b, c, is := r.b, s.conn, s.rules.Load()
	switch {
	case is == access.Nobody: // it is about to be let in, which looks at the rules again
	case c == nil: // its will may be yet to come, also when it is over
		s.rules.Store(is.Under(r.now.policies[b.securityOf(r.now, s.door())]))
		b.shorten(s, r.now)
	case s.over:
	case c.linked():
		r.keep(s, r.now.policies[0])
	case r.removed[c.from]:
		b.dismiss(w, c, packet.ServerShuttingDown, cause.ListenerRemoved, "its listener was removed from the configuration")
	default:
		policy, l := r.now.policies[0], r.current[listenerKey(c.from)]
		if l != nil {
			policy = r.now.policies[l.Security]
		}
		d := b.stillCertified(c, is, l)
		if d.Allow {
			d = policy.Recheck(is, c.local)
		}
		if !d.Allow {
			b.dismiss(w, c, packet.NotAuthorized, d.Cause, d.Text)
			return
		}
		r.keep(s, policy)
	}
}

// keep has a client that stays go on under the new settings.
func (r *review) keep(s *Session, policy *access.Policy) {
	s.rules.Store(s.rules.Load().Under(policy))
	r.b.shorten(s, r.now)
	limits := r.now.sessionLimits(r.now.window) // what may be in flight stays as it was when the client connected
	s.out.Limits.Messages, s.out.Limits.Bytes = limits.Messages, limits.Bytes
}

// dismiss ends a client's connection because of a reload. The session's mutex is held.
func (b *Broker) dismiss(w *worker, c *connection, code packet.Code, id cause.ID, text string) {
	c.dismissLocked(w, refusal{code: code, id: id, text: text}, "Client %s disconnected, not authorised: %s.", c.s.id, text)
}

// stillCertified decides whether what a client has shown of certificates would let it in now at its listener, which is nil if nobody knows it any more.
func (b *Broker) stillCertified(c *connection, is *access.Client, l *Listener) access.Decision {
	info := c.conn.Info()
	if err := b.listeners.Recheck(info); err != nil {
		return access.Decision{Cause: cause.NoLongerAllowed, Text: err.Error()}
	}
	if l == nil {
		return access.Decision{Allow: true}
	}
	switch takes := l.IdentityAsUsername || l.SubjectAsUsername; {
	case is.Certified && !takes:
		return access.Decision{Cause: cause.NoLongerAllowed, Text: "its user name came from a certificate, which the listener takes none from any more"}
	case takes:
		if name, ok := certifiedName(info, l); !ok || !is.Certified || name != is.Username {
			return access.Decision{Cause: cause.NoLongerAllowed, Text: "its user name is not the one in its certificate, which the listener takes it from now"}
		}
	}
	return access.Decision{Allow: true}
}

// shorten applies persistent_client_expiration to a session that there is already; one without a connection may be over by that. The mutex of the session is held.
func (b *Broker) shorten(s *Session, t *settings) {
	if s.expiry = t.longest(s.expiry); s.conn != nil || s.over || s.expiry == neverExpires {
		return
	}
	left := b.now()
	if s.stored() {
		left = s.durable.left
	}
	if at := momentOf(left.Add(time.Duration(s.expiry) * time.Second)); s.due.expiry == 0 || at < s.due.expiry {
		s.due.expiry = at
		b.schedule(s)
	}
}
