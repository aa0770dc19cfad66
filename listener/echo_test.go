package listener

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// echo is a core that sends every frame back that it gets: the byte that a CONNECT begins with, so that it is let in
// everywhere, four bytes of length, then as many bytes. It keeps to the
// contract as the broker does: output is written at Flush, what is not taken waits for Writable.
type echo struct {
	strangers bool // connections stay newcomers
	t         testing.TB
	refuse    atomic.Bool
	accepted  chan *echoClient // if not nil, gets each client
	open      atomic.Int64     // clients accepted and not closed
	total     atomic.Int64
	workers   atomic.Int64
}

func newEcho(t testing.TB) *echo { return &echo{t: t, accepted: make(chan *echoClient, 10000)} }

type echoWorker struct {
	core  *echo
	busy  atomic.Bool
	dirty []*echoClient
}

func (e *echo) NewWorker() Worker {
	e.workers.Add(1)
	return &echoWorker{core: e}
}

func (e *echo) Accept(c Conn) Client {
	if e.refuse.Load() {
		return nil
	}
	e.open.Add(1)
	e.total.Add(1)
	if !e.strangers {
		c.Admitted()
	}
	k := &echoClient{core: e, conn: c, closed: make(chan error, 1)}
	select {
	case e.accepted <- k:
	default:
	}
	return k
}

type echoClient struct {
	core   *echo
	conn   Conn
	closed chan error

	calling  atomic.Bool // a call is under way
	reads    atomic.Int64
	writable atomic.Int64
	ended    atomic.Bool

	mu      sync.Mutex
	out     []byte
	blocked bool // Writable is due
	isDirty bool
	onRead  func()        // called before the frames are looked at
	discard bool          // consume without an answer
	stop    chan struct{} // closed at the next Read, which pauses and consumes nothing
	scratch [1][]byte
}

func (k *echoClient) enter(w Worker) *echoWorker {
	if k.calling.Swap(true) {
		k.core.t.Error("two calls of a client at the same time")
	}
	ew := w.(*echoWorker)
	if ew.busy.Swap(true) {
		k.core.t.Error("two calls with a worker at the same time")
	}
	if k.ended.Load() {
		k.core.t.Error("call after Closed")
	}
	return ew
}

func (k *echoClient) leave(ew *echoWorker) {
	ew.busy.Store(false)
	k.calling.Store(false)
}

func (k *echoClient) Read(w Worker, b []byte) (n, need int) {
	ew := k.enter(w)
	defer k.leave(ew)
	k.reads.Add(1)
	k.mu.Lock()
	onRead, stop := k.onRead, k.stop
	k.stop = nil
	k.mu.Unlock()
	if onRead != nil {
		onRead()
	}
	if stop != nil {
		k.conn.Pause()
		close(stop)
		return 0, 0
	}
	if k.discard {
		return len(b), 0
	}
	for {
		rest := b[n:]
		if len(rest) < 5 {
			break
		}
		if rest[0] != 0x10 {
			k.core.t.Errorf("frame begins with %#x", rest[0])
		}
		size := 5 + int(binary.BigEndian.Uint32(rest[1:]))
		if len(rest) < size {
			need = size
			break
		}
		n += size
	}
	if n > 0 {
		k.mu.Lock()
		k.out = append(k.out, b[:n]...)
		k.mu.Unlock()
		ew.mark(k)
	}
	return n, need
}

func (ew *echoWorker) mark(k *echoClient) {
	if !k.isDirty {
		k.isDirty = true
		ew.dirty = append(ew.dirty, k)
	}
}

func (ew *echoWorker) Flush() {
	if ew.busy.Swap(true) {
		ew.core.t.Error("Flush during a call")
	}
	defer ew.busy.Store(false)
	for _, k := range ew.dirty {
		k.isDirty = false
		k.flush()
	}
	ew.dirty = ew.dirty[:0]
}

func (k *echoClient) flush() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.blocked || len(k.out) == 0 {
		return
	}
	k.scratch[0] = k.out
	n, err := k.conn.Write(k.scratch[:])
	if err != nil {
		k.conn.Close()
		return
	}
	if n < len(k.out) {
		k.blocked = true
		k.out = k.out[n:]
		return
	}
	k.out = k.out[:0]
}

func (k *echoClient) Writable(w Worker) {
	ew := k.enter(w)
	defer k.leave(ew)
	k.writable.Add(1)
	k.mu.Lock()
	if !k.blocked {
		k.core.t.Error("Writable without need")
	}
	k.blocked = false
	k.mu.Unlock()
	k.flush()
}

func (k *echoClient) Closed(w Worker, err error) {
	ew := k.enter(w)
	defer k.leave(ew)
	if k.ended.Swap(true) {
		k.core.t.Error("Closed twice")
	}
	k.core.open.Add(-1)
	k.closed <- err
}

// frame makes a frame around a payload.
func frame(payload []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0x10}, uint32(len(payload))), payload...)
}

// opened starts a set of listeners for a test.
func opened(t testing.TB, h Handler, opt Options, cfgs ...*Config) *Set {
	t.Helper()
	s, err := Open(context.Background(), cfgs, h, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// loopback listens where only this machine reaches it, and waits for handshakes as long as a test waits for anything: the machine may be busy.
func loopback() *Config { return &Config{Address: "127.0.0.1", OpeningLimit: patience} }

func addrOf(t testing.TB, s *Set) netip.AddrPort {
	t.Helper()
	k := s.Sockets()
	if len(k) == 0 {
		t.Fatal("no sockets")
	}
	return k[0].Addr
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// roundTrip sends a frame and expects it back.
func roundTrip(t testing.TB, c io.ReadWriter, payload []byte) {
	t.Helper()
	f := frame(payload)
	done := make(chan error, 1)
	go func() {
		_, err := c.Write(f)
		done <- err
	}()
	got := make([]byte, len(f))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("reading %d bytes back: %v", len(f), err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, f) {
		t.Fatal("other bytes came back")
	}
}

func next[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing within ", patience)
		panic("not reached")
	}
}
