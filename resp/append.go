package resp

import "strconv"

// AppendCommand appends a command as an array of bulk strings.
func AppendCommand(b []byte, args ...string) []byte {
	b = appendHead(b, Array, len(args))
	for _, a := range args {
		b = appendBulk(b, a)
	}
	return b
}

func appendHead(b []byte, k Kind, n int) []byte {
	b = append(b, byte(k))
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, '\r', '\n')
}

func appendBulk(b []byte, s string) []byte {
	b = appendHead(b, Bulk, len(s))
	b = append(b, s...)
	return append(b, '\r', '\n')
}

// appendLine appends a value of one line; CR and LF in it become spaces, which alone keeps the stream readable.
func appendLine(b []byte, k Kind, s string) []byte {
	b = append(b, byte(k))
	for i := range len(s) {
		if c := s[i]; c == '\r' || c == '\n' {
			b = append(b, ' ')
		} else {
			b = append(b, c)
		}
	}
	return append(b, '\r', '\n')
}

// NullArray is the null that version 2 writes as *-1 instead of $-1.
var NullArray = Value{Kind: Null, Int: 1}

// Append appends v as protocol version proto (2 or 3) writes it: what version 2 has no kind for becomes the nearest it has.
func Append(b []byte, proto int, v Value) []byte {
	k := v.Kind
	switch k {
	case Simple, Error:
		return appendLine(b, k, v.Str)
	case Integer:
		b = append(b, ':')
		b = strconv.AppendInt(b, v.Int, 10)
		return append(b, '\r', '\n')
	case Null:
		switch {
		case proto >= 3:
			return append(b, "_\r\n"...)
		case v.Int == 1:
			return append(b, "*-1\r\n"...)
		}
		return append(b, "$-1\r\n"...)
	case Boolean:
		if proto < 3 {
			return Append(b, proto, Int(v.Int))
		}
		if v.Int != 0 {
			return append(b, "#t\r\n"...)
		}
		return append(b, "#f\r\n"...)
	case Double, BigNumber:
		if proto < 3 {
			return appendBulk(b, v.Str)
		}
		return appendLine(b, k, v.Str)
	case Array, Set, Push, Map:
		n := len(v.Elems)
		switch {
		case proto < 3:
			k = Array
		case k == Map:
			n /= 2
		}
		b = appendHead(b, k, n)
		for _, e := range v.Elems {
			b = Append(b, proto, e)
		}
		return b
	case Verbatim:
		if proto < 3 {
			return appendBulk(b, v.Str)
		}
		b = appendHead(b, Verbatim, len(v.Str)+4)
		b = append(b, "txt:"...)
		b = append(b, v.Str...)
		return append(b, '\r', '\n')
	}
	return appendBulk(b, v.Str)
}
