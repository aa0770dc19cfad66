package logging

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"picket/cause"
	"picket/internal/testbed"
)

func TestMain(m *testing.M) { testbed.Main(m) }

// open starts a logger that writes to the returned buffer by way of standard output, and closes it at the end of the test.
func open(t *testing.T, c Config) (*Logger, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	if c.Dest == nil {
		c.Dest = []Dest{{Kind: Stdout}}
	}
	l, err := New(c, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, &out
}

func TestMosquittoFormat(t *testing.T) {
	defer func(zone *time.Location) { time.Local = zone }(time.Local)
	time.Local = time.FixedZone("CST", 8*3600)
	for _, c := range []struct {
		name string
		conf Config
		want string
	}{
		{"seconds", Config{Timestamp: true}, "946684800: Reloading config.\n"},
		{"strftime, local zone", Config{Timestamp: true, TimestampFormat: "%Y-%m-%dT%H:%M:%S%z"}, "2000-01-01T08:00:00+0800: Reloading config.\n"},
		{"no timestamp", Config{}, "Reloading config.\n"},
		{"text", Config{Format: Text, Timestamp: true}, "time=2000-01-01T08:00:00.000+08:00 level=INFO msg=\"Reloading config.\" type=information\n"},
		{"text without time", Config{Format: Text}, "level=INFO msg=\"Reloading config.\" type=information\n"},
		{"json", Config{Format: JSON, Timestamp: true}, `{"time":"2000-01-01T08:00:00+08:00","level":"INFO","msg":"Reloading config.","type":"information"}` + "\n"},
		{"json, strftime", Config{Format: JSON, Timestamp: true, TimestampFormat: "%H.%M"}, `{"time":"08.00","level":"INFO","msg":"Reloading config.","type":"information"}` + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // the clock of a bubble starts at 2000-01-01 UTC
				c.conf.Types = Default
				l, out := open(t, c.conf)
				l.Printf(Info, "Reloading config.")
				l.Close()
				if out.String() != c.want {
					t.Errorf("got  %q\nwant %q", out, c.want)
				}
			})
		})
	}
}

func TestTypesAreAMask(t *testing.T) {
	l, out := open(t, Config{Types: Error | Subscribe})
	for kind := Info; kind <= WebSockets; kind <<= 1 {
		l.Printf(kind, "%s", kind)
		if got, want := l.Enabled(kind), kind == Error || kind == Subscribe; got != want {
			t.Errorf("Enabled(%s) = %t", kind, got)
		}
	}
	l.Close()
	if got, want := out.String(), "error\nsubscribe\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNoDestinationIsDisabled(t *testing.T) {
	l, _ := open(t, Config{Types: All, Dest: []Dest{}})
	if l.Enabled(Error) {
		t.Error("a logger without a destination says that errors are logged")
	}
	l.Printf(Error, "goes nowhere")
}

func TestCauseIsNamed(t *testing.T) {
	for format, want := range map[Format]string{
		Mosquitto: "Client garden disconnected, not authorised. [bad-credentials]\n",
		Text:      "level=INFO msg=\"Client garden disconnected, not authorised.\" type=notice cause=bad-credentials\n",
		JSON:      `{"level":"INFO","msg":"Client garden disconnected, not authorised.","type":"notice","cause":"bad-credentials"}` + "\n",
	} {
		l, out := open(t, Config{Types: Default, Format: format})
		l.Cause(Notice, "bad-credentials", "Client %s disconnected, not authorised.", "garden")
		l.Close()
		if out.String() != want {
			t.Errorf("%v: got %q, want %q", format, out, want)
		}
	}
}

// What clients send ends up in lines; it must not be able to make lines of its own, or steer a terminal.
func TestControlCharactersAreEscaped(t *testing.T) {
	l, out := open(t, Config{Types: Default})
	for _, c := range []struct{ id, want string }{
		{"plain", "plain"},
		{"花园/温度", "花园/温度"},
		{"a\n1535473957: New client", `a\n1535473957: New client`},
		{"\x1b[2J", `\x1b[2J`},
		{"tab\there", `tab\there`},
		{"\x7f\r\x00", `\x7f\r\x00`},
		{"bad\xffutf8", `bad\xffutf8`},
		{"\u0085\u2028\u202e", `\u0085\u2028\u202e`},
	} {
		out.Reset()
		l.Printf(Notice, "Client %s disconnected.", c.id)
		l.Flush()
		if got, want := out.String(), "Client "+c.want+" disconnected.\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	out.Reset()
	l.Printf(Notice, "\thome/# (QoS %d)", 1)
	l.Flush()
	if got, want := out.String(), "\thome/# (QoS 1)\n"; got != want {
		t.Errorf("mosquitto's own indent: got %q, want %q", got, want)
	}
}

func TestLongLinesAreCutInTheMosquittoFormat(t *testing.T) {
	topic := strings.Repeat("花", 700)
	l, out := open(t, Config{Types: Default, Timestamp: true})
	l.Cause(Notice, "topic-invalid", "Topic %s", topic)
	l.Close()
	line := strings.TrimSuffix(out.String(), "\n")
	if len(line) > 1000 || len(line) < 996 {
		t.Errorf("the line has %d bytes, want 1000 less a part of a character", len(line))
	}
	if !regexp.MustCompile(`^\d+: Topic 花+\.\.\. \(line cut\) \[topic-invalid\]$`).MatchString(line) {
		t.Errorf("the cut line is %q", line)
	}

	l, out = open(t, Config{Types: Default, Format: JSON})
	l.Printf(Notice, "Topic %s", topic)
	l.Close()
	var record struct{ Msg string }
	if err := json.Unmarshal(out.Bytes(), &record); err != nil || record.Msg != "Topic "+topic {
		t.Errorf("JSON lines are not cut: %v, %d bytes", err, len(record.Msg))
	}
}

func TestReloadFollowsRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "picket.log")
	conf := Config{Types: Default, Dest: []Dest{{Kind: File, Path: path}}}
	l, err := New(conf, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	l.Printf(Info, "before")
	l.Flush()
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reload(conf); err != nil {
		t.Fatal(err)
	}
	l.Printf(Info, "after")
	l.Flush()
	for name, want := range map[string]string{path + ".1": "before\n", path: "after\n"} {
		got, err := os.ReadFile(name)
		if err != nil || string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", filepath.Base(name), got, err, want)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others can read the log: %v %v", info.Mode(), err)
	}
}

func TestFailedReloadChangesNothing(t *testing.T) {
	l, out := open(t, Config{Types: Default})
	missing := filepath.Join(t.TempDir(), "missing", "picket.log")
	err := l.Reload(Config{Types: Debug, Dest: []Dest{{Kind: File, Path: missing}}})
	if err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("the error is %v, want one that names %s", err, missing)
	}
	l.Printf(Info, "still here")
	l.Close()
	if out.String() != "still here\n" {
		t.Errorf("got %q", out)
	}
}

func TestTopicSink(t *testing.T) {
	l, _ := open(t, Config{Types: All, Dest: []Dest{{Kind: Topic}}})
	l.Printf(Notice, "nobody publishes yet")
	l.Flush()
	var got []string
	l.SetTopicSink(func(kind Type, line string) { got = append(got, fmt.Sprintf("%s|%s", kind, line)) })
	l.Printf(Notice, "one")
	l.Printf(Debug, "never")
	l.Printf(Internal, "never")
	l.Printf(Subscribe, "two")
	l.Close()
	if want := []string{"notice|one", "subscribe|two"}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A gate is a writer that stands still until it is opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	buf  bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.buf.Write(p)
}

func TestAStandingReaderCostsOneWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{open: make(chan struct{})}
		l, err := New(Config{Types: Default, Dest: []Dest{{Kind: Stdout}}}, g, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		const lines = 5000
		start := time.Now()
		for range lines {
			l.Printf(Notice, "%0900d", 0)
		}
		if waited := time.Since(start); waited > 2*patience {
			t.Errorf("%d lines to a reader that stands still took %v", lines, waited)
		}
		close(g.open)
		l.Close()
		kept, lost := 0, 0
		for line := range strings.Lines(g.buf.String()) {
			if n, _ := fmt.Sscanf(line, "%d log lines were lost here", new(int)); n == 1 && strings.HasSuffix(line, "[log-lines-lost]\n") {
				var n int
				_, _ = fmt.Sscanf(line, "%d", &n)
				lost += n
			} else {
				kept++
			}
		}
		if kept+lost != lines || lost == 0 || kept < queueBytes/901-1 {
			t.Errorf("%d lines: %d arrived, %d reported as lost", lines, kept, lost)
		}
	})
}

// Time passes only when everybody waits, so that no machine is too busy for the reader.
func TestASlowReaderGetsEveryLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		l, err := New(Config{Types: Default, Dest: []Dest{{Kind: Stdout}}}, w, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		const writers, each = 4, 4000
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range each {
					l.Printf(Notice, "%0300d", 0)
				}
			})
		}
		go func() {
			wg.Wait()
			l.Close()
			w.Close()
		}()
		all, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Count(all, []byte("\n")); got != writers*each {
			t.Errorf("%d lines arrived, want %d", got, writers*each)
		}
	})
}

func TestFullDiskIsTold(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Logf("this system has no /dev/full: %v", err)
		return
	}
	var stderr bytes.Buffer
	l, err := New(Config{Types: Default, Dest: []Dest{{Kind: File, Path: "/dev/full"}}}, io.Discard, &stderr)
	if err != nil {
		t.Fatal(err)
	}
	l.Printf(Info, "one")
	l.Flush()
	l.Printf(Info, "two")
	l.Close()
	if got := stderr.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "no space left") || !strings.Contains(got, "[log-lines-lost]") {
		t.Errorf("standard error holds %q, want one line about the full disk", got)
	}
}

func TestReloadWhileLogging(t *testing.T) {
	path := filepath.Join(t.TempDir(), "picket.log")
	conf := Config{Types: Default, Dest: []Dest{{Kind: Stdout}, {Kind: File, Path: path}}}
	l, out := open(t, conf)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := range 500 {
				l.Printf(Info, "line %d", i)
			}
		})
	}
	for i := range 50 {
		conf.Format = Format(i % 3)
		if err := l.Reload(conf); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	l.Close()
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(written, []byte("\n")); got != 1000 || bytes.Count(out.Bytes(), []byte("\n")) != 1000 {
		t.Errorf("%d lines in the file and %d on standard output, want 1000 each", got, bytes.Count(out.Bytes(), []byte("\n")))
	}
}

func BenchmarkDisabled(b *testing.B) {
	l, err := New(Config{Types: Default, Dest: []Dest{{Kind: Stdout}}}, io.Discard, io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	b.ReportAllocs()
	for b.Loop() {
		if l.Enabled(Debug) {
			l.Printf(Debug, "Received PINGREQ from %s", "garden")
		}
	}
}

// What a line says may be put into other words, for people; what a client has written in it is escaped all the same. Other forms stay as they are.
func TestWords(t *testing.T) {
	for format, want := range map[Format]string{Mosquitto: `<Client a\x1bb is here.> [bad-credentials]`, JSON: `"msg":"Client a`} {
		var out bytes.Buffer
		l, err := New(Config{Dest: []Dest{{Kind: Stderr}}, Types: Default, Format: format, Words: func(line string) string { return "<" + line + ">" }}, &out, &out)
		if err != nil {
			t.Fatal(err)
		}
		l.Cause(Notice, cause.BadCredentials, "Client %s is here.", "a\x1bb")
		l.Close()
		if !strings.Contains(out.String(), want) {
			t.Errorf("%v: %s, want %s", format, &out, want)
		}
	}
}
