package gather

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"picket/doctor"
	"picket/doctor/host"
)

// unitDirs are where systemd looks for units, the administrator's first.
var unitDirs = []string{"/etc/systemd/system/", "/run/systemd/system/", "/usr/local/lib/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/"}

// units reads the files of the brokers' units, where systemd runs.
func (g *gatherer) units() {
	if !g.exists("/run/systemd/system") {
		return
	}
	names := []string{"mosquitto.service"}
	if len(g.brokers) > 0 {
		names = nil
	}
	for _, b := range g.brokers {
		if b.fact.Unit != "" && !b.fact.Container && !slices.Contains(names, b.fact.Unit) {
			names = append(names, b.fact.Unit)
		}
	}
	for _, name := range names {
		if u := g.unit(name); len(u.Files) > 0 {
			g.add(u)
		}
	}
}

// unit reads one: the first file of that name, and the drop-ins of all folders in the order of their names.
func (g *gatherer) unit(name string) host.Unit {
	u := host.Unit{Unit: name}
	beside := make(map[string]string) // drop-ins: their paths, by name
	for _, dir := range unitDirs {
		if len(u.Files) == 0 && g.exists(dir+name) {
			u.Files = append(u.Files, dir+name)
		}
		entries, err := os.ReadDir(g.path(dir + name + ".d"))
		if err != nil {
			continue // most units have none
		}
		for _, e := range entries {
			if _, known := beside[e.Name()]; !known && strings.HasSuffix(e.Name(), ".conf") {
				beside[e.Name()] = dir + name + ".d/" + e.Name()
			}
		}
	}
	if len(u.Files) == 0 {
		return u
	}
	all := make([]string, 0, len(beside))
	for file := range beside {
		all = append(all, file)
	}
	slices.Sort(all)
	for _, file := range all {
		u.Files = append(u.Files, beside[file])
	}
	var s unitSettings
	for _, file := range u.Files {
		text, err := g.read(file)
		if err != nil {
			g.unread("service", err)
			continue
		}
		s.read(file, text)
	}
	g.concludeUnit(&u, &s)
	return u
}

// unitSettings are those of the lines of [Service] that matter here; each as it stands after all files, with the place where it stands.
type unitSettings struct {
	start               []string // words of ExecStart=
	deny, allow, hidden []placed
	home                placed // ProtectHome=
	user                string // User=
}

type placed struct{ value, at string }

// read takes the lines of a file. An empty value takes back what was said before (systemd.syntax(7)).
func (s *unitSettings) read(file, text string) {
	section, n := "", 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = line
		}
		name, value, is := strings.Cut(line, "=")
		if !is || section != "[Service]" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		value = strings.TrimSpace(value)
		p := placed{value, fmt.Sprintf("%s=%s (%s:%d)", strings.TrimSpace(name), doctor.Printable(value, 200), file, n)}
		add := func(to *[]placed) {
			if *to = append(*to, p); value == "" {
				*to = nil
			}
		}
		switch strings.TrimSpace(name) {
		case "ExecStart":
			s.start = strings.Fields(value)
		case "IPAddressDeny":
			add(&s.deny)
		case "IPAddressAllow":
			add(&s.allow)
		case "InaccessiblePaths", "InaccessibleDirectories":
			add(&s.hidden)
		case "ProtectHome":
			s.home = p
		case "User":
			s.user = value
		}
	}
}

// everybody are the words for all addresses.
var everybody = []string{"any", "0.0.0.0/0", "::/0"}

// saysAll is the place of a line that means all addresses.
func saysAll(list []placed) (at string, is bool) {
	for _, p := range list {
		if slices.ContainsFunc(strings.Fields(p.value), func(w string) bool { return slices.Contains(everybody, w) }) {
			return p.at, true
		}
	}
	return "", false
}

// concludeUnit says what the settings do to the broker and its files.
func (g *gatherer) concludeUnit(u *host.Unit, s *unitSettings) {
	u.Config, u.User = option(s.start, "-c", "--config-file"), s.user
	if at, denied := saysAll(s.deny); denied {
		if _, allowed := saysAll(s.allow); !allowed {
			u.Denied = at
			for _, p := range s.allow {
				u.Allowed = append(u.Allowed, strings.Fields(p.value)...)
			}
		}
	}
	hidden := slices.Clone(s.hidden)
	if slices.Contains([]string{"yes", "true", "on", "1", "tmpfs"}, strings.ToLower(s.home.value)) {
		hidden = append(hidden, placed{"/home /root /run/user", s.home.at})
	}
	for _, file := range g.filesOf(u.Config) {
		for _, p := range hidden {
			if slices.ContainsFunc(strings.Fields(p.value), func(dir string) bool {
				dir = strings.TrimLeft(dir, "-+")
				return file == dir || strings.HasPrefix(file, strings.TrimSuffix(dir, "/")+"/")
			}) {
				u.Hidden, u.HiddenBy = append(u.Hidden, file), p.at
				break
			}
		}
	}
}

// filesOf are a configuration and the files that it names, which its broker has to read.
func (g *gatherer) filesOf(config string) (files []string) {
	if config == "" {
		return nil
	}
	files = append(files, config)
	text, err := g.read(config)
	if err != nil {
		return files // told by whoever reads the whole
	}
	for line := range strings.Lines(text) {
		word, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if value = strings.TrimSpace(value); filepath.IsAbs(value) && slices.Contains([]string{"password_file", "acl_file", "psk_file", "certfile", "keyfile", "cafile", "crlfile", "include_dir"}, word) {
			files = append(files, filepath.Clean(value))
		}
	}
	return files
}
