package mosquitto

import (
	"fmt"
	"io"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"picket/client/format"
	"picket/packet"
)

// validText reports whether s can be a string of MQTT's (MQTT-1.5.4-1, MQTT-1.5.4-2).
func validText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// text makes the function that stores an argument.
func text(field func(*options) *string) func(*options, string) error {
	return func(o *options, value string) error { *field(o) = value; return nil }
}

// flag makes the function that stores that an option was given.
func flag(field func(*options) *bool) func(*options, string) error {
	return func(o *options, _ string) error { *field(o) = true; return nil }
}

// refused makes the function of an option that cannot be had.
func refused(name, why string) func(*options, string) error {
	return func(*options, string) error { return wrongOption("%s is not supported: %s", name, why) }
}

const (
	noPSK    = "Go's TLS has no pre-shared keys. Use a certificate, or a user name and password over TLS."
	noEngine = "Go's TLS has no engines. Use a key in a PEM file."
)

// optionTable has all options of the three programs, those that picket adds last.
var optionTable = []option{
	{"-A", anyone, "ADDRESS", "-A argument given but no address specified.", "connect from this local address", text(func(o *options) *string { return &o.bind })},
	{"-c --disable-clean-session", anyone, "", "", "ask for a session that survives the connection; needs -i", flag(func(o *options) *bool { return &o.persistent })},
	{"-C", Sub, "N", "-C argument given but no count specified.", "exit after N messages", setCount},
	{"-d --debug", anyone, "", "", "show the packets that are sent and received", flag(func(o *options) *bool { return &o.debug })},
	{"-D --property", anyone, "COMMAND NAME VALUE [VALUE]", "", "MQTT 5 property of connect, publish, subscribe, unsubscribe, disconnect or will", nil},
	{"-e", RR, "TOPIC", "-e argument given but no response topic specified.", "topic to wait on for the response", setResponse},
	{"-E", Sub, "", "", "exit when all subscriptions are acknowledged", flag(func(o *options) *bool { return &o.exitAfterSub })},
	{"-f --file", sender, "FILE", "-f argument given but no file specified.", "publish the contents of a file", func(o *options, v string) error { o.file = v; return o.payload(fromFile) }},
	{"-F", receiver, "FORMAT", "-F argument given but no format specified.", "format of the output; see below", setFormat},
	{"-h --host", anyone, "HOST", "-h argument given but no host specified.", "broker; localhost if not given", text(func(o *options) *string { return &o.host })},
	{"-i --id", anyone, "ID", "-i argument given but no id specified.", "client id; if not given, the broker or picket makes one", setID},
	{"-I --id-prefix", anyone, "PREFIX", "-I argument given but no id prefix specified.", "client id of this and the process id", setIDPrefix},
	{"-k --keepalive", anyone, "SECONDS", "-k argument given but no keepalive specified.", "keep alive time, 5 to 65535; 60 if not given", setKeepAlive},
	{"-l --stdin-line", Pub, "", "", "publish each line of standard input", func(o *options, _ string) error { return o.payload(fromLines) }},
	{"-L --url", anyone, "URL", "-L argument given but no URL specified.", "mqtt[s]://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC", setURL},
	{"-m --message", sender, "TEXT", "-m argument given but no message specified.", "publish this text", func(o *options, v string) error { o.message = []byte(v); return o.payload(fromArgument) }},
	{"-M", anyone, "N", "-M argument given but max_inflight not specified.", "messages under way with QoS 1 and 2; 20 if not given", setInflight},
	{"-n --null-message", sender, "", "", "publish an empty message", func(o *options, _ string) error { return o.payload(fromNull) }},
	{"-N", receiver, "", "", "no end of line after a message", flag(func(o *options) *bool { return &o.noNewline })},
	{"-p --port", anyone, "PORT", "-p argument given but no port specified.", "1883 if not given, 8883 with TLS", setPort},
	{"-P --pw", anyone, "PASSWORD", "-P argument given but no password specified.", "password", func(o *options, v string) error { o.password, o.hasPassword = v, true; return nil }},
	{"-q --qos", anyone, "QOS", "-q argument given but no QoS specified.", "quality of service, 0, 1 or 2; 0 if not given", func(o *options, v string) error { return setQoS(&o.qos, v, "Invalid QoS given: %d") }},
	{"-r --retain", Pub, "", "", "have the broker keep the message", flag(func(o *options) *bool { return &o.retain })},
	{"-R", receiver, "", "", "do not print retained messages", flag(func(o *options) *bool { return &o.noRetained })},
	{"-s --stdin-file", sender, "", "", "publish all of standard input as one message", func(o *options, _ string) error { return o.payload(fromStdin) }},
	{"-S", anyone, "", "", "look the broker up by a DNS SRV record of the domain -h", flag(func(o *options) *bool { return &o.srv })},
	{"-t --topic", anyone, "TOPIC", "-t argument given but no topic specified.", "topic; to subscribe, a filter, repeatable", func(o *options, v string) error { return o.addTopic(v, "-t") }},
	{"-T --filter-out", Sub, "FILTER", "-T argument given but no topic filter specified.", "do not print messages whose topics match; repeatable", func(o *options, v string) error { return addFilter(&o.filterOut, v, "-T", "filter topic") }},
	{"-u --username", anyone, "NAME", "-u argument given but no username specified.", "user name", func(o *options, v string) error { o.username, o.hasUsername = v, true; return nil }},
	{"-U --unsubscribe", Sub, "FILTER", "-U argument given but no unsubscribe topic specified.", "end a subscription of the session; repeatable", func(o *options, v string) error { return addFilter(&o.unsubs, v, "-U", "unsubscribe topic") }},
	{"-v --verbose", receiver, "", "", "print the topic before the message", flag(func(o *options) *bool { return &o.verbose })},
	{"-V --protocol-version", anyone, "VERSION", "--protocol-version argument given but no version specified.", "5, 311 or 31", setVersion},
	{"-W", receiver, "SECONDS", "-W argument given but no timeout specified.", "give up after this time, with exit status 27", setTimeout},
	{"-x", anyone, "SECONDS", "-x argument given but no session expiry interval specified.", "how long an MQTT 5 session survives the connection; -1 for ever", setExpiry},
	{"--cafile", anyone, "FILE", "--cafile argument given but no file specified.", "trust these certificates; TLS", text(func(o *options) *string { return &o.cafile })},
	{"--capath", anyone, "DIR", "--capath argument given but no directory specified.", "trust the certificates in this folder; TLS", text(func(o *options) *string { return &o.capath })},
	{"--tls-use-os-certs", anyone, "", "", "trust the certificates of the system; TLS", flag(func(o *options) *bool { return &o.osCerts })},
	{"--cert", anyone, "FILE", "--cert argument given but no file specified.", "own certificate; with --key", text(func(o *options) *string { return &o.cert })},
	{"--key", anyone, "FILE", "--key argument given but no file specified.", "key of the own certificate", text(func(o *options) *string { return &o.key })},
	{"--keyform", anyone, "pem", "--keyform argument given but no keyform specified.", "form of the key", setKeyForm},
	{"--ciphers", anyone, "LIST", "--ciphers argument given but no ciphers specified.", "cipher suites of TLS 1.2, OpenSSL's names separated by colons", text(func(o *options) *string { return &o.ciphers })},
	{"--insecure", anyone, "", "", "do not check the name in the broker's certificate", flag(func(o *options) *bool { return &o.insecure })},
	{"--tls-alpn", anyone, "NAME", "--tls-alpn argument given but no protocol specified.", "protocol to negotiate within TLS", text(func(o *options) *string { return &o.alpn })},
	{"--tls-version", anyone, "VERSION", "--tls-version argument given but no version specified.", "lowest version: tlsv1.3, tlsv1.2 or tlsv1.1", text(func(o *options) *string { return &o.tlsVersion })},
	{"--tls-engine", anyone, "NAME", "--tls-engine argument given but no engine_id specified.", "", refused("--tls-engine", noEngine)},
	{"--tls-engine-kpass-sha1", anyone, "HEX", "--tls-engine-kpass-sha1 argument given but no kpass sha1 specified.", "", refused("--tls-engine-kpass-sha1", noEngine)},
	{"--psk", anyone, "HEX", "--psk argument given but no key specified.", "", refused("--psk", noPSK)},
	{"--psk-identity", anyone, "TEXT", "--psk-identity argument given but no identity specified.", "", refused("--psk-identity", noPSK)},
	{"--help", anyone, "", "", "show this text", func(*options, string) error { return errHelp }},
	{"--version", anyone, "", "", "show the version", func(*options, string) error { return errVersion }},
	{"--nodelay", anyone, "", "", "send without waiting for more (always so)", func(*options, string) error { return nil }},
	{"--pretty", receiver, "", "", "spread the JSON of %j and %J over several lines", flag(func(o *options) *bool { return &o.pretty })},
	{"--proxy", anyone, "URL", "--proxy argument given but no proxy url specified.", "SOCKS5 proxy, socks5h://[USER[:PASSWORD]@]HOST[:PORT]", setProxy},
	{"--quiet", anyone, "", "", "no errors while running", flag(func(o *options) *bool { return &o.quiet })},
	{"--random-filter", Sub, "PERCENT", "--random-filter argument given but no chance specified.", "print only this share of the messages", setChance},
	{"--remove-retained", Sub, "", "", "have the broker forget every retained message that comes", flag(func(o *options) *bool { return &o.removeRetained })},
	{"--repeat", Pub, "N", "--repeat argument given but no count specified.", "publish N times", setRepeat},
	{"--repeat-delay", Pub, "SECONDS", "--repeat-delay argument given but no time specified.", "time between repetitions, with a fraction", setRepeatDelay},
	{"--retain-as-published", receiver, "", "", "MQTT 5: have messages say whether they were published as retained", flag(func(o *options) *bool { return &o.retainAsPublished })},
	{"--retained-only", Sub, "", "", "only retained messages; exit at the first other", flag(func(o *options) *bool { return &o.retainedOnly })},
	{"--unix", anyone, "PATH", "--unix argument given but no socket path specified.", "connect to a Unix socket", text(func(o *options) *string { return &o.unix })},
	{"--will-payload", anyone, "TEXT", "--will-payload argument given but no will payload specified.", "payload of the will", func(o *options, v string) error { o.will.Payload, o.hasWillPayload = []byte(v), true; return nil }},
	{"--will-qos", anyone, "QOS", "--will-qos argument given but no will QoS specified.", "QoS of the will", func(o *options, v string) error { return setQoS(&o.will.QoS, v, "Invalid will QoS %d.") }},
	{"--will-retain", anyone, "", "", "have the broker keep the will", flag(func(o *options) *bool { return &o.will.Retain })},
	{"--will-topic", anyone, "TOPIC", "--will-topic argument given but no will topic specified.", "what the broker publishes when this client is lost", setWillTopic},
	{"--ws", anyone, "PATH", "--ws argument given but no path specified.", "connect by WebSocket, with this path in the URL, such as /mqtt", text(func(o *options) *string { return &o.webSocket })},
	{"--scram", anyone, "", "", "log in by SCRAM-SHA-256 with -u and -P: the password is not sent; MQTT 5", flag(func(o *options) *bool { return &o.scram })},
}

// printOptions writes the options of a program, one a line.
func printOptions(w io.Writer, r Program) {
	for _, opt := range optionTable {
		if opt.in&r == 0 || opt.help == "" {
			continue
		}
		left := strings.ReplaceAll(opt.names, " ", ", ")
		if opt.value != "" {
			left += " " + opt.value
		}
		if len(left) > 34 {
			fmt.Fprintf(w, "  %s\n  %-34s  %s\n", left, "", opt.help)
		} else {
			fmt.Fprintf(w, "  %-34s  %s\n", left, opt.help)
		}
	}
}

func setCount(o *options, v string) error {
	if o.count = Number(v); o.count < 1 {
		return wrongOption("Invalid message count \"%d\".", o.count)
	}
	return nil
}

func setResponse(o *options, v string) error {
	o.response = v
	return checkTopic(v, "-e", "response")
}

func setFormat(o *options, v string) (err error) {
	if o.format, err = format.Parse(v); err != nil {
		return wrongOption("%v", err)
	}
	return nil
}

func setID(o *options, v string) error {
	if o.idPrefix != "" {
		return wrongOption("-i and -I argument cannot be used together.")
	}
	o.id, o.hasID = v, true
	return nil
}

func setIDPrefix(o *options, v string) error {
	if o.hasID {
		return wrongOption("-i and -I argument cannot be used together.")
	}
	o.idPrefix = v
	return nil
}

func setKeepAlive(o *options, v string) error {
	n := Number(v)
	if n < 5 || n > 65535 {
		return wrongOption("Invalid keepalive given, it must be between 5 and 65535 inclusive.")
	}
	o.keepAlive = uint16(n)
	return nil
}

// setURL takes host, port, user and topic out of one URL. The user and the password are what stands there: nothing is decoded.
func setURL(o *options, v string) error {
	scheme, rest, _ := strings.Cut(v, "://")
	switch strings.ToLower(scheme) {
	case "mqtt":
		o.port = 1883
	case "mqtts":
		o.port, o.osCerts = 8883, true
	default:
		return wrongOption("unsupported URL scheme.")
	}
	server, topic, ok := strings.Cut(rest, "/")
	if !ok {
		return wrongOption("Invalid URL for -L argument specified - topic missing.")
	}
	if err := o.addTopic(topic, "-L topic"); err != nil {
		return err
	}
	if user, host, ok := strings.Cut(server, "@"); ok {
		server = host
		o.username, o.password, o.hasPassword = strings.Cut(user, ":")
		o.hasUsername = true
	}
	o.host = server
	if host, port, ok := cutPort(server); ok {
		o.host = host
		return setPort(o, port)
	}
	return nil
}

// cutPort takes the port off HOST:PORT; an IPv6 address stands in brackets.
func cutPort(s string) (host, port string, ok bool) {
	if rest, isIPv6 := strings.CutPrefix(s, "["); isIPv6 {
		host, port, _ = strings.Cut(rest, "]")
		port, ok = strings.CutPrefix(port, ":")
		return host, port, ok
	}
	return strings.Cut(s, ":")
}

func setInflight(o *options, v string) error {
	if o.inflight = Number(v); o.inflight < 1 {
		return wrongOption("Maximum inflight messages must be greater than 0.")
	}
	return nil
}

func setPort(o *options, v string) error {
	if o.port = Number(v); o.port < 0 || o.port > 65535 {
		return wrongOption("Invalid port given: %d", o.port)
	}
	return nil
}

func setQoS(field *byte, v, complaint string) error {
	n := Number(v)
	if n < 0 || n > 2 {
		return wrongOption(complaint, n)
	}
	*field = byte(n)
	return nil
}

func setVersion(o *options, v string) error {
	version, known := map[string]packet.Version{
		"mqttv31": packet.V31, "31": packet.V31, "mqttv311": packet.V311, "311": packet.V311, "mqttv5": packet.V5, "5": packet.V5,
	}[v]
	if !known {
		return wrongOption("Invalid protocol version argument given.")
	}
	o.version = version
	return nil
}

func setTimeout(o *options, v string) error {
	n := Number(v)
	if n < 1 {
		return wrongOption("Invalid timeout \"%d\".", n)
	}
	o.timeout = time.Duration(n) * time.Second
	return nil
}

func setExpiry(o *options, v string) error {
	if v == "∞" {
		o.expiry = forever
		return nil
	}
	n, err := strconv.ParseInt(v, 0, 64)
	if err != nil {
		return wrongOption("session-expiry-interval not a number.")
	}
	if n < -1 || n > forever {
		return wrongOption("session-expiry-interval out of range.")
	}
	if n == -1 {
		n = forever
	}
	o.expiry = n
	return nil
}

func setKeyForm(o *options, v string) error {
	if o.keyform = v; v != "pem" {
		return wrongOption("Problem setting key form, it must be 'pem': Go's TLS has no engines.")
	}
	return nil
}

func setProxy(o *options, v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Hostname() == "" {
		return wrongOption("Invalid proxy.")
	}
	if u.Scheme != "socks5h" {
		return wrongOption("Unsupported proxy protocol: %s", u.Redacted())
	}
	if port := u.Port(); port != "" && (Number(port) < 1 || Number(port) > 65535) {
		return wrongOption("Invalid proxy port %s", port)
	}
	o.proxy = v
	return nil
}

func setChance(o *options, v string) error {
	percent, err := strconv.ParseFloat(v, 64)
	if err != nil || !(percent >= 0.1 && percent <= 100) {
		return wrongOption("--random-filter chance must be between 0.1-100.0")
	}
	o.chance = percent / 100
	return nil
}

func setRepeat(o *options, v string) error {
	if o.repeat = Number(v); o.repeat < 1 {
		return wrongOption("--repeat argument must be >0.")
	}
	return nil
}

func setRepeatDelay(o *options, v string) error {
	seconds, err := strconv.ParseFloat(v, 64)
	if err != nil || !(seconds >= 0 && seconds <= math.MaxInt32) {
		return wrongOption("--repeat-delay argument must be >=0.0.")
	}
	o.repeatDelay = time.Duration(seconds * float64(time.Second))
	return nil
}

func setWillTopic(o *options, v string) error {
	o.will.Topic = v
	return checkTopic(v, "--will-topic", "will")
}

// Number reads a number as the C function atoi does, which mosquitto's programs use: as much of the text as is one, 0 without any.
func Number(s string) int {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[0] == '-' || s[0] == '+')) {
		end++
	}
	n, _ := strconv.Atoi(s[:end]) // not a number: 0
	return n
}
