package firewall

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
)

// ParseNFT reads what nft -j list ruleset prints (libnftables-json(5)).
func ParseNFT(data []byte) (*Ruleset, error) {
	var file struct {
		NFTables []map[string]json.RawMessage `json:"nftables"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("nft -j: %w", err)
	}
	s := newRuleset(nft)
	for i, object := range file.NFTables {
		for kind, raw := range object {
			if err := s.object(kind, raw); err != nil {
				return nil, fmt.Errorf("nft -j, object %d, %s: %w", i, kind, err)
			}
		}
	}
	return s, nil
}

type nftObject struct {
	Family  string            `json:"family"`
	Table   string            `json:"table"`
	Name    string            `json:"name"`
	Hook    string            `json:"hook"`
	Device  json.RawMessage   `json:"dev"`
	Type    json.RawMessage   `json:"type"`
	Prio    int               `json:"prio"`
	Policy  string            `json:"policy"`
	Chain   string            `json:"chain"`
	Comment string            `json:"comment"`
	Expr    []json.RawMessage `json:"expr"`
	Elem    []any             `json:"elem"`
}

func (s *Ruleset) object(kind string, raw json.RawMessage) error {
	switch kind {
	case "table", "chain", "rule", "set", "map":
	default:
		return nil // counters, quotas, the version: nothing that decides by itself
	}
	var o nftObject
	if err := json.Unmarshal(raw, &o); err != nil {
		return err
	}
	switch kind {
	case "table":
		s.table(o.Family, o.Name)
	case "chain":
		c := &chain{
			name: strings.Join([]string{o.Family, o.Table, o.Name}, " "), nat: string(o.Type) == `"nat"`,
			hook: o.Hook, priority: o.Prio, policy: Accept,
		}
		_ = json.Unmarshal(o.Device, &c.device) // a list of devices, or none, leaves it empty: the chain may concern any
		if o.Policy == "drop" {
			c.policy = Drop
		}
		s.table(o.Family, o.Table)[o.Name] = c
	case "set", "map":
		s.sets[setKey{tableKey{o.Family, o.Table}, o.Name}] = o.Elem
	case "rule":
		c := s.table(o.Family, o.Table)[o.Chain]
		if c == nil {
			return fmt.Errorf("the chain %q does not exist", o.Chain)
		}
		r, err := s.nftRule(tableKey{o.Family, o.Table}, o.Expr)
		if err != nil {
			return err
		}
		if o.Comment != "" {
			r.text += fmt.Sprintf(" comment %q", o.Comment)
		}
		c.rules = append(c.rules, r)
	}
	return nil
}

// nftRule reads the expressions of a rule: conditions, and at most one that decides.
func (s *Ruleset) nftRule(table tableKey, exprs []json.RawMessage) (r rule, err error) {
	var words []string
	for _, raw := range exprs {
		var expr map[string]any
		if err := json.Unmarshal(raw, &expr); err != nil {
			var word string // such as "accept" in older versions
			if json.Unmarshal(raw, &word) != nil {
				return rule{}, err
			}
			expr = map[string]any{word: nil}
		}
		for name, value := range expr {
			if text := nftText(name, value); text != "" {
				words = append(words, text)
			}
			r.release = r.release || name == "notrack"
			m, act := s.expression(table, name, value)
			if m != nil {
				r.matches = append(r.matches, m)
			}
			if act != nil {
				r.act = *act
			}
		}
	}
	r.text = strings.Join(words, " ")
	return r, nil
}

// expression reads one statement: a condition, something that decides, or neither.
func (s *Ruleset) expression(table tableKey, name string, value any) (match, *action) {
	switch name {
	case "match":
		return s.nftMatch(table, value), nil
	case "vmap":
		return nil, &action{kind: choose, choose: s.vmap(table, value)}
	case "xt": // a part of iptables that nft cannot show
		if text(value, "type") == "target" {
			return nil, &action{kind: decide, verdict: Unknown}
		}
		return func(*packet) truth { return maybe }, nil
	case "mangle":
		if n, plain := object(value)["value"].(float64); plain && text(object(object(value)["key"])["meta"], "key") == "mark" {
			return nil, &action{kind: write, mark: uint32(n), mask: math.MaxUint32}
		}
		return nil, nil
	case "counter", "log", "limit", "comment", "notrack", "ct helper", "ct timeout", "ct expectation", "ct count", "quota", "set", "map", "flow", "meter", "secmark",
		"masquerade", "snat", "dup", "last", "":
		switch over := truthy(object(value)["inv"]); {
		case name == "quota":
			return func(*packet) truth { return maybe }, nil
		case (name == "limit" || name == "ct count") && over: // over a rate
			return func(k *packet) truth { return k.moreThan(allows(name, value)) }, nil
		case name == "limit" || name == "ct count":
			return func(k *packet) truth { return k.upTo(allows(name, value)) }, nil
		case name == "meter" || name == "set": // elements that are counted one by one
			return s.counter(table, value), nil
		}
		return nil, nil
	}
	if act, ok := verdictOf(name, value); ok {
		return nil, &act
	}
	return func(*packet) truth { return maybe }, nil
}

// counter is the condition of a statement that counts each sender: its limit, if it has one.
func (s *Ruleset) counter(table tableKey, value any) match {
	list, _ := object(value)["stmt"].([]any)
	for _, inner := range append(list, object(value)["stmt"]) {
		for name, v := range object(inner) {
			if m, _ := s.expression(table, name, v); m != nil {
				return m
			}
		}
	}
	return nil
}

// verdictOf reads a statement that decides or leads elsewhere.
func verdictOf(name string, value any) (action, bool) {
	switch name {
	case "accept":
		return action{kind: decide, verdict: Accept}, true
	case "drop":
		return action{kind: decide, verdict: Drop}, true
	case "reject":
		return action{kind: decide, verdict: Reject, reset: text(value, "type") == "tcp reset"}, true
	case "queue", "tproxy", "fwd", "synproxy":
		return action{kind: decide, verdict: Unknown}, true
	case "jump":
		return action{kind: jump, target: text(value, "target")}, true
	case "goto":
		return action{kind: goTo, target: text(value, "target")}, true
	case "return":
		return action{kind: giveBack}, true
	case "continue":
		return action{}, true
	case "dnat", "redirect":
		a := action{kind: translate}
		port, _ := object(value)["port"].(float64)
		addr, err := netip.ParseAddr(text(value, "addr"))
		if err != nil {
			addr = netip.Addr{} // a map decides it, or it stays
		}
		a.to = netip.AddrPortFrom(addr, uint16(port))
		return a, true
	}
	return action{}, false
}

func object(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func text(v any, key string) string {
	s, _ := object(v)[key].(string)
	return s
}

func truthy(v any) bool {
	b, ok := v.(bool)
	return ok && b
}

// elements gives the members of a set: of one in place, of one with a name, or of a single value.
func (s *Ruleset) elements(table tableKey, v any) []any {
	if name, ok := v.(string); ok && strings.HasPrefix(name, "@") {
		return s.sets[setKey{table, name[1:]}]
	}
	if set, ok := object(v)["set"]; ok {
		if list, ok := set.([]any); ok {
			return list
		}
		return []any{set}
	}
	return []any{v}
}

// plain takes the wrapping off an element: a time-out, a comment.
func plain(v any) any {
	if e, ok := object(v)["elem"]; ok {
		return object(e)["val"]
	}
	return v
}

// vmap gives the actions that a verdict map has for a packet, and whether that is known.
func (s *Ruleset) vmap(table tableKey, value any) func(*packet) ([]action, bool) {
	key := object(value)["key"]
	data := object(value)["data"]
	return func(k *packet) (actions []action, known bool) {
		left, v6 := valueOf(key, k), !k.v4()
		known = true
		for _, e := range s.elements(table, data) { // once sets are there: the map may stand below the rule
			pair, ok := e.([]any)
			if !ok || len(pair) != 2 {
				return nil, false
			}
			holds := no
			for _, member := range s.elements(table, plain(pair[0])) {
				holds = max(holds, equal(left, plain(member), v6))
			}
			if pair[0] == "*" { // for all others
				holds = fact(len(actions) == 0)
			}
			if holds == no {
				continue
			}
			known = known && holds == yes
			for name, v := range object(pair[1]) {
				if act, ok := verdictOf(name, v); ok {
					actions = append(actions, act)
				}
			}
		}
		return actions, known
	}
}

// nftMatch reads a condition.
func (s *Ruleset) nftMatch(table tableKey, value any) match {
	op := text(value, "op")
	left, right := object(value)["left"], object(value)["right"]
	return func(k *packet) truth {
		v, v6 := valueOf(left, k), !k.v4()
		if v.kind == absent {
			return no // the packet has no such header
		}
		holds := no
		switch op {
		case "==", "", "in", "!=", "!": // "!": none of these bits is set
			if v.kind == flags {
				holds = equalFlags(v, op, right)
				break
			}
			for _, member := range s.elements(table, right) {
				if list, ok := member.([]any); ok { // of states and flags: any of them
					for _, one := range list {
						holds = max(holds, equal(v, plain(one), v6))
					}
					continue
				}
				holds = max(holds, equal(v, plain(member), v6))
			}
		default: // <, >, <=, >=
			holds = compare(v, op, right)
		}
		if op == "!=" || op == "!" {
			holds = holds.not()
		}
		return holds
	}
}

func compare(v value, op string, right any) truth {
	n, ok := right.(float64)
	switch {
	case v.kind == timed:
		return v.of.timed()
	case v.kind == contents:
		return v.of.contains()
	case !ok:
		return maybe
	case v.kind == length:
		return v.of.measures(compareRange(v, op, int(n)))
	case v.kind == number:
		return compareRange(v, op, int(n))
	}
	return maybe
}

// compareRange compares a number, of which a range is known, with another one.
func compareRange(v value, op string, n int) truth {
	var low, high bool
	switch op {
	case "<":
		low, high = v.low < n, v.high < n
	case ">":
		low, high = v.low > n, v.high > n
	case "<=":
		low, high = v.low <= n, v.high <= n
	case ">=":
		low, high = v.low >= n, v.high >= n
	default:
		return maybe
	}
	if low != high {
		return maybe
	}
	return fact(low)
}

// value is what a packet has in one place.
type value struct {
	kind      valueKind
	low, high int        // of a number, which is known within a range
	addr      netip.Addr // not valid: anybody's
	of        *packet    // whose it is
	words     []string   // one of them
	parts     []value    // of a concatenation
}

type valueKind byte

const (
	unknown valueKind = iota
	absent            // the packet does not have it
	number
	address
	name      // of an interface
	word      // a symbol
	composite // several together
	flags     // of TCP, of which those in words are looked at
	routed    // whether there is a route back to the sender
	mark      // what rules have written on it
	length    // of the packet, a number
	timed     // the time, by a clock that is not known here
	contents  // what the packet brings
)

// synSize is the size of a first packet: an IP and a TCP header with the usual options.
const synSize = 60

// valueOf finds what a left side speaks of in the packet.
func valueOf(expr any, k *packet) value {
	for kind, raw := range object(expr) {
		o := object(raw)
		switch kind {
		case "payload":
			if base := text(raw, "base"); base != "" {
				return rawPayload(base, o, k)
			}
			return payload(text(raw, "protocol"), text(raw, "field"), k)
		case "meta":
			return meta(text(raw, "key"), k)
		case "ct":
			switch text(raw, "key") {
			case "state":
				return value{kind: word, words: k.states()}
			case "status":
				if k.translated {
					return value{kind: word, words: []string{"dnat"}}
				}
				return value{kind: word}
			case "proto-dst":
				if !k.established() {
					return value{kind: number, low: int(k.asked.Port()), high: int(k.asked.Port())}
				}
			case "direction":
				if k.established() && !k.Data {
					return value{kind: word, words: []string{"reply"}}
				}
				return value{kind: word, words: []string{"original"}}
			}
		case "fib":
			return fib(o, k)
		case "exthdr":
			return value{kind: absent}
		case "concat":
			parts, _ := raw.([]any)
			v := value{kind: composite}
			for _, p := range parts {
				v.parts = append(v.parts, valueOf(p, k))
			}
			return v
		case "&":
			pair, _ := raw.([]any)
			if len(pair) == 2 {
				if v := valueOf(pair[0], k); v.kind == flags {
					v.words = strs(pair[1])
					return v
				}
			}
		}
	}
	return value{}
}

func strs(v any) (all []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, e := range v {
			all = append(all, strs(e)...)
		}
	case map[string]any:
		return strs(v["|"])
	}
	return all
}

// allFlags are those of a TCP header.
var allFlags = []string{"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"}

// minTCP is the size of a TCP header without options, in bits: what lies beyond it may be what the packet brings.
const minTCP = 160

// rawPayload is a place in the packet that is named by its offset in bits, from the transport header (th) or what follows it (ih).
func rawPayload(base string, o map[string]any, k *packet) value {
	offset, _ := o["offset"].(float64)
	switch {
	case base != "ih" && (base != "th" || offset < minTCP):
		return value{}
	case !k.Data:
		return value{kind: absent}
	}
	return value{kind: contents, of: k}
}

func payload(protocol, field string, k *packet) value {
	port := func() value {
		from, to := k.ports()
		switch field {
		case "dport":
			return value{kind: number, low: int(to[0]), high: int(to[1])}
		case "sport":
			return value{kind: number, low: int(from[0]), high: int(from[1])}
		}
		return value{}
	}
	switch {
	case k.Neighbour && protocol == "icmpv6" && field == "type":
		return value{kind: word, words: solicitations}
	case k.Neighbour && protocol != "ip" && protocol != "ip6":
		return value{kind: absent}
	}
	switch protocol {
	case "tcp":
		if field == "flags" {
			return value{kind: flags, words: allFlags, of: k}
		}
		return port()
	case "th":
		return port()
	case "ip", "ip6":
		if (protocol == "ip") != k.v4() {
			return value{kind: absent}
		}
		switch field {
		case "saddr":
			return value{kind: address, addr: k.source(), of: k}
		case "daddr":
			return value{kind: address, addr: k.target(), of: k}
		case "protocol", "nexthdr":
			return value{kind: word, words: k.protocol()}
		case "length":
			return value{kind: length, low: int(k.length()[0]), high: int(k.length()[1]), of: k}
		}
		return value{}
	case "udp", "udplite", "icmp", "icmpv6", "sctp", "dccp", "esp", "ah", "comp", "igmp", "arp":
		return value{kind: absent}
	}
	return value{}
}

func meta(key string, k *packet) value {
	switch key {
	case "iifname", "iif":
		return value{kind: name, words: []string{k.In}}
	case "oifname", "oif":
		return value{kind: name, words: []string{k.out}}
	case "l4proto":
		return value{kind: word, words: k.protocol()}
	case "skuid":
		return owner(k.User, k)
	case "skgid":
		return owner(k.Group, k)
	case "nfproto":
		if k.v4() {
			return value{kind: word, words: []string{"ipv4", "2"}}
		}
		return value{kind: word, words: []string{"ipv6", "10"}}
	case "protocol":
		if k.v4() {
			return value{kind: word, words: []string{"ip", "8"}}
		}
		return value{kind: word, words: []string{"ip6", "56710"}}
	case "pkttype":
		return value{kind: word, words: []string{"host", "unicast"}}
	case "mark":
		if k.marked == yes {
			return value{kind: mark, low: int(k.mark)}
		}
	case "length":
		return value{kind: length, low: int(k.length()[0]), high: int(k.length()[1]), of: k}
	case "hour", "day", "time":
		return value{kind: timed, of: k}
	}
	return value{}
}

// owner is who sends the packet, as a user or a group.
func owner(o *Owner, k *packet) value {
	switch {
	case !k.leaves():
		return value{kind: absent}
	case o == nil:
		return value{}
	}
	return value{kind: word, words: []string{o.Name, fmt.Sprint(o.ID)}}
}

// fib is a question to the routing table.
func fib(o map[string]any, k *packet) value {
	of := strs(o["flags"])
	switch {
	case o["result"] == "type" && slices.Contains(of, "daddr"):
		if k.local {
			return value{kind: word, words: []string{"local"}}
		}
		return value{kind: word, words: []string{"unicast"}}
	case o["result"] == "type":
		return value{kind: word, words: []string{"unicast"}}
	case slices.Contains(of, "saddr"):
		return value{kind: routed}
	}
	return value{}
}

// equal says whether a value is what stands on the right.
func equal(v value, right any, v6 bool) truth {
	switch v.kind {
	case unknown:
		return maybe
	case absent:
		return no
	case timed:
		return v.of.timed()
	case contents:
		return v.of.contains()
	case length:
		return v.of.measures(equalNumber(v, right))
	case composite:
		parts, ok := object(right)["concat"].([]any)
		if !ok || len(parts) != len(v.parts) {
			return maybe
		}
		all := yes
		for i, part := range parts {
			all = min(all, equal(v.parts[i], plain(part), v6))
		}
		return all
	case number:
		return equalNumber(v, right)
	case mark:
		return equalMark(v, right)
	case address:
		return equalAddress(v, right, v6)
	case name:
		pattern, ok := right.(string)
		if !ok {
			return maybe
		}
		return interfaceMatch(pattern, "*", v.words[0])
	case word:
		switch right := right.(type) {
		case string:
			return fact(slices.Contains(v.words, right))
		case float64:
			return fact(slices.Contains(v.words, fmt.Sprint(right)))
		}
		return maybe
	case routed:
		exists, ok := right.(bool)
		if !ok {
			return maybe
		}
		return fact(exists)
	}
	return maybe
}

// equalNumber compares a number, of which a range is known, with another one or with a range.
func equalNumber(v value, right any) truth {
	known := [2]uint16{uint16(v.low), uint16(v.high)}
	switch right := right.(type) {
	case float64:
		return overlap(known, uint16(right), uint16(right))
	case map[string]any:
		if pair, ok := right["range"].([]any); ok && len(pair) == 2 {
			low, okLow := pair[0].(float64)
			high, okHigh := pair[1].(float64)
			if okLow && okHigh {
				return overlap(known, uint16(low), uint16(high))
			}
		}
	}
	return maybe
}

// equalMark compares what rules have written on a packet.
func equalMark(v value, right any) truth {
	n, ok := right.(float64)
	if !ok {
		return maybe
	}
	return fact(v.low == int(n))
}

// equalFlags compares the flags of a packet, as far as they are looked at.
func equalFlags(v value, op string, right any) truth {
	n, isNumber := right.(float64)
	among := func(list []string) bool {
		return slices.ContainsFunc(v.of.flags(), func(flag string) bool { return slices.Contains(list, flag) })
	}
	switch {
	case op == "in", op == "!": // one of them
		return fact(among(strs(right)))
	case isNumber && n == 0:
		return fact(!among(v.words))
	case isNumber:
		return maybe
	}
	return fact(flagsMatch(strings.Join(v.words, ","), strings.Join(strs(right), ","), v.of.flags()))
}

func equalAddress(v value, right any, v6 bool) truth {
	a := v.addr
	switch right := right.(type) {
	case string:
		if one, err := netip.ParseAddr(right); err == nil {
			return within(a, netip.PrefixFrom(one, one.BitLen()), v.of)
		}
	case map[string]any:
		if p := object(right["prefix"]); p != nil {
			base, err := netip.ParseAddr(text(right["prefix"], "addr"))
			bits, ok := p["len"].(float64)
			if err == nil && ok {
				if network, err := base.Prefix(int(bits)); err == nil {
					return within(a, network, v.of)
				}
			}
		}
		if pair, ok := right["range"].([]any); ok && len(pair) == 2 {
			low, errLow := netip.ParseAddr(fmt.Sprint(pair[0]))
			high, errHigh := netip.ParseAddr(fmt.Sprint(pair[1]))
			if errLow == nil && errHigh == nil && a.IsValid() {
				return fact(low.Compare(a) <= 0 && a.Compare(high) <= 0 && low.Is6() == v6)
			}
		}
	}
	return maybe
}

// nftText shows a statement in nft's own form, as near as matters to find it in nft list ruleset.
func nftText(name string, v any) string {
	switch name {
	case "match":
		op := text(v, "op") + " "
		if op == "== " || op == "in " {
			op = ""
		}
		return side(object(v)["left"]) + " " + op + side(object(v)["right"])
	case "vmap":
		return side(object(v)["key"]) + " vmap " + side(object(v)["data"])
	case "counter":
		return ""
	case "jump", "goto":
		return name + " " + text(v, "target")
	case "reject":
		with := text(v, "type")
		if code := text(v, "expr"); code != "" {
			with += " " + code
		}
		if with == "" {
			return name
		}
		return name + " with " + with
	case "dnat", "redirect":
		s := name
		if a := text(v, "addr"); a != "" {
			s += " to " + a
		}
		if port, ok := object(v)["port"].(float64); ok {
			s += fmt.Sprintf(":%d", int(port))
		}
		return s
	case "log":
		if p := text(v, "prefix"); p != "" {
			return fmt.Sprintf("log prefix %q", p)
		}
	case "limit":
		return fmt.Sprintf("limit rate %v/%s", object(v)["rate"], text(v, "per"))
	case "xt":
		return "xt " + text(v, "type") + " " + text(v, "name")
	}
	return name
}

func side(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var all []string
		for _, e := range v {
			if pair, ok := e.([]any); ok && len(pair) == 2 {
				all = append(all, side(pair[0])+" : "+side(pair[1]))
				continue
			}
			all = append(all, side(e))
		}
		return strings.Join(all, ", ")
	case map[string]any:
		for kind, raw := range v {
			switch kind {
			case "payload":
				return text(raw, "protocol") + " " + text(raw, "field")
			case "meta":
				key := text(raw, "key")
				if key == "iifname" || key == "oifname" || key == "iif" || key == "oif" {
					return key
				}
				return "meta " + key
			case "ct":
				return "ct " + text(raw, "key")
			case "fib":
				return "fib " + strings.Join(strs(object(raw)["flags"]), " . ") + " " + text(raw, "result")
			case "set":
				return "{ " + side(raw) + " }"
			case "prefix":
				return fmt.Sprintf("%s/%v", text(raw, "addr"), object(raw)["len"])
			case "range":
				if pair, ok := raw.([]any); ok && len(pair) == 2 {
					return side(pair[0]) + "-" + side(pair[1])
				}
			case "concat":
				return strings.ReplaceAll(side(raw), ", ", " . ")
			case "elem":
				return side(object(raw)["val"])
			case "&":
				return strings.ReplaceAll(side(raw), ", ", " & ")
			case "jump", "goto":
				return kind + " " + text(raw, "target")
			case "accept", "drop", "return", "continue":
				return kind
			}
		}
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	return string(bytes.TrimSpace(b))
}
