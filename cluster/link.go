package cluster

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"sync"
	"sync/atomic"

	"picket/cluster/machine"
	"picket/cluster/wire"
)

// Bounds of a link, in bytes.
const (
	readBuffer = 256 << 10
	// chunk is how much of what is long is written or read before the link counts as alive.
	chunk = 256 << 10
	// mostLoose is how much may wait to be written to a peer before runs of QoS 0 are dropped.
	mostLoose = 8 << 20
	// mostNumbered is the same for frames that the machine keeps until they are acknowledged: what is dropped here it sends again.
	mostNumbered = 32 << 20
	// mostUnread is how much of a peer's waits for the machine before the peer is not read any more.
	mostUnread = 16 << 20
)

// mostTogether is how many frames of a peer are told to the machine at once.
const mostTogether = 1024

// link is a connection to a peer that has said who it is.
type link struct {
	n       *Node
	peer    uint64
	traffic *traffic
	version uint64 // of frames, that both speak
	conn    *tls.Conn
	wake    chan struct{}
	over    chan struct{}
	once    sync.Once

	heard, moved atomic.Bool // see [machine.Machine.Alive]

	mu   sync.Mutex
	out  []byte // waits to be written
	last uint64 // number of the last frame that has been put into out: the link carries what is in it, or ends
}

// add appends a frame to what is to be written, unless more than limit would wait. A frame that is longer by itself goes alone.
func (l *link) add(frame []byte, limit int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.out) > 0 && len(l.out)+len(frame) > limit {
		return false
	}
	l.out = append(l.out, frame...)
	return true
}

// send appends a frame of the machine's, unless it is on its way already, or there is no room for it: then those behind it are left out, too, and the machine sends them again.
func (l *link) send(f wire.Frame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case f.Number == 0:
	case f.Number <= l.last || l.last > 0 && f.Number > l.last+1 || len(l.out) >= mostNumbered:
		return
	default:
		l.last = f.Number
	}
	l.out = wire.Append(l.out, f)
}

// alive has the machine know that the link works, though it may not have brought whole frames.
func (l *link) alive(m *machine.Machine) {
	if heard, moved := l.heard.Swap(false), l.moved.Swap(false); heard || moved {
		m.Alive(l.peer, heard, moved)
	}
}

// flush has what waits written.
func (l *link) flush() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *link) close() {
	l.once.Do(func() {
		close(l.over)
		l.conn.NetConn().Close() // without a word of TLS, which would wait for a peer that does not read
	})
}

// write is the goroutine that writes: all that has gathered while it wrote before goes out at once.
func (l *link) write() {
	defer l.down()
	var spare []byte
	for {
		l.mu.Lock()
		due := l.out
		l.out = spare[:0]
		l.mu.Unlock()
		if len(due) == 0 {
			spare = due
			select {
			case <-l.over:
				return
			case <-l.wake:
			}
			continue
		}
		for rest := due; len(rest) > 0; {
			n, err := l.conn.Write(rest[:min(len(rest), chunk)])
			if err != nil {
				return
			}
			if rest = rest[n:]; len(rest) > 0 {
				l.moved.Store(true)
			}
		}
		if spare = due; cap(spare) > mostLoose {
			spare = nil
		}
	}
}

// read is the goroutine that reads.
func (l *link) read() {
	defer l.down()
	r := bufio.NewReaderSize(l.conn, readBuffer)
	var frames []wire.Frame
	unread := 0
	for {
		f, size, err := l.next(r)
		if err != nil {
			return
		}
		l.heard.Store(true)
		if f.Body == nil {
			l.moved.Store(true)
		} else {
			frames = append(frames, f)
			unread += size
		}
		if len(frames) == 0 || whole(r) && len(frames) < mostTogether && unread < mostUnread {
			continue
		}
		all := frames
		frames = nil
		handled := make(chan struct{})
		l.n.inbox.put(func() {
			l.n.take(l, all)
			close(handled)
		})
		if unread >= mostUnread {
			unread = 0
			select {
			case <-handled:
			case <-l.over:
				return
			}
		}
	}
}

// whole tells whether another frame is in the buffer already.
func whole(r *bufio.Reader) bool {
	if r.Buffered() < 4 {
		return false
	}
	prefix, _ := r.Peek(4)
	n, err := wire.Length([4]byte(prefix), wire.MaxFrame)
	return err == nil && r.Buffered() >= 4+n
}

// next reads a frame. One of QoS 0 is delivered where it lies; Body is nil then.
func (l *link) next(r *bufio.Reader) (f wire.Frame, size int, err error) {
	prefix, err := r.Peek(4)
	if err != nil {
		return f, 0, err
	}
	n, err := wire.Length([4]byte(prefix), wire.MaxFrame)
	if err != nil {
		return f, 0, err
	}
	if 4+n <= readBuffer {
		data, err := r.Peek(4 + n)
		if err != nil {
			return f, 0, err
		}
		if data = data[4:]; wire.Kind(data[0]) != wire.KindLoose {
			data = bytes.Clone(data)
		}
		if f, err = l.decode(data); err != nil {
			return f, 0, err
		}
		_, err = r.Discard(4 + n)
		return f, n, err
	}
	_, _ = r.Discard(4) // they are there
	data, err := l.readLong(r, n)
	if err != nil {
		return f, 0, err
	}
	f, err = l.decode(data)
	return f, n, err
}

// readLong reads n bytes into memory that grows as they come, so that a length alone takes none.
func (l *link) readLong(r io.Reader, n int) ([]byte, error) {
	var data bytes.Buffer
	for data.Len() < n {
		if _, err := io.CopyN(&data, r, int64(min(n-data.Len(), chunk))); err != nil {
			return nil, err
		}
		l.heard.Store(true)
		l.moved.Store(true)
	}
	return data.Bytes(), nil
}

func (l *link) decode(data []byte) (wire.Frame, error) {
	f, err := wire.Decode(data)
	if loose, ok := f.Body.(*wire.Loose); ok && err == nil {
		l.traffic.in.Add(uint64(len(loose.Payloads)))
		l.n.host.Loose(&loose.Run)
		return wire.Frame{}, nil
	}
	return f, err
}

// down ends a link.
func (l *link) down() {
	l.close()
	l.n.inbox.put(func() { l.n.lost(l) })
}
