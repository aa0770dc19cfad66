//go:build linux

package crash

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"picket/internal/testbed"
	"picket/packet"
)

var queued = flag.Int("queued", someQueued, "how many messages TestBacklog has wait for sessions whose clients are away, a hundred for each")

// someQueued is a tenth of what the budgets are for; with the race detector, which makes everything many times slower, less.
var someQueued = map[bool]int{false: 100_000, true: 20_000}[testbed.Race]

// Budgets of the broker with a million queued messages over ten thousand sessions.
const (
	memoryBudget = 512 << 20
	// diskAllowance is what a store takes besides twice its data: the reserve for a full disk, at most 64 MiB, and the logs of changes that wait to be
	// written to tables.
	diskAllowance = 64<<20 + 32<<20
)

// What each session of TestBacklog has to get: messages of its own, and messages that all sessions share.
const ownMessages, sharedMessages = 50, 50

// Queued messages lie on the disk and not in memory, survive kill -9, come in order, and leave the disk when they have been fetched.
func TestBacklog(t *testing.T) {
	b, err := newBroker(picket(t, "persistence true\nmax_inflight_messages 100\nconnection_messages false\nsys_interval 1\n"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	start := func() time.Duration {
		began := time.Now()
		if err := b.start(); err != nil {
			t.Fatal(err)
		}
		if err := b.ready(); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	start()
	kill := func() {
		if err := b.Kill(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(kill)
	backlog := &backlog{b: b, sessions: max(1, *queued/(ownMessages+sharedMessages))}
	step := func(what string, do func() error) time.Duration {
		began := time.Now()
		if err := do(); err != nil {
			t.Fatalf("%s: %v\n%s", what, err, b.End())
		}
		return time.Since(began)
	}
	made := step("making sessions", backlog.subscribe)
	published := step("publishing", backlog.publish)
	memory := b.peak(t)
	check := func(when string) {
		t.Helper()
		if m := b.peak(t); m > memoryBudget {
			t.Errorf("%s, the broker has used %d MiB of memory, more than %d", when, m>>20, memoryBudget>>20)
		}
	}
	check("with all messages queued")
	n := backlog.sessions * (ownMessages + sharedMessages)
	t.Logf("%d sessions made in %v; %d messages queued in %v, %.0f/s; peak memory %d MiB", backlog.sessions, made.Round(time.Millisecond), n, published.Round(time.Millisecond), float64(n)/published.Seconds(), memory>>20)
	store := b.settled(t, func(v map[string]int64) bool { return v["queued"] == int64(n) })
	stored := b.shrinksTo(t, "with all messages queued", 2*store["live/bytes"]+diskAllowance)
	t.Logf("disk %d MiB for %d MiB of records, %d MiB of topics and payloads; %.2f fsyncs for 1,000 messages", stored>>20, store["live/bytes"]>>20, backlog.bytes>>20, 1000*float64(store["syncs"])/float64(n))
	if store["live/bytes"] < backlog.bytes {
		t.Errorf("the broker says that it keeps %d bytes, fewer than the %d of all topics and payloads", store["live/bytes"], backlog.bytes)
	}

	kill()
	restart := start()
	check("after the restart")
	t.Logf("restart after SIGKILL in %v; peak memory %d MiB", restart.Round(time.Millisecond), b.peak(t)>>20)

	fetched := step("fetching", backlog.fetch)
	check("with all messages fetched")
	t.Logf("all fetched in %v, %.0f/s; peak memory %d MiB", fetched.Round(time.Millisecond), float64(n)/fetched.Seconds(), b.peak(t)>>20)
	b.settled(t, func(v map[string]int64) bool { return v["queued"] == 0 })
	t.Logf("disk in the end %d MiB", b.shrinksTo(t, "with all messages fetched", diskAllowance)>>20)
}

// backlog is what TestBacklog has queued.
type backlog struct {
	b        *broker
	sessions int
	bytes    int64 // topics and payloads, each shared message once
}

const payloadSize = 150

func (l *backlog) topic(session int) string { return fmt.Sprintf("backlog/own/%05d", session) }

// text is the payload of message number n to a topic.
func (l *backlog) text(topic string, n int) []byte {
	b := fmt.Appendf(nil, "%s %d ", topic, n)
	return append(b, bytes.Repeat([]byte{'a' + byte(n%26)}, payloadSize-len(b))...)
}

const sharedTopic = "backlog/all"

// atOnce is how many clients work at a time.
const atOnce = 32

// each calls do for every session.
func (l *backlog) each(do func(ctx context.Context, session int, c *link) error) error {
	g, ctx := errgroup.WithContext(context.Background())
	g.SetLimit(atOnce)
	for i := range l.sessions {
		g.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			c, err := l.b.dial(fmt.Sprintf("absent%05d", i), false)
			if err != nil {
				return err
			}
			defer c.conn.Close()
			if err := do(ctx, i, c); err != nil {
				return fmt.Errorf("session %d: %w", i, err)
			}
			_, err = c.conn.Write((&packet.Disconnect{}).Append(nil, c.version))
			return err
		})
	}
	return g.Wait()
}

// dial connects with MQTT 5.0 and a session that survives, or a clean one.
func (b *broker) dial(id string, clean bool) (*link, error) {
	conn, err := net.DialTimeout("tcp", b.addr, patience)
	if err != nil {
		return nil, err
	}
	c := &link{conn: conn, version: packet.V5, buf: make([]byte, 16<<10)}
	hello := &packet.Connect{Version: packet.V5, ClientID: id, CleanStart: clean}
	if !clean {
		hello.Props = (&packet.Properties{SessionExpiry: 86400}).Set(packet.SessionExpiryInterval)
	}
	ack, err := c.handshake(hello)
	if err == nil && ack.Code != packet.Success {
		err = fmt.Errorf("CONNACK with %v", ack.Code)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(10 * time.Minute)) // all that one client does here takes seconds
	return c, nil
}

func (l *backlog) subscribe() error {
	return l.each(func(_ context.Context, i int, c *link) error {
		p := &packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: l.topic(i), QoS: 1}, {Filter: sharedTopic, QoS: 1}}}
		if _, err := c.conn.Write(p.Append(nil, c.version)); err != nil {
			return err
		}
		first, _, err := c.next()
		if err == nil && packet.Type(first>>4) != packet.SUBACK {
			err = fmt.Errorf("%v in place of SUBACK", packet.Type(first>>4))
		}
		return err
	})
}

// publish has everything queued: from several publishers, each with some sessions of its own, and the last of them for all.
func (l *backlog) publish() error {
	const publishers = 4
	g := new(errgroup.Group)
	for p := range publishers {
		g.Go(func() error {
			var messages []func() (topic string, payload []byte)
			for n := range ownMessages {
				for i := p; i < l.sessions; i += publishers {
					messages = append(messages, func() (string, []byte) { return l.topic(i), l.text(l.topic(i), n) })
				}
			}
			if p == 0 {
				for n := range sharedMessages {
					messages = append(messages, func() (string, []byte) { return sharedTopic, l.text(sharedTopic, n) })
				}
			}
			return l.send(fmt.Sprintf("publisher%d", p), messages)
		})
	}
	l.bytes = int64(l.sessions)*ownMessages*(payloadSize+int64(len(l.topic(0)))) + sharedMessages*int64(payloadSize+len(sharedTopic))
	return g.Wait()
}

// send publishes with QoS 1 and a window of messages under way.
func (l *backlog) send(id string, messages []func() (string, []byte)) error {
	c, err := l.b.dial(id, true)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	const window = 100 // as max_inflight_messages
	var out []byte
	for sent, acked := 0, 0; acked < len(messages); {
		out = out[:0]
		for sent < len(messages) && sent-acked < window {
			topic, payload := messages[sent]()
			sent++
			p := packet.Publish{QoS: 1, Topic: []byte(topic), ID: uint16(sent%window + 1), Payload: payload}
			out = p.Append(out, c.version)
		}
		if _, err := c.conn.Write(out); err != nil {
			return err
		}
		for more := true; more; more = !c.empty() {
			first, body, err := c.next()
			if err != nil {
				return err
			}
			p, err := packet.Decode(c.version, first, body)
			if err != nil {
				return err
			}
			if ack, ok := p.(*packet.Ack); !ok || ack.Kind != packet.PUBACK || ack.Code.Failed() {
				return fmt.Errorf("%v %+v in place of PUBACK", p.Type(), p)
			}
			acked++
		}
	}
	return nil
}

// fetch connects every session and takes its messages, each exactly once and in order.
func (l *backlog) fetch() error {
	return l.each(func(_ context.Context, i int, c *link) error {
		next := map[string]int{l.topic(i): 0, sharedTopic: 0}
		var acks []byte
		for got := range ownMessages + sharedMessages {
			first, body, err := c.next()
			if err != nil {
				return fmt.Errorf("after %d messages: %w", got, err)
			}
			var p packet.Publish
			if packet.Type(first>>4) != packet.PUBLISH {
				return fmt.Errorf("%v in place of PUBLISH", packet.Type(first>>4))
			}
			if err := p.Decode(c.version, first, body); err != nil {
				return err
			}
			topic := string(p.Topic)
			if want := l.text(topic, next[topic]); !bytes.Equal(p.Payload, want) {
				return fmt.Errorf("%q came on %s, want %q", p.Payload[:min(len(p.Payload), 40)], topic, want[:40])
			}
			next[topic]++
			acks = (&packet.Ack{Kind: packet.PUBACK, ID: p.ID}).Append(acks, c.version)
			if c.empty() || got == ownMessages+sharedMessages-1 {
				if _, err := c.conn.Write(acks); err != nil {
					return err
				}
				acks = acks[:0]
			}
		}
		return nil
	})
}

// settled waits until the broker's figures of its store are as they should be.
func (b *broker) settled(t *testing.T, want func(map[string]int64) bool) map[string]int64 {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		v, err := b.measure()
		if err != nil {
			t.Fatal(err)
		}
		if want(v) {
			return v
		}
		if time.Now().After(end) {
			t.Fatalf("the store does not come to rest: %v", v)
		}
	}
}

// peak is the largest amount of memory that the process has had, in bytes.
func (b *broker) peak(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			var kib int64
			if _, err := fmt.Sscan(text, &kib); err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("there is no VmHWM in /proc")
	return 0
}

// disk is how many bytes the store takes of the disk.
func (b *broker) disk(t *testing.T) (n int64) {
	t.Helper()
	err := filepath.WalkDir(b.store(), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if os.IsNotExist(err) { // removed meanwhile
			return nil
		}
		if err == nil {
			n += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return n
}

// shrinksTo waits until the store takes no more than limit of the disk, which compactions in the background have to make true.
func (b *broker) shrinksTo(t *testing.T, when string, limit int64) int64 {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		n := b.disk(t)
		if n <= limit {
			return n
		}
		if time.Now().After(end) {
			t.Errorf("%s, the store takes %d MiB of the disk, more than %d", when, n>>20, limit>>20)
			return n
		}
	}
}
