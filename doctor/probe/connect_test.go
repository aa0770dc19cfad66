package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"picket/cause"
	"picket/client"
	"picket/doctor"
	"picket/packet"
)

// webServer is an HTTP server; a handler that returns false has the request go to mosquitto's WebSocket port.
func webServer(t *testing.T, websocket string, handle func(http.ResponseWriter, *http.Request) bool) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if handle(w, r) {
			return
		}
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		back, err := net.Dial("tcp", websocket)
		if err != nil {
			return
		}
		defer back.Close()
		_ = r.Write(back)
		go func() { _, _ = io.Copy(back, rw.Reader); back.Close(); conn.Close() }()
		_, _ = io.Copy(conn, back)
	}))
	t.Cleanup(s.Close)
	return "ws://" + strings.TrimPrefix(s.URL, "http://")
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	m := plain(t)
	status := func(n int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(n); return true }
	}
	for name, c := range map[string]struct {
		handle func(http.ResponseWriter, *http.Request) bool
		path   string
		o      Options
		want   cause.ID
	}{
		"healthy": {handle: func(http.ResponseWriter, *http.Request) bool { return false }, path: "/mqtt"},
		"path": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/mqtt" {
				http.NotFound(w, r)
			}
			return r.URL.Path != "/mqtt"
		}, "/", Options{}, cause.WSPath},
		"no path at all": {status(404), "/mqtt", Options{}, cause.WSPath},
		"subprotocol": {func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Sec-WebSocket-Protocol") == "mqtt" {
				w.WriteHeader(http.StatusBadRequest)
				return true
			}
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Connection", "Upgrade")
			w.WriteHeader(http.StatusSwitchingProtocols)
			return true
		}, "/mqtt", Options{}, cause.WSSubprotocol},
		"subprotocol is not confirmed": {func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Connection", "Upgrade")
			w.WriteHeader(http.StatusSwitchingProtocols)
			return true
		}, "/mqtt", Options{}, cause.WSSubprotocol},
		"origin": {func(w http.ResponseWriter, r *http.Request) bool {
			if o := r.Header.Get("Origin"); o != "" {
				w.WriteHeader(http.StatusForbidden)
				return true
			}
			return false
		}, "/mqtt", Options{Origin: "https://page.example"}, cause.WSOrigin},
		"upgrade is not passed on": {status(426), "/mqtt", Options{}, cause.ProxyNoUpgrade},
		"a bad request":            {status(400), "/mqtt", Options{}, cause.ProxyNoUpgrade},
		"nothing behind the proxy": {status(502), "/mqtt", Options{}, cause.BrokerNotRunning},
		"https": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "https://elsewhere.example/mqtt", http.StatusMovedPermanently)
			return true
		}, "/mqtt", Options{}, cause.PlainToTLSPort},
		"a login page": {func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "http://portal.example/login", http.StatusFound)
			return true
		}, "/mqtt", Options{}, cause.CaptivePortalOrAPIsolation},
		"a page": {func(w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, "<html>")
			return true
		}, "/mqtt", Options{}, cause.WSPath},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			end := cause.Upgrade
			if c.want == "" {
				end, c.o.Limit = "", patience
			}
			expect(t, examine(t, webServer(t, m.at[1], c.handle)+c.path, c.o), c.want, end)
		})
	}
}

// answering plays a broker that answers CONNECT of each version in its own way; nil closes the connection.
func answering(answers map[packet.Version]func() packet.Packet) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		head := make([]byte, 2)
		if _, err := io.ReadFull(in, head); err != nil || head[0] != 0x10 {
			return
		}
		body := make([]byte, head[1])
		if _, err := io.ReadFull(in, body); err != nil {
			return
		}
		p, err := packet.Decode(packet.V311, head[0], body)
		connect, ok := p.(*packet.Connect)
		if err != nil || !ok || answers[connect.Version] == nil {
			return
		}
		_, _ = c.Write(answers[connect.Version]().Append(nil, connect.Version))
		ends(c)
	}
}

// refusing refuses every version: with a return code before version 5, and with a reason code and a reason in it.
func refusing(t *testing.T, code packet.Code, reason, reference string) string {
	answer := func() packet.Packet {
		p := &packet.Connack{Code: code, Props: &packet.Properties{}}
		if reason != "" {
			p.Props.ReasonString = reason
			p.Props.Set(packet.ReasonString)
		}
		if reference != "" {
			p.Props.ServerReference = reference
			p.Props.Set(packet.ServerReference)
		}
		return p
	}
	return "mqtt://" + listen(t, answering(map[packet.Version]func() packet.Packet{packet.V31: answer, packet.V311: answer, packet.V5: answer}))
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	user := Options{User: "picket", Password: []byte("wrong"), HasPassword: true}
	for name, c := range map[string]struct {
		code              packet.Code
		reason, reference string
		o                 Options
		want              cause.ID
	}{
		"version":               {packet.UnsupportedProtocolVersion, "", "", Options{}, cause.ProtocolVersion},
		"identifier":            {packet.ClientIdentifierNotValid, "", "", Options{}, cause.ClientIDRefused},
		"user or password":      {packet.BadUserNameOrPassword, "", "", user, cause.BadCredentials},
		"no user":               {packet.BadUserNameOrPassword, "", "", Options{}, cause.AnonymousRefused},
		"not authorized":        {packet.NotAuthorized, "", "", user, cause.BadCredentials},
		"anonymous":             {packet.NotAuthorized, "", "", Options{}, cause.AnonymousRefused},
		"busy":                  {packet.ServerBusy, "", "", Options{}, cause.Overloaded},
		"banned":                {packet.Banned, "", "", Options{}, cause.RateLimitOrBan},
		"quota":                 {packet.QuotaExceeded, "", "", Options{}, cause.ServerFull},
		"rate":                  {packet.ConnectionRateExceeded, "", "", Options{}, cause.RateLimitOrBan},
		"another server":        {packet.UseAnotherServer, "", "other.example:1883", Options{}, cause.Maintenance},
		"in words: full":        {packet.ServerUnavailable, "server-full: the broker takes no more clients for now (max_connections 100)", "", Options{}, cause.ServerFull},
		"in words: maintenance": {packet.ServerUnavailable, "maintenance: until 06:00, a new disk", "", Options{}, cause.Maintenance},
		"in words: prefix":      {packet.NotAuthorized, "client-id-prefix: the client identifier does not begin as the broker demands", "", user, cause.ClientIDPrefix},
		"in other words":        {packet.ServerBusy, "please come again", "", Options{}, cause.Overloaded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := examine(t, refusing(t, c.code, c.reason, c.reference), c.o)
			expect(t, r, c.want, cause.Connect)
			if c.reference != "" && (len(r.Findings) == 0 || len(r.Findings[0].Steps) == 0 || r.Findings[0].Steps[0].Lines.EN != c.reference) {
				t.Errorf("the other server is not named: %+v", r.Findings)
			}
		})
	}
	accepted := func() packet.Packet { return &packet.Connack{} }
	t.Run("version 5 alone", func(t *testing.T) {
		t.Parallel()
		old := func() packet.Packet { return &packet.Connack{Code: packet.UnsupportedProtocolVersion} }
		r := examine(t, "mqtt://"+listen(t, answering(map[packet.Version]func() packet.Packet{packet.V31: old, packet.V311: old, packet.V5: accepted})), Options{})
		if !has(r, cause.ProtocolVersion) {
			t.Errorf("got %+v", r.Findings)
		}
	})
	t.Run("anything", func(t *testing.T) {
		t.Parallel()
		if r := examine(t, "mqtt://"+listen(t, answering(nil)), Options{}); r.End != cause.FirstBytes || !has(r, cause.PortTaken) {
			t.Errorf("got %+v at %s", r.Findings, r.End)
		}
	})
}

func has(r *doctor.Report, id cause.ID) bool {
	for _, f := range r.Findings {
		if f.Cause == id {
			return true
		}
	}
	return false
}

func TestLogin(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "passwords")
	out, err := exec.Command("mosquitto_passwd", "-b", "-c", file, "picket", "secret").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	passwords, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := startMosquitto(t, "listener {1}\nallow_anonymous false\npassword_file {dir}/passwords\n", map[string]string{"passwords": string(passwords)})
	target := "mqtt://" + m.at[0]
	right := Options{User: "picket", Password: []byte("secret"), HasPassword: true, Limit: patience}
	expect(t, examine(t, target, right), "", "")
	wrong := right
	wrong.Password = []byte("wrong")
	expect(t, examine(t, target, wrong), cause.BadCredentials, cause.Connect)
	expect(t, examine(t, target, Options{}), cause.AnonymousRefused, cause.Connect)
	r := examine(t, "mqtt://picket:secret@"+m.at[0], Options{Limit: patience})
	expect(t, r, "", "")
	if out, err := r.JSON(cause.English); err != nil || strings.Contains(string(out), "secret") {
		t.Errorf("the password is in the report: %v", err)
	}
}

// A broker with a longest keep alive refuses clients of MQTT 3 that ask for more. Debian's mosquitto is too old to do so.
func TestKeepAliveIsTooLong(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes many seconds")
	}
	t.Parallel()
	m := startMosquitto(t, "listener {1}\nallow_anonymous true\nmax_keepalive 20\n", nil)
	strict := listen(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		head, err := in.Peek(12) // type, length, "MQTT", level, flags, keep alive
		if err != nil {
			return
		}
		if head[8] != 5 && (head[10] != 0 || head[11] > 20) {
			_, _ = c.Write((&packet.Connack{Code: packet.ClientIdentifierNotValid}).Append(nil, packet.V311))
			ends(c)
			return
		}
		forwards(m.at[0])(&buffered{c, in})
	})
	expect(t, examine(t, "mqtt://"+strict, Options{KeepAlive: 15, Limit: patience}), "", "")
	expect(t, examine(t, "mqtt://"+strict, Options{KeepAlive: 600, Limit: patience}), cause.KeepaliveRefused, "")
	// Without version 5, nothing is announced.
	old := listen(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		head, err := in.Peek(12)
		if err != nil || head[8] != 4 {
			return
		}
		code := packet.Success
		if head[10] != 0 || head[11] > 20 {
			code = packet.ClientIdentifierNotValid
		}
		_, _ = c.Write((&packet.Connack{Code: code}).Append(nil, packet.V311))
		ends(c)
	})
	expect(t, examine(t, "mqtt://"+old, Options{}), cause.KeepaliveRefused, cause.Connect)
}

// behindProxy passes connections on that begin with a PROXY header, and hangs up on others.
func behindProxy(to string) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		if _, err := proxyproto.Read(in); err != nil {
			return
		}
		forwards(to)(&buffered{c, in})
	}
}

type buffered struct {
	net.Conn
	in *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	m := plain(t)
	root := ca(t, nil, "Garden Root")
	secure := withTLS(t, serverConfig(issue(t, root, nil)), m.at[0])
	for name, target := range map[string]string{
		"mqtt":  "mqtt://" + listen(t, behindProxy(m.at[0])),
		"ws":    "ws://" + listen(t, behindProxy(m.at[1])) + "/mqtt",
		"mqtts": at("mqtts", listen(t, behindProxy(secure))),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expect(t, examine(t, target, Options{Roots: pool(root)}), cause.ProxyProtocolMismatch, cause.FirstBytes)
		})
	}
}

// A broker that is full closes connections; when there is room from time to time, that shows.
func TestFull(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes many seconds")
	}
	t.Parallel()
	m := plain(t)
	forward := forwards(m.at[0])
	for also := 7; also <= 14; also++ { // whatever way of speaking it is that finds room besides
		t.Run(strconv.Itoa(also), func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			address := listen(t, func(c net.Conn) {
				if i := int(n.Add(1)); i == 6 || i == also {
					forward(c)
				}
			})
			expect(t, examine(t, "mqtt://"+address, Options{}), cause.MaxConnections, cause.Connect)
		})
	}
}

// A broker whose answer to CONNECT never comes, but which hangs up on what is not MQTT, waits for something behind it.
func TestLoginHangs(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes many seconds")
	}
	t.Parallel()
	address := listen(t, func(c net.Conn) {
		b := make([]byte, 1)
		if _, err := c.Read(b); err == nil && b[0] == 0x10 {
			silent(c)
		}
	})
	expect(t, examine(t, "mqtt://"+address, Options{Limit: brief}), cause.AuthBackendDown, cause.Connect)
}

// Somebody else uses the same identifier and comes back as often as he is thrown out.
func TestTakeover(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes many seconds")
	}
	t.Parallel()
	m := plain(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		for ctx.Err() == nil {
			c, err := client.Dial(ctx, client.Options{Transport: client.Transport{URL: "mqtt://" + m.at[0]}, Connect: packet.Connect{CleanStart: true, ClientID: "fountain"}})
			if err != nil {
				return
			}
			select {
			case <-c.Done():
			case <-ctx.Done():
			}
			c.Close()
			sleep(ctx, time.Second)
		}
	})
	defer wait.Wait()
	defer cancel()
	r := examine(t, "mqtt://"+m.at[0], Options{ID: "fountain", Limit: patience})
	expect(t, r, cause.IDTakeoverLoop, cause.Stay)
	expect(t, examine(t, "mqtt://"+m.at[0], Options{ID: "alone", Limit: patience}), "", "")
}
