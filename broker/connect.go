package broker

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"picket/access"
	"picket/cause"
	"picket/listener"
	"picket/logging"
	"picket/packet"
	"picket/session"
	"picket/store"
	"picket/topic"
)

// refusal is why a CONNECT is not accepted.
type refusal struct {
	code packet.Code
	id   cause.ID
	text string // for the log and the reason string; never a secret

	level     logging.Type // of the line in the log; 0 stands for a notice
	by        *connection  // whose failed attempt it is; nil: nobody's
	silent    bool         // a client that is connected gets no DISCONNECT
	reference string       // the server to use instead; may be empty
	told      bool         // the reason string is sent whatever reason_strings says
}

func (r *refusal) incident() incident {
	return incident{cause: r.id, seen: r.text, level: r.level, by: r.by}
}

// properties are those of the CONNACK or DISCONNECT that says no, with its reason string: nil for none.
func (c *connection) properties(r refusal, reason string) *packet.Properties {
	var p *packet.Properties
	if c.explains(r.told) {
		p = new(packet.Properties).Set(packet.ReasonString)
		p.ReasonString = reason
	}
	if r.reference != "" && c.v5() {
		if p == nil {
			p = new(packet.Properties)
		}
		p.Set(packet.ServerReference).ServerReference = r.reference
	}
	return p
}

// badConnect answers a CONNECT that could not be decoded, where there is an answer.
func (c *connection) badConnect(w *worker, err error) error {
	e, ok := err.(*packet.Error)
	if !ok {
		return err
	}
	switch {
	case e.Code == packet.UnsupportedProtocolVersion && e.Clause == "MQTT-3.1.2-1":
		c.b.report(incident{cause: cause.ProtocolVersion, level: logging.Info, by: c}, "Invalid protocol in CONNECT from %s: %v.", c.host(), e)
		c.end(w)
	case e.Code == packet.UnsupportedProtocolVersion:
		// Nobody knows the form of an answer in a version to come; the one of 3.1.1 is what everyone expects.
		c.b.report(incident{cause: cause.ProtocolVersion, level: logging.Info, by: c}, "Invalid protocol version in CONNECT from %s: %v.", c.host(), e)
		c.answerNo(w, packet.V311, &packet.Connack{Code: e.Code})
	case e.Code == packet.ClientIdentifierNotValid:
		c.b.report(incident{cause: cause.EmptyClientID, by: c}, "Client from %s refused: %v.", c.address(), e)
		c.answerNo(w, packet.V311, &packet.Connack{Code: e.Code})
	default:
		return err
	}
	return nil
}

// answerNo sends a CONNACK in a version's form and closes.
func (c *connection) answerNo(w *worker, v packet.Version, ack *packet.Connack) {
	c.version = v
	if len(ack.Append(nil, v)) > c.maxPacket() {
		ack.Props = nil // MQTT-3.2.2-19
	}
	code := byte(ack.Code)
	if !c.v5() {
		code = ack.Code.Return3()
	}
	c.b.debugf("Sending CONNACK to %s (0, %d)", c.host(), code)
	c.send(w, ack)
	c.end(w)
}

// refuse answers CONNECT with a failure and closes.
func (c *connection) refuse(w *worker, r refusal) {
	name, user := c.name(), ""
	if a := c.attempt; a != nil {
		if a.login.ClientID != "" {
			name = a.login.ClientID
		}
		if a.login.Username != "" {
			user = ", u'" + a.login.Username + "'"
		}
	}
	line := "Client %s from %s refused (p%d%s): %s."
	if r.code == packet.NotAuthorized || r.code == packet.BadUserNameOrPassword {
		line = "Client %s from %s disconnected, not authorised (p%d%s): %s."
	}
	r.by = c
	why := c.b.report(r.incident(), line, name, c.address(), c.version, user, r.text)
	c.answerNo(w, c.version, &packet.Connack{Code: r.code, Props: c.properties(r, why)})
}

// connect judges a CONNECT. What needs time (hashing a password) is done elsewhere, with reading paused.
func (c *connection) connect(w *worker, p *packet.Connect) error {
	b, info := c.b, c.conn.Info()
	t := b.settings.Load()
	if t.Poll != nil {
		t.Poll()
	}
	if gate := b.gate.Load(); gate != nil {
		c.elsewhere(w, func() { b.waitFor(*gate) }, func(w *worker) {
			if err := c.connect(w, p); err != nil {
				c.fail(w, err)
			}
		})
		return nil
	}
	b.stats.connects.Add(1)
	c.version, c.bridge, c.clean, c.keepAlive = p.Version, p.Bridge, p.CleanStart, p.KeepAlive
	policy := b.policyOf(c)
	// As in mosquitto, an empty user name is none.
	a := &attempt{connect: p, policy: policy, login: access.Login{ClientID: p.ClientID, HasUsername: p.Username != "", Username: p.Username,
		HasPassword: p.HasPassword, Password: p.Password, Remote: info.Remote, Local: c.local}}
	c.attempt = a
	login := &a.login
	c.negotiate(p)
	if r := b.closedTo(c); r != nil {
		c.refuse(w, *r)
		return nil
	}
	if p.Will != nil && (topic.CheckName([]byte(p.Will.Topic)) != nil || access.NeverPublished(p.Will.Topic)) {
		return &packet.Error{Code: packet.TopicNameInvalid, Clause: "MQTT-3.1.3-11", Text: "a will topic that nobody may publish to"}
	}
	if r := c.judgeWill(p, t, c.from); r != nil {
		c.refuse(w, *r)
		return nil
	}
	if p.ClientID == "" {
		if !policy.Config().AllowZeroLengthID {
			code := packet.ClientIdentifierNotValid
			if c.v5() {
				code = packet.UnspecifiedError
			}
			c.refuse(w, refusal{code: code, id: cause.EmptyClientID, text: "an empty client identifier, and allow_zero_length_clientid is false"})
			return nil
		}
		login.ClientID = policy.Config().AutoIDPrefix + strings.ToUpper(uuid.NewString())
		c.opt().assigned = true
	}
	if l := c.from; l.IdentityAsUsername || l.SubjectAsUsername {
		name, ok := certifiedName(info, l)
		if !ok {
			c.refuse(w, refusal{code: packet.BadUserNameOrPassword, id: cause.ClientCertRequired, text: "no client certificate with a name to use"})
			return nil
		}
		login.HasUsername, login.Username, login.HasPassword, login.Password, login.Certified = true, name, false, nil, true
	}
	if p.Props.Has(packet.AuthenticationMethod) {
		if !login.Certified {
			login.HasUsername, login.Username = false, "" // what CONNECT says counts for nothing: the exchange will show who it is
		}
		return c.beginExchange(w, a)
	}
	if r := c.identify(a); r != nil {
		c.refuse(w, *r)
		return nil
	}
	if d := policy.Connect(*login); d.Later != nil {
		c.advance(checking)
		c.elsewhere(w, func() { d = b.get(c, d.Later) }, func(w *worker) { c.decide(w, a, d) })
	} else {
		c.decide(w, a, d)
	}
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
	return nil
}

// attempt is a CONNECT that is being judged.
type attempt struct {
	connect *packet.Connect
	login   access.Login
	policy  *access.Policy
	owned   bool           // the session is this node's
	client  *access.Client // whom the policy has let in; nil until then
}

// elsewhere pauses reading, does what takes time in a goroutine, and then goes on with the connection. It starts only when this batch is over, so
// that two goroutines never look at the connection at once.
func (c *connection) elsewhere(w *worker, work func(), then func(w *worker)) {
	b := c.b
	c.paused = true
	c.conn.Pause()
	w.later = append(w.later, func() {
		b.wait.Go(func() {
			work()
			again := false
			b.do(func(w *worker) {
				c.hand.Lock()
				defer c.hand.Unlock()
				if c.stage() == closed {
					return
				}
				c.paused = false
				then(w)
				again = c.paused
			})
			if !again {
				c.conn.Resume()
			}
		})
	})
}

// waitFor waits until a channel is closed or the broker stops.
func (b *Broker) waitFor(c <-chan struct{}) {
	select {
	case <-c:
	case <-b.stopping:
	}
}

func (c *connection) decide(w *worker, a *attempt, d access.Decision) {
	b := c.b
	if c.outdated(a) {
		// The rules have changed since this CONNECT was judged: they are asked again.
		if err := c.connect(w, a.connect); err != nil {
			c.fail(w, err)
		}
		return
	}
	if !d.Allow {
		c.refuse(w, refusal{code: packet.NotAuthorized, id: d.Cause, text: d.Text})
		return
	}
	if r := b.closedTo(c); r != nil { // maintenance may have begun while the password was checked
		c.refuse(w, *r)
		return
	}
	a.client = a.policy.Client(a.login, d)
	c.admitted(w, a, nil)
}

// admitted goes on with a client that has shown who it is: where two fight over one client identifier, each has to wait before it takes it over.
func (c *connection) admitted(w *worker, a *attempt, exchange *packet.Properties) {
	b := c.b
	if delay := b.takeoverDelay(a.login.ClientID); delay > 0 {
		c.elsewhere(w, func() { b.sleep(delay) }, func(w *worker) { c.accept(w, a, exchange) })
		return
	}
	c.accept(w, a, exchange)
}

// outdated tells whether a CONNECT was judged by rules that are not in force any more, or soon will not be.
func (c *connection) outdated(a *attempt) bool {
	if c.b.gate.Load() != nil {
		return true
	}
	return c.b.policyOf(c) != a.policy
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
func (c *connection) judgeWill(p *packet.Connect, t *settings, l *Listener) *refusal {
	switch {
	case p.Will == nil:
		return nil
	case p.Will.QoS > l.MaxQoS:
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

// accept lets the client in: finds or makes its session, ends a connection that had it, and answers.
func (c *connection) accept(w *worker, a *attempt, exchange *packet.Properties) {
	if !c.owns(w, a, func(w *worker) { c.accept(w, a, exchange) }) {
		return
	}
	b, t, p := c.b, c.b.settings.Load(), a.connect
	props := exchange
	need := func() *packet.Properties {
		if props == nil {
			props = new(packet.Properties)
		}
		return props
	}
	if t.MaxKeepAlive > 0 && (c.keepAlive > t.MaxKeepAlive || c.keepAlive == 0) {
		if !c.v5() {
			c.refuse(w, refusal{code: packet.ClientIdentifierNotValid, id: cause.KeepaliveRefused, text: "a keep alive of " + itoa(int(c.keepAlive)) + " s, above max_keepalive"})
			return
		}
		c.keepAlive = t.MaxKeepAlive
		need().Set(packet.ServerKeepAlive).ServerKeepAlive = t.MaxKeepAlive
	}
	expiry := uint32(0)
	switch {
	case !c.v5() && !p.CleanStart:
		expiry = neverExpires
	case p.Props.Has(packet.SessionExpiryInterval):
		expiry = p.Props.SessionExpiry
	}
	if limit := t.longest(expiry); limit != expiry {
		if expiry = limit; c.v5() {
			need().Set(packet.SessionExpiryInterval).SessionExpiry = expiry
		}
	}
	var message *will
	if p.Will != nil {
		message = willOf(p.Will, c.from.MountPoint, listenerKey(c.from), &a.login)
	}
	window := t.window
	if p.Props.Has(packet.ReceiveMaximum) {
		window = min(window, int(p.Props.ReceiveMaximum))
	}
	if r := b.takePlace(c, a.login.ClientID); r != nil {
		c.refuse(w, *r)
		return
	}
	b.unlist(c)
	c.s.mount = c.from.MountPoint
	present := b.claim(w, c, a.login.ClientID, p.CleanStart)
	before := b.endings.under(a.login.ClientID)
	s := c.s
	s.mu.Lock()
	if m := b.maintained.Load(); s.conn != c || c.outdated(a) || m != nil && !m.admits(c) {
		// Somebody else was quicker to take it over, the rules have just changed, or maintenance has just begun: the client may try again.
		s.mu.Unlock()
		c.end(w)
		return
	}
	s.rules.Store(a.client)
	if what := a.client.Dangerous; what != "" {
		name := s.id
		if what == "username" {
			name = a.client.Username
		}
		b.notice(logging.Notice, cause.ACLDangerousName, "ACL denying access to client with dangerous %s \"%s\"", what, name)
	}
	s.mount = c.from.MountPoint
	s.expiry = expiry
	s.will = message
	if !present {
		s.out = session.NewOutbox(session.Limits{}, expiry > 0, &b.queued)
	}
	s.out.Keep = s.out.Keep || expiry > 0
	s.out.Limits = session.Limits{Window: window, WindowBytes: t.MaxInflightBytes, Messages: t.MaxQueuedMessages, Bytes: t.MaxQueuedBytes}
	if b.store != nil && expiry > 0 && !s.stored() {
		s.kept, s.out.Stored = &kept{handle: b.store.NewSession(s.id)}, true
	}
	if s.stored() {
		s.kept.door = listenerKey(c.from)
	}
	b.keepWill(s)
	after := b.save(s)
	ack := &packet.Connack{SessionPresent: present && c.version != packet.V31}
	if c.v5() {
		if c.from.MaxTopicAlias > 0 {
			need().Set(packet.TopicAliasMaximum).TopicAliasMaximum = c.from.MaxTopicAlias
		}
		if c.more != nil && c.more.assigned || c.from.UseUsernameAsClientID && p.ClientID == "" {
			need().Set(packet.AssignedClientIdentifier).AssignedClientID = s.id
		}
		if !t.RetainAvailable {
			need().Set(packet.RetainAvailable).RetainAvailable = 0
		}
		if t.MaxPacketSize > 0 {
			need().Set(packet.MaximumPacketSize).MaximumPacketSize = t.MaxPacketSize
		}
		if t.receiveMaximum < session.MaxWindow {
			need().Set(packet.ReceiveMaximum).ReceiveMaximum = uint16(t.receiveMaximum)
		}
		if c.from.MaxQoS < 2 {
			need().Set(packet.MaximumQoS).MaximumQoS = c.from.MaxQoS
		}
		ack.Props = props
	}
	if len(ack.Append(nil, c.version)) > c.maxPacket() {
		// MQTT-3.1.2-24: not even the answer fits.
		b.report(incident{cause: cause.ReceiverPacketLimit}, "Client %s disconnected: it takes packets of %d bytes, too few for CONNACK.", s.id, c.maxPacket())
		c.endLocked(w)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	if settled(after) && before.settled() {
		c.welcome(w, ack, message, after, before)
	} else {
		// The client may rely on what CONNACK says of its session, and of the one before it, also after a crash.
		c.elsewhere(w, func() {
			b.await(after, present)
			if before != nil {
				b.waitFor(before.done)
			}
		}, func(w *worker) { c.welcome(w, ack, message, after, before) })
	}
	w.publishWills()
}

// welcome answers a CONNECT that has been accepted, when the session is in the store, and the end of those before it under the same client identifier:
// after is the batch, nil if it needs to be in none.
func (c *connection) welcome(w *worker, ack *packet.Connack, message *will, after *store.Batch, before *unended) {
	b, s := c.b, c.s
	if b.context.Err() != nil {
		c.end(w) // the broker is being stopped, and nothing is known of the store
		return
	}
	err := refusalOf(after)
	if err == nil {
		err = before.refusal()
	}
	if err != nil {
		code := packet.ServerUnavailable
		if c.v5() {
			code = storeCode(err)
		}
		b.abandon(c)
		c.refuse(w, refusal{code: code, id: storeCause(err), text: "the session cannot be stored: " + err.Error()})
		return
	}
	s.mu.Lock()
	if s.conn != c || !c.advance(connected) {
		s.mu.Unlock()
		c.end(w)
		return
	}
	c.attempt = nil
	b.logConnected(c, message)
	b.debugf("Sending CONNACK to %s (%d, 0)", s.id, bit(ack.SessionPresent))
	w.append(c, ack)
	w.mark(c)
	s.mu.Unlock()
	c.conn.Admitted()
	b.watch(c)
}

func (b *Broker) logConnected(c *connection, m *will) {
	if !b.settings.Load().ConnectionMessages || !b.log.Enabled(logging.Notice) {
		return
	}
	kind, user := "client", ""
	if c.bridge {
		kind = "bridge"
	}
	if name := c.s.rules.Load().Username; name != "" {
		user = ", u'" + name + "'"
	}
	b.log.Printf(logging.Notice, "New %s connected from %s as %s (p%d, c%d, k%d%s).", kind, c.address(), c.s.id, logVersion(c.version), bit(c.clean), c.keepAlive, user)
	if m == nil {
		b.debugf("No will message specified.")
		return
	}
	b.debugf("Will message specified (%d bytes) (r%d, q%d).", len(m.message.Payload), bit(m.message.Retain), m.message.QoS)
	b.debugf("\t%s", m.message.Topic)
}

// logVersion is how mosquitto's log counts the versions: 1 for 3.1, 2 for 3.1.1, 5 for 5.0.
func logVersion(v packet.Version) int {
	switch v {
	case packet.V31:
		return 1
	case packet.V311:
		return 2
	}
	return 5
}

// disconnected handles the client's DISCONNECT.
func (c *connection) disconnected(w *worker, p *packet.Disconnect) error {
	b, s := c.b, c.s
	b.debugf("Received DISCONNECT from %s", c.name())
	s.mu.Lock()
	if s.conn == c && c.stage() == connected {
		if p.Props.Has(packet.SessionExpiryInterval) {
			if s.expiry == 0 && p.Props.SessionExpiry != 0 {
				s.mu.Unlock()
				return &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-3.14.2-2", Text: "a Session Expiry Interval in DISCONNECT after none in CONNECT"}
			}
			s.expiry = b.settings.Load().longest(p.Props.SessionExpiry)
		}
		if p.Code != packet.DisconnectWithWill {
			s.will = nil // MQTT-3.14.4-3
		}
	}
	s.mu.Unlock()
	if b.settings.Load().ConnectionMessages {
		b.log.Printf(logging.Notice, "Client %s disconnected.", c.name())
	}
	c.hangUp(w)
	return nil
}
