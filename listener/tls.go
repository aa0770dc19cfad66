package listener

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// protocols are the names of ALPN that are agreed to when a client offers one. "http/1.1" is what browsers offer for wss;
// "x-amzn-mqtt-ca" is what clients made for AWS IoT offer on port 443.
var protocols = []string{"mqtt", "x-amzn-mqtt-ca", "http/1.1"}

// Loadable says why the certificates of a listener cannot be used, or nil.
func Loadable(c *Config) error {
	if c.TLS.CertFile == "" {
		return nil
	}
	_, err := newTLS(c, func(string) {})
	return err
}

// newTLS loads the certificates of a listener. note is told what is odd, but no error.
func newTLS(c *Config, note func(text string)) (*tls.Config, error) {
	t := &c.TLS
	cfg := &tls.Config{
		MinVersion: max(t.MinVersion, tls.VersionTLS12),
		// Records of full size from the start: a batch of messages leaves with one write, and what counts is how many
		// records the receiver has to take apart.
		DynamicRecordSizingDisabled: true,
	}
	for _, pair := range append([]SNI{{t.CertFile, t.KeyFile}}, t.SNI...) {
		cert, err := loadPair(pair.CertFile, pair.KeyFile, note)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = append(cfg.Certificates, cert)
	}
	if t.CAFile != "" || t.CAPath != "" {
		authorities, err := loadAuthorities(t)
		if err != nil {
			return nil, err
		}
		for i := range cfg.Certificates {
			completeChain(&cfg.Certificates[i], authorities)
		}
	}
	for _, name := range t.Ciphers {
		id, err := CipherSuite(name)
		if err != nil {
			return nil, fmt.Errorf("ciphers: %w", err)
		}
		cfg.CipherSuites = append(cfg.CipherSuites, id)
	}
	if t.RequireCertificate {
		if err := requireCertificate(cfg, t, note); err != nil {
			return nil, err
		}
	}
	// A server that knows names of ALPN refuses a client that offers only others, but here none is required.
	named := cfg.Clone()
	named.NextProtos = protocols
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.ContainsFunc(hello.SupportedProtos, func(p string) bool { return slices.Contains(protocols, p) }) {
			return named, nil
		}
		return nil, nil
	}
	return cfg, nil
}

// loadPair loads a certificate chain and its key.
func loadPair(certFile, keyFile string, note func(text string)) (tls.Certificate, error) {
	var none tls.Certificate
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return none, unreadable("certfile", err)
	}
	if keyFile == "" {
		return none, errors.New("certfile without keyfile: both are needed for TLS")
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return none, unreadable("keyfile", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	switch {
	case err == nil:
	case bytes.Contains(key, []byte("ENCRYPTED")):
		return none, fmt.Errorf("keyfile %s is protected by a password; take it off: openssl pkey -in %s -out NEW", keyFile, keyFile)
	case strings.Contains(err.Error(), "does not match"):
		return none, fmt.Errorf("keyfile %s does not belong to the certificate in certfile %s", keyFile, certFile)
	default:
		return none, fmt.Errorf("certfile %s, keyfile %s: %w", certFile, keyFile, err)
	}
	if now := time.Now(); now.After(pair.Leaf.NotAfter) {
		note(fmt.Sprintf("the certificate in %s has expired on %s; clients will refuse it", certFile, pair.Leaf.NotAfter.UTC().Format(time.DateTime)))
	} else if now.Before(pair.Leaf.NotBefore) {
		note(fmt.Sprintf("the certificate in %s is valid from %s only; is the clock right?", certFile, pair.Leaf.NotBefore.UTC().Format(time.DateTime)))
	}
	return pair, nil
}

// completeChain adds the intermediate authorities that a certificate's own file lacks, as OpenSSL and so mosquitto do: clients that know only the
// root would refuse the server otherwise.
func completeChain(cert *tls.Certificate, authorities []*x509.Certificate) {
	last, err := x509.ParseCertificate(cert.Certificate[len(cert.Certificate)-1])
	for err == nil && !bytes.Equal(last.RawSubject, last.RawIssuer) && len(cert.Certificate) <= maxChain {
		i := slices.IndexFunc(authorities, func(a *x509.Certificate) bool {
			return bytes.Equal(a.RawSubject, last.RawIssuer) && !bytes.Equal(a.RawSubject, a.RawIssuer) && last.CheckSignatureFrom(a) == nil
		})
		if i < 0 {
			return
		}
		last = authorities[i]
		cert.Certificate = append(cert.Certificate, last.Raw)
	}
}

// maxChain is more certificates than any chain has.
const maxChain = 10

// unreadable adds to an error of reading a file what usually helps.
func unreadable(option string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%s: %w; let the broker's user read it", option, err)
	}
	return fmt.Errorf("%s: %w", option, err)
}

// requireCertificate has clients present a certificate of a known authority that is not revoked.
func requireCertificate(cfg *tls.Config, t *TLS, note func(text string)) error {
	authorities, err := loadAuthorities(t)
	if err != nil {
		return err
	}
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	cfg.ClientCAs = x509.NewCertPool()
	for _, a := range authorities {
		cfg.ClientCAs.AddCert(a)
	}
	if t.CRLFile != "" {
		revoked, err := loadCRL(t.CRLFile, authorities, note)
		if err != nil {
			return err
		}
		cfg.VerifyConnection = revoked.verify // also of resumed connections
	}
	return nil
}

// loadAuthorities reads cafile and capath.
func loadAuthorities(t *TLS) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	if t.CAFile != "" {
		data, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, unreadable("cafile", err)
		}
		if all, err = parseCertificates(data); err != nil {
			return nil, fmt.Errorf("cafile %s: %w", t.CAFile, err)
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("cafile %s: no certificate in it (PEM, -----BEGIN CERTIFICATE-----)", t.CAFile)
		}
	}
	if t.CAPath != "" {
		entries, err := os.ReadDir(t.CAPath)
		if err != nil {
			return nil, unreadable("capath", err)
		}
		for _, e := range entries {
			name := filepath.Join(t.CAPath, e.Name())
			if st, err := os.Stat(name); err != nil || !st.Mode().IsRegular() {
				continue
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return nil, unreadable("capath", err)
			}
			certs, err := parseCertificates(data)
			if err != nil {
				return nil, fmt.Errorf("capath: %s: %w", name, err)
			}
			all = append(all, certs...)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("require_certificate needs the certificates of the authorities: set cafile or capath")
	}
	return all, nil
}

// parseCertificates parses the certificates among the PEM blocks of data.
func parseCertificates(data []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return all, nil
		}
		if block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
}

// revocations are the serial numbers of revoked certificates by issuer (raw subject).
type revocations map[string]map[string]bool

// errRevoked says that a client's certificate is on the list.
var errRevoked = errors.New("certificate is revoked")

// loadCRL reads a file of certificate revocation lists, PEM or DER. Each has to be signed by one of the authorities. One
// that is past its next update is used, with a note: leaving every client out would not bring a new one.
func loadCRL(name string, authorities []*x509.Certificate, note func(text string)) (revocations, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, unreadable("crlfile", err)
	}
	var lists [][]byte
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "X509 CRL" {
			lists = append(lists, block.Bytes)
		}
	}
	if len(lists) == 0 {
		lists = append(lists, data)
	}
	revoked := make(revocations)
	for _, der := range lists {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return nil, fmt.Errorf("crlfile %s: no certificate revocation list (PEM, -----BEGIN X509 CRL-----): %w", name, err)
		}
		if !slices.ContainsFunc(authorities, func(a *x509.Certificate) bool {
			return bytes.Equal(a.RawSubject, list.RawIssuer) && list.CheckSignatureFrom(a) == nil
		}) {
			return nil, fmt.Errorf("crlfile %s: the list of %q is not signed by an authority of cafile or capath", name, list.Issuer)
		}
		if !list.NextUpdate.IsZero() && time.Now().After(list.NextUpdate) {
			note(fmt.Sprintf("the revocation list of %q in %s should have been replaced by %s; it is used as it is", list.Issuer, name, list.NextUpdate.UTC().Format(time.DateTime)))
		}
		serials := revoked[string(list.RawIssuer)]
		if serials == nil {
			serials = make(map[string]bool)
			revoked[string(list.RawIssuer)] = serials
		}
		for _, e := range list.RevokedCertificateEntries {
			serials[string(e.SerialNumber.Bytes())] = true
		}
	}
	return revoked, nil
}

// verify refuses a client whose certificate is revoked, or whose issuer has no list: as with OpenSSL, a list makes
// looking it up a duty.
func (r revocations) verify(cs tls.ConnectionState) error {
	leaf := cs.PeerCertificates[0]
	serials, ok := r[string(leaf.RawIssuer)]
	if !ok {
		return fmt.Errorf("crlfile has no revocation list of the certificate's issuer %q", leaf.Issuer)
	}
	if serials[string(leaf.SerialNumber.Bytes())] {
		return fmt.Errorf("%w: serial %X of %q", errRevoked, leaf.SerialNumber, leaf.Issuer)
	}
	return nil
}
