package api

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"picket/admin"
	"picket/broker"
	"picket/token"
)

// ordered is what a traffic counts for in an order.
func ordered(by string, t broker.Traffic) uint64 {
	switch by {
	case "messages_in":
		return t.MessagesIn
	case "messages_out":
		return t.MessagesOut
	case "bytes":
		return t.BytesIn + t.BytesOut
	case "bytes_in":
		return t.BytesIn
	case "bytes_out":
		return t.BytesOut
	}
	return t.MessagesIn + t.MessagesOut
}

// rateRoutes are those about who is busy.
func (a *API) rateRoutes() []*route {
	return []*route{{method: "GET", path: "rates", role: token.Viewer, media: "application/jsonl", stream: true, do: a.rates,
		about: "Who is busy, again and again until the reader leaves: a line of JSON (Rates) every few seconds. What passes is counted by client as long as somebody reads this.",
		params: []param{
			{name: "id", kind: text, about: "Only this client, also while nothing passes; absent: those with which something passes."},
			{name: "sort", kind: text, words: admin.RateOrders, about: "The largest first; absent: messages, in both directions. queued has those first for whom most waits, also if nothing passes."},
			{name: "limit", kind: number, about: "At most so many items.", min: 1, max: MostItems, absent: 20},
			{name: "every", kind: number, about: "Seconds between two lines.", min: 1, max: 10, absent: 1},
			{name: "count", kind: number, about: "End after so many lines.", min: 1, max: 1 << 30},
			forParam(),
		}}}
}

// rates streams who is busy.
func (a *API) rates(c *call) (any, error) {
	ctx, cancel, err := c.lasting()
	if err != nil {
		return nil, err
	}
	defer cancel()
	meter, err := a.Broker.Meter(c.text("id"))
	if errors.Is(err, broker.ErrTooManyTaps) {
		return nil, noTap(err)
	}
	defer meter.Close()
	out, err := c.stream("application/jsonl")
	if err != nil {
		return nil, err
	}
	turn := time.NewTicker(time.Duration(c.number("every")) * time.Second)
	defer turn.Stop()
	for lines := 0; c.number("count") == 0 || lines < c.number("count"); lines++ {
		select {
		case <-ctx.Done():
			return nil, nil
		case <-turn.C:
		}
		if out.send(line(a.busy(ctx, c, meter))) != nil {
			break // the reader has left
		}
	}
	return nil, nil
}

// busy reads a meter once.
func (a *API) busy(ctx context.Context, c *call, meter *broker.Meter) admin.Rates {
	by, over := meter.Read()
	r := admin.Rates{At: a.Now().UTC(), Seconds: over.Seconds(), Active: len(by), Items: []admin.ClientRate{}}
	for _, id := range a.chosen(ctx, c, by) {
		state, _, ok := a.Broker.Client(id)
		if !ok {
			state = broker.ClientState{ID: id} // it has come and gone, and left nothing
		}
		t := by[id]
		second := func(n uint64) float64 { return float64(n) / max(r.Seconds, 0.001) }
		r.Items = append(r.Items, admin.ClientRate{ClientState: state, MessagesIn: second(t.MessagesIn), MessagesOut: second(t.MessagesOut), BytesIn: second(t.BytesIn), BytesOut: second(t.BytesOut)})
	}
	return r
}

// chosen are the clients that come first in the order that is asked for.
func (a *API) chosen(ctx context.Context, c *call, by map[string]broker.Traffic) (ids []string) {
	order, limit := c.text("sort"), c.number("limit")
	switch {
	case c.params.Has("id"):
		return []string{c.text("id")}
	case order == "queued":
		page, _ := sorted(ctx, a.Broker, admin.Clients{}, "-queued", limit, func(s *broker.ClientState) bool { return s.Queued > 0 })
		for _, s := range page.Items {
			ids = append(ids, s.ID)
		}
		return ids
	}
	for id := range by {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(cmp.Compare(ordered(order, by[b]), ordered(order, by[a])), cmp.Compare(a, b))
	})
	return ids[:min(limit, len(ids))]
}
