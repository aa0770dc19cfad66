package bench

import (
	"net"
	"os"
	"slices"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	const stat = "4242 (a) b (c) S 1 4242 4242 0 -1 4194560 1000 0 1 0 250 75 0 0 20 0 3 0 12345 99999744 321 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n"
	u, err := parseStat([]byte(stat), 4096)
	if want := (usage{cpu: 3250 * time.Millisecond, rss: 321 * 4096}); u != want || err != nil {
		t.Fatalf("%+v, %v, want %+v", u, err, want)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) S 1 2 3", "1 (x) S 1 4242 4242 0 -1 4194560 1000 0 1 0 many 75 0 0 20 0 3 0 12345 99999744 321 1\n"} {
		if _, err := parseStat([]byte(bad), 4096); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestParseRollup(t *testing.T) {
	const rollup = "00400000-7ffc2 ---p 00000000 00:00 0    [rollup]\nRss:                2744 kB\nPss:                 690 kB\n"
	if rss, ok := parseRollup([]byte(rollup)); !ok || rss != 2744<<10 {
		t.Errorf("%d, %v", rss, ok)
	}
	if _, ok := parseRollup([]byte("Pss: 690 kB\n")); ok {
		t.Error("no line Rss, no error")
	}
}

func TestReadUsageOfThisProcess(t *testing.T) {
	u, err := readUsage(os.Getpid())
	if err != nil || u.rss < 1<<20 {
		t.Fatalf("%+v: %v", u, err)
	}
	if _, err := readUsage(1 << 30); err == nil {
		t.Error("a process that cannot exist: no error")
	}
}

func TestFindProcess(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr)
	if pid, err := findProcess(addr); pid != os.Getpid() || err != nil {
		t.Errorf("process %d: %v, want %d", pid, err, os.Getpid())
	}
	if pid, err := findProcess(&net.TCPAddr{IP: net.IPv4(203, 0, 113, 1), Port: addr.Port}); err == nil {
		t.Errorf("an address of another machine: process %d", pid)
	}
	l.Close()
	if pid, err := findProcess(addr); err == nil {
		t.Errorf("nobody listens: process %d", pid)
	}
}

func TestListening(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:075B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0
   1: 0100007F:075B 0100007F:8000 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0
   2: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0
`
	if got := listening([]byte(table), 1883); !slices.Equal(got, []string{"111"}) {
		t.Errorf("inodes %v, want 111", got)
	}
}
