package broker

import (
	"picket/cause"
	"picket/packet"
)

// chunk sizes of output buffers. A connection that has nothing to write owns none.
var chunkSizes = [...]int{512, 4 << 10, 32 << 10, 256 << 10, 1 << 20}

// maxIdleChunks bounds the bytes of free chunks that a worker keeps for its next batch.
const maxIdleChunks = 4 << 20

// writeThrough is the size from which a run of messages is offered to the transport straight from where it lies, instead of being copied behind
// what else waits for the receiver.
const writeThrough = 16 << 10

// outgoing is what waits to be written to one connection.
type outgoing struct {
	full [][]byte // whole chunks before tail; nil in the common case. Some are shared and must not be changed.
	tail []byte
	size int
}

// pool is a worker's free chunks, by size.
type pool struct {
	free  [len(chunkSizes)][][]byte
	bytes int
}

func (p *pool) get(n int) []byte {
	for i, size := range chunkSizes {
		if n > size {
			continue
		}
		if k := len(p.free[i]); k > 0 {
			b := p.free[i][k-1]
			p.free[i] = p.free[i][:k-1]
			p.bytes -= size
			return b
		}
		return make([]byte, 0, size)
	}
	return make([]byte, 0, n)
}

func (p *pool) put(b []byte) {
	for i, size := range chunkSizes {
		if cap(b) == size {
			if p.bytes+size <= maxIdleChunks {
				p.free[i] = append(p.free[i], b[:0])
				p.bytes += size
			}
			return
		}
	}
}

// room makes space for n more bytes at the end of the tail.
func (o *outgoing) room(p *pool, n int) {
	if cap(o.tail)-len(o.tail) >= n {
		return
	}
	if len(o.tail) >= chunkSizes[len(chunkSizes)-1]/2 {
		o.full = append(o.full, o.tail)
		o.tail = p.get(n)
		return
	}
	bigger := p.get(len(o.tail) + max(n, len(o.tail)))
	bigger = append(bigger, o.tail...)
	p.put(o.tail)
	o.tail = bigger
}

func (o *outgoing) add(p *pool, b []byte) {
	o.room(p, len(b))
	o.tail = append(o.tail, b...)
	o.size += len(b)
}

// share adds bytes that nobody changes any more, without copying them.
func (o *outgoing) share(b []byte) {
	if len(o.tail) > 0 {
		o.full = append(o.full, o.tail)
		o.tail = nil
	}
	o.full = append(o.full, b)
	o.size += len(b)
}

// take moves everything into the worker's list of buffers to write.
func (o *outgoing) take(w *worker) [][]byte {
	w.bufs = append(w.bufs[:0], o.full...)
	if len(o.tail) > 0 {
		w.bufs = append(w.bufs, o.tail)
	}
	w.tail = o.tail
	*o = outgoing{}
	return w.bufs
}

// putBack returns what was taken and not written, before what has been added meanwhile.
func (o *outgoing) putBack(bufs [][]byte) {
	size := 0
	for _, b := range bufs {
		size += len(b)
	}
	if size == 0 {
		return
	}
	o.full = append(append(make([][]byte, 0, len(bufs)+len(o.full)), bufs...), o.full...)
	o.size += size
}

// mark puts a connection on the list of those to be written to at the end of the batch. The session's mutex is held.
func (w *worker) mark(c *connection) {
	if !c.dirty {
		c.dirty = true
		w.dirty = append(w.dirty, c)
	}
}

// append encodes a packet for the connection. The session's mutex is held.
func (w *worker) append(c *connection, p packet.Packet) {
	if c.stage() >= closing {
		return
	}
	w.scratch = p.Append(w.scratch[:0], c.version)
	if c.shown() {
		c.showOut(w.scratch)
	}
	c.out.add(&w.pool, w.scratch)
	w.count.packetsOut++
	w.mark(c)
}

// send is append for the connection's own goroutine.
func (c *connection) send(w *worker, p packet.Packet) {
	c.s.mu.Lock()
	w.append(c, p)
	c.s.mu.Unlock()
}

// Flush implements [listener.Worker]: one write per connection that got something in this batch.
func (w *worker) Flush() {
	for len(w.dirty) > 0 {
		// Writing may mark further connections: those whose queues move on. The list is walked until it stays empty.
		batch := w.dirty
		w.dirty = w.spare[:0]
		for i, c := range batch {
			w.write(c)
			batch[i] = nil
		}
		w.spare = batch[:0]
	}
	w.timed()
	w.commitRemovals()
	w.publishCounts()
	for i, start := range w.later {
		w.later[i] = nil
		start()
	}
	w.later = w.later[:0]
}

// write writes what waits for the connection, and moves its queue on. The session's mutex is not held during a write itself: others append meanwhile, and this
// goroutine writes that too before it leaves.
func (w *worker) write(c *connection) {
	s := c.s
	s.mu.Lock()
	c.dirty = false
	for turn := 0; w.hasOutputLocked(c, turn); turn++ {
		bufs := w.beginWriteLocked(c)
		s.mu.Unlock()
		n, err := c.conn.Write(bufs)
		s.mu.Lock()
		if !w.endWriteLocked(c, bufs, 0, n, err) {
			break
		}
	}
	if c.stage() == closing && c.out.size == 0 && !c.writing {
		c.advance(closed)
		if c.farewell {
			c.conn.Finish()
		} else {
			c.conn.Close()
		}
	}
	c.settle()
	s.mu.Unlock()
}

// hasOutputLocked tells whether something is to be written to the connection now, and by this worker.
func (w *worker) hasOutputLocked(c *connection, turn int) bool {
	s := c.s
	if c.writing || c.blocked || c.stage() == closed {
		return false
	}
	if !w.patient && (c.out.size > muchOutput || turn >= maxTurns && s.conn == c && s.hasMore() || c.out.size == 0 && s.conn == c && s.asksForMany()) {
		w.handOver(c)
		return false
	}
	return c.out.size > 0 || s.conn == c && w.pump(c)
}

// What takes long is not done on an event loop, where everybody else would wait for it, but handed over to a goroutine: more output at once
// than muchOutput bytes (a reader on the same machine can keep the kernel busy with one write for all of it), more than maxTurns batches
// from the session's queue or the retained messages, and the search for the retained messages of a filter with wildcards.
const (
	muchOutput = 1 << 20
	maxTurns   = 2
)

// handOver lets a goroutine write to the connection. The session's mutex is held.
func (w *worker) handOver(c *connection) {
	if c.handedOver {
		return
	}
	c.handedOver = true
	b := w.b
	w.later = append(w.later, func() {
		b.wait.Go(func() {
			b.do(func(w *worker) {
				w.patient = true
				c.s.mu.Lock()
				c.handedOver = false
				w.mark(c)
				c.s.mu.Unlock()
			})
		})
	})
}

// beginWriteLocked takes what waits to be written; the caller lets go of the lock, writes it, and calls endWriteLocked.
func (w *worker) beginWriteLocked(c *connection) [][]byte {
	c.writing = true
	return c.out.take(w)
}

// endWriteLocked takes note that n bytes of bufs have been written, or that the connection is dead, keeps what is left, and reports whether nothing is. The
// last lent of bufs are parts of the run, and are copied if they have to wait.
func (w *worker) endWriteLocked(c *connection, bufs [][]byte, lent, n int, err error) (all bool) {
	c.writing = false
	w.count.bytesOut += uint64(n)
	if err != nil {
		// The connection is dead; Closed follows from its own goroutine.
		c.advance(closed)
		c.out = outgoing{}
		c.conn.Close()
		return false
	}
	first := 0
	for first < len(bufs) && n >= len(bufs[first]) {
		n -= len(bufs[first])
		first++
	}
	if first == len(bufs) {
		w.pool.put(w.tail) // the chunks before it may be shared
		w.tail = nil
		c.blocked = false
		return true
	}
	bufs[first] = bufs[first][n:]
	for i := max(first, len(bufs)-lent); i < len(bufs); i++ {
		bufs[i] = w.keepLent(bufs[i])
	}
	c.out.putBack(bufs[first:])
	if c.woken {
		c.woken = false
		w.mark(c) // it became writable while we were at it: try again
	} else {
		c.blocked = true
	}
	return false
}

// keepLent returns a part of the run in memory that is not written to again. A payload that many receivers wait for is copied once.
func (w *worker) keepLent(b []byte) []byte {
	if r := &w.run; r.n == 1 {
		if body := r.body(0); len(b) <= len(body) && &b[len(b)-1] == &body[len(body)-1] {
			kept := r.keep(0)
			return kept[len(kept)-len(b):]
		}
	}
	return append(w.pool.get(len(b)), b...)
}

// settle accounts for the bytes that wait for a slow receiver in the budget of all.
func (c *connection) settle() {
	now := 0
	if c.blocked && c.stage() != closed {
		now = c.out.size
	} else if c.dropping {
		c.dropping = false
	}
	if now != c.held {
		c.b.memory.force(heldOutput, int64(now-c.held))
		c.held = now
	}
}

// full tells whether the connection has so much unwritten output that QoS 0 is dropped and the rest has to wait in the session's queue.
func (c *connection) full() bool {
	if !c.blocked {
		return false
	}
	return c.out.size >= c.b.settings.Load().MaxOutputBytes || c.b.memory.full(heldOutput)
}

// dropped counts n messages that were dropped for the session, by cause, and logs it once until the client keeps up again.
func (w *worker) dropped(s *Session, id cause.ID, n int) {
	w.count.dropped += uint64(n)
	w.b.reportDropped(s, id, n)
}

// reportDropped says that messages for a session were dropped; in the log once, until it has taken all that waits for it. The session's mutex is held.
func (b *Broker) reportDropped(s *Session, id cause.ID, n int) {
	c := s.conn
	if c != nil {
		c.showDenied(id, "messages for it are dropped: "+itoa(n), false)
	}
	if c != nil && c.dropping || c == nil && s.dropLogged {
		b.report(incident{cause: id, count: n}, "")
		return
	}
	if c != nil {
		c.dropping = true
	}
	s.dropLogged = true
	b.report(incident{cause: id, count: n}, "Outgoing messages are being dropped for client %s.", s.id)
}
