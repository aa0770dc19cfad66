package listener

import (
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"picket/cause"
)

// Options says how a [Set] works. The zero value is useful.
type Options struct {
	// Loops is the number of event loops for plain connections on Linux; 0: one for every four processors, at least one.
	// (On two processors that are shared with everything else one loop was faster than two.)
	Loops int

	// Goroutines serves plain connections with a goroutine each, as on systems without epoll.
	Goroutines bool

	// Idle is how long a client's connection with a goroutine has to be silent before it gives the goroutine up, on Linux; 0: five seconds. One
	// that sends seldom gives it up at once when what has arrived is handled.
	Idle time.Duration

	// Nagle leaves Nagle's algorithm on. By default TCP_NODELAY is set: each connection is written to once per batch, so
	// there are no small segments to gather, and holding the last one back until the peer's delayed acknowledgement
	// would only add up to 40 ms.
	Nagle bool

	// Newcomers and NewcomerBytes bound the connections that are no clients: how many there may be, and what they may cost together. 0: 4096, and 64 MiB.
	// What they cost is charged to their addresses, and it is the address that costs the most that loses its oldest connection. See [Set.SetNewcomers].
	Newcomers     int
	NewcomerBytes int64

	// Charged is told by how many bytes that cost grows, or shrinks, for an account of all memory. Any goroutine, under a lock. It may be nil.
	Charged func(bytes int64)

	// HTTP makes what answers HTTP requests, other than those that become WebSocket connections, on a listener that speaks WebSocket. rest is the answer for
	// what the handler has nothing for: it says what the port is for. The time that a request may take to arrive and to be answered is bounded, and its connection
	// counts among the newcomers. nil, or a nil handler, is rest alone.
	HTTP func(c *Config, rest http.Handler) (http.Handler, error)

	// Given are sockets that are open already. It may be nil.
	Given *Given

	// Opening is called before each socket is opened, for the log. It may be nil.
	Opening func(Socket)

	// Note is called, when configurations are opened or updated, for what is odd but no error: a certificate or revocation
	// list that has expired. It may be nil.
	Note func(c *Config, text string)

	// Refused is called for every connection that ends before, or instead of, [Handler.Accept], and for one that is
	// ended here later on because of what it sent. Any goroutine. It may be nil.
	Refused func(Refusal)
}

// Socket is one listening socket. A [Config] has one for each address family or address.
type Socket struct {
	Listener *Config
	Addr     netip.AddrPort // as bound; before it is opened, the port that was asked for. Zero for Unix sockets
}

// Family is "ipv4", "ipv6" or "unix".
func (s Socket) Family() string {
	switch {
	case s.Listener.Path != "":
		return "unix"
	case s.Addr.Addr().Is4():
		return "ipv4"
	default:
		return "ipv6"
	}
}

// String is mosquitto's log line about the socket.
func (s Socket) String() string {
	switch {
	case s.Listener.Path != "":
		return fmt.Sprintf("Opening unix listen socket on path %s.", s.Listener.Path)
	case s.Listener.Protocol == WebSocket:
		return fmt.Sprintf("Opening websockets listen socket on port %d.", s.Addr.Port())
	default:
		return fmt.Sprintf("Opening %s listen socket on port %d.", s.Family(), s.Addr.Port())
	}
}

// Refusal tells why a connection was not accepted, or was ended here.
type Refusal struct {
	Remote   netip.AddrPort // zero for Unix sockets
	Listener *Config
	Cause    cause.ID
	Text     string // what was seen, one line without a period at its end
	Accepted bool   // there is a client already: its Closed gets this refusal as the error
}

// Error makes a Refusal the error that [Client.Closed] gets, when there was a client already.
func (r *Refusal) Error() string { return r.Text }
