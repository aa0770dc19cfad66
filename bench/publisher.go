package bench

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// publisher sends one publisher's messages. Sent and refused may be read at any time.
type publisher struct {
	*client
	batch  *batch
	window *window // nil at QoS 0
	rate   float64 // messages per second; 0: no limit
	run    *run

	sent  atomic.Uint64
	ids   []uint16
	in    []byte // acknowledgements, from inAt on not yet looked at
	inLen int
	out   []byte
	late  [1]time.Duration
}

func newPublisher(r *run, cl *client, number int) (*publisher, error) {
	c := &r.config
	b, err := newBatch(c, r.name, number)
	if err != nil {
		return nil, err
	}
	p := &publisher{client: cl, batch: b, rate: c.Rate / float64(c.Publishers), run: r}
	if c.QoS > 0 {
		size := min(c.Window, cl.receiveMax)
		p.window = newWindow(size, c.QoS)
		p.ids = make([]uint16, min(size, b.slots))
		// At most one PUBACK, or one PUBREC or PUBCOMP, per message is on its way; with MQTT 5 it may have a reason code.
		p.in = make([]byte, max(4096, min(8*size, 64<<10)))
	}
	return p, nil
}

// perWrite is how many messages make up a write that is worth its system call.
func (p *publisher) perWrite() int { return max(1, batchBytes/p.batch.size) }

// publish sends until the run's publishers are to stop, then waits for what is in flight.
func (p *publisher) publish() error {
	var err error
	switch {
	case p.rate > 0:
		err = p.paced()
	case p.window != nil:
		err = p.windowed()
	default:
		err = p.flood()
	}
	if err != nil && p.run.closing.Load() {
		return nil
	}
	return err
}

// flood is QoS 0 without a rate.
func (p *publisher) flood() error {
	n := p.run.backlog.share(p.perWrite())
	for {
		p.run.backlog.wait()
		if p.run.stop.Load() {
			return nil
		}
		if err := p.send(p.batch.take(n), p.run.now(), 0); err != nil {
			return err
		}
	}
}

func (p *publisher) send(b []byte, due, interval time.Duration) error {
	p.batch.stamp(b, due, interval)
	if _, err := p.Write(b); err != nil {
		return p.lost(err)
	}
	p.sent.Add(uint64(len(b) / p.batch.size))
	return nil
}

// sendWindow sends up to n messages, no more than the window allows, and returns how many.
func (p *publisher) sendWindow(n int, due, interval time.Duration) (int, error) {
	sent := 0
	for sent < n {
		ids := p.ids[:min(n-sent, p.perWrite(), p.batch.slots-p.batch.next, len(p.ids))]
		got := p.window.take(ids)
		if got == 0 {
			break
		}
		b := p.batch.take(got)
		p.batch.identify(b, ids[:got])
		first := due + time.Duration(sent)*interval
		p.window.sent(ids[:got], first, interval)
		if err := p.send(b, first, interval); err != nil {
			return sent, err
		}
		sent += got
	}
	return sent, nil
}

// windowed is QoS 1 and 2 without a rate: one goroutine fills the window, and each read of acknowledgements is answered
// with one write of what they allow. A quarter of the window has to be free before more is sent, so that a broker which
// acknowledges one message at a time does not make the generator do one system call for each.
func (p *publisher) windowed() error {
	enough := max(1, len(p.window.free)/4)
	for {
		free, inFlight := p.window.available()
		if inFlight == 0 {
			p.run.backlog.wait()
			if p.run.stop.Load() {
				return nil
			}
		}
		if free >= enough && !p.run.stop.Load() && !p.run.backlog.full() {
			if _, err := p.sendWindow(p.run.backlog.share(free), p.run.now(), 0); err != nil {
				return err
			}
		}
		if err := p.readAcks(); err != nil {
			return err
		}
	}
}

// readAcks waits for acknowledgements, takes in all that have come and writes the PUBRELs that they ask for.
func (p *publisher) readAcks() error {
	if len(p.early) > 0 {
		p.inLen = copy(p.in, p.early)
		p.early = nil
	}
	n, err := p.Read(p.in[p.inLen:])
	if err != nil {
		return p.lost(err)
	}
	p.inLen += n
	taken, out, err := p.window.absorb(p.out[:0], p.in[:p.inLen], p.unexpected)
	p.out = out
	if err != nil {
		return err
	}
	if taken == 0 && p.inLen == len(p.in) {
		return fmt.Errorf("bench: %s: the broker sent a packet of more than %d bytes to a client without subscriptions", p.id, len(p.in))
	}
	if due, ok := p.window.sample(); ok {
		p.late[0] = p.run.now() - due
		p.run.acks.record(p.late[:])
	}
	p.inLen = copy(p.in, p.in[taken:p.inLen])
	if len(out) > 0 {
		if _, err := p.Write(out); err != nil {
			return p.lost(err)
		}
	}
	return nil
}

// paced sends at a rate. Message i is due at i/rate and its stamp says so however late it is sent, so that the time which
// a slow broker makes a message wait for its turn counts as latency (no coordinated omission).
func (p *publisher) paced() error {
	acks := make(chan error, 1)
	if p.window != nil {
		go func() {
			for {
				if err := p.readAcks(); err != nil {
					acks <- err
					return
				}
			}
		}()
	}
	err := p.pace(acks)
	if p.window == nil {
		return err
	}
	if err == nil {
		err = p.settle(acks)
	}
	// The reader ends with the connection's deadline.
	p.SetReadDeadline(time.Unix(1, 0))
	if e := <-acks; err == nil && !errors.Is(e, os.ErrDeadlineExceeded) {
		err = e
	}
	return err
}

func (p *publisher) pace(acks chan error) error {
	interval := time.Duration(float64(time.Second) / p.rate)
	// Publishers begin at different moments of the first interval.
	begin := p.run.now() + interval*time.Duration(p.batch.publisher)/time.Duration(p.run.config.Publishers)
	for count := uint64(0); !p.run.stop.Load(); {
		due := begin + time.Duration(float64(count)*1e9/p.rate)
		now := p.run.now()
		if due > now {
			pause(min(due-now, 50*time.Millisecond)) // now and then it has to be seen that the run is over
			continue
		}
		n := 1 + int(float64(now-due)*p.rate/1e9)
		if p.window == nil {
			b := p.batch.take(min(n, p.perWrite()))
			if err := p.send(b, due, interval); err != nil {
				return err
			}
			count += uint64(len(b) / p.batch.size)
			continue
		}
		sent, err := p.sendWindow(n, due, interval)
		if err != nil {
			return err
		}
		count += uint64(sent)
		if sent < n {
			select {
			case <-p.window.freed:
			case err := <-acks:
				acks <- err
				return nil
			case <-p.run.stopped:
			}
		}
	}
	return nil
}

// settle waits until nothing is in flight or the connection ends.
func (p *publisher) settle(acks chan error) error {
	for {
		if _, inFlight := p.window.available(); inFlight == 0 {
			return nil
		}
		select {
		case <-p.window.freed:
		case err := <-acks:
			acks <- err
			return nil
		}
	}
}
