//go:build unix

package crash

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"picket/packet"
)

// fault is a kind of broken promise; see the package's comment.
type fault string

const (
	lost           fault = "lost"
	doubled        fault = "doubled"
	disordered     fault = "order"
	forgotten      fault = "session"
	unsubscribed   fault = "unsubscribed"
	staleRetained  fault = "retained"
	unacknowledged fault = "unacknowledged"
	protocol       fault = "protocol"
	ended          fault = "ended" // the broker's process ended by itself, does not start or does not stop
)

var faults = []fault{lost, doubled, disordered, forgotten, unsubscribed, staleRetained, unacknowledged, protocol, ended}

// ledger is what all clients of a world know together. Its moments are numbers that grow: something that is entered before it is
// done, and something that is entered after it was seen, are in the order of what happened between them.
type ledger struct {
	mu    sync.Mutex
	now   int64
	lives []int64 // the moments in which the lives began
	found []string
	count map[fault]int
	sent  int // messages
	acked int
	came  int // arrivals, repetitions included
	news  int64
}

func newLedger() *ledger { return &ledger{count: map[fault]int{}} }

// moment is the next one. l.mu is held.
func (l *ledger) moment() int64 {
	l.now++
	return l.now
}

// begin begins a life.
func (l *ledger) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lives = append(l.lives, l.moment())
}

// life is the number of the life in which a moment was, from 1. l.mu is held.
func (l *ledger) life(moment int64) int {
	n, _ := slices.BinarySearch(l.lives, moment+1)
	return n
}

// when says in which life something was, for people. l.mu is held.
func (l *ledger) when(moment int64) string {
	if moment == 0 {
		return "never"
	}
	return fmt.Sprintf("life %d @%d", l.life(moment), moment)
}

// fail enters a fault.
func (l *ledger) fail(f fault, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed(f, format, args...)
}

// failed is fail with l.mu held.
func (l *ledger) failed(f fault, format string, args ...any) {
	l.count[f]++
	if l.count[f] <= 20 {
		l.found = append(l.found, fmt.Sprintf("life %d @%d: %s: %s", len(l.lives), l.now, f, fmt.Sprintf(format, args...)))
	}
}

// faults lists the faults until now, the first of each kind.
func (l *ledger) faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.found)
}

// counted is how many there are of one kind.
func (l *ledger) counted(f fault) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count[f]
}

// progress grows with everything that happens.
func (l *ledger) progress() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.news
}

// stream is what one publisher sends to one topic, all with one QoS.
type stream struct {
	topic    string
	group    string // the filter that subscribers use for it
	qos      byte
	retained bool
	cleared  *message // stands for all messages of the stream without a payload, which cannot be told apart
	messages []*message
}

func newStream(topic, group string, qos byte, retained bool) *stream {
	s := &stream{topic: topic, group: group, qos: qos, retained: retained}
	s.cleared = &message{stream: s, clear: true}
	return s
}

// message is an application message.
type message struct {
	stream *stream
	number int  // in its stream, from 1
	size   int  // of the payload, at least
	clear  bool // the payload is empty, which removes the retained message

	sent      int64 // before it was first written
	acked     int64 // PUBACK or PUBREC has come
	completed int64 // PUBCOMP has come
	given     int64 // its publisher will not send it again, whether acknowledged or not
}

// payload names the message, so that what arrives can be told apart and checked.
func (m *message) payload() []byte {
	if m.clear {
		return nil
	}
	b := fmt.Appendf(make([]byte, 0, m.size+64), "%s#%d#%d#", m.stream.topic, m.number, m.size)
	for i := len(b); i < m.size; i++ {
		b = append(b, 'a'+byte((i+m.number)%26))
	}
	return b
}

// known is what is known of a message. l.mu is held.
func (l *ledger) known(m *message) string {
	return fmt.Sprintf("message %d of %s (QoS %d, %d bytes; sent %s, acknowledged %s, completed %s, given up %s)",
		m.number, m.stream.topic, m.stream.qos, m.size, l.when(m.sent), l.when(m.acked), l.when(m.completed), l.when(m.given))
}

// send enters a new message, which is going to be written.
func (l *ledger) send(s *stream, size int, empty bool) *message {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := &message{stream: s, number: len(s.messages) + 1, size: size, clear: empty, sent: l.moment()}
	s.messages = append(s.messages, m)
	l.sent++
	l.news++
	return m
}

// accept enters that PUBACK or PUBREC has come.
func (l *ledger) accept(m *message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.acked == 0 {
		m.acked = l.moment()
		l.acked++
	}
	l.news++
}

// accepted tells whether a message has been acknowledged to its publisher.
func (l *ledger) accepted(m *message) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return m.acked != 0
}

// complete enters that PUBCOMP has come.
func (l *ledger) complete(m *message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m.completed = l.moment()
	l.news++
}

// giveUp enters that the message will not be sent again.
func (l *ledger) giveUp(m *message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m.given = l.moment()
}

// interval is a time in which there is a subscription.
type interval struct {
	asked   int64 // before SUBSCRIBE was first written
	granted int64 // SUBACK has come; 0: not seen
	leaving int64 // before UNSUBSCRIBE was first written; 0: not yet
	left    int64 // UNSUBACK has come; 0: not seen
}

// inbox is what one session gets.
type inbox struct {
	*ledger
	name      string
	qos       map[string]byte        // of the subscription to a group
	intervals map[string][]*interval // by group, the last one last
	streams   map[*stream]*arrivals
}

// arrivals is what has come of one stream.
type arrivals struct {
	first   []int64 // moment of the first arrival, by number-1
	times   []int
	missed  []bool // reported as lost
	highest int    // number of the highest that has come
	settled int    // the messages before this index have come, or need not
}

func (l *ledger) inbox(name string) *inbox {
	return &inbox{ledger: l, name: name, qos: map[string]byte{}, intervals: map[string][]*interval{}, streams: map[*stream]*arrivals{}}
}

// subscribing enters that SUBSCRIBE is going to be written.
func (b *inbox) subscribing(group string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.moment()
	if all := b.intervals[group]; len(all) == 0 || all[len(all)-1].leaving != 0 {
		b.intervals[group] = append(all, &interval{asked: at})
	}
}

// subscribedTo enters that SUBACK has come.
func (b *inbox) subscribedTo(group string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.intervals[group]
	if last := all[len(all)-1]; last.granted == 0 {
		last.granted = b.moment()
	}
	b.news++
}

// unsubscribing enters that UNSUBSCRIBE is going to be written.
func (b *inbox) unsubscribing(group string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.moment()
	all := b.intervals[group]
	if last := all[len(all)-1]; last.leaving == 0 {
		last.leaving = at
	}
}

// unsubscribedFrom enters that UNSUBACK has come: all that was uncertain before is over, too.
func (b *inbox) unsubscribedFrom(group string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.moment()
	for _, i := range b.intervals[group] {
		if i.left == 0 {
			i.left = at
		}
	}
	b.news++
}

// is tells what is known of the subscription to a group: granted and not being left, or left.
func (b *inbox) is(group string) (granted, left bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.intervals[group]
	if len(all) == 0 {
		return false, true
	}
	last := all[len(all)-1]
	return last.granted != 0 && last.leaving == 0, last.left != 0
}

// owed tells whether the session must get a message. b.mu is held.
func (b *inbox) owed(m *message) bool {
	if m.acked == 0 || m.clear {
		return false
	}
	return b.steady(m)
}

// steady tells whether the session was subscribed when the message was first sent, and still is or was when it was acknowledged. Otherwise a repetition
// of the publisher's may bring it to a session that had no right to the first one, behind others. b.mu is held.
func (b *inbox) steady(m *message) bool {
	return slices.ContainsFunc(b.intervals[m.stream.group], func(i *interval) bool {
		return i.granted != 0 && i.granted < m.sent && (i.leaving == 0 || m.acked != 0 && i.leaving > m.acked)
	})
}

// allowed tells whether the session may get a message. b.mu is held.
func (b *inbox) allowed(m *message) bool {
	until := m.given
	if until == 0 {
		until = m.acked
	}
	for _, i := range b.intervals[m.stream.group] {
		if (until == 0 || i.asked < until) && (i.left == 0 || i.left > m.sent) {
			return true
		}
	}
	return false
}

// subscription is what is known of it, for people. b.mu is held.
func (b *inbox) subscription(group string) string {
	var s []string
	for _, i := range b.intervals[group] {
		s = append(s, fmt.Sprintf("SUBSCRIBE %s, SUBACK %s, UNSUBSCRIBE %s, UNSUBACK %s", b.when(i.asked), b.when(i.granted), b.when(i.leaving), b.when(i.left)))
	}
	if len(s) > 3 {
		s = s[len(s)-3:]
	}
	return fmt.Sprintf("%s's subscription to %s: %s", b.name, group, strings.Join(s, "; "))
}

func (b *inbox) of(s *stream) *arrivals {
	a := b.streams[s]
	if a == nil {
		a = &arrivals{}
		b.streams[s] = a
	}
	for len(a.first) < len(s.messages) {
		a.first, a.times, a.missed = append(a.first, 0), append(a.times, 0), append(a.missed, false)
	}
	return a
}

// arrived enters that the application has got a message, with the QoS of the delivery, and judges it.
func (b *inbox) arrived(m *message, p *packet.Publish) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.moment()
	b.came++
	b.news++
	if m.clear {
		return
	}
	if p.Retain { // sent because of SUBSCRIBE: not a part of the stream
		if !m.stream.retained {
			b.failed(protocol, "%s: RETAIN is set on %s, which was not retained", b.name, b.known(m))
		}
		return
	}
	if want := min(m.stream.qos, b.qos[m.stream.group]); p.QoS != want {
		b.failed(protocol, "%s: %s came with QoS %d, not %d", b.name, b.known(m), p.QoS, want)
	}
	a := b.of(m.stream)
	if !b.allowed(m) {
		b.failed(unsubscribed, "%s got %s; %s", b.name, b.known(m), b.subscription(m.stream.group))
	}
	i := m.number - 1
	if a.times[i]++; a.times[i] > 1 {
		if p.QoS == 2 {
			b.failed(doubled, "%s got %s for the %d. time, first %s, now as packet %d, DUP %v; %s", b.name, b.known(m), a.times[i], b.when(a.first[i]), p.ID, p.Dup, b.subscription(m.stream.group))
		}
		return
	}
	a.first[i] = at
	if m.number < a.highest {
		if !a.missed[i] && b.steady(m) {
			b.failed(disordered, "%s got %s after number %d; %s", b.name, b.known(m), a.highest, b.subscription(m.stream.group))
		}
		return
	}
	b.gaps(m.stream, a, a.highest, m.number-1, fmt.Sprintf("number %d came instead", m.number))
	a.highest = m.number
}

// gaps enters as lost what is owed of the messages from number from+1 to number to, and has not come.
func (b *inbox) gaps(s *stream, a *arrivals, from, to int, why string) {
	for i := from; i < to; i++ {
		if a.times[i] == 0 && !a.missed[i] && b.owed(s.messages[i]) {
			a.missed[i] = true
			b.failed(lost, "%s does not get %s: %s; %s", b.name, b.known(s.messages[i]), why, b.subscription(s.group))
		}
	}
}

// due counts the messages that are owed and have not come.
func (b *inbox) due(streams []*stream) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range streams {
		a := b.of(s)
		for i := a.settled; i < len(s.messages); i++ {
			m := s.messages[i]
			came := a.times[i] > 0 || a.missed[i]
			owed := !came && b.owed(m)
			if owed {
				n++
			}
			// What is acknowledged and not owed will not be owed later.
			if i == a.settled && !owed && (came || m.clear || m.acked != 0 || m.given != 0) {
				a.settled++
			}
		}
	}
	return n
}

// conclude enters what has not come although everything has come to rest.
func (b *inbox) conclude(streams []*stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range streams {
		b.gaps(s, b.of(s), 0, len(s.messages), "everything is at rest")
	}
}

// expected counts what the session must have got until now.
func (b *inbox) expected(streams []*stream) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range streams {
		for _, m := range s.messages {
			if b.owed(m) {
				n++
			}
		}
	}
	return n
}

// latest is the last acknowledged message of a stream now; nil if there is none.
func (l *ledger) latest(s *stream) *message {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range slices.Backward(s.messages) {
		if m.acked != 0 {
			return m
		}
	}
	return nil
}

// judgeRetained holds what a new subscriber got for a topic (nil: nothing) against what latest returned before it subscribed.
func (l *ledger) judgeRetained(s *stream, latest, got *message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case got != nil && latest != nil && got.number < latest.number:
		l.failed(staleRetained, "%s is retained as %s, although this came later: %s", s.topic, l.known(got), l.known(latest))
	case got == nil && l.stays(s, latest):
		l.failed(staleRetained, "nothing is retained on %s after %s", s.topic, l.known(latest))
	}
}

// owed tells whether something has to be retained for a topic: latest, or what came later.
func (l *ledger) owed(s *stream, latest *message) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stays(s, latest)
}

// stays is owed with l.mu held.
func (*ledger) stays(s *stream, latest *message) bool {
	return latest != nil && !slices.ContainsFunc(s.messages[latest.number-1:], func(m *message) bool { return m.clear })
}
