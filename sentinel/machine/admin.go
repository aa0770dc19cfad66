package machine

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
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

// Set applies SENTINEL SET's options from left to right. An error ends it; what was applied before stays.
func (m *Machine) Set(name string, args []string) error {
	ms := m.find(name)
	if ms == nil {
		return ErrNoMaster
	}
	changed := false
	defer func() {
		if changed {
			m.save()
			m.wake(ms)
		}
	}()
	for len(args) > 0 {
		n, err := m.setOne(ms, args)
		if err != nil {
			return err
		}
		changed = true
		shown := strings.Join(args[1:n], " ")
		if strings.EqualFold(args[0], "auth-pass") {
			shown = "******"
		}
		m.event(Warning, "+set", &ms.node, m.details(&ms.node)+" "+args[0]+" "+shown)
		args = args[n:]
	}
	return nil
}

// setOne applies the first option and returns how many words it took.
func (m *Machine) setOne(ms *master, args []string) (int, error) {
	option := strings.ToLower(args[0])
	if len(args) < 2 || option == "rename-command" && len(args) < 3 {
		return 0, fmt.Errorf("Unknown option or number of arguments for SENTINEL SET '%s'", args[0]) //nolint:staticcheck // Redis' text
	}
	value := args[1]
	invalid := fmt.Errorf("Invalid argument '%s' for SENTINEL SET '%s'", value, args[0]) //nolint:staticcheck // Redis' text
	number, err := strconv.ParseInt(value, 10, 32)
	switch option {
	case "down-after-milliseconds":
		if err != nil || number <= 0 {
			return 0, invalid
		}
		ms.downAfter = number
		for _, n := range ms.replicas {
			n.downAfter = number
		}
		for _, n := range ms.sentinels {
			n.downAfter = number
		}
	case "failover-timeout":
		if err != nil || number <= 0 {
			return 0, invalid
		}
		ms.failoverTimeout = number
	case "parallel-syncs":
		if err != nil || number <= 0 {
			return 0, invalid
		}
		ms.parallelSyncs = int(number)
	case "quorum":
		if err != nil || number <= 0 {
			return 0, invalid
		}
		ms.quorum = int(number)
	case "master-reboot-down-after-period", "primary-reboot-down-after-period":
		if err != nil || number < 0 {
			return 0, invalid
		}
		ms.rebootDownAfter = number
	case "picket-refused-down":
		if err != nil || number < 0 {
			return 0, invalid
		}
		ms.refusedDown = number
	case "picket-sealed":
		if err != nil || number < 0 {
			return 0, invalid
		}
		ms.acks = int(number)
		m.askPeers()
		m.askAll(ms)
	case "picket-adopt":
		yes := strings.EqualFold(value, "yes")
		if !yes && !strings.EqualFold(value, "no") {
			return 0, invalid
		}
		ms.adopt = yes
		m.askAll(ms)
	case "notification-script", "client-reconfig-script":
		what, field := "Notification", &ms.notificationScript
		if option == "client-reconfig-script" {
			what, field = "Client reconfiguration", &ms.reconfigScriptPath
		}
		if m.set.DenyScriptsReconfig {
			return 0, errors.New("Reconfiguration of scripts path is denied for security reasons. Check the deny-scripts-reconfig configuration directive in your Sentinel configuration") //nolint:staticcheck // Redis' text
		}
		if value != "" && m.opt.Executable != nil && !m.opt.Executable(value) {
			return 0, fmt.Errorf("%s script seems non existing or non executable", what)
		}
		*field = value
	case "auth-pass":
		ms.authPass = value
		m.reconnectServers(ms)
	case "auth-user":
		ms.authUser = value
		m.reconnectServers(ms)
	case "rename-command":
		if value == "" || args[2] == "" {
			return 0, invalid
		}
		ms.renames = slices.DeleteFunc(ms.renames, func(r Rename) bool { return strings.EqualFold(r.Old, value) })
		if !strings.EqualFold(value, args[2]) {
			ms.renames = append(ms.renames, Rename{value, args[2]})
		}
		return 3, nil
	default:
		return 0, fmt.Errorf("Unknown option or number of arguments for SENTINEL SET '%s'", args[0]) //nolint:staticcheck // Redis' text
	}
	return 2, nil
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

// SetSettings changes them. Where the user or password for other sentinels changes, the connections to all of them are made anew.
func (m *Machine) SetSettings(s Settings) {
	login := s.SentinelUser != m.set.SentinelUser || s.SentinelPass != m.set.SentinelPass
	m.set = s
	if login {
		m.reconnectSentinels()
	}
	m.save()
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
