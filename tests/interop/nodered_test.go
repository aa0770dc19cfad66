//go:build unix

package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"picket/internal/testbed"
)

// flow is what one broker node of Node-RED and its MQTT nodes do: what comes on PREFIX/in/# goes out, at QoS 2 and retained, on PREFIX/out/….
type flow struct {
	version string // of the broker node, "4" or "5"
	scheme  string // mqtt or mqtts
	prefix  string
}

// nodeREDs counts the runs: the broker keeps what the one before has retained.
var nodeREDs atomic.Int32

// node is one node of Node-RED's flow file.
type node map[string]any

// nodes are those of a flow, as the editor writes them.
func (f flow) nodes(t *testing.T) []node {
	id := func(name string) string { return name + f.version }
	link := func(topic, payload, which string) node {
		return node{which + "Topic": f.prefix + "/" + topic, which + "Payload": payload, which + "Qos": "2", which + "Retain": "true", which + "Msg": node{}}
	}
	b := node{
		"id": id("broker"), "type": "mqtt-broker", "broker": "127.0.0.1", "port": strconv.Itoa(broker.Port(t, ports[f.scheme])), "clientid": "", "autoConnect": true,
		"protocolVersion": f.version, "keepalive": "60", "cleansession": true, "usetls": f.scheme == "mqtts", "tls": "tls",
	}
	for _, more := range []node{link("state", "online", "birth"), link("state", "offline", "will")} {
		for name, value := range more {
			b[name] = value
		}
	}
	return []node{
		b,
		{"id": id("tab"), "type": "tab", "label": f.prefix},
		{"id": id("in"), "type": "mqtt in", "z": id("tab"), "topic": f.prefix + "/in/#", "qos": "2", "datatype": "utf8", "broker": id("broker"), "wires": [][]string{{id("turn")}}},
		{"id": id("turn"), "type": "function", "z": id("tab"), "outputs": 1, "wires": [][]string{{id("out")}},
			"func": "msg.topic = msg.topic.replace('/in/', '/out/'); msg.payload = msg.payload + ', retained: ' + msg.retain; return msg;"},
		{"id": id("out"), "type": "mqtt out", "z": id("tab"), "topic": "", "qos": "2", "retain": "true", "broker": id("broker"), "wires": [][]string{}},
	}
}

// writeFlows makes the files of Node-RED's folder.
func writeFlows(t *testing.T, dir string, flows []flow) {
	t.Helper()
	all := []node{{"id": "tls", "type": "tls-config", "cert": "", "key": "", "ca": broker.Path("ca.pem"), "verifyservercert": true}}
	secrets := node{}
	for _, f := range flows {
		all = append(all, f.nodes(t)...)
		secrets["broker"+f.version] = node{"user": username, "password": password}
	}
	for name, v := range map[string]any{"flows.json": all, "flows_cred.json": secrets} {
		data, err := json.Marshal(v)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Node-RED, as npm installs it: with MQTT 3.1.1, and with 5 over TLS, its nodes are sent what was retained before they came, answer at QoS 2 with retained
// messages, exactly once and in order, and leave a will.
func TestNodeRED(t *testing.T) {
	startBroker(t)
	t.Parallel()
	prefix := fmt.Sprintf("node-red-%d", nodeREDs.Add(1))
	flows := []flow{{"4", "mqtt", prefix + "/4"}, {"5", "mqtts", prefix + "/5"}}
	dir := t.TempDir()
	writeFlows(t, dir, flows)
	installPackage(t, "nodered", "node-red", "--omit=optional", "--ignore-scripts")
	s := scenario{T: t, connector: pahoGo5(t), version: 5, prefix: prefix}
	connect := func() connection {
		return s.connect(options{URL: "mqtt://" + broker.Addr(t, "PORT"), Username: username, Password: password, Version: 5})
	}
	c := connect()
	watchers := map[string]connection{}
	for _, f := range flows {
		s.publish(c, message{Topic: f.prefix + "/in/kept", Payload: "before", QoS: 1, Retain: true})
		watchers[f.prefix] = connect()
		s.subscribe(watchers[f.prefix], f.prefix+"/+", 2)
	}
	settings, err := filepath.Abs("nodered/settings.js")
	if err != nil {
		t.Fatal(err)
	}
	p, err := testbed.Launch(exec.Command("node", "nodered/node_modules/node-red/red.js", "--userDir", dir, "--settings", settings), filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Log(p.Said(), broker.End())
		}
	})
	for _, f := range flows {
		s.expect(watchers[f.prefix], message{Topic: f.prefix + "/state", Payload: "online", QoS: 2})
		s.answers(c, connect(), f)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, f := range flows {
		s.expect(watchers[f.prefix], message{Topic: f.prefix + "/state", Payload: "offline", QoS: 2})
	}
}

// answers has a flow answer.
func (s scenario) answers(c, reader connection, f flow) {
	s.Helper()
	const count = 50
	s.subscribe(reader, f.prefix+"/out/#", 2)
	kept := s.next(reader) // retained or not: Node-RED may have answered before reader came
	if kept.Topic != f.prefix+"/out/kept" || kept.Payload != "before, retained: true" {
		s.Fatalf("the answer to what was retained is %v", brief(kept))
	}
	var want []message
	for i := range count {
		text := fmt.Sprintf("message %d · 你好", i)
		s.publish(c, message{Topic: f.prefix + "/in/live", Payload: text, QoS: 2})
		want = append(want, message{Topic: f.prefix + "/out/live", Payload: text + ", retained: false", QoS: 2})
	}
	s.expect(reader, want...)
	late := s.connect(options{URL: "mqtt://" + broker.Addr(s, "PORT"), Username: username, Password: password, Version: 5})
	s.subscribe(late, f.prefix+"/out/live", 2)
	last := want[count-1]
	last.Retain = true
	s.expect(late, last)
}
