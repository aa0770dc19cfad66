package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"picket/doctor"
)

// curves are those that small clients know. The larger key shares of post-quantum curves would make the first packet of a handshake too
// large for one segment, which is not what most MQTT clients send.
var curves = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}

// allSuites are all cipher suites that Go knows, weak ones too.
func allSuites() (ids []uint16) {
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		ids = append(ids, s.ID)
	}
	return ids
}

// serverName is what SNI says; nothing for an address (RFC 6066, section 3).
func (p *prober) serverName() string {
	if _, err := netip.ParseAddr(p.target.Host); err == nil {
		return ""
	}
	return p.target.Host
}

// secure tells whether the scheme has TLS.
func (p *prober) secure() bool { return p.target.Scheme == "mqtts" || p.target.Scheme == "wss" }

// webSocket tells whether the scheme has WebSocket.
func (p *prober) webSocket() bool { return p.target.Scheme == "ws" || p.target.Scheme == "wss" }

// tlsConfig is the configuration of ordinary connections. The certificate is judged by this package, once.
func (p *prober) tlsConfig() *tls.Config {
	c := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, ServerName: p.serverName(), CurvePreferences: curves, NextProtos: p.alpn}
	if p.Certificate != nil {
		c.Certificates = []tls.Certificate{*p.Certificate}
		// Sent also when the server's list of authorities does not have its issuer: so do the libraries of small clients, and the refusal says why.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return p.Certificate, nil }
	}
	return c
}

// tls does the handshake, and when that fails tries what might make it succeed.
func (p *prober) tls(ctx context.Context) bool {
	if !p.secure() {
		return true
	}
	if p.target.Scheme == "wss" {
		p.alpn = []string{"http/1.1"} // as browsers do for WebSocket
	}
	p.doing("TLS handshake", "TLS 握手")
	f := p.plainly(ctx)
	if f.Result == doctor.Done {
		if len(f.Problems) > 0 && !p.Insecure {
			p.serverClock(ctx, f)
			return false
		}
		if f.Version == tls.VersionName(tls.VersionTLS13) && p.trip < slowTrip {
			p.add(p.handshake(ctx, doctor.WithoutTLS13)) // a remark for older phones
		}
		return true
	}
	if f.Result == doctor.Alerted && f.Wanted {
		return false // it is about the client's certificate
	}
	secure := p.listen(ctx)
	if n := len(p.facts); n > 0 { // a filter: does it look for the name, or for TLS as such?
		if o, is := p.facts[n-1].(doctor.Opening); is && o.Said == doctor.SayTLSPieces {
			p.add(p.handshake(ctx, doctor.NoName))
			return false
		}
	}
	if !secure || f.Result == doctor.TimedOut {
		return false // other ways of TLS are not the question, or each of them would wait as long
	}
	variants := []string{doctor.OldTLS, doctor.AllCiphers, doctor.NoName, doctor.OtherName}
	if p.Certificate != nil {
		variants = append(variants, doctor.NoCert)
	}
	if p.target.Scheme == "wss" {
		variants = append(variants, doctor.NoALPN, doctor.HTTP2ALPN)
	} else {
		variants = append(variants, doctor.MQTTALPN)
	}
	p.doing("trying other ways of TLS", "正在尝试其他 TLS 方式")
	for _, v := range variants {
		if ctx.Err() != nil {
			return false
		}
		again := p.handshake(ctx, v)
		p.add(again)
	}
	return false
}

// plainly does the handshake of a client, once more when it was slow.
func (p *prober) plainly(ctx context.Context) doctor.Handshake {
	f := p.handshake(ctx, doctor.Plainly)
	p.add(f)
	if f.Result == doctor.TimedOut {
		// In small packets; and what passes in the ordinary way after that was only slow.
		small := p.handshake(ctx, doctor.SmallTLS)
		p.add(small)
		if small.Result == doctor.Done {
			f = p.handshake(ctx, doctor.Plainly)
			p.add(f)
		}
	}
	if f.Slow() {
		f = p.handshake(ctx, doctor.Plainly) // it may have been this machine that was busy
		p.add(f)
	}
	return f
}

// handshake connects anew and does one handshake.
func (p *prober) handshake(ctx context.Context, variant string) doctor.Handshake {
	f := doctor.Handshake{Address: p.address.String(), Port: p.target.Port, Variant: variant, Insecure: p.Insecure, Roots: p.RootsFile}
	purpose := doctor.Again
	if variant == doctor.SmallTLS {
		purpose = doctor.SmallSteps
	}
	conn, dialled := p.dial(ctx, p.address, p.target.Port, purpose, p.Limit)
	if conn == nil {
		f.Result, f.Error, f.Ms = doctor.Failed, "no connection: "+dialled.Result, dialled.Ms
		return f
	}
	defer conn.Close()
	config := p.variant(variant)
	f.Name = config.ServerName
	config.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		f.Wanted = true
		if len(config.Certificates) > 0 {
			f.Given = true
			if leaf, err := x509.ParseCertificate(config.Certificates[0].Certificate[0]); err == nil {
				f.GivenUntil = leaf.NotAfter.Unix()
			}
			return &config.Certificates[0], nil
		}
		return &tls.Certificate{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.Limit)
	defer cancel()
	start := time.Now()
	secure := tls.Client(conn, config)
	err := secure.HandshakeContext(ctx)
	f.Ms = since(start)
	if s, ok := socketState(conn); ok {
		f.Sent, f.Acknowledged = s.sent+s.unsent, max(s.acknowledged-1, 0)
	}
	if err != nil {
		p.failure(&f, err)
		return f
	}
	s := secure.ConnectionState()
	f.Result, f.Version, f.Suite, f.ALPN = doctor.Done, tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.NegotiatedProtocol
	now := time.Now()
	f.Now = now.Unix()
	f.Chain = describe(s.PeerCertificates)
	f.Problems = judge(s.PeerCertificates, p.target.Host, p.Roots, now)
	if f.Wanted && s.Version == tls.VersionTLS13 && (len(f.Problems) == 0 || p.Insecure) { // clients judge the server first
		if err := lateAlert(secure, min(lateAlertWait, p.Limit)); err != nil {
			p.failure(&f, err)
		}
	}
	return f
}

// lateAlertWait is how long a server has to say that it does not like a client's certificate. In TLS 1.3 it says so after the client's end of the handshake,
// and who sends something meanwhile may get a reset in place of the alert.
const lateAlertWait = 700 * time.Millisecond

// lateAlert is the alert that comes after a handshake, nil if none does.
func lateAlert(conn *tls.Conn, wait time.Duration) error {
	_ = conn.SetReadDeadline(time.Now().Add(wait))
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		if _, alerted := remoteAlert(err); alerted {
			return err
		}
	}
	return nil
}

// variant is the configuration of a handshake.
func (p *prober) variant(variant string) *tls.Config {
	c := p.tlsConfig()
	switch variant {
	case doctor.OldTLS:
		c.MinVersion, c.CipherSuites = tls.VersionTLS10, allSuites()
	case doctor.WithoutTLS13:
		c.MaxVersion = tls.VersionTLS12
	case doctor.AllCiphers:
		c.CipherSuites, c.CurvePreferences = allSuites(), nil
	case doctor.NoName:
		c.ServerName = ""
	case doctor.OtherName:
		c.ServerName = "example.com"
	case doctor.NoALPN:
		c.NextProtos = nil
	case doctor.MQTTALPN:
		c.NextProtos = []string{"mqtt"}
	case doctor.HTTP2ALPN:
		c.NextProtos = []string{"h2", "http/1.1"}
	case doctor.NoCert:
		c.Certificates = nil
	}
	return c
}

// failure says how a handshake has failed.
func (p *prober) failure(f *doctor.Handshake, err error) {
	f.Error = doctor.Printable(err.Error(), 200)
	var header tls.RecordHeaderError
	if errors.As(err, &header) {
		f.Result = doctor.NotTLS
		return
	}
	if alert, ok := remoteAlert(err); ok {
		f.Result, f.Alert = doctor.Alerted, alert
		return
	}
	// A server that chooses a version that was not offered says by this which ones it has.
	if strings.Contains(err.Error(), "unsupported protocol version") {
		f.Result, f.Alert = doctor.Alerted, 70
		return
	}
	var local net.Error
	switch {
	case isAny(err, context.DeadlineExceeded), errors.As(err, &local) && local.Timeout():
		f.Result = doctor.TimedOut
	case strings.HasPrefix(err.Error(), "tls: "):
		f.Result = doctor.Failed
	default:
		f.Result = endResult(err)
	}
}

// remoteAlert is the number of a TLS alert that the peer has sent. Package crypto/tls gives it in an unexported type of a number.
func remoteAlert(err error) (int, bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0, false
	}
	if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
		return int(v.Uint()), true
	}
	return 0, false
}

// serverClock reads the time off an HTTP answer when a certificate's dates do not fit, to tell a wrong clock from a wrong certificate.
func (p *prober) serverClock(ctx context.Context, f doctor.Handshake) {
	for _, problem := range f.Problems {
		if (problem == doctor.Expired || problem == doctor.NotYet) && p.target.Scheme == "wss" {
			u, date := p.ask(ctx, ask{path: p.path(), subprotocol: "mqtt"})
			if !date.IsZero() && u.Result != doctor.TimedOut {
				p.add(doctor.Clock{Source: "http", Time: date.Unix(), Local: time.Now().Unix()})
			}
			return
		}
	}
}
