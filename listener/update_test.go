package listener

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"picket/cause"
	"picket/internal/testbed"
)

func bothFronts(t *testing.T, test func(t *testing.T, opt Options)) {
	t.Run("loops", func(t *testing.T) { test(t, Options{}) })
	t.Run("goroutines", func(t *testing.T) { test(t, Options{Goroutines: true}) })
}

func on(port int) *Config { return &Config{Port: port, Address: "127.0.0.1"} }

func refusesConnections(t *testing.T, port int) {
	t.Helper()
	c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err == nil {
		c.Close()
		t.Errorf("port %d is still open", port)
	}
}

func dialPort(t testing.TB, port int) net.Conn {
	t.Helper()
	return dial(t, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}

// An update opens what is new, closes what is gone, and leaves alone what stays.
func TestUpdate(t *testing.T) {
	bothFronts(t, func(t *testing.T, opt Options) {
		ctx := context.Background()
		stay, go_, come := on(testbed.Port(t)), on(testbed.Port(t)), on(testbed.Port(t))
		e := newEcho(t)
		s := opened(t, e, opt, stay, go_)
		c1, c2 := dialPort(t, stay.Port), dialPort(t, go_.Port)
		roundTrip(t, c1, nil)
		roundTrip(t, c2, nil)

		stay2 := *stay
		stay2.HeadersSize = 1000
		changes, err := s.Update(ctx, []*Config{come, &stay2})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(changes.Opened, []*Config{come}) || !slices.Equal(changes.Kept, []*Config{&stay2}) || !slices.Equal(changes.Removed, []*Config{go_}) {
			t.Errorf("changes %+v", changes)
		}
		roundTrip(t, c1, []byte("still here"))
		roundTrip(t, c2, []byte("until the core says goodbye"))
		refusesConnections(t, go_.Port)
		roundTrip(t, dialPort(t, come.Port), nil)
		for len(e.accepted) > 0 {
			<-e.accepted
		}
		roundTrip(t, dialPort(t, stay.Port), nil)
		if got := next(t, e.accepted).conn.Info().Listener; got != &stay2 {
			t.Error("a new connection has the old configuration")
		}

		// All configurations that a removed listener has had are named.
		if changes, err = s.Update(ctx, []*Config{come}); err != nil || !slices.Equal(changes.Removed, []*Config{stay, &stay2}) {
			t.Errorf("changes %+v, %v", changes, err)
		}
	})
}

// What fails changes nothing.
func TestUpdateFails(t *testing.T) {
	bothFronts(t, func(t *testing.T, opt Options) {
		ctx := context.Background()
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		stay, come, bad := on(testbed.Port(t)), on(testbed.Port(t)), on(taken.Addr().(*net.TCPAddr).Port)
		bad.Source = "test.conf:12"
		s := opened(t, newEcho(t), opt, stay)
		wide := on(stay.Port)
		wide.Address = "0.0.0.0" // takes the place of stay
		_, err = s.Update(ctx, []*Config{come, wide, bad})
		var oe *OpenError
		if !errors.As(err, &oe) || oe.Listener != bad || !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatalf("%v", err)
		}
		for _, want := range []string{"test.conf:12: ", "Address already in use", strconv.Itoa(bad.Port)} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: lacks %q", err, want)
			}
		}
		refusesConnections(t, come.Port)
		roundTrip(t, dialPort(t, stay.Port), nil)
		if k := s.Sockets(); len(k) != 1 || k[0].Listener != stay {
			t.Errorf("%v", k)
		}
		withTLS := *stay
		withTLS.TLS = TLS{CertFile: "/nowhere", KeyFile: "/nowhere"}
		if _, err := s.Update(ctx, []*Config{&withTLS, come}); err == nil {
			t.Error("no error without a certificate")
		}
		roundTrip(t, dialPort(t, stay.Port), nil)
		if _, err := s.Update(ctx, []*Config{stay, on(stay.Port)}); err == nil || !strings.Contains(err.Error(), "twice") {
			t.Errorf("the same listener twice: %v", err)
		}
		// Another address on the same port is fine when nothing else fails.
		if _, err := s.Update(ctx, []*Config{wide}); err != nil {
			t.Fatal(err)
		}
		roundTrip(t, dialPort(t, stay.Port), nil)
	})
}

// TLS can be turned on, off, and get another certificate, on an open socket.
func TestUpdateCertificate(t *testing.T) {
	bothFronts(t, func(t *testing.T, opt Options) {
		ctx := context.Background()
		a := newAuthority(t, "Test CA")
		plain := on(testbed.Port(t))
		s := opened(t, newEcho(t), opt, plain)
		roundTrip(t, dialPort(t, plain.Port), nil)
		secure := *plain
		secure.TLS.CertFile, secure.TLS.KeyFile = a.issue(t, "server", "localhost")
		if _, err := s.Update(ctx, []*Config{&secure}); err != nil {
			t.Fatal(err)
		}
		sees := func() string {
			c := startTLS(t, dialPort(t, plain.Port), a.client(t)).(*tls.Conn)
			roundTrip(t, c, nil)
			return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
		}
		first := sees()
		a.issue(t, "server", "localhost")
		if again := sees(); again != first {
			t.Error("another certificate before the update")
		}
		if _, err := s.Update(ctx, []*Config{&secure}); err != nil {
			t.Fatal(err)
		}
		if second := sees(); second == first {
			t.Error("the same certificate after the update")
		}
		if _, err := s.Update(ctx, []*Config{plain}); err != nil {
			t.Fatal(err)
		}
		roundTrip(t, dialPort(t, plain.Port), nil)
	})
}

func TestUpdateAfterClose(t *testing.T) {
	s := opened(t, newEcho(t), Options{}, loopback())
	s.Close()
	s.Close()
	if _, err := s.Update(context.Background(), nil); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// The log says what is opened before it is, and in mosquitto's words.
func TestOpening(t *testing.T) {
	var lines []string
	opt := Options{Opening: func(s Socket) { lines = append(lines, s.String()) }}
	path := filepath.Join(t.TempDir(), "s")
	port, wsPort := testbed.Port(t), testbed.Port(t)
	s := opened(t, newEcho(t), opt, &Config{Port: port}, &Config{Port: wsPort, Protocol: WebSocket}, &Config{Path: path})
	want := []string{
		"Opening ipv4 listen socket on port " + strconv.Itoa(port) + ".",
		"Opening ipv6 listen socket on port " + strconv.Itoa(port) + ".",
		"Opening websockets listen socket on port " + strconv.Itoa(wsPort) + ".",
		"Opening unix listen socket on path " + path + ".",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got  %q\nwant %q", lines, want)
	}
	for _, k := range s.Sockets() {
		if k.Listener.Port == port {
			at := net.JoinHostPort(map[string]string{"ipv4": "127.0.0.1", "ipv6": "::1"}[k.Family()], strconv.Itoa(port))
			roundTrip(t, dial(t, at), nil)
		}
	}
	// A socket whose process is gone is replaced, one that answers is not, nor is a file.
	if _, err := Open(context.Background(), []*Config{{Path: path}}, newEcho(t), Options{}); err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Errorf("a socket that answers: %v", err)
	}
	s.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	opened(t, newEcho(t), Options{}, &Config{Path: path}).Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), []*Config{{Path: path}}, newEcho(t), Options{}); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file: %v", err)
	}
}

// Addresses, families and interfaces.
func TestBinding(t *testing.T) {
	families := func(c *Config) []string {
		t.Helper()
		s := opened(t, newEcho(t), Options{}, c)
		defer s.Close()
		var all []string
		for _, k := range s.Sockets() {
			all = append(all, k.Addr.Addr().String())
		}
		return all
	}
	for _, tt := range []struct {
		cfg  Config
		want []string
	}{
		{Config{}, []string{"0.0.0.0", "::"}},
		{Config{Domain: "ipv4"}, []string{"0.0.0.0"}},
		{Config{Domain: "ipv6"}, []string{"::"}},
		{Config{Address: "::1"}, []string{"::1"}},
		{Config{Address: "localhost", Domain: "ipv4"}, []string{"127.0.0.1"}},
		{Config{Interface: "lo", Domain: "ipv4"}, []string{"127.0.0.1"}},
		{Config{Interface: "lo", Address: "127.0.0.1"}, []string{"127.0.0.1"}},
	} {
		if got := families(&tt.cfg); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %q, want %q", tt.cfg, got, tt.want)
		}
	}
	for _, tt := range []struct {
		cfg  Config
		want string
	}{
		{Config{Port: 70000}, "70000"},
		{Config{Port: 1883, Address: "192.0.2.1"}, "192.0.2.1 is not an address of this machine"},
		{Config{Port: 1883, Address: "no.such.host.invalid"}, "cannot be resolved"},
		{Config{Port: 1883, Interface: "nothere0"}, "no interface \"nothere0\"; there are"},
		{Config{Port: 1883, Interface: "lo", Address: "192.0.2.1"}, "no address that fits"},
		{Config{Path: "/" + strings.Repeat("x", 200)}, "201 bytes"},
		{Config{ProxyFrom: []string{"10.0.0.0/99"}}, "10.0.0.0/99"},
	} {
		if s, err := Open(context.Background(), []*Config{&tt.cfg}, newEcho(t), Options{}); err == nil {
			s.Close()
			t.Errorf("%+v: no error", tt.cfg)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: lacks %q", err, tt.want)
		}
	}
}

// A name that could not be a user's, or that could forge a line of the log, ends the connection.
func TestProxyTLSName(t *testing.T) {
	for _, cn := range []string{"a\nb", "a\x00b", "a\x7f", "\xff\xfe"} {
		ssl := append([]byte("\x07\x00\x00\x00\x00\x22\x00"), byte(len(cn)))
		ssl = append(ssl, cn...)
		tlv := append([]byte{0x20, 0, byte(len(ssl))}, ssl...)
		header := append([]byte(proxySignature2), 0x21, 0x11, 0, byte(12+len(tlv)), 203, 0, 113, 9, 198, 51, 100, 1, 0x12, 0x34, 0x07, 0x5b)
		if h, r := parseProxy(append(header, tlv...)); r == nil || r.Cause != cause.ProxyHeaderMalformed {
			t.Errorf("%q: %+v, %+v", cn, h.tls, r)
		}
	}
}

// What a proxy says about the client's certificate is passed on.
func TestProxyTLS(t *testing.T) {
	bothFronts(t, func(t *testing.T, opt Options) {
		cn := "device-7"
		ssl := append([]byte("\x07\x00\x00\x00\x00\x21\x00\x07TLSv1.3\x22\x00"), byte(len(cn)))
		ssl = append(ssl, cn...)
		tlv := append([]byte{0x20, 0, byte(len(ssl))}, ssl...)
		header := append([]byte(proxySignature2), 0x21, 0x11, 0, byte(12+len(tlv)), 203, 0, 113, 9, 198, 51, 100, 1, 0x12, 0x34, 0x07, 0x5b)
		header = append(header, tlv...)
		opt.Refused = func(r Refusal) { t.Errorf("refused: %+v", r) }
		e := newEcho(t)
		s := opened(t, e, opt, trusted(t, nil))
		c := plainTCP(t, s, nil)
		if _, err := c.Write(append(header, frame([]byte("in one go"))...)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(frame([]byte("in one go"))))
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
		i := next(t, e.accepted).conn.Info()
		if i.ProxyTLS == nil || *i.ProxyTLS != (ProxyTLS{CommonName: cn, Verified: true}) {
			t.Errorf("ProxyTLS %+v", i.ProxyTLS)
		}
		if i.Remote.String() != "203.0.113.9:4660" || i.Local.String() != "198.51.100.1:1883" {
			t.Errorf("remote %v, local %v", i.Remote, i.Local)
		}
		// A health check of the proxy itself.
		c = plainTCP(t, s, nil)
		roundTrip(t, struct {
			io.Reader
			io.Writer
		}{c, &prefixed{c, append([]byte(proxySignature2), 0x20, 0, 0, 0)}}, nil)
		if i := next(t, e.accepted).conn.Info(); i.Remote.String() != c.LocalAddr().String() {
			t.Errorf("remote %v", i.Remote)
		}
	})
}

// prefixed writes some bytes before the first write.
type prefixed struct {
	w      io.Writer
	prefix []byte
}

func (p *prefixed) Write(b []byte) (int, error) {
	if len(p.prefix) > 0 {
		if _, err := p.w.Write(append(p.prefix, b...)); err != nil {
			return 0, err
		}
		p.prefix = nil
		return len(b), nil
	}
	return p.w.Write(b)
}

// A handler answers HTTP beside WebSocket, may leave a request to the listener, and what is odd about a request is refused.
func TestHTTPHandler(t *testing.T) {
	bothFronts(t, func(t *testing.T, opt Options) {
		refused := make(refusals, 10)
		opt.Refused = refused.option()
		page := bytes.Repeat([]byte("<p>a page</p>\n"), 100_000)
		opt.HTTP = func(c *Config, rest http.Handler) (http.Handler, error) {
			if c.HeadersSize == 1 {
				return nil, errors.New("no files there")
			}
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/" {
					rest.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Length", strconv.Itoa(len(page)))
				w.Write(page)
			}), nil
		}
		cfg := webs(t, nil)
		s := opened(t, newEcho(t), opt, cfg)
		for request, want := range map[string]string{
			"GET / HTTP/1.1": "200 OK", "GET /else HTTP/1.1": "426 Upgrade Required",
		} {
			c := plainTCP(t, s, nil)
			io.WriteString(c, request+"\r\nHost: x\r\nConnection: close\r\n\r\n")
			got, err := io.ReadAll(c)
			if err != nil || !bytes.HasPrefix(got, []byte("HTTP/1.1 "+want)) {
				t.Errorf("%s: %.200q, %v", request, got, err)
			}
			if want == "200 OK" && !bytes.HasSuffix(got, page) {
				t.Errorf("%d bytes of a page of %d", len(got), len(page))
			}
		}
		roundTrip(t, startWS(t, plainTCP(t, s, nil)), []byte("no subprotocol"))
		if len(refused) > 0 {
			t.Errorf("refused: %+v", <-refused)
		}
		cfg1, cfg2 := *cfg, *cfg
		cfg1.HeadersSize, cfg2.HeadersSize = 1, 1000
		if _, err := s.Update(context.Background(), []*Config{&cfg1}); err == nil || !strings.Contains(err.Error(), "no files there") {
			t.Errorf("a handler that cannot be made: %v", err)
		}
		if _, err := s.Update(context.Background(), []*Config{&cfg2}); err != nil {
			t.Fatal(err)
		}
		c := plainTCP(t, s, nil)
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 8000)+"\r\n\r\n")
		got, _ := io.ReadAll(c)
		if !bytes.HasPrefix(got, []byte("HTTP/1.1 431")) {
			t.Errorf("long headers: %.200q", got)
		}
		if r := next(t, refused); r.Cause != cause.WSUpgradeInvalid {
			t.Errorf("refused: %+v", r)
		}
	})
}
