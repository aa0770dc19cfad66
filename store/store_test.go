package store

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"picket/session"
	"picket/topic"
)

func number(n uint64) *session.Message {
	return &session.Message{ID: n, Topic: "t", Payload: fmt.Append(nil, n), QoS: 1}
}

// drain takes everything that is due and settles it, and returns the operations.
func drain(p *Pipeline) (ops []string) {
	for _, b := range p.Take(1 << 30) {
		for op := range b.Ops() {
			ops = append(ops, fmt.Sprintf("%s %d", op.Kind, op.Ref.Seq))
		}
		p.Done(b)
	}
	return ops
}

func TestWhatIsAcknowledgedWhileItWaitsIsNotWritten(t *testing.T) {
	p := NewPipeline(1 << 20)
	s := OpenSession(1, "c")
	var b Batch
	r := b.Enqueue(s, session.Delivery{Seq: 0, Message: number(1), QoS: 1}, true)
	if !p.Commit(&b) || p.Need(2) != Soon {
		t.Fatalf("need %d", p.Need(2))
	}
	var told waiter
	if !b.Await(&told) || b.Settled() {
		t.Fatal("it is settled already")
	}
	var ack Batch
	ack.Remove(s, r)
	if p.Commit(&ack) {
		t.Error("there is nothing to wait for")
	}
	<-p.Wake()
	if p.Report(); told != 1 || !b.Settled() || b.Await(&told) {
		t.Errorf("told %d times, settled %v", told, b.Settled())
	}
	if need := p.Need(2); need != Nothing {
		t.Errorf("need %d", need)
	}
	if ops := drain(p); len(ops) > 0 {
		t.Errorf("written: %v", ops)
	}
	var st Stats
	if p.Stats(&st); st.Pending != 0 || st.Skipped != 1 {
		t.Errorf("%+v", st)
	}
}

// waiter counts how often it is told.
type waiter int

func (w *waiter) Settled() { *w++ }

// TestBatchesAreSettledByThemselves has a batch become unnecessary while one before it waits to be written.
func TestBatchesAreSettledByThemselves(t *testing.T) {
	p := NewPipeline(1 << 20)
	s := OpenSession(1, "c")
	var one, two, three Batch
	var told [3]waiter
	one.Enqueue(s, session.Delivery{Seq: 0, Message: number(1), QoS: 1}, true)
	ref := two.Enqueue(s, session.Delivery{Seq: 1, Message: number(2), QoS: 1}, true)
	three.Save(s, Record{})
	p.Commit(&one)
	p.Commit(&two)
	one.Await(&told[0])
	two.Await(&told[1])
	two.Remove(s, ref) // as if by another batch
	if p.Report(); told != [3]waiter{0, 1, 0} {
		t.Errorf("told: %v", told)
	}
	if p.Need(2) != Soon {
		t.Error("there is no hurry yet")
	}
	p.Commit(&three)
	three.Await(&told[2])
	if p.Need(2) != Now {
		t.Error("somebody waits for the record")
	}
	if got := drain(p); !slices.Equal(got, []string{"enqueue 0", "save 0"}) {
		t.Errorf("written: %v", got)
	}
	if p.Report(); told != [3]waiter{1, 1, 1} {
		t.Errorf("told: %v", told)
	}
}

func TestPatienceEnds(t *testing.T) {
	p := NewPipeline(1 << 20)
	s := OpenSession(1, "c")
	var b Batch
	b.Enqueue(s, session.Delivery{Seq: 0, Message: number(1), QoS: 1}, true)
	p.Commit(&b)
	for _, want := range []Need{Soon, Soon, Now} {
		if got := p.Need(2); got != want {
			t.Errorf("need %d, want %d", got, want)
		}
		p.Tick()
	}
	// What came later has its moment still, and need not be written if it is acknowledged in that time.
	var young Batch
	r := young.Enqueue(s, session.Delivery{Seq: 1, Message: number(2), QoS: 1}, true)
	p.Commit(&young)
	if need, taken := p.Need(2), p.TakeDue(1<<20); need != Now || !slices.Equal(taken, []*Batch{&b}) {
		t.Errorf("need %d, %d batches are taken", need, len(taken))
	}
	if need, taken := p.Need(2), p.TakeDue(1<<20); need != Soon || len(taken) > 0 {
		t.Errorf("need %d, %d batches are taken", need, len(taken))
	}
	new(Batch).Remove(s, r)
	if need := p.Need(2); need != Nothing || !young.Settled() {
		t.Errorf("need %d", need)
	}
}

// TestLazinessEnds: what nobody waits for is written in the end, also while there is always something that may become unnecessary in a moment.
func TestLazinessEnds(t *testing.T) {
	p := NewPipeline(1 << 20)
	s := OpenSession(1, "c")
	var lazy Batch
	lazy.Retain(&session.Message{ID: 1, Topic: "t"}, nil)
	p.Commit(&lazy)
	for i := range uint64(lazyMoment) {
		var b Batch
		r := b.Enqueue(s, session.Delivery{Seq: i, Message: number(i + 2), QoS: 1}, true)
		p.Commit(&b)
		if need := p.Need(2); need != Soon {
			t.Fatalf("need %d after %d ticks", need, i)
		}
		p.Tick()
		new(Batch).Remove(s, r)
	}
	if need, taken := p.Need(2), p.TakeDue(1<<20); need != Now || !slices.Equal(taken, []*Batch{&lazy}) {
		t.Errorf("need %d, %d batches are taken", need, len(taken))
	}
	p.Commit(&lazy)
	if p.Hasten(); len(p.TakeDue(1<<20)) != 1 {
		t.Error("what is in a hurry is not taken")
	}
}

func TestFullUntilHalfOfItIsWritten(t *testing.T) {
	p := NewPipeline(3000)
	s := OpenSession(1, "c")
	for i := range uint64(3) {
		var b Batch
		m := number(i + 1)
		m.Payload = make([]byte, 1000)
		b.Enqueue(s, session.Delivery{Seq: i, Message: m, QoS: 1}, false)
		p.Commit(&b)
	}
	if !p.Full() {
		t.Fatal("not full")
	}
	for _, b := range p.Take(1) {
		p.Done(b)
	}
	if p.Room() {
		t.Error("room although more than half of it waits")
	}
	drain(p)
	if !p.Room() || p.Full() || p.Room() {
		t.Error("no room, or more than once")
	}
}

func TestEndOfASession(t *testing.T) {
	p := NewPipeline(1 << 20)
	s := NewSession(1, "c")
	var b Batch
	b.Save(s, Record{})
	b.Enqueue(s, session.Delivery{Seq: 0, Message: number(1), QoS: 1}, false)
	p.Commit(&b)
	var end Batch
	end.End(s)
	p.Commit(&end)
	var late Batch
	late.Enqueue(s, session.Delivery{Seq: 1, Message: number(2), QoS: 1}, false)
	late.Subscribe(s, "f", topic.Options{}, nil)
	late.Receive(s, 1)
	if !late.Empty() {
		t.Error("something was added to a session that is over")
	}
	if got := drain(p); !slices.Equal(got, []string{"save 0", "end 0"}) {
		t.Errorf("written: %v", got)
	}
}

// TestMerge compares what Merge makes of the entries that are durable and those under way with the plain truth.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := NewPipeline(1 << 30)
		s := OpenSession(1, "c")
		type truth struct {
			ref      Ref
			released bool
		}
		queue := map[uint64]*truth{}
		durable := map[uint64]bool{} // seq → released
		apply := func(b *Batch) {
			for op := range b.Ops() {
				switch op.Kind {
				case Enqueue:
					durable[op.Ref.Seq] = op.Delivery.Released
				case Release:
					durable[op.Ref.Seq] = true
				case Remove:
					delete(durable, op.Ref.Seq)
				}
			}
		}
		next := uint64(0)
		var taken []*Batch
		var open *Batch // not committed
		opened := map[uint64]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"enqueue": func(t *rapid.T) {
				var b Batch
				for range rapid.IntRange(1, 4).Draw(t, "n") {
					r := b.Enqueue(s, session.Delivery{Seq: next, Message: number(next + 1), QoS: 2}, rapid.Bool().Draw(t, "online"))
					queue[next] = &truth{ref: r}
					next++
				}
				if open == nil && rapid.IntRange(0, 5).Draw(t, "leave it open") == 0 {
					open = &b
					for op := range b.Ops() {
						opened[op.Ref.Seq] = true
					}
					return
				}
				p.Commit(&b)
			},
			"commit the open one": func(*rapid.T) {
				if open != nil {
					p.Commit(open)
					open = nil
					clear(opened)
				}
			},
			"release or remove": func(t *rapid.T) {
				var b Batch
				for seq, q := range queue {
					switch rapid.IntRange(0, 4).Draw(t, "what") {
					case 0:
						if !q.released {
							q.released = true
							b.Release(s, &q.ref)
						}
					case 1:
						b.Remove(s, q.ref)
						delete(queue, seq)
					}
				}
				p.Commit(&b)
			},
			"take": func(*rapid.T) { taken = append(taken, p.Take(1<<30)...) },
			"write": func(*rapid.T) {
				for _, b := range taken {
					apply(b)
					p.Done(b)
				}
				taken = nil
			},
			"": func(t *rapid.T) {
				from := uint64(rapid.IntRange(0, int(next)+1).Draw(t, "from"))
				limit := Limit{Entries: rapid.IntRange(1, 10).Draw(t, "entries"), Bytes: 1 << 20}
				m := NewMerge(s, from, limit, nil)
				for seq := from; seq < next; seq++ {
					released, ok := durable[seq]
					if !ok {
						continue
					}
					e := Entry{Ref: Ref{Seq: seq}, Delivery: session.Delivery{Seq: seq, Message: number(seq + 1), QoS: 2, Released: released}}
					if released {
						e.Message = nil
					}
					if !m.Add(e) {
						break
					}
				}
				got, more := m.Finish()
				var want []uint64
				wantMore := false
				for seq := from; seq < next; seq++ {
					if queue[seq] == nil {
						continue
					}
					if opened[seq] || len(want) == limit.Entries {
						wantMore = true
						break
					}
					want = append(want, seq)
				}
				var seqs []uint64
				for _, e := range got {
					seqs = append(seqs, e.Seq)
					if e.Released != queue[e.Seq].released || e.Released != (e.Message == nil) {
						t.Fatalf("entry %d: released %v, want %v; message %v", e.Seq, e.Released, queue[e.Seq].released, e.Message)
					}
				}
				if !slices.Equal(seqs, want) || more != wantMore {
					t.Fatalf("from %d: %v, more %v; want %v, more %v", from, seqs, more, want, wantMore)
				}
			},
		})
	})
}

func TestErrorsOfRecordsSayWhere(t *testing.T) {
	for want, data := range map[string]string{
		"message record, byte 0: expected the record's version":                              "",
		"message record, byte 0: expected a version from 1 on":                               "\x00",
		"message record of version 9, at most 1 is known: made by a newer version of Picket": "\x09",
		"message record, byte 1: expected flags that are known":                              "\x01\x80",
		"message record, byte 1: expected a QoS of 0 to 2":                                   "\x01\x03",
		"message record, byte 4: expected the topic name":                                    "\x01\x01\x00\x05abc",
		"message record, byte 2: expected the expiry in Unix seconds":                        "\x01\x01\x80\x00\x01t",
		"message record, byte 9: expected the end of the record":                             "\x01\x01\x00\x01t\x00\x00\x00\x00x",
	} {
		if _, err := DecodeBody([]byte(data), 1); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", data, err, want)
		}
	}
}
