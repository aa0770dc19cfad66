package access

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Names are those that OpenSSL's own program writes, which mosquitto's user names are made by.
func TestSubjectName(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("openssl is missing: make setup installs it (Debian's package openssl)")
	}
	for _, c := range []struct{ subject, first string }{
		{"/CN=ann", "ann"},
		{"/C=DE/ST=Berlin/L=Berlin/O=Example GmbH/OU=Sensors/CN=ann", "ann"},
		{"/CN=first/O=Example/CN=last", "first"},
		{"/DC=org/DC=example/UID=ann/CN=Ann Example/emailAddress=ann@example.org", "Ann Example"},
		{"/title=Dr/GN=Ann/SN=Example/serialNumber=17/initials=AE/CN=x", "x"},
		{"/O=Comma, Plus\\+ and \"quotes\" <a>;b\\\\c/CN=# hash = first", "# hash = first"},
		{"/O= blank /CN=ünïcode 空调", "ünïcode 空调"},
		{"/O=one+OU=two/CN=ann+UID=7", "ann"},
		{"/1.2.3.4.5=unknown/CN=ann", "ann"},
		{"/street=Road 1/postalCode=10115/businessCategory=b/dnQualifier=q/pseudonym=p/name=n/description=d/CN=x", "x"},
		{"/O=nobody", ""},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "cert.pem")
		args := []string{"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-utf8", "-keyout", filepath.Join(dir, "key.pem"), "-out", file, "-subj", c.subject}
		if strings.Contains(c.subject, "one+OU") {
			args = append(args, "-multivalue-rdn")
		}
		if out, err := exec.Command(openssl, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c.subject, err, out)
		}
		out, err := exec.Command(openssl, "x509", "-in", file, "-noout", "-subject", "-nameopt", "RFC2253").Output()
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(data)
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSuffix(strings.TrimPrefix(string(out), "subject="), "\n")
		if got := SubjectName(cert); got != want {
			t.Errorf("%s:\n got %s\nwant %s", c.subject, got, want)
		}
		if got := CommonName(cert); got != c.first {
			t.Errorf("%s: common name %q, want %q", c.subject, got, c.first)
		}
	}
}
