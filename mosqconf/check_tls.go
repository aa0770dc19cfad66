package mosqconf

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"picket/cause"
)

// expiresSoon is how long before its end a certificate is worth a warning; those of Let's Encrypt are renewed 30 days before.
const expiresSoon = 14 * 24 * time.Hour

// checkTLS looks at a listener's certificates.
func (p *parser) checkTLS(b *block) {
	t := b.config.TLS
	if t.CertFile == "" || t.KeyFile == "" || p.comes(t.CertFile) {
		return
	}
	p.checkServerPair(line{place: b.seenAt("certfile"), word: "certfile"}, line{place: b.seenAt("keyfile"), word: "keyfile"}, t.CertFile, t.KeyFile)
	for _, s := range t.SNI {
		at := line{place: b.place, word: "sni_certificate"}
		p.checkServerPair(at, at, s.CertFile, s.KeyFile)
	}
	p.checkCAs(line{place: b.seenAt("cafile"), word: "cafile"}, t.CAFile, line{place: b.seenAt("capath"), word: "capath"}, t.CAPath)
	if t.CRLFile != "" {
		p.checkCRL(line{place: b.seenAt("crlfile"), word: "crlfile"}, t.CRLFile)
	}
}

// read reads a file that a line names, or records why not.
func (p *parser) read(l line, path string) []byte {
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxFileSize) {
		p.errorf(l, cause.ConfigUnreadable, fmt.Sprintf("It is a file of at most %d bytes.", maxFileSize), "Error: Unable to open %s %s.", l.word, path)
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		id := cause.ConfigUnreadable
		if l.word == "keyfile" {
			id = cause.KeyUnreadable
		}
		p.errorf(l, id, p.whyUnreadable(err, path), "Error: Unable to open %s %s.", l.word, path)
		return nil
	}
	return data
}

// certificates reads the certificates of a PEM file.
func (p *parser) certificates(l line, path string) (list []*x509.Certificate) {
	data := p.read(l, path)
	if data == nil {
		return nil
	}
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			p.errorf(l, cause.ConfigInvalidValue, err.Error()+".", "Error: Certificate %d of %s %s cannot be read.", len(list)+1, l.word, path)
			return nil
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		hint := "It begins with -----BEGIN CERTIFICATE-----"
		if bytes.Contains(data, []byte("PRIVATE KEY-----")) {
			hint = "It holds a key: are certfile and keyfile the wrong way round?"
		} else if len(data) > 0 && data[0] == 0x30 {
			hint = "It is DER: openssl x509 -inform der -in FILE -out FILE.pem"
		}
		p.errorf(l, cause.ConfigInvalidValue, hint, "Error: There is no certificate in %s %s.", l.word, path)
	}
	return list
}

// checkCAs looks at the certificates that others have to be signed by: in a file and in a folder, which may both be empty.
func (p *parser) checkCAs(fl line, file string, dl line, dir string) {
	if file != "" {
		for _, c := range p.certificates(fl, file) {
			p.checkDates(fl, c, "The CA certificate "+c.Subject.String())
		}
	}
	if dir != "" {
		p.checkCAPath(dl, dir)
	}
}

// checkKeyPair looks at a certificate and its key, which have to belong together, and returns the certificate with those behind it; nil: it cannot be read.
func (p *parser) checkKeyPair(cl, kl line, certFile, keyFile string) []*x509.Certificate {
	chain := p.certificates(cl, certFile)
	key := p.read(kl, keyFile)
	whole := key != nil && p.checkKey(kl, keyFile, key)
	if chain == nil {
		return nil
	}
	if whole {
		if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
			hint := strings.TrimPrefix(err.Error(), "tls: ") + "."
			p.errorf(kl, cause.ConfigConflict, hint, "Error: The key in %s is not that of the certificate in %s.", keyFile, certFile)
		}
	}
	p.checkDates(cl, chain[0], "The certificate of "+certFile)
	return chain
}

// checkServerPair looks at a server certificate and its key.
func (p *parser) checkServerPair(cl, kl line, certFile, keyFile string) {
	chain := p.checkKeyPair(cl, kl, certFile, keyFile)
	if chain == nil {
		return
	}
	leaf := chain[0]
	names := append([]string(nil), leaf.DNSNames...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		p.find(Warning, cl, cause.TLSNameMismatch, "Make one with the host name, or the IP address, as a subject alternative name; a common name is not looked at any more.",
			"Warning: No client can verify %s: the certificate is for no host name and no address.", certFile)
	} else {
		p.find(Info, cl, "", "", "The certificate of %s is for %s, until %s.", certFile, strings.Join(names, ", "), leaf.NotAfter.Format(time.DateOnly))
	}
	// A certificate that says where its issuer's is comes from a CA with intermediate certificates, as good as always.
	if len(chain) == 1 && len(leaf.IssuingCertificateURL) > 0 {
		p.find(Warning, cl, cause.TLSIncompleteChain, "Use the file with the whole chain (fullchain.pem).",
			"Warning: %s has the server's certificate only, without the one of %s that signed it.", certFile, leaf.Issuer.CommonName)
	}
	for i := 1; i < len(chain); i++ {
		if err := chain[i-1].CheckSignatureFrom(chain[i]); err != nil {
			p.find(Warning, cl, cause.TLSIncompleteChain, "The server's certificate comes first, then the one that signed it, and so on.",
				"Warning: Certificate %d of %s did not sign the one before it.", i+1, certFile)
			break
		}
	}
}

// checkKey looks at a private key file and returns whether it has a key that can be used.
func (p *parser) checkKey(l line, path string, data []byte) bool {
	block := privateKey(data)
	switch {
	case block == nil:
		p.errorf(l, cause.ConfigInvalidValue, "It begins with -----BEGIN PRIVATE KEY----- or similar.", "Error: There is no private key in keyfile %s.", path)
		return false
	case strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "":
		p.errorf(l, cause.ConfigInvalidValue, "Nobody could type the password at the start: openssl pkey -in FILE -out FILE.pem", "Error: The private key in %s is encrypted.", path)
		return false
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o004 != 0 {
		p.find(Warning, l, cause.FilePermissions, "chmod 0640 "+path, "Warning: Every user of this machine can read the private key in %s.", path)
	}
	return true
}

// privateKey finds the first private key of a PEM file.
func privateKey(data []byte) *pem.Block {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil || strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return block
		}
	}
}

// checkDates looks at a certificate's time.
func (p *parser) checkDates(l line, c *x509.Certificate, what string) {
	now := time.Now()
	switch {
	case now.After(c.NotAfter):
		p.find(Warning, l, cause.TLSExpired, "Renew it; SIGHUP makes Picket read it again.", "Warning: %s expired on %s.", what, c.NotAfter.Format(time.DateOnly))
	case now.Before(c.NotBefore):
		p.find(Warning, l, cause.ClockSkew, "Is this machine's clock right?", "Warning: %s is valid from %s only.", what, c.NotBefore.Format(time.DateTime))
	case now.Add(expiresSoon).After(c.NotAfter):
		p.find(Warning, l, cause.TLSExpired, "Renew it; SIGHUP makes Picket read it again.", "Warning: %s expires on %s.", what, c.NotAfter.Format(time.DateOnly))
	}
}

// checkCAPath looks for at least one certificate in a folder.
func (p *parser) checkCAPath(l line, dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		p.errorf(l, cause.ConfigUnreadable, p.whyUnreadable(err, dir), "Error: Unable to open capath %s.", dir)
		return
	}
	for _, e := range entries {
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err != nil || !info.Mode().IsRegular() || info.Size() > maxFileSize {
			continue
		}
		if data, err := os.ReadFile(filepath.Join(dir, e.Name())); err == nil && x509.NewCertPool().AppendCertsFromPEM(data) {
			return
		}
	}
	p.errorf(l, cause.ConfigInvalidValue, "", "Error: There is no certificate in the files of capath %s.", dir)
}

// checkCRL looks at a list of revoked certificates.
func (p *parser) checkCRL(l line, path string) {
	data := p.read(l, path)
	if data == nil {
		return
	}
	found := false
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		found = true
		crl, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			p.errorf(l, cause.ConfigInvalidValue, err.Error()+".", "Error: A list in crlfile %s cannot be read.", path)
			return
		}
		if !crl.NextUpdate.IsZero() && time.Now().After(crl.NextUpdate) {
			p.find(Warning, l, cause.TLSExpired, "Fetch a new one from the CA.", "Warning: The list of %s in crlfile %s was to be renewed by %s.", crl.Issuer, path, crl.NextUpdate.Format(time.DateOnly))
		}
	}
	if !found {
		p.errorf(l, cause.ConfigInvalidValue, "It begins with -----BEGIN X509 CRL-----", "Error: There is no list of revoked certificates in crlfile %s.", path)
	}
}
