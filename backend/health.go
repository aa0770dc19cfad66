package backend

import (
	"errors"
	"sync"
	"time"

	"picket/cause"
	"picket/logging"
)

// sayAgain is how often it is said that a source still fails.
const sayAgain = time.Minute

// health is how a source answers. Safe for concurrent use.
type health struct {
	mu     sync.Mutex
	status Status
	said   time.Time
}

// Status is how a back end answers.
type Status struct {
	Name   string    `json:"name"`
	Where  string    `json:"where"`
	Asked  uint64    `json:"asked"`                // since it was opened
	Failed uint64    `json:"failed"`               // of those
	Last   int64     `json:"last_milliseconds"`    // how long the last answer took
	Since  time.Time `json:"down_since,omitzero"`  // when it began to fail; zero: it answers
	Error  string    `json:"last_error,omitempty"` // why it fails
}

// note takes note of an answer, and says so when a source begins or ceases to fail.
func (h *health) note(log *logging.Logger, a *asked, err error, start time.Time) {
	now := time.Now()
	h.mu.Lock()
	h.status.Asked++
	h.status.Last = now.Sub(start).Milliseconds()
	was := h.status.Since
	say := false
	if err != nil {
		h.status.Failed++
		h.status.Error = err.Error()
		if was.IsZero() {
			h.status.Since = now
		}
		if say = now.Sub(h.said) >= sayAgain; say {
			h.said = now
		}
	} else {
		h.status.Since, h.status.Error = time.Time{}, ""
		say = !was.IsZero()
	}
	h.mu.Unlock()
	switch {
	case say && err != nil:
		log.Cause(logging.Warning, cause.AuthBackendDown, "Warning: The back end %s (%s) does not answer: %v.", a.Name, a.where(), err)
	case say:
		log.Printf(logging.Notice, "The back end %s (%s) answers again.", a.Name, a.where())
	}
}

// failing is why the source does not answer; nil: it does.
func (h *health) failing() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.status.Since.IsZero() {
		return nil
	}
	return errors.New(h.status.Error)
}

// Status tells how the back ends answer that take time.
func (s *Set) Status() (all []Status) {
	for _, a := range s.all {
		if t, ok := a.source.(*tokens); a.instant() && !(ok && t.ring != nil) {
			continue
		}
		a.mu.Lock()
		one := a.status
		a.mu.Unlock()
		one.Name, one.Where = a.Name, a.where()
		all = append(all, one)
	}
	return all
}
