//go:build unix

package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// drivers are all clients.
var drivers = []driver{
	{name: "mosquitto_pub and mosquitto_sub", versions: []byte{3, 4, 5}, schemes: []string{"mqtts"}, connector: mosquittoClients},
	{name: "paho for Python", versions: []byte{3, 4, 5}, schemes: []string{"mqtts", "ws", "wss"}, connector: pahoPython},
	{name: "MQTT.js", versions: []byte{3, 4, 5}, schemes: []string{"mqtts", "ws", "wss"}, connector: mqttJS},
	{name: "paho.mqtt.golang", versions: []byte{3, 4}, schemes: []string{"mqtts", "ws", "wss"}, connector: pahoGo3},
	{name: "paho.golang", versions: []byte{5}, schemes: []string{"mqtts", "ws", "wss"}, connector: pahoGo5},
}

// debianPython is where Debian's packages for Python are seen, whatever other Python comes first.
const debianPython = "/usr/bin/python3"

func pahoPython(t *testing.T) func(options) (connection, error) {
	if out, err := exec.Command(debianPython, "-c", "import paho.mqtt.client").CombinedOutput(); err != nil {
		t.Fatalf("paho for Python is missing: apt-get install python3-paho-mqtt\n%v: %s", err, out)
	}
	return startProgram(t, debianPython, "clients/pahopython.py").connect
}

func mqttJS(t *testing.T) func(options) (connection, error) {
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%s is missing: apt-get install nodejs npm", name)
		}
	}
	return startProgram(t, "node", "clients/mqttjs.mjs").connect
}

// installPackage makes sure that the node_modules of a folder have the package that its package-lock.json says.
func installPackage(t *testing.T, dir, name string, options ...string) {
	t.Helper()
	if _, err := exec.LookPath("npm"); err != nil {
		t.Fatal("npm is missing: make setup installs it (Debian's package npm)")
	}
	var want, have struct {
		Packages map[string]struct{ Version string }
	}
	read := func(name string, v any) bool {
		b, err := os.ReadFile(filepath.Join(dir, name))
		return err == nil && json.Unmarshal(b, v) == nil
	}
	if !read("package-lock.json", &want) {
		t.Fatalf("package-lock.json in %s cannot be read", dir)
	}
	key := "node_modules/" + name
	if read("node_modules/.package-lock.json", &have) && have.Packages[key] == want.Packages[key] {
		return
	}
	install(t, dir, "npm", append([]string{"ci", "--no-audit", "--no-fund"}, options...)...)
}

// run of the scenario with one client in one version.
type scenario struct {
	*testing.T
	connector func(options) (connection, error)
	version   byte
	prefix    string // of the topics and identifiers of this run
	count     *atomic.Int32
}

func TestScenario(t *testing.T) {
	startBroker(t)
	installPackage(t, ".", "mqtt")
	for i, d := range drivers {
		for _, version := range d.versions {
			name := fmt.Sprintf("%s, version %d", d.name, version)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := scenario{T: t, connector: d.connector(t), version: version, prefix: fmt.Sprintf("d%dv%d", i, version), count: new(atomic.Int32)}
				s.step("wrong password", scenario.wrongPassword)
				s.step("wildcards", scenario.wildcards)
				s.step("QoS", scenario.qualities)
				s.step("bursts", scenario.bursts)
				s.step("large payload", scenario.large)
				s.step("retained", scenario.retained)
				s.step("will", scenario.will)
				s.step("shared subscription", scenario.shared)
				for _, scheme := range d.schemes {
					s.step(scheme, func(s scenario) { s.transport(scheme) })
				}
			})
		}
	}
}

func (s scenario) step(name string, f func(scenario)) {
	s.Run(name, func(t *testing.T) {
		defer func() {
			if t.Failed() {
				t.Log(broker.End())
			}
		}()
		s.T = t
		s.prefix += "/" + strings.ReplaceAll(name, " ", "-")
		f(s)
	})
}

func (s scenario) options(scheme string) options {
	o := options{
		URL: scheme + "://" + broker.Addr(s, ports[scheme]), ClientID: fmt.Sprintf("%s-%d", s.prefix, s.count.Add(1)),
		Username: username, Password: password, Version: s.version,
	}
	// MQTT 3.1 allows no more than 23 characters.
	o.ClientID = o.ClientID[:4] + o.ClientID[max(4, len(o.ClientID)-19):]
	if strings.HasPrefix(scheme, "ws") {
		o.URL += "/mqtt"
	}
	if scheme == "mqtts" || scheme == "wss" {
		o.CA = broker.Path("ca.pem")
	}
	return o
}

// connect connects, and ends the connection with the step.
func (s scenario) connect(o options) connection {
	s.Helper()
	c, err := s.connector(o)
	if err != nil {
		s.Fatalf("connect to %s: %v", o.URL, err)
	}
	s.Cleanup(func() { c.Close() })
	return c
}

func (s scenario) open() connection { s.Helper(); return s.connect(s.options("mqtt")) }

func (s scenario) subscribe(c connection, filter string, qos byte) {
	s.Helper()
	if err := c.Subscribe(filter, qos); err != nil {
		s.Fatalf("subscribe to %s at QoS %d: %v", filter, qos, err)
	}
}

func (s scenario) publish(c connection, messages ...message) {
	s.Helper()
	if err := c.Publish(messages...); err != nil {
		s.Fatalf("publish %d messages to %s at QoS %d: %v", len(messages), messages[0].Topic, messages[0].QoS, err)
	}
}

// next is the next message.
func (s scenario) next(c connection) message {
	s.Helper()
	select {
	case m := <-c.Messages():
		return m
	case <-time.After(timeout):
		s.Fatalf("no message in %v", timeout)
		panic("unreachable")
	}
}

// expect wants exactly these messages, in this order.
func (s scenario) expect(c connection, want ...message) {
	s.Helper()
	for i, w := range want {
		if got := s.next(c); got != w {
			s.Fatalf("message %d is %v, want %v", i, brief(got), brief(w))
		}
	}
}

func brief(m message) string {
	return fmt.Sprintf("%s %.60q (%d bytes) QoS %d retain %v", m.Topic, m.Payload, len(m.Payload), m.QoS, m.Retain)
}

func (s scenario) wrongPassword() {
	for _, change := range []func(*options){
		func(o *options) { o.Password = "wrong horse" },
		func(o *options) { o.Username = "stranger" },
	} {
		o := s.options("mqtt")
		change(&o)
		if c, err := s.connector(o); err == nil {
			c.Close()
			s.Errorf("%s with password %q was let in", o.Username, o.Password)
		} else {
			s.Logf("refused as it should be: %v", err)
		}
	}
	s.open()
}

func (s scenario) wildcards() {
	c, p := s.open(), s.open()
	s.subscribe(c, s.prefix+"/+/temperature", 1)
	s.subscribe(c, s.prefix+"/cellar/#", 1)
	all := []string{"/attic/temperature", "/attic/humidity", "/a/b/temperature", "/cellar", "/cellar/door", "/cellar/rack/3/bottle", "/cellars", "/end/temperature"}
	for _, topic := range all {
		s.publish(p, message{Topic: s.prefix + topic, Payload: topic, QoS: 1})
	}
	// Those of one filter come in order. A client that subscribes in two connections has two orders.
	var got []string
	for !slices.Contains(got, "/end/temperature") || len(got) < 5 {
		m := s.next(c)
		if m.Topic != s.prefix+m.Payload {
			s.Errorf("topic %q with payload %q", m.Topic, m.Payload)
		}
		got = append(got, m.Payload)
	}
	slices.Sort(got)
	if want := []string{"/attic/temperature", "/cellar", "/cellar/door", "/cellar/rack/3/bottle", "/end/temperature"}; !slices.Equal(got, want) {
		s.Errorf("received %q, want %q", got, want)
	}
}

func (s scenario) qualities() {
	p := s.open()
	for granted := range byte(3) {
		c := s.open()
		topic := fmt.Sprintf("%s/%d", s.prefix, granted)
		s.subscribe(c, topic, granted)
		for qos := range byte(3) {
			text := fmt.Sprintf("sent at %d — grüß Gott, 你好", qos)
			s.publish(p, message{Topic: topic, Payload: text, QoS: qos})
			s.expect(c, message{Topic: topic, Payload: text, QoS: min(qos, granted)})
		}
	}
}

func (s scenario) bursts() {
	const count = 1000
	p := s.open()
	for qos := range byte(3) {
		c := s.open()
		topic := fmt.Sprintf("%s/%d", s.prefix, qos)
		s.subscribe(c, topic, qos)
		var burst []message
		for i := range count {
			burst = append(burst, message{Topic: topic, Payload: fmt.Sprintf("message %d of a burst", i), QoS: qos})
		}
		s.publish(p, burst...)
		s.expect(c, burst...)
	}
}

func (s scenario) large() {
	c, p := s.open(), s.open()
	s.subscribe(c, s.prefix, 2)
	for qos := range byte(3) {
		m := message{Topic: s.prefix, Payload: strings.Repeat("0123456789abcdef", 16<<10), QoS: qos}
		s.publish(p, m)
		s.expect(c, m)
	}
}

func (s scenario) retained() {
	watching, p := s.open(), s.open()
	topic := s.prefix + "/state"
	s.subscribe(watching, topic, 1)
	kept := message{Topic: topic, Payload: "on", QoS: 1, Retain: true}
	live := message{Topic: topic, Payload: "on", QoS: 1}
	s.publish(p, kept)
	s.expect(watching, live) // who was there gets it as any other message

	late := s.open()
	s.subscribe(late, s.prefix+"/#", 1)
	s.expect(late, kept)

	s.publish(p, message{Topic: topic, QoS: 1, Retain: true})
	s.expect(watching, message{Topic: topic, QoS: 1})
	after := s.open()
	s.subscribe(after, s.prefix+"/#", 1)
	end := message{Topic: s.prefix + "/end", Payload: "nothing was kept", QoS: 1}
	s.publish(p, end)
	s.expect(after, end)
}

func (s scenario) will() {
	c, p := s.open(), s.open()
	s.subscribe(c, s.prefix+"/#", 2)
	withWill := func(name string) (options, message) {
		o := s.options("mqtt")
		w := message{Topic: s.prefix + "/" + name, Payload: name + " is gone", QoS: 2}
		o.Will = &w
		return o, w
	}
	o, w := withWill("dropped")
	dropped, err := s.connector(o)
	if err != nil {
		s.Fatal(err)
	}
	if err := dropped.Drop(); err != nil {
		s.Fatal(err)
	}
	s.expect(c, w)

	o, _ = withWill("closed")
	closed, err := s.connector(o)
	if err != nil {
		s.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		s.Fatal(err)
	}
	end := message{Topic: s.prefix + "/end", Payload: "no will of one that said goodbye", QoS: 2}
	s.publish(p, end)
	s.expect(c, end)
}

func (s scenario) shared() {
	const count = 100
	p := s.open()
	members := []connection{s.open(), s.open()}
	for _, m := range members {
		s.subscribe(m, "$share/group/"+s.prefix+"/#", 1)
	}
	for i := range count {
		s.publish(p, message{Topic: fmt.Sprintf("%s/%d", s.prefix, i), Payload: "task", QoS: 1})
	}
	seen := map[string]int{}
	each := make([]int, len(members))
	for range count {
		var m message
		select {
		case m = <-members[0].Messages():
			each[0]++
		case m = <-members[1].Messages():
			each[1]++
		case <-time.After(timeout):
			s.Fatalf("%d of %d messages: %v", len(seen), count, each)
		}
		seen[m.Topic]++
	}
	if len(seen) != count {
		s.Errorf("%d of %d messages, some of them twice", len(seen), count)
	}
	if each[0] == 0 || each[1] == 0 {
		s.Errorf("the members have got %v messages: they are not shared", each)
	}
}

func (s scenario) transport(scheme string) {
	c, p := s.connect(s.options(scheme)), s.connect(s.options(scheme))
	s.subscribe(c, s.prefix+"/#", 2)
	for qos := range byte(3) {
		m := message{Topic: s.prefix + "/t", Payload: fmt.Sprintf("over %s at QoS %d", scheme, qos), QoS: qos}
		s.publish(p, m)
		s.expect(c, m)
	}
	large := message{Topic: s.prefix + "/t", Payload: strings.Repeat("large ", 20_000), QoS: 1}
	s.publish(p, large)
	s.expect(c, large)
	o := s.options(scheme)
	o.Password = "wrong horse"
	if c, err := s.connector(o); err == nil {
		c.Close()
		s.Error("a wrong password was let in")
	}
}
