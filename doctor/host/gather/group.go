package gather

import (
	"slices"
	"strconv"
	"strings"

	"picket/doctor/host"
)

// Where the control groups of a kernel are: one tree for all, or one for each controller beside another.
const groups = "/sys/fs/cgroup/"

// groupOf are the folders, best first, in which the limits of a process by a controller stand; it may be in a group of the second kind, in one of the
// first, or in both.
func (g *gatherer) groupOf(b *process, controller string) (dirs []string) {
	cgroups, err := b.proc.Cgroups()
	if err != nil {
		return nil
	}
	for _, c := range cgroups {
		switch {
		case slices.Contains(c.Controllers, controller):
			dirs = append(dirs, groups+controller+c.Path, groups+strings.Join(c.Controllers, ",")+c.Path)
		case c.HierarchyID == 0:
			dirs = append(dirs, groups+strings.TrimPrefix(c.Path, "/"))
		}
	}
	return dirs
}

// limit is the number in the first of some files of some folders that has one, 0 if none has: "max" is no limit.
func (g *gatherer) limit(dirs []string, files ...string) uint64 {
	for _, dir := range dirs {
		for _, file := range files {
			first, _, _ := strings.Cut(g.word(dir+"/"+file), " ")
			if n, err := strconv.ParseUint(first, 10, 64); err == nil {
				return n
			}
		}
	}
	return 0
}

// throttled tells how much of the processors the brokers' control groups let them have, where there is a limit.
func (g *gatherer) throttled() {
	for i := range g.brokers {
		b := &g.brokers[i]
		dirs := g.groupOf(b, "cpu")
		quota, period := g.limit(dirs, "cpu.cfs_quota_us"), g.limit(dirs, "cpu.cfs_period_us") // -1: none
		for _, dir := range dirs {
			if fields := strings.Fields(g.word(dir + "/cpu.max")); len(fields) == 2 && quota == 0 {
				quota, _ = strconv.ParseUint(fields[0], 10, 64) // "max": none
				period, _ = strconv.ParseUint(fields[1], 10, 64)
			}
		}
		if quota == 0 || period == 0 {
			continue
		}
		t := host.Throttled{PID: b.fact.PID, Program: b.fact.Program, Share: float64(quota) / float64(period)}
		for _, dir := range dirs {
			for line := range strings.Lines(g.word(dir + "/cpu.stat")) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
				n, err := strconv.ParseUint(value, 10, 64)
				switch {
				case err != nil:
				case name == "nr_periods":
					t.Periods = max(t.Periods, n)
				case name == "nr_throttled":
					t.Waited = max(t.Waited, n)
				}
			}
		}
		g.add(t)
	}
}
