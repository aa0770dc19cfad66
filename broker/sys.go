package broker

import (
	"math"
	"strconv"
	"strings"
	"time"

	"picket/logging"
	"picket/session"
)

// sysTopics publishes the broker's state under $SYS, in mosquitto's topics: retained, QoS 2, when a value has changed. What is a number
// comes from the table of figures.
type sysTopics struct {
	b    *Broker
	last map[string]string
	load map[string]*average // by the topic below load/
	at   time.Time
}

// average is a moving average per minute over three windows.
type average struct {
	last  float64 // the total
	value [3]float64
}

// loadWindows are the windows of a moving average.
var loadWindows = [...]struct {
	name string
	span time.Duration
}{{"1min", time.Minute}, {"5min", 5 * time.Minute}, {"15min", 15 * time.Minute}}

func newSysTopics(b *Broker) *sysTopics {
	return &sysTopics{b: b, last: make(map[string]string), load: make(map[string]*average), at: b.started}
}

// publishSys runs until the broker stops.
func (b *Broker) publishSys() {
	t := newSysTopics(b)
	for {
		interval := b.settings.Load().SysInterval
		if interval > 0 {
			t.publish(b.now())
		} else {
			interval = time.Second // a reload may switch it on
		}
		if !b.pause(interval) {
			return
		}
	}
}

func (t *sysTopics) publish(now time.Time) {
	b := t.b
	passed := now.Sub(t.at)
	t.at = now
	t.set("version", "picket version "+Version)
	t.set("uptime", strconv.Itoa(int(now.Sub(b.started).Seconds()))+" seconds")
	b.Figures(func(f *Figure, label string, value float64) {
		for _, topic := range f.Sys {
			if topic, ok := f.place(topic, label, value); ok {
				t.set(topic, strconv.FormatInt(f.in(topic, value), 10))
			}
		}
		if f.rate != "" && passed > 0 {
			t.average(f.rate, value, passed)
		}
	})
	t.publishStates()
}

// set publishes a value if it has changed.
func (t *sysTopics) set(topic, value string) {
	if t.last[topic] == value || strings.HasPrefix(topic, "picket/") && t.b.settings.Load().Compat.SysAsMosquitto {
		return
	}
	t.last[topic] = value
	t.b.say(&session.Message{Topic: "$SYS/broker/" + topic, Payload: []byte(value), QoS: 2, Retain: true})
}

// average moves an average on: new = x + e^(-dt/T) * (old - x), x being the events per minute since the last time.
func (t *sysTopics) average(topic string, total float64, passed time.Duration) {
	l := t.load[topic]
	if l == nil {
		l = new(average)
		t.load[topic] = l
	}
	x := (total - l.last) * float64(time.Minute) / float64(passed)
	l.last = total
	for k, window := range loadWindows {
		l.value[k] = x + math.Exp(-float64(passed)/float64(window.span))*(l.value[k]-x)
		t.set("load/"+topic+"/"+window.name, strconv.FormatFloat(l.value[k], 'f', 2, 64))
	}
}

// publishStates publishes what is no number.
func (t *sysTopics) publishStates() {
	b := t.b
	short, closed, ailing := "no", "no", "no"
	if l := b.Load(); len(l.Short) > 0 {
		short = strings.Join(l.Short, ", ")
	}
	if m := b.maintained.Load(); m != nil {
		closed = m.reason()
	}
	t.set("picket/overloaded", short)
	t.set("picket/maintenance", closed)
	if b.stores {
		if id := b.ailing.Load(); id != nil {
			ailing = string(*id)
		}
		t.set("picket/store/failing", ailing)
	}
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
	b.say(&session.Message{Topic: topic, Payload: []byte(line), QoS: 2, Expires: b.seconds() + logExpiry})
}

// say publishes what the broker itself has to say.
func (b *Broker) say(m *session.Message) {
	_ = b.self.Publish(b.context, m) // it may do everything; when it is closed nobody is there to hear
}
