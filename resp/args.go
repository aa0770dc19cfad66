package resp

import (
	"errors"
	"fmt"
	"strings"
)

// ErrQuotes is returned by SplitArgs for a quote that is never closed, or closed in the middle of a word.
var ErrQuotes = errors.New("unbalanced quotes")

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// SplitArgs splits a line as inline commands and configuration files are split: at white space, with words in double quotes
// (escapes \n \r \t \b \a \xHH and \ before any other character) or single quotes (\' only).
func SplitArgs(line string) ([]string, error) {
	var args []string
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		if i >= len(line) {
			return args, nil
		}
		var word strings.Builder
		var quote byte
	scan:
		for ; ; i++ {
			if i >= len(line) {
				if quote != 0 {
					return nil, ErrQuotes
				}
				break
			}
			c := line[i]
			switch {
			case quote == 0 && isSpace(c):
				break scan
			case quote == 0 && (c == '"' || c == '\''):
				quote = c
			case quote != 0 && c == quote:
				// A closing quote must be followed by a space or nothing.
				if i+1 < len(line) && !isSpace(line[i+1]) {
					return nil, ErrQuotes
				}
				i++
				break scan
			case quote == '\'' && c == '\\' && i+1 < len(line) && line[i+1] == '\'':
				word.WriteByte('\'')
				i++
			case quote == '"' && c == '\\' && i+1 < len(line):
				c, n := escaped(line[i+1:])
				word.WriteByte(c)
				i += n
			default:
				word.WriteByte(c)
			}
		}
		args = append(args, word.String())
	}
}

// escaped is the byte that what follows a backslash stands for, and how long that is.
func escaped(s string) (c byte, n int) {
	switch s[0] {
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'b':
		return '\b', 1
	case 'a':
		return '\a', 1
	case 'x':
		if len(s) < 3 {
			break
		}
		hi, ok1 := hexDigit(s[1])
		lo, ok2 := hexDigit(s[2])
		if ok1 && ok2 {
			return hi<<4 | lo, 3
		}
	}
	return s[0], 1
}

// Quote writes s in double quotes, so that SplitArgs gives it back as one word.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '\\', '"':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\n':
			b.WriteString(`\n`)
		case '\r':
			b.WriteString(`\r`)
		case '\t':
			b.WriteString(`\t`)
		case '\a':
			b.WriteString(`\a`)
		case '\b':
			b.WriteString(`\b`)
		default:
			if c >= 0x20 && c < 0x7f {
				b.WriteByte(c)
			} else {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}

// QuoteIfNeeded quotes s only where SplitArgs would not give it back as it is.
func QuoteIfNeeded(s string) string {
	plain := s != ""
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\'' || c == '\\' || c == '#' {
			plain = false
		}
	}
	if plain {
		return s
	}
	return Quote(s)
}
