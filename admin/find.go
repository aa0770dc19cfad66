package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"picket/cause"
)

// Every broker can be found by whoever may ask it, whatever its configuration: it leaves NUMBER.sock, with the number of its process, in a runtime
// directory. That is the admin socket itself or, where the configuration puts that elsewhere, a symbolic link to it. What a broker that was killed has
// left there is removed by the next one.

// runtimeVariable names another runtime directory in the environment, for brokers and for those who look for them.
const runtimeVariable = "PICKET_RUNTIME_DIR"

// extension ends the names in a runtime directory.
const extension = ".sock"

// Register returns where the admin socket of this process is to be, given where the configuration wants it, and leaves the name by which it is found.
// An empty want is no wish: the socket is then in the runtime directory. Call remove when the socket is closed. Where no runtime directory can be had,
// there is nothing to be found by: path is want.
func Register(want string) (path string, remove func()) {
	nothing := func() {}
	dir, ok := runtimeDir()
	if !ok {
		return want, nothing
	}
	sweep(dir)
	name := filepath.Join(dir, strconv.Itoa(os.Getpid())+extension)
	if _, err := os.Lstat(name); err == nil {
		return want, nothing // a broker in another container, which shares this directory, has this number
	}
	if want == "" {
		return name, nothing // the server removes its socket itself
	}
	target, err := filepath.Abs(want)
	if err != nil || filepath.Dir(target) == dir && filepath.Ext(target) == extension || os.Symlink(target, name) != nil {
		return want, nothing
	}
	return want, func() { _ = os.Remove(name) }
}

// runtimeDir makes the first directory that can be had.
func runtimeDir() (string, bool) {
	uid := strconv.Itoa(os.Geteuid())
	var dirs []string
	if dir := os.Getenv(runtimeVariable); dir != "" {
		dirs = append(dirs, dir)
	}
	if dir, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":"); dir != "" { // systemd has made it
		dirs = append(dirs, dir)
	}
	if uid == "0" {
		dirs = append(dirs, filepath.Dir(SystemSocket))
	} else if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		dirs = append(dirs, filepath.Join(dir, "picket"))
	}
	for _, parent := range sharedDirs() {
		dirs = append(dirs, filepath.Join(parent, "picket-"+uid))
	}
	for _, dir := range dirs {
		if os.Mkdir(dir, 0o700) == nil {
			return dir, true
		}
		if st, err := os.Lstat(dir); err == nil && st.IsDir() && mine(st) && writable(dir) {
			return dir, true
		}
	}
	return "", false
}

// sharedDirs are those in which every user may make a directory. A container whose root may not be written has the second one.
func sharedDirs() []string { return []string{os.TempDir(), "/dev/shm"} }

// sweep removes the names at which nobody answers any more.
func sweep(dir string) {
	for _, name := range names(dir) {
		conn, err := net.Dial("unix", name) //nolint:noctx // it does not wait
		if err == nil {
			_ = conn.Close()
		} else if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(name)
		}
	}
}

func names(dir string) []string {
	all, err := filepath.Glob(filepath.Join(dir, "*"+extension))
	if err != nil {
		return nil // no such pattern is written here
	}
	return all
}

// Find returns the clients of all brokers that answer: first those at paths, then those in the runtime directories of the system, of this user and, for
// root, of other users that nobody logs in as, and of who has called sudo. Where PICKET_RUNTIME_DIR names a directory, it is the only place. The error names what was tried when there is none.
func Find(ctx context.Context, paths ...string) ([]*Client, error) {
	if os.Getenv(runtimeVariable) != "" {
		paths = nil
	}
	for _, dir := range lookedAt() {
		paths = append(paths, names(dir)...)
	}
	var found []*Client
	var failed []Unanswered
	seen := make(map[string]bool)
	for _, path := range paths {
		target, err := filepath.EvalSymlinks(path)
		if err != nil {
			target = path
		}
		if seen[target] {
			continue
		}
		seen[target] = true
		if c, err := dial(ctx, path); err == nil {
			found = append(found, c)
		} else {
			failed = append(failed, Unanswered{path, err})
		}
	}
	if len(found) == 0 {
		return nil, &NotFoundError{failed}
	}
	return found, nil
}

// lookedAt are the runtime directories in which a broker is looked for.
func lookedAt() []string {
	if dir := os.Getenv(runtimeVariable); dir != "" {
		return []string{dir}
	}
	dirs := []string{filepath.Dir(SystemSocket)}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		dirs = append(dirs, filepath.Join(dir, "picket"))
	}
	if caller := os.Getenv("SUDO_UID"); caller != "" && os.Geteuid() == 0 {
		dirs = append(dirs, filepath.Join("/run/user", caller, "picket"))
	}
	for _, parent := range sharedDirs() {
		if all, err := filepath.Glob(filepath.Join(parent, "picket-*")); err == nil {
			dirs = append(dirs, slices.DeleteFunc(all, func(dir string) bool { return !believed(dir) })...)
		}
	}
	return dirs
}

// believed tells whether what is in a directory that anybody could have made is asked: not where somebody else who logs in here could answer.
func believed(dir string) bool {
	st, err := os.Lstat(dir)
	if err != nil || !st.IsDir() {
		return false
	}
	if mine(st) {
		return true
	}
	owner, known := ownerOf(st)
	if !known || os.Geteuid() != 0 {
		return false
	}
	if strconv.Itoa(owner) == os.Getenv("SUDO_UID") {
		return true
	}
	for _, name := range []string{"picket", "mosquitto"} {
		if u, err := user.Lookup(name); err == nil && u.Uid == strconv.Itoa(owner) {
			return true
		}
	}
	const firstPerson, nobody = 1000, 65534
	return owner < firstPerson || owner == nobody
}

// SeveralError: more than one broker can be asked.
type SeveralError struct{ Found []*Status }

func (e *SeveralError) Error() string { return e.In(cause.English) }

// In is the error in a language.
func (e *SeveralError) In(lang cause.Lang) string {
	var b strings.Builder
	b.WriteString(several.head.In(lang))
	for _, s := range e.Found {
		what := s.Config
		if what == "" {
			what = several.unconfigured.In(lang)
		}
		fmt.Fprintf(&b, several.one.In(lang), s.Socket, s.PID, what)
	}
	b.WriteString("\n" + several.advice.In(lang))
	return b.String()
}

var several = struct{ head, one, unconfigured, advice cause.Text }{
	head:         cause.Text{EN: "several brokers run here:", ZH: "有多个服务端在运行："},
	one:          cause.Text{EN: "\n  --socket %s  (process %d, %s)", ZH: "\n  --socket %s（进程 %d，%s）"},
	unconfigured: cause.Text{EN: "no configuration file", ZH: "没有配置文件"},
	advice:       cause.Text{EN: "Say which one is meant with --socket PATH or PICKET_SOCKET", ZH: "请用 --socket 〈路径〉 或环境变量 PICKET_SOCKET 指定其中一个"},
}
