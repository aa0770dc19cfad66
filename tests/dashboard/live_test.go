//go:build unix

package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

// One client's page shows its packets as they come, what it has not acknowledged, and how much passes; the overview lives from the stream of events alone, and ends with the login.
func TestLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token()
	lamp := w.connect(html, true, "news/#")
	tb := w.login(t, "operator", desktop)
	tb.visit("client?id=" + url.QueryEscape(html))
	tb.Wait("main", "Nothing waits for this client")
	tb.Tap("#trace")
	tb.Wait("#trace", "Stop")
	testbed.Eventually(t, func() error {
		w.ask("POST", "publish", token, map[string]any{"topic": "news/<i>now</i>", "payload": "<u>hello</u>", "qos": 1}, nil)
		var traced string
		if tb.Evaluate(`document.querySelector('#traced')?.textContent || ''`, &traced); !strings.Contains(traced, "news/<i>now</i>") || !strings.Contains(traced, "<u>hello</u>") {
			return fmt.Errorf("the trace says %q", traced)
		}
		return nil
	})
	tb.Wait("main table", "news/<i>now</i>")
	tb.Wait("main table", "sent, not acknowledged")
	tb.Wait("main .facts", "in a second")
	tb.judge("client")
	tb.Tap("#trace")
	tb.Wait("#trace", "Start")
	if _, err := testbed.Until[*packet.Publish](lamp); err != nil {
		t.Error(err)
	}

	tb.visit("publish")
	tb.Fill("input[name=filter]", "news/#")
	tb.Tap("main form:has(input[name=filter]) button[type=submit]")
	tb.Wait("#unsubscribe", "Stop")
	testbed.Eventually(t, func() error {
		w.ask("POST", "publish", token, map[string]any{"topic": "news/" + html, "payload": html, "retain": true}, nil)
		var table string
		if tb.Evaluate(`document.querySelector('main table')?.textContent || ''`, &table); strings.Count(table, html) < 2 {
			return fmt.Errorf("what has come is %q", table)
		}
		return nil
	})
	tb.judge("subscribed")
	tb.Tap("#unsubscribe")

	tb.visit("overview")
	w.connect("another", false)
	tb.Wait("main .tile b", "2")
	var asked []string
	tb.Evaluate(`performance.clearResourceTimings(), new Promise(r => setTimeout(r, 5000)).then(() => performance.getEntriesByType('resource').map(e => new URL(e.name).pathname))`, &asked)
	for _, path := range asked {
		if path == "/metrics" || path == "/api/v1/status" {
			t.Errorf("the overview asks for %s", path)
		}
	}
	w.ask("DELETE", "logins", token, nil, nil)
	tb.Wait("main.login .notice", "the login has ended")
	if status := tb.fetch("GET", "status", ""); status != http.StatusUnauthorized {
		t.Errorf("afterwards: %d", status)
	}
}
