package place

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"picket/logging"
	"picket/session"
	"picket/store"
	"picket/store/local"
	"picket/store/mosqdb"
)

// Progress is how far an import is.
type Progress struct {
	Read              int64 // bytes of the file
	Written, Sessions int   // sessions in the store, of how many; 0 while the file is read
}

// Import makes a store in dir of mosquitto's file. progress may be nil.
func Import(ctx context.Context, name, dir string, progress func(Progress)) (file *mosqdb.File, sum mosqdb.Summary, err error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	in, err := os.Open(name)
	if err != nil {
		return nil, sum, err
	}
	defer in.Close()
	file, err = mosqdb.Read(in, func(offset int64) { progress(Progress{Read: offset}) })
	if err != nil {
		return nil, sum, fmt.Errorf("%s: %w", name, err)
	}
	log, err := logging.New(logging.Config{}, io.Discard, io.Discard)
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
		progress(Progress{Written: clients, Sessions: len(file.Clients)})
	})
	if err = errors.Join(err, s.Close(), h.err()); err != nil {
		return nil, sum, fmt.Errorf("%w; %s is not complete: remove it before you try again", err, filepath.Clean(dir))
	}
	return file, sum, nil
}

// importHandler is the broker of a store that is being filled.
type importHandler struct {
	used   bool
	mu     sync.Mutex
	failed error
}

func (h *importHandler) Session(*store.Session, store.State) { h.used = true }

func (h *importHandler) Retained(string, *session.Message) { h.used = true }

func (h *importHandler) Failed(_ *store.Batch, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed = err
}

func (h *importHandler) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failed
}

func (*importHandler) Room() {}

func (*importHandler) Health(error) {}
