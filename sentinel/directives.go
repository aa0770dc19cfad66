package sentinel

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// serverDirective applies a directive that a Redis server has too.
func (c *Config) serverDirective(d *directive) error {
	name, a := strings.ToLower(d.args[0]), d.args[1:]
	if name == "user" {
		if len(a) < 1 {
			return d.err("wrong number of arguments")
		}
		c.Users = append(c.Users, a)
		return nil
	}
	if name == "bind" {
		c.Bind = nil
		for _, b := range a {
			if b != "" {
				c.Bind = append(c.Bind, b)
			}
		}
		return nil
	}
	if set, ok := directives[name]; ok {
		if len(a) != 1 && name != "rename-command" {
			return d.err("wrong number of arguments")
		}
		return set(c, d, a)
	}
	for _, n := range noEffect {
		if n == name {
			c.NoEffect = append(c.NoEffect, name)
			return nil
		}
	}
	return d.err("Bad directive or wrong number of arguments")
}

type setter func(c *Config, d *directive, a []string) error

func stringOption(field func(*Config) *string) setter {
	return func(c *Config, _ *directive, a []string) error {
		*field(c) = a[0]
		return nil
	}
}

func yesNoOption(field func(*Config) *bool) setter {
	return func(c *Config, d *directive, a []string) error {
		v, ok := parseYesNo(a[0])
		if !ok {
			return d.err("argument must be 'yes' or 'no'")
		}
		*field(c) = v
		return nil
	}
}

func numberOption(low, high int, field func(*Config) *int) setter {
	return func(c *Config, d *directive, a []string) error {
		n, err := strconv.Atoi(a[0])
		if err != nil || n < low || n > high {
			return d.err("argument must be between %d and %d inclusive", low, high)
		}
		*field(c) = n
		return nil
	}
}

func secondsOption(field func(*Config) *time.Duration) setter {
	return func(c *Config, d *directive, a []string) error {
		n, err := strconv.Atoi(a[0])
		if err != nil || n < 0 {
			return d.err("argument must be a number of seconds, 0 or more")
		}
		*field(c) = time.Duration(n) * time.Second
		return nil
	}
}

func oneOf(field func(*Config) *string, values ...string) setter {
	return func(c *Config, d *directive, a []string) error {
		v := strings.ToLower(a[0])
		for _, ok := range values {
			if v == ok {
				*field(c) = v
				return nil
			}
		}
		return d.err("argument(s) must be one of the following: %s", strings.Join(values, ", "))
	}
}

var directives = map[string]setter{
	"port":             numberOption(0, 65535, func(c *Config) *int { return &c.Port }),
	"tls-port":         numberOption(0, 65535, func(c *Config) *int { return &c.TLSPort }),
	"bind-source-addr": stringOption(func(c *Config) *string { return &c.BindSource }),
	"protected-mode":   yesNoOption(func(c *Config) *bool { return &c.ProtectedMode }),
	"daemonize":        yesNoOption(func(c *Config) *bool { return &c.Daemonize }),
	"pidfile":          stringOption(func(c *Config) *string { return &c.PidFile }),
	"logfile":          stringOption(func(c *Config) *string { return &c.LogFile }),
	"loglevel":         setLogLevel,
	"syslog-enabled":   yesNoOption(func(c *Config) *bool { return &c.Syslog }),
	"syslog-ident":     stringOption(func(c *Config) *string { return &c.SyslogIdent }),
	"syslog-facility": oneOf(func(c *Config) *string { return &c.SyslogFacility },
		"user", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"),
	"dir":                      setDir,
	"requirepass":              stringOption(func(c *Config) *string { return &c.Password }),
	"aclfile":                  stringOption(func(c *Config) *string { return &c.ACLFile }),
	"acllog-max-len":           numberOption(0, 1<<30, func(c *Config) *int { return &c.ACLLogMax }),
	"maxclients":               numberOption(1, 1<<30, func(c *Config) *int { return &c.MaxClients }),
	"timeout":                  secondsOption(func(c *Config) *time.Duration { return &c.IdleTimeout }),
	"tcp-keepalive":            secondsOption(func(c *Config) *time.Duration { return &c.KeepAlive }),
	"unixsocket":               stringOption(func(c *Config) *string { return &c.UnixSocket }),
	"unixsocketperm":           setSocketMode,
	"unixsocketgroup":          stringOption(func(c *Config) *string { return &c.UnixSocketGroup }),
	"log-format":               onlyLegacy,
	"log-timestamp-format":     onlyLegacy,
	"supervised":               oneOf(func(c *Config) *string { return &c.Supervised }, "no", "upstart", "systemd", "auto"),
	"rename-command":           setRename,
	"picket-metrics":           stringOption(func(c *Config) *string { return &c.Metrics }),
	"tls-cert-file":            stringOption(func(c *Config) *string { return &c.TLS.CertFile }),
	"tls-key-file":             stringOption(func(c *Config) *string { return &c.TLS.KeyFile }),
	"tls-key-file-pass":        stringOption(func(c *Config) *string { return &c.TLS.KeyPass }),
	"tls-client-cert-file":     stringOption(func(c *Config) *string { return &c.TLS.ClientCertFile }),
	"tls-client-key-file":      stringOption(func(c *Config) *string { return &c.TLS.ClientKeyFile }),
	"tls-client-key-file-pass": stringOption(func(c *Config) *string { return &c.TLS.ClientKeyPass }),
	"tls-ca-cert-file":         stringOption(func(c *Config) *string { return &c.TLS.CAFile }),
	"tls-ca-cert-dir":          stringOption(func(c *Config) *string { return &c.TLS.CADir }),
	"tls-auth-clients":         oneOf(func(c *Config) *string { return &c.TLS.AuthClients }, "yes", "no", "optional"),
	"tls-ciphers":              stringOption(func(c *Config) *string { return &c.TLS.Ciphers }),
	"tls-ciphersuites":         stringOption(func(c *Config) *string { return &c.TLS.CipherSuites }),
	"tls-replication":          yesNoOption(func(c *Config) *bool { return &c.TLS.Replication }),
	"tls-session-caching":      yesNoOption(func(c *Config) *bool { return &c.TLS.SessionCaching }),
	"tls-protocols": func(c *Config, d *directive, a []string) error {
		c.TLS.Protocols = strings.Fields(a[0])
		for _, p := range c.TLS.Protocols {
			if _, ok := tlsVersions[strings.ToLower(p)]; !ok {
				return d.err("unknown protocol %q; expected TLSv1.2 or TLSv1.3, or both in quotes", p)
			}
		}
		return nil
	},
}

func setLogLevel(c *Config, d *directive, a []string) error {
	l, ok := parseLogLevel(a[0])
	if !ok {
		return d.err("argument(s) must be one of the following: debug, verbose, notice, warning, nothing")
	}
	c.LogLevel = l
	return nil
}

// onlyLegacy is for the ways to write a log that Valkey has added.
func onlyLegacy(_ *Config, d *directive, a []string) error {
	if !strings.EqualFold(a[0], "legacy") {
		return d.err("only the legacy form of the log is written here; remove the directive")
	}
	return nil
}

// setDir remembers the folder; it is entered once all is read, so that the paths before it mean what they say.
func setDir(c *Config, d *directive, a []string) error {
	abs, err := filepath.Abs(a[0])
	if err != nil {
		return d.err("%v", err)
	}
	if st, err := os.Stat(abs); err != nil || !st.IsDir() {
		return d.err("Can't chdir to '%s': it is no folder that can be entered", a[0])
	}
	c.Dir = abs
	return nil
}

func setSocketMode(c *Config, d *directive, a []string) error {
	n, err := strconv.ParseUint(a[0], 8, 32)
	if err != nil || n > 0o777 {
		return d.err("argument must be an octal number up to 777")
	}
	c.UnixSocketMode = os.FileMode(n)
	return nil
}

func setRename(c *Config, d *directive, a []string) error {
	if len(a) != 2 {
		return d.err("wrong number of arguments")
	}
	if _, ok := commandTable[strings.ToLower(a[0])]; !ok {
		return d.err("No such command in rename-command")
	}
	if _, taken := commandTable[strings.ToLower(a[1])]; taken {
		return d.err("Target command name already exists")
	}
	c.Renamed[strings.ToLower(a[0])] = strings.ToLower(a[1])
	return nil
}

// noEffect are directives of Redis servers that a sentinel accepts, keeps in its file and does not need. Each that stands in
// the file is named in the log at the start.
var noEffect = strings.Fields(`
	acl-pubsub-default active-defrag-cycle-max active-defrag-cycle-min active-defrag-ignore-bytes active-defrag-max-scan-fields
	active-defrag-threshold-lower active-defrag-threshold-upper active-expire-effort activedefrag activerehashing always-show-logo aof-disable-auto-gc
	aof-load-truncated aof-rewrite-cpulist aof-rewrite-incremental-fsync aof-timestamp-enabled aof-use-rdb-preamble aof_rewrite_cpulist appenddirname
	appendfilename appendfsync appendonly auto-aof-rewrite-min-size auto-aof-rewrite-percentage availability-zone bgsave-cpulist bgsave_cpulist
	bio-cpulist bio_cpulist busy-reply-threshold client-output-buffer-limit client-query-buffer-limit cluster-allow-pubsubshard-when-down
	cluster-allow-reads-when-down cluster-allow-replica-migration cluster-announce-bus-port cluster-announce-client-ipv4 cluster-announce-client-ipv6
	cluster-announce-hostname cluster-announce-human-nodename cluster-announce-ip cluster-announce-port cluster-announce-tls-port cluster-blacklist-ttl
	cluster-config-file cluster-enabled cluster-link-sendbuf-limit cluster-migration-barrier cluster-node-timeout cluster-ping-interval cluster-port
	cluster-preferred-endpoint-type cluster-replica-no-failover cluster-replica-validity-factor cluster-require-full-coverage cluster-slave-no-failover
	cluster-slave-validity-factor cluster-slot-stats-enabled crash-log-enabled crash-memcheck-enabled databases dbfilename debug-context disable-thp
	dual-channel-replication-enabled dynamic-hz enable-debug-assert enable-debug-command enable-module-command enable-protected-configs
	events-per-io-thread extended-redis-compatibility hash-max-listpack-entries hash-max-listpack-value hash-max-ziplist-entries hash-max-ziplist-value
	hide-user-data-from-log hll-sparse-max-bytes hz ignore-warnings io-threads io-threads-do-reads jemalloc-bg-thread key-load-delay
	latency-monitor-threshold latency-tracking latency-tracking-info-percentiles lazyfree-lazy-eviction lazyfree-lazy-expire lazyfree-lazy-server-del
	lazyfree-lazy-user-del lazyfree-lazy-user-flush lfu-decay-time lfu-log-factor list-compress-depth list-max-listpack-size list-max-ziplist-size
	loading-process-events-interval-bytes loadmodule locale-collate lua-time-limit masterauth masteruser max-new-connections-per-cycle
	max-new-tls-connections-per-cycle maxmemory maxmemory-clients maxmemory-eviction-tenacity maxmemory-policy maxmemory-samples min-replicas-max-lag
	min-replicas-to-write min-slaves-max-lag min-slaves-to-write no-appendfsync-on-rewrite notify-keyspace-events oom-score-adj oom-score-adj-values
	prefetch-batch-max-size primaryauth primaryuser proc-title-template propagation-error-behavior proto-max-bulk-len rdb-del-sync-files
	rdb-key-save-delay rdb-save-incremental-fsync rdbchecksum rdbcompression repl-backlog-size repl-backlog-ttl repl-disable-tcp-nodelay
	repl-diskless-load repl-diskless-sync repl-diskless-sync-delay repl-diskless-sync-max-replicas repl-diskless-sync-period repl-ping-replica-period
	repl-ping-slave-period repl-timeout replica-announce-ip replica-announce-port replica-announced replica-ignore-disk-write-errors
	replica-ignore-maxmemory replica-lazy-flush replica-priority replica-read-only replica-serve-stale-data replicaof sanitize-dump-payload save
	server-cpulist server_cpulist set-max-intset-entries set-max-listpack-entries set-max-listpack-value set-proc-title shutdown-on-sigint
	shutdown-on-sigterm shutdown-timeout slave-announce-ip slave-announce-port slave-ignore-maxmemory slave-lazy-flush slave-priority slave-read-only
	slave-serve-stale-data slaveof slowlog-log-slower-than slowlog-max-len socket-mark-id stop-writes-on-bgsave-error stream-node-max-bytes
	stream-node-max-entries tcp-backlog tls-cluster tls-dh-params-file tls-prefer-server-ciphers tls-session-cache-size tls-session-cache-timeout
	tracking-table-max-keys use-exit-on-panic zset-max-listpack-entries zset-max-listpack-value zset-max-ziplist-entries zset-max-ziplist-value`)
