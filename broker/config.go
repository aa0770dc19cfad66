package broker

import (
	"net/http"
	"time"

	"picket/access"
	"picket/ban"
	"picket/listener"
	"picket/store"
)

// Config is the whole configuration of a broker. The zero value is not useful: start from [Defaults].
type Config struct {
	Listeners []*Listener
	Security  []access.Config // [0] is the broker's own; more with per_listener_settings

	ConnectionMessages bool

	// Compat has the broker do what mosquitto does. The zero value does as the specification says, or as people expect who never used mosquitto.
	Compat Compat

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

	// GlobalMaxClients bounds the sessions on this node, also those of clients that are away (global_max_clients); 0 = no limit. A client whose session is there gets in.
	GlobalMaxClients int

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

	// Controls are who carries out commands, by topics below $CONTROL/, from the first client on; see [Broker.HandleControl]. A reload does not change them.
	Controls map[string]ControlHandler

	// Shut has CONNECT wait from the start until [Broker.Open]: for clients of the program's own ([Broker.Link]) that have to be there first.
	Shut bool

	// HTTP makes what answers HTTP requests on a listener that speaks WebSocket; see [listener.Options]. nil: they are told that the port speaks MQTT.
	HTTP func(l *Listener, rest http.Handler) (http.Handler, error)

	// Store keeps sessions that survive their connections, their messages and retained messages. nil: they are lost when the broker ends. A reload
	// does not change it. Whoever opened it closes it, after [Broker.Close].
	Store store.Store

	// Bans are who may not connect; see [Broker.Ban]. nil: nobody at first, and what is added is not kept. A reload does not change it.
	Bans *ban.List

	// BanAfter bans addresses by themselves; nil: nobody is banned for failures.
	BanAfter *ban.Rule

	// Ownership decides which of several nodes has a session. nil: this broker has them all. A reload does not change it.
	Ownership Ownership

	// Peers are the other nodes of a cluster; nil: there are none. With them there are no sessions that outlive their connection, no retained messages and no shared
	// subscriptions. A reload does not change it.
	Peers Peers

	// Loops is the number of event loops for plain connections; 0: chosen by the machine.
	Loops int
	// ConnectTimeout ends connections that have not sent a whole CONNECT. Default 10 s.
	ConnectTimeout time.Duration
	// MaxOutputBytes bounds what waits to be written to one client beyond a single message; QoS 0 beyond it is dropped. Default 8 MiB.
	MaxOutputBytes int
	// MaxTotalOutputBytes bounds the same over all clients, in bytes; it may only lower what follows from the memory that there is, which is 0's meaning.
	MaxTotalOutputBytes int64

	// Given are listening sockets that are open already ([listener.Given]); nil: none. A reload does not change them.
	Given *listener.Given

	// Tests have their own; nil: as everywhere.
	clock         clock
	passwordDelay func(failures float64) time.Duration // see [passwordQueue]
}

// Compat is what mosquitto does otherwise than the specification, or than people expect who never used mosquitto. Each field stands for itself.
type Compat struct {
	SubscribeUnchecked         bool // an ACL file never refuses SUBSCRIBE
	PacketSizeWithoutFirstByte bool // a client's Maximum Packet Size does not count the packet's first byte
	SubscriptionIDFromClient   bool // a Subscription Identifier in a client's PUBLISH is no error
	AliasErrorMalformed        bool // a PUBLISH with neither topic nor a known alias is called malformed
	WillOutlastsSession        bool // a will delay is waited for although the session has ended
	CleanStartCancelsWill      bool // a will that is delayed goes when its client returns with Clean Start
	OneRepetition              bool // a client that repeats a QoS 2 PUBLISH more than once before PUBREL is cut off
	TakeoverCancelsWill        bool // a will without delay goes when another connection takes the session over
	ReceiveMaximumAsWindow     bool // clients are told max_inflight_messages for their own Receive Maximum
	CloseWhenFull              bool // who finds no room gets no CONNACK
	NoReserve                  bool // neither open files nor memory nor overload keep a client out
	SysAsMosquitto             bool // $SYS has no topics of Picket's own
}

// AsMosquitto is everything that mosquitto does otherwise.
func AsMosquitto() Compat {
	return Compat{
		SubscribeUnchecked: true, PacketSizeWithoutFirstByte: true, SubscriptionIDFromClient: true, AliasErrorMalformed: true, WillOutlastsSession: true,
		CleanStartCancelsWill: true, OneRepetition: true, TakeoverCancelsWill: true, CloseWhenFull: true, ReceiveMaximumAsWindow: true, NoReserve: true, SysAsMosquitto: true,
	}
}
