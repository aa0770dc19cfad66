//go:build unix

// Package testbed is what the tests share that look at picket from outside, as a program: the binary, processes that are started and ended, brokers
// with a folder and ports of their own, certificates, a raw MQTT client, and waiting for conditions.
//
// A test package that was built with the race detector tests a program that was, too. A data race that such a program reports fails the test that
// ends it, see [Process.Stop].
package testbed

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Picket returns the path of the program, built of this tree. All packages of a test run share one file: the go command builds it when a source has
// changed, and only then.
func Picket(t testing.TB) string {
	t.Helper()
	path, err := Built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Built is [Picket] for TestMain.
func Built() (path string, err error) {
	root, err := root()
	if err != nil {
		return "", err
	}
	// go test answers from its cache unless something has changed that a test has looked at, so every test looks at the sources.
	if err := lookAtSources(root); err != nil {
		return "", err
	}
	return build()
}

var build = sync.OnceValues(func() (string, error) {
	root, err := root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "bin", "test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path, args, env := filepath.Join(dir, "picket"), []string{"build"}, os.Environ()
	if Race {
		path, args, env = path+"-race", append(args, "-race"), append(env, "CGO_ENABLED=1")
	}
	lock, err := os.Create(path + ".lock") // other packages' tests want the same
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	cmd := exec.Command("go", append(args, "-o", path, "./cmd/picket")...)
	cmd.Dir, cmd.Env = root, env
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(cmd.Args[1:], " "), err, out)
	}
	return path, nil
})

// root is the folder of go.mod.
func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
	}
}

func lookAtSources(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == "bin" || strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case strings.HasSuffix(path, ".go"):
			_, err = os.Stat(path)
		}
		return err
	})
}

// Program returns the path of a program that the tests need and that a Debian package holds; where it is missing the test fails and says how to get it.
func Program(t testing.TB, name, debian string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Fatalf("%s is missing: make setup installs it (Debian's package %s)", name, debian)
	return ""
}
