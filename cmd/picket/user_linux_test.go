package main

import (
	"os"
	"strings"
	"testing"
)

// A password that is piped in is read once, whatever the answers are written to.
func TestPasswordFromAFileAtATerminal(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	if !isTerminal(terminal) {
		t.Fatal("/dev/ptmx is no terminal")
	}
	e := &env{ctx: t.Context(), stdin: strings.NewReader("hush\n"), stdout: terminal, stderr: terminal}
	if password, made, err := (&newPassword{Password: "-"}).get(e); password != "hush" || made != "" || err != nil {
		t.Errorf("%q, %q, %v", password, made, err)
	}
}
