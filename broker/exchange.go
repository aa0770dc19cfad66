package broker

import (
	"bytes"

	"picket/access"
	"picket/cause"
	"picket/listener"
	"picket/packet"
)

// beginExchange starts enhanced authentication (MQTT 5.0, 4.12) for a CONNECT that names a method.
func (c *connection) beginExchange(w *worker, a *attempt) error {
	method := a.connect.Props.AuthMethod
	x, ok := a.policy.Begin(method)
	if !ok {
		c.refuse(w, refusal{code: packet.BadAuthenticationMethod, id: cause.AuthMethodUnknown, text: "authentication method '" + method + "' is not known; SCRAM-SHA-256 is, when there is a password_file, and OAUTH2-JWT with jwt_keys"})
		return nil
	}
	m := c.opt()
	m.exchange, m.authMethod = x, method
	c.advance(exchanging)
	return c.exchange(w, a.connect.Props.AuthData)
}

// auth handles AUTH: the next step of an exchange, or the start of re-authentication.
func (c *connection) auth(w *worker, p *packet.Auth) error {
	c.b.debugf("Received AUTH from %s (rc%d, %s)", c.name(), p.Code, authMethod(p))
	m := c.more
	if !p.Props.Has(packet.AuthenticationMethod) || p.Props.AuthMethod != m.authMethod {
		return &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-4.12.0-5", Text: "AUTH with another authentication method than CONNECT's"}
	}
	switch {
	case p.Code == packet.Reauthenticate && c.stage() >= connected && m.authMethod == access.TokenMethod:
		return c.renew(w, bytes.Clone(p.Props.AuthData))
	case p.Code == packet.Reauthenticate && c.stage() >= connected && m.exchange == nil:
		x, ok := c.b.policyOf(c).Begin(m.authMethod)
		if !ok {
			return &packet.Error{Code: packet.NotAuthorized, Text: "there are no users to authenticate against any more"}
		}
		m.exchange = x
	case p.Code != packet.ContinueAuthentication || m.exchange == nil:
		return &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-3.15.2-1", Text: "an AUTH reason code that does not fit"}
	}
	return c.exchange(w, p.Props.AuthData)
}

// exchange makes one step. Proofs count as passwords do (see [passwordQueue]): wrong ones make the next exchange of that address and user wait, from when its
// first step has named the user. They need no turn, as they cost next to nothing.
func (c *connection) exchange(w *worker, data []byte) error {
	b, m := c.b, c.more
	var step exchangeStep
	step.reply, step.done, step.user, step.err = m.exchange.Step(data)
	if m.check != nil {
		return c.exchanged(w, step)
	}
	if m.check = b.passwords.begin(listener.AddressOf(c.remote()), step.user, b.now()); m.check == nil {
		return c.failExchange(w, tooManyPasswords)
	}
	delay := m.check.delay
	if delay == 0 {
		return c.exchanged(w, step)
	}
	c.elsewhere(w, func() { b.pause(delay) }, func(w *worker) {
		if err := c.exchanged(w, step); err != nil {
			c.fail(w, err)
		}
	})
	return nil
}

// exchangeStep is what [access.Exchange.Step] has returned.
type exchangeStep struct {
	reply []byte
	done  bool
	user  string
	err   error
}

// failExchange ends an exchange and says why.
func (c *connection) failExchange(w *worker, d access.Decision) error {
	c.more.exchange = nil
	if c.stage() >= connected {
		return &violation{packet: &packet.Error{Code: packet.NotAuthorized, Clause: "MQTT-4.12.1-2", Text: "re-authentication failed: " + d.Text}, cause: d.Cause}
	}
	c.refuse(w, refusal{code: packet.NotAuthorized, id: d.Cause, text: d.Text})
	return nil
}

// endCheck says how the proof of an exchange has turned out.
func (c *connection) endCheck(v verdict) {
	if m := c.more; m != nil && m.check != nil {
		c.b.passwords.end(m.check, v, c.b.now())
		m.check = nil
	}
}

// exchanged goes on with a step that has been made.
func (c *connection) exchanged(w *worker, step exchangeStep) error {
	m := c.more
	reply, done, user := step.reply, step.done, step.user
	switch {
	case step.err != nil:
		c.endCheck(passwordWrong)
		return c.failExchange(w, access.Decision{Cause: cause.BadCredentials, Text: "enhanced authentication failed"})
	case done:
		c.endCheck(passwordRight)
	}
	props := new(packet.Properties).Set(packet.AuthenticationMethod)
	props.AuthMethod = m.authMethod
	if len(reply) > 0 {
		props.Set(packet.AuthenticationData).AuthData = reply
	}
	if !done {
		c.b.debugf("Sending AUTH to %s (rc%d, %s)", c.name(), packet.ContinueAuthentication, m.authMethod)
		c.send(w, &packet.Auth{Code: packet.ContinueAuthentication, Props: props})
		return nil
	}
	m.exchange = nil
	if c.stage() >= connected {
		if user != c.s.rules.Load().Username {
			return &packet.Error{Code: packet.NotAuthorized, Clause: "MQTT-4.12.1-2", Text: "re-authentication as another user"}
		}
		c.send(w, &packet.Auth{Code: packet.Success, Props: props})
		return nil
	}
	a := c.attempt
	if c.startsOver(w, a) {
		return nil
	}
	if a.login.Certified && user != a.login.Username {
		c.refuse(w, refusal{code: packet.NotAuthorized, id: cause.BadCredentials, text: "the certificate names another user than the authentication"})
		return nil
	}
	a.login.HasUsername, a.login.Username = true, user
	if r := c.identify(a); r != nil {
		c.refuse(w, *r)
		return nil
	}
	a.client, a.props = a.policy.Client(a.login, access.Decision{Allow: true}), props
	c.admitted(w, a)
	return nil
}

func authMethod(p *packet.Auth) string {
	if p.Props == nil {
		return ""
	}
	return p.Props.AuthMethod
}
