package firewall

import (
	"cmp"
	"net/netip"
	"slices"
)

// packet is a packet on its way through the chains.
type packet struct {
	Packet
	out        string // the interface by which it leaves; when it is forwarded
	translated bool   // its destination was changed
	local      bool   // its destination is this machine
	untracked  bool   // it has not met connection tracking yet, which counts it as invalid until then
}

// run is the evaluation of one packet.
type run struct {
	rules      *Ruleset
	packet     *packet
	exceptions []Decision
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
	r := &run{rules: s, packet: &packet{Packet: p, local: true}}
	var last Decision // what accepted the packet last
	for _, hook := range []string{"ingress", "prerouting"} {
		if d, stopped := r.hook(hook, &last); stopped {
			return r.result(d)
		}
	}
	next := "input"
	if r.packet.translated {
		r.packet.out, r.packet.local = outBy(r.packet.To, p.To, interfaces)
		if !r.packet.local {
			next = "forward"
		}
	}
	if d, stopped := r.hook(next, &last); stopped {
		return r.result(d)
	}
	last.Verdict = Accept
	return r.result(last)
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
		if b.nat && r.packet.translated {
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
		return r.packet.To.Is4()
	case "ip6":
		return r.packet.To.Is6()
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
		for _, m := range rule.matches {
			if holds = min(holds, m(r.packet)); holds == no {
				break
			}
		}
		if holds == no {
			continue
		}
		d, end := r.act(table, c, rule, rule.act, holds, depth)
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
		d := Decision{Verdict: a.verdict, Reset: a.reset, Where: c.name, Rule: rule.text}
		if sure == yes {
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
		case decided && sure == yes:
			return d, over
		case a.kind == goTo && sure == yes:
			return Decision{}, returned
		}
	case giveBack:
		if sure == yes {
			return Decision{}, returned
		}
	case translate:
		if sure == yes && !r.packet.translated {
			r.packet.translated = true
			if a.to.Addr().IsValid() {
				r.packet.To = a.to.Addr()
			}
			if a.to.Port() != 0 {
				r.packet.Port = a.to.Port()
			}
			return Decision{Verdict: Accept, Where: c.name, Rule: rule.text}, over
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
