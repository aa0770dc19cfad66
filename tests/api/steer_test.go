//go:build unix

package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"picket/internal/testbed"
	"picket/packet"
)

// queued is a part of a queue.
type queued struct {
	Items []struct {
		Number                uint64
		State, Topic, From    string
		QoS, Size             int
		Stored                bool
		Payload               []byte `json:"payload_base64"`
		SizeBytes             int    `json:"size_bytes"`
		PayloadCut            bool   `json:"payload_cut"`
		Retain, Dup, Released bool
	}
	Next             uint64
	Inflight, Queued int
}

// queue reads a client's queue part by part.
func (w *world) queue(id string, limit int, more string) (all queued) {
	w.t.Helper()
	for after := uint64(0); ; after = all.Next {
		var part queued
		w.ask(200, "GET", fmt.Sprintf("client/queue?id=%s&limit=%d&after=%d%s", id, limit, after, more), "", &part)
		all.Items, all.Next, all.Inflight, all.Queued = append(all.Items, part.Items...), part.Next, part.Inflight, part.Queued
		if part.Next == 0 {
			return all
		}
	}
}

// What waits for a client that is away, and what is in flight to one that acknowledges nothing, is listed whole and in order, after a restart as well; payloads only where they are asked for.
func TestQueue(t *testing.T) {
	w := newWorld(t)
	away := w.connect("away", true)
	if err := away.Send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "q/#", QoS: 1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := away.Next(); err != nil { // SUBACK
		t.Fatal(err)
	}
	_ = away.Close()
	testbed.Eventually(t, func() error {
		var c struct{ Connected bool }
		if w.ask(200, "GET", "client?id=away", "", &c); c.Connected {
			return errMissing("away")
		}
		return nil
	})
	const many = 700 // more than a stored session holds in memory
	for i := range many {
		w.ask(200, "POST", "publish", fmt.Sprintf(`{"topic": "q/%d", "payload": "message %d", "qos": 1}`, i, i), nil)
	}
	look := func(when string) {
		t.Helper()
		all := w.queue("away", 100, "&payload=7")
		if len(all.Items) != many || all.Inflight+all.Queued != many {
			t.Fatalf("%s: %d are listed, %d in flight, %d queued", when, len(all.Items), all.Inflight, all.Queued)
		}
		for i, m := range all.Items {
			if m.Topic != fmt.Sprintf("q/%d", i) || m.QoS != 1 || m.SizeBytes != len(fmt.Sprintf("message %d", i)) || string(m.Payload) != "message" || !m.PayloadCut {
				t.Fatalf("%s: message %d is %+v", when, i, m)
			}
		}
	}
	look("while it is away")
	w.again()
	look("after a restart")
	for _, m := range w.queue("away", 1000, "").Items {
		if m.Payload != nil || m.State != "queued" {
			t.Fatalf("got %+v", m)
		}
	}
	back := w.connect("away", true)
	testbed.Eventually(t, func() error {
		all := w.queue("away", 1000, "")
		if all.Inflight == 0 || len(all.Items) != many || all.Items[0].State != "sent" || all.Items[0].Topic != "q/0" {
			return fmt.Errorf("of %d messages %d are in flight", len(all.Items), all.Inflight)
		}
		return nil
	})
	_ = back.Close()
	if res, _ := w.do(w.request("GET", "/api/v1/client/queue?id=away", w.tokens["viewer"], "")); res.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer reads messages: %s", res.Status)
	}
}

// A client is subscribed in its own name: it gets what is retained and what comes, its rights are asked, its session keeps it over a restart, and it ends likewise.
func TestSubscribeForOthers(t *testing.T) {
	w := newWorld(t)
	w.ask(201, "POST", "users", `{"name": "joe", "password": "s3cret-pw", "limited": true}`, nil)
	w.ask(200, "POST", "rules", `{"user": "joe", "action": "all", "filter": "mine/#", "allow": true}`, nil)
	w.ask(200, "POST", "publish", `{"topic": "mine/old", "payload": "retained", "retain": true}`, nil)
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		id := "lamp" + v.String()
		c := w.keeping(v, id)
		var made struct{ Existed bool }
		w.ask(200, "PUT", "client/subscriptions"+query("id", id), `{"filter": "mine/#", "qos": 1}`, &made)
		if made.Existed {
			t.Errorf("%s: it was there already", v)
		}
		w.ask(200, "POST", "publish", `{"topic": "mine/new", "payload": "live", "qos": 1}`, nil)
		got := make(map[string]bool)
		for !got["retained"] || !got["live"] {
			p, err := c.Next()
			if err != nil {
				t.Fatalf("%s: %v, after %v", v, err, got)
			}
			if m, ok := p.(*packet.Publish); ok {
				got[string(m.Payload)] = true
			}
		}
		w.ask(403, "PUT", "client/subscriptions"+query("id", id), `{"filter": "others/#", "qos": 1}`, nil)
		_ = c.Close()
	}
	w.again()
	for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
		id := "lamp" + v.String()
		var all struct{ Items []struct{ Filter string } }
		if w.ask(200, "GET", "client/subscriptions"+query("id", id), "", &all); len(all.Items) != 1 || all.Items[0].Filter != "mine/#" {
			t.Errorf("%s: after a restart %v", v, all)
		}
		w.ask(403, "PUT", "client/subscriptions"+query("id", id), `{"filter": "others/#", "qos": 1}`, nil)
		w.ask(200, "DELETE", "client/subscriptions"+query("id", id)+"&filter=mine/%23", "", nil)
		w.ask(404, "DELETE", "client/subscriptions"+query("id", id)+"&filter=mine/%23", "", nil)
	}
	w.again()
	var all struct{ Items []struct{ Filter string } }
	if w.ask(200, "GET", "client/subscriptions"+query("id", "lamp"+packet.V5.String()), "", &all); len(all.Items) != 0 {
		t.Errorf("what was ended is there after a restart: %v", all)
	}
}

// keeping connects joe with a session that stays.
func (w *world) keeping(v packet.Version, id string) *testbed.Client {
	w.t.Helper()
	c := testbed.Dial(w.t, w.Addr(w.t, "PORT"), v)
	p := &packet.Connect{ClientID: id, HasUsername: true, Username: "joe", HasPassword: true, Password: []byte("s3cret-pw"), KeepAlive: 600}
	if v == packet.V5 {
		p.Props = (&packet.Properties{SessionExpiry: 3600}).Set(packet.SessionExpiryInterval)
	}
	if _, err := c.Connect(p); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// Whoever publishes is among the busy ones with what has passed, and whoever does nothing is not; the order is the one that was asked for.
func TestRates(t *testing.T) {
	w := newWorld(t)
	w.ask(201, "POST", "users", joe, nil)
	w.connect("idle", false)
	res, err := w.client.Do(w.request("GET", "/api/v1/rates?sort=messages_in&every=1", w.tokens["viewer"], ""))
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res, err)
	}
	defer res.Body.Close()
	defer time.AfterFunc(time.Minute, func() { _ = res.Body.Close() }).Stop()
	w.mosquitto("mosquitto_pub", "PORT", "-i", "few", "-t", "a", "-m", "x")
	w.mosquitto("mosquitto_pub", "PORT_TLS", "-i", "many", "-t", "a", "-m", strings.Repeat("x", 100), "--repeat", "20", "-q", "1")
	in, bytes := make(map[string]float64), make(map[string]float64)
	for lines := json.NewDecoder(res.Body); in["few"] < 0.999 || in["many"] < 19.99; {
		var line struct {
			Seconds float64
			Items   []struct {
				ID         string
				MessagesIn float64 `json:"messages_in"`
				BytesIn    float64 `json:"bytes_in"`
			}
		}
		if err := lines.Decode(&line); err != nil {
			t.Fatalf("%v, after %v", err, in)
		}
		for i, one := range line.Items {
			in[one.ID] += one.MessagesIn * line.Seconds
			bytes[one.ID] += one.BytesIn * line.Seconds
			if one.ID == "idle" || i > 0 && one.MessagesIn > line.Items[i-1].MessagesIn {
				t.Errorf("items %+v", line.Items)
			}
		}
	}
	if in["few"] > 1.01 || in["many"] > 20.01 || bytes["many"] < 20*100 {
		t.Errorf("messages %v, bytes %v", in, bytes)
	}
}
