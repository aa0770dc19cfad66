package vantage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"picket/internal/testbed"
)

// binary is the program under test.
var binary string

// shared is a folder that the broker's user can read too.
var shared string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if shared, err = os.MkdirTemp("", "picket-vantage"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(shared)
		if err := os.Chmod(shared, 0o755); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		binary = filepath.Join(shared, "picket")
		if err := copyProgram(binary); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		testbed.SideBySide(8)
		return m.Run()
	}())
}

// copyProgram puts the program where every user of the machines can run it.
func copyProgram(to string) error {
	built, err := testbed.Built()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(built)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

// patience is how long anything may take before a test fails; a busy machine may need much of it.
const patience = 60 * time.Second

// token is what both sides of the probe hold.
const token = "a token for tests only, 0123456789"

// machine is a network namespace.
type machine struct {
	t    *testing.T
	name string
}

// machines counts those of this process, for their names.
var machines atomic.Int32

func newMachine(t *testing.T) machine {
	t.Helper()
	m := machine{t, fmt.Sprintf("picket-echo-%d-%d", os.Getpid(), machines.Add(1))}
	if out, err := exec.Command("ip", "netns", "add", m.name).CombinedOutput(); err != nil {
		t.Skipf("network namespaces cannot be made here: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", m.name).Run() })
	m.run("ip", "link", "set", "lo", "up")
	return m
}

// command is one that runs on the machine.
func (m machine) command(args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", m.name}, args...)...)
}

func (m machine) run(args ...string) {
	m.t.Helper()
	if out, err := m.command(args...).CombinedOutput(); err != nil {
		m.t.Fatalf("%v on %s: %v: %s", args, m.name, err, out)
	}
}

// cable connects two machines, each by a network card of the given name with addresses.
func cable(a machine, aCard string, aAddresses []string, b machine, bCard string, bAddresses []string) {
	a.t.Helper()
	if out, err := exec.Command("ip", "link", "add", aCard, "netns", a.name, "type", "veth", "peer", "name", bCard, "netns", b.name).CombinedOutput(); err != nil {
		a.t.Skipf("virtual network cards cannot be made here: %v: %s", err, out)
	}
	for _, end := range []struct {
		m         machine
		card      string
		addresses []string
	}{{a, aCard, aAddresses}, {b, bCard, bAddresses}} {
		for _, address := range end.addresses {
			args := []string{"ip", "addr", "add", address, "dev", end.card}
			if strings.Contains(address, ":") {
				args = append(args, "nodad")
			}
			end.m.run(args...)
		}
		end.m.run("ip", "link", "set", end.card, "up")
	}
}

// filter loads nftables rules on the machine.
func (m machine) filter(rules string) {
	m.t.Helper()
	cmd := m.command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Skipf("nftables cannot be used here (Debian's package nftables): %v: %s", err, out)
	}
}

// start runs a program until the test ends, and waits until it listens on a port.
func (m machine) start(port int, args ...string) {
	m.t.Helper()
	cmd := m.command(args...)
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(os.Environ(), "PICKET_PROBE_TOKEN="+token)
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	m.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if m.t.Failed() {
			m.t.Logf("%v:\n%s", args, out)
		}
	})
	for limit := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		sockets, err := m.command("ss", "-Hltn", "sport", "=", fmt.Sprint(port)).Output()
		if err != nil {
			m.t.Fatalf("ss: %v", err)
		}
		if len(sockets) > 0 {
			return
		}
		select {
		case <-ended:
			m.t.Fatalf("%v ended: %s", args, out)
		default:
		}
		if time.Now().After(limit) {
			m.t.Fatalf("%v does not listen on port %d", args, port)
		}
	}
}

// probe serves the second vantage point.
func (m machine) probe() { m.start(2002, binary, "echo", "serve", "--probe", "--quiet") }

// mosquitto runs one with a configuration, in which DIR is its folder; an empty one is a start without any.
func (m machine) mosquitto(port int, config string) (dir string) {
	m.t.Helper()
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/mosquitto"); err != nil {
			m.t.Skip("mosquitto is not installed (Debian's package mosquitto)")
		}
	}
	dir = m.dir()
	if config == "" {
		m.start(port, program)
		return dir
	}
	file := filepath.Join(dir, "mosquitto.conf")
	write(m.t, file, strings.ReplaceAll(config, "DIR", dir), 0o644)
	m.start(port, program, "-c", file)
	return dir
}

// dir is a folder that everybody can read.
func (m machine) dir() string {
	m.t.Helper()
	dir, err := os.MkdirTemp(shared, "m")
	if err != nil {
		m.t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		m.t.Fatal(err)
	}
	return dir
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

// report is what picket doctor --server --json prints.
type report struct {
	Exit  int
	Facts []struct {
		Kind string
		Text string
		Data json.RawMessage
	}
	Findings []finding
}

type finding struct {
	Cause    string
	Fit      int
	Meaning  string
	RuledOut []struct{ Cause string } `json:"ruled_out"`
	Steps    []struct{ Lines string }
}

// nobody are the words that make a command another user's, without root's rights.
var nobody = []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}

// doctor runs picket doctor --server on the machine, as root.
func (m machine) doctor(args ...string) report {
	m.t.Helper()
	return m.doctorAs(nil, args...)
}

// doctorAs runs it behind words such as nobody.
func (m machine) doctorAs(before []string, args ...string) (r report) {
	m.t.Helper()
	cmd := m.command(slices.Concat(before, []string{binary, "doctor", "--server", "--json"}, args)...)
	cmd.Env = append(os.Environ(), "PICKET_PROBE_TOKEN="+token)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	if jsonErr := json.Unmarshal(out.Bytes(), &r); jsonErr != nil {
		m.t.Fatalf("%v: %v, %v\n%s%s", args, err, jsonErr, &out, &stderr)
	}
	if status := cmd.ProcessState.ExitCode(); status != r.Exit {
		m.t.Errorf("exit status %d, and %d in the report", status, r.Exit)
	}
	m.t.Cleanup(func() {
		if m.t.Failed() {
			m.t.Logf("%s", r)
		}
	})
	return r
}

// String shows a report in short.
func (r report) String() string {
	var b strings.Builder
	for _, f := range r.Facts {
		fmt.Fprintf(&b, "  %s: %s\n", f.Kind, f.Text)
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%s (%d): %s\n", f.Cause, f.Fit, f.Meaning)
	}
	return b.String()
}

// first is the cause that is named first; empty if there is none.
func (r report) first() string {
	if len(r.Findings) == 0 {
		return ""
	}
	return r.Findings[0].Cause
}

// has says whether a fact of a kind has a text in it.
func (r report) has(kind, part string) bool {
	for _, f := range r.Facts {
		if f.Kind == kind && strings.Contains(f.Text, part) {
			return true
		}
	}
	return false
}

// want checks the first cause, the exit status, and facts: each a kind and a part of its text.
func (r report) want(t *testing.T, first string, exit int, facts ...[2]string) {
	t.Helper()
	if r.first() != first {
		t.Errorf("the first cause is %q, want %q", r.first(), first)
	}
	if r.Exit != exit {
		t.Errorf("exit status %d, want %d", r.Exit, exit)
	}
	for _, f := range facts {
		if !r.has(f[0], f[1]) {
			t.Errorf("no fact %q has %q in it", f[0], f[1])
		}
	}
}
