// Package echo is the two-port echo service. A client connects to port 2000; the server connects back to the client's address on
// port 2001 and returns there every byte that it receives, as it comes.
//
// The server connects only to the address that a completed TCP connection came from, so it cannot be pointed at others, and it
// sends no more than it was sent. What the receiving side does not take is not read from the sending side either: a slow receiver
// slows its sender, and memory does not grow with what is sent.
//
// Whatever ends a connection other than the client itself is told as one line on the sending connection, on which nothing else
// travels from the server: "picket echo: TEXT [CAUSE]". A server of the same connection, for clients that cannot be reached, returns
// on the connection itself and can say so only before the first byte.
package echo

import (
	"fmt"
	"strings"
	"time"

	"picket/cause"
	"picket/echo/door"
	"picket/logging"
)

// The ports of the service.
const (
	DefaultPort     = 2000 // the client sends to it
	DefaultBackPort = 2001 // the client receives on it
)

// Limits bound what clients can use. A client is an IPv4 address or an IPv6 /64 network. No limit can be switched off; a large
// number does.
type Limits struct {
	Connections int           // of all clients at a time
	PerClient   int           // of one client at a time
	PerMinute   int           // that one client may open within a minute
	Bytes       int64         // that one client may send within an hour
	Time        time.Duration // that one connection may last
	Idle        time.Duration // without a byte moving
}

// DefaultLimits are generous for people and tight for floods. A client's sending connection and the one back take two descriptors.
func DefaultLimits() Limits {
	return Limits{Connections: 4096, PerClient: 64, PerMinute: 120, Bytes: 1 << 30, Time: time.Hour, Idle: 5 * time.Minute}
}

// accounts are the limits that are kept for each client.
func (l Limits) accounts() door.Limits {
	return door.Limits{Connections: l.Connections, PerClient: l.PerClient, PerMinute: l.PerMinute, Bytes: l.Bytes}
}

// check says which limit cannot be.
func (l Limits) check() error {
	for _, c := range []struct {
		name  string
		value int64
	}{
		{"Connections", int64(l.Connections)}, {"PerClient", int64(l.PerClient)}, {"PerMinute", int64(l.PerMinute)},
		{"Bytes", l.Bytes}, {"Time", int64(l.Time)}, {"Idle", int64(l.Idle)},
	} {
		if c.value <= 0 {
			return fmt.Errorf("echo: the limit %s is %d; it has to be more than 0", c.name, c.value)
		}
	}
	return nil
}

// Config says how to serve.
type Config struct {
	Addresses      []string // to listen on; none: all of the machine, both families
	Port           int      // 0: one that is free, see [Server.Addrs]
	BackPort       int      // of the client
	SameConnection bool     // return on the connection itself; BackPort is not used
	Limits         Limits
	Log            *logging.Logger
}

// noticePrefix begins the line by which a server says why it ends a connection.
const noticePrefix = "picket echo: "

// maxNotice bounds what is read of a server's line, in bytes.
const maxNotice = 1000

// parseNotice reads a server's line. Text that has no known cause at its end, or is no such line at all, is false.
func parseNotice(line string) (*cause.Failure, bool) {
	text, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), noticePrefix)
	if !ok || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return nil, false
	}
	open := strings.LastIndex(text, " [")
	if open < 0 || !strings.HasSuffix(text, "]") {
		return nil, false
	}
	id := cause.ID(text[open+2 : len(text)-1])
	if _, known := cause.Lookup(id); !known {
		return nil, false
	}
	return &cause.Failure{Cause: id, Text: text[:open]}, true
}
