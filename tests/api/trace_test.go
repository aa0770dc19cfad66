//go:build unix

package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/internal/testbed"
)

// trace starts "picket ctl trace", and waits until it has begun.
func (w *world) trace(name string, args ...string) *testbed.Process {
	w.t.Helper()
	before := strings.Count(w.Said(), ": begun.")
	cmd := exec.Command(testbed.Picket(w.t), append([]string{"ctl", "trace"}, args...)...)
	cmd.Env = append(os.Environ(), "PICKET_SOCKET="+w.Path("admin.sock"), "LC_ALL=C")
	p, err := testbed.Launch(cmd, w.Path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = p.Kill() })
	testbed.Eventually(w.t, func() error {
		if strings.Count(w.Said(), ": begun.") == before {
			return errMissing("begun")
		}
		return nil
	})
	return p
}

// joe is whom mosquitto's programs log in as.
const joe = `{"name": "joe", "password": "s3cret-pw"}`

// mosquitto runs a program of mosquitto's against a listener, as the user joe.
func (w *world) mosquitto(program, port string, args ...string) {
	w.t.Helper()
	args = append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(w.Port(w.t, port)), "-u", "joe", "-P", "s3cret-pw"}, args...)
	if port == "PORT_TLS" {
		args = append(args, "--cafile", w.Path("ca.pem"))
	}
	if out, err := exec.Command(testbed.Program(w.t, program, "mosquitto-clients"), args...).CombinedOutput(); err != nil {
		w.t.Fatalf("%s %q: %v, %s", program, args, err, out)
	}
}

// A capture of what real clients send in each version, with TLS and without it, opens in Wireshark as MQTT of that version, and no password is in the file.
func TestCapture(t *testing.T) {
	w := newWorld(t)
	w.ask(201, "POST", "users", joe, nil)
	file := w.Path("capture.pcapng")
	p := w.trace("trace", "--user", "joe", "--format", "pcapng", "-o", file, "--count", "53") // six times eight events, and five of the last client
	for _, version := range []string{"31", "311", "5"} {
		for _, port := range []string{"PORT", "PORT_TLS"} {
			w.mosquitto("mosquitto_pub", port, "-V", version, "-i", "v"+version+port, "-t", "home/lamp", "-m", "shines", "-q", "2")
			w.said(w.Process, "Client v"+version+port+" disconnected.")
		}
	}
	w.mosquitto("mosquitto_pub", "PORT", "-V", "5", "-i", "last", "-t", "home/last", "-m", strings.Repeat("x", 2000), "-D", "publish", "user-property", "k", "v")
	select {
	case <-p.Done():
	case <-time.After(time.Minute):
		t.Fatalf("the trace goes on: %s", p.Said())
	}
	if data, err := os.ReadFile(file); err != nil || strings.Contains(string(data), "s3cret-pw") {
		t.Errorf("the password is in the capture, or %v", err)
	}
	fields := []string{"-r", file, "-Y", "mqtt || _ws.malformed", "-T", "fields", "-E", "separator=|"}
	for _, f := range []string{"mqtt.msgtype", "mqtt.ver", "mqtt.username", "mqtt.topic", "mqtt.prop_key", "_ws.malformed"} {
		fields = append(fields, "-e", f)
	}
	out, err := exec.Command(testbed.Program(t, "tshark", "tshark"), fields...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	for _, version := range []string{"3", "3", "4", "4", "5", "5"} {
		fmt.Fprintf(&want, "1|%s|joe|||\n2|||||\n3|||home/lamp||\n5|||||\n6|||||\n7|||||\n14|||||\n", version)
	}
	want.WriteString("1|5|joe|||\n2|||||\n3|||home/last|k|\n14|||||\n")
	if string(out) != want.String() {
		t.Errorf("tshark reads\n%s\nwant\n%s", out, &want)
	}
}

// Whoever may not read messages gets no trace; one by token is written line by line, over WebSocket and TLS as well, and ends with its reader, which the log says.
func TestTraceByToken(t *testing.T) {
	w := newWorld(t)
	w.ask(201, "POST", "users", joe, nil)
	if res, _ := w.do(w.request("GET", "/api/v1/trace?client=ann", w.tokens["viewer"], "")); res.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer gets %s", res.Status)
	}
	for _, wrong := range []string{"", "?topic=a%23", "?topic=$share/g/a", "?address=x", "?client=a&for=x", "?client=a&payload=-1", "?client=a&format=x"} {
		if res, data := w.do(w.request("GET", "/api/v1/trace"+wrong, w.tokens["operator"], "")); res.StatusCode != http.StatusBadRequest {
			t.Errorf("trace%s: %s %s", wrong, res.Status, data)
		}
	}
	res, err := w.client.Do(w.request("GET", "/api/v1/trace?topic=home/%23&format=jsonl", w.tokens["operator"], ""))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	defer time.AfterFunc(time.Minute, func() { _ = res.Body.Close() }).Stop()
	w.mosquitto("mosquitto_pub", "PORT_TLS", "-i", "pub", "-t", "home/x", "-m", "温度", "-q", "1")
	lines := json.NewDecoder(res.Body)
	for topic := ""; topic == ""; {
		var line struct {
			Topic, Payload, Client, User string
			TLS                          bool
		}
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if topic = line.Topic; topic != "" && (topic != "home/x" || line.Payload != "温度" || line.Client != "pub" || line.User != "joe" || !line.TLS) {
			t.Errorf("got %+v", line)
		}
	}
	_ = res.Body.Close()
	w.said(w.Process, "events=2 lost=0: done.")
}
