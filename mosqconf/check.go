package mosqconf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/access"
	"picket/broker"
	"picket/cause"
	"picket/listener"
	"picket/logging"
)

// Check reads a configuration as [Parse] does and also looks at what it names: certificates and keys, password and ACL files,
// addresses, ports, folders and users of this machine, and who could connect. It opens no port and changes nothing.
func Check(path string) (*broker.Config, *Report) {
	p := newParser(path)
	p.readFile(path, 0, place{})
	c := p.finish()
	p.checkReach(c)
	for _, b := range p.blocks {
		if !b.broken {
			p.checkSocket(b)
			p.checkTLS(b)
		}
	}
	used := make(map[int]bool)
	for _, l := range c.Listeners {
		if !used[l.Security] {
			used[l.Security] = true
			p.checkSecurity(p.securities[l.Security])
		}
	}
	p.checkFolders(c)
	p.checkUser(c)
	if p.report.Failed() {
		return nil, p.report
	}
	return c, p.report
}

// resolveLimit bounds how long a check waits for a name server.
const resolveLimit = 3 * time.Second

// isLoopback reports whether only this machine reaches a listener: its address is a loopback one, or it is a Unix socket.
func isLoopback(c *broker.Listener) bool {
	if c.Path != "" || c.Address == "localhost" || c.Interface == "lo" {
		return true
	}
	a, err := netip.ParseAddr(c.Address)
	return err == nil && a.Unmap().IsLoopback()
}

// checkReach looks at who can reach the broker and whom it lets in.
func (p *parser) checkReach(c *broker.Config) {
	open := false
	for _, l := range c.Listeners {
		open = open || !isLoopback(l)
	}
	if !open {
		p.report.add(Finding{Level: Warning, File: p.report.Path, Cause: cause.LoopbackOnly,
			Text: "Warning: Only clients on this machine can connect: every listener has a loopback address.", Hint: "For other machines, write: listener 1883"})
	}
	for _, b := range p.blocks {
		l, s := b.config, c.Security[b.config.Security]
		if b.broken || isLoopback(l) {
			continue
		}
		at := line{place: b.place, word: "listener"}
		tls := l.TLS.CertFile != ""
		switch {
		case l.TLS.RequireCertificate:
		case s.Anonymous == access.AnonymousAlways && s.PasswordFile == "":
			p.find(Warning, at, cause.OpenToEveryone, "Write allow_anonymous false and a password_file, or: listener PORT 127.0.0.1",
				"Warning: Everybody who reaches this listener can publish and subscribe: allow_anonymous is true and there is no password_file.")
		case s.Anonymous == access.AnonymousAlways:
			p.find(Warning, at, cause.OpenToEveryone, "Write allow_anonymous false, or allow_anonymous local for clients on this machine.",
				"Warning: Everybody who reaches this listener can connect without a password: allow_anonymous is true.")
		}
		if s.PasswordFile == "" && s.Anonymous != access.AnonymousAlways && !l.IdentityAsUsername && !l.SubjectAsUsername {
			p.find(Warning, at, cause.NoPasswordFile, "Add a password_file (picket passwd makes one).",
				"Warning: No client from another machine can connect to this listener: allow_anonymous is not true and there is no password_file.")
		}
		if s.PasswordFile != "" && !tls && len(l.ProxyFrom) == 0 {
			p.find(Notice, at, "", "Add certfile and keyfile, or let users log in by SCRAM-SHA-256.", "Passwords cross the network in the clear on this listener.")
		}
		switch {
		case tls && l.Port == 1883 && l.Protocol == listener.MQTT:
			p.find(Warning, at, cause.PlainToTLSPort, "MQTT over TLS has port 8883.", "Warning: Port 1883 is where clients expect MQTT without TLS, but this listener speaks TLS.")
		case !tls && l.Port == 8883 && len(l.ProxyFrom) == 0:
			p.find(Warning, at, cause.TLSToPlainPort, "Add certfile and keyfile, or use port 1883.", "Warning: Port 8883 is where clients expect MQTT over TLS, but this listener has no certificate.")
		case tls && l.Protocol == listener.MQTT && l.Port != 8883 && l.Port != 0:
			p.find(Notice, at, "", "Clients must be told the port.", "MQTT over TLS is expected at port 8883, not %d.", l.Port)
		case l.Protocol == listener.WebSocket && l.Port == 1883:
			p.find(Warning, at, cause.TCPToWSPort, "Write protocol auto to serve both, or use port 8083 or 9001.", "Warning: Port 1883 is where clients expect MQTT over TCP, but this listener speaks WebSocket only.")
		}
	}
}

// checkSocket looks at whether a listener's address can be opened on this machine.
func (p *parser) checkSocket(b *block) {
	l := b.config
	at := line{place: b.place, word: "listener"}
	if l.Path != "" {
		// sun_path has 108 bytes, the last of them zero.
		if len(l.Path) > 107 {
			p.errorf(at, cause.ConfigInvalidValue, "", "Error: The path of a Unix socket has at most 107 bytes, this one %d.", len(l.Path))
		} else if info, err := os.Stat(filepath.Dir(l.Path)); err != nil || !info.IsDir() {
			p.errorf(at, cause.ConfigUnreadable, "", "Error: There is no folder %s for the Unix socket.", filepath.Dir(l.Path))
		}
		return
	}
	if l.Port < unprivilegedPort() && !mayBindPrivileged(p.config.User) {
		p.find(Warning, at, cause.PrivilegedPort, "Give it CAP_NET_BIND_SERVICE (setcap cap_net_bind_service+ep, or AmbientCapabilities= of systemd), write user root, or use a higher port.",
			"Warning: Port %d is below %d and needs a privilege that picket does not have; root gives it up before the port is opened.", l.Port, unprivilegedPort())
	}
	if l.Interface != "" {
		if _, err := net.InterfaceByName(l.Interface); err != nil {
			p.errorf(line{place: b.seenAt("bind_interface"), word: "bind_interface"}, cause.ConfigInvalidValue, "", "Error: There is no network interface %s on this machine.", l.Interface)
		}
	}
	if l.Address == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveLimit)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", l.Address)
	if err != nil {
		p.errorf(at, cause.ConfigInvalidValue, "", "Error: Unable to resolve %s: %v.", l.Address, err)
		return
	}
	for _, a := range addrs {
		if a = a.Unmap(); a.IsUnspecified() || a.IsMulticast() || hasAddress(a) {
			return
		}
	}
	p.find(Warning, at, cause.BindBeforeNetwork, "Leave the address out to listen on all of them. It is right if the address comes later, from DHCP or a VPN.",
		"Warning: No network interface of this machine has the address %s now.", l.Address)
}

// unprivilegedPort is the first port that anybody may listen on.
func unprivilegedPort() int {
	data, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
			return n
		}
	}
	return 1024
}

// checkSecurity loads password and ACL files.
func (p *parser) checkSecurity(s *security) {
	if p.comes(s.config.PasswordFile) {
		return // with its passwords
	}
	if file := s.config.PasswordFile; file != "" {
		p.checkReadable(line{place: s.seen["password_file"], word: "password_file"}, file)
	}
	if file := s.config.ACLFile; file != "" {
		p.checkReadable(line{place: s.seen["acl_file"], word: "acl_file"}, file)
	}
	policy, warnings, err := access.Load(s.config)
	for _, w := range warnings {
		level, id := Warning, cause.ConfigInvalidValue
		switch {
		case w.Line == 0 && p.becomes() != "" && !strings.Contains(w.Text, "world readable"):
			continue // the file must belong to the user to come, not to root
		case w.Line == 0:
			id = cause.FilePermissions
		case w.Type == logging.Notice:
			level = Notice
		}
		p.report.add(Finding{Level: level, File: w.File, Line: w.Line, Text: w.Text, Cause: id})
	}
	var fe *access.FileError
	switch {
	case err == nil:
		if names := policy.Strangers(); len(names) > 0 && !p.byCertificate() {
			p.find(Notice, line{place: s.seen["acl_file"], word: "acl_file"}, cause.ConfigNoEffect, "Are the names spelled as in the password_file?",
				"The acl_file has rules for users who are not in the password_file: %s.", listed(names))
		}
	case errors.As(err, &fe) && fe.Err != nil:
		p.errorf(line{place: s.seen[fe.Directive], word: fe.Directive}, cause.ConfigUnreadable, fe.Hint, "%s", fe.Text)
	case errors.As(err, &fe):
		p.report.add(Finding{Level: Error, File: fe.File, Line: fe.Line, Directive: fe.Directive, Text: fe.Text, Hint: fe.Hint, Cause: cause.ConfigInvalidValue})
	default:
		p.report.add(Finding{Level: Error, File: p.report.Path, Text: "Error: " + err.Error(), Cause: cause.ConfigInvalidValue})
	}
}

// byCertificate reports whether users come from certificates on some listener.
func (p *parser) byCertificate() bool {
	return slices.ContainsFunc(p.blocks, func(b *block) bool { return b.config.IdentityAsUsername || b.config.SubjectAsUsername })
}

// listed returns the first few of the names.
func listed(names []string) string {
	const most = 5
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

// becomes returns the user that root is going to become, or nothing.
func (p *parser) becomes() string {
	if os.Geteuid() != 0 {
		return ""
	}
	return p.config.User
}

// comes says whether a file is not there yet and the first start makes it, in data_dir.
func (p *parser) comes(file string) bool {
	if p.config.DataDir == "" || file == "" || filepath.Dir(file) != p.config.DataDir {
		return false
	}
	_, err := os.Stat(file)
	return errors.Is(err, fs.ErrNotExist)
}

// checkReadable looks at whether the user that root is going to become can read a file.
func (p *parser) checkReadable(l line, path string) {
	name := p.becomes()
	if name == "" {
		return
	}
	if denied := unreadableBy(name, path); denied != "" {
		p.find(Warning, l, cause.KeyUnreadable, "Let its group read it, such as: chgrp "+name+" "+denied,
			"Warning: The user %s, who picket becomes, may not read %s.", name, denied)
	}
}

// checkFolders looks at the files that are going to be written. A folder that is missing now may be made by the service manager.
func (p *parser) checkFolders(c *broker.Config) {
	folder := func(directive, path string) {
		dir := filepath.Dir(path)
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return
		}
		l := line{place: place{file: p.report.Path}, word: directive}
		if at, ok := p.seen[directive]; ok {
			l.place = at
		}
		p.find(Warning, l, cause.ConfigUnreadable, "Create it, unless the service manager does (RuntimeDirectory=, LogsDirectory=).", "Warning: There is no folder %s for %s.", dir, directive)
	}
	if c.PIDFile != "" {
		folder("pid_file", c.PIDFile)
	}
	for _, d := range c.Log.Dest {
		if d.Kind == logging.File {
			folder("log_dest", d.Path)
		}
	}
	for _, b := range p.blocks {
		if dir := b.config.HTTPDir; dir != "" {
			if info, err := os.Stat(dir); err != nil || !info.IsDir() {
				p.errorf(line{place: b.seenAt("http_dir"), word: "http_dir"}, cause.ConfigUnreadable, "", "Error: There is no folder %s.", dir)
			}
		}
	}
}

// checkUser looks for the user to become, which matters only to root.
func (p *parser) checkUser(c *broker.Config) {
	at, given := p.seen["user"]
	if !given || c.User == "" {
		return
	}
	if _, err := user.Lookup(c.User); err != nil && c.User != defaultUser {
		p.errorf(line{place: at, word: "user"}, cause.ConfigInvalidValue, "Create the user or name another one.",
			"Error: Unable to drop privileges to '%s' because this user does not exist.", c.User)
	}
}

// whyUnreadable says why a file could not be read.
func whyUnreadable(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "There is no such file."
	case errors.Is(err, fs.ErrPermission):
		return "The user who runs picket may not read it."
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Sprintf("%v.", err)
}
