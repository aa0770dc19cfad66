package listener

import (
	"fmt"
	"strings"

	"picket/cause"
)

// mismatched is what is said about a connection that speaks something else than its port.
type mismatched struct {
	cause  cause.ID
	text   string
	answer []byte // in the language of the caller, so that it sees a reason; may be empty
}

// alert is a fatal TLS alert, protocol_version: clients that speak TLS to a plain port show it instead of "connection closed".
var alert = []byte{0x15, 3, 1, 0, 2, 2, 70}

// mismatch judges a connection to s whose first bytes are of another kind than what is expected; inTLS tells that they came
// through TLS.
func mismatch(s *settings, inTLS bool, kind opener) mismatched {
	speaks := s.speaks(inTLS)
	switch kind {
	case opensTLS:
		if s.cfg.Protocol == Auto {
			return mismatched{cause.TLSWithoutCertificate, "the client speaks TLS, but the listener has no certificate (certfile, keyfile)", alert}
		}
		return mismatched{cause.TLSToPlainPort, "the client speaks TLS, but this port speaks " + speaks + "; connect without TLS, or give the listener a certificate", alert}
	case opensHTTP:
		if s.cfg.Protocol != MQTT { // so it is TLS that is missing
			return mismatched{cause.PlainToTLSPort, "the client speaks HTTP or WebSocket without TLS, but this port speaks " + speaks + "; connect with wss://",
				httpAnswer("This port speaks " + speaks + ". Connect with https:// or wss://.\n")}
		}
		return mismatched{cause.WSToTCPPort, "the client speaks HTTP or WebSocket, but this port speaks " + speaks,
			httpAnswer("This port speaks " + speaks + ", not HTTP or WebSocket. Connect with mqtt:// instead of ws://, or use a port with \"protocol websockets\".\n")}
	case opensMQTT:
		if s.cfg.TLS.CertFile != "" && !inTLS {
			return mismatched{cause.PlainToTLSPort, "the client speaks MQTT without TLS, but this port speaks " + speaks + "; connect with mqtts://", nil}
		}
		return mismatched{cause.TCPToWSPort, "the client speaks MQTT over TCP, but this port speaks " + speaks + "; connect with ws:// or use another port", nil}
	case opensProxy:
		return mismatched{cause.ProxyHeaderUnexpected, "a PROXY header from an address that is not a trusted proxy of this listener", nil}
	case opensSSH:
		// RFC 4253, section 4.2: lines before the version string are shown to the user.
		return mismatched{cause.UnknownProtocol, "the client speaks SSH", []byte("This port speaks " + speaks + ", not SSH.\r\n")}
	}
	return mismatched{cause.UnknownProtocol, "the first bytes are neither MQTT nor anything else that is known; this port speaks " + speaks, nil}
}

// speaks names what a listener expects at this point.
func (s *settings) speaks(inTLS bool) string {
	var b strings.Builder
	switch s.cfg.Protocol {
	case WebSocket:
		b.WriteString("MQTT over WebSocket")
	default:
		b.WriteString("MQTT")
	}
	if s.cfg.TLS.CertFile != "" && !inTLS {
		b.WriteString(" with TLS")
	}
	return b.String()
}

// httpAnswer is a whole HTTP response that says no.
func httpAnswer(text string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(text), text)
}
