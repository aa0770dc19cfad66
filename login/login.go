// Package login knows the people who use the dashboard in a browser: the links that let them in, each once, and the sessions that follow. Everything is in memory, as hashes of
// what a browser knows: a restart ends all of it. There is no password.
package login

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"slices"
	"sync"
	"time"

	"picket/token"
)

// Bounds of links and sessions.
const (
	LinkFor = time.Minute      // how long a link works
	IdleFor = 30 * time.Minute // how long a session lasts that nobody uses
	MostFor = 12 * time.Hour   // how long a session lasts in all

	mostLinks    = 16 // at once; another one takes the place of the oldest
	mostSessions = 64 // likewise, of the one that has not been used for longest
)

// Session is somebody who is logged in.
type Session struct {
	Name  string     `json:"name"` // who has made the link
	Role  token.Role `json:"role"`
	From  netip.Addr `json:"address"` // where the link was followed
	Since time.Time  `json:"since"`
	Used  time.Time  `json:"used"`  // by a person, the last time
	Until time.Time  `json:"until"` // the end, if it goes on being used
}

// key is the hash of a secret: what is kept cannot be used.
type key [sha256.Size]byte

// link is one that has not been followed.
type link struct {
	name  string
	role  token.Role
	until time.Time
}

// Book has all of it. The zero value is ready. It reads no clock. Safe for concurrent use.
type Book struct {
	mu       sync.Mutex
	links    map[key]*link
	sessions map[key]*Session
}

// Link makes a link for somebody, and returns its code: 130 random bits as letters and digits.
func (b *Book) Link(name string, role token.Role, now time.Time) (code string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep(now)
	room(b.links, mostLinks, func(l *link) time.Time { return l.until })
	if b.links == nil {
		b.links = make(map[key]*link)
	}
	code = rand.Text()
	b.links[sha256.Sum256([]byte(code))] = &link{name, role, now.Add(LinkFor)}
	return code
}

// Enter follows a link, which is used up by it, and returns the secret of a new session. ok is false where there is no such link any more.
func (b *Book) Enter(code string, from netip.Addr, now time.Time) (secret string, s Session, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep(now)
	of := key(sha256.Sum256([]byte(code)))
	l := b.links[of]
	if l == nil {
		return "", Session{}, false
	}
	delete(b.links, of)
	room(b.sessions, mostSessions, func(s *Session) time.Time { return s.Used })
	if b.sessions == nil {
		b.sessions = make(map[key]*Session)
	}
	secret = rand.Text()
	s = Session{Name: l.name, Role: l.role, From: from, Since: now, Used: now, Until: now.Add(MostFor)}
	b.sessions[sha256.Sum256([]byte(secret))] = &s
	return secret, s, true
}

// Check finds the session of a secret; active: a person is behind the request, not a page that refreshes itself.
func (b *Book) Check(secret string, active bool, now time.Time) (Session, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sessions[sha256.Sum256([]byte(secret))]
	if s == nil || s.over(now) {
		return Session{}, false
	}
	if active {
		s.Used = now
	}
	return *s, true
}

// Leave ends the session of a secret.
func (b *Book) Leave(secret string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sessions, sha256.Sum256([]byte(secret)))
}

// LeaveAll ends all sessions and takes back all links. It returns how many sessions there were.
func (b *Book) LeaveAll(now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep(now)
	n := len(b.sessions)
	clear(b.sessions)
	clear(b.links)
	return n
}

// All returns the sessions, the oldest first.
func (b *Book) All(now time.Time) []Session {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep(now)
	all := make([]Session, 0, len(b.sessions))
	for _, s := range b.sessions {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b Session) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Name, b.Name)) })
	return all
}

// over tells whether the session's time has passed.
func (s *Session) over(now time.Time) bool { return !now.Before(s.Until) || now.Sub(s.Used) >= IdleFor }

// sweep forgets what is over. The mutex is held.
func (b *Book) sweep(now time.Time) {
	for k, l := range b.links {
		if !now.Before(l.until) {
			delete(b.links, k)
		}
	}
	for k, s := range b.sessions {
		if s.over(now) {
			delete(b.sessions, k)
		}
	}
}

// room makes room for one more: the one with the earliest time goes.
func room[T any](all map[key]T, most int, at func(T) time.Time) {
	if len(all) < most {
		return
	}
	var first key
	found := false
	for k, one := range all {
		if !found || at(one).Before(at(all[first])) {
			first, found = k, true
		}
	}
	delete(all, first)
}
