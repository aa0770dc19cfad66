package local

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"picket/session"
	"picket/store"
)

// checkWhole closes a store and looks whether what it holds is what it must hold when everything is durable.
func checkWhole(t *testing.T, w *world, fs vfs.FS) {
	t.Helper()
	for range 2 { // what is refused is answered
		if err := w.s.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.answer()
	}
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	verify(t, fs, "/store")
	s, r := start(t, fs, "/store", Options{})
	defer s.Close()
	if err := w.check(imageOf(t, s, r), 1<<62, len(w.changes)); err != nil {
		t.Fatal(err)
	}
	if d := s.Damage(); len(d) > 0 {
		t.Fatalf("%+v", d)
	}
}

// TestFullDisk has less space than the reserve: nothing can be added then, everything can be removed, and it goes on when there is space again.
func TestFullDisk(t *testing.T) {
	fs := vfs.NewMem()
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 30, TotalBytes: 2 << 30})
	s, r := start(t, fs, "/store", Options{Reserve: 4 << 20})
	w := newWorld(t, rand.New(rand.NewPCG(1, 4)), s, r)
	for range 100 {
		w.step()
	}
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 20, TotalBytes: 2 << 30})
	refused := new(store.Batch)
	refused.Retain(&session.Message{ID: s.NewMessageID(), Topic: "full", QoS: 1}, nil)
	w.commit(refused, edit{key: retainedName("full"), value: "never"})
	var errs, health []error
	r.wait(func() bool { errs, health = slices.Clone(r.errs), slices.Clone(r.health); return len(errs) > 0 })
	if !errors.Is(errs[0], store.ErrFull) || len(health) != 1 || !errors.Is(health[0], store.ErrFull) {
		t.Fatalf("errors %v, health %v", errs, health)
	}
	if _, err := fs.Stat("/store/" + reserveName); err == nil {
		t.Error("the reserve is still there")
	}
	for range 30 {
		w.acknowledge()
		w.end()
	}
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: 1 << 30, TotalBytes: 2 << 30})
	for well := false; !well; { // what is free is looked at now and then only
		w.step()
		if err := s.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		r.wait(func() bool { well = r.health[len(r.health)-1] == nil; return true })
	}
	for range 50 {
		w.step()
	}
	checkWhole(t, w, fs)
}

// faults has writes fail while it is on.
type faults struct {
	on   atomic.Bool
	err  error
	some func(name string) bool // nil: all files
	sync bool                   // only fsync: what was written is there nevertheless
}

func (f *faults) String() string { return "faults" }

// MaybeError implements [errorfs.Injector].
func (f *faults) MaybeError(op errorfs.Op) error {
	if f.sync && op.Kind != errorfs.OpFileSync && op.Kind != errorfs.OpFileSyncData {
		return nil
	}
	if !f.on.Load() || op.Kind.ReadOrWrite() == errorfs.OpIsRead || f.some != nil && !f.some(op.Path) {
		return nil
	}
	return f.err
}

// TestFailingWrites has writes of all files, or of some kinds, fail for a while, again and again. Nothing that was reported as committed may be missing
// afterwards, and nothing that was refused may be there.
func TestFailingWrites(t *testing.T) {
	kinds := map[string]func(string) bool{
		"everything": nil,
		"logs":       func(name string) bool { return strings.HasSuffix(name, ".log") },
		"tables":     func(name string) bool { return strings.HasSuffix(name, ".sst") },
		"lists":      func(name string) bool { return strings.Contains(name, "MANIFEST") || strings.Contains(name, "marker") },
	}
	t.Run("fsync", func(t *testing.T) {
		t.Parallel()
		failingWrites(t, &faults{err: syscall.EIO, sync: true})
	})
	for name, some := range kinds {
		for _, err := range []error{syscall.EIO, syscall.ENOSPC} {
			t.Run(name+" "+err.Error(), func(t *testing.T) {
				t.Parallel()
				failingWrites(t, &faults{err: err, some: some})
			})
		}
	}
}

func failingWrites(t *testing.T, f *faults) {
	rng := rand.New(rand.NewPCG(*seed, 5))
	mem := vfs.NewMem()
	s, r := start(t, errorfs.Wrap(mem, f), "/store", Options{reopen: 10 * time.Millisecond})
	w := newWorld(t, rng, s, r)
	for range 4 {
		for range 40 {
			w.step()
		}
		if e := s.current(); e != nil && rng.IntN(2) == 0 {
			go func() { _ = caught(e.db.Flush) }() // tables are written now
		}
		f.on.Store(true)
		for range 20 {
			w.step()
			_ = s.Sync(context.Background()) // it fails, and what was refused is known
		}
		f.on.Store(false)
		r.wait(func() bool { return len(r.health) == 0 || r.health[len(r.health)-1] == nil })
	}
	checkWhole(t, w, mem)
}

// TestExpiry lists what has expired, and lists it again until it is answered.
func TestExpiry(t *testing.T) {
	fs := vfs.NewMem()
	s, r := start(t, fs, "/store", Options{})
	one := s.NewSession("one")
	message := func(topic string, expires int64) *session.Message {
		return &session.Message{ID: s.NewMessageID(), Topic: topic, Payload: make([]byte, 300), QoS: 1, Expires: expires}
	}
	retained, newer := message("r", 100), message("r", 200)
	b := new(store.Batch)
	b.Save(one, store.Record{Expiry: 1000})
	var refs []store.Ref
	for seq, expires := range []int64{100, 0, 101, 300, 50} {
		refs = append(refs, b.Enqueue(one, session.Delivery{Seq: uint64(seq), Message: message("q", expires), QoS: 1}, false))
	}
	b.Retain(retained, nil)
	s.Commit(b)
	list := func(now int64) (what []string) {
		if err := s.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		all, err := s.Expired(context.Background(), now, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range all {
			if e.Session == nil {
				what = append(what, "retained "+e.Topic)
			} else {
				what = append(what, fmt.Sprintf("%s %d", e.Session.ClientID, e.Ref.Seq))
				if e.Ref != refs[e.Ref.Seq] {
					t.Errorf("%+v, want %+v", e.Ref, refs[e.Ref.Seq])
				}
			}
		}
		return what
	}
	expect := func(now int64, want ...string) {
		t.Helper()
		if got := list(now); !slices.Equal(got, want) {
			t.Errorf("at %d: %q, want %q", now, got, want)
		}
	}
	expect(49)
	expect(100, "one 4", "one 0", "retained r")
	expect(101, "one 4", "one 0", "retained r", "one 2")
	b = new(store.Batch)
	b.Remove(one, refs[4])
	b.Keep(one, refs[0]) // on its way
	b.Retain(newer, retained)
	s.Commit(b)
	expect(150, "one 2")
	expect(200, "one 2", "retained r")
	b = new(store.Batch)
	b.Unretain(newer)
	b.End(one)
	s.Commit(b)
	expect(1000)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	verify(t, fs, "/store")
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failed) > 0 {
		t.Error(r.errs)
	}
}

// TestDoubleRemoval removes an entry twice by mistake: the message that another session waits for stays.
func TestDoubleRemoval(t *testing.T) {
	fs := vfs.NewMem()
	s, _ := start(t, fs, "/store", Options{})
	defer s.Close()
	sessions := known(s, 2)
	m := &session.Message{ID: s.NewMessageID(), Topic: "t", Payload: make([]byte, 1000), QoS: 1}
	var refs [2]store.Ref
	b := new(store.Batch)
	for i, to := range sessions {
		refs[i] = b.Enqueue(to, session.Delivery{Seq: 0, Message: m, QoS: 1}, false)
	}
	s.Commit(b)
	for range 3 {
		if err := s.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		b := new(store.Batch)
		b.Remove(sessions[0], refs[0])
		s.Commit(b)
	}
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	entries, _, err := s.Read(context.Background(), sessions[1], 0, store.Limit{Entries: 9, Bytes: 1 << 20}, nil)
	if err != nil || len(entries) != 1 || entries[0].Damaged || len(entries[0].Message.Payload) != 1000 {
		t.Errorf("%+v, %v", entries, err)
	}
}
