package machine

import (
	"slices"
	"strconv"
	"strings"
)

// What another sentinel is decides whether a group keeps the promise of picket-sealed: one of Redis, or one of ours that was not told to, promotes a
// replica without sealing. Each is asked on a new connection, and again when its configuration must be known to be the one that we have: see confirmed.

// PeerInfo is what a sentinel tells others about its sealed masters in its answer to INFO.
func (m *Machine) PeerInfo() (lines []string) {
	for i, ms := range m.masters {
		if ms.acks > 0 {
			at := strconv.Itoa(i) + ":name=" + ms.name
			lines = append(lines, "picket_sealed"+at+",acks="+strconv.Itoa(ms.acks), "picket_config"+at+",epoch="+itoa(ms.configEpoch)+",voted="+itoa(ms.leaderEpoch))
		}
	}
	return lines
}

// askPeer asks a sentinel what it is, if any master is sealed.
func (m *Machine) askPeer(c *conn, n *node) {
	if c.link.peerAsked == 0 && slices.ContainsFunc(m.masters, func(ms *master) bool { return ms.acks > 0 }) {
		c.link.peerAsked = m.now()
		m.send(c, n, peerAnswer, "INFO")
	}
}

// askPeers asks all of them, after a change of ours.
func (m *Machine) askPeers() {
	for _, ms := range m.masters {
		for _, n := range ms.sentinels {
			if n.commandsUp() && n.link.users[0] == n {
				n.peerKnown = false
				m.askPeer(n.link.cmd, n)
			}
		}
	}
}

// peerAnswered takes the answer.
func (m *Machine) peerAnswered(l *link, text string) {
	acks, configs, ours := map[string]int{}, map[string]peerConfig{}, false
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if key == "server_name" && value == "picket" {
			ours = true
		}
		if strings.HasPrefix(key, "picket_sealed") {
			if name, n, ok := strings.Cut(strings.TrimPrefix(value, "name="), ",acks="); ok {
				acks[name], _ = strconv.Atoi(n)
			}
		} else if strings.HasPrefix(key, "picket_config") {
			if name, numbers, ok := strings.Cut(strings.TrimPrefix(value, "name="), ",epoch="); ok {
				epoch, voted, _ := strings.Cut(numbers, ",voted=")
				var c peerConfig
				c.epoch, _ = strconv.ParseInt(epoch, 10, 64)
				c.voted, _ = strconv.ParseInt(voted, 10, 64)
				configs[name] = c
			}
		}
	}
	l.peerAsOf, l.peerAsked = l.peerAsked, 0
	for _, n := range l.users {
		n.peerKnown, n.peerOurs, n.peerAcks, n.peerConfigs = true, ours, acks, configs
		if n.master.confirming {
			n.master.confirming = false
			m.hurry(n.master)
		}
	}
}

// confirmRecent is how old, in milliseconds, a majority's word may be that nothing newer is known than what we know.
const confirmRecent = 3000

// peerConfig is what another sentinel knows of a master: the epoch of its configuration, and the one in which it last voted.
type peerConfig struct{ epoch, voted int64 }

// confirmed reports whether a sealed master may be given a replica outside of a failover of ours: most of the sentinels said a moment ago that they know the
// same configuration as we do, and have elected nobody since. One that was away may take a master of the past for the present one; with a replica, that would
// acknowledge again. If it is not known, the others are asked, and all servers once they have answered, which brings us back here. A sentinel of Redis
// promises nothing and is not asked.
func (m *Machine) confirmed(ms *master) bool {
	if ms.acks == 0 {
		return true
	}
	same, settled := 0, 0
	count := func(c peerConfig) {
		if c.epoch == ms.configEpoch {
			same++
			if c.voted <= c.epoch {
				settled++
			}
		}
	}
	count(peerConfig{ms.configEpoch, ms.leaderEpoch})
	for _, n := range ms.sentinels {
		switch {
		case n.peerKnown && !n.peerOurs:
			count(peerConfig{epoch: ms.configEpoch})
		case n.peerKnown && n.link.peerAsOf != 0 && m.now()-n.link.peerAsOf < confirmRecent:
			count(n.peerConfigs[ms.name])
		case n.commandsUp():
			m.askPeer(n.link.cmd, n)
		}
	}
	ms.confirming = same < ms.majority()
	if !ms.confirming && settled < ms.majority() {
		m.reaffirm(ms)
	}
	return settled >= ms.majority()
}

// reaffirm stands for an election after which the master is what it is, under a new epoch. Somebody may have been elected since its configuration was made, have
// promoted a replica, and been cut off before anybody heard of it: as soon as it is heard, its configuration would win, and what the present master has
// acknowledged meanwhile would be lost. A newer epoch, which most have voted for, wins over that. Whoever leads an attempt is given foreignSeal for it first.
func (m *Machine) reaffirm(ms *master) {
	if ms.has(failoverInProgress) || ms.failoverStart != 0 && m.now()-ms.failoverStart <= foreignSeal {
		return
	}
	ms.flags |= reaffirming
	m.startFailover(ms)
}

// reaffirmed ends it.
func (m *Machine) reaffirmed(ms *master) {
	if !m.looksSane(ms) {
		m.abortFailover(ms)
		return
	}
	ms.configEpoch = ms.failoverEpoch
	m.eventAt(Notice, "+reaffirmed", &ms.node)
	m.saveVote()
	m.abortFailover(ms)
	ms.failoverStart = 0 // should it fail now, nobody has to wait
	m.forceHellos(ms)
	m.wake(ms)
}

// spread reports whether most of the sentinels have kept the configuration that a failover of ours has made. Before that a sealed one gives the promoted
// replica no others, so that nothing is acknowledged there which a sentinel that has not heard of it could undo.
func (m *Machine) spread(ms *master) bool {
	if !ms.keeps() {
		return true
	}
	if !m.told() {
		return false
	}
	know := 1
	for _, n := range ms.sentinels {
		if n.helloConfig >= ms.configEpoch || n.peerKnown && !n.peerOurs {
			know++
		}
	}
	return know >= ms.majority()
}

// peerText says what a sentinel that does not seal is.
func (n *node) peerText(ms *master) string {
	switch {
	case !n.peerOurs:
		return "one of Redis, which promotes a replica without asking what the others have"
	case n.peerAcks[ms.name] == 0:
		return "not told to seal: it lacks picket-sealed " + ms.name + " " + strconv.Itoa(ms.acks)
	}
	return "told picket-sealed " + ms.name + " " + strconv.Itoa(n.peerAcks[ms.name]) + ", and this one " + strconv.Itoa(ms.acks)
}
