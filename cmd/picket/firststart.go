package main

import (
	"fmt"
	"os"

	"golang.org/x/term"

	"picket/broker"
	"picket/cause"
	"picket/logging"
	"picket/mosqconf"
	"picket/page"
	"picket/process"
	"picket/reach"
	"picket/setup"
)

// unconfigured is the configuration of a start without one. It makes what the data directory lacks.
func (s *serveCommand) unconfigured() (*broker.Config, *setup.Result, []mosqconf.Line) {
	own, err := s.prepare()
	if err != nil {
		return nil, nil, []mosqconf.Line{{Type: logging.Error, Text: fmt.Sprintf("Error: %v.", err)}}
	}
	var lines []mosqconf.Line
	if own.Issued != "" && !own.First() {
		lines = append(lines, mosqconf.Line{
			Type: logging.Notice, Text: fmt.Sprintf("There is a new server certificate, because %s. Clients notice nothing.", own.Issued),
		})
	}
	if own.NewCA && !own.First() {
		lines = append(lines, mosqconf.Line{
			Type: logging.Warning, Cause: cause.TLSUnknownCA,
			Text: "Warning: There is a new certificate authority. Clients that use TLS have to be given " + own.CAFile + ".",
		})
	}
	ports := s.Port
	if len(ports) == 0 {
		ports = []int{1883}
	}
	return mosqconf.Open(ports, own.PasswordFile, own.CertFile, own.KeyFile), own, lines
}

func (s *serveCommand) prepare() (*setup.Result, error) {
	dir := s.Data
	if dir == "" {
		var err error
		if dir, err = setup.DefaultDir(os.Getenv, os.Geteuid()); err != nil {
			return nil, err
		}
	}
	host, err := reach.ThisHost()
	if err != nil {
		return nil, err
	}
	name, err := os.Hostname()
	if err != nil {
		name = "" // the certificate is then for the addresses
	}
	return setup.Prepare(setup.Options{Dir: dir, Hostname: name, Addresses: host.Addrs()})
}

// welcome shows, once, what the first start made.
func (s *serveCommand) welcome(e *env, own *setup.Result, report reach.Report) error {
	f, ok := e.stdout.(*os.File)
	return own.Print(e.stdout, cause.Locale(os.Getenv), report, ok && term.IsTerminal(int(f.Fd())))
}

// becomeOwner becomes the first of the users that exists. It gives the data directory to that user on the first start, and later only what setup may
// have made anew.
func becomeOwner(own *setup.Result, names ...string) error {
	user, err := process.LookupUser(names...)
	if err != nil {
		return err
	}
	var files []string
	if !own.First() {
		files = setup.Names()
	}
	if err := user.Own(own.Dir, files...); err != nil {
		return err
	}
	return process.Become(user)
}

// doors are the listeners with what a client needs to pass each.
func doors(c *broker.Config) (all []reach.Door) {
	for _, l := range c.Listeners {
		rules := c.Security[l.Security]
		all = append(all, reach.Door{Listener: l, Anonymous: rules.Anonymous, Limited: rules.ACLFile != "", Page: page.Built() && c.Page != nil && l.ServesPage()})
	}
	return all
}
