package client

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"picket/packet"
)

// maxQueued is how many bytes may wait to be written before Send and Publish wait: enough to keep a fast connection busy, little
// enough not to matter.
const maxQueued = 1 << 20

// writer gathers packets and writes them in one go, as many as there are.
type writer struct {
	w    io.Writer
	last atomic.Int64 // when bytes were last written, Unix nanoseconds

	mu      sync.Mutex
	buf     []byte        // to be written
	spare   []byte        // the buffer that is not in use
	busy    bool          // a write is under way
	wake    chan struct{} // has an element when there is something to write
	written chan struct{} // closed and replaced after every write
}

func (w *writer) init(to io.Writer) {
	w.w, w.wake, w.written = to, make(chan struct{}, 1), make(chan struct{})
	w.last.Store(time.Now().UnixNano())
}

// run writes until stop is closed or a write fails.
func (w *writer) run(stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		case <-w.wake:
		}
		w.mu.Lock()
		out := w.buf
		w.buf, w.busy = w.spare[:0], true
		w.mu.Unlock()

		_, err := w.w.Write(out)
		w.last.Store(time.Now().UnixNano())

		w.mu.Lock()
		if cap(out) > maxQueued { // a large message's buffer is not kept
			out = nil
		}
		w.spare, w.busy = out, false
		close(w.written)
		w.written = make(chan struct{})
		w.mu.Unlock()
		if err != nil {
			return lost(err)
		}
	}
}

// add appends what encode adds to the bytes to be written.
func (w *writer) add(encode func(dst []byte) []byte) {
	w.mu.Lock()
	w.buf = encode(w.buf)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// room waits until less than maxQueued bytes wait to be written.
func (w *writer) room(ctx context.Context, stop <-chan struct{}) error {
	for {
		w.mu.Lock()
		written, full := w.written, len(w.buf) >= maxQueued
		w.mu.Unlock()
		if !full {
			return nil
		}
		select {
		case <-written:
		case <-stop:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// flush waits until everything has been written.
func (w *writer) flush(stop <-chan struct{}) {
	for {
		w.mu.Lock()
		written, idle := w.written, len(w.buf) == 0 && !w.busy
		w.mu.Unlock()
		if idle {
			return
		}
		select {
		case <-written:
		case <-stop:
			return
		}
	}
}

// queue hands a packet to the writer.
func (c *Client) queue(p packet.Packet) error {
	select {
	case <-c.done:
		return c.endError()
	default:
	}
	c.trace(true, p) // first: the answer can be here before the writer's goroutine lets this one go on
	c.writer.add(func(dst []byte) []byte { return p.Append(dst, c.version) })
	return nil
}

// trace tells the owner of a packet.
func (c *Client) trace(sent bool, p packet.Packet) {
	if c.o.Trace != nil {
		c.o.Trace(sent, p)
	}
}

// endError is why nothing more can be asked of the connection.
func (c *Client) endError() error {
	if err := c.Err(); err != nil {
		return err
	}
	return ErrClosed
}

// keepAlive pings when nothing was written or nothing has arrived for the keep alive time (MQTT-3.1.2-20), and ends the
// connection when a ping is not answered within it.
func (c *Client) keepAlive() {
	every := c.max.keepAlive
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-timer.C:
		}
		now := time.Now()
		quiet := min(c.writer.last.Load(), c.lastRead.Load())
		if sent := c.pingSent.Load(); sent != 0 {
			// While the application handles a message, answers cannot be read.
			if !c.inHandler.Load() && now.Sub(time.Unix(0, max(sent, c.lastRead.Load()))) >= every {
				c.fail(ErrKeepAlive)
				return
			}
			if now.Sub(time.Unix(0, c.writer.last.Load())) >= every {
				_, _ = c.ping()
			}
			timer.Reset(every)
			continue
		}
		if now.Sub(time.Unix(0, quiet)) >= every {
			c.pingSent.Store(now.UnixNano())
			_, _ = c.ping()
			timer.Reset(every)
			continue
		}
		timer.Reset(time.Unix(0, quiet).Add(every).Sub(now))
	}
}

// Ping sends PINGREQ and waits for its answer. Several may be under way.
func (c *Client) Ping(ctx context.Context) error {
	answer, err := c.ping()
	if err != nil {
		return err
	}
	select {
	case <-answer:
		return nil
	case <-c.done:
		return c.endError()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ping sends PINGREQ; the channel is closed when its answer comes.
func (c *Client) ping() (<-chan struct{}, error) {
	c.pings.Lock() // answers come in the order of the questions
	defer c.pings.Unlock()
	if err := c.queue(packet.Pingreq{}); err != nil {
		return nil, err
	}
	answer := make(chan struct{})
	c.pings.waiting = append(c.pings.waiting, answer)
	return answer, nil
}

// pinged is what PINGRESP does. One that answers nothing is passed over: there is no harm in it.
func (c *Client) pinged() {
	c.pings.Lock()
	defer c.pings.Unlock()
	if len(c.pings.waiting) > 0 {
		close(c.pings.waiting[0])
		c.pings.waiting = c.pings.waiting[1:]
	}
}
