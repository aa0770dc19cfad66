//go:build linux

package lab

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"picket/cause"
)

// recipeTitles are those of the instructions that remedies share.
var recipeTitles = sync.OnceValue(func() map[string]bool {
	titles := make(map[string]bool)
	for _, r := range cause.Recipes() {
		titles[r.Title.EN] = true
	}
	return titles
})

// commands begin the lines of steps that are meant for a shell.
var commands = strings.Fields("sudo ss ip nft iptables ip6tables openssl grep picket curl systemctl journalctl docker tcpdump ufw firewall-cmd")

// trySteps tries, where a fault was made, what a finding about it says to do there: each command in its program, each directive in those that have it.
// The rest of the lines are forms of apps, and words.
func (w *world) trySteps(id cause.ID, lines string) {
	w.t.Helper()
	if strings.HasPrefix(lines, "backend ") {
		w.run(serverSide, "haproxy", "-c", "-f", w.file("step.cfg", "defaults\n mode tcp\n timeout connect 2s\n timeout client 1m\n timeout server 1m\n"+lines+"\nfrontend f\n bind 127.0.0.1:9\n default_backend mqtt\n"))
		return
	}
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(line, "#"):
		case words[0] == "picket":
			tryPicket(w, id, words[1:])
		case slices.Contains(commands, words[0]):
			w.tryStep(id, line)
		case slices.Contains([]string{"listener", "protocol", "certfile", "keyfile", "cafile"}, words[0]):
			tryDirective(w, id, line, lines+" mosquitto")
		case strings.HasSuffix(line, ";"):
			conf := "pid " + w.path("step.pid") + ";\nload_module /usr/lib/nginx/modules/ngx_stream_module.so;\nevents {}\nstream {\n server {\n listen 127.0.0.1:9;\n proxy_pass 127.0.0.1:9;\n " + line + "\n }\n}\n"
			if out, err := exec.Command("nginx", "-t", "-e", "stderr", "-p", w.dir, "-c", w.file("step.conf", conf)).CombinedOutput(); err != nil {
				w.t.Errorf("%s: nginx does not take %q: %v: %s", id, line, err, out)
			}
		}
	}
}

// tryStep runs a command on the server, or on the client where it is that one's own filter. A grep that finds nothing has worked as well.
func (w *world) tryStep(id cause.ID, line string) {
	w.t.Helper()
	machine := serverSide
	if id == cause.CarrierOrCorpBlocksPort {
		machine = clientSide
	}
	command, _, _ := strings.Cut(line, "  #")
	command = strings.ReplaceAll(command, "sudo ", "")
	for part := range strings.SplitSeq(command, "&&") {
		program := strings.Fields(part)[0]
		if slices.Contains(notHere, filepath.Base(program)) || strings.Contains(part, " /etc/mosquitto/") {
			continue // it would change the machine of the tests
		}
		cmd := exec.Command("ip", "netns", "exec", w.ns(machine), "sh", "-c", part)
		cmd.Dir = w.dir
		out, err := cmd.CombinedOutput()
		if err != nil && !strings.Contains(part, "grep") {
			w.t.Errorf("%s: %q: %v: %s", id, part, err, out)
		}
	}
}
