package backend

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"picket/access"
)

// maxAnswers bounds how many answers are remembered of each kind: some 20 MB.
const maxAnswers = 100_000

// key stands for a question. It says nothing about a password that is part of it: it is keyed by a secret of the process.
type key [sha256.Size]byte

// answers remembers what was answered, those used last. Yes and no are apart, so that wrong passwords do not push out the right ones.
type answers struct {
	ttl, jitter time.Duration
	refresh     bool
	most        int // of each of the two
	secret      [sha256.Size]byte
	now         func() time.Time

	mu      sync.Mutex
	rand    *mathrand.Rand
	byKey   map[key]*list.Element
	yes, no list.List // of *answer, the one used last in front
}

// answer is one that is remembered.
type answer struct {
	key   key
	ok    bool
	grant *grant // of a login
	until time.Time
}

// newAnswers makes an empty memory. seed decides the jitter.
func newAnswers(ttl, jitter time.Duration, refresh bool, seed [32]byte) *answers {
	a := &answers{ttl: ttl, jitter: min(jitter, ttl), refresh: refresh, most: maxAnswers, now: time.Now, rand: mathrand.New(mathrand.NewChaCha8(seed)), byKey: make(map[key]*list.Element)}
	rand.Read(a.secret[:])
	return a
}

// key makes the key of a question out of its parts.
func (a *answers) key(parts ...string) (k key) {
	h := hmac.New(sha256.New, a.secret[:])
	var size [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(p)))
		h.Write(size[:])
		h.Write([]byte(p))
	}
	h.Sum(k[:0])
	return k
}

// right is the key of what a source was asked.
func (a *answers) right(source string, r right) key {
	return a.key(source, string([]byte{byte(r.action)}), r.user, r.client, r.topic)
}

// get returns what is remembered. fresh tells whether it still counts.
func (a *answers) get(k key) (is answer, fresh, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.byKey[k]
	if e == nil {
		return answer{}, false, false
	}
	one := e.Value.(*answer)
	a.of(one).MoveToFront(e)
	now := a.now()
	fresh = now.Before(one.until)
	if fresh && a.refresh {
		one.until = now.Add(a.lifetime())
	}
	return *one, fresh, true
}

// put remembers an answer, which without a lifetime counts only for what cannot wait.
func (a *answers) put(k key, ok bool, g *grant) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.byKey[k]; e != nil {
		a.of(e.Value.(*answer)).Remove(e)
	}
	one := &answer{key: k, ok: ok, grant: g, until: a.now().Add(a.lifetime())}
	l := a.of(one)
	a.byKey[k] = l.PushFront(one)
	if l.Len() > a.most {
		oldest := l.Back()
		l.Remove(oldest)
		delete(a.byKey, oldest.Value.(*answer).key)
	}
}

// of is the list that an answer is in.
func (a *answers) of(one *answer) *list.List {
	if one.ok {
		return &a.yes
	}
	return &a.no
}

func (a *answers) lifetime() time.Duration {
	if a.jitter == 0 {
		return a.ttl
	}
	return a.ttl - a.jitter + time.Duration(a.rand.Int64N(int64(2*a.jitter)+1))
}

// maxFilters bounds how many filters of a client are remembered as allowed. What comes for further ones is asked about by its topic.
const maxFilters = 100

// filters are those that a client was allowed to subscribe to. Safe for concurrent use.
type filters struct {
	mu  sync.Mutex
	all []string
}

func (f *filters) add(filter string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.all, filter) && len(f.all) < maxFilters {
		f.all = append(f.all, filter)
	}
}

// of returns those that match a topic name.
func (f *filters) of(name string) (some []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.all {
		if access.Covers(one, name) {
			some = append(some, one)
		}
	}
	return some
}
