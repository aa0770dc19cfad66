package broker

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"picket/access"
	"picket/cause"
	"picket/listener"
	"picket/packet"
	"picket/topic"
)

// attempt is a CONNECT that is being judged.
type attempt struct {
	connect *packet.Connect
	epoch   uint64 // of the broker's rules, when the judging began; see [connection.outdated]
	policy  *access.Policy
	login   access.Login
	client  *access.Client     // whom the policy has let in; nil until then
	props   *packet.Properties // of CONNACK; nil: none so far
	terms   terms
}

// set makes a property of CONNACK known, and returns the properties for its value.
func (a *attempt) set(id packet.PropertyID) *packet.Properties {
	if a.props == nil {
		a.props = new(packet.Properties)
	}
	return a.props.Set(id)
}

// connectSteps are what can be said about a CONNECT before it is known who sent it, in this order.
var connectSteps = []func(*connection, *attempt) *refusal{
	(*connection).isNotBanned,
	(*connection).speaksWhatIsTaken,
	(*connection).comesInTime,
	(*connection).judgeWill,
	(*connection).nameItself,
	(*connection).showCertificate,
}

// connect judges a CONNECT: the steps, then the password or the exchange ([connection.decide], [connection.exchanged]), then a wait where two clients fight over one
// identifier ([connection.admitted]), then the session ([connection.accept]), then its store, then CONNACK ([connection.welcome]). What needs time (hashing a
// password, the store) is done elsewhere, with reading paused.
func (c *connection) connect(w *worker, p *packet.Connect) error {
	b := c.b
	if poll := b.settings.Load().Poll; poll != nil {
		poll()
	}
	epoch := b.epoch.Load()
	if gate := b.gate.Load(); gate != nil && !c.linked() {
		c.elsewhere(w, func() { b.waitFor(*gate) }, func(w *worker) { c.connectAgain(w, p) })
		return nil
	}
	c.version, c.bridge, c.clean, c.keepAlive = p.Version, p.Bridge, p.CleanStart, p.KeepAlive
	// As in mosquitto, an empty user name is none.
	a := &attempt{connect: p, epoch: epoch, policy: b.policyOf(c), login: access.Login{ClientID: p.ClientID, HasUsername: p.Username != "", Username: p.Username,
		HasPassword: p.HasPassword, Password: p.Password, Remote: c.conn.Info().Remote, Local: c.local}}
	c.attempt = a
	b.attempts.greet(plainAddress(a.login.Remote), p.ClientID, b.now())
	c.negotiate(p)
	if p.Will != nil && (topic.CheckName([]byte(p.Will.Topic)) != nil || access.NeverPublished(p.Will.Topic)) {
		return &packet.Error{Code: packet.TopicNameInvalid, Clause: "MQTT-3.1.3-11", Text: "a will topic that nobody may publish to"}
	}
	for _, step := range connectSteps {
		if r := step(c, a); r != nil {
			c.refuse(w, *r)
			return nil
		}
	}
	if p.Props.Has(packet.AuthenticationMethod) {
		if !a.login.Certified {
			a.login.HasUsername, a.login.Username = false, "" // what CONNECT says counts for nothing: the exchange will show who it is
		}
		if p.Props.AuthMethod == access.TokenMethod && a.policy.Config().Tokens != access.NoTokens {
			c.beginToken(w, a)
			return nil
		}
		return c.beginExchange(w, a)
	}
	if c.linked() && !p.HasPassword {
		c.trust(w, a)
		return nil
	}
	if r := c.identify(a); r != nil {
		c.refuse(w, *r)
		return nil
	}
	c.judgeLogin(w, a)
	return nil
}

// judgeLogin asks the policy about what the client has shown, and decides when its answer is there.
func (c *connection) judgeLogin(w *worker, a *attempt) {
	d := a.policy.Connect(a.login)
	if d.Later == nil {
		c.decide(w, a, d)
		return
	}
	c.advance(checking)
	c.elsewhere(w, func() { d = c.b.get(c, d.Later) }, func(w *worker) { c.decide(w, a, d) })
}

// connectAgain judges a CONNECT from the beginning, by the rules that are in force now.
func (c *connection) connectAgain(w *worker, p *packet.Connect) {
	if err := c.connect(w, p); err != nil {
		c.fail(w, err)
	}
}

// outdated tells whether a CONNECT was judged by rules that are not in force any more, or soon will not be: a reload has been announced or has come, or maintenance has
// begun. Whoever changes what CONNECT is judged by counts Broker.epoch up, and looks at the sessions after that; so either it finds the session that accept has put the
// connection into, or accept, with the session's mutex held, finds that it is outdated.
func (c *connection) outdated(a *attempt) bool { return c.b.epoch.Load() != a.epoch }

// startsOver has a CONNECT judged once more if it is outdated, and reports whether it is. One that was judged by an exchange cannot be: the client has to begin it.
func (c *connection) startsOver(w *worker, a *attempt) bool {
	switch {
	case !c.outdated(a):
		return false
	case a.connect.Props.Has(packet.AuthenticationMethod):
		c.refuse(w, c.changedRules())
	default:
		c.connectAgain(w, a.connect)
	}
	return true
}

func (c *connection) decide(w *worker, a *attempt, d access.Decision) {
	if c.startsOver(w, a) {
		return
	}
	if !d.Allow {
		c.refuse(w, refusal{code: packet.NotAuthorized, id: d.Cause, text: d.Text})
		return
	}
	if d.User != "" { // the name is in the token
		if a.login.Certified && d.User != a.login.Username {
			c.refuse(w, refusal{code: packet.NotAuthorized, id: cause.BadCredentials, text: "the certificate names another user than the authentication"})
			return
		}
		a.login.HasUsername, a.login.Username = true, d.User
		if r := c.identify(a); r != nil {
			c.refuse(w, *r)
			return
		}
	}
	a.client = a.policy.Client(a.login, d)
	c.admitted(w, a)
}

// admitted goes on with a client that has shown who it is, unless it is banned: where two fight over one client identifier, each has to wait before it takes it over.
func (c *connection) admitted(w *worker, a *attempt) {
	b := c.b
	if r := c.userNotBanned(a); r != nil {
		c.refuse(w, *r)
		return
	}
	if delay := b.takeoverDelay(a.login.ClientID); delay > 0 {
		c.elsewhere(w, func() { b.pause(delay) }, func(w *worker) { c.accept(w, a) })
		return
	}
	c.accept(w, a)
}

// speaksWhatIsTaken looks whether the listener takes the client's version of MQTT (MQTT-3.1.2-2 lets a server choose).
func (c *connection) speaksWhatIsTaken(*attempt) *refusal {
	if taken := c.from.Versions; len(taken) == 0 || slices.Contains(taken, c.version) {
		return nil
	}
	return &refusal{code: packet.UnsupportedProtocolVersion, id: cause.ProtocolVersion, text: "accept_protocol_versions of this listener does not name the client's version of MQTT"}
}

// comesInTime looks whether any client is taken now: the broker may be in maintenance or overloaded.
func (c *connection) comesInTime(*attempt) *refusal { return c.b.closedTo(c) }

// nameItself gives a client without an identifier one, where that is allowed.
func (c *connection) nameItself(a *attempt) *refusal {
	if a.login.ClientID != "" {
		return nil
	}
	rules := a.policy.Config()
	if !rules.AllowZeroLengthID {
		code := packet.ClientIdentifierNotValid
		if c.v5() {
			code = packet.UnspecifiedError
		}
		return &refusal{code: code, id: cause.EmptyClientID, text: "an empty client identifier, and allow_zero_length_clientid is false"}
	}
	a.login.ClientID = rules.AutoIDPrefix + strings.ToUpper(uuid.NewString())
	c.opt().assigned = true
	return nil
}

// showCertificate takes the user's name from the client's certificate, where the listener asks for that.
func (c *connection) showCertificate(a *attempt) *refusal {
	if l := c.from; !l.IdentityAsUsername && !l.SubjectAsUsername {
		return nil
	}
	name, ok := certifiedName(c.conn.Info(), c.from)
	if !ok {
		return &refusal{code: packet.BadUserNameOrPassword, id: cause.ClientCertRequired, text: "no client certificate with a name to use"}
	}
	login := &a.login
	login.HasUsername, login.Username, login.HasPassword, login.Password, login.Certified = true, name, false, nil, true
	return nil
}

// identify settles the client identifier, which may come from the user name, and looks whether clients may have it.
func (c *connection) identify(a *attempt) *refusal {
	login := &a.login
	if c.from.UseUsernameAsClientID {
		if !login.HasUsername {
			return &refusal{code: packet.NotAuthorized, id: cause.AnonymousRefused, text: "no user name to take as the client identifier"}
		}
		login.ClientID = login.Username
	}
	if d := a.policy.ClientID(login.ClientID); !d.Allow {
		return &refusal{code: packet.NotAuthorized, id: d.Cause, text: d.Text}
	}
	return c.clientNotBanned(a)
}

// policyOf is the rules in force for the clients of a connection's listener.
func (b *Broker) policyOf(c *connection) *access.Policy {
	t := b.settings.Load()
	if slices.Contains(t.Listeners, c.from) {
		return t.policies[c.from.Security]
	}
	return t.policies[b.securityOf(t, listenerKey(c.from))] // a reload has replaced the listener by one for the same socket
}

// negotiate keeps what an MQTT 5 client asks for.
func (c *connection) negotiate(p *packet.Connect) {
	props := p.Props
	if props.Has(packet.MaximumPacketSize) {
		c.opt().maxPacket = props.MaximumPacketSize
		if c.b.settings.Load().Compat.PacketSizeWithoutFirstByte && props.MaximumPacketSize < packet.MaxRemaining {
			c.more.maxPacket++
		}
	}
	if props.Has(packet.TopicAliasMaximum) && props.TopicAliasMaximum > 0 {
		c.opt().aliasMax = props.TopicAliasMaximum
	}
	if props.Has(packet.RequestProblemInformation) && props.RequestProblem == 0 {
		c.opt().noProblem = true
	}
}

// judgeWill refuses a will that could not be published later.
func (c *connection) judgeWill(a *attempt) *refusal {
	p, t := a.connect, c.b.settings.Load()
	switch {
	case p.Will == nil:
		return nil
	case p.Will.QoS > c.from.MaxQoS:
		return &refusal{code: packet.QoSNotSupported, id: cause.QoSNotSupported, text: "will QoS above the Maximum QoS of this listener"}
	case p.Will.Retain && !t.RetainAvailable:
		return &refusal{code: packet.RetainNotSupported, id: cause.RetainNotSupported, text: "a will to be retained, and retain_available is false"}
	case t.MessageSizeLimit > 0 && len(p.Will.Payload) > t.MessageSizeLimit:
		code := packet.PacketTooLarge
		if !c.v5() {
			code = packet.NotAuthorized
		}
		return &refusal{code: code, id: cause.PayloadTooLarge, text: "a will payload above message_size_limit"}
	}
	return nil
}

// certifiedName is the user name in a verified client certificate.
func certifiedName(info *listener.Info, l *Listener) (string, bool) {
	if p := info.ProxyTLS; p != nil && p.CommonName != "" {
		return p.CommonName, p.Verified && l.IdentityAsUsername
	}
	if info.TLS == nil || len(info.TLS.VerifiedChains) == 0 || len(info.TLS.PeerCertificates) == 0 {
		return "", false
	}
	name := access.SubjectName(info.TLS.PeerCertificates[0])
	if l.IdentityAsUsername {
		name = access.CommonName(info.TLS.PeerCertificates[0])
	}
	return name, name != "" && packet.ValidText(name)
}
