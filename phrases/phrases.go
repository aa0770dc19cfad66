// Package phrases has the Chinese of what is said line by line: what picket check finds in a configuration, and the log at a terminal. These lines are
// made in many places, in mosquitto's words where it has some, and most of them go into files and to programs that look for those words. So they stay
// English where they are made; for a person who reads Chinese the finished line is translated, here and nowhere else.
//
// A phrase is the line's format. The tests look into the packages that make the lines, and fail for one that has no Chinese.
package phrases

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Chinese is a line in Chinese. Names, values and what others have said stay as they are, and so does a line that nobody has translated.
func Chinese(line string) string {
	for _, level := range []struct{ en, zh string }{{"Error: ", "错误："}, {"Warning: ", "警告："}} {
		if rest, ok := strings.CutPrefix(line, level.en); ok {
			return level.zh + Chinese(rest)
		}
	}
	for _, p := range all() {
		if found := p.match(line); found != nil {
			values := make([]any, len(found))
			for i, value := range found {
				values[i] = Chinese(value) // a reason within a line is often a phrase of its own
			}
			return fmt.Sprintf(p.zh, values...)
		}
	}
	return reason(line)
}

// reason is an error in Go's form, "certfile: open /x: permission denied", with what is known of it in Chinese: its end, or all behind a name.
func reason(line string) string {
	if text, ok := strings.CutSuffix(line, "."); ok {
		if zh := Chinese(text); zh != text {
			return zh + "。"
		}
		return line
	}
	if what, why, ok := strings.Cut(line, ": "); ok {
		if zh := Chinese(why); zh != why {
			return what + "：" + zh
		}
	}
	return line
}

// Known tells whether a format has its Chinese.
func Known(format string) bool {
	format = strip(format)
	for _, catalogue := range catalogues {
		if _, ok := catalogue[format]; ok {
			return true
		}
	}
	rest, level := strings.CutPrefix(format, "%s: ") // which is where some have their level
	return level && Known(rest)
}

// catalogues are all phrases: English formats, without the level in front, and the Chinese ones, which take the same values as text.
var catalogues = []map[string]string{findings, logLines, usages, errorTexts, reasons}

// strip takes the level off a format.
func strip(format string) string {
	return strings.TrimPrefix(strings.TrimPrefix(format, "Error: "), "Warning: ")
}

// phrase is a format that a line is compared with.
type phrase struct {
	begin  string // what stands before the first value
	whole  *regexp.Regexp
	weight int // how much of it is no value
	zh     string
}

// match returns the values of a line of this format, or nil.
func (p *phrase) match(line string) []string {
	if !strings.HasPrefix(line, p.begin) {
		return nil
	}
	if found := p.whole.FindStringSubmatch(line); found != nil {
		return found[1:]
	}
	return nil
}

// verb is the place of a value in a format.
var verb = regexp.MustCompile(`%(?:\[\d\])?[-+0-9.]*[a-zA-Z%]`)

// all are the phrases, those first that say most: "open %s: permission denied" comes before "open %s: %s".
var all = sync.OnceValue(func() (list []*phrase) {
	for _, catalogue := range catalogues {
		for _, en := range slices.Sorted(maps.Keys(catalogue)) {
			list = append(list, newPhrase(en, catalogue[en]))
		}
	}
	slices.SortStableFunc(list, func(a, b *phrase) int { return b.weight - a.weight })
	return list
})

func newPhrase(en, zh string) *phrase {
	p := &phrase{zh: zh, begin: en}
	var b strings.Builder
	b.WriteString("(?s)^")
	last := 0
	for i, at := range verb.FindAllStringIndex(en, -1) {
		literal := en[last:at[0]]
		if i == 0 {
			p.begin = literal
		}
		b.WriteString(regexp.QuoteMeta(literal))
		p.weight += len(literal)
		switch en[at[1]-1] {
		case '%':
			b.WriteByte('%')
		case 'd':
			b.WriteString(`(-?[0-9]+)`)
		case 'q':
			b.WriteString(`(".*")`)
		default:
			b.WriteString(`(.*?)`)
		}
		last = at[1]
	}
	b.WriteString(regexp.QuoteMeta(en[last:]) + "$")
	p.weight += len(en) - last
	p.whole = regexp.MustCompile(b.String())
	return p
}
