package machine

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"picket/resp"
)

func (m *Machine) enter(ms *master, s failoverState) {
	ms.state, ms.stateSince = s, m.now()
	m.wake(ms)
}

// advanceFailover takes a failover one state further, if it is due.
func (m *Machine) advanceFailover(ms *master) {
	if !ms.has(failoverInProgress) {
		return
	}
	switch ms.state {
	case waitStart:
		m.electionState(ms)
	case sealReplicas:
		m.sealState(ms)
	case selectReplica:
		m.selectState(ms)
	case sendSlaveOfNoOne:
		m.promoteState(ms)
	case waitPromotion:
		m.timeoutState(ms)
	case reconfReplicas:
		m.reconfNext(ms)
		m.detectEnd(ms)
	}
}

// abortFailover gives an attempt up. From reconfReplicas on there is a new master and no way back.
func (m *Machine) abortFailover(ms *master) {
	m.unseal(ms)
	ms.flags &^= failoverInProgress | forceFailover | coordinated | reaffirming
	ms.state, ms.stateSince = noFailover, m.now()
	if ms.promoted != nil {
		ms.promoted.flags &^= promoted
		ms.promoted = nil
	}
}

// freshWait is how long the choice among the replicas waits for INFO that is newer than the failure, in milliseconds.
const freshWait = 300

func (m *Machine) selectState(ms *master) {
	since := ms.stateSince
	if ms.has(sDown) {
		since = ms.sDownSince
	}
	if m.now()-ms.stateSince < freshWait {
		for _, n := range ms.replicas {
			if n.infoAt < since && !n.has(sDown) && !n.disconnected() {
				ms.at(ms.stateSince + freshWait)
				return
			}
		}
	}
	n := m.selectReplica(ms)
	if ms.sealing() {
		n = nil // nothing is sealed: only a master that was demoted by mistake brings us here
	}
	if n == nil {
		if m.demotedByMistake(ms) {
			m.reconfigure(&ms.node, "NO", "ONE")
			m.eventAt(Notice, "+fix-master-config", &ms.node)
		}
		m.noGoodReplica(ms)
		return
	}
	m.choose(ms, n)
}

func (m *Machine) noGoodReplica(ms *master) {
	m.eventAt(Warning, "-failover-abort-no-good-slave", &ms.node)
	sealed := ms.sealing()
	m.abortFailover(ms)
	if sealed { // the next attempt begins once enough replicas can be asked, which is looked at before
		ms.retryAt = m.now() + 1000 + m.opt.Rand.Int64N(500)
	}
}

// choose goes on with the replica that is to be promoted.
func (m *Machine) choose(ms *master, n *node) {
	n.flags |= promoted
	ms.promoted = n
	m.eventAt(Warning, "+selected-slave", n)
	if ms.handsOver() {
		m.sealAll(ms)
		return
	}
	m.enterPromotion(ms)
}

func (m *Machine) enterPromotion(ms *master) {
	m.enter(ms, sendSlaveOfNoOne)
	m.eventAt(Notice, "+failover-state-send-slaveof-noone", ms.promoted)
}

// demotedByMistake reports whether a master is there but takes itself for a replica of one of its own replicas, which waits for it in turn, as one may
// that could not keep its promotion in its file and was started again. Each waits for the other and none of them is ever good enough to be promoted: Redis
// gives up. Its data are what clients were told is kept, so an elected leader makes it a master again. One that follows anybody else was told so by
// somebody, and one that is taking over data is left alone.
func (m *Machine) demotedByMistake(ms *master) bool {
	if ms.acks > 0 && slices.ContainsFunc(ms.replicas, func(r *node) bool {
		return !r.proved() || r.replIDs[0] != ms.replIDs[0] || r.offset > ms.offset
	}) {
		return false // a replica may have what was acknowledged and it has not
	}
	if ms.roleReported != Replica || ms.masterLinkUp || ms.syncing || !ms.proved() || m.now()-ms.infoAt >= 2*m.tune.InfoPeriod ||
		m.now()-ms.roleSince <= ms.downAfter+2*m.tune.InfoPeriod {
		return false
	}
	if m.follows(&ms.node, ms.addr) {
		// It waits for itself. It is not one of its own replicas that is reached by its name if each of them answers elsewhere.
		return !slices.ContainsFunc(ms.replicas, func(r *node) bool {
			return !r.commandsUp() || !r.link.cmd.reported || r.link.cmd.runID == ms.link.cmd.runID
		})
	}
	return slices.ContainsFunc(ms.replicas, func(r *node) bool {
		return m.follows(&ms.node, r.addr) && r.proved() && r.roleReported == Replica && !r.masterLinkUp
	})
}

// ineligible says why a replica cannot be promoted; empty if it can.
func (m *Machine) ineligible(n *node) string {
	ms, now := n.master, m.now()
	infoLimit, downLimit := 3*m.tune.InfoPeriod, 10*ms.downAfter
	if ms.has(sDown) {
		infoLimit = 5000
		downLimit += now - ms.sDownSince
	}
	switch {
	case n.has(sDown | oDown):
		return "it is down"
	case n.authRefusal != "" && n.disconnected():
		return "it refuses our password: " + n.authRefusal
	case n.disconnected():
		return "it is not connected"
	case n.doubt != "":
		return n.doubt
	case !n.proved():
		return "it has not said yet who it is"
	case m.namesake(n) != nil:
		return m.namesake(n).at() + " leads to the same server, and which of the two it is cannot be known"
	case n.link.cmd.onlyEmpty:
		return "it has no data, and does not follow this master"
	case n.syncing && !m.follows(n, ms.addr):
		return "it takes over the data of another server"
	case ms.has(coordinated) && (n.roleReported == Master || !m.follows(n, ms.addr)):
		return "it does not follow the master, which is to hand over to it"
	case now-n.link.lastOK > 5000:
		return "it has not answered PING for more than 5 seconds"
	case n.priority == 0:
		return "its replica-priority is 0"
	case now-n.infoAt > infoLimit:
		return "its last INFO is older than " + itoa(infoLimit/1000) + " seconds"
	case n.linkDownTime > downLimit:
		return "its replication link was down for more than 10 times down-after-milliseconds before the master failed"
	}
	return ""
}

// selectReplica chooses the replica to promote: one that is a replica, if there is any, before a master of the past that has come back as one, which lacks all
// that came after it; then the lowest priority, then the most data, then the smallest run id.
func (m *Machine) selectReplica(ms *master) *node {
	var best *node
	for _, n := range ms.replicas {
		if m.ineligible(n) == "" && (best == nil || cmp.Or(m.past(n)-m.past(best), betterReplica(n, best)) < 0) {
			best = n
		}
	}
	return best
}

// past is 1 for a server that says it is a master although the one that we know does not follow it.
func (m *Machine) past(n *node) int {
	ms := n.master
	if n.roleReported == Master && (ms.roleReported == Master || !m.follows(&ms.node, n.addr)) {
		return 1
	}
	return 0
}

func betterReplica(a, b *node) int {
	return cmp.Or(
		cmp.Compare(a.priority, b.priority),
		cmp.Compare(b.offset, a.offset),
		byRunID(strings.ToLower(a.runID), strings.ToLower(b.runID)),
	)
}

func byRunID(a, b string) int {
	if (a == "") != (b == "") {
		return cmp.Compare(len(b), len(a)) // an unknown run id comes last
	}
	return cmp.Compare(a, b)
}

func (m *Machine) promoteState(ms *master) {
	n, via := ms.promoted, ms.teller()
	if ms.keeps() && m.now()-ms.sealedSince > sealLimit || !n.proved() || !via.proved() {
		m.timeoutState(ms)
		return
	}
	if ms.handsOver() && (ms.link.cmd.runID != ms.sealedFor || m.ahead(ms) > 0) {
		m.noGoodReplica(ms)
		return
	}
	ms.toldRun, ms.toldOn, ms.toldAs = n.link.cmd.runID, via.link.cmd.id, n.roleReported
	if ms.has(coordinated) {
		limit := ms.failoverTimeout
		if ms.keeps() {
			limit = min(limit, max(ms.sealedSince+sealLimit-m.now(), 1))
		}
		m.send(via.link.cmd, via, failoverAnswer, "FAILOVER", "TO", m.show(n.addr), strconv.Itoa(n.addr.Port), "TIMEOUT", itoa(limit))
		n.infoWanted = true
	} else {
		m.reconfigure(n, "NO", "ONE")
	}
	m.enter(ms, waitPromotion)
	m.eventAt(Notice, "+failover-state-wait-promotion", n)
}

// teller is who is told of a promotion: the replica itself, or the master that is to hand over to it.
func (ms *master) teller() *node {
	if ms.has(coordinated) {
		return &ms.node
	}
	return ms.promoted
}

// failoverCommandAnswered ends a coordinated failover that the master refuses.
func (m *Machine) failoverCommandAnswered(n *node, v resp.Value) {
	ms := n.master
	if v.Kind != resp.Error || !ms.has(coordinated) || ms.state != waitPromotion {
		return
	}
	m.refuseCoordinated(ms, v.Str)
}

func (m *Machine) refuseCoordinated(ms *master, why string) {
	ms.coordinatedRefusal = why
	m.eventAt(Warning, "-failover-abort-slave-timeout", &ms.node)
	m.abortFailover(ms)
}

func (m *Machine) timeoutState(ms *master) {
	if ms.keeps() && m.due(ms, ms.sealedSince, sealLimit+1) {
		// What is still under way must not arrive after others have given the replicas back.
		m.sever(ms.teller())
		m.eventAt(Warning, "-failover-abort-slave-timeout", &ms.node)
		m.abortFailover(ms)
		return
	}
	if m.due(ms, ms.stateSince, ms.failoverTimeout+1) {
		m.eventAt(Warning, "-failover-abort-slave-timeout", &ms.node)
		m.abortFailover(ms)
	}
}

// promotionSeen begins the last part: the promoted replica says that it is a master. From here on its address is the master's,
// in our epoch, and everyone is told.
func (m *Machine) promotionSeen(n *node) {
	ms := n.master
	ms.configEpoch = ms.failoverEpoch
	m.enter(ms, reconfReplicas)
	m.saveVote()
	m.eventAt(Warning, "+promoted-slave", n)
	if m.simulate&CrashAfterPromotion != 0 {
		m.crash("crash-after-promotion")
		return
	}
	m.eventAt(Warning, "+failover-state-reconf-slaves", &ms.node)
	m.reconfigScript(ms, "leader", ms.addr, n.addr)
	if ms.has(coordinated) {
		n.unwritten, ms.unwritten = true, true
		m.rewrite(n)
		m.rewrite(&ms.node)
	}
	m.forceHellos(ms)
	m.wake(ms)
}

// rewrite has a server write its configuration file after FAILOVER, which does not: started again, each of the two would be what it was before. The failover
// does not end, and the connections to them are not made anew, until both have answered.
func (m *Machine) rewrite(n *node) {
	if !n.unwritten || !n.proved() || n.rewriteOn == n.link.cmd.id {
		return
	}
	n.rewriteOn = n.link.cmd.id
	m.send(n.link.cmd, n, rewriteAnswer, "CONFIG", "REWRITE")
}

func (m *Machine) forceHellos(ms *master) {
	ms.forceHello = true
	for _, n := range ms.replicas {
		n.forceHello = true
	}
	for _, n := range ms.sentinels {
		n.forceHello = true
	}
}

// reconfNext points the other replicas to the new master, parallel-syncs at a time.
func (m *Machine) reconfNext(ms *master) {
	if !m.spread(ms) {
		return
	}
	busy := 0
	for _, n := range ms.replicas {
		if n.has(reconfSent | reconfInProgress) {
			busy++
		}
	}
	for _, n := range ms.replicas {
		if busy >= ms.parallelSyncs && !n.sealedByUs { // a sealed one only takes over what it lacks, and is best taken in before others find it detached
			continue
		}
		if n.has(promoted | reconfDone) {
			continue
		}
		if n.has(reconfSent|reconfInProgress) || !m.reconfigurable(n) || n.syncing && !m.follows(n, ms.addr) {
			continue
		}
		m.slaveOf(n, ms.promoted.addr)
		n.flags |= reconfSent
		n.reconfAt = m.now()
		m.eventAt(Notice, "+slave-reconf-sent", n)
		busy++
	}
	for _, n := range ms.replicas {
		if n.has(reconfSent) && m.due(ms, n.reconfAt, m.tune.ReplicaReconfTimeout+1) {
			n.flags = n.flags&^reconfSent | reconfDone
			m.eventAt(Notice, "-slave-reconf-sent-timeout", n)
			m.wake(ms)
		}
	}
}

func (m *Machine) detectEnd(ms *master) {
	if ms.promoted == nil || ms.promoted.has(sDown) {
		return
	}
	open := ms.promoted.unwritten || ms.unwritten && !ms.has(sDown) ||
		slices.ContainsFunc(ms.replicas, func(n *node) bool { return !n.has(promoted | reconfDone | sDown) })
	timeout := m.due(ms, ms.stateSince, ms.failoverTimeout+1)
	if open && !timeout {
		return
	}
	if open {
		m.eventAt(Warning, "+failover-end-for-timeout", &ms.node)
	}
	m.eventAt(Warning, "+failover-end", &ms.node)
	m.enter(ms, updateConfig)
	if !open || !m.spread(ms) {
		return
	}
	for _, n := range ms.replicas {
		if n.has(promoted|reconfDone|reconfSent) || !m.reconfigurable(n) || n.syncing && !m.follows(n, ms.addr) {
			continue
		}
		m.slaveOf(n, ms.promoted.addr)
		m.eventAt(Notice, "+slave-reconf-sent-be", n)
	}
}

// switchToPromoted ends a failover: the promoted replica is the master.
func (m *Machine) switchToPromoted(ms *master) {
	if ms.promoted == nil {
		m.abortFailover(ms)
		return
	}
	a := ms.promoted.addr
	m.event(Warning, "+switch-master", &ms.node, m.switchText(ms, a))
	m.changeAddress(ms, a)
}

func (m *Machine) switchText(ms *master, to Addr) string {
	return ms.name + " " + m.show(ms.addr) + " " + strconv.Itoa(ms.addr.Port) + " " + m.show(to) + " " + strconv.Itoa(to.Port)
}

// changeAddress makes a master of what is at another address: its replicas, and the old master, become the replicas. Epochs,
// options and the other sentinels stay.
func (m *Machine) changeAddress(ms *master, a Addr) {
	var replicas []Addr
	for _, n := range ms.replicas {
		if !n.addr.same(a) {
			replicas = append(replicas, n.addr)
		}
	}
	if !ms.addr.same(a) {
		replicas = append(replicas, ms.addr)
	}
	if ms.assumed {
		ms.forget()
	}
	was := map[Addr]node{ms.addr: ms.node}
	for _, n := range ms.replicas {
		was[n.addr] = *n
	}
	if n := ms.replicaAt(a); n != nil {
		a = n.addr // with the name that it is known by, if any
	}
	m.resetMaster(ms, false)
	ms.addr, ms.provedRun, ms.breaksSeen = a, was[a].provedRun, was[a].breaksSeen
	for _, r := range replicas {
		if n := m.addReplica(ms, r); n != nil {
			n.provedRun, n.breaksSeen = was[r].provedRun, was[r].breaksSeen
			m.eventAt(Notice, "+slave", n)
		}
	}
	m.save()
}

// resetMaster forgets what was learnt about a master, and on request the other sentinels too.
func (m *Machine) resetMaster(ms *master, sentinels bool) {
	for _, n := range ms.replicas {
		m.leave(n)
	}
	ms.replicas = nil
	if sentinels {
		for _, n := range ms.sentinels {
			m.leave(n)
		}
		ms.sentinels = nil
	}
	for _, n := range ms.sentinels {
		// What they said was about the old address.
		n.flags &^= masterDown
		n.askSent = 0
	}
	if sentinels {
		ms.history, ms.assumed = nil, false
		clear(ms.breaksBefore)
	}
	m.closeLink(ms.link)
	old := ms.node
	ms.node = node{kind: Master, name: old.name, addr: old.addr, master: ms, downAfter: old.downAfter, forceHello: old.forceHello}
	m.initNode(&ms.node)
	ms.downAfter = old.downAfter
	ms.state, ms.stateSince = noFailover, m.now()
	ms.failoverStart, ms.retryAt, ms.ties = 0, 0, 0
	ms.promoted = nil
	m.wake(ms)
}
