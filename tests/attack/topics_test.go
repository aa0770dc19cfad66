//go:build linux

package attack

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"picket/internal/testbed"
	"picket/packet"
)

func retainedTopics(t *testing.T, b *broker) string {
	b.retain(retained)
	stored := b.status("VmRSS")

	began := time.Now()
	reader := b.connect(&packet.Connect{})
	reader.mustSend(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "kept/#"}}})
	seen := make(map[string]bool, retained)
	for len(seen) < retained {
		p, err := testbed.Until[*packet.Publish](reader.Client)
		if err != nil {
			t.Fatalf("after %d of %d retained messages: %v", len(seen), retained, err)
		}
		if !p.Retain || len(p.Payload) != 100 || seen[string(p.Topic)] {
			t.Fatalf("got %q with retain %v and %d bytes, had it before: %v", p.Topic, p.Retain, len(p.Payload), seen[string(p.Topic)])
		}
		seen[string(p.Topic)] = true
	}
	return fmt.Sprintf("RSS %d MiB when stored; read back in %.2f s", stored/mib, time.Since(began).Seconds())
}

var retained = less(100_000)

// retain stores n retained messages of 100 bytes, kept/0/0 and on.
func (b *broker) retain(n int) {
	b.t.Helper()
	payload := bytes.Repeat([]byte("r"), 100)
	c := b.connect(&packet.Connect{})
	var run []byte
	for i := range n {
		p := packet.Publish{Retain: true, Topic: fmt.Appendf(nil, "kept/%d/%d", i/1000, i%1000), Payload: payload}
		run = p.Append(run, c.Version)
		if len(run) > 64*kib || i == n-1 {
			if _, err := c.Write(run); err != nil {
				b.t.Fatal(err)
			}
			run = run[:0]
		}
	}
	c.settle()
}

// retainedAgain: a client that does not read asks for all retained messages again and again. A list of 100,000 for each
// request would be 800 MB.
func retainedAgain(t *testing.T, b *broker) string {
	b.retain(retained)
	c := b.connect(&packet.Connect{})
	if err := c.Conn.(*net.TCPConn).SetReadBuffer(4 * kib); err != nil {
		t.Fatal(err)
	}
	for id := range uint16(less(100)) {
		p := &packet.Subscribe{ID: id + 1}
		for i := range 10 {
			p.Filters = append(p.Filters, packet.Subscription{Filter: []string{"#", "+/#", "kept/#", "kept/+/+", "+/+/+"}[i%5]})
		}
		if err := c.SetWriteDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		c.mustSend(p)
	}
	b.probeOnce()
	return ""
}

// probeOnce waits for the round trip of a client of its own.
func (b *broker) probeOnce() {
	b.t.Helper()
	c := b.connect(&packet.Connect{})
	c.settle()
	c.Close()
}

// longTopics: each message has another topic of the greatest length, in one level. There are more than a gigabyte of them.
func longTopics(t *testing.T, b *broker) string {
	c := b.connect(&packet.Connect{})
	topic := bytes.Repeat([]byte("x"), 65535)
	var run []byte
	for i := range less(20_000) {
		copy(topic, fmt.Appendf(nil, "%05d", i))
		p := packet.Publish{Topic: topic, Payload: []byte("x")}
		if _, err := c.Write(p.Append(run[:0], c.Version)); err != nil {
			t.Fatal(err)
		}
	}
	c.settle()
	return ""
}

// slashes: a topic of 65,535 levels or rather 65,536, in everything that has a topic. A broker that keeps a node for
// each level would keep megabytes for each packet.
func slashes(t *testing.T, b *broker) string {
	topic := strings.Repeat("/", 65535)
	watcher := b.connect(&packet.Connect{})
	watcher.subscribe(0, "/#", "+/+/+/#")
	refused := 0
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		for kind, p := range map[string]packet.Packet{
			"PUBLISH QoS 0": &packet.Publish{Topic: []byte(topic), Payload: []byte("x")},
			"PUBLISH QoS 1": &packet.Publish{Topic: []byte(topic), QoS: 1, ID: 1, Retain: true, Payload: []byte("x")},
			"SUBSCRIBE":     &packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: topic}}},
			"will":          &packet.Connect{Version: v, CleanStart: true, Will: &packet.Will{Topic: topic, Payload: []byte("x")}},
		} {
			for range less(250) {
				c := b.dial()
				if kind == "will" {
					c.Version = v
				} else if err := c.handshake(&packet.Connect{Version: v}); err != nil {
					t.Fatal(err)
				}
				if err := c.Send(p); err != nil {
					t.Fatal(err)
				}
				if granted(c, kind) {
					t.Errorf("%v %s with 65,535 slashes was accepted", v, kind)
				} else {
					refused++
				}
				c.Close()
			}
		}
	}
	watcher.mustSend(&packet.Publish{Topic: []byte("a/b/c"), Payload: []byte("end")})
	if p := must[*packet.Publish](watcher); string(p.Payload) != "end" {
		t.Errorf("a message with a topic of %d bytes was delivered", len(p.Topic))
	}
	return fmt.Sprint(refused, " refused")
}

// granted sends a PINGREQ after what c has sent and reports whether the broker has answered that with a success. A
// PUBLISH at QoS 0 has no answer but the end of the connection.
func granted(c *client, kind string) bool {
	if err := c.Send(packet.Pingreq{}); err != nil {
		return false
	}
	for {
		p, err := c.Next()
		if err != nil {
			return false
		}
		switch p := p.(type) {
		case *packet.Connack:
			return !p.Code.Failed()
		case *packet.Ack:
			return !p.Code.Failed()
		case *packet.Suback:
			return !p.Codes[0].Failed()
		case *packet.Disconnect:
			return false
		case packet.Pingresp:
			return kind != "PUBLISH QoS 0"
		}
	}
}

// overlappingFilters: one client has 32,768 filters that match one name: each level of it, or a + in its place.
func overlappingFilters(t *testing.T, b *broker) string {
	const name = "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o"
	const messages = 1000
	c := b.connect(&packet.Connect{Version: packet.V5})
	sub := &packet.Subscribe{}
	for bits := range 1 << 15 {
		levels := strings.Split(name, "/")
		for i := range levels {
			if bits>>i&1 == 1 {
				levels[i] = "+"
			}
		}
		sub.Filters = append(sub.Filters, packet.Subscription{Filter: strings.Join(levels, "/"), QoS: byte(bits % 3)})
		if len(sub.Filters) == 512 {
			sub.ID++
			c.mustSend(sub)
			must[*packet.Suback](c)
			sub.Filters = nil
		}
	}
	sender := b.connect(&packet.Connect{})
	// A subscription that comes and goes keeps a broker from remembering what matched.
	churn, stop := b.connect(&packet.Connect{}), make(chan struct{})
	var churning sync.WaitGroup
	churning.Go(func() {
		for id := uint16(1); ; id++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			if churn.Send(&packet.Subscribe{ID: id | 1, Filters: []packet.Subscription{{Filter: "a/b/c/#"}}}) != nil ||
				churn.Send(&packet.Unsubscribe{ID: id | 1, Filters: []string{"a/b/c/#"}}) != nil {
				t.Error("the client that comes and goes was thrown out")
				return
			}
		}
	})
	go func() { _, _ = io.Copy(io.Discard, churn) }()
	for i := range messages {
		sender.mustSend(&packet.Publish{Topic: []byte(name), Payload: fmt.Append(nil, i)})
	}
	got := 0
	sender.settle()
	c.mustSend(&packet.Publish{Topic: []byte(name), Payload: []byte("end")})
	for {
		p := must[*packet.Publish](c)
		if string(p.Payload) == "end" {
			break
		}
		got++
	}
	close(stop)
	churning.Wait()
	if got < messages {
		t.Errorf("%d of %d messages arrived", got, messages)
	}
	return fmt.Sprintf("%d messages, delivered %d times", messages, got)
}

// subscriptions: ten clients with 100,000 filters each.
func subscriptions(t *testing.T, b *broker) string {
	const clients, batch = 10, 500
	each := less(100_000)
	before := b.status("VmRSS")
	var subscribers [clients]*client
	for i := range subscribers {
		c := b.connect(&packet.Connect{})
		subscribers[i] = c
		for from := 0; from < each; from += batch {
			var filters []string
			for k := range batch {
				filters = append(filters, fmt.Sprintf("dev/%07d/cmd", i*each+from+k))
			}
			c.subscribe(1, filters...)
		}
	}
	held := b.status("VmRSS") - before
	sender := b.connect(&packet.Connect{})
	for i, c := range subscribers { // they work: the last filter of each
		sender.mustSend(&packet.Publish{Topic: fmt.Appendf(nil, "dev/%07d/cmd", i*each+each-1), Payload: []byte("x")})
		must[*packet.Publish](c)
	}
	began := time.Now()
	for _, c := range subscribers {
		c.mustSend(&packet.Disconnect{})
		if !c.ended(patience) {
			t.Error("a client with all its filters said goodbye and was not let go")
		}
	}
	return fmt.Sprintf("%d bytes each; gone %.2f s after the goodbyes", held/int64(clients*each), time.Since(began).Seconds())
}
