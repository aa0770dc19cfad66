package access

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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

// FileError says why a file of users or rules cannot be used.
type FileError struct {
	Directive string // password_file, acl_file or plugin_opt_config_file
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
	kind := map[string]string{"acl_file": "acl file", "auth_opt_files_acl_path": "acl file", "auth_opt_http_cafile": "certificate file", "jwt_keys_cafile": "certificate file", "jwt_keys": "key file", "jwt_secret_file": "key file", dynamicSecurityDirective: "dynamic security file", rightsDirective: "file of users and rights"}[e.Directive]
	return []string{e.line(), fmt.Sprintf("Error opening %s \"%s\".", cmp.Or(kind, "password file"), e.File)}
}

// The directives that name the file of [Config.RightsFile].
const (
	dynamicSecurityDirective = "plugin_opt_config_file"
	rightsDirective          = "rights_file"
)

// rightsDirectiveOf returns the one of a file, which stands beside the others or is mosquitto's.
func rightsDirectiveOf(beside bool) string {
	if beside {
		return rightsDirective
	}
	return dynamicSecurityDirective
}

// ReadRights reads the file of [Config.RightsFile]; beside is [Config.RightsBeside]. Errors are of type [*FileError].
func ReadRights(path string, beside bool) ([]byte, []Warning, error) {
	return readFile(rightsDirectiveOf(beside), path)
}

// ReadRules reads a file of users or rules that another package makes sense of; directive is what names it. Errors are of type [*FileError].
func ReadRules(directive, path string) ([]byte, []Warning, error) { return readFile(directive, path) }

// RightsError is what is wrong with the contents of the file of [Config.RightsFile].
func RightsError(path string, beside bool, err error) *FileError {
	text := "Error: The dynamic security file \"%s\" cannot be used: %v."
	if beside {
		text = "Error: The file of users and rights \"%s\" cannot be used: %v."
	}
	return &FileError{Directive: rightsDirectiveOf(beside), File: path, Text: fmt.Sprintf(text, path, err), Err: err}
}

// MaxFileSize is how large a file may be that is read here.
const MaxFileSize = maxFileSize

// Replace writes a file at once: readers see the old one or the new one, never a part, and when it returns the new one is on the disk. The owner and the mode of a
// file that was there stay, since the broker may read it as another user; where the system does not let the owner stay, and for a new file, the mode is 0600.
func Replace(path string, data []byte) (err error) {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // keep a symbolic link, replace what it points to
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	mode := os.FileMode(0o600)
	if old, err := os.Stat(path); err == nil && keepOwner(tmp, old) == nil {
		mode = old.Mode().Perm()
	}
	if err := tmp.Chmod(mode); err != nil {
		return err
	}
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// errForeign says that somebody else writes the file.
var errForeign = errors.New("another program has changed it since it was read; a reload reads it again")

// ReplaceOwn is [Replace] for a file that one program alone keeps, and that is read back: nothing is written when the file is not any more as it was last read or
// written, which known says (nil: it was not there), or when it would be too large to be read again. It returns the new file's known.
func ReplaceOwn(path string, data []byte, known os.FileInfo, largest int) (os.FileInfo, error) {
	if len(data) > largest {
		return known, fmt.Errorf("%d bytes are more than the %d that can be read again", len(data), largest)
	}
	if is, err := os.Stat(path); err == nil && (known == nil || !os.SameFile(is, known) || is.Size() != known.Size() || !is.ModTime().Equal(known.ModTime())) {
		return known, errForeign
	}
	if err := Replace(path, data); err != nil {
		return known, err
	}
	return os.Stat(path)
}

// errNoFile says that a path leads to something else than a file, such as a directory.
var errNoFile = errors.New("it is no file")

// ReadBounded reads a file of at most so many bytes. It returns what [ReplaceOwn] takes for known, too.
func ReadBounded(path string, largest int64) ([]byte, os.FileInfo, error) {
	// A pipe must not even be opened: that waits for whoever writes to it.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, nil, errNoFile
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() { // it has been replaced meanwhile
		return nil, nil, errNoFile
	}
	if info.Size() > largest {
		return nil, nil, fmt.Errorf("%d bytes are more than the %d that are read", info.Size(), largest)
	}
	data, err := io.ReadAll(io.LimitReader(f, largest+1))
	if err == nil && int64(len(data)) > largest { // it has grown meanwhile
		err = fmt.Errorf("%d bytes are more than the %d that are read", len(data), largest)
	}
	return data, info, err
}

// readFile reads a file that holds secrets or rules. Like mosquitto it warns when others may read it.
func readFile(directive, path string) (data []byte, warnings []Warning, err error) {
	fail := func(err error) *FileError {
		word := "pwfile"
		if directive != "password_file" {
			word = directive
		}
		fe := &FileError{Directive: directive, File: path, Err: err, Text: fmt.Sprintf("Error: Unable to open %s \"%s\".", word, path)}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			fe.Hint = "There is no such file."
		case errors.Is(err, fs.ErrPermission):
			fe.Hint = "The user who runs picket may not read it."
		case errors.Is(err, errNoFile):
			fe.Hint = path + " is not a file."
		default:
			fe.Hint = err.Error() + "."
		}
		return fe
	}
	data, info, err := ReadBounded(path, maxFileSize)
	if err != nil {
		return nil, nil, fail(err)
	}
	for _, text := range permissionWarnings(path, info) {
		warnings = append(warnings, Warning{logging.Warning, text, path, 0})
	}
	return data, warnings, nil
}
