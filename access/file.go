package access

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"picket/logging"
)

// maxFileSize bounds a password or ACL file: 64 MiB are about half a million users.
const maxFileSize = 64 << 20

// Warning is a line for the log about a file that could be read.
type Warning struct {
	Type logging.Type
	Text string // in mosquitto's words where it has some; one line
	File string
	Line int // 0: about the whole file
}

// FileError says why a password or ACL file cannot be used.
type FileError struct {
	Directive string // "password_file" or "acl_file"
	File      string
	Line      int    // 0: the whole file
	Text      string // in mosquitto's words
	Hint      string // what to do about it
	Err       error  // the operating system's error, if any
}

// Error returns the mistake as Go's errors are written: without mosquitto's "Error: " and without a full stop.
func (e *FileError) Error() string {
	return strings.TrimSuffix(strings.TrimPrefix(e.line(), "Error: "), ".")
}

func (e *FileError) line() string {
	s := e.Text
	if e.Line > 0 {
		s = fmt.Sprintf("%s (%s:%d)", s, e.File, e.Line)
	}
	if e.Hint != "" {
		s += " " + e.Hint
	}
	return s
}

func (e *FileError) Unwrap() error { return e.Err }

// Lines returns the lines that mosquitto would log, its closing line last.
func (e *FileError) Lines() []string {
	last := fmt.Sprintf("Error opening password file \"%s\".", e.File)
	if e.Directive == "acl_file" {
		last = fmt.Sprintf("Error opening acl file \"%s\".", e.File)
	}
	return []string{e.line(), last}
}

// readFile reads a file that holds secrets or rules. Like mosquitto it warns when others may read it.
func readFile(directive, path string) (data []byte, warnings []Warning, err error) {
	fail := func(err error) *FileError {
		word := "pwfile"
		if directive == "acl_file" {
			word = "acl_file"
		}
		fe := &FileError{Directive: directive, File: path, Err: err, Text: fmt.Sprintf("Error: Unable to open %s \"%s\".", word, path)}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			fe.Hint = "There is no such file."
		case errors.Is(err, fs.ErrPermission):
			fe.Hint = "The user who runs picket may not read it."
		default:
			fe.Hint = err.Error() + "."
		}
		return fe
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fail(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fail(err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fail(fmt.Errorf("%s is not a file", path))
	}
	if info.Size() > maxFileSize {
		return nil, nil, fail(fmt.Errorf("%d bytes are more than the %d that are read", info.Size(), maxFileSize))
	}
	if data, err = io.ReadAll(io.LimitReader(f, maxFileSize)); err != nil {
		return nil, nil, fail(err)
	}
	for _, text := range permissionWarnings(path, info) {
		warnings = append(warnings, Warning{logging.Warning, text, path, 0})
	}
	return data, warnings, nil
}
