package admin

import (
	"net/netip"
	"strings"
	"testing"

	"picket/broker"
	"picket/cause"
)

func TestClientsText(t *testing.T) {
	page := &Clients{Found: 5, Items: []broker.ClientState{
		{ID: "a\x1b[2J", User: "ann", Connected: true, Address: netip.MustParseAddrPort("192.0.2.1:5000"), Transport: "websocket", TLS: true, Version: "5.0", Subscriptions: 2, Inflight: 3, Idle: 61},
		{ID: "b c\x1b", Queued: 4, QueuedBytes: 20 << 10}}}
	for lang, want := range map[cause.Lang]string{
		cause.English: `a\x1b[2J  connected  192.0.2.1:5000  websocket+TLS  MQTT 5.0  user ann  2 subscriptions, 3 in flight  silent for 1m1s
b c\x1b  offline  0 subscriptions, 0 in flight  4 queued (20 KiB)
3 more: --after 'b c\x1b'
`,
		cause.Chinese: `a\x1b[2J  已连接  192.0.2.1:5000  websocket+TLS  MQTT 5.0  用户 ann  订阅 2，未确认 3  已静默 1m1s
b c\x1b  离线  订阅 0，未确认 0  排队 4（20 KiB）
还有 3 个：--after 'b c\x1b'
`,
	} {
		if got := page.Text(true, lang); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		if got := page.Text(false, lang); strings.Contains(got, "--after") {
			t.Errorf("a list that goes on nowhere: %s", got)
		}
	}
}
