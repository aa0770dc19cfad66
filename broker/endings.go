package broker

import (
	"sync"

	"picket/store"
)

// ending is what is left of a session that is over: what stands in the store for it, and what it leaves to other members of its shared groups.
type ending struct {
	handle *store.Session // nil: nothing
	left   *leftover      // nil: nothing
}

// endings are the client identifiers whose sessions are over, but whose end is not in the store yet. A new session's CONNACK waits for it: after a
// crash the old one would be found in the store, and the client be told of a session that it knows to be gone (MQTT-3.1.2-6, MQTT-3.2.2-2). An
// identifier is entered while the broker's mutex is held, in the moment in which the session leaves the table.
type endings struct {
	mu sync.Mutex
	of map[string]*unended
}

// unended is what is waited for on behalf of one client identifier.
type unended struct {
	n    int           // sessions
	done chan struct{} // closed when there is none any more
	err  error         // why the store has refused to end one; valid when done is closed
}

// begin enters a client identifier.
func (e *endings) begin(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	u := e.of[id]
	if u == nil {
		if e.of == nil {
			e.of = make(map[string]*unended)
		}
		u = &unended{done: make(chan struct{})}
		e.of[id] = u
	}
	u.n++
}

// over notes that the end of a session is in the store, or why it has been refused.
func (e *endings) over(id string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	u := e.of[id]
	if err != nil {
		u.err = err
	}
	if u.n--; u.n == 0 {
		delete(e.of, id)
		close(u.done)
	}
}

// under returns what is waited for under a client identifier; nil: nothing.
func (e *endings) under(id string) *unended {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.of[id]
}

// settled tells whether nothing has to be waited for any more.
func (u *unended) settled() bool {
	if u == nil {
		return true
	}
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

// refusal is why the store has refused the end, once it is settled.
func (u *unended) refusal() error {
	if u == nil || !u.settled() {
		return nil
	}
	return u.err
}

// ended is told when the end of a session is settled.
type ended struct {
	b     *Broker
	id    string
	batch *store.Batch
}

func (e ended) Settled() { e.b.endings.over(e.id, e.batch.Err()) }

// ends returns what a session leaves that is over, and enters its identifier. Both mutexes are held; nothing of the session has been let go yet. In the
// store nothing ends before the will has been published.
func (b *Broker) ends(s *Session) ending {
	e := ending{left: s.leavesBehind()}
	if s.will == nil {
		e.handle = s.handle()
	}
	if e.handle != nil {
		b.endings.begin(s.id)
		if e.left != nil && e.left.stored {
			e.left.record = b.record(s)
			e.left.record.Expiry, e.left.record.Offline = 0, b.now().Unix()
		}
	}
	return e
}

// endStored passes on what a session that is over has left, and ends in the store what stands there for it. The end of a session that has left stored messages to
// others comes when those have been passed on; until then the store has it beside a new one with the same client identifier, with a record that says that it is over.
func (b *Broker) endStored(e ending) {
	if e.handle != nil {
		id, end := e.handle.ClientID, new(store.Batch)
		if e.left != nil && e.left.stored {
			end.Save(e.handle, e.left.record)
		} else {
			end.End(e.handle)
		}
		if b.store.Commit(end); !end.Await(ended{b, id, end}) {
			b.endings.over(id, end.Err())
		}
	}
	if e.left != nil {
		b.wait.Go(func() {
			if b.passOn(e.left) && e.handle != nil {
				last := new(store.Batch)
				last.End(e.handle)
				b.store.Commit(last)
			}
		})
	}
}
