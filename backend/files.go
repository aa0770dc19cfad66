package backend

import (
	"context"
	"crypto/subtle"
	"fmt"
	"strings"
	"unicode/utf8"

	"picket/access"
	"picket/logging"
	"picket/topic"
)

// Files is the back end files: a password file with hashes as go-auth's pw writes them, and an ACL file in mosquitto's format.
type Files struct {
	PasswordFile string // empty: it knows no passwords
	ACLFile      string // empty: it allows nothing, unless it is the only back end: then everything
	PlainSalt    bool   // the salt of PBKDF2 is no base64 (hasher_salt_encoding utf-8)
}

// The directives that name the files.
const (
	passwordDirective = "auth_opt_files_password_path"
	aclDirective      = "auth_opt_files_acl_path"
)

// files are the files as they were read. They never change.
type files struct {
	config  *Files
	alone   bool
	users   map[string]hashed
	decoy   hashed // what unknown users are measured against
	rules   map[string][]rule
	general []rule // of everybody, with %u and %c
}

// rule grants or denies a right.
type rule struct {
	filter string
	rights rights
}

// rights is a set of actions; none of them is a denial.
type rights byte

const (
	mayRead rights = 1 << iota
	mayWrite
	maySubscribe
)

// rightsOf are the words of an ACL file.
var rightsOf = map[string]rights{"read": mayRead | maySubscribe, "write": mayWrite, "readwrite": mayRead | mayWrite | maySubscribe, "subscribe": maySubscribe, "deny": 0}

// needs is what an action takes.
var needs = map[access.Action]rights{access.Publish: mayWrite, access.Subscribe: maySubscribe, access.Deliver: mayRead}

func (c *Files) open(alone bool) (source, []access.Warning, error) {
	f := &files{config: c, alone: alone, users: make(map[string]hashed), rules: make(map[string][]rule), decoy: defaultHash}
	var warnings []access.Warning
	if c.PasswordFile != "" {
		data, w, err := access.ReadRules(passwordDirective, c.PasswordFile)
		warnings = append(warnings, w...)
		if err != nil {
			return nil, warnings, err
		}
		warnings = append(warnings, f.readPasswords(data)...)
	}
	if c.ACLFile != "" {
		data, w, err := access.ReadRules(aclDirective, c.ACLFile)
		warnings = append(warnings, w...)
		if err != nil {
			return nil, warnings, err
		}
		if err := f.readRules(data); err != nil {
			return nil, warnings, err
		}
	}
	return f, warnings, nil
}

// readPasswords reads the lines USER:HASH. One that is broken is left out, as nobody gets in by that.
func (f *files) readPasswords(data []byte) (warnings []access.Warning) {
	n := 0
	for line := range strings.SplitSeq(strings.TrimPrefix(string(data), "\ufeff"), "\n") {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		warn := func(format string, args ...any) {
			warnings = append(warnings, access.Warning{Type: logging.Warning, Text: "Warning: " + fmt.Sprintf(format, args...), File: f.config.PasswordFile, Line: n})
		}
		user, entry, ok := strings.Cut(line, ":")
		if !ok || user == "" {
			warn("Line %d of %s is left out: it is not USER:HASH.", n, f.config.PasswordFile)
			continue
		}
		h, err := parseHash(entry, f.config.PlainSalt)
		if err != nil {
			warn("The user %s in %s is left out: %v.", user, f.config.PasswordFile, err)
			continue
		}
		if len(f.users) == 0 {
			f.decoy = h
		}
		f.users[user] = h
	}
	return warnings
}

// readRules reads the ACL file. A mistake stops the start: a rule that is left out could be the one that denies.
func (f *files) readRules(data []byte) error {
	user, n := "", 0
	for line := range strings.SplitSeq(strings.TrimPrefix(string(data), "\ufeff"), "\n") {
		n++
		fail := func(hint string) error {
			return &access.FileError{Directive: aclDirective, File: f.config.ACLFile, Line: n, Text: fmt.Sprintf("Error: Invalid line in the ACL file \"%s\".", f.config.ACLFile), Hint: hint}
		}
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if !utf8.ValidString(line) {
			return fail("Topics and user names are UTF-8.")
		}
		word, rest := cutWord(line)
		switch {
		case rest == "":
			return fail("Write: user NAME, or: topic|pattern [read|write|readwrite|subscribe|deny] FILTER")
		case word == "user":
			user = rest
			continue
		case word != "topic" && word != "pattern":
			return fail("A line begins with user, topic or pattern.")
		}
		ru := rule{rest, rightsOf["readwrite"]}
		if first, filter := cutWord(rest); filter != "" {
			granted, ok := rightsOf[first]
			if !ok {
				return fail("It is read, write, readwrite, subscribe or deny, and must stand before a topic that has a space.")
			}
			ru = rule{filter, granted}
		}
		if err := topic.CheckFilter(ru.filter); err != nil {
			return fail(err.Error() + ".")
		}
		if word == "pattern" || user == "" {
			f.general = append(f.general, ru)
		} else {
			f.rules[user] = append(f.rules[user], ru)
		}
	}
	return nil
}

// cutWord cuts the first word off, and the blanks behind it.
func cutWord(line string) (word, rest string) {
	i := strings.IndexAny(line, " \t")
	if i < 0 {
		return line, ""
	}
	return line[:i], strings.TrimLeft(line[i:], " \t")
}

func (f *files) instant() bool { return true }

func (f *files) waits(who) bool { return false }

func (f *files) where() string { return f.config.PasswordFile }

func (f *files) close() {}

// login takes as long for an unknown user as for a known one.
func (f *files) login(_ context.Context, w who) (proof, error) {
	if f.config.PasswordFile == "" {
		return proof{}, nil
	}
	h, known := f.users[w.user]
	if !known {
		h = f.decoy
	}
	return proof{ok: known, credential: h.entry, check: func() bool { return h.verify(w.password) }}, nil
}

// still tells whether a user's entry is the one that the user was let in by.
func (f *files) still(user, entry string) bool {
	return subtle.ConstantTimeCompare([]byte(f.users[user].entry), []byte(entry)) == 1
}

// may decides by the rules: a denial of the user or of everybody wins wherever it stands.
func (f *files) may(_ context.Context, r right) (bool, error) {
	switch {
	case r.action == 0: // it has no superusers
		return false, nil
	case f.config.ACLFile == "":
		return f.alone, nil
	}
	return decide(r, f.rules[r.user], f.general), nil
}

// decide decides by lists of rules with %u and %c.
func decide(r right, lists ...[]rule) (yes bool) {
	need := needs[r.action]
	for _, list := range lists {
		for _, ru := range list {
			if ru.rights != 0 && (yes || ru.rights&need == 0) {
				continue
			}
			filter := ru.filter
			if strings.Contains(filter, "%") {
				if ru.rights != 0 && strings.ContainsAny(r.client+r.user, "+#") { // which would be a wildcard
					continue
				}
				filter = topic.Fill(filter, r.client, r.user)
			}
			if filter == "" || !access.Covers(filter, r.topic) {
				continue
			}
			if ru.rights == 0 {
				return false
			}
			yes = true
		}
	}
	return yes
}
