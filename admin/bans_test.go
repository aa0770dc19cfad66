package admin

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"picket/ban"
	"picket/cause"
)

func TestBans(t *testing.T) {
	path, _ := serve(t)
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := c.Bans(t.Context()); err != nil || all == nil || len(all) != 0 {
		t.Errorf("at first: %+v, %v", all, err)
	}
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	made, err := c.Ban(t.Context(), NewBan{Kind: ban.Address, Value: "203.0.113.7/24", Until: until, Why: "x"})
	if err != nil || made.Value != "203.0.113.0/24" || !made.Until.Equal(until) || made.Disconnected != 0 {
		t.Errorf("%+v, %v", made, err)
	}
	if all, err := c.Bans(t.Context()); err != nil || len(all) != 1 || all[0].Ban != made.Ban {
		t.Errorf("%+v, %v", all, err)
	}
	for _, want := range []bool{true, false} {
		if lifted, err := c.Unban(t.Context(), ban.Address, "203.0.113.99/24"); err != nil || lifted != want {
			t.Errorf("lifted %t, %v; want %t", lifted, err, want)
		}
	}
	for _, n := range []NewBan{{Kind: ban.Address, Value: "127.0.0.1"}, {Kind: ban.Address, Value: "0.0.0.0/0"}, {Kind: ban.Address, Value: "::/0"}, {Kind: ban.Address, Value: "::1"}} {
		if _, err := c.Ban(t.Context(), n); err == nil || !strings.Contains(err.Error(), "--force") {
			t.Errorf("%s: %v", n.Value, err)
		}
		if n.Force = true; n.Value == "::1" {
			if _, err := c.Ban(t.Context(), n); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestBansRefused(t *testing.T) {
	path, _ := serve(t)
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []struct{ method, path, body, want string }{
		{http.MethodPost, "/v1/bans", `{"kind":"person","value":"x"}`, "no kind of ban"},
		{http.MethodPost, "/v1/bans", `{"kind":"user","value":""}`, "empty"},
		{http.MethodPost, "/v1/bans", `{"kind":"address","value":"here"}`, "neither an address nor a network"},
		{http.MethodPost, "/v1/bans", `{"kind":"user","value":"x","until":"2001-01-01T00:00:00Z"}`, "over already"},
		{http.MethodPost, "/v1/bans", `{"kind":"user","value":"x","for":1}`, "no ban in JSON"},
		{http.MethodPost, "/v1/bans", `[]`, "no ban in JSON"},
		{http.MethodDelete, "/v1/ban?kind=user", "null", "kind and value"},
		{http.MethodDelete, "/v1/ban?kind=user&value=x&more=y", "null", "kind and value"},
		{http.MethodDelete, "/v1/ban?kind=person&value=x", "null", "no kind of ban"},
	} {
		if _, err := ask[Lifted](t.Context(), c, q.method, q.path, json.RawMessage(q.body)); err == nil || !strings.Contains(err.Error(), q.want) {
			t.Errorf("%s %s %s: %v, want %s", q.method, q.path, q.body, err, q.want)
		}
	}
}

func TestBansText(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.Local)
	all := []ban.State{
		{Ban: ban.Ban{Kind: ban.Address, Value: "203.0.113.7", Until: at, Why: "guesses\x1b"}, Rule: true, Refused: 3, Last: at},
		{Ban: ban.Ban{Kind: ban.User, Value: "a\x1bda"}},
	}
	for lang, want := range map[cause.Lang]string{
		cause.English: `address  203.0.113.7  until 2026-11-30 12:00:00  refused 3, last 2026-11-30 12:00:00  by ban_after  guesses\x1b
user  a\x1bda  until it is lifted  nobody refused
`,
		cause.Chinese: `address  203.0.113.7  到 2026-11-30 12:00:00 为止  已拒绝 3 次，最近一次 2026-11-30 12:00:00  ban_after 自动封禁  guesses\x1b
user  a\x1bda  直到解除  尚未拒绝过
`,
	} {
		if got := BansText(all, lang); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		if BansText(nil, lang) == "" {
			t.Error("nothing is said where nobody is banned")
		}
	}
}
