package mosquitto

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"picket/cause"
	"picket/client/format"
	"picket/packet"
	"picket/topic"
)

// Program is one of the three; inside the package a sum of them is a set.
type Program byte

// The programs.
const (
	Pub Program = 1 << iota // publishes
	Sub                     // subscribes
	RR                      // publishes a request and waits for the response

	anyone   = Pub | Sub | RR
	receiver = Sub | RR
	sender   = Pub | RR
)

// String is the name of mosquitto's program.
func (r Program) String() string {
	return map[Program]string{Pub: "mosquitto_pub", Sub: "mosquitto_sub", RR: "mosquitto_rr"}[r]
}

// source says where the payload to publish comes from.
type source byte

const (
	fromNowhere source = iota
	fromArgument
	fromFile
	fromStdin
	fromLines
	fromNull
)

// options are those that mosquitto_pub, mosquitto_sub and mosquitto_rr share.
type options struct {
	program Program

	host, unix, bind, proxy string
	port                    int // -1: not given
	srv                     bool
	webSocket               string // path of picket's own option --ws
	version                 packet.Version
	id, idPrefix            string
	hasID                   bool
	username, password      string
	hasUsername             bool
	hasPassword             bool
	scram                   bool
	persistent              bool
	expiry                  int64 // seconds, -1: not given
	keepAlive               uint16
	qos                     byte
	inflight                int
	debug, quiet            bool
	will                    packet.Will
	hasWillPayload          bool
	properties              map[string]*packet.Properties // by the command that -D names

	cafile, capath, cert, key, keyform, ciphers, alpn, tlsVersion string
	osCerts, insecure                                             bool

	topics      []string // one for pub and rr
	source      source
	message     []byte
	file        string
	retain      bool
	repeat      int
	repeatDelay time.Duration

	response          string
	format            *format.Format
	count             int
	exitAfterSub      bool
	filterOut, unsubs []string
	chance            float64 // share of messages to print, 0 to 1
	removeRetained    bool
	retainedOnly      bool
	retainAsPublished bool
	noRetained        bool
	noNewline         bool
	verbose, pretty   bool
	timeout           time.Duration
}

// errHelp and errVersion end the parsing of options that ask for nothing else.
var (
	errHelp    = errors.New("help")
	errVersion = errors.New("version")
)

// optionError is a wrong option, in mosquitto's words.
type optionError string

func (e optionError) Error() string { return string(e) }

func wrongOption(format string, a ...any) error {
	return optionError("Error: " + fmt.Sprintf(format, a...))
}

// option is one option and its spellings.
type option struct {
	names   string // separated by blanks
	in      Program
	value   string     // what its argument is called in the help text; empty without one
	missing string     // what is said when the argument is not there
	help    cause.Text // empty: not shown
	set     func(o *options, value string) error
}

// parseOptions reads the program's file of defaults and then the command line. The error is errHelp, errVersion or an optionError.
func parseOptions(r Program, args []string) (*options, error) {
	o := &options{
		program: r, port: -1, keepAlive: 60, inflight: 20, repeat: 1, chance: 1, expiry: -1, version: packet.V311,
		properties: map[string]*packet.Properties{},
	}
	if r == RR {
		o.version = packet.V5
	}
	if err := o.readDefaults(); err != nil {
		return nil, err
	}
	if err := o.parse(args); err != nil {
		return nil, err
	}
	return o, o.complete()
}

// readDefaults reads the file that the user keeps for the program: one option a line, as on the command line.
func (o *options) readDefaults() error {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home := os.Getenv("HOME")
		if home == "" {
			return nil
		}
		dir = filepath.Join(home, ".config")
	}
	path := filepath.Join(dir, o.program.String())
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return wrongOption("%v", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimLeft(strings.TrimRight(lines.Text(), "\r"), " ")
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, hasValue := strings.Cut(line, " ")
		args := []string{name}
		if name == "-D" || name == "--property" {
			args = append(args, strings.SplitN(value, " ", 4)...)
			if len(args) == 5 && args[2] != "user-property" { // the value may have blanks
				args = append(args[:3], args[3]+" "+args[4])
			}
		} else if hasValue {
			args = append(args, value)
		}
		if err := o.parse(args); err != nil {
			return fmt.Errorf("%w (%s:%d)", err, path, n)
		}
	}
	return lines.Err()
}

// parse reads options in the way of mosquitto's programs: each is a word, and its argument is the next one.
func (o *options) parse(args []string) error {
	for i := 0; i < len(args); i++ {
		name := args[i]
		if name == "-D" || name == "--property" {
			used, err := o.property(args[i+1:])
			if err != nil {
				return err
			}
			i += used
			continue
		}
		opt := findOption(name)
		if opt == nil || opt.in&o.program == 0 {
			return wrongOption("Unknown option '%s'.", name)
		}
		value := ""
		if opt.value != "" {
			if i++; i == len(args) {
				return wrongOption("%s", opt.missing)
			}
			value = args[i]
		}
		if err := opt.set(o, value); err != nil {
			return err
		}
	}
	return nil
}

func findOption(name string) *option {
	for i := range optionTable {
		for known := range strings.FieldsSeq(optionTable[i].names) {
			if known == name {
				return &optionTable[i]
			}
		}
	}
	return nil
}

// complete checks what can only be said when all options are known.
func (o *options) complete() error {
	switch {
	case o.hasWillPayload && o.will.Topic == "":
		return wrongOption("Will payload given, but no will topic given.")
	case o.will.Retain && o.will.Topic == "":
		return wrongOption("Will retain given, but no will topic given.")
	case (o.cert == "") != (o.key == ""):
		return wrongOption("Both certfile and keyfile must be provided if one of them is set.")
	case o.keyform != "" && o.key == "":
		return wrongOption("If keyform is set, keyfile must be also specified.")
	case o.scram && (!o.hasUsername || !o.hasPassword):
		return wrongOption("--scram needs -u and -P.")
	}
	if o.scram {
		o.version = packet.V5
	}
	if err := o.completeSession(); err != nil {
		return err
	}
	if o.program == Sub && len(o.topics) == 0 {
		return wrongOption("You must specify a topic to subscribe to.")
	}
	if o.idPrefix != "" {
		o.id = o.idPrefix + strconv.Itoa(os.Getpid())
	}
	if o.format != nil {
		o.format.Pretty = o.pretty
	}
	return nil
}

// completeSession checks how long the session is to be kept, and whether it can be found again.
func (o *options) completeSession() error {
	named := o.hasID && o.idPrefix == ""
	if o.version == packet.V5 {
		if o.persistent && o.expiry < 0 {
			o.expiry = forever
		}
		if o.expiry == forever && !named {
			return wrongOption("You must provide a client id if you are using an infinite session expiry interval.")
		}
	} else if o.persistent && !named {
		return wrongOption("You must provide a client id if you are using the -c option.")
	}
	return nil
}

// forever is the Session Expiry Interval of a session that does not expire.
const forever = 1<<32 - 1

// addTopic takes the argument of -t, or the topic of an URL.
func (o *options) addTopic(t, from string) error {
	if o.program == Sub {
		return addFilter(&o.topics, t, from, "subscription topic")
	}
	if err := checkTopic(t, from, "publish"); err != nil {
		return err
	}
	o.topics = []string{t}
	return nil
}

func checkTopic(t, from, kind string) error {
	if !validText(t) {
		return wrongOption("Malformed UTF-8 in %s argument.", from)
	}
	if topic.CheckName([]byte(t)) != nil {
		return wrongOption("Invalid %s topic '%s', does it contain '+' or '#'?", kind, t)
	}
	return nil
}

func addFilter(list *[]string, filter, from, kind string) error {
	if !validText(filter) {
		return wrongOption("Malformed UTF-8 in %s argument.", from)
	}
	if topic.CheckFilter(filter) != nil {
		return wrongOption("Invalid %s '%s', are all '+' and '#' wildcards correct?", kind, filter)
	}
	*list = append(*list, filter)
	return nil
}

// payload says where the payload comes from; there can be only one place.
func (o *options) payload(s source) error {
	if o.source != fromNowhere {
		return wrongOption("Only one type of message can be sent at once.")
	}
	o.source = s
	return nil
}
