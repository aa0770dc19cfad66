// Package stringprep stands in for github.com/xdg-go/stringprep, through a replace directive in the repository's go.mod: it has SASLprep (RFC 4013),
// which passwords of SCRAM go through. The original always links the case folding of other profiles, too, which is a quarter of a megabyte.
//
// The sets in tables.go come from Python's implementation of RFC 3454 and its data of Unicode 3.2: python3 tables.py | gofmt > tables.go
package stringprep

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Error says why a string cannot be prepared.
type Error struct {
	Msg  string
	Rune rune // the character that is the reason
}

// Error implements error. The text shows the character: not for the eyes of strangers where the string is a password.
func (e Error) Error() string { return fmt.Sprintf("%s (rune: '\\u%04x')", e.Msg, e.Rune) }

// Profile is a way to prepare strings; there is [SASLprep] alone.
type Profile struct{}

// SASLprep is RFC 4013's profile for stored strings: characters that Unicode 3.2 does not have are refused.
var SASLprep Profile

// Prepare returns the string that two people mean who type the same: spaces as ASCII's, without invisible characters, normalized (NFKC). A string that
// has a forbidden character, or mixes the directions of writing, is refused with an [Error].
func (Profile) Prepare(s string) (string, error) {
	s = norm.NFKC.String(strings.Map(func(r rune) rune {
		switch {
		case ignored.has(r):
			return -1
		case spaces.has(r):
			return ' '
		}
		return r
	}, s))
	for _, r := range s {
		if prohibited.has(r) {
			return "", Error{"prohibited character", r}
		}
	}
	return s, direction([]rune(s))
}

// direction checks RFC 3454, section 6: a string that has a character of a script written from right to left begins and ends with one, and has none of
// a script written from left to right.
func direction(all []rune) error {
	if !slices.ContainsFunc(all, rightToLeft.has) {
		return nil
	}
	if i := slices.IndexFunc(all, leftToRight.has); i >= 0 {
		return Error{"BiDi string can't have runes from category L", all[i]}
	}
	if first := all[0]; !rightToLeft.has(first) {
		return Error{"BiDi string first rune must have category R or AL", first}
	}
	if last := all[len(all)-1]; !rightToLeft.has(last) {
		return Error{"BiDi string last rune must have category R or AL", last}
	}
	return nil
}

// set is a set of characters as sorted ranges, each with both ends.
type set [][2]rune

func (s set) has(r rune) bool {
	_, found := slices.BinarySearchFunc(s, r, func(part [2]rune, r rune) int {
		switch {
		case part[1] < r:
			return -1
		case part[0] > r:
			return 1
		}
		return 0
	})
	return found
}
