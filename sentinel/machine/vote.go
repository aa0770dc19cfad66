package machine

import "strconv"

// Answer is the reply to a vote request. It must not be given before the outputs it came with are carried out; Confirm then
// says what may be told.
type Answer struct {
	Down   bool
	Leader string // a run id, or "*"
	Epoch  int64
	seq    uint64
}

// IsMasterDown answers SENTINEL IS-MASTER-DOWN-BY-ADDR: whether we see the master at that address as down and, where runID is not "*",
// whom we vote for in that epoch: the first who asked.
func (m *Machine) IsMasterDown(host string, port int, epoch int64, runID string) Answer {
	ans := Answer{Leader: "*"}
	a, ok := m.addr(host, port)
	if !ok {
		return ans
	}
	ms := m.byAddr(a)
	if ms == nil {
		return ans
	}
	if !m.tilt && ms.has(sDown) {
		ans.Down = true
		if !ms.has(oDown) {
			// Who asks sees it down as well: hear it from everyone, at once.
			for _, n := range ms.sentinels {
				if !n.has(masterDown) && m.now()-n.askSent >= 20 {
					n.askSent = 0
				}
			}
			m.wake(ms)
		}
	}
	if !validRunID(runID) || runID == "*" || !m.credible(epoch) {
		return ans
	}
	m.vote(ms, epoch, runID)
	if ms.leader != "" {
		ans.Leader = ms.leader
	}
	ans.Epoch = ms.leaderEpoch
	ans.seq = m.voteSeq
	return ans
}

// Confirm returns what may be told of an answer: no vote unless it is kept.
func (m *Machine) Confirm(a Answer) Answer {
	if m.durable < a.seq {
		a.Leader, a.Epoch = "*", 0
	}
	return a
}

// vote gives our vote for an epoch, once.
func (m *Machine) vote(ms *master, epoch int64, runID string) {
	raised := m.epoch < epoch
	if raised {
		m.epoch = epoch
		m.event(Warning, "+new-epoch", nil, itoa(epoch))
	}
	if ms.leaderEpoch >= epoch || m.epoch > epoch {
		if raised {
			m.saveVote()
		}
		return
	}
	ms.leader, ms.leaderEpoch = runID, m.epoch
	m.saveVote()
	m.event(Warning, "+vote-for-leader", &ms.node, runID+" "+itoa(ms.leaderEpoch))
	if runID != m.myID {
		// Whoever leads gets its time before we try.
		ms.failoverStart = m.now() + m.opt.Rand.Int64N(1000)
		ms.retryAt = 0
	}
	m.wake(ms)
}

// startFailoverIfNeeded stands for election when a master is objectively down and nobody else has tried lately.
func (m *Machine) startFailoverIfNeeded(ms *master) {
	if !ms.has(oDown) || ms.has(failoverInProgress) {
		return
	}
	if m.now() < ms.standAt {
		ms.at(ms.standAt)
		return
	}
	if ms.acks > 0 && !m.demotedByMistake(ms) {
		// Who cannot promote need not stand; another one may reach more of the replicas.
		if _, why := m.answers(ms, false); why != "" {
			return
		}
	}
	wait := ms.failoverStart + 2*ms.failoverTimeout
	if ms.failoverStart == 0 {
		wait = 0
	}
	if ms.retryAt != 0 {
		wait = min(wait, ms.retryAt)
	}
	if m.now() < wait {
		ms.at(wait)
		return
	}
	m.startFailover(ms)
}

// startFailover begins an attempt in a new epoch, in which we vote for ourselves. The others are asked once that vote is kept: a
// sentinel that forgot it would stand twice in one epoch, with the votes of the first time.
func (m *Machine) startFailover(ms *master) {
	ms.state, ms.stateSince = waitStart, m.now()
	ms.flags |= failoverInProgress
	m.epoch++
	ms.failoverEpoch = m.epoch
	m.event(Warning, "+new-epoch", &ms.node, itoa(m.epoch))
	try := "+try-failover"
	if ms.has(reaffirming) {
		try = "+try-reaffirm"
	}
	m.eventAt(Warning, try, &ms.node)
	ms.failoverStart = m.now() + m.opt.Rand.Int64N(1000)
	ms.retryAt = 0
	ms.leader, ms.leaderEpoch = m.myID, m.epoch
	ms.ownVote = m.saveVote()
	m.event(Warning, "+vote-for-leader", &ms.node, m.myID+" "+itoa(m.epoch))
	m.wake(ms)
}

// tally counts the votes of the epoch we stand in.
type tally struct {
	ours     int  // for us
	most     int  // for whoever has most
	heard    int  // sentinels that gave their vote, with ourselves
	awaiting bool // someone whose vote is not known may have given it
}

func (m *Machine) count(ms *master) tally {
	var t tally
	votes := map[string]int{}
	if ms.leaderEpoch == ms.failoverEpoch && m.durable >= ms.ownVote {
		votes[ms.leader]++
		t.heard++
	}
	for _, n := range ms.sentinels {
		switch {
		case n.leader != "" && n.leaderEpoch == ms.failoverEpoch:
			votes[n.leader]++
			t.heard++
		case !n.has(sDown):
			// Also one that cannot be reached: it may lead by now. Who was down before this epoch began has no vote in it.
			t.awaiting = true
		}
	}
	for _, v := range votes {
		t.most = max(t.most, v)
	}
	t.ours = votes[m.myID]
	return t
}

// maxTies is how often a tied election is repeated at once before the usual wait of twice the failover timeout.
const maxTies = 10

// electionState waits to be elected.
func (m *Machine) electionState(ms *master) {
	if m.durable < ms.ownVote {
		ms.at(m.now() + 1000)
		return
	}
	forced := ms.has(forceFailover) && !ms.has(coordinated)
	if !forced {
		t := m.count(ms)
		deposed := ms.leaderEpoch != ms.failoverEpoch
		tied := !t.awaiting && t.heard >= ms.needed() && t.most < ms.needed()
		if t.ours < ms.needed() || deposed {
			timeout := min(m.tune.ElectionTimeout, ms.failoverTimeout)
			switch {
			case deposed || m.now()-ms.failoverStart > timeout:
				m.eventAt(Warning, "-failover-abort-not-elected", &ms.node)
				m.abortFailover(ms)
			case tied && ms.ties < maxTies:
				// Everyone has voted and nobody leads: waiting changes nothing, another epoch may.
				ms.ties++
				m.eventAt(Warning, "-failover-abort-not-elected", &ms.node)
				m.abortFailover(ms)
				ms.retryAt = m.now() + 50 + m.opt.Rand.Int64N(500)
				ms.at(ms.retryAt)
			default:
				ms.at(ms.failoverStart + timeout + 1)
			}
			return
		}
	}
	if ms.has(reaffirming) {
		m.reaffirmed(ms)
		return
	}
	m.eventAt(Warning, "+elected-leader", &ms.node)
	if m.simulate&CrashAfterElection != 0 {
		m.crash("crash-after-election")
		return
	}
	m.eventAt(Warning, "+failover-state-select-slave", &ms.node)
	if ms.sealing() && !m.demotedByMistake(ms) {
		m.sealAll(ms)
		return
	}
	m.enter(ms, selectReplica)
	m.hurry(ms)
}

// Failure is a set of simulated failures, as INFO shows them.
type Failure uint8

// The failures of SENTINEL SIMULATE-FAILURE.
const (
	CrashAfterElection Failure = 1 << iota
	CrashAfterPromotion
)

// SimulateFailure makes the process end with status 99 at the points in f.
func (m *Machine) SimulateFailure(f Failure) { m.simulate = f }

func (m *Machine) crash(why string) {
	m.exited = true
	m.emit(Exit{Code: 99, Reason: "Sentinel CRASH because of SENTINEL simulate-failure: " + why})
}

// CheckQuorum answers SENTINEL CKQUORUM: how many sentinels can be used, and what is out of reach with them.
func (m *Machine) CheckQuorum(name string) (usable int, quorum, majority bool, err error) {
	ms := m.find(name)
	if ms == nil {
		return 0, false, false, ErrNoMaster
	}
	usable = ms.usable()
	return usable, usable >= ms.quorum, usable >= ms.majority(), nil
}

// usable counts the sentinels that are up, with ourselves.
func (ms *master) usable() int {
	n := 1
	for _, s := range ms.sentinels {
		if !s.has(sDown | oDown) {
			n++
		}
	}
	return n
}

func quorumText(n, m int) string { return strconv.Itoa(n) + " of " + strconv.Itoa(m) }
