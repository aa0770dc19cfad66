package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/rueidis"

	"picket/cluster/machine"
	"picket/cluster/wire"
	"picket/internal/testbed"
	"picket/logging"
	"picket/store/redis"
)

// rig is a redis-server and nodes of one cluster.
type rig struct {
	t       *testing.T
	port    int
	address redis.Address
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, port: testbed.Port(t)}
	cmd := exec.Command("redis-server", "--port", fmt.Sprint(r.port), "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no", "--logfile", "/dev/null")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var err error
	if r.address, err = redis.ParseAddress(fmt.Sprintf("redis://127.0.0.1:%d", r.port)); err != nil {
		t.Fatal(err)
	}
	testbed.Eventually(t, func() error { return r.do("PING") })
	return r
}

// do sends a command to Redis.
func (r *rig) do(args ...string) error {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: r.address.Servers, ForceSingleClient: true, DisableCache: true, DisableRetry: true})
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Do(context.Background(), c.B().Arbitrary(args...).Build()).Error()
}

// member is a node with its host.
type member struct {
	*Node
	*host
	log *testbed.Log
}

// start starts a node and waits until it serves. change may be nil.
func (r *rig) start(name string, change func(*Options)) *member {
	r.t.Helper()
	return r.startWith(name, change, func(h *host, _ *Options) Host { return h })
}

// startWith does that with what around makes of the host.
func (r *rig) startWith(name string, change func(*Options), around func(*host, *Options) Host) *member {
	r.t.Helper()
	m := &member{log: new(testbed.Log), host: &host{index: map[string]map[uint64]bool{}, sessions: map[string]*local{}}}
	log, err := logging.New(logging.Config{Types: logging.Error | logging.Warning | logging.Notice | logging.Info, Dest: []logging.Dest{{Kind: logging.Stdout}}}, m.log, io.Discard)
	if err != nil {
		r.t.Fatal(err)
	}
	o := Options{Name: name, Address: fmt.Sprintf("127.0.0.1:%d", testbed.Port(r.t)), Redis: r.address, Log: log, Times: machine.DefaultTimes()}
	o.Times.Dead, o.Times.Release = 600_000, 600_000 // on a machine that is busy, nobody is taken for dead
	if change != nil {
		change(&o)
	}
	if m.Node, err = New(o); err != nil {
		r.t.Fatal(err)
	}
	m.host.node = m.Node
	if err := m.Start(context.Background(), around(m.host, &o)); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		m.Close()
		log.Close()
		if r.t.Failed() {
			r.t.Logf("%s said:\n%s", name, m.log)
		}
	})
	testbed.Eventually(r.t, func() error {
		if m.ready() == 0 {
			return fmt.Errorf("%s does not serve", name)
		}
		return nil
	})
	return m
}

// host delivers to sessions with filters that have no wildcards.
type host struct {
	node *Node

	mu       sync.Mutex
	serving  uint64 // incarnation
	fenced   []uint64
	index    map[string]map[uint64]bool
	plain    map[string]bool // filters of no session
	sessions map[string]*local
	got      []string // of filters of no session
	loose    []string
	refuses  bool // no member of a group here can take anything
}

// local is a session on a node.
type local struct {
	fence, position uint64
	filters         []string
	moved           bool
	got             []string
}

func (h *host) ready() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.serving
}

func (h *host) Joined(uint64) {}

func (h *host) Ready(incarnation uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serving = incarnation
}

func (h *host) Fenced(incarnation uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.serving, h.fenced = 0, append(h.fenced, incarnation)
	h.index, h.sessions = map[string]map[uint64]bool{}, map[string]*local{}
}

func (h *host) Route(peer uint64, c wire.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.index[c.Filter] == nil {
		h.index[c.Filter] = map[uint64]bool{}
	}
	if h.index[c.Filter][peer] = true; c.Gone {
		delete(h.index[c.Filter], peer)
	}
}

func (h *host) Unroute(peer uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, peers := range h.index {
		delete(peers, peer)
	}
}

func (h *host) peersOf(topic string) (peers []uint64) {
	for peer := range h.index[topic] {
		peers = append(peers, peer)
	}
	slices.Sort(peers)
	return peers
}

func (h *host) Look(r *wire.Run, above uint64) (peers []uint64, here bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sessions {
		here = here || s.position > above && slices.Contains(s.filters, r.Topic)
	}
	return h.peersOf(r.Topic), here
}

// Choose and Share know the members of a group by what was announced and wanted under its name.
func (h *host) Choose(r *wire.Run, first uint64, not map[uint64]bool, unlinked []uint64, mayStay bool) (peer uint64, here bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	peers := slices.DeleteFunc(h.peersOf(r.Groups[0]), func(p uint64) bool { return not[p] })
	linked := slices.DeleteFunc(slices.Clone(peers), func(p uint64) bool { return slices.Contains(unlinked, p) })
	switch {
	case slices.Contains(linked, first):
		return first, false
	case len(linked) > 0:
		return linked[0], false
	case mayStay && h.plain[r.Groups[0]]:
		return 0, true
	case len(peers) > 0:
		return peers[0], false
	}
	return 0, false
}

func (h *host) Share(r *wire.Run, done func(bool)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	taken := h.plain[r.Groups[0]] && !h.refuses
	if taken {
		h.got = append(h.got, texts(r)...)
	}
	go done(taken)
}

func (h *host) Deliver(_ uint64, r *wire.Run, since, upto uint64, done func([]string, string)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var elsewhere []string
	for client, s := range h.sessions {
		switch {
		case s.position <= since || !slices.Contains(s.filters, r.Topic):
		case s.moved || s.position > upto:
			elsewhere = append(elsewhere, client)
		default:
			s.got = append(s.got, texts(r)...)
		}
	}
	if h.plain[r.Topic] && since == 0 {
		h.got = append(h.got, texts(r)...)
	}
	go done(elsewhere, "")
}

func texts(r *wire.Run) (all []string) {
	for _, p := range r.Payloads {
		all = append(all, strings.Clone(string(p)))
	}
	return all
}

func (h *host) Loose(r *wire.Run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loose = append(h.loose, texts(r)...)
}

func (h *host) Own(s Owned, installed func(error)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := &local{fence: s.Fence, position: math.MaxUint64}
	for field := range s.Fields {
		if filter, ok := strings.CutPrefix(field, "u"); ok {
			l.filters = append(l.filters, filter)
			h.node.Want(filter)
		}
	}
	h.sessions[s.Client] = l
	go installed(nil)
}

func (h *host) Placed(client string, position uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions[client].position = position
}

func (h *host) Stop(client string, stopped func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions[client].moved = true
	go stopped()
}

func (h *host) Forget(client string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, filter := range h.sessions[client].filters {
		h.node.Unwant(filter)
	}
	delete(h.sessions, client)
}

func (h *host) Room() {}

// fence is that of a session that this node has; 0: it has not.
func (h *host) fence(client string) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s := h.sessions[client]; s != nil && !s.moved {
		return s.fence
	}
	return 0
}

// has is what has come for a session, or without a name for filters of none.
func (h *host) has(client string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if client == "" {
		return strings.Join(h.got, " ")
	}
	if s := h.sessions[client]; s != nil {
		return strings.Join(s.got, " ")
	}
	return ""
}

func (h *host) hasLoose() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.loose, " ")
}

func (h *host) wants(topic string) []uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.peersOf(topic)
}

// want has filters of no session announced, and waits until all know.
func (m *member) want(t *testing.T, filters ...string) {
	t.Helper()
	m.mu.Lock()
	m.plain = map[string]bool{}
	for _, f := range filters {
		m.plain[f] = true
	}
	m.mu.Unlock()
	for _, f := range filters {
		m.Want(f)
	}
	if err := m.confirm(); err != nil {
		t.Fatal(err)
	}
}

func (m *member) confirm() error {
	done := make(chan error, 1)
	m.Confirm(func(err error) { done <- err })
	return <-done
}

// publish publishes a message, and returns a channel with what has become of it.
func (m *member) publish(topic, text string) chan error {
	done := make(chan error, 1)
	m.Publish(&wire.Run{QoS: 1, Plain: true, Topic: topic, From: "p", Payloads: [][]byte{[]byte(text)}}, 0, nil, func(refused []string, err error) {
		if len(refused) > 0 {
			err = errors.New(refused[0])
		}
		done <- err
	})
	return done
}

func (m *member) claim(client string) error {
	done := make(chan error, 1)
	m.Claim(client, func(err error) { done <- err })
	return <-done
}

// gate passes connections on to an address until it is shut.
type gate struct {
	socket net.Listener
	to     string

	mu    sync.Mutex
	shut  bool
	conns []net.Conn
}

// newGate makes a gate before a port that is free still.
func newGate(t *testing.T) (g *gate, behind string) {
	t.Helper()
	behind = fmt.Sprintf("127.0.0.1:%d", testbed.Port(t))
	return newGateTo(t, behind), behind
}

// newGateTo makes a gate before an address.
func newGateTo(t *testing.T, to string) (g *gate) {
	t.Helper()
	socket, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g = &gate{socket: socket, to: to}
	t.Cleanup(func() {
		socket.Close()
		g.set(true)
	})
	go g.run()
	return g
}

func (g *gate) run() {
	for {
		from, err := g.socket.Accept()
		if err != nil {
			return
		}
		to, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", g.to)
		g.mu.Lock()
		if err != nil || g.shut {
			from.Close()
			if err == nil {
				to.Close()
			}
			g.mu.Unlock()
			continue
		}
		g.conns = append(g.conns, from, to)
		g.mu.Unlock()
		for _, x := range [][2]net.Conn{{from, to}, {to, from}} {
			go func() {
				_, _ = io.Copy(x[0], x[1])
				x[0].Close()
			}()
		}
	}
}

// set shuts the gate, or opens it again. Shut, it also ends what is under way.
func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut = shut; shut {
		for _, c := range g.conns {
			c.Close()
		}
		g.conns = nil
	}
}

// share publishes a message for a shared subscription, and returns a channel with what has become of it.
func (m *member) share(group, text string, first uint64) chan error {
	done := make(chan error, 1)
	m.Offer(&wire.Run{QoS: 1, Topic: "t", From: "p", Groups: []string{group}, Payloads: [][]byte{[]byte(text)}}, first, func(_ []string, err error) { done <- err })
	return done
}

// bury has a node that is gone taken for dead at once: by itself nobody is, in these tests.
func (r *rig) bury(t *testing.T, by, gone *member) {
	t.Helper()
	was := gone.joined.Load()
	for _, row := range r.call(t, machine.Rows{}).([]machine.Row) {
		if row.Incarnation == was {
			r.call(t, machine.Bury{Me: by.joined.Load(), Incarnation: was, Beat: row.Beat})
		}
	}
}
