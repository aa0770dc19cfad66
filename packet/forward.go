package packet

import "encoding/binary"

// skip is the identifier and whole length of the property at the front of props, which have been validated.
func skip(props []byte) (PropertyID, int) {
	id := PropertyID(props[0])
	switch known[id].kind {
	case kindByte:
		return id, 2
	case kindUint16:
		return id, 3
	case kindUint32:
		return id, 5
	case kindVarint:
		n := 1
		for props[n] >= 0x80 {
			n++
		}
		return id, n + 1
	case kindPair:
		n := 3 + int(binary.BigEndian.Uint16(props[1:]))
		return id, n + 2 + int(binary.BigEndian.Uint16(props[n:]))
	default: // text and binary
		return id, 3 + int(binary.BigEndian.Uint16(props[1:]))
	}
}

// AppendForward adds those of the properties in props (as [Publish.Props] has them, validated) that a server forwards as they
// are (MQTT-3.3.2-4, -15, -16, -17, -20): all but topic alias, message expiry interval and subscription identifiers, which are
// said anew for each receiver.
func AppendForward(dst, props []byte) []byte {
	return appendWithout(dst, props, 1<<TopicAlias|1<<MessageExpiryInterval|1<<SubscriptionIdentifier)
}

// appendWithout adds props but for those in the set, copying each run between two of them at once.
func appendWithout(dst, props []byte, set uint64) []byte {
	from := 0
	for at := 0; at < len(props); {
		id, n := skip(props[at:])
		if set&(1<<id) != 0 {
			dst = append(dst, props[from:at]...)
			from = at + n
		}
		at += n
	}
	return append(dst, props[from:]...)
}
