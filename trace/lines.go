package trace

import (
	"encoding/json"
	"time"

	"picket/cause"
	"picket/packet"
)

// Line is an event as JSON has it. Members that say nothing are absent.
type Line struct {
	At        time.Time `json:"at,omitzero"`
	Event     Kind      `json:"event"`
	Client    string    `json:"client,omitempty"`
	User      string    `json:"user,omitempty"`
	Address   string    `json:"address,omitempty"` // of the client, with its port
	Transport string    `json:"transport,omitempty"`
	TLS       bool      `json:"tls,omitempty"`
	MQTT      string    `json:"mqtt,omitempty"`

	Direction string `json:"direction,omitempty"` // in: from the client; out: to it
	Packet    string `json:"packet,omitempty"`    // its type
	Bytes     int    `json:"bytes,omitempty"`     // of the packet
	ID        uint16 `json:"packet_id,omitempty"`
	MadeUp    bool   `json:"made_up,omitempty"` // the client was connected before the trace began
	Hidden    bool   `json:"hidden,omitempty"`  // what is secret has been left out
	Cut       bool   `json:"cut,omitempty"`     // there is more of the packet

	Topic        string         `json:"topic,omitempty"`
	QoS          *byte          `json:"qos,omitempty"`
	Retain       bool           `json:"retain,omitempty"`
	Dup          bool           `json:"dup,omitempty"`
	PayloadBytes *int           `json:"payload_bytes,omitempty"`
	Payload      *string        `json:"payload,omitempty"`        // if it is UTF-8
	Base64       []byte         `json:"payload_base64,omitempty"` // if it is not
	Filters      []Filter       `json:"filters,omitempty"`
	Codes        []string       `json:"codes,omitempty"` // reason codes by name
	CleanStart   *bool          `json:"clean_start,omitempty"`
	KeepAlive    *uint16        `json:"keep_alive_seconds,omitempty"`
	Will         string         `json:"will_topic,omitempty"`
	Present      *bool          `json:"session_present,omitempty"`
	Properties   map[string]any `json:"properties,omitempty"` // by their names in the specification

	Cause  cause.ID `json:"cause,omitempty"`
	Title  string   `json:"title,omitempty"` // in the reader's language
	Remedy string   `json:"remedy,omitempty"`
	Text   string   `json:"text,omitempty"`
	Lost   int      `json:"lost,omitempty"` // events that are missing here
}

// Filter is one of a SUBSCRIBE or UNSUBSCRIBE.
type Filter struct {
	Filter string `json:"filter"`
	QoS    *byte  `json:"qos,omitempty"`
}

// JSON is an event as a line of JSON.
func JSON(e *Event, lang cause.Lang) ([]byte, error) {
	l := Line{Event: e.Kind, Text: e.Text, Lost: e.Lost, Cause: e.Cause}
	if e.At != 0 {
		l.At = time.Unix(0, e.At).UTC()
	}
	if p := e.Peer; p != nil {
		l.Client, l.User, l.Transport, l.TLS = p.Client, p.User, p.Transport, p.TLS
		if p.Remote.IsValid() {
			l.Address = plain(p.Remote).String()
		}
		if p.Version != 0 {
			l.MQTT = p.Version.String()
		}
	}
	if about, ok := cause.Lookup(e.Cause); ok {
		l.Title = about.Title.In(lang)
		l.Remedy, _ = about.Remedy.Render(lang, nil)
	}
	if e.Kind == Packet {
		l.packet(e)
	}
	data, err := json.Marshal(&l)
	return append(data, '\n'), err
}

// packet fills in what the packet says.
func (l *Line) packet(e *Event) {
	l.Direction = "in"
	if e.Out {
		l.Direction = "out"
	}
	l.Packet, l.Bytes, l.MadeUp, l.Hidden, l.Cut, l.Topic = e.Type().String(), e.Size, e.MadeUp, e.Hidden, e.Cut(), e.Topic
	if e.Payload >= 0 {
		l.PayloadBytes = &e.Payload
	}
	switch p := e.decode().(type) {
	case *packet.Connect:
		l.CleanStart, l.KeepAlive = &p.CleanStart, &p.KeepAlive
		if p.Will != nil {
			l.Will = p.Will.Topic
		}
		l.properties(p.Props)
	case *packet.Connack:
		l.Present = &p.SessionPresent
		l.codes(p.Code)
		l.properties(p.Props)
	case *packet.Publish:
		l.publish(p)
	case *packet.Ack:
		l.ID = p.ID
		l.coded(e, p.Code)
		l.properties(p.Props)
	case *packet.Subscribe:
		l.ID = p.ID
		for _, f := range p.Filters {
			l.Filters = append(l.Filters, Filter{f.Filter, &f.QoS})
		}
		l.properties(p.Props)
	case *packet.Suback:
		l.ID = p.ID
		l.codes(p.Codes...)
		l.properties(p.Props)
	case *packet.Unsubscribe:
		l.ID = p.ID
		for _, f := range p.Filters {
			l.Filters = append(l.Filters, Filter{Filter: f})
		}
		l.properties(p.Props)
	case *packet.Unsuback:
		l.ID = p.ID
		l.codes(p.Codes...)
		l.properties(p.Props)
	case *packet.Disconnect:
		l.coded(e, p.Code)
		l.properties(p.Props)
	case *packet.Auth:
		l.codes(p.Code)
		l.properties(p.Props)
	}
}

func (l *Line) codes(all ...packet.Code) {
	for _, c := range all {
		l.Codes = append(l.Codes, c.String())
	}
}

// coded is codes for a packet that has one in MQTT 5 only.
func (l *Line) coded(e *Event, c packet.Code) {
	if e.Peer.Version == packet.V5 {
		l.codes(c)
	}
}

func (l *Line) publish(p *packet.Publish) {
	l.ID, l.QoS, l.Retain, l.Dup = p.ID, &p.QoS, p.Retain, p.Dup
	if props, err := p.Properties(); err == nil {
		l.properties(props)
	}
	if len(p.Payload) == 0 {
		return
	}
	if shown := wholeText(p.Payload, l.Cut); shown != "" {
		l.Payload = &shown
	} else {
		l.Base64 = p.Payload
	}
}

func (l *Line) properties(p *packet.Properties) {
	if p == nil {
		return
	}
	all := make(map[string]any)
	for id := range packet.PropertyID(64) {
		if value := p.Value(id); value != nil {
			all[id.String()] = value
		}
	}
	if len(p.User) > 0 {
		all[packet.UserProperties.String()] = p.User
	}
	if len(all) > 0 {
		l.Properties = all
	}
}
