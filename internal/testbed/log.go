package testbed

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// Log is what is written by others, in memory, and read meanwhile. Its zero value is empty. All methods may be called from several goroutines.
type Log struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

// String returns what has been written since the last [Log.Take], if there was one.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// Take returns the same and forgets it.
func (l *Log) Take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.all.String()
	l.all.Reset()
	return text
}

// Has tells whether the text has been written.
func (l *Log) Has(text string) bool { return strings.Contains(l.String(), text) }

// Await waits until the text has been written.
func (l *Log) Await(t testing.TB, text string) {
	t.Helper()
	Eventually(t, func() error {
		if !l.Has(text) {
			return fmt.Errorf("nobody has written %q:\n%s", text, l)
		}
		return nil
	})
}
