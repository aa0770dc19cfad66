//go:build unix

package testbed

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Options say what a broker is started with. The zero value is picket with an empty configuration.
type Options struct {
	// Conf is the text of its mosquitto.conf. In it, and in Program, stand ${PORT} and every other ${PORT...} for ports of the broker's own, ${DIR} for its
	// folder, ${CERT}, ${KEY} and ${CA} for the files of a server's certificate for 127.0.0.1 and localhost.
	Conf string
	// Program is its command line, with ${CONF} for the configuration file. Default: picket serve -c ${CONF}.
	Program []string
	// Dir is its folder. Default: one that is removed with the test.
	Dir string
	// Env is added to the environment.
	Env []string
	// Ready is what it writes once it is ready. Default: it is ready when all ports of Conf take connections.
	Ready string
	// Prepare makes the files that Conf names, before the first start.
	Prepare func(b *Broker)
}

// Broker is a process with a folder and ports of its own. It may be ended and started again.
type Broker struct {
	*Process // nil until it runs
	Dir      string

	options Options
	ports   map[string]int // by the names in its configuration
	issued  Pair           // its certificate, once there is one
}

// Start runs a broker until the test ends. Its end fails the test as [Process.Stop] says.
func Start(t testing.TB, o Options) *Broker {
	t.Helper()
	b := New(t, o)
	b.Run(t)
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(b.End())
		}
	})
	return b
}

// New makes the folder of a broker, and starts nothing.
func New(t testing.TB, o Options) *Broker {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Program == nil {
		o.Program = []string{Picket(t), "serve", "-c", "${CONF}"}
	}
	b := &Broker{Dir: o.Dir, options: o, ports: make(map[string]int)}
	if o.Prepare != nil {
		o.Prepare(b)
	}
	b.Write(t, "broker.conf", o.Conf)
	return b
}

// Run starts the process and waits until it is ready. Where somebody else has taken one of its ports, it gets others.
func (b *Broker) Run(t testing.TB) {
	t.Helper()
	for tries := 3; ; tries-- {
		err := b.Launch(t)
		if err == nil {
			err = b.AwaitReady()
		}
		if err == nil {
			return
		}
		if tries == 1 || !errors.Is(err, errEnded) || !strings.Contains(err.Error(), "ddress already in use") {
			t.Fatal(err)
		}
		clear(b.ports)
		b.Write(t, "broker.conf", b.options.Conf)
	}
}

// Launch starts the process and does not wait.
func (b *Broker) Launch(t testing.TB) (err error) {
	t.Helper()
	args := slices.Clone(b.options.Program)
	for i, arg := range args {
		args[i] = b.Expand(t, arg)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = b.Dir
	cmd.Env = append(append(os.Environ(), "XDG_STATE_HOME="+b.Dir), b.options.Env...)
	b.Process, err = Launch(cmd, b.Path("output"))
	return err
}

// AwaitReady waits until the process is ready.
func (b *Broker) AwaitReady() error {
	if text := b.options.Ready; text != "" {
		return b.await(func() error {
			if !strings.Contains(b.Said(), text) {
				return fmt.Errorf("it does not say %q", text)
			}
			return nil
		})
	}
	var addrs []string
	for _, name := range variable.FindAllStringSubmatch(b.options.Conf, -1) {
		if port, ok := b.ports[name[1]]; ok {
			addrs = append(addrs, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		}
	}
	return b.Listening(addrs...)
}

// Path is the path of a file in the broker's folder.
func (b *Broker) Path(name string) string { return filepath.Join(b.Dir, name) }

// Port returns the port that ${name} stands for.
func (b *Broker) Port(t testing.TB, name string) int {
	t.Helper()
	if b.ports[name] == 0 {
		b.ports[name] = Port(t)
	}
	return b.ports[name]
}

// Addr returns 127.0.0.1 with the port that ${name} stands for.
func (b *Broker) Addr(t testing.TB, name string) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(b.Port(t, name)))
}

// Certificate returns what ${CERT} and ${KEY} stand for.
func (b *Broker) Certificate(t testing.TB) Pair {
	t.Helper()
	if b.issued.CertFile == "" {
		b.issued = NewCA(t, b.Path("ca.pem")).Issue(t, b.Path("server"), nil)
	}
	return b.issued
}

// Write writes a file into the broker's folder, with what the variables in text stand for.
func (b *Broker) Write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(b.Path(name), []byte(b.Expand(t, text)), 0o600); err != nil {
		t.Fatal(err)
	}
}

var variable = regexp.MustCompile(`\$\{(\w+)\}`)

// Expand replaces the variables in a text, see [Options].
func (b *Broker) Expand(t testing.TB, text string) string {
	t.Helper()
	return variable.ReplaceAllStringFunc(text, func(v string) string {
		switch name := v[2 : len(v)-1]; {
		case name == "DIR":
			return b.Dir
		case name == "CONF":
			return b.Path("broker.conf")
		case name == "CERT":
			return b.Certificate(t).CertFile
		case name == "KEY":
			return b.Certificate(t).KeyFile
		case name == "CA":
			return b.Certificate(t).CA.File
		case strings.HasPrefix(name, "PORT"):
			return strconv.Itoa(b.Port(t, name))
		}
		t.Fatalf("a configuration with %s", v)
		return ""
	})
}

// Command runs one of picket's own commands for the broker, whose admin socket is data/admin.sock in its folder, and returns what it says and whether it
// succeeded. input is what it may read.
func (b *Broker) Command(t testing.TB, input string, args ...string) (said string, ok bool) {
	t.Helper()
	cmd := exec.Command(Picket(t), args...)
	cmd.Env = append(os.Environ(), "PICKET_SOCKET="+b.Path("data/admin.sock"), "LC_ALL=C")
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}
