//go:build linux

// Package release tries what people install, as "make test-release" has built it: the container image's files as a root folder, and the packages in a
// Debian root. It needs root.
package release

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/internal/testbed"
)

// folder is one that the environment names.
func folder(t testing.TB, variable string) string {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" {
		t.Fatalf("%s has to name a folder: make test-release", variable)
	}
	return dir
}

// result is the file of the release with this ending.
func result(t testing.TB, pattern string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(folder(t, "PICKET_DIST"), pattern))
	if err != nil || len(all) != 1 {
		t.Fatalf("%s: %v, %v", pattern, all, err)
	}
	return all[0]
}

// world is a root folder that programs run in, in a network of their own.
type world struct {
	t    testing.TB
	root string
	net  string
}

// newWorld makes the network. The root folder gets /proc.
func newWorld(t testing.TB, root string) *world {
	t.Helper()
	w := &world{t: t, root: root, net: fmt.Sprintf("picketrel%d", os.Getpid())}
	w.host("ip", "netns", "add", w.net)
	t.Cleanup(func() { w.host("ip", "netns", "del", w.net) })
	w.host("ip", "-n", w.net, "link", "set", "lo", "up")
	w.mount("-t", "proc", "proc", "/proc")
	if err := os.WriteFile(filepath.Join(root, "etc/hosts"), []byte("127.0.0.1 localhost\n"), 0o644); err != nil { //nolint:gosec // engines and installers make it, for everybody
		t.Fatal(err)
	}
	return w
}

// mount mounts something into the root folder until the test ends.
func (w *world) mount(args ...string) {
	w.t.Helper()
	at := filepath.Join(w.root, args[len(args)-1])
	if err := os.MkdirAll(at, 0o755); err != nil && !os.IsExist(err) {
		w.t.Fatal(err)
	}
	w.host("mount", append(args[:len(args)-1:len(args)-1], at)...)
	w.t.Cleanup(func() { w.host("umount", at) })
}

// host runs a command outside of the root folder.
func (w *world) host(name string, args ...string) string {
	w.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// command is one in the root folder. Nothing of the environment gets in.
func (w *world) command(options []string, args ...string) *exec.Cmd {
	c := exec.Command("ip", append(append([]string{"netns", "exec", w.net, "chroot"}, options...), append([]string{w.root}, args...)...)...)
	c.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive"}
	return c
}

// try runs a command in the root folder.
func (w *world) try(args ...string) (string, error) {
	out, err := w.command(nil, args...).CombinedOutput()
	return string(out), err
}

// run runs one that has to succeed.
func (w *world) run(args ...string) string {
	w.t.Helper()
	out, err := w.try(args...)
	if err != nil {
		w.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return out
}

// start starts a program in the root folder and waits until the broker in it is healthy.
func (w *world) start(options []string, env []string, args ...string) *testbed.Process {
	w.t.Helper()
	c := w.command(options, args...)
	c.Env = append(c.Env, env...)
	p, err := testbed.Launch(c, filepath.Join(w.t.TempDir(), "log"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = p.Kill() }) // it has ended, unless the test has failed
	testbed.Eventually(w.t, func() error {
		if p.Ended() {
			w.t.Fatalf("%v has ended: %s", args, p.End())
		}
		if out, err := w.try("picket", "ctl", "health"); err != nil {
			return fmt.Errorf("%w: %s\n%s", err, out, p.End())
		}
		return nil
	})
	return p
}

// stop ends a program as a container engine or systemd does.
func (w *world) stop(p *testbed.Process) {
	w.t.Helper()
	if err := p.Stop(); err != nil {
		w.t.Error(err)
	}
}

// hello sends a message to the broker and has it back, with the clients' names of mosquitto.
func (w *world) hello(pub, sub string) {
	w.t.Helper()
	w.run(append(strings.Fields(pub), "-r", "-q", "1", "-t", "home/garden", "-m", "hello")...)
	if out := w.run(append(strings.Fields(sub), "-t", "home/garden", "-C", "1", "-W", "30")...); out != "hello\n" {
		w.t.Errorf("received %q", out)
	}
}

// image is what the tests look at of an image's configuration.
type image struct {
	Config struct {
		Env, Entrypoint, Cmd []string
		Volumes              map[string]struct{}
		Healthcheck          struct{ Test []string }
	} `json:"config"`
}

type descriptor struct{ Digest string }

// unpack unpacks the layers of an OCI archive into a folder.
func unpack(t testing.TB, archive, root string) (c image) {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(context.Background(), "tar", "xf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	read := func(name string, into any) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = json.Unmarshal(data, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	blob := func(d descriptor) string { return "blobs/" + strings.Replace(d.Digest, ":", "/", 1) }
	var index struct{ Manifests []descriptor }
	read("index.json", &index) // names the image, which is an index of those for each processor
	read(blob(index.Manifests[0]), &index)
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	read(blob(index.Manifests[0]), &manifest)
	read(blob(manifest.Config), &c)
	for _, l := range manifest.Layers {
		unpackLayer(t, filepath.Join(dir, blob(l)), root)
	}
	return c
}

func unpackLayer(t testing.TB, layer, root string) {
	t.Helper()
	f, err := os.Open(layer)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err == nil {
			err = place(r, h, filepath.Join(root, filepath.FromSlash(h.Name)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// place makes one file of a layer, with its owner and mode.
func place(r io.Reader, h *tar.Header, at string) error {
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		if err := os.Mkdir(at, 0o755); err != nil && !os.IsExist(err) {
			return err
		}
	case tar.TypeSymlink:
		return os.Symlink(h.Linkname, at)
	default:
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := os.WriteFile(at, data, 0o600); err != nil {
			return err
		}
	}
	if err := os.Chown(at, h.Uid, h.Gid); err != nil {
		return err
	}
	return os.Chmod(at, os.FileMode(h.Mode).Perm())
}

// soon waits for a condition.
func soon(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(testbed.Patience); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never happens: %s", what)
		}
	}
}
