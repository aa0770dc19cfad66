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

	"picket/internal/testbed"
	"picket/packet"
)

// unreadQoS0: half of it in large messages, half in small ones.
func unreadQoS0(t *testing.T, b *broker) string {
	b.deaf(0)
	c := b.connect(&packet.Connect{})
	for _, size := range []int{64 * kib, 1 * kib} {
		p := packet.Publish{Topic: []byte("unread/x"), Payload: make([]byte, size)}
		var run []byte
		for len(run) < 256*kib {
			run = p.Append(run, c.Version)
		}
		for sent := 0; sent < less(gib/2); sent += len(run) {
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
	publishAcknowledged(b.connect(&packet.Connect{}), "unread/x", 1, make([]byte, 64*kib), less(gib/(64*kib)))
	return ""
}

// unreadByMany: what waits for each of them is within its own limit, but there are many: 50 times 8 MiB.
func unreadByMany(t *testing.T, b *broker) string {
	for i := range 50 {
		b.deaf(byte(i % 2))
	}
	c := b.connect(&packet.Connect{})
	publishAcknowledged(c, "unread/x", 1, make([]byte, 64*kib), 200)
	p := packet.Publish{Topic: []byte("unread/x"), Payload: make([]byte, 16*kib)}
	run := p.Append(nil, c.Version)
	for range 500 {
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
			if _, err := testbed.Until[*packet.Ack](c.Client); err != nil {
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
		if err := c.Send(&packet.Publish{QoS: qos, ID: uint16(i%60000 + 1), Topic: []byte(topic), Payload: payload}); err != nil {
			c.t.Error(err)
			break
		}
	}
	close(window)
	reading.Wait()
}

// unreleased: a publisher sends 10,000 QoS 2 messages and no PUBREL. MQTT 3.1.1 knows no limit to that but the packet
// identifiers; under MQTT 5.0 the Receive Maximum of the CONNACK is one, and going beyond it ends the connection.
func unreleased(t *testing.T, b *broker) string {
	var note []string
	n := less(10_000)
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		c := b.connect(&packet.Connect{Version: v, ClientID: "unreleased"})
		var writing sync.WaitGroup
		writing.Go(func() {
			payload := make([]byte, 4*kib)
			for i := range n {
				if c.Send(&packet.Publish{QoS: 2, ID: uint16(i + 1), Topic: []byte("held"), Payload: payload}) != nil {
					return // the broker has ended the connection; the reader below says how
				}
			}
		})
		received, verdict := 0, ""
		for received < n && verdict == "" {
			p, err := c.Next()
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
				if _, err := testbed.Until[*packet.Publish](c.Client); err != nil {
					return
				}
				arrived[i].Add(1)
			}
		}()
	}
	c := b.connect(&packet.Connect{})
	publishAcknowledged(c, "held", 1, make([]byte, 4*kib), less(10_000))
	return fmt.Sprint("in flight: ", arrived[0].Load(), " and ", arrived[1].Load())
}

// hugePayload: 255 MiB from one client to another, and every byte arrives.
func hugePayload(t *testing.T, b *broker) string {
	size := less(256*mib) - mib
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
	_, length, err := receiver.Header()
	if err != nil || length != 2+len("huge")+size {
		t.Fatalf("got a packet of %d bytes, want %d; %v", length, 2+len("huge")+size, err)
	}
	if _, err := receiver.Reader.Discard(2 + len("huge")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, mib)
	for i := range size / mib {
		if err := receiver.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(receiver.Reader, got); err != nil {
			t.Fatalf("after %d of %d MiB: %v", i, size/mib, err)
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
	for range less(400) {
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
	n := less(2000)
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
