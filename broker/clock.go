package broker

import (
	"time"

	"picket/session"
)

// clock is the time that the broker goes by, and what it waits by. Tests have one of their own, which they set.
type clock interface {
	now() time.Time
	// after returns a channel that is sent to once when d has passed, and what gives the waiting up.
	after(d time.Duration) (due <-chan time.Time, stop func())
}

// machineClock is the clock of the machine.
type machineClock struct{}

func (machineClock) now() time.Time { return time.Now() }

func (machineClock) after(d time.Duration) (<-chan time.Time, func()) {
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

func (b *Broker) now() time.Time { return b.time.now() }

// seconds is the time in seconds since 1970, as message expiry is judged by it. Broker.unix, which costs nothing to read, may be behind by a tick.
func (b *Broker) seconds() int64 { return b.now().Unix() }

// expired tells whether a message's expiry interval has passed.
func (b *Broker) expired(m *session.Message) bool { return m.Expires != 0 && m.Expired(b.seconds()) }

// pause waits, and reports whether the broker goes on: false when it has begun to stop.
func (b *Broker) pause(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	due, stop := b.time.after(d)
	defer stop()
	select {
	case <-due:
		return true
	case <-b.stopping:
		return false
	}
}
