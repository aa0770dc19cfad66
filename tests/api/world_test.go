//go:build unix

package api

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

func TestMain(m *testing.M) { testbed.Main(m) }

const conf = `user root
log_dest stdout
log_type all
allow_anonymous true
data_dir ${DIR}/data
persistence true
rights_file ${DIR}/rights.json
admin_socket ${DIR}/admin.sock
listener ${PORT} 127.0.0.1
listener ${PORT_WEB} 127.0.0.1
protocol http_api
listener ${PORT_TLS} 127.0.0.1
certfile ${CERT}
keyfile ${KEY}
`

// world is a broker with a token for each role.
type world struct {
	*testbed.Broker
	t      *testing.T
	tokens map[string]string
	client http.Client
}

// roles are those of tokens, the one that may least first.
var roles = []string{"metrics", "viewer", "operator", "admin"}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Broker: testbed.Start(t, testbed.Options{Conf: conf, Ready: " running"}), t: t, tokens: make(map[string]string)}
	w.client.Transport = &http.Transport{DisableKeepAlives: true}
	for _, role := range roles {
		w.tokens[role] = w.token(role, "--role", role)
	}
	return w
}

// picket runs a command for the broker and returns what it says.
func (w *world) picket(args ...string) (string, error) {
	cmd := exec.Command(testbed.Picket(w.t), args...)
	cmd.Env = append(os.Environ(), "PICKET_SOCKET="+w.Path("admin.sock"), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// token makes a token by command.
func (w *world) token(name string, args ...string) string {
	w.t.Helper()
	said, err := w.picket(append([]string{"ctl", "token", "add", name}, args...)...)
	secret, _, ok := strings.Cut(said, "\n")
	if err != nil || !ok || !strings.HasPrefix(secret, "pkt_") {
		w.t.Fatalf("ctl token add %s: %v, %s", name, err, said)
	}
	return secret
}

func (w *world) base() string { return "http://" + w.Addr(w.t, "PORT_WEB") }

// request makes one for a token; an empty one is none.
func (w *world) request(method, path, secret, body string) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.base()+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if secret != "" {
		r.Header.Set("Authorization", "Bearer "+secret)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// do makes a request, and returns the answer with all of its body.
func (w *world) do(r *http.Request) (*http.Response, []byte) {
	w.t.Helper()
	res, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res, data
}

// ask has the role admin ask for something below /api/v1/, which has to be answered with a status, and reads the answer.
func (w *world) ask(status int, method, path, body string, into any) {
	w.t.Helper()
	res, data := w.do(w.request(method, "/api/v1/"+path, w.tokens["admin"], body))
	if res.StatusCode != status {
		w.t.Fatalf("%s %s %s: %s, want %d\n%s", method, path, body, res.Status, status, data)
	}
	if into != nil {
		if err := json.Unmarshal(data, into); err != nil {
			w.t.Fatalf("%s %s: %v\n%s", method, path, err, data)
		}
	}
}

// query is a query of one parameter.
func query(name, value string) string { return "?" + url.Values{name: {value}}.Encode() }

// connect connects a client that speaks MQTT 5; keep: its session outlives its connection.
func (w *world) connect(id string, keep bool) *testbed.Client {
	w.t.Helper()
	c := testbed.Dial(w.t, w.Addr(w.t, "PORT"), packet.V5)
	p := &packet.Connect{ClientID: id, KeepAlive: 600}
	if keep {
		p.Props = (&packet.Properties{SessionExpiry: 3600}).Set(packet.SessionExpiryInterval)
	}
	if _, err := c.Connect(p); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// subscriber starts mosquitto_sub, which writes each message as "topic payload", and waits until it has subscribed.
func (w *world) subscriber(id, filter string) *testbed.Process {
	w.t.Helper()
	p, err := testbed.Launch(exec.Command(testbed.Program(w.t, "mosquitto_sub", "mosquitto-clients"), "-h", "127.0.0.1", "-p", strconv.Itoa(w.Port(w.t, "PORT")), "-V", "5", "-i", id, "-t", filter, "-q", "1", "-v"),
		w.Path("sub-"+strconv.Itoa(len(w.Said()))))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = p.Kill() })
	testbed.Eventually(w.t, func() error {
		res, data := w.do(w.request("GET", "/api/v1/client/subscriptions"+query("id", id), w.tokens["viewer"], ""))
		if res.StatusCode != http.StatusOK || !strings.Contains(string(data), filter) {
			return errMissing(filter)
		}
		return nil
	})
	return p
}

// said waits until a process has written a text.
func (w *world) said(p *testbed.Process, text string) {
	w.t.Helper()
	testbed.Eventually(w.t, func() error {
		if !strings.Contains(p.Said(), text) {
			return errMissing(text)
		}
		return nil
	})
}

// errMissing is a text that has not been written yet.
type errMissing string

func (e errMissing) Error() string { return "it does not say " + string(e) }
