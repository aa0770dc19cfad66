package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// idleKeepAlive is the keep alive of idle connections in seconds: longer than any run, so that nothing has to be sent.
const idleKeepAlive = math.MaxUint16

// crowdClients is how many clients subscribe to what matches no message, where the load has no connections for it.
const crowdClients = 100

// filtersAtOnce is how many filters one SUBSCRIBE has.
const filtersAtOnce = 100

// crowdFilter is filter n of those that match no message: most without wildcards, as devices have them.
func (r *run) crowdFilter(n int) string {
	switch site := n % 1000; {
	case n%20 == 0:
		return fmt.Sprintf("%s-crowd/%d/+/line/%d/+/state/#", r.name, site, n)
	case n%20 < 4:
		return fmt.Sprintf("%s-crowd/%d/device/%d/log/#", r.name, site, n)
	case n%20 < 8:
		return fmt.Sprintf("%s-crowd/+/device/%d/state", r.name, n)
	default:
		return fmt.Sprintf("%s-crowd/%d/device/%d/command", r.name, site, n)
	}
}

// crowd connects the clients that subscribe to what matches no message, beside those of a load of messages.
func (r *run) crowd(ctx context.Context) ([]*client, error) {
	clients := make([]*client, min(crowdClients, r.config.Filters))
	err := inParallel(ctx, len(clients), func(ctx context.Context, i int) (err error) {
		clients[i], err = r.dialer.connect(ctx, fmt.Sprintf("%s-o%d", r.name, i), idleKeepAlive)
		return err
	})
	if err != nil {
		return clients, err
	}
	return clients, r.subscribeAll(ctx, clients)
}

// subscribeAll has clients subscribe to the filters that match no message, each to its share.
func (r *run) subscribeAll(ctx context.Context, clients []*client) error {
	return inParallel(ctx, len(clients), func(ctx context.Context, i int) error {
		from, to := i*r.config.Filters/len(clients), (i+1)*r.config.Filters/len(clients)
		for from < to && ctx.Err() == nil {
			var filters []string
			for ; from < to && len(filters) < filtersAtOnce; from++ {
				filters = append(filters, r.crowdFilter(from))
			}
			if err := clients[i].subscribe(r.config.QoS, filters...); err != nil {
				return err
			}
		}
		return nil
	})
}

// closeAll ends connections; some may be nil.
func closeAll(clients []*client, polite bool) {
	for _, cl := range clients {
		switch {
		case cl == nil:
		case polite:
			cl.goodbye()
		default:
			cl.Close()
		}
	}
}

// idle holds connections that do nothing and looks at the broker's memory before and after. Warmup is the time that the
// broker has to come to rest after the last connection; Duration is how long they are held and its processor time is taken.
func (r *run) idle(ctx context.Context) (*Result, error) {
	progress := r.report("connecting")
	defer progress.end()
	clients := make([]*client, r.config.Connections)
	polite := false
	defer func() { closeAll(clients, polite) }()
	// What the broker needs for the first time it serves anybody, such as its code in memory, is not a connection's.
	probe, err := r.dialer.connect(ctx, r.name+"-first", idleKeepAlive)
	if err != nil {
		return nil, err
	}
	probe.goodbye()
	if err := sleep(ctx, 100*time.Millisecond); err != nil {
		return nil, err
	}
	before := r.moment()
	if err := inParallel(ctx, len(clients), func(ctx context.Context, i int) (err error) {
		if clients[i], err = r.settle(ctx, i); err != nil {
			return fmt.Errorf("after %d connections: %w", progress.open.Load(), err)
		}
		progress.open.Add(1)
		return nil
	}); err != nil {
		return nil, err
	}
	connected := r.moment()
	progress.phase("subscribing")
	if err := r.subscribeIdle(ctx, clients); err != nil {
		return nil, err
	}
	subscribed := r.moment()
	progress.phase("holding")
	if err := sleep(ctx, r.config.Warmup); err != nil {
		return nil, err
	}
	first := r.moment()
	if err := sleep(ctx, r.config.Duration); err != nil {
		return nil, err
	}
	last := r.moment()
	if n := closedByBroker(clients); n > 0 && r.config.Sessions != Offline {
		return nil, fmt.Errorf("bench: the broker has closed %d of %d idle connections", n, len(clients))
	}
	res := r.result()
	res.measure(first, last, r.pid)
	res.making(before, connected, subscribed, last)
	polite = true
	if r.config.Sessions != Clean && !r.config.Leave {
		closeAll(clients, polite)
		return res, r.forgetIdle(ctx)
	}
	return res, nil
}

// settle makes connection i of those that do nothing. With sessions that survive and whose clients are away it subscribes to its filters, and is gone again.
func (r *run) settle(ctx context.Context, i int) (*client, error) {
	id := fmt.Sprintf("%s-i%d", r.name, i)
	if r.config.Sessions == Clean {
		return r.dialer.connect(ctx, id, idleKeepAlive)
	}
	cl, err := r.dialer.resume(ctx, id)
	if err != nil || r.config.Sessions != Offline {
		return cl, err
	}
	n := r.config.Connections
	var filters []string
	for f := i * r.config.Filters / n; f < (i+1)*r.config.Filters/n; f++ {
		filters = append(filters, r.crowdFilter(f))
	}
	if len(filters) > 0 {
		if err := cl.subscribe(r.config.QoS, filters...); err != nil {
			cl.Close()
			return nil, err
		}
	}
	cl.goodbye()
	return cl, nil
}

// subscribeIdle has the connections subscribe that are there.
func (r *run) subscribeIdle(ctx context.Context, clients []*client) error {
	if r.config.Filters == 0 || r.config.Sessions == Offline {
		return nil
	}
	return r.subscribeAll(ctx, clients)
}

// making fills in what connecting and subscribing have taken.
func (res *Result) making(before, connected, subscribed, last moment) {
	res.ConnectsPerSecond = round(float64(res.Connections)/(connected.at-before.at).Seconds(), 1)
	here := res.Filters > 0 && res.Sessions != Offline
	if here {
		res.SubscribesPerSecond = round(float64(res.Filters)/(subscribed.at-connected.at).Seconds(), 1)
	}
	u := res.Broker
	if u == nil {
		return
	}
	u.PerConnection = round(float64(last.broker.rss-before.broker.rss)/float64(res.Connections), 1)
	u.CPUPerMillionConnects = perMillion(before, connected, uint64(res.Connections))
	if here {
		u.PerFilter = round(float64(last.broker.rss-connected.broker.rss)/float64(res.Filters), 1)
		u.CPUPerMillionFilters = perMillion(connected, subscribed, uint64(res.Filters))
	}
}

// forgetIdle removes the sessions that survive their connections.
func (r *run) forgetIdle(ctx context.Context) error {
	return inParallel(ctx, r.config.Connections, func(ctx context.Context, i int) error {
		cl, err := r.dialer.connect(ctx, fmt.Sprintf("%s-i%d", r.name, i), 0)
		if err != nil {
			return fmt.Errorf("removing a session: %w", err)
		}
		cl.goodbye()
		return nil
	})
}

// closedByBroker counts the connections that have ended.
func closedByBroker(clients []*client) int {
	var n atomic.Int64
	var reads sync.WaitGroup
	deadline := time.Now().Add(200 * time.Millisecond)
	for _, cl := range clients {
		reads.Go(func() {
			cl.SetReadDeadline(deadline)
			var b [1]byte
			if _, err := cl.Read(b[:]); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				n.Add(1)
			}
		})
	}
	reads.Wait()
	return int(n.Load())
}

// connects makes connections, waits for CONNACK and ends them with DISCONNECT, as fast as it goes.
func (r *run) connects(ctx context.Context) (*Result, error) {
	progress := r.report("warm-up")
	defer progress.end()
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	var done atomic.Uint64
	for i := range r.config.Connections {
		workers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				begin := r.now()
				cl, err := r.passing(ctx, i, n)
				if err != nil {
					cancel(err)
					return
				}
				r.latency.record([]time.Duration{r.now() - begin})
				done.Add(1)
				progress.open.Add(1)
				cl.goodbye()
			}
		})
	}
	defer workers.Wait()
	defer cancel(nil)
	take := func() moment {
		m := r.moment()
		m.received = done.Load()
		return m
	}
	if err := sleep(ctx, r.config.Warmup); err != nil {
		return nil, err
	}
	r.latency.reset()
	progress.phase("measuring")
	first := take()
	if err := sleep(ctx, r.config.Duration); err != nil {
		return nil, err
	}
	last := take()
	res := r.result()
	res.measure(first, last, r.pid)
	res.Latency = r.latency.summary()
	res.ConnectsPerSecond, res.SentPerSecond, res.ReceivedPerSecond = res.ReceivedPerSecond, 0, 0
	if r.config.Sessions == Clean || r.config.Leave {
		return res, nil
	}
	cancel(nil)
	workers.Wait()
	return res, r.forgetIdle(outer)
}

// passing makes connection n of those that are made one after the other as number i. Where sessions survive, all of them have the same.
func (r *run) passing(ctx context.Context, i, n int) (*client, error) {
	if r.config.Sessions == Clean {
		return r.dialer.connect(ctx, fmt.Sprintf("%s-c%d-%d", r.name, i, n), idleKeepAlive)
	}
	return r.dialer.resume(ctx, fmt.Sprintf("%s-i%d", r.name, i))
}

// sleep waits; the error is the reason why ctx has ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
