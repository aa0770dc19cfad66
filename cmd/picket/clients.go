package main

import (
	"errors"

	"picket/cause"
	"picket/client/mosquitto"
)

// pubCommand publishes messages. Its options are mosquitto_pub's.
type pubCommand struct {
	Args []string `arg:"" optional:"" passthrough:""`
}

// Run publishes and ends.
func (c *pubCommand) Run(e *env) error { return e.runClient("picket pub", mosquitto.Pub, c.Args) }

// subCommand subscribes and prints what comes. Its options are mosquitto_sub's.
type subCommand struct {
	Args []string `arg:"" optional:"" passthrough:""`
}

// Run prints messages until it is asked to end, or has seen what it should wait for.
func (c *subCommand) Run(e *env) error { return e.runClient("picket sub", mosquitto.Sub, c.Args) }

// rrCommand publishes a request and prints the response. Its options are mosquitto_rr's.
type rrCommand struct {
	Args []string `arg:"" optional:"" passthrough:""`
}

// Run asks and waits for the answer.
func (c *rrCommand) Run(e *env) error { return e.runClient("picket rr", mosquitto.RR, c.Args) }

// asMosquitto makes the program that the binary is when it is called by the name of one of mosquitto's clients.
func asMosquitto(p mosquitto.Program) func(e *env, args []string) error {
	return func(e *env, args []string) error { return e.runClient(e.program, p, args) }
}

func (e *env) runClient(name string, p mosquitto.Program, args []string) error {
	lang := e.lang()
	if name == p.String() {
		lang = cause.English // it stands in for mosquitto's
	}
	e.program = name
	i := &mosquitto.Invocation{Lang: lang, Name: name, Version: buildVersion(), Stdin: e.stdin, Stdout: e.stdout, Stderr: e.stderr}
	err := i.Run(e.ctx, p, args)
	if ended := (*mosquitto.Status)(nil); errors.As(err, &ended) {
		return &statusError{ended.Code, ended.Text}
	}
	return err
}
