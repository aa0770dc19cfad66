package packet

import (
	"encoding/binary"
	"unicode/utf8"
)

// MaxString is the length in bytes of the longest string or binary field (MQTT 5.0, 1.5.4 and 1.5.6).
const MaxString = 65535

// What a check of a string found.
const (
	textOK = iota
	textBroken
	textNUL
	textControl
	textWildcard
)

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// zeros has a high bit set if, and only if, one of the eight bytes of x is zero. (Which one is exact only for the
// lowest; here only whether matters.)
func zeros(x uint64) uint64 { return (x - ones) &^ x & highs }

// checkText checks a UTF-8 encoded string: well-formed, without surrogates (MQTT-1.5.4-1) and U+0000 (MQTT-1.5.4-2).
// Other control characters and non-characters are let through: the specification leaves them to the receiver.
func checkText(s []byte) int {
	for len(s) >= 8 {
		x := binary.LittleEndian.Uint64(s)
		if x&highs|zeros(x) != 0 {
			return slowText(s)
		}
		s = s[8:]
	}
	for _, c := range s {
		if c-1 >= 0x7f {
			return slowText(s)
		}
	}
	return textOK
}

// below has a high bit set if, and only if, one of the eight bytes of x, which are ASCII, is less than n.
func below(x, n uint64) uint64 { return (x - n*ones) &^ x & highs }

// checkName is checkText that also finds wildcards and control characters, in one pass. Names, identifiers and filters end up in logs and on
// screens; a receiver may refuse control characters (1.5.4), and mosquitto does.
func checkName(s []byte) int {
	t := s
	for len(t) >= 8 {
		x := binary.LittleEndian.Uint64(t)
		if x&highs|below(x, ' ')|zeros(x^(0x7f*ones))|zeros(x^('+'*ones))|zeros(x^('#'*ones)) != 0 {
			return slowName(t)
		}
		t = t[8:]
	}
	for _, c := range t {
		if c < ' ' || c >= 0x7f || c == '+' || c == '#' {
			return slowName(t)
		}
	}
	return textOK
}

// slowText goes on where a byte outside of U+0001..U+007F was seen; what lies before is ASCII, so s starts at a character.
func slowText(s []byte) int {
	if !utf8.Valid(s) {
		return textBroken
	}
	for _, c := range s {
		if c == 0 {
			return textNUL
		}
	}
	return textOK
}

func slowName(s []byte) int {
	if r := slowText(s); r != textOK {
		return r
	}
	wildcard := false
	for _, c := range string(s) {
		if c < ' ' || c >= 0x7f && c <= 0x9f {
			return textControl
		}
		wildcard = wildcard || c == '+' || c == '#'
	}
	if wildcard {
		return textWildcard
	}
	return textOK
}

// ValidName reports whether name is UTF-8 without wildcards, U+0000 and other control characters, as the name of a PUBLISH has to be.
func ValidName(name []byte) bool { return checkName(name) == textOK }

// ValidText reports whether s may be sent as an MQTT string: at most [MaxString] bytes of UTF-8 without U+0000.
func ValidText(s string) bool {
	return len(s) <= MaxString && checkText([]byte(s)) == textOK
}

// appendString adds s with its length before it. What is longer than MaxString is cut at a character: callers that build
// strings out of parts check the length before.
func appendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	n := fit(s)
	dst = append(dst, byte(n>>8), byte(n))
	return append(dst, s[:n]...)
}

// fit is how many bytes of s a string field takes: all, or as many whole characters as MaxString allows.
func fit[S ~string | ~[]byte](s S) int {
	n := len(s)
	if n > MaxString {
		n = MaxString
		for n > MaxString-utf8.UTFMax && !utf8.RuneStart(s[n]) {
			n--
		}
	}
	return n
}
