//go:build linux

package attack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"picket/packet"
)

var attacks = []attack{
	{name: "subscriber that never reads, 1 GiB at QoS 0", run: unreadQoS0, memory: 128 * mib,
		because: "8 MiB wait for the client at the most, the rest is dropped; the buffers of reading and routing take as much again"},
	{name: "subscriber that never reads, 1 GiB at QoS 1", run: unreadQoS1, memory: 256 * mib,
		because: "1,000 messages of 64 KiB (max_queued_messages) are 63 MiB, 8 MiB wait to be written"},
	{name: "100 subscribers that never read", config: fmt.Sprint("memory_limit ", 128*mib), run: unreadByMany, memory: 192 * mib,
		because: "memory_limit is 128 MiB for all of them, and half as much more is the collector's"},
	{name: "100,000 retained topics", run: retainedTopics, memory: 256 * mib,
		because: "a retained message of 100 bytes with its topic and its place in the tree is well below 1 KiB"},
	{name: "retained topics asked for 1,000 times", run: retainedAgain, memory: 256 * mib,
		because: "the client does not read; what it has asked for is noted once, not copied for each request"},
	{name: "20,000 topics of 65,535 bytes", run: longTopics, memory: 128 * mib,
		because: "what a broker remembers about topics that nobody subscribes to is bounded in bytes"},
	{name: "65,535 slashes", run: slashes, memory: 64 * mib,
		because: "nothing of it is kept"},
	{name: "4,096 overlapping filters", run: overlappingFilters, memory: 64 * mib,
		because: "4,096 subscriptions and one cached match"},
	{name: "10,000 QoS 2 messages not released", run: unreleased, memory: 128 * mib,
		because: "of 10,000 messages of 4 KiB, 39 MiB, at most the identifiers are kept"},
	{name: "QoS 2 subscriber that answers nothing", run: unanswered, memory: 64 * mib,
		because: "1,020 messages of 4 KiB (max_inflight_messages and max_queued_messages) are 4 MiB"},
	{name: "payload of 255 MiB", run: hugePayload, memory: 1024 * mib,
		because: "the message is there twice, as it was read and as it is to be written"},
	{name: "400 payloads of 255 MiB announced, not sent", run: announced, memory: 64 * mib,
		because: "no more may be allocated than has arrived"},
	{name: "2,000 wills at once", config: "max_queued_messages 2000", run: wills, memory: 64 * mib,
		because: "2,000 sessions with a will of 1 KiB"},
	{name: "1,000,000 subscriptions", run: subscriptions, memory: 1024 * mib,
		because: "a subscription takes 250 bytes in the index and 150 in its session"},
	{name: "500 slow CONNECTs", run: slowConnects, memory: 32 * mib,
		because: "a connection that has sent a few bytes holds no more than these"},
	{name: "500 slow handshakes, TLS and HTTP", config: handshakes, run: slowHandshakes, memory: 64 * mib,
		because: "a TLS connection that has begun holds its state and a record of 512 bytes, an HTTP request a buffer of 4 KiB"},
	{name: "1,000 silent clients", run: silent, memory: 32 * mib,
		because: "1,000 sessions"},
	{name: "1,000 half-closed connections", run: halfClosed, memory: 32 * mib,
		because: "1,000 connections"},
	{name: "5,000 connections opened and closed", run: flood, memory: 64 * mib,
		because: "nothing of them is kept"},
	{name: "3,000 connections that say nothing", files: 4000, run: speechless, memory: 32 * mib,
		because: "of 4,000 files a quarter may be connections without CONNECT"},
	{name: "more clients than files", files: 500, run: outOfFiles, memory: 32 * mib,
		because: "500 files are fewer than 500 connections"},
	{name: "takeover loop", run: takeoverLoop, memory: 32 * mib,
		because: "there is one session"},
}

// handshakes is a configuration with more than one way in.
const handshakes = `
listener ${TLS} 127.0.0.1
certfile ${CERT}
keyfile ${KEY}
listener ${WS} 127.0.0.1
protocol websockets
`

// unreadQoS0: half of it in large messages, half in small ones.
func unreadQoS0(t *testing.T, b *broker) string {
	b.deaf(0)
	c := b.connect(&packet.Connect{})
	for _, size := range []int{64 * kib, 1 * kib} {
		p := packet.Publish{Topic: []byte("unread/x"), Payload: make([]byte, size)}
		var run []byte
		for len(run) < 256*kib {
			run = p.Append(run, c.v)
		}
		for sent := 0; sent < gib/2; sent += len(run) {
			if _, err := c.Write(run); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.settle()
	return ""
}

// deaf connects a client that subscribes to unread/# and never reads again.
func (b *broker) deaf(qos byte) {
	b.t.Helper()
	c := b.connect(&packet.Connect{})
	if err := c.Conn.(*net.TCPConn).SetReadBuffer(4 * kib); err != nil {
		b.t.Fatal(err)
	}
	c.subscribe(qos, "unread/#")
}

func unreadQoS1(t *testing.T, b *broker) string {
	b.deaf(1)
	publishAcknowledged(b.connect(&packet.Connect{}), "unread/x", 1, make([]byte, 64*kib), gib/(64*kib))
	return ""
}

// unreadByMany: what waits for each of them is within its own limit, but there are many: 100 times 8 MiB.
func unreadByMany(t *testing.T, b *broker) string {
	for i := range 100 {
		b.deaf(byte(i % 2))
	}
	c := b.connect(&packet.Connect{})
	publishAcknowledged(c, "unread/x", 1, make([]byte, 64*kib), 500)
	p := packet.Publish{Topic: []byte("unread/x"), Payload: make([]byte, 16*kib)}
	run := p.Append(nil, c.v)
	for range 1000 {
		if _, err := c.Write(run); err != nil {
			t.Fatal(err)
		}
	}
	c.settle()
	return ""
}

// publishAcknowledged publishes n messages at QoS 1, up to 100 of them at a time without their PUBACK.
func publishAcknowledged(c *client, topic string, qos byte, payload []byte, n int) {
	c.t.Helper()
	window := make(chan struct{}, 100)
	var reading sync.WaitGroup
	reading.Go(func() {
		for range n {
			if _, err := until[*packet.Ack](c); err != nil {
				c.t.Errorf("waiting for a PUBACK: %v", err)
				c.Close()
				for range window { // lets the writer go on to its error
				}
				return
			}
			<-window
		}
	})
	for i := range n {
		window <- struct{}{}
		if err := c.send(&packet.Publish{QoS: qos, ID: uint16(i%60000 + 1), Topic: []byte(topic), Payload: payload}); err != nil {
			c.t.Error(err)
			break
		}
	}
	close(window)
	reading.Wait()
}

func retainedTopics(t *testing.T, b *broker) string {
	b.retain(retained)
	stored := b.status("VmRSS")

	began := time.Now()
	reader := b.connect(&packet.Connect{})
	reader.mustSend(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "kept/#"}}})
	seen := make(map[string]bool, retained)
	for len(seen) < retained {
		p, err := until[*packet.Publish](reader)
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

const retained = 100_000

// retain stores n retained messages of 100 bytes, kept/0/0 and on.
func (b *broker) retain(n int) {
	b.t.Helper()
	payload := bytes.Repeat([]byte("r"), 100)
	c := b.connect(&packet.Connect{})
	var run []byte
	for i := range n {
		p := packet.Publish{Retain: true, Topic: fmt.Appendf(nil, "kept/%d/%d", i/1000, i%1000), Payload: payload}
		run = p.Append(run, c.v)
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
	for id := range uint16(100) {
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
	for i := range 20_000 {
		copy(topic, fmt.Appendf(nil, "%05d", i))
		p := packet.Publish{Topic: topic, Payload: []byte("x")}
		if _, err := c.Write(p.Append(run[:0], c.v)); err != nil {
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
			for range 250 {
				c := b.dial()
				if kind == "will" {
					c.v = v
				} else if err := c.handshake(&packet.Connect{Version: v}); err != nil {
					t.Fatal(err)
				}
				if err := c.send(p); err != nil {
					t.Fatal(err)
				}
				if kind == "will" { // whether it is refused shows only when the client goes away
					_, _ = c.next()
				} else if granted(c, kind) {
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
	if err := c.send(packet.Pingreq{}); err != nil {
		return false
	}
	for {
		p, err := c.next()
		if err != nil {
			return false
		}
		switch p := p.(type) {
		case *packet.Ack:
			return p.Code < 0x80
		case *packet.Suback:
			return p.Codes[0] < 0x80
		case *packet.Disconnect:
			return false
		case packet.Pingresp:
			return kind != "PUBLISH QoS 0"
		}
	}
}

// overlappingFilters: one client has 4,096 filters that match one name: each level of it, or a + in its place.
func overlappingFilters(t *testing.T, b *broker) string {
	const name = "a/b/c/d/e/f/g/h/i/j/k/l"
	const messages = 1000
	c := b.connect(&packet.Connect{Version: packet.V5})
	sub := &packet.Subscribe{}
	for bits := range 4096 {
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
			if churn.send(&packet.Subscribe{ID: id | 1, Filters: []packet.Subscription{{Filter: "a/b/c/#"}}}) != nil ||
				churn.send(&packet.Unsubscribe{ID: id | 1, Filters: []string{"a/b/c/#"}}) != nil {
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

// unreleased: a publisher sends 10,000 QoS 2 messages and no PUBREL. MQTT 3.1.1 knows no limit to that but the packet
// identifiers; under MQTT 5.0 the Receive Maximum of the CONNACK is one, and going beyond it ends the connection.
func unreleased(t *testing.T, b *broker) string {
	var note []string
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		c := b.connect(&packet.Connect{Version: v, ClientID: "unreleased"})
		var writing sync.WaitGroup
		writing.Go(func() {
			payload := make([]byte, 4*kib)
			for i := range 10_000 {
				if c.send(&packet.Publish{QoS: 2, ID: uint16(i + 1), Topic: []byte("held"), Payload: payload}) != nil {
					return // the broker has ended the connection; the reader below says how
				}
			}
		})
		received, verdict := 0, ""
		for received < 10_000 && verdict == "" {
			p, err := c.next()
			switch p := p.(type) {
			case *packet.Ack:
				received++
			case *packet.Disconnect:
				verdict = p.Code.String()
				if p.Code != packet.ReceiveMaximumExceeded && p.Code != packet.QuotaExceeded {
					t.Errorf("%v: DISCONNECT with %v", v, p.Code)
				}
			}
			if err != nil {
				verdict = "closed"
				if v == packet.V5 && !errors.Is(err, io.EOF) && received < 20 {
					t.Errorf("%v: after %d PUBRECs: %v", v, received, err)
				}
			}
		}
		c.Close()
		writing.Wait()
		note = append(note, strings.TrimSpace(fmt.Sprintf("%v: %d PUBREC %s", v, received, verdict)))
	}
	return strings.Join(note, ", ")
}

// unanswered: a subscriber at QoS 2 reads, and answers none of 10,000 messages.
func unanswered(t *testing.T, b *broker) string {
	var arrived [2]atomic.Int64
	for i, v := range []packet.Version{packet.V311, packet.V5} {
		c := b.connect(&packet.Connect{Version: v})
		c.subscribe(2, "held")
		go func() {
			for {
				if _, err := until[*packet.Publish](c); err != nil {
					return
				}
				arrived[i].Add(1)
			}
		}()
	}
	c := b.connect(&packet.Connect{})
	publishAcknowledged(c, "held", 1, make([]byte, 4*kib), 10_000)
	return fmt.Sprint("in flight: ", arrived[0].Load(), " and ", arrived[1].Load())
}

// hugePayload: 255 MiB from one client to another, and every byte arrives.
func hugePayload(t *testing.T, b *broker) string {
	const size = 255 * mib
	block := make([]byte, mib)
	for i := range block {
		block[i] = byte(i * 7)
	}
	receiver := b.connect(&packet.Connect{})
	receiver.subscribe(0, "huge")
	sender := b.connect(&packet.Connect{})
	var sending sync.WaitGroup
	sending.Go(func() {
		head := append([]byte{byte(packet.PUBLISH) << 4}, packet.AppendVarint(nil, 2+len("huge")+size)...)
		if _, err := sender.Write(append(head, "\x00\x04huge"...)); err != nil {
			t.Error(err)
		}
		for range size / mib {
			if _, err := sender.Write(block); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer sending.Wait()
	began := time.Now()
	_, length, err := receiver.header()
	if err != nil || length != 2+len("huge")+size {
		t.Fatalf("got a packet of %d bytes, want %d; %v", length, 2+len("huge")+size, err)
	}
	if _, err := receiver.r.Discard(2 + len("huge")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, mib)
	for i := range size / mib {
		if err := receiver.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(receiver.r, got); err != nil {
			t.Fatalf("after %d of 255 MiB: %v", i, err)
		}
		if !bytes.Equal(got, block) {
			t.Fatalf("MiB %d arrived changed", i)
		}
	}
	return fmt.Sprintf("through in %.2f s", time.Since(began).Seconds())
}

// announced: the fixed header promises 255 MiB, then come 1,000 bytes. All at once that would be 100 GiB.
func announced(t *testing.T, b *broker) string {
	head := append([]byte{byte(packet.PUBLISH) << 4}, packet.AppendVarint(nil, 255*mib)...)
	start := append(append(head, "\x00\x04huge"...), make([]byte, 1000)...)
	for range 400 {
		c := b.connect(&packet.Connect{})
		if _, err := c.Write(start); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Second)
	return ""
}

// wills: 2,000 clients with a will are cut off at the same moment.
func wills(t *testing.T, b *broker) string {
	const n = 2000
	payload := make([]byte, kib)
	watcher := b.connect(&packet.Connect{})
	watcher.subscribe(1, "wills/#")
	victims := make([]*client, n)
	for i := range victims {
		victims[i] = b.connect(&packet.Connect{Will: &packet.Will{Topic: fmt.Sprint("wills/", i), Payload: payload, QoS: 1}})
	}
	began := time.Now()
	for _, c := range victims {
		_ = c.Conn.(*net.TCPConn).SetLinger(0) // a reset, as from a machine that crashed
		c.Close()
	}
	seen := map[string]bool{}
	for len(seen) < n {
		p := must[*packet.Publish](watcher)
		seen[string(p.Topic)] = true
		if p.QoS == 1 {
			watcher.mustSend(&packet.Ack{Kind: packet.PUBACK, ID: p.ID})
		}
	}
	return fmt.Sprintf("all %d delivered in %.2f s", n, time.Since(began).Seconds())
}

// subscriptions: ten clients with 100,000 filters each.
func subscriptions(t *testing.T, b *broker) string {
	const clients, each, batch = 10, 100_000, 1000
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
			t.Error("a client with 100,000 filters said goodbye and was not let go")
		}
	}
	return fmt.Sprintf("%d bytes each; gone %.2f s after the goodbyes", held/(clients*each), time.Since(began).Seconds())
}
