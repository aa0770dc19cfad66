//go:build unix

package conformance

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"picket/internal/testbed"
)

// configs are the configurations that the tests need. TESTDATA is filled in here, the rest by the test bed.
var configs = map[string]string{
	"open": `
persistence false
listener ${PORT} 127.0.0.1
allow_anonymous true
listener ${PORT_WS} 127.0.0.1
protocol websockets
`,
	// A server of few abilities and little room.
	"limited": `
persistence false
retain_available false
allow_zero_length_clientid false
max_packet_size 2000
listener ${PORT} 127.0.0.1
allow_anonymous true
max_qos 1
`,
	// A server that refuses clients and messages.
	"guarded": `
persistence false
listener ${PORT} 127.0.0.1
allow_anonymous false
password_file TESTDATA/passwd
acl_file TESTDATA/acl
`,
	// A server with a method of enhanced authentication.
	"scram": `
persistence false
listener ${PORT} 127.0.0.1
allow_anonymous false
password_file TESTDATA/scram
`,
}

// brokers runs those that tests have asked for. They end with the last test.
var brokers = struct {
	sync.Mutex
	dir     string // for their folders; made by TestMain
	running map[string]*testbed.Broker
}{running: map[string]*testbed.Broker{}}

func TestMain(m *testing.M) {
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runTests(m *testing.M) (code int, err error) {
	brokers.dir, err = os.MkdirTemp("", "conformance")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(brokers.dir)
	// The tests wait for time to pass and for the broker, not for a processor.
	flag.Parse()
	if err := flag.Set("test.parallel", "32"); err != nil {
		return 0, err
	}
	code = m.Run()
	for name, b := range brokers.running {
		if e := b.Stop(); e != nil {
			err = errors.Join(err, fmt.Errorf("the broker %q: %w", name, e))
		}
	}
	return code, err
}

// broker is the one with this configuration. The first test that wants it starts it.
func (e *env) broker(config string) *testbed.Broker {
	e.Helper()
	brokers.Lock()
	defer brokers.Unlock()
	if b := brokers.running[config]; b != nil {
		testbed.Picket(e) // so that this test, too, is run again when the program has changed
		return b
	}
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		e.Fatal(err)
	}
	o := testbed.Options{Dir: filepath.Join(brokers.dir, config), Conf: strings.ReplaceAll(configs[config], "TESTDATA", testdata)}
	if other := os.Getenv("CONFORMANCE_BROKER"); other != "" {
		o.Program = append(strings.Fields(other), "-c", "${CONF}")
	}
	if err := os.Mkdir(o.Dir, 0o755); err != nil {
		e.Fatal(err)
	}
	b := testbed.New(e, o)
	b.Run(e)
	brokers.running[config] = b
	return b
}
