package bridge

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"picket/broker"
	"picket/logging"
)

// Set is all bridges of a broker. Its methods may be called by any goroutine.
type Set struct {
	broker *broker.Broker
	log    *logging.Logger
	self   string        // names this broker in the markers of messages; empty: they get none, as in mosquitto
	local  *broker.Local // says whether bridges are connected

	mu  sync.Mutex
	all map[string]*bridge // by name; nil once closed
}

// Start runs bridges until [Set.Close], which has to come before the end of the broker. When it returns, messages wait for the remote brokers already. With asMosquitto the packets of MQTT 5 are mosquitto's: without a
// session expiry interval and without markers.
func Start(b *broker.Broker, log *logging.Logger, configs []*Config, asMosquitto bool) *Set {
	s := &Set{broker: b, log: log, local: b.Local(nil, nil), all: make(map[string]*bridge)}
	if !asMosquitto {
		s.self = uuid.NewString()
	}
	s.Update(configs)
	return s
}

// Update puts configurations in force: new bridges are started, those that are not there any more are ended with what waits for them, changed ones go by what is new from their next
// connection on, which with [Config.ReloadNow] is made at once. All others stay as they are.
func (s *Set) Update(configs []*Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		return
	}
	wanted := make(map[string]bool)
	for _, c := range configs {
		wanted[c.Name] = true
	}
	for name, b := range s.all {
		if !wanted[name] {
			b.end()
			<-b.done
			s.broker.EndSession(b.config.Load().LocalID)
			delete(s.all, name)
		}
	}
	for _, c := range configs {
		if b := s.all[c.Name]; b == nil {
			s.start(c)
		} else if !same(b.config.Load(), c) {
			b.change(c)
		}
	}
}

// same tells whether two configurations say the same.
func same(a, b *Config) bool {
	x, y := *a, *b
	x.Source, y.Source = "", ""
	return reflect.DeepEqual(x, y)
}

func (s *Set) start(c *Config) {
	ctx, end := context.WithCancel(context.Background())
	b := &bridge{set: s, end: end, done: make(chan struct{}), woken: make(chan struct{}, 1), owed: make(map[string]bool)}
	b.config.Store(c)
	s.all[c.Name] = b
	_ = b.prepare(c) // run tries again, and says what is wrong
	go b.run(ctx)
}

// change puts another configuration in force.
func (b *bridge) change(c *Config) {
	b.config.Store(c)
	select {
	case b.woken <- struct{}{}:
	default:
	}
	if cut := b.cut.Load(); cut != nil && c.ReloadNow {
		(*cut)()
	}
}

// Close ends all bridges and returns when they have ended. A second call does nothing.
func (s *Set) Close() {
	s.mu.Lock()
	all := s.all
	s.all = nil
	s.mu.Unlock()
	for _, b := range all {
		b.end()
	}
	for _, b := range all {
		<-b.done
	}
	s.local.Close()
}

// States tells of all bridges, by name.
func (s *Set) States() []State {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]State, 0, len(s.all))
	for _, b := range s.all {
		b.mu.Lock()
		state := b.state
		b.mu.Unlock()
		state.Waiting, state.Bytes = s.broker.Waiting(b.config.Load().LocalID)
		all = append(all, state)
	}
	slices.SortFunc(all, func(a, b State) int { return strings.Compare(a.Name, b.Name) })
	return all
}
