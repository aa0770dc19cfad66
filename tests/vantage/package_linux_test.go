package vantage

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	debian  = flag.String("debian", "", "a folder with a Debian root, for the test of the package")
	archive = flag.String("deb", "", "the package picket-*-linux-amd64.deb")
)

// debianRoot is a root folder with the package, on a server. There is no systemd in it: the test does what the unit says.
type debianRoot struct {
	c    *cloudServer
	path string
}

// newDebianRoot lays a folder over Debian's, so that what is installed is gone with the test.
func newDebianRoot(c *cloudServer) *debianRoot {
	c.t.Helper()
	r := &debianRoot{c, filepath.Join(c.server.dir(), "root")}
	upper, work := r.path+"-upper", r.path+"-work"
	for _, dir := range []string{r.path, upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			c.t.Fatal(err)
		}
	}
	if out, err := exec.Command("mount", "-t", "overlay", "-o", "lowerdir="+*debian+",upperdir="+upper+",workdir="+work, "overlay", r.path).CombinedOutput(); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
	c.t.Cleanup(func() { _ = exec.Command("umount", r.path).Run() })
	for from, to := range map[string]string{*archive: "picket.deb", c.trust: "trust.pem"} {
		data, err := os.ReadFile(from)
		if err != nil {
			c.t.Fatal(err)
		}
		write(c.t, filepath.Join(r.path, "tmp", to), string(data), 0o644)
	}
	return r
}

// words make a command one in the root folder, with the server's firmware and names, and nothing of this environment.
func (r *debianRoot) words(args ...string) []string {
	in := []string{"sh", "-c", `touch "$1/etc/hosts" && mount -t proc proc "$1/proc" && mount --rbind /sys "$1/sys" && mount --bind /etc/hosts "$1/etc/hosts" && exec chroot "$@"`, "sh", r.path,
		"env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=en_US.UTF-8", "SSL_CERT_FILE=/tmp/trust.pem", "RUNTIME_DIRECTORY=/run/picket"}
	return slices.Concat(in, args)
}

// run is a command that root types.
func (r *debianRoot) run(args ...string) *terminal {
	r.c.t.Helper()
	said := new(terminal)
	cmd := r.c.server.command(slices.Concat(firmware, r.words(args...))...)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		r.c.t.Fatalf("%v: %v: %s", args, err, said)
	}
	return said
}

// service starts the broker as the unit has systemd do it: as its user, with that one right of root.
func (r *debianRoot) service(until string) (said *terminal, stop func()) {
	r.c.t.Helper()
	unit, err := os.ReadFile(filepath.Join(r.path, "usr/lib/systemd/system/picket.service"))
	if err != nil {
		r.c.t.Fatal(err)
	}
	start := regexp.MustCompile(`(?m)^ExecStart=(.*)$`).FindSubmatch(unit)
	if start == nil || !strings.Contains(string(unit), "\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n") || !strings.Contains(string(unit), "\nRuntimeDirectory=picket\n") {
		r.c.t.Fatalf("%s", unit)
	}
	r.run("install", "-d", "-o", "picket", "-g", "picket", "-m", "0755", "/run/picket")
	user := []string{"setpriv", "--reuid=picket", "--regid=picket", "--clear-groups", "--no-new-privs",
		"--bounding-set=-all,+net_bind_service", "--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service"}
	return r.c.broker(until, r.words(slices.Concat(user, strings.Fields(string(start[1])))...)...)
}

// The same from the package: it is installed, and what is printed is followed.
func TestPackageToPhone(t *testing.T) {
	if *debian == "" {
		t.Skip("make test-release runs it: it needs a package and a Debian root")
	}
	c := newCloudServer(t)
	r := newDebianRoot(c)

	c.step("dpkg -i picket-...-linux-amd64.deb")
	said := r.run("dpkg", "-i", "/tmp/picket.deb")
	t.Logf("printed:\n%s", said)
	show := strings.Fields(c.printed(said, `"sudo (picket show)" says what to enter on a phone`))
	_, stop := r.service(" running")

	c.step("sudo picket show")
	said = r.run(show...)
	t.Logf("printed:\n%s", said)
	c.printed(said, `(?m)^    host      (`+regexp.QuoteMeta(publicAddress)+`)$`)
	note := c.printed(said, `(?m)^    password  in the file (\S+)$`)
	opened := c.printed(said, `open TCP port (\d+) to the internet in the console of Alibaba Cloud`)
	challenge := c.printed(said, `certificate that phones trust by themselves, open TCP port (\d+) as well`)
	line, file := c.printed(said, `add the line "([^"]+)"`), c.printed(said, `(?m)^(/\S+), and restart the broker`)
	c.printed(said, `(sudo systemctl restart picket)`)

	c.step("in the console: TCP ports %s and %s are opened; %q into %s; sudo systemctl restart picket", opened, challenge, line, file)
	c.nat.filter(group(opened, challenge))
	r.run("sh", "-c", `echo "$1" >> "$2"`, "sh", line, file)
	stop()
	log, _ := r.service("There is a certificate of a public authority for " + publicAddress)
	c.waitFor(log, "The new configuration is in force.")

	c.step("sudo picket show")
	said = r.run(show...)
	t.Logf("printed:\n%s", said)
	c.printed(said, `(?m)^    TLS       (on)$`)
	password, err := os.ReadFile(filepath.Join(r.path, note))
	if err != nil {
		t.Fatal(err)
	}
	c.message(said, strings.TrimSpace(string(password)))
}
