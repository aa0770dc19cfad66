// Package printable makes what strangers have written fit to be shown: in a log, on a terminal, in JSON that somebody looks at. Control characters
// (C0, DEL, C1), bytes that are not UTF-8, and characters that cannot be seen or that turn the direction of writing are written as escapes.
package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text escapes a string: \n, \x1b, \u202e.
func Text(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return string(Append([]byte(s), 0))
		}
	}
	return s
}

// ShellWord is a string as one word of a shell's command line, in quotes where it needs some.
func ShellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@%+=,") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Append escapes line[from:] in place or in a longer slice. Most lines need nothing of it and are returned as they are.
func Append(line []byte, from int) []byte {
	if from >= len(line) {
		return line
	}
	i := from
	for i < len(line) && line[i] >= ' ' && line[i] < 0x7f {
		i++
	}
	if i == len(line) {
		return line
	}
	rest := append([]byte(nil), line[i:]...)
	line = line[:i]
	for len(rest) > 0 {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			line = fmt.Appendf(line, `\x%02x`, rest[0])
		case r == '\n':
			line = append(line, `\n`...)
		case r == '\r':
			line = append(line, `\r`...)
		case r == '\t':
			line = append(line, `\t`...)
		case r < ' ' || r == 0x7f:
			line = fmt.Appendf(line, `\x%02x`, r)
		case !unicode.IsPrint(r):
			line = fmt.Appendf(line, `\u%04x`, r)
		default:
			line = append(line, rest[:size]...)
		}
		rest = rest[size:]
	}
	return line
}

// JSON escapes, in JSON as package encoding/json writes it, what that leaves as it is: DEL, C1 controls, and characters that cannot be seen or turn the
// direction. The values stay the same. data[from:] is JSON; what stands before it is not looked at.
func JSON(data []byte, from int) []byte {
	i := from
	for i < len(data) && data[i] < 0x7f {
		i++
	}
	if i == len(data) {
		return data
	}
	rest := append([]byte(nil), data[i:]...)
	data = data[:i]
	for len(rest) > 0 {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r < 0x7f, r == utf8.RuneError, unicode.IsPrint(r):
			data = append(data, rest[:size]...)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			data = fmt.Appendf(data, `\u%04x\u%04x`, high, low)
		default:
			data = fmt.Appendf(data, `\u%04x`, r)
		}
		rest = rest[size:]
	}
	return data
}
