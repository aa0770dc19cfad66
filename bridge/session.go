package bridge

import (
	"slices"

	"picket/bridge/relay"
	"picket/broker"
	"picket/packet"
)

// prepare makes the session at this broker before there is a connection to the remote one, so that messages wait in it.
func (b *bridge) prepare(c *Config) error {
	if c.LocalClean || b.prepared == c {
		return nil
	}
	link, _, err := b.join(c, 1) // little is sent that nobody sends on
	if err != nil {
		return err
	}
	defer link.Leave()
	b.set.broker.QueueQoS0(c.LocalID, c.Start == relay.Lazy)
	if err := b.subscribe(c, link, true); err != nil {
		return err
	}
	if err := link.Send((&packet.Disconnect{}).Append(nil, packet.V5)); err != nil {
		return err
	}
	b.prepared = c
	return nil
}

// join makes a connection to this broker, as the client whose session the bridge's messages wait in. receive bounds how many of them are under way; 0: nothing does.
// rest is what has come behind CONNACK already.
func (b *bridge) join(c *Config, receive uint16) (link *broker.Link, rest []byte, err error) {
	if link, err = b.set.broker.Link(); err != nil {
		return nil, nil, err
	}
	p := &packet.Connect{Version: packet.V5, CleanStart: c.LocalClean, ClientID: c.LocalID, HasUsername: c.LocalUser != "", Username: c.LocalUser,
		HasPassword: c.HasLocalPassword, Password: []byte(c.LocalPassword), Props: new(packet.Properties)}
	if !c.LocalClean {
		p.Props.Set(packet.SessionExpiryInterval).SessionExpiry = 0xFFFFFFFF
	}
	if receive > 0 {
		p.Props.Set(packet.ReceiveMaximum).ReceiveMaximum = receive
	}
	if err = link.Send(p.Append(nil, packet.V5)); err == nil {
		rest, err = b.welcomed(link)
	}
	if err != nil {
		link.Leave()
		return nil, nil, err
	}
	return link, rest, nil
}

// welcomed waits for this broker's CONNACK.
func (b *bridge) welcomed(link *broker.Link) (rest []byte, err error) {
	var buf []byte
	for {
		more, err := link.Receive()
		if err != nil {
			return nil, &refusal{code: packet.ServerUnavailable, text: "this broker closed the bridge's session before CONNACK"}
		}
		buf = append(buf, more...)
		switch ack, size, err := connack(packet.V5, buf); {
		case err != nil:
			return nil, err
		case ack == nil:
		case ack.Code != packet.Success:
			return nil, &refusal{code: ack.Code, text: "this broker refused the bridge's session: " + said(ack.Code, ack.Props)}
		default:
			if b.maxLocal = 0; ack.Props.Has(packet.MaximumPacketSize) {
				b.maxLocal = int(ack.Props.MaximumPacketSize)
			}
			return buf[size:], nil
		}
	}
}

// How retained messages follow a subscription.
const (
	always = 0
	never  = 2
)

// subscribe asks this broker for the messages that go out, and for no others. had tells whether the remote broker has what is retained, as far as it has been subscribed
// to: it follows only what is new, and what has not been queued while there was no connection, which is QoS 0.
func (b *bridge) subscribe(c *Config, link *broker.Link, had bool) error {
	wanted, has := c.Topics.LocalFilters(), link.Subscriptions()
	for i := range wanted {
		f := &wanted[i]
		if !slices.Contains(has, f.Filter) {
			b.owed[f.Filter] = true
		}
		f.RetainHandling = always
		if had && f.QoS > 0 && !b.owed[f.Filter] {
			f.RetainHandling = never
		}
	}
	var out []byte
	if len(wanted) > 0 {
		out = (&packet.Subscribe{ID: 1, Filters: wanted}).Append(out, packet.V5)
	}
	stale := slices.DeleteFunc(has, func(f string) bool {
		return slices.ContainsFunc(wanted, func(w packet.Subscription) bool { return w.Filter == f })
	})
	if len(stale) > 0 {
		out = (&packet.Unsubscribe{ID: 2, Filters: stale}).Append(out, packet.V5)
	}
	return link.Send(out)
}
