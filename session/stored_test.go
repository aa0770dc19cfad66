package session

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// shelf is a store as simple as one can be written: operations become durable in order, later than they are handed over, and a crash forgets those
// that have not.
type shelf struct {
	kept    map[uint64]Delivery
	marks   Kept // Last and Sent, as of the last time the client went offline in good order
	offline bool // marks are of now
	pending []change
}

type change struct {
	apply func(*shelf)
	safe  func() // called when it is durable; may be nil
}

func (s *shelf) commit(n int) {
	for range n {
		c := s.pending[0]
		s.pending = s.pending[1:]
		c.apply(s)
		if c.safe != nil {
			c.safe()
		}
	}
}

// crash returns what a broker that starts again finds.
func (s *shelf) crash() Kept {
	s.pending = nil
	k := Kept{Messages: len(s.kept), Last: s.marks.Last, Sent: s.marks.Sent}
	for seq, d := range s.kept {
		k.Bytes += d.size()
		k.Last = max(k.Last, seq)
		if k.First == 0 || seq < k.First {
			k.First = seq
		}
	}
	if !s.offline {
		k.Sent = k.Last // anything may have been sent
	}
	return k
}

// TestStoredOutboxKeepsItsPromises offers messages to a stored session, whose publisher repeats what was not acknowledged, while the connection
// breaks, the broker crashes and starts again, and the store is late, at any time. QoS 1 arrives at least once, QoS 2 exactly once, each in order, and nothing that was
// acknowledged is lost.
func TestStoredOutboxKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := rapid.IntRange(1, 5).Draw(t, "window")
		limits := Limits{Window: int32(window)}
		var budget Budget
		o := NewOutbox(limits, true, &budget)
		o.Stored = true
		disk := &shelf{kept: map[uint64]Delivery{}}
		if rapid.Bool().Draw(t, "near the end of the identifiers") {
			o.last = uint64(rapid.IntRange(MaxWindow-4, MaxWindow).Draw(t, "last"))
			o.loaded = o.last
			disk.marks.Last = o.last
		}
		p := newPeer(t)
		online := true
		var accepted [3][]string
		var publisher []Delivery // what has been published and not acknowledged, in order; the first of it is under way
		underway := false
		life := 0 // of the broker: what was promised in an earlier one counts no more
		var reading *Reading
		n := 0

		remove := func(seq uint64) {
			disk.pending = append(disk.pending, change{apply: func(s *shelf) { delete(s.kept, seq) }})
		}
		pump := func() {
			for online {
				d, outcome := o.Next(0)
				o.Balance()
				if outcome == Nothing {
					break
				}
				p.send(d)
			}
			if online && reading == nil {
				if r, ok := o.Read(); ok {
					reading = &r
				}
			}
		}
		publish := func() {
			if underway || len(publisher) == 0 {
				return
			}
			d := publisher[0]
			d.Held = d.QoS == 2
			underway = true
			d, v := o.Offer(d, online)
			if v == Send {
				p.send(d)
			}
			held, this := d.Held, life
			d.Held = false
			disk.pending = append(disk.pending, change{
				apply: func(s *shelf) { s.kept[d.Seq] = d; s.offline = s.offline && !online },
				safe: func() {
					if this != life {
						return
					}
					accepted[d.QoS] = append(accepted[d.QoS], string(d.Message.Payload))
					publisher, underway = publisher[1:], false
					if held {
						o.Settle(d.Seq)
						pump()
					}
				},
			})
		}
		answer := func() {
			r := p.replies[0]
			p.replies = p.replies[1:]
			switch r.kind {
			case 'A':
				if seq, _, m := o.Ack(r.id); m == Fits {
					remove(seq)
				}
			case 'C':
				if seq, _, m := o.Comp(r.id); m == Fits {
					remove(seq)
				}
			default:
				seq, _, m := o.Rec(r.id)
				if m != Fits {
					break // PUBREL for one that has come before goes out with the first
				}
				wire := p
				disk.pending = append(disk.pending, change{
					apply: func(s *shelf) { s.kept[seq] = Delivery{Seq: seq, QoS: 2, Released: true} },
					safe: func() {
						if wire == p && online {
							p.wire = append(p.wire, sent{id: r.id, release: true})
						}
					},
				})
			}
			pump()
		}
		disconnect := func() {
			online, p.wire, p.replies = false, nil, nil
			// What waits for a commit to be answered goes nowhere: a new value tells the next connection from this one.
			next := *p
			p = &next
			o.Rewind()
			last, sent := o.Marks()
			disk.pending = append(disk.pending, change{apply: func(s *shelf) { s.marks.Last, s.marks.Sent, s.offline = last, sent, true }})
		}
		connect := func() {
			online = true
			disk.pending = append(disk.pending, change{apply: func(s *shelf) { s.offline = false }})
			disk.commit(len(disk.pending)) // CONNACK waits for it
			pump()
		}
		fill := func(most int) {
			r := *reading
			reading = nil
			disk.commit(len(disk.pending)) // a reader waits for what was there when it began
			var ds []Delivery
			for _, seq := range slices.Sorted(maps.Keys(disk.kept)) {
				if seq > r.After && seq <= r.UpTo {
					ds = append(ds, disk.kept[seq])
				}
			}
			whole := len(ds) <= most
			o.Fill(r, ds[:min(most, len(ds))], whole)
			pump()
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(*rapid.T) {
				checkWindow(t, &o, window)
				if o.Away() < 0 || o.awayBytes < 0 {
					t.Fatalf("%d messages, %d bytes away", o.Away(), o.awayBytes)
				}
			},
			"publish": func(t *rapid.T) {
				n++
				publisher = append(publisher, Delivery{Message: &Message{Payload: fmt.Append(nil, n)}, QoS: byte(rapid.IntRange(1, 2).Draw(t, "qos"))})
				publish()
			},
			"publish on": func(*rapid.T) { publish() },
			"commit": func(t *rapid.T) {
				disk.commit(rapid.IntRange(0, len(disk.pending)).Draw(t, "how many"))
			},
			"the store is read": func(t *rapid.T) {
				if reading != nil {
					fill(rapid.IntRange(1, 3).Draw(t, "at most"))
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
					disconnect()
				}
			},
			"client returns": func(*rapid.T) {
				if !online {
					connect()
				}
			},
			"broker crashes": func(*rapid.T) {
				life++
				online, p.wire, p.replies, reading, underway = false, nil, nil, nil, false
				next := *p
				p = &next
				maps.DeleteFunc(p.sent, func(_ uint16, body string) bool {
					return !slices.Contains(accepted[1], body) && !slices.Contains(accepted[2], body) // the publisher repeats it: another message to this broker
				})
				o.Clear()
				o = Restore(disk.crash(), limits, &budget)
			},
		})
		if !online {
			connect()
		}
		for len(p.wire)+len(p.replies)+len(publisher)+len(disk.pending) > 0 || reading != nil {
			publish()
			disk.commit(len(disk.pending))
			if reading != nil {
				fill(2)
			}
			for len(p.wire) > 0 {
				p.read()
			}
			for len(p.replies) > 0 {
				answer()
			}
		}
		// A QoS 1 message may have arrived before the crash that kept it from being acknowledged, so its first delivery may come before those
		// that were accepted earlier.
		if !slices.Equal(p.order[2], accepted[2]) {
			t.Fatalf("QoS 2 was accepted as %v and delivered as %v", accepted[2], p.order[2])
		}
		if got, want := slices.Sorted(slices.Values(p.order[1])), slices.Sorted(slices.Values(accepted[1])); !slices.Equal(got, want) {
			t.Fatalf("QoS 1 was accepted as %v and delivered as %v", want, got)
		}
		if len(disk.kept) > 0 {
			t.Fatalf("left in the store: %v", disk.kept)
		}
		checkEmpty(t, &o, &budget)
	})
}

// TestCountsOfWhatIsAway follows the counts of a stored session whose messages leave the store behind the outbox's back: by expiry, or because a
// commit failed.
func TestCountsOfWhatIsAway(t *testing.T) {
	var budget Budget
	o := NewOutbox(Limits{}, true, &budget)
	o.Stored = true
	offer := func() Delivery {
		d, v := o.Offer(Delivery{Message: &Message{Payload: make([]byte, 10)}, QoS: 1}, false)
		if v != Away {
			t.Fatalf("verdict %d, want %d", v, Away)
		}
		return d
	}
	expect := func(what string, messages, bytes int) {
		t.Helper()
		if o.Waiting() != messages || o.WaitingBytes() != bytes {
			t.Errorf("%s: %d messages, %d bytes wait, want %d and %d", what, o.Waiting(), o.WaitingBytes(), messages, bytes)
		}
	}
	first := offer()
	offer()
	third := offer()
	expect("three are away", 3, 30)
	o.Drop(first.Seq, 10)
	expect("the first has expired", 2, 20)
	r, ok := o.Read()
	if !ok || r.After != 0 || r.UpTo != third.Seq {
		t.Fatalf("Read: %+v, %v", r, ok)
	}
	fourth := offer()
	fifth := offer()
	expect("two more while the store is read", 4, 40)
	o.Drop(fifth.Seq, 10)
	expect("the commit of the last failed", 3, 30)
	o.Fill(r, []Delivery{third}, true) // the second has expired, and nobody has said so
	expect("what was there is in memory", 2, 20)
	if o.Away() != 1 {
		t.Errorf("%d are away, want 1", o.Away())
	}
	if d, outcome := o.Next(0); outcome != Taken || d.Seq != third.Seq {
		t.Errorf("Next: %d, outcome %d", d.Seq, outcome)
	}
	if r, ok = o.Read(); !ok || r.After != third.Seq || r.UpTo != fifth.Seq {
		t.Fatalf("Read: %+v, %v", r, ok)
	}
	o.Rewind()
	o.Fill(r, []Delivery{fourth}, true)
	expect("what was read for the connection before is left out", 2, 10) // the size of what was in flight is not known any more
}
