package machine

import (
	"slices"
	"strconv"
	"strings"
)

// sendHello publishes who we are and where we see the master.
func (m *Machine) sendHello(n *node) {
	ip := m.set.AnnounceIP
	if ip == "" {
		ip = n.localIP()
	}
	port := m.set.AnnouncePort
	if port == 0 {
		port = m.opt.Port
	}
	ms := n.master
	a := ms.currentAddr()
	msg := strings.Join([]string{
		ip, strconv.Itoa(port), m.myID, itoa(m.epoch), ms.name, m.show(a), strconv.Itoa(a.Port), itoa(ms.configEpoch),
	}, ",")
	n.forceHello = false
	n.publishSent = m.now()
	m.send(n.link.cmd, n, publishAnswer, "PUBLISH", hello, msg)
}

// Hello takes a message of the hello channel, heard from a server or published to us by another sentinel. What is not a hello, or is about
// a master that we do not watch, changes nothing and gives false.
func (m *Machine) Hello(msg string) (taken bool) {
	f := strings.Split(msg, ",")
	if len(f) != 8 {
		return false
	}
	ms := m.find(f[4])
	port, err1 := strconv.Atoi(f[1])
	epoch, err2 := strconv.ParseInt(f[3], 10, 64)
	masterPort, err3 := strconv.Atoi(f[6])
	configEpoch, err4 := strconv.ParseInt(f[7], 10, 64)
	runID := f[2]
	if ms == nil || err1 != nil || err2 != nil || err3 != nil || err4 != nil || runID == m.myID ||
		!validRunID(runID) || port <= 0 || port > 65535 || masterPort <= 0 || masterPort > 65535 || !m.credible(epoch) || !m.credible(configEpoch) {
		return false
	}
	// Its address first.
	a, ok := m.addr(f[0], port)
	var from *node
	if ok {
		from = m.meet(ms, a, runID)
	}
	// Then its epoch.
	if epoch > m.epoch {
		m.epoch = epoch
		m.saveVote()
		m.event(Warning, "+new-epoch", &ms.node, itoa(epoch))
	}
	// Then its view of the master, if that is newer.
	if from != nil {
		from.lastHello, from.helloEpoch, from.helloConfig = m.now(), epoch, configEpoch
		if to, ok := m.addr(f[5], masterPort); ok {
			m.learn(ms, from, to, configEpoch)
		}
	}
	return true
}

// maxLeap is how far ahead of ours an epoch may be. Each attempt takes the next one, so that no group ever gets there; but a single message could
// take us to the last number there is, after which nobody could be elected any more.
const maxLeap = 1 << 32

func (m *Machine) credible(epoch int64) bool { return epoch >= 0 && epoch-m.epoch <= maxLeap }

// meet finds the sentinel that a hello came from, or adds it. One that moved takes its id along; one that has the address of
// another takes its place.
func (m *Machine) meet(ms *master, a Addr, runID string) *node {
	for _, n := range ms.sentinels {
		if n.runID == runID && n.addr.same(a) {
			return n
		}
	}
	moved := false
	for _, n := range slices.Clone(ms.sentinels) {
		if n.runID == runID {
			m.removeSentinel(n)
			moved = true
		}
	}
	if moved {
		m.event(Notice, "+sentinel-address-switch", &ms.node, m.details(&ms.node)+" ip "+m.show(a)+" port "+strconv.Itoa(a.Port)+" for "+runID)
	} else {
		for _, n := range ms.sentinels {
			if n.addr.same(a) {
				m.eventAt(Notice, "+sentinel-invalid-addr", n)
				m.forget(n.runID)
				break
			}
		}
	}
	n := m.addSentinel(ms, a, runID)
	if !moved {
		m.eventAt(Notice, "+sentinel", n)
	} else {
		m.updateEverywhere(n)
	}
	m.save()
	return n
}

func (m *Machine) addSentinel(ms *master, a Addr, runID string) *node {
	n := m.newNode(ms, Sentinel, runID, a)
	n.runID = runID
	if runID == "" {
		n.name = hostPort(m.show(a), a.Port)
	}
	ms.sentinels = append(ms.sentinels, n)
	m.share(n)
	m.wake(ms)
	return n
}

func (m *Machine) removeSentinel(n *node) {
	ms := n.master
	ms.sentinels = slices.DeleteFunc(ms.sentinels, func(o *node) bool { return o == n })
	m.leave(n)
}

// forget removes a sentinel under all masters.
func (m *Machine) forget(runID string) {
	for _, ms := range m.masters {
		for _, n := range slices.Clone(ms.sentinels) {
			if n.runID == runID {
				m.removeSentinel(n)
			}
		}
	}
}

// updateEverywhere gives a sentinel's new address to all masters that know it.
func (m *Machine) updateEverywhere(n *node) {
	updated := 0
	for _, ms := range m.masters {
		for _, o := range ms.sentinels {
			if o != n && o.runID == n.runID && !o.addr.same(n.addr) {
				o.addr = n.addr
				m.closeLink(o.link)
				o.link.cmdTried = 0
				m.wake(ms)
				updated++
			}
		}
	}
	if updated > 0 {
		m.event(Notice, "+sentinel-address-update", n, m.details(n)+" "+strconv.Itoa(updated)+" additional matching instances")
	}
}

// learn takes over a newer configuration of a master.
func (m *Machine) learn(ms *master, from *node, to Addr, epoch int64) {
	if epoch == ms.configEpoch && epoch > 0 && ms.state == noFailover && !to.same(ms.currentAddr()) && m.myID < from.runID {
		// Two configurations of one epoch: a failover forced by hand knows no votes. One of the two sides, always the same, takes
		// another epoch, which then wins everywhere; otherwise both would stand for ever.
		m.epoch++
		ms.configEpoch = m.epoch
		m.saveVote()
		m.event(Warning, "+new-epoch", &ms.node, itoa(m.epoch))
		m.forceHellos(ms)
		m.wake(ms)
		return
	}
	if epoch <= ms.configEpoch {
		return
	}
	ms.configEpoch = epoch
	m.epoch = max(m.epoch, epoch)
	if to.same(ms.addr) {
		if ms.has(failoverInProgress) && ms.failoverEpoch < epoch {
			// A failover of ours that did not get to its end is overtaken: others have since made a master of the one that it was
			// to replace. Redis goes on, and announces its own promoted replica under the newer epoch: two masters in one.
			m.eventAt(Warning, "+config-update-from", from)
			m.abortFailover(ms)
			m.wake(ms)
		}
		if ms.acks > 0 {
			ms.failoverStart, ms.retryAt = 0, 0 // the attempt that we voted for has come to its end: see reaffirm
		}
		m.saveVote()
		return
	}
	m.eventAt(Warning, "+config-update-from", from)
	m.event(Warning, "+switch-master", &ms.node, m.switchText(ms, to))
	m.reconfigScript(ms, "observer", ms.addr, to)
	m.changeAddress(ms, to)
	m.voteSeq = m.saveSeq
	if ms.acks > 0 {
		m.forceHellos(ms) // the leader waits to hear that most of us know it
	}
}
