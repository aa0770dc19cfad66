package token

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func open(t *testing.T, path string) *List {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A token is known by its secret alone, also to a list that is opened later, until it is removed or its time is over; the file has no secret and is its owner's alone.
func TestTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), FileName)
	l := open(t, path)
	grafana, secret, err := l.Add("grafana", Metrics, time.Time{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	_, short, err := l.Add("short", Admin, noon.Add(time.Hour), noon)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for _, s := range []string{secret, short} {
		if _, random, _ := strings.Cut(strings.TrimPrefix(s, prefix), "_"); strings.Contains(string(data), random) {
			t.Errorf("the file has the secret:\n%s", data)
		}
	}
	again := open(t, path)
	for _, l := range []*List{l, again} {
		if got, ok := l.Check(secret, noon); !ok || got != grafana || got.Hash != "" {
			t.Errorf("got %+v, %t", got, ok)
		}
		if got, ok := l.Check(short, noon); !ok || got.Role != Admin {
			t.Errorf("got %+v, %t", got, ok)
		}
		for _, wrong := range []string{"", prefix, grafana.ID, prefix + grafana.ID + "_", secret + "x", secret[:len(secret)-1], strings.ToUpper(secret), "Bearer " + secret} {
			if _, ok := l.Check(wrong, noon); ok {
				t.Errorf("%q is let in", wrong)
			}
		}
		if _, ok := l.Check(short, noon.Add(time.Hour)); ok {
			t.Error("it is let in when its time is over")
		}
		if all := l.All(); len(all) != 2 || all[0].Name != "grafana" || all[0].Hash != "" || all[1].Hash != "" {
			t.Errorf("got %+v", all)
		}
	}
	if _, _, err := again.Add("grafana", Viewer, time.Time{}, noon); !errors.Is(err, ErrExists) {
		t.Errorf("the same name again: %v", err)
	}
	if found, err := again.Remove("grafana"); !found || err != nil {
		t.Fatal(found, err)
	}
	if _, ok := again.Check(secret, noon); ok {
		t.Error("it is let in after it was removed")
	}
	if found, err := again.Remove("grafana"); found || err != nil {
		t.Fatal(found, err)
	}
	if _, err := l.Remove("short"); err == nil || !strings.Contains(err.Error(), "another program") {
		t.Errorf("the file that somebody else has changed: %v", err)
	}
	if err := l.Reload(); err != nil || len(l.All()) != 1 {
		t.Errorf("after a reload: %v, %v", err, l.All())
	}
}

// What cannot be is refused, and changes nothing.
func TestRefusedTokens(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), FileName))
	for _, c := range []struct {
		name    string
		role    Role
		expires time.Time
	}{{"", Viewer, time.Time{}}, {strings.Repeat("x", 65), Viewer, time.Time{}}, {"a\nb", Viewer, time.Time{}}, {"\xff", Viewer, time.Time{}}, {"a", "root", time.Time{}}, {"a", "", time.Time{}}, {"a", Viewer, noon}} {
		if _, _, err := l.Add(c.name, c.role, c.expires, noon); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	if len(l.All()) != 0 {
		t.Errorf("got %v", l.All())
	}
	if _, _, err := open(t, "").Add("a", Viewer, time.Time{}, noon); !errors.Is(err, ErrNoFile) {
		t.Errorf("without a file: %v", err)
	}
	hash := strings.Repeat("0", 64)
	for _, text := range []string{"", "[]", `{"tokens":[{}]}`, `{"tokens":[],"more":1}`, `{"tokens":[]} x`,
		`{"tokens":[{"name":"a","role":"viewer","id":"00","sha256":"` + hash + `"}]}`, `{"tokens":[{"name":"a","role":"viewer","id":"000000000000","sha256":"00"}]}`,
		`{"tokens":[{"name":"a","role":"god","id":"000000000000","sha256":"` + hash + `"}]}`,
		`{"tokens":[{"name":"a","role":"viewer","id":"000000000000","sha256":"` + hash + `"},{"name":"a","role":"viewer","id":"000000000001","sha256":"` + hash + `"}]}`} {
		if _, err := parse([]byte(text)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

func TestRoles(t *testing.T) {
	all := Roles()
	for i, has := range all {
		for j, needed := range all {
			if has.Includes(needed) != (i >= j) {
				t.Errorf("%s for %s: %t", has, needed, has.Includes(needed))
			}
		}
	}
	if Role("").Includes(Metrics) || Role("x").Includes(Metrics) {
		t.Error("no role has a role")
	}
}

// Ten wrong tokens of an address are free, then it has to wait; others need not; and it is forgiven.
func TestGuesses(t *testing.T) {
	var g Guesses
	from, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8:0:1::1")
	for i := range freeGuesses {
		if w := g.Wait(from, noon); w != 0 {
			t.Fatalf("after %d: %s", i, w)
		}
		g.Wrong(from, noon)
	}
	if w := g.Wait(netip.MustParseAddr("2001:db8::2"), noon); w != guessEvery {
		t.Errorf("the same network waits %s", w)
	}
	if w := g.Wait(other, noon); w != 0 {
		t.Errorf("another network waits %s", w)
	}
	if w := g.Wait(from, noon.Add(guessEvery)); w != 0 {
		t.Errorf("later: %s", w)
	}
	if g.Wrong(from, noon.Add(guessEvery)); g.Wait(from, noon.Add(guessEvery)) != guessEvery {
		t.Error("only one is free after a while")
	}
	if g.Wrong(from, noon.Add(time.Hour)); g.Wait(from, noon.Add(time.Hour)) != 0 {
		t.Error("it is not forgiven")
	}
	for i := range 2 * maxGuessers {
		g.Wrong(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), noon)
	}
	if len(g.byAddr) != maxGuessers || g.order.Len() != maxGuessers {
		t.Errorf("%d are kept", len(g.byAddr))
	}
	g.Wrong(netip.Addr{}, noon)
	if g.Wait(netip.MustParseAddr("127.0.0.1"), noon) != 0 {
		t.Error("an unknown address counts for another one")
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"tokens":[{"name":"a","role":"viewer","made":"2026-11-30T12:00:00Z","id":"000000000000","sha256":"` + strings.Repeat("0", 64) + `"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parse(data)
		for id, token := range all {
			if err != nil || token.ID != id || token.check() != nil {
				t.Fatalf("%q: %+v, %v", id, token, err)
			}
		}
	})
}
