package api

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf8"

	"picket/access"
	"picket/broker"
	"picket/packet"
	"picket/printable"
	"picket/session"
	"picket/token"
	"picket/topic"
)

// Bounds of what is told of retained messages.
const (
	countedBelow = 50_000 // retained messages that are counted below the levels of one answer
	shownTopics  = 20     // of those that would be deleted
	shownPayload = 64 << 10
)

// NewMessage is a message to be published.
type NewMessage struct {
	Topic    string `json:"topic"`
	Payload  string `json:"payload,omitempty"`        // as text
	Base64   []byte `json:"payload_base64,omitempty"` // or as bytes
	QoS      byte   `json:"qos,omitempty"`
	Retain   bool   `json:"retain,omitempty"`
	Expires  uint32 `json:"expires_seconds,omitempty"` // 0: never
	User     string `json:"as_user,omitempty"`         // whose rights are asked; absent: nobody's
	ClientID string `json:"as_client_id,omitempty"`    // together with as_user
}

// NewRetained is a message to be retained.
type NewRetained struct {
	Payload string `json:"payload,omitempty"`        // as text
	Base64  []byte `json:"payload_base64,omitempty"` // or as bytes
	QoS     byte   `json:"qos,omitempty"`
	Expires uint32 `json:"expires_seconds,omitempty"` // 0: never
}

// Published is a message that has been published.
type Published struct {
	Topic  string `json:"topic"`
	Bytes  int    `json:"payload_bytes"`
	QoS    byte   `json:"qos"`
	Retain bool   `json:"retain"`
	// Receivers is how many sessions and shared groups of this node wanted it, whether they could take it or not.
	Receivers int `json:"receivers"`
}

// Retained is a retained message.
type Retained struct {
	Topic       string         `json:"topic"`
	Bytes       int            `json:"payload_bytes"`
	Payload     *string        `json:"payload,omitempty"`        // if it is UTF-8
	Base64      []byte         `json:"payload_base64,omitempty"` // if it is not
	Cut         bool           `json:"cut"`                      // there is more of it than is shown
	QoS         byte           `json:"qos"`
	From        string         `json:"from,omitempty"` // the client identifier of the publisher
	User        string         `json:"user,omitempty"`
	ExpiresIn   int64          `json:"expires_in_seconds,omitempty"`
	ContentType string         `json:"content_type,omitempty"`
	UserProps   []UserProperty `json:"user_properties,omitempty"`
}

// UserProperty is a pair of texts that came with a message.
type UserProperty struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Topics are the levels right below a topic.
type Topics struct {
	Items []TopicLevel `json:"items"`
	Next  string       `json:"next,omitempty"` // the from of the next part; absent: there is none
}

// TopicLevel is one of them.
type TopicLevel struct {
	Name     string `json:"name"`
	Topic    string `json:"topic"`                   // the whole
	Retained bool   `json:"retained"`                // it has a retained message itself
	Bytes    int    `json:"payload_bytes,omitempty"` // of that
	Below    int    `json:"below"`                   // retained messages below it
	More     bool   `json:"below_more,omitempty"`    // there may be more of them: counting has ended
}

// Removal is what a deletion would remove, or has removed.
type Removal struct {
	Removed bool     `json:"removed"`
	Count   int      `json:"count"`
	Bytes   int64    `json:"payload_bytes"`
	Topics  []string `json:"topics"`            // the first of them
	Confirm string   `json:"confirm,omitempty"` // what confirms this very removal
}

// messageRoutes are those about messages and topics.
func (a *API) messageRoutes() []*route {
	name := param{name: "topic", kind: text, about: "The topic.", required: true}
	shown := param{name: "payload", kind: number, about: "At most so many bytes of the payload.", max: maxBody, absent: shownPayload}
	return []*route{
		{method: "POST", path: "publish", role: token.Operator, about: "Publishes a message.", in: reflect.TypeFor[NewMessage](), needs: []string{"topic"}, out: reflect.TypeFor[Published](), do: a.publish},
		{method: "GET", path: "receivers", role: token.Viewer, about: "Who would be given what is published to a topic now, by which of their subscriptions, and whether their rules let them read it.", out: reflect.TypeFor[broker.Receivers](), do: a.receivers,
			params: []param{{name: "topic", kind: text, about: "The topic; with the listener's mount point.", required: true}, limitParam()}},
		{method: "GET", path: "topics", role: token.Viewer, about: "One level of the tree of topics that have retained messages.", out: reflect.TypeFor[Topics](), do: a.topics,
			params: []param{limitParam(), {name: "under", kind: text, about: "The topic above; absent: the first level."}, {name: "from", kind: text, about: "next of the answer before."}}},
		{method: "GET", path: "retained", role: token.Operator, about: "The retained message of a topic.", params: []param{name, shown}, out: reflect.TypeFor[Retained](), do: a.retained},
		{method: "PUT", path: "retained", role: token.Operator, about: "Publishes a message that is retained.", params: []param{name}, in: reflect.TypeFor[NewRetained](), out: reflect.TypeFor[Published](), do: a.retain},
		{method: "DELETE", path: "retained", role: token.Operator, about: "Deletes the retained message of a topic, or all that a filter matches: first without confirm, which tells what would go. Subscribers are not told.",
			params: []param{{name: "topic", kind: text, about: "The topic."}, {name: "filter", kind: text, about: "A topic filter, in place of topic."}, {name: "confirm", kind: text, about: "confirm of the answer without it."}},
			out:    reflect.TypeFor[Removal](), do: a.removeRetained},
	}
}

// payload is the one of the two members that was given.
func payload(text string, bytes []byte) ([]byte, error) {
	if text != "" && bytes != nil {
		return nil, wrongMember("payload_base64", "payload is there already")
	}
	if bytes != nil {
		return bytes, nil
	}
	return []byte(text), nil
}

// message makes the message that is published.
func (a *API) message(c *call, m NewMessage) (*session.Message, error) {
	if err := topic.CheckName([]byte(m.Topic)); err != nil {
		return nil, unfit(fmt.Errorf("topic: %w", err))
	}
	if m.QoS > 2 {
		return nil, wrongMember("qos", "0, 1 or 2 is expected")
	}
	data, err := payload(m.Payload, m.Base64)
	if err != nil {
		return nil, err
	}
	c.note += fmt.Sprintf("topic=%q bytes=%d qos=%d retain=%t as=%q", m.Topic, len(data), m.QoS, m.Retain, m.User)
	out := &session.Message{Topic: m.Topic, Payload: data, QoS: m.QoS, Retain: m.Retain}
	if m.Expires > 0 {
		out.Expires = a.Now().Unix() + int64(m.Expires)
	}
	return out, nil
}

// send publishes a message.
func (a *API) send(c *call, n NewMessage, as *access.Login) (any, error) {
	m, err := a.message(c, n)
	if err != nil {
		return nil, err
	}
	matched, err := a.Broker.PublishAs(c.request.Context(), as, m)
	if err != nil {
		return nil, err
	}
	return Published{Topic: n.Topic, Bytes: len(m.Payload), QoS: n.QoS, Retain: n.Retain, Receivers: matched}, nil
}

func (a *API) publish(c *call) (any, error) {
	n := c.in.(*NewMessage)
	var as *access.Login
	switch {
	case n.User != "":
		as = &access.Login{ClientID: n.ClientID, HasUsername: true, Username: n.User}
	case n.ClientID != "":
		return nil, wrongMember("as_client_id", "it is for as_user, which is not there")
	}
	return a.send(c, *n, as)
}

func (a *API) retain(c *call) (any, error) {
	n := c.in.(*NewRetained)
	m := NewMessage{Topic: c.text("topic"), Payload: n.Payload, Base64: n.Base64, QoS: n.QoS, Expires: n.Expires, Retain: true}
	if m.Payload == "" && len(m.Base64) == 0 {
		return nil, wrongMember("payload", "an empty message is not retained; DELETE removes one")
	}
	return a.send(c, m, nil)
}

func (a *API) receivers(c *call) (any, error) {
	all, err := a.Broker.Receivers(c.request.Context(), c.text("topic"), c.number("limit"))
	if err != nil && c.request.Context().Err() == nil {
		return nil, wrongParam("topic", "%v", err)
	}
	return all, err
}

func (a *API) topics(c *call) (any, error) {
	q := topic.LevelQuery{Under: c.text("under"), Root: !c.params.Has("under"), From: c.text("from"), Limit: c.number("limit"), Count: countedBelow}
	levels, next, more := a.Broker.RetainedLevels(q)
	all := Topics{Items: []TopicLevel{}}
	if more {
		all.Next = next
	}
	for _, l := range levels {
		one := TopicLevel{Name: l.Name, Topic: l.Name, Below: l.Below, More: l.Cut}
		if !q.Root {
			one.Topic = q.Under + "/" + l.Name
		}
		if m := l.Value.Message(); l.Set && m != nil {
			one.Retained, one.Bytes = true, len(m.Payload)
		}
		all.Items = append(all.Items, one)
	}
	return all, nil
}

func (a *API) retained(c *call) (any, error) {
	m := a.Broker.Retained(c.text("topic"))
	if m == nil {
		return nil, notFound("the topic %q has no retained message", printable.Text(c.text("topic")))
	}
	return a.shown(m, c.number("payload")), nil
}

// shown is a message as it is told, with at most so many bytes of its payload.
func (a *API) shown(m *session.Message, payload int) Retained {
	r := Retained{Topic: m.Topic, Bytes: len(m.Payload), QoS: m.QoS, From: m.From, User: m.User}
	if m.Expires != 0 {
		r.ExpiresIn = max(1, m.Expires-a.Now().Unix())
	}
	shown := m.Payload[:min(len(m.Payload), payload)]
	r.Cut = len(shown) < len(m.Payload)
	if utf8.Valid(m.Payload) {
		for !utf8.Valid(shown) {
			shown = shown[:len(shown)-1] // not in the middle of a character
		}
		as := string(shown)
		r.Payload = &as
	} else {
		r.Base64 = shown
	}
	props, err := (&packet.Publish{Props: m.Props}).Properties()
	if err == nil && props != nil {
		r.ContentType = props.ContentType
		for _, u := range props.User {
			r.UserProps = append(r.UserProps, UserProperty{u.Key, u.Value})
		}
	}
	return r
}

// removeRetained deletes one, or tells what a filter would delete, or deletes that.
func (a *API) removeRetained(c *call) (any, error) {
	filter := c.text("filter")
	switch {
	case c.params.Has("topic") == c.params.Has("filter"):
		return nil, wrongParam("topic", "either topic or filter is expected")
	case c.params.Has("topic"):
		return a.removeOne(c)
	}
	if err := topic.CheckFilter(filter); err != nil {
		return nil, wrongParam("filter", "%v", err)
	}
	if _, _, shared := topic.SplitShare(filter); shared {
		return nil, wrongParam("filter", "retained messages know no shared groups")
	}
	all := a.Broker.RetainedBy(filter)
	r := removal(filter, all)
	if !c.params.Has("confirm") {
		c.note = "preview"
		return r, nil
	}
	if c.text("confirm") != r.Confirm {
		return nil, conflict(errors.New("confirm is that of another filter, or other messages are retained by now: ask again without it"))
	}
	return a.remove(c, r, all)
}

func (a *API) removeOne(c *call) (any, error) {
	if c.params.Has("confirm") {
		return nil, wrongParam("confirm", "it is for a filter")
	}
	name := c.text("topic")
	if len(name) > 0 && name[0] == '$' {
		return nil, conflict(errors.New("what begins with $ is the broker's own"))
	}
	m := a.Broker.Retained(name)
	if m == nil {
		return nil, notFound("the topic %q has no retained message", printable.Text(name))
	}
	all := []*session.Message{m}
	return a.remove(c, removal("", all), all)
}

// remove carries out a removal.
func (a *API) remove(c *call, r Removal, all []*session.Message) (any, error) {
	n, err := a.Broker.RemoveRetained(c.request.Context(), all)
	c.note = "count=" + strconv.Itoa(n)
	r.Removed, r.Count, r.Confirm = true, n, ""
	return r, err
}

// removal is what would be removed; what confirms it changes when one of the messages does.
func removal(filter string, all []*session.Message) Removal {
	r, sum := Removal{Count: len(all), Topics: []string{}}, sha256.New()
	fmt.Fprintf(sum, "%q", filter)
	for i, m := range all {
		r.Bytes += int64(len(m.Payload))
		if i < shownTopics {
			r.Topics = append(r.Topics, m.Topic)
		}
		fmt.Fprintf(sum, " %q %d", m.Topic, m.Stored)
	}
	r.Confirm = hex.EncodeToString(sum.Sum(nil)[:8])
	return r
}
