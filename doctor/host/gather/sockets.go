package gather

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
)

// socket is a socket that listens.
type socket struct {
	addr    netip.Addr
	port    int
	uid     int // of who made it
	inode   uint64
	waiting int // connections that nobody has accepted yet
}

// stateListen is TCP_LISTEN of the kernel's include/net/tcp_states.h, as /proc/net/tcp shows it.
const stateListen = "0A"

// listening reads net/tcp and net/tcp6 below a directory of /proc.
func (g *gatherer) listening(dir string) (all []socket, err error) {
	v4, err := g.read(dir + "/net/tcp")
	if err != nil {
		return nil, err
	}
	v6, err := g.read(dir + "/net/tcp6")
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6 has no such file
		return nil, err
	}
	return append(parseSockets(v4), parseSockets(v6)...), nil
}

// parseSockets reads the sockets that listen from /proc/net/tcp or tcp6 (proc_net_tcp.rst of the kernel's documentation).
func parseSockets(text string) (all []socket) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != stateListen {
			continue
		}
		address, port, _ := strings.Cut(f[1], ":")
		a, ok := kernelAddress(address)
		number, err := strconv.ParseUint(port, 16, 16)
		if !ok || err != nil {
			continue
		}
		inode, err := strconv.ParseUint(f[9], 10, 64)
		if err != nil {
			continue
		}
		_, received, _ := strings.Cut(f[4], ":")
		waiting, err := strconv.ParseUint(received, 16, 32)
		if err != nil {
			waiting = 0
		}
		uid, err := strconv.Atoi(f[7])
		if err != nil {
			continue
		}
		all = append(all, socket{a, int(number), uid, inode, int(waiting)})
	}
	return all
}

// stateOpen is TCP_ESTABLISHED.
const stateOpen = "01"

// connected is how many connections there are to a port of this machine.
func (g *gatherer) connected(port int) (n int) {
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := g.read(table)
		if err != nil {
			continue // without it, none are known
		}
		end := fmt.Sprintf(":%04X", port)
		for line := range strings.Lines(text) {
			if f := strings.Fields(line); len(f) > 3 && f[3] == stateOpen && strings.HasSuffix(f[1], end) {
				n++
			}
		}
	}
	return n
}

// kernelAddress reads an address as the kernel shows it: words of 32 bits, each in the machine's own byte order.
func kernelAddress(text string) (netip.Addr, bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 4 && len(b) != 16 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, ok := netip.AddrFromSlice(b)
	return a.Unmap(), ok
}
