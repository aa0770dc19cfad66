// Package minlz stands in for github.com/minio/minlz, through a replace directive in the repository's go.mod: the storage engine can compress in
// several ways, and the tables of Picket's store have always been compressed with Snappy alone.
package minlz

import "errors"

// ErrLeftOut says that this program neither compresses with MinLZ nor reads what somebody else has compressed with it.
var ErrLeftOut = errors.New("compression with MinLZ is left out of this program")

// What the original has: levels, and the bytes of the largest block.
const (
	LevelFastest  = 1
	LevelBalanced = 2
	MaxBlockSize  = 8 << 20
)

// Encode gives [ErrLeftOut].
func Encode([]byte, []byte, int) ([]byte, error) { return nil, ErrLeftOut }

// Decode gives [ErrLeftOut].
func Decode([]byte, []byte) ([]byte, error) { return nil, ErrLeftOut }

// DecodedLen gives [ErrLeftOut].
func DecodedLen([]byte) (int, error) { return 0, ErrLeftOut }
