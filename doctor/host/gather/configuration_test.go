package gather

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"picket/access"
	"picket/doctor/host"
	"picket/mosqconf"
)

// Users that were changed after the broker had started are told, and not those that its first start made itself, however long that took.
func TestChangedAfterTheStart(t *testing.T) {
	const started = 1_700_000_000
	dir := t.TempDir()
	file := func(name string, after int64) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Unix(started+after, 0)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	before, soon, later := file("before", -100), file("soon", 10), file("later", 100)
	for _, c := range []struct {
		password, acl, data string
		want                []string
	}{
		{before, "", "", nil},
		{before, later, "", []string{later}},
		{soon, later, "", []string{soon, later}},
		{soon, before, dir, nil},
		{later, "", dir, []string{later}},
		{dir + "/missing", "", "", nil},
	} {
		config := &mosqconf.Config{DataDir: c.data}
		config.Security = []access.Config{{PasswordFile: c.password, ACLFile: c.acl}}
		if got, _ := stale(config, "", &process{fact: host.Broker{Started: started}}); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// A listener for whoever runs the broker is not asked whether it speaks MQTT.
func TestManagementIsSetAside(t *testing.T) {
	file := filepath.Join(t.TempDir(), "picket.conf")
	if err := os.WriteFile(file, []byte("listener 1884 127.0.0.1\nallow_anonymous true\nlistener 9884 127.0.0.1\nprotocol http_api\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &gatherer{}
	g.configuration("picket", file, "", nil)
	if !g.management[9884] || g.management[1884] || slices.Contains(g.ports, 9884) || !slices.Contains(g.ports, 1884) {
		t.Errorf("set aside: %v; looked at: %v", g.management, g.ports)
	}
	sockets := map[uint64]bool{1: true, 2: true}
	for _, port := range []int{1884, 9884} {
		if want := port == 1884; g.forClients(&process{inodes: sockets}, socket{port: port, inode: 1}) != want {
			t.Errorf("port %d is looked at: %t", port, !want)
		}
	}
}
