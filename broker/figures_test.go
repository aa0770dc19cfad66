package broker

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/cause"
	"picket/listener"
	"picket/packet"
)

// A figure has one name and one place in each form; names follow Prometheus' conventions, and what shares a name shares its help.
func TestTableOfFigures(t *testing.T) {
	name := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen, help := make(map[string]bool), make(map[string]string)
	once := func(place string) {
		if place != "" && seen[place] {
			t.Errorf("%s is there twice", place)
		}
		seen[place] = true
	}
	for i := range figures {
		f := &figures[i]
		for _, topic := range f.Sys {
			once("$SYS/" + topic)
		}
		once(f.Status)
		once(f.rate)
		if f.Name == "" {
			if len(f.Sys) == 0 && f.Status == "" {
				t.Errorf("row %d is shown nowhere", i)
			}
			continue
		}
		if !name.MatchString(f.Name) || !strings.HasSuffix(f.Help, ".") || help[f.Name] != "" {
			t.Errorf("%s: %q", f.Name, f.Help)
		}
		help[f.Name] = f.Help
		if f.rate != "" && !f.Total() {
			t.Errorf("%s has a rate and is no total", f.Name)
		}
	}
}

// The same number is told everywhere: in $SYS, in the status, and as a figure.
func TestFiguresAgree(t *testing.T) {
	x := newBench(t, nil)
	_, c := x.client(t, "counted", packet.V5)
	x.subscribe(t, c, packet.V5, "a/+", 0)
	for range 3 {
		x.feed(t, c, (&packet.Publish{Topic: []byte("a/b"), Payload: []byte("12345"), Retain: true}).Append(nil, packet.V5))
	}
	x.feed(t, c, (&packet.Publish{Topic: []byte("$SYS/forged")}).Append(nil, packet.V5))
	newSysTopics(x.b).publish(time.Now())

	status, checked := x.b.StatusFigures(), 0
	want := map[string]float64{"clients_connected": 1, "sessions": 1, "publish_received_total": 4, "publish_payload_received_bytes_total": 15, "subscriptions": 1,
		"connects_total": 1, "causes_total sys-read-only": 1, "causes_total bad-credentials": 0, "maintenance": 0, "overloaded cpu": 0, "memory_held_bytes wills": 0}
	x.b.Figures(func(f *Figure, label string, value float64) {
		key := strings.TrimSpace(f.Name + " " + label)
		if n, ok := want[key]; ok {
			delete(want, key)
			if value != n {
				t.Errorf("%s is %v, want %v", key, value, n)
			}
		}
		if f.Name == "" || !f.Total() { // others move while they are read
			return
		}
		for _, topic := range f.Sys {
			topic, ok := f.place(topic, label, value)
			if m := x.b.retained.get("$SYS/broker/" + topic); ok && (m == nil || string(m.Payload) != strconv.FormatInt(int64(value), 10)) {
				t.Errorf("%s is %v, and %s has %v", key, value, topic, m)
			}
			checked++
		}
		if place, ok := f.place(f.Status, label, value); ok && status[place] != int64(value) {
			t.Errorf("%s is %v, and the status has %d", key, value, status[place])
		}
	})
	if len(want) > 0 || checked < 10 {
		t.Errorf("%d topics were looked at; not found: %v", checked, want)
	}
	if n := status["causes."+string(cause.SysReadOnly)]; n != 1 {
		t.Errorf("the status has %d of %s", n, cause.SysReadOnly)
	}
	if _, ok := status["causes."+string(cause.BadCredentials)]; ok {
		t.Error("the status lists a cause that did not happen")
	}
}

// Reading costs the same whoever is connected.
func TestFiguresCostNothingPerClient(t *testing.T) {
	x := newBench(t, nil)
	cost := func() float64 {
		return testing.AllocsPerRun(10, func() { x.b.Figures(func(*Figure, string, float64) {}) })
	}
	before := cost()
	for i := range 500 {
		_, c := x.client(t, strconv.Itoa(i), packet.V5)
		x.subscribe(t, c, packet.V5, "a/"+strconv.Itoa(i), 0)
	}
	after := cost()
	for try := 1; after > before+5 && try < 5; try++ { // a goroutine of the broker may allocate meanwhile
		after = cost()
	}
	if after > before+5 {
		t.Errorf("%v allocations with 500 clients, %v without", after, before)
	}
}

func TestListenersAreToldApart(t *testing.T) {
	for want, c := range map[string]listener.Config{
		"1883":            {},
		"127.0.0.1:1883":  {Address: "127.0.0.1"},
		"[::1]:1883%ipv6": {Address: "::1", Domain: "ipv6"},
		"1883%eth0":       {Interface: "eth0"},
		"/run/a?.sock":    {Path: "/run/a\xff.sock"},
	} {
		c.Port = 1883
		if got := (&Listener{Config: c}).name(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
