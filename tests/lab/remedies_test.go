//go:build linux

package lab

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"picket/cause"
)

// filling are the values of the places in remedies.
var filling = cause.Values{}

func init() {
	for _, place := range cause.Places() {
		filling[place] = "7"
	}
	for place, value := range map[string]string{"port": "1883", "host": host, "address": server4, "user": "ada", "topic": "garden/fountain", "file": "/etc/mosquitto/mosquitto.conf", "client": "fountain"} {
		filling[place] = value
	}
}

// notHere begin commands of programs that are not among the packages of the tests, or that would change the machine itself: the consoles of clouds, other
// distributions' tools, the service manager.
var notHere = strings.Fields("ufw firewall-cmd netfilter-persistent certbot systemctl journalctl timedatectl docker aliyun aws az gcloud tcpdump dmesg fail2ban-client " +
	"setsebool semanage restorecon ausearch apparmor_parser getenforce nstat mtr dig nslookup smartctl top df du date install curl ping ps mv setcap date go make passwd service")

// TestRecipes tries the instructions that remedies share in the programs that they are for.
func TestRecipes(t *testing.T) {
	w := newWorld(t, nil)
	w.pair()
	w.nft(serverSide, "table inet filter {\n chain input {\n  type filter hook input priority 0;\n }\n}\n")
	nginx := func(t *testing.T, conf string) {
		t.Helper()
		conf = strings.NewReplacer("/etc/letsencrypt/live/"+host+"/fullchain.pem", w.path("server.crt"), "/etc/letsencrypt/live/"+host+"/privkey.pem", w.path("server.key")).Replace(conf)
		w.run(serverSide, "nginx", "-t", "-e", "stderr", "-p", w.dir, "-c", w.file("recipe.conf", "pid "+w.path("nginx.pid")+";\nload_module /usr/lib/nginx/modules/ngx_stream_module.so;\nevents {}\n"+conf))
	}
	for _, r := range cause.Recipes() {
		for _, lang := range []cause.Lang{cause.English, cause.Chinese} {
			lines, err := r.Steps.Render(lang, filling)
			if err != nil {
				t.Fatal(err)
			}
			switch r.Name {
			case "nginx-websocket":
				nginx(t, "http {\n server {\n listen 80;\n"+lines+"\n}\n}\n")
			case "nginx-stream":
				nginx(t, lines)
			default:
				for line := range strings.Lines(lines) {
					if strings.HasPrefix(line, "sudo ") {
						tryCommand(w, strings.TrimSpace(line))
					}
				}
			}
		}
	}
}

// tryCommand runs a command of a remedy in the network of the server, unless its program is not here.
func tryCommand(w *world, line string) {
	w.t.Helper()
	command, _, _ := strings.Cut(line, " #")
	for part := range strings.SplitSeq(command, "&&") {
		part = strings.TrimSpace(strings.ReplaceAll(part, "sudo ", ""))
		program := strings.Fields(part)[0]
		if slices.Contains(notHere, program) {
			continue
		}
		if _, err := exec.LookPath(program); err != nil {
			w.t.Errorf("%q: there is no program %s, and it is not among those that are known to be missing", line, program)
			continue
		}
		w.run(serverSide, "sh", "-c", part)
	}
}

// span is what stands in backquotes.
var span = regexp.MustCompile("`([^`]+)`")

// TestRemedies tries each directive and command that the catalogue's texts name.
func TestRemedies(t *testing.T) {
	w := newWorld(t, nil)
	w.passwords()
	tried := make(map[string]bool)
	for _, c := range cause.All() {
		for _, lang := range []cause.Lang{cause.English, cause.Chinese} {
			for _, text := range []cause.Text{c.Explain, c.Remedy} {
				said, err := text.Render(lang, filling)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range span.FindAllStringSubmatch(said, -1) {
					if !tried[m[1]] {
						tried[m[1]] = true
						trySpan(w, c.ID, m[1], said)
					}
				}
			}
		}
	}
	if len(tried) < 100 {
		t.Errorf("only %d spans in the catalogue", len(tried))
	}
}

// reads are commands that look and change nothing, and need nothing that is not here.
var reads = []string{"ss", "ip", "nft", "iptables"}

// trySpan tries what a remedy has in backquotes: a command, or a directive.
func trySpan(w *world, id cause.ID, text, said string) {
	w.t.Helper()
	words := strings.Fields(strings.ReplaceAll(text, "sudo ", ""))
	switch {
	case words[0] == "picket":
		tryPicket(w, id, words[1:])
	case slices.Contains(reads, words[0]) && len(words) > 1 && !strings.Contains(text, "mangle"):
		tryCommand(w, text)
	case directive.MatchString(text):
		tryDirective(w, id, text, said)
	}
}

// tryPicket looks whether a command of ours exists, with the options that are named.
func tryPicket(w *world, id cause.ID, words []string) {
	w.t.Helper()
	var args []string
	for _, word := range words {
		if !command.MatchString(word) {
			break
		}
		args = append(args, word)
	}
	for _, word := range words {
		if word == "--server" {
			args = append(args, word) // it has a help of its own
			break
		}
	}
	out, err := exec.Command(binary, append(args, "--help")...).CombinedOutput()
	if err != nil {
		w.t.Errorf("%s names picket %s: %v\n%s", id, strings.Join(words, " "), err, out)
		return
	}
	for _, word := range words {
		if option, _, _ := strings.Cut(word, "="); strings.HasPrefix(option, "-") && !strings.Contains(string(out), option) {
			w.t.Errorf("%s names picket %s, which has no %s", id, strings.Join(words, " "), option)
		}
	}
}

var (
	command   = regexp.MustCompile(`^[a-z]+$`)
	directive = regexp.MustCompile(`^(?:listener|protocol|topic|pattern|cafile|certfile|keyfile|crlfile|persistence|[a-z]+(?:_[a-z]+)+)(?: [^;=]*)?$`)
)

// values are what directives are given that are named without one.
var values = map[string]string{
	"memory_limit": "1000000", "max_queued_messages": "100", "max_queued_bytes": "1000000", "persistent_client_expiration": "7d", "message_size_limit": "1000", "max_qos": "1", "max_packet_size": "1000",
	"max_keepalive": "60", "max_connections": "10", "max_topic_alias": "5", "max_inflight_messages": "5", "proxy_from": "127.0.0.1", "tls_version": "tlsv1.2", "protocol": "mqtt",
}

// newer are directives of mosquitto's that Debian's version does not have: the text has to say from which version on they are there, or that they are
// Picket's own.
var newer = regexp.MustCompile(`2\.1|Picket`)

// known tells by a program's answer whether it knows a directive. What it says of the value is another matter.
func known(out []byte) bool {
	return !strings.Contains(string(out), "Unknown configuration variable") && !strings.Contains(string(out), "config-unknown-directive")
}

// tryDirective has mosquitto and Picket read a directive; one of them has to know it, and both where the text names neither.
func tryDirective(w *world, id cause.ID, text, said string) {
	w.t.Helper()
	name, value, given := strings.Cut(text, " ")
	if !given {
		if value = values[name]; value == "" {
			value = "x"
		}
	}
	if name == "topic" || name == "pattern" {
		return // of access lists, whose lines the laboratory has
	}
	conf := w.file("directive.conf", fmt.Sprintf("listener 1885\n%s %s\n", name, value))
	picket, _ := exec.Command(binary, "check", "-c", conf).CombinedOutput()
	old, _ := exec.Command("timeout", "0.5", "mosquitto", "-p", "0", "-c", conf).CombinedOutput()
	switch {
	case !known(picket) && !known(old) && !newer.MatchString(said):
		w.t.Errorf("%s names the directive %q, which neither program knows:\n%s%s", id, text, picket, old)
	case !known(old) && !newer.MatchString(said):
		w.t.Errorf("%s names the directive %q, which mosquitto does not know, and does not say whose it is:\n%s", id, text, old)
	case !known(picket) && !strings.Contains(said, "mosquitto"):
		w.t.Errorf("%s names the directive %q, which Picket does not know, and does not say whose it is:\n%s", id, text, picket)
	}
}
