package broker

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/access"
	"picket/cause"
	"picket/packet"
	"picket/session"
	"picket/topic"
)

// hearer collects what a client inside the program receives.
type hearer struct {
	mu  sync.Mutex
	got []string
}

func (h *hearer) receive(d session.Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.got = append(h.got, fmt.Sprintf("%s=%s q%d r%t %v", d.Message.Topic, d.Message.Payload, d.QoS, d.Retain, d.IDs))
}

func (h *hearer) heard(t *testing.T, want ...string) {
	t.Helper()
	until(t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.got) >= len(want)
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.got, want) {
		t.Errorf("heard\n%q, want\n%q", h.got, want)
	}
	h.got = nil
}

// A client inside the program gets what clients publish at every QoS, what was retained first, and they get what it publishes; with a store and without.
func TestLocal(t *testing.T) {
	for name, x := range map[string]*bench{"without a store": newBench(t, nil), "with a store": newStored(t, vfs.NewCrashableMem())} {
		t.Run(name, func(t *testing.T) {
			out, c := x.client(t, "outside", packet.V311)
			x.feed(t, c, (&packet.Publish{Topic: []byte("a/kept"), Payload: []byte("0"), Retain: true}).Append(nil, packet.V311))
			h := new(hearer)
			l := x.b.Local(nil, h.receive)
			for _, s := range []struct {
				filter string
				o      topic.Options
			}{{"a/+", topic.Options{QoS: 1, Identifier: 7}}, {"own", topic.Options{NoLocal: true}}, {"both", topic.Options{}}} {
				if err := l.Subscribe(t.Context(), s.filter, s.o); err != nil {
					t.Fatal(err)
				}
			}
			h.heard(t, "a/kept=0 q0 rtrue [7]")
			for qos := range byte(3) {
				x.feed(t, c, (&packet.Publish{Topic: []byte("a/b"), Payload: []byte{'0' + qos}, QoS: qos, ID: uint16(qos)}).Append(nil, packet.V311))
			}
			h.heard(t, "a/b=0 q0 rfalse [7]", "a/b=1 q1 rfalse [7]", "a/b=2 q1 rfalse [7]")

			x.subscribe(t, c, packet.V311, "both", 0)
			for _, name := range []string{"own", "both"} {
				if err := l.Publish(t.Context(), &session.Message{Topic: name, Payload: []byte("x"), QoS: 1}); err != nil {
					t.Fatal(err)
				}
			}
			h.heard(t, "both=x q0 rfalse []")
			if got := string(out.get()); got != "0\x07\x00\x04bothx" {
				t.Errorf("the client outside got %q last", got)
			}

			l.Unsubscribe("a/+")
			x.feed(t, c, (&packet.Publish{Topic: []byte("a/b")}).Append(nil, packet.V311))
			x.feed(t, c, (&packet.Publish{Topic: []byte("both"), Payload: []byte("last")}).Append(nil, packet.V311))
			h.heard(t, "both=last q0 rfalse []")
			l.Close()
			l.Close()
			if err := l.Publish(t.Context(), &session.Message{Topic: "both"}); !errors.Is(err, ErrClosed) {
				t.Errorf("publishing after Close: %v", err)
			}
			if err := l.Subscribe(t.Context(), "both", topic.Options{}); !errors.Is(err, ErrClosed) {
				t.Errorf("subscribing after Close: %v", err)
			}
			if n, _ := x.b.index.Len(); n != 1 {
				t.Errorf("%d subscriptions are left, want that of the client outside", n)
			}
			if name == "with a store" {
				if st := x.b.store.Stats(); st.Sessions != 0 {
					t.Errorf("%d sessions are stored", st.Sessions)
				}
			}
		})
	}
}

// Who it is decides what it may do, as for all clients, and a reload changes that. Only the broker itself may speak below $SYS.
func TestLocalIsJudged(t *testing.T) {
	x := newSpeaking(t)
	h := new(hearer)
	ann := x.b.Local(&access.Login{ClientID: "inside", HasUsername: true, Username: "ann"}, h.receive)
	own := x.b.Local(nil, nil)
	denied := func(id cause.ID, do func() error) {
		t.Helper()
		before := x.b.Causes()[id]
		var no *Denied
		if err := do(); !errors.As(err, &no) || no.Cause != id || x.b.Causes()[id] != before+1 {
			t.Errorf("got %v, want %s, counted %d times", err, id, x.b.Causes()[id]-before)
		}
	}
	publish := func(l *Local, name string) func() error {
		return func() error { return l.Publish(t.Context(), &session.Message{Topic: name, Payload: []byte("1")}) }
	}
	denied(cause.ACLPublishDenied, publish(ann, "closed/1"))
	denied(cause.SysReadOnly, publish(ann, "$SYS/broker/forged"))
	denied(cause.ControlUnavailable, publish(ann, "$CONTROL/nobody"))
	denied(cause.ACLSubscribeDenied, func() error { return ann.Subscribe(t.Context(), "secret/#", topic.Options{}) })
	denied(cause.FilterInvalid, func() error { return ann.Subscribe(t.Context(), "$share/g/open/#", topic.Options{}) })
	for _, filter := range []string{"open/#", "closed/#"} {
		if err := ann.Subscribe(t.Context(), filter, topic.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, do := range []func() error{publish(own, "closed/1"), publish(ann, "open/1"), publish(own, "$SYS/broker/mine")} {
		if err := do(); err != nil {
			t.Error(err)
		}
	}
	h.heard(t, "closed/1=1 q0 rfalse []", "open/1=1 q0 rfalse []")

	x.reload(t, "user ann\ntopic readwrite closed/#\n")
	denied(cause.ACLPublishDenied, publish(ann, "open/2"))
	for _, do := range []func() error{publish(own, "open/2"), publish(ann, "closed/2"), publish(own, "$SYS/broker/mine")} {
		if err := do(); err != nil {
			t.Error(err)
		}
	}
	h.heard(t, "closed/2=1 q0 rfalse []")
}

// One that is slow loses messages of its own, and holds nobody up; what it held is given back.
func TestLocalIsBounded(t *testing.T) {
	x := newBench(t, func(c *Config) { c.MaxQueuedMessages = 10 })
	inside, goOn := make(chan bool), make(chan bool)
	begun := sync.OnceFunc(func() { close(inside) })
	slow := x.b.Local(nil, func(session.Delivery) { begun(); <-goOn })
	h := new(hearer)
	quick := x.b.Local(nil, h.receive)
	for _, l := range []*Local{slow, quick} {
		if err := l.Subscribe(t.Context(), "#", topic.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	_, c := x.client(t, "outside", packet.V5)
	send := func(n int) {
		x.feed(t, c, (&packet.Publish{Topic: []byte("t"), Payload: []byte(strconv.Itoa(n))}).Append(nil, packet.V5))
		h.heard(t, fmt.Sprintf("t=%d q0 rfalse []", n))
	}
	send(0)
	<-inside
	for n := range 30 {
		send(1 + n)
	}
	if n := x.b.Causes()[cause.QueueFull]; n != 20 {
		t.Errorf("%d messages were dropped, want 20", n)
	}
	if x.b.memory.of(heldQueued) == 0 {
		t.Error("what waits is not counted")
	}
	done := make(chan bool)
	go func() { slow.Close(); close(done) }()
	close(goOn)
	<-done
	if n := x.b.memory.of(heldQueued); n != 0 {
		t.Errorf("%d bytes are counted after Close", n)
	}
}

// Many at once, while the rules change and the broker ends.
func TestLocalsTogether(t *testing.T) {
	x := newSpeaking(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 20 {
				h := new(hearer)
				l := x.b.Local(&access.Login{ClientID: strconv.Itoa(i), HasUsername: true, Username: "ann"}, h.receive)
				_ = l.Subscribe(t.Context(), "open/#", topic.Options{}) // either may be refused for a moment
				_ = l.Publish(t.Context(), &session.Message{Topic: "open/x", Retain: true, Payload: []byte("x")})
				if i%2 == 0 {
					l.Close()
				}
			}
		})
	}
	for range 5 {
		x.reload(t, "user ann\ntopic readwrite open/#\n")
		x.reload(t, "user ann\ntopic readwrite closed/#\n")
	}
	all.Wait()
}
