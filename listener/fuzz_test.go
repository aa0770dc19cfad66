package listener

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/gobwas/ws"
)

// However the bytes of a connection are cut, sniffing comes to the same conclusion, and never changes it.
func FuzzSniff(f *testing.F) {
	for _, o := range openers {
		f.Add(append(slices.Clone(o.prefix), "rest"...))
	}
	f.Add([]byte("\x10\x0c\x00\x04MQTT"))
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		decided := opensUnknown
		for i := range len(b) + 1 {
			got := sniff(b[:i])
			if decided != opensUnknown && got != decided {
				t.Fatalf("%q is %d, with more %d", b[:i], decided, got)
			}
			decided = got
		}
		if len(b) > len(proxySignature2) && decided == opensUnknown {
			t.Fatalf("%q is not decided", b)
		}
	})
}

// A PROXY header is taken whole or not at all, and what follows it does not matter.
func FuzzProxy(f *testing.F) {
	f.Add([]byte("PROXY TCP4 203.0.113.7 198.51.100.1 4711 1883\r\nrest"))
	f.Add([]byte("PROXY TCP6 2001:db8::1 2001:db8::2 4711 1883\r\n"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(proxySignature2 + "\x20\x00\x00\x00rest"))
	f.Add([]byte(proxySignature2 + "\x21\x11\x00\x0c\xcb\x00\x71\x09\xc6\x33\x64\x01\x12\x34\x07\x5b"))
	f.Add([]byte(proxySignature2 + "\x21\x11\x00\x1f\xcb\x00\x71\x09\xc6\x33\x64\x01\x12\x34\x07\x5b\x20\x00\x10\x07\x00\x00\x00\x00\x21\x00\x02v1\x22\x00\x03abc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, refused := parseProxy(b)
		if h.size > len(b) || refused != nil && h.size != 0 {
			t.Fatalf("%+v, %v", h, refused)
		}
		if refused == nil && h.size == 0 {
			if len(b) > maxProxyHeader2 {
				t.Fatal("asks for more than there may be")
			}
			return
		}
		more, refusedMore := parseProxy(append(slices.Clone(b), "more"...))
		if (refused == nil) != (refusedMore == nil) || h.size != more.size || h.remote != more.remote {
			t.Fatalf("%+v, %v; with more bytes %+v, %v", h, refused, more, refusedMore)
		}
		for i := range h.size {
			if part, refused := parseProxy(b[:i]); refused != nil || part.size != 0 {
				t.Fatalf("%d of %d bytes: %+v, %v", i, h.size, part, refused)
			}
		}
	})
}

// However a stream of frames is cut, the same payload and the same control frames come out, as the library reads them.
func FuzzFrames(f *testing.F) {
	masked := func(frames ...ws.Frame) []byte {
		var b bytes.Buffer
		for _, x := range frames {
			ws.WriteFrame(&b, ws.MaskFrame(x))
		}
		return b.Bytes()
	}
	f.Add(masked(ws.NewBinaryFrame([]byte("hello")), ws.NewPingFrame([]byte("p")), ws.NewBinaryFrame(nil)), uint8(3))
	f.Add(masked(ws.NewFrame(ws.OpBinary, false, []byte("he")), ws.NewPongFrame(nil), ws.NewFrame(ws.OpContinuation, true, []byte("llo"))), uint8(1))
	f.Add(masked(ws.NewBinaryFrame(make([]byte, 300)), ws.NewCloseFrame([]byte{3, 232})), uint8(100))
	f.Add(masked(ws.NewTextFrame([]byte("text"))), uint8(0))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		type result struct {
			payload []byte
			control []byte
			err     bool
		}
		decode := func(step int) (r result) {
			var fr frames
			rest := slices.Clone(b)
			for len(rest) > 0 && !r.err {
				n := min(len(rest), step)
				p, err := fr.decode(rest[:n], func(op ws.OpCode, payload []byte) error {
					r.control = append(append(r.control, byte(op), byte(len(payload))), payload...)
					return nil
				})
				if len(p) > n {
					t.Fatalf("%d bytes of payload in %d bytes", len(p), n)
				}
				r.payload = append(r.payload, p...)
				r.err = err != nil
				var fe *frameError
				if err != nil && !errors.As(err, &fe) {
					t.Fatalf("error %v", err)
				}
				rest = rest[n:]
			}
			return r
		}
		whole, cut := decode(len(b)+1), decode(int(step)+1)
		if !bytes.Equal(whole.payload, cut.payload) || !bytes.Equal(whole.control, cut.control) || whole.err != cut.err {
			t.Fatalf("whole %+v\ncut   %+v", whole, cut)
		}
		// What the library makes of it, as far as all frames are whole.
		var want []byte
		r := bytes.NewReader(b)
		for r.Len() > 0 {
			h, err := ws.ReadHeader(r)
			if err != nil || h.Length < 0 || h.Length > int64(r.Len()) {
				return
			}
			payload := make([]byte, h.Length)
			if _, err := io.ReadFull(r, payload); err != nil {
				t.Fatal(err)
			}
			if h.Masked {
				ws.Cipher(payload, h.Mask, 0)
			}
			if !h.OpCode.IsControl() {
				want = append(want, payload...)
			}
		}
		if !whole.err && !bytes.Equal(whole.payload, want) {
			t.Fatalf("payload %q, want %q", whole.payload, want)
		}
	})
}

// However reads are cut, a client sees every byte once, in order, and is not called before what it needs is there.
func FuzzInbox(f *testing.F) {
	f.Add([]byte{3, 1, 2, 3, 200, 5}, uint16(64), uint8(0))
	f.Add([]byte{0, 0, 0}, uint16(5), uint8(1))
	f.Fuzz(func(t *testing.T, lengths []byte, step uint16, way uint8) {
		// Packets: one byte that says how long the rest is, in units of 400 bytes.
		var stream []byte
		for i, n := range lengths {
			if len(stream) > 1<<20 {
				break
			}
			stream = append(stream, n)
			stream = append(stream, bytes.Repeat([]byte{byte(i)}, int(n)*400)...)
		}
		var in inbox
		var sp spares
		var seen []byte
		shared, joined := make([]byte, 40<<10), make([]byte, 40<<10)
		present := func(b []byte) {
			if len(b) < in.need {
				t.Fatalf("%d bytes presented, %d needed", len(b), in.need)
			}
			n, need := 0, 0
			for n < len(b) {
				size := 1 + int(b[n])*400
				if len(b)-n < size {
					need = size
					break
				}
				seen = append(seen, b[n:n+size]...)
				n += size
			}
			in.keep(b, n, need, &sp)
			if cap(in.left) > 4*len(in.left)+512 {
				t.Fatalf("%d bytes are kept in %d", len(in.left), cap(in.left))
			}
		}
		for rest := stream; len(rest) > 0; {
			k := min(len(rest), int(step)+1)
			if way%2 == 0 {
				n := copy(in.space(shared, &sp), rest[:k])
				if n == 0 {
					t.Fatal("no space")
				}
				rest = rest[n:]
				if b := in.arrived(shared, n, &sp); b != nil {
					present(b)
				}
			} else {
				b, n := in.push(slices.Clone(rest[:k]), joined, &sp)
				if n == 0 {
					t.Fatal("nothing taken")
				}
				rest = rest[n:]
				if b != nil {
					present(b)
				}
			}
		}
		if !bytes.Equal(seen, stream) || len(in.left) != 0 {
			t.Fatalf("%d of %d bytes seen, %d left", len(seen), len(stream), len(in.left))
		}
	})
}
