package door

import (
	"bytes"
	"io"
	"syscall"
	"testing"

	"picket/logging"
)

// A descriptor that is missing makes a connection wait; the log says so once.
func TestOutOfFiles(t *testing.T) {
	var log bytes.Buffer
	logger, err := logging.New(logging.Config{Dest: []logging.Dest{{Kind: logging.Stdout}}, Types: logging.All}, &log, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	d := &Door{config: Config{Log: logger}}
	for range 3 {
		d.OutOfFiles(syscall.EMFILE)
	}
	logger.Close()
	if got, want := log.String(), "Error: A connection has to wait: too many open files. [fd-limit]\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
