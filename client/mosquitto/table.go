package mosquitto

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"picket/cause"
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
	{"-A", anyone, "ADDRESS", "-A argument given but no address specified.", cause.Text{EN: "connect from this local address", ZH: "从这个本机地址发起连接"}, text(func(o *options) *string { return &o.bind })},
	{"-c --disable-clean-session", anyone, "", "", cause.Text{EN: "ask for a session that survives the connection; needs -i", ZH: "断开后保留会话；需要 -i"}, flag(func(o *options) *bool { return &o.persistent })},
	{"-C", Sub, "N", "-C argument given but no count specified.", cause.Text{EN: "exit after N messages", ZH: "收到 N 条消息后退出"}, setCount},
	{"-d --debug", anyone, "", "", cause.Text{EN: "show the packets that are sent and received", ZH: "显示收发的报文"}, flag(func(o *options) *bool { return &o.debug })},
	{"-D --property", anyone, "COMMAND NAME VALUE [VALUE]", "", cause.Text{EN: "MQTT 5 property of connect, publish, subscribe, unsubscribe, disconnect or will", ZH: "MQTT 5 属性，用于 connect、publish、subscribe、unsubscribe、disconnect 或 will"}, nil},
	{"-e", RR, "TOPIC", "-e argument given but no response topic specified.", cause.Text{EN: "topic to wait on for the response", ZH: "等待响应的主题"}, setResponse},
	{"-E", Sub, "", "", cause.Text{EN: "exit when all subscriptions are acknowledged", ZH: "所有订阅都得到确认后退出"}, flag(func(o *options) *bool { return &o.exitAfterSub })},
	{"-f --file", sender, "FILE", "-f argument given but no file specified.", cause.Text{EN: "publish the contents of a file", ZH: "发布文件的内容"}, func(o *options, v string) error { o.file = v; return o.payload(fromFile) }},
	{"-F", receiver, "FORMAT", "-F argument given but no format specified.", cause.Text{EN: "format of the output; see below", ZH: "输出格式，见下文"}, setFormat},
	{"-h --host", anyone, "HOST", "-h argument given but no host specified.", cause.Text{EN: "broker; localhost if not given", ZH: "服务端；默认为 localhost"}, text(func(o *options) *string { return &o.host })},
	{"-i --id", anyone, "ID", "-i argument given but no id specified.", cause.Text{EN: "client id; if not given, the broker or picket makes one", ZH: "客户端标识；默认由服务端或 picket 生成"}, setID},
	{"-I --id-prefix", anyone, "PREFIX", "-I argument given but no id prefix specified.", cause.Text{EN: "client id of this and the process id", ZH: "以此加上进程号作为客户端标识"}, setIDPrefix},
	{"-k --keepalive", anyone, "SECONDS", "-k argument given but no keepalive specified.", cause.Text{EN: "keep alive time, 5 to 65535; 60 if not given", ZH: "保活时间，5 至 65535；默认为 60"}, setKeepAlive},
	{"-l --stdin-line", Pub, "", "", cause.Text{EN: "publish each line of standard input", ZH: "把标准输入逐行发布"}, func(o *options, _ string) error { return o.payload(fromLines) }},
	{"-L --url", anyone, "URL", "-L argument given but no URL specified.", cause.Text{EN: "mqtt[s]://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC", ZH: "mqtt[s]://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC"}, setURL},
	{"-m --message", sender, "TEXT", "-m argument given but no message specified.", cause.Text{EN: "publish this text", ZH: "发布这段文字"}, func(o *options, v string) error { o.message = []byte(v); return o.payload(fromArgument) }},
	{"-M", anyone, "N", "-M argument given but max_inflight not specified.", cause.Text{EN: "messages under way with QoS 1 and 2; 20 if not given", ZH: "QoS 1 和 2 的在途消息数；默认为 20"}, setInflight},
	{"-n --null-message", sender, "", "", cause.Text{EN: "publish an empty message", ZH: "发布空消息"}, func(o *options, _ string) error { return o.payload(fromNull) }},
	{"-N", receiver, "", "", cause.Text{EN: "no end of line after a message", ZH: "消息之后不换行"}, flag(func(o *options) *bool { return &o.noNewline })},
	{"-p --port", anyone, "PORT", "-p argument given but no port specified.", cause.Text{EN: "1883 if not given, 8883 with TLS", ZH: "端口；默认为 1883，使用 TLS 时为 8883"}, setPort},
	{"-P --pw", anyone, "PASSWORD", "-P argument given but no password specified.", cause.Text{EN: "password", ZH: "密码"}, func(o *options, v string) error { o.password, o.hasPassword = v, true; return nil }},
	{"-q --qos", anyone, "QOS", "-q argument given but no QoS specified.", cause.Text{EN: "quality of service, 0, 1 or 2; 0 if not given", ZH: "服务质量 0、1 或 2；默认为 0"}, func(o *options, v string) error { return setQoS(&o.qos, v, "Invalid QoS given: %d") }},
	{"-r --retain", Pub, "", "", cause.Text{EN: "have the broker keep the message", ZH: "让服务端保留这条消息"}, flag(func(o *options) *bool { return &o.retain })},
	{"-R", receiver, "", "", cause.Text{EN: "do not print retained messages", ZH: "不输出保留消息"}, flag(func(o *options) *bool { return &o.noRetained })},
	{"-s --stdin-file", sender, "", "", cause.Text{EN: "publish all of standard input as one message", ZH: "把全部标准输入作为一条消息发布"}, func(o *options, _ string) error { return o.payload(fromStdin) }},
	{"-S", anyone, "", "", cause.Text{EN: "look the broker up by a DNS SRV record of the domain -h", ZH: "通过 -h 所给域名的 DNS SRV 记录查找服务端"}, flag(func(o *options) *bool { return &o.srv })},
	{"-t --topic", anyone, "TOPIC", "-t argument given but no topic specified.", cause.Text{EN: "topic; to subscribe, a filter, repeatable", ZH: "主题；订阅时为主题过滤器，可重复"}, func(o *options, v string) error { return o.addTopic(v, "-t") }},
	{"-T --filter-out", Sub, "FILTER", "-T argument given but no topic filter specified.", cause.Text{EN: "do not print messages whose topics match; repeatable", ZH: "不输出主题与此匹配的消息；可重复"}, func(o *options, v string) error { return addFilter(&o.filterOut, v, "-T", "filter topic") }},
	{"-u --username", anyone, "NAME", "-u argument given but no username specified.", cause.Text{EN: "user name", ZH: "用户名"}, func(o *options, v string) error { o.username, o.hasUsername = v, true; return nil }},
	{"-U --unsubscribe", Sub, "FILTER", "-U argument given but no unsubscribe topic specified.", cause.Text{EN: "end a subscription of the session; repeatable", ZH: "取消会话中的一个订阅；可重复"}, func(o *options, v string) error { return addFilter(&o.unsubs, v, "-U", "unsubscribe topic") }},
	{"-v --verbose", receiver, "", "", cause.Text{EN: "print the topic before the message", ZH: "在消息前输出主题"}, flag(func(o *options) *bool { return &o.verbose })},
	{"-V --protocol-version", anyone, "VERSION", "--protocol-version argument given but no version specified.", cause.Text{EN: "5, 311 or 31", ZH: "协议版本：5、311 或 31"}, setVersion},
	{"-W", receiver, "SECONDS", "-W argument given but no timeout specified.", cause.Text{EN: "give up after this time, with exit status 27", ZH: "超过这段时间就放弃，退出状态为 27"}, setTimeout},
	{"-x", anyone, "SECONDS", "-x argument given but no session expiry interval specified.", cause.Text{EN: "how long an MQTT 5 session survives the connection; -1 for ever", ZH: "断开后 MQTT 5 会话保留多久；-1 表示永久"}, setExpiry},
	{"--cafile", anyone, "FILE", "--cafile argument given but no file specified.", cause.Text{EN: "trust these certificates; TLS", ZH: "信任这些证书；使用 TLS"}, text(func(o *options) *string { return &o.cafile })},
	{"--capath", anyone, "DIR", "--capath argument given but no directory specified.", cause.Text{EN: "trust the certificates in this folder; TLS", ZH: "信任此目录中的证书；使用 TLS"}, text(func(o *options) *string { return &o.capath })},
	{"--tls-use-os-certs", anyone, "", "", cause.Text{EN: "trust the certificates of the system; TLS", ZH: "信任系统自带的证书；使用 TLS"}, flag(func(o *options) *bool { return &o.osCerts })},
	{"--cert", anyone, "FILE", "--cert argument given but no file specified.", cause.Text{EN: "own certificate; with --key", ZH: "客户端证书；与 --key 同用"}, text(func(o *options) *string { return &o.cert })},
	{"--key", anyone, "FILE", "--key argument given but no file specified.", cause.Text{EN: "key of the own certificate", ZH: "客户端证书的私钥"}, text(func(o *options) *string { return &o.key })},
	{"--keyform", anyone, "pem", "--keyform argument given but no keyform specified.", cause.Text{EN: "form of the key", ZH: "私钥的格式"}, setKeyForm},
	{"--ciphers", anyone, "LIST", "--ciphers argument given but no ciphers specified.", cause.Text{EN: "cipher suites of TLS 1.2, OpenSSL's names separated by colons", ZH: "TLS 1.2 的密码套件，使用 OpenSSL 的名称，以冒号分隔"}, text(func(o *options) *string { return &o.ciphers })},
	{"--insecure", anyone, "", "", cause.Text{EN: "do not check the name in the broker's certificate", ZH: "不检查服务端证书中的名称"}, flag(func(o *options) *bool { return &o.insecure })},
	{"--tls-alpn", anyone, "NAME", "--tls-alpn argument given but no protocol specified.", cause.Text{EN: "protocol to negotiate within TLS", ZH: "在 TLS 中协商的协议（ALPN）"}, text(func(o *options) *string { return &o.alpn })},
	{"--tls-version", anyone, "VERSION", "--tls-version argument given but no version specified.", cause.Text{EN: "lowest version: tlsv1.3, tlsv1.2 or tlsv1.1", ZH: "最低版本：tlsv1.3、tlsv1.2 或 tlsv1.1"}, text(func(o *options) *string { return &o.tlsVersion })},
	{"--tls-engine", anyone, "NAME", "--tls-engine argument given but no engine_id specified.", cause.Text{}, refused("--tls-engine", noEngine)},
	{"--tls-engine-kpass-sha1", anyone, "HEX", "--tls-engine-kpass-sha1 argument given but no kpass sha1 specified.", cause.Text{}, refused("--tls-engine-kpass-sha1", noEngine)},
	{"--psk", anyone, "HEX", "--psk argument given but no key specified.", cause.Text{}, refused("--psk", noPSK)},
	{"--psk-identity", anyone, "TEXT", "--psk-identity argument given but no identity specified.", cause.Text{}, refused("--psk-identity", noPSK)},
	{"--help", anyone, "", "", cause.Text{EN: "show this text", ZH: "显示本帮助"}, func(*options, string) error { return errHelp }},
	{"--version", anyone, "", "", cause.Text{EN: "show the version", ZH: "显示版本"}, func(*options, string) error { return errVersion }},
	{"--nodelay", anyone, "", "", cause.Text{EN: "send without waiting for more (always so)", ZH: "立即发送，不等待更多数据（始终如此）"}, func(*options, string) error { return nil }},
	{"--pretty", receiver, "", "", cause.Text{EN: "spread the JSON of %j and %J over several lines", ZH: "%j 和 %J 的 JSON 分多行输出"}, flag(func(o *options) *bool { return &o.pretty })},
	{"--proxy", anyone, "URL", "--proxy argument given but no proxy url specified.", cause.Text{EN: "SOCKS5 proxy, socks5h://[USER[:PASSWORD]@]HOST[:PORT]", ZH: "SOCKS5 代理，socks5h://[USER[:PASSWORD]@]HOST[:PORT]"}, setProxy},
	{"--quiet", anyone, "", "", cause.Text{EN: "no errors while running", ZH: "运行中不输出错误"}, flag(func(o *options) *bool { return &o.quiet })},
	{"--random-filter", Sub, "PERCENT", "--random-filter argument given but no chance specified.", cause.Text{EN: "print only this share of the messages", ZH: "只输出这一比例的消息"}, setChance},
	{"--remove-retained", Sub, "", "", cause.Text{EN: "have the broker forget every retained message that comes", ZH: "让服务端删除收到的每一条保留消息"}, flag(func(o *options) *bool { return &o.removeRetained })},
	{"--repeat", Pub, "N", "--repeat argument given but no count specified.", cause.Text{EN: "publish N times", ZH: "发布 N 次"}, setRepeat},
	{"--repeat-delay", Pub, "SECONDS", "--repeat-delay argument given but no time specified.", cause.Text{EN: "time between repetitions, with a fraction", ZH: "重复之间的间隔，可带小数"}, setRepeatDelay},
	{"--retain-as-published", receiver, "", "", cause.Text{EN: "MQTT 5: have messages say whether they were published as retained", ZH: "MQTT 5：让消息带有发布时的保留标志"}, flag(func(o *options) *bool { return &o.retainAsPublished })},
	{"--retained-only", Sub, "", "", cause.Text{EN: "only retained messages; exit at the first other", ZH: "只接收保留消息；出现其他消息时退出"}, flag(func(o *options) *bool { return &o.retainedOnly })},
	{"--unix", anyone, "PATH", "--unix argument given but no socket path specified.", cause.Text{EN: "connect to a Unix socket", ZH: "连接 Unix 套接字"}, text(func(o *options) *string { return &o.unix })},
	{"--will-payload", anyone, "TEXT", "--will-payload argument given but no will payload specified.", cause.Text{EN: "payload of the will", ZH: "遗嘱的载荷"}, func(o *options, v string) error { o.will.Payload, o.hasWillPayload = []byte(v), true; return nil }},
	{"--will-qos", anyone, "QOS", "--will-qos argument given but no will QoS specified.", cause.Text{EN: "QoS of the will", ZH: "遗嘱的 QoS"}, func(o *options, v string) error { return setQoS(&o.will.QoS, v, "Invalid will QoS %d.") }},
	{"--will-retain", anyone, "", "", cause.Text{EN: "have the broker keep the will", ZH: "让服务端保留遗嘱消息"}, flag(func(o *options) *bool { return &o.will.Retain })},
	{"--will-topic", anyone, "TOPIC", "--will-topic argument given but no will topic specified.", cause.Text{EN: "what the broker publishes when this client is lost", ZH: "遗嘱主题：客户端意外断开时由服务端发布到这里"}, setWillTopic},
	{"--ws", anyone, "PATH", "--ws argument given but no path specified.", cause.Text{EN: "connect by WebSocket, with this path in the URL, such as /mqtt", ZH: "通过 WebSocket 连接，URL 中使用此路径，例如 /mqtt"}, text(func(o *options) *string { return &o.webSocket })},
	{"--scram", anyone, "", "", cause.Text{EN: "log in by SCRAM-SHA-256 with -u and -P: the password is not sent; MQTT 5", ZH: "用 -u 和 -P 以 SCRAM-SHA-256 登录，不发送密码；MQTT 5"}, flag(func(o *options) *bool { return &o.scram })},
}

// printOptions writes the options of a program, one a line.
func (i *Invocation) printOptions(r Program) {
	for _, opt := range optionTable {
		help := opt.help.In(i.Lang)
		if opt.in&r == 0 || help == "" {
			continue
		}
		left := strings.ReplaceAll(opt.names, " ", ", ")
		if opt.value != "" {
			left += " " + opt.value
		}
		if len(left) > 34 {
			fmt.Fprintf(i.Stdout, "  %s\n  %-34s  %s\n", left, "", help)
		} else {
			fmt.Fprintf(i.Stdout, "  %-34s  %s\n", left, help)
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
