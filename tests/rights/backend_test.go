//go:build unix

package rights

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"picket/internal/testbed"
	"picket/packet"
)

// question is what a web service is asked.
type question struct {
	Username, Password, ClientID, Topic string
	Access                              int `json:"acc"`
	path                                string
}

// webService answers questions until the test ends, and returns where it listens.
func webService(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, q question)) (port string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := question{path: r.URL.Path}
		if json.NewDecoder(r.Body).Decode(&q) != nil || r.Method != http.MethodPost {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		answer(w, r, q)
	}))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// say answers yes or no.
func say(w http.ResponseWriter, yes bool) {
	if !yes {
		w.WriteHeader(http.StatusForbidden)
	}
}

// asksWeb is a configuration that asks a web service.
func asksWeb(port string) string {
	return "user root\nlog_dest stdout\nlog_type all\nauth_plugin /usr/lib/go-auth.so\nauth_opt_backends http\nauth_opt_http_host 127.0.0.1\nauth_opt_http_port " + port +
		"\nauth_opt_http_getuser_uri /user\nauth_opt_http_superuser_uri /super\nauth_opt_http_aclcheck_uri /acl\nlistener ${PORT} 127.0.0.1\n"
}

// The add-on of Home Assistant has this configuration; its nginx says yes to everybody who has shown a password, and asks the supervisor about that.
func TestHomeAssistant(t *testing.T) {
	t.Parallel()
	port := webService(t, func(w http.ResponseWriter, _ *http.Request, q question) {
		say(w, q.path != "/authentication" || q.Username == "paulus" && q.Password == "hass")
	})
	b := testbed.Start(t, testbed.Options{Conf: `user root
log_dest stdout
log_type error
log_type warning
log_type notice
log_type information
log_timestamp_format %Y-%m-%d %H:%M:%S
persistence true
persistence_location ${DIR}/
max_queued_messages 8192
auth_plugin /usr/share/mosquitto/go-auth.so
auth_plugin_deny_special_chars false
auth_opt_backends files,http
auth_opt_hasher pbkdf2
auth_opt_cache true
auth_opt_auth_cache_seconds 300
auth_opt_auth_jitter_seconds 30
auth_opt_acl_cache_seconds 300
auth_opt_acl_jitter_seconds 30
auth_opt_log_level error
auth_opt_files_password_path ${DIR}/pw
auth_opt_files_acl_path ${DIR}/acl
auth_opt_http_host 127.0.0.1
auth_opt_http_port ` + port + `
auth_opt_http_getuser_uri /authentication
auth_opt_http_superuser_uri /superuser
auth_opt_http_aclcheck_uri /acl
listener ${PORT} 127.0.0.1
protocol mqtt
listener ${PORT_WS} 127.0.0.1
protocol websockets
`, Prepare: func(b *testbed.Broker) {
		b.Write(t, "pw", "homeassistant:PBKDF2$sha512$100000$2WQHK5rjNN+oOT+TZAsWAw==$TDf4Y6J+9BdnjucFQ0ZUWlTwzncTjOOeE00W4Qm8lfPQyPCZACCjgfdK353jdGFwJjAf6vPAYaba9+z4GWK7Gg==\n")
		b.Write(t, "acl", "user homeassistant\nuser addons\n")
	}})
	received := make(chan string, 10)
	options := mqtt.NewClientOptions().AddBroker("ws://" + b.Addr(t, "PORT_WS")).SetClientID("home/assistant").SetUsername("homeassistant").SetPassword("test1").SetAutoReconnect(false)
	home := mqtt.NewClient(options)
	if token := home.Connect(); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer home.Disconnect(0)
	if token := home.Subscribe("#", 1, func(_ mqtt.Client, m mqtt.Message) { received <- m.Topic() + " " + string(m.Payload()) }); !token.WaitTimeout(time.Minute) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	port = fmt.Sprint(b.Port(t, "PORT"))
	pub := func(args ...string) error {
		return exec.Command(testbed.Program(t, "mosquitto_pub", "mosquitto-clients"), append([]string{"-h", "127.0.0.1", "-p", port, "-q", "1", "-t", "zigbee/lamp", "-m", "on"}, args...)...).Run()
	}
	if err := pub("-u", "paulus", "-P", "hass"); err != nil {
		t.Errorf("a user of Home Assistant's own: %v", err)
	}
	select {
	case got := <-received:
		if got != "zigbee/lamp on" {
			t.Error(got)
		}
	case <-time.After(time.Minute):
		t.Error("nothing was delivered")
	}
	for _, args := range [][]string{{"-u", "paulus", "-P", "wrong"}, {"-u", "homeassistant", "-P", "hass"}, {"-u", "nobody", "-P", "hass"}, {}} {
		if pub(args...) == nil {
			t.Errorf("%v was let in", args)
		}
	}
	out, err := exec.Command(testbed.Program(t, "mosquitto_sub", "mosquitto-clients"), "-h", "127.0.0.1", "-p", port, "-u", "paulus", "-P", "hass", "-t", "#", "-E", "-V", "5").CombinedOutput()
	if err != nil {
		t.Errorf("mosquitto_sub: %v\n%s", err, out)
	}
}

// A web service decides who may do what, in all versions; what it takes away ends; a reload that forgets it, too.
func TestWebService(t *testing.T) {
	t.Parallel()
	var withdrawn atomic.Bool
	port := webService(t, func(w http.ResponseWriter, _ *http.Request, q question) {
		switch q.path {
		case "/user":
			say(w, q.Password == "p-"+q.Username)
		case "/super":
			say(w, q.Username == "root")
		case "/acl":
			say(w, q.Username == "root" || strings.HasPrefix(q.Topic, "of/"+q.Username+"/") && !(withdrawn.Load() && q.Access == 1) || q.Topic == "wills/"+q.ClientID && q.Access == 2)
		}
	})
	b := testbed.Start(t, testbed.Options{Conf: asksWeb(port)})
	root := login(t, dial(t, b, packet.V5), user{"root", "p-root", "root"})
	if err := root.Send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "#", QoS: 1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := testbed.Until[*packet.Suback](root); err != nil {
		t.Fatal(err)
	}
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		name := fmt.Sprint("u", v)
		refused(t, dial(t, b, v), user{name, "wrong", name})
		refused(t, dial(t, b, v), user{"", "", name})
		c := dial(t, b, v)
		p := user{name, "p-" + name, name}.packet()
		p.Will = &packet.Will{Topic: "wills/" + name, QoS: 1}
		if _, err := c.Connect(p); err != nil {
			t.Fatal(err)
		}
		own, others := "of/"+name+"/#", "of/another/#"
		if err := c.Send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: own, QoS: 1}, {Filter: others, QoS: 1}, {Filter: "#", QoS: 1}}}); err != nil {
			t.Fatal(err)
		}
		ack, err := testbed.Until[*packet.Suback](c)
		if err != nil || ack.Codes[0].Failed() || !ack.Codes[1].Failed() && v != packet.V31 {
			t.Fatalf("%v: %+v, %v", v, ack, err)
		}
		if err := c.Send(&packet.Publish{Topic: []byte("of/another/x"), QoS: 1, ID: 2}, &packet.Publish{Topic: []byte("of/" + name + "/x"), QoS: 1, ID: 3}); err != nil {
			t.Fatal(err)
		}
		for _, on := range []*testbed.Client{c, root} {
			got, err := testbed.Until[*packet.Publish](on)
			if err != nil || string(got.Topic) != "of/"+name+"/x" {
				t.Fatalf("%v: %+v, %v", v, got, err)
			}
		}
		c.Close()
		if got, err := testbed.Until[*packet.Publish](root); err != nil || string(got.Topic) != "wills/"+name {
			t.Fatalf("%v: a will: %+v, %v", v, got, err)
		}
	}
	c := login(t, dial(t, b, packet.V5), user{"ann", "p-ann", "ann"})
	if err := c.Send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "of/ann/+"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := testbed.Until[*packet.Suback](c); err != nil {
		t.Fatal(err)
	}
	withdrawn.Store(true)
	n := 0
	testbed.Eventually(t, func() error { // delivered until the service has been asked anew, and then no more
		n++
		if err := root.Send(&packet.Publish{Topic: []byte("of/ann/x"), QoS: 1, ID: uint16(n%60000 + 1), Payload: fmt.Append(nil, n)}); err != nil {
			return err
		}
		if _, err := testbed.Until[*packet.Ack](root); err != nil {
			return err
		}
		if err := c.Send(packet.Pingreq{}); err != nil {
			return err
		}
		got, err := c.Next()
		if err != nil {
			return err
		}
		if _, ok := got.(packet.Pingresp); !ok {
			_, _ = c.Next() // the answer that comes behind it
			return fmt.Errorf("it is still delivered")
		}
		return nil
	})
	b.Write(t, "broker.conf", b.Expand(t, "user root\nlog_dest stdout\nlog_type all\nallow_anonymous false\npassword_file ${DIR}/passwords\nlistener ${PORT} 127.0.0.1\n"))
	hashed(t, b.Path("passwords"), "root", "sesame")
	b.Signal(syscall.SIGHUP)
	if err := c.Rest(time.Minute); err != nil {
		t.Errorf("after the service is not asked any more, its user stays: %v", err)
	}
	login(t, dial(t, b, packet.V5), user{"root", "sesame", "new"})
}

// A service that answers never, with too much, with nonsense or not at all holds up only those who are asked about: whoever is in the password file is served, and
// the others hear why they are not.
func TestWebServiceThatFails(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	ways := map[string]func(w http.ResponseWriter, r *http.Request){
		"never": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-end:
			case <-r.Context().Done():
			}
		},
		"100 MiB": func(w http.ResponseWriter, _ *http.Request) {
			block := make([]byte, 1<<20)
			for range 100 {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		},
		"garbage": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("\x00\xff{}{]")) },
		"closes": func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = conn.Close()
			}
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			port := webService(t, func(w http.ResponseWriter, r *http.Request, _ question) { way(w, r) })
			b := testbed.Start(t, testbed.Options{Conf: strings.Replace(asksWeb(port), "listener", "password_file ${DIR}/passwords\nauth_opt_http_timeout 1\nauth_opt_http_response_mode json\nlistener", 1),
				Prepare: func(b *testbed.Broker) { hashed(t, b.Path("passwords"), "known", "sesame") }})
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					c := dial(t, b, packet.V5)
					p := user{"asked", "x", fmt.Sprint("asked", i)}.packet()
					p.Version = packet.V5
					if err := c.Send(p); err != nil {
						t.Error(err)
					} else if ack, err := testbed.Until[*packet.Connack](c); err != nil || !ack.Code.Failed() {
						t.Errorf("%+v, %v", ack, err)
					}
				})
			}
			login(t, dial(t, b, packet.V311), user{"known", "sesame", "k"})
			all.Wait()
			logs(t, b, "[auth-backend-down]")
		})
	}
	close(end)
}

// A whole site comes back at once, from behind one address, while the service takes its time.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	port := webService(t, func(w http.ResponseWriter, _ *http.Request, q question) {
		time.Sleep(20 * time.Millisecond) // that is what is tried here
		say(w, q.path != "/super")
	})
	b := testbed.Start(t, testbed.Options{Conf: strings.Replace(asksWeb(port), "listener", "auth_opt_http_timeout 60\nconnect_timeout 120\nlistener", 1)})
	var all sync.WaitGroup
	var in atomic.Int32
	for i := range 1000 {
		all.Go(func() {
			conn, err := net.Dial("tcp", b.Addr(t, "PORT"))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if _, err := testbed.NewClient(conn, packet.V311).Connect(user{"u", "p", fmt.Sprint("c", i)}.packet()); err != nil {
				t.Errorf("%d: %v", i, err)
				return
			}
			in.Add(1)
		})
	}
	all.Wait()
	if in.Load() != 1000 {
		t.Errorf("%d of 1000 are in", in.Load())
	}
}

// How a back end answers is shown by picket ctl status in both languages, the API and /readyz, while it is down and when it is back.
func TestBackendIsShown(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	port := webService(t, func(w http.ResponseWriter, _ *http.Request, _ question) {
		if down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	b := testbed.Start(t, testbed.Options{Conf: asksWeb(port) + "admin_socket ${DIR}/admin.sock\nlistener ${PORT_API} 127.0.0.1\nprotocol http_api\n"})
	try := func() {
		_, _ = testbed.Dial(t, b.Addr(t, "PORT"), packet.V5).Connect(user{"ada", "p", "id"}.packet())
	}
	shown := func(words ...string) string {
		out, err := exec.Command(testbed.Picket(t), append([]string{"ctl", "status", "--socket", b.Path("admin.sock")}, words...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	ready := func() (int, string) {
		r, err := http.Get("http://" + b.Addr(t, "PORT_API") + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(body)
	}
	try()
	says(t, shown(), "http (http://127.0.0.1:"+port+"): answers; asked ", ", 0 without an answer")
	if status, body := ready(); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
	down.Store(true)
	try()
	says(t, shown(), "does not answer since ", "/user: status 503  [auth-backend-down]")
	says(t, shown("--lang", "zh"), "认证后端    http（http://127.0.0.1:"+port+"）：从 ")
	says(t, shown("--json"), `"down_since":`, `"last_error": "/user: status 503"`)
	if status, body := ready(); status != http.StatusServiceUnavailable || !strings.Contains(body, "auth-backend-down") {
		t.Errorf("%d %s", status, body)
	}
	down.Store(false)
	try()
	says(t, shown(), "): answers; asked ")
	if status, body := ready(); status != http.StatusOK {
		t.Errorf("%d %s", status, body)
	}
}
