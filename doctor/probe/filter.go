package probe

import (
	"context"
	"net/netip"
	"os/exec"
	"time"

	"picket/doctor"
	"picket/doctor/host/firewall"
)

// filterLimit bounds each program that shows the filter's rules.
const filterLimit = 5 * time.Second

// ownFilter looks whether this machine's own packet filter keeps the connection in. Only root may read its rules; elsewhere, and on other systems, nothing
// is said.
func (p *prober) ownFilter(ctx context.Context) {
	var parts []*firewall.Ruleset
	for _, program := range firewall.Programs() {
		limited, cancel := context.WithTimeout(ctx, filterLimit)
		out, err := exec.CommandContext(limited, program.Name, program.Args...).Output() //nolint:gosec // a list of our own
		cancel()
		if err != nil || len(out) == 0 {
			continue
		}
		if rules, err := program.Parse(out); err == nil {
			parts = append(parts, rules)
		}
	}
	if len(parts) == 0 {
		return
	}
	rules := firewall.Join(parts...)
	for _, f := range p.facts {
		r, is := f.(doctor.Route)
		if !is || r.Denied || p.target.Port == 0 {
			continue
		}
		to, _ := netip.ParseAddr(r.Address) // our own words
		source, _ := netip.ParseAddr(r.Source)
		for _, answers := range []bool{false, true} {
			d := rules.Decide(firewall.Packet{From: to, To: source, Port: uint16(p.target.Port), In: r.Interface, Opening: !answers, Answer: answers}, nil)
			if d.Verdict == firewall.Drop || d.Verdict == firewall.Reject {
				p.add(doctor.OwnFilter{Address: r.Address, Port: p.target.Port, Verdict: d.Verdict.String(), Where: d.Where, Rule: doctor.Printable(d.Rule, 300), Answers: answers})
				break
			}
		}
	}
}
