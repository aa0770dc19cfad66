// Package firewall reads a machine's packet filter, as nft -j and iptables-save print it, and says what it does with the first packet of
// a connection to a port: whether it is accepted, dropped or rejected, and by which rule.
//
// What a rule depends on is not always known: who sends the packet, whether an address is on a list that changes. Such a rule decides
// nothing here; its verdict, where it is another one, is told as an exception beside the decision for everybody else.
package firewall

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Verdict is what becomes of a packet.
type Verdict byte

// The verdicts.
const (
	Accept Verdict = iota + 1
	Drop
	Reject
	Unknown // a program decides (queue), or a part of the filter that cannot be read
)

// String gives "accept", "drop", "reject" or "unknown".
func (v Verdict) String() string {
	return [...]string{"", "accept", "drop", "reject", "unknown"}[v]
}

// Keeps says whether the packet goes no further.
func (v Verdict) Keeps() bool { return v == Drop || v == Reject }

// Program is one that shows a packet filter, or a part of it.
type Program struct {
	Name  string
	Args  []string
	Parse func([]byte) (*Ruleset, error)
}

// Programs are those of Linux; a machine has some of them.
func Programs() []Program {
	v4 := func(b []byte) (*Ruleset, error) { return ParseIPTables(b, false) }
	v6 := func(b []byte) (*Ruleset, error) { return ParseIPTables(b, true) }
	return []Program{
		{"nft", []string{"-j", "list", "ruleset"}, ParseNFT},
		{"iptables-save", nil, v4},
		{"ip6tables-save", nil, v6},
		{"iptables-legacy-save", nil, v4},
		{"ip6tables-legacy-save", nil, v6},
	}
}

// Packet is the first packet of a TCP connection, or the answer to it.
type Packet struct {
	From netip.Addr // who sends it; zero: anybody
	To   netip.Addr // an address of this machine
	Port uint16     // of this machine
	In   string     // the network interface by which it comes; empty: not known, but not the loopback one
	// Reply: it is this machine's answer, which leaves by In: From is the one who gets it, and To the address that it comes from.
	Reply bool
	// Opening: it is the first packet of a connection that this machine opens, which leaves by In: From is the one who is called, Port is
	// that of his, and To the address that it comes from.
	Opening bool
	// Answer: it comes in and answers such a first packet: From is the one who was called, and Port that of his.
	Answer bool
	// Data: it comes in on a connection that there is already, with something of what From sends: how long it is, and what is in it, is not known.
	Data bool
	// Neighbour: it is no packet of TCP, but the question of a neighbour for the hardware address of To, without which nothing else of IPv6 comes in
	// (RFC 4861, 7.2).
	Neighbour bool
	// User and Group are those of the process that sends it, where it leaves this machine; nil: not known.
	User, Group *Owner
	// Open is how many connections there are to the port now.
	Open int
}

// Owner is a user or a group of the system.
type Owner struct {
	ID   int
	Name string // may be empty
}

// established says whether it belongs to a connection that there is already.
func (p *Packet) established() bool { return p.Reply || p.Answer || p.Data }

// flags are those of its TCP header.
func (p *Packet) flags() []string {
	switch {
	case p.Data:
		return []string{"psh", "ack"}
	case p.Reply, p.Answer:
		return []string{"syn", "ack"}
	}
	return []string{"syn"}
}

// length is the range of its size in bytes, with the IP header: those that open a connection have headers and the usual options alone.
func (p *Packet) length() [2]uint16 {
	if p.Data {
		return [2]uint16{40, 65535}
	}
	return [2]uint16{synSize, synSize}
}

// leaves says whether it comes from this machine.
func (p *Packet) leaves() bool { return p.Reply || p.Opening }

// Interface is a network interface of the machine, with the networks that are reached by it.
type Interface struct {
	Name     string
	Networks []netip.Prefix
}

// Decision is what becomes of a packet, and why.
type Decision struct {
	Verdict Verdict
	Reset   bool   // a rejection by a TCP reset: it looks like a closed port
	Where   string // the chain: "inet filter input"; empty: no chain looks at such packets
	Rule    string // the rule as its program shows it; empty: the chain's policy, or nothing

	// To is where the packet goes in the end, when a rule sends it elsewhere (a container, another port).
	To        netip.AddrPort
	Forwarded bool // to another machine or a container

	// Exceptions are other verdicts that rules have for some packets to the port: from some senders, or under conditions that are not known
	// here.
	Exceptions []Decision
	// On is what an exception depends on.
	On Dependence

	// Most says that a few senders, which the rule names, are not meant by it.
	Most bool
	// Rate is what becomes of connections that are more than a rule allows in a time, where that is something else; nil: none counts them.
	Rate *Decision
}

// Dependence is what decides whether a rule concerns a packet, where that is not known here.
type Dependence byte

// What a rule may depend on.
const (
	OnSender  Dependence = iota // or on something else that this package does not know
	OnTime                      // of the day, the week, the year
	OnContent                   // of the packet, or its length
)

// Ruleset is a packet filter, or a part of one.
type Ruleset struct {
	Source string // the program that showed it: "nft" or "iptables"
	tables map[tableKey]map[string]*chain
	sets   map[setKey][]any // elements of nft's named sets and maps
}

type tableKey struct{ family, name string } // family: ip, ip6, inet, netdev, ...

type setKey struct {
	table tableKey
	name  string
}

// chain is a list of rules. Base chains have a hook.
type chain struct {
	name     string // with its table, for people
	nat      bool
	hook     string
	device   string // of netdev chains
	priority int
	policy   Verdict
	rules    []rule
}

// rule is one rule: conditions, and what is done when all of them hold.
type rule struct {
	text    string
	matches []match
	act     action
	release bool // the packet is not to be tracked
}

// match is a condition.
type match func(*packet) truth

// truth is what is known of a condition. Of several, the least counts.
type truth int8

const (
	no     truth = iota
	rarely       // of a few senders
	maybe
	mostly // of all but a few senders
	yes
)

func (t truth) not() truth { return yes - t }

func fact(b bool) truth {
	if b {
		return yes
	}
	return no
}

// action is what a rule does.
type action struct {
	kind    actionKind
	verdict Verdict
	reset   bool
	target  string         // of jump and go
	to      netip.AddrPort // of translate; a part that is zero stays
	choose  func(*packet) ([]action, bool)
	// of write: the bits of the mask are cleared, and those of the mark turned round
	mark, mask uint32
}

type actionKind byte

const (
	proceed   actionKind = iota // to the next rule: counters, logs
	decide                      // with the verdict
	jump                        // to the target, and come back
	goTo                        // to the target, and not come back
	giveBack                    // to who jumped here
	translate                   // the destination
	write                       // a mark on the packet
	choose                      // one of several actions, by a value; if that is not known, any of them
)

// Empty says that no rule and no policy of it could keep a packet away.
func (s *Ruleset) Empty() bool {
	for _, chains := range s.tables {
		for _, c := range chains {
			if len(c.rules) > 0 || c.policy == Drop {
				return false
			}
		}
	}
	return true
}

// HasChain says whether some chain has such a name; it tells who manages the filter.
func (s *Ruleset) HasChain(name string) bool {
	for _, chains := range s.tables {
		if chains[name] != nil {
			return true
		}
	}
	return false
}

// HasTable says whether there is a table of that name.
func (s *Ruleset) HasTable(name string) bool {
	for key := range s.tables {
		if key.name == name {
			return true
		}
	}
	return false
}

// Join puts parts together. Tables that iptables manages by nftables are shown by both programs; they are taken from iptables,
// whose own conditions nft cannot show.
func Join(parts ...*Ruleset) *Ruleset {
	parts = slices.Clone(parts)
	slices.SortStableFunc(parts, func(a, b *Ruleset) int { return cmp.Compare(order(a.Source), order(b.Source)) })
	all := newRuleset("")
	var sources []string
	for _, p := range parts {
		sources = append(sources, p.Source)
		for key, chains := range p.tables {
			kept := key
			for p.Source == iptablesLegacy && all.tables[kept] != nil {
				kept.name += " (legacy)" // both are in force beside each other
			}
			if all.tables[kept] == nil {
				all.tables[kept] = make(map[string]*chain)
			}
			for name, c := range chains { // a table that iptables shows may have chains that nft alone knows
				if all.tables[kept][name] == nil {
					all.tables[kept][name] = c
				}
			}
		}
		for key, elements := range p.sets {
			all.sets[key] = elements
		}
	}
	slices.Sort(sources)
	all.Source = strings.Join(slices.Compact(sources), ", ")
	return all
}

// The sources.
const (
	nft            = "nft"
	iptables       = "iptables"
	iptablesLegacy = "iptables-legacy"
)

func order(source string) int { return slices.Index([]string{iptables, iptablesLegacy, nft}, source) }

func newRuleset(source string) *Ruleset {
	return &Ruleset{Source: source, tables: make(map[tableKey]map[string]*chain), sets: make(map[setKey][]any)}
}

func (s *Ruleset) table(family, name string) map[string]*chain {
	key := tableKey{family, name}
	if s.tables[key] == nil {
		s.tables[key] = make(map[string]*chain)
	}
	return s.tables[key]
}
