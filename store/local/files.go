package local

import (
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// files is the file system as one engine sees it. It makes files that only their owner can read, and counts the calls of fsync.
//
// Pebble ends the process when it cannot write a log of changes or its list of tables, or falls over locks that it does not hold. So it does
// not get to know: the goroutine that met the error stands still for good, and whoever waits for it gives the engine up. From then on all that would change
// something stands still, so that the engine cannot touch the files any more while another one works on them.
type files struct {
	vfs.FS
	cut   atomic.Bool
	syncs *atomic.Uint64
	// failed is called when the engine is of no use any more.
	failed func(error)
	// soft has logs of changes written but not synced: what is in them survives the process, and not the machine. A log is synced when it ends, because the
	// next one means that it is complete.
	soft atomic.Bool
	// apart is a directory where an error of writing is that of whoever asked for it, and says nothing of the engine; empty: there is none.
	apart string
}

// modePrivate is the mode of every file: they hold messages and user names.
const modePrivate = 0o600

// private takes the rights of others away. In memory there are none.
func private(fs vfs.FS, name string) error {
	if vfs.Root(fs) != vfs.Default {
		return nil
	}
	return os.Chmod(name, modePrivate)
}

// makeDirectory makes a directory, with those above it where they are missing, so that it is still there after a power loss.
func makeDirectory(fs vfs.FS, dir string) error {
	var made []string
	for d := dir; ; d = fs.PathDir(d) {
		if _, err := fs.Stat(d); err == nil || d == fs.PathDir(d) {
			break
		}
		made = append(made, d)
	}
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range made {
		if err := syncDirectory(fs, fs.PathDir(d)); err != nil {
			return err
		}
	}
	return nil
}

func syncDirectory(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// retryPause slows down what is tried again and again at once when a table cannot be written: flushes and compactions.
const retryPause = 200 * time.Millisecond

// halt stands still if the engine has been given up.
func (f *files) halt() {
	if f.cut.Load() {
		select {}
	}
}

// report looks at an error of a write to a file or a directory. One of a table is Pebble's to deal with: it tries again.
func (f *files) report(name string, err error) error {
	if err == nil {
		return nil
	}
	f.halt()
	if f.apart != "" && strings.HasPrefix(name, f.apart) {
		return err
	}
	if strings.HasSuffix(name, ".sst") {
		time.Sleep(retryPause)
		return err
	}
	f.failed(err)
	f.halt()
	return err
}

func (f *files) wrap(name string, file vfs.File, err error) (vfs.File, error) {
	if err == nil {
		if err = private(f.FS, name); err != nil {
			_ = file.Close() // it is the mode's error that counts
		}
	}
	if err != nil {
		return nil, f.report(name, err)
	}
	return &countedFile{File: file, files: f, name: name, log: strings.HasSuffix(name, ".log")}, nil
}

func (f *files) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f.halt()
	file, err := f.FS.Create(name, category)
	return f.wrap(name, file, err)
}

func (f *files) OpenReadWrite(name string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f.halt()
	file, err := f.FS.OpenReadWrite(name, category, opts...)
	return f.wrap(name, file, err)
}

func (f *files) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f.halt()
	file, err := f.FS.ReuseForWrite(oldname, newname, category)
	return f.wrap(newname, file, err)
}

func (f *files) OpenDir(name string) (vfs.File, error) {
	file, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &countedFile{File: file, files: f, name: name}, nil // the name of a directory is none of a table
}

func (f *files) Link(oldname, newname string) error {
	f.halt()
	return f.FS.Link(oldname, newname)
}

func (f *files) Remove(name string) error {
	f.halt()
	return f.FS.Remove(name)
}

func (f *files) RemoveAll(name string) error {
	f.halt()
	return f.FS.RemoveAll(name)
}

func (f *files) Rename(oldname, newname string) error {
	f.halt()
	return f.report(newname, f.FS.Rename(oldname, newname))
}

func (f *files) Unwrap() vfs.FS { return f.FS }

// countedFile is a file of files.
type countedFile struct {
	vfs.File
	files *files
	name  string
	log   bool
	owing atomic.Bool // a sync was left out
}

func (c *countedFile) Write(p []byte) (int, error) {
	c.files.halt()
	n, err := c.File.Write(p)
	return n, c.files.report(c.name, err)
}

func (c *countedFile) WriteAt(p []byte, off int64) (int, error) {
	c.files.halt()
	n, err := c.File.WriteAt(p, off)
	return n, c.files.report(c.name, err)
}

func (c *countedFile) Sync() error { return c.sync(c.File.Sync) }

func (c *countedFile) SyncData() error { return c.sync(c.File.SyncData) }

func (c *countedFile) sync(do func() error) error {
	c.files.halt()
	if c.log && c.files.soft.Load() {
		c.owing.Store(true)
		return nil
	}
	c.owing.Store(false)
	c.files.syncs.Add(1)
	return c.files.report(c.name, do())
}

func (c *countedFile) Close() error {
	if c.owing.Load() {
		c.files.halt()
		c.files.syncs.Add(1)
		if err := c.files.report(c.name, c.File.SyncData()); err != nil {
			return errors.Join(err, c.File.Close())
		}
	}
	return c.File.Close()
}

func (c *countedFile) SyncTo(length int64) (bool, error) {
	c.files.halt()
	full, err := c.File.SyncTo(length)
	if full {
		c.files.syncs.Add(1)
	}
	return full, c.files.report(c.name, err)
}
