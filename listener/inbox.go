package listener

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
// doubling, so never by more than what has arrived, and never beyond the packet's end when that is known.
func (in *inbox) space(shared []byte) []byte {
	n := len(in.left)
	if !in.own() {
		copy(shared, in.left)
		return shared[n:]
	}
	limit := 2 * n
	if in.need > n {
		limit = min(limit, in.need)
	}
	if cap(in.left) == n {
		grown := make([]byte, n, limit)
		copy(grown, in.left)
		in.left = grown
	}
	end := cap(in.left)
	if in.need > n {
		end = min(end, in.need)
	}
	return in.left[n:end]
}

// arrived takes note of n bytes read into what space returned, and returns all bytes to present; nil when fewer than the
// client needs.
func (in *inbox) arrived(shared []byte, n int) []byte {
	if in.own() {
		in.left = in.left[:len(in.left)+n]
		if len(in.left) < in.need {
			return nil
		}
		return in.left
	}
	b := shared[:len(in.left)+n]
	if len(b) < in.need {
		in.left = append(in.left, b[len(in.left):]...)
		return nil
	}
	return b
}

// keep stores what the client left of b: all but the first n bytes. b is what arrived returned, or left itself.
func (in *inbox) keep(b []byte, n, need int) {
	rest := b[n:]
	if len(rest) == 0 {
		in.left, in.need = nil, 0
		return
	}
	in.need = need
	switch {
	case in.own() && n == 0:
		// Still in place.
	case cap(in.left) >= len(rest) && cap(in.left) <= 4*len(rest):
		in.left = append(in.left[:0], rest...) // may overlap: append moves as copy does
	default:
		in.left = append([]byte(nil), rest...)
	}
}

// push takes note of bytes that were read elsewhere, and returns all bytes to present; nil when fewer than the client needs.
// joined is where a small leftover and p are put together; what is returned is in p, in joined, or in left itself.
func (in *inbox) push(p, joined []byte) []byte {
	n := len(in.left)
	switch {
	case n+len(p) < in.need || in.own() || n+len(p) > len(joined):
		in.left = append(in.left, p...) // grows by doubling at most
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
