package broker

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"picket/access"
	"picket/cause"
	"picket/store"
)

// Status is what the broker does at the moment.
type Status struct {
	Started       time.Time
	Clients       int64 // sessions with a connection
	Sessions      int64
	Subscriptions int
	Retained      int
	Waiting       int64 // bytes of messages that wait in queues, and for slow receivers
	Load          Load
	GlobalMax     int // global_max_connections; 0: no limit
	Listeners     []ListenerStatus
	Store         *StoreStatus // nil: persistence is off
}

// StoreStatus is what is kept beyond the broker's life.
type StoreStatus struct {
	store.Stats
	Ailing cause.ID // why nothing can be stored; empty: it can
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
	s := Status{Started: b.started, Retained: b.retained.len(), Waiting: b.queued.Used() + b.memory.of(heldOutput), Load: b.Load(), GlobalMax: t.GlobalMaxConnections}
	b.room.mu.Lock()
	s.Load.Connections = b.room.sockets
	b.room.mu.Unlock()
	b.mu.Lock()
	s.Sessions = int64(len(b.sessions))
	b.mu.Unlock()
	s.Clients = min(b.online.Load(), s.Sessions)
	s.Subscriptions, _ = b.index.Len()
	if b.store != nil {
		s.Store = &StoreStatus{Stats: b.store.Stats()}
		if id := b.ailing.Load(); id != nil {
			s.Store.Ailing = *id
		}
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

// publishOwn publishes what mosquitto has no topics for, below $SYS/broker/picket.
func (t *sysTopics) publishOwn(set func(topic, value string)) {
	b := t.b
	if b.settings.Load().Compat.SysAsMosquitto {
		return
	}
	number := func(topic string, n int64) { set("picket/"+topic, strconv.FormatInt(n, 10)) }
	l := b.Load()
	short := "no"
	if len(l.Short) > 0 {
		short = strings.Join(l.Short, ", ")
	}
	set("picket/overloaded", short)
	number("lag/milliseconds", l.Lag.Milliseconds())
	number("passwords/milliseconds", l.PasswordWait.Milliseconds())
	number("memory/bytes", l.Memory)
	number("memory/limit", l.MemoryLimit)
	number("connections/open", l.Connections)
	number("connections/limit", l.ConnectionLimit)
	closed := "no"
	if m := b.maintained.Load(); m != nil {
		closed = m.reason()
	}
	set("picket/maintenance", closed)
	if b.store != nil {
		st := b.store.Stats()
		number("store/queued", st.Entries)
		number("store/live/bytes", st.Live)
		number("store/disk/bytes", st.Disk)
		number("store/pending/bytes", st.Pending)
		number("store/written", int64(st.Written))
		number("store/skipped", int64(st.Skipped))
		number("store/syncs", int64(st.Syncs))
		number("store/refused", int64(st.Failed))
		ailing := "no"
		if id := b.ailing.Load(); id != nil {
			ailing = string(*id)
		}
		set("picket/store/failing", ailing)
	}
	for id, n := range b.Causes() {
		number("causes/"+string(id), int64(n))
	}
}
