package main

import (
	"errors"
	"fmt"

	"picket/cause"
	"picket/phrases"
)

// Exit statuses of picket's own commands. Programs that picket stands in for have theirs in a statusError.
const (
	statusFailure = 1 // what was asked for could not be done
	statusUsage   = 2 // what was asked for is not clear
)

// usageError is a command line that cannot be understood.
type usageError struct {
	text string // what is wrong and what was expected
	help string // command line that shows more
}

func (e *usageError) Error() string { return e.text }

// statusError ends the program with a status of its own. text is printed as it stands, and nothing is when it is empty:
// programs whose messages scripts may look for bring their own prefix.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

var wayOn = cause.Text{EN: "Try '%s'.\n", ZH: "请看：%s\n"}

// exitStatus reports an error on stderr and is the only place that turns one into an exit status.
func (e *env) exitStatus(err error) int {
	var usage *usageError
	var status *statusError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(e.stderr, "%s: %s\n", e.program, e.say(usage.text))
		if usage.help != "" {
			fmt.Fprintf(e.stderr, wayOn.In(e.lang()), usage.help)
		}
		return statusUsage
	case errors.As(err, &status):
		if status.text != "" {
			fmt.Fprintln(e.stderr, status.text)
		}
		return status.status
	default:
		fmt.Fprintf(e.stderr, "%s: %s\n", e.program, e.say(err.Error()))
		return statusFailure
	}
}

// say is a finished text in the reader's language.
func (e *env) say(text string) string {
	if e.lang() == cause.Chinese {
		return phrases.Chinese(text)
	}
	return text
}
