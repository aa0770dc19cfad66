// Package token has the tokens by which callers of the HTTP API are known, and the file that keeps them. Of a token itself only a hash is kept: it is shown once, when it
// is made.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Role is what a caller may do. Each may also do what the ones before it may.
type Role string

// The roles.
const (
	Metrics  Role = "metrics"  // read /metrics
	Viewer   Role = "viewer"   // look at what is there
	Operator Role = "operator" // read messages, disconnect, ban, publish, delete
	Admin    Role = "admin"    // change users and rights, make backups
)

// Roles lists them, the one that may least first.
func Roles() []Role { return []Role{Metrics, Viewer, Operator, Admin} }

// Includes tells whether whoever has this role may do what another is needed for.
func (r Role) Includes(needed Role) bool {
	all := Roles()
	return slices.Contains(all, r) && slices.Index(all, r) >= slices.Index(all, needed)
}

// ParseRole reads a role.
func ParseRole(s string) (Role, error) {
	if r := Role(s); slices.Contains(Roles(), r) {
		return r, nil
	}
	return "", fmt.Errorf("%q is no role: metrics, viewer, operator or admin is expected", s)
}

// Token is what is known of a token.
type Token struct {
	Name    string    `json:"name"`
	Role    Role      `json:"role"`
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires,omitzero"` // absent: never

	ID   string `json:"id"`               // the part of the token that finds it
	Hash string `json:"sha256,omitempty"` // of the whole token, in hexadecimal; only in the file
}

// valid tells whether the token's time is not over.
func (t *Token) valid(now time.Time) bool { return t.Expires.IsZero() || now.Before(t.Expires) }

// A token is prefix, an identifier, and a secret of 256 random bits.
const (
	prefix      = "pkt_"
	idBytes     = 6
	secretBytes = 32
	maxName     = 64
)

// newSecret makes a token, and returns what finds it and what it is compared with.
func newSecret() (secret, id, hash string) {
	random := make([]byte, idBytes+secretBytes)
	_, _ = rand.Read(random) // it never fails
	id = hex.EncodeToString(random[:idBytes])
	secret = prefix + id + "_" + base64.RawURLEncoding.EncodeToString(random[idBytes:])
	return secret, id, hashOf(secret)
}

func hashOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// idOf is the part of a secret that finds its token.
func idOf(secret string) string {
	rest, _ := strings.CutPrefix(secret, prefix)
	id, _, _ := strings.Cut(rest, "_")
	return id
}

// matches compares a secret with the token, in a time that does not depend on where they differ.
func (t *Token) matches(secret string) bool {
	return subtle.ConstantTimeCompare([]byte(hashOf(secret)), []byte(t.Hash)) == 1
}

// checkName tells what is wrong with the name of a new token.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("a token needs a name")
	case len(name) > maxName:
		return fmt.Errorf("the name of a token may have %d bytes", maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("the name of a token has to be UTF-8 text without control characters")
	}
	return nil
}
