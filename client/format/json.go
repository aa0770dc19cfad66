package format

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/ncruces/go-strftime"

	"picket/client"
	"picket/packet"
)

// writer writes JSON as the library does that mosquitto uses: in the same order, with the same blanks, escapes and numbers, so that
// programs which compare text see no difference.
type writer struct {
	out    []byte
	pretty bool
	depth  int
	empty  bool // nothing is in the innermost object or array yet
}

func (w *writer) open() {
	w.out = append(w.out, '{')
	w.depth++
	w.empty = true
	w.newline()
}

func (w *writer) close() {
	if !w.empty {
		w.newline()
	}
	w.depth--
	w.indent()
	w.out = append(w.out, '}')
	w.empty = false
}

func (w *writer) newline() {
	if w.pretty {
		w.out = append(w.out, '\n')
	}
}

func (w *writer) indent() {
	if w.pretty {
		for range w.depth {
			w.out = append(w.out, '\t')
		}
	}
}

func (w *writer) key(k string) {
	if !w.empty {
		w.out = append(w.out, ',')
		w.newline()
	}
	w.empty = false
	w.indent()
	w.str(k)
	w.out = append(w.out, ':')
	if w.pretty {
		w.out = append(w.out, '\t')
	}
}

// str writes a string. Bytes that are no UTF-8 stay as they are.
func (w *writer) str(s string) {
	const hex = "0123456789abcdef"
	w.out = append(w.out, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			w.out = append(w.out, '\\', c)
		case '\b':
			w.out = append(w.out, `\b`...)
		case '\f':
			w.out = append(w.out, `\f`...)
		case '\n':
			w.out = append(w.out, `\n`...)
		case '\r':
			w.out = append(w.out, `\r`...)
		case '\t':
			w.out = append(w.out, `\t`...)
		default:
			if c < ' ' {
				w.out = append(w.out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			} else {
				w.out = append(w.out, c)
			}
		}
	}
	w.out = append(w.out, '"')
}

func (w *writer) int(n int) { w.out = strconv.AppendInt(w.out, int64(n), 10) }

// number writes a floating point number with 15 digits, or with 17 when 15 are not enough to read it back.
func (w *writer) number(f float64) {
	if f == math.Trunc(f) && math.Abs(f) < 1<<31 {
		if f == 0 && math.Signbit(f) {
			w.out = append(w.out, '-')
		}
		w.int(int(math.Abs(f)) * sign(f))
		return
	}
	text := strconv.FormatFloat(f, 'g', 15, 64)
	if back, err := strconv.ParseFloat(text, 64); err != nil || back != f {
		text = strconv.FormatFloat(f, 'g', 17, 64)
	}
	w.out = append(w.out, text...)
}

func sign(f float64) int {
	if f < 0 {
		return -1
	}
	return 1
}

// appendJSON adds a message as a JSON object. Its payload is a string, or with parsed the JSON value that it holds; ok is false,
// and dst unchanged, when it holds none.
func appendJSON(dst []byte, m *client.Message, at time.Time, parsed, pretty bool) (out []byte, ok bool) {
	w := &writer{out: dst, pretty: pretty}
	w.open()
	w.key("tst")
	w.str(strftime.Format("%Y-%m-%dT%H:%M:%S.%f%z", at))
	w.key("topic")
	w.str(m.Topic)
	w.key("qos")
	w.int(int(m.QoS))
	w.key("retain")
	if m.Retain {
		w.int(1)
	} else {
		w.int(0)
	}
	w.key("payloadlen")
	w.int(len(m.Payload))
	if m.QoS > 0 {
		w.key("mid")
		w.int(int(m.ID))
	}
	if m.Props != nil {
		w.key("properties")
		w.properties(m)
	}
	w.key("payload")
	switch {
	case len(m.Payload) == 0:
		w.out = append(w.out, "null"...)
	case !parsed:
		w.str(string(m.Payload))
	case !w.value(m.Payload):
		return dst, false
	}
	w.close()
	return w.out, true
}

// properties writes an object of the properties in the order in which they came, with all user properties where the first one stood.
func (w *writer) properties(m *client.Message) {
	w.open()
	p, subscription, user := m.Props, 0, false
	for _, id := range order(m.RawProps) {
		if id == packet.UserProperties && user {
			continue
		}
		switch id {
		case packet.PayloadFormatIndicator:
			w.key("payload-format-indicator")
			w.int(int(p.PayloadFormat))
		case packet.MessageExpiryInterval:
			w.key("message-expiry-interval")
			w.int(int(p.MessageExpiry))
		case packet.ContentType:
			w.key("content-type")
			w.str(p.ContentType)
		case packet.ResponseTopic:
			w.key("response-topic")
			w.str(p.ResponseTopic)
		case packet.CorrelationData:
			w.key("correlation-data")
			w.str(string(p.CorrelationData))
		case packet.SubscriptionIdentifier:
			w.key("subscription-identifier")
			w.int(int(p.SubscriptionIDs[subscription]))
			subscription++
		case packet.TopicAlias:
			w.key("topic-alias")
			w.int(int(p.TopicAlias))
		case packet.UserProperties:
			user = true
			w.key("user-properties")
			w.open()
			for _, u := range p.User {
				w.key(u.Key)
				w.str(u.Value)
			}
			w.close()
		}
	}
	w.close()
}

// order lists the identifiers of the properties of a PUBLISH, which are valid, as they stand in it.
func order(raw []byte) (ids []packet.PropertyID) {
	text := func(at int) int {
		if at+2 > len(raw) {
			return len(raw)
		}
		return at + 2 + int(binary.BigEndian.Uint16(raw[at:]))
	}
	for len(raw) > 0 {
		id := packet.PropertyID(raw[0])
		end := len(raw)
		switch id {
		case packet.PayloadFormatIndicator:
			end = 2
		case packet.TopicAlias:
			end = 3
		case packet.MessageExpiryInterval:
			end = 5
		case packet.ContentType, packet.ResponseTopic, packet.CorrelationData:
			end = text(1)
		case packet.UserProperties:
			end = text(text(1))
		case packet.SubscriptionIdentifier:
			for end = 2; end < len(raw) && raw[end-1] >= 0x80; {
				end++
			}
		}
		ids = append(ids, id)
		raw = raw[min(end, len(raw)):]
	}
	return ids
}

// value writes a JSON text anew. It reports whether it is one.
func (w *writer) value(text []byte) bool {
	if !json.Valid(text) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	ok := w.next(d)
	_, err := d.Token()
	return ok && errors.Is(err, io.EOF)
}

// next writes the value that comes next.
func (w *writer) next(d *json.Decoder) bool {
	t, err := d.Token()
	if err != nil {
		return false
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return w.object(d)
		}
		return w.array(d)
	case string:
		w.str(t)
	case json.Number:
		f, err := strconv.ParseFloat(t.String(), 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return false
		}
		if math.IsInf(f, 0) {
			w.out = append(w.out, "null"...)
		} else {
			w.number(f)
		}
	case bool:
		w.out = strconv.AppendBool(w.out, t)
	case nil:
		w.out = append(w.out, "null"...)
	}
	return true
}

func (w *writer) object(d *json.Decoder) bool {
	w.open()
	for d.More() {
		k, err := d.Token()
		key, isString := k.(string)
		if err != nil || !isString || !utf8.ValidString(key) {
			return false
		}
		w.key(key)
		if !w.next(d) {
			return false
		}
	}
	_, err := d.Token()
	w.close()
	return err == nil
}

func (w *writer) array(d *json.Decoder) bool {
	w.out = append(w.out, '[')
	w.depth++
	for first := true; d.More(); first = false {
		if !first {
			w.out = append(w.out, ',')
			if w.pretty {
				w.out = append(w.out, ' ')
			}
		}
		if !w.next(d) {
			return false
		}
	}
	w.depth--
	w.out = append(w.out, ']')
	_, err := d.Token()
	return err == nil
}
