package access

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/xdg-go/stringprep"
)

// HashKind names a way to keep a password in a password file, as the option -H of picket passwd does.
type HashKind string

// The kinds of password hashes.
const (
	// PBKDF2 is "$7$ITERATIONS$SALT$HASH": PBKDF2 with HMAC-SHA-512, mosquitto's default.
	PBKDF2 HashKind = "sha512-pbkdf2"
	// SHA512 is "$6$SALT$HASH": one round of SHA-512 over password and salt, the kind of mosquitto before 1.7.
	// It is quick to guess and only there to read and write old files.
	SHA512 HashKind = "sha512"
	// SCRAM is "$scram-sha-256$ITERATIONS$SALT$STOREDKEY$SERVERKEY" (RFC 5802, RFC 7677). Only users with such an entry can
	// log in with SCRAM-SHA-256; it also verifies a plain password. mosquitto removes entries of this kind when it reads the file.
	SCRAM HashKind = "scram-sha-256"
)

// DefaultIterations is the cost of a new PBKDF2 or SCRAM hash when none is asked for. mosquitto's 101 is no obstacle to
// guessing; 10,000 cost about 5 ms a login, so that 1,000 clients that come back at once still get in within seconds.
const DefaultIterations = 10_000

// MinScramIterations is what RFC 7677, section 4, asks for at least; clients refuse to log in with fewer.
const MinScramIterations = 4096

// MaxIterations bounds the cost that a password file can ask of every login, about 15 s.
const MaxIterations = 10_000_000

const (
	saltSize = 12 // as mosquitto_passwd writes and mosquitto demands
	hashSize = sha512.Size
)

// ParseHashKind returns the kind that a command line names.
func ParseHashKind(s string) (HashKind, error) {
	switch k := HashKind(s); k {
	case PBKDF2, SHA512, SCRAM:
		return k, nil
	}
	return "", fmt.Errorf("unknown password hash %q: it is one of %s, %s, %s", s, PBKDF2, SCRAM, SHA512)
}

// HashPassword returns a new password file entry (the part after "USER:") for a password, with a fresh salt.
// Iterations are those of PBKDF2, from 1 to [MaxIterations]
// and for SCRAM from [MinScramIterations]; 0 means [DefaultIterations], and SHA512 has none.
func HashPassword(kind HashKind, password string, iterations int) (string, error) {
	if iterations == 0 {
		iterations = DefaultIterations
	}
	if iterations < 1 || iterations > MaxIterations {
		return "", fmt.Errorf("%d iterations: from 1 to %d are possible", iterations, MaxIterations)
	}
	if kind == SCRAM && iterations < MinScramIterations {
		return "", fmt.Errorf("%d iterations: clients refuse SCRAM with fewer than %d", iterations, MinScramIterations)
	}
	if len(password) > 65535 {
		return "", errors.New("the password is longer than the 65535 bytes that MQTT can carry")
	}
	salt := make([]byte, saltSize)
	rand.Read(salt)
	c := credential{kind: kind, iterations: iterations, salt: salt}
	switch kind {
	case SHA512, PBKDF2:
		c.hash = c.digest([]byte(password))
	case SCRAM:
		prepared, err := stringprep.SASLprep.Prepare(password)
		if err != nil {
			return "", fmt.Errorf("the password has a character that SCRAM cannot carry: %w", err)
		}
		c.hash, c.serverKey = c.scramKeys(prepared)
	default:
		_, err := ParseHashKind(string(kind))
		return "", err
	}
	return c.String(), nil
}

// A credential is one parsed password file entry.
type credential struct {
	kind       HashKind
	iterations int
	salt       []byte
	hash       []byte // of a SCRAM entry the stored key
	serverKey  []byte // of a SCRAM entry only
}

// String returns the entry as it stands in a password file.
func (c *credential) String() string {
	b64 := base64.StdEncoding.EncodeToString
	switch c.kind {
	case SHA512:
		return "$6$" + b64(c.salt) + "$" + b64(c.hash)
	case SCRAM:
		return fmt.Sprintf("$%s$%d$%s$%s$%s", SCRAM, c.iterations, b64(c.salt), b64(c.hash), b64(c.serverKey))
	}
	return fmt.Sprintf("$7$%d$%s$%s", c.iterations, b64(c.salt), b64(c.hash))
}

// Hashed is a password as an entry of kind [PBKDF2] keeps it.
type Hashed struct {
	Salt, Hash []byte
	Iterations int
}

// Hashes returns the users of a password file whose entries are of kind [PBKDF2], and the names of the others in alphabetical order: those with an entry of another kind, or
// one that is none.
func Hashes(data []byte) (found map[string]Hashed, others []string) {
	users, _ := parsePasswords("", data)
	found = make(map[string]Hashed)
	for line := range strings.Lines(strings.TrimPrefix(string(data), byteOrderMark)) {
		switch name, _ := splitEntry(strings.TrimRight(line, "\r\n")); {
		case name == "":
		case users[name] != nil && users[name].kind == PBKDF2:
			found[name] = Hashed{users[name].salt, users[name].hash, users[name].iterations}
		default:
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return found, slices.Compact(others)
}

// digest returns what a password hashes to, to be compared with c.hash.
func (c *credential) digest(password []byte) []byte {
	switch c.kind {
	case SHA512:
		h := sha512.New()
		h.Write(password)
		h.Write(c.salt)
		return h.Sum(nil)
	case SCRAM:
		prepared, err := stringprep.SASLprep.Prepare(string(password))
		if err != nil {
			prepared = string(password) // cannot be the right one, and costs the same
		}
		storedKey, _ := c.scramKeys(prepared)
		return storedKey
	}
	return derive(pbkdf2.Key(sha512.New, string(password), c.salt, c.iterations, hashSize))
}

// verify reports whether the password is the entry's, in a time that does not depend on how much of it is right.
func (c *credential) verify(password []byte) bool {
	return subtle.ConstantTimeCompare(c.digest(password), c.hash) == 1
}

// NewPBKDF2 returns a fresh salt and the hash of a password with it and [DefaultIterations], for where they are kept in another form than a password file's.
func NewPBKDF2(password string) (salt, hash []byte) {
	c := credential{kind: PBKDF2, iterations: DefaultIterations, salt: make([]byte, saltSize)}
	rand.Read(c.salt)
	return c.salt, c.digest([]byte(password))
}

// VerifyPBKDF2 reports whether a password is the one of a hash, in a time that does not depend on how much of it is right.
func VerifyPBKDF2(password, salt, hash []byte, iterations int) bool {
	c := credential{kind: PBKDF2, iterations: iterations, salt: salt, hash: hash}
	return c.verify(password)
}

// scramKeys returns the stored key and the server key of RFC 5802, section 3.
func (c *credential) scramKeys(prepared string) (storedKey, serverKey []byte) {
	salted := derive(pbkdf2.Key(sha256.New, prepared, c.salt, c.iterations, sha256.Size))
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	return stored[:], mac("Server Key")
}

// derive unwraps pbkdf2.Key, which fails for impossible lengths only, and in FIPS 140 mode for short salts; nothing could be
// verified then, and a key of nothing equals no hash.
func derive(key []byte, err error) []byte {
	if err != nil {
		return nil
	}
	return key
}

// The ways in which an entry is broken, in mosquitto's words; the user's name goes between the two halves.
var (
	errHash       = errors.New("Invalid password hash for user")          //nolint:staticcheck // mosquitto's words
	errHashType   = errors.New("Invalid password hash type for user")     //nolint:staticcheck // mosquitto's words
	errIterations = errors.New("Invalid hash iterations for user")        //nolint:staticcheck // mosquitto's words
	errSalt       = errors.New("Unable to decode password salt for user") //nolint:staticcheck // mosquitto's words
	errPassword   = errors.New("Unable to decode password for user")      //nolint:staticcheck // mosquitto's words
)

// parseCredential reads the part of a password file line after the user name. Like mosquitto it takes several dollar signs
// for one and leaves out of account what follows the hash.
func parseCredential(entry string) (*credential, error) {
	fields := strings.FieldsFunc(entry, func(r rune) bool { return r == '$' })
	if len(fields) == 0 {
		return nil, errHash
	}
	c := &credential{}
	switch fields[0] {
	case "6":
		c.kind = SHA512
	case "7":
		c.kind = PBKDF2
	case string(SCRAM):
		c.kind = SCRAM
	default:
		return nil, errHashType
	}
	fields = fields[1:]
	if c.kind != SHA512 {
		if len(fields) == 0 {
			return nil, errHash
		}
		n, err := strconv.Atoi(fields[0])
		if err != nil || n < 1 || n > MaxIterations {
			return nil, errIterations
		}
		c.iterations, fields = n, fields[1:]
	}
	if len(fields) == 0 {
		return nil, errHash
	}
	var err error
	if c.salt, err = base64.StdEncoding.DecodeString(fields[0]); err != nil || len(c.salt) == 0 || c.kind != SCRAM && len(c.salt) != saltSize {
		return nil, errSalt
	}
	if len(fields) == 1 || c.kind == SCRAM && len(fields) == 2 {
		return nil, errHash
	}
	size := hashSize
	if c.kind == SCRAM {
		size = sha256.Size
		if c.serverKey, err = base64.StdEncoding.DecodeString(fields[2]); err != nil || len(c.serverKey) != size {
			return nil, errPassword
		}
	}
	if c.hash, err = base64.StdEncoding.DecodeString(fields[1]); err != nil || len(c.hash) != size {
		return nil, errPassword
	}
	return c, nil
}

// equal reports whether two entries are the same one, salt included.
func (c *credential) equal(d *credential) bool {
	return c.kind == d.kind && c.iterations == d.iterations &&
		subtle.ConstantTimeCompare(c.salt, d.salt)&subtle.ConstantTimeCompare(c.hash, d.hash)&
			subtle.ConstantTimeCompare(c.serverKey, d.serverKey) == 1
}
