//go:build unix

package crash

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/internal/testbed"
)

// program is a broker that reads a mosquitto.conf.
type program struct {
	name    string
	command []string // the configuration file is appended
	config  string   // lines of its own
	again   string   // what a start that failed has said if it is to be tried again, as what starts services does; empty: none
}

// picket is the one of this tree, unless -binary names another.
func picket(t testing.TB, config string) program {
	binary := *other
	if binary == "" {
		binary = testbed.Picket(t)
	}
	return program{name: "picket", command: []string{binary, "serve", "-c"}, config: config}
}

// mosquitto is Debian's.
func mosquitto(t testing.TB, config string) program {
	return program{name: "mosquitto", command: []string{testbed.Program(t, "mosquitto", "mosquitto"), "-c"}, config: config}
}

// broker is a directory, a port, and the process that serves them at the moment.
type broker struct {
	program
	*testbed.Process
	dir  string
	addr string
}

// newBroker makes the directory of a broker that does not run yet.
func newBroker(p program, dir string) (*broker, error) {
	port, err := testbed.FreePort()
	if err != nil {
		return nil, err
	}
	b := &broker{program: p, dir: dir, addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	if err := os.MkdirAll(b.store(), 0o755); err != nil {
		return nil, err
	}
	config := fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nuser root\nlog_dest stderr\nmax_queued_messages 0\npersistence_location %s/\n%s", port, b.store(), p.config)
	return b, os.WriteFile(b.path("broker.conf"), []byte(config), 0o644)
}

func (b *broker) path(name string) string { return filepath.Join(b.dir, name) }

// store is the directory that outlives the process.
func (b *broker) store() string { return b.path("store") }

// start starts the process.
func (b *broker) start() (err error) {
	cmd := exec.Command(b.command[0], append(b.command[1:len(b.command):len(b.command)], b.path("broker.conf"))...)
	cmd.Dir = b.dir
	b.Process, err = testbed.Launch(cmd, b.path("log"))
	return err
}

// ready waits until connections are accepted.
func (b *broker) ready() error {
	err := b.Listening(b.addr)
	for end := time.Now().Add(testbed.Patience); err != nil && b.again != "" && b.Ended() && strings.Contains(b.Said(), b.again) && time.Now().Before(end); {
		if err = b.start(); err == nil {
			err = b.Listening(b.addr)
		}
	}
	if err != nil {
		_ = b.Kill() // what it had to say is in err
	}
	return err
}
