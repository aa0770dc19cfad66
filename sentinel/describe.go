package sentinel

import (
	"fmt"
	"slices"
	"strings"

	"picket/resp"
	"picket/sentinel/machine"
)

// COMMAND and HELP: what this sentinel can do, from the table of commands.

// info is a command's entry in the reply of COMMAND and COMMAND INFO.
func (cmd *command) info() resp.Value {
	flags := resp.Value{Kind: resp.Set}
	for _, f := range cmd.flags {
		flags.Elems = append(flags.Elems, resp.Value{Kind: resp.Simple, Str: f})
	}
	cats := resp.Value{Kind: resp.Set}
	for _, c := range cmd.categories {
		cats.Elems = append(cats.Elems, resp.Value{Kind: resp.Simple, Str: "@" + c})
	}
	subs := resp.Value{Kind: resp.Array}
	for _, s := range cmd.order {
		subs.Elems = append(subs.Elems, s.info())
	}
	empty := resp.Value{Kind: resp.Set}
	return resp.Value{Kind: resp.Array, Elems: []resp.Value{
		resp.Str(cmd.name), resp.Int(int64(cmd.arity)), flags, resp.Int(0), resp.Int(0), resp.Int(0), cats, empty, empty, subs,
	}}
}

func findCommand(name string) *command {
	name = strings.ToLower(name)
	if base, sub, ok := strings.Cut(name, "|"); ok {
		if c := commandTable[base]; c != nil {
			return c.subs[sub]
		}
		return nil
	}
	return commandTable[name]
}

func commandAll(_ *client, _ []string) resp.Value {
	v := resp.Value{Kind: resp.Array}
	for _, c := range commandOrder {
		v.Elems = append(v.Elems, c.info())
	}
	return v
}

func commandCount(_ *client, _ []string) resp.Value { return resp.Int(int64(len(commandOrder))) }

func commandInfo(c *client, args []string) resp.Value {
	if len(args) == 2 {
		return commandAll(c, args)
	}
	v := resp.Value{Kind: resp.Array}
	for _, n := range args[2:] {
		if cmd := findCommand(n); cmd != nil {
			v.Elems = append(v.Elems, cmd.info())
		} else {
			v.Elems = append(v.Elems, resp.Value{Kind: resp.Null})
		}
	}
	return v
}

func commandList(_ *client, args []string) resp.Value {
	fits := func(*command) bool { return true }
	if len(args) > 2 {
		if len(args) != 5 || !strings.EqualFold(args[2], "filterby") {
			return resp.Err(syntaxError)
		}
		switch v := strings.ToLower(args[4]); strings.ToLower(args[3]) {
		case "module":
			fits = func(*command) bool { return false }
		case "aclcat":
			fits = func(c *command) bool { return slices.Contains(c.categories, v) }
		case "pattern":
			fits = func(c *command) bool { return machine.Match(v, c.name) }
		default:
			return resp.Err(syntaxError)
		}
	}
	v := resp.Value{Kind: resp.Array}
	for _, cmd := range commandOrder {
		for _, c := range append([]*command{cmd}, cmd.order...) {
			if !c.unlisted && fits(c) {
				v.Elems = append(v.Elems, resp.Str(c.name))
			}
		}
	}
	return v
}

func (cmd *command) docs() resp.Value {
	group := "server"
	switch {
	case strings.HasPrefix(cmd.name, "sentinel"):
		group = "sentinel"
	case slices.Contains(cmd.categories, "pubsub"):
		group = "pubsub"
	case slices.Contains(cmd.categories, "connection"):
		group = "connection"
	}
	v := resp.Value{Kind: resp.Map, Elems: []resp.Value{resp.Str("summary"), resp.Str(cmd.summary), resp.Str("group"), resp.Str(group)}}
	if len(cmd.order) > 0 {
		subs := resp.Value{Kind: resp.Map}
		for _, s := range cmd.order {
			subs.Elems = append(subs.Elems, resp.Str(s.name), s.docs())
		}
		v.Elems = append(v.Elems, resp.Str("subcommands"), subs)
	}
	return v
}

func commandDocs(_ *client, args []string) resp.Value {
	list := commandOrder
	if len(args) > 2 {
		list = nil
		for _, n := range args[2:] {
			if cmd := findCommand(n); cmd != nil {
				list = append(list, cmd)
			}
		}
	}
	v := resp.Value{Kind: resp.Map}
	for _, c := range list {
		v.Elems = append(v.Elems, resp.Str(c.name), c.docs())
	}
	return v
}

// commandGetKeys has nothing to find: no command of a sentinel takes keys.
func commandGetKeys(c *client, args []string) resp.Value {
	if _, err := c.s.lookup(args[2:]); err != nil {
		return resp.Err("ERR Invalid command specified")
	}
	return resp.Err("ERR The command has no key arguments")
}

// help answers the HELP of a container with its subcommands.
func help(container string) func(*client, []string) resp.Value {
	return func(*client, []string) resp.Value {
		lines := []string{container + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
		for _, s := range commandTable[strings.ToLower(container)].order {
			_, name, _ := strings.Cut(s.name, "|")
			if a := helpArguments[s.name]; a != "" {
				name += " " + a
			}
			lines = append(lines, upperWord(name), fmt.Sprintf("    %s.", s.summary))
		}
		v := resp.Value{Kind: resp.Array}
		for _, l := range lines {
			v.Elems = append(v.Elems, resp.Value{Kind: resp.Simple, Str: l})
		}
		return v
	}
}

// upperWord puts the first word in capitals.
func upperWord(s string) string {
	word, rest, ok := strings.Cut(s, " ")
	if !ok {
		return strings.ToUpper(s)
	}
	return strings.ToUpper(word) + " " + rest
}

var helpArguments = map[string]string{
	"acl|cat": "[<category>]", "acl|deluser": "<username> [<username> ...]", "acl|dryrun": "<username> <command> [<arg> ...]",
	"acl|genpass": "[<bits>]", "acl|getuser": "<username>", "acl|log": "[<count> | RESET]", "acl|setuser": "<username> <rule> [<rule> ...]",
	"client|caching": "(YES|NO)", "client|kill": "<ip:port> | <option> <value> [<option> <value> ...]", "client|list": "[TYPE <type> | ID <id> ...]",
	"client|no-evict": "(ON|OFF)", "client|pause": "<milliseconds> [WRITE|ALL]", "client|reply": "(ON|OFF|SKIP)", "client|setname": "<name>",
	"client|setinfo": "(LIB-NAME|LIB-VER) <value>", "client|tracking": "(ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix>] [OPTIN] [OPTOUT] [NOLOOP]",
	"client|unblock": "<id> [TIMEOUT|ERROR]",
	"command|docs":   "[<command> ...]", "command|getkeys": "<command> [<arg> ...]", "command|getkeysandflags": "<command> [<arg> ...]",
	"command|info": "[<command> ...]", "command|list": "[FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
	"sentinel|ckquorum": "<master-name>", "sentinel|config": "GET <pattern> | SET <option> <value>", "sentinel|debug": "[<name> <milliseconds> ...]",
	"sentinel|failover": "<master-name> [COORDINATED]", "sentinel|get-master-addr-by-name": "<master-name>", "sentinel|get-primary-addr-by-name": "<name>",
	"sentinel|info-cache": "<master-name> ...", "sentinel|is-master-down-by-addr": "<ip> <port> <epoch> <runid>",
	"sentinel|is-primary-down-by-addr": "<ip> <port> <epoch> <runid>", "sentinel|master": "<master-name>", "sentinel|primary": "<name>",
	"sentinel|monitor": "<name> <ip> <port> <quorum>", "sentinel|remove": "<master-name>", "sentinel|replicas": "<master-name>",
	"sentinel|slaves": "<master-name>", "sentinel|sentinels": "<master-name>", "sentinel|reset": "<pattern>",
	"sentinel|set":              "<master-name> <option> <value> [<option> <value> ...]",
	"sentinel|simulate-failure": "[CRASH-AFTER-ELECTION] [CRASH-AFTER-PROMOTION] [HELP]",
}
