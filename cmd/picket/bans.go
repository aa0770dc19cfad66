package main

import (
	"errors"

	"picket/ban"
	"picket/mosqconf"
)

// openBans reads who is banned.
func (s *server) openBans(config *mosqconf.Config) (err error) {
	s.bans, err = ban.Open(config.BansFile)
	config.Bans = s.bans
	return err
}

// useBans reads the file of bans again for a configuration that is read again. [broker.Broker.EnforceBans] has to follow.
func (s *server) useBans(config *mosqconf.Config) error {
	if config.BansFile != s.bans.Path() {
		return errors.New("bans_file has changed, and that takes a restart")
	}
	return s.bans.Reload()
}
