//go:build unix

package conformance

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"picket/internal/testbed"
	"picket/packet"
)

// dialWebSocket opens a connection to the broker's WebSocket listener.
func (e *env) dialWebSocket() net.Conn {
	e.Helper()
	addr := e.broker("open").Addr(e, "PORT_WS")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d := ws.Dialer{Protocols: []string{"mqtt"}}
	conn, buffered, hs, err := d.Dial(ctx, "ws://"+addr+"/")
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { conn.Close() })
	if buffered != nil {
		e.Fatal("the broker has sent something before CONNECT")
	}
	if hs.Protocol != "mqtt" {
		e.Errorf("subprotocol %q", hs.Protocol)
	}
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func (e *env) connectPacket() []byte {
	return (&packet.Connect{Version: e.v, CleanStart: true, ClientID: e.name}).Append(nil, e.v)
}

func websocketSubprotocol(e *env) {
	c := e.dialWebSocket()
	if err := wsutil.WriteClientBinary(c, e.connectPacket()); err != nil {
		e.Fatal(err)
	}
	b, op, err := wsutil.ReadServerData(c)
	if err != nil || op != ws.OpBinary || len(b) < 4 || b[0] != 0x20 || b[3] != 0 {
		e.Errorf("% x in a frame of type %d, %v", b, op, err)
	}
}

func websocketText(e *env) {
	c := e.dialWebSocket()
	if err := wsutil.WriteClientText(c, e.connectPacket()); err != nil {
		e.Fatal(err)
	}
	// A frame that closes may come first; a CONNACK may not.
	for {
		b, op, err := wsutil.ReadServerData(c)
		var closed wsutil.ClosedError
		if errors.As(err, &closed) {
			return
		}
		if err != nil {
			if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
				break
			}
			return
		}
		e.Fatalf("% x in a frame of type %d", b, op)
	}
	e.Error("the connection was not closed")
}

// websocketFrames: neither a packet in many frames nor many packets in one frame make a difference.
func websocketFrames(e *env) {
	c := e.dialWebSocket()
	for _, b := range e.connectPacket() {
		if err := wsutil.WriteClientBinary(c, []byte{b}); err != nil {
			e.Fatal(err)
		}
	}
	both := packet.Pingreq{}.Append(nil, e.v)
	both = (&packet.Publish{Topic: []byte(e.topic("a")), QoS: 1, ID: 9}).Append(both, e.v)
	both = packet.Pingreq{}.Append(both, e.v)
	if err := wsutil.WriteClientBinary(c, both[:5]); err != nil {
		e.Fatal(err)
	}
	if err := wsutil.WriteClientBinary(c, both[5:]); err != nil {
		e.Fatal(err)
	}
	stream := &frames{conn: c}
	answers := &conn{env: e, Client: testbed.NewClient(c, e.v)}
	answers.Reader.Reset(stream)
	want[*packet.Connack](answers)
	want[packet.Pingresp](answers)
	answers.wantAck(packet.PUBACK, 9)
	want[packet.Pingresp](answers)
}

// frames is the payload of binary frames as one stream.
type frames struct {
	conn net.Conn
	rest bytes.Reader
}

func (f *frames) Read(p []byte) (int, error) {
	for f.rest.Len() == 0 {
		b, op, err := wsutil.ReadServerData(f.conn)
		if err != nil {
			return 0, err
		}
		if op != ws.OpBinary {
			return 0, io.ErrUnexpectedEOF
		}
		f.rest.Reset(b)
	}
	return f.rest.Read(p)
}
