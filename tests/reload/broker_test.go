//go:build unix

// Package reload tests what SIGHUP does to a running broker: the real binary, real files, real clients.
package reload

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/access"
	"picket/client"
	"picket/packet"
)

// binary is the program under test.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "picket-reload")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "picket")
		if out, err := exec.Command("go", "build", "-o", binary, "picket/cmd/picket").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build picket/cmd/picket: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// patience is how long anything may take before a test fails.
const patience = time.Minute

// broker is a process that serves the file picket.conf in a folder of its own, and the ports it may use.
type broker struct {
	t     *testing.T
	dir   string
	ports [3]int
	cmd   *exec.Cmd

	entries map[string]string // of the password file
}

// start runs a broker with a configuration, in which PORT0 to PORT2 and DIR stand for its ports and its folder. prepare, unless
// nil, makes the files that the configuration names.
func start(t *testing.T, prepare func(b *broker), config string) *broker {
	t.Helper()
	b := &broker{t: t, dir: t.TempDir(), entries: make(map[string]string), ports: freePorts(t)}
	if prepare != nil {
		prepare(b)
	}
	b.configure(config)
	b.run()
	return b
}

// freePorts finds ports that nobody uses, all held until each is found so that they differ.
func freePorts(t *testing.T) (ports [3]int) {
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}

func (b *broker) run() {
	log, err := os.Create(b.path("log"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer log.Close()
	b.cmd = exec.Command(binary, "serve", "-c", b.path("picket.conf"), "--user", "root", "-v")
	b.cmd.Stdout, b.cmd.Stderr = log, log
	b.cmd.Dir = b.dir
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- b.cmd.Wait() }()
	b.t.Cleanup(func() {
		_ = b.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			if err != nil {
				b.t.Errorf("the broker ended with %v\n%s", err, b.log())
			}
		case <-time.After(patience):
			_ = b.cmd.Process.Kill()
			b.t.Errorf("the broker does not end\n%s", b.log())
		}
	})
	b.waitForLog(" running", 1)
}

func (b *broker) path(name string) string { return filepath.Join(b.dir, name) }

func (b *broker) log() string {
	data, err := os.ReadFile(b.path("log"))
	if err != nil {
		b.t.Fatal(err)
	}
	return string(data)
}

// waitForLog waits until a text stands in the log as often as given.
func (b *broker) waitForLog(text string, times int) {
	b.t.Helper()
	b.eventually(func() error {
		if n := strings.Count(b.log(), text); n < times {
			return fmt.Errorf("%q is in the log %d times, not %d:\n%s", text, n, times, b.log())
		}
		return nil
	})
}

// eventually waits until a condition holds.
func (b *broker) eventually(condition func() error) {
	b.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			b.t.Fatal(err)
		}
	}
}

// write writes a file into the broker's folder; placeholders are replaced.
func (b *broker) write(name, text string) {
	b.t.Helper()
	replace := []string{"DIR", b.dir}
	for i, port := range b.ports {
		replace = append(replace, fmt.Sprintf("PORT%d", i), fmt.Sprintf("%d 127.0.0.1", port))
	}
	if err := os.WriteFile(b.path(name), []byte(strings.NewReplacer(replace...).Replace(text)), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// configure writes the configuration for the next reload. Clients are told the causes.
func (b *broker) configure(text string) { b.write("picket.conf", "reason_strings true\n"+text) }

// passwords writes the password file: users whose password is their name. A user's entry is the same each time.
func (b *broker) passwords(users ...string) {
	b.t.Helper()
	f := new(access.PasswordFile)
	for _, u := range users {
		if b.entries[u] == "" {
			b.setPassword(u, u)
		}
		if _, err := f.Set(u, b.entries[u]); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := f.WriteFile(b.path("passwords")); err != nil {
		b.t.Fatal(err)
	}
}

// setPassword gives a user a new entry for the next password file.
func (b *broker) setPassword(user, password string) {
	b.t.Helper()
	entry, err := access.HashPassword(access.SCRAM, password, access.MinScramIterations)
	if err != nil {
		b.t.Fatal(err)
	}
	b.entries[user] = entry
}

// The two ways in which a reload ends, in the log.
const (
	inForce = "The new configuration is in force."
	refused = "stays in force"
)

// reload sends SIGHUP and waits until the broker has said what became of it.
func (b *broker) reload(outcome string) {
	b.t.Helper()
	before := strings.Count(b.log(), outcome)
	if err := b.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		b.t.Fatal(err)
	}
	b.waitForLog(outcome, before+1)
}

// user is a client of the broker's.
type user struct {
	*client.Client
	b        *broker
	id       string
	messages chan *client.Message
}

// options are those of an MQTT 5.0 client with a name (none: anonymous) that is its password too.
func (b *broker) options(port int, id, name string) client.Options {
	o := client.Options{Transport: client.Transport{URL: fmt.Sprintf("mqtt://127.0.0.1:%d", b.ports[port])}}
	o.Connect = packet.Connect{Version: packet.V5, ClientID: id, CleanStart: true, KeepAlive: 60}
	if name != "" {
		o.Connect.HasUsername, o.Connect.Username = true, name
		o.Connect.HasPassword, o.Connect.Password = true, []byte(name)
	}
	return o
}

// dial connects a client, or returns why not.
func (b *broker) dial(o client.Options) (*user, error) {
	b.t.Helper()
	u := &user{b: b, id: o.Connect.ClientID, messages: make(chan *client.Message, 100)}
	o.Messages = u.messages
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := client.Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	u.Client = c
	b.t.Cleanup(c.Close)
	return u, nil
}

// connect is dial for a client that must come in.
func (b *broker) connect(o client.Options) *user {
	b.t.Helper()
	u, err := b.dial(o)
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", o.Connect.ClientID, err, b.log())
	}
	return u
}

// stays checks that the connection still works in both directions.
func (u *user) stays(topic string) {
	u.b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := u.Publish(ctx, &client.Message{Topic: topic, Payload: []byte("x"), QoS: 1})
	if err != nil {
		u.b.t.Errorf("%s can no longer publish: %v, %v", u.id, r, err)
	}
}

// dismissed waits until the broker has ended the connection and checks the reason.
func (u *user) dismissed(code packet.Code, reason string) {
	u.b.t.Helper()
	select {
	case <-u.Done():
	case <-time.After(patience):
		u.b.t.Fatalf("%s is still connected\n%s", u.id, u.b.log())
	}
	said, ok := u.Err().(*client.DisconnectError)
	if !ok || said.Code != code || said.Props == nil || !strings.Contains(said.Props.ReasonString, reason) {
		u.b.t.Errorf("%s was ended by %v, want code %v and %q", u.id, u.Err(), code, reason)
	}
}

// subscribe returns the reason code for a filter.
func (u *user) subscribe(filter string) packet.Code {
	u.b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := u.Subscribe(ctx, &packet.Subscribe{Filters: []packet.Subscription{{Filter: filter, QoS: 1}}})
	if err != nil {
		u.b.t.Fatalf("%s subscribing to %s: %v", u.id, filter, err)
	}
	return answer.Codes[0]
}

// next returns the topic of the next message.
func (u *user) next() string {
	u.b.t.Helper()
	select {
	case m := <-u.messages:
		return m.Topic
	case <-time.After(patience):
		u.b.t.Fatalf("%s gets no message\n%s", u.id, u.b.log())
		return ""
	}
}
