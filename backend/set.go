package backend

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"time"

	"picket/access"
	"picket/cause"
	"picket/logging"
	"picket/topic"
)

// Set is the back ends of one set of rules, opened: its [access.Authority]. It never changes; a reload opens another one, which has forgotten every answer. Safe for
// concurrent use. mu is held for moments only.
type Set struct {
	conf   Config
	log    *logging.Logger
	all    []*asked
	logins *answers
	rights *answers

	ctx  context.Context
	end  context.CancelFunc
	done sync.WaitGroup // of refreshes

	mu         sync.Mutex
	closed     bool
	refreshing map[key]struct{}
}

// maxRefreshing bounds how many answers are asked for anew at once, beside the messages that they are about.
const maxRefreshing = 64

// atOnce is how many questions a source is asked at once. More of them are not answered sooner, and each would take so much longer that a whole site that comes back at
// once runs into the time that an answer may take.
const atOnce = 64

// asked is a source with what is known of how it answers.
type asked struct {
	Source
	source
	health
	places chan struct{} // holds one for each question that it is asked
}

// enter waits for a place. It gives up when ctx ends, and while the source does not answer anybody.
func (a *asked) enter(ctx context.Context) error {
	select {
	case a.places <- struct{}{}:
		return nil
	default:
	}
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case a.places <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
			if err := a.failing(); err != nil {
				return err
			}
		}
	}
}

// Open opens the back ends of a set of rules. Files that cannot be used are an [*access.FileError]; a service that is down is none: it may come back.
func Open(c Config, log *logging.Logger) (*Set, error) {
	var seeds [2][32]byte
	for i := range seeds {
		rand.Read(seeds[i][:])
	}
	s := &Set{conf: c, log: log, refreshing: make(map[key]struct{}),
		logins: newAnswers(c.LoginTTL, c.LoginJitter, c.Refresh, seeds[0]), rights: newAnswers(c.RightsTTL, c.RightsJitter, c.Refresh, seeds[1])}
	s.ctx, s.end = context.WithCancel(context.Background())
	for _, one := range c.Sources {
		opened, warnings, err := one.open(len(c.Sources) == 1)
		for _, w := range warnings {
			log.Printf(w.Type, "%s", w.Text)
		}
		if err != nil {
			s.Close()
			return nil, err
		}
		a := &asked{Source: one, source: opened, places: make(chan struct{}, atOnce)}
		if t, ok := opened.(*tokens); ok && t.ring != nil {
			t.ring.noted = func(err error, start time.Time) { a.note(log, a, err, start) }
		}
		s.all = append(s.all, a)
	}
	return s, nil
}

// open opens a source. alone tells that it is the only one.
func (one Source) open(alone bool) (source, []access.Warning, error) {
	if one.Files != nil {
		return one.Files.open(alone)
	}
	if one.Redis != nil {
		return one.Redis.open(), nil, nil
	}
	if one.JWT != nil {
		return one.JWT.open(alone)
	}
	w, err := one.Web.open()
	return w, nil, err
}

// Check reads the files of the back ends as [Open] does.
func (c Config) Check() (warnings []access.Warning, err error) {
	for _, one := range c.Sources {
		opened, w, err := one.open(len(c.Sources) == 1)
		warnings = append(warnings, w...)
		if err != nil {
			return warnings, err
		}
		opened.close()
	}
	return warnings, nil
}

// Close ends what is being asked. Nobody may ask any more once it is called; who does is refused.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	s.done.Wait()
	for _, a := range s.all {
		a.close()
	}
}

// Knows tells whether a user is one of its own, which no service says of anybody.
func (s *Set) Knows(string) bool { return true }

// name is the user that is asked about, and of is who is asked: the source of the user's prefix, or all.
func (s *Set) name(user, clientID string) (name string, of []*asked) {
	if s.conf.ClientIDAsUser {
		user = clientID
	}
	prefix, rest, ok := strings.Cut(user, "_")
	if !ok {
		return user, s.all
	}
	for i, p := range s.conf.Prefixes {
		if p == prefix {
			if s.conf.Strip {
				user = rest
			}
			return user, s.all[i : i+1]
		}
	}
	return user, s.all
}

// Connect decides about clients with a user name that the password file does not have.
func (s *Set) Connect(p *access.Policy, l access.Login) (access.Decision, bool) {
	place := p.Config().Tokens
	switch {
	case l.Bearer:
	case !l.HasUsername && !(place == access.TokensInPassword && len(l.Password) > 0), l.HasUsername && p.Listed(l.Username):
		return access.Decision{}, false
	case l.Certified:
		return access.Decision{Allow: true, Grant: new(grant)}, true
	case len(l.Password) == 0 && place != access.TokensInName:
		return access.Decision{Cause: cause.BadCredentials, Text: "a user name without a password"}, true
	}
	t := &login{set: s, who: who{clientID: l.ClientID, password: l.Password, given: l.Username, bearer: l.Bearer}}
	t.who.user, t.of = s.name(l.Username, l.ClientID)
	t.key = s.logins.key(l.Username, l.ClientID, string(l.Password))
	if was, fresh, _ := s.logins.get(t.key); fresh {
		if was.ok {
			return t.admit(was.grant.anew()), true
		}
		return noSuchUser, true
	}
	return t.next(0), true
}

// noSuchUser is a no without a word on what was wrong.
var noSuchUser = access.Decision{Cause: cause.BadCredentials, Text: "unknown user or wrong password"}

// login is one that is being decided.
type login struct {
	set    *Set
	who    who
	of     []*asked
	key    key
	failed error           // of a source; nil: all that were asked have answered
	why    access.Decision // what a source says about its no; the zero decision: nothing
	shown  string          // the user of a token
}

// next asks the sources from the one with index i on.
func (t *login) next(i int) access.Decision {
	for ; i < len(t.of); i++ {
		a := t.of[i]
		if !a.Users || t.who.bearer && a.JWT == nil {
			continue
		}
		if a.waits(t.who) {
			return later(func(ctx context.Context) access.Decision { return t.ask(ctx, i) })
		}
		if p, err := a.login(t.set.ctx, t.who); err != nil {
			t.failed = err
		} else if p.ok || p.check != nil {
			return t.proved(i, p)
		}
	}
	switch was, _, known := t.set.logins.get(t.key); {
	case t.failed == nil && t.why.Cause != "":
		return t.why
	case t.failed == nil:
		t.set.logins.put(t.key, false, nil)
		return noSuchUser
	case t.set.conf.KeepLast && known && was.ok:
		return t.admit(was.grant.anew())
	}
	return down
}

// down is a no because somebody has not answered.
var down = access.Decision{Cause: cause.AuthBackendDown, Text: "a back end that has to be asked does not answer"}

func later(get func(ctx context.Context) access.Decision) access.Decision {
	return access.Decision{Later: &access.Later{Get: get}}
}

// ask asks a source that takes time.
func (t *login) ask(ctx context.Context, i int) access.Decision {
	var p proof
	err := t.set.ask(ctx, t.of[i], func() (err error) {
		p, err = t.of[i].login(ctx, t.who)
		return err
	})
	if err != nil {
		t.failed = err
		return t.next(i + 1)
	}
	return t.proved(i, p)
}

// proved goes on with what a source has said.
func (t *login) proved(i int, p proof) access.Decision {
	switch {
	case p.check != nil:
		return access.Decision{Later: &access.Later{Computes: true, Get: func(context.Context) access.Decision {
			p.ok = p.check() && p.ok
			p.check = nil
			return t.proved(i, p)
		}}}
	case !p.ok:
		if p.why.Cause != "" {
			t.why = p.why
		}
		return t.next(i + 1)
	}
	g := &grant{by: t.of[i].Name, credential: p.credential, token: p.user != "", until: p.until, rules: p.rules}
	if g.token { // it says itself how long it counts
		t.shown, t.who.user = p.user, p.user
	} else {
		t.set.logins.put(t.key, true, g.anew())
	}
	return t.admit(g)
}

// admit lets the client in, once it is known whether it is a superuser: what is delivered to it cannot wait for that.
func (t *login) admit(g *grant) access.Decision {
	yes := access.Decision{Allow: true, Grant: g, User: t.shown}
	q := question{set: t.set, of: t.of, right: right{user: t.who.user}}
	if q.known().Later == nil {
		return yes
	}
	return later(func(ctx context.Context) access.Decision {
		q.get(ctx)
		return yes
	})
}

// Recheck decides after a reload: whoever was let in stays, unless the source is not asked any more, or has another password in its file.
func (s *Set) Recheck(p *access.Policy, c *access.Client) (access.Decision, bool) {
	g, _ := c.Grant.(*grant)
	if g == nil || g.by == "" || p.Listed(c.Username) {
		return access.Decision{}, false
	}
	user, of := s.name(c.Username, c.ID)
	for _, a := range of {
		if a.Name != g.by || !a.Users {
			continue
		}
		switch by := a.source.(type) {
		case *files:
			if !by.still(user, g.credential) {
				return access.Decision{Cause: cause.NoLongerAllowed, Text: "the user's entry in the password file of the back end was changed"}, true
			}
		case *tokens:
			if !by.still(g.credential) {
				return access.Decision{Cause: cause.NoLongerAllowed, Text: "the key that its token is signed with does not count any more"}, true
			}
		}
		return access.Decision{Allow: true}, true
	}
	return access.Decision{Cause: cause.NoLongerAllowed, Text: "the back end " + g.by + ", which has let the user in, is not asked any more"}, true
}

// Authorize decides what a client may do. Of those whom no back end has let in, the ACL file decides where there is one.
func (s *Set) Authorize(c *access.Client, a access.Action, name string) (access.Decision, bool) {
	g, _ := c.Grant.(*grant)
	switch {
	case c.Policy().Config().ACLFile != "" && (g == nil || g.by == "" || g.token && g.rules == nil && s.onlyTokens()):
		return access.Decision{}, false
	case a == access.Unsubscribe:
		return access.Decision{Allow: true}, true
	case !c.HasUsername:
		return access.Decision{Cause: denied[a], Text: "no back end is asked about clients without a user name"}, true
	case s.conf.DenySpecial && strings.ContainsAny(c.Username+c.ID, "+#"):
		return access.Decision{Cause: denied[a], Text: "its user name or client id has a wildcard (auth_plugin_deny_special_chars)"}, true
	}
	if a == access.Subscribe {
		_, name, _ = topic.SplitShare(name)
	}
	q := question{set: s, right: right{action: a, client: c.ID, topic: name, restored: g == nil && !c.Policy().Listed(c.Username)}}
	if g != nil && g.token {
		q.right.token = g
	}
	q.right.user, q.of = s.name(c.Username, c.ID)
	switch a {
	case access.Deliver:
		return access.Decision{Allow: q.deliver(g), Cause: cause.ACLReadDenied}, true
	case access.Subscribe:
		return q.subscribe(g), true
	}
	return q.decide(), true
}

// onlyTokens tells whether nothing but tokens is asked, and no file stands beside them.
func (s *Set) onlyTokens() bool {
	return len(s.all) == 1 && s.all[0].JWT != nil && s.all[0].JWT.ACLFile == ""
}

// denied is what a no is called.
var denied = map[access.Action]cause.ID{access.Publish: cause.ACLPublishDenied, access.Deliver: cause.ACLReadDenied, access.Subscribe: cause.ACLSubscribeDenied}

// ask asks a source, again if it fails, and notes how it answers.
func (s *Set) ask(ctx context.Context, a *asked, do func() error) (err error) {
	if err := a.enter(ctx); err != nil {
		return err
	}
	defer func() { <-a.places }()
	for range s.conf.Retries + 1 {
		start := time.Now()
		err = do()
		if a.JWT == nil { // the keyring of tokens says itself how it is answered
			a.note(s.log, a, err, start)
		}
		if err == nil || ctx.Err() != nil || a.JWT != nil {
			return err
		}
	}
	return err
}

// refresh asks for an answer beside what is going on, and reports whether that is under way.
func (s *Set) refresh(a *asked, k key, r right) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, already := s.refreshing[k]; already {
		return true
	}
	if s.closed || len(s.refreshing) >= maxRefreshing {
		return false
	}
	s.refreshing[k] = struct{}{}
	s.done.Go(func() {
		_, _ = s.fetch(s.ctx, a, k, r) // its failure is noted, and remembered as a no
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.refreshing, k)
	})
	return true
}

// fetch asks a source for a right and remembers the answer. A failure is remembered as a no where nothing else may count.
func (s *Set) fetch(ctx context.Context, a *asked, k key, r right) (ok bool, err error) {
	err = s.ask(ctx, a, func() error {
		ok, err = a.may(ctx, r)
		return err
	})
	switch {
	case err == nil:
		s.rights.put(k, ok, nil)
	case !s.conf.KeepLast && r.action == access.Deliver:
		s.rights.put(k, false, nil)
	}
	return ok && err == nil, err
}
