package session

import (
	"slices"
	"testing"
)

// TestNeverAcknowledged has a client leave some messages unacknowledged for good, while more than a round of packet identifiers is given out after
// them, some of them out of a queue: the others go on, no identifier is in flight twice, and what was left is sent again on the next connection, first.
func TestNeverAcknowledged(t *testing.T) {
	for _, c := range []struct {
		name         string
		keep, stored bool
		window       int32
		qos          byte
	}{
		{"session that ends with its connection", false, false, 20, 1},
		{"session that survives", true, false, 20, 1},
		{"QoS 2", true, false, 20, 2},
		{"stored session", true, true, 20, 1},
		{"as many as there are", true, false, MaxWindow, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var budget Budget
			o := NewOutbox(Limits{Window: c.window}, c.keep, &budget)
			o.Stored = c.stored
			never := map[uint64]bool{1: true, 3: true, 40_000: true}
			inFlight := map[uint16]uint64{}
			sent := func(seq uint64) {
				id := PacketID(seq)
				if other := inFlight[id]; other != 0 {
					t.Fatalf("identifier %d is in flight for %d and %d", id, other, seq)
				}
				inFlight[id] = seq
			}
			message := &Message{Payload: []byte("x")}
			n := 0
			answer := func() {
				for id, seq := range inFlight {
					if never[seq] {
						continue
					}
					got, _, m := o.Ack(id)
					if c.qos == 2 {
						if got, _, m = o.Rec(id); m == Fits {
							got, _, m = o.Comp(id)
						}
					}
					if m != Fits || got != seq {
						t.Fatalf("acknowledging %d: %d, %d, want number %d", id, got, m, seq)
					}
					delete(inFlight, id)
				}
			}
			for round := 0; n < 140_000; round++ {
				for range 30 {
					n++
					if !o.KeepsBodies() && !c.stored && o.Room() > 0 {
						first, taken := o.Reserve(1, c.qos)
						if taken != 1 {
							t.Fatal("nothing reserved")
						}
						sent(first)
						continue
					}
					d, v := o.Offer(Delivery{Message: message, QoS: c.qos}, true)
					if v > Away {
						t.Fatalf("verdict %d", v)
					}
					if v == Send {
						sent(d.Seq)
					}
				}
				for o.Waiting() > 0 {
					d, outcome := o.Next(0)
					o.Balance()
					if outcome == Nothing {
						answer()
						d, outcome = o.Next(0)
						o.Balance()
					}
					if outcome != Taken {
						t.Fatalf("after %d messages nothing moves on: %d wait, %d in flight", n, o.Waiting(), o.Inflight())
					}
					sent(d.Seq)
				}
				answer()
			}
			if o.Inflight() != len(never) {
				t.Fatalf("%d in flight, want %d", o.Inflight(), len(never))
			}
			o.Rewind()
			if c.stored {
				if r, ok := o.Read(); !ok || r.After != 0 || o.Away() != len(never) {
					t.Errorf("Read: %+v, %v; %d away", r, ok, o.Away())
				}
				return
			}
			for _, want := range []uint64{1, 3, 40_000} {
				if !c.keep {
					break
				}
				if d, outcome := o.Next(0); outcome != Taken || d.Seq != want || !d.Dup {
					t.Errorf("sent again: %d (DUP %v), outcome %d, want %d", d.Seq, d.Dup, outcome, want)
				}
				o.Balance()
			}
			for _, seq := range []uint64{40_000, 1, 3} {
				if c.keep && c.qos == 1 {
					o.Ack(PacketID(seq))
				}
			}
			o.Clear()
			if budget.Used() != 0 || o.win.bytes != 0 {
				t.Errorf("%d bytes, %d in flight are left", budget.Used(), o.win.bytes)
			}
		})
	}
}

// TestNeverAcknowledgedBeforeALongQueue: a message that is never acknowledged does not stop a queue of several rounds of packet identifiers that came after it.
func TestNeverAcknowledgedBeforeALongQueue(t *testing.T) {
	for _, stored := range []bool{false, true} {
		var budget Budget
		o := NewOutbox(Limits{Window: 20}, true, &budget)
		o.Stored = stored
		message := &Message{Payload: []byte("x")}
		var away []Delivery
		const count = 3 * MaxWindow
		for i := range count {
			d, v := o.Offer(Delivery{Message: message, QoS: 1}, true)
			switch {
			case (v == Send) != (i < 20) || v > Away:
				t.Fatalf("message %d: verdict %d", i, v)
			case v == Away:
				away = append(away, d)
			}
		}
		last := uint64(0)
		acknowledge := func(seq uint64) {
			if seq <= last {
				t.Fatalf("%d comes after %d", seq, last)
			}
			if last = seq; seq == 1 {
				return // never
			}
			if _, _, m := o.Ack(PacketID(seq)); m != Fits {
				t.Fatalf("acknowledging %d: %d", seq, m)
			}
		}
		for seq := range uint64(20) {
			acknowledge(seq + 1)
		}
		for n := 20; n < count; n++ {
			if r, ok := o.Read(); ok {
				k := min(len(away), 200)
				o.Fill(r, away[:k], k == len(away))
				away = away[k:]
			}
			d, outcome := o.Next(0)
			o.Balance()
			if outcome != Taken {
				t.Fatalf("stored %v: nothing moves on after %d messages: %d wait, %d in flight", stored, n, o.Waiting(), o.Inflight())
			}
			acknowledge(d.Seq)
		}
	}
}

// TestManyNeverAcknowledged: a client that acknowledges hardly anything gets no more in the end, and costs no more with each message.
func TestManyNeverAcknowledged(t *testing.T) {
	var budget Budget
	o := NewOutbox(Limits{}, false, &budget)
	for range 300_000 {
		first, n := o.Reserve(1, 1)
		if n == 0 {
			break
		}
		if first%32 == 0 {
			o.Ack(PacketID(first))
		}
	}
	if len(o.win.late) > maxLate || o.Inflight() > MaxWindow {
		t.Errorf("%d are late, %d in flight", len(o.win.late), o.Inflight())
	}
	if _, n := o.Reserve(1, 1); n != 0 {
		t.Error("there is room for another message")
	}
}

// TestExpiryEndsWithDelivery: what may have been sent is sent again though its expiry interval has passed, and what has not is dropped (MQTT-3.3.2-5,
// MQTT-4.4.0-1).
func TestExpiryEndsWithDelivery(t *testing.T) {
	for _, qos := range []byte{1, 2} {
		var budget Budget
		o := NewOutbox(Limits{Window: 1}, true, &budget)
		for range 2 {
			o.Offer(Delivery{Message: &Message{Expires: 100}, QoS: qos}, true)
		}
		o.Rewind()
		d, outcome := o.Next(200)
		o.Balance()
		if outcome != Taken || d.Seq != 1 || !d.Dup {
			t.Errorf("QoS %d: outcome %d, number %d", qos, outcome, d.Seq)
		}
		if d, outcome = o.Next(200); outcome != Expired || d.Seq != 2 {
			t.Errorf("QoS %d: outcome %d, number %d, want the second to be dropped", qos, outcome, d.Seq)
		}
	}
}

// TestUnacknowledged: what a session leaves to other members of a shared group.
func TestUnacknowledged(t *testing.T) {
	var budget Budget
	o := NewOutbox(Limits{Window: 3}, false, &budget)
	o.Shared = true
	offer := func(name string, qos byte) {
		o.Offer(Delivery{Message: &Message{Payload: []byte(name)}, QoS: qos}, true)
	}
	offer("acknowledged", 1)
	offer("sent at QoS 1", 1)
	offer("sent at QoS 2", 2)
	offer("waits at QoS 1", 1)
	offer("waits at QoS 2", 2)
	offer("waits at QoS 0", 0)
	o.Ack(1)
	var got []string
	for _, d := range o.Unacknowledged() {
		got = append(got, string(d.Message.Payload))
	}
	want := []string{"sent at QoS 1", "waits at QoS 1", "waits at QoS 2"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	o.Rewind()
	if left := o.Unacknowledged(); len(left) != 3 {
		t.Errorf("%d are left when the connection has ended, want 3", len(left))
	}
}
