package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"picket/access"
	"picket/broker"
	"picket/cause"
	"picket/internal/testbed"
	"picket/listener"
	"picket/logging"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(callSocket); path != "" {
		call(path)
		return
	}
	testbed.Main(m)
}

// statusOf answers nothing but what a broker does.
func statusOf(b *broker.Broker, path string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		about := About{Version: "1.2.3", Config: "/etc/picket.conf", LogFiles: func() []string { return nil }}
		_ = json.NewEncoder(w).Encode(about.Status(b, path))
	})
	return mux
}

// serve runs a broker with an admin socket in a folder with a short name: the path of a socket is limited.
func serve(t *testing.T) (path string, b *broker.Broker) {
	t.Helper()
	dir, err := os.MkdirTemp("", "admin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := broker.Defaults()
	c.Security[0].Anonymous = access.AnonymousLocal
	c.Listeners = []*broker.Listener{{Config: listener.Config{Address: "127.0.0.1", Protocol: listener.Auto, Source: "here"}, MaxConnections: 7}}
	log, err := logging.New(logging.Config{}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	b, err = broker.Start(c, log)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, SocketName)
	s, err := Serve(path, statusOf(b, path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); b.Close(); log.Close() })
	return path, b
}

func TestStatus(t *testing.T) {
	path, _ := serve(t)
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := s.Listeners[0]
	if s.Version != "1.2.3" || s.Config != "/etc/picket.conf" || s.PID != os.Getpid() || s.Maintenance != nil || len(s.Listeners) != 1 ||
		l.Protocol != "auto" || l.Anonymous != "local" || l.MaxConnections != 7 || len(l.Addresses) != 1 || l.Addresses[0].Port() == 0 {
		t.Errorf("%+v", s)
	}
	for lang, wants := range map[cause.Lang][]string{
		cause.English: {"Picket 1.2.3, process ", "configuration  /etc/picket.conf", "maintenance    no", "overloaded     no", l.Addresses[0].String() + "  auto  0 / 7", "page-not-built"},
		cause.Chinese: {"Picket 1.2.3，进程 ", "配置文件    /etc/picket.conf", "维护        否", "过载        否"},
	} {
		for _, want := range wants {
			if text := s.Text(lang); !strings.Contains(text, want) {
				t.Errorf("no %q in %s", want, text)
			}
		}
	}
}

// The members of the status that are numbers come from the broker's table of figures, each of them.
func TestFiguresFillTheStatus(t *testing.T) {
	_, b := serve(t)
	have := b.StatusFigures()
	(&Status{}).fill(have) // panics at a place that is no member
	var look func(prefix string, of reflect.Type)
	look = func(prefix string, of reflect.Type) {
		for i := range of.NumField() {
			f := of.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case name == "pid", name == "uptime_seconds": // of the process
			case name == "store": // the broker has none
			case f.Type.Kind() == reflect.Int, f.Type.Kind() == reflect.Int64, f.Type.Kind() == reflect.Uint64:
				if _, ok := have[prefix+name]; !ok && name != "global_max_connections" { // it is configuration
					t.Errorf("no figure has the place %s%s", prefix, name)
				}
			case name == "load":
				look(name+".", f.Type)
			}
		}
	}
	look("", reflect.TypeFor[Status]())
}

func TestTextNamesWhatIsWrong(t *testing.T) {
	s := &Status{
		Load:        Load{Short: []string{"cpu", "memory"}, Memory: 3 << 30, MemoryLimit: 20 << 30},
		Maintenance: &Maintenance{Until: time.Now().Add(time.Hour), Message: "a new disk", ServerReference: "other.example", ExceptLocal: true, Grace: 90},
		Causes:      map[cause.ID]uint64{cause.BadCredentials: 3, cause.ServerFull: 70},
	}
	text := s.Text(cause.English)
	for _, want := range []string{"short of processor, memory  [overloaded]", "until 20", "; clients are sent to other.example; let in: this machine; \"a new disk\"  [maintenance]",
		"may stay for 1m30s", "  70  server-full", "3  bad-credentials          the user name or the password is wrong", "3072 MiB of 20 GiB"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if strings.Index(text, "server-full") > strings.Index(text, "bad-credentials") {
		t.Error("the most frequent cause does not stand first")
	}
}

// The socket is the owner's alone, one that is left behind is replaced, one that is in use and one that is something else stay.
func TestSocket(t *testing.T) {
	path, _ := serve(t)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	if _, err := Serve(path, http.NotFoundHandler()); err == nil || !strings.Contains(err.Error(), "already in use") {
		t.Errorf("a second one on the same path: %v", err)
	}
	left := filepath.Join(filepath.Dir(path), "left")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: left, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	ln.Close()
	if _, err := Dial(t.Context(), left); err == nil || !strings.Contains(err.Error(), "not running any more") {
		t.Errorf("a socket that is left behind: %v", err)
	}
	s, err := Serve(left, http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Serve(file, http.NotFoundHandler()); err == nil {
		t.Error("a file was replaced")
	}
	if _, err := Serve(filepath.Join(t.TempDir(), strings.Repeat("x", 200)), http.NotFoundHandler()); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("a long path: %v", err)
	}
}

// callSocket is set for the process that calls as another user.
const callSocket = "ADMIN_TEST_CALL"

// call asks for the status and prints what comes of it.
func call(path string) {
	c, err := Dial(context.Background(), path)
	if err == nil {
		_, err = c.Status(context.Background())
	}
	fmt.Println("got:", err)
}

func TestParseTime(t *testing.T) {
	zone := time.FixedZone("here", 3600)
	now := time.Date(2026, 11, 30, 22, 15, 30, 5, zone)
	for in, want := range map[string]string{
		"2026-12-01T06:00":          "2026-12-01T06:00:00+01:00",
		"2026-12-01 06:00:30":       "2026-12-01T06:00:30+01:00",
		"2026-12-01T06:00:00Z":      "2026-12-01T06:00:00Z",
		"2026-12-01T06:00:00-05:00": "2026-12-01T06:00:00-05:00",
		"06:00":                     "2026-12-01T06:00:00+01:00",
		"23:00":                     "2026-11-30T23:00:00+01:00",
		"2h30m":                     "2026-12-01T00:45:30+01:00",
	} {
		if got, err := ParseTime(in, now); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "tomorrow", "-2h", "0s", "25:00", "2026-13-01T06:00"} {
		if got, err := ParseTime(in, now); err == nil {
			t.Errorf("%q is read as %v", in, got)
		}
	}
}
