// Package wire is what the nodes of a cluster say to one another: frames and their bytes.
//
// # A frame
//
//	length   4 bytes, the most significant first: how many follow
//	kind     1 byte
//	number   only of kinds from [KindRoutes] on, see below
//	body     what the kind says: numbers as the shortest varint, text and bytes behind their length (package record)
//
// A frame has one form only: what is decoded and encoded again is the same. Nothing is allocated before it is known that the bytes for it are there, how many
// things a list may have is bounded ([MaxItems]), and so is the length of a frame: [Length] says so before anything of it is read.
//
// # A channel
//
// From each node to each other there is one channel of numbered frames: 1, 2, 3… for as long as both have the incarnation that they have. It has two
// carriers: the link between both, and where there is none, the receiver's mailbox in Redis. The receiver takes frames in the order of their numbers, whichever way they
// come, and drops what it has had; [Hello] and [Beat] tell the sender up to where that is, and it keeps what is above. [Hello], [Beat], [Gauges] and [Loose] have no number: they
// belong to a link, or can be lost.
//
// # Versions
//
// [Hello] has the same form in all versions, and says which versions its sender speaks. Both use the highest that they have in common ([Common]); where there is none, they
// have no link.
package wire

import (
	"encoding/binary"
	"fmt"

	"picket/record"
)

// Lowest and Highest are the versions of frames that this program speaks.
const (
	Lowest  = 1
	Highest = 1
)

// Limits, in bytes but for MaxItems.
const (
	// MaxFrame is the greatest length of a frame: the longest MQTT packet, and what a Run says besides.
	MaxFrame = 1<<28 + 1<<19
	// MaxHello is the greatest length of a Hello, and so of what is read from a peer before it has said who it is.
	MaxHello = 512
	// MaxName bounds the names of clusters, nodes and causes.
	MaxName = 64
	// MaxText bounds what is a string in MQTT: topics, filters, client identifiers, user names.
	MaxText = 65535
	// MaxItems bounds each list of a frame.
	MaxItems = 1 << 16

	maxBytes = 1<<28 - 1
	anything = 1<<64 - 1
)

// Kind says what a frame is.
type Kind byte

// The kinds of frames. Those from KindRoutes on have a number.
const (
	KindHello    Kind = 1
	KindBeat     Kind = 2
	KindGauges   Kind = 3
	KindLoose    Kind = 4
	KindRoutes   Kind = 16
	KindSeen     Kind = 17
	KindRun      Kind = 18
	KindSettled  Kind = 19
	KindRelease  Kind = 20
	KindReleased Kind = 21
	KindTaken    Kind = 22
	KindFlush    Kind = 23
	KindFlushed  Kind = 24
	KindRetain   Kind = 25
	KindAsk      Kind = 26
)

// Numbered tells whether frames of this kind have a number.
func (k Kind) Numbered() bool { return k >= KindRoutes }

func (k Kind) String() string {
	if f := forms[k]; f.name != "" {
		return f.name
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// Frame is a frame. Number is 0 where its kind has none, and never otherwise.
type Frame struct {
	Number uint64
	Body   Body
}

// Body is what a frame says.
type Body interface {
	Kind() Kind
	append(dst []byte) []byte
}

// forms are the kinds with their names and how their bodies are read.
var forms [256]struct {
	name string
	kind string // what errors call it
	read func(r *reader) Body
}

func init() {
	add := func(k Kind, name string, read func(r *reader) Body) {
		forms[k].name, forms[k].kind, forms[k].read = name, name+" frame", read
	}
	add(KindHello, "HELLO", readHello)
	add(KindBeat, "BEAT", readBeat)
	add(KindGauges, "GAUGES", readGauges)
	add(KindLoose, "LOOSE", readLoose)
	add(KindRoutes, "ROUTES", readRoutes)
	add(KindSeen, "SEEN", readSeen)
	add(KindRun, "RUN", readRun)
	add(KindSettled, "SETTLED", readSettled)
	add(KindRelease, "RELEASE", readRelease)
	add(KindReleased, "RELEASED", readReleased)
	add(KindTaken, "TAKEN", readTaken)
	add(KindFlush, "FLUSH", readFlush)
	add(KindFlushed, "FLUSHED", readFlushed)
	add(KindRetain, "RETAIN", readRetain)
	add(KindAsk, "ASK", readAsk)
}

// reader takes a frame apart.
type reader struct{ record.Reader }

func (r *reader) text(limit uint64, want string) string { return string(r.Bytes(limit, want)) }

// bytes are a part of the frame; nil if there are none.
func (r *reader) bytes(want string) []byte {
	if b := r.Bytes(maxBytes, want); len(b) > 0 {
		return b[:len(b):len(b)]
	}
	return nil
}

// ErrLength says that a frame is too long or too short for what may come.
type ErrLength struct{ Length, Limit int }

func (e *ErrLength) Error() string {
	return fmt.Sprintf("a frame of %d bytes, where 1 to %d may come", e.Length, e.Limit)
}

// Length reads the first four bytes of a frame: how many follow. limit is MaxHello until Hello has come, and MaxFrame afterwards.
func Length(prefix [4]byte, limit int) (int, error) {
	n := binary.BigEndian.Uint32(prefix[:])
	if n == 0 || uint64(n) > uint64(limit) {
		return 0, &ErrLength{Length: int(n), Limit: limit}
	}
	return int(n), nil
}

// Append adds a frame with its length.
func Append(dst []byte, f Frame) []byte {
	at := len(dst)
	k := f.Body.Kind()
	dst = append(dst, 0, 0, 0, 0, byte(k))
	if k.Numbered() {
		dst = binary.AppendUvarint(dst, f.Number)
	}
	dst = f.Body.append(dst)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst
}

// Decode reads a frame without its length. Payloads, properties and records are parts of data, which must stay as it is for as long as the frame is used.
func Decode(data []byte) (Frame, error) {
	r := &reader{record.NewReader("frame", data)}
	k := Kind(r.Byte("the kind"))
	form := forms[k]
	if r.Err() == nil && form.read == nil {
		r.Fail(0, "a kind that is known")
	}
	if r.Err() != nil {
		return Frame{}, r.Err()
	}
	r.Reader = record.NewReader(form.kind, data)
	r.Byte("the kind")
	var f Frame
	if k.Numbered() {
		if f.Number = r.Number(anything, "its number"); f.Number == 0 {
			r.Fail(1, "a number from 1 on")
		}
	}
	f.Body = form.read(r)
	if err := r.End(); err != nil {
		return Frame{}, err
	}
	return f, nil
}

// Common is the version that two nodes speak, and false if there is none.
func Common(a, b *Hello) (version uint64, ok bool) {
	version = min(a.Highest, b.Highest)
	return version, version >= max(a.Lowest, b.Lowest)
}
