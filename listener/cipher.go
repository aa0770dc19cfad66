package listener

import (
	"crypto/tls"
	"fmt"
	"strings"
)

// cipherSuites maps OpenSSL's names of the TLS 1.2 cipher suites that crypto/tls has to their numbers. Those that
// [tls.InsecureCipherSuites] lists are left out.
var cipherSuites = map[string]uint16{
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-ECDSA-AES128-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	"ECDHE-RSA-AES128-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	"ECDHE-ECDSA-AES256-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
	"ECDHE-RSA-AES256-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
}

// CipherSuite returns the number of the TLS 1.2 cipher suite that has the given OpenSSL or IANA name. The error says why a name
// cannot be served.
func CipherSuite(name string) (uint16, error) {
	if id, ok := cipherSuites[name]; ok {
		return id, nil
	}
	for _, s := range tls.CipherSuites() {
		if s.Name == name && s.SupportedVersions[0] != tls.VersionTLS13 {
			return s.ID, nil
		}
	}
	switch {
	case strings.ContainsAny(name, "!+@=") || strings.HasPrefix(name, "-") || !strings.ContainsAny(name, "-_"):
		return 0, fmt.Errorf("%q is a keyword of OpenSSL's cipher lists, not a cipher: name each cipher, such as ECDHE-RSA-AES128-GCM-SHA256, or leave the list out", name)
	case strings.HasPrefix(name, "TLS_AES_"), strings.HasPrefix(name, "TLS_CHACHA20_"):
		return 0, fmt.Errorf("%q is a cipher of TLS 1.3, whose ciphers are always all on", name)
	case strings.HasPrefix(name, "DHE-"), strings.HasPrefix(name, "EDH-"):
		return 0, fmt.Errorf("%q exchanges keys by finite-field Diffie-Hellman, which Go's TLS does not have: use the ECDHE- cipher of the same kind", name)
	case strings.Contains(name, "PSK"):
		return 0, fmt.Errorf("%q needs pre-shared keys, which Go's TLS does not have", name)
	}
	return 0, fmt.Errorf("%q is unknown or considered insecure by Go's TLS", name)
}
