package listener

import "time"

// Lag tells how late the event loops are: how long the slowest of them took until it came to what the last call gave it to do, or how
// long that has been waiting. It waits for nothing. Without event loops it is 0.
func (s *Set) Lag() time.Duration {
	if f, ok := s.front.(interface{ lag() time.Duration }); ok {
		return f.lag()
	}
	return 0
}
