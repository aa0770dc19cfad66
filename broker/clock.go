package broker

import "time"

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
