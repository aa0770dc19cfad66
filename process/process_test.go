//go:build unix

package process

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"picket/internal/testbed"
)

// TestMain lets the tests start this binary in the parts that need a process of their own.
func TestMain(m *testing.M) {
	if part := os.Getenv("PROCESS_TEST_PART"); part != "" {
		if err := play(part); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(7)
		}
		os.Exit(0)
	}
	testbed.Main(m)
}

func play(part string) error {
	switch part {
	case "background":
		if !InBackground() {
			status, err := Background()
			if err != nil {
				return err
			}
			os.Exit(status)
		}
		if os.Getenv("PROCESS_TEST_FAIL") != "" {
			return fmt.Errorf("port is taken")
		}
		if err := Ready(); err != nil {
			return err
		}
		fmt.Println("this goes nowhere")
		session, _, _ := syscall.Syscall(syscall.SYS_GETSID, 0, 0, 0)
		return os.WriteFile(os.Getenv("PROCESS_TEST_FILE"), fmt.Appendf(nil, "%d %d", os.Getpid(), session), 0o600)
	case "become":
		dir := os.Getenv("PROCESS_TEST_FILE")
		u, err := LookupUser("no-such-user", "nobody")
		if err != nil {
			return err
		}
		if err := u.Own(dir); err != nil {
			return err
		}
		if err := Become(u); err != nil {
			return err
		}
		if err := syscall.Setuid(0); err == nil {
			return fmt.Errorf("the way back is open")
		}
		if err := os.WriteFile(filepath.Join(dir, "own"), nil, 0o600); err != nil {
			return err
		}
		groups, err := os.Getgroups()
		fmt.Print(os.Geteuid(), os.Getegid(), groups)
		return err
	}
	return fmt.Errorf("no part %q", part)
}

// run plays a part in a process of its own.
func run(t *testing.T, part string, env ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "PROCESS_TEST_PART="+part), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestBackground(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report")
	stdout, stderr, status := run(t, "background", "PROCESS_TEST_FILE="+file)
	if stdout+stderr != "" || status != 0 {
		t.Errorf("status %d, output %q, %q", status, stdout, stderr)
	}
	var report []byte
	for end := time.Now().Add(time.Minute); len(report) == 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		report, _ = os.ReadFile(file)
	}
	pid, session, _ := strings.Cut(string(report), " ")
	if pid == "" || pid != session {
		t.Errorf("process %q is in session %q, want one of its own", pid, session)
	}
}

func TestBackgroundFailure(t *testing.T) {
	_, stderr, status := run(t, "background", "PROCESS_TEST_FAIL=1")
	if stderr != "port is taken\n" || status != 7 {
		t.Errorf("status %d, stderr %q", status, stderr)
	}
}

func TestBecome(t *testing.T) {
	if !IsRoot() {
		t.Skip("only root can become another user")
	}
	dir := t.TempDir()
	for d := dir; d != "/"; d = filepath.Dir(d) { // nobody has to get there
		if info, err := os.Stat(d); err == nil && info.Mode().Perm()&1 == 0 {
			if err := os.Chmod(d, info.Mode().Perm()|0o011); err != nil {
				t.Fatal(err)
			}
		}
	}
	nobody, err := LookupUser("nobody")
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr, status := run(t, "become", "PROCESS_TEST_FILE="+dir)
	if want := fmt.Sprint(nobody.uid, nobody.gid, nobody.groups); stdout != want || status != 0 {
		t.Errorf("status %d, is %q, want %q; %s", status, stdout, want, stderr)
	}
	info, err := os.Stat(filepath.Join(dir, "own"))
	if err != nil {
		t.Fatal(err)
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; int(uid) != nobody.uid {
		t.Errorf("the file belongs to user %d", uid)
	}
}

func TestLookupUser(t *testing.T) {
	if _, err := LookupUser("no-such-user", "nor-this"); err == nil || !strings.Contains(err.Error(), "no-such-user") {
		t.Errorf("error %v, want one that names the first user", err)
	}
}

func TestSignals(t *testing.T) {
	requests := make(chan Request, 1)
	s := Watch(func(r Request) { requests <- r })
	defer s.Stop()
	for signal, want := range requestOf {
		if err := syscall.Kill(os.Getpid(), signal); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-requests:
			if got != want {
				t.Errorf("%v asks for %d, want %d", signal, got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%v asks for nothing", signal)
		}
	}
}

// Whoever polls sees the signals that were sent before, wherever they are on their way.
func TestPoll(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows a process signals that have not been delivered")
	}
	var busy sync.WaitGroup
	var stop atomic.Bool
	defer func() { stop.Store(true); busy.Wait() }()
	for range 4 * runtime.GOMAXPROCS(0) { // so that every step on the way has to wait for a processor
		busy.Go(func() {
			for n := 0; !stop.Load(); n++ {
			}
		})
	}
	var seen atomic.Int64
	s := Watch(func(Request) { seen.Add(1) })
	defer s.Stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const sent = 40
	missed := 0
	for range sent {
		before := seen.Load()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", l.Addr().String()) // as somebody who wants to see what the signal has changed
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		s.Poll()
		if seen.Load() == before {
			missed++
		}
	}
	if missed > sent/4 { // a thread can be interrupted just when it takes the signal from the kernel; who does not look misses nearly all
		t.Errorf("%d of %d signals were not seen in time", missed, sent)
	}
}

func TestPIDFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	remove, err := WritePIDFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(file); string(text) != strconv.Itoa(os.Getpid())+"\n" {
		t.Errorf("the file holds %q", text)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}
	remove, err = WritePIDFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	if text, _ := os.ReadFile(file); string(text) != "1\n" {
		t.Error("the file of another process is gone")
	}
	if _, err := WritePIDFile(filepath.Join(file, "x")); err == nil {
		t.Error("no error for a file that cannot be")
	}
}

func TestRaiseFileLimit(t *testing.T) {
	limit, err := RaiseFileLimit()
	if err != nil {
		t.Fatal(err)
	}
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		t.Fatal(err)
	}
	if r.Cur != r.Max || uint64(r.Cur) != limit {
		t.Errorf("limit %d of %d, told %d", r.Cur, r.Max, limit)
	}
}

// What has a second name outside of the folder, and what a link leads to, is not given away.
func TestOwn(t *testing.T) {
	if !IsRoot() {
		t.Skip("only root can give files away")
	}
	nobody, err := LookupUser("nobody")
	if err != nil {
		t.Fatal(err)
	}
	dir, outside := t.TempDir(), t.TempDir()
	write := func(path string) {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	owner := func(path string) int {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return int(info.Sys().(*syscall.Stat_t).Uid)
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "sub", "c"), filepath.Join(outside, "hard"), filepath.Join(outside, "soft")} {
		write(path)
	}
	if err := errors.Join(os.Link(filepath.Join(outside, "hard"), filepath.Join(dir, "hard")), os.Symlink(filepath.Join(outside, "soft"), filepath.Join(dir, "soft")),
		os.Symlink(outside, filepath.Join(dir, "folder")), syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := nobody.Own(dir, "a", "not there"); err != nil {
		t.Fatal(err)
	}
	if owner(filepath.Join(dir, "a")) != nobody.uid || owner(dir) != nobody.uid || owner(filepath.Join(dir, "b")) != 0 {
		t.Error("other files than those named were given away, or not those")
	}
	if err := nobody.Own(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b", "sub", "sub/c"} {
		if owner(filepath.Join(dir, name)) != nobody.uid {
			t.Errorf("%s was not given away", name)
		}
	}
	for _, path := range []string{filepath.Join(outside, "hard"), filepath.Join(outside, "soft"), outside} {
		if owner(path) != 0 {
			t.Errorf("%s was given away", path)
		}
	}
}
