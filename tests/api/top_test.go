//go:build unix

package api

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"picket/internal/testbed"
	"picket/packet"
)

// top starts "picket ctl top", at a terminal of so many columns where columns is not empty (script makes one), at which nobody types anything.
func (w *world) top(columns string, args ...string) *testbed.Process {
	w.t.Helper()
	command := append([]string{testbed.Picket(w.t), "ctl", "top"}, args...)
	if columns != "" {
		command = []string{testbed.Program(w.t, "script", "bsdutils"), "-qec", "stty cols " + columns + " rows 8; exec " + strings.Join(command, " "), "/dev/null"}
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "PICKET_SOCKET="+w.Path("admin.sock"), "LC_ALL=C.UTF-8", "TERM=xterm")
	typed, keyboard, err := os.Pipe()
	if err != nil {
		w.t.Fatal(err)
	}
	cmd.Stdin = typed
	p, err := testbed.Launch(cmd, w.Path("top"+columns+strings.Join(args, "")))
	_ = typed.Close()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		_ = keyboard.Close()
		_ = p.Kill()
	})
	return p
}

// publishes has somebody publish now and then until the test is over.
func (w *world) publishes(id string) {
	w.t.Helper()
	c := w.connect(id, false)
	go func() {
		for w.t.Context().Err() == nil && c.Send(&packet.Publish{Topic: []byte("a"), Payload: []byte("x")}) == nil {
			time.Sleep(50 * time.Millisecond)
		}
	}()
}

// The busiest are shown: once, as lines of JSON, one reading after the other, in both languages, and on a terminal in its width.
func TestTop(t *testing.T) {
	w := newWorld(t)
	w.publishes("busy-meter-with-a-name-that-is-longer-than-narrow-terminals-are")
	testbed.Eventually(t, func() error {
		said, err := w.picket("ctl", "top", "--once", "--limit", "3")
		if err != nil || !strings.Contains(said, "busy-meter") || !strings.Contains(said, "MSG/s IN") {
			return errMissing("busy-meter in " + said)
		}
		return nil
	})
	if said, err := w.picket("--lang", "zh", "ctl", "top", "--once"); err != nil || !strings.Contains(said, "消息/秒 入") {
		t.Errorf("in Chinese: %v, %s", err, said)
	}
	if said, err := w.picket("ctl", "top", "--once", "--json", "--sort", "bytes_in"); err != nil || !json.Valid([]byte(said)) || strings.Count(said, "\n") != 1 {
		t.Errorf("as JSON: %v, %s", err, said)
	}
	if said, err := w.picket("ctl", "top", "--every", "11"); err == nil {
		t.Errorf("every 11 s: %s", said)
	}
	lines := w.top("", "--sort", "messages_in")
	testbed.Eventually(t, func() error {
		if strings.Count(lines.Said(), "MSG/s IN") < 2 {
			return errMissing("a second reading")
		}
		return nil
	})
	if strings.Contains(lines.Said(), "\x1b") {
		t.Error("it is drawn where there is no terminal")
	}
	drawn := w.top("60")
	w.said(drawn, "busy-m")
	w.said(drawn, "q quit")
	plain := strings.NewReplacer("\x1b[K", "", "\x1b[J", "", "\x1b[?1049h", "", "\x1b[?25l", "", "\x1b[H", "\r\n")
	said := drawn.Said()
	said = said[:strings.LastIndex(said, "\x1b[J")] // what follows may be half a line
	for line := range strings.SplitSeq(plain.Replace(said), "\r\n") {
		if len([]rune(line)) > 60 || strings.Contains(line, "\x1b") {
			t.Errorf("%q is longer than the terminal is wide", line)
		}
	}
}
