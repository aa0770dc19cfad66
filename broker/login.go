package broker

import (
	"net/netip"

	"picket/access"
	"picket/cause"
	"picket/listener"
)

// tooManyPasswords is the answer for an address that has [checksEach] checks under way.
var tooManyPasswords = access.Decision{Cause: cause.RateLimitOrBan, Text: "too many passwords from this address wait to be checked; wrong ones make the next ones wait"}

// checkPassword has a password checked when the turn of the client's address has come (see [passwordQueue]), and waits for that. It is called by a
// goroutine of the connection's own. A check whose client has gone is given up. c is nil where no client waits.
func (b *Broker) checkPassword(c *connection, check func() access.Decision) (d access.Decision) {
	var addr netip.Addr
	user := ""
	if c != nil {
		addr = listener.AddressOf(c.remote())
		if a := c.attempt; a != nil {
			user = a.login.Username
		}
	}
	p := b.passwords.begin(addr, user, b.now())
	if p == nil {
		return tooManyPasswords
	}
	result := notChecked
	defer func() { b.passwords.end(p, result, b.now()) }()
	if !b.pause(p.delay) {
		return b.unanswered()
	}
	b.passwords.line(p, b.now())
	select {
	case <-p.turn:
	case <-b.stopping:
		return b.unanswered()
	}
	if c != nil && c.hasLeft() { // nobody waits for the answer any more
		return access.Decision{Cause: cause.ConnectionLost}
	}
	d = check()
	switch {
	case d.Later != nil || !d.Allow && b.context.Err() != nil:
		return b.unanswered()
	case d.Allow:
		result = passwordRight
	case d.Cause == cause.BadCredentials:
		result = passwordWrong
	}
	return d
}
