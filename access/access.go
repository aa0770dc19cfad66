// Package access decides who a client is and what it may do: password and ACL files, certificates, SCRAM-SHA-256.
//
// It is the one judge: whether a client may connect is asked of a [Policy], and what it may do then of its [Client]. A Policy is an immutable
// snapshot, made from a [Config] by [Load]; a reload makes a new one beside the old. An answer is yes, no with a cause, or [Later]: it takes time to
// be had, and whoever asked goes and gets it where that holds nobody up. Nothing here blocks but that, and [Load] (files).
package access

import (
	"context"
	"net/netip"

	"picket/cause"
)

// Anonymous says whether clients without a user name may connect.
type Anonymous byte

// Who may connect without a user name.
const (
	AnonymousNever Anonymous = iota
	AnonymousAlways
	AnonymousLocal // only from the same machine: loopback addresses and Unix sockets, no PROXY header
)

// Tokens says where clients show their tokens.
type Tokens byte

// The places of tokens.
const (
	NoTokens Tokens = iota
	TokensInPassword
	TokensInName // the user name is the token, and is shown nowhere
)

// Config is one set of security rules: the whole broker's, or one listener's with per_listener_settings.
type Config struct {
	Anonymous         Anonymous
	PasswordFile      string
	ACLFile           string
	AllowZeroLengthID bool   // default true
	AutoIDPrefix      string // "auto-"
	ClientIDPrefixes  string
	// SubscribeUnchecked keeps mosquitto's own behaviour, where an ACL file never refuses SUBSCRIBE and only filters deliveries.
	SubscribeUnchecked bool
	// RightsFile is the file of users and rights that are changed while the broker runs (mosquitto's dynamic security); whoever opens it is the Authority. Empty: none.
	RightsFile string
	// RightsBeside: the file adds users to those of the files and has no say about others, and need not be there before it has a user (rights_file). Otherwise it is
	// mosquitto's, and what it does not allow is denied to everybody where there is no ACL file.
	RightsBeside bool
	// Backends names the back ends that are asked about users and rights ("files, http"), for people; whoever opens them is the Authority. Empty: none.
	Backends string
	// Tokens says where clients show tokens, which the Authority then checks, also those that come by [TokenMethod].
	Tokens Tokens
	// Authority is asked before the files are; nil: they alone decide. It is none of a configuration file's.
	Authority Authority
	Source    string // "FILE:LINE" of the first directive
}

// Login is what a client shows at CONNECT.
type Login struct {
	ClientID    string
	HasUsername bool
	Username    string
	HasPassword bool
	Password    []byte
	Remote      netip.AddrPort
	Local       bool // same machine
	// Certified: Username was taken from a verified client certificate; the password file is not asked.
	Certified bool
	// Bearer: Password is a token that came as the data of [TokenMethod], and nothing else counts.
	Bearer bool
}

// Decision is the answer to a question: yes if Allow is true, not yet if Later is not nil, and otherwise no, for Cause.
type Decision struct {
	Allow bool
	Cause cause.ID // of a no, and empty otherwise
	Text  string   // facts for the log and the client, never a secret
	Later *Later   // the answer takes time; nil: it is here
	Grant any      // for [Client.Grant], with a yes to [Authority.Connect]
	// User is who the client has shown to be, with a yes to [Authority.Connect], where that is another name than it gave: the one in its token. Empty: the name it gave.
	User string
}

// Later is an answer that takes time.
type Later struct {
	// Computes tells that getting it keeps a processor busy, as hashing a password does, rather than waiting for somebody else. The two are
	// bounded apart from one another: slow neighbours must not keep passwords from being checked.
	Computes bool
	// Get gets it, and may block until ctx ends. It may return another Later: who has read a hash somewhere has a password checked against it next. A chain of
	// these is short.
	Get func(ctx context.Context) Decision
}

// Action is what a client wants to do with a topic.
type Action byte

// What an [Authority] is asked about.
const (
	Publish     Action = iota + 1 // to publish to a topic name, a will and a command to $CONTROL included
	Subscribe                     // to subscribe to a topic filter, which may be a shared one
	Deliver                       // to be sent a message with a topic name. The answer has to be there at once
	Unsubscribe                   // to end a subscription to a topic filter
)

// Authority decides in place of the files of a [Policy], or leaves it to them: something that other programs or other files tell who may do what. Its methods are
// called on event loops by many at once and must not block; what takes time is answered [Later].
type Authority interface {
	// Knows tells whether a user is one of its own.
	Knows(username string) bool
	// Connect decides about a login under a policy. ok is false if that is left to its files.
	Connect(p *Policy, l Login) (d Decision, ok bool)
	// Recheck decides, at once, whether a client that was let in may stay, under a policy that may be another one. ok is false if that is left to its files.
	Recheck(p *Policy, c *Client) (d Decision, ok bool)
	// Authorize decides what a client may do with a topic name or filter, mount point included. ok is false if that is left to the files.
	Authorize(c *Client, a Action, topic string) (d Decision, ok bool)
}
