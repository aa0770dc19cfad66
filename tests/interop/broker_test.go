package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var brokerCommand = flag.String("broker", "", "command that starts another broker than picket, with {conf} for its mosquitto.conf")

// The one user of the broker.
const (
	username = "gardener"
	password = "correct horse"
)

// broker is the broker under test, shared by all tests.
var broker struct {
	dir   string
	ca    string
	ports map[string]int // by the scheme of URLs
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

// run builds picket, starts it, runs the tests and ends it.
func run(m *testing.M) int {
	stop, err := startBroker()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	status := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// watchSources reads the names and times of all sources of the project. go test keeps a result as long as nothing changes
// that the tests have looked at (TestMain does not count), and it does not know that the program which is built here is
// made of them.
func watchSources() error {
	return filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "bin"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".go"):
			_, err = os.Stat(path)
		}
		return err
	})
}

func startBroker() (stop func() error, err error) {
	dir, err := os.MkdirTemp("", "picket-interop-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	broker.dir = dir
	// A broker that gives up root's rights has to read its files.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	if err := makeCertificates(dir); err != nil {
		return nil, err
	}
	broker.ca = filepath.Join(dir, "ca.crt")
	conf, err := writeConfiguration(dir)
	if err != nil {
		return nil, err
	}
	command := *brokerCommand
	if command == "" {
		binary := filepath.Join(dir, "picket")
		if out, err := exec.Command("go", "build", "-o", binary, "picket/cmd/picket").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build picket/cmd/picket: %w\n%s", err, out)
		}
		command = binary + " serve -c {conf}"
	}
	args := strings.Fields(strings.ReplaceAll(command, "{conf}", conf))
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	if err := listening(exited); err != nil {
		cmd.Process.Kill()
		return nil, fmt.Errorf("%w\n%s", err, brokerLog())
	}
	return func() error {
		defer os.RemoveAll(dir)
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-exited:
			if err != nil {
				return fmt.Errorf("the broker ended with %w\n%s", err, brokerLog())
			}
			return nil
		case <-time.After(timeout):
			cmd.Process.Kill()
			return fmt.Errorf("the broker does not end %v after SIGTERM\n%s", timeout, brokerLog())
		}
	}, nil
}

// brokerLog is the end of what the broker has logged.
func brokerLog() string {
	b, err := os.ReadFile(filepath.Join(broker.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return "its log ends:\n" + string(b[max(0, len(b)-4000):])
}

// listening waits until the broker accepts connections on all ports.
func listening(exited <-chan error) error {
	deadline := time.Now().Add(timeout)
	for scheme, port := range broker.ports {
		for {
			conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
			if err == nil {
				conn.Close()
				break
			}
			select {
			case err := <-exited:
				return fmt.Errorf("the broker has ended: %w", err)
			case <-time.After(20 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("the broker does not listen on port %d for %s after %v: %w", port, scheme, timeout, err)
			}
		}
	}
	return nil
}

func writeConfiguration(dir string) (conf string, err error) {
	passwords := filepath.Join(dir, "passwords")
	// The file is made by mosquitto's own program: picket has to read what people already have.
	if out, err := exec.Command("mosquitto_passwd", "-b", "-c", passwords, username, password).CombinedOutput(); err != nil {
		return "", fmt.Errorf("mosquitto_passwd: %w: %s (apt-get install mosquitto)", err, out)
	}
	if err := os.Chmod(passwords, 0o644); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "allow_anonymous false\npassword_file %s\nlog_dest stdout\nlog_type all\n", passwords)
	broker.ports = map[string]int{}
	for _, scheme := range []string{"mqtt", "mqtts", "ws", "wss"} {
		port, err := freePort()
		if err != nil {
			return "", err
		}
		broker.ports[scheme] = port
		fmt.Fprintf(&b, "\nlistener %d 127.0.0.1\n", port)
		if strings.HasPrefix(scheme, "ws") {
			fmt.Fprintf(&b, "protocol websockets\n")
		}
		if strings.HasSuffix(scheme, "s") && scheme != "ws" {
			fmt.Fprintf(&b, "certfile %s\nkeyfile %s\n", filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
		}
	}
	conf = filepath.Join(dir, "mosquitto.conf")
	return conf, os.WriteFile(conf, []byte(b.String()), 0o644)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// makeCertificates makes a CA and a certificate of it for 127.0.0.1.
func makeCertificates(dir string) error {
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), BasicConstraintsValid: true,
		}
	}
	ca := template(1, "Interop test CA")
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	server := template(2, "localhost")
	server.KeyUsage, server.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	server.DNSNames, server.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}

	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serverKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return err
	}
	serverDER, err := x509.CreateCertificate(rand.Reader, server, ca, serverKey.Public(), caKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(serverKey)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name, kind string
		der        []byte
	}{{"ca.crt", "CERTIFICATE", caDER}, {"server.crt", "CERTIFICATE", serverDER}, {"server.key", "PRIVATE KEY", keyDER}} {
		block := pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der})
		if err := os.WriteFile(filepath.Join(dir, f.name), block, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// install runs a command that installs a client, within the time that a slow network may need.
func install(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s, in %s: %v\n%s", name, strings.Join(args, " "), dir, err, out)
	}
}
