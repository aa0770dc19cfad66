//go:build linux

package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

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
		case words[0] == "reverse_proxy":
			w.run(serverSide, "env", "HOME="+w.dir, "caddy", "validate", "--adapter", "caddyfile", "--config", w.file("step.caddy", "http://127.0.0.1:9 {\n"+line+"\n}\n"))
		case strings.HasSuffix(line, ";"):
			conf := "pid " + w.path("step.pid") + ";\nload_module /usr/lib/nginx/modules/ngx_stream_module.so;\nevents {}\nstream {\n server {\n listen 127.0.0.1:9;\n proxy_pass 127.0.0.1:9;\n " + line + "\n }\n}\n"
			if out, err := exec.Command("nginx", "-t", "-e", "stderr", "-p", w.dir, "-c", w.file("step.conf", conf)).CombinedOutput(); err != nil {
				w.t.Errorf("%s: nginx does not take %q: %v: %s", id, line, err, out)
			}
		}
	}
}

// A step may start a broker in the background: nothing that was started in a world outlives it.
func TestNothingStays(t *testing.T) {
	var left []int
	t.Run("a world", func(t *testing.T) {
		w := newWorld(t, nil)
		w.tryStep(cause.LoopbackOnly, "mosquitto -d -c "+w.file("step.conf", "user root\nlistener 1883 127.0.0.1\nallow_anonymous true\n"))
		w.wait("mosquitto listens", func() bool { return w.listens(serverSide, []int{1883}) })
		left = w.processes()
	})
	if len(left) == 0 {
		t.Fatal("the step started no broker")
	}
	for _, pid := range left {
		if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); err == nil && len(name) > 0 {
			t.Errorf("process %d outlives its world: %q", pid, name)
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
