package broker

// gauge turns readings into a state that does not flap: it is up once rise readings in a row were at high or above, and down again only
// after fall readings in a row below low.
type gauge struct {
	high, low  float64
	rise, fall int

	up  bool
	run int // readings in a row that speak for the other state
}

// read takes a reading and tells whether the state has changed.
func (g *gauge) read(v float64) (changed bool) {
	against := v >= g.high
	need := g.rise
	if g.up {
		against, need = v < g.low, g.fall
	}
	if !against {
		g.run = 0
		return false
	}
	if g.run++; g.run < need {
		return false
	}
	g.run = 0
	g.up = !g.up
	return true
}
