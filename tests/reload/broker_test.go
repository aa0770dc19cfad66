//go:build unix

// Package reload tests what SIGHUP does to a running broker: the real binary, real files, real clients.
package reload

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/access"
	"picket/client"
	"picket/internal/testbed"
	"picket/packet"
)

// patience is how long anything may take before a test fails.
const patience = testbed.Patience

// broker is a process that serves the file broker.conf in a folder of its own.
type broker struct {
	*testbed.Broker
	t       *testing.T
	entries map[string]string // of the password file
}

// start runs a broker with a configuration. prepare, unless nil, makes the files that the configuration names.
func start(t *testing.T, prepare func(b *broker), config string) *broker {
	t.Helper()
	b := &broker{t: t, entries: make(map[string]string)}
	testbed.Start(t, testbed.Options{
		Conf:    told + config,
		Program: []string{testbed.Picket(t), "serve", "-c", "${CONF}", "--user", "root", "-v"},
		Ready:   " running",
		Prepare: func(bed *testbed.Broker) {
			if b.Broker = bed; prepare != nil {
				prepare(b)
			}
		},
	})
	return b
}

// addr is where ${PORT0}, ${PORT1} ... listen.
func (b *broker) addr(port int) string { return b.Addr(b.t, fmt.Sprintf("PORT%d", port)) }

// waitForLog waits until a text stands in the log as often as given.
func (b *broker) waitForLog(text string, times int) {
	b.t.Helper()
	testbed.Eventually(b.t, func() error {
		if n := strings.Count(b.Said(), text); n < times {
			return fmt.Errorf("%q is in the log %d times, not %d:\n%s", text, n, times, b.Said())
		}
		return nil
	})
}

// write writes a file into the broker's folder; variables are replaced.
func (b *broker) write(name, text string) {
	b.t.Helper()
	b.Write(b.t, name, text)
}

// told has clients be told the causes.
const told = "reason_strings true\n"

// configure writes the configuration for the next reload.
func (b *broker) configure(text string) { b.write("broker.conf", told+text) }

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
	if err := f.WriteFile(b.Path("passwords")); err != nil {
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
	before := strings.Count(b.Said(), outcome)
	b.Signal(syscall.SIGHUP)
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
	o := client.Options{Transport: client.Transport{URL: "mqtt://" + b.addr(port)}}
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
		b.t.Fatalf("%s: %v\n%s", o.Connect.ClientID, err, b.Said())
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
		u.b.t.Fatalf("%s is still connected\n%s", u.id, u.b.Said())
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
		u.b.t.Fatalf("%s gets no message\n%s", u.id, u.b.Said())
		return ""
	}
}
