//go:build linux

package attack

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"picket/access"
	"picket/internal/testbed"
	"picket/packet"
)

// Those who have not logged in, in every way of not doing so, come from an address of their own, 127.0.0.2.
var stranger = net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: patience}

// intrude opens n connections of a stranger's and sends text on each. They stay open until the test ends.
func intrude(t *testing.T, addr string, n int, text []byte) (open []net.Conn) {
	t.Helper()
	for range n {
		c, err := stranger.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_, _ = c.Write(text) // it may have been closed to make room
		open = append(open, c)
	}
	return open
}

// unfinishedConnects: 600 connections send a CONNECT of a MiB but for its last byte.
func unfinishedConnects(t *testing.T, b *broker) string {
	will := packet.Will{Topic: "w", Payload: make([]byte, 65535), Props: new(packet.Properties)}
	for range 14 {
		will.Props.AddUser(strings.Repeat("k", 30_000), strings.Repeat("v", 30_000))
	}
	text := (&packet.Connect{Version: packet.V5, CleanStart: true, ClientID: "big", Will: &will}).Append(nil, packet.V5)
	n := less(600)
	intrude(t, b.addr, n, text[:len(text)-1])
	b.probeOnce()
	return fmt.Sprintf("%d of %d KiB", n, len(text)/kib)
}

// crowdedDoors: thousands of connections of one address begin TLS handshakes, and send HTTP requests again and again. Clients from elsewhere get
// in by TLS and by WebSocket all the while.
func crowdedDoors(t *testing.T, b *broker) string {
	hello := append([]byte{0x16, 3, 1, 1, 0xFC, 1, 0, 1, 0xF8, 3, 3}, make([]byte, 32)...)
	request := []byte("GET /nothing HTTP/1.1\r\nHost: localhost\r\n")
	var worst time.Duration
	enter := func() {
		began := time.Now()
		c, err := tls.Dial("tcp", b.tls, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the certificate is not what this is about
		if err != nil {
			t.Errorf("TLS: %v", err)
			return
		}
		defer c.Close()
		if _, err := testbed.NewClient(c, packet.V311).Connect(&packet.Connect{CleanStart: true}); err != nil {
			t.Errorf("over TLS: %v", err)
		}
		w, err := net.DialTimeout("tcp", b.ws, patience)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		_ = w.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(w, "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
		answer := make([]byte, 12)
		if _, err := io.ReadFull(w, answer); err != nil || string(answer) != "HTTP/1.1 101" {
			t.Errorf("WebSocket: %q, %v", answer, err)
		}
		worst = max(worst, time.Since(began))
	}
	for range 5 {
		intrude(t, b.tls, less(500), hello)
		enter()
		intrude(t, b.ws, less(500), request)
		enter()
	}
	return fmt.Sprintf("another address got in within %.2f s at the most", worst.Seconds())
}

// silentOnAuto: more silent connections than files, on a port that waits for their first bytes.
func silentOnAuto(t *testing.T, b *broker) string {
	_, tls, _ := strings.Cut(b.ws, ":")
	for i := range 11 {
		intrude(t, "127.0.0.1:"+tls, 100, nil)
		if i%2 == 0 {
			b.probeOnce()
		}
	}
	return fmt.Sprintf("%d descriptors", b.descriptors())
}

// wrongPasswords: one address tries wrong passwords as fast as it can. A client from elsewhere with the right one gets in all the while.
func wrongPasswords(t *testing.T, b *broker) string {
	entry, err := access.HashPassword(access.PBKDF2, "right", 0)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(t, "passwords", "ann:"+entry+"\n")
	b.Reload(t)
	stop := make(chan struct{})
	var crowd sync.WaitGroup
	var tried atomic.Int64
	for i := range 150 {
		crowd.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				conn, err := stranger.Dial("tcp", b.addr)
				if err != nil {
					t.Error(err)
					return
				}
				_, err = testbed.NewClient(conn, packet.V311).Connect(&packet.Connect{CleanStart: true, HasUsername: true, Username: fmt.Sprint("ann", i%3), HasPassword: true, Password: []byte("wrong")})
				conn.Close()
				if err == nil {
					t.Error("a wrong password was accepted")
				}
				tried.Add(1)
				time.Sleep(10 * time.Millisecond) // what is refused at once is not tried again at once: the processor is the machine's
			}
		})
	}
	var took []time.Duration
	for len(took) < less(40) || tried.Load() < int64(less(4000)) {
		at := time.Now()
		c := b.dial()
		if _, err := c.Connect(&packet.Connect{CleanStart: true, HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("right")}); err != nil {
			t.Errorf("the right password from another address: %v", err)
		}
		c.Close()
		took = append(took, time.Since(at))
	}
	close(stop)
	crowd.Wait()
	slices.Sort(took)
	return fmt.Sprintf("%d wrong ones tried; a right one took %v, %v at the most (%d logins)", tried.Load(),
		took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond), len(took))
}

// manySubscriptions: filters until the broker says that there is no memory for more.
func manySubscriptions(t *testing.T, b *broker) string {
	const each = 250
	sent, refused := 0, 0
	for n := 0; refused == 0 && sent < less(16*mib); n++ {
		c := b.connect(&packet.Connect{Version: packet.V5})
		for k := 0; k < 8 && refused == 0; k++ {
			p := &packet.Subscribe{ID: 1}
			for i := range each {
				p.Filters = append(p.Filters, packet.Subscription{Filter: fmt.Sprintf("%d/%d/%d/%s", n, k, i, strings.Repeat("a/b", 40))})
			}
			sent += len(p.Append(nil, packet.V5))
			c.mustSend(p)
			for _, code := range must[*packet.Suback](c).Codes {
				if code >= packet.UnspecifiedError {
					refused++
				}
			}
		}
	}
	return fmt.Sprintf("%d MiB of SUBSCRIBE, then %d refused", sent/mib, refused)
}

// greedyAliases: 40 receivers that take 65,535 topic aliases, and long names for them.
func greedyAliases(t *testing.T, b *broker) string {
	for range 40 {
		c := b.connect(&packet.Connect{Version: packet.V5, Props: (&packet.Properties{TopicAliasMaximum: 65535}).Set(packet.TopicAliasMaximum)})
		c.subscribe(0, "long/#")
		go func() { _, _ = io.Copy(io.Discard, c.Conn) }()
	}
	c := b.connect(&packet.Connect{})
	for i := range less(300) {
		c.mustSend(&packet.Publish{Topic: fmt.Appendf(nil, "long/%d/%s", i, strings.Repeat("x", 65_000)), Payload: []byte("y")})
	}
	c.settle()
	return ""
}

// endlessReplays: a client has a large retained message, does not read, and subscribes to 60,000 filters.
func endlessReplays(t *testing.T, b *broker) string {
	c := b.connect(&packet.Connect{})
	c.mustSend(&packet.Publish{Topic: []byte("big"), Retain: true, Payload: make([]byte, 8*mib)})
	c.settle()
	c.mustSend(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "big"}}})
	for n := range less(600) {
		_ = c.SetWriteDeadline(time.Now().Add(patience))
		p := &packet.Subscribe{ID: uint16(n + 2)}
		for i := range 100 {
			p.Filters = append(p.Filters, packet.Subscription{Filter: fmt.Sprint("none/", n, "/", i)})
		}
		if err := c.Send(p); err != nil {
			return "closed after " + fmt.Sprint(n*100)
		}
	}
	b.probeOnce()
	return ""
}
