package broker

import (
	"container/list"
	"math"
	"net/netip"
	"sync"
	"time"
)

// passwordQueue shares out the turns in which passwords are checked. There are two: one for those that are hashed here, which takes a processor some 100 ms each, and
// one for those that others are asked about. It is pure: it reads no clock and starts nothing; its caller passes the time and waits at a check's turn.
//
// Turns go round the addresses that wait, one check each, so that an address that sends thousands of wrong passwords waits for its own, and others wait for
// one of its checks at the most. An address may have so many checks under way (each). What was wrong lately makes the next try of that address and user
// wait before it may even stand in line (delayAfter); others' tries do not wait for it, as the delay holds no turn.
type passwordQueue struct {
	took     *Timing                              // from when a check stood in line until it was done
	delay    func(failures float64) time.Duration // delayAfter, but for tests; not changed later
	each     int                                  // checks under way of one address; not changed later
	mu       sync.Mutex
	free     int // turns that nobody has
	peers    map[netip.Addr]*passwordPeer
	recent   list.List // *passwordPeer, the one heard of last in front
	inTurn   list.List // *passwordPeer with checks in line, the next one in front
	measured struct {
		waiting       int       // checks in line that stand first for their address
		since         time.Time // when the last of those had its turn, or when the first began to wait
		last, longest time.Duration
	}
}

// Bounds of a passwordQueue.
const (
	checksEach    = 64               // checks under way of one address where they are hashed here
	asksEach      = 4096             // where others are asked: those who wait cost no processor, and a whole site comes back from behind one address
	passwordPeers = 4096             // addresses that are remembered
	usersEach     = 32               // users of one address that are remembered apart; the rest share
	forgetHalf    = 30 * time.Second // in which half of the failures are forgotten
	freeFailures  = 3                // failures that delay nothing
	firstDelay    = 100 * time.Millisecond
	maxDelay      = 5 * time.Second
	addressShare  = 16 // failures of an address, with whatever users, that count as one of a user's
)

// passwordPeer is what is known of an address.
type passwordPeer struct {
	addr     netip.Addr
	place    *list.Element // in recent
	turn     *list.Element // in inTurn; nil: nothing in line
	line     []*passwordCheck
	underway int
	all      failures
	users    map[string]*failures
}

// failures are those of a while, of which half are forgotten every [forgetHalf].
type failures struct {
	n  float64
	at time.Time
}

func (f *failures) now(t time.Time) float64 {
	if f == nil || f.n == 0 {
		return 0
	}
	return f.n * math.Exp2(-t.Sub(f.at).Seconds()/forgetHalf.Seconds())
}

func (f *failures) add(n float64, t time.Time) { f.n, f.at = f.now(t)+n, t }

// passwordCheck is a check under way.
type passwordCheck struct {
	turn  chan struct{} // closed when it is this check's turn
	delay time.Duration // to be waited before [passwordQueue.line]

	peer    *passwordPeer
	user    string
	lined   time.Time
	first   bool // it was the only one of its address when it stood in line
	running bool
	over    bool
}

func newPasswordQueue(turns, each int) *passwordQueue {
	return &passwordQueue{took: new(Timing), delay: delayAfter, each: each, free: turns, peers: make(map[netip.Addr]*passwordPeer)}
}

// begin takes note of a check and says how long it has to wait before it may stand in line. It returns nil if its address has too many under way.
func (q *passwordQueue) begin(addr netip.Addr, user string, now time.Time) *passwordCheck {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := q.peerLocked(addr)
	if p.underway >= q.each {
		return nil
	}
	p.underway++
	c := &passwordCheck{turn: make(chan struct{}), peer: p, user: user}
	c.delay = q.delay(max(p.users[user].now(now), p.all.now(now)/addressShare))
	return c
}

// delayAfter is how long the next try waits after n failures: nothing for the first few, then twice as long each time.
func delayAfter(n float64) time.Duration {
	over := math.Floor(n) - freeFailures
	if over < 0 {
		return 0
	}
	return time.Duration(min(float64(firstDelay)*math.Exp2(over), float64(maxDelay)))
}

// line puts a check in line, or gives it its turn at once.
func (q *passwordQueue) line(c *passwordCheck, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := c.peer
	c.lined = now
	p.line = append(p.line, c)
	if p.turn == nil {
		p.turn = q.inTurn.PushBack(p)
		c.first = true
		m := &q.measured
		if m.waiting == 0 {
			m.since = now
		}
		m.waiting++
	}
	q.nextLocked(now)
}

// nextLocked gives free turns to those in line.
func (q *passwordQueue) nextLocked(now time.Time) {
	for q.free > 0 && q.inTurn.Len() > 0 {
		p := q.inTurn.Front().Value.(*passwordPeer)
		c := p.line[0]
		q.unlineLocked(c, now)
		if p.turn != nil {
			q.inTurn.MoveToBack(p.turn)
		}
		c.running = true
		q.free--
		close(c.turn)
	}
}

// unlineLocked takes a check out of its address's line.
func (q *passwordQueue) unlineLocked(c *passwordCheck, now time.Time) {
	p := c.peer
	for i, other := range p.line {
		if other == c {
			p.line = append(p.line[:i:i], p.line[i+1:]...)
			break
		}
	}
	if len(p.line) == 0 && p.turn != nil {
		q.inTurn.Remove(p.turn)
		p.turn = nil
	}
	if c.first {
		m := &q.measured
		m.waiting--
		m.since, m.last = now, now.Sub(c.lined)
		m.longest = max(m.longest, m.last)
	}
}

// verdict is how a check ended.
type verdict uint8

const (
	notChecked verdict = iota // nobody waited for it any more
	passwordRight
	passwordWrong
)

// end ends a check, wherever it stands, and passes its turn on.
func (q *passwordQueue) end(c *passwordCheck, v verdict, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.over {
		return
	}
	c.over = true
	p := c.peer
	p.underway--
	switch {
	case c.running:
		q.free++
		if v != notChecked {
			q.took.observe(now.Sub(c.lined))
		}
	case !c.lined.IsZero():
		q.unlineLocked(c, now)
	}
	switch v {
	case passwordWrong:
		p.all.add(1, now)
		q.userLocked(p, c.user).add(1, now)
	case passwordRight:
		delete(p.users, c.user)
	}
	q.nextLocked(now)
}

// userLocked is the failures of a user of an address; of all users together beyond usersEach.
func (q *passwordQueue) userLocked(p *passwordPeer, user string) *failures {
	f := p.users[user]
	if f != nil {
		return f
	}
	if p.users == nil {
		p.users = make(map[string]*failures)
	}
	if len(p.users) >= usersEach || len(user) > maxAttemptText {
		return &p.all
	}
	f = new(failures)
	p.users[user] = f
	return f
}

// peerLocked finds or makes what is known of an address. Where there are too many, the one heard of longest ago goes that has nothing under way.
func (q *passwordQueue) peerLocked(addr netip.Addr) *passwordPeer {
	if p := q.peers[addr]; p != nil {
		q.recent.MoveToFront(p.place)
		return p
	}
	for e := q.recent.Back(); e != nil && len(q.peers) >= passwordPeers; {
		old, before := e.Value.(*passwordPeer), e.Prev()
		if old.underway > 0 {
			q.recent.MoveToFront(e) // so that it is not looked at each time
		} else {
			delete(q.peers, old.addr)
			q.recent.Remove(e)
			break
		}
		e = before
	}
	p := &passwordPeer{addr: addr}
	p.place = q.recent.PushFront(p)
	q.peers[addr] = p
	return p
}

// read returns the longest wait since the last reading, of checks that stood first for their address: an address that waits for its own says nothing
// about the broker. While one waits it is no less than the last known one: with few and slow turns there are seconds in which nobody has one.
func (q *passwordQueue) read(now time.Time) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := &q.measured
	d := m.longest
	m.longest = 0
	if m.waiting > 0 {
		return max(d, m.last, now.Sub(m.since))
	}
	m.last = 0
	return d
}
