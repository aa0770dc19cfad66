package simulation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/cause"
	"picket/sentinel/machine"
)

// checker watches over what must always hold:
//
//   - a sentinel votes once per master and epoch, also across a crash;
//   - there is at most one elected leader per master and epoch, with the votes of a majority and of the quorum;
//   - nobody stands for election unless as many as the quorum see the master as down;
//   - nobody promotes a replica but an elected leader (or who was told to, by hand), and no two are promoted in one epoch;
//   - a configuration that is announced is what a leader made in its epoch: one for each epoch, and not before the replica is a master;
//   - what was acknowledged by as many replicas as a group is sealed for is on every server that is promoted, unless by hand;
//   - a server that is a stranger's is never reconfigured;
//   - epochs never go back, nor behind what others were told before a crash.
//
// That all agree in the end is checked by Converged.
type checker struct {
	w           *World
	err         error
	promotions  int
	elections   int
	byHand      bool                          // a failover was forced by hand in this world: configurations may be told that no leader has made
	forced      map[term]bool                 // those epochs know no votes
	leaders     map[term]*sentinel            // who was elected
	leading     map[watch]int64               // the epoch that a sentinel leads a failover in
	votes       map[vote]string               // whom a sentinel voted for
	voters      map[ballot]map[int]bool       // who voted for a candidate
	chosen      map[term]promotion            // which replica was told to become master
	configs     map[term]string               // which address was announced
	epochs      map[*sentinel]lifeEpoch       // last seen
	acked       [][]write                     // by master: what clients rely on
	byHandSince map[int]bool                  // by master: a person has decided what is kept
	sealed      int                           // promotions that were looked at
	blocked     int                           // groups that wait for a person in the end
	lost        int                           // what Redis itself has lost
	downSaid    map[watch]map[*sentinel]int64 // when a sentinel was told by others that the master is down
}

// term is an epoch of one master.
type term struct {
	set   int
	epoch int64
}

// watch is one sentinel's watch over one master.
type watch struct {
	by  *sentinel
	set int
}

type vote struct {
	by *sentinel
	term
}

type promotion struct {
	by *sentinel
	to *server
	at int64
}

type ballot struct {
	runID string
	term
}

type lifeEpoch struct {
	life  int
	epoch int64
}

func (c *checker) init(w *World) {
	c.w = w
	c.byHandSince = map[int]bool{}
	c.acked = make([][]write, w.cfg.Masters)
	c.forced = map[term]bool{}
	c.leaders = map[term]*sentinel{}
	c.leading = map[watch]int64{}
	c.votes = map[vote]string{}
	c.voters = map[ballot]map[int]bool{}
	c.chosen = map[term]promotion{}
	c.configs = map[term]string{}
	c.epochs = map[*sentinel]lifeEpoch{}
	c.downSaid = map[watch]map[*sentinel]int64{}
}

func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("at %d.%03d s: %s", c.w.Elapsed()/1000, c.w.Elapsed()%1000, fmt.Sprintf(format, args...))
	}
}

// setAt is the number of the master that the server at an address belongs to, -1 for none.
func (w *World) setAt(addr string) int {
	for _, s := range w.servers {
		if s.addr == addr {
			return s.set
		}
	}
	return -1
}

// setOf is the number of a master by its name.
func (w *World) setOf(name string) int {
	for set := range w.cfg.Masters {
		if masterName(set) == name {
			return set
		}
	}
	return -1
}

func (c *checker) voted(s *sentinel, t term, runID string) {
	v := vote{s, t}
	if was, ok := c.votes[v]; ok && was != runID {
		c.fail("sentinel %s votes twice in epoch %d: for %.4s and for %.4s", s.name(), t.epoch, was, runID)
	}
	c.votes[v] = runID
	b := ballot{runID, t}
	if c.voters[b] == nil {
		c.voters[b] = map[int]bool{}
	}
	c.voters[b][s.id] = true
}

// answered looks at what a sentinel told another one about the master of a set.
func (c *checker) answered(s, to *sentinel, set int, a machine.Answer) {
	if a.Leader != "*" {
		c.voted(s, term{set, a.Epoch}, a.Leader)
	}
	s.told = max(s.told, a.Epoch)
	if a.Down {
		w := watch{to, set}
		if c.downSaid[w] == nil {
			c.downSaid[w] = map[*sentinel]int64{}
		}
		c.downSaid[w][s] = c.w.now
	}
}

// sent looks at what a sentinel sends.
func (c *checker) sent(s *sentinel, l *link, cmd []string) {
	switch cmd[0] {
	case "SENTINEL":
		epoch, _ := strconv.ParseInt(cmd[4], 10, 64)
		s.told = max(s.told, epoch)
		if cmd[5] != "*" {
			c.voted(s, term{c.w.setAt(cmd[2]), epoch}, s.runID) // whoever asks for votes has given its own
		}
	case "PUBLISH":
		f := strings.Split(cmd[2], ",")
		epoch, _ := strconv.ParseInt(f[3], 10, 64)
		config, _ := strconv.ParseInt(f[7], 10, 64)
		c.announced(s, c.w.setOf(f[4]), epoch, config, f[5])
	case "SLAVEOF":
		if cmd[1] == "NO" {
			c.promotes(s, l.peer.(*server))
		}
	case "FAILOVER":
		if to, ok := c.w.find(cmd[2]).(*server); ok {
			c.promotes(s, to)
		}
	}
}

// announced: what epochs a sentinel tells it must not forget in a crash, and a configuration is what a leader made of the master.
func (c *checker) announced(s *sentinel, set int, epoch, config int64, addr string) {
	s.told = max(s.told, epoch)
	if config < s.toldConfig[set] {
		c.fail("sentinel %s announces a configuration of epoch %d after one of %d", s.name(), config, s.toldConfig[set])
	}
	s.toldConfig[set] = config
	t := term{set, config}
	if was, ok := c.configs[t]; ok && was != addr && !c.byHand {
		c.fail("sentinel %s announces %s as the master of epoch %d, which was %s", s.name(), addr, config, was)
	}
	c.configs[t] = addr
	if config == 0 || c.byHand {
		return
	}
	p, ok := c.chosen[t]
	switch {
	case !ok || p.to.addr != addr:
		c.fail("sentinel %s announces %s as the master of epoch %d, in which it was not promoted", s.name(), c.w.nameOf(addr), config)
	case p.to.masterIP != "" && p.to.masterUntil < p.at:
		c.fail("sentinel %s announces %s as the master of epoch %d before it is one", s.name(), c.w.nameOf(addr), config)
	}
}

// promotes: only a leader does, and one replica in an epoch.
func (c *checker) promotes(s *sentinel, to *server) {
	if to.set < 0 {
		return // see execute
	}
	epoch, leads := c.leading[watch{s, to.set}]
	if !leads {
		c.fail("sentinel %s promotes %s and leads no failover", s.name(), to.name())
	}
	t := term{to.set, epoch}
	if was, ok := c.chosen[t]; ok && was.to != to && (was.by == s || !c.forced[t]) {
		c.fail("two replicas are promoted in epoch %d: %s and %s", epoch, was.to.name(), to.name())
	}
	c.chosen[t] = promotion{s, to, c.w.now}
}

// isForced reports whether the failover that a sentinel leads was forced by hand.
func (c *checker) isForced(s *sentinel, set int) bool {
	epoch, leads := c.leading[watch{s, set}]
	return !leads || c.forced[term{set, epoch}]
}

func (c *checker) event(s *sentinel, e machine.Event) {
	w := c.w
	if w.Log != nil {
		w.Log(fmt.Sprintf("%3d.%03d %s %s %s", w.Elapsed()/1000, w.Elapsed()%1000, s.name(), e.Name, e.Payload))
	}
	at := watch{s, w.setOf(e.Master)}
	switch e.Name {
	case "+try-failover":
		c.tried(at, e)
	case "+elected-leader":
		c.elected(at, e)
	case "+reaffirmed":
		c.elected(at, e)
		if to, ok := w.find(strings.Fields(e.Payload)[2]).(*server); ok {
			c.chosen[term{at.set, e.Epoch}] = promotion{s, to, 0}
		}
		delete(c.leading, at)
	case "+promoted-slave":
		c.promotions++
	case "+failover-end", "+config-update-from", "+reset-master", "-failover-abort-not-elected", "-failover-abort-no-good-slave", "-failover-abort-slave-timeout":
		delete(c.leading, at)
	}
}

func (c *checker) tried(at watch, e machine.Event) {
	if e.ByHand {
		return
	}
	agree := 1
	for o, when := range c.downSaid[at] {
		// Five ask periods on a clock that may run at half speed, and the time that the answer was under way.
		if o != at.by && c.w.now-when < 5*1000e3*3+3000e3 {
			agree++
		}
	}
	if agree < c.w.cfg.Quorum {
		c.fail("sentinel %s stands for election with %d of %d agreeing", at.by.name(), agree, c.w.cfg.Quorum)
	}
}

func (c *checker) elected(at watch, e machine.Event) {
	s, t := at.by, term{at.set, e.Epoch}
	c.leading[at] = e.Epoch
	c.voted(s, t, s.runID)
	if e.Unvoted {
		c.byHand, c.forced[t] = true, true
		return
	}
	c.elections++
	if was := c.leaders[t]; was != nil {
		c.fail("epoch %d has two leaders: %s and %s", t.epoch, was.name(), s.name())
	}
	c.leaders[t] = s
	need := max(len(c.w.sentinels)/2+1, c.w.cfg.Quorum)
	if got := len(c.voters[ballot{s.runID, t}]); got < need {
		c.fail("sentinel %s leads epoch %d with %d of %d votes", s.name(), t.epoch, got, need)
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

// Converged reports what still differs: all sentinels must agree on one master of each set, be up with it, and every server must follow it.
// An empty string means that all is well.
func (w *World) Converged() string {
	for set := range w.cfg.Masters {
		if why := w.converged(set); why != "" {
			return why
		}
	}
	return ""
}

// unproved reports whether all sentinels say that a server may be a stranger's.
func (w *World) unproved(set int, s *server) bool {
	return w.allSay(set, cause.SentinelServerUnproved, s.addr+":")
}

// allSay reports whether all sentinels say that something holds a failover back.
func (w *World) allSay(set int, id cause.ID, text string) bool {
	for _, o := range w.sentinels {
		if o.m == nil || !slices.ContainsFunc(o.m.Gates(masterName(set)), func(g machine.Gate) bool {
			return g.ID == id && strings.Contains(g.Text, text)
		}) {
			return false
		}
	}
	return true
}

func (w *World) converged(set int) string {
	var master string
	for _, s := range w.sentinels {
		if s.m == nil {
			return "sentinel " + s.name() + " is not running"
		}
		host, _, _ := s.m.CurrentAddr(masterName(set))
		if master == "" {
			master = host
		}
		if host != master {
			return fmt.Sprintf("sentinel %s says %s, another one says %s", s.name(), w.nameOf(host), w.nameOf(master))
		}
		f := s.m.MasterFields(masterName(set))
		if f[4].Value != "master" && w.cfg.Sealed > 0 && w.allSay(set, cause.SentinelWouldLoseAcknowledged, "") {
			w.check.blocked++ // nobody can know who has everything: a person has to decide
			return ""
		}
		if f[4].Value != "master" {
			return fmt.Sprintf("sentinel %s sees the master as %s", s.name(), f[4].Value)
		}
	}
	if !w.cfg.Adopt && w.allSay(set, cause.SentinelServerUnproved, "master "+master+":") {
		w.check.blocked++ // all came back with data of their own, and nobody can know any more which are this group's
		return ""
	}
	for _, s := range w.set(set) {
		if s.addr != master && !w.cfg.Adopt && w.unproved(set, s) {
			continue // nobody can know any more that it is one of us, so its data must stay as they are
		}
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
