package broker

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"picket/packet"
	"picket/session"
)

// TestSweepLikeAModel puts, replaces, removes and sweeps at random: what is there is always what a map says, and what is kept in mind is a place for each message that expires.
func TestSweepLikeAModel(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		r := newRetained(new(memory))
		model := make(map[string]int64) // when they expire
		now := int64(100)
		for range 300 {
			name := fmt.Sprint(random.IntN(20))
			switch random.IntN(4) {
			case 0, 1:
				expires := int64(0)
				if random.IntN(3) > 0 {
					expires = now + random.Int64N(20)
				}
				if _, ok := r.put(&session.Message{Topic: name, Expires: expires}); !ok {
					t.Fatal("no memory")
				}
				model[name] = expires
			case 2:
				r.remove(name)
				delete(model, name)
			case 3:
				now += random.Int64N(6)
				limit, want := 1+random.IntN(5), 0
				for _, expires := range model {
					if expires != 0 && now >= expires {
						want++
					}
				}
				if n := r.sweep(now, limit); n != min(want, limit) {
					t.Fatalf("seed %d: %d went, want %d of %d", seed, n, limit, want)
				}
				for r.sweep(now, limit) > 0 {
				}
				for name, expires := range model {
					if expires != 0 && now >= expires {
						delete(model, name)
					}
				}
			}
			mortal := 0
			for name, expires := range model {
				if m := r.get(name); m == nil || m.Expires != expires {
					t.Fatalf("seed %d: topic %s: %v, want one that expires at %d", seed, name, m, expires)
				}
				if expires != 0 {
					mortal++
				}
			}
			if r.len() != len(model) || len(r.mortal) != mortal {
				t.Fatalf("seed %d: %d messages and %d that expire, want %d and %d", seed, r.len(), len(r.mortal), len(model), mortal)
			}
			for i, m := range r.mortal {
				if m.place.mortal != i+1 {
					t.Fatalf("seed %d: place %d thinks that it is %d", seed, i+1, m.place.mortal)
				}
			}
		}
	}
}

// TestRetainedGoWithoutAStore: nobody subscribes, and a retained message goes all the same when its time is over, from memory and from its account; others stay.
func TestRetainedGoWithoutAStore(t *testing.T) {
	x := newBench(t, func(c *Config) { c.clock = newHandClock() })
	_, sender := x.client(t, "sender", packet.V5)
	retain := func(name string, seconds uint32) {
		p := &packet.Publish{Retain: true, Topic: []byte(name), Payload: []byte("x")}
		if seconds > 0 {
			p.Props = packet.AppendExpiry(nil, seconds)
		}
		x.feed(t, sender, p.Append(nil, packet.V5))
	}
	before, bytes := x.b.retained.len(), x.b.retained.bytes()
	for i := range 2*expiryStep + 1 {
		retain(fmt.Sprint("short/", i), 5)
	}
	gone := x.b.retained.bytes()
	retain("for ever", 0)
	retain("long", 50)
	kept := x.b.retained.bytes() - gone
	now := x.b.unix.Load()
	x.b.sweepRetained()
	if n := x.b.retained.len() - before; n != 2*expiryStep+3 {
		t.Errorf("%d messages before any is over", n)
	}
	x.b.unix.Store(now + 5)
	x.b.sweepRetained()
	if x.b.retained.len()-before != 2 || x.b.retained.get("for ever") == nil || x.b.retained.get("long") == nil || x.b.retained.bytes() != bytes+kept {
		t.Errorf("%d messages of %d bytes are left, want 2 of %d", x.b.retained.len()-before, x.b.retained.bytes()-bytes, kept)
	}
	x.b.unix.Store(now + 50)
	x.b.sweepRetained()
	if x.b.retained.get("long") != nil || x.b.retained.get("for ever") == nil {
		t.Error("the one of 50 seconds, alone, has to go")
	}
}
