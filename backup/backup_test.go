package backup

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var made = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// files are the contents of a folder, by name.
type files map[string]string

func (f files) write(t testing.TB, dir string) {
	t.Helper()
	for name, text := range f {
		at := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// some is a backup of a few files.
func some(t testing.TB) ([]byte, files) {
	t.Helper()
	dir := t.TempDir()
	all := files{"store/db/1.log": strings.Repeat("x", 3000), "store/db/empty": "", "passwords": "ada:…\n"}
	all.write(t, dir)
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, name := range []string{"store", "passwords", "is not there"} {
		if err := w.Add(name, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close("1.2.3", made); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), all
}

func TestRestoreEqualsWhatWasWritten(t *testing.T) {
	data, all := some(t)
	dir := filepath.Join(t.TempDir(), "new", "folder")
	seal, err := Restore(bytes.NewReader(data), dir, nil)
	if err != nil || seal.Files != len(all) || !seal.Made.Equal(made) || seal.By != "1.2.3" {
		t.Fatalf("%+v, %v", seal, err)
	}
	for name, text := range all {
		at := filepath.Join(dir, filepath.FromSlash(name))
		got, err := os.ReadFile(at)
		if err != nil || string(got) != text {
			t.Errorf("%s: %.20q, %v", name, got, err)
		}
		if info, err := os.Stat(at); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if _, err := Restore(bytes.NewReader(data), dir, nil); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder that is not empty is written to: %v", err)
	}
}

// A backup that ends early or has changed anywhere is never taken for a whole one, but for padding that holds nothing.
func TestDamagedBackups(t *testing.T) {
	data, _ := some(t)
	ignore := func(string, int64, io.Reader) error { return nil }
	seal, err := Read(bytes.NewReader(data), ignore)
	if err != nil {
		t.Fatal(err)
	}
	end := bytes.Index(data, []byte(seal.SHA256))
	for n := range end {
		if _, err := Read(bytes.NewReader(data[:n]), ignore); err == nil {
			t.Fatalf("the first %d bytes are taken for the whole", n)
		}
	}
	if _, err := Read(bytes.NewReader(data[:end]), ignore); !errors.Is(err, ErrIncomplete) {
		t.Errorf("cut in the last entry: %v", err)
	}
	for _, text := range []string{"xxx", "ada", "passwords", "store/db/empty", seal.SHA256[:20]} {
		changed := bytes.Clone(data)
		changed[bytes.Index(changed, []byte(text))] ^= 1
		if _, err := Read(bytes.NewReader(changed), ignore); err == nil {
			t.Errorf("a change of %q is not seen", text)
		}
	}
}

// A backup of a stranger's writes nowhere but below its directory.
func TestHostileNames(t *testing.T) {
	outside := t.TempDir()
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeReg, Name: "../x"}, {Typeflag: tar.TypeReg, Name: "/etc/x"}, {Typeflag: tar.TypeReg, Name: "a/../../x"}, {Typeflag: tar.TypeReg, Name: "a//b"}, {Typeflag: tar.TypeReg, Name: `a\..\x`},
		{Typeflag: tar.TypeSymlink, Name: "link", Linkname: outside}, {Typeflag: tar.TypeLink, Name: "link", Linkname: "/etc/passwd"}, {Typeflag: tar.TypeDir, Name: "d"}, {Typeflag: tar.TypeReg, Name: "."},
	} {
		var b bytes.Buffer
		w := NewWriter(&b)
		if err := w.tar.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if err := w.Close("x", made); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(&b, t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "no backup") {
			t.Errorf("%c %s: %v", h.Typeflag, h.Name, err)
		}
	}
	data, _ := some(t)
	if _, err := Restore(io.MultiReader(bytes.NewReader(data[:512*2])), t.TempDir(), nil); err == nil {
		t.Error("a part is restored without an error")
	}
}

func TestNewerFormat(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	seal := fmt.Sprintf(`{"format":%d}`, format+1)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: sealName, Size: int64(len(seal))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, seal); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(&b, nil); err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Error(err)
	}
}

// Whatever is read as a backup: nothing panics, and nothing is written elsewhere.
func FuzzRestore(f *testing.F) {
	data, _ := some(f)
	f.Add(data)
	f.Add(data[:1024])
	f.Fuzz(func(t *testing.T, data []byte) {
		up := t.TempDir()
		_, _ = Restore(bytes.NewReader(data), filepath.Join(up, "dir"), nil)
		if all, err := os.ReadDir(up); err != nil || len(all) > 1 {
			t.Errorf("%v, %v", all, err)
		}
	})
}
