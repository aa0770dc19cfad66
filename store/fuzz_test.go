package store

import (
	"bytes"
	"reflect"
	"testing"

	"picket/session"
	"picket/topic"
)

// seedRecords are records of every kind.
func seedRecords() [][]byte {
	m := &session.Message{ID: 7, Topic: "a/b", Payload: []byte("hello"), Props: []byte{1, 1}, QoS: 2, Retain: true, Expires: 1 << 31, From: "p", User: "u"}
	long := &session.Message{ID: 8, Topic: "a/b", Payload: bytes.Repeat([]byte("x"), 500)}
	return [][]byte{
		AppendBody(nil, m),
		AppendBodyApart(nil, long),
		AppendEntry(nil, &Entry{Ref: RefTo(1, m), Delivery: session.Delivery{Message: m, QoS: 1, Retain: true, IDs: []uint32{1, 300}}}),
		AppendEntry(nil, &Entry{Ref: RefTo(1, long), Delivery: session.Delivery{Message: long, QoS: 1}}),
		AppendEntry(nil, &Entry{Delivery: session.Delivery{QoS: 2, Released: true}}),
		AppendRecord(nil, "client", &Record{Expiry: 1<<32 - 1, Offline: 1700000000, Next: 9, Sent: 8, User: "u", Named: true, Certified: true, Listener: "|:1883", Mount: "m/", Fence: 3,
			Will: &Will{Message: m, Expiry: 5, Expires: true, Delay: 6, Due: 1700000001}}),
		AppendSubscription(nil, topic.Options{QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2, Identifier: 268435455}),
	}
}

// FuzzRecords has every decoder look at any bytes. What one accepts has exactly one form: written again it is the same.
func FuzzRecords(f *testing.F) {
	for _, r := range seedRecords() {
		f.Add(r)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		same := func(kind string, again []byte) {
			if !bytes.Equal(data, again) {
				t.Errorf("%s record %x was written again as %x", kind, data, again)
			}
		}
		if m, err := DecodeBody(data, 1); err == nil {
			same("message", AppendBody(nil, m))
			if MessageSize(m) != len(data)-1 {
				t.Errorf("a message of %d bytes counts as %d", len(data)-1, MessageSize(m))
			}
		}
		if m, apart, err := DecodeBodyApart(data, 1); err == nil {
			if apart == 0 {
				same("message", AppendBody(nil, m))
			} else if apart <= 1<<20 {
				m.Payload = make([]byte, apart)
				same("message", AppendBodyApart(nil, m))
			}
		}
		if h, err := DecodeEntryHead(data, 1); err == nil {
			switch {
			case h.Ref.ID != 0:
				h.Message = &session.Message{ID: h.Ref.ID, Payload: make([]byte, min(h.Payload, 1<<20))}
				if h.Payload <= 1<<20 {
					same("queue", AppendEntry(nil, &h.Entry))
				}
			default:
				if e, err := h.Whole(); err == nil && !e.Released && len(e.Message.Payload) == h.Payload {
					same("queue", AppendEntry(nil, &e))
				}
			}
		}
		if id, r, err := DecodeRecord(data); err == nil {
			same("session", AppendRecord(nil, id, &r))
		}
		if o, err := DecodeSubscription(data); err == nil {
			same("subscription", AppendSubscription(nil, o))
		}
	})
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	m := &session.Message{ID: 7, Topic: "a/b", Payload: []byte("hello"), Props: []byte{1, 1}, QoS: 2, Retain: true, Expires: 1 << 31, From: "p", User: "u", Door: "||1883"}
	want := Entry{Ref: RefTo(3, m), Delivery: session.Delivery{Seq: 3, Message: m, QoS: 1, Retain: true, IDs: []uint32{1, 300}}}
	h, err := DecodeEntryHead(AppendEntry(nil, &want), 3)
	if err != nil {
		t.Fatal(err)
	}
	got, err := h.Whole()
	if err != nil {
		t.Fatal(err)
	}
	got.Message.ID = m.ID // it is not a part of the record
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	r := Record{Expiry: 5, Offline: 6, Next: 7, Sent: 8, User: "u", Named: true, Listener: "l", Mount: "m", Fence: 9, Will: &Will{Message: m, Delay: 4}}
	id, again, err := DecodeRecord(AppendRecord(nil, "c", &r))
	if err != nil || id != "c" {
		t.Fatalf("%q, %v", id, err)
	}
	again.Will.Message.ID = m.ID
	if !reflect.DeepEqual(again, r) {
		t.Errorf("%+v, want %+v", again, r)
	}
}
