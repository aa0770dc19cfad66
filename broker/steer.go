package broker

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"picket/access"
	"picket/cause"
	"picket/session"
	"picket/store"
	"picket/topic"
)

// Subscription is a filter of a client with its options, for whoever runs the broker.
type Subscription struct {
	Filter            string `json:"filter"` // without the listener's mount point
	QoS               byte   `json:"qos"`
	NoLocal           bool   `json:"no_local,omitempty"`
	RetainAsPublished bool   `json:"retain_as_published,omitempty"`
	RetainHandling    byte   `json:"retain_handling,omitempty"`
	Identifier        uint32 `json:"subscription_identifier,omitempty"`
}

// Subscriptions returns what a client has subscribed to, in the order of the filters; ok is false where there is no session of that name.
func (b *Broker) Subscriptions(clientID string) (all []Subscription, ok bool) {
	s := b.session(clientID)
	if s == nil {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for filter, o := range s.subs.all() {
		all = append(all, Subscription{strings.TrimPrefix(filter, s.mount), o.QoS, o.NoLocal, o.RetainAsPublished, o.RetainHandling, o.Identifier})
	}
	slices.SortFunc(all, func(a, b Subscription) int { return strings.Compare(a.Filter, b.Filter) })
	return all, !s.over
}

// DropSession ends a session with all that waits in it, and first its client's connection, if there is one, for a cause and with a text as [Broker.Disconnect] does. Its
// will is published. It reports whether there was such a session. When it returns, the session of a client that is away is gone from the store, too; another one's goes when
// its connection has.
func (b *Broker) DropSession(ctx context.Context, clientID string, id cause.ID, text string) (found bool, err error) {
	s := b.session(clientID)
	if s == nil {
		return false, nil
	}
	b.do(func(w *worker) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.conn == nil || s.over {
			return
		}
		found = true
		s.expiry = 0 // it ends with the connection
		if s.conn.stage() < closing {
			s.conn.dismissLocked(w, disconnected(id, text), "Client %s been disconnected by administrative action: %s.", s.id, text)
		}
	})
	if found || !b.endAway(s) {
		return found, nil
	}
	return true, b.store.Sync(ctx)
}

// endAway ends the session of a client that is not connected, and reports whether it was one.
func (b *Broker) endAway(s *Session) bool {
	b.mu.Lock()
	s.mu.Lock()
	if s.conn != nil || s.over || s.inside != nil {
		s.mu.Unlock()
		b.mu.Unlock()
		return false
	}
	var wills []*will
	if s.will != nil {
		wills = append(wills, s.takeWill()) // MQTT-3.1.3-9: the session ends
	}
	b.sessions.leave(s.id)
	ended := b.finish(s)
	s.mu.Unlock()
	b.mu.Unlock()
	b.do(func(w *worker) {
		w.wills = append(w.wills, wills...)
		w.publishWills()
	})
	b.endStored(ended)
	return true
}

// PublishAs publishes a message for somebody as [Local.Publish] does, and returns when it is in the store if it is to be retained; nil stands for the broker itself, to which only the limit on payloads applies. Topics that
// begin with $ are nobody's to publish this way: they are the broker's own, or commands to it. matched is how many sessions and shared groups of this node wanted it, whether they could
// take it or not.
func (b *Broker) PublishAs(ctx context.Context, as *access.Login, m *session.Message) (matched int, err error) {
	if strings.HasPrefix(m.Topic, "$") {
		return 0, &Denied{cause.ACLPublishDenied, m.Topic}
	}
	if limit := b.settings.Load().MessageSizeLimit; limit > 0 && len(m.Payload) > limit {
		return 0, &Denied{cause.PayloadTooLarge, m.Topic}
	}
	l := b.Local(as, nil)
	defer l.Close()
	if matched, err = l.publish(ctx, m); err != nil || !m.Retain {
		return matched, err
	}
	return matched, b.store.Sync(ctx)
}

// Retained returns the retained message of a topic, or nil.
func (b *Broker) Retained(name string) *session.Message {
	if m := b.retained.get(name); m != nil && !b.expired(m) {
		return m
	}
	return nil
}

// RetainedLevel is one level of the topics with retained messages.
type RetainedLevel = topic.Level[*place]

// Message is the retained message whose topic ends with this level; nil: there is none.
func (p *place) Message() *session.Message {
	if p == nil {
		return nil
	}
	return p.message.Load()
}

// RetainedLevels returns the levels right below a topic, as [topic.Tree.Levels] does.
func (b *Broker) RetainedLevels(q topic.LevelQuery) (levels []RetainedLevel, next string, more bool) {
	return b.retained.tree.Levels(q)
}

// RetainedBy returns the retained messages whose topics a filter matches, in the order of the topics. $SYS, which the broker makes again, is left out.
func (b *Broker) RetainedBy(filter string) (all []*session.Message) {
	for _, p := range b.retained.match(filter) {
		if m := p.message.Load(); m != nil && !b.expired(m) && !ownTopic(m.Topic) {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b *session.Message) int { return strings.Compare(a.Topic, b.Topic) })
	return all
}

// removedAtOnce is how many retained messages are removed while nobody can retain one.
const removedAtOnce = 500

// RemoveRetained removes retained messages, unless others have taken their places meanwhile. When it returns they are gone from the store, too; it returns how many they
// were. Nobody who has subscribed is told.
func (b *Broker) RemoveRetained(ctx context.Context, all []*session.Message) (n int, err error) {
	for some := range slices.Chunk(all, removedAtOnce) {
		removed, batch := b.retained.removeAll(some)
		n += removed
		if err := awaitBatch(ctx, batch); err != nil {
			return n, err
		}
	}
	return n, nil
}

// removeAll removes messages that are still in their places. after is as for put.
func (r *retained) removeAll(all []*session.Message) (n int, after *store.Batch) {
	batch := new(store.Batch)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range all {
		if r.get(m.Topic) != m {
			continue
		}
		n++
		if r.dropLocked(m.Topic); r.stores(m.Topic) {
			batch.Unretain(m)
		}
	}
	if batch.Empty() {
		return n, nil
	}
	return n, r.commit(batch)
}

// settling is closed when a batch is settled.
type settling chan struct{}

func (s settling) Settled() { close(s) }

// awaitBatch waits until a batch is settled, and returns why the store has refused it. nil is one that nobody has to wait for.
func awaitBatch(ctx context.Context, batch *store.Batch) error {
	if batch == nil {
		return nil
	}
	if done := make(settling); batch.Await(done) {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := batch.Err(); err != nil {
		return fmt.Errorf("the store has refused it: %w", err)
	}
	return nil
}

// Refused is something that a client did wrong, or several times alike.
type Refused struct {
	Address netip.Addr `json:"address"`
	At      time.Time  `json:"at"` // the last time
	Cause   cause.ID   `json:"cause"`
	Port    int        `json:"port,omitempty"`
	Version string     `json:"mqtt,omitempty"`   // absent: it did not come to CONNECT
	User    string     `json:"user,omitempty"`   // at most its first 128 bytes
	Client  string     `json:"client,omitempty"` // likewise
	Count   int        `json:"count"`
}

// Refusals returns what clients have done wrong lately, the newest first: of each of the last 1024 addresses the last ten.
func (b *Broker) Refusals() (all []Refused) {
	a := &b.attempts
	a.mu.Lock()
	for addr, e := range a.byAddr {
		for _, r := range e.Value.(*addressAttempts[*connection]).recent {
			one := Refused{Address: addr, At: r.at.UTC().Truncate(time.Second), Cause: r.cause, Port: r.port, User: r.user, Client: r.client, Count: r.count}
			if r.version != 0 {
				one.Version = versionName(r.version)
			}
			all = append(all, one)
		}
	}
	a.mu.Unlock()
	slices.SortFunc(all, func(a, b Refused) int {
		if n := b.At.Compare(a.At); n != 0 {
			return n
		}
		return a.Address.Compare(b.Address)
	})
	return all
}

// SysTree returns what stands below $SYS, by topic.
func (b *Broker) SysTree() map[string]string {
	all := make(map[string]string)
	for _, p := range b.retained.match("$SYS/#") {
		if m := p.message.Load(); m != nil {
			all[m.Topic] = string(m.Payload)
		}
	}
	return all
}
