package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"picket/record"
	"picket/session"
	"picket/topic"
)

// Version is the version of the records that are written. docs/storage.md describes them byte by byte.
const Version = 1

// ErrNewer says that a record has a version that is newer than this program.
var ErrNewer = errors.New("made by a newer version of Picket")

// reader takes a record apart.
type reader struct{ record.Reader }

func newReader(kind string, data []byte) reader {
	return reader{record.NewReader(kind+" record", data)}
}

// version reads a record's first byte.
func (r *reader) version() {
	if v := r.Byte("the record's version"); r.Err() == nil && v != Version {
		at := r.At() - 1
		if v > Version {
			r.Give(fmt.Errorf("%s of version %d, at most %d is known: %w", r.Kind(), v, Version, ErrNewer))
			return
		}
		r.Fail(at, "a version from 1 on")
	}
}

const (
	maxTime   = 1<<63 - 1
	maxLength = 1<<28 - 1 // no packet is longer, so nothing in one is
)

// Bits of flags.
const (
	flagQoS      = 0b11
	flagRetain   = 1 << 2
	flagReleased = 1 << 3
	flagShared   = 1 << 4
	flagDoor     = 1 << 3 // of a message
	flagApart    = 1 << 4 // of a message

	flagNoLocal      = 1 << 2
	flagAsPublished  = 1 << 3
	flagHandlingFrom = 4

	flagNamed     = 1 << 0
	flagCertified = 1 << 1
	flagWill      = 1 << 2

	flagWillExpires = 1 << 0
)

// appendMessage adds a message without its number.
func appendMessage(dst []byte, m *session.Message) []byte {
	return record.Append(appendBeforePayload(dst, m, 0), m.Payload)
}

func appendBeforePayload(dst []byte, m *session.Message, flags byte) []byte {
	dst = append(dst, m.QoS|record.Bit(m.Retain, flagRetain)|record.Bit(m.Door != "", flagDoor)|flags)
	dst = binary.AppendUvarint(dst, uint64(max(m.Expires, 0)))
	dst = record.Append(dst, m.Topic)
	dst = record.Append(dst, m.From)
	dst = record.Append(dst, m.User)
	if m.Door != "" {
		dst = record.Append(dst, m.Door)
	}
	return record.Append(dst, m.Props)
}

// MessageSize is how many bytes appendMessage adds.
func MessageSize(m *session.Message) int {
	n := 1 + record.Size(uint64(max(m.Expires, 0)))
	for _, l := range [...]int{len(m.Topic), len(m.From), len(m.User), len(m.Props), len(m.Payload)} {
		n += record.Size(uint64(l)) + l
	}
	if l := len(m.Door); l > 0 {
		n += record.Size(uint64(l)) + l
	}
	return n
}

// Inline is up to how many bytes of record a message is copied into each queue that it waits in; InlineSingle is the same for a message that one
// session alone wants. Longer ones are stored once, and queues refer to them. A reference takes up as much as a short message, and a store reads all queues
// when it is opened, so that long messages in them would cost time.
const (
	Inline       = 128
	InlineSingle = 512
)

// RefTo is the entry with a message under a sequence number.
func RefTo(seq uint64, m *session.Message) Ref {
	r := Ref{Seq: seq, Expires: Seconds(m.Expires), Size: Overhead + uint32(MessageSize(m))}
	limit := Inline
	if m.Single {
		limit = InlineSingle
	}
	if MessageSize(m) > limit {
		r.ID, r.Size = m.ID, Overhead
	}
	return r
}

// message reads what appendMessage has added. The message owns its memory.
func (r *reader) message() *session.Message {
	m, _, props := r.beforePayload(0)
	return r.withPayload(m, props)
}

// beforePayload reads what appendBeforePayload has added, with flags that may be among those of the message. The properties are a part of the record.
func (r *reader) beforePayload(allowed byte) (m *session.Message, f byte, props []byte) {
	f = r.Flags(flagQoS | flagRetain | flagDoor | allowed)
	m = &session.Message{QoS: r.qos(f), Retain: f&flagRetain != 0}
	m.Expires = int64(r.Number(maxTime, "the expiry in Unix seconds"))
	m.Topic = string(r.Bytes(maxLength, "the topic name"))
	m.From = string(r.Bytes(maxLength, "the publisher's client identifier"))
	m.User = string(r.Bytes(maxLength, "the publisher's user name"))
	if f&flagDoor != 0 {
		if m.Door = string(r.Bytes(maxLength, "the publisher's listener")); m.Door == "" {
			r.Fail(r.At(), "the publisher's listener")
		}
	}
	return m, f, r.Bytes(maxLength, "the properties")
}

func (r *reader) withPayload(m *session.Message, props []byte) *session.Message {
	payload := r.Bytes(maxLength, "the payload")
	if r.Err() != nil {
		return nil
	}
	props, m.Payload = record.Clone(props, payload)
	if len(props) > 0 {
		m.Props = props
	}
	return m
}

func (r *reader) qos(f byte) byte {
	if f&flagQoS == 3 {
		r.Fail(r.At()-1, "a QoS of 0 to 2")
		return 0
	}
	return f & flagQoS
}

// AppendBody adds the record of a message that lies outside of the queues.
func AppendBody(dst []byte, m *session.Message) []byte {
	return appendMessage(append(dst, Version), m)
}

// DecodeBody reads a record of AppendBody. The message's number is the record's key's.
func DecodeBody(data []byte, number uint64) (*session.Message, error) {
	r := newReader("message", data)
	r.version()
	m := r.message()
	if err := r.End(); err != nil {
		return nil, err
	}
	m.ID = number
	return m, nil
}

// AppendBodyApart adds the record of a message whose payload, which is not empty, lies apart from it: only its length is added.
func AppendBodyApart(dst []byte, m *session.Message) []byte {
	return binary.AppendUvarint(appendBeforePayload(append(dst, Version), m, flagApart), uint64(len(m.Payload)))
}

// DecodeBodyApart reads a record of AppendBodyApart or of AppendBody; apart is how many bytes of payload lie apart, 0 if it is in the message.
func DecodeBodyApart(data []byte, number uint64) (m *session.Message, apart int, err error) {
	r := newReader("message", data)
	r.version()
	m, f, props := r.beforePayload(flagApart)
	if f&flagApart == 0 {
		m = r.withPayload(m, props)
	} else {
		if len(props) > 0 {
			m.Props = bytes.Clone(props)
		}
		if apart = int(r.Number(maxLength, "the length of the payload")); apart == 0 {
			r.Fail(r.At(), "the length of a payload")
		}
	}
	if err := r.End(); err != nil {
		return nil, 0, err
	}
	m.ID = number
	return m, apart, nil
}

// AppendEntry adds the record of an entry of a queue, or of a retained message: with the message, or where that is shared, with its number only.
func AppendEntry(dst []byte, e *Entry) []byte {
	shared := e.Ref.ID != 0
	dst = append(dst, Version, e.QoS|record.Bit(e.Retain, flagRetain)|record.Bit(e.Released, flagReleased)|record.Bit(shared, flagShared))
	if e.Released {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(e.Ref.Expires))
	dst = binary.AppendUvarint(dst, uint64(len(e.Message.Payload)))
	dst = binary.AppendUvarint(dst, uint64(len(e.IDs)))
	for _, id := range e.IDs {
		dst = binary.AppendUvarint(dst, uint64(id))
	}
	if shared {
		return binary.AppendUvarint(dst, e.Ref.ID)
	}
	return appendMessage(dst, e.Message)
}

// EntryHead is what an entry's record says before its message.
type EntryHead struct {
	Entry          // Message is not set
	Payload int    // its length
	rest    reader // at the message, unless it is shared
}

// DecodeEntryHead reads a record of AppendEntry up to its message, without copying anything. The sequence number is the record's key's.
func DecodeEntryHead(data []byte, seq uint64) (h EntryHead, err error) {
	r := newReader("queue", data)
	r.version()
	f := r.Flags(flagQoS | flagRetain | flagReleased | flagShared)
	h.Ref.Seq, h.Seq, h.QoS, h.Retain, h.Released = seq, seq, r.qos(f), f&flagRetain != 0, f&flagReleased != 0
	h.Ref.Size = Overhead
	if h.Released {
		return h, r.End()
	}
	h.Ref.Expires = uint32(r.Number(1<<32-1, "the expiry in Unix seconds"))
	h.Payload = int(r.Number(maxLength, "the length of the payload"))
	n := r.Count(maxLength, 1, "subscription identifiers")
	for range n {
		id := uint32(r.Number(maxLength, "a subscription identifier"))
		if r.Err() != nil {
			break
		}
		h.IDs = append(h.IDs, id)
	}
	if f&flagShared != 0 {
		if h.Ref.ID = r.Number(1<<64-1, "the message's number"); h.Ref.ID == 0 {
			r.Fail(len(data), "a message's number")
		}
		return h, r.End()
	}
	h.Ref.Size += uint32(r.Left())
	h.rest = r
	return h, r.Err()
}

// Whole returns the entry with its message, which must not be shared.
func (h *EntryHead) Whole() (Entry, error) {
	e := h.Entry
	if h.Released {
		return e, nil
	}
	r := h.rest
	m := r.message()
	if err := r.End(); err != nil {
		return Entry{}, err
	}
	e.Message = m
	return e, nil
}

// AppendRecord adds a session's record.
func AppendRecord(dst []byte, clientID string, s *Record) []byte {
	dst = append(dst, Version, record.Bit(s.Named, flagNamed)|record.Bit(s.Certified, flagCertified)|record.Bit(s.Will != nil, flagWill))
	dst = record.Append(dst, clientID)
	dst = binary.AppendUvarint(dst, uint64(s.Expiry))
	dst = binary.AppendUvarint(dst, uint64(max(s.Offline, 0)))
	dst = binary.AppendUvarint(dst, s.Next)
	dst = binary.AppendUvarint(dst, s.Sent)
	dst = binary.AppendUvarint(dst, s.Fence)
	dst = record.Append(dst, s.User)
	dst = record.Append(dst, s.Listener)
	dst = record.Append(dst, s.Mount)
	if w := s.Will; w != nil {
		dst = append(dst, record.Bit(w.Expires, flagWillExpires))
		dst = binary.AppendUvarint(dst, uint64(w.Expiry))
		dst = binary.AppendUvarint(dst, uint64(w.Delay))
		dst = binary.AppendUvarint(dst, uint64(max(w.Due, 0)))
		dst = appendMessage(dst, w.Message)
	}
	return dst
}

// DecodeRecord reads a record of AppendRecord.
func DecodeRecord(data []byte) (clientID string, s Record, err error) {
	r := newReader("session", data)
	r.version()
	f := r.Flags(flagNamed | flagCertified | flagWill)
	s.Named, s.Certified = f&flagNamed != 0, f&flagCertified != 0
	clientID = string(r.Bytes(maxLength, "the client identifier"))
	s.Expiry = uint32(r.Number(1<<32-1, "the expiry interval in seconds"))
	s.Offline = int64(r.Number(maxTime, "the time of the disconnection in Unix seconds"))
	s.Next = r.Number(1<<64-1, "the next sequence number")
	s.Sent = r.Number(1<<64-1, "the sequence number up to which messages were sent")
	s.Fence = r.Number(1<<64-1, "the fencing number")
	s.User = string(r.Bytes(maxLength, "the user name"))
	s.Listener = string(r.Bytes(maxLength, "the listener"))
	s.Mount = string(r.Bytes(maxLength, "the mount point"))
	if f&flagWill != 0 {
		w := &Will{Expires: r.Flags(flagWillExpires) != 0}
		w.Expiry = uint32(r.Number(1<<32-1, "the will's message expiry interval in seconds"))
		w.Delay = uint32(r.Number(1<<32-1, "the will's delay in seconds"))
		w.Due = int64(r.Number(maxTime, "when the will is due in Unix seconds"))
		w.Message = r.message()
		s.Will = w
	}
	return clientID, s, r.End()
}

// AppendSubscription adds the record of a subscription's options.
func AppendSubscription(dst []byte, o topic.Options) []byte {
	dst = append(dst, Version, o.QoS|record.Bit(o.NoLocal, flagNoLocal)|record.Bit(o.RetainAsPublished, flagAsPublished)|o.RetainHandling<<flagHandlingFrom)
	return binary.AppendUvarint(dst, uint64(o.Identifier))
}

// DecodeSubscription reads a record of AppendSubscription.
func DecodeSubscription(data []byte) (o topic.Options, err error) {
	r := newReader("subscription", data)
	r.version()
	f := r.Flags(flagQoS | flagNoLocal | flagAsPublished | 0b11<<flagHandlingFrom)
	o.QoS, o.NoLocal, o.RetainAsPublished, o.RetainHandling = r.qos(f), f&flagNoLocal != 0, f&flagAsPublished != 0, f>>flagHandlingFrom
	if o.RetainHandling == 3 {
		r.Fail(1, "a retain handling of 0 to 2")
	}
	o.Identifier = uint32(r.Number(maxLength, "the subscription identifier"))
	return o, r.End()
}
