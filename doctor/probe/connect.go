package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"picket/client"
	"picket/doctor"
	"picket/packet"
)

// versions are tried in this order: what most clients speak, what says most, and what old devices speak.
var versions = []packet.Version{packet.V311, packet.V5, packet.V31}

// connackSteps is how many times the limit of a step CONNACK may take: brokers that ask a database about users need seconds when that is slow.
const connackSteps = 2

func versionName(v packet.Version) string {
	return map[packet.Version]string{packet.V31: "3.1", packet.V311: "3.1.1", packet.V5: "5.0"}[v]
}

// endpoint is where to connect.
func (p *prober) endpoint() string {
	return netip.AddrPortFrom(p.address, uint16(p.target.Port)).String()
}

// attempt is a CONNECT to send.
type attempt struct {
	version   packet.Version
	id        string // client identifier
	kind      string // doctor.RandomID, GivenID or EmptyID
	anonymous bool
	keepAlive int // 0: that of the options
	trial     bool
	handler   func(*client.Message) error
	small     bool // small packets only
	rested    bool // after a pause of some seconds
}

// tapped keeps the first bytes that come, and the connection below TLS and WebSocket.
type tapped struct {
	net.Conn
	mu      sync.Mutex
	first   []byte
	conduct *conduct // of what speaks MQTT on it, once it is let in
}

func (t *tapped) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	t.mu.Lock()
	t.first = append(t.first, b[:min(n, max(answerSize-len(t.first), 0))]...)
	t.mu.Unlock()
	return n, err
}

// wholeConnack tells whether what has come is a CONNACK of MQTT 5, as long as it says it is, so that what is wrong is in it. Brokers of the older versions
// answer with their own, of four bytes.
func wholeConnack(first []byte) bool {
	return len(first) > 4 && first[0] == byte(packet.CONNACK)<<4 && int(first[1]) == len(first)-2
}

// options are those of the client for an attempt. opened is told of the connection and of how long it took.
func (p *prober) options(a attempt, opened func(*tapped, time.Duration)) client.Options {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		start := time.Now()
		conn, err := dialer(a.small).DialContext(ctx, network, p.endpoint())
		if err != nil {
			return nil, err
		}
		t := &tapped{Conn: conn}
		opened(t, time.Since(start))
		return t, nil
	}
	c := packet.Connect{Version: a.version, CleanStart: true, KeepAlive: uint16(p.KeepAlive), ClientID: a.id}
	if a.keepAlive > 0 {
		c.KeepAlive = uint16(a.keepAlive)
	}
	if !a.anonymous && p.User != "" {
		c.HasUsername, c.Username = true, p.User
		c.HasPassword, c.Password = p.HasPassword, p.Password
	}
	header := http.Header{}
	if p.Origin != "" {
		header.Set("Origin", p.Origin)
	}
	return client.Options{
		Transport: client.Transport{URL: p.target.URL(), TLS: p.tlsConfig(), Header: header, Dial: dial},
		Connect:   c, Handler: a.handler, MaxPacket: p.maxPacket(),
	}
}

// packetRoom is what a packet of a stranger may take, in bytes, beside a message of the test itself.
const packetRoom = 128 << 10

// maxPacket bounds the packets that are taken from a server: what the test itself sends comes back, and a little more.
func (p *prober) maxPacket() int { return max(p.Size, defaultSize) + packetRoom }

// try connects once and says what came back; the client is nil unless it was accepted.
func (p *prober) try(ctx context.Context, a attempt) (*client.Client, *tapped, doctor.Connect) {
	ctx, cancel := context.WithTimeout(ctx, connackSteps*p.Limit)
	defer cancel()
	var conn *tapped
	var tcp time.Duration
	o := p.options(a, func(t *tapped, d time.Duration) { conn, tcp = t, d })
	f := doctor.Connect{
		Version: versionName(a.version), ID: a.kind, User: doctor.Printable(o.Connect.Username, 100), Password: o.Connect.HasPassword,
		KeepAlive: int(o.Connect.KeepAlive), Trial: a.trial, Rested: a.rested,
	}
	var sent time.Time
	conduct := newConduct(&o.Connect)
	o.Trace = func(out bool, pk packet.Packet) {
		conduct.see(out, pk)
		if out && pk.Type() == packet.CONNECT {
			sent = time.Now()
		}
	}
	busy := watchScheduler()
	c, err := client.Dial(ctx, o)
	f.ConnectMs, f.Busy = ms(tcp), ms(busy())
	if !sent.IsZero() {
		f.Ms = since(sent)
	}
	if err == nil {
		f.Result = doctor.Accepted
		conn.conduct = conduct
		return c, conn, f
	}
	p.refused(ctx, &f, conn, err)
	return nil, nil, f
}

// refused says how an attempt has failed.
func (p *prober) refused(ctx context.Context, f *doctor.Connect, conn *tapped, err error) {
	var refusal *client.RefusedError
	var wrong *packet.Error
	var frame *client.FrameError
	var closed *client.ClosedError
	switch {
	case errors.As(err, &refusal):
		f.Result, f.Code = doctor.Refused, refusal.Return()
		if refusal.Props.Has(packet.ReasonString) {
			f.Reason = doctor.Printable(refusal.Props.ReasonString, 300)
			f.ReasonID = doctor.ReasonCause(refusal.Props.ReasonString)
		}
		if refusal.Props.Has(packet.ServerReference) {
			f.Reference = doctor.Printable(refusal.Props.ServerReference, 300)
		}
		return
	case errors.As(err, &wrong):
		f.Result = doctor.NotMQTT
	case errors.As(err, &frame):
		f.Result, f.Reason = doctor.BadFrame, frame.Err.Error()
		if frame.Text != nil && doctor.Recognize(frame.Text).Heard != doctor.HearMQTT {
			f.Result, f.Bytes = doctor.NotMQTT, strconv.QuoteToASCII(string(frame.Text))
		}
	case ctx.Err() != nil:
		f.Result = doctor.TimedOut
	default:
		f.Result = endResult(err)
		if alert, ok := remoteAlert(err); ok {
			f.Result, f.Alert = doctor.Alerted, alert
		}
		if errors.As(err, &closed) {
			f.Close, f.Reason, f.ReasonID = closed.Code, doctor.Printable(closed.Reason, 130), doctor.ReasonCause(closed.Reason)
		}
	}
	if conn == nil {
		f.Result = doctor.Failed // no connection this time
		return
	}
	conn.mu.Lock()
	defer conn.mu.Unlock()
	if wrong != nil && wholeConnack(conn.first) && p.target.Scheme == "mqtt" {
		p.add(doctor.Breach{Version: f.Version, Packet: "CONNACK", What: doctor.Printable(wrong.Error(), 200)})
	}
	if len(conn.first) > 0 && p.target.Scheme == "mqtt" {
		f.Bytes = strconv.QuoteToASCII(string(conn.first[:min(len(conn.first), 64)]))
		if f.Result == doctor.WasClosed && doctor.Recognize(conn.first).Heard != doctor.HearMQTT {
			f.Result = doctor.NotMQTT
		}
	}
}

// connect logs in, in all three versions, and when that fails asks in other ways.
func (p *prober) connect(ctx context.Context) bool {
	p.doing("logging in", "正在登录")
	tries := p.logins()
	results := make([]doctor.Connect, len(tries))
	if p.trip > slowTrip { // one after the other would take the time for the whole
		var wait sync.WaitGroup
		facts := make([][]doctor.Fact, len(tries))
		for i, a := range tries {
			wait.Go(func() { results[i], facts[i] = p.once(ctx, a) })
		}
		wait.Wait()
		for _, f := range slices.Concat(facts...) {
			p.add(f)
		}
	} else {
		for i, a := range tries {
			results[i] = p.attempt(ctx, a)
			if ctx.Err() != nil || results[i].Result == doctor.TimedOut && !a.trial && i == 0 {
				break // the others would wait as long
			}
		}
	}
	var accepted []attempt
	for i, a := range tries {
		if results[i].Result == doctor.Accepted {
			accepted = append(accepted, a)
		}
	}
	first := results[0]
	if p.ID != "" && first.Result == doctor.Accepted {
		first = results[1]
	}
	if len(accepted) == 0 {
		p.askMore(ctx, first)
		return false
	}
	p.works = accepted[0]
	p.unsteady(ctx, tries, results)
	for _, a := range accepted { // a random identifier throws nobody out, and version 5 says most
		if a.kind == doctor.RandomID && (p.works.kind != doctor.RandomID || a.version == packet.V5) {
			p.works = a
		}
	}
	return true
}

// unsteady tries once more in the way that was accepted, when another one came to nothing: is it the version that is not liked, or does somebody count
// connections?
func (p *prober) unsteady(ctx context.Context, tries []attempt, results []doctor.Connect) {
	cut := slices.ContainsFunc(results, func(f doctor.Connect) bool {
		return slices.Contains([]string{doctor.WasClosed, doctor.WasReset, doctor.Failed, doctor.TimedOut}, f.Result)
	})
	if !cut || ctx.Err() != nil {
		return
	}
	again := p.works
	again.trial = true
	if again.kind == doctor.RandomID {
		again.id = randomID()
	}
	if p.attempt(ctx, again).Result == doctor.Accepted || ctx.Err() != nil {
		for i, f := range results { // is it what was said, or chance?
			if ctx.Err() == nil && !f.Trial && slices.Contains([]string{doctor.WasClosed, doctor.WasReset, doctor.Failed}, f.Result) {
				once := tries[i]
				once.trial = true
				if p.attempt(ctx, once).Result != doctor.Accepted && ctx.Err() == nil {
					p.attempt(ctx, once) // where every second one fails, the first try may have been the wrong one
				}
				return
			}
		}
		return
	}
	p.doing("waiting five seconds before another try", "等待五秒后重试")
	sleep(ctx, longPause)
	again.rested = true
	p.attempt(ctx, again)
}

// slowTrip is a round trip from which on logins are tried at the same time.
const slowTrip = 500 * time.Millisecond

// logins are the CONNECTs that a client might send: in each version, and with the identifier that was given once, and then random ones, lest its
// owner be thrown out again and again.
func (p *prober) logins() (all []attempt) {
	for i, v := range versions {
		if i == 0 && p.ID != "" {
			all = append(all, attempt{version: v, id: p.ID, kind: doctor.GivenID})
		}
		all = append(all, attempt{version: v, id: randomID(), kind: doctor.RandomID, trial: p.ID != ""})
	}
	return all
}

// attempt tries once and leaves.
func (p *prober) attempt(ctx context.Context, a attempt) doctor.Connect {
	f, facts := p.once(ctx, a)
	for _, one := range facts {
		p.add(one)
	}
	return f
}

// once is attempt without telling of it: the facts are given.
func (p *prober) once(ctx context.Context, a attempt) (doctor.Connect, []doctor.Fact) {
	c, _, f := p.try(ctx, a)
	facts := []doctor.Fact{f}
	if c != nil {
		if a.version == packet.V5 {
			facts = append(facts, announced(c.Connack().Props))
		}
		c.Disconnect(packet.NormalDisconnection, nil)
	}
	return f, facts
}

// longPause is how long nothing is tried, for those who count connections by time.
const longPause = 5 * time.Second

// askMore finds out why nothing was accepted.
func (p *prober) askMore(ctx context.Context, first doctor.Connect) {
	p.doing("asking in other ways", "正在换方式尝试")
	tries := []attempt{}
	trial := attempt{version: packet.V311, id: randomID(), kind: doctor.RandomID, trial: true}
	switch first.Result {
	case doctor.Refused:
		if p.User != "" {
			a := trial
			a.anonymous = true
			tries = append(tries, a)
		}
		if first.Code == 2 {
			for _, seconds := range []int{30, 10} {
				a := trial
				a.keepAlive = seconds
				tries = append(tries, a)
			}
			a := trial
			a.id, a.kind = "", doctor.EmptyID
			tries = append(tries, a)
		}
		if first.Code == 3 { // said also by ports that expect something else
			p.listen(ctx)
		}
	case doctor.WasClosed, doctor.WasReset, doctor.Failed:
		// Once more after a while: what is full now may have room then. What counts connections by time lets one in after a longer one.
		for _, pause := range []time.Duration{500 * time.Millisecond, 500 * time.Millisecond, longPause} {
			if pause == longPause {
				p.doing("waiting five seconds before another try", "等待五秒后重试")
			}
			sleep(ctx, pause)
			again := trial
			again.rested = pause == longPause
			if p.attempt(ctx, again).Result == doctor.Accepted {
				break
			}
		}
	}
	for _, a := range tries {
		if ctx.Err() == nil {
			p.attempt(ctx, a)
		}
	}
	if first.Result == doctor.Refused || first.Result == doctor.Alerted {
		return
	}
	p.listen(ctx)
	// Is it this port alone?
	p.otherPorts(ctx)
}

// otherPorts finds out whether the ports around speak MQTT, when the asked one does not.
func (p *prober) otherPorts(ctx context.Context) {
	f := p.neighbours(ctx, p.address, min(time.Second, p.Limit))
	if len(f.Open) > 0 {
		p.add(f)
	}
	p.listenToNeighbours(ctx, p.address, f.Open)
}

// sleep waits, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// announced are the limits in a CONNACK of MQTT 5.
func announced(props *packet.Properties) doctor.Announced {
	var f doctor.Announced
	number := func(id packet.PropertyID, n int) *int {
		if !props.Has(id) {
			return nil
		}
		return &n
	}
	yes := func(id packet.PropertyID, n byte) *bool {
		if !props.Has(id) {
			return nil
		}
		b := n == 1
		return &b
	}
	if props == nil {
		return f
	}
	f.MaximumQoS = number(packet.MaximumQoS, int(props.MaximumQoS))
	f.Retain = yes(packet.RetainAvailable, props.RetainAvailable)
	f.MaximumPacketSize = number(packet.MaximumPacketSize, int(props.MaximumPacketSize))
	f.ReceiveMaximum = number(packet.ReceiveMaximum, int(props.ReceiveMaximum))
	f.TopicAliasMaximum = number(packet.TopicAliasMaximum, int(props.TopicAliasMaximum))
	f.KeepAlive = number(packet.ServerKeepAlive, int(props.ServerKeepAlive))
	f.Wildcards = yes(packet.WildcardAvailable, props.WildcardAvailable)
	f.Shared = yes(packet.SharedSubscriptionAvailable, props.SharedAvailable)
	f.SessionExpiry = number(packet.SessionExpiryInterval, int(props.SessionExpiry))
	if props.Has(packet.AssignedClientIdentifier) {
		f.AssignedID = doctor.Printable(props.AssignedClientID, 100)
	}
	return f
}

// ended says how a connection has ended that should have lasted.
func ended(during, version string, err error, lasted time.Duration) doctor.Ended {
	f := doctor.Ended{During: during, Version: version, How: doctor.WasClosed, Ms: ms(lasted)}
	var said *client.DisconnectError
	switch {
	case errors.As(err, &said):
		f.How, f.Code = doctor.Disconnected, int(said.Code)
		if said.Props.Has(packet.ReasonString) {
			f.Reason, f.ReasonID = doctor.Printable(said.Props.ReasonString, 300), doctor.ReasonCause(said.Props.ReasonString)
		}
		if said.Props.Has(packet.ServerReference) {
			f.Reference = doctor.Printable(said.Props.ServerReference, 300)
		}
	case err != nil:
		f.How = endResult(err)
		if alert, ok := remoteAlert(err); ok {
			f.How, f.Code, f.Reason = doctor.Alerted, alert, fmt.Sprint("TLS alert ", alert)
		}
	}
	return f
}
