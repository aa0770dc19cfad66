//go:build unix

package conformance

import (
	"github.com/xdg-go/scram"

	"picket/packet"
)

// Enhanced authentication, with SCRAM-SHA-256: the configuration "scram" knows alice, whose password is looking-glass.

const method = "SCRAM-SHA-256"

// prover makes the client's side of an exchange.
func (e *env) prover(password string) *scram.ClientConversation {
	e.Helper()
	c, err := scram.SHA256.NewClient("alice", password, "")
	if err != nil {
		e.Fatal(err)
	}
	return c.NewConversation()
}

// step is the client's answer to what the broker has said.
func (e *env) step(c *scram.ClientConversation, data []byte) []byte {
	e.Helper()
	answer, err := c.Step(string(data))
	if err != nil {
		e.Fatal(err)
	}
	return []byte(answer)
}

func authProps(method string, data []byte) *packet.Properties {
	return (&packet.Properties{AuthMethod: method, AuthData: data}).Set(packet.AuthenticationMethod).Set(packet.AuthenticationData)
}

func authenticating(method string, data []byte) option {
	return props(func(p *packet.Properties) {
		p.AuthMethod, p.AuthData = method, data
		p.Set(packet.AuthenticationMethod).Set(packet.AuthenticationData)
	})
}

// authData is what the broker has sent along; the packet has to name the method.
func (c *conn) authData(p *packet.Properties) []byte {
	c.Helper()
	if !p.Has(packet.AuthenticationMethod) || p.AuthMethod != method {
		c.Fatalf("the broker names no method or another: %+v", p)
	}
	return p.AuthData
}

// challenge is the next packet, an AUTH that asks for more.
func (c *conn) challenge() []byte {
	c.Helper()
	a := want[*packet.Auth](c)
	if a.Code != packet.ContinueAuthentication {
		c.Fatalf("AUTH with %v", a.Code)
	}
	return c.authData(a.Props)
}

// authenticated connects with the method.
func (e *env) authenticated(opts ...option) *conn {
	e.Helper()
	p := e.prover("looking-glass")
	c := e.greet(append(opts, on("scram"), authenticating(method, e.step(p, nil)))...)
	c.send(&packet.Auth{Code: packet.ContinueAuthentication, Props: authProps(method, e.step(p, c.challenge()))})
	c.ack = want[*packet.Connack](c)
	if c.ack.Code != packet.Success {
		e.Fatalf("CONNACK: %v", c.ack.Code)
	}
	e.step(p, c.authData(c.ack.Props))
	if !p.Valid() {
		e.Fatal("the broker has not shown that it knows the password's hash")
	}
	return c
}

// reauthenticate proves the password once more, over the same connection.
func (c *conn) reauthenticate(password string) {
	c.Helper()
	p := c.prover(password)
	c.send(&packet.Auth{Code: packet.Reauthenticate, Props: authProps(method, c.step(p, nil))})
	c.send(&packet.Auth{Code: packet.ContinueAuthentication, Props: authProps(method, c.step(p, c.challenge()))})
}

func authExchange(e *env) {
	c := e.authenticated()
	c.quiet()
	c.reauthenticate("looking-glass")
	if a := want[*packet.Auth](c); a.Code != packet.Success {
		e.Errorf("AUTH with %v", a.Code)
	} else {
		c.authData(a.Props)
	}
	c.quiet()
}

// authWithinMaximum lets the broker's packets be no larger than they are without explanations.
func authWithinMaximum(e *env) {
	const limit = 180
	c := e.authenticated(maximumPacketSize(limit))
	c.reauthenticate("looking-glass")
	if a := want[*packet.Auth](c); len(c.Raw) > limit {
		e.Errorf("%s of %d bytes", describe(a), len(c.Raw))
	}
}

// authRejected: at whatever point the exchange fails, the connection ends.
func authRejected(e *env) {
	e.greet(on("scram"), authenticating(method, []byte("no such message"))).rejected(packet.NotAuthorized, packet.BadUserNameOrPassword)
	p := e.prover("wrong")
	c := e.greet(on("scram"), authenticating(method, e.step(p, nil)))
	c.send(&packet.Auth{Code: packet.ContinueAuthentication, Props: authProps(method, e.step(p, c.challenge()))})
	c.rejected(packet.NotAuthorized, packet.BadUserNameOrPassword)
	// Another method in the middle, and other packets than AUTH.
	for _, other := range []packet.Packet{
		&packet.Auth{Code: packet.ContinueAuthentication, Props: authProps("another", nil)},
		&packet.Auth{Code: packet.Reauthenticate, Props: authProps(method, nil)},
		packet.Pingreq{},
	} {
		c := e.greet(on("scram"), authenticating(method, e.step(e.prover("looking-glass"), nil)))
		c.challenge()
		c.send(other)
		c.rejected()
	}
}

func reauthenticationFails(e *env) {
	c := e.authenticated()
	c.reauthenticate("wrong")
	c.refused(packet.NotAuthorized)
	// A client that has not authenticated in this way cannot do so again.
	c = e.connect()
	c.send(&packet.Auth{Code: packet.Reauthenticate, Props: authProps(method, nil)})
	c.refused(packet.ProtocolError)
}

func refusedAuthMethod(e *env) {
	e.greet(authenticating("no-such-method", nil)).rejected(packet.BadAuthenticationMethod, packet.NotAuthorized)
	e.greet(on("scram"), authenticating("no-such-method", nil)).rejected(packet.BadAuthenticationMethod, packet.NotAuthorized)
}

// noAuthUnasked: without a method in CONNECT no AUTH comes and CONNACK names none.
func noAuthUnasked(e *env) {
	c := e.connect()
	if c.ack.Props.Has(packet.AuthenticationMethod) || c.ack.Props.Has(packet.AuthenticationData) {
		e.Errorf("CONNACK with %+v", c.ack.Props)
	}
	c.quiet()
}
