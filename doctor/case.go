package doctor

import (
	"slices"

	"picket/cause"
)

// How well a finding fits: one scale for both sides. From certain the facts leave nothing else, from likely the cause is likelier than not.
const (
	Sure     = 95 // the facts exclude the neighbours
	Probable = 75
	Possible = 40 // nothing but a possibility

	certain  = 90
	likely   = 50
	unlikely = 40 // beside a finding that is certain, one that fits worse is not worth a word
	doubtful = certain - 1
)

// Case is one examination: what was seen, and what has been concluded from it so far. The client's side and the machine's have one each; it belongs
// to the goroutine that draws the conclusions.
//
// The rules add findings; [Case.Conclude] strikes out those that other facts contradict, takes the certainty from those that share their evidence with a
// neighbour, orders them, and says of what is bad and nobody has explained that it is there.
type Case struct {
	Facts    []Fact
	findings []*Finding
	settled  map[int]bool // bad facts that mean nothing: they are explained without a finding
}

// Add adds a finding, which may still be changed through the result.
func (c *Case) Add(f Finding) *Finding {
	slices.Sort(f.Evidence)
	f.Evidence = slices.Compact(f.Evidence)
	c.findings = append(c.findings, &f)
	return &f
}

// Found is the finding of a cause so far; nil if there is none.
func (c *Case) Found(id cause.ID) *Finding {
	i := slices.IndexFunc(c.findings, func(f *Finding) bool { return f.Cause == id })
	if i < 0 {
		return nil
	}
	return c.findings[i]
}

// Findings are those that were added, in that order. They may be changed.
func (c *Case) Findings() []*Finding { return c.findings }

// Settle says that facts, by their places, need no explanation: nothing is wrong although they look bad.
func (c *Case) Settle(at ...int) {
	if c.settled == nil {
		c.settled = make(map[int]bool)
	}
	for _, i := range at {
		c.settled[i] = true
	}
}

// Rule draws findings from facts. It is asked where there are facts of one of the kinds that it needs.
type Rule[C any] struct {
	Stage cause.Stage
	Needs []string // kinds of facts; nil: always
	// Draw adds findings and tells whether a client's way ends at the rule's stage: then the rules after it are not asked.
	Draw func(C) (ends bool)
}

// Apply asks the rules in their order, and gives the stage of the one at which the way ends.
func Apply[C any](facts []Fact, examined C, rules []Rule[C]) (end cause.Stage) {
	kinds := make(map[string]bool)
	for _, f := range facts {
		kinds[f.Kind()] = true
	}
	for _, r := range rules {
		if r.Needs != nil && !slices.ContainsFunc(r.Needs, func(kind string) bool { return kinds[kind] }) {
			continue
		}
		if r.Draw(examined) {
			return r.Stage
		}
	}
	return ""
}

// contradiction strikes a finding out when the facts show that it cannot be.
type contradiction struct {
	cause cause.ID
	shows func([]Fact, *Finding) bool
}

// contradictions are what facts say against causes, whatever rule has found them.
var contradictions = []contradiction{
	// Who forbids a topic forbids it at every QoS.
	{cause.ACLSilent, cameBack}, {cause.ACLPublishDenied, cameBack},
	{cause.BrokerNotRunning, allAccepted}, {cause.LoopbackOnly, accepted}, {cause.BrokerSilent, accepted}, {cause.ClientOffline, accepted},
}

// cameBack: a message to the topic of the finding has come back.
func cameBack(facts []Fact, f *Finding) bool {
	return slices.ContainsFunc(facts, func(one Fact) bool {
		p, ok := one.(Publish)
		return ok && p.Result == Returned && p.Topic == f.Values["topic"] && !p.Retain
	})
}

// accepted: a client was let in, at the address that the finding is about, and the finding is not about what came after that.
func accepted(facts []Fact, f *Finding) bool {
	if slices.ContainsFunc(f.Evidence, func(at int) bool {
		return facts[at].Kind() == Elsewhere{}.Kind() || facts[at].Stage() == cause.Use || facts[at].Stage() == cause.Stay
	}) {
		return false
	}
	return slices.ContainsFunc(facts, func(one Fact) bool { c, ok := one.(Connect); return ok && c.Result == Accepted })
}

// allAccepted: as [accepted], and the finding does not rest on a login that was let in itself: of several brokers behind an address one may be dead.
func allAccepted(facts []Fact, f *Finding) bool {
	let := func(at int) bool { c, is := facts[at].(Connect); return is && c.Result == Accepted }
	return accepted(facts, f) && !slices.ContainsFunc(f.Evidence, let)
}

// Conclude gives the findings, the best first.
func (c *Case) Conclude(end cause.Stage) []Finding {
	var kept []Finding
	for _, f := range c.findings {
		struck := slices.ContainsFunc(contradictions, func(d contradiction) bool { return d.cause == f.Cause && d.shows(c.Facts, f) })
		if !struck {
			kept = append(kept, *f)
		}
	}
	ranked := Rank(kept)
	doubt(ranked)
	if f := c.unexplained(ranked, end); f != nil {
		ranked = Rank(append(ranked, *f))
	}
	return ranked
}

// doubt takes the certainty from findings that have a likely neighbour with the same evidence: both cannot be certain.
func doubt(ranked []Finding) {
	for i := range ranked {
		for j := range ranked {
			rival := i != j && ranked[j].Fit >= likely && ranked[i].Fit-ranked[j].Fit < 20 && severity(ranked[j]) == cause.Error && !leads(ranked[i].Cause, ranked[j].Cause)
			if rival && ranked[i].Fit >= certain && ranked[j].Fit < certain && slices.Equal(ranked[i].Evidence, ranked[j].Evidence) {
				ranked[i].Fit = doubtful
			}
		}
	}
}

// unexplained is the finding about what is bad and has no other; nil if there is nothing of the kind, or if what was found already keeps clients away.
func (c *Case) unexplained(ranked []Finding, end cause.Stage) *Finding {
	explained := make(map[int]bool)
	for _, f := range ranked {
		if f.Fit >= likely && (severity(f) == cause.Error || end != "") {
			return nil
		}
		for _, at := range f.Evidence {
			explained[at] = true
		}
	}
	var left []int
	for i, f := range c.Facts {
		if f.Outcome() == Bad && !explained[i] && !c.settled[i] {
			left = append(left, i)
		}
	}
	if len(left) == 0 && (end == "" || len(ranked) > 0) {
		return nil
	}
	f := &Finding{Cause: cause.Unexplained, Fit: likely, Evidence: left}
	if f.stage = end; end == "" {
		f.stage = c.Facts[left[0]].Stage()
	}
	return f
}
