//go:build unix

package reload

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

// command runs picket for a broker, and fails unless it says what it should.
func command(t *testing.T, b *testbed.Broker, says string, args ...string) {
	t.Helper()
	if said, ok := b.Command(t, "", args...); !ok || !strings.Contains(said, says) {
		t.Fatalf("%v: %v, %s", args, ok, said)
	}
}

// unconfigured is a broker without a configuration.
func unconfigured(t *testing.T, prepare func(*testbed.Broker)) *testbed.Broker {
	t.Helper()
	return testbed.Start(t, testbed.Options{Program: []string{testbed.Picket(t), "serve", "--user", "root", "--data", "${DIR}/data", "-p", "${PORT}"},
		Env: []string{"PICKET_RUNTIME_DIR=" + t.TempDir()}, Ready: " running", Prepare: prepare})
}

// dialed connects a client whose session stays.
func dialed(t *testing.T, b *testbed.Broker, id string) (*testbed.Client, *packet.Connack) {
	t.Helper()
	c := testbed.Dial(t, b.Addr(t, "PORT"), packet.V5)
	p := &packet.Connect{Version: packet.V5, ClientID: id, Props: new(packet.Properties).Set(packet.SessionExpiryInterval)}
	p.Props.SessionExpiry = 3600
	ack, err := c.Connect(p)
	if err != nil {
		t.Fatal(err)
	}
	return c, ack
}

// publish publishes a message with QoS 1 and waits for its acknowledgement.
func publish(c *testbed.Client, n int) error {
	if err := c.Send(&packet.Publish{Topic: []byte("a/x"), QoS: 1, ID: uint16(n), Payload: []byte(fmt.Sprint(n))}); err != nil {
		return err
	}
	_, err := testbed.Until[*packet.Ack](c)
	return err
}

// A backup of a broker that is being published to holds everything that was acknowledged before; a broker made from it elsewhere serves the sessions, with their
// users, bans and, with --keys, the same certificate.
func TestBackupAndRestore(t *testing.T) {
	b := unconfigured(t, nil)
	away, _ := dialed(t, b, "away")
	if err := away.Send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "a/#", QoS: 1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := testbed.Until[*packet.Suback](away); err != nil {
		t.Fatal(err)
	}
	away.Close()
	command(t, b, "can log in", "user", "add", "lamp")
	command(t, b, "Banned", "ban", "client", "bad")
	from, _ := dialed(t, b, "from")
	const before = 200
	for n := 1; n <= before; n++ {
		if err := publish(from, n); err != nil {
			t.Fatal(err)
		}
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := before + 1; n < 60_000; n++ {
			select {
			case <-stop:
				return
			default:
				if err := publish(from, n); err != nil {
					t.Error(err)
					return
				}
			}
		}
	}()
	file := filepath.Join(t.TempDir(), "picket.tar")
	command(t, b, "files", "ctl", "backup", file, "--keys")
	close(stop)
	<-ended

	again := unconfigured(t, func(bed *testbed.Broker) { command(t, b, "serve --data", "store", "restore", file, bed.Path("data")) })
	for _, name := range []string{"server.pem", "ca.key", "passwords"} {
		was, err := os.ReadFile(b.Path("data/" + name))
		is, err2 := os.ReadFile(again.Path("data/" + name))
		if err != nil || err2 != nil || string(was) != string(is) {
			t.Errorf("%s is another one: %v, %v", name, err, err2)
		}
	}
	command(t, again, "client  bad", "ctl", "bans")
	command(t, again, "lamp", "user", "list")
	back, ack := dialed(t, again, "away")
	if !ack.SessionPresent {
		t.Fatal("the session is not there")
	}
	for n := 1; n <= before; n++ {
		m, err := testbed.Until[*packet.Publish](back)
		if err != nil || string(m.Payload) != fmt.Sprint(n) {
			t.Fatalf("message %d: %+v, %v", n, m, err)
		}
		if err := back.Send(&packet.Ack{Kind: packet.PUBACK, ID: m.ID}); err != nil {
			t.Fatal(err)
		}
	}
}
