package backend

import (
	"context"
	"slices"

	"picket/access"
	"picket/cause"
)

// question is a right that sources are asked for.
type question struct {
	set   *Set
	of    []*asked
	right right
}

// part is one thing that one source is asked.
type part struct {
	*asked
	right right
}

// parts are what the sources are asked, in this order: yes to one is a yes.
func (q question) parts() (all []part) {
	superuser := part{right: right{user: q.right.user}}
	for _, a := range q.of {
		if a.Superuser {
			superuser.asked = a
			all = append(all, superuser)
		}
		if q.set.conf.Exhaust && a.Rules && q.right.action != 0 {
			all = append(all, part{a, q.right})
		}
	}
	if q.set.conf.Exhaust || q.right.action == 0 {
		return all
	}
	for _, a := range q.of {
		if a.Rules {
			all = append(all, part{a, q.right})
		}
	}
	return all
}

// known is the answer where it can be had at once, and otherwise one that only says that it comes later.
func (q question) known() access.Decision {
	missing := false
	for _, p := range q.parts() {
		switch ok, here := q.look(p); {
		case ok:
			return access.Decision{Allow: true}
		case !here:
			missing = true
		}
	}
	if missing {
		return access.Decision{Later: new(access.Later)}
	}
	return q.no()
}

func (q question) no() access.Decision {
	return access.Decision{Cause: denied[q.right.action], Text: "no back end allows it"}
}

// look looks for the answer to one part without waiting.
func (q question) look(p part) (ok, here bool) {
	if p.instant() {
		ok, err := p.may(q.set.ctx, p.right)
		return ok && err == nil, true
	}
	was, fresh, _ := q.set.rights.get(q.set.rights.right(p.Name, p.right))
	return was.ok && fresh, fresh
}

// get asks for all that is not known, until one says yes. It blocks.
func (q question) get(ctx context.Context) access.Decision {
	no := q.no()
	for _, p := range q.parts() {
		ok, here := q.look(p)
		if !here {
			k := q.set.rights.right(p.Name, p.right)
			was, _, _ := q.set.rights.get(k)
			var err error
			if ok, err = q.set.fetch(ctx, p.asked, k, p.right); err != nil {
				ok = was.ok && q.set.conf.KeepLast
				no = down
			}
		}
		if ok {
			return access.Decision{Allow: true}
		}
	}
	return no
}

// decide answers at once where that can be, and later otherwise.
func (q question) decide() access.Decision {
	d := q.known()
	switch {
	case d.Later != nil:
		d.Later.Get = q.get
	case !d.Allow && q.right.restored && slices.ContainsFunc(q.of, func(a *asked) bool { return a.JWT != nil }):
		// Its token would say, and is not there: a will is not published, but what was published stays.
		no := d
		return later(func(context.Context) access.Decision { return no })
	}
	return d
}

// subscribe decides about a filter: whoever may subscribe to it must also be allowed to read it, as that is not asked for each message. It is noted in g.
func (q question) subscribe(g *grant) access.Decision {
	reading := q
	reading.right.action = access.Deliver
	finish := func(d access.Decision) access.Decision {
		if d.Cause == cause.ACLReadDenied {
			d.Cause = cause.ACLSubscribeDenied
		}
		if d.Allow && g != nil {
			g.filters.add(q.right.topic)
		}
		return d
	}
	first, second := q.known(), reading.known()
	switch {
	case first.Later == nil && !first.Allow:
		return first
	case first.Later == nil && second.Later == nil:
		return finish(second)
	}
	return later(func(ctx context.Context) access.Decision {
		if d := q.get(ctx); !d.Allow {
			return d
		}
		return finish(reading.get(ctx))
	})
}

// deliver decides about a message, at once.
func (q question) deliver(g *grant) bool {
	var slow []part
	for _, p := range q.parts() {
		switch {
		case p.instant():
			if ok, err := p.may(q.set.ctx, p.right); ok && err == nil {
				return true
			}
		case p.right.action == 0:
			if q.last(p, false) {
				return true
			}
		default:
			slow = append(slow, p)
		}
	}
	var some []string
	if g != nil {
		some = g.filters.of(q.right.topic)
	}
	if len(some) == 0 { // a subscription of an earlier connection, or before a restart
		some = []string{q.right.topic}
	}
	for _, p := range slow {
		for _, filter := range some {
			p.right.topic = filter
			if q.last(p, true) {
				return true
			}
		}
	}
	return false
}

// last is the last answer of a source, which is asked anew beside that when it is too old. Where it was never asked, unasked counts until its answer is there: what a
// client has subscribed to, it was allowed to subscribe to.
func (q question) last(p part, unasked bool) bool {
	k := q.set.rights.right(p.Name, p.right)
	was, fresh, known := q.set.rights.get(k)
	if fresh {
		return was.ok
	}
	if !q.set.refresh(p.asked, k, p.right) {
		return false
	}
	return was.ok || !known && unasked
}
