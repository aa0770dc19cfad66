package broker

import (
	"context"

	"picket/packet"
)

// Ownership decides which of several nodes has a session.
type Ownership interface {
	// Claim makes this node the owner of the session known under a client identifier. It is called when a client has been authenticated, with reading from it
	// paused and no lock held, and may take its time: others go on. When it returns without an error, what the node before had of the session has been handed
	// over by [store.Handler].Session; with clean, nobody needs it any more. An error refuses the client, which may try again.
	Claim(ctx context.Context, clientID string, clean bool) error
}

// owns has the session of a client claimed for this node, and reports whether it is this node's already. If not, then is called when it is.
func (c *connection) owns(w *worker, a *attempt, then func(w *worker)) bool {
	o := c.b.ownership
	if o == nil || a.owned {
		return true
	}
	var err error
	c.elsewhere(w, func() { err = o.Claim(c.b.context, a.login.ClientID, a.connect.CleanStart) }, func(w *worker) {
		if err != nil {
			c.refuse(w, refusal{code: packet.ServerUnavailable, id: storeCause(err), text: "the session cannot be had: " + err.Error()})
			return
		}
		a.owned = true
		then(w)
	})
	return false
}
