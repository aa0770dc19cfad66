package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"golang.org/x/net/http/httpguts"

	"picket/packet"
)

// maxAnswerHead bounds the head of the answer to an upgrade, in bytes.
const maxAnswerHead = 64 << 10

// upgrade makes a WebSocket of conn (RFC 6455, section 4.1): the answer's Connection may name more than Upgrade, as it does behind some proxies.
func (t *Transport) upgrade(ctx context.Context, conn net.Conn, u *url.URL, v packet.Version) (net.Conn, error) {
	protocol, offered := "mqtt", "mqtt" // MQTT-6.0.0-3
	if v == packet.V31 {
		protocol, offered = "mqttv3.1", "mqttv3.1, mqtt"
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	key := make([]byte, 16)
	_, _ = rand.Read(key) // never fails
	nonce := base64.StdEncoding.EncodeToString(key)
	request := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: t.Header.Clone()}
	if request.Header == nil {
		request.Header = make(http.Header)
	}
	for name, value := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": nonce, "Sec-WebSocket-Protocol": offered, "User-Agent": "",
	} {
		request.Header.Set(name, value)
	}
	head := &io.LimitedReader{R: conn, N: maxAnswerHead}
	in := bufio.NewReader(head)
	err := request.Write(conn)
	var answer *http.Response
	if err == nil {
		answer, err = http.ReadResponse(in, request) //nolint:bodyclose // the connection is the caller's, who ends it when this fails
	}
	if !stop() {
		return nil, fmt.Errorf("WebSocket handshake: %w", context.Cause(ctx))
	}
	if err != nil {
		return nil, fmt.Errorf("WebSocket handshake: %w", err)
	}
	if err := upgraded(answer, nonce, protocol, offered); err != nil {
		return nil, fmt.Errorf("WebSocket handshake: %w", err)
	}
	head.N = math.MaxInt64
	w := &webSocket{Conn: conn}
	w.in = &wsutil.Reader{Source: in, State: ws.StateClientSide, CheckUTF8: false, OnIntermediate: w.control}
	return w, nil
}

// upgraded tells what is wrong with the answer to a request for WebSocket; nil if nothing is.
func upgraded(answer *http.Response, nonce, protocol, offered string) error {
	sum := sha1.Sum([]byte(nonce + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // the protocol's own
	chosen := answer.Header.Get("Sec-WebSocket-Protocol")
	switch {
	case answer.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("the server answers with status %s", answer.Status)
	case !answer.ProtoAtLeast(1, 1):
		return fmt.Errorf("the server answers in %s, which has no Upgrade", answer.Proto)
	case !httpguts.HeaderValuesContainsToken(answer.Header["Upgrade"], "websocket"), !httpguts.HeaderValuesContainsToken(answer.Header["Connection"], "upgrade"):
		return errors.New("the answer does not say Upgrade: websocket")
	case answer.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]):
		return errors.New("the answer does not belong to the request (Sec-WebSocket-Accept)")
	case answer.Header.Get("Sec-WebSocket-Extensions") != "":
		return errors.New("the server uses an extension that was not asked for")
	case chosen == "":
		return fmt.Errorf("the server does not speak subprotocol %s", protocol)
	case !httpguts.HeaderValuesContainsToken([]string{offered}, chosen):
		return fmt.Errorf("the server chooses subprotocol %q, which was not offered", chosen)
	}
	return nil
}

// ClosedError is the end of a WebSocket with a reason of the server's. It is an [io.EOF].
type ClosedError struct {
	Code   int // RFC 6455, section 7.4; 0: none was given
	Reason string
}

func (e *ClosedError) Error() string {
	return fmt.Sprintf("the server has closed the WebSocket: %d %s", e.Code, e.Reason)
}

// Unwrap is io.EOF.
func (e *ClosedError) Unwrap() error { return io.EOF }

// FrameError is a frame that no server may send to a client of MQTT.
type FrameError struct {
	Err  error
	Text []byte // how the content of a text frame begins; nil for other frames
}

func (e *FrameError) Error() string { return "WebSocket: " + e.Err.Error() }

// Unwrap is what is wrong with the frame.
func (e *FrameError) Unwrap() error { return e.Err }

// shownText is how much of a text frame is kept, in bytes.
const shownText = 64

// frameError marks errors of the protocol of WebSocket.
func frameError(err error) error {
	var wrong ws.ProtocolError
	if errors.As(err, &wrong) {
		return &FrameError{Err: err}
	}
	return err
}

// webSocket is a stream of bytes in binary frames, whose borders mean nothing (MQTT-6.0.0-2).
type webSocket struct {
	net.Conn
	in    *wsutil.Reader
	frame bool // reading inside a frame

	mu  sync.Mutex // held while a frame is written: pongs are sent by the reader
	out []byte
}

// Read gives the payload of data frames and answers control frames.
func (w *webSocket) Read(b []byte) (int, error) {
	for {
		if !w.frame {
			h, err := w.in.NextFrame()
			if err != nil {
				return 0, frameError(err)
			}
			switch {
			case h.OpCode.IsControl():
				if err := w.control(h, w.in); err != nil {
					return 0, err
				}
				continue
			case h.OpCode == ws.OpText: // MQTT-6.0.0-1
				text, _ := io.ReadAll(io.LimitReader(w.in, min(h.Length, shownText)))
				return 0, &FrameError{errors.New("the server sent a text frame"), text}
			}
			w.frame = true
		}
		n, err := w.in.Read(b)
		if err == io.EOF {
			w.frame, err = false, nil
		}
		if n > 0 || err != nil {
			return n, frameError(err)
		}
	}
}

// control answers a control frame: ping with pong, close with the end of the stream.
func (w *webSocket) control(h ws.Header, r io.Reader) error {
	payload, err := io.ReadAll(io.LimitReader(r, h.Length)) // at most 125 bytes, which the reader has checked
	if err != nil {
		return err
	}
	switch h.OpCode {
	case ws.OpPing:
		return w.write(ws.OpPong, payload)
	case ws.OpClose:
		_ = w.write(ws.OpClose, payload)
		code, reason := ws.ParseCloseFrameData(payload)
		return &ClosedError{int(code), reason}
	}
	return nil
}

// Write sends b as one frame.
func (w *webSocket) Write(b []byte) (int, error) {
	if err := w.write(ws.OpBinary, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (w *webSocket) write(op ws.OpCode, payload []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	h := ws.Header{Fin: true, OpCode: op, Masked: true, Mask: ws.NewMask(), Length: int64(len(payload))}
	head := bytes.NewBuffer(w.out[:0])
	if err := ws.WriteHeader(head, h); err != nil {
		return err
	}
	w.out = append(head.Bytes(), payload...)
	ws.Cipher(w.out[len(w.out)-len(payload):], h.Mask, 0)
	_, err := w.Conn.Write(w.out)
	if cap(w.out) > maxQueued {
		w.out = nil
	}
	return err
}
