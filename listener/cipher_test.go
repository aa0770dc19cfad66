package listener

import (
	"crypto/tls"
	"strings"
	"testing"
)

// Every secure TLS 1.2 cipher of crypto/tls has an OpenSSL name and is found by both names.
func TestCipherSuite(t *testing.T) {
	byID := make(map[uint16]string)
	for name, id := range cipherSuites {
		byID[id] = name
	}
	for _, s := range tls.CipherSuites() {
		if s.SupportedVersions[0] == tls.VersionTLS13 {
			if _, err := CipherSuite(s.Name); err == nil {
				t.Errorf("%s of TLS 1.3 is taken for one of TLS 1.2", s.Name)
			}
			continue
		}
		for _, name := range []string{s.Name, byID[s.ID]} {
			if id, err := CipherSuite(name); err != nil || id != s.ID {
				t.Errorf("CipherSuite(%q) = %#x, %v, want %#x", name, id, err, s.ID)
			}
		}
	}
	for name, want := range map[string]string{
		"HIGH": "keyword", "!aNULL": "keyword", "@STRENGTH": "keyword", "kEECDH+AESGCM": "keyword",
		"DHE-RSA-AES128-GCM-SHA256": "Diffie-Hellman", "PSK-AES128-CBC-SHA": "pre-shared", "RC4-SHA": "insecure",
	} {
		if _, err := CipherSuite(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CipherSuite(%q): %v, want an error about %s", name, err, want)
		}
	}
}
