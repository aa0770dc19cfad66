package local

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"

	"picket/cause"
	"picket/logging"
)

// Damage is what was found to be damaged, and what has become of it.
type Damage struct {
	Reason string   // what was found
	Moved  string   // where the damaged database lies now
	Lost   []string // what is missing
}

// lost notes what is missing.
func (s *Store) lost(what string) {
	s.cause(logging.Error, cause.PersistenceCorrupt, "Lost from the store %s: %s.", s.dir, what)
	if len(s.damage) == 0 {
		s.damage = append(s.damage, Damage{})
	}
	d := &s.damage[len(s.damage)-1]
	d.Lost = append(d.Lost, what)
}

// salvage moves what can be read of the database into a fresh one, and the damaged one aside.
func (s *Store) salvage(reason error) error {
	started := time.Now()
	s.damage = append(s.damage, Damage{Reason: reason.Error()})
	s.cause(logging.Error, cause.PersistenceCorrupt, "The store %s is damaged: %v. What can be read is moved into a fresh store.", s.dir, reason)
	if err := s.removeAll(freshName); err != nil {
		return err
	}
	err := s.fill()
	if isFull(err) {
		// There is no space for a second one. The damaged one stays, for whoever makes room and looks at it.
		s.lost("everything, because there is no space to move it; it is still in the damaged store")
		if err = s.removeAll(freshName); err == nil {
			err = makeDirectory(s.base, s.path(freshName))
		}
	}
	if err != nil {
		return err
	}
	if err := errors.Join(s.base.Rename(s.path(freshName), s.path(readyName)), syncDirectory(s.base, s.dir)); err != nil {
		return err
	}
	if err := s.finishSalvage(); err != nil {
		return err
	}
	s.log.Printf(logging.Notice, "What could be read of the store %s is in use again, after %s. The damaged files are in %s.",
		s.dir, time.Since(started).Round(time.Millisecond), s.damage[len(s.damage)-1].Moved)
	return nil
}

func (s *Store) removeAll(name string) error {
	err := s.base.RemoveAll(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// finishSalvage puts a database in place that has been filled, also when the process ended in the middle of that.
func (s *Store) finishSalvage() error {
	if _, err := s.base.Stat(s.path(readyName)); err != nil {
		return nil //nolint:nilerr // there is nothing to finish
	}
	if _, err := s.base.Stat(s.path(databaseName)); err == nil {
		moved := s.path(damagedName + "-" + time.Now().UTC().Format("20060102T150405.000000"))
		if err := s.base.Rename(s.path(databaseName), moved); err != nil {
			return err
		}
		if n := len(s.damage); n > 0 {
			s.damage[n-1].Moved = moved
		}
	}
	for _, name := range [...]string{checkpointName, suspectName} {
		if err := s.base.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := s.base.Rename(s.path(readyName), s.path(databaseName)); err != nil {
		return err
	}
	return syncDirectory(s.base, s.dir)
}

// fill makes the fresh database.
func (s *Store) fill() error {
	if err := makeDirectory(s.base, s.path(freshName)); err != nil {
		return err
	}
	e := newEngine(s.base, &s.syncs)
	if err := e.open(s.path(freshName), false); err != nil {
		_ = e.close() // it is the other error that counts
		return err
	}
	f := &filler{store: s, to: e, out: e.db.NewBatch()}
	from := s.path(databaseName)
	err := f.tables(from)
	if err != nil {
		// Which tables belong to the database is not known. Whatever there is is sorted by its age.
		s.lost(fmt.Sprintf("the list of tables (%v); what was removed last may be there again", err))
		err = f.anything(from)
	} else {
		err = f.logs(from)
	}
	if err == nil {
		err = f.flush()
	}
	if err == nil {
		err = f.mend()
	}
	if err == nil {
		err = e.run1(e.db.Flush)
	}
	if err != nil {
		_ = e.close() // it is the other error that counts
		return err
	}
	return e.close()
}

// filler fills a fresh database.
type filler struct {
	store *Store
	to    *engine
	out   *pebble.Batch
	group uint64 // highest that was seen
	moved int
}

func (f *filler) set(key, value []byte) error {
	if !wellFormed(key) {
		return nil
	}
	if key[0] == keyGroup {
		if n, _, ok := decodeGroup(value); ok {
			f.group = max(f.group, n)
		}
	}
	f.moved++
	return errors.Join(f.out.Set(key, value, nil), f.full())
}

func (f *filler) delete(key []byte) error { return errors.Join(f.out.Delete(key, nil), f.full()) }

func (f *filler) full() error {
	if f.out.Len() < 1<<20 {
		return nil
	}
	return f.flush()
}

func (f *filler) flush() error {
	err := f.to.apply(f.out, false)
	if err == nil {
		err = f.out.Close()
	}
	f.out = f.to.db.NewBatch()
	return err
}

// span is a part of the keys that cannot be read: from low up to but not including high. Below it, in older tables, there may be records that
// were changed or removed later; so nothing of it is moved.
type span struct {
	low, high []byte
	why       string
}

func (b *span) has(key []byte) bool {
	return bytes.Compare(b.low, key) <= 0 && bytes.Compare(key, b.high) < 0
}

// spans reads every table of a database and returns what of them cannot be read.
func (s *Store) spans(e *engine, dir string) (all []span, err error) {
	levels, err := e.db.SSTables()
	if err != nil {
		return nil, err
	}
	for _, level := range levels {
		for _, table := range level {
			name := s.base.PathJoin(dir, fmt.Sprintf("%06d.sst", uint64(table.BackingSSTNum)))
			low, high, err := readableEnds(s.base, name)
			if err == nil {
				continue
			}
			sp := span{low: table.Smallest.UserKey, high: behind(table.Largest.UserKey), why: fmt.Sprintf("%s: %v", name, err)}
			if low != nil {
				sp.low = behind(low)
			}
			if high != nil {
				sp.high = high
			}
			all = append(all, sp)
		}
	}
	return all, nil
}

// behind is the lowest key above another.
func behind(key []byte) []byte { return append(bytes.Clone(key), 0) }

// readableEnds reads a table from both ends, and returns the last keys that it gets to, where it does not get through.
func readableEnds(fs vfs.FS, name string) (low, high []byte, err error) {
	r, err := openTable(fs, name)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close() //nolint:errcheck // it was only read
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return nil, nil, err
	}
	for kv := it.First(); kv != nil; kv = it.Next() {
		if _, _, err = kv.Value(nil); err != nil {
			break
		}
		low = append(low[:0], kv.K.UserKey...)
	}
	if err = errors.Join(err, it.Error(), it.Close()); err == nil {
		return nil, nil, nil
	}
	if it, iterErr := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles); iterErr == nil {
		for kv := it.Last(); kv != nil; kv = it.Prev() {
			if _, _, err := kv.Value(nil); err != nil {
				break
			}
			high = append(high[:0], kv.K.UserKey...)
		}
		_ = it.Close() // what it stops at is known
	}
	return low, high, err
}

func openTable(fs vfs.FS, name string) (*sstable.Reader, error) {
	file, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	readable, err := sstable.NewSimpleReadable(file)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	r, err := sstable.NewReader(context.Background(), readable, sstable.ReaderOptions{})
	if err != nil {
		return nil, errors.Join(err, readable.Close())
	}
	return r, nil
}

// tables moves what the tables hold, where it is known which ones belong to the database and that none is missing from the list.
func (f *filler) tables(dir string) (err error) {
	e, err := f.store.tablesOnly(dir)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, e.close())
	}()
	bad, err := f.store.spans(e, dir)
	if err != nil {
		return err
	}
	for _, b := range bad {
		f.store.lost(fmt.Sprintf("records from %s to %s (%s)", describe(b.low), describe(b.high), b.why))
	}
	held, err := getGroup(e.db)
	groupLost := slices.ContainsFunc(bad, func(b span) bool { return b.has(groupKey) })
	if err != nil && !groupLost {
		return err
	}
	if !groupLost {
		if cp, known, err := f.store.readCheckpoint(); err == nil && known && held < cp.group {
			return fmt.Errorf("%w: it ends with group %d, and must go to %d", errDamage, held, cp.group)
		}
		if first, ok, err := f.firstGroup(dir); err != nil || ok && first > held+1 {
			return errors.Join(err, fmt.Errorf("%w: it ends with group %d, and the changes begin with group %d", errDamage, held, first))
		}
	}
	slices.SortFunc(bad, func(a, b span) int { return bytes.Compare(a.low, b.low) })
	from := []byte{0}
	for _, b := range bad {
		if bytes.Compare(from, b.low) < 0 {
			if err := f.copy(e, from, b.low); err != nil {
				return err
			}
		}
		if bytes.Compare(b.high, from) > 0 {
			from = b.high
		}
	}
	return f.copy(e, from, []byte{0xFF})
}

// copy moves the records from low up to but not including high. It stops at damage that reading at the edge of a damaged part runs into.
func (f *filler) copy(e *engine, low, high []byte) error {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		return err
	}
	defer it.Close() //nolint:errcheck // damage has been noted
	for it.First(); it.Valid(); it.Next() {
		value, readErr := it.ValueAndErr()
		if readErr != nil {
			break
		}
		if err := f.set(it.Key(), value); err != nil {
			return err
		}
	}
	return nil
}

// logs moves what the logs of changes hold, in order.
func (f *filler) logs(dir string) error {
	return f.eachLog(dir, func(repr []byte) error {
		return eachChange(repr, func(_ uint64, kind pebble.InternalKeyKind, key, value []byte) error {
			if kind == pebble.InternalKeyKindSet {
				return f.set(key, value)
			}
			return f.delete(key)
		})
	})
}

// eachLog reads all logs of changes, and goes on behind what cannot be read of them.
func (f *filler) eachLog(dir string, do func(repr []byte) error) error {
	logs, err := wal.Scan(wal.Dir{FS: f.store.base, Dirname: dir})
	if err != nil {
		return err
	}
	for _, l := range logs {
		gaps, err := eachBatch(l, do)
		if err != nil {
			return err
		}
		if gaps > 0 {
			f.store.lost(fmt.Sprintf("some of the last changes, in %d places of the log %s; what they changed is as it was before", gaps, l.Num))
		}
	}
	return nil
}

// firstGroup is the lowest number of a group in the logs of changes.
func (f *filler) firstGroup(dir string) (first uint64, ok bool, err error) {
	logs, err := wal.Scan(wal.Dir{FS: f.store.base, Dirname: dir})
	for _, l := range logs {
		_, logErr := eachBatch(l, func(repr []byte) error {
			if group, _, is := groupOf(repr); is && (!ok || group < first) {
				first, ok = group, true
			}
			return nil
		})
		err = errors.Join(err, logErr)
	}
	return first, ok, err
}

// eachChange takes a batch of Pebble's apart.
func eachChange(repr []byte, do func(number uint64, kind pebble.InternalKeyKind, key, value []byte) error) error {
	head, ok := batchrepr.ReadHeader(repr)
	if !ok {
		return nil
	}
	r := batchrepr.Read(repr)
	for n := uint64(head.SeqNum); ; n++ {
		kind, key, value, ok, err := r.Next()
		if err != nil || !ok {
			return nil //nolint:nilerr // its checksum was right: it is empty, or ends early in a way that only a later version knows
		}
		switch kind {
		case pebble.InternalKeyKindSet, pebble.InternalKeyKindDelete, pebble.InternalKeyKindDeleteSized:
			if err := do(n, kind, key, value); err != nil {
				return err
			}
		}
	}
}

// anything moves the newest of whatever is in any table or log.
func (f *filler) anything(dir string) error {
	names, err := f.store.base.List(dir)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if !strings.HasSuffix(name, ".sst") {
			continue
		}
		if err := f.table(f.store.base.PathJoin(dir, name)); err != nil {
			return err
		}
	}
	err = f.eachLog(dir, func(repr []byte) error {
		return eachChange(repr, f.newest)
	})
	if err != nil {
		return err
	}
	return f.strip()
}

// table moves what can be read of a table.
func (f *filler) table(name string) error {
	r, err := openTable(f.store.base, name)
	if err != nil {
		f.store.lost(fmt.Sprintf("the table %s (%v)", name, err))
		return nil
	}
	defer r.Close() //nolint:errcheck // it was only read
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		f.store.lost(fmt.Sprintf("the table %s (%v)", name, err))
		return nil
	}
	var key []byte
	kv := it.First()
	for ; kv != nil; kv = it.Next() {
		value, _, err := kv.Value(nil)
		if err != nil {
			break
		}
		key = append(key[:0], kv.K.UserKey...)
		if err := f.newest(uint64(kv.K.SeqNum()), kv.K.Kind(), key, value); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	through := kv == nil
	failure := errors.Join(it.Error(), it.Close())
	if through && failure == nil {
		return nil
	}
	if it, err = r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles); err == nil {
		for kv := it.Last(); kv != nil && bytes.Compare(kv.K.UserKey, key) > 0; kv = it.Prev() {
			value, _, err := kv.Value(nil)
			if err != nil {
				break
			}
			if err := f.newest(uint64(kv.K.SeqNum()), kv.K.Kind(), kv.K.UserKey, value); err != nil {
				return errors.Join(err, it.Close())
			}
		}
		_ = it.Close() // what it stops at is known
	}
	f.store.lost(fmt.Sprintf("a part of the table %s (%v)", name, failure))
	return nil
}

// newest keeps a record, with its age before it, unless a newer one has been kept.
func (f *filler) newest(age uint64, kind pebble.InternalKeyKind, key, value []byte) error {
	if !wellFormed(key) {
		return nil
	}
	if err := f.flush(); err != nil {
		return err
	}
	was, closer, err := f.to.db.Get(key)
	switch {
	case err == nil:
		newer := len(was) >= 9 && binary.BigEndian.Uint64(was) >= age
		if err := closer.Close(); err != nil || newer {
			return err
		}
	case !errors.Is(err, pebble.ErrNotFound):
		return err
	}
	kept := append(binary.BigEndian.AppendUint64(nil, age), byte(kind))
	return f.out.Set(key, append(kept, value...), nil)
}

// strip takes the ages off again, and what was removed out.
func (f *filler) strip() error {
	if err := f.flush(); err != nil {
		return err
	}
	it, err := f.to.db.NewIter(nil)
	if err != nil {
		return err
	}
	for it.First(); it.Valid(); it.Next() {
		kept := it.Value()
		switch kind := pebble.InternalKeyKind(kept[8]); kind {
		case pebble.InternalKeyKindSet, pebble.InternalKeyKindSetWithDelete:
			err = f.set(it.Key(), kept[9:])
		default:
			err = f.delete(it.Key())
		}
		if err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return it.Close()
}
