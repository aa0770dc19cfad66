//go:build unix

package page

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

// The one user of the brokers.
const (
	user     = "picket"
	password = "correct horse"
)

// broker is a process of picket.
type broker struct {
	*testbed.Broker
	t *testing.T
}

const configuration = `
listener ${PORT} 127.0.0.1
protocol auto
password_file ${DIR}/passwords
admin_socket ${DIR}/a.sock
user root
reason_strings true
`

// start runs a broker, once prepare has made its files, with these lines in its configuration besides a listener of protocol auto, a user, and an
// admin socket.
func start(t *testing.T, more string, prepare ...func(*broker)) *broker {
	t.Helper()
	dir, err := os.MkdirTemp("", "page") // short: the path of a socket is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &broker{t: t}
	testbed.Start(t, testbed.Options{
		Dir: dir, Conf: configuration + more, Ready: " running",
		Prepare: func(bed *testbed.Broker) {
			b.Broker = bed
			b.picket("passwd", "-c", "-b", b.Path("passwords"), user, password)
			for _, f := range prepare {
				f(b)
			}
		},
	})
	return b
}

func (b *broker) url() string { return "http://" + b.Addr(b.t, "PORT") + "/" }

// picket runs the program and returns what it prints.
func (b *broker) picket(args ...string) string {
	b.t.Helper()
	out, err := exec.Command(testbed.Picket(b.t), args...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("picket %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (b *broker) ctl(args ...string) {
	b.picket(append([]string{"ctl"}, append(args, "--socket", b.Path("a.sock"))...)...)
}

// app connects as another app on the same phone does, and reports whether it got in.
func (b *broker) app(name, secret, id string) bool {
	b.t.Helper()
	cmd := exec.Command(testbed.Program(b.t, "mosquitto_pub", "mosquitto-clients"), "-h", "127.0.0.1", "-p", strconv.Itoa(b.Port(b.t, "PORT")), "-u", name, "-P", secret, "-i", id, "-t", "app", "-m", "hello")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		b.t.Fatalf("mosquitto_pub: %v\n%s", err, out)
	}
	return err == nil
}

// subscriber is an app that has subscribed to a topic.
func (b *broker) subscriber(topic string) *testbed.Client {
	b.t.Helper()
	c := testbed.Dial(b.t, b.Addr(b.t, "PORT"), packet.V311)
	if _, err := c.Connect(&packet.Connect{Version: packet.V311, CleanStart: true, HasUsername: true, Username: user, HasPassword: true, Password: []byte(password)}); err != nil {
		b.t.Fatal(err)
	}
	if err := c.Send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: topic}}}); err != nil {
		b.t.Fatal(err)
	}
	if _, err := testbed.Until[*packet.Suback](c); err != nil {
		b.t.Fatal(err)
	}
	return c
}
