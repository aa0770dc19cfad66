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
						got += len(chunk)
						b = in.push(chunk, joined, &s)
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
