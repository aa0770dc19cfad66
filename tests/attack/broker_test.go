//go:build linux

package attack

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var otherBroker = flag.String("broker", "", "a `program` to test instead of picket; it is called with -c FILE")

// program is the command that starts a broker with the configuration file whose path is appended.
var program []string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	raiseFileLimit()
	if *otherBroker != "" {
		program = []string{*otherBroker, "-c"}
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "picket-attack")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "picket")
	build := exec.Command("go", "build", "-o", binary, "picket/cmd/picket")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build picket/cmd/picket: %v\n%s", err, out)
		return 1
	}
	program = []string{binary, "serve", "-c"}
	return m.Run()
}

// raiseFileLimit lifts the soft limit of open files to the hard one: a test holds as many sockets as the broker.
func raiseFileLimit() {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) == nil {
		l.Cur = l.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l) // where it is refused, dialing says so
	}
}

// broker is a broker's process.
type broker struct {
	t    testing.TB
	addr string // HOST:PORT on 127.0.0.1
	tls  string // the same of the listener for TLS, where the configuration has one
	ws   string // and of the one for WebSocket
	cmd  *exec.Cmd
	log  string // file that gets its standard output and error
	exit chan error
}

// start runs a broker on a port of its own until the test ends. more is added to its configuration, with a free port for
// ${TLS} and ${WS} and a server's certificate for ${CERT} and ${KEY}; it may open as many files as the system allows, or
// only so many where files is not 0.
func start(t testing.TB, more string, files int) *broker {
	t.Helper()
	dir := t.TempDir()
	b := &broker{t: t, addr: freeAddr(t), log: filepath.Join(dir, "log"), exit: make(chan error, 1)}
	_, port, _ := net.SplitHostPort(b.addr)
	conf := filepath.Join(dir, "broker.conf")
	more = os.Expand(more, func(name string) string {
		switch name {
		case "TLS":
			b.tls = freeAddr(t, b.addr)
			return strings.Replace(b.tls, "127.0.0.1:", "", 1)
		case "WS":
			b.ws = freeAddr(t, b.addr, b.tls)
			return strings.Replace(b.ws, "127.0.0.1:", "", 1)
		case "CERT", "KEY":
			return writeCertificate(t, dir)[name]
		}
		t.Fatalf("configuration with ${%s}", name)
		return ""
	})
	text := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nuser root\n%s\n", port, more) // no other user could read the files below a test's directory
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(b.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	command := append(program[:len(program):len(program)], conf)
	if files > 0 {
		command = append([]string{"/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, files), "sh"}, command...)
	}
	b.cmd = exec.Command(command[0], command[1:]...)
	b.cmd.Stdout, b.cmd.Stderr = log, log
	b.cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+dir)
	b.cmd.Dir = dir
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { b.exit <- b.cmd.Wait() }()
	t.Cleanup(b.stop)
	deadline := time.Now().Add(patience)
	for {
		conn, err := net.Dial("tcp", b.addr)
		if err == nil {
			conn.Close()
			return b
		}
		select {
		case err := <-b.exit:
			b.exit <- err
			t.Fatalf("the broker ended: %v\n%s", err, b.logged())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the broker does not listen after %v: %v\n%s", patience, err, b.logged())
		}
	}
}

// freeAddr returns an address that nobody listens on, other than those taken. It asks the kernel for a port outside the range of outgoing
// connections, of which the tests make so many that one might take it first.
func freeAddr(t testing.TB, taken ...string) string {
	t.Helper()
	for port := 20000 + os.Getpid()%5000; port < 32000; port++ {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if slices.Contains(taken, addr) {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no free port from 20000 to 32000")
	return ""
}

// stop asks the broker to end and fails the test when it is dead already, does not end, or ends with an error.
func (b *broker) stop() {
	select {
	case err := <-b.exit:
		b.t.Errorf("the broker did not survive: %v\n%s", err, b.logged())
		return
	default:
	}
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-b.exit:
		if err != nil {
			b.t.Errorf("the broker ended with %v", err)
		}
	case <-time.After(patience):
		b.t.Errorf("the broker does not end within %v of SIGTERM", patience)
		_ = b.cmd.Process.Kill()
		<-b.exit
	}
	if b.t.Failed() {
		b.t.Logf("the broker's log:\n%s", b.logged())
	}
}

// logged returns the end of what the broker has said, without the lines about clients that come and go.
func (b *broker) logged() string {
	log, err := os.ReadFile(b.log)
	if err != nil {
		return err.Error()
	}
	lines := slices.DeleteFunc(strings.SplitAfter(string(log), "\n"), func(line string) bool {
		return slices.ContainsFunc([]string{": New connection from ", ": New client connected from ", "[connection-lost]", "[keepalive-missed]"}, func(s string) bool {
			return strings.Contains(line, s)
		})
	})
	return strings.Join(lines[max(0, len(lines)-60):], "")
}

// logCount counts the lines of the log that hold text.
func (b *broker) logCount(text string) int {
	log, err := os.ReadFile(b.log)
	if err != nil {
		b.t.Fatal(err)
	}
	return bytes.Count(log, []byte(text))
}

// status returns a field of /proc/PID/status that is given in kB, in bytes: VmRSS is what the process holds now, VmHWM
// the most that it ever held.
func (b *broker) status(field string) int64 {
	b.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			kb, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				b.t.Fatal(err)
			}
			return kb << 10
		}
	}
	b.t.Fatalf("no %s in\n%s", field, text)
	return 0
}

// descriptors returns how many files and sockets the broker has open.
func (b *broker) descriptors() int {
	b.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.cmd.Process.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	return len(list)
}

// writeCertificate makes a self-signed certificate and returns the paths of its files, by CERT and KEY.
func writeCertificate(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{"CERT": filepath.Join(dir, "cert.pem"), "KEY": filepath.Join(dir, "key.pem")}
	if _, err := os.Stat(files["CERT"]); err == nil {
		return files
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"CERT": {Type: "CERTIFICATE", Bytes: cert}, "KEY": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(files[name], pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}
