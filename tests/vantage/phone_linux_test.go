package vantage

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"picket/internal/testbed"
)

// What the cloud has given the server: a card with a private address, and a public one that it translates.
const (
	cardAddress   = "10.0.4.12"
	publicAddress = "203.0.113.7"
	letsEncrypt   = "acme-v02.api.letsencrypt.org"
)

// group is the security group: what comes from the internet gets through to the ports that were opened in the console.
func group(ports ...string) string {
	rules := "table ip group\ndelete table ip group\ntable ip group {\n" +
		"\tchain pre {\n\t\ttype nat hook prerouting priority -100;\n\t\tip daddr " + publicAddress + " dnat to " + cardAddress + "\n\t}\n" +
		"\tchain post {\n\t\ttype nat hook postrouting priority 100;\n\t\toifname \"wan\" snat to " + publicAddress + "\n\t}\n" +
		"\tchain forward {\n\t\ttype filter hook forward priority 0; policy drop;\n\t\tct state established,related accept\n\t\tiifname \"lan\" accept\n"
	for _, p := range ports {
		rules += "\t\ttcp dport " + p + " accept\n"
	}
	return rules + "\t}\n}\n"
}

// cloudServer is a server in a cloud, and the internet, on which a phone and Let's Encrypt are.
type cloudServer struct {
	t                     *testing.T
	server, nat, internet machine
	trust                 string // file with the authority that the server trusts for Let's Encrypt's own certificate
	store                 string // file with the root that the phone's system trusts
	begun                 time.Time
	steps                 int
}

// newCloudServer makes them. The security group lets nothing in.
func newCloudServer(t *testing.T) *cloudServer {
	t.Helper()
	c := &cloudServer{t: t, server: newMachine(t), nat: newMachine(t), internet: newMachine(t)}
	cable(c.server, "eth0", []string{cardAddress + "/24"}, c.nat, "lan", []string{"10.0.4.1/24"})
	cable(c.nat, "wan", []string{"203.0.113.1/24", publicAddress + "/24"}, c.internet, "eth0", []string{there4 + "/24"})
	c.server.run("ip", "route", "add", "default", "via", "10.0.4.1")
	c.nat.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
	c.nat.run("ip", "addr", "add", "100.100.100.200/32", "dev", "lo")
	c.nat.filter(group())
	c.nat.http("100.100.100.200:80", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/latest/meta-data/eipv4" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(publicAddress)) // who has gone away needs no answer
	})
	c.letsEncrypt()
	return c
}

// letsEncrypt has Let's Encrypt's test server stand in for it on the internet, at its own name and path.
func (c *cloudServer) letsEncrypt() {
	c.t.Helper()
	dialer := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DialContext: func(_ context.Context, network, address string) (conn net.Conn, err error) {
		err = c.internet.inside(func() error {
			conn, err = net.Dial(network, address)
			return err
		})
		return conn, err
	}}
	authority := testbed.StartAuthorityWith(c.t, testbed.AuthorityOptions{Life: 160 * time.Hour, HTTPPort: 80, TLSPort: 443,
		Before: []string{"ip", "netns", "exec", c.internet.name}, Transport: dialer})
	dir := c.server.dir()
	c.trust, c.store = filepath.Join(dir, "trust.pem"), filepath.Join(dir, "store.pem")
	pair := testbed.NewCA(c.t, c.trust).Issue(c.t, filepath.Join(dir, "encrypt"), func(x *x509.Certificate) { x.DNSNames = []string{letsEncrypt} })
	certificate, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		c.t.Fatal(err)
	}
	write(c.t, c.store, string(authority.Root), 0o644)
	target, err := url.Parse(strings.Replace(authority.URL, "localhost", "127.0.0.1", 1))
	if err != nil {
		c.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Transport: dialer, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "https", target.Host, r.In.Host
		if r.In.URL.Path == "/directory" {
			r.Out.URL.Path = target.Path
		}
	}}
	c.internet.serve(tls.NewListener(c.internet.listen(there4+":443"), &tls.Config{Certificates: []tls.Certificate{certificate}}), proxy)

	etc := filepath.Join("/etc/netns", c.server.name) // what ip netns exec shows in the place of /etc
	if err := os.MkdirAll(etc, 0o755); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { os.RemoveAll(etc) })
	write(c.t, filepath.Join(etc, "hosts"), "127.0.0.1 localhost\n"+there4+" "+letsEncrypt+"\n", 0o644)
}

// step says what a person does, and when.
func (c *cloudServer) step(format string, args ...any) {
	if c.steps++; c.begun.IsZero() {
		c.begun = time.Now()
	}
	c.t.Logf("%d. (%.1f s) %s", c.steps, time.Since(c.begun).Seconds(), fmt.Sprintf(format, args...))
}

// terminal is what a program has written so far.
type terminal struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (p *terminal) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *terminal) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// broker is a command that serves until stop is called; it waits until the command has said something.
func (c *cloudServer) broker(until string, args ...string) (said *terminal, stop func()) {
	c.t.Helper()
	words := append(append([]string{}, firmware...), args...)
	cmd := c.server.command(words...)
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+c.trust, "LANG=en_US.UTF-8", "PICKET_RUNTIME_DIR="+c.server.dir())
	said = new(terminal)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if c.t.Failed() {
			c.t.Logf("%v:\n%s", args, said)
		}
	})
	c.t.Cleanup(stop)
	c.waitFor(said, until)
	return said, stop
}

func (c *cloudServer) waitFor(said *terminal, what string) {
	c.t.Helper()
	for limit := time.Now().Add(patience); !strings.Contains(said.String(), what); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(limit) {
			c.t.Fatalf("it never says %q:\n%s", what, said)
		}
	}
}

// printed is the first group of an expression in what was printed: what a person reads there.
func (c *cloudServer) printed(said *terminal, expression string) string {
	c.t.Helper()
	found := regexp.MustCompile(expression).FindStringSubmatch(said.String())
	if found == nil {
		c.t.Fatalf("nothing printed is like %s:\n%s", expression, said)
	}
	return found[1]
}

// phone runs one of mosquitto's clients on the phone, with the system's store of certificates.
func (c *cloudServer) phone(program string, args ...string) *exec.Cmd {
	c.t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		c.t.Skipf("%s is not installed (Debian's package mosquitto-clients)", program)
	}
	cmd := c.internet.command(append([]string{path}, args...)...)
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+c.store)
	return cmd
}

// From a bare cloud server to a phone: what is printed is followed, and nothing else, until a message arrives over TLS, with a certificate that the phone's system
// trusts by itself.
func TestCloudServerToPhone(t *testing.T) {
	t.Parallel()
	c := newCloudServer(t)
	if out, err := c.server.command(append(append([]string{}, firmware...), "true")...).CombinedOutput(); err != nil {
		t.Skipf("another firmware cannot be shown here: %v: %s", err, out)
	}
	data := filepath.Join(c.server.dir(), "data")

	c.step("picket serve")
	said, stop := c.broker(" running", binary, "serve", "--data", data, "--user", "root")
	t.Logf("printed:\n%s", said)
	c.printed(said, `(?m)^    host      (`+regexp.QuoteMeta(publicAddress)+`)$`)
	opened := c.printed(said, `open TCP port (\d+) to the internet in the console of Alibaba Cloud`)
	challenge := c.printed(said, `certificate that phones trust by themselves, open TCP port (\d+) as well`)
	again := c.printed(said, `as well: picket (serve --acme) `)
	if strings.Contains(said.String(), "same network") || strings.Contains(said.String(), "host      "+cardAddress) {
		t.Errorf("the card's own address is shown:\n%s", said)
	}
	stop()

	c.step("in the console: TCP ports %s and %s are opened; picket %s", opened, challenge, again)
	c.nat.filter(group(opened, challenge))
	said, _ = c.broker("There is a certificate of a public authority for "+publicAddress, append([]string{binary}, append(strings.Fields(again), "--data", data, "--user", "root")...)...)
	c.waitFor(said, "The new configuration is in force.")
	note, err := os.ReadFile(c.printed(said, `The password of the user picket is in (\S+) until`))
	if err != nil {
		t.Fatal(err)
	}

	shown := new(terminal)
	c.step("picket show")
	show := c.server.command(append(append([]string{}, firmware...), binary, "show", "--lang", "en", "--socket", filepath.Join(data, "admin.sock"))...)
	show.Stdout, show.Stderr = shown, shown
	if err := show.Run(); err != nil {
		t.Fatalf("%v: %s", err, shown)
	}
	t.Logf("printed:\n%s", shown)
	c.printed(shown, `(?m)^    TLS       (on)$`)
	c.message(shown, strings.TrimSpace(string(note)))
}

// message enters on the phone what is shown, and has a message sent and received.
func (c *cloudServer) message(shown *terminal, password string) {
	c.t.Helper()
	host, port, user := c.printed(shown, `(?m)^    host      (\S+)$`), c.printed(shown, `(?m)^    port      (\d+)$`), c.printed(shown, `(?m)^    user      (\S+)$`)
	c.step("on the phone: host %s, port %s, user %s, the password, TLS", host, port, user)
	login := []string{"-h", host, "-p", port, "-u", user, "-P", password, "--tls-use-os-certs", "-t", "home/garden"}
	if out, err := c.phone("mosquitto_pub", append(login, "-m", "hello", "-q", "1", "-r")...).CombinedOutput(); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
	if out, err := c.phone("mosquitto_sub", append(login, "-C", "1", "-W", "60")...).CombinedOutput(); err != nil || string(out) != "hello\n" {
		c.t.Fatalf("%v: %s", err, out)
	}
	c.step("the message has come")
}
