package firewall

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// read gives the filter that the files in testdata were recorded from, real outputs of Debian 12's programs.
func read(t testing.TB, names ...string) *Ruleset {
	t.Helper()
	var parts []*Ruleset
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		var part *Ruleset
		if strings.HasSuffix(name, ".json") {
			part, err = ParseNFT(data)
		} else {
			part, err = ParseIPTables(data, strings.HasSuffix(name, ".ip6tables-save"))
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		parts = append(parts, part)
	}
	return Join(parts...)
}

// show is a decision as one line.
func show(d Decision) string {
	s := d.Verdict.String()
	if d.Reset {
		s += " by reset"
	}
	s += " | " + d.Where + " | " + d.Rule
	if d.To.IsValid() {
		s += fmt.Sprintf(" | to %s", d.To)
		if d.Forwarded {
			s += " elsewhere"
		}
	}
	for _, e := range d.Exceptions {
		s += fmt.Sprintf(" | but %s%s: %s", e.Verdict, map[Dependence]string{OnTime: " by the time", OnContent: " by its content"}[e.On], e.Rule)
	}
	if d.Most {
		s += " | for most"
	}
	if d.Rate != nil {
		s += fmt.Sprintf(" | too often %s: %s", d.Rate.Verdict, d.Rate.Rule)
	}
	return s
}

func TestRecordedFilters(t *testing.T) {
	v4, v6 := netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("2001:db8::10")
	docker := []Interface{
		{"eth0", []netip.Prefix{netip.MustParsePrefix("203.0.113.10/24"), netip.MustParsePrefix("2001:db8::10/64")}},
		{"docker0", []netip.Prefix{netip.MustParsePrefix("172.17.0.1/16")}},
	}
	for _, c := range []struct {
		files string
		to    netip.Addr
		port  uint16
		want  string
	}{
		// ufw, which iptables shows in full and nft only in part.
		{"ufw.iptables-save ufw.ip6tables-save ufw.nft.json", v4, 22, `accept | iptables filter ufw-user-input | -A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT`},
		{"ufw.iptables-save ufw.ip6tables-save ufw.nft.json", v4, 1883, `drop | iptables filter INPUT |  | but accept: -A ufw-user-input -s 10.0.0.0/8 -p tcp -m tcp --dport 1883 -j ACCEPT`},
		{"ufw.iptables-save ufw.ip6tables-save ufw.nft.json", v6, 1883, `drop | iptables filter INPUT | `},
		{"ufw.iptables-save ufw.ip6tables-save ufw.nft.json", v4, 8883, `drop | iptables filter ufw-user-input | -A ufw-user-input -p tcp -m tcp --dport 8883 -j DROP`},
		{"ufw.iptables-save ufw.ip6tables-save ufw.nft.json", v4, 8884, `reject by reset | iptables filter ufw-user-input | -A ufw-user-input -p tcp -m tcp --dport 8884 -j REJECT --reject-with tcp-reset`},
		{"ufw.iptables-save ufw.ip6tables-save ufw.nft.json", v4, 9001, `accept | iptables filter ufw-user-limit-accept | -A ufw-user-limit-accept -j ACCEPT | too often reject: -A ufw-user-limit -j REJECT --reject-with icmp-port-unreachable`},
		{"ufw.iptables-save ufw.ip6tables-save ufw.nft.json", v6, 22, `accept | iptables filter ufw6-user-input | -A ufw6-user-input -p tcp -m tcp --dport 22 -j ACCEPT`},
		{"ufw.iptables-save ufw.ip6tables-save ufw.nft.json", v4, 445, `drop | iptables filter ufw-skip-to-policy-input | -A ufw-skip-to-policy-input -j DROP`},

		{"firewalld.nft.json", v4, 1883, `accept | inet firewalld filter_IN_public_allow | tcp dport 1883 accept`},
		{"firewalld.nft.json", v6, 1883, `accept | inet firewalld filter_IN_public_allow | tcp dport 1883 accept`},
		{"firewalld.nft.json", v4, 9001, `reject | inet firewalld filter_IN_public | reject with icmpx admin-prohibited`},
		{"firewalld.nft.json", v4, 8883, `reject | inet firewalld filter_IN_public | reject with icmpx admin-prohibited | but accept: ip saddr 192.0.2.0/24 tcp dport 8883 accept`},
		{"firewalld.nft.json", v4, 8884, `reject | inet firewalld filter_IN_public_deny | tcp dport 8884 reject with icmp port-unreachable`},

		// A published port goes to the container past the INPUT chain.
		{"docker.iptables-save docker.nft.json", v4, 1883, `accept | iptables filter DOCKER | -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 1883 -j ACCEPT | to 172.17.0.2:1883 elsewhere`},
		{"docker.iptables-save docker.nft.json", v4, 9001, `drop | iptables filter INPUT | `},
		{"docker.iptables-save docker.nft.json", v4, 443, `accept | iptables filter INPUT | -A INPUT -p tcp -m multiport --dports 22,80,443 -j ACCEPT`},
		// Without iptables-save, what nft cannot show is not guessed.
		{"docker.nft.json", v4, 443, `drop | ip filter INPUT |  | but accept: xt match conntrack accept | but accept: meta l4proto tcp xt match multiport accept`},

		// Appended below the rule that rejects all.
		{"oracle.iptables-save", v4, 22, `accept | iptables-legacy filter INPUT | -A INPUT -p tcp -m state --state NEW -m tcp --dport 22 -j ACCEPT`},
		{"oracle.iptables-save", v4, 1883, `reject | iptables-legacy filter INPUT | -A INPUT -j REJECT --reject-with icmp-host-prohibited`},
		{"oracle.iptables-save", v6, 1883, `accept |  | `},

		{"plain.nft.json", v4, 22, `accept | inet filter input | tcp dport 22 ct state new limit rate 15/minute accept | but drop: ip saddr @blocked drop | too often drop: `},
		{"plain.nft.json", v4, 1883, `drop | inet filter input |  | but accept: ip saddr @allowed tcp dport { 1883, 8000-8100 } accept`},
		{"plain.nft.json", v4, 8050, `drop | inet filter input |  | but accept: ip saddr @allowed tcp dport { 1883, 8000-8100 } accept`},
		{"plain.nft.json", v6, 1883, `drop | inet filter input | `},
		{"plain.nft.json", v4, 1884, `accept | inet filter input | tcp dport vmap @ports | but drop: ip saddr @blocked drop`},
		{"plain.nft.json", v4, 1885, `drop | inet filter input | tcp dport vmap @ports`},
		{"plain.nft.json", v4, 8883, `accept | inet filter input | iifname eth0 tcp dport 8883 tcp flags & fin & syn & rst & ack syn accept comment "mqtt over tls" | but drop: ip saddr @blocked drop`},
		{"plain.nft.json", v4, 443, `accept | inet filter input | iifname eth0 tcp dport 8883 tcp flags & fin & syn & rst & ack syn accept comment "mqtt over tls" | to 203.0.113.10:8883 | but drop: ip saddr @blocked drop`},
		{"plain.nft.json", v4, 7000, `accept | ip filter2 forward |  | to 172.17.0.2:1883 elsewhere`},
		{"plain.nft.json", v4, 9001, `reject by reset | inet filter late | tcp dport 9001 reject with tcp reset | but drop: ip saddr @blocked drop`},
		{"plain.nft.json", v4, 9002, `reject | inet filter late | tcp dport 9002 reject with icmpx port-unreachable | but drop: ip saddr @blocked drop`},
		{"plain.nft.json", v4, 9003, `drop | inet filter input |  | but accept: meta mark 1 tcp dport 9003 accept`},
		{"plain.nft.json", v4, 9004, `drop | inet filter input | `},
		{"plain.nft.json", v6, 9004, `accept | inet filter late | meta nfproto ipv6 tcp dport 9004 accept`},
		{"plain.nft.json", v4, 9005, `accept | inet filter late | th dport 9005 accept | but drop: ip saddr @blocked drop`},
		{"plain.nft.json", v4, 9007, `drop | inet filter input |  | but accept: ip saddr . tcp dport { 192.0.2.1 . 9007 } accept`},
		{"plain.nft.json", v4, 9008, `drop | inet filter input | `},
		{"plain.nft.json", v6, 9009, `accept | inet filter late | tcp sport 1024-65535 tcp dport 9009 accept`},
		{"plain.nft.json", v6, 9010, `accept | inet filter late | tcp flags syn tcp dport 9010 accept`},
		{"plain.nft.json", v6, 9011, `accept | inet filter late | ct state new, untracked tcp dport 9011 accept`},
	} {
		rules := read(t, strings.Fields(c.files)...)
		got := show(rules.Decide(Packet{To: c.to, Port: c.port, In: "eth0"}, docker))
		if got != c.want {
			t.Errorf("%s, port %d of %s:\n got %s\nwant %s", c.files, c.port, c.to, got, c.want)
		}
	}
}

// A sender that is known meets the rules for it.
func TestKnownSender(t *testing.T) {
	to := netip.MustParseAddr("203.0.113.10")
	for from, want := range map[string]Verdict{"10.1.2.3": Accept, "192.0.2.1": Drop} {
		d := read(t, "ufw.iptables-save").Decide(Packet{From: netip.MustParseAddr(from), To: to, Port: 1883, In: "eth0"}, nil)
		if d.Verdict != want || len(d.Exceptions) > 0 {
			t.Errorf("from %s: %s", from, show(d))
		}
	}
	for from, want := range map[string]Verdict{"192.0.2.7": Accept, "198.51.100.7": Accept, "198.51.100.66": Drop, "198.51.100.8": Drop} {
		d := read(t, "plain.nft.json").Decide(Packet{From: netip.MustParseAddr(from), To: to, Port: 1883, In: "eth0"}, nil)
		if d.Verdict != want || len(d.Exceptions) > 0 {
			t.Errorf("from %s: %s", from, show(d))
		}
	}
}

func TestWhoManagesTheFilter(t *testing.T) {
	if s := read(t, "ufw.iptables-save"); !s.HasChain("ufw-user-input") || s.Empty() || s.Source != "iptables" {
		t.Error("ufw's chains are not there")
	}
	if s := read(t, "firewalld.nft.json"); !s.HasTable("firewalld") || s.Source != "nft" {
		t.Error("firewalld's table is not there")
	}
	empty, err := ParseNFT([]byte(`{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "ip", "name": "filter"}},
		{"chain": {"family": "ip", "table": "filter", "name": "INPUT", "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}}]}`))
	if err != nil || !empty.Empty() {
		t.Errorf("%v, empty %t", err, empty.Empty())
	}
	if d := empty.Decide(Packet{To: netip.MustParseAddr("192.0.2.1"), Port: 1}, nil); d.Verdict != Accept || d.Rule != "" {
		t.Errorf("an empty filter: %s", show(d))
	}
}

func TestBadInput(t *testing.T) {
	for _, text := range []string{"-A INPUT -j ACCEPT", "*filter\n-A INPUT -j ACCEPT", "*filter\n:INPUT", "*filter\nhello", "*filter\n:INPUT DROP\n-A INPUT -m comment --comment \"open"} {
		if _, err := ParseIPTables([]byte(text), false); err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"", "[]", `{"nftables": [{"rule": {"family": "ip", "table": "t", "chain": "c", "expr": []}}]}`, `{"nftables": [{"chain": 7}]}`} {
		if _, err := ParseNFT([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

func FuzzIPTables(f *testing.F) {
	for _, name := range []string{"ufw.iptables-save", "docker.iptables-save", "oracle.iptables-save"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("*filter\n:INPUT DROP [0:0]\n:a - [0:0]\n-A INPUT -j a\n-A a -g a\nCOMMIT")
	f.Add("*nat\n:PREROUTING ACCEPT\n-A PREROUTING ! -i lo+ -p tcp --dport 1:,5 -j DNAT --to-destination [::1]:7-9")
	f.Fuzz(func(t *testing.T, text string) {
		for _, v6 := range []bool{false, true} {
			s, err := ParseIPTables([]byte(text), v6)
			if err != nil {
				continue
			}
			ask(t, s)
		}
	})
}

func FuzzNFT(f *testing.F) {
	for _, name := range []string{"plain.nft.json", "docker.nft.json"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add(`{"nftables": [{"chain": {"family": "ip", "table": "t", "name": "c", "hook": "input"}}, {"rule": {"family": "ip", "table": "t", "chain": "c",
		"expr": [{"vmap": {"key": {"meta": {"key": "iifname"}}, "data": {"set": [["eth*", {"goto": {"target": "c"}}]]}}}]}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseNFT([]byte(text))
		if err == nil {
			ask(t, s)
		}
	})
}

// ask asks about some packets: there is always an answer.
func ask(t *testing.T, s *Ruleset) {
	t.Helper()
	for _, to := range []string{"203.0.113.10", "2001:db8::10"} {
		for _, from := range []netip.Addr{{}, netip.MustParseAddr(to).Next()} {
			d := s.Decide(Packet{From: from, To: netip.MustParseAddr(to), Port: 1883, In: "eth0"}, nil)
			if d.Verdict < Accept || d.Verdict > Unknown {
				t.Fatalf("the verdict is %d", d.Verdict)
			}
		}
	}
	s.Empty()
}

// Rules of tutorials: both ways of a connection, all senders but some, only so many in a time, and nftables' own table named as iptables' are.
func TestBothWaysAndAllSenders(t *testing.T) {
	v4 := netip.MustParseAddr("203.0.113.10")
	save := func(rules ...string) *Ruleset {
		text := "# Generated by iptables-save v1.8.9 (nf_tables)\n*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n" + strings.Join(rules, "\n") + "\nCOMMIT\n"
		r, err := ParseIPTables([]byte(text), false)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	native, err := ParseNFT([]byte(`{"nftables":[{"table":{"family":"ip","name":"filter"}},{"chain":{"family":"ip","table":"filter","name":"input","type":"filter","hook":"input","prio":0,"policy":"accept"}},
		{"rule":{"family":"ip","table":"filter","chain":"input","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":1883}},{"drop":null}]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	marked := func(early, late string) *Ruleset {
		r, err := ParseIPTables([]byte("# Generated by iptables-save v1.8.9 (nf_tables)\n*mangle\n:PREROUTING ACCEPT [0:0]\n"+early+"\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n"+late+"\nCOMMIT\n"), false)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	marks, err := ParseNFT([]byte(`{"nftables":[{"table":{"family":"inet","name":"guard"}},{"chain":{"family":"inet","table":"guard","name":"early","type":"filter","hook":"prerouting","prio":-150,"policy":"accept"}},
		{"chain":{"family":"inet","table":"guard","name":"in","type":"filter","hook":"input","prio":0,"policy":"accept"}},
		{"rule":{"family":"inet","table":"guard","chain":"early","expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":1883}},{"mangle":{"key":{"meta":{"key":"mark"}},"value":9}}]}},
		{"rule":{"family":"inet","table":"guard","chain":"in","expr":[{"match":{"op":"==","left":{"meta":{"key":"mark"}},"right":9}},{"drop":null}]}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	v6 := netip.MustParseAddr("2001:db8::10")
	tracked := func(early string, late ...string) *Ruleset {
		r, err := ParseIPTables([]byte("# Generated by iptables-save v1.8.9 (nf_tables)\n*raw\n:PREROUTING ACCEPT [0:0]\n"+early+"\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"+strings.Join(late, "\n")+"\nCOMMIT\n"), false)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	neighbours := func(allowed string) *Ruleset {
		left := `{"payload":{"protocol":"tcp","field":"dport"}},"right":1883`
		if allowed == "icmpv6" {
			left = `{"payload":{"protocol":"icmpv6","field":"type"}},"right":{"set":["nd-neighbor-solicit","nd-router-advert"]}`
		}
		r, err := ParseNFT([]byte(`{"nftables":[{"table":{"family":"inet","name":"guard"}},{"chain":{"family":"inet","table":"guard","name":"in","type":"filter","hook":"input","prio":0,"policy":"drop"}},
			{"rule":{"family":"inet","table":"guard","chain":"in","expr":[{"match":{"op":"==","left":` + left + `}},{"accept":null}]}}]}`))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, c := range []struct {
		name  string
		rules *Ruleset
		p     Packet
		want  string
	}{
		{"output", save("-A OUTPUT -p tcp -m tcp --sport 1883 -j DROP"), Packet{To: v4, Port: 1883, Reply: true, In: "eth0"}, "drop | iptables filter OUTPUT | -A OUTPUT -p tcp -m tcp --sport 1883 -j DROP"},
		{"output, and what comes in", save("-A OUTPUT -p tcp -m tcp --sport 1883 -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "accept | iptables filter INPUT | "},
		{"output, established", save("-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A OUTPUT -j DROP"), Packet{To: v4, Port: 1883, Reply: true, In: "eth0"}, "accept | iptables filter OUTPUT | -A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"},
		{"all but a network", save("-A INPUT ! -s 192.168.0.0/16 -p tcp -m tcp --dport 1883 -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "drop | iptables filter INPUT | -A INPUT ! -s 192.168.0.0/16 -p tcp -m tcp --dport 1883 -j DROP | for most"},
		{"all but the own network", save("-A INPUT ! -s 203.0.113.0/24 -p tcp -m tcp --dport 1883 -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "accept | iptables filter INPUT |  | but drop: -A INPUT ! -s 203.0.113.0/24 -p tcp -m tcp --dport 1883 -j DROP"},
		{"all but a network, one of it", save("-A INPUT ! -s 192.168.0.0/16 -p tcp -m tcp --dport 1883 -j DROP"), Packet{From: netip.MustParseAddr("192.168.3.4"), To: v4, Port: 1883, In: "eth0"}, "accept | iptables filter INPUT | "},
		{"a rate", save("-A INPUT -p tcp -m tcp --dport 1883 -m limit --limit 3/min -j ACCEPT", "-A INPUT -p tcp -m tcp --dport 1883 -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"},
			"accept | iptables filter INPUT | -A INPUT -p tcp -m tcp --dport 1883 -m limit --limit 3/min -j ACCEPT | too often drop: -A INPUT -p tcp -m tcp --dport 1883 -j DROP"},
		{"a rate for each", save("-A INPUT -p tcp -m tcp --dport 1883 -m hashlimit --hashlimit-above 2/min --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name x -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"},
			"accept | iptables filter INPUT |  | too often drop: -A INPUT -p tcp -m tcp --dport 1883 -m hashlimit --hashlimit-above 2/min --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-name x -j DROP"},
		{"what it opens itself", save("-A OUTPUT -p tcp -m tcp --dport 1883 -j DROP"), Packet{From: netip.MustParseAddr("192.0.2.1"), To: v4, Port: 1883, Opening: true, In: "eth0"}, "drop | iptables filter OUTPUT | -A OUTPUT -p tcp -m tcp --dport 1883 -j DROP"},
		{"what it opens itself, and answers", save("-A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A OUTPUT -j DROP"), Packet{From: netip.MustParseAddr("192.0.2.1"), To: v4, Port: 1883, Opening: true, In: "eth0"}, "drop | iptables filter OUTPUT | -A OUTPUT -j DROP"},
		{"what answers it", save("-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT", "-A INPUT -j DROP"), Packet{From: netip.MustParseAddr("192.0.2.1"), To: v4, Port: 1883, Answer: true, In: "eth0"}, "drop | iptables filter INPUT | -A INPUT -j DROP"},
		{"what answers it, established", save("-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "-A INPUT -j DROP"), Packet{From: netip.MustParseAddr("192.0.2.1"), To: v4, Port: 1883, Answer: true, In: "eth0"}, "accept | iptables filter INPUT | -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"},
		{"what it opens itself, elsewhere", save("-A OUTPUT -d 198.51.100.0/24 -j DROP"), Packet{From: netip.MustParseAddr("192.0.2.1"), To: v4, Port: 1883, Opening: true, In: "eth0"}, "accept | iptables filter OUTPUT | "},
		{"a mark, and what has it is dropped", marked("-A PREROUTING -p tcp -m tcp --dport 1883 -j MARK --set-xmark 0x9/0xffffffff", "-A INPUT -m mark --mark 0x9 -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "drop | iptables filter INPUT | -A INPUT -m mark --mark 0x9 -j DROP"},
		{"a mark on another port", marked("-A PREROUTING -p tcp -m tcp --dport 22 -j MARK --set-xmark 0x9/0xffffffff", "-A INPUT -m mark --mark 0x9 -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "accept | iptables filter INPUT | "},
		{"what has no mark is dropped", marked("-A PREROUTING -p tcp -m tcp --dport 22 -j MARK --set-xmark 0x1/0x1", "-A INPUT -m mark ! --mark 0x1/0x1 -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "drop | iptables filter INPUT | -A INPUT -m mark ! --mark 0x1/0x1 -j DROP"},
		{"a mark that nobody writes here", save("-A INPUT -m mark --mark 0x9 -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "accept | iptables filter INPUT |  | but drop: -A INPUT -m mark --mark 0x9 -j DROP"},
		{"nftables' mark", marks, Packet{To: v4, Port: 1883, In: "eth0"}, "drop | inet guard in | meta mark 9 drop"},
		{"nftables' mark, another port", marks, Packet{To: v4, Port: 8883, In: "eth0"}, "accept | inet guard in | "},
		{"new ones alone", save("-A INPUT -p tcp -m tcp --dport 1883 -m conntrack --ctstate NEW -j ACCEPT", "-A INPUT -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "accept | iptables filter INPUT | -A INPUT -p tcp -m tcp --dport 1883 -m conntrack --ctstate NEW -j ACCEPT"},
		{"new ones alone, what follows", save("-A INPUT -p tcp -m tcp --dport 1883 -m conntrack --ctstate NEW -j ACCEPT", "-A INPUT -j DROP"), Packet{To: v4, Port: 1883, In: "eth0", Data: true}, "drop | iptables filter INPUT | -A INPUT -j DROP"},
		{"established ones first, what follows", save("-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT", "-A INPUT -j DROP"), Packet{To: v4, Port: 1883, In: "eth0", Data: true}, "accept | iptables filter INPUT | -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT"},
		{"what is long", save("-A INPUT -m length --length 300:65535 -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "accept | iptables filter INPUT | "},
		{"what is long, what follows", save("-A INPUT -m length --length 300:65535 -j DROP"), Packet{To: v4, Port: 1883, In: "eth0", Data: true}, "accept | iptables filter INPUT |  | but drop by its content: -A INPUT -m length --length 300:65535 -j DROP"},
		{"a text", save("-A INPUT -m string --string \"MQTT\" --algo bm --to 65535 -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "accept | iptables filter INPUT | "},
		{"a text, what follows", save("-A INPUT -m string --string \"MQTT\" --algo bm --to 65535 -j DROP"), Packet{To: v4, Port: 1883, In: "eth0", Data: true}, "accept | iptables filter INPUT |  | but drop by its content: -A INPUT -m string --string \"MQTT\" --algo bm --to 65535 -j DROP"},
		{"a chain for a text, what follows", save(":MQTT - [0:0]", "-A INPUT -m string --string \"MQTT\" --algo bm --to 65535 -j MQTT", "-A MQTT -j DROP"), Packet{To: v4, Port: 1883, In: "eth0", Data: true}, "accept | iptables filter INPUT |  | but drop by its content: -A MQTT -j DROP"},
		{"all but a text, what follows", save("-A INPUT -m string ! --string \"MQTT\" --algo bm --to 65535 -j ACCEPT", "-A INPUT -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "accept | iptables filter INPUT | -A INPUT -m string ! --string \"MQTT\" --algo bm --to 65535 -j ACCEPT"},
		{"a time", save("-A INPUT -m time --timestart 22:00:00 --timestop 06:00:00 --weekdays Mon,Tue -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "accept | iptables filter INPUT |  | but drop by the time: -A INPUT -m time --timestart 22:00:00 --timestop 06:00:00 --weekdays Mon,Tue -j DROP"},
		{"the broker's user", save("-A OUTPUT -o eth0 -m owner --uid-owner 103 -j DROP"), Packet{To: v4, Port: 1883, Reply: true, In: "eth0", User: &Owner{103, "mosquitto"}}, "drop | iptables filter OUTPUT | -A OUTPUT -o eth0 -m owner --uid-owner 103 -j DROP"},
		{"another user", save("-A OUTPUT -m owner --uid-owner 65534 -j DROP"), Packet{To: v4, Port: 1883, Reply: true, In: "eth0", User: &Owner{103, "mosquitto"}}, "accept | iptables filter OUTPUT | "},
		{"some users", save("-A OUTPUT -m owner --uid-owner 100-999 -j DROP"), Packet{To: v4, Port: 1883, Reply: true, In: "eth0", User: &Owner{103, "mosquitto"}}, "drop | iptables filter OUTPUT | -A OUTPUT -m owner --uid-owner 100-999 -j DROP"},
		{"all users but one", save("-A OUTPUT -m owner ! --uid-owner 0 -j REJECT"), Packet{To: v4, Port: 1883, Reply: true, In: "eth0", User: &Owner{103, "mosquitto"}}, "reject | iptables filter OUTPUT | -A OUTPUT -m owner ! --uid-owner 0 -j REJECT"},
		{"a user, who is not known", save("-A OUTPUT -m owner --uid-owner 103 -j DROP"), Packet{To: v4, Port: 1883, Reply: true, In: "eth0"}, "accept | iptables filter OUTPUT |  | but drop: -A OUTPUT -m owner --uid-owner 103 -j DROP"},
		{"the broker's group", save("-A OUTPUT -m owner --gid-owner 106 -j DROP"), Packet{To: v4, Port: 1883, Reply: true, In: "eth0", Group: &Owner{106, "mosquitto"}}, "drop | iptables filter OUTPUT | -A OUTPUT -m owner --gid-owner 106 -j DROP"},
		{"a user, of what comes in", save("-A INPUT -m owner --uid-owner 103 -j DROP"), Packet{To: v4, Port: 1883, In: "eth0", User: &Owner{103, "mosquitto"}}, "accept | iptables filter INPUT | "},
		{"not tracked, and new ones alone", tracked("-A PREROUTING -p tcp -m tcp --dport 1883 -j NOTRACK", "-A INPUT -m conntrack --ctstate NEW,RELATED,ESTABLISHED -j ACCEPT", "-A INPUT -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "drop | iptables filter INPUT | -A INPUT -j DROP"},
		{"not tracked, as its newer name says", tracked("-A PREROUTING -p tcp -m tcp --dport 1883 -j CT --notrack", "-A INPUT -m conntrack --ctstate NEW -j ACCEPT", "-A INPUT -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "drop | iptables filter INPUT | -A INPUT -j DROP"},
		{"not tracked, and let in", tracked("-A PREROUTING -p tcp -m tcp --dport 1883 -j NOTRACK", "-A INPUT -m conntrack --ctstate UNTRACKED -j ACCEPT", "-A INPUT -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "accept | iptables filter INPUT | -A INPUT -m conntrack --ctstate UNTRACKED -j ACCEPT"},
		{"another port is not tracked", tracked("-A PREROUTING -p tcp -m tcp --dport 80 -j NOTRACK", "-A INPUT -m conntrack --ctstate NEW -j ACCEPT", "-A INPUT -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "accept | iptables filter INPUT | -A INPUT -m conntrack --ctstate NEW -j ACCEPT"},
		{"not tracked, and its answer", tracked("-A PREROUTING -p tcp -m tcp --dport 1883 -j NOTRACK", "-A OUTPUT -m conntrack --ctstate INVALID -j DROP"), Packet{To: v4, Port: 1883, Reply: true, In: "eth0"}, "drop | iptables filter OUTPUT | -A OUTPUT -m conntrack --ctstate INVALID -j DROP"},
		{"a rate that nobody comes up to", save("-A INPUT -p tcp -m tcp --dport 1883 -m hashlimit --hashlimit-above 500/sec --hashlimit-mode srcip --hashlimit-name x -j DROP"), Packet{To: v4, Port: 1883, In: "eth0"}, "accept | iptables filter INPUT | "},
		{"a number that nobody comes up to", save("-A INPUT -p tcp -m tcp --dport 1883 -m connlimit --connlimit-above 200 --connlimit-mask 32 --connlimit-saddr -j DROP"), Packet{To: v4, Port: 1883, In: "eth0", Open: 30}, "accept | iptables filter INPUT | "},
		{"a number that is nearly reached", save("-A INPUT -p tcp -m tcp --dport 1883 -m connlimit --connlimit-above 200 --connlimit-mask 0 --connlimit-saddr -j DROP"), Packet{To: v4, Port: 1883, In: "eth0", Open: 190}, "accept | iptables filter INPUT |  | too often drop: -A INPUT -p tcp -m tcp --dport 1883 -m connlimit --connlimit-above 200 --connlimit-mask 0 --connlimit-saddr -j DROP"},
		{"nftables: neighbours", neighbours("tcp dport"), Packet{To: v6, Neighbour: true, In: "eth0"}, "drop | inet guard in | "},
		{"nftables: neighbours are let in", neighbours("icmpv6"), Packet{To: v6, Neighbour: true, In: "eth0"}, "accept | inet guard in | icmpv6 type { nd-neighbor-solicit, nd-router-advert } accept"},
		{"nftables' own", Join(native, save()), Packet{To: v4, Port: 1883, In: "eth0"}, "drop | ip filter input | tcp dport 1883 drop"},
	} {
		if got := show(c.rules.Decide(c.p, nil)); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}
