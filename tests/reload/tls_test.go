//go:build unix

package reload

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"

	"picket/client"
	"picket/internal/testbed"
	"picket/packet"
)

// newAuthority makes an authority and writes its certificate to NAME.pem.
func (b *broker) newAuthority(name string) *testbed.CA {
	return testbed.NewCA(b.t, b.Path(name+".pem"))
}

// issue makes a certificate for 127.0.0.1 and writes it to FILE.pem and FILE.key.
func (b *broker) issue(ca *testbed.CA, file, name string) testbed.Pair {
	return ca.Issue(b.t, b.Path(file), func(c *x509.Certificate) { c.Subject.CommonName = name })
}

// overTLS returns the options of a client that trusts an authority and shows certificates.
func (b *broker) overTLS(id string, trusts *testbed.CA, shows ...tls.Certificate) client.Options {
	o := b.options(0, id, "")
	o.URL = "mqtts://" + b.addr(0)
	o.TLS = &tls.Config{RootCAs: trusts.Pool(), Certificates: shows}
	return o
}

// serves returns the common name in the certificate that the broker shows now.
func (b *broker) serves() string {
	b.t.Helper()
	c, err := tls.Dial("tcp", b.addr(0), &tls.Config{InsecureSkipVerify: true}) // it is the name that is asked for
	if err != nil {
		b.t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// A new server certificate is shown to new connections; the others go on with the one they know.
func TestServerCertificate(t *testing.T) {
	t.Parallel()
	const config = "listener ${PORT0} 127.0.0.1\nallow_anonymous true\ncertfile ${DIR}/server.pem\nkeyfile ${DIR}/server.key\n"
	var ca *testbed.CA
	b := start(t, func(b *broker) {
		ca = b.newAuthority("ca")
		b.issue(ca, "server", "first")
	}, config)
	old := b.connect(b.overTLS("old", ca))
	if got := b.serves(); got != "first" {
		t.Errorf("certificate %s", got)
	}
	b.issue(ca, "server", "second")
	if got := b.serves(); got != "first" {
		t.Errorf("certificate %s before any reload", got)
	}
	b.reload(inForce)
	if got := b.serves(); got != "second" {
		t.Errorf("certificate %s after the reload", got)
	}
	old.stays("x")
	b.connect(b.overTLS("new", ca)).stays("x")

	// A key that does not belong to it keeps the old pair.
	b.issue(ca, "other", "other")
	b.configure("listener ${PORT0} 127.0.0.1\nallow_anonymous true\ncertfile ${DIR}/server.pem\nkeyfile ${DIR}/other.key\n")
	b.reload(refused)
	if got := b.serves(); got != "second" {
		t.Errorf("certificate %s after a reload that failed", got)
	}
	old.stays("x")
}

// Authorities and revocations count for new connections, and their users are told apart by name.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	const config = "listener ${PORT0} 127.0.0.1\nallow_anonymous false\ncertfile ${DIR}/server.pem\nkeyfile ${DIR}/server.key\n" +
		"require_certificate true\nuse_identity_as_username true\nacl_file ${DIR}/acl\n"
	var ca, other *testbed.CA
	var ann, bob, eve testbed.Pair
	b := start(t, func(b *broker) {
		ca, other = b.newAuthority("ca"), b.newAuthority("other")
		b.issue(ca, "server", "server")
		ann, bob, eve = b.issue(ca, "ann", "ann"), b.issue(ca, "bob", "bob"), b.issue(other, "eve", "eve")
		ca.Revoke(t, b.Path("ca.crl"))
		b.write("acl", "pattern readwrite %u/#\n")
	}, config+"cafile ${DIR}/ca.pem\ncrlfile ${DIR}/ca.crl\n")
	come := func(id string, cert testbed.Pair, may bool) {
		t.Helper()
		u, err := b.dial(b.overTLS(id, ca, cert.Certificate))
		if may != (err == nil) {
			t.Errorf("%s: %v", id, err)
		}
		if err == nil {
			u.stays(id + "/x")
			u.Close()
		}
	}
	old := b.connect(b.overTLS("old", ca, ann.Certificate))
	old.stays("ann/x")
	come("bob", bob, true)
	come("eve", eve, false)

	ca.Revoke(t, b.Path("ca.crl"), bob)
	come("bob", bob, true) // the list has not been read yet
	b.reload(inForce)
	come("bob", bob, false)
	come("ann", ann, true)
	old.stays("ann/x")

	// Both authorities, and no list.
	both := append(readFile(t, b.Path("ca.pem")), readFile(t, b.Path("other.pem"))...)
	if err := os.WriteFile(b.Path("both.pem"), both, 0o600); err != nil {
		t.Fatal(err)
	}
	b.configure(config + "cafile ${DIR}/both.pem\n")
	b.reload(inForce)
	come("eve", eve, true)
	come("bob", bob, true)
	old.stays("ann/x")

	// Only the other one.
	b.configure(config + "cafile ${DIR}/other.pem\n")
	b.reload(inForce)
	come("eve", eve, true)
	come("ann", ann, false)
	old.dismissed(packet.NotAuthorized, "no-longer-allowed") // the authority of its certificate is not trusted any more
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
