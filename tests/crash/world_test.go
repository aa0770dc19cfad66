//go:build unix

package crash

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"picket/packet"
)

// world is a broker and the clients that work with it.
type world struct {
	seed   uint64
	plan   plan
	ledger *ledger
	broker *broker

	publishers  []*publisher
	subscribers []*subscriber
	visitors    []*visitor
	all         []*stream
	streams     map[string]*stream // by topic
	groups      []string

	resting atomic.Bool // nothing new is begun, and nobody holds answers back
	watched atomic.Int32
	counter atomic.Int64 // packets of the kind watched until the broker is killed

	mortal       sync.Mutex    // held while it changes whether the broker may be killed at any moment
	struck       func()        // kills it; nil: it may not be killed now
	elsewhere    func() int    // how much else has been killed; nil: nothing
	stall        time.Duration // how long nothing has to happen until what is missing counts as lost
	kills, terms int
}

// plan is what a world's seed decides at its beginning.
type plan struct {
	publishers, subscribers, visitors int
	inflight                          int // max_inflight_messages
	window                            int // of a publisher, at most
}

// random is a source that depends on the world's seed and a name only.
func (w *world) random(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// upTo is a random time.
func (w *world) upTo(rng *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(d)))
}

// newWorld makes a world in a directory. lines are added to the program's configuration as the seed wants them; choices are settings, one of
// which the seed takes.
func newWorld(seed uint64, p program, dir string, choices ...string) (*world, error) {
	w := &world{seed: seed, ledger: newLedger(), streams: map[string]*stream{}, stall: stall}
	rng := w.random("plan")
	w.plan = plan{publishers: 3 + rng.IntN(2), subscribers: 5, visitors: 2, inflight: 20, window: 1 + rng.IntN(20)}
	if rng.IntN(3) == 0 {
		w.plan.inflight, w.plan.window = 200, 20+rng.IntN(100)
	}
	p.config += fmt.Sprintf("max_inflight_messages %d\n", w.plan.inflight)
	if len(choices) > 0 {
		p.config += choices[rng.IntN(len(choices))]
	}
	var err error
	if w.broker, err = newBroker(p, dir); err != nil {
		return nil, err
	}
	versions := []packet.Version{packet.V5, packet.V311}
	for n := range w.plan.publishers {
		p := w.newPublisher(n, versions[n%2], n == 3)
		w.publishers = append(w.publishers, p)
		for _, s := range p.streams {
			w.all = append(w.all, s)
			w.streams[s.topic] = s
			if !slices.Contains(w.groups, s.group) {
				w.groups = append(w.groups, s.group)
			}
		}
	}
	for n := range w.plan.subscribers {
		w.subscribers = append(w.subscribers, w.newSubscriber(n, versions[n/2%2], []manner{present, absent, fickle, absent, present}[n%5]))
	}
	for n := range w.plan.visitors {
		w.visitors = append(w.visitors, w.newVisitor(n, versions[n%2]))
	}
	return w, nil
}

// happened tells that a client has read a packet: the moment in which the broker may have to die.
func (w *world) happened(kind packet.Type) {
	if packet.Type(w.watched.Load()) == kind && w.counter.Add(-1) == 0 {
		w.broker.Signal(syscall.SIGKILL)
	}
}

// may says whether the broker may be killed at any moment.
func (w *world) may(die bool) {
	w.mortal.Lock()
	defer w.mortal.Unlock()
	if w.struck = nil; die {
		w.struck = func() { w.broker.Signal(syscall.SIGKILL) }
	}
}

// strike kills the broker, if it may be killed now.
func (w *world) strike() bool {
	w.mortal.Lock()
	defer w.mortal.Unlock()
	if w.struck == nil {
		return false
	}
	w.struck()
	return true
}

// life is the time from a start of the broker to its end.
type life struct {
	number int
	over   chan struct{} // closed when the process has ended
}

func (l *life) ended() bool {
	select {
	case <-l.over:
		return true
	default:
		return false
	}
}

// pause waits. It reports false when the life is over.
func (l *life) pause(d time.Duration) bool { return l.pauseOr(d, nil) }

// pauseOr is pause that also ends, with false, when done is closed.
func (l *life) pauseOr(d time.Duration, done <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-l.over:
		return false
	case <-done:
		return false
	case <-t.C:
		return true
	}
}

// end is how a life ends.
type end struct {
	after  time.Duration // since connections are accepted
	kind   packet.Type   // not 0: in the instant in which a client reads the count-th packet of this kind, if that comes first
	count  int
	birth  bool // after counts from the start of the process
	signal syscall.Signal
}

func (e end) String() string {
	switch {
	case e.birth:
		return fmt.Sprintf("SIGKILL %v after its start", e.after)
	case e.kind != 0:
		return fmt.Sprintf("SIGKILL with the %d. %v, or after %v", e.count, e.kind, e.after)
	default:
		return fmt.Sprintf("%v after %v", e.signal, e.after)
	}
}

// end draws how a life ends.
func (w *world) end(number int) end {
	rng := w.random(fmt.Sprintf("end of life %d", number))
	between := func(from, to time.Duration) time.Duration { return from + w.upTo(rng, to-from) }
	switch n := rng.IntN(100); {
	case n < 40:
		return end{after: between(50*time.Millisecond, 900*time.Millisecond), signal: syscall.SIGKILL}
	case n < 85:
		e := end{after: 900 * time.Millisecond, signal: syscall.SIGKILL}
		e.kind = []packet.Type{packet.CONNACK, packet.SUBACK, packet.UNSUBACK, packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP, packet.PUBLISH}[rng.IntN(8)]
		e.count = 1 + rng.IntN(300)
		if e.kind == packet.CONNACK || e.kind == packet.SUBACK || e.kind == packet.UNSUBACK {
			e.count = 1 + rng.IntN(12)
		}
		return e
	case n < 92:
		return end{after: between(0, 80*time.Millisecond), birth: true, signal: syscall.SIGKILL}
	default:
		return end{after: between(50*time.Millisecond, 600*time.Millisecond), signal: syscall.SIGTERM}
	}
}

// run lives on until there were so many kills, or something is wrong and strict. after is called after each life.
func (w *world) run(kills int, strict bool, after func()) {
	const untilRest = 8 // lives
	enough := func() bool {
		if w.elsewhere == nil {
			return w.kills >= kills
		}
		others := w.elsewhere()
		return others > 0 && w.kills+others >= kills || w.kills >= 10*kills // a group that does not become whole has a fault of its own
	}
	for n := 1; !enough(); n++ {
		if !w.live(w.end(n)) || strict && len(w.ledger.faults()) > 0 {
			return
		}
		if last := enough(); n%untilRest == 0 || last {
			if !w.rest(last) || strict && len(w.ledger.faults()) > 0 {
				return
			}
		}
		after()
	}
}

// born starts the broker for a life. It reports false, and enters the fault, when the broker does not start.
func (w *world) born(wait bool) (*life, bool) {
	w.ledger.begin()
	l := &life{number: len(w.ledger.lives), over: make(chan struct{})}
	err := w.broker.start()
	if err == nil && wait {
		err = w.broker.ready()
	}
	if err != nil {
		w.ledger.fail(ended, "%v", err)
	}
	return l, err == nil
}

// live lives one life with everything going on. It reports false when the broker does not start or stop as it should.
func (w *world) live(e end) bool {
	l, ok := w.born(!e.birth)
	if !ok {
		return false
	}
	if !e.birth && w.random(fmt.Sprintf("probe %d", l.number)).IntN(3) == 0 {
		w.probe() // before anybody changes anything
	}
	w.counter.Store(int64(e.count))
	w.watched.Store(int32(e.kind))
	w.may(e.signal == syscall.SIGKILL)
	var clients sync.WaitGroup
	for _, p := range w.publishers {
		clients.Go(func() { p.live(l) })
	}
	for _, s := range w.subscribers {
		clients.Go(func() { s.live(l) })
	}
	for _, v := range w.visitors {
		clients.Go(func() { v.live(l) })
	}
	select {
	case <-w.broker.Done(): // killed by what happened
	case <-time.After(e.after):
	}
	w.watched.Store(0)
	w.may(false)
	return w.finish(l, e.signal == syscall.SIGTERM, &clients)
}

// finish ends a life and waits for the clients.
func (w *world) finish(l *life, politely bool, clients *sync.WaitGroup) bool {
	var err error
	if politely {
		err = w.broker.Stop()
		w.terms++
	} else {
		err = w.broker.Kill()
		w.kills++
		if s := w.broker.Cmd.ProcessState.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGKILL {
			err = fmt.Errorf("the broker ended by itself: %v\n%s", w.broker.Cmd.ProcessState, w.broker.End())
		}
	}
	close(l.over)
	clients.Wait()
	if err != nil {
		w.ledger.fail(ended, "%v", err)
	}
	return err == nil
}

// stall is how long nothing has to happen until what is missing counts as lost. It is long because the machine may be busy, or a group of Redis servers
// may have stood still and want to know first whether its clocks are right.
const stall = 2 * patience

// rest lives one life in which everything that is under way comes to its end, and what is missing then is a fault.
func (w *world) rest(last bool) bool {
	l, ok := w.born(true)
	if !ok {
		return false
	}
	w.resting.Store(true)
	defer w.resting.Store(false)
	w.probe()
	left := w.settle(l)
	for _, s := range w.subscribers {
		s.conclude()
	}
	if left != "" {
		w.ledger.fail(unacknowledged, "nothing happens any more, and there is still: %s", left)
	}
	w.probe()
	for _, p := range w.publishers {
		p.leave(true)
	}
	for _, s := range w.subscribers {
		s.leave(true)
	}
	return w.finish(l, last || w.random(fmt.Sprintf("end of rest %d", l.number)).IntN(2) == 0, new(sync.WaitGroup))
}

// settle keeps everybody connected, has one last message sent to each stream once all before are acknowledged, and waits until all has
// come. It says what is still under way when nothing happens any more.
func (w *world) settle(l *life) string {
	var before int64
	since := time.Now()
	last := make(map[*publisher][]*stream)
	begun := false
	for {
		under, todo := 0, 0
		for _, p := range w.publishers {
			p.stay(l)
			n := p.publish(min(1, len(last[p])), last[p][:min(1, len(last[p]))])
			last[p] = last[p][n:]
			todo += len(last[p])
			under += p.underway()
		}
		var left []string
		if under+todo > 0 {
			left = append(left, fmt.Sprintf("%d messages without an acknowledgement", under))
		}
		for _, s := range w.subscribers {
			s.stay(l)
			if u := s.unsettled(); u != "" {
				left = append(left, u)
			}
		}
		switch {
		case under == 0 && !begun:
			begun = true
			for _, p := range w.publishers {
				last[p] = p.streams
			}
		case len(left) == 0:
			return ""
		}
		if now := w.ledger.progress(); now != before {
			before, since = now, time.Now()
		}
		if time.Since(since) > w.stall {
			return strings.Join(left, "; ")
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// stay has the client connected and everything answered.
func (c *client) stay(l *life) {
	c.persist(l)
	c.hurry()
}

// probe looks at the retained messages as a new subscriber.
func (w *world) probe() {
	latest := make(map[*stream]*message)
	for _, s := range w.all {
		if s.retained {
			latest[s] = w.ledger.latest(s)
		}
	}
	got, err := w.retained(latest)
	if err != nil {
		w.ledger.fail(ended, "asking for the retained messages: %v", err)
		return
	}
	for s, m := range latest {
		w.ledger.judgeRetained(s, m, got[s])
	}
}

// retained subscribes to what is retained and returns what came. It waits a little longer if something is missing.
func (w *world) retained(latest map[*stream]*message) (map[*stream]*message, error) {
	conn, err := net.DialTimeout("tcp", w.broker.addr, patience)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	l := &link{conn: conn, version: packet.V311, buf: make([]byte, 16<<10)}
	if _, err := l.handshake(&packet.Connect{Version: packet.V311, CleanStart: true, ClientID: "probe"}); err != nil {
		return nil, err
	}
	b := (&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "kept/#"}}}).Append(nil, packet.V311)
	if _, err := conn.Write(packet.Pingreq{}.Append(b, packet.V311)); err != nil {
		return nil, err
	}
	missing := func(got map[*stream]*message) bool {
		for s, m := range latest {
			if got[s] == nil && w.ledger.owed(s, m) {
				return true
			}
		}
		return false
	}
	got := make(map[*stream]*message)
	conn.SetReadDeadline(time.Now().Add(patience))
	for pinged, subscribed := false, false; ; {
		if pinged && subscribed {
			if !missing(got) {
				return got, nil
			}
			conn.SetReadDeadline(time.Now().Add(w.stall)) // they come with SUBACK
		}
		first, body, err := l.next()
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && pinged && subscribed {
				return got, nil
			}
			return nil, err
		}
		switch packet.Type(first >> 4) {
		case packet.PINGRESP:
			pinged = true
		case packet.SUBACK:
			subscribed = true
		case packet.PUBLISH:
			var p packet.Publish
			if err := p.Decode(packet.V311, first, body); err != nil {
				return nil, err
			}
			if m := w.identify("the probe", &p); m != nil && p.Retain {
				got[m.stream] = m
			}
		}
	}
}
