package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/internal/testbed"
)

// testBroker is a broker with a listener of each kind that a client may meet.
type testBroker struct {
	open, secret, tls, rules int // ports: everybody, passwords (ada: countess), TLS, an ACL file that only lets a/# be read
	dir                      string
}

// startBroker runs Debian's mosquitto, or picket under its name, until the test ends.
func startBroker(t *testing.T, program string) *testBroker {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != "/"; d = filepath.Dir(d) { // mosquitto gives up root's rights and still has to get there
		if info, err := os.Stat(d); err == nil && info.Mode().Perm()&0o055 != 0o055 {
			if err := os.Chmod(d, info.Mode().Perm()|0o055); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := &testBroker{testbed.Port(t), testbed.Port(t), testbed.Port(t), testbed.Port(t), dir}
	command(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
		"-keyout", dir+"/key.pem", "-out", dir+"/cert.pem", "-addext", "subjectAltName=IP:127.0.0.1")
	command(t, "mosquitto_passwd", "-b", "-c", dir+"/passwords", "ada", "countess")
	for name, text := range map[string]string{
		"rules": "topic read a/#\n",
		"conf": fmt.Sprintf(`per_listener_settings true
listener %[2]d 127.0.0.1
allow_anonymous true
listener %[3]d 127.0.0.1
password_file %[1]s/passwords
listener %[4]d 127.0.0.1
allow_anonymous true
certfile %[1]s/cert.pem
keyfile %[1]s/key.pem
listener %[5]d 127.0.0.1
allow_anonymous true
acl_file %[1]s/rules
`, dir, b.open, b.secret, b.tls, b.rules),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"key.pem", "passwords"} {
		if err := os.Chmod(filepath.Join(dir, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	broker := exec.Command(program, "-c", dir+"/conf")
	var log bytes.Buffer
	broker.Stderr = &log
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = broker.Process.Kill()
		_ = broker.Wait()
		if t.Failed() {
			t.Logf("broker's log:\n%s", log.String())
		}
	})
	awaitPort(t, b.rules)
	return b
}

// awaitPort waits until somebody listens on a port of this machine.
func awaitPort(t *testing.T, port int) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port))
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// result is what a program has left behind.
type result struct {
	stdout, stderr string
	status         int
}

// execute runs a program with a file of its own for defaults.
func execute(t *testing.T, path, stdin string, args []string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience) // for a process that hangs, not for one that is slow
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME=/nonexistent", "TZ=UTC")
	cmd.Stdin = strings.NewReader(stdin)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

var (
	changing = regexp.MustCompile(`(auto|mosq)-[0-9A-Za-z-]+|"tst":(\t?)"[^"]*"`)
	blank    = regexp.MustCompile(`\n+`)
)

// same leaves out what differs from one run to the next.
func same(s string) string {
	return blank.ReplaceAllString(changing.ReplaceAllString(s, "<$1$2>"), "\n")
}

// talking are command lines that need a broker, see [TestLikeMosquitto]. $OPEN and so on are its ports. An underscore stands for a blank inside an
// argument; what follows < is standard input.
var talking = []string{
	// formats
	`sub -p $OPEN -t f/full -V 5 -C 1 -F %A|%C|%D|%F|%l|%P|%p|%q|%R|%r|%S|%t|%x|%X|%%`,
	`sub -p $OPEN -t f/full -V 5 -C 1 -q 1 -F %10A|%10C|%10F|%10l|%10m|%5p|%10R|%10S|%10t|%6x|%6X`,
	`sub -p $OPEN -t f/full -V 5 -C 1 -F %-10A|%-10C|%-10F|%-10l|%-5p|%-10R|%-10S|%-10t|%-6x|%-6X|%010l|%010A|%010t`,
	`sub -p $OPEN -t f/full -V 5 -C 1 -F %.2C|%.2l|%.2R|%.2t|%5.2t|%-5.2t|%05.2t|%-05t|%30p|%030p|%-30p`,
	`sub -p $OPEN -t f/full -V 5 -C 1 -F \\|\a|\e|\n|\r|\t|\v|\0|@@`,
	`sub -p $OPEN -t f/full -V 5 -C 1 -F @Y-@m-@d|@a|@Z|@z -N`,
	`sub -p $OPEN -t f/plain -C 1 -v`,
	`sub -p $OPEN -t f/plain -C 1 -v -N`,
	`sub -p $OPEN -t f/plain -C 1 -F %m|%q|%p -q 2`,
	`sub -p $OPEN -t f/json -C 1 -F %J`,
	`sub -p $OPEN -t f/json -C 1 -F %J --pretty`,
	`sub -p $OPEN -t f/json -C 1 -F %j`,
	`sub -p $OPEN -t f/full -C 1 -F <%J>`,
	`sub -p $OPEN -V 5 -t f/plain -C 1 -F %j`,
	// messages and their packets
	`sub -p $OPEN -V 5 -t f/full -D subscribe subscription-identifier 7 -C 1 -F %S`,
	`sub -p $OPEN -t f/plain -t none/# -i me -d -q 1 -E`,
	`sub -p $OPEN -t f/# -T f/full -T f/+/x -T f/json -C 1`,
	`sub -p $OPEN -t f/# -R -W 1`,
	`sub -p $OPEN -t none -W 1`,
	`sub -p $RULES -V 5 -t a/x -W 1`,
	`sub -p $OPEN -t f/plain --retained-only -C 1`,
	`pub -p $OPEN -t x -m a -q 1 -d`,
	`pub -p $OPEN -t x -m a -q 2 -d -V 31`,
	`pub -p $OPEN -t x -n -q 2 -d -V 5 -r`,
	`pub -p $OPEN -t x -m a --repeat 3 -q 1 -d -i you`,
	`pub -p $OPEN -t x -s -q 1 -d < line one`,
	`pub -p $OPEN -t x -s < `,
	`pub -p $OPEN -t x -l -q 1 -M 1 -d < a`,
	`pub -p $OPEN -t x -f $DIR/rules -q 1 -d`,
	`pub -p $OPEN -V 5 -t x -m a -D publish topic-alias 3 --repeat 2 -q 1 -d`,
	`pub -p $RULES -V 5 -t a/b -m x -q 1`,
	`pub -p $RULES -t a/b -m x -q 1`,
	`pub -L mqtt://ada:countess@127.0.0.1:$SECRET/a/b -m x -q 1`,
	`sub -L mqtt://127.0.0.1:$OPEN/f/plain -C 1`,
	`pub -p $SECRET -u ada -P countess -t a -m b`,
	`pub -h 127.0.0.1 -p $TLS --cafile $DIR/cert.pem -t a -m b -q 1`,
	`pub -h 127.0.0.1 -p $TLS --cafile $DIR/cert.pem --tls-version tlsv1.2 --ciphers ECDHE-ECDSA-AES128-GCM-SHA256 -t a -m b -q 1`,
	`rr -p $OPEN -t q/1 -e q/1 -m ask -W 60`,
	`rr -p $OPEN -t q/2 -e q/2 -m ask -W 60 -V 311 -v -q 1`,
	`rr -p $OPEN -t q -e none -m ask -W 1`,
	// refused
	`pub -p $SECRET -t a -m b -V 31`,
	`pub -p $SECRET -t a -m b`,
	`sub -p $SECRET -t a -V 5`,
	`sub -p $SECRET -t a`,
	`sub -p $SECRET -t a --quiet`,
	`rr -p $SECRET -t a -e b -m c`,
	`pub -p 1 -t a -m b`,
	`sub -p 1 -t a`,
	`pub -h no-such-host.invalid -t a -m b`,
	`pub -p $OPEN --cafile nofile -t a -m b`,
	`pub -p $OPEN -f nofile -t a`,
}

// mistaken are command lines that no broker hears of.
var mistaken = []string{
	`sub -p $OPEN`, `sub -t a/#/b`, `sub -t a -R --retained-only`, `rr -t c`, `rr -t c -e d/+ -m x`, `pub -t a/+ -m b`, `pub --foo`, `pub -t`,
	`sub -m x`, `pub -C 3`, `pub -W 3`, `sub -t a -C 0`, `sub -t a -W 0`, `sub -t a --random-filter 0`, `pub -t a -m x -M 0`, `pub -t a -m x -p 70000`,
	`pub -t a -m x -D publish topic-alias 3 -D connect foo 1`, `pub -t a -m x -D publish session-expiry-interval 3`,
	`pub -t a -m x -D publish topic-alias 300000`, `pub -t a -m x -D publish user-property 30`, `pub -t a -m x -D publish`,
	`pub -t a -m x -D auth authentication-method x`, `pub -t a -m x -D nonsense content-type x`,
	`pub -t a -m x -D publish content-type a -D publish content-type b`, `pub -t a -m x -I a -i b`, `pub -t a -m x -i a -I b`, `pub -t a -m x -m y`,
	`pub -t a -m x --will-payload a`, `pub -t a -m x --will-retain`, `pub -t a -m x --will-topic a/#`, `pub -t a -m x --will-qos 3 --will-topic a`,
	`pub -t a -m x -x 5z -V 5`, `pub -t a -m x -x 4294967296 -V 5`, `pub -t a -m x -x -1 -V 5`, `pub -t a -m x -c`, `pub -t a -m x -c -V 5`, `pub -t a -m x -k 3`,
	`pub -t a -m x -q 3`, `pub -t a -m x -V 4`, `pub -L http://x/y -m x`, `pub -L mqtt://xy -m x`, `pub -t a -m x --proxy http://x`,
	`pub -t a -m x --cert c`, `pub -t a -m x --keyform pem`, `pub -t a -m x --repeat 0`, `pub -t a -m x --repeat-delay -1`,
	`sub -t a -F %`, `sub -t a -F %z`, `sub -t a -F \q`, `sub -t a -F @`, `sub -t a -F \`, `sub -t a -F %-`,
}

// retainedForFormats are what the formats are tried on.
var retainedForFormats = []string{
	`-V 5 -r -q 1 -t f/full -m he"llo\_é -D publish content-type text/x -D publish response-topic r/t -D publish correlation-data abc -D publish user-property k1 v1 -D publish user-property k2 v2 -D publish payload-format-indicator 1`,
	`-r -t f/json -m {_"a"_:_[1,_2.50,_1e3,_12345678901234567890,_{},_[],_{"x":null,"x":true}],_"s":"\u00e9\/\n\u0001"_,_"n":-0.0,_"f":1e-7_}`,
	`-r -t f/plain -q 2 -m 0123456789`,
}

// arguments makes a command line of one of the above.
func (b *testBroker) arguments(line string) (args []string) {
	values := strings.NewReplacer("$OPEN", strconv.Itoa(b.open), "$SECRET", strconv.Itoa(b.secret), "$TLS", strconv.Itoa(b.tls),
		"$RULES", strconv.Itoa(b.rules), "$DIR", b.dir, "_", " ")
	for word := range strings.SplitSeq(line, " ") {
		args = append(args, values.Replace(word))
	}
	return args
}

// call runs a program of mosquitto's, or picket under its name when bin holds links to it.
func (b *testBroker) call(t *testing.T, bin, line string) result {
	t.Helper()
	line, stdin, _ := strings.Cut(line, " < ")
	args := b.arguments(line)
	return execute(t, filepath.Join(bin, "mosquitto_"+args[0]), stdin, args[1:])
}

// compare holds what a program has left behind against what mosquitto's left. On stderr there may be more lines.
func compare(t *testing.T, who string, got, want result) {
	t.Helper()
	if got.status != want.status {
		t.Errorf("%s: exit status %d, want %d", who, got.status, want.status)
	}
	if same(got.stdout) != same(want.stdout) {
		t.Errorf("%s: stdout:\n%s\nwant:\n%s", who, got.stdout, want.stdout)
	}
	rest := same(got.stderr)
	for text := range strings.SplitSeq(strings.TrimSpace(same(want.stderr)), "\n") {
		_, after, ok := strings.Cut(rest, text)
		if !ok {
			t.Errorf("%s: stderr:\n%s\nwant:\n%s", who, got.stderr, want.stderr)
			break
		}
		rest = after
	}
}

// TestLikeMosquitto runs mosquitto's programs with its broker, and then all other pairs of programs and brokers, of mosquitto and of picket,
// with the same arguments. What comes out has to be the same.
func TestLikeMosquitto(t *testing.T) {
	const theirs = "/usr/bin"
	ours := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mosquitto", "mosquitto_pub", "mosquitto_sub", "mosquitto_rr"} {
		if err := os.Symlink(exe, filepath.Join(ours, name)); err != nil {
			t.Fatal(err)
		}
	}
	original, own := startBroker(t, "/usr/sbin/mosquitto"), startBroker(t, filepath.Join(ours, "mosquitto"))
	for _, b := range []*testBroker{original, own} {
		for _, line := range retainedForFormats {
			if r := b.call(t, theirs, "pub -p $OPEN "+line); r.status != 0 {
				t.Fatal(r.stderr)
			}
		}
	}
	for _, line := range talking {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			want := original.call(t, theirs, line)
			compare(t, "picket's program with mosquitto's broker", original.call(t, ours, line), want)
			compare(t, "mosquitto's program with picket's broker", own.call(t, theirs, line), want)
			compare(t, "picket's program with picket's broker", own.call(t, ours, line), want)
		})
	}
	for _, line := range mistaken {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			compare(t, "picket", original.call(t, ours, line), original.call(t, theirs, line))
		})
	}
}
