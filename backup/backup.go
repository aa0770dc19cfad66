// Package backup is the form of a broker's backup: a tar file of regular files, whose last entry says what has to be in it, so that one that was cut off or has
// changed is noticed. Tools for tar read it, too.
package backup

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// sealName is the last entry.
const sealName = "picket-backup.json"

// maxSeal bounds it, in bytes.
const maxSeal = 1 << 20

// Seal is what the last entry says.
type Seal struct {
	Format int       `json:"format"` // 1
	Made   time.Time `json:"made"`
	By     string    `json:"by"` // the program's version
	Files  int       `json:"files"`
	Bytes  int64     `json:"bytes"`
	SHA256 string    `json:"sha256"` // over name and contents of all files, as [digest] does it
	// Left are files that belong in it and that the broker may not read.
	Left []string `json:"left_out,omitempty"`
}

const format = 1

// ErrIncomplete says that the end of a backup is missing.
var ErrIncomplete = errors.New("the backup is not complete: its end is missing")

// digest sums up files in their order.
type digest struct {
	hash.Hash
	files int
	bytes int64
}

func newDigest() *digest { return &digest{Hash: sha256.New()} }

// begin is the beginning of a file.
func (d *digest) begin(name string, size int64) {
	d.files++
	d.bytes += size
	fmt.Fprintf(d, "%d %d %s", len(name), size, name)
}

func (d *digest) sum() string { return hex.EncodeToString(d.Sum(nil)) }

// Writer writes a backup.
type Writer struct {
	tar  *tar.Writer
	sum  *digest
	left []string
}

// NewWriter begins a backup.
func NewWriter(w io.Writer) *Writer { return &Writer{tar: tar.NewWriter(w), sum: newDigest()} }

// Add puts a file, or a directory with all regular files in it, into the backup. name is where it stands there, with slashes. What is not there is left out, and so is
// what may not be read, which the seal says.
func (w *Writer) Add(name, from string) error {
	return filepath.WalkDir(from, func(at string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && at == from {
			return nil
		}
		if errors.Is(err, fs.ErrPermission) {
			w.left = append(w.left, at)
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		rel, err := filepath.Rel(from, at)
		if err != nil {
			return err
		}
		err = w.add(path.Join(name, filepath.ToSlash(rel)), at)
		if errors.Is(err, fs.ErrPermission) {
			w.left = append(w.left, at)
			return nil
		}
		return err
	})
}

// add copies one file; links are followed, sockets and the like left out.
func (w *Writer) add(name, from string) error {
	info, err := os.Stat(from)
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return err
	}
	if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: 0o600, ModTime: info.ModTime()}); err != nil {
		return err
	}
	w.sum.begin(name, info.Size())
	if _, err := io.CopyN(io.MultiWriter(w.tar, w.sum), f, info.Size()); err != nil {
		return fmt.Errorf("%s became shorter while it was read: %w", from, err)
	}
	return nil
}

// Close ends the backup. Without it the backup is not complete.
func (w *Writer) Close(version string, now time.Time) error {
	data, err := json.MarshalIndent(Seal{Format: format, Made: now.UTC().Truncate(time.Second), By: version, Files: w.sum.files, Bytes: w.sum.bytes, SHA256: w.sum.sum(), Left: w.left}, "", "\t")
	if err != nil {
		return err
	}
	if err := w.tar.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: sealName, Size: int64(len(data)), Mode: 0o600, ModTime: now}); err != nil {
		return err
	}
	if _, err := w.tar.Write(data); err != nil {
		return err
	}
	return w.tar.Close()
}

// Read reads a backup to its end and hands every file to take, which may leave it unread. It fails when the backup is not complete or not as it was written.
func Read(r io.Reader, take func(name string, size int64, contents io.Reader) error) (*Seal, error) {
	t := tar.NewReader(r)
	sum := newDigest()
	for {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, ErrIncomplete
		case err != nil:
			return nil, fmt.Errorf("it is no backup: %w", err)
		case h.Typeflag != tar.TypeReg || !localName(h.Name):
			return nil, fmt.Errorf("it is no backup: %q cannot be in one", h.Name)
		case h.Name == sealName:
			return readSeal(t, sum)
		}
		sum.begin(h.Name, h.Size)
		contents := io.TeeReader(t, sum)
		err = take(h.Name, h.Size, contents)
		if err == nil {
			_, err = io.Copy(io.Discard, contents)
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = ErrIncomplete
		}
		if err != nil {
			return nil, err
		}
	}
}

// localName tells whether a name leads to below the directory that it is restored to, on every system.
func localName(name string) bool {
	return fs.ValidPath(name) && name != "." && filepath.IsLocal(filepath.FromSlash(name)) && !strings.ContainsAny(name, "\\\x00")
}

// readSeal reads the last entry, and compares it with what has been read.
func readSeal(r io.Reader, sum *digest) (*Seal, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSeal))
	if err != nil {
		return nil, ErrIncomplete
	}
	s := new(Seal)
	switch err := json.Unmarshal(data, s); {
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", sealName, err)
	case s.Format > format:
		return nil, fmt.Errorf("the backup has format %d, and this program knows formats up to %d", s.Format, format)
	case s.Files != sum.files || s.Bytes != sum.bytes || s.SHA256 != sum.sum():
		return nil, errors.New("the backup has changed since it was made: its checksum is wrong")
	}
	return s, nil
}

// Restore writes the files of a backup below a directory that is empty or not there yet. What has been written stays when it fails, and the directory is not to be
// used then. It calls far, if it is not nil, with how many bytes have been read.
func Restore(r io.Reader, dir string, far func(bytes int64)) (*Seal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: name a directory that is, or one that is not there yet", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	bytes := int64(0)
	return Read(r, func(name string, size int64, contents io.Reader) error {
		if err := write(root, filepath.FromSlash(name), contents); err != nil {
			return err
		}
		if bytes += size; far != nil {
			far(bytes)
		}
		return nil
	})
}

// write writes one file and has it on the disk.
func write(root *os.Root, name string, contents io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, contents)
	return errors.Join(err, f.Sync(), f.Close())
}
