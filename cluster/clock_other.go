//go:build !linux

package cluster

import "time"

// clock counts milliseconds since it was made.
type clock struct{ began time.Time }

func newClock() clock { return clock{time.Now()} }

func (c clock) now() int64 { return time.Since(c.began).Milliseconds() + 1 }
