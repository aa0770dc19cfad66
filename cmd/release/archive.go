package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// entry is a file of an archive, a package or an image.
type entry struct {
	name string // with slashes
	file string // what is in it; empty with a link or data
	data []byte
	link string
	mode os.FileMode
}

// read gives what is in it.
func (e entry) read() ([]byte, error) {
	if e.file == "" {
		return e.data, nil
	}
	return os.ReadFile(e.file)
}

// manualEntries are the man pages and completions under a folder, sorted by name.
func (r *release) manualEntries() (all []entry, err error) {
	for _, pattern := range []string{"man1/*", "completions/*"} {
		names, err := filepath.Glob(filepath.Join(r.work, "manual", filepath.FromSlash(pattern)))
		if err != nil {
			return nil, err
		}
		slices.Sort(names)
		for _, name := range names {
			all = append(all, entry{name: path.Join(path.Dir(pattern), filepath.Base(name)), file: name, mode: 0o644})
		}
	}
	return all, nil
}

// archive packs a binary with what belongs to it: .zip for Windows, .tar.gz elsewhere.
func (r *release) archive(t target) error {
	name := "picket-" + r.version + "-" + t.file()
	all := []entry{{name: filepath.Base(r.binary(t)), file: r.binary(t), mode: 0o755}}
	for _, page := range []string{"README.md", "README.zh-CN.md", "LICENSE"} {
		all = append(all, entry{name: page, file: filepath.Join(r.source, page), mode: 0o644})
	}
	if t.os != "windows" {
		manuals, err := r.manualEntries()
		if err != nil {
			return err
		}
		all = append(all, manuals...)
	}
	for i := range all {
		all[i].name = path.Join(name, all[i].name)
	}
	if t.os == "windows" {
		return r.create(name+".zip", func(w io.Writer) error { return r.writeZip(w, all) })
	}
	return r.create(name+".tar.gz", func(w io.Writer) error {
		packed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
		if err != nil {
			return err
		}
		return errors.Join(r.writeTar(packed, all), packed.Close())
	})
}

// create makes one of the results.
func (r *release) create(name string, write func(io.Writer) error) error {
	f, err := os.Create(filepath.Join(r.out, name))
	if err != nil {
		return err
	}
	r.made = append(r.made, name)
	return errors.Join(write(f), f.Close())
}

func (r *release) writeTar(w io.Writer, all []entry) error {
	t := tar.NewWriter(w)
	for _, e := range all {
		data, err := e.read()
		if err != nil {
			return err
		}
		h := &tar.Header{Name: e.name, Mode: int64(e.mode.Perm()), Size: int64(len(data)), ModTime: r.date, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		switch {
		case e.link != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		case e.mode.IsDir():
			h.Typeflag, h.Name = tar.TypeDir, e.name+"/"
			h.Uid, h.Gid = brokerID, brokerID
		}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if _, err := t.Write(data); err != nil {
			return err
		}
	}
	return t.Close()
}

func (r *release) writeZip(w io.Writer, all []entry) error {
	z := zip.NewWriter(w)
	for _, e := range all {
		data, err := e.read()
		if err != nil {
			return err
		}
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: r.date}
		h.SetMode(e.mode)
		f, err := z.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := f.Write(data); err != nil {
			return err
		}
	}
	return z.Close()
}
