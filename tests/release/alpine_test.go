//go:build linux

package release

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestAPK looks into the package for Alpine, which nothing in Debian can install: it has the program, the service for OpenRC and the scripts under the
// names that apk runs them by, and a shell can read each of them.
func TestAPK(t *testing.T) {
	f, err := os.Open(result(t, "picket-[0-9]*-linux-amd64.apk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f) // its parts follow one another and are one archive
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{
		"usr/bin/picket": 0o755, "etc/init.d/picket": 0o755, "etc/picket/picket.conf": 0o644, "usr/share/man/man1/picket-serve.1.gz": 0o644,
		".pre-install": 0o755, ".post-install": 0o755, ".post-upgrade": 0o755, ".pre-deinstall": 0o755, ".post-deinstall": 0o755,
	}
	for all := tar.NewReader(unpacked); ; {
		h, err := all.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		mode, ours := want[h.Name]
		if !ours {
			continue
		}
		delete(want, h.Name)
		if h.Mode&0o7777 != mode || h.Uid != 0 || h.Gid != 0 {
			t.Errorf("%s: mode %o, user %d, group %d", h.Name, h.Mode, h.Uid, h.Gid)
		}
		if strings.HasPrefix(h.Name, ".") || h.Name == "etc/init.d/picket" {
			sh := exec.Command("sh", "-n")
			sh.Stdin = all
			if out, err := sh.CombinedOutput(); err != nil {
				t.Errorf("%s: %v, %s", h.Name, err, out)
			}
		}
	}
	for name := range want {
		t.Errorf("there is no %s", name)
	}
}
