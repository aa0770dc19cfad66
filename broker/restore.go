package broker

import (
	"time"

	"picket/logging"
)

// restore builds the broker's state from its store.
func (b *Broker) restore() error {
	began := b.now()
	told := began
	var unclean []*Session
	n := 0
	events := &storeEvents{b: b, loaded: func(s *Session) {
		if s.durable.unclean {
			unclean = append(unclean, s)
		}
		if n++; b.now().Sub(told) > progressEvery {
			told = b.now()
			b.log.Printf(logging.Notice, "Reading the stored sessions: %d so far.", n)
		}
	}}
	if err := b.store.Start(b.context, events); err != nil {
		return err
	}
	events.loaded = nil
	for _, one := range events.ended {
		b.endStored(one)
	}
	// Their end has not been seen: from now on they are away.
	for _, s := range unclean {
		b.saveOffline(s)
	}
	if st := b.store.Stats(); n > 0 || b.retained.len() > 0 {
		b.log.Printf(logging.Info, "Restored %d sessions with %d messages, and %d retained messages, in %s.", n, st.Entries, b.retained.len(), b.now().Sub(began).Round(time.Millisecond))
	}
	return nil
}

// progressEvery is how often a long start says how far it has come.
const progressEvery = time.Second

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
