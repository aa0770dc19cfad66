package broker

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// level is one level of the filters that are subscribed to.
type level struct {
	next    map[string]*level
	holders []string // "(CLIENT, QOS)" of those whose filters end here
}

func (l *level) child(name string) *level {
	if l.next == nil {
		l.next = make(map[string]*level)
	}
	c := l.next[name]
	if c == nil {
		c = &level{}
		l.next[name] = c
	}
	return c
}

// WriteSubscriptions writes the tree of subscriptions in mosquitto's form: a level of a filter on each line, further in than the one above it,
// and behind it the clients whose filters end there, with their QoS. The first
// line of a tree is $SYS, $share and the like, or without a name for all other filters.
func (b *Broker) WriteSubscriptions(w io.Writer) error {
	root := &level{}
	b.mu.Lock()
	for _, s := range b.sessions.byID {
		s.mu.Lock()
		for filter, o := range s.subs.all() {
			at := root.child("").child("")
			if first, _, _ := strings.Cut(filter, "/"); strings.HasPrefix(first, "$") {
				at = root.child(first)
			}
			for name := range strings.SplitSeq(filter, "/") {
				at = at.child(name)
			}
			at.holders = append(at.holders, fmt.Sprintf("(%s, %d)", s.id, o.QoS))
		}
		s.mu.Unlock()
	}
	b.mu.Unlock()
	out := bufio.NewWriter(w)
	root.write(out, 2)
	return out.Flush()
}

func (l *level) write(w *bufio.Writer, depth int) {
	for _, name := range slices.Sorted(maps.Keys(l.next)) {
		c := l.next[name]
		slices.Sort(c.holders)
		fmt.Fprintf(w, "%s%s\n", strings.Repeat("  ", depth), strings.Join(append([]string{name}, c.holders...), " "))
		c.write(w, depth+1)
	}
}
