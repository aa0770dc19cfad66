package sentinel

import (
	"strconv"
	"strings"

	"picket/resp"
)

// command is one command or subcommand.
type command struct {
	name       string // sentinel|set for a subcommand
	arity      int    // words with the command itself; negative: at least so many
	flags      []string
	categories []string
	summary    string
	unlisted   bool // answered and described, but not in COMMAND LIST, which has as many as that of Redis 7.0: its own tests count them
	subs       map[string]*command
	order      []*command // of the subcommands
	run        func(c *client, args []string) resp.Value
}

// commandRows are the commands of a sentinel: name, number of words, flags, categories, what it does.
const commandRows = `
acl -2 - slow Access control lists
acl|cat -2 noscript,loading,stale slow Lists the categories, or the commands of one
acl|deluser -3 admin,noscript,loading,stale admin,slow,dangerous Removes users and ends their connections
acl|dryrun -4 admin,noscript,loading,stale admin,slow,dangerous Says whether a user may run a command
acl|genpass -2 noscript,loading,stale slow Makes a random password
acl|getuser 3 admin,noscript,loading,stale admin,slow,dangerous Shows a user
acl|help 2 loading,stale slow Shows the subcommands
acl|list 2 admin,noscript,loading,stale admin,slow,dangerous Shows all users as in the configuration file
acl|load 2 admin,noscript,loading,stale admin,slow,dangerous Reads the ACL file again
acl|log -2 admin,noscript,loading,stale admin,slow,dangerous Shows what was refused lately
acl|save 2 admin,noscript,loading,stale admin,slow,dangerous Writes the ACL file
acl|setuser -3 admin,noscript,loading,stale admin,slow,dangerous Makes or changes a user
acl|users 2 admin,noscript,loading,stale admin,slow,dangerous Lists the users
acl|whoami 2 noscript,loading,stale slow Tells the user of this connection
auth -2 noscript,loading,stale,fast,no_auth,allow_busy fast,connection Logs in
client -2 - slow Connections of clients
client|caching 3 noscript,loading,stale slow,connection Would set client tracking for the next command
client|getname 2 noscript,loading,stale slow,connection Tells the name of this connection
client|getredir 2 noscript,loading,stale slow,connection Tells where tracking messages go
client|help 2 loading,stale slow,connection Shows the subcommands
client|id 2 noscript,loading,stale slow,connection Tells the number of this connection
client|info 2 noscript,loading,stale slow,connection Shows this connection
client|kill -3 admin,noscript,loading,stale admin,slow,dangerous,connection Ends connections
client|list -2 admin,noscript,loading,stale admin,slow,dangerous,connection Lists connections
client|no-evict 3 admin,noscript,loading,stale admin,slow,dangerous,connection Protects this connection from eviction
client|pause -3 admin,noscript,loading,stale admin,slow,dangerous,connection Holds all clients back for a time
client|reply 3 noscript,loading,stale slow,connection Turns replies to this connection on or off
client|setinfo 4 noscript,loading,stale slow,connection Takes the name and version of the library at the other end
client|setname 3 noscript,loading,stale slow,connection Names this connection
client|tracking -3 noscript,loading,stale slow,connection Turns client tracking on or off
client|trackinginfo 2 noscript,loading,stale slow,connection Shows the state of client tracking
client|unblock -3 admin,noscript,loading,stale admin,slow,dangerous,connection Would wake a blocked client
client|unpause 2 admin,noscript,loading,stale admin,slow,dangerous,connection Ends a pause
command -1 loading,stale slow,connection Describes the commands
command|count 2 loading,stale slow,connection Counts them
command|docs -2 loading,stale slow,connection Describes commands in words
command|getkeys -4 loading,stale slow,connection Finds the keys in a command
command|getkeysandflags -4 loading,stale slow,connection Finds the keys in a command and how they are used
command|help 2 loading,stale slow,connection Shows the subcommands
command|info -2 loading,stale slow,connection Describes commands by figures
command|list -2 loading,stale slow,connection Lists their names
hello -1 noscript,loading,stale,fast,no_auth,allow_busy fast,connection Agrees on the version of the protocol
info -1 loading,stale slow,dangerous Shows the state of this sentinel
ping -1 fast fast,connection Answers PONG
psubscribe -2 pubsub,noscript,loading,stale pubsub,slow Listens to events by pattern
publish 3 pubsub,loading,stale,fast pubsub,fast Takes the hello of another sentinel
punsubscribe -1 pubsub,noscript,loading,stale pubsub,slow Ends listening by pattern
role 1 noscript,loading,stale,fast admin,fast,dangerous Lists the masters that are watched
sentinel -2 admin admin,slow,dangerous The commands of Sentinel
sentinel|ckquorum 3 admin admin,slow,dangerous Says whether quorum and majority can be reached
sentinel|config -3 admin admin,slow,dangerous Shows or sets options that are not about one master
sentinel|debug -2 admin admin,slow,dangerous Shows or sets the times that all is done by
sentinel|failover -3 admin admin,slow,dangerous Starts a failover by hand
sentinel|flushconfig 2 admin admin,slow,dangerous Writes the configuration file
sentinel|get-master-addr-by-name 3 admin admin,slow,dangerous Tells where a master is
sentinel|help 2 loading,stale slow Shows the subcommands
sentinel|info-cache -3 admin admin,slow,dangerous Shows the last INFO of masters and replicas
sentinel|is-master-down-by-addr 6 admin admin,slow,dangerous Answers another sentinel, and votes
sentinel|master 3 admin admin,slow,dangerous Shows a master
sentinel|masters 2 admin admin,slow,dangerous Shows all masters
sentinel|monitor 6 admin admin,slow,dangerous Begins to watch a master
sentinel|myid 2 admin admin,slow,dangerous Tells the id of this sentinel
sentinel|pending-scripts 2 admin admin,slow,dangerous Shows scripts that run or wait
sentinel|remove 3 admin admin,slow,dangerous Ends the watch over a master
sentinel|replicas 3 admin admin,slow,dangerous Shows the replicas of a master
sentinel|reset 3 admin admin,slow,dangerous Forgets what was learnt about masters
sentinel|sentinels 3 admin admin,slow,dangerous Shows the other sentinels of a master
sentinel|set -5 admin admin,slow,dangerous Changes options of a master
sentinel|simulate-failure -3 admin admin,slow,dangerous Crashes at a chosen point of the next failover
shutdown -1 admin,noscript,loading,stale,no_multi,allow_busy admin,slow,dangerous Ends this sentinel
subscribe -2 pubsub,noscript,loading,stale pubsub,slow Listens to events
unsubscribe -1 pubsub,noscript,loading,stale pubsub,slow Ends listening to events
`

// unlistedRows are those that Redis 7.0 does not have, and the old name of REPLICAS in place of CLIENT SETINFO, which is newer, too, but which the Sentinels from 7.2 on are expected to list.
const unlistedRows = `
sentinel|slaves 3 admin admin,slow,dangerous Shows the replicas of a master
sentinel|primaries 2 admin admin,slow,dangerous Shows all masters (the name in Valkey)
sentinel|primary 3 admin admin,slow,dangerous Shows a master (the name in Valkey)
sentinel|get-primary-addr-by-name 3 admin admin,slow,dangerous Tells where a master is (the name in Valkey)
sentinel|is-primary-down-by-addr 6 admin admin,slow,dangerous Answers another sentinel, and votes (the name in Valkey)
`

// commandTable are the commands by their names, commandOrder those without the subcommands in order.
var (
	commandTable = map[string]*command{}
	commandOrder []*command
)

func init() {
	for _, rows := range []string{commandRows, unlistedRows} {
		for line := range strings.Lines(strings.TrimSpace(rows)) {
			addCommand(strings.TrimSpace(line), rows == unlistedRows)
		}
	}
}

func addCommand(row string, unlisted bool) {
	f := strings.SplitN(row, " ", 5)
	c := &command{name: f[0], categories: strings.Split(f[3], ","), summary: f[4], unlisted: unlisted, run: handlers[f[0]]}
	c.arity, _ = strconv.Atoi(f[1])
	if f[2] != "-" {
		c.flags = strings.Split(f[2], ",")
	}
	if base, sub, ok := strings.Cut(c.name, "|"); ok {
		parent := commandTable[base]
		if parent.subs == nil {
			parent.subs = map[string]*command{}
		}
		parent.subs[sub] = c
		parent.order = append(parent.order, c)
		return
	}
	commandTable[c.name] = c
	commandOrder = append(commandOrder, c)
}

// rightArity reports whether a command can have n words.
func (c *command) rightArity(n int) bool { return n == c.arity || c.arity < 0 && n >= -c.arity }
