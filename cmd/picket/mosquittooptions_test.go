package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"picket/internal/testbed"
)

// asBroker is the path of a link to this program with mosquitto's name.
func asBroker(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "mosquitto")
	if err := os.Symlink(exe, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// TestTestConfig is mosquitto 2.1's --test-config: scripts look at the status, people at the lines on standard error.
func TestTestConfig(t *testing.T) {
	program, dir := asBroker(t), t.TempDir()
	for name, c := range map[string]struct {
		conf   string // empty: no -c
		status int
		want   []string
	}{
		"good":    {fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\n", testbed.Port(t)), 0, []string{"Configuration file is OK."}},
		"wrong":   {"listener 1883\nallow_anonymous perhaps\n", 3, []string{"Error: Invalid allow_anonymous value (perhaps).", "wrong:2."}},
		"no file": {"listener 1883 127.0.0.1\npassword_file " + dir + "/none\n", 3, []string{dir + "/none"}},
		"alone":   {"", 3, []string{"Please provide a configuration file to test."}},
	} {
		args := []string{"--test-config"}
		if c.conf != "" {
			file := filepath.Join(dir, name)
			if err := os.WriteFile(file, []byte(c.conf), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "-c", file)
		}
		r := execute(t, program, "", args)
		if r.status != c.status || r.stdout != "" {
			t.Errorf("%s: status %d, want %d; stdout %q", name, r.status, c.status, r.stdout)
		}
		for _, want := range c.want {
			if !strings.Contains(r.stderr, want) {
				t.Errorf("%s: %q does not say %q", name, r.stderr, want)
			}
		}
		if c.status != 0 && strings.Contains(r.stderr, "is OK") {
			t.Errorf("%s: %q", name, r.stderr)
		}
	}
}

// TestQuiet is mosquitto 2.1's -q, which -v and the file do not make talk; it serves all the same. A wrong configuration is said.
func TestQuiet(t *testing.T) {
	program, dir, port := asBroker(t), t.TempDir(), testbed.Port(t)
	file := filepath.Join(dir, "conf")
	if err := os.WriteFile(file, []byte(fmt.Sprintf("listener %d 127.0.0.1\nallow_anonymous true\nlog_type all\nlog_dest stderr\nlog_dest stdout\nuser root\n", port)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, quiet := range []bool{false, true} {
		args := []string{"-v", "-c", file}
		if quiet {
			args = append(args, "-q")
		}
		broker := exec.Command(program, args...)
		var log bytes.Buffer
		broker.Stderr, broker.Stdout = &log, &log
		if err := broker.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = broker.Process.Kill() })
		awaitPort(t, port)
		if err := broker.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := broker.Wait(); err != nil {
			t.Errorf("quiet %v: %v", quiet, err)
		}
		if silent := log.Len() == 0; silent != quiet {
			t.Errorf("quiet %v: log %q", quiet, log.String())
		}
	}
	if r := execute(t, program, "", []string{"-q", "-c", dir + "/none"}); r.status != 3 || !strings.Contains(r.stderr, "none") {
		t.Errorf("no such file: %+v", r)
	}
}
