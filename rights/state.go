// Package rights is who may log in and what they may do, as mosquitto's dynamic security has it: clients (users), groups, roles with rules, what holds where no
// rule does, and a group for those without a user name. It has that plugin's file, its commands with its answers, and its judgement.
//
// It is pure: a [State] is read from bytes with [Load], changed by [State.Apply], written with [State.Encode], and asked with [State.May]. Where the bytes are kept,
// and when a change is in force, is for package live to say.
package rights

import (
	"cmp"
	"crypto/subtle"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
)

// State is all users, groups and roles. A state that has been given to somebody never changes: [State.Apply] returns a new one, which shares with the old what is the
// same in both. Safe for concurrent use.
type State struct {
	clients map[string]*client
	groups  map[string]*group
	roles   map[string]*role
	// anonymous is the name of the group whose roles clients without a user name have; empty: none.
	anonymous string
	defaults  [actions]bool
	extra     object                  // members of the file that nobody here knows, which stay in it
	revision  *atomic.Pointer[string] // once the state has been encoded
}

// Action is what a client wants to do.
type Action byte

// What can be asked.
const (
	Send        Action = iota // to publish to a topic name
	Receive                   // to be sent a message with a topic name
	Subscribe                 // to subscribe to a filter
	Unsubscribe               // to end a subscription

	actions // their number
)

// client is a user. Like group and role it is not changed once it is in a state.
type client struct {
	name     string
	id       string // the only client identifier that the user may have; empty: any
	about    about
	disabled bool
	password *Password // nil: nobody logs in with one
	roles    []member
	groups   []member // what the lists of the groups say, in the order in which they are asked
	extra    object
}

// group gives its roles to its clients.
type group struct {
	name    string
	about   about
	roles   []member
	clients []member // by name; the priority is the group's for that client
	extra   object
}

// role is rules under a name.
type role struct {
	name  string
	about about
	rules [kinds][]rule // each in the order in which they are asked
	extra object
}

// about is what people have written about something; nil where nothing was given, which is not the same as an empty text in the file.
type about struct{ name, description *string }

// member is a name in a list, with its place there: the higher the priority the earlier it is asked.
type member struct {
	name     string
	priority int
}

// noPriority is the priority of a member that was given none.
const noPriority = -1

// Kind is the kind of a rule, as it is called in the file and in commands.
type Kind byte

// The kinds of rules.
const (
	PublishSend Kind = iota
	PublishReceive
	SubscribeLiteral
	SubscribePattern
	UnsubscribeLiteral
	UnsubscribePattern

	kinds // their number
)

var kindNames = [kinds]string{"publishClientSend", "publishClientReceive", "subscribeLiteral", "subscribePattern", "unsubscribeLiteral", "unsubscribePattern"}

// String returns the name as the file has it.
func (k Kind) String() string { return kindNames[k] }

// kindOf finds the kind that a word means; like mosquitto without regard to case.
func kindOf(word string) (Kind, bool) {
	for k, name := range kindNames {
		if strings.EqualFold(name, word) {
			return Kind(k), true
		}
	}
	return 0, false
}

// defaultNames are the actions as defaultACLAccess has them.
var defaultNames = [actions]string{"publishClientSend", "publishClientReceive", "subscribe", "unsubscribe"}

// rule allows or denies something for what a filter matches.
type rule struct {
	filter   string
	priority int
	allow    bool
}

// Password is what is kept of one: PBKDF2 with HMAC-SHA-512.
type Password struct {
	Salt       []byte
	Hash       []byte
	Iterations int
}

// New returns a state without anybody in it, that allows nothing but to receive and to unsubscribe, as a new file of mosquitto does.
func New() *State {
	s := &State{clients: make(map[string]*client), groups: make(map[string]*group), roles: make(map[string]*role), revision: new(atomic.Pointer[string])}
	s.defaults[Receive], s.defaults[Unsubscribe] = true, true
	return s
}

// clone returns a state that may be changed: its maps are its own, what stands in them is not.
func (s *State) clone() *State {
	c := *s
	c.clients, c.groups, c.roles = maps.Clone(s.clients), maps.Clone(s.groups), maps.Clone(s.roles)
	c.revision = new(atomic.Pointer[string])
	return &c
}

// Revision names what the state says, passwords included: two states that say the same have the same, also after a restart. It may take as long as [State.Encode].
func (s *State) Revision() string {
	if s.revision.Load() == nil {
		if _, err := s.Encode(); err != nil { // there is nothing in it that cannot be written
			panic(err)
		}
	}
	return *s.revision.Load()
}

// Users returns the number of users.
func (s *State) Users() int { return len(s.clients) }

// Names returns the names of all users, in alphabetical order.
func (s *State) Names() []string { return slices.Sorted(maps.Keys(s.clients)) }

// Login is what a user has to show.
type Login struct {
	Disabled bool
	ClientID string    // the only one that the user may have; empty: any
	Password *Password // nil: the user has none
}

// Login returns what a user has to show; ok is false for a name that is none.
func (s *State) Login(username string) (l Login, ok bool) {
	c := s.clients[username]
	if c == nil {
		return Login{}, false
	}
	return Login{Disabled: c.disabled, ClientID: c.id, Password: c.password}, true
}

// Passwords returns the passwords of all users in no order.
func (s *State) Passwords() (all []*Password) {
	for _, c := range s.clients {
		if c.password != nil {
			all = append(all, c.password)
		}
	}
	return all
}

// sorted puts members into the order in which they are asked: by priority, and by name where it is the same.
func sorted(list []member) []member {
	slices.SortFunc(list, func(a, b member) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), strings.Compare(a.name, b.name))
	})
	return list
}

// with returns a list with a member more, unless it has one of that name.
func with(list []member, m member) (_ []member, added bool) {
	if has(list, m.name) {
		return list, false
	}
	return sorted(append(slices.Clone(list), m)), true
}

// without returns a list that has no member of a name.
func without(list []member, name string) []member {
	if !has(list, name) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(m member) bool { return m.name == name })
}

func has(list []member, name string) bool {
	return slices.ContainsFunc(list, func(m member) bool { return m.name == name })
}

// join puts a user into a group, in the lists of both; a second time changes nothing.
func (s *State) join(username, groupname string, priority int) {
	c, g := s.clients[username], s.groups[groupname]
	i, there := slices.BinarySearchFunc(g.clients, username, func(m member, name string) int { return strings.Compare(m.name, name) })
	if there {
		return
	}
	newer, wider := *c, *g
	newer.groups, _ = with(c.groups, member{groupname, priority})
	wider.clients = slices.Insert(slices.Clone(g.clients), i, member{username, priority})
	s.clients[username], s.groups[groupname] = &newer, &wider
}

// leave takes a user out of a group, in the lists of both.
func (s *State) leave(username, groupname string) {
	c, g := *s.clients[username], *s.groups[groupname]
	c.groups, g.clients = without(c.groups, groupname), without(g.clients, username)
	s.clients[username], s.groups[groupname] = &c, &g
}

// leaveAll takes a user out of all groups.
func (s *State) leaveAll(username string) {
	for _, m := range s.clients[username].groups {
		s.leave(username, m.name)
	}
}

// Equal tells whether two passwords are the same entry, salt included; none equals none.
func (p *Password) Equal(q *Password) bool {
	if p == nil || q == nil {
		return p == q
	}
	return p.Iterations == q.Iterations && subtle.ConstantTimeCompare(p.Salt, q.Salt)&subtle.ConstantTimeCompare(p.Hash, q.Hash) == 1
}
