package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"picket/internal/testbed"
	"picket/packet"
)

func TestMain(m *testing.M) { testbed.Main(m) }

// mosquitto starts Debian's mosquitto with further lines of configuration and returns its address.
func mosquitto(t *testing.T, lines string) *brokerProcess {
	t.Helper()
	return mosquittoOver(t, TCP, lines)
}

// mosquittoOver starts it with a listener for a transport.
func mosquittoOver(t *testing.T, transport Transport, lines string) *brokerProcess {
	t.Helper()
	if _, err := exec.LookPath("mosquitto"); err != nil {
		t.Fatal("mosquitto is missing: apt-get install mosquitto")
	}
	dir := t.TempDir()
	// mosquitto gives up root's rights, and the directories above have to let it through.
	for d := dir; strings.HasPrefix(d, os.TempDir()+"/"); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b, err := startBroker(t.Context(), Contender{Name: "mosquitto", Command: "mosquitto -c {conf}", Config: lines}, dir, transport)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.stop)
	return b
}

// brief is a Config of a run that takes a moment.
func brief(c Config, b *brokerProcess) Config {
	c.Address, c.PID = b.address, b.pid()
	c.Warmup, c.Duration = 50*time.Millisecond, 250*time.Millisecond
	c.Drain = time.Minute // a busy machine takes its time
	return c
}

func TestRunMessages(t *testing.T) {
	b := mosquitto(t, "")
	for _, c := range []Config{
		{Scenario: Pair, Version: packet.V31, Backlog: 10_000},
		{Scenario: Pair, QoS: 1},
		{Scenario: Pair, QoS: 2, Version: packet.V5},
		{Scenario: Pair, Publishers: 3, Topics: 100, QoS: 1, Window: 7, Version: packet.V5},
		{Scenario: Pair, Size: 100_000, QoS: 2, Window: 5},
		{Scenario: Pair, Size: 1, QoS: 1},
		{Scenario: FanIn, Publishers: 12, Backlog: 5000},
		{Scenario: FanIn, Publishers: 5, Subscribers: 3, QoS: 2},
		{Scenario: FanOut, Subscribers: 10, QoS: 1, Backlog: 100},
	} {
		t.Run(fmt.Sprintf("%s V%d QoS %d size %d", c.Scenario, c.Version, c.QoS, c.Size), func(t *testing.T) {
			res, err := runUntil(t, brief(c, b), func(res *Result) bool { return res.ReceivedPerSecond > 0 })
			if err != nil {
				t.Fatal(err)
			}
			if res.Lost != 0 || res.Received == 0 || res.Unsettled != 0 || res.Refused != 0 {
				t.Errorf("%d lost, %d received, %d unsettled, %d refused of %d sent", res.Lost, res.Received, res.Unsettled, res.Refused, res.Sent)
			}
			if res.ReceivedPerSecond <= 0 || res.Measured < 0.25 {
				t.Errorf("%v messages/s in %v s", res.ReceivedPerSecond, res.Measured)
			}
			if (res.Latency != nil) != (c.Size == 0 || c.Size >= StampSize) {
				t.Errorf("latency %+v with a payload of %d bytes", res.Latency, c.Size)
			}
			if res.Broker == nil || res.Broker.RSS < 1<<20 {
				t.Errorf("broker's process: %+v", res.Broker)
			}
		})
	}
}

// Sessions that survive get everything, whether their clients are there or come later.
func TestRunWithSessions(t *testing.T) {
	b := mosquitto(t, "max_inflight_messages 100")
	for _, c := range []Config{
		{Sessions: Persistent, QoS: 1},
		{Sessions: Persistent, QoS: 2, Version: packet.V5, Publishers: 3},
		{Sessions: Offline, QoS: 1, Version: packet.V5},
		{Sessions: Offline, QoS: 2, Publishers: 3, Rate: 1000},
		{Sessions: Offline, QoS: 1, Scenario: FanOut, Subscribers: 4},
	} {
		t.Run(fmt.Sprintf("%s V%d QoS %d", c.Sessions, c.Version, c.QoS), func(t *testing.T) {
			res, err := runUntil(t, brief(c, b), func(res *Result) bool { return res.SentPerSecond > 0 && res.Acknowledged != nil })
			if err != nil {
				t.Fatal(err)
			}
			if res.Lost != 0 || res.Received == 0 || res.Unsettled != 0 || res.Refused != 0 {
				t.Errorf("%d lost, %d received, %d unsettled, %d refused of %d sent", res.Lost, res.Received, res.Unsettled, res.Refused, res.Sent)
			}
			if res.Acknowledged == nil || res.Acknowledged.P99 <= 0 || (res.Latency == nil) != (c.Sessions == Offline) {
				t.Errorf("acknowledged %+v, latency %+v", res.Acknowledged, res.Latency)
			}
		})
	}
}

func TestRunAtARate(t *testing.T) {
	b := mosquitto(t, "")
	for qos := range byte(3) {
		c := brief(Config{Scenario: FanOut, Subscribers: 4, QoS: qos, Rate: 400, Version: packet.V5}, b)
		c.Duration = time.Second
		res, err := Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		// A machine that is busy makes messages late, not fewer: those that are due are sent as soon as it can.
		// More than were due there cannot be.
		if most := uint64(400*1.05) + 400; res.Sent == 0 || res.Sent > most {
			t.Errorf("QoS %d: %d messages sent, at most %d were due", qos, res.Sent, most)
		}
		if res.Lost != 0 || res.Latency == nil || res.Latency.Count == 0 {
			t.Errorf("QoS %d: %d lost of %d, latency %+v", qos, res.Lost, res.Expected, res.Latency)
		}
	}
}

// runUntil gives a run more time, up to 16 times as much, until it has something to show: a busy machine needs that.
func runUntil(t *testing.T, c Config, enough func(*Result) bool) (*Result, error) {
	res, err := Run(t.Context(), c)
	for n := 0; n < 2 && err == nil && !enough(res); n++ {
		c.Duration *= 4
		res, err = Run(t.Context(), c)
	}
	return res, err
}

func TestRunConnections(t *testing.T) {
	b := mosquitto(t, "")
	idle, err := Run(t.Context(), brief(Config{Scenario: Idle, Connections: 200}, b))
	if err != nil {
		t.Fatal(err)
	}
	if idle.Broker == nil || idle.Broker.PerConnection <= 0 || idle.Broker.PerConnection > 1<<20 {
		t.Errorf("idle: %+v", idle.Broker)
	}
	connects, err := runUntil(t, brief(Config{Scenario: Connects, Connections: 5, Version: packet.V5}, b),
		func(res *Result) bool { return res.ConnectsPerSecond > 0 })
	if err != nil {
		t.Fatal(err)
	}
	if connects.ConnectsPerSecond <= 0 || connects.Latency == nil {
		t.Errorf("connects: %v/s, latency %+v", connects.ConnectsPerSecond, connects.Latency)
	}
}

// Whatever the transport, messages come through, and nothing is left behind.
func TestRunOverEveryTransport(t *testing.T) {
	if _, err := exec.LookPath("mosquitto"); err != nil {
		t.Fatal("mosquitto is missing: apt-get install mosquitto")
	}
	for _, transport := range []Transport{TLS, WebSocket, SecureWebSocket} {
		t.Run(string(transport), func(t *testing.T) {
			b := mosquittoOver(t, transport, "")
			c := brief(Config{QoS: 1, Transport: transport, Authorities: b.authorities, Filters: 150, Publishers: 2}, b)
			res, err := runUntil(t, c, func(res *Result) bool { return res.ReceivedPerSecond > 0 })
			if err != nil {
				t.Fatal(err)
			}
			if res.Lost != 0 || res.Received == 0 {
				t.Errorf("%d lost, %d received", res.Lost, res.Received)
			}
			c.Scenario, c.Connections, c.Filters = Idle, 20, 0
			if idle, err := Run(t.Context(), c); err != nil || idle.ConnectsPerSecond <= 0 {
				t.Errorf("idle: %+v, %v", idle, err)
			}
		})
	}
}

func TestRunRefusesACertificateThatNobodyVouchesFor(t *testing.T) {
	b := mosquittoOver(t, TLS, "")
	if _, err := Run(t.Context(), brief(Config{Transport: TLS}, b)); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v, want one about the certificate", err)
	}
}

// Every topic has its retained message before any is replaced, and none in the end.
func TestRunRetained(t *testing.T) {
	b := mosquitto(t, "")
	c := brief(Config{Scenario: Retained, QoS: 1, Topics: 300, Publishers: 2, Leave: true}, b)
	left := func() int {
		t.Helper()
		c.Version, c.Transport = packet.V311, TCP
		d, err := newDialer(t.Context(), &c)
		if err != nil {
			t.Fatal(err)
		}
		cl, err := d.connect(t.Context(), "looks", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.goodbye()
		if err := cl.subscribe(0, "#"); err != nil {
			t.Fatal(err)
		}
		// What is retained comes before the answer to a ping that follows.
		if _, err := cl.Write((&packet.Pingreq{}).Append(nil, packet.V311)); err != nil {
			t.Fatal(err)
		}
		n, in := 0, cl.early
		cl.SetReadDeadline(time.Now().Add(time.Minute))
		for {
			head, remaining, err := packet.Header(in)
			if err != nil {
				t.Fatal(err)
			}
			if head == 0 || len(in) < head+remaining {
				more := make([]byte, 4096)
				got, err := cl.Read(more)
				if err != nil {
					t.Fatal(err)
				}
				in = append(in, more[:got]...)
				continue
			}
			if packet.Type(in[0]>>4) == packet.PINGRESP {
				return n
			}
			n, in = n+1, in[head+remaining:]
		}
	}
	res, err := runUntil(t, c, func(res *Result) bool { return res.SentPerSecond > 0 })
	if err != nil {
		t.Fatal(err)
	}
	if res.FirstPerSecond <= 0 || res.Sent < 600 || res.Expected != 0 || res.Unsettled != 0 || res.Broker == nil {
		t.Errorf("%+v", res)
	}
	if n := left(); n == 0 || n%600 != 0 {
		t.Errorf("%d retained messages after a run that leaves them, want 600", n)
	}
	c.Leave = false
	before := left()
	if _, err := Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if n := left(); n != before {
		t.Errorf("%d retained messages after a run that removes its own, %d before it", n, before)
	}
}

func TestRunIdleSubscribesAndGoesAway(t *testing.T) {
	b := mosquitto(t, "")
	for _, sessions := range []Sessions{Clean, Persistent, Offline} {
		res, err := Run(t.Context(), brief(Config{Scenario: Idle, Connections: 50, Filters: 120, QoS: 1, Sessions: sessions}, b))
		if err != nil {
			t.Fatalf("%s: %v", sessions, err)
		}
		if (res.SubscribesPerSecond > 0) == (sessions == Offline) || res.ConnectsPerSecond <= 0 {
			t.Errorf("%s: %+v", sessions, res)
		}
	}
	if _, err := runUntil(t, brief(Config{Scenario: Connects, Connections: 5, Sessions: Persistent}, b),
		func(res *Result) bool { return res.ConnectsPerSecond > 0 }); err != nil {
		t.Fatal(err)
	}
}

func TestRunFindsTheProcess(t *testing.T) {
	b := mosquitto(t, "")
	c := brief(Config{Scenario: Idle, Connections: 1}, b)
	c.PID = 0
	res, err := Run(t.Context(), c)
	if err != nil || res.Broker == nil || res.Broker.PID != b.pid() {
		t.Fatalf("broker's process is %d, found %+v: %v", b.pid(), res, err)
	}
}

func TestRunReportsProgress(t *testing.T) {
	b := mosquitto(t, "")
	var calls atomic.Int64
	c := brief(Config{}, b)
	c.Duration = 1500 * time.Millisecond
	c.Progress = func(p Progress) {
		if p.Phase != "connecting" && p.Received > 0 {
			calls.Add(1)
		}
	}
	if _, err := runUntil(t, c, func(*Result) bool { return calls.Load() > 0 }); err != nil || calls.Load() == 0 {
		t.Fatalf("%d reports of messages: %v", calls.Load(), err)
	}
}

func TestRunSaysWhyNot(t *testing.T) {
	t.Run("nobody listens", func(t *testing.T) {
		_, err := Run(t.Context(), Config{Address: fmt.Sprintf("127.0.0.1:%d", testbed.Port(t))})
		if err == nil || !strings.Contains(err.Error(), "is a broker listening on 127.0.0.1:") {
			t.Fatal(err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		b := mosquitto(t, "allow_anonymous false")
		_, err := Run(t.Context(), brief(Config{Version: packet.V5}, b))
		if err == nil || !strings.Contains(err.Error(), "the broker refused the connection") {
			t.Fatal(err)
		}
	})
	t.Run("broker dies", func(t *testing.T) {
		b := mosquitto(t, "")
		c := brief(Config{QoS: 1}, b)
		c.Duration = time.Minute
		c.Progress = func(Progress) { b.cmd.Process.Kill() }
		_, err := Run(t.Context(), c)
		if err == nil || !strings.Contains(err.Error(), "bench-") {
			t.Fatal(err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		b := mosquitto(t, "")
		for _, s := range Scenarios {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			c := brief(Config{Scenario: s, QoS: 2, Rate: 100}, b)
			c.Duration = time.Minute
			if _, err := Run(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", s, err)
			}
			cancel()
		}
	})
	t.Run("no broker", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
				conn.Close()
			}
		}()
		if _, err := Run(t.Context(), Config{Address: l.Addr().String()}); err == nil {
			t.Fatal("no error")
		}
	})
}

func TestConfigErrors(t *testing.T) {
	for want, c := range map[string]Config{
		"HOST:PORT":            {Address: "localhost"},
		"expected one of pair": {Scenario: "triangle"},
		"do not pair up":       {Publishers: 2, Subscribers: 3},
		"protocol version 7":   {Version: 7},
		"QoS 3":                {QoS: 3},
		"rate -1":              {Rate: -1},
		"window 70000":         {Window: 70000},
		"publishers -1":        {Publishers: -1, Scenario: FanIn},
		"size 999999999":       {Size: 999999999},
		"topics 99999999":      {Topics: 99999999},
		"backlog -1":           {Backlog: -1},
		"times cannot be":      {Duration: -1},
		"expected clean":       {Sessions: "short"},
		"nothing of QoS 0":     {Sessions: Offline},
		"cannot be bounded":    {Sessions: Offline, QoS: 1, Backlog: 5},
	} {
		if _, err := Run(t.Context(), c); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want ErrConfig with %q", err, want)
		}
	}
}
