package simulation

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"picket/sentinel/machine"
)

// TestCases runs the stories in testdata: each says what happens to a group of sentinels and servers and what the sentinels do
// about it. Sentinels are A, B, C..., servers s1 (the master at first), s2, s3.... The commands:
//
//	group sentinels=3 servers=2 quorum=2 ...   makes the world; nothing is printed
//	run 5s [only=+sdown,+odown] [of=A]         lets time pass and prints the events
//	kill, start, hang, resume NAME...          processes
//	cut A s1 [s2 ...], heal                    the network between the first and the others
//	answer s1 TEXT...                          s1 answers PING with an error from now on; none: PONG again
//	forbid s1 INFO                             s1 does not let the sentinels give that command; none: it does again
//	server s2 [priority=N] [offset=N] [runid=X] [keys=N]  what s2 says about itself from now on; its run id in letters and digits
//	role s2 master|s3                          somebody makes s2 a master, or a replica of s3; in its configuration file if it does not run
//	clock A 5000                               A's wall clock jumps by so many milliseconds
//	scripts [status=N] [time=70s]              how scripts end, and after which time
//	show A master|replicas|sentinels FIELD... [master=other1]  fields of the maps that clients see
//	ask A s1 EPOCH CANDIDATE                   is-master-down-by-addr, as C or any other sentinel would send it
//	hello A ip,port,id,epoch,name,ip,port,epoch  a message of the hello channel
//	pending A                                  the queue of scripts
//	many A 300                                 300 changes of an option
//	monitor A s1 2                             A watches s1, with a quorum of 2
//	set, failover, reset, remove, ckquorum, gates A ...   what clients ask for
//
// Run with -rewrite to write what came out into the files.
func TestCases(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var w *World
		var log []string
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			log = nil
			out := caseCommand(t, &w, d, &log)
			if out != "" {
				log = append(log, strings.TrimSpace(out))
			}
			return strings.Join(log, "\n")
		})
	})
}

func caseCommand(t *testing.T, world **World, d *datadriven.TestData, log *[]string) string {
	if d.Cmd == "group" {
		*world = caseGroup(t, d)
		return ""
	}
	w := *world
	var words []string
	for _, a := range d.CmdArgs {
		if len(a.Vals) == 0 {
			words = append(words, a.Key)
		}
	}
	var only, of []string
	master := MasterName
	for _, a := range d.CmdArgs {
		if len(a.Vals) == 0 {
			continue
		}
		switch a.Key {
		case "only":
			only = strings.Split(a.Vals[0], ",")
		case "master":
			master = a.Vals[0]
		case "of":
			of = strings.Split(a.Vals[0], ",")
		}
	}
	w.Log = func(line string) {
		f := strings.Fields(line)
		if only != nil && f[1] != "--" && !slices.Contains(only, f[2]) || of != nil && f[1] != "--" && !slices.Contains(of, f[1]) || strings.HasPrefix(f[2], "-cmd-link") || strings.HasPrefix(f[2], "-pubsub-link") {
			return
		}
		*log = append(*log, w.readable(line))
	}
	defer func() { w.Log = nil }()
	var sent *sentinel
	if len(words) > 0 {
		sent = w.sentinel(words[0])
	}
	on := func(f func(m *machine.Machine) string) string {
		if sent == nil || sent.m == nil {
			t.Fatalf("%s: %s needs a running sentinel", d.Pos, d.Cmd)
		}
		var out string
		sent.do(func(m *machine.Machine) { out = f(m) })
		return w.readable(out)
	}
	result := func(err error) string {
		if err != nil {
			return err.Error()
		}
		return "ok"
	}
	switch d.Cmd {
	case "run":
		if err := w.Run(caseTime(t, d, words[0])); err != nil {
			t.Fatalf("%s: %v", d.Pos, err)
		}
		if len(*log) == 0 {
			return "nothing"
		}
		return ""
	case "kill", "start", "hang", "resume":
		for _, n := range words {
			map[string]func(string){"kill": w.Kill, "start": w.Start, "hang": w.Hang, "resume": w.Resume}[d.Cmd](n)
		}
	case "cut":
		for _, n := range words[1:] {
			w.Cut(words[0], n)
		}
	case "heal":
		w.HealNetwork()
	case "answer":
		w.server(words[0]).refusal = strings.Join(words[1:], " ")
	case "role":
		if words[1] == "master" {
			w.server(words[0]).become("", 0, 0)
		} else {
			w.server(words[0]).become(w.server(words[1]).addr, serverPort, 0)
		}
		if srv := w.server(words[0]); !srv.alive {
			srv.keptIP, srv.keptPort = srv.masterIP, srv.masterPort
		}
	case "clock":
		n, _ := strconv.ParseInt(words[1], 10, 64)
		sent.jump += n
	case "forbid":
		w.server(words[0]).forbidden = strings.Join(words[1:], " ")
	case "server":
		srv := w.server(words[0])
		for _, a := range d.CmdArgs[1:] {
			n, _ := strconv.Atoi(a.Vals[0])
			switch a.Key {
			case "priority":
				srv.priority = n
			case "offset":
				srv.sync()
				srv.offset = int64(n)
			case "runid":
				srv.runID = a.Vals[0]
			case "keys":
				srv.keys = n > 0
			default:
				t.Fatalf("%s: unknown property %s", d.Pos, a.Key)
			}
		}
	case "scripts":
		for _, a := range d.CmdArgs {
			switch a.Key {
			case "status":
				w.ScriptStatus, _ = strconv.Atoi(a.Vals[0])
			case "time":
				w.ScriptTime = caseTime(t, d, a.Vals[0])
			default:
				t.Fatalf("%s: unknown property %s", d.Pos, a.Key)
			}
		}
	case "pending":
		return on(func(m *machine.Machine) string {
			running, retries := 0, map[int]int{}
			for _, p := range m.PendingScripts() {
				if p.Running {
					running++
				}
				retries[p.Retry]++
			}
			return fmt.Sprintf("%d scripts, %d of them running, by retry-num: %v", len(m.PendingScripts()), running, retries)
		})
	case "show":
		return on(func(m *machine.Machine) string { return caseShow(m, master, words[1], words[2:]) })
	case "ask":
		return on(func(m *machine.Machine) string {
			epoch, _ := strconv.ParseInt(words[2], 10, 64)
			id := words[3]
			if o := w.sentinel(id); o != nil {
				id = o.runID
			}
			a := m.IsMasterDown(w.server(words[1]).addr, serverPort, epoch, id)
			sent.perform()
			a = m.Confirm(a)
			return fmt.Sprintf("down=%v leader=%s epoch=%d", a.Down, a.Leader, a.Epoch)
		})
	case "hello":
		return on(func(m *machine.Machine) string {
			return fmt.Sprintf("taken: %v", m.Hello(w.encode(strings.Join(words[1:], ","))))
		})
	case "set":
		return on(func(m *machine.Machine) string { return result(m.Set(master, words[1:])) })
	case "many": // changes of an option, each of which is an event
		return on(func(m *machine.Machine) string {
			n, _ := strconv.Atoi(words[1])
			for range n {
				if err := m.Set(master, []string{"quorum", "1"}); err != nil {
					return err.Error()
				}
			}
			*log = nil
			return "ok"
		})
	case "failover":
		return on(func(m *machine.Machine) string {
			return result(m.Failover(master, slices.Contains(words, "coordinated")))
		})
	case "reset":
		return on(func(m *machine.Machine) string { return strconv.Itoa(m.Reset("*")) })
	case "monitor":
		return on(func(m *machine.Machine) string {
			n, _ := strconv.Atoi(words[2])
			return result(m.Monitor(master, w.server(words[1]).addr, serverPort, n))
		})
	case "remove":
		return on(func(m *machine.Machine) string { return result(m.Remove(master)) })
	case "simulate":
		return on(func(m *machine.Machine) string {
			m.SimulateFailure(map[string]machine.Failure{"election": machine.CrashAfterElection, "promotion": machine.CrashAfterPromotion}[words[1]])
			return "ok"
		})
	case "ckquorum":
		return on(func(m *machine.Machine) string {
			usable, quorum, majority, err := m.CheckQuorum(master)
			if err != nil {
				return err.Error()
			}
			return fmt.Sprintf("usable=%d quorum=%v majority=%v", usable, quorum, majority)
		})
	case "gates":
		return on(func(m *machine.Machine) string {
			var b strings.Builder
			for _, g := range m.Gates(master) {
				fmt.Fprintf(&b, "%s: %s\n", g.ID, g)
			}
			return b.String()
		})
	case "converged":
		if why := w.Converged(); why != "" {
			return why
		}
		return "yes"
	default:
		t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	}
	return ""
}

func caseGroup(t *testing.T, d *datadriven.TestData) *World {
	cfg := Config{Seed: 1, Sentinels: 3, Servers: 2, DownAfter: 1000, FailoverTimeout: 10000, ParallelSyncs: 1, Discovered: true}
	for _, a := range d.CmdArgs {
		n, _ := strconv.ParseInt(a.Vals[0], 10, 64)
		switch a.Key {
		case "seed":
			cfg.Seed = uint64(n)
		case "sentinels":
			cfg.Sentinels = int(n)
		case "servers":
			cfg.Servers = int(n)
		case "masters":
			cfg.Masters = int(n)
		case "quorum":
			cfg.Quorum = int(n)
		case "down-after":
			cfg.DownAfter = n
		case "failover-timeout":
			cfg.FailoverTimeout = n
		case "parallel-syncs":
			cfg.ParallelSyncs = int(n)
		case "refused-down":
			cfg.RefusedDown = n
		case "sealed":
			cfg.Sealed, cfg.Adopt = int(n), true
		case "restarts":
			cfg.Restarts = a.Vals[0]
		case "old-info":
			cfg.OldInfo = a.Vals[0] == "yes"
		case "discovered":
			cfg.Discovered = a.Vals[0] == "yes"
		case "priorities":
			for _, v := range a.Vals {
				p, _ := strconv.Atoi(v)
				cfg.Priorities = append(cfg.Priorities, p)
			}
		default:
			t.Fatalf("%s: unknown option %s", d.Pos, a.Key)
		}
	}
	if cfg.Quorum == 0 {
		cfg.Quorum = cfg.Sentinels/2 + 1
	}
	return New(cfg)
}

func caseTime(t *testing.T, d *datadriven.TestData, s string) int64 {
	if v, ok := strings.CutSuffix(s, "ms"); ok {
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	}
	v, ok := strings.CutSuffix(s, "s")
	n, err := strconv.ParseInt(v, 10, 64)
	if !ok || err != nil {
		t.Fatalf("%s: a time such as 5s or 200ms was expected in place of %q", d.Pos, s)
	}
	return n * 1000
}

func caseShow(m *machine.Machine, master, what string, names []string) string {
	var maps [][]machine.Field
	switch what {
	case "master":
		maps = [][]machine.Field{m.MasterFields(master)}
	case "replicas":
		maps, _ = m.ReplicaFields(master)
	case "sentinels":
		maps, _ = m.SentinelFields(master)
	}
	var lines []string
	for _, f := range maps {
		var line []string
		for _, x := range f {
			if slices.Contains(names, x.Name) {
				line = append(line, x.Name+"="+x.Value)
			}
		}
		lines = append(lines, strings.Join(line, " "))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

var portAfter = regexp.MustCompile(`\b(s\d|[A-E])[: ](6379|26379)\b`)

// readable puts names in the place of addresses and ids.
func (w *World) readable(s string) string {
	for _, x := range w.sentinels {
		s = strings.ReplaceAll(s, x.runID, x.name())
		s = strings.ReplaceAll(s, x.addr, x.name())
	}
	for _, x := range w.servers {
		s = strings.ReplaceAll(s, x.addr, x.name())
	}
	s = portAfter.ReplaceAllString(s, "$1")
	return strings.ReplaceAll(s, " mymaster", "")
}

// encode is the opposite for a hello message: the names of hosts become addresses, @A the id of A.
func (w *World) encode(s string) string {
	f := strings.Split(s, ",")
	for i, x := range f {
		if id, ok := strings.CutPrefix(x, "@"); ok && w.sentinel(id) != nil {
			f[i] = w.sentinel(id).runID
		} else if w.server(x) != nil {
			f[i] = w.server(x).addr
		} else if w.sentinel(x) != nil {
			f[i] = w.sentinel(x).addr
		}
	}
	return strings.Join(f, ",")
}
