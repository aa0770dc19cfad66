package broker

import (
	"context"
	"errors"

	"picket/access"
	"picket/cause"
	"picket/logging"
	"picket/store"
	"picket/topic"
)

// ErrNoSession: there is no session of that client identifier.
var ErrNoSession = errors.New("there is no such session")

// SubscribeFor subscribes a client to a filter in its own name: it is judged and stored as if the client had asked, and retained messages follow as the options say, if it is connected.
// The client is told nothing. existed: a subscription that there was has got new options. When it returns without an error, the subscription is in the store. A [Denied] says what is in the way.
func (b *Broker) SubscribeFor(ctx context.Context, clientID string, sub Subscription) (existed bool, err error) {
	if err := topic.CheckFilter(sub.Filter); err != nil {
		return false, err
	}
	_, _, shared := topic.SplitShare(sub.Filter)
	if shared && sub.NoLocal {
		return false, errors.New("a shared subscription cannot have No Local (MQTT-3.8.3-4)")
	}
	s := b.session(clientID)
	if s == nil || s.inside != nil {
		return false, ErrNoSession
	}
	o := topic.Options{QoS: sub.QoS, NoLocal: sub.NoLocal, RetainAsPublished: sub.RetainAsPublished, RetainHandling: sub.RetainHandling, Identifier: sub.Identifier}
	filter := s.mounted(sub.Filter)
	line := "Denied SUBSCRIBE from %s (q%d, '%s')"
	if err := b.judgedFor(ctx, s.rules.Load().Subscribe(filter), sub.Filter, line, s.id, o.QoS, filter); err != nil {
		return false, err
	}
	batch, existed, err := b.subscribeFor(s, filter, o, !shared)
	if err != nil {
		return false, err
	}
	b.log.Printf(logging.Subscribe, "%s %d %s", s.id, o.QoS, filter)
	return existed, awaitBatch(ctx, batch)
}

func (b *Broker) subscribeFor(s *Session, filter string, o topic.Options, replays bool) (batch *store.Batch, existed bool, err error) {
	b.do(func(w *worker) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.over {
			err = ErrNoSession
			return
		}
		if s.conn != nil {
			o.QoS = min(o.QoS, s.conn.from.MaxQoS)
		}
		stored := s.changes()
		var ok bool
		if existed, ok = b.addSubscription(s, filter, o, &stored); !ok {
			b.report(incident{cause: cause.SubscriptionsFull, seen: filter}, "Denied SUBSCRIBE from %s (q%d, '%s')", s.id, o.QoS, filter)
			err = &Denied{cause.SubscriptionsFull, filter}
			return
		}
		if c := s.conn; c != nil && replays && b.settings.Load().RetainAvailable && (o.RetainHandling == 0 || o.RetainHandling == 1 && !existed) {
			s.replay(replay{filter: filter, until: b.retained.newest.Load(), options: o})
			w.mark(c)
		}
		batch = b.commit(stored.batch)
	})
	return batch, existed, err
}

// UnsubscribeFor ends a subscription of a client in its own name, as [Broker.SubscribeFor] makes one. found is false where there is no such subscription.
func (b *Broker) UnsubscribeFor(ctx context.Context, clientID, filter string) (found bool, err error) {
	if err := topic.CheckFilter(filter); err != nil {
		return false, err
	}
	s := b.session(clientID)
	if s == nil || s.inside != nil {
		return false, ErrNoSession
	}
	name := s.mounted(filter)
	if err := b.judgedFor(ctx, s.rules.Load().Unsubscribe(name), filter, "Denied UNSUBSCRIBE from %s ('%s')", s.id, name); err != nil {
		return false, err
	}
	s.mu.Lock()
	if s.over {
		s.mu.Unlock()
		return false, ErrNoSession
	}
	stored := s.changes()
	if _, found = s.subs.get(name); found {
		b.removeSubscription(s, name)
		stored.unsubscribe(name)
		s.replays.drop(name)
	}
	batch := b.commit(stored.batch)
	s.mu.Unlock()
	if !found {
		return false, nil
	}
	b.log.Printf(logging.Unsubscribe, "%s %s", s.id, name)
	return true, awaitBatch(ctx, batch)
}

// judgedFor waits for a decision that takes time, and reports a no.
func (b *Broker) judgedFor(ctx context.Context, d access.Decision, what, line string, args ...any) error {
	if d.Later != nil {
		d = d.Later.Get(ctx)
	}
	if d.Allow {
		return nil
	}
	b.report(incident{cause: d.Cause, seen: what}, line, args...)
	return &Denied{d.Cause, what}
}
