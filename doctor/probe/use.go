package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"picket/client"
	"picket/doctor"
	"picket/packet"
)

// defaultSize is the largest payload that is tried on a topic of the doctor's own.
const defaultSize = 64 << 10

// user is a connection that publishes to itself.
type user struct {
	p     *prober
	c     *client.Client
	conn  *tapped
	since time.Time
	topic string
	own   bool
	v     string // version

	granted int  // the QoS of its subscription
	stalled bool // a message did not come through

	*inbox
}

// login makes the connection; nil if that fails this time, which is noted then.
func (p *prober) login(ctx context.Context, smallPackets bool) *user {
	u := &user{p: p, topic: p.Topic, since: time.Now()}
	if u.own = u.topic == ""; u.own {
		u.topic = "picket-doctor/" + randomID()
	}
	u.inbox = newInbox(u.own)
	a := p.works
	if a.kind == doctor.RandomID {
		a.id = randomID()
	}
	a.handler, a.small = u.handle, smallPackets
	u.v = versionName(a.version)
	var f doctor.Connect
	if u.c, u.conn, f = p.try(ctx, a); u.c == nil {
		p.add(f)
		return nil
	}
	return u
}

func (u *user) alive() bool {
	select {
	case <-u.c.Done():
		return false
	default:
		return true
	}
}

// use publishes to itself.
func (p *prober) use(ctx context.Context) bool {
	p.doing("asking the broker about itself", "正在查询服务端信息")
	p.add(p.broker(ctx))
	p.doing("publishing and subscribing", "正在测试发布与订阅")
	u := p.login(ctx, false)
	if u == nil {
		return false
	}
	p.user = u
	if u = p.place(ctx, u); u == nil {
		return false
	}
	p.user = u
	subscribed := u.subscribe(ctx)
	p.add(subscribed)
	if subscribed.Result == doctor.Granted {
		u.messages(ctx)
		u.across(ctx)
		u.counted()
	} else if u.alive() {
		p.add(u.publish(ctx, 1, false, 0)) // may it publish at least?
	}
	var wrong *packet.Error
	if b := u.conn.conduct.breach(); b != nil {
		p.add(*b)
	} else if !u.alive() && errors.As(u.c.Err(), &wrong) {
		p.add(doctor.Breach{Version: u.v, What: doctor.Printable(wrong.Error(), 200)})
	}
	if !u.alive() {
		p.add(ended("use", u.v, u.c.Err(), time.Since(u.since)))
		if subscribed.Result == doctor.Lost {
			p.lasts(ctx)
		}
	} else if u.stalled { // what waits to be sent holds up everything behind it
		u.c.Close()
		p.user = p.login(ctx, false)
	}
	return true // a slow network may be the reason for what has failed
}

// counted adds what is known of the messages when all have been tested.
func (u *user) counted() {
	if f := u.doubled(); f.Doubled > 0 {
		u.p.add(f)
	}
	if f := u.late(); f.Messages > 0 {
		u.p.add(f)
	}
}

// loginRest is how long a connection is watched that says nothing after its login.
const loginRest = time.Second

// lasts finds out whether a connection lasts that says nothing after its login, when one has ended upon its subscription.
func (p *prober) lasts(ctx context.Context) {
	u := p.login(ctx, false)
	if u == nil {
		return
	}
	select {
	case <-u.c.Done():
		p.add(ended("login", u.v, u.c.Err(), time.Since(u.since)))
	case <-time.After(loginRest):
	case <-ctx.Done():
	}
	u.c.Disconnect(packet.NormalDisconnection, nil)
}

// place finds a topic of the test's own that the access list allows: below the user's or the client's name, where picket-doctor/ is none of theirs. Such lists
// (pattern readwrite %u/#) are the rule, and nothing is wrong with them. Where none works it stays as it is.
func (p *prober) place(ctx context.Context, u *user) *user {
	if !u.own || u.passes(ctx) {
		return u
	}
	usual := u.topic
	names := []string{p.User, u.c.ID()}
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, "+#/$\x00") || ctx.Err() != nil {
			continue
		}
		if !u.alive() {
			if u = p.login(ctx, false); u == nil {
				return nil
			}
		}
		if u.topic = name + "/" + usual; u.passes(ctx) {
			p.add(doctor.TopicChosen{Refused: usual, Topic: u.topic})
			return u
		}
	}
	if !u.alive() {
		return p.login(ctx, false)
	}
	u.topic = usual
	return u
}

// passes tells whether a message to the topic comes back. It says nothing of how it fails: that is what comes after it is for.
func (u *user) passes(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 1500*time.Millisecond+3*u.p.trip)
	defer cancel()
	if u.subscribe(ctx).Result != doctor.Granted {
		return false
	}
	f := u.publish(ctx, 1, false, 0)
	return f.Result == doctor.Returned || f.Result == doctor.Altered
}

// messages publishes at each QoS, in growing sizes and retained.
func (u *user) messages(ctx context.Context) {
	qos, returned := 0, false
	for q := range 3 {
		f := u.publish(ctx, q, false, 0)
		u.p.add(f)
		if f.Result == doctor.Returned {
			qos, returned = min(q, 1), true
		}
		vanish := f.Result == doctor.Swallow && q > 0 && !returned
		if vanish && u.alive() {
			u.astray(ctx)
		}
		if !u.alive() || vanish || f.Result == doctor.Denied || f.Result == doctor.Altered && q > 0 {
			return // it would be so for each
		}
	}
	size := u.p.Size
	if size == 0 && u.own {
		size = defaultSize
	}
	for n := 1024; n <= size && u.alive(); n *= 4 {
		f := u.publish(ctx, qos, false, n)
		u.p.add(f)
		if f.Result != doctor.Returned && f.Result != doctor.Altered {
			u.stalled = f.Result == doctor.TimedOut || f.Result == doctor.Swallow
			u.smaller(ctx, f)
			if u.stalled {
				u.lives(ctx)
			}
			break
		}
	}
	if u.own && u.alive() && !u.stalled { // elsewhere it would replace what is retained there
		f := u.retained(ctx, qos)
		u.p.add(f)
	}
}

// smaller repeats what did not come through on a connection of small packets, to find out whether it is the packets' size that matters. When that
// succeeds it is tried once more in the ordinary way: what passes now was only slow before.
func (u *user) smaller(ctx context.Context, f doctor.Publish) {
	if f.Result == doctor.Denied || f.Result == doctor.Unsent {
		return
	}
	if u.repeat(ctx, f, true) {
		u.repeat(ctx, f, false)
	}
}

// repeat publishes on a connection of its own, and tells whether the message came back.
func (u *user) repeat(ctx context.Context, f doctor.Publish, smallPackets bool) bool {
	again := u.p.login(ctx, smallPackets)
	if again == nil {
		return false
	}
	defer again.c.Disconnect(packet.NormalDisconnection, nil)
	if again.subscribe(ctx).Result != doctor.Granted {
		return false
	}
	g := again.publish(ctx, f.QoS, false, f.Size)
	g.Small = smallPackets
	u.p.add(g)
	return g.Result == doctor.Returned
}

func (u *user) subscribe(ctx context.Context) doctor.Subscribe {
	ctx, cancel := context.WithTimeout(ctx, u.p.Limit)
	defer cancel()
	f := doctor.Subscribe{Version: u.v, Topic: u.topic, Own: u.own}
	start := time.Now()
	answer, err := u.c.Subscribe(ctx, &packet.Subscribe{Filters: []packet.Subscription{{Filter: u.topic, QoS: 2}}})
	f.Ms = since(start)
	switch {
	case err == nil:
		f.Result, f.Code = doctor.Granted, int(answer.Codes[0])
		u.granted = f.Code
		if answer.Codes[0].Failed() {
			f.Result = doctor.Denied
		}
		if answer.Props.Has(packet.ReasonString) {
			f.Reason, f.ReasonID = doctor.Printable(answer.Props.ReasonString, 300), doctor.ReasonCause(answer.Props.ReasonString)
		}
	case ctx.Err() != nil && u.alive():
		f.Result = doctor.TimedOut
	default:
		f.Result = doctor.Lost
		u.ends(ctx)
	}
	return f
}

// ends waits until a connection that was lost is known to be: whoever writes learns of the end before the reader does, and [user.alive] asks the reader.
func (u *user) ends(ctx context.Context) {
	select {
	case <-u.c.Done():
	case <-ctx.Done():
	}
}

// publish sends a message and waits until it is back. size 0 is a small one.
func (u *user) publish(ctx context.Context, qos int, retain bool, size int) doctor.Publish {
	return u.publishMarked(ctx, newMark(), qos, retain, size)
}

func (u *user) publishMarked(ctx context.Context, mark string, qos int, retain bool, size int) doctor.Publish {
	ctx, cancel := context.WithTimeout(ctx, u.p.Limit)
	defer cancel()
	payload := append([]byte(mark), bytes.Repeat([]byte{'.'}, max(size-markSize, 0))...)
	comes, forget := u.expect(mark)
	defer forget()
	u.sends(mark, qos, retain)
	f := doctor.Publish{Version: u.v, Topic: u.topic, Own: u.own, QoS: qos, Retain: retain, Size: len(payload)}
	before, _ := socketState(u.conn.Conn)
	start := time.Now()
	sent := &client.Message{Topic: u.topic, Payload: payload, QoS: byte(qos), Retain: retain}
	result, err := u.c.Publish(ctx, sent)
	f.Code = int(result.Code)
	var refusal *client.ReasonError
	switch {
	case err == nil:
		u.await(ctx, comes, sent, &f)
	case errors.As(err, &refusal):
		f.Result, f.Code = doctor.Denied, int(refusal.Code)
		if refusal.Props.Has(packet.ReasonString) {
			f.Reason, f.ReasonID = doctor.Printable(refusal.Props.ReasonString, 300), doctor.ReasonCause(refusal.Props.ReasonString)
		}
	case isAny(err, client.ErrPacketTooLarge, client.ErrQoSNotSupported, client.ErrRetainNotSupported):
		f.Result = doctor.Unsent
	case ctx.Err() != nil && u.alive():
		f.Result = doctor.TimedOut
		select {
		case <-comes:
			f.Delivered = true
		default:
		}
	default:
		f.Result = doctor.Lost
		u.ends(ctx)
	}
	f.Ms = since(start)
	if after, ok := socketState(u.conn.Conn); ok && f.Result != doctor.Returned {
		f.Sent, f.Acknowledged = after.sent+after.unsent-before.sent, after.acknowledged-before.acknowledged
	}
	return f
}

// othersAtMost is how many further connections are made to find out whether all meet at one broker: a balancer that takes turns between two needs one, one
// that leaves it to chance may need more. They are left out where each takes long.
const (
	othersAtMost = 2
	othersTrip   = 300 * time.Millisecond
)

// across publishes on further connections, to find out whether whoever comes to this address meets the same broker. It says something only when the other
// connection gets its message back, and this one still does.
func (u *user) across(ctx context.Context) {
	if !u.own || !u.alive() || u.stalled || u.p.works.kind != doctor.RandomID || u.p.trip > othersTrip {
		return
	}
	f := doctor.Across{Topic: u.topic}
	for f.Connections = 1; f.Connections <= othersAtMost; f.Connections++ {
		met, known, failed := u.meets(ctx)
		if failed != nil && ctx.Err() == nil && u.publish(ctx, 0, false, 0).Result == doctor.Returned {
			f.Alone = failed.Result
			u.p.add(f)
		}
		if !known {
			if f.Thrown = !u.alive() && u.p.throws(ctx); f.Thrown {
				u.p.add(f)
			}
			return
		}
		if f.Apart = !met; f.Apart {
			break
		}
	}
	f.Connections = min(f.Connections, othersAtMost)
	if first := u.p.address; !f.Apart && len(u.p.others) > 0 {
		u.p.address = u.p.others[0]
		limited, cancel := context.WithTimeout(ctx, u.p.Limit) // one that hangs is told of by itself
		met, known, _ := u.meets(limited)
		cancel()
		if f.Apart = known && !met; f.Apart {
			f.Other = u.p.address.String()
		}
		u.p.address = first
	}
	u.p.add(f)
}

// throws tells whether a login ends the connection before it, of another client identifier.
func (p *prober) throws(ctx context.Context) bool {
	first := p.login(ctx, false)
	if first == nil {
		return false
	}
	defer first.c.Disconnect(packet.NormalDisconnection, nil)
	select { // somebody else may throw it out all the same
	case <-first.c.Done():
		return true
	case <-time.After(loginRest / 2):
	case <-ctx.Done():
		return false
	}
	second := p.login(ctx, false)
	if second == nil {
		return false
	}
	defer second.c.Disconnect(packet.NormalDisconnection, nil)
	select {
	case <-first.c.Done():
		return second.alive()
	case <-time.After(loginRest + 3*p.trip):
	case <-ctx.Done():
	}
	return false
}

// meets tells whether a message of another connection comes here; known is false where that cannot be said. failed is how the other connection failed.
func (u *user) meets(ctx context.Context) (met, known bool, failed *doctor.Connect) {
	other := &user{p: u.p, topic: u.topic, own: true, v: u.v, inbox: newInbox(true)}
	a := u.p.works
	a.id, a.handler = randomID(), other.handle
	var f doctor.Connect
	if other.c, other.conn, f = u.p.try(ctx, a); other.c == nil {
		return false, false, &f
	}
	defer other.c.Disconnect(packet.NormalDisconnection, nil)
	mark := newMark()
	comes, forget := u.expect(mark)
	defer forget()
	if other.subscribe(ctx).Result != doctor.Granted || other.publishMarked(ctx, mark, 0, false, 0).Result != doctor.Returned {
		return false, false, nil
	}
	select {
	case <-comes:
		return true, true, nil
	case <-time.After(min(u.p.Limit, 2*time.Second+3*u.p.trip)):
	case <-ctx.Done():
		return false, false, nil
	}
	if u.publish(ctx, 0, false, 0).Result != doctor.Returned {
		return false, false, nil
	}
	select {
	case <-comes:
		return true, true, nil
	default:
		return false, true, nil
	}
}

// retained publishes a retained message, subscribes anew, which brings it, and removes it again.
func (u *user) retained(ctx context.Context, qos int) doctor.Publish {
	u.subscribe(ctx) // brings what was retained so far, which ought to be nothing: it is there before the next message
	mark := newMark()
	f := u.publishMarked(ctx, mark, qos, true, 0)
	if f.Result != doctor.Returned {
		return f
	}
	f.Kept = u.wronglyKept()
	again, forget := u.expect(mark)
	defer forget()
	u.subscribe(ctx)
	u.awaitKept(ctx, again, &f)
	last, cancel := context.WithTimeout(ctx, u.p.Limit)
	defer cancel()
	u.empty()
	_, _ = u.c.Publish(last, &client.Message{Topic: u.topic, QoS: byte(qos), Retain: true}) // nobody else knows the topic
	return f
}

// sysQuiet is how long nothing has to come from $SYS to have all of it, and sysLimit bounds the whole: brokers keep these messages and
// send them at once.
const (
	sysQuiet  = 300 * time.Millisecond
	sysLimit  = 1500 * time.Millisecond
	sysTopics = 200
)

// broker reads what the broker tells about itself, on a connection of its own: some end a connection that asks for $SYS.
func (p *prober) broker(ctx context.Context) (f doctor.Broker) {
	var mu sync.Mutex
	came := make(chan struct{}, 1)
	values := make(map[string]string)
	a := p.works
	if a.kind == doctor.RandomID {
		a.id = randomID()
	}
	a.handler = func(m *client.Message) error {
		mu.Lock()
		if len(values) < sysTopics && len(m.Payload) <= 200 {
			values[doctor.Printable(m.Topic, 200)] = doctor.Printable(string(m.Payload), 200)
		}
		mu.Unlock()
		select {
		case came <- struct{}{}:
		default:
		}
		return nil
	}
	c, _, _ := p.try(ctx, a)
	if c == nil {
		return f
	}
	defer c.Disconnect(packet.NormalDisconnection, nil)
	ask, cancel := context.WithTimeout(ctx, sysLimit)
	defer cancel()
	if _, err := c.Subscribe(ask, &packet.Subscribe{Filters: []packet.Subscription{{Filter: "$SYS/#"}}}); err != nil {
		return f
	}
	for quiet := false; !quiet; {
		select {
		case <-came:
		case <-time.After(sysQuiet):
			quiet = true
		case <-ask.Done():
			quiet = true
		case <-c.Done():
			quiet = true
		}
	}
	mu.Lock()
	defer mu.Unlock()
	return identify(values)
}

// identify finds name and numbers in the topics below $SYS that brokers have: mosquitto's and Picket's $SYS/broker/..., EMQX's
// $SYS/brokers/NODE/..., VerneMQ's $SYS/NODE/....
func identify(values map[string]string) doctor.Broker {
	f := doctor.Broker{Values: values}
	number := func(topic string) *int {
		if n, err := strconv.Atoi(values[topic]); err == nil && n >= 0 {
			return &n
		}
		return nil
	}
	f.Version, f.Uptime = values["$SYS/broker/version"], values["$SYS/broker/uptime"]
	f.Connected, f.Maximum = number("$SYS/broker/clients/connected"), number("$SYS/broker/clients/maximum")
	for topic, value := range values {
		if node, ok := strings.CutPrefix(topic, "$SYS/brokers/"); ok && strings.HasSuffix(topic, "/version") && strings.Count(node, "/") == 1 {
			f.Version = fmt.Sprint("EMQX ", value)
		}
	}
	return f
}
