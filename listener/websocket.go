package listener

import (
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/gobwas/ws"
)

// A WebSocket connection is pinged, so that proxies between (nginx gives up after 60 s of silence) keep it open; one that is
// silent for three pings is gone.
const (
	pingEvery  = 50 * time.Second
	maxMissing = 3
)

// frames takes a client's WebSocket frames apart. Binary messages are a stream of bytes to MQTT, so nothing is
// gathered: packets may share a frame, and may begin and end anywhere in one (MQTT-6.0.0-3).
type frames struct {
	head    [ws.MaxHeaderSize]byte // of a frame whose header has not arrived whole
	have    int                    // bytes in head
	frame   ws.Header              // the current frame
	left    int64                  // bytes of its payload that have not arrived
	inside  bool                   // a frame is under way
	message bool                   // a fragmented message is under way
	control []byte                 // payload of a control frame, at most ws.MaxControlFramePayloadSize; nil when none is under way
}

// frameError is a violation that ends the connection.
type frameError struct {
	code ws.StatusCode
	text string
}

func (e *frameError) Error() string { return e.text }

// decode takes b apart and returns the payload of binary frames, moved to the front of b. Whole control frames are handed to
// control in order; its error ends decoding, as does a violation of the protocol. The payload before an error is returned with it.
func (f *frames) decode(b []byte, control func(op ws.OpCode, payload []byte) error) ([]byte, error) {
	in, out := 0, 0 // b[:out] is payload, b[in:] is not looked at yet
	for in < len(b) || f.inside && f.left == 0 {
		if !f.inside {
			n, err := f.header(b[in:])
			in += n
			if err != nil {
				return b[:out], err
			}
			continue
		}
		n := int(min(f.left, int64(len(b)-in)))
		part := b[in : in+n]
		in += n
		ws.Cipher(part, f.frame.Mask, int((f.frame.Length-f.left)%4))
		f.left -= int64(n)
		f.inside = f.left > 0
		if !f.frame.OpCode.IsControl() {
			out += copy(b[out:], part)
			continue
		}
		f.control = append(f.control, part...)
		if !f.inside {
			whole := f.control
			f.control = nil
			if err := control(f.frame.OpCode, whole); err != nil {
				return b[:out], err
			}
		}
	}
	return b[:out], nil
}

// header reads a frame's header from b, which continues what head holds, and returns how much of b it took.
func (f *frames) header(b []byte) (n int, err error) {
	before := f.have
	f.have += copy(f.head[f.have:], b)
	size := headerSize(f.head[:f.have])
	if size == 0 || f.have < size {
		return len(b), nil
	}
	n = size - before
	f.have = 0
	h := ws.Header{
		Fin:    f.head[0]&0x80 != 0,
		Rsv:    f.head[0] >> 4 & 7,
		OpCode: ws.OpCode(f.head[0] & 0xf),
		Masked: f.head[1]&0x80 != 0,
		Length: int64(f.head[1] & 0x7f),
	}
	switch h.Length {
	case 126:
		h.Length = int64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		if h.Length = int64(binary.BigEndian.Uint64(f.head[2:])); h.Length < 0 {
			return n, &frameError{ws.StatusProtocolError, "frame length with the highest bit set"}
		}
	}
	if h.Masked {
		copy(h.Mask[:], f.head[size-4:size])
	}
	state := ws.StateServerSide
	if f.message {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return n, &frameError{ws.StatusProtocolError, err.Error()}
	}
	if h.OpCode == ws.OpText {
		// MQTT-6.0.0-1.
		return n, &frameError{ws.StatusUnsupportedData, "text frame; MQTT goes in binary frames"}
	}
	if h.OpCode.IsData() || h.OpCode == ws.OpContinuation {
		f.message = !h.Fin
	}
	f.frame, f.left, f.inside = h, h.Length, true
	return n, nil
}

// headerSize returns the size of the header that begins with b, 0 when b is too short to tell.
func headerSize(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	size := 2
	switch b[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if b[1]&0x80 != 0 {
		size += 4
	}
	return size
}

// errPeerClosed ends a connection whose client has sent a close frame.
var errPeerClosed = errors.New("WebSocket close")

// controlFrame answers a client's control frame.
func (c *stream) controlFrame(op ws.OpCode, payload []byte) error {
	switch op {
	case ws.OpPing:
		// A client that sends pings and does not read gets no more answers than there is room for.
		if !c.wire.full() {
			return c.sendControl(ws.OpPong, payload)
		}
	case ws.OpClose:
		if len(payload) > 2 {
			payload = payload[:2] // the code is repeated (RFC 6455, 5.5.1)
		}
		_ = c.sendControl(ws.OpClose, payload)
		return errPeerClosed
	}
	return nil
}

// sendControl sends one control frame.
func (c *stream) sendControl(op ws.OpCode, payload []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if op == ws.OpClose {
		if c.closeSent {
			return nil
		}
		c.closeSent = true
	} else if c.closeSent {
		return nil
	}
	f := append(appendHeader(nil, op, len(payload)), payload...)
	var w io.Writer = c.wire
	if c.tls != nil {
		w = c.tls
	}
	_, err := w.Write(f)
	return err
}

// appendHeader appends the header of a whole frame to a client.
func appendHeader(b []byte, op ws.OpCode, size int) []byte {
	b = append(b, 0x80|byte(op))
	switch {
	case size < 126:
		return append(b, byte(size))
	case size <= 0xffff:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(size))
	}
	return binary.BigEndian.AppendUint64(append(b, 127), uint64(size))
}
