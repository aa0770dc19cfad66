package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"picket/client"
	"picket/packet"
)

// maxPayload is the largest payload that fits into a packet.
const maxPayload = packet.MaxRemaining

// session is one run of a program of mosquitto's client family.
type session struct {
	*env
	o      *clientOptions
	c      client.Options
	output sync.Mutex // held while a line is written to stdout
}

// runClient reads the options and does what the program does.
func runClient(e *env, r role, args []string, do func(*session) error) error {
	o, err := parseOptions(r, args)
	switch {
	case errors.Is(err, errHelp):
		printClientHelp(e, r)
		if e.program == r.program() {
			return &statusError{status: 1} // as mosquitto's does
		}
		return nil
	case errors.Is(err, errVersion):
		fmt.Fprintf(e.stdout, "%s version %s running on picket %s.\n", r.program(), buildVersion(), buildVersion())
		return &statusError{status: 1}
	case err != nil:
		return &statusError{1, err.Error() + usageHint(e)}
	}
	s := &session{env: e, o: o}
	if s.c, err = o.clientOptions(); err != nil {
		return s.fail(err)
	}
	s.c.Session = client.NewSession()
	if o.debug {
		t := &tracer{w: lockedOutput{s}, id: s.c.Connect.ClientID}
		s.c.Trace = t.trace
	}
	return do(s)
}

func usageHint(e *env) string { return fmt.Sprintf("\n\nUse '%s --help' to see usage.", e.program) }

// fail turns an error into what the program says, unless it has to be quiet, and the exit status.
func (s *session) fail(err error) error {
	var status *statusError
	if errors.As(err, &status) {
		return err
	}
	n, text := failure(err)
	return s.ends(n, text)
}

func (s *session) ends(status int, text string) error {
	if s.o.quiet {
		text = ""
	}
	return &statusError{status, text}
}

// warn says something that does not end the program.
func (s *session) warn(format string, a ...any) {
	if !s.o.quiet {
		fmt.Fprintf(s.stderr, format+"\n", a...)
	}
}

// lockedOutput is stdout for lines from several goroutines.
type lockedOutput struct{ s *session }

func (l lockedOutput) Write(b []byte) (int, error) {
	l.s.output.Lock()
	defer l.s.output.Unlock()
	return l.s.stdout.Write(b)
}

// load reads the payload from where the options say.
func (s *session) load() error {
	var err error
	switch s.o.source {
	case fromArgument:
		if len(s.o.message) > maxPayload {
			return wrongOption("Message length must be less than %d bytes.", maxPayload)
		}
	case fromFile:
		s.o.message, err = readPayload(s.o.file)
	case fromStdin:
		s.o.message, err = io.ReadAll(io.LimitReader(s.stdin, maxPayload+1))
		switch {
		case err == nil && len(s.o.message) == 0:
			return optionError("Error: Zero length input.\nError loading input from stdin.")
		case err == nil && len(s.o.message) > maxPayload:
			return wrongOption("Message length must be less than %d bytes.\nError loading input from stdin.", maxPayload)
		}
	}
	return err
}

func readPayload(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, wrongOption("Unable to open file \"%s\".\nError loading input file \"%s\".", name, name)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPayload+1))
	if err != nil {
		return nil, wrongOption("%v\nError loading input file \"%s\".", err, name)
	}
	if len(text) > maxPayload {
		return nil, wrongOption("File must be less than %d bytes.\nError loading input file \"%s\".", maxPayload, name)
	}
	return text, nil
}

// reconnectDelay is how long a program that stays connected waits before it tries again.
const reconnectDelay = time.Second

// redial connects again after a connection was lost, until it succeeds, is refused, or ctx ends.
func (s *session) redial(ctx context.Context) (*client.Client, error) {
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(reconnectDelay):
		}
		c, err := s.o.dial(ctx, s.c)
		var refused *client.RefusedError
		if err == nil || errors.As(err, &refused) || ctx.Err() != nil {
			return c, err
		}
	}
}

// leave disconnects with the properties that -D gave.
func (s *session) leave(c *client.Client, code packet.Code) {
	c.Disconnect(code, s.o.properties["disconnect"])
}
