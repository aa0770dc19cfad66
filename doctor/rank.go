package doctor

import (
	"cmp"
	"slices"

	"picket/cause"
)

// Rank orders findings by how well they fit and then by severity, joins those of the same cause, and takes out what is a consequence of
// another finding that fits at least as well. What fits equally keeps its order.
func Rank(findings []Finding) []Finding {
	ranked := slices.Clone(findings)
	slices.SortStableFunc(ranked, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Fit, a.Fit), cmp.Compare(severity(b), severity(a)))
	})
	var kept []Finding
	for _, f := range ranked {
		if i := slices.IndexFunc(kept, func(k Finding) bool { return k.Cause == f.Cause }); i >= 0 {
			kept[i].Evidence = union(kept[i].Evidence, f.Evidence)
			continue
		}
		kept = append(kept, f)
	}
	return slices.DeleteFunc(slices.Clone(kept), func(f Finding) bool {
		return slices.ContainsFunc(kept, func(k Finding) bool { return k.Fit >= f.Fit && leads(k.Cause, f.Cause) })
	})
}

func severity(f Finding) cause.Severity {
	c, _ := cause.Lookup(f.Cause)
	return c.Severity
}

// leads tells whether to is a consequence of from, at one remove or several.
func leads(from, to cause.ID) bool {
	c, _ := cause.Lookup(to)
	return slices.ContainsFunc(c.ConsequenceOf, func(id cause.ID) bool { return id == from || leads(from, id) })
}

func union(a, b []int) []int {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
