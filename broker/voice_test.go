package broker

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"picket/access"
	"picket/cause"
	"picket/internal/testbed"
	"picket/listener"
	"picket/logging"
	"picket/packet"
)

// speaking is a broker with a listener for each transport, whose log is read.
type speaking struct {
	b       *Broker
	log     *logging.Logger
	journal *testbed.Log
	trust   *x509.CertPool
}

// The transports of a speaking broker, in the order of its listeners.
var transports = []string{"tcp", "websocket", "tls", "websocket over tls"}

func newSpeaking(t *testing.T, changes ...func(*Config)) *speaking {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	entry, err := access.HashPassword(access.PBKDF2, "right", 1)
	if err != nil {
		t.Fatal(err)
	}
	x := &speaking{journal: new(testbed.Log), trust: x509.NewCertPool()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"broker.test"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	x.trust.AppendCertsFromPEM(certificate)
	over := listener.TLS{CertFile: write("cert", string(certificate)), KeyFile: write("key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))}

	c := Defaults()
	c.Security[0].Anonymous = access.AnonymousNever
	c.Security[0].PasswordFile = write("passwords", "ann:"+entry+"\n")
	c.Security[0].ACLFile = write("acl", "user ann\ntopic readwrite open/#\ntopic read closed/#\n")
	c.ReasonStrings, c.SysInterval, c.MaxPacketSize = true, 0, 4096
	for i := range transports {
		port := testbed.Port(t) // a reload keeps no listener that has no port of its own
		l := &Listener{Config: listener.Config{Address: "127.0.0.1", Port: port, Source: "here"}, MaxConnections: -1, MaxQoS: 2}
		if i%2 == 1 {
			l.Protocol = listener.WebSocket
		}
		if i >= 2 {
			l.TLS = over
		}
		c.Listeners = append(c.Listeners, l)
	}
	c.passwordDelay = noDelay
	for _, change := range changes {
		change(&c)
	}
	logs := logging.Config{Types: logging.Error | logging.Warning | logging.Notice | logging.Info | logging.Debug, Dest: []logging.Dest{{Kind: logging.Stdout}}}
	if x.log, err = logging.New(logs, x.journal, io.Discard); err != nil {
		t.Fatal(err)
	}
	if x.b, err = Start(c, x.log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.b.Close(); x.log.Close() })
	return x
}

// address is where the listener of a transport is.
func (x *speaking) address(transport int) string {
	for _, s := range x.b.listeners.Sockets() {
		if s.Listener == &x.b.settings.Load().Listeners[transport].Config {
			return s.Addr.String()
		}
	}
	return ""
}

// dial opens a connection over a transport.
func (x *speaking) dial(t *testing.T, transport int) net.Conn {
	conf := &tls.Config{RootCAs: x.trust, ServerName: "broker.test"}
	var conn net.Conn
	var err error
	switch at := x.address(transport); transports[transport] {
	case "tcp":
		conn, err = net.Dial("tcp", at)
	case "tls":
		conn, err = tls.Dial("tcp", at, conf)
	default:
		scheme := "ws"
		if transport == 3 {
			scheme = "wss"
		}
		d := ws.Dialer{Protocols: []string{"mqtt"}, TLSConfig: conf}
		conn, _, _, err = d.Dial(context.Background(), scheme+"://"+at+"/mqtt")
		conn = &framed{Conn: conn}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// framed carries bytes in WebSocket frames.
type framed struct {
	net.Conn
	rest []byte
}

func (f *framed) Write(b []byte) (int, error) {
	return len(b), wsutil.WriteClientBinary(f.Conn, b)
}

func (f *framed) Read(b []byte) (int, error) {
	for len(f.rest) == 0 {
		data, _, err := wsutil.ReadServerData(f.Conn)
		if err != nil {
			return 0, io.EOF // a close frame is the end, too
		}
		f.rest = data
	}
	n := copy(b, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// next reads one packet; nil at the end.
func next(t *testing.T, conn net.Conn, v packet.Version) packet.Packet {
	t.Helper()
	var all []byte
	one := make([]byte, 1)
	for {
		if len(all) > 1 {
			head, n, err := packet.Header(all)
			if err != nil {
				t.Fatal(err)
			}
			if head > 0 && len(all) == head+n {
				p, err := packet.Decode(v, all[0], all[head:])
				if err != nil {
					t.Fatal(err)
				}
				return p
			}
		}
		if _, err := conn.Read(one); err != nil {
			return nil
		}
		all = append(all, one[0])
	}
}

// said is what a broker has made known of an incident.
type said struct{ lines, counted, sys int }

var causeInLine = regexp.MustCompile(`\[([a-z0-9-]+)\]$`)

// settle waits until all connections have ended, and returns what has been said since before, by cause, and the whole log.
func (x *speaking) settle(t *testing.T, before map[cause.ID]uint64) (map[cause.ID]*said, string) {
	t.Helper()
	until(t, func() bool { return x.b.openConnections() == 0 })
	x.log.Flush()
	log := x.journal.Take()
	all := make(map[cause.ID]*said)
	of := func(id cause.ID) *said {
		if all[id] == nil {
			all[id] = new(said)
		}
		return all[id]
	}
	for line := range strings.Lines(log) {
		if m := causeInLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			of(cause.ID(m[1])).lines++
		}
	}
	newSysTopics(x.b).publish(time.Now())
	for id, n := range x.b.Causes() {
		if n -= before[id]; n > 0 {
			of(id).counted = int(n)
			m := x.b.retained.get("$SYS/broker/picket/causes/" + string(id))
			total, err := strconv.ParseUint(string(m.Payload), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			of(id).sys = int(total - before[id])
		}
	}
	return all, log
}

// until waits for something that has to come.
func until(t *testing.T, there func() bool) {
	t.Helper()
	for end := time.Now().Add(testbed.Patience); !there(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come")
		}
	}
}

func (b *Broker) openConnections() int64 {
	return b.room.connections()
}

// A refusal is said once: by one line in the log, one reason string, one count in the counters and in $SYS, all of one cause.
func TestOneVoice(t *testing.T) {
	x := newSpeaking(t)
	login := func(v packet.Version) packet.Connect {
		return packet.Connect{Version: v, CleanStart: true, ClientID: "ann", HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("right")}
	}
	changed := func(change func(*packet.Connect)) func(packet.Version) []byte {
		return func(v packet.Version) []byte {
			c := login(v)
			change(&c)
			return c.Append(nil, v)
		}
	}
	bytesOf := func(b ...byte) func(packet.Version) []byte { return func(packet.Version) []byte { return b } }
	publish := func(topic string, qos byte) func(packet.Version) []byte {
		return func(v packet.Version) []byte {
			return (&packet.Publish{Topic: []byte(topic), QoS: qos, ID: uint16(qos)}).Append(nil, v)
		}
	}
	subscribe := func(filter string) func(packet.Version) []byte {
		return func(v packet.Version) []byte {
			return (&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: filter}}}).Append(nil, v)
		}
	}
	for _, c := range []struct {
		name    string
		cause   cause.ID
		first   bool // instead of CONNECT, not after it
		stays   bool // the connection
		bytes   func(packet.Version) []byte
		line    string
		return3 byte // the return code of 3.1 and 3.1.1
	}{
		{name: "not CONNECT", cause: cause.ProtocolViolation, first: true, bytes: bytesOf(0xC0, 0, 0, 0, 0, 0, 0, 0, 0), line: "Client <unknown> from 127.0.0.1:"},
		{name: "reserved flag", cause: cause.MalformedPacket, first: true, bytes: bytesOf(0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 1, 0, 0, 0, 0), line: "Client <unknown> from 127.0.0.1:"},
		{name: "protocol level 9", cause: cause.ProtocolVersion, first: true, bytes: bytesOf(0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 9, 2, 0, 0, 0, 0), line: "Invalid protocol version in CONNECT from 127.0.0.1"},
		{name: "another protocol", cause: cause.ProtocolVersion, first: true, bytes: bytesOf(0x10, 12, 0, 4, 'M', 'Q', 'T', 'X', 4, 2, 0, 0, 0, 0), line: "Invalid protocol in CONNECT from 127.0.0.1"},
		{name: "no identifier for a session that is kept", cause: cause.EmptyClientID, first: true, bytes: bytesOf(0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 0, 0, 0), line: "refused"},
		{name: "no user", cause: cause.AnonymousRefused, first: true, bytes: changed(func(p *packet.Connect) { p.HasUsername, p.HasPassword = false, false }), line: "not authorised", return3: 5},
		{name: "wrong password", cause: cause.BadCredentials, first: true, bytes: changed(func(p *packet.Connect) { p.Password = []byte("wrong") }), line: "not authorised", return3: 5},
		{name: "will topic", cause: cause.MalformedPacket, first: true, bytes: changed(func(p *packet.Connect) { p.Will = &packet.Will{Topic: "a/#"} }), line: "closed"},
		{name: "second CONNECT", cause: cause.ProtocolViolation, bytes: changed(func(*packet.Connect) {}), line: "protocol error"},
		{name: "QoS 3", cause: cause.MalformedPacket, bytes: bytesOf(0x36, 7, 0, 1, 'a', 0, 1, 0, 0), line: "malformed packet"},
		{name: "topic with a wildcard", cause: cause.MalformedPacket, bytes: publish("a/+", 1), line: "malformed packet"},
		{name: "bad filter", cause: cause.FilterInvalid, bytes: subscribe("a/#/b"), line: "malformed packet"},
		{name: "too large", cause: cause.PacketTooLarge, bytes: bytesOf(0x30, 0xFF, 0x7F), line: "oversize packet"},
		{name: "packet of a server", cause: cause.ProtocolViolation, bytes: bytesOf(0xD0, 0), line: "protocol error"},
		{name: "publish denied", cause: cause.ACLPublishDenied, stays: true, bytes: publish("closed/a", 1), line: "Denied PUBLISH from ann"},
		{name: "publish at QoS 2 denied", cause: cause.ACLPublishDenied, stays: true, bytes: publish("closed/a", 2), line: "Denied PUBLISH from ann"},
		{name: "$SYS", cause: cause.SysReadOnly, stays: true, bytes: publish("$SYS/a", 1), line: "Denied PUBLISH from ann"},
		{name: "$CONTROL", cause: cause.ControlUnavailable, stays: true, bytes: publish("$CONTROL/a/v1", 1), line: "Denied PUBLISH from ann"},
		{name: "subscribe denied", cause: cause.ACLSubscribeDenied, stays: true, bytes: subscribe("secret/#"), line: "Denied SUBSCRIBE from ann"},
	} {
		for transport := range transports {
			for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
				t.Run(fmt.Sprintf("%s/%s/%d", c.name, transports[transport], v), func(t *testing.T) {
					before := x.b.Causes()
					x.journal.Take()
					conn := x.dial(t, transport)
					send := func(b []byte) {
						if _, err := conn.Write(b); err != nil {
							t.Fatal(err)
						}
					}
					if !c.first {
						connect := login(v)
						send(connect.Append(nil, v))
						if ack, ok := next(t, conn, v).(*packet.Connack); !ok || ack.Code != packet.Success {
							t.Fatalf("CONNACK %+v", ack)
						}
					}
					sent := c.bytes(v)
					send(sent)
					answer := v
					if c.first && sent[8] != 5 {
						answer = packet.V311 // of the CONNECT in the table, or of an unknown version
					}
					reason := reasonOf(next(t, conn, answer))
					if c.stays {
						send((&packet.Disconnect{}).Append(nil, v))
					}
					for next(t, conn, v) != nil {
					}
					conn.Close()
					all, log := x.settle(t, before)
					if all[c.cause] == nil || *all[c.cause] != (said{1, 1, 1}) || len(all) != 1 {
						t.Errorf("said %v, want %s once; the log:\n%s", describe(all), c.cause, log)
					}
					if v == packet.V5 && (c.stays || !c.first) && !strings.HasPrefix(reason, string(c.cause)) {
						t.Errorf("reason string %q, want %s", reason, c.cause)
					}
					if !strings.Contains(log, c.line) {
						t.Errorf("no %q in the log:\n%s", c.line, log)
					}
					if c.return3 == 0 {
						return
					}
					line := fmt.Sprintf("Sending CONNACK to 127.0.0.1 (0, %d)", c.return3)
					if v == packet.V5 {
						line = "Sending CONNACK to 127.0.0.1 (0, 135)"
					}
					if !strings.Contains(log, line) {
						t.Errorf("no %q in the log:\n%s", line, log)
					}
				})
			}
		}
	}
}

// reasonOf is the reason string of an answer.
func reasonOf(p packet.Packet) string {
	var props *packet.Properties
	switch p := p.(type) {
	case *packet.Connack:
		props = p.Props
	case *packet.Disconnect:
		props = p.Props
	case *packet.Ack:
		props = p.Props
	case *packet.Suback:
		props = p.Props
	}
	if props == nil {
		return ""
	}
	return props.ReasonString
}

func describe(all map[cause.ID]*said) string {
	var b strings.Builder
	for id, s := range all {
		fmt.Fprintf(&b, "%s: %d lines, %d counted, %d in $SYS; ", id, s.lines, s.counted, s.sys)
	}
	return b.String()
}

// What comes to the wrong port, or ends without a word, is said once too.
func TestOneVoiceOfTransports(t *testing.T) {
	x := newSpeaking(t)
	connect := (&packet.Connect{Version: packet.V311, CleanStart: true, ClientID: "ann", HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("right")}).Append(nil, packet.V311)
	hello := []byte{0x16, 3, 1, 0, 5, 1, 0, 0, 1, 3}
	for _, c := range []struct {
		name      string
		cause     cause.ID
		transport int
		bytes     []byte
	}{
		{"TLS to a plain port", cause.TLSToPlainPort, 0, hello},
		{"HTTP to a plain port", cause.WSToTCPPort, 0, []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
		{"PROXY to a plain port", cause.ProxyHeaderUnexpected, 0, []byte("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")},
		{"SSH to a plain port", cause.UnknownProtocol, 0, []byte("SSH-2.0-a\r\n")},
		{"MQTT to a WebSocket port", cause.TCPToWSPort, 1, connect},
		{"TLS to a WebSocket port", cause.TLSToPlainPort, 1, hello},
		{"MQTT to a TLS port", cause.PlainToTLSPort, 2, connect},
		{"HTTP to a WebSocket port with TLS", cause.PlainToTLSPort, 3, []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := x.b.Causes()
			x.journal.Take()
			conn, err := net.Dial("tcp", x.address(c.transport))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(c.bytes); err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, conn)
			until(t, func() bool { return x.b.Causes()[c.cause] != before[c.cause] })
			all, log := x.settle(t, before)
			if all[c.cause] == nil || *all[c.cause] != (said{1, 1, 1}) || len(all) != 1 {
				t.Errorf("said %v, want %s once; the log:\n%s", describe(all), c.cause, log)
			}
		})
	}
	for transport, name := range transports {
		for _, login := range []bool{false, true} {
			t.Run(fmt.Sprintf("lost, %s, logged in %t", name, login), func(t *testing.T) {
				before := x.b.Causes()
				x.journal.Take()
				conn := x.dial(t, transport)
				want := "Client <unknown> "
				if login {
					want = "Client ann "
					if _, err := conn.Write(connect); err != nil {
						t.Fatal(err)
					}
					next(t, conn, packet.V311)
				}
				until(t, func() bool { return x.b.openConnections() != 0 })
				conn.Close()
				all, log := x.settle(t, before)
				if all[cause.ConnectionLost] == nil || *all[cause.ConnectionLost] != (said{1, 1, 1}) || len(all) != 1 || !strings.Contains(log, want) {
					t.Errorf("said %v, want %s once; the log:\n%s", describe(all), cause.ConnectionLost, log)
				}
			})
		}
	}
	for _, transport := range []int{1, 3} {
		t.Run("frame without a mask, "+transports[transport], func(t *testing.T) {
			before := x.b.Causes()
			x.journal.Take()
			conn := x.dial(t, transport)
			if _, err := conn.Write(connect); err != nil {
				t.Fatal(err)
			}
			next(t, conn, packet.V311)
			if err := ws.WriteFrame(conn.(*framed).Conn, ws.NewBinaryFrame([]byte{0xC0, 0})); err != nil {
				t.Fatal(err)
			}
			for next(t, conn, packet.V311) != nil {
			}
			all, log := x.settle(t, before)
			if all[cause.WSFrameInvalid] == nil || *all[cause.WSFrameInvalid] != (said{1, 1, 1}) || len(all) != 1 || !strings.Contains(log, "Client ann disconnected: WebSocket") {
				t.Errorf("said %v, want %s once; the log:\n%s", describe(all), cause.WSFrameInvalid, log)
			}
		})
	}
	t.Run("taken over", func(t *testing.T) {
		before := x.b.Causes()
		x.journal.Take()
		first, second := x.dial(t, 0), x.dial(t, 1)
		for _, conn := range []net.Conn{first, second} {
			if _, err := conn.Write(connect); err != nil {
				t.Fatal(err)
			}
			next(t, conn, packet.V311)
		}
		for next(t, first, packet.V311) != nil {
		}
		if _, err := second.Write([]byte{0xE0, 0}); err != nil {
			t.Fatal(err)
		}
		all, log := x.settle(t, before)
		if all[cause.SessionTakenOver] == nil || *all[cause.SessionTakenOver] != (said{1, 1, 1}) || len(all) != 1 {
			t.Errorf("said %v, want %s once; the log:\n%s", describe(all), cause.SessionTakenOver, log)
		}
	})
}
