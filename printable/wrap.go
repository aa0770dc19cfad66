package printable

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Wrap breaks a line into parts of at most columns columns. It breaks at spaces, and between Chinese characters except before
// closing and after opening punctuation. What cannot be broken, such as a command or an address, stays whole, since it is there to be copied.
func Wrap(line string, columns int) []string {
	var lines []string
	var current string
	used := 0
	for _, piece := range pieces(line) {
		w := Columns(strings.TrimRight(piece, " "))
		if used > 0 && used+w > columns {
			lines = append(lines, strings.TrimRight(current, " "))
			current, used = "", 0
		}
		current += piece
		used += Columns(piece)
	}
	return append(lines, strings.TrimRight(current, " "))
}

// pieces splits a line where it may be broken; each piece holds the spaces that follow it.
func pieces(line string) (all []string) {
	runes := []rune(line)
	start := 0
	escape := false // inside a colour, which has no width and no break
	for i := range len(runes) - 1 {
		a, b := runes[i], runes[i+1]
		if a == '\x1b' {
			escape = true
		}
		if escape {
			escape = a != 'm'
			continue
		}
		if b == '\x1b' {
			continue
		}
		if a == ' ' && b != ' ' || b != ' ' && (wide(a) || wide(b)) && !strings.ContainsRune(notAtEnd, a) && !strings.ContainsRune(notAtStart, b) {
			all = append(all, string(runes[start:i+1]))
			start = i + 1
		}
	}
	return append(all, string(runes[start:]))
}

// Punctuation that must not begin or end a line.
const (
	notAtStart = "，。、；：！？）》」』”’…—,.;:!?)"
	notAtEnd   = "（《「『“‘("
)

// wide tells whether a rune takes two columns.
func wide(r rune) bool {
	if r < 0x1100 {
		return false
	}
	k := width.LookupRune(r).Kind()
	return k == width.EastAsianWide || k == width.EastAsianFullwidth
}

// Columns is how many columns s takes on a terminal; colours take none.
func Columns(s string) (n int) {
	escape := false
	for _, r := range s {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		case wide(r):
			n += 2
		case !unicode.Is(unicode.Mn, r):
			n++
		}
	}
	return n
}
