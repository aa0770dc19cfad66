//go:build unix

package reload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/client"
	"picket/internal/testbed"
	"picket/packet"
)

// refusal checks that a client cannot connect, for the reason given.
func (b *broker) refusal(o client.Options, code packet.Code) {
	b.t.Helper()
	u, err := b.dial(o)
	if err == nil {
		u.Close()
		b.t.Errorf("%s came in", o.Connect.ClientID)
		return
	}
	var no *client.RefusedError
	if !errors.As(err, &no) || no.Code != code {
		b.t.Errorf("%s: %v, want code %v", o.Connect.ClientID, err, code)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	const config = "listener ${PORT0} 127.0.0.1\npassword_file ${DIR}/passwords\n"
	b := start(t, func(b *broker) { b.passwords("ann", "bob", "carl") }, config)
	ann, bob, carl := b.connect(b.options(0, "a", "ann")), b.connect(b.options(0, "b", "bob")), b.connect(b.options(0, "c", "carl"))
	scram := b.options(0, "s", "")
	var err error
	if scram.Auth, err = client.SCRAM("ann", "ann"); err != nil {
		t.Fatal(err)
	}
	proven := b.connect(scram)
	b.refusal(b.options(0, "d", "dora"), packet.NotAuthorized)

	b.setPassword("carl", "changed")
	b.passwords("ann", "carl", "dora")
	b.reload(inForce)
	bob.dismissed(packet.NotAuthorized, "no-longer-allowed")
	carl.dismissed(packet.NotAuthorized, "no-longer-allowed")
	ann.stays("x")
	proven.stays("x")
	b.refusal(b.options(0, "b", "bob"), packet.NotAuthorized)
	b.refusal(b.options(0, "c", "carl"), packet.NotAuthorized) // with the old password
	b.connect(b.options(0, "d", "dora")).stays("x")
	b.waitForLog("[no-longer-allowed]", 2)

	// A broken entry keeps out its user, and nobody else.
	b.write("passwords", "ann:"+b.entries["ann"]+"\ndora:$7$broken\n")
	b.reload(inForce)
	ann.stays("x")
	b.refusal(b.options(0, "d", "dora"), packet.NotAuthorized)
	b.waitForLog("Error: Invalid hash iterations for user dora, removing entry.", 1)
}

func TestAnonymous(t *testing.T) {
	t.Parallel()
	b := start(t, func(b *broker) { b.passwords("ann") }, "listener ${PORT0} 127.0.0.1\npassword_file ${DIR}/passwords\nallow_anonymous true\n")
	nobody, ann := b.connect(b.options(0, "n", "")), b.connect(b.options(0, "a", "ann"))
	b.configure("listener ${PORT0} 127.0.0.1\npassword_file ${DIR}/passwords\nallow_anonymous false\n")
	b.reload(inForce)
	nobody.dismissed(packet.NotAuthorized, "anonymous-refused")
	ann.stays("x")
	b.refusal(b.options(0, "n", ""), packet.NotAuthorized)
	// Local clients may again: the test is one.
	b.configure("listener ${PORT0} 127.0.0.1\npassword_file ${DIR}/passwords\nallow_anonymous local\n")
	b.reload(inForce)
	b.connect(b.options(0, "n", "")).stays("x")
}

func TestClientIDPrefixes(t *testing.T) {
	t.Parallel()
	b := start(t, nil, "listener ${PORT0} 127.0.0.1\nallow_anonymous true\n")
	in, out := b.connect(b.options(0, "dev-1", "")), b.connect(b.options(0, "pc", ""))
	b.configure("listener ${PORT0} 127.0.0.1\nallow_anonymous true\nclientid_prefixes dev-\n")
	b.reload(inForce)
	out.dismissed(packet.NotAuthorized, "client-id-prefix")
	in.stays("x")
}

// Rules count for connected clients at once, in both directions and for subscriptions that exist.
func TestRules(t *testing.T) {
	t.Parallel()
	const config = "listener ${PORT0} 127.0.0.1\nallow_anonymous true\nacl_file ${DIR}/acl\n"
	b := start(t, func(b *broker) { b.write("acl", "topic read a/#\ntopic read b/#\ntopic write #\n") }, config)
	reader, writer := b.connect(b.options(0, "r", "")), b.connect(b.options(0, "w", ""))
	for _, filter := range []string{"a/#", "b/#"} {
		if code := reader.subscribe(filter); code.Failed() {
			t.Fatal(filter, code)
		}
	}
	if code := reader.subscribe("c/#"); code != packet.NotAuthorized {
		t.Errorf("c/# was granted: %v", code)
	}
	writer.stays("a/1")
	writer.stays("b/1")
	for _, want := range []string{"a/1", "b/1"} {
		if got := reader.next(); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}

	b.write("acl", "topic read b/#\ntopic read c/#\ntopic write a/#\ntopic write b/#\n")
	b.reload(inForce)
	writer.stays("a/2")
	writer.stays("b/2")
	if got := reader.next(); got != "b/2" {
		t.Errorf("got %s, which may no longer be read", got)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := writer.Publish(ctx, &client.Message{Topic: "c/1", QoS: 1}); err == nil {
		t.Error("c/1 may no longer be written, but was")
	} else if no := (*client.ReasonError)(nil); !errors.As(err, &no) || no.Code != packet.NotAuthorized {
		t.Errorf("c/1: %v", err)
	}
	if code := reader.subscribe("c/#"); code.Failed() {
		t.Errorf("c/# was refused: %v", code)
	}
	if code := reader.subscribe("a/#"); code != packet.NotAuthorized {
		t.Errorf("a/# was granted: %v", code)
	}

	// A mistake in the rules keeps the old ones.
	b.write("acl", "topics read #\n")
	b.reload(refused)
	writer.stays("b/3")
	if got := reader.next(); got != "b/3" {
		t.Errorf("got %s", got)
	}
	// Without the file everything is allowed again.
	b.configure("listener ${PORT0} 127.0.0.1\nallow_anonymous true\n")
	b.reload(inForce)
	writer.stays("a/4")
	if got := reader.next(); got != "a/4" {
		t.Errorf("got %s", got)
	}
}

// Limits count for new connections; what a client was promised at CONNECT stays until it comes back. mosquitto forgets
// max_qos and max_topic_alias of a listener at SIGHUP.
func TestLimits(t *testing.T) {
	t.Parallel()
	const first = "listener ${PORT0} 127.0.0.1\nallow_anonymous true\nmax_qos 1\nmax_topic_alias 5\n"
	b := start(t, nil, first+"max_packet_size 1000\nmax_inflight_messages 7\nmax_keepalive 100\n")
	check := func(u *user, qos byte, aliases, receive uint16, size uint32) {
		t.Helper()
		p := u.Connack().Props
		if p.MaximumQoS != qos || p.TopicAliasMaximum != aliases || p.ReceiveMaximum != receive || p.MaximumPacketSize != size {
			t.Errorf("%s was told %+v", u.id, p)
		}
	}
	old := b.connect(b.options(0, "old", ""))
	check(old, 1, 5, 7, 1000)
	b.reload(inForce) // the same again
	again := b.connect(b.options(0, "again", ""))
	check(again, 1, 5, 7, 1000)
	b.configure("listener ${PORT0} 127.0.0.1\nallow_anonymous true\nmax_topic_alias 3\nmax_packet_size 2000\nmax_inflight_messages 9\nretain_available false\n")
	b.reload(inForce)
	old.stays("x")
	u := b.connect(b.options(0, "third", ""))
	check(u, 0, 3, 9, 2000) // no Maximum QoS is QoS 2
	if p := u.Connack().Props; p.Has(packet.MaximumQoS) || !p.Has(packet.RetainAvailable) || p.RetainAvailable != 0 {
		t.Errorf("third was told %+v", p)
	}
}

// Listeners come and go; mosquitto refuses the reload.
func TestListeners(t *testing.T) {
	t.Parallel()
	b := start(t, nil, "allow_anonymous true\nlistener ${PORT0} 127.0.0.1\nlistener ${PORT1} 127.0.0.1\n")
	kept, removed := b.connect(b.options(0, "kept", "")), b.connect(b.options(1, "removed", ""))
	b.configure("allow_anonymous true\nlistener ${PORT2} 127.0.0.1\nlistener ${PORT0} 127.0.0.1\nmount_point m/\n")
	b.reload(inForce)
	removed.dismissed(packet.ServerShuttingDown, "listener-removed")
	kept.stays("x")
	b.connect(b.options(2, "new", "")).stays("x")
	if _, err := b.dial(b.options(1, "gone", "")); err == nil {
		t.Error("the removed listener still answers")
	}

	// A port that somebody else has: nothing changes.
	l, err := net.Listen("tcp", b.addr(1))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b.configure("allow_anonymous true\nlistener ${PORT2} 127.0.0.1\nlistener ${PORT1} 127.0.0.1\n")
	b.reload(refused)
	kept.stays("x")
	b.connect(b.options(0, "as before", "")).stays("x")
	l.Close()
	b.reload(inForce)
	kept.dismissed(packet.ServerShuttingDown, "listener-removed")
	b.connect(b.options(1, "at last", "")).stays("x")
}

// Whatever is wrong, the old configuration stays, the log says what it is, and the next reload works.
func TestMistakes(t *testing.T) {
	t.Parallel()
	const good = "listener ${PORT0} 127.0.0.1\npassword_file ${DIR}/passwords\n"
	b := start(t, func(b *broker) { b.passwords("ann") }, good)
	ann := b.connect(b.options(0, "a", "ann"))
	for _, c := range []struct{ config, want string }{
		{"listener ${PORT0} 127.0.0.1\nnonsense true\n", `Error: Unknown configuration variable "nonsense".`},
		{"listener ${PORT0} 127.0.0.1\nmax_qos 7\n", "Error: max_qos must be between 0 and 2 inclusive."},
		{"listener ${PORT0} 127.0.0.1\npersistence_sync sometimes\n", "Error: Invalid persistence_sync value (sometimes)"},
		{"listener ${PORT0} 127.0.0.1\npassword_file ${DIR}/missing\n", `Unable to open pwfile "`},
		{"listener ${PORT0} 127.0.0.1\ncertfile ${DIR}/missing\nkeyfile ${DIR}/missing\n", "certfile"},
		{"listener 0\n", "Error: A listener with port 0 must provide a Unix socket path."},
	} {
		b.configure(c.config)
		before := strings.Count(b.Said(), c.want)
		b.reload(refused)
		b.waitForLog(c.want, before+1)
		ann.stays("x")
		b.refusal(b.options(0, "n", ""), packet.NotAuthorized)
	}
	if err := os.Remove(b.Path("broker.conf")); err != nil {
		t.Fatal(err)
	}
	b.reload(refused)
	ann.stays("x")
	b.configure(good)
	b.reload(inForce)
	ann.stays("x")
}

// SIGHUP opens the log file again, as logrotate expects, and follows a new destination.
func TestLog(t *testing.T) {
	t.Parallel()
	const config = "listener ${PORT0} 127.0.0.1\nallow_anonymous true\n"
	b := start(t, nil, config+"log_dest stderr\nlog_dest file ${DIR}/first.log\n")
	if err := os.Rename(b.Path("first.log"), b.Path("first.log.1")); err != nil {
		t.Fatal(err)
	}
	b.reload(inForce)
	b.connect(b.options(0, "rotated", ""))
	contains := func(name, text string) {
		t.Helper()
		testbed.Eventually(t, func() error {
			data, err := os.ReadFile(b.Path(name))
			if err == nil && !strings.Contains(string(data), text) {
				err = fmt.Errorf("%s does not have %q:\n%s", name, text, data)
			}
			return err
		})
	}
	contains("first.log", "as rotated")
	b.configure(config + "log_dest stderr\nlog_dest file ${DIR}/second.log\nlog_format json\n")
	b.reload(inForce)
	b.connect(b.options(0, "moved", ""))
	contains("second.log", "as moved")
	if data, _ := os.ReadFile(b.Path("second.log")); !strings.HasPrefix(string(data), "{") {
		t.Errorf("not JSON: %.100s", data)
	}
	if data, _ := os.ReadFile(b.Path("first.log")); strings.Contains(string(data), "as moved") {
		t.Error("the old file is still written to")
	}
}

// Messages are not lost while the configuration is read again and again.
func TestTraffic(t *testing.T) {
	t.Parallel()
	const config = "listener ${PORT0} 127.0.0.1\nallow_anonymous true\nacl_file ${DIR}/acl\n"
	b := start(t, func(b *broker) { b.write("acl", "topic readwrite t/#\n") }, config)
	reader, writer := b.connect(b.options(0, "r", "")), b.connect(b.options(0, "w", ""))
	if code := reader.subscribe("t/+"); code.Failed() {
		t.Fatal(code)
	}
	const messages = 2000
	sent := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for i := range messages {
			if _, err := writer.Publish(ctx, &client.Message{Topic: fmt.Sprintf("t/%d", i), QoS: byte(i % 3)}); err != nil {
				sent <- fmt.Errorf("message %d: %w", i, err)
				return
			}
		}
		sent <- nil
	}()
	next := [3]int{0, 1, 2} // by QoS: messages of one QoS come in order (MQTT-4.6.0-5)
	for received, reloads := 0, 0; received < messages; received++ {
		select {
		case m := <-reader.messages:
			var n int
			if _, err := fmt.Sscanf(m.Topic, "t/%d", &n); err != nil || n != next[n%3] {
				t.Fatalf("got %s, want t/%d", m.Topic, next[n%3])
			}
			next[n%3] += 3
		case <-time.After(patience):
			t.Fatalf("%d of %d messages came\n%v", received, messages, reader.Err())
		}
		if received%200 == 100 {
			reloads++
			b.write("acl", fmt.Sprintf("topic readwrite t/#\ntopic read other/%d\n", reloads))
			b.reload(inForce)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// max_connections is still in force after a reload, where mosquitto forgets it, and a new one counts.
func TestMaxConnections(t *testing.T) {
	t.Parallel()
	const config = "allow_anonymous true\nlistener ${PORT0} 127.0.0.1\nmax_connections "
	b := start(t, nil, config+"2\n")
	for _, id := range []string{"first", "second"} {
		b.connect(b.options(0, id, ""))
	}
	b.reload(inForce)
	if _, err := b.dial(b.options(0, "third", "")); err == nil {
		t.Error("max_connections is forgotten")
	}
	b.configure(config + "3\n")
	b.reload(inForce)
	b.connect(b.options(0, "third", ""))
	if _, err := b.dial(b.options(0, "fourth", "")); err == nil {
		t.Error("max_connections 3 lets four in")
	}
}

// Whoever connects after SIGHUP has been sent is judged by the new configuration. Should a client come in before, because a thread was interrupted
// just when it took the signal from the kernel, the reload has to find it.
func TestConnectingMeanwhile(t *testing.T) {
	t.Parallel()
	b := start(t, func(b *broker) { b.passwords("ann", "bob") }, "listener ${PORT0} 127.0.0.1\npassword_file ${DIR}/passwords\n")
	early := 0
	for i := range 20 {
		b.passwords("ann")
		before := strings.Count(b.Said(), inForce)
		b.Signal(syscall.SIGHUP)
		o := b.options(0, fmt.Sprint("b", i), "bob")
		if runtime.GOOS == "linux" {
			o.LocalAddress = fmt.Sprintf("127.0.1.%d", i+1) // an address from which nobody has been refused has not to wait
		}
		u, err := b.dial(o)
		b.waitForLog(inForce, before+1)
		if err == nil {
			early++
			u.dismissed(packet.NotAuthorized, "no-longer-allowed")
		}
		b.passwords("ann", "bob")
		b.reload(inForce)
	}
	if early > 5 && runtime.GOOS == "linux" {
		t.Errorf("%d of 20 clients were let in by the old configuration", early)
	}
}
