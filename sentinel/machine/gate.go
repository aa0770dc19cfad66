package machine

import (
	"slices"
	"strconv"
	"strings"
)

// Gate is something that holds a failover back, or would: an id of the catalogue of causes and what it is about.
type Gate struct{ ID, Text string }

// The gates.
const (
	GateNoQuorum          = "sentinel-no-quorum"
	GateNoMajority        = "sentinel-no-majority"
	GateNoGoodReplica     = "sentinel-no-good-replica"
	GateOtherLeader       = "sentinel-waiting-for-leader"
	GateRetryWait         = "sentinel-waiting-to-retry"
	GateVotes             = "sentinel-waiting-for-votes"
	GateTilt              = "sentinel-tilt"
	GateWrongPassword     = "sentinel-wrong-password"
	GateMissingPermission = "sentinel-missing-permission"
	GatePeerUnreachable   = "sentinel-peer-unreachable"
	GatePingRefused       = "sentinel-ping-refused"
	GateNotSaved          = "sentinel-config-not-saved"
	GateUnresolved        = "sentinel-name-unresolved"
	GateHandOverRefused   = "sentinel-handover-refused"
)

// Gates lists what would hold back a failover of a master now. Nothing of it needs the master to be down.
func (m *Machine) Gates(name string) []Gate {
	ms := m.find(name)
	if ms == nil {
		return nil
	}
	return m.gates(ms, true)
}

// gates with all also lists what only matters once the master is down.
func (m *Machine) gates(ms *master, all bool) []Gate {
	var g []Gate
	add := func(id, text string) { g = append(g, Gate{id, text}) }
	now := m.now()
	if m.tilt {
		add(GateTilt, "the clock jumped or this process stood still; "+itoa((m.tiltSince+m.tune.TiltPeriod-now+999)/1000)+" s to go")
	}
	if m.saveFailed {
		add(GateNotSaved, "the configuration file cannot be written, so no vote can be given")
	}
	for _, n := range slices.Concat([]*node{&ms.node}, ms.replicas, ms.sentinels) {
		who := n.kind.String() + " " + n.at()
		if n.authRefusal != "" {
			add(GateWrongPassword, who+" says: "+n.authRefusal)
		}
		if len(n.missing) > 0 {
			add(GateMissingPermission, who+" does not allow our user: "+strings.Join(n.missing, ", "))
		}
		if n.pingRefusal != "" && n.authRefusal == "" {
			add(GatePingRefused, who+" answers PING with: "+n.pingRefusal)
		}
		if n.addr.IP == "" {
			add(GateUnresolved, who+": the name cannot be resolved")
		}
		if n.kind == Sentinel && n.unreachable != 0 && now-n.unreachable > 5000 && n.lastHello != 0 && now-n.lastHello < 3*m.tune.PublishPeriod {
			add(GatePeerUnreachable, "sentinel "+n.runID+" announces "+n.at()+", but nothing can be reached there")
		}
	}
	usable := ms.usable()
	if usable < ms.majority() {
		add(GateNoMajority, quorumText(usable, ms.voters())+" sentinels can be used, "+strconv.Itoa(ms.majority())+" are needed to elect a leader")
	}
	if usable < ms.quorum {
		add(GateNoQuorum, quorumText(usable, ms.voters())+" sentinels can be used, the quorum is "+strconv.Itoa(ms.quorum))
	} else if ms.has(sDown) && !ms.has(oDown) {
		agree := 1
		for _, n := range ms.sentinels {
			if n.has(masterDown) {
				agree++
			}
		}
		add(GateNoQuorum, strconv.Itoa(agree)+" of "+strconv.Itoa(ms.quorum)+" sentinels see the master as down")
	}
	if (all || ms.has(sDown)) && !ms.has(failoverInProgress) && m.selectReplica(ms) == nil {
		text := "the master has no replica"
		for i, n := range ms.replicas {
			if i == 0 {
				text = ""
			} else {
				text += "; "
			}
			text += n.at() + ": " + m.leftOut(n)
		}
		add(GateNoGoodReplica, text)
	}
	if ms.coordinatedRefusal != "" {
		add(GateHandOverRefused, "the master refused FAILOVER: "+ms.coordinatedRefusal)
	}
	if ms.has(failoverInProgress) && ms.state == waitStart {
		t := m.count(ms)
		add(GateVotes, strconv.Itoa(t.ours)+" of "+strconv.Itoa(ms.needed())+" votes so far in epoch "+itoa(ms.failoverEpoch))
	}
	if ms.has(oDown) && !ms.has(failoverInProgress) && ms.failoverStart != 0 {
		wait := ms.failoverStart + 2*ms.failoverTimeout
		if ms.retryAt != 0 {
			wait = min(wait, ms.retryAt)
		}
		if wait > now {
			in := itoa((wait-now+999)/1000) + " s"
			if ms.leader != "" && ms.leader != m.myID {
				add(GateOtherLeader, "we voted for "+ms.leader+" in epoch "+itoa(ms.leaderEpoch)+"; we try ourselves in "+in)
			} else {
				add(GateRetryWait, "our last attempt did not succeed; the next one is in "+in)
			}
		}
	}
	return g
}

// tellGates reports gates that appeared and those that went, at most once a second: what passes in milliseconds holds nothing back.
func (m *Machine) tellGates() {
	if m.now()-m.gatesTold < 1000 {
		return
	}
	m.gatesTold = m.now()
	for _, ms := range m.masters {
		g := m.gates(ms, false)
		for i, x := range g {
			key := ms.name + " " + x.ID
			if _, ok := m.logged[key]; !ok && !slices.ContainsFunc(g[:i], func(o Gate) bool { return o.ID == x.ID }) {
				m.logged[key] = x.Text
				m.emit(Held{Gate: x, Master: ms.name})
			}
		}
		for _, id := range allGates {
			key := ms.name + " " + id
			text, ok := m.logged[key]
			if ok && !slices.ContainsFunc(g, func(x Gate) bool { return x.ID == id }) {
				delete(m.logged, key)
				m.emit(Held{Gate: Gate{id, text}, Master: ms.name, Over: true})
			}
		}
	}
}

var allGates = []string{
	GateNoQuorum, GateNoMajority, GateNoGoodReplica, GateOtherLeader, GateRetryWait, GateVotes, GateTilt, GateWrongPassword,
	GateMissingPermission, GatePeerUnreachable, GatePingRefused, GateNotSaved, GateUnresolved, GateHandOverRefused,
}
