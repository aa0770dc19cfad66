package token

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"picket/access"
)

// Bounds of the file.
const (
	maxFile   = 1 << 20
	maxTokens = 1000
)

// FileName is the file's name in a data directory.
const FileName = "tokens.json"

// Errors of a [List].
var (
	// ErrNoFile: there is no place where tokens could be kept.
	ErrNoFile = errors.New("there is no file for tokens: tokens_file in the configuration names one, and data_dir a directory for it")
	// ErrExists: there is a token of that name.
	ErrExists = errors.New("there is a token of that name already")
)

// List is the tokens of a file. A change is first on the disk, then in force. Safe for concurrent use.
type List struct {
	path string // empty: there are none, and none can be made

	mu      sync.RWMutex
	byID    map[string]*Token
	written os.FileInfo // the file as it was last read or written; nil: there was none
}

// file is the form of the file.
type file struct {
	Tokens []Token `json:"tokens"`
}

// Open reads the tokens of a file, which need not be there before its first token. An error says what is wrong with the file.
func Open(path string) (*List, error) {
	l := &List{path: path}
	return l, l.Reload()
}

// Path returns the file's name; empty: there is none.
func (l *List) Path() string { return l.path }

// Reload reads the file again: somebody may have changed it. With an error what was in force stays in force.
func (l *List) Reload() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path == "" {
		return nil
	}
	byID, info, err := read(l.path)
	if err != nil {
		return fmt.Errorf("the file of tokens %s: %w", l.path, err)
	}
	l.byID, l.written = byID, info
	return nil
}

// read reads a file of tokens; one that is not there has none.
func read(path string) (map[string]*Token, os.FileInfo, error) {
	data, info, err := access.ReadBounded(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	byID, err := parse(data)
	return byID, info, err
}

// parse reads the text of a file of tokens.
func parse(data []byte) (map[string]*Token, error) {
	var all file
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&all); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows behind the tokens")
	}
	byID := make(map[string]*Token)
	names := make(map[string]bool)
	for i := range all.Tokens {
		t := &all.Tokens[i]
		if err := t.check(); err != nil {
			return nil, fmt.Errorf("token %d: %w", i+1, err)
		}
		if names[t.Name] || byID[t.ID] != nil {
			return nil, fmt.Errorf("token %d: its name %q or its id is there twice", i+1, t.Name)
		}
		names[t.Name], byID[t.ID] = true, t
	}
	if len(byID) > maxTokens {
		return nil, fmt.Errorf("more than %d tokens", maxTokens)
	}
	return byID, nil
}

// check tells what is wrong with a token of a file.
func (t *Token) check() error {
	if err := checkName(t.Name); err != nil {
		return err
	}
	if _, err := ParseRole(string(t.Role)); err != nil {
		return err
	}
	id, err := hex.DecodeString(t.ID)
	if err != nil || len(id) != idBytes {
		return fmt.Errorf("id: %d bytes in hexadecimal are expected", idBytes)
	}
	if hash, err := hex.DecodeString(t.Hash); err != nil || len(hash) != 32 {
		return errors.New("sha256: 32 bytes in hexadecimal are expected")
	}
	return nil
}

// Add makes a token, and returns it with the secret, which is kept nowhere. A zero expires is never.
func (l *List) Add(name string, role Role, expires, now time.Time) (t Token, secret string, err error) {
	if err := checkName(name); err != nil {
		return t, "", err
	}
	if _, err := ParseRole(string(role)); err != nil {
		return t, "", err
	}
	if !expires.IsZero() && !expires.After(now) {
		return t, "", fmt.Errorf("%s has passed already", expires.Format(time.RFC3339))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path == "" {
		return t, "", ErrNoFile
	}
	all := l.sorted()
	if slices.ContainsFunc(all, func(t Token) bool { return t.Name == name }) {
		return t, "", ErrExists
	}
	if len(all) >= maxTokens {
		return t, "", fmt.Errorf("there are %d tokens already", maxTokens)
	}
	secret, id, hash := newSecret()
	t = Token{Name: name, Role: role, Made: now.UTC().Truncate(time.Second), ID: id, Hash: hash}
	if !expires.IsZero() {
		t.Expires = expires.UTC().Truncate(time.Second)
	}
	if err := l.keep(append(all, t)); err != nil {
		return t, "", err
	}
	t.Hash = ""
	return t, secret, nil
}

// Remove removes a token, and reports whether there was one of that name. From then on it is refused.
func (l *List) Remove(name string) (found bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.sorted()
	left := slices.DeleteFunc(slices.Clone(all), func(t Token) bool { return t.Name == name })
	if len(left) == len(all) {
		return false, nil
	}
	return true, l.keep(left)
}

// keep writes tokens and puts them in force. The mutex is held.
func (l *List) keep(all []Token) error {
	data, err := json.MarshalIndent(file{all}, "", "  ")
	if err != nil {
		return err
	}
	info, err := access.ReplaceOwn(l.path, append(data, '\n'), l.written, maxFile)
	if err != nil {
		return fmt.Errorf("the file of tokens %s: %w", l.path, err)
	}
	l.written, l.byID = info, make(map[string]*Token)
	for i := range all {
		l.byID[all[i].ID] = &all[i]
	}
	return nil
}

// sorted returns the tokens by their names. The mutex is held.
func (l *List) sorted() []Token {
	all := make([]Token, 0, len(l.byID)+1)
	for _, t := range l.byID {
		all = append(all, *t)
	}
	slices.SortFunc(all, func(a, b Token) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// All returns the tokens by their names, without their hashes.
func (l *List) All() []Token {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := l.sorted()
	for i := range all {
		all[i].Hash = ""
	}
	return all
}

// nobodys is compared with when no token has the identifier, so that this takes as long.
var nobodys = Token{Hash: strings.Repeat("0", 64)}

// Check finds the token of a secret, if it is valid now.
func (l *List) Check(secret string, now time.Time) (Token, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	t := l.byID[idOf(secret)]
	if t == nil {
		t = &nobodys
	}
	if !t.matches(secret) || !t.valid(now) {
		return Token{}, false
	}
	found := *t
	found.Hash = ""
	return found, true
}
