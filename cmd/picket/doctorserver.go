package main

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"picket/cause"
	"picket/doctor"
	"picket/doctor/host"
	"picket/doctor/host/gather"
	"picket/echo/probe"
)

// doctorServer is "picket doctor --server".
type doctorServer struct {
	Port      []int  `short:"p" placeholder:"PORT" help:"Port to look at; may be repeated (default: those of the broker)." zh:"要检查的端口；可重复（默认：服务端的全部端口）。"`
	Config    string `short:"c" placeholder:"FILE" type:"path" help:"The broker's configuration (default: the one that it was started with)." zh:"服务端的配置文件（默认：启动时所用的）。"`
	Name      string `placeholder:"HOST" help:"Name that clients use for this machine: does it lead here, and is the certificate for it?" zh:"客户端连接本机所用的域名：检查它是否指向本机，证书是否与它相符。"`
	From      string `placeholder:"HOST[:PORT]" help:"Have the ports tried from outside, by picket echo serve --probe on that machine (port ${probePort})." zh:"从外部测试端口：由那台机器上的 picket echo serve --probe 执行（端口 ${probePort}）。"`
	TokenFile string `placeholder:"FILE" type:"path" help:"File with the probe's token (default: the environment's PICKET_PROBE_TOKEN)." zh:"存放探测令牌的文件（默认：环境变量 PICKET_PROBE_TOKEN）。"`

	doctorStyle
}

func (doctorServer) details() details {
	return details{
		Text: cause.Text{EN: `On the broker's machine: why can clients not reach it? Looks at the broker's process and sockets, the firewall, addresses and cloud, Docker, the configuration
and whether it is in use, certificates, limits, clock, memory, disk and log. It changes nothing; root sees more.

What lies before the machine (a security group, a router) shows only from outside: run "picket echo serve --probe" on another machine and name it by --from.

Exit status: 0 healthy, 3 with warnings, 10 to 19 by the stage of what is wrong, 1 when nothing is and the ports could not be tried from outside,
2 for a wrong command line; docs/doctor.md has the list.`, ZH: `在服务端所在的机器上查明客户端为什么连不上：检查服务端的进程和套接字、防火墙、地址和云平台、Docker、配置以及它是否已生效、证书、资源限制、时钟、内存、磁盘和日志。不修改任何东西；用 root 运行能看到更多。

机器之前的环节（安全组、路由器）只有从外部才看得出来：在另一台机器上运行 "picket echo serve --probe"，再用 --from 指定它。

退出状态：0 正常，3 有警告，10 至 19 表示问题出在哪个阶段，1 表示没有发现问题但未能从外部测试端口，2 表示命令行有误；对照表见 docs/doctor.zh-CN.md。`},
		examples: `sudo picket doctor --server
sudo picket doctor --server --name mqtt.example.com --lang zh
sudo picket doctor --server --from echo.example.com --token-file probe.token
picket doctor --server --json`,
	}
}

// Run looks at the machine and prints what was found.
func (c *doctorServer) Run(e *env) error {
	options, err := c.options()
	if err != nil {
		return err
	}
	return c.examine(e, func(fact func(doctor.Fact), doing func(cause.Text)) (*doctor.Report, error) {
		options.Fact, options.Doing = fact, doing
		facts, err := gather.Gather(e.ctx, options)
		if err != nil {
			return nil, err
		}
		return c.report(facts), nil
	})
}

// report draws the conclusions from what was seen.
func (c *doctorServer) report(facts []doctor.Fact) *doctor.Report {
	name, err := os.Hostname()
	if err != nil {
		name = "localhost"
	}
	return host.NewReport(name, facts, c.From != "")
}

// options turns the flags into what to look at.
func (c *doctorServer) options() (o gather.Options, err error) {
	o = gather.Options{Ports: c.Port, Config: c.Config, Name: strings.TrimSuffix(c.Name, ".")}
	for _, p := range c.Port {
		if err := checkPorts(portOption{"--port", p}); err != nil {
			return o, err
		}
	}
	if c.Config != "" {
		if o.Config, err = filepath.Abs(c.Config); err != nil {
			return o, err
		}
		if _, err := os.Stat(o.Config); err != nil {
			return o, err
		}
	}
	if c.From == "" {
		if c.TokenFile != "" {
			return o, &usageError{text: "--token-file belongs to --from"}
		}
		return o, nil
	}
	o.Probe = &gather.Probe{Host: c.From, Port: probe.DefaultPort}
	if name, port, err := net.SplitHostPort(c.From); err == nil {
		number, err := strconv.Atoi(port)
		if err != nil || number < 1 || number > 65535 {
			return o, &usageError{text: "--from: a port is a number from 1 to 65535"}
		}
		o.Probe.Host, o.Probe.Port = name, number
	}
	o.Probe.Host = strings.Trim(o.Probe.Host, "[]")
	o.Probe.Token, err = probeToken(c.TokenFile)
	return o, err
}
