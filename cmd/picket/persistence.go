package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/broker"
	"picket/cause"
	"picket/logging"
	"picket/store/local"
	"picket/store/mosqdb"
)

// kept is the store of a running broker.
type kept struct {
	*local.Store
	file string // where mosquitto would have its own; empty: nowhere
	dir  string
}

// openStore opens the store that a configuration asks for, or returns nil. Where mosquitto has left its file and there is no store yet, the store is
// made of the file.
func openStore(ctx context.Context, p broker.Persistence, asMosquitto bool, log *logging.Logger) (*kept, error) {
	if !p.On {
		return nil, nil
	}
	mode, err := local.ParseMode(cmp.Or(p.Sync, "always"))
	if err != nil {
		return nil, err
	}
	k := &kept{dir: p.Store}
	if k.dir == "" {
		k.file = filepath.Join(p.Location, cmp.Or(p.File, "mosquitto.db"))
		k.dir = strings.TrimSuffix(k.file, ".db") + ".store"
	}
	if k.file != "" {
		if _, err := os.Stat(filepath.Dir(k.file)); err != nil {
			return nil, fmt.Errorf("persistence_location: %w. Make the directory, writable for the user that the broker runs as", err)
		}
		if err := k.prepare(ctx, asMosquitto, log); err != nil {
			return nil, err
		}
	}
	if k.Store, err = local.Open(k.dir, local.Options{Sync: mode, Log: log}); err != nil {
		return nil, err
	}
	return k, nil
}

// Suffixes of what is put aside.
const (
	importedSuffix = ".imported" // mosquitto's file, when it has been read
	oldSuffix      = ".old"      // a store whose file is gone
)

// prepare makes the place of mosquitto's file and the store fit each other.
func (k *kept) prepare(ctx context.Context, asMosquitto bool, log *logging.Logger) error {
	_, err := os.Stat(k.dir)
	stored := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err = os.Stat(k.file)
	switch {
	case err == nil && stored:
		return nil
	case err == nil:
		points, err := k.points()
		if err != nil {
			return err
		}
		if points {
			log.Printf(logging.Warning, "Warning: what %s speaks of, %s, is not there: the broker begins with nothing.", k.file, k.dir)
			return nil
		}
		if err := k.moveFromMosquitto(ctx, log); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case stored && asMosquitto:
		// This is how people have mosquitto forget everything.
		log.Printf(logging.Notice, "%s has been removed: the broker begins with nothing. What was stored is in %s.", k.file, k.dir+oldSuffix)
		if err := os.RemoveAll(k.dir + oldSuffix); err != nil {
			return err
		}
		if err := os.Rename(k.dir, k.dir+oldSuffix); err != nil {
			return err
		}
	}
	return k.point()
}

// moveFromMosquitto fills a new store with what mosquitto's file holds.
func (k *kept) moveFromMosquitto(ctx context.Context, log *logging.Logger) error {
	log.Printf(logging.Notice, "Moving what mosquitto has kept in %s to %s.", k.file, k.dir)
	fresh := k.dir + ".new"
	if err := os.RemoveAll(fresh); err != nil { // left by a start that was interrupted
		return err
	}
	file, sum, err := importFile(ctx, k.file, fresh, func(string, ...any) {})
	if err != nil {
		return fmt.Errorf("%w. Put a copy of it there from a backup, or move it away to begin with an empty store", err)
	}
	for _, line := range file.Lost {
		log.Cause(logging.Warning, cause.PersistenceCorrupt, "%s is damaged: %s.", k.file, line)
	}
	for _, line := range file.Skipped {
		log.Printf(logging.Warning, "Warning: %s: left out: %s.", k.file, line)
	}
	log.Printf(logging.Notice, "%s.", importSummary(sum))
	// In this order: whenever the machine stops, there is one or the other.
	if err := os.Rename(fresh, k.dir); err != nil {
		return err
	}
	if err := syncDirectory(filepath.Dir(k.dir)); err != nil {
		return err
	}
	return os.Rename(k.file, k.file+importedSuffix)
}

// syncDirectory has the names in a directory on the disk.
func syncDirectory(dir string) error {
	d, err := vfs.Default.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// point writes the file that says, at the place of mosquitto's, where everything is.
func (k *kept) point() error {
	f, err := os.OpenFile(k.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, pointer+"%s; \"picket store dump %s\" shows it.\n", k.dir, k.dir)
	return errors.Join(err, f.Sync(), f.Close())
}

// pointer is how the text begins that is put in the place of mosquitto's file.
const pointer = "What Picket keeps is in the directory "

// points tells whether there is that text in the place of mosquitto's file. Whatever else is there has to be one of mosquitto's.
func (k *kept) points() (bool, error) {
	f, err := os.Open(k.file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, len(pointer))
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return string(head[:n]) == pointer, nil
}

// importFile makes a store in dir of mosquitto's file.
func importFile(ctx context.Context, name, dir string, progress func(format string, args ...any)) (file *mosqdb.File, sum mosqdb.Summary, err error) {
	in, err := os.Open(name)
	if err != nil {
		return nil, sum, err
	}
	defer in.Close()
	file, err = mosqdb.Read(in, func(offset int64) { progress("%s of %s read", sizeWords(offset), name) })
	if err != nil {
		return nil, sum, fmt.Errorf("%s: %w", name, err)
	}
	log, err := quietLog()
	if err != nil {
		return nil, sum, err
	}
	defer log.Close()
	s, err := local.Open(dir, local.Options{Log: log})
	if err != nil {
		return nil, sum, err
	}
	h := &importHandler{}
	if err := s.Start(ctx, h); err != nil || h.used {
		err = errors.Join(err, s.Close())
		if h.used {
			err = errors.Join(fmt.Errorf("%s holds sessions or retained messages already; give a directory that is empty", dir), err)
		}
		return nil, sum, err
	}
	sum, err = mosqdb.Fill(ctx, file, s, time.Now().Unix(), func(clients int) {
		progress("%d of %s written", clients, plural(len(file.Clients), "session"))
	})
	if err = errors.Join(err, s.Close(), h.err()); err != nil {
		return nil, sum, fmt.Errorf("%w; %s is not complete: remove it before you try again", err, filepath.Clean(dir))
	}
	return file, sum, nil
}

func importSummary(sum mosqdb.Summary) string {
	return fmt.Sprintf("%s with %s, %s for them (%d in flight), %s not released, %s; left out because they have expired: %s, %s",
		plural(sum.Sessions, "session"), plural(sum.Subscriptions, "subscription"), plural(sum.Queued, "message"), sum.InFlight,
		plural(sum.Received, "received message"), plural(sum.Retained, "retained message"), plural(sum.ExpiredSessions, "session"), plural(sum.ExpiredMessages, "message"))
}
