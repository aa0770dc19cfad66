//go:build unix

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/acme"
	"picket/internal/testbed"
	"picket/packet"
)

// A broker on a bare address gets a certificate of a public authority and renews it again and again, and none of its clients notices.
func TestCertificateIsRenewedUnderLoad(t *testing.T) {
	clients := 1000
	if testing.Short() {
		clients = 100
	}
	// Each certificate is due some seconds after it was made, and ends in an hour: a slow machine renews late, but never serves one that has ended.
	renewal = acme.Renewal{Check: 200 * time.Millisecond, Left: 0.999}
	authority := testbed.StartAuthority(t, time.Hour, true)
	dir := t.TempDir()
	port := testbed.Port(t)
	file := filepath.Join(dir, "picket.conf")
	data := filepath.Join(dir, "data")
	socket := filepath.Join(dir, "admin.sock")
	text := fmt.Sprintf(`data_dir %[1]s
user root
admin_socket %[7]s
acme_name 127.0.0.1
acme_ca %[2]s
acme_ca_roots %[3]s
acme_http_port %[4]d
acme_tls_port %[5]d
password_file %[1]s/passwords
allow_anonymous true
listener %[6]d
protocol auto
certfile %[1]s/server.pem
keyfile %[1]s/server.pem
`, data, authority.URL, authority.Trust, authority.HTTPPort, authority.TLSPort, port, socket)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var log testbed.Log
	ended := make(chan int, 1)
	go func() {
		ended <- Run(ctx, []string{"picket", "serve", "-c", file}, strings.NewReader(""), io.Discard, &log)
	}()
	defer func() {
		stop()
		if status := <-ended; status != 0 || t.Failed() {
			t.Errorf("status %d; log:\n%s", status, log.String())
		}
	}()

	addr := fmt.Sprintf("127.0.0.1:%d", port)
	trusting := &tls.Config{RootCAs: authority.Roots, ServerName: "127.0.0.1"}
	served := func() *x509.Certificate { // what a client is shown which trusts public authorities only
		conn, err := tls.Dial("tcp", addr, trusting)
		if err != nil {
			return nil
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0]
	}
	eventually(t, "the first certificate", func() bool { return served() != nil })
	eventually(t, "a word that nothing has to be installed", func() bool {
		var out testbed.Log
		status := Run(ctx, []string{"picket", "show", "--lang", "en", "--socket", socket}, strings.NewReader(""), &out, &out)
		return status == 0 && strings.Contains(out.String(), "TLS       on\n") && !strings.Contains(out.String(), "ca.crt")
	})
	var all []*testbed.Client
	for i := range clients {
		conn, err := tls.Dial("tcp", addr, trusting)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		c := testbed.NewClient(conn, packet.V311)
		if _, err := c.Connect(&packet.Connect{ClientID: fmt.Sprint("c", i), CleanStart: true}); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for range 2 {
		before := served()
		eventually(t, "a renewal", func() bool {
			now := served()
			if now != nil && before != nil && !bytes.Equal(now.RawSubjectPublicKeyInfo, before.RawSubjectPublicKeyInfo) {
				t.Fatal("the renewed certificate has another key")
			}
			return now != nil && before != nil && now.SerialNumber.Cmp(before.SerialNumber) != 0
		})
	}
	for i, c := range all {
		if err := c.Send(packet.Pingreq{}); err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		if _, err := testbed.Until[packet.Pingresp](c); err != nil {
			t.Fatalf("client %d was lost: %v", i, err)
		}
	}
}

// eventually waits until something is there.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	testbed.Eventually(t, func() error {
		if !is() {
			return fmt.Errorf("%s has not come", what)
		}
		return nil
	})
}
