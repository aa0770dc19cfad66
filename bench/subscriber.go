package bench

import (
	"fmt"
	"sync/atomic"
	"time"
)

// subscriber reads one subscriber's messages and acknowledges them. Received may be read at any time.
type subscriber struct {
	*client
	run      *run
	received atomic.Uint64
	scan     scanner
	buf      []byte
	last     map[uint32]uint32 // the last number that was seen, by publisher
	late     []time.Duration   // latencies of one read
}

// subscriberBuffers is shared by all subscribers' read buffers: a few large ones, many smaller ones.
const subscriberBuffers = 64 << 20

func newSubscriber(r *run, cl *client) *subscriber {
	size := min(max(subscriberBuffers/r.config.Subscribers, 16<<10), 256<<10)
	s := &subscriber{client: cl, run: r, buf: make([]byte, size), last: map[uint32]uint32{}}
	s.scan = scanner{version: r.config.Version, other: cl.unexpected, sample: s.sample, every: r.config.Rate > 0}
	return s
}

// receive reads until the connection ends.
func (s *subscriber) receive() error {
	have := copy(s.buf, s.early)
	s.early = nil
	for {
		n, err := s.Read(s.buf[have:])
		if err != nil {
			if s.run.closing.Load() {
				return nil
			}
			return s.lost(err)
		}
		have += n
		taken, want, err := s.scan.scan(s.buf[:have])
		if err != nil {
			return err
		}
		s.received.Store(s.scan.messages)
		s.run.backlog.received()
		if len(s.late) > 0 {
			s.run.latency.record(s.late)
			s.late = s.late[:0]
		}
		have = copy(s.buf, s.buf[taken:have])
		if want > len(s.buf) {
			s.buf = append(make([]byte, 0, want), s.buf[:have]...)[:want]
		}
		if len(s.scan.acks) > 0 {
			if _, err := s.Write(s.scan.acks); err != nil && !s.run.closing.Load() {
				return s.lost(err)
			}
			s.scan.acks = s.scan.acks[:0]
		}
	}
}

// sample checks one message and takes its latency.
func (s *subscriber) sample(b []byte, head, total int) error {
	c := &s.run.config
	if total-head != c.Size {
		return fmt.Errorf("bench: %s: a payload of %d bytes arrived, %d were sent", s.id, total-head, c.Size)
	}
	payload := b[head:]
	if c.Size < StampSize {
		return checkPayload(payload, 0)
	}
	st := readStamp(payload)
	if int(st.publisher) >= c.Publishers {
		return fmt.Errorf("bench: %s: a message of publisher %d of %d arrived", s.id, st.publisher, c.Publishers)
	}
	if last, seen := s.last[st.publisher]; seen && int32(st.sequence-last) <= 0 {
		return fmt.Errorf("bench: %s: message %d of publisher %d arrived after message %d", s.id, st.sequence, st.publisher, last)
	}
	s.last[st.publisher] = st.sequence
	s.late = append(s.late, s.run.now()-st.due)
	return checkPayload(payload[StampSize:], StampSize)
}
