package broker

import (
	"context"
	"net/netip"

	"picket/access"
	"picket/cause"
	"picket/listener"
)

// tooManyPasswords is the answer for an address that has too many checks under way.
var tooManyPasswords = access.Decision{Cause: cause.RateLimitOrBan, Text: "too many passwords from this address wait to be checked; wrong ones make the next ones wait"}

// checkPassword has a password checked when the turn of the client's address in a queue has come (see [passwordQueue]), and waits for that. It is called by a
// goroutine of the connection's own. A check whose client has gone is given up. c is nil where no client waits. Its answer may be that somebody else has to check it.
func (b *Broker) checkPassword(ctx context.Context, q *passwordQueue, c *connection, check func() access.Decision) (d access.Decision) {
	var addr netip.Addr
	user := ""
	if c != nil {
		addr = listener.AddressOf(c.remote())
		if a := c.attempt; a != nil {
			user = a.login.Username
		}
	}
	p := q.begin(addr, user, b.now())
	if p == nil {
		return tooManyPasswords
	}
	result := notChecked
	defer func() { q.end(p, result, b.now()) }()
	if !b.pause(p.delay) {
		return b.unanswered()
	}
	q.line(p, b.now())
	select {
	case <-p.turn:
	case <-ctx.Done():
		return b.unanswered()
	}
	if c != nil && c.hasLeft() { // nobody waits for the answer any more
		return access.Decision{Cause: cause.ConnectionLost}
	}
	d = check()
	switch {
	case d.Later != nil:
	case !d.Allow && ctx.Err() != nil:
		return b.unanswered()
	case d.Allow:
		result = passwordRight
	case d.Cause == cause.BadCredentials, d.Cause == cause.JWTRefused:
		result = passwordWrong
	}
	return d
}
