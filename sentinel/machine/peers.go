package machine

import (
	"strconv"
	"strings"
)

// What another sentinel is decides whether a group keeps the promise of picket-sealed: one of Redis, or one of ours that was not told to, promotes a
// replica without sealing. Each is asked once on a connection.

// askPeer asks a sentinel what it is, if any master is sealed.
func (m *Machine) askPeer(c *conn, n *node) {
	n.peerKnown = false
	for _, ms := range m.masters {
		if ms.acks > 0 {
			m.send(c, n, peerAnswer, "INFO")
			return
		}
	}
}

// askPeers asks all of them, after a change of ours.
func (m *Machine) askPeers() {
	for _, ms := range m.masters {
		for _, n := range ms.sentinels {
			if n.commandsUp() && n.link.users[0] == n {
				m.askPeer(n.link.cmd, n)
			}
		}
	}
}

// peerAnswered takes the answer.
func (m *Machine) peerAnswered(l *link, text string) {
	acks, ours := map[string]int{}, false
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if key == "server_name" && value == "picket" {
			ours = true
		}
		if strings.HasPrefix(key, "picket_sealed") {
			if name, n, ok := strings.Cut(strings.TrimPrefix(value, "name="), ",acks="); ok {
				acks[name], _ = strconv.Atoi(n)
			}
		}
	}
	for _, n := range l.users {
		n.peerKnown, n.peerOurs, n.peerAcks = true, ours, acks
	}
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
