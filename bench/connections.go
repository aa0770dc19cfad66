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

// idle holds connections that do nothing and looks at the broker's memory before and after. Warmup is the time that the
// broker has to come to rest after the last connection; Duration is how long they are held and its processor time is taken.
func (r *run) idle(ctx context.Context) (*Result, error) {
	progress := r.report("connecting")
	defer progress.end()
	clients := make([]*client, r.config.Connections)
	polite := false
	defer func() {
		for _, cl := range clients {
			switch {
			case cl == nil:
			case polite:
				cl.goodbye()
			default:
				cl.Close()
			}
		}
	}()
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
	if err := inParallel(ctx, len(clients), func(ctx context.Context, i int) error {
		cl, err := r.dialer.connect(ctx, fmt.Sprintf("%s-i%d", r.name, i), idleKeepAlive)
		if err != nil {
			return fmt.Errorf("after %d connections: %w", progress.open.Load(), err)
		}
		clients[i] = cl
		progress.open.Add(1)
		return nil
	}); err != nil {
		return nil, err
	}
	progress.phase("holding")
	if err := sleep(ctx, r.config.Warmup); err != nil {
		return nil, err
	}
	first := r.moment()
	if err := sleep(ctx, r.config.Duration); err != nil {
		return nil, err
	}
	last := r.moment()
	if n := closedByBroker(clients); n > 0 {
		return nil, fmt.Errorf("bench: the broker has closed %d of %d idle connections", n, len(clients))
	}
	res := r.result()
	res.measure(first, last, r.pid)
	if res.Broker != nil {
		res.Broker.PerConnection = round(float64(last.broker.rss-before.broker.rss)/float64(len(clients)), 1)
	}
	polite = true
	return res, nil
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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	var done atomic.Uint64
	for i := range r.config.Connections {
		workers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				begin := r.now()
				cl, err := r.dialer.connect(ctx, fmt.Sprintf("%s-c%d-%d", r.name, i, n), idleKeepAlive)
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
	return res, nil
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
