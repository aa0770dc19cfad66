package session

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// peer is a client at the other end of a connection that may break at any time, as simple as one can be written: what has been sent and not
// read yet is lost with the connection.
type peer struct {
	t       *rapid.T
	wire    []sent            // from the broker, in order, not read yet
	replies []reply           // to the broker, not read yet
	once    map[uint16]bool   // QoS 2 identifiers received and not released
	got     map[string]int    // deliveries to the application, by payload
	order   map[byte][]string // first deliveries, by QoS
	sent    map[uint16]string // what was received last under an identifier, from this broker
}

func newPeer(t *rapid.T) *peer {
	return &peer{t: t, once: map[uint16]bool{}, got: map[string]int{}, order: map[byte][]string{}, sent: map[uint16]string{}}
}

// send puts what an outbox says onto the wire.
func (p *peer) send(d Delivery) {
	s := sent{id: PacketID(d.Seq), qos: d.QoS, release: d.Released, dup: d.Dup}
	if d.Message != nil {
		s.body = string(d.Message.Payload)
	}
	p.wire = append(p.wire, s)
}

type sent struct {
	id      uint16
	qos     byte
	body    string
	release bool
	dup     bool
}

type reply struct {
	id   uint16
	kind byte // 'A' PUBACK, 'R' PUBREC, 'C' PUBCOMP
}

func (p *peer) read() {
	s := p.wire[0]
	p.wire = p.wire[1:]
	switch {
	case s.release:
		delete(p.once, s.id)
		p.replies = append(p.replies, reply{s.id, 'C'})
	case s.qos == 0:
		p.deliver(s)
	case s.qos == 1:
		p.deliver(s)
		p.replies = append(p.replies, reply{s.id, 'A'})
	default:
		if !p.once[s.id] {
			p.once[s.id] = true
			p.deliver(s)
		}
		p.replies = append(p.replies, reply{s.id, 'R'})
	}
}

func (p *peer) deliver(s sent) {
	p.got[s.body]++
	if p.sent[s.id] == s.body && !s.dup {
		p.t.Fatalf("MQTT-3.3.1-1: %q was sent again without DUP", s.body)
	}
	p.sent[s.id] = s.body
	if p.got[s.body] == 1 {
		p.order[s.qos] = append(p.order[s.qos], s.body)
	} else if s.qos == 2 {
		p.t.Fatalf("MQTT-4.3.3: %q was delivered twice", s.body)
	}
}

// TestOutboxKeepsItsPromises offers messages to a session whose connection breaks at any time, and compares what the
// client got with the simple truth: QoS 1 at least once, QoS 2 exactly once, each in order, never more in flight than allowed
// (MQTT-4.3.2-1, MQTT-4.3.3-1, MQTT-4.4.0-1, MQTT-4.6.0-1, MQTT-3.3.4-9).
func TestOutboxKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := rapid.IntRange(1, 5).Draw(t, "window")
		limits := Limits{Window: int32(window), Messages: rapid.Int32Range(0, 20).Draw(t, "queue")}
		var budget Budget
		o := NewOutbox(limits, true, &budget)
		if rapid.Bool().Draw(t, "near the end of the identifiers") {
			o.last = uint64(rapid.IntRange(MaxWindow-4, MaxWindow).Draw(t, "last"))
		}
		p := newPeer(t)
		online := true
		var accepted [3][]string
		n := 0
		pump := func() {
			for online {
				d, outcome := o.Next(0)
				o.Balance()
				if outcome == Nothing {
					return
				}
				p.send(d)
			}
		}
		answer := func() {
			r := p.replies[0]
			p.replies = p.replies[1:]
			switch r.kind {
			case 'A':
				o.Ack(r.id)
			case 'C':
				o.Comp(r.id)
			default:
				if _, _, m := o.Rec(r.id); m == Fits || m == Again {
					p.wire = append(p.wire, sent{id: r.id, release: true})
				}
			}
			pump()
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) { checkWindow(t, &o, window) },
			"offer": func(t *rapid.T) {
				n++
				d, v := o.Offer(Delivery{Message: &Message{Payload: fmt.Append(nil, n)}, QoS: byte(rapid.IntRange(1, 2).Draw(t, "qos"))}, online)
				if v == Send {
					p.send(d)
				}
				if v == Send || v == Queued {
					accepted[d.QoS] = append(accepted[d.QoS], string(d.Message.Payload))
				}
			},
			"enqueue": func(t *rapid.T) {
				if online && o.Room() > 0 {
					return // nobody waits then
				}
				ds := make([]Delivery, rapid.IntRange(1, 4).Draw(t, "messages"))
				for i := range ds {
					n++
					ds[i] = Delivery{Message: &Message{Payload: fmt.Append(nil, n)}, QoS: byte(rapid.IntRange(1, 2).Draw(t, "qos"))}
				}
				taken, v := o.Enqueue(ds)
				if v != Queued && (v != QueueFull || o.Takes(0) != QueueFull) || (taken == len(ds)) != (v == Queued) {
					t.Fatalf("%d of %d taken, verdict %v, while %d wait", taken, len(ds), v, o.Waiting())
				}
				for _, d := range ds[:taken] {
					accepted[d.QoS] = append(accepted[d.QoS], string(d.Message.Payload))
				}
			},
			"client reads": func(*rapid.T) {
				if online && len(p.wire) > 0 {
					p.read()
				}
			},
			"broker reads": func(*rapid.T) {
				if online && len(p.replies) > 0 {
					answer()
				}
			},
			"connection breaks": func(*rapid.T) {
				if online {
					online, p.wire, p.replies = false, nil, nil
					o.Rewind()
				}
			},
			"client returns": func(*rapid.T) {
				if !online {
					online = true
					pump()
				}
			},
		})
		online = true
		pump()
		for len(p.wire) > 0 || len(p.replies) > 0 {
			for len(p.wire) > 0 {
				p.read()
			}
			for len(p.replies) > 0 {
				answer()
			}
		}
		for qos := byte(1); qos <= 2; qos++ {
			if !slices.Equal(p.order[qos], accepted[qos]) {
				t.Fatalf("MQTT-4.6.0-6: QoS %d was accepted as %v and first delivered as %v", qos, accepted[qos], p.order[qos])
			}
		}
		checkEmpty(t, &o, &budget)
	})
}

// checkWindow compares the window with what it promises, and the budget with what waits.
func checkWindow(t *rapid.T, o *Outbox, window int) {
	if o.Inflight() > window {
		t.Fatalf("%d in flight, %d allowed", o.Inflight(), window)
	}
	seen := map[uint16]bool{}
	o.win.each(func(seq uint64, _ entry) {
		id := PacketID(seq)
		if id == 0 || seen[id] {
			t.Fatalf("MQTT-2.2.1-4: identifier %d is in flight twice, or zero", id)
		}
		seen[id] = true
	})
	if len(seen) != o.Inflight() {
		t.Fatalf("%d in flight, %d counted", len(seen), o.Inflight())
	}
	bytes, messages := int64(0), int64(0)
	for i := range o.queue.n {
		if m := o.queue.at(i).Message; m != nil {
			bytes += int64(m.Size())
			messages++
		}
	}
	if o.budget.Used() != bytes || o.budget.Messages() != messages {
		t.Fatalf("%d bytes and %d messages wait, %d and %d are counted", bytes, messages, o.budget.Used(), o.budget.Messages())
	}
}

func checkEmpty(t *rapid.T, o *Outbox, budget *Budget) {
	if o.Inflight() != 0 || o.Waiting() != 0 || o.WaitingBytes() != 0 || o.win.bytes != 0 || budget.Used() != 0 || budget.Messages() != 0 {
		t.Fatalf("left over: %d in flight (%d bytes), %d waiting (%d bytes), %d bytes, %d messages",
			o.Inflight(), o.win.bytes, o.Waiting(), o.WaitingBytes(), budget.Used(), budget.Messages())
	}
}

// TestReserveAgreesWithOffer compares the identifiers that are given out without bodies with the plain truth: a window of identifiers in use.
func TestReserveAgreesWithOffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := rapid.IntRange(1, 40).Draw(t, "window")
		var budget Budget
		o := NewOutbox(Limits{Window: int32(window)}, false, &budget)
		o.last = uint64(rapid.IntRange(MaxWindow-30, MaxWindow).Draw(t, "last"))
		inUse := map[uint16]byte{}
		var ids []uint16
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) {
				if o.Inflight() != len(inUse) {
					t.Fatalf("%d in flight, want %d", o.Inflight(), len(inUse))
				}
			},
			"reserve": func(t *rapid.T) {
				want := rapid.IntRange(1, 10).Draw(t, "n")
				qos := byte(rapid.IntRange(1, 2).Draw(t, "qos"))
				room := o.Room()
				first, n := o.Reserve(want, qos)
				if n > want || n > room || n == 0 && room > 0 || n > 0 && int(PacketID(first))+n-1 > MaxWindow {
					t.Fatalf("Reserve(%d) with room for %d: %d from %d", want, room, n, first)
				}
				for i := range n {
					id := PacketID(first + uint64(i))
					if _, ok := inUse[id]; ok || id == 0 {
						t.Fatalf("identifier %d is in use already", id)
					}
					inUse[id] = qos
					ids = append(ids, id)
				}
			},
			"acknowledge": func(t *rapid.T) {
				if len(ids) == 0 {
					return
				}
				i := rapid.IntRange(0, len(ids)-1).Draw(t, "which")
				id := ids[i]
				ids = slices.Delete(ids, i, i+1)
				step := func(what string, want Match, f func(...uint16) (uint64, int, Match)) {
					if _, _, got := f(id); got != want {
						t.Fatalf("%s %d: %v, want %v", what, id, got, want)
					}
				}
				if inUse[id] == 1 {
					step("PUBREC", OutOfPlace, o.Rec)
					step("PUBACK", Fits, o.Ack)
				} else {
					step("PUBACK", OutOfPlace, o.Ack)
					step("PUBREC", Fits, o.Rec)
					step("PUBREC again", Again, o.Rec)
					step("PUBCOMP", Fits, o.Comp)
				}
				delete(inUse, id)
				step("late PUBACK", Unknown, o.Ack)
				step("late PUBCOMP", Unknown, o.Comp)
			},
		})
	})
}

// TestInboxDeliversOnce is the receiving half against a client that repeats itself whenever its connection breaks (MQTT-4.3.3-2).
func TestInboxDeliversOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in Inbox
		model := map[uint16]bool{}
		id := rapid.Custom(func(t *rapid.T) uint16 { return uint16(rapid.IntRange(1, 2100).Draw(t, "id")) })
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) {
				if in.Len() != len(model) {
					t.Fatalf("%d waiting for PUBREL, want %d", in.Len(), len(model))
				}
			},
			"PUBLISH": func(t *rapid.T) {
				i := id.Draw(t, "id")
				if in.Receive(i) == model[i] {
					t.Fatalf("identifier %d: new is %v", i, model[i])
				}
				model[i] = true
			},
			"PUBREL": func(t *rapid.T) {
				i := id.Draw(t, "id")
				if in.Release(i) != model[i] {
					t.Fatalf("identifier %d: known is %v", i, !model[i])
				}
				delete(model, i)
			},
		})
	})
}

func TestLimits(t *testing.T) {
	message := func(n int) Delivery { return Delivery{Message: &Message{Payload: make([]byte, n)}, QoS: 1} }
	t.Run("messages", func(t *testing.T) {
		var b Budget
		o := NewOutbox(Limits{Window: 1, Messages: 2}, true, &b)
		want := []Verdict{Send, Queued, Queued, QueueFull}
		for i, w := range want {
			if _, v := o.Offer(message(1), true); v != w {
				t.Errorf("offer %d: %v, want %v", i, v, w)
			}
		}
	})
	t.Run("bytes", func(t *testing.T) {
		var b Budget
		o := NewOutbox(Limits{Bytes: 10}, true, &b)
		for i, w := range []Verdict{Queued, BytesFull, Queued} {
			if _, v := o.Offer(message([]int{6, 5, 4}[i]), false); v != w {
				t.Errorf("offer %d: %v, want %v", i, v, w)
			}
		}
	})
	t.Run("budget of all queues, a shared message counted once", func(t *testing.T) {
		var b Budget
		d := message(1000)
		all := &limited{limit: int64(d.Message.Size()) + 500}
		b.CountIn(all)
		one, two := NewOutbox(Limits{}, true, &b), NewOutbox(Limits{}, true, &b)
		_, v1 := one.Offer(d, false)
		_, v2 := two.Offer(d, false)
		_, v3 := two.Offer(message(1000), false)
		if v1 != Queued || v2 != Queued || v3 != BudgetFull {
			t.Errorf("verdicts %v %v %v", v1, v2, v3)
		}
		// Of three at once, there is room for the one that counts already.
		if n, v := one.Enqueue([]Delivery{d, message(1000), d}); n != 1 || v != BudgetFull {
			t.Errorf("%d of three taken, verdict %v", n, v)
		}
		if want := int64(d.Message.Size()); b.Used() != want || all.used != want || b.Messages() != 3 {
			t.Errorf("%d bytes, %d messages, %d in the account, want %d, 3, %[4]d", b.Used(), b.Messages(), all.used, want)
		}
		one.Clear()
		two.Clear()
		if b.Used() != 0 || b.Messages() != 0 || all.used != 0 {
			t.Errorf("%d bytes, %d messages, %d in the account after Clear", b.Used(), b.Messages(), all.used)
		}
	})
	t.Run("bytes in flight", func(t *testing.T) {
		var b Budget
		o := NewOutbox(Limits{WindowBytes: 10}, false, &b)
		d, v1 := o.Offer(message(10), true)
		_, v2 := o.Offer(message(1), true)
		if v1 != Send || v2 != Queued {
			t.Fatalf("verdicts %v %v", v1, v2)
		}
		o.Ack(PacketID(d.Seq))
		if _, outcome := o.Next(0); outcome != Taken {
			t.Error("the window did not open again")
		}
	})
	t.Run("expired messages are not sent", func(t *testing.T) { // MQTT-3.3.2-5
		var b Budget
		o := NewOutbox(Limits{}, true, &b)
		d := message(1)
		d.Message.Expires = 100
		o.Offer(d, false)
		if _, outcome := o.Next(100); outcome != Expired {
			t.Errorf("outcome %d, want %d", outcome, Expired)
		}
	})
}

// limited is an account with a limit.
type limited struct{ limit, used int64 }

func (l *limited) Take(n int64) bool {
	if l.used+n > l.limit {
		return false
	}
	l.used += n
	return true
}

func (l *limited) Force(n int64) { l.used += n }
