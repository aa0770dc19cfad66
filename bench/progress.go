package bench

import (
	"sync/atomic"
	"time"
)

// reporter calls Config.Progress once a second until it is ended.
type reporter struct {
	name atomic.Pointer[string]
	done chan struct{}
	gone chan struct{}
	open atomic.Int64 // connections, with Idle and Connects
}

func (r *run) report(phase string) *reporter {
	p := &reporter{done: make(chan struct{}), gone: make(chan struct{})}
	p.phase(phase)
	if r.config.Progress == nil {
		close(p.gone)
		return p
	}
	go func() {
		defer close(p.gone)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		before := moment{at: r.now()}
		for {
			select {
			case <-p.done:
				return
			case <-tick.C:
			}
			now := moment{at: r.now()}
			open := p.open.Load()
			if phase := *p.name.Load(); phase != "connecting" && r.config.Scenario != Idle {
				now.sent, now.received = r.counts()
			}
			if r.config.Scenario == Connects || r.config.Scenario == Idle {
				now.received = uint64(open)
			}
			s := (now.at - before.at).Seconds()
			r.config.Progress(Progress{
				Elapsed: now.at, Phase: *p.name.Load(), Open: int(open),
				Sent: float64(now.sent-before.sent) / s, Received: float64(now.received-before.received) / s,
			})
			before = now
		}
	}()
	return p
}

func (p *reporter) phase(name string) { p.name.Store(&name) }

func (p *reporter) end() {
	close(p.done)
	<-p.gone
}
