//go:build unix

package crash

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"picket/internal/testbed"
)

// group is the Redis of a broker: a master and two replicas, and three sentinels of ours that never promote a replica which lacks something acknowledged. Of
// the servers one at a time is killed, or stands still, whatever happens to the broker meanwhile; then it comes back, and the group becomes whole again.
type group struct {
	dir       string
	servers   []*member
	sentinels []*member
	done      chan struct{}
	over      sync.WaitGroup
	err       error // read after over

	masters, both, replicas atomic.Int64 // killed masters, and those together with the broker; replicas that were killed or stood still
}

// member is a server or a sentinel: a configuration file that it writes to, and a process.
type member struct {
	*testbed.Process
	args []string
	dir  string
	addr string
}

// newGroup starts a group and waits until it is whole.
func newGroup(t *testing.T, dir string) (*group, error) {
	g := &group{dir: dir, done: make(chan struct{})}
	server, sentinel := testbed.Program(t, "redis-server", "redis-server"), testbed.Picket(t)
	for i := range 3 {
		config := "bind 127.0.0.1\nsave \"\"\nappendonly yes\nrepl-diskless-sync-delay 0\n"
		if i > 0 {
			host, port, _ := net.SplitHostPort(g.servers[0].addr)
			config += "replicaof " + host + " " + port + "\n"
		}
		m, err := g.newMember("redis"+strconv.Itoa(i), config, server)
		if err != nil {
			return g, err
		}
		g.servers = append(g.servers, m)
	}
	_, port, _ := net.SplitHostPort(g.servers[0].addr)
	for i := range 3 {
		m, err := g.newMember("sentinel"+strconv.Itoa(i), "bind 127.0.0.1\nsentinel monitor main 127.0.0.1 "+port+" 2\nsentinel down-after-milliseconds main 1000\n"+
			"sentinel failover-timeout main 5000\nsentinel parallel-syncs main 2\nsentinel picket-sealed main 1\nsentinel picket-refused-down main 100\nsentinel picket-adopt main yes\n", sentinel, "sentinel")
		if err != nil {
			return g, err
		}
		g.sentinels = append(g.sentinels, m)
	}
	for end := time.Now().Add(testbed.Patience); g.whole() < 0 || !g.watched(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			return g, fmt.Errorf("the Redis servers and sentinels did not find each other; their logs are in %s", dir)
		}
	}
	return g, nil
}

// newMember makes the directory of a member and starts it.
func (g *group) newMember(name, config string, command ...string) (*member, error) {
	port, err := testbed.FreePort()
	if err != nil {
		return nil, err
	}
	m := &member{dir: filepath.Join(g.dir, name), addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(m.dir, "conf")
	m.args = append(command, file)
	if err := os.WriteFile(file, []byte(fmt.Sprintf("port %d\ndir %s\n%s", port, m.dir, config)), 0o644); err != nil {
		return nil, err
	}
	return m, m.start()
}

func (m *member) start() (err error) {
	cmd := exec.Command(m.args[0], m.args[1:]...)
	cmd.Dir = m.dir
	if m.Process, err = testbed.Launch(cmd, filepath.Join(m.dir, "log")); err != nil {
		return err
	}
	return m.Listening(m.addr)
}

// ask sends a command of one line, and gives the lines of the answer, up to one that begins with last. Nothing comes of a member that does not answer.
func (m *member) ask(command, last string) (lines []string) {
	conn, err := net.DialTimeout("tcp", m.addr, time.Second)
	if err != nil {
		return nil
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return nil
	}
	for in := bufio.NewScanner(conn); in.Scan(); {
		if lines = append(lines, in.Text()); strings.HasPrefix(in.Text(), last) {
			return lines
		}
	}
	return nil
}

// whole gives the index of the master, if it has all others as replicas that are in step; else -1.
func (g *group) whole() int {
	for i, m := range g.servers {
		text := strings.Join(m.ask("INFO replication", "repl_backlog_histlen"), "\n")
		if strings.Contains(text, "role:master") && strings.Count(text, "state=online") == len(g.servers)-1 {
			return i
		}
	}
	return -1
}

// watched tells whether each sentinel knows everybody.
func (g *group) watched() bool {
	for _, s := range g.sentinels {
		if text := strings.Join(s.ask("INFO sentinel", "master0"), "\n"); !strings.Contains(text, "slaves=2,sentinels=3") {
			return false
		}
	}
	return true
}

// address is where the broker finds the group.
func (g *group) address() string {
	var hosts []string
	for _, s := range g.sentinels {
		hosts = append(hosts, s.addr)
	}
	return "redis://" + strings.Join(hosts, ",") + "/main"
}

func (g *group) count() int { return int(g.masters.Load() + g.replicas.Load()) }

// disturb does something to one server after the other until the group is closed. strike kills the broker, if it may be killed now.
func (g *group) disturb(rng *rand.Rand, strike func() bool) {
	g.over.Go(func() {
		for g.err == nil && g.pause(200*time.Millisecond+time.Duration(rng.Int64N(int64(time.Second)))) {
			master := -1
			for end := time.Now().Add(2 * testbed.Patience); master < 0; {
				if master = g.whole(); master < 0 && !g.pause(20*time.Millisecond) {
					return
				}
				if time.Now().After(end) {
					g.err = fmt.Errorf("the Redis servers did not become one group again; their logs are in %s", g.dir)
					return
				}
			}
			g.err = g.hurt(rng, master, strike)
		}
	})
}

// hurt has one server fail, and come back.
func (g *group) hurt(rng *rand.Rand, master int, strike func() bool) error {
	victim, still := g.servers[master], false
	kind := rng.IntN(10)
	if g.count() == 0 {
		kind = 5 + kind/2 // a short run has killed a master, too
	}
	switch kind {
	case 0, 1, 2: // a replica is killed
		victim = g.servers[(master+1+rng.IntN(2))%3]
		g.replicas.Add(1)
	case 3, 4: // or stands still
		victim, still = g.servers[(master+1+rng.IntN(2))%3], true
		g.replicas.Add(1)
	case 5, 6: // the master is killed together with the broker
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
			if strike() {
				g.both.Add(1)
				break
			}
			if !g.pause(5 * time.Millisecond) {
				return nil
			}
		}
		g.masters.Add(1)
	default:
		g.masters.Add(1)
	}
	away := time.Duration(rng.Int64N(int64(1500 * time.Millisecond)))
	if still {
		victim.Signal(syscall.SIGSTOP)
		g.pause(away)
		victim.Signal(syscall.SIGCONT)
		return nil
	}
	if err := victim.Kill(); err != nil {
		return err
	}
	g.pause(away)
	return victim.start()
}

// pause waits. It reports false when the group is closed.
func (g *group) pause(d time.Duration) bool {
	select {
	case <-g.done:
		return false
	case <-time.After(d):
		return true
	}
}

// calm ends the disturbances.
func (g *group) calm() error {
	close(g.done)
	g.over.Wait()
	return g.err
}

func (g *group) close() {
	for _, m := range append(g.servers, g.sentinels...) {
		if m.Process != nil {
			_ = m.Kill() // nothing of it is needed any more
		}
	}
}

// TestKillsOnRedis is TestKills with a store in Redis: the broker is killed, the master is, both are at a time, and replicas are killed or stand still.
func TestKillsOnRedis(t *testing.T) {
	worlds := max(1, (*redisKills+killsPerWorld-1)/killsPerWorld)
	first := *seed
	if first == 0 {
		first = rand.Uint64N(1 << 40)
	} else {
		worlds = 1
	}
	t.Logf("seeds %d to %d", first, first+uint64(worlds)-1)
	testbed.Picket(t) // here, where the test can end if it cannot be built
	total := newSummary()
	var masters, both, replicas atomic.Int64
	var work sync.WaitGroup
	numbers := make(chan int)
	for range min(*parallel, worlds) {
		work.Go(func() {
			for i := range numbers {
				g := runOnRedis(t, first+uint64(i), min(killsPerWorld, *redisKills-i*killsPerWorld), total)
				masters.Add(g.masters.Load())
				both.Add(g.both.Load())
				replicas.Add(g.replicas.Load())
			}
		})
	}
	for i := range worlds {
		if t.Failed() {
			break
		}
		numbers <- i
	}
	close(numbers)
	work.Wait()
	t.Logf("%v; Redis: %d masters killed, %d of them together with the broker, %d replicas killed or stopped", total, masters.Load(), both.Load(), replicas.Load())
	if !t.Failed() && (masters.Load() == 0 || total.expected < leastOwed*total.kills) {
		t.Errorf("this was no load: %v", total)
	}
}

// runOnRedis runs one world with a group of its own until so many parts have been killed.
func runOnRedis(t *testing.T, seed uint64, kills int, total *summary) *group {
	dir, err := os.MkdirTemp("", fmt.Sprintf("picket-crash-redis-%d-", seed))
	if err != nil {
		t.Error(err)
		return new(group)
	}
	g, err := newGroup(t, dir)
	defer g.close()
	if err != nil {
		t.Error(err)
		return g
	}
	p := picket(t, "cluster "+g.address()+"\ncluster_acknowledge replicas 1\n")
	p.again = "[cluster-unreachable]"
	w, err := newWorld(seed, p, dir)
	if err != nil {
		t.Error(err)
		return g
	}
	before := 0
	w.elsewhere = g.count
	g.disturb(w.random("redis"), w.strike)
	w.run(kills, true, func() {
		if *progress {
			now := w.kills + g.count()
			total.step(now-before, seed)
			before = now
		}
	})
	if err := g.calm(); err != nil {
		w.ledger.fail(ended, "%v", err)
	}
	total.add(w)
	if faults := w.ledger.faults(); len(faults) > 0 {
		t.Errorf("seed %d, directory %s: rerun with go test ./tests/crash -run TestKillsOnRedis -v -seed %d\n%s", seed, dir, seed, strings.Join(faults, "\n"))
	} else {
		os.RemoveAll(dir)
	}
	return g
}
