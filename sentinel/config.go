package sentinel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/resp"
	"picket/sentinel/machine"
)

// Config is what a sentinel.conf says, with what the command line adds.
type Config struct {
	Path  string // absolute
	State machine.State

	Port, TLSPort   int
	Bind            []string // empty: all addresses
	BindSource      string
	ProtectedMode   bool
	Daemonize       bool
	PidFile         string
	LogLevel        LogLevel
	LogFile         string // empty: standard output
	Syslog          bool
	SyslogIdent     string
	SyslogFacility  string
	Dir             string // empty: where the process was started
	Password        string // requirepass
	Users           [][]string
	ACLFile         string
	ACLLogMax       int
	MaxClients      int
	IdleTimeout     time.Duration // 0: none
	KeepAlive       time.Duration // 0: none
	UnixSocket      string
	UnixSocketMode  os.FileMode
	UnixSocketGroup string // empty: that of the process
	Supervised      string
	Metrics         string            // address of the Prometheus page; empty: none
	Renamed         map[string]string // own commands: old name in small letters → new one, empty: removed
	TLS             TLSConfig
	NoEffect        []string // directives that change nothing in a sentinel
	InPlace         error    // why the file is written in place; nil: a new one replaces it
	fromCommandLine []directive
	// ours are the directives about a master that only Picket knows and that stand on the command line: they are not written into the file, which stays
	// readable for a sentinel of Redis. By directive and master: the value.
	ours map[[2]string]string
}

// TLSConfig are the tls-* directives.
type TLSConfig struct {
	CertFile, KeyFile, KeyPass                   string
	ClientCertFile, ClientKeyFile, ClientKeyPass string
	CAFile, CADir                                string
	AuthClients                                  string // yes, no, optional
	Protocols                                    []string
	Ciphers, CipherSuites                        string
	Replication                                  bool // tls-replication: connections to servers and sentinels
	SessionCaching                               bool
}

// ConfigError is a line that cannot be accepted.
type ConfigError struct {
	File   string // empty: the command line
	Line   int
	Text   string
	Reason string
}

func (e *ConfigError) Error() string {
	where := "the command line"
	if e.File != "" {
		where = fmt.Sprintf("%s, line %d", e.File, e.Line)
	}
	return fmt.Sprintf("%s: %s (in %q)", where, e.Reason, e.Text)
}

// directive is one line, split.
type directive struct {
	file string
	line int
	text string
	args []string
}

func (d *directive) err(format string, args ...any) error {
	return &ConfigError{File: d.file, Line: d.line, Text: d.text, Reason: fmt.Sprintf(format, args...)}
}

// check is the error of a directive that somebody else has found.
func (d *directive) check(err error) error {
	if err == nil {
		return nil
	}
	return d.err("%v", err)
}

// LoadConfig reads a configuration file and then args, which are directives as on redis-sentinel's command line: --name value....
// An argument "-" reads more lines from stdin.
func LoadConfig(path string, args []string, stdin io.Reader) (*Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	c := &Config{
		Path: abs, Port: 26379, LogLevel: LogNotice, ACLLogMax: 128, MaxClients: 10000, KeepAlive: 300 * time.Second,
		SyslogIdent: "redis", SyslogFacility: "local0", Renamed: map[string]string{}, ours: map[[2]string]string{},
		State: machine.State{Settings: machine.Settings{DenyScriptsReconfig: true}},
		TLS:   TLSConfig{AuthClients: "yes", SessionCaching: true},
	}
	if st, err := os.Stat(abs); err == nil && st.IsDir() {
		return nil, fmt.Errorf("%s is a folder; give the path of a configuration file", abs)
	}
	ds, err := readDirectives(abs, 0)
	if err != nil {
		return nil, err
	}
	more, err := commandLine(args, stdin)
	if err != nil {
		return nil, err
	}
	c.fromCommandLine = more
	if err := c.apply(append(ds, more...)); err != nil {
		return nil, err
	}
	return c, nil
}

const maxIncludes = 16

func readDirectives(path string, depth int) ([]directive, error) {
	if depth > maxIncludes {
		return nil, fmt.Errorf("%s: configuration files include each other more than %d deep", path, maxIncludes)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the configuration file cannot be read: %w", err)
	}
	defer f.Close()
	return splitDirectives(f, path, depth)
}

func splitDirectives(r io.Reader, path string, depth int) ([]directive, error) {
	var ds []directive
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for n := 1; s.Scan(); n++ {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		d := directive{file: path, line: n, text: line}
		var err error
		if d.args, err = resp.SplitArgs(line); err != nil {
			return nil, d.err("Unbalanced quotes in configuration line")
		}
		if len(d.args) == 0 {
			continue
		}
		if strings.EqualFold(d.args[0], "include") && len(d.args) == 2 {
			names, err := filepath.Glob(d.args[1])
			if err != nil || len(names) == 0 {
				names = []string{d.args[1]}
			}
			for _, name := range names {
				more, err := readDirectives(name, depth+1)
				if err != nil {
					return nil, err
				}
				ds = append(ds, more...)
			}
			continue
		}
		ds = append(ds, d)
	}
	return ds, s.Err()
}

// commandLine turns --name value ... into directives, as if they stood at the end of the file.
func commandLine(args []string, stdin io.Reader) ([]directive, error) {
	var ds []directive
	for i, a := range args {
		switch {
		case a == "-" && (i == 0 || i == len(args)-1):
			if stdin == nil {
				continue
			}
			more, err := splitDirectives(stdin, "standard input", 0)
			if err != nil {
				return nil, err
			}
			ds = append(ds, more...)
		case a == "--sentinel":
		case strings.HasPrefix(a, "--"):
			words, err := resp.SplitArgs(a[2:]) // "--name value" in one argument is fine too
			if err != nil || len(words) == 0 {
				return nil, &ConfigError{Text: a, Reason: "a directive after -- was expected, such as --port 26380"}
			}
			ds = append(ds, directive{text: a[2:], args: words})
		case len(ds) > 0 && ds[len(ds)-1].file == "":
			d := &ds[len(ds)-1]
			d.text += " " + resp.QuoteIfNeeded(a)
			d.args = append(d.args, a)
		default:
			return nil, &ConfigError{Text: a, Reason: "an argument that begins with -- was expected, such as --port 26380"}
		}
	}
	return ds, nil
}

// apply puts directives in force. Those of sentinel are taken in three rounds, so that their order in the file does not matter: what
// is not about a master, then the masters, then what is about one.
func (c *Config) apply(ds []directive) error {
	var rounds [3][]*directive
	for i := range ds {
		d := &ds[i]
		if name := strings.ToLower(d.args[0]); slices.Contains(ourDirectives, name) {
			d.args = append([]string{"sentinel"}, d.args...)
		}
		if !strings.EqualFold(d.args[0], "sentinel") {
			if err := c.serverDirective(d); err != nil {
				return err
			}
			continue
		}
		if len(d.args) < 2 {
			return d.err("wrong number of arguments")
		}
		round := 2
		switch strings.ToLower(d.args[1]) {
		case "announce-ip", "announce-port", "deny-scripts-reconfig", "sentinel-user", "sentinel-pass", "current-epoch", "myid",
			"resolve-hostnames", "announce-hostnames":
			round = 0
		case "monitor":
			round = 1
		}
		rounds[round] = append(rounds[round], d)
	}
	for _, round := range rounds {
		for _, d := range round {
			if err := c.sentinelDirective(d); err != nil {
				return err
			}
		}
	}
	for _, m := range c.State.Masters {
		c.State.CurrentEpoch = max(c.State.CurrentEpoch, m.ConfigEpoch)
	}
	if c.ACLFile != "" && len(c.Users) > 0 {
		return errors.New("the configuration has both users and an aclfile; define them in one place only")
	}
	return nil
}

func parseYesNo(s string) (v, ok bool) {
	switch strings.ToLower(s) {
	case "yes":
		return true, true
	case "no":
		return false, true
	}
	return false, false
}

var errUnrecognized = "Unrecognized sentinel configuration statement."

// sentinelDirective applies "sentinel NAME ...".
func (c *Config) sentinelDirective(d *directive) error {
	a := d.args[1:]
	name := strings.ToLower(a[0])
	st := &c.State
	for _, word := range a {
		if err := d.check(machine.CheckText(word)); err != nil {
			return err
		}
	}
	number := func(s string) (int64, bool) {
		n, err := strconv.ParseInt(s, 10, 64)
		return n, err == nil
	}
	switch {
	case name == "monitor" && len(a) == 5:
		return c.monitor(d, a)
	case name == "current-epoch" && len(a) == 2:
		n, ok := number(a[1])
		if !ok || n < 0 {
			return d.err("a number was expected in place of %q", a[1])
		}
		st.CurrentEpoch = max(st.CurrentEpoch, n)
		return nil
	case name == "myid" && len(a) == 2:
		if len(a[1]) != 40 {
			return d.err("Malformed Sentinel id in myid option.")
		}
		st.MyID = a[1]
		return nil
	case name == "announce-ip" && len(a) == 2:
		st.AnnounceIP = a[1]
		return d.check(st.Check())
	case name == "announce-port" && len(a) == 2:
		n, ok := number(a[1])
		if !ok || n < 0 || n > 65535 {
			return d.err("a port from 0 to 65535 was expected in place of %q", a[1])
		}
		st.AnnouncePort = int(n)
		return nil
	case (name == "deny-scripts-reconfig" || name == "resolve-hostnames" || name == "announce-hostnames") && len(a) == 2:
		v, ok := parseYesNo(a[1])
		if !ok {
			return d.err("Please specify yes or no for the %s options.", name)
		}
		*map[string]*bool{
			"deny-scripts-reconfig": &st.DenyScriptsReconfig, "resolve-hostnames": &st.ResolveHostnames, "announce-hostnames": &st.AnnounceHostnames,
		}[name] = v
		return nil
	case name == "sentinel-user" && len(a) == 2:
		st.SentinelUser = a[1]
		return nil
	case name == "sentinel-pass" && len(a) == 2:
		st.SentinelPass = a[1]
		return nil
	}
	return c.masterDirective(d, name, a)
}

func (c *Config) master(name string) *machine.MasterState {
	for i := range c.State.Masters {
		if c.State.Masters[i].Name == name {
			return &c.State.Masters[i]
		}
	}
	return nil
}

func (c *Config) monitor(d *directive, a []string) error {
	quorum, err := strconv.Atoi(a[4])
	if err != nil || quorum <= 0 {
		return d.err("Quorum must be 1 or greater.")
	}
	port, err := strconv.Atoi(a[3])
	if err != nil || port < 0 || port > 65535 {
		return d.err("Invalid port number.")
	}
	if c.master(a[1]) != nil {
		return d.err("Duplicate master name.")
	}
	if !machine.ValidName(a[1]) {
		return d.err("a master's name cannot be empty and holds no white space and no comma, which tell the words of a hello message apart: got %q", a[1])
	}
	if !machine.ValidHost(a[2]) {
		return d.err("%q is no host name and no IP address", a[2])
	}
	if !c.State.ResolveHostnames && !isAddress(a[2]) {
		return d.err("Can't resolve instance hostname: %q is no IP address, and resolve-hostnames is off.", a[2])
	}
	c.State.Masters = append(c.State.Masters, machine.MasterState{Name: a[1], Host: a[2], Port: port, Quorum: quorum})
	return nil
}

// canRun tests a script as it will be run: from dir.
func (c *Config) canRun(path string) bool {
	if !filepath.IsAbs(path) && c.Dir != "" {
		path = filepath.Join(c.Dir, path)
	}
	return executable(path)
}

func knownInstance(d *directive, host, port string) (machine.HostPort, error) {
	p, err := strconv.Atoi(port)
	if err != nil || p < 0 || p > 65535 {
		return machine.HostPort{}, d.err("Invalid port number.")
	}
	if !machine.ValidHost(host) {
		return machine.HostPort{}, d.err("%q is no host name and no IP address", host)
	}
	return machine.HostPort{Host: host, Port: p}, nil
}
