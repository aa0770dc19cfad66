package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"picket/cause"
	"picket/sentinel"
)

// sentinelCommand is "picket sentinel". Its arguments are redis-sentinel's, which are no flags of ours, so they pass as they are.
type sentinelCommand struct {
	Args []string `arg:"" optional:"" passthrough:"" name:"file" help:"Configuration file, then --directive value ... as if appended to it." zh:"配置文件，后面可以写 --directive value ...，效果与写在文件末尾相同。"`
}

func (sentinelCommand) details() details {
	return details{
		Text: cause.Text{EN: `Watches Redis or Valkey masters as redis-sentinel does, on the same configuration file, protocol and port (26379), and in one
group with sentinels of Redis. The state is kept in the configuration file, so that must be writable.

A minimal sentinel.conf:
  sentinel monitor mymaster 127.0.0.1 6379 2
  sentinel down-after-milliseconds mymaster 5000

Picket's own directives. On the command line (--picket-sealed mymaster 1) they stay out of the file, which redis-sentinel can then still read:
  sentinel picket-sealed mymaster 1          promote no replica that may lack what 1 replica has acknowledged (WAIT 1)
  sentinel picket-refused-down mymaster 100  take it for down when its connection has ended and its machine refuses new ones for 100 ms
  sentinel picket-adopt mymaster yes         make a replica of whatever answers at a known address, also a master that was started from an append-only file`, ZH: `与 redis-sentinel 一样监控 Redis 或 Valkey 主节点，使用同样的配置文件、协议和端口（26379），可以和 Redis 的哨兵组成同一组。状态保存在配置文件中，因此该文件必须可写。

最小的 sentinel.conf：
  sentinel monitor mymaster 127.0.0.1 6379 2
  sentinel down-after-milliseconds mymaster 5000

Picket 特有的指令。在命令行上给出时（--picket-sealed mymaster 1）不会写入文件，redis-sentinel 仍能读取该文件：
  sentinel picket-sealed mymaster 1          不提升可能缺少数据的从节点：1 个从节点已确认的写入（WAIT 1）都必须在其中
  sentinel picket-refused-down mymaster 100  连接已断开、且所在机器拒绝新连接达 100 毫秒时，即判定为下线
  sentinel picket-adopt mymaster yes         已知地址上有应答的服务器一律设为从节点，包括从 AOF 文件启动成主节点的`},
		examples: `picket sentinel /etc/redis/sentinel.conf
picket sentinel sentinel.conf --port 26380 --loglevel verbose
redis-cli -p 26379 sentinel ckquorum mymaster
picket ctl sentinel`,
	}
}

// Run runs a sentinel until it is told to end.
func (s *sentinelCommand) Run(e *env) error {
	args := s.Args
	if len(args) > 0 && (args[0] == "--help" || args[0] == "-h") {
		parser, err := newParser(e)
		if err != nil {
			return err
		}
		parsed, err := kong.Trace(parser, []string{"sentinel"})
		if err != nil {
			return err
		}
		return showHelp(e, parsed.Selected())
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	return runSentinel(e, args)
}

// runSentinel is redis-sentinel: its first argument is the configuration file.
func runSentinel(e *env, args []string) error {
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "--sentinel" })
	if len(args) == 1 && (args[0] == "--version" || args[0] == "-v") {
		_, err := fmt.Fprintf(e.stdout, "Picket sentinel %s, as Redis Sentinel 7.0.15\n", buildVersion())
		return err
	}
	if len(args) == 0 || strings.HasPrefix(args[0], "-") {
		return &statusError{1, "Sentinel needs a config file on disk, where it keeps its state: picket sentinel /path/to/sentinel.conf"}
	}
	cfg, err := sentinel.LoadConfig(args[0], args[1:], e.stdin)
	if err != nil {
		return &statusError{1, fatalConfig(err)}
	}
	if cfg.Daemonize && os.Getenv(daemonMark) == "" {
		return daemonize()
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// It waits nearly all the time, for answers to small questions: waking a second thread for each costs more than it saves.
		runtime.GOMAXPROCS(1)
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // there is little garbage, and it is watched on small machines
	}
	s, err := sentinel.New(cfg, buildVersion(), e.stdout)
	if err == nil {
		err = s.Run(e.ctx)
	} else if !errors.As(err, new(*sentinel.ExitError)) {
		return &statusError{1, err.Error()}
	}
	var exit *sentinel.ExitError
	if errors.As(err, &exit) {
		return &statusError{exit.Status, ""}
	}
	return err
}

// fatalConfig is the block that redis-sentinel prints for a line that it does not accept.
func fatalConfig(err error) string {
	var bad *sentinel.ConfigError
	if !errors.As(err, &bad) {
		return "*** FATAL CONFIG FILE ERROR (Picket) ***\n" + err.Error()
	}
	where := "Reading the command line"
	if bad.File != "" {
		where = fmt.Sprintf("Reading the configuration file %s, at line %d", bad.File, bad.Line)
	}
	return fmt.Sprintf("*** FATAL CONFIG FILE ERROR (Picket) ***\n%s\n>>> '%s'\n%s", where, bad.Text, bad.Reason)
}

// daemonMark tells the process that daemonize started that it is in the background already.
const daemonMark = "PICKET_IN_BACKGROUND"

// daemonize starts this command line again in a session of its own, without a terminal, and ends. A process that fails at once is
// reported.
func daemonize() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	cmd := exec.Command(exe)
	cmd.Args = os.Args
	cmd.Env = append(os.Environ(), daemonMark+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = null, null, null
	cmd.SysProcAttr = newSession()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("daemonize: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return &statusError{1, fmt.Sprintf("The sentinel ended at once (%v); its log file says why, or run it with --daemonize no", err)}
	case <-time.After(200 * time.Millisecond):
		return nil
	}
}
