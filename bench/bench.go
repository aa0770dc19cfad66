// Package bench puts load on an MQTT broker and measures what comes through.
//
// The generator shares the machine with the broker more often than not, so it has to be far cheaper than any broker:
// publishers write batches of packets that were encoded before the run, with only packet identifiers and time stamps
// patched in place; subscribers read into large buffers and count packets by their headers, and take a closer look at
// one packet of each read. Every count is checked: what was sent, what should have come of it, what came.
package bench

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"picket/packet"
)

// Scenario is the shape of the load.
type Scenario string

// The scenarios.
const (
	Pair     Scenario = "pair"     // publisher i sends to subscriber i
	FanIn    Scenario = "fan-in"   // many publishers, each on topics of its own, and every subscriber gets them all
	FanOut   Scenario = "fan-out"  // few publishers, every one of many subscribers gets every message
	Retained Scenario = "retained" // publishers replace the retained messages of their topics in turn, and nobody subscribes
	Idle     Scenario = "idle"     // connections that do nothing
	Connects Scenario = "connects" // connections made, accepted and ended as fast as they can be
)

// Scenarios lists them all.
var Scenarios = []Scenario{Pair, FanIn, FanOut, Retained, Idle, Connects}

// Sessions is what becomes of the subscribers' sessions, and with Idle and Connects of everybody's.
type Sessions string

// The sessions.
const (
	Clean      Sessions = "clean"      // they end with their connections
	Persistent Sessions = "persistent" // they survive; the subscribers are connected nevertheless
	Offline    Sessions = "offline"    // they survive, and their clients are away until all has been published
)

// ErrConfig is wrapped by every error about a Config that cannot be run.
var ErrConfig = errors.New("bench: bad configuration")

// Config says what to run. Zero values are replaced as the comments say.
type Config struct {
	Scenario Scenario       // default Pair
	Address  string         // HOST:PORT of the broker; default localhost:1883
	Version  packet.Version // default packet.V311
	Username string
	Password string
	// Transport is what everything goes over; default TCP. Authorities are trusted with TLS; nil: those of the system.
	Transport   Transport
	Authorities *x509.CertPool

	Publishers  int           // default 1, FanIn 50
	Subscribers int           // default 1, FanOut 50; Pair: as many as publishers
	Topics      int           // topics of each publisher, used in turn; default 1
	QoS         byte          // of messages and subscriptions
	Size        int           // bytes of payload; default 64. Below StampSize there are no latencies
	Rate        float64       // messages per second of all publishers together; 0: as many as go through
	Window      int           // messages in flight per publisher at QoS 1 and 2; default 1000. A smaller Receive Maximum of the broker goes first
	Backlog     int           // without a rate: publishers wait while more deliveries than this are on their way; 0: they never wait
	Warmup      time.Duration // before anything is measured; default 1 s
	Duration    time.Duration // what is measured; default 5 s
	Drain       time.Duration // how long to wait for what is still on its way in the end; default 10 s

	// Connections is how many to hold with Idle (default 1000), and how many to work on at a time with Connects
	// (default 50).
	Connections int

	// Filters is how many filters are subscribed to that match no message: with Idle by its connections, with messages by others. Default none.
	Filters int

	// Sessions is what becomes of the subscribers' sessions; default Clean. With Offline, what is measured is publishing until it is
	// acknowledged; the messages are fetched and counted in the end, and all sessions are removed. With Idle, Offline has the clients go away
	// when they have subscribed; with Connects, Persistent has sessions that outlive their connections, one after the other.
	Sessions Sessions

	// Leave has sessions and retained messages stay in the end, for a broker that is thrown away.
	Leave bool

	// PID is the broker's process on this machine, whose processor time and memory are to be read. 0: looked for by its
	// listening port when Address is one of this machine.
	PID int

	// Progress, when set, is called about once a second and from one goroutine.
	Progress func(Progress)
}

// Progress is the state of a run that is under way.
type Progress struct {
	Elapsed  time.Duration
	Phase    string // "connecting", "subscribing", "filling", "warm-up", "measuring", "draining", "holding"
	Sent     float64
	Received float64 // messages per second since the last call; connections with Idle and Connects
	Open     int     // connections
}

// StampSize is the smallest payload that can carry what latencies and the check of the order need.
const StampSize = 16

// Largest values, far beyond what one machine can do: they turn a slip of the finger into an error.
const (
	maxClients = 1_000_000
	maxTopics  = 10_000_000
	maxBatch   = 1 << 30 // bytes of encoded packets per publisher
)

// withDefaults returns c with its zero values replaced, or an error that says what cannot be.
func (c Config) withDefaults() (Config, error) {
	if c.Scenario == "" {
		c.Scenario = Pair
	}
	if c.Address == "" {
		c.Address = "localhost:1883"
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return c, fmt.Errorf("%w: address %q: expected HOST:PORT, such as localhost:1883 or [::1]:1883", ErrConfig, c.Address)
	}
	if c.Version == 0 {
		c.Version = packet.V311
	}
	set := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	switch c.Scenario {
	case Pair:
		set(&c.Publishers, 1)
		set(&c.Subscribers, c.Publishers)
		if c.Subscribers != c.Publishers {
			return c, fmt.Errorf("%w: %d publishers and %d subscribers do not pair up: give only one of them, or use %s or %s", ErrConfig, c.Publishers, c.Subscribers, FanIn, FanOut)
		}
	case FanIn:
		set(&c.Publishers, 50)
		set(&c.Subscribers, 1)
	case FanOut:
		set(&c.Publishers, 1)
		set(&c.Subscribers, 50)
	case Retained:
		set(&c.Publishers, 1)
	case Idle:
		set(&c.Connections, 1000)
	case Connects:
		set(&c.Connections, 50)
	default:
		return c, fmt.Errorf("%w: scenario %q: expected one of %s", ErrConfig, c.Scenario, scenarioNames())
	}
	c.Sessions, c.Transport = cmp.Or(c.Sessions, Clean), cmp.Or(c.Transport, TCP)
	set(&c.Topics, 1)
	set(&c.Size, 64)
	set(&c.Window, 1000)
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{{&c.Warmup, time.Second}, {&c.Duration, 5 * time.Second}, {&c.Drain, 10 * time.Second}} {
		if *d.v == 0 {
			*d.v = d.def
		}
	}
	return c, c.check()
}

func (c *Config) check() error {
	switch {
	case c.Version != packet.V31 && c.Version != packet.V311 && c.Version != packet.V5:
		return fmt.Errorf("%w: protocol version %d: expected 3 (MQTT 3.1), 4 (3.1.1) or 5", ErrConfig, c.Version)
	case c.Sessions != Clean && c.Sessions != Persistent && c.Sessions != Offline:
		return fmt.Errorf("%w: sessions %q: expected %s, %s or %s", ErrConfig, c.Sessions, Clean, Persistent, Offline)
	case schemes[c.Transport] == "":
		return fmt.Errorf("%w: transport %q: expected %s, %s, %s or %s", ErrConfig, c.Transport, TCP, TLS, WebSocket, SecureWebSocket)
	case c.Scenario == Retained && (c.Subscribers > 0 || c.Backlog > 0 || c.Sessions != Clean):
		return fmt.Errorf("%w: nobody subscribes with %s: it has no subscribers, sessions or backlog", ErrConfig, Retained)
	case c.Scenario == Connects && (c.Filters > 0 || c.Sessions == Offline):
		return fmt.Errorf("%w: %s subscribes to nothing and leaves nobody away", ErrConfig, Connects)
	case c.Scenario == Idle:
	case c.Sessions == Offline && c.QoS == 0:
		return fmt.Errorf("%w: brokers keep nothing of QoS 0 for clients that are away: use QoS 1 or 2", ErrConfig)
	case c.Sessions == Offline && c.Backlog > 0:
		return fmt.Errorf("%w: a backlog cannot be bounded while the subscribers are away", ErrConfig)
	case c.QoS > 2:
		return fmt.Errorf("%w: QoS %d: expected 0, 1 or 2", ErrConfig, c.QoS)
	case c.Rate < 0:
		return fmt.Errorf("%w: rate %g: expected messages per second, or 0 for as many as go through", ErrConfig, c.Rate)
	case c.Window < 1 || c.Window > 65535:
		return fmt.Errorf("%w: window %d: expected 1 to 65535 messages in flight", ErrConfig, c.Window)
	case c.Backlog < 0:
		return fmt.Errorf("%w: backlog %d: expected deliveries, or 0 for no limit", ErrConfig, c.Backlog)
	case c.Warmup < 0 || c.Duration < 0 || c.Drain < 0:
		return fmt.Errorf("%w: times cannot be negative", ErrConfig)
	}
	for _, n := range []struct {
		name   string
		v, max int
	}{
		{"publishers", c.Publishers, maxClients}, {"subscribers", c.Subscribers, maxClients},
		{"connections", c.Connections, maxClients}, {"topics", c.Topics, maxTopics}, {"filters", c.Filters, maxTopics}, {"size", c.Size, packet.MaxRemaining / 2},
	} {
		if n.v < 0 || n.v > n.max {
			return fmt.Errorf("%w: %s %d: expected 1 to %d", ErrConfig, n.name, n.v, n.max)
		}
	}
	return nil
}

func scenarioNames() string {
	names := make([]string, len(Scenarios))
	for i, s := range Scenarios {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// deliveries is how many messages subscribers should get for one that is published.
func (c *Config) deliveries() int {
	if c.Scenario == Pair {
		return 1
	}
	return c.Subscribers // none with Retained
}
