package sentinel

import (
	"fmt"
	"strings"

	"picket/resp"
)

// lookup finds a command by its words, and the subcommand where it has some. The second result is the error for the client.
func (s *Sentinel) lookup(args []string) (*command, error) {
	name := strings.ToLower(args[0])
	cmd := commandTable[name]
	if len(s.cfg.Renamed) > 0 {
		if _, renamed := s.cfg.Renamed[name]; renamed {
			cmd = nil
		}
		for old, now := range s.cfg.Renamed {
			if now == name && now != "" {
				cmd = commandTable[old]
			}
		}
	}
	if cmd == nil {
		return nil, unknownCommand(args)
	}
	if len(cmd.subs) > 0 && len(args) > 1 {
		sub := cmd.subs[strings.ToLower(args[1])]
		if sub == nil {
			return nil, fmt.Errorf("ERR unknown subcommand '%s'. Try %s HELP.", shorten(args[1], 128), strings.ToUpper(cmd.name)) //nolint:staticcheck // Redis' text
		}
		cmd = sub
	}
	if !cmd.rightArity(len(args)) {
		return nil, fmt.Errorf("ERR wrong number of arguments for '%s' command", cmd.name)
	}
	return cmd, nil
}

func shorten(s string, n int) string { return s[:min(len(s), n)] }

func unknownCommand(args []string) error {
	var b strings.Builder
	for _, a := range args[1:] {
		if b.Len() >= 128 {
			break
		}
		b.WriteString("'" + shorten(a, 128-b.Len()) + "' ")
	}
	return fmt.Errorf("ERR unknown command '%s', with args beginning with: %s", shorten(args[0], 128), b.String())
}

// whileSubscribed are the commands that a client of RESP2 may send while it is subscribed.
var whileSubscribed = map[string]bool{"ping": true, "subscribe": true, "unsubscribe": true, "psubscribe": true, "punsubscribe": true}

// execute runs one command of a client.
func (s *Sentinel) execute(c *client, args []string) resp.Value {
	s.stats.commands.Add(1)
	cmd, err := s.lookup(args)
	if err != nil {
		s.stats.errors.Add(1)
		return resp.Err(err.Error())
	}
	c.mu.Lock()
	c.lastCmd = cmd.name
	authed, u, proto := c.authed, c.user, c.proto
	c.mu.Unlock()
	if !authed && cmd.name != "auth" && cmd.name != "hello" {
		return resp.Err("NOAUTH Authentication required.")
	}
	if v, ok := s.acl.check(u, cmd, args, c); !ok {
		s.stats.errors.Add(1)
		return v
	}
	if proto == 2 && c.subscribed() && !whileSubscribed[cmd.name] {
		return resp.Err(fmt.Sprintf("ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context", cmd.name))
	}
	v := cmd.run(c, args)
	if v.Kind == resp.Error {
		s.stats.errors.Add(1)
	}
	return v
}

// handlers are the functions behind the commands. Those of the containers without a subcommand are never run, except COMMAND's.
var handlers = map[string]func(c *client, args []string) resp.Value{
	"ping": ping, "auth": auth, "hello": helloCommand, "info": infoCommand, "role": role, "shutdown": shutdown, "publish": publish,
	"subscribe": subscribe, "unsubscribe": unsubscribe, "psubscribe": psubscribe, "punsubscribe": punsubscribe,
	"command": commandAll, "command|count": commandCount, "command|docs": commandDocs, "command|getkeys": commandGetKeys,
	"command|getkeysandflags": commandGetKeys, "command|help": help("COMMAND"), "command|info": commandInfo, "command|list": commandList,

	"acl|cat": aclCat, "acl|deluser": aclDelUser, "acl|dryrun": aclDryRun, "acl|genpass": aclGenPass, "acl|getuser": aclGetUser,
	"acl|help": help("ACL"), "acl|list": aclList, "acl|load": aclLoad, "acl|log": aclLog, "acl|save": aclSave, "acl|setuser": aclSetUser,
	"acl|users": aclUsers, "acl|whoami": aclWhoAmI,

	"client|caching": clientCaching, "client|getname": clientGetName, "client|getredir": clientGetRedir, "client|help": help("CLIENT"),
	"client|id": clientID, "client|info": clientInfo, "client|kill": clientKill, "client|list": clientList, "client|no-evict": clientNoEvict,
	"client|pause": clientPause, "client|reply": clientReply, "client|setname": clientSetName, "client|setinfo": clientSetInfo,
	"client|tracking": clientTracking, "client|trackinginfo": clientTrackingInfo, "client|unblock": clientUnblock, "client|unpause": clientUnpause,

	"sentinel|ckquorum": ckQuorum, "sentinel|config": sentinelConfig, "sentinel|debug": sentinelDebug, "sentinel|failover": failover,
	"sentinel|flushconfig": flushConfig, "sentinel|get-master-addr-by-name": masterAddr, "sentinel|get-primary-addr-by-name": masterAddr,
	"sentinel|help": help("SENTINEL"), "sentinel|info-cache": infoCache, "sentinel|is-master-down-by-addr": isMasterDown,
	"sentinel|is-primary-down-by-addr": isMasterDown, "sentinel|master": oneMaster, "sentinel|primary": oneMaster,
	"sentinel|masters": masters, "sentinel|primaries": masters, "sentinel|monitor": monitor, "sentinel|myid": myID,
	"sentinel|pending-scripts": pendingScripts, "sentinel|remove": remove, "sentinel|replicas": replicas, "sentinel|slaves": replicas,
	"sentinel|reset": reset, "sentinel|sentinels": sentinels, "sentinel|set": sentinelSet, "sentinel|simulate-failure": simulateFailure,
}

func ping(c *client, args []string) resp.Value {
	if len(args) > 2 {
		return resp.Err("ERR wrong number of arguments for 'ping' command")
	}
	c.mu.Lock()
	proto := c.proto
	c.mu.Unlock()
	if proto == 2 && c.subscribed() {
		msg := ""
		if len(args) == 2 {
			msg = args[1]
		}
		return resp.Strs("pong", msg)
	}
	if len(args) == 2 {
		return resp.Str(args[1])
	}
	return resp.Value{Kind: resp.Simple, Str: "PONG"}
}

const wrongPass = "WRONGPASS invalid username-password pair or user is disabled."

func auth(c *client, args []string) resp.Value {
	if len(args) > 3 {
		return resp.Err("ERR syntax error")
	}
	name, pass := "default", args[len(args)-1]
	if len(args) == 3 {
		name = args[1]
	} else if c.s.acl.defaultNoPass() {
		return resp.Err("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
	}
	if !c.login(name, pass) {
		return resp.Err(wrongPass)
	}
	return resp.OK
}

func (c *client) login(name, pass string) bool {
	u, ok := c.s.acl.login(name, pass)
	if !ok {
		c.s.acl.logDenied(c, "auth", name, "AUTH")
		return false
	}
	c.mu.Lock()
	c.user, c.authed = u, true
	c.mu.Unlock()
	return true
}

func helloCommand(c *client, args []string) resp.Value {
	c.mu.Lock()
	proto, authed := c.proto, c.authed
	c.mu.Unlock()
	rest := args[1:]
	if len(rest) > 0 {
		switch rest[0] {
		case "2":
			proto = 2
		case "3":
			proto = 3
		default:
			for i := range len(rest[0]) {
				if d := rest[0][i]; d < '0' || d > '9' {
					return resp.Err("ERR Protocol version is not an integer or out of range")
				}
			}
			return resp.Err("NOPROTO unsupported protocol version")
		}
		rest = rest[1:]
	}
	var name *string
	for len(rest) > 0 {
		switch option := strings.ToLower(rest[0]); {
		case option == "auth" && len(rest) >= 3:
			if !c.login(rest[1], rest[2]) {
				return resp.Err(wrongPass)
			}
			authed = true
			rest = rest[3:]
		case option == "setname" && len(rest) >= 2:
			if !validName(rest[1]) {
				return resp.Err(badName)
			}
			name = &rest[1]
			rest = rest[2:]
		default:
			return resp.Err(fmt.Sprintf("ERR Syntax error in HELLO option '%s'", rest[0]))
		}
	}
	if !authed {
		return resp.Err("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
	}
	c.mu.Lock()
	c.proto = proto
	if name != nil {
		c.name = *name
	}
	c.mu.Unlock()
	return resp.Value{Kind: resp.Map, Elems: []resp.Value{
		resp.Str("server"), resp.Str("redis"), resp.Str("version"), resp.Str(redisVersion), resp.Str("proto"), resp.Int(int64(proto)),
		resp.Str("id"), resp.Int(c.id), resp.Str("mode"), resp.Str("sentinel"), resp.Str("modules"), {Kind: resp.Array},
	}}
}

func role(c *client, _ []string) resp.Value {
	var names []string
	c.s.call(func() { names = c.s.m.Names() })
	return resp.Value{Kind: resp.Array, Elems: []resp.Value{resp.Str("sentinel"), resp.Strs(names...)}}
}

// shutdown ends the process. There is nothing to save: the configuration file is always up to date.
func shutdown(c *client, args []string) resp.Value {
	var save, nosave, abort, other bool
	for _, a := range args[1:] {
		switch strings.ToLower(a) {
		case "save":
			save = true
		case "nosave":
			nosave = true
		case "now", "force":
			other = true
		case "abort":
			abort = true
		default:
			return resp.Err("ERR syntax error")
		}
	}
	if save && nosave || abort && (save || nosave || other) {
		return resp.Err("ERR syntax error")
	}
	if abort {
		return resp.Err("ERR No shutdown in progress.")
	}
	c.s.log.printf(LogWarning, "User requested shutdown...")
	c.s.stop(nil)
	return noReply
}
