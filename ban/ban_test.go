package ban

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func must(t testing.TB, kind Kind, value string) Ban {
	t.Helper()
	b, err := Parse(kind, value)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		kind  Kind
		value string
		want  string // empty: an error
	}{
		{Address, "203.0.113.7", "203.0.113.7"},
		{Address, "203.0.113.7/24", "203.0.113.0/24"},
		{Address, "203.0.113.7/32", "203.0.113.7"},
		{Address, "::ffff:203.0.113.7", "203.0.113.7"},
		{Address, "::ffff:203.0.113.7/120", "203.0.113.0/24"},
		{Address, "fe80::1%eth0", "fe80::1"},
		{Address, "2001:db8::1/64", "2001:db8::/64"},
		{Address, "0.0.0.0/0", "0.0.0.0/0"},
		{Address, "example.com", ""},
		{Address, "203.0.113.7/33", ""},
		{Address, "", ""},
		{User, "ada", "ada"},
		{User, "", ""},
		{Client, "a\x00b", ""},
		{Client, "\xff", ""},
		{Prefix, "dev-", "dev-"},
		{Prefix, strings.Repeat("x", 65536), ""},
		{"person", "ada", ""},
	} {
		b, err := Parse(c.kind, c.value)
		if (err == nil) != (c.want != "") || b.Value != c.want {
			t.Errorf("%s %.40q: %.40q, %v; want %q", c.kind, c.value, b.Value, err, c.want)
		}
	}
}

// A list finds what a search through all of its bans finds.
func TestListEqualsSearch(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	address := func() netip.Addr {
		if r.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(3)), byte(r.IntN(6))})
		}
		a := netip.MustParseAddr("2001:db8::").As16()
		a[7], a[15] = byte(r.IntN(3)), byte(r.IntN(3))
		return netip.AddrFrom16(a)
	}
	name := func() string { return "aab"[:1+r.IntN(3)] + "abc"[r.IntN(3):] }
	for range 300 {
		l, _ := Open("")
		for range r.IntN(12) {
			b := Ban{Kind: []Kind{Address, User, Client, Prefix}[r.IntN(4)], Value: name()}
			if b.Kind == Address {
				a := address()
				b.Value = netip.PrefixFrom(a, r.IntN(a.BitLen()+1)).String()
			}
			if r.IntN(3) == 0 {
				b.Until = t0.Add(time.Duration(1+r.IntN(20)) * time.Minute)
			}
			if _, err := l.Add(b, "", t0); err != nil {
				t.Fatal(err)
			}
		}
		all := l.All(t0)
		now := t0.Add(10 * time.Minute)
		a, id := address(), name()
		var byAddress, byClient, byUser bool
		for _, s := range all {
			if s.over(now) {
				continue
			}
			byAddress = byAddress || s.Covers(a)
			byClient = byClient || s.Kind == Client && s.Value == id || s.Kind == Prefix && strings.HasPrefix(id, s.Value)
			byUser = byUser || s.Kind == User && s.Value == id
		}
		if got := l.Covers(a, now); got != byAddress || (l.Address(a, now) != nil) != byAddress {
			t.Fatalf("seed %d: %v is banned: %t, want %t by %+v", seed, a, got, byAddress, all)
		}
		if got := l.Client(id, now) != nil; got != byClient {
			t.Fatalf("seed %d: client %q is banned: %t, want %t by %+v", seed, id, got, byClient, all)
		}
		if got := l.User(id, now) != nil; got != byUser {
			t.Fatalf("seed %d: user %q is banned: %t, want %t by %+v", seed, id, got, byUser, all)
		}
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a file is made before there is a ban")
	}
	b := must(t, Address, "203.0.113.0/24")
	b.Why, b.Until = "guesses \"passwords\"", t0.Add(time.Hour)
	if _, err := l.Add(b, "", t0); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Add(must(t, User, "ada"), "", t0); err != nil {
		t.Fatal(err)
	}
	l.User("ada", t0)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	again, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprint(l.All(t0))
	again.User("ada", t0) // as was counted there
	if got := fmt.Sprint(again.All(t0)); got != want {
		t.Errorf("read again: %s\nwant %s", got, want)
	}
	if err := l.Reload(); err != nil || fmt.Sprint(l.All(t0)) != want {
		t.Errorf("after a reload: %v, %v; want %s", l.All(t0), err, want)
	}
	if _, err := again.Add(must(t, Client, "x"), "", t0); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Remove(User, "ada", "", t0); err == nil || l.User("ada", t0) == nil {
		t.Errorf("somebody else's change is written over: %v", err)
	}
	if err := l.Reload(); err != nil || l.Client("x", t0) == nil {
		t.Errorf("%v: the other's change is not read", err)
	}
	for _, there := range []bool{true, false} {
		if found, err := l.Remove(User, "ada", "", t0); err != nil || found != there || l.User("ada", t0) != nil {
			t.Errorf("removed %t, %v; want %t", found, err, there)
		}
	}
	if all := l.All(t0.Add(time.Hour)); len(all) != 1 || l.Covers(netip.MustParseAddr("203.0.113.9"), t0.Add(time.Hour)) {
		t.Errorf("an hour later: %+v", all)
	}
}

func TestBadFiles(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON": "bans", "another kind": `{"bans":[{"kind":"person","value":"x","since":"2026-11-30T12:00:00Z"}]}`, "a member of nobody's": `{"bans":[],"more":1}`,
		"no address": `{"bans":[{"kind":"address","value":"x","since":"2026-11-30T12:00:00Z"}]}`, "empty": "",
	} {
		path := filepath.Join(t.TempDir(), FileName)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a folder is read")
	}
	path := filepath.Join(t.TempDir(), "none", FileName)
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Add(must(t, User, "ada"), "", t0); err == nil || l.User("ada", t0) != nil {
		t.Errorf("a ban that is not on the disk is in force: %v", err)
	}
}

func TestBounds(t *testing.T) {
	l, _ := Open("")
	if _, err := l.Add(Ban{Kind: User, Value: "x", Why: strings.Repeat("x", maxWhy+1)}, "", t0); err == nil {
		t.Error("a long reason is taken")
	}
	if _, err := l.Add(Ban{Kind: User, Value: "x", Until: t0}, "", t0); err == nil {
		t.Error("a ban that is over is taken")
	}
	var all []*entry
	for i := range maxBans {
		all = append(all, &entry{Ban: Ban{Kind: User, Value: fmt.Sprint(i)}})
	}
	l.put(all)
	if _, err := l.Add(must(t, User, "one more"), "", t0); err == nil {
		t.Error("more than the limit are taken")
	}
	if _, err := l.Add(must(t, User, "7"), "", t0); err != nil {
		t.Errorf("one in place of another: %v", err)
	}
}

func TestRule(t *testing.T) {
	r, err := ParseRule("3/10m 15m wrong", nil)
	if err != nil {
		t.Fatal(err)
	}
	l, _ := Open("")
	a, neighbour := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	if l.Fail(a, "wrong", t0) != nil || l.Covers(a, t0) {
		t.Error("banned without a rule")
	}
	l.UseRule(r)
	fail := func(now time.Time, n int, cause string) (b *Ban) {
		for range n {
			b = l.Fail(a, cause, now)
		}
		return b
	}
	if fail(t0, 5, "other") != nil || fail(t0, 2, "wrong") != nil || fail(t0.Add(11*time.Minute), 2, "wrong") != nil {
		t.Error("banned too early")
	}
	now := t0.Add(12 * time.Minute)
	for i, length := range []time.Duration{15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour, 24 * time.Hour, 24 * time.Hour} {
		n := 3
		if i == 0 {
			n = 1
		}
		b := fail(now, n, "wrong")
		if b == nil || !b.Until.Equal(now.Add(length)) || b.Value != "2001:db8::/64" {
			t.Fatalf("ban %d: %+v, want until %v", i, b, now.Add(length))
		}
		if fail(now, 5, "wrong") != nil || !l.Covers(neighbour, now) || l.Address(a, b.Until.Add(-time.Second)) == nil || l.Covers(a, b.Until) {
			t.Errorf("ban %d is not in force as it should be", i)
		}
		now = b.Until.Add(11 * time.Minute)
	}
	now = now.Add(25 * time.Hour)
	if b := fail(now, 3, "wrong"); b == nil || !b.Until.Equal(now.Add(15*time.Minute)) {
		t.Errorf("after a quiet day: %+v", b)
	}
	if all := l.All(now); len(all) != 1 || !all[0].Rule || all[0].Refused == 0 {
		t.Errorf("%+v", all)
	}
	if found, err := l.Remove(Address, "2001:db8::/32", "", now); !found || err != nil || l.Covers(a, now) {
		t.Errorf("lifted %t, %v", found, err)
	}
	for range 10 {
		if l.Fail(netip.MustParseAddr("127.0.0.1"), "wrong", now) != nil || l.Fail(netip.Addr{}, "wrong", now) != nil {
			t.Error("the machine itself is banned")
		}
	}
}

// However many addresses fail, only so many are counted.
func TestRuleIsBounded(t *testing.T) {
	l, _ := Open("")
	l.UseRule(&Rule{Count: 1, Within: time.Hour, For: time.Hour, Causes: []string{"wrong"}})
	for i := range maxOffenders * 2 {
		l.Fail(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "wrong", t0)
	}
	if n := len(l.All(t0)); n != maxOffenders || l.offenders.order.Len() != maxOffenders {
		t.Errorf("%d are kept", n)
	}
}

func TestParseRule(t *testing.T) {
	for text, ok := range map[string]bool{
		"20/10m 15m": true, "1/1s 24h": true, "20/10m 15m a b": true,
		"": false, "20/10m": false, "20 15m": false, "0/10m 15m": false, "1001/10m 15m": false, "x/10m 15m": false, "20/10 15m": false, "20/10m 25h": false, "20/0s 15m": false, "20/10m -1m": false,
	} {
		if _, err := ParseRule(text, []string{"x"}); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Whatever stands in a file, nothing panics, and what is taken is written and read again.
func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"bans":[{"kind":"address","value":"10.0.0.0/8","since":"2026-11-30T12:00:00Z","until":"2026-12-01T12:00:00Z","why":"x"}]}`))
	f.Add([]byte(`{"bans":[{"kind":"prefix","value":"dev-","since":"2026-11-30T12:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := decode(data)
		if err != nil {
			return
		}
		l := &List{path: filepath.Join(t.TempDir(), FileName)}
		l.mu.Lock()
		err = l.change(l.counted(all))
		l.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		before := fmt.Sprint(l.All(t0))
		if err := l.Reload(); err != nil || fmt.Sprint(l.All(t0)) != before {
			t.Fatalf("%v: %v, want %s", err, l.All(t0), before)
		}
	})
}
