package backend

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"picket/access"
)

// Bounds on what a hash can ask of every login.
const (
	maxBcryptCost   = 16
	maxArgonMemory  = 256 << 10 // KiB
	maxArgonWork    = 4 << 20   // KiB times rounds
	maxHashed       = 128       // bytes that a password is hashed to
	maxPasswordHash = 4096      // bytes of an entry
)

// hashed is a password as mosquitto-go-auth keeps it.
type hashed struct {
	entry  string
	verify func(password []byte) bool // in a time that does not depend on how much of the password is right
}

// defaultHash is what unknown users are measured against where there are no known ones: of nobody's password.
var defaultHash, _ = parseHash("PBKDF2$sha512$100000$AAAAAAAAAAAAAAAAAAAAAA==$"+base64.StdEncoding.EncodeToString(make([]byte, sha512.Size)), false)

// errHashFormat is of an entry that is no hash.
var errHashFormat = errors.New("it is none of PBKDF2$ALGORITHM$ITERATIONS$SALT$HASH, $2a$… (bcrypt) and $argon2id$…, as go-auth's pw writes them")

// parseHash reads an entry. plainSalt is the PBKDF2 option hasher_salt_encoding utf-8.
func parseHash(entry string, plainSalt bool) (hashed, error) {
	fields := strings.FieldsFunc(entry, func(r rune) bool { return r == '$' })
	switch {
	case len(entry) > maxPasswordHash || len(fields) == 0:
		return hashed{}, errHashFormat
	case strings.HasPrefix(fields[0], "pbkdf2-") && len(fields) == 4: // pbkdf2-sha512$i=ITERATIONS,l=LENGTH$SALT$HASH
		rounds, _, _ := strings.Cut(strings.TrimPrefix(fields[1], "i="), ",")
		return parsePBKDF2(entry, []string{"", strings.TrimPrefix(fields[0], "pbkdf2-"), rounds, fields[2], fields[3]}, false)
	case fields[0] == "PBKDF2":
		return parsePBKDF2(entry, fields, plainSalt)
	case fields[0] == "argon2id":
		return parseArgon2(entry, fields)
	case strings.HasPrefix(fields[0], "2"):
		cost, err := bcrypt.Cost([]byte(entry))
		if err != nil {
			return hashed{}, err
		}
		if cost > maxBcryptCost {
			return hashed{}, fmt.Errorf("a bcrypt cost of %d: %d is the most", cost, maxBcryptCost)
		}
		return hashed{entry, func(password []byte) bool { return bcrypt.CompareHashAndPassword([]byte(entry), password) == nil }}, nil
	}
	return hashed{}, errHashFormat
}

func parsePBKDF2(entry string, fields []string, plainSalt bool) (hashed, error) {
	if len(fields) != 5 {
		return hashed{}, errHashFormat
	}
	algorithms := map[string]func() hash.Hash{"sha512": sha512.New, "sha256": sha256.New}
	algorithm := algorithms[fields[1]]
	rounds, err := strconv.Atoi(fields[2])
	switch {
	case algorithm == nil:
		return hashed{}, errors.New("PBKDF2 goes with sha512 or sha256")
	case err != nil || rounds < 1 || rounds > access.MaxIterations:
		return hashed{}, fmt.Errorf("iterations go from 1 to %d", access.MaxIterations)
	}
	salt := []byte(fields[3])
	if !plainSalt {
		salt, err = unpadded(fields[3])
	}
	sum, err2 := unpadded(fields[4])
	if err = errors.Join(err, err2); err != nil {
		return hashed{}, err
	}
	if len(sum) < 16 || len(sum) > maxHashed {
		return hashed{}, errors.New("a hash has 16 to 128 bytes")
	}
	return hashed{entry, func(password []byte) bool {
		is, err := pbkdf2.Key(algorithm, string(password), salt, rounds, len(sum))
		return err == nil && subtle.ConstantTimeCompare(is, sum) == 1
	}}, nil
}

func parseArgon2(entry string, fields []string) (hashed, error) {
	if len(fields) != 5 || fields[1] != "v="+strconv.Itoa(argon2.Version) {
		return hashed{}, errHashFormat
	}
	var memory, rounds uint32
	var threads uint8
	if n, err := fmt.Sscanf(fields[2], "m=%d,t=%d,p=%d", &memory, &rounds, &threads); n != 3 || err != nil || rounds < 1 || threads < 1 {
		return hashed{}, errHashFormat
	}
	if memory > maxArgonMemory || uint64(memory)*uint64(rounds) > maxArgonWork {
		return hashed{}, fmt.Errorf("Argon2 with %d KiB and %d rounds: %d KiB, and %d KiB times rounds, are the most", memory, rounds, maxArgonMemory, maxArgonWork)
	}
	salt, err := unpadded(fields[3])
	sum, err2 := unpadded(fields[4])
	if err = errors.Join(err, err2); err != nil {
		return hashed{}, err
	}
	if len(sum) < 16 || len(sum) > maxHashed {
		return hashed{}, errors.New("a hash has 16 to 128 bytes")
	}
	return hashed{entry, func(password []byte) bool {
		return subtle.ConstantTimeCompare(argon2.IDKey(password, salt, rounds, memory, threads, uint32(len(sum))), sum) == 1
	}}, nil
}

// unpadded reads base64 with its padding or without.
func unpadded(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}
