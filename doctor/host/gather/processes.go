package gather

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"

	"picket/doctor/host"
)

// process is a broker's process.
type process struct {
	fact   host.Broker
	proc   procfs.Proc
	args   []string
	uid    int
	gids   []int
	inodes map[uint64]bool // of its sockets
}

// programs are the brokers that are recognized by their process.
var programs = map[string]string{
	"mosquitto": "mosquitto", "picket": "picket", "nanomq": "nanomq", "flashmq": "FlashMQ", "FlashMQ": "FlashMQ", "rmqttd": "rmqtt",
	"vernemq": "VerneMQ", "emqx": "emqx", "hmq": "hmq", "comqtt": "comqtt", "bifromq": "BifroMQ", "hivemq": "HiveMQ",
}

// hosted are brokers that run inside another program (Erlang, Java), which have their name among its arguments.
var hosted = map[string][]string{"beam.smp": {"emqx", "vernemq", "rabbitmq"}, "java": {"hivemq", "bifromq", "activemq"}}

// recognize says which broker a command line is, if it is one.
func recognize(args []string) (program string, ok bool) {
	if len(args) == 0 {
		return "", false
	}
	base := filepath.Base(args[0])
	switch {
	case base == "picket":
		return "picket", len(args) > 1 && args[1] == "serve"
	case programs[base] != "":
		return programs[base], true
	}
	for _, name := range hosted[base] {
		if strings.Contains(strings.ToLower(strings.Join(args[1:], " ")), name) {
			return name, true
		}
	}
	return "", false
}

// processes finds brokers and sockets that listen.
func (g *gatherer) processes() {
	proc, err := procfs.NewFS(g.path("/proc"))
	if err != nil {
		g.unread("system", errors.New("there is no /proc; this part of the doctor knows Linux only"))
		return
	}
	all, err := proc.AllProcs()
	if err != nil {
		g.unread("processes", err)
		return
	}
	var elsewhere []process
	for _, p := range all {
		args, err := p.CmdLine()
		if err != nil {
			continue // it has ended
		}
		if program, ok := recognize(args); ok && p.PID != os.Getpid() {
			b := g.broker(p, program, args)
			// One in a network of its own has nothing to do with this machine's ports, unless it is a container's, whose ports are passed on.
			switch ours, container := g.place(p.PID); {
			case ours:
				g.brokers = append(g.brokers, b)
			case container:
				b.fact.Container = true
				g.brokers = append(g.brokers, b)
			default:
				b.fact.Container = true
				elsewhere = append(elsewhere, b)
			}
		}
	}
	g.brokers = g.meant(g.brokers)
	if len(g.brokers) == 0 {
		for _, b := range elsewhere { // told, and not looked into: whoever asks may have meant one of them
			g.add(b.fact)
		}
	}
	complete := os.Geteuid() == 0 || g.Root != ""
	if len(g.brokers) == 0 {
		g.add(host.NoBroker{Complete: complete || !g.hidden()})
	}
	for _, b := range g.brokers {
		g.add(b.fact)
	}
	g.running = all
}

// meant are, of several brokers, those that were started with the configuration or have a port that was asked for, if there are any.
func (g *gatherer) meant(all []process) []process {
	keep := func(is func(process) bool) {
		if slices.ContainsFunc(all, is) {
			all = slices.DeleteFunc(all, func(b process) bool { return !is(b) && !b.fact.Container })
		}
	}
	if g.Config != "" {
		keep(func(b process) bool { return b.fact.Config == g.Config })
	}
	if sockets, err := g.listening("/proc"); err == nil && len(g.Ports) > 0 {
		keep(func(b process) bool {
			return slices.ContainsFunc(sockets, func(s socket) bool { return b.inodes[s.inode] && slices.Contains(g.Ports, s.port) })
		})
	}
	return all
}

// hidden says whether the system keeps other users' processes from us (hidepid).
func (g *gatherer) hidden() bool {
	_, err := os.Stat(g.path("/proc/1"))
	return err != nil
}

// place says whether a process has this machine's network, and whether it has process numbers of its own, as those in containers do.
func (g *gatherer) place(pid int) (ours, container bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	net, err := os.Readlink(g.path(dir + "/ns/net"))
	if err == nil {
		own, ownErr := os.Readlink(g.path("/proc/self/ns/net"))
		theirs, theirsErr := os.Readlink(g.path(dir + "/ns/pid"))
		mine, mineErr := os.Readlink(g.path("/proc/self/ns/pid"))
		return ownErr != nil || net == own, theirsErr == nil && mineErr == nil && theirs != mine
	}
	if own := g.path("/proc/self/ns/net"); errors.Is(err, fs.ErrNotExist) {
		if _, ownErr := os.Readlink(own); ownErr == nil {
			return false, false // it is about to end, and has left its namespaces
		}
	}
	// Other users' namespaces may not be read. But each network has files of its own below /proc, and NSpid has a number for each nested namespace.
	own, ownErr := os.Stat(g.path("/proc/self/net/tcp"))
	its, itsErr := os.Stat(g.path(dir + "/net/tcp"))
	for line := range strings.Lines(g.word(dir + "/status")) {
		if numbers, found := strings.CutPrefix(line, "NSpid:"); found {
			container = len(strings.Fields(numbers)) > 1
		}
	}
	if _, err := os.Stat(g.path(dir)); errors.Is(err, fs.ErrNotExist) || itsErr != nil && strings.Contains(g.word(dir+"/status"), "State:\tZ") {
		return false, false // it has ended meanwhile
	}
	return ownErr != nil || itsErr != nil || os.SameFile(own, its), container
}

func (g *gatherer) broker(p procfs.Proc, program string, args []string) process {
	b := process{proc: p, args: args, uid: -1, inodes: socketsOf(p), fact: host.Broker{PID: p.PID, Program: program}}
	if stat, err := p.Stat(); err == nil {
		b.fact.Stopped = stat.State == "T" || stat.State == "t"
		if seconds, err := stat.StartTime(); err == nil {
			b.fact.Started = int64(seconds)
		}
	}
	b.identity(g.word("/proc/" + strconv.Itoa(p.PID) + "/status"))
	b.fact.User = userName(b.uid)
	if file := option(args, "-c", "--config-file"); file != "" && (program == "mosquitto" || program == "picket") {
		if !filepath.IsAbs(file) {
			if cwd, err := p.Cwd(); err == nil {
				file = filepath.Join(cwd, file)
			}
		}
		b.fact.Config = file
	}
	if cgroups, err := p.Cgroups(); err == nil {
		for _, c := range cgroups {
			if name := filepath.Base(c.Path); strings.HasSuffix(name, ".service") {
				b.fact.Unit = name
			}
		}
	}
	return b
}

// identity reads who the process is from /proc/PID/status.
func (b *process) identity(status string) {
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		switch {
		case name == "Uid" && len(fields) > 1:
			b.uid, _ = strconv.Atoi(fields[1]) // the effective one
		case name == "Gid" && len(fields) > 1:
			if gid, err := strconv.Atoi(fields[1]); err == nil {
				b.gids = append(b.gids, gid)
			}
		case name == "Groups":
			for _, f := range fields {
				if gid, err := strconv.Atoi(f); err == nil {
					b.gids = append(b.gids, gid)
				}
			}
		}
	}
}

// option finds the value of an option in a command line: -c FILE, -cFILE, --config-file FILE or --config-file=FILE.
func option(args []string, names ...string) string {
	for i := range args {
		if value := optionAt(args, i, names); value != "" {
			return value
		}
	}
	return ""
}

// options finds the numbers of an option that may be repeated.
func options(args []string, names ...string) (all []int) {
	for i := range args {
		if n, err := strconv.Atoi(optionAt(args, i, names)); err == nil {
			all = append(all, n)
		}
	}
	return all
}

func optionAt(args []string, i int, names []string) string {
	a := args[i]
	for _, name := range names {
		long := strings.HasPrefix(name, "--")
		switch {
		case a == name && i+1 < len(args):
			return args[i+1]
		case long && strings.HasPrefix(a, name+"="):
			return a[len(name)+1:]
		case !long && strings.HasPrefix(a, name) && len(a) > len(name):
			return a[len(name):]
		}
	}
	return ""
}

// sockets makes facts of the sockets of brokers, and of others at a broker's ports.
func (g *gatherer) sockets() {
	sockets, err := g.listening("/proc")
	if err != nil {
		if g.running != nil {
			g.unread("processes", err)
		}
		return
	}
	for i := range g.brokers {
		b := &g.brokers[i]
		if b.fact.Container {
			g.containerSockets(b)
			continue
		}
		for _, s := range sockets {
			if g.forClients(b, s) {
				g.listen(s, host.Listen{PID: b.fact.PID, Program: b.fact.Program, Broker: true})
				g.look(s.port)
			}
		}
	}
	for _, s := range sockets {
		known := slices.ContainsFunc(g.brokers, func(b process) bool { return b.inodes[s.inode] })
		if known || !g.interested(s.port) && !(len(g.Ports) == 0 && slices.Contains(frontPorts, s.port) && g.enclosed()) {
			continue
		}
		g.listen(s, g.ownerOf(s))
	}
	for _, port := range g.portsOf() {
		if !slices.ContainsFunc(g.listens, func(l host.Listen) bool { return l.Port == port && !l.Container }) {
			g.add(host.NotListening{Port: port})
		}
	}
}

// forClients tells whether a socket is a broker's, and one that is looked at: those of a listener for whoever runs the broker only where they are asked for.
func (g *gatherer) forClients(b *process, s socket) bool {
	return b.inodes[s.inode] && (!g.management[s.port] || slices.Contains(g.Ports, s.port))
}

// look adds a port to those that are looked at.
func (g *gatherer) look(port int) {
	if i, there := slices.BinarySearch(g.ports, port); !there {
		g.ports = slices.Insert(g.ports, i, port)
	}
}

// ownerOf says whose a socket is: as far as that may be seen, the process', else the only broker that runs as the socket's user, else the user.
func (g *gatherer) ownerOf(s socket) host.Listen {
	if pid, program := owner(g.running, s.inode); pid != 0 {
		return host.Listen{PID: pid, Program: program}
	}
	if os.Geteuid() != 0 {
		g.unread("processes", fs.ErrPermission)
	}
	l := host.Listen{User: userName(s.uid)}
	for _, b := range g.brokers {
		if b.uid != s.uid || b.fact.Container || b.inodes != nil {
			continue
		}
		if l.PID != 0 {
			return host.Listen{User: l.User} // it may be the one or the other
		}
		l.PID, l.Program, l.Broker = b.fact.PID, b.fact.Program, true
	}
	return l
}

// userName is the name of a user, or the number where there is no name.
func userName(uid int) string {
	number := strconv.Itoa(uid)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return number
}

// groupName is the name of a group; empty where it has none.
func groupName(gid int) string {
	if g, err := user.LookupGroupId(strconv.Itoa(gid)); err == nil {
		return g.Name
	}
	return ""
}

// containerSockets are those of a broker in a network of its own.
func (g *gatherer) containerSockets(b *process) {
	sockets, err := g.listening("/proc/" + b.fact.PIDText())
	if err != nil {
		return // it has ended
	}
	for _, s := range sockets {
		if b.inodes[s.inode] || len(b.inodes) == 0 && g.interested(s.port) {
			g.listen(s, host.Listen{PID: b.fact.PID, Program: b.fact.Program, Broker: true, Container: true})
		}
	}
}

// listen tells of a socket, of which l says whose it is.
func (g *gatherer) listen(s socket, l host.Listen) {
	l.Address, l.Port, l.Waiting, l.Scope = s.addr.String(), s.port, s.waiting, host.OneScope
	switch {
	case s.addr.IsLoopback():
		l.Scope = host.LoopbackScope
	case s.addr.IsUnspecified():
		l.Scope = host.AllScope
	}
	g.listens = append(g.listens, l)
	g.add(l)
}

// socketsOf are the inodes of a process' sockets; none if they may not be read.
func socketsOf(p procfs.Proc) map[uint64]bool {
	targets, err := p.FileDescriptorTargets()
	if err != nil {
		return nil
	}
	inodes := make(map[uint64]bool)
	for _, t := range targets {
		if number, ok := strings.CutPrefix(t, "socket:["); ok {
			if inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64); err == nil {
				inodes[inode] = true
			}
		}
	}
	return inodes
}

// owner is the process that has a socket, among those that may be looked into.
func owner(all procfs.Procs, inode uint64) (pid int, program string) {
	for _, p := range all {
		if !socketsOf(p)[inode] {
			continue
		}
		name, err := p.Comm()
		if err != nil {
			name = "?"
		}
		return p.PID, name
	}
	return 0, ""
}

// limits tells how many files the brokers may open.
func (g *gatherer) limits() {
	for _, b := range g.brokers {
		limits, err := b.proc.Limits()
		if err != nil {
			g.unread("limits", err)
			continue
		}
		open, err := b.proc.FileDescriptorsLen()
		if err != nil {
			g.unread("limits", err)
			continue
		}
		f := host.Files{PID: b.fact.PID, Program: b.fact.Program, Open: open, Limit: limits.OpenFiles, Hard: limits.OpenFiles}
		for line := range strings.Lines(g.word("/proc/" + strconv.Itoa(b.fact.PID) + "/limits")) {
			if rest, ok := strings.CutPrefix(line, "Max open files"); ok {
				if fields := strings.Fields(rest); len(fields) > 1 {
					if hard, err := strconv.ParseUint(fields[1], 10, 64); err == nil {
						f.Hard = hard
					}
				}
			}
		}
		g.add(f)
	}
}
