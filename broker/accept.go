package broker

import (
	"time"

	"picket/cause"
	"picket/logging"
	"picket/packet"
	"picket/session"
	"picket/store"
)

// terms are what a client and the broker have agreed on for a session.
type terms struct {
	expiry uint32 // seconds
	window int    // messages in flight to the client
	will   *will  // nil: none
}

// accept lets a client in that has shown who it is: finds or makes its session, ends a connection that had it, and answers when the store has the session.
func (c *connection) accept(w *worker, a *attempt) {
	if c.startsOver(w, a) || !c.owns(w, a, func(w *worker) { c.accept(w, a) }) {
		return
	}
	b, id := c.b, a.login.ClientID
	r := c.agree(a)
	if r == nil {
		r = b.takePlace(c, id)
	}
	if r != nil {
		c.refuse(w, *r)
		return
	}
	b.unlist(c)
	defer w.publishWills() // of sessions and connections that end by this
	c.s.mount = c.from.MountPoint
	var in entrance
	if in.present, r = b.claim(w, c, id, a.connect.CleanStart); r != nil {
		c.refuse(w, *r)
		return
	}
	in.before = b.endings.under(id)
	s := c.s
	s.mu.Lock()
	switch {
	case s.conn != c: // somebody else has taken the session over already, and told this client so
		s.mu.Unlock()
		return
	case c.outdated(a):
		s.mu.Unlock()
		c.refuse(w, c.changedRules())
		return
	}
	c.enterLocked(a, &in)
	in.ack = c.connackLocked(a, in.present)
	if len(in.ack.Append(nil, c.version)) > c.maxPacket() {
		// MQTT-3.1.2-24: not even the answer fits.
		b.report(incident{cause: cause.ReceiverPacketLimit}, "Client %s disconnected: it takes packets of %d bytes, too few for CONNACK.", s.id, c.maxPacket())
		c.endLocked(w)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	if settled(in.after) && in.before.settled() {
		c.welcome(w, a, in)
		return
	}
	// The client may rely on what CONNACK says of its session, and of the one before it, also after a crash.
	c.elsewhere(w, func() {
		b.await(in.after, in.present)
		if in.before != nil {
			b.waitFor(in.before.done)
		}
	}, func(w *worker) { c.welcome(w, a, in) })
}

// entrance is a client's way into its session.
type entrance struct {
	present bool // the session was there
	after   *store.Batch
	before  *unended // sessions before it under the same client identifier, whose ends are not in the store
	ack     *packet.Connack
}

// changedRules is the answer to a client that was judged by rules that are not in force any more, where that cannot be begun again.
func (c *connection) changedRules() refusal {
	if m := c.b.maintained.Load(); m != nil && !m.admits(c.remote().Addr(), c.local) {
		return m.refusal(false)
	}
	return refusal{code: packet.ServerUnavailable, id: cause.MaintenanceOrReload, text: "the configuration changed while the client authenticated; it may try again"}
}

// agree settles what the client has asked for and the broker has limits for.
func (c *connection) agree(a *attempt) *refusal {
	t, p := c.b.settings.Load(), a.connect
	if t.MaxKeepAlive > 0 && (c.keepAlive > t.MaxKeepAlive || c.keepAlive == 0) {
		if !c.v5() {
			return &refusal{code: packet.ClientIdentifierNotValid, id: cause.KeepaliveRefused, text: "a keep alive of " + itoa(int(c.keepAlive)) + " s, above max_keepalive"}
		}
		c.keepAlive = t.MaxKeepAlive
		a.set(packet.ServerKeepAlive).ServerKeepAlive = t.MaxKeepAlive
	}
	asked := uint32(0)
	switch {
	case !c.v5() && !p.CleanStart:
		asked = neverExpires
	case p.Props.Has(packet.SessionExpiryInterval):
		asked = p.Props.SessionExpiry
	}
	a.terms = terms{expiry: t.longest(asked), window: t.window}
	if c.linked() && c.b.neighbours != nil {
		a.terms.expiry = 0 // each node has its own under the same client identifier
	}
	if a.terms.expiry != asked && c.v5() {
		a.set(packet.SessionExpiryInterval).SessionExpiry = a.terms.expiry
	}
	if p.Will != nil {
		a.terms.will = willOf(p.Will, c.from.MountPoint, listenerKey(c.from), &a.login)
	}
	if p.Props.Has(packet.ReceiveMaximum) {
		a.terms.window = min(t.window, int(p.Props.ReceiveMaximum))
	}
	return nil
}

// enterLocked puts the terms in force in the session that the connection has claimed, and begins to store it.
func (c *connection) enterLocked(a *attempt, in *entrance) {
	b, s, expiry := c.b, c.s, a.terms.expiry
	t := b.settings.Load()
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
	s.will = a.terms.will
	if !in.present {
		s.out = session.NewOutbox(session.Limits{}, expiry > 0, &b.queued)
	}
	s.out.Keep = s.out.Keep || expiry > 0
	s.out.Limits = t.sessionLimits(a.terms.window)
	if expiry > 0 {
		b.makeDurable(s)
	}
	if s.stored() {
		s.durable.door = listenerKey(c.from)
	}
	b.keepWill(s)
	in.after = b.save(s)
}

// connackLocked makes the CONNACK that lets a client in.
func (c *connection) connackLocked(a *attempt, present bool) *packet.Connack {
	ack := &packet.Connack{SessionPresent: present && c.version != packet.V31}
	if !c.v5() {
		return ack
	}
	t := c.b.settings.Load()
	if c.from.MaxTopicAlias > 0 {
		a.set(packet.TopicAliasMaximum).TopicAliasMaximum = c.from.MaxTopicAlias
	}
	if c.more != nil && c.more.assigned || c.from.UseUsernameAsClientID && a.connect.ClientID == "" {
		a.set(packet.AssignedClientIdentifier).AssignedClientID = c.s.id
	}
	if !t.RetainAvailable {
		a.set(packet.RetainAvailable).RetainAvailable = 0
	}
	if t.MaxPacketSize > 0 {
		a.set(packet.MaximumPacketSize).MaximumPacketSize = t.MaxPacketSize
	}
	if t.receiveMaximum < session.MaxWindow {
		a.set(packet.ReceiveMaximum).ReceiveMaximum = uint16(t.receiveMaximum)
	}
	if c.from.MaxQoS < 2 {
		a.set(packet.MaximumQoS).MaximumQoS = c.from.MaxQoS
	}
	ack.Props = a.props
	return ack
}

// welcome answers a CONNECT that has been accepted, when the session is in the store, and the end of those before it under the same client identifier.
func (c *connection) welcome(w *worker, a *attempt, in entrance) {
	b, s := c.b, c.s
	if b.context.Err() != nil {
		c.end(w) // the broker is being stopped, and nothing is known of the store
		return
	}
	err := refusalOf(in.after)
	if err == nil {
		err = in.before.refusal()
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
	b.logConnected(c, a.terms.will)
	c.tellCame()
	b.debugf("Sending CONNACK to %s (%d, 0)", s.id, bit(in.ack.SessionPresent))
	w.append(c, in.ack)
	w.mark(c)
	s.mu.Unlock()
	if since := c.conn.Info().Since; !since.IsZero() {
		c.b.timings.connect.observe(time.Since(since))
	}
	c.conn.Admitted()
	b.watch(c)
}

func (b *Broker) logConnected(c *connection, m *will) {
	if !b.settings.Load().ConnectionMessages || c.linked() || !b.log.Enabled(logging.Notice) {
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
