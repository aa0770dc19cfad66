package machine

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Set applies SENTINEL SET's options from left to right. An error ends it; what was applied before stays.
func (m *Machine) Set(name string, args []string) error {
	ms := m.find(name)
	if ms == nil {
		return ErrNoMaster
	}
	changed := false
	defer func() {
		if changed {
			m.save()
			m.wake(ms)
		}
	}()
	for len(args) > 0 {
		n, err := m.setOne(ms, args)
		if err != nil {
			return err
		}
		changed = true
		shown := strings.Join(args[1:n], " ")
		if strings.EqualFold(args[0], "auth-pass") {
			shown = "******"
		}
		m.event(Warning, "+set", &ms.node, m.details(&ms.node)+" "+args[0]+" "+shown)
		args = args[n:]
	}
	return nil
}

// errArgument is an option's "this value cannot be", which setOne puts into Redis' words.
var errArgument = errors.New("invalid argument")

// setOne applies the first option and returns how many words it took.
func (m *Machine) setOne(ms *master, args []string) (int, error) {
	option := strings.ToLower(args[0])
	takes := 2
	if option == "rename-command" {
		takes = 3
	}
	set := masterOptions[option]
	if set == nil || len(args) < takes {
		return 0, fmt.Errorf("Unknown option or number of arguments for SENTINEL SET '%s'", args[0]) //nolint:staticcheck // Redis' text
	}
	for _, v := range args[1:takes] {
		if err := CheckText(v); err != nil {
			return 0, fmt.Errorf("%w (SENTINEL SET '%s')", err, option)
		}
	}
	err := set(m, ms, args[1:takes])
	if errors.Is(err, errArgument) {
		err = fmt.Errorf("Invalid argument '%s' for SENTINEL SET '%s'", args[1], args[0]) //nolint:staticcheck // Redis' text
	}
	return takes, err
}

// masterOption puts the words of one option in force.
type masterOption func(m *Machine, ms *master, words []string) error

// number is an option whose value is a whole number that is not less than least.
func number(least int64, set func(m *Machine, ms *master, n int64)) masterOption {
	return func(m *Machine, ms *master, words []string) error {
		n, err := strconv.ParseInt(words[0], 10, 32)
		if err != nil || n < least {
			return errArgument
		}
		set(m, ms, n)
		return nil
	}
}

// scriptPath is an option whose value is the path of a program; an empty one means none.
func scriptPath(what string, field func(ms *master) *string) masterOption {
	return func(m *Machine, ms *master, words []string) error {
		path := words[0]
		if m.set.DenyScriptsReconfig {
			return errors.New("Reconfiguration of scripts path is denied for security reasons. Check the deny-scripts-reconfig configuration directive in your Sentinel configuration") //nolint:staticcheck // Redis' text
		}
		if path != "" && m.opt.Executable != nil && !m.opt.Executable(path) {
			return fmt.Errorf("%s script seems non existing or non executable", what)
		}
		*field(ms) = path
		return nil
	}
}

// login is an option with which we log in to the servers: the connections to them are made anew.
func login(field func(ms *master) *string) masterOption {
	return func(m *Machine, ms *master, words []string) error {
		*field(ms) = words[0]
		m.reconnectServers(ms)
		return nil
	}
}

// masterOptions are what SENTINEL SET can change.
var masterOptions = map[string]masterOption{
	"down-after-milliseconds": number(1, func(_ *Machine, ms *master, n int64) {
		ms.downAfter = n
		for _, o := range slices.Concat(ms.replicas, ms.sentinels) {
			o.downAfter = n
		}
	}),
	"failover-timeout":                 number(1, func(_ *Machine, ms *master, n int64) { ms.failoverTimeout = n }),
	"parallel-syncs":                   number(1, func(_ *Machine, ms *master, n int64) { ms.parallelSyncs = int(n) }),
	"quorum":                           number(1, func(_ *Machine, ms *master, n int64) { ms.quorum = int(n) }),
	"master-reboot-down-after-period":  number(0, func(_ *Machine, ms *master, n int64) { ms.rebootDownAfter = n }),
	"primary-reboot-down-after-period": number(0, func(_ *Machine, ms *master, n int64) { ms.rebootDownAfter = n }),
	"picket-refused-down":              number(0, func(_ *Machine, ms *master, n int64) { ms.refusedDown = n }),
	"picket-sealed": number(0, func(m *Machine, ms *master, n int64) {
		ms.acks = int(n)
		m.askPeers()
		m.askAll(ms)
	}),
	"picket-adopt": func(m *Machine, ms *master, words []string) error {
		yes := strings.EqualFold(words[0], "yes")
		if !yes && !strings.EqualFold(words[0], "no") {
			return errArgument
		}
		ms.adopt = yes
		m.askAll(ms)
		return nil
	},
	"notification-script":    scriptPath("Notification", func(ms *master) *string { return &ms.notificationScript }),
	"client-reconfig-script": scriptPath("Client reconfiguration", func(ms *master) *string { return &ms.reconfigScriptPath }),
	"auth-pass":              login(func(ms *master) *string { return &ms.authPass }),
	"auth-user":              login(func(ms *master) *string { return &ms.authUser }),
	"rename-command": func(_ *Machine, ms *master, words []string) error {
		from, to := words[0], words[1]
		if from == "" || to == "" {
			return errArgument
		}
		ms.renames = slices.DeleteFunc(ms.renames, func(r Rename) bool { return strings.EqualFold(r.Old, from) })
		if !strings.EqualFold(from, to) {
			ms.renames = append(ms.renames, Rename{from, to})
		}
		return nil
	},
}
