package mosquitto

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"picket/client"
	"picket/listener"
	"picket/packet"
	"picket/printable"
)

// Exit statuses that mosquitto's client programs share: the numbers of its library's errors.
const (
	statusProtocol  = 2
	statusConnLost  = 7
	statusTLS       = 8
	statusKeepAlive = 19
	statusQoS       = 24
	statusOversize  = 25
	statusTimeout   = 27
	statusRetain    = 28
	statusAlias     = 29
)

// usesTLS reports whether the options ask for TLS.
func (o *options) usesTLS() bool {
	return o.unix == "" && (o.cafile != "" || o.capath != "" || o.osCerts || o.port == 8883)
}

// clientOptions makes what the client needs of the options.
func (o *options) clientOptions() (client.Options, error) {
	c := client.Options{MaxInflight: o.inflight}
	var err error
	if c.Transport, err = o.transport(); err != nil {
		return c, err
	}
	p := &c.Connect
	p.Version, p.CleanStart, p.KeepAlive, p.ClientID = o.version, !o.persistent, o.keepAlive, o.id
	if p.Version == packet.V31 && p.ClientID == "" { // 3.1 has no empty client identifiers
		p.ClientID = "mosq-" + rand.Text()[:18]
	}
	p.HasUsername, p.Username = o.hasUsername, o.username
	p.HasPassword, p.Password = o.hasPassword, []byte(o.password)
	if o.will.Topic != "" {
		will := o.will
		p.Will = &will
	}
	if o.version != packet.V5 {
		return c, nil
	}
	p.Props = o.properties["connect"]
	if p.Props == nil {
		p.Props = &packet.Properties{}
	}
	if o.expiry > 0 && !p.Props.Has(packet.SessionExpiryInterval) {
		p.Props.SessionExpiry = uint32(o.expiry)
		p.Props.Set(packet.SessionExpiryInterval)
	}
	if o.count > 0 && o.count < 20 && !p.Props.Has(packet.ReceiveMaximum) { // more would go to waste
		p.Props.ReceiveMaximum = uint16(o.count)
		p.Props.Set(packet.ReceiveMaximum)
	}
	if p.Will != nil {
		p.Will.Props = o.properties["will"]
	}
	if o.scram {
		if c.Auth, err = client.SCRAM(o.username, o.password); err != nil {
			return c, wrongOption("%v", err)
		}
		p.HasPassword, p.Password = false, nil // it must not be sent: that is what SCRAM is for
	}
	return c, nil
}

// transport says how to reach the broker.
func (o *options) transport() (client.Transport, error) {
	t := client.Transport{LocalAddress: o.bind, Proxy: o.proxy}
	if o.unix != "" {
		path, err := filepath.Abs(o.unix)
		t.URL = (&url.URL{Scheme: "unix", Path: path}).String()
		return t, err
	}
	u := url.URL{Scheme: "mqtt"}
	port := o.port
	if o.usesTLS() {
		u.Scheme = "mqtts"
		var err error
		if t.TLS, err = o.tls(); err != nil {
			return t, err
		}
		if port < 0 {
			port = 8883
		}
	}
	if port < 0 {
		port = 1883
	}
	if o.webSocket != "" {
		u.Scheme = strings.Replace(u.Scheme, "mqtt", "ws", 1)
		u.Path = "/" + strings.TrimPrefix(o.webSocket, "/")
	}
	host := o.host
	if host == "" {
		host = "localhost"
	}
	u.Host = net.JoinHostPort(host, strconv.Itoa(port))
	t.URL = u.String()
	return t, nil
}

// tls makes the TLS configuration. Errors about files are mosquitto's, with the reason behind.
func (o *options) tls() (*tls.Config, error) {
	wrong := func(err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return wrongOption("Problem setting TLS options: File not found. (%v)", err)
		}
		return wrongOption("Problem setting TLS options: %v", err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	roots, err := o.roots()
	if err != nil {
		return nil, wrong(err)
	}
	c.RootCAs = roots
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, wrong(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if o.alpn != "" {
		c.NextProtos = []string{o.alpn}
	}
	if o.tlsVersion != "" {
		version, known := map[string]uint16{"tlsv1.3": tls.VersionTLS13, "tlsv1.2": tls.VersionTLS12, "tlsv1.1": tls.VersionTLS11}[o.tlsVersion]
		if !known {
			return nil, wrongOption("Problem setting TLS options, check the options are valid. (--tls-version is tlsv1.3, tlsv1.2 or tlsv1.1)")
		}
		c.MinVersion = version
	}
	if o.ciphers != "" {
		for name := range strings.SplitSeq(o.ciphers, ":") {
			id, err := listener.CipherSuite(name)
			if err != nil {
				return nil, wrongOption("Problem setting TLS options, check the options are valid. (--ciphers: %v)", err)
			}
			c.CipherSuites = append(c.CipherSuites, id)
		}
	}
	if o.insecure {
		ignoreName(c)
	}
	return c, nil
}

// roots are the certificates to trust.
func (o *options) roots() (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if o.osCerts || o.cafile == "" && o.capath == "" {
		system, err := x509.SystemCertPool()
		if err != nil {
			return nil, err
		}
		roots = system
	}
	if o.cafile != "" {
		text, err := os.ReadFile(o.cafile)
		if err != nil {
			return nil, err
		}
		if !roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("no certificate in %s", o.cafile)
		}
	}
	if o.capath != "" {
		entries, err := os.ReadDir(o.capath)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			text, err := os.ReadFile(filepath.Join(o.capath, entry.Name()))
			if err == nil { // a folder of certificates may hold other things
				roots.AppendCertsFromPEM(text)
			}
		}
	}
	return roots, nil
}

// ignoreName checks the broker's certificate but not its name, as mosquitto's --insecure does.
func ignoreName(c *tls.Config) {
	roots := c.RootCAs
	c.InsecureSkipVerify = true // VerifyConnection does it, without the name
	c.VerifyConnection = func(s tls.ConnectionState) error {
		chain := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, cert := range s.PeerCertificates[1:] {
			chain.Intermediates.AddCert(cert)
		}
		_, err := s.PeerCertificates[0].Verify(chain)
		return err
	}
}

// servers are the addresses to try, one after the other.
func (o *options) servers(ctx context.Context, t client.Transport) ([]client.Transport, error) {
	if !o.srv || o.unix != "" {
		return []client.Transport{t}, nil
	}
	service := "mqtt"
	if o.usesTLS() {
		service = "secure-mqtt"
	}
	_, records, err := net.DefaultResolver.LookupSRV(ctx, service, "tcp", o.host)
	if err != nil {
		return nil, err
	}
	var list []client.Transport
	for _, r := range records {
		u, err := url.Parse(t.URL)
		if err != nil {
			return nil, err
		}
		u.Host = net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port)))
		one := t
		one.URL = u.String()
		list = append(list, one)
	}
	return list, nil
}

// dial connects to the first server that lets it in. The broker has as long to answer as the keep alive time is.
func (o *options) dial(ctx context.Context, c client.Options) (*client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.keepAlive)*time.Second)
	defer cancel()
	servers, err := o.servers(ctx, c.Transport)
	if err != nil {
		return nil, err
	}
	for _, server := range servers {
		c.Transport = server
		var conn *client.Client
		if conn, err = client.Dial(ctx, c); err == nil {
			return conn, nil
		}
		var refused *client.RefusedError
		if errors.As(err, &refused) {
			break
		}
	}
	return nil, err
}

// failure is what the program says about an error, and the exit status it gives it.
func failure(err error) (status int, text string) {
	var (
		refused    *client.RefusedError
		disconnect *client.DisconnectError
		lookup     *net.DNSError
		handshake  *client.TLSError
		record     tls.RecordHeaderError
		proxy      *client.ProxyError
		wrong      *packet.Error
		errno      syscall.Errno
		option     optionError
	)
	switch {
	case errors.As(err, &option):
		return 1, string(option)
	case errors.As(err, &refused):
		return refused.Return(), connectionError(refused)
	case errors.As(err, &disconnect):
		return int(disconnect.Code), "Error: " + disconnect.Code.String() + reasonString(disconnect.Props)
	case errors.As(err, &lookup):
		return 1, "Unable to connect (Lookup error.).\nError: " + lookup.Error()
	case errors.As(err, &proxy):
		return 1, "Unable to connect (Proxy error.).\nError: " + proxy.Error()
	case errors.As(err, &record):
		return statusTLS, "Error: A TLS error occurred.\nError: the server does not speak TLS on this port"
	case errors.As(err, &handshake):
		return statusTLS, "Error: A TLS error occurred.\nError: " + handshake.Error()
	case errors.Is(err, client.ErrConnectionLost):
		return statusConnLost, "Error: The connection was lost."
	case errors.As(err, &wrong):
		return statusProtocol, "Error: A network protocol error occurred when communicating with the broker.\nError: " + wrong.Error()
	case errors.Is(err, client.ErrKeepAlive):
		return statusKeepAlive, "Error: Keepalive exceeded"
	case errors.Is(err, client.ErrQoSNotSupported):
		return statusQoS, "Error: Message QoS not supported on broker, try a lower QoS."
	case errors.Is(err, client.ErrPacketTooLarge):
		return statusOversize, "Error: Packet larger than supported by the server."
	case errors.Is(err, client.ErrRetainNotSupported):
		return statusRetain, "Error: Retain not supported on broker."
	case errors.Is(err, client.ErrTopicAlias):
		return statusAlias, "Error: Topic alias is higher than the broker allows."
	case errors.As(err, &errno):
		return 1, "Error: " + upper(errno.Error())
	}
	return 1, "Error: " + err.Error()
}

// connectionError is what is said about a CONNACK that refuses.
func connectionError(e *client.RefusedError) string {
	if e.Version == packet.V5 {
		text := "Connection error: " + e.Code.String()
		if e.Code == packet.UnsupportedProtocolVersion {
			text += ". Try connecting to an MQTT v5 broker, or use MQTT v3.x mode."
		}
		return text + reasonString(e.Props)
	}
	what := map[int]string{
		1: "unacceptable protocol version", 2: "identifier rejected", 3: "broker unavailable",
		4: "bad user name or password", 5: "not authorised",
	}[e.Return()]
	return "Connection error: Connection Refused: " + what + "."
}

// reasonString is the broker's reason, in a line of its own.
func reasonString(p *packet.Properties) string {
	if !p.Has(packet.ReasonString) {
		return ""
	}
	return "\n" + printable.Text(p.ReasonString)
}

// upper begins with a capital, as C's texts for the errors of the system do.
func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
