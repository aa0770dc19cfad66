//go:build linux

package release

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestImage runs the image's files as a container engine does, but for the engine.
func TestImage(t *testing.T) {
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	c := unpack(t, result(t, "picket-*-image.oci.tar"), root)
	w := newWorld(t, root)
	for _, dir := range []string{"dev", "dev/shm"} { // engines make them
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(c.Config.Healthcheck.Test, " ") != "CMD picket ctl health" {
		t.Errorf("the health check is %v", c.Config.Healthcheck.Test)
	}
	begin := func(args ...string) []string { return append(append([]string{}, c.Config.Entrypoint...), args...) }

	t.Run("nothing mounted", func(t *testing.T) {
		w := &world{t, root, w.net}
		p := w.start(nil, c.Config.Env, begin(c.Config.Cmd...)...)
		if uid := owner(t, "/proc/"+strconv.Itoa(p.Cmd.Process.Pid)); uid != 1883 {
			t.Errorf("it runs as user %d", uid)
		}
		w.hello("mosquitto_pub", "mosquitto_sub")
		if uid := owner(t, filepath.Join(root, "mosquitto/data/first-password")); uid != 1883 {
			t.Errorf("the first password is user %d's", uid)
		}
		if out := w.run("picket", "show"); !strings.Contains(out, "first-password") {
			t.Errorf("picket show: %s", out)
		}
		p.Signal(syscall.SIGHUP)
		soon(t, "a reload", func() bool { return strings.Contains(p.Said(), "The new configuration is in force") })
		w.stop(p)
		if out, err := w.try("picket", "ctl", "health"); err == nil {
			t.Errorf("healthy after its end: %s", out)
		}
		// What it has kept is there again.
		p = w.start(nil, c.Config.Env, begin(c.Config.Cmd...)...)
		if out := w.run("mosquitto_sub", "-t", "home/garden", "-C", "1", "-W", "30"); out != "hello\n" {
			t.Errorf("after a restart there is %q", out)
		}
		w.stop(p)
	})
	t.Run("everybody may do everything", func(t *testing.T) {
		w := &world{t, root, w.net}
		p := w.start(nil, c.Config.Env, begin("/usr/sbin/mosquitto", "-c", "/mosquitto-no-auth.conf")...)
		w.hello("mosquitto_pub", "mosquitto_sub")
		w.stop(p)
	})
	t.Run("a root that may not be written, a user from the start, a configuration of one's own", func(t *testing.T) {
		w := &world{t, root, w.net}
		conf := "listener 1883\nallow_anonymous true\npersistence true\npersistence_location /mosquitto/data/\nlog_dest stdout\nlog_dest file /mosquitto/log/mosquitto.log\n"
		if err := os.WriteFile(filepath.Join(root, "mosquitto/config/mosquitto.conf"), []byte(conf), 0o644); err != nil { //nolint:gosec // for the broker's user
			t.Fatal(err)
		}
		w.host("mount", "--bind", root, root)
		t.Cleanup(func() { w.host("umount", "-l", root) })
		w.host("mount", "-o", "remount,bind,ro", root)
		for at := range c.Config.Volumes {
			w.mount("-t", "tmpfs", "-o", "uid=1883,gid=1883", "tmpfs", at)
		}
		w.mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", "/dev/shm") // as engines do
		if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o600); err == nil {
			t.Fatal("the root can be written")
		}
		p := w.start([]string{"--userspec=1883:1883"}, c.Config.Env, begin(c.Config.Cmd...)...)
		w.hello("mosquitto_pub", "mosquitto_sub")
		if out := w.run("picket", "ctl", "logs", "-n", "100"); !strings.Contains(out, "running") {
			t.Errorf("picket ctl logs: %s", out)
		}
		w.stop(p)
	})
	for _, name := range []string{"mosquitto", "mosquitto_passwd", "mosquitto_rr"} {
		if out, err := w.try(name, "--help"); !strings.Contains(out, "Usage") {
			t.Errorf("%s --help: %v, %s", name, err, out)
		}
	}
}

// owner is the user that a file, or a process' folder, belongs to.
func owner(t testing.TB, path string) uint32 {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Sys().(*syscall.Stat_t).Uid
}
