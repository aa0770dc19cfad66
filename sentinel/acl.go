package sentinel

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"picket/resp"
	"picket/sentinel/machine"
)

// selector is one set of rules: a user has one, and may have more in parentheses. What any of them allows is allowed.
type selector struct {
	commands []string // rules in order, each with + or -; the last that fits decides
	keys     []string // patterns, with %R~ and the like where not both reading and writing
	channels []string // patterns; "*" for all
}

// user is one user of the access control list. Users are replaced, not changed, so that they can be read without a lock.
type user struct {
	name      string
	on        bool
	noPass    bool
	passwords []string // SHA-256 in hexadecimal
	selector
	selectors []selector
	sanitize  bool // sanitize-payload was asked for
	skip      bool // skip-sanitize-payload was
}

func newUser(name string) *user {
	return &user{name: name, selector: selector{commands: []string{"-@all"}}}
}

func defaultUser() *user {
	return &user{
		name: "default", on: true, noPass: true,
		selector: selector{commands: []string{"+@all"}, keys: []string{"~*"}, channels: []string{"*"}},
	}
}

func (u *user) clone() *user {
	c := *u
	c.passwords = slices.Clone(u.passwords)
	c.selector = u.selector.clone()
	c.selectors = slices.Clone(u.selectors)
	return &c
}

func (s selector) clone() selector {
	return selector{slices.Clone(s.commands), slices.Clone(s.keys), slices.Clone(s.channels)}
}

func hashPassword(p string) string {
	h := sha256.Sum256([]byte(p))
	return hex.EncodeToString(h[:])
}

var (
	errACLCommand  = errors.New("Unknown command or category name in ACL")                                                                                                                                 //nolint:staticcheck // Redis' text
	errACLSyntax   = errors.New("Syntax error")                                                                                                                                                            //nolint:staticcheck // as above
	errACLHash     = errors.New("The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters")                                                                       //nolint:staticcheck // as above
	errACLPassword = errors.New("The password you are trying to remove from the user does not exist")                                                                                                      //nolint:staticcheck // as above
	errACLAllKeys  = errors.New("Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try 'resetkeys' to start with an empty list of patterns")         //nolint:staticcheck // as above
	errACLAllChans = errors.New("Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. Try 'resetchannels' to start with an empty list of channels") //nolint:staticcheck // as above
)

// set applies one rule of ACL SETUSER.
func (u *user) set(rule string) error {
	lower := strings.ToLower(rule)
	switch lower {
	case "on":
		u.on = true
	case "off":
		u.on = false
	case "nopass":
		u.noPass, u.passwords = true, nil
	case "resetpass":
		u.noPass, u.passwords = false, nil
	case "sanitize-payload":
		u.sanitize, u.skip = true, false
	case "skip-sanitize-payload":
		u.skip, u.sanitize = true, false
	case "reset":
		*u = *newUser(u.name)
		u.sanitize = true
	case "clearselectors":
		u.selectors = nil
	default:
		return u.setArgument(rule)
	}
	return nil
}

func (u *user) setArgument(rule string) error {
	if rule == "" {
		return errACLSyntax
	}
	arg := rule[1:]
	switch rule[0] {
	case '>', '#':
		hash := arg
		if rule[0] == '>' {
			hash = hashPassword(arg)
		} else if !validHash(arg) {
			return errACLHash
		}
		if !slices.Contains(u.passwords, hash) {
			u.passwords = append(u.passwords, hash)
		}
		u.noPass = false
	case '<', '!':
		hash := arg
		if rule[0] == '<' {
			hash = hashPassword(arg)
		} else if !validHash(arg) {
			return errACLHash
		}
		i := slices.Index(u.passwords, hash)
		if i < 0 {
			return errACLPassword
		}
		u.passwords = slices.Delete(u.passwords, i, i+1)
	case '(':
		if !strings.HasSuffix(rule, ")") {
			return errors.New("Unmatched parenthesis in selector definition") //nolint:staticcheck // Redis' text
		}
		s := selector{commands: []string{"-@all"}}
		for _, r := range strings.Fields(rule[1 : len(rule)-1]) {
			if err := s.set(r); err != nil {
				return err
			}
		}
		u.selectors = append(u.selectors, s)
	default:
		return u.selector.set(rule)
	}
	return nil
}

func validHash(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// unsafeWord reports whether a name or a pattern holds what would end a word, or a line, of the configuration file: white space or NUL.
func unsafeWord(s string) bool { return strings.ContainsAny(s, " \t\n\v\f\r\x00") }

// set applies a rule about commands, keys or channels.
func (s *selector) set(rule string) error {
	if unsafeWord(rule) {
		return errACLSyntax
	}
	switch lower := strings.ToLower(rule); {
	case lower == "allkeys" || rule == "~*":
		s.keys = []string{"~*"}
	case lower == "resetkeys":
		s.keys = nil
	case lower == "allchannels" || rule == "&*":
		s.channels = []string{"*"}
	case lower == "resetchannels":
		s.channels = nil
	case lower == "allcommands" || lower == "+@all":
		s.commands = []string{"+@all"}
	case lower == "nocommands" || lower == "-@all":
		s.commands = []string{"-@all"}
	case strings.HasPrefix(rule, "~") || strings.HasPrefix(rule, "%") && strings.Contains(rule, "~"):
		if slices.Contains(s.keys, "~*") {
			return errACLAllKeys
		}
		if perm, _, _ := strings.Cut(rule, "~"); len(perm) > 1 {
			if strings.Trim(strings.ToUpper(perm[1:]), "RW") != "" {
				return errACLSyntax
			}
		} else if perm == "%" {
			return errACLSyntax
		}
		if !slices.Contains(s.keys, rule) {
			s.keys = append(s.keys, rule)
		}
	case strings.HasPrefix(rule, "&"):
		if slices.Contains(s.channels, "*") {
			return errACLAllChans
		}
		if !slices.Contains(s.channels, rule[1:]) {
			s.channels = append(s.channels, rule[1:])
		}
	case strings.HasPrefix(rule, "+") || strings.HasPrefix(rule, "-"):
		return s.setCommand(lower)
	default:
		return errACLSyntax
	}
	return nil
}

func (s *selector) setCommand(rule string) error {
	what := rule[1:]
	if cat, ok := strings.CutPrefix(what, "@"); ok {
		if !slices.Contains(categories, cat) {
			return errACLCommand
		}
	} else if name, sub, ok := strings.Cut(what, "|"); ok {
		cmd := commandTable[name]
		if cmd == nil || len(cmd.subs) == 0 || cmd.subs[sub] == nil {
			return errACLCommand
		}
	} else if commandTable[what] == nil {
		return errACLCommand
	}
	// A later rule about the same replaces an earlier one; one about a whole command those about its subcommands.
	s.commands = slices.DeleteFunc(s.commands, func(r string) bool {
		return r[1:] == what && r[1:] != "@all" || strings.HasPrefix(r[1:], what+"|")
	})
	s.commands = append(s.commands, rule)
	return nil
}

// categories are those of Redis, whether or not a sentinel has commands in them.
var categories = strings.Fields(`keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin fast slow
	blocking dangerous connection transaction scripting all`)

func (s *selector) allowsCommand(cmd *command) bool {
	allowed := false
	base, _, _ := strings.Cut(cmd.name, "|")
	for _, r := range s.commands {
		what := r[1:]
		cat, isCat := strings.CutPrefix(what, "@")
		if what == cmd.name || what == base || isCat && (cat == "all" || slices.Contains(cmd.categories, cat)) {
			allowed = r[0] == '+'
		}
	}
	return allowed
}

// allowsChannel reports whether a channel, or exactly a pattern, may be subscribed to or published on.
func (s *selector) allowsChannel(name string, pattern bool) bool {
	for _, p := range s.channels {
		if p == "*" || p == name || !pattern && machine.Match(p, name) {
			return true
		}
	}
	return false
}

// denial says what a selector does not allow.
type denial struct {
	reason, object string // command or channel, and which
}

func (s *selector) denies(cmd *command, args []string) *denial {
	// Logging in is never refused.
	if cmd.name != "auth" && cmd.name != "hello" && !s.allowsCommand(cmd) {
		return &denial{"command", cmd.name}
	}
	var channels []string
	pattern := false
	switch cmd.name {
	case "subscribe":
		channels = args[1:]
	case "psubscribe":
		channels, pattern = args[1:], true
	case "publish":
		if len(args) > 1 {
			channels = args[1:2]
		}
	}
	for _, ch := range channels {
		if !s.allowsChannel(ch, pattern) {
			return &denial{"channel", ch}
		}
	}
	return nil
}

// denies returns nil if one of the user's selectors allows the command. The reason of the one that came furthest is given.
func (u *user) denies(cmd *command, args []string) *denial {
	d := u.selector.denies(cmd, args)
	for i := range u.selectors {
		if d == nil {
			return nil
		}
		e := u.selectors[i].denies(cmd, args)
		if e == nil || d.reason == "command" && e.reason != "command" {
			d = e
		}
	}
	return d
}

// describe writes a user as ACL LIST shows it and as it stands in an aclfile, where nothing is quoted.
func (u *user) describe() string { return strings.Join(u.words(), " ") }

// line writes a user as it stands in the configuration file. A selector is one word there.
func (u *user) line() string {
	w := u.words()
	for i := range w {
		if strings.HasPrefix(w[i], "(") && resp.QuoteIfNeeded(strings.ReplaceAll(w[i], " ", "")) == strings.ReplaceAll(w[i], " ", "") {
			continue // its words are put together again
		}
		if hash, ok := strings.CutPrefix(w[i], "#"); ok && resp.QuoteIfNeeded(hash) == hash {
			continue // a hashed password, as redis writes it: # begins a comment at the beginning of a line only
		}
		w[i] = resp.QuoteIfNeeded(w[i])
	}
	return "user " + strings.Join(w, " ")
}

// words are the name and the rules.
func (u *user) words() []string {
	w := []string{u.name}
	if u.on {
		w = append(w, "on")
	} else {
		w = append(w, "off")
	}
	if u.noPass {
		w = append(w, "nopass")
	}
	if u.sanitize {
		w = append(w, "sanitize-payload")
	}
	if u.skip {
		w = append(w, "skip-sanitize-payload")
	}
	for _, p := range u.passwords {
		w = append(w, "#"+p)
	}
	w = append(w, u.selector.words()...)
	for _, s := range u.selectors {
		w = append(w, "("+strings.Join(s.words(), " ")+")")
	}
	return w
}

func (s *selector) words() []string {
	w := append(slices.Clone(s.keys), s.channelWords()...)
	if len(s.channels) == 0 {
		w = append(w, "resetchannels")
	}
	return append(w, s.commands...)
}

func (s *selector) channelWords() []string {
	w := make([]string, len(s.channels))
	for i, c := range s.channels {
		w[i] = "&" + c
	}
	return w
}

func (s *selector) channelText() string { return strings.Join(s.channelWords(), " ") }

// acl is the access control list.
type acl struct {
	mu     sync.RWMutex
	users  map[string]*user
	log    []*aclEntry // newest first
	logMax int
	lastID int64
}

// aclEntry is one refusal, or several alike within a minute.
type aclEntry struct {
	id                            int64
	count                         int64
	reason, context, object, user string
	client                        string
	created, updated              time.Time
}

func newACL(c *Config) (*acl, error) {
	a := &acl{users: map[string]*user{}, logMax: c.ACLLogMax}
	def := defaultUser()
	if c.Password != "" {
		def.noPass, def.passwords = false, []string{hashPassword(c.Password)}
	}
	a.users["default"] = def
	if c.ACLFile != "" {
		return a, a.load(c.ACLFile)
	}
	for _, words := range c.Users {
		u, err := parseUser(words)
		if err != nil {
			return nil, err
		}
		if u.name == "default" && c.Password != "" {
			// requirepass speaks last, so that a changed password counts although the line of the user was written by us.
			u.noPass, u.passwords = false, []string{hashPassword(c.Password)}
		}
		a.users[u.name] = u
	}
	return a, nil
}

// parseUser reads the words of a user line: name and rules.
func parseUser(words []string) (*user, error) {
	u := newUser(words[0])
	if unsafeWord(words[0]) {
		return nil, fmt.Errorf("user %q: no white space and no NUL may be in the name of a user", words[0])
	}
	for _, r := range joinSelectors(words[1:]) {
		if err := u.set(r); err != nil {
			return nil, fmt.Errorf("user %s: %q: %w", words[0], r, err)
		}
	}
	return u, nil
}

// joinSelectors puts a selector that was split at its spaces together again.
func joinSelectors(words []string) []string {
	var out []string
	open := false
	for _, w := range words {
		if open {
			out[len(out)-1] += " " + w
		} else {
			out = append(out, w)
		}
		if !open && strings.HasPrefix(w, "(") {
			open = true
		}
		if open && strings.HasSuffix(w, ")") {
			open = false
		}
	}
	return out
}

func (a *acl) get(name string) *user {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.users[name]
}

// initial is the user of a new connection, and whether it is logged in without a password.
func (a *acl) initial() (*user, bool) {
	u := a.get("default")
	return u, u.on && u.noPass
}

func (a *acl) defaultNoPass() bool { return a.get("default").noPass }

func (a *acl) defaultOpen() bool {
	u := a.get("default")
	return u.on && u.noPass
}

// login checks a name and a password. All passwords are compared, also for a user that does not exist, so that the time tells nothing.
func (a *acl) login(name, pass string) (*user, bool) {
	u := a.get(name)
	hash := hashPassword(pass)
	known := []string{strings.Repeat("0", 64)}
	if u != nil && len(u.passwords) > 0 {
		known = u.passwords
	}
	ok := 0
	for _, k := range known {
		ok |= subtle.ConstantTimeCompare([]byte(k), []byte(hash))
	}
	if u == nil || !u.on {
		return nil, false
	}
	return u, u.noPass || ok == 1
}

// check decides whether a client's user may run a command, and gives the reply if not. What the user is now counts, not what it
// was when the client logged in.
func (a *acl) check(u *user, cmd *command, args []string, c *client) (resp.Value, bool) {
	if u == nil {
		return noReply, true
	}
	now := a.get(u.name)
	if now == nil {
		now = u
	}
	d := now.denies(cmd, args)
	if d == nil {
		return noReply, true
	}
	a.logDenied(c, d.reason, now.name, d.object)
	return resp.Err(d.text(now.name)), false
}

func (d *denial) text(name string) string {
	if d.reason == "channel" {
		return "NOPERM this user has no permissions to access one of the channels used as arguments"
	}
	return "NOPERM this user has no permissions to run the '" + d.object + "' command"
}

// logDenied notes a refusal; the same one again within a minute only counts.
func (a *acl) logDenied(c *client, reason, name, object string) {
	now := time.Now()
	info := c.info()
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, e := range a.log {
		if e.reason == reason && e.user == name && e.object == object && now.Sub(e.updated) < time.Minute {
			e.count++
			e.updated, e.client = now, info
			a.log = append([]*aclEntry{e}, append(a.log[:i:i], a.log[i+1:]...)...)
			return
		}
	}
	a.lastID++
	e := &aclEntry{id: a.lastID - 1, count: 1, reason: reason, context: "toplevel", object: object, user: name, client: info, created: now, updated: now}
	a.log = append([]*aclEntry{e}, a.log...)
	if len(a.log) > a.logMax {
		a.log = a.log[:a.logMax]
	}
}

// lines are the users as lines of the configuration file.
func (a *acl) lines() []string { return a.each((*user).line) }

// list are the users as ACL LIST shows them.
func (a *acl) list() []string { return a.each(func(u *user) string { return "user " + u.describe() }) }

func (a *acl) each(text func(*user) string) []string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	var l []string
	for _, u := range a.users {
		l = append(l, text(u))
	}
	slices.Sort(l)
	return l
}
