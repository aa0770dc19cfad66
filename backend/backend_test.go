package backend

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"picket/access"
	"picket/cause"
	"picket/internal/testbed"
	"picket/logging"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// service is a web service that answers as a test wants.
type service struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []string
	answer func(path string, p url.Values) int
}

// serve starts one.
func serve(t *testing.T) *service {
	s := &service{answer: func(string, url.Values) int { return http.StatusForbidden }}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := parametersOf(r)
		s.mu.Lock()
		s.asked = append(s.asked, strings.TrimSpace(r.URL.Path+" "+p.Get("username")+" "+p.Get("topic")+" "+p.Get("acc")))
		answer := s.answer
		s.mu.Unlock()
		w.WriteHeader(answer(r.URL.Path, p))
	}))
	t.Cleanup(s.Close)
	return s
}

// parametersOf are those of JSON or of a form.
func parametersOf(r *http.Request) url.Values {
	if r.Header.Get("Content-Type") != "application/json" {
		_ = r.ParseForm()
		return r.PostForm
	}
	var all map[string]any
	v := make(url.Values)
	if json.NewDecoder(r.Body).Decode(&all) == nil {
		for name, value := range all {
			switch value := value.(type) {
			case string:
				v.Set(name, value)
			case float64:
				v.Set(name, strconv.Itoa(int(value)))
			}
		}
	}
	return v
}

// says has it answer in another way from now on.
func (s *service) says(answer func(path string, p url.Values) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// wasAsked returns what it was asked since the last time.
func (s *service) wasAsked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.asked
	s.asked = nil
	return all
}

func (s *service) web() *Web {
	u, _ := url.Parse(s.URL)
	port, _ := strconv.Atoi(u.Port())
	return &Web{Host: u.Hostname(), Port: port, UserPath: "/user", SuperPath: "/super", RulesPath: "/acl", Method: "POST", Timeout: time.Minute, UserAgent: "test"}
}

func yes(ok bool) int {
	if ok {
		return http.StatusOK
	}
	return http.StatusForbidden
}

// open opens back ends with a policy that they judge for.
func open(t *testing.T, c Config) (*Set, *access.Policy) {
	t.Helper()
	s := openSet(t, c)
	p, _, err := access.Load(access.Config{Backends: "test", Authority: s})
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

func openSet(t testing.TB, c Config) *Set {
	t.Helper()
	log, err := logging.New(logging.Config{}, t.Output(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	s, err := Open(c, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// resolve gets an answer, and tells whether it had to be fetched and whether it was computed.
func resolve(d access.Decision) (is access.Decision, fetched, computed bool) {
	for d.Later != nil {
		fetched, computed = fetched || !d.Later.Computes, computed || d.Later.Computes
		d = d.Later.Get(context.Background())
	}
	return d, fetched, computed
}

func loginOf(user, password string) access.Login {
	return access.Login{ClientID: "id", HasUsername: true, Username: user, HasPassword: true, Password: []byte(password)}
}

func TestHashes(t *testing.T) {
	for text, password := range map[string]string{
		// the examples of go-auth's documentation
		"PBKDF2$sha512$100000$2WQHK5rjNN+oOT+TZAsWAw==$TDf4Y6J+9BdnjucFQ0ZUWlTwzncTjOOeE00W4Qm8lfPQyPCZACCjgfdK353jdGFwJjAf6vPAYaba9+z4GWK7Gg==": "test1",
		"PBKDF2$sha512$100000$o513B9FfaKTL6xalU+UUwA==$mAUtjVg1aHkDpudOnLKUQs8ddGtKKyu+xi07tftd5umPKQKnJeXf1X7RpoL/Gj/ZRdpuBu5GWZ+NZ2rYyAsi1g==": "test2",
		"$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy":                                                                           "",
		"$argon2id$v=19$m=4096,t=3,p=2$c29tZXNhbHQxMjM0NTY3OA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA":                                       "",
	} {
		h, err := parseHash(text, false)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if password != "" && !h.verify([]byte(password)) {
			t.Errorf("%s is not of %s", text, password)
		}
		if h.verify([]byte("another")) {
			t.Errorf("%s is of another password", text)
		}
	}
	for _, text := range []string{"", "$", "x", "PBKDF2$sha1$1$AAAA$AAAA", "PBKDF2$sha512$0$AAAA$AAAA", "PBKDF2$sha512$99999999999$AAAA$AAAA", "PBKDF2$sha512$1$!$AAAA", "PBKDF2$sha512$1$AAAA$",
		"$2a$31$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", "$argon2id$v=19$m=4294967295,t=1,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=1024,t=4294967295,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=1024,t=0,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAA", strings.Repeat("a", 10000)} {
		if _, err := parseHash(text, false); err == nil {
			t.Errorf("%.60q is taken for a hash", text)
		}
	}
}

// test1 is the password file of go-auth's documentation.
const test1 = "# users\ntest1:PBKDF2$sha512$100000$2WQHK5rjNN+oOT+TZAsWAw==$TDf4Y6J+9BdnjucFQ0ZUWlTwzncTjOOeE00W4Qm8lfPQyPCZACCjgfdK353jdGFwJjAf6vPAYaba9+z4GWK7Gg==\nbroken\nalso:bro$ken\n"

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFiles(t *testing.T) {
	f := &Files{PasswordFile: write(t, "pw", test1), ACLFile: write(t, "acl", "topic read all/#\nuser test1\ntopic write w/+\ntopic both ways\ntopic deny all/secret\n")}
	if _, _, err := f.open(true); err == nil || !strings.Contains(err.Error(), ":4)") {
		t.Errorf("a line that is wrong: %v", err)
	}
	f.ACLFile = write(t, "acl", "topic read all/#\nuser test1\ntopic write w/+\ntopic deny all/secret\ntopic\tsubscribe\ts/#\npattern readwrite own/%u/%c/#\n")
	s, p := open(t, Config{Sources: []Source{{Name: "files", Users: true, Rules: true, Files: f}}})
	d, fetched, computed := resolve(p.Connect(loginOf("test1", "test1")))
	if !d.Allow || fetched || !computed {
		t.Fatalf("%+v, fetched %v, computed %v", d, fetched, computed)
	}
	for user, password := range map[string]string{"test1": "x", "also": "x", "nobody": "x"} {
		d, _, computed := resolve(p.Connect(loginOf(user, password)))
		if d.Allow || d.Cause != cause.BadCredentials || !computed {
			t.Errorf("%s: %+v, computed %v", user, d, computed)
		}
	}
	c := p.Client(loginOf("test1", ""), d)
	for question, want := range map[string]bool{"w w/a": true, "w w/a/b": false, "r w/a": false, "r all/a": true, "r all/secret": false, "s all/#": true, "s all/secret": false, "s #": false,
		"s s/a": true, "r s/a": false, "w own/test1/id/x": true, "w own/test2/id/x": false, "s $share/g/all/+": true, "w $SYS/x": false} {
		do, name, _ := strings.Cut(question, " ")
		var is bool
		switch do {
		case "w":
			is = c.Publish(name).Allow
		case "r":
			is = c.Deliver(name)
		case "s":
			is = c.Subscribe(name).Allow && c.Subscribe(name).Later == nil
		}
		if question == "s s/a" { // who may subscribe but not read is told so at once
			want = false
		}
		if is != want {
			t.Errorf("%s: %v", question, is)
		}
	}
	if anonymous := p.Client(access.Login{ClientID: "id"}, access.Decision{}); anonymous.Publish("w/a").Allow || anonymous.Deliver("all/a") {
		t.Error("a client without a user name may do something")
	}
	if d, ok := s.Recheck(p, c); !ok || !d.Allow {
		t.Errorf("after nothing was changed: %+v", d)
	}
	other, q := open(t, Config{Sources: []Source{{Name: "files", Users: true, Rules: true, Files: &Files{PasswordFile: write(t, "pw", "")}}}})
	if d, ok := other.Recheck(q, c); !ok || d.Allow || d.Cause != cause.NoLongerAllowed {
		t.Errorf("after its user was removed: %+v", d)
	}
}

// What a web service is asked, and how its answers are taken.
func TestWebAnswers(t *testing.T) {
	var mode, body, host string
	var header http.Header
	status := 200
	var got url.Values
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header, got, host = r.Header, parametersOf(r), r.Host
		if mode == "redirect" {
			http.Redirect(w, r, "http://example.invalid/", http.StatusTemporaryRedirect)
			return
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	defer server.Close()
	c := (&service{Server: server}).web()
	const evil = "a\"&username=root&password=\r\nX: y"
	for _, form := range []bool{false, true} {
		c.Form, c.HostHeader = form, map[bool]string{true: "login.example"}[form]
		s, err := c.open()
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.login(t.Context(), who{user: evil, clientID: "id&acc=2", password: []byte("p&w=\x00")})
		if err != nil || !p.ok || got.Get("username") != evil || got.Get("password") != "p&w=\x00" || got.Get("clientid") != "id&acc=2" || len(got) != 3 {
			t.Errorf("form %v: %+v, %v; asked %v", form, p, err, got)
		}
		if ok, err := s.may(t.Context(), right{action: access.Subscribe, user: "u", client: "c", topic: "a/#?x"}); !ok || err != nil || got.Get("topic") != "a/#?x" || got.Get("acc") != "4" || got.Has("password") {
			t.Errorf("form %v: %v, %v; asked %v", form, ok, err, got)
		}
		if want := cmp.Or(c.HostHeader, server.Listener.Addr().String()); host != want {
			t.Errorf("it was asked for the host %q, want %q", host, want)
		}
		if header.Get("User-Agent") != "test" {
			t.Errorf("%v", header)
		}
		s.close()
	}
	for _, one := range []struct {
		answer     Answer
		mode, body string
		status     int
		ok, fails  bool
	}{
		{AnswerStatus, "", "whatever", 204, true, false}, {AnswerStatus, "", "ok", 401, false, false}, {AnswerStatus, "", "ok", 500, false, true}, {AnswerStatus, "redirect", "", 0, false, true},
		{AnswerText, "", "ok", 200, true, false}, {AnswerText, "", "okay", 200, false, false}, {AnswerText, "", "ok", 403, false, false},
		{AnswerJSON, "", `{"ok":true}`, 200, true, false}, {AnswerJSON, "", `{"Ok":true,"Error":""}`, 200, true, false}, {AnswerJSON, "", `{"ok":false,"error":"no"}`, 200, false, false}, {AnswerJSON, "", `{}`, 200, false, true},
		{AnswerJSON, "", `<html>`, 200, false, true}, {AnswerJSON, "", `{"ok":true,"x":"` + strings.Repeat("x", maxAnswer) + `"}`, 200, false, true},
	} {
		c.Answer, mode, body, status = one.answer, one.mode, one.body, one.status
		s, err := c.open()
		if err != nil {
			t.Fatal(err)
		}
		if p, err := s.login(t.Context(), who{user: "u"}); p.ok != one.ok || (err != nil) != one.fails {
			t.Errorf("%+v: %+v, %v", one, p, err)
		}
		s.close()
	}
}

// A service with TLS is believed by its certificate.
func TestWebTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	defer server.Close()
	c := (&service{Server: server}).web()
	c.TLS = true
	ask := func() (bool, error) {
		s, err := c.open()
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		p, err := s.login(t.Context(), who{user: "u"})
		return p.ok, err
	}
	if ok, err := ask(); ok || err == nil {
		t.Error("a certificate of nobody's is believed")
	}
	c.Unverified = true
	if ok, err := ask(); !ok || err != nil {
		t.Errorf("unverified: %v", err)
	}
	c.Unverified = false
	c.CAFile = write(t, "ca.pem", "none")
	if _, err := c.open(); err == nil {
		t.Error("a file without a certificate")
	}
}

// Answers are remembered as long as is said, the random part included, and no longer.
func TestAnswers(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	a := newAnswers(time.Minute, 10*time.Second, false, [32]byte{1})
	a.now, a.most = func() time.Time { return now }, 3
	shortest, longest := time.Hour, time.Duration(0)
	for range 1000 {
		d := a.lifetime()
		shortest, longest = min(shortest, d), max(longest, d)
	}
	if shortest < 50*time.Second || shortest > 51*time.Second || longest > 70*time.Second || longest < 69*time.Second {
		t.Errorf("from %v to %v", shortest, longest)
	}
	k := a.key("a", "bc")
	if k == a.key("ab", "c") || k != a.key("a", "bc") {
		t.Error("keys of parts")
	}
	a.put(k, true, nil)
	if is, fresh, known := a.get(k); !is.ok || !fresh || !known {
		t.Error("not remembered")
	}
	now = now.Add(71 * time.Second)
	if _, fresh, known := a.get(k); fresh || !known {
		t.Error("remembered for too long")
	}
	a.put(k, true, nil)
	for i := range 10 { // of many a no none pushes out a yes
		a.put(a.key(strconv.Itoa(i)), false, nil)
	}
	if _, fresh, _ := a.get(k); !fresh || a.no.Len() != 3 || a.yes.Len() != 1 || len(a.byKey) != 4 {
		t.Errorf("%d, %d, %d", a.no.Len(), a.yes.Len(), len(a.byKey))
	}
	a.put(k, false, nil)
	if is, _, _ := a.get(k); is.ok || a.yes.Len() != 0 || len(a.byKey) != 3 {
		t.Error("a yes that has become a no")
	}
}

// Several are asked in their order until one says yes, and what they have said is remembered.
func TestSeveral(t *testing.T) {
	web := serve(t)
	web.says(func(path string, p url.Values) int {
		return yes(path == "/user" && p.Get("password") == "p" || path == "/super" && p.Get("username") == "root" || path == "/acl" && p.Get("topic") == "t" && p.Get("acc") == "2")
	})
	hour := time.Hour
	conf := Config{DenySpecial: true, LoginTTL: hour, RightsTTL: hour, Sources: []Source{
		{Name: "files", Users: true, Rules: true, Files: &Files{PasswordFile: write(t, "pw", test1), ACLFile: write(t, "acl", "user test1\ntopic read f\n")}},
		{Name: "http", Users: true, Superuser: true, Rules: true, Web: web.web()}}}
	_, p := open(t, conf)
	in := func(user, password string) *access.Client {
		t.Helper()
		l := loginOf(user, password)
		d, _, _ := resolve(p.Connect(l))
		if !d.Allow {
			t.Fatalf("%s: %+v", user, d)
		}
		return p.Client(l, d)
	}
	expect := func(want ...string) {
		t.Helper()
		if got := web.wasAsked(); strings.Join(got, "; ") != strings.Join(want, "; ") {
			t.Errorf("asked %q, want %q", got, want)
		}
	}
	c := in("test1", "test1")
	expect("/super test1")
	if !c.Subscribe("f").Allow || !c.Deliver("f") {
		t.Error("what the file allows")
	}
	expect()
	d, fetched, _ := resolve(c.Publish("t"))
	if !d.Allow || !fetched {
		t.Errorf("%+v", d)
	}
	expect("/acl test1 t 2")
	if d := c.Publish("t"); !d.Allow {
		t.Errorf("again: %+v", d)
	}
	if d, _, _ := resolve(c.Publish("u")); d.Allow || d.Cause != cause.ACLPublishDenied {
		t.Errorf("%+v", d)
	}
	if d := c.Publish("u"); d.Later != nil || d.Allow {
		t.Errorf("again: %+v", d)
	}
	expect("/acl test1 u 2")
	root := in("root", "p")
	expect("/user root", "/super root")
	if !root.Publish("x").Allow || !root.Subscribe("#").Allow || !root.Deliver("x") {
		t.Error("a superuser is denied something")
	}
	in("root", "p")
	expect()
	if d, _, _ := resolve(p.Connect(loginOf("root", "q"))); d.Allow {
		t.Error("a wrong password")
	}
	if d := p.Connect(loginOf("root", "q")); d.Later != nil || d.Cause != cause.BadCredentials {
		t.Errorf("the same wrong password: %+v", d)
	}
	expect("/user root")
	if c := p.Client(loginOf("a+", ""), access.Decision{Grant: &grant{by: "http"}}); c.Publish("t").Later != nil || c.Publish("t").Allow || c.Deliver("t") {
		t.Error("a user name with a wildcard")
	}
	expect()
}

// The right to read is asked for each filter, and asked anew while messages come; a right that was taken away ends.
func TestReading(t *testing.T) {
	web := serve(t)
	reads := func(ok bool) func(string, url.Values) int {
		return func(path string, p url.Values) int {
			return yes(path == "/user" || path == "/acl" && (p.Get("acc") == "4" || ok && p.Get("acc") == "1" && strings.HasPrefix(p.Get("topic"), "a/")))
		}
	}
	web.says(reads(true))
	s, p := open(t, Config{Sources: []Source{{Name: "http", Users: true, Superuser: true, Rules: true, Web: web.web()}}})
	l := loginOf("u", "p")
	d, _, _ := resolve(p.Connect(l))
	c := p.Client(l, d)
	if d, _, _ := resolve(c.Subscribe("b/#")); d.Allow || d.Cause != cause.ACLSubscribeDenied {
		t.Errorf("a filter that may not be read: %+v", d)
	}
	if d, _, _ := resolve(c.Subscribe("a/#")); !d.Allow {
		t.Errorf("%+v", d)
	}
	web.wasAsked()
	if !c.Deliver("a/1") {
		t.Error("not delivered")
	}
	testbed.Eventually(t, func() error { // one question for the filter, none for the topic; and the one for the superuser
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.refreshing) > 0 {
			return errors.New("it is still being asked")
		}
		return nil
	})
	for _, q := range web.wasAsked() {
		if q != "/acl u a/# 1" && q != "/super u" {
			t.Errorf("asked %s", q)
		}
	}
	web.says(reads(false))
	testbed.Eventually(t, func() error {
		if c.Deliver("a/1") {
			return errors.New("a right that was taken away goes on")
		}
		return nil
	})
	web.says(reads(true))
	testbed.Eventually(t, func() error {
		if !c.Deliver("a/1") {
			return errors.New("a right that was given back does not come")
		}
		return nil
	})
	web.says(func(string, url.Values) int { return 503 })
	testbed.Eventually(t, func() error {
		if c.Deliver("a/1") {
			return errors.New("a service that is down allows")
		}
		return nil
	})
}

// A service that is down refuses, or lets the last answer count where that is wanted; and says so.
func TestDown(t *testing.T) {
	for _, keep := range []bool{false, true} {
		web := serve(t)
		web.says(func(string, url.Values) int { return 200 })
		s, p := open(t, Config{KeepLast: keep, Retries: 1, Sources: []Source{{Name: "http", Users: true, Rules: true, Web: web.web()}}})
		l := loginOf("u", "p")
		d, _, _ := resolve(p.Connect(l))
		c := p.Client(l, d)
		if d, _, _ := resolve(c.Publish("t")); !d.Allow {
			t.Fatalf("%+v", d)
		}
		web.says(func(string, url.Values) int { return 503 })
		web.wasAsked()
		if d, _, _ := resolve(p.Connect(l)); d.Allow != keep || !keep && d.Cause != cause.AuthBackendDown {
			t.Errorf("keep %v: a login: %+v", keep, d)
		}
		if asked := web.wasAsked(); len(asked) != 2 {
			t.Errorf("asked %q", asked)
		}
		if d, _, _ := resolve(c.Publish("t")); d.Allow != keep || !keep && d.Cause != cause.AuthBackendDown {
			t.Errorf("keep %v: PUBLISH: %+v", keep, d)
		}
		if d, _, _ := resolve(c.Publish("new")); d.Allow || d.Cause != cause.AuthBackendDown {
			t.Errorf("keep %v: what was never asked: %+v", keep, d)
		}
		if d, _, _ := resolve(p.Connect(loginOf("new", "p"))); d.Allow {
			t.Errorf("keep %v: who was never let in: %+v", keep, d)
		}
		if st := s.Status(); len(st) != 1 || st[0].Since.IsZero() || st[0].Failed == 0 || st[0].Error == "" || strings.Contains(st[0].Error, "p\"") {
			t.Errorf("%+v", st)
		}
		web.says(func(string, url.Values) int { return 200 })
		if d, _, _ := resolve(p.Connect(loginOf("new", "p"))); !d.Allow {
			t.Errorf("keep %v: after it came back: %+v", keep, d)
		}
		if st := s.Status(); !st[0].Since.IsZero() {
			t.Errorf("%+v", st)
		}
	}
}

// A user's prefix chooses one back end.
func TestPrefixes(t *testing.T) {
	one, two := serve(t), serve(t)
	for _, s := range []*service{one, two} {
		s.says(func(string, url.Values) int { return 403 })
	}
	_, p := open(t, Config{Prefixes: []string{"a", "b"}, Strip: true, Sources: []Source{{Name: "one", Users: true, Web: one.web()}, {Name: "two", Users: true, Web: two.web()}}})
	for _, user := range []string{"b_ann", "ann", "c_ann"} {
		resolve(p.Connect(loginOf(user, "p")))
	}
	if got := strings.Join(one.wasAsked(), ";"); got != "/user ann;/user c_ann" {
		t.Error(got)
	}
	if got := strings.Join(two.wasAsked(), ";"); got != "/user ann;/user ann;/user c_ann" {
		t.Error(got)
	}
}

// A source is asked so many questions at once and no more; the others wait for their turn, and not in the time that an answer may take.
func TestAtOnce(t *testing.T) {
	s := serve(t)
	var now, most atomic.Int32
	full, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.says(func(string, url.Values) int {
		n := now.Add(1)
		for was := most.Load(); n > was && !most.CompareAndSwap(was, n); was = most.Load() {
		}
		if n == atOnce {
			once.Do(func() { close(full) })
		}
		<-gate
		now.Add(-1)
		return http.StatusOK
	})
	set, _ := open(t, Config{Sources: []Source{{Name: "http", Users: true, Rules: true, Web: s.web()}}})
	var all sync.WaitGroup
	var in atomic.Int32
	for i := range 4 * atOnce {
		all.Go(func() {
			ok, err := set.fetch(t.Context(), set.all[0], key{byte(i), byte(i >> 8)}, right{action: access.Publish, user: "u", client: strconv.Itoa(i), topic: "t"})
			if ok && err == nil {
				in.Add(1)
			}
		})
	}
	<-full
	close(gate)
	all.Wait()
	if in.Load() != 4*atOnce || most.Load() != atOnce {
		t.Errorf("%d of %d were allowed, %d were asked about at once", in.Load(), 4*atOnce, most.Load())
	}
}

// Who waits for a place at a source that answers nobody does not wait for its turn.
func TestNobodyWaitsForADeadSource(t *testing.T) {
	s := serve(t)
	set, _ := open(t, Config{Sources: []Source{{Name: "http", Users: true, Rules: true, Web: s.web()}}})
	a := set.all[0]
	for range atOnce {
		a.places <- struct{}{}
	}
	a.note(set.log, a, errors.New("nobody is there"), time.Now())
	if err := a.enter(t.Context()); err == nil || err.Error() != "nobody is there" {
		t.Errorf("%v", err)
	}
	ended, end := context.WithCancel(t.Context())
	a.note(set.log, a, nil, time.Now())
	end()
	if err := a.enter(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
