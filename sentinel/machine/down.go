package machine

import (
	"strconv"

	"picket/resp"
)

// checkSubjectivelyDown decides whether we see an instance as down.
func (m *Machine) checkSubjectivelyDown(n *node) {
	m.dropStale(n)
	ms, l, now := n.master, n.link, m.now()
	elapsed := int64(-1) // nothing is awaited
	switch {
	case l.actPing != 0:
		elapsed = now - l.actPing
	case n.disconnected():
		elapsed = now - l.lastOK
	}
	// A server that refuses our password or user is alive: that is told as such, and failing over would not help. A sentinel
	// that does can neither agree nor vote for us, so it is as good as down.
	if l.refusedAt != 0 && n.kind != Sentinel {
		elapsed = min(elapsed, now-l.refusedAt)
	}
	down := elapsed > n.downAfter
	if elapsed >= 0 && !down {
		ms.at(now + n.downAfter - elapsed + 1)
	}
	if n.kind == Master {
		if n.roleReported == Replica && now-n.roleSince > n.downAfter+2*m.tune.InfoPeriod {
			down = true
		}
		if ms.refusedDown > 0 && n.endedAt != 0 && n.refusedLast-n.endedAt >= ms.refusedDown {
			down = true
		}
		if m.cameBackYounger(ms) {
			down = true
		}
		if n.has(masterReboot) && now-n.rebootSince > ms.rebootDownAfter {
			down = true
		}
	}
	switch {
	case down && !n.has(sDown):
		n.flags |= sDown
		n.sDownSince = now
		m.eventAt(Warning, "+sdown", n)
		if n.kind == Master {
			for _, s := range ms.sentinels {
				s.askSent = 0
			}
			m.hurry(ms)
		}
	case !down && n.has(sDown):
		n.flags &^= sDown | scriptKillSent
		m.eventAt(Warning, "-sdown", n)
	}
}

// sawLoss notes that a master's process is gone (picket-refused-down): its connection ended, and since then its machine answers that nobody listens there. A
// machine that does not answer says nothing about it.
func (m *Machine) sawLoss(n *node, c *conn, how Loss) {
	switch {
	case c.up && how == Ended:
		n.endedAt, n.refusedLast = m.now(), 0
	case !c.up && how == Refused && n.endedAt != 0:
		n.refusedLast = m.now()
	default:
		n.endedAt, n.refusedLast = 0, 0
	}
}

// forgetOldAnswers drops what other sentinels said longer ago than five ask periods.
func (m *Machine) forgetOldAnswers(ms *master) {
	for _, n := range ms.sentinels {
		if m.now()-n.askAnswered > 5*m.tune.AskPeriod {
			n.flags &^= masterDown
			n.leader = ""
		} else {
			ms.at(n.askAnswered + 5*m.tune.AskPeriod + 1)
		}
	}
}

// checkObjectivelyDown decides whether enough sentinels see a master as down. The agreement is weak: they may have said so at different times.
func (m *Machine) checkObjectivelyDown(ms *master) {
	votes := 0
	if ms.has(sDown) {
		votes = 1
		for _, n := range ms.sentinels {
			if n.has(masterDown) {
				votes++
			}
		}
	}
	down := votes >= ms.quorum
	switch {
	case down && !ms.has(oDown):
		ms.flags |= oDown
		ms.oDownSince = m.now()
		// Whoever stands first usually wins. All of us have probably noticed in the same moment, so a few milliseconds of
		// chance keep us from dividing the votes.
		ms.standAt = m.now() + m.opt.Rand.Int64N(maxStandDelay)
		m.event(Warning, "+odown", &ms.node, m.details(&ms.node)+" #quorum "+strconv.Itoa(votes)+"/"+strconv.Itoa(ms.quorum))
		m.hurry(ms)
	case !down && ms.has(oDown):
		ms.flags &^= oDown
		ms.retryAt, ms.ties = 0, 0
		m.eventAt(Warning, "-odown", &ms.node)
	}
}

// maxStandDelay bounds the wait between seeing a master objectively down and standing for election, in milliseconds.
const maxStandDelay = 25

// askOthers asks the other sentinels whether they see a master as down too, and, once a failover has begun, for their votes.
func (m *Machine) askOthers(ms *master) {
	now := m.now()
	standing := ms.has(coordinated|reaffirming) && ms.state == waitStart
	if !ms.has(sDown) && !standing || !m.told() {
		return
	}
	// Votes are asked for in the epoch that we stand in, even if another, newer one is known by now: our own vote is there.
	vote, epoch := "*", m.epoch
	if ms.state == waitStart {
		vote, epoch = m.myID, ms.failoverEpoch
	}
	for _, n := range ms.sentinels {
		if !n.commandsUp() {
			continue
		}
		// The first question and the call for votes go out at once. While the agreement is still missing, moments after the
		// master went down, the others are about to see it too and are asked more often than each ask period.
		period := m.tune.AskPeriod
		if !ms.has(oDown) && now-ms.sDownSince < 5000 {
			period = min(period, 100)
		}
		first := n.askSent == 0 || vote != "*" && n.askedEpoch != ms.failoverEpoch
		if !first && (!m.due(ms, n.askSent, period) || n.askPending > 0 && !m.due(ms, n.askSent, m.tune.AskPeriod)) {
			continue
		}
		n.askSent = now
		n.askPending++
		if vote != "*" {
			n.askedEpoch = ms.failoverEpoch
		}
		m.send(n.link.cmd, n, askAnswer, "SENTINEL", "is-master-down-by-addr", m.show(ms.addr), strconv.Itoa(ms.addr.Port), itoa(epoch), vote)
	}
}

// askAnswered takes what another sentinel says about a master, and its vote.
func (m *Machine) askAnswered(n *node, v resp.Value) {
	if v.Kind != resp.Array || len(v.Elems) != 3 || v.Elems[0].Kind != resp.Integer || v.Elems[2].Kind != resp.Integer {
		return
	}
	n.askAnswered = m.now()
	n.flags &^= masterDown
	if v.Elems[0].Int == 1 {
		n.flags |= masterDown
	}
	if l := v.Elems[1].Str; l != "*" && l != "" {
		n.leader, n.leaderEpoch = l, v.Elems[2].Int
	}
	m.wake(n.master)
}
