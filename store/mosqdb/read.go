// Package mosqdb reads and writes the file in which mosquitto keeps its state (mosquitto.db), of its format versions 5 (mosquitto 1.6) and 6 (1.6.10 and
// later, 2.0, 2.1), and puts what is in it into a store.
//
// The file is a header and a sequence of chunks. A chunk is a fixed part, C structures as the machine that wrote them lays them out, and texts
// and bytes behind it. Lengths and identifiers in the structures are big endian; numbers of messages and times have the byte order
// of the machine, and padding at the end of a structure depends on it too. Both follow from the first chunk.
package mosqdb

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"picket/packet"
	"picket/session"
	"picket/topic"
)

// File is the contents of a mosquitto.db.
type File struct {
	Version  int
	Clients  []*Client // in the order of the file
	Retained []*session.Message
	// Skipped says what was left out, and why: what mosquitto would leave out too, and what no broker could deliver.
	Skipped []string
	// Lost says what of the file is damaged or missing, and so could not be read: the first of it, and how much there is. Empty: nothing.
	Lost []string

	messages map[uint64]*session.Message
	clients  map[string]*Client
}

// Client is a session.
type Client struct {
	ID            string
	User          string
	Port          uint16 // of the listener that the client came in by; 0: not known
	LastMID       uint16 // packet identifier given out last
	Expiry        uint32 // seconds; 0xFFFFFFFF: for ever
	Ends          int64  // Unix seconds when the session is over; 0: for ever, or the client was connected
	Out           []Queued
	In            []Queued // QoS 2, received and not released
	Subscriptions []Subscription
}

// Queued is a message on its way to or from a client.
type Queued struct {
	Message *session.Message
	MID     uint16
	QoS     byte
	State   State
	Retain  bool
	Dup     bool
	IDs     []uint32 // subscription identifiers
}

// Subscription is a client's subscription.
type Subscription struct {
	Filter  string
	Options topic.Options
}

// State is how far a message has got.
type State byte

// The states that are in a file.
const (
	PublishQoS0    State = 1
	PublishQoS1    State = 2 // not sent yet
	WaitForPuback  State = 3
	PublishQoS2    State = 4 // not sent yet
	WaitForPubrec  State = 5
	ResendPubrel   State = 6
	WaitForPubrel  State = 7
	ResendPubcomp  State = 8
	WaitForPubcomp State = 9
	SendPubrec     State = 10
	InQueue        State = 11
)

// Error says where a file does not have its form.
type Error struct {
	Offset int64
	Want   string // what was expected there, and what was found
}

func (e *Error) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.Want) }

// Magic is what the file begins with.
const Magic = "\x00\xB5\x00mosquitto db"

// Chunks.
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

// reader reads chunks.
type reader struct {
	in     *bufio.Reader
	at     int64 // offset in the file of what comes next
	order  binary.ByteOrder
	file   *File
	config bool
	lost   int // chunks that are damaged

	// The chunk that is being read.
	chunk []byte
	start int64 // its offset
	next  int
}

// Read reads a file. progress, which may be nil, is called with the offset now and then. A file that does not begin as one is refused as a whole,
// with an [Error]. One that is damaged later is read as far as it goes: a chunk that makes no sense is left out, and everything behind one whose length cannot
// be right or that the file ends in; [File.Lost] says so.
func Read(in io.Reader, progress func(offset int64)) (*File, error) {
	r := &reader{in: bufio.NewReaderSize(in, 64<<10), order: binary.LittleEndian,
		file: &File{messages: make(map[uint64]*session.Message), clients: make(map[string]*Client)}}
	if err := r.header(); err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		kind, err := r.nextChunk()
		if errors.Is(err, io.EOF) {
			break
		}
		if damaged := (*Error)(nil); errors.As(err, &damaged) && r.config {
			r.lose("%s: everything from there on is missing", damaged)
			break
		}
		if err != nil {
			return nil, err
		}
		if err := r.take(kind); err != nil {
			if !r.config {
				return nil, err
			}
			r.lose("%s", err)
		}
		if progress != nil && n%1024 == 0 {
			progress(r.at)
		}
	}
	if !r.config {
		return nil, &Error{r.at, "expected a configuration chunk, found the end of the file"}
	}
	if more := r.lost - mostLost; more > 0 {
		r.file.Lost = append(r.file.Lost, fmt.Sprintf("and %d more damaged chunks", more))
	}
	return r.file, nil
}

// mostLost bounds how many damaged chunks are told one by one.
const mostLost = 10

func (r *reader) lose(format string, args ...any) {
	if r.lost++; r.lost <= mostLost {
		r.file.Lost = append(r.file.Lost, fmt.Sprintf(format, args...))
	}
}

func (r *reader) header() error {
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
	version := binary.BigEndian.Uint32(head[len(Magic)+4:])
	switch {
	case version < 5:
		return &Error{int64(len(Magic)) + 4, fmt.Sprintf("expected version 5 or 6, found %d, of mosquitto 1.5 or older; start and stop mosquitto 2.0 with this file once, and it writes version 6", version)}
	case version > 6:
		return &Error{int64(len(Magic)) + 4, fmt.Sprintf("expected version 5 or 6, found %d, which is not known", version)}
	}
	r.file.Version = int(version)
	return nil
}

// nextChunk reads a chunk into memory. At the end of the file the error is io.EOF.
func (r *reader) nextChunk() (kind uint32, err error) {
	var head [8]byte
	n, err := io.ReadFull(r.in, head[:])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, &Error{r.at, fmt.Sprintf("expected the 8 bytes at the start of a chunk, found %d and the end of the file", n)}
	}
	if err != nil {
		return 0, err
	}
	kind, length := binary.BigEndian.Uint32(head[:]), binary.BigEndian.Uint32(head[4:])
	if length > maxChunk {
		return 0, &Error{r.at + 4, fmt.Sprintf("expected the length of a chunk, found %d", length)}
	}
	r.at += 8
	r.start, r.next = r.at, 0
	// What a length claims is only believed as the bytes come.
	r.chunk = r.chunk[:0]
	for len(r.chunk) < int(length) {
		piece := min(int(length)-len(r.chunk), 1<<20)
		r.chunk = append(r.chunk, make([]byte, piece)...)
		n, err := io.ReadFull(r.in, r.chunk[len(r.chunk)-piece:])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, &Error{r.start, fmt.Sprintf("expected a chunk of %d bytes, found %d and the end of the file", length, len(r.chunk)-piece+n)}
		}
		if err != nil {
			return 0, err
		}
	}
	r.at += int64(length)
	return kind, nil
}

// fail says what was expected at a place of the chunk.
func (r *reader) fail(at int, format string, args ...any) error {
	return &Error{r.start + int64(at), "expected " + fmt.Sprintf(format, args...)}
}

func (r *reader) skip(format string, args ...any) {
	r.file.Skipped = append(r.file.Skipped, fmt.Sprintf("byte %d: ", r.start)+fmt.Sprintf(format, args...))
}

// fixed returns the chunk's fixed part: n bytes, and what pad says of padding.
func (r *reader) fixed(what string, n, pad int) ([]byte, error) {
	if len(r.chunk) < n+pad {
		return nil, r.fail(0, "%d bytes of a %s chunk, found %d", n+pad, what, len(r.chunk))
	}
	r.next = n + pad
	return r.chunk[:n], nil
}

// bytes returns the next n bytes of the chunk.
func (r *reader) bytes(n int, what string) ([]byte, error) {
	if n > len(r.chunk)-r.next {
		return nil, r.fail(r.next, "%d bytes of %s, found %d", n, what, len(r.chunk)-r.next)
	}
	b := r.chunk[r.next : r.next+n]
	r.next += n
	return b, nil
}

func (r *reader) text(n uint16, what string) (string, error) {
	b, err := r.bytes(int(n), what)
	return string(b), err
}

func (r *reader) take(kind uint32) error {
	if kind != chunkConfig && !r.config {
		return &Error{r.start - 8, fmt.Sprintf("expected a configuration chunk first, found chunk %d", kind)}
	}
	switch kind {
	case chunkConfig:
		return r.takeConfig()
	case chunkMessage:
		return r.takeMessage()
	case chunkQueued:
		return r.takeQueued()
	case chunkRetain:
		return r.takeRetain()
	case chunkSub:
		return r.takeSub()
	case chunkClient:
		return r.takeClient()
	}
	return &Error{r.start - 8, fmt.Sprintf("expected the number of a kind of chunk, found %d", kind)}
}

func (r *reader) takeConfig() error {
	f, err := r.fixed("configuration", 10, 0) // and padding, which nobody needs
	if err != nil {
		return err
	}
	if f[9] != 8 {
		return r.fail(9, "message numbers of 8 bytes, found %d", f[9])
	}
	// Numbers are given out from 1 on, so they are small the right way round.
	if binary.BigEndian.Uint64(f) < binary.LittleEndian.Uint64(f) {
		r.order = binary.BigEndian
	}
	r.config = true
	return nil
}

func (r *reader) takeMessage() error {
	f, err := r.fixed("message", 32, 0)
	if err != nil {
		return err
	}
	id, m := r.order.Uint64(f), &session.Message{Expires: int64(r.order.Uint64(f[8:])), QoS: f[30], Retain: f[31] != 0}
	size := binary.BigEndian.Uint32(f[16:])
	if m.QoS > 2 {
		return r.fail(30, "a QoS of 0 to 2, found %d", m.QoS)
	}
	if m.From, err = r.text(binary.BigEndian.Uint16(f[22:]), "the publisher's client identifier"); err != nil {
		return err
	}
	if m.User, err = r.text(binary.BigEndian.Uint16(f[24:]), "the publisher's user name"); err != nil {
		return err
	}
	if m.Topic, err = r.text(binary.BigEndian.Uint16(f[26:]), "the topic name"); err != nil {
		return err
	}
	payload, err := r.bytes(int(size), "the payload")
	if err != nil {
		return err
	}
	m.Payload = append([]byte(nil), payload...)
	if m.Props, _, err = r.properties(); err != nil {
		return err
	}
	if err := topic.CheckName([]byte(m.Topic)); err != nil {
		r.skip("message %d to %q: %v", id, m.Topic, err)
		return nil
	}
	r.file.messages[id] = m
	return nil
}

// properties reads the properties at the end of a chunk: those that are forwarded as they are, and the subscription identifiers.
func (r *reader) properties() (forward []byte, ids []uint32, err error) {
	rest := r.chunk[r.next:]
	if len(rest) == 0 {
		return nil, nil, nil
	}
	var p packet.Publish
	if err := p.Decode(packet.V5, byte(packet.PUBLISH)<<4, append([]byte{0, 1, 't'}, rest...)); err != nil || len(p.Payload) > 0 {
		return nil, nil, r.fail(r.next, "properties of a PUBLISH packet: %v", err)
	}
	props, err := p.Properties()
	if err != nil {
		return nil, nil, r.fail(r.next, "properties of a PUBLISH packet: %v", err)
	}
	if forward = packet.AppendForward(nil, p.Props); len(forward) == 0 {
		forward = nil
	}
	return forward, props.SubscriptionIDs, nil
}

func (r *reader) takeQueued() error {
	f, err := r.fixed("client message", 16, 0)
	if err != nil {
		return err
	}
	q := Queued{MID: binary.BigEndian.Uint16(f[8:]), QoS: f[12], State: State(f[13]), Retain: f[14]>>4 != 0, Dup: f[14]&0x0F != 0}
	direction := f[15]
	switch {
	case q.QoS > 2:
		return r.fail(12, "a QoS of 0 to 2, found %d", q.QoS)
	case q.State < PublishQoS0 || q.State > InQueue:
		return r.fail(13, "a state from 1 to 11, found %d", q.State)
	case direction > 1:
		return r.fail(15, "direction 0 or 1, found %d", direction)
	}
	id, err := r.text(binary.BigEndian.Uint16(f[10:]), "the client identifier")
	if err != nil {
		return err
	}
	if _, q.IDs, err = r.properties(); err != nil {
		return err
	}
	n := r.order.Uint64(f)
	if q.Message = r.file.messages[n]; q.Message == nil {
		r.skip("message %d for client %q, which is not in the file", n, id)
		return nil
	}
	c := r.client(id)
	if direction == 0 {
		c.In = append(c.In, q)
	} else {
		c.Out = append(c.Out, q)
	}
	return nil
}

// client finds a client, or makes one that has no chunk of its own yet.
func (r *reader) client(id string) *Client {
	c := r.file.clients[id]
	if c == nil {
		c = &Client{ID: id, Expiry: 0xFFFFFFFF}
		r.file.clients[id] = c
		r.file.Clients = append(r.file.Clients, c)
	}
	return c
}

func (r *reader) takeRetain() error {
	f, err := r.fixed("retained message", 8, 0)
	if err != nil {
		return err
	}
	n := r.order.Uint64(f)
	m := r.file.messages[n]
	if m == nil {
		r.skip("message %d, retained, which is not in the file", n)
		return nil
	}
	r.file.Retained = append(r.file.Retained, m)
	return nil
}

func (r *reader) takeSub() error {
	f, err := r.fixed("subscription", 10, 0)
	if err != nil {
		return err
	}
	idLen, filterLen := binary.BigEndian.Uint16(f[4:]), binary.BigEndian.Uint16(f[6:])
	pad := len(r.chunk) - 10 - int(idLen) - int(filterLen)
	if pad < 0 || pad > 7 {
		return r.fail(4, "lengths of a client identifier and a topic filter that fit a chunk of %d bytes, found %d and %d", len(r.chunk), idLen, filterLen)
	}
	r.next += pad
	var s Subscription
	s.Options = topic.Options{QoS: f[8], NoLocal: f[9]&(1<<2) != 0, RetainAsPublished: f[9]&(1<<3) != 0, Identifier: binary.BigEndian.Uint32(f)}
	if s.Options.QoS > 2 {
		return r.fail(8, "a QoS of 0 to 2, found %d", s.Options.QoS)
	}
	if s.Options.Identifier > packet.MaxRemaining {
		return r.fail(0, "a subscription identifier, found %d", s.Options.Identifier)
	}
	id, err := r.text(idLen, "the client identifier")
	if err != nil {
		return err
	}
	if s.Filter, err = r.text(filterLen, "the topic filter"); err != nil {
		return err
	}
	if err := topic.CheckFilter(s.Filter); err != nil {
		r.skip("subscription of client %q to %q: %v", id, s.Filter, err)
		return nil
	}
	c := r.client(id)
	c.Subscriptions = append(c.Subscriptions, s)
	return nil
}

func (r *reader) takeClient() error {
	size := 16
	if r.file.Version == 6 {
		size = 20
	}
	f, err := r.fixed("client", size, 0)
	if err != nil {
		return err
	}
	idLen, userLen := binary.BigEndian.Uint16(f[14:]), uint16(0)
	if r.file.Version == 6 {
		userLen = binary.BigEndian.Uint16(f[18:])
	}
	pad := len(r.chunk) - size - int(idLen) - int(userLen)
	if pad < 0 || pad > 7 {
		return r.fail(14, "lengths of a client identifier and a user name that fit a chunk of %d bytes, found %d and %d", len(r.chunk), idLen, userLen)
	}
	r.next += pad
	id, err := r.text(idLen, "the client identifier")
	if err != nil {
		return err
	}
	if id == "" {
		r.skip("a client without an identifier")
		return nil
	}
	user, err := r.text(userLen, "the user name")
	if err != nil {
		return err
	}
	c := r.client(id)
	c.Ends, c.Expiry, c.LastMID, c.User = int64(r.order.Uint64(f)), binary.BigEndian.Uint32(f[8:]), binary.BigEndian.Uint16(f[12:]), user
	if r.file.Version == 6 {
		c.Port = binary.BigEndian.Uint16(f[16:])
	}
	return nil
}
