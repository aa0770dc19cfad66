//go:build unix

package page

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

// nginx ends TLS before a broker, as deploy/nginx shows it, with the root led there in place of /mqtt. It returns the page's address.
func nginx(t *testing.T, b *broker) (url string, port int) {
	t.Helper()
	example, err := os.ReadFile("../../deploy/nginx/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	port = testbed.Port(t)
	pair := b.Certificate(t)
	swap := []string{"listen 443", "listen 127.0.0.1:" + strconv.Itoa(port), "location /mqtt ", "location / ", "127.0.0.1:9001", b.Addr(t, "PORT"),
		"/etc/letsencrypt/live/mqtt.example.com/fullchain.pem", pair.CertFile, "/etc/letsencrypt/live/mqtt.example.com/privkey.pem", pair.KeyFile}
	for i := 0; i < len(swap); i += 2 {
		if !strings.Contains(string(example), swap[i]) {
			t.Fatalf("the example has no %q", swap[i])
		}
	}
	dir := t.TempDir()
	conf := "user root;\ndaemon off;\nmaster_process off;\npid " + dir + "/pid;\nevents {}\nhttp {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		conf += kind + "_temp_path " + dir + "/" + kind + ";\n"
	}
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf+strings.NewReplacer(swap...).Replace(string(example))+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := testbed.Launch(exec.Command(testbed.Program(t, "nginx", "nginx-light"), "-e", "stderr", "-c", file), filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	if err := p.Listening("127.0.0.1:" + strconv.Itoa(port)); err != nil {
		t.Fatal(err)
	}
	return "https://127.0.0.1:" + strconv.Itoa(port) + "/", port
}

// Behind nginx with https the page works as it does at the broker itself, and names what gets through there: secure WebSocket.
func TestBehindNginx(t *testing.T) {
	t.Parallel()
	for _, p := range looks {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, "")
			var port int
			p.URL, port = nginx(t, b)
			p.AnyCertificate = true
			tb := open(t, p.Screen)
			tb.login(user, password)
			tb.healthy()
			for _, want := range []string{"127.0.0.1", strconv.Itoa(port), "WebSocket (wss)", "/mqtt", user, "app-" + tb.token()} {
				tb.Wait("#settings", want)
			}
			topic := tb.Text("#talkTopic")
			app := b.subscriber(topic)
			tb.Fill("#message", "hello")
			tb.Tap("#send")
			if got, err := testbed.Until[*packet.Publish](app); err != nil || string(got.Payload) != "hello" {
				t.Errorf("the app is sent %+v, %v", got, err)
			}
			// What the page says to enter is true.
			out, err := exec.Command(testbed.Picket(t), "pub", "-h", "127.0.0.1", "-p", strconv.Itoa(port), "--ws", "/mqtt", "--cafile", b.Certificate(t).CA.File,
				"-u", user, "-P", password, "-q", "1", "-t", topic, "-m", "23.5").CombinedOutput()
			if err != nil {
				t.Errorf("picket pub: %v, %s", err, out)
			}
			tb.Wait("#messages li:first-child", "23.5")
			if s := tb.Seen(); len(s.Violations) > 0 {
				t.Errorf("the content security policy is violated: %q", s.Violations)
			}
		})
	}
}
