package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// hookPriorities are those of iptables' built-in tables, as nft names them.
var hookPriorities = map[string]int{"raw": -300, "mangle": -150, "nat": -100, "filter": 0, "security": 50}

// ParseIPTables reads what iptables-save prints or, with v6, ip6tables-save.
func ParseIPTables(text []byte, v6 bool) (*Ruleset, error) {
	s := newRuleset(iptablesLegacy)
	family := "ip"
	if v6 {
		family = "ip6"
	}
	var table map[string]*chain
	var name string
	for i, line := range strings.Split(string(text), "\n") {
		fail := func(what string) error { return fmt.Errorf("iptables-save, line %d: %s: %q", i+1, what, line) }
		switch {
		case strings.HasPrefix(line, "# Generated") && strings.Contains(line, "(nf_tables)"):
			s.Source = iptables
		case line == "", line[0] == '#', line == "COMMIT":
		case line[0] == '*':
			name = line[1:]
			table = s.table(family, name)
		case table == nil:
			return nil, fail("no table has begun")
		case line[0] == ':':
			c, policy, ok := strings.Cut(line[1:], " ")
			if !ok {
				return nil, fail("a chain without a policy")
			}
			policy, _, _ = strings.Cut(policy, " ")
			table[c] = newChain(name, c, policy, s.Source)
		case strings.HasPrefix(line, "-A ") || strings.HasPrefix(line, "["):
			if line[0] == '[' { // counters, with iptables-save -c
				_, line, _ = strings.Cut(line, "] ")
			}
			words, err := split(line)
			if err != nil || len(words) < 2 || words[0] != "-A" {
				return nil, fail("no rule")
			}
			c := table[words[1]]
			if c == nil {
				return nil, fail("a rule of a chain that does not exist")
			}
			c.rules = append(c.rules, iptablesRule(line, words[2:], v6))
		default:
			return nil, fail("not understood")
		}
	}
	return s, nil
}

func newChain(table, name, policy, source string) *chain {
	c := &chain{name: fmt.Sprintf("%s %s %s", source, table, name), nat: table == "nat", policy: Accept}
	if policy == "-" {
		return c
	}
	c.hook, c.priority = strings.ToLower(name), hookPriorities[table]
	if policy == "DROP" {
		c.policy = Drop
	}
	return c
}

var errQuote = errors.New("a quotation mark is not closed")

// split splits a line into words, which may be quoted.
func split(line string) (words []string, err error) {
	var word strings.Builder
	inside, begun := false, false
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case b == '\\' && inside && i+1 < len(line):
			i++
			word.WriteByte(line[i])
		case b == '"':
			inside, begun = !inside, true
		case b == ' ' && !inside:
			if begun {
				words = append(words, word.String())
				word.Reset()
				begun = false
			}
		default:
			word.WriteByte(b)
			begun = true
		}
	}
	if inside {
		return nil, errQuote
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

// iptablesRule reads the words of a rule. A condition that it does not know is one that may hold.
func iptablesRule(line string, words []string, v6 bool) rule {
	r := rule{text: line}
	p := &options{words: words}
	for p.more() {
		negated := false
		word := p.next()
		if word == "!" && p.more() {
			negated = true
			word = p.next()
		}
		m, known := r.option(word, p, v6)
		switch {
		case !known:
			m = func(*packet) truth { return maybe }
		case m == nil:
			continue
		}
		if negated {
			positive := m
			m = func(k *packet) truth { return positive(k).not() }
		}
		r.matches = append(r.matches, m)
	}
	return r
}

// options are the words of a rule that are left.
type options struct{ words []string }

func (p *options) more() bool { return len(p.words) > 0 }

func (p *options) next() (word string) {
	if len(p.words) > 0 {
		word, p.words = p.words[0], p.words[1:]
	}
	return word
}

// rest takes the values up to the next option.
func (p *options) rest() (values []string) {
	for len(p.words) > 0 && !strings.HasPrefix(p.words[0], "-") && p.words[0] != "!" {
		values = append(values, p.next())
	}
	return values
}

// ephemeral is the client's own port, which is from this range on every system of today.
var ephemeral = [2]uint16{1024, 65535}

// option reads an option with its values: a condition, or what the rule does. Without a condition m is nil.
func (r *rule) option(word string, p *options, v6 bool) (m match, known bool) {
	if read := conditions[word]; read != nil {
		return read(p), true
	}
	if values, ok := details[word]; ok {
		for range values {
			p.next()
		}
		return nil, true
	}
	switch word {
	case "-m", "--match":
		return r.module(p.next(), p)
	case "-j", "--jump":
		return r.target(p.next(), p, v6)
	case "-g", "--goto":
		r.act = action{kind: goTo, target: p.next()}
		return nil, true
	}
	p.rest()
	return nil, false
}

// details are options that change nothing in what is known of a rule, with the number of their values. -c has the counters of the rule.
var details = map[string]int{
	"-c": 2, "--comment": 1, "--limit-burst": 1,
	"--hashlimit-burst": 1, "--hashlimit-mode": 1, "--hashlimit-name": 1, "--hashlimit-htable-size": 1, "--hashlimit-htable-max": 1,
	"--hashlimit-htable-expire": 1, "--hashlimit-htable-gcinterval": 1, "--hashlimit-srcmask": 1, "--hashlimit-dstmask": 1, "--hashlimit-rate-match": 0,
	"--connlimit-mask": 1, "--connlimit-saddr": 0, "--connlimit-daddr": 0,
	"--algo": 1, "--from": 1, "--to": 1, "--icase": 0, // of --string
	"--kerneltz": 0, "--utc": 0, "--contiguous": 0, // of the times
}

// conditions are the options that are a condition.
var conditions = aliases(map[string]func(p *options) match{
	"-p --protocol": func(p *options) match {
		proto := p.next()
		return func(k *packet) truth {
			return fact(slices.Contains(k.protocol(), proto) || proto == "all" || proto == "0")
		}
	},
	"-s --source":      func(p *options) match { return addressMatch(p.next(), (*packet).source) },
	"-d --destination": func(p *options) match { return addressMatch(p.next(), (*packet).target) },
	"--ctorigdst": func(p *options) match {
		return addressMatch(p.next(), func(k *packet) netip.Addr { return k.asked.Addr() })
	},
	"-i --in-interface":  onInterface(func(k *packet) string { return k.In }),
	"-o --out-interface": onInterface(func(k *packet) string { return k.out }),
	"--dport --dports --destination-port --destination-ports": onPorts(func(k *packet, ports string) truth {
		_, to := k.ports()
		return portMatch(ports, to)
	}),
	"--sport --sports --source-port --source-ports": onPorts(func(k *packet, ports string) truth {
		from, _ := k.ports()
		return portMatch(ports, from)
	}),
	"--port --ports": onPorts(func(k *packet, ports string) truth {
		from, to := k.ports()
		return max(portMatch(ports, from), portMatch(ports, to))
	}),
	"--ctorigdstport": onPorts(func(k *packet, ports string) truth {
		return portMatch(ports, [2]uint16{k.asked.Port(), k.asked.Port()})
	}),
	"--length": onPorts(func(k *packet, lengths string) truth { return k.measures(portMatch(lengths, k.length())) }),
	"--syn":    func(*options) match { return func(k *packet) truth { return fact(!k.established()) } },
	"--tcp-flags": func(p *options) match {
		mask, set := p.next(), p.next()
		return func(k *packet) truth { return fact(flagsMatch(mask, set, k.flags())) }
	},
	"--state --ctstate": func(p *options) match {
		states := p.next()
		return func(k *packet) truth { return stateMatch(strings.Split(states, ","), k) }
	},
	"--dst-type": func(p *options) match {
		kind := p.next()
		return func(k *packet) truth { return fact(kind == "LOCAL" && k.local || kind == "UNICAST" && !k.local) }
	},
	"--src-type": func(p *options) match {
		kind := p.next()
		return func(*packet) truth { return fact(kind == "UNICAST") }
	},
	"--pkt-type": func(p *options) match {
		kind := p.next()
		return func(*packet) truth { return fact(kind == "unicast" || kind == "host") }
	},
	"--icmp-type": holding(func(*packet) truth { return no }),
	"--icmpv6-type": func(p *options) match {
		kind := p.next()
		return func(k *packet) truth { return fact(k.Neighbour && slices.Contains(solicitations, kind)) }
	},
	"--limit --hashlimit-upto --hashlimit --connlimit-upto": counting((*packet).upTo),
	"--hashlimit-above --connlimit-above":                   counting((*packet).moreThan),
	"--uid-owner":                                           owning(func(k *packet) *Owner { return k.User }),
	"--gid-owner":                                           owning(func(k *packet) *Owner { return k.Group }),
	"--socket-exists":                                       func(*options) match { return func(k *packet) truth { return fact(k.leaves()) } },
	"--string --hex-string":                                 holding((*packet).contains),
	"--timestart --timestop --weekdays --monthdays":         holding((*packet).timed),
	"--datestart --datestop":                                holding((*packet).timed),
	"-f --fragment":                                         func(*options) match { return func(*packet) truth { return no } },
	"--mark": func(p *options) match {
		mark, mask := marking(p.next())
		return func(k *packet) truth { return k.markedAs(mark, mask) }
	},
})

// aliases gives each of the names that stand before a reader an entry of its own.
func aliases(table map[string]func(p *options) match) map[string]func(p *options) match {
	all := map[string]func(p *options) match{}
	for names, read := range table {
		for name := range strings.FieldsSeq(names) {
			all[name] = read
		}
	}
	return all
}

// holding reads an option with one value, which does not matter for the condition.
func holding(m match) func(p *options) match {
	return func(p *options) match {
		p.next()
		return m
	}
}

// onPorts reads an option whose value is a list of numbers and ranges.
func onPorts(holds func(k *packet, list string) truth) func(p *options) match {
	return func(p *options) match {
		list := p.next()
		return func(k *packet) truth { return holds(k, list) }
	}
}

// onInterface reads an option whose value is the name of an interface.
func onInterface(of func(k *packet) string) func(p *options) match {
	return func(p *options) match {
		name := p.next()
		return func(k *packet) truth { return interfaceMatch(name, "+", of(k)) }
	}
}

// module reads which extension the options that follow belong to. Of extensions that are not known here, nothing is.
func (r *rule) module(name string, p *options) (m match, known bool) {
	switch name {
	case "tcp", "multiport", "conntrack", "state", "comment", "limit", "addrtype", "pkttype", "hashlimit", "connlimit", "mark", "string", "length", "time", "owner", "icmp6":
		return nil, true
	case "udp", "icmp", "sctp", "dccp", "rt", "frag", "hbh", "dst", "ah", "esp": // headers that the packet does not have
		r.skip(p)
		return func(*packet) truth { return no }, true
	case "recent":
		// --set always holds; the others look at what happened before, with a number at how often.
		set, often := false, false
		for _, w := range p.words {
			set, often = set || w == "--set", often || w == "--hitcount"
			if w == "-j" || w == "-g" {
				break
			}
		}
		r.skip(p)
		switch {
		case set:
			return nil, true
		case often:
			return (*packet).excess, true
		}
		return nil, false
	}
	r.skip(p)
	return nil, false
}

// skip leaves out the options up to the next extension or target.
func (r *rule) skip(p *options) {
	for p.more() && p.words[0] != "-m" && p.words[0] != "-j" && p.words[0] != "-g" {
		p.next()
	}
}

// target reads what the rule does.
func (r *rule) target(name string, p *options, v6 bool) (match, bool) {
	switch name {
	case "ACCEPT":
		r.act = action{kind: decide, verdict: Accept}
	case "DROP":
		r.act = action{kind: decide, verdict: Drop}
	case "REJECT":
		r.act = action{kind: decide, verdict: Reject}
		if p.more() && p.words[0] == "--reject-with" {
			p.next()
			r.act.reset = p.next() == "tcp-reset"
		}
	case "RETURN":
		r.act = action{kind: giveBack}
	case "QUEUE", "NFQUEUE", "TPROXY":
		r.act = action{kind: decide, verdict: Unknown}
	case "DNAT", "REDIRECT":
		r.act = action{kind: translate}
		if p.more() && (p.words[0] == "--to-destination" || p.words[0] == "--to-ports") {
			p.next()
			r.act.to = destination(p.next(), v6)
		}
	case "MARK":
		if p.more() && (p.words[0] == "--set-xmark" || p.words[0] == "--set-mark") {
			p.next()
			r.act = action{kind: write}
			r.act.mark, r.act.mask = marking(p.next())
		}
	case "NOTRACK", "CT":
		r.release = name == "NOTRACK" || slices.Contains(p.words, "--notrack")
	case "LOG", "NFLOG", "ULOG", "CONNMARK", "CONNSECMARK", "SECMARK", "TCPMSS", "TOS", "DSCP", "TTL", "TRACE", "SET", "AUDIT", "CLASSIFY",
		"MASQUERADE", "SNAT", "NETMAP", "CHECKSUM", "SYNPROXY", "TEE", "RATEEST", "IDLETIMER", "HL", "ECN":
		// These change or note the packet and go on, or concern what leaves.
	default:
		r.act = action{kind: jump, target: name}
	}
	p.words = nil
	return nil, true
}

// marking reads MARK or MARK/MASK. What cannot be read is a mark that no packet has.
func marking(s string) (mark, mask uint32) {
	number, bits, masked := strings.Cut(s, "/")
	if !masked {
		bits = "0xffffffff"
	}
	n, err := strconv.ParseUint(number, 0, 32)
	m, maskErr := strconv.ParseUint(bits, 0, 32)
	if err != nil || maskErr != nil {
		return 1, 0
	}
	return uint32(n), uint32(m)
}

// destination reads ADDRESS:PORT of a DNAT target, or the port of a REDIRECT; of a range, the first counts.
func destination(s string, v6 bool) netip.AddrPort {
	if port, err := strconv.ParseUint(firstOf(s), 10, 16); err == nil {
		return netip.AddrPortFrom(netip.Addr{}, uint16(port))
	}
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && (!v6 || strings.HasPrefix(s, "[")) {
		host, port = s[:i], s[i+1:]
	}
	a, err := netip.ParseAddr(firstOf(strings.Trim(host, "[]")))
	if err != nil {
		return netip.AddrPort{}
	}
	n, err := strconv.ParseUint(firstOf(port), 10, 16)
	if err != nil {
		n = 0 // the port stays
	}
	return netip.AddrPortFrom(a, uint16(n))
}

func firstOf(s string) string {
	first, _, _ := strings.Cut(s, "-")
	return first
}

// addressMatch is a condition on an address: ADDRESS, ADDRESS/BITS or ADDRESS/MASK. What cannot be read may hold.
func addressMatch(s string, of func(*packet) netip.Addr) match {
	network, err := netip.ParsePrefix(s)
	if a, addrErr := netip.ParseAddr(s); addrErr == nil {
		network, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil {
		return func(*packet) truth { return maybe }
	}
	return func(k *packet) truth { return within(of(k), network, k) }
}

// within says whether an address is in a network; of an unknown sender that is known only for networks that nobody sends from, and for all.
func within(a netip.Addr, network netip.Prefix, k *packet) truth {
	switch {
	case a.IsValid():
		return fact(network.Contains(a))
	case network.Bits() == 0:
		return yes
	case network.Addr().IsLoopback(), network.Addr().IsMulticast():
		return no
	}
	return k.few(network)
}

// interfaceMatch compares an interface's name with one that may end with a wildcard.
func interfaceMatch(pattern, wildcard, name string) truth {
	prefix, wild := strings.CutSuffix(pattern, wildcard)
	switch {
	case wild && prefix == "":
		return yes
	case pattern == "lo":
		return fact(name == "lo")
	case name == "":
		return maybe
	case wild:
		return fact(strings.HasPrefix(name, prefix))
	}
	return fact(pattern == name)
}

// portMatch compares ports, of which it is known that they are within a range, with a list such as 22,80,8000:8100.
func portMatch(list string, within [2]uint16) truth {
	result := no
	for part := range strings.SplitSeq(list, ",") {
		low, high, ranged := strings.Cut(part, ":")
		if !ranged {
			high = low
		}
		from, errFrom := strconv.ParseUint(low, 10, 16)
		to, errTo := strconv.ParseUint(high, 10, 16)
		if low == "" {
			from, errFrom = 0, nil
		}
		if high == "" {
			to, errTo = 65535, nil
		}
		if errFrom != nil || errTo != nil {
			result = max(result, maybe)
			continue
		}
		result = max(result, overlap(within, uint16(from), uint16(to)))
	}
	return result
}

// overlap says whether what is within one range is within another.
func overlap(within [2]uint16, from, to uint16) truth {
	switch {
	case from <= within[0] && within[1] <= to:
		return yes
	case within[1] < from || to < within[0]:
		return no
	}
	return maybe
}

// flagsMatch says whether a packet with some flags has of those in mask the ones in set, and no others.
func flagsMatch(mask, set string, flags []string) bool {
	has := func(list, flag string) bool {
		for f := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(f, flag) || f == "ALL" {
				return true
			}
		}
		return false
	}
	for _, flag := range []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG"} {
		if has(mask, flag) && has(set, flag) != slices.Contains(flags, strings.ToLower(flag)) {
			return false
		}
	}
	return true
}

// stateMatch says whether a first packet is in one of the states.
func stateMatch(states []string, k *packet) truth {
	is := k.states()
	for _, s := range states {
		s = strings.ToLower(s)
		if slices.Contains(is, s) || s == "dnat" && k.translated {
			return yes
		}
	}
	return no
}
