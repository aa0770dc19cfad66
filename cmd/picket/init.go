package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"picket/admin"
	"picket/cause"
	"picket/mosqconf"
	"picket/process"
	"picket/setup"
	"picket/store/redis"
)

// initCommand is "picket init": the way from a start without a configuration to one with a file.
type initCommand struct {
	Config string `required:"" placeholder:"FILE" type:"path" help:"The configuration file to write; it must not be there yet." zh:"要写入的配置文件，必须尚不存在。"`
	Data   string `placeholder:"DIR" type:"path" help:"The data directory (default: that of the broker that runs here, or where a start without a configuration has it)." zh:"数据目录（默认：本机正在运行的服务端的数据目录；没有运行时，为不用配置文件启动时的数据目录）。"`
	Port   []int  `short:"p" placeholder:"PORT" sep:"none" help:"Port to listen on (default: those of the running broker, or 1883)." zh:"监听端口（默认：正在运行的服务端的端口，否则为 1883）。"`
	Store  string `placeholder:"DIR|URL" help:"Where sessions and messages are kept: a directory, or redis://… (default: where they are kept now)." zh:"会话和消息的保存位置：目录，或 redis://…（默认：目前的位置）。"`
	Socket string `env:"PICKET_SOCKET" placeholder:"PATH" type:"path" help:"The broker's admin socket (default: that of the broker that runs here)." zh:"服务端的管理套接字（默认：本机正在运行的那个服务端的）。"`
}

func (initCommand) details() details {
	return details{
		Text: cause.Text{EN: `Writes a file that says what the broker does now that was started without one: the same ports, user and password, certificates, and store. Nothing
is moved or made anew, so that clients notice nothing of the change; and then there is a file for what needs one, such as rules of who may do what. The
broker that runs is asked; without one, the data directory says what there is.`, ZH: `写出的端口、用户和密码、证书、存储都与现在相同。不移动也不重建任何东西，客户端察觉不到变化；此后需要配置文件的功能（例如权限规则）就有地方写了。内容取自正在运行的服务端；没有运行时，取自数据目录。`},
		examples: `picket init --config picket.conf
sudo picket init --config /etc/picket/picket.conf --data /var/lib/picket
picket init --config picket.conf -p 1883 --store /mnt/disk/store`,
	}
}

// running is what a broker that was started without a configuration does.
type running struct {
	Data, User                                string
	Names, LogFiles                           []string
	Ports                                     []int
	Web                                       []string // HOST:PORT of the dashboard
	ACMEName, ACMEEmail                       string
	Store                                     string // a directory, or redis://…
	Secret                                    bool   // the address of Redis has a password, which belongs into the environment
	Socket                                    string
	Passwords, Rights, Certificate, Key, Rule string // files

	pid int // 0: it does not run
}

// Redis tells whether the store is there.
func (r *running) Redis() bool { return inRedis(r.Store) }

// Run writes the file.
func (c *initCommand) Run(e *env) error {
	for _, port := range c.Port {
		if port < 1 || port > 65535 {
			return fmt.Errorf("-p %d is no port: 1 to 65535", port)
		}
	}
	r, err := c.look(e)
	if err != nil {
		return err
	}
	lang := e.lang()
	if err := writeNew(c.Config, r.file(lang), 0o644); err != nil {
		return err
	}
	next := initNext
	if r.pid != 0 {
		next = initNextRunning
	}
	_, err = fmt.Fprintf(e.stdout, next.In(lang), c.Config, r.pid)
	return err
}

// writeNew writes a file that is not there yet.
func writeNew(name, text string, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: name another place, or move that one away", name)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// look finds out what there is: from the running broker, or else from the data directory alone.
func (c *initCommand) look(e *env) (*running, error) {
	r := &running{Data: c.Data}
	s, err := c.broker(e)
	if err != nil {
		return nil, err
	}
	if s != nil {
		r.pid, r.Data, r.LogFiles, r.Store, r.ACMEName, r.ACMEEmail = s.PID, s.Data, s.LogFiles, s.Place, s.ACMEName, s.ACMEEmail
		r.Socket = s.Socket
		for _, l := range s.Listeners {
			r.Ports = append(r.Ports, l.Port)
		}
		for _, url := range s.Dashboards {
			r.Web = append(r.Web, strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"))
		}
	} else {
		r.Web = []string{mosqconf.AdminAddress}
	}
	if r.Data == "" {
		if r.Data, err = setup.DefaultDir(os.Getenv, os.Geteuid()); err != nil {
			return nil, err
		}
	}
	if len(c.Port) > 0 {
		r.Ports = c.Port
	}
	if len(r.Ports) == 0 {
		r.Ports = []int{1883}
	}
	if err := c.place(r); err != nil {
		return nil, err
	}
	return r, r.files()
}

// broker asks the broker that runs without a configuration; nil: none does, or another data directory is meant.
func (c *initCommand) broker(e *env) (*admin.Status, error) {
	s, err := (&adminFlags{Socket: c.Socket}).status(e)
	several, none := (*admin.SeveralError)(nil), (*admin.NotFoundError)(nil)
	if c.Data != "" && errors.As(err, &several) {
		for _, one := range several.Found {
			if one.Data == c.Data {
				s, err = one, nil
			}
		}
	}
	switch {
	case c.Socket == "" && errors.As(err, &none), c.Data != "" && c.Socket == "" && (err != nil || s.Data != c.Data):
		return nil, nil //nolint:nilnil,nilerr // that none was found is an answer here
	case err != nil:
		return nil, err
	case s.Config != "":
		return nil, fmt.Errorf("the broker that runs here (process %d) has a configuration already: %s; --data DIR names the data directory of another one", s.PID, s.Config)
	case s.Data == "":
		return nil, fmt.Errorf("the broker that runs here (process %d) keeps nothing: it was started with -p alone, and --data DIR names a data directory", s.PID)
	}
	return s, nil
}

// place fills in where the store is.
func (c *initCommand) place(r *running) (err error) {
	switch r.Store = cmp.Or(c.Store, r.Store); {
	case r.Store == "":
		r.Store = filepath.Join(r.Data, storeName)
	case r.Redis():
		if r.Secret = c.Store == "" && strings.HasPrefix(r.Store, secretPlace); r.Secret {
			return nil
		}
		a, err := redis.ParseAddress(r.Store)
		if err != nil {
			return fmt.Errorf("--store: %w", err)
		}
		if a.Password != "" || a.SentinelPassword != "" {
			return errors.New("--store: a password in the command line can be read by everybody on this machine: leave it out here, and put the whole address into the file, or into the environment as PICKET_CLUSTER")
		}
	default:
		r.Store, err = filepath.Abs(r.Store)
	}
	return err
}

// files fills in what the data directory holds.
func (r *running) files() error {
	own := setup.Files(r.Data)
	if _, err := os.Stat(own.PasswordFile); err != nil {
		return fmt.Errorf("there is no data directory of a broker in %s (%w): start picket serve once, or name it with --data DIR", r.Data, err)
	}
	if err := own.ReadNames(); err != nil {
		return err
	}
	user, err := process.Owner(r.Data)
	if err != nil {
		return err
	}
	r.User, r.Names, r.Passwords, r.Rights, r.Certificate, r.Key = user, own.Names, own.PasswordFile, own.RightsFile, own.CertFile, own.KeyFile
	r.Rule = filepath.Join(r.Data, "acl")
	r.Socket = cmp.Or(r.Socket, filepath.Join(r.Data, admin.SocketName))
	slices.Sort(r.Ports)
	return nil
}

// secretPlace begins the address of a Redis in place of one that holds a password.
const secretPlace = "redis://***@"

// placeOf is where a configuration keeps what is stored: a directory, or the address of a Redis; empty: nowhere.
func placeOf(p mosqconf.Persistence) (string, error) {
	if p.Cluster != "" || !p.On {
		return p.Cluster, nil
	}
	where, err := p.Place()
	if err != nil {
		return "", err
	}
	return where.Dir, nil
}

// shownPlace is the same for everybody to see, without passwords, of a store that has been opened.
func shownPlace(p mosqconf.Persistence) string {
	place, err := placeOf(p)
	if err != nil || !inRedis(place) {
		return place
	}
	a, err := redis.ParseAddress(place)
	switch {
	case err != nil:
		return ""
	case a.Password != "" || a.SentinelPassword != "":
		return secretPlace + a.String()
	}
	return place
}

var (
	initNext = cause.Text{
		EN: "%[1]s: written. Look at it with: picket check -c %[1]s\nFrom now on the broker is started with: picket serve -c %[1]s\n",
		ZH: "已写入 %[1]s。可先检查：picket check -c %[1]s\n以后这样启动服务端：picket serve -c %[1]s\n",
	}
	initNextRunning = cause.Text{
		EN: "%[1]s: written. Look at it with: picket check -c %[1]s\nThen end the broker that runs (kill %[2]d) and start it with: picket serve -c %[1]s\n",
		ZH: "已写入 %[1]s。可先检查：picket check -c %[1]s\n然后结束正在运行的服务端（kill %[2]d），再这样启动：picket serve -c %[1]s\n",
	}
)

// initText writes the file. What is explained in it is explained in the reader's language.
type initText struct {
	strings.Builder
	lang cause.Lang
}

// say writes a comment.
func (t *initText) say(en, zh string) {
	t.WriteString("# " + cause.Text{EN: en, ZH: zh}.In(t.lang) + "\n")
}

// set writes a directive.
func (t *initText) set(directive, value string) { t.WriteString(directive + " " + value + "\n") }

// end ends a paragraph.
func (t *initText) end() { t.WriteByte('\n') }

// file is the whole of it.
func (r *running) file(lang cause.Lang) string {
	t := &initText{lang: lang}
	t.say("Picket's configuration, in the form of mosquitto.conf: it says what the broker did without one. docs/configuration.md explains every directive.",
		"Picket 的配置，格式与 mosquitto.conf 相同，内容就是此前没有配置文件时的运行方式。各项说明见 docs/configuration.zh-CN.md。")
	t.say(`After a change: "picket check -c FILE", then "picket ctl reload".`, `修改后先运行 "picket check -c 〈文件〉"，再运行 "picket ctl reload"。`)
	t.end()
	r.identity(t)
	r.place(t)
	for _, port := range r.Ports {
		t.say("One port for MQTT, MQTT over TLS, WebSocket and the page for phones.", "同一个端口支持 MQTT、MQTT over TLS、WebSocket 和手机测试页面。")
		t.set("listener", strconv.Itoa(port))
		t.set("protocol", "auto")
		t.set("certfile", r.Certificate)
		t.set("keyfile", r.Key)
		t.end()
	}
	t.say("Clients on this machine need no password.", "本机客户端不需要密码。")
	t.set("allow_anonymous", "local")
	t.end()
	t.say(`Who may do what: one line "topic readwrite home/#" after "user ada", and so on.`, `权限规则：先写一行 "user ada"，下一行写 "topic readwrite home/#"，依此类推。`)
	t.set("#acl_file", r.Rule)
	t.end()
	t.say("Clients of MQTT 5 are told in words why they are refused.", "拒绝 MQTT 5 客户端时附带文字说明。")
	t.set("reason_strings", "true")
	t.end()
	t.say(`"picket ctl" asks here.`, "picket ctl 通过它与服务端通信。")
	t.set("admin_socket", r.Socket)
	for _, at := range r.Web {
		host, port, _ := net.SplitHostPort(at)
		t.end()
		t.say(`The dashboard ("picket ctl login"), the HTTP API and figures for Prometheus, for this machine.`, `管理页面（"picket ctl login"）、HTTP 接口和 Prometheus 指标，只供本机使用。`)
		t.set("listener", port+" "+host)
		t.set("protocol", "http_api")
	}
	for _, name := range r.LogFiles {
		t.end()
		t.set("log_dest", "file "+name)
	}
	return t.String()
}

// identity is who the broker is, and for whom.
func (r *running) identity(t *initText) {
	t.say("User, password, certificate authority and the server's certificate stay where the first start has made them.", "首次启动时创建的用户、密码、CA 和服务器证书仍在原处。")
	t.set("data_dir", r.Data)
	t.set("password_file", r.Passwords)
	t.end()
	t.say(`Users and rights that "picket user", "picket allow" and "picket deny" change.`, `"picket user"、"picket allow" 和 "picket deny" 修改的用户和权限。`)
	t.set("rights_file", r.Rights)
	t.end()
	if r.User != "" {
		t.say("Who the broker becomes when root starts it.", "由 root 启动时，服务端切换到这个用户。")
		t.set("user", r.User)
		t.end()
	}
	if len(r.Names) > 0 {
		t.say("What clients call this machine.", "客户端连接本机时使用的名称或地址。")
		for _, name := range r.Names {
			t.set("server_name", name)
		}
		t.end()
	}
	if r.ACMEName == "" {
		return
	}
	t.say("A certificate that clients trust by themselves.", "客户端直接信任的证书。")
	t.set("acme_name", r.ACMEName)
	if r.ACMEEmail != "" {
		t.set("acme_email", r.ACMEEmail)
	}
	t.end()
}

// place is where sessions and messages are kept.
func (r *running) place(t *initText) {
	t.say("What has been acknowledged survives a restart and a power loss.", "已确认的消息在重启和断电后不会丢失。")
	switch {
	case !r.Redis():
		t.set("persistence", "true")
		t.set("persistence_store", r.Store)
	case r.Secret:
		t.say("The whole address, with its password, is in the environment: PICKET_CLUSTER.", "带密码的完整地址在环境变量 PICKET_CLUSTER 中。")
	default:
		t.set("cluster", r.Store)
	}
	t.end()
}
