// Command picket is an MQTT broker and the tools that go with one.
//
// Flags go in and an exit status comes out: each command has a file of its own that turns flags into calls of the packages.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"picket/cause"
	"picket/client/mosquitto"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(Run(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// Run is the whole program: args[0] is the name it was called by, the result is the exit status. Cancelling ctx asks it to
// end in good order, as SIGINT and SIGTERM do.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{ctx: ctx, program: programName(args[0]), stdin: stdin, stdout: stdout, stderr: stderr}
	args = args[1:]
	if run, ok := programs[e.program]; ok {
		return e.exitStatus(run(e, args))
	}
	if len(args) > 0 && args[0] == "--sentinel" { // as it turns redis-server into a sentinel
		return e.exitStatus(runSentinel(e, args[1:]))
	}
	e.program = "picket"
	return e.exitStatus(runCommand(e, args))
}

// env is what a command may touch of the world around it.
type env struct {
	ctx            context.Context // done when the program is asked to end
	program        string          // name to use in messages: picket, or the program it was called as
	language       string          // what --lang says; empty: nothing
	stdin          io.Reader
	stdout, stderr io.Writer
}

// lang is the language that people are spoken to in: that of --lang, else the environment's.
func (e *env) lang() cause.Lang {
	if e.language != "" {
		return cause.ParseLang(e.language)
	}
	return cause.Locale(os.Getenv)
}

// programs are the names beside its own that the binary answers to: called through a link of that name it behaves as that
// program, with its options, its messages and its exit statuses.
var programs = map[string]func(e *env, args []string) error{
	"mosquitto":         runMosquitto,
	"mosquitto_db_dump": runDBDump,
	"mosquitto_passwd":  runPasswd,
	"mosquitto_pub":     asMosquitto(mosquitto.Pub),
	"mosquitto_rr":      asMosquitto(mosquitto.RR),
	"mosquitto_sub":     asMosquitto(mosquitto.Sub),
	"redis-sentinel":    runSentinel,
	"valkey-sentinel":   runSentinel,
}

// programName is the last element of the path that the binary was called by, without Windows' suffix.
func programName(arg0 string) string {
	return strings.TrimSuffix(filepath.Base(arg0), ".exe")
}
