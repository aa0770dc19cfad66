package logging

import (
	"bytes"
	"io"
	"os"
	"sync"
	"time"

	"picket/cause"
)

const (
	// queueBytes is how much of a log may wait for one destination: a second of the wildest debug log.
	queueBytes = 1 << 20

	// patience is how long a caller waits for room in a full queue. A reader that is merely slower than the broker then slows
	// the broker and gets every line; one that stands still costs a single wait, after which lines are dropped and counted.
	patience = 50 * time.Millisecond

	// flushTimeout bounds the wait for a destination that may never take another byte.
	flushTimeout = time.Second
)

// A writer takes finished lines, each ending with a newline.
type writer interface {
	write(b batch) error
	close()
}

// A batch is a run of lines: the bytes of all of them, and where each ends.
type batch struct {
	text []byte
	ends []lineEnd
}

type lineEnd struct {
	t   Type
	end int
}

// each calls f with every line, without its newline.
func (b batch) each(f func(t Type, line []byte)) {
	start := 0
	for _, e := range b.ends {
		f(e.t, bytes.TrimSuffix(b.text[start:e.end], []byte("\n")))
		start = e.end
	}
}

func (b *batch) add(t Type, line []byte) {
	b.text = append(b.text, line...)
	b.ends = append(b.ends, lineEnd{t, len(b.text)})
}

// A destination queues lines for one writer, which a goroutine of its own feeds.
type destination struct {
	work chan struct{} // has an element when the goroutine has something to look at
	done chan struct{} // closed when the goroutine has ended

	mu      sync.Mutex
	w       writer
	form    former
	pending batch
	using   writer        // the one being written to, nil between batches
	stalled bool          // the last caller that waited found no room
	lost    int           // lines dropped since the last report
	moved   chan struct{} // closed and replaced whenever a batch has been written
	closing bool
}

func newDestination(w writer, form former) *destination {
	d := &destination{
		work:  make(chan struct{}, 1),
		done:  make(chan struct{}),
		moved: make(chan struct{}),
		w:     w,
		form:  form,
	}
	go d.run()
	return d
}

// put queues a line.
func (d *destination) put(t Type, line []byte) {
	d.mu.Lock()
	if len(d.pending.text)+len(line) > queueBytes && len(d.pending.text) > 0 && !d.closing && !d.stalled {
		moved := d.moved
		d.mu.Unlock()
		timer := time.NewTimer(patience)
		select {
		case <-moved:
		case <-timer.C:
		}
		timer.Stop()
		d.mu.Lock()
	}
	defer d.mu.Unlock()
	switch {
	case d.closing:
		return
	case len(d.pending.text)+len(line) > queueBytes && len(d.pending.text) > 0:
		d.stalled = true
		d.lost++
		return
	}
	d.pending.add(t, line)
	d.wake()
}

func (d *destination) wake() {
	select {
	case d.work <- struct{}{}:
	default:
	}
}

func (d *destination) run() {
	defer close(d.done)
	var spare batch
	for range d.work {
		d.mu.Lock()
		if d.lost > 0 {
			d.pending.add(Warning, d.form.append(nil, time.Now(), Warning, cause.LogLinesLost,
				"%d log lines were lost here, because this log was not taken fast enough.", []any{d.lost}))
			d.lost = 0
		}
		b, w := d.pending, d.w
		d.pending = batch{text: spare.text[:0], ends: spare.ends[:0]}
		d.using = w
		d.mu.Unlock()

		// A failed write has been reported by the writer, which knows where to; there is nobody else to tell.
		if len(b.ends) > 0 {
			_ = w.write(b)
		}

		d.mu.Lock()
		spare = b
		d.using = nil
		d.stalled = false
		replaced := d.w != w
		if d.lost > 0 || len(d.pending.ends) > 0 {
			d.wake()
		}
		ended := d.closing && len(d.pending.ends) == 0 && d.lost == 0
		last := d.w
		close(d.moved)
		d.moved = make(chan struct{})
		d.mu.Unlock()
		if replaced {
			w.close()
		}
		if ended {
			last.close()
			return
		}
	}
}

// replace gives the destination another writer; the former one is closed once nothing is being written to it.
func (d *destination) replace(w writer) {
	d.mu.Lock()
	old, using := d.w, d.using
	d.w = w
	d.mu.Unlock()
	if old != using && old != w {
		old.close()
	}
}

func (d *destination) setForm(f former) {
	d.mu.Lock()
	d.form = f
	d.mu.Unlock()
}

// flush waits until everything queued before the call is written, but not longer than limit.
func (d *destination) flush(limit time.Duration) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		d.mu.Lock()
		idle, moved := d.using == nil && len(d.pending.ends) == 0 && d.lost == 0, d.moved
		d.mu.Unlock()
		if idle {
			return
		}
		select {
		case <-moved:
		case <-timer.C:
			return
		}
	}
}

// close writes what is queued, closes the writer and ends the goroutine; if the writer stands still, the goroutine does so on
// its own whenever the writer returns.
func (d *destination) close() {
	d.mu.Lock()
	d.closing = true
	d.wake()
	d.mu.Unlock()
	timer := time.NewTimer(flushTimeout)
	defer timer.Stop()
	select {
	case <-d.done:
	case <-timer.C:
	}
}

// lockedWriter lets several destinations use one stream.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// streamWriter writes to standard output or standard error. There is nobody to tell when they fail.
type streamWriter struct{ w io.Writer }

func (s streamWriter) write(b batch) error {
	_, err := s.w.Write(b.text)
	return err
}

func (streamWriter) close() {}

// fileWriter appends to a file. The first failure of a row (disk full) is told on standard error.
type fileWriter struct {
	f      *os.File
	stderr io.Writer
	failed bool
}

func openFile(path string, stderr io.Writer) (writer, error) {
	// 0600: lines name clients, users and topics.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &fileWriter{f: f, stderr: stderr}, nil
}

func (w *fileWriter) write(b batch) error {
	_, err := w.f.Write(b.text)
	if err != nil && !w.failed {
		line := former{timestamp: true}.append(nil, time.Now(), Error, cause.LogLinesLost,
			"Error: Lines are missing from the log file: %s.", []any{err.Error()})
		_, _ = w.stderr.Write(line)
	}
	w.failed = err != nil
	return err
}

func (w *fileWriter) close() { _ = w.f.Close() }

// topicWriter hands lines to the topic sink of a logger.
type topicWriter struct{ l *Logger }

func (w topicWriter) write(b batch) error {
	if sink := w.l.sink.Load(); sink != nil {
		b.each(func(t Type, line []byte) { (*sink)(t, string(line)) })
	}
	return nil
}

func (topicWriter) close() {}
