// Package mosquitto is mosquitto_pub, mosquitto_sub and mosquitto_rr: their options, what they print, and their exit statuses. Options that picket
// adds are the last of its table.
package mosquitto

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"picket/cause"
	"picket/client"
	"picket/packet"
)

// maxPayload is the largest payload that fits into a packet.
const maxPayload = packet.MaxRemaining

// Invocation is how a program was called, and what it may touch of the world around it.
type Invocation struct {
	Name           string // by which it was called, for its messages: mosquitto_pub, picket pub
	Version        string
	Lang           cause.Lang // of --help; errors are in mosquitto's words
	Stdin          io.Reader
	Stdout, Stderr io.Writer
}

// Status is how a program ends that does not end well: with what exit status, and with what text, to be printed as it stands; empty: none.
type Status struct {
	Code int
	Text string
}

func (s *Status) Error() string { return s.Text }

// Run is a whole program. The error is a [*Status] or an error of writing to stdout. When ctx ends the client disconnects in good order.
func (i *Invocation) Run(ctx context.Context, p Program, args []string) error {
	o, err := parseOptions(p, args)
	switch {
	case errors.Is(err, errHelp):
		i.printHelp(p)
		if i.Name == p.String() {
			return &Status{Code: 1} // as mosquitto's does
		}
		return nil
	case errors.Is(err, errVersion):
		fmt.Fprintf(i.Stdout, "%s version %s running on picket %s.\n", p, i.Version, i.Version)
		return &Status{Code: 1}
	case err != nil:
		return &Status{1, err.Error() + i.usageHint()}
	}
	s := &session{Invocation: i, ctx: ctx, o: o}
	if s.c, err = o.clientOptions(); err != nil {
		return s.fail(err)
	}
	s.c.Session = client.NewSession()
	if o.debug {
		t := &tracer{w: lockedOutput{s}, id: s.c.Connect.ClientID}
		s.c.Trace = t.trace
	}
	switch p {
	case Pub:
		return s.publish()
	case Sub:
		return s.subscribe()
	default:
		return s.request()
	}
}

func (i *Invocation) usageHint() string {
	return fmt.Sprintf("\n\nUse '%s --help' to see usage.", i.Name)
}

// session is one run.
type session struct {
	*Invocation
	ctx    context.Context // done when the program is asked to end
	o      *options
	c      client.Options
	output sync.Mutex // held while a line is written to stdout
}

// fail turns an error into what the program says, unless it has to be quiet, and the exit status.
func (s *session) fail(err error) error {
	var status *Status
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
	return &Status{status, text}
}

// warn says something that does not end the program.
func (s *session) warn(format string, a ...any) {
	if !s.o.quiet {
		fmt.Fprintf(s.Stderr, format+"\n", a...)
	}
}

// lockedOutput is stdout for lines from several goroutines.
type lockedOutput struct{ s *session }

func (l lockedOutput) Write(b []byte) (int, error) {
	l.s.output.Lock()
	defer l.s.output.Unlock()
	return l.s.Stdout.Write(b)
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
		s.o.message, err = io.ReadAll(io.LimitReader(s.Stdin, maxPayload+1))
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
