package main

import (
	"cmp"
	"errors"
	"reflect"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"picket/echo/probe"
)

// commands are picket's own. Each is a struct with a method Run(*env) error, in a file of its name; its method details has what --help says beside the
// one line, and examples. Every text is there in English and in Chinese.
type commands struct {
	Allow    allowCommand    `cmd:"" help:"Allow a user of a running broker to publish or subscribe." zh:"允许某个用户发布或订阅，立即生效。"`
	Ban      banCommand      `cmd:"" help:"Keep an address, a user or a client identifier out of a running broker." zh:"禁止某个地址、用户或客户端标识连接。"`
	Bench    benchCommand    `cmd:"" help:"Put load on any MQTT broker and measure what comes through." zh:"对任意 MQTT 服务端施加负载，测量其性能。"`
	Check    checkCommand    `cmd:"" help:"Check a configuration file and everything it names." zh:"检查配置文件以及其中引用的所有内容。"`
	Ctl      ctlCommand      `cmd:"" help:"Ask a running broker or sentinel what it does, and steer it." zh:"查询正在运行的服务端或哨兵的状态，并对其进行管理。"`
	Deny     denyCommand     `cmd:"" help:"Deny a user of a running broker to publish or subscribe." zh:"禁止某个用户发布或订阅，立即生效。"`
	Doctor   doctorCommand   `cmd:"" help:"Say why a client cannot connect, and what to do about it." zh:"诊断客户端为什么连不上，并给出解决办法。"`
	Echo     echoCommand     `cmd:"" help:"A server that returns what it is sent on a second connection, and a client for it." zh:"回显服务及其客户端：把收到的数据通过另一条连接送回。"`
	Entry    entryCommand    `cmd:"" hidden:"" name:"entrypoint" passthrough:"" help:"What the container image begins with." zh:"容器镜像的入口。"`
	Help     helpCommand     `cmd:"" help:"Show what a command does and its options." zh:"显示某个命令的用途和选项。"`
	Init     initCommand     `cmd:"" help:"Write a configuration file that says what a broker does that was started without one." zh:"把没有配置文件的服务端当前的运行方式写成配置文件。"`
	Manual   manualCommand   `cmd:"" help:"Write the man pages and the shell completions to a folder." zh:"把手册页和 shell 补全脚本写入指定目录。"`
	May      mayCommand      `cmd:"" help:"Say whether a user may publish, subscribe or receive, and by which rule." zh:"查询某个用户能否发布、订阅或接收，以及由哪条规则决定。"`
	Passwd   passwdCommand   `cmd:"" passthrough:"" help:"Edit a password file." zh:"编辑密码文件。"`
	Pub      pubCommand      `cmd:"" passthrough:"" help:"Publish messages." zh:"发布消息。"`
	RR       rrCommand       `cmd:"" name:"rr" passthrough:"" help:"Publish a request and print the response." zh:"发布请求并输出响应。"`
	Sentinel sentinelCommand `cmd:"" help:"Watch Redis masters and promote a replica when one fails, as redis-sentinel does." zh:"监控 Redis 主节点，故障时将从节点提升为主节点，与 redis-sentinel 相同。"`
	Serve    serveCommand    `cmd:"" help:"Run the broker." zh:"运行服务端。"`
	Show     showCommand     `cmd:"" help:"Show what to enter on a phone: address, port, user; and codes to scan." zh:"显示在手机上要填的地址、端口和用户名，以及可扫描的二维码。"`
	Store    storeCommand    `cmd:"" help:"Look into a broker's store while the broker is stopped, make one of mosquitto's file, and write mosquitto's files." zh:"在服务端停止时查看其存储，从 mosquitto 的文件生成存储，或导出 mosquitto 的文件。"`
	Sub      subCommand      `cmd:"" passthrough:"" help:"Subscribe and print the messages that come." zh:"订阅并输出收到的消息。"`
	Unban    unbanCommand    `cmd:"" help:"Lift a ban." zh:"解除封禁。"`
	User     userCommand     `cmd:"" help:"The users of a running broker: list, add, disable, remove." zh:"管理正在运行的服务端的用户：列出、添加、停用、删除。"`
	Version  versionCommand  `cmd:"" help:"Show the version." zh:"显示版本。"`

	Usage       usageFlag   `name:"help" short:"h" help:"Show this text." zh:"显示本帮助。"`
	Lang        string      `enum:",en,zh" default:"" placeholder:"LANG" help:"Language of this text and of the answers: en or zh (default: that of the environment)." zh:"本帮助和各项输出的语言：en 或 zh（默认：由环境决定）。"`
	ShowVersion versionFlag `name:"version" help:"Show the version." zh:"显示版本。"`
}

// runCommand runs one of picket's own commands.
func runCommand(e *env, args []string) error {
	if lang := languageOption(args); lang != "" {
		e.language = lang // also for what is wrong with the rest
	}
	parser, err := parserOf(e, grammar(args))
	if err != nil {
		return err
	}
	parsed, err := parse(e, parser, doctorWords(args))
	switch {
	case errors.Is(err, errAnswered):
		return nil
	case parsed == nil:
		return err
	case err != nil:
		return &usageError{text: err.Error(), help: "picket " + commandPath(parsed) + "--help"}
	}
	return asRunner(parsed.Selected()).Run(e)
}

// languageOption finds --lang on a command line that is not parsed yet, and may never be.
func languageOption(args []string) string {
	for i, arg := range args {
		if value, ok := strings.CutPrefix(arg, "--lang="); ok {
			return value
		}
		switch {
		case arg == "--":
			return ""
		case arg == "--lang" && i+1 < len(args):
			return args[i+1]
		}
	}
	return ""
}

// newParser makes the parser of all commands.
func newParser(e *env) (*kong.Kong, error) { return parserOf(e, &commands{}) }

// grammar is that for a command line that begins with the name of a command: that one with the flags that all have. Kong reads every tag of a grammar
// with regular expressions, which for all of them takes longer than most commands run. Any other command line is for all commands.
func grammar(args []string) any {
	all := reflect.TypeFor[commands]()
	if len(args) == 0 {
		return &commands{}
	}
	var fields []reflect.StructField
	found := false
	for field := range all.Fields() {
		_, command := field.Tag.Lookup("cmd")
		name := cmp.Or(field.Tag.Get("name"), strings.ToLower(field.Name))
		if !command || name == args[0] {
			fields = append(fields, field)
			found = found || command
		}
	}
	if !found {
		return &commands{}
	}
	return reflect.New(reflect.StructOf(fields)).Interface()
}

func parserOf(e *env, grammar any) (*kong.Kong, error) {
	return kong.New(grammar,
		kong.Name("picket"),
		localize(e.lang()),
		kong.Vars(echoDefaults()),
		kong.Vars{"probePort": strconv.Itoa(probe.DefaultPort)},
		kong.Writers(e.stdout, e.stderr),
		kong.NoDefaultHelp(),
	)
}
