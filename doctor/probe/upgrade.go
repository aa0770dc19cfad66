package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"picket/doctor"
)

// ask is a request for WebSocket.
type ask struct {
	variant, path, subprotocol, origin string
}

// upgrade asks for a WebSocket, and when that fails asks in other ways.
func (p *prober) upgrade(ctx context.Context) bool {
	if p.target.Scheme != "ws" && p.target.Scheme != "wss" {
		return true
	}
	p.doing("asking for a WebSocket", "正在升级到 WebSocket")
	f, _ := p.ask(ctx, ask{path: p.target.Path, subprotocol: "mqtt", origin: p.Origin})
	p.add(f)
	switch {
	case f.Good():
		return true
	case f.Result == doctor.Upgraded:
		return false
	case f.Result == doctor.Answered:
		p.askAgain(ctx, f)
		return false
	}
	if f.Result == doctor.NotHTTP || f.Result == doctor.WasClosed || f.Result == doctor.WasReset {
		p.http2(ctx)
	}
	p.listen(ctx)
	return false
}

// askAgain finds out what the server does not like about a request.
func (p *prober) askAgain(ctx context.Context, f doctor.Upgrade) {
	var more []ask
	for _, path := range []string{"/mqtt", "/", "/ws"} {
		if path != p.target.Path {
			more = append(more, ask{doctor.OtherPath, path, "mqtt", p.Origin})
		}
	}
	more = append(more, ask{doctor.AnyPath, "/" + randomID(), "mqtt", p.Origin})
	if path, ok := p.leadsTo(f.Location); ok {
		more = append(more, ask{doctor.Redirected, path, "mqtt", p.Origin})
	}
	more = append(more, ask{doctor.NoSubprotocol, p.target.Path, "", p.Origin}, ask{doctor.OldSubprotocol, p.target.Path, "mqttv3.1", p.Origin})
	if p.Origin != "" {
		more = append(more, ask{doctor.NoOrigin, p.target.Path, "mqtt", ""})
	} else if f.Status == http.StatusForbidden {
		page := "https://" + p.target.Host
		if p.target.Scheme == "ws" {
			page = "http://" + p.target.Host
		}
		more = append(more, ask{doctor.WithOrigin, p.target.Path, "mqtt", page})
	}
	for _, a := range more {
		if ctx.Err() != nil {
			return
		}
		again, _ := p.ask(ctx, a)
		p.add(again)
	}
	if slices.Contains([]int{http.StatusForbidden, http.StatusTooManyRequests, http.StatusServiceUnavailable}, f.Status) {
		p.doing("waiting five seconds before another try", "等待五秒后重试")
		sleep(ctx, longPause)
		rested, _ := p.ask(ctx, ask{doctor.Rested, p.target.Path, "mqtt", p.Origin})
		p.add(rested)
	}
	for _, f := range p.openings(ctx, doctor.SayMQTT) { // a broker may speak both, or a page of errors hide a plain port
		p.add(f)
	}
}

// leadsTo is the path that a Location leads to, if it is one of the same host.
func (p *prober) leadsTo(location string) (path string, ok bool) {
	u, err := url.Parse(location)
	if err != nil || location == "" || u.Host != "" && !strings.EqualFold(u.Hostname(), p.target.Host) || u.Path == "" || u.Path == p.target.Path {
		return "", false
	}
	if !strings.HasPrefix(u.Path, "/") {
		return "/" + u.Path, true
	}
	return u.RequestURI(), true
}

// http2 finds out whether the server speaks HTTP/2 when a client does not insist on HTTP/1.1.
func (p *prober) http2(ctx context.Context) {
	if p.target.Scheme != "wss" {
		return
	}
	p.add(p.handshake(ctx, doctor.HTTP2ALPN))
}

// connectTo makes a connection to the target, with TLS if the scheme has it.
func (p *prober) connectTo(ctx context.Context) (net.Conn, error) {
	conn, err := dialer(false).DialContext(ctx, "tcp", p.endpoint())
	if err != nil || !p.secure() {
		return conn, err
	}
	secure := tls.Client(conn, p.tlsConfig())
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// maxAnswer bounds what is read of an HTTP response.
const maxAnswer = 16 << 10

// ask sends one request. date is the Date of the response, zero when it has none.
func (p *prober) ask(ctx context.Context, a ask) (f doctor.Upgrade, date time.Time) {
	f = doctor.Upgrade{Port: p.target.Port, Variant: a.variant, Path: a.path, Offered: a.subprotocol, Origin: a.origin}
	ctx, cancel := context.WithTimeout(ctx, p.Limit)
	defer cancel()
	start := time.Now()
	var key string
	conn, err := p.connectTo(ctx)
	if err == nil {
		defer conn.Close()
		deadline, _ := ctx.Deadline()
		conn.SetDeadline(deadline)
		stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
		defer stop()
		key = newKey()
		_, err = conn.Write(p.request(key, a.path, a.subprotocol, a.origin))
	}
	if err != nil {
		f.Result, f.Ms = endResult(err), since(start)
		return f, date
	}
	date = readAnswer(&f, key, conn)
	f.Ms = since(start)
	return f, date
}

// readAnswer reads what comes back upon a request for WebSocket, whatever it is.
func readAnswer(f *doctor.Upgrade, key string, conn io.Reader) (date time.Time) {
	seen := &bytes.Buffer{}
	in := io.TeeReader(io.LimitReader(conn, maxAnswer), seen)
	response, err := http.ReadResponse(bufio.NewReader(in), nil)
	switch {
	case err == nil:
	case seen.Len() > 0:
		f.Result, f.Bytes = doctor.NotHTTP, strconv.QuoteToASCII(string(seen.Bytes()[:min(seen.Len(), 64)]))
		return date
	default:
		f.Result = endResult(err)
		if alert, ok := remoteAlert(err); ok {
			f.Result, f.Alert = doctor.Alerted, alert
		}
		return date
	}
	defer response.Body.Close()
	header := func(name string) string { return doctor.Printable(response.Header.Get(name), 120) }
	f.Result, f.Status, f.Location, f.Server = doctor.Answered, response.StatusCode, header("Location"), header("Server")
	f.Subprotocol, f.Versions = header("Sec-WebSocket-Protocol"), header("Sec-WebSocket-Version")
	date, _ = http.ParseTime(response.Header.Get("Date"))
	if f.Status == http.StatusSwitchingProtocols {
		f.Result, f.WrongKey = doctor.Upgraded, response.Header.Get("Sec-WebSocket-Accept") != acceptOf(key)
		f.NoUpgrade = !response.ProtoAtLeast(1, 1) || !httpguts.HeaderValuesContainsToken(response.Header["Upgrade"], "websocket") || !httpguts.HeaderValuesContainsToken(response.Header["Connection"], "upgrade")
		return date
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	if err == nil || errors.Is(err, io.ErrUnexpectedEOF) || len(body) > 0 {
		f.Body = doctor.Printable(strings.Join(strings.Fields(string(body)), " "), 1500)
	}
	return date
}
