// Package access decides who a client is and what it may do: password and ACL files, certificates, SCRAM-SHA-256.
//
// A [Policy] is an immutable snapshot, made from a [Config] by [Load]; a reload makes a new one beside the old. Nothing here
// blocks but [Load] (files) and [Policy.Authenticate] (hashing, as long as the password file's iterations take).
package access

import (
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
	Source             string // "FILE:LINE" of the first directive
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
}

// Decision is the answer to a question; Cause is empty exactly when Allow is true.
type Decision struct {
	Allow bool
	Cause cause.ID
	Text  string // facts for the log, never a secret
}
