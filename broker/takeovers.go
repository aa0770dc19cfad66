package broker

import "time"

// loopWindow and loopLimit say when clients that take one another's session over are fighting: from the limit on, each new one has to
// wait, so that two of them cannot keep the broker busy.
const (
	loopWindow = 10 * time.Second
	loopLimit  = 8
	loopDelay  = time.Second
	loopTable  = 4096 // client identifiers that are watched at once
)

// takeovers counts how often clients take one another's session over, by client identifier. It reads no clock, and its owner guards it.
type takeovers struct {
	lately map[string]spell
}

// spell is a time of takeovers of one client identifier.
type spell struct {
	since time.Time
	n     int
}

// delay is how long a client has to wait that was taken over so often lately.
func (t *takeovers) delay(id string, now time.Time) time.Duration {
	if s, ok := t.lately[id]; ok && s.n >= loopLimit && now.Sub(s.since) <= loopWindow {
		return loopDelay
	}
	return 0
}

// count counts one more, and returns how many it are within loopWindow and how long the client has to wait before it may have the session.
func (t *takeovers) count(id string, now time.Time) (n int, delay time.Duration) {
	s, ok := t.lately[id]
	if !ok || now.Sub(s.since) > loopWindow {
		if t.lately == nil || len(t.lately) >= loopTable {
			t.lately = make(map[string]spell)
		}
		s = spell{since: now}
	}
	s.n++
	t.lately[id] = s
	return s.n, t.delay(id, now)
}
