package access

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"picket/cause"
	"picket/logging"
)

// passwords writes a password file with the users of the map and returns its path.
func passwords(t testing.TB, users map[string]string) string {
	t.Helper()
	f := new(PasswordFile)
	for name, entry := range users {
		if _, err := f.Set(name, entry); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "passwords")
	if err := f.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	return path
}

func hashed(t testing.TB, kind HashKind, password string) string {
	t.Helper()
	entry, err := HashPassword(kind, password, MinScramIterations)
	if err != nil {
		t.Fatal(err)
	}
	return entry
}

func load(t testing.TB, c Config) *Policy {
	t.Helper()
	p, _, err := Load(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAuthenticate(t *testing.T) {
	file := passwords(t, map[string]string{
		"ann": hashed(t, PBKDF2, "a"), "bob": hashed(t, SHA512, "b"), "eve": hashed(t, SCRAM, "e"), "mosquitto": mosquittoPBKDF2,
	})
	anonymous := Login{ClientID: "c"}
	named := func(user, password string) Login {
		return Login{ClientID: "c", HasUsername: true, Username: user, HasPassword: true, Password: []byte(password)}
	}
	local := func(l Login) Login {
		l.Local, l.Remote = true, netip.MustParseAddrPort("127.0.0.1:1")
		return l
	}
	certified := func(l Login) Login { l.Certified = true; return l }
	for _, c := range []struct {
		name   string
		config Config
		login  Login
		want   cause.ID
	}{
		{"known, $7$", Config{PasswordFile: file}, named("ann", "a"), ""},
		{"known, $6$", Config{PasswordFile: file}, named("bob", "b"), ""},
		{"known, SCRAM", Config{PasswordFile: file}, named("eve", "e"), ""},
		{"known, written by mosquitto_passwd", Config{PasswordFile: file}, named("mosquitto", theirPassword), ""},
		{"wrong password", Config{PasswordFile: file}, named("ann", "b"), cause.BadCredentials},
		{"empty password", Config{PasswordFile: file}, named("ann", ""), cause.BadCredentials},
		{"no password", Config{PasswordFile: file}, Login{HasUsername: true, Username: "ann"}, cause.BadCredentials},
		{"unknown user", Config{PasswordFile: file, Anonymous: AnonymousAlways}, named("zoe", "a"), cause.BadCredentials},
		{"empty user name", Config{PasswordFile: file, Anonymous: AnonymousAlways}, named("", ""), cause.BadCredentials},
		{"anonymous, refused", Config{PasswordFile: file}, anonymous, cause.AnonymousRefused},
		{"anonymous, allowed", Config{PasswordFile: file, Anonymous: AnonymousAlways}, anonymous, ""},
		{"anonymous from afar, local only", Config{PasswordFile: file, Anonymous: AnonymousLocal}, anonymous, cause.AnonymousLocalOnly},
		{"anonymous from here, local only", Config{PasswordFile: file, Anonymous: AnonymousLocal}, local(anonymous), ""},
		{"wrong password from here, local only", Config{PasswordFile: file, Anonymous: AnonymousLocal}, local(named("ann", "b")), cause.BadCredentials},
		{"name without a file, allowed", Config{Anonymous: AnonymousAlways}, named("ann", "x"), ""},
		{"name without a file, refused", Config{}, named("ann", "x"), cause.NoPasswordFile},
		{"certificate", Config{PasswordFile: file}, certified(named("cert", "")), ""},
		{"prefix", Config{Anonymous: AnonymousAlways, ClientIDPrefixes: "c"}, anonymous, ""},
		{"another prefix", Config{Anonymous: AnonymousAlways, ClientIDPrefixes: "dev-"}, anonymous, cause.ClientIDPrefix},
		{"another prefix, certificate", Config{ClientIDPrefixes: "dev-"}, certified(anonymous), cause.ClientIDPrefix},
	} {
		d := load(t, c.config).Authenticate(c.login)
		if d.Cause != c.want || d.Allow != (c.want == "") || !d.Allow && d.Text == "" {
			t.Errorf("%s: %+v, want cause %q", c.name, d, c.want)
		}
	}
}

func TestPasswordsAreCheckedLater(t *testing.T) {
	file := passwords(t, map[string]string{"ann": hashed(t, PBKDF2, "a")})
	full := Login{HasUsername: true, Username: "zoe", HasPassword: true}
	certified := full
	certified.Certified = true
	for _, c := range []struct {
		config Config
		login  Login
		want   bool
	}{
		{Config{PasswordFile: file}, full, true},
		{Config{PasswordFile: file}, certified, false},
		{Config{PasswordFile: file}, Login{}, false},
		{Config{PasswordFile: file}, Login{HasUsername: true}, false},
		{Config{PasswordFile: file, ClientIDPrefixes: "x"}, full, false},
		{Config{}, full, false},
	} {
		if got := load(t, c.config).Connect(c.login).Later != nil; got != c.want {
			t.Errorf("%+v, %+v: later: %v", c.config, c.login, got)
		}
	}
}

// Nobody can tell an unknown user from a known one by how long the answer takes: both cost the iterations of the file.
func TestUnknownUsersCostTheSame(t *testing.T) {
	entry, err := HashPassword(PBKDF2, "a", 321)
	if err != nil {
		t.Fatal(err)
	}
	p := load(t, Config{PasswordFile: passwords(t, map[string]string{"ann": entry})})
	if d := p.decoy(p.decoys, "zoe"); d.kind != PBKDF2 || d.iterations != 321 {
		t.Errorf("an unknown user costs %s with %d iterations", d.kind, d.iterations)
	}
	// Not even the decoy's own password lets an unknown user in.
	if d := p.Authenticate(Login{HasUsername: true, Username: "zoe", HasPassword: true, Password: []byte("a")}); d.Allow {
		t.Error("an unknown user came in with somebody else's password")
	}
	empty := filepath.Join(t.TempDir(), "empty")
	os.WriteFile(empty, nil, 0o600)
	if d := load(t, Config{PasswordFile: empty}).Authenticate(Login{HasUsername: true, Username: "zoe", HasPassword: true}); d.Cause != cause.BadCredentials {
		t.Errorf("empty password file: %+v", d)
	}
}

func TestRecheck(t *testing.T) {
	ann, bob := hashed(t, PBKDF2, "a"), hashed(t, PBKDF2, "b")
	before := load(t, Config{PasswordFile: passwords(t, map[string]string{"ann": ann, "bob": bob})})
	after := load(t, Config{PasswordFile: passwords(t, map[string]string{"ann": ann}), ClientIDPrefixes: "c"})
	reset := load(t, Config{PasswordFile: passwords(t, map[string]string{"ann": hashed(t, PBKDF2, "a")})})
	open := load(t, Config{Anonymous: AnonymousAlways})
	login := func(user string) Login { return Login{ClientID: "c", HasUsername: true, Username: user} }
	for _, c := range []struct {
		name        string
		now, before *Policy
		login       Login
		want        cause.ID
	}{
		{"the same entry", after, before, login("ann"), ""},
		{"removed", after, before, login("bob"), cause.NoLongerAllowed},
		{"set anew", reset, before, login("ann"), cause.NoLongerAllowed},
		{"was let in without a file", after, open, login("ann"), cause.NoLongerAllowed},
		{"the file is gone, anonymous allowed", open, before, login("ann"), ""},
		{"anonymous no more", after, open, Login{ClientID: "c"}, cause.AnonymousRefused},
		{"certificate", after, before, Login{ClientID: "c", Certified: true}, ""},
		{"prefix", after, before, Login{ClientID: "x", HasUsername: true, Username: "ann"}, cause.ClientIDPrefix},
	} {
		if d := c.now.Recheck(c.before.Client(c.login, Decision{}), c.login.Local); d.Cause != c.want || d.Allow != (c.want == "") {
			t.Errorf("%s: %+v, want cause %q", c.name, d, c.want)
		}
	}
}

// MQTT 5.0, section 4.12, with SCRAM-SHA-256 (RFC 7677), against the client side of the library.
func TestSCRAM(t *testing.T) {
	p := load(t, Config{PasswordFile: passwords(t, map[string]string{
		"ann": hashed(t, SCRAM, "right"), "bob": hashed(t, PBKDF2, "right"),
	})})
	for _, c := range []struct {
		user, password, authz string
		ok                    bool
	}{
		{"ann", "right", "", true},
		{"ann", "right", "ann", true},
		{"ann", "wrong", "", false},
		{"ann", "right", "bob", false}, // nobody acts as somebody else
		{"bob", "right", "", false},    // has no SCRAM entry
		{"zoe", "right", "", false},
	} {
		x, ok := p.Begin(ScramSHA256)
		if !ok {
			t.Fatal("SCRAM-SHA-256 is not served")
		}
		client, err := scram.SHA256.NewClient(c.user, c.password, c.authz)
		if err != nil {
			t.Fatal(err)
		}
		conversation := client.NewConversation()
		first, _ := conversation.Step("")
		challenge, done, name, err := x.Step([]byte(first))
		if err != nil || done || name != c.user { // only who it claims to be
			t.Fatalf("%s: the first step already says %v, %q, %v: it must look the same for everybody", c.user, done, name, err)
		}
		proof, err := conversation.Step(string(challenge))
		if err != nil {
			t.Fatal(err)
		}
		final, done, name, err := x.Step([]byte(proof))
		if c.ok {
			if err != nil || !done || name != c.user {
				t.Errorf("%s: %v, %q, %v", c.user, done, name, err)
			}
			if _, err := conversation.Step(string(final)); err != nil || !conversation.Valid() {
				t.Errorf("%s: the client does not believe the server: %v", c.user, err)
			}
		} else if err == nil || done || name != c.user {
			t.Errorf("%s with %s: %v, %q, %v, want a refusal", c.user, c.password, done, name, err)
		}
		if _, _, _, err := x.Step([]byte(proof)); err == nil {
			t.Errorf("%s: a finished exchange goes on", c.user)
		}
	}
	if _, ok := p.Begin("SCRAM-SHA-1"); ok {
		t.Error("SCRAM-SHA-1 is served")
	}
	if _, ok := load(t, Config{}).Begin(ScramSHA256); ok {
		t.Error("SCRAM-SHA-256 is served without a password file")
	}
	x, _ := p.Begin(ScramSHA256)
	if _, _, _, err := x.Step(make([]byte, maxScramMessage+1)); err == nil {
		t.Error("a huge message was looked at")
	}
	// The salt of an unknown user does not change from one try to the next.
	a, _ := p.scramCredentials("zoe")
	b, _ := p.scramCredentials("zoe")
	if a.Salt != b.Salt || a.Iters != MinScramIterations || len(a.Salt) != saltSize {
		t.Errorf("unknown user: %+v, then %+v", a, b)
	}
}

// Neither a new password nor a user who comes or goes changes what a stranger sees of users who do not exist.
func TestDecoysOutlastChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwords")
	f := new(PasswordFile)
	salts := func() string {
		t.Helper()
		if err := f.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		var all string
		p := load(t, Config{PasswordFile: path})
		for _, name := range []string{"ghost", "phantom"} {
			c, err := p.scramCredentials(name)
			if err != nil {
				t.Fatal(err)
			}
			all += c.Salt
		}
		return all
	}
	set := func(kind HashKind, user string) {
		t.Helper()
		entry, err := HashPassword(kind, user, MinScramIterations)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Set(user, entry); err != nil {
			t.Fatal(err)
		}
	}
	set(SCRAM, "ann")
	first := salts()
	for _, change := range []func(){
		func() { set(SCRAM, "ann") }, func() { set(PBKDF2, "aaron") }, func() { f.Delete("ann"); set(SCRAM, "zoe") },
		func() {
			var err error
			if f, err = ReadPasswordFile(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		if change(); salts() != first {
			t.Error("the salts have changed")
		}
	}
	f = new(PasswordFile)
	if set(SCRAM, "ann"); salts() == first {
		t.Error("another file has the same salts")
	}
}

func TestStrangers(t *testing.T) {
	acl := filepath.Join(t.TempDir(), "acl")
	os.WriteFile(acl, []byte("topic read x\nuser zoe\nuser ann\ntopic x\nuser Ann\n"), 0o600)
	file := passwords(t, map[string]string{"ann": mosquittoPBKDF2})
	if got := load(t, Config{ACLFile: acl, PasswordFile: file}).Strangers(); !slices.Equal(got, []string{"Ann", "zoe"}) {
		t.Errorf("strangers %q", got)
	}
	if got := load(t, Config{ACLFile: acl}).Strangers(); got != nil {
		t.Errorf("strangers without a password file: %q", got)
	}
}

// A byte order mark is nobody's name, in either file.
func TestByteOrderMark(t *testing.T) {
	dir := t.TempDir()
	passwords, rules := filepath.Join(dir, "passwords"), filepath.Join(dir, "acl")
	if err := os.WriteFile(passwords, []byte("\ufeffann:"+mosquittoSHA512+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(rules, []byte("\ufeffuser ann\ntopic read a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, warnings, err := Load(Config{PasswordFile: passwords, ACLFile: rules})
	if err != nil || p.users["ann"] == nil || p.rules.users["ann"] == nil {
		t.Fatalf("users %v, %v", p, err)
	}
	if len(warnings) != 1 || warnings[0].Line != 1 || !strings.Contains(warnings[0].Text, "byte order mark") {
		t.Errorf("warnings %v", warnings)
	}
	f, err := ReadPasswordFile(passwords)
	if err != nil || !slices.Equal(f.Users(), []string{"ann"}) {
		t.Errorf("users %q, %v", f.Users(), err)
	}
}

func TestLoadPasswordFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwords")
	text := strings.Join([]string{
		"# comment: not a user", "no colon", "", " ann : " + mosquittoPBKDF2 + " \r", "nohash:", ":colon:" + mosquittoPBKDF2,
		"type:$5$x", "short:$7$101$c2hvcnQ=$x", "ann:" + mosquittoSHA512,
	}, "\n")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p, warnings, err := Load(Config{PasswordFile: path})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.users) != 2 || p.users["ann"].kind != SHA512 || p.users["colon"] == nil {
		t.Errorf("users: %v", p.users)
	}
	want := []Warning{
		{logging.Warning, "Warning: File " + path + " has world readable permissions. Future versions will refuse to load this file. To fix this, use `chmod 0600 " + path + "`.", path, 0},
		{logging.Warning, "Warning: Invalid line in password file '" + path + "': line 2 is no USER:HASH, and is left out.", path, 2},
		{logging.Notice, "Warning: Invalid line in password file '" + path + "': nohash", path, 5},
		{logging.Error, "Error: Invalid password hash type for user type, removing entry.", path, 7},
		{logging.Error, "Error: Unable to decode password salt for user short, removing entry.", path, 8},
		{logging.Warning, "Warning: User ann stands more than once in password file '" + path + "': the last entry counts.", path, 9},
	}
	if !slices.Equal(warnings, want) {
		t.Errorf("warnings:\n%v\nwant:\n%v", warnings, want)
	}

	missing := filepath.Join(t.TempDir(), "missing")
	_, _, err = Load(Config{PasswordFile: missing})
	var fe *FileError
	if !errors.As(err, &fe) || !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	lines := []string{
		"Error: Unable to open pwfile \"" + missing + "\". There is no such file.",
		"Error opening password file \"" + missing + "\".",
	}
	if !slices.Equal(fe.Lines(), lines) {
		t.Errorf("lines %q, want %q", fe.Lines(), lines)
	}
	if _, _, err := Load(Config{PasswordFile: t.TempDir()}); err == nil {
		t.Error("a folder was read as a password file")
	}
}

// What SCRAM tells about a user who does not exist stays the same when the broker is started again, as it does for one who exists.
func TestUnknownUsersLookTheSameAfterARestart(t *testing.T) {
	for _, kind := range []HashKind{PBKDF2, SCRAM} {
		file := passwords(t, map[string]string{"ann": hashed(t, SCRAM, "a"), "bob": hashed(t, kind, "b")})
		ask := func(p *Policy, user string) string {
			c, err := p.scramCredentials(user)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("%x %d", c.Salt, c.Iters)
		}
		first, second := load(t, Config{PasswordFile: file}), load(t, Config{PasswordFile: file})
		for _, user := range []string{"ann", "nobody", "zoe"} {
			if a, b := ask(first, user), ask(second, user); a != b {
				t.Errorf("%s, beside %s: %s, then %s", user, kind, a, b)
			}
		}
		if other := load(t, Config{PasswordFile: passwords(t, map[string]string{"ann": hashed(t, SCRAM, "a"), "bob": hashed(t, kind, "b")})}); ask(first, "zoe") == ask(other, "zoe") {
			t.Error("two brokers with other users tell the same of an unknown one: anybody can work it out")
		}
	}
}
