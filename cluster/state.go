package cluster

import (
	"time"

	"picket/cause"
	"picket/cluster/machine"
)

// State is what a node knows of itself and of the others.
type State struct {
	Name        string `json:"name"`
	Address     string `json:"address"`          // where the others reach it
	Incarnation uint64 `json:"number,omitempty"` // its number in the cluster; absent: it has not joined, or has to join again
	// Serving says that it knows what all others want, and lets clients in.
	Serving bool `json:"serving"`
	// Leased says that it has shown lately in Redis that it lives: otherwise nothing of QoS 1 and 2 is acknowledged.
	Leased         bool        `json:"leased"`
	Fenced         time.Time   `json:"fenced,omitzero"` // when the others took it for dead last; absent: never
	Routes         int         `json:"routes"`          // topic filters that clients of this node have subscribed to
	Unsettled      int64       `json:"unsettled"`       // runs of messages of QoS 1 and 2 that other nodes have not settled
	UnsettledBytes int64       `json:"unsettled_bytes"`
	HeldBack       bool        `json:"held_back"` // publishers are, until less is unsettled
	Dropped        uint64      `json:"dropped"`   // messages of QoS 0 for which there was no link, or no room in it
	Redis          RedisState  `json:"redis"`
	Nodes          []NodeState `json:"nodes"` // the others, by number
}

// RedisState is how Redis answers this node.
type RedisState struct {
	Address string    `json:"address"` // without user and password
	Answers bool      `json:"answers"`
	Since   time.Time `json:"since,omitzero"`  // it answers, or not
	Cause   cause.ID  `json:"cause,omitempty"` // why not
	Text    string    `json:"text,omitempty"`
	Servers int       `json:"servers,omitempty"` // how many have what is acknowledged: the master, and replicas
}

// NodeState is another node.
type NodeState struct {
	Incarnation uint64 `json:"number"`
	Name        string `json:"name"`
	Address     string `json:"address"`
	// Dead says that it has been taken for dead, and is a member until others have what it had.
	Dead          bool      `json:"dead,omitempty"`
	Linked        bool      `json:"linked"`
	FramesVersion uint64    `json:"frames_version,omitempty"` // what both speak over the link
	Since         time.Time `json:"since,omitzero"`           // there is a link, or none
	Cause         cause.ID  `json:"cause,omitempty"`          // why there is none
	Text          string    `json:"text,omitempty"`
	Waiting       int       `json:"waiting"`   // frames that have not reached it, as far as is known; without a link they go through its mailbox in Redis
	Unsettled     int       `json:"unsettled"` // runs of messages that wait for it
	Unseen        uint64    `json:"unseen"`    // changes of this node's topic filters that it has not seen: SUBACKs wait for it
	Routes        int       `json:"routes"`    // topic filters that it wants
	Out           uint64    `json:"out"`       // messages to it
	In            uint64    `json:"in"`        // messages from it
	Dropped       uint64    `json:"dropped"`   // messages of QoS 0 for it
}

// trouble is why there is no link to a peer.
type trouble struct {
	id   cause.ID
	text string
}

// shown is what the actor knows, for whoever asks.
type shown struct {
	incarnation uint64
	serving     bool
	fenced      time.Time
	routes      int
	nodes       []NodeState
}

// showEvery is how old what is shown may become, in milliseconds, while the actor runs.
const showEvery = 200

// show has others see how it is. So whoever asks does not wait for the actor, and learns something if that does not run.
func (n *Node) show() {
	now := n.clock.now()
	if n.shown.Load() != nil && now-n.shownAt < showEvery {
		return
	}
	n.shownAt = now
	s := &shown{incarnation: n.m.Incarnation(), serving: n.m.Serving(), routes: len(n.wanted)}
	if n.fencedAt != 0 {
		s.fenced = n.timeOf(n.fencedAt)
	}
	for _, p := range n.m.Peers() {
		s.nodes = append(s.nodes, n.stateOf(p))
	}
	for _, incarnation := range n.m.Buried() {
		row := n.names[incarnation]
		s.nodes = append(s.nodes, NodeState{Incarnation: incarnation, Name: row.Name, Address: row.Address, Dead: true})
	}
	n.shown.Store(s)
}

func (n *Node) stateOf(p machine.PeerStatus) NodeState {
	l, t := n.links.to(p.Row.Incarnation)
	s := NodeState{Incarnation: p.Row.Incarnation, Name: p.Row.Name, Address: p.Row.Address, Linked: p.Linked, Since: n.timeOf(p.Since), Waiting: p.Unacknowledged, Unsettled: p.Unsettled, Unseen: p.Unseen,
		Routes: p.Routes, Out: p.Out + t.out.Load(), In: p.In + t.in.Load(), Dropped: t.dropped.Load()}
	if l != nil {
		s.FramesVersion = l.version
	}
	if !p.Linked {
		why := n.troubles[p.Row.Incarnation]
		s.Cause, s.Text = why.id, why.text
	}
	return s
}

// timeOf is when the node's clock showed so many milliseconds.
func (n *Node) timeOf(ms int64) time.Time { return n.began.Add(time.Duration(ms) * time.Millisecond) }

// State says how it is with this node and the others, without waiting for anybody: what concerns the others is up to some hundred milliseconds old.
func (n *Node) State() *State {
	s := &State{Name: n.o.Name, Address: n.o.Address, Leased: n.IsLeased(), Unsettled: n.running.Load(), UnsettledBytes: n.unsettle.Load(), HeldBack: n.full.Load(), Dropped: n.dropped.Load(), Nodes: []NodeState{}}
	if now := n.shown.Load(); now != nil {
		s.Incarnation, s.Serving, s.Fenced, s.Routes = now.incarnation, now.serving, now.fenced, now.routes
		s.Nodes = append(s.Nodes, now.nodes...)
	}
	n.calls.mu.Lock()
	s.Redis = n.calls.state
	n.calls.mu.Unlock()
	s.Redis.Address = n.o.Redis.String()
	return s
}
