package firewall

import (
	"cmp"
	"net/netip"
	"slices"
)

// packet is a packet on its way through the chains.
type packet struct {
	Packet
	out        string         // the interface by which it leaves; when it is forwarded
	translated bool           // its destination was changed
	local      bool           // its destination is this machine
	untracked  bool           // it has not met connection tracking yet, which counts it as invalid until then
	released   bool           // a rule keeps it from being tracked
	stray      bool           // it answers a packet that was not tracked, and is itself: tracking knows of no connection that it could belong to
	asked      netip.AddrPort // its destination before it was changed
	over       bool           // there have been more like it than rules allow in a time
	counted    bool           // a rule counts such packets
	mark       uint32         // what rules have written on it
	marked     truth          // whether that is known; where no rule writes, something else may
	on         Dependence     // what the rule that is looked at depends on
}

// timed is a condition on the time: it may hold.
func (k *packet) timed() truth {
	k.on = OnTime
	return maybe
}

// contains is a condition on what the packet brings. The first packets of a connection bring nothing.
func (k *packet) contains() truth {
	if !k.Data {
		return no
	}
	k.on = OnContent
	return maybe
}

// measures notes that what is known of a condition depends on the packet's length.
func (k *packet) measures(holds truth) truth {
	if holds == maybe {
		k.on = OnContent
	}
	return holds
}

// markedAs says whether what is written on the packet is a number, as far as the mask goes.
func (k *packet) markedAs(mark, mask uint32) truth {
	if k.marked == yes {
		return fact(k.mark&mask == mark)
	}
	return maybe
}

// v4 tells whether it is one of IPv4.
func (k *packet) v4() bool { return k.To.Is4() }

// source and target are its addresses; of somebody else's nothing is known if they are not valid.
func (k *packet) source() netip.Addr {
	if k.leaves() {
		return k.To
	}
	return k.From
}

func (k *packet) target() netip.Addr {
	switch {
	case k.leaves():
		return k.From
	case k.Neighbour:
		return solicited(k.To)
	}
	return k.To
}

// solicited is the address of the group to which neighbours send their questions for an address (RFC 4291, 2.7.1).
func solicited(a netip.Addr) netip.Addr {
	group, own := [16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff}, a.As16()
	copy(group[13:], own[13:])
	return netip.AddrFrom16(group)
}

// few says what is known of a network that somebody unknown may be in: a few are, unless it is the one that this machine is in.
func (k *packet) few(network netip.Prefix) truth {
	if network.Contains(k.To) && !network.IsSingleIP() {
		return maybe
	}
	return rarely
}

// ports are the ranges of its source and its destination.
func (k *packet) ports() (source, target [2]uint16) {
	own := [2]uint16{k.Port, k.Port}
	if k.Reply || k.Answer {
		return own, ephemeral
	}
	return ephemeral, own
}

// within a rate: a limit holds for the first packets and not for those that are more; an excess the other way round.
func (k *packet) limit() truth  { k.counted = true; return fact(!k.over) }
func (k *packet) excess() truth { k.counted = true; return fact(k.over) }

// up to, and more than, what the text of a rule allows: what nobody comes up to in ordinary use is as good as no limit.
func (k *packet) upTo(of allowance) truth {
	if of.generous(k.Open) {
		return yes
	}
	return k.limit()
}

func (k *packet) moreThan(of allowance) truth { return k.upTo(of).not() }

// states are what connection tracking says of the packet, in nftables' words.
func (k *packet) states() []string {
	switch {
	case k.released || k.Neighbour: // the kernel does not track neighbours' questions
		return []string{"untracked"}
	case k.untracked, k.stray:
		return []string{"invalid"}
	case k.established():
		return []string{"established"}
	}
	return []string{"new"}
}

// protocol are the names of what the packet carries.
func (k *packet) protocol() []string {
	if k.Neighbour {
		return []string{"icmpv6", "ipv6-icmp", "icmp6", "58"}
	}
	return []string{"tcp", "6"}
}

// ownedBy says whether the process that sends the packet is somebody's. What comes in is nobody's.
func (k *packet) ownedBy(owner *Owner, is func(Owner) bool) truth {
	switch {
	case !k.leaves():
		return no
	case owner == nil:
		return maybe
	}
	return fact(is(*owner))
}

// run is the evaluation of one packet.
type run struct {
	rules      *Ruleset
	packet     *packet
	first      *packet // that opened the connection: what was done to its destination is done to all that follow; nil: it is the first
	exceptions []Decision
	on         Dependence // of the rules that have led to the chain that is looked at
	steps      int
}

// Bounds on what is evaluated: the kernel allows no loops, a text may have some.
const (
	maxDepth = 32
	maxSteps = 1 << 18
)

// conntrackPriority is where in prerouting the kernel looks a packet's connection up.
const conntrackPriority = -200

// Decide says what becomes of a packet.
func (s *Ruleset) Decide(p Packet, interfaces []Interface) Decision {
	d, counted := s.decide(p, interfaces, false)
	if counted {
		if over, _ := s.decide(p, interfaces, true); over.Verdict != d.Verdict {
			over.Exceptions = nil
			d.Rate = &over
		}
	}
	return d
}

func (s *Ruleset) decide(p Packet, interfaces []Interface, over bool) (Decision, bool) {
	r := s.evaluation(p, over)
	if p.Data || p.Reply {
		opening := p
		opening.Data, opening.Reply = false, false
		first := s.evaluation(opening, over)
		first.way(opening, interfaces)
		if r.packet.stray = first.packet.released; p.Data {
			r.first = first.packet
		}
	}
	d := r.way(p, interfaces)
	return r.result(d), r.packet.counted
}

func (s *Ruleset) evaluation(p Packet, over bool) *run {
	r := &run{rules: s, packet: &packet{Packet: p, local: !p.leaves(), over: over, asked: netip.AddrPortFrom(p.To, p.Port), marked: fact(s.writes())}}
	if p.leaves() {
		r.packet.In, r.packet.out = "", p.In
	}
	return r
}

// writes says whether some rule writes marks on packets.
func (s *Ruleset) writes() bool {
	for _, chains := range s.tables {
		for _, c := range chains {
			if slices.ContainsFunc(c.rules, func(r rule) bool { return r.act.kind == write }) {
				return true
			}
		}
	}
	return false
}

// way leads the packet through the hooks.
func (r *run) way(p Packet, interfaces []Interface) Decision {
	var last Decision // what accepted the packet last
	hooks := []string{"ingress", "prerouting"}
	if p.leaves() {
		hooks = []string{"output", "postrouting"}
	}
	for _, hook := range hooks {
		if d, stopped := r.hook(hook, &last); stopped {
			return d
		}
	}
	if r.first != nil && r.first.translated {
		r.packet.To, r.packet.Port, r.packet.translated = r.first.To, r.first.Port, true
	}
	next := "input"
	if r.packet.translated {
		r.packet.out, r.packet.local = outBy(r.packet.To, p.To, interfaces)
		if !r.packet.local {
			next = "forward"
		}
	}
	if !p.leaves() {
		if d, stopped := r.hook(next, &last); stopped {
			return d
		}
	}
	last.Verdict = Accept
	return last
}

// outBy is the interface towards an address, and whether the address is this machine's own.
func outBy(to, before netip.Addr, interfaces []Interface) (name string, local bool) {
	if to == before || to.IsLoopback() {
		return "lo", true
	}
	for _, i := range interfaces {
		for _, n := range i.Networks {
			if n.Addr() == to {
				return i.Name, true
			}
			if n.Contains(to) {
				name = i.Name
			}
		}
	}
	return name, false
}

// result completes a decision.
func (r *run) result(d Decision) Decision {
	if r.packet.translated {
		d.To, d.Forwarded = netip.AddrPortFrom(r.packet.To, r.packet.Port), !r.packet.local
	}
	for _, e := range r.exceptions {
		other := e.Verdict != d.Verdict
		known := slices.ContainsFunc(d.Exceptions, func(k Decision) bool { return k.Rule == e.Rule && k.Where == e.Where })
		if other && !known {
			d.Exceptions = append(d.Exceptions, e)
		}
	}
	return d
}

// hook runs the base chains of a hook, the ones with the lowest priority first. A chain that accepts is not the last word; one that
// drops is.
func (r *run) hook(hook string, last *Decision) (d Decision, stopped bool) {
	type base struct {
		table map[string]*chain
		*chain
	}
	var all []base
	for key, chains := range r.rules.tables {
		if !r.concerns(key.family) {
			continue
		}
		for _, c := range chains {
			if c.hook == hook && (c.device == "" || r.packet.In == "" || c.device == r.packet.In) {
				all = append(all, base{chains, c})
			}
		}
	}
	slices.SortFunc(all, func(a, b base) int { return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.name, b.name)) })
	for _, b := range all {
		if b.nat && (r.packet.translated || r.packet.leaves() || r.packet.established()) {
			continue // the first translation counts
		}
		r.packet.untracked = hook == "ingress" || hook == "prerouting" && b.priority < conntrackPriority
		d, decided := r.chain(b.table, b.chain, yes, 0)
		if !decided {
			d = Decision{Verdict: b.policy, Where: b.name}
		}
		switch {
		case d.Verdict != Accept:
			return d, true
		case !b.nat && (decided || last.Rule == "" && hook != "prerouting"):
			*last = d
		}
	}
	return Decision{}, false
}

// concerns says whether tables of a family see the packet.
func (r *run) concerns(family string) bool {
	switch family {
	case "inet", "netdev":
		return true
	case "ip":
		return r.packet.v4()
	case "ip6":
		return !r.packet.v4()
	}
	return false
}

// chain runs a chain. sure says whether the packet comes here at all; if that is not known, verdicts are exceptions.
func (r *run) chain(table map[string]*chain, c *chain, sure truth, depth int) (d Decision, decided bool) {
	if depth > maxDepth {
		return Decision{}, false
	}
	for i := range c.rules {
		rule := &c.rules[i]
		if r.steps++; r.steps > maxSteps {
			return Decision{Verdict: Unknown, Where: c.name, Rule: rule.text}, true
		}
		holds := sure
		r.packet.on = OnSender
		for _, m := range rule.matches {
			if holds = min(holds, m(r.packet)); holds == no {
				break
			}
		}
		if holds == no {
			continue
		}
		r.packet.released = r.packet.released || rule.release && holds >= mostly
		before := r.on
		r.on = cmp.Or(r.packet.on, before)
		d, end := r.act(table, c, rule, rule.act, holds, depth)
		r.on = before
		if end == over || end == returned {
			return d, end == over
		}
	}
	return Decision{}, false
}

// ending is how an action leaves its chain.
type ending byte

const (
	goesOn   ending = iota // with the next rule
	over                   // with a verdict
	returned               // to who jumped here
)

// act carries out an action.
func (r *run) act(table map[string]*chain, c *chain, rule *rule, a action, sure truth, depth int) (Decision, ending) {
	switch a.kind {
	case decide:
		d := Decision{Verdict: a.verdict, Reset: a.reset, Where: c.name, Rule: rule.text, Most: sure == mostly, On: r.on}
		if sure >= mostly {
			return d, over
		}
		r.exceptions = append(r.exceptions, d)
	case jump, goTo:
		target := table[a.target]
		if target == nil {
			break
		}
		d, decided := r.chain(table, target, sure, depth+1)
		switch {
		case decided && sure >= mostly:
			d.Most = d.Most || sure == mostly
			return d, over
		case a.kind == goTo && sure >= mostly:
			return Decision{}, returned
		}
	case giveBack:
		if sure >= mostly {
			return Decision{}, returned
		}
	case translate:
		if sure >= mostly && !r.packet.translated {
			r.packet.translated = true
			if a.to.Addr().IsValid() {
				r.packet.To = a.to.Addr()
			}
			if a.to.Port() != 0 {
				r.packet.Port = a.to.Port()
			}
			return Decision{Verdict: Accept, Where: c.name, Rule: rule.text}, over
		}
	case write:
		if r.packet.marked = maybe; sure >= mostly {
			r.packet.marked, r.packet.mark = yes, r.packet.mark&^a.mask^a.mark
		}
	case choose:
		actions, known := a.choose(r.packet)
		if !known {
			sure = min(sure, maybe)
		}
		for _, one := range actions {
			if d, end := r.act(table, c, rule, one, sure, depth+1); end != goesOn {
				return d, end
			}
		}
	}
	return Decision{}, goesOn
}
