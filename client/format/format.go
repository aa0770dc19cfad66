// Package format prints messages in the formats of mosquitto_sub's option -F.
package format

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ncruces/go-strftime"

	"picket/client"
	"picket/packet"
	"picket/printable"
)

// Format is a parsed format.
type Format struct {
	parts []part
	// Pretty spreads JSON over several lines.
	Pretty bool
}

// part is literal text, or a conversion.
type part struct {
	text      string // literal text when verb is 0; for verb '@' a strftime conversion
	verb      byte
	left      bool // padded on the right
	zero      bool // padded with zeros
	width     int
	precision int // -1: none
}

const verbs = "%ACDEFIJPRSUXjlmpqrtx"

var (
	errSpecifier = errors.New("Incomplete format specifier.") //nolint:staticcheck // mosquitto's words
	errEscape    = errors.New("Incomplete escape specifier.") //nolint:staticcheck // mosquitto's words
)

// escapes are the characters that may follow a backslash, and what they stand for.
var escapes = map[byte]string{'\\': "\\", '0': "\x00", 'a': "\a", 'e': "\x1b", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v"}

// Parse reads a format: text with conversions of messages (%, optional flags - and 0, width, .precision, a letter), conversions of
// the time of arrival (@ and a letter of strftime; @@ for the character, @N for nanoseconds) and escapes (backslash). The errors are mosquitto's.
func Parse(s string) (*Format, error) {
	f := &Format{}
	for len(s) > 0 {
		var p part
		var err error
		switch s[0] {
		case '%':
			p, s, err = parseVerb(s[1:])
		case '@':
			p, s, err = parseTime(s[1:])
		case '\\':
			if len(s) < 2 {
				return nil, errEscape
			}
			text, known := escapes[s[1]]
			if !known {
				return nil, fmt.Errorf("Invalid escape specifier '%c'.", s[1]) //nolint:staticcheck // mosquitto's words
			}
			p, s = part{text: text}, s[2:]
		default:
			end := strings.IndexAny(s, `%@\`)
			if end < 0 {
				end = len(s)
			}
			p, s = part{text: s[:end]}, s[end:]
		}
		if err != nil {
			return nil, err
		}
		f.parts = append(f.parts, p)
	}
	return f, nil
}

// parseVerb reads what follows a percent sign.
func parseVerb(s string) (p part, rest string, err error) {
	p.precision = -1
	flag := func(c byte) bool {
		if strings.HasPrefix(s, string(c)) {
			s = s[1:]
			return true
		}
		return false
	}
	number := func() (n int) {
		for len(s) > 0 && s[0] >= '0' && s[0] <= '9' {
			n, s = min(n*10+int(s[0]-'0'), maxWidth), s[1:]
		}
		return n
	}
	p.left = flag('-')
	p.zero = flag('0')
	p.width = number()
	if flag('.') {
		p.precision = number()
	}
	if s == "" {
		return p, "", errSpecifier
	}
	if p.verb = s[0]; strings.IndexByte(verbs, p.verb) < 0 {
		return p, "", fmt.Errorf("Invalid format specifier '%c'.", p.verb) //nolint:staticcheck // mosquitto's words
	}
	return p, s[1:], nil
}

// maxWidth bounds widths and precisions: what is padded has to be made.
const maxWidth = 1 << 20

// parseTime reads what follows an at sign.
func parseTime(s string) (p part, rest string, err error) {
	switch {
	case s == "":
		return p, "", errSpecifier
	case s[0] == '@':
		return part{text: "@"}, s[1:], nil
	}
	return part{verb: '@', text: "%" + s[:1]}, s[1:], nil
}

// JSONError is a payload that a %J has found not to be JSON. What stands before it in the format has been printed.
type JSONError struct{ Topic string }

func (e *JSONError) Error() string {
	return "Message payload is not valid JSON on topic " + printable.Text(e.Topic) + "."
}

// Append adds the message, which arrived at the time given, to dst. After a [*JSONError] the rest of the format is in the result all the same.
func (f *Format) Append(dst []byte, m *client.Message, at time.Time) ([]byte, error) {
	var failed error
	for i := range f.parts {
		p := &f.parts[i]
		switch p.verb {
		case 0:
			dst = append(dst, p.text...)
		case 'J':
			out, ok := appendJSON(dst, m, at, true, f.Pretty)
			if !ok {
				failed = &JSONError{m.Topic}
				continue
			}
			dst = printable.JSON(out, len(dst))
		case 'j':
			out, _ := appendJSON(dst, m, at, false, f.Pretty) // nothing can go wrong with a string
			dst = printable.JSON(out, len(dst))
		default:
			dst = p.append(dst, m, at)
		}
	}
	return dst, failed
}

// append adds one conversion that is not JSON.
func (p *part) append(dst []byte, m *client.Message, at time.Time) []byte {
	switch p.verb {
	case '%':
		return append(dst, '%')
	case '@':
		if p.text == "%N" {
			return fmt.Appendf(dst, "%09d", at.Nanosecond())
		}
		return strftime.AppendFormat(dst, p.text, at)
	case 'I':
		return p.str(dst, strftime.Format("%FT%T%z", at))
	case 'U':
		return fmt.Appendf(dst, "%d.%09d", at.Unix(), at.Nanosecond())
	case 'l':
		return p.number(dst, len(m.Payload))
	case 'm':
		return p.number(dst, int(m.ID))
	case 'p':
		return p.payload(dst, m.Payload)
	case 'x', 'X':
		return p.hex(dst, m.Payload)
	case 'q':
		return append(dst, '0'+m.QoS)
	case 'r':
		if m.Retain {
			return append(dst, '1')
		}
		return append(dst, '0')
	case 't':
		return p.str(dst, m.Topic)
	}
	return p.property(dst, m.Props)
}

// property adds a conversion of an MQTT 5 property, or blanks in its width when it is not there.
func (p *part) property(dst []byte, props *packet.Properties) []byte {
	id := map[byte]packet.PropertyID{
		'A': packet.TopicAlias, 'C': packet.ContentType, 'D': packet.CorrelationData, 'E': packet.MessageExpiryInterval,
		'F': packet.PayloadFormatIndicator, 'P': packet.UserProperties, 'R': packet.ResponseTopic, 'S': packet.SubscriptionIdentifier,
	}[p.verb]
	if !props.Has(id) {
		switch p.verb {
		case 'A', 'E', 'F', 'S':
			return p.blank(dst, p.pad())
		case 'C':
			return p.blank(dst, ' ')
		}
		return dst
	}
	switch p.verb {
	case 'A':
		return p.number(dst, int(props.TopicAlias))
	case 'C':
		return p.str(dst, props.ContentType)
	case 'D':
		return append(dst, props.CorrelationData...)
	case 'E':
		return p.number(dst, int(props.MessageExpiry))
	case 'F':
		return p.number(dst, int(props.PayloadFormat))
	case 'R':
		return p.str(dst, props.ResponseTopic)
	case 'S':
		return p.number(dst, int(props.SubscriptionIDs[0]))
	}
	for i, u := range props.User {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = append(append(append(dst, u.Key...), ':'), u.Value...)
	}
	return dst
}

func (p *part) pad() byte {
	if p.zero {
		return '0'
	}
	return ' '
}

func (p *part) blank(dst []byte, with byte) []byte {
	for range p.width {
		dst = append(dst, with)
	}
	return dst
}

// fill pads what was added since from to the width.
func (p *part) fill(dst []byte, from int, with byte) []byte {
	missing := p.width - (len(dst) - from)
	if missing <= 0 {
		return dst
	}
	if p.left {
		return append(dst, strings.Repeat(" ", missing)...)
	}
	text := string(dst[from:])
	dst = append(dst[:from], strings.Repeat(string(with), missing)...)
	return append(dst, text...)
}

func (p *part) number(dst []byte, n int) []byte {
	from := len(dst)
	return p.fill(strconv.AppendInt(dst, int64(n), 10), from, p.pad())
}

// str cuts to the precision and pads with blanks; both count bytes, as C does.
func (p *part) str(dst []byte, s string) []byte {
	if p.precision >= 0 {
		s = s[:min(len(s), p.precision)]
	}
	from := len(dst)
	return p.fill(append(dst, s...), from, ' ')
}

// payload cuts to the width: for a payload it is both the least and the most.
func (p *part) payload(dst, payload []byte) []byte {
	if p.width > 0 {
		payload = payload[:min(len(payload), p.width)]
	}
	from := len(dst)
	return p.fill(append(dst, payload...), from, p.pad())
}

// hex is payload in hexadecimal digits, of which the width counts two for a byte. (mosquitto_sub leaves half of a payload out when it is
// narrower than the width.)
func (p *part) hex(dst, payload []byte) []byte {
	if p.width > 0 {
		payload = payload[:min(len(payload), p.width/2)]
	}
	digits := "0123456789abcdef"
	if p.verb == 'X' {
		digits = "0123456789ABCDEF"
	}
	from := len(dst)
	for _, b := range payload {
		dst = append(dst, digits[b>>4], digits[b&15])
	}
	return p.fill(dst, from, p.pad())
}
