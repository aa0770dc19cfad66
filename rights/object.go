package rights

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// object is a JSON object. Like cJSON, which mosquitto reads with, it finds members without regard to case.
type object map[string]any

// parse reads one JSON value, with numbers as they stand. Strings of broken UTF-8 are refused: they would be read as other ones than they are.
func parse(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

// get returns a member; if there are several, the one that is written exactly so, else the first in the order of their bytes.
func (o object) get(name string) (any, bool) {
	if v, ok := o[name]; ok {
		return v, true
	}
	found, there := "", false
	for key := range o {
		if strings.EqualFold(key, name) && (!there || key < found) {
			found, there = key, true
		}
	}
	return o[found], there
}

// text returns a member that is a text. ok is false if there is one that is none.
func (o object) text(name string) (s *string, ok bool) {
	v, there := o.get(name)
	if !there {
		return nil, true
	}
	t, ok := v.(string)
	if !ok {
		return nil, false
	}
	return &t, true
}

// texts returns a text, or an empty one.
func (o object) texts(name string) string {
	if s, _ := o.text(name); s != nil {
		return *s
	}
	return ""
}

// number returns a member that is a number, as an integer of 32 bits like cJSON's, or another value if there is none.
func (o object) number(name string, otherwise int) int {
	v, _ := o.get(name)
	n, ok := v.(json.Number)
	if !ok {
		return otherwise
	}
	f, err := n.Float64()
	if err != nil && !math.IsInf(f, 0) {
		return otherwise
	}
	return int(max(math.MinInt32, min(math.MaxInt32, f)))
}

// truth returns a member that is true or false, or another value if there is none.
func (o object) truth(name string, otherwise bool) bool {
	if b, ok := o.boolean(name); ok {
		return b
	}
	return otherwise
}

func (o object) boolean(name string) (b, ok bool) {
	v, _ := o.get(name)
	b, ok = v.(bool)
	return b, ok
}

// list returns a member that is a list; there tells whether there is a member of that name at all.
func (o object) list(name string) (all []any, isList, there bool) {
	v, there := o.get(name)
	all, isList = v.([]any)
	return all, isList, there
}

// rest returns the members other than those named; nil for none.
func (o object) rest(known ...string) object {
	var rest object
next:
	for key, v := range o {
		for _, name := range known {
			if strings.EqualFold(name, key) {
				continue next
			}
		}
		if rest == nil {
			rest = make(object)
		}
		rest[key] = v
	}
	return rest
}

// maxName is what MQTT can carry as a user name.
const maxName = 65535

// carries tells whether a text can be carried by MQTT as a string: it has no control characters and nothing that is no character.
func carries(s string) bool {
	if len(s) > maxName || !utf8.ValidString(s) {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsControl(r) || r&0xFFFE == 0xFFFE || r >= 0xFDD0 && r <= 0xFDEF
	}) < 0
}
