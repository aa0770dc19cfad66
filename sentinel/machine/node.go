package machine

import (
	"strconv"
	"strings"
)

// Kind is what an instance is.
type Kind uint8

// The kinds of instances.
const (
	Master Kind = iota
	Replica
	Sentinel
)

func (k Kind) String() string { return [...]string{"master", "slave", "sentinel"}[k] }

// flags of an instance, in the order in which they are shown.
type flags uint16

const (
	sDown flags = 1 << iota
	oDown
	masterDown // a sentinel told us that it sees the master down
	failoverInProgress
	promoted
	reconfSent
	reconfInProgress
	reconfDone
	forceFailover
	scriptKillSent
	masterReboot
	coordinated // a forced failover with an election and the data node's own FAILOVER
	reaffirming // an election after which the master stays what it is, see reaffirm
)

// node is one watched instance: a master, a replica of one, or another sentinel that watches one.
type node struct {
	kind   Kind
	name   string // replica: addr:port; sentinel: its run id
	runID  string // empty until INFO or a hello gave it
	addr   Addr
	master *master
	link   *link
	// provedRun is the run id under which it was last proved to be the one that is meant, doubt why it is not now. See identify.
	provedRun, doubt string
	flags            flags
	gone             bool // removed: replies that are still under way are not for it

	downAfter   int64
	sDownSince  int64
	oDownSince  int64
	lastPublish int64 // last accepted hello of ours
	publishSent int64 // last hello sent
	lastHello   int64 // last hello heard from it (sentinels)
	forceHello  bool

	// Servers: what INFO said.
	info          string
	infoAt        int64 // when INFO last came, 0: never
	infoSent      int64
	infoPending   int
	infoWanted    bool // ask again now
	roleReported  Kind
	roleSince     int64
	confChangedAt int64 // when the master it follows last changed
	masterHost    string
	masterPort    int
	masterLinkUp  bool
	replIDs       [2]string
	secondOffset  int64 // how far it continues the history of replIDs[1]
	replSince     int64 // when replIDs[0] was first seen
	// What it has can be compared with what others have, see sawData; dataRun is the process that said so.
	synced, strayed, sealed, sealedByUs, twin bool
	dataRun                                   string
	syncing                                   bool
	linkDownTime                              int64
	priority                                  int
	offset                                    int64
	unannounced                               bool
	listed                                    bool   // a replica: the master, when it was last asked, said that it is connected
	breaksSeen                                int    // how many of its master's breaks its data have been through, see master.breaks
	reconfAt                                  int64  // when SLAVEOF was sent
	unwritten                                 bool   // FAILOVER made it what it is, and its configuration file does not say so yet
	rewriteOn                                 LinkID // the connection on which it was last told to write that file
	rebootSince                               int64
	// epochAsReplica is the epoch in which it was last known to be no master.
	epochAsReplica int64
	tried          bool // permissions were tried
	missing        []string

	// Sentinels: what it last answered about the master.
	askSent                 int64
	askedEpoch              int64 // the epoch it was last asked to vote in
	askPending              int
	askAnswered             int64
	leader                  string
	leaderEpoch             int64
	helloEpoch, helloConfig int64                 // the epochs of its last hello
	peerKnown, peerOurs     bool                  // what it is was asked, and is one of ours
	peerAcks                map[string]int        // its picket-sealed, by master
	peerConfigs             map[string]peerConfig // by master
	endedAt, refusedLast    int64                 // when the connection ended, and when another one was last refused since then, 0: not; see sawLoss
	unreachable             int64                 // since when its announced address could not be reached, 0: it can
	pingRefusal             string
	authRefusal             string
}

// failoverState is how far a failover has come.
type failoverState uint8

const (
	noFailover failoverState = iota
	waitStart
	sealReplicas
	selectReplica
	sendSlaveOfNoOne
	waitPromotion
	reconfReplicas
	updateConfig
)

func (s failoverState) String() string {
	return [...]string{"none", "wait_start", "select_slave", "select_slave", "send_slaveof_noone", "wait_promotion", "reconf_slaves", "update_config"}[s]
}

// master is a watched master with everything that belongs to it.
type master struct {
	node
	quorum             int
	failoverTimeout    int64
	parallelSyncs      int
	notificationScript string
	reconfigScriptPath string
	authUser, authPass string
	rebootDownAfter    int64
	renames            []Rename
	configEpoch        int64
	adopt              bool           // whatever answers at its addresses is taken for what was there before
	history            []string       // replication ids that are known to be of its history, newest first
	breaks             int            // how often the master came back with data that do not continue what was known of its history
	breaksBefore       map[string]int // how many of them were before each id of the history
	assumed            bool           // history is the word of whoever answered first as the master, and of no replica yet
	acks               int            // sealed promotion: how many replicas acknowledge what clients rely on; 0: not sealed
	refusedDown        int64          // picket-refused-down, ms; 0: off
	connectedReplicas  int            // as the master last counted them
	confirming         bool           // the others are asked for their configurations, see confirmed

	replicas, sentinels []*node

	// The last vote given for this master.
	leader      string
	leaderEpoch int64
	ownVote     uint64 // number of the Save that keeps a vote for ourselves

	state         failoverState
	stateSince    int64
	sealedSince   int64
	sealedFor     string // the master's process then
	failoverEpoch int64
	failoverStart int64 // 0: none so far. An attempt holds off the next for twice the failover timeout
	retryAt       int64 // a tied election is repeated then, 0: not
	standAt       int64 // objectively down: when to stand for election
	promoted      *node
	// toldRun is the process of promoted that was told to be the master, or to take over from the one there is; toldOn the connection that it, or that one,
	// was told on, and toldAs what it was before.
	toldRun string
	toldOn  LinkID
	toldAs  Kind
	ties    int // tied elections in a row
	// Why the master refused its part in a coordinated failover.
	coordinatedRefusal string

	seen, told []Gate // what holds a failover back: at the last look, and as far as it was told
	next       int64  // when handle is due
}

func (m *Machine) newNode(ms *master, k Kind, name string, a Addr) *node {
	n := &node{kind: k, name: name, addr: a, master: ms, breaksSeen: ms.breaks}
	m.initNode(n)
	return n
}

func (m *Machine) initNode(n *node) {
	now := m.now()
	n.link = newLink(now)
	n.link.users = []*node{n}
	n.downAfter = n.master.downAfter
	n.priority = 100
	n.roleSince = now
	n.confChangedAt = now
	if n.kind == Replica {
		n.roleReported = Replica
	}
	n.epochAsReplica = m.epoch
}

// has reports whether any of f is set.
func (n *node) has(f flags) bool { return n.flags&f != 0 }

// details is what events say about an instance.
func (m *Machine) details(n *node) string {
	s := n.kind.String() + " " + n.name + " " + m.show(n.addr) + " " + strconv.Itoa(n.addr.Port)
	if n.kind != Master {
		ms := n.master
		s += " @ " + ms.name + " " + m.show(ms.addr) + " " + strconv.Itoa(ms.addr.Port)
	}
	return s
}

// currentAddr is the address clients are sent to: the promoted replica's as soon as it is known to be a master.
func (ms *master) currentAddr() Addr {
	if ms.has(failoverInProgress) && ms.promoted != nil && ms.state >= reconfReplicas {
		return ms.promoted.addr
	}
	return ms.addr
}

func (m *Machine) find(name string) *master { return m.byName[name] }

// byAddr finds a master by the address that another sentinel knows it by.
func (m *Machine) byAddr(a Addr) *master {
	for _, ms := range m.masters {
		if ms.addr.same(a) {
			return ms
		}
	}
	return nil
}

func (ms *master) replicaAt(a Addr) *node {
	for _, n := range ms.replicas {
		if n.addr.same(a) {
			return n
		}
	}
	return nil
}

// addReplica adds a replica unless there is one at that address.
func (m *Machine) addReplica(ms *master, a Addr) *node {
	if ms.replicaAt(a) != nil {
		return nil
	}
	n := m.newNode(ms, Replica, hostPort(m.show(a), a.Port), a)
	ms.replicas = append(ms.replicas, n)
	m.wake(ms)
	return n
}

// voters is the number of all sentinels known for a master, dead or alive, with ourselves.
func (ms *master) voters() int { return len(ms.sentinels) + 1 }

// majority is how many of the voters are more than half.
func (ms *master) majority() int { return ms.voters()/2 + 1 }

// needed is how many votes lead a failover.
func (ms *master) needed() int { return max(ms.majority(), ms.quorum) }

// command is a command's name on the servers of this master.
func (ms *master) command(name string) string {
	for _, r := range ms.renames {
		if strings.EqualFold(r.Old, name) {
			return r.New
		}
	}
	return name
}
