package place

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"picket/logging"
)

func quiet(t *testing.T) *logging.Logger { return logTo(t, io.Discard) }

// logTo writes warnings and errors.
func logTo(t *testing.T, w io.Writer) *logging.Logger {
	t.Helper()
	log, err := logging.New(logging.Config{Dest: []logging.Dest{{Kind: logging.Stderr}}, Types: logging.Warning | logging.Error}, io.Discard, w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	return log
}

// open opens the store and closes it, and returns what was warned of.
func open(t *testing.T, p Place, asMosquitto bool) string {
	t.Helper()
	var said strings.Builder
	log := logTo(t, &said)
	s, err := p.Open(t.Context(), "", asMosquitto, "", log)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	log.Close() // all of it is written then
	return said.String()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestOfMosquitto(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, c := range []struct{ location, file, want string }{
		{dir, "", filepath.Join(dir, "mosquitto.store")},
		{dir + "/", "state.db", filepath.Join(dir, "state.store")},
		{dir, "state", filepath.Join(dir, "state.store")},
		{"", "", filepath.Join(dir, "mosquitto.store")},
	} {
		p, err := OfMosquitto(c.location, c.file)
		if err != nil || p.Dir != c.want {
			t.Errorf("%q, %q: %s, %v; want %s", c.location, c.file, p.Dir, err, c.want)
		}
	}
}

// What cannot be had is named with its directive, the absolute folder, the user, and what to do.
func TestUsable(t *testing.T) {
	dir := t.TempDir()
	p, err := OfMosquitto(filepath.Join(dir, "no"), "")
	if err != nil {
		t.Fatal(err)
	}
	err = p.Usable("ann")
	want := "persistence_location " + filepath.Join(dir, "no") + " does not exist. Make it for the user that the broker runs as: install -d -o ann -m 0750 " + filepath.Join(dir, "no")
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if _, err := p.Open(t.Context(), "", false, "ann", quiet(t)); err == nil || err.Error() != want {
		t.Errorf("opening says %v, the check %s", err, want)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err = OfMosquitto(file, ""); err != nil {
		t.Fatal(err)
	}
	if err := p.Usable("ann"); err == nil || !strings.Contains(err.Error(), file+" is no directory") {
		t.Error(err)
	}
	if p, err = OfMosquitto(dir, ""); err != nil || p.Usable("") != nil {
		t.Errorf("%v, %v", err, p.Usable(""))
	}
	if own, err := Own(filepath.Join(dir, "a", "b")); err != nil || own.Usable("") != nil {
		t.Errorf("%v, %v: the data directory is made", err, own.Usable(""))
	}
}

// mosquitto's file is read once; where it was, a text says where everything is. In mosquitto's place its removal means to forget.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	p, err := OfMosquitto(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	sample, err := os.ReadFile("../mosqdb/testdata/1.6.9.db")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "mosquitto.db")
	if err := os.WriteFile(file, sample, 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, p, false)
	text, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(text), pointer+p.Dir) || !exists(file+importedSuffix) {
		t.Errorf("%q, %v", text, err)
	}
	if said := open(t, p, false); said != "" {
		t.Errorf("a second start says %s", said)
	}
	// Somebody went back to mosquitto for a while.
	if err := os.WriteFile(file, sample, 0o600); err != nil {
		t.Fatal(err)
	}
	if said := open(t, p, false); !strings.Contains(said, "[store-file-unread]") || !exists(file) {
		t.Errorf("with a file of mosquitto's beside the store: %s", said)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	open(t, p, false)
	if exists(p.Dir+oldSuffix) || !exists(file) {
		t.Error("the store was put aside, or nothing says where it is")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	open(t, p, true)
	if !exists(p.Dir + oldSuffix) {
		t.Error("the store was not put aside")
	}
}

func TestImport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	sum, told := "", 0
	file, s, err := Import(t.Context(), "../mosqdb/testdata/1.6.9.db", dir, func(Progress) { told++ })
	if err == nil {
		sum = s.String()
	}
	if err != nil || len(file.Clients) == 0 || told == 0 || !strings.Contains(sum, "retained message") {
		t.Fatalf("%v, told %d times, %s", err, told, sum)
	}
	if _, _, err := Import(t.Context(), "../mosqdb/testdata/1.6.9.db", dir, nil); err == nil || !strings.Contains(err.Error(), "give a directory that is empty") {
		t.Errorf("a second import: %v", err)
	}
	if _, _, err := Import(t.Context(), filepath.Join(dir, "no"), t.TempDir(), nil); err == nil {
		t.Error("a file that is not there was imported")
	}
}
