package broker

import (
	"math"
	"runtime/metrics"
	"strconv"
	"time"

	"picket/logging"
	"picket/session"
)

// sysTopics publishes the broker's state under $SYS, in mosquitto's topics: retained, QoS 2, when a value has changed.
type sysTopics struct {
	b       *Broker
	last    map[string]string
	maximum int64 // highest number of sessions seen
	heapMax uint64
	loads   []load
	at      time.Time
}

// load is a moving average per minute over three windows.
type load struct {
	topic string
	total func() uint64
	last  uint64
	value [3]float64
}

// loadWindows are the windows of a moving average.
var loadWindows = [...]struct {
	name string
	span time.Duration
}{{"1min", time.Minute}, {"5min", 5 * time.Minute}, {"15min", 15 * time.Minute}}

func newSysTopics(b *Broker) *sysTopics {
	s := &b.stats
	return &sysTopics{b: b, last: make(map[string]string), at: b.started, loads: []load{
		{topic: "messages/received", total: s.packetsIn.Load},
		{topic: "messages/sent", total: s.packetsOut.Load},
		{topic: "publish/dropped", total: s.dropped.Load},
		{topic: "publish/received", total: s.publishIn.Load},
		{topic: "publish/sent", total: s.publishOut.Load},
		{topic: "bytes/received", total: s.bytesIn.Load},
		{topic: "bytes/sent", total: s.bytesOut.Load},
		{topic: "sockets", total: s.sockets.Load},
		{topic: "connections", total: s.connects.Load},
	}}
}

// publishSys runs until the broker stops.
func (b *Broker) publishSys() {
	t := newSysTopics(b)
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-b.stopping:
			return
		case <-next.C:
		}
		interval := b.settings.Load().SysInterval
		if interval <= 0 {
			next.Reset(time.Second) // a reload may switch it on
			continue
		}
		t.publish(time.Now())
		next.Reset(interval)
	}
}

func (t *sysTopics) publish(now time.Time) {
	b := t.b
	b.do(func(w *worker) {
		set := func(topic, value string) {
			if t.last[topic] == value {
				return
			}
			t.last[topic] = value
			w.publishMessage(&session.Message{Topic: "$SYS/broker/" + topic, Payload: []byte(value), QoS: 2, Retain: true}, 0, false)
		}
		number := func(topic string, n uint64) { set(topic, strconv.FormatUint(n, 10)) }
		set("version", "picket version "+Version)
		set("uptime", strconv.Itoa(int(now.Sub(b.started).Seconds()))+" seconds")

		b.mu.Lock()
		total := int64(len(b.sessions))
		b.mu.Unlock()
		online := min(b.online.Load(), total)
		if t.maximum < total {
			t.maximum = total
		}
		number("clients/total", uint64(total))
		if t.maximum > 0 {
			number("clients/maximum", uint64(t.maximum))
		}
		for topic, n := range map[string]int64{"connected": online, "active": online, "disconnected": total - online, "inactive": total - online} {
			number("clients/"+topic, uint64(n))
		}
		s := &b.stats
		number("clients/expired", s.expired.Load())
		number("messages/received", s.packetsIn.Load())
		number("messages/sent", s.packetsOut.Load())
		number("publish/messages/received", s.publishIn.Load())
		number("publish/messages/sent", s.publishOut.Load())
		number("publish/messages/dropped", s.dropped.Load())
		number("publish/bytes/received", s.payloadIn.Load())
		number("publish/bytes/sent", s.payloadOut.Load())
		number("bytes/received", s.bytesIn.Load())
		number("bytes/sent", s.bytesOut.Load())
		subscriptions, shared := b.index.Len()
		number("subscriptions/count", uint64(subscriptions))
		number("shared_subscriptions/count", uint64(shared))
		heap := heapBytes()
		t.heapMax = max(t.heapMax, heap)
		number("heap/current", heap)
		number("heap/maximum", t.heapMax)
		stored, bytes := uint64(b.retained.len())+uint64(b.queued.Messages()), uint64(b.retained.bytes()+b.queued.Used())
		if b.store != nil { // what is in memory is in there too, but for the messages of sessions that end with their connections
			st := b.store.Stats()
			stored, bytes = uint64(b.retained.len())+uint64(st.Entries), max(bytes, uint64(st.Live))
		}
		number("messages/stored", stored)
		number("store/messages/count", stored)
		number("store/messages/bytes", bytes)
		number("retained messages/count", uint64(b.retained.len()))
		t.publishOwn(set)
		t.average(now, set)
	})
}

// average moves the averages on: new = x + e^(-dt/T) * (old - x), x being the events per minute since the last time.
func (t *sysTopics) average(now time.Time, set func(topic, value string)) {
	dt := now.Sub(t.at)
	t.at = now
	if dt <= 0 {
		return
	}
	for i := range t.loads {
		l := &t.loads[i]
		total := l.total()
		x := float64(total-l.last) * float64(time.Minute) / float64(dt)
		l.last = total
		for k, window := range loadWindows {
			was := l.value[k]
			l.value[k] = x + math.Exp(-float64(dt)/float64(window.span))*(was-x)
			set("load/"+l.topic+"/"+window.name, strconv.FormatFloat(l.value[k], 'f', 2, 64))
		}
	}
}

// heapBytes is the memory in use by objects, live ones and those not collected yet.
func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// logTopics are the topics of log_dest topic.
var logTopics = map[logging.Type]string{
	logging.Error: "$SYS/broker/log/E", logging.Warning: "$SYS/broker/log/W", logging.Notice: "$SYS/broker/log/N", logging.Info: "$SYS/broker/log/I",
	logging.Subscribe: "$SYS/broker/log/M/subscribe", logging.Unsubscribe: "$SYS/broker/log/M/unsubscribe", logging.WebSockets: "$SYS/broker/log/WS",
}

// logExpiry is how long a log line waits for a subscriber, in seconds.
const logExpiry = 20

// logTopic publishes a log line.
func (b *Broker) logTopic(t logging.Type, line string) {
	topic, ok := logTopics[t]
	if !ok {
		return
	}
	b.Publish(&session.Message{Topic: topic, Payload: []byte(line), QoS: 2, Expires: b.unix.Load() + logExpiry})
}
