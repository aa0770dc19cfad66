package storetest

import (
	"maps"
	"slices"
	"sync"

	"picket/session"
	"picket/store"
)

// Recorder is a broker that only notes what its store tells it. It implements [store.Handler].
type Recorder struct {
	mu       sync.Mutex
	changed  *sync.Cond
	sessions map[string]*store.Session
	states   map[string]store.State
	retained map[string]*session.Message
	failed   []*store.Batch
	errs     []error
	health   []error
}

// NewRecorder returns a recorder that has been told nothing.
func NewRecorder() *Recorder {
	r := &Recorder{sessions: map[string]*store.Session{}, states: map[string]store.State{}, retained: map[string]*session.Message{}}
	r.changed = sync.NewCond(&r.mu)
	return r
}

func (r *Recorder) Session(s *store.Session, st store.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions[s.ClientID], r.states[s.ClientID] = s, st
}

// Messages are the retained messages that it has been told of, by topic.
func (r *Recorder) Messages() map[string]*session.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.retained)
}

func (r *Recorder) Retained(name string, m *session.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.retained[name] = m; m == nil {
		delete(r.retained, name)
	}
}

func (r *Recorder) Failed(b *store.Batch, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = append(r.failed, b)
	r.errs = append(r.errs, err)
	r.changed.Broadcast()
}

func (r *Recorder) Room() {}

func (r *Recorder) Health(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.health = append(r.health, err)
	r.changed.Broadcast()
}

// State is what the store has handed over of a session.
func (r *Recorder) State(clientID string) store.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.states[clientID]
}

// Refused are the batches that were handed back.
func (r *Recorder) Refused() []*store.Batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.failed)
}

// Handle is the handle of a session that the store has handed over.
func (r *Recorder) Handle(clientID string) *store.Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[clientID]
}

// Wait returns when condition holds of why batches have been refused, and of what the store has said of its health. It is asked again whenever either
// has changed, and must not call the recorder.
func (r *Recorder) Wait(condition func(refusals, health []error) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !condition(r.errs, r.health) {
		r.changed.Wait()
	}
}

// Refusals lists why batches have been refused so far.
func (r *Recorder) Refusals() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]error(nil), r.errs...)
}

// settled is whoever waits for a batch.
type settled chan struct{}

func (s settled) Settled() { close(s) }

// WaitFor returns when a batch that has been committed is settled.
func WaitFor(b *store.Batch) {
	s := make(settled)
	if b.Await(s) {
		<-s
	}
}
