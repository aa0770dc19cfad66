package local

import (
	"bytes"
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/session"
	"picket/store"
	"picket/store/storetest"
)

// piecesIn are the messages of whose payloads there are pieces in an open store, and how many.
func piecesIn(t *testing.T, s *Store) map[uint64]uint32 {
	t.Helper()
	there := make(map[uint64]uint32)
	if err := eachPieced(s.current().db, func(id uint64, pieces uint32) { there[id] = pieces }); err != nil {
		t.Fatal(err)
	}
	return there
}

func formatOf(t *testing.T, s *Store) uint64 {
	t.Helper()
	n, _, err := getNumber(s.current().db, formatKey)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func commit(t *testing.T, s *Store, fill func(b *store.Batch)) {
	t.Helper()
	b := new(store.Batch)
	fill(b)
	s.Commit(b)
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// longMessage is one whose payload no compression makes shorter.
func longMessage(s *Store, length int) *session.Message {
	m := &session.Message{ID: s.NewMessageID(), Topic: "long", Props: []byte{1, 1}, Payload: make([]byte, length), QoS: 1}
	rng := rand.New(rand.NewPCG(1, uint64(length)))
	for i := range m.Payload {
		m.Payload[i] = byte(rng.Uint32())
	}
	return m
}

// A payload that is longer than a piece is there again, in queues and retained, and gone with the last that refers to it.
func TestLongPayloads(t *testing.T) {
	fs := vfs.NewMem()
	s, _ := start(t, fs, "/store", Options{})
	one := s.NewSession("one")
	commit(t, s, func(b *store.Batch) { b.Save(one, store.Record{Expiry: 3600}) })
	if n := formatOf(t, s); n != formatFirst {
		t.Errorf("a new store has format %d", n)
	}
	var messages []*session.Message
	var refs []store.Ref
	want := make(map[uint64]uint32)
	for i, length := range []int{shortPiece, shortPiece + 1, 2 * shortPiece, 2*shortPiece + 1, 10 * shortPiece} {
		m := longMessage(s, length)
		if n := (length + shortPiece - 1) / shortPiece; n > 1 {
			want[m.ID] = uint32(n)
		}
		messages = append(messages, m)
		commit(t, s, func(b *store.Batch) {
			refs = append(refs, b.Enqueue(one, session.Delivery{Seq: uint64(i), Message: m, QoS: 1}, false))
			b.Retain(m, nil)
		})
	}
	last := messages[len(messages)-1]
	for range 2 {
		if got := piecesIn(t, s); !maps.Equal(got, want) {
			t.Errorf("there are pieces %v, want %v", got, want)
		}
		if n := formatOf(t, s); n != formatApart {
			t.Errorf("the store has format %d", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		verify(t, fs, "/store")
		var r *storetest.Recorder
		s, r = start(t, fs, "/store", Options{})
		one = r.Handle("one")
		entries, _, err := s.Read(context.Background(), one, 0, store.Limit{Entries: 100, Bytes: 1 << 20}, nil)
		if err != nil || len(entries) != len(messages) {
			t.Fatal(len(entries), err)
		}
		for i, e := range entries {
			if m := messages[i]; e.Damaged || !bytes.Equal(e.Message.Payload, m.Payload) || !bytes.Equal(e.Message.Props, m.Props) {
				t.Errorf("entry %d has %d bytes, want %d", i, len(e.Message.Payload), len(m.Payload))
			}
		}
	}
	commit(t, s, func(b *store.Batch) {
		for _, ref := range refs {
			b.Remove(one, ref)
		}
	})
	if got := piecesIn(t, s); len(got) != 1 || got[last.ID] != want[last.ID] {
		t.Errorf("the retained message has pieces %v", got)
	}
	commit(t, s, func(b *store.Batch) { b.Unretain(last) })
	if got := piecesIn(t, s); len(got) != 0 {
		t.Errorf("nothing refers to pieces %v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// Pieces whose group was never written are removed by the next start, and their number is not given to another message.
func TestPiecesWithoutMessage(t *testing.T) {
	fs := vfs.NewMem()
	s, _ := start(t, fs, "/store", Options{})
	m := longMessage(s, 5*shortPiece)
	c := &changes{ledger: &s.committer.ledger, engine: s.current(), db: s.current().db}
	if n := c.writePieces(m); n != 5 || c.err != nil {
		t.Fatal(n, c.err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	verify(t, fs, "/store")
	s, _ = start(t, fs, "/store", Options{})
	defer s.Close()
	if got := piecesIn(t, s); len(got) != 0 {
		t.Errorf("nothing refers to pieces %v", got)
	}
	if id := s.NewMessageID(); id <= m.ID {
		t.Errorf("message %d comes after %d", id, m.ID)
	}
	if d := s.Damage(); len(d) != 0 {
		t.Errorf("%+v", d)
	}
}

// A message of whose payload a part is missing is left out, and the next start removes what is left of it.
func TestMissingPiece(t *testing.T) {
	for name, spoil := range map[string]func(b *pebble.Batch, id uint64) error{
		"first":   func(b *pebble.Batch, id uint64) error { return b.Delete(pieceKey(nil, id, 0), nil) },
		"middle":  func(b *pebble.Batch, id uint64) error { return b.Delete(pieceKey(nil, id, 2), nil) },
		"last":    func(b *pebble.Batch, id uint64) error { return b.Delete(pieceKey(nil, id, 4), nil) },
		"shorter": func(b *pebble.Batch, id uint64) error { return b.Set(pieceKey(nil, id, 1), []byte{1}, nil) },
		"longer": func(b *pebble.Batch, id uint64) error {
			return b.Set(pieceKey(nil, id, 1), make([]byte, 10*shortPiece), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s, _ := start(t, fs, "/store", Options{})
			one := s.NewSession("one")
			m, other := longMessage(s, 5*shortPiece), longMessage(s, 3*shortPiece)
			commit(t, s, func(b *store.Batch) {
				b.Save(one, store.Record{Expiry: 3600})
				b.Enqueue(one, session.Delivery{Seq: 0, Message: m, QoS: 1}, false)
				b.Enqueue(one, session.Delivery{Seq: 1, Message: other, QoS: 1}, false)
			})
			out := s.current().db.NewBatch()
			if err := spoil(out, m.ID); err != nil {
				t.Fatal(err)
			}
			if err := s.current().apply(out, true); err != nil {
				t.Fatal(err)
			}
			entries, _, err := s.Read(context.Background(), one, 0, store.Limit{Entries: 100, Bytes: 1 << 20}, nil)
			if err != nil || len(entries) != 2 || !entries[0].Damaged || entries[1].Damaged || !bytes.Equal(entries[1].Message.Payload, other.Payload) {
				t.Fatalf("%v %v", entries, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s, r := start(t, fs, "/store", Options{})
			defer s.Close()
			if d := s.Damage(); len(d) != 1 || !slices.Contains(d[0].Lost, "1 queued messages, whose contents are lost") {
				t.Errorf("%+v", d)
			}
			if got := piecesIn(t, s); len(got) != 1 || got[other.ID] != 3 {
				t.Errorf("there are pieces %v", got)
			}
			entries, _, err = s.Read(context.Background(), r.Handle("one"), 0, store.Limit{Entries: 100, Bytes: 1 << 20}, nil)
			if err != nil || len(entries) != 1 || entries[0].Damaged {
				t.Errorf("%v %v", entries, err)
			}
		})
	}
}
