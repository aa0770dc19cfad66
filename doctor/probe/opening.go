package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 has it
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"

	"picket/doctor"
	"picket/packet"
)

const (
	// answerLimit is how long an opening waits for an answer: what answers at all does so within some round trips.
	answerLimit = 3 * time.Second
	// silence is how long one waits for a server that speaks first.
	silence = time.Second
	// answerSize is how much of an answer is looked at.
	answerSize = 512
)

// opening makes a new connection and says something on it. It sends the user's password with SayLogin alone: the port may be anyone's.
func (p *prober) opening(ctx context.Context, a netip.Addr, port int, said string) (f doctor.Opening) {
	limit := min(answerLimit, p.Limit)
	f = doctor.Opening{Address: a.String(), Port: port, Said: said, Heard: doctor.HearRefused}
	start := time.Now()
	conn, dialled := p.dial(ctx, a, port, doctor.Again, limit)
	if conn == nil {
		if dialled.Result == doctor.WasReset { // it was open, and cut off before we came to say anything
			f.Heard = doctor.HearReset
		}
		f.Ms = dialled.Ms
		return f
	}
	raw := conn
	defer raw.Close()
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn.SetDeadline(time.Now().Add(limit))

	heard := func(o doctor.Opening) doctor.Opening {
		o.Address, o.Port, o.Said, o.Ms = f.Address, f.Port, f.Said, since(start)
		return p.hops.onto(o, a)
	}
	defer func() { f.Unheard = f.Heard == doctor.HearSilence && unheard(raw) }()
	say, inside := strings.CutPrefix(said, doctor.SayTLSThen)
	if say == doctor.SayTLSPieces {
		conn, say = &inPieces{conn}, doctor.SayTLS
	}
	if inside || say == doctor.SayTLS || say == doctor.SayALPN {
		next, answered := p.secured(ctx, conn, said)
		if next == nil {
			return heard(answered)
		}
		conn = next
	}
	if say == doctor.SayPieces {
		if _, err := (&inPieces{conn}).Write(hello()); err != nil {
			return heard(ending(err))
		}
		return heard(answer(conn))
	}
	if out := p.words(say, conn); len(out) > 0 {
		if _, err := conn.Write(out); err != nil {
			return heard(ending(err))
		}
	} else {
		conn.SetDeadline(time.Now().Add(min(silence, limit)))
	}
	return heard(answer(conn))
}

// secured begins TLS on a connection, for what is said inside of it; where that is all there is to see, or it fails, there is an answer and no connection.
func (p *prober) secured(ctx context.Context, conn net.Conn, said string) (inside net.Conn, answered doctor.Opening) {
	config := p.anyTLS()
	if said == doctor.SayALPN {
		config.NextProtos = []string{"mqtt"}
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, tlsAnswer(err)
	}
	switch said {
	case doctor.SayTLS, doctor.SayTLSPieces:
		return nil, doctor.Opening{Heard: doctor.HearTLS, Name: tls.VersionName(secure.ConnectionState().Version)}
	case doctor.SayTLSThen + doctor.SayTLS:
		if err := tls.Client(secure, p.anyTLS()).HandshakeContext(ctx); err != nil {
			return nil, tlsAnswer(err)
		}
		return nil, doctor.Opening{Heard: doctor.HearTLS}
	}
	return secure, doctor.Opening{}
}

// unheard tells whether not even the other end's system has acknowledged what was said.
func unheard(conn net.Conn) bool {
	s, ok := socketState(conn)
	return ok && s.sent > 0 && s.acknowledged <= 1
}

// inPieces is a connection that writes in segments of a few bytes each, and the first ones one at a time: who looks for a word in single segments does not
// find it.
type inPieces struct{ net.Conn }

// How a packet is taken to pieces. The first bytes are those in which protocols say who they are; names are longer than the pieces after them.
const (
	singly   = 10
	piece    = 6
	pieceGap = 8 * time.Millisecond
)

func (c *inPieces) Write(b []byte) (n int, err error) {
	for n < len(b) {
		size := 1
		if n >= singly {
			size = min(piece, len(b)-n)
		}
		if _, err := c.Conn.Write(b[n : n+size]); err != nil {
			return n, err
		}
		n += size
		time.Sleep(pieceGap)
	}
	return n, nil
}

// answer reads what a server says first.
func answer(conn net.Conn) doctor.Opening {
	buf := make([]byte, 0, answerSize)
	for {
		n, err := conn.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) == 0 && err != nil:
			return ending(err)
		// HTTP's answer is of interest as far as its header goes.
		case err != nil, len(buf) == cap(buf), !bytes.HasPrefix(buf, []byte("HTTP/")[:min(len(buf), 5)]), bytes.Contains(buf, []byte("\r\n\r\n")):
			return doctor.Recognize(buf)
		}
	}
}

// ending is the answer of a server that says nothing.
func ending(err error) doctor.Opening {
	if alert, isAlert := remoteAlert(err); isAlert {
		return doctor.Opening{Heard: doctor.HearAlert, Name: fmt.Sprint("alert ", alert)}
	}
	switch endResult(err) {
	case doctor.TimedOut:
		return doctor.Opening{Heard: doctor.HearSilence}
	case doctor.WasReset:
		return doctor.Opening{Heard: doctor.HearReset}
	}
	return doctor.Opening{Heard: doctor.HearClosed}
}

// tlsAnswer is what a failed handshake tells about the server.
func tlsAnswer(err error) doctor.Opening {
	var header tls.RecordHeaderError
	if errors.As(err, &header) {
		return doctor.Recognize(header.RecordHeader[:])
	}
	return ending(err)
}

// anyTLS takes every version and every certificate: it is about what a port speaks, not whether to trust it.
func (p *prober) anyTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, ServerName: p.serverName(), CipherSuites: allSuites(), CurvePreferences: curves}
}

// words are the bytes of an opening; none for silence.
func (p *prober) words(say string, conn net.Conn) []byte {
	switch say {
	case doctor.SayMQTT, doctor.SayALPN:
		return hello()
	case doctor.SayLogin:
		c := packet.Connect{Version: packet.V311, CleanStart: true, KeepAlive: 60, ClientID: randomID(), HasUsername: true, Username: p.User, HasPassword: p.HasPassword, Password: p.Password}
		return c.Append(nil, packet.V311)
	case doctor.SayHTTP:
		return p.request(newKey(), p.path(), "mqtt", "")
	case doctor.SayProxyV1, doctor.SayProxyV2:
		version := byte(1)
		if say == doctor.SayProxyV2 {
			version = 2
		}
		header, err := proxyproto.HeaderProxyFromAddrs(version, conn.LocalAddr(), conn.RemoteAddr()).Format()
		if err != nil {
			return nil
		}
		switch p.target.Scheme {
		case "mqtt":
			return append(header, hello()...)
		case "ws":
			return append(header, p.request(newKey(), p.path(), "mqtt", "")...)
		default: // TLS
			return append(header, p.clientHello()...)
		}
	}
	return nil
}

// hello is a CONNECT of MQTT 3.1.1, which every broker knows, without a user.
func hello() []byte {
	c := packet.Connect{Version: packet.V311, CleanStart: true, KeepAlive: 60, ClientID: randomID()}
	return c.Append(nil, packet.V311)
}

// randomID is a client identifier that every version takes: letters and digits, no more than 23. Picket's broker knows the doctor by its form
// (broker/attempts.go), and leaves it out of what it shows of apps.
func randomID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return "doctor" + hex.EncodeToString(b[:])
}

// clientHello is the first flight of a TLS handshake.
func (p *prober) clientHello() []byte {
	r := &recorder{}
	_ = tls.Client(r, p.anyTLS()).Handshake() // it ends for lack of an answer
	return r.Bytes()
}

// recorder keeps what is written and has nothing to read.
type recorder struct {
	net.Conn
	bytes.Buffer
}

func (r *recorder) Write(b []byte) (int, error) { return r.Buffer.Write(b) }
func (r *recorder) Read([]byte) (int, error)    { return 0, io.EOF }
func (r *recorder) Close() error                { return nil }
func (r *recorder) SetDeadline(time.Time) error { return nil }

// path is the WebSocket path to ask for.
func (p *prober) path() string {
	if p.target.Path == "" {
		return "/mqtt"
	}
	return p.target.Path
}

// request is a request for WebSocket (RFC 6455, 4.1). Empty headers are left out.
func (p *prober) request(key, path, subprotocol, origin string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n",
		path, p.hostHeader(), key)
	if subprotocol != "" {
		fmt.Fprintf(&b, "Sec-WebSocket-Protocol: %s\r\n", subprotocol)
	}
	if origin != "" {
		fmt.Fprintf(&b, "Origin: %s\r\n", origin)
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// newKey is the key of a request, which the answer has to belong to (RFC 6455, 4.1).
func newKey() string {
	var key [16]byte
	_, _ = rand.Read(key[:]) // never fails
	return base64.StdEncoding.EncodeToString(key[:])
}

// acceptOf is what the answer to a key says.
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // the protocol's own
	return base64.StdEncoding.EncodeToString(sum[:])
}

// hostHeader leaves the port out where it is the scheme's own (RFC 9110, 7.2).
func (p *prober) hostHeader() string {
	host := p.target.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p.target.Port == doctor.DefaultPort(p.target.Scheme) {
		return host
	}
	return fmt.Sprintf("%s:%d", host, p.target.Port)
}

// openings says several things on connections of their own, all at once.
func (p *prober) openings(ctx context.Context, said ...string) []doctor.Opening {
	facts := make([]doctor.Opening, len(said))
	var wait sync.WaitGroup
	for i, s := range said {
		wait.Go(func() { facts[i] = p.opening(ctx, p.address, p.target.Port, s) })
	}
	wait.Wait()
	return facts
}

// listen finds out what the port speaks after it did not take what the URL promises. It tells whether there is TLS at the port, as far as that can be
// seen.
func (p *prober) listen(ctx context.Context) (secure bool) {
	p.doing("finding out what the port speaks", "正在判断端口使用的协议")
	said := []string{doctor.SayNothing, doctor.SayMQTT, doctor.SayTLS, doctor.SayHTTP, doctor.SayProxyV1, doctor.SayProxyV2, doctor.SayPieces}
	first := p.openings(ctx, said...)
	for _, f := range first {
		p.add(f)
	}
	if p.secure() && first[2].Heard != doctor.HearTLS && first[2].Heard != doctor.HearAlert && first[1].Heard != doctor.HearMQTT && first[3].Heard != doctor.HearWebSocket {
		if f := p.openings(ctx, doctor.SayTLSPieces)[0]; f.Heard == doctor.HearTLS {
			p.add(f)
			return true
		}
	}
	if first[2].Heard == doctor.HearTLS {
		for _, f := range p.openings(ctx, doctor.SayTLSThen+doctor.SayMQTT, doctor.SayTLSThen+doctor.SayHTTP, doctor.SayTLSThen+doctor.SayNothing, doctor.SayTLSThen+doctor.SayTLS, doctor.SayALPN) {
			p.add(f)
		}
	}
	if t := first[2].Heard; t == doctor.HearTLS || t == doctor.HearAlert && first[1].Heard != doctor.HearMQTT && first[3].Heard != doctor.HearWebSocket {
		return true
	}
	return !slices.ContainsFunc(first, func(f doctor.Opening) bool {
		return f.Heard == doctor.HearMQTT || f.Heard == doctor.HearWebSocket || f.Heard == doctor.HearHTTP || f.Heard == doctor.HearSSH || f.Heard == doctor.HearOther
	})
}

// choose finds out the scheme when the URL has none.
func (p *prober) choose(ctx context.Context) bool {
	if p.settled {
		return true
	}
	p.doing("finding out what the port speaks", "正在判断端口使用的协议")
	scheme := doctor.UsualScheme(p.target.Port)
	said := []string{doctor.SayMQTT, doctor.SayTLS, doctor.SayHTTP}
	heard := p.openings(ctx, said...)
	switch {
	case heard[0].Heard == doctor.HearMQTT:
		scheme = "mqtt"
		p.add(heard[0])
	case heard[1].Heard == doctor.HearTLS:
		p.add(heard[1])
		inside := p.openings(ctx, doctor.SayTLSThen+doctor.SayMQTT, doctor.SayTLSThen+doctor.SayHTTP)
		scheme = "mqtts"
		if inside[0].Heard != doctor.HearMQTT && (inside[1].Heard == doctor.HearWebSocket || inside[1].Heard == doctor.HearHTTP) {
			scheme = "wss"
			p.add(inside[1])
		}
	case heard[2].Heard == doctor.HearWebSocket, heard[2].Heard == doctor.HearHTTP:
		scheme = "ws"
		p.add(heard[2])
	}
	p.settle(scheme)
	return true
}
