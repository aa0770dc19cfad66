package broker

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"picket/access"
	"picket/session"
	"picket/store"
)

// neverExpires is the session expiry interval that stands for ever (MQTT-3.1.2-11.2 of MQTT 5.0).
const neverExpires = 0xFFFFFFFF

// Session is a client's session: what outlives a network connection. The broker's table of sessions is the only place that decides
// who owns one, so that it can be another node's later.
//
// There is one of these for a client, and what else is called by that name is a part of it with a lock or a lifetime of its own. Package session has what MQTT says of
// delivery (out, in) and knows nobody. [durable] is what a stored session has beside that. [store.Session] is a name in the store, and what is under way
// for its queue there: the store's goroutine looks at it under its own mutex, and a batch may carry it when the session is over, so it is no field but
// a handle, and does not point back; [Broker.sessionOf] finds whose it is.
//
// The session's mutex also guards what is to be written to its connection, so that delivering takes one lock for each receiver. That is why a connection
// has a session from the beginning, before its CONNECT has named one ([Broker.blank]).
type Session struct {
	mu sync.Mutex // guards everything below, and the output half of conn

	// rules say who the client is and what it may do: never nil, and [access.Nobody] before CONNECT. A reload replaces them while the client is at work, so
	// whoever asks several questions about one thing loads them once. Written with mu held, read without.
	rules atomic.Pointer[access.Client]

	id    string
	conn  *connection // nil: offline
	out   session.Outbox
	in    session.Inbox
	subs  subscriptions
	mount string // prefix of every topic of the client

	expiry     uint32 // seconds that the session outlives its connection
	duePlace   int32  // in the heap of those to whom something is to happen while they are offline, from 1; 0: not there
	place      uint32 // in the register; set before anybody finds the session there
	over       bool   // ended, or another node's: nobody may add to it
	moved      bool   // it is over since another node has it
	queuesQoS0 bool   // messages of QoS 0 wait for its client, too
	dropLogged bool   // the log has said that messages are being dropped

	will    *will
	replays *replays // retained messages on their way to new subscriptions

	inside *Local // the client inside the program whose session it is, or the node that it stands for in the index; nil: its client comes by a connection

	durable    *durable       // the session in the store; nil: it is not kept there
	willHandle *store.Session // its will in the store, where the session itself is not kept there; nil: there is none

	due due // what is to happen to it while it is offline
}

// blank is the session of a connection that has not sent CONNECT.
func (b *Broker) blank(c *connection) *Session {
	s := &Session{conn: c, out: session.NewOutbox(session.Limits{}, false, &b.queued)}
	s.rules.Store(access.Nobody)
	return s
}

// session is the one known under a client identifier, or nil. The broker's mutex must not be held.
func (b *Broker) session(clientID string) *Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sessions.byID[clientID]
}

// longest is the session expiry interval that a session has which asks for one: no more than persistent_client_expiration.
func (t *settings) longest(expiry uint32) uint32 {
	if limit := t.PersistentExpiration / time.Second; limit > 0 {
		return min(expiry, uint32(min(limit, neverExpires)))
	}
	return expiry
}

// sessionLimits bounds what waits for a client and is in flight to it; window is how many messages may be in flight.
func (t *settings) sessionLimits(window int) session.Limits {
	return session.Limits{
		Window: int32(min(window, session.MaxWindow)), WindowBytes: t.MaxInflightBytes,
		Messages: int32(min(t.MaxQueuedMessages, math.MaxInt32)), Bytes: t.MaxQueuedBytes,
	}
}

// takeWill takes the will out of the session because it is due. The rules in force at this moment decide whether it is published. The session's mutex is held.
func (s *Session) takeWill() *will {
	m := s.will
	s.will, m.rules = nil, s.rules.Load()
	return m
}

// survives tells whether the session goes on when its connection ends.
func (s *Session) survives() bool { return s.expiry > 0 }

// hasMore tells whether messages wait for the client beyond what has been encoded for it.
func (s *Session) hasMore() bool { return s.out.Waiting() > 0 || s.replays.len() > 0 }
