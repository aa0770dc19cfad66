package session

import (
	"testing"

	"pgregory.net/rapid"
)

// TestSeries: acknowledgements that are taken together do what they do one by one, whatever order and kind they have: around the end of the identifiers and of the ring,
// and with some that come twice or that nothing waits for.
func TestSeries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keep := rapid.Bool().Draw(t, "keep")
		var budget Budget
		one, many := NewOutbox(Limits{}, keep, &budget), NewOutbox(Limits{}, keep, &budget)
		send := func(o *Outbox, n int, qos byte) {
			for range n {
				if o.KeepsBodies() {
					o.Offer(Delivery{Message: &Message{Payload: []byte("x")}, QoS: qos}, true)
				} else {
					o.Reserve(1, qos)
				}
			}
		}
		acknowledge := func(kind byte, ids []uint16) {
			for n := 0; len(ids) > 0; ids = ids[n:] {
				seq, taken, match := ack(&many, kind, ids)
				if n = taken; n < 1 || n > len(ids) {
					t.Fatalf("%d of %d identifiers taken", n, len(ids))
				}
				for k, id := range ids[:n] {
					alone, _, m := ack(&one, kind, []uint16{id})
					if m != match || m == Fits && alone != seq+uint64(k) {
						t.Fatalf("%c %d: number %d, %d; together %d, %d", kind, id, seq+uint64(k), match, alone, m)
					}
				}
			}
		}
		skip := rapid.SampledFrom([]int{0, 10, 65525}).Draw(t, "skipped") // so that identifiers start again soon
		for range skip {
			one.Skip()
			many.Skip()
		}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			n, qos := rapid.IntRange(0, 40).Draw(t, "sent"), byte(rapid.IntRange(1, 2).Draw(t, "qos"))
			send(&one, n, qos)
			send(&many, n, qos)
			first := uint16(one.last) - rapid.Uint16Range(0, 60).Draw(t, "back")
			var ids []uint16
			for len(ids) < 80 {
				for range rapid.IntRange(1, 50).Draw(t, "in a row") {
					ids = append(ids, first)
					first++
				}
				first += rapid.Uint16Range(0, 3).Draw(t, "passed over") - 1
			}
			acknowledge(rapid.SampledFrom([]byte("ARC")).Draw(t, "kind"), ids)
			if one.Inflight() != many.Inflight() || one.win.bytes != many.win.bytes || one.Room() != many.Room() || one.win.oldest() != many.win.oldest() {
				t.Fatalf("in flight %d and %d, bytes %d and %d, room %d and %d, from %d and %d", one.Inflight(), many.Inflight(), one.win.bytes, many.win.bytes,
					one.Room(), many.Room(), one.win.oldest(), many.win.oldest())
			}
		}
	})
}

func ack(o *Outbox, kind byte, ids []uint16) (seq uint64, n int, m Match) {
	switch kind {
	case 'A':
		return o.Ack(ids...)
	case 'C':
		return o.Comp(ids...)
	}
	return o.Rec(ids...)
}
