package listener

import (
	"math/bits"
	"runtime"
)

// smallLeftover is how much of an incomplete packet is copied in front of the shared buffer at each read, so that what
// follows it is still taken in one large read. Copying more costs more than the extra read of the other way.
const smallLeftover = 16 << 10

// largeMove is the size from which the memory for an incomplete packet is made and filled while nobody else waits for it (see [inbox.scarce]):
// fresh memory may cost 10 ms for each MiB where a hypervisor hands it out.
const largeMove = 4 << 20

// ownRead is how much is read at a time straight into a connection's own memory, so that the others get their turn.
const ownRead = 1 << 20

// inbox keeps what a connection has sent and its client has not consumed. It is empty, and owns nothing, unless a packet
// is incomplete or the connection is paused.
//
// Reading goes: space, read into it, arrived, Client.Read with what arrived returned, keep; before space, what scarce asks for is made.
type inbox struct {
	left []byte // not consumed yet, in memory of the connection's own
	need int    // the client is not called with fewer bytes than this
}

// own tells whether the next read goes straight into the connection's own memory: a large packet, of which much is here already.
func (in *inbox) own() bool { return len(in.left) > smallLeftover }

// space returns where to read to: shared, behind a copy of what is left, or the connection's own memory. That grows by
// doubling, so never by more than what has arrived, and is never read to beyond the packet's end when that is known.
func (in *inbox) space(shared []byte, s *spares) []byte {
	n := len(in.left)
	if !in.own() {
		copy(shared, in.left)
		return shared[n:]
	}
	if cap(in.left) == n {
		in.grow(n+1, s)
	}
	end := min(cap(in.left), n+ownRead)
	if in.need > n {
		end = min(end, in.need)
	}
	return in.left[n:end]
}

// scarce returns the size of the memory that is to be made with [enlarged], and given to in.left, before n more bytes are taken in: so large that
// who feeds this connection does it while nobody else waits. Mostly it is 0: there is room, or making it takes no time.
func (in *inbox) scarce(n int) int {
	n += len(in.left)
	if in.need > len(in.left) {
		n = min(n, in.need)
	}
	if n <= cap(in.left) {
		return 0
	}
	if size := in.size(n); size >= largeMove {
		return size
	}
	return 0
}

// size is how much memory what is left moves to when it is to hold n bytes: twice as much as there is, but no more than the packet takes, as a
// large one may be kept by the client ([OwnedFrom]); and not much more than n for what follows a packet that is complete.
func (in *inbox) size(n int) int {
	if in.need >= n {
		return min(max(n, 2*len(in.left)), in.need)
	}
	return n + min(n, largeMove)
}

// grow moves what is left to memory for n bytes at least.
func (in *inbox) grow(n int, s *spares) {
	size := in.size(n)
	if size >= largeMove {
		in.left = enlarged(in.left, size)
		return
	}
	bigger := append(s.get(size), in.left...)
	s.put(in.left)
	in.left = bigger
}

// enlarged returns a copy of left in memory of a size. It is made piece by piece: within a single copy the runtime cannot stop a goroutine, so its
// garbage collector, and then everybody, would stand still until many MiB are done.
func enlarged(left []byte, size int) []byte {
	const piece = 64 << 10
	bigger := make([]byte, len(left), size)
	for at := 0; at < len(left); at += piece {
		copy(bigger[at:], left[at:min(at+piece, len(left))])
		runtime.Gosched()
	}
	return bigger
}

// add appends to what is left.
func (in *inbox) add(p []byte, s *spares) {
	if n := len(in.left) + len(p); n > cap(in.left) {
		in.grow(n, s)
	}
	in.left = append(in.left, p...)
}

// arrived takes note of n bytes read into what space returned, and returns all bytes to present; nil when fewer than the
// client needs.
func (in *inbox) arrived(shared []byte, n int, s *spares) []byte {
	if in.own() {
		in.left = in.left[:len(in.left)+n]
		if len(in.left) < in.need {
			return nil
		}
		return in.left
	}
	b := shared[:len(in.left)+n]
	if len(b) < in.need {
		in.add(b[len(in.left):], s)
		return nil
	}
	return b
}

// push takes note of bytes that were read elsewhere, of as many as it returns: all, or those up to the end of a large packet. It returns all bytes to
// present, too; nil when fewer than the client needs. joined is where a small leftover and p are put together; what is returned is in p, in joined,
// or in left itself.
func (in *inbox) push(p, joined []byte, s *spares) (b []byte, taken int) {
	n := len(in.left)
	if in.own() && in.need > n {
		p = p[:min(len(p), in.need-n)]
	}
	switch {
	case n+len(p) < in.need || in.own() || n+len(p) > len(joined):
		in.add(p, s)
		if len(in.left) < in.need {
			return nil, len(p)
		}
		return in.left, len(p)
	case n == 0:
		return p, len(p)
	}
	copy(joined, in.left)
	copy(joined[n:], p)
	return joined[:n+len(p)], len(p)
}

// keep stores what the client left of b: all but the first n bytes. b is what arrived or push returned, or left itself.
func (in *inbox) keep(b []byte, n, need int, s *spares) {
	rest := b[n:]
	if len(rest) == 0 {
		s.put(in.left)
		in.left, in.need = nil, 0
		return
	}
	in.need = need
	if c := cap(in.left); c >= len(rest) && c <= max(4*len(rest), minSpare) {
		in.left = in.left[:len(rest)]
		copy(in.left, rest) // which may be the same memory, and then even the same place
		return
	}
	kept := append(s.get(len(rest)), rest...)
	s.put(in.left)
	in.left = kept
}

const (
	minSpare = 64
	maxSpare = OwnedFrom / 2 // so what may be the client's is never used again
)

// spares are buffers that inboxes have given back, one of each power of two from minSpare to maxSpare: at most 1 MiB.
type spares struct {
	free [20][]byte // by the logarithm of the size
}

// get returns an empty buffer for n bytes: of at most twice that size, or exactly that one beyond maxSpare.
func (s *spares) get(n int) []byte {
	if n > maxSpare {
		return make([]byte, 0, n)
	}
	class := bits.Len(uint(max(n, minSpare) - 1))
	if b := s.free[class]; b != nil {
		s.free[class] = nil
		return b
	}
	return make([]byte, 0, 1<<class)
}

// put gives a buffer back.
func (s *spares) put(b []byte) {
	if c := cap(b); c >= minSpare && c <= maxSpare {
		s.free[bits.Len(uint(c-1))] = b[:0]
	}
}
