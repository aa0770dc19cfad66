package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"picket/bridge/relay"
	"picket/broker"
	"picket/cause"
	"picket/logging"
	"picket/packet"
)

const (
	openingLimit = 30 * time.Second // from the first packet to a socket until CONNACK
	maxUnsent    = 1 << 20          // bytes for the remote broker, from which on no more are taken from this one
)

// carry is a bridge at work: the connection to the remote broker, the link to this one, and the relay between them. It lives as long as both do, and has four
// goroutines: one that reads from each side, one that writes to the remote broker, and one that keeps time.
type carry struct {
	b      *bridge
	c      *Config
	how    relay.Attempt
	remote net.Conn
	link   *broker.Link

	keepAlive time.Duration // 0: none
	present   bool          // the remote broker had the session
	rest      []byte        // that came from the remote broker behind CONNACK
	local     []byte        // the same from this one
	limits    packet.Properties

	mu    sync.Mutex // guards the relay
	relay *relay.Relay

	unsent  unsent
	written atomic.Int64 // when something was last written to the remote broker, in nanoseconds since 1970
	busy    atomic.Int64 // when a message was last carried
	ended   chan struct{}
	once    sync.Once
	why     error // that it ended; set before ended is closed
}

// refusal is a CONNACK that says no, of the remote broker or of this one.
type refusal struct {
	code   packet.Code
	text   string
	remote bool
}

func (r *refusal) Error() string { return r.text }

// errNoConnack is a connection that ended before CONNACK.
var errNoConnack = errors.New("the connection was closed before CONNACK: the server speaks another protocol, or lets no such client in")

// The ends that are wanted.
var (
	errIdle      = errors.New("no message for the idle timeout")
	errPreferred = errors.New("the first address answers again")
	errStopped   = errors.New("the bridge is being stopped")
)

// open makes both connections and says to each broker what is wanted of it.
func (y *carry) open(ctx context.Context, address string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, openingLimit)
	defer cancel()
	if y.remote, err = y.c.dial(ctx, address); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			y.remote.Close()
		}
	}()
	// What is published from here on goes over as soon as the remote broker has answered.
	y.b.set.broker.QueueQoS0(y.c.LocalID, true)
	defer y.b.set.broker.QueueQoS0(y.c.LocalID, y.c.Start == relay.Lazy)
	stop := context.AfterFunc(ctx, func() { _ = y.remote.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := y.introduce(); err != nil {
		return err
	}
	if !stop() {
		return ctx.Err()
	}
	if err := y.remote.SetDeadline(time.Time{}); err != nil {
		return err
	}
	receive := uint16(0)
	if y.limits.Has(packet.ReceiveMaximum) {
		receive = y.limits.ReceiveMaximum
	}
	if y.link, y.local, err = y.b.join(y.c, receive); err != nil {
		return err
	}
	y.begin()
	if err := y.b.subscribe(y.c, y.link, y.present); err != nil {
		y.link.Leave()
		return err
	}
	return nil
}

// connect is the CONNECT for the remote broker.
func (y *carry) connect() *packet.Connect {
	c := y.c
	p := &packet.Connect{Version: y.how.Version, Bridge: y.how.Private && y.how.Version != packet.V5, CleanStart: c.Clean, KeepAlive: uint16(c.KeepAlive / time.Second), ClientID: c.RemoteID,
		HasUsername: c.RemoteUser != "", Username: c.RemoteUser, HasPassword: c.HasRemotePassword, Password: []byte(c.RemotePassword)}
	if c.Notify && !c.NotifyLocalOnly {
		p.Will = &packet.Will{Topic: c.NotificationTopic, Payload: []byte("0"), QoS: 1, Retain: true}
	}
	if p.Version != packet.V5 {
		return p
	}
	p.Props = new(packet.Properties).Set(packet.ReceiveMaximum)
	p.Props.ReceiveMaximum = c.ReceiveMaximum
	if !c.Clean && y.b.set.self != "" {
		p.Props.Set(packet.SessionExpiryInterval).SessionExpiry = 0xFFFFFFFF
	}
	if c.MaxTopicAlias > 0 {
		p.Props.Set(packet.TopicAliasMaximum).TopicAliasMaximum = c.MaxTopicAlias
	}
	return p
}

// introduce sends CONNECT to the remote broker and takes its CONNACK.
func (y *carry) introduce() error {
	p := y.connect()
	y.b.set.log.Printf(logging.Debug, "Bridge %s sending CONNECT", y.c.LocalID)
	if _, err := y.remote.Write(p.Append(nil, p.Version)); err != nil {
		return err
	}
	read := make([]byte, 4<<10)
	buf := []byte(nil)
	for {
		n, err := y.remote.Read(read)
		buf = append(buf, read[:n]...)
		ack, size, bad := connack(p.Version, buf)
		switch {
		case bad != nil:
			return fmt.Errorf("the answer to CONNECT is not MQTT: %w", bad)
		case ack != nil && ack.Code != packet.Success:
			return &refusal{code: ack.Code, text: "the remote broker refused the connection: " + said(ack.Code, ack.Props), remote: true}
		case ack != nil:
			y.admitted(ack)
			y.rest = buf[size:]
			return nil
		case timedOut(err):
			return err
		case err != nil:
			return errNoConnack
		}
	}
}

// admitted keeps what CONNACK says.
func (y *carry) admitted(ack *packet.Connack) {
	y.b.set.log.Printf(logging.Debug, "Received CONNACK on connection %s.", y.c.LocalID)
	y.present, y.keepAlive = ack.SessionPresent, y.c.KeepAlive
	if y.how.Version == packet.V31 {
		y.present = !y.c.Clean // it does not say
	}
	if ack.Props != nil {
		y.limits = *ack.Props
	}
	if y.limits.Has(packet.ServerKeepAlive) {
		y.keepAlive = time.Duration(y.limits.ServerKeepAlive) * time.Second
	}
}

// connack takes a CONNACK from the beginning of b; nil: it is not all there yet.
func connack(v packet.Version, b []byte) (ack *packet.Connack, size int, err error) {
	if len(b) > 0 && packet.Type(b[0]>>4) != packet.CONNACK {
		return nil, 0, errors.New("the first packet is no CONNACK")
	}
	head, remaining, err := packet.Header(b)
	if err != nil || head == 0 || len(b) < head+remaining {
		return nil, 0, err
	}
	p, err := packet.Decode(v, b[0], b[head:head+remaining])
	if err != nil {
		return nil, 0, err
	}
	return p.(*packet.Connack), head + remaining, nil
}

// said is a reason code with the words that came with it.
func said(code packet.Code, props *packet.Properties) string {
	if props.Has(packet.ReasonString) {
		return code.String() + " (" + props.ReasonString + ")"
	}
	return code.String()
}

// begin makes the relay and has it say what comes first.
func (y *carry) begin() {
	c, r := y.c, relay.Rules{Topics: y.c.Topics, Version: y.how.Version, Self: y.b.set.self, Name: y.c.Name, Retain: y.c.OutgoingRetain, MaxQoS: 2, MaxSize: y.c.MaxPacketSize, Aliases: y.c.MaxTopicAlias}
	if y.limits.Has(packet.MaximumQoS) {
		r.MaxQoS = y.limits.MaximumQoS
	}
	if y.limits.Has(packet.RetainAvailable) && y.limits.RetainAvailable == 0 {
		r.Retain = false
	}
	if n := int(y.limits.MaximumPacketSize); y.limits.Has(packet.MaximumPacketSize) && (r.MaxSize == 0 || n < r.MaxSize) {
		r.MaxSize = n
	}
	r.MaxLocal = y.b.maxLocal
	y.relay = relay.New(r)
	y.relay.Dropped = y.b.dropped
	if !y.present {
		y.relay.Release(y.link.Received())
	}
	if c.Notify && !c.NotifyLocalOnly {
		y.relay.Announce(y.link.PacketID(), c.NotificationTopic, "1")
	}
	y.relay.Subscribe(y.link.PacketID)
	if c.Unsubscribe {
		y.relay.Unsubscribe(y.link.PacketID)
	}
	y.ended = make(chan struct{})
	y.unsent.changed.L = &y.unsent.mu
	now := time.Now().UnixNano()
	y.written.Store(now)
	y.busy.Store(now)
}

// end ends both connections, for the first reason that is given.
func (y *carry) end(why error) {
	y.once.Do(func() {
		y.why = why
		close(y.ended)
		y.unsent.close()
		if fault := (*relay.Fault)(nil); errors.As(why, &fault) && fault.Remote {
			reset(y.remote)
		}
		y.remote.Close()
		y.link.Close()
	})
}

// reset has a connection end without a goodbye.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
}

// run carries until one of the connections ends, and returns why.
func (y *carry) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		y.leave()
		y.end(errStopped)
	})
	defer stop()
	var all sync.WaitGroup
	all.Go(y.write)
	all.Go(y.keepTime)
	all.Go(y.fromLocal)
	y.end(y.fromRemote())
	all.Wait()
	y.link.Leave()
	return y.why
}

// leave says goodbye to the remote broker. Where it is to hear that the bridge is down, it does by the will, which only MQTT 5 can ask for.
func (y *carry) leave() {
	d := packet.Disconnect{}
	if y.c.Notify && !y.c.NotifyLocalOnly {
		if y.how.Version != packet.V5 {
			return
		}
		d.Code = packet.DisconnectWithWill
	}
	_ = y.remote.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = y.remote.Write(d.Append(nil, y.how.Version)) // it is gone already, or hears it
}

// pass gives bytes from one side to the relay and sends what comes of it. It returns what is not whole yet.
func (y *carry) pass(remote bool, b []byte) (rest []byte, err error) {
	y.mu.Lock()
	carried := y.relay.Carried
	n, err := y.relay.Take(remote, b)
	local, away := y.relay.Local, y.relay.Remote
	y.relay.Local, y.relay.Remote = nil, nil
	unheard := y.relay.Unheard
	y.relay.Unheard = nil
	carried = y.relay.Carried - carried
	y.mu.Unlock()
	if carried > 0 {
		y.busy.Store(time.Now().UnixNano())
		y.b.count(remote, carried)
	}
	for _, filter := range unheard {
		y.b.set.broker.Report(logging.Warning, cause.BridgeSubscriptionRefused, "Bridge %s: the remote broker refused the subscription to %s.", y.c.Name, filter)
	}
	if len(away) > 0 {
		y.unsent.add(away)
	}
	if len(local) > 0 {
		if e := y.link.Send(local); e != nil && err == nil {
			err = e
		}
	}
	return b[n:], err
}

// fromRemote reads from the remote broker until that ends.
func (y *carry) fromRemote() error {
	buf := y.rest
	read := make([]byte, 64<<10)
	for {
		rest, err := y.pass(true, buf)
		if err != nil {
			return err
		}
		buf = append(buf[:0], rest...)
		if y.keepAlive > 0 {
			_ = y.remote.SetReadDeadline(time.Now().Add(y.keepAlive * 3 / 2))
		}
		n, err := y.remote.Read(read)
		buf = append(buf, read[:n]...)
		switch {
		case err == nil || n > 0:
		case timedOut(err):
			return fmt.Errorf("the remote broker has sent nothing for %s, and answered no PINGREQ", y.keepAlive*3/2)
		case errors.Is(err, io.EOF):
			return errors.New("the remote broker closed the connection")
		default:
			return err
		}
	}
}

// fromLocal reads from this broker until that ends.
func (y *carry) fromLocal() {
	buf := y.local
	for y.unsent.wait() {
		rest, err := y.pass(false, buf)
		if err != nil {
			y.end(err)
			return
		}
		b, err := y.link.Receive()
		if err != nil {
			y.end(errors.New("this broker ended the bridge's session"))
			return
		}
		buf = append(buf[:0], rest...)
		buf = append(buf, b...)
	}
}

// write writes to the remote broker.
func (y *carry) write() {
	for {
		b := y.unsent.take()
		if b == nil {
			return
		}
		if y.keepAlive > 0 {
			_ = y.remote.SetWriteDeadline(time.Now().Add(y.keepAlive * 3 / 2))
		}
		if _, err := y.remote.Write(b); err != nil {
			y.end(err)
			return
		}
		y.written.Store(time.Now().UnixNano())
	}
}

// keepTime sends PINGREQ when nothing else is sent, and ends an idle lazy bridge and one that has a better address.
func (y *carry) keepTime() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	better := time.NewTicker(max(y.c.RestartBase, 5*time.Second))
	defer better.Stop()
	for {
		select {
		case <-y.ended:
			return
		case now := <-tick.C:
			if y.c.Start == relay.Lazy && now.UnixNano()-y.busy.Load() >= int64(y.c.IdleTimeout) {
				y.leave()
				y.end(errIdle)
				return
			}
			if silent := now.UnixNano() - y.written.Load(); y.keepAlive > 0 && silent >= int64(y.keepAlive/2) {
				y.written.Store(now.UnixNano())
				y.unsent.add(packet.Pingreq{}.Append(nil, y.how.Version))
			}
		case <-better.C:
			if y.how.Address != 0 && !y.c.RoundRobin && y.b.answers(y.c.Addresses[0]) {
				y.leave()
				y.end(errPreferred)
				return
			}
		}
	}
}

// unsent is what waits to be written to the remote broker.
type unsent struct {
	mu      sync.Mutex
	changed sync.Cond
	bytes   []byte
	closed  bool
}

func (u *unsent) add(b []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.bytes = append(u.bytes, b...)
	u.changed.Broadcast()
}

// wait waits until there is room for more, and reports false when there will be none.
func (u *unsent) wait() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for len(u.bytes) > maxUnsent && !u.closed {
		u.changed.Wait()
	}
	return !u.closed
}

// take waits for bytes; nil: there will be none.
func (u *unsent) take() []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	for len(u.bytes) == 0 && !u.closed {
		u.changed.Wait()
	}
	if u.closed {
		return nil
	}
	b := u.bytes
	u.bytes = nil
	u.changed.Broadcast()
	return b
}

func (u *unsent) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	u.changed.Broadcast()
}
