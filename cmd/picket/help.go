package main

// helpCommand shows the help of a command, as --help behind it does.
type helpCommand struct {
	Command []string `arg:"" optional:"" help:"Command to explain; without one, all are listed."`
}

func (helpCommand) Help() string {
	return `Examples:
  picket help
  picket help version`
}

func (c *helpCommand) Run(e *env) error {
	return runCommand(e, append(c.Command, "--help"))
}
