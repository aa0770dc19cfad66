package api

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"picket/ban"
	"picket/broker"
)

// condition tells whether a client is one of those that are looked for.
type condition func(*broker.ClientState) bool

// The fields of a client that can be asked about.
var (
	textFields = map[string]func(*broker.ClientState) string{
		fieldID:     func(c *broker.ClientState) string { return c.ID },
		"user":      func(c *broker.ClientState) string { return c.User },
		"listener":  func(c *broker.ClientState) string { return c.Listener },
		"transport": func(c *broker.ClientState) string { return c.Transport },
		"mqtt":      func(c *broker.ClientState) string { return c.Version },
	}
	numberFields = map[string]func(*broker.ClientState) int64{
		"keep_alive_seconds":     func(c *broker.ClientState) int64 { return int64(c.KeepAlive) },
		"idle_seconds":           func(c *broker.ClientState) int64 { return c.Idle },
		"session_expiry_seconds": func(c *broker.ClientState) int64 { return int64(c.Expiry) },
		"subscriptions":          func(c *broker.ClientState) int64 { return int64(c.Subscriptions) },
		"inflight":               func(c *broker.ClientState) int64 { return int64(c.Inflight) },
		"queued":                 func(c *broker.ClientState) int64 { return int64(c.Queued) },
		"queued_bytes":           func(c *broker.ClientState) int64 { return int64(c.QueuedBytes) },
		"output_bytes":           func(c *broker.ClientState) int64 { return int64(c.Output) },
	}
	flagFields = map[string]func(*broker.ClientState) bool{
		"connected": func(c *broker.ClientState) bool { return c.Connected },
		"tls":       func(c *broker.ClientState) bool { return c.TLS },
		"will":      func(c *broker.ClientState) bool { return c.Will },
	}
)

// fieldID is the one whose order people know.
const fieldID = "id"

// fieldAddress is the one that is compared with addresses and networks.
const fieldAddress = "address"

// operators in the order in which they are looked for.
var operators = []string{"!=", "^=", "=", "<", ">", "~"}

// fieldNames are those of all fields.
func fieldNames() []string {
	all := slices.Concat(slices.Collect(maps.Keys(textFields)), slices.Collect(maps.Keys(numberFields)), slices.Collect(maps.Keys(flagFields)), []string{fieldAddress})
	slices.Sort(all)
	return all
}

// parseWhere reads a condition: a field, an operator, and a value, such as queued>0, id^=dev, address=10.0.0.0/8.
func parseWhere(s string) (condition, error) {
	end := strings.IndexFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && r != '_' })
	if end <= 0 {
		return nil, fmt.Errorf("a field, one of %s, and a value are expected, such as queued>0", strings.Join(operators, " "))
	}
	field, rest := s[:end], s[end:]
	for _, op := range operators {
		if value, ok := strings.CutPrefix(rest, op); ok {
			return compare(field, op, value)
		}
	}
	return nil, fmt.Errorf("behind %s one of %s is expected", field, strings.Join(operators, " "))
}

// compare makes a condition.
func compare(field, op, value string) (condition, error) {
	if of := textFields[field]; of != nil {
		holds := map[string]func(is, value string) bool{
			"=": func(is, v string) bool { return is == v }, "!=": func(is, v string) bool { return is != v }, "^=": strings.HasPrefix, "~": strings.Contains,
			"<": func(is, v string) bool { return is < v }, ">": func(is, v string) bool { return is > v },
		}[op]
		if holds == nil {
			return nil, fmt.Errorf("%s is text, which is compared by = != < > ^= (begins with) and ~ (contains)", field)
		}
		return func(c *broker.ClientState) bool { return holds(of(c), value) }, nil
	}
	if of := numberFields[field]; of != nil {
		n, err := strconv.ParseInt(value, 10, 64)
		wanted := map[string][]int{"=": {0}, "!=": {-1, 1}, "<": {-1}, ">": {1}}[op]
		if err != nil || wanted == nil {
			return nil, fmt.Errorf("%s is a number, which is compared by = != < and > with another", field)
		}
		return func(c *broker.ClientState) bool { return slices.Contains(wanted, cmp.Compare(of(c), n)) }, nil
	}
	if of := flagFields[field]; of != nil {
		if value != "true" && value != "false" || op != "=" && op != "!=" {
			return nil, fmt.Errorf("%s is true or false, which is compared by = and !=", field)
		}
		wanted := (value == "true") == (op == "=")
		return func(c *broker.ClientState) bool { return of(c) == wanted }, nil
	}
	if field == fieldAddress {
		return compareAddress(op, value)
	}
	return nil, fmt.Errorf("there is no field %s; there are %s", field, strings.Join(fieldNames(), ", "))
}

// compareAddress makes a condition about the address that a client has connected from; one that has none is nowhere.
func compareAddress(op, value string) (condition, error) {
	network, err := ban.ParseNetwork(value)
	if err != nil {
		return nil, err
	}
	if op != "=" && op != "!=" {
		return nil, fmt.Errorf("%s is compared by = and != with an address or a network", fieldAddress)
	}
	return func(c *broker.ClientState) bool { return inside(network, c.Address) == (op == "=") }, nil
}

func inside(network netip.Prefix, at netip.AddrPort) bool {
	return at.IsValid() && network.Contains(at.Addr().Unmap().WithZone(""))
}

// sortable are the fields that a list can be sorted by, with a - for the largest first.
func sortable() (all []string) {
	for _, name := range append([]string{fieldID}, slices.Sorted(maps.Keys(numberFields))...) {
		all = append(all, name, "-"+name)
	}
	return all
}

// comparison compares clients by one of the fields that a list can be sorted by.
func comparison(field string) func(a, b *broker.ClientState) int {
	if field == fieldID {
		return func(a, b *broker.ClientState) int { return cmp.Compare(a.ID, b.ID) }
	}
	of := numberFields[field]
	return func(a, b *broker.ClientState) int { return cmp.Compare(of(a), of(b)) }
}

// parseCursor reads where a list goes on; "" is its beginning.
func parseCursor(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 36, 31)
	if err != nil {
		return 0, fmt.Errorf("next of an answer is expected")
	}
	return int(n), nil
}

func cursor(place int) string { return strconv.FormatUint(uint64(place), 36) }
