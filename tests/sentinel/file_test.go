//go:build linux

package sentinel

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"picket/cause"
	"picket/internal/testbed"
)

// alone is a sentinel that watches a master which is not there.
func alone(t *testing.T, program, conf string) *process {
	t.Helper()
	return newProcess(t, "sentinel", program, testbed.Port(t), "sentinel monitor mymaster 127.0.0.1 1 1\n"+conf)
}

// keepsItsState: what is changed at run time is there after a restart.
func (p *process) keepsItsState() {
	p.t.Helper()
	p.ok("SENTINEL", "SET", "mymaster", "failover-timeout", "54321")
	p.ok("SENTINEL", "MONITOR", "a-second-one-with-a-long-name", "127.0.0.1", "2", "1")
	p.kill()
	p.start()
	if got := p.master("mymaster")["failover-timeout"]; got != "54321" {
		p.t.Errorf("after a restart failover-timeout is %s", got)
	}
	p.ok("SENTINEL", "REMOVE", "a-second-one-with-a-long-name") // the file becomes shorter
	p.kill()
	p.start()
	if p.master("a-second-one-with-a-long-name")["name"] != "" {
		p.t.Error("what was removed is there after a restart")
	}
}

// in is the command that runs program in a mount namespace of its own, after a script.
func in(t *testing.T, script, program string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script+" && exec \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return "unshare --map-root-user --mount " + file + " " + program
}

// TestFileMountedAlone: a configuration file that is mounted into a container by itself cannot be replaced.
func TestFileMountedAlone(t *testing.T) {
	t.Parallel()
	p := alone(t, in(t, `conf=$3 && mount --bind "$conf" "$conf"`, binary+" sentinel"), "")
	p.start()
	p.keepsItsState()
	p.logs("is written in place")
}

// TestFolderReadOnly: the file may be written, its folder may not.
func TestFolderReadOnly(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	p := alone(t, in(t, `conf=$3 && dir=$(dirname "$conf") && mount --bind "$dir" "$dir" && mount -o remount,bind,ro "$dir" && mount --bind `+file+` "$conf"`, binary+" sentinel"), "")
	data, err := os.ReadFile(p.conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(data), "logfile", "# logfile")), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start()
	p.keepsItsState()
}

// TestLogRotated: a log file that was renamed is not written on, and SIGHUP ends nothing.
func TestLogRotated(t *testing.T) {
	t.Parallel()
	p := alone(t, binary+" sentinel", "").start()
	log := filepath.Join(p.dir, "log")
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "lines go into a new file", func() bool {
		p.ok("SENTINEL", "SET", "mymaster", "quorum", "2")
		return p.logged("+set")
	})
	if err := os.Rename(log, log+".2"); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	eventually(t, "SIGHUP opens a new file at once", func() bool { return p.logged("Received SIGHUP") })
	p.ok("SENTINEL", "SET", "mymaster", "quorum", "1")
}

// TestHTTPIsNotRun: a page that has a browser post to the sentinel's port gets nothing done.
func TestHTTPIsNotRun(t *testing.T) {
	t.Parallel()
	p := alone(t, binary+" sentinel", "").start()
	body := "SENTINEL MONITOR evil 127.0.0.1 3 1\r\nSENTINEL SET mymaster quorum 7\r\nSHUTDOWN\r\n"
	for _, request := range []string{
		"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n" + body,
		"post / \r\n" + body,
		"PUT /x HTTP/1.1\r\nHost: localhost\r\n\r\n" + body,
		"GET / HTTP/1.1\r\n\r\n" + body,
		"PROPFIND /\r\nHOST: x\r\n\r\n" + body,
		"PING\r\nPOST / HTTP/1.1\r\n" + body,
	} {
		c := p.open()
		if _, err := c.Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
		var answers []string
		for {
			v, err := c.r.Value()
			if err != nil {
				break
			}
			answers = append(answers, v.Str)
		}
		if len(answers) > 1 || strings.Contains(strings.Join(answers, ""), "OK") {
			t.Errorf("%q: answered %q", request, answers)
		}
	}
	if p.master("evil")["name"] != "" || p.master("mymaster")["quorum"] != "1" {
		t.Error("a line of a body was run")
	}
	p.logs("[" + string(cause.SentinelHTTPRequest) + "]")
}

// TestNothingSlipsIntoTheFile: what clients name cannot become lines of the configuration file, and is read again as it was.
func TestNothingSlipsIntoTheFile(t *testing.T) {
	t.Parallel()
	p := alone(t, binary+" sentinel", "").start()
	line := "\nsentinel notification-script mymaster /bin/sh"
	for _, args := range [][]string{
		{"bob", "on", "~x" + line}, {"bob", "&x" + line}, {"bob", "(~x" + line + ")"}, {"bob", "(+ping", "&x" + line + ")"}, {"bob", "~a\x00b"}, {"bob", "%R~a\tb"},
		{"bo\nb", "on"}, {"bo\tb"}, {"bo\x00b"}, {"bob", "+ping" + line}, {"bob", ">secret", "~\r"},
	} {
		if v := p.do(append([]string{"ACL", "SETUSER"}, args...)...); !v.IsError("ERR") {
			t.Errorf("%q: %+v", args, v)
		}
	}
	p.ok("ACL", "SETUSER", "q\"uo'te#", "on", ">with space\nand line", "~\"x'\\", "&#c\xff", "(~\"y +ping)", "(~z +info)")
	before := p.do("ACL", "LIST")
	p.ok("SENTINEL", "MONITOR", "\xff\"'#", "127.0.0.1", "2", "1")
	p.ok("SENTINEL", "SET", "\xff\"'#", "auth-pass", "pass \"word\\ #\xff")
	if v := p.do("SENTINEL", "SET", "\xff\"'#", "auth-pass", "pass word\nsentinel myid x"); !v.IsError("ERR") {
		t.Errorf("a password with a line end: %+v", v)
	}
	p.kill()
	p.start()
	after := p.do("ACL", "LIST")
	for i := range before.Elems {
		if i >= len(after.Elems) || before.Elems[i].Str != after.Elems[i].Str {
			t.Errorf("users before a restart: %+v\nafter: %+v", before, after)
			break
		}
	}
	if p.master("mymaster")["notification-script"] != "" || p.master("\xff\"'#")["port"] != "2" {
		t.Error("after a restart it is another configuration")
	}
}

// TestNameWithSpace: a name that cannot be watched is refused before anything is written.
func TestNameWithSpace(t *testing.T) {
	t.Parallel()
	p := alone(t, binary+" sentinel", "sentinel monitor \"my master\" 127.0.0.1 2 1\n")
	before, err := os.ReadFile(p.conf)
	if err != nil {
		t.Fatal(err)
	}
	p.launch()
	if status := p.exitStatus(); status != 1 {
		t.Errorf("status %d", status)
	}
	after, err := os.ReadFile(p.conf)
	if err != nil || string(after) != string(before) {
		t.Errorf("the file was changed: %s (%v)", after, err)
	}
	out, err := os.ReadFile(filepath.Join(p.dir, "out"))
	line := strconv.Itoa(strings.Count(string(before[:strings.Index(string(before), "\"my master\"")]), "\n") + 1)
	if err != nil || !strings.Contains(string(out), "line "+line) || !strings.Contains(string(out), "white space") {
		t.Errorf("it says %s (%v)", out, err)
	}
}
