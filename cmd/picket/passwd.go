package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"golang.org/x/term"

	"picket/access"
	"picket/cause"
	"picket/client/mosquitto"
)

// passwdCommand edits password files. Its options are mosquitto_passwd's.
type passwdCommand struct {
	Args []string `arg:"" optional:"" passthrough:""`
}

// Run does what the options say and ends.
func (c *passwdCommand) Run(e *env) error {
	e.program = "picket passwd"
	return runPasswd(e, c.Args)
}

const passwdProgram = "mosquitto_passwd"

// passwdHelp is what shows without, or with wrong, arguments: program, default of -I, and what has to happen to a running broker.
var passwdHelp = cause.Text{EN: `%[1]s edits the password file of a broker.

Usage: %[1]s [-H KIND] [-I N] [-c] FILE USER
       %[1]s [-H KIND] [-I N] [-c] -b FILE USER PASSWORD
       %[1]s -D FILE USER
       %[1]s [-H KIND] [-I N] -U FILE

 -b : take the password from the command line, where others can see it, instead of asking for it.
 -c : begin a new file; what is in it is lost.
 -D : delete the user.
 -H : kind of hash: sha512-pbkdf2 (if not given), sha512 (of mosquitto before 1.7, quick to guess) or scram-sha-256 (the user can log in
      without sending the password; only Picket's broker takes it).
 -I : iterations of sha512-pbkdf2 and scram-sha-256; %[2]d if not given. More make guessing and logging in slower.
 -U : hash the plain passwords in a file of USER:PASSWORD lines.

%[3]s
Examples:
  %[1]s -c /etc/mosquitto/passwords ada
  %[1]s -b /etc/mosquitto/passwords fountain secret
  %[1]s -H scram-sha-256 /etc/mosquitto/passwords ada
  %[1]s -D /etc/mosquitto/passwords fountain
`, ZH: `%[1]s 编辑服务端的密码文件。

用法：%[1]s [-H KIND] [-I N] [-c] FILE USER
      %[1]s [-H KIND] [-I N] [-c] -b FILE USER PASSWORD
      %[1]s -D FILE USER
      %[1]s [-H KIND] [-I N] -U FILE

 -b : 密码直接写在命令行上（别人能看到），不再询问。
 -c : 新建文件，原有内容会丢失。
 -D : 删除用户。
 -H : 散列的种类：sha512-pbkdf2（默认）、sha512（mosquitto 1.7 以前所用，容易猜出）或 scram-sha-256（登录时不必发送密码；只有 Picket
      的服务端支持）。
 -I : sha512-pbkdf2 和 scram-sha-256 的迭代次数，默认 %[2]d。次数越多，猜测和登录都越慢。
 -U : 把文件中 USER:PASSWORD 各行的明文密码换成散列。

%[3]s
示例：
  %[1]s -c /etc/mosquitto/passwords ada
  %[1]s -b /etc/mosquitto/passwords fountain secret
  %[1]s -H scram-sha-256 /etc/mosquitto/passwords ada
  %[1]s -D /etc/mosquitto/passwords fountain
`}

// passwdReload is the third part of it.
var passwdReload = cause.Text{
	EN: " --reload : have the running broker take the file at once. At a terminal you are asked.\n",
	ZH: " --reload : 让正在运行的服务端立即读取文件。在终端上运行时会询问。\n",
}

// passwdOptions are the options of mosquitto_passwd.
type passwdOptions struct {
	batch, create, remove, update bool
	reload                        bool // ours
	kind                          access.HashKind
	iterations                    int
	file, user, password          string
}

// runPasswd is mosquitto_passwd.
func runPasswd(e *env, args []string) error {
	o, err := parsePasswd(args)
	if err == nil && o.reload && e.program == passwdProgram {
		err = errPasswdUsage // mosquitto's program does not know it
	}
	if errors.Is(err, errPasswdUsage) {
		more, lang := "A running broker takes a changed file at SIGHUP.\n", cause.English
		if e.program != passwdProgram {
			lang = e.lang()
			more = passwdReload.In(lang)
		}
		fmt.Fprintf(e.stdout, passwdHelp.In(lang), e.program, access.DefaultIterations, more)
		if len(args) == 1 && args[0] == "--help" && e.program != passwdProgram {
			return nil
		}
		return &statusError{status: 1}
	}
	if err != nil {
		return err
	}
	err = o.run(e)
	if err == nil && e.program != passwdProgram {
		err = o.takeEffect(e)
	}
	if err != nil {
		var status *statusError
		if errors.As(err, &status) {
			return err
		}
		return &statusError{1, "Error: " + upper(err.Error())}
	}
	return nil
}

// errPasswdUsage stands for showing how the program is used.
var errPasswdUsage = errors.New("usage")

// wrongPasswd is a command line that cannot be understood, in mosquitto_passwd's words.
func wrongPasswd(format string, a ...any) error {
	return &statusError{1, "Error: " + fmt.Sprintf(format, a...)}
}

// upper begins with a capital, as C's texts for the errors of the system do.
func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// parsePasswd reads the command line. The errors are mosquitto's; errPasswdUsage stands for showing how it is used.
func parsePasswd(args []string) (*passwdOptions, error) {
	o := &passwdOptions{kind: access.PBKDF2}
	const few = "%s argument given but not enough other arguments."
options:
	for len(args) > 0 {
		switch args[0] {
		case "-H", "-I":
			if len(args) == 1 {
				return nil, wrongPasswd(few, args[0])
			}
			var err error
			if args[0] == "-I" {
				if o.iterations = mosquitto.Number(args[1]); o.iterations < 1 {
					return nil, wrongPasswd("Number of iterations must be > 0.")
				}
			} else if o.kind, err = access.ParseHashKind(args[1]); err != nil {
				return nil, wrongPasswd("Unknown hash type '%s'", args[1])
			}
			args = args[1:]
		case "--reload":
			o.reload = true
		case "-b":
			o.batch = true
		case "-c":
			o.create = true
		case "-D":
			o.remove = true
		case "-U":
			o.update = true
		default:
			break options
		}
		args = args[1:]
	}
	for _, pair := range []struct {
		both  bool
		names string
	}{
		{o.create && o.remove, "-c and -D"}, {o.create && o.update, "-c and -U"}, {o.remove && o.update, "-D and -U"}, {o.remove && o.batch, "-b and -D"},
	} {
		if pair.both {
			return nil, wrongPasswd("%s cannot be used together.", pair.names)
		}
	}
	return o, o.operands(args)
}

// operands takes the arguments that are no options: as many as the options ask for.
func (o *passwdOptions) operands(args []string) error {
	want, missing := 2, ""
	switch {
	case o.create && o.batch:
		want, missing = 3, "-c argument given but password file, username, or password missing."
	case o.create:
		missing = "-c argument given but password file or username missing."
	case o.remove:
		missing = "-D argument given but password file or username missing."
	case o.update:
		want, missing = 1, "-U argument given but password file missing."
	case o.batch:
		want = 3
	}
	if len(args) != want {
		if missing != "" {
			return wrongPasswd("%s", missing)
		}
		return errPasswdUsage
	}
	o.file = args[0]
	if want > 1 {
		o.user = args[1]
	}
	if want > 2 {
		o.password = args[2]
	}
	switch {
	case o.update:
		return nil
	case strings.Contains(o.user, ":"):
		return wrongPasswd("Username must not contain the ':' character.")
	case len(o.password) > 65535:
		return wrongPasswd("Password must be less than 65536 characters long.")
	}
	if err := access.CheckUsername(o.user); err != nil {
		return wrongPasswd("%s.", upper(err.Error()))
	}
	return nil
}

// run edits the file.
func (o *passwdOptions) run(e *env) error {
	file := new(access.PasswordFile)
	if !o.create {
		var err error
		if file, err = access.ReadPasswordFile(o.file); err != nil {
			var errno syscall.Errno
			if errors.As(err, &errno) {
				return &statusError{1, fmt.Sprintf("Error: Unable to open password file %s. %s.", o.file, upper(errno.Error()))}
			}
			return err
		}
	}
	switch {
	case o.remove:
		if !file.Delete(o.user) {
			return &statusError{1, fmt.Sprintf("Warning: User %s not found in password file.", o.user)}
		}
	case o.update:
		if _, err := file.HashPlain(o.kind, o.iterations); err != nil {
			return err
		}
	default:
		if !o.batch {
			var err error
			if o.password, err = askPassword(e); err != nil {
				return err
			}
		}
		entry, err := access.HashPassword(o.kind, o.password, o.iterations)
		if err != nil {
			return err
		}
		if _, err := file.Set(o.user, entry); err != nil {
			return err
		}
	}
	return file.WriteFile(o.file)
}

// askPassword asks twice, without echo where the answer comes from a terminal.
func askPassword(e *env) (string, error) {
	in := bufio.NewReader(e.stdin)
	var answers [2]string
	for i, prompt := range []string{"Password: ", "Reenter password: "} {
		fmt.Fprint(e.stdout, prompt)
		answer, err := readSecret(e, in)
		if err != nil {
			return "", err
		}
		if answer == "" {
			return "", &statusError{1, "Error: Empty password."}
		}
		fmt.Fprintln(e.stdout)
		answers[i] = answer
	}
	if answers[0] != answers[1] {
		return "", &statusError{2, "Error: Passwords do not match."}
	}
	return answers[0], nil
}

// readSecret reads a line. A terminal is given back as it was also when the program is asked to end meanwhile.
func readSecret(e *env, in *bufio.Reader) (string, error) {
	if !isTerminal(e.stdin) {
		line, err := in.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	fd := int(e.stdin.(*os.File).Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type answer struct {
		text []byte
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		answered <- answer{text, err}
	}()
	select {
	case a := <-answered:
		if errors.Is(a.err, io.EOF) {
			a.err = nil // an empty line
		}
		return string(a.text), a.err
	case <-e.ctx.Done():
		_ = term.Restore(fd, before) // the program ends, there is nothing else to do about it
		return "", &statusError{status: 1}
	}
}
