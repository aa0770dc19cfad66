package machine

import (
	"cmp"
	"errors"
	"fmt"
)

// Settings are the options that are not about one master.
type Settings struct {
	AnnounceIP          string
	AnnouncePort        int
	ResolveHostnames    bool
	AnnounceHostnames   bool
	DenyScriptsReconfig bool
	SentinelUser        string
	SentinelPass        string
}

// Check refuses settings that cannot stand in the configuration file, or that no other sentinel could read in our hello messages.
func (s *Settings) Check() error {
	if s.AnnounceIP != "" && !ValidHost(s.AnnounceIP) {
		return fmt.Errorf("Invalid announce-ip %q: an IP address or a host name is needed, without spaces, commas and control characters", s.AnnounceIP) //nolint:staticcheck // as other errors of clients
	}
	return cmp.Or(CheckText(s.SentinelUser), CheckText(s.SentinelPass))
}

// State is all that is kept in the configuration file.
type State struct {
	MyID         string
	CurrentEpoch int64
	Settings
	Masters []MasterState
}

// MasterState is what is kept of one master. Times are in milliseconds; 0 in DownAfter, FailoverTimeout and ParallelSyncs stands
// for the default.
type MasterState struct {
	Name               string
	Host               string
	Port               int
	Quorum             int
	DownAfter          int64
	FailoverTimeout    int64
	ParallelSyncs      int
	NotificationScript string
	ReconfigScript     string
	AuthUser, AuthPass string
	RebootDownAfter    int64
	RefusedDown        int64 // a master is down once its machine has refused connections for so long; 0: that alone says nothing
	Sealed             int   // how many replicas acknowledge what must not be lost in a promotion; 0: not sealed
	Adopt              bool  // whatever answers at the known addresses is taken for what was there before
	ConfigEpoch        int64
	LeaderEpoch        int64
	Replicas           []HostPort
	Sentinels          []PeerState
	Renames            []Rename
}

// HostPort is where a replica is.
type HostPort struct {
	Host string
	Port int
}

// PeerState is another sentinel.
type PeerState struct {
	Host  string
	Port  int
	RunID string
}

// Rename says that the servers know a command by another name.
type Rename struct{ Old, New string }

// Errors of making a master.
var (
	ErrQuorum    = errors.New("Quorum must be 1 or greater.")                                           //nolint:staticcheck // Redis' text, shown to clients
	ErrHost      = errors.New("Invalid IP address or hostname specified")                               //nolint:staticcheck // as above
	ErrDuplicate = errors.New("Duplicate master name.")                                                 //nolint:staticcheck // as above
	ErrPort      = errors.New("Invalid port number.")                                                   //nolint:staticcheck // as above
	ErrNoMaster  = errors.New("No such master with that name")                                          //nolint:staticcheck // as above
	ErrName      = errors.New("Invalid master name: no space, comma or control character may be in it") //nolint:staticcheck // as above
)

// newMaster makes a master without telling anyone.
func (m *Machine) newMaster(name, host string, port, quorum int) (*master, error) {
	switch {
	case quorum <= 0:
		return nil, ErrQuorum
	case port < 0 || port > 65535:
		return nil, ErrPort
	case m.byName[name] != nil:
		return nil, ErrDuplicate
	case !ValidName(name):
		return nil, ErrName
	}
	a, ok := m.addr(host, port)
	if !ok {
		return nil, ErrHost
	}
	ms := &master{quorum: quorum, failoverTimeout: m.tune.DefaultFailoverTimeout, parallelSyncs: 1, breaksBefore: map[string]int{}}
	ms.node = node{kind: Master, name: name, addr: a, master: ms}
	ms.downAfter = m.tune.DefaultDownAfter
	m.initNode(&ms.node)
	m.masters = append(m.masters, ms)
	m.byName[name] = ms
	return ms, nil
}

func (m *Machine) restore(s MasterState) error {
	ms, err := m.newMaster(s.Name, s.Host, s.Port, s.Quorum)
	if err != nil {
		return fmt.Errorf("master %q: %w", s.Name, err)
	}
	if s.DownAfter > 0 {
		ms.downAfter = s.DownAfter
	}
	if s.FailoverTimeout > 0 {
		ms.failoverTimeout = s.FailoverTimeout
	}
	if s.ParallelSyncs > 0 {
		ms.parallelSyncs = s.ParallelSyncs
	}
	ms.notificationScript, ms.reconfigScriptPath = s.NotificationScript, s.ReconfigScript
	ms.authUser, ms.authPass = s.AuthUser, s.AuthPass
	ms.rebootDownAfter, ms.adopt, ms.acks, ms.refusedDown = s.RebootDownAfter, s.Adopt, s.Sealed, s.RefusedDown
	ms.configEpoch, ms.leaderEpoch = s.ConfigEpoch, s.LeaderEpoch
	ms.renames = append([]Rename(nil), s.Renames...)
	m.epoch = max(m.epoch, s.ConfigEpoch)
	for _, r := range s.Replicas {
		a, ok := m.addr(r.Host, r.Port)
		if !ok {
			return fmt.Errorf("master %q: replica %s: %w", s.Name, hostPort(r.Host, r.Port), ErrHost)
		}
		m.addReplica(ms, a)
	}
	for _, p := range s.Sentinels {
		if p.RunID == m.myID {
			continue // a copied configuration file: we do not know ourselves
		}
		a, ok := m.addr(p.Host, p.Port)
		if !ok {
			return fmt.Errorf("master %q: sentinel %s: %w", s.Name, hostPort(p.Host, p.Port), ErrHost)
		}
		m.addSentinel(ms, a, p.RunID)
	}
	ms.breaks++ // what happened to its data while we were away is not known
	return nil
}

// kept is the host as it is kept: a name where names can be read again, since an address would be another one's after the next restart.
func (m *Machine) kept(a Addr) string {
	if m.set.ResolveHostnames {
		return a.Host
	}
	return a.best()
}

// State returns what is to be kept.
func (m *Machine) State() State {
	s := State{MyID: m.myID, CurrentEpoch: m.epoch, Settings: m.set, Masters: make([]MasterState, 0, len(m.masters))}
	for _, ms := range m.masters {
		a := ms.currentAddr()
		st := MasterState{
			Name: ms.name, Host: m.kept(a), Port: a.Port, Quorum: ms.quorum,
			DownAfter: ms.downAfter, FailoverTimeout: ms.failoverTimeout, ParallelSyncs: ms.parallelSyncs,
			NotificationScript: ms.notificationScript, ReconfigScript: ms.reconfigScriptPath, AuthUser: ms.authUser, AuthPass: ms.authPass,
			RebootDownAfter: ms.rebootDownAfter, Adopt: ms.adopt, Sealed: ms.acks, RefusedDown: ms.refusedDown, ConfigEpoch: ms.configEpoch, LeaderEpoch: ms.leaderEpoch,
			Renames: append([]Rename(nil), ms.renames...),
		}
		for _, r := range ms.replicas {
			ra := r.addr
			if ra.same(a) {
				ra = ms.addr // the promoted replica is written as the master, so the old master takes its place
			}
			st.Replicas = append(st.Replicas, HostPort{m.kept(ra), ra.Port})
		}
		for _, p := range ms.sentinels {
			if p.runID != "" {
				st.Sentinels = append(st.Sentinels, PeerState{m.kept(p.addr), p.addr.Port, p.runID})
			}
		}
		s.Masters = append(s.Masters, st)
	}
	return s
}
