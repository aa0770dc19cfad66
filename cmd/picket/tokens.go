package main

import (
	"errors"

	"picket/mosqconf"
	"picket/token"
)

// openTokens reads the tokens of the HTTP API.
func (s *server) openTokens(config *mosqconf.Config) (err error) {
	s.tokens, err = token.Open(config.TokensFile)
	return err
}

// useTokens reads the file of tokens again for a configuration that is read again.
func (s *server) useTokens(config *mosqconf.Config) error {
	if config.TokensFile != s.tokens.Path() {
		return errors.New("tokens_file has changed, and that takes a restart")
	}
	return s.tokens.Reload()
}
