package local

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/session"
	"picket/store"
	"picket/store/storetest"
	"picket/topic"
)

var update = flag.Bool("update", false, "write testdata/format-2 anew: only while no release has that format")

// oldStore fills a store with a record of every kind.
func oldStore(t *testing.T, s *Store) {
	t.Helper()
	commit := func(fill func(b *store.Batch)) {
		b := new(store.Batch)
		fill(b)
		s.Commit(b)
		if err := s.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	message := func(name, payload string, qos byte) *session.Message {
		return &session.Message{ID: s.NewMessageID(), Topic: name, Payload: []byte(payload), QoS: qos, From: "publisher", User: "paul"}
	}
	long := message("a/long", strings.Repeat("long ", 100), 2)
	long.Props, long.Expires = []byte{3, 0, 4, 't', 'e', 'x', 't'}, 4102444800 // content type; the year 2100
	one, two := s.NewSession("one"), s.NewSession("two")
	commit(func(b *store.Batch) {
		b.Save(one, store.Record{Expiry: 0xFFFFFFFF, Offline: 1700000000, Next: 3, Sent: 2, User: "olga", Named: true, Listener: ":1883", Mount: "m/", Fence: 7,
			Will: &store.Will{Message: message("w", "gone", 1), Expiry: 60, Expires: true, Delay: 30, Due: 1700000030}})
		b.Save(two, store.Record{Expiry: 3600})
		b.Subscribe(one, "a/#", topic.Options{QoS: 2, NoLocal: true, RetainAsPublished: true, RetainHandling: 2, Identifier: 300}, nil)
		b.Receive(two, 77)
	})
	var released store.Ref
	commit(func(b *store.Batch) {
		released = b.Enqueue(one, session.Delivery{Seq: 0, Message: message("a/0", "zero", 2), QoS: 2}, false)
		b.Enqueue(one, session.Delivery{Seq: 1, Message: message("a/1", "short", 1), QoS: 1, IDs: []uint32{300}}, false)
		b.Enqueue(one, session.Delivery{Seq: 2, Message: long, QoS: 2, Retain: true}, false)
		b.Enqueue(two, session.Delivery{Seq: 9, Message: long, QoS: 0}, false)
		b.Retain(long, nil)
		b.Retain(message("r", "retained", 1), nil)
	})
	commit(func(b *store.Batch) { b.Release(one, &released) })
}

// TestOldFormats opens stores that earlier versions have written. Their directories stay as they are for good.
func TestOldFormats(t *testing.T) {
	if *update {
		writeFormat(t, "testdata/format-2")
	}
	for _, dir := range []string{"testdata/format-1", "testdata/format-2"} {
		t.Run(dir, func(t *testing.T) { readFormat(t, dir) })
	}
}

func writeFormat(t *testing.T, dir string) {
	fs := vfs.NewMem()
	s, _ := start(t, fs, "/store", Options{})
	oldStore(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	copyTree(t, fs, "/store", vfs.Default, dir)
	s, r := start(t, fs, "/store", Options{})
	if err := os.WriteFile(dir+".txt", []byte(storetest.ImageOf(t, s, r).String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func readFormat(t *testing.T, dir string) {
	want, err := os.ReadFile(dir + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	fs := vfs.NewMem()
	copyTree(t, vfs.Default, dir, fs, "/store")
	verify(t, fs, "/store")
	s, r := start(t, fs, "/store", Options{})
	defer s.Close()
	if got := storetest.ImageOf(t, s, r).String(); got != string(want) {
		t.Errorf("it holds\n%s\nwant\n%s", got, want)
	}
	if d := s.Damage(); len(d) > 0 {
		t.Errorf("%+v", d)
	}
}

// copyTree copies a store's files, but for the lock and the reserve.
func copyTree(t *testing.T, from vfs.FS, dir string, to vfs.FS, toDir string) {
	t.Helper()
	if err := to.MkdirAll(toDir, 0o700); err != nil {
		t.Fatal(err)
	}
	names, err := from.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		source, target := filepath.Join(dir, name), filepath.Join(toDir, name)
		info, err := from.Stat(source)
		switch {
		case err != nil:
			t.Fatal(err)
		case name == lockName || name == reserveName:
			continue
		case info.IsDir():
			copyTree(t, from, source, to, target)
			continue
		}
		data, err := readFile(from, source)
		if err != nil {
			t.Fatal(err)
		}
		f, err := to.Create(target, "test")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNewerFormat leaves alone what a later version has written.
func TestNewerFormat(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, s *Store){
		"format": func(t *testing.T, s *Store) {
			b := s.current().db.NewBatch()
			if err := b.Set(formatKey, []byte{formatNewest + 1}, nil); err != nil {
				t.Fatal(err)
			}
			if err := s.current().apply(b, true); err != nil {
				t.Fatal(err)
			}
		},
		"record": func(t *testing.T, s *Store) {
			b := s.current().db.NewBatch()
			if err := b.Set(sessionKey(nil, 1), []byte{store.Version + 1, 0}, nil); err != nil {
				t.Fatal(err)
			}
			if err := s.current().apply(b, true); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			s, _ := start(t, fs, "/store", Options{})
			spoil(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			before := filesOf(t, fs, "/store")
			_, err := Open("/store", Options{FS: fs, Log: newLog(t)})
			if err == nil || !strings.Contains(err.Error(), store.ErrNewer.Error()) {
				t.Fatal(err)
			}
			for _, name := range filesOf(t, fs, "/store") {
				if strings.Contains(name, damagedName) {
					t.Errorf("%s was made; there was %v", name, before)
				}
			}
		})
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	s, _ := start(t, vfs.Default, dir, Options{})
	defer s.Close()
	_, err := Open(dir, Options{Log: newLog(t)})
	if err == nil || !strings.Contains(err.Error(), ErrInUse.Error()) {
		t.Fatal(err)
	}
}

func TestFilesAreTheirOwnersAlone(t *testing.T) {
	if os.PathSeparator != '/' {
		t.Skip("no modes on this system")
	}
	dir := filepath.Join(t.TempDir(), "a", "store")
	s, _ := start(t, vfs.Default, dir, Options{})
	queueMany(t, s, known(s, 1), 0, 1000)
	if err := s.current().db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		want := os.FileMode(0o600)
		if err == nil && info.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode().Perm(), want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
