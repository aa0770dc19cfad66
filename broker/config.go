package broker

import (
	"net/http"
	"time"

	"picket/access"
	"picket/logging"
	"picket/store"
)

// Config is the whole configuration of a broker. The zero value is not useful: start from [Defaults].
type Config struct {
	Listeners []*Listener
	Security  []access.Config // [0] is the broker's own; more with per_listener_settings
	Log       logging.Config

	ConnectionMessages bool

	// Mosquitto has the broker do what mosquitto does where that differs from the specification, or from what people expect who never used
	// mosquitto: an ACL file never refuses SUBSCRIBE, a client's Maximum Packet Size is taken without the packet's first byte, a Subscription Identifier in a
	// client's PUBLISH is no error, a client that repeats a QoS 2 PUBLISH more than once before PUBREL is cut off, and a will delay outlasts its session, but not the return of
	// its client with Clean Start.
	Mosquitto bool

	// ReasonStrings sends MQTT 5 clients the cause in words, in CONNACK, SUBACK and DISCONNECT. mosquitto sends none, so it is off with a
	// mosquitto.conf unless that has reason_strings true.
	ReasonStrings bool

	MaxInflightMessages int // outgoing QoS 1/2 messages in flight per client; 0 = 65535. Default 20

	// ReceiveMaximum is how many QoS 2 messages an MQTT 5 client may send before it has released earlier ones (Receive Maximum, MQTT-3.2.2.3.3); going
	// beyond it ends the connection. 0, the default, is 65,535, the protocol's own: many clients (MQTT.js) publish hundreds of messages at once and do not
	// look at what CONNACK says. max_inflight_messages in a mosquitto.conf sets it too, as it does in mosquitto; with Mosquitto it is MaxInflightMessages.
	ReceiveMaximum int

	MaxInflightBytes  int    // 0 = no limit
	MaxQueuedMessages int    // per client beyond those in flight; 0 = no limit. Default 1000
	MaxQueuedBytes    int    // 0 = no limit
	MaxKeepAlive      uint16 // 0 = no limit
	MaxPacketSize     uint32 // 0 = the protocol's limit
	MessageSizeLimit  int
	MemoryLimit       int64 // heap ceiling, 0 = none

	GlobalMaxConnections int // over all listeners; 0 = no limit

	AllowDuplicateMessages bool
	QueueQoS0              bool // queue_qos0_messages
	UpgradeOutgoingQoS     bool
	RetainAvailable        bool
	CheckRetainSource      bool
	PersistentExpiration   time.Duration // 0 = never
	TCPNoDelay             bool
	SysInterval            time.Duration // 0 = no $SYS

	// Poll is called before a CONNECT is judged, from any goroutine: a reload that was asked for earlier calls [Broker.Expect] by then. nil for nothing.
	Poll func()

	PIDFile string
	// AdminSocket is the path of the Unix socket that "picket ctl" speaks to; empty: none. The broker itself does not open it.
	AdminSocket string
	// DataDir is the folder whose user, password and certificates the program makes when they are missing; empty: none. Names are what clients call
	// this machine beside its own name and addresses, for its certificate. The broker itself does not look at either.
	DataDir string
	Names   []string
	// ACME says how a public authority is asked for a certificate, in place of the one in DataDir.
	ACME ACME
	User string // user to change to when started as root; empty: stay

	// HTTP makes what answers HTTP requests on a listener that speaks WebSocket; see [listener.Options]. nil: they are told that the port speaks MQTT.
	HTTP func(l *Listener, rest http.Handler) (http.Handler, error)

	// Persistence says where the store is. The broker does not open it.
	Persistence Persistence

	// Store keeps sessions that survive their connections, their messages and retained messages. nil: they are lost when the broker ends. A reload
	// does not change it. Whoever opened it closes it, after [Broker.Close].
	Store store.Store

	// Ownership decides which of several nodes has a session. nil: this broker has them all. A reload does not change it.
	Ownership Ownership

	// Loops is the number of event loops for plain connections; 0: chosen by the machine.
	Loops int
	// ConnectTimeout ends connections that have not sent a whole CONNECT. Default 10 s.
	ConnectTimeout time.Duration
	// MaxOutputBytes bounds what waits to be written to one client beyond a single message; QoS 0 beyond it is dropped. Default 8 MiB.
	MaxOutputBytes int
	// MaxTotalOutputBytes bounds the same over all clients, in bytes; it may only lower what follows from the memory that there is, which is 0's meaning.
	MaxTotalOutputBytes int64
}

// Persistence is what a configuration says of the store.
type Persistence struct {
	On       bool
	Store    string // directory of the store; empty: it stands beside mosquitto's file
	Location string // directory of mosquitto's file; empty: the working directory
	File     string // name of mosquitto's file. Default mosquitto.db
	Sync     string // always, interval or never. Default always

	Cluster     string // where Redis is, as redis://…; not empty: everything is stored there, and On is false
	Acknowledge string // what cluster_acknowledge says. Default auto
}

// ACME is how a certificate of a public authority is got. The broker itself does not look at it.
type ACME struct {
	Name  string // the host name or public address that it is for; "auto": this machine's public address; empty: none is wanted
	Email string // of the person to write to
	CA    string // URL of the authority's directory; empty: Let's Encrypt's
	Roots string // file of the certificates that the authority's own server is trusted by; empty: the system's
	// HTTPPort and TLSPort are where connections to ports 80 and 443 arrive; 0: there.
	HTTPPort, TLSPort int
}
