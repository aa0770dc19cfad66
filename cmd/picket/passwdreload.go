package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"picket/admin"
	"picket/cause"
)

// afterPasswd is what people are told once the file is written.
var afterPasswd = struct{ several, later, done, question cause.Text }{
	several: cause.Text{
		EN: "The change takes effect once the broker that uses the file has read it: picket ctl reload --socket PATH",
		ZH: "使用该文件的服务端重新加载后，修改才会生效：picket ctl reload --socket 〈路径〉",
	},
	later: cause.Text{
		EN: "The running broker does not know of the change until: picket ctl reload",
		ZH: "运行中的服务端重新加载后，修改才会生效：picket ctl reload",
	},
	done: cause.Text{
		EN: "The running broker (process %d) has read its password files again.\n",
		ZH: "运行中的服务端（进程 %d）已重新读取密码文件。\n",
	},
	question: cause.Text{EN: "Have the running broker read it now? [Y/n] ", ZH: "现在就让运行中的服务端重新读取吗？[Y/n] "},
}

// takeEffect says what has to happen for a changed password file to count, and does it where that was asked for, or is answered with yes.
func (o *passwdOptions) takeEffect(e *env) error {
	broker, err := (&adminFlags{Socket: os.Getenv("PICKET_SOCKET")}).dial(e)
	none, several := (*admin.NotFoundError)(nil), (*admin.SeveralError)(nil)
	switch {
	case err == nil:
	case o.reload:
		return fmt.Errorf("the file is written; %w", err)
	case errors.As(err, &none):
		return nil // the next start reads it
	case errors.As(err, &several):
		_, err := fmt.Fprintln(e.stderr, afterPasswd.several.In(e.lang()))
		return err
	default:
		return err
	}
	if !o.reload && !o.agreed(e) {
		_, err := fmt.Fprintln(e.stderr, afterPasswd.later.In(e.lang()))
		return err
	}
	s, err := broker.Reload(e.ctx)
	if err != nil {
		return fmt.Errorf("the file is written, but the broker did not take it: %w", err)
	}
	_, err = fmt.Fprintf(e.stderr, afterPasswd.done.In(e.lang()), s.PID)
	return err
}

// agreed asks a person.
func (o *passwdOptions) agreed(e *env) bool {
	in, ok := e.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || !isTerminal(e.stdout) {
		return false
	}
	fmt.Fprint(e.stdout, afterPasswd.question.In(e.lang()))
	line, err := bufio.NewReader(in).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	return err == nil && (answer == "" || answer == "y" || answer == "yes")
}
