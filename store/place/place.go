// Package place knows where a broker's store lies: in a directory of its own, or in the place of the file in which mosquitto keeps its state. It opens the
// store there, and makes one of mosquitto's file where that is what there is.
package place

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

	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/cause"
	"picket/logging"
	"picket/process"
	"picket/store/local"
)

// Place is where a store lies.
type Place struct {
	Dir  string // the store's directory, absolute
	file string // where mosquitto would have its file, absolute; empty: nowhere

	directive string // what a configuration says of it
}

// Own is the place of a store in a directory of its own.
func Own(dir string) (Place, error) {
	dir, err := filepath.Abs(dir)
	return Place{Dir: dir, directive: "the folder for the store,"}, err
}

// OfMosquitto is the place of a store beside mosquitto's file: location is the directory (persistence_location; empty: the working directory), file the
// name (persistence_file; empty: mosquitto.db).
func OfMosquitto(location, file string) (Place, error) {
	if file == "" {
		file = "mosquitto.db"
	}
	p := Place{directive: "persistence_location"}
	if location == "" {
		p.directive = "persistence_location, which is not set and so the working directory,"
	}
	var err error
	if p.file, err = filepath.Abs(filepath.Join(location, file)); err != nil {
		return p, err
	}
	p.Dir = strings.TrimSuffix(p.file, ".db") + ".store"
	return p, nil
}

// Usable says why the store cannot be had there, or nil. It changes nothing. user is who the broker runs as, for the advice.
func (p Place) Usable(user string) error {
	folder, target := filepath.Dir(p.Dir), p.Dir
	if user == "" {
		user = "USER"
	}
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist) && p.file != "":
		return fmt.Errorf("%s %s does not exist. Make it for the user that the broker runs as: install -d -o %s -m 0750 %s", p.directive, folder, user, folder)
	case errors.Is(err, fs.ErrNotExist):
		return nil // it is made
	case err != nil:
		return fmt.Errorf("%s %s cannot be used by user %s: %w. Give it to that user: chown -R %s %s", p.directive, folder, user, err, user, folder)
	case !info.IsDir():
		return fmt.Errorf("%s %s is no directory. Name one that is", p.directive, folder)
	}
	if _, err := os.Stat(p.Dir); errors.Is(err, fs.ErrNotExist) || p.file != "" {
		target = folder
	}
	for _, dir := range []string{target, p.Dir} {
		if err := process.Writable(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s %s cannot be written by user %s: %w. Give it to that user: chown -R %s %s", p.directive, folder, user, err, user, folder)
		}
	}
	return nil
}

// Open opens the store. sync is how it writes: always (also when empty), interval or never. Where mosquitto has left its file and there is no store yet, the store is made of the file. asMosquitto has the broker begin with
// nothing when what stands in the place of mosquitto's file was removed, as people do to have mosquitto forget everything. user is for the advice in
// errors.
func (p Place) Open(ctx context.Context, sync string, asMosquitto bool, user string, log *logging.Logger) (*local.Store, error) {
	mode, err := local.ParseMode(cmp.Or(sync, "always"))
	if err != nil {
		return nil, err
	}
	if err := p.Usable(user); err != nil {
		return nil, err
	}
	if p.file != "" {
		if err := p.prepare(ctx, asMosquitto, log); err != nil {
			return nil, err
		}
	}
	return local.Open(p.Dir, local.Options{Sync: mode, Log: log})
}

// Suffixes of what is put aside.
const (
	importedSuffix = ".imported" // mosquitto's file, when it has been read
	oldSuffix      = ".old"      // a store whose file is gone
)

// prepare makes the place of mosquitto's file and the store fit each other.
func (p Place) prepare(ctx context.Context, asMosquitto bool, log *logging.Logger) error {
	_, err := os.Stat(p.Dir)
	stored := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_, err = os.Stat(p.file)
	switch {
	case err == nil && stored:
		return p.unread(log)
	case err == nil:
		points, err := p.points()
		if err != nil {
			return err
		}
		if points {
			log.Printf(logging.Warning, "Warning: what %s speaks of, %s, is not there: the broker begins with nothing.", p.file, p.Dir)
			return nil
		}
		if err := p.moveFromMosquitto(ctx, log); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case stored && asMosquitto:
		// This is how people have mosquitto forget everything.
		log.Printf(logging.Notice, "%s has been removed: the broker begins with nothing. What was stored is in %s.", p.file, p.Dir+oldSuffix)
		if err := os.RemoveAll(p.Dir + oldSuffix); err != nil {
			return err
		}
		if err := os.Rename(p.Dir, p.Dir+oldSuffix); err != nil {
			return err
		}
	}
	return p.point()
}

// unread warns when a file of mosquitto's lies beside the store: mosquitto has run since, and what it has kept is not read.
func (p Place) unread(log *logging.Logger) error {
	points, err := p.points()
	if err == nil && !points {
		log.Cause(logging.Warning, cause.StoreFileUnread, "Warning: What mosquitto has kept in %s is not read, since there is a store already, %s. Stop the broker and move the one away that is not wanted.", p.file, p.Dir)
	}
	return err
}

// moveFromMosquitto fills a new store with what mosquitto's file holds.
func (p Place) moveFromMosquitto(ctx context.Context, log *logging.Logger) error {
	log.Printf(logging.Notice, "Moving what mosquitto has kept in %s to %s.", p.file, p.Dir)
	fresh := p.Dir + ".new"
	if err := os.RemoveAll(fresh); err != nil { // left by a start that was interrupted
		return err
	}
	file, sum, err := Import(ctx, p.file, fresh, nil)
	if err != nil {
		return fmt.Errorf("%w. Put a copy of it there from a backup, or move it away to begin with an empty store", err)
	}
	for _, line := range file.Lost {
		log.Cause(logging.Warning, cause.PersistenceCorrupt, "%s is damaged: %s.", p.file, line)
	}
	for _, line := range file.Skipped {
		log.Printf(logging.Warning, "Warning: %s: left out: %s.", p.file, line)
	}
	log.Printf(logging.Notice, "%s.", sum)
	// In this order: whenever the machine stops, there is one or the other.
	if err := os.Rename(fresh, p.Dir); err != nil {
		return err
	}
	if err := syncDirectory(filepath.Dir(p.Dir)); err != nil {
		return err
	}
	return os.Rename(p.file, p.file+importedSuffix)
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
func (p Place) point() error {
	f, err := os.OpenFile(p.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, pointer+"%s; \"picket store dump %s\" shows it.\n", p.Dir, p.Dir)
	return errors.Join(err, f.Sync(), f.Close())
}

// pointer is how the text begins that is put in the place of mosquitto's file.
const pointer = "What Picket keeps is in the directory "

// points tells whether there is that text in the place of mosquitto's file. Whatever else is there has to be one of mosquitto's.
func (p Place) points() (bool, error) {
	note, err := Note(p.file)
	return note != "", err
}

// Note is the text that Picket has put in the place of mosquitto's file: where everything is. Empty: something else is there.
func Note(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 64<<10)) // more than two paths have
	if err != nil || !strings.HasPrefix(string(head), pointer) {
		return "", err
	}
	return strings.TrimSuffix(string(head), "\n"), nil
}
