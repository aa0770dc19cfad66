package listener

import "time"

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

	HeadersSize int // bytes of HTTP headers a WebSocket client may send (websockets_headers_size); 0: the listener's own limit

	// Origins are those whose pages may open a WebSocket connection (websockets_origin), in small letters, as browsers send them: https://www.example.com,
	// http://192.0.2.10:8080, null. Empty: all. Who sends no Origin is no browser, and is not kept out.
	Origins []string

	TLS TLS

	// ProxyFrom lists the networks (CIDR or addresses) whose PROXY protocol v1/v2 header is believed and required.
	// Empty: a PROXY header is a protocol error with a cause of its own.
	ProxyFrom []string

	// OpeningLimit bounds the time from accepting a connection until its transport is ready: PROXY header, TLS handshake, WebSocket upgrade, and on an
	// auto port the first bytes. 0: 10 s, as a phone on a bad network needs about four round trips of up to two seconds each.
	OpeningLimit time.Duration

	// Source of the configuration, "FILE:LINE", for errors and logs.
	Source string

	// Owner is what the caller keeps beside the configuration and wants to find again at [Info.Listener]: the package does not look at it.
	Owner any
}

// openingLimit is OpeningLimit or its default.
func (c *Config) openingLimit() time.Duration {
	if c.OpeningLimit > 0 {
		return c.OpeningLimit
	}
	return 10 * time.Second
}

// TLS is the TLS part of a listener; it is on when CertFile is set.
type TLS struct {
	CertFile, KeyFile  string
	CAFile, CAPath     string
	CRLFile            string
	RequireCertificate bool
	MinVersion         uint16   // tls.VersionTLS12 (default) or 13
	Ciphers            []string // OpenSSL names as given, checked by mosqconf; empty: Go's default
	CiphersTLS13       []string
	SNI                []SNI // further certificates, chosen by server name
}

// SNI is a certificate for particular server names (taken from the certificate itself).
type SNI struct{ CertFile, KeyFile string }
