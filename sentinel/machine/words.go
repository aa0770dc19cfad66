package machine

import (
	"errors"
	"strings"
	"unicode"
)

// What may stand in the words that people and other processes give us. Each of them goes on into lines: of the configuration file, of hello messages, of
// events and of the log. The file quotes what it must, but a line end or another control character in a word is a mistake or an attempt to
// forge a line somewhere else, and is refused wherever the word comes from.

// ErrText says why a text is refused, without the text, which may be a password.
var ErrText = errors.New("Invalid value: no line end and no other control character may be in it") //nolint:staticcheck // shown to clients as the others

// CheckText refuses a text, such as a password or a path, that is none for a line of the configuration file. An empty one is allowed.
func CheckText(v string) error {
	if strings.ContainsFunc(v, unicode.IsControl) {
		return ErrText
	}
	return nil
}

// ValidName reports whether a master can have a name: it stands in hello messages, events and lines of the configuration file, whose words white space and
// commas tell apart.
func ValidName(name string) bool { return name != "" && plain(name) }

// ValidHost reports whether a host name or an address can be given to others: it stands where a master's name does.
func ValidHost(host string) bool { return host != "" && len(host) <= 255 && plain(host) }

// validRunID accepts what can stand in the configuration file and in events without breaking their form.
func validRunID(id string) bool {
	return id != "" && len(id) <= 64 && plain(id) && !strings.ContainsFunc(id, func(r rune) bool { return r >= unicode.MaxASCII })
}

// plain reports whether a word has nothing in it that would end it.
func plain(word string) bool {
	return !strings.ContainsFunc(word, func(r rune) bool { return r == ' ' || r == ',' || unicode.IsControl(r) })
}
