//go:build unix

package rights

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

const (
	commandTopic = "$CONTROL/dynamic-security/v1"
	plugin       = "plugin /usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so\nplugin_opt_config_file ${DIR}/rights/dynamic-security.json\n"
	open         = "user root\nlog_dest stdout\nlog_type all\nallow_anonymous false\n" + plugin + "listener ${PORT} 127.0.0.1\n"
)

// initialized makes the file as its owner would: by mosquitto's program.
func initialized(t testing.TB) func(*testbed.Broker) {
	return func(b *testbed.Broker) {
		if err := os.MkdirAll(b.Path("rights"), 0o700); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(testbed.Program(t, "mosquitto_ctrl", "mosquitto"), "dynsec", "init", b.Path("rights/dynamic-security.json"), "admin", "sesame").CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_ctrl dynsec init: %v\n%s", err, out)
		}
	}
}

// start runs a broker with a file of users and rights.
func start(t *testing.T, conf string) *testbed.Broker {
	t.Helper()
	return testbed.Start(t, testbed.Options{Conf: conf, Prepare: initialized(t)})
}

// user is a login.
type user struct{ name, password, id string }

var admin = user{"admin", "sesame", "console"}

func (u user) packet() *packet.Connect {
	return &packet.Connect{CleanStart: true, ClientID: u.id, KeepAlive: 600, HasUsername: u.name != "", Username: u.name, HasPassword: u.password != "", Password: []byte(u.password)}
}

// login connects; what is answered has to be yes.
func login(t testing.TB, c *testbed.Client, u user) *testbed.Client {
	t.Helper()
	if _, err := c.Connect(u.packet()); err != nil {
		t.Fatalf("%s: %v", u.name, err)
	}
	return c
}

// refused connects; what is answered has to be no.
func refused(t testing.TB, c *testbed.Client, u user) {
	t.Helper()
	p := u.packet()
	if p.Version = c.Version; c.Send(p) != nil {
		t.Fatal("CONNECT could not be sent")
	}
	if ack, err := testbed.Until[*packet.Connack](c); err != nil || ack.Code == packet.Success {
		t.Fatalf("%s was let in: %+v, %v", u.name, ack, err)
	}
}

func dial(t testing.TB, b *testbed.Broker, v packet.Version) *testbed.Client {
	t.Helper()
	return testbed.Dial(t, b.Addr(t, "PORT"), v)
}

func dialTLS(t testing.TB, b *testbed.Broker, v packet.Version) *testbed.Client {
	t.Helper()
	conn, err := tls.Dial("tcp", b.Addr(t, "PORT_TLS"), &tls.Config{RootCAs: b.Certificate(t).CA.Pool(), ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return testbed.NewClient(conn, v)
}

// console is a client that sends commands and sees the answers.
type console struct {
	*testbed.Client
	t testing.TB
}

func newConsole(t testing.TB, c *testbed.Client) *console {
	t.Helper()
	login(t, c, admin)
	if code := subscribe(t, c, commandTopic+"/response"); code.Failed() {
		t.Fatalf("the answers cannot be subscribed to: %v", code)
	}
	return &console{c, t}
}

// answer is what came for one command.
type answer struct {
	Command string
	Error   string
	Data    json.RawMessage
}

// ask sends commands and returns what is answered.
func (c *console) ask(commands string) ([]answer, error) {
	if err := c.Send(&packet.Publish{Topic: []byte(commandTopic), Payload: []byte(`{"commands":[` + commands + `]}`)}); err != nil {
		return nil, err
	}
	p, err := testbed.Until[*packet.Publish](c.Client)
	if err != nil {
		return nil, err
	}
	var all struct{ Responses []answer }
	return all.Responses, json.Unmarshal(p.Payload, &all)
}

// do sends commands that all have to be carried out.
func (c *console) do(commands string) []answer {
	c.t.Helper()
	all, err := c.ask(commands)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, a := range all {
		if a.Error != "" {
			c.t.Fatalf("%s: %s", a.Command, a.Error)
		}
	}
	return all
}

func subscribe(t testing.TB, c *testbed.Client, filter string) packet.Code {
	t.Helper()
	if err := c.Send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: filter}}}); err != nil {
		t.Fatal(err)
	}
	ack, err := testbed.Until[*packet.Suback](c)
	if err != nil {
		t.Fatal(err)
	}
	return ack.Codes[0]
}

func unsubscribe(t testing.TB, c *testbed.Client, filter string) packet.Code {
	t.Helper()
	if err := c.Send(&packet.Unsubscribe{ID: 2, Filters: []string{filter}}); err != nil {
		t.Fatal(err)
	}
	ack, err := testbed.Until[*packet.Unsuback](c)
	if err != nil {
		t.Fatal(err)
	}
	if len(ack.Codes) == 0 { // MQTT 3
		return packet.Success
	}
	return ack.Codes[0]
}

// publish publishes with QoS 1.
func publish(t testing.TB, c *testbed.Client, topic string) packet.Code {
	t.Helper()
	if err := c.Send(&packet.Publish{Topic: []byte(topic), QoS: 1, ID: 3, Payload: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	ack, err := testbed.Until[*packet.Ack](c)
	if err != nil {
		t.Fatal(err)
	}
	return ack.Code
}

// ctrl runs mosquitto_ctrl and returns what it says.
func ctrl(t testing.TB, b *testbed.Broker, args ...string) (string, error) {
	t.Helper()
	words := append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(b.Port(t, "PORT")), "-u", admin.name, "-P", admin.password}, args...)
	out, err := exec.Command(testbed.Program(t, "mosquitto_ctrl", "mosquitto"), words...).CombinedOutput()
	return string(out), err
}

// says tells that a text has some parts.
func says(t testing.TB, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in\n%s", part, text)
		}
	}
}

// logs waits for a text in the broker's log.
func logs(t testing.TB, b *testbed.Broker, text string) {
	t.Helper()
	testbed.Eventually(t, func() error {
		if !strings.Contains(b.Said(), text) {
			return fmt.Errorf("the log does not say %q", text)
		}
		return nil
	})
}

// hashed puts a user into a password file.
func hashed(t testing.TB, file, name, password string) {
	t.Helper()
	args := []string{"passwd", "-b", file, name, password}
	if _, err := os.Stat(file); err != nil {
		args = append([]string{"passwd", "-c"}, args[1:]...)
	}
	if out, err := exec.Command(testbed.Picket(t), args...).CombinedOutput(); err != nil {
		t.Fatalf("picket passwd: %v\n%s", err, out)
	}
}
