//go:build unix

package testbed

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Authority is a certificate authority that speaks ACME: Let's Encrypt's own test server, with a name server that has every name lead to this machine.
type Authority struct {
	URL   string // of its directory
	Trust string // file of the certificates that its server is trusted by
	Roots *x509.CertPool
	Root  []byte // the certificate in Roots, in PEM form
	// HTTPPort and TLSPort are the ports that it connects to in place of 80 and 443.
	HTTPPort, TLSPort int
}

// AuthorityOptions say what an authority is like.
type AuthorityOptions struct {
	Life  time.Duration // of its certificates
	Names bool          // every name leads to this machine; else none leads anywhere
	// HTTPPort and TLSPort are the ports that it connects to; 0: free ones.
	HTTPPort, TLSPort int
	// Before are words in front of its commands, such as those that lead into a network namespace; Transport leads there too. nil: here.
	Before    []string
	Transport *http.Transport
}

// servers builds the two programs once for a test run.
var servers = sync.OnceValues(func() (string, error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("picket-authority-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir+"/", "github.com/letsencrypt/pebble/v2/cmd/pebble", "github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv")
	build.Dir = filepath.Join(strings.TrimSpace(string(root)), "acme", "testserver")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=mod")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

// StartAuthority starts one on this machine whose certificates live that long. With names, every name leads here; else none leads anywhere.
func StartAuthority(t *testing.T, life time.Duration, names bool) *Authority {
	t.Helper()
	return StartAuthorityWith(t, AuthorityOptions{Life: life, Names: names})
}

// StartAuthorityWith starts one.
func StartAuthorityWith(t *testing.T, o AuthorityOptions) *Authority {
	t.Helper()
	dir, err := servers()
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	ca := filepath.Join(work, "ca.pem")
	pair := NewCA(t, ca).Issue(t, filepath.Join(work, "server"), nil)
	ports := make([]int, 6)
	for i := range ports {
		if ports[i], err = FreePort(); err != nil {
			t.Fatal(err)
		}
	}
	a := &Authority{URL: fmt.Sprintf("https://localhost:%d/dir", ports[0]), Trust: ca, HTTPPort: cmp.Or(o.HTTPPort, ports[2]), TLSPort: cmp.Or(o.TLSPort, ports[3])}
	profile := map[string]any{"description": "of a test", "validityPeriod": int(o.Life.Seconds())}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": fmt.Sprintf("127.0.0.1:%d", ports[0]), "managementListenAddress": fmt.Sprintf("127.0.0.1:%d", ports[1]),
		"certificate": pair.CertFile, "privateKey": pair.KeyFile, "httpPort": a.HTTPPort, "tlsPort": a.TLSPort, "keyAlgorithm": "ecdsa",
		"domainBlocklist": []string{"blocked.example"}, "retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{"default": profile, "shortlived": profile},
	}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(work, "pebble.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	address := ""
	if o.Names {
		address = "127.0.0.1"
	}
	names53 := fmt.Sprintf("127.0.0.1:%d", ports[4])
	run(t, nil, o.Before, filepath.Join(dir, "pebble-challtestsrv"), "-http01", "", "-https01", "", "-doh", "", "-tlsalpn01", "", "-dnsserver", names53,
		"-management", fmt.Sprintf("127.0.0.1:%d", ports[5]), "-defaultIPv4", address, "-defaultIPv6", "")
	transport := o.Transport
	if transport == nil {
		transport = new(http.Transport)
	}
	awaitListener(t, transport, names53) // the authority asks it by TCP, and does not ask twice
	run(t, []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0"}, o.Before, filepath.Join(dir, "pebble"), "-config", file, "-dnsserver", names53)
	a.Root = fetchRoot(t, transport, fmt.Sprintf("https://127.0.0.1:%d/roots/0", ports[1]))
	a.Roots = x509.NewCertPool()
	a.Roots.AppendCertsFromPEM(a.Root)
	return a
}

// run starts a program that ends with the test; before are words in front of its name.
func run(t *testing.T, env, before []string, name string, args ...string) {
	t.Helper()
	words := slices.Concat(before, []string{name}, args)
	c := exec.Command(words[0], words[1:]...)
	c.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill() // it may have ended
		_ = c.Wait()         // killed
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(name), out.Bytes()[max(0, out.Len()-4000):])
		}
	})
}

// awaitListener waits until a port takes connections where the transport leads.
func awaitListener(t *testing.T, transport *http.Transport, address string) {
	t.Helper()
	dial := transport.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	Eventually(t, func() error {
		conn, err := dial(t.Context(), "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// fetchRoot waits for the authority, and takes the certificate that clients have to trust.
func fetchRoot(t *testing.T, transport *http.Transport, url string) (root []byte) {
	t.Helper()
	transport = transport.Clone()
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	client := &http.Client{Transport: transport}
	defer client.CloseIdleConnections()
	Eventually(t, func() error {
		response, err := client.Get(url)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		root, err = io.ReadAll(response.Body)
		return err
	})
	return root
}
