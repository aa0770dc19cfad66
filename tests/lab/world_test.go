//go:build linux

package lab

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"picket/internal/testbed"
)

// The three machines of a world, and their addresses. The client stands in a private network behind a router, as phones do; the server is at an
// address that is set aside for examples, which the doctor takes for a public one.
const (
	clientSide = "c"
	routerSide = "r"
	serverSide = "s"

	client4, gateway4, client6, gateway6 = "192.168.7.2", "192.168.7.1", "2001:db8:7::2", "2001:db8:7::1"
	server4, server6, outside4, outside6 = "203.0.113.10", "2001:db8:1::10", "203.0.113.1", "2001:db8:1::1"
)

// prefix is that of all namespaces that this package makes.
const prefix = "picket-lab-"

// patience is how long anything may take to come up before a test fails.
const patience = testbed.Patience

// world is three machines in namespaces of their own: client, router and server.
type world struct {
	t    *testing.T
	name string
	dir  string
}

var worlds atomic.Int64

// newWorld makes one in which everything works. link joins the client to its router; nil is a cable.
func newWorld(t *testing.T, link *link) *world {
	t.Helper()
	w := &world{t: t, name: fmt.Sprintf("%s%d-%d", prefix, os.Getpid(), worlds.Add(1)), dir: t.TempDir()}
	t.Cleanup(func() { w.end(); removeNamespaces(w.name + "-") })
	cable := fmt.Sprintf("link add lan netns %s type veth peer name eth0 netns %s\n", w.ns(routerSide), w.ns(clientSide))
	if link != nil {
		cable = ""
	}
	w.batch("", fmt.Sprintf("netns add %s\nnetns add %s\nnetns add %s\n%slink add wan netns %s type veth peer name eth0 netns %s\n",
		w.ns(clientSide), w.ns(routerSide), w.ns(serverSide), cable, w.ns(routerSide), w.ns(serverSide)))
	if link != nil {
		link.join(w)
	}
	w.inside(routerSide, func() error {
		for _, name := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
			if err := os.WriteFile("/proc/sys/net/"+name, []byte("1"), 0o644); err != nil {
				return err
			}
		}
		return nil
	})
	// Addresses of IPv6 are used at once, without looking for others that have them ("nodad").
	w.batch(routerSide, fmt.Sprintf("link set lo up\nlink set lan up\nlink set wan up\naddr add %s/24 dev lan\naddr add %s/64 dev lan nodad\naddr add %s/24 dev wan\naddr add %s/64 dev wan nodad\n",
		gateway4, gateway6, outside4, outside6))
	w.batch(serverSide, fmt.Sprintf("link set lo up\nlink set eth0 up\naddr add %s/24 dev eth0\naddr add %s/64 dev eth0 nodad\nroute add default via %s\nroute add default via %s\n",
		server4, server6, outside4, outside6))
	w.batch(clientSide, fmt.Sprintf("link set lo up\nlink set eth0 up\naddr add %s/24 dev eth0\naddr add %s/64 dev eth0 nodad\nroute add default via %s\nroute add default via %s\n",
		client4, client6, gateway4, gateway6))
	return w
}

// end kills what still runs on the machines, such as brokers that a tried step has put into the background, and waits until it is gone.
func (w *world) end() {
	w.t.Helper()
	w.wait("everything in the world has ended", func() bool {
		left := w.processes()
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(left) == 0
	})
}

// processes are those whose network is one of the machines'. The test's own is none of them, whatever its threads have visited.
func (w *world) processes() (all []int) {
	var machines []os.FileInfo
	for _, machine := range []string{clientSide, routerSide, serverSide} {
		if i, err := os.Stat("/run/netns/" + w.ns(machine)); err == nil {
			machines = append(machines, i)
		}
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		network, err := os.Stat("/proc/" + e.Name() + "/ns/net")
		if err == nil && slices.ContainsFunc(machines, func(m os.FileInfo) bool { return os.SameFile(m, network) }) {
			all = append(all, pid)
		}
	}
	return all
}

// ns is the name of a machine's namespace.
func (w *world) ns(machine string) string { return w.name + "-" + machine }

// batch runs commands of ip on a machine; on none, in the namespace of the test.
func (w *world) batch(machine, commands string) {
	w.t.Helper()
	args := []string{"-batch", "-"}
	if machine != "" {
		args = append([]string{"-n", w.ns(machine)}, args...)
	}
	cmd := exec.Command("ip", args...)
	cmd.Stdin = strings.NewReader(commands)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("ip on %q: %v: %s\n%s", machine, err, out, commands)
	}
}

// nft gives a machine rules.
func (w *world) nft(machine, rules string) {
	w.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", w.ns(machine), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("nft: %v: %s\n%s", err, out, rules)
	}
}

// filter has packets that come to the server, or that the router passes on, meet rules.
func (w *world) filter(machine string, rules ...string) {
	w.t.Helper()
	hook := map[string]string{routerSide: "forward", serverSide: "input"}[machine]
	w.nft(machine, fmt.Sprintf("table inet lab {\n chain lab {\n  type filter hook %s priority 0;\n  %s\n }\n}\n", hook, strings.Join(rules, "\n  ")))
}

// inside runs a function on a thread that is in a machine's network: the sockets that it makes belong there and stay there. It must not leave
// making them to other goroutines.
func (w *world) inside(machine string, f func() error) {
	w.t.Helper()
	if err := w.tryInside(machine, f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tryInside(machine string, f func() error) error {
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		fd, err := unix.Open("/run/netns/"+w.ns(machine), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err == nil {
			err = f()
		}
		failed <- err
	}()
	return <-failed
}

// dial connects from a machine.
func (w *world) dial(machine, address string) (conn net.Conn, err error) {
	err = w.tryInside(machine, func() error {
		conn, err = (&net.Dialer{Timeout: patience}).Dial("tcp", address)
		return err
	})
	return conn, err
}

// listen plays a script on each connection to an address of a machine.
func (w *world) listen(machine, address string, script func(net.Conn)) {
	w.t.Helper()
	var l net.Listener
	w.inside(machine, func() (err error) {
		l, err = net.Listen("tcp", address)
		return err
	})
	var wait sync.WaitGroup
	var mu sync.Mutex
	open := make(map[net.Conn]bool)
	wait.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			wait.Go(func() {
				script(conn)
				_ = conn.Close()
				mu.Lock()
				delete(open, conn)
				mu.Unlock()
			})
		}
	})
	w.t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		wait.Wait()
	})
}

// file writes a file into the world's folder and gives its path.
func (w *world) file(name, content string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// program is a process of the world, which writes what it says into a file.
type program struct {
	pid int
	log string
}

// said tells whether it has said something.
func (p *program) said(text string) bool {
	data, err := os.ReadFile(p.log)
	return err == nil && bytes.Contains(data, []byte(text))
}

// start runs a program on a machine until the test ends. ports are those that it has to listen on before the test goes on.
func (w *world) start(machine string, ports []int, args ...string) *program {
	w.t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", w.ns(machine)}, args...)...)
	file, err := os.CreateTemp(w.dir, "log")
	if err != nil {
		w.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // nginx and HAProxy have workers, which outlive who is killed alone
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	_ = file.Close()
	log := func() string { data, _ := os.ReadFile(file.Name()); return string(data) }
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	w.t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if w.t.Failed() {
			w.t.Logf("%s:\n%s", strings.Join(args, " "), log())
		}
	})
	for end := time.Now().Add(patience); !w.listens(machine, ports); time.Sleep(20 * time.Millisecond) {
		select {
		case <-ended:
			w.t.Fatalf("%s has ended:\n%s", strings.Join(args, " "), log())
		default:
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s does not listen on %v", strings.Join(args, " "), ports)
		}
	}
	return &program{cmd.Process.Pid, file.Name()}
}

// listens tells whether somebody listens on all of the ports of a machine. No connection is made for that.
func (w *world) listens(machine string, ports []int) bool {
	w.t.Helper()
	var sockets []byte
	w.inside(machine, func() error {
		for _, table := range []string{"tcp", "tcp6"} {
			data, err := os.ReadFile("/proc/thread-self/net/" + table)
			if err != nil {
				return err
			}
			sockets = append(sockets, data...)
		}
		return nil
	})
	found := make(map[int]bool)
	for line := range strings.Lines(string(sockets)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != "0A" {
			continue
		}
		if n, err := strconv.ParseInt(fields[1][strings.LastIndexByte(fields[1], ':')+1:], 16, 32); err == nil {
			found[int(n)] = true
		}
	}
	for _, p := range ports {
		if !found[p] {
			return false
		}
	}
	return true
}

// listeners are the ports that a configuration has.
func listeners(conf string) (ports []int) {
	for line := range strings.Lines(conf) {
		fields := strings.Fields(line)
		if len(fields) >= 2 && fields[0] == "listener" {
			if n, err := strconv.Atoi(fields[1]); err == nil {
				ports = append(ports, n)
			}
		}
	}
	return ports
}

// mosquitto runs Debian's broker on the server. {dir} in the configuration is the world's folder. It has a listener more, for its own machine: without
// one of plain MQTT it does not start.
func (w *world) mosquitto(conf string) *program {
	w.t.Helper()
	return w.mosquittoWith(conf, "")
}

// mosquittoWith is mosquitto with a configuration of OpenSSL's, which can do what mosquitto's own does not offer.
func (w *world) mosquittoWith(conf, openssl string) *program {
	w.t.Helper()
	conf = "user root\n" + strings.ReplaceAll(conf, "{dir}", w.dir) + "listener 1999 127.0.0.1\n"
	return w.start(serverSide, listeners(conf), "env", "OPENSSL_CONF="+w.file("openssl.cnf", openssl), "mosquitto", "-c", w.file("mosquitto.conf", conf))
}

// picket runs our broker on the server, with an admin socket.
func (w *world) picket(conf string) *program {
	w.t.Helper()
	conf = "user root\nadmin_socket {dir}/admin.sock\n" + conf
	conf = strings.ReplaceAll(conf, "{dir}", w.dir)
	return w.start(serverSide, listeners(conf), binary, "serve", "-c", w.file("picket.conf", conf))
}

// wait waits for something to come true.
func (w *world) wait(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(2 * patience); !is(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("%s: not within %v", what, 2*patience)
		}
	}
}

// run runs a program on a machine to its end.
func (w *world) run(machine string, args ...string) {
	w.t.Helper()
	if out, err := exec.Command("ip", append([]string{"netns", "exec", w.ns(machine)}, args...)...).CombinedOutput(); err != nil {
		w.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// doctor runs the doctor on a machine and gives its report in JSON.
func (w *world) doctor(ctx context.Context, machine string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", w.ns(machine), binary, "doctor", "--json", "--lang", "en"}, args...)...)
	cmd.Env = append(os.Environ(), "PICKET_PASSWORD="+password)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if len(out) == 0 {
		return nil, fmt.Errorf("picket doctor %s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return out, nil // the exit status tells of the report
}

// removeNamespaces removes what was made under a name.
func removeNamespaces(begin string) {
	for _, dir := range []string{"/run/netns", "/etc/netns"} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), begin) {
				continue
			}
			if dir == "/run/netns" {
				_ = exec.Command("ip", "netns", "delete", e.Name()).Run()
			} else {
				_ = os.RemoveAll(filepath.Join(dir, e.Name()))
			}
		}
	}
	_ = os.Remove("/etc/netns") // unless it has others
}

// sweep removes what earlier runs left behind that were killed.
func sweep() {
	for _, dir := range []string{"/run/netns", "/etc/netns"} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			rest, ours := strings.CutPrefix(e.Name(), prefix)
			pid, _, _ := strings.Cut(rest, "-")
			if _, err := strconv.Atoi(pid); !ours || err != nil {
				continue
			}
			if _, err := os.Stat("/proc/" + pid); os.IsNotExist(err) {
				removeNamespaces(prefix + pid + "-")
			}
		}
	}
}

// setAll sets what the kernel's filter remembers for how long, in the network of the calling thread.
func setAll(values map[string]string) error {
	for name, value := range values {
		if err := os.WriteFile("/proc/sys/net/netfilter/"+name, []byte(value), 0o644); err != nil {
			return err
		}
	}
	return nil
}
