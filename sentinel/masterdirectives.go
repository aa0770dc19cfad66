package sentinel

import (
	"slices"
	"strconv"
	"strings"

	"picket/sentinel/machine"
)

// masterDirective is one of "sentinel NAME MASTER VALUE...": how many words may come after NAME, and what puts the values in force.
type masterDirective struct {
	least, most int
	set         func(c *Config, d *directive, m *machine.MasterState, values []string) error
}

// ourDirectives are about one master, and no other sentinel knows them.
var ourDirectives = []string{"picket-adopt", "picket-sealed", "picket-refused-down"}

var masterDirectives = map[string]masterDirective{
	"down-after-milliseconds":          masterNumber(1, "a number of milliseconds above 0 was expected", func(m *machine.MasterState, n int64) { m.DownAfter = n }),
	"failover-timeout":                 masterNumber(1, "a number of milliseconds above 0 was expected", func(m *machine.MasterState, n int64) { m.FailoverTimeout = n }),
	"parallel-syncs":                   masterNumber(1, "a number above 0 was expected", func(m *machine.MasterState, n int64) { m.ParallelSyncs = int(n) }),
	"master-reboot-down-after-period":  masterNumber(0, "a number of milliseconds was expected, 0 for off", func(m *machine.MasterState, n int64) { m.RebootDownAfter = n }),
	"primary-reboot-down-after-period": masterNumber(0, "a number of milliseconds was expected, 0 for off", func(m *machine.MasterState, n int64) { m.RebootDownAfter = n }),
	"picket-refused-down":              masterNumber(0, "a number of milliseconds was expected, 0 for off", func(m *machine.MasterState, n int64) { m.RefusedDown = n }),
	"picket-sealed": masterNumber(0, "the number of replicas that acknowledge a write (as in WAIT) was expected, 0 for none",
		func(m *machine.MasterState, n int64) { m.Sealed = int(n) }),
	"picket-adopt":           {2, 2, setAdopt},
	"config-epoch":           masterNumber(0, "a number was expected", func(m *machine.MasterState, n int64) { m.ConfigEpoch = n }),
	"leader-epoch":           masterNumber(0, "a number was expected", func(m *machine.MasterState, n int64) { m.LeaderEpoch = n }),
	"notification-script":    masterScript("Notification", func(m *machine.MasterState) *string { return &m.NotificationScript }),
	"client-reconfig-script": masterScript("Client reconfiguration", func(m *machine.MasterState) *string { return &m.ReconfigScript }),
	"auth-pass":              masterText(func(m *machine.MasterState) *string { return &m.AuthPass }),
	"auth-user":              masterText(func(m *machine.MasterState) *string { return &m.AuthUser }),
	"rename-command":         {3, 3, addRename},
	"known-replica":          {3, 3, addReplica},
	"known-slave":            {3, 3, addReplica},
	"known-sentinel":         {3, 4, addSentinel},
}

// masterDirective applies what is about one master.
func (c *Config) masterDirective(d *directive, name string, a []string) error {
	known, ok := masterDirectives[name]
	if !ok || len(a)-1 < known.least || len(a)-1 > known.most {
		return d.err("%s", errUnrecognized)
	}
	m := c.master(a[1])
	if m == nil {
		return d.err("No such master with specified name.")
	}
	if slices.Contains(ourDirectives, name) {
		delete(c.ours, [2]string{name, a[1]})
		if d.file == "" {
			c.ours[[2]string{name, a[1]}] = strings.ToLower(a[2])
		}
	}
	return known.set(c, d, m, a[2:])
}

// masterNumber is a directive whose value is a whole number that is not less than least.
func masterNumber(least int64, expected string, set func(m *machine.MasterState, n int64)) masterDirective {
	return masterDirective{2, 2, func(_ *Config, d *directive, m *machine.MasterState, values []string) error {
		n, err := strconv.ParseInt(values[0], 10, 64)
		if err != nil || n < least || int64(int(n)) != n {
			return d.err("%s: got %q", expected, values[0])
		}
		set(m, n)
		return nil
	}}
}

func masterText(field func(m *machine.MasterState) *string) masterDirective {
	return masterDirective{2, 2, func(_ *Config, _ *directive, m *machine.MasterState, values []string) error {
		*field(m) = values[0]
		return nil
	}}
}

func masterScript(what string, field func(m *machine.MasterState) *string) masterDirective {
	return masterDirective{2, 2, func(c *Config, d *directive, m *machine.MasterState, values []string) error {
		if !c.canRun(values[0]) {
			return d.err("%s script seems non existing or non executable.", what)
		}
		*field(m) = values[0]
		return nil
	}}
}

func setAdopt(_ *Config, d *directive, m *machine.MasterState, values []string) error {
	yes, ok := parseYesNo(values[0])
	if !ok {
		return d.err("argument must be 'yes' or 'no'")
	}
	m.Adopt = yes
	return nil
}

func addRename(_ *Config, d *directive, m *machine.MasterState, values []string) error {
	for _, r := range m.Renames {
		if strings.EqualFold(r.Old, values[0]) {
			return d.err("Same command renamed multiple times with rename-command.")
		}
	}
	m.Renames = append(m.Renames, machine.Rename{Old: values[0], New: values[1]})
	return nil
}

func addReplica(_ *Config, d *directive, m *machine.MasterState, values []string) error {
	hp, err := knownInstance(d, values[0], values[1])
	if err != nil {
		return err
	}
	if slices.Contains(m.Replicas, hp) {
		return d.err("Duplicate hostname and port for slave.")
	}
	m.Replicas = append(m.Replicas, hp)
	return nil
}

func addSentinel(_ *Config, d *directive, m *machine.MasterState, values []string) error {
	if len(values) < 3 {
		return nil // an old form without the run id, which cannot be used
	}
	hp, err := knownInstance(d, values[0], values[1])
	if err != nil {
		return err
	}
	id := values[2]
	if slices.ContainsFunc(m.Sentinels, func(p machine.PeerState) bool { return p.RunID == id }) {
		return d.err("Duplicate runid for sentinel.")
	}
	m.Sentinels = append(m.Sentinels, machine.PeerState{Host: hp.Host, Port: hp.Port, RunID: id})
	return nil
}
