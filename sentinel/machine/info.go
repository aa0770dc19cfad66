package machine

import (
	"strconv"
	"strings"
)

// infoAnswered takes over what a server says about itself, and acts on a change of its role.
func (m *Machine) infoAnswered(n *node, text string) {
	ms, now := n.master, m.now()
	n.info, n.infoAt = text, now
	role := n.roleReported
	var linkDown int64
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		switch key {
		case "run_id":
			m.sawRunID(n, value)
		case "role":
			switch value {
			case "master":
				role = Master
			case "slave":
				role = Replica
			}
		case "master_host":
			if n.masterHost != value {
				n.masterHost, n.confChangedAt = value, now
			}
		case "master_port":
			if p, _ := strconv.Atoi(value); n.masterPort != p {
				n.masterPort, n.confChangedAt = p, now
			}
		case "master_link_status":
			n.masterLinkUp = value == "up"
		case "master_link_down_since_seconds":
			if s, err := strconv.ParseInt(value, 10, 64); err == nil {
				linkDown = min(max(s, 0), 1<<32)*1000 + 1
			}
		case "slave_priority":
			n.priority, _ = strconv.Atoi(value)
		case "slave_repl_offset":
			n.offset, _ = strconv.ParseInt(value, 10, 64)
		case "replica_announced":
			n.unannounced = value == "0"
		default:
			if n.kind == Master && len(key) > 5 && strings.HasPrefix(key, "slave") && key[5] >= '0' && key[5] <= '9' {
				m.sawReplica(ms, value)
			}
		}
	}
	n.linkDownTime = linkDown
	if role != n.roleReported {
		n.roleReported, n.roleSince = role, now
		if role == Replica {
			n.confChangedAt = now
		}
		name := "-role-change"
		if (n.kind == Master) == (role == Master) {
			name = "+role-change"
		}
		m.event(Verbose, name, n, m.details(n)+" new reported role is "+role.String())
	}
	if ms.has(oDown | failoverInProgress) {
		m.wake(ms)
	}
	if m.tilt || n.kind != Replica {
		return
	}
	if role == Master {
		m.replicaIsMaster(n)
		return
	}
	m.replicaFollows(n)
}

func (m *Machine) sawRunID(n *node, id string) {
	if n.runID == id || id == "" {
		return
	}
	if n.runID != "" {
		m.eventAt(Notice, "+reboot", n)
		if n.kind == Master && n.master.rebootDownAfter != 0 {
			n.flags |= masterReboot
			n.rebootSince = m.now()
		}
	}
	n.runID = id
}

// sawReplica adds a replica that a master lists, in the new form ip=..,port=.. or the old one ip,port,state.
func (m *Machine) sawReplica(ms *master, value string) {
	var host, port string
	if strings.Contains(value, "ip=") {
		for f := range strings.SplitSeq(value, ",") {
			if v, ok := strings.CutPrefix(f, "ip="); ok {
				host = v
			} else if v, ok := strings.CutPrefix(f, "port="); ok {
				port = v
			}
		}
	} else if f := strings.Split(value, ","); len(f) >= 3 {
		host, port = f[0], f[1]
	}
	p, err := strconv.Atoi(port)
	if host == "" || err != nil || p <= 0 || p > 65535 {
		return
	}
	// The common case, a replica that is known, costs no resolution.
	for _, r := range ms.replicas {
		if r.addr.Port == p && (r.addr.IP == host || r.addr.Host == host) {
			return
		}
	}
	a, ok := m.addr(host, p)
	if !ok {
		return
	}
	if n := m.addReplica(ms, a); n != nil {
		m.eventAt(Notice, "+slave", n)
		m.save()
	}
}

// replicaIsMaster handles a replica that says it is a master: it was promoted, or it is an old master that came back.
func (m *Machine) replicaIsMaster(n *node) {
	ms := n.master
	if n.has(promoted) && ms.has(failoverInProgress) && ms.state == waitPromotion {
		m.promotionSeen(n)
		return
	}
	wait := 4 * m.tune.PublishPeriod
	if n.has(promoted) || !n.commandsUp() || !m.looksSane(ms) || !m.notDownFor(n, wait) || m.now()-n.roleSince <= wait {
		return
	}
	m.slaveOf(n, ms.addr)
	m.eventAt(Notice, "+convert-to-slave", n)
}

// replicaFollows handles a replica that says whom it follows: another master than ours, or the new one of a failover.
func (m *Machine) replicaFollows(n *node) {
	ms := n.master
	if !m.follows(n, ms.addr) && !n.has(reconfSent|reconfInProgress|reconfDone|promoted) {
		if n.commandsUp() && m.looksSane(ms) && m.notDownFor(n, ms.failoverTimeout) && m.now()-n.confChangedAt > ms.failoverTimeout {
			m.slaveOf(n, ms.addr)
			n.confChangedAt = m.now() // not again before the timeout, should it not help
			m.eventAt(Notice, "+fix-slave-config", n)
		}
	}
	if !n.has(reconfSent|reconfInProgress) || ms.promoted == nil {
		return
	}
	if n.has(reconfSent) && m.follows(n, ms.promoted.addr) {
		n.flags = n.flags&^reconfSent | reconfInProgress
		m.eventAt(Notice, "+slave-reconf-inprog", n)
	}
	if n.has(reconfInProgress) && n.masterLinkUp {
		n.flags = n.flags&^reconfInProgress | reconfDone
		m.eventAt(Notice, "+slave-reconf-done", n)
	}
}

// follows reports whether a replica says that it replicates from a.
func (m *Machine) follows(n *node, a Addr) bool {
	if n.masterPort != a.Port {
		return false
	}
	if n.masterHost == a.IP || strings.EqualFold(n.masterHost, a.Host) {
		return true
	}
	b, ok := m.addr(n.masterHost, n.masterPort)
	return ok && b.same(a)
}

// looksSane reports whether a master can be trusted to be the one that replicas should follow.
func (m *Machine) looksSane(ms *master) bool {
	return ms.roleReported == Master && !ms.has(sDown|oDown) && m.now()-ms.infoAt < 2*m.tune.InfoPeriod && ms.infoAt != 0
}

// notDownFor reports whether an instance has not been down for that long.
func (m *Machine) notDownFor(n *node, ms int64) bool {
	last := max(n.sDownSince, n.oDownSince)
	return last == 0 || m.now()-last > ms
}

// slaveOf makes a server a replica of a, as one transaction that also writes its configuration and ends its clients'
// connections, so that they ask anew who the master is.
func (m *Machine) slaveOf(n *node, a Addr) { m.reconfigure(n, m.show(a), strconv.Itoa(a.Port)) }

func (m *Machine) reconfigure(n *node, host, port string) {
	c := n.link.cmd
	m.send(c, n, ignoreAnswer, "MULTI")
	m.send(c, n, ignoreAnswer, "SLAVEOF", host, port)
	m.send(c, n, ignoreAnswer, "CONFIG", "REWRITE")
	m.send(c, n, ignoreAnswer, "CLIENT", "KILL", "TYPE", "normal")
	m.send(c, n, ignoreAnswer, "CLIENT", "KILL", "TYPE", "pubsub")
	m.send(c, n, promoteAnswer, "EXEC")
	// The answer in the same breath: a promotion has happened when EXEC returns.
	n.infoPending++
	n.infoSent = m.now()
	m.send(c, n, infoAnswer, "INFO")
}
