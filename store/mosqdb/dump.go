package mosqdb

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"picket/packet"
	"picket/printable"
)

// Form is what a dump is to show.
type Form byte

// The forms of mosquitto_db_dump.
const (
	FormText        Form = iota // every chunk, a field a line
	FormStats                   // how many chunks there are of each kind
	FormClientStats             // a line for each client: number and bytes of its subscriptions (SC, SS) and of its queued messages (MC, MS)
	FormJSON                    // one object with a list for each kind
)

// Dump shows what is in a file, damaged or not, as mosquitto_db_dump of mosquitto 2.1 does. What mosquitto prints raw and a terminal would obey is escaped.
type Dump struct {
	Form     Form
	Payloads bool              // show payloads: in [FormText] those under 256 bytes that are text, in [FormJSON] all, in base64
	Warn     func(text string) // told of chunks of an unknown kind, which are passed over
}

// Write shows a file. An [Error] says where the file is damaged; FormText has then shown what stands before, the others nothing. A chunk's head that the file ends
// in is the end of the file, as in mosquitto. The file is read once, and for FormJSON once for each list, so that large ones need no memory.
func (d Dump) Write(out io.Writer, in io.ReadSeeker) error {
	buffered := bufio.NewWriterSize(out, 64<<10)
	err := d.write(buffered, in)
	return errors.Join(err, buffered.Flush())
}

func (d Dump) write(out *bufio.Writer, in io.ReadSeeker) error {
	switch d.Form {
	case FormStats:
		return d.stats(out, in)
	case FormClientStats:
		return d.clientStats(out, in)
	case FormJSON:
		return d.json(out, in)
	}
	r := newChunks(in)
	if err := r.header(); err != nil {
		return err
	}
	fmt.Fprintf(out, "Mosquitto DB dump\nCRC: %d\nDB version: %d\n", int32(r.crc), r.version)
	p := &plain{chunks: r, out: out, payloads: d.Payloads}
	return d.walk(r, p.chunkOf)
}

// walk calls visit with each chunk of a known kind, once it is in memory.
func (d Dump) walk(r *chunks, visit func(kind uint32) error) error {
	for {
		kind, length, err := r.head()
		var cut *Error
		if errors.Is(err, io.EOF) || errors.As(err, &cut) {
			return nil
		}
		if err != nil {
			return err
		}
		if kind < chunkConfig || kind > chunkClient {
			d.Warn(fmt.Sprintf("Unsupported chunk \"%d\" of length %d in persistent database file at position %d. Ignoring.", kind, length, r.at))
			n, err := io.CopyN(io.Discard, r.in, int64(length))
			if r.at += n; err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			continue
		}
		if err := r.body(length); err != nil {
			return err
		}
		if err := visit(kind); err != nil {
			return err
		}
	}
}

// decoded decodes the chunk that has been read: a configChunk, messageChunk, queuedChunk, uint64 (of a retained message), subChunk or clientChunk.
func (r *chunks) decoded(kind uint32) (any, error) {
	switch kind {
	case chunkConfig:
		return r.config()
	case chunkMessage:
		return r.message()
	case chunkQueued:
		return r.queued()
	case chunkRetain:
		return r.retained()
	case chunkSub:
		return r.sub()
	}
	return r.client()
}

// ErrIDSize is the error of a file whose message numbers do not have 8 bytes, in mosquitto's words.
type ErrIDSize struct{ Size byte }

func (e ErrIDSize) Error() string {
	return fmt.Sprintf("Incompatible database configuration (dbid size is %d bytes, expected 8)", e.Size)
}

func (c configChunk) check() error {
	if c.idSize != 8 {
		return ErrIDSize{c.idSize}
	}
	return nil
}

// plain writes FormText.
type plain struct {
	*chunks
	out      *bufio.Writer
	payloads bool
}

func (p *plain) chunkOf(kind uint32) error {
	c, err := p.decoded(kind)
	if err != nil {
		return err
	}
	length := len(p.chunk)
	switch c := c.(type) {
	case configChunk:
		fmt.Fprintf(p.out, "DB_CHUNK_CFG:\n\tLength: %d\n\tShutdown: %d\n\tDB ID size: %d\n", length, c.shutdown, c.idSize)
		if err := c.check(); err != nil {
			return err
		}
		fmt.Fprintf(p.out, "\tLast DB ID: %d\n", c.last)
	case messageChunk:
		return p.message(&c, length)
	case queuedChunk:
		_, ids, err := p.properties(c.propertyList)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.out, "DB_CHUNK_CLIENT_MSG:\n\tLength: %d\n\tClient ID: %s\n\tStore ID: %d\n\tMID: %d\n\tQoS: %d\n\tRetain: %d\n\tDirection: %d\n\tState: %d\n\tDup: %d\n",
			length, printable.Text(c.client), c.id, c.mid, c.qos, c.retain, c.direction, c.state, c.dup)
		if len(ids) > 0 {
			fmt.Fprintf(p.out, "\tSubscription identifier: %d\n", ids[len(ids)-1])
		}
	case uint64:
		fmt.Fprintf(p.out, "DB_CHUNK_RETAIN:\n\tLength: %d\n\tStore ID: %d\n", length, c)
	case subChunk:
		fmt.Fprintf(p.out, "DB_CHUNK_SUB:\n\tLength: %d\n\tClient ID: %s\n\tTopic: %s\n\tQoS: %d\n\tSubscription ID: %d\n\tOptions: 0x%02X\n",
			length, printable.Text(c.client), printable.Text(c.filter), c.qos, c.identifier, c.options)
	case clientChunk:
		fmt.Fprintf(p.out, "DB_CHUNK_CLIENT:\n\tLength: %d\n\tClient ID: %s\n", length, printable.Text(c.id))
		if c.user != "" {
			fmt.Fprintf(p.out, "\tUsername: %s\n", printable.Text(c.user))
		}
		if c.port > 0 {
			fmt.Fprintf(p.out, "\tListener port: %d\n", c.port)
		}
		fmt.Fprintf(p.out, "\tLast MID: %d\n\tSession expiry time: %d\n\tSession expiry interval: %d\n", c.lastMID, uint64(c.ends), c.expiry)
	}
	return nil
}

func (p *plain) message(m *messageChunk, length int) error {
	list, err := p.propertiesOf(m.propertyList)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.out, "DB_CHUNK_BASE_MSG:\n\tLength: %d\n\tStore ID: %d\n\tSource Port: %d\n\tSource MID: %d\n\tTopic: %s\n\tQoS: %d\n\tRetain: %d\n\tPayload Length: %d\n\tExpiry Time: %d\n",
		length, m.id, m.port, m.fromMID, printable.Text(m.topic), m.qos, m.retain, len(m.payload), uint64(m.expires))
	if text := string(m.payload); p.payloads && 0 < len(text) && len(text) < 256 && packet.ValidText(text) && !strings.ContainsFunc(text, unicode.IsControl) {
		fmt.Fprintf(p.out, "\tPayload: %s\n", printable.Text(text))
	}
	if len(list) > 0 {
		fmt.Fprint(p.out, "\tProperties:\n")
	}
	for _, q := range list {
		switch {
		case q.name == "":
			fmt.Fprintf(p.out, "\t\tInvalid property type: %d\n", q.id)
		case q.id == packet.UserProperties:
			fmt.Fprintf(p.out, "\t\t%s: %s , %s\n", q.title, printable.Text(q.key), printable.Text(q.value))
		default:
			fmt.Fprintf(p.out, "\t\t%s: %s\n", q.title, printable.Text(q.value))
		}
	}
	return nil
}

// property is one of a message, in the order of the file.
type property struct {
	id         packet.PropertyID
	title      string // in FormText
	name       string // in FormJSON; empty: a message does not keep such a property
	key, value string
	number     bool
}

// propertiesOf takes a message's properties apart, which it checks first.
func (r *chunks) propertiesOf(list []byte) (all []property, err error) {
	if _, _, err := r.properties(list); err != nil || len(list) == 0 {
		return nil, err
	}
	for at := varint(list); at < len(list); {
		q := property{id: packet.PropertyID(list[at])}
		rest := list[at+1:]
		used := 0
		text := func() string {
			n := int(binary.BigEndian.Uint16(rest[used:]))
			used += 2 + n
			return string(rest[used-n : used])
		}
		switch q.id {
		case packet.PayloadFormatIndicator:
			q.title, q.name, q.value, q.number, used = "Payload format indicator", "payload-format-indicator", fmt.Sprint(rest[0]), true, 1
		case packet.ContentType:
			q.title, q.name, q.value = "Content type", "content-type", text()
		case packet.ResponseTopic:
			q.title, q.name, q.value = "Response topic", "response-topic", text()
		case packet.CorrelationData:
			q.title, q.name, q.value = "Correlation data", "correlation-data", fmt.Sprintf("%X", text())
		case packet.UserProperties:
			q.title, q.name, q.key = "User property", "user-property", text()
			q.value = text()
		case packet.MessageExpiryInterval:
			used = 4
		case packet.TopicAlias:
			used = 2
		case packet.SubscriptionIdentifier:
			used = varint(rest)
		default: // the decoder knows no other
			return nil, r.fail(r.next, "properties of a message, found %d", byte(q.id))
		}
		all = append(all, q)
		at += 1 + used
	}
	return all, nil
}

// varint is how many bytes the number at the beginning has, which is complete.
func varint(b []byte) int {
	n := 1
	for b[n-1] >= 0x80 {
		n++
	}
	return n
}

// each decodes all chunks after the header.
func (d Dump) each(in io.Reader, visit func(r *chunks, c any) error) error {
	r := newChunks(in)
	if err := r.header(); err != nil {
		return err
	}
	return d.walk(r, func(kind uint32) error {
		c, err := r.decoded(kind)
		if err != nil {
			return err
		}
		if config, ok := c.(configChunk); ok {
			err = config.check()
		}
		if err != nil {
			return err
		}
		return visit(r, c)
	})
}

func (d Dump) stats(out io.Writer, in io.Reader) error {
	var config, message, queued, retained, sub, client int
	err := d.each(in, func(_ *chunks, c any) error {
		switch c.(type) {
		case configChunk:
			config++
		case messageChunk:
			message++
		case queuedChunk:
			queued++
		case uint64:
			retained++
		case subChunk:
			sub++
		case clientChunk:
			client++
		}
		return nil
	})
	if err == nil {
		_, err = fmt.Fprintf(out, "DB_CHUNK_CFG:        %d\nDB_CHUNK_BASE_MSG:   %d\nDB_CHUNK_CLIENT_MSG: %d\nDB_CHUNK_RETAIN:     %d\nDB_CHUNK_SUB:        %d\nDB_CHUNK_CLIENT:     %d\n",
			config, message, queued, retained, sub, client)
	}
	return err
}

func (d Dump) clientStats(out io.Writer, in io.Reader) error {
	type counts struct{ subs, subBytes, messages, messageBytes int }
	sizes, byID := make(map[uint64]int), make(map[string]*counts)
	var order []string
	err := d.each(in, func(r *chunks, c any) error {
		switch c := c.(type) {
		case messageChunk:
			sizes[c.id] = len(r.chunk)
		case clientChunk:
			if byID[c.id] == nil {
				byID[c.id] = new(counts)
				order = append(order, c.id)
			}
		case queuedChunk:
			if n := byID[c.client]; n != nil {
				n.messages++
				n.messageBytes += len(r.chunk) + sizes[c.id]
			}
		case subChunk:
			if n := byID[c.client]; n != nil {
				n.subs++
				n.subBytes += len(r.chunk)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range order {
		n := byID[id]
		if _, err := fmt.Fprintf(out, "SC: %d SS: %d MC: %d MS: %d   %s\n", n.subs, n.subBytes, n.messages, n.messageBytes, printable.Text(id)); err != nil {
			return err
		}
	}
	return nil
}
