package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"picket/access"
	"picket/acme"
	"picket/admin"
	"picket/api"
	"picket/audit"
	"picket/ban"
	"picket/bridge"
	"picket/broker"
	"picket/cause"
	"picket/cluster"
	"picket/listener"
	"picket/logging"
	"picket/mosqconf"
	"picket/page"
	"picket/phrases"
	"picket/process"
	"picket/reach"
	"picket/rights/live"
	"picket/setup"
	"picket/store"
	"picket/store/local"
	"picket/token"
	"picket/web"
)

// Exit statuses of a broker that does not start, as mosquitto has them.
const (
	statusStart         = 1 // a port is taken, a file cannot be used, ...
	statusConfiguration = 3 // the command line or the configuration file is wrong
)

// serveCommand runs the broker. Its options are mosquitto's and some of picket's own.
type serveCommand struct {
	ConfigFile     string   `short:"c" placeholder:"FILE" help:"Configuration in the form of mosquitto.conf." zh:"mosquitto.conf 格式的配置文件。"`
	Port           []int    `short:"p" placeholder:"PORT" sep:"none" help:"Listen on this port for this machine only, without passwords; up to 10 times. Without effect when the configuration defines listeners. With --data: on this port in place of 1883. 0: on a free one, which the log names." zh:"在此端口上只为本机服务，不需要密码；最多 10 次。配置文件中定义了 listener 时无效。与 --data 同用：以此端口代替 1883。0：使用空闲端口，端口号见日志。"`
	Verbose        bool     `short:"v" help:"Log everything, whatever the configuration says." zh:"记录全部日志，不受配置影响。"`
	Daemon         bool     `short:"d" help:"Go to the background once the broker is running." zh:"启动成功后转入后台运行。"`
	Name           []string `placeholder:"NAME|ADDRESS" sep:"none" help:"What clients call this machine, such as its public address; kept for later starts, shown to people, and in the certificate. May be repeated." zh:"客户端连接本机所用的域名或地址，例如公网地址；会显示给用户、写入证书，并保留到以后的启动。可重复。"`
	ACME           bool     `name:"acme" help:"Get a certificate that clients trust by themselves for this machine's public address, from Let's Encrypt. Port 80 or 443 has to be open to the internet." zh:"为本机的公网地址向 Let's Encrypt 申请客户端直接信任的证书。80 或 443 端口必须能从互联网访问。"`
	Domain         string   `placeholder:"NAME" help:"The same for a host name that leads to this machine." zh:"同上，但为指向本机的域名申请证书。"`
	Email          string   `placeholder:"ADDRESS" help:"Address in the account with Let's Encrypt." zh:"Let's Encrypt 账户的电子邮件地址。"`
	LogFormat      string   `enum:",mosquitto,text,json" default:"" placeholder:"FORM" help:"Form of the log: mosquitto, text or json, whatever the configuration says." zh:"日志格式：mosquitto、text 或 json，不受配置影响。"`
	Mosquitto      bool     `help:"Do as mosquitto does where that differs from the specification: an ACL file never refuses SUBSCRIBE, a start without a configuration serves this machine only, ... On when called as mosquitto." zh:"在与规范不一致之处按 mosquitto 的方式处理：ACL 文件从不拒绝 SUBSCRIBE，没有配置时只为本机服务，等等。以 mosquitto 之名运行时自动启用。"`
	User           string   `placeholder:"NAME" help:"User to become when root starts the broker; root to stay." zh:"由 root 启动时切换到的用户；root 表示不切换。"`
	AdminSocket    string   `placeholder:"PATH" help:"The Unix socket that picket ctl speaks to, whatever the configuration says; none: no such socket. (default: admin.sock in the data directory; with a configuration file, what admin_socket says, else one in the runtime directory, such as /run/picket)" zh:"picket ctl 使用的 Unix 套接字，不受配置影响；none：不提供。（默认：数据目录中的 admin.sock；有配置文件时由 admin_socket 决定，没有这一项则在运行时目录中，例如 /run/picket）"`
	AdminListen    string   `placeholder:"ADDRESS" help:"Where a start without a configuration serves the dashboard, the HTTP API and the figures for Prometheus: HOST:PORT, or none. (default: 127.0.0.1:9883)" zh:"没有配置文件时提供管理页面、HTTP 接口和 Prometheus 指标的地址：HOST:PORT，或 none 表示不提供。（默认：127.0.0.1:9883）"`
	Data           string   `placeholder:"DIR" type:"path" help:"Where a start without a configuration keeps its user, password and certificates (default: /var/lib/picket for root, else ~/.local/state/picket)." zh:"没有配置文件时保存用户、密码和证书的目录（默认：root 为 /var/lib/picket，其他用户为 ~/.local/state/picket）。"`
	ClusterAddress string   `name:"cluster-address" placeholder:"HOST:PORT" env:"PICKET_CLUSTER_ADDRESS" help:"With --cluster, be one of several nodes that share it, which reach this one here; what nodes do and do not yet do is in docs/cluster.md." zh:"与 --cluster 同用：作为共享同一 Redis 的多个节点之一，其他节点通过此地址连接本节点；目前支持什么见 docs/cluster.zh-CN.md。"`
	Cluster        string   `placeholder:"URL" env:"PICKET_CLUSTER" help:"Keep sessions and messages in Redis or Valkey instead of on the disk: redis://HOST:PORT for one server, redis://HOST,HOST,HOST/NAME for a master that sentinels watch, rediss:// for TLS (docs/cluster.md). With a password, put it into the environment, as PICKET_CLUSTER." zh:"把会话和消息保存在 Redis 或 Valkey 中，而不是磁盘上：单个服务器写 redis://HOST:PORT，由哨兵监控的主节点写 redis://HOST,HOST,HOST/NAME，使用 TLS 则写 rediss://（见 docs/cluster.zh-CN.md）。含密码的地址请放在环境变量 PICKET_CLUSTER 中。"`

	held     []net.Listener           // on the ports of -p 0, until the broker opens them
	quiet    bool                     // nothing is logged: mosquitto's -q
	terminal bool                     // the log is read by a person, not by programs
	words    func(line string) string // who reads it in this language; nil: in English
}

func (serveCommand) details() details {
	return details{
		Text: cause.Text{EN: `Without a configuration, clients on the same machine need no password, and all others the user and the password that the first start
makes and shows. Every start says who can reach the broker, and from where.

Signals: SIGHUP reads the configuration again, with its certificates, passwords and rules; SIGUSR2 shows the subscriptions; SIGTERM and
SIGINT end the broker.

Started by root, the broker becomes another user before it opens a port: the one that --user or the configuration names, else mosquitto
or, where there is no such user, nobody. Files that it reads or writes have to be accessible to that user.

Exit status: 0 after a signal, 1 when the broker cannot start, 3 when its configuration is wrong.`, ZH: `没有配置文件时，本机的客户端不需要密码，其他客户端需要首次启动时生成并显示的用户名和密码。每次启动都会说明谁能从哪里连接到服务端。

信号：SIGHUP 重新读取配置，包括证书、密码和规则；SIGUSR2 显示全部订阅；SIGTERM 和 SIGINT 结束服务端。

由 root 启动时，服务端在打开端口之前切换到另一个用户：--user 或配置中指定的用户，否则为 mosquitto，没有这个用户则为 nobody。服务端要读写的文件必须允许该用户访问。

退出状态：收到信号而结束为 0，无法启动为 1，配置有误为 3。`},
		examples: `picket serve
picket serve --cluster redis://10.0.0.21:6379 --cluster-address 10.0.0.11:7883
picket serve --name 203.0.113.7
picket serve --acme
picket serve --domain mqtt.example.com --email ada@example.com
picket serve -p 1884
picket serve --data /tmp/mqtt -p 0
picket serve --cluster redis://10.0.0.21,10.0.0.22,10.0.0.23/mymaster
picket serve -c /etc/mosquitto/mosquitto.conf --log-format json`,
	}
}

// maxPorts is how many -p there may be: mosquitto's limit.
const maxPorts = 10

// Run serves until it is asked to end.
func (s *serveCommand) Run(e *env) error {
	if err := s.check(e); err != nil {
		return err
	}
	if s.Daemon && !process.InBackground() {
		status, err := process.Background()
		if err != nil {
			return err
		}
		return &statusError{status: status}
	}
	s.forPeople(e)
	if err := s.freePorts(); err != nil {
		return err
	}
	defer s.releasePorts()
	requests := watchRequests() // before a port is open: from then on people send signals
	defer requests.signals.Stop()
	server, err := s.start(e, requests.signals.Poll)
	if err != nil {
		return err
	}
	defer server.stop()
	requests.serve(server.broker)
	if err := process.Ready(); err != nil {
		return err
	}
	process.Started()
	process.NotifySupervisor(process.ServiceReady, "STATUS=Serving clients")
	defer process.NotifySupervisor(process.ServiceStopping)
	return server.serve(e.ctx, requests)
}

// forPeople finds out who reads the log. With a configuration file, or a form that was asked for, programs may; they get mosquitto's lines.
func (s *serveCommand) forPeople(e *env) {
	s.terminal = s.ConfigFile == "" && s.LogFormat == "" && !s.Daemon && isTerminal(e.stderr)
	if s.terminal && e.lang() == cause.Chinese {
		s.words = phrases.Chinese
	}
}

// check refuses options that do not go together, or say what cannot be.
func (s *serveCommand) check(e *env) error {
	wrong := func(format string, args ...any) error {
		text := fmt.Sprintf("Error: "+format, args...)
		if !s.Mosquitto {
			text = e.say(text)
		}
		return &statusError{statusConfiguration, text}
	}
	if len(s.Port) > maxPorts {
		return wrong("Only %d ports can be specified on the command line.", maxPorts)
	}
	for _, port := range s.Port {
		if port < 0 || port > 65535 || port == 0 && s.Mosquitto {
			return wrong("Invalid port specified (%d).", port)
		}
	}
	for i, name := range s.Name {
		var ok bool
		if s.Name[i], ok = mosqconf.ServerName(name); !ok {
			return wrong("--name %s is neither a host name nor an address: write mqtt.example.com or 203.0.113.7, without a port.", name)
		}
	}
	configured := s.Mosquitto || s.ConfigFile != "" || s.Data == "" && len(s.Port) > 0
	switch {
	case len(s.Name) > 0 && configured && (s.Mosquitto || s.Data == ""):
		return wrong("--name is for a start without a configuration file; in a file it is: server_name NAME.")
	case (s.ACME || s.Domain != "" || s.Email != "") && configured:
		return wrong("--acme, --domain and --email are for a start without a configuration file; in a file they are: acme_name auto, acme_name NAME, acme_email ADDRESS.")
	case s.Data != "" && s.ConfigFile != "":
		return wrong("--data is for a start without a configuration file; leave it or -c out.")
	case s.AdminListen != "" && configured:
		return wrong("--admin-listen is for a start without a configuration file; in a file it is: listener PORT ADDRESS, and protocol http_api below it.")
	case s.AdminListen != "" && s.AdminListen != "none":
		if _, port, err := net.SplitHostPort(s.AdminListen); err != nil || !portNumber(port) {
			return wrong("--admin-listen %s is not an address: write 127.0.0.1:9883 or [::1]:9883; none for none.", s.AdminListen)
		}
	}
	return nil
}

// portNumber tells whether a text is the number of a port.
func portNumber(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// serve does what signals, the supervisor and other parts of the program ask for, until ctx ends or the broker can go on no longer.
func (s *server) serve(ctx context.Context, requests *requests) error {
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	var alive <-chan time.Time
	if period := process.WatchdogPeriod(); period > 0 {
		t := time.NewTicker(period)
		defer t.Stop()
		alive = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.renewed:
			_ = s.reload() // it has logged why not
		case <-again.C:
			s.lookAgain(ctx)
		case <-alive:
			s.broker.StatusFigures() // takes the broker's locks: one that stands still does not answer
			process.NotifySupervisor(process.ServiceAlive)
		case asked := <-s.asked:
			asked <- s.reload()
		case err := <-s.lost:
			return &statusError{statusStart, fmt.Sprintf("Error: %v: this broker ends.", err)}
		case <-requests.wake:
			for _, r := range requests.all() {
				s.act(r)
			}
		}
	}
}

// server is a broker and what belongs to it.
type server struct {
	command    *serveCommand
	stdout     io.Writer
	broker     *broker.Broker
	bridges    *bridge.Set
	admin      *admin.Server               // nil: none
	web        map[webAddress]*admin.Web   // listeners with protocol http_api
	dashboards atomic.Pointer[[]string]    // their URLs for this machine
	kept       store.Store                 // nil: persistence is off
	node       *cluster.Node               // nil: it is none of several
	asking     atomic.Pointer[backendSets] // of the configuration in force
	rights     *live.Rights                // nil: no plugin_opt_config_file
	bans       *ban.List
	tokens     *token.List
	api        *api.API
	audit      *audit.Journal
	current    atomic.Pointer[mosqconf.Config] // what is in force
	lost       chan error                      // the store is another broker's by now
	own        *setup.Result                   // nil: no data directory is looked after

	authority *acme.Manager // nil: no certificate of a public authority is wanted
	renewed   chan struct{} // it has brought one

	asked    chan chan error          // whoever waits for a reload
	logFiles atomic.Pointer[[]string] // of the log as it is now
	unfound  func()                   // removes the name by which picket ctl finds the broker

	persistence mosqconf.Persistence // as it was at the start
	log         *logging.Logger
	calm        func() // ends [process.GiveBack]; nil: not begun
	poll        func() // see [broker.Config]
	removePID   func() error
}

// start makes the process what the configuration wants it to be, and then the broker, which calls poll before it judges a CONNECT.
func (s *serveCommand) start(e *env, poll func()) (*server, error) {
	config, own, lines := s.configuration(e.ctx)
	log, err := s.openLog(e, config)
	if err != nil {
		return nil, err
	}
	if config == nil {
		write(log, lines)
		log.Close()
		return nil, &statusError{status: statusConfiguration}
	}
	config.Poll = poll
	server := &server{command: s, web: make(map[webAddress]*admin.Web), own: own, renewed: make(chan struct{}, 1), asked: make(chan chan error), unfound: func() {},
		persistence: config.Persistence, stdout: e.stdout, log: log, poll: poll, removePID: func() error { return nil }}
	if err := server.begin(e, config, lines); err != nil {
		// All that goes wrong from here on is in the log.
		if !logFileError(log, err) && !logUnfit(log, err) {
			log.Printf(logging.Error, "Error: %s.", strings.TrimSuffix(err.Error(), "."))
		}
		server.close()
		return nil, &statusError{status: statusStart}
	}
	return server, nil
}

// openLog opens the log of the start itself, on standard error. Without a configuration it is that of why there is none.
func (s *serveCommand) openLog(e *env, config *mosqconf.Config) (*logging.Logger, error) {
	first := logging.Config{Dest: []logging.Dest{{Kind: logging.Stderr}}, Types: logging.All, Timestamp: true, Words: s.words}
	if config != nil {
		if s.quiet {
			first.Types = logging.None
		}
		first.Timestamp, first.TimestampFormat, first.Format = config.Log.Timestamp, config.Log.TimestampFormat, config.Log.Format
	} else if s.LogFormat != "" {
		first.Format, _ = logging.ParseFormat(s.LogFormat) // the option's enum allows no other words
	}
	return logging.New(first, e.stdout, e.stderr)
}

// begin starts everything in its order. What has been started when it fails is [server.close]'s to end.
func (s *server) begin(e *env, config *mosqconf.Config, lines []mosqconf.Line) error {
	host, err := reach.ThisHost()
	if err != nil {
		return err
	}
	if err := s.becomeBroker(config); err != nil {
		return err
	}
	s.sayStart(config, lines)
	broker.Version = buildVersion()
	if err := s.openStore(e.ctx, config); err != nil {
		return err
	}
	config.Store = s.kept
	process.LimitMemory(config.MemoryLimit)
	s.calm = process.GiveBack()
	if err := s.openRights(config); err != nil {
		return err
	}
	asked, err := s.openBackends(config)
	if err != nil {
		return err
	}
	s.asking.Store(&asked)
	if err := s.openBans(config); err != nil {
		return err
	}
	if err := s.openTokens(config); err != nil {
		return err
	}
	s.command.releasePorts()
	config.Shut = true
	s.current.Store(config)
	if s.broker, err = broker.Start(config.Config, s.log); err != nil {
		return err
	}
	if err := s.join(e.ctx); err != nil {
		return err
	}
	s.bridges = bridge.Start(s.broker, s.log, config.Bridges, s.command.Mosquitto)
	s.broker.Open()
	for _, at := range config.Given.Idle() {
		s.log.Cause(logging.Warning, cause.ConfigNoEffect, "Warning: The socket %s, which systemd opened for this broker, is not used: no listener has that address.", at)
	}
	s.openAPI(config, s.own)
	if err := s.openAdmin(config, s.own); err != nil {
		return err
	}
	if s.rights != nil {
		s.rights.Serve(s.broker, s.control)
	}
	s.openWeb(config)
	s.greet(e, config, host)
	s.startAuthority(e.ctx)
	s.log.Printf(logging.Info, "picket version %s running", buildVersion())
	return nil
}

// becomeBroker makes the process what the configuration wants: its user, its limits, its sockets, its file.
func (s *server) becomeBroker(config *mosqconf.Config) (err error) {
	s.authority = s.command.openAuthority(config, s.own, s.log) // while this is root
	if _, err := process.RaiseFileLimit(); err != nil {
		s.log.Printf(logging.Warning, "Warning: %v.", err)
	}
	if process.IsRoot() {
		if err := s.command.leaveRoot(config, s.own, s.log); err != nil {
			return err
		}
	}
	if config.Given, err = listener.NewGiven(process.GivenSockets()); err != nil {
		return err
	}
	if config.PIDFile == "" {
		return nil
	}
	remove, err := process.WritePIDFile(config.PIDFile)
	if err != nil {
		return fmt.Errorf("Unable to write %w", err) //nolint:staticcheck // the line is mosquitto's
	}
	s.removePID = remove
	return nil
}

// sayStart moves the log to where the configuration wants it, and says there what is being started.
func (s *server) sayStart(config *mosqconf.Config, lines []mosqconf.Line) {
	without := s.log.Start(config.Log)
	s.noteLog(config.Log)
	s.log.Printf(logging.Info, "picket version %s starting", buildVersion())
	for _, err := range without {
		s.log.Cause(logging.Warning, cause.ConfigUnreadable, "Warning: %v. What was to be logged there goes to standard error.", err)
	}
	if s.command.ConfigFile != "" {
		s.log.Printf(logging.Info, "Config loaded from %s.", s.command.ConfigFile)
	} else {
		s.log.Printf(logging.Info, "Using default config.")
	}
	write(s.log, lines)
	if len(config.Listeners) > 0 && config.Listeners[0].Source == localOnly && len(s.command.Port) == 0 {
		s.log.Printf(logging.Warning, "Starting in local only mode. Connections will only be possible from clients running on this machine.")
		s.log.Printf(logging.Warning, "Create a configuration file which defines a listener to allow remote access.")
	}
}

// greet says what has to be done next, now that there is something to be reached.
func (s *server) greet(e *env, config *mosqconf.Config, host reach.Host) {
	report := reach.Of(doors(s.broker), host)
	welcomed, err := s.command.welcome(e, s.own, report, s.log)
	if err != nil {
		s.log.Printf(logging.Warning, "Warning: %v.", err)
	}
	if !welcomed {
		for _, line := range report.Lines(e.lang()) {
			t := logging.Info
			if line.Cause == cause.OpenToEveryone {
				t = logging.Warning
			}
			s.log.Cause(t, line.Cause, "%s", line.Text)
		}
	}
	s.tellPage(config, s.own, report)
}

// logFileError logs an error of a file of users or rules in mosquitto's lines, and reports whether it is one.
func logFileError(log *logging.Logger, err error) bool {
	file, ok := errors.AsType[*access.FileError](err)
	if ok {
		for _, line := range file.Lines() {
			log.Printf(logging.Error, "%s", line)
		}
	}
	return ok
}

// logName is the log in the data directory, of a broker in the background that nothing else names one for.
const logName = "picket.log"

// storeName is the store's directory in the data directory.
const storeName = "store"

// localOnly is the Source of the listeners that mosqconf adds when nothing asks for others.
const localOnly = "local only mode"

// chosen is the configuration that the command line asks for, before its other options: a file's, or one of those without a file. Returns as those of configuration.
func (s *serveCommand) chosen(ctx context.Context) (config *mosqconf.Config, own *setup.Result, lines []mosqconf.Line) {
	switch {
	case s.ConfigFile != "":
	case len(s.Port) > 0 && s.Data == "":
		return mosqconf.ForPort(s.Port), nil, nil
	case s.Mosquitto:
		return mosqconf.LocalOnly(), nil, nil
	default:
		return s.unconfigured(ctx)
	}
	config, report := mosqconf.Parse(s.ConfigFile)
	lines = report.Lines()
	if config == nil {
		return nil, nil, lines
	}
	if len(s.Port) > 0 && len(config.Listeners) > 0 && config.Listeners[0].Source == localOnly {
		config.Listeners = mosqconf.ForPort(s.Port).Listeners
	}
	if config.DataDir != "" {
		var more []mosqconf.Line
		if own, more = s.prepared(ctx, config.DataDir, config.Names); own == nil {
			return nil, nil, more
		}
		lines = append(lines, more...)
	}
	return config, own, lines
}

// configuration is what the command line and the file say, and what there is to log about it. The configuration is nil when it
// cannot be used. Without a file, own is what the data directory holds.
func (s *serveCommand) configuration(ctx context.Context) (config *mosqconf.Config, own *setup.Result, lines []mosqconf.Line) {
	if config, own, lines = s.chosen(ctx); config == nil {
		return nil, nil, lines
	}
	if err := s.clustered(config, own != nil); err != nil {
		return nil, nil, append(lines, mosqconf.Line{Type: logging.Error, Text: "Error: " + err.Error() + "."})
	}
	switch {
	case s.quiet:
		config.Log.Types = logging.None
	case s.Verbose:
		config.Log.Types = logging.All
	}
	if s.LogFormat != "" {
		config.Log.Format, _ = logging.ParseFormat(s.LogFormat) // the option's enum allows no other words
	}
	if config.Log.Words = s.words; s.terminal {
		config.Log.TimestampFormat = "%H:%M:%S" // for people, who do not count seconds
	}
	if s.Mosquitto {
		config.Compat = broker.AsMosquitto()
		config.LetInAsMosquitto()
	}
	config.User = cmp.Or(s.User, config.User)
	switch {
	case s.Mosquitto:
	case page.Built():
		config.HTTP = web.Pages(servePage)
	default:
		config.HTTP = web.Pages(func(_ *broker.Listener, w http.ResponseWriter, r *http.Request) bool { return page.Missing(w, r) })
	}
	if own != nil && s.ConfigFile == "" {
		config.ACME.Email = s.Email
		switch {
		case s.Domain != "":
			config.ACME.Name = s.Domain
		case s.ACME:
			config.ACME.Name = "auto"
		}
	}
	useAuthority(config, own)
	if own != nil && s.ConfigFile == "" {
		config.AdminSocket = filepath.Join(own.Dir, admin.SocketName)
		if s.Daemon {
			config.Log.Dest = []logging.Dest{{Kind: logging.File, Path: filepath.Join(own.Dir, logName)}}
		}
	}
	if s.AdminSocket != "" {
		if config.AdminSocket = s.AdminSocket; s.AdminSocket == "none" {
			config.AdminSocket = ""
		}
	}
	return config, own, lines
}

func write(log *logging.Logger, lines []mosqconf.Line) {
	for _, line := range lines {
		if line.Cause != "" {
			log.Cause(line.Type, line.Cause, "%s", line.Text)
		} else {
			log.Printf(line.Type, "%s", line.Text)
		}
	}
}

// openStore opens the store that a configuration asks for, or returns nil.
func openStore(ctx context.Context, config *mosqconf.Config, asMosquitto bool, log *logging.Logger) (*local.Store, error) {
	if !config.Persistence.On {
		return nil, nil
	}
	where, err := config.Persistence.Place()
	if err != nil {
		return nil, err
	}
	return where.Open(ctx, config.Persistence.Sync, asMosquitto, config.User, log)
}

// leaveRoot becomes the configured user. mosquitto's default user may be missing, then nobody does.
func (s *serveCommand) leaveRoot(config *mosqconf.Config, own *setup.Result, log *logging.Logger) error {
	name := config.User
	if name == "root" || name == "" && (own == nil || s.ConfigFile != "") {
		log.Printf(logging.Warning, "Warning: Picket should not be run as root/administrator.")
		return nil
	}
	switch {
	case own != nil && name == "":
		return becomeOwner(own, "picket", "mosquitto", "nobody")
	case own != nil && name == "mosquitto":
		return becomeOwner(own, name, "nobody")
	case own != nil:
		return becomeOwner(own, name)
	}
	user, instead, err := config.Becomes()
	if err != nil {
		return err
	}
	if instead {
		log.Printf(logging.Error, "Warning: Unable to drop privileges to '%s' because this user does not exist. Trying '%s' instead.", name, user.Name)
	}
	return process.Become(user)
}

// servePage serves the phone's page on a listener.
func servePage(l *broker.Listener, w http.ResponseWriter, r *http.Request) bool {
	var d page.Door
	if !listener.Forwarded(r) {
		d = page.Door{MQTT: l.Protocol == listener.Auto, TLS: l.TLS.CertFile != "", Port: l.Port}
	}
	return page.Serve(d, w, r)
}

// tellPage says where the phone's page is, or that this build has none.
func (s *server) tellPage(config *mosqconf.Config, own *setup.Result, report reach.Report) {
	if !slices.ContainsFunc(config.Listeners, func(l *broker.Listener) bool { return l.ServesPage() }) || s.command.Mosquitto {
		return
	}
	if !page.Built() {
		s.log.Cause(logging.Info, cause.PageNotBuilt, "This build has no page for phones: it was made without node and npm.")
	} else if o, at, ok := report.PhonePage(); ok && !report.Container {
		link := o.PageURL(at.Addr)
		if own != nil {
			link = own.Place.PageURL(report)
		}
		s.log.Printf(logging.Info, "A phone's browser can test the connection at %s.", link)
	}
}

// act does what a signal asks for.
func (s *server) act(r process.Request) {
	switch r {
	case process.Reload:
		_ = s.reload() // it has logged why not
	case process.Save:
		s.save()
	case process.Dump:
		if err := s.broker.WriteSubscriptions(s.stdout); err != nil {
			s.log.Printf(logging.Warning, "Warning: The subscriptions cannot be written: %v.", err)
		}
	}
}

// noteLog notes which files the log goes to.
func (s *server) noteLog(c logging.Config) {
	files := []string{}
	for _, d := range c.Dest {
		if d.Kind != logging.File {
			continue
		}
		if path, err := filepath.Abs(d.Path); err == nil {
			files = append(files, path)
		}
	}
	s.logFiles.Store(&files)
}

// askReload has the goroutine that acts reload, and waits for the end of it.
func (s *server) askReload(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case s.asked <- answer:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reload reads the configuration again. What was in force stays so when the new one cannot be used: the error says why.
func (s *server) reload() error {
	process.NotifyReloading()
	defer process.NotifySupervisor(process.ServiceReady)
	s.log.Printf(logging.Info, "Reloading config.")
	var config *mosqconf.Config
	var wrong []string
	var asked backendSets
	err := s.broker.Reload(func() (*broker.Config, error) {
		var lines []mosqconf.Line
		config, _, lines = s.command.configuration(context.Background())
		write(s.log, lines)
		if config == nil {
			for _, l := range lines {
				if l.Type == logging.Error {
					wrong = append(wrong, l.Text)
				}
			}
			return nil, errors.New("the configuration is wrong")
		}
		config.Poll = s.poll
		if err := s.useRights(config); err != nil {
			return nil, err
		}
		var err error
		if asked, err = s.openBackends(config); err != nil {
			return nil, err
		}
		if err := s.useBans(config); err != nil {
			return nil, err
		}
		if err := s.useTokens(config); err != nil {
			return nil, err
		}
		if config.Persistence != s.persistence {
			s.log.Cause(logging.Warning, cause.ConfigNoEffect, "Warning: what persistence and the options that belong to it say has changed; that takes a restart.")
		}
		return &config.Config, nil
	})
	if err != nil {
		asked.Close()
		s.log.Cause(logging.Error, cause.ConfigRefused, "Error: %v. The old configuration stays in force.", err)
		return fmt.Errorf("%w; the old one stays in force\n%s", err, strings.Join(wrong, "\n"))
	}
	s.current.Store(config)
	s.asking.Swap(&asked).Close()
	s.broker.EnforceBans()
	process.LimitMemory(config.MemoryLimit)
	s.bridges.Update(config.Bridges)
	s.openWeb(config)
	s.audit.Reopen(config.AuditFile)
	if err := s.log.Reload(config.Log); err != nil {
		s.log.Cause(logging.Error, cause.ConfigRefused, "Error: %v. The log goes where it went.", err)
	}
	s.noteLog(config.Log)
	s.log.Printf(logging.Info, "The new configuration is in force.")
	return nil
}

// openStore opens the store that the configuration asks for, if it asks for any.
func (s *server) openStore(ctx context.Context, config *mosqconf.Config) error {
	p := config.Persistence
	if p.Cluster != "" && p.Address != "" {
		return s.makeNode(ctx, config)
	}
	if p.Cluster != "" {
		s.lost = make(chan error, 1)
		r, err := openCluster(ctx, p, s.log, func(err error) { s.lost <- err })
		if err == nil {
			s.kept = r
		}
		return err
	}
	k, err := openStore(ctx, config, s.command.Mosquitto, s.log)
	if err == nil && k != nil {
		s.kept = k
	}
	return err
}

// save has everything on the disk that is not there yet.
func (s *server) save() {
	if s.kept == nil {
		s.log.Printf(logging.Notice, "SIGUSR1: there is nothing to save, persistence is off.")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // a disk that takes longer is not going to
	defer cancel()
	if err := s.kept.Sync(ctx); err != nil {
		s.log.Printf(logging.Error, "Error: not everything could be saved: %v.", err)
		return
	}
	s.log.Printf(logging.Notice, "SIGUSR1: everything is stored.")
}

// stop ends the broker and removes its traces.
func (s *server) stop() {
	s.log.Printf(logging.Info, "picket version %s terminating", buildVersion())
	s.close()
}

// close ends whatever has been started, the last first, and the log.
func (s *server) close() {
	if s.calm != nil {
		s.calm()
	}
	if s.authority != nil {
		s.authority.Close()
	}
	if s.api != nil {
		s.api.Stop()
	}
	if s.admin != nil {
		s.admin.Close()
	}
	s.unfound()
	for _, w := range s.web {
		w.Close()
	}
	s.audit.Close()
	if s.rights != nil {
		s.rights.Close()
	}
	if s.bridges != nil {
		s.bridges.Close()
	}
	if s.broker != nil {
		s.broker.Close()
	}
	if s.node != nil {
		s.node.Close()
	}
	s.asking.Swap(nil).Close()
	if s.kept != nil {
		if err := s.kept.Close(); err != nil {
			s.log.Printf(logging.Error, "Error: %v.", err)
		}
	}
	if err := s.removePID(); err != nil {
		s.log.Printf(logging.Warning, "Warning: %v.", err)
	}
	s.log.Close()
}
