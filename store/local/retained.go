package local

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"picket/session"
	"picket/store"
)

// replacement is the last word of a group on a topic: now is its retained message at the end of the group, nil for none, and before the one that the broker had there when
// the group began.
type replacement struct{ before, now *session.Message }

func (c *changes) noteRetained(topic string, before, now *session.Message) {
	if c.retained == nil {
		c.retained = make(map[string]replacement)
	}
	if first, ok := c.retained[topic]; ok {
		before = first.before
	}
	c.retained[topic] = replacement{before, now}
}

// retain writes what a topic's retained message is at the end of the group.
func (c *changes) retain(topic string, r replacement) {
	c.key = retainedKey(c.key[:0], topic)
	var add store.Ref
	if r.now != nil {
		add = store.RefTo(0, r.now)
		if add.ID != 0 {
			c.addBody(r.now)
		}
	}
	if old, ok := c.retainedBefore(c.key, r.before); ok {
		if old.ID != 0 {
			c.removeBody(old.ID)
		}
		c.unindex(c.key, old.Expires)
		c.live -= int64(old.Size) + int64(len(topic))
	}
	if r.now == nil {
		c.delete(c.key)
		return
	}
	c.val = store.AppendEntry(c.val[:0], &store.Entry{Ref: add, Delivery: session.Delivery{Message: r.now, QoS: r.now.QoS, Retain: true}})
	c.set(c.key, c.val)
	c.index(c.key, add.Expires)
	c.live += int64(add.Size) + int64(len(topic))
	r.now.Kept = c.life
}

// retainedBefore is what a topic's record refers to that is about to be replaced; ok is false where there is none. It is looked up only where that cannot be told
// from what the broker had there: the broker may have taken back what it thought was there, and records that were there already may be of an older program.
// Reading each would make replacing a message the dearer the more topics there are.
func (c *changes) retainedBefore(key []byte, before *session.Message) (ref store.Ref, ok bool) {
	switch {
	case before != nil && c.knows(before):
		return store.RefTo(0, before), true
	case before == nil && c.life == 1:
		return store.Ref{}, false // nothing has been refused after it had been written, so where the broker has nothing, neither has the store
	}
	value, closer, err := c.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return store.Ref{}, false
	}
	if err != nil {
		c.broken = err
		return store.Ref{}, false
	}
	h, err := store.DecodeEntryHead(value, 0)
	c.note(closer.Close())
	return h.Ref, err == nil
}

// knows tells whether a retained message is as its topic's record has it, if that is still there.
func (l *ledger) knows(m *session.Message) bool { return m.Kept == l.life && l.life < maxLife }

// maxLife is the life from which on nothing is known without looking.
const maxLife = 255
