//go:build linux

package sentinel

import (
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/internal/testbed"
)

// group is a master with replicas and the sentinels that watch it as mymaster.
type group struct {
	t         testing.TB
	servers   []*process
	sentinels []*process
}

// options of a group; zero values give three of our sentinels and two replicas.
type options struct {
	servers   int
	sentinels string // one letter each: p ours, c Redis'
	quorum    int    // 0: a majority
	down      int    // down-after-milliseconds
	timeout   int    // failover-timeout
	server    string // lines for each server
	sentinel  string // lines for each sentinel, before its master
	each      func(i int, ours bool) string
	pass      []string // AUTH words of the servers
	host      string   // the master's, as sentinels and replicas know it

	unhurried    bool        // INFO and hellos come as seldom as they do by default
	sentinelPass []string    // AUTH words of the sentinels
	tls          *tls.Config // a client's; all ports speak TLS only
}

// ports are the lines that give a process its port.
func (o options) ports(port int) string {
	if o.tls == nil {
		return ""
	}
	return fmt.Sprintf("port 0\ntls-port %d\n", port)
}

// quietDown is down-after-milliseconds where a test is not about it: longer than the silence that makes a sentinel doubt its clock, so that a
// machine that stands still for a moment causes no failover that the test does not know of.
const quietDown = 3000

// aDay is a time, in milliseconds, that does not pass within a test: what is to end is ended by the test.
const aDay = 24 * 60 * 60 * 1000

// laterThanTheMaster are the lines of sentinels that start when the master is down already: they vote, and only the first one judges and leads. A sentinel
// measures how long a replica has been cut off against how long it has seen the master down itself. One that starts more than ten times
// down-after-milliseconds later therefore finds no good replica, as Redis' finds none, and how soon it starts is up to the machine.
func laterThanTheMaster(i int, _ bool) string {
	if i == 0 {
		return ""
	}
	return fmt.Sprintf("sentinel down-after-milliseconds mymaster %d\n", aDay)
}

func newGroup(t testing.TB, o options) *group {
	t.Helper()
	o = o.withDefaults()
	g := &group{t: t}
	for range o.servers {
		g.addServer(o)
	}
	for _, p := range g.servers[1:] {
		eventually(t, p.name+" replicates", func() bool { return p.info("master_link_status") == "up" })
	}
	for _, kind := range o.sentinels {
		g.addSentinel(o, kind == 'p')
	}
	g.discovered()
	return g
}

func (o options) withDefaults() options {
	if o.servers == 0 {
		o.servers = 3
	}
	if o.sentinels == "" {
		o.sentinels = "ppp"
	}
	if o.quorum == 0 {
		o.quorum = len(o.sentinels)/2 + 1
	}
	if o.down == 0 {
		o.down = quietDown
	}
	if o.timeout == 0 {
		o.timeout = 10000
	}
	if o.host == "" {
		o.host = "127.0.0.1"
	}
	return o
}

// addServer starts one more server: the first is the master, the others are its replicas.
func (g *group) addServer(o options) *process {
	g.t.Helper()
	conf := "save \"\"\nrepl-diskless-sync-delay 0\nrepl-diskless-sync yes\n" + o.server
	if len(g.servers) > 0 {
		conf += fmt.Sprintf("\nreplicaof %s %d", o.host, g.servers[0].port)
	}
	port := testbed.Port(g.t)
	p := newProcess(g.t, fmt.Sprintf("redis%d", len(g.servers)+1), "redis-server", port, o.ports(port)+conf)
	p.pass, p.tls = o.pass, o.tls
	g.servers = append(g.servers, p.start())
	return p
}

// addSentinel starts one more sentinel that watches the first server.
func (g *group) addSentinel(o options, ours bool) *process {
	g.t.Helper()
	program := "redis-sentinel"
	if ours {
		program = binary + " sentinel"
	}
	conf := fmt.Sprintf("%s\nsentinel monitor mymaster %s %d %d\nsentinel down-after-milliseconds mymaster %d\nsentinel failover-timeout mymaster %d\nsentinel parallel-syncs mymaster 10\n",
		o.sentinel, o.host, g.servers[0].port, o.quorum, o.down, o.timeout)
	if o.each != nil {
		conf += o.each(len(g.sentinels), ours)
	}
	port := testbed.Port(g.t)
	p := newProcess(g.t, fmt.Sprintf("sentinel%d", len(g.sentinels)+1), program, port, o.ports(port)+conf)
	p.pass, p.tls = o.sentinelPass, o.tls
	g.sentinels = append(g.sentinels, p.start())
	if !o.unhurried {
		// Much of a failover's aftermath is waiting for these. A sentinel that is started again forgets them.
		p.ok("SENTINEL", "DEBUG", "info-period", "2000", "publish-period", "500", "tilt-period", "10000")
	}
	return p
}

// discovered waits until every sentinel is connected with everything.
func (g *group) discovered() {
	g.t.Helper()
	for _, s := range g.sentinels {
		eventually(g.t, s.name+" knows all", func() bool {
			m := s.master("mymaster")
			return m["flags"] == "master" && m["num-slaves"] == strconv.Itoa(len(g.servers)-1) && m["num-other-sentinels"] == strconv.Itoa(len(g.sentinels)-1) &&
				s.allUp("REPLICAS") && s.allUp("SENTINELS")
		})
	}
}

func (p *process) allUp(what string) bool {
	for _, f := range p.instances(what, "mymaster") {
		if f["flags"] != "slave" && f["flags"] != "sentinel" || what == "REPLICAS" && f["master-link-status"] != "ok" {
			return false
		}
	}
	return true
}

// current is the server that the first sentinel calls the master.
func (g *group) current() *process {
	g.t.Helper()
	addr := g.sentinels[0].masterAddr("mymaster")
	for _, p := range g.servers {
		if strings.HasSuffix(addr, ":"+strconv.Itoa(p.port)) && (p.host == "127.0.0.1" || p.addr() == addr) {
			return p
		}
	}
	g.t.Fatalf("no server has the address %s", addr)
	return nil
}

// switched waits until every sentinel that runs sends clients to another server than old, and all to the same, and returns that.
func (g *group) switched(old *process) *process {
	g.t.Helper()
	var now *process
	eventually(g.t, "all sentinels have switched", func() bool {
		now = g.current()
		for _, s := range g.sentinels {
			if s.masterAddr("mymaster") != g.sentinels[0].masterAddr("mymaster") {
				return false
			}
		}
		return now != old
	})
	return now
}

// agreed waits until all sentinels name one master and every other server follows it.
func (g *group) agreed() *process {
	g.t.Helper()
	var master *process
	eventually(g.t, "all agree", func() bool {
		master = g.current()
		for _, s := range g.sentinels {
			if s.masterAddr("mymaster") != g.sentinels[0].masterAddr("mymaster") {
				return false
			}
		}
		for _, p := range g.servers {
			if p != master && (p.info("master_port") != strconv.Itoa(master.port) || p.info("master_link_status") != "up") {
				return false
			}
		}
		return master.info("role") == "master"
	})
	return master
}

// switches listens for +switch-master on every sentinel. The function that it returns waits until all have sent one and gives the times.
func (g *group) switches() func() []time.Time {
	g.t.Helper()
	type hit struct {
		i  int
		at time.Time
	}
	hits := make(chan hit, len(g.sentinels))
	var conns []*connection
	for i, s := range g.sentinels {
		c := s.open()
		if v, err := c.do("SUBSCRIBE", "+switch-master"); err != nil || len(v.Elems) != 3 {
			g.t.Fatalf("SUBSCRIBE: %+v, %v", v, err)
		}
		c.SetDeadline(time.Time{})
		conns = append(conns, c)
		go func() {
			if _, err := c.r.Value(); err == nil {
				hits <- hit{i, time.Now()}
			}
		}()
	}
	return func() []time.Time {
		g.t.Helper()
		times := make([]time.Time, len(g.sentinels))
		deadline := time.After(patience)
		for range g.sentinels {
			select {
			case h := <-hits:
				times[h.i] = h.at
			case <-deadline:
				g.t.Fatalf("no +switch-master on all sentinels within %v", patience)
			}
		}
		for _, c := range conns {
			c.Close()
		}
		return times
	}
}
