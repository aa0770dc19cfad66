//go:build unix

package bridge

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"picket/internal/testbed"
)

// open is a broker that anybody may use, and that keeps what it has.
const open = "user root\nlistener ${PORT} 127.0.0.1\nallow_anonymous true\nlog_type all\n"

// mosquitto is Debian's with a configuration.
func mosquitto(t *testing.T, conf string) *testbed.Broker {
	t.Helper()
	return testbed.Start(t, testbed.Options{Conf: conf, Program: []string{testbed.Program(t, "mosquitto", "mosquitto"), "-c", "${CONF}"}})
}

// picket is ours.
func picket(t *testing.T, conf string) *testbed.Broker {
	t.Helper()
	return testbed.Start(t, testbed.Options{Conf: conf})
}

// to is the connection line of a bridge, and its address.
func to(t *testing.T, name string, b *testbed.Broker) string {
	return fmt.Sprintf("connection %s\naddress 127.0.0.1:%d\nrestart_timeout 1\n", name, b.Port(t, "PORT"))
}

// publish has mosquitto_pub publish lines, and waits until all are acknowledged.
func publish(t *testing.T, b *testbed.Broker, topic string, qos int, retain bool, lines ...string) {
	t.Helper()
	args := []string{"-h", "127.0.0.1", "-p", strconv.Itoa(b.Port(t, "PORT")), "-t", topic, "-q", strconv.Itoa(qos), "-l"}
	if retain {
		args = append(args, "-r")
	}
	cmd := exec.Command(testbed.Program(t, "mosquitto_pub", "mosquitto-clients"), args...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_pub: %v: %s", err, out)
	}
}

// listener is a mosquitto_sub that is connected.
type listener struct {
	cmd *exec.Cmd
	mu  sync.Mutex
	out bytes.Buffer
}

func (l *listener) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

// lines are what has come so far, "RETAIN QOS TOPIC PAYLOAD".
func (l *listener) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(strings.Split(l.out.String(), "\n"), func(s string) bool { return s == "" })
}

// listen has mosquitto_sub listen until the test ends.
func listen(t *testing.T, b *testbed.Broker, more ...string) *listener {
	t.Helper()
	args := append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(b.Port(t, "PORT")), "-F", "%r %q %t %p", "-q", "2"}, more...)
	l := &listener{cmd: exec.Command(testbed.Program(t, "mosquitto_sub", "mosquitto-clients"), args...)}
	l.cmd.Stdout, l.cmd.Stderr = l, l
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.stop() })
	return l
}

func (l *listener) stop() {
	_ = l.cmd.Process.Kill() // it may have ended
	_ = l.cmd.Wait()
}

// await waits until a line has come.
func (l *listener) await(t *testing.T, want string) {
	t.Helper()
	testbed.Eventually(t, func() error {
		if all := l.lines(); !slices.Contains(all, want) {
			return fmt.Errorf("%q has not come; there is %q", want, all)
		}
		return nil
	})
}

// connected waits until a bridge says at a broker that it is connected.
func connected(t *testing.T, b *testbed.Broker, name string) {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	topic := "$SYS/broker/connection/" + host + "." + name + "/state"
	l := listen(t, b, "-t", topic)
	defer l.stop()
	testbed.Eventually(t, func() error {
		if all := l.lines(); len(all) == 0 || !strings.HasSuffix(all[len(all)-1], " 1") {
			return fmt.Errorf("%s says %q", topic, all)
		}
		return nil
	})
}

// Everything that a bridge carries, between Picket and mosquitto, in both roles and all versions: directions, QoS, prefixes and retained messages.
func TestMosquitto(t *testing.T) {
	const topics = "topic o/# out 2 l/ r/\ntopic i/# in 2 l/ r/\ntopic b/# both 1\ntopic z/# both 0\n"
	for name, roles := range map[string][2]func(*testing.T, string) *testbed.Broker{"ours": {picket, mosquitto}, "theirs": {mosquitto, picket}} {
		for _, version := range []string{"mqttv31", "mqttv311", "mqttv50"} {
			t.Run(name+"/"+version, func(t *testing.T) {
				t.Parallel()
				remote := roles[1](t, open)
				publish(t, remote, "r/i/kept", 1, true, "kept there")
				local := roles[0](t, open+to(t, "x", remote)+topics+"bridge_protocol_version "+version+"\n")
				connected(t, local, "x")
				connected(t, remote, "x")
				there, here := listen(t, remote, "-t", "#"), listen(t, local, "-t", "#")
				here.await(t, "1 1 l/i/kept kept there")
				there.await(t, "1 1 r/i/kept kept there") // it listens
				for _, qos := range []int{0, 1, 2} {
					word := fmt.Sprint("qos", qos)
					publish(t, local, "l/o/x", qos, false, word)
					there.await(t, fmt.Sprintf("0 %d r/o/x %s", qos, word))
					publish(t, remote, "r/i/x", qos, false, word)
					here.await(t, fmt.Sprintf("0 %d l/i/x %s", qos, word))
				}
				publish(t, local, "b/x", 2, false, "from here")
				publish(t, remote, "b/x", 2, false, "from there")
				there.await(t, "0 1 b/x from here")
				here.await(t, "0 1 b/x from there")
				publish(t, local, "z/x", 0, true, "zero")
				late := func() error {
					l := listen(t, remote, "-t", "z/x", "-C", "1", "-W", "2")
					_ = l.cmd.Wait()
					if !slices.Contains(l.lines(), "1 0 z/x zero") {
						return fmt.Errorf("not retained: %q", l.lines())
					}
					return nil
				}
				testbed.Eventually(t, late)
				for _, l := range []*listener{there, here} {
					if all := l.lines(); len(slices.Compact(slices.Sorted(slices.Values(all)))) != len(all) {
						t.Errorf("something came twice: %q", all)
					}
				}
			})
		}
	}
}

// What is published while the remote broker is away comes when it is there, in order.
func TestRemoteBrokerIsAway(t *testing.T) {
	t.Parallel()
	remote := testbed.New(t, testbed.Options{Conf: open + "persistence true\npersistence_location ${DIR}/\n", Program: []string{testbed.Program(t, "mosquitto", "mosquitto"), "-c", "${CONF}"}})
	remote.Run(t)
	if err := listen(t, remote, "-t", "t/#", "-i", "keeper", "-c", "-E").cmd.Wait(); err != nil { // else the bridge may be sooner than the one who listens
		t.Fatal(err)
	}
	if err := remote.Stop(); err != nil {
		t.Fatal(err)
	}
	local := picket(t, open+to(t, "x", remote)+"topic t/# out 2\n")
	publish(t, local, "t/a", 2, false, "1", "2", "3")
	remote.Run(t)
	t.Cleanup(func() { _ = remote.Kill() })
	there := listen(t, remote, "-t", "t/#", "-i", "keeper", "-c")
	there.await(t, "0 2 t/a 3")
	if all := there.lines(); !slices.Equal(all, []string{"0 2 t/a 1", "0 2 t/a 2", "0 2 t/a 3"}) {
		t.Errorf("%q", all)
	}
}

// The broker with the bridge and the remote one are killed in turn, while messages are under way in both directions: nothing is lost, nothing comes twice.
func TestKills(t *testing.T) {
	for _, version := range []string{"mqttv311", "mqttv50"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			const rounds, each = 6, 40
			const keep = open + "persistence true\npersistence_location ${DIR}/\nmax_queued_messages 0\n"
			remote := picket(t, keep)
			local := picket(t, keep+to(t, "x", remote)+"topic out/# out 2\ntopic in/# in 2\nbridge_protocol_version "+version+"\n")
			connected(t, local, "x")
			ends := []struct {
				b     *testbed.Broker
				topic string
			}{{remote, "out/x"}, {local, "in/x"}}
			for _, e := range ends { // a session is made, and left
				l := listen(t, e.b, "-t", e.topic, "-i", "counter", "-c", "-W", "60")
				testbed.Eventually(t, func() error {
					if !strings.Contains(e.b.Said(), "Sending SUBACK to counter") {
						return fmt.Errorf("no SUBACK")
					}
					return nil
				})
				l.stop()
			}
			for round := range rounds {
				var lines []string
				for i := range each {
					lines = append(lines, fmt.Sprint(round*each+i))
				}
				publish(t, local, "out/x", 2, false, lines...)
				publish(t, remote, "in/x", 2, false, lines...)
				victim := []*testbed.Broker{local, remote}[round%2]
				if err := victim.Kill(); err != nil {
					t.Fatal(err)
				}
				victim.Run(t)
			}
			publish(t, local, "out/x", 2, false, "end")
			publish(t, remote, "in/x", 2, false, "end")
			for _, e := range ends {
				l := listen(t, e.b, "-t", e.topic, "-i", "counter", "-c")
				l.await(t, "0 2 "+e.topic+" end")
				var want []string
				for i := range rounds * each {
					want = append(want, fmt.Sprintf("0 2 %s %d", e.topic, i))
				}
				if all := l.lines(); !slices.Equal(all, append(want, "0 2 "+e.topic+" end")) {
					t.Errorf("%s: %d messages of %d, or not in order: %q", e.topic, len(all)-1, len(want), all)
				}
			}
		})
	}
}

// certify makes an authority, a certificate for a server and one for a client in the folder of a broker.
func certify(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	ca := testbed.NewCA(t, filepath.Join(dir, "ca.pem"))
	ca.Issue(t, filepath.Join(dir, "server"), nil)
	ca.Issue(t, filepath.Join(dir, "client"), nil)
	return dir
}

// A remote broker that wants a certificate lets a bridge in that has one; one that trusts another authority is told why not.
func TestTLS(t *testing.T) {
	t.Parallel()
	files, others := certify(t), certify(t)
	server := func(dir string) string {
		return strings.ReplaceAll("\ncafile D/ca.pem\ncertfile D/server.pem\nkeyfile D/server.key\nrequire_certificate true\n", "D", dir)
	}
	remote := mosquitto(t, strings.Replace(open, "127.0.0.1\n", "127.0.0.1"+server(files), 1))
	client := strings.ReplaceAll("bridge_cafile D/ca.pem\nbridge_certfile D/client.pem\nbridge_keyfile D/client.key\nbridge_alpn mqtt\n", "D", files)
	local := picket(t, open+to(t, "x", remote)+"topic # out 1\n"+client+to(t, "y", remote)+"topic # out 1\n"+strings.ReplaceAll(client, files+"/ca.pem", others+"/ca.pem"))
	connected(t, local, "x")
	testbed.Eventually(t, func() error {
		if !strings.Contains(local.Said(), "Bridge y is not connected") || !strings.Contains(local.Said(), "[bridge-tls-failed]") {
			return fmt.Errorf("nothing is said of the bridge with the other authority")
		}
		return nil
	})
}

// While the first address is down the bridge works with the second, and goes back when the first one is there again.
func TestFirstAddressIsPreferred(t *testing.T) {
	t.Parallel()
	first, second := testbed.New(t, testbed.Options{Conf: open}), mosquitto(t, open)
	both := picket(t, open+fmt.Sprintf("connection z\naddress 127.0.0.1:%d 127.0.0.1:%d\nrestart_timeout 1\ntopic # out 1\n", first.Port(t, "PORT"), second.Port(t, "PORT")))
	connected(t, second, "z")
	first.Run(t)
	t.Cleanup(func() { _ = first.Kill() })
	connected(t, first, "z")
	connected(t, both, "z")
}

// Two brokers that both have a bridge to the other: a message goes round once and no more.
func TestLoop(t *testing.T) {
	t.Parallel()
	a := testbed.New(t, testbed.Options{})
	b := picket(t, open+to(t, "ba", a)+"topic # both 1\nbridge_protocol_version mqttv50\nnotifications false\n")
	a.Write(t, "broker.conf", strings.ReplaceAll(open, "${PORT}", strconv.Itoa(a.Port(t, "PORT")))+to(t, "ab", b)+"topic # both 1\nbridge_protocol_version mqttv50\nnotifications false\n")
	a.Run(t)
	t.Cleanup(func() { _ = a.Kill() })
	for _, x := range []struct {
		b    *testbed.Broker
		says string
	}{{a, "Bridge ab connected"}, {b, "Bridge ba connected"}} {
		testbed.Eventually(t, func() error {
			if !strings.Contains(x.b.Said(), x.says) {
				return fmt.Errorf("%s has not come", x.says)
			}
			return nil
		})
	}
	l := listen(t, a, "-t", "#")
	testbed.Eventually(t, func() error { // it listens
		publish(t, a, "here", 0, false, "here")
		if len(l.lines()) == 0 {
			return fmt.Errorf("nothing comes")
		}
		return nil
	})
	publish(t, a, "t", 1, false, "round")
	testbed.Eventually(t, func() error {
		if !strings.Contains(a.Said()+b.Said(), "[bridge-loop]") {
			return fmt.Errorf("no loop is noticed")
		}
		return nil
	})
	publish(t, b, "u", 1, false, "end")
	l.await(t, "0 1 u end")
	n := 0
	for _, line := range l.lines() {
		if strings.HasSuffix(line, "t round") {
			n++
		}
	}
	if n > 3 {
		t.Errorf("a message came %d times: %q", n, l.lines())
	}
}

// A reload changes what it changes: a bridge that stays as it was keeps its connection, another one that is to change at once does, and one that is gone ends.
func TestReload(t *testing.T) {
	t.Parallel()
	remote := mosquitto(t, open)
	bridge := func(name, topic string) string {
		return to(t, name, remote) + "bridge_reload_type immediate\ntopic " + topic + "/# out 1\n"
	}
	local := picket(t, open+bridge("stays", "a")+bridge("changes", "b")+bridge("goes", "c"))
	for _, name := range []string{"stays", "changes", "goes"} {
		connected(t, local, name)
	}
	local.Write(t, "broker.conf", open+bridge("stays", "a")+bridge("changes", "d")+bridge("comes", "e"))
	publish(t, remote, "ready", 1, true, "ready")
	there := listen(t, remote, "-t", "#")
	there.await(t, "1 1 ready ready") // it listens
	local.Signal(syscall.SIGHUP)
	connected(t, local, "comes")
	testbed.Eventually(t, func() error {
		if strings.Count(local.Said(), "Bridge changes connected") != 2 {
			return fmt.Errorf("the bridge that changes has not")
		}
		return nil
	})
	for _, topic := range []string{"a", "b", "c", "d", "e"} {
		publish(t, local, topic+"/x", 1, false, topic)
	}
	for _, topic := range []string{"a", "d", "e"} {
		there.await(t, "0 1 "+topic+"/x "+topic)
	}
	for _, topic := range []string{"b", "c"} {
		if slices.Contains(there.lines(), "0 1 "+topic+"/x "+topic) {
			t.Errorf("%s still goes over a bridge", topic)
		}
	}
	if n := strings.Count(local.Said(), "Bridge stays connected"); n != 1 {
		t.Errorf("the bridge that stays has connected %d times", n)
	}
}

// A lazy bridge connects when enough messages wait, those of QoS 0 among them, and disconnects when there are none.
func TestLazy(t *testing.T) {
	t.Parallel()
	remote := mosquitto(t, open)
	there := listen(t, remote, "-t", "t/#", "-t", "ready")
	testbed.Eventually(t, func() error { // it listens
		publish(t, remote, "ready", 0, false, "ready")
		if len(there.lines()) == 0 {
			return fmt.Errorf("nothing comes")
		}
		return nil
	})
	local := picket(t, open+to(t, "x", remote)+"topic t/# out 1\nstart_type lazy\nthreshold 3\nidle_timeout 1\n")
	publish(t, local, "t/a", 0, false, "1", "2")
	if strings.Contains(local.Said(), "Connecting bridge x") {
		t.Error("it connects for two messages")
	}
	publish(t, local, "t/a", 1, false, "3")
	there.await(t, "0 1 t/a 3")
	there.await(t, "0 0 t/a 1")
	testbed.Eventually(t, func() error {
		if !strings.Contains(local.Said(), "has exceeded idle timeout, disconnecting.") {
			return fmt.Errorf("it stays connected")
		}
		return nil
	})
}
