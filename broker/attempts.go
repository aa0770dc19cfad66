package broker

import (
	"container/list"
	"encoding/json"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"picket/cause"
	"picket/logging"
	"picket/packet"
)

// AttemptsTopic is what a client subscribes to that wants to know what other clients from its address do wrong: a phone's page shows it
// to the person who holds the phone. It is no topic that is published to, and no wildcard matches it. Each message is a JSON array, the newest
// attempt first, and takes the place of the one before.
const AttemptsTopic = "$SYS/broker/picket/attempts"

// Bounds of what is kept: attemptAddresses times attemptsEach entries of some hundred bytes.
const (
	attemptAddresses = 1024
	attemptsEach     = 10
	attemptWatchers  = 1024             // clients that watch, at once
	watchersEach     = 4                // for one address
	attemptsKept     = 10 * time.Minute // what is older is not shown
	examination      = 30 * time.Second // within which the doctor is done
	maxAttemptText   = 128
	attemptsOutput   = 64 << 10 // a watcher that reads too slowly is not sent more
)

// attempts keeps what clients did wrong, by their addresses, and who watches: W is whatever its owner knows them by. It reads no clock and sends nothing. Safe for
// concurrent use.
type attempts[W comparable] struct {
	changed atomic.Bool // something is to be sent

	mu       sync.Mutex
	byAddr   map[netip.Addr]*list.Element // of *addressAttempts[W]
	order    list.List                    // the one that was used last in front
	watchers int
}

// addressAttempts is what is known of one address.
type addressAttempts[W comparable] struct {
	addr     netip.Addr
	recent   []attemptRecord // oldest first
	watchers []W
	changed  bool
	examined time.Time // when a doctor's CONNECT last came; it is no app, and neither is what it sends before
}

// attemptRecord is one attempt, or several that are alike.
type attemptRecord struct {
	at      time.Time
	cause   cause.ID
	port    int
	version packet.Version // 0: it did not come to CONNECT
	user    string
	named   bool // a user name was given
	client  string
	count   int
}

// Attempt is one element of the message. What could be secret is not in it: people type a password into the wrong field, and the name of
// another user, or the identifier of another client, is nobody's business.
type Attempt struct {
	Seconds int      `json:"seconds"`          // how long ago
	Cause   cause.ID `json:"cause"`            // why it failed
	Port    int      `json:"port,omitempty"`   // where it came to
	MQTT    string   `json:"mqtt,omitempty"`   // its version: 3.1, 3.1.1 or 5.0; empty if it did not come to CONNECT
	User    string   `json:"user,omitempty"`   // compared with the watcher's: none, same, similar (but for capitals or blanks) or other
	Client  string   `json:"client,omitempty"` // the first half of the client identifier
	Own     bool     `json:"own,omitempty"`    // it comes from the watcher's device, by the address ([shared]) or the token ([tokenOf])
	Count   int      `json:"count"`            // how often
}

// Client identifiers of those who are no apps: the phone's page (page/web/page.js), which shows its own failures itself, and the doctor (doctor/probe).
const pageClients = "picket-page-"

var doctorClient = regexp.MustCompile(`^doctor[0-9a-f]{12}$`)

// note keeps an attempt of an app, and reports whether it is one. Connections that say nothing are not worth it: browsers open them in advance.
func (a *attempts[W]) note(addr netip.Addr, r attemptRecord) (kept bool) {
	if !addr.IsValid() || r.cause == cause.ConnectTimeout || r.cause == "" || strings.HasPrefix(r.client, pageClients) || doctorClient.MatchString(r.client) {
		return false
	}
	r.user, r.client = cut(r.user), cut(r.client)
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.of(addr)
	if r.version == 0 && r.at.Sub(of.examined) < examination {
		return false
	}
	if n := len(of.recent); n > 0 {
		if last := &of.recent[n-1]; last.cause == r.cause && last.port == r.port && last.version == r.version && last.user == r.user && last.named == r.named && last.client == r.client {
			last.at = r.at
			last.count++
			a.mark(of)
			return true
		}
	}
	if len(of.recent) == attemptsEach {
		of.recent = slices.Delete(of.recent, 0, 1)
	}
	r.count = 1
	of.recent = append(of.recent, r)
	a.mark(of)
	return true
}

// greet looks at the client identifier of a CONNECT: if it is a doctor's, what came from its address lately and did not come to CONNECT was the doctor's too.
func (a *attempts[W]) greet(addr netip.Addr, client string, now time.Time) {
	if !addr.IsValid() || !doctorClient.MatchString(client) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.of(addr)
	of.examined = now
	of.recent = slices.DeleteFunc(of.recent, func(r attemptRecord) bool { return r.version == 0 && now.Sub(r.at) < examination })
	a.mark(of)
}

func cut(s string) string {
	if len(s) > maxAttemptText {
		return strings.ToValidUTF8(s[:maxAttemptText], "")
	}
	return strings.Clone(s) // the text may be a part of a packet
}

func (a *attempts[W]) mark(of *addressAttempts[W]) {
	if len(of.watchers) > 0 {
		of.changed = true
		a.changed.Store(true)
	}
}

// of finds or makes the entry of an address. Where there are too many, the one that was used longest ago and that nobody watches goes.
func (a *attempts[W]) of(addr netip.Addr) *addressAttempts[W] {
	if e := a.byAddr[addr]; e != nil {
		a.order.MoveToFront(e)
		return e.Value.(*addressAttempts[W])
	}
	if a.byAddr == nil {
		a.byAddr = make(map[netip.Addr]*list.Element)
	}
	for e := a.order.Back(); e != nil && len(a.byAddr) >= attemptAddresses; {
		old := e.Value.(*addressAttempts[W])
		before := e.Prev()
		if len(old.watchers) == 0 {
			delete(a.byAddr, old.addr)
			a.order.Remove(e)
		}
		e = before
	}
	of := &addressAttempts[W]{addr: addr}
	a.byAddr[addr] = a.order.PushFront(of)
	return of
}

// watch has a client be told from now on what happens at its address, and at once what is known already. It reports whether there was room.
func (a *attempts[W]) watch(addr netip.Addr, by W) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.of(addr)
	if !slices.Contains(of.watchers, by) {
		if len(of.watchers) >= watchersEach || a.watchers >= attemptWatchers {
			return false
		}
		of.watchers = append(of.watchers, by)
		a.watchers++
	}
	a.mark(of)
	return true
}

// unwatch takes a client off.
func (a *attempts[W]) unwatch(addr netip.Addr, by W) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.byAddr[addr]; e != nil {
		of := e.Value.(*addressAttempts[W])
		if i := slices.Index(of.watchers, by); i >= 0 {
			of.watchers = slices.Delete(of.watchers, i, i+1)
			a.watchers--
		}
	}
}

// news is what a watcher is to be sent.
type news[W comparable] struct {
	to     []W
	recent []attemptRecord
}

// take returns what has changed since the last call.
func (a *attempts[W]) take() (all []news[W]) {
	if !a.changed.Swap(false) {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for e := a.order.Front(); e != nil; e = e.Next() {
		if of := e.Value.(*addressAttempts[W]); of.changed {
			of.changed = false
			all = append(all, news[W]{slices.Clone(of.watchers), slices.Clone(of.recent)})
		}
	}
	return all
}

// attemptsEvery is how often at most watchers are sent what has changed.
const attemptsEvery = 500 * time.Millisecond

// tellAttempts runs until the broker stops.
func (b *Broker) tellAttempts() {
	for b.pause(attemptsEvery) {
		b.tellChanged()
	}
}

// tellChanged sends the watchers of an address what has happened there since they were last told.
func (b *Broker) tellChanged() {
	all := b.attempts.take()
	if len(all) == 0 {
		return
	}
	now := b.now()
	b.do(func(w *worker) {
		for _, n := range all {
			for _, c := range n.to {
				w.tellAttempts(c, n.recent, now)
			}
		}
	})
}

// tellAttempts sends a watcher the list.
func (w *worker) tellAttempts(c *connection, recent []attemptRecord, now time.Time) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c || c.stage() >= closing || c.out.size > attemptsOutput {
		return
	}
	is := s.rules.Load()
	payload, err := json.Marshal(attemptsFor(recent, is.Username, is.ID, shared(plainAddress(c.remote())), now))
	if err != nil {
		w.b.log.Printf(logging.Error, "Error: %v.", err) // numbers and texts only: it cannot be
		return
	}
	p := &packet.Publish{Topic: []byte(AttemptsTopic), Payload: payload}
	if len(p.Append(nil, c.version)) > c.maxPacket() {
		return // MQTT-3.1.2-25: as if it had been sent
	}
	w.append(c, p)
}

// attemptsFor are the attempts that a watcher is shown, the newest first. Behind a shared address, those of people who are known to be others are not among them.
func attemptsFor(recent []attemptRecord, user, client string, shared bool, now time.Time) []Attempt {
	list := []Attempt{}
	token := tokenOf(client)
	for _, r := range slices.Backward(recent) {
		age := now.Sub(r.at)
		a := Attempt{
			Seconds: max(0, int(age.Seconds())), Cause: r.cause, Port: r.port, MQTT: versionName(r.version), User: compareUsers(r, user), Client: half(r.client), Count: r.count,
			Own: !shared || token != "" && strings.HasSuffix(r.client, token),
		}
		stranger := !a.Own && (a.User == "none" || a.User == "other")
		if age < attemptsKept && !stranger {
			list = append(list, a)
		}
	}
	return list
}

// shared tells whether several devices of different people may have an address: in the internet, NAT gives one to a home, and a carrier's NAT
// (RFC 6598) one to thousands. A private address, and one of IPv6, is one device's.
func shared(a netip.Addr) bool {
	return a.Is4() && !a.IsPrivate() && !a.IsLoopback() && !a.IsLinkLocalUnicast()
}

// tokenOf is the end of a watcher's client identifier, from the last hyphen on, by which it knows the apps on its device: the page tells people to type a
// client identifier with the same end into the app. It is empty where it is too short to tell devices apart.
func tokenOf(client string) string {
	i := strings.LastIndexByte(client, '-')
	if i < 0 || len(client)-i < 6 {
		return ""
	}
	return client[i:]
}

func versionName(v packet.Version) string {
	switch v {
	case packet.V31:
		return "3.1"
	case packet.V311:
		return "3.1.1"
	case packet.V5:
		return "5.0"
	}
	return ""
}

// compareUsers says how the user name of an attempt compares with a watcher's.
func compareUsers(r attemptRecord, watcher string) string {
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
	switch {
	case r.version == 0:
		return ""
	case !r.named:
		return "none"
	case r.user == watcher:
		return "same"
	case strings.EqualFold(squeeze(r.user), squeeze(watcher)):
		return "similar"
	}
	return "other"
}

// half is enough of a client identifier for its owner to know it, and not enough for others to use it.
func half(id string) string {
	r := []rune(id)
	if len(r) == 0 {
		return ""
	}
	return string(r[:min((len(r)+1)/2, 12)]) + "…"
}

// watchAttempts answers a SUBSCRIBE to [AttemptsTopic].
func (c *connection) watchAttempts() (packet.Code, string) {
	b, info := c.b, c.conn.Info()
	d := c.s.rules.Load().WatchAttempts(!info.Remote.IsValid() || info.Forwarded)
	switch {
	case !d.Allow:
	case !c.watch():
		return packet.QuotaExceeded, b.report(incident{cause: cause.SubscriptionsFull, seen: AttemptsTopic}, "Denied SUBSCRIBE from %s (q0, '%s')", c.s.id, AttemptsTopic)
	default:
		return packet.GrantedQoS0, ""
	}
	return packet.NotAuthorized, b.report(incident{cause: d.Cause, seen: d.Text}, "Denied SUBSCRIBE from %s (q0, '%s')", c.s.id, AttemptsTopic)
}

// plainAddress is a peer's address as attempts are kept by.
func plainAddress(remote netip.AddrPort) netip.Addr { return remote.Addr().Unmap().WithZone("") }

// watch puts the client on, and reports whether there was room.
func (c *connection) watch() bool {
	there := c.b.attempts.watch(plainAddress(c.remote()), c)
	c.watches = c.watches || there
	return there
}

// unwatch takes the client off, and reports whether it was on.
func (c *connection) unwatch() bool {
	if !c.watches {
		return false
	}
	c.watches = false
	c.b.attempts.unwatch(plainAddress(c.remote()), c)
	return true
}
