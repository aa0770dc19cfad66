package ban

import (
	"container/list"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Rule bans an address by itself: Count failures Within a time are a ban For a time, and each further ban within a day lasts twice as long as the one before, up to a
// day. An address of IPv6 counts as its /64, which one subscriber has. The machine's own addresses are never banned.
type Rule struct {
	Count  int
	Within time.Duration
	For    time.Duration
	Causes []string // ids of the catalogue: which failures count
}

// Bounds of a rule.
const (
	maxCount      = 1000
	longestBan    = 24 * time.Hour
	maxOffenders  = 4096 // addresses that are counted
	leastDuration = time.Second
)

// ParseRule reads "20/10m 15m bad-credentials malformed-packet": 20 failures of these kinds within 10 minutes are a ban for 15. Without causes it is defaults.
func ParseRule(text string, defaults []string) (*Rule, error) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return nil, errors.New("a number of failures within a time, and how long the ban lasts, are expected: 20/10m 15m")
	}
	r := &Rule{Causes: words[2:]}
	if len(r.Causes) == 0 {
		r.Causes = defaults
	}
	count, within, ok := strings.Cut(words[0], "/")
	n, err := strconv.Atoi(count)
	if !ok || err != nil || n < 1 || n > maxCount {
		return nil, fmt.Errorf("%q is no number of failures within a time: write 20/10m, with a number from 1 to %d", words[0], maxCount)
	}
	r.Count = n
	for _, d := range []struct {
		to   *time.Duration
		text string
	}{{&r.Within, within}, {&r.For, words[1]}} {
		if *d.to, err = time.ParseDuration(d.text); err != nil || *d.to < leastDuration || *d.to > longestBan {
			return nil, fmt.Errorf("%q is no time from 1s to 24h, such as 90s, 10m or 2h", d.text)
		}
	}
	return r, nil
}

// offenders counts failures by address, and knows who is banned for them. The zero value counts nothing. It reads no clock. Safe for concurrent use.
type offenders struct {
	mu     sync.Mutex
	rule   *Rule
	byAddr map[netip.Prefix]*list.Element // of *offender
	order  list.List                      // who failed last in front
}

// offender is an address that has failed.
type offender struct {
	network  netip.Prefix
	failures []time.Time // within the rule's time, oldest first; at most its count
	bans     int         // within a day
	since    time.Time   // the last of them
	until    time.Time
	why      string
	refused  uint64
	last     time.Time
}

// networkOf is what a rule counts an address by; ok is false for those that it never bans.
func networkOf(a netip.Addr) (p netip.Prefix, ok bool) {
	a = a.Unmap().WithZone("")
	if !a.IsValid() || a.IsLoopback() {
		return netip.Prefix{}, false
	}
	bits := 64
	if a.Is4() {
		bits = 32
	}
	return netip.PrefixFrom(a, bits).Masked(), true
}

// use puts a rule in force; nil: none, and whom it had banned is free.
func (o *offenders) use(r *Rule) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.rule = r; r == nil {
		o.byAddr = nil
		o.order.Init()
	}
}

// fail counts a failure, and returns the ban that follows from it; nil: none does.
func (o *offenders) fail(a netip.Addr, cause string, now time.Time) *Ban {
	o.mu.Lock()
	defer o.mu.Unlock()
	network, ok := networkOf(a)
	if o.rule == nil || !ok || !slices.Contains(o.rule.Causes, cause) {
		return nil
	}
	of := o.of(network)
	of.failures = slices.DeleteFunc(of.failures, func(at time.Time) bool { return now.Sub(at) > o.rule.Within })
	if of.failures = append(of.failures, now); len(of.failures) < o.rule.Count || now.Before(of.until) {
		of.failures = of.failures[max(0, len(of.failures)-o.rule.Count):]
		return nil
	}
	if now.Sub(of.until) > longestBan {
		of.bans = 0
	}
	length := longestBan
	if of.bans < 20 && o.rule.For<<of.bans < longestBan {
		length = o.rule.For << of.bans
	}
	of.bans++
	of.failures = nil
	of.since, of.until = now, now.Add(length)
	of.why = fmt.Sprintf("%s, %d times within %s", cause, o.rule.Count, o.rule.Within)
	b := of.ban()
	return &b
}

// of finds or makes the entry of an address. Where there are too many, that of who failed longest ago goes.
func (o *offenders) of(network netip.Prefix) *offender {
	if e := o.byAddr[network]; e != nil {
		o.order.MoveToFront(e)
		return e.Value.(*offender)
	}
	if o.byAddr == nil {
		o.byAddr = make(map[netip.Prefix]*list.Element)
	}
	if len(o.byAddr) >= maxOffenders {
		old := o.order.Back()
		delete(o.byAddr, old.Value.(*offender).network)
		o.order.Remove(old)
	}
	of := &offender{network: network}
	o.byAddr[network] = o.order.PushFront(of)
	return of
}

func (of *offender) ban() Ban {
	return Ban{Kind: Address, Value: nameOf(of.network), Until: of.until.UTC().Truncate(time.Second), Since: of.since.UTC().Truncate(time.Second), Why: of.why}
}

// address finds the ban of an address; refuses counts that it has kept somebody out.
func (o *offenders) address(a netip.Addr, now time.Time, refuses bool) *Ban {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.byAddr) == 0 {
		return nil
	}
	network, _ := networkOf(a)
	e := o.byAddr[network]
	if e == nil || !now.Before(e.Value.(*offender).until) {
		return nil
	}
	of := e.Value.(*offender)
	if refuses {
		of.refused++
		of.last = now
	}
	b := of.ban()
	return &b
}

// forgive forgets what the addresses of a network have done, and reports whether one was banned.
func (o *offenders) forgive(network netip.Prefix, now time.Time) (found bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p, e := range o.byAddr {
		if !network.Overlaps(p) {
			continue
		}
		found = found || now.Before(e.Value.(*offender).until)
		delete(o.byAddr, p)
		o.order.Remove(e)
	}
	return found
}

// within tells whether an address of a network is banned.
func (o *offenders) within(network netip.Prefix, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p, e := range o.byAddr {
		if network.Overlaps(p) && now.Before(e.Value.(*offender).until) {
			return true
		}
	}
	return false
}

// all returns the bans in force.
func (o *offenders) all(now time.Time) (all []State) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for e := o.order.Front(); e != nil; e = e.Next() {
		if of := e.Value.(*offender); now.Before(of.until) {
			s := State{Ban: of.ban(), Rule: true, Refused: of.refused}
			if !of.last.IsZero() {
				s.Last = of.last.UTC().Truncate(time.Second)
			}
			all = append(all, s)
		}
	}
	return all
}
