package sentinel

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"picket/resp"
	"picket/sentinel/machine"
)

const noSuchMaster = "ERR No such master with that name"

// saveFailed is the answer to a request that was carried out but could not be kept.
const saveFailed = "ERR Failed to save config file. Check server logs."

// fieldMap makes the map of an instance.
func fieldMap(fields []machine.Field) resp.Value {
	v := resp.Value{Kind: resp.Map, Elems: make([]resp.Value, 0, 2*len(fields))}
	for _, f := range fields {
		v.Elems = append(v.Elems, resp.Str(f.Name), resp.Str(f.Value))
	}
	return v
}

func fieldMaps(maps [][]machine.Field) resp.Value {
	v := resp.Value{Kind: resp.Array}
	for _, m := range maps {
		v.Elems = append(v.Elems, fieldMap(m))
	}
	return v
}

// errorReply makes a reply of an error of the machine. Those that begin with a code of their own keep it.
func errorReply(err error) resp.Value {
	text := err.Error()
	if errors.Is(err, machine.ErrInProgress) || errors.Is(err, machine.ErrNoGoodReplica) {
		return resp.Err(text)
	}
	return resp.Err("ERR " + text)
}

// change runs a request that alters what is kept, and answers OK once it is kept.
func (s *Sentinel) change(f func() error) resp.Value {
	var err, saved error
	s.call(func() {
		s.saveErr = nil
		err = f()
		s.perform()
		saved = s.saveErr
	})
	switch {
	case err != nil:
		return errorReply(err)
	case saved != nil:
		return resp.Err(saveFailed)
	}
	return resp.OK
}

func masters(c *client, _ []string) resp.Value {
	var maps [][]machine.Field
	c.s.call(func() {
		for _, n := range c.s.m.Names() {
			maps = append(maps, c.s.m.MasterFields(n))
		}
	})
	return fieldMaps(maps)
}

func oneMaster(c *client, args []string) resp.Value {
	var f []machine.Field
	c.s.call(func() { f = c.s.m.MasterFields(args[2]) })
	if f == nil {
		return resp.Err(noSuchMaster)
	}
	return fieldMap(f)
}

func replicas(c *client, args []string) resp.Value {
	var maps [][]machine.Field
	var ok bool
	c.s.call(func() { maps, ok = c.s.m.ReplicaFields(args[2]) })
	if !ok {
		return resp.Err(noSuchMaster)
	}
	return fieldMaps(maps)
}

func sentinels(c *client, args []string) resp.Value {
	var maps [][]machine.Field
	var ok bool
	c.s.call(func() { maps, ok = c.s.m.SentinelFields(args[2]) })
	if !ok {
		return resp.Err(noSuchMaster)
	}
	return fieldMaps(maps)
}

func myID(c *client, _ []string) resp.Value { return resp.Str(c.s.m.MyID()) }

func masterAddr(c *client, args []string) resp.Value {
	var host string
	var port int
	var ok bool
	c.s.call(func() { host, port, ok = c.s.m.CurrentAddr(args[2]) })
	if !ok {
		return resp.NullArray
	}
	return resp.Strs(host, strconv.Itoa(port))
}

func isMasterDown(c *client, args []string) resp.Value {
	port, err1 := strconv.ParseInt(args[3], 10, 32)
	epoch, err2 := strconv.ParseInt(args[4], 10, 64)
	if err1 != nil || err2 != nil {
		return resp.Err(notInteger)
	}
	var a machine.Answer
	c.s.call(func() {
		a = c.s.m.IsMasterDown(args[2], int(port), epoch, args[5])
		c.s.perform()
		a = c.s.m.Confirm(a)
	})
	down := int64(0)
	if a.Down {
		down = 1
	}
	return resp.Value{Kind: resp.Array, Elems: []resp.Value{resp.Int(down), resp.Str(a.Leader), resp.Int(a.Epoch)}}
}

func ckQuorum(c *client, args []string) resp.Value {
	var usable int
	var quorum, majority bool
	var err error
	var gates []machine.Gate
	c.s.call(func() {
		usable, quorum, majority, err = c.s.m.CheckQuorum(args[2])
		gates = c.s.m.Gates(args[2])
	})
	if err != nil {
		return errorReply(err)
	}
	why := ""
	for _, g := range gates {
		why += fmt.Sprintf(" [%s] %s.", g.ID, strings.TrimSuffix(g.String(), "."))
	}
	head := fmt.Sprintf("%d usable Sentinels. ", usable)
	switch {
	case !quorum && !majority:
		return resp.Err("NOQUORUM " + head + "Neither the quorum nor the majority can be reached." + why)
	case !quorum:
		return resp.Err("NOQUORUM " + head + "The quorum cannot be reached, so no master can be found objectively down." + why)
	case !majority:
		return resp.Err("NOQUORUM " + head + "The majority cannot be reached, so no leader can be elected." + why)
	}
	return resp.Value{Kind: resp.Simple, Str: "OK " + head + "Quorum and failover authorization can be reached" + why}
}

func failover(c *client, args []string) resp.Value {
	coordinate := false
	if len(args) > 3 {
		if len(args) > 4 || !strings.EqualFold(args[3], "coordinated") {
			return resp.Err(syntaxError)
		}
		coordinate = true
	}
	return c.s.change(func() error {
		if err := c.s.m.Failover(args[2], coordinate); err != nil {
			return err
		}
		c.s.log.printf(LogWarning, "Executing user requested FAILOVER of '%s'", args[2])
		return nil
	})
}

func monitor(c *client, args []string) resp.Value {
	quorum, err := strconv.ParseInt(args[5], 10, 32)
	if err != nil {
		return resp.Err("ERR Invalid quorum")
	}
	port, err := strconv.ParseInt(args[4], 10, 32)
	if err != nil {
		return resp.Err("ERR Invalid port")
	}
	return c.s.change(func() error { return c.s.m.Monitor(args[2], args[3], int(port), int(quorum)) })
}

func remove(c *client, args []string) resp.Value {
	return c.s.change(func() error { return c.s.m.Remove(args[2]) })
}

func reset(c *client, args []string) resp.Value {
	n := 0
	c.s.call(func() { n = c.s.m.Reset(args[2]) })
	return resp.Int(int64(n))
}

func sentinelSet(c *client, args []string) resp.Value {
	return c.s.change(func() error { return c.s.m.Set(args[2], args[3:]) })
}

func flushConfig(c *client, _ []string) resp.Value {
	return c.s.change(func() error { c.s.m.Flush(); return nil })
}

// configOptions are the options of SENTINEL CONFIG, in the order in which they are shown.
var configOptions = []string{"resolve-hostnames", "announce-hostnames", "announce-ip", "announce-port", "sentinel-user", "sentinel-pass", "loglevel"}

func (s *Sentinel) configValue(name string, set machine.Settings) string {
	yes := map[bool]string{true: "yes", false: "no"}
	switch name {
	case "resolve-hostnames":
		return yes[set.ResolveHostnames]
	case "announce-hostnames":
		return yes[set.AnnounceHostnames]
	case "announce-ip":
		return set.AnnounceIP
	case "announce-port":
		return strconv.Itoa(set.AnnouncePort)
	case "sentinel-user":
		return set.SentinelUser
	case "sentinel-pass":
		return set.SentinelPass
	}
	return LogLevel(s.log.level.Load()).String()
}

func sentinelConfig(c *client, args []string) resp.Value {
	switch {
	case strings.EqualFold(args[2], "get") && len(args) >= 4:
		var set machine.Settings
		c.s.call(func() { set = c.s.m.Settings() })
		v := resp.Value{Kind: resp.Map}
		for _, name := range configOptions {
			if slices.ContainsFunc(args[3:], func(p string) bool { return machine.Match(strings.ToLower(p), name) }) {
				v.Elems = append(v.Elems, resp.Str(name), resp.Str(c.s.configValue(name, set)))
			}
		}
		return v
	case strings.EqualFold(args[2], "set") && len(args) >= 5:
		return c.s.setConfig(args[3:])
	}
	return resp.Err("ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.")
}

// setConfig checks all pairs before it puts any in force.
func (s *Sentinel) setConfig(pairs []string) resp.Value {
	seen := map[string]bool{}
	for i := 0; i < len(pairs); i += 2 {
		name := strings.ToLower(pairs[i])
		switch {
		case !slices.Contains(configOptions, name):
			return resp.Err(fmt.Sprintf("ERR Invalid argument '%s' to SENTINEL CONFIG SET", pairs[i]))
		case seen[name]:
			return resp.Err(fmt.Sprintf("ERR Duplicate argument '%s' to SENTINEL CONFIG SET", pairs[i]))
		case i+1 >= len(pairs):
			return resp.Err(fmt.Sprintf("ERR Missing argument '%s' value", pairs[i]))
		}
		seen[name] = true
	}
	level := LogLevel(-1)
	return s.change(func() error {
		set := s.m.Settings()
		for i := 0; i < len(pairs); i += 2 {
			value := pairs[i+1]
			ok := true
			switch strings.ToLower(pairs[i]) {
			case "resolve-hostnames":
				set.ResolveHostnames, ok = parseYesNo(value)
			case "announce-hostnames":
				set.AnnounceHostnames, ok = parseYesNo(value)
			case "announce-ip":
				set.AnnounceIP = value
			case "announce-port":
				n, err := strconv.Atoi(value)
				set.AnnouncePort, ok = n, err == nil && n >= 0 && n <= 65535
			case "sentinel-user":
				set.SentinelUser = value
			case "sentinel-pass":
				set.SentinelPass = value
			case "loglevel":
				level, ok = parseLogLevel(value)
			}
			if !ok {
				return fmt.Errorf("Invalid value '%s' to SENTINEL CONFIG SET '%s'", value, pairs[i]) //nolint:staticcheck // Redis' text
			}
		}
		if err := s.m.SetSettings(set); err != nil {
			return err
		}
		if level >= 0 {
			s.log.level.Store(int32(level))
			s.cfg.setLogLevel(level)
		}
		return nil
	})
}

func infoCache(c *client, args []string) resp.Value {
	v := resp.Value{Kind: resp.Array}
	c.s.call(func() {
		for _, name := range args[2:] {
			list, ok := c.s.m.InfoCache(name)
			if !ok {
				continue
			}
			entries := resp.Value{Kind: resp.Array}
			for _, e := range list {
				text := resp.Value{Kind: resp.Null}
				if e.Have {
					text = resp.Str(e.Text)
				}
				entries.Elems = append(entries.Elems, resp.Value{Kind: resp.Array, Elems: []resp.Value{resp.Int(e.Age), text}})
			}
			v.Elems = append(v.Elems, resp.Str(name), entries)
		}
	})
	return v
}

func pendingScripts(c *client, _ []string) resp.Value {
	var list []machine.PendingScript
	c.s.call(func() { list = c.s.m.PendingScripts() })
	v := resp.Value{Kind: resp.Array}
	for _, p := range list {
		flags, key := "scheduled", "run-delay"
		if p.Running {
			flags, key = "running", "run-time"
		}
		v.Elems = append(v.Elems, resp.Value{Kind: resp.Map, Elems: []resp.Value{
			resp.Str("argv"), resp.Strs(p.Argv...), resp.Str("flags"), resp.Str(flags), resp.Str("pid"), resp.Str(strconv.Itoa(p.PID)),
			resp.Str(key), resp.Str(strconv.FormatInt(p.Time, 10)), resp.Str("retry-num"), resp.Str(strconv.Itoa(p.Retry)),
		}})
	}
	return v
}

func simulateFailure(c *client, args []string) resp.Value {
	var f machine.Failure
	for _, a := range args[2:] {
		switch strings.ToLower(a) {
		case "crash-after-election":
			f |= machine.CrashAfterElection
		case "crash-after-promotion":
			f |= machine.CrashAfterPromotion
		case "help":
			c.s.call(func() { c.s.m.SimulateFailure(0) })
			return resp.Strs("crash-after-election", "crash-after-promotion")
		default:
			return resp.Err("ERR Unknown failure simulation specified")
		}
	}
	c.s.call(func() { c.s.m.SimulateFailure(f) })
	c.s.log.printf(LogWarning, "Failure simulation: %s", strings.Join(args[2:], " "))
	return resp.OK
}

// debugTime is one of the times of SENTINEL DEBUG.
type debugTime struct {
	name string
	ms   *int64
}

// debugTimes are those of t, in the order in which they are shown.
func debugTimes(t *machine.Tunables) []debugTime {
	return []debugTime{
		{"INFO-PERIOD", &t.InfoPeriod}, {"PING-PERIOD", &t.PingPeriod}, {"ASK-PERIOD", &t.AskPeriod}, {"PUBLISH-PERIOD", &t.PublishPeriod},
		{"DEFAULT-DOWN-AFTER", &t.DefaultDownAfter}, {"DEFAULT-FAILOVER-TIMEOUT", &t.DefaultFailoverTimeout},
		{"TILT-TRIGGER", &t.TiltTrigger}, {"TILT-PERIOD", &t.TiltPeriod}, {"SLAVE-RECONF-TIMEOUT", &t.ReplicaReconfTimeout},
		{"MIN-LINK-RECONNECT-PERIOD", &t.MinLinkReconnectPeriod}, {"ELECTION-TIMEOUT", &t.ElectionTimeout},
		{"SCRIPT-MAX-RUNTIME", &t.ScriptMaxRuntime}, {"SCRIPT-RETRY-DELAY", &t.ScriptRetryDelay},
	}
}

func sentinelDebug(c *client, args []string) resp.Value {
	var v resp.Value
	c.s.call(func() {
		t := c.s.m.Tunables()
		times := debugTimes(&t)
		if len(args) == 2 {
			v = resp.Value{Kind: resp.Map}
			for _, d := range times {
				v.Elems = append(v.Elems, resp.Str(d.name), resp.Str(strconv.FormatInt(*d.ms, 10)))
			}
			return
		}
		for rest := args[2:]; len(rest) > 0; rest = rest[2:] {
			i := slices.IndexFunc(times, func(d debugTime) bool { return strings.EqualFold(d.name, rest[0]) })
			if i < 0 || len(rest) < 2 {
				v = resp.Err(fmt.Sprintf("ERR Unknown option or number of arguments for SENTINEL DEBUG '%s'", rest[0]))
				break
			}
			n, err := strconv.ParseInt(rest[1], 10, 64)
			if err != nil || n <= 0 {
				v = resp.Err(fmt.Sprintf("ERR Invalid argument '%s' for SENTINEL DEBUG '%s'", rest[1], rest[0]))
				break
			}
			*times[i].ms = n
		}
		c.s.m.SetTunables(t)
		if v.Kind == 0 {
			v = resp.OK
		}
	})
	return v
}
