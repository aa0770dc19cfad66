//go:build unix

package dashboard

import (
	"net/url"
	"testing"
)

// pages are all of them, as an address has them.
func pages() []string {
	return []string{"overview", "clients", "clients?view=all", "clients?view=backlog", "client?id=" + url.QueryEscape(html), "client?id=" + url.QueryEscape(long), "topics", "topics?in=" + url.QueryEscape(`"home"`), "topics?in=" + url.QueryEscape(`"bytes"`),
		"topics?in=" + url.QueryEscape(quoted("home/"+html)), "publish", "users", "user?name=" + url.QueryEscape(arabic), "user?name=" + url.QueryEscape(long), "refused", "listeners", "bans", "bridges", "cluster", "broker", "tokens", "audit"}
}

// Every page shows what there is, empty and full, in both languages, light and dark, on a phone and on a desktop, whatever the names are.
func TestPages(t *testing.T) {
	for _, l := range looks {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tb := w.login(t, "admin", l.Screen)
			for _, page := range []string{"overview", "clients", "topics", "users", "refused", "bans", "tokens"} {
				tb.visit(page)
				tb.judge("empty " + page)
			}
			w.fill()
			for i, page := range pages() {
				tb.visit(page)
				tb.judge(string(rune('a'+i)) + " " + page)
			}
		})
	}
}
