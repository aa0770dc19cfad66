package main

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"picket/admin"
	"picket/api"
	"picket/audit"
	"picket/cause"
	"picket/dashboard"
	"picket/logging"
	"picket/mosqconf"
	"picket/page"
	"picket/setup"
)

// openAdmin opens the admin socket. One that nobody has asked for is given up with a warning when it cannot be had.
func (s *server) openAdmin(config *mosqconf.Config, own *setup.Result) (err error) {
	if s.command.AdminSocket == "none" {
		return nil
	}
	path, unfound := admin.Register(config.AdminSocket)
	if path == "" {
		return nil // there is no place for one, and nobody has asked for it
	}
	s.api.Config.Socket = path
	if s.admin, err = admin.Serve(path, s.api.Socket()); err == nil {
		s.unfound = unfound
		return nil
	}
	s.api.Config.Socket = ""
	unfound()
	if config.AdminSocket != "" && (own == nil || s.command.AdminSocket != "") {
		return err
	}
	s.log.Printf(logging.Warning, "Warning: picket ctl cannot reach this broker: %v. --admin-socket PATH chooses another place.", err)
	return nil
}

// openAPI makes the API, which the admin socket and the listeners with protocol http_api serve.
func (s *server) openAPI(config *mosqconf.Config, own *setup.Result) {
	s.dashboards.Store(&[]string{}) // none has been opened
	s.audit = audit.Open(config.AuditFile, s.log, func(err error) {
		s.broker.Report(logging.Warning, cause.AuditNotWritten, "Warning: The audit file cannot be written: %v.", err)
	})
	about := admin.About{Audit: s.audit, Dashboards: func() []string { return *s.dashboards.Load() }, Backup: s.writeBackup, Bridges: s.bridges.States, Backends: s.askedNow, Version: buildVersion(), Page: page.Built(), LogFiles: func() []string { return *s.logFiles.Load() }, Reload: s.askReload, Journal: os.Getenv("JOURNAL_STREAM") != ""}
	if s.command.ConfigFile != "" {
		about.Config, _ = filepath.Abs(s.command.ConfigFile) // it has been read from there
	}
	if own != nil {
		about.Data = own.Dir
	}
	if s.rights != nil {
		about.Rights = s.rights
	}
	if s.node != nil {
		about.Cluster = s.node.State
	}
	about.Place, about.ACMEName, about.ACMEEmail = shownPlace(config.Persistence), config.ACME.Name, config.ACME.Email
	s.api = api.New(api.Config{Broker: s.broker, About: about, Tokens: s.tokens})
}

// webAddress is what tells listeners for whoever runs the broker apart: one that a reload leaves as it was goes on.
type webAddress struct {
	address string
	metrics bool // for all
	api     bool // for all
}

// openWeb opens the listeners for whoever runs the broker, and closes those that are not wanted any more. A broker that serves its clients does not end because one of
// them cannot be had.
func (s *server) openWeb(config *mosqconf.Config) {
	wanted := make(map[webAddress]string) // and where it stands in the configuration
	for _, l := range config.API {
		wanted[webAddress{l.Address, config.MetricsForAll, config.APIForAll}] = l.Source
	}
	for at, w := range s.web {
		if _, stays := wanted[at]; !stays {
			w.Close()
			delete(s.web, at)
		}
	}
	for at, source := range wanted {
		if s.web[at] != nil {
			continue
		}
		w, err := admin.OpenWeb(admin.WebOptions{Address: at.address, Version: buildVersion(), MetricsForAll: at.metrics, API: s.api.Web(at.api), Metrics: s.api.Metrics(at.api), Page: dashboard.Serve, Unready: s.unanswered}, s.broker)
		switch {
		case err == nil:
			s.web[at] = w
			s.log.Printf(logging.Info, "Dashboard, which picket ctl login lets you into: http://%s/; figures for Prometheus: http://%s/metrics; the API: http://%s/api/v1/openapi.json", w.Addr(), w.Addr(), w.Addr())
		case errors.Is(err, syscall.EADDRINUSE):
			s.log.Cause(logging.Warning, cause.PortTaken, "Warning: The listener of %s is left out: %v.", source, err)
		default:
			s.log.Printf(logging.Warning, "Warning: The listener of %s is left out: %v.", source, err)
		}
	}
	s.noteDashboards()
}

// noteDashboards notes where a browser on this machine finds the dashboard: links are made of it.
func (s *server) noteDashboards() {
	all := []string{}
	for _, w := range s.web {
		at := w.Addr()
		if at.Addr().IsUnspecified() {
			at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
		}
		all = append(all, "http://"+at.String()+"/")
	}
	slices.Sort(all)
	s.dashboards.Store(&all)
}
