package listener

import (
	"bytes"
	"testing"
)

// What is presented in one piece of OwnedFrom bytes or more, and consumed, is the client's: nothing is read into it later.
func TestOwned(t *testing.T) {
	for _, size := range []int{OwnedFrom, OwnedFrom + 5, 2 * OwnedFrom, 3*OwnedFrom + 1} {
		for _, pushed := range []bool{false, true} {
			var in inbox
			var s spares
			shared, joined := make([]byte, 256<<10), make([]byte, streamBuffer+smallLeftover)
			receive := func(fill byte) (all []byte) {
				for got := 0; got < size; {
					var b []byte
					if pushed {
						chunk := bytes.Repeat([]byte{fill}, min(streamBuffer, size-got))
						var n int
						b, n = in.push(chunk, joined, &s)
						got += n
					} else {
						space := in.space(shared, &s)
						n := min(len(space), size-got)
						copy(space, bytes.Repeat([]byte{fill}, n))
						got += n
						b = in.arrived(shared, n, &s)
					}
					switch {
					case b == nil:
					case len(b) < size:
						in.keep(b, 0, size, &s)
					default:
						if len(b) != size || cap(b) > size+size/4 {
							t.Errorf("%d bytes presented in %d, want %d", len(b), cap(b), size)
						}
						in.keep(b, size, 0, &s)
						all = b
					}
				}
				return all
			}
			first := receive(1)
			for range 3 {
				receive(2)
			}
			if !bytes.Equal(first, bytes.Repeat([]byte{1}, size)) {
				t.Errorf("%d bytes (pushed: %v) have been written over", size, pushed)
			}
		}
	}
}

// Whoever makes what scarce asks for before each read never makes room for megabytes, nor moves them, within the read; and what is made never
// takes much more than the packet does.
func TestScarce(t *testing.T) {
	const size = 3*largeMove + 5
	packet := make([]byte, size)
	for i := range packet {
		packet[i] = byte(i * 7)
	}
	following := []byte("the next packet")
	for _, pushed := range []bool{false, true} {
		var in inbox
		var s spares
		shared, joined := make([]byte, 256<<10), make([]byte, streamBuffer+smallLeftover)
		moves := 0
		move := func(n int) {
			if size := in.scarce(n); size > 0 {
				in.left = enlarged(in.left, size)
				moves++
			}
		}
		var got, rest []byte
		present := func(b []byte) {
			switch {
			case got != nil:
				rest = append(rest, b...)
				in.keep(b, len(b), 0, &s)
			case len(b) < size:
				in.keep(b, 0, size, &s)
			default:
				got = b
				in.keep(b, size, 0, &s)
			}
		}
		take := func(p []byte) []byte {
			if pushed {
				b, n := in.push(p[:min(len(p), streamBuffer)], joined, &s)
				if b != nil {
					present(b)
				}
				return p[n:]
			}
			n := copy(in.space(shared, &s), p)
			if b := in.arrived(shared, n, &s); b != nil {
				present(b)
			}
			return p[n:]
		}
		for p := append(bytes.Clone(packet), following...); len(p) > 0; {
			if pushed {
				move(2 * streamBuffer)
			} else {
				move(1)
			}
			before := cap(in.left)
			p = take(p)
			if c := cap(in.left); c > before && c >= largeMove {
				t.Fatalf("pushed %v: a read made room for %d bytes", pushed, c)
			}
		}
		if !bytes.Equal(got, packet) || !bytes.Equal(rest, following) || cap(got) > size || moves < 2 {
			t.Errorf("pushed %v: %d bytes in %d after %d moves, then %q", pushed, len(got), cap(got), moves, rest)
		}
	}
}
