package gather

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"picket/access"
	"picket/broker"
	"picket/cause"
	"picket/doctor/host"
	"picket/listener"
	"picket/logging"
	"picket/mosqconf"
)

// packaged are the files that packages put their configuration into.
var packaged = map[string]string{"mosquitto": "/etc/mosquitto/mosquitto.conf", "picket": "/etc/picket/picket.conf"}

// configurations reads those that brokers were started with, the one that was asked for, and those that are there and nobody uses.
func (g *gatherer) configurations() {
	used := make(map[string]bool)
	for _, b := range g.brokers {
		if b.fact.Config == "" {
			continue
		}
		used[b.fact.Config] = true
		root := g.Root
		if b.fact.Container {
			root = g.path("/proc/" + b.fact.PIDText() + "/root")
		}
		g.configuration(b.fact.Program, b.fact.Config, root, &b)
	}
	if g.Config != "" && !used[g.Config] {
		g.configuration("picket", g.Config, g.Root, nil)
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
	c := configuration{config: config, root: root, user: config.User}
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
	users := make(map[string]bool)
	for _, s := range config.Security {
		if passwords, err := access.ReadPasswordFile(inside(root, s.PasswordFile)); s.PasswordFile != "" && err == nil {
			for _, name := range passwords.Users() {
				users[name] = true
			}
		}
	}
	fact.Users = len(users)
	for _, f := range report.Files {
		if info, err := os.Stat(f); err == nil {
			fact.Changed = max(fact.Changed, info.ModTime().Unix())
		}
	}
	// The start is known to about a second.
	fact.Newer = b != nil && b.fact.Started > 0 && fact.Changed > b.fact.Started+1
	beside, err := filepath.Glob(filepath.Join(filepath.Dir(whole), "conf.d", "*.conf"))
	if err == nil {
		for _, f := range beside {
			if !slices.Contains(report.Files, f) {
				fact.NotIncluded = append(fact.NotIncluded, strings.TrimPrefix(f, root))
			}
		}
	}
	c.fact = fact
	g.configs = append(g.configs, c) // told once the log is known, which may have a reload in it
	for _, l := range fact.Listeners {
		// What no process uses says nothing about a broker that runs.
		if l.Port != 0 && (b != nil && !b.fact.Container || b == nil && (len(g.brokers) == 0 || g.Config != "")) && !slices.Contains(g.ports, l.Port) {
			g.ports = append(g.ports, l.Port)
		}
	}
	slices.Sort(g.ports)
}

// inside puts the root before an absolute path of a configuration.
func inside(root, path string) string {
	if root == "" || path == "" || !filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(root, path)
}

func (g *gatherer) listenersOf(c *broker.Config, root string) (all []host.ConfigListener) {
	for _, l := range c.Listeners {
		s := c.Security[l.Security]
		all = append(all, host.ConfigListener{
			Address: l.Address, Port: l.Port, TLS: l.TLS.CertFile != "", WebSocket: l.Protocol == listener.WebSocket,
			Loopback:  l.Path != "" || l.Address == "localhost" || l.Interface == "lo" || loopback(l.Address),
			Anonymous: s.Anonymous == access.AnonymousAlways && !l.TLS.RequireCertificate, ACL: s.ACLFile != "",
			Passwords: s.PasswordFile != "" || l.TLS.IdentityAsUsername || l.TLS.SubjectAsUsername,
			Implied:   strings.HasSuffix(l.Source, "mode"), Source: strings.TrimPrefix(l.Source, root),
		})
	}
	return all
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
	}
	g.add(l)
}
