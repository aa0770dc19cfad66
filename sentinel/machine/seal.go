package machine

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Sealed promotion (picket-sealed NAME ACKS): no write that a client had acknowledged by ACKS replicas (WAIT) is missing from the replica that is promoted.
//
// Before it chooses, the elected leader detaches the replicas from the old master: it has them follow an address where nobody answers. From then on none of
// them acknowledges anything, wherever the old master is and whoever still reaches it, and what each one has can be compared at leisure. A write that ACKS
// of R replicas have acknowledged is on at least one of any R-ACKS+1 of them, so when as many answer, the furthest has it. It is promoted, whatever its
// priority, and the others follow it. When fewer answer nothing is promoted, and it is said which ones are missed.
//
// A replica counts if its data can only have grown since it acknowledged: it was connected with this master since it was started, follows nobody else, and takes
// over nothing just now. Its replication id must be one of this master's history; where they differ, the newer one must have come out of the older one.
// A master that comes back with a history of its own (its files are older, or do not tell) may have less than it had, and so has whoever takes its data over from
// then on. Then what was acknowledged before may be on any replica that has not done so yet, and none of those may be missing.
//
// A leader has sealLimit for all of it, from the first seal to the promotion; a replica that others have sealed is left alone for foreignSeal, which is
// longer even on a clock that runs four times as fast. If an attempt ends without a promotion, the replicas are given back to the master.

const (
	sealHost    = "127.0.0.1" // as the replica sees it: nobody answers at its port 1
	sealPort    = 1
	sealLimit   = 3000
	foreignSeal = 15000
)

// keeps reports whether a failover is one that must not lose what was acknowledged. One that was forced by hand may.
func (ms *master) keeps() bool { return ms.acks > 0 && (!ms.has(forceFailover) || ms.has(coordinated)) }

// handsOver reports whether it is one in which the living master hands over to a replica. That one then has everything. But the old master's configuration file
// calls it a master until it is written anew, and so do those of its replicas: were all that started again, it would go on with them, and acknowledge what the
// new one does not have. So the other replicas are detached first here, too, until the old master and what may still follow it are too few to acknowledge anything.
func (ms *master) handsOver() bool { return ms.keeps() && ms.has(coordinated) }

// sealing reports whether it is one that finds out which replica has everything.
func (ms *master) sealing() bool { return ms.keeps() && !ms.has(coordinated) }

// sawData notes what an answer to INFO says about what a replica has, and whether that can be compared.
func (m *Machine) sawData(n *node, i *serverInfo) {
	if i.role != "slave" {
		n.sealed, n.synced, n.strayed = false, false, false
		return
	}
	n.sealed = i.masterHost == sealHost && i.masterPort == sealPort
	again := n.dataRun != i.runID
	n.dataRun = i.runID
	n.strayed = n.strayed && !again
	switch {
	case i.syncing, i.neverLinked && !i.linkUp:
		n.synced = false
	case n.sealed:
		n.synced = n.synced || again
	case !m.leadsTo(i.masterHost, i.masterPort, n.master.addr):
		n.synced, n.strayed = false, true
	default: // one that was connected with somebody else has to be seen connected with this one
		n.strayed = n.strayed && !i.linkUp
		n.synced = !n.strayed
	}
}

// comparable reports whether what a replica has counts, once it is sealed.
func (m *Machine) comparable(n *node) bool {
	return n.proved() && !n.has(sDown) && n.synced && n.offset > 1 && slices.Contains(n.master.history, n.replIDs[0])
}

// needed is how many replicas must answer for one of them to have all that was acknowledged.
func (ms *master) neededReplicas() int {
	known := 0
	for _, n := range ms.replicas {
		if !n.twin {
			known++
		}
	}
	return max(max(known, ms.connectedReplicas)-ms.acks+1, 1)
}

// furthest orders replicas by what they have: the newest history first, then the most of it, then as Redis would choose among equals.
func (ms *master) furthest(a, b *node) int {
	age := func(n *node) int { return slices.Index(ms.history, n.replIDs[0]) }
	return cmp.Or(cmp.Compare(age(a), age(b)), cmp.Compare(b.offset, a.offset), betterReplica(a, b))
}

// answers are the replicas that count, the furthest first. With sealed only those that are. why is not empty if they cannot be compared, or are too few.
func (m *Machine) answers(ms *master, sealed bool) (list []*node, why string) {
	var missing []string
	for _, n := range ms.replicas {
		switch {
		case m.comparable(n) && (n.sealed || !sealed):
			list = append(list, n)
		case !n.twin:
			missing = append(missing, n.at()+" ("+m.absent(n)+")")
		}
	}
	slices.SortFunc(list, ms.furthest)
	if need := ms.neededReplicas(); len(list) < need {
		return list, strconv.Itoa(len(list)) + " of the " + strconv.Itoa(need) + " replicas that are needed can be asked what they have; missing: " + strings.Join(missing, ", ")
	}
	for _, n := range list[1:] {
		if !continues(list[0], n) {
			return list, list[0].at() + " and " + n.at() + " have data of two histories, neither of which came out of the other"
		}
	}
	for _, n := range ms.replicas {
		if n.breaksSeen < list[0].breaksSeen && !n.twin && !m.comparable(n) {
			return list, "what was acknowledged before the master came back with other data, or before this sentinel was started, may be on " + n.at() + " alone (" + m.absent(n) + ")"
		}
	}
	return list, ""
}

// continues reports whether the data of a server are those of another one, or have come out of them.
func continues(a, b *node) bool {
	return a.replIDs[0] == b.replIDs[0] || a.replIDs[1] == b.replIDs[0] && b.offset < a.secondOffset
}

// absent says why a replica does not count.
func (m *Machine) absent(n *node) string {
	switch {
	case n.has(sDown):
		return "it is down"
	case n.doubt != "":
		return n.doubt
	case !n.proved():
		return "it is not connected"
	case n.roleReported == Master:
		return "it says that it is a master"
	case n.syncing:
		return "it was taking over data"
	case !n.synced:
		return "since it was started it was not connected with this master"
	case n.offset <= 1, !slices.Contains(n.master.history, n.replIDs[0]):
		return "its data are of another history"
	}
	return "it does not answer"
}

// sealAll detaches all replicas from their master, but for one that it is to hand over to. The answer that follows on the same connection says what each has.
func (m *Machine) sealAll(ms *master) {
	m.enter(ms, sealReplicas)
	ms.sealedSince, ms.sealedFor = m.now(), ms.provedRun
	for _, n := range ms.replicas {
		if n == ms.promoted || !m.reconfigurable(n) || n.roleReported == Master {
			continue
		}
		m.send(n.link.cmd, n, ignoreAnswer, "SLAVEOF", sealHost, strconv.Itoa(sealPort))
		m.send(n.link.cmd, n, ignoreAnswer, "CONFIG", "REWRITE") // started again, it must not follow the old master by itself
		m.askInfo(n)
		n.sealedByUs, n.sealed = true, false
		m.eventAt(Notice, "+seal-sent", n)
	}
}

// sealState waits for the replicas to say what they have, and chooses.
func (m *Machine) sealState(ms *master) {
	waited := m.now() - ms.stateSince
	if !ms.has(oDown) && !ms.handsOver() || waited > sealLimit {
		m.noGoodReplica(ms)
		return
	}
	ms.at(ms.stateSince + sealLimit + 1)
	if ms.handsOver() {
		if ms.detached()+1 >= ms.neededReplicas() {
			m.enterPromotion(ms)
		}
		return
	}
	list, why := m.answers(ms, true)
	open := slices.ContainsFunc(ms.replicas, func(n *node) bool { return n.sealedByUs && !n.sealed && n.proved() && !n.has(sDown) })
	if open && waited < freshWait {
		ms.at(ms.stateSince + freshWait)
		return
	}
	if why != "" {
		return
	}
	for _, n := range list {
		if n.replIDs[0] != list[0].replIDs[0] || n.offset != list[0].offset {
			break
		}
		if n.priority != 0 && m.namesake(n) == nil {
			m.choose(ms, n)
			return
		}
	}
	m.noGoodReplica(ms)
}

// detached counts the replicas that are sealed, have written that to their configuration files, and can still be asked.
func (ms *master) detached() int {
	n := 0
	for _, r := range ms.replicas {
		if r.sealedByUs && r.sealed && r.proved() {
			n++
		}
	}
	return n
}

// unseal gives the replicas back to the master after an attempt that promoted none. When there has been another attempt since, they may be in its hands: then
// they are left to it, or to what puts configurations right later.
func (m *Machine) unseal(ms *master) {
	for _, n := range ms.replicas {
		if n.sealedByUs && n.proved() && !n.has(promoted) && m.epoch == ms.failoverEpoch {
			m.slaveOf(n, ms.addr)
			m.eventAt(Notice, "+unseal-sent", n)
		}
		n.sealedByUs = false
	}
}

// cameBackYounger reports whether a master was started again with less than its replicas have, which they would throw away as soon as they connect: as
// many as are needed have data of a history that it does not continue.
func (m *Machine) cameBackYounger(ms *master) bool {
	if ms.acks == 0 || ms.replSince == 0 || ms.roleReported != Master {
		return false
	}
	ahead := m.ahead(ms)
	return ahead > 0 && ahead >= ms.neededReplicas()
}

// ahead counts the replicas with data that the master does not continue.
func (m *Machine) ahead(ms *master) (n int) {
	for _, r := range ms.replicas {
		if m.comparable(r) && r.infoAt >= ms.replSince && !continues(&ms.node, r) {
			n++
		}
	}
	return n
}
