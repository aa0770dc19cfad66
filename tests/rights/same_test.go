//go:build unix

package rights

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

// Picket and mosquitto say the same to the same questions, by the same file: made by commands, kept by the one, read by the other.
func TestSameAsMosquitto(t *testing.T) {
	t.Parallel()
	ours := start(t, open)
	random := rand.New(rand.NewPCG(13, 7))
	levels := []string{"a", "b", "+", "c"}
	filter := func(wild bool) string {
		var f []string
		for range 1 + random.IntN(3) {
			f = append(f, levels[random.IntN(len(levels))])
		}
		if random.IntN(4) == 0 {
			f = append(f, "#")
		}
		s := strings.Join(f, "/")
		if !wild {
			s = strings.NewReplacer("+", "d", "#", "e").Replace(s)
		}
		return s
	}
	kinds := []string{"publishClientSend", "publishClientReceive", "subscribeLiteral", "subscribePattern", "unsubscribeLiteral", "unsubscribePattern"}
	var commands []string
	add := func(format string, args ...any) { commands = append(commands, fmt.Sprintf(format, args...)) }
	for r := range 6 {
		add(`{"command":"createRole","rolename":"r%d"}`, r)
		seen := make(map[string]bool)
		for p := range 24 {
			if kind, f := kinds[random.IntN(len(kinds))], filter(true); !seen[kind+f] {
				seen[kind+f] = true
				add(`{"command":"addRoleACL","rolename":"r%d","acltype":%q,"topic":%q,"priority":%d,"allow":%t}`, r, kind, f, p, random.IntN(2) == 0)
			}
		}
	}
	for g := range 3 {
		add(`{"command":"createGroup","groupname":"g%d","roles":[{"rolename":"r%d","priority":%d},{"rolename":"r%d","priority":%d}]}`, g, g, random.IntN(5), g+1, random.IntN(5))
	}
	for u := range 4 {
		add(`{"command":"createClient","username":"u%d","password":"p","roles":[{"rolename":"r%d","priority":1},{"rolename":"r%d","priority":%d}],"groups":[{"groupname":"g%d","priority":3},{"groupname":"g%d","priority":%d}]}`,
			u, u, u+2, random.IntN(3), u%3, (u+1)%3, random.IntN(6))
	}
	add(`{"command":"setAnonymousGroup","groupname":"g1"}`)
	add(`{"command":"setDefaultACLAccess","acls":[{"acltype":"subscribe","allow":true},{"acltype":"publishClientSend","allow":true}]}`)
	newConsole(t, dial(t, ours, packet.V5)).do(strings.Join(commands, ","))
	file, err := os.ReadFile(ours.Path("rights/dynamic-security.json"))
	if err != nil {
		t.Fatal(err)
	}
	theirs := testbed.Start(t, testbed.Options{Conf: strings.ReplaceAll(open, "allow_anonymous false", "allow_anonymous true"), Program: []string{testbed.Program(t, "mosquitto", "mosquitto"), "-c", "${CONF}"},
		Prepare: func(b *testbed.Broker) {
			if err := os.Mkdir(b.Path("rights"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(b.Path("rights/dynamic-security.json"), file, 0o600); err != nil {
				t.Fatal(err)
			}
		}})
	said := make(map[bool]int)
	for u := range 4 {
		who := user{fmt.Sprintf("u%d", u), "p", "x"}
		a, b := login(t, dial(t, ours, packet.V5), who), login(t, dial(t, theirs, packet.V5), who)
		for range 150 {
			f, name := filter(true), filter(false)
			for what, ask := range map[string]func(c *testbed.Client) packet.Code{
				"subscribe to " + f:     func(c *testbed.Client) packet.Code { return subscribe(t, c, f) },
				"unsubscribe from " + f: func(c *testbed.Client) packet.Code { return unsubscribe(t, c, f) },
				"publish to " + name:    func(c *testbed.Client) packet.Code { return publish(t, c, name) },
			} {
				is, was := ask(a), ask(b)
				if said[was.Failed()]++; is.Failed() != was.Failed() {
					t.Errorf("%s, %s: Picket %v, mosquitto %v", who.name, what, is, was)
				}
			}
		}
	}
	if said[true] < 300 || said[false] < 300 {
		t.Errorf("%d refused and %d allowed: the questions are too much alike", said[true], said[false])
	}
}
