package api

import (
	"encoding/json"
	"strings"
	"time"

	"picket/feed"
	"picket/session"
	"picket/token"
	"picket/topic"
)

// Heard is a message that has come, or how many are missing in its place.
type Heard struct {
	At time.Time `json:"at"`
	*Retained
	Replayed bool `json:"retained,omitempty"` // it was retained before
	Lost     int  `json:"lost,omitempty"`
}

// listenMemory is how many bytes of messages wait for whoever listens.
const listenMemory = 1 << 20

// listenRoutes are those about messages as they come.
func (a *API) listenRoutes() []*route {
	return []*route{{method: "GET", path: "messages", role: token.Operator, media: "application/jsonl", stream: true, audited: true, do: a.listen,
		about: "Subscribes, in nobody's name: each message is a line of JSON (Heard), the retained ones first, until the reader leaves.",
		params: []param{
			{name: "filter", kind: text, about: "A topic filter, without a shared group.", required: true},
			{name: "payload", kind: number, about: "At most so many bytes of a payload.", max: maxBody, absent: 4096},
			{name: "count", kind: number, about: "End after so many messages.", min: 1, max: 1 << 30},
			forParam(),
		}}}
}

// heard is a message on its way to whoever listens.
type heard struct {
	at       time.Time
	message  *session.Message
	replayed bool
}

// listen streams what comes.
func (a *API) listen(c *call) (any, error) {
	filter := c.text("filter")
	if err := topic.CheckFilter(filter); err != nil {
		return nil, wrongParam("filter", "%v", err)
	}
	if _, _, shared := topic.SplitShare(filter); shared || strings.HasPrefix(filter, "$CONTROL") {
		return nil, wrongParam("filter", "a filter without a shared group, and not below $CONTROL, is expected")
	}
	ctx, cancel, err := c.lasting()
	if err != nil {
		return nil, err
	}
	defer cancel()
	come := feed.New[heard](listenMemory)
	defer come.Close()
	client := a.Broker.Local(nil, func(d session.Delivery) {
		come.Add(heard{a.Now().UTC(), d.Message, d.Retain}, d.Message.Size())
	})
	defer client.Close()
	if err := client.Subscribe(ctx, filter, topic.Options{QoS: 2}); err != nil {
		return nil, err
	}
	a.begun(c)
	out, err := c.stream("application/jsonl")
	if err != nil {
		return nil, err
	}
	for n := 0; err == nil; {
		all, lost, open := come.Take(ctx)
		if !open {
			break
		}
		if most := c.number("count"); most > 0 && n+len(all) >= most {
			all, lost = all[:most-n], 0
			cancel()
		}
		n += len(all)
		err = out.send(a.told(all, lost, c.number("payload")))
	}
	return nil, nil // a reader who has left is no error
}

// told makes lines of what has come.
func (a *API) told(all []heard, lost, payload int) (lines []byte) {
	for _, h := range all {
		m := a.shown(h.message, payload)
		lines = append(lines, line(Heard{At: h.at, Retained: &m, Replayed: h.replayed})...)
	}
	if lost > 0 {
		lines = append(lines, line(Heard{At: a.Now().UTC(), Lost: lost})...)
	}
	return lines
}

// line is a value as a line of JSON.
func line(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // a type that JSON does not know
	}
	return append(data, '\n')
}
