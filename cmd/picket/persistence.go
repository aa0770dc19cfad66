package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"picket/broker"
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
func openStore(ctx context.Context, p broker.Persistence, log *logging.Logger) (*kept, error) {
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
	if err := k.moveFromMosquitto(ctx, log); err != nil {
		return nil, err
	}
	if k.Store, err = local.Open(k.dir, local.Options{Sync: mode, Log: log}); err != nil {
		return nil, err
	}
	return k, nil
}

// importedSuffix is what mosquitto's file gets when it has been read.
const importedSuffix = ".imported"

// moveFromMosquitto fills the store with what mosquitto's file holds, if there is one and no store yet.
func (k *kept) moveFromMosquitto(ctx context.Context, log *logging.Logger) error {
	if k.file == "" {
		return nil
	}
	if _, err := os.Stat(k.dir); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	isMosquitto, err := beginsAsMosquittos(k.file)
	if err != nil || !isMosquitto {
		return err
	}
	log.Printf(logging.Notice, "Moving what mosquitto has kept in %s to %s.", k.file, k.dir)
	fresh := k.dir + ".new"
	if err := os.RemoveAll(fresh); err != nil { // left by a start that was interrupted
		return err
	}
	file, sum, err := importFile(ctx, k.file, fresh, func(string, ...any) {})
	if err != nil {
		return fmt.Errorf("%w. Move %s away to begin with an empty store", err, k.file)
	}
	for _, line := range file.Skipped {
		log.Printf(logging.Warning, "Warning: %s: left out: %s.", k.file, line)
	}
	log.Printf(logging.Notice, "%s.", importSummary(sum))
	if err := os.Rename(fresh, k.dir); err != nil {
		return err
	}
	return os.Rename(k.file, k.file+importedSuffix)
}

// beginsAsMosquittos tells whether a file is one of mosquitto's.
func beginsAsMosquittos(name string) (bool, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	head := make([]byte, len(mosqdb.Magic))
	n, _ := f.Read(head) // what is shorter is none
	return string(head[:n]) == mosqdb.Magic, nil
}

// close ends the store, and says at the place of mosquitto's file where everything is.
func (k *kept) close() error {
	err := k.Close()
	if k.file == "" {
		return err
	}
	if _, statErr := os.Stat(k.file); !errors.Is(statErr, fs.ErrNotExist) {
		return err
	}
	text := fmt.Sprintf("What Picket keeps is in the directory %s; \"picket store dump %s\" shows it.\n", k.dir, k.dir)
	return errors.Join(err, os.WriteFile(k.file, []byte(text), 0o600))
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
