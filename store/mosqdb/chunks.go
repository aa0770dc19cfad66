package mosqdb

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Error says where a file does not have its form.
type Error struct {
	Offset int64
	Want   string // what was expected there, and what was found
}

func (e *Error) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.Want) }

// Magic is what the file begins with.
const Magic = "\x00\xB5\x00mosquitto db"

// Kinds of chunks.
const (
	chunkConfig  = 1
	chunkMessage = 2
	chunkQueued  = 3
	chunkRetain  = 4
	chunkSub     = 5
	chunkClient  = 6
)

// maxChunk bounds the memory that a chunk's length can ask for: the largest payload, and what there can be beside it.
const maxChunk = 1<<28 + 1<<20

// chunks reads a file chunk by chunk.
type chunks struct {
	in      *bufio.Reader
	at      int64 // offset in the file of what comes next
	version int
	crc     uint32 // nobody looks at it
	order   binary.ByteOrder

	// The chunk that is being read.
	chunk []byte
	start int64 // its offset
	next  int
}

func newChunks(in io.Reader) *chunks {
	return &chunks{in: bufio.NewReaderSize(in, 64<<10), order: binary.LittleEndian}
}

func (r *chunks) header() error {
	head := make([]byte, len(Magic)+8)
	n, err := io.ReadFull(r.in, head)
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case n == 0:
		return &Error{0, "expected a mosquitto.db, found an empty file"}
	case string(head[:min(n, len(Magic))]) != Magic[:min(n, len(Magic))]:
		return &Error{0, "expected a mosquitto.db, which begins with \\x00\\xb5\\x00mosquitto db"}
	case err != nil:
		return &Error{int64(n), "expected the version of the file, found its end"}
	}
	r.at = int64(n)
	r.crc = binary.NativeEndian.Uint32(head[len(Magic):])
	version := binary.BigEndian.Uint32(head[len(Magic)+4:])
	if version < 3 || version > 6 {
		return &Error{int64(len(Magic)) + 4, fmt.Sprintf("expected version 3, 4, 5 or 6, found %d, which is not known", version)}
	}
	r.version = int(version)
	return nil
}

// nextChunk reads a chunk into memory. At the end of the file the error is io.EOF.
func (r *chunks) nextChunk() (kind uint32, err error) {
	kind, length, err := r.head()
	if err != nil {
		return 0, err
	}
	return kind, r.body(length)
}

// head reads what stands before a chunk. At the end of the file the error is io.EOF.
func (r *chunks) head() (kind, length uint32, err error) {
	var room [8]byte
	head := room[:]
	if r.version < 5 {
		head = room[2:] // the kind has two bytes
	}
	n, err := io.ReadFull(r.in, head)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, 0, &Error{r.at, fmt.Sprintf("expected the %d bytes at the start of a chunk, found %d and the end of the file", len(head), n)}
	}
	if err != nil {
		return 0, 0, err
	}
	r.at += int64(len(head))
	r.start, r.next = r.at, 0
	return binary.BigEndian.Uint32(room[:]), binary.BigEndian.Uint32(room[4:]), nil
}

// body reads the chunk that [chunks.head] has announced.
func (r *chunks) body(length uint32) error {
	if length > maxChunk {
		return &Error{r.at - 4, fmt.Sprintf("expected the length of a chunk, found %d", length)}
	}
	// What a length claims is only believed as the bytes come.
	r.chunk = r.chunk[:0]
	for len(r.chunk) < int(length) {
		piece := min(int(length)-len(r.chunk), 1<<20)
		r.chunk = append(r.chunk, make([]byte, piece)...)
		n, err := io.ReadFull(r.in, r.chunk[len(r.chunk)-piece:])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return &Error{r.start, fmt.Sprintf("expected a chunk of %d bytes, found %d and the end of the file", length, len(r.chunk)-piece+n)}
		}
		if err != nil {
			return err
		}
	}
	r.at += int64(length)
	return nil
}

// fail says what was expected at a place of the chunk.
func (r *chunks) fail(at int, format string, args ...any) error {
	return &Error{r.start + int64(at), "expected " + fmt.Sprintf(format, args...)}
}

// fixed returns the chunk's fixed part: the next n bytes.
func (r *chunks) fixed(what string, n int) ([]byte, error) {
	if len(r.chunk)-r.next < n {
		return nil, r.fail(r.next, "%d bytes of a %s chunk, found %d", n, what, len(r.chunk)-r.next)
	}
	r.next += n
	return r.chunk[r.next-n : r.next], nil
}

// bytes returns the next n bytes of the chunk.
func (r *chunks) bytes(n int, what string) ([]byte, error) {
	if n > len(r.chunk)-r.next {
		return nil, r.fail(r.next, "%d bytes of %s, found %d", n, what, len(r.chunk)-r.next)
	}
	b := r.chunk[r.next : r.next+n]
	r.next += n
	return b, nil
}

// text reads a text into a place; its length is that of a structure before.
func (r *chunks) text(to *string, n uint16, what string) error {
	b, err := r.bytes(int(n), what)
	*to = string(b)
	return err
}

// counted reads a text into a place; its length stands before it.
func (r *chunks) counted(to *string, what string) error {
	n, err := r.bytes(2, "the length of "+what)
	if err != nil {
		return err
	}
	return r.text(to, binary.BigEndian.Uint16(n), what)
}

// rest is what is left of the chunk: properties.
func (r *chunks) rest() []byte { return r.chunk[r.next:] }

// What the kinds of chunks hold. Payloads and properties are parts of the chunk and change with the next one.
type (
	configChunk struct {
		last     uint64 // number of a message, given out last
		shutdown byte   // 1: mosquitto ended in good order
		idSize   byte   // bytes of a message's number
	}
	messageChunk struct {
		id                    uint64
		expires               int64 // Unix seconds; 0: never
		fromMID, port         uint16
		from, user, topic     string
		qos, retain           byte
		payload, propertyList []byte
	}
	queuedChunk struct {
		id                                 uint64
		mid                                uint16
		client                             string
		qos, state, retain, dup, direction byte
		propertyList                       []byte
	}
	subChunk struct {
		identifier     uint32
		client, filter string
		qos, options   byte
	}
	clientChunk struct {
		id, user      string
		ends          int64  // Unix seconds; 0: for ever, or it was connected
		expiry        uint32 // seconds; 0xFFFFFFFF: for ever
		lastMID, port uint16
	}
)

func (r *chunks) config() (c configChunk, err error) {
	f, err := r.fixed("configuration", 10) // and padding, which nobody needs
	if err != nil {
		return c, err
	}
	number := f[:8]
	c.shutdown, c.idSize = f[8], f[9]
	if r.version < 5 {
		c.shutdown, c.idSize, number = f[0], f[1], f[2:]
	}
	// Numbers are given out from 1 on, so they are small the right way round.
	if binary.BigEndian.Uint64(number) < binary.LittleEndian.Uint64(number) {
		r.order = binary.BigEndian
	}
	c.last = r.order.Uint64(number)
	return c, nil
}

// wrongIDSize says where a configuration chunk says that message numbers do not have 8 bytes.
func (r *chunks) wrongIDSize(size byte) error {
	at := 9
	if r.version < 5 {
		at = 1
	}
	return r.fail(at, "message numbers of 8 bytes, found %d", size)
}

func (r *chunks) message() (m messageChunk, err error) {
	if r.version < 5 {
		return r.oldMessage()
	}
	f, err := r.fixed("message", 32)
	if err != nil {
		return m, err
	}
	m = messageChunk{id: r.order.Uint64(f), expires: int64(r.order.Uint64(f[8:])), fromMID: binary.BigEndian.Uint16(f[20:]),
		port: binary.BigEndian.Uint16(f[28:]), qos: f[30], retain: f[31]}
	err = r.text(&m.from, binary.BigEndian.Uint16(f[22:]), "the publisher's client identifier")
	if err == nil {
		err = r.text(&m.user, binary.BigEndian.Uint16(f[24:]), "the publisher's user name")
	}
	if err == nil {
		err = r.text(&m.topic, binary.BigEndian.Uint16(f[26:]), "the topic name")
	}
	if err == nil {
		m.payload, err = r.bytes(int(binary.BigEndian.Uint32(f[16:])), "the payload")
	}
	m.propertyList = r.rest()
	return m, err
}

// oldMessage reads a message of versions 3 and 4, whose texts have their lengths before them.
func (r *chunks) oldMessage() (m messageChunk, err error) {
	f, err := r.fixed("message", 8)
	if err != nil {
		return m, err
	}
	m.id = r.order.Uint64(f)
	if err = r.counted(&m.from, "the publisher's client identifier"); err != nil {
		return m, err
	}
	if r.version == 4 {
		if err = r.counted(&m.user, "the publisher's user name"); err != nil {
			return m, err
		}
		if f, err = r.fixed("message", 2); err != nil {
			return m, err
		}
		m.port = binary.BigEndian.Uint16(f)
	}
	if f, err = r.fixed("message", 4); err != nil { // the publisher's packet identifier, and one of ours that means nothing
		return m, err
	}
	m.fromMID = binary.BigEndian.Uint16(f)
	if err = r.counted(&m.topic, "the topic name"); err != nil {
		return m, err
	}
	if f, err = r.fixed("message", 6); err != nil {
		return m, err
	}
	m.qos, m.retain = f[0], f[1]
	m.payload, err = r.bytes(int(binary.BigEndian.Uint32(f[2:])), "the payload")
	return m, err
}

func (r *chunks) queued() (q queuedChunk, err error) {
	if r.version < 5 {
		if err = r.counted(&q.client, "the client identifier"); err != nil {
			return q, err
		}
		f, err := r.fixed("client message", 15)
		if err != nil {
			return q, err
		}
		q.id, q.mid = r.order.Uint64(f), binary.BigEndian.Uint16(f[8:])
		q.qos, q.retain, q.direction, q.state, q.dup = f[10], f[11], f[12], f[13], f[14]
		return q, nil
	}
	f, err := r.fixed("client message", 16)
	if err != nil {
		return q, err
	}
	q = queuedChunk{id: r.order.Uint64(f), mid: binary.BigEndian.Uint16(f[8:]), qos: f[12], state: f[13], retain: f[14] >> 4, dup: f[14] & 0x0F, direction: f[15]}
	err = r.text(&q.client, binary.BigEndian.Uint16(f[10:]), "the client identifier")
	q.propertyList = r.rest()
	return q, err
}

func (r *chunks) retained() (id uint64, err error) {
	f, err := r.fixed("retained message", 8)
	if err != nil {
		return 0, err
	}
	return r.order.Uint64(f), nil
}

func (r *chunks) sub() (s subChunk, err error) {
	if r.version < 5 {
		if err = r.counted(&s.client, "the client identifier"); err != nil {
			return s, err
		}
		if err = r.counted(&s.filter, "the topic filter"); err != nil {
			return s, err
		}
		f, err := r.fixed("subscription", 1)
		if err != nil {
			return s, err
		}
		s.qos = f[0]
		return s, nil
	}
	f, err := r.fixed("subscription", 10)
	if err != nil {
		return s, err
	}
	s.identifier, s.qos, s.options = binary.BigEndian.Uint32(f), f[8], f[9]
	client, filter := binary.BigEndian.Uint16(f[4:]), binary.BigEndian.Uint16(f[6:])
	if !r.pad(int(client) + int(filter)) {
		return s, r.fail(4, "lengths of a client identifier and a topic filter that fit a chunk of %d bytes, found %d and %d", len(r.chunk), client, filter)
	}
	if err = r.text(&s.client, client, "the client identifier"); err != nil {
		return s, err
	}
	return s, r.text(&s.filter, filter, "the topic filter")
}

// pad passes over the padding of a structure that texts of so many bytes follow, and tells whether it can be right.
func (r *chunks) pad(texts int) bool {
	n := len(r.chunk) - r.next - texts
	if n < 0 || n > 7 {
		return false
	}
	r.next += n
	return true
}

func (r *chunks) client() (c clientChunk, err error) {
	if r.version < 5 {
		if err = r.counted(&c.id, "the client identifier"); err != nil {
			return c, err
		}
		f, err := r.fixed("client", 2) // and when it left
		if err != nil {
			return c, err
		}
		c.lastMID = binary.BigEndian.Uint16(f)
		return c, nil
	}
	size := 16
	if r.version == 6 {
		size = 20
	}
	f, err := r.fixed("client", size)
	if err != nil {
		return c, err
	}
	c = clientChunk{ends: int64(r.order.Uint64(f)), expiry: binary.BigEndian.Uint32(f[8:]), lastMID: binary.BigEndian.Uint16(f[12:])}
	id, user := binary.BigEndian.Uint16(f[14:]), uint16(0)
	if r.version == 6 {
		c.port, user = binary.BigEndian.Uint16(f[16:]), binary.BigEndian.Uint16(f[18:])
	}
	if !r.pad(int(id) + int(user)) {
		return c, r.fail(14, "lengths of a client identifier and a user name that fit a chunk of %d bytes, found %d and %d", len(r.chunk), id, user)
	}
	if err = r.text(&c.id, id, "the client identifier"); err != nil {
		return c, err
	}
	err = r.text(&c.user, user, "the user name")
	// mosquitto 2.0.11 gives a client without a user name that of a client before it, and a length that has gone through htons once too often: what follows the
	// name is a piece of its memory.
	c.user, _, _ = strings.Cut(c.user, "\x00")
	return c, err
}
