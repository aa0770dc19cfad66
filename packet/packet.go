// Package packet turns MQTT 3.1, 3.1.1 and 5.0 control packets into bytes and back.
//
// Decoding works on whole packets that have already arrived ([Header] tells how long one is), never panics, and
// allocates nothing that the input does not pay for. [Publish] is decoded in place: its slices alias the input.
// Everything that a peer may do wrong ends in an [*Error] that names the reason code and the normative statement.
package packet

import (
	"fmt"
	"strconv"
)

// Version is the protocol level byte of CONNECT.
type Version byte

// The protocol levels that exist. A bridge announces itself with bit 0x80 set beside the level (mosquitto's convention);
// Decode takes the bit off and sets [Connect.Bridge].
const (
	V31  Version = 3 // MQTT 3.1, protocol name MQIsdp
	V311 Version = 4 // MQTT 3.1.1
	V5   Version = 5 // MQTT 5.0
)

// Type is the control packet type, the high four bits of the first byte.
type Type byte

// Control packet types (MQTT 5.0, table 2-1).
const (
	CONNECT Type = 1 + iota
	CONNACK
	PUBLISH
	PUBACK
	PUBREC
	PUBREL
	PUBCOMP
	SUBSCRIBE
	SUBACK
	UNSUBSCRIBE
	UNSUBACK
	PINGREQ
	PINGRESP
	DISCONNECT
	AUTH
)

var typeNames = [...]string{"reserved type", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
	"SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"}

func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "type " + strconv.Itoa(int(t))
}

// String is the version's usual name, such as "3.1.1".
func (v Version) String() string {
	switch v {
	case V31:
		return "3.1"
	case V311:
		return "3.1.1"
	case V5:
		return "5.0"
	}
	return "level " + strconv.Itoa(int(v))
}

// MaxRemaining is the largest value of the Remaining Length field.
const MaxRemaining = 268_435_455

// Packet is any control packet.
type Packet interface {
	Type() Type
	// Append adds the packet's bytes for a peer that speaks v and returns the extended slice.
	Append(dst []byte, v Version) []byte
}

// Error says what is wrong with a packet and which statement of the specification forbids it.
type Error struct {
	Code   Code   // reason code to answer with (MQTT 5.0); older versions are closed without an answer
	Clause string // normative statement, such as "MQTT-3.3.1-4"; empty where the text has none
	Text   string // what was seen, for the log
}

func (e *Error) Error() string {
	if e.Clause == "" {
		return e.Text
	}
	return fmt.Sprintf("%s [%s]", e.Text, e.Clause)
}
