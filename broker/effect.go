package broker

import (
	"context"
	"net/netip"
	"strings"

	"picket/access"
)

// shownEffects is how many names an [Effect] has of each kind.
const shownEffects = 20

// Effect is what a change would do to clients, whether they are connected or away.
type Effect struct {
	Disconnected  int                `json:"disconnected"`       // connections that would end
	Clients       []string           `json:"clients"`            // client identifiers of the first twenty of them
	Lost          int                `json:"lost_subscriptions"` // subscriptions that would not be allowed any more
	Subscriptions []LostSubscription `json:"subscriptions"`      // the first twenty of them
}

// LostSubscription is one that would not be allowed any more.
type LostSubscription struct {
	ClientID string `json:"client_id"`
	Filter   string `json:"filter"`
}

// NoEffect is the effect of a change that does nothing to anybody.
func NoEffect() Effect { return Effect{Clients: []string{}, Subscriptions: []LostSubscription{}} }

// Effect says what a change would do, which is not in force: ends tells whether a client that is connected from an address would be disconnected, lost whether a client would
// lose a subscription, by its filter with the listener's mount point; nil: nobody would. Sessions are looked at a few at a time. It fails when ctx ends before all are.
func (b *Broker) Effect(ctx context.Context, ends func(*access.Client, netip.Addr) bool, lost func(c *access.Client, filter string) bool) (Effect, error) {
	e := NoEffect()
	some := make([]*Session, 0, atOnce)
	var filters []string
	for at, more := 0, true; more && ctx.Err() == nil; {
		b.mu.Lock()
		some, at, more = b.sessions.from(at, some[:0])
		b.mu.Unlock()
		for _, s := range some {
			filters = s.affected(&e, ends, lost, filters[:0])
		}
	}
	return e, ctx.Err()
}

// affected adds what a change would do to one session. filters is room for those of the session, and is returned.
func (s *Session) affected(e *Effect, ends func(*access.Client, netip.Addr) bool, lost func(*access.Client, string) bool, filters []string) []string {
	if s.inside != nil {
		return filters
	}
	s.mu.Lock()
	client, mount, goes := s.rules.Load(), s.mount, false
	if c := s.conn; c != nil && c.stage() == connected && !c.linked() {
		goes = ends(client, c.remote().Addr())
	}
	if lost != nil && !s.over {
		for filter := range s.subs.all() {
			filters = append(filters, filter)
		}
	}
	s.mu.Unlock()
	if goes {
		if e.Disconnected++; len(e.Clients) < shownEffects {
			e.Clients = append(e.Clients, s.id)
		}
	}
	for _, filter := range filters {
		if !lost(client, filter) {
			continue
		}
		if e.Lost++; len(e.Subscriptions) < shownEffects {
			e.Subscriptions = append(e.Subscriptions, LostSubscription{s.id, strings.TrimPrefix(filter, mount)})
		}
	}
	return filters
}
