package broker

import (
	"fmt"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"picket/cause"
	"picket/logging"
)

// Load is how the broker feels, as it was measured in the last second.
type Load struct {
	Lag             time.Duration // how late the event loops and timers are
	PasswordWait    time.Duration // the longest that a CONNECT had to wait until its password was checked
	Memory          int64         // bytes: live objects where there is a memory_limit, else all memory of the process
	MemoryLimit     int64         // memory_limit, else the memory of the machine or the control group
	Connections     int64
	ConnectionLimit int64    // as many as the limit on open files has room for
	Short           []string // what is short: cpu, memory, descriptors; empty when the broker is not overloaded
}

// The thresholds of an overload. A processor that is short for a moment is normal (a burst, a garbage collection on a small machine); one
// that is short for five seconds makes clients run into their own time limits, most of which are 10 to 30 s. A password check that waits
// five seconds is near that, too, so its wait counts as a fifth. Memory and descriptors are refused at their limits, so the warning
// comes before.
const (
	lagHigh, lagLow         = 1.0, 0.2 // seconds
	memoryHigh, memoryLow   = 0.90, 0.80
	fileHigh, fileLow       = 0.95, 0.85
	strainRise, strainFall  = 5, 5 // readings, one a second
	passwordShare           = 5
	memoryFull, memoryRoomy = 1.0, 0.95 // of memory_limit
)

// shortages are all that can be short.
var shortages = [...]string{"cpu", "memory", "descriptors"}

// strain measures what is short.
type strain struct {
	memoryFull atomic.Bool // memory_limit is reached
	refuse     atomic.Pointer[string]

	mu                     sync.Mutex
	load                   Load
	cpu, memory, files, at gauge
}

func (s *strain) init() {
	s.cpu = gauge{high: lagHigh, low: lagLow, rise: strainRise, fall: strainFall}
	s.memory = gauge{high: memoryHigh, low: memoryLow, rise: strainRise, fall: strainFall}
	s.files = gauge{high: fileHigh, low: fileLow, rise: 1, fall: strainFall}
	s.at = gauge{high: memoryFull, low: memoryRoomy, rise: 1, fall: 1}
}

// refusing says why new clients are refused, for their reason string; empty when they are not. Without processor or memory to spare another
// client makes it worse for all; descriptors have a limit of their own.
func (s *strain) refusing() string {
	if p := s.refuse.Load(); p != nil {
		return *p
	}
	return ""
}

// change is something that has become short, or is not any more.
type change struct {
	what, reading string
	short         bool
}

// take judges a second's readings. limited tells whether MemoryLimit is a memory_limit.
func (s *strain) take(l Load, limited bool) (changes []change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lag := max(l.Lag, l.PasswordWait/passwordShare).Seconds()
	memory := share(l.Memory, l.MemoryLimit)
	var refuse []string
	for _, g := range []struct {
		*gauge
		what    string
		value   float64
		reading string
		refuses bool
	}{
		{&s.cpu, shortages[0], lag, fmt.Sprintf("event loops are %.1f s late, passwords wait %.1f s to be checked", l.Lag.Seconds(), l.PasswordWait.Seconds()), true},
		{&s.memory, shortages[1], memory, fmt.Sprintf("%d of %d MiB are in use", l.Memory>>20, l.MemoryLimit>>20), true},
		{&s.files, shortages[2], share(l.Connections, l.ConnectionLimit), fmt.Sprintf("%d of %d connections are open", l.Connections, l.ConnectionLimit), false},
	} {
		if g.read(g.value) {
			changes = append(changes, change{g.what, g.reading, g.up})
		}
		if g.up {
			l.Short = append(l.Short, g.what)
			if g.refuses {
				refuse = append(refuse, g.what+": "+g.reading)
			}
		}
	}
	if limited {
		s.at.read(memory)
	} else {
		s.at.up = false
	}
	s.memoryFull.Store(s.at.up)
	s.load = l
	text := strings.Join(refuse, "; ")
	s.refuse.Store(&text)
	return changes
}

func share(n, of int64) float64 {
	if of <= 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// Load returns the last measurement.
func (b *Broker) Load() Load {
	b.strain.mu.Lock()
	defer b.strain.mu.Unlock()
	return b.strain.load
}

// measure runs until the broker stops: each second, it looks at what is short.
func (b *Broker) measure() {
	for {
		began := b.now()
		if !b.pause(time.Second) {
			return
		}
		b.feel(b.now().Sub(began) - time.Second)
	}
}

// feel measures once. overslept is how late the timer was that it is called by.
func (b *Broker) feel(overslept time.Duration) {
	t := b.settings.Load()
	l := Load{Lag: max(overslept, b.listeners.Lag()), PasswordWait: b.passwords.read(b.now()), ConnectionLimit: t.fileRoom}
	limited := t.MemoryLimit > 0
	if l.Memory, l.MemoryLimit = processMemory(), t.machineMemory; limited {
		l.Memory, l.MemoryLimit = liveMemory(), t.MemoryLimit
	}
	var unsaid int
	if l.Connections, unsaid = b.room.take(); unsaid > 0 {
		b.notice(logging.Warning, cause.ServerFull, "%d connections were closed without an answer, because there is no room for more.", unsaid)
	}
	for _, c := range b.strain.take(l, limited) {
		if c.short {
			b.report(incident{cause: cause.Overloaded, level: logging.Warning}, "Overloaded, short of %s: %s.", c.what, c.reading)
		} else {
			b.notice(logging.Notice, cause.Overloaded, "No longer short of %s: %s.", c.what, c.reading)
		}
	}
}

// liveMemory is what the last garbage collection found in use.
func liveMemory() int64 { return int64(readMetric("/gc/heap/live:bytes")) }

// processMemory is what the process holds of the machine's memory.
func processMemory() int64 {
	return int64(readMetric("/memory/classes/total:bytes") - readMetric("/memory/classes/heap/released:bytes"))
}

func readMetric(name string) uint64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
