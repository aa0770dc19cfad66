package topic

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Error says which rule a topic name or a topic filter breaks.
type Error struct {
	Clause string // the normative statement of MQTT 5.0, as "MQTT-4.7.1-1"; empty when the limit is Picket's own
	Text   string // what is wrong, without the name or the filter itself: those come from strangers and may be long
}

// ErrTooDeep matches, by [errors.Is], the errors about more than [MaxLevels] levels, a limit of Picket's own.
var ErrTooDeep = errors.New("too many levels")

// Is makes errors.Is(err, ErrTooDeep) work.
func (e *Error) Is(target error) bool {
	return target == ErrTooDeep && (e == errNameLevels || e == errFilterLevels)
}

func (e *Error) Error() string {
	if e.Clause == "" {
		return e.Text
	}
	return e.Text + " [" + e.Clause + "]"
}

var (
	errNameEmpty    = &Error{"MQTT-4.7.3-1", "topic name is empty"}
	errNameWildcard = &Error{"MQTT-3.3.2-2", "topic name contains a wildcard (+ or #)"}
	errNameNUL      = &Error{"MQTT-4.7.3-2", "topic name contains the null character"}
	errNameLevels   = &Error{"", fmt.Sprintf("topic name has more than %d levels", MaxLevels)}

	errFilterEmpty  = &Error{"MQTT-4.7.3-1", "topic filter is empty"}
	errFilterNUL    = &Error{"MQTT-4.7.3-2", "topic filter contains the null character"}
	errFilterHash   = &Error{"MQTT-4.7.1-1", "# in a topic filter must stand alone in the last level"}
	errFilterPlus   = &Error{"MQTT-4.7.1-2", "+ in a topic filter must fill its level"}
	errFilterLevels = &Error{"", fmt.Sprintf("topic filter has more than %d levels", MaxLevels)}

	errShareName = &Error{"MQTT-4.8.2-1", "shared subscription has no share name; it is written $share/NAME/FILTER"}
	errShareForm = &Error{"MQTT-4.8.2-2", "shared subscription's share name must be free of + and # and be followed by / and a topic filter; it is written $share/NAME/FILTER"}
)

// CheckName reports whether name may be published to: not empty, no wildcards, no null character, at most MaxLevels
// levels. That it is UTF-8 has been checked by whoever decoded it. The error is an *Error. The cost is three searches
// for a byte, whatever the name holds.
func CheckName(name []byte) error {
	switch {
	case len(name) == 0:
		return errNameEmpty
	case bytes.IndexByte(name, '+') >= 0, bytes.IndexByte(name, '#') >= 0:
		return errNameWildcard
	case bytes.IndexByte(name, 0) >= 0:
		return errNameNUL
	case tooDeep(bytes.Count(name, slash)):
		return errNameLevels
	}
	return nil
}

// CheckFilter reports whether filter may be subscribed to: the wildcards stand where they may (MQTT-4.7.1-1, -2), a
// filter that begins with "$share/" has a share name and a filter behind it (MQTT-4.8.2-1, -2), and there are at most
// MaxLevels levels, not counting the two of the share. That it is UTF-8 has been checked by whoever decoded it. The
// error is an *Error.
func CheckFilter(filter string) error {
	if after, shared := strings.CutPrefix(filter, sharePrefix); shared {
		share, rest, whole := strings.Cut(after, "/")
		switch {
		case share == "":
			return errShareName
		case !whole, rest == "", strings.ContainsAny(share, "+#"):
			return errShareForm
		case strings.IndexByte(share, 0) >= 0:
			return errFilterNUL
		}
		filter = rest
	}
	switch {
	case filter == "":
		return errFilterEmpty
	case tooDeep(strings.Count(filter, "/")): // first, so that the loop below is short
		return errFilterLevels
	case strings.IndexByte(filter, 0) >= 0:
		return errFilterNUL
	}
	for level, rest, more := "", filter, true; more; {
		level, rest, more = strings.Cut(rest, "/")
		if strings.IndexByte(level, '#') >= 0 && (len(level) != 1 || more) {
			return errFilterHash
		}
		if strings.IndexByte(level, '+') >= 0 && len(level) != 1 {
			return errFilterPlus
		}
	}
	return nil
}

const sharePrefix = "$share/"

var slash = []byte{'/'}

func tooDeep(slashes int) bool { return slashes >= MaxLevels }

// SplitShare takes a shared subscription's filter apart (MQTT 5.0, 4.8.2): "$share/g/a/b" gives "g", "a/b", true. For
// every other filter, and for one that CheckFilter refuses for its share, it gives "", filter, false.
func SplitShare(filter string) (share, rest string, ok bool) {
	after, shared := strings.CutPrefix(filter, sharePrefix)
	if !shared {
		return "", filter, false
	}
	share, rest, ok = strings.Cut(after, "/")
	if !ok || share == "" || rest == "" {
		return "", filter, false
	}
	return share, rest, true
}

// HasWildcard reports whether filter holds a + or a #, so that it may match more than one name.
func HasWildcard(filter string) bool {
	return strings.IndexByte(filter, '+') >= 0 || strings.IndexByte(filter, '#') >= 0
}

// Match reports whether filter matches name: + stands for one level, # for its parent and everything below it
// (MQTT 5.0, 4.7.1.2), and neither of them, as the first level, for a name that begins with $ (MQTT-4.7.2-1). A filter
// with a share must be taken apart by SplitShare before. Nothing matches an empty name. A wildcard that does not fill
// its level, which CheckFilter refuses, stands for itself.
func Match[S, T ~string | ~[]byte](filter S, name T) bool {
	if len(filter) == 0 || len(name) == 0 {
		return false
	}
	if name[0] == '$' && wildcardAt(filter, 0, '#', '+') {
		return false
	}
	for f, n := 0, 0; ; f, n = f+1, n+1 {
		// f and n are where a level begins.
		switch {
		case wildcardAt(filter, f, '#', '#') && f+1 == len(filter):
			return true
		case wildcardAt(filter, f, '+', '+'):
			f++
			for n < len(name) && name[n] != '/' {
				n++
			}
		default:
			for f < len(filter) && filter[f] != '/' && n < len(name) && name[n] == filter[f] {
				f++
				n++
			}
		}
		filterEnds, nameEnds := f == len(filter), n == len(name)
		switch {
		case filterEnds || nameEnds:
			return filterEnds && nameEnds || nameEnds && f+2 == len(filter) && filter[f] == '/' && filter[f+1] == '#'
		case filter[f] != '/' || name[n] != '/':
			return false
		}
	}
}

// wildcardAt reports whether the level of filter that begins at i is one byte long and that byte is a or b.
func wildcardAt[S ~string | ~[]byte](filter S, i int, a, b byte) bool {
	return i < len(filter) && (filter[i] == a || filter[i] == b) && (i+1 == len(filter) || filter[i+1] == '/')
}

// Fill makes a filter of a pattern: it puts the client id in for %c and the user name for %u, in one pass: a %u in a client id stays what it is.
func Fill(pattern, clientID, username string) string {
	if !strings.Contains(pattern, "%") {
		return pattern
	}
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] == '%' && i+1 < len(pattern) {
			switch pattern[i+1] {
			case 'c':
				b.WriteString(clientID)
				i++
				continue
			case 'u':
				b.WriteString(username)
				i++
				continue
			}
		}
		b.WriteByte(pattern[i])
	}
	return b.String()
}
