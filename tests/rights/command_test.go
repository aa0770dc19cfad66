//go:build unix

package rights

import (
	"encoding/json"

	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/internal/testbed"
	"picket/packet"
)

// running is what a broker says when its admin socket is there, too.
const running = " running"

// does is a command that succeeds, and says something.
func does(t *testing.T, b *testbed.Broker, says string, args ...string) {
	t.Helper()
	if said, ok := b.Command(t, "secret\n", args...); !ok || !strings.Contains(said, says) {
		t.Fatalf("%v: %s", args, said)
	}
}

// fails is a command that does not, and says why.
func fails(t *testing.T, b *testbed.Broker, says string, args ...string) {
	t.Helper()
	if said, ok := b.Command(t, "secret\n", args...); ok || !strings.Contains(said, says) {
		t.Fatalf("%v: %v, %s", args, ok, said)
	}
}

// permits looks what the broker lets a client publish.
func permits(t *testing.T, c *testbed.Client, topics map[string]bool) {
	t.Helper()
	for topic, may := range topics {
		if code := publish(t, c, topic); (code != packet.NotAuthorized) != may {
			t.Errorf("%s: PUBACK %v", topic, code)
		}
	}
}

// A second user with rights for one device takes one command and no file. What was answered is in force, and there after a crash; others are as they were.
func TestUsersByCommand(t *testing.T) {
	t.Parallel()
	b := testbed.Start(t, testbed.Options{Program: []string{testbed.Picket(t), "serve", "--user", "root", "--data", "${DIR}/data", "-p", "${PORT}"},
		Env: []string{"PICKET_RUNTIME_DIR=" + t.TempDir()}, Ready: running})
	lamp := user{"lamp", "secret", "l"}
	again := func() *testbed.Client { return login(t, dial(t, b, packet.V5), lamp) }
	refused(t, dial(t, b, packet.V5), lamp)
	does(t, b, "lamp can log in", "user", "add", "lamp", "--password", "-")
	fails(t, b, "already", "user", "add", "lamp")
	fails(t, b, "passwords", "user", "add", "picket")
	c := again()
	permits(t, c, map[string]bool{"home/door/x": true, "home/x": true, "other": true})

	does(t, b, "may not publish", "deny", "lamp", "publish", "home/door/#")
	if err := c.Rest(time.Minute); err != nil {
		t.Errorf("the connection did not end: %v", err)
	}
	does(t, b, "may do everything anyway", "allow", "lamp", "all", "home/#")
	does(t, b, "already", "allow", "lamp", "all", "home/#")
	permits(t, again(), map[string]bool{"home/door/x": false, "home/x": true, "other": true})
	does(t, b, "may publish", "allow", "lamp", "publish", "%u/own", "--only")
	fails(t, b, "acl_file", "deny", "picket", "all", "#")
	fails(t, b, "acl-subscribe-denied", "may", "lamp", "subscribe", "other/#")
	fails(t, b, "acl-read-denied", "may", "lamp", "receive", "other")

	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	b.Run(t)
	c, other := again(), login(t, dial(t, b, packet.V5), user{id: "o"})
	permits(t, c, map[string]bool{"home/door/x": false, "home/x": true, "other": false, "lamp/own": true})
	b.Signal(syscall.SIGHUP)
	logs(t, b, "The new configuration is in force.")
	does(t, b, "removed", "deny", "lamp", "publish", "home/door/#", "--rm")
	permits(t, again(), map[string]bool{"home/door/x": true, "other": false, "lamp/own": true})
	does(t, b, "disabled", "user", "disable", "lamp")
	refused(t, dial(t, b, packet.V311), lamp)
	does(t, b, "removed", "user", "rm", "lamp")
	refused(t, dial(t, b, packet.V31), lamp)
	permits(t, other, map[string]bool{"anything": true}) // it has been connected since the crash
	if code := publish(t, other, commandTopic); code < 128 {
		t.Errorf("commands are taken over MQTT: %v", code)
	}
}

// A configuration names the file; where it names none, that is said, and what to write.
func TestRightsFile(t *testing.T) {
	t.Parallel()
	conf := "user root\nlog_dest stdout\nallow_anonymous local\npassword_file ${DIR}/data/passwords\nadmin_socket ${DIR}/data/admin.sock\nlistener ${PORT}\n"
	prepare := func(b *testbed.Broker) {
		if err := os.Mkdir(b.Path("data"), 0o700); err != nil {
			t.Fatal(err)
		}
		hashed(t, b.Path("data/passwords"), "picket", "sesame")
	}
	fails(t, testbed.Start(t, testbed.Options{Conf: conf, Ready: running, Prepare: prepare}), "rights_file", "user", "add", "lamp")
	b := testbed.Start(t, testbed.Options{Conf: conf + "rights_file ${DIR}/data/rights.json\n", Ready: running, Prepare: prepare})
	does(t, b, "may do nothing yet", "user", "add", "lamp", "--limited", "--password", "-")
	does(t, b, "yes", "may", "picket", "publish", "anything")
	permits(t, login(t, dial(t, b, packet.V5), user{"lamp", "secret", "l"}), map[string]bool{"x": false})
	permits(t, login(t, dial(t, b, packet.V5), user{"picket", "sesame", "p"}), map[string]bool{"x": true})
}

// A ban is in force and on the disk when the command ends: who is connected goes, who is banned stays out over a crash and a reload, until the ban is lifted.
func TestBansByCommand(t *testing.T) {
	t.Parallel()
	b := testbed.Start(t, testbed.Options{Program: []string{testbed.Picket(t), "serve", "--user", "root", "--data", "${DIR}/data", "-p", "${PORT}"},
		Env: []string{"PICKET_RUNTIME_DIR=" + t.TempDir()}, Ready: running})
	lamp, other := user{id: "lamp"}, user{id: "other"}
	c, stays := login(t, dial(t, b, packet.V5), lamp), login(t, dial(t, b, packet.V5), other)
	does(t, b, "Disconnected: 1", "ban", "client", "lamp", "--for", "1h", "--why", "a test")
	if err := c.Rest(time.Minute); err != nil {
		t.Errorf("the connection did not end: %v", err)
	}
	permits(t, stays, map[string]bool{"x": true})
	out := func() {
		t.Helper()
		for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
			refused(t, dial(t, b, v), lamp)
		}
	}
	out()
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	b.Run(t)
	out()
	b.Signal(syscall.SIGHUP)
	logs(t, b, "The new configuration is in force.")
	out()
	does(t, b, "a test", "ctl", "bans")
	fails(t, b, "--force", "ban", "address", "127.0.0.1")
	fails(t, b, "no such ban", "unban", "client", "other")
	does(t, b, "lifted", "unban", "client", "lamp")
	login(t, dial(t, b, packet.V5), lamp)

	if err := os.WriteFile(b.Path("data/bans.json"), []byte(`{"bans":[{"kind":"prefix","value":"la","since":"2026-11-30T12:00:00Z"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, b, "another program has changed it", "ban", "user", "ann")
	does(t, b, "", "ctl", "reload")
	out()
}

// What a client changes by commands is in the audit file, without passwords; what it only asks for, or is not allowed to, is not.
func TestCommandsAreAudited(t *testing.T) {
	b := start(t, open+"audit_file ${DIR}/audit.jsonl\n")
	c := newConsole(t, dial(t, b, packet.V5))
	c.do(`{"command": "listClients"}`)
	c.do(`{"command": "createClient", "username": "lamp", "password": "hidden"}`)
	if _, err := c.ask(`{"command": "createRole", "rolename": "r"}, {"command": "deleteRole", "rolename": "none"}`); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(b.Path("audit.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(data)) {
		var e struct{ By, Request, What, Result string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		got = append(got, e.By+": "+e.Request+" "+e.What+": "+e.Result)
	}
	who := "client console/admin: PUBLISH " + commandTopic + " "
	if want := []string{who + `createClient username="lamp": done`, who + `createRole rolename="r"; deleteRole rolename="none": done in part`}; !slices.Equal(got, want) || strings.Contains(string(data), "hidden") {
		t.Errorf("got %q", got)
	}
}
