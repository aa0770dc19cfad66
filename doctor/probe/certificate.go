package probe

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"picket/doctor"
)

// describe takes from certificates what matters here, of no more than ten.
func describe(chain []*x509.Certificate) (all []doctor.Certificate) {
	for _, c := range chain[:min(len(chain), 10)] {
		sum := sha256.Sum256(c.Raw)
		d := doctor.Certificate{
			Subject: doctor.Printable(c.Subject.String(), 200), Issuer: doctor.Printable(c.Issuer.String(), 200),
			NotBefore: c.NotBefore.Unix(), NotAfter: c.NotAfter.Unix(), Key: keyName(c.PublicKey), SHA256: hex.EncodeToString(sum[:]),
		}
		for _, name := range c.DNSNames[:min(len(c.DNSNames), 20)] {
			d.Names = append(d.Names, doctor.Printable(name, 253))
		}
		for _, ip := range c.IPAddresses[:min(len(c.IPAddresses), 20)] {
			d.Names = append(d.Names, ip.String())
		}
		all = append(all, d)
	}
	return all
}

func keyName(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.Size()*8)
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return "unknown"
}

// judge says what keeps a client from trusting a server at a time. The chain, the name and the dates are looked at one by one, so that all
// problems are found and not the first alone.
func judge(chain []*x509.Certificate, host string, roots *x509.CertPool, now time.Time) (problems []string) {
	if len(chain) == 0 {
		return []string{doctor.UnknownCA}
	}
	leaf := chain[0]
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	options := x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	_, err := leaf.Verify(options)
	sound := err == nil // whatever else was sent: on some way to a root everything is valid
	for _, c := range chain {
		// An old root may have expired without harm, and so may a certificate that another way around leads to a root.
		if c == leaf || !selfSigned(c) && !sound {
			if p := dateProblem(c, now); p != "" {
				problems = append(problems, p)
				break
			}
		}
	}
	if leaf.VerifyHostname(hostFor(host)) != nil {
		problems = append(problems, doctor.WrongName)
	}
	options.KeyUsages = nil
	if !sound {
		options.CurrentTime = commonTime(chain, now)
	}
	if _, err = leaf.Verify(options); err == nil {
		return problems
	}
	options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	if _, err := leaf.Verify(options); err == nil {
		return append(problems, doctor.WrongUse)
	}
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired { // the authority is the right one
		if len(problems) > 0 {
			return problems // it is younger than the certificate that has run out
		}
		return append(problems, doctor.RootExpired)
	}
	switch {
	case errors.As(err, &invalid) && (invalid.Reason == x509.CANotAuthorizedForThisName || invalid.Reason == x509.NameConstraintsWithoutSANs):
		problems = append(problems, doctor.NotPermitted)
	case slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return len(c.UnhandledCriticalExtensions) > 0 }):
		problems = append(problems, doctor.Unusual)
	case slices.ContainsFunc(chain, weak):
		problems = append(problems, doctor.WeakSignature)
	case selfSigned(leaf):
		problems = append(problems, doctor.SelfSigned)
	case wrongMiddle(chain, options):
		problems = append(problems, doctor.WrongMiddle)
	case incomplete(chain, roots):
		problems = append(problems, doctor.Incomplete)
	default:
		problems = append(problems, doctor.UnknownCA)
	}
	return problems
}

// hostFor puts addresses into the form that VerifyHostname wants.
func hostFor(host string) string {
	if a, err := netip.ParseAddr(host); err == nil {
		return "[" + a.WithZone("").String() + "]"
	}
	return host
}

func dateProblem(c *x509.Certificate, now time.Time) string {
	switch {
	case now.After(c.NotAfter):
		return doctor.Expired
	case now.Before(c.NotBefore):
		return doctor.NotYet
	}
	return ""
}

// commonTime is a time at which all certificates of a chain are valid, the nearest to now: so the chain can be judged apart from its dates.
func commonTime(chain []*x509.Certificate, now time.Time) time.Time {
	for _, c := range chain {
		if now.After(c.NotAfter) {
			now = c.NotAfter
		}
		if now.Before(c.NotBefore) {
			now = c.NotBefore
		}
	}
	return now
}

// weak tells whether a certificate is signed in a way that clients do not take any more. What a root says of itself does not count.
func weak(c *x509.Certificate) bool {
	old := []x509.SignatureAlgorithm{x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1}
	return slices.Contains(old, c.SignatureAlgorithm) && !bytes.Equal(c.RawIssuer, c.RawSubject)
}

// wrongMiddle tells whether a certificate comes with intermediate ones that are to be trusted, and none of them has issued it.
func wrongMiddle(chain []*x509.Certificate, options x509.VerifyOptions) bool {
	leaf, trusted := chain[0], false
	for _, c := range chain[1:] {
		if bytes.Equal(c.RawSubject, leaf.RawIssuer) {
			return false
		}
		if _, err := c.Verify(options); err == nil && !selfSigned(c) {
			trusted = true
		}
	}
	return trusted
}

func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) && c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// incomplete tells whether a chain that leads nowhere lacks its middle. For sure that is known only with the missing certificate at hand; these are signs
// of it: the last certificate is not self-signed, and its issuer looks like an intermediate authority: it says where to get the issuer (public
// authorities do), is called one, or belongs to the organisation of an authority that is trusted.
func incomplete(chain []*x509.Certificate, roots *x509.CertPool) bool {
	last := chain[len(chain)-1]
	if selfSigned(last) {
		return false
	}
	if roots != nil && slices.ContainsFunc(roots.Subjects(), func(s []byte) bool { return bytes.Equal(s, last.RawIssuer) }) { //nolint:staticcheck // as below
		return false // the issuer is at hand, and does not vouch for it
	}
	if len(last.IssuingCertificateURL) > 0 {
		return true
	}
	name := strings.ToLower(last.Issuer.String())
	for _, word := range []string{"intermediate", "issuing", "sub ca", "subca", "sub-ca", "server ca"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return len(last.Issuer.Organization) > 0 && roots != nil && trustedOrganisation(roots, last.Issuer.Organization[0])
}

// trustedOrganisation tells whether one of the authorities that the user has named belongs to an organisation.
func trustedOrganisation(roots *x509.CertPool, organisation string) bool {
	//nolint:staticcheck // it is deprecated because it lacks the system's authorities, and these are the user's own
	for _, subject := range roots.Subjects() {
		if bytes.Contains(subject, []byte(organisation)) {
			return true
		}
	}
	return false
}
