package doctor

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// greetings are how protocols that answer, or speak first, can be told: from the bytes at an offset.
var greetings = []struct {
	at    int
	bytes string
	name  string
}{
	{0, "SSH-", "SSH"},
	{0, "220 ", "SMTP or FTP"}, {0, "220-", "SMTP or FTP"}, {0, "554 ", "SMTP"},
	{0, "+OK ", "POP3"}, {0, "* OK", "IMAP"},
	{0, "-ERR ", "Redis"}, {0, "-NOAUTH", "Redis"}, {0, "-DENIED", "Redis"}, {0, "+PONG", "Redis"},
	{0, "RFB ", "VNC"}, {0, "AMQP", "AMQP"}, {0, "RTSP/", "RTSP"}, {0, "ERROR\r\n", "memcached"}, {0, "INFO {", "NATS"},
	{0, "ERR", "STOMP or a text protocol"}, {0, "\x03\x00\x00", "RDP"},
	{5, "5.", "MySQL"}, {5, "8.", "MySQL"}, {5, "11.", "MariaDB"}, {5, "10.", "MariaDB"},
}

// Recognize says what the first bytes from a server are. It looks at 512 bytes at most, and takes anything.
func Recognize(b []byte) Opening {
	b = b[:min(len(b), 512)]
	o := Opening{Heard: HearOther, Bytes: strconv.QuoteToASCII(string(b[:min(len(b), 64)]))}
	switch {
	case len(b) == 0:
		return Opening{Heard: HearClosed}
	case bytes.HasPrefix(b, []byte("HTTP/")):
		o.Heard = HearHTTP
		o.Status, o.Where = statusLine(b)
		if o.Status == 101 {
			o.Heard = HearWebSocket
		}
	case connack(b):
		o.Heard = HearMQTT
		if len(b) >= 4 && b[1] == 2 {
			o.Status = int(b[3])
		}
	case len(b) >= 3 && b[0] == 0x15 && b[1] == 3 && b[2] <= 4:
		o.Heard = HearAlert
	case len(b) >= 3 && b[0] == 0x16 && b[1] == 3 && b[2] <= 4:
		o.Heard = HearTLS
	case len(b) >= 9 && b[0] == 0 && b[1] == 0 && b[3] == 4: // a SETTINGS frame (RFC 9113, section 6.5)
		o.Name = "HTTP/2"
	default:
		for _, g := range greetings {
			if len(b) >= g.at && bytes.HasPrefix(b[g.at:], []byte(g.bytes)) {
				o.Name = g.name
				if g.name == "SSH" {
					o.Heard = HearSSH
				}
				break
			}
		}
	}
	return o
}

// connack tells whether b begins with a CONNACK: its type, a length that fits, and flags of 0 or 1.
func connack(b []byte) bool {
	return len(b) >= 2 && b[0] == 0x20 && (b[1] >= 2 && b[1] < 0x80 && (len(b) < 3 || b[2] <= 1) || b[1] >= 0x80)
}

// statusLine gives the status of an HTTP response, and its Location.
func statusLine(b []byte) (status int, location string) {
	head, _, _ := strings.Cut(string(b), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	if fields := strings.Fields(lines[0]); len(fields) >= 2 {
		if n, err := strconv.Atoi(fields[1]); err == nil && n >= 100 && n <= 999 {
			status = n
		}
	}
	for _, line := range lines[1:] {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(name, "Location") {
			location = Printable(strings.TrimSpace(value), 120)
		}
	}
	return status, location
}

// Printable makes text that a stranger has sent fit to be shown on a terminal, and to stand in JSON: one line of at most n bytes, without control
// characters, signs that cannot be seen, or such as turn the direction of what follows (U+202E and its kin).
func Printable(s string, n int) string {
	s = s[:min(len(s), n)]
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Zs, r), r == '\t':
			return ' '
		case r == utf8.RuneError, !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
}

// clean is Printable for texts of several lines and any length: the last look at what goes to a terminal.
func clean(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
		return s
	}
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		lines = append(lines, Printable(line, len(line)))
	}
	return strings.Join(lines, "\n")
}

// escaped is JSON without characters that a terminal would obey or not show: they are written as \\uXXXX.
func escaped(b []byte) []byte {
	var out bytes.Buffer
	for _, r := range string(b) {
		switch {
		case r == '\n', r != utf8.RuneError && unicode.IsPrint(r):
			out.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, "\\u%04x\\u%04x", high, low)
		default:
			fmt.Fprintf(&out, "\\u%04x", r)
		}
	}
	return out.Bytes()
}
