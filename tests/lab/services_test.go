//go:build linux

package lab

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pires/go-proxyproto"
	"golang.org/x/net/dns/dnsmessage"

	"picket/client"
	"picket/packet"
)

// names has the client ask a name server on its router. A name that is not there does not exist; one without addresses of a family has none of it;
// "broken." begins names that the server fails at, "slow." those that it thinks about for four seconds, and "mute." those that it says nothing about.
func (w *world) names(known map[string][]string) {
	w.t.Helper()
	w.namesAt(gateway4, known)
}

// names6 is names for a client that has IPv6 alone.
func (w *world) names6(known map[string][]string) { w.t.Helper(); w.namesAt(gateway6, known) }

func (w *world) namesAt(server string, known map[string][]string) {
	w.t.Helper()
	w.resolver("nameserver " + server + "\n")
	var conn net.PacketConn
	w.inside(routerSide, func() (err error) {
		conn, err = net.ListenPacket("udp", net.JoinHostPort(server, "53"))
		return err
	})
	ended := make(chan struct{})
	w.t.Cleanup(func() { conn.Close(); <-ended })
	go func() {
		defer close(ended)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			out := resolve(known, buf[:n])
			switch {
			case out == nil:
			case bytes.Contains(out, []byte("\x04slow")):
				time.AfterFunc(4*time.Second, func() { _, _ = conn.WriteTo(out, from) })
			default:
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
}

// resolver says where the client looks names up; "ip netns exec" puts it in the place of the system's own file.
func (w *world) resolver(conf string) {
	w.t.Helper()
	dir := filepath.Join("/etc/netns", w.ns(clientSide))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	for name, content := range map[string]string{"resolv.conf": conf, "hosts": "127.0.0.1 localhost\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
}

func resolve(known map[string][]string, question []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	name := strings.TrimSuffix(q.Name.String(), ".")
	addresses, exists := known[name]
	switch {
	case strings.HasPrefix(name, "mute."):
		return nil
	case strings.HasPrefix(name, "broken."):
		m.RCode = dnsmessage.RCodeServerFailure
	case !exists:
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, s := range addresses {
		a := netip.MustParseAddr(s)
		h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET, TTL: 60}
		if a.Is4() && q.Type == dnsmessage.TypeA {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		} else if a.Is6() && q.Type == dnsmessage.TypeAAAA {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}

// between passes bytes on in both directions until either side ends. Each chunk goes through a function first.
func between(a, b net.Conn, toA, toB func([]byte) bool) {
	pass := func(from, to net.Conn, look func([]byte) bool) {
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if err != nil || look != nil && !look(buf[:n]) {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	bothWays(a, b, func() { pass(b, a, toA) }, func() { pass(a, b, toB) })
}

// bothWays does what passes each way between two connections, ends both when one of the two is over, and waits for the other.
func bothWays(a, b net.Conn, one, other func()) {
	done := make(chan struct{}, 2)
	for _, way := range [...]func(){one, other} {
		go func() {
			way()
			done <- struct{}{}
		}()
	}
	<-done
	_ = a.Close()
	_ = b.Close()
	<-done
}

// forwards passes connections on to an address, as proxies do.
func (w *world) forwards(machine, to string) func(net.Conn) {
	return func(c net.Conn) {
		if back, err := w.dial(machine, to); err == nil {
			between(c, back, nil, nil)
		}
	}
}

// closesIdle is a proxy with a timer: it closes connections on which nothing has come from the client for a while.
func (w *world) closesIdle(machine, to string, idle time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		back, err := w.dial(machine, to)
		if err != nil {
			return
		}
		timer := time.AfterFunc(idle, func() { _ = c.Close() })
		defer timer.Stop()
		active := func([]byte) bool { timer.Reset(idle); return true }
		between(c, back, active, active)
	}
}

// holdsBackConnack is a broker whose way to check passwords hangs: it takes CONNECT and answers nothing but, to what is no MQTT, the broker's end.
func (w *world) holdsBackConnack(to string) func(net.Conn) {
	return func(c net.Conn) {
		back, err := w.dial(serverSide, to)
		if err != nil {
			return
		}
		between(c, back, func(b []byte) bool {
			if b[0] == 0x20 {
				_, _ = io.Copy(io.Discard, back) // until the client gives up
			}
			return true
		}, nil)
	}
}

// expectsProxyHeader hangs up on connections that do not begin with a PROXY header, as brokers behind a balancer do.
func (w *world) expectsProxyHeader(to string) func(net.Conn) {
	forward := w.forwards(serverSide, to)
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		if _, err := proxyproto.Read(in); err == nil {
			forward(&buffered{c, in})
		}
	}
}

type buffered struct {
	net.Conn
	in *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

// says greets, as servers do that speak first.
func says(greeting string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, greeting)
		_, _ = io.Copy(io.Discard, c)
	}
}

// cutsOffName is a filter on the way that resets connections whose TLS hello names a host.
func (w *world) cutsOffName(to, name string) func(net.Conn) {
	return func(c net.Conn) {
		back, err := w.dial(routerSide, to)
		if err != nil {
			return
		}
		between(c, back, nil, func(b []byte) bool {
			if bytes.Contains(b, []byte(name)) {
				_ = c.(*net.TCPConn).SetLinger(0)
				return false
			}
			return true
		})
	}
}

// withTLS ends TLS and passes what is inside on.
func (w *world) withTLS(config *tls.Config, to string) func(net.Conn) {
	inside := w.forwards(serverSide, to)
	return func(c net.Conn) {
		secure := tls.Server(c, config)
		if secure.Handshake() == nil {
			inside(secure)
		}
	}
}

// web serves HTTP on the server; with a certificate, HTTPS. Without a handler it speaks HTTP/2 only, and finds nothing.
func (w *world) web(address string, handler http.Handler, config *tls.Config) {
	w.t.Helper()
	w.webAt(serverSide, address, handler, config)
}

// webAt is web on any machine.
func (w *world) webAt(machine, address string, handler http.Handler, config *tls.Config) {
	w.t.Helper()
	var l net.Listener
	w.inside(machine, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	if config != nil {
		l = tls.NewListener(l, config)
	}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: patience, ErrorLog: quiet}
	if handler == nil {
		s.Handler, s.Protocols = http.NotFoundHandler(), new(http.Protocols)
		s.Protocols.SetHTTP2(true)
	}
	ended := make(chan struct{})
	go func() { _ = s.Serve(l); close(ended) }()
	w.t.Cleanup(func() { _ = s.Close(); <-ended })
}

// reverseProxy is one in front of a WebSocket port on the server. upgrade false: it takes the Upgrade header off, as proxies do that were not told about
// WebSocket.
func (w *world) reverseProxy(to string, upgrade bool) http.Handler {
	return w.reverseProxyFrom(serverSide, to, upgrade)
}

// reverseProxyFrom is reverseProxy on any machine.
func (w *world) reverseProxyFrom(machine, to string, upgrade bool) http.Handler {
	return &httputil.ReverseProxy{
		Transport: &http.Transport{DialContext: dialIn(w, machine), DisableKeepAlives: true},
		ErrorLog:  quiet,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: to})
			if !upgrade {
				r.Out.Header.Del("Upgrade")
				r.Out.Header.Del("Connection")
			}
		},
	}
}

// onPath has a handler serve one path, and says 404 to all others.
func onPath(path string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			http.NotFound(rw, r)
			return
		}
		h.ServeHTTP(rw, r)
	})
}

// answers is a web server with one answer for everybody.
func answers(status int, body string, headers ...string) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			rw.Header().Set(headers[i], headers[i+1])
		}
		rw.WriteHeader(status)
		_, _ = io.WriteString(rw, body)
	})
}

// occupies connects a client with an identifier that stays, and comes back when it is thrown out.
func (w *world) occupies(machine, address, id string) {
	w.t.Helper()
	connect := func() *client.Client {
		for end := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
			c, err := client.Dial(w.t.Context(), client.Options{
				Transport: client.Transport{URL: "mqtt://" + address, Dial: dialIn(w, machine)},
				Connect:   packet.Connect{Version: packet.V311, CleanStart: true, ClientID: id, KeepAlive: 600},
			})
			if err == nil {
				return c
			}
			if time.Now().After(end) {
				return nil
			}
			if w.t.Context().Err() != nil {
				return nil
			}
		}
	}
	first := connect()
	if first == nil {
		w.t.Fatalf("the client %s cannot connect to %s", id, address)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for c := first; c != nil; c = connect() {
			select {
			case <-c.Done():
			case <-w.t.Context().Done():
			}
			c.Close()
			if w.t.Context().Err() != nil {
				return
			}
			time.Sleep(time.Second) // as clients do
		}
	}()
	w.t.Cleanup(func() { <-ended }) // the context of a test ends before its cleanups
}
