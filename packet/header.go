package packet

// Header reads the fixed header at the start of b. head is the fixed header's length (2..5), remaining the value of
// its Remaining Length field, so a whole packet has arrived once len(b) >= head+remaining. With head == 0 and err == nil
// more bytes are needed. The error is an [*Error]: a Remaining Length of more than four bytes (MQTT 5.0, 1.5.5; 3.1.1, 2.2.3).
//
// A length padded with zero groups is accepted: devices exist that always send two bytes, and 3.1.1 allows it.
func Header(b []byte) (head, remaining int, err error) {
	if len(b) < 2 {
		return 0, 0, nil
	}
	if b[1] < 0x80 {
		return 2, int(b[1]), nil
	}
	for i, shift := 1, 0; i <= 4; i, shift = i+1, shift+7 {
		if i == len(b) {
			return 0, 0, nil
		}
		remaining |= int(b[i]&0x7f) << shift
		if b[i] < 0x80 {
			return i + 1, remaining, nil
		}
	}
	return 0, 0, &Error{Code: MalformedPacket, Clause: "MQTT-1.5.5-1", Text: "Remaining Length of more than four bytes"}
}

// SizeVarint is how many bytes n takes as a variable byte integer (1..4).
func SizeVarint(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	case n < 1<<21:
		return 3
	}
	return 4
}

// AppendVarint adds n, at most [MaxRemaining], as a variable byte integer of the fewest bytes (MQTT-1.5.5-1).
func AppendVarint(dst []byte, n int) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

// open starts a part of a packet that is preceded by its own length: one byte is kept free for the length.
// The returned position is for [shut].
func open(dst []byte) ([]byte, int) {
	return append(dst, 0), len(dst)
}

// shut writes the length of what was added since open, making room where one byte is too few.
func shut(dst []byte, at int) []byte {
	n := len(dst) - at - 1
	k := SizeVarint(n)
	if k > 1 {
		dst = append(dst, 0, 0, 0)[:len(dst)+k-1]
		copy(dst[at+k:], dst[at+1:at+1+n])
	}
	AppendVarint(dst[:at], n)
	return dst
}
