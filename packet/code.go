package packet

import "strconv"

// Code is a reason code (MQTT 5.0, table 2-6). Values from 0x80 up are failures. The older versions know fewer;
// [Code.Return3] and [FromReturn3] translate.
type Code byte

// Reason codes. Zero has three names, one for each kind of packet it stands in.
const (
	Success                             Code = 0x00 // CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK, AUTH
	NormalDisconnection                 Code = 0x00 // DISCONNECT
	GrantedQoS0                         Code = 0x00 // SUBACK
	GrantedQoS1                         Code = 0x01 // SUBACK
	GrantedQoS2                         Code = 0x02 // SUBACK
	DisconnectWithWill                  Code = 0x04 // DISCONNECT
	NoMatchingSubscribers               Code = 0x10 // PUBACK, PUBREC
	NoSubscriptionExisted               Code = 0x11 // UNSUBACK
	ContinueAuthentication              Code = 0x18 // AUTH
	Reauthenticate                      Code = 0x19 // AUTH
	UnspecifiedError                    Code = 0x80
	MalformedPacket                     Code = 0x81
	ProtocolError                       Code = 0x82
	ImplementationSpecificError         Code = 0x83
	UnsupportedProtocolVersion          Code = 0x84
	ClientIdentifierNotValid            Code = 0x85
	BadUserNameOrPassword               Code = 0x86
	NotAuthorized                       Code = 0x87
	ServerUnavailable                   Code = 0x88
	ServerBusy                          Code = 0x89
	Banned                              Code = 0x8A
	ServerShuttingDown                  Code = 0x8B
	BadAuthenticationMethod             Code = 0x8C
	KeepAliveTimeout                    Code = 0x8D
	SessionTakenOver                    Code = 0x8E
	TopicFilterInvalid                  Code = 0x8F
	TopicNameInvalid                    Code = 0x90
	PacketIdentifierInUse               Code = 0x91
	PacketIdentifierNotFound            Code = 0x92
	ReceiveMaximumExceeded              Code = 0x93
	TopicAliasInvalid                   Code = 0x94
	PacketTooLarge                      Code = 0x95
	MessageRateTooHigh                  Code = 0x96
	QuotaExceeded                       Code = 0x97
	AdministrativeAction                Code = 0x98
	PayloadFormatInvalid                Code = 0x99
	RetainNotSupported                  Code = 0x9A
	QoSNotSupported                     Code = 0x9B
	UseAnotherServer                    Code = 0x9C
	ServerMoved                         Code = 0x9D
	SharedSubscriptionsNotSupported     Code = 0x9E
	ConnectionRateExceeded              Code = 0x9F
	MaximumConnectTime                  Code = 0xA0
	SubscriptionIdentifiersNotSupported Code = 0xA1
	WildcardSubscriptionsNotSupported   Code = 0xA2
)

// in lists, as bits, the packets that a code may stand in.
type in uint16

func of(types ...Type) in {
	var m in
	for _, t := range types {
		m |= 1 << t
	}
	return m
}

var codes = [256]struct {
	name string
	in   in
}{
	Success:                             {"Success", of(CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH)},
	GrantedQoS1:                         {"Granted QoS 1", of(SUBACK)},
	GrantedQoS2:                         {"Granted QoS 2", of(SUBACK)},
	DisconnectWithWill:                  {"Disconnect with Will Message", of(DISCONNECT)},
	NoMatchingSubscribers:               {"No matching subscribers", of(PUBACK, PUBREC)},
	NoSubscriptionExisted:               {"No subscription existed", of(UNSUBACK)},
	ContinueAuthentication:              {"Continue authentication", of(AUTH)},
	Reauthenticate:                      {"Re-authenticate", of(AUTH)},
	UnspecifiedError:                    {"Unspecified error", of(CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT)},
	MalformedPacket:                     {"Malformed Packet", of(CONNACK, DISCONNECT)},
	ProtocolError:                       {"Protocol Error", of(CONNACK, DISCONNECT)},
	ImplementationSpecificError:         {"Implementation specific error", of(CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT)},
	UnsupportedProtocolVersion:          {"Unsupported Protocol Version", of(CONNACK)},
	ClientIdentifierNotValid:            {"Client Identifier not valid", of(CONNACK)},
	BadUserNameOrPassword:               {"Bad User Name or Password", of(CONNACK)},
	NotAuthorized:                       {"Not authorized", of(CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT)},
	ServerUnavailable:                   {"Server unavailable", of(CONNACK)},
	ServerBusy:                          {"Server busy", of(CONNACK, DISCONNECT)},
	Banned:                              {"Banned", of(CONNACK)},
	ServerShuttingDown:                  {"Server shutting down", of(DISCONNECT)},
	BadAuthenticationMethod:             {"Bad authentication method", of(CONNACK, DISCONNECT)},
	KeepAliveTimeout:                    {"Keep Alive timeout", of(DISCONNECT)},
	SessionTakenOver:                    {"Session taken over", of(DISCONNECT)},
	TopicFilterInvalid:                  {"Topic Filter invalid", of(SUBACK, UNSUBACK, DISCONNECT)},
	TopicNameInvalid:                    {"Topic Name invalid", of(CONNACK, PUBACK, PUBREC, DISCONNECT)},
	PacketIdentifierInUse:               {"Packet Identifier in use", of(PUBACK, PUBREC, SUBACK, UNSUBACK)},
	PacketIdentifierNotFound:            {"Packet Identifier not found", of(PUBREL, PUBCOMP)},
	ReceiveMaximumExceeded:              {"Receive Maximum exceeded", of(DISCONNECT)},
	TopicAliasInvalid:                   {"Topic Alias invalid", of(DISCONNECT)},
	PacketTooLarge:                      {"Packet too large", of(CONNACK, DISCONNECT)},
	MessageRateTooHigh:                  {"Message rate too high", of(DISCONNECT)},
	QuotaExceeded:                       {"Quota exceeded", of(CONNACK, PUBACK, PUBREC, SUBACK, DISCONNECT)},
	AdministrativeAction:                {"Administrative action", of(DISCONNECT)},
	PayloadFormatInvalid:                {"Payload format invalid", of(CONNACK, PUBACK, PUBREC, DISCONNECT)},
	RetainNotSupported:                  {"Retain not supported", of(CONNACK, DISCONNECT)},
	QoSNotSupported:                     {"QoS not supported", of(CONNACK, DISCONNECT)},
	UseAnotherServer:                    {"Use another server", of(CONNACK, DISCONNECT)},
	ServerMoved:                         {"Server moved", of(CONNACK, DISCONNECT)},
	SharedSubscriptionsNotSupported:     {"Shared Subscriptions not supported", of(SUBACK, DISCONNECT)},
	ConnectionRateExceeded:              {"Connection rate exceeded", of(CONNACK, DISCONNECT)},
	MaximumConnectTime:                  {"Maximum connect time", of(DISCONNECT)},
	SubscriptionIdentifiersNotSupported: {"Subscription Identifiers not supported", of(SUBACK, DISCONNECT)},
	WildcardSubscriptionsNotSupported:   {"Wildcard Subscriptions not supported", of(SUBACK, DISCONNECT)},
}

// String is the code's name in the specification, or its number where it has none.
func (c Code) String() string {
	if s := codes[c].name; s != "" {
		return s
	}
	return "reason code 0x" + strconv.FormatUint(uint64(c), 16)
}

// Failed reports whether c says that what was asked for did not happen.
func (c Code) Failed() bool { return c >= 0x80 }

// Return3 is the CONNACK return code of MQTT 3.1 and 3.1.1 (3.1.1, table 3.1) that comes closest to c.
func (c Code) Return3() byte {
	switch {
	case !c.Failed():
		return 0
	case c == UnsupportedProtocolVersion:
		return 1
	case c == ClientIdentifierNotValid:
		return 2
	case c == BadUserNameOrPassword:
		return 4
	case c == NotAuthorized, c == Banned, c == BadAuthenticationMethod, c == TopicNameInvalid:
		return 5
	default:
		return 3
	}
}

// FromReturn3 is the reason code for a CONNACK return code of MQTT 3.1 or 3.1.1, and false for the values
// that are reserved there.
func FromReturn3(b byte) (Code, bool) {
	switch b {
	case 0:
		return Success, true
	case 1:
		return UnsupportedProtocolVersion, true
	case 2:
		return ClientIdentifierNotValid, true
	case 3:
		return ServerUnavailable, true
	case 4:
		return BadUserNameOrPassword, true
	case 5:
		return NotAuthorized, true
	}
	return 0, false
}
