package local

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/wal"

	"picket/cause"
	"picket/logging"
	"picket/store"
)

const logWarning = logging.Warning

// errDamage says that something stored is not what was written.
var errDamage = errors.New("damaged")

// isDamage tells whether an error of reading says that what is stored is damaged: its checksum is wrong, or the disk does not give it back.
func isDamage(err error) bool {
	return err != nil && !errors.Is(err, store.ErrNewer) && !errors.Is(err, store.ErrFailed) && !errors.Is(err, store.ErrClosed) && !errors.Is(err, errCut)
}

// noteDamage reports damage that is found while the store is open. The next start checks everything and moves what is whole.
func (s *Store) noteDamage(err error) {
	if s.suspect.Swap(true) {
		return
	}
	s.cause(logging.Error, cause.PersistenceCorrupt, "The store %s is damaged: %v. What cannot be read is left out; the next start moves the rest into a fresh store.", s.dir, err)
	if err := s.writeFile(s.path(suspectName), []byte(err.Error()+"\n")); err != nil {
		s.log.Printf(logging.Warning, "Warning: %v.", err)
	}
}

// The numbers of the groups show what is missing where Pebble cannot: it takes a list of tables that ends early for one that was written to
// that point, and deletes the tables that are not in it. So before it is opened for writing, what its tables hold is compared with how far
// the checkpoint and the logs of changes say that it got.

// checkpoint says how far the tables have got. It is written after each flush, and when the store is closed.
type checkpoint struct {
	group  uint64 // the tables hold this group
	engine uint64 // format of Pebble's files
}

const checkpointSize = 1 + 8 + 8 + 4

func (c checkpoint) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, store.Version)
	dst = binary.BigEndian.AppendUint64(dst, c.group)
	dst = binary.BigEndian.AppendUint64(dst, c.engine)
	return binary.BigEndian.AppendUint32(dst, crc32.ChecksumIEEE(dst[start:]))
}

func decodeCheckpoint(data []byte) (c checkpoint, ok bool) {
	if len(data) != checkpointSize || crc32.ChecksumIEEE(data[:checkpointSize-4]) != binary.BigEndian.Uint32(data[checkpointSize-4:]) {
		return c, false
	}
	return checkpoint{group: binary.BigEndian.Uint64(data[1:]), engine: binary.BigEndian.Uint64(data[9:])}, true
}

// writeCheckpoint replaces the checkpoint by what the tables hold now.
func (s *Store) writeCheckpoint(e *engine) error {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: groupKey, UpperBound: []byte{keyGroup + 1}, OnlyReadGuaranteedDurable: true})
	if err != nil {
		return err
	}
	var c checkpoint
	c.engine = uint64(engineFormat)
	if it.First() {
		c.group, _, _ = decodeGroup(it.Value())
	}
	if err := it.Close(); err != nil {
		return err
	}
	name := s.path(checkpointName)
	if err := s.writeFile(name+".new", c.append(nil)); err != nil {
		return err
	}
	return errors.Join(s.base.Rename(name+".new", name), syncDirectory(s.base, s.dir))
}

// writeFile writes a file that only its owner can read, and has it on the disk.
func (s *Store) writeFile(name string, data []byte) error {
	f, err := s.base.Create(name, "picket")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, private(s.base, name), f.Sync(), f.Close())
}

func (s *Store) readCheckpoint() (c checkpoint, ok bool, err error) {
	data, err := readFile(s.base, s.path(checkpointName))
	if errors.Is(err, fs.ErrNotExist) {
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	if c, ok = decodeCheckpoint(data); !ok {
		s.log.Printf(logging.Warning, "The store's checkpoint %s is damaged, and not needed this time.", s.path(checkpointName))
	}
	return c, ok, nil
}

func readFile(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	return data, errors.Join(err, f.Close())
}

// hidden is a file system without some files.
type hidden struct {
	vfs.FS
	hide func(base string) bool
}

func (h hidden) List(dir string) ([]string, error) {
	names, err := h.FS.List(dir)
	return slices.DeleteFunc(names, h.hide), err
}

// notTables tells of a file that is not needed to read the tables: logs of changes, and the options, which say nothing that we do not.
func notTables(base string) bool {
	return strings.HasSuffix(base, ".log") || strings.HasPrefix(base, "OPTIONS-")
}

// tablesOnly opens what the tables hold, without changing anything.
func (s *Store) tablesOnly(dir string) (*engine, error) {
	e := newEngine(hidden{s.base, notTables}, &s.syncs)
	if err := e.open(dir, true); err != nil {
		_ = e.close() // it is the other error that counts
		return nil, err
	}
	return e, nil
}

// check compares what there is of the database with what there must be, and returns what is wrong.
func (s *Store) check() error {
	dir := s.path(databaseName)
	if reason, err := readFile(s.base, s.path(suspectName)); err == nil {
		return fmt.Errorf("%w, as was found while it was in use: %s", errDamage, strings.TrimSpace(string(reason)))
	}
	cp, known, err := s.readCheckpoint()
	if err != nil {
		return err
	}
	if known && cp.engine > uint64(engineFormat) {
		return fmt.Errorf("its tables have format %d, and this program knows formats up to %d: %w", cp.engine, engineFormat, store.ErrNewer)
	}
	if _, err := s.base.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if known && cp.group > 0 {
			return fmt.Errorf("%w: the database %s is missing", errDamage, dir)
		}
		return makeDirectory(s.base, dir)
	}
	names, err := s.base.List(dir)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, "marker.manifest.") }) {
		if len(names) > 2 && known && cp.group > 0 { // more than the lock and what an unfinished first start leaves
			return fmt.Errorf("%w: the list of tables is missing", errDamage)
		}
		return nil // new
	}
	e, err := s.tablesOnly(dir)
	if err != nil {
		return err
	}
	held, err := getGroup(e.db)
	if err = errors.Join(err, e.close()); err != nil {
		return err
	}
	if known && held < cp.group {
		return fmt.Errorf("%w: the tables hold changes up to group %d, and held those up to %d", errDamage, held, cp.group)
	}
	return s.checkLogs(dir, held)
}

// checkLogs looks whether the groups in the logs of changes go on from those in the tables, as far as they were synced.
func (s *Store) checkLogs(dir string, held uint64) error {
	logs, err := wal.Scan(wal.Dir{FS: s.base, Dirname: dir})
	if err != nil {
		return err
	}
	last, proven := held, held
	for i, l := range logs {
		first := true
		_, err := eachBatch(l, func(repr []byte) error {
			group, synced, ok := groupOf(repr)
			if !ok {
				return nil
			}
			proven = max(proven, synced)
			if first && i > 0 {
				proven = max(proven, group-1) // a log is synced before the next one is begun
			}
			first = false
			if group == last+1 {
				last = group
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if last < proven {
		return fmt.Errorf("%w: %w: group %d of the changes is missing, and those up to %d were written", errDamage, errGroups, last+1, proven)
	}
	return nil
}

// errGroups says that groups of changes are missing.
var errGroups = errors.New("the logs of changes have a gap")

// logBlock is the size of the blocks of a log, at whose borders reading can go on behind something that cannot be read.
const logBlock = 32 << 10

// eachBatch reads the batches of a log of changes, and goes on behind what cannot be read. gaps is how many of them there are between
// batches that can.
func eachBatch(l wal.LogicalLog, do func(repr []byte) error) (gaps int, err error) {
	fs, name := l.SegmentLocation(0)
	data, err := readFile(fs, name)
	if err != nil {
		return 0, err
	}
	broken := false
	for at := 0; at < len(data); {
		r := record.NewReader(bytes.NewReader(data[at:]), like(pebble.SSTableInfo{}.BackingSSTNum, uint64(l.Num)))
		for {
			rec, err := r.Next()
			var repr []byte
			if err == nil {
				repr, err = io.ReadAll(rec)
			}
			if err != nil {
				break
			}
			if broken {
				gaps++
				broken = false
			}
			if err := do(repr); err != nil {
				return gaps, err
			}
		}
		broken = true
		at = (at + int(r.Offset()) + logBlock) / logBlock * logBlock
	}
	return gaps, nil
}

// like is n in the type of another number, which has no name outside of Pebble.
func like[T ~uint64](_ T, n uint64) T { return T(n) }

// groupOf finds the group that a batch holds: its first record.
func groupOf(repr []byte) (group, synced uint64, ok bool) {
	if len(repr) < batchrepr.HeaderLen {
		return 0, 0, false
	}
	r := batchrepr.Read(repr)
	kind, key, value, ok, err := r.Next()
	if err != nil || !ok || kind != pebble.InternalKeyKindSet || string(key) != string(groupKey) {
		return 0, 0, false
	}
	return decodeGroup(value)
}
