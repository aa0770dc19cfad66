package broker

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"picket/session"
	"picket/store"
)

// QueueEntry is a message that is in flight to a client, or waits for it.
type QueueEntry struct {
	Number  uint64        `json:"number"` // in the session: a later message has a larger one
	State   session.Stage `json:"state"`  // queued, sent or released
	Stored  bool          `json:"stored,omitempty"`
	Topic   string        `json:"topic,omitempty"` // absent: the message is not there any more, or is not kept
	QoS     byte          `json:"qos"`
	Retain  bool          `json:"retain,omitempty"`
	Again   bool          `json:"dup,omitempty"` // it may have been sent before
	Size    int           `json:"size_bytes"`    // of the payload
	Expires time.Time     `json:"expires,omitzero"`
	From    string        `json:"from,omitempty"` // the client that has published it
	Payload []byte        `json:"payload_base64,omitempty"`
	Cut     bool          `json:"payload_cut,omitempty"` // there is more of it
}

// QueuePart is a part of what is in flight to a client and waits for it.
type QueuePart struct {
	Items    []QueueEntry `json:"items"`
	Next     uint64       `json:"next,omitempty"` // the number behind which the next part begins; absent: there is none
	Inflight int          `json:"inflight"`       // of the whole queue, as of this moment
	Queued   int          `json:"queued"`
}

// QueueQuery says which part: at most Limit messages behind the number After, with at most Payload bytes of each payload.
type QueueQuery struct {
	After          uint64
	Limit, Payload int
}

// Queue looks into a session's queue and changes nothing there: first what is in memory, then what is in the store alone. ok is false where there is no such session.
func (b *Broker) Queue(ctx context.Context, clientID string, q QueueQuery) (part QueuePart, ok bool, err error) {
	part.Items = []QueueEntry{}
	s := b.session(clientID)
	if s == nil {
		return part, false, nil
	}
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return part, false, nil
	}
	part.Inflight, part.Queued = s.out.Inflight(), s.out.Waiting()
	upTo := s.out.Look(q.After, func(d *session.Delivery, stage session.Stage) bool {
		if len(part.Items) == q.Limit {
			part.Next = part.Items[q.Limit-1].Number
			return false
		}
		part.Items = append(part.Items, q.entry(s, d, stage))
		return true
	})
	away := s.stored() && s.out.Away() > 0
	var handle *store.Session
	if s.stored() {
		handle = s.durable.handle
	}
	s.mu.Unlock()
	if handle != nil {
		if err := b.fillIn(ctx, s, handle, q, part.Items); err != nil {
			return part, true, err
		}
	}
	if !away || part.Next != 0 {
		return part, true, nil
	}
	if len(part.Items) == q.Limit {
		part.Next = part.Items[q.Limit-1].Number
		return part, true, nil
	}
	return b.queueStored(ctx, s, handle, q, max(q.After, upTo), part)
}

// fillIn completes messages in flight of a stored session: what has been sent is in the store alone.
func (b *Broker) fillIn(ctx context.Context, s *Session, handle *store.Session, q QueueQuery, items []QueueEntry) error {
	lacks := func(e QueueEntry) bool { return e.Topic == "" && e.State == session.InFlight }
	first := slices.IndexFunc(items, lacks)
	if first < 0 {
		return nil
	}
	entries, _, err := b.store.Read(ctx, handle, items[first].Number, store.Limit{Entries: len(items) - first, Bytes: maxPeek}, nil)
	for i := range entries {
		at, found := slices.BinarySearchFunc(items, entries[i].Seq, func(e QueueEntry, seq uint64) int { return cmp.Compare(e.Number, seq) })
		if found && lacks(items[at]) && entries[i].Message != nil {
			items[at] = q.entry(s, &entries[i].Delivery, session.InFlight)
			items[at].Stored = true
		}
	}
	return err
}

// maxPeek bounds the payloads that are read of the store at once.
const maxPeek = 4 << 20

// queueStored adds what is in the store alone, behind a number.
func (b *Broker) queueStored(ctx context.Context, s *Session, handle *store.Session, q QueueQuery, after uint64, part QueuePart) (QueuePart, bool, error) {
	room := q.Limit - len(part.Items)
	entries, more, err := b.store.Read(ctx, handle, after+1, store.Limit{Entries: room, Bytes: maxPeek}, nil)
	if err != nil {
		return part, true, err
	}
	for i := range entries {
		d, stage := &entries[i].Delivery, session.InQueue
		if d.Released {
			stage = session.Releasing
		}
		one := q.entry(s, d, stage)
		one.Stored = true
		part.Items = append(part.Items, one)
	}
	if more && len(entries) > 0 {
		part.Next = entries[len(entries)-1].Seq
	}
	return part, true, nil
}

// entry takes down a message, as far as it is there.
func (q *QueueQuery) entry(s *Session, d *session.Delivery, stage session.Stage) QueueEntry {
	e := QueueEntry{Number: d.Seq, State: stage, QoS: d.QoS, Retain: d.Retain, Again: d.Dup}
	m := d.Message
	if m == nil {
		return e
	}
	e.Topic, e.Size, e.From = strings.TrimPrefix(m.Topic, s.mount), len(m.Payload), m.From
	if m.Expires != 0 {
		e.Expires = time.Unix(m.Expires, 0).UTC()
	}
	kept := min(len(m.Payload), q.Payload)
	e.Payload, e.Cut = append([]byte(nil), m.Payload[:kept]...), q.Payload > 0 && kept < len(m.Payload)
	return e
}
