//go:build unix

package gather

import (
	"strings"
	"testing"

	"picket/cause"
	"picket/doctor"
	"picket/doctor/host"
)

// What systemctl show printed of units in all the states that keep a broker from running, and what is made of it.
func TestUnitStates(t *testing.T) {
	const failed = "LoadState=loaded\nActiveState=failed\nSubState=failed\nUnitFileState=enabled\nMainPID=0\nConditionResult=yes\nConditionTimestampMonotonic=8123456\n"
	for name, c := range map[string]struct {
		show string
		want cause.ID
		says string // part of its meaning
		step string // part of its steps
	}{
		"failed":        {failed + "Result=exit-code\nNRestarts=0\nExecMainCode=1\nExecMainStatus=3\n", cause.BrokerNotRunning, "failed with status 3", "journalctl -u mosquitto.service"},
		"start limit":   {failed + "Result=start-limit-hit\nNRestarts=5\nExecMainCode=1\nExecMainStatus=1\n", cause.BrokerNotRunning, "does not start it any more", "reset-failed"},
		"no program":    {failed + "Result=exit-code\nNRestarts=0\nExecMainCode=1\nExecMainStatus=203\n", cause.BrokerNotRunning, "203/EXEC", "systemctl edit"},
		"no user":       {failed + "Result=exit-code\nNRestarts=0\nExecMainCode=1\nExecMainStatus=217\n", cause.BrokerNotRunning, "User= does not exist", "systemctl edit"},
		"no folder":     {failed + "Result=exit-code\nNRestarts=0\nExecMainCode=1\nExecMainStatus=226\n", cause.BrokerNotRunning, "226/NAMESPACE", "systemctl edit"},
		"a signal":      {failed + "Result=signal\nNRestarts=0\nExecMainCode=2\nExecMainStatus=9\n", cause.BrokerNotRunning, "signal 9", "journalctl"},
		"a core":        {failed + "Result=core-dump\nNRestarts=0\nExecMainCode=3\nExecMainStatus=11\n", cause.BrokerNotRunning, "signal 11", "journalctl"},
		"out of memory": {failed + "Result=oom-kill\nNRestarts=0\nExecMainCode=2\nExecMainStatus=9\n", cause.MemoryLimitOOM, "lack of memory", ""},
		"timeout":       {failed + "Result=timeout\nNRestarts=0\nExecMainCode=2\nExecMainStatus=15\n", cause.BrokerNotRunning, "did not say in time", "journalctl"},
		"watchdog":      {failed + "Result=watchdog\nNRestarts=0\nExecMainCode=2\nExecMainStatus=6\n", cause.BrokerNotRunning, "watchdog", "journalctl"},
		"masked":        {"LoadState=masked\nActiveState=inactive\nSubState=dead\nUnitFileState=masked\nResult=success\nNRestarts=0\nExecMainCode=0\nExecMainStatus=0\nConditionResult=no\nConditionTimestampMonotonic=0\nMainPID=0\n", cause.BrokerNotRunning, "masked", "systemctl unmask"},
		"a bad unit":    {"LoadState=bad-setting\nActiveState=inactive\nSubState=dead\nUnitFileState=enabled\nResult=success\nNRestarts=0\nExecMainCode=0\nExecMainStatus=0\nConditionResult=no\nConditionTimestampMonotonic=0\nMainPID=0\n", cause.BrokerNotRunning, "cannot read the unit", "systemd-analyze verify"},
		"not started":   {"LoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=disabled\nResult=success\nNRestarts=0\nExecMainCode=0\nExecMainStatus=0\nConditionResult=no\nConditionTimestampMonotonic=0\nMainPID=0\n", cause.BrokerNotRunning, "not started", "enable --now mosquitto.service"},
		"a condition":   {"LoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=enabled\nResult=success\nNRestarts=0\nExecMainCode=0\nExecMainStatus=0\nConditionResult=no\nConditionTimestampMonotonic=8123456\nMainPID=0\n", cause.BrokerNotRunning, "a condition of its unit", "systemctl edit"},
		"in circles":    {"LoadState=loaded\nActiveState=activating\nSubState=auto-restart\nUnitFileState=enabled\nResult=exit-code\nNRestarts=41\nExecMainCode=1\nExecMainStatus=3\nConditionResult=yes\nConditionTimestampMonotonic=8123456\nMainPID=0\n", cause.BrokerNotRunning, "over and over again, 41 times", "journalctl"},
	} {
		t.Run(name, func(t *testing.T) {
			s, ok := parseShow("mosquitto.service", c.show)
			if !ok {
				t.Fatal("it is taken for no unit at all")
			}
			found := host.Diagnose([]doctor.Fact{host.NoBroker{Complete: true}, host.NotListening{Port: 1883}, s})
			if len(found) == 0 || found[0].Cause != c.want || !strings.Contains(found[0].Meaning.EN, c.says) {
				t.Fatalf("%+v: got %+v", s, found)
			}
			var steps strings.Builder
			for _, f := range found {
				for _, one := range f.Steps {
					steps.WriteString(one.Lines.EN + "\n")
				}
			}
			if !strings.Contains(steps.String(), c.step) {
				t.Errorf("got the steps %q, want %q among them", &steps, c.step)
			}
			for _, text := range []string{s.Text().ZH, found[0].Meaning.ZH} {
				if text == "" || strings.Contains(text, "%!") {
					t.Errorf("in Chinese it says %q", text)
				}
			}
		})
	}
	for name, show := range map[string]string{
		"no such unit": "LoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\nResult=success\nNRestarts=0\nExecMainStatus=0\nMainPID=0\n",
		"nothing":      "",
	} {
		if s, ok := parseShow("mosquitto.service", show); ok {
			t.Errorf("%s became %+v", name, s)
		}
	}
}

// Records of the audit log and of the kernel's, as SELinux and AppArmor write them, and whether they are the reason of what there is.
func TestRecordedDenials(t *testing.T) {
	const (
		selinux  = `type=AVC msg=audit(1795574000.123:419): avc:  denied  { name_bind } for  pid=2211 comm="mosquitto" src=8884 scontext=system_u:system_r:mosquitto_t:s0 tcontext=system_u:object_r:unreserved_port_t:s0 tclass=tcp_socket permissive=0`
		key      = `type=AVC msg=audit(1795574001.001:420): avc:  denied  { open } for  pid=2212 comm="mosquitto" path="/home/ada/server.key" dev="sda1" ino=123 scontext=system_u:system_r:mosquitto_t:s0 tcontext=unconfined_u:object_r:user_home_t:s0 tclass=file permissive=0`
		noted    = `type=AVC msg=audit(1795574002.001:421): avc:  denied  { read } for  pid=2212 comm="mosquitto" name="server.key" dev="sda1" ino=123 scontext=system_u:system_r:mosquitto_t:s0 tcontext=unconfined_u:object_r:user_home_t:s0 tclass=file permissive=1`
		apparmor = `[ 8123.456789] audit: type=1400 audit(1795574003.000:55): apparmor="DENIED" operation="open" class="file" profile="/usr/sbin/mosquitto" name="/srv/certs/server.key" pid=2213 comm="mosquitto" requested_mask="r" denied_mask="r" fsuid=108 ouid=0`
		complain = `[ 8124.456789] audit: type=1400 audit(1795574004.000:56): apparmor="ALLOWED" operation="open" class="file" profile="/usr/sbin/mosquitto" name="/srv/x" pid=2213 comm="mosquitto" requested_mask="r" denied_mask="r" fsuid=108 ouid=0`
		nginx    = `type=AVC msg=audit(1795574005.001:422): avc:  denied  { name_connect } for  pid=900 comm="nginx" dest=9001 scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:unreserved_port_t:s0 tclass=tcp_socket permissive=0`
		others   = `type=AVC msg=audit(1795574006.001:423): avc:  denied  { read } for  pid=901 comm="sshd" name="x" scontext=a tcontext=b tclass=file permissive=0`
	)
	for name, c := range map[string]struct {
		log  string
		what string // what was forbidden; empty: nothing of a broker's
		want cause.ID
	}{
		"a port (SELinux)":         {selinux, "name_bind tcp_socket 8884", cause.SELinuxDenied},
		"a file (SELinux)":         {key, "open file /home/ada/server.key", cause.SELinuxDenied},
		"noted only (SELinux)":     {noted, "read file server.key", ""},
		"nginx to the broker":      {nginx, "name_connect tcp_socket 9001", cause.SELinuxDenied},
		"a file (AppArmor)":        {apparmor, "open /srv/certs/server.key", cause.AppArmorDenied},
		"noted only (AppArmor)":    {complain, "open /srv/x", ""},
		"something else's affairs": {others, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			facts := []doctor.Fact{host.NoBroker{Complete: true}, host.NotListening{Port: 1883}}
			all := parseDenials(c.log + "\n" + c.log + "\n")
			if c.what == "" {
				if len(all) > 0 {
					t.Errorf("got %+v", all)
				}
				return
			}
			if len(all) != 1 || all[0].What != c.what || all[0].Count != 2 {
				t.Fatalf("got %+v", all)
			}
			found := host.Diagnose(append(facts, all[0]))
			if c.want == "" {
				c.want = cause.BrokerNotRunning // what is noted only forbids nothing
			}
			if len(found) == 0 || found[0].Cause != c.want {
				t.Errorf("got %+v", found)
			}
		})
	}
}

// What the files of a unit keep from the broker, or the broker from. The recorded machine's broker is one of mosquitto.service.
func TestUnitFiles(t *testing.T) {
	const unit, beside = "lib/systemd/system/mosquitto.service", "etc/systemd/system/mosquitto.service.d/"
	const own = "[Unit]\nDescription=x\n[Service]\nExecStart=/usr/sbin/mosquitto -c /etc/mosquitto/mosquitto.conf\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  cause.ID
	}{
		"nothing said":                  {map[string]string{unit: own}, ""},
		"nobody from outside":           {map[string]string{unit: own, beside + "a.conf": "[Service]\nIPAddressDeny=any\nIPAddressAllow=localhost\n"}, cause.HostFirewallDrop},
		"nobody, and everybody":         {map[string]string{unit: own, beside + "a.conf": "[Service]\nIPAddressDeny=any\nIPAddressAllow=any\n"}, ""},
		"nobody, and taken back":        {map[string]string{unit: own + "IPAddressDeny=any\n", beside + "b.conf": "[Service]\nIPAddressDeny=\n"}, ""},
		"said in another section":       {map[string]string{unit: own + "[Install]\nIPAddressDeny=any\n"}, ""},
		"no home":                       {map[string]string{unit: own + "ProtectHome=yes\n", "etc/mosquitto/mosquitto.conf": "listener 1883\npassword_file /home/me/passwords\n"}, cause.ConfigUnreadable},
		"a home to read":                {map[string]string{unit: own + "ProtectHome=read-only\n", "etc/mosquitto/mosquitto.conf": "listener 1883\npassword_file /home/me/passwords\n"}, ""},
		"a folder out of sight":         {map[string]string{unit: own + "InaccessiblePaths=-/srv/secret /mnt\n", "etc/mosquitto/mosquitto.conf": "listener 1883\npassword_file /srv/secret/p\n"}, cause.ConfigUnreadable},
		"the administrator's unit wins": {map[string]string{unit: own + "IPAddressDeny=any\n", "etc/systemd/system/mosquitto.service": own}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := machine(t)
			c.files["run/systemd/system/x"] = ""
			change(t, root, c.files)
			facts, err := Gather(t.Context(), Options{Root: root, Metadata: "http://127.0.0.1:1", Run: answers{}.run})
			if err != nil {
				t.Fatal(err)
			}
			units := all[host.Unit](facts)
			if len(units) != 1 || units[0].Config != "/etc/mosquitto/mosquitto.conf" || units[0].Outcome() != map[bool]doctor.Outcome{true: doctor.Good, false: doctor.Bad}[c.want == ""] {
				t.Fatalf("got %+v", units)
			}
			found := false
			for _, f := range host.Diagnose([]doctor.Fact{units[0]}) {
				if found = found || f.Cause == c.want; strings.Contains(f.Meaning.EN+f.Meaning.ZH, "%!") || f.Meaning.ZH == "" || len(f.Steps) == 0 {
					t.Errorf("%s: %+v", f.Cause, f)
				}
			}
			if found != (c.want != "") {
				t.Errorf("want %q, got %+v", c.want, host.Diagnose([]doctor.Fact{units[0]}))
			}
		})
	}
	asked := host.Config{File: "/home/me/m.conf", Program: "mosquitto", Listeners: []host.ConfigListener{{Port: 1883, Passwords: true}}}
	found := host.Diagnose([]doctor.Fact{host.NoBroker{Complete: true}, host.NotListening{Port: 1883}, host.Unit{Unit: "mosquitto.service", Config: "/etc/mosquitto/mosquitto.conf"}, asked})
	if len(found) != 2 || found[1].Cause != cause.ConfigNotLoaded {
		t.Errorf("another file is asked about than the unit's: got %+v", found)
	}
}

// A folder that the packages' unit or script makes at each start is not missing; another one is.
func TestFoldersMadeAtStart(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  bool
	}{
		"nothing makes it":    {nil, false},
		"Debian's unit":       {map[string]string{"lib/systemd/system/mosquitto.service": "[Service]\nExecStartPre=/bin/mkdir -m 740 -p /run/mosquitto\n"}, true},
		"the administrator's": {map[string]string{"etc/systemd/system/mosquitto.service": "[Service]\nExecStartPre=/bin/mkdir -p /run/mosquitto\n"}, true},
		"a script for init":   {map[string]string{"etc/init.d/mosquitto": "mkdir -p /run/mosquitto\n"}, true},
		"another folder":      {map[string]string{"lib/systemd/system/mosquitto.service": "[Service]\nExecStartPre=/bin/mkdir -p /run/mosquitto2\n"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			root := machine(t)
			change(t, root, c.files)
			g := &gatherer{Options: Options{Root: root}}
			if got := g.madeAtStart("/run/mosquitto"); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
