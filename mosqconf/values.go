package mosqconf

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"picket/cause"
)

// empty records a directive without a value.
func (p *parser) empty(l line) {
	p.errorf(l, cause.ConfigInvalidValue, "Write: "+directives.usage(l.word), "Error: Empty %s value in configuration.", l.word)
}

// invalid records a value that the directive cannot have.
func (p *parser) invalid(l line, value, hint string) {
	p.errorf(l, cause.ConfigInvalidValue, hint, "Error: Invalid %s value (%s).", l.word, value)
}

// word returns the line's only value. mosquitto does not look at what follows it, so this is but a warning.
func (p *parser) word(l line) (value string, ok bool) {
	words := l.words()
	if len(words) == 0 {
		p.empty(l)
		return "", false
	}
	p.noMore(l, words[1:])
	return words[0], true
}

// choose reads one of several words into what it stands for. expected is the advice where it is another one.
func choose[T any](p *parser, l line, to *T, words map[string]T, expected string) {
	value, ok := p.word(l)
	if !ok {
		return
	}
	if chosen, known := words[value]; known {
		*to = chosen
	} else {
		p.invalid(l, value, expected)
	}
}

func (p *parser) noMore(l line, words []string) {
	if len(words) > 0 {
		p.find(Warning, l, cause.ConfigNoEffect, "Comments begin with #.", "Warning: \"%s\" after the value of %s is not looked at.", strings.Join(words, " "), l.word)
	}
}

func (p *parser) bool(l line, to *bool) {
	value, ok := p.word(l)
	if !ok {
		return
	}
	switch value {
	case "true", "1":
		*to = true
	case "false", "0":
		*to = false
	default:
		p.invalid(l, value, "It is true or false.")
	}
}

// int returns the line's number if it is in the range. Unlike mosquitto, which reads "10k" as 10 and "ten" as 0, it takes
// whole numbers only.
func (p *parser) int(l line, low, high int64) (n int64, ok bool) {
	value, ok := p.word(l)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil:
		p.invalid(l, value, "It is a whole number.")
	case n < low && high == math.MaxInt64:
		p.invalid(l, value, "It is at least "+strconv.FormatInt(low, 10)+".")
	case n < low || n > high:
		p.invalid(l, value, "It is from "+strconv.FormatInt(low, 10)+" to "+strconv.FormatInt(high, 10)+".")
	default:
		return n, true
	}
	return 0, false
}

// atLeastZero is int for the options of which mosquitto takes a negative number for 0.
func (p *parser) atLeastZero(l line) (n int64, ok bool) {
	n, ok = p.int(l, math.MinInt64, math.MaxInt64)
	return max(n, 0), ok
}

// string returns the rest of the line, which may have blanks. A string can be given once in its block; where that is, seen knows.
func (p *parser) string(l line, seen map[string]place) (value string, ok bool) {
	if l.rest == "" {
		p.empty(l)
		return "", false
	}
	if first, twice := seen[l.word]; twice {
		p.errorf(l, cause.ConfigInvalidValue, "The first stands at "+first.String()+".", "Error: Duplicate %s value in configuration.", l.word)
		return "", false
	}
	seen[l.word] = l.place
	if len(l.rest) > math.MaxUint16 {
		p.invalid(l, l.rest[:20]+"...", "It has at most 65535 bytes.")
		return "", false
	}
	if n := len(l.rest); n > 1 && (l.rest[0] == '"' || l.rest[0] == '\'') && l.rest[n-1] == l.rest[0] {
		p.find(Warning, l, cause.ConfigInvalidValue, "Leave the quotes out; blanks need none.", "Warning: The quotes are part of the value of %s: %s.", l.word, l.rest)
	}
	if strings.Contains(l.rest, " #") {
		p.find(Warning, l, "", "Put comments into a line of their own.", "Warning: \"%s\" with the # is the value of %s.", l.rest, l.word)
	}
	return l.rest, true
}

// suggestion says what an unknown directive may have been meant to be.
func suggestion(l line) string {
	if name, value, ok := strings.Cut(l.word+" "+l.rest, "="); ok && directives[strings.TrimSpace(name)].apply != nil {
		return "Write it without the equals sign: " + strings.TrimSpace(name) + " " + strings.TrimSpace(value)
	}
	if strings.HasPrefix(l.word, "[") {
		return "There are no sections: the lines after a listener line belong to that listener."
	}
	name := strings.ToLower(strings.TrimRight(l.word, ":"))
	if why, ok := formerly[name]; ok {
		return why
	}
	best, nearest := len(name)/3+1, ""
	for _, d := range directiveNames {
		if n := distance(name, d); n < best {
			best, nearest = n, d
		}
	}
	if nearest == "" {
		return "picket check --help says where all directives are listed."
	}
	return "Did you mean " + nearest + "?"
}

// distance is the number of characters to insert, delete, replace or swap with their neighbour to get from a to b.
func distance(a, b string) int {
	if len(a) > 100 {
		return len(a) // no directive is as long
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// directiveNames is all names in alphabetical order, so that suggestions are always the same.
var directiveNames []string

func init() {
	for name := range directives {
		directiveNames = append(directiveNames, name)
	}
	slices.Sort(directiveNames)
}
