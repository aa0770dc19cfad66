package access

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"picket/logging"
)

// CheckUsername says why a name cannot stand in a password file.
func CheckUsername(name string) error {
	switch {
	case name == "":
		return errors.New("the user name is empty")
	case len(name) > 65535:
		return errors.New("the user name is longer than the 65535 bytes that MQTT can carry")
	case !utf8.ValidString(name):
		return errors.New("the user name is not valid UTF-8")
	case strings.Contains(name, ":"):
		return fmt.Errorf("the user name %q has a colon, which ends the name in a password file", name)
	case strings.HasPrefix(name, "#"):
		return fmt.Errorf("the user name %q begins with #, which makes a comment in a password file", name)
	case strings.IndexFunc(name, unicode.IsControl) >= 0:
		return fmt.Errorf("the user name %q has a control character", name)
	case strings.TrimSpace(name) != name:
		return fmt.Errorf("the user name %q begins or ends with a blank", name)
	}
	return nil
}

// PasswordFile is a password file to be edited: lines in their order, comments included. The zero value is an empty file.
type PasswordFile struct {
	lines []string // without line ends
}

// ReadPasswordFile reads a password file for editing. Errors are of type [*FileError].
func ReadPasswordFile(path string) (*PasswordFile, error) {
	data, _, err := readFile("password_file", path)
	if err != nil {
		return nil, err
	}
	text := strings.TrimSuffix(strings.TrimPrefix(string(data), byteOrderMark), "\n")
	if text == "" {
		return new(PasswordFile), nil
	}
	return &PasswordFile{lines: strings.Split(text, "\n")}, nil
}

// splitEntry returns the two parts of a password file line as mosquitto finds them. user is empty for comments and for lines
// that have no colon; entry is empty when nothing follows the name.
func splitEntry(line string) (user, entry string) {
	if strings.HasPrefix(line, "#") || !strings.Contains(line, ":") {
		return "", ""
	}
	// strtok in mosquitto takes several colons for one, and the first part that is not empty for the name.
	parts := strings.FieldsFunc(line, func(r rune) bool { return r == ':' })
	if len(parts) > 0 {
		user = strings.TrimSpace(parts[0])
	}
	if len(parts) > 1 {
		entry = strings.TrimSpace(parts[1])
	}
	return user, entry
}

// Users returns the names in the file, in its order.
func (f *PasswordFile) Users() (names []string) {
	for _, line := range f.lines {
		if user, _ := splitEntry(line); user != "" {
			names = append(names, user)
		}
	}
	return names
}

// Set gives a user an entry as [HashPassword] returns it. It takes the place of the user's former one, or comes last.
func (f *PasswordFile) Set(user, entry string) (existed bool, err error) {
	if err := CheckUsername(user); err != nil {
		return false, err
	}
	if _, err := parseCredential(entry); err != nil {
		return false, fmt.Errorf("%w %s", err, user)
	}
	line := user + ":" + entry
	kept := f.lines[:0]
	for _, old := range f.lines {
		switch name, _ := splitEntry(old); {
		case name != user:
			kept = append(kept, old)
		case !existed: // a second entry for the same name goes: it would win over the new one
			existed = true
			kept = append(kept, line)
		}
	}
	if !existed {
		kept = append(kept, line)
	}
	f.lines = kept
	return existed, nil
}

// Delete removes a user.
func (f *PasswordFile) Delete(user string) (existed bool) {
	kept := f.lines[:0]
	for _, line := range f.lines {
		if name, _ := splitEntry(line); name == user && user != "" {
			existed = true
			continue
		}
		kept = append(kept, line)
	}
	f.lines = kept
	return existed
}

// HashPlain replaces every plain password by its hash and returns how many there were. An entry that already is a hash stays;
// one that begins like a hash but is broken is an error, because hashing it would hide the mistake. On an error nothing has changed.
func (f *PasswordFile) HashPlain(kind HashKind, iterations int) (n int, err error) {
	lines := make([]string, 0, len(f.lines))
	for i, line := range f.lines {
		user, _ := splitEntry(line)
		if user == "" {
			lines = append(lines, line)
			continue
		}
		// A plain password may have colons of its own, unlike a hash.
		_, plain, _ := strings.Cut(line, ":")
		plain = strings.TrimSpace(plain)
		if err := CheckUsername(user); err != nil {
			return 0, fmt.Errorf("line %d: %w", i+1, err)
		}
		if plain == "" {
			return 0, fmt.Errorf("line %d: user %s has no password", i+1, user)
		}
		if strings.HasPrefix(plain, "$6$") || strings.HasPrefix(plain, "$7$") || strings.HasPrefix(plain, "$"+string(SCRAM)+"$") {
			if _, err := parseCredential(plain); err != nil {
				return 0, fmt.Errorf("line %d: %w %s: the entry begins like a hash but is not a whole one", i+1, err, user)
			}
			lines = append(lines, line)
			continue
		}
		entry, err := HashPassword(kind, plain, iterations)
		if err != nil {
			return 0, fmt.Errorf("line %d: user %s: %w", i+1, user, err)
		}
		lines = append(lines, user+":"+entry)
		n++
	}
	f.lines = lines
	return n, nil
}

// ForMosquitto is the text of a file with the users whose entries mosquitto can check, how many they are, and the names of the others.
func (f *PasswordFile) ForMosquitto() (text string, users int, left []string) {
	var b strings.Builder
	for _, line := range f.lines {
		user, entry := splitEntry(line)
		switch {
		case strings.HasPrefix(line, decoyComment):
			continue
		case strings.HasPrefix(entry, "$"+string(SCRAM)+"$"):
			left = append(left, user)
			continue
		case user != "":
			users++
		}
		b.WriteString(line + "\n")
	}
	return b.String(), users, left
}

// WithoutMark is the text of a password or ACL file without a byte order mark, which mosquitto takes for a part of the first word.
func WithoutMark(text string) string { return strings.TrimPrefix(text, byteOrderMark) }

// decoyComment begins the comment with the key that the salts of unknown users follow from (see [Policy.makeSecret]).
const decoyComment = "# picket, the salts of unknown users: "

// addDecoyKey gives a file with users of SCRAM the key that their decoys follow from, so that no later change of a user changes the decoys.
func (f *PasswordFile) addDecoyKey() {
	scram := false
	for _, line := range f.lines {
		if strings.HasPrefix(line, decoyComment) {
			return
		}
		_, entry := splitEntry(line)
		scram = scram || strings.HasPrefix(entry, "$"+string(SCRAM)+"$")
	}
	if scram {
		f.lines = append([]string{decoyComment + rand.Text()}, f.lines...)
	}
}

// decoyKey finds what addDecoyKey has written; empty without it.
func decoyKey(data []byte) string {
	for line := range strings.Lines(strings.TrimPrefix(string(data), byteOrderMark)) {
		if key, ok := strings.CutPrefix(line, decoyComment); ok {
			return strings.TrimSpace(key)
		}
	}
	return ""
}

// WriteFile writes the file as [Replace] does.
func (f *PasswordFile) WriteFile(path string) error {
	f.addDecoyKey()
	var b bytes.Buffer
	for _, line := range f.lines {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return Replace(path, b.Bytes())
}

// byteOrderMark is what some editors put in front of a file; no user's name begins with it.
const byteOrderMark = "\ufeff"

// parsePasswords reads the users of a password file. A bad entry is left out with a warning in mosquitto's words: one user's
// broken line must not keep everybody else out.
func parsePasswords(path string, data []byte) (users map[string]*credential, warnings []Warning) {
	users = make(map[string]*credential)
	warn := func(line int, t logging.Type, format string, args ...any) {
		warnings = append(warnings, Warning{t, fmt.Sprintf(format, args...), path, line})
	}
	text, marked := strings.CutPrefix(string(data), byteOrderMark)
	if marked {
		warn(1, logging.Notice, "The password file '%s' begins with a byte order mark, which is passed over.", path)
	}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(line, "\r")
		user, entry := splitEntry(line)
		if user == "" {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' { // what it holds may be a password
				warn(i+1, logging.Warning, "Warning: Invalid line in password file '%s': line %d is no USER:HASH, and is left out.", path, i+1)
			}
			continue
		}
		if len(user) > 65535 {
			warn(i+1, logging.Notice, "Warning: Invalid line in password file '%s', username too long.", path)
			continue
		}
		if entry == "" {
			warn(i+1, logging.Notice, "Warning: Invalid line in password file '%s': %s", path, user)
			continue
		}
		c, err := parseCredential(entry)
		if err != nil {
			warn(i+1, logging.Error, "Error: %s %s, removing entry.", err, user)
			continue
		}
		if users[user] != nil {
			warn(i+1, logging.Warning, "Warning: User %s stands more than once in password file '%s': the last entry counts.", user, path)
		}
		users[user] = c
	}
	return users, warnings
}
