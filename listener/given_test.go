//go:build unix

package listener

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"picket/internal/testbed"
)

// handOver is what a supervisor does: it listens, and hands the descriptor over.
func handOver(t *testing.T, network, address string) *os.File {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	f, err := ln.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	t.Cleanup(func() { f.Close() })
	return f
}

// A listener accepts on the socket that the process was given at its address, goes and comes back by updates, and leaves those of others alone.
func TestGivenSockets(t *testing.T) {
	bothFronts(t, func(t *testing.T, opt Options) {
		port, other := testbed.Port(t), testbed.Port(t)
		path := filepath.Join(t.TempDir(), "s")
		given, err := NewGiven([]*os.File{
			handOver(t, "tcp4", loopbackAt(port)),
			handOver(t, "unix", path),
			handOver(t, "tcp4", loopbackAt(other)),
		})
		if err != nil {
			t.Fatal(err)
		}
		opt.Given = given
		tcp, unix := on(port), &Config{Path: path}
		s := opened(t, newEcho(t), opt, tcp, unix)
		if got, want := given.Idle(), []string{loopbackAt(other)}; !slices.Equal(got, want) {
			t.Errorf("%v are said to be idle, want %v", got, want)
		}
		roundTrip(t, dialPort(t, port), []byte("x"))
		roundTrip(t, dialUnix(t, path), []byte("x"))

		if _, err := s.Update(context.Background(), nil); err != nil {
			t.Fatal(err)
		}
		waiting := dialPort(t, port) // its owner still listens
		if _, err := s.Update(context.Background(), []*Config{tcp, unix}); err != nil {
			t.Fatal(err)
		}
		roundTrip(t, waiting, []byte("x"))
		roundTrip(t, dialUnix(t, path), []byte("x"))
		s.Close()
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("the path of somebody else's socket: %v", err)
		}
	})
}

// The IPv6 socket that systemd opens for "ListenStream=1883" takes IPv4, too, so that none is opened beside it.
func TestGivenSocketOfBothFamilies(t *testing.T) {
	bothFronts(t, func(t *testing.T, opt Options) {
		port := testbed.Port(t)
		f := handOver(t, "tcp", net.JoinHostPort("::", strconv.Itoa(port)))
		var err error
		if opt.Given, err = NewGiven([]*os.File{f}); err != nil {
			t.Fatal(err)
		}
		e := newEcho(t)
		s := opened(t, e, opt, &Config{Port: port})
		if n := len(s.Sockets()); n != 1 {
			t.Errorf("%d sockets", n)
		}
		roundTrip(t, dialPort(t, port), []byte("x"))
		if remote := next(t, e.accepted).conn.Info().Remote.Addr(); !remote.Is4() {
			t.Errorf("a client of IPv4 has the address %v", remote)
		}
	})
}

func TestGivenSocketsThatCannotBe(t *testing.T) {
	c, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	f, err := c.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := NewGiven([]*os.File{f}); err == nil {
		t.Error("a socket of datagrams is taken for one that listens")
	}
}

func loopbackAt(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func dialUnix(t *testing.T, path string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
