//go:build linux

package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"picket/internal/testbed"
)

// readme is what the README in an archive shows: the lines that somebody types, and what is printed.
type readme struct {
	commands []string
	text     string
}

func readReadme(t *testing.T, file string) (r readme) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r.text = string(data)
	for _, m := range regexp.MustCompile(`(?m)^    \$ (.*)$`).FindAllStringSubmatch(r.text, -1) {
		r.commands = append(r.commands, m[1])
	}
	return r
}

// command is the one that begins so.
func (r *readme) command(t testing.TB, begins string) string {
	t.Helper()
	for _, c := range r.commands {
		if strings.HasPrefix(c, begins) {
			return c
		}
	}
	t.Fatalf("the README has no command that begins %q", begins)
	return ""
}

// printed are the lines that stand indented behind a command.
func (r *readme) printed(command string) (lines []string) {
	_, rest, _ := strings.Cut(r.text, "\n    $ "+command+"\n")
	for line := range strings.SplitSeq(rest, "\n") {
		if line != "" && !strings.HasPrefix(line, "    ") {
			break
		}
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// The archive is unpacked by the user whom the README tells of, on a machine with that user's address, and the quick start does what it says, in both
// languages.
func TestReadme(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	w := &world{t: t}
	w.host("cp", "-a", folder(t, "PICKET_ROOT"), root)
	w = newWorld(t, root)
	w.host("ip", "-n", w.net, "link", "add", "wlan0", "type", "veth", "peer", "name", "router")
	w.host("ip", "-n", w.net, "address", "add", "192.168.1.20/24", "dev", "wlan0")
	w.host("ip", "-n", w.net, "link", "set", "wlan0", "up")
	w.host("ip", "-n", w.net, "link", "set", "router", "up")
	w.mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=0620", "devpts", "/dev/pts") // a terminal
	w.run("ln", "-sf", "pts/ptmx", "/dev/ptmx")
	w.run("useradd", "--create-home", "fountain")
	w.host("tar", "xzf", result(t, "picket-*-linux-amd64.tar.gz"), "-C", filepath.Join(root, "usr/local/bin"), "--strip-components=1", "--no-same-owner")
	for file, lang := range map[string]string{"README.md": "en_GB.UTF-8", "README.zh-CN.md": "zh_CN.UTF-8"} {
		t.Run(lang, func(t *testing.T) {
			w := &world{t, root, w.net}
			w.quickStart(readReadme(t, filepath.Join(root, "usr/local/bin", file)), lang)
		})
		w.run("rm", "-rf", "/home/fountain/.local")
	}
}

// quickStart types what stands there.
func (w *world) quickStart(r readme, lang string) {
	w.t.Helper()
	typed := func(line string) *exec.Cmd {
		c := w.command([]string{"--userspec=fountain:fountain"}, "script", "-qc", line, "/dev/null")
		c.Env = []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/home/fountain", "LANG=" + lang, "COLUMNS=200"}
		return c
	}
	launch := func(line string) (p *testbed.Process, end func()) {
		c := typed(line)
		keyboard, err := c.StdinPipe()
		if err == nil {
			p, err = testbed.Launch(c, filepath.Join(w.t.TempDir(), "log"))
		}
		if err != nil {
			w.t.Fatal(err)
		}
		end = func() {
			_, _ = keyboard.Write([]byte("\x03")) // Ctrl-C; it may have ended
			soon(w.t, line+" ends", p.Ended)
		}
		w.t.Cleanup(end)
		return p, end
	}
	const serve = "picket serve"
	broker, end := launch(serve)
	lines := r.printed(serve)
	soon(w.t, "the page's address", func() bool {
		if broker.Ended() {
			w.t.Fatalf("it has ended: %s", broker.End())
		}
		return strings.Contains(broker.Said(), lines[len(lines)-1])
	})
	said := broker.Said()
	password := regexp.MustCompile(`[a-z0-9]{6}-[a-z0-9]{6}-[a-z0-9]{6}$`)
	for _, line := range lines {
		_, rest, found := strings.Cut(said, password.ReplaceAllString(line, ""))
		if !found {
			w.t.Errorf("%q is not printed, or not there:\n%s", line, broker.Said())
			continue
		}
		said = rest
	}
	received, _ := launch(r.command(w.t, "picket sub"))
	publish := r.command(w.t, "picket pub")
	want := "home/garden/fountain/2 hello world"
	soon(w.t, want, func() bool {
		if out, err := typed(publish).CombinedOutput(); err != nil {
			w.t.Fatalf("%s: %v, %s", publish, err, out)
		}
		return strings.Contains(received.Said(), want)
	})
	if !strings.Contains(r.text, "\n    "+want+"\n") {
		w.t.Errorf("the README does not show %q", want)
	}
	end()

	develop := r.command(w.t, "picket serve -p 0")
	c := typed(develop)
	c.Args = append(c.Args[:slices.Index(c.Args, "script")], strings.Fields(develop)...) // as in CI, where there is no terminal
	broker, err := testbed.Launch(c, filepath.Join(w.t.TempDir(), "log"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer w.stop(broker)
	soon(w.t, "ready", func() bool { return regexp.MustCompile(`picket version \S+ running`).MatchString(broker.Said()) })
	port := regexp.MustCompile(`Opening ipv4 listen socket on port (\d+)\.`).FindStringSubmatch(broker.Said())
	if port == nil {
		w.t.Fatalf("the port is not named:\n%s", broker.Said())
	}
	w.run("/usr/local/bin/picket", "pub", "-p", port[1], "-t", "a", "-m", "b", "-q", "1")
}
