package access

import (
	"strings"
	"time"

	"picket/cause"
	"picket/topic"
)

// Client is one client as the rules see it: who it has shown to be, and what it may do. It is the judge of all that the client does once it is let
// in, with the topics of the broker's own ($SYS, $CONTROL, $share) inside. It never changes: a reload makes a new one. Safe for concurrent use, and small enough
// to have one for each session. Topics and filters carry the listener's mount point, as in mosquitto.
type Client struct {
	ID          string
	Username    string // empty for anonymous clients
	HasUsername bool   // a user name was given
	Certified   bool   // it was taken from a verified client certificate
	// Dangerous says which name has a + or #, which a pattern rule would take for a wildcard: "", "username" or "client id".
	// The pattern rules then grant nothing. mosquitto logs: ACL denying access to client with dangerous ...
	Dangerous string
	// Grant is what an [Authority] has noted about the client when it let it in.
	Grant any

	broker   bool     // it is [Broker]
	trusted  bool     // it is one of [Trusted]
	asks     bool     // the policy's [Authority] decides about it
	policy   *Policy  // nil: of [Nobody], [Broker] and those of [Trusted]
	user     *ruleset // the topic rules of the user
	patterns *ruleset // the pattern rules; nil: none
}

// Nobody is a client that has not been let in and may do nothing.
var Nobody = new(Client)

// Broker is the broker itself, which may do everything: $SYS is its own.
var Broker = &Client{broker: true}

// Trusted returns a client that no rules limit, also after a reload: a bridge of the broker's own. It may not publish what is the broker's alone.
func Trusted(clientID string) *Client { return &Client{ID: clientID, trusted: true} }

// Client returns who a login is under these rules, once [Policy.Connect] or an [Exchange] has let it in with a decision.
func (p *Policy) Client(l Login, d Decision) *Client {
	c := &Client{ID: l.ClientID, Username: l.Username, HasUsername: l.HasUsername, Certified: l.Certified, Grant: d.Grant, policy: p, asks: p.asksAbout(l)}
	if p.rules == nil {
		return c
	}
	c.patterns = p.rules.patterns
	if c.Username == "" {
		c.user = p.rules.anonymous
	} else {
		c.user = p.rules.users[c.Username]
	}
	if c.patterns != nil {
		switch {
		case strings.ContainsAny(c.Username, "+#"):
			c.Dangerous = "username"
		case strings.ContainsAny(c.ID, "+#"):
			c.Dangerous = "client id"
		}
		if c.Dangerous != "" {
			c.patterns = nil
		}
	}
	return c
}

// asksAbout tells whether the authority is asked what a client may do.
func (p *Policy) asksAbout(l Login) bool {
	a := p.config.Authority
	return a != nil && (!p.config.RightsBeside || l.HasUsername && a.Knows(l.Username))
}

// Policy returns the rules that the client was let in by, nil for [Nobody].
func (c *Client) Policy() *Policy { return c.policy }

// Under returns the same client under other rules.
func (c *Client) Under(p *Policy) *Client {
	if c.broker || c.trusted {
		return c
	}
	return p.Client(Login{ClientID: c.ID, HasUsername: c.HasUsername, Username: c.Username, Certified: c.Certified}, Decision{Grant: c.Grant})
}

// JudgedBy returns the same client under the same rules, but for another [Authority] in the place of theirs: what it could do if that were in force. The client has a
// policy.
func (c *Client) JudgedBy(a Authority) *Client {
	p := *c.policy
	p.config.Authority = a
	return c.Under(&p)
}

// Until is when what the client was let in with ends, and it has to go; the zero time: never.
func (c *Client) Until() time.Time {
	if g, ok := c.Grant.(interface{ Until() time.Time }); ok {
		return g.Until()
	}
	return time.Time{}
}

// Asks tells whether an [Authority] is asked about the client. Otherwise an answer about a topic never changes.
func (c *Client) Asks() bool { return c.asks }

// Unlimited tells whether the client may be delivered everything, and publish to all topics but the broker's own.
func (c *Client) Unlimited() bool { return c.open() && !c.Asks() }

// open tells whether no ACL file limits the client.
func (c *Client) open() bool {
	return c.broker || c.trusted || c.policy != nil && c.policy.rules == nil
}

// The topics of the broker's own.
const (
	sysPrefix     = "$SYS/"
	bridgePrefix  = "$SYS/broker/connection/" // a bridge says there, under .../state, whether it is connected
	bridgeSuffix  = "/state"
	controlPrefix = "$CONTROL/"
	sharePrefix   = "$share/"
)

// NeverPublished tells whether a topic name is one that nobody may publish to whatever the rules say, so that a will there is refused at once.
func NeverPublished(name string) bool {
	return strings.HasPrefix(name, controlPrefix) || strings.HasPrefix(name, sharePrefix)
}

// Publish decides whether the client may publish to a topic name, which is not empty; a will when it is published, too. It does not allocate where
// user rules decide. Its denials are [cause.SysReadOnly], [cause.ControlUnavailable], [cause.TopicInvalid] and [cause.ACLPublishDenied].
func (c *Client) Publish(name string) Decision {
	if name[0] == '$' && !c.broker {
		switch {
		case strings.HasPrefix(name, sysPrefix) && !(strings.HasPrefix(name, bridgePrefix) && strings.HasSuffix(name, bridgeSuffix)):
			return Decision{Cause: cause.SysReadOnly}
		case strings.HasPrefix(name, controlPrefix):
			return Decision{Cause: cause.ControlUnavailable}
		case strings.HasPrefix(name, sharePrefix):
			return Decision{Cause: cause.TopicInvalid, Text: "a shared subscription is no topic to publish to"}
		}
	}
	if d, ok := c.elsewhere(Publish, name); ok {
		return d
	}
	if c.open() || c.decide(name, write) {
		return Decision{Allow: true}
	}
	return Decision{Cause: cause.ACLPublishDenied}
}

// Control decides about a command to the broker, published to a topic below $CONTROL/ that something listens to. It takes a rule that
// names the topic: where there is no ACL file and no [Authority], nobody may.
func (c *Client) Control(name string) Decision {
	if c.broker {
		return Decision{Allow: true}
	}
	if d, ok := c.elsewhere(Publish, name); ok {
		return d
	}
	if c.decide(name, write) {
		return Decision{Allow: true}
	}
	return Decision{Cause: cause.ACLPublishDenied}
}

// Deliver reports whether a message with a topic name may be delivered to the client. It is yes or no ([cause.ACLReadDenied]) and no [Decision], because a message
// waits for nobody's answer: what has to be fetched is fetched for [Client.Subscribe]. An [Authority] that answers later all the same has said no.
func (c *Client) Deliver(name string) bool {
	if d, ok := c.elsewhere(Deliver, name); ok {
		return d.Allow && d.Later == nil
	}
	return c.open() || c.decide(name, read)
}

// WatchAttempts decides whether the client may see what others from its address do wrong. shared tells that the address may be that of a proxy. It
// takes a client that has proved who it is, by a password or a certificate. Its denial is [cause.AttemptsHidden].
func (c *Client) WatchAttempts(shared bool) Decision {
	if !shared && c.policy != nil && (c.Certified || c.HasUsername && (c.policy.users != nil || c.Asks())) {
		return Decision{Allow: true}
	}
	return Decision{Cause: cause.AttemptsHidden, Text: cause.AttemptsHidden.Reason()}
}

// elsewhere asks the authority, if there is one that has an opinion.
func (c *Client) elsewhere(a Action, name string) (Decision, bool) {
	if !c.Asks() {
		return Decision{}, false
	}
	return c.policy.config.Authority.Authorize(c, a, name)
}

// decide asks the user's rules first and the patterns then: an allowing rule of the user wins over a denying pattern, as in mosquitto.
func (c *Client) decide(name string, r right) bool {
	switch c.user.decide(name, r) {
	case denied:
		return false
	case r:
		return true
	}
	return c.expand(func(f string) bool { return topic.Match(f, name) }).decide(name, r) == r
}

// Subscribe decides about a SUBSCRIBE to a filter, which may be a shared one.
//
// mosquitto's ACL file never refuses a SUBSCRIBE: it filters deliveries, and a client whose every message is withheld waits
// for ever without a word. Here a filter is refused when the rules let nothing through to it: when every readable part (each
// reading rule, cut down to what the filter matches) is empty or wholly covered by one denying rule. Everything else is accepted,
// and deliveries are filtered by [Client.Deliver], because a filter may well be wider than what its owner may read ("#" of a
// user who may read "home/#"). A filter that a denial spares but that several denials together cover is accepted: the answer errs
// on the side of mosquitto. With acl_subscribe_unchecked nothing is refused.
func (c *Client) Subscribe(filter string) Decision {
	if d, ok := c.elsewhere(Subscribe, filter); ok {
		return d
	}
	if c.open() || c.policy != nil && c.policy.config.SubscribeUnchecked {
		return Decision{Allow: true}
	}
	full := filter
	_, filter, _ = topic.SplitShare(filter)
	if !topic.HasWildcard(filter) {
		if c.decide(filter, read) {
			return Decision{Allow: true}
		}
	} else {
		if c.user.readable(filter, c.user) {
			return Decision{Allow: true}
		}
		patterns := c.expand(func(f string) bool { return Overlap(f, filter) })
		if patterns.readable(filter, c.user, patterns) {
			return Decision{Allow: true}
		}
	}
	text := "no rule of the acl_file lets this client read anything that " + full + " matches"
	if c.Dangerous != "" {
		text += "; its " + c.Dangerous + " has a wildcard, so pattern rules grant nothing"
	}
	return Decision{Cause: cause.ACLSubscribeDenied, Text: text}
}

// Unsubscribe decides about an UNSUBSCRIBE from a filter. Only an [Authority] ever denies it, with [cause.ACLUnsubscribeDenied].
func (c *Client) Unsubscribe(filter string) Decision {
	if d, ok := c.elsewhere(Unsubscribe, filter); ok {
		return d
	}
	return Decision{Allow: true}
}

// expand returns the pattern rules with the client's names put in, as far as they concern the question. Rules with %u do not
// count for clients without a user name.
func (c *Client) expand(concerns func(filter string) bool) *ruleset {
	if c.patterns == nil {
		return nil
	}
	out := new(ruleset)
	for _, rs := range [][]rule{c.patterns.deny, c.patterns.allow} {
		for _, r := range rs {
			if c.Username == "" && strings.Contains(r.filter, "%u") {
				continue
			}
			r.filter = topic.Fill(r.filter, c.ID, c.Username)
			if r.filter != "" && concerns(r.filter) {
				out.add(r)
			}
		}
	}
	return out
}
