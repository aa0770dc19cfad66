package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"picket/admin"
)

// takeEffect says what has to happen for a changed password file to count, and does it where that was asked for, or is answered with yes.
func (o *passwdOptions) takeEffect(e *env) error {
	found, err := findBrokers(e)
	if none := (*admin.NotFoundError)(nil); errors.As(err, &none) {
		if o.reload {
			return fmt.Errorf("the file is written; %w", err)
		}
		return nil // the next start reads it
	}
	if err != nil {
		return err
	}
	if len(found) > 1 {
		_, err := fmt.Fprintln(e.stderr, "The file counts once the broker that uses it has read it: picket ctl reload --socket PATH")
		return err
	}
	if !o.reload && !o.agreed(e) {
		_, err := fmt.Fprintln(e.stderr, "The running broker goes on with the users that it knows until: picket ctl reload")
		return err
	}
	s, err := found[0].Reload(e.ctx)
	if err != nil {
		return fmt.Errorf("the file is written, but the broker did not take it: %w", err)
	}
	_, err = fmt.Fprintf(e.stderr, "The running broker (process %d) has read its password files again.\n", s.PID)
	return err
}

// agreed asks a person.
func (o *passwdOptions) agreed(e *env) bool {
	in, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || !isTerminal(e.stdout) {
		return false
	}
	fmt.Fprint(e.stdout, "Have the running broker read it now? [Y/n] ")
	line, err := bufio.NewReader(in).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	return err == nil && (answer == "" || answer == "y" || answer == "yes")
}
