package admin

import (
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"picket/broker"
	"picket/cause"
)

func TestQueryTravels(t *testing.T) {
	for _, q := range []broker.ClientQuery{
		{Limit: 100},
		{After: "../a&b=c", Prefix: "ü ", User: "x#", From: netip.MustParsePrefix("10.0.0.0/8"), Online: true, Limit: 7, ByQueue: true},
	} {
		v, err := url.ParseQuery(queryValues(q).Encode())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readQuery(v); err != nil || !reflect.DeepEqual(got, q) {
			t.Errorf("%+v became %+v, %v", q, got, err)
		}
	}
}

// A client that nobody knows, or is not connected, and parameters that say nothing, are told.
func TestClientsRefused(t *testing.T) {
	path, b := serve(t)
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"/v1/clients?limit=0": "limit=0: a number from 1 to 1000", "/v1/clients?limit=x": "limit=x", "/v1/clients?sort=name": "only sort=queued", "/v1/clients?page=2": "no such parameter",
		"/v1/clients?user=a&user=b": "more than once", "/v1/clients?from=here": "neither an address nor a network", "/v1/client?id=a&b=c": "b: there is no such parameter",
		"/v1/client?id=..": `there is no client ".."`,
	} {
		if _, err := ask[OneClient](t.Context(), c, http.MethodGet, query, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", query, err, want)
		}
	}
	if _, err := c.Disconnect(t.Context(), "nobody", ""); err == nil || !strings.Contains(err.Error(), "there is no client") {
		t.Errorf("got %v", err)
	}
	inside := b.Local(nil, nil)
	defer inside.Close()
	page, err := c.Clients(t.Context(), broker.ClientQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range page.Clients {
		if _, err := c.Disconnect(t.Context(), one.ID, "x"); err == nil || !strings.Contains(err.Error(), "is not connected") {
			t.Errorf("%+v: got %v", one, err)
		}
		if _, err := c.Disconnect(t.Context(), one.ID, strings.Repeat("x", maxReason+1)); err == nil || !strings.Contains(err.Error(), "may have 1024") {
			t.Errorf("%+v: got %v", one, err)
		}
	}
}

func TestClientsText(t *testing.T) {
	page := &broker.ClientPage{Next: "b c\x1b", Clients: []broker.ClientState{
		{ID: "a\x1b[2J", User: "ann", Connected: true, Address: netip.MustParseAddrPort("192.0.2.1:5000"), Transport: "websocket", TLS: true, Version: "5.0", Subscriptions: 2, Inflight: 3, Idle: 61},
		{ID: "b c\x1b", Queued: 4, QueuedBytes: 20 << 10}}}
	for lang, want := range map[cause.Lang]string{
		cause.English: `a\x1b[2J  connected  192.0.2.1:5000  websocket+TLS  MQTT 5.0  user ann  2 subscriptions, 3 in flight  silent for 1m1s
b c\x1b  offline  0 subscriptions, 0 in flight  4 queued (20 KiB)
There are more: --after 'b c\x1b'
`,
		cause.Chinese: `a\x1b[2J  已连接  192.0.2.1:5000  websocket+TLS  MQTT 5.0  用户 ann  订阅 2，未确认 3  已静默 1m1s
b c\x1b  离线  订阅 0，未确认 0  排队 4（20 KiB）
还有更多：--after 'b c\x1b'
`,
	} {
		if got := ClientsText(page, lang); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}
