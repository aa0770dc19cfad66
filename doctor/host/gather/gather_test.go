//go:build unix

package gather

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"picket/cause"
	"picket/doctor"
	"picket/doctor/host"
)

// machine puts a recorded machine into a folder.
func machine(t *testing.T) (root string) {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "machine.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	for _, f := range archive.Files {
		path := filepath.Join(root, f.Name)
		folder, isLinks := strings.CutSuffix(path, ".links")
		if isLinks {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(f.Data)) {
				name, target, _ := strings.Cut(strings.TrimSpace(line), " ")
				if err := os.Symlink(target, filepath.Join(folder, name)); err != nil {
					t.Fatal(err)
				}
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		data := string(f.Data)
		if filepath.Base(path) == "cmdline" {
			data = strings.ReplaceAll(strings.TrimSuffix(data, "\n"), " ", "\x00")
		}
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// answers are what programs print.
type answers map[string]string

func (a answers) run(_ context.Context, name string, args ...string) ([]byte, error) {
	text, ok := a[strings.TrimSpace(name+" "+strings.Join(args, " "))]
	switch {
	case !ok:
		return nil, errMissing
	case strings.HasPrefix(text, "error: "):
		return nil, errors.New(text[len("error: "):])
	}
	return []byte(text), nil
}

// all gives the facts of one type.
func all[T doctor.Fact](facts []doctor.Fact) (found []T) {
	for _, f := range facts {
		if one, ok := f.(T); ok {
			found = append(found, one)
		}
	}
	return found
}

func TestRecordedMachine(t *testing.T) {
	metadata := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/latest/meta-data/eipv4" {
			w.Write([]byte("192.0.2.77"))
			return
		}
		http.NotFound(w, r)
	}))
	defer metadata.Close()
	ufw, err := os.ReadFile(filepath.Join("..", "firewall", "testdata", "ufw.iptables-save"))
	if err != nil {
		t.Fatal(err)
	}
	var told int
	facts, err := Gather(t.Context(), Options{
		Root: machine(t), Metadata: metadata.URL, Fact: func(doctor.Fact) { told++ },
		Run: answers{
			"docker ps --no-trunc --format {{json .}}": `{"Names":"mqtt","Image":"eclipse-mosquitto:2","Ports":"0.0.0.0:9001->1883/tcp, [::]:9001->1883/tcp","Networks":"bridge"}
{"Names":"quiet","Image":"emqx/emqx","Ports":"1883/tcp, 8083/tcp","Networks":"bridge"}
{"Names":"web","Image":"nginx","Ports":"","Networks":"bridge"}
`,
			"systemctl show mosquitto.service -p LoadState,ActiveState,SubState,Result,UnitFileState,NRestarts,ExecMainCode,ExecMainStatus,ConditionResult,ConditionTimestampMonotonic,MainPID": "MainPID=100\nExecMainCode=0\nConditionResult=yes\nConditionTimestampMonotonic=9\nNRestarts=3\nExecMainStatus=0\nResult=success\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n",
			"systemctl show picket.service -p LoadState,ActiveState,SubState,Result,UnitFileState,NRestarts,ExecMainStatus,MainPID":                                                             "LoadState=not-found\nActiveState=inactive\n",
			"systemctl show emqx.service -p LoadState,ActiveState,SubState,Result,UnitFileState,NRestarts,ExecMainStatus,MainPID":                                                               "LoadState=not-found\nActiveState=inactive\n",
			"iptables-save": string(ufw),
			"dmesg":         "[1.0] Out of memory: Killed process 77 (mosquitto) total-vm:1kB\n",
		}.run,
	})
	if err != nil {
		t.Fatal(err)
	}
	if told != len(facts) {
		t.Errorf("%d facts were told, and %d returned", told, len(facts))
	}
	check := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
		}
	}
	check("brokers", all[host.Broker](facts), []host.Broker{
		{PID: 100, Program: "mosquitto", User: "54103", Started: 1795563064 + 11111, Config: "/etc/mosquitto/mosquitto.conf", Unit: "mosquitto.service"},
		{PID: 200, Program: "mosquitto", User: "1883", Started: 1795563064 + 11111, Config: "/mosquitto/config/mosquitto.conf", Container: true},
	})
	check("sockets", all[host.Listen](facts), []host.Listen{
		{Address: "127.0.0.1", Port: 8883, Scope: host.LoopbackScope, PID: 100, Program: "mosquitto", Broker: true},
		{Address: "0.0.0.0", Port: 1883, Scope: host.AllScope, PID: 100, Program: "mosquitto", Broker: true, Waiting: 7},
		{Address: "::", Port: 1883, Scope: host.AllScope, PID: 100, Program: "mosquitto", Broker: true},
		{Address: "127.0.0.1", Port: 1883, Scope: host.LoopbackScope, PID: 200, Program: "mosquitto", Broker: true, Container: true},
		{Address: "0.0.0.0", Port: 9001, Scope: host.AllScope, PID: 300, Program: "docker-proxy"},
	})
	check("files", all[host.Files](facts), []host.Files{
		{PID: 100, Program: "mosquitto", Open: 5, Limit: 1024, Hard: 524288},
		{PID: 200, Program: "mosquitto", Open: 1, Limit: 1048576, Hard: 1048576},
	})
	check("service", all[host.Service](facts), []host.Service{{Unit: "mosquitto.service", Load: "loaded", Active: "active", Sub: "running", Result: "success", Enabled: "enabled", Restarts: 3, PID: 100}})
	published := all[host.Published](facts)
	check("published", published, []host.Published{
		{Container: "mqtt", Image: "eclipse-mosquitto:2", Address: "0.0.0.0", Port: 9001, Target: "1883", By: "docker ps"},
		{Container: "mqtt", Image: "eclipse-mosquitto:2", Address: "::", Port: 9001, Target: "1883", By: "docker ps"},
	})
	check("containers", all[host.Container](facts), []host.Container{{Name: "quiet", Image: "emqx/emqx", Ports: "1883/tcp, 8083/tcp"}})
	check("cloud", all[host.Cloud](facts), []host.Cloud{{Name: "alibaba", By: "DMI", Public: []string{"192.0.2.77"}, Asked: true}})
	check("memory", all[host.Memory](facts), []host.Memory{{Total: 24683620 << 10, Available: 23781672 << 10, Broker: 3820 << 10, Killed: 2, KilledBroker: "[1.0] Out of memory: Killed process 77 (mosquitto) total-vm:1kB"}})
	check("kernel", all[host.Kernel](facts), []host.Kernel{{Overflows: 19, Drops: 21, Tracked: 5, TrackedLimit: 262144}})
	if d := all[host.Denial](facts); len(d) != 1 || d[0].Count != 2 || d[0].By != "SELinux" || !d[0].Enforced || d[0].What != "name_bind tcp_socket 1884" {
		t.Errorf("denials: %+v", d)
	}
	configs := all[host.Config](facts)
	if len(configs) != 2 {
		t.Fatalf("configurations: %+v", configs)
	}
	own := configs[0]
	if own.File != "/etc/mosquitto/mosquitto.conf" || own.PID != 100 || own.Listeners[0].Users != 2 || len(own.Problems) != 0 || len(own.Listeners) != 2 || !own.Listeners[0].Passwords || !own.Listeners[1].Loopback ||
		own.Listeners[0].Source != "/etc/mosquitto/mosquitto.conf:4" || !reflect.DeepEqual(own.NotIncluded, []string{"/etc/mosquitto/conf.d/forgotten.conf"}) || !own.Newer {
		t.Errorf("configuration: %+v", own)
	}
	if c := configs[1]; c.PID != 200 || !c.Listeners[0].Implied {
		t.Errorf("the container's configuration: %+v", c)
	}
	logs := all[host.Log](facts)
	if len(logs) == 0 || logs[0].Source != "/var/log/mosquitto/mosquitto.log" || len(logs[0].Entry) != 1 || logs[0].Entry[0].Cause != cause.MaxConnections {
		t.Errorf("log: %+v", logs)
	}
	for _, f := range all[host.Firewall](facts) {
		if f.Manager != "ufw" || f.Port == 1883 && strings.Contains(f.Address, ".") && f.Verdict != "drop" {
			t.Errorf("firewall: %+v", f)
		}
	}
	var causes []string
	for _, f := range host.Diagnose(facts) {
		causes = append(causes, string(f.Cause))
	}
	for _, want := range []string{"docker-default-conf", "docker-port-not-published", "memory-limit-oom", "config-not-loaded", "selinux-denied", "max-connections"} {
		if !slices.Contains(causes, want) {
			t.Errorf("%s was not found: %v", want, causes)
		}
	}
}

// A system without /proc, and programs that refuse, are told as they are.
func TestUnreadable(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{dockerSocket: "", "/etc/ufw/ufw.conf": "# /etc/ufw/ufw.conf\nENABLED=yes\nLOGLEVEL=low\n"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	facts, err := Gather(t.Context(), Options{Root: root, Run: answers{
		"nft -j list ruleset":                      "error: nft: Operation not permitted (you must be root)",
		"docker ps --no-trunc --format {{json .}}": "error: docker: permission denied while trying to connect to the Docker daemon socket",
		"systemctl is-active firewalld":            "active\n",
	}.run})
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, u := range all[host.Unread](facts) {
		what = append(what, u.What)
		if s := u.Text(); s.EN == "" || s.ZH == "" {
			t.Errorf("%+v has no text", u)
		}
	}
	for _, want := range []string{"system", "firewall", "docker"} {
		if !slices.Contains(what, want) {
			t.Errorf("nothing says that %s cannot be read: %v", want, what)
		}
	}
	if tools := all[host.FirewallTool](facts); len(tools) != 2 || tools[0].Name != "ufw" || tools[1].Name != "firewalld" {
		t.Errorf("firewalls: %+v", tools)
	}
	if len(host.Diagnose(facts)) > 0 {
		t.Errorf("from nothing follows %+v", host.Diagnose(facts))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Gather(ctx, Options{Root: t.TempDir(), Run: answers{}.run}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

func TestRecognize(t *testing.T) {
	for line, want := range map[string]string{
		"/usr/sbin/mosquitto -c x":                              "mosquitto",
		"picket serve -v":                                       "picket",
		"picket doctor --server":                                "",
		"/opt/emqx/erts/bin/beam.smp -- -root emqx":             "emqx",
		"/usr/lib/jvm/bin/java -jar /opt/hivemq/bin/hivemq.jar": "hivemq",
		"java -jar minecraft.jar":                               "",
		"nanomq start":                                          "nanomq",
		"mosquitto_sub -t x":                                    "",
		"":                                                      "",
	} {
		got, ok := recognize(strings.Fields(line))
		if got != want && (ok || want != "") {
			t.Errorf("%q: got %q %t, want %q", line, got, ok, want)
		}
	}
	for line, want := range map[string]string{"x -c a.conf": "a.conf", "x -ca.conf": "a.conf", "x --config-file=b": "b", "x --config-file b": "b", "x -v": "", "x -c": ""} {
		if got := option(strings.Fields(line)[1:], "-c", "--config-file"); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestWhatProgramsPrint(t *testing.T) {
	var got []string
	for _, p := range parsePublished("0.0.0.0:1883->1883/tcp, :::1883->1883/tcp, [::1]:8000-8001->8000-8001/tcp, 9001/tcp, 0.0.0.0:53->53/udp, nonsense->1/tcp, 0.0.0.0:1-99999->1/tcp") {
		got = append(got, p.Address+" "+itoa(p.Port)+" "+p.Target)
	}
	if want := "0.0.0.0 1883 1883, :: 1883 1883, ::1 8000 8000-8001, ::1 8001 8000-8001"; strings.Join(got, ", ") != want {
		t.Errorf("got %s, want %s", strings.Join(got, ", "), want)
	}
	apparmor := `audit: type=1400 audit(1795563064.1:5): apparmor="DENIED" operation="open" profile="/usr/sbin/mosquitto" name="/etc/letsencrypt/live/x/privkey.pem" pid=5 comm="mosquitto" requested_mask="r" denied_mask="r" fsuid=1 ouid=0
audit: type=1400 audit(1795563064.1:5): apparmor="ALLOWED" operation="open" profile="/usr/sbin/mosquitto" name="/etc/x" pid=5 comm="mosquitto" requested_mask="r"`
	if d := parseDenials(apparmor); len(d) != 2 || d[0].What != "open /etc/letsencrypt/live/x/privkey.pem" || !d[0].Enforced || d[1].Enforced {
		t.Errorf("got %+v", d)
	}
}

func FuzzWhatProgramsPrint(f *testing.F) {
	f.Add("0.0.0.0:1883->1883/tcp, :::1883->1883/tcp, 9001/tcp")
	f.Add("TcpExt: A B\nTcpExt: 1 2\n")
	f.Add("LoadState=loaded\nActiveState=active\n")
	f.Add(`{"interface":[{"ipv4":{"ipAddress":[{"publicIpAddress":"192.0.2.77"}]}}]}`)
	f.Add(`type=AVC msg=audit(1.001:42): avc:  denied  { name_bind } for  pid=711 comm="mosquitto" src=1884 tclass=tcp_socket`)
	f.Add("   0: 0100007F:22B3 00000000:0000 0A 00000000:00000007 00:00000000 00000000   103        0 4459213 1 000000004ba6fb91 100 0 0 10 0\n")
	f.Add("Uid:\t1\t2\t3\nGroups:\t4 5\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range parsePublished(text) {
			if p.Port < 1 || p.Port > 65535 {
				t.Errorf("%+v", p)
			}
		}
		parseDocker([]byte(text))
		parseNetstat(text)
		parseShow("x", text)
		parseDenials(text)
		for _, s := range parseSockets(text) {
			if !s.addr.IsValid() || s.port > 65535 || s.waiting < 0 {
				t.Errorf("%+v", s)
			}
		}
		var p process
		p.identity(text)
		recognize(strings.Split(text, "\x00"))
	})
}
