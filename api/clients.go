package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"

	"picket/admin"
	"picket/ban"
	"picket/broker"
	"picket/cause"
	"picket/printable"
	"picket/token"
)

// Bounds of lists.
const (
	MostItems   = 1000                  // of one answer
	examination = 50_000                // sessions that one request looks at, unless it sorts
	patience    = 50 * time.Millisecond // and how long it looks
	maxReason   = 1024                  // bytes of the text that a client is told
)

// Disconnected is what a client was before its connection or its session was ended.
type Disconnected struct {
	admin.OneClient
	Session bool `json:"session_ended"`
	KeptOut int  `json:"kept_out_seconds,omitempty"`
}

// Subscriptions are those of one client.
type Subscriptions struct {
	Items []broker.Subscription `json:"items"`
}

// idParam names a client.
func idParam() param {
	return param{name: "id", kind: text, about: "The client identifier.", required: true}
}

// limitParam bounds a list.
func limitParam() param {
	return param{name: "limit", kind: number, about: "At most so many items.", min: 1, max: MostItems, absent: 100}
}

func listParams() []param {
	return []param{
		limitParam(),
		{name: "cursor", kind: text, about: "next of the answer before. Who is there from the first part to the last is listed exactly once."},
		{name: "where", kind: text, repeated: true, about: "Only those for whom this holds, such as queued>0, id^=dev, address=10.0.0.0/8; several conditions have to hold together. Texts: = != < > (byte by byte) ^= (begins with) ~ (contains). Numbers: = != < >. connected, tls, will: = != true or false."},
		{name: "sort", kind: text, words: sortable(), about: "The first of all in this order, - for the largest first; all sessions are looked at, found says how many it holds for, and there is no next: where=id> goes on behind a client in the order of id."},
	}
}

// clientRoutes are those about clients and sessions.
func (a *API) clientRoutes() []*route {
	page, one := reflect.TypeFor[admin.Clients](), reflect.TypeFor[admin.OneClient]()
	ends := []param{idParam(), {name: "reason", kind: text, about: "What an MQTT 5 client and the log are told, at most 1024 bytes."}}
	return []*route{
		{method: "GET", path: "clients", role: token.Viewer, about: "Clients that are connected.", params: listParams(), out: page,
			do: func(c *call) (any, error) { return a.list(c, true) }},
		{method: "GET", path: "sessions", role: token.Viewer, about: "Sessions, also of clients that are away.", params: listParams(), out: page,
			do: func(c *call) (any, error) { return a.list(c, false) }},
		{method: "GET", path: "client", role: token.Viewer, about: "One client, connected or away, with the filters that it has subscribed to.", params: []param{idParam()}, out: one, do: a.client},
		{method: "DELETE", path: "client", role: token.Operator, about: "Ends the connection of a client: DISCONNECT 0x98 in MQTT 5. Its will is published.", out: reflect.TypeFor[Disconnected](),
			params: append(ends, param{name: "keep_out", kind: text, about: "Ban the client identifier for so long, such as 10m."},
				param{name: "session", kind: text, words: []string{"keep", "delete"}, about: "delete: end the session with all that waits in it, too."}), do: a.disconnect},
		{method: "DELETE", path: "session", role: token.Operator, about: "Ends a session with all that waits in it, and the connection of its client if there is one.", params: ends,
			out: reflect.TypeFor[Disconnected](), do: a.endSession},
		{method: "GET", path: "client/subscriptions", role: token.Viewer, about: "What a client has subscribed to, with the options.", params: []param{idParam()},
			out: reflect.TypeFor[Subscriptions](), do: a.subscriptions},
	}
}

// list answers with a part of the sessions. It looks at a bounded number of them, for a bounded time.
func (a *API) list(c *call, online bool) (any, error) {
	var wanted []condition
	if online {
		wanted = append(wanted, func(s *broker.ClientState) bool { return s.Connected })
	}
	for _, w := range c.params["where"] {
		holds, err := parseWhere(w)
		if err != nil {
			return nil, wrongParam("where", "%s: %v", printable.Text(w), err)
		}
		wanted = append(wanted, holds)
	}
	from, err := parseCursor(c.text("cursor"))
	if err != nil {
		return nil, wrongParam("cursor", "%v", err)
	}
	holds := func(s *broker.ClientState) bool {
		return !slices.ContainsFunc(wanted, func(holds condition) bool { return !holds(s) })
	}
	page := admin.Clients{Items: []broker.ClientState{}, Total: a.Broker.SessionCount()}
	if by := c.text("sort"); by != "" {
		if c.params.Has("cursor") {
			return nil, wrongParam("cursor", "a list that is sorted has no parts")
		}
		return sorted(c.request.Context(), a.Broker, page, by, c.number("limit"), holds)
	}
	until := time.Now().Add(patience)
	next, more := a.Broker.EachClient(from, func(s *broker.ClientState) bool {
		if page.Examined++; holds(s) {
			page.Items = append(page.Items, *s)
		}
		return len(page.Items) < c.number("limit") && page.Examined < examination && (page.Examined%64 != 0 || time.Now().Before(until))
	})
	if more {
		page.Next = cursor(next)
	}
	return page, nil
}

// sorted fills a page with those that come first in an order.
func sorted(ctx context.Context, b *broker.Broker, p admin.Clients, by string, limit int, holds condition) (admin.Clients, error) {
	largest := by[0] == '-'
	if largest {
		by = by[1:]
	}
	order := comparison(by)
	cut := func() {
		slices.SortFunc(p.Items, func(a, b broker.ClientState) int {
			n := order(&a, &b)
			if largest {
				n = -n
			}
			return cmp.Or(n, cmp.Compare(a.ID, b.ID))
		})
		p.Items = p.Items[:min(limit, len(p.Items))]
	}
	b.EachClient(0, func(s *broker.ClientState) bool {
		if p.Examined++; holds(s) {
			p.Found++
			if p.Items = append(p.Items, *s); len(p.Items) >= 2*limit {
				cut()
			}
		}
		return p.Examined%1024 != 0 || ctx.Err() == nil
	})
	cut()
	return p, ctx.Err()
}

// find returns the client that a request is about.
func (a *API) find(c *call) (one admin.OneClient, err error) {
	var ok bool
	if one.ClientState, one.Filters, ok = a.Broker.Client(c.text("id")); !ok {
		return one, notFound("there is no client %q", printable.Text(c.text("id")))
	}
	return one, nil
}

func (a *API) client(c *call) (any, error) {
	one, err := a.find(c)
	if err != nil {
		return nil, err
	}
	return one, nil
}

func (a *API) subscriptions(c *call) (any, error) {
	all, ok := a.Broker.Subscriptions(c.text("id"))
	if !ok {
		return nil, notFound("there is no client %q", printable.Text(c.text("id")))
	}
	return Subscriptions{append([]broker.Subscription{}, all...)}, nil
}

// reason is what a client is told.
func reason(c *call) (string, error) {
	switch r := c.text("reason"); {
	case len(r) > maxReason:
		return "", wrongParam("reason", "it has %d bytes, and may have %d", len(r), maxReason)
	case r == "":
		return "by whoever runs the broker", nil
	default:
		return printable.Text(r), nil
	}
}

func (a *API) disconnect(c *call) (any, error) {
	why, err := reason(c)
	if err != nil {
		return nil, err
	}
	length, keepOut, err := c.duration("keep_out")
	if err != nil {
		return nil, err
	}
	one, err := a.find(c)
	if err != nil {
		return nil, err
	}
	gone := Disconnected{OneClient: one}
	if keepOut { // first, so that it does not come again in between
		until := a.Now().Add(length)
		if _, _, err := a.Broker.Ban(ban.Ban{Kind: ban.Client, Value: one.ID, Until: until, Why: why}, ""); err != nil {
			return nil, &refusal{status: http.StatusUnprocessableEntity, id: cause.APIConflict, detail: err.Error()}
		}
		gone.KeptOut = int(length.Seconds())
	}
	if c.text("session") == "delete" {
		gone.Session, err = a.Broker.DropSession(c.request.Context(), one.ID, cause.DisconnectedByAdmin, why)
		return gone, err
	}
	if !a.Broker.Disconnect(one.ID, cause.DisconnectedByAdmin, why) && !keepOut {
		return nil, conflict(fmt.Errorf("the client %q is not connected", printable.Text(one.ID)))
	}
	return gone, nil
}

func (a *API) endSession(c *call) (any, error) {
	why, err := reason(c)
	if err != nil {
		return nil, err
	}
	one, err := a.find(c)
	if err != nil {
		return nil, err
	}
	found, err := a.Broker.DropSession(c.request.Context(), one.ID, cause.DisconnectedByAdmin, why)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, conflict(errors.New("the session has ended meanwhile"))
	}
	return Disconnected{OneClient: one, Session: true}, nil
}
