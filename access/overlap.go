package access

import "strings"

// Overlap reports whether there is a topic name that both filters match. A name without wildcards is a filter that matches itself
// alone. Both must be valid filters (MQTT-4.7.1-1 to -3), without $share. Like matching, it knows that a wildcard in the first
// level matches no name that begins with $ (MQTT-4.7.2-1), and that "a/#" matches "a" (MQTT 5.0, 4.7.1.2).
func Overlap(a, b string) bool {
	if reserved(a) != reserved(b) && (wild(a) || wild(b)) {
		return false
	}
	a, b = named(a), named(b)
	for {
		if a == "#" || b == "#" {
			return true
		}
		la, ra, ma := strings.Cut(a, "/")
		lb, rb, mb := strings.Cut(b, "/")
		if la != "+" && lb != "+" && la != lb {
			return false
		}
		switch {
		case ma && mb:
			a, b = ra, rb
		case ma:
			return ra == "#"
		case mb:
			return rb == "#"
		default:
			return true
		}
	}
}

// Covers reports whether every topic name that filter b matches is matched by filter a.
func Covers(a, b string) bool {
	if reserved(b) && wild(a) {
		return false
	}
	if a == "+/#" {
		a = "#" // the same names; further down the two differ, because "a/#" matches "a"
	}
	a, b = named(a), named(b)
	for {
		if a == "#" {
			return true
		}
		if b == "#" {
			return false
		}
		la, ra, ma := strings.Cut(a, "/")
		lb, rb, mb := strings.Cut(b, "/")
		if la != "+" && la != lb { // a literal covers no "+"
			return false
		}
		switch {
		case ma && mb:
			a, b = ra, rb
		case ma:
			return ra == "#"
		case mb:
			return false
		default:
			return true
		}
	}
}

// intersect returns the filter that matches exactly the names that both filters match. The two must overlap.
func intersect(a, b string) string {
	var out strings.Builder
	for {
		switch {
		case a == "#":
			out.WriteString(b)
			return out.String()
		case b == "#":
			out.WriteString(a)
			return out.String()
		}
		la, ra, ma := strings.Cut(a, "/")
		lb, rb, mb := strings.Cut(b, "/")
		if la == "+" {
			la = lb
		}
		out.WriteString(la)
		if !ma || !mb { // if the other has more levels they are "#" alone, which here matches the parent
			return out.String()
		}
		out.WriteByte('/')
		a, b = ra, rb
	}
}

// named returns the filter that matches the same names and has no part in the empty one, which is none (MQTT-4.7.3-1) though it is the parent of "/#".
func named(filter string) string {
	if filter == "/#" {
		return "/+/#"
	}
	return filter
}

// reserved reports whether a filter only matches names that begin with $.
func reserved(filter string) bool { return filter != "" && filter[0] == '$' }

// wild reports whether a filter begins with a wildcard.
func wild(filter string) bool { return filter != "" && (filter[0] == '#' || filter[0] == '+') }
