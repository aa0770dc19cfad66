//go:build unix

package admin

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// runtime gives the test a runtime directory of its own.
func runtime(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "run") // the path of a socket is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv(runtimeVariable, dir)
	return dir
}

// A broker is found, whether its configuration names a socket or not, once; what others have left is removed.
func TestFind(t *testing.T) {
	for _, wished := range []bool{false, true} {
		t.Run("wished "+strconv.FormatBool(wished), func(t *testing.T) {
			dir := runtime(t)
			left, dangling := filepath.Join(dir, "999999999.sock"), filepath.Join(dir, "999999998.sock")
			ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: left, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			ln.SetUnlinkOnClose(false)
			ln.Close()
			if err := os.Symlink(filepath.Join(dir, "nothing"), dangling); err != nil {
				t.Fatal(err)
			}
			if _, err := Find(t.Context()); err == nil || !strings.Contains(err.Error(), "not running any more") {
				t.Errorf("nobody is there: %v", err)
			}
			want := ""
			if wished {
				want = filepath.Join(dir, "wished")
			}
			path, remove := Register(want)
			if wished && path != want || filepath.Dir(path) != dir {
				t.Errorf("the socket is to be at %s", path)
			}
			_, b := serve(t)
			s, err := Serve(path, statusOf(b, path))
			if err != nil {
				t.Fatal(err)
			}
			found, err := Find(t.Context())
			if err != nil || len(found) != 1 {
				t.Fatalf("found %v, %v", found, err)
			}
			st, err := found[0].Status(t.Context())
			if err != nil || st.PID != os.Getpid() || st.Socket != path {
				t.Errorf("%+v, %v", st, err)
			}
			s.Close()
			remove()
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
				t.Errorf("at the end there is %v, %v", entries, err)
			}
		})
	}
}

// A directory that anybody could have made counts only when it is this user's.
func TestForeignRuntimeDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "picket-1")
	if err := os.Symlink(t.TempDir(), dir); err != nil {
		t.Fatal(err)
	}
	if believed(dir) || believed(dir+"-missing") {
		t.Error("a link or nothing is believed")
	}
	if own := t.TempDir(); !believed(own) {
		t.Error("the own directory is not believed")
	}
	t.Setenv(runtimeVariable, dir)
	t.Setenv("RUNTIME_DIRECTORY", "")
	if made, ok := runtimeDir(); made == dir {
		t.Errorf("%s, %v is used", made, ok)
	}
}
