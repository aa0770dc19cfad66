package access

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"github.com/xdg-go/scram"

	"picket/cause"
)

// Policy is the security rules of a broker or of a listener, as they were when the files were read. It never changes and is
// safe for concurrent use.
type Policy struct {
	config Config
	users  map[string]*credential // nil: no password file
	// Unknown users are measured against these: decoys for plain passwords (never empty), scramDecoys for SCRAM.
	decoys, scramDecoys []*credential
	secret              []byte // keys both
	rules               *rules // nil: no ACL file
	scram               *scram.Server
}

// Load reads the files that a configuration names. It fails, with a [*FileError], when a file cannot be read or an ACL file
// has a mistake. A bad entry in a password file is left out and reported by a warning, as in mosquitto.
func Load(c Config) (*Policy, []Warning, error) {
	p := &Policy{config: c}
	var warnings []Warning
	key := ""
	if c.PasswordFile != "" {
		data, w, err := readFile("password_file", c.PasswordFile)
		warnings = append(warnings, w...)
		if err != nil {
			return nil, warnings, err
		}
		p.users, w = parsePasswords(c.PasswordFile, data)
		key = decoyKey(data)
		warnings = append(warnings, w...)
	}
	if c.ACLFile != "" {
		data, w, err := readFile("acl_file", c.ACLFile)
		warnings = append(warnings, w...)
		if err != nil {
			return nil, warnings, err
		}
		p.rules, w, err = parseRules(c.ACLFile, data)
		warnings = append(warnings, w...)
		if err != nil {
			return nil, warnings, err
		}
	}
	p.makeSecret(key)
	p.makeDecoys()
	server, err := scram.SHA256.NewServer(p.scramCredentials)
	if err != nil {
		return nil, warnings, err
	}
	p.scram = server
	return p, warnings, nil
}

// Config returns what the policy was made from.
func (p *Policy) Config() Config { return p.config }

// NoUsers reports whether nobody can show who it is: there is no password file, or nobody stands in it, and nobody else is asked.
func (p *Policy) NoUsers() bool {
	return len(p.users) == 0 && p.config.Authority == nil && p.config.RightsFile == "" && p.config.Backends == ""
}

// Users returns the users of the password file, in alphabetical order.
func (p *Policy) Users() []string { return slices.Sorted(maps.Keys(p.users)) }

// Listed tells whether a user stands in the password file.
func (p *Policy) Listed(username string) bool { return p.users[username] != nil }

// Knows tells whether a user of that name can log in with a password: the password file or the [Authority] has it. The empty name stands for none, and is known.
func (p *Policy) Knows(username string) bool {
	return username == "" || p.users[username] != nil || p.config.Authority != nil && p.config.Authority.Knows(username)
}

// Strangers returns the users whom the ACL file has rules for but whom the password file does not know, in alphabetical order:
// mistyped names, if nobody logs in by certificate.
func (p *Policy) Strangers() []string {
	if p.rules == nil || p.users == nil {
		return nil
	}
	var names []string
	for name := range p.rules.users {
		if p.users[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Connect decides whether a client may connect. The answer comes later where a password has to be hashed.
func (p *Policy) Connect(l Login) Decision {
	if d := p.ClientID(l.ClientID); !d.Allow {
		return d
	}
	switch {
	case p.config.Authority != nil:
		if d, ok := p.config.Authority.Connect(p, l); ok {
			return d
		}
	case p.config.RightsFile != "": // nobody has opened it
		return Decision{Cause: cause.AuthBackendDown, Text: "the file of users and rights is not open"}
	case p.config.Backends != "":
		return Decision{Cause: cause.AuthBackendDown, Text: "the back ends that know the users are not open"}
	}
	if p.users != nil && !l.Certified && l.HasUsername && l.HasPassword {
		return Decision{Later: &Later{Computes: true, Get: func(context.Context) Decision { return p.Authenticate(l) }}}
	}
	return p.Authenticate(l)
}

// MayStillPublish decides whether the client that once published a message to a topic name may do so under these rules (check_retain_source). What would have to be
// asked elsewhere is not: whoever answered when the message was published has let it in.
func (p *Policy) MayStillPublish(username, clientID, name string) Decision {
	c := p.Client(Login{ClientID: clientID, HasUsername: username != "", Username: username}, Decision{})
	d := c.Publish(name)
	if d.Later != nil {
		return Decision{Allow: true}
	}
	return d
}

// ClientID decides by the client identifier alone (clientid_prefixes).
func (p *Policy) ClientID(id string) Decision {
	if strings.HasPrefix(id, p.config.ClientIDPrefixes) {
		return Decision{Allow: true}
	}
	return Decision{Cause: cause.ClientIDPrefix, Text: "the client id does not begin with " + p.config.ClientIDPrefixes}
}

// Authenticate decides by the files whether a client may connect, at once. It takes as long for an unknown user as for a known one, and as
// long for a wrong password as for the right one. That is milliseconds when there is a password file: [Policy.Connect] puts it off then.
//
// As in mosquitto, a user name without any password file counts for nothing: such a client is let in where anonymous ones are.
func (p *Policy) Authenticate(l Login) Decision {
	if d := p.ClientID(l.ClientID); !d.Allow {
		return d
	}
	if l.Certified {
		return Decision{Allow: true}
	}
	if p.users == nil || !l.HasUsername {
		return p.anonymous(l)
	}
	if len(l.Password) == 0 { // an empty password counts as none, as in mosquitto
		return Decision{Cause: cause.BadCredentials, Text: "a user name without a password"}
	}
	c, known := p.users[l.Username]
	if !known {
		c = p.decoy(p.decoys, l.Username)
	}
	if ok := c.verify(l.Password); !ok || !known {
		return Decision{Cause: cause.BadCredentials, Text: "unknown user or wrong password"}
	}
	return Decision{Allow: true}
}

// anonymous decides about a client whose name nobody vouches for.
func (p *Policy) anonymous(l Login) Decision {
	switch {
	case p.config.Anonymous == AnonymousAlways, p.config.Anonymous == AnonymousLocal && l.Local:
		return Decision{Allow: true}
	case l.HasUsername: // and p.users is nil
		return Decision{Cause: cause.NoPasswordFile, Text: "a user name was given, but no password_file is configured and allow_anonymous does not let the client in"}
	case p.config.Anonymous == AnonymousLocal:
		return Decision{Cause: cause.AnonymousLocalOnly, Text: "clients without a user name may only connect from the same machine"}
	}
	return Decision{Cause: cause.AnonymousRefused, Text: "no user name, and allow_anonymous is false"}
}

// Recheck decides, after a reload, whether a client that connected under the policy before may stay. It needs no password:
// where one was shown, the user's entry must be the same in both policies. A password that was set anew therefore ends the
// user's connections, even if it is the old one again. local tells that the client is on the same machine.
func (p *Policy) Recheck(c *Client, local bool) Decision {
	if d := p.ClientID(c.ID); !d.Allow {
		return d
	}
	if p.config.Authority != nil {
		if d, ok := p.config.Authority.Recheck(p, c); ok {
			return d
		}
	}
	if c.Certified {
		return Decision{Allow: true}
	}
	if p.users == nil || !c.HasUsername {
		return p.anonymous(Login{HasUsername: c.HasUsername, Local: local})
	}
	is, was := p.users[c.Username], c.policy.users[c.Username]
	if is == nil {
		return Decision{Cause: cause.NoLongerAllowed, Text: "the user is no longer in the password file"}
	}
	if was == nil || !is.equal(was) {
		return Decision{Cause: cause.NoLongerAllowed, Text: "the user's password was changed"}
	}
	return Decision{Allow: true}
}

// makeSecret makes the key of the choice of decoys and their salts. An unknown user has to look the same across reloads, restarts and the machines that share a
// password file, as a known one does, so the key stands in the file, in a comment. A file that was written by another program has none: there it is taken from the
// whole entry of the user who comes first in the alphabet and whose hash nobody but its reader knows, and changes when that entry does.
func (p *Policy) makeSecret(key string) {
	h := hmac.New(sha256.New, []byte("picket decoys"))
	if key != "" {
		h.Write([]byte("\n" + key)) // no entry begins so
		p.secret = h.Sum(nil)
		return
	}
	var first string
	var chosen *credential
	for name, c := range p.users {
		// Who logs in by SCRAM can work out an own entry, so one of another kind is better.
		if chosen == nil || (c.kind != SCRAM) != (chosen.kind != SCRAM) && c.kind != SCRAM || (c.kind != SCRAM) == (chosen.kind != SCRAM) && name < first {
			first, chosen = name, c
		}
	}
	if chosen != nil {
		h.Write([]byte(first + ":" + chosen.String()))
	}
	p.secret = h.Sum(nil)
}

// keyed returns a number that follows from a name but that nobody outside can foretell.
func (p *Policy) keyed(purpose, name string) []byte {
	h := hmac.New(sha256.New, p.secret)
	h.Write([]byte(purpose))
	h.Write([]byte{0})
	h.Write([]byte(name))
	return h.Sum(nil)
}

// makeDecoys prepares what unknown users are measured against: the entries of the known ones, so that times and SCRAM's iteration
// counts are distributed alike. The order is that of the costs, so that a name meets the same cost after a reload.
func (p *Policy) makeDecoys() {
	for _, c := range p.users {
		p.decoys = append(p.decoys, c)
		if c.kind == SCRAM {
			p.scramDecoys = append(p.scramDecoys, c)
		}
	}
	byCost := func(a, b *credential) int {
		return cmp.Or(strings.Compare(string(a.kind), string(b.kind)), cmp.Compare(a.iterations, b.iterations))
	}
	slices.SortFunc(p.decoys, byCost)
	slices.SortFunc(p.scramDecoys, byCost)
	if len(p.decoys) == 0 {
		p.decoys = []*credential{{kind: PBKDF2, iterations: DefaultIterations, salt: make([]byte, saltSize)}}
	}
	if len(p.scramDecoys) == 0 {
		p.scramDecoys = []*credential{{kind: SCRAM, iterations: DefaultIterations}}
	}
}

// decoy returns the credential that an unknown user is measured against, always the same one for a name.
func (p *Policy) decoy(from []*credential, username string) *credential {
	n := binary.BigEndian.Uint64(p.keyed("decoy", username))
	return from[n%uint64(len(from))]
}
