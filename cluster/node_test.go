package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"picket/cause"
	"picket/cluster/functions"
	"picket/cluster/machine"
	"picket/cluster/wire"
	"picket/internal/testbed"
	"picket/store/redis"
)

// eventually waits for something to be as it is wanted.
func eventually[T comparable](t *testing.T, what string, want T, is func() T) {
	t.Helper()
	testbed.Eventually(t, func() error {
		if got := is(); got != want {
			return fmt.Errorf("%s: %v, want %v", what, got, want)
		}
		return nil
	})
}

func (m *member) linkedTo(o *member) func() bool {
	return func() bool { return m.links.of(o.joined.Load()) != nil && o.links.of(m.joined.Load()) != nil }
}

func TestRunsReachTheNodesThatWantThem(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.start("a", nil), r.start("b", nil), r.start("c", nil)
	b.want(t, "t")
	c.want(t, "u")
	for i := range 100 {
		if err := <-a.publish("t", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Fields(b.has("")), i+1; len(got) != want || got[i] != fmt.Sprint(i) {
			t.Fatalf("after %d were settled, b has %v", want, got)
		}
	}
	if got := c.has(""); got != "" {
		t.Errorf("c has got what it does not want: %s", got)
	}
	eventually(t, "a and b are linked", true, a.linkedTo(b))
	frame := wire.Append(nil, wire.Frame{Body: &wire.Loose{Run: wire.Run{Plain: true, Topic: "t", Payloads: [][]byte{[]byte("x"), []byte("y")}}}})
	if !a.Node.Loose(b.joined.Load(), frame, 2) {
		t.Error("there is a link, and no room for a run of QoS 0")
	}
	eventually(t, "QoS 0", "x y", b.hasLoose)
	b.Unwant("t")
	eventually(t, "what a knows of t", 0, func() int { return len(a.wants("t")) })
	if err := <-a.publish("t", "nobody"); err != nil {
		t.Error(err)
	}
}

// TestLongFramesAndManyAtOnce: a frame that does not fit into the buffer of its reader, and more of them than the machine is told at once.
func TestLongFramesAndManyAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.start("a", nil), r.start("b", nil)
	b.want(t, "t")
	long := strings.Repeat("x", readBuffer+1)
	if err := <-a.publish("t", long); err != nil || b.has("") != long {
		t.Fatalf("%v, and %d bytes have come", err, len(b.has("")))
	}
	var all []chan error
	for i := range 3 * mostTogether {
		done := make(chan error, 1)
		a.Publish(&wire.Run{QoS: 1, Plain: true, Topic: "t", From: fmt.Sprint(i), Payloads: [][]byte{{'y'}}}, 0, nil, func(_ []string, err error) { done <- err })
		all = append(all, done)
	}
	for _, done := range all {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if n := len(strings.Fields(b.has(""))); n != 1+len(all) {
		t.Errorf("%d have come of %d", n, 1+len(all))
	}
}

// TestPublishersAreHeldBack: while too much waits for other nodes, the node is full, and says when there is room.
func TestPublishersAreHeldBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.start("a", nil), r.start("b", nil)
	b.want(t, "t")
	var all []chan error
	for i := range 5 {
		done := make(chan error, 1)
		a.Publish(&wire.Run{QoS: 1, Plain: true, Topic: "t", From: fmt.Sprint(i), Payloads: [][]byte{make([]byte, mostUnsettled/4)}}, 0, nil, func(_ []string, err error) { done <- err })
		all = append(all, done)
	}
	if a.unsettle.Load() > mostUnsettled && !a.Full() {
		t.Error("the node is not full")
	}
	for _, done := range all {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if a.Full() || a.unsettle.Load() != 0 {
		t.Errorf("everything is settled, and the node is full: %v, %d bytes", a.Full(), a.unsettle.Load())
	}
}

// TestOtherKeysAreRefused: who dials with a key that is not in Redis is not read from, and who answers with one gets nothing.
func TestOtherKeysAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.start("a", nil)
	key, fingerprint, err := makeKey("stranger")
	if err != nil {
		t.Fatal(err)
	}
	// With TLS 1.3 the one that dials hears of it with the first bytes that it reads.
	conn, err := (&tls.Dialer{Config: &tls.Config{Certificates: []tls.Certificate{key}, InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", a.o.Address)
	if err == nil {
		hello := wire.Append(nil, wire.Frame{Body: &wire.Hello{Node: "b", Incarnation: 99, To: a.joined.Load(), Lowest: wire.Lowest, Highest: wire.Highest}})
		_, _ = conn.Write(hello)
		if n, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("a stranger was answered with %d bytes", n)
		}
		conn.Close()
	}
	a.log.Await(t, "cluster-peer-unknown")

	// A node whose address leads to somebody with another key.
	socket, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan int, 1)
	go func() {
		conn, err := socket.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		c := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{key}, ClientAuth: tls.RequestClientCert})
		n, _ := c.Read(make([]byte, 1))
		read <- n
	}()
	t.Cleanup(func() { socket.Close() })
	r.call(t, machine.Join{Name: "b", Address: socket.Addr().String(), Fingerprint: strings.Repeat("0", len(fingerprint))})
	if n := <-read; n != 0 {
		t.Errorf("%d bytes were sent to who does not have the node's key", n)
	}
	a.log.Await(t, "whoever answers there does not have the key")
}

// call carries a command of the machine's out on Redis.
func (r *rig) call(t *testing.T, c machine.Command) any {
	t.Helper()
	caller := redis.NewCaller(r.address, redis.Options{}, functions.Library)
	defer caller.Close()
	keys := functions.Keys{Prefix: r.address.Prefix, Name: redis.NameOf}
	var call redis.Call
	call.Function, call.Keys, call.Args = keys.Call(c)
	replies, err := caller.Call(context.Background(), []redis.Call{call})
	if err != nil {
		t.Fatal(err)
	}
	value, err := functions.Answer(c, replies[0].Value, replies[0].Err)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// TestStrangersAreBounded: who does not say who it is has no more than some places, and they are free again when it goes.
func TestStrangersAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.start("a", nil)
	var silent []net.Conn
	for range mostOfOneHost {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", a.o.Address)
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, conn)
	}
	strangers := func() int {
		a.door.mu.Lock()
		defer a.door.mu.Unlock()
		return a.door.count
	}
	eventually(t, "strangers", mostOfOneHost, strangers)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", a.o.Address)
	if err == nil {
		if _, err = conn.Read(make([]byte, 1)); err == nil {
			t.Error("one more has got an answer")
		}
		conn.Close()
	}
	for _, c := range silent {
		c.Close()
	}
	eventually(t, "strangers that are gone", 0, strangers)
	b := r.start("b", nil)
	eventually(t, "a and b are linked", true, a.linkedTo(b))
}

// TestWhatIsNoFrameEndsTheLink: a peer that sends what cannot be read, or too much, loses its link.
func TestWhatIsNoFrameEndsTheLink(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.start("a", nil)
	for _, data := range []string{"\xff\xff\xff\xffx", "\x00\x00\x00\x00", "\x00\x00\x00\x02\x63\x00", "\x00\x00\x00\x02\x04\x00"} {
		key, fingerprint, err := makeKey("b")
		if err != nil {
			t.Fatal(err)
		}
		me := r.call(t, machine.Join{Name: "b", Address: "127.0.0.1:1", Fingerprint: fingerprint}).(uint64)
		conn, err := (&tls.Dialer{Config: &tls.Config{Certificates: []tls.Certificate{key}, InsecureSkipVerify: true}}).DialContext(t.Context(), "tcp", a.o.Address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(wire.Append(nil, wire.Frame{Body: &wire.Hello{Node: "b", Incarnation: me, To: a.joined.Load(), Lowest: wire.Lowest, Highest: wire.Highest}})); err != nil {
			t.Fatal(err)
		}
		if hello, err := readHello(conn); err != nil || hello.Incarnation != a.joined.Load() {
			t.Fatalf("a says %+v, %v", hello, err)
		}
		if _, err := io.WriteString(conn, data); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn) // until it is closed
		conn.Close()
		eventually(t, "the link", true, func() bool { return a.links.of(me) == nil })
	}
}

// TestMailboxStandsInForALinkThatIsCut: what is published then arrives all the same, once and in order, and goes by the link again when there is one.
func TestMailboxStandsInForALinkThatIsCut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	gates := make([]*gate, 2)
	behind := func(i int) func(*Options) {
		return func(o *Options) {
			gates[i], o.Listen = newGate(t)
			o.Address = gates[i].socket.Addr().String()
		}
	}
	a, b := r.start("a", behind(0)), r.start("b", behind(1))
	b.want(t, "t")
	eventually(t, "a and b are linked", true, a.linkedTo(b))
	var want []string
	send := func(n int) {
		for range n {
			text := fmt.Sprint(len(want))
			want = append(want, text)
			if err := <-a.publish("t", text); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(5)
	for _, g := range gates {
		g.set(true)
	}
	eventually(t, "the link", true, func() bool { return a.links.of(b.joined.Load()) == nil && b.links.of(a.joined.Load()) == nil })
	if a.Node.Loose(b.joined.Load(), nil, 1) || a.dropped.Load() != 1 {
		t.Error("a run of QoS 0 was taken although there is no link")
	}
	send(5)
	for _, g := range gates {
		g.set(false)
	}
	eventually(t, "a and b are linked again", true, a.linkedTo(b))
	send(5)
	if got := b.has(""); got != strings.Join(want, " ") {
		t.Errorf("b has %s, want %v", got, want)
	}
	a.log.Await(t, "cluster-link-down")
}

// TestDeadNodeIsBuried: a node that does not show any more that it lives is none.
func TestDeadNodeIsBuried(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.start("a", func(o *Options) { o.Times = machine.DefaultTimes() }), r.start("b", nil)
	b.Close()
	a.log.Await(t, "Node b (number")
}

// TestSessionsOfADeadNodeAreAdopted: it is buried, another node has its sessions, and what was published for them meanwhile is theirs.
func TestSessionsOfADeadNodeAreAdopted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.start("a", nil), r.start("b", nil)
	if err := r.do("HSET", "{picket}s:=s", "ut", ""); err != nil {
		t.Fatal(err)
	}
	if err := b.claim("s"); err != nil || b.fence("s") != 1 {
		t.Fatalf("%v, fence %d", err, b.fence("s"))
	}
	if err := b.confirm(); err != nil {
		t.Fatal(err)
	}
	if err := <-a.publish("t", "before"); err != nil || b.has("s") != "before" {
		t.Fatalf("%v, and s has %q", err, b.has("s"))
	}
	b.Close()
	done := a.publish("t", "meanwhile")
	r.bury(t, a, b)
	eventually(t, "the fence of s on a", 2, func() uint64 { return a.fence("s") })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := a.has("s"); got != "meanwhile" {
		t.Errorf("s has %q on a, want meanwhile", got)
	}
	eventually(t, "peers that want t", 0, func() int { return len(a.wants("t")) })
}

// TestSessionsMove: the node that has a session lets go of it when its client connects to another one.
func TestSessionsMove(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := r.start("a", nil), r.start("b", nil), r.start("c", nil)
	if err := r.do("HSET", "{picket}s:=s", "ut", ""); err != nil {
		t.Fatal(err)
	}
	all := []*member{a, b, c}
	for i := range 6 {
		at := all[i%3]
		if err := at.claim("s"); err != nil || at.fence("s") != uint64(i+1) {
			t.Fatalf("claim %d: %v, fence %d", i, err, at.fence("s"))
		}
		if i == 0 { // from then on it has filters that somebody knows
			if err := at.confirm(); err != nil {
				t.Fatal(err)
			}
		}
		text := fmt.Sprint(i)
		if err := <-all[(i+1)%3].publish("t", text); err != nil {
			t.Fatal(err)
		}
		if got := at.has("s"); got != text {
			t.Errorf("claim %d: s has %q, want %s", i, got, text)
		}
	}
}

// TestFencedNodeJoinsAgain: who has been buried tells its host, forgets what it was waiting for, and is a new member with what it wants.
func TestFencedNodeJoinsAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.start("a", nil), r.start("b", nil)
	b.want(t, "t")
	was := b.joined.Load()
	// Its place is taken by one of the same name, which goes again.
	me := r.call(t, machine.Join{Name: "b", Address: "127.0.0.1:1", Fingerprint: "none"}).(uint64)
	eventually(t, "b serves again", true, func() bool { return b.ready() > me })
	if !slices.Contains(b.fenced, was) || !b.log.Has("cluster-fenced") {
		t.Errorf("b has been told that %v are over, want %d", b.fenced, was)
	}
	eventually(t, "the number that b tells", b.joined.Load(), func() uint64 {
		if s := b.State(); s.Serving && !s.Fenced.IsZero() {
			return s.Incarnation
		}
		return 0
	})
	eventually(t, "who wants t", b.joined.Load(), func() uint64 {
		if w := a.wants("t"); len(w) == 1 {
			return w[0]
		}
		return 0
	})
	if err := <-a.publish("t", "x"); err != nil || b.has("") != "x" {
		t.Errorf("%v, and b has %q", err, b.has(""))
	}
}

// TestNothingIsAcknowledgedWithoutRedis: a node that cannot show that it lives says nothing of what it was asked, and says it when Redis is back.
func TestNothingIsAcknowledgedWithoutRedis(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	gate := newGateTo(t, strings.Join(r.address.Servers, ""))
	address, err := redis.ParseAddress("redis://" + gate.socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	a := r.start("a", func(o *Options) { o.Redis = address })
	eventually(t, "the lease", true, a.IsLeased)
	gate.set(true)
	eventually(t, "the lease without Redis", false, a.IsLeased)
	eventually(t, "what a tells without Redis", true, func() bool {
		s := a.State()
		return !s.Leased && !s.Redis.Answers && s.Redis.Cause == cause.ClusterUnreachable && s.Redis.Text != "" && s.Redis.Address == address.String()
	})
	done := a.publish("t", "x")
	if err := a.confirmed(); err == nil {
		t.Error("a subscription is confirmed by a node that may have been buried")
	}
	select {
	case err := <-done:
		t.Errorf("a run is settled by a node that may have been buried: %v", err)
	default:
	}
	gate.set(false)
	if err := <-done; err != nil {
		t.Error(err)
	}
	a.log.Await(t, "can be used again")
	eventually(t, "what a tells with Redis", true, func() bool {
		s := a.State()
		return s.Leased && s.Redis.Answers && s.Redis.Text == "" && s.Redis.Servers == 1
	})
}

// confirmed asks for a confirmation, and returns an error unless it is there when the machine has had a turn.
func (m *member) confirmed() error {
	done := make(chan error, 1)
	m.Confirm(func(err error) { done <- err })
	turn := make(chan struct{})
	m.inbox.put(func() { m.inbox.put(func() { close(turn) }) })
	<-turn
	select {
	case err := <-done:
		return err
	default:
		return errors.New("not yet")
	}
}
