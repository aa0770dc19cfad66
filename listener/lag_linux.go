package listener

import (
	"sync/atomic"
	"time"
)

// probe measures a loop by a task that does nothing.
type probe struct {
	posted atomic.Int64 // when, in nanoseconds since processStart; 0: it has been done
	took   atomic.Int64 // the last one, in nanoseconds
}

var processStart = time.Now()

func (f *loopFront) lag() (worst time.Duration) {
	for _, l := range f.loops {
		worst = max(worst, l.probe.read(l))
	}
	return worst
}

// read returns the result of the last probe, or its age, and sends the next.
func (p *probe) read(l *loop) time.Duration {
	if posted := p.posted.Load(); posted != 0 {
		return time.Since(processStart) - time.Duration(posted)
	}
	took := time.Duration(p.took.Load())
	p.posted.Store(max(1, int64(time.Since(processStart))))
	l.post(task{kind: taskDo, do: func(*loop) {
		p.took.Store(int64(time.Since(processStart)) - p.posted.Load())
		p.posted.Store(0)
	}})
	return took
}
