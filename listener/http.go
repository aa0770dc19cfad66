package listener

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"picket/cause"
)

const (
	// maxRequest is how long the headers of a request may be unless the configuration says otherwise. Cookies of a site
	// that shares the host name come along, a few kilobytes of them.
	maxRequest = 16 << 10
	// httpIdle is how long a connection that fetches files waits for the next request.
	httpIdle = 10 * time.Second
	// httpWrite bounds sending one file to a slow client.
	httpWrite = 2 * time.Minute
)

// streamKey is the key of the stream in a request's context.
type streamKey struct{}

// newHTTP makes the HTTP side of a listener: the upgrade to WebSocket, and what [Options.HTTP] answers all other requests with. Any path can be
// upgraded, from any origin unless the configuration names some, as with mosquitto: who a client is, MQTT finds out.
func newHTTP(c *Config, opt *Options) (*http.Server, error) {
	rest := http.HandlerFunc(explainPort)
	pages := http.Handler(rest)
	if opt.HTTP != nil {
		h, err := opt.HTTP(c, rest)
		if err != nil {
			return nil, err
		}
		pages = h
	}
	limit := c.HeadersSize
	if limit <= 0 {
		limit = maxRequest
	}
	only1 := new(http.Protocols)
	only1.SetHTTP1(true)
	return &http.Server{
		Protocols: only1,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := r.Context().Value(streamKey{}).(*stream)
			c.requested = true
			if upgrades(r) {
				c.upgrade(w, r)
			} else {
				pages.ServeHTTP(w, r)
			}
		}),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, streamKey{}, nc.(*httpConn).stream)
		},
		ReadHeaderTimeout: c.openingLimit(),
		ReadTimeout:       c.openingLimit(),
		WriteTimeout:      httpWrite,
		IdleTimeout:       httpIdle,
		MaxHeaderBytes:    limit,
		ErrorLog:          log.New(io.Discard, "", 0), // what it has to say is said to the client too, and in serveHTTP
	}, nil
}

// upgrades tells whether a request means to become a WebSocket connection, perhaps wrongly.
func upgrades(r *http.Request) bool {
	return r.Header.Get("Upgrade") != "" && !strings.HasPrefix(strings.ToLower(r.Header.Get("Upgrade")), "h2c") ||
		r.Header.Get("Sec-WebSocket-Key") != ""
}

// explainPort tells a person with a browser what this port is.
func explainPort(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusUpgradeRequired)
	scheme := "ws"
	if c, ok := r.Context().Value(streamKey{}).(*stream); ok && c.tls != nil {
		scheme = "wss"
	}
	fmt.Fprintf(w, "This port speaks MQTT over WebSocket. Connect an MQTT client with %s://, any path, subprotocol \"mqtt\".\n", scheme)
}

// subprotocols are the names for MQTT over WebSocket that are agreed to: MQTT-6.0.0-4, mosquitto's older one, and one that
// some clients made up.
var subprotocols = []string{"mqtt", "mqttv3.1", "mqttv3.1.1"}

// upgrade makes the connection a WebSocket one. A client that names no subprotocol is let in, though MQTT-6.0.0-3 has it name
// one: some phones' WebSocket interfaces cannot.
func (c *stream) upgrade(w http.ResponseWriter, r *http.Request) {
	if origin, ok := c.at.cfg.fromAllowedPage(r); !ok {
		c.refuse(cause.WSOrigin, fmt.Sprintf("pages of the origin %q are not let in; add it to websockets_origin", origin))
		w.Header().Set("Connection", "close")
		http.Error(w, "Pages of this origin are not let in.", http.StatusForbidden)
		return
	}
	offered := strings.Join(r.Header.Values("Sec-WebSocket-Protocol"), ", ")
	if strings.TrimSpace(offered) != "" && !offersMQTT(offered) {
		c.refuse(cause.WSSubprotocol, fmt.Sprintf("WebSocket subprotocol %q is not MQTT; offer \"mqtt\"", offered))
		w.Header().Set("Connection", "close")
		http.Error(w, "Unknown WebSocket subprotocol. Offer \"mqtt\" in Sec-WebSocket-Protocol.", http.StatusBadRequest)
		return
	}
	if r.ProtoMajor == 1 {
		r.ProtoMinor = 1 // nginx without proxy_http_version 1.1 hands the request on in HTTP/1.0, and the answer back: as mosquitto does, we take it
	}
	up := ws.HTTPUpgrader{Timeout: c.at.cfg.openingLimit(), Protocol: isMQTT}
	conn, rw, _, err := up.Upgrade(r, w)
	if conn != nil {
		defer conn.Close() // serveHTTP goes on
	}
	if err != nil {
		c.refuse(cause.WSUpgradeInvalid, err.Error())
		return
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	c.early = bytes.Clone(early)
	c.info.Protocol = WebSocket
	c.info.Forwarded, c.info.Foreign = Forwarded(r), foreign(r)
}

// fromAllowedPage tells whether the page that a request comes from may open a connection, and which origin may not. The whole origin counts, and every one where a
// request names several. mosquitto 2.1 is content with the beginning of an allowed one.
func (c *Config) fromAllowedPage(r *http.Request) (refused string, ok bool) {
	if len(c.Origins) == 0 {
		return "", true
	}
	for _, origin := range r.Header.Values("Origin") {
		if !slices.Contains(c.Origins, strings.ToLower(origin)) {
			return origin[:min(len(origin), 200)], false
		}
	}
	return "", true
}

// Forwarded tells whether a request came through a proxy that leaves a trace.
func Forwarded(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}

// foreign tells whether a request was made by a web page that is not this server's. Browsers name the page's origin; other clients
// have none. A page whose host name was pointed here for the purpose (DNS rebinding) has the right host, so it has to be an address or localhost.
func foreign(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	if err != nil || !strings.EqualFold(u.Host, r.Host) {
		return true
	}
	name := u.Hostname()
	return !strings.EqualFold(name, "localhost") && net.ParseIP(name) == nil
}

func isMQTT(name string) bool {
	for _, s := range subprotocols {
		if s == name {
			return true
		}
	}
	return false
}

func offersMQTT(list string) bool {
	for name := range strings.SplitSeq(list, ",") {
		if isMQTT(strings.TrimSpace(name)) {
			return true
		}
	}
	return false
}

// serveHTTP serves requests until the connection is upgraded, which it tells, or closed.
func (c *stream) serveHTTP() bool {
	hc := &httpConn{Conn: c.top(), stream: c, over: make(chan struct{})}
	_ = c.at.http.Serve(&single{conn: hc}) // ends with the connection
	if c.info.Protocol == WebSocket {
		c.wire.nc.SetDeadline(time.Time{})
		return true
	}
	if !c.requested {
		c.refuse(cause.WSUpgradeInvalid, fmt.Sprintf("not a valid HTTP request, or not a whole one within %v", c.at.cfg.openingLimit()))
	}
	return false
}

// httpConn is the connection that net/http gets: what has been read already comes first.
type httpConn struct {
	net.Conn
	stream *stream
	once   sync.Once
	over   chan struct{} // closed when net/http is done with the connection
}

func (h *httpConn) Read(p []byte) (int, error) {
	if c := h.stream; len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return h.Conn.Read(p)
}

// Close tells serveHTTP. The stream closes the socket.
func (h *httpConn) Close() error {
	h.once.Do(func() { close(h.over) })
	return nil
}

// single is a net.Listener with one connection. Its second Accept returns when that has ended.
type single struct {
	conn *httpConn
	used bool
}

func (s *single) Accept() (net.Conn, error) {
	if s.used {
		<-s.conn.over
		return nil, io.EOF
	}
	s.used = true
	return s.conn, nil
}

func (s *single) Close() error   { return nil }
func (s *single) Addr() net.Addr { return s.conn.LocalAddr() }
