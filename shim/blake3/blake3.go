// Package blake3 stands in for github.com/zeebo/blake3, through a replace directive in the repository's go.mod: what fetches certificates tells them
// apart in memory by a hash, and any good one will do. SHA-256 is in the program already.
package blake3

import (
	"crypto/sha256"
	"hash"
)

// New gives SHA-256, with 32 bytes as the original by default. What it makes must not be stored or sent as BLAKE3.
func New() hash.Hash { return sha256.New() }
