// Package audit keeps who has changed what of a broker, or asked for what only an admin may have: as a line of the log, and as a line of JSON in a file.
//
// Every way in asks the one [Journal] to record. Nothing secret is in an [Entry]: whoever makes one leaves passwords, tokens and payloads out.
package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"picket/logging"
	"picket/printable"
)

// FileName is the file's name in a data directory.
const FileName = "audit.jsonl"

// maxText bounds the texts of an entry that others choose, in bytes: what is behind it is cut off.
const maxText = 4096

// Entry is one request, with what has become of it.
type Entry struct {
	Time    time.Time `json:"time"`
	By      string    `json:"by"`             // a token, a login, a user at the admin socket, or a client that sends commands
	Role    string    `json:"role,omitempty"` // of a token or a login
	From    string    `json:"from,omitempty"` // the address; absent: the admin socket, or a client
	Request string    `json:"request"`        // method and path
	What    string    `json:"what,omitempty"` // what it is about
	Result  string    `json:"result"`         // done; begun, of a stream; ended, with why; not done
	Why     string    `json:"why,omitempty"`  // it was not done
}

// Who names whoever has made the request, for people.
func (e *Entry) Who() string {
	who := e.By
	if e.Role != "" {
		who += " (" + e.Role + ")"
	}
	if e.From != "" {
		who += " from " + e.From
	}
	return who
}

// text is an entry as a line of the log tells it.
func (e *Entry) text() string {
	text := e.Who() + ": " + e.Request
	if e.What != "" {
		text += " " + e.What
	}
	text += ": " + e.Result
	if e.Why != "" {
		text += ": " + e.Why
	}
	return strings.TrimSuffix(text, ".")
}

// Journal records entries. Safe for concurrent use; a nil one records nothing.
type Journal struct {
	log  *logging.Logger
	fail func(error) // is told the first failure of a row

	mu     sync.RWMutex
	path   string // empty: there is no file
	file   *os.File
	life   int  // how many files there have been: an offset is one of a file
	torn   bool // the file does not end with the end of a line
	failed bool // the last entry could not be written
}

// ErrNoFile: there is no file that could be read.
var ErrNoFile = errors.New("there is no audit file: audit_file in the configuration names one, and data_dir a directory for it")

// Open makes a journal that writes to a file; an empty path is none. fail is told the first failure of a row; entries go into the log all the same, and each tries the file again.
func Open(path string, log *logging.Logger, fail func(error)) *Journal {
	j := &Journal{log: log, fail: fail}
	j.Reopen(path)
	return j
}

// Reopen opens the file again, which may have been moved away, or another one. The old one stays in use when that fails.
func (j *Journal) Reopen(path string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if path == "" {
		j.close()
		j.path = ""
		return
	}
	if err := j.open(path); err != nil {
		if j.file == nil {
			j.path = path // the next entry tries again
		}
		j.failed = true
		j.fail(err)
	}
}

// open opens a file in place of the one in use. The mutex is held.
func (j *Journal) open(path string) error {
	// 0600: entries name users, clients and topics. Reading, too: it does not wait for a reader of a pipe, which is then refused.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("it is no regular file")}
	}
	if err != nil {
		_ = f.Close() // nothing has been written
		return err
	}
	last := []byte{'\n'}
	if info.Size() > 0 {
		if _, err := f.ReadAt(last, info.Size()-1); err != nil {
			_ = f.Close()
			return err
		}
	}
	same := false
	if j.file != nil {
		old, err := j.file.Stat()
		same = err == nil && os.SameFile(old, info)
	}
	j.close()
	if !same {
		j.life++
	}
	j.path, j.file, j.torn, j.failed = path, f, last[0] != '\n', false
	return nil
}

func (j *Journal) close() {
	if j.file != nil {
		_ = j.file.Close() // every line has been given to the system
		j.file = nil
	}
}

// Close closes the file.
func (j *Journal) Close() {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.close()
	j.path = ""
}

// Record writes an entry to the log and to the file.
func (j *Journal) Record(e Entry) {
	if j == nil {
		return
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	for _, s := range []*string{&e.By, &e.Request, &e.What, &e.Result, &e.Why} {
		*s = cut(*s)
	}
	j.log.Printf(logging.Notice, "API: %s.", e.text())
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.path == "" {
		return
	}
	if err := j.write(&e); err != nil {
		if !j.failed {
			j.fail(err)
		}
		j.failed = true
		return
	}
	j.failed = false
}

// write appends an entry as one line. The mutex is held.
func (j *Journal) write(e *Entry) error {
	if j.file == nil {
		if err := j.open(j.path); err != nil {
			return err
		}
	}
	var line bytes.Buffer
	if j.torn {
		line.WriteByte('\n') // what a crash or a full disk has left is a line of its own
	}
	out := json.NewEncoder(&line)
	out.SetEscapeHTML(false)
	if err := out.Encode(e); err != nil {
		return err
	}
	n, err := j.file.Write(line.Bytes())
	if n > 0 {
		j.torn = n < line.Len()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", j.path, err)
	}
	return nil
}

// Params words the parameters of a request, in alphabetical order.
func Params(all url.Values) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, value := range all[name] {
			parts = append(parts, fmt.Sprintf("%s=%q", printable.Text(name), value))
		}
	}
	return strings.Join(parts, " ")
}

// cut bounds a text.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	s = s[:maxText]
	for len(s) > 0 && !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]) && len(s) > maxText-utf8.UTFMax {
		s = s[:len(s)-1]
	}
	return s + "…"
}
