package main

import (
	"encoding/json"
	"errors"
	"time"

	"picket/access"
	"picket/admin"
	"picket/audit"
	"picket/broker"
	"picket/cause"
	"picket/logging"
	"picket/mosqconf"
	"picket/rights/live"
)

// rightsFile returns the file of users and rights that a configuration names: one for all listeners. Empty: none. beside is [access.Config.RightsBeside].
func rightsFile(config *mosqconf.Config) (path string, beside bool) {
	for _, s := range config.Security {
		if s.RightsFile != "" {
			return s.RightsFile, s.RightsBeside
		}
	}
	return "", false
}

// openRights opens the file of users and rights, if the configuration names one. Errors are of type [*access.FileError].
func (s *server) openRights(config *mosqconf.Config) error {
	path, beside := rightsFile(config)
	if path == "" {
		return nil
	}
	open := live.Open
	if beside {
		open = live.OpenBeside
	}
	r, err := open(path, s.log)
	if err != nil {
		return err
	}
	s.rights = r
	r.Judge(config.Security)
	if !beside { // its commands come over the admin socket only
		config.Controls = map[string]broker.ControlHandler{live.CommandTopic: r.Control}
	}
	for _, c := range config.Security {
		s.warnTwice(c)
	}
	return nil
}

// control records commands that a client has published.
func (s *server) control(by string, commands, answers []byte) {
	var asked struct{ Commands []admin.Command }
	var said admin.Responses
	if json.Unmarshal(commands, &asked) != nil || json.Unmarshal(answers, &said) != nil {
		return // nothing has changed
	}
	what, changes := admin.Told(asked.Commands)
	if !changes {
		return
	}
	e := audit.Entry{Time: time.Now(), By: "client " + by, Request: "PUBLISH " + live.CommandTopic, What: what}
	e.Result, e.Why = said.Result()
	s.audit.Record(e)
}

// useRights has the open file judge by a configuration that is read again, and reads the file again, too.
func (s *server) useRights(config *mosqconf.Config) error {
	path, beside := rightsFile(config)
	open, was := "", false
	if s.rights != nil {
		open, was = s.rights.Path(), s.rights.Beside()
	}
	if path != open || beside != was {
		return errors.New("plugin_opt_config_file or rights_file has changed, and that takes a restart")
	}
	if s.rights == nil {
		return nil
	}
	s.rights.Judge(config.Security)
	if err := s.rights.Reload(); err != nil {
		if file, ok := errors.AsType[*access.FileError](err); ok {
			return errors.New(file.Error())
		}
		return err
	}
	return nil
}

// warnTwice says which users stand in the password file as well: what that says of them counts for nothing.
func (s *server) warnTwice(c access.Config) {
	if c.PasswordFile == "" || c.RightsFile == "" {
		return
	}
	f, err := access.ReadPasswordFile(c.PasswordFile)
	if err != nil {
		return // the broker's start says so
	}
	for _, name := range f.Users() {
		if l, ok := s.rights.State().Login(name); ok && l.Password != nil {
			s.log.Cause(logging.Warning, cause.ConfigConflict, "Warning: The user %s stands in %s and in %s: the password in the second is the one that counts.", name, c.PasswordFile, c.RightsFile)
		}
	}
}
