// Package logging writes Picket's log in mosquitto's form, as text or as JSON, to the destinations that mosquitto has.
//
// A line that is not wanted costs one atomic load ([Logger.Enabled]). A line that is wanted is formatted by the caller and
// handed to one goroutine per destination, so that a terminal, a pipe or a disk that stands still cannot hold the broker up:
// the caller waits for a slow destination for a moment, and what finds no room even then is counted and reported by the
// destination itself under the cause log-lines-lost.
package logging

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"picket/cause"
	"picket/process"
)

// Type is a kind of log line, as in mosquitto's log_type; the values are bits of a mask.
type Type uint16

// The kinds of log lines.
const (
	Info Type = 1 << iota
	Notice
	Warning
	Error
	Debug
	Subscribe
	Unsubscribe
	Internal
	WebSockets

	None    Type = 0
	All     Type = Info | Notice | Warning | Error | Debug | Subscribe | Unsubscribe | Internal | WebSockets
	Default Type = Error | Warning | Notice | Info
)

var typeNames = [...]string{"information", "notice", "warning", "error", "debug", "subscribe", "unsubscribe", "internal", "websockets"}

// String gives the words of log_type, joined by a comma: "error,warning", "none", "all".
func (t Type) String() string {
	switch t & All {
	case None:
		return "none"
	case All:
		return "all"
	}
	var names []string
	for i, name := range typeNames {
		if t&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// Config says what is logged, in which form and where to. The zero value logs nothing: it has no destination.
type Config struct {
	Dest            []Dest // none: nothing is logged (log_dest none)
	Types           Type
	Timestamp       bool
	TimestampFormat string // strftime in the local time zone; empty: seconds since 1970 (text, json: RFC 3339)
	Facility        int    // syslog local0 to local7; -1: daemon
	Format          Format
	Words           func(line string) string // gives what a line says in a person's language; nil: it stays as it is. For the mosquitto form only
}

// Dest is one destination.
type Dest struct {
	Kind DestKind
	Path string // of a file
}

// String names the destination as log_dest does.
func (d Dest) String() string {
	if d.Kind == File {
		return "file " + d.Path
	}
	return d.Kind.String()
}

// DestKind is a kind of destination (log_dest).
type DestKind byte

// The kinds of destinations.
const (
	Stderr DestKind = iota
	Stdout
	Syslog
	Topic // the $SYS/broker/log/... topics, by way of [Logger.SetTopicSink]
	File
)

// String gives the word of log_dest.
func (k DestKind) String() string {
	names := [...]string{"stderr", "stdout", "syslog", "topic", "file"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("DestKind(%d)", k)
}

// Format is the form of a log line.
type Format byte

// The forms of a log line.
const (
	Mosquitto Format = iota // "1535473957: text"
	Text                    // slog's text form
	JSON                    // slog's JSON form
)

// String gives the word of --log-format.
func (f Format) String() string {
	names := [...]string{"mosquitto", "text", "json"}
	if int(f) < len(names) {
		return names[f]
	}
	return fmt.Sprintf("Format(%d)", f)
}

// ParseFormat reads a word of --log-format.
func ParseFormat(word string) (Format, error) {
	for f := Mosquitto; f <= JSON; f++ {
		if word == f.String() {
			return f, nil
		}
	}
	return 0, fmt.Errorf("log format %q: want mosquitto, text or json", word)
}

// Logger writes log lines. Its methods may be called from any goroutine at any time, also after Close, when lines go nowhere.
type Logger struct {
	enabled atomic.Uint32             // mask of Types; 0 without a destination
	current atomic.Pointer[outputs]   // what lines are written with
	sink    atomic.Pointer[topicSink] // where the topic destination leads

	stdout, stderr io.Writer // each safe for use by several goroutines

	mu     sync.Mutex // held by Reload and Close
	closed bool
}

// outputs is one configuration in force: how to form a line, and who takes it.
type outputs struct {
	form  former
	dests map[Dest]*destination
}

type topicSink func(t Type, line string)

// New opens the destinations of c. The writers take the lines for the destinations stdout and stderr; each is written to by
// one goroutine at a time. The error names the destination that could not be opened.
func New(c Config, stdout, stderr io.Writer) (*Logger, error) {
	l := &Logger{stderr: &lockedWriter{w: stderr}}
	l.stdout = l.stderr
	if stdout != stderr {
		l.stdout = &lockedWriter{w: stdout}
	}
	l.current.Store(&outputs{})
	if err := l.Reload(c); err != nil {
		return nil, err
	}
	return l, nil
}

// Reload puts c in force and opens its files again, so that a log file that was moved away is followed by a new one. If a
// destination of c cannot be opened, everything stays as it was. Lines that were written before are not lost.
func (l *Logger) Reload(c Config) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errors.New("logging: the log is closed")
	}
	old := l.current.Load()
	next := &outputs{form: newFormer(c), dests: make(map[Dest]*destination)}
	opened := make(map[Dest]writer)
	for _, d := range c.Dest {
		if _, twice := opened[d]; twice {
			continue
		}
		w, err := l.open(d, c.Facility)
		if err != nil {
			for _, w := range opened {
				w.close()
			}
			return &destError{d, err}
		}
		opened[d] = w
	}
	for d, w := range opened {
		if kept := old.dests[d]; kept != nil {
			kept.replace(w)
			next.dests[d] = kept
		} else {
			next.dests[d] = newDestination(w, next.form)
		}
	}
	for _, d := range next.dests {
		d.setForm(next.form)
	}
	l.current.Store(next)
	mask := c.Types & All
	if len(next.dests) == 0 {
		mask = None
	}
	l.enabled.Store(uint32(mask))
	for d, gone := range old.dests {
		if next.dests[d] != gone {
			gone.close()
		}
	}
	return nil
}

func (l *Logger) open(d Dest, facility int) (writer, error) {
	switch d.Kind {
	case Stdout:
		return streamWriter{l.stdout}, nil
	case Stderr:
		return streamWriter{l.stderr}, nil
	case File:
		return openFile(d.Path, l.stderr)
	case Syslog:
		return openSyslog(facility)
	case Topic:
		return topicWriter{l}, nil
	}
	return nil, fmt.Errorf("unknown kind of destination %d", d.Kind)
}

// Start puts c in force as Reload does, but goes on without the destinations that cannot be opened, as mosquitto does: it returns why, and what had been
// for them goes to standard error.
func (l *Logger) Start(c Config) (without []error) {
	for {
		err := l.Reload(c)
		var failed *destError
		if !errors.As(err, &failed) {
			if err != nil {
				without = append(without, err)
			}
			return without
		}
		without = append(without, err)
		c.Dest = slices.DeleteFunc(slices.Clone(c.Dest), func(d Dest) bool { return d == failed.dest })
		if stderr := (Dest{Kind: Stderr}); !slices.Contains(c.Dest, stderr) {
			c.Dest = append(c.Dest, stderr)
		}
	}
}

// destError is a destination that cannot be opened.
type destError struct {
	dest Dest
	err  error
}

func (e *destError) Error() string { return fmt.Sprintf("log_dest %s: %v", e.dest, e.err) }
func (e *destError) Unwrap() error { return e.err }

// Probe says why a destination could not be opened now, or nil. It makes no file.
func Probe(d Dest) error {
	switch d.Kind {
	case File:
		if _, err := os.Stat(d.Path); err == nil {
			return process.Writable(d.Path)
		}
		return process.Writable(filepath.Dir(d.Path))
	case Syslog:
		w, err := openSyslog(-1)
		if err == nil {
			w.close()
		}
		return err
	}
	return nil
}

// Close writes what is still queued and closes the files. A destination that stands still is given up after a second.
func (l *Logger) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	l.enabled.Store(0)
	old := l.current.Swap(&outputs{})
	for _, d := range old.dests {
		d.close()
	}
}

// Flush returns when all lines logged before it are written, or after a second.
func (l *Logger) Flush() {
	for _, d := range l.current.Load().dests {
		d.flush(flushTimeout)
	}
}

// SetTopicSink says who publishes the lines for the destination topic; nil: nobody. The sink is called from a goroutine of
// the logger, one line at a time and with no lock held; it is never given debug and internal lines. The line is as the other
// destinations get it, without its newline.
func (l *Logger) SetTopicSink(sink func(t Type, line string)) {
	if sink == nil {
		l.sink.Store(nil)
		return
	}
	s := topicSink(sink)
	l.sink.Store(&s)
}

// Enabled says whether lines of type t are logged; callers with costly arguments ask it first.
func (l *Logger) Enabled(t Type) bool {
	return l.enabled.Load()&uint32(t) != 0
}

// Printf logs one line of type t. Control characters in it are escaped, so that a client cannot forge a line or steer the
// terminal; a tab at the very start of format stays.
func (l *Logger) Printf(t Type, format string, args ...any) {
	if l.Enabled(t) {
		l.write(t, "", format, args)
	}
}

// Cause logs one line of type t that says which cause it is about: the line ends with " [id]" in the mosquitto format and has
// the attribute "cause" in the others.
func (l *Logger) Cause(t Type, id cause.ID, format string, args ...any) {
	if l.Enabled(t) {
		l.write(t, id, format, args)
	}
}

func (l *Logger) write(t Type, id cause.ID, format string, args []any) {
	out := l.current.Load()
	if len(out.dests) == 0 {
		return
	}
	buf := linePool.Get().(*[]byte)
	line := out.form.append((*buf)[:0], time.Now(), t, id, format, args)
	for key, d := range out.dests {
		if key.Kind == Topic && t&(Debug|Internal) != 0 {
			continue
		}
		d.put(t, line)
	}
	if cap(line) <= maxPooledLine {
		*buf = line
		linePool.Put(buf)
	}
}

// maxPooledLine keeps one enormous line (a topic can have 65,535 bytes) from staying in memory for good.
const maxPooledLine = 8 << 10

var linePool = sync.Pool{New: func() any {
	b := make([]byte, 0, 512)
	return &b
}}
