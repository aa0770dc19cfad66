package relay

import (
	"fmt"
	"slices"
	"strings"

	"picket/packet"
	"picket/topic"
)

// Marker is the name of the user property by which a bridge knows a message again. There is one for each bridge that a message has gone over: its value names
// the broker that has the bridge, the way (out, in) and the bridge, with a blank between each.
const Marker = "picket-bridge"

// maxHops is over how many bridges a message may go.
const maxHops = 16

// Rules are what a relay goes by. They do not change.
type Rules struct {
	Topics  Topics
	Version packet.Version // spoken with the remote broker
	Self    string         // names this broker in markers; empty: none are set
	Name    string         // of the bridge
	Retain  bool           // the RETAIN flag is passed on to the remote broker
	MaxQoS  byte           // the highest that the remote broker takes
	MaxSize int            // bytes of the largest packet that the remote broker takes; 0: any
	// MaxLocal is the same of this broker.
	MaxLocal int
	Aliases  uint16 // topic aliases that the remote broker may use
}

// Drop is why a message was not passed on.
type Drop byte

// Drops.
const (
	Looped   Drop = iota // it has been here already
	TooLarge             // for the broker that was to get it
	Denied               // by the broker that was to get it
)

// Relay is what lies between two connections: one to the remote broker and one to this one, where it is a client of the session that holds what the bridge owes. It
// stores nothing. Packet identifiers are the same on both sides, so that every acknowledgement of the one side is that of the other: a publisher hears
// of a message when the broker at the other end has it, and what was under way when either connection was lost is sent again under its identifier.
//
// It lives as long as the two connections, and is not safe for concurrent use. What is to be sent is added to Local and Remote, which its owner empties.
type Relay struct {
	rules   Rules
	aliases map[uint16]string
	own     map[uint16]packet.Type // packets that the bridge itself has sent to the remote broker, by identifier, with what answers them
	lowered map[uint16]bool        // messages of QoS 2 that are sent on with QoS 1
	stale   map[uint16]int         // answers to PUBREL that nobody waits for
	props   []byte

	Local, Remote []byte // packets to be sent
	// Dropped is called for each message that is not passed on; out tells whether it was on its way to the remote broker.
	Dropped  func(why Drop, out bool, name string)
	Carried  int      // messages passed on, both ways
	Outgoing int      // of those, to the remote broker
	Unheard  []string // filters whose subscription the remote broker has refused
	asked    map[uint16]string
}

// New returns a relay between two connections that have just been made.
func New(r Rules) *Relay {
	return &Relay{rules: r, aliases: make(map[uint16]string), own: make(map[uint16]packet.Type), lowered: make(map[uint16]bool), stale: make(map[uint16]int),
		asked: make(map[uint16]string), Dropped: func(Drop, bool, string) {}}
}

// Fault is something that one of the two brokers did and that ends the bridge's connection.
type Fault struct {
	Remote bool        // the remote one did
	Code   packet.Code // of its DISCONNECT, or of what is wrong
	Text   string
}

func (f *Fault) Error() string { return f.Text }

// Subscribe asks the remote broker for the messages of the topics that come in, each under an identifier of its own, given by id.
func (r *Relay) Subscribe(id func() uint16) {
	for i := range r.rules.Topics {
		t := &r.rules.Topics[i]
		if t.Direction&In == 0 {
			continue
		}
		n := id()
		r.own[n], r.asked[n] = packet.SUBACK, t.RemoteFilter()
		p := &packet.Subscribe{ID: n, Filters: []packet.Subscription{{Filter: t.RemoteFilter(), QoS: min(t.QoS, r.rules.MaxQoS), NoLocal: true, RetainAsPublished: true}}}
		if r.rules.Version != packet.V5 {
			p.Filters[0].NoLocal, p.Filters[0].RetainAsPublished = false, false
		}
		r.Remote = p.Append(r.Remote, r.rules.Version)
	}
}

// Unsubscribe tells the remote broker that messages of topics that only go out are not wanted: a configuration before this one may have asked for them.
func (r *Relay) Unsubscribe(id func() uint16) {
	for i := range r.rules.Topics {
		if t := &r.rules.Topics[i]; t.Direction&In == 0 {
			n := id()
			r.own[n] = packet.UNSUBACK
			r.Remote = (&packet.Unsubscribe{ID: n, Filters: []string{t.RemoteFilter()}}).Append(r.Remote, r.rules.Version)
		}
	}
}

// Announce publishes a retained message of QoS 1 at the remote broker.
func (r *Relay) Announce(id uint16, name, payload string) {
	r.own[id] = packet.PUBACK
	p := packet.Publish{QoS: min(1, r.rules.MaxQoS), Retain: true, Topic: []byte(name), ID: id, Payload: []byte(payload)}
	if p.QoS == 0 {
		p.ID = 0
		delete(r.own, id)
	}
	r.Remote = p.Append(r.Remote, r.rules.Version)
}

// Release tells this broker that identifiers of QoS 2 which it has received are free: the remote broker knows nothing of the session that had used them.
func (r *Relay) Release(ids []uint16) {
	for _, id := range ids {
		r.stale[id]++
		r.Local = (&packet.Ack{Kind: packet.PUBREL, ID: id}).Append(r.Local, packet.V5)
	}
}

// Take takes the packets that are whole out of bytes from one of the two sides, and returns how many bytes they had. The error is a *[Fault].
func (r *Relay) Take(remote bool, b []byte) (n int, err error) {
	from := packet.V5
	if remote {
		from = r.rules.Version
	}
	for n < len(b) {
		head, remaining, err := packet.Header(b[n:])
		if err != nil {
			return n, fault(remote, err)
		}
		if head == 0 || len(b)-n < head+remaining {
			return n, nil
		}
		first, body := b[n], b[n+head:n+head+remaining]
		n += head + remaining
		if packet.Type(first>>4) == packet.PUBLISH {
			var p packet.Publish
			if err := p.Decode(from, first, body); err != nil {
				return n, fault(remote, err)
			}
			if remote {
				err = r.in(&p)
			} else {
				err = r.out(&p)
			}
		} else {
			var p packet.Packet
			if p, err = packet.Decode(from, first, body); err != nil {
				return n, fault(remote, err)
			}
			if remote {
				err = r.fromRemote(p)
			} else {
				err = r.fromLocal(p)
			}
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func fault(remote bool, err error) *Fault {
	f := &Fault{Remote: remote, Code: packet.MalformedPacket, Text: err.Error()}
	if e, ok := err.(*packet.Error); ok {
		f.Code = e.Code
	}
	return f
}

// fromRemote takes a packet of the remote broker that is no PUBLISH.
func (r *Relay) fromRemote(p packet.Packet) error {
	switch p := p.(type) {
	case *packet.Ack:
		r.answered(p)
	case *packet.Suback:
		delete(r.own, p.ID)
		if len(p.Codes) == 1 && p.Codes[0].Failed() {
			r.Unheard = append(r.Unheard, r.asked[p.ID])
		}
		delete(r.asked, p.ID)
	case *packet.Unsuback:
		delete(r.own, p.ID)
	case packet.Pingreq: // none that a server sends, but it costs nothing to be polite
		r.Remote = packet.Pingresp{}.Append(r.Remote, r.rules.Version)
	case packet.Pingresp:
	case *packet.Disconnect:
		text := "the remote broker disconnected: " + p.Code.String()
		if p.Props.Has(packet.ReasonString) {
			text += " (" + p.Props.ReasonString + ")"
		}
		return &Fault{Remote: true, Code: p.Code, Text: text}
	default:
		return &Fault{Remote: true, Code: packet.ProtocolError, Text: "the remote broker sent a " + p.Type().String()}
	}
	return nil
}

// answered passes an acknowledgement of the remote broker on.
func (r *Relay) answered(p *packet.Ack) {
	if p.Kind == packet.PUBACK && r.own[p.ID] == packet.PUBACK {
		delete(r.own, p.ID)
		return
	}
	code := p.Code
	if !code.Failed() {
		code = packet.Success
	} else if p.Kind == packet.PUBACK || p.Kind == packet.PUBREC {
		r.Dropped(Denied, true, code.String())
	}
	kind := p.Kind
	if kind == packet.PUBACK && r.lowered[p.ID] {
		kind = packet.PUBREC
		if code.Failed() {
			delete(r.lowered, p.ID)
		}
	}
	if kind == packet.PUBREL || kind == packet.PUBCOMP {
		code = packet.Success
	}
	r.Local = (&packet.Ack{Kind: kind, ID: p.ID, Code: code}).Append(r.Local, packet.V5)
}

// fromLocal takes a packet of this broker that is no PUBLISH.
func (r *Relay) fromLocal(p packet.Packet) error {
	switch p := p.(type) {
	case *packet.Ack:
		code := p.Code
		if !code.Failed() || p.Kind == packet.PUBREL || p.Kind == packet.PUBCOMP {
			code = packet.Success
		} else {
			r.Dropped(Denied, false, code.String())
		}
		switch {
		case p.Kind == packet.PUBREL && r.rules.MaxQoS < 2:
			delete(r.lowered, p.ID)
			r.Local = (&packet.Ack{Kind: packet.PUBCOMP, ID: p.ID}).Append(r.Local, packet.V5)
			return nil
		case p.Kind == packet.PUBCOMP && r.stale[p.ID] > 0:
			r.stale[p.ID]--
			return nil
		}
		r.Remote = (&packet.Ack{Kind: p.Kind, ID: p.ID, Code: code}).Append(r.Remote, r.rules.Version)
	case *packet.Suback:
		for _, c := range p.Codes {
			if c.Failed() {
				return &Fault{Code: c, Text: "this broker refused a subscription of the bridge: " + c.String()}
			}
		}
	case *packet.Unsuback, packet.Pingresp:
	case *packet.Disconnect:
		text := "this broker ended the bridge's session: " + p.Code.String()
		if p.Props.Has(packet.ReasonString) {
			text += " (" + p.Props.ReasonString + ")"
		}
		return &Fault{Code: p.Code, Text: text}
	default:
		return &Fault{Code: packet.ProtocolError, Text: "this broker sent a " + p.Type().String()}
	}
	return nil
}

// marker is the value of the marker of this bridge.
func (r *Relay) marker(out bool) string {
	if out {
		return r.rules.Self + " out " + r.rules.Name
	}
	return r.rules.Self + " in " + r.rules.Name
}

// looped tells whether a message has gone over this bridge before, or left this broker over any, by its properties.
func (r *Relay) looped(p *packet.Publish) bool {
	if r.rules.Self == "" || len(p.Props) == 0 {
		return false
	}
	props, err := p.Properties()
	if err != nil {
		return false
	}
	hops := 0
	for _, u := range props.User {
		if u.Key == Marker {
			if hops++; hops >= maxHops || u.Value == r.marker(false) || strings.HasPrefix(u.Value, r.rules.Self+" out ") {
				return true
			}
		}
	}
	return false
}

// forwarded are the properties that a message goes on with.
func (r *Relay) forwarded(p *packet.Publish, out bool) []byte {
	r.props = packet.AppendForward(r.props[:0], p.Props)
	if p.HasExpiry {
		r.props = packet.AppendExpiry(r.props, p.Expiry)
	}
	if r.rules.Self != "" {
		var own packet.Properties
		own.AddUser(Marker, r.marker(out))
		r.props = own.AppendRaw(r.props)
	}
	return r.props
}

// out passes a message of this broker on.
func (r *Relay) out(p *packet.Publish) error {
	name := string(p.Topic)
	if r.looped(p) {
		r.refuse(p, Looped, name)
		return nil
	}
	id, qos := p.ID, p.QoS
	q := packet.Publish{Dup: p.Dup, QoS: min(qos, r.rules.MaxQoS), Retain: p.Retain && r.rules.Retain, Topic: []byte(r.rules.Topics.ToRemote(name)), ID: id, Payload: p.Payload}
	if r.rules.Version == packet.V5 {
		q.Props = r.forwarded(p, true)
	}
	if q.QoS == 0 {
		q.ID, q.Dup = 0, false
	}
	if size := packet.PublishSize(r.rules.Version, len(q.Topic), len(q.Props), len(q.Payload), q.QoS); r.rules.MaxSize > 0 && size > r.rules.MaxSize || size > packet.MaxRemaining || len(q.Topic) > packet.MaxString {
		r.refuse(p, TooLarge, name)
		return nil
	}
	r.Remote = q.Append(r.Remote, r.rules.Version)
	r.Carried++
	r.Outgoing++
	switch {
	case qos == q.QoS:
	case q.QoS == 0 && qos == 1:
		r.Local = (&packet.Ack{Kind: packet.PUBACK, ID: id}).Append(r.Local, packet.V5)
	default:
		r.lowered[id] = true
		if q.QoS == 0 {
			r.Local = (&packet.Ack{Kind: packet.PUBREC, ID: id}).Append(r.Local, packet.V5)
		}
	}
	return nil
}

// refuse tells this broker that a message of its will not be passed on: it is done with it.
func (r *Relay) refuse(p *packet.Publish, why Drop, name string) {
	r.Dropped(why, true, name)
	kind := packet.PUBACK
	switch p.QoS {
	case 0:
		return
	case 2:
		kind = packet.PUBREC
	}
	code := packet.QuotaExceeded // PUBACK has none for a packet that is too large
	if why == Looped {
		code = packet.ImplementationSpecificError
	}
	r.Local = (&packet.Ack{Kind: kind, ID: p.ID, Code: code}).Append(r.Local, packet.V5)
}

// in passes a message of the remote broker on.
func (r *Relay) in(p *packet.Publish) error {
	name, err := r.named(p)
	if err != nil {
		return err
	}
	looped := r.rules.Version == packet.V5 && r.looped(p)
	local := r.rules.Topics.ToLocal(name)
	q := packet.Publish{Dup: p.Dup, QoS: p.QoS, Retain: p.Retain, Topic: []byte(local), ID: p.ID, Payload: p.Payload}
	if r.rules.Version == packet.V5 {
		q.Props = r.forwarded(p, false)
	}
	why := Looped
	if size := packet.PublishSize(packet.V5, len(q.Topic), len(q.Props), len(q.Payload), q.QoS); !looped && len(q.Topic) <= packet.MaxString && (r.rules.MaxLocal == 0 || size <= r.rules.MaxLocal) {
		r.Local = q.Append(r.Local, packet.V5)
		r.Carried++
		return nil
	} else if !looped {
		why = TooLarge
	}
	// It is done with. PUBREL goes on to this broker, which knows of no such message and says that it is complete.
	r.Dropped(why, false, name)
	switch p.QoS {
	case 1:
		r.Remote = (&packet.Ack{Kind: packet.PUBACK, ID: p.ID}).Append(r.Remote, r.rules.Version)
	case 2:
		r.Remote = (&packet.Ack{Kind: packet.PUBREC, ID: p.ID}).Append(r.Remote, r.rules.Version)
	}
	return nil
}

// named is the topic name of a message of the remote broker, which may have an alias in its place.
func (r *Relay) named(p *packet.Publish) (string, error) {
	name := string(p.Topic)
	if p.Alias != 0 {
		if p.Alias > r.rules.Aliases {
			return "", &Fault{Remote: true, Code: packet.TopicAliasInvalid, Text: fmt.Sprintf("the remote broker used topic alias %d, and the bridge takes %d", p.Alias, r.rules.Aliases)}
		}
		if name != "" {
			r.aliases[p.Alias] = name
		} else if name = r.aliases[p.Alias]; name == "" {
			return "", &Fault{Remote: true, Code: packet.ProtocolError, Text: fmt.Sprintf("the remote broker used topic alias %d before it had one", p.Alias)}
		}
	}
	if err := topic.CheckName([]byte(name)); err != nil {
		return "", &Fault{Remote: true, Code: packet.TopicNameInvalid, Text: "the remote broker published to a name that is none: " + err.Error()}
	}
	return name, nil
}

// LocalFilters are the filters that the bridge subscribes to at this broker, with their QoS, without doubles.
func (ts Topics) LocalFilters() (filters []packet.Subscription) {
	for i := range ts {
		t := &ts[i]
		if t.Direction&Out == 0 {
			continue
		}
		if at := slices.IndexFunc(filters, func(f packet.Subscription) bool { return f.Filter == t.LocalFilter() }); at >= 0 {
			filters[at].QoS = max(filters[at].QoS, t.QoS)
			continue
		}
		filters = append(filters, packet.Subscription{Filter: t.LocalFilter(), QoS: t.QoS, NoLocal: true, RetainAsPublished: true})
	}
	return filters
}
