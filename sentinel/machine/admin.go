package machine

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Errors of requests by clients; their texts are Redis'.
var (
	ErrInProgress    = errors.New("INPROG Failover already in progress")
	ErrNoGoodReplica = errors.New("NOGOODSLAVE No suitable replica to promote")
)

// Monitor begins to watch a master. A master of that name that was watched before may have had our vote in this epoch, so none is given in it again.
func (m *Machine) Monitor(name, host string, port, quorum int) error {
	ms, err := m.newMaster(name, host, port, quorum)
	if err != nil {
		return err
	}
	ms.leaderEpoch = m.epoch
	m.save()
	m.event(Warning, "+monitor", &ms.node, m.details(&ms.node)+" quorum "+strconv.Itoa(quorum))
	return nil
}

// Remove ends the watch over a master.
func (m *Machine) Remove(name string) error {
	ms := m.find(name)
	if ms == nil {
		return ErrNoMaster
	}
	m.eventAt(Warning, "-monitor", &ms.node)
	for _, n := range ms.replicas {
		m.leave(n)
	}
	for _, n := range ms.sentinels {
		m.leave(n)
	}
	m.leave(&ms.node)
	delete(m.byName, name)
	m.masters = slices.DeleteFunc(m.masters, func(o *master) bool { return o == ms })
	m.emit(Drop{Master: name})
	m.save()
	return nil
}

// Reset forgets what was learnt about the masters whose names match: replicas, sentinels, failovers. It returns how many did.
func (m *Machine) Reset(pattern string) int {
	count := 0
	for _, ms := range m.masters {
		if Match(pattern, ms.name) {
			m.resetMaster(ms, true)
			ms.leader = ""
			m.eventAt(Warning, "+reset-master", &ms.node)
			count++
		}
	}
	return count
}

// Failover starts a failover by hand: without an agreement that the master is down. A coordinated one is led by an elected sentinel and
// lets the living master hand over by its own FAILOVER command, so that no write is lost.
func (m *Machine) Failover(name string, coordinate bool) error {
	ms := m.find(name)
	switch {
	case ms == nil:
		return ErrNoMaster
	case ms.has(failoverInProgress):
		return ErrInProgress
	case m.selectReplica(ms) == nil:
		return ErrNoGoodReplica
	}
	if coordinate && ms.acks > 0 {
		if _, why := m.answers(ms, false); why != "" {
			return fmt.Errorf("%w: %s", ErrNoGoodReplica, why)
		}
	}
	ms.flags |= forceFailover
	if coordinate {
		ms.flags |= coordinated
		ms.coordinatedRefusal = ""
	}
	m.startFailover(ms)
	return nil
}

// Flush asks for the state to be written.
func (m *Machine) Flush() { m.save() }

// CurrentAddr is where a master's clients should go.
func (m *Machine) CurrentAddr(name string) (host string, port int, ok bool) {
	ms := m.find(name)
	if ms == nil {
		return "", 0, false
	}
	a := ms.currentAddr()
	return m.show(a), a.Port, true
}

// reconnectServers makes all connections to a master and its replicas anew, after a change of the password.
func (m *Machine) reconnectServers(ms *master) {
	again := func(n *node) {
		m.closeLink(n.link)
		n.link.cmdTried, n.link.subTried = 0, 0
		n.tried, n.authRefusal, n.missing = false, "", nil
	}
	again(&ms.node)
	for _, n := range ms.replicas {
		again(n)
	}
}

// Settings returns the options that are not about one master.
func (m *Machine) Settings() Settings { return m.set }

// SetSettings changes them, unless one of them cannot stand in the configuration file. Where the user or password for other sentinels changes, the connections to all of them are made anew.
func (m *Machine) SetSettings(s Settings) error {
	if err := s.Check(); err != nil {
		return err
	}
	login := s.SentinelUser != m.set.SentinelUser || s.SentinelPass != m.set.SentinelPass
	m.set = s
	if login {
		m.reconnectSentinels()
	}
	m.save()
	return nil
}

// SetPassword tells this sentinel's own password, which others are shown where sentinel-pass is not set.
func (m *Machine) SetPassword(p string) {
	if p != m.opt.Password {
		m.opt.Password = p
	}
}

func (m *Machine) reconnectSentinels() {
	for _, ms := range m.masters {
		for _, n := range ms.sentinels {
			m.closeLink(n.link)
			n.link.cmdTried = 0
			n.authRefusal = ""
		}
		m.wake(ms)
	}
}

// Tunables returns the times of SENTINEL DEBUG.
func (m *Machine) Tunables() Tunables { return m.tune }

// SetTunables changes them.
func (m *Machine) SetTunables(t Tunables) {
	m.tune = t
	for _, ms := range m.masters {
		m.wake(ms)
	}
}
