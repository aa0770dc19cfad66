package broker

import (
	"picket/listener"
	"picket/packet"
)

// Listener is one listener of the broker's configuration: the transport, and what the clients that come in by it may do. It does not change
// once the broker has it; a reload brings another one for the same socket.
type Listener struct {
	listener.Config

	MaxConnections int    // connections open at once, max_connections; negative: no limit
	MaxQoS         byte   // the highest QoS that clients may publish and subscribe with, 0 to 2 (Maximum QoS, MQTT-3.2.2-9)
	MaxTopicAlias  uint16 // topic aliases that a client may use toward the broker (Topic Alias Maximum); 0: none
	MountPoint     string // prefix of every topic of the clients; they do not see it

	HTTPDir string // files served over HTTP on a listener that speaks WebSocket (http_dir); empty: none
	NoPage  bool   // no phone's page is served (phone_page false)

	Versions []packet.Version // the versions of MQTT that clients may speak (accept_protocol_versions); empty: all of them

	UseUsernameAsClientID bool // the client identifier is the user name
	IdentityAsUsername    bool // use_identity_as_username: the user name is the client certificate's CN
	SubjectAsUsername     bool // use_subject_as_username: it is the certificate's subject in the form of RFC 2253

	// Security is the index in [Config.Security] of the rules for this listener's clients (0 unless per_listener_settings).
	Security int
}

// ServesPage tells whether the phone's page is served on the listener by a program that has it.
func (l *Listener) ServesPage() bool {
	return l.Protocol != listener.MQTT && !l.NoPage && l.HTTPDir == ""
}

// transport is the configuration for the listener package, from which [listenerOf] finds its way back.
func (l *Listener) transport() *listener.Config {
	if l.Owner != any(l) { // else it has been in force already, and others read it
		l.Owner = l
	}
	return &l.Config
}

// transportsOf are the configurations of all listeners.
func transportsOf(all []*Listener) []*listener.Config {
	configs := make([]*listener.Config, len(all))
	for i, l := range all {
		configs[i] = l.transport()
	}
	return configs
}

// listenerOf is the listener whose transport c is.
func listenerOf(c *listener.Config) *Listener { return c.Owner.(*Listener) }

// listenerKey names the socket of a listener, the same before and after a reload.
func listenerKey(l *Listener) string {
	return l.Path + "|" + l.Address + "|" + l.Interface + "|" + l.Domain + "|" + itoa(l.Port)
}
