//go:build linux

package crash

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/bench"
	"picket/packet"
)

// BenchmarkSyncs shows how many messages share one fsync: go test ./tests/crash -run '^$' -bench Syncs -benchtime 1x
func BenchmarkSyncs(b *testing.B) {
	for _, sessions := range []bench.Sessions{bench.Offline, bench.Persistent} {
		for qos := byte(1); qos <= 2; qos++ {
			for _, c := range []bench.Config{{Publishers: 1}, {Publishers: 50}, {Publishers: 1, Window: 1}, {Publishers: 10, Rate: 1000}} {
				c.QoS, c.Sessions = qos, sessions
				name := fmt.Sprintf("QoS %d %s/%d publishers", qos, sessions, c.Publishers)
				if c.Window > 0 {
					name += ", one message at a time"
				}
				if c.Rate > 0 {
					name += fmt.Sprintf(", %.0f messages a second", c.Rate)
				}
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						benchmarkSyncs(b, c)
					}
				})
			}
		}
	}
}

func benchmarkSyncs(b *testing.B, c bench.Config) {
	p, err := newBroker(picket(b, "persistence true\nmax_inflight_messages 0\nsys_interval 1\n"), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	if err := p.start(); err != nil {
		b.Fatal(err)
	}
	if err := p.ready(); err != nil {
		b.Fatal(err)
	}
	defer p.Stop()
	before, err := p.measure()
	if err != nil {
		b.Fatal(err)
	}
	c.Address, c.PID, c.Drain = p.addr, p.Cmd.Process.Pid, time.Minute
	if c.Sessions != bench.Offline {
		c.Backlog = 1 << 16
	}
	c.Warmup, c.Duration = 500*time.Millisecond, 3*time.Second
	res, err := bench.Run(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	if res.Lost != 0 {
		b.Errorf("%d messages of %d are lost", res.Lost, res.Expected)
	}
	after, err := p.measure()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(res.SentPerSecond, "messages/s")
	b.ReportMetric(float64(res.Acknowledged.P99)/1e6, "ms-acknowledged-p99")
	b.ReportMetric(1000*float64(after["syncs"]-before["syncs"])/float64(res.Sent), "fsyncs/1000-messages")
	b.ReportMetric(100*float64(after["skipped"]-before["skipped"])/float64(after["skipped"]-before["skipped"]+after["written"]-before["written"]), "%-not-written")
}

// measure reads the broker's topics about its store. They are published once a second, when they have changed.
func (b *broker) measure() (map[string]int64, error) {
	c, err := b.dial("measure", true)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	const prefix = "$SYS/broker/picket/store/"
	if _, err := c.conn.Write((&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: prefix + "#"}}}).Append(nil, c.version)); err != nil {
		return nil, err
	}
	values := make(map[string]int64)
	c.conn.SetReadDeadline(time.Now().Add(2500 * time.Millisecond))
	for {
		first, body, err := c.next()
		if os.IsTimeout(err) {
			break
		}
		if err != nil {
			return nil, err
		}
		var p packet.Publish
		if packet.Type(first>>4) != packet.PUBLISH {
			continue
		}
		if err := p.Decode(c.version, first, body); err != nil {
			return nil, err
		}
		if n, err := strconv.ParseInt(string(p.Payload), 10, 64); err == nil { // one topic says yes or no
			values[strings.TrimPrefix(string(p.Topic), prefix)] = n
		}
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("nothing is published below %s", prefix)
	}
	return values, nil
}
