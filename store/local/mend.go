package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/cockroachdb/pebble/v2"

	"picket/store"
)

// mend makes a database whole of which some records are missing: what refers to something that is not there goes, and so does what nothing refers
// to; the index of what expires is made again.
func (f *filler) mend() error {
	m := &mender{filler: f, sessions: make(map[uint64]bool), bodies: make(map[uint64]bool)}
	for _, step := range [...]func() error{m.readSessions, m.readBodies, m.readQueues, m.readRetained, m.dropRest} {
		if err := step(); err != nil {
			return err
		}
		if err := f.flush(); err != nil {
			return err
		}
	}
	for _, l := range [...]struct {
		n    int
		what string
	}{
		{m.ended, "subscriptions and received packet identifiers of sessions that are lost"}, {m.orphans, "queued messages of sessions that are lost"},
		{m.bodiless, "queued messages, whose contents are lost"}, {m.empty, "retained messages, whose contents are lost"},
		{m.bad, "records that cannot be understood"},
	} {
		if l.n > 0 {
			f.store.lost(fmt.Sprintf("%d %s", l.n, l.what))
		}
	}
	f.store.lost(fmt.Sprintf("nothing else that is known of; %d sessions, %d queued messages and %d retained messages are there", len(m.sessions), m.queued, m.retained))
	f.group++
	if err := f.out.Set(groupKey, appendGroup(nil, f.group, f.group-1), nil); err != nil {
		return err
	}
	if err := f.out.Set(formatKey, binary.AppendUvarint(nil, formatNewest), nil); err != nil {
		return err
	}
	return f.flush()
}

type mender struct {
	*filler
	sessions map[uint64]bool
	bodies   map[uint64]bool // whether something refers to it

	queued, retained                     int
	ended, orphans, bodiless, empty, bad int
}

// each reads all records of a kind, and removes those that read calls bad.
func (m *mender) each(kind byte, read func(key, value []byte) error) error {
	it, err := m.to.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return err
	}
	for it.First(); it.Valid(); it.Next() {
		err := read(it.Key(), it.Value())
		if errors.Is(err, errDrop) {
			err = m.delete(it.Key())
		}
		if err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return it.Close()
}

// errDrop has each remove the record.
var errDrop = errors.New("to be removed")

// drop counts a record that is to be removed.
func drop(n *int) error {
	*n++
	return errDrop
}

func (m *mender) readSessions() error {
	err := m.each(keySession, func(key, value []byte) error {
		if _, _, err := store.DecodeRecord(value); err != nil {
			return drop(&m.bad)
		}
		m.sessions[number(key)] = true
		return nil
	})
	for _, kind := range [...]byte{keySubscription, keyReceived} {
		err = errors.Join(err, m.each(kind, func(key, _ []byte) error {
			if !m.sessions[number(key)] {
				return drop(&m.ended)
			}
			return nil
		}))
	}
	return errors.Join(err, m.each(keyExpiry, func([]byte, []byte) error { return errDrop }))
}

func (m *mender) readBodies() error {
	return m.each(keyBody, func(key, value []byte) error {
		if _, err := decodeBody(m.to.db, value, number(key)); err != nil {
			return drop(&m.bad)
		}
		m.bodies[number(key)] = false
		return nil
	})
}

// refer notes a reference to a message, and tells whether that is there.
func (m *mender) refer(id uint64) bool {
	if _, ok := m.bodies[id]; !ok {
		return false
	}
	m.bodies[id] = true
	return true
}

func (m *mender) readQueues() error {
	return m.each(keyEntry, func(key, value []byte) error {
		h, err := store.DecodeEntryHead(value, sequence(key))
		if err == nil && h.Ref.ID == 0 {
			_, err = h.Whole()
		}
		switch {
		case err != nil:
			return drop(&m.bad)
		case !m.sessions[number(key)]:
			return drop(&m.orphans)
		case h.Ref.ID != 0 && !m.refer(h.Ref.ID):
			return drop(&m.bodiless)
		}
		m.queued++
		if h.Ref.Expires != 0 {
			return m.set(expiryKey(nil, h.Ref.Expires, key), nil)
		}
		return nil
	})
}

func (m *mender) readRetained() error {
	return m.each(keyRetained, func(key, value []byte) error {
		h, err := store.DecodeEntryHead(value, 0)
		if err != nil {
			return drop(&m.bad)
		}
		if h.Ref.ID != 0 && !m.refer(h.Ref.ID) {
			return drop(&m.empty)
		}
		r, _, err := retainedOf(m.to.db, value)
		if err != nil || r.Topic != string(key[1:]) {
			return drop(&m.bad)
		}
		m.retained++
		if h.Ref.Expires != 0 {
			return m.set(expiryKey(nil, h.Ref.Expires, key), nil)
		}
		return nil
	})
}

func (m *mender) dropRest() error {
	for id, used := range m.bodies {
		if !used {
			if err := m.delete(bodyKey(nil, id)); err != nil {
				return err
			}
		}
	}
	return m.each(keyPiece, func(key, _ []byte) error {
		if !m.bodies[number(key)] {
			return errDrop
		}
		return nil
	})
}

// describe says in words what a key stands for.
func describe(key []byte) string {
	if len(key) == 0 {
		return "the first record"
	}
	kinds := map[byte]string{keyBody: "message", keyExpiry: "expiry", keyGroup: "group", keyReceived: "received packet identifier of session",
		keyEntry: "queue of session", keyRetained: "retained message", keyPiece: "payload of message", keySession: "session", keySubscription: "subscription of session", keyFormat: "format"}
	word, ok := kinds[key[0]]
	switch {
	case !ok:
		return strconv.Quote(string(key))
	case key[0] == keyRetained:
		return word + " " + strconv.Quote(string(key[1:]))
	case key[0] == keyEntry && len(key) >= entryKeySize:
		return fmt.Sprintf("%s %d, number %d", word, number(key), sequence(key))
	case len(key) >= sessionKeySize && key[0] != keyExpiry:
		return fmt.Sprintf("%s %d", word, number(key))
	}
	return word
}
