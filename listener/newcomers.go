package listener

import (
	"container/heap"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"picket/cause"
)

// newcomers are the connections of a set that are no clients: those that have been accepted and not yet admitted by the core, and those that
// are read to their end after they were told why they have to go. Everything that a stranger can make the process keep is charged here, to the stranger's
// address: the connection itself, the state of its handshake, what it has sent and nobody has taken yet, and what the core keeps of it ([Conn.Hold]).
//
// Together they may cost limit bytes. When they cost more, the address that costs the most loses its oldest connection, until the rest
// fits: an address that opens thousands of connections takes away its own, never those of others.
//
// Each connection costs at least as much as makes limit bytes of the greatest number that there may be, so that one sum bounds bytes and descriptors.
type newcomers struct {
	mu      sync.Mutex
	limit   int64             // bytes
	least   int64             // what each costs at least
	charge  int64             // of all
	charged func(bytes int64) // told of its changes; may be nil
	peers   map[netip.Addr]*peer
	order   peerHeap
}

// A newcomer is one of them.
type newcomer struct {
	conn    outcast
	since   time.Time // when the system accepted the connection
	base    int64     // what the connection itself costs
	evicted atomic.Bool

	// Guarded by newcomers.mu.
	peer       *peer // nil once it is a client, or gone
	remote     netip.AddrPort
	left, held int64 // what it has sent and nobody has taken, and what the core holds
	charge     int64
	prev, next *newcomer // of the same address, oldest first
}

// outcast is a connection that can be made to go. It is called by any goroutine, without a lock, and does not wait.
type outcast interface {
	castOut(remote netip.AddrPort)
}

// ErrCastOut is what [Client.Closed] gets for a newcomer that had to go. It has been reported by [Options.Refused].
var ErrCastOut = &Refusal{Cause: cause.ConnectFlood, Text: "too many connections are no clients yet"}

// peer is an address with newcomers.
type peer struct {
	addr        netip.Addr
	charge      int64
	first, last *newcomer
	place       int // in the heap
}

// What a connection costs beside what it has sent: its structures, and for one with a goroutine its stack and the state of a TLS handshake or
// the buffers of an HTTP request.
const (
	plainCost  = 1 << 10
	streamCost = 24 << 10
)

func (t *newcomers) init(connections int, bytes int64) {
	t.peers = make(map[netip.Addr]*peer)
	t.setLimits(connections, bytes)
}

// setLimits sets how many there may be and what they may cost together, from the next one on.
func (t *newcomers) setLimits(connections int, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit, t.least = bytes, bytes/int64(max(connections, 1))
}

// AddressOf is what a remote address is charged as: a network of 64 bits is one machine's in IPv6, and all clients of Unix sockets are one.
func AddressOf(remote netip.AddrPort) netip.Addr {
	a := remote.Addr().Unmap().WithZone("")
	if a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// enter charges a connection to its address.
func (t *newcomers) enter(n *newcomer, remote netip.AddrPort) {
	t.mu.Lock()
	t.joinLocked(n, remote)
	out := t.fitLocked()
	t.mu.Unlock()
	castOut(out)
}

// move charges a connection to another address, which a proxy has named.
func (t *newcomers) move(n *newcomer, remote netip.AddrPort) {
	t.mu.Lock()
	var out []*newcomer
	if n.peer != nil {
		t.leaveLocked(n)
		t.joinLocked(n, remote)
		out = t.fitLocked()
	}
	t.mu.Unlock()
	castOut(out)
}

// leave takes a connection off that is a client now, or gone. A second call does nothing.
func (t *newcomers) leave(n *newcomer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.peer != nil {
		t.leaveLocked(n)
	}
}

// setLeft charges what a connection has sent and nobody has taken; setHeld what the core holds of it.
func (t *newcomers) setLeft(n *newcomer, bytes int) { t.resize(n, &n.left, bytes) }
func (t *newcomers) setHeld(n *newcomer, bytes int) { t.resize(n, &n.held, bytes) }

func (t *newcomers) resize(n *newcomer, part *int64, bytes int) {
	t.mu.Lock()
	*part = int64(bytes)
	var out []*newcomer
	if p := n.peer; p != nil {
		t.chargeLocked(n, p)
		heap.Fix(&t.order, p.place)
		out = t.fitLocked()
	}
	t.mu.Unlock()
	castOut(out)
}

// evictOne makes the oldest connection of the address that costs the most go, and reports whether there was one.
func (t *newcomers) evictOne() bool {
	t.mu.Lock()
	var out []*newcomer
	if len(t.order) > 0 {
		out = []*newcomer{t.order[0].first}
		t.leaveLocked(out[0])
	}
	t.mu.Unlock()
	castOut(out)
	return len(out) > 0
}

// fitLocked takes connections off until the rest fits, and returns those that have to go.
func (t *newcomers) fitLocked() (out []*newcomer) {
	for t.charge > t.limit {
		n := t.order[0].first
		t.leaveLocked(n)
		out = append(out, n)
	}
	return out
}

func castOut(out []*newcomer) {
	for _, n := range out {
		n.evicted.Store(true)
		n.conn.castOut(n.remote)
	}
}

func (t *newcomers) joinLocked(n *newcomer, remote netip.AddrPort) {
	addr := AddressOf(remote)
	n.remote = remote
	p := t.peers[addr]
	if p == nil {
		p = &peer{addr: addr, first: n}
		t.peers[addr] = p
	} else {
		n.prev, p.last.next = p.last, n
	}
	p.last = n
	n.peer = p
	t.chargeLocked(n, p)
	if n.prev == nil {
		heap.Push(&t.order, p)
	} else {
		heap.Fix(&t.order, p.place)
	}
}

// chargeLocked brings the sums up to date. The heap is put in order by the caller.
func (t *newcomers) chargeLocked(n *newcomer, p *peer) {
	charge := max(t.least, n.base+n.left+n.held)
	p.charge += charge - n.charge
	t.addLocked(charge - n.charge)
	n.charge = charge
}

func (t *newcomers) addLocked(bytes int64) {
	t.charge += bytes
	if t.charged != nil {
		t.charged(bytes)
	}
}

func (t *newcomers) leaveLocked(n *newcomer) {
	p := n.peer
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		p.first = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		p.last = n.prev
	}
	p.charge -= n.charge
	t.addLocked(-n.charge)
	n.peer, n.prev, n.next, n.charge = nil, nil, nil, 0
	if p.first == nil {
		heap.Remove(&t.order, p.place)
		delete(t.peers, p.addr)
	} else {
		heap.Fix(&t.order, p.place)
	}
}

// peerHeap has the address that costs the most at its top; of several that cost the same, the one whose oldest connection is the oldest.
type peerHeap []*peer

func (h peerHeap) Len() int { return len(h) }
func (h peerHeap) Less(i, j int) bool {
	if h[i].charge != h[j].charge {
		return h[i].charge > h[j].charge
	}
	a, b := h[i].first, h[j].first
	return a != nil && b != nil && a.since.Before(b.since)
}
func (h peerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}
func (h *peerHeap) Push(x any) {
	p := x.(*peer)
	p.place = len(*h)
	*h = append(*h, p)
}
func (h *peerHeap) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return p
}
