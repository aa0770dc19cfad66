//go:build linux

package sentinel

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

func (g *group) addresses() (all []string) {
	for _, s := range g.sentinels {
		all = append(all, s.addr())
	}
	return all
}

// TestClientLibraries: the failover clients of go-redis and rueidis find the master through us, and the next one after a failover.
func TestClientLibraries(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{})
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()

	goRedis := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "mymaster", SentinelAddrs: g.addresses()})
	defer func() { _ = goRedis.Close() }()
	rue, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: g.addresses(), Sentinel: rueidis.SentinelOption{MasterSet: "mymaster"}, DisableCache: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer rue.Close()
	set := map[string]func(v string) error{
		"go-redis": func(v string) error { return goRedis.Set(ctx, "go-redis", v, 0).Err() },
		"rueidis":  func(v string) error { return rue.Do(ctx, rue.B().Set().Key("rueidis").Value(v).Build()).Error() },
	}
	for name, f := range set {
		if err := f("before"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	old := g.current()
	old.kill()
	g.switched(old)
	for name, f := range set {
		eventually(t, name+" writes to the new master", func() bool { return f("after") == nil })
		if v := g.current().do("GET", name); v.Str != "after" {
			t.Errorf("%s: the new master has %q", name, v.Str)
		}
	}

	// What go-redis offers for sentinels themselves.
	c := redis.NewSentinelClient(&redis.Options{Addr: g.addresses()[0]})
	defer func() { _ = c.Close() }()
	addr, err := c.GetMasterAddrByName(ctx, "mymaster").Result()
	if err != nil || len(addr) != 2 || addr[1] != strconv.Itoa(g.current().port) {
		t.Errorf("GetMasterAddrByName: %v, %v", addr, err)
	}
	if m, err := c.Master(ctx, "mymaster").Result(); err != nil || m["quorum"] != "2" {
		t.Errorf("Master: %v, %v", m, err)
	}
	if s, err := c.Sentinels(ctx, "mymaster").Result(); err != nil || len(s) != 2 {
		t.Errorf("Sentinels: %v, %v", s, err)
	}
	if s, err := c.CkQuorum(ctx, "mymaster").Result(); err != nil || !strings.HasPrefix(s, "OK 3 usable Sentinels.") {
		t.Errorf("CkQuorum: %v, %v", s, err)
	}
}

// TestRedisCLI: what people type.
func TestRedisCLI(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 2, sentinels: "p", quorum: 1, unhurried: true})
	cli := func(args ...string) string {
		out, err := exec.Command("redis-cli", append([]string{"-p", strconv.Itoa(g.sentinels[0].port)}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("redis-cli %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for _, c := range []struct{ command, want string }{
		{"ping", "PONG"},
		{"ping hello", "hello"},
		{"role", "sentinel\nmymaster"},
		{"sentinel get-master-addr-by-name mymaster", "127.0.0.1\n" + strconv.Itoa(g.servers[0].port)},
		{"sentinel get-primary-addr-by-name mymaster", "127.0.0.1\n" + strconv.Itoa(g.servers[0].port)},
		{"sentinel get-master-addr-by-name nobody", ""},
		{"sentinel master nobody", "ERR No such master with that name"},
		{"sentinel ckquorum mymaster", "OK 1 usable Sentinels. Quorum and failover authorization can be reached"},
		{"sentinel nonsense", "ERR unknown subcommand 'nonsense'. Try SENTINEL HELP."},
		{"sentinel", "ERR wrong number of arguments for 'sentinel' command"},
		{"sentinel set mymaster quorum", "ERR wrong number of arguments for 'sentinel|set' command"},
		{"get key", "ERR unknown command 'get', with args beginning with: 'key'"},
		{"quit", "ERR unknown command 'quit', with args beginning with:"},
		{"publish somewhere text", "ERR Only HELLO messages are accepted by Sentinel instances."},
		{"publish __sentinel__:hello nonsense", "1"},
		{"sentinel is-master-down-by-addr 127.0.0.1 x 0 *", "ERR value is not an integer or out of range"},
		{"sentinel is-master-down-by-addr 127.0.0.1 1 0 *", "0\n*\n0"},
		{"sentinel monitor mymaster 127.0.0.1 1 1", "ERR Duplicate master name."},
		{"sentinel monitor other 127.0.0.1 99999 1", "ERR Invalid port number."},
		{"sentinel monitor other 127.0.0.1 1 0", "ERR Quorum must be 1 or greater."},
		{"sentinel monitor other somewhere.invalid 1 1", "ERR Invalid IP address or hostname specified"},
		{"sentinel config get announce-*", "announce-hostnames\nno\nannounce-ip\n\nannounce-port\n0"},
		{"sentinel config set nonsense 1", "ERR Invalid argument 'nonsense' to SENTINEL CONFIG SET"},
		{"sentinel config set announce-port x", "ERR Invalid value 'x' to SENTINEL CONFIG SET 'announce-port'"},
		{"sentinel debug ping-period 0", "ERR Invalid argument '0' for SENTINEL DEBUG 'ping-period'"},
		{"sentinel simulate-failure help", "crash-after-election\ncrash-after-promotion"},
		{"sentinel simulate-failure x", "ERR Unknown failure simulation specified"},
		{"sentinel pending-scripts", ""},
		{"sentinel info-cache nobody", ""},
		{"command count", "15"},
		{"acl whoami", "default"},
		{"client getname", ""},
		{"auth x", "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?"},
	} {
		if got := cli(strings.Fields(c.command)...); got != c.want {
			t.Errorf("%s:\n%s\nwant:\n%s", c.command, got, c.want)
		}
	}
	if n := len(strings.Fields(cli("command", "list"))); n != 72 {
		t.Errorf("COMMAND LIST has %d names, want 72", n)
	}
	if out := cli("sentinel", "debug"); !strings.HasPrefix(out, "INFO-PERIOD\n10000\nPING-PERIOD\n1000\n") || len(strings.Fields(out)) != 26 {
		t.Errorf("SENTINEL DEBUG: %s", out)
	}
	if out := cli("-3", "sentinel", "primaries"); !strings.Contains(out, "num-other-sentinels") {
		t.Errorf("SENTINEL PRIMARIES in RESP3: %s", out)
	}
	for _, absent := range []string{"memory", "replication", "persistence", "cluster_enabled"} {
		if strings.Contains(strings.ToLower(cli("info")), "# "+absent) {
			t.Errorf("INFO has a section %s", absent)
		}
	}
}

// TestSubscribe: events reach subscribers by name and by pattern, in both versions of the protocol.
func TestSubscribe(t *testing.T) {
	t.Parallel()
	g := newGroup(t, options{servers: 2, sentinels: "p", quorum: 1})
	s := g.sentinels[0]
	c := s.open()
	if v, _ := c.do("PSUBSCRIBE", "+s*"); fmt.Sprint(v.Elems[0].Str, v.Elems[2].Int) != "psubscribe1" {
		t.Fatalf("PSUBSCRIBE: %+v", v)
	}
	if v, _ := c.do("SENTINEL", "MASTERS"); !v.IsError("ERR") || !strings.Contains(v.Str, "Can't execute 'sentinel|masters'") {
		t.Errorf("a command of a subscribed client of version 2: %+v", v)
	}
	if v, _ := c.do("PING"); len(v.Elems) != 2 || v.Elems[0].Str != "pong" {
		t.Errorf("PING of a subscribed client of version 2: %+v", v)
	}
	s.ok("SENTINEL", "SET", "mymaster", "quorum", "1")
	v, err := c.r.Value()
	if err != nil || len(v.Elems) != 4 || v.Elems[2].Str != "+set" || v.Elems[3].Str != fmt.Sprintf("master mymaster 127.0.0.1 %d quorum 1", g.servers[0].port) {
		t.Errorf("event: %+v, %v", v, err)
	}
	three := s.open()
	if _, err := three.do("HELLO", "3"); err != nil {
		t.Fatal(err)
	}
	if v, _ := three.do("SUBSCRIBE", "+set"); v.Kind != '>' {
		t.Errorf("SUBSCRIBE in version 3 is confirmed by %+v, want a push", v)
	}
	if v, _ := three.do("SENTINEL", "MYID"); len(v.Str) != 40 {
		t.Errorf("a command of a subscribed client of version 3: %+v", v)
	}
}
