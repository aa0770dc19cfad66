//go:build linux

package release

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"picket/internal/testbed"
)

// TestPackages installs, upgrades, removes and purges the packages in a Debian root, and starts the broker as its unit says.
func TestPackages(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	w := &world{t: t}
	w.host("cp", "-a", folder(t, "PICKET_ROOT"), root)
	w = newWorld(t, root)
	for _, pattern := range []string{"picket-[0-9]*-linux-amd64.deb", "picket-links-*-linux-amd64.deb"} {
		name := "picket.deb"
		if strings.Contains(pattern, "links") {
			name = "links.deb"
		}
		w.host("cp", result(t, pattern), filepath.Join(root, "tmp", name))
	}
	w.run("dpkg", "-i", "/tmp/picket.deb")
	for _, unit := range []string{"picket.service", "picket.socket"} {
		if out, err := w.try("systemd-analyze", "--man=no", "verify", "/usr/lib/systemd/system/"+unit); err != nil || strings.Contains(out, "picket") {
			t.Errorf("systemd-analyze verify %s: %v, %s", unit, err, out)
		}
	}
	if out, err := w.try("logrotate", "-d", "/etc/logrotate.d/picket"); err != nil || strings.Contains(out, "error:") {
		t.Errorf("logrotate -d: %v, %s", err, out)
	}
	w.documented()

	w.service(func() { w.hello("picket pub", "picket sub") })
	w.activated()

	// An upgrade keeps what the user has written and what the broker has stored.
	conf := filepath.Join(root, "etc/picket/picket.conf")
	f, err := os.OpenFile(conf, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("# a gardener was here\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	w.run("dpkg-deb", "-R", "/tmp/picket.deb", "/tmp/next")
	w.run("sed", "-i", "s/^Version: 1.0.0/Version: 1.0.1/", "/tmp/next/DEBIAN/control")
	w.run("dpkg-deb", "-b", "/tmp/next", "/tmp/next.deb")
	w.run("dpkg", "-i", "/tmp/next.deb")
	if out := w.run("dpkg-query", "-W", "-f", "${Version} ${Status}", "picket"); out != "1.0.1 install ok installed" {
		t.Errorf("after the upgrade: %s", out)
	}
	kept := func() {
		t.Helper()
		if text, err := os.ReadFile(conf); err != nil || !strings.Contains(string(text), "a gardener was here") {
			t.Errorf("the configuration is not as it was written: %v", err)
		}
		if out := w.run("picket", "sub", "-t", "home/garden", "-C", "1", "-W", "30"); out != "hello\n" {
			t.Errorf("of what was stored there is %q", out)
		}
	}
	w.service(kept)

	// A removal keeps it, too; a purge does not.
	w.run("dpkg", "-r", "picket")
	if _, err := os.Stat(filepath.Join(root, "usr/bin/picket")); err == nil {
		t.Error("the program is still there")
	}
	w.run("dpkg", "-i", "/tmp/picket.deb")
	w.service(kept)
	w.run("dpkg", "-i", "/tmp/links.deb")
	if out, _ := w.try("mosquitto", "-h"); !strings.Contains(out, "Usage: mosquitto") {
		t.Errorf("mosquitto -h: %s", out)
	}
	w.run("dpkg", "-P", "picket-links")
	w.run("dpkg", "-P", "picket")
	for _, name := range []string{"etc/picket", "var/lib/picket", "var/log/picket", "usr/bin/picket", "usr/sbin/mosquitto", "etc/logrotate.d/picket"} {
		if _, err := os.Lstat(filepath.Join(root, name)); err == nil {
			t.Errorf("a purge leaves %s", name)
		}
	}
	if out, err := w.try("getent", "passwd", "picket"); err == nil {
		t.Errorf("a purge leaves the user: %s", out)
	}
}

// documented looks at what belongs to the program: every manual is whole.
func (w *world) documented() {
	w.t.Helper()
	for _, name := range []string{"/usr/share/bash-completion/completions/picket", "/usr/share/doc/picket/copyright", "/usr/share/doc/picket/README.md"} {
		if st, err := os.Stat(filepath.Join(w.root, name)); err != nil || st.Size() < 1000 {
			w.t.Errorf("%s: %+v, %v", name, st, err)
		}
	}
	manuals, err := filepath.Glob(filepath.Join(w.root, "usr/share/man/man1/picket*.1.gz"))
	if err != nil || len(manuals) < 40 {
		w.t.Errorf("manuals: %v, %v", manuals, err)
	}
	for _, name := range manuals {
		if text := w.host("gunzip", "-c", name); !strings.Contains(text, ".SH NAME") {
			w.t.Errorf("%s has %q", name, text)
		}
	}
}

// TestRPM does the same with the package for rpm, as far as that goes where dpkg has the rest of the system.
func TestRPM(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	w := &world{t: t}
	w.host("cp", "-a", folder(t, "PICKET_ROOT"), root)
	w = newWorld(t, root)
	w.host("cp", result(t, "picket-[0-9]*-linux-amd64.rpm"), filepath.Join(root, "tmp/picket.rpm"))
	w.host("cp", result(t, "picket-links-*-linux-amd64.rpm"), filepath.Join(root, "tmp/links.rpm"))
	w.run("rpm", "--install", "--nodeps", "/tmp/picket.rpm")
	if out, err := w.try("rpm", "--verify", "--nodeps", "picket"); err != nil {
		t.Errorf("rpm --verify: %v\n%s", err, out) // sizes, sums, modes and owners
	}
	if out := w.run("rpm", "-q", "--configfiles", "picket"); out != "/etc/logrotate.d/picket\n/etc/picket/picket.conf\n" {
		t.Errorf("configuration files: %s", out)
	}
	w.documented()
	w.service(func() { w.hello("picket pub", "picket sub") })
	kept := func() {
		t.Helper()
		if out := w.run("picket", "sub", "-t", "home/garden", "-C", "1", "-W", "30"); out != "hello\n" {
			t.Errorf("of what was stored there is %q", out)
		}
	}

	w.run("sh", "-c", "echo '# a gardener was here' >>/etc/picket/picket.conf")
	w.run("rpm", "--upgrade", "--nodeps", "--replacepkgs", "/tmp/picket.rpm")
	w.run("grep", "-q", "gardener", "/etc/picket/picket.conf")
	w.service(kept)

	w.run("rpm", "--install", "--nodeps", "/tmp/links.rpm")
	if out, _ := w.try("mosquitto", "-h"); !strings.Contains(out, "Usage: mosquitto") {
		t.Errorf("mosquitto -h: %s", out)
	}
	w.run("rpm", "--erase", "--nodeps", "picket-links", "picket")
	for _, name := range []string{"usr/bin/picket", "usr/sbin/mosquitto", "etc/picket/picket.conf"} {
		if _, err := os.Lstat(filepath.Join(root, name)); err == nil {
			t.Errorf("a removal leaves %s", name)
		}
	}
	w.run("grep", "-q", "gardener", "/etc/picket/picket.conf.rpmsave") // rpm keeps what was changed under this name
	w.run("rpm", "--install", "--nodeps", "/tmp/picket.rpm")
	w.service(kept)
}

// activated starts the broker as picket.socket does, with a port below 1024, which its user may not open.
func (w *world) activated() {
	w.t.Helper()
	w.run("sh", "-c", "echo 'listener 443' >/tmp/443.conf; echo 'allow_anonymous true' >>/tmp/443.conf")
	p, err := testbed.Launch(w.command(nil, "systemd-socket-activate", "--listen=443", "setpriv", "--reuid=picket", "--regid=picket", "--clear-groups",
		"--bounding-set=-all", "picket", "serve", "-c", "/tmp/443.conf"), filepath.Join(w.t.TempDir(), "log"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = p.Kill() })
	soon(w.t, "systemd listens", func() bool { return strings.Contains(p.Said(), "Listening on") })
	w.run("picket", "pub", "-p", "443", "-r", "-q", "1", "-t", "home/socket", "-m", "waited") // it comes before there is a broker
	if out := w.run("picket", "sub", "-p", "443", "-t", "home/socket", "-C", "1", "-W", "60"); out != "waited\n" {
		w.t.Errorf("received %q", out)
	}
	w.stop(p)
}

// service starts what the unit starts, with the folders that it asks systemd for, and a socket in the place of systemd's. It has to say there what
// a unit of Type=notify has to say.
func (w *world) service(use func()) {
	w.t.Helper()
	unit, err := os.ReadFile(filepath.Join(w.root, "usr/lib/systemd/system/picket.service"))
	if err != nil {
		w.t.Fatal(err)
	}
	_, command, found := strings.Cut(string(unit), "\nExecStart=")
	command, _, _ = strings.Cut(command, "\n")
	if !found || !strings.Contains(string(unit), "\nType=notify\n") {
		w.t.Fatalf("%s", unit)
	}
	socket := filepath.Join(w.root, "run/notify")
	_ = os.Remove(socket)
	heard, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		w.t.Fatal(err)
	}
	defer heard.Close()
	if err := os.Chmod(socket, 0o666); err != nil { //nolint:gosec // the broker's user writes to it
		w.t.Fatal(err)
	}
	var mu sync.Mutex
	var said strings.Builder
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := heard.Read(buf)
			if err != nil {
				return
			}
			mu.Lock()
			said.WriteString(string(buf[:n]) + "\n")
			mu.Unlock()
		}
	}()
	says := func(word string) {
		w.t.Helper()
		soon(w.t, word, func() bool { mu.Lock(); defer mu.Unlock(); return strings.Contains(said.String(), word) })
	}
	w.run("install", "-d", "-o", "picket", "-g", "picket", "-m", "0755", "/run/picket")
	w.run("install", "-d", "-o", "picket", "-g", "picket", "-m", "0700", "/var/lib/picket")
	p := w.start([]string{"--userspec=picket:picket"}, []string{"NOTIFY_SOCKET=/run/notify", "RUNTIME_DIRECTORY=/run/picket"}, strings.Fields(command)...)
	says("READY=1")
	use()
	_, reload, _ := strings.Cut(string(unit), "\nExecReload=")
	reload, _, _ = strings.Cut(reload, "\n")
	w.run(strings.Fields(reload)...)
	says("RELOADING=1")
	w.stop(p)
	says("STOPPING=1")
}
