package listener

import "math/bits"

// smallLeftover is how much of an incomplete packet is copied in front of the shared buffer at each read, so that what
// follows it is still taken in one large read. Copying more costs more than the extra read of the other way.
const smallLeftover = 16 << 10

// inbox keeps what a connection has sent and its client has not consumed. It is empty, and owns nothing, unless a packet
// is incomplete or the connection is paused.
//
// Reading goes: space, read into it, arrived, Client.Read with what arrived returned, keep.
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
	end := cap(in.left)
	if in.need > n {
		end = min(end, in.need)
	}
	return in.left[n:end]
}

// grow moves what is left to memory for n bytes at least: twice as much as there is, but no more than the packet takes, as
// a large one may be kept by the client ([OwnedFrom]).
func (in *inbox) grow(n int, s *spares) {
	size := max(n, 2*len(in.left))
	if in.need >= n {
		size = min(size, in.need)
	}
	bigger := append(s.get(size), in.left...)
	s.put(in.left)
	in.left = bigger
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

// push takes note of bytes that were read elsewhere, and returns all bytes to present; nil when fewer than the client needs.
// joined is where a small leftover and p are put together; what is returned is in p, in joined, or in left itself.
func (in *inbox) push(p, joined []byte, s *spares) []byte {
	n := len(in.left)
	switch {
	case n+len(p) < in.need || in.own() || n+len(p) > len(joined):
		in.add(p, s)
		if len(in.left) < in.need {
			return nil
		}
		return in.left
	case n == 0:
		return p
	}
	copy(joined, in.left)
	copy(joined[n:], p)
	return joined[:n+len(p)]
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
