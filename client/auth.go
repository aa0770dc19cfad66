package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/xdg-go/scram"

	"picket/packet"
)

// Authenticator is the client's side of a method of enhanced authentication (MQTT 5.0, 4.12).
type Authenticator interface {
	// Method is the name of the method, such as SCRAM-SHA-256.
	Method() string
	// Begin starts an exchange and returns its first message.
	Begin() (first []byte, err error)
	// Step answers a message of the server's. The last one, that comes with the server's consent, has no answer to send.
	Step(data []byte) (reply []byte, err error)
	// Proven reports whether the server has proven what the method has it prove.
	Proven() bool
}

// SCRAM is SCRAM-SHA-256 (RFC 7677): the password is never sent, and the server has to prove that it knows it.
func SCRAM(username, password string) (Authenticator, error) {
	s, err := scram.SHA256.NewClient(username, password, "")
	if err != nil {
		return nil, fmt.Errorf("SCRAM-SHA-256: %w", err)
	}
	return &scramAuth{client: s}, nil
}

type scramAuth struct {
	client *scram.Client
	talk   *scram.ClientConversation
}

func (*scramAuth) Method() string { return "SCRAM-SHA-256" }

func (a *scramAuth) Begin() ([]byte, error) {
	a.talk = a.client.NewConversation()
	return a.Step(nil)
}

func (a *scramAuth) Step(data []byte) ([]byte, error) {
	reply, err := a.talk.Step(string(data))
	if err != nil {
		return nil, fmt.Errorf("SCRAM-SHA-256: %w", err)
	}
	return []byte(reply), nil
}

func (a *scramAuth) Proven() bool { return a.talk.Valid() }

var (
	errNotProven   = errors.New("the server let us in without proving that it knows the password")
	errOtherMethod = errors.New("the server changed the authentication method (MQTT-4.12.0-5)")
	errUnasked     = errors.New("the server sent AUTH unasked (MQTT-4.12.0-6)")
)

// handshake sends CONNECT and waits for CONNACK, with AUTH in between where it is asked for.
func (c *Client) handshake(in *input) error {
	connect := c.o.Connect
	if c.o.Auth != nil {
		first, err := c.o.Auth.Begin()
		if err != nil {
			return err
		}
		var props packet.Properties
		if connect.Props != nil {
			props = *connect.Props
		}
		props.AuthMethod, props.AuthData = c.o.Auth.Method(), first
		connect.Props = props.Set(packet.AuthenticationMethod).Set(packet.AuthenticationData)
	}
	c.trace(true, &connect)
	if _, err := c.conn.Write(connect.Append(nil, c.version)); err != nil {
		return lost(err)
	}
	for {
		first, body, err := in.next(c.o.maxPacket())
		if err != nil {
			return err
		}
		decoded, err := packet.Decode(c.version, first, body)
		if err != nil {
			return err
		}
		switch p := decoded.(type) {
		case *packet.Connack:
			c.connack = p
			if p.Props.Has(packet.AssignedClientIdentifier) {
				c.id = p.Props.AssignedClientID
			}
			c.trace(false, p)
			return c.accepted(p)
		case *packet.Auth:
			c.trace(false, p)
			reply, err := c.step(p)
			if err != nil {
				return err
			}
			c.trace(true, reply)
			if _, err := c.conn.Write(reply.Append(nil, c.version)); err != nil {
				return lost(err)
			}
		default:
			return &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-3.2.0-1", Text: fmt.Sprintf("packet of type %d before CONNACK", first>>4)}
		}
	}
}

// accepted checks a CONNACK.
func (c *Client) accepted(p *packet.Connack) error {
	if p.Code.Failed() {
		return &RefusedError{Version: c.version, Code: p.Code, Props: p.Props}
	}
	if c.o.Auth == nil {
		return nil
	}
	return c.conclude(p.Props)
}

// conclude takes the server's last word of an exchange.
func (c *Client) conclude(props *packet.Properties) error {
	if props.Has(packet.AuthenticationData) {
		if _, err := c.o.Auth.Step(props.AuthData); err != nil {
			return err
		}
	}
	if !c.o.Auth.Proven() {
		return errNotProven
	}
	return nil
}

// step answers an AUTH packet that asks for more.
func (c *Client) step(p *packet.Auth) (*packet.Auth, error) {
	switch {
	case c.o.Auth == nil || p.Code != packet.ContinueAuthentication:
		return nil, errUnasked
	case !p.Props.Has(packet.AuthenticationMethod) || p.Props.AuthMethod != c.o.Auth.Method():
		return nil, errOtherMethod
	}
	reply, err := c.o.Auth.Step(p.Props.AuthData)
	if err != nil {
		return nil, err
	}
	return c.auth(packet.ContinueAuthentication, reply), nil
}

// auth is an AUTH packet of the method in use (MQTT-4.12.0-2, -4).
func (c *Client) auth(code packet.Code, data []byte) *packet.Auth {
	props := &packet.Properties{AuthMethod: c.o.Auth.Method(), AuthData: data}
	return &packet.Auth{Code: code, Props: props.Set(packet.AuthenticationMethod).Set(packet.AuthenticationData)}
}

// Reauthenticate goes through the exchange again on the living connection (MQTT 5.0, 4.12.1). A server that does not like the outcome
// disconnects.
func (c *Client) Reauthenticate(ctx context.Context) error {
	if c.o.Auth == nil {
		return errors.New("the connection was made without enhanced authentication")
	}
	end := make(chan error, 1)
	c.mu.Lock()
	busy := c.reauth != nil
	if !busy {
		c.reauth = end
	}
	c.mu.Unlock()
	if busy {
		return errors.New("a re-authentication is under way")
	}
	first, err := c.o.Auth.Begin()
	if err == nil {
		err = c.queue(c.auth(packet.Reauthenticate, first))
	}
	if err != nil {
		c.endReauth()
		return err
	}
	select {
	case err := <-end:
		return err
	case <-c.done:
		return c.endError()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// endReauth lets the next re-authentication begin and returns the one that ends.
func (c *Client) endReauth() chan error {
	c.mu.Lock()
	defer c.mu.Unlock()
	end := c.reauth
	c.reauth = nil
	return end
}

// authenticate deals with an AUTH packet after CONNACK.
func (c *Client) authenticate(p *packet.Auth) error {
	c.mu.Lock()
	busy := c.reauth != nil
	c.mu.Unlock()
	if !busy {
		return errUnasked
	}
	if p.Code == packet.Success {
		err := c.conclude(p.Props)
		c.endReauth() <- err
		return err
	}
	reply, err := c.step(p)
	if err != nil {
		return err
	}
	return c.queue(reply)
}
