package machine

import (
	"slices"
	"strconv"
	"strings"

	"picket/cause"
)

// Gate is something that holds a failover back, or would: an id of the catalogue of causes and what it is about. Text stays as it is while
// the matter is the same; what changes with every second, such as how long there is to wait, is in Rest.
type Gate struct {
	ID         cause.ID
	Text, Rest string
}

func (g Gate) String() string {
	if g.Rest == "" {
		return g.Text
	}
	return g.Text + "; " + g.Rest
}

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
	var g gateList
	now := m.now()
	if m.tilt {
		g.add(cause.SentinelTilt, "the clock jumped or this process stood still", itoa((m.tiltSince+m.tune.TiltPeriod-now+999)/1000)+" s to go")
	}
	if m.saveFailed {
		g.add(cause.SentinelConfigNotSaved, "the configuration file cannot be written, so no vote can be given")
	}
	for _, n := range slices.Concat([]*node{&ms.node}, ms.replicas, ms.sentinels) {
		m.instanceGates(&g, n)
	}
	usable := ms.usable()
	if usable < ms.majority() {
		g.add(cause.SentinelNoMajority, quorumText(usable, ms.voters())+" sentinels can be used, "+strconv.Itoa(ms.majority())+" are needed to elect a leader")
	}
	if usable < ms.quorum {
		g.add(cause.SentinelNoQuorum, quorumText(usable, ms.voters())+" sentinels can be used, the quorum is "+strconv.Itoa(ms.quorum))
	} else if ms.has(sDown) && !ms.has(oDown) {
		agree := 1
		for _, n := range ms.sentinels {
			if n.has(masterDown) {
				agree++
			}
		}
		g.add(cause.SentinelNoQuorum, strconv.Itoa(agree)+" of "+strconv.Itoa(ms.quorum)+" sentinels see the master as down")
	}
	if ms.acks > 0 {
		if _, why := m.answers(ms, false); why != "" && (all || ms.has(sDown)) {
			g.add(cause.SentinelWouldLoseAcknowledged, why)
		}
		g = append(g, m.unsealedPeers(ms)...)
	}
	if (all || ms.has(sDown)) && !ms.has(failoverInProgress) && m.selectReplica(ms) == nil {
		text := "the master has no replica"
		for i, n := range ms.replicas {
			if i == 0 {
				text = ""
			} else {
				text += "; "
			}
			text += n.at() + ": " + m.ineligible(n)
		}
		g.add(cause.SentinelNoGoodReplica, text)
	}
	if ms.coordinatedRefusal != "" {
		g.add(cause.SentinelHandoverRefused, "the master refused FAILOVER: "+ms.coordinatedRefusal)
	}
	m.electionGates(&g, ms)
	return g
}

// gateList gathers what holds a failover back.
type gateList []Gate

func (g *gateList) add(id cause.ID, text string, rest ...string) {
	*g = append(*g, Gate{id, text, strings.Join(rest, "")})
}

// instanceGates is about one server or sentinel.
func (m *Machine) instanceGates(g *gateList, n *node) {
	now := m.now()
	who := n.kind.String() + " " + n.at()
	if n.authRefusal != "" {
		g.add(cause.SentinelWrongPassword, who+" says: "+n.authRefusal)
	}
	if len(n.missing) > 0 {
		g.add(cause.SentinelMissingPermission, who+" does not allow our user: "+strings.Join(n.missing, ", "))
	}
	if n.pingRefusal != "" && n.authRefusal == "" {
		g.add(cause.SentinelPingRefused, who+" answers PING with: "+n.pingRefusal)
	}
	if n.doubt != "" && n.commandsUp() && n.link.cmd.reported && !n.link.cmd.proved {
		g.add(cause.SentinelServerUnproved, who+": "+n.doubt)
	}
	if n.addr.IP == "" {
		g.add(cause.SentinelNameUnresolved, who+": the name cannot be resolved")
	}
	if n.kind == Sentinel && n.unreachable != 0 && now-n.unreachable > 5000 && n.lastHello != 0 && now-n.lastHello < 3*m.tune.PublishPeriod {
		g.add(cause.SentinelPeerUnreachable, "sentinel "+n.runID+" announces "+n.at()+", but nothing can be reached there")
	}
}

// electionGates is about the votes for a leader, and the next attempt.
func (m *Machine) electionGates(g *gateList, ms *master) {
	now := m.now()
	if ms.has(failoverInProgress) && ms.state == waitStart {
		t := m.count(ms)
		g.add(cause.SentinelWaitingForVotes, "we stand for election in epoch "+itoa(ms.failoverEpoch), strconv.Itoa(t.ours)+" of "+strconv.Itoa(ms.needed())+" votes so far")
	}
	if ms.has(oDown) && !ms.has(failoverInProgress) && ms.failoverStart != 0 {
		wait := ms.failoverStart + 2*ms.failoverTimeout
		if ms.retryAt != 0 {
			wait = min(wait, ms.retryAt)
		}
		if wait > now {
			in := itoa((wait-now+999)/1000) + " s"
			if ms.leader != "" && ms.leader != m.myID {
				g.add(cause.SentinelWaitingForLeader, "we voted for "+ms.leader+" in epoch "+itoa(ms.leaderEpoch), "we try ourselves in "+in)
			} else {
				g.add(cause.SentinelWaitingToRetry, "our last attempt did not succeed", "the next one is in "+in)
			}
		}
	}
}

// unsealedPeers lists the sentinels that would promote without sealing.
func (m *Machine) unsealedPeers(ms *master) (g []Gate) {
	for _, n := range ms.sentinels {
		if n.peerKnown && n.peerAcks[ms.name] != ms.acks {
			g = append(g, Gate{ID: cause.SentinelGroupNotSealed, Text: "sentinel " + n.at() + " is " + n.peerText(ms)})
		}
	}
	return g
}

// tellGates reports gates that appeared and those that went. It looks once a second, and tells what it has seen twice: what passes sooner
// holds nothing back.
func (m *Machine) tellGates() {
	if m.now()-m.gatesTold < 1000 {
		return
	}
	m.gatesTold = m.now()
	for _, ms := range m.masters {
		now := m.gates(ms, false)
		var told []Gate
		for _, g := range ms.told {
			if slices.ContainsFunc(now, g.same) {
				told = append(told, g)
			} else {
				m.emit(Held{Gate: Gate{ID: g.ID, Text: g.Text}, Master: ms.name, Over: true})
			}
		}
		for _, g := range now {
			if slices.ContainsFunc(ms.seen, g.same) && !slices.ContainsFunc(told, g.same) {
				told = append(told, g)
				m.emit(Held{Gate: g, Master: ms.name})
			}
		}
		ms.seen, ms.told = now, told
	}
}

// same reports whether two gates are about the same matter.
func (g Gate) same(o Gate) bool { return g.ID == o.ID && g.Text == o.Text }
