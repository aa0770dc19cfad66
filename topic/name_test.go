package topic

import (
	"errors"
	"strings"
	"testing"
)

func clause(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Clause
	}
	return "no error"
}

func TestCheckFilter(t *testing.T) {
	const fine = "no error"
	deepest := strings.Repeat("/", MaxLevels-1)
	for _, c := range []struct{ filter, clause string }{
		{"a", fine}, {"/", fine}, {"//", fine}, {"a/b", fine}, {"/a", fine}, {"#", fine}, {"+", fine}, {"+/+", fine}, {"/+", fine},
		{"a/#", fine}, {"a/+/b/#", fine}, {"/#", fine}, {"$SYS/#", fine}, {"$share", fine}, {"$shared/a+", "MQTT-4.7.1-2"}, {"a b/c", fine},
		{"$share/g/a", fine}, {"$share/g/#", fine}, {"$share/g//", fine}, {"$share/g/$share/h/a", fine}, {deepest, fine}, {"$share/g/" + deepest, fine},

		{"", "MQTT-4.7.3-1"}, {"a\x00b", "MQTT-4.7.3-2"}, {"$share/a\x00b/c", "MQTT-4.7.3-2"},
		{"a#", "MQTT-4.7.1-1"}, {"#/", "MQTT-4.7.1-1"}, {"#/a", "MQTT-4.7.1-1"}, {"a/#/b", "MQTT-4.7.1-1"}, {"a/#b", "MQTT-4.7.1-1"}, {"##", "MQTT-4.7.1-1"}, {"+#", "MQTT-4.7.1-1"},
		{"a+", "MQTT-4.7.1-2"}, {"+a", "MQTT-4.7.1-2"}, {"a/b+/c", "MQTT-4.7.1-2"}, {"++", "MQTT-4.7.1-2"},
		{"$share/", "MQTT-4.8.2-1"}, {"$share//a", "MQTT-4.8.2-1"},
		{"$share/g", "MQTT-4.8.2-2"}, {"$share/g/", "MQTT-4.8.2-2"}, {"$share/+/a", "MQTT-4.8.2-2"}, {"$share/#", "MQTT-4.8.2-2"}, {"$share/a#/b", "MQTT-4.8.2-2"}, {"$share/g/a#", "MQTT-4.7.1-1"},
		{deepest + "/", ""}, {strings.Repeat("/", 65535), ""}, {"$share/g/" + deepest + "/", ""},
	} {
		if got := clause(CheckFilter(c.filter)); got != c.clause {
			t.Errorf("CheckFilter(%.40q): clause %q, want %q", c.filter, got, c.clause)
		}
	}
}

func TestCheckName(t *testing.T) {
	const fine = "no error"
	deepest := strings.Repeat("/", MaxLevels-1)
	for _, c := range []struct{ name, clause string }{
		{"a", fine}, {"/", fine}, {"a//b", fine}, {"$SYS/x", fine}, {" ", fine}, {deepest, fine},
		{"", "MQTT-4.7.3-1"}, {"a/+", "MQTT-3.3.2-2"}, {"a#", "MQTT-3.3.2-2"}, {"a\x00", "MQTT-4.7.3-2"},
		{deepest + "/", ""}, {strings.Repeat("/", 65535), ""},
	} {
		if got := clause(CheckName([]byte(c.name))); got != c.clause {
			t.Errorf("CheckName(%.40q): clause %q, want %q", c.name, got, c.clause)
		}
	}
}

func TestSplitShare(t *testing.T) {
	for _, c := range []struct {
		filter, share, rest string
		ok                  bool
	}{
		{"$share/g/a/b", "g", "a/b", true},
		{"$share/g//b", "g", "/b", true},
		{"$share/g/$share/h/a", "g", "$share/h/a", true},
		{"a/b", "", "a/b", false},
		{"$share", "", "$share", false},
		{"$share/g", "", "$share/g", false},
		{"$share/g/", "", "$share/g/", false},
		{"$share//a", "", "$share//a", false},
		{"$sharing/g/a", "", "$sharing/g/a", false},
	} {
		share, rest, ok := SplitShare(c.filter)
		if share != c.share || rest != c.rest || ok != c.ok {
			t.Errorf("SplitShare(%q) = %q, %q, %v", c.filter, share, rest, ok)
		}
	}
}

// matching is what the specification's sections 4.7.1 and 4.7.2 say by example, and the corners beside it.
var matching = []struct {
	filter, name string
	want         bool
}{
	{"sport/tennis/player1/#", "sport/tennis/player1", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
	{"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
	{"sport/tennis/player1/#", "sport/tennis/player11", false},
	{"sport/#", "sport", true},
	{"#", "a", true}, {"#", "/", true}, {"#", "a/b/c", true},
	{"sport/tennis/+", "sport/tennis/player1", true},
	{"sport/tennis/+", "sport/tennis/player1/ranking", false},
	{"sport/+", "sport", false}, {"sport/+", "sport/", true},
	{"+/+", "/finance", true}, {"/+", "/finance", true}, {"+", "/finance", false},
	{"+/tennis/#", "x/tennis", true}, {"+/#", "a", true}, {"/#", "/", true}, {"/#", "a", false}, {"//#", "/", true},
	{"a", "a", true}, {"a", "A", false}, {"a", "a/", false}, {"a/", "a", false}, {"a//b", "a//b", true}, {"a/+/b", "a//b", true}, {"a/b", "a//b", false},
	{"ab", "a", false}, {"a", "ab", false}, {"a/b", "a/bc", false},
	// MQTT-4.7.2-1
	{"#", "$SYS/x", false}, {"+/x", "$SYS/x", false}, {"+", "$SYS", false}, {"+/#", "$SYS/x", false}, {"$SYS/#", "$SYS/x", true}, {"$SYS/+", "$SYS/x", true},
	{"$SYS/#", "$SYS", true}, {"a/+", "a/$x", true}, {"a/#", "a/$x", true}, {"+/+", "a/$x", true},
}

func TestMatch(t *testing.T) {
	for _, c := range matching {
		if got := Match(c.filter, c.name); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.filter, c.name, got)
		}
		if got := Match([]byte(c.filter), []byte(c.name)); got != c.want {
			t.Errorf("Match of bytes (%q, %q) = %v", c.filter, c.name, got)
		}
		x := NewIndex[int]()
		x.Subscribe(c.filter, 1, Options{})
		x.Subscribe("$share/g/"+c.filter, 2, Options{})
		var m Matches[int]
		x.Match([]byte(c.name), &m)
		if got := len(m.Plain) == 1 && len(m.Groups) == 1; got != c.want {
			t.Errorf("Index with %q, Match(%q) = %v", c.filter, c.name, m)
		}
		tree := NewTree[int]()
		tree.Set(c.name, 7)
		if got := len(tree.Collect(c.filter, nil)) == 1; got != c.want {
			t.Errorf("Tree with %q, Collect(%q) = %v", c.name, c.filter, got)
		}
	}
}

// FuzzFilter: whatever a stranger sends as a filter and as a name, nothing panics, and a filter that is accepted means
// the same to Match, to the index and to the tree.
func FuzzFilter(f *testing.F) {
	for _, c := range matching {
		f.Add(c.filter, c.name)
	}
	f.Add("$share/g/a/+/#", "a/b")
	f.Add(strings.Repeat("/", 300), strings.Repeat("/", 300))
	f.Add(strings.Repeat("+/", 200)+"#", strings.Repeat("a/", 200))
	f.Fuzz(func(t *testing.T, filter, name string) {
		Match(filter, name)
		share, rest, shared := SplitShare(filter)
		if shared && "$share/"+share+"/"+rest != filter {
			t.Fatalf("SplitShare(%q) = %q, %q", filter, share, rest)
		}
		if CheckFilter(filter) != nil || CheckName([]byte(name)) != nil {
			return
		}
		want := Match(rest, name)
		x := NewIndex[int]()
		x.Subscribe(filter, 1, Options{QoS: 1})
		var m Matches[int]
		x.Match([]byte(name), &m)
		if got := len(m.Plain)+len(m.Groups) == 1; got != want {
			t.Fatalf("Match(%q, %q) = %v, the index says %v", rest, name, want, got)
		}
		tree := NewTree[int]()
		tree.Set(name, 1)
		if got := len(tree.Collect(rest, nil)) == 1; got != want {
			t.Fatalf("Match(%q, %q) = %v, the tree says %v", rest, name, want, got)
		}
		if !x.Unsubscribe(filter, 1) || x.root.child != nil {
			t.Fatalf("%q: unsubscribing left something behind", filter)
		}
	})
}
