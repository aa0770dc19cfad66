package machine

// Match reports whether s matches a pattern as PSUBSCRIBE, SENTINEL RESET and CONFIG GET use them: * any characters, ? one, [a-c] or [^a-c] one of
// a set, \ takes the next character as it is. Its time grows with the product of the lengths, never faster.
func Match(pattern, s string) bool {
	star, retry := -1, 0
	p, i := 0, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, retry = p, i
			p++
			continue
		}
		if p < len(pattern) {
			if next, ok := matchOne(pattern, p, s[i]); ok {
				p = next
				i++
				continue
			}
		}
		if star < 0 {
			return false
		}
		// Let the last star take one character more.
		retry++
		p, i = star+1, retry
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches one character at pattern[p] and returns where the pattern goes on.
func matchOne(pattern string, p int, c byte) (next int, ok bool) {
	switch pattern[p] {
	case '?':
		return p + 1, true
	case '\\':
		if p+1 < len(pattern) {
			p++
		}
		return p + 1, pattern[p] == c
	case '[':
		p++
		not := p < len(pattern) && pattern[p] == '^'
		if not {
			p++
		}
		found := false
		for ; p < len(pattern) && pattern[p] != ']'; p++ {
			switch {
			case pattern[p] == '\\' && p+1 < len(pattern):
				p++
				found = found || pattern[p] == c
			case p+2 < len(pattern) && pattern[p+1] == '-':
				lo, hi := pattern[p], pattern[p+2]
				if lo > hi {
					lo, hi = hi, lo
				}
				found = found || lo <= c && c <= hi
				p += 2
			default:
				found = found || pattern[p] == c
			}
		}
		return min(p+1, len(pattern)), found != not
	}
	return p + 1, pattern[p] == c
}
