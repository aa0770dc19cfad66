package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"picket/audit"
	"picket/ban"
	"picket/broker"
	"picket/cause"
	"picket/cloud/detect"
	"picket/logging"
	"picket/mosqconf"
	"picket/page"
	"picket/process"
	"picket/reach"
	"picket/setup"
	"picket/token"
)

// unconfigured is the configuration of a start without one. It makes what the data directory lacks.
func (s *serveCommand) unconfigured(ctx context.Context) (*mosqconf.Config, *setup.Result, []mosqconf.Line) {
	if err := s.chooseData(os.Getenv, os.Geteuid()); err != nil {
		return nil, nil, []mosqconf.Line{{Type: logging.Error, Text: fmt.Sprintf("Error: %v.", err)}}
	}
	own, lines := s.prepared(ctx, s.Data, s.Name)
	if own == nil {
		return nil, nil, lines
	}
	ports := s.Port
	if len(ports) == 0 {
		ports = []int{1883}
	}
	config := mosqconf.Open(ports, own.PasswordFile, own.RightsFile, own.CertFile, own.KeyFile)
	config.BansFile = filepath.Join(own.Dir, ban.FileName)
	config.TokensFile = filepath.Join(own.Dir, token.FileName)
	config.AuditFile = filepath.Join(own.Dir, audit.FileName)
	config.ReasonStrings = true // nobody counts on mosquitto's bytes here
	config.Persistence = mosqconf.Persistence{On: true, Store: filepath.Join(own.Dir, storeName)}
	if s.AdminListen != "none" {
		config.API = []mosqconf.API{{Source: "--admin-listen", Address: cmp.Or(s.AdminListen, mosqconf.AdminAddress)}}
	}
	return config, own, lines
}

// chooseData settles where the data directory is, once: a broker that root has started and that has become another user goes on with it at a reload.
func (s *serveCommand) chooseData(getenv func(string) string, euid int) (err error) {
	if s.Data == "" {
		s.Data, err = setup.DefaultDir(getenv, euid)
	}
	return err
}

// prepared makes what a data directory lacks, and says what is new. The result is nil when it cannot be done.
func (s *serveCommand) prepared(ctx context.Context, dir string, names []string) (*setup.Result, []mosqconf.Line) {
	own, err := prepare(ctx, dir, names)
	if err != nil {
		return nil, []mosqconf.Line{{Type: logging.Error, Text: fmt.Sprintf("Error: %v.", err)}}
	}
	var lines []mosqconf.Line
	if own.Issued != "" && !own.Made {
		lines = append(lines, mosqconf.Line{
			Type: logging.Notice, Text: fmt.Sprintf("There is a new server certificate, because %s. Clients notice nothing.", own.Issued),
		})
	}
	if own.NewCA && !own.Made {
		lines = append(lines, mosqconf.Line{
			Type: logging.Warning, Cause: cause.TLSUnknownCA,
			Text: "Warning: There is a new certificate authority. Clients that use TLS have to be given " + own.CAFile + ".",
		})
	}
	if len(own.Left) > 0 {
		lines = append(lines, mosqconf.Line{
			Type: logging.Warning, Cause: cause.TLSNameMismatch,
			Text: fmt.Sprintf("Warning: The server certificate is not for %s, since the certificate authority was made before that name was known. Remove %s for a new one, which clients that use TLS have to be given.", strings.Join(own.Left, ", "), own.CAFile),
		})
	}
	return own, lines
}

// prepare finds out where this machine is, and makes what a data directory lacks.
func prepare(ctx context.Context, dir string, names []string) (*setup.Result, error) {
	place, err := setup.Here(ctx, detect.Detector{})
	if err != nil {
		return nil, err
	}
	name, err := os.Hostname()
	if err != nil {
		name = "" // the certificate is then for the addresses
	}
	own, err := setup.Prepare(setup.Options{Dir: dir, Hostname: name, Addresses: place.Addresses(), Names: names})
	if err != nil {
		return nil, err
	}
	place.Names, own.Place = own.Names, place
	return own, nil
}

// freePorts has -p 0 be a port that is free now. It is held until the broker opens it, so that nobody else is given it meanwhile.
func (s *serveCommand) freePorts() error {
	for i, port := range s.Port {
		if port != 0 {
			continue
		}
		l, err := net.Listen("tcp", ":0") //nolint:noctx // it does not wait
		if err != nil {
			return &statusError{statusStart, fmt.Sprintf("Error: no free port: %v.", err)}
		}
		s.Port[i] = l.Addr().(*net.TCPAddr).Port
		s.held = append(s.held, l)
	}
	return nil
}

// releasePorts gives up the ports that freePorts holds.
func (s *serveCommand) releasePorts() {
	for _, l := range s.held {
		_ = l.Close() // it has taken no connection
	}
	s.held = nil
}

// welcome shows what the first start made, until somebody has seen it: at once on a terminal. Elsewhere the log names the file with the password.
func (s *serveCommand) welcome(e *env, own *setup.Result, report reach.Report, log *logging.Logger) (shown bool, err error) {
	if own == nil || !own.First() {
		return false, nil
	}
	show := setup.Shown{Lang: e.lang(), Trusted: own.Trusted, Terminal: isTerminal(e.stdout), Config: s.ConfigFile, Hint: e.language == "" && noLocale(os.Getenv)}
	if !show.Terminal {
		log.Printf(logging.Notice, "The password of the user %s is in %s until you remove that file; \"picket show\" says what to enter on a phone.", setup.User, own.NoteFile)
		if !own.Made {
			return false, nil
		}
	}
	if err := own.Print(e.stdout, show, report, own.Place); err != nil || !show.Terminal {
		return err == nil, err
	}
	return true, own.Seen()
}

// isTerminal says whether people read what is written to a stream, or type what is read from it.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// noLocale says whether the environment tells nothing about the person's language.
func noLocale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value, _, _ := strings.Cut(getenv(name), "."); value != "" && value != "C" && value != "POSIX" {
			return false
		}
	}
	return true
}

// lookAgain is how often a running broker looks whether its machine has other addresses, and its certificate has to be renewed.
const lookAgain = time.Hour

// lookAgain renews the server certificate when it nears its end or lacks an address, without anybody noticing.
func (s *server) lookAgain(ctx context.Context) {
	if s.own == nil {
		return
	}
	own, err := prepare(ctx, s.own.Dir, nil)
	if err != nil {
		s.log.Printf(logging.Warning, "Warning: %v.", err)
		return
	}
	if own.Issued != "" {
		s.log.Printf(logging.Notice, "There is a new server certificate, because %s. Clients notice nothing.", own.Issued)
		_ = s.reload() // it has logged why not
	}
}

// becomeOwner becomes the first of the users that exists. It gives the data directory to that user on the first start, and later only what setup may
// have made anew.
func becomeOwner(own *setup.Result, names ...string) error {
	user, err := process.LookupUser(names...)
	if err != nil {
		return err
	}
	var files []string
	if !own.Made {
		files = setup.Names()
	}
	if err := user.Own(own.Dir, files...); err != nil {
		return err
	}
	return process.Become(user)
}

// doors are the listeners with what a client needs to pass each.
func doors(b *broker.Broker) (all []reach.Door) {
	for _, l := range b.Status().Listeners {
		c := l.Config
		all = append(all, reach.Door{Listener: &c.Config, Anonymous: l.Anonymous, Limited: l.Limited, NoUsers: l.NoUsers,
			Named: c.TLS.RequireCertificate && (c.IdentityAsUsername || c.SubjectAsUsername), Page: page.Built() && l.Page})
	}
	return all
}
