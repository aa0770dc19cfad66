package broker

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/access"
	"picket/cause"
	"picket/internal/testbed"
	"picket/listener"
	"picket/packet"
)

// caller is a client from an address.
type caller struct {
	*sink
	listener.Client
	x *bench
}

// call opens a connection; nil if it was closed at once.
func (x *bench) call(t *testing.T, from string) *caller {
	s := &sink{keep: true, info: listener.Info{Remote: netip.MustParseAddrPort(from), Listener: x.b.settings.Load().Listeners[0].transport()}}
	c := x.b.Accept(s)
	if c == nil {
		return nil
	}
	t.Cleanup(func() {
		c.Closed(x.w, nil)
		x.w.Flush()
	})
	return &caller{s, c, x}
}

// connect sends a CONNECT and returns the answer, which may take as long as hashing a password does.
func (c *caller) connect(t *testing.T, p packet.Connect) *packet.Connack {
	t.Helper()
	p.CleanStart = true
	c.sink.set(nil)
	c.x.feed(t, c.Client, p.Append(nil, p.Version))
	return answer[*packet.Connack](t, c.sink, p.Version)
}

// answer waits until a packet has been written, and decodes it.
func answer[P packet.Packet](t *testing.T, s *sink, v packet.Version) P {
	t.Helper()
	var last []byte
	for end := time.Now().Add(testbed.Patience); ; time.Sleep(time.Millisecond) {
		if last = s.get(); len(last) > 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no answer")
		}
	}
	head, n, err := packet.Header(last)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := packet.Decode(v, last[0], last[head:head+n])
	if err != nil {
		t.Fatal(err)
	}
	p, ok := decoded.(P)
	if !ok {
		t.Fatalf("got a %T", decoded)
	}
	return p
}

// oneListener gives the broker a listener that nobody can reach but by call.
func oneListener(change func(*Config)) func(*Config) {
	return func(c *Config) {
		c.Listeners = []*Listener{{Config: listener.Config{Address: "127.0.0.1"}, MaxConnections: -1, MaxQoS: 2}}
		if change != nil {
			change(c)
		}
	}
}

const afar = "192.0.2.7:4711"

func TestMaintenance(t *testing.T) {
	for _, c := range []struct {
		name       string
		m          Maintenance
		code       packet.Code // in CONNACK
		disconnect packet.Code
		reason     string
	}{
		{"until ended", Maintenance{Message: "a new disk"}, packet.ServerUnavailable, packet.AdministrativeAction, "maintenance: closed for maintenance: a new disk"},
		{"another server", Maintenance{ServerReference: "other.example:1883"}, packet.UseAnotherServer, packet.UseAnotherServer, "maintenance: closed for maintenance; use other.example:1883"},
		{"moved", Maintenance{ServerReference: "other.example", Moved: true}, packet.ServerMoved, packet.ServerMoved, "maintenance: closed for maintenance; use other.example"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newBench(t, oneListener(nil))
			inside := x.call(t, afar)
			if ack := inside.connect(t, packet.Connect{Version: packet.V5, ClientID: "inside"}); ack.Code != packet.Success {
				t.Fatal(ack.Code)
			}
			inside.set(nil)
			if err := x.b.BeginMaintenance(c.m); err != nil {
				t.Fatal(err)
			}
			bye := answer[*packet.Disconnect](t, inside.sink, packet.V5)
			if bye.Code != c.disconnect || bye.Props.ReasonString != c.reason || bye.Props.ServerReference != c.m.ServerReference {
				t.Errorf("DISCONNECT %s, %+v", bye.Code, bye.Props)
			}
			ack := x.call(t, afar).connect(t, packet.Connect{Version: packet.V5, ClientID: "outside"})
			if ack.Code != c.code || ack.Props.ReasonString != c.reason || ack.Props.ServerReference != c.m.ServerReference {
				t.Errorf("CONNACK %s, %+v", ack.Code, ack.Props)
			}
			if ack := x.call(t, afar).connect(t, packet.Connect{Version: packet.V311, ClientID: "old"}); ack.Code != packet.ServerUnavailable {
				t.Errorf("MQTT 3.1.1 gets %s", ack.Code)
			}
			if !x.b.EndMaintenance() || x.b.EndMaintenance() {
				t.Error("it was not in force, or does not end")
			}
			if ack := x.call(t, afar).connect(t, packet.Connect{Version: packet.V5, ClientID: "outside"}); ack.Code != packet.Success {
				t.Errorf("afterwards: %s", ack.Code)
			}
			if n := x.b.Causes()[cause.Maintenance]; n != 3 {
				t.Errorf("%d were counted, want 3", n)
			}
		})
	}
}

func TestMaintenanceAdmits(t *testing.T) {
	x := newBench(t, oneListener(nil))
	m := Maintenance{ExceptLocal: true, Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Grace: time.Hour}
	grace := x.call(t, afar)
	if ack := grace.connect(t, packet.Connect{Version: packet.V5, ClientID: "grace"}); ack.Code != packet.Success {
		t.Fatal(ack.Code)
	}
	if err := x.b.BeginMaintenance(m); err != nil {
		t.Fatal(err)
	}
	for from, want := range map[string]packet.Code{"127.0.0.1:1": packet.Success, "[::1]:1": packet.Success, "[::ffff:10.1.2.3]:1": packet.Success, afar: packet.ServerUnavailable} {
		if ack := x.call(t, from).connect(t, packet.Connect{Version: packet.V5}); ack.Code != want {
			t.Errorf("%s gets %s, want %s", from, ack.Code, want)
		}
	}
	grace.set(nil)
	x.feed(t, grace.Client, packet.Pingreq{}.Append(nil, packet.V5))
	answer[packet.Pingresp](t, grace.sink, packet.V5) // it still may
	m.Grace = 0
	grace.set(nil)
	if err := x.b.BeginMaintenance(m); err != nil { // takes the place of the first
		t.Fatal(err)
	}
	answer[*packet.Disconnect](t, grace.sink, packet.V5)
}

func TestMaintenanceEndsOnTime(t *testing.T) {
	hand := newHandClock()
	x := newBench(t, oneListener(func(c *Config) { c.clock = hand }))
	if err := x.b.BeginMaintenance(Maintenance{Until: hand.now().Add(time.Hour), Grace: 2 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	hand.pass(time.Hour - 1)
	if ack := x.call(t, afar).connect(t, packet.Connect{Version: packet.V5}); ack.Code != packet.ServerUnavailable {
		t.Fatal(ack.Code)
	}
	hand.pass(1)
	for end := time.Now().Add(testbed.Patience); ; time.Sleep(time.Millisecond) {
		if _, closed := x.b.Maintenance(); !closed {
			break
		}
		if time.Now().After(end) {
			t.Fatal("it does not end")
		}
	}
	if ack := x.call(t, afar).connect(t, packet.Connect{Version: packet.V5}); ack.Code != packet.Success {
		t.Error(ack.Code)
	}
}

func TestMaintenanceRefusesWhatCannotBe(t *testing.T) {
	x := newBench(t, oneListener(nil))
	for name, m := range map[string]Maintenance{
		"past": {Until: time.Now().Add(-time.Second)}, "long": {Message: strings.Repeat("x", MaxMessage+1)}, "not text": {Message: "\xff"},
		"nowhere": {Moved: true}, "negative": {Grace: -1},
	} {
		if err := x.b.BeginMaintenance(m); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Who speaks a version that the listener does not take is told so in that version, before anything else of it is looked at.
func TestAcceptedVersions(t *testing.T) {
	all := []packet.Version{packet.V31, packet.V311, packet.V5}
	for _, taken := range [][]packet.Version{nil, {packet.V31}, {packet.V311}, {packet.V5}, {packet.V31, packet.V5}} {
		x := newBench(t, oneListener(func(c *Config) {
			c.Listeners[0].Versions, c.ReasonStrings = taken, true
			c.Security[0].Anonymous = access.AnonymousNever
		}))
		for _, v := range all {
			ack := x.call(t, afar).connect(t, packet.Connect{Version: v, ClientID: "a"})
			refused := len(taken) > 0 && !slices.Contains(taken, v)
			if v != packet.V5 {
				if byVersion := ack.Code == packet.UnsupportedProtocolVersion; byVersion != refused || ack.Code == packet.Success {
					t.Errorf("%v taken, %v: %s", taken, v, ack.Code)
				}
				continue
			}
			if byVersion := ack.Code == packet.UnsupportedProtocolVersion && strings.HasPrefix(ack.Props.ReasonString, "protocol-version: "); byVersion != refused || ack.Code == packet.Success {
				t.Errorf("%v taken, %v: %s %+v", taken, v, ack.Code, ack.Props)
			}
		}
	}
}

// Every limit is named in the answer, nobody gets in who should not, and a place that becomes free is given away again.
func TestServerFull(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		after  func(*Broker)
		names  string
	}{
		{"listener", func(c *Config) { c.Listeners[0].MaxConnections = 2 }, nil, "max_connections (2)"},
		{"global", func(c *Config) { c.GlobalMaxConnections = 2 }, nil, "global_max_connections (2)"},
		{"files", nil, func(b *Broker) { b.settings.Load().fileRoom = 2 }, "2 connections (ulimit -n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newBench(t, oneListener(c.change))
			if c.after != nil {
				c.after(x.b)
			}
			var in [2]*caller
			for i := range in {
				in[i] = x.call(t, afar)
				if ack := in[i].connect(t, packet.Connect{Version: packet.V5}); ack.Code != packet.Success {
					t.Fatal(ack.Code)
				}
			}
			out := x.call(t, afar)
			ack := out.connect(t, packet.Connect{Version: packet.V5})
			if ack.Code != packet.QuotaExceeded || !strings.HasPrefix(ack.Props.ReasonString, "server-full: ") || !strings.Contains(ack.Props.ReasonString, c.names) {
				t.Errorf("%s, %+v", ack.Code, ack.Props)
			}
			if ack := x.call(t, afar).connect(t, packet.Connect{Version: packet.V311}); ack.Code != packet.ServerUnavailable {
				t.Errorf("MQTT 3.1.1 gets %s", ack.Code)
			}
			late := x.call(t, afar)
			x.b.room.leave(&in[0].Client.(*connection).slot)
			if ack := late.connect(t, packet.Connect{Version: packet.V5}); ack.Code != packet.Success {
				t.Errorf("there is room, and the client gets %s", ack.Code)
			}
			if x.call(t, afar).connect(t, packet.Connect{Version: packet.V5}).Code == packet.Success {
				t.Error("one too many")
			}
		})
	}
}

// Sessions count, also of clients that are away. Who has one gets in, with or without a clean start, and takes nobody's place; a session that ends gives its own away.
func TestGlobalMaxClients(t *testing.T) {
	x := newBench(t, oneListener(func(c *Config) { c.GlobalMaxClients = 2 }))
	lasting := packet.Connect{Version: packet.V5, ClientID: "away", Props: new(packet.Properties).Set(packet.SessionExpiryInterval)}
	lasting.Props.SessionExpiry = 1000
	away := x.call(t, afar)
	if ack := away.connect(t, lasting); ack.Code != packet.Success {
		t.Fatal(ack.Code)
	}
	x.feed(t, away.Client, (&packet.Disconnect{}).Append(nil, packet.V5))
	away.Client.Closed(x.w, nil)
	here := x.call(t, afar)
	if ack := here.connect(t, packet.Connect{Version: packet.V311, ClientID: "here"}); ack.Code != packet.Success {
		t.Fatal(ack.Code)
	}
	full := func(when string) {
		t.Helper()
		ack := x.call(t, afar).connect(t, packet.Connect{Version: packet.V5, ClientID: "new"})
		if ack.Code != packet.QuotaExceeded || !strings.HasPrefix(ack.Props.ReasonString, "server-full: ") || !strings.Contains(ack.Props.ReasonString, "global_max_clients (2)") {
			t.Errorf("%s: %s, %+v", when, ack.Code, ack.Props)
		}
		if ack := x.call(t, afar).connect(t, packet.Connect{Version: packet.V31, ClientID: "new"}); ack.Code != packet.ServerUnavailable {
			t.Errorf("%s: MQTT 3.1 gets %s", when, ack.Code)
		}
		if n := x.b.SessionCount(); n != 2 {
			t.Errorf("%s: %d sessions", when, n)
		}
	}
	full("one is away")
	if ack := x.call(t, afar).connect(t, lasting); ack.Code != packet.Success {
		t.Errorf("who has a session: %s", ack.Code)
	}
	again := x.call(t, afar)
	if ack := again.connect(t, packet.Connect{Version: packet.V5, ClientID: "here"}); ack.Code != packet.Success {
		t.Errorf("who is connected: %s", ack.Code)
	}
	full("both are connected")
	x.feed(t, again.Client, (&packet.Disconnect{}).Append(nil, packet.V5))
	again.Client.Closed(x.w, nil)
	if ack := x.call(t, afar).connect(t, packet.Connect{Version: packet.V311, ClientID: "new"}); ack.Code != packet.Success {
		t.Errorf("a session has ended, and the client gets %s", ack.Code)
	}
}

func TestServerFullByMemory(t *testing.T) {
	x := newBench(t, oneListener(nil))
	x.b.strain.memoryFull.Store(true)
	ack := x.call(t, afar).connect(t, packet.Connect{Version: packet.V5})
	if ack.Code != packet.QuotaExceeded || !strings.Contains(ack.Props.ReasonString, "memory_limit") {
		t.Errorf("%s, %+v", ack.Code, ack.Props)
	}
}

// In a flood the answers are bounded, and places and counters are right when it is over.
func TestServerFullFlood(t *testing.T) {
	x := newBench(t, oneListener(func(c *Config) { c.Listeners[0].MaxConnections = 0 }))
	var held []listener.Client
	closed := 0
	for range 5 * turnedAtOnce {
		s := &sink{info: listener.Info{Remote: netip.MustParseAddrPort(afar), Listener: x.b.settings.Load().Listeners[0].transport()}}
		if c := x.b.Accept(s); c != nil {
			held = append(held, c)
		} else {
			closed++
		}
	}
	if len(held) > turnedAtOnce || len(held) == 0 || closed == 0 {
		t.Errorf("%d are waited for, %d closed", len(held), closed)
	}
	for _, c := range held {
		c.Closed(x.w, nil)
	}
	x.w.Flush()
	if r := &x.b.room; r.open != 0 || r.turned != 0 {
		t.Errorf("afterwards %d are open, %d are turned away", r.open, r.turned)
	}
	if n := x.b.Causes()[cause.ServerFull]; n != uint64(closed) {
		t.Errorf("%d were counted, %d were closed without an answer", n, closed)
	}
}

// On a full listener a client gets the place of its own earlier connection, whatever became of that; a silent connection keeps nobody out, and who is
// not known does not learn who is connected.
func TestOwnPlaceOnAFullListener(t *testing.T) {
	for _, global := range []bool{false, true} {
		x := newBench(t, oneListener(func(c *Config) {
			if global {
				c.GlobalMaxConnections = 1
			} else {
				c.Listeners[0].MaxConnections = 1
			}
		}))
		x.call(t, afar) // says nothing
		for i, version := range []packet.Version{packet.V5, packet.V311, packet.V31, packet.V5} {
			k := x.call(t, afar)
			if k == nil {
				t.Fatal("a silent connection takes the only place")
			}
			if ack := k.connect(t, packet.Connect{Version: version, ClientID: "device"}); ack.Code != packet.Success {
				t.Errorf("connection %d of the client itself: %s", i, ack.Code)
			}
		}
		if ack := x.call(t, afar).connect(t, packet.Connect{Version: packet.V5, ClientID: "other"}); ack.Code != packet.QuotaExceeded {
			t.Errorf("another client: %s", ack.Code)
		}
		if r := &x.b.room; r.open != 1 {
			t.Errorf("%d places are taken, want 1", r.open)
		}
	}
}

func TestServerFullAsMosquitto(t *testing.T) {
	x := newBench(t, oneListener(func(c *Config) { c.Listeners[0].MaxConnections, c.Compat = 0, AsMosquitto() }))
	if x.call(t, afar) != nil {
		t.Error("mosquitto closes at once")
	}
	if n := x.b.Causes()[cause.MaxConnections]; n != 1 {
		t.Errorf("%d counted under max-connections", n)
	}
}

// An overloaded broker refuses clients from elsewhere, and says what is short.
func TestOverloaded(t *testing.T) {
	x := newBench(t, oneListener(nil))
	text := "cpu: event loops are 2.0 s late"
	x.b.strain.refuse.Store(&text)
	ack := x.call(t, afar).connect(t, packet.Connect{Version: packet.V5})
	if ack.Code != packet.ServerBusy || ack.Props.ReasonString != "overloaded: "+text {
		t.Errorf("%s, %+v", ack.Code, ack.Props)
	}
	if ack := x.call(t, "127.0.0.1:1").connect(t, packet.Connect{Version: packet.V5}); ack.Code != packet.Success {
		t.Errorf("from this machine: %s", ack.Code)
	}
}

// withUser has the broker know one user.
func withUser(t *testing.T, c *Config) {
	hash, err := access.HashPassword(access.PBKDF2, "right", 1)
	if err != nil {
		t.Fatal(err)
	}
	file := new(access.PasswordFile)
	if _, err := file.Set("ann", hash); err != nil {
		t.Fatal(err)
	}
	c.Security[0].PasswordFile = filepath.Join(t.TempDir(), "passwords")
	if err := file.WriteFile(c.Security[0].PasswordFile); err != nil {
		t.Fatal(err)
	}
}

// watchAttempts subscribes and returns the code.
func (c *caller) watchAttempts(t *testing.T) packet.Code {
	c.set(nil)
	c.x.subscribe(t, c.Client, packet.V5, AttemptsTopic, 1)
	return answer[*packet.Suback](t, c.sink, packet.V5).Codes[0]
}

// shown looks at the list that a watcher is sent.
func (c *caller) shown(t *testing.T, what string, good func([]Attempt) bool) {
	t.Helper()
	c.x.b.tellChanged()
	last := c.get()
	var list []Attempt
	if len(last) == 0 || last[0]>>4 != byte(packet.PUBLISH) || json.Unmarshal(last[bytes.IndexByte(last, '['):], &list) != nil || !good(list) {
		t.Fatalf("%s: the last list is %+v (%q)", what, list, last)
	}
}

func TestAttempts(t *testing.T) {
	hand := newHandClock()
	x := newBench(t, oneListener(func(c *Config) { withUser(t, c); c.clock = hand }))
	login := packet.Connect{Version: packet.V5, ClientID: "page", HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("right")}
	bad := func(from string, v packet.Version, user, id string) {
		t.Helper()
		p := packet.Connect{Version: v, ClientID: id, HasUsername: true, Username: user, HasPassword: true, Password: []byte("secret word")}
		if ack := x.call(t, from).connect(t, p); ack.Code != packet.NotAuthorized {
			t.Fatal(ack.Code)
		}
	}
	bad("10.0.2.7:1", packet.V311, "ann", "mqttx_12345678") // before anyone watches
	bad("10.0.2.8:1", packet.V311, "ann", "somebody else")  // of another address
	hand.jump(90 * time.Second)
	page := x.call(t, "10.0.2.7:9")
	if ack := page.connect(t, login); ack.Code != packet.Success {
		t.Fatal(ack.Code)
	}
	if code := page.watchAttempts(t); code != packet.GrantedQoS0 {
		t.Fatal(code)
	}
	page.shown(t, "what was before", func(l []Attempt) bool {
		return len(l) == 1 && l[0] == Attempt{Seconds: 90, Cause: cause.BadCredentials, MQTT: "3.1.1", User: "same", Client: "mqttx_1…", Count: 1, Own: true}
	})
	bad("10.0.2.7:2", packet.V5, " Ann", "x")
	bad("10.0.2.7:3", packet.V5, " Ann", "x")
	page.shown(t, "live, and counted", func(l []Attempt) bool {
		return len(l) == 2 && l[0].User == "similar" && l[0].Count == 2 && l[0].MQTT == "5.0" && l[0].Client == "x…"
	})
	x.b.refused(listener.Refusal{Remote: netip.MustParseAddrPort("10.0.2.7:5"), Listener: x.l.transport(), Cause: cause.TLSWithoutCertificate, Text: "what it sent"})
	page.shown(t, "another protocol", func(l []Attempt) bool {
		return len(l) == 3 && l[0] == Attempt{Cause: cause.TLSWithoutCertificate, Count: 1, Own: true}
	})
	bad("10.0.2.7:2", packet.V5, "bob", "x")
	page.shown(t, "somebody else's name", func(l []Attempt) bool { return len(l) == 4 && l[0].User == "other" })
	for _, word := range []string{"bob", "secret", "somebody", "12345678", "what it sent"} {
		if strings.Contains(string(page.get()), word) {
			t.Errorf("%q is told", word)
		}
	}
	for i := range attemptsEach + 5 {
		bad("10.0.2.7:2", packet.V5, "ann", strings.Repeat("i", i+1))
	}
	page.shown(t, "bounded", func(l []Attempt) bool { return len(l) == attemptsEach })
	hand.jump(attemptsKept)
	bad("10.0.2.7:2", packet.V5, "ann", "later")
	page.shown(t, "what is old is not told", func(l []Attempt) bool { return len(l) == 1 })
	x.feed(t, page.Client, (&packet.Unsubscribe{ID: 2, Filters: []string{AttemptsTopic}}).Append(nil, packet.V5))
	if x.b.attempts.watchers != 0 {
		t.Error("it is watched after UNSUBSCRIBE")
	}
}

// Behind an address that people share, the page's phone is known by a token; of the others it hears only what may be its own, and not as its own.
func TestAttemptsBehindOneAddress(t *testing.T) {
	x := newBench(t, oneListener(func(c *Config) { withUser(t, c) }))
	bad := func(user, id string) {
		t.Helper()
		p := packet.Connect{Version: packet.V5, ClientID: id, HasUsername: true, Username: user, HasPassword: true, Password: []byte("wrong")}
		if ack := x.call(t, afar).connect(t, p); ack.Code != packet.NotAuthorized {
			t.Fatal(ack.Code)
		}
	}
	page := x.call(t, afar)
	if ack := page.connect(t, packet.Connect{Version: packet.V5, ClientID: "picket-page-k3x9f2", HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("right")}); ack.Code != packet.Success {
		t.Fatal(ack.Code)
	}
	if code := page.watchAttempts(t); code != packet.GrantedQoS0 {
		t.Fatal(code)
	}
	bad("bob", "a stranger's")
	bad("ann", "picket-page-abcdef") // another phone's page
	bad("ann", "of the same user")
	x.b.refused(listener.Refusal{Remote: netip.MustParseAddrPort(afar), Listener: x.l.transport(), Cause: cause.TLSWithoutCertificate})
	bad("bob", "app-k3x9f2") // a wrong name, typed into the app on this phone
	page.shown(t, "what may be its own", func(l []Attempt) bool {
		return len(l) == 3 && l[0].Own && l[0].User == "other" && !l[1].Own && l[1].MQTT == "" && !l[2].Own && l[2].User == "same"
	})
}

// The doctor is no app: neither what it sends before its CONNECT nor what it sends after that is shown.
func TestAttemptsWithoutTheDoctor(t *testing.T) {
	x := newBench(t, oneListener(func(c *Config) { withUser(t, c) }))
	refused := func(c cause.ID) {
		x.b.refused(listener.Refusal{Remote: netip.MustParseAddrPort("10.0.2.7:5"), Listener: x.l.transport(), Cause: c})
	}
	call := func(id string) {
		if ack := x.call(t, "10.0.2.7:6").connect(t, packet.Connect{Version: packet.V311, CleanStart: true, ClientID: id, HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("wrong")}); ack.Code == packet.Success {
			t.Fatal(ack.Code)
		}
	}
	page := x.call(t, "10.0.2.7:9")
	if ack := page.connect(t, packet.Connect{Version: packet.V5, ClientID: "page", HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("right")}); ack.Code != packet.Success {
		t.Fatal(ack.Code)
	}
	if code := page.watchAttempts(t); code != packet.GrantedQoS0 {
		t.Fatal(code)
	}
	refused(cause.TLSWithoutCertificate)
	call("doctor0123456789ab")
	refused(cause.WSUpgradeInvalid)
	call("doctor of a hospital")
	page.shown(t, "the app alone", func(l []Attempt) bool { return len(l) == 1 && strings.HasPrefix(l[0].Client, "doctor of") })
}

// Only who has logged in, and is known by an address of its own, is told.
func TestAttemptsAreHidden(t *testing.T) {
	x := newBench(t, oneListener(func(c *Config) { withUser(t, c) }))
	anonymous := packet.Connect{Version: packet.V5}
	login := packet.Connect{Version: packet.V5, HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("right")}
	for name, c := range map[string]struct {
		connect   packet.Connect
		forwarded bool
		want      packet.Code
	}{
		"anonymous": {anonymous, false, packet.NotAuthorized}, "behind a proxy": {login, true, packet.NotAuthorized}, "logged in": {login, false, packet.GrantedQoS0},
	} {
		one := x.call(t, afar)
		one.info.Forwarded = c.forwarded
		if ack := one.connect(t, c.connect); ack.Code != packet.Success {
			t.Fatal(ack.Code)
		}
		if code := one.watchAttempts(t); code != c.want {
			t.Errorf("%s: %s, want %s", name, code, c.want)
		}
	}
}

// The memory is bounded: the address that was seen longest ago is forgotten, one that is watched is not.
func TestAttemptsOfManyAddresses(t *testing.T) {
	var a attempts[int]
	if !a.watch(netip.MustParseAddr("10.0.0.0"), 1) {
		t.Fatal("no room for the first")
	}
	for i := range 3 * attemptAddresses {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		a.note(addr, attemptRecord{at: time.Now(), cause: cause.BadCredentials, user: strings.Repeat("x", 1000)})
	}
	if len(a.byAddr) > attemptAddresses || a.order.Len() != len(a.byAddr) {
		t.Errorf("%d addresses are kept, %d in order", len(a.byAddr), a.order.Len())
	}
	if e := a.byAddr[netip.MustParseAddr("10.0.0.0")]; e == nil || len(e.Value.(*addressAttempts[int]).recent[0].user) > maxAttemptText {
		t.Error("the watched address is forgotten, or its text is long")
	}
}

// A large CONNECT is read only where a will may make it large; what is larger is refused before it has come.
func TestConnectLimit(t *testing.T) {
	big := func(will bool, v packet.Version) []byte {
		p := packet.Connect{Version: v, CleanStart: true, ClientID: "x"}
		if will {
			p.Will = &packet.Will{Topic: "w"}
		}
		whole := p.Append(nil, v)
		head, _, _ := packet.Header(whole)
		return append(packet.AppendVarint([]byte{byte(packet.CONNECT) << 4}, 900<<10), whole[head:]...)
	}
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		for _, will := range []bool{false, true} {
			want := maxPlainConnect
			if will {
				want = maxConnect
			}
			b := big(will, v)
			if got := connectLimit(b); got != want {
				t.Errorf("version %d, will %v: %d, want %d", v, will, got, want)
			}
			for n := range b {
				if got := connectLimit(b[:n]); got != want && got != maxConnect && n >= 4 {
					t.Errorf("version %d, will %v, %d bytes: %d", v, will, n, got)
				}
			}
		}
	}
	if got := connectLimit([]byte{byte(packet.AUTH) << 4, 0x80, 0x80, 0x20}); got != maxPlainConnect {
		t.Errorf("AUTH: %d", got)
	}
}
