//go:build linux

package sentinel

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"picket/internal/testbed"
)

var programs = []struct{ name, letter string }{{"picket", "p"}, {"redis-sentinel", "c"}}

// BenchmarkFailover measures failovers of three sentinels with down-after-milliseconds 1000: from the failure of the master to +switch-master on the
// first of them and on all.
func BenchmarkFailover(b *testing.B) {
	for _, how := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSTOP} {
		for _, program := range programs {
			b.Run(map[syscall.Signal]string{syscall.SIGKILL: "kill", syscall.SIGSTOP: "stop"}[how]+"/"+program.name, func(b *testing.B) {
				g := newGroup(b, options{sentinels: strings.Repeat(program.letter, 3), down: 1000, unhurried: true})
				var first, all []time.Duration
				for b.Loop() {
					g.discovered()
					time.Sleep(2 * time.Second) // the next failure comes at a time of its own
					m := g.current()
					wait := g.switches()
					began := time.Now()
					m.signal(how)
					times := wait()
					first = append(first, slices.MinFunc(times, time.Time.Compare).Sub(began))
					all = append(all, slices.MaxFunc(times, time.Time.Compare).Sub(began))
					if how == syscall.SIGKILL {
						<-m.dead
						m.start()
					} else {
						m.signal(syscall.SIGCONT)
					}
					// As the sentinels would, only sooner.
					m.ok("REPLICAOF", "127.0.0.1", strconv.Itoa(g.current().port))
					g.agreed()
				}
				for name, d := range map[string][]time.Duration{"first": first, "all": all} {
					slices.Sort(d)
					for what, v := range map[string]time.Duration{"min": d[0], "median": d[len(d)/2], "max": d[len(d)-1]} {
						b.ReportMetric(float64(v.Milliseconds()), name+"-"+what+"-ms")
					}
				}
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// BenchmarkWatching measures what it costs to watch 100 masters in a group of three sentinels, with PING as often as it is for
// down-after-milliseconds 1000 and for the default of 30000. One round is a second.
func BenchmarkWatching(b *testing.B) {
	const masters = 100
	var servers []*process
	for i := range masters {
		servers = append(servers, newProcess(b, fmt.Sprintf("redis%d", i), "redis-server", testbed.Port(b), `save ""`).start())
	}
	for _, down := range []int{1000, 30000} {
		for _, program := range programs {
			b.Run(fmt.Sprintf("down-after-%d/%s", down, program.name), func(b *testing.B) {
				g := &group{t: b, servers: servers[:1]}
				each := func(int, bool) string {
					var conf strings.Builder
					for i, s := range servers[1:] {
						fmt.Fprintf(&conf, "sentinel monitor m%d 127.0.0.1 %d 2\nsentinel down-after-milliseconds m%d %d\n", i, s.port, i, down)
					}
					return conf.String()
				}
				for range 3 {
					g.addSentinel(options{down: down, each: each, unhurried: true}.withDefaults(), program.letter == "p")
				}
				for _, s := range g.sentinels {
					for i := range servers[1:] {
						eventually(b, "all know all", func() bool { return s.master("m" + strconv.Itoa(i))["num-other-sentinels"] == "2" })
					}
				}
				time.Sleep(5 * time.Second) // what the start has cost is over
				s := g.sentinels[1]
				before, began := s.cpu(), time.Now()
				for b.Loop() {
					time.Sleep(time.Second)
				}
				b.ReportMetric(100*(s.cpu()-before).Seconds()/time.Since(began).Seconds(), "cpu-percent")
				b.ReportMetric(float64(s.rss())/1e6, "MB")
				b.ReportMetric(0, "ns/op")
				for _, s := range g.sentinels {
					s.kill()
				}
			})
		}
	}
}

// cpu is the processor time that a process has used.
func (p *process) cpu() time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

// rss is how many bytes of memory it holds.
func (p *process) rss() int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(data), "VmRSS:")
	kb, _ := strconv.Atoi(strings.Fields(after)[0])
	return kb * 1024
}
