package broker

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"picket/cause"
	"picket/packet"
	"picket/trace"
)

// traced reads a trace until an event is the last one, and returns all of them as text and as a capture.
func traced(t *testing.T, of *Trace, last func(*trace.Event) bool) (events []trace.Event, text, capture string) {
	t.Helper()
	out := trace.NewCapture(cause.English)
	pcap := out.Begin("test")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		all, more := of.Next(ctx)
		if !more {
			t.Fatalf("there is nothing more behind %s", text)
		}
		for i := range all {
			line, err := trace.JSON(&all[i], cause.Chinese)
			if err != nil {
				t.Fatal(err)
			}
			text += string(trace.Text(&all[i], cause.English)) + string(line)
			pcap = out.Append(pcap, &all[i])
			if events = append(events, all[i]); last(&all[i]) {
				return events, text, string(pcap)
			}
		}
	}
}

func hasEnded(e *trace.Event) bool { return e.Kind == trace.End }

// kindsOf are the packets of events: > in, < out.
func kindsOf(events []trace.Event) (s string) {
	for i := range events {
		e := &events[i]
		switch {
		case e.Kind != trace.Packet:
			s += " " + string(e.Kind)
		case e.Out:
			s += " <" + e.Type().String()
		default:
			s += " >" + e.Type().String()
		}
	}
	return strings.TrimSpace(s)
}

// What a client sends and gets is traced whatever it speaks and over whatever it comes, others are not, and no password is in it.
func TestTrace(t *testing.T) {
	x := newSpeaking(t)
	other := x.connect(t, 0, packet.V5, func(p *packet.Connect) { p.ClientID = "other" })
	for transport := range transports {
		for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
			of, err := x.b.Trace(TraceQuery{Client: "ann", Payload: 3})
			if err != nil {
				t.Fatal(err)
			}
			c := x.connect(t, transport, v, nil)
			c.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "open/#", QoS: 1}}})
			c.next()
			other.send(&packet.Publish{Topic: []byte("open/a"), QoS: 1, ID: 1, Payload: []byte("secret payload")})
			c.next()
			c.send(&packet.Ack{Kind: packet.PUBACK, ID: 1}, packet.Pingreq{}, &packet.Disconnect{})
			events, text, capture := traced(t, of, hasEnded)
			of.Close()
			if got, want := kindsOf(events), ">CONNECT <CONNACK >SUBSCRIBE <SUBACK <PUBLISH >PUBACK >PINGREQ <PINGRESP >DISCONNECT end"; got != want {
				t.Errorf("MQTT %s over %s: %s, want %s", v, transports[transport], got, want)
			}
			for _, secret := range []string{"right", "secret payload"} {
				if strings.Contains(text, secret) || strings.Contains(capture, secret) {
					t.Errorf("MQTT %s: %q is in the trace", v, secret)
				}
			}
			if !strings.Contains(text, `"open/a" 14 bytes`) || !strings.Contains(text, "sec") {
				t.Errorf("MQTT %s: there is no beginning of the payload in\n%s", v, text)
			}
			if _, err := other.Write(nil); err != nil {
				t.Fatal(err)
			}
			if ack, ok := other.next().(*packet.Ack); !ok || ack.Kind != packet.PUBACK {
				t.Fatal("no PUBACK")
			}
		}
	}
	if x.b.taps.Load() != nil {
		t.Error("packets are looked at although nobody looks on")
	}
}

// What could hold a password stays out however it comes: a CONNECT that cannot be decoded, a second one, authentication, commands by name and by alias.
func TestTraceHidesSecrets(t *testing.T) {
	x := newSpeaking(t, aliases)
	const secret = "S3CR3T"
	connect := func(change func(*packet.Connect)) []byte {
		p := &packet.Connect{Version: packet.V5, CleanStart: true, ClientID: "ann", HasUsername: true, Username: "ann", HasPassword: true, Password: []byte(secret)}
		change(p)
		return p.Append(nil, packet.V5)
	}
	malformed := connect(func(p *packet.Connect) {})
	malformed[9] |= 1 // the reserved flag, behind name and level
	alias := func(topic string, id uint16) *packet.Publish {
		return &packet.Publish{Topic: []byte(topic), QoS: 1, ID: id, Props: packet.AppendTopicAlias(nil, 1), Payload: []byte(secret)}
	}
	for name, sent := range map[string][]byte{
		"a wrong password":       connect(func(*packet.Connect) {}),
		"a malformed CONNECT":    malformed,
		"an unknown level":       bytes.Replace(connect(func(*packet.Connect) {}), []byte("MQTT\x05"), []byte("MQTT\x09"), 1),
		"a bad will topic":       connect(func(p *packet.Connect) { p.Will = &packet.Will{Topic: "#", Payload: []byte(secret)} }),
		"authentication":         connect(func(p *packet.Connect) { p.Props = authentication(secret) }),
		"a second CONNECT":       append(connect(func(p *packet.Connect) { p.Password = []byte("right") }), connect(func(*packet.Connect) {})...),
		"AUTH":                   append(connect(func(p *packet.Connect) { p.Password = []byte("right") }), (&packet.Auth{Code: packet.Reauthenticate, Props: authentication(secret)}).Append(nil, packet.V5)...),
		"a command":              append(connect(func(p *packet.Connect) { p.Password = []byte("right") }), alias("$CONTROL/dynamic-security/v1", 1).Append(nil, packet.V5)...),
		"a malformed PUBLISH":    append(connect(func(p *packet.Connect) { p.Password = []byte("right") }), (&packet.Publish{Topic: []byte("$CONTROL/#"), Payload: []byte(secret)}).Append(nil, packet.V5)...),
		"a command by its alias": append(alias("", 2).Append(append(connect(func(p *packet.Connect) { p.Password = []byte("right") }), alias("$CONTROL/dynamic-security/v1", 1).Append(nil, packet.V5)...), packet.V5), 0xE0, 0),
	} {
		of, err := x.b.Trace(TraceQuery{Address: netip.MustParsePrefix("127.0.0.0/8"), Payload: 1000})
		if err != nil {
			t.Fatal(err)
		}
		conn := x.dial(t, 0)
		if _, err := conn.Write(sent); err != nil {
			t.Fatal(err)
		}
		_ = conn.(interface{ CloseWrite() error }).CloseWrite() // it may be closed already
		events, text, capture := traced(t, of, hasEnded)
		of.Close()
		if len(events) < 2 || !strings.Contains(text, "hidden") && name != "a malformed PUBLISH" {
			t.Errorf("%s: %s", name, text)
		}
		if strings.Contains(text, secret) || strings.Contains(capture, secret) || strings.Contains(text, "UzNDUjNU") {
			t.Errorf("%s is in the trace:\n%s", name, text)
		}
	}
}

// aliases lets clients of all listeners have topic aliases.
func aliases(c *Config) {
	for _, l := range c.Listeners {
		l.MaxTopicAlias = 10
	}
}

func authentication(data string) *packet.Properties {
	p := new(packet.Properties).Set(packet.AuthenticationMethod).Set(packet.AuthenticationData)
	p.AuthMethod, p.AuthData = "SCRAM-SHA-256", []byte(data)
	return p
}

// A refusal is explained at the packet that tells it, or at the end where there is none; what a rule denies, where it happens. One who was there before begins with a CONNECT
// that is made up.
func TestTraceExplains(t *testing.T) {
	x := newSpeaking(t)
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		c := x.connect(t, 0, v, nil)
		of, err := x.b.Trace(TraceQuery{User: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		c.send(&packet.Publish{Topic: []byte("closed/x")}, packet.Pingreq{})
		c.next()
		x.b.Disconnect("ann", cause.DisconnectedByAdmin, "enough")
		events, text, _ := traced(t, of, hasEnded)
		want := ">CONNECT >PUBLISH note >PINGREQ <PINGRESP <DISCONNECT end"
		if v != packet.V5 {
			want = strings.Replace(want, " <DISCONNECT", "", 1)
		}
		if got := kindsOf(events); got != want || !events[0].MadeUp || events[2].Cause != cause.ACLPublishDenied {
			t.Errorf("MQTT %s: %s, want %s", v, got, want)
		}
		if strings.Count(text, string(cause.DisconnectedByAdmin)) < 2 || !strings.Contains(text, "enough") { // as text and as JSON
			t.Errorf("MQTT %s: the end is not explained:\n%s", v, text)
		}
		conn := x.dial(t, 0)
		if _, err := conn.Write((&packet.Connect{Version: v, CleanStart: true, ClientID: "z", HasUsername: true, Username: "ann", HasPassword: true, Password: []byte("wrong")}).Append(nil, v)); err != nil {
			t.Fatal(err)
		}
		if events, text, _ = traced(t, of, hasEnded); kindsOf(events) != ">CONNECT <CONNACK end" || events[1].Cause != cause.BadCredentials {
			t.Errorf("MQTT %s: %s\n%s", v, kindsOf(events), text)
		}
		of.Close()
	}
}

// By topic, the messages of all are shown and nothing else, also where the packet has no name but an alias.
func TestTraceByTopic(t *testing.T) {
	x := newSpeaking(t, aliases)
	sub := x.connect(t, 0, packet.V5, func(p *packet.Connect) { p.ClientID = "sub" })
	sub.send(subscriptionTo("open/#"))
	sub.next()
	pub := x.connect(t, 1, packet.V5, nil)
	of, err := x.b.Trace(TraceQuery{Topic: "open/+/last"})
	if err != nil {
		t.Fatal(err)
	}
	defer of.Close()
	pub.send(&packet.Publish{Topic: []byte("open/other")}, &packet.Publish{Topic: []byte("open/x/last"), Props: packet.AppendTopicAlias(nil, 1)}, &packet.Publish{Props: packet.AppendTopicAlias(nil, 1), Payload: []byte("end")})
	outs := 0
	events, _, _ := traced(t, of, func(e *trace.Event) bool {
		if e.Out {
			outs++
		}
		return outs == 2
	})
	ins := 0
	for i := range events {
		if e := &events[i]; !e.MadeUp && e.Topic != "open/x/last" {
			t.Errorf("%+v", e)
		} else if !e.MadeUp && !e.Out {
			ins++
		}
	}
	if ins != 2 {
		t.Errorf("%s", kindsOf(events))
	}
}

// A reader who takes nothing loses, and is told how much; a trace ends with the broker, and there are not more than may be.
func TestTraceIsBounded(t *testing.T) {
	x := newSpeaking(t)
	of, err := x.b.Trace(TraceQuery{Client: "ann", Payload: 4096})
	if err != nil {
		t.Fatal(err)
	}
	c := x.connect(t, 0, packet.V311, nil)
	const sent = 3000 // of two kilobytes each
	for range sent {
		c.send(&packet.Publish{Topic: []byte("open/x"), Payload: make([]byte, 2000)})
	}
	c.send(packet.Pingreq{})
	c.next()
	all, _ := of.Next(t.Context())
	lost := all[len(all)-1]
	if lost.Kind != trace.Lost || len(all)-1+lost.Lost != sent+4 || len(all)*2000 > traceMemory {
		t.Errorf("%d events, %d lost of %d", len(all)-1, lost.Lost, sent+4)
	}
	for range maxTaps - 1 {
		more, err := x.b.Trace(TraceQuery{Client: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		defer more.Close()
	}
	if _, err := x.b.Trace(TraceQuery{Client: "ann"}); err != ErrTooManyTaps {
		t.Errorf("a trace too many: %v", err)
	}
	done := make(chan bool)
	go func() {
		more := true
		for more {
			_, more = of.Next(context.Background())
		}
		close(done)
	}()
	x.b.end()
	<-done
}
