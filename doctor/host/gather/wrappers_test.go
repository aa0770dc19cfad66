//go:build unix

package gather

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"picket/cause"
	"picket/doctor/host"
	"picket/mosqconf"
)

// What the files of TCP wrappers say to strangers: the first line that holds for them decides.
func TestWrapperRules(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		deny bool // what the file says by itself
		rule string
		want bool
		some int
	}{
		"an empty one":                {"", true, "", false, 0},
		"remarks":                     {"# mosquitto: ALL\n\n", true, "", false, 0},
		"all":                         {"ALL: ALL\n", true, "ALL: ALL", true, 0},
		"the broker":                  {"sshd: ALL\nmosquitto, proftpd : ALL\n", true, "mosquitto, proftpd : ALL", true, 0},
		"another program":             {"sshd: ALL\n", true, "", false, 0},
		"all but the broker":          {"ALL EXCEPT mosquitto: ALL\n", true, "", false, 0},
		"all but some":                {"ALL: ALL EXCEPT 192.168.0.0/255.255.0.0\n", true, "ALL: ALL EXCEPT 192.168.0.0/255.255.0.0", true, 0},
		"PARANOID, as Debian has it":  {"ALL: PARANOID\n", true, "", false, 0},
		"this machine":                {"ALL: 127.0.0.1 [::1] localhost\n", false, "", false, 0},
		"a network":                   {"mosquitto: 192.168.1.\n", false, "", false, 1},
		"an address of IPv6":          {"mosquitto: [2001:db8::]/64\n", false, "", false, 1},
		"everybody may":               {"mosquitto: ALL\n", false, "mosquitto: ALL", false, 0},
		"turned round by an option":   {"mosquitto: ALL: DENY\n", false, "mosquitto: ALL: DENY", true, 0},
		"turned round, the other way": {"mosquitto: ALL : allow\n", true, "mosquitto: ALL : allow", false, 0},
		"at an address of its own":    {"mosquitto@203.0.113.10: ALL\n", true, "mosquitto@203.0.113.10: ALL", true, 0},
		"over two lines":              {"mosquitto: \\\n ALL\n", true, "mosquitto:   ALL", true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			rule, deny, some := wrapperRule(c.text, "mosquitto", c.deny)
			if rule != c.rule || deny != c.want || len(some) != c.some {
				t.Errorf("got %q, %v and %q, want %q, %v and %d more", rule, deny, some, c.rule, c.want, c.some)
			}
		})
	}
}

// change writes files of a recorded machine anew.
func change(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// The broker of the recorded machine, with what the system's files do to it.
func TestWhatHoldsABrokerBack(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  cause.ID
		never cause.ID
	}{
		"TCP wrappers": {map[string]string{"proc/100/maps": "7f00-7f01 r-xp 0 08:01 1 /usr/lib/libwrap.so.0.7.6\n", "etc/hosts.deny": "ALL: ALL\n"}, cause.RateLimitOrBan, ""},
		"TCP wrappers that let in": {map[string]string{"proc/100/maps": "7f00-7f01 r-xp 0 08:01 1 /usr/lib/libwrap.so.0.7.6\n", "etc/hosts.deny": "ALL: ALL\n",
			"etc/hosts.allow": "mosquitto: ALL\n"}, "", cause.RateLimitOrBan},
		"TCP wrappers that nobody asks": {map[string]string{"proc/100/maps": "7f00-7f01 r-xp 0 08:01 1 /usr/lib/libc.so.6\n", "etc/hosts.deny": "ALL: ALL\n"}, "", cause.RateLimitOrBan},
		"a share of the processor": {map[string]string{"sys/fs/cgroup/system.slice/mosquitto.service/cpu.max": "1000 100000\n",
			"sys/fs/cgroup/system.slice/mosquitto.service/cpu.stat": "usage_usec 5\nnr_periods 50\nnr_throttled 49\n"}, cause.Overloaded, ""},
		"a share that is enough": {map[string]string{"sys/fs/cgroup/system.slice/mosquitto.service/cpu.max": "100000 100000\n",
			"sys/fs/cgroup/system.slice/mosquitto.service/cpu.stat": "nr_periods 50\nnr_throttled 1\n"}, "", cause.Overloaded},
		"a share, in a group of the first kind": {map[string]string{"proc/100/cgroup": "3:cpu,cpuacct:/slow\n1:name=systemd:/system.slice/mosquitto.service\n",
			"sys/fs/cgroup/cpu,cpuacct/slow/cpu.cfs_quota_us": "1000\n", "sys/fs/cgroup/cpu,cpuacct/slow/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpu,cpuacct/slow/cpu.stat": "nr_periods 9\nnr_throttled 8\nthrottled_time 7\n"}, cause.Overloaded, ""},
		"no share, in a group of the first kind": {map[string]string{"proc/100/cgroup": "3:cpu,cpuacct:/slow\n", "sys/fs/cgroup/cpu,cpuacct/slow/cpu.cfs_quota_us": "-1\n",
			"sys/fs/cgroup/cpu,cpuacct/slow/cpu.cfs_period_us": "100000\n"}, "", cause.Overloaded},
	} {
		t.Run(name, func(t *testing.T) {
			root := machine(t)
			change(t, root, c.files)
			facts, err := Gather(t.Context(), Options{Root: root, Metadata: "http://127.0.0.1:1", Run: answers{}.run})
			if err != nil {
				t.Fatal(err)
			}
			found := make(map[cause.ID]host.Broker)
			for _, f := range host.Diagnose(facts) {
				found[f.Cause] = host.Broker{}
				if f.Meaning.ZH == "" && f.Cause == c.want || strings.Contains(f.Meaning.ZH+f.Meaning.EN, "%!") {
					t.Errorf("%s: it says %+v", f.Cause, f.Meaning)
				}
			}
			if _, is := found[c.want]; c.want != "" && !is {
				t.Errorf("%s is not found: %v", c.want, found)
			}
			if _, is := found[c.never]; is {
				t.Errorf("%s is found", c.never)
			}
		})
	}
}

// A limit of a control group of the first kind is read, and a number that is above all memory is none.
func TestMemoryLimit(t *testing.T) {
	for number, want := range map[string]uint64{"6291456": 6291456, "9223372036854771712": 0} {
		root := machine(t)
		change(t, root, map[string]string{"proc/100/cgroup": "4:memory:/small\n", "sys/fs/cgroup/memory/small/memory.limit_in_bytes": number + "\n"})
		facts, err := Gather(t.Context(), Options{Root: root, Metadata: "http://127.0.0.1:1", Run: answers{}.run})
		if err != nil {
			t.Fatal(err)
		}
		if m := all[host.Memory](facts); len(m) != 1 || m[0].Limit != want {
			t.Errorf("%s: got %+v", number, m)
		}
	}
}

// What mosquitto does not take, though Picket does or says it in another place.
func TestPeculiar(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []cause.ID
		line int
	}{
		"all is well":                {"listener 1883\nuser root\npassword_file /etc/passwd\n", nil, 0},
		"a byte order mark":          {"\ufefflistener 1883\n", []cause.ID{cause.ConfigUnknownDirective}, 1},
		"UTF-16":                     {"\xff\xfel\x00i\x00", []cause.ID{cause.ConfigUnknownDirective}, 1},
		"nobody of that name":        {"listener 1883\nuser picket-nobody-has-this\n", []cause.ID{cause.ConfigInvalidValue}, 2},
		"a folder for a file":        {"listener 1883\n\npassword_file /etc\n", []cause.ID{cause.ConfigUnreadable}, 3},
		"a folder for the list":      {"acl_file /etc\n", []cause.ID{cause.ConfigUnreadable}, 1},
		"a file without its folder":  {"listener 1883\npassword_file passwords-of-nobody\n", []cause.ID{cause.ConfigUnreadable}, 2},
		"a key without its folder":   {"listener 8883\nkeyfile certs/nobody.key\n", []cause.ID{cause.KeyUnreadable}, 2},
		"a plugin that is not there": {"plugin /usr/lib/nobody.so\n", []cause.ID{cause.ConfigUnreadable}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "mosquitto.conf")
			change(t, filepath.Dir(file), map[string]string{"mosquitto.conf": c.text})
			var got []cause.ID
			for _, p := range new(gatherer).peculiar([]string{file}, "", false) {
				if got = append(got, p.Cause); p.Line != c.line || p.File != file {
					t.Errorf("it is said to be at %s:%d", p.File, p.Line)
				}
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	dir := t.TempDir()
	change(t, dir, map[string]string{"mosquitto.conf": "connection cloud\naddress a.test:8883\ntopic #\nconnection near\naddress a.test\ntopic #\nconnection safe\naddress a.test:8883\nbridge_capath /etc\ntopic #\n"})
	config, _ := mosqconf.Read(filepath.Join(dir, "mosquitto.conf"))
	if got := plainBridges(config); !reflect.DeepEqual(got, []string{"cloud to a.test:8883"}) {
		t.Errorf("bridges without TLS: %q", got)
	}
}
