//go:build linux

// Package deploy tries what the folder deploy shows: every configuration in it is checked by picket and started, proxies are the real ones with a
// message through them, and the names in the files for container engines fit together.
package deploy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"picket/internal/testbed"
)

// read returns a file of the folder deploy in which some strings stand for others: each has to be there.
func read(t testing.TB, name string, oldnew ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return swap(t, name, string(data), oldnew...)
}

func swap(t testing.TB, name, text string, oldnew ...string) string {
	t.Helper()
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(text, oldnew[i]) {
			t.Fatalf("%s has no %q", name, oldnew[i])
		}
	}
	return strings.NewReplacer(oldnew...).Replace(text)
}

// run runs a command to its end and returns what it has printed.
func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// launch runs a program until the test ends.
func launch(t testing.TB, addrs []string, name string, args ...string) *testbed.Process {
	t.Helper()
	p, err := testbed.Launch(exec.Command(name, args...), filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	if err := p.Listening(addrs...); err != nil {
		t.Fatal(err)
	}
	return p
}

// broker checks a configuration and starts a broker with it, that knows ada with the password countess.
func broker(t testing.TB, conf string) *testbed.Broker {
	t.Helper()
	b := testbed.New(t, testbed.Options{Conf: "user root\n" + conf, Prepare: func(b *testbed.Broker) {
		run(t, testbed.Picket(t), "passwd", "-b", "-c", b.Path("passwords"), "ada", "countess")
	}})
	run(t, testbed.Picket(t), "check", "-c", b.Path("broker.conf"))
	b.Run(t)
	t.Cleanup(func() {
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// through publishes a message and has it back, on the way that the options say. Nobody gets through without a password.
func through(t testing.TB, options ...string) {
	t.Helper()
	login := append([]string{"-t", "home/garden", "-u", "ada", "-P", "countess"}, options...)
	run(t, testbed.Picket(t), append([]string{"pub", "-r", "-q", "1", "-m", "hello"}, login...)...)
	if out := run(t, testbed.Picket(t), append([]string{"sub", "-C", "1", "-W", "60"}, login...)...); out != "hello\n" {
		t.Errorf("received %q", out)
	}
	if out, err := exec.Command(testbed.Picket(t), append([]string{"pub", "-t", "a", "-m", "b"}, options...)...).CombinedOutput(); err == nil || !strings.Contains(string(out), "not authorised") {
		t.Errorf("without a password: %v, %s", err, out)
	}
}

// Everything that lies on a machine lies in the broker's folder here.
var places = []string{"/etc/picket/passwords", "${DIR}/passwords", "/var/lib/picket/", "${DIR}/"}

func TestNginx(t *testing.T) {
	b := broker(t, read(t, "nginx/broker.conf", append(places, "9001", "${PORTWS}", "1884", "${PORTPROXY}")...))
	pair := b.Certificate(t)
	https, mqtts := testbed.Port(t), testbed.Port(t)
	own := []string{"/etc/letsencrypt/live/mqtt.example.com/fullchain.pem", pair.CertFile, "/etc/letsencrypt/live/mqtt.example.com/privkey.pem", pair.KeyFile}
	dir := t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	text := "user root;\ndaemon off;\nmaster_process off;\npid " + dir + "/pid;\nload_module /usr/lib/nginx/modules/ngx_stream_module.so;\nevents {}\nhttp {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		text += kind + "_temp_path " + dir + "/" + kind + ";\n"
	}
	text += read(t, "nginx/nginx.conf", append(own, "listen 443", "listen "+strconv.Itoa(https), "9001", strconv.Itoa(b.Port(t, "PORTWS")))...) + "}\n" +
		read(t, "nginx/stream.conf", append(own, "listen 8883", "listen "+strconv.Itoa(mqtts), "1884", strconv.Itoa(b.Port(t, "PORTPROXY")))...)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	nginx := testbed.Program(t, "nginx", "nginx-light")
	run(t, nginx, "-t", "-e", "stderr", "-c", conf)
	launch(t, []string{"127.0.0.1:" + strconv.Itoa(https), "127.0.0.1:" + strconv.Itoa(mqtts)}, nginx, "-e", "stderr", "-c", conf)
	through(t, "-h", "127.0.0.1", "-p", strconv.Itoa(https), "--ws", "/mqtt", "--cafile", pair.CA.File)
	through(t, "-h", "127.0.0.1", "-p", strconv.Itoa(mqtts), "--cafile", pair.CA.File)
}

func TestCaddy(t *testing.T) {
	b := broker(t, read(t, "caddy/broker.conf", append(places, "9001", "${PORTWS}")...))
	dir := t.TempDir()
	t.Setenv("HOME", dir) // what it keeps
	file := filepath.Join(dir, "Caddyfile")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	caddy := testbed.Program(t, "caddy", "caddy")
	write(read(t, "caddy/Caddyfile"))
	run(t, caddy, "validate", "--adapter", "caddyfile", "--config", file)
	// No certificate is asked for here.
	port := strconv.Itoa(testbed.Port(t))
	write("{\n\tadmin off\n}\n" + read(t, "caddy/Caddyfile", "\nmqtt.example.com {", "\nhttp://127.0.0.1:"+port+" {", "9001", strconv.Itoa(b.Port(t, "PORTWS"))))
	launch(t, []string{"127.0.0.1:" + port}, caddy, "run", "--adapter", "caddyfile", "--config", file)
	through(t, "-h", "127.0.0.1", "-p", port, "--ws", "/mqtt")
}

// kubernetesObject is as much of an object as the test looks at.
type kubernetesObject struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		Selector    any
		ServiceName string `yaml:"serviceName"`
		Ports       []struct {
			TargetPort string `yaml:"targetPort"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				Containers []struct {
					Env          []struct{ Name, Value string }
					Ports        []struct{ Name string }
					VolumeMounts []struct {
						Name string
					} `yaml:"volumeMounts"`
				}
				Volumes []struct {
					Name      string
					ConfigMap struct{ Name string } `yaml:"configMap"`
				}
			}
		}
		VolumeClaimTemplates []struct{ Metadata struct{ Name string } } `yaml:"volumeClaimTemplates"`
	}
}

// The volumes, labels and ports that the objects name are those that there are, and the broker starts with the configuration.
func TestKubernetes(t *testing.T) {
	objects := make(map[string]kubernetesObject)
	for d := yaml.NewDecoder(strings.NewReader(read(t, "kubernetes/picket.yaml"))); ; {
		var o kubernetesObject
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		objects[o.Kind] = o
	}
	config, service, set := objects["ConfigMap"], objects["Service"], objects["StatefulSet"]
	pod := set.Spec.Template
	if len(pod.Spec.Containers) != 1 || len(service.Spec.Ports) != 1 {
		t.Fatalf("%+v", objects)
	}
	container := pod.Spec.Containers[0]
	volumes := map[string]bool{}
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = v.ConfigMap.Name == config.Metadata.Name
	}
	for _, v := range set.Spec.VolumeClaimTemplates {
		volumes[v.Metadata.Name] = true
	}
	for _, m := range container.VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("the container mounts %q, which is no volume", m.Name)
		}
	}
	label := pod.Metadata.Labels["app"]
	if s, _ := service.Spec.Selector.(map[string]any); label == "" || s["app"] != label {
		t.Errorf("the service looks for %v, the pod has %v", service.Spec.Selector, pod.Metadata.Labels)
	}
	if s, _ := set.Spec.Selector.(map[string]any); s == nil || s["matchLabels"].(map[string]any)["app"] != label {
		t.Errorf("the set looks for %v, the pod has %v", set.Spec.Selector, pod.Metadata.Labels)
	}
	if set.Spec.ServiceName != service.Metadata.Name || container.Ports[0].Name != service.Spec.Ports[0].TargetPort {
		t.Error("service and set do not fit together")
	}
	conf := config.Data["mosquitto.conf"]
	if socket := container.Env[0]; socket.Name != "PICKET_SOCKET" || !strings.Contains(conf, "admin_socket "+socket.Value+"\n") {
		t.Errorf("the probes ask at %+v", socket)
	}
	started(t, conf)
}

// started starts a broker with a configuration for containers.
func started(t *testing.T, conf string, oldnew ...string) *testbed.Broker {
	t.Helper()
	dir, err := os.MkdirTemp("", "deploy") // the path of a socket is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	conf = swap(t, "the configuration", conf, append(oldnew, "/mosquitto/data", dir, "listener 1883", "listener ${PORT}")...)
	b := testbed.Start(t, testbed.Options{Conf: "user root\n" + conf})
	run(t, testbed.Picket(t), "check", "-c", b.Path("broker.conf"))
	run(t, testbed.Picket(t), "ctl", "health", "--socket", filepath.Join(dir, "admin.sock"))
	return b
}

// composeFile is as much of a compose file as the tests look at.
type composeFile struct {
	Services map[string]struct {
		Image     string
		Command   []string
		Ports     []string
		Volumes   []string
		Networks  []string
		DependsOn []string `yaml:"depends_on"`
	}
	Volumes, Networks map[string]any
}

// compose reads a compose file, in which every volume, network, service and file that is named has to be there.
func compose(t *testing.T, folder string) (c composeFile) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, folder+"/compose.yaml")), &c); err != nil {
		t.Fatal(err)
	}
	for name, s := range c.Services {
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, there := c.Volumes[from]; !there {
				if _, err := os.Stat(filepath.Join("../../deploy", folder, from)); !strings.HasPrefix(from, "./") || err != nil {
					t.Errorf("%s mounts %q, which is neither a volume nor a file", name, from)
				}
			}
		}
		for _, n := range s.Networks {
			if _, there := c.Networks[n]; !there && n != "default" {
				t.Errorf("%s is in the network %q, which is none", name, n)
			}
		}
		for _, d := range s.DependsOn {
			if _, there := c.Services[d]; !there {
				t.Errorf("%s depends on %q, which is no service", name, d)
			}
		}
	}
	return c
}

func TestCompose(t *testing.T) {
	if c := compose(t, "compose"); c.Services["mqtt"].Image != "picket" {
		t.Errorf("%+v", c)
	}
}

// The servers, sentinels and the broker of the compose file run here as it starts them, with addresses in place of their names.
func TestComposeWithRedis(t *testing.T) {
	c := compose(t, "compose-redis")
	var names []string // and what stands for them
	ports := map[string]string{}
	for _, n := range []string{"1", "2", "3"} {
		ports["redis"+n], ports["sentinel"+n] = strconv.Itoa(testbed.Port(t)), strconv.Itoa(testbed.Port(t))
		names = append(names, "redis"+n+" 6379", "127.0.0.1 "+ports["redis"+n], "redis"+n, "127.0.0.1", "sentinel"+n, "127.0.0.1")
	}
	local := strings.NewReplacer(names...)
	for _, n := range []string{"redis1", "redis2", "redis3"} {
		args := append([]string{"--port", ports[n], "--dir", t.TempDir(), "--bind", "127.0.0.1"}, c.Services[n].Command[1:]...)
		for i := range args {
			args[i] = local.Replace(args[i])
		}
		launch(t, []string{"127.0.0.1:" + ports[n]}, testbed.Program(t, c.Services[n].Command[0], "redis-server"), args...)
	}
	var addresses []string
	for _, n := range []string{"sentinel1", "sentinel2", "sentinel3"} {
		file := filepath.Join(t.TempDir(), "sentinel.conf")
		if err := os.WriteFile(file, []byte("port "+ports[n]+"\n"+local.Replace(read(t, "compose-redis/"+n+"/sentinel.conf"))), 0o600); err != nil {
			t.Fatal(err)
		}
		if command := c.Services[n].Command; len(command) != 3 || command[1] != "sentinel" || !strings.HasSuffix(command[2], "/sentinel.conf") {
			t.Fatalf("%s begins %v", n, command)
		}
		launch(t, []string{"127.0.0.1:" + ports[n]}, testbed.Picket(t), "sentinel", file)
		addresses = append(addresses, "127.0.0.1:"+ports[n])
	}
	testbed.Eventually(t, func() error {
		out, err := exec.Command(testbed.Picket(t), "ctl", "sentinel", addresses[0]).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "replicas 2, other sentinels 2") {
			return errors.New(string(out))
		}
		return nil
	})
	b := started(t, read(t, "compose-redis/mosquitto.conf"), "sentinel1,sentinel2,sentinel3", strings.Join(addresses, ","))
	port := strconv.Itoa(b.Port(t, "PORT"))
	run(t, testbed.Picket(t), "pub", "-p", port, "-r", "-q", "1", "-t", "home/garden", "-m", "kept")
	if out := run(t, testbed.Program(t, "redis-cli", "redis-tools"), "-p", ports["redis1"], "HKEYS", "{picket}r"); out != "home/garden\n" {
		t.Errorf("Redis has the retained messages %q", out)
	}
}

// What Homebrew's formula takes from an archive is in each of them, and its archives are those that "make release" writes.
func TestHomebrew(t *testing.T) {
	formula := read(t, "homebrew/picket.rb")
	dir := t.TempDir()
	run(t, testbed.Picket(t), "manual", dir)
	for _, m := range regexp.MustCompile(`(?m)^    (?:man1|bash_completion|zsh_completion|fish_completion)\.install (?:Dir\[)?"([^"]+)"`).FindAllStringSubmatch(formula, -1) {
		if all, err := filepath.Glob(filepath.Join(dir, m[1])); err != nil || len(all) == 0 {
			t.Errorf("%s is not in an archive: %v", m[1], err)
		}
	}
	named := regexp.MustCompile(`url "#\{archives\}/(picket-VERSION-[a-z]+-[a-z0-9]+\.tar\.gz)"\n +sha256 "SHA256 of ([^"]+)"`).FindAllStringSubmatch(formula, -1)
	for _, m := range named {
		if m[1] != m[2] {
			t.Errorf("%s has the checksum of %s", m[1], m[2])
		}
	}
	if len(named) != 4 {
		t.Errorf("%d archives", len(named))
	}
	_, command, found := strings.Cut(formula, `run [opt_bin/"picket", `)
	command, _, _ = strings.Cut(command, "]")
	if !found || command != `"serve", "--data", var/"picket"` {
		t.Errorf("the service runs %s", command)
	}
}

// The add-on's program is started as the Dockerfile says; the port that is published is the broker's.
func TestHomeAssistant(t *testing.T) {
	var config struct {
		Slug, Version string
		Arch, Map     []string
		Init          *bool
		Ports         map[string]int
	}
	if err := yaml.Unmarshal([]byte(read(t, "home-assistant/picket/config.yaml")), &config); err != nil {
		t.Fatal(err)
	}
	if config.Slug != "picket" || config.Ports["1883/tcp"] != 1883 || config.Init == nil || *config.Init || len(config.Map) != 1 || config.Map[0] != "addon_config:rw" {
		t.Errorf("%+v", config)
	}
	docker := read(t, "home-assistant/picket/Dockerfile")
	_, line, found := strings.Cut(docker, "\nCMD [")
	if !found {
		t.Fatal("the Dockerfile has no CMD")
	}
	var command []string
	if err := yaml.Unmarshal([]byte("["+line), &command); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "deploy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	port := strconv.Itoa(testbed.Port(t))
	args := append(command[1:len(command)-1], dir, "-p", port, "--user", "root")
	launch(t, []string{"127.0.0.1:" + port}, testbed.Picket(t), args...)
	if _, err := os.Stat(filepath.Join(dir, "first-password")); err != nil || command[len(command)-1] != "/config" {
		t.Errorf("%v: %v", command, err)
	}
}

// The filter finds the address of a wrong password, and no other one that a stranger writes into a name.
func TestFail2ban(t *testing.T) {
	b := broker(t, "listener ${PORT} 127.0.0.1\nallow_anonymous false\npassword_file ${DIR}/passwords\n")
	port := strconv.Itoa(b.Port(t, "PORT"))
	forged := "x from 192.0.2.1:5 disconnected, not authorised (p4, u'a'): unknown user or wrong password. [bad-credentials]"
	strangers := [][]string{{"-u", "ada"}, {"-u", "o'hara", "-i", "it's me"}, {"-u", "ada", "-i", forged}, {"-u", forged}, {"-u", "Client " + forged}}
	for _, who := range strangers {
		if err := exec.Command(testbed.Picket(t), append([]string{"pub", "-p", port, "-P", "wrong", "-t", "a", "-m", "b"}, who...)...).Run(); err == nil {
			t.Errorf("%v came in", who)
		}
	}
	through(t, "-p", port)
	_, filter, found := strings.Cut(read(t, "fail2ban/filter.d/picket.conf"), "\nfailregex = ")
	if !found {
		t.Fatal("the filter has no failregex")
	}
	expression, _, _ := strings.Cut(filter, "\n")
	// As fail2ban does: Python's expressions, and an address for <HOST>.
	script := `import re, sys
e = re.compile(sys.argv[1].replace("<HOST>", r"(?P<host>\S+)"))
for line in open(sys.argv[2]):
    m = e.search(line.rstrip("\n"))
    if m: print(m.group("host"))`
	testbed.Eventually(t, func() error {
		if n := strings.Count(b.Said(), "[bad-credentials]\n"); n < len(strangers) {
			return fmt.Errorf("%d of %d refusals are in the log", n, len(strangers))
		}
		return nil
	})
	log := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(log, []byte(b.Said()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(t, testbed.Program(t, "python3", "python3"), "-c", script, expression, log); out != "127.0.0.1\n127.0.0.1\n" {
		t.Errorf("the filter finds %q in\n%s", out, b.Said())
	}
}
