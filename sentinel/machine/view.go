package machine

import (
	"slices"
	"strconv"
	"strings"
)

// Field is one line of an instance map. The order of fields is fixed: clients index by position.
type Field struct{ Name, Value string }

var flagNames = []struct {
	f    flags
	name string
}{
	{masterDown, "master_down"}, {failoverInProgress, "failover_in_progress"}, {promoted, "promoted"}, {reconfSent, "reconf_sent"},
	{reconfInProgress, "reconf_inprog"}, {reconfDone, "reconf_done"}, {forceFailover, "force_failover"},
	{scriptKillSent, "script_kill_sent"}, {masterReboot, "master_reboot"},
}

func (n *node) flagText() string {
	var f []string
	if n.has(sDown) {
		f = append(f, "s_down")
	}
	if n.has(oDown) {
		f = append(f, "o_down")
	}
	f = append(f, n.kind.String())
	if n.disconnected() {
		f = append(f, "disconnected")
	}
	for _, d := range flagNames {
		if n.has(d.f) {
			f = append(f, d.name)
		}
	}
	return strings.Join(f, ",")
}

// since is how long ago t was, 0 for never.
func (m *Machine) since(t int64) string {
	if t == 0 {
		return "0"
	}
	return itoa(m.now() - t)
}

func (m *Machine) fields(n *node) []Field {
	l, ms := n.link, n.master
	pendings := 0
	for _, c := range []*conn{l.cmd, l.sub} {
		if c != nil {
			pendings += len(c.pending)
		}
	}
	f := []Field{
		{"name", n.name}, {"ip", m.show(n.addr)}, {"port", strconv.Itoa(n.addr.Port)}, {"runid", n.runID}, {"flags", n.flagText()},
		{"link-pending-commands", strconv.Itoa(pendings)}, {"link-refcount", strconv.Itoa(len(l.users))},
	}
	if n.has(failoverInProgress) {
		f = append(f, Field{"failover-state", ms.state.String()})
	}
	f = append(f, Field{"last-ping-sent", m.since(l.actPing)}, Field{"last-ok-ping-reply", m.since(l.lastOK)}, Field{"last-ping-reply", m.since(l.lastPong)})
	if n.has(sDown) {
		f = append(f, Field{"s-down-time", m.since(n.sDownSince)})
	}
	if n.has(oDown) {
		f = append(f, Field{"o-down-time", m.since(n.oDownSince)})
	}
	f = append(f, Field{"down-after-milliseconds", itoa(n.downAfter)})
	if n.kind != Sentinel {
		f = append(f, Field{"info-refresh", m.since(n.infoAt)}, Field{"role-reported", n.roleReported.String()}, Field{"role-reported-time", m.since(n.roleSince)})
	}
	switch n.kind {
	case Master:
		f = append(f, Field{"config-epoch", itoa(ms.configEpoch)}, Field{"num-slaves", strconv.Itoa(len(ms.replicas))},
			Field{"num-other-sentinels", strconv.Itoa(len(ms.sentinels))}, Field{"quorum", strconv.Itoa(ms.quorum)},
			Field{"failover-timeout", itoa(ms.failoverTimeout)}, Field{"parallel-syncs", strconv.Itoa(ms.parallelSyncs)})
		if ms.notificationScript != "" {
			f = append(f, Field{"notification-script", ms.notificationScript})
		}
		if ms.reconfigScriptPath != "" {
			f = append(f, Field{"client-reconfig-script", ms.reconfigScriptPath})
		}
	case Replica:
		status, host, announced := "err", n.masterHost, "1"
		if n.masterLinkUp {
			status = "ok"
		}
		if host == "" {
			host = "?"
		}
		if n.unannounced {
			announced = "0"
		}
		f = append(f, Field{"master-link-down-time", itoa(n.linkDownTime)}, Field{"master-link-status", status}, Field{"master-host", host},
			Field{"master-port", strconv.Itoa(n.masterPort)}, Field{"slave-priority", strconv.Itoa(n.priority)},
			Field{"slave-repl-offset", itoa(n.offset)}, Field{"replica-announced", announced})
	case Sentinel:
		leader := n.leader
		if leader == "" {
			leader = "?"
		}
		f = append(f, Field{"last-hello-message", m.since(n.lastHello)}, Field{"voted-leader", leader}, Field{"voted-leader-epoch", itoa(n.leaderEpoch)})
	}
	return f
}

// MasterFields is the map of one master; nil if there is none of that name.
func (m *Machine) MasterFields(name string) []Field {
	if ms := m.find(name); ms != nil {
		return m.fields(&ms.node)
	}
	return nil
}

// ReplicaFields are the maps of a master's replicas, without those that do not want to be announced.
func (m *Machine) ReplicaFields(name string) (maps [][]Field, ok bool) {
	ms := m.find(name)
	if ms == nil {
		return nil, false
	}
	for _, n := range ms.replicas {
		if !n.unannounced {
			maps = append(maps, m.fields(n))
		}
	}
	return maps, true
}

// SentinelFields are the maps of the other sentinels that watch a master.
func (m *Machine) SentinelFields(name string) (maps [][]Field, ok bool) {
	ms := m.find(name)
	if ms == nil {
		return nil, false
	}
	for _, n := range ms.sentinels {
		maps = append(maps, m.fields(n))
	}
	return maps, true
}

// Names are the names of all masters, in the order they were added.
func (m *Machine) Names() []string {
	names := make([]string, len(m.masters))
	for i, ms := range m.masters {
		names[i] = ms.name
	}
	return names
}

// CachedInfo is one entry of SENTINEL INFO-CACHE.
type CachedInfo struct {
	Age  int64 // milliseconds
	Text string
	Have bool
}

// InfoCache returns what a master and its replicas last said about themselves, the master first.
func (m *Machine) InfoCache(name string) (list []CachedInfo, ok bool) {
	ms := m.find(name)
	if ms == nil {
		return nil, false
	}
	for _, n := range append([]*node{&ms.node}, ms.replicas...) {
		c := CachedInfo{Text: n.info, Have: n.infoAt != 0}
		if c.Have {
			c.Age = m.now() - n.infoAt
		}
		list = append(list, c)
	}
	return list, true
}

// Summary is what INFO and the metrics say about one master.
type Summary struct {
	Name, Status      string // Status: ok, sdown, odown
	Host              string
	Port              int
	Replicas          int
	Sentinels         int // with ourselves
	Usable            int // of them, up
	Quorum, Majority  int
	State             string // of the failover
	ConfigEpoch       int64
	Sealed            int // picket-sealed
	Disconnected      int // instances with a connection missing
	PromotableReplica bool
}

// Overview is the state of the whole sentinel.
type Overview struct {
	Tilt             bool
	TiltSeconds      int64 // -1 outside TILT
	Running, Queued  int   // scripts
	Simulate         Failure
	Epoch            int64
	ConfigSaveFailed bool
	Masters          []Summary
}

// Overview returns it.
func (m *Machine) Overview() Overview {
	o := Overview{
		Tilt: m.tilt, TiltSeconds: -1, Running: m.runningScripts(), Queued: len(m.scripts), Simulate: m.simulate, Epoch: m.epoch,
		ConfigSaveFailed: m.saveFailed,
	}
	if m.tilt {
		o.TiltSeconds = (m.now() - m.tiltSince) / 1000
	}
	for _, ms := range m.masters {
		s := Summary{
			Name: ms.name, Status: "ok", Replicas: len(ms.replicas), Sentinels: ms.voters(), Usable: ms.usable(), Quorum: ms.quorum,
			Majority: ms.majority(), State: ms.state.String(), ConfigEpoch: ms.configEpoch, Sealed: ms.acks, PromotableReplica: m.selectReplica(ms) != nil,
		}
		a := ms.currentAddr()
		s.Host, s.Port = m.show(a), a.Port
		switch {
		case ms.has(oDown):
			s.Status = "odown"
		case ms.has(sDown):
			s.Status = "sdown"
		}
		for _, n := range slices.Concat([]*node{&ms.node}, ms.replicas, ms.sentinels) {
			if n.disconnected() {
				s.Disconnected++
			}
		}
		o.Masters = append(o.Masters, s)
	}
	return o
}

// Epoch is the current epoch.
func (m *Machine) Epoch() int64 { return m.epoch }
