package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"strings"
	"sync"
	"time"

	"picket/client"
	"picket/doctor"
	"picket/packet"
)

// markSize is the length of the mark that tells one message of the test from all others on its topic.
const markSize = len(markBegin) + 2*markBytes + 2

const (
	markBegin = "picket doctor "
	markBytes = 8
)

func newMark() string {
	var b [markBytes]byte
	_, _ = rand.Read(b[:]) // never fails
	return markBegin + hex.EncodeToString(b[:]) + ". "
}

// core is the part of a mark that nobody else's message has.
func core(mark string) string { return mark[len(markBegin) : len(markBegin)+2*markBytes] }

// inbox is what comes on one connection of the test, beside what was sent on it. Its messages come from the goroutine that reads.
type inbox struct {
	own     bool                 // nobody else knows the topic
	strange chan *client.Message // without a mark, and still the answer to something of the test's

	mu      sync.Mutex
	waiting map[string]chan *client.Message // by the mark at the start of a payload
	sent    map[string]*copies              // by mark
	emptied bool                            // what was retained was removed, which is a message of its own
	kept    bool                            // a message came as retained that was not published so
}

// copies is how often a message came that was published once.
type copies struct {
	qos    int
	retain bool
	came   int  // without those that were retained
	given  bool // up
}

func newInbox(own bool) *inbox {
	return &inbox{own: own, strange: make(chan *client.Message, 4), waiting: make(map[string]chan *client.Message), sent: make(map[string]*copies)}
}

// handle hands a message to whoever waits for its mark.
func (b *inbox) handle(m *client.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var mark string
	if len(m.Payload) >= markSize && strings.HasPrefix(string(m.Payload), markBegin) {
		mark = string(m.Payload[:markSize])
	}
	if s := b.sent[mark]; s != nil {
		if !m.Retain {
			s.came++
		} else if !s.retain {
			b.kept = true
		}
	}
	to := b.waiting[mark]
	if to == nil && mark == "" && b.ours(m) {
		to = b.strange
	}
	select {
	case to <- m:
	default: // once is enough, and nobody waits where to is nil
	}
	return nil
}

// ours tells whether a message without a mark may be one of the test's, changed on the way.
func (b *inbox) ours(m *client.Message) bool {
	if b.own {
		return len(m.Payload) > 0 || !b.emptied
	}
	for mark := range b.waiting {
		if bytes.Contains(bytes.ToLower(m.Payload), []byte(core(mark))) {
			return true
		}
	}
	return false
}

// expect waits for messages with a mark from now on.
func (b *inbox) expect(mark string) (<-chan *client.Message, func()) {
	comes := make(chan *client.Message, 2)
	b.mu.Lock()
	b.waiting[mark] = comes
	b.mu.Unlock()
	return comes, func() {
		b.mu.Lock()
		delete(b.waiting, mark)
		b.mu.Unlock()
	}
}

// sends notes what is about to be published; what came before is not an answer to it.
func (b *inbox) sends(mark string, qos int, retain bool) {
	b.mu.Lock()
	b.sent[mark] = &copies{qos: qos, retain: retain}
	b.mu.Unlock()
	for {
		select {
		case <-b.strange:
		default:
			return
		}
	}
}

// empty notes that the empty message comes that removes what was retained.
func (b *inbox) empty() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.emptied = true
}

// wronglyKept tells whether a message came as retained that was not published so.
func (b *inbox) wronglyKept() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept
}

// doubled is which messages have come more often than once.
func (b *inbox) doubled() doctor.Doubled {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := doctor.Doubled{QoS1Alone: true}
	for _, s := range b.sent {
		if s.retain || s.came == 0 {
			continue
		}
		f.Messages++
		if s.came > 1 {
			f.Doubled++
			f.AtMost = max(f.AtMost, s.came)
			f.QoS1Alone = f.QoS1Alone && s.qos == 1
		}
	}
	return f
}

// gaveUp notes that nobody waits for a message any more.
func (b *inbox) gaveUp(mark string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent[mark].given = true
}

// late is how many messages came after one had given up waiting for them.
func (b *inbox) late() (f doctor.Late) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sent {
		if s.given && s.came > 0 {
			f.Messages++
		}
	}
	return f
}

// strangeRest is how long one waits for the message itself when another one has come in its place.
const strangeRest = 500 * time.Millisecond

// await waits until a message is back, and notes what is another than it was sent.
func (u *user) await(ctx context.Context, comes <-chan *client.Message, sent *client.Message, f *doctor.Publish) {
	f.Result = doctor.Swallow
	var other *client.Message
	var rest <-chan time.Time
	strange := u.strange
	for {
		select {
		case m := <-comes:
			f.Result, f.Came = doctor.Returned, u.differs(sent, m)
			if f.Came != nil && f.Came.Size != nil {
				f.Result = doctor.Altered
			}
			return
		case other = <-strange:
			strange, rest = nil, time.After(strangeRest+3*u.p.trip)
		case <-rest:
			f.Result, f.Came = doctor.Altered, u.differs(sent, other)
			return
		case <-u.c.Done():
			f.Result = doctor.Lost
			return
		case <-ctx.Done():
			u.gaveUp(string(sent.Payload[:markSize]))
			return
		}
	}
}

// differs is in what a message differs from what was sent; nil: in nothing.
func (u *user) differs(sent, came *client.Message) *doctor.Came {
	var d doctor.Came
	if came.Topic != sent.Topic {
		d.Topic = doctor.Printable(came.Topic, 200)
	}
	if q := int(came.QoS); q < min(int(sent.QoS), u.granted) {
		d.QoS = &q
	}
	if came.Retain && !sent.Retain {
		d.Retain = &came.Retain
	}
	if n := len(came.Payload); !bytes.Equal(came.Payload, sent.Payload) {
		d.Size = &n
	}
	if d == (doctor.Came{}) {
		return nil
	}
	return &d
}

// awaitKept waits for a retained message, which a new subscription brings. One that comes without its flag was kept as well.
func (u *user) awaitKept(ctx context.Context, comes <-chan *client.Message, f *doctor.Publish) {
	limit := time.After(u.p.Limit)
	var rest <-chan time.Time
	for {
		select {
		case m := <-comes:
			if m.Retain {
				return
			}
			if rest == nil {
				rest = time.After(strangeRest + 3*u.p.trip)
			}
		case <-rest:
			no := false
			f.Came = &doctor.Came{Retain: &no}
			return
		case <-u.c.Done():
			f.Result = doctor.Lost
			return
		case <-limit:
			f.Result = doctor.Swallow
			return
		case <-ctx.Done():
			return
		}
	}
}

// astrayLimit bounds the look at all topics: on a busy broker that is much.
const astrayLimit = 1500 * time.Millisecond

// astray looks under all topics for a message that did not come back, on a connection of its own: something on the way may have given it another topic.
func (u *user) astray(ctx context.Context) {
	mark := newMark()
	own := u.topic[strings.LastIndexByte(u.topic, '/')+1:]
	found := make(chan *client.Message, 1)
	a := u.p.works
	a.id = randomID()
	a.handler = func(m *client.Message) error {
		if bytes.Contains(m.Payload, []byte(core(mark))) || u.own && strings.Contains(m.Topic, own) && !m.Retain {
			select {
			case found <- m:
			default:
			}
		}
		return nil
	}
	if u.p.works.kind != doctor.RandomID {
		return // there may be no second connection
	}
	c, _, _ := u.p.try(ctx, a)
	if c == nil {
		return
	}
	defer c.Disconnect(packet.NormalDisconnection, nil)
	ctx, cancel := context.WithTimeout(ctx, astrayLimit+3*u.p.trip)
	defer cancel()
	answer, err := c.Subscribe(ctx, &packet.Subscribe{Filters: []packet.Subscription{{Filter: "#"}}})
	if err != nil || answer.Codes[0].Failed() {
		return
	}
	if _, err := u.c.Publish(ctx, &client.Message{Topic: u.topic, Payload: []byte(mark), QoS: 1}); err != nil {
		return
	}
	select {
	case m := <-found:
		u.p.add(doctor.Astray{Topic: u.topic, Came: doctor.Printable(m.Topic, 200)})
	case <-c.Done():
	case <-ctx.Done():
	}
}

// lives asks a connection on which a message got stuck whether it is still there. Where it is not, that is noted: whoever waits on it waits in vain.
func (u *user) lives(ctx context.Context) {
	if !u.alive() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second+3*u.p.trip)
	defer cancel()
	if err := u.c.Ping(ctx); err != nil && u.alive() {
		u.p.add(doctor.Dead{Version: u.v, Ms: since(u.since)})
	}
}
