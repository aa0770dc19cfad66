package listener

// Protocol says what a listener speaks.
type Protocol byte

// The protocols of a listener.
const (
	MQTT      Protocol = iota // MQTT over TCP or TLS
	WebSocket                 // MQTT over WebSocket, HTTP before the upgrade
	Auto                      // whatever the first bytes say: MQTT, WebSocket, and both over TLS when a certificate is configured
)

// Config is one listener: one "listener" block of mosquitto.conf.
type Config struct {
	Port      int    // TCP port; 0 with Path set means a Unix socket
	Address   string // host name or address to bind; empty: all addresses of both families
	Interface string // bind_interface: only this interface's addresses
	Domain    string // "", "ipv4" or "ipv6" (socket_domain)
	Path      string // Unix socket path
	Protocol  Protocol

	MaxConnections int  // -1: no limit
	MaxQoS         byte // 0..2
	MaxTopicAlias  uint16
	MountPoint     string
	HTTPDir        string // files served over HTTP on a WebSocket listener
	NoPage         bool   // no phone's page is served (phone_page false)
	HeadersSize    int    // bytes of HTTP headers a WebSocket client may send (websockets_headers_size); 0: the listener's own limit

	UseUsernameAsClientID bool
	TLS                   TLS

	// ProxyFrom lists the networks (CIDR or addresses) whose PROXY protocol v1/v2 header is believed and required.
	// Empty: a PROXY header is a protocol error with a cause of its own.
	ProxyFrom []string

	// Source of the configuration, "FILE:LINE", for errors and logs.
	Source string

	// Security is the index in broker.Config.Security of the rules for this listener's clients (0 unless per_listener_settings).
	Security int
}

// ServesPage tells whether the phone's page is served on the listener by a program that has it.
func (c *Config) ServesPage() bool { return c.Protocol != MQTT && !c.NoPage && c.HTTPDir == "" }

// TLS is the TLS part of a listener; it is on when CertFile is set.
type TLS struct {
	CertFile, KeyFile  string
	CAFile, CAPath     string
	CRLFile            string
	RequireCertificate bool
	MinVersion         uint16   // tls.VersionTLS12 (default) or 13
	Ciphers            []string // OpenSSL names as given, checked by mosqconf; empty: Go's default
	CiphersTLS13       []string
	IdentityAsUsername bool  // use_identity_as_username: certificate CN
	SubjectAsUsername  bool  // use_subject_as_username: RFC 2253 subject
	SNI                []SNI // further certificates, chosen by server name
}

// SNI is a certificate for particular server names (taken from the certificate itself).
type SNI struct{ CertFile, KeyFile string }
