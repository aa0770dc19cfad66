package broker

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Where there is no room for another connection, the client is told so if that can be had cheaply: its CONNECT is waited for and answered,
// for at most turnedAtOnce connections at a time and answersPerSecond of them in a second. In a flood the rest is closed as it comes.
const (
	turnedAtOnce     = 64
	answersPerSecond = 100
	maxTurnedConnect = 16 << 10 // bytes of a CONNECT that is only read to be refused
)

// room is what connections are counted against. It knows no connections, only their places, and reads no clock. Safe for concurrent use.
type room struct {
	mu      sync.Mutex
	open    int64 // clients that have a place
	sockets int64 // connections that the broker knows of, with a place or without
	turned  int   // connections without one that are about to be told so
	second  uint32
	told    int // in that second
	unsaid  int // closed without a line in the log
}

// slot is what a connection has of a [room], whose mutex guards it.
type slot struct {
	counted bool          // as open
	turned  bool          // accepted only to be told that there is no room
	peers   *atomic.Int64 // open connections of the listener, with counted; nil: not counted there
}

// limits bound how many connections there may be.
type limits struct {
	peers    *atomic.Int64 // open connections of the listener; nil: a reload is under way and has just replaced it
	listener int64         // of those; negative: no limit
	global   int64         // of all; 0: no limit
	files    int64         // of all, by the limit on open files; negative: no limit
	memory   int64         // the memory_limit, if it is reached; 0: it is not
}

// fileRoom is how many connections may be open when the process may open limit files, and how many more may be about to be told that there is
// no room. What is left serves the log, the listeners and handshakes.
func fileRoom(limit uint64) (open int64, turned int) {
	n := int64(min(limit, 1<<40))
	turned = int(min(turnedAtOnce, n/32))
	return n - max(24, n/32) - int64(turned), turned
}

// enter gives a client a place, or says which limit is reached. Connections without CONNECT have none: they are bounded by the listener's
// account of newcomers, and a silent one keeps no client out.
func (r *room) enter(p *slot, l limits) (full string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if full := r.fullLocked(l); full != "" {
		return full, false
	}
	r.open++
	p.counted, p.peers = true, l.peers
	if l.peers != nil {
		l.peers.Add(1)
	}
	r.unturnLocked(p)
	return "", true
}

// full says which limit is reached, if any.
func (r *room) full(l limits) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fullLocked(l)
}

func (r *room) fullLocked(l limits) string {
	switch {
	case l.peers != nil && l.listener >= 0 && l.peers.Load() >= l.listener:
		return fmt.Sprintf("max_connections (%d) of this listener is reached", l.listener)
	case l.global > 0 && r.open >= l.global:
		return fmt.Sprintf("global_max_connections (%d) is reached", l.global)
	case l.files >= 0 && r.open >= l.files:
		return fmt.Sprintf("the system lets the broker open no more files than for %d connections (ulimit -n, LimitNOFILE=)", l.files)
	case l.memory > 0:
		return fmt.Sprintf("memory_limit (%d bytes) is reached", l.memory)
	}
	return ""
}

// arrive counts a new connection.
func (r *room) arrive() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sockets++
}

// turn lets a new connection stay to be told that there is no room, if that can be had in this second, with no more than atOnce of them at a time.
func (r *room) turn(p *slot, second uint32, atOnce int) (stays bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.second != second {
		r.second, r.told = second, 0
	}
	if r.turned >= atOnce || r.told >= answersPerSecond {
		r.unsaid++
		return false
	}
	r.turned++
	r.told++
	r.sockets++
	p.turned = true
	return true
}

// unturnLocked is for a connection that was to be told that there is no room, and has got a place.
func (r *room) unturnLocked(p *slot) {
	if p.turned {
		p.turned = false
		r.turned--
	}
}

// leave gives a connection's place back.
func (r *room) leave(p *slot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sockets--
	r.unturnLocked(p)
	if p.counted {
		r.open--
	}
	if p.peers != nil {
		p.peers.Add(-1)
	}
	*p = slot{}
}

// inherit hands the place of a connection to the one that takes its session over.
func (r *room) inherit(to, from *slot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if to.counted || !from.counted {
		return
	}
	to.counted, to.peers, from.counted, from.peers = true, from.peers, false, nil
	r.unturnLocked(to)
}

// has tells whether a connection has a place.
func (r *room) has(p *slot) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return p.counted
}

// connections is how many there are.
func (r *room) connections() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sockets
}

// take returns how many connections are open, and how many were closed without an answer since the last call.
func (r *room) take() (open int64, unsaid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	unsaid, r.unsaid = r.unsaid, 0
	return r.sockets, unsaid
}
