package setup

import (
	"crypto/rand"
	"math/big"
	"strings"
)

// alphabet leaves out what is easily taken for something else (i, l, 1, o, 0) and what a phone's keyboard hides behind a key.
const alphabet = "abcdefghjkmnpqrstuvwxyz23456789"

const (
	passwordGroups = 3
	groupSize      = 6 // 18 characters of 31: 89 bits
)

// NewPassword makes a random password that people can read out and type, such as "k7vqme-3xwfbz-9hthcp". It has 89 bits.
func NewPassword() string {
	groups := make([]string, passwordGroups)
	for g := range groups {
		var b strings.Builder
		for range groupSize {
			n, err := rand.Int(rand.Reader, big.NewInt(int64(len(alphabet))))
			if err != nil {
				panic(err) // crypto/rand's own reader never fails
			}
			b.WriteByte(alphabet[n.Int64()])
		}
		groups[g] = b.String()
	}
	return strings.Join(groups, "-")
}
