package machine

import (
	"strconv"
	"strings"
)

// serverInfo is what one answer to INFO says about a server.
type serverInfo struct {
	runID             string
	role              string // master, slave; anything else is none
	replIDs           [2]string
	replOffset        int64 // of a master
	secondOffset      int64 // how far the history of the second replication id goes
	masterHost        string
	masterPort        int
	linkUp            bool
	linkDown          int64 // ms, 0: up; neverLinked: since it was started
	neverLinked       bool
	syncing           bool // it takes over the data of its master from the beginning
	priority          int
	offset            int64 // of a replica: how much it has of its master's stream
	unannounced       bool
	loading, keys     bool     // it reads its data from disk; it has some
	replicas          []string // as slaveN lists them
	connectedReplicas int
}

// parseInfo reads an answer to INFO. What is missing, as in that of an old server, stays as it is in a server that has nothing to say about it.
func parseInfo(text string) serverInfo {
	i := serverInfo{priority: 100}
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !ok {
			continue
		}
		switch key {
		case "run_id":
			i.runID = value
		case "role":
			i.role = value
		case "master_replid":
			i.replIDs[0] = value
		case "master_replid2":
			if strings.Trim(value, "0") != "" {
				i.replIDs[1] = value
			}
		case "master_repl_offset":
			i.replOffset, _ = strconv.ParseInt(value, 10, 64)
		case "second_repl_offset":
			i.secondOffset, _ = strconv.ParseInt(value, 10, 64)
		case "connected_slaves":
			i.connectedReplicas, _ = strconv.Atoi(value)
		case "loading":
			i.loading = value == "1"
		default:
			i.parseReplica(key, value)
		}
	}
	return i
}

// parseReplica reads what replicas say, and what is said about them.
func (i *serverInfo) parseReplica(key, value string) {
	switch key {
	case "master_host":
		i.masterHost = value
	case "master_port":
		i.masterPort, _ = strconv.Atoi(value)
	case "master_link_status":
		i.linkUp = value == "up"
	case "master_link_down_since_seconds":
		if s, err := strconv.ParseInt(value, 10, 64); err == nil {
			i.neverLinked = s < 0
			i.linkDown = min(max(s, 0), 1<<32)*1000 + 1
		}
	case "master_sync_in_progress":
		i.syncing = value == "1"
	case "slave_priority":
		i.priority, _ = strconv.Atoi(value)
	case "slave_repl_offset":
		i.offset, _ = strconv.ParseInt(value, 10, 64)
	case "replica_announced":
		i.unannounced = value == "0"
	default:
		digit := func(at int) bool { return len(key) > at && key[at] >= '0' && key[at] <= '9' }
		switch {
		case strings.HasPrefix(key, "slave") && digit(5):
			i.replicas = append(i.replicas, value)
		case strings.HasPrefix(key, "db") && digit(2):
			i.keys = true
		}
	}
}

// infoAnswered takes over what a server says about itself on a connection, and acts on a change of its role.
func (m *Machine) infoAnswered(c *conn, n *node, text string) {
	ms, now := n.master, m.now()
	i := parseInfo(text)
	n.info, n.infoAt = text, now
	m.sawRunID(n, i.runID)
	if n.masterHost != i.masterHost && i.masterHost != "" {
		n.masterHost, n.confChangedAt = i.masterHost, now
	}
	if n.masterPort != i.masterPort && i.masterPort != 0 {
		n.masterPort, n.confChangedAt = i.masterPort, now
	}
	n.masterLinkUp, n.linkDownTime, n.syncing = i.linkUp, i.linkDown, i.syncing
	if n.replIDs[0] != i.replIDs[0] {
		n.replSince = now
		if n.kind == Master && ms.acks > 0 {
			m.hurry(ms)
		}
	}
	n.priority, n.unannounced, n.replIDs, n.secondOffset = i.priority, i.unannounced, i.replIDs, i.secondOffset
	n.offset = i.offset
	if i.role == "master" {
		n.offset = i.replOffset
		if n.kind == Master {
			ms.connectedReplicas = i.connectedReplicas
		}
	}
	m.sawData(n, &i)
	m.identify(c, n, &i)
	m.rewrite(n)
	if n.kind == Master && n.proved() && !c.onlyEmpty {
		for _, r := range ms.replicas {
			r.listed = false
		}
		for _, r := range i.replicas {
			m.sawReplica(ms, r)
		}
	}
	m.sawRole(c, n, i.role)
	if ms.has(oDown|failoverInProgress) || ms.acks > 0 {
		m.wake(ms)
	}
	if m.tilt || n.kind != Replica {
		return
	}
	if n.roleReported == Master {
		m.replicaIsMaster(c, n)
		return
	}
	n.epochAsReplica = m.epoch
	m.replicaFollows(n)
}

// sawRole notes the role that a server reports.
func (m *Machine) sawRole(c *conn, n *node, text string) {
	role := n.roleReported
	switch text {
	case "master":
		role = Master
	case "slave":
		role = Replica
	}
	if !c.reported {
		c.reported, c.cameAs = true, role
	}
	if role == n.roleReported {
		return
	}
	n.roleReported, n.roleSince = role, m.now()
	if role == Replica {
		n.confChangedAt = m.now()
	}
	name := "-role-change"
	if (n.kind == Master) == (role == Master) {
		name = "+role-change"
	}
	m.event(Verbose, name, n, m.details(n)+" new reported role is "+role.String())
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
	known := false
	for _, r := range ms.replicas {
		if r.addr.Port == p && (r.addr.IP == host || r.addr.Host == host) {
			r.listed, known = true, true
		}
	}
	if known {
		return
	}
	a, ok := m.addr(host, p)
	if !ok {
		return
	}
	if n := m.addReplica(ms, a); n != nil {
		n.listed = true
		m.eventAt(Notice, "+slave", n)
		m.save()
	}
}

// replicaIsMaster handles a replica that says it is a master: it was promoted, or it is an old master that came back.
func (m *Machine) replicaIsMaster(c *conn, n *node) {
	ms := n.master
	if n.has(promoted) && ms.has(failoverInProgress) && ms.state == waitPromotion {
		m.sawPromoted(c, n)
		return
	}
	if n.has(promoted) || !n.proved() || !m.looksSane(ms) {
		return
	}
	// Somebody may have made it the master without our knowing yet. That comes to our ears within a few hellos, or, of a server that has just
	// come back, as soon as all sentinels have said that there was no election since it was known to be none.
	wait := 4 * m.tune.PublishPeriod
	waited := m.notDownFor(n, wait) && m.now()-n.roleSince > wait
	if !waited && (c.cameAs != Master || !m.noElectionSince(n)) || !m.confirmed(ms) {
		return
	}
	m.slaveOf(n, ms.addr)
	m.eventAt(Notice, "+convert-to-slave", n)
}

// sawPromoted handles a replica that was told to be the master and says that it is one. The process that was told so has to say it: one that was started again
// meanwhile is a master by its own file, may never have been told, and may have less than it had when it was chosen. One that had been a master of the past
// before has to say it on the connection on which it was told: what was sent on one that broke may never have arrived. Otherwise it is told again, or, where
// nothing that was acknowledged may be missing, given up: the next attempt compares anew.
func (m *Machine) sawPromoted(c *conn, n *node) {
	ms := n.master
	switch {
	case !n.proved():
	case c.runID == ms.toldRun && (c.id == ms.toldOn || ms.toldAs == Replica):
		m.promotionSeen(n)
	case ms.keeps() || ms.has(coordinated):
		m.eventAt(Warning, "-failover-abort-slave-timeout", &ms.node)
		m.abortFailover(ms)
		ms.retryAt = m.now() + 1000 + m.opt.Rand.Int64N(500)
	default:
		ms.toldRun, ms.toldOn = c.runID, c.id
		m.reconfigure(n, "NO", "ONE")
	}
}

// noElectionSince reports whether all other sentinels have told us, after a replica began to report that it is a master, that the epoch is still the
// one in which it was known to be none. Most of them would not do: a failover by hand needs no votes, and only the one that was asked for it knows its epoch
// until it has told the others.
func (m *Machine) noElectionSince(n *node) bool {
	ms := n.master
	if n.epochAsReplica != m.epoch {
		return false
	}
	for _, s := range ms.sentinels {
		if s.lastHello <= n.roleSince || s.helloEpoch != m.epoch || s.helloConfig != ms.configEpoch {
			return false
		}
	}
	return true
}

// replicaFollows handles a replica that says whom it follows: another master than ours, or the new one of a failover.
func (m *Machine) replicaFollows(n *node) {
	ms := n.master
	if !m.follows(n, ms.addr) && !n.has(reconfSent|reconfInProgress|reconfDone|promoted) {
		wait := ms.failoverTimeout
		if n.sealed {
			wait = foreignSeal // by another one, whose failover may be under way, or was given up half way
		}
		if n.proved() && !n.syncing && !n.sealedByUs && m.looksSane(ms) && m.notDownFor(n, wait) && m.now()-n.confChangedAt > wait && m.confirmed(ms) {
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

// follows reports whether a server says that it replicates from a.
func (m *Machine) follows(n *node, a Addr) bool { return m.leadsTo(n.masterHost, n.masterPort, a) }

// leadsTo reports whether a server that was told to replicate from host and port replicates from a. Two names may lead to one address.
func (m *Machine) leadsTo(host string, port int, a Addr) bool {
	if port != a.Port || host == "" {
		return false
	}
	if host == a.IP || strings.EqualFold(host, a.Host) {
		return true
	}
	b, ok := m.addr(host, port)
	return ok && b.IP != "" && b.IP == a.IP
}

// looksSane reports whether a master can be trusted to be the one that replicas should follow.
func (m *Machine) looksSane(ms *master) bool {
	return ms.proved() && ms.roleReported == Master && !ms.has(sDown|oDown) && m.now()-ms.infoAt < 2*m.tune.InfoPeriod && ms.infoAt != 0
}

// notDownFor reports whether an instance has not been down for that long.
func (m *Machine) notDownFor(n *node, ms int64) bool {
	last := max(n.sDownSince, n.oDownSince)
	return last == 0 || m.now()-last > ms
}

// slaveOf makes a server a replica of a, as one transaction that also writes its configuration and ends its clients'
// connections, so that they ask anew who the master is.
func (m *Machine) slaveOf(n *node, a Addr) { m.reconfigure(n, m.show(a), strconv.Itoa(a.Port)) }

// reconfigure is only for a server that has been proved to be the one that is meant: see identify.
func (m *Machine) reconfigure(n *node, host, port string) {
	if !m.reconfigurable(n) {
		return
	}
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
