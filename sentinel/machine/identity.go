package machine

import (
	"slices"
	"strings"
)

// Who is at the other end of a connection? An address does not say: containers swap their addresses, and that of one that is gone is given to
// another one, perhaps to a server that has nothing to do with us and whose data one SLAVEOF would delete. So a server is reconfigured only
// once it has proved, on the very connection that the command goes out on, that it belongs to the master that is meant:
//
//   - it is the process that has proved it before (its run id), or
//   - it holds data of this master's: its replication ids, the present one and the one before, are of the master's history, or
//   - it was told by somebody to follow this master, or the replica that is being promoted, or
//   - it has not a single key and gets none, since it follows nobody or a proved server that has none either, so that nothing can be lost; that holds for
//     the answer in hand only, since it may get some any moment, or
//   - the operator vouches for the addresses (picket-adopt).
//
// The history is what a proved master says about itself, and a proved replica whose link to it is up. It begins with what the server at the
// address that we were told to watch says first, unless replicas are known and those that can be asked have other data. Until a replica has the same, that is assumed only: the
// word of a replica, of another sentinel that knows another master, and of whoever answers at the address next, is worth more. A server that has read its data from an append-only file has a new history each time, and cannot be
// told from a stranger's: Redis keeps the replication id in RDB files only.

// maxHistory is how many replication ids of a master are remembered, newest first.
const maxHistory = 32

// proved reports whether the server at the other end of our connection for commands has proved that it is the one that is meant.
func (n *node) proved() bool { return n.commandsUp() && n.link.cmd.proved }

// identify decides whether an answer to INFO proves who gave it, and what can be learnt from it about the master's history.
func (m *Machine) identify(c *conn, n *node, i *serverInfo) {
	ms := n.master
	c.runID = i.runID
	n.doubt, c.onlyEmpty = m.doubt(n, i)
	c.proved = n.doubt == ""
	if !c.proved || c.onlyEmpty {
		return // what has no data says nothing about ours, nor will it when it has got some
	}
	n.provedRun = i.runID
	tells := n.kind == Master || n == ms.promoted
	if i.role == "slave" {
		tells = i.linkUp && m.followsUs(n, i)
	}
	if tells {
		ms.learn(n, i)
	}
	n.breaksSeen = max(n.breaksSeen, ms.breaksBefore[i.replIDs[0]])
}

// learn takes over what a proved server says of the master's history.
func (ms *master) learn(n *node, i *serverInfo) {
	if len(ms.history) == 0 || ms.assumed && !ms.knows(i) {
		ms.forget()
		ms.assumed = n.kind == Master
		n.provedRun, n.link.cmd.proved = i.runID, true
	} else if !ms.knows(i) {
		ms.breaks++
	}
	ms.remember(i.replIDs[1])
	ms.remember(i.replIDs[0])
	if ms.assumed && (n.kind == Replica || ms.confirmedBy(i)) {
		ms.assumed = false
	}
}

// knows reports whether what a server says shows that its data are of this master's history.
func (ms *master) knows(i *serverInfo) bool {
	known := func(id string) bool { return id != "" && slices.Contains(ms.history, id) }
	return known(i.replIDs[0]) || known(i.replIDs[1])
}

// forget gives up what was known of the history, and who has proved itself by it.
func (ms *master) forget() {
	ms.history, ms.assumed, ms.provedRun = nil, false, ""
	clear(ms.breaksBefore)
	for _, n := range append([]*node{&ms.node}, ms.replicas...) {
		n.provedRun = ""
		if n.kind == Master && n.commandsUp() {
			n.link.cmd.proved = false // until its next answer
		}
	}
}

// reconfigurable reports whether a server may be told whom to follow, now. One that nothing speaks for but that it is empty may be told so only while its
// answer that says so is handled: whoever starts a server at an address of ours writes to it a moment later.
func (m *Machine) reconfigurable(n *node) bool {
	return n.proved() && (!n.link.cmd.onlyEmpty || n.infoAt == m.now())
}

// doubt says why a server may be another one than is meant, nothing if it is proved; onlyEmpty if the proof is only that it has no data.
func (m *Machine) doubt(n *node, i *serverInfo) (why string, onlyEmpty bool) {
	ms := n.master
	first := n.kind == Master && (len(ms.history) == 0 || ms.assumed)
	o := ms.twinOf(n, i.runID)
	n.twin = o != nil
	if n.twin {
		return "the " + o.kind.String() + " " + o.at() + " answers there", false
	}
	if o := m.elsewhere(n, i); o != nil {
		return "the " + o.kind.String() + " " + o.at() + " of " + o.master.name + " answers there", false
	}
	switch {
	case i.runID != "" && i.runID == n.provedRun,
		ms.knows(i),
		n.kind == Replica && i.role == "slave" && m.followsUs(n, i),
		n.kind == Master && i.role == "slave" && (m.followsProved(n, i) || m.leadsTo(i.masterHost, i.masterPort, ms.addr)),
		first && (i.role == "master" || m.followsUs(n, i)) && ms.uncontradicted(i),
		ms.adopt:
		return "", false
	case !i.keys && !i.loading && !i.syncing && (!i.linkUp || m.followsProved(n, i)):
		return "", true
	case first:
		return "no replica that is known confirms that this is its master", false
	case i.loading:
		return "it reads its data from disk, and what they are is not known yet", false
	}
	return "a server with data of its own answers there, which nothing shows to be a copy of this master's", false
}

// uncontradicted reports whether the first server that answers as the master may be taken for it: a replica that is known has its data, or none can be asked.
func (ms *master) uncontradicted(i *serverInfo) bool {
	return i.replIDs[0] == "" || ms.confirmedBy(i) || !slices.ContainsFunc(ms.replicas, func(r *node) bool { return !r.has(sDown) })
}

// confirmedBy reports whether a replica that can be asked has the data that a server says it has.
func (ms *master) confirmedBy(i *serverInfo) bool {
	return slices.ContainsFunc(ms.replicas, func(r *node) bool {
		has := func(id string) bool { return id != "" && slices.Contains(r.replIDs[:], id) }
		return !r.has(sDown) && r.infoAt != 0 && (has(i.replIDs[0]) || has(i.replIDs[1]))
	})
}

// elsewhere is an instance of another master where the same process has proved itself, if nothing but its own word speaks for its being one of this master's: a
// name that stands for its last address, or an address that was given away, has led us to the other group. A group may be watched under two names; then both have
// the same master.
func (m *Machine) elsewhere(n *node, i *serverInfo) *node {
	ms := n.master
	if i.runID == "" || ms.adopt || len(ms.history) > 0 && !ms.assumed && (ms.knows(i) || i.runID == n.provedRun) {
		return nil
	}
	for _, o := range m.masters {
		if o == ms || o.addr.same(ms.addr) {
			continue
		}
		for _, x := range append([]*node{&o.node}, o.replicas...) {
			if x.proved() && x.link.cmd.runID == i.runID {
				return x
			}
		}
	}
	return nil
}

// twinOf is another instance of a master where the same process has proved itself, if there is one: then it is that, and not the one at n's address.
func (ms *master) twinOf(n *node, runID string) *node {
	if runID == "" {
		return nil
	}
	if n != &ms.node && ms.proved() && ms.link.cmd.runID == runID {
		return &ms.node
	}
	for _, o := range ms.replicas {
		if o != n && o.proved() && o.link.cmd.runID == runID && !n.outranks(o) {
			return o
		}
	}
	return nil
}

// outranks reports whether, of two replicas at whose addresses the same process answers, n is the one that it is: the master has it among those that are
// connected, by the address that they announce, and not the other one.
func (n *node) outranks(o *node) bool {
	return n.kind == Replica && o.kind == Replica && n.listed && !o.listed
}

// namesake is another replica that leads, or whose name does, to the server where we are connected for n, if nothing shows that n is the one which is meant. Names are slow to
// follow their servers: that of one which is gone may still stand for its last address, where another one of the group lives by now. What is done to that
// server does no harm, but whoever promoted it under the wrong name would send all clients to nobody.
func (m *Machine) namesake(n *node) *node {
	if !n.commandsUp() {
		return nil
	}
	c := n.link.cmd
	for _, o := range n.master.replicas {
		if o == n || n.outranks(o) {
			continue
		}
		if oc := o.link.cmd; oc != nil && oc.up {
			if oc.runID == c.runID && c.runID != "" {
				return o
			}
			continue
		}
		if m.set.ResolveHostnames && m.opt.Resolve != nil && !isIP(o.addr.Host) && o.addr.Port == n.addr.Port && slices.Contains(m.opt.Resolve(o.addr.Host), c.remoteIP) {
			return o
		}
	}
	return nil
}

// followsUs reports whether a server says that it was told to follow this master, or the one that is being made the master; of the master, that it takes
// itself for a replica of one of its own.
func (m *Machine) followsUs(n *node, i *serverInfo) bool {
	ms := n.master
	if n.kind == Replica {
		return m.leadsTo(i.masterHost, i.masterPort, ms.addr) || ms.promoted != nil && m.leadsTo(i.masterHost, i.masterPort, ms.promoted.addr)
	}
	return slices.ContainsFunc(ms.replicas, func(r *node) bool { return m.leadsTo(i.masterHost, i.masterPort, r.addr) })
}

// followsProved reports whether a server says that it follows a replica of the group that is proved.
func (m *Machine) followsProved(n *node, i *serverInfo) bool {
	return slices.ContainsFunc(n.master.replicas, func(r *node) bool { return r.proved() && m.leadsTo(i.masterHost, i.masterPort, r.addr) })
}

// remember adds a replication id to what is known to be this master's history.
func (ms *master) remember(id string) {
	if id == "" || len(ms.history) > 0 && ms.history[0] == id {
		return
	}
	ms.history = slices.DeleteFunc(ms.history, func(h string) bool { return h == id })
	id = strings.Clone(id)
	ms.history = slices.Insert(ms.history, 0, id)
	if _, known := ms.breaksBefore[id]; !known {
		ms.breaksBefore[id] = ms.breaks
	}
	if len(ms.history) > maxHistory {
		delete(ms.breaksBefore, ms.history[maxHistory])
		ms.history = ms.history[:maxHistory]
	}
}
