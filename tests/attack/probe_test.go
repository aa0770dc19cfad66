//go:build linux

package attack

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"picket/internal/testbed"
	"picket/packet"
)

// probe is the well-behaved client whom nothing may hurt: it sends itself a message at fixed times, whether the one
// before has come back or not, and notes how long after its time each one arrives. So a broker that stands still for a
// second shows as a hundred late messages and not as one.
type probe struct {
	c     *client
	stop  chan struct{}
	done  sync.WaitGroup
	trips []time.Duration
	sent  int
	err   error
}

// probeEvery is seldomer where the race detector watches, where no figures are taken, and as many probes as attacks are under way at a time.
var probeEvery = map[bool]time.Duration{false: 10 * time.Millisecond, true: 100 * time.Millisecond}[testbed.Race]

// probes counts them, for their topics.
var probes atomic.Int64

func (b *broker) probe() *probe {
	b.t.Helper()
	p := &probe{c: b.connect(&packet.Connect{}), stop: make(chan struct{})}
	topic := fmt.Sprintf("probe/%d", probes.Add(1)) // there may be several of a broker
	p.c.subscribe(0, topic)
	began := time.Now()
	p.done.Go(func() {
		for {
			select {
			case <-p.stop:
				p.err = p.c.Send(&packet.Publish{Topic: []byte(topic), Payload: []byte("last")})
				return
			case <-time.After(time.Until(began.Add(time.Duration(p.sent) * probeEvery))):
			}
			due := binary.BigEndian.AppendUint64(nil, uint64(p.sent)*uint64(probeEvery))
			if p.err = p.c.Send(&packet.Publish{Topic: []byte(topic), Payload: due}); p.err != nil {
				return
			}
			p.sent++
		}
	})
	p.done.Go(func() {
		for {
			m, err := testbed.Until[*packet.Publish](p.c.Client)
			if err != nil || string(m.Payload) == "last" {
				if err != nil {
					p.c.t.Errorf("the other client lost its connection: %v", err)
				}
				return
			}
			due := time.Duration(binary.BigEndian.Uint64(m.Payload))
			p.trips = append(p.trips, time.Since(began)-due)
		}
	})
	return p
}

// trips is what a probe has seen.
type trips struct{ median, p99, worst time.Duration }

func (r trips) String() string {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/1e6) }
	return ms(r.median) + " / " + ms(r.p99) + " / " + ms(r.worst)
}

// end stops the probe and reports its round trips. All that it sent must have come back.
func (p *probe) end() (r trips) {
	close(p.stop)
	p.done.Wait()
	p.c.Close()
	if p.err != nil || len(p.trips) != p.sent || p.sent == 0 {
		p.c.t.Errorf("the other client sent %d messages and got %d back, %v", p.sent, len(p.trips), p.err)
		return r
	}
	slices.Sort(p.trips)
	n := len(p.trips)
	return trips{p.trips[n/2], p.trips[n*99/100], p.trips[n-1]}
}
