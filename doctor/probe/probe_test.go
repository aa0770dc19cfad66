package probe

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"picket/cause"
	"picket/doctor"
	"picket/internal/testbed"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() == "" {
		testbed.SideBySide(12)
	}
	testbed.Main(m)
}

// patience is the limit of steps that have to succeed, on a machine that does much else; brief is that of steps that wait for a server that says nothing
// at all, and moderate that of steps that wait for more from one that has said something.
const (
	patience = testbed.Patience
	moderate = 10 * time.Second
	brief    = time.Second
)

// examine runs the doctor against a target, with patience unless another limit is given.
func examine(t *testing.T, target string, o Options) *doctor.Report {
	t.Helper()
	var err error
	if o.Target, err = doctor.ParseTarget(target); err != nil {
		t.Fatal(err)
	}
	if o.Ports == nil {
		o.Ports = []int{}
	}
	if o.Limit == 0 {
		o.Limit = patience
	}
	o.Whole = 10 * patience
	facts, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return doctor.NewReport(Target(o.Target, facts), facts)
}

// expect fails unless the report's first cause is the wanted one ("" for a healthy one) and its way ends at the wanted stage.
func expect(t *testing.T, r *doctor.Report, want cause.ID, end cause.Stage) {
	t.Helper()
	var first cause.ID
	if len(r.Findings) > 0 {
		first = r.Findings[0].Cause
	}
	if first == want && r.End == end {
		return
	}
	var b strings.Builder
	p := doctor.NewPrinter(&b, doctor.Style{Width: 100})
	for _, f := range r.Facts {
		_ = p.Fact(f)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%d %s\n", f.Fit, f.Cause)
	}
	t.Errorf("got %q at %q, want %q at %q:\n%s", first, r.End, want, end, b.String())
}

// listen accepts connections until the test ends, and plays a script on each.
func listen(t *testing.T, script func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, script)
	return l.Addr().String()
}

func serve(t *testing.T, l net.Listener, script func(net.Conn)) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	open := make(map[net.Conn]bool)
	wait.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			wait.Go(func() {
				script(conn)
				conn.Close()
				mu.Lock()
				delete(open, conn)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		wait.Wait()
	})
}

// Scripts.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
func hangsUp(net.Conn)  {}
func resets(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) }
func says(s string) func(net.Conn) {
	return func(c net.Conn) {
		_, _ = io.WriteString(c, s)
		silent(c)
	}
}

// hears waits for the first bytes and then answers.
func hears(answer string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := c.Read(make([]byte, 4096)); err == nil {
			_, _ = io.WriteString(c, answer)
		}
		ends(c)
	}
}

// ends says that nothing more comes, and waits for the other side to go: an end that is no reset, whoever is quicker.
func ends(c net.Conn) {
	_ = c.(*net.TCPConn).CloseWrite()
	silent(c)
}

// forwards passes a connection on to an address.
func forwards(to string) func(net.Conn) {
	return func(c net.Conn) {
		back, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer back.Close()
		go func() { _, _ = io.Copy(back, c); back.Close(); c.Close() }()
		_, _ = io.Copy(c, back)
	}
}

// withTLS speaks TLS and passes what is inside on.
func withTLS(t *testing.T, config *tls.Config, to string) (address string) {
	t.Helper()
	inside := forwards(to)
	return listen(t, func(c net.Conn) {
		secure := tls.Server(c, config)
		if secure.Handshake() == nil {
			inside(secure)
		}
	})
}

// mosquitto runs Debian's broker with a configuration until the test ends. In the configuration, {1} to {9} become the addresses of its listeners,
// as PORT ADDRESS, and {dir} a folder with the files.
type mosquitto struct {
	dir string
	at  []string // addresses of {1}, {2}, ...
}

func startMosquitto(t *testing.T, conf string, files map[string]string) *mosquitto {
	t.Helper()
	dir := t.TempDir()
	m := &mosquitto{dir: dir}
	for i := 1; strings.Contains(conf, fmt.Sprintf("{%d}", i)); i++ {
		port := testbed.Port(t)
		m.at = append(m.at, fmt.Sprintf("127.0.0.1:%d", port))
		conf = strings.ReplaceAll(conf, fmt.Sprintf("{%d}", i), fmt.Sprintf("%d 127.0.0.1", port))
	}
	conf = strings.ReplaceAll(conf, "{dir}", dir)
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		write(name, content)
	}
	write("mosquitto.conf", conf)
	for _, d := range []string{dir, filepath.Dir(dir)} { // mosquitto gives up root's rights
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/usr/sbin/mosquitto", "-c", filepath.Join(dir, "mosquitto.conf"))
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("mosquitto's log:\n%s", log.String())
		}
	})
	for _, address := range m.at {
		testbed.Eventually(t, func() error {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				return fmt.Errorf("mosquitto does not start: %w", err)
			}
			return conn.Close()
		})
	}
	return m
}

// plain is a mosquitto that lets everyone in.
func plain(t *testing.T) *mosquitto {
	return startMosquitto(t, "listener {1}\nlistener {2}\nprotocol websockets\nallow_anonymous true\n", nil)
}

// port is the port of an address.
func port(t *testing.T, address string) int {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	m := plain(t)
	for _, target := range []string{"mqtt://" + m.at[0], m.at[0], "ws://" + m.at[1] + "/mqtt"} {
		r := examine(t, target, Options{Limit: patience})
		expect(t, r, "", "")
		if r.ExitStatus() != 0 {
			t.Errorf("%s: exit status %d", target, r.ExitStatus())
		}
		var kinds []string
		for _, f := range r.Facts {
			kinds = append(kinds, f.Kind())
		}
		for _, kind := range []string{"entered", "dial", "connect", "limits", "broker", "subscribe", "publish", "round-trips"} {
			if !strings.Contains(strings.Join(kinds, " "), kind) {
				t.Errorf("%s: there is no fact of the kind %s among %v", target, kind, kinds)
			}
		}
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	m := plain(t)
	closed := listen(t, silent)
	full := cause.MaxConnections
	if self(networks()).Docker { // then it may be Docker's proxy
		full = cause.DockerDefaultConf
	}
	t.Run("closed", func(t *testing.T) {
		closed := fmt.Sprintf("mqtt://127.0.0.1:%d", testbed.Port(t))
		expect(t, examine(t, closed, Options{}), cause.BrokerNotRunning, cause.TCP)
		expect(t, examine(t, closed, Options{Ports: []int{port(t, m.at[0])}}), cause.WrongPort, cause.TCP)
	})
	for name, c := range map[string]struct {
		target string
		want   cause.ID
		end    cause.Stage
	}{
		"TLS to a plain port":            {"mqtts://" + m.at[0], cause.TLSToPlainPort, cause.FirstBytes},
		"TLS to a plain WebSocket port":  {"wss://" + m.at[1], cause.TLSToPlainPort, cause.FirstBytes},
		"plain MQTT to a WebSocket port": {"mqtt://" + m.at[1], cause.TCPToWSPort, cause.FirstBytes},
		"WebSocket to a plain MQTT port": {"ws://" + m.at[0], cause.WSToTCPPort, cause.FirstBytes},
		"nothing answers":                {"mqtt://" + closed, cause.BrokerSilent, cause.FirstBytes},
		"nothing answers TLS":            {"mqtts://" + closed, cause.BrokerSilent, cause.FirstBytes},
		"SSH":                            {"mqtt://" + listen(t, says("SSH-2.0-OpenSSH_9.2\r\n")), cause.PortTaken, cause.FirstBytes},
		"SSH with TLS":                   {"mqtts://" + listen(t, says("SSH-2.0-OpenSSH_9.2\r\n")), cause.PortTaken, cause.FirstBytes},
		"Redis":                          {"mqtt://" + listen(t, hears("-ERR unknown command\r\n")), cause.PortTaken, cause.FirstBytes},
		"a web server":                   {"mqtt://" + listen(t, hears("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")), cause.PortTaken, cause.FirstBytes},
		"closed at once":                 {"mqtt://" + listen(t, hangsUp), full, cause.FirstBytes},
		"reset at once":                  {"mqtt://" + listen(t, resets), full, cause.FirstBytes},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := Options{}
			switch c.want {
			case cause.BrokerSilent:
				o.Limit = brief
			case cause.PortTaken:
				o.Limit = moderate
			}
			expect(t, examine(t, c.target, o), c.want, c.end)
		})
	}
}
