package gather

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"picket/doctor/host"
)

// barred are the files and folders that a configuration names and that the broker's user may not read or, where files are made in them, write to.
// Certificates and keys have a fact of their own.
func (g *gatherer) barred(c *configuration) (all []host.Barred) {
	r, known := g.readerOf(c)
	if !known || c.root != g.Root && c.pid == 0 {
		return nil
	}
	add := func(directive, file, at string, write bool) {
		one := host.Barred{Directive: directive, File: file, At: strings.TrimPrefix(at, c.root), User: r.name, Write: write}
		if at != "" && !slices.Contains(all, one) {
			all = append(all, one)
		}
	}
	if g.unitUser(c.fact.Program) != "" { // else it is read by root
		add("-c", c.fact.File, r.denied(inside(c.root, c.fact.File)), false)
	}
	for _, s := range c.config.Security {
		add("password_file", s.PasswordFile, r.denied(inside(c.root, s.PasswordFile)), false)
		add("acl_file", s.ACLFile, r.denied(inside(c.root, s.ACLFile)), false)
	}
	for _, l := range c.config.Listeners {
		add("cafile", l.TLS.CAFile, r.denied(inside(c.root, l.TLS.CAFile)), false)
		add("crlfile", l.TLS.CRLFile, r.denied(inside(c.root, l.TLS.CRLFile)), false)
	}
	if p := c.config.Persistence; p.On && p.Location != "" {
		add("persistence_location", p.Location, r.shut(inside(c.root, p.Location)), true)
	}
	return all
}

// shut is the folder in which the reader may not make files, or the one on the way to it that it may not enter; empty if there is none.
func (r reader) shut(folder string) string {
	if r.uid == 0 {
		return ""
	}
	folder = filepath.Clean(folder)
	info, err := os.Stat(folder)
	if err != nil || !info.IsDir() {
		return "" // told by whoever reads the whole
	}
	if at := r.denied(filepath.Join(folder, "x")); at != "" {
		return at
	}
	if !r.may(folder, info, 0o2) {
		return folder
	}
	return ""
}
