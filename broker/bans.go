package broker

import (
	"context"
	"net/netip"
	"time"

	"picket/access"
	"picket/ban"
	"picket/cause"
	"picket/logging"
	"picket/packet"
)

// banned is the answer to somebody whom a ban keeps out.
func banned(b *ban.Ban) *refusal {
	text := "the " + banNames[b.Kind] + " is banned"
	if !b.Until.IsZero() {
		text += " until " + b.Until.Format(time.RFC3339)
	}
	if b.Why != "" {
		text += " (" + b.Why + ")"
	}
	return &refusal{code: packet.Banned, id: cause.Banned, text: text, told: true}
}

var banNames = map[ban.Kind]string{ban.Address: "address", ban.User: "user", ban.Client: "client identifier", ban.Prefix: "client identifier"}

// fromBanned tells whether a connection comes from a banned address. What the program itself has connected has no address.
func (b *Broker) fromBanned(c *connection) bool {
	return b.bans.Covers(c.remote().Addr(), b.now())
}

// turnAway lets a connection from a banned address stay to be told so, if that can be had cheaply; see [room].
func (b *Broker) turnAway(c *connection) (stays bool) {
	if b.room.turn(&c.slot, b.clock.Load(), b.settings.Load().turnedAtOnce) {
		return true
	}
	b.bans.Address(c.remote().Addr(), b.now()) // counts there
	b.report(incident{cause: cause.Banned, limit: &b.bannedLine}, "Client connection from %s denied: its address is banned.", c.host())
	return false
}

// isNotBanned looks whether the client's address is banned, before anything is done for it.
func (c *connection) isNotBanned(*attempt) *refusal {
	if b := c.b.bans.Address(c.remote().Addr(), c.b.now()); b != nil {
		return banned(b)
	}
	return nil
}

// clientNotBanned looks whether the client identifier is banned.
func (c *connection) clientNotBanned(a *attempt) *refusal {
	if c.linked() {
		return nil
	}
	if b := c.b.bans.Client(a.login.ClientID, c.b.now()); b != nil {
		return banned(b)
	}
	return nil
}

// userNotBanned looks whether the user is banned that the client has shown to be. Strangers learn nothing of that.
func (c *connection) userNotBanned(a *attempt) *refusal {
	if c.linked() {
		return nil
	}
	if b := c.b.bans.User(a.client.Username, c.b.now()); b != nil {
		return banned(b)
	}
	return nil
}

// Ban keeps somebody out from now on, until the ban's time or until it is lifted, and ends the connections of those whom it is about: it returns the ban as it is kept,
// and how many they were. It fails with [ban.ErrRevision] where the bans are not those of a revision; empty: any.
func (b *Broker) Ban(by ban.Ban, revision string) (ban.Ban, int, error) {
	kept, err := b.bans.Add(by, revision, b.now())
	if err != nil {
		return kept, 0, err
	}
	n := b.EnforceBans()
	b.notice(logging.Notice, cause.Banned, "Banned %s %s: %s.", kept.Kind, kept.Value, banned(&kept).text)
	return kept, n, nil
}

// BanEffect says whose connections [Broker.Ban] would end, and fails as that does. Nobody is banned.
func (b *Broker) BanEffect(ctx context.Context, by ban.Ban, revision string) (Effect, error) {
	kept, err := b.bans.Prepare(by, revision, b.now())
	if err != nil {
		return Effect{}, err
	}
	return b.Effect(ctx, func(c *access.Client, from netip.Addr) bool { return kept.Meets(from, c.ID, c.Username) }, nil)
}

// Unban lifts a ban, and reports whether there was one. It fails with [ban.ErrRevision] as [Broker.Ban] does.
func (b *Broker) Unban(kind ban.Kind, value, revision string) (bool, error) {
	found, err := b.bans.Remove(kind, value, revision, b.now())
	if found && err == nil {
		b.log.Printf(logging.Notice, "Lifted the ban of %s %s.", kind, value)
	}
	return found, err
}

// Banned reports whether there is a ban that [Broker.Unban] would lift, and fails as that does.
func (b *Broker) Banned(kind ban.Kind, value, revision string) (bool, error) {
	return b.bans.Has(kind, value, revision, b.now())
}

// BanRevision names the bans in force that somebody has made: another one, another revision.
func (b *Broker) BanRevision() string { return b.bans.Revision(b.now()) }

// countFailure counts what a client has done wrong for the rule that bans addresses by themselves. Who is connected from such an address stays.
func (b *Broker) countFailure(from netip.Addr, id cause.ID) {
	if by := b.bans.Fail(from, string(id), b.now()); by != nil {
		b.notice(logging.Notice, cause.Banned, "Banned address %s: %s.", by.Value, banned(by).text)
	}
}

// Bans returns the bans in force.
func (b *Broker) Bans() []ban.State { return b.bans.All(b.now()) }

// EnforceBans ends the connections of those whom somebody has banned by now, and returns how many there were. Whom a rule has banned stays connected. A CONNECT that is being judged is judged anew: when it has
// returned nobody is connected who has been banned by hand.
func (b *Broker) EnforceBans() (n int) {
	b.epoch.Add(1)
	now := b.now()
	b.do(func(w *worker) {
		for _, s := range b.sessionsOf(nil) {
			s.mu.Lock()
			if s.endIfBannedLocked(w, now) {
				n++
			}
			s.mu.Unlock()
		}
	})
	return n
}

// endIfBannedLocked ends the connection of a session if somebody has banned its client, and reports whether it has.
func (s *Session) endIfBannedLocked(w *worker, now time.Time) bool {
	c := s.conn
	if c == nil || c.stage() >= closing || c.linked() {
		return false
	}
	by := w.b.bans.Any(c.remote().Addr(), s.id, s.rules.Load().Username, now)
	if by == nil {
		return false
	}
	r := banned(by)
	r.code = packet.AdministrativeAction
	c.dismissLocked(w, *r, "Client %s been disconnected by administrative action: %s.", s.id, r.text)
	return true
}
