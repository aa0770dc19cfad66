package broker

import (
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"

	"picket/cause"
	"picket/listener"
	"picket/logging"
)

// incident is one thing that the broker has refused, dropped, closed or given up. It is reported once, by [Broker.report], so that the log, the
// reason string that the client gets, the counters (`ctl status`, $SYS) and the list of failed attempts all name the same cause.
type incident struct {
	cause cause.ID
	count int            // the messages or connections that it concerns; 0 stands for 1
	seen  string         // what was seen, for the reason string; never a secret
	level logging.Type   // of the line in the log; 0 stands for a notice
	limit *oncePerSecond // bounds how often the line is written; nil: each time
	by    *connection    // whose failed attempt it is, to be shown to its neighbours; nil: nobody's
}

// report counts an incident, writes its line in the log (none if format is empty), notes the attempt, and returns the reason string. It is the only
// way to say no: house_test.go keeps others from counting or from logging a cause.
func (b *Broker) report(i incident, format string, args ...any) (reason string) {
	if i.level == 0 {
		i.level = logging.Notice
	}
	b.stats.causes.add(i.cause, max(1, i.count))
	if i.by != nil {
		i.by.noteAttempt(i.cause)
	}
	if format != "" && (i.limit == nil || i.limit.allow(b.clock.Load())) {
		b.log.Cause(i.level, i.cause, format, args...)
	}
	return reasonString(i.cause, i.seen)
}

// notice logs what a cause explains and what yet is no refusal: a state that has begun or ended, or the sum of incidents that have been counted.
func (b *Broker) notice(level logging.Type, id cause.ID, format string, args ...any) {
	b.log.Cause(level, id, format, args...)
}

// refused reports a connection that ended before it became a client.
func (b *Broker) refused(r listener.Refusal) {
	if r.Accepted {
		return // Closed follows, which knows more of the client
	}
	b.eachTap(func(t tap) { t.refused(r) })
	b.noteRefused(r.Remote, attemptRecord{at: b.now(), cause: r.Cause, port: r.Listener.Port})
	from := "local"
	if r.Remote.IsValid() {
		from = r.Remote.Addr().Unmap().String()
	}
	i := incident{cause: r.Cause}
	if r.Cause == cause.ConnectFlood {
		i.limit = &b.floodLine
	}
	b.report(i, "Client connection from %s failed: %s.", from, r.Text)
}

// noteAttempt keeps what the client of a connection did wrong.
func (c *connection) noteAttempt(id cause.ID) {
	r := attemptRecord{at: c.b.now(), cause: id, port: c.from.Port, version: c.version}
	if a := c.attempt; a != nil {
		r.named, r.user, r.client = a.login.HasUsername, a.login.Username, a.login.ClientID
	} else {
		is := c.s.rules.Load()
		r.named, r.user, r.client = is.HasUsername, is.Username, is.ID
	}
	c.b.noteRefused(c.remote(), r)
}

// noteRefused keeps what somebody did wrong, counts it against his address, and tells those who look on.
func (b *Broker) noteRefused(remote netip.AddrPort, r attemptRecord) {
	addr := plainAddress(remote)
	if b.attempts.note(addr, r) {
		b.eachWatch(func(w *Watch) {
			if w.refused {
				w.add(Happening{Kind: Denial, Client: cut(r.client), User: cut(r.user), Address: netip.AddrPortFrom(addr, remote.Port()), Version: versionName(r.version), Cause: r.cause})
			}
		})
	}
	b.countFailure(addr, r.cause)
}

// reasonString is the text of an MQTT 5 reason string: the cause's id and what was seen.
func reasonString(id cause.ID, seen string) string {
	switch {
	case id == "":
		return seen
	case seen == "":
		return string(id)
	}
	return string(id) + ": " + seen
}

// tally counts incidents by cause since the broker's start. Safe for concurrent use.
type tally struct {
	mu sync.Mutex
	by map[cause.ID]uint64
}

func (t *tally) add(id cause.ID, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.by == nil {
		t.by = make(map[cause.ID]uint64)
	}
	t.by[id] += uint64(n)
}

// Causes returns how often the broker refused, dropped or closed something, by cause.
func (b *Broker) Causes() map[cause.ID]uint64 {
	t := &b.stats.causes
	t.mu.Lock()
	defer t.mu.Unlock()
	m := make(map[cause.ID]uint64, len(t.by))
	maps.Copy(m, t.by)
	return m
}

// oncePerSecond keeps a line that an attacker can cause from filling the log.
type oncePerSecond struct{ last uint32 }

func (o *oncePerSecond) allow(now uint32) bool {
	return atomic.SwapUint32(&o.last, now+1) != now+1
}

// ReportCaller counts a request to the API that was refused, and logs few such lines in a second.
func (b *Broker) ReportCaller(id cause.ID, format string, args ...any) {
	limit := &b.callerLine
	if id == cause.TokenGuessed {
		limit = &b.guessedLine // it begins in the second of the last wrong token
	}
	b.report(incident{cause: id, limit: limit}, format, args...)
}
