package listener

import (
	"context"
	"crypto/x509"
	"os/exec"
	"strings"
	"testing"
	"time"

	"picket/cause"
)

// What OpenSSL's clients say when they refuse the certificate is understood, also where they say it in plain text though TLS 1.3 would have it encrypted.
func TestAlertsOfOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatal("this test needs openssl: apt-get install openssl")
	}
	ours, theirs := newAuthority(t, "Ours"), newAuthority(t, "Theirs")
	old := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	}
	client := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	for name, tt := range map[string]struct {
		change func(*x509.Certificate)
		args   []string
		want   cause.ID
		text   string
	}{
		"unknown authority": {nil, []string{"-CAfile", theirs.file}, cause.TLSUnknownCA, "unknown certificate authority"},
		"another name":      {nil, []string{"-CAfile", ours.file, "-verify_hostname", "elsewhere.example"}, cause.TLSClientRejectedCertificate, "bad certificate"},
		"expired":           {old, []string{"-CAfile", ours.file}, cause.TLSExpired, "expired certificate"},
		"not for servers":   {client, []string{"-CAfile", ours.file, "-purpose", "sslserver"}, cause.TLSClientRejectedCertificate, "certificate"},
	} {
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			for where, protocol := range map[string]Protocol{"TCP": MQTT, "WebSocket": WebSocket, "auto": Auto} {
				t.Run(name+version+" "+where, func(t *testing.T) {
					cfg := loopback()
					cfg.Protocol = protocol
					if tt.change == nil {
						cfg.TLS = ours.server(t)
					} else {
						cfg.TLS.CertFile, cfg.TLS.KeyFile = ours.issue(t, "odd", "localhost", tt.change)
					}
					refused := make(refusals, 10)
					s := opened(t, newEcho(t), Options{Refused: refused.option()}, cfg)
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					cmd := exec.CommandContext(ctx, openssl, append([]string{"s_client", "-connect", addrOf(t, s).String(), "-verify_return_error", version}, tt.args...)...)
					if out, err := cmd.CombinedOutput(); err == nil {
						t.Errorf("OpenSSL was satisfied:\n%s", out)
					}
					if r := next(t, refused); r.Cause != tt.want || !strings.Contains(r.Text, tt.text) {
						t.Errorf("refused: %+v, want %s, %q", r, tt.want, tt.text)
					}
				})
			}
		}
	}
}

// The last bytes are kept whatever the pieces that they come in.
func TestAlertRecord(t *testing.T) {
	const record = "\x15\x03\x03\x00\x02\x02\x30"
	for size := 1; size < 40; size++ {
		var a alertRecord
		for text := "a record before it, of some length" + record; text != ""; {
			n := min(size, len(text))
			a.saw([]byte(text[:n]))
			text = text[n:]
		}
		if alert, ok := a.alert(); !ok || alert != 48 {
			t.Errorf("in pieces of %d bytes: %d, %v", size, alert, ok)
		}
	}
	var a alertRecord
	for _, text := range []string{"", "\x16", record[1:], "\x15\x03\x03\x00\x03\x02\x30", record + "."} {
		a.saw([]byte(text))
		if _, ok := a.alert(); ok {
			t.Errorf("an alert in %q", text)
		}
	}
}
