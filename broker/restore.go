package broker

import (
	"time"

	"picket/logging"
	"picket/session"
	"picket/store"
)

// restore builds the broker's state from its store.
func (b *Broker) restore() error {
	began, told := time.Now(), time.Now()
	var unclean []*Session
	n := 0
	load := &loader{keeper: newKeeper(b), session: func(s *Session) {
		if s.kept.unclean {
			unclean = append(unclean, s)
		}
		if n++; time.Since(told) > progressEvery {
			told = time.Now()
			b.log.Printf(logging.Notice, "Reading the stored sessions: %d so far.", n)
		}
	}}
	if err := b.store.Start(b.context, load); err != nil {
		return err
	}
	// Their end has not been seen: from now on they are away.
	for _, s := range unclean {
		s.mu.Lock()
		if !s.over {
			b.save(s)
		}
		s.mu.Unlock()
	}
	if st := b.store.Stats(); n > 0 || b.retained.Len() > 0 {
		b.log.Printf(logging.Info, "Restored %d sessions with %d messages, and %d retained messages, in %s.", n, st.Entries, b.retained.Len(), time.Since(began).Round(time.Millisecond))
	}
	return nil
}

// progressEvery is how often a long start says how far it has come.
const progressEvery = time.Second

// loader is the broker as its store sees it while it starts.
type loader struct {
	keeper
	session func(*Session)
}

// Session implements [store.Handler].
func (l *loader) Session(handle *store.Session, state store.State) {
	b, r := l.b, &state.Record
	t := b.settings.Load()
	now := b.now()
	s := &Session{b: b, id: handle.ClientID, user: r.User, named: r.Named, certified: r.Certified, mount: r.Mount,
		expiry: r.Expiry, subs: state.Subscriptions, kept: &kept{handle: handle, door: r.Listener, left: time.Unix(r.Offline, 0), unclean: r.Offline == 0}}
	handle.Owner = s
	last := max(r.Next, 1) - 1
	if state.Backlog.Entries > 0 {
		last = max(last, state.Backlog.Last)
	}
	k := session.Kept{Messages: state.Backlog.Entries, Bytes: int(state.Backlog.Bytes), First: state.Backlog.First, Last: last, Sent: max(r.Sent, 1) - 1}
	if s.kept.unclean {
		s.kept.left = now
		k.Sent = last // anything may have been sent
	}
	s.out = session.Restore(k, session.Limits{Window: t.window, WindowBytes: t.MaxInflightBytes, Messages: t.MaxQueuedMessages, Bytes: t.MaxQueuedBytes}, &b.queued)
	for _, id := range state.Received {
		s.in.Receive(id)
	}
	s.policy = t.policies[b.securityOf(t, s.door())]
	s.acl = s.policy.ACL(s.user, s.id)
	for filter, o := range s.subs {
		b.index.Subscribe(filter, s, o)
	}
	b.mu.Lock()
	b.sessions[s.id] = s
	s.mu.Lock()
	if w := r.Will; w != nil {
		s.will = &will{message: w.Message, expiry: w.Expiry, expires: w.Expires, delay: w.Delay}
		if w.Due != 0 {
			s.due.will = time.Unix(w.Due, 0)
		} else {
			s.due.will = s.kept.left.Add(time.Duration(min(w.Delay, s.expiry)) * time.Second)
		}
	}
	if s.expiry != neverExpires {
		s.due.expiry = s.kept.left.Add(time.Duration(s.expiry) * time.Second)
	}
	b.schedule(s)
	s.mu.Unlock()
	b.mu.Unlock()
	l.session(s)
}

// Retained implements [store.Handler].
func (l *loader) Retained(m *session.Message) {
	b := l.b
	b.retained.Set(m.Topic, m)
	b.retainedBytes.Add(int64(m.Size()))
}

// securityOf finds the rules for the clients of a listener that is known by its name in a session's record: its key, or what an import
// knows of it, ":" and its port.
func (b *Broker) securityOf(t *settings, door string) int {
	for _, l := range t.Listeners {
		if listenerKey(l) == door || ":"+itoa(l.Port) == door {
			return l.Security
		}
	}
	return 0
}
