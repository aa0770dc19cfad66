package access

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"picket/cause"
	"picket/topic"
)

// client is who connects under a name.
func client(p *Policy, username, id string) *Client {
	return p.Client(Login{ClientID: id, HasUsername: username != "", Username: username}, Decision{})
}

// loadACL returns the policy of an ACL file with the given text.
func loadACL(t testing.TB, text string) (*Policy, []Warning) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "acl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, warnings, err := Load(Config{ACLFile: path})
	if err != nil {
		t.Fatal(err)
	}
	return p, slices.DeleteFunc(warnings, func(w Warning) bool { return w.Line == 0 })
}

const home = `
# Rules for clients without a user name.
topic read public/#
topic read $SYS/broker/uptime

user ann
topic home/#
topic deny home/safe
topic write two words/are fine
topic read $SYS/#
topic deny $SYS/broker/log/#

user bob
topic write lamps/+/set
topic readwrite denied/by/pattern

user carl

pattern read devices/%c/#
pattern write users/%u/%c
pattern deny devices/%c/secret
pattern deny denied/%u/x
pattern deny denied/by/pattern
`

func TestReadWrite(t *testing.T) {
	p, warnings := loadACL(t, home)
	if len(warnings) != 1 || warnings[0].Text != "Warning: ACL pattern 'denied/by/pattern' does not contain '%c' or '%u'." {
		t.Errorf("warnings: %v", warnings)
	}
	for _, c := range []struct {
		user, id, topic string
		read, write     bool
	}{
		{"", "c1", "public", true, false},
		{"", "c1", "public/a/b", true, false},
		{"", "c1", "home/door", false, false},
		{"", "c1", "$SYS/broker/uptime", true, false},
		{"", "c1", "$SYS/broker/version", false, false},
		{"", "c1", "devices/c1", true, false},
		{"", "c1", "devices/c1/state", true, false},
		{"", "c1", "devices/c1/secret", false, false},
		{"", "c1", "devices/c2/state", false, false},
		{"", "c1", "users//c1", false, false}, // rules with %u skip clients without a name
		{"ann", "c1", "home/door", true, true},
		{"ann", "c1", "home/safe", false, false}, // the denial wins although it stands second
		{"ann", "c1", "two words/are fine", false, true},
		{"ann", "c1", "public/a", false, false}, // the anonymous section is not for her
		{"ann", "c1", "$SYS/broker/uptime", true, false},
		{"ann", "c1", "$SYS/broker/log/N", false, false},
		{"ann", "c1", "users/ann/c1", false, true},
		{"ann", "c1", "users/bob/c1", false, false},
		{"bob", "c1", "lamps/3/set", false, true},
		{"bob", "c1", "lamps/3/4/set", false, false},
		{"bob", "c1", "denied/by/pattern", true, true}, // the user's own rule is asked first
		{"carl", "c1", "devices/c1/state", true, false},
		{"carl", "c1", "home/door", false, false},
		{"nobody", "c1", "devices/c1/state", true, false},
		{"nobody", "c1", "home/door", false, false},
		{"a+b", "c1", "devices/c1/state", false, false},
		{"ann", "#", "devices/c2/state", false, false},
		{"ann", "#", "home/door", true, true}, // her own rules are no patterns
	} {
		a := client(p, c.user, c.id)
		if got := a.Deliver(c.topic); got != c.read {
			t.Errorf("user %q, client id %q reads %s: %v, want %v", c.user, c.id, c.topic, got, c.read)
		}
		if got := a.Publish(c.topic).Allow; got != c.write {
			t.Errorf("user %q, client id %q writes %s: %v, want %v", c.user, c.id, c.topic, got, c.write)
		}
	}
}

func TestSubscribe(t *testing.T) {
	p, _ := loadACL(t, home)
	for _, c := range []struct {
		user, id, filter string
		want             bool
	}{
		{"", "c1", "#", true}, // wider than what may be read: accepted, deliveries are filtered
		{"", "c1", "+/x", true},
		{"", "c1", "public", true},
		{"", "c1", "home/#", false},
		{"", "c1", "$SYS/#", true},
		{"", "c1", "$SYS/broker/version", false},
		{"", "c1", "devices/+/state", true},
		{"", "c1", "devices/c2/#", false},
		{"", "c1", "devices/c1/secret", false},
		{"", "c1", "$share/g/devices/c1/#", true},
		{"", "c1", "$share/g/devices/c2/#", false},
		{"ann", "c1", "home/+", true}, // all but the safe
		{"ann", "c1", "home/safe", false},
		{"ann", "c1", "$SYS/broker/log/#", false}, // wholly denied
		{"ann", "c1", "$SYS/broker/log/+", false},
		{"ann", "c1", "$SYS/broker/+/N", true}, // only a part of it is denied
		{"ann", "c1", "two words/#", false},    // a right to write is none to read
		{"bob", "c1", "denied/#", true},
		{"bob", "c1", "lamps/#", false},
		{"carl", "d", "#", true},
		{"carl", "#", "#", false},
	} {
		d := client(p, c.user, c.id).Subscribe(c.filter)
		if d.Allow != c.want {
			t.Errorf("user %q, client id %q subscribes to %s: %+v, want %v", c.user, c.id, c.filter, d, c.want)
		}
		if !d.Allow && (d.Cause != cause.ACLSubscribeDenied || d.Text == "") {
			t.Errorf("a refusal without its cause: %+v", d)
		}
	}
	if a := client(p, "carl", "#"); a.Dangerous != "client id" {
		t.Errorf("Dangerous = %q", a.Dangerous)
	}

	// A denial that covers all that one rule grants leaves nothing.
	p, _ = loadACL(t, "topic read a/#\ntopic deny a/#\ntopic write b")
	if d := client(p, "", "c").Subscribe("#"); d.Allow {
		t.Error("# is accepted although nothing can be read")
	}
	p.config.SubscribeUnchecked = true
	if d := client(p, "", "c").Subscribe("#"); !d.Allow {
		t.Error("# is refused although acl_subscribe_unchecked is on")
	}
}

// An ACL file without rules denies everything; no ACL file allows everything.
func TestEmptyACL(t *testing.T) {
	p, _ := loadACL(t, "# nothing\n")
	a := client(p, "ann", "c")
	if a.Deliver("x") || a.Publish("x").Allow || a.Subscribe("#").Allow {
		t.Error("an ACL file without rules grants something")
	}
	if p, _, err := Load(Config{}); err != nil || !client(p, "ann", "c").Publish("x").Allow {
		t.Error("without an ACL file something is denied")
	}
}

func TestACLFileErrors(t *testing.T) {
	for _, c := range []struct {
		text, want string
		line       int
	}{
		{"user", "Error: Missing username in acl_file", 1},
		{"user x\ntopic", "Error: Empty topic in acl_file", 2},
		{"topic both a", "Error: Invalid topic access type \"both\" in acl_file", 1},
		{"\ntopic a b", "Error: Invalid topic access type \"a\" in acl_file", 2},
		{"topic read a/#/b", "Error: Invalid ACL topic \"a/#/b\" in acl_file", 1},
		{"topic read a+/b", "Error: Invalid ACL topic \"a+/b\" in acl_file", 1},
		{"topics read a", "Error: Invalid line in acl_file", 1},
		{"topic\tread a", "Error: Invalid line in acl_file", 1},
		{"topic read \xff", "Error: Malformed UTF-8 in acl_file", 1},
	} {
		path := filepath.Join(t.TempDir(), "acl")
		os.WriteFile(path, []byte(c.text), 0o600)
		_, _, err := Load(Config{ACLFile: path})
		var fe *FileError
		if !errors.As(err, &fe) || !strings.HasPrefix(fe.Text, c.want) || fe.Line != c.line || fe.Hint == "" {
			t.Errorf("%q: %#v, want %s at line %d", c.text, err, c.want, c.line)
		}
	}
	missing := filepath.Join(t.TempDir(), "missing")
	_, _, err := Load(Config{ACLFile: missing})
	var fe *FileError
	if !errors.As(err, &fe) || !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	want := []string{
		fmt.Sprintf("Error: Unable to open acl_file \"%s\". There is no such file.", missing),
		fmt.Sprintf("Error opening acl file \"%s\".", missing),
	}
	if !slices.Equal(fe.Lines(), want) {
		t.Errorf("lines %q, want %q", fe.Lines(), want)
	}
}

// Many rules are looked up by an index; the answers must be those of the list.
func TestManyRules(t *testing.T) {
	var b strings.Builder
	b.WriteString("user u\n")
	for i := range 100 {
		fmt.Fprintf(&b, "topic read t/%d\n", i)
	}
	b.WriteString("topic write t/7\ntopic deny t/9\ntopic read w/+\ntopic deny w/x\ntopic write #\ntopic read /+\ntopic deny //#\n")
	p, _ := loadACL(t, b.String())
	a := client(p, "u", "c")
	if a.user.index == nil {
		t.Fatal("no index was made")
	}
	for name, want := range map[string][2]bool{
		"t/1": {true, true}, "t/7": {true, true}, "t/9": {false, false}, "t/100": {false, true},
		"w/a": {true, true}, "w/x": {false, false}, "/a": {true, true}, "/": {false, false}, "//a": {false, false}, "$SYS/x": {false, false},
	} {
		if r, w := a.Deliver(name), a.Publish(name).Allow; r != want[0] || w != want[1] {
			t.Errorf("%s: read %v, write %v, want %v", name, r, w, want)
		}
	}
	list := &ruleset{allow: a.user.allow, deny: a.user.deny}
	for _, name := range []string{"t/1", "t/7", "t/9", "t/100", "t", "w", "w/a", "w/x", "w/a/b", "/", "//w", "t/", "$SYS/x"} {
		for _, r := range []right{read, write} {
			if got, want := a.user.decide(name, r), list.decide(name, r); got != want {
				t.Errorf("%s: the index says %v, the list %v", name, got, want)
			}
		}
	}
	for filter, want := range map[string]bool{"t/+": true, "t/9": false, "w/x": false, "w/#": true, "x/#": false} {
		if d := a.Subscribe(filter); d.Allow != want {
			t.Errorf("%s: %+v, want %v", filter, d, want)
		}
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add([]byte(home), "ann", "c1", "home/+")
	f.Add([]byte("topic deny #\npattern %u%c/%\n"), "", "%u", "$share/g/#")
	f.Fuzz(func(t *testing.T, data []byte, user, id, filter string) {
		r, _, err := parseRules("acl", data)
		if err != nil || topic.CheckFilter(filter) != nil || filter == "" {
			return
		}
		a := client(&Policy{rules: r}, user, id)
		d := a.Subscribe(filter)
		// What may be read may be subscribed to.
		if !topic.HasWildcard(filter) && !strings.HasPrefix(filter, "$share/") && d.Allow != a.Deliver(filter) {
			t.Errorf("%q: Subscribe says %v, Deliver says %v", filter, d.Allow, a.Deliver(filter))
		}
	})
}

func BenchmarkTenThousandRules(b *testing.B) {
	var text strings.Builder
	text.WriteString("user u\n")
	for i := range 10000 {
		fmt.Fprintf(&text, "topic read site/%d/+/state\n", i)
	}
	p, _ := loadACL(b, text.String())
	a := client(p, "u", "c")
	b.Run("Read", func(b *testing.B) {
		for b.Loop() {
			if !a.Deliver("site/9999/x/state") {
				b.Fatal("denied")
			}
		}
	})
	b.Run("SubscribeRefused", func(b *testing.B) {
		for b.Loop() {
			if a.Subscribe("site/+/x/set").Allow {
				b.Fatal("accepted")
			}
		}
	})
}
