package simulation

import (
	"fmt"
	"strconv"
	"strings"

	"picket/sentinel/machine"
)

// checker watches over what must always hold.
type checker struct {
	w          *World
	err        error
	promotions int
	elections  int
	forced     bool                    // a failover was forced by hand: its epoch knows no votes
	leaders    map[int64]*sentinel     // by epoch: who was elected
	votes      map[vote]string         // whom a sentinel voted for
	voters     map[ballot]map[int]bool // who voted for a candidate in an epoch
	chosen     map[int64]string        // by epoch: which replica was told to become master
	configs    map[int64]string        // by config epoch: which address was announced
	epochs     map[*sentinel]lifeEpoch // last seen
	downSaid   map[[2]*sentinel]int64  // when the first told the second that the master is down
	events     []func(*sentinel, machine.Event)
}

type vote struct {
	by    *sentinel
	epoch int64
}

type ballot struct {
	runID string
	epoch int64
}

type lifeEpoch struct {
	life  int
	epoch int64
}

func (c *checker) init(w *World) {
	c.w = w
	c.leaders = map[int64]*sentinel{}
	c.votes = map[vote]string{}
	c.voters = map[ballot]map[int]bool{}
	c.chosen = map[int64]string{}
	c.configs = map[int64]string{}
	c.epochs = map[*sentinel]lifeEpoch{}
	c.downSaid = map[[2]*sentinel]int64{}
}

func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("at %d.%03d s: %s", c.w.Elapsed()/1000, c.w.Elapsed()%1000, fmt.Sprintf(format, args...))
	}
}

// voted: a sentinel votes once per epoch, also across a crash.
func (c *checker) voted(s *sentinel, epoch int64, runID string) {
	v := vote{s, epoch}
	if was, ok := c.votes[v]; ok && was != runID {
		c.fail("sentinel %s votes twice in epoch %d: for %.4s and for %.4s", s.name(), epoch, was, runID)
	}
	c.votes[v] = runID
	b := ballot{runID, epoch}
	if c.voters[b] == nil {
		c.voters[b] = map[int]bool{}
	}
	c.voters[b][s.id] = true
}

func (c *checker) answered(s, to *sentinel, a machine.Answer) {
	if a.Leader != "*" {
		c.voted(s, a.Epoch, a.Leader)
	}
	c.tells(s, a.Epoch)
	if a.Down {
		c.downSaid[[2]*sentinel{s, to}] = c.w.now
	}
}

// tells: what epoch a sentinel tells others it must not forget in a crash.
func (c *checker) tells(s *sentinel, epoch int64) { s.told = max(s.told, epoch) }

func (c *checker) sent(s *sentinel, cmd []string) {
	switch {
	case cmd[0] == "SENTINEL":
		epoch, _ := strconv.ParseInt(cmd[4], 10, 64)
		c.tells(s, epoch)
		if cmd[5] != "*" {
			c.voted(s, epoch, s.runID) // whoever asks for votes has given its own
		}
	case cmd[0] == "PUBLISH":
		f := strings.Split(cmd[2], ",")
		epoch, _ := strconv.ParseInt(f[3], 10, 64)
		config, _ := strconv.ParseInt(f[7], 10, 64)
		c.tells(s, epoch)
		// One configuration per epoch.
		if was, ok := c.configs[config]; ok && was != f[5] && !c.forced {
			c.fail("sentinel %s announces %s as the master of epoch %d, which was %s", s.name(), f[5], config, was)
		}
		c.configs[config] = f[5]
	}
}

func (c *checker) event(s *sentinel, e machine.Event) {
	w := c.w
	if w.Log != nil {
		w.Log(fmt.Sprintf("%3d.%03d %s %s %s", w.Elapsed()/1000, w.Elapsed()%1000, s.name(), e.Name, e.Payload))
	}
	for _, f := range c.events {
		f(s, e)
	}
	switch e.Name {
	case "+try-failover":
		c.tried(s, e)
	case "+elected-leader":
		c.elected(s, e)
	case "+selected-slave":
		epoch := e.Epoch
		name := strings.Fields(e.Payload)[1]
		if was, ok := c.chosen[epoch]; ok && was != name && !c.forced {
			c.fail("two replicas are promoted in epoch %d: %s and %s", epoch, was, name)
		}
		c.chosen[epoch] = name
	case "+promoted-slave":
		c.promotions++
	}
}

// tried: nobody stands for election unless as many as the quorum say that the master is down, and said so lately.
func (c *checker) tried(s *sentinel, e machine.Event) {
	if e.Forced || c.forced {
		return
	}
	agree := 1
	for _, o := range c.w.sentinels {
		// Five ask periods on a clock that may run at half speed, and the time that the answer was under way.
		if at, ok := c.downSaid[[2]*sentinel{o, s}]; ok && o != s && c.w.now-at < 5*1000e3*3+3000e3 {
			agree++
		}
	}
	if agree < c.w.cfg.Quorum {
		c.fail("sentinel %s stands for election with %d of %d agreeing", s.name(), agree, c.w.cfg.Quorum)
	}
}

// elected: at most one leader per epoch, and never without the votes of a majority and of the quorum.
func (c *checker) elected(s *sentinel, e machine.Event) {
	epoch := e.Epoch
	if e.Forced || c.forced {
		return
	}
	c.elections++
	if was := c.leaders[epoch]; was != nil {
		c.fail("epoch %d has two leaders: %s and %s", epoch, was.name(), s.name())
	}
	c.leaders[epoch] = s
	c.voted(s, epoch, s.runID)
	need := max(len(c.w.sentinels)/2+1, c.w.cfg.Quorum)
	if got := len(c.voters[ballot{s.runID, epoch}]); got < need {
		c.fail("sentinel %s leads epoch %d with %d of %d votes", s.name(), epoch, got, need)
	}
}

// epoch: it never goes back.
func (c *checker) epoch(s *sentinel) {
	if s.m == nil {
		return
	}
	now := lifeEpoch{s.life, s.m.Epoch()}
	if was := c.epochs[s]; was.life == now.life && now.epoch < was.epoch {
		c.fail("the epoch of sentinel %s goes back from %d to %d", s.name(), was.epoch, now.epoch)
	}
	c.epochs[s] = now
}

// Converged reports what still differs: all sentinels must agree on one master, be up with it, and every server must follow it.
// An empty string means that all is well.
func (w *World) Converged() string {
	var master string
	for _, s := range w.sentinels {
		if s.m == nil {
			return "sentinel " + s.name() + " is not running"
		}
		host, _, _ := s.m.CurrentAddr(MasterName)
		if master == "" {
			master = host
		}
		if host != master {
			return fmt.Sprintf("sentinel %s says %s, another one says %s", s.name(), w.nameOf(host), w.nameOf(master))
		}
		f := s.m.MasterFields(MasterName)
		if f[4].Value != "master" {
			return fmt.Sprintf("sentinel %s sees the master as %s", s.name(), f[4].Value)
		}
	}
	for _, s := range w.servers {
		switch {
		case s.addr == master && s.masterIP != "":
			return fmt.Sprintf("%s is said to be the master but is a replica of %s", s.name(), w.nameOf(s.masterIP))
		case s.addr != master && s.masterIP != master:
			return fmt.Sprintf("%s does not follow %s but %q", s.name(), w.nameOf(master), w.nameOf(s.masterIP))
		case s.addr != master && !s.linkUp():
			return fmt.Sprintf("%s does not replicate from %s yet", s.name(), w.nameOf(master))
		}
	}
	return ""
}
