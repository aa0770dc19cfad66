package listener

import (
	"net"
	"sync"
	"syscall"
	"time"
)

// maxPending bounds what waits in memory to go out on a connection's socket; more stays with the core.
const maxPending = 64 << 10

// lingerTime and lingerBytes bound what is read, only to be thrown away, of a connection that was told why it ends.
const (
	lingerTime  = time.Second
	lingerBytes = 64 << 10
)

// lingerLimit is how long a closed connection may take to send what it has accepted.
const lingerLimit = 2 * time.Second

// wire is the socket under a stream, and the [net.Conn] that TLS runs on. While the transport is being opened it reads and
// writes as usual. Once it is async, Read returns what was fed and then errWouldBlock, and Write never blocks: what the
// socket does not take is kept and sent by a goroutine that exists for as long as something is kept.
type wire struct {
	nc  net.Conn
	rc  syscall.RawConn
	set *Set
	// drained is called, without the lock, when all that was kept is sent.
	drained func()

	fed   []byte       // to be read before anything else; only the reading goroutine
	last  *alertRecord // keeps the last bytes read, during a TLS handshake; only the reading goroutine
	async bool         // set before the connection is announced to the core

	mu      sync.Mutex
	pending []byte        // what the goroutine sends next
	sending chan struct{} // closed when that goroutine ends; nil when there is none
	corked  *[]byte       // where Write collects, if it does
	err     error         // writing is over

	tryWrite tryWriter
	waiting  readWaiter
}

// errWouldBlock is a temporary [net.Error], which crypto/tls passes on without giving the connection up.
var errWouldBlock error = wouldBlock{}

type wouldBlock struct{}

func (wouldBlock) Error() string   { return "no data yet" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

// newWire makes the wire of a TCP or Unix connection.
func newWire(set *Set, nc net.Conn) *wire {
	w := &wire{nc: nc, set: set}
	rc, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		w.err = err // closed already
	}
	w.rc = rc
	w.tryWrite.init(rc)
	w.waiting.init(rc)
	return w
}

func (w *wire) Read(p []byte) (int, error) {
	if len(w.fed) > 0 {
		n := copy(p, w.fed)
		if w.fed = w.fed[n:]; len(w.fed) == 0 {
			w.fed = nil // its memory is not kept
		}
		w.last.saw(p[:n])
		return n, nil
	}
	if w.async {
		return 0, errWouldBlock
	}
	n, err := w.nc.Read(p)
	w.last.saw(p[:n])
	return n, err
}

// Write implements [net.Conn]: it takes everything, or reports why nothing can be sent any more. Whoever has much to write
// looks at [wire.full] before.
func (w *wire) Write(p []byte) (int, error) {
	if !w.async {
		return w.nc.Write(p)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.corked != nil {
		*w.corked = append(*w.corked, p...)
		return len(p), w.err
	}
	return len(p), w.sendLocked(p)
}

// sendLocked sends p, keeping what the socket does not take.
func (w *wire) sendLocked(p []byte) error {
	if w.err != nil || len(p) == 0 {
		return w.err
	}
	if w.sending == nil {
		var n int
		if n, w.err = w.tryWrite.write(p); w.err != nil {
			return w.err
		}
		p = p[n:]
	}
	w.keepLocked(p)
	return nil
}

// keepLocked has p sent by a goroutine.
func (w *wire) keepLocked(p []byte) {
	if len(p) == 0 {
		return
	}
	w.pending = append(w.pending, p...)
	if w.sending == nil {
		w.sending = make(chan struct{})
		w.set.running.Add(1) // the connection's own goroutine is still counted, so this cannot meet a Wait that is over
		go w.send(w.sending)
	}
}

// writev takes as much of bufs as the socket takes, and up to maxPending more.
func (w *wire) writev(bufs [][]byte) (n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || w.sending != nil {
		return 0, w.err
	}
	if n, w.err = w.tryWrite.writev(bufs); w.err != nil {
		return n, w.err
	}
	skip, room := n, maxPending
	for _, b := range bufs {
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		b = b[skip:]
		skip = 0
		b = b[:min(len(b), room)]
		room -= len(b)
		n += len(b)
		w.keepLocked(b)
	}
	return n, nil
}

// full tells whether something waits to be sent, so that nothing more should be written.
func (w *wire) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sending != nil
}

// collected holds buffers in which a number of TLS records are collected, to be sent by one system call.
var collected = sync.Pool{New: func() any { return new([]byte) }}

// cork makes Write only collect, until uncork.
func (w *wire) cork() {
	buf := collected.Get().(*[]byte)
	w.mu.Lock()
	w.corked = buf
	w.mu.Unlock()
}

// uncork sends what was collected.
func (w *wire) uncork() error {
	w.mu.Lock()
	buf := w.corked
	w.corked = nil
	err := w.sendLocked(*buf)
	w.mu.Unlock()
	if cap(*buf) <= 2*maxPending {
		*buf = (*buf)[:0]
		collected.Put(buf)
	}
	return err
}

// send sends what is pending, waiting for the peer where it must.
func (w *wire) send(done chan struct{}) {
	defer w.set.running.Done()
	w.mu.Lock()
	for len(w.pending) > 0 && w.err == nil {
		p := w.pending
		w.pending = nil
		w.mu.Unlock()
		_, err := w.nc.Write(p)
		w.mu.Lock()
		if w.err == nil {
			w.err = err
		}
	}
	w.pending, w.sending = nil, nil
	w.mu.Unlock()
	close(done)
	if w.drained != nil {
		w.drained()
	}
}

// sent lets what is pending go out, for a while.
func (w *wire) sent() {
	w.mu.Lock()
	done := w.sending
	w.mu.Unlock()
	if done != nil {
		w.nc.SetWriteDeadline(time.Now().Add(lingerLimit))
		<-done
	}
}

// shut lets what is pending go out, for a while, and closes the socket.
func (w *wire) shut() {
	w.sent()
	w.waiting.discard()
	w.mu.Lock()
	if w.err == nil {
		w.err = net.ErrClosed
	}
	w.mu.Unlock()
	w.nc.Close()
}

// wait waits until the socket can be read.
func (w *wire) wait() error { return w.waiting.wait() }

// readable tells whether the socket can be read without waiting, where the system says so (not on Windows).
func (w *wire) readable() bool { return w.waiting.readable() }

// The rest of [net.Conn].

func (w *wire) Close() error                      { return nil } // shut does it
func (w *wire) LocalAddr() net.Addr               { return w.nc.LocalAddr() }
func (w *wire) RemoteAddr() net.Addr              { return w.nc.RemoteAddr() }
func (w *wire) SetDeadline(t time.Time) error     { return w.nc.SetDeadline(t) }
func (w *wire) SetReadDeadline(t time.Time) error { return w.nc.SetReadDeadline(t) }

func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.async {
		return nil // crypto/tls sets one before its last alert; it would hit what is pending
	}
	return w.nc.SetWriteDeadline(t)
}
