package broker

import (
	"time"

	"picket/access"
	"picket/cause"
	"picket/packet"
)

// A token (package backend has JSON Web Tokens) is a login that ends: by [access.TokenMethod] as by a password. Its client is cut off at that time, which the wheel of
// keep alive looks for, unless it has shown another token in the connection.

// beginToken judges a CONNECT whose authentication data is a token.
func (c *connection) beginToken(w *worker, a *attempt) {
	c.opt().authMethod = access.TokenMethod
	a.set(packet.AuthenticationMethod).AuthMethod = access.TokenMethod
	a.login.Bearer, a.login.HasPassword, a.login.Password = true, true, a.connect.Props.AuthData
	c.judgeLogin(w, a)
}

// renew judges a token that a connected client shows in place of the one before.
func (c *connection) renew(w *worker, token []byte) error {
	is, policy := c.s.rules.Load(), c.b.policyOf(c)
	d := policy.Connect(access.Login{ClientID: c.s.id, HasUsername: is.HasUsername, Username: is.Username, Certified: is.Certified, HasPassword: true, Password: token,
		Bearer: true, Remote: c.remote(), Local: c.local})
	if d.Later == nil {
		return c.renewed(w, policy, d, token)
	}
	c.elsewhere(w, func() { d = c.b.get(c, d.Later) }, func(w *worker) {
		if err := c.renewed(w, policy, d, token); err != nil {
			c.fail(w, err)
		}
	})
	return nil
}

// renewed goes on with what was decided about another token under a policy.
func (c *connection) renewed(w *worker, policy *access.Policy, d access.Decision, token []byte) error {
	s, is := c.s, c.s.rules.Load()
	switch {
	case !d.Allow:
		return c.failExchange(w, d)
	case d.User != is.Username:
		return &packet.Error{Code: packet.NotAuthorized, Clause: "MQTT-4.12.1-2", Text: "re-authentication as another user"}
	}
	s.mu.Lock()
	switch {
	case s.conn != c: // it has gone meanwhile
		s.mu.Unlock()
		return nil
	case policy != c.b.policyOf(c): // a reload has come meanwhile
		s.mu.Unlock()
		return c.renew(w, token)
	}
	s.rules.Store(policy.Client(access.Login{ClientID: s.id, HasUsername: true, Username: d.User, Certified: is.Certified}, d))
	s.mu.Unlock()
	c.b.watch(c)
	props := new(packet.Properties).Set(packet.AuthenticationMethod)
	props.AuthMethod = access.TokenMethod
	c.send(w, &packet.Auth{Code: packet.Success, Props: props})
	return nil
}

// tokenEnds is when the client of a connection has to go because its token ends; the zero time: never.
func (c *connection) tokenEnds() time.Time { return c.s.rules.Load().Until() }

// tokenEnded tells whether that is over at now.
func (c *connection) tokenEnded(now time.Time) bool {
	end := c.tokenEnds()
	return !end.IsZero() && !now.Before(end)
}

// cutOff ends the connections of clients whose tokens have ended, unless they have shown another one since that was seen.
func (b *Broker) cutOff(all []*connection, now time.Time) {
	b.do(func(w *worker) {
		for _, c := range all {
			if !c.tokenEnded(now) {
				b.watch(c)
				continue
			}
			c.dismiss(w, refusal{code: packet.MaximumConnectTime, id: cause.JWTExpired, text: "its token has ended"}, "Client %s disconnected: its token has ended.", c.name())
		}
	})
}
