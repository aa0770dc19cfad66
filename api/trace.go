package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"picket/ban"
	"picket/broker"
	"picket/cause"
	"picket/token"
	"picket/topic"
	"picket/trace"
)

// Forms of a trace.
const (
	formText    = "text"
	formLines   = "jsonl"
	formCapture = "pcapng"
)

var traceMedia = map[string]string{formText: "text/plain; charset=utf-8", formLines: "application/jsonl", formCapture: "application/x-pcapng"}

// traceRoutes are those about what passes between clients and the broker.
func (a *API) traceRoutes() []*route {
	return []*route{{method: "GET", path: "trace", role: token.Operator, media: "text/plain, application/jsonl, application/x-pcapng", stream: true, audited: true, do: a.trace,
		about: "What passes between some clients and the broker, as it happens, until the reader leaves. What is given has to hold together, and one of client, user, address, topic has to be given. Passwords are left out.",
		params: []param{
			{name: "client", kind: text, about: "A client identifier."},
			{name: "user", kind: text, about: "A user name."},
			{name: "address", kind: text, about: "An address or a network that clients connect from."},
			{name: "topic", kind: text, about: "A topic filter: only the PUBLISH packets whose topics it matches."},
			{name: "format", kind: text, words: []string{formText, formLines, formCapture}, about: "text for people, jsonl for programs, pcapng for Wireshark; absent: text."},
			{name: "payload", kind: number, about: "At most so many bytes of a payload.", max: maxBody, absent: 256},
			forParam(),
			{name: "count", kind: number, about: "End after so many events.", min: 1, max: 1 << 30},
		}}}
}

// traceQuery reads what is to be traced.
func traceQuery(c *call) (q broker.TraceQuery, err error) {
	q = broker.TraceQuery{Client: c.text("client"), User: c.text("user"), Topic: c.text("topic"), Payload: c.number("payload")}
	if c.params.Has("address") {
		if q.Address, err = ban.ParseNetwork(c.text("address")); err != nil {
			return q, wrongParam("address", "%v", err)
		}
	}
	if q.Topic != "" {
		if err := topic.CheckFilter(q.Topic); err != nil {
			return q, wrongParam("topic", "%v", err)
		}
		if _, _, shared := topic.SplitShare(q.Topic); shared {
			return q, wrongParam("topic", "a filter without a shared group is expected")
		}
	}
	if q.Client == "" && q.User == "" && q.Topic == "" && q.Address == (netip.Prefix{}) {
		return q, wrongParam("client", "one of client, user, address, topic is expected")
	}
	return q, nil
}

// noTap is the refusal of somebody more who would look on.
func noTap(err error) error {
	return &refusal{status: http.StatusServiceUnavailable, id: cause.APIBusy, wait: time.Second, detail: err.Error()}
}

// trace streams a trace.
func (a *API) trace(c *call) (any, error) {
	q, err := traceQuery(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel, err := c.lasting()
	if err != nil {
		return nil, err
	}
	defer cancel()
	t, err := a.Broker.Trace(q)
	if errors.Is(err, broker.ErrTooManyTaps) {
		return nil, noTap(err)
	}
	defer t.Close()
	a.begun(c)
	form := c.text("format")
	if form == "" {
		form = formText
	}
	out, err := c.stream(traceMedia[form])
	if err != nil {
		return nil, err
	}
	shown, lost, err := follow(ctx, t, out, a.writer(form, c.lang()), c.number("count"))
	c.note = fmt.Sprintf("events=%d lost=%d", shown, lost)
	return nil, err
}

// writer returns what makes events of a trace into bytes; with nil it makes the beginning.
func (a *API) writer(form string, lang cause.Lang) func(*trace.Event) ([]byte, error) {
	switch form {
	case formCapture:
		capture := trace.NewCapture(lang)
		return func(e *trace.Event) ([]byte, error) {
			if e == nil {
				return capture.Begin("Picket " + a.About.Version), nil
			}
			return capture.Append(nil, e), nil
		}
	case formLines:
		return func(e *trace.Event) ([]byte, error) {
			if e == nil {
				return nil, nil
			}
			return trace.JSON(e, lang)
		}
	}
	return func(e *trace.Event) ([]byte, error) {
		if e == nil {
			return nil, nil
		}
		return trace.Text(e, lang), nil
	}
}

// atOnceShown is how many bytes of events are written together.
const atOnceShown = 64 << 10

// follow writes what is traced until the reader has left, the time is over, or most events have been shown; most: 0 for all. A reader who has left is no error.
func follow(ctx context.Context, t *broker.Trace, out *stream, form func(*trace.Event) ([]byte, error), most int) (shown, lost int, err error) {
	data, err := form(nil)
	if err != nil {
		return 0, 0, err
	}
	for there := out.send(data) == nil; there; {
		all, more := t.Next(ctx)
		if !more {
			break
		}
		var together []byte
		for i := range all {
			one, err := form(&all[i])
			if err != nil {
				return shown, lost, err
			}
			together = append(together, one...)
			shown++
			lost += all[i].Lost
			done := shown == most
			if done || i == len(all)-1 || len(together) >= atOnceShown {
				there = out.send(together) == nil && !done
				together = together[:0]
			}
			if !there {
				break
			}
		}
	}
	return shown, lost, nil
}
