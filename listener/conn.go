// Package listener is where bytes come from: TCP, TLS, WebSocket and Unix sockets, and one port that tells them apart by the first bytes.
//
// It feeds an I/O-free core ([Handler], [Worker], [Client]) in two ways: level-triggered epoll loops for plain TCP and Unix
// sockets on Linux, and a goroutine per connection on Go's network poller for TLS, WebSocket and other systems, which on Linux an idle one gives up. Both follow
// one contract: read all that has arrived, hand it over, and at the end of the batch call [Worker.Flush] once.
package listener

import (
	"crypto/tls"
	"net/netip"
	"time"
)

// Handler is the core that a listener feeds.
type Handler interface {
	// NewWorker makes the context (scratch memory, list of clients to write to) of one event loop or reading goroutine.
	NewWorker() Worker
	// Accept announces a connection whose transport is ready: PROXY header read, TLS handshake and WebSocket upgrade done.
	// A nil Client refuses it; the connection is then closed at once.
	Accept(c Conn) Client
}

// Worker is the core's context for one feeder. Its methods and those of the clients it is passed to are called by one
// goroutine at a time.
type Worker interface {
	// Flush ends a batch: everything that was produced since the last Flush is written, once per connection.
	Flush()
}

// OwnedFrom is the length from which bytes presented to [Client.Read] lie in memory that no buffer shares.
const OwnedFrom = 1 << 20

// Client is the core's side of one connection.
type Client interface {
	// Read is given all bytes that have arrived and are not consumed yet, and returns how many it has consumed; the rest is
	// presented again, with what came after. need is how many bytes it wants to see before it is called again, 0 if
	// unknown; the connection's buffer never grows by more than what has arrived. b is only valid during the call, unless it
	// is [OwnedFrom] bytes or longer and all of it is consumed: then nobody writes to it again, and it may be kept.
	Read(w Worker, b []byte) (n, need int)
	// Writable is called once after a Write took less than it was offered, when more can be taken.
	Writable(w Worker)
	// Closed is the last call for a connection, made exactly once however it ended; err is nil for an orderly end of the
	// peer's side (EOF) and for a Close by the core.
	Closed(w Worker, err error)
}

// Conn is one connection as the core sees it.
type Conn interface {
	// Write offers bytes without ever blocking and returns how many were taken. Taking fewer than offered, it promises one
	// later call of Client.Writable. The slices are not kept. One writer at a time; any goroutine.
	Write(bufs [][]byte) (n int, err error)
	// Pause stops calls of Client.Read (the peer is slowed by TCP); Resume, callable from any goroutine, presents at once what was left.
	Pause()
	Resume()
	// Hold tells how many bytes the core keeps of what the connection has sent. They are charged to its address until it is admitted. Any goroutine.
	Hold(bytes int)
	// Admitted says that the connection is a client's from now on, and not one of those that are closed when there are too many. Any goroutine.
	Admitted()
	// Finish ends the connection as Close does, but leaves the peer time to read what was written last: the sending side is shut down, and what
	// still arrives is thrown away, for [lingerTime] and [lingerBytes] at the most.
	Finish()
	// Close ends the connection without waiting. Safe from any goroutine and more than once. Client.Closed follows, on the connection's own worker.
	Close()
	Info() *Info
}

// Info is what is known of a connection when it is accepted. It does not change, and equal parts are shared by the connections of a listener.
type Info struct {
	Remote   netip.AddrPort // the client's address, from the PROXY header when a trusted proxy sent one; zero for Unix sockets
	Local    netip.AddrPort
	Listener *Config
	Protocol Protocol             // what is spoken on top: MQTT or WebSocket
	TLS      *tls.ConnectionState // nil without TLS
	Since    time.Time            // when the system accepted the connection; zero once it is admitted
	ProxyTLS *ProxyTLS            // what a trusted proxy said about its own TLS connection (PROXY v2), empty if nothing; nil without a PROXY header

	// Forwarded: a WebSocket request came through an HTTP proxy that says so, and Remote is the proxy's address.
	Forwarded bool
	// Foreign: a WebSocket connection was opened by a web page of another site than this server, which the person before the browser may
	// know nothing of. It comes from the address of the browser's machine all the same.
	Foreign bool
}

// ProxyTLS is the client certificate's part of a PROXY v2 header.
type ProxyTLS struct {
	CommonName string
	Verified   bool
}
