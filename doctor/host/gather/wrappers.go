package gather

import (
	"errors"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"picket/doctor/host"
)

// The files of TCP wrappers (hosts_access(5)). Of the first, then of the second, the first line that fits decides; who fits none is let in.
const (
	hostsAllow = "/etc/hosts.allow"
	hostsDeny  = "/etc/hosts.deny"
)

// wrappers looks what TCP wrappers say to strangers, for brokers that ask them.
func (g *gatherer) wrappers() {
	for _, b := range g.brokers {
		maps, err := g.read("/proc/" + strconv.Itoa(b.fact.PID) + "/maps")
		if err != nil || !strings.Contains(maps, "/libwrap.so") || b.fact.Container {
			continue // another user's is not shown: then what the broker does is all that tells
		}
		w := host.Wrapped{PID: b.fact.PID, Program: b.fact.Program}
		for _, file := range []string{hostsAllow, hostsDeny} {
			text, err := g.read(file)
			if err != nil {
				if errors.Is(err, os.ErrPermission) {
					g.unread("wrappers", err)
				}
				continue
			}
			rule, deny, some := wrapperRule(text, b.fact.Program, file == hostsDeny)
			w.Allowed = append(w.Allowed, some...)
			if rule == "" {
				continue
			}
			if deny {
				w.File, w.Rule = file, rule
				g.add(w)
			}
			break
		}
	}
}

// wrapperRule is the first line of a file that holds for connections of strangers to a program, and whether it denies; some are lines before it that let a
// part of them in.
func wrapperRule(text, program string, denies bool) (rule string, deny bool, some []string) {
	text = strings.ReplaceAll(text, "\\\n", " ")
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		fields := wrapperFields(line)
		if strings.HasPrefix(line, "#") || len(fields) < 2 || wrapperList(fields[0], func(p string) wrapperFit { return programFits(p, program) }) != fitsAll {
			continue
		}
		deny = denies
		for _, option := range fields[2:] { // libwrap may be told otherwise line by line (hosts_options(5))
			switch strings.ToLower(strings.TrimSpace(option)) {
			case "deny":
				deny = true
			case "allow":
				deny = false
			}
		}
		switch wrapperList(fields[1], strangerFits) {
		case fitsAll:
			return line, deny, some
		case fitsSome:
			if !deny {
				some = append(some, "«"+line+"»")
			}
		}
	}
	return "", false, some
}

// wrapperFields are the parts between the colons of a line, outside of brackets, which addresses of IPv6 stand in.
func wrapperFields(line string) (fields []string) {
	depth, start := 0, 0
	for i, r := range line {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case r == ':' && depth <= 0:
			fields, start = append(fields, line[start:i]), i+1
		}
	}
	return append(fields, line[start:])
}

// wrapperFit is of how many a pattern holds.
type wrapperFit int

const (
	fitsNone wrapperFit = iota
	fitsSome
	fitsAll
)

// wrapperList is of how many a list holds, with what follows EXCEPT taken out.
func wrapperList(list string, fits func(string) wrapperFit) wrapperFit {
	holds, except, taken := fitsNone, false, fitsNone
	for word := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' }) {
		switch {
		case word == "EXCEPT":
			except = true
		case except:
			taken = max(taken, fits(word))
		default:
			holds = max(holds, fits(word))
		}
	}
	switch taken {
	case fitsAll:
		return fitsNone
	case fitsSome:
		return holds // all but a few
	}
	return holds
}

func programFits(pattern, program string) wrapperFit {
	name, _, _ := strings.Cut(pattern, "@")
	if name == "ALL" || name == program {
		return fitsAll
	}
	return fitsNone
}

// strangerFits says of how many of the senders that are not on this machine a pattern holds.
func strangerFits(pattern string) wrapperFit {
	switch pattern {
	case "ALL", "0.0.0.0/0", "0.0.0.0/0.0.0.0", "*", "*.*.*.*":
		return fitsAll
	case "localhost", "PARANOID", "ip6-localhost":
		return fitsNone
	}
	if a, err := netip.ParseAddr(strings.Trim(pattern, "[]")); err == nil && a.IsLoopback() || strings.HasPrefix(pattern, "127.") {
		return fitsNone
	}
	return fitsSome
}
