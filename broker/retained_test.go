package broker

import (
	"bytes"
	"runtime"
	"testing"

	"picket/packet"
)

// TestRetainedAfterSubscribing publishes a message to be retained between a SUBSCRIBE with wildcards and the search for what was retained, which a goroutine
// does later: the subscription has it already, and it must not come again (MQTT-3.3.1-9).
func TestRetainedAfterSubscribing(t *testing.T) {
	x := newBench(t, nil)
	receiver, c := x.client(t, "receiver", packet.V311)
	_, sender := x.client(t, "sender", packet.V311)
	publish := func(name string) []byte {
		return (&packet.Publish{Retain: true, Topic: []byte(name), Payload: []byte("x")}).Append(nil, packet.V311)
	}
	subscribe := (&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "a/#"}}}).Append(nil, packet.V311)
	unsubscribe := (&packet.Unsubscribe{ID: 1, Filters: []string{"a/#"}}).Append(nil, packet.V311)
	x.feed(t, sender, publish("a/old"))

	s := x.b.sessions.byID["receiver"]
	settled := func() string {
		t.Helper()
		for {
			s.mu.Lock()
			done := s.replays.len() == 0 && !s.conn.handedOver && !s.conn.writing && s.conn.out.size == 0
			all := bytes.Clone(receiver.all)
			s.mu.Unlock()
			if done {
				return string(all)
			}
			runtime.Gosched()
		}
	}
	s.mu.Lock()
	receiver.keep = true
	s.mu.Unlock()
	c.Read(x.w, subscribe)
	sender.Read(x.w, publish("a/new"))
	x.w.Flush()
	got := settled()
	if n := bytes.Count([]byte(got), []byte("a/old")); n != 1 {
		t.Errorf("what was retained before came %d times, want 1: %q", n, got)
	}
	if n := bytes.Count([]byte(got), []byte("a/new")); n != 1 {
		t.Errorf("what was published after SUBSCRIBE came %d times, want 1: %q", n, got)
	}

	// Who unsubscribes at once gets none of it (MQTT-3.10.4-2).
	x.feed(t, c, unsubscribe)
	before := len(settled())
	c.Read(x.w, subscribe)
	c.Read(x.w, unsubscribe)
	x.w.Flush()
	if late := settled()[before:]; bytes.Contains([]byte(late), []byte("a/")) {
		t.Errorf("sent after UNSUBACK: %q", late)
	}
}
