//go:build linux

package attack

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"picket/internal/testbed"
	"picket/packet"
)

// slowConnects: 500 connections send a CONNECT one byte a second, which would take longer than anyone should wait. They
// are closed all the same, at the limit of 10 s.
func slowConnects(t *testing.T, b *broker) string {
	connect := (&packet.Connect{Version: packet.V311, CleanStart: true, ClientID: "slow and steady"}).Append(nil, packet.V311)
	return trickle(t, b, map[string][]byte{b.addr: connect}, less(500))
}

// slowHandshakes: the same before the CONNECT, in TLS, in an HTTP request, and in nothing at all.
func slowHandshakes(t *testing.T, b *broker) string {
	hello := []byte{0x16, 3, 1, 1, 0xFC, 1, 0, 1, 0xF8, 3, 3} // a record of 508 bytes with a ClientHello of 504
	return trickle(t, b, map[string][]byte{
		b.tls: append(hello, make([]byte, 32)...),
		b.ws:  []byte("GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"),
	}, less(250))
}

// trickle opens n connections to each address and sends on them, byte by byte, what it says there, one byte a second,
// until the broker has closed them all.
func trickle(t *testing.T, b *broker, says map[string][]byte, n int) string {
	type slow struct {
		*client
		text []byte
	}
	var open []slow
	for addr, text := range says {
		for range n {
			c, err := b.tryDial(addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			open = append(open, slow{c, text})
		}
	}
	all := len(open)
	began := time.Now()
	var last time.Duration
	for i := 0; len(open) > 0 && time.Since(began) < patience; i++ {
		open = slices.DeleteFunc(open, func(s slow) bool {
			var err error
			if i < 20 { // never to its end
				_, err = s.Write(s.text[i : i+1])
			}
			if err == nil {
				_ = s.SetReadDeadline(time.Now().Add(time.Microsecond))
				_, err = s.Reader.ReadByte()
			}
			return err != nil && !os.IsTimeout(err)
		})
		if len(open) > 0 {
			last = time.Since(began)
			time.Sleep(time.Until(began.Add(time.Duration(i+1) * time.Second)))
		}
	}
	if len(open) > 0 {
		t.Errorf("%d of %d connections are still open after %v", len(open), all, last)
	}
	return fmt.Sprintf("the last was open for %.0f s", last.Seconds())
}

// silent: 1,000 clients with a keep-alive of 2 s say no more, as when their machine lost its network. Their wills are
// published after one and a half times that (MQTT-3.1.2-22).
func silent(t *testing.T, b *broker) string {
	n := less(1000)
	watcher := b.connect(&packet.Connect{})
	watcher.subscribe(0, "silent/#")
	first := time.Now()
	for i := range n {
		b.connect(&packet.Connect{KeepAlive: 2, Will: &packet.Will{Topic: fmt.Sprint("silent/", i), Payload: []byte("gone")}})
	}
	connected := time.Now()
	must[*packet.Publish](watcher)
	early := time.Since(first)
	for range n - 1 {
		must[*packet.Publish](watcher)
	}
	late := time.Since(connected)
	if early < 2*time.Second { // it began before the first CONNECT, so no slow machine makes it shorter
		t.Errorf("the first was given up after %v, its keep-alive is 2 s", early)
	}
	b.letGo(2)
	return fmt.Sprintf("the first given up after %.1f s, the last after %.1f s", early.Seconds(), late.Seconds())
}

// letGo waits until the broker has closed its connections but for more than the listener's and a few.
func (b *broker) letGo(connections int) {
	b.t.Helper()
	b.holdsAtMost(connections + 32)
}

// holdsAtMost waits until the broker has no more than so many files and sockets open.
func (b *broker) holdsAtMost(n int) {
	b.t.Helper()
	testbed.Eventually(b.t, func() error {
		if open := b.descriptors(); open > n {
			return fmt.Errorf("the broker has %d descriptors open, at most %d are wanted", open, n)
		}
		return nil
	})
}

// halfClosed: 1,000 clients shut their sending side down and keep the socket. The broker must not keep its own.
func halfClosed(t *testing.T, b *broker) string {
	var open []*client
	for i := range less(1000) {
		var c *client
		if i%2 == 0 {
			c = b.connect(&packet.Connect{})
		} else {
			c = b.dial() // no CONNECT at all
			defer c.Close()
		}
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	began := time.Now()
	for _, c := range open {
		if !c.ended(patience) {
			t.Fatalf("a half-closed connection is still open after %v", patience)
		}
	}
	b.letGo(1)
	return fmt.Sprintf("closed in %.2f s", time.Since(began).Seconds())
}

// flood: 5,000 connections that say nothing, begin to speak, speak nonsense or say all that is needed, and go away.
func flood(t *testing.T, b *broker) string {
	const atOnce = 50
	n := less(5000)
	connect := (&packet.Connect{Version: packet.V311, CleanStart: true}).Append(nil, packet.V311)
	says := [][]byte{nil, connect[:5], connect, []byte("GET / HTTP/1.0\r\n\r\n"), {0x16, 3, 1, 0, 200}, {0xff, 0xff, 0xff, 0xff, 0xff}}
	var next atomic.Int64
	var crowd sync.WaitGroup
	began := time.Now()
	for range atOnce {
		crowd.Go(func() {
			for {
				i := int(next.Add(1))
				if i > n {
					return
				}
				c, err := b.tryDial(b.addr)
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				_, _ = c.Write(says[i%len(says)]) // the broker may have closed already
				if i%2 == 0 {
					_ = c.Conn.(*net.TCPConn).SetLinger(0)
				}
				c.Close()
			}
		})
	}
	crowd.Wait()
	rate := float64(n) / time.Since(began).Seconds()
	b.letGo(1)
	return fmt.Sprintf("%.0f a second", rate)
}

// speechless: 3,000 connections send nothing. They are not waited for all at once: for the newest to be served, the oldest
// are closed before their time, and the log says so.
func speechless(t *testing.T, b *broker) string {
	var open []*client
	for i := range less(3000) {
		c := b.dial()
		defer c.Close()
		open = append(open, c)
		if i%less(500) == 0 {
			b.probeOnce()
		}
	}
	b.probeOnce()
	b.holdsAtMost(less(2000)) // else the connections that say nothing crowd out those that do
	if !open[0].ended(patience) {
		t.Error("the oldest connection that says nothing is still open")
	}
	reported := b.reports("connect-flood")
	return fmt.Sprintf("%d lines in the log", reported)
}

// outOfFiles: 1,000 clients, and the system gives the broker fewer files. Those who are in stay, the log says what is
// wrong, and once some have left others get in.
func outOfFiles(t *testing.T, b *broker) string {
	connect := (&packet.Connect{Version: packet.V311, CleanStart: true}).Append(nil, packet.V311)
	var all []*client
	for range 1000 {
		c := b.dial() // the kernel takes the connection, whatever the broker does
		defer c.Close()
		if _, err := c.Write(connect); err == nil {
			all = append(all, c)
		}
	}
	in := 0
	waiting := slices.Clone(all)
	testbed.Eventually(t, func() error {
		waiting = slices.DeleteFunc(waiting, func(c *client) bool {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			ack, err := c.Reader.Peek(4)
			if err == nil && ack[3] == 0 {
				in++
			}
			return !os.IsTimeout(err)
		})
		if in < 400 {
			return fmt.Errorf("%d clients got in, there are files for more", in)
		}
		return nil
	})
	reported := b.reports("server-full")
	if n := b.logCount("fd-limit"); n > 0 {
		t.Errorf("%d connections used up the files that are kept in reserve", n)
	}
	for _, c := range all {
		c.Close()
	}
	b.probeOnce()
	return fmt.Sprintf("%d got in, %d lines in the log", in, reported)
}

// takeoverLoop: two clients with one identifier come back as soon as they are thrown out, until the log says what is wrong, by the id of the cause.
func takeoverLoop(t *testing.T, b *broker) string {
	ctx, cancel := context.WithCancel(t.Context())
	var connected atomic.Int64
	var fighters sync.WaitGroup
	defer fighters.Wait()
	defer cancel()
	for range 2 {
		fighters.Go(func() {
			for ctx.Err() == nil {
				c, err := b.tryDial(b.addr)
				if err != nil {
					t.Error(err)
					return
				}
				release := context.AfterFunc(ctx, func() { c.Close() })
				if c.handshake(&packet.Connect{Version: packet.V5, ClientID: "the-same"}) == nil {
					connected.Add(1)
					_ = c.Rest(patience)
				}
				release()
				c.Close()
			}
		})
	}
	reported := b.reports("id-takeover-loop")
	return fmt.Sprintf("%d takeovers, %d lines in the log", connected.Load(), reported)
}
