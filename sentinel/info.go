package sentinel

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"picket/resp"
	"picket/sentinel/machine"
)

// redisVersion is the release of Redis whose Sentinel this one behaves as.
const redisVersion = "7.0.15"

// counters are what INFO's section Stats shows.
type counters struct {
	connections, rejected, commands, errors atomic.Int64
}

var infoSections = []string{"server", "clients", "stats", "cpu", "sentinel"}

func infoCommand(c *client, args []string) resp.Value {
	wanted := map[string]bool{}
	for _, a := range args[1:] {
		switch a = strings.ToLower(a); a {
		case "all", "default", "everything":
			args = args[:1]
		default:
			wanted[a] = true
		}
	}
	var b strings.Builder
	for _, name := range infoSections {
		if len(args) > 1 && !wanted[name] {
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		fmt.Fprintf(&b, "# %s\r\n", map[string]string{"server": "Server", "clients": "Clients", "stats": "Stats", "cpu": "CPU", "sentinel": "Sentinel"}[name])
		for _, line := range c.s.infoLines(name) {
			b.WriteString(line)
			b.WriteString("\r\n")
		}
	}
	return resp.Str(b.String())
}

func (s *Sentinel) infoLines(section string) []string {
	switch section {
	case "server":
		return s.infoServer()
	case "clients":
		all := s.allClients()
		pubsub := 0
		for _, c := range all {
			if c.subscribed() {
				pubsub++
			}
		}
		return []string{
			fmt.Sprintf("connected_clients:%d", len(all)), "cluster_connections:0", fmt.Sprintf("maxclients:%d", s.cfg.MaxClients),
			"blocked_clients:0", "tracking_clients:0", fmt.Sprintf("pubsub_clients:%d", pubsub),
		}
	case "stats":
		channels, patterns := map[string]bool{}, map[string]bool{}
		for _, c := range s.allClients() {
			c.mu.Lock()
			for _, n := range c.channels {
				channels[n] = true
			}
			for _, n := range c.patterns {
				patterns[n] = true
			}
			c.mu.Unlock()
		}
		return []string{
			fmt.Sprintf("total_connections_received:%d", s.stats.connections.Load()), fmt.Sprintf("total_commands_processed:%d", s.stats.commands.Load()),
			fmt.Sprintf("rejected_connections:%d", s.stats.rejected.Load()), fmt.Sprintf("pubsub_channels:%d", len(channels)),
			fmt.Sprintf("pubsub_patterns:%d", len(patterns)), fmt.Sprintf("total_error_replies:%d", s.stats.errors.Load()),
		}
	case "cpu":
		system, user := processorTime()
		return []string{fmt.Sprintf("used_cpu_sys:%f", system), fmt.Sprintf("used_cpu_user:%f", user)}
	}
	return s.infoSentinel()
}

func (s *Sentinel) infoServer() []string {
	exe, _ := os.Executable()
	now := time.Now()
	up := int(now.Sub(s.started).Seconds())
	port := s.cfg.Port
	if port == 0 {
		port = s.cfg.TLSPort
	}
	lines := []string{
		"redis_version:" + redisVersion, "server_name:picket", "picket_version:" + s.version, "redis_mode:sentinel",
		"os:" + runtime.GOOS + " " + runtime.GOARCH, "arch_bits:64", "multiplexing_api:go", fmt.Sprintf("process_id:%d", os.Getpid()),
		"process_supervised:" + supervision(s.cfg.Supervised), "run_id:" + s.runID, fmt.Sprintf("tcp_port:%d", port),
		fmt.Sprintf("server_time_usec:%d", now.UnixMicro()), fmt.Sprintf("uptime_in_seconds:%d", up), fmt.Sprintf("uptime_in_days:%d", up/86400),
		"hz:10", "configured_hz:10", "executable:" + exe, "config_file:" + s.cfg.Path,
	}
	for i, l := range s.listeners {
		lines = append(lines, fmt.Sprintf("listener%d:name=%s,bind=%s", i, l.Addr().Network(), l.Addr()))
	}
	return lines
}

func (s *Sentinel) infoSentinel() []string {
	var o machine.Overview
	var peer []string
	gates := map[string][]machine.Gate{}
	s.call(func() {
		o, peer = s.m.Overview(), s.m.PeerInfo()
		for _, ms := range o.Masters {
			gates[ms.Name] = s.m.Gates(ms.Name)
		}
	})
	tilt := 0
	if o.Tilt {
		tilt = 1
	}
	lines := []string{
		fmt.Sprintf("sentinel_masters:%d", len(o.Masters)), fmt.Sprintf("sentinel_tilt:%d", tilt), fmt.Sprintf("sentinel_tilt_since_seconds:%d", o.TiltSeconds),
		fmt.Sprintf("sentinel_running_scripts:%d", o.Running), fmt.Sprintf("sentinel_scripts_queue_length:%d", o.Queued),
		fmt.Sprintf("sentinel_simulate_failure_flags:%d", o.Simulate),
	}
	for i, m := range o.Masters {
		lines = append(lines, fmt.Sprintf("master%d:name=%s,status=%s,address=%s:%d,slaves=%d,sentinels=%d", i, m.Name, m.Status, m.Host, m.Port, m.Replicas, m.Sentinels))
	}
	lines = append(lines, peer...)
	// What holds a failover back comes last, so that readers of the lines above are not disturbed.
	for i, m := range o.Masters {
		var ids []string
		for _, g := range gates[m.Name] {
			if !slices.Contains(ids, string(g.ID)) {
				ids = append(ids, string(g.ID))
			}
		}
		if len(ids) > 0 {
			lines = append(lines, fmt.Sprintf("picket_causes%d:name=%s,ids=%s", i, m.Name, strings.Join(ids, " ")))
		}
	}
	return lines
}
