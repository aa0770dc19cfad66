package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// connectingAtOnce is how many connections of the load are being made at a time; above it brokers with a short backlog
// of connections drop SYNs, and the wait for their repetition takes longer.
const connectingAtOnce = 64

// look is how often a run that drains looks at what has arrived, and quiet how often it has to see nothing new to be over although messages are missing:
// two seconds of looking, which a machine that stands still meanwhile does not shorten.
const (
	look  = 20 * time.Millisecond
	quiet = 100
)

// run is one run under way.
type run struct {
	config  Config
	name    string // the first level of all topics, and the beginning of all client identifiers
	base    time.Time
	dialer  *dialer
	pid     int
	latency *recorder
	acks    *recorder // times from writing a message to the end of its handshake
	backlog *backlog

	stop    atomic.Bool   // publishers are to end
	stopped chan struct{} // closed with stop
	closing atomic.Bool   // connections end because the run is over

	publishers  []*publisher
	subscribers []*subscriber
}

// Run runs c and returns what it has shown. When ctx ends before the run does, the error is ctx's.
func Run(ctx context.Context, c Config) (*Result, error) {
	// A deadline of ctx would turn into time-outs of whatever is under way, a little before ctx itself has ended, and look
	// like a broker that does not answer. Cancelling ends the same things and cannot be mistaken.
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	res, err := start(inner, c)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return res, err
}

func start(ctx context.Context, c Config) (*Result, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &run{config: c, name: "bench-" + rand.Text()[:8], base: time.Now(), latency: newRecorder(), acks: newRecorder(), stopped: make(chan struct{})}
	r.backlog = newBacklog(r)
	if r.dialer, err = newDialer(ctx, &r.config); err != nil {
		return nil, err
	}
	if r.pid = c.PID; r.pid == 0 {
		r.pid, _ = findProcess(r.dialer.addr) // without it the result has no figures of the process
	} else if _, err := readUsage(r.pid); err != nil {
		return nil, err
	}
	switch c.Scenario {
	case Idle:
		return r.idle(ctx)
	case Connects:
		return r.connects(ctx)
	default:
		return r.messages(ctx)
	}
}

// now is the time since the run began.
func (r *run) now() time.Duration { return time.Since(r.base) }

func (r *run) result() *Result {
	c := &r.config
	return &Result{
		Scenario: c.Scenario, Address: c.Address, Version: c.Version, Publishers: c.Publishers, Subscribers: c.Subscribers,
		Topics: c.Topics, QoS: c.QoS, Size: c.Size, Rate: c.Rate, Window: c.Window, Backlog: c.Backlog, Connections: c.Connections, Sessions: c.Sessions,
		Transport: c.Transport, Filters: c.Filters,
	}
}

// filter is what subscriber i subscribes to.
func (r *run) filter(i int) string {
	switch c := &r.config; {
	case c.Scenario == Pair && c.Topics == 1:
		return topicName(c, r.name, i, 0)
	case c.Scenario == Pair:
		return fmt.Sprintf("%s/%0*d/+", r.name, digits(c.Publishers), i)
	case c.Publishers == 1 && c.Topics == 1:
		return topicName(c, r.name, 0, 0)
	default:
		return r.name + "/+/+"
	}
}

// connectLoad connects all subscribers and then all publishers.
func (r *run) connectLoad(ctx context.Context) error {
	c := &r.config
	r.subscribers, r.publishers = make([]*subscriber, c.Subscribers), make([]*publisher, c.Publishers)
	if err := inParallel(ctx, c.Subscribers, func(ctx context.Context, i int) error {
		cl, err := r.subscriber(ctx, i)
		if err != nil {
			return err
		}
		r.subscribers[i] = newSubscriber(r, cl)
		return cl.subscribe(c.QoS, r.filter(i))
	}); err != nil {
		return err
	}
	if c.Sessions == Offline {
		for _, s := range r.subscribers {
			s.goodbye()
		}
	}
	return inParallel(ctx, c.Publishers, func(ctx context.Context, i int) error {
		cl, err := r.dialer.connect(ctx, fmt.Sprintf("%s-p%d", r.name, i), 0)
		if err != nil {
			return err
		}
		if r.publishers[i], err = newPublisher(r, cl, i); err != nil {
			cl.Close()
		}
		return err
	})
}

// subscriber connects as subscriber i.
func (r *run) subscriber(ctx context.Context, i int) (*client, error) {
	id := fmt.Sprintf("%s-s%d", r.name, i)
	if r.config.Sessions == Clean {
		return r.dialer.connect(ctx, id, 0)
	}
	return r.dialer.resume(ctx, id)
}

// fetch connects subscribers that were away.
func (r *run) fetch(ctx context.Context) error {
	return inParallel(ctx, len(r.subscribers), func(ctx context.Context, i int) (err error) {
		r.subscribers[i].client, err = r.subscriber(ctx, i)
		return err
	})
}

// forget removes the sessions that survive their connections.
func (r *run) forget(ctx context.Context) error {
	return inParallel(ctx, len(r.subscribers), func(ctx context.Context, i int) error {
		cl, err := r.dialer.connect(ctx, r.subscribers[i].id, 0)
		if err != nil {
			return fmt.Errorf("removing a session: %w", err)
		}
		cl.goodbye()
		return nil
	})
}

// inParallel calls f for 0 to n-1, connectingAtOnce at a time, until one fails.
func inParallel(ctx context.Context, n int, f func(context.Context, int) error) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(connectingAtOnce)
	for i := range n {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error { return f(gctx, i) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

func (r *run) closeLoad(polite bool) {
	r.closing.Store(true)
	end := func(cl *client) {
		if polite {
			cl.goodbye()
		} else {
			cl.Close()
		}
	}
	for _, p := range r.publishers {
		if p != nil {
			end(p.client)
		}
	}
	for _, s := range r.subscribers {
		if s != nil {
			end(s.client)
		}
	}
}

// counts sums up what was sent and received until now.
func (r *run) counts() (sent, received uint64) {
	for _, p := range r.publishers {
		sent += p.sent.Load()
	}
	for _, s := range r.subscribers {
		received += s.received.Load()
	}
	return sent, received
}

// moment is the state of things at one time.
type moment struct {
	at             time.Duration
	sent, received uint64
	broker, self   usage
}

func (r *run) moment() moment {
	m := moment{at: r.now()}
	m.sent, m.received = r.counts()
	if r.pid != 0 {
		m.broker, _ = readUsage(r.pid) // a broker that dies ends connections, and that is reported
	}
	m.self, _ = readUsage(os.Getpid())
	return m
}

// messages runs the scenarios that send messages.
func (r *run) messages(ctx context.Context) (*Result, error) {
	progress := r.report("connecting")
	defer progress.end()
	polite := false
	defer func() { r.closeLoad(polite) }()
	if err := r.connectLoad(ctx); err != nil {
		return nil, err
	}
	others, err := r.crowd(ctx)
	defer func() { closeAll(others, polite) }()
	if err != nil {
		return nil, err
	}
	empty := r.moment()
	l := r.startLoad(ctx)
	defer func() { l.end(polite) }()

	res := r.result()
	if r.config.Scenario == Retained {
		progress.phase("filling")
		if err := r.fill(ctx, l, res); err != nil {
			return nil, err
		}
	}
	progress.phase("warm-up")
	if err := l.wait(ctx, r.config.Warmup); err != nil {
		return nil, err
	}
	r.latency.reset()
	r.acks.reset()
	progress.phase("measuring")
	first := r.moment()
	if err := l.wait(ctx, r.config.Duration); err != nil {
		return nil, err
	}
	last := r.moment()
	res.measure(first, last, r.pid)
	if r.config.Scenario == Retained {
		res.perItem(empty, last, r.config.Publishers*r.config.Topics)
	}
	res.Latency, res.Acknowledged = r.latency.summary(), r.acks.summary()

	progress.phase("draining")
	if err := r.finish(ctx, l, res); err != nil {
		return nil, err
	}
	polite = true
	if r.config.Sessions != Clean && !r.config.Leave {
		r.closeLoad(polite)
		return res, r.forget(ctx)
	}
	return res, nil
}

// finish ends publishing, waits for what is on its way, and counts it.
func (r *run) finish(ctx context.Context, l *load, res *Result) error {
	r.stopPublishing()
	if r.config.Sessions == Offline {
		res.Latency = nil
		if err := l.fetch(ctx); err != nil {
			return err
		}
	}
	if err := r.drain(ctx, l.published, l.failed); err != nil {
		return err
	}
	r.account(res)
	if r.config.Scenario == Retained && !r.config.Leave {
		return r.unretain()
	}
	return nil
}

// account adds to the result what became of the messages.
func (r *run) account(res *Result) {
	res.Sent, res.Received = r.counts()
	res.Expected = res.Sent * uint64(r.config.deliveries())
	for _, p := range r.publishers {
		if p.window != nil {
			p.window.mu.Lock()
			res.Refused += p.window.refused
			res.Unsettled += int64(len(p.window.free) - p.window.n)
			p.window.mu.Unlock()
		}
	}
	res.Lost = int64(res.Expected) - int64(res.Received)
}

// load is the goroutines of a run that sends messages: one for each client. It lives from when all are connected until [load.end].
type load struct {
	r                     *run
	receiving, publishing sync.WaitGroup
	unwatch               context.CancelFunc // of the backlog
	published             chan struct{}      // closed when all publishers have ended
	failed                chan error         // holds the first failure
}

func (r *run) startLoad(ctx context.Context) *load {
	l := &load{r: r, published: make(chan struct{}), failed: make(chan error, 1)}
	if r.config.Sessions != Offline {
		l.receive()
	}
	for _, p := range r.publishers {
		l.publishing.Go(func() { l.fail(p.publish()) })
	}
	var watching context.Context
	watching, l.unwatch = context.WithCancel(ctx)
	l.receiving.Go(func() { r.backlog.watch(watching) })
	go func() { l.publishing.Wait(); close(l.published) }()
	return l
}

func (l *load) receive() {
	for _, s := range l.r.subscribers {
		l.receiving.Go(func() { l.fail(s.receive()) })
	}
}

func (l *load) fail(err error) {
	if err != nil {
		select {
		case l.failed <- err:
		default:
		}
	}
}

// wait returns when a time has passed, or why it will not.
func (l *load) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case err := <-l.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fetch brings subscribers back that were away, when everything has been published.
func (l *load) fetch(ctx context.Context) error {
	select {
	case <-l.published:
	case err := <-l.failed:
		return err
	case <-time.After(l.r.config.Drain): // what is not acknowledged by now is counted as such
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := l.r.fetch(ctx); err != nil {
		return err
	}
	l.receive()
	return nil
}

// end closes all connections and returns when the goroutines have ended.
func (l *load) end(polite bool) {
	l.r.stopPublishing()
	l.unwatch()
	l.r.closeLoad(polite)
	l.publishing.Wait()
	l.receiving.Wait()
}

func (r *run) stopPublishing() {
	if !r.stop.Swap(true) {
		close(r.stopped)
		r.backlog.wake()
	}
}

// drain waits until all that was sent has arrived, until nothing arrives any more, or as long as is allowed.
func (r *run) drain(ctx context.Context, published <-chan struct{}, failed <-chan error) error {
	deadline := time.Now().Add(r.config.Drain)
	tick := time.NewTicker(look)
	defer tick.Stop()
	var before uint64
	still := 0
	settled := false
	for time.Now().Before(deadline) {
		select {
		case <-tick.C:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-published:
			published, settled = nil, true
		}
		sent, received := r.counts()
		if settled && received >= sent*uint64(r.config.deliveries()) {
			return nil
		}
		still++
		if received != before {
			before, still = received, 0
		}
		if settled && still > quiet {
			return nil
		}
	}
	return nil
}

// measure fills in the figures of the time between two moments.
func (res *Result) measure(first, last moment, pid int) {
	seconds := (last.at - first.at).Seconds()
	res.Measured = round(seconds, 3)
	received := float64(last.received - first.received)
	res.SentPerSecond = round(float64(last.sent-first.sent)/seconds, 1)
	res.ReceivedPerSecond = round(received/seconds, 1)
	res.GeneratorCPU = round((last.self.cpu-first.self.cpu).Seconds()/seconds, 2)
	if pid == 0 || last.broker == (usage{}) {
		return
	}
	cpu := (last.broker.cpu - first.broker.cpu).Seconds()
	res.Broker = &Usage{PID: pid, CPUSeconds: round(cpu, 2), RSS: last.broker.rss}
	if res.Sessions == Offline || res.Scenario == Retained {
		received = float64(last.sent - first.sent)
	}
	if received > 0 {
		res.Broker.CPUPerMillion = round(cpu/received*1e6, 4)
	}
}

func round(v float64, places int) float64 {
	p := math.Pow10(places)
	return math.Round(v*p) / p
}
