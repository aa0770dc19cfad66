package gather

import (
	"errors"
	"slices"

	"picket/cloud/detect"
	"picket/doctor"
	"picket/doctor/host"
)

// cloud tells which cloud the machine runs in, and asks its metadata service for the public address.
func (g *gatherer) cloud() {
	d := detect.Detector{Root: g.Root, Metadata: g.Metadata}
	name := d.Cloud()
	if name == "" {
		return
	}
	c := host.Cloud{Name: name, By: "DMI", Public: []string{}}
	g.doing("asking the cloud's metadata service", "查询云平台元数据")
	public, err := d.Public(g.ctx, name)
	switch {
	case errors.Is(err, detect.ErrNoService):
	case err != nil:
		g.unread("metadata", err)
	default:
		c.Asked = true
		for _, a := range public {
			c.Public = append(c.Public, a.String())
		}
		g.public = append(g.public, c.Public...)
	}
	g.add(c)
}

// publicKnown says so when nothing tells the machine's address on the internet.
func (g *gatherer) publicKnown() {
	asked := slices.ContainsFunc(g.facts, func(f doctor.Fact) bool { c, ok := f.(host.Cloud); return ok && c.Asked })
	own := slices.ContainsFunc(g.own.All, func(a host.Address) bool { return a.Reach == "internet" })
	if !asked && !own && len(g.public) == 0 {
		g.add(host.PublicUnknown{})
	}
}
