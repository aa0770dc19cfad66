package broker

import (
	"net/netip"
	"time"

	"picket/access"
	"picket/cause"
)

// Status is what the broker is at the moment, beside its figures ([Broker.StatusFigures]).
type Status struct {
	Started   time.Time
	GlobalMax int      // global_max_connections; 0: no limit
	Short     []string // what is short: cpu, memory, descriptors; empty when the broker is not overloaded
	Listeners []ListenerStatus
	Ailing    cause.ID // why nothing can be stored; empty: it can, or persistence is off
}

// ListenerStatus is a listener and how busy it is.
type ListenerStatus struct {
	Config      *Listener
	Addrs       []netip.AddrPort // empty for a Unix socket
	Connections int64
	Anonymous   access.Anonymous // who needs no password
	Limited     bool             // an ACL file limits what anonymous clients may do
	NoUsers     bool             // nobody has a password that would be right
	Page        bool             // the phone's page is served, if the program has it
}

// Status returns the present state.
func (b *Broker) Status() Status {
	t := b.settings.Load()
	s := Status{Started: b.started, Short: b.Load().Short, GlobalMax: t.GlobalMaxConnections}
	if id := b.ailing.Load(); id != nil {
		s.Ailing = *id
	}
	sockets := b.listeners.Sockets()
	for _, l := range t.Listeners {
		policy := t.policies[l.Security]
		rules := policy.Config()
		one := ListenerStatus{Config: l, Connections: t.connections[l].Load(), Anonymous: rules.Anonymous, Limited: rules.ACLFile != "", NoUsers: policy.NoUsers(),
			Page: t.HTTP != nil && l.ServesPage()}
		for _, k := range sockets {
			if k.Listener == &l.Config && k.Addr.IsValid() {
				one.Addrs = append(one.Addrs, k.Addr)
			}
		}
		s.Listeners = append(s.Listeners, one)
	}
	return s
}

// standstill is how long an event loop may take for one batch before the broker counts as one that a restart would help.
const standstill = 30 * time.Second

// Alive tells whether the event loops, and the clock beside them, have turned of late. It takes no lock that clients are served with, and knows nothing of what a
// restart would not cure: the store, the load, maintenance.
func (b *Broker) Alive() bool {
	return b.now().Unix()-b.unix.Load() < int64(standstill/time.Second) && b.Load().Lag < standstill
}

// Unready says why clients are not taken or not served as they should be: maintenance, an overload that keeps them out, a store that cannot store. Empty: nothing
// is in the way.
func (b *Broker) Unready() (why []cause.ID) {
	if b.maintained.Load() != nil {
		why = append(why, cause.Maintenance)
	}
	if b.strain.refusing() != "" {
		why = append(why, cause.Overloaded)
	}
	if id := b.ailing.Load(); id != nil {
		why = append(why, *id)
	}
	select {
	case <-b.stopping:
		why = append(why, cause.ServerShuttingDown)
	default:
	}
	return why
}
