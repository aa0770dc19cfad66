package bridge

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"picket/bridge/relay"
	"picket/cause"
	"picket/logging"
	"picket/packet"
	"picket/session"
)

// bridge is one bridge of a [Set], from its first configuration to its last. One goroutine runs it.
type bridge struct {
	set  *Set
	end  context.CancelFunc
	done chan struct{}

	config atomic.Pointer[Config]             // in force from the next connection on
	woken  chan struct{}                      // it has changed; holds one
	cut    atomic.Pointer[context.CancelFunc] // ends the connection, or the attempt, that there is

	// Of the goroutine that runs it.
	maxLocal int             // bytes of the largest packet that this broker takes; 0: any
	prepared *Config         // whose session has been made
	owed     map[string]bool // filters that are new, so that the remote broker has not had what is retained

	mu    sync.Mutex
	state State // guarded by mu
}

// State is what there is to tell of a bridge.
type State struct {
	Name      string    `json:"name"`
	ClientID  string    `json:"client_id"` // at the remote broker
	Addresses []string  `json:"addresses"`
	Address   string    `json:"address,omitempty"` // of those, the one that is tried, or connected to
	Connected bool      `json:"connected"`
	Since     time.Time `json:"since"`           // it is connected, or not
	Cause     cause.ID  `json:"cause,omitempty"` // why not
	Text      string    `json:"text,omitempty"`
	Next      time.Time `json:"next,omitzero"` // when it is tried again
	In        uint64    `json:"in"`            // messages that came from the remote broker
	Out       uint64    `json:"out"`
	Dropped   uint64    `json:"dropped"`
	Waiting   int       `json:"waiting"` // messages for the remote broker, sent and not acknowledged among them
	Bytes     int       `json:"bytes"`
}

// say changes the state.
func (b *bridge) say(change func(s *State)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.state)
}

// run keeps the bridge up until ctx ends.
func (b *bridge) run(ctx context.Context) {
	defer close(b.done)
	b.tell(false)
	local := ""
	for ctx.Err() == nil {
		c := b.config.Load()
		if local != "" && local != c.LocalID {
			b.set.broker.EndSession(local) // nobody would empty it any more
		}
		local = c.LocalID
		b.say(func(s *State) { s.Name, s.ClientID, s.Addresses = c.Name, c.RemoteID, c.Addresses })
		if err := b.prepare(c); err != nil && ctx.Err() == nil {
			b.down(c, cause.BridgeLocalRefused, err)
			b.sleep(ctx, c.RestartBase)
			continue
		}
		b.serve(ctx, c)
	}
}

// serve connects by one configuration, again and again, until that changes or ctx ends.
func (b *bridge) serve(ctx context.Context, c *Config) {
	plan := relay.NewPlan(relay.Terms{Start: c.Start, Addresses: len(c.Addresses), RoundRobin: c.RoundRobin, Base: c.RestartBase.Milliseconds(), Cap: c.RestartCap.Milliseconds(),
		Version: c.Version, Private: c.Private})
	next := plan.First()
	for {
		if !b.due(ctx, c, next) {
			return
		}
		err := b.once(ctx, c, next, plan)
		if ctx.Err() != nil {
			return
		}
		var again bool
		if next, again = plan.Next(outcome(err), rand.Float64()); !again {
			b.waitForChange(ctx, c)
			return
		}
		if errors.Is(err, errIdle) {
			next.Wait = 0
		}
	}
}

// due waits until an attempt is to be made: for its time and, with a lazy bridge, for messages. It reports false when it is not to be made any more.
func (b *bridge) due(ctx context.Context, c *Config, a relay.Attempt) bool {
	wait := time.Duration(a.Wait) * time.Millisecond
	b.say(func(s *State) { s.Next, s.Address = time.Now().Add(wait), c.Addresses[a.Address] })
	if b.config.Load() != c || wait > 0 && !b.sleep(ctx, wait) || b.config.Load() != c {
		return false
	}
	for c.Start == relay.Lazy {
		if n, _ := b.set.broker.Waiting(c.LocalID); n >= c.Threshold {
			break
		}
		b.say(func(s *State) { s.Next = time.Time{} })
		if !b.sleep(ctx, lookForMessages) || b.config.Load() != c {
			return false
		}
	}
	return true
}

// lookForMessages is how often a lazy bridge looks how many messages wait.
const lookForMessages = time.Second

// waitForChange waits until there is another configuration.
func (b *bridge) waitForChange(ctx context.Context, c *Config) {
	b.say(func(s *State) { s.Next = time.Time{} })
	for b.config.Load() == c && b.sleep(ctx, lookForMessages) {
	}
}

// sleep waits for a time, or until the configuration has changed, and reports false when ctx has ended.
func (b *bridge) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
	case <-b.woken:
	}
	return true
}

// once makes one attempt and, where it succeeds, carries until the connection ends. It returns why it did.
func (b *bridge) once(ctx context.Context, c *Config, a relay.Attempt, plan *relay.Plan) error {
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	b.cut.Store(&cut)
	defer b.cut.Store(nil)
	address := c.Addresses[a.Address]
	b.set.log.Printf(logging.Notice, "Connecting bridge %s (%s)", c.Name, address)
	y := &carry{b: b, c: c, how: a}
	if err := y.open(ctx, address); err != nil {
		b.failed(ctx, c, address, err)
		return &unopened{err}
	}
	plan.Connected()
	clear(b.owed)
	b.say(func(s *State) {
		s.Connected, s.Since, s.Cause, s.Text, s.Next = true, time.Now(), "", "", time.Time{}
	})
	b.set.log.Printf(logging.Notice, "Bridge %s connected to %s as %s.", c.Name, address, c.RemoteID)
	b.tell(true)
	err := y.run(ctx)
	b.tell(false)
	b.lost(ctx, c, err)
	return err
}

// unopened is an attempt that failed.
type unopened struct{ err error }

func (u *unopened) Error() string { return u.err.Error() }
func (u *unopened) Unwrap() error { return u.err }

// outcome is how an attempt has ended, for the plan.
func outcome(err error) relay.Outcome {
	var no *refusal
	var early *unopened
	switch {
	case errors.As(err, &no) && no.remote && no.code == packet.UnsupportedProtocolVersion:
		return relay.WrongVersion
	case errors.As(err, &no) && no.remote:
		return relay.Refused
	case errors.Is(err, errNoConnack):
		return relay.Hung
	case errors.Is(err, errPreferred):
		return relay.Preferred
	case errors.As(err, &early):
		return relay.Unreached
	}
	return relay.Lost
}

// failed says why an attempt has failed.
func (b *bridge) failed(ctx context.Context, c *Config, address string, err error) {
	if ctx.Err() != nil {
		return
	}
	id := cause.BridgeUnreachable
	var no *refusal
	var secure *tlsError
	switch {
	case errors.As(err, &no) && !no.remote:
		id = cause.BridgeLocalRefused
	case errors.As(err, &no):
		id = cause.BridgeRefused
	case errors.As(err, &secure):
		id = cause.BridgeTLSFailed
	case errors.Is(err, errNoConnack):
		id = cause.BridgeNoConnack
	case timedOut(err):
		err = fmt.Errorf("%s: no answer within %s", address, openingLimit)
	}
	b.down(c, id, err)
}

// lost says why a connection has ended that had been made.
func (b *bridge) lost(ctx context.Context, c *Config, err error) {
	switch {
	case ctx.Err() != nil:
	case errors.Is(err, errIdle):
		b.set.log.Printf(logging.Notice, "Bridge connection %s has exceeded idle timeout, disconnecting.", c.LocalID)
	case errors.Is(err, errPreferred):
		b.set.log.Printf(logging.Notice, "Bridge %s goes back to its first address %s, which answers again.", c.Name, c.Addresses[0])
	default:
		b.down(c, cause.BridgeLost, err)
		return
	}
	b.say(func(s *State) { s.Connected, s.Since = false, time.Now() })
}

// down notes why the bridge is not connected.
func (b *bridge) down(c *Config, id cause.ID, err error) {
	b.say(func(s *State) {
		if s.Connected || s.Since.IsZero() {
			s.Since = time.Now()
		}
		s.Connected, s.Cause, s.Text = false, id, err.Error()
	})
	b.set.broker.Report(logging.Warning, id, "Bridge %s is not connected: %v.", c.Name, err)
}

// dropped counts a message that was not passed on.
func (b *bridge) dropped(why relay.Drop, out bool, name string) {
	b.say(func(s *State) { s.Dropped++ })
	way, c := "from", b.config.Load()
	if out {
		way = "to"
	}
	switch why {
	case relay.Looped:
		b.set.broker.Report(logging.Warning, cause.BridgeLoop, "Bridge %s: a message %s the remote broker has been here before and is dropped ('%s').", c.Name, way, name)
	case relay.TooLarge:
		b.set.broker.Report(logging.Warning, cause.BridgeMessageTooLarge, "Bridge %s: a message %s the remote broker is too large and is dropped ('%s').", c.Name, way, name)
	case relay.Denied:
		b.set.broker.Report(logging.Warning, cause.BridgeMessageRefused, "Bridge %s: a message %s the remote broker was refused: %s.", c.Name, way, name)
	}
}

// count counts messages carried.
func (b *bridge) count(in bool, n int) {
	b.say(func(s *State) {
		if in {
			s.In += uint64(n)
		} else {
			s.Out += uint64(n)
		}
	})
}

// tell says at this broker whether the bridge is connected.
func (b *bridge) tell(up bool) {
	c := b.config.Load()
	if !c.Notify {
		return
	}
	payload := "0"
	if up {
		payload = "1"
	}
	if err := b.set.local.Publish(context.Background(), &session.Message{Topic: c.NotificationTopic, Payload: []byte(payload), QoS: 1, Retain: true}); err != nil {
		b.set.log.Printf(logging.Warning, "Warning: Bridge %s cannot say its state: %v.", c.Name, err)
	}
}

// answers tells whether something listens at an address.
func (b *bridge) answers(address string) bool {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
