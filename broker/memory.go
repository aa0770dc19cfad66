package broker

import (
	"sync/atomic"
)

// memory is the broker's account of the bytes that it keeps because of what clients have sent: one counter for each kind of thing, a
// limit for each, and one for all of them together. Whatever a client or a stranger can make grow counts here, at what it costs
// near enough, before it is allocated, and is given back when it is let go.
//
// A thing is refused when either its kind or the whole is at its limit, so that no kind can use up what the others need. What has been
// promised already and cannot be refused any more (a packet that is half written, a session that comes back from the store) is
// counted all the same: then the next one is refused.
//
// The limits follow from memory_limit, or else from the memory that there is for the process, by [limitsFor]. A reload may change them; what is held
// stays. All methods are safe for concurrent use and take no lock. They may overshoot by what a few goroutines take at the same moment.
type memory struct {
	limit atomic.Int64 // of all kinds together, in bytes; 0: none
	held  atomic.Int64
	kinds [memoryKinds]struct{ limit, held atomic.Int64 }
}

// memoryKind is what bytes are held for.
type memoryKind uint8

const (
	heldQueued        memoryKind = iota // messages in the queues of sessions, and in flight where their bodies are kept
	heldOutput                          // encoded packets that slow receivers have not taken yet
	heldRetained                        // retained messages
	heldSubscriptions                   // filters in sessions and in the index
	heldReplays                         // lists of retained messages on their way to new subscriptions
	heldRoutes                          // the workers' caches of who gets what
	heldAliases                         // topic aliases, from clients and toward them
	heldWills                           // wills of sessions, connected or not
	heldSessions                        // sessions themselves, connected or not
	heldConnecting                      // everything that came before CONNACK: half packets, CONNECT, handshakes
	memoryKinds
)

var memoryNames = [memoryKinds]string{"queued", "output", "retained", "subscriptions", "replays", "routes", "aliases", "wills", "sessions", "connecting"}

func (k memoryKind) String() string { return memoryNames[k] }

// memoryLimits are the limits of an account, in bytes; 0 means none.
type memoryLimits struct {
	all   int64
	kinds [memoryKinds]int64
}

// limitsFor shares out the memory that there is. It is less than everything in sum: the garbage collector needs room for what has been let
// go and not been collected yet, and the process has memory of its own.
func limitsFor(available int64) memoryLimits {
	l := memoryLimits{all: available / 4 * 3}
	for kind, share := range [memoryKinds]int64{
		heldQueued: 2, heldOutput: 4, heldRetained: 2, heldSubscriptions: 3, heldReplays: 8, heldRoutes: 8, heldAliases: 16, heldWills: 8,
		heldSessions: 3, heldConnecting: 8,
	} {
		l.kinds[kind] = available / share
	}
	return l
}

// setLimits puts other limits in force.
func (m *memory) setLimits(l memoryLimits) {
	m.limit.Store(l.all)
	for kind, limit := range l.kinds {
		m.kinds[kind].limit.Store(limit)
	}
}

// take counts n bytes of a kind, or reports false and counts nothing where they would go beyond a limit.
func (m *memory) take(kind memoryKind, n int64) bool {
	k := &m.kinds[kind]
	if held, limit := k.held.Add(n), k.limit.Load(); held > limit && limit > 0 {
		k.held.Add(-n)
		return false
	}
	if held, limit := m.held.Add(n), m.limit.Load(); held > limit && limit > 0 {
		m.give(kind, n)
		return false
	}
	return true
}

// force counts n bytes of a kind whatever the limits say.
func (m *memory) force(kind memoryKind, n int64) {
	m.kinds[kind].held.Add(n)
	m.held.Add(n)
}

// give counts n bytes of a kind off again.
func (m *memory) give(kind memoryKind, n int64) { m.force(kind, -n) }

// full tells whether nothing more of a kind is taken.
func (m *memory) full(kind memoryKind) bool {
	k := &m.kinds[kind]
	limit, all := k.limit.Load(), m.limit.Load()
	return limit > 0 && k.held.Load() >= limit || all > 0 && m.held.Load() >= all
}

// of is how many bytes of a kind are held.
func (m *memory) of(kind memoryKind) int64 { return m.kinds[kind].held.Load() }

// total is how many bytes are held in all.
func (m *memory) total() int64 { return m.held.Load() }

// account is one kind of a [memory], for packages that count without knowing of the others.
type account struct {
	memory *memory
	kind   memoryKind
}

func (a account) Take(n int64) bool { return a.memory.take(a.kind, n) }

// Force implements [session.Account]; n may be negative.
func (a account) Force(n int64) { a.memory.force(a.kind, n) }
