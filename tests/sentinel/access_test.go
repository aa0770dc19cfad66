//go:build linux

package sentinel

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/cause"
)

// TestPasswords: servers with a password, through a failover. A password that is wrong is told as such, and is not "down".
func TestPasswords(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{
		servers: 2, server: "requirepass secret\nmasterauth secret", pass: []string{"secret"},
		each: func(int, bool) string { return "sentinel auth-pass mymaster secret\n" },
	})
	g.servers[0].kill()
	g.switched(g.servers[0])
	g.servers[0].start()
	g.agreed()
	g.discovered()
	s := g.sentinels[0]
	s.ok("SENTINEL", "SET", "mymaster", "auth-pass", "wrong")
	s.tells(cause.SentinelWrongPassword, "says: WRONGPASS")
	eventually(t, "it is disconnected", func() bool { return strings.Contains(s.master("mymaster")["flags"], "disconnected") })
	time.Sleep(2 * quietDown * time.Millisecond) // for what must not happen
	if f := s.master("mymaster")["flags"]; strings.Contains(f, "s_down") {
		t.Errorf("a wrong password counts as down: %s", f)
	}
	s.ok("SENTINEL", "SET", "mymaster", "auth-pass", "secret")
	g.discovered()
	s.silent()
}

// TestSentinelPasswords: sentinels with passwords of their own: the same requirepass on each, and users (sentinel-user, sentinel-pass). One
// that the others' password does not let in cannot vote, and is told as such.
func TestSentinelPasswords(t *testing.T) {
	for name, conf := range map[string]string{
		"requirepass":   "requirepass ours",
		"sentinel-user": "user peer on >word allchannels +@all\nuser default off\nsentinel sentinel-user peer\nsentinel sentinel-pass word",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pass := map[string][]string{"requirepass": {"ours"}, "sentinel-user": {"peer", "word"}}[name]
			g := newGroup(t, options{servers: 2, sentinel: conf, sentinelPass: pass})
			g.servers[0].kill()
			g.switched(g.servers[0])
			g.servers[0].start()
			g.agreed()
			g.discovered()
			s := g.sentinels[0]
			s.ok("SENTINEL", "CONFIG", "SET", "sentinel-pass", "wrong", "sentinel-user", "default")
			eventually(t, "the others' refusal is told", func() bool {
				return strings.Contains(s.do("SENTINEL", "CKQUORUM", "mymaster").Str, "["+string(cause.SentinelWrongPassword)+"] sentinel")
			})
		})
	}
}

// TestPermissions: the rights that the documentation names are enough for a failover; a missing one is named.
func TestPermissions(t *testing.T) {
	t.Parallel()
	const rights = "&__sentinel__:hello +client +subscribe +publish +ping +info +multi +slaveof +config +exec"
	g := newGroup(t, options{
		servers: 2,
		server:  "user watcher on >pw resetchannels " + rights + "\nuser replica on >pw +psync +replconf +ping\nmasteruser replica\nmasterauth pw",
		each:    func(int, bool) string { return "sentinel auth-user mymaster watcher\nsentinel auth-pass mymaster pw\n" },
	})
	g.sentinels[0].silent()
	g.servers[0].kill()
	g.switched(g.servers[0])
	g.servers[0].start()
	g.agreed()
	g.discovered()
	s := g.sentinels[0]
	// A coordinated failover needs one more.
	s.ok("SENTINEL", "FAILOVER", "mymaster", "COORDINATED")
	s.tells(cause.SentinelHandoverRefused, "NOPERM")
	for _, p := range g.servers {
		p.ok("ACL", "SETUSER", "watcher", "-slaveof", "-exec")
	}
	s.ok("SENTINEL", "SET", "mymaster", "auth-pass", "pw") // makes the connections anew
	s.tells(cause.SentinelMissingPermission, "SLAVEOF")
	s.tells(cause.SentinelMissingPermission, "EXEC")
}

// TestOwnUsers: the sentinel's own passwords and users.
func TestOwnUsers(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 2, sentinels: "p", quorum: 1})
	s := g.sentinels[0]
	c := s.open()
	do := func(args ...string) string {
		t.Helper()
		v, err := c.do(args...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return v.Str
	}
	do("ACL", "SETUSER", "bob", "on", ">pw", "+ping", "+sentinel|get-master-addr-by-name", "+subscribe", "&+switch-master")
	do("ACL", "SETUSER", "admin", "on", ">adminpw", "+@all", "allchannels")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"AUTH", "bob", "wrong"}, "WRONGPASS invalid username-password pair or user is disabled."},
		{[]string{"AUTH", "nobody", "pw"}, "WRONGPASS invalid username-password pair or user is disabled."},
		{[]string{"AUTH", "bob", "pw"}, "OK"},
		{[]string{"PING"}, "PONG"},
		{[]string{"SENTINEL", "MASTERS"}, "NOPERM this user has no permissions to run the 'sentinel|masters' command"},
		{[]string{"ACL", "WHOAMI"}, "NOPERM this user has no permissions to run the 'acl|whoami' command"},
		{[]string{"SUBSCRIBE", "+sdown"}, "NOPERM this user has no permissions to access one of the channels used as arguments"},
		{[]string{"AUTH", "admin", "adminpw"}, "OK"},
		{[]string{"ACL", "WHOAMI"}, "admin"},
		{[]string{"ACL", "DRYRUN", "bob", "sentinel", "set", "a", "b", "c"}, "This user has no permissions to run the 'sentinel|set' command"},
		{[]string{"ACL", "DRYRUN", "bob", "ping"}, "OK"},
		{[]string{"ACL", "SETUSER", "x", "+nonsense"}, "ERR Error in ACL SETUSER modifier '+nonsense': Unknown command or category name in ACL"},
		{[]string{"ACL", "SETUSER", "x", "nonsense"}, "ERR Error in ACL SETUSER modifier 'nonsense': Syntax error"},
		{[]string{"ACL", "DELUSER", "default"}, "ERR The 'default' user cannot be removed"},
	} {
		if got := do(c.args...); got != c.want {
			t.Errorf("%v: %s, want %s", c.args, got, c.want)
		}
	}
	v, _ := c.do("ACL", "LOG")
	reasons := 0
	for _, e := range v.Elems {
		if r := fields(e)["reason"]; slices.Contains([]string{"auth", "command", "channel"}, r) {
			reasons++
		}
	}
	if reasons < 5 {
		t.Errorf("ACL LOG has %d entries: %+v", reasons, v)
	}
	// Users survive a restart, with hashed passwords.
	do("ACL", "SETUSER", "default", "off")
	s.kill()
	s.pass = []string{"admin", "adminpw"}
	s.start()
	if got := s.do("ACL", "USERS"); len(got.Elems) != 3 {
		t.Errorf("users after a restart: %+v", got)
	}
	data, err := os.ReadFile(s.conf)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(data), "adminpw") || !strings.Contains(string(data), "user bob on #") {
		t.Errorf("the users in the configuration file:\n%s", data)
	}
	// A client that is dropped with its user.
	other := s.open()
	if v, _ := other.do("AUTH", "bob", "pw"); v.Str != "OK" {
		t.Fatalf("AUTH: %+v", v)
	}
	if v := s.do("ACL", "DELUSER", "bob"); v.Int != 1 {
		t.Errorf("ACL DELUSER: %+v", v)
	}
	if _, err := other.do("PING"); err == nil {
		t.Error("the connection of a removed user still answers")
	}
}
