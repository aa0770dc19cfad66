package topic

// report appends the subscribers and the groups of one filter to into.
func (l *leaf[K]) report(into *Matches[K]) {
	if l.only.Options.RetainHandling&occupied != 0 {
		m := l.only
		m.Options.RetainHandling &^= occupied
		into.Plain = append(into.Plain, m)
	}
	if l.more != nil {
		into.Plain = append(into.Plain, l.more.plain.items...)
		into.Groups = append(into.Groups, l.more.groups.items...)
	}
}

func (l *leaf[K]) empty() bool { return !l.occupied() && l.more == nil }

func (l *leaf[K]) occupied() bool { return l.only.Options.RetainHandling&occupied != 0 }

func (l *leaf[K]) settle(m Subscriber[K]) {
	m.Options.RetainHandling |= occupied
	l.only = m
}

// add adds a subscriber or replaces its options.
func (l *leaf[K]) add(m Subscriber[K]) (existed bool) {
	if l.occupied() && l.only.Key == m.Key {
		l.settle(m)
		return true
	}
	if l.more != nil {
		if i := l.more.plain.find(m.Key); i >= 0 {
			l.more.plain.items[i] = m
			return true
		}
	}
	if !l.occupied() {
		l.settle(m)
		return false
	}
	if l.more == nil {
		l.more = new(crowd[K])
	}
	l.more.plain.add(m)
	return false
}

// drop removes a subscriber. When it was the one in the node and there are more, one of them moves there.
func (l *leaf[K]) drop(key K) (existed bool) {
	if l.occupied() && l.only.Key == key {
		l.only = Subscriber[K]{}
		if l.more != nil && len(l.more.plain.items) > 0 {
			last := len(l.more.plain.items) - 1
			l.settle(l.more.plain.items[last])
			l.more.plain.remove(last)
			l.disperse()
		}
		return true
	}
	if l.more == nil {
		return false
	}
	i := l.more.plain.find(key)
	if i < 0 {
		return false
	}
	l.more.plain.remove(i)
	l.disperse()
	return true
}

// join makes m a member of the group, or replaces its options.
func (l *leaf[K]) join(share, filter string, m Subscriber[K]) (existed bool) {
	if l.more == nil {
		l.more = new(crowd[K])
	}
	if i := l.more.groups.find(share); i >= 0 {
		return l.more.groups.items[i].join(m)
	}
	l.more.groups.add(newGroup(share, filter, m))
	return false
}

// leave ends a membership, and the group with its last member.
func (l *leaf[K]) leave(share string, key K) (existed bool) {
	if l.more == nil {
		return false
	}
	i := l.more.groups.find(share)
	if i < 0 {
		return false
	}
	existed, left := l.more.groups.items[i].leave(key)
	if left == 0 {
		l.more.groups.remove(i)
		l.disperse()
	}
	return existed
}

// disperse lets go of an empty crowd.
func (l *leaf[K]) disperse() {
	if len(l.more.plain.items) == 0 && len(l.more.groups.items) == 0 {
		l.more = nil
	}
}
