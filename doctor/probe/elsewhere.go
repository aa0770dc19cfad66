package probe

import (
	"context"
	"net/netip"
	"slices"
	"sync"

	"picket/doctor"
)

// elsewhere asks the other open addresses of a name what the chosen one is asked, and notes which of them answer otherwise: clients come to each of
// them.
func (p *prober) elsewhere(ctx context.Context) {
	if len(p.others) == 0 || ctx.Err() != nil {
		return
	}
	p.doing("comparing the addresses of the name", "正在比较该域名的各个地址")
	said := doctor.SayMQTT
	if p.webSocket() {
		said = doctor.SayHTTP
	}
	switch {
	case !p.secure() && !p.webSocket() && p.User != "":
		said = doctor.SayLogin // the one that the user's login went to was no better protected
	case p.secure():
		said = doctor.SayTLSThen + said
	}
	all := append([]netip.Addr{p.address}, p.others...)
	heard := make([]doctor.Opening, len(all))
	var wait sync.WaitGroup
	for i, a := range all {
		wait.Go(func() { heard[i] = p.opening(ctx, a, p.target.Port, said) })
	}
	wait.Wait()
	here := heard[0]
	for _, there := range heard[1:] {
		if there.Heard != here.Heard || there.Heard == doctor.HearMQTT && there.Status != here.Status {
			p.add(doctor.Elsewhere{There: there, Here: here})
		}
	}
}

// openAddresses are those of the attempts that have opened the port, without the chosen one.
func (p *prober) openAddresses(asked []doctor.Dial) (others []netip.Addr) {
	for _, f := range asked {
		a, err := netip.ParseAddr(f.Address)
		if err == nil && f.Result == doctor.Open && a != p.address && !slices.Contains(others, a) {
			others = append(others, a)
		}
	}
	return others
}
