package mosqconf

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/access"
	"picket/ban"
	"picket/broker"
	"picket/cause"
	"picket/listener"
	"picket/logging"
	"picket/process"
	"picket/rights"
	"picket/token"
)

// Check reads a configuration as [Parse] does and also looks at whatever else stops a start: certificates and keys, password and ACL files, the place
// of the store, addresses, ports, folders and users of this machine; and at who could connect. Files are looked at with the rights of the user whom root
// is going to become, by the functions that open them at a start. It opens no port and changes nothing.
func Check(path string) (*Config, *Report) {
	p := newParser(path)
	p.readFile(path, 0, place{})
	c := p.finish()
	p.checkReach(c)
	p.checkKeepAlive(c)
	user := p.checkUser(c)
	for _, b := range p.blocks {
		if !b.broken {
			p.checkSocket(b)
		}
	}
	if user == nil {
		p.checkFiles(c)
	} else if err := user.Try(func() { p.checkFiles(c) }); err != nil {
		p.report.add(Finding{Level: Warning, File: path, Cause: cause.ConfigUnreadable, Text: "Warning: What the user " + user.Name + " may read could not be looked at: " + err.Error() + "."})
	}
	if p.report.Failed() {
		return nil, p.report
	}
	return c, p.report
}

// checkFiles looks at everything that the broker is going to open.
func (p *parser) checkFiles(c *Config) {
	for _, b := range p.blocks {
		if b.broken {
			continue
		}
		before := p.report.Count(Error)
		p.checkTLS(b)
		if err := listener.Loadable(&b.config.Config); err != nil && p.report.Count(Error) == before && !p.comes(b.config.TLS.CertFile) { // what the start would say, should the check have missed it
			p.errorf(line{place: b.place, word: "listener"}, cause.ConfigInvalidValue, "", "Error: %v.", err)
		}
		if path := b.config.Path; path != "" && p.report.Count(Error) == before { // a folder that is missing has been reported
			p.checkWritable(Error, line{place: b.place, word: "listener"}, filepath.Dir(path))
		}
	}
	used := make(map[int]bool)
	for _, l := range c.Listeners {
		i := l.Security
		if p.securities[i].twin { // the files are those of the broker's own rules
			i = 0
		}
		if !used[i] {
			used[i] = true
			p.checkSecurity(p.securities[i])
		}
	}
	p.checkBridges()
	p.checkStore(c)
	p.checkFolders(c)
}

// checkStore looks at where the store is to be.
func (p *parser) checkStore(c *Config) {
	if !c.Persistence.On {
		return
	}
	where, err := c.Persistence.Place()
	if err == nil && !p.looksAfter(filepath.Dir(where.Dir)) {
		err = where.Usable(c.User)
	}
	if err != nil {
		at := line{place: place{file: p.report.Path}, word: "persistence"}
		for _, word := range []string{"persistence_location", "persistence_store"} {
			if seen, ok := p.seen[word]; ok {
				at = line{place: seen, word: word}
			}
		}
		p.errorf(at, cause.ConfigUnreadable, "", "Error: %v.", err)
	}
}

// checkKeepAlive says what max_keepalive means for clients that are not told it.
func (p *parser) checkKeepAlive(c *Config) {
	if c.MaxKeepAlive > 0 {
		p.find(Notice, line{place: place{file: p.report.Path}, word: "max_keepalive"}, cause.KeepaliveRefused, "mosquitto 2.0.20 refuses them too, 2.0.11 does not.",
			"Clients of MQTT 3.1.1 and 3.1 whose keep alive is 0 or above %d s are refused; those of MQTT 5 are told the limit.", c.MaxKeepAlive)
	}
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
func (p *parser) checkReach(c *Config) {
	open := false
	for _, l := range c.Listeners {
		open = open || !isLoopback(l)
	}
	if !open {
		p.report.add(Finding{Level: Warning, File: p.report.Path, Cause: cause.LoopbackOnly,
			Text: "Warning: Only clients on this machine can connect: every listener has a loopback address.", Hint: "For other machines, write: listener 1883"})
	}
	for _, s := range p.securities {
		if at, ok := s.seen["allow_anonymous"]; ok && s.config.Anonymous == access.AnonymousLocal {
			p.find(Notice, line{place: at, word: "allow_anonymous"}, "", "Have it send a PROXY header (proxy_from), or write allow_anonymous false.",
				"Whoever comes through a proxy or tunnel on this machine that leaves no trace (ssh -L, a plain TCP forwarder) counts as a client on this machine and needs no password.")
		}
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
		p.find(Error, at, cause.PrivilegedPort, "Give it CAP_NET_BIND_SERVICE (setcap cap_net_bind_service+ep, or AmbientCapabilities= of systemd), write user root, or use a higher port.",
			"Error: Port %d is below %d and needs a privilege that picket does not have; root gives it up before the port is opened.", l.Port, unprivilegedPort())
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
	policy, warnings, err := access.Load(s.config)
	if s.config.RightsFile != "" && err == nil {
		var more []access.Warning
		more, err = checkRights(s.config.RightsFile, s.config.RightsBeside)
		warnings = append(warnings, more...)
	}
	for _, w := range warnings {
		p.takeWarning(w)
	}
	p.checkBackends(s)
	switch {
	case err != nil:
		p.badFile(err, func(directive string) line { return line{place: s.seen[directive], word: directive} })
	default:
		if s.config.PasswordFile != "" && policy.NoUsers() {
			p.find(Warning, line{place: s.seen["password_file"], word: "password_file"}, cause.NoPasswordFile, "Add one: picket passwd FILE USER",
				"Warning: Nobody can log in with a password: there are no users in %s.", s.config.PasswordFile)
		}
		if names := policy.Strangers(); len(names) > 0 && !p.byCertificate() {
			p.find(Notice, line{place: s.seen["acl_file"], word: "acl_file"}, cause.ConfigNoEffect, "Are the names spelled as in the password_file?",
				"The acl_file has rules for users who are not in the password_file: %s.", listed(names))
		}
	}
}

// badFile reports a file of users or rules that cannot be used. at is where a directive stands.
func (p *parser) badFile(err error, at func(directive string) line) {
	var fe *access.FileError
	switch {
	case errors.As(err, &fe) && fe.Err != nil:
		hint := fe.Hint
		if errors.Is(fe.Err, fs.ErrPermission) {
			hint = p.whyUnreadable(fe.Err, fe.File)
		}
		p.errorf(at(fe.Directive), cause.ConfigUnreadable, hint, "%s", fe.Text)
	case errors.As(err, &fe):
		p.report.add(Finding{Level: Error, File: fe.File, Line: fe.Line, Directive: fe.Directive, Text: fe.Text, Hint: fe.Hint, Cause: cause.ConfigInvalidValue})
	default:
		p.report.add(Finding{Level: Error, File: p.report.Path, Text: "Error: " + err.Error(), Cause: cause.ConfigInvalidValue})
	}
}

// checkRights reads the file of users and rights as the start does.
func checkRights(path string, beside bool) (warnings []access.Warning, err error) {
	data, warnings, err := access.ReadRights(path, beside)
	if beside && errors.Is(err, fs.ErrNotExist) {
		return nil, nil // it is made with its first user
	}
	if err != nil {
		return warnings, err
	}
	_, texts, err := rights.Load(data)
	if err != nil {
		return warnings, access.RightsError(path, beside, err)
	}
	for _, text := range texts {
		warnings = append(warnings, access.Warning{Type: logging.Warning, Text: "Warning: " + text + ".", File: path, Line: 1})
	}
	return warnings, nil
}

// takeWarning reports what was odd about a password or ACL file.
func (p *parser) takeWarning(w access.Warning) {
	level, id := Warning, cause.ConfigInvalidValue
	switch {
	case w.Line == 0 && p.becomes() != "" && !strings.Contains(w.Text, "world readable"):
		return // the file must belong to the user to come, not to root
	case w.Line == 0:
		id = cause.FilePermissions
	case w.Type == logging.Notice:
		level = Notice
	}
	p.report.add(Finding{Level: level, File: w.File, Line: w.Line, Text: w.Text, Cause: id})
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

// looksAfter says whether a folder is data_dir or in it: a start makes it, and gives it to the user whom root becomes.
func (p *parser) looksAfter(dir string) bool {
	if p.config.DataDir == "" {
		return false
	}
	rel, err := filepath.Rel(p.config.DataDir, dir)
	return err == nil && filepath.IsLocal(rel)
}

// checkWritable records that the broker cannot make or write a file in a folder.
func (p *parser) checkWritable(level Level, l line, dir string) {
	if p.looksAfter(dir) {
		return
	}
	err := process.Writable(dir)
	if err == nil {
		return
	}
	word := map[Level]string{Error: "Error", Warning: "Warning"}[level]
	hint := "Create it, unless the service manager does (RuntimeDirectory=, LogsDirectory=)."
	if !errors.Is(err, fs.ErrNotExist) {
		hint = p.whyUnreadable(err, dir)
	}
	p.find(level, l, cause.ConfigUnreadable, hint, "%s: No file can be made in folder %s for %s.", word, dir, l.word)
}

// checkFolders looks at the files that are going to be written, and at the folders of web pages.
func (p *parser) checkFolders(c *Config) {
	at := func(directive string) line {
		l := line{place: place{file: p.report.Path}, word: directive}
		if seen, ok := p.seen[directive]; ok {
			l.place = seen
		}
		return l
	}
	writable := func(level Level, directive, path string) {
		if _, err := os.Stat(path); err == nil {
			if err := process.Writable(path); err != nil {
				p.find(level, at(directive), cause.ConfigUnreadable, p.whyUnreadable(err, path), "%s: %s %s cannot be written.", map[Level]string{Error: "Error", Warning: "Warning"}[level], directive, path)
			}
			return
		}
		p.checkWritable(level, at(directive), filepath.Dir(path))
	}
	if c.PIDFile != "" {
		writable(Error, "pid_file", c.PIDFile)
	}
	if c.BansFile != "" {
		if _, err := ban.Open(c.BansFile); err != nil {
			p.errorf(at("bans_file"), cause.ConfigUnreadable, "It is written by picket ban; move it away to start without bans.", "Error: bans_file cannot be used: %v.", err)
		}
		writable(Warning, "bans_file", c.BansFile)
	}
	if c.TokensFile != "" {
		if _, err := token.Open(c.TokensFile); err != nil {
			p.errorf(at("tokens_file"), cause.ConfigUnreadable, "It is written by picket ctl token; move it away to start without tokens.", "Error: tokens_file cannot be used: %v.", err)
		}
		writable(Warning, "tokens_file", c.TokensFile)
	}
	if c.AuditFile != "" {
		writable(Warning, "audit_file", c.AuditFile)
	}
	if c.AdminSocket != "" {
		p.checkWritable(Error, at("admin_socket"), filepath.Dir(c.AdminSocket))
	}
	for _, d := range c.Log.Dest { // what cannot be had is said at the start, and the rest is logged to all the same
		if err := logging.Probe(d); err != nil {
			p.find(Warning, at("log_dest"), cause.ConfigUnreadable, "The broker starts and logs to standard error in its place.", "Warning: log_dest %s cannot be had: %v.", d, err)
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

// checkUser looks for the user to become, which matters only to root; nil: the process stays as it is.
func (p *parser) checkUser(c *Config) *process.User {
	if !process.IsRoot() {
		return nil
	}
	user, instead, err := c.Becomes()
	at := line{place: p.seen["user"], word: "user"}
	if at.file == "" {
		at.file = p.report.Path
	}
	switch {
	case err != nil:
		p.errorf(at, cause.ConfigInvalidValue, "Create the user or name another one.", "Error: %v.", err)
	case instead:
		p.find(Notice, at, "", "", "There is no user %s: the broker becomes %s.", c.User, user.Name)
	}
	return user
}

// whyUnreadable says why a file could not be read or written, and what to do.
func (p *parser) whyUnreadable(err error, path string) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "There is no such file."
	case errors.Is(err, fs.ErrPermission):
		name := p.becomes()
		if name == "" {
			return "The user who runs picket may not."
		}
		return fmt.Sprintf("The user %s, who picket becomes, may not: chgrp %s %s, chmod g+r, and the folders above have to let that user through.", name, name, path)
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Sprintf("%v.", err)
}
