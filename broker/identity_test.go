package broker

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/xdg-go/scram"

	"picket/access"
	"picket/cause"
	"picket/internal/testbed"
	"picket/listener"
	"picket/packet"
)

// answerTo sends a CONNECT over a connection and returns the answer.
func answerTo(t *testing.T, conn net.Conn, p *packet.Connect) *packet.Connack {
	t.Helper()
	if _, err := conn.Write(p.Append(nil, p.Version)); err != nil {
		t.Fatal(err)
	}
	ack, ok := next(t, conn, p.Version).(*packet.Connack)
	if !ok {
		t.Fatal("no CONNACK")
	}
	return ack
}

// reloadWith puts a changed configuration in force. The listeners are copies that change may change.
func (x *speaking) reloadWith(t *testing.T, change func(*Config)) {
	t.Helper()
	if err := x.b.Reload(func() (*Config, error) {
		c := x.b.settings.Load().Config
		c.Security = append([]access.Config(nil), c.Security...)
		c.Listeners = nil
		for _, l := range x.b.settings.Load().Listeners {
			fresh := *l
			c.Listeners = append(c.Listeners, &fresh)
		}
		change(&c)
		return &c, nil
	}); err != nil {
		t.Fatal(err)
	}
}

// An empty user name is none, as in mosquitto 2.0.
func TestAnEmptyUserNameIsNone(t *testing.T) {
	x := newSpeaking(t, func(c *Config) { c.Security[0].Anonymous = access.AnonymousAlways })
	for transport := range transports {
		for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
			for _, password := range []string{"", "any"} {
				conn := x.dial(t, transport)
				id := fmt.Sprint(transport, v, password)
				if ack := answerTo(t, conn, &packet.Connect{Version: v, CleanStart: true, ClientID: id, HasUsername: true, HasPassword: true, Password: []byte(password)}); ack.Code != packet.Success {
					t.Errorf("%s, %s, password %q: %s", transports[transport], v, password, ack.Code)
				}
			}
		}
	}
}

// With allow_anonymous local, what comes through a proxy is not local, wherever the proxy stands.
func TestProxiedIsNeverLocal(t *testing.T) {
	x := newSpeaking(t, func(c *Config) {
		c.Security[0].Anonymous = access.AnonymousLocal
		port := testbed.Port(t)
		c.Listeners = append(c.Listeners, &Listener{Config: listener.Config{Address: "127.0.0.1", Port: port, ProxyFrom: []string{"127.0.0.1"}}, MaxConnections: -1, MaxQoS: 2})
	})
	anonymous := &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: "c"}
	for transport, name := range transports {
		if ack := answerTo(t, x.dial(t, transport), anonymous); ack.Code != packet.Success {
			t.Errorf("over %s, from here: %s", name, ack.Code)
		}
	}
	for header, value := range map[string]string{"X-Forwarded-For": "127.0.0.1", "Forwarded": "for=127.0.0.1", "Via": "1.1 here", "X-Real-IP": "127.0.0.1"} {
		for _, transport := range []int{1, 3} {
			d := ws.Dialer{Protocols: []string{"mqtt"}, Header: ws.HandshakeHeaderHTTP(http.Header{header: {value}}), TLSConfig: &tls.Config{RootCAs: x.trust, ServerName: "broker.test"}}
			scheme := map[int]string{1: "ws://", 3: "wss://"}[transport]
			conn, _, _, err := d.Dial(context.Background(), scheme+x.address(transport)+"/mqtt")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if ack := answerTo(t, &framed{Conn: conn}, anonymous); ack.Code != packet.NotAuthorized {
				t.Errorf("%s over %s: %s", header, transports[transport], ack.Code)
			}
		}
	}
	local2 := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20, 0, 0, 0)
	loopback2 := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x21, 0x11, 0, 12, 127, 0, 0, 1, 127, 0, 0, 1, 0, 9, 7, 0x5B)
	unix2 := append(append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x21, 0x31, 0, 216), make([]byte, 216)...)
	for name, header := range map[string][]byte{"loopback": []byte("PROXY TCP4 127.0.0.1 127.0.0.1 9 1883\r\n"), "unknown": []byte("PROXY UNKNOWN\r\n"), "LOCAL": local2, "loopback, version 2": loopback2, "AF_UNIX": unix2} {
		conn, err := net.Dial("tcp", x.address(len(transports)))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(header); err != nil {
			t.Fatal(err)
		}
		if ack := answerTo(t, conn, anonymous); ack.Code != packet.NotAuthorized {
			t.Errorf("PROXY header, %s: %s", name, ack.Code)
		}
	}
}

// scramUsers has the broker know users who log in by SCRAM-SHA-256, each with its name as its password.
func scramUsers(t *testing.T, names ...string) func(*Config) {
	return func(c *Config) {
		f := new(access.PasswordFile)
		for _, user := range names {
			entry, err := access.HashPassword(access.SCRAM, user, access.MinScramIterations)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Set(user, entry); err != nil {
				t.Fatal(err)
			}
		}
		c.Security[0].PasswordFile = filepath.Join(t.TempDir(), "passwords")
		if err := f.WriteFile(c.Security[0].PasswordFile); err != nil {
			t.Fatal(err)
		}
	}
}

// exchange begins to log in by SCRAM-SHA-256, with whatever CONNECT says besides, and returns the next step.
func (x *speaking) exchange(t *testing.T, user, password string, p *packet.Connect) (peer *speaker, next *packet.Auth) {
	t.Helper()
	login, err := scram.SHA256.NewClient(user, password, "")
	if err != nil {
		t.Fatal(err)
	}
	talk := login.NewConversation()
	step := func(challenge string) *packet.Properties {
		data, err := talk.Step(challenge)
		if err != nil {
			t.Fatal(err)
		}
		return (&packet.Properties{AuthMethod: access.ScramSHA256, AuthData: []byte(data)}).Set(packet.AuthenticationMethod).Set(packet.AuthenticationData)
	}
	p.Version, p.Props = packet.V5, step("")
	peer = &speaker{x.dial(t, 0), t, packet.V5}
	peer.send(p)
	challenge, ok := peer.next().(*packet.Auth)
	if !ok {
		t.Fatal("no AUTH")
	}
	return peer, &packet.Auth{Code: packet.ContinueAuthentication, Props: step(string(challenge.Props.AuthData))}
}

// Who a client is that authenticates by an exchange is what the exchange has shown, and not what CONNECT says.
func TestScramDecidesWhoItIs(t *testing.T) {
	x := newSpeaking(t, scramUsers(t, "victim", "mallory"), func(c *Config) {
		c.Listeners[0].UseUsernameAsClientID = true
		c.Security[0].ClientIDPrefixes = ""
	})
	victim := x.connect(t, 0, packet.V5, func(p *packet.Connect) {
		p.Username, p.Password, p.ClientID = "victim", []byte("victim"), "other"
	})
	mallory, proof := x.exchange(t, "mallory", "mallory", &packet.Connect{ClientID: "victim", HasUsername: true, Username: "victim"})
	mallory.send(proof)
	if ack, ok := mallory.next().(*packet.Connack); !ok || ack.Code != packet.Success {
		t.Fatalf("CONNACK %+v", ack)
	}
	victim.send(packet.Pingreq{})
	if _, ok := victim.next().(packet.Pingresp); !ok {
		t.Error("the victim has lost its session")
	}
	x.b.mu.Lock()
	defer x.b.mu.Unlock()
	if s := x.b.sessions.byID["mallory"]; s == nil || s.rules.Load().Username != "mallory" {
		t.Error("mallory has no session of its own")
	}
}

// Proofs that are wrong make the next ones of that user and address wait, and passwords too; who leaves half way is forgotten.
func TestScramFailuresCount(t *testing.T) {
	x := newSpeaking(t, scramUsers(t, "ann", "bob"), func(c *Config) { c.passwordDelay = nil })
	here := netip.MustParseAddr("127.0.0.1")
	delay := func(user string) time.Duration {
		now := x.b.now()
		c := x.b.passwords.begin(here, user, now)
		x.b.passwords.end(c, notChecked, now)
		return c.delay
	}
	for range freeFailures + 1 {
		peer, proof := x.exchange(t, "ann", "wrong", new(packet.Connect))
		peer.send(proof)
		if ack, ok := peer.next().(*packet.Connack); !ok || ack.Code != packet.NotAuthorized {
			t.Fatalf("CONNACK %+v", ack)
		}
	}
	if delay("ann") == 0 || delay("bob") != 0 {
		t.Errorf("ann has to wait %v, bob %v", delay("ann"), delay("bob"))
	}
	peer, _ := x.exchange(t, "bob", "bob", new(packet.Connect))
	peer.Close()
	peer, proof := x.exchange(t, "ann", "ann", new(packet.Connect)) // waits, and is let in
	peer.send(proof)
	if ack, ok := peer.next().(*packet.Connack); !ok || ack.Code != packet.Success {
		t.Fatalf("CONNACK %+v", ack)
	}
	if d := delay("ann"); d != 0 {
		t.Errorf("after the right proof ann has to wait %v", d)
	}
	within(t, "the check of who has left is over", func() bool {
		x.b.passwords.mu.Lock()
		defer x.b.passwords.mu.Unlock()
		return x.b.passwords.peers[here].underway == 0
	})
}

// A takeover counts, and is delayed, only when the password was right.
func TestTakeoversCountAfterTheLogin(t *testing.T) {
	x := newSpeaking(t)
	owner := x.connect(t, 0, packet.V5, nil)
	for range 2 * loopLimit {
		if ack := answerTo(t, x.dial(t, 0), &packet.Connect{Version: packet.V5, ClientID: "ann", HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("wrong")}); ack.Code != packet.NotAuthorized {
			t.Fatal(ack.Code)
		}
	}
	if n := x.b.Causes()[cause.IDTakeoverLoop]; n != 0 || len(x.b.takeovers.lately) != 0 {
		t.Error("wrong passwords count as takeovers")
	}
	owner.send(packet.Pingreq{})
	if _, ok := owner.next().(packet.Pingresp); !ok {
		t.Error("the owner is cut off")
	}
}

// After a reload those go who would not be let in any more, whatever it was that let them in; the others stay.
func TestAReloadCutsWhoIsNotAllowedAnyMore(t *testing.T) {
	var ca *testbed.CA
	var crl string
	var server, good, bad testbed.Pair
	certified := func(c *Config) {
		dir := t.TempDir()
		ca, crl = testbed.NewCA(t, filepath.Join(dir, "ca.pem")), filepath.Join(dir, "crl.pem")
		server, good, bad = ca.Issue(t, filepath.Join(dir, "server"), nil), ca.Issue(t, filepath.Join(dir, "good"), nil), ca.Issue(t, filepath.Join(dir, "bad"), nil)
		ca.Revoke(t, crl)
		c.Listeners[2].TLS = listener.TLS{CertFile: server.CertFile, KeyFile: server.KeyFile, CAFile: ca.File, CRLFile: crl, RequireCertificate: true}
		c.Listeners[2].IdentityAsUsername = true
	}
	for _, c := range []struct {
		name   string
		start  func(*Config)
		change func(*Config)
		stays  bool // the client with the good certificate
	}{
		{"a certificate is revoked", certified, func(*Config) { ca.Revoke(t, crl, bad) }, true},
		{"names from certificates are no longer taken", certified, func(c *Config) { c.Listeners[2].IdentityAsUsername = false }, false},
		{"nothing", certified, func(*Config) {}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newSpeaking(t, c.start)
			with := func(pair testbed.Pair, id string) *speaker {
				conn, err := tls.Dial("tcp", x.address(2), &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", Certificates: []tls.Certificate{pair.Certificate}})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
				if ack := answerTo(t, conn, &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: id}); ack.Code != packet.Success {
					t.Fatal(ack.Code, reasonOf(ack))
				}
				return &speaker{conn, t, packet.V5}
			}
			stays, goes := with(good, "good"), with(bad, "bad")
			x.reloadWith(t, c.change)
			stays.send(packet.Pingreq{})
			if _, ok := stays.next().(packet.Pingresp); ok != c.stays {
				t.Errorf("the good one stays: %t", ok)
			}
			goes.send(packet.Pingreq{})
			if _, ok := goes.next().(packet.Pingresp); ok != (c.name == "nothing") {
				t.Errorf("the bad one stays: %t", ok)
			}
		})
	}
	t.Run("anonymous clients", func(t *testing.T) {
		x := newSpeaking(t, func(c *Config) {
			c.Security[0].Anonymous, c.Security[0].PasswordFile = access.AnonymousAlways, ""
		})
		nameless := x.connect(t, 0, packet.V5, func(p *packet.Connect) { p.HasUsername, p.HasPassword, p.ClientID = false, false, "nameless" })
		named := x.connect(t, 1, packet.V5, nil) // nobody looks at the name
		x.reloadWith(t, func(c *Config) { c.Security[0].Anonymous = access.AnonymousNever })
		for _, p := range []*speaker{nameless, named} {
			if bye, ok := p.next().(*packet.Disconnect); !ok || bye.Code != packet.NotAuthorized {
				t.Errorf("got %+v", bye)
			}
		}
	})
}

// persistent_client_expiration holds for what a DISCONNECT asks for, and for sessions that are there when it is set.
func TestExpirationHoldsForAll(t *testing.T) {
	x := newSpeaking(t, func(c *Config) { c.PersistentExpiration = 30 * time.Minute })
	expiry := func(id string) uint32 {
		x.b.mu.Lock()
		defer x.b.mu.Unlock()
		s := x.b.sessions.byID[id]
		if s == nil {
			return 0
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.expiry
	}
	hour := func(p *packet.Properties) *packet.Properties {
		p.SessionExpiry = 3600
		return p.Set(packet.SessionExpiryInterval)
	}
	p := x.connect(t, 0, packet.V5, func(p *packet.Connect) { p.Props = hour(new(packet.Properties)) })
	if n := expiry("ann"); n != 1800 {
		t.Errorf("after CONNECT %d s", n)
	}
	p.send(&packet.Disconnect{Props: hour(new(packet.Properties))})
	for next(t, p.Conn, packet.V5) != nil {
	}
	if n := expiry("ann"); n != 1800 {
		t.Errorf("after DISCONNECT %d s", n)
	}
	x.reloadWith(t, func(c *Config) { c.PersistentExpiration = 0 })
	offline := x.connect(t, 0, packet.V311, func(p *packet.Connect) { p.ClientID, p.CleanStart = "offline", false })
	offline.send(&packet.Disconnect{})
	for next(t, offline.Conn, packet.V311) != nil {
	}
	until(t, func() bool { return x.b.openConnections() == 0 })
	x.connect(t, 0, packet.V311, func(p *packet.Connect) { p.ClientID, p.CleanStart = "online", false })
	x.reloadWith(t, func(c *Config) { c.PersistentExpiration = time.Second })
	if n := expiry("online"); n != 1 {
		t.Errorf("of a session with a connection %d s", n)
	}
	until(t, func() bool { return expiry("offline") == 0 })
}

// A connection that another one takes the session from has ended without DISCONNECT: its will is published, unless it is to wait for the client's return.
func TestTheWillOfOneTakenOver(t *testing.T) {
	x := newSpeaking(t)
	watcher := x.connect(t, 0, packet.V5, func(p *packet.Connect) { p.ClientID = "watcher" })
	watcher.send(subscriptionTo("open/#"))
	watcher.next()
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		keep := func(topic string, delay uint32) func(*packet.Connect) {
			return func(p *packet.Connect) {
				p.ClientID, p.CleanStart, p.Will = "kept", false, &packet.Will{Topic: topic, Payload: []byte("will")}
				if v == packet.V5 {
					p.Props = (&packet.Properties{SessionExpiry: 3600}).Set(packet.SessionExpiryInterval)
				}
				if delay > 0 {
					p.Will.Props = (&packet.Properties{WillDelay: delay}).Set(packet.WillDelayInterval)
				}
			}
		}
		x.connect(t, 0, v, keep("open/will", 0))
		x.connect(t, 1, v, keep("open/will", 0))
		watcher.expect("open/will")
		last := x.connect(t, 2, v, keep("open/delayed", 3600))
		watcher.expect("open/will")
		if v == packet.V5 {
			last = x.connect(t, 3, v, keep("open/none", 0))
		}
		last.send(&packet.Disconnect{})
		x.connect(t, 0, v, func(p *packet.Connect) { p.ClientID = "marker" }).send(&packet.Publish{Topic: []byte("open/marker")})
		if got := watcher.expect("open/marker"); len(got) != 1 {
			t.Errorf("MQTT %s: %q", v, got)
		}
	}
}

// A session does not follow its client to another mount point, where nothing would reach it: there is a new one, and it is said.
func TestAnotherMountPointIsAnotherSession(t *testing.T) {
	x := newSpeaking(t, func(c *Config) {
		c.Security[0].ACLFile = ""
		c.Listeners[1].MountPoint = "elsewhere/"
	})
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		connect := &packet.Connect{Version: v, ClientID: "ann " + v.String(), HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("right")}
		if v == packet.V5 {
			connect.Props = (&packet.Properties{SessionExpiry: 3600}).Set(packet.SessionExpiryInterval)
		}
		before := x.b.Causes()[cause.SessionOtherMount]
		for _, step := range []struct {
			transport int
			present   bool
		}{{0, false}, {2, true}, {1, false}, {1, true}, {0, false}} {
			conn := x.dial(t, step.transport)
			if ack := answerTo(t, conn, connect); ack.SessionPresent != step.present {
				t.Errorf("MQTT %s over %s: Session Present %t", v, transports[step.transport], ack.SessionPresent)
			}
		}
		if n := x.b.Causes()[cause.SessionOtherMount] - before; n != 2 {
			t.Errorf("said %d times", n)
		}
	}
}
