// Package mosqdb reads and writes the file in which mosquitto keeps its state (mosquitto.db), of its format versions 3 and 4 (mosquitto 1.3 to
// 1.5), 5 (1.6) and 6 (2.0, 2.1), and puts what is in it into a store. It writes version 6.
//
// The file is a header and a sequence of chunks. A chunk is a fixed part, C structures as the machine that wrote them lays them out, and texts
// and bytes behind it. Lengths and identifiers in the structures are big endian; numbers of messages and times have the byte order
// of the machine, which follows from the first chunk, and padding at the end of a structure depends on it too. In versions 3 and 4 there are no structures: each text
// has its length before it.
package mosqdb

import (
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

// reader makes a [File] of chunks.
type reader struct {
	*chunks
	file  *File
	begun bool // there was a configuration chunk
	lost  int  // chunks that are damaged
}

// Read reads a file. progress, which may be nil, is called with the offset now and then. A file that does not begin as one is refused as a whole,
// with an [Error]. One that is damaged later is read as far as it goes: a chunk that makes no sense is left out, and everything behind one whose length cannot
// be right or that the file ends in; [File.Lost] says so.
func Read(in io.Reader, progress func(offset int64)) (*File, error) {
	r := &reader{chunks: newChunks(in), file: &File{messages: make(map[uint64]*session.Message), clients: make(map[string]*Client)}}
	if err := r.header(); err != nil {
		return nil, err
	}
	r.file.Version = r.version
	for n := 0; ; n++ {
		kind, err := r.nextChunk()
		if errors.Is(err, io.EOF) {
			break
		}
		if damaged := (*Error)(nil); errors.As(err, &damaged) && r.begun {
			r.lose("%s: everything from there on is missing", damaged)
			break
		}
		if err != nil {
			return nil, err
		}
		if err := r.take(kind); err != nil {
			if !r.begun {
				return nil, err
			}
			r.lose("%s", err)
		}
		if progress != nil && n%1024 == 0 {
			progress(r.at)
		}
	}
	if !r.begun {
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

func (r *reader) skip(format string, args ...any) {
	r.file.Skipped = append(r.file.Skipped, fmt.Sprintf("byte %d: ", r.start)+fmt.Sprintf(format, args...))
}

// wrongKind says that there is no such kind of chunk.
func (r *reader) wrongKind(want string, kind uint32) error {
	at := int64(8)
	if r.version < 5 {
		at = 6
	}
	return &Error{r.start - at, fmt.Sprintf("expected %s, found %d", want, kind)}
}

func (r *reader) take(kind uint32) error {
	if kind != chunkConfig && !r.begun {
		return r.wrongKind("a configuration chunk first", kind)
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
	return r.wrongKind("the number of a kind of chunk", kind)
}

func (r *reader) takeConfig() error {
	c, err := r.config()
	if err != nil {
		return err
	}
	if c.idSize != 8 {
		return r.wrongIDSize(c.idSize)
	}
	r.begun = true
	return nil
}

func (r *reader) takeMessage() error {
	c, err := r.message()
	if err != nil {
		return err
	}
	m := &session.Message{From: c.from, User: c.user, Topic: c.topic, Payload: append([]byte(nil), c.payload...), Expires: c.expires, QoS: c.qos, Retain: c.retain != 0}
	if m.QoS > 2 {
		return r.fail(0, "a message's QoS of 0 to 2, found %d", m.QoS)
	}
	if m.Props, _, err = r.properties(c.propertyList); err != nil {
		return err
	}
	if err := topic.CheckName([]byte(m.Topic)); err != nil {
		r.skip("message %d to %q: %v", c.id, m.Topic, err)
		return nil
	}
	r.file.messages[c.id] = m
	return nil
}

// properties takes properties apart: those that are forwarded as they are, and the subscription identifiers.
func (r *chunks) properties(list []byte) (forward []byte, ids []uint32, err error) {
	if len(list) == 0 {
		return nil, nil, nil
	}
	var p packet.Publish
	if err := p.Decode(packet.V5, byte(packet.PUBLISH)<<4, append([]byte{0, 1, 't'}, list...)); err != nil || len(p.Payload) > 0 {
		return nil, nil, r.fail(r.next, "properties of a PUBLISH packet: %v", err)
	}
	props, err := p.Properties()
	if err != nil {
		return nil, nil, r.fail(r.next, "properties of a PUBLISH packet: %v", err)
	}
	if props == nil { // a list of none
		return nil, nil, nil
	}
	if forward = packet.AppendForward(nil, p.Props); len(forward) == 0 {
		forward = nil
	}
	return forward, props.SubscriptionIDs, nil
}

func (r *reader) takeQueued() error {
	f, err := r.queued()
	if err != nil {
		return err
	}
	q := Queued{MID: f.mid, QoS: f.qos, State: State(f.state), Retain: f.retain != 0, Dup: f.dup != 0}
	switch {
	case q.QoS > 2:
		return r.fail(0, "a queued message's QoS of 0 to 2, found %d", q.QoS)
	case q.State < PublishQoS0 || q.State > InQueue:
		return r.fail(0, "a queued message's state from 1 to 11, found %d", q.State)
	case f.direction > 1:
		return r.fail(0, "a queued message's direction 0 or 1, found %d", f.direction)
	}
	if _, q.IDs, err = r.properties(f.propertyList); err != nil {
		return err
	}
	if q.Message = r.file.messages[f.id]; q.Message == nil {
		r.skip("message %d for client %q, which is not in the file", f.id, f.client)
		return nil
	}
	c := r.owner(f.client)
	if f.direction == 0 {
		c.In = append(c.In, q)
	} else {
		c.Out = append(c.Out, q)
	}
	return nil
}

// owner finds a client, or makes one that has no chunk of its own yet.
func (r *reader) owner(id string) *Client {
	c := r.file.clients[id]
	if c == nil {
		c = &Client{ID: id, Expiry: forEver}
		r.file.clients[id] = c
		r.file.Clients = append(r.file.Clients, c)
	}
	return c
}

func (r *reader) takeRetain() error {
	n, err := r.retained()
	if err != nil {
		return err
	}
	m := r.file.messages[n]
	if m == nil {
		r.skip("message %d, retained, which is not in the file", n)
		return nil
	}
	r.file.Retained = append(r.file.Retained, m)
	return nil
}

func (r *reader) takeSub() error {
	f, err := r.sub()
	if err != nil {
		return err
	}
	s := Subscription{Filter: f.filter, Options: topic.Options{QoS: f.qos, NoLocal: f.options&(1<<2) != 0, RetainAsPublished: f.options&(1<<3) != 0, Identifier: f.identifier}}
	if s.Options.QoS > 2 {
		return r.fail(0, "a subscription's QoS of 0 to 2, found %d", s.Options.QoS)
	}
	if s.Options.Identifier > packet.MaxRemaining {
		return r.fail(0, "a subscription identifier, found %d", s.Options.Identifier)
	}
	if err := topic.CheckFilter(s.Filter); err != nil {
		r.skip("subscription of client %q to %q: %v", f.client, s.Filter, err)
		return nil
	}
	c := r.owner(f.client)
	c.Subscriptions = append(c.Subscriptions, s)
	return nil
}

func (r *reader) takeClient() error {
	f, err := r.client()
	if err != nil {
		return err
	}
	if f.id == "" {
		r.skip("a client without an identifier")
		return nil
	}
	if r.version < 5 {
		f.expiry = forEver // there was no other
	}
	c := r.owner(f.id)
	c.Ends, c.Expiry, c.LastMID, c.User, c.Port = f.ends, f.expiry, f.lastMID, f.user, f.port
	return nil
}
