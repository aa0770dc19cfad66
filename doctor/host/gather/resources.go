package gather

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"picket/doctor/host"
	"picket/logging"
)

// resources tells of memory and disks.
func (g *gatherer) resources() {
	g.memory()
	seen := make(map[string]bool)
	look := func(what, dir string) {
		if dir == "" || seen[dir] {
			return
		}
		seen[dir] = true
		if d, err := diskOf(dir); err == nil {
			d.Path, d.What = strings.TrimPrefix(dir, g.Root), what
			g.add(d)
		}
	}
	for _, c := range g.configs {
		for _, d := range c.config.Log.Dest {
			if d.Kind == logging.File {
				look("log", filepath.Dir(inside(c.root, d.Path)))
			}
		}
	}
	for _, c := range g.configs {
		if c.data != "" && (c.config.Persistence.On || c.fact.Program != "mosquitto") { // mosquitto keeps nothing there otherwise
			look("data", inside(c.root, c.data))
			g.stored(c)
		}
	}
	if len(seen) == 0 && g.Root == "" {
		look("data", string(filepath.Separator))
	}
}

// outOfMemory is the kernel's line about a broker that it killed, with the time since the start of the machine; before it stands one that names the
// control group.
var (
	outOfMemory = regexp.MustCompile(`^(?:<\d+>)?(?:\[\s*([\d.]+)\])?.*(?:Out of memory|Memory cgroup out of memory): Killed process (\d+) \((mosquitto|picket|beam\.smp|nanomq|flashmq)\).*$`)
	killedGroup = regexp.MustCompile(`oom-kill:.*task_memcg=([^,]*),task=[^,]*,pid=(\d+)`)
)

// killed is the kernel's line about the killing of a broker that may be the one in question: within the last day, and in the control group of the
// broker that runs now or, if none does, in no container's.
func (g *gatherer) killed(log, group string) string {
	groups := make(map[string]string) // by process
	found := ""
	uptime, _, _ := strings.Cut(g.word("/proc/uptime"), " ")
	now, err := strconv.ParseFloat(uptime, 64)
	if err != nil {
		now = 0 // then the age is not known
	}
	for line := range strings.Lines(log) {
		if m := killedGroup.FindStringSubmatch(line); m != nil {
			groups[m[2]] = m[1]
		}
		m := outOfMemory.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		at, err := strconv.ParseFloat(m[1], 64)
		old := err == nil && now > 0 && now-at > recent
		where, known := groups[m[2]]
		foreign := known && group != "" && where != group || known && group == "" && (strings.Contains(where, "docker") || strings.Contains(where, "kubepods") || strings.Contains(where, "lxc"))
		if !old && !foreign {
			found = strings.TrimSpace(line)
		}
	}
	return found
}

func (g *gatherer) memory() {
	proc, err := procfs.NewFS(g.path("/proc"))
	if err != nil {
		return // told already
	}
	info, err := proc.Meminfo()
	if err != nil || info.MemTotalBytes == nil || info.MemAvailableBytes == nil {
		g.unread("resources", errors.New("/proc/meminfo does not tell"))
		return
	}
	m := host.Memory{Total: *info.MemTotalBytes, Available: *info.MemAvailableBytes}
	for line := range strings.Lines(g.word("/proc/vmstat")) {
		if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
			m.Killed, _ = strconv.ParseUint(strings.TrimSpace(n), 10, 64) // the kernel's own number
		}
	}
	group := ""
	if len(g.brokers) > 0 {
		b := &g.brokers[0]
		if status, err := b.proc.NewStatus(); err == nil {
			m.Broker = status.VmRSS
		}
		if cgroups, err := b.proc.Cgroups(); err == nil {
			for _, c := range cgroups {
				group = c.Path
			}
		}
		if n := g.limit(g.groupOf(b, "memory"), "memory.max", "memory.limit_in_bytes"); n < m.Total { // a number above all memory: no limit
			m.Limit = n
		}
	}
	if m.Killed > 0 {
		m.KilledBroker = g.killed(g.kernelLog(), group)
	}
	g.add(m)
}

// kernelLog is the kernel's log, from dmesg or from the file that a syslog writes.
func (g *gatherer) kernelLog() string {
	out, err := g.Run(g.ctx, "dmesg")
	if err == nil {
		return string(out)
	}
	for _, f := range []string{"/var/log/kern.log", "/var/log/messages"} {
		if text, err := g.tail(g.path(f), maxRead); err == nil {
			return text
		}
	}
	if !errors.Is(err, errMissing) {
		g.unread("kernel-log", err)
	}
	return ""
}

// kernel tells of connections that the kernel turned away.
func (g *gatherer) kernel() {
	text, err := g.read("/proc/net/netstat")
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			g.unread("kernel-figures", err)
		}
		return
	}
	figures := parseNetstat(text)
	k := host.Kernel{Overflows: figures["ListenOverflows"], Drops: figures["ListenDrops"]}
	k.Tracked, _ = strconv.ParseUint(g.word("/proc/sys/net/netfilter/nf_conntrack_count"), 10, 64)    // 0 without the table
	k.TrackedLimit, _ = strconv.ParseUint(g.word("/proc/sys/net/netfilter/nf_conntrack_max"), 10, 64) // 0 without the table
	if k.Overflows > 0 || k.TrackedLimit > 0 {
		g.add(k)
	}
}

// parseNetstat reads /proc/net/netstat: a line of names, and a line of figures, of each group.
func parseNetstat(text string) map[string]uint64 {
	figures := make(map[string]uint64)
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(names) != len(fields) || names[0] != fields[0] {
			names = fields
			continue
		}
		for i := 1; i < len(fields); i++ {
			if n, err := strconv.ParseUint(fields[i], 10, 64); err == nil {
				figures[names[i]] = n
			}
		}
		names = nil
	}
	return figures
}

// clock tells whether a time server keeps the clock.
func (g *gatherer) clock() {
	c, err := clockOf()
	if err != nil {
		g.unread("clock", err)
		return
	}
	g.add(c)
}

// denied are brokers in an audit record.
var denied = regexp.MustCompile(`comm="(?:mosquitto|picket|nanomq|beam\.smp|nginx|haproxy)"`)

// denials looks for what SELinux and AppArmor forbade brokers.
func (g *gatherer) denials() {
	enforcing := g.word("/sys/fs/selinux/enforce")
	apparmor := g.exists("/sys/kernel/security/apparmor") || g.word("/sys/module/apparmor/parameters/enabled") == "Y"
	if enforcing == "" && !apparmor {
		return
	}
	text, err := g.tail(g.path("/var/log/audit/audit.log"), maxRead)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			g.unread("denials", err)
		}
		text = g.kernelLog()
	}
	for _, d := range parseDenials(text) {
		if d.By == "SELinux" {
			d.Enforced = d.Enforced && enforcing == "1"
		}
		g.add(d)
	}
}

var (
	avc      = regexp.MustCompile(`avc:\s+denied\s+\{ ([a-z_ ]+) \} for .*tclass=(\S+)`)
	profile  = regexp.MustCompile(`apparmor="(DENIED|ALLOWED)" operation="([^"]*)"`)
	avcName  = regexp.MustCompile(`(?:name|path|src|dest)="?([^" ]+)`)
	fileName = regexp.MustCompile(` name="([^"]*)"`)
)

// parseDenials finds the records of an audit or kernel log about brokers, those of one kind together.
func parseDenials(text string) (all []host.Denial) {
	add := func(d host.Denial) {
		for i := range all {
			if all[i].By == d.By && all[i].What == d.What && all[i].Enforced == d.Enforced {
				all[i].Count++
				all[i].Line = d.Line
				return
			}
		}
		d.Count = 1
		all = append(all, d)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !denied.MatchString(line) {
			continue
		}
		if m := avc.FindStringSubmatch(line); m != nil {
			d := host.Denial{By: "SELinux", What: m[1] + " " + m[2], Line: line, Enforced: !strings.Contains(line, "permissive=1")} // one domain alone may be let off
			if n := avcName.FindStringSubmatch(line); n != nil {
				d.What += " " + n[1]
			}
			add(d)
		} else if m := profile.FindStringSubmatch(line); m != nil {
			d := host.Denial{By: "AppArmor", What: m[2], Line: line, Enforced: m[1] == "DENIED"}
			if n := fileName.FindStringSubmatch(line); n != nil {
				d.What += " " + n[1]
			}
			add(d)
		}
	}
	return all
}

// storeMagic begins mosquitto's file of what is kept.
var storeMagic = []byte("\x00\xb5\x00mosquitto db")

// stored looks whether mosquitto's file of what is kept is one. An empty one is as good as none.
func (g *gatherer) stored(c configuration) {
	file := filepath.Join(c.data, cmp.Or(c.config.Persistence.File, "mosquitto.db"))
	f, err := os.Open(inside(c.root, file))
	if err != nil {
		return // there is none, or others may not read it
	}
	defer f.Close()
	begin := make([]byte, len(storeMagic))
	if n, err := io.ReadFull(f, begin); n > 0 && (err != nil || !bytes.Equal(begin, storeMagic)) {
		g.add(host.Damaged{File: file})
	}
}
