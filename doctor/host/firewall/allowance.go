package firewall

import (
	"strconv"
	"strings"
)

// allowance is what a rule allows: so many new connections in a second or, with count, so many at a time. Zero: not known.
type allowance struct {
	number float64
	count  bool
}

// What ordinary use does not come up to: devices of one house, or of one shop, come back within seconds.
const (
	generousRate  = 20 // new connections in a second
	generousCount = 100
)

// generous says whether nobody is kept away by it, with so many connections as there are now.
func (a allowance) generous(open int) bool {
	if a.count {
		return a.number >= max(generousCount, 2*float64(open))
	}
	return a.number >= generousRate
}

// perSecond are units of time as both programs write them, in seconds.
var perSecond = map[string]float64{"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

// rated is a number in a unit of time, such as "second", "min" or "h".
func rated(number float64, unit string) allowance {
	if unit == "" {
		unit = "s"
	}
	seconds := perSecond[unit[:1]]
	if seconds == 0 {
		return allowance{}
	}
	return allowance{number: number / seconds}
}

// counting reads an option of iptables whose value is a rate (25/minute) or a number of connections.
func counting(holds func(*packet, allowance) truth) func(p *options) match {
	return func(p *options) match {
		text, unit, timed := strings.Cut(p.next(), "/")
		n, err := strconv.ParseFloat(text, 64)
		of := allowance{number: n, count: true}
		switch {
		case err != nil: // of bytes, or what else there may be
			of = allowance{}
		case timed:
			of = rated(n, unit)
		}
		return func(k *packet) truth { return holds(k, of) }
	}
}

// owning reads an option of iptables whose value is a user or a group, by number or name, or a range of numbers.
func owning(of func(*packet) *Owner) func(p *options) match {
	return func(p *options) match {
		value := p.next()
		first, last, ranged := strings.Cut(value, "-")
		low, err := strconv.Atoi(first)
		high := low
		if ranged && err == nil {
			high, err = strconv.Atoi(last)
		}
		return func(k *packet) truth {
			return k.ownedBy(of(k), func(o Owner) bool {
				return err == nil && low <= o.ID && o.ID <= high || err != nil && o.Name == value
			})
		}
	}
}

// solicitations are the names of a neighbour's question.
var solicitations = []string{"135", "neighbour-solicitation", "neighbor-solicitation", "nd-neighbor-solicit", "any"}

// allows is what a limit of nftables allows: a rate of packets, or a number of connections.
func allows(name string, value any) allowance {
	if name == "ct count" {
		n, _ := object(value)["val"].(float64)
		return allowance{number: n, count: true}
	}
	if unit := text(value, "rate_unit"); unit != "" && unit != "packets" {
		return allowance{} // of bytes
	}
	n, _ := object(value)["rate"].(float64)
	return rated(n, text(value, "per"))
}
