package mosqconf

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/cause"
)

// authority makes certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.key = newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(100 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.write("ca.pem", "CERTIFICATE", der)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// issue writes NAME.pem and NAME.key; change may alter the certificate before it is signed.
func (a *authority) issue(name string, change func(*x509.Certificate)) {
	key := newKey(a.t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"broker.example"},
		IPAddresses: []net.IP{net.IPv4(192, 0, 2, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".pem", "CERTIFICATE", der)
	if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		a.t.Fatal(err)
	}
	a.write(name+".key", "PRIVATE KEY", der)
}

// revoke writes crl.pem, to be renewed at a time.
func (a *authority) revoke(next time.Time) {
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: next.Add(-time.Hour), NextUpdate: next}, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write("crl.pem", "X509 CRL", der)
}

func TestCheckTLS(t *testing.T) {
	a := newAuthority(t)
	a.issue("good", func(*x509.Certificate) {})
	a.issue("other", func(*x509.Certificate) {})
	a.issue("expired", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	a.issue("expiring", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(24 * time.Hour) })
	a.issue("future", func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })
	a.issue("nameless", func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = nil, nil })
	a.issue("alone", func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://ca.example/ca.der"} })
	a.revoke(time.Now().Add(-time.Minute))
	a.write("encrypted.key", "ENCRYPTED PRIVATE KEY", []byte("x"))
	os.WriteFile(filepath.Join(a.dir, "empty"), nil, 0o600)
	os.WriteFile(filepath.Join(a.dir, "der"), a.cert.Raw, 0o600)
	chain := slices.Concat(read(t, a.dir+"/good.pem"), read(t, a.dir+"/other.pem"))
	os.WriteFile(filepath.Join(a.dir, "jumbled.pem"), chain, 0o600)
	os.Mkdir(filepath.Join(a.dir, "nothing"), 0o700)

	for _, c := range []struct {
		lines string // @ is the folder
		level Level
		want  string
		id    cause.ID
	}{
		{"certfile @/good.pem\nkeyfile @/good.key", Info, "The certificate of @/good.pem is for broker.example, 192.0.2.1, until", ""},
		{"certfile @/good.pem\nkeyfile @/other.key", Error, "Error: The key in @/other.key is not that of the certificate in @/good.pem.", cause.ConfigConflict},
		{"certfile @/missing.pem\nkeyfile @/good.key", Error, "Error: Unable to open certfile @/missing.pem.", cause.ConfigUnreadable},
		{"certfile @/good.pem\nkeyfile @/missing.key", Error, "Error: Unable to open keyfile @/missing.key.", cause.KeyUnreadable},
		{"certfile @/good.key\nkeyfile @/good.pem", Error, "Error: There is no certificate in certfile @/good.key.", cause.ConfigInvalidValue},
		{"certfile @/good.pem\nkeyfile @/good.pem", Error, "Error: There is no private key in keyfile @/good.pem.", cause.ConfigInvalidValue},
		{"certfile @/der\nkeyfile @/good.key", Error, "Error: There is no certificate in certfile @/der.", cause.ConfigInvalidValue},
		{"certfile @/good.pem\nkeyfile @/encrypted.key", Error, "Error: The private key in @/encrypted.key is encrypted.", cause.ConfigInvalidValue},
		{"certfile @/expired.pem\nkeyfile @/expired.key", Warning, "Warning: The certificate of @/expired.pem expired on", cause.TLSExpired},
		{"certfile @/expiring.pem\nkeyfile @/expiring.key", Warning, "Warning: The certificate of @/expiring.pem expires on", cause.TLSExpired},
		{"certfile @/future.pem\nkeyfile @/future.key", Warning, "Warning: The certificate of @/future.pem is valid from", cause.ClockSkew},
		{"certfile @/nameless.pem\nkeyfile @/nameless.key", Warning, "Warning: No client can verify @/nameless.pem", cause.TLSNameMismatch},
		{"certfile @/alone.pem\nkeyfile @/alone.key", Warning, "Warning: @/alone.pem has the server's certificate only", cause.TLSIncompleteChain},
		{"certfile @/jumbled.pem\nkeyfile @/good.key", Warning, "Warning: Certificate 2 of @/jumbled.pem did not sign the one before it.", cause.TLSIncompleteChain},
		{"certfile @/good.pem\nkeyfile @/good.key\nsni_certificate @/other.pem @/good.key", Error, "Error: The key in @/good.key is not that of", cause.ConfigConflict},
		{"certfile @/good.pem\nkeyfile @/good.key\ncafile @/empty", Error, "Error: There is no certificate in cafile @/empty.", cause.ConfigInvalidValue},
		{"certfile @/good.pem\nkeyfile @/good.key\ncapath @/nothing", Error, "Error: There is no certificate in the files of capath @/nothing.", cause.ConfigInvalidValue},
		{"certfile @/good.pem\nkeyfile @/good.key\ncapath @/missing", Error, "Error: Unable to open capath @/missing.", cause.ConfigUnreadable},
		{"certfile @/good.pem\nkeyfile @/good.key\ncafile @/ca.pem\ncrlfile @/crl.pem", Warning, "Warning: The list of CN=Test CA in crlfile @/crl.pem was to be renewed by", cause.TLSExpired},
		{"certfile @/good.pem\nkeyfile @/good.key\ncapath @\ncrlfile @/ca.pem", Error, "Error: There is no list of revoked certificates in crlfile @/ca.pem.", cause.ConfigInvalidValue},
	} {
		text, want := strings.ReplaceAll(c.lines, "@", a.dir), strings.ReplaceAll(c.want, "@", a.dir)
		path := write(t, "user root\nallow_anonymous false\nlistener 8883\nrequire_certificate false\n"+text+"\n")
		config, r := Check(path)
		i := slices.IndexFunc(r.Findings, func(f Finding) bool { return strings.HasPrefix(f.Text, want) })
		if i < 0 {
			t.Errorf("%s\n%v\nwant %s", text, r.Findings, want)
			continue
		}
		f := r.Findings[i]
		if f.Level != c.level || f.Cause != c.id || f.Line < 3 || f.File != path || (config == nil) != (c.level == Error) {
			t.Errorf("%s\n%+v", text, f)
		}
		if n := r.Count(Error); c.level != Error && n > 0 || c.level == Error && n == 0 {
			t.Errorf("%s\n%d errors: %v", text, n, r.Findings)
		}
	}
}

func read(t *testing.T, path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "pw"), []byte("ann:plain\nbob:\n"), 0o644)
	os.WriteFile(filepath.Join(dir, "acl"), []byte("user ann\ntopics read x\n"), 0o600)
	os.WriteFile(filepath.Join(dir, "pattern"), []byte("pattern read x\n"), 0o600)
	os.WriteFile(filepath.Join(dir, "users"), []byte("user a\nuser b\nuser c\nuser d\nuser e\nuser f\n"), 0o600)
	for _, c := range []struct {
		text  string
		level Level
		want  string
		id    cause.ID
	}{
		{"", Warning, "Warning: Only clients on this machine can connect", cause.LoopbackOnly},
		{"listener 1883 ::1\nlistener 0 @/s", Warning, "Warning: Only clients on this machine can connect", cause.LoopbackOnly},
		{"listener 1883\nallow_anonymous true", Warning, "Warning: Everybody who reaches this listener can publish and subscribe", cause.OpenToEveryone},
		{"listener 1883\nallow_anonymous true\npassword_file @/pw", Warning, "Warning: Everybody who reaches this listener can connect without a password", cause.OpenToEveryone},
		{"listener 1883", Warning, "Warning: No client from another machine can connect to this listener", cause.NoPasswordFile},
		{"listener 1883\npassword_file @/pw", Notice, "Passwords cross the network in the clear", ""},
		{"listener 8883", Warning, "Warning: Port 8883 is where clients expect MQTT over TLS", cause.TLSToPlainPort},
		{"listener 1883\nprotocol websockets", Warning, "Warning: Port 1883 is where clients expect MQTT over TCP", cause.TCPToWSPort},
		{"listener 883\nuser nobody", Error, "Error: Port 883 is below", cause.PrivilegedPort},
		{"listener 1883 192.0.2.77", Warning, "Warning: No network interface of this machine has the address 192.0.2.77 now.", cause.BindBeforeNetwork},
		{"listener 1883\nbind_interface nope0", Error, "Error: There is no network interface nope0 on this machine.", cause.ConfigInvalidValue},
		{"listener 1883 not..valid", Error, "Error: Unable to resolve not..valid", cause.ConfigInvalidValue},
		{"listener 0 @/no/s", Error, "Error: There is no folder @/no for the Unix socket.", cause.ConfigUnreadable},
		{"listener 0 /" + strings.Repeat("x", 107), Error, "Error: The path of a Unix socket has at most 107 bytes", cause.ConfigInvalidValue},
		{"listener 1883\nprotocol auto\nhttp_dir @/no", Error, "Error: There is no folder @/no.", cause.ConfigUnreadable},
		{"pid_file @/no/pid", Error, "Error: No file can be made in folder @/no for pid_file.", cause.ConfigUnreadable},
		{"log_dest file @/no/log", Warning, "Warning: log_dest file @/no/log cannot be had", cause.ConfigUnreadable},
		{"persistence true\npersistence_location @/no/", Error, "Error: persistence_location @/no does not exist.", cause.ConfigUnreadable},
		{"admin_socket @/no/a", Error, "Error: No file can be made in folder @/no for admin_socket.", cause.ConfigUnreadable},
		{"max_keepalive 60", Notice, "Clients of MQTT 3.1.1 and 3.1 whose keep alive is 0 or above 60 s are refused", cause.KeepaliveRefused},
		{"auto_id_prefix \"x\"", Warning, "Warning: The quotes are part of the value of auto_id_prefix", cause.ConfigInvalidValue},
		{"certfile @/no\nciphers HIGH:!aNULL:!MD5", Error, "Error: Invalid cipher in ciphers: \"HIGH\" is a keyword of OpenSSL's cipher lists", cause.ConfigUnsupported},
		{"listener 9883 127.0.0.1\nprotocol http_api\ncertfile @/c", Error, "Error: certfile is not possible with protocol http_api: it is plain HTTP.", cause.ConfigUnsupported},
		{"listener 9883 127.0.0.1\nprotocol http_api\nmount_point a/", Warning, "Warning: mount_point has no effect on a listener with protocol http_api.", cause.ConfigNoEffect},
		{"listener 0 @/s\nprotocol http_api", Error, "Error: A listener with protocol http_api needs a port.", cause.ConfigUnsupported},
		{"listener 1883\nlistener 1883\nprotocol http_api", Error, "Error: Address already in use: the listener is there twice.", cause.PortTaken},
		{"api_access all", Error, "Error: Invalid api_access value (all).", cause.ConfigInvalidValue},
		{"metrics_access all", Error, "Error: Invalid metrics_access value (all).", cause.ConfigInvalidValue},
		{"user nobody-of-this-name", Error, "Error: Unable to drop privileges to 'nobody-of-this-name' because this user does not exist.", cause.ConfigInvalidValue},
		{"password_file @/pw", Warning, "Warning: File @/pw has world readable permissions.", cause.FilePermissions},
		{"password_file @/pw", Warning, "Error: Invalid password hash type for user ann, removing entry.", cause.ConfigInvalidValue},
		{"password_file @/pw", Notice, "Warning: Invalid line in password file '@/pw': bob", cause.ConfigInvalidValue},
		{"password_file @/pattern", Warning, "Warning: Nobody can log in with a password: there are no users in @/pattern.", cause.NoPasswordFile},
		{"allow_anonymous local", Notice, "Whoever comes through a proxy or tunnel on this machine", ""},
		{"password_file @/no", Error, "Error: Unable to open pwfile \"@/no\".", cause.ConfigUnreadable},
		{"rights_file @/acl", Error, "Error: The file of users and rights \"@/acl\" cannot be used", cause.ConfigUnreadable},
		{"acl_file @/acl", Error, "Error: Invalid line in acl_file \"@/acl\": topics read x.", cause.ConfigInvalidValue},
		{"acl_file @/pattern", Warning, "Warning: ACL pattern 'x' does not contain '%c' or '%u'.", cause.ConfigInvalidValue},
		{"acl_file @/users\npassword_file @/pw", Notice, "The acl_file has rules for users who are not in the password_file: a, b, c, d, e and 1 more.", cause.ConfigNoEffect},
		{"per_listener_settings true\nlistener 1883\nacl_file @/acl", Error, "Error: Invalid line in acl_file", cause.ConfigInvalidValue},
	} {
		text, want := strings.ReplaceAll(c.text, "@", dir), strings.ReplaceAll(c.want, "@", dir)
		if !strings.Contains(text, "user no") {
			text += "\nuser root" // no other user can reach the folder
		}
		config, r := Check(write(t, text))
		i := slices.IndexFunc(r.Findings, func(f Finding) bool { return strings.HasPrefix(f.Text, want) })
		if i < 0 {
			t.Errorf("%s\n%v\nwant %s", text, r.Findings, want)
			continue
		}
		if f := r.Findings[i]; f.Level != c.level || f.Cause != c.id || f.File == "" || (config == nil) != (c.level == Error) {
			t.Errorf("%s\n%+v, %v", text, f, r.Findings)
		}
	}
	// What is in order gets no word but who is local.
	if _, r := Check(write(t, fmt.Sprintf("user root\nper_listener_settings true\nlistener 0 %s/s\nlistener 2883\nallow_anonymous local\nlistener 1883 127.0.0.1\nallow_anonymous true\n", dir))); len(r.Findings) != 2 || r.Findings[0].Level != Notice || r.Findings[1].Cause != cause.NoPasswordFile {
		t.Errorf("%v", r.Findings)
	}
}

// What the user may not read or write whom root becomes stops the start, and so the check finds it.
func TestCheckAsTheUserToBecome(t *testing.T) {
	if os.Geteuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("only root becomes somebody else, and only Linux lends a user's rights")
	}
	dir, err := os.MkdirTemp("", "picket-check") // whose folders above let everybody through, unlike those of t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ca := newAuthority(t)
	ca.dir = dir
	ca.issue("server", func(*x509.Certificate) {})
	for name, text := range map[string]string{"pw": "", "acl": "topic read #\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for config, want := range map[string]string{
		"listener 1883\npassword_file @/pw":                          `Unable to open pwfile "@/pw"`,
		"listener 1883\nacl_file @/acl":                              `Unable to open acl_file "@/acl"`,
		"listener 8883\ncertfile @/server.pem\nkeyfile @/server.key": "Unable to open keyfile @/server.key",
		"listener 1883\npersistence true\npersistence_location @/":   "persistence_location @ cannot be written by user nobody",
		"listener 1883\npid_file @/pid":                              "No file can be made in folder @ for pid_file",
		"listener 0 @/sock":                                          "No file can be made in folder @ for listener",
		"listener 1883\nadmin_socket @/admin":                        "No file can be made in folder @ for admin_socket",
		"listener 443":                                               "Port 443 is below 1024",
	} {
		config, want = strings.ReplaceAll(config, "@", dir), strings.ReplaceAll(want, "@", dir)
		_, r := Check(write(t, "user nobody\n"+config+"\n"))
		if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Level == Error && strings.Contains(f.Text, want) }) {
			t.Errorf("%s\n%v\nwant %s", config, r.Findings, want)
		}
		if _, r := Check(write(t, "user root\n"+config+"\n")); r.Failed() {
			t.Errorf("%s: as root %v", config, r.Findings)
		}
	}
}
