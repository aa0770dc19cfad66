package probe

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"picket/cause"
	"picket/client"
	"picket/doctor"
	"picket/packet"
)

// Round trips are measured one after the other: a server whose TCP waits for an acknowledgement before it sends the next small segment (Nagle) would
// delay its answers to pings that overtake each other. There is a gap between them, lest a broker that is busy from time to time answers all of them
// in one free moment. A volley of pings follows, in which a lost segment shows by those that come
// after it.
const (
	tripsMin  = 10
	tripsMax  = 30
	tripsTime = 2 * time.Second // after which tripsMin are enough
	tripsGap  = 25 * time.Millisecond
	volley    = 40
	volleyGap = 15 * time.Millisecond
	tripWait  = 5 * time.Second // for the last answers
)

// stay measures round trips and, if that is wanted, how long idle connections last.
func (p *prober) stay(ctx context.Context) bool {
	u := p.user
	defer func() {
		if u != nil {
			u.c.Disconnect(packet.NormalDisconnection, nil)
		}
	}()
	if u != nil && u.alive() {
		p.doing("measuring round trips", "正在测量往返时间")
		f := u.roundTrips(ctx)
		if f.Losses() > 0 && !f.Lossy() && u.alive() { // chance, or the first of many?
			f = u.roundTrips(ctx)
		}
		p.add(f)
		if !u.alive() {
			p.add(ended("round-trips", u.v, u.c.Err(), time.Since(u.since)))
			return false
		}
	}
	if p.ID != "" && ctx.Err() == nil {
		if u != nil { // it may have the identifier
			u.c.Disconnect(packet.NormalDisconnection, nil)
			u = nil
		}
		p.takeover(ctx)
	}
	p.ready = true
	return true
}

// roundTrips measures.
func (u *user) roundTrips(ctx context.Context) doctor.RoundTrips {
	f := doctor.RoundTrips{}
	var times []time.Duration
	busy := watchScheduler()
	for begun := time.Now(); f.Sent < tripsMax && (f.Sent < tripsMin || time.Since(begun) < tripsTime); {
		one, cancel := context.WithTimeout(ctx, tripWait)
		f.Sent++
		start := time.Now()
		err := u.c.Ping(one)
		over := one.Err() != nil
		cancel()
		if err != nil {
			if !over { // whoever writes learns of the end before the reader does
				select {
				case <-u.c.Done():
				case <-ctx.Done():
				}
			}
			break // the others would wait as long
		}
		times = append(times, time.Since(start))
		sleep(ctx, tripsGap)
	}
	if len(times) == f.Sent {
		sent, answered := u.volley(ctx)
		f.Sent, f.Answered = f.Sent+sent, answered
	}
	f.Answered += len(times)
	f.Busy = ms(busy())
	if s, ok := socketState(u.conn.Conn); ok {
		f.Network, f.Variation = max(ms(s.roundTrip), 0.1), ms(s.variation)
		f.Segments, f.Retransmitted, f.OutOfOrder = s.segments, s.retransmitted, s.outOfOrder
	}
	return summarize(f, times)
}

// schedulerStep is how long one sleeps at a time to see how late one is woken.
const schedulerStep = 5 * time.Millisecond

// watchScheduler measures how late this machine wakes who sleeps, until the function that it returns is called, which gives the mean.
func watchScheduler() (mean func() time.Duration) {
	stop := make(chan struct{})
	ended := make(chan struct{})
	var late time.Duration
	n := 0
	go func() {
		defer close(ended)
		for {
			start := time.Now()
			select {
			case <-time.After(schedulerStep):
				late += time.Since(start) - schedulerStep
				n++
			case <-stop:
				return
			}
		}
	}()
	return func() time.Duration {
		close(stop)
		<-ended
		return late / time.Duration(max(n, 1))
	}
}

// volley sends pings at a steady pace, whether answers are there or not.
func (u *user) volley(ctx context.Context) (sent, answered int) {
	ctx, cancel := context.WithTimeout(ctx, volley*volleyGap+tripWait)
	defer cancel()
	var count atomic.Int32
	var wait sync.WaitGroup
	for sent < volley && ctx.Err() == nil && u.alive() {
		sent++
		wait.Go(func() {
			if u.c.Ping(ctx) == nil {
				count.Add(1)
			}
		})
		sleep(ctx, volleyGap)
	}
	wait.Wait()
	return sent, int(count.Load())
}

// summarize fills in what follows from the times.
func summarize(f doctor.RoundTrips, times []time.Duration) doctor.RoundTrips {
	if len(times) == 0 {
		return f
	}
	var jitter time.Duration
	for i := 1; i < len(times); i++ {
		jitter += (times[i] - times[i-1]).Abs()
	}
	sorted := slices.Sorted(slices.Values(times))
	f.Min, f.Max = ms(sorted[0]), ms(sorted[len(sorted)-1])
	f.Median, f.P95 = ms(sorted[len(sorted)/2]), ms(sorted[len(sorted)*95/100])
	if len(times) > 1 {
		f.Jitter = ms(jitter / time.Duration(len(times)-1))
	}
	for _, d := range times {
		if ms(d-sorted[0]) > doctor.LateMs+f.Excuse() {
			f.Late++
		}
	}
	return f
}

// takeoverHold is how long a connection with the user's identifier is watched: clients come back within some seconds.
const takeoverHold = 8 * time.Second

// takeover holds a connection with the user's client identifier beside one with a random identifier.
func (p *prober) takeover(ctx context.Context) {
	p.doing("watching whether somebody else uses the client identifier", "正在观察是否有别的客户端使用同一 clientId")
	f := doctor.Takeover{ID: doctor.Printable(p.ID, 100)}
	random := p.works
	random.kind, random.id = doctor.RandomID, randomID()
	other, _, _ := p.try(ctx, random)
	given := p.works
	given.kind, given.id = doctor.GivenID, p.ID
	begun := time.Now()
	for f.Times < 3 && ctx.Err() == nil && time.Since(begun) < takeoverHold {
		c, _, failed := p.try(ctx, given)
		if c == nil {
			p.add(failed)
			break
		}
		started := time.Now()
		select {
		case <-c.Done():
			f.Times++
			if f.Times == 1 {
				p.add(ended("takeover", versionName(given.version), c.Err(), time.Since(started)))
			}
			sleep(ctx, 300*time.Millisecond)
		case <-time.After(takeoverHold - time.Since(begun)):
		case <-ctx.Done():
		}
		c.Disconnect(packet.NormalDisconnection, nil)
	}
	f.Held = time.Since(begun).Round(100 * time.Millisecond).Seconds()
	if other != nil {
		select {
		case <-other.Done():
		default:
			f.Random = true
		}
		other.Disconnect(packet.NormalDisconnection, nil)
	}
	p.add(f)
}

// ladder are the times to stay quiet for, in seconds: each is a little longer than timers that people have.
var ladder = []int{30, 70, 150, 310}

// steps are the rungs of the ladder up to d, and d itself.
func steps(d time.Duration) (all []int) {
	last := int(d.Seconds())
	for _, s := range ladder {
		if s < last {
			all = append(all, s)
		}
	}
	return append(all, max(last, 1))
}

// idle holds connections that say nothing, all at the same time, and asks at the end of each whether it still lives.
func (p *prober) idle(ctx context.Context) {
	rungs := steps(p.Stay)
	facts := make([]doctor.Idle, len(rungs))
	var wait sync.WaitGroup
	for i, seconds := range rungs {
		wait.Go(func() { facts[i] = p.quiet(ctx, seconds) })
	}
	var talks *doctor.Ended
	wait.Go(func() { talks = p.talking(ctx) })
	ended := make(chan struct{})
	go func() { wait.Wait(); close(ended) }()
	begun := time.Now()
	for {
		left := p.Stay - time.Since(begun)
		if p.Doing != nil {
			n := max(left.Round(time.Second), 0)
			p.Doing(cause.Text{EN: fmt.Sprintf("holding quiet connections, %v left", n), ZH: fmt.Sprintf("正在保持静默连接，还剩 %v", n)})
		}
		select {
		case <-ended:
			for _, f := range facts {
				p.add(f)
			}
			if talks != nil {
				p.add(*talks)
			}
			return
		case <-time.After(time.Second):
		}
	}
}

// talkingGap is the time between the pings of a connection that is never quiet.
const talkingGap = time.Second

// talking holds a connection that is never quiet as long as the quiet ones: where it ends as well, it is not silence that ends connections. nil: it lasts.
func (p *prober) talking(ctx context.Context) *doctor.Ended {
	a := p.works
	if a.kind != doctor.RandomID {
		return nil // there may be no second connection
	}
	a.id = randomID()
	c, _, _ := p.try(ctx, a)
	if c == nil {
		return nil
	}
	defer c.Disconnect(packet.NormalDisconnection, nil)
	begun := time.Now()
	for time.Since(begun) < p.Stay {
		select {
		case <-c.Done():
			e := ended("talking", versionName(a.version), c.Err(), time.Since(begun))
			return &e
		case <-ctx.Done():
			return nil
		case <-time.After(talkingGap):
		}
		one, cancel := context.WithTimeout(ctx, p.Limit)
		_ = c.Ping(one) // its end shows above
		cancel()
	}
	return nil
}

// quiet holds one connection.
func (p *prober) quiet(ctx context.Context, seconds int) doctor.Idle {
	f := doctor.Idle{Seconds: seconds, Scheme: p.target.Scheme, Result: doctor.Untested}
	a := p.works
	// The server must not expect a ping before the end. Before version 5 it cannot ask for another keep alive.
	if a.version == packet.V5 {
		a.version = packet.V311
	}
	a.id, a.keepAlive = randomID(), min(2*seconds+60, 65535)
	c, _, refused := p.try(ctx, a)
	if c == nil {
		a.version, a.keepAlive = p.works.version, p.KeepAlive
		if c, _, refused = p.try(ctx, a); c == nil {
			f.Reason = refused.Result
			return f
		}
		if n := c.Connack().Props; n.Has(packet.ServerKeepAlive) {
			a.keepAlive = int(n.ServerKeepAlive)
		}
	}
	defer c.Disconnect(packet.NormalDisconnection, nil)
	if f.KeepAlive = a.keepAlive; f.KeepAlive <= seconds {
		return f // there would be pings
	}
	start := time.Now()
	select {
	case <-c.Done():
		p.quietEnd(&f, c, start)
		return f
	case <-ctx.Done():
		return f
	case <-time.After(time.Duration(seconds) * time.Second):
	}
	ctx, cancel := context.WithTimeout(ctx, p.Limit)
	defer cancel()
	switch err := c.Ping(ctx); {
	case err == nil:
		f.Result, f.Lasted = doctor.Alive, float64(seconds)
	case ctx.Err() != nil:
		f.Result, f.Lasted = doctor.TimedOut, float64(seconds)
	default:
		p.quietEnd(&f, c, start)
		f.Spoke = true
	}
	return f
}

func (p *prober) quietEnd(f *doctor.Idle, c *client.Client, start time.Time) {
	e := ended("stay", "", c.Err(), time.Since(start))
	f.Result, f.Code, f.Reason = e.How, e.Code, e.Reason
	f.Lasted = time.Since(start).Round(100 * time.Millisecond).Seconds()
}
