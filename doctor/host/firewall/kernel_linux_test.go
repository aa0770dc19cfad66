package firewall

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	seed    = flag.Uint64("seed", 0, "the `number` of a filter to try alone")
	filters = flag.Uint64("filters", 20, "how many `filters` of each program to try")
)

// The machine under test has addresses in a network of its own; a neighbour connects to it.
var (
	target4, target6       = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	neighbour4, neighbour6 = netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::2")
)

const (
	firstPort = 9001
	ports     = 6
)

// TestAsTheKernelDecides makes filters by chance, loads each into a network namespace, connects to it from another one, and compares what
// happens with what Decide says.
func TestAsTheKernelDecides(t *testing.T) {
	machine, neighbour := namespaces(t)
	listen(t, machine)
	for _, program := range []struct {
		name, load, list, clean string
		make                    func(*generator) string
		parse                   func([]byte) (*Ruleset, error)
		ends                    [][2]netip.Addr
	}{
		{"nft", "nft -f -", "nft -j list ruleset", "nft flush ruleset", (*generator).nft, ParseNFT,
			[][2]netip.Addr{{neighbour4, target4}, {neighbour6, target6}}},
		{"iptables", "iptables-restore", "iptables-save", "nft flush ruleset", (*generator).iptables,
			func(text []byte) (*Ruleset, error) { return ParseIPTables(text, false) }, [][2]netip.Addr{{neighbour4, target4}}},
	} {
		t.Run(program.name, func(t *testing.T) {
			run := func(command, input string) ([]byte, error) {
				cmd := exec.Command("ip", "netns", "exec", machine, "sh", "-c", command)
				cmd.Stdin = strings.NewReader(input)
				return cmd.CombinedOutput()
			}
			if out, err := run(program.list, ""); err != nil {
				t.Skipf("%s cannot be used here (Debian's packages nftables and iptables): %v: %s", program.list, err, out)
			}
			count := *filters
			if testing.Short() {
				count /= 4
			}
			verdicts := make(map[Verdict]int)
			for n, loaded, refused := uint64(1), uint64(0), 0; loaded < count; n++ {
				if *seed != 0 {
					n = *seed
					loaded = count
				}
				g := &generator{rand.New(rand.NewPCG(n, 1883))}
				text := program.make(g)
				if out, err := run(program.clean+"; "+program.load, text); err != nil {
					if refused++; refused > 50 {
						t.Fatalf("nothing can be loaded: %v: %s\n%s", err, out, text)
					}
					continue // such as ip and ip6 in one rule: what cannot be is refused
				}
				loaded++
				refused = 0
				listed, err := run(program.list, "")
				if err != nil {
					t.Fatalf("%v: %s", err, listed)
				}
				rules, err := program.parse(listed)
				if err != nil {
					t.Fatal(err)
				}
				compare := comparison{t, neighbour, rules, fmt.Sprintf("-seed %d\n%s", n, text), verdicts}
				compare.all(program.ends)
			}
			if *seed == 0 && count >= 20 && (verdicts[Accept] == 0 || verdicts[Drop] == 0 || verdicts[Reject] == 0) {
				t.Errorf("the filters are one-sided: %v", verdicts)
			}
			t.Logf("compared %v", verdicts)
			if out, err := run(program.clean, ""); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// comparison is that of one filter.
type comparison struct {
	t         *testing.T
	neighbour string
	rules     *Ruleset
	what      string
	verdicts  map[Verdict]int
}

// all tries every port from every end, at the same time.
func (c *comparison) all(ends [][2]netip.Addr) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for port := uint16(firstPort); port < firstPort+ports; port++ {
		for _, end := range ends {
			d := c.rules.Decide(Packet{From: end[0], To: end[1], Port: port, In: "eth0"}, nil)
			if len(d.Exceptions) > 0 {
				c.t.Errorf("everything is known, and yet: %s\n%s", show(d), c.what)
			}
			c.verdicts[d.Verdict]++
			wg.Go(func() {
				var saw Verdict
				for _, wait := range []time.Duration{150 * time.Millisecond, time.Minute} { // a busy machine may need more
					if saw = connect(c.t, c.neighbour, end[1], port, wait); saw == d.Verdict {
						return
					}
				}
				c.t.Errorf("port %d of %s: the kernel says %s, and this package: %s\n%s", port, end[1], saw, show(d), c.what)
			})
		}
	}
}

// namespaces makes two network namespaces with a cable between them.
func namespaces(t *testing.T) (machine, neighbour string) {
	t.Helper()
	run := func(args ...string) error {
		out, err := exec.Command("ip", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %v: %w: %s", args, err, bytes.TrimSpace(out))
		}
		return nil
	}
	machine, neighbour = fmt.Sprintf("echofw%da", os.Getpid()), fmt.Sprintf("echofw%db", os.Getpid())
	for _, name := range []string{machine, neighbour} {
		if err := run("netns", "add", name); err != nil {
			t.Skipf("network namespaces cannot be made here: %v", err)
		}
		t.Cleanup(func() { run("netns", "del", name) })
	}
	for _, args := range [][]string{
		{"-n", machine, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", neighbour},
		{"-n", machine, "addr", "add", target4.String() + "/24", "dev", "eth0"},
		{"-n", neighbour, "addr", "add", neighbour4.String() + "/24", "dev", "eth0"},
		{"-n", machine, "addr", "add", target6.String() + "/64", "dev", "eth0", "nodad"},
		{"-n", neighbour, "addr", "add", neighbour6.String() + "/64", "dev", "eth0", "nodad"},
		{"-n", machine, "link", "set", "eth0", "up"}, {"-n", neighbour, "link", "set", "eth0", "up"},
		{"-n", machine, "link", "set", "lo", "up"}, {"-n", neighbour, "link", "set", "lo", "up"},
	} {
		if err := run(args...); err != nil {
			t.Fatal(err)
		}
	}
	// The kernel holds ICMP errors back when there are many, which would look like a drop.
	for _, setting := range []string{"0 > /proc/sys/net/ipv4/icmp_ratelimit", "100000 > /proc/sys/net/ipv4/icmp_msgs_per_sec", "0 > /proc/sys/net/ipv6/icmp/ratelimit"} {
		if out, err := exec.Command("ip", "netns", "exec", machine, "sh", "-c", "echo "+setting).CombinedOutput(); err != nil {
			t.Logf("%s: %v: %s", setting, err, out)
		}
	}
	if out, err := exec.Command("ip", "netns", "exec", machine, "nft", "add", "table", "inet", "probe").CombinedOutput(); err != nil {
		t.Skipf("nftables cannot be used here (Debian's package nftables): %v: %s", err, out)
	}
	return machine, neighbour
}

// inside runs f on a thread in the namespace. The thread is not used again.
func inside(t *testing.T, namespace string, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		fd, err := unix.Open("/run/netns/"+namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

// listen accepts whatever comes in the namespace.
func listen(t *testing.T, namespace string) {
	t.Helper()
	inside(t, namespace, func() {
		for port := firstPort; port < firstPort+ports; port++ {
			l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { l.Close() })
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					conn.Close()
				}
			}()
		}
	})
}

// connect says what becomes of a connection.
func connect(t *testing.T, namespace string, to netip.Addr, port uint16, wait time.Duration) (saw Verdict) {
	inside(t, namespace, func() {
		conn, err := net.DialTimeout("tcp", netip.AddrPortFrom(to, port).String(), wait)
		switch {
		case err == nil:
			conn.Close()
			saw = Accept
		case isTimeout(err):
			saw = Drop
		case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.ENETUNREACH):
			saw = Reject
		default:
			t.Error(err)
		}
	})
	return saw
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

// generator makes filters.
type generator struct{ *rand.Rand }

func (g *generator) one(of ...string) string { return of[g.IntN(len(of))] }

func (g *generator) port() int { return firstPort + g.IntN(ports) }

// nft makes a filter with two base chains, two others, and a translation of ports.
func (g *generator) nft() string {
	var b strings.Builder
	b.WriteString("table inet chance {\n")
	fmt.Fprintf(&b, "\tset some {\n\t\ttype ipv4_addr\n\t\tflags interval\n\t\telements = { %s }\n\t}\n", g.one("192.0.2.0/25", "192.0.2.2", "198.51.100.0/24, 192.0.2.2", "203.0.113.7"))
	fmt.Fprintf(&b, "\tmap verdicts {\n\t\ttype inet_service : verdict\n\t\telements = { %d : accept, %d : drop }\n\t}\n", firstPort+g.IntN(3), firstPort+3+g.IntN(3))
	chain := func(name, head string, n int, targets ...string) {
		fmt.Fprintf(&b, "\tchain %s {\n", name)
		if head != "" {
			// Neighbours are found, and what follows the first packet passes: it is not what is compared.
			fmt.Fprintf(&b, "\t\t%s\n\t\tmeta l4proto ipv6-icmp accept\n\t\ttcp flags & syn == 0 accept\n", head)
		}
		for range n {
			conditions, verdict := g.conditions(), g.verdict(targets...)
			if strings.Contains(conditions, "nfproto") && strings.Contains(verdict, "reject") {
				verdict = "drop" // nft 1.0.6 does not list the condition before a reject
			}
			fmt.Fprintf(&b, "\t\t%s %s\n", conditions, verdict)
		}
		b.WriteString("\t}\n")
	}
	chain("last", "", g.IntN(3))
	chain("middle", "", g.IntN(4), "last")
	policy := g.one("accept", "accept", "drop")
	chain("first", "type filter hook input priority -5; policy accept;", g.IntN(3), "middle", "last")
	chain("input", "type filter hook input priority filter; policy "+policy+";", 1+g.IntN(5), "middle", "last")
	chain("early", "type filter hook prerouting priority raw; policy accept;", g.IntN(2))
	b.WriteString("}\n")
	if g.IntN(3) == 0 {
		fmt.Fprintf(&b, "table ip swap {\n\tchain pre {\n\t\ttype nat hook prerouting priority dstnat;\n\t\ttcp dport %d redirect to :%d\n\t}\n}\n", g.port(), g.port())
	}
	return b.String()
}

func (g *generator) conditions() string {
	var all []string
	for range 1 + g.IntN(2) {
		all = append(all, g.condition())
	}
	return strings.Join(all, " ")
}

func (g *generator) condition() string {
	switch g.IntN(14) {
	case 0:
		return fmt.Sprintf("tcp dport { %d, %d }", firstPort+g.IntN(3), firstPort+3+g.IntN(3))
	case 1:
		low := firstPort + g.IntN(ports-1)
		return fmt.Sprintf("tcp dport %d-%d", low, low+1+g.IntN(firstPort+ports-low-1))
	case 2:
		return fmt.Sprintf("tcp dport != %d", g.port())
	case 3:
		return "iifname " + g.one(`"eth0"`, `"eth*"`, `"lo"`, `!= "lo"`)
	case 4:
		return "ip saddr " + g.one("192.0.2.0/24", "192.0.2.2", "!= 192.0.2.2", "198.51.100.0/24", "{ 192.0.2.2, 192.0.2.3 }", "192.0.2.1-192.0.2.9", "@some", "!= @some")
	case 5:
		return "ip6 saddr " + g.one("2001:db8::/64", "2001:db8::2", "!= 2001:db8::/64", "2001:db8:1::/64")
	case 6:
		return "ct state " + g.one("new", "established,related", "{ new, untracked }", "!= new", "invalid")
	case 7:
		return "meta nfproto " + g.one("ipv4", "ipv6")
	case 8:
		return "meta l4proto " + g.one("tcp", "udp", "{ tcp, udp }", "!= tcp")
	case 9:
		return "tcp flags " + g.one("syn", "& (fin | syn | rst | ack) == syn", "& (syn | ack) == ack", "== syn", "& syn != 0")
	case 10:
		return g.one("limit rate 10000/second burst 10000 packets", "counter", `log prefix "x "`, "fib daddr type local", "meta pkttype host", "tcp sport 1024-65535")
	case 11:
		return fmt.Sprintf("ip saddr . tcp dport { 192.0.2.2 . %d }", g.port())
	default:
		return fmt.Sprintf("tcp dport %d", g.port())
	}
}

func (g *generator) verdict(targets ...string) string {
	if len(targets) > 0 && g.IntN(3) == 0 {
		return g.one("jump", "goto") + " " + g.one(targets...)
	}
	if g.IntN(8) == 0 {
		return g.one("tcp dport vmap @verdicts", fmt.Sprintf("tcp dport vmap { %d : accept, %d : drop }", firstPort, firstPort+1), "ct state vmap { established : accept, invalid : drop }")
	}
	if len(targets) == 0 { // prerouting knows no reject
		return g.one("accept", "accept", "drop", "return", "continue")
	}
	return g.one("accept", "accept", "drop", "reject with tcp reset", "reject with icmpx admin-prohibited", "return", "continue")
}

// iptables makes a filter with a chain of its own beside INPUT, and a translation of ports.
func (g *generator) iptables() string {
	var b strings.Builder
	if g.IntN(3) == 0 {
		fmt.Fprintf(&b, "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -m tcp --dport %d -j REDIRECT --to-ports %d\nCOMMIT\n", g.port(), g.port())
	}
	if g.IntN(3) == 0 {
		fmt.Fprintf(&b, "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING %s -j %s\nCOMMIT\n", g.iptablesCondition(), g.one("ACCEPT", "DROP"))
	}
	fmt.Fprintf(&b, "*filter\n:INPUT %s [0:0]\n:own - [0:0]\n:more - [0:0]\n-A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT\n", g.one("ACCEPT", "ACCEPT", "DROP"))
	for _, chain := range []string{"INPUT", "INPUT", "own", "more"} {
		for range g.IntN(4) {
			targets := []string{"ACCEPT", "ACCEPT", "DROP", "REJECT", "REJECT --reject-with icmp-host-prohibited", "RETURN", "LOG"}
			switch chain {
			case "INPUT":
				targets = append(targets, "own", "more")
			case "own":
				targets = append(targets, "more")
			}
			conditions := g.iptablesCondition()
			target := g.one(targets...)
			jump := "-j "
			if target == "own" || target == "more" {
				jump = g.one("-j ", "-g ")
			}
			fmt.Fprintf(&b, "-A %s %s %s%s\n", chain, conditions, jump, target)
		}
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

// iptablesCondition is one condition, with or without one on the protocol before it: there can be one of these in a rule.
func (g *generator) iptablesCondition() string {
	var other string
	switch g.IntN(8) {
	case 0:
		other = g.one("-s", "! -s") + " " + g.one("192.0.2.0/24", "192.0.2.2/32", "198.51.100.0/24", "192.0.2.0/255.255.255.128")
	case 1:
		other = g.one("-i eth0", "! -i eth0", "-i eth+", "-i lo", "! -i lo")
	case 2:
		other = "-m conntrack --ctstate " + g.one("NEW", "RELATED,ESTABLISHED", "NEW,ESTABLISHED", "INVALID")
	case 3:
		other = "-m state --state " + g.one("NEW", "ESTABLISHED")
	case 4:
		other = g.one("-m limit --limit 10000/sec --limit-burst 10000", `-m comment --comment "a -j DROP"`, "-m addrtype --dst-type LOCAL", "-d 192.0.2.1/32",
			"-m pkttype --pkt-type unicast", "-m recent --set --name some --rsource")
	}
	var protocol string
	switch g.IntN(7) {
	case 0:
		protocol = fmt.Sprintf("-p tcp -m multiport --dports %d,%d", firstPort+g.IntN(3), firstPort+3+g.IntN(3))
	case 1:
		protocol = fmt.Sprintf("-p tcp -m multiport --dports %d:%d", firstPort+g.IntN(3), firstPort+3+g.IntN(3))
	case 2:
		protocol = g.one("-p tcp -m tcp --syn", "-p tcp -m tcp --tcp-flags SYN,ACK ACK", "-p tcp -m tcp ! --syn", "-p tcp -m tcp --tcp-flags ALL SYN",
			"-p tcp -m tcp --sport 1024:65535")
	case 3:
		protocol = g.one("-p udp", "! -p tcp", "-p tcp", "! -p udp")
	case 4:
		protocol = fmt.Sprintf("-p tcp -m tcp ! --dport %d", g.port())
	default:
		protocol = fmt.Sprintf("-p tcp -m tcp --dport %d", g.port())
	}
	return strings.TrimSpace(protocol + " " + other)
}
