package mosqdb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/internal/testbed"
	"picket/packet"
	"picket/session"
	"picket/store"
	"picket/store/local"
	"picket/topic"
)

// export writes a store as mosquitto's file.
func export(t *testing.T, fs vfs.FS, name string) Exported {
	t.Helper()
	i, err := local.Inspect("/store", local.Options{FS: fs, Log: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	out, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := NewWriter(out, time.Now().Unix())
	if err := i.Dump(w.Add); err != nil {
		t.Fatal(err)
	}
	sum, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// What mosquitto has left comes into a store, goes back to mosquitto, and out of it once more: it is all there.
func TestThereAndBack(t *testing.T) {
	port := strconv.Itoa(testbed.Port(t)) // the file says which listener a client came in by
	fs := checkFile(t, makeFile(t, port, packet.V5), time.Now().Unix(), true)
	dir := mosquittoDir(t)
	file := filepath.Join(dir, "mosquitto.db")
	sum := export(t, fs, file)
	if want := (Exported{Sessions: 4, Subscriptions: 4, Queued: 7, Retained: 4, Received: 1}); sum != want {
		t.Errorf("exported %+v, want %+v", sum, want)
	}
	_, stop := mosquitto(t, dir, port)
	stop()
	checkFile(t, file, time.Now().Unix(), false)
}

// Clients of a mosquitto that has got a store's file go on where they were.
func TestClientsGoOnAtMosquitto(t *testing.T) {
	ctx, fs := context.Background(), vfs.NewMem()
	s, _ := open(t, fs)
	b, now := new(store.Batch), time.Now().Unix()
	message := func(m *session.Message) *session.Message { m.ID = s.NewMessageID(); return m }
	one := s.NewSession("one")
	b.Save(one, store.Record{Expiry: forEver, Offline: now, Next: 5, Sent: 4, Will: &store.Will{Message: message(&session.Message{Topic: "w"})}})
	b.Subscribe(one, "$share/g/jobs", topic.Options{QoS: 1}, nil)
	b.Subscribe(one, "plain/+", topic.Options{QoS: 2, RetainAsPublished: true, RetainHandling: 2, Identifier: 7}, nil)
	both := message(&session.Message{Topic: "plain/a", Payload: []byte("for two"), QoS: 1, From: "x"})
	b.Enqueue(one, session.Delivery{Seq: 1, Message: both, QoS: 1, IDs: []uint32{7, 300}}, false)
	b.Enqueue(one, session.Delivery{Seq: 2, Message: message(&session.Message{Topic: "plain/b", Payload: []byte("half"), QoS: 2}), QoS: 2}, false)
	ref := b.Enqueue(one, session.Delivery{Seq: 3, Message: message(&session.Message{Topic: "plain/c", QoS: 2}), QoS: 2}, false)
	b.Release(one, &ref)
	b.Enqueue(one, session.Delivery{Seq: 4, Message: message(&session.Message{Topic: "plain/d", Payload: make([]byte, 100_000), QoS: 1, Retain: true}), QoS: 1, Retain: true}, false)
	b.Enqueue(one, session.Delivery{Seq: 5, Message: message(&session.Message{Topic: "plain/e", QoS: 1, Expires: now - 1}), QoS: 1}, false)
	b.Receive(one, 9)
	two := s.NewSession("two")
	b.Save(two, store.Record{Expiry: 3600, Next: 2, Sent: 1})
	b.Enqueue(two, session.Delivery{Seq: 1, Message: both, QoS: 1}, false)
	over := s.NewSession("over")
	b.Save(over, store.Record{Expiry: 10, Offline: now - 11, Next: 1})
	b.Subscribe(over, "x", topic.Options{}, nil)
	props := new(packet.Properties).Set(packet.ContentType)
	props.ContentType = "text/plain"
	b.Retain(message(&session.Message{Topic: "kept", Payload: []byte("retained"), Props: props.AppendRaw(nil), QoS: 1, Retain: true, Door: "||||1883"}), nil)
	s.Commit(b)
	if err := s.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	dir := mosquittoDir(t)
	sum := export(t, fs, filepath.Join(dir, "mosquitto.db"))
	if want := (Exported{Sessions: 2, Subscriptions: 2, Queued: 5, Retained: 1, Wills: 1, Identifiers: 1, Received: 1, Expired: 2}); sum != want || len(sum.Left()) != 4 {
		t.Errorf("exported %+v, want %+v; %q", sum, want, sum.Left())
	}
	addr, stop := mosquitto(t, dir, strconv.Itoa(testbed.Port(t)))
	defer stop()
	connect := &packet.Connect{Version: packet.V5, ClientID: "one", Props: new(packet.Properties).Set(packet.SessionExpiryInterval)}
	connect.Props.SessionExpiry = 60
	l := dial(t, addr, connect)
	publish := func(want string) {
		t.Helper()
		p := l.expect(packet.PUBLISH).(*packet.Publish)
		props, err := p.Properties()
		if err != nil {
			t.Fatal(err)
		}
		var ids []uint32
		if props != nil {
			ids = props.SubscriptionIDs
		}
		if got := fmt.Sprintf("%d %s %d q%d dup %t retain %t %v", p.ID, p.Topic, len(p.Payload), p.QoS, p.Dup, p.Retain, ids); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	publish("1 plain/a 7 q1 dup true retain false [7]")
	publish("2 plain/b 4 q2 dup true retain false []")
	if a := l.expect(packet.PUBREL).(*packet.Ack); a.ID != 3 {
		t.Errorf("PUBREL %d, want 3", a.ID)
	}
	publish("4 plain/d 100000 q1 dup false retain true []")
	other := dial(t, addr, &packet.Connect{Version: packet.V5, ClientID: "other", CleanStart: true})
	other.publish("jobs", "shared", 1, false, 1, nil)
	publish("6 jobs 6 q1 dup false retain false []")
	other.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "kept"}}})
	p := other.expect(packet.PUBLISH).(*packet.Publish)
	if props, err := p.Properties(); err != nil || props == nil || !p.Retain || string(p.Payload) != "retained" || props.ContentType != "text/plain" {
		t.Errorf("retained: %s %+v %v", p.Payload, props, err)
	}
	old := &packet.Connect{Version: packet.V311, ClientID: "two"}
	l = dial(t, addr, old)
	if p := l.expect(packet.PUBLISH).(*packet.Publish); string(p.Payload) != "for two" || p.Dup {
		t.Errorf("two: %+v", p)
	}
}
