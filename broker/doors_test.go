package broker

import (
	"fmt"
	"testing"

	"picket/access"
	"picket/cause"
	"picket/packet"
	"picket/session"
)

// A command reaches its handler at every QoS and from every version, from those whom a rule lets, and the answer reaches them.
func TestCommands(t *testing.T) {
	x := newSpeaking(t)
	const name = "$CONTROL/test/v1"
	answers := x.b.Local(nil, nil)
	x.b.HandleControl(name, func(from *access.Client, payload []byte) {
		text := from.Username + " " + string(payload)
		go func() {
			_ = answers.Publish(t.Context(), &session.Message{Topic: name + "/response", Payload: []byte(text)})
		}()
	})
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		for qos := range byte(3) {
			before := x.b.Causes()[cause.ACLPublishDenied]
			x.connect(t, 0, v, nil).send(&packet.Publish{Topic: []byte(name), QoS: qos, ID: uint16(qos)})
			until(t, func() bool { return x.b.Causes()[cause.ACLPublishDenied] == before+1 })
		}
	}
	x.reload(t, "user ann\ntopic readwrite $CONTROL/test/#\n")
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		p := x.connect(t, 0, v, nil)
		p.send(subscriptionTo(name + "/response"))
		p.next()
		for qos := range byte(3) {
			text := fmt.Sprint("command at ", qos)
			p.send(&packet.Publish{Topic: []byte(name), QoS: qos, ID: uint16(qos), Payload: []byte(text)})
			acknowledged := qos == 0
			for answered := false; !answered || !acknowledged; {
				switch got := p.next().(type) {
				case *packet.Publish:
					answered = string(got.Payload) == "ann "+text
				case *packet.Ack:
					acknowledged = got.Code == packet.Success
				default:
					t.Fatalf("MQTT %s, QoS %d: got %T", v, qos, got)
				}
			}
		}
	}
	x.b.HandleControl(name, nil)
	before := x.b.Causes()[cause.ControlUnavailable]
	x.connect(t, 0, packet.V5, nil).send(&packet.Publish{Topic: []byte(name)})
	until(t, func() bool { return x.b.Causes()[cause.ControlUnavailable] == before+1 })
}

// What a person has written for a client arrives whatever reason_strings says; what the program says of many does not.
func TestReasonsThatAreTold(t *testing.T) {
	x := newSpeaking(t)
	settings := *x.b.settings.Load()
	settings.ReasonStrings = false
	x.b.settings.Store(&settings)
	one, many := x.connect(t, 0, packet.V5, nil), x.connect(t, 0, packet.V5, func(p *packet.Connect) { p.ClientID = "bob" })
	x.b.Disconnect("ann", cause.DisconnectedByAdmin, "a test")
	if n := x.b.DisconnectEach(func(c *access.Client) bool { return c.ID == "bob" }, cause.DisconnectedByAdmin, "users or rights were changed"); n != 1 {
		t.Errorf("%d are disconnected", n)
	}
	for c, want := range map[*speaker]string{one: "disconnected-by-admin: a test", many: ""} {
		if bye, ok := c.next().(*packet.Disconnect); !ok || bye.Code != packet.AdministrativeAction || reasonOf(bye) != want {
			t.Errorf("got %+v, want %q", bye, want)
		}
	}
}

// One client is disconnected with a cause, or judged again; the others are left alone.
func TestDisconnectAndRejudge(t *testing.T) {
	x := newSpeaking(t)
	goes := x.connect(t, 0, packet.V5, nil)
	stays := x.connect(t, 1, packet.V5, func(p *packet.Connect) { p.ClientID = "stays" })
	if x.b.Disconnect("nobody", cause.DisconnectedByAdmin, "") || !x.b.Disconnect("ann", cause.DisconnectedByAdmin, "a test") {
		t.Error("who is connected is not known")
	}
	if bye, ok := goes.next().(*packet.Disconnect); !ok || bye.Code != packet.AdministrativeAction || reasonOf(bye) != "disconnected-by-admin: a test" {
		t.Errorf("got %+v", bye)
	}
	rules := func(id string) *access.Client {
		x.b.mu.Lock()
		defer x.b.mu.Unlock()
		return x.b.sessions.byID[id].rules.Load()
	}
	x.connect(t, 0, packet.V5, func(p *packet.Connect) { p.ClientID = "chosen" })
	chosen, other := rules("chosen"), rules("stays")
	x.b.Rejudge(func(c *access.Client) bool { return c.ID == "chosen" })
	if rules("chosen") == chosen || rules("stays") != other {
		t.Error("others were judged again, or nobody was")
	}
	stays.send(packet.Pingreq{})
	if _, ok := stays.next().(packet.Pingresp); !ok {
		t.Error("it is cut off")
	}
}
