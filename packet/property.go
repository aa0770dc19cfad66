package packet

import (
	"encoding/binary"
	"math/bits"
)

// PropertyID names an MQTT 5 property (MQTT 5.0, table 2-4).
type PropertyID byte

// The properties.
const (
	PayloadFormatIndicator      PropertyID = 0x01
	MessageExpiryInterval       PropertyID = 0x02
	ContentType                 PropertyID = 0x03
	ResponseTopic               PropertyID = 0x08
	CorrelationData             PropertyID = 0x09
	SubscriptionIdentifier      PropertyID = 0x0B
	SessionExpiryInterval       PropertyID = 0x11
	AssignedClientIdentifier    PropertyID = 0x12
	ServerKeepAlive             PropertyID = 0x13
	AuthenticationMethod        PropertyID = 0x15
	AuthenticationData          PropertyID = 0x16
	RequestProblemInformation   PropertyID = 0x17
	WillDelayInterval           PropertyID = 0x18
	RequestResponseInformation  PropertyID = 0x19
	ResponseInformation         PropertyID = 0x1A
	ServerReference             PropertyID = 0x1C
	ReasonString                PropertyID = 0x1F
	ReceiveMaximum              PropertyID = 0x21
	TopicAliasMaximum           PropertyID = 0x22
	TopicAlias                  PropertyID = 0x23
	MaximumQoS                  PropertyID = 0x24
	RetainAvailable             PropertyID = 0x25
	UserProperties              PropertyID = 0x26
	MaximumPacketSize           PropertyID = 0x27
	WildcardAvailable           PropertyID = 0x28
	SubscriptionIDAvailable     PropertyID = 0x29
	SharedSubscriptionAvailable PropertyID = 0x2A
)

// kind is how a property's value is written.
type kind byte

const (
	kindNone kind = iota // no such property
	kindByte
	kindUint16
	kindUint32
	kindVarint
	kindText
	kindBinary
	kindPair
)

// will stands for the properties of a will, which live in CONNECT, in a set of types.
const will Type = 0

// known holds for each property its name, the form of its value and where it may stand (MQTT 5.0, table 2-4).
var known = [64]struct {
	name string
	kind kind
	in   in
}{
	PayloadFormatIndicator:      {"Payload Format Indicator", kindByte, of(PUBLISH, will)},
	MessageExpiryInterval:       {"Message Expiry Interval", kindUint32, of(PUBLISH, will)},
	ContentType:                 {"Content Type", kindText, of(PUBLISH, will)},
	ResponseTopic:               {"Response Topic", kindText, of(PUBLISH, will)},
	CorrelationData:             {"Correlation Data", kindBinary, of(PUBLISH, will)},
	SubscriptionIdentifier:      {"Subscription Identifier", kindVarint, of(PUBLISH, SUBSCRIBE)},
	SessionExpiryInterval:       {"Session Expiry Interval", kindUint32, of(CONNECT, CONNACK, DISCONNECT)},
	AssignedClientIdentifier:    {"Assigned Client Identifier", kindText, of(CONNACK)},
	ServerKeepAlive:             {"Server Keep Alive", kindUint16, of(CONNACK)},
	AuthenticationMethod:        {"Authentication Method", kindText, of(CONNECT, CONNACK, AUTH)},
	AuthenticationData:          {"Authentication Data", kindBinary, of(CONNECT, CONNACK, AUTH)},
	RequestProblemInformation:   {"Request Problem Information", kindByte, of(CONNECT)},
	WillDelayInterval:           {"Will Delay Interval", kindUint32, of(will)},
	RequestResponseInformation:  {"Request Response Information", kindByte, of(CONNECT)},
	ResponseInformation:         {"Response Information", kindText, of(CONNACK)},
	ServerReference:             {"Server Reference", kindText, of(CONNACK, DISCONNECT)},
	ReasonString:                {"Reason String", kindText, of(CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH)},
	ReceiveMaximum:              {"Receive Maximum", kindUint16, of(CONNECT, CONNACK)},
	TopicAliasMaximum:           {"Topic Alias Maximum", kindUint16, of(CONNECT, CONNACK)},
	TopicAlias:                  {"Topic Alias", kindUint16, of(PUBLISH)},
	MaximumQoS:                  {"Maximum QoS", kindByte, of(CONNACK)},
	RetainAvailable:             {"Retain Available", kindByte, of(CONNACK)},
	UserProperties:              {"User Property", kindPair, ^in(0)},
	MaximumPacketSize:           {"Maximum Packet Size", kindUint32, of(CONNECT, CONNACK)},
	WildcardAvailable:           {"Wildcard Subscription Available", kindByte, of(CONNACK)},
	SubscriptionIDAvailable:     {"Subscription Identifier Available", kindByte, of(CONNACK)},
	SharedSubscriptionAvailable: {"Shared Subscription Available", kindByte, of(CONNACK)},
}

// String is the property's name in the specification.
func (id PropertyID) String() string {
	if int(id) < len(known) && known[id].kind != kindNone {
		return known[id].name
	}
	return "unknown property"
}

// Properties are the properties of one packet, or of a will. [Properties.Has] tells which are present; the zero value of
// a field says nothing. Build one by setting fields and marking them with [Properties.Set].
type Properties struct {
	present uint64 // bit n: property n

	PayloadFormat           byte   // 0 bytes, 1 UTF-8
	MessageExpiry           uint32 // seconds
	ContentType             string
	ResponseTopic           string
	CorrelationData         []byte
	SubscriptionIDs         []uint32 // one in SUBSCRIBE, any number in PUBLISH to a client
	SessionExpiry           uint32   // seconds; 0xFFFFFFFF never
	AssignedClientID        string
	ServerKeepAlive         uint16 // seconds
	AuthMethod              string
	AuthData                []byte
	RequestProblem          byte   // 0 or 1
	WillDelay               uint32 // seconds
	RequestResponse         byte   // 0 or 1
	ResponseInfo            string
	ServerReference         string
	ReasonString            string
	ReceiveMaximum          uint16 // not 0
	TopicAliasMaximum       uint16
	TopicAlias              uint16 // not 0
	MaximumQoS              byte   // 0 or 1
	RetainAvailable         byte   // 0 or 1, as all the others that end in Available
	User                    []UserProperty
	MaximumPacketSize       uint32 // bytes, not 0
	WildcardAvailable       byte
	SubscriptionIDAvailable byte
	SharedAvailable         byte
}

// UserProperty is a pair of strings that Picket carries and does not interpret. Their order is kept (MQTT-3.3.2-18).
type UserProperty struct{ Key, Value string }

// Has reports whether the property is present. A nil p has none.
func (p *Properties) Has(id PropertyID) bool { return p != nil && p.present&(1<<id) != 0 }

// Set marks the property as present, so that it is encoded, and returns p.
func (p *Properties) Set(id PropertyID) *Properties {
	p.present |= 1 << id
	return p
}

// Unset takes the mark off again.
func (p *Properties) Unset(id PropertyID) { p.present &^= 1 << id }

// AddUser appends a user property and marks them present.
func (p *Properties) AddUser(key, value string) {
	p.User = append(p.User, UserProperty{key, value})
	p.Set(UserProperties)
}

// Append adds the properties with their length before them; a nil p is a length of zero.
func (p *Properties) Append(dst []byte) []byte {
	dst, at := open(dst)
	return shut(p.AppendRaw(dst), at)
}

// AppendRaw adds the properties without their length, ordered by identifier.
func (p *Properties) AppendRaw(dst []byte) []byte {
	if p == nil {
		return dst
	}
	for left := p.present; left != 0; left &= left - 1 {
		dst = p.appendOne(dst, PropertyID(bits.TrailingZeros64(left)))
	}
	return dst
}

// connackOrder comes before all other properties of a CONNACK: mosquitto's order, which tests that compare whole packets rely on.
var connackOrder = []PropertyID{ServerKeepAlive, TopicAliasMaximum, AssignedClientIdentifier, AuthenticationMethod, AuthenticationData,
	RetainAvailable, MaximumPacketSize, ReceiveMaximum, MaximumQoS}

func (p *Properties) appendConnack(dst []byte) []byte {
	dst, at := open(dst)
	if p != nil {
		rest := *p
		for _, id := range connackOrder {
			if rest.Has(id) {
				dst = p.appendOne(dst, id)
				rest.Unset(id)
			}
		}
		dst = rest.AppendRaw(dst)
	}
	return shut(dst, at)
}

func (p *Properties) appendOne(dst []byte, id PropertyID) []byte {
	switch id {
	case SubscriptionIdentifier:
		for _, n := range p.SubscriptionIDs {
			dst = AppendVarint(append(dst, byte(id)), int(n))
		}
		return dst
	case UserProperties:
		for _, u := range p.User {
			dst = appendString(appendString(append(dst, byte(id)), u.Key), u.Value)
		}
		return dst
	}
	switch f := p.field(id).(type) {
	case *byte:
		return append(dst, byte(id), *f)
	case *uint16:
		return binary.BigEndian.AppendUint16(append(dst, byte(id)), *f)
	case *uint32:
		return binary.BigEndian.AppendUint32(append(dst, byte(id)), *f)
	case *string:
		return appendString(append(dst, byte(id)), *f)
	case *[]byte:
		return appendString(append(dst, byte(id)), *f)
	}
	return dst
}

// field is the address of a property's value, nil for the two that may come more than once.
func (p *Properties) field(id PropertyID) any {
	switch id {
	case PayloadFormatIndicator:
		return &p.PayloadFormat
	case MessageExpiryInterval:
		return &p.MessageExpiry
	case ContentType:
		return &p.ContentType
	case ResponseTopic:
		return &p.ResponseTopic
	case CorrelationData:
		return &p.CorrelationData
	case SessionExpiryInterval:
		return &p.SessionExpiry
	case AssignedClientIdentifier:
		return &p.AssignedClientID
	case ServerKeepAlive:
		return &p.ServerKeepAlive
	case AuthenticationMethod:
		return &p.AuthMethod
	case AuthenticationData:
		return &p.AuthData
	case RequestProblemInformation:
		return &p.RequestProblem
	case WillDelayInterval:
		return &p.WillDelay
	case RequestResponseInformation:
		return &p.RequestResponse
	case ResponseInformation:
		return &p.ResponseInfo
	case ServerReference:
		return &p.ServerReference
	case ReasonString:
		return &p.ReasonString
	case ReceiveMaximum:
		return &p.ReceiveMaximum
	case TopicAliasMaximum:
		return &p.TopicAliasMaximum
	case TopicAlias:
		return &p.TopicAlias
	case MaximumQoS:
		return &p.MaximumQoS
	case RetainAvailable:
		return &p.RetainAvailable
	case MaximumPacketSize:
		return &p.MaximumPacketSize
	case WildcardAvailable:
		return &p.WildcardAvailable
	case SubscriptionIDAvailable:
		return &p.SubscriptionIDAvailable
	case SharedSubscriptionAvailable:
		return &p.SharedAvailable
	}
	return nil
}

// Value is the value of a property that may come once, for showing it: a byte, uint16, uint32, string or []byte; of [SubscriptionIdentifier] the list. It is nil for one that is not there.
func (p *Properties) Value(id PropertyID) any {
	if !p.Has(id) {
		return nil
	}
	if id == SubscriptionIdentifier {
		return p.SubscriptionIDs
	}
	switch f := p.field(id).(type) {
	case *byte:
		return *f
	case *uint16:
		return *f
	case *uint32:
		return *f
	case *string:
		return *f
	case *[]byte:
		return *f
	}
	return nil
}
