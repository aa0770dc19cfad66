// Package bridge connects the broker to others: messages of chosen topics go from here to there, from there to here, or both ways, as mosquitto's bridges do.
//
// A bridge has two connections. To the remote broker it is an MQTT client. To this broker it is one, too, by a [broker.Link]: what it owes to the remote broker waits in
// an ordinary session, in the store where there is one, with the limits that every session has. Between the two stands a [relay.Relay], which acknowledges nothing
// by itself: whoever has published hears of it when the other side has the message.
package bridge

import (
	"time"

	"picket/bridge/relay"
	"picket/packet"
)

// Config is one bridge: a "connection" block of mosquitto.conf.
type Config struct {
	Name      string
	Source    string   // FILE:LINE of its connection line
	Addresses []string // HOST:PORT, in their order
	Topics    relay.Topics

	Version packet.Version // to speak with the remote broker. Default 3.1.1
	Private bool           // try_private: say that this is a bridge. Default true

	RemoteID, RemoteUser, RemotePassword string // RemoteID: default HOSTNAME.NAME
	LocalID, LocalUser, LocalPassword    string // LocalID: default local.RemoteID
	HasRemotePassword, HasLocalPassword  bool

	Clean, LocalClean bool // what the two sessions hold ends with their connections
	Start             relay.Start
	RoundRobin        bool
	Threshold         int           // messages that have to wait before a lazy bridge connects. Default 10
	IdleTimeout       time.Duration // without a message, after which a lazy bridge disconnects. Default 60 s
	KeepAlive         time.Duration // default 60 s
	RestartBase       time.Duration // default 5 s
	RestartCap        time.Duration // default 30 s; 0: always RestartBase

	Notify            bool   // say at both brokers whether the bridge is connected. Default true
	NotifyLocalOnly   bool   // at this one alone
	NotificationTopic string // default $SYS/broker/connection/REMOTE-ID/state

	Unsubscribe    bool   // bridge_attempt_unsubscribe. Default true
	OutgoingRetain bool   // default true
	MaxPacketSize  int    // bytes of the largest packet for the remote broker; 0: any
	MaxTopicAlias  uint16 // topic aliases that the remote broker may use
	ReceiveMaximum uint16 // messages of QoS 1 and 2 that the remote broker may have under way. Default 20

	BindAddress  string       // local address to connect from; empty: any
	TCPKeepAlive TCPKeepAlive // zero: the system's
	TLS          *TLS         // nil: none
	ReloadNow    bool         // bridge_reload_type immediate: what a reload changes does not wait for the next connection
}

// TCPKeepAlive is how the system looks whether a silent connection still stands.
type TCPKeepAlive struct {
	Idle, Interval time.Duration
	Count          int
}

// TLS is how the remote broker proves who it is, and the bridge to it.
type TLS struct {
	CAFile, CAPath    string // one of the two at least
	CertFile, KeyFile string // empty: the bridge shows no certificate
	Insecure          bool   // the certificate may be for another host name
	RequireOCSP       bool   // the remote broker has to show that its certificate is not revoked
	ALPN              string
	MinVersion        uint16 // of crypto/tls. Default TLS 1.2
}

// New returns a bridge with every option at its default.
func New(name string) *Config {
	return &Config{Name: name, Version: packet.V311, Private: true, Threshold: 10, IdleTimeout: time.Minute, KeepAlive: time.Minute, RestartBase: 5 * time.Second,
		RestartCap: 30 * time.Second, Notify: true, Unsubscribe: true, OutgoingRetain: true, ReceiveMaximum: 20}
}

// Finish gives the bridge the names that follow from others, on a machine of that name.
func (c *Config) Finish(host string) {
	if c.RemoteID == "" {
		c.RemoteID = host + "." + c.Name
	}
	if c.LocalID == "" {
		c.LocalID = "local." + c.RemoteID
	}
	if c.NotificationTopic == "" {
		c.NotificationTopic = "$SYS/broker/connection/" + c.RemoteID + "/state"
	}
}
