package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"picket/access"
	"picket/packet"
)

// server is the other end of a connection, played by the test packet by packet.
type server struct {
	t    *testing.T
	conn net.Conn
	in   *input
	v    packet.Version
}

// listen accepts connections one after the other and plays the scripts, one for each.
func listen(t *testing.T, v packet.Version, scripts ...func(*server)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for _, script := range scripts {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			script(&server{t: t, conn: conn, in: newInput(conn), v: v})
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return "mqtt://" + l.Addr().String()
}

func (s *server) send(p packet.Packet) {
	if _, err := s.conn.Write(p.Append(nil, s.v)); err != nil {
		s.t.Errorf("server: %v", err)
	}
}

// expect reads one packet, which must be of type P.
func expect[P packet.Packet](s *server) P {
	s.t.Helper()
	var none P
	first, body, err := s.in.next(packet.MaxRemaining)
	if err != nil {
		s.t.Errorf("server waits for %T: %v", none, err)
		return none
	}
	if packet.Type(first>>4) == packet.PUBLISH {
		var p packet.Publish
		if err := p.Decode(s.v, first, body); err != nil {
			s.t.Error(err)
		}
		p.Topic, p.Payload = bytes.Clone(p.Topic), bytes.Clone(p.Payload)
		if p, ok := any(&p).(P); ok {
			return p
		}
	} else if p, err := packet.Decode(s.v, first, body); err != nil {
		s.t.Error(err)
	} else if p, ok := p.(P); ok {
		return p
	}
	s.t.Errorf("server waits for %T and gets type %d", none, first>>4)
	return none
}

// welcome reads CONNECT and lets the client in.
func (s *server) welcome(present bool, props *packet.Properties) *packet.Connect {
	connect := expect[*packet.Connect](s)
	s.send(&packet.Connack{SessionPresent: present, Props: props})
	return connect
}

// silence fails when the client sends anything for a while.
func (s *server) silence() {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if first, _, err := s.in.next(packet.MaxRemaining); err == nil {
		s.t.Errorf("the client sent a packet of type %d too early", first>>4)
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(time.Minute))
}

// TestReceiveMaximum never has more messages under way than the server takes (MQTT-3.3.4-9).
func TestReceiveMaximum(t *testing.T) {
	url := listen(t, packet.V5, func(s *server) {
		s.welcome(false, (&packet.Properties{ReceiveMaximum: 2}).Set(packet.ReceiveMaximum))
		first, second := expect[*packet.Publish](s), expect[*packet.Publish](s)
		s.silence()
		s.send(&packet.Ack{Kind: packet.PUBACK, ID: first.ID})
		third := expect[*packet.Publish](s)
		s.silence()
		for _, p := range []*packet.Publish{second, third} { // QoS 2: the place is free only after PUBCOMP
			s.send(&packet.Ack{Kind: packet.PUBREC, ID: p.ID})
			expect[*packet.Ack](s)
			s.silence()
		}
		s.send(&packet.Ack{Kind: packet.PUBCOMP, ID: second.ID})
		s.send(&packet.Ack{Kind: packet.PUBREC, ID: expect[*packet.Publish](s).ID, Code: packet.QuotaExceeded})
		s.send(&packet.Ack{Kind: packet.PUBCOMP, ID: third.ID})
		expect[*packet.Disconnect](s)
	})
	c := dial(t, Options{Transport: Transport{URL: url}, Connect: packet.Connect{Version: packet.V5, CleanStart: true}})
	results := make(chan Result, 4)
	for _, qos := range []byte{1, 2, 2, 2} {
		if _, err := c.Send(deadline(t), &Message{Topic: "a", QoS: qos}, func(r Result) { results <- r }); err != nil {
			t.Fatal(err)
		}
	}
	var refused int
	for range 4 {
		if (<-results).Code == packet.QuotaExceeded {
			refused++
		}
	}
	if refused != 1 {
		t.Errorf("%d messages were refused, want 1", refused)
	}
	c.Disconnect(packet.NormalDisconnection, nil)
}

// TestResume sends again what the lost connection left unfinished, in order, under the same packet identifiers and before anything new
// (MQTT-4.4.0-1, MQTT-4.6.0-1).
func TestResume(t *testing.T) {
	type sent struct {
		id  uint16
		dup bool
		rel bool
		pay string
	}
	var first, second []sent
	publish := func(s *server) sent {
		p := expect[*packet.Publish](s)
		return sent{p.ID, p.Dup, false, string(p.Payload)}
	}
	url := listen(t, packet.V311, func(s *server) {
		s.welcome(false, nil)
		for range 3 {
			first = append(first, publish(s))
		}
		s.send(&packet.Ack{Kind: packet.PUBREC, ID: first[1].id})
		expect[*packet.Ack](s)
	}, func(s *server) {
		s.welcome(true, nil)
		second = append(second, publish(s))
		rel := expect[*packet.Ack](s)
		second = append(second, sent{id: rel.ID, rel: rel.Kind == packet.PUBREL}, publish(s), publish(s))
		s.send(&packet.Ack{Kind: packet.PUBACK, ID: second[0].id})
		s.send(&packet.Ack{Kind: packet.PUBCOMP, ID: second[1].id})
		s.send(&packet.Ack{Kind: packet.PUBACK, ID: second[2].id})
		s.send(&packet.Ack{Kind: packet.PUBACK, ID: second[3].id})
		expect[*packet.Disconnect](s)
	})
	o := Options{Transport: Transport{URL: url}, Connect: packet.Connect{ClientID: "again"}, Session: NewSession()}
	done := make(chan uint16, 4)
	c := dial(t, o)
	for i, qos := range []byte{1, 2, 1} {
		if _, err := c.Send(deadline(t), &Message{Topic: "a", Payload: []byte{'a' + byte(i)}, QoS: qos}, func(r Result) { done <- r.ID }); err != nil {
			t.Fatal(err)
		}
	}
	<-c.Done()
	if !errors.Is(c.Err(), ErrConnectionLost) || o.Session.Unfinished() != 3 {
		t.Fatalf("the connection ended with %v and %d messages unfinished", c.Err(), o.Session.Unfinished())
	}
	c = dial(t, o)
	if _, err := c.Publish(deadline(t), &Message{Topic: "a", Payload: []byte("d"), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		<-done
	}
	c.Disconnect(packet.NormalDisconnection, nil)
	want := []sent{{first[0].id, true, false, "a"}, {first[1].id, false, true, ""}, {first[2].id, true, false, "c"}, {second[3].id, false, false, "d"}}
	if !reflect.DeepEqual(second, want) {
		t.Errorf("the second connection sent %+v, want %+v", second, want)
	}
}

// TestExactlyOnce hands a QoS 2 message over once, however often it comes before it is released (MQTT-4.3.3-10), across connections too.
func TestExactlyOnce(t *testing.T) {
	message := &packet.Publish{QoS: 2, ID: 9, Topic: []byte("a"), Payload: []byte("once")}
	again := *message
	again.Dup = true
	url := listen(t, packet.V311, func(s *server) {
		s.welcome(false, nil)
		s.send(message)
		expect[*packet.Ack](s)
		s.send(&again)
		expect[*packet.Ack](s)
	}, func(s *server) {
		s.welcome(true, nil)
		s.send(&again)
		expect[*packet.Ack](s)
		for range 2 {
			s.send(&packet.Ack{Kind: packet.PUBREL, ID: 9})
			if comp := expect[*packet.Ack](s); comp.Kind != packet.PUBCOMP || comp.ID != 9 {
				s.t.Errorf("PUBREL is answered by %+v", comp)
			}
		}
	})
	messages := make(chan *Message, 10)
	o := Options{Transport: Transport{URL: url}, Connect: packet.Connect{ClientID: "again"}, Session: NewSession(), Messages: messages}
	for range 2 {
		<-dial(t, o).Done()
	}
	if len(messages) != 1 {
		t.Errorf("the message was handed over %d times", len(messages))
	}
}

// TestEarlyMessage takes a QoS 2 message that the server sends right behind CONNACK: it belongs to the new session, and the old one's end must not
// take it along.
func TestEarlyMessage(t *testing.T) {
	for range 20 {
		url := listen(t, packet.V311, func(s *server) {
			expect[*packet.Connect](s)
			both := (&packet.Connack{}).Append(nil, s.v)
			both = (&packet.Publish{QoS: 2, ID: 1, Topic: []byte("a"), Payload: []byte("early")}).Append(both, s.v)
			if _, err := s.conn.Write(both); err != nil {
				s.t.Error(err)
			}
			for range 2 { // PUBREC, and a PUBLISH: all that a new connection begins with has been done by then
				if _, _, err := s.in.next(packet.MaxRemaining); err != nil {
					s.t.Error(err)
				}
			}
			s.send(&packet.Ack{Kind: packet.PUBREL, ID: 1})
			if comp := expect[*packet.Ack](s); comp.Kind != packet.PUBCOMP {
				t.Errorf("%v instead of PUBCOMP", comp.Kind)
			}
			expect[*packet.Disconnect](s)
		})
		messages := make(chan *Message, 1)
		c := dial(t, Options{Transport: Transport{URL: url}, Connect: packet.Connect{CleanStart: true}, Messages: messages})
		if _, err := c.Send(deadline(t), &Message{Topic: "b"}, nil); err != nil {
			t.Fatal(err)
		}
		if m := receive(t, messages); string(m.Payload) != "early" {
			t.Errorf("%q was received", m.Payload)
		}
		c.Disconnect(packet.NormalDisconnection, nil)
	}
}

// TestEarlyAcknowledgement survives a server that acknowledges what a lost connection left unfinished before it is sent again.
func TestEarlyAcknowledgement(t *testing.T) {
	url := listen(t, packet.V311, func(s *server) {
		expect[*packet.Connect](s)
		both := (&packet.Connack{SessionPresent: true}).Append(nil, s.v)
		for id := uint16(1); id <= 40; id++ {
			both = (&packet.Ack{Kind: packet.PUBACK, ID: id}).Append(both, s.v)
		}
		if _, err := s.conn.Write(both); err != nil {
			s.t.Error(err)
		}
		for {
			if first, _, err := s.in.next(packet.MaxRemaining); err != nil || packet.Type(first>>4) == packet.DISCONNECT {
				return
			}
		}
	})
	session := NewSession()
	completed := make(chan Result, 40)
	for range 40 {
		session.add(&Message{Topic: "a", QoS: 1}, func(r Result) { completed <- r })
	}
	c := dial(t, Options{Transport: Transport{URL: url}, Connect: packet.Connect{ClientID: "ada"}, Session: session})
	for range 40 {
		select {
		case <-completed:
		case <-deadline(t).Done():
			t.Fatal("a message has not been completed")
		}
	}
	c.Disconnect(packet.NormalDisconnection, nil)
}

// TestKeepAlive pings when there is nothing else to send, as often as the server wants it, and gives up a server that does not answer.
func TestKeepAlive(t *testing.T) {
	url := listen(t, packet.V5, func(s *server) {
		s.welcome(false, (&packet.Properties{ServerKeepAlive: 1}).Set(packet.ServerKeepAlive))
		expect[packet.Pingreq](s)
		s.send(packet.Pingresp{})
		expect[packet.Pingreq](s)
		_, _ = io.Copy(io.Discard, s.conn)
	})
	c := dial(t, Options{Transport: Transport{URL: url}, Connect: packet.Connect{Version: packet.V5, CleanStart: true, KeepAlive: 600}})
	select {
	case <-c.Done():
	case <-deadline(t).Done():
		t.Fatal("the client waits for ever")
	}
	if !errors.Is(c.Err(), ErrKeepAlive) {
		t.Errorf("the connection ended with %v", c.Err())
	}
}

// TestPing waits for the answer to its own ping, over a connection that somebody else has made.
func TestPing(t *testing.T) {
	second := make(chan struct{})
	url := listen(t, packet.V311, func(s *server) {
		s.welcome(false, nil)
		s.send(packet.Pingresp{}) // answers nothing
		s.send(&packet.Publish{Topic: []byte("it has been read")})
		for range 2 {
			expect[packet.Pingreq](s)
			s.send(packet.Pingresp{})
		}
		expect[packet.Pingreq](s)
		<-second
	})
	var dialled string
	messages := make(chan *Message, 1)
	c := dial(t, Options{Connect: packet.Connect{CleanStart: true}, Messages: messages, Transport: Transport{
		URL: "mqtt://broker.invalid:1234",
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled = network + " " + address
			return new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(url, "mqtt://"))
		},
	}})
	if dialled != "tcp broker.invalid:1234" {
		t.Errorf("Dial was asked for %s", dialled)
	}
	select {
	case <-messages:
	case <-deadline(t).Done():
		t.Fatal("no message")
	}
	for range 2 {
		if err := c.Ping(deadline(t)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a ping that is not answered: %v", err)
	}
	close(second)
	if err := c.Ping(deadline(t)); !errors.Is(err, ErrConnectionLost) {
		t.Errorf("a ping over a lost connection: %v", err)
	}
}

// TestWrongServer ends the connection with a server that breaks the protocol, and names the clause.
func TestWrongServer(t *testing.T) {
	alias := &packet.Properties{TopicAlias: 3}
	for clause, wrong := range map[string]packet.Packet{
		"MQTT-3.3.2-10": &packet.Publish{Topic: []byte("a"), Props: (&packet.Properties{TopicAlias: 11}).Set(packet.TopicAlias).AppendRaw(nil)},
		"MQTT-3.3.2-7":  &packet.Publish{Props: alias.Set(packet.TopicAlias).AppendRaw(nil)},
	} {
		t.Run(clause, func(t *testing.T) {
			url := listen(t, packet.V5, func(s *server) {
				s.welcome(false, nil)
				s.send(wrong)
				if p := expect[*packet.Disconnect](s); p != nil && !p.Code.Failed() {
					s.t.Errorf("the client said goodbye with %v", p.Code)
				}
			})
			c := dial(t, Options{
				Transport: Transport{URL: url},
				Connect:   packet.Connect{Version: packet.V5, CleanStart: true, Props: (&packet.Properties{TopicAliasMaximum: 10}).Set(packet.TopicAliasMaximum)},
			})
			<-c.Done()
			var e *packet.Error
			if !errors.As(c.Err(), &e) || e.Clause != clause {
				t.Errorf("the connection ended with %v, want clause %s", c.Err(), clause)
			}
		})
	}
}

// TestDisconnected tells why the server has ended the connection.
func TestDisconnected(t *testing.T) {
	url := listen(t, packet.V5, func(s *server) {
		s.welcome(false, nil)
		s.send(&packet.Disconnect{Code: packet.SessionTakenOver, Props: (&packet.Properties{ReasonString: "elsewhere"}).Set(packet.ReasonString)})
	})
	c := dial(t, Options{Transport: Transport{URL: url}, Connect: packet.Connect{Version: packet.V5, CleanStart: true}})
	<-c.Done()
	var end *DisconnectError
	if !errors.As(c.Err(), &end) || end.Code != packet.SessionTakenOver || end.Props.ReasonString != "elsewhere" {
		t.Errorf("the connection ended with %v", c.Err())
	}
	if _, err := c.Publish(deadline(t), &Message{Topic: "a", QoS: 1}); !errors.As(err, &end) {
		t.Errorf("Publish afterwards: %v", err)
	}
}

// TestLimits refuses to send what the server has said that it does not take.
func TestLimits(t *testing.T) {
	props := &packet.Properties{MaximumQoS: 1, MaximumPacketSize: 100}
	url := listen(t, packet.V5, func(s *server) {
		s.welcome(false, props.Set(packet.MaximumQoS).Set(packet.MaximumPacketSize).Set(packet.RetainAvailable))
		expect[*packet.Disconnect](s)
	})
	c := dial(t, Options{Transport: Transport{URL: url}, Connect: packet.Connect{Version: packet.V5, CleanStart: true}})
	for want, m := range map[error]*Message{
		ErrQoSNotSupported:    {Topic: "a", QoS: 2},
		ErrPacketTooLarge:     {Topic: "a", Payload: make([]byte, 100)},
		ErrRetainNotSupported: {Topic: "a", Retain: true},
	} {
		if _, err := c.Publish(deadline(t), m); !errors.Is(err, want) {
			t.Errorf("Publish: %v, want %v", err, want)
		}
	}
	c.Disconnect(packet.NormalDisconnection, nil)
}

// TestDialTimeout ends with its context when a server accepts and then says nothing.
func TestDialTimeout(t *testing.T) {
	url := listen(t, packet.V311, func(s *server) { _, _ = io.Copy(io.Discard, s.conn) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, Options{Transport: Transport{URL: url}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Dial: %v", err)
	}
}

// TestSCRAM proves both sides to each other with the server's side of package access, at CONNECT and again later.
func TestSCRAM(t *testing.T) {
	entry, err := access.HashPassword(access.SCRAM, "countess", 4096)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "passwords")
	if err := os.WriteFile(file, []byte("ada:"+entry+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	policy, _, err := access.Load(access.Config{PasswordFile: file})
	if err != nil {
		t.Fatal(err)
	}
	props := func(data []byte) *packet.Properties {
		p := &packet.Properties{AuthMethod: "SCRAM-SHA-256", AuthData: data}
		return p.Set(packet.AuthenticationMethod).Set(packet.AuthenticationData)
	}
	// exchange plays the server's side and reports whether the client is who it says.
	exchange := func(s *server, first *packet.Properties) (last []byte, ok bool) {
		if first.AuthMethod != "SCRAM-SHA-256" {
			s.t.Errorf("method %q", first.AuthMethod)
		}
		x, known := policy.Begin(first.AuthMethod)
		if !known {
			s.t.Fatal("access knows no SCRAM-SHA-256")
		}
		data := first.AuthData
		for {
			reply, done, _, err := x.Step(data)
			if err != nil {
				return nil, false
			}
			if done {
				return reply, true
			}
			s.send(&packet.Auth{Code: packet.ContinueAuthentication, Props: props(reply)})
			data = expect[*packet.Auth](s).Props.AuthData
		}
	}
	script := func(s *server) {
		last, ok := exchange(s, expect[*packet.Connect](s).Props)
		if !ok {
			s.send(&packet.Connack{Code: packet.NotAuthorized})
			return
		}
		s.send(&packet.Connack{Props: props(last)})
		again := expect[*packet.Auth](s)
		if again.Code != packet.Reauthenticate {
			s.t.Errorf("re-authentication begins with %v", again.Code)
		}
		if last, ok = exchange(s, again.Props); ok {
			s.send(&packet.Auth{Code: packet.Success, Props: props(last)})
		}
		expect[*packet.Disconnect](s)
	}
	imposter := func(s *server) {
		expect[*packet.Connect](s)
		s.send(&packet.Connack{Props: props([]byte("v=AAAA"))})
	}
	url := listen(t, packet.V5, script, script, imposter)
	connect := func(password string) (*Client, error) {
		auth, err := SCRAM("ada", password)
		if err != nil {
			t.Fatal(err)
		}
		return Dial(deadline(t), Options{Transport: Transport{URL: url}, Auth: auth, Connect: packet.Connect{Version: packet.V5, CleanStart: true}})
	}
	c, err := connect("countess")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Reauthenticate(deadline(t)); err != nil {
		t.Error(err)
	}
	c.Disconnect(packet.NormalDisconnection, nil)
	var refused *RefusedError
	if _, err := connect("baron"); !errors.As(err, &refused) || refused.Code != packet.NotAuthorized {
		t.Errorf("a wrong password: %v", err)
	}
	if _, err := connect("countess"); err == nil {
		t.Error("the client believes a server that does not know the password")
	}
}

// TestProxy reaches the server through a SOCKS5 proxy (RFC 1928) with a user and a password (RFC 1929), which resolves the name.
func TestProxy(t *testing.T) {
	target := listen(t, packet.V311, func(s *server) { s.welcome(false, nil); expect[*packet.Disconnect](s) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		field := func(n int) []byte { b := make([]byte, n); _, _ = io.ReadFull(in, b); return b }
		field(int(field(2)[1]))
		_, _ = conn.Write([]byte{5, 2})
		user := field(int(field(2)[1]))
		password := field(int(field(1)[0]))
		_, _ = conn.Write([]byte{1, 0})
		if field(4)[3] != 3 {
			asked <- "not a name"
			return
		}
		host := field(int(field(1)[0]))
		field(2)
		asked <- string(user) + ":" + string(password) + "@" + string(host)
		out, err := net.Dial("tcp", target[len("mqtt://"):])
		if err != nil {
			return
		}
		defer out.Close()
		_, _ = conn.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0})
		go func() { _, _ = io.Copy(out, in); _ = out.(*net.TCPConn).CloseWrite() }()
		_, _ = io.Copy(conn, out)
	}()
	c := dial(t, Options{Transport: Transport{URL: "mqtt://broker.invalid:1883", Proxy: "socks5h://me:s%40fe@" + l.Addr().String()}, Connect: packet.Connect{CleanStart: true}})
	if got := <-asked; got != "me:s@fe@broker.invalid" {
		t.Errorf("the proxy was asked as %s", got)
	}
	c.Disconnect(packet.NormalDisconnection, nil)
}

// FuzzInput never panics on what a server sends and always ends.
func FuzzInput(f *testing.F) {
	f.Add((&packet.Connack{}).Append(nil, packet.V5))
	f.Add((&packet.Publish{QoS: 1, ID: 1, Topic: []byte("a"), Payload: []byte("b")}).Append(nil, packet.V5))
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x7f, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		in := newInput(bytes.NewReader(b))
		for {
			if _, _, err := in.next(packet.MaxRemaining); err != nil {
				break
			}
		}
		if cap(in.buf) > 4096 && cap(in.buf) > 4*len(b) {
			t.Errorf("%d bytes made the buffer grow to %d", len(b), cap(in.buf))
		}
	})
}
