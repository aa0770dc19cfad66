package main

import (
	"errors"
	"strconv"

	"github.com/alecthomas/kong"

	"picket/echo/probe"
)

// commands are picket's own. Each is a struct with a method Run(*env) error, in a file of its name; its method Help holds the
// examples that --help shows.
type commands struct {
	Bench    benchCommand    `cmd:"" help:"Put load on any MQTT broker and measure what comes through."`
	Check    checkCommand    `cmd:"" help:"Check a configuration file and everything it names."`
	Ctl      ctlCommand      `cmd:"" help:"Ask a running broker or sentinel what it does, and steer it."`
	Doctor   doctorCommand   `cmd:"" help:"Say why a client cannot connect, and what to do about it."`
	Echo     echoCommand     `cmd:"" help:"A server that returns what it is sent on a second connection, and a client for it."`
	Entry    entryCommand    `cmd:"" hidden:"" name:"entrypoint" passthrough:"" help:"What the container image begins with."`
	Help     helpCommand     `cmd:"" help:"Show what a command does and its options."`
	Init     initCommand     `cmd:"" help:"Write a configuration file that says what a broker does that was started without one."`
	Manual   manualCommand   `cmd:"" help:"Write the man pages and the shell completions to a folder."`
	Passwd   passwdCommand   `cmd:"" passthrough:"" help:"Edit a password file."`
	Pub      pubCommand      `cmd:"" passthrough:"" help:"Publish messages."`
	RR       rrCommand       `cmd:"" name:"rr" passthrough:"" help:"Publish a request and print the response."`
	Sentinel sentinelCommand `cmd:"" help:"Watch Redis masters and promote a replica when one fails, as redis-sentinel does."`
	Serve    serveCommand    `cmd:"" help:"Run the broker."`
	Show     showCommand     `cmd:"" help:"Show what to enter on a phone: address, port, user; and codes to scan."`
	Store    storeCommand    `cmd:"" help:"Look into a broker's store while the broker is stopped, make one of mosquitto's file, and write mosquitto's files."`
	Sub      subCommand      `cmd:"" passthrough:"" help:"Subscribe and print the messages that come."`
	Version  versionCommand  `cmd:"" help:"Show the version."`

	Usage       usageFlag   `name:"help" short:"h" help:"Show this text."`
	ShowVersion versionFlag `name:"version" help:"Show the version."`
}

const about = "An MQTT broker that a phone can reach within minutes, and the tools that go with one."

// runCommand runs one of picket's own commands.
func runCommand(e *env, args []string) error {
	parser, err := newParser(e)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parse(e, parser, doctorWords(args))
	switch {
	case errors.Is(err, errAnswered):
		return nil
	case parsed == nil:
		return err
	case err != nil:
		return &usageError{text: err.Error(), help: "picket " + commandPath(parsed) + "--help"}
	}
	return asRunner(parsed.Selected()).Run(e)
}

func newParser(e *env) (*kong.Kong, error) {
	return kong.New(&commands{},
		kong.Name("picket"),
		kong.Description(about),
		kong.Vars(echoDefaults()),
		kong.Vars{"probePort": strconv.Itoa(probe.DefaultPort)},
		kong.Writers(e.stdout, e.stderr),
		kong.NoDefaultHelp(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100, NoExpandSubcommands: true}),
	)
}

// usageFlag is --help.
type usageFlag bool

// answer shows the help of the command that stands before the flag.
func (usageFlag) answer(_ *env, parsed *kong.Context) error { return parsed.PrintUsage(false) }
