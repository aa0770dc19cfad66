//go:build unix

package echo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"picket/cause"
)

// What goes in on one side comes out on the other, whatever the chunks it is sent in, and the end comes after it.
func TestEveryByteReturns(t *testing.T) {
	for _, mode := range []struct {
		name, address string
		same          bool
	}{{"IPv4", "127.0.0.1", false}, {"IPv6", "::1", false}, {"same connection", "127.0.0.1", true}} {
		t.Run(mode.name, func(t *testing.T) {
			if l, err := net.Listen("tcp", net.JoinHostPort(mode.address, "0")); err != nil {
				t.Skipf("this machine has no %s: %v", mode.address, err)
			} else {
				l.Close()
			}
			s, _, _, _ := serve(t, func(c *Config) {
				c.Addresses, c.SameConnection = []string{mode.address}, mode.same
				c.Limits.Bytes = 1 << 40
			})
			rapid.Check(t, func(rt *rapid.T) {
				chunks := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 40), rapid.IntRange(1, 3*bufferSize)), 0, 12).Draw(rt, "chunks")
				pauses := rapid.SliceOfN(rapid.Bool(), len(chunks), len(chunks)).Draw(rt, "pauses")
				seed := rapid.Uint32().Draw(rt, "seed")
				var p pair
				if mode.same {
					p.out = dial(t, mode.address, s)
					p.back = p.out
				} else {
					p = connect(t, mode.address, s)
					defer p.back.Close()
				}
				defer p.out.Close()
				var want []byte
				go func(chunks []int) {
					x := seed
					for i, size := range chunks {
						chunk := make([]byte, size)
						for j := range chunk {
							x = x*1664525 + 1013904223
							chunk[j] = byte(x >> 24)
						}
						p.out.Write(chunk)
						if pauses[i] {
							time.Sleep(time.Millisecond)
						}
					}
					p.out.CloseWrite()
				}(chunks)
				x := seed
				for _, size := range chunks {
					for range size {
						x = x*1664525 + 1013904223
						want = append(want, byte(x>>24))
					}
				}
				got, err := io.ReadAll(p.back)
				if err != nil || !bytes.Equal(got, want) {
					rt.Fatalf("got %d bytes and %v, want %d bytes: the same %t", len(got), err, len(want), bytes.Equal(got, want))
				}
			})
		})
	}
}

// A byte returns when it comes, not when there are more.
func TestReturnsAsItComes(t *testing.T) {
	s, _, log, _ := serve(t, nil)
	p := connect(t, "127.0.0.1", s)
	for i := range 10 {
		if _, err := p.out.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		var b [10]byte
		if n, err := p.back.Read(b[:]); n != 1 || err != nil || b[0] != byte(i) {
			t.Fatalf("got % x and %v, want %02x", b[:n], err, i)
		}
	}
	// A receiver that speaks is not listened to.
	p.back.Write([]byte("nobody asked"))
	p.out.CloseWrite()
	if rest, err := io.ReadAll(p.back); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
	p.back.Close()
	if rest, err := io.ReadAll(p.out); err != nil || len(rest) > 0 {
		t.Errorf("on the sending connection: %q, %v", rest, err)
	}
	log.Await(t, "ended: 10 bytes returned in ")
}

// A receiver that takes nothing stops its sender after what the kernel's buffers hold; when it goes on, all of it comes.
func TestSlowReceiverSlowsSender(t *testing.T) {
	s, _, _, _ := serve(t, func(c *Config) { c.Limits.Bytes = 1 << 40 })
	p := connect(t, "127.0.0.1", s)
	p.out.SetWriteBuffer(socketBuffer)
	p.back.SetReadBuffer(socketBuffer)
	const total = 64 << 20
	chunk := make([]byte, 64<<10)
	sent := 0
	for sent < total { // until a write does not get through within a moment
		p.out.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := p.out.Write(chunk)
		sent += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// Four socket buffers, which the kernel doubles, the server's own, and the sender's last write.
	if limit := 4*2*socketBuffer + 2*bufferSize + len(chunk); sent > limit {
		t.Errorf("the sender got rid of %d bytes while the receiver took none; want at most %d", sent, limit)
	}
	t.Logf("the sender was stopped after %d bytes", sent)
	p.out.SetWriteDeadline(time.Now().Add(patience))
	go func() {
		for sent := sent; sent < total; {
			n, err := p.out.Write(chunk[:min(len(chunk), total-sent)])
			if err != nil {
				return // the receiver misses it
			}
			sent += n
		}
		p.out.CloseWrite()
	}()
	if n, err := io.Copy(io.Discard, p.back); n != total || err != nil {
		t.Errorf("%d bytes and %v returned, want %d", n, err, total)
	}
}

// Receivers that stand still cost the server a buffer each, however much is sent.
func TestMemoryStaysFlat(t *testing.T) {
	clients := 200
	if testing.Short() {
		clients = 50
	}
	s, _, _, _ := serve(t, func(c *Config) { c.Limits.Bytes = 1 << 40; c.Limits.PerClient = clients })
	l := listen(t, "127.0.0.1", s)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	var conns []*net.TCPConn
	for range clients {
		conns = append(conns, dial(t, "127.0.0.1", s))
		back, err := l.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { back.Close() })
	}
	idle := heap()
	chunk := make([]byte, 64<<10)
	fill := func() (sent int64) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		for _, c := range conns {
			wg.Go(func() {
				for {
					c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
					n, err := c.Write(chunk)
					mu.Lock()
					sent += int64(n)
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
		wg.Wait()
		return sent
	}
	sent := fill()
	full := heap()
	more := fill()
	again := heap()
	t.Logf("%d clients: %d kB idle, %d kB when %d MB had been sent, %d kB after trying %d MB more",
		clients, idle>>10, full>>10, sent>>20, again>>10, more>>20)
	// A buffer for each client, and as much again for what the runtime rounds up.
	if limit := uint64(clients * bufferSize * 2); again > idle+limit {
		t.Errorf("memory grew by %d bytes, want at most %d", again-idle, limit)
	}
}

func TestThousandsOfClients(t *testing.T) {
	clients := 1000
	if testing.Short() {
		clients = 200
	}
	if limit := fileLimit(t); limit < clients*4+100 {
		t.Skipf("this machine allows %d open files, and the test needs %d", limit, clients*4+100)
	}
	s, _, _, stop := serve(t, func(c *Config) { c.Limits.PerClient = clients; c.Limits.Connections = clients })
	l := listen(t, "127.0.0.1", s)
	var running sync.WaitGroup
	running.Go(func() { // every client's receiving side: what comes is told to its sender by the number in front
		for range clients {
			back, err := l.AcceptTCP()
			if err != nil {
				t.Error(err)
				return
			}
			running.Go(func() {
				defer back.Close()
				back.SetDeadline(time.Now().Add(10 * patience)) // it begins before all the others have connected
				got, err := io.ReadAll(back)
				var number int
				if _, scan := fmt.Sscanf(string(got), "client %d says hello", &number); err != nil || scan != nil {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
	})
	conns := make([]*net.TCPConn, clients)
	for i := range conns {
		conns[i] = dial(t, "127.0.0.1", s)
	}
	for i, c := range conns { // all are open
		c.SetDeadline(time.Now().Add(patience))
		if _, err := fmt.Fprintf(c, "client %d says hello", i); err != nil {
			t.Fatal(err)
		}
		c.CloseWrite()
	}
	running.Wait()
	for _, c := range conns {
		c.Close()
	}
	stop()
}

func fileLimit(t *testing.T) int {
	t.Helper()
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		t.Fatal(err)
	}
	return int(r.Cur)
}

// Whatever limit is met, the sender is told its cause, the receiver gets what was taken until then, and the log says it.
func TestLimits(t *testing.T) {
	t.Run("connections of one client", func(t *testing.T) {
		s, _, log, _ := serve(t, func(c *Config) { c.Limits.PerClient = 1 })
		connect(t, "127.0.0.1", s)
		wantCause(t, refusal(t, dial(t, "127.0.0.1", s)), cause.EchoClientConnections)
		connect(t, "127.0.0.2", s) // another client has its own
		log.Await(t, "refused: 127.0.0.1 has 1 connections already. [echo-client-connections]")
	})
	t.Run("connections of one client in a minute", func(t *testing.T) {
		s, _, _, _ := serve(t, func(c *Config) { c.Limits.PerMinute = 2 })
		for range 2 {
			p := connect(t, "127.0.0.1", s)
			p.out.Close()
			p.back.Close()
		}
		wantCause(t, refusal(t, dial(t, "127.0.0.1", s)), cause.EchoClientConnections)
	})
	t.Run("connections of all", func(t *testing.T) {
		s, _, _, _ := serve(t, func(c *Config) { c.Limits.Connections = 2 })
		connect(t, "127.0.0.1", s)
		connect(t, "127.0.0.2", s)
		wantCause(t, refusal(t, dial(t, "127.0.0.3", s)), cause.EchoServerFull)
	})
	t.Run("bytes", func(t *testing.T) {
		s, _, log, _ := serve(t, func(c *Config) { c.Limits.Bytes = 1000 })
		p := connect(t, "127.0.0.1", s)
		if _, err := p.out.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		wantCause(t, refusal(t, p.out), cause.EchoClientBytes)
		if got, err := io.ReadAll(p.back); len(got) != 1000 || err != nil {
			t.Errorf("%d bytes and %v returned, want 1000", len(got), err)
		}
		wantCause(t, refusal(t, dial(t, "127.0.0.1", s)), cause.EchoClientBytes)
		log.Await(t, "1000 bytes returned in ")
	})
	t.Run("bytes, sent by the receiver", func(t *testing.T) {
		s, _, _, _ := serve(t, func(c *Config) { c.Limits.Bytes = 1000 })
		p := connect(t, "127.0.0.1", s)
		p.back.Write(make([]byte, 1000))
		wantCause(t, refusal(t, p.out), cause.EchoClientBytes)
	})
	t.Run("idle", func(t *testing.T) {
		s, _, _, _ := serve(t, func(c *Config) { c.Limits.Idle = 100 * time.Millisecond })
		p := connect(t, "127.0.0.1", s)
		wantCause(t, refusal(t, p.out), cause.EchoIdle)
		if got, err := io.ReadAll(p.back); len(got) != 0 || err != nil {
			t.Errorf("%q and %v returned", got, err)
		}
	})
	t.Run("time", func(t *testing.T) {
		s, _, _, _ := serve(t, func(c *Config) { c.Limits.Time = 200 * time.Millisecond })
		p := connect(t, "127.0.0.1", s)
		sending := make(chan struct{})
		go func() {
			defer close(sending)
			for {
				if _, err := p.out.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		wantCause(t, refusal(t, p.out), cause.EchoTimeLimit)
		p.out.Close()
		<-sending
	})
	t.Run("nothing listens at the client", func(t *testing.T) {
		s, _, log, _ := serve(t, nil)
		// From an address at which no other program of this machine listens, whatever it does with the port.
		wantCause(t, refusal(t, dial(t, "127.0.0.77", s)), cause.EchoNoWayBack)
		log.Await(t, "connection refused. [echo-no-way-back]")
	})
	t.Run("impossible limits", func(t *testing.T) {
		if _, err := Listen(context.Background(), Config{}); err == nil {
			t.Error("a server without limits was opened")
		}
		if _, err := Listen(context.Background(), Config{Port: 2000, BackPort: 2000, Limits: DefaultLimits()}); err == nil {
			t.Error("a server that connects to itself was opened")
		}
	})
}

// A receiver that is gone ends the sender, even if nothing is under way.
func TestReceiverGone(t *testing.T) {
	s, _, _, _ := serve(t, nil)
	t.Run("reset while idle", func(t *testing.T) {
		p := connect(t, "127.0.0.1", s)
		p.out.Write([]byte("x"))
		p.back.Read(make([]byte, 1)) // the server knows that it is connected
		p.back.SetLinger(0)
		p.back.Close()
		wantCause(t, refusal(t, p.out), cause.EchoReceiverGone)
	})
	t.Run("closed while sending", func(t *testing.T) {
		p := connect(t, "127.0.0.1", s)
		p.back.Close()
		sending := make(chan struct{})
		go func() {
			defer close(sending)
			for {
				if _, err := p.out.Write([]byte("x")); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		wantCause(t, refusal(t, p.out), cause.EchoReceiverGone)
		p.out.Close()
		<-sending
	})
}

// A stream that the sender broke off does not look complete to its receiver.
func TestSenderBreaksOff(t *testing.T) {
	s, _, log, _ := serve(t, nil)
	p := connect(t, "127.0.0.1", s)
	p.out.Write([]byte("half a sen"))
	var b [10]byte
	if _, err := io.ReadFull(p.back, b[:]); err != nil {
		t.Fatal(err)
	}
	p.out.SetLinger(0)
	p.out.Close()
	if n, err := p.back.Read(b[:]); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the receiver got %d bytes and %v, want a reset", n, err)
	}
	log.Await(t, "closed its connection: connection reset by peer; 10 bytes returned")
}

func TestShutdownTellsClients(t *testing.T) {
	s, _, _, stop := serve(t, nil)
	p := connect(t, "127.0.0.1", s)
	p.out.Write([]byte("hello"))
	var b [5]byte
	if _, err := io.ReadFull(p.back, b[:]); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	wantCause(t, refusal(t, p.out), cause.ServerShuttingDown)
	if rest, err := io.ReadAll(p.back); len(rest) != 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
	p.out.Close()
	<-stopped
}
