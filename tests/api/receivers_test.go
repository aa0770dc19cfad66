//go:build unix

package api

import (
	"fmt"
	"slices"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

// Who would get a message is told by client, with the filters that match and whether the rules let it through; a message that is published says how many wanted it.
func TestReceivers(t *testing.T) {
	w := newWorld(t)
	w.ask(201, "POST", "users", `{"name": "ann", "password": "secret", "limited": true}`, nil)
	w.ask(200, "POST", "rules", `{"user": "ann", "action": "all", "filter": "+/x", "allow": true}`, nil)
	w.ask(200, "POST", "rules", `{"user": "ann", "action": "subscribe", "filter": "b/x", "allow": false}`, nil)
	w.user("ann", "+/x")
	subscribe := func(id string, keep bool, all ...packet.Subscription) *testbed.Client {
		c := w.connect(id, keep)
		if err := c.Send(&packet.Subscribe{ID: 1, Filters: all}); err != nil {
			t.Fatal(err)
		}
		if _, err := testbed.Until[*packet.Suback](c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	away := subscribe("away", true, packet.Subscription{Filter: "a/#", QoS: 1}, packet.Subscription{Filter: "a/x", QoS: 2}, packet.Subscription{Filter: "c", QoS: 2})
	for _, id := range []string{"s1", "s2"} {
		subscribe(id, false, packet.Subscription{Filter: "$share/g/a/+", QoS: 1})
	}
	subscribe("own", false, packet.Subscription{Filter: "b/x", NoLocal: true})
	if err := away.Close(); err != nil {
		t.Fatal(err)
	}
	type one struct {
		ID                         string `json:"client_id"`
		User, Cause                string
		Filters                    []string
		QoS                        int
		Connected, Shared, Allowed bool
		NoLocal                    bool `json:"no_local"`
	}
	type receivers struct {
		Items        []one
		Total, Nodes int
	}
	testbed.Eventually(t, func() error {
		var c struct{ Connected bool }
		if w.ask(200, "GET", "client?id=away", "", &c); c.Connected {
			return errMissing("offline")
		}
		return nil
	})
	for topic, want := range map[string][]string{
		"a/x": {"{ann ann  [+/x] 0 true false true false}", "{away   [a/# a/x] 2 false false true false}", "{s1   [$share/g/a/+] 1 true true true false}", "{s2   [$share/g/a/+] 1 true true true false}"},
		"b/x": {"{ann ann acl-read-denied [+/x] 0 true false false false}", "{own   [b/x] 0 true false true true}"},
		"d":   nil,
	} {
		var all receivers
		w.ask(200, "GET", "receivers?topic="+topic, "", &all)
		var got []string
		for _, r := range all.Items {
			got = append(got, fmt.Sprint(r))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) || all.Total != len(want) || all.Nodes != 0 {
			t.Errorf("%s: %d %q\nwant %q", topic, all.Total, got, want)
		}
	}
	var few receivers
	if w.ask(200, "GET", "receivers?topic=a/x&limit=1", "", &few); len(few.Items) != 1 || few.Total != 4 {
		t.Errorf("one at most: %+v", few)
	}
	w.ask(400, "GET", "receivers?topic=a/%23", "", nil)
	for topic, want := range map[string]int{"a/x": 3, "d": 0} { // the group is one
		var p struct{ Receivers int }
		if w.ask(200, "POST", "publish", `{"topic": "`+topic+`", "qos": 1}`, &p); p.Receivers != want {
			t.Errorf("%s was wanted by %d, want %d", topic, p.Receivers, want)
		}
	}
}
