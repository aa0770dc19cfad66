package listener

import (
	"crypto/tls"
	"errors"
	"os"
	"strings"

	"picket/cause"
)

// alertRecord keeps the last bytes that a client has sent in a TLS handshake, as many as an alert takes that is not encrypted.
//
// A client of OpenSSL that refuses the server's certificate says so in plain text also under TLS 1.3, where the server expects encrypted records by
// then (it sends the alert before it has changed its own keys). To crypto/tls that is a bad record, and what the alert says is lost.
type alertRecord struct {
	bytes [7]byte // type, version, length, level, description
	n     int
}

// saw takes note of what was read. It may be called on nil.
func (a *alertRecord) saw(p []byte) {
	if a == nil || len(p) == 0 {
		return
	}
	if len(p) >= len(a.bytes) {
		a.n = copy(a.bytes[:], p[len(p)-len(a.bytes):])
		return
	}
	keep := min(a.n, len(a.bytes)-len(p))
	copy(a.bytes[:], a.bytes[a.n-keep:a.n])
	a.n = keep + copy(a.bytes[keep:], p)
}

// alert returns the description of the fatal or warning alert that came last, if one did.
func (a *alertRecord) alert() (tls.AlertError, bool) {
	b := a.bytes
	whole := a.n == len(b) && b[0] == 0x15 && b[1] == 3 && b[3] == 0 && b[4] == 2 && (b[5] == 1 || b[5] == 2)
	return tls.AlertError(b[6]), whole
}

// clientAlerts are what clients say when they give a handshake up, by the alert's number (RFC 8446, 6.2).
var clientAlerts = map[tls.AlertError]cause.ID{
	0:   cause.TLSClientRejectedCertificate, // close_notify: some say no more when somebody has pressed "cancel"
	40:  cause.TLSCiphers,                   // handshake_failure
	42:  cause.TLSClientRejectedCertificate, // bad_certificate: OpenSSL's also for another name in the certificate
	43:  cause.TLSClientRejectedCertificate, // unsupported_certificate
	44:  cause.TLSClientRejectedCertificate, // certificate_revoked
	45:  cause.TLSExpired,                   // certificate_expired
	46:  cause.TLSClientRejectedCertificate, // certificate_unknown
	48:  cause.TLSUnknownCA,                 // unknown_ca
	51:  cause.TLSClientRejectedCertificate, // decrypt_error: the signature does not fit
	70:  cause.TLSVersion,                   // protocol_version
	71:  cause.TLSCiphers,                   // insufficient_security
	90:  cause.TLSClientRejectedCertificate, // user_canceled
	112: cause.TLSNameMismatch,              // unrecognized_name
	113: cause.TLSClientRejectedCertificate, // bad_certificate_status_response
	120: cause.TLSHandshakeFailed,           // no_application_protocol: the client insists on a name of ALPN
}

// remoteAlert finds what the client has said about why a handshake failed: in an alert that crypto/tls has read, or in one that it could not read.
func remoteAlert(err error, last *alertRecord) (alert tls.AlertError, said bool) {
	text := err.Error()
	if told, remote := strings.CutPrefix(text, "remote error: "); remote {
		for a := range clientAlerts {
			if a.Error() == told {
				return a, true
			}
		}
		return 0, false
	}
	// Only a record that could not be read, or the end behind it, leaves room for one.
	if strings.Contains(text, "bad record MAC") || strings.Contains(text, "unexpected message") || strings.Contains(text, "EOF") {
		return last.alert()
	}
	return 0, false
}

// tlsCause finds the cause of a failed handshake, and what to say about it.
func tlsCause(err error, last *alertRecord) (cause.ID, string) {
	var invalid *tls.CertificateVerificationError
	text := err.Error()
	switch {
	case errors.Is(err, errRevoked):
		return cause.ClientCertRevoked, text
	case errors.As(err, &invalid), strings.Contains(text, "crlfile has no"):
		return cause.ClientCertRefused, text
	case errors.Is(err, os.ErrDeadlineExceeded):
		return cause.ConnectTimeout, text
	}
	if alert, said := remoteAlert(err, last); said {
		id := clientAlerts[alert]
		if id == "" {
			id = cause.TLSHandshakeFailed
		}
		return id, "the client ended the handshake: " + strings.TrimPrefix(alert.Error(), "tls: ")
	}
	// What crypto/tls says about a client; it has no values for these.
	for _, known := range []struct {
		text string
		id   cause.ID
	}{
		{"client didn't provide a certificate", cause.ClientCertRequired},
		{"client offered only unsupported versions", cause.TLSVersion},
		{"no cipher suite supported by both", cause.TLSCiphers},
	} {
		if strings.Contains(text, known.text) {
			return known.id, text
		}
	}
	return cause.TLSHandshakeFailed, text
}
