package record

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// What is longer than a copy at a time comes out whole.
func TestLong(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, length := range []int{0, 1, atOnce - 1, atOnce, atOnce + 1, 3 * atOnce, 3*atOnce + 7} {
		b := make([]byte, length)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		record := Append([]byte("head"), b)
		if !bytes.Equal(record, Append([]byte("head"), string(b))) {
			t.Errorf("%d bytes differ as text", length)
		}
		r := NewReader("test", record[len("head"):])
		got := r.Bytes(1<<30, "bytes")
		if err := r.End(); err != nil || !bytes.Equal(got, b) || string(record[:4]) != "head" {
			t.Errorf("%d bytes: %d, %v", length, len(got), err)
		}
		head, tail := Clone([]byte("head"), b)
		if string(head) != "head" || !bytes.Equal(tail, b) {
			t.Errorf("%d bytes are cloned as %q and %d bytes", length, head, len(tail))
		}
		if _ = append(head, 'x'); length > 0 && tail[0] != b[0] {
			t.Error("the head runs into the tail")
		}
	}
}
