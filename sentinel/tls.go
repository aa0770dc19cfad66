package sentinel

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

var tlsVersions = map[string]uint16{"tlsv1": tls.VersionTLS10, "tlsv1.1": tls.VersionTLS11, "tlsv1.2": tls.VersionTLS12, "tlsv1.3": tls.VersionTLS13}

// load makes the two sides' configurations: for clients of ours where there is a TLS port, and for servers and other sentinels
// where tls-replication is on. Either is nil where it is not needed.
func (t *TLSConfig) load(serving bool) (server, peer *tls.Config, err error) {
	if !serving && !t.Replication {
		return nil, nil, nil
	}
	pool, err := t.authorities()
	if err != nil {
		return nil, nil, err
	}
	base := &tls.Config{MinVersion: tls.VersionTLS12}
	for i, name := range t.Protocols {
		v := tlsVersions[strings.ToLower(name)]
		if i == 0 || v < base.MinVersion {
			base.MinVersion = v
		}
		base.MaxVersion = max(base.MaxVersion, v)
	}
	base.SessionTicketsDisabled = !t.SessionCaching
	if base.CipherSuites, err = cipherSuites(t.Ciphers); err != nil {
		return nil, nil, err
	}
	if t.CipherSuites != "" {
		return nil, nil, errors.New("tls-ciphersuites: the TLS 1.3 suites cannot be chosen here, all of them are secure; remove the directive")
	}
	var own *tls.Certificate
	if t.CertFile != "" || t.KeyFile != "" {
		if own, err = loadCertificate("tls", t.CertFile, t.KeyFile, t.KeyPass); err != nil {
			return nil, nil, err
		}
	}
	if serving {
		if server, err = t.server(base, own, pool); err != nil {
			return nil, nil, err
		}
	}
	if t.Replication {
		if peer, err = t.peer(base, own, pool); err != nil {
			return nil, nil, err
		}
	}
	return server, peer, nil
}

// server is for those who connect here.
func (t *TLSConfig) server(base *tls.Config, own *tls.Certificate, pool *x509.CertPool) (*tls.Config, error) {
	if own == nil {
		return nil, errors.New("tls-port needs tls-cert-file and tls-key-file")
	}
	if pool == nil && t.AuthClients != "no" {
		return nil, errors.New("clients' certificates are checked (tls-auth-clients) but neither tls-ca-cert-file nor tls-ca-cert-dir is given")
	}
	c := base.Clone()
	c.Certificates = []tls.Certificate{*own}
	c.ClientCAs = pool
	c.ClientAuth = map[string]tls.ClientAuthType{
		"yes": tls.RequireAndVerifyClientCert, "no": tls.NoClientCert, "optional": tls.VerifyClientCertIfGiven,
	}[t.AuthClients]
	return c, nil
}

// peer is for connections to servers and other sentinels.
func (t *TLSConfig) peer(base *tls.Config, own *tls.Certificate, pool *x509.CertPool) (_ *tls.Config, err error) {
	c := base.Clone()
	if t.ClientCertFile != "" {
		if own, err = loadCertificate("tls-client", t.ClientCertFile, t.ClientKeyFile, t.ClientKeyPass); err != nil {
			return nil, err
		}
	}
	if own != nil {
		c.Certificates = []tls.Certificate{*own}
	}
	// As Redis does, the chain is checked but not the name: servers are known by their addresses.
	c.InsecureSkipVerify = true
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		opts := x509.VerifyOptions{Roots: pool, Intermediates: x509.NewCertPool()}
		for _, c := range cs.PeerCertificates[1:] {
			opts.Intermediates.AddCert(c)
		}
		_, err := cs.PeerCertificates[0].Verify(opts)
		return err
	}
	return c, nil
}

// authorities reads the certificates that others' are checked against; nil: the system's.
func (t *TLSConfig) authorities() (*x509.CertPool, error) {
	var files []string
	if t.CAFile != "" {
		files = append(files, t.CAFile)
	}
	if t.CADir != "" {
		more, err := filepath.Glob(filepath.Join(t.CADir, "*"))
		if err != nil || len(more) == 0 {
			return nil, fmt.Errorf("tls-ca-cert-dir %s: no certificates in it", t.CADir)
		}
		files = append(files, more...)
	}
	if len(files) == 0 {
		return nil, nil
	}
	pool := x509.NewCertPool()
	found := false
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			if f == t.CAFile {
				return nil, fmt.Errorf("tls-ca-cert-file: %w", err)
			}
			continue // a folder in the folder
		}
		found = pool.AppendCertsFromPEM(data) || found
	}
	if !found {
		return nil, fmt.Errorf("no certificate found in %s", strings.Join(files, ", "))
	}
	return pool, nil
}

func loadCertificate(prefix, certFile, keyFile, pass string) (*tls.Certificate, error) {
	if keyFile == "" {
		keyFile = certFile
	}
	certPEM, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("%s-cert-file: %w", prefix, err)
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("%s-key-file: %w", prefix, err)
	}
	if pass != "" {
		block, _ := pem.Decode(keyPEM)
		if block == nil {
			return nil, fmt.Errorf("%s-key-file %s holds no key in PEM form", prefix, keyFile)
		}
		if x509.IsEncryptedPEMBlock(block) { //nolint:staticcheck // the form that openssl's traditional keys have
			der, err := x509.DecryptPEMBlock(block, []byte(pass)) //nolint:staticcheck // as above
			if err != nil {
				return nil, fmt.Errorf("%s-key-file-pass: %w", prefix, err)
			}
			keyPEM = pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der})
		} else if block.Type == "ENCRYPTED PRIVATE KEY" {
			return nil, fmt.Errorf("%s-key-file %s is encrypted as PKCS#8, which is not supported; write it with 'openssl rsa -aes256 -traditional' or without a password", prefix, keyFile)
		}
	}
	c, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%s-cert-file %s with %s-key-file %s: %w", prefix, certFile, prefix, keyFile, err)
	}
	return &c, nil
}

// cipherSuites turns OpenSSL's names for TLS 1.2 suites into Go's. Empty: Go's choice.
func cipherSuites(list string) ([]uint16, error) {
	if list == "" || strings.EqualFold(list, "DEFAULT") || strings.HasPrefix(list, "DEFAULT:") {
		return nil, nil
	}
	var ids []uint16
	for name := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ':' || r == ',' || r == ' ' }) {
		id, ok := opensslSuites[strings.ToUpper(name)]
		if !ok {
			return nil, fmt.Errorf("tls-ciphers: %q is not known; known are DEFAULT and %s", name, strings.Join(suiteNames(), ", "))
		}
		ids = append(ids, id)
	}
	return ids, nil
}

var opensslSuites = map[string]uint16{
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

func suiteNames() []string {
	var names []string
	for n := range opensslSuites {
		names = append(names, n)
	}
	return names
}
