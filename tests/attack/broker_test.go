//go:build linux

package attack

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"picket/internal/testbed"
)

var otherBroker = flag.String("broker", "", "a `program` to test instead of picket; it is called with -c FILE")

func TestMain(m *testing.M) {
	testbed.SideBySide(5)
	raiseFileLimit()
	os.Exit(m.Run())
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
	*testbed.Broker
	t    testing.TB
	addr string // HOST:PORT on 127.0.0.1
	tls  string // the same of the listener for TLS, where the configuration has one
	ws   string // and of the one for WebSocket
}

// start runs a broker until the test ends. more is added to its configuration, with ${PORT_TLS} and ${PORT_WS} for ports of its own; it may open as
// many files as the system allows, or only so many where files is not 0.
func start(t testing.TB, more string, files int) *broker {
	t.Helper()
	program := []string{*otherBroker, "-c", "${CONF}"}
	if *otherBroker == "" {
		program = []string{testbed.Picket(t), "serve", "-c", "${CONF}"}
	}
	if files > 0 {
		program = append([]string{"/bin/sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$@"`, files), "sh"}, program...)
	}
	b := &broker{t: t}
	b.Broker = testbed.Start(t, testbed.Options{
		Conf:    "listener ${PORT} 127.0.0.1\nallow_anonymous true\nuser root\n" + more + "\n", // no other user could read the files below a test's directory
		Program: program,
		Prepare: func(b *testbed.Broker) { b.Write(t, "passwords", "") },
	})
	b.addr, b.tls, b.ws = b.Addr(t, "PORT"), b.Addr(t, "PORT_TLS"), b.Addr(t, "PORT_WS")
	return b
}

// Reload has the broker read its configuration again, and waits until it has.
func (b *broker) Reload(t testing.TB) {
	t.Helper()
	before := b.logCount("Reloading config.")
	b.Signal(syscall.SIGHUP)
	testbed.Eventually(t, func() error {
		if b.logCount("Reloading config.") == before {
			return errors.New("no reload in the log")
		}
		return nil
	})
}

// reports waits until the log names a cause, and counts the lines that do.
func (b *broker) reports(cause string) int {
	b.t.Helper()
	testbed.Eventually(b.t, func() error {
		if b.logCount(cause) == 0 {
			return fmt.Errorf("the log has no line with the cause %s", cause)
		}
		return nil
	})
	return b.logCount(cause)
}

// logCount counts the lines of the log that hold text.
func (b *broker) logCount(text string) int { return strings.Count(b.Said(), text) }

// status returns a field of /proc/PID/status that is given in kB, in bytes: VmRSS is what the process holds now, VmHWM
// the most that it ever held.
func (b *broker) status(field string) int64 {
	b.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.Cmd.Process.Pid))
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
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.Cmd.Process.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	return len(list)
}
