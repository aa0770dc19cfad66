package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"picket/cause"
	nodes "picket/cluster"
	"picket/internal/testbed"
	"picket/packet"
)

// told asks a node with picket ctl cluster --json.
func told(t *testing.T, b *testbed.Broker) (s *nodes.State) {
	t.Helper()
	said, ok := b.Command(t, "", "ctl", "cluster", "--json", "--socket", b.Path("admin.sock"))
	if !ok {
		t.Fatal(said)
	}
	if err := json.Unmarshal([]byte(said), &s); err != nil || s == nil {
		t.Fatalf("%v in %s", err, said)
	}
	return s
}

// toldByAPI asks the HTTP API of a node at its socket.
func toldByAPI(t *testing.T, b *testbed.Broker) *nodes.State {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", b.Path("admin.sock"))
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://picket/api/v1/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var s struct{ Cluster *nodes.State }
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil || s.Cluster == nil {
		t.Fatalf("the API's status: %s, %v", resp.Status, err)
	}
	return s.Cluster
}

// TestPicketCtlCluster shows links and what has passed them, a node that has been killed and comes again, and that there is no cluster where there is none.
func TestPicketCtlCluster(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.node(), r.node()
	linked(t, a, b)
	s, p := r.client(b, packet.V5, "s"), r.client(a, packet.V5, "p")
	subscribe(t, s, "t", 2)
	for qos := byte(0); qos <= 2; qos++ {
		publish(t, p, uint16(qos)+1, "t", fmt.Sprint(qos), qos)
		expect(t, s, "t", fmt.Sprint(qos), qos)
	}
	// only waits until a node says so of the other one, and returns what it tells then.
	only := func(of *testbed.Broker, is func(s *nodes.State, o nodes.NodeState) bool) (s *nodes.State) {
		t.Helper()
		testbed.Eventually(t, func() error {
			if s = told(t, of); len(s.Nodes) == 1 && is(s, s.Nodes[0]) {
				return nil
			}
			return fmt.Errorf("it tells %+v", s)
		})
		return s
	}
	at := only(a, func(s *nodes.State, o nodes.NodeState) bool {
		return s.Serving && s.Leased && s.Redis.Answers && o.Linked && o.Out == 3 && o.In == 0 && o.Routes == 1 && o.Unsettled == 0 && o.Unseen == 0
	})
	only(b, func(s *nodes.State, o nodes.NodeState) bool {
		return o.Linked && o.In == 3 && o.Out == 0 && s.Routes == 1
	})
	text, ok := a.Command(t, "", "ctl", "cluster", "--socket", a.Path("admin.sock"))
	for _, part := range []string{"serves clients", fmt.Sprintf("Redis 127.0.0.1:%d answers", r.port), fmt.Sprintf("127.0.0.1:%d, number %d  linked", b.Port(t, "PORT_NODE"), at.Nodes[0].Incarnation), "3 out, 0 in"} {
		if !ok || !strings.Contains(text, part) {
			t.Errorf("%q is not in:\n%s", part, text)
		}
	}
	if text, ok = a.Command(t, "", "ctl", "cluster", "--lang", "zh", "--socket", a.Path("admin.sock")); !ok || !strings.Contains(text, "接受客户端") || !strings.Contains(text, "已连接") {
		t.Errorf("in Chinese: %s", text)
	}
	if api := toldByAPI(t, a); api.Incarnation != at.Incarnation || len(api.Nodes) != 1 || api.Nodes[0].Incarnation != at.Nodes[0].Incarnation || !api.Nodes[0].Linked || api.Nodes[0].Out != 3 {
		t.Errorf("the API tells %+v, and picket ctl %+v", api, at)
	}
	gone := at.Nodes[0].Incarnation
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	// It is without a link, then dead, then no member any more. The first two may have passed before anybody asks.
	testbed.Eventually(t, func() error {
		s := told(t, a)
		for _, o := range s.Nodes {
			if o.Incarnation == gone && !o.Dead && !o.Linked && o.Cause != cause.ClusterLinkDown {
				t.Errorf("there is no link, and why not is not told: %+v", o)
			}
		}
		if len(s.Nodes) > 0 {
			return fmt.Errorf("it tells %+v", s.Nodes)
		}
		return nil
	})
	if text, ok := a.Command(t, "", "ctl", "cluster", "--socket", a.Path("admin.sock")); !ok || !strings.Contains(text, "there are no other nodes") {
		t.Errorf("without the other node: %s", text)
	}
	b.Run(t)
	only(a, func(_ *nodes.State, o nodes.NodeState) bool { return o.Linked && o.Incarnation > gone && o.Out == 0 })
	alone := testbed.Start(t, testbed.Options{Conf: "user root\nlistener ${PORT} 127.0.0.1\nallow_anonymous true\nadmin_socket ${DIR}/admin.sock\n"})
	if text, ok := alone.Command(t, "", "ctl", "cluster", "--socket", alone.Path("admin.sock")); !ok || !strings.Contains(text, "no cluster_address") {
		t.Errorf("a broker that is no node: %s", text)
	}
}
