package sentinel

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/resp"
)

const (
	notInteger  = "ERR value is not an integer or out of range"
	syntaxError = "ERR syntax error"
	badName     = "ERR Client names cannot contain spaces, newlines or special characters."
)

func validName(s string) bool {
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' {
			return false
		}
	}
	return true
}

func clientID(c *client, _ []string) resp.Value { return resp.Int(c.id) }

func clientInfo(c *client, _ []string) resp.Value {
	return resp.Value{Kind: resp.Verbatim, Str: c.info() + "\n"}
}

func clientGetName(c *client, _ []string) resp.Value {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.name == "" {
		return resp.Value{Kind: resp.Null}
	}
	return resp.Str(c.name)
}

func clientSetName(c *client, args []string) resp.Value {
	if !validName(args[2]) {
		return resp.Err(badName)
	}
	c.mu.Lock()
	c.name = args[2]
	c.mu.Unlock()
	return resp.OK
}

func clientSetInfo(c *client, args []string) resp.Value {
	i := slices.Index([]string{"lib-name", "lib-ver"}, strings.ToLower(args[2]))
	if i < 0 {
		return resp.Err(fmt.Sprintf("ERR Unrecognized option '%s'", args[2]))
	}
	if !validName(args[3]) {
		return resp.Err(fmt.Sprintf("ERR %s cannot contain spaces, newlines or special characters.", strings.ToLower(args[2])))
	}
	c.mu.Lock()
	c.lib[i] = args[3]
	c.mu.Unlock()
	return resp.OK
}

func clientList(c *client, args []string) resp.Value {
	all := c.s.allClients()
	switch {
	case len(args) == 2:
	case len(args) == 4 && strings.EqualFold(args[2], "type"):
		kind, ok := clientKind(args[3])
		if !ok {
			return resp.Err(fmt.Sprintf("ERR Unknown client type '%s'", args[3]))
		}
		all = slices.DeleteFunc(all, func(o *client) bool { return o.kind() != kind })
	case len(args) >= 4 && strings.EqualFold(args[2], "id"):
		var ids []int64
		for _, a := range args[3:] {
			id, err := strconv.ParseInt(a, 10, 64)
			if err != nil {
				return resp.Err("ERR Invalid client ID")
			}
			ids = append(ids, id)
		}
		all = slices.DeleteFunc(all, func(o *client) bool { return !slices.Contains(ids, o.id) })
	default:
		return resp.Err(syntaxError)
	}
	var b strings.Builder
	for _, o := range all {
		b.WriteString(o.info())
		b.WriteByte('\n')
	}
	return resp.Value{Kind: resp.Verbatim, Str: b.String()}
}

func clientKind(s string) (string, bool) {
	switch s = strings.ToLower(s); s {
	case "normal", "pubsub", "master", "replica":
		return s, true
	case "slave":
		return "replica", true
	}
	return "", false
}

func clientKill(c *client, args []string) resp.Value {
	if len(args) == 3 { // the old form
		for _, o := range c.s.allClients() {
			if o.addr == args[2] {
				o.kill(o == c)
				return resp.OK
			}
		}
		return resp.Err("ERR No such client")
	}
	rest := args[2:]
	if len(rest)%2 != 0 {
		return resp.Err(syntaxError)
	}
	skipMe := true
	var fits []func(o *client) bool
	for ; len(rest) > 0; rest = rest[2:] {
		v := rest[1]
		if strings.EqualFold(rest[0], "skipme") {
			yes, ok := parseYesNo(v)
			if !ok {
				return resp.Err(syntaxError)
			}
			skipMe = yes
			continue
		}
		f, wrong := c.s.clientFilter(strings.ToLower(rest[0]), v)
		if f == nil {
			return resp.Err(wrong)
		}
		fits = append(fits, f)
	}
	n := int64(0)
next:
	for _, o := range c.s.allClients() {
		if o == c && skipMe {
			continue
		}
		for _, f := range fits {
			if !f(o) {
				continue next
			}
		}
		o.kill(o == c)
		n++
	}
	return resp.Int(n)
}

// clientFilter is a condition of CLIENT KILL; nil with what is wrong with it.
func (s *Sentinel) clientFilter(name, v string) (fits func(*client) bool, wrong string) {
	switch name {
	case "id":
		id, err := strconv.ParseInt(v, 10, 64)
		if err != nil || id < 1 {
			return nil, "ERR client-id should be greater than 0"
		}
		return func(o *client) bool { return o.id == id }, ""
	case "addr":
		return func(o *client) bool { return o.addr == v }, ""
	case "laddr":
		return func(o *client) bool { return o.laddr == v }, ""
	case "type":
		kind, ok := clientKind(v)
		if !ok {
			return nil, fmt.Sprintf("ERR Unknown client type '%s'", v)
		}
		return func(o *client) bool { return o.kind() == kind }, ""
	case "user":
		if s.acl.get(v) == nil {
			return nil, fmt.Sprintf("ERR No such user '%s'", v)
		}
		return func(o *client) bool {
			o.mu.Lock()
			defer o.mu.Unlock()
			return o.userName() == v
		}, ""
	}
	return nil, syntaxError
}

func clientPause(c *client, args []string) resp.Value {
	if len(args) > 4 || len(args) == 4 && !strings.EqualFold(args[3], "all") && !strings.EqualFold(args[3], "write") {
		return resp.Err(syntaxError)
	}
	ms, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return resp.Err("ERR timeout is not an integer or out of range")
	}
	if ms < 0 {
		return resp.Err("ERR timeout is negative")
	}
	// A sentinel has no commands that write data, so nothing waits for a pause of those.
	if len(args) == 3 || strings.EqualFold(args[3], "all") {
		c.s.pause(time.Duration(min(ms, 1<<40)) * time.Millisecond)
	}
	return resp.OK
}

func clientUnpause(c *client, _ []string) resp.Value {
	c.s.pause(0)
	return resp.OK
}

func clientReply(c *client, args []string) resp.Value {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch strings.ToLower(args[2]) {
	case "on":
		c.replyOff, c.skipNext, c.skipThis = false, false, false
		return resp.OK
	case "off":
		c.replyOff = true
	case "skip":
		if !c.replyOff {
			c.skipThis, c.skipNext = true, true
		}
	default:
		return resp.Err(syntaxError)
	}
	return noReply
}

func clientUnblock(_ *client, args []string) resp.Value {
	if len(args) > 4 || len(args) == 4 && !strings.EqualFold(args[3], "timeout") && !strings.EqualFold(args[3], "error") {
		return resp.Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
	}
	if _, err := strconv.ParseInt(args[2], 10, 64); err != nil {
		return resp.Err(notInteger)
	}
	return resp.Int(0) // no command of a sentinel blocks
}

func clientNoEvict(c *client, args []string) resp.Value {
	on := strings.EqualFold(args[2], "on")
	if !on && !strings.EqualFold(args[2], "off") {
		return resp.Err(syntaxError)
	}
	c.mu.Lock()
	c.noEvict = on
	c.mu.Unlock()
	return resp.OK
}

// clientTracking is answered as by any sentinel: there are no keys, so nothing is ever invalidated.
func clientTracking(c *client, args []string) resp.Value {
	on := strings.EqualFold(args[2], "on")
	if !on && !strings.EqualFold(args[2], "off") {
		return resp.Err(syntaxError)
	}
	mode := ""
	rest := args[3:]
	for len(rest) > 0 {
		switch o := strings.ToLower(rest[0]); o {
		case "redirect":
			if len(rest) < 2 {
				return resp.Err(syntaxError)
			}
			id, err := strconv.ParseInt(rest[1], 10, 64)
			if err != nil {
				return resp.Err(notInteger)
			}
			c.s.clients.mu.Lock()
			_, ok := c.s.clients.byID[id]
			c.s.clients.mu.Unlock()
			if !ok {
				return resp.Err("ERR The client ID you want redirect to does not exist")
			}
			rest = rest[1:]
		case "prefix":
			if len(rest) < 2 {
				return resp.Err(syntaxError)
			}
			rest = rest[1:]
		case "bcast", "noloop":
		case "optin", "optout":
			if mode != "" && mode != o {
				return resp.Err("ERR You can't use both OPTIN and OPTOUT")
			}
			mode = o
		default:
			return resp.Err(syntaxError)
		}
		rest = rest[1:]
	}
	c.mu.Lock()
	c.tracking, c.cacheMode = on, mode
	c.mu.Unlock()
	return resp.OK
}

func clientTrackingInfo(c *client, _ []string) resp.Value {
	c.mu.Lock()
	defer c.mu.Unlock()
	flags := resp.Value{Kind: resp.Set}
	redirect := int64(-1)
	if c.tracking {
		flags.Elems = append(flags.Elems, resp.Str("on"))
		redirect = 0
		if c.cacheMode != "" {
			flags.Elems = append(flags.Elems, resp.Str(c.cacheMode))
		}
	} else {
		flags.Elems = append(flags.Elems, resp.Str("off"))
	}
	return resp.Value{Kind: resp.Map, Elems: []resp.Value{
		resp.Str("flags"), flags, resp.Str("redirect"), resp.Int(redirect), resp.Str("prefixes"), {Kind: resp.Array},
	}}
}

func clientCaching(c *client, args []string) resp.Value {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.tracking || c.cacheMode == "" {
		return resp.Err("ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
	}
	yes, ok := parseYesNo(args[2])
	switch {
	case !ok:
		return resp.Err(syntaxError)
	case yes && c.cacheMode != "optin":
		return resp.Err("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
	case !yes && c.cacheMode != "optout":
		return resp.Err("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
	}
	return resp.OK
}

func clientGetRedir(c *client, _ []string) resp.Value {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tracking {
		return resp.Int(0)
	}
	return resp.Int(-1)
}
