package bench

import (
	"errors"
	"time"
)

// usage is what a process has taken of its machine.
type usage struct {
	cpu time.Duration // user and system time since it began
	rss int64         // bytes of memory that are resident
}

// errNoProcess says that the broker's process cannot be looked at: it is on another machine, or this system has no /proc.
var errNoProcess = errors.New("bench: no process of the broker on this machine")
