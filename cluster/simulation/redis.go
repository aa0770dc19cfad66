package simulation

import (
	"maps"
	"slices"

	"picket/cluster/machine"
	"picket/cluster/wire"
)

// State is what Redis holds, as a model: its functions are those that machine.Command describes, and package cluster/functions has for Redis; each is applied whole or not at all.
type State struct {
	// Pick chooses up to n of the sessions of a buried incarnation to be adopted; nil: the first. Redis takes any.
	Pick func(clients []string, n int) []string

	last     uint64 // incarnation
	floor    uint64 // highest fence of a session that has been dropped
	rows     map[uint64]machine.Row
	sessions map[string]*stored
	boxes    map[uint64]*box
	groups   map[uint64]uint64            // number of the last group that an incarnation has committed
	given    map[uint64]map[string]uint64 // adopted and not named in Got yet: fences
	owed     map[uint64]int               // of an incarnation: sessions that it had, and of which Seen has not been said
}

// stored is a session.
type stored struct {
	owner, fence uint64
	filters      []string
	owes         []uint64 // incarnations that had it, until Seen has been said
	log          []message
}

// message is one that is in a session's queue for ever.
type message struct {
	from, topic string
	n           int
}

type box struct {
	place   uint64
	letters []machine.Letter
}

// commit changes sessions of Me. A group that comes again changes nothing. The answer is []string, the sessions that were refused for their fence.
type commit struct {
	machine.Beat // for what makes it a command; only Me counts
	group        uint64
	ops          []op
}

// op is one change: a message, or a subscription.
type op struct {
	client string
	fence  uint64
	filter string
	message
}

// NewState is an empty Redis.
func NewState() *State {
	return &State{rows: map[uint64]machine.Row{}, sessions: map[string]*stored{}, boxes: map[uint64]*box{}, groups: map[uint64]uint64{},
		given: map[uint64]map[string]uint64{}, owed: map[uint64]int{}}
}

func (s *State) clone() *State {
	c := &State{last: s.last, floor: s.floor, rows: maps.Clone(s.rows), sessions: make(map[string]*stored, len(s.sessions)), boxes: map[uint64]*box{}, groups: maps.Clone(s.groups),
		given: map[uint64]map[string]uint64{}, owed: maps.Clone(s.owed)}
	for k, v := range s.sessions {
		x := *v
		x.filters, x.owes, x.log = slices.Clone(v.filters), slices.Clone(v.owes), slices.Clone(v.log)
		c.sessions[k] = &x
	}
	for k, v := range s.boxes {
		c.boxes[k] = &box{v.place, slices.Clone(v.letters)}
	}
	for k, v := range s.given {
		c.given[k] = maps.Clone(v)
	}
	return c
}

// live tells whether an incarnation has a row and is not buried.
func (s *State) live(incarnation uint64) bool {
	r, ok := s.rows[incarnation]
	return ok && !r.Dead
}

// Apply carries a function out.
func (s *State) Apply(c machine.Command) (any, error) {
	switch c := c.(type) {
	case machine.Join:
		return s.join(c), nil
	case machine.Rows:
		return s.allRows(), nil
	}
	if !s.live(caller(c)) {
		return nil, machine.ErrFenced
	}
	switch c := c.(type) {
	case machine.Beat:
		r := s.rows[c.Me]
		r.Beat = max(r.Beat, c.Beat)
		s.rows[c.Me] = r
	case machine.Bury:
		r, ok := s.rows[c.Incarnation]
		if ok && !r.Dead {
			if r.Beat != c.Beat {
				return nil, machine.ErrChanged
			}
			s.bury(c.Incarnation)
		}
	case machine.Peek:
		if x := s.sessions[c.Client]; x != nil {
			return machine.Peeked{Owner: x.owner, Fence: x.fence}, nil
		}
		return machine.Peeked{}, nil
	case machine.TakeOver:
		return s.takeOver(c)
	case machine.Adopt:
		return s.adopt(c), nil
	case machine.Seen:
		s.seen(c)
	case machine.Drop:
		s.drop(c)
	case machine.Post:
		if !s.live(c.To) {
			return nil, machine.ErrChanged
		}
		b := s.boxes[c.To]
		if b == nil {
			b = &box{}
			s.boxes[c.To] = b
		}
		b.place++
		b.letters = append(b.letters, machine.Letter{Place: b.place, From: c.Me, Frames: c.Frames})
	case machine.Collect:
		return s.collect(c), nil
	case commit:
		return s.commit(c), nil
	}
	return nil, nil
}

// caller is the incarnation that calls.
func caller(c machine.Command) uint64 {
	switch c := c.(type) {
	case machine.Beat:
		return c.Me
	case machine.Bury:
		return c.Me
	case machine.Peek:
		return c.Me
	case machine.TakeOver:
		return c.Me
	case machine.Adopt:
		return c.Me
	case machine.Seen:
		return c.Me
	case machine.Drop:
		return c.Me
	case machine.Post:
		return c.Me
	case machine.Collect:
		return c.Me
	case commit:
		return c.Me
	}
	return 0
}

func (s *State) join(c machine.Join) uint64 {
	for _, i := range slices.Sorted(maps.Keys(s.rows)) {
		if r := s.rows[i]; r.Name == c.Name && !r.Dead {
			s.bury(i)
		}
	}
	s.last++
	s.rows[s.last] = machine.Row{Incarnation: s.last, Name: c.Name, Address: c.Address, Fingerprint: c.Fingerprint}
	return s.last
}

func (s *State) allRows() (all []machine.Row) {
	for _, i := range slices.Sorted(maps.Keys(s.rows)) {
		all = append(all, s.rows[i])
	}
	return all
}

func (s *State) bury(incarnation uint64) {
	r := s.rows[incarnation]
	r.Dead = true
	s.rows[incarnation] = r
	delete(s.boxes, incarnation)
	delete(s.groups, incarnation)
	delete(s.given, incarnation)
	s.retire(incarnation)
}

// retire removes the row of a buried incarnation that is of no concern any more.
func (s *State) retire(incarnation uint64) {
	if !s.rows[incarnation].Dead || s.owed[incarnation] > 0 {
		return
	}
	for _, x := range s.sessions {
		if x.owner == incarnation {
			return
		}
	}
	delete(s.rows, incarnation)
	delete(s.owed, incarnation)
}

// move changes the owner of a session.
func (s *State) move(client string, x *stored, to uint64) machine.Session {
	before := x.owner
	x.owner = to
	x.fence++
	if before != 0 && before != to && !slices.Contains(x.owes, before) {
		x.owes = append(x.owes, before)
		s.owed[before]++
	}
	return s.session(client, x, before)
}

func (s *State) session(client string, x *stored, before uint64) machine.Session {
	return machine.Session{Client: client, Fence: x.fence, Before: before, Owes: len(x.owes) > 0, State: slices.Clone(x.filters)}
}

func (s *State) takeOver(c machine.TakeOver) (any, error) {
	x := s.sessions[c.Client]
	switch {
	case x == nil && c.Fence == 0:
		x = &stored{fence: s.floor}
		s.sessions[c.Client] = x
	case x == nil:
		return nil, machine.ErrChanged
	case x.owner == c.Me && x.fence == c.Fence+1:
		return s.session(c.Client, x, 0), nil
	case x.fence != c.Fence:
		return nil, machine.ErrChanged
	}
	return s.move(c.Client, x, c.Me), nil
}

func (s *State) adopt(c machine.Adopt) (all []machine.Session) {
	given := s.given[c.Me]
	if given == nil {
		given = map[string]uint64{}
		s.given[c.Me] = given
	}
	for _, g := range c.Got {
		if given[g.Client] == g.Fence {
			delete(given, g.Client)
		}
	}
	if s.rows[c.Dead].Dead {
		var clients []string
		for _, client := range slices.Sorted(maps.Keys(s.sessions)) {
			if s.sessions[client].owner == c.Dead {
				clients = append(clients, client)
			}
		}
		if s.Pick != nil {
			clients = s.Pick(clients, c.N)
		}
		for _, client := range clients[:min(c.N, len(clients))] {
			x := s.sessions[client]
			s.move(client, x, c.Me)
			given[client] = x.fence
		}
	}
	for _, client := range slices.Sorted(maps.Keys(given)) {
		if x := s.sessions[client]; x != nil && x.owner == c.Me && x.fence == given[client] {
			all = append(all, s.session(client, x, c.Dead))
		}
	}
	return all
}

func (s *State) seen(c machine.Seen) {
	for _, y := range c.Sessions {
		x := s.sessions[y.Client]
		if x == nil || x.owner != c.Me || x.fence != y.Fence {
			continue
		}
		owes := x.owes
		x.owes = nil
		s.settle(owes)
	}
}

func (s *State) settle(owes []uint64) {
	for _, dead := range owes {
		s.owed[dead]--
		s.retire(dead)
	}
}

func (s *State) drop(c machine.Drop) {
	x := s.sessions[c.Client]
	if x == nil || x.owner != c.Me || x.fence != c.Fence {
		return
	}
	s.floor = max(s.floor, c.Fence)
	delete(s.sessions, c.Client)
	s.settle(x.owes)
}

func (s *State) collect(c machine.Collect) (all []machine.Letter) {
	b := s.boxes[c.Me]
	if b == nil {
		return nil
	}
	for len(b.letters) > 0 && b.letters[0].Place <= c.Upto {
		b.letters = b.letters[1:]
	}
	return slices.Clone(b.letters[:min(len(b.letters), mostLetters)])
}

// mostLetters is how many are read at a time.
const mostLetters = 64

func (s *State) commit(c commit) (refused []string) {
	repeated := c.group <= s.groups[c.Me]
	for _, o := range c.ops {
		x := s.sessions[o.client]
		switch {
		case x == nil || x.owner != c.Me || x.fence != o.fence:
			refused = append(refused, o.client)
		case repeated:
		case o.filter != "":
			if !slices.Contains(x.filters, o.filter) {
				x.filters = append(x.filters, o.filter)
			}
		default:
			x.log = append(x.log, o.message)
		}
	}
	s.groups[c.Me] = max(s.groups[c.Me], c.group)
	return refused
}

// copyOf encodes and decodes a frame, as a link does.
func copyOf(f wire.Frame) (wire.Frame, error) {
	b := wire.Append(nil, f)
	return wire.Decode(b[4:])
}

// Subscribe adds a filter to a session, past all functions.
func (s *State) Subscribe(client, filter string) (known bool) {
	x := s.sessions[client]
	if x != nil && !slices.Contains(x.filters, filter) {
		x.filters = append(x.filters, filter)
	}
	return x != nil
}
