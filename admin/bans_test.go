package admin

import (
	"testing"
	"time"

	"picket/ban"
	"picket/cause"
)

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
