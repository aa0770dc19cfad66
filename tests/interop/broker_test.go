//go:build unix

package interop

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"picket/internal/testbed"
)

var brokerCommand = flag.String("broker", "", "command that starts another broker than picket, with ${CONF} for its mosquitto.conf")

// The one user of the broker.
const (
	username = "gardener"
	password = "correct horse"
)

// broker is the broker under test, shared by all tests. The first one starts it.
var broker struct {
	sync.Mutex
	*testbed.Broker
}

// ports are the names of the broker's ports, by the scheme of URLs.
var ports = map[string]string{"mqtt": "PORT", "mqtts": "PORT_TLS", "ws": "PORT_WS", "wss": "PORT_WSS"}

const configuration = `
allow_anonymous false
password_file ${DIR}/passwords
log_dest stdout
log_type all

listener ${PORT} 127.0.0.1

listener ${PORT_TLS} 127.0.0.1
certfile ${CERT}
keyfile ${KEY}

listener ${PORT_WS} 127.0.0.1
protocol websockets

listener ${PORT_WSS} 127.0.0.1
protocol websockets
certfile ${CERT}
keyfile ${KEY}
`

func TestMain(m *testing.M) {
	flag.Parse()
	status := m.Run()
	if broker.Broker != nil {
		if err := broker.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
		os.RemoveAll(broker.Dir)
	}
	os.Exit(status)
}

// startBroker starts the broker unless it runs already.
func startBroker(t *testing.T) {
	t.Helper()
	broker.Lock()
	defer broker.Unlock()
	if broker.Broker != nil {
		return
	}
	dir, err := os.MkdirTemp("", "picket-interop-")
	if err != nil {
		t.Fatal(err)
	}
	// A broker that gives up root's rights has to read its files.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	o := testbed.Options{Dir: dir, Conf: configuration, Program: strings.Fields(*brokerCommand)}
	if len(o.Program) == 0 {
		o.Program = nil
	}
	o.Prepare = func(b *testbed.Broker) {
		// The file is made by mosquitto's own program: picket has to read what people already have.
		passwd := exec.Command(testbed.Program(t, "mosquitto_passwd", "mosquitto"), "-b", "-c", b.Path("passwords"), username, password)
		if out, err := passwd.CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_passwd: %v: %s", err, out)
		}
		if err := os.Chmod(b.Path("passwords"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	broker.Broker = testbed.New(t, o)
	broker.Run(t)
}

// install runs a command that installs a client, within the time that a slow network may need.
func install(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s, in %s: %v\n%s", name, strings.Join(args, " "), dir, err, out)
	}
}
