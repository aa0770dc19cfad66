package packet

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// Connect is a CONNECT packet.
//
// An unknown protocol fails to decode with code [UnsupportedProtocolVersion]: with clause MQTT-3.1.2-1 the protocol's
// name is not MQTT's, so nothing is answered; with MQTT-3.1.2-2 only its level is unknown, and Version has the level as it came.
// A client identifier that the version does not allow (an empty one in 3.1, or in 3.1.1 without CleanStart) fails with
// [ClientIdentifierNotValid].
type Connect struct {
	Version     Version
	Bridge      bool   // bit 0x80 of the protocol level: mosquitto's sign that the client is another broker
	CleanStart  bool   // Clean Session before MQTT 5.0
	KeepAlive   uint16 // seconds, 0 for none
	ClientID    string
	Props       *Properties // MQTT 5.0 only
	Will        *Will       // nil for none
	HasUsername bool
	Username    string
	HasPassword bool
	Password    []byte
}

// Will is the message that a CONNECT asks to be published when the connection is lost.
type Will struct {
	Topic    string
	Payload  []byte
	QoS      byte
	Retain   bool
	Props    *Properties // MQTT 5.0 only
	RawProps []byte      // Props as they came, without Will Delay Interval: those of the PUBLISH to come
}

const (
	flagReserved = 1 << 0
	flagClean    = 1 << 1
	flagWill     = 1 << 2
	flagRetain   = 1 << 5
	flagPassword = 1 << 6
	flagUsername = 1 << 7
)

// Type is CONNECT.
func (*Connect) Type() Type { return CONNECT }

// Append adds the packet for p.Version; the argument is ignored.
func (p *Connect) Append(dst []byte, _ Version) []byte {
	dst, at := open(append(dst, byte(CONNECT)<<4))
	if p.Version == V31 {
		dst = appendString(dst, "MQIsdp")
	} else {
		dst = appendString(dst, "MQTT")
	}
	level, flags := byte(p.Version), byte(0)
	if p.Bridge {
		level |= 0x80
	}
	if p.CleanStart {
		flags |= flagClean
	}
	if w := p.Will; w != nil {
		flags |= flagWill | w.QoS<<3
		if w.Retain {
			flags |= flagRetain
		}
	}
	if p.HasUsername {
		flags |= flagUsername
	}
	if p.HasPassword {
		flags |= flagPassword
	}
	dst = append(dst, level, flags)
	dst = binary.BigEndian.AppendUint16(dst, p.KeepAlive)
	if p.Version == V5 {
		dst = p.Props.Append(dst)
	}
	dst = appendString(dst, p.ClientID)
	if w := p.Will; w != nil {
		if p.Version == V5 {
			dst = w.Props.Append(dst)
		}
		dst = appendString(appendString(dst, w.Topic), w.Payload)
	}
	if p.HasUsername {
		dst = appendString(dst, p.Username)
	}
	if p.HasPassword {
		dst = appendString(dst, p.Password)
	}
	return shut(dst, at)
}

// decodeConnect may return a packet together with an error: see Decode.
func decodeConnect(r *reader, first byte) (Packet, error) {
	p := &Connect{}
	r.v = V5 // for errors before the level is known
	name := r.binary("Protocol Name")
	level := r.byte("Protocol Version")
	if r.err != nil {
		return nil, r.err
	}
	p.Version, p.Bridge = Version(level&0x7f), level&0x80 != 0
	r.v = p.Version
	old := string(name) == "MQIsdp"
	switch {
	case !old && string(name) != "MQTT":
		r.fail(UnsupportedProtocolVersion, "MQTT-3.1.2-1", "MQTT-3.1.2-1", "the Protocol Name is %q", name[:min(len(name), 32)])
	case old && p.Version != V31, !old && p.Version != V311 && p.Version != V5:
		p.Version = Version(level)
		r.fail(UnsupportedProtocolVersion, "MQTT-3.1.2-2", "MQTT-3.1.2-2", "level %d of %s is unknown", level, name)
	}
	r.flags(first)
	flags := r.byte("Connect Flags")
	r.connectFlags(flags)
	p.CleanStart = flags&flagClean != 0
	p.KeepAlive = r.uint16("Keep Alive")
	if r.v == V5 {
		p.Props = r.properties(CONNECT)
	}
	p.ClientID = string(r.label("Client Identifier"))
	if r.err == nil && p.ClientID == "" {
		switch {
		case r.v == V31:
			r.fail(ClientIdentifierNotValid, "", "", "MQTT 3.1 demands a Client Identifier")
		case r.v == V311 && !p.CleanStart:
			r.fail(ClientIdentifierNotValid, "", "MQTT-3.1.3-8", "the Client Identifier is empty although Clean Session is 0")
		}
	}
	if flags&flagWill != 0 {
		p.Will = r.will(flags)
	}
	r.credentials(p, flags)
	r.end()
	return p, r.done()
}

// connectFlags checks the Connect Flags. MQTT 3.1 has the same bits and no rules about them but the range of the QoS.
func (r *reader) connectFlags(flags byte) {
	qos := flags >> 3 & 3
	if qos == 3 {
		r.fail(MalformedPacket, "MQTT-3.1.2-12", "MQTT-3.1.2-14", "the Will QoS is 3")
	}
	if r.v == V31 {
		return
	}
	if flags&flagReserved != 0 {
		r.fail(MalformedPacket, "MQTT-3.1.2-3", "MQTT-3.1.2-3", "the reserved Connect Flag is set")
	}
	if flags&flagWill == 0 && qos != 0 {
		r.fail(MalformedPacket, "MQTT-3.1.2-11", "MQTT-3.1.2-13", "there is a Will QoS without a will")
	}
	if flags&flagWill == 0 && flags&flagRetain != 0 {
		r.fail(MalformedPacket, "MQTT-3.1.2-13", "MQTT-3.1.2-15", "Will Retain is set without a will")
	}
	if r.v == V311 && flags&flagPassword != 0 && flags&flagUsername == 0 {
		r.fail(MalformedPacket, "", "MQTT-3.1.2-22", "there is a password without a user name")
	}
}

func (r *reader) will(flags byte) *Will {
	w := &Will{QoS: flags >> 3 & 3, Retain: flags&flagRetain != 0}
	if r.v == V5 {
		raw := *r
		w.Props = r.properties(will)
		if w.Props != nil {
			w.RawProps = appendWithout(nil, raw.part("properties"), 1<<WillDelayInterval)
		}
	}
	w.Topic = string(r.name("Will Topic"))
	w.Payload = bytes.Clone(r.binary("Will Payload"))
	if w.Props.Has(PayloadFormatIndicator) && w.Props.PayloadFormat == 1 && !utf8.Valid(w.Payload) {
		r.fail(PayloadFormatInvalid, "", "", "the will's Payload Format Indicator says UTF-8, its payload is not (3.1.3.2.3)")
	}
	return w
}

// credentials reads user name and password. Clients of MQTT 3.1 may set the flags and then send neither: that version's text
// tells servers to go on.
func (r *reader) credentials(p *Connect, flags byte) {
	given := func(flag byte) bool {
		return flags&flag != 0 && r.err == nil && (r.v != V31 || len(r.b) > 0)
	}
	if given(flagUsername) {
		p.HasUsername = true
		p.Username = string(r.label("User Name"))
	}
	if given(flagPassword) {
		p.HasPassword = true
		p.Password = bytes.Clone(r.binary("Password"))
	}
}

// Connack is a CONNACK packet.
type Connack struct {
	SessionPresent bool        // not in MQTT 3.1
	Code           Code        // translated for the versions before 5.0
	Props          *Properties // MQTT 5.0 only
}

// Type is CONNACK.
func (*Connack) Type() Type { return CONNACK }

// Append adds the packet. A refusal never has SessionPresent set (MQTT-3.2.2-6; 3.1.1: MQTT-3.2.2-4), nor does any answer to
// MQTT 3.1, where the byte is reserved.
func (p *Connack) Append(dst []byte, v Version) []byte {
	dst, at := open(append(dst, byte(CONNACK)<<4))
	flags := byte(0)
	if p.SessionPresent && !p.Code.Failed() && v != V31 {
		flags = 1
	}
	if v != V5 {
		return shut(append(dst, flags, p.Code.Return3()), at)
	}
	return shut(p.Props.appendConnack(append(dst, flags, byte(p.Code))), at)
}

func decodeConnack(r *reader) *Connack {
	p := &Connack{}
	flags := r.byte("Connect Acknowledge Flags")
	if flags > 1 && r.v != V31 {
		r.fail(MalformedPacket, "MQTT-3.2.2-1", "", "reserved Connect Acknowledge Flags are set: 0x%02x", flags)
	}
	p.SessionPresent = flags&1 != 0 && r.v != V31
	if r.v == V5 {
		p.Code = r.code()
		p.Props = r.properties(CONNACK)
		return p
	}
	b := r.byte("return code")
	var ok bool
	if p.Code, ok = FromReturn3(b); !ok {
		r.fail(ProtocolError, "", "", "return code %d is reserved (3.2.2.3)", b)
	}
	return p
}
