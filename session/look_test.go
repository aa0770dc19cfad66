package session

import (
	"fmt"
	"testing"
)

// What is in flight and what waits is looked at in the order of the numbers, from any number on, and looking changes nothing.
func TestLook(t *testing.T) {
	o := NewOutbox(Limits{Window: 3}, true, &Budget{})
	for i := range 6 {
		if d, v := o.Offer(Delivery{Message: &Message{Topic: fmt.Sprint(i)}, QoS: byte(1 + i%2)}, true); v == Send && d.Seq != uint64(i+1) {
			t.Fatalf("message %d has the number %d", i, d.Seq)
		}
	}
	o.Rec(PacketID(2)) // the second is of QoS 2
	for after := range uint64(7) {
		for _, most := range []int{1, 2, 10} {
			var got []string
			o.Look(after, func(d *Delivery, s Stage) bool {
				text := "-"
				if d.Message != nil {
					text = d.Message.Topic
				}
				got = append(got, fmt.Sprintf("%d %s q%d %s", d.Seq, text, d.QoS, s))
				return len(got) < most
			})
			all := []string{"1 0 q1 sent", "2 - q2 released", "3 2 q1 sent", "4 3 q2 queued", "5 4 q1 queued", "6 5 q2 queued"}
			if want := all[after:][:min(most, 6-int(after))]; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("behind %d, at most %d: %q, want %q", after, most, got, want)
			}
		}
	}
	if o.Inflight() != 3 || o.Waiting() != 3 {
		t.Errorf("afterwards %d are in flight and %d wait", o.Inflight(), o.Waiting())
	}
}
