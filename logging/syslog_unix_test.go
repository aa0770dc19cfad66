//go:build !windows && !plan9

package logging

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func TestSyslogPriorities(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	daemon, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer daemon.Close()
	for _, c := range []struct {
		facility int
		t        Type
		priority string
	}{
		{-1, Error, "<27>"}, // daemon is 3<<3, err is 3
		{-1, Info, "<30>"},
		{5, Warning, "<172>"}, // local5 is 21<<3, warning is 4
		{5, Notice, "<173>"},
		{5, Subscribe, "<173>"},
		{0, Debug, "<135>"},
	} {
		w, err := dialSyslog("unixgram", path, c.facility)
		if err != nil {
			t.Fatal(err)
		}
		d := newDestination(w, former{})
		d.put(c.t, []byte("Reloading config.\n"))
		d.close()
		buf := make([]byte, 512)
		n, err := daemon.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got := string(buf[:n])
		if !strings.HasPrefix(got, c.priority) || !strings.Contains(got, "picket[") || !strings.HasSuffix(got, ": Reloading config.\n") {
			t.Errorf("%s at facility %d: got %q, want priority %s", c.t, c.facility, got, c.priority)
		}
	}
	if _, err := dialSyslog("unixgram", path, 8); err == nil {
		t.Error("facility 8 was accepted")
	}
}
