package ban

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"picket/access"
)

// List is the bans in force, and the file that keeps them. The zero value has none, and keeps what is added until the program ends. Safe for concurrent use: who asks
// reads an immutable table behind an atomic pointer; who changes it holds mu.
//
// A change is first on the disk, then in force.
type List struct {
	path string                // empty: none is kept
	now  atomic.Pointer[table] // nil: nobody is banned by hand

	offenders offenders // whom a rule bans; that is not on the disk

	mu      sync.Mutex
	written os.FileInfo // the file as it was last read or written; nil: there was none
}

// FileName is the file's name in a data directory.
const FileName = "bans.json"

// State is a ban with what it has done since it was made or since the broker was started.
type State struct {
	Ban
	Rule    bool      `json:"rule,omitempty"` // a rule has made it (ban_after), and it is not kept over a restart
	Refused uint64    `json:"refused"`
	Last    time.Time `json:"last_refused,omitzero"`
}

// file is the form of the file.
type file struct {
	Bans []Ban `json:"bans"`
}

// Open reads the bans of a file, which need not be there before its first ban. An empty path is a list that is not kept. An error says what is wrong with the file.
func Open(path string) (*List, error) {
	l := &List{path: path}
	return l, l.Reload()
}

// Path returns the file's name; empty: bans are kept until the broker ends.
func (l *List) Path() string { return l.path }

// Reload reads the file again: somebody may have changed it. With an error what was in force stays in force.
func (l *List) Reload() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path == "" {
		return nil
	}
	all, info, err := read(l.path)
	if err != nil {
		return fmt.Errorf("the file of bans %s: %w", l.path, err)
	}
	l.written = info
	l.put(l.counted(all))
	return nil
}

// counted makes entries of bans, with what those about the same have counted so far.
func (l *List) counted(all []Ban) []*entry {
	type about struct {
		kind  Kind
		value string
	}
	old := make(map[about]*entry)
	if t := l.now.Load(); t != nil {
		for _, e := range t.entries {
			old[about{e.Kind, e.Value}] = e
		}
	}
	fresh := make([]*entry, len(all))
	for i, b := range all {
		fresh[i] = &entry{Ban: b}
		if e := old[about{b.Kind, b.Value}]; e != nil {
			fresh[i].refused.Store(e.refused.Load())
			fresh[i].last.Store(e.last.Load())
		}
	}
	return fresh
}

// put puts bans in force.
func (l *List) put(all []*entry) {
	if len(all) == 0 {
		l.now.Store(nil)
		return
	}
	l.now.Store(tableOf(all))
}

// read reads a file of bans; one that is not there has none.
func read(path string) ([]Ban, os.FileInfo, error) {
	data, info, err := access.ReadBounded(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	all, err := decode(data)
	return all, info, err
}

// decode reads the contents of a file of bans.
func decode(data []byte) ([]Ban, error) {
	var of file
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&of); err != nil {
		return nil, fmt.Errorf(`{"bans": […]} is expected: %w`, err)
	}
	if len(of.Bans) > maxBans {
		return nil, fmt.Errorf("%d bans are more than %d", len(of.Bans), maxBans)
	}
	for i := range of.Bans {
		if err := of.Bans[i].check(); err != nil {
			return nil, fmt.Errorf("ban %d: %w", i+1, err)
		}
	}
	return of.Bans, nil
}

// write puts bans on the disk. l.mu is held.
func (l *List) write(all []*entry) error {
	if l.path == "" {
		return nil
	}
	of := file{Bans: []Ban{}}
	for _, e := range all {
		of.Bans = append(of.Bans, e.Ban)
	}
	data, err := json.MarshalIndent(of, "", "\t")
	if err != nil {
		return err
	}
	l.written, err = access.ReplaceOwn(l.path, append(data, '\n'), l.written, maxFile)
	return err
}

// change puts bans on the disk and in force. l.mu is held.
func (l *List) change(all []*entry) error {
	if err := l.write(all); err != nil {
		return fmt.Errorf("the file of bans %s cannot be written, and nothing is changed: %w", l.path, err)
	}
	l.put(all)
	return nil
}

// rest returns all bans but one, and those that are over. l.mu is held.
func (l *List) rest(kind Kind, value string, now time.Time) (rest []*entry, found bool) {
	if t := l.now.Load(); t != nil {
		return t.without(kind, value, now)
	}
	return nil, false
}

// ErrRevision refuses a change that is for bans of another revision.
var ErrRevision = errors.New("the bans have changed since that revision was read")

// Revision names the bans that somebody has made and that are in force: it changes with each of them, and not with what they keep out.
func (l *List) Revision(now time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.revision(now)
}

func (l *List) revision(now time.Time) string {
	rest, _ := l.rest("", "", now)
	sum := sha256.New()
	for _, e := range rest {
		fmt.Fprintf(sum, "%q %q %q %s %s\n", e.Kind, e.Value, e.Why, e.Since.Format(time.RFC3339), e.Until.Format(time.RFC3339Nano))
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// Prepare makes a ban what it is kept as, or says why it cannot be kept. Nothing changes.
func (l *List) Prepare(b Ban, revision string, now time.Time) (Ban, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, _, err := l.prepare(b, revision, now)
	return b, err
}

// prepare also returns the bans that stay beside it. l.mu is held.
func (l *List) prepare(b Ban, revision string, now time.Time) (_ Ban, rest []*entry, err error) {
	b.Since = now.UTC().Truncate(time.Second)
	b.Until = b.Until.UTC()
	if b.over(now) {
		return Ban{}, nil, errors.New("the ban would be over already")
	}
	if err := b.check(); err != nil {
		return Ban{}, nil, err
	}
	if revision != "" && revision != l.revision(now) {
		return Ban{}, nil, ErrRevision
	}
	rest, _ = l.rest(b.Kind, b.Value, now)
	if len(rest) >= maxBans {
		return Ban{}, nil, fmt.Errorf("there are %d bans, and more are not kept: ban networks in place of addresses, or lift some", len(rest))
	}
	return b, rest, nil
}

// Add puts a ban in force, in place of one about the same, and returns it as it is kept. When it returns the ban is on the disk. Whoever is connected is not looked
// at. It fails with [ErrRevision] where the bans are not those of a revision; empty: any.
func (l *List) Add(b Ban, revision string, now time.Time) (Ban, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, rest, err := l.prepare(b, revision, now)
	if err != nil {
		return Ban{}, err
	}
	return b, l.change(append(rest, &entry{Ban: b}))
}

// UseRule has addresses banned by a rule from now on; nil: by none.
func (l *List) UseRule(r *Rule) { l.offenders.use(r) }

// Fail counts what a client at an address has done wrong, by the id of its cause, and returns the ban that is in force from now on for it; nil: none.
func (l *List) Fail(a netip.Addr, cause string, now time.Time) *Ban {
	return l.offenders.fail(a, cause, now)
}

// Remove lifts a ban, and those that a rule has made within the same network, and reports whether there was one. It fails with [ErrRevision] as [List.Add] does.
func (l *List) Remove(kind Kind, value, revision string, now time.Time) (bool, error) {
	b, err := Parse(kind, value)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if revision != "" && revision != l.revision(now) {
		return false, ErrRevision
	}
	forgiven := false
	if network, err := ParseNetwork(b.Value); err == nil && b.Kind == Address {
		forgiven = l.offenders.forgive(network, now)
	}
	all, found := l.rest(b.Kind, b.Value, now)
	if !found {
		return forgiven, nil
	}
	return true, l.change(all)
}

// Has tells whether there is a ban that [List.Remove] would lift. It fails as that does.
func (l *List) Has(kind Kind, value, revision string, now time.Time) (bool, error) {
	b, err := Parse(kind, value)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if revision != "" && revision != l.revision(now) {
		return false, ErrRevision
	}
	if _, found := l.rest(b.Kind, b.Value, now); found {
		return true, nil
	}
	network, err := ParseNetwork(b.Value)
	return err == nil && b.Kind == Address && l.offenders.within(network, now), nil
}

// All returns the bans in force, by kind and value.
func (l *List) All(now time.Time) []State {
	all := append([]State{}, l.offenders.all(now)...)
	if t := l.now.Load(); t != nil {
		all = append(all, t.states(now)...)
	}
	slices.SortFunc(all, func(a, b State) int {
		return cmp.Or(strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.Value, b.Value))
	})
	return all
}

// Covers tells whether an address is banned, and counts nothing.
func (l *List) Covers(a netip.Addr, now time.Time) bool {
	t := l.now.Load()
	return t != nil && t.address(a, now) != nil || l.offenders.address(a, now, false) != nil
}

// Address returns the ban that keeps an address out, and counts that it has; nil: there is none.
func (l *List) Address(a netip.Addr, now time.Time) *Ban {
	if b := l.hit(func(t *table) *entry { return t.address(a, now) }, now); b != nil {
		return b
	}
	return l.offenders.address(a, now, true)
}

// Client returns the ban that keeps a client identifier out, and counts that it has; nil: there is none.
func (l *List) Client(id string, now time.Time) *Ban {
	return l.hit(func(t *table) *entry { return t.client(id, now) }, now)
}

// User returns the ban that keeps a user out, and counts that it has; nil: there is none.
func (l *List) User(name string, now time.Time) *Ban {
	return l.hit(func(t *table) *entry { return t.user(name, now) }, now)
}

// Any returns a ban that somebody has made and that keeps out a client which is connected, by its address, its identifier or its user, and counts that it has; nil:
// there is none. Bans of a rule are not among them: they are about new connections.
func (l *List) Any(a netip.Addr, id, user string, now time.Time) *Ban {
	return l.hit(func(t *table) *entry { return cmp.Or(t.address(a, now), t.client(id, now), t.user(user, now)) }, now)
}

// hit finds a ban that somebody has made, and counts that it has kept somebody out.
func (l *List) hit(find func(*table) *entry, now time.Time) *Ban {
	t := l.now.Load()
	if t == nil {
		return nil
	}
	if e := find(t); e != nil {
		return e.hit(now)
	}
	return nil
}
