package wire

import (
	"encoding/binary"

	"picket/record"
)

// Settled says what has become of runs: each is in Redis, or acknowledged by its receivers; or it has to be sent again to whoever matches now, since a receiver has moved; or
// it has been refused.
//
//	count, then the numbers of those that are done: each as what is to be added to the one before, 1 or more
//	count, then in the same way those that have to be sent again
//	count, then of each that has been refused its number and the cause
type Settled struct {
	Done, Again []uint64 // ascending
	Refused     []Refusal
}

// Refusal is a run that has been refused, and why: an id of the catalogue of causes. One for a shared subscription is refused without a cause by who has no member that takes it.
type Refusal struct {
	ID    uint64
	Cause string
}

// Kind implements [Body].
func (*Settled) Kind() Kind { return KindSettled }

func appendAscending(dst []byte, ids []uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(ids)))
	last := uint64(0)
	for _, id := range ids {
		dst = binary.AppendUvarint(dst, id-last)
		last = id
	}
	return dst
}

func (r *reader) ascending(want string) (ids []uint64) {
	last := uint64(0)
	for range r.Count(MaxItems, 1, want) {
		at := r.At()
		n := r.Number(anything-last, "what is added to the number before")
		if n == 0 {
			r.Fail(at, "a number above the one before")
		}
		if r.Err() != nil {
			return ids
		}
		last += n
		ids = append(ids, last)
	}
	return ids
}

func (b *Settled) append(dst []byte) []byte {
	dst = appendAscending(dst, b.Done)
	dst = appendAscending(dst, b.Again)
	dst = binary.AppendUvarint(dst, uint64(len(b.Refused)))
	for _, x := range b.Refused {
		dst = record.Append(binary.AppendUvarint(dst, x.ID), x.Cause)
	}
	return dst
}

func readSettled(r *reader) Body {
	b := &Settled{Done: r.ascending("settled runs"), Again: r.ascending("runs to be sent again")}
	for range r.Count(MaxItems, 2, "refused runs") {
		x := Refusal{ID: r.Number(anything, "the run's number"), Cause: r.text(MaxName, "the cause")}
		if r.Err() != nil {
			break
		}
		b.Refused = append(b.Refused, x)
	}
	return b
}

// Release asks the owner of a session to let go of it, since its client has connected to the sender.
//
//	client  identifier
//	fence   the session's, as the sender knows it
type Release struct {
	Client string
	Fence  uint64
}

// Kind implements [Body].
func (*Release) Kind() Kind { return KindRelease }

func (b *Release) append(dst []byte) []byte { return appendSession(dst, b.Client, b.Fence) }

func appendSession(dst []byte, client string, fence uint64) []byte {
	return binary.AppendUvarint(record.Append(dst, client), fence)
}

func (r *reader) session() (client string, fence uint64) {
	client = r.text(MaxText, "the client identifier")
	return client, r.Number(anything, "the session's fence")
}

func readRelease(r *reader) Body {
	var b Release
	b.Client, b.Fence = r.session()
	return &b
}

// Released answers Release: the sender does nothing for the session any more that the fence does not refuse, and all that it had for it is in Redis.
//
//	client  identifier
//	fence   that of Release
type Released struct {
	Client string
	Fence  uint64
}

// Kind implements [Body].
func (*Released) Kind() Kind { return KindReleased }

func (b *Released) append(dst []byte) []byte { return appendSession(dst, b.Client, b.Fence) }

func readReleased(r *reader) Body {
	var b Released
	b.Client, b.Fence = r.session()
	return &b
}

// Taken tells the owner that was before that all nodes know the new one's routes for a session.
//
//	client  identifier
//	fence   the session's since then
type Taken struct {
	Client string
	Fence  uint64
}

// Kind implements [Body].
func (*Taken) Kind() Kind { return KindTaken }

func (b *Taken) append(dst []byte) []byte { return appendSession(dst, b.Client, b.Fence) }

func readTaken(r *reader) Body {
	var b Taken
	b.Client, b.Fence = r.session()
	return &b
}

// Ask asks for Taken, of whoever has a session of the sender's now.
//
//	client  identifier
type Ask struct{ Client string }

// Kind implements [Body].
func (*Ask) Kind() Kind { return KindAsk }

func (b *Ask) append(dst []byte) []byte { return record.Append(dst, b.Client) }

func readAsk(r *reader) Body { return &Ask{r.text(MaxText, "the client identifier")} }

// Flush asks for Flushed, behind which nothing comes any more that was sent before the answer.
//
//	mark  the sender's
type Flush struct{ Mark uint64 }

// Kind implements [Body].
func (*Flush) Kind() Kind { return KindFlush }

func (b *Flush) append(dst []byte) []byte { return binary.AppendUvarint(dst, b.Mark) }

func readFlush(r *reader) Body { return &Flush{r.Number(anything, "the mark")} }

// Flushed answers Flush.
//
//	mark  that of Flush
type Flushed struct{ Mark uint64 }

// Kind implements [Body].
func (*Flushed) Kind() Kind { return KindFlushed }

func (b *Flushed) append(dst []byte) []byte { return binary.AppendUvarint(dst, b.Mark) }

func readFlushed(r *reader) Body { return &Flushed{r.Number(anything, "the mark")} }

// Retain tells of a topic's retained message, once Redis has it. A node that has a higher version of the shard for this topic ignores it.
//
//	shard    of the topic
//	version  of the shard with this change
//	topic
//	message  record r of docs/storage.md; nothing: there is none any more
type Retain struct {
	Shard, Version uint64
	Topic          string
	Message        []byte
}

// Kind implements [Body].
func (*Retain) Kind() Kind { return KindRetain }

func (b *Retain) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, b.Shard)
	dst = binary.AppendUvarint(dst, b.Version)
	dst = record.Append(dst, b.Topic)
	return record.Append(dst, b.Message)
}

func readRetain(r *reader) Body {
	return &Retain{Shard: r.Number(1<<16-1, "the shard"), Version: r.Number(anything, "the version"), Topic: r.text(MaxText, "the topic name"), Message: r.bytes("the message")}
}
