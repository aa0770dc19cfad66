package gather

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/access"
	"picket/cause"
	"picket/doctor/host"
	"picket/listener"
	"picket/logging"
	"picket/mosqconf"
	"picket/setup"
)

// packaged are the files that packages put their configuration into.
var packaged = map[string]string{"mosquitto": "/etc/mosquitto/mosquitto.conf", "picket": "/etc/picket/picket.conf"}

// configurations reads those that brokers were started with, the one that was asked for, and those that are there and nobody uses.
func (g *gatherer) configurations() {
	used := make(map[string]bool)
	for _, b := range g.brokers {
		if b.fact.Config == "" {
			g.dataDir(&b)
			continue
		}
		used[b.fact.Config] = true
		if !filepath.IsAbs(b.fact.Config) {
			g.unread("configuration", fmt.Errorf("%s stands in the folder that process %d was started in: %w", b.fact.Config, b.fact.PID, os.ErrPermission))
			continue
		}
		root := g.Root
		if b.fact.Container {
			root = g.path("/proc/" + b.fact.PIDText() + "/root")
		}
		g.configuration(b.fact.Program, b.fact.Config, root, &b)
	}
	if g.Config != "" && !used[g.Config] {
		program := "picket"
		if strings.Contains(g.Config, "mosquitto") {
			program = "mosquitto"
		}
		g.configuration(program, g.Config, g.Root, nil)
		return
	}
	for _, program := range []string{"mosquitto", "picket"} {
		runs := slices.ContainsFunc(g.brokers, func(b process) bool { return b.fact.Program == program && !b.fact.Container })
		bare := slices.ContainsFunc(g.brokers, func(b process) bool { return b.fact.Program == program && b.fact.Config == "" && !b.fact.Container })
		if file := packaged[program]; !used[file] && g.exists(file) && (bare || !runs && len(g.brokers) == 0) {
			g.configuration(program, file, g.Root, nil)
		}
	}
}

// understood are the causes of problems that concern mosquitto too; others are about what Picket does not have.
var understood = []cause.ID{cause.ConfigUnknownDirective, cause.ConfigInvalidValue, cause.ConfigUnreadable, cause.ConfigConflict}

func (g *gatherer) configuration(program, file, root string, b *process) {
	whole := file
	if root != "" {
		whole = filepath.Join(root, file)
	}
	config, report := mosqconf.Read(whole)
	if len(report.Files) == 0 {
		err := errors.New("it cannot be opened")
		if f, openErr := os.Open(whole); openErr != nil {
			err = openErr
		} else {
			f.Close()
		}
		g.unread("configuration", err)
		return
	}
	fact := host.Config{File: file, Program: program, Files: len(report.Files), Default: b == nil && g.Config == ""}
	c := configuration{config: config, root: root, user: config.User, data: config.Persistence.Location}
	if b != nil {
		fact.PID, c.pid = b.fact.PID, b.fact.PID
	}
	for _, f := range report.Findings {
		if f.Level != mosqconf.Error || program != "picket" && !slices.Contains(understood, f.Cause) || root != g.Root && f.Cause == cause.ConfigUnreadable {
			continue
		}
		fact.Problems = append(fact.Problems, host.Problem{File: f.File, Line: f.Line, Text: strings.TrimPrefix(f.Text, "Error: "), Cause: f.Cause})
	}
	fact.Listeners = g.listenersOf(config, root)
	fact.PSK = sharedKeys(report.Files)
	for _, f := range report.Files {
		if info, err := os.Stat(f); err == nil {
			fact.Changed = max(fact.Changed, info.ModTime().Unix())
		}
	}
	// The start is known to about a second.
	fact.Newer = b != nil && b.fact.Started > 0 && fact.Changed > b.fact.Started+1
	fact.Stale, fact.StaleAt = stale(config, root, b)
	beside, err := filepath.Glob(filepath.Join(filepath.Dir(whole), "conf.d", "*.conf"))
	if err == nil {
		for _, f := range beside {
			if !slices.Contains(report.Files, f) {
				fact.NotIncluded = append(fact.NotIncluded, strings.TrimPrefix(f, root))
			}
		}
	}
	c.fact = fact
	c.fact.Barred = g.barred(&c)
	if program == "mosquitto" {
		g.ofMosquitto(&c, report.Files, b)
	}
	g.setAside(c.config)
	g.configs = append(g.configs, c) // told once the log is known, which may have a reload in it
	for _, l := range fact.Listeners {
		// What no process uses says nothing about a broker that runs.
		if l.Port != 0 && (b != nil && !b.fact.Container || b == nil && (len(g.brokers) == 0 || g.Config != "")) {
			g.look(l.Port)
		}
	}
}

// ofMosquitto adds what mosquitto has against a configuration, which is not Picket's.
func (g *gatherer) ofMosquitto(c *configuration, files []string, b *process) {
	c.fact.Problems = slices.Concat(g.peculiar(files, c.root, b != nil), c.fact.Problems, twice(files, c.root))
	if b == nil {
		c.fact.Problems = append(c.fact.Problems, g.unbound(c)...)
	}
	c.fact.PlainBridges = plainBridges(c.config)
	c.fact.Missing = g.missing(c.config, c.root, b)
}

// missing are the folders for the files that mosquitto makes at its start, without which it ends. It runs on without a log file.
func (g *gatherer) missing(config *mosqconf.Config, root string, b *process) []host.Missing {
	if config.PIDFile == "" || b != nil {
		return nil
	}
	folder := filepath.Dir(config.PIDFile)
	if _, err := os.Stat(inside(root, folder)); !errors.Is(err, fs.ErrNotExist) || root == "" && g.madeAtStart(folder) {
		return nil
	}
	return []host.Missing{{Directive: "pid_file", Folder: folder, User: config.User}}
}

// madeAtStart tells whether mosquitto's unit or its script for init makes a folder at each start, as those of its packages do.
func (g *gatherer) madeAtStart(folder string) bool {
	files := []string{"/etc/init.d/mosquitto"}
	for _, dir := range unitDirs {
		files = append(files, dir+"mosquitto.service")
	}
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := g.read(file)
		return err == nil && slices.Contains(strings.Fields(text), folder)
	})
}

// firstStart is how long, in seconds, Picket's first start may take to make the users of its data directory.
const firstStart = 60

// stale are the files of users and rights that a configuration names and that were changed after the process had started, and when.
func stale(config *mosqconf.Config, root string, b *process) (files []string, at int64) {
	if b == nil || b.fact.Started == 0 {
		return nil, 0
	}
	for _, s := range config.Security {
		for _, f := range []string{s.PasswordFile, s.ACLFile} {
			info, err := os.Stat(inside(root, f))
			read := b.fact.Started + 1
			if config.DataDir != "" && filepath.Dir(f) == config.DataDir {
				read += firstStart
			}
			if f == "" || err != nil || info.ModTime().Unix() <= read || slices.Contains(files, f) {
				continue
			}
			files, at = append(files, f), max(at, info.ModTime().Unix())
		}
	}
	return files, at
}

// sharedKeys is the port of the first listener that has TLS with pre-shared keys (psk_hint), 0 if none has.
func sharedKeys(files []string) (port int) {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // told by whoever reads the whole
		}
		last := 1883
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			switch {
			case len(fields) > 1 && (fields[0] == "listener" || fields[0] == "port"):
				if n, err := strconv.Atoi(fields[1]); err == nil {
					last = n
				}
			case len(fields) > 1 && fields[0] == "psk_hint":
				return last
			}
		}
	}
	return 0
}

// inside puts the root before an absolute path of a configuration.
func inside(root, path string) string {
	if root == "" || path == "" || !filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}

func (g *gatherer) listenersOf(c *mosqconf.Config, root string) (all []host.ConfigListener) {
	for _, l := range c.Listeners {
		s := c.Security[l.Security]
		one := host.ConfigListener{
			Address: l.Address, Port: l.Port, TLS: l.TLS.CertFile != "", WebSocket: l.Protocol == listener.WebSocket, Auto: l.Protocol == listener.Auto,
			Loopback:  l.Path != "" || l.Address == "localhost" || l.Interface == "lo" || loopback(l.Address),
			Anonymous: s.Anonymous == access.AnonymousAlways && !l.TLS.RequireCertificate, Local: s.Anonymous == access.AnonymousLocal, ACL: s.ACLFile != "",
			Passwords: s.PasswordFile != "" || l.IdentityAsUsername || l.SubjectAsUsername, Certificates: l.IdentityAsUsername || l.SubjectAsUsername,
			Implied: strings.HasSuffix(l.Source, "mode"), Source: strings.TrimPrefix(l.Source, root),
		}
		if s.PasswordFile != "" {
			passwords, err := access.ReadPasswordFile(inside(root, s.PasswordFile))
			switch {
			case errors.Is(err, os.ErrPermission):
				g.unread("passwords", err)
			case err == nil: // what is wrong with it, the broker's log says
				one.Users = len(passwords.Users())
				one.Empty = one.Users == 0
			}
		}
		all = append(all, one)
	}
	return all
}

// dataDir looks at the data directory of a Picket that was started without a configuration.
func (g *gatherer) dataDir(b *process) {
	if b.fact.Program != "picket" || b.fact.Container {
		return
	}
	dir := option(b.args, "--data")
	ports := options(b.args, "-p", "--port")
	if dir == "" && len(ports) > 0 || slices.Contains(b.args, "--mosquitto") {
		return // this machine only, and no directory
	}
	if len(ports) == 0 {
		ports = []int{1883}
	}
	if dir == "" {
		dir = g.defaultDataDir(b)
	}
	if !filepath.IsAbs(dir) {
		if cwd, err := b.proc.Cwd(); err == nil {
			dir = filepath.Join(cwd, dir)
		}
	}
	if at := cmp.Or(option(b.args, "--admin-listen"), mosqconf.AdminAddress); at != "none" {
		g.setAside(&mosqconf.Config{API: []mosqconf.API{{Address: at}}})
	}
	if _, err := os.Stat(g.path(dir)); err != nil {
		g.unread("configuration", err)
		return
	}
	files := setup.Files(dir)
	config := mosqconf.Open(ports, files.PasswordFile, files.RightsFile, files.CertFile, files.KeyFile)
	fact := host.Config{File: dir, Program: "picket", PID: b.fact.PID, Listeners: g.listenersOf(config, g.Root)}
	g.configs = append(g.configs, configuration{fact: fact, config: config, root: g.Root, user: config.User, pid: b.fact.PID, data: dir})
	for _, l := range config.Listeners {
		g.look(l.Port)
	}
}

// setAside notes the ports of a configuration's listeners that are not for clients: whether a client gets in there is no question. nil: it could not be read.
func (g *gatherer) setAside(config *mosqconf.Config) {
	if config == nil {
		return
	}
	for _, l := range config.API {
		_, port, _ := net.SplitHostPort(l.Address)
		if n, err := strconv.Atoi(port); err == nil {
			if g.management == nil {
				g.management = make(map[int]bool)
			}
			g.management[n] = true
		}
	}
}

// defaultDataDir is the data directory of a Picket that was started without --data: that of root, if root started it, or that of its user.
func (g *gatherer) defaultDataDir(b *process) string {
	environment, err := b.proc.Environ()
	if err != nil {
		environment = nil // another user's: then its home is not known
	}
	getenv := func(name string) string {
		for _, e := range environment {
			if value, ok := strings.CutPrefix(e, name+"="); ok {
				return value
			}
		}
		return ""
	}
	root, err := setup.DefaultDir(getenv, 0)
	if own, ownErr := setup.DefaultDir(getenv, b.uid); ownErr == nil && (err != nil || !g.exists(root) || g.exists(own)) {
		return own
	}
	return root
}

// logSize is how much of the end of a log is looked at.
const logSize = 256 << 10

// recent is how far back lines count: a day has the problem that somebody asks about today.
const recent = 24 * 60 * 60

// log looks into the brokers' logs, and then tells of the configurations.
func (g *gatherer) log() {
	for _, b := range g.brokers {
		g.logOf(&b)
	}
	if len(g.brokers) == 0 {
		g.logOf(nil)
	}
	for i := range g.configs {
		g.add(g.configs[i].fact)
	}
}

// logOf finds the log of a broker: where the configuration says, where its standard error goes, or the journal.
func (g *gatherer) logOf(b *process) {
	var files []string
	for i := range g.configs {
		c := &g.configs[i]
		if b != nil && c.pid != b.fact.PID {
			continue
		}
		for _, d := range c.config.Log.Dest {
			if d.Kind == logging.File {
				files = append(files, inside(c.root, d.Path))
			}
		}
	}
	if b != nil {
		if target, err := os.Readlink(g.path("/proc/" + b.fact.PIDText() + "/fd/2")); err == nil && strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "/dev/") {
			files = append(files, g.path(target))
		}
	} else {
		files = append(files, g.path("/var/log/mosquitto/mosquitto.log"))
	}
	for _, f := range files {
		text, err := g.tail(f, logSize)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			g.unread("broker-log", err)
			continue
		}
		g.logged(strings.TrimPrefix(f, g.Root), text, b)
		return
	}
	units := []string{"mosquitto.service", "picket.service"}
	if b != nil {
		units = []string{b.fact.Unit}
	}
	for _, unit := range units {
		if unit == "" || !g.exists("/run/systemd/system") {
			continue
		}
		text, err := g.Run(g.ctx, "journalctl", "-u", unit, "-n", "2000", "-o", "short-unix", "--no-pager", "-q")
		if errors.Is(err, errMissing) {
			return
		}
		if err != nil {
			g.unread("broker-log", err)
			return
		}
		if len(text) > 0 {
			g.logged("journalctl -u "+unit, string(text), b)
			return
		}
	}
}

func unixTime(text string) (int64, bool) {
	t, err := time.Parse(time.RFC3339Nano, text)
	return t.Unix(), err == nil
}

func (g *gatherer) logged(source, text string, b *process) {
	l := host.ReadLog(source, text, g.now.Unix()-recent, unixTime)
	for i := range g.configs {
		c := &g.configs[i]
		if b != nil && c.pid == b.fact.PID && l.Reloaded >= c.fact.Changed {
			c.fact.Reloaded = true
		}
		if b != nil && c.pid == b.fact.PID && l.Reloaded >= c.fact.StaleAt {
			c.fact.Stale = nil
		}
	}
	g.add(l)
}
