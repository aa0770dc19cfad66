package live

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/access"
	"picket/broker"
	"picket/cause"
	"picket/logging"
	"picket/rights"
	"picket/session"
	"picket/topic"
)

// opened makes a file with commands and opens it.
func opened(t *testing.T, commands string) *Rights {
	t.Helper()
	data, err := rights.New().Apply([]byte(`{"commands":[`+commands+`]}`), "", newPassword).State.Encode()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rights.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := logging.New(logging.Config{}, t.Output(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	r, err := Open(path, log)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// serving has a broker without listeners take the answers, which come on the channel.
func serving(t *testing.T, r *Rights) (answers chan string) {
	t.Helper()
	c := broker.Defaults()
	c.SysInterval = 0
	b, err := broker.Start(c, r.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	answers = make(chan string, 100)
	l := b.Local(nil, func(d session.Delivery) { answers <- string(d.Message.Payload) })
	if err := l.Subscribe(t.Context(), AnswerTopic, topic.Options{}); err != nil {
		t.Fatal(err)
	}
	r.Serve(b, nil)
	t.Cleanup(r.Close)
	return answers
}

// Commands that come before anybody carries them out wait; when too many wait, the rest are told so. None is lost without a word.
func TestCommandsWait(t *testing.T) {
	r := opened(t, "")
	from := &access.Client{ID: "console", Username: "admin"}
	large := `{"commands":[{"command":"createGroup","groupname":"g%d"}]}` + strings.Repeat(" ", rights.MaxCommands-100)
	for i := range 6 {
		r.Control(from, fmt.Appendf(nil, large, i))
	}
	r.Control(from, []byte(`{"commands":[{"command":"listGroups"}]}`))
	r.Control(from, make([]byte, 4*rights.MaxCommands))
	answers := serving(t, r)
	count := make(map[string]int)
	for range 8 {
		count[<-answers]++
	}
	busy := `{"responses":[{"command":"Unknown command","error":"Too many commands wait"}]}`
	if count[`{"responses":[{"command":"createGroup"}]}`] != 4 || count[busy] != 3 || count[`{"responses":[{"command":"listGroups","data":{"totalCount":4,"groups":["g0","g1","g2","g3"]}}]}`] != 1 {
		t.Errorf("%v", count)
	}
	r.Control(from, make([]byte, 4*rights.MaxCommands))
	if got := <-answers; !strings.Contains(got, "send fewer commands") {
		t.Error(got)
	}
	again, _, err := rights.Load(must(os.ReadFile(r.Path())))
	if err != nil || string(must(again.Encode())) != string(must(r.State().Encode())) {
		t.Errorf("what is in force is not what is on the disk: %v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Who is not known is measured against the password of somebody who is, so that it takes as long, and is never let in.
func TestUnknownUsers(t *testing.T) {
	r := opened(t, `{"command":"createClient","username":"ann","password":"pine"},{"command":"createClient","username":"mute"},{"command":"createClient","username":"off","password":"pine"},{"command":"disableClient","username":"off"}`)
	config := []access.Config{{RightsFile: r.Path(), AllowZeroLengthID: true}}
	p, _, err := access.Load(config[0])
	if err != nil {
		t.Fatal(err)
	}
	login := func(p *access.Policy, name, password string) (d access.Decision, later bool) {
		if d = p.Connect(access.Login{ClientID: "c", HasUsername: true, Username: name, HasPassword: password != "", Password: []byte(password)}); d.Later == nil {
			return d, false
		}
		if !d.Later.Computes {
			t.Errorf("%s: hashing does not count as such", name)
		}
		return d.Later.Get(t.Context()), true
	}
	if d, _ := login(p, "ann", "pine"); d.Allow {
		t.Error("somebody is let in while nobody has opened the file")
	}
	r.Judge(config)
	if p, _, err = access.Load(config[0]); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, password string
		want           cause.ID
		later          bool
	}{
		{"ann", "pine", "", true},
		{"ann", "oak", cause.BadCredentials, true},
		{"eve", "pine", cause.BadCredentials, true},
		{"mute", "pine", cause.BadCredentials, true},
		{"off", "pine", cause.UserDisabled, true},
		{"off", "oak", cause.BadCredentials, true},
		{"ann", "", cause.BadCredentials, false},
	} {
		if d, later := login(p, c.name, c.password); d.Cause != c.want || d.Allow != (c.want == "") || later != c.later {
			t.Errorf("%s %s: %+v, hashed %t", c.name, c.password, d, later)
		}
	}
}

// A file beside others has a say about its own users only, need not be there before the first, and is not written over when somebody else has made it.
func TestBeside(t *testing.T) {
	log, err := logging.New(logging.Config{}, t.Output(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	dir := t.TempDir()
	r, err := OpenBeside(filepath.Join(dir, "rights.json"), log)
	if err != nil {
		t.Fatal(err)
	}
	serving(t, r)
	do := func(commands string) string {
		t.Helper()
		done, err := r.Do(t.Context(), rights.Order{By: "test", Commands: []byte(`{"commands":[` + commands + `]}`)})
		if err != nil {
			t.Fatal(err)
		}
		return string(done.Answer)
	}
	passwords := filepath.Join(dir, "passwords")
	if err := os.WriteFile(passwords, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	all := []access.Config{{PasswordFile: passwords, RightsFile: r.Path(), RightsBeside: true}}
	r.Judge(all)
	p, _, err := access.Load(all[0])
	if err != nil {
		t.Fatal(err)
	}
	of := func(name string) *access.Client {
		return p.Client(access.Login{ClientID: "c", HasUsername: name != "", Username: name}, access.Decision{})
	}
	const create = `{"command":"createClient","username":"ann","password":"x"}`
	if got := do(create); got != `{"responses":[{"command":"createClient"}]}` {
		t.Fatal(got)
	}
	if c := of("ann"); c.Unlimited() || c.Publish("a").Allow || c.Deliver("a") || c.Subscribe("a").Allow || p.MayStillPublish("ann", "c", "a").Allow {
		t.Error("a user of the file is not limited by it")
	}
	for _, name := range []string{"", "ben"} {
		if c := of(name); !c.Unlimited() || c.Asks() || !c.Publish("a").Allow || !p.MayStillPublish(name, "c", "a").Allow {
			t.Errorf("%q is limited by a file that does not know it", name)
		}
	}

	if r, err = OpenBeside(filepath.Join(dir, "other.json"), log); err != nil {
		t.Fatal(err)
	}
	serving(t, r)
	if err := os.WriteFile(r.Path(), []byte(`{"clients":[]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := do(create); !strings.Contains(got, string(cause.RightsNotSaved)) || r.Knows("ann") {
		t.Errorf("a file of somebody else's: %s", got)
	}
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := do(create); strings.Contains(got, "error") || !r.Knows("ann") {
		t.Errorf("after it was read: %s", got)
	}
}
