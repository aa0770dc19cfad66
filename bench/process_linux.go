package bench

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTicks per second in /proc: USER_HZ, which is 100 on every architecture that Go runs on.
const clockTicks = 100

// readUsage reads what a process has used. Processor time comes in steps of 10 ms.
func readUsage(pid int) (usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, fmt.Errorf("bench: process %d: %w", pid, err)
	}
	u, err := parseStat(stat, int64(os.Getpagesize()))
	if err != nil {
		return u, err
	}
	// The kernel's counter of resident pages is inexact by up to some hundred KiB for each processor; here it counts them.
	// The file is for the same user and root only.
	if rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid)); err == nil {
		if rss, ok := parseRollup(rollup); ok {
			u.rss = rss
		}
	}
	return u, nil
}

// parseRollup finds the line "Rss: N kB" of /proc/PID/smaps_rollup.
func parseRollup(b []byte) (rss int64, ok bool) {
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Rss:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false
}

// parseStat reads the line of /proc/PID/stat. The second field is the command's name in parentheses and may hold spaces
// and parentheses itself.
func parseStat(stat []byte, page int64) (usage, error) {
	_, rest, ok := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
	f := strings.Fields(string(rest))
	if !ok || len(f) < 22 {
		return usage{}, fmt.Errorf("bench: unexpected contents of /proc/PID/stat: %q", stat)
	}
	var n [3]int64
	for i, at := range []int{11, 12, 21} { // utime, stime, rss: fields 14, 15 and 24 of proc(5)
		v, err := strconv.ParseInt(f[at], 10, 64)
		if err != nil {
			return usage{}, fmt.Errorf("bench: unexpected contents of /proc/PID/stat: %w", err)
		}
		n[i] = v
	}
	return usage{cpu: time.Duration(n[0]+n[1]) * time.Second / clockTicks, rss: n[2] * page}, nil
}

// findProcess finds the process of this machine that listens on addr.
func findProcess(addr *net.TCPAddr) (int, error) {
	if !ownAddress(addr.IP) {
		return 0, errNoProcess
	}
	inodes := map[string]bool{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // IPv6 may be off
		}
		for _, inode := range listening(b, addr.Port) {
			inodes["socket:["+inode+"]"] = true
		}
	}
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, err
	}
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil && inodes[link] {
			return strconv.Atoi(strings.Split(fd, "/")[2])
		}
	}
	return 0, errNoProcess
}

func ownAddress(ip net.IP) bool {
	if ip.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return false
}

// listening returns the inodes of the sockets in a table like /proc/net/tcp that listen on port.
func listening(table []byte, port int) []string {
	const listen = "0A"
	suffix := fmt.Sprintf(":%04X", port)
	var inodes []string
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 9 && f[3] == listen && strings.HasSuffix(f[1], suffix) {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}
