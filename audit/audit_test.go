package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/logging"
)

// open makes a journal, and says what it has failed with.
func open(t *testing.T, path string) (j *Journal, failures *[]error) {
	t.Helper()
	log, err := logging.New(logging.Config{}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	failures = new([]error)
	j = Open(path, log, func(err error) { *failures = append(*failures, err) })
	t.Cleanup(j.Close)
	return j, failures
}

func record(j *Journal, what string) {
	j.Record(Entry{Time: time.Now(), By: "token x", Role: "admin", From: "192.0.2.1", Request: "POST /api/v1/bans", What: what, Result: "done"})
}

// all reads a journal page by page.
func all(t *testing.T, j *Journal, limit int) (what []string) {
	t.Helper()
	cursor := ""
	for range 10_000 {
		p, err := j.Read(cursor, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Items) > limit {
			t.Fatalf("%d entries, and %d were asked for", len(p.Items), limit)
		}
		for _, e := range p.Items {
			what = append(what, e.What)
		}
		if cursor = p.Next; cursor == "" {
			return what
		}
	}
	t.Fatal("the pages do not end")
	return nil
}

// Every entry is on exactly one page, the newest first, however long the lines and the pages are, and with others between them.
func TestPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	j, failures := open(t, path)
	var want []string
	for i := range 400 {
		text := fmt.Sprintf("%d %s", i, strings.Repeat("x", i*31%maxText))
		record(j, text)
		want = append([]string{cut(text)}, want...)
		if i == 200 { // what is no entry, longer than what is read at once
			other, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, junk := range []string{"\n\nnull\n{}\n[1]\n", strings.Repeat("y", 3*maxRead) + "\n", strings.Repeat("z\n", block)} {
				if _, err := other.WriteString(junk); err != nil {
					t.Fatal(err)
				}
			}
			if err := other.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, limit := range []int{1, 2, 7, 399, 400, 401, 1000} {
		if got := all(t, j, limit); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("pages of %d: %d entries, want %d", limit, len(got), len(want))
		}
	}
	if len(*failures) != 0 {
		t.Error(*failures)
	}
	for _, cursor := range []string{"1", "x-1", "1-", "01-5", "1--5", "1-5 ", "1-99999999999999999999"} {
		if _, err := j.Read(cursor, 1); !errors.Is(err, ErrCursor) {
			t.Errorf("%q: %v", cursor, err)
		}
	}
	for _, cursor := range []string{"2-5", "1-999999999"} {
		if _, err := j.Read(cursor, 1); !errors.Is(err, ErrMoved) {
			t.Errorf("%q: %v", cursor, err)
		}
	}
}

// A file that was moved away is left alone after Reopen, and a cursor of it is refused; one that has only been opened again goes on.
func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	j, failures := open(t, path)
	record(j, "one")
	record(j, "two")
	p, err := j.Read("", 1)
	if err != nil || p.Next == "" {
		t.Fatal(p, err)
	}
	j.Reopen(path)
	if again, err := j.Read(p.Next, 1); err != nil || len(again.Items) != 1 || again.Items[0].What != "one" {
		t.Errorf("%+v %v", again, err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	record(j, "three")
	j.Reopen(path)
	record(j, "four")
	if got := all(t, j, 10); fmt.Sprint(got) != "[four]" {
		t.Error(got)
	}
	if _, err := j.Read(p.Next, 1); !errors.Is(err, ErrMoved) {
		t.Error(err)
	}
	if old, err := os.ReadFile(path + ".1"); err != nil || strings.Count(string(old), "\n") != 3 {
		t.Errorf("%v %s", err, old)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Error(info.Mode(), err)
	}
	j.Reopen("")
	if _, err := j.Read("", 1); !errors.Is(err, ErrNoFile) {
		t.Error(err)
	}
	record(j, "nowhere")
	if len(*failures) != 0 {
		t.Error(*failures)
	}
}

// What is torn stays a line of its own. A file that cannot be had is told once, and each entry tries again; one in use stays when another cannot be had.
func TestFailures(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.WriteFile(path, []byte(`{"time":"2026-`), 0o600); err != nil {
		t.Fatal(err)
	}
	j, failures := open(t, path)
	record(j, "one")
	j.Reopen(filepath.Join(dir, "none", "a"))
	record(j, "two")
	if got := all(t, j, 10); fmt.Sprint(got) != "[two one]" || len(*failures) != 1 {
		t.Error(got, *failures)
	}

	later := filepath.Join(dir, "later", "a")
	j, failures = open(t, later)
	record(j, "lost")
	record(j, "lost")
	if len(*failures) != 1 {
		t.Error(*failures)
	}
	if _, err := j.Read("", 1); !errors.Is(err, ErrNoFile) {
		t.Error(err)
	}
	if err := os.Mkdir(filepath.Dir(later), 0o700); err != nil {
		t.Fatal(err)
	}
	record(j, "kept")
	if got := all(t, j, 10); fmt.Sprint(got) != "[kept]" || len(*failures) != 1 {
		t.Error(got, *failures)
	}
	if j, failures = open(t, dir); len(*failures) != 1 {
		t.Error("a folder was opened")
	}
	record(j, "nowhere")
}

func TestCut(t *testing.T) {
	for i := range 5 {
		s := strings.Repeat("x", maxText-i) + "é€😀" + strings.Repeat("y", 10)
		got := cut(s)
		if begin, ok := strings.CutSuffix(got, "…"); !ok || !strings.HasPrefix(s, begin) || len(begin) > maxText || len(begin) < maxText-3 || strings.ToValidUTF8(got, "") != got {
			t.Errorf("%d: %d bytes, %q", i, len(got), got[maxText-8:])
		}
	}
	if s := strings.Repeat("é", maxText/2); cut(s) != s {
		t.Error("what fits is cut")
	}
}

func TestParams(t *testing.T) {
	if got := Params(map[string][]string{"b": {"1", "2\n"}, "a\x1b": {`"`}}); got != `a\x1b="\"" b="1" b="2\n"` {
		t.Error(got)
	}
}
