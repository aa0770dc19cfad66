//go:build unix

package api

import (
	"encoding/json"
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

// A capture of what real clients send in each version, with TLS and without it, opens in Wireshark as MQTT of that version; one who was there before is understood, too, and
// no password is in the file.
func TestCapture(t *testing.T) {
	w := newWorld(t)
	w.connect("early", false)
	w.ask(201, "POST", "users", joe, nil)
	file := w.Path("capture.pcapng")
	p := w.trace("trace", "--user", "joe", "--format", "pcapng", "-o", file)
	for _, version := range []string{"31", "311", "5"} {
		for _, port := range []string{"PORT", "PORT_TLS"} {
			w.mosquitto("mosquitto_pub", port, "-V", version, "-i", "v"+version+port, "-t", "home/lamp", "-m", "shines", "-q", "2")
		}
	}
	w.mosquitto("mosquitto_pub", "PORT", "-V", "5", "-i", "last", "-t", "home/last", "-m", strings.Repeat("x", 2000), "-D", "publish", "user-property", "k", "v")
	seven := func() []string { return w.tshark(file, "mqtt.msgtype==14", "frame.number") }
	testbed.Eventually(t, func() error {
		if n := len(seven()); n != 7 {
			return errMissing("seven DISCONNECT, but " + strconv.Itoa(n))
		}
		return nil
	})
	_ = p.Kill()
	if data, err := os.ReadFile(file); err != nil || strings.Contains(string(data), "s3cret-pw") {
		t.Errorf("the password is in the capture, or %v", err)
	}
	if got, want := strings.Join(w.tshark(file, "mqtt.msgtype==1", "mqtt.ver", "mqtt.username"), " "), "3,joe 3,joe 4,joe 4,joe 5,joe 5,joe 5,joe"; got != want {
		t.Errorf("CONNECT: %s, want %s", got, want)
	}
	for _, filter := range []string{"mqtt.msgtype==3", "mqtt.msgtype==5", "mqtt.msgtype==6", "mqtt.msgtype==7"} {
		if n := len(w.tshark(file, filter+" && !(mqtt.topic==home/last)", "frame.number")); n != 6 {
			t.Errorf("%s: %d packets, want 6", filter, n)
		}
	}
	if got := w.tshark(file, `mqtt.topic=="home/last"`, "mqtt.prop_key", "mqtt.prop_value"); len(got) != 1 || got[0] != "k,v" {
		t.Errorf("the user property is %q", got)
	}
	if bad := w.tshark(file, "_ws.malformed || !(mqtt || data-text-lines)", "frame.number"); len(bad) > 0 {
		t.Errorf("packets that are not understood: %q", bad)
	}
}

// tshark returns fields of the packets of a capture that a filter shows, one line each.
func (w *world) tshark(file, filter string, fields ...string) (lines []string) {
	w.t.Helper()
	args := []string{"-r", file, "-Y", filter, "-T", "fields", "-E", "separator=,"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := exec.Command(testbed.Program(w.t, "tshark", "tshark"), args...).Output()
	if err != nil && len(out) == 0 && !strings.Contains(err.Error(), "exit status") {
		w.t.Fatal(err)
	}
	return strings.Fields(string(out))
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
