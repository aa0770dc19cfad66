package listener

import (
	"io"
	"net"
	"runtime"
	"slices"
	"testing"
	"time"
)

// ways are the transports that benchmarks compare.
func ways() []transport {
	return slices.DeleteFunc(slices.Clone(transports), func(tr transport) bool {
		return !slices.Contains([]string{"tcp", "tcp/goroutines", "unix", "tls", "ws", "wss"}, tr.name)
	})
}

// BenchmarkEcho sends frames of 64 bytes, in batches of 100 as a busy client does, and waits for each batch to come back.
// Client and server share the processors; allocations are those of both, of which the client has none.
func BenchmarkEcho(b *testing.B) {
	a := newAuthority(b, "Test CA")
	for _, tr := range ways() {
		b.Run(tr.name, func(b *testing.B) {
			s := opened(b, newEcho(b), tr.opt, tr.cfg(b, a))
			c := tr.dial(b, s, a)
			c.SetDeadline(time.Time{})
			batch := slices.Repeat(frame(make([]byte, 59)), 100)
			got := make([]byte, len(batch))
			b.SetBytes(int64(len(batch)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(batch); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c, got); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStream sends without waiting, large frames, and counts bytes.
func BenchmarkStream(b *testing.B) {
	a := newAuthority(b, "Test CA")
	for _, tr := range ways() {
		b.Run(tr.name, func(b *testing.B) {
			s := opened(b, newEcho(b), tr.opt, tr.cfg(b, a))
			c := tr.dial(b, s, a)
			c.SetDeadline(time.Time{})
			f := frame(make([]byte, 64<<10))
			b.SetBytes(int64(len(f)))
			b.ReportAllocs()
			go func() {
				for range b.N {
					if _, err := c.Write(f); err != nil {
						return
					}
				}
			}()
			if _, err := io.CopyN(io.Discard, c, int64(b.N)*int64(len(f))); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkIdle reports the memory of a connection that does nothing: Go's heap and stacks, for server and client end
// together less the client end's.
func BenchmarkIdle(b *testing.B) {
	a := newAuthority(b, "Test CA")
	for _, tr := range ways() {
		b.Run(tr.name, func(b *testing.B) {
			const n = 2000
			s := opened(b, discarding{newEcho(b)}, tr.opt, tr.cfg(b, a))
			var clients []net.Conn
			used := func() uint64 {
				runtime.GC()
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return m.HeapAlloc + m.StackInuse
			}
			// The same number of connections to nobody's server tells what the client ends take.
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			before := used()
			for range n {
				clients = append(clients, dial(b, l.Addr().String()))
			}
			client := used() - before
			before = used()
			for range n {
				clients = append(clients, tr.dial(b, s, a))
			}
			time.Sleep(100 * time.Millisecond)
			total := used() - before
			for b.Loop() {
			}
			b.ReportMetric((float64(total)-float64(client))/n, "B/conn")
			b.ReportMetric(0, "ns/op")
			for _, c := range clients {
				c.Close()
			}
		})
	}
}

// BenchmarkConnect opens connections, echoes once and closes them.
func BenchmarkConnect(b *testing.B) {
	a := newAuthority(b, "Test CA")
	for _, tr := range ways() {
		b.Run(tr.name, func(b *testing.B) {
			s := opened(b, newEcho(b), tr.opt, tr.cfg(b, a))
			hello := frame(nil)
			got := make([]byte, len(hello))
			b.ReportAllocs()
			for b.Loop() {
				c := tr.dial(b, s, a)
				c.Write(hello)
				if _, err := io.ReadFull(c, got); err != nil {
					b.Fatal(err)
				}
				c.Close()
			}
		})
	}
}

// discarding is a core whose clients hold nothing, so that only this package's memory is measured.
type discarding struct{ *echo }

type nothing struct{}

func (discarding) Accept(c Conn) Client            { c.Admitted(); return nothing{} }
func (nothing) Read(_ Worker, b []byte) (int, int) { return len(b), 0 }
func (nothing) Writable(Worker)                    {}
func (nothing) Closed(Worker, error)               {}
