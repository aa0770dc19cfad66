// Package backend asks others who a client is and what it may do: files in the formats of mosquitto-go-auth, a web service, Redis, JSON Web Tokens. It stands behind the
// names that users of mosquitto's plugins go-auth and auth-plug have in their configuration.
//
// A [Set] is the back ends of one set of rules and their [access.Authority]. Each back end is a [source]. What a source answers at once, because it is in memory, is
// asked on the event loops; what takes time becomes an [access.Later], so that a slow answer delays only the client that it is about. Yes from one source is enough,
// in the order of the configuration; where none says yes and one has not answered, the answer is no, with [cause.AuthBackendDown].
//
// Answers are remembered as long as the configuration says. For publishing and subscribing that is all. A message cannot wait for an answer on its way to a
// subscriber, though: the right to read is asked for at SUBSCRIBE, for the filter, and while messages come it is asked anew, beside them, whenever the answer is older
// than the configuration allows. Until the new answer is there the last one counts, which is as long as a source may take at most.
package backend

import (
	"context"
	"time"

	"picket/access"
)

// Config is what a configuration says of the back ends of one set of rules.
type Config struct {
	Source  string   // FILE:LINE of the plugin's line
	Sources []Source // in the order in which they are asked

	// Prefixes send users to one source each: PREFIX_NAME; nil: none. They are in the order of Sources. Strip has the source see NAME alone.
	Prefixes []string
	Strip    bool
	// ClientIDAsUser has the client identifier asked about in place of the user name.
	ClientIDAsUser bool
	// DenySpecial denies all rights to clients whose user name or client identifier has a + or #, which a back end might take for a wildcard. Default true.
	DenySpecial bool
	// Exhaust asks each source for the superuser and the right before the next one is asked; otherwise all are asked for the superuser first.
	Exhaust bool
	Retries int // how often a source that fails is asked again at once

	// How long answers are remembered, plus or minus a random part; 0: not at all.
	LoginTTL, LoginJitter   time.Duration
	RightsTTL, RightsJitter time.Duration
	Refresh                 bool // an answer that is used is remembered for that long anew
	// KeepLast lets the last answer count for as long as a source fails; otherwise everything is refused then.
	KeepLast bool
}

// Source is what a configuration says of one back end. Exactly one of the pointers is set.
type Source struct {
	Name                    string // as the configuration calls it
	Users, Superuser, Rules bool   // what it is asked about
	Files                   *Files
	Web                     *Web
	Redis                   *Redis
	JWT                     *JWT
}

// who is a login as sources see it.
type who struct {
	user, clientID string
	password       []byte
	given          string // the user name as it came
	bearer         bool   // the password is a token, whatever it looks like
}

// proof is what a source says about a login.
type proof struct {
	ok bool
	// check does the rest of the work, which keeps a processor busy, and reports whether the password is right. nil: there is no rest.
	check func() bool
	// credential is what the login was measured against, compared after a reload.
	credential string
	// why is what is said about a no; the zero decision: what is said about every wrong password.
	why access.Decision
	// of a token: the user's name, when it ends (zero: never), and what it allows (nil: it does not say).
	user  string
	until time.Time
	rules []rule
}

// right is a question about what a user may do.
type right struct {
	action access.Action // 0: everything, as a superuser
	user   string
	client string
	topic  string // a filter with Subscribe, or with Deliver when it is asked at SUBSCRIBE

	token    *grant // of a client that a token has let in; nil: of others
	restored bool   // nobody knows any more who has let the client in, before the broker started
}

// source is one back end. Safe for concurrent use.
type source interface {
	// instant tells whether answers about rights are here at once. Otherwise may blocks until ctx ends, and answers are remembered.
	instant() bool
	// waits tells whether login blocks.
	waits(w who) bool
	login(ctx context.Context, w who) (proof, error)
	may(ctx context.Context, r right) (bool, error)
	// where is the place that is asked, for people; never a secret.
	where() string
	close()
}

// grant is what is noted about a client that was let in.
type grant struct {
	by         string // the source; empty: a certificate
	credential string
	token      bool      // it was let in by a token
	until      time.Time // when that ends; zero: never
	rules      []rule    // of the token; nil: it says nothing of topics
	filters    filters   // that it was allowed to subscribe to
}

// anew is what is noted about another client that is let in in the same way.
func (g *grant) anew() *grant { return &grant{by: g.by, credential: g.credential} }

// Until is when what a client was let in with ends, for [access.Client.Until].
func (g *grant) Until() time.Time { return g.until }

// Files are the paths of the files that the back ends read.
func (c Config) Files() (paths []string) {
	for _, one := range c.Sources {
		if f := one.Files; f != nil {
			paths = append(paths, f.PasswordFile, f.ACLFile)
		}
		if w := one.Web; w != nil {
			paths = append(paths, w.CAFile)
		}
		if t := one.JWT; t != nil {
			paths = append(paths, t.KeysFile, t.SecretFile, t.CAFile, t.ACLFile)
		}
	}
	return paths
}
