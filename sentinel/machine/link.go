package machine

import (
	"slices"
	"strconv"
	"strings"

	"picket/resp"
)

// hello is the channel on which sentinels announce themselves.
const hello = "__sentinel__:hello"

// maxPending is how many commands may wait for a reply before PING, INFO and PUBLISH are held back, for each user of a link.
const maxPending = 100

// conn is one connection: asked for, or up.
type conn struct {
	id      LinkID
	kind    ConnKind
	link    *link
	up      bool
	ready   bool // Subscription: SUBSCRIBE was confirmed
	since   int64
	localIP string
	// remoteIP is the address that the connection led to: what the name stood for then.
	remoteIP string
	pending  []pending

	// What INFO has shown on this connection: who answers, whether that is the one that is meant (see identify), and as what it came.
	runID     string
	proved    bool
	onlyEmpty bool // nothing proves it but that it has no data
	reported  bool
	cameAs    Kind
}

// link is what connects us to an instance. Masters that know the same sentinel share one, so that it gets one PING for all.
type link struct {
	users     []*node
	cmd, sub  *conn
	try       *conn
	cmdTried  int64 // when a connection was last asked for
	subTried  int64
	actPing   int64 // the oldest PING without an acceptable answer, 0: none
	lastPing  int64
	lastPong  int64 // last answer of any kind to a PING
	lastOK    int64 // last acceptable one
	refusedAt int64 // last answer that said that the password or the permission is wrong
	subActive int64 // last message on the subscription
	peerAsked int64 // when a sentinel was asked what it is and has not answered yet, 0: it has
	peerAsOf  int64 // when that was asked which it has answered last
	jitter    int64 // the next PING is this much early, so that sentinels fall out of step
}

// newLink starts the clock of the first PING, so that an instance that never answers goes down too.
func newLink(now int64) *link { return &link{actPing: now, lastOK: now, lastPong: now} }

// disconnected is true unless every connection that this instance needs is there.
func (n *node) disconnected() bool {
	return n.link.cmd == nil || !n.link.cmd.up || n.kind != Sentinel && (n.link.sub == nil || !n.link.sub.ready)
}

func (n *node) commandsUp() bool { return n.link.cmd != nil && n.link.cmd.up }

// answer says what to do with a reply.
type answer uint8

const (
	ignoreAnswer answer = iota
	authAnswer
	pingAnswer
	infoAnswer
	publishAnswer
	askAnswer
	subscribeAnswer
	promoteAnswer
	tryAnswer
	failoverAnswer
	rewriteAnswer
	peerAnswer
)

type pending struct {
	what    answer
	node    *node
	command string
}

// send writes a command to an instance. It is for a connection that is up.
func (m *Machine) send(c *conn, n *node, what answer, args ...string) {
	p := pending{what: what, node: n}
	if what == tryAnswer || what == authAnswer || what == subscribeAnswer {
		p.command = args[0]
	}
	if n.kind == Sentinel {
		// Renames are of data nodes' commands, and of SENTINEL on sentinels.
		if args[0] == "SENTINEL" {
			args[0] = n.master.command("SENTINEL")
		}
	} else {
		args[0] = n.master.command(args[0])
	}
	c.pending = append(c.pending, p)
	m.emit(Send{Link: c.id, Command: args})
}

// open asks for a connection.
func (m *Machine) open(n *node, k ConnKind) *conn {
	m.nextID++
	c := &conn{id: m.nextID, kind: k, link: n.link, since: m.now()}
	m.conns[c.id] = c
	host := n.addr.best()
	if m.set.ResolveHostnames {
		host = n.addr.Host // a name is resolved anew by each connection
	}
	m.emit(Connect{Link: c.id, Kind: k, Peer: n.kind, Name: n.name, Host: host, Port: n.addr.Port})
	return c
}

// drop forgets a connection that is gone or to be closed.
func (m *Machine) drop(c *conn) {
	if c == nil {
		return
	}
	delete(m.conns, c.id)
	for _, p := range c.pending {
		switch p.what {
		case infoAnswer:
			p.node.infoPending--
		case askAnswer:
			p.node.askPending--
		}
	}
	l := c.link
	switch {
	case l.cmd == c:
		l.cmd, l.peerAsked, l.peerAsOf = nil, 0, 0
	case l.sub == c:
		l.sub = nil
	case l.try == c:
		l.try = nil
	}
}

// close ends a connection of ours.
func (m *Machine) close(c *conn) {
	if c != nil {
		m.drop(c)
		m.emit(Close{Link: c.id})
	}
}

// sever ends the connection for commands to an instance, with what is still under way on it.
func (m *Machine) sever(n *node) {
	if c := n.link.cmd; c != nil {
		m.drop(c)
		m.emit(Close{Link: c.id, Abort: true})
	}
}

func (m *Machine) closeLink(l *link) {
	m.close(l.cmd)
	m.close(l.sub)
	m.close(l.try)
}

// leave ends an instance's use of its link, and the link with its last user.
func (m *Machine) leave(n *node) {
	n.gone = true
	l := n.link
	l.users = slices.DeleteFunc(l.users, func(u *node) bool { return u == n })
	if len(l.users) == 0 {
		m.closeLink(l)
	}
}

// share lets a sentinel use the link that another master already has to the same run id.
func (m *Machine) share(n *node) {
	if n.runID == "" {
		return
	}
	for _, ms := range m.masters {
		for _, o := range ms.sentinels {
			if o != n && o.runID == n.runID && ms != n.master && o.link != n.link {
				m.closeLink(n.link)
				n.link = o.link
				n.link.users = append(n.link.users, n)
				return
			}
		}
	}
}

// retryPeriod is how often a connection that is missing is tried: often while the instance is not seen as down yet, so that one that was away for a
// moment is not taken to be down although it is back; then once in a ping period.
func (m *Machine) retryPeriod(n *node) int64 {
	if n.has(sDown) {
		return m.tune.PingPeriod
	}
	period := min(m.tune.PingPeriod, max(n.downAfter/10, 50))
	if n.kind == Master && n.endedAt != 0 && n.master.refusedDown > 0 {
		return min(period, max(n.master.refusedDown/5, 5))
	}
	return period
}

// reconnect opens what is missing.
func (m *Machine) reconnect(n *node) {
	l := n.link
	if n.addr.Port == 0 || l.users[0] != n {
		return
	}
	m.dropMoved(n)
	period := m.retryPeriod(n)
	if l.cmd == nil && m.due(n.master, l.cmdTried, period) {
		l.cmdTried = m.now()
		l.cmd = m.open(n, Commands)
	}
	if n.kind != Sentinel && l.sub == nil && m.due(n.master, l.subTried, period) {
		l.subTried = m.now()
		l.sub = m.open(n, Subscription)
	}
}

// dropMoved closes the connections of an instance whose name stands for another address by now: who is at the old one is another one's business.
func (m *Machine) dropMoved(n *node) {
	if !m.set.ResolveHostnames || m.opt.Resolve == nil || isIP(n.addr.Host) {
		return
	}
	ips := m.opt.Resolve(n.addr.Host)
	if len(ips) == 0 {
		return
	}
	for _, c := range []*conn{n.link.cmd, n.link.sub} {
		if c != nil && c.up && !slices.Contains(ips, c.remoteIP) {
			m.event(Notice, "-moved-link-reconnection", n, m.details(n)+" #"+n.addr.Host+" is at "+strings.Join(ips, " ")+" now, no longer at "+c.remoteIP)
			m.close(c)
		}
	}
}

// Connected tells that a connection that Connect asked for is up, and which addresses it has at this end and at the other.
func (m *Machine) Connected(id LinkID, localIP, remoteIP string) {
	c := m.conns[id]
	if c == nil || c.up {
		return
	}
	c.up, c.since, c.localIP = true, m.now(), localIP
	n := c.link.users[0]
	c.remoteIP = remoteIP
	for _, u := range c.link.users {
		u.unreachable, u.endedAt, u.refusedLast = 0, 0, 0
		if !isIP(u.addr.Host) {
			u.addr.IP = remoteIP
		}
		m.wake(u.master)
	}
	m.authenticate(c, n)
	switch c.kind {
	case Commands:
		m.send(c, n, ignoreAnswer, "CLIENT", "SETNAME", "sentinel-"+m.myID[:min(8, len(m.myID))]+"-cmd")
		m.ping(n)
		n.infoWanted = n.kind != Sentinel
		if n.kind == Sentinel {
			n.peerKnown = false
			m.askPeer(c, n)
		}
		if m.opt.Probe && n.kind != Sentinel && !n.tried {
			n.tried = true
			c.link.try = m.open(n, PermissionTry)
		}
	case Subscription:
		m.send(c, n, ignoreAnswer, "CLIENT", "SETNAME", "sentinel-"+m.myID[:min(8, len(m.myID))]+"-pubsub")
		m.send(c, n, subscribeAnswer, "SUBSCRIBE", hello)
		c.link.subActive = m.now()
	case PermissionTry:
		m.tryPermissions(c, n)
	}
}

func (m *Machine) authenticate(c *conn, n *node) {
	user, pass := n.master.authUser, n.master.authPass
	if n.kind == Sentinel {
		user, pass = m.set.SentinelUser, m.set.SentinelPass
		if pass == "" {
			user, pass = "", m.opt.Password
		}
	}
	switch {
	case pass == "":
	case user == "":
		m.send(c, n, authAnswer, "AUTH", pass)
	default:
		m.send(c, n, authAnswer, "AUTH", user, pass)
	}
}

// tryPermissions has the server check every command that a failover needs, without running any: inside MULTI they are only
// queued, and the connection ends before EXEC. EXEC itself is tried while there is nothing to execute.
func (m *Machine) tryPermissions(c *conn, n *node) {
	for _, args := range [][]string{
		{"PING"}, {"INFO"}, {"EXEC"}, {"MULTI"}, {"SLAVEOF", "NO", "ONE"}, {"CONFIG", "REWRITE"},
		{"CLIENT", "KILL", "TYPE", "normal"}, {"PUBLISH", hello, ""},
	} {
		m.send(c, n, tryAnswer, args...)
	}
}

// Loss is how a connection came to its end, or did not come about.
type Loss uint8

// The kinds of losses.
const (
	Failed  Loss = iota // in any other way
	Refused             // the machine answers that nobody listens there
	Ended               // it was up, and the other end has closed or reset it
)

// Disconnected tells that a connection failed or was lost.
func (m *Machine) Disconnected(id LinkID, how Loss, reason string) {
	c := m.conns[id]
	if c == nil {
		return
	}
	n := c.link.users[0]
	if c.kind == Commands && n.kind == Master {
		m.sawLoss(n, c, how)
	}
	if c.up && c.kind != PermissionTry {
		name := "-cmd-link-reconnection"
		if c.kind == Subscription {
			name = "-pubsub-link-reconnection"
		}
		m.event(Debug, name, n, m.details(n)+" #"+reason)
	}
	if !c.up && c.kind == Commands {
		for _, u := range c.link.users {
			if u.unreachable == 0 {
				u.unreachable = m.now()
			}
		}
	}
	m.drop(c)
	for _, u := range c.link.users {
		m.wake(u.master)
	}
}

// LocalIP is the address at our end of the connection for commands to an instance; empty if there is none.
func (n *node) localIP() string {
	if n.link.cmd == nil {
		return ""
	}
	return n.link.cmd.localIP
}

// Reply tells what came in on a connection: an answer, or a message of the subscription.
func (m *Machine) Reply(id LinkID, v resp.Value) {
	c := m.conns[id]
	if c == nil {
		return
	}
	if c.kind == Subscription {
		c.link.subActive = m.now()
		if len(v.Elems) == 3 && strings.EqualFold(v.Elems[0].Str, "message") {
			if v.Elems[1].Str == hello && !strings.Contains(v.Elems[2].Str, m.myID) {
				m.Hello(v.Elems[2].Str)
			}
			return
		}
	}
	if len(c.pending) == 0 {
		return
	}
	p := c.pending[0]
	c.pending = c.pending[1:]
	if len(c.pending) == 0 {
		c.pending = nil
	}
	n := p.node
	if v.Kind == resp.Error {
		m.refused(n, p, v)
	}
	m.answered(c, p, v)
}

// answered goes on with the answer to a command.
func (m *Machine) answered(c *conn, p pending, v resp.Value) {
	n := p.node
	switch p.what {
	case pingAnswer:
		m.pingAnswered(c.link, n, v)
	case infoAnswer:
		n.infoPending--
		if v.Kind == resp.Bulk && !n.gone {
			m.infoAnswered(c, n, v.Str)
		}
	case publishAnswer:
		if v.Kind != resp.Error {
			n.lastPublish = m.now()
		}
	case askAnswer:
		n.askPending--
		if !n.gone {
			m.askAnswered(n, v)
		}
	case subscribeAnswer:
		if v.Kind == resp.Error {
			m.close(c)
			return
		}
		c.ready = true
		for _, u := range c.link.users {
			m.wake(u.master)
		}
	case tryAnswer:
		if len(c.pending) == 0 {
			m.close(c)
		}
	case peerAnswer:
		if v.Kind == resp.Bulk {
			m.peerAnswered(c.link, v.Str)
		}
	case failoverAnswer:
		m.failoverCommandAnswered(n, v)
	case rewriteAnswer:
		n.unwritten = false // refused, it would be again: a server without a configuration file has none that could be wrong
		m.wake(n.master)
	}
}

// refused notes an answer that says why a link does not work: the password, or a permission.
func (m *Machine) refused(n *node, p pending, v resp.Value) {
	text := v.Str
	if aborted, why, ok := strings.Cut(text, " because of: "); ok && strings.HasPrefix(aborted, "EXECABORT") {
		text = why // a refused EXEC is answered as one that was aborted
	}
	code, _, _ := strings.Cut(text, " ")
	switch code {
	case "WRONGPASS":
		n.authRefusal = text
	case "NOAUTH":
		if !strings.HasPrefix(n.authRefusal, "WRONGPASS") { // which says more, and NOAUTH follows from it
			n.authRefusal = text
		}
	case "ERR":
		if p.what != authAnswer {
			return
		}
		// "ERR AUTH <password> called without any password configured": harmless, the server wants none.
		// "ERR invalid password" is what servers before 6 say.
		if !strings.Contains(v.Str, "without any password") {
			n.authRefusal = text
		}
	case "NOPERM":
		if p.what == tryAnswer || p.what == subscribeAnswer {
			if !slices.Contains(n.missing, p.command) {
				n.missing = append(n.missing, p.command)
			}
		}
	}
}

// ping sends a PING and starts its clock.
func (m *Machine) ping(n *node) {
	l := n.link
	m.send(l.cmd, n, pingAnswer, "PING")
	l.lastPing = m.now()
	if l.actPing == 0 {
		l.actPing = m.now()
	}
}

func (m *Machine) pingAnswered(l *link, n *node, v resp.Value) {
	now := m.now()
	l.lastPong = now
	switch {
	case (v.Kind == resp.Simple || v.Kind == resp.Bulk) && strings.HasPrefix(v.Str, "PONG"),
		v.Kind == resp.Error && (strings.HasPrefix(v.Str, "LOADING") || strings.HasPrefix(v.Str, "MASTERDOWN")):
		l.lastOK = now
		l.actPing = 0
		for _, u := range l.users {
			u.pingRefusal = ""
			m.turn(u.master, now, m.pingPeriod(n))
			if u.has(sDown) {
				m.wake(u.master)
			}
		}
		if v.Kind != resp.Error {
			n.authRefusal = ""
			if n.has(masterReboot) {
				n.flags &^= masterReboot
			}
		}
		if spread := m.pingPeriod(n) / 8; spread > 0 {
			l.jitter = m.opt.Rand.Int64N(spread)
		}
	case v.Kind == resp.Error:
		n.pingRefusal = v.Str
		if v.IsError("NOAUTH") || v.IsError("WRONGPASS") || v.IsError("NOPERM") {
			l.refusedAt = now
		}
		if v.IsError("BUSY") && n.has(sDown) && !n.has(scriptKillSent) && n.proved() {
			// The server is stuck in a script: try to end it, once in each time that it is down.
			m.send(l.cmd, n, ignoreAnswer, "SCRIPT", "KILL")
			n.flags |= scriptKillSent
		}
	}
}

// pingPeriod is how often an instance that answers is asked. It is shorter than Redis' second where a failure is to be noticed
// quickly: a process that hangs is only noticed from the next PING on.
func (m *Machine) pingPeriod(n *node) int64 {
	return min(n.downAfter, m.tune.PingPeriod, max(n.downAfter/4, 50))
}

// fastInfo is how often INFO is asked for in the moments of a failover in which it decides what comes next.
const fastInfo = 20

// infoPeriod is how often INFO is asked for.
func (m *Machine) infoPeriod(n *node) int64 {
	ms := n.master
	switch {
	case n.kind == Replica && n == ms.promoted && ms.state == waitPromotion:
		return m.easing(ms.stateSince)
	case n.kind == Replica && n.has(reconfSent|reconfInProgress) && ms.has(failoverInProgress):
		return m.easing(n.reconfAt)
	case n.kind == Replica && (ms.has(oDown|failoverInProgress) || n.linkDownTime > 0 || n.roleReported == Master), n.doubt != "":
		return min(m.tune.InfoPeriod, 1000)
	}
	if ms.acks > 0 && n.kind == Master {
		return min(m.tune.InfoPeriod, 2000) // how many replicas it has decides how many must answer
	}
	return m.tune.InfoPeriod
}

// easing is the pause between two INFOs that a failover waits for since a moment: short at first, a second when it does not help.
func (m *Machine) easing(since int64) int64 {
	return min(max(fastInfo, (m.now()-since)/10), 1000)
}

// sendPeriodic sends PING, INFO and the hello where they are due.
func (m *Machine) sendPeriodic(n *node) {
	l, ms := n.link, n.master
	if !n.commandsUp() || len(l.cmd.pending) >= maxPending*len(l.users) {
		return
	}
	if n.kind != Sentinel {
		switch {
		case n.infoWanted && n.infoPending == 0, n.infoAt == 0 && n.infoSent == 0:
			m.askInfo(n)
		case n.infoPending == 0:
			if m.turn(ms, max(n.infoAt, n.infoSent), m.infoPeriod(n)) {
				m.askInfo(n)
			}
		default: // an INFO is under way: another one only if it seems lost
			if m.turn(ms, n.infoSent, max(m.infoPeriod(n), 1000)) {
				m.askInfo(n)
			}
		}
	}
	if l.users[0] == n {
		period := m.pingPeriod(n)
		resend := min(n.downAfter, m.tune.PingPeriod) / 2
		if l.actPing == 0 || l.lastPing == 0 {
			resend = 0
		}
		if m.turn(ms, l.lastPong-l.jitter, period) && m.turn(ms, l.lastPing, max(resend, period/2)) {
			m.ping(n)
		}
	}
	if m.told() && (n.forceHello || m.turn(ms, n.lastPublish, m.tune.PublishPeriod) && m.turn(ms, n.publishSent, min(m.tune.PublishPeriod, 1000))) {
		m.sendHello(n)
	}
}

func (m *Machine) askInfo(n *node) {
	n.infoWanted = false
	n.infoSent = m.now()
	n.infoPending++
	m.send(n.link.cmd, n, infoAnswer, "INFO")
}

// askAll asks the master and all replicas for INFO at once.
func (m *Machine) askAll(ms *master) {
	ms.infoWanted = true
	m.hurry(ms)
}

// hurry asks all replicas for INFO at once: the choice among them should rest on what they are now.
func (m *Machine) hurry(ms *master) {
	for _, n := range ms.replicas {
		n.infoWanted = true
	}
	m.wake(ms)
}

// dropStale closes connections that are up but do not answer, so that they are made anew.
func (m *Machine) dropStale(n *node) {
	l, now := n.link, m.now()
	if c := l.cmd; c != nil && c.up && now-c.since > m.tune.MinLinkReconnectPeriod &&
		l.actPing != 0 && now-l.actPing > n.downAfter/2 && now-l.lastPong > n.downAfter/2 {
		m.close(c)
	}
	if c := l.sub; c != nil && c.up && now-c.since > m.tune.MinLinkReconnectPeriod && now-l.subActive > 3*m.tune.PublishPeriod {
		m.close(c)
	}
}

// address strings of links, for messages.
func (n *node) at() string { return hostPort(n.addr.Host, n.addr.Port) }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
