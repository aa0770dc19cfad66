package access

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEditPasswordFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwords")
	text := "# our people\nann:" + mosquittoSHA512 + "\n\n# the others\nbob:" + mosquittoPBKDF2 + "\nann:" + mosquittoSHA512 + "\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := ReadPasswordFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if users := f.Users(); !slices.Equal(users, []string{"ann", "bob", "ann"}) {
		t.Errorf("users %v", users)
	}
	if existed, err := f.Set("ann", mosquittoPBKDF2); !existed || err != nil {
		t.Errorf("ann: %v, %v", existed, err)
	}
	if existed, err := f.Set("carl", mosquittoPBKDF2); existed || err != nil {
		t.Errorf("carl: %v, %v", existed, err)
	}
	if !f.Delete("bob") || f.Delete("bob") || f.Delete("") {
		t.Error("bob was not deleted once")
	}
	if err := f.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	want := "# our people\nann:" + mosquittoPBKDF2 + "\n\n# the others\ncarl:" + mosquittoPBKDF2 + "\n"
	if err != nil || string(got) != want {
		t.Errorf("file is\n%s\nwant\n%s", got, want)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("the folder has %v", files)
	}
	for _, bad := range []string{"", "a:b", "#x", " x", "x\ny", "\xff", strings.Repeat("x", 65536)} {
		if _, err := f.Set(bad, mosquittoPBKDF2); err == nil {
			t.Errorf("user name %.10q was accepted", bad)
		}
	}
	if _, err := f.Set("dora", "plain"); err == nil {
		t.Error("a plain password was accepted as an entry")
	}
}

// Whom the file let in before it lets in afterwards: the broker may run as another user than the one who edits.
func TestWriteFileKeepsMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwords")
	f := new(PasswordFile)
	f.Set("ann", mosquittoPBKDF2)
	for _, want := range []os.FileMode{0o600, 0o640} { // a new file; one that its group may read
		if err := f.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("mode %v, %v, want %v", info.Mode(), err, want)
		}
		if err := os.Chmod(path, 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

// A symbolic link stays one: its target is replaced.
func TestWriteFileThroughLink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	os.WriteFile(target, nil, 0o600)
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	f := new(PasswordFile)
	f.Set("ann", mosquittoPBKDF2)
	if err := f.WriteFile(link); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().IsRegular() {
		t.Errorf("the link was replaced: %v, %v", info.Mode(), err)
	}
	if data, _ := os.ReadFile(target); !strings.HasPrefix(string(data), "ann:") {
		t.Errorf("target: %q", data)
	}
}

func TestHashPlain(t *testing.T) {
	f := &PasswordFile{lines: []string{"# comment", "ann:secret:with:colons", "bob:" + mosquittoPBKDF2, ""}}
	n, err := f.HashPlain(PBKDF2, 3)
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	users, warnings := parsePasswords("x", []byte(strings.Join(f.lines, "\n")))
	if len(warnings) != 0 || !users["ann"].verify([]byte("secret:with:colons")) || users["bob"].String() != mosquittoPBKDF2 || f.lines[0] != "# comment" {
		t.Errorf("%q, %v", f.lines, warnings)
	}
	for _, bad := range []string{"ann:", "ann:$7$101$broken", " #x:y"} {
		f := &PasswordFile{lines: []string{"carl:plain", bad}}
		if _, err := f.HashPlain(PBKDF2, 3); err == nil || !strings.Contains(err.Error(), "line 2") || f.lines[0] != "carl:plain" {
			t.Errorf("%q: %v, %q", bad, err, f.lines)
		}
	}
}
