package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/admin"
	"picket/ban"
	"picket/internal/testbed"
)

// atSocket is the API of a broker at an admin socket, in a folder with a short name: the path of a socket is limited.
func atSocket(t *testing.T) (*admin.Client, *API) {
	t.Helper()
	dir, err := os.MkdirTemp("", "api")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	a := started(t)
	s, err := admin.Serve(filepath.Join(dir, admin.SocketName), a.Socket())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c, err := admin.Dial(t.Context(), filepath.Join(dir, admin.SocketName))
	if err != nil {
		t.Fatal(err)
	}
	return c, a
}

func TestMaintenance(t *testing.T) {
	c, a := atSocket(t)
	want := admin.Maintenance{Until: time.Now().Add(time.Hour), Message: "a new disk", ServerReference: "other.example:1883", Moved: true, Grace: 1.5, ExceptLocal: true,
		Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	s, err := c.BeginMaintenance(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	m, ok := a.Broker.Maintenance()
	if !ok || m.Message != want.Message || m.ServerReference != want.ServerReference || !m.Moved || m.Grace != 1500*time.Millisecond || !m.ExceptLocal || len(m.Allow) != 1 || !m.Until.Equal(want.Until) {
		t.Errorf("in force is %+v", m)
	}
	if s.Maintenance == nil || s.Maintenance.Since.IsZero() || s.Maintenance.Message != want.Message {
		t.Errorf("the answer is %+v", s.Maintenance)
	}
	if s, err = c.EndMaintenance(t.Context()); err != nil || s.Maintenance != nil {
		t.Errorf("after its end: %+v, %v", s, err)
	}
	if _, err := c.BeginMaintenance(t.Context(), admin.Maintenance{Moved: true}); err == nil || !strings.Contains(err.Error(), "where to") {
		t.Errorf("what cannot be is answered with %v", err)
	}
}

func TestBans(t *testing.T) {
	c, _ := atSocket(t)
	if all, err := c.Bans(t.Context()); err != nil || all == nil || len(all) != 0 {
		t.Errorf("at first: %+v, %v", all, err)
	}
	until := time.Now().Add(time.Hour).Truncate(time.Second)
	made, err := c.Ban(t.Context(), admin.NewBan{Kind: ban.Address, Value: "203.0.113.7/24", Until: until, Why: "x"})
	if err != nil || made.Value != "203.0.113.0/24" || !made.Until.Equal(until) || made.Disconnected != 0 {
		t.Errorf("%+v, %v", made, err)
	}
	if all, err := c.Bans(t.Context()); err != nil || len(all) != 1 || all[0].Ban != made.Ban {
		t.Errorf("%+v, %v", all, err)
	}
	for _, want := range []bool{true, false} {
		if lifted, err := c.Unban(t.Context(), ban.Address, "203.0.113.99/24"); err != nil || lifted != want {
			t.Errorf("lifted %t, %v; want %t", lifted, err, want)
		}
	}
	for _, n := range []admin.NewBan{{Kind: ban.Address, Value: "127.0.0.1"}, {Kind: ban.Address, Value: "0.0.0.0/0"}, {Kind: ban.Address, Value: "::/0"}, {Kind: ban.Address, Value: "::1"}} {
		if _, err := c.Ban(t.Context(), n); err == nil || !strings.Contains(err.Error(), "--force") {
			t.Errorf("%s: %v", n.Value, err)
		}
		if n.Force = true; n.Value == "::1" {
			if _, err := c.Ban(t.Context(), n); err != nil {
				t.Error(err)
			}
		}
	}
}

// A reload is answered when it is over, with what was wrong.
func TestReload(t *testing.T) {
	c, a := atSocket(t)
	var wrong error
	calls := 0
	a.About.Reload = func(context.Context) error { calls++; return wrong }
	if st, err := c.Reload(t.Context()); err != nil || st.PID != os.Getpid() || calls != 1 {
		t.Errorf("%+v, %v, %d calls", st, err, calls)
	}
	wrong = errors.New("conf:3: a slip of the pen")
	if _, err := c.Reload(t.Context()); err == nil || err.Error() != wrong.Error() {
		t.Errorf("got %v", err)
	}
}

// What is not understood is refused at the socket as anywhere, and changes nothing.
func TestBadRequests(t *testing.T) {
	c, a := atSocket(t)
	raw := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", c.Path)
	}}}
	for _, r := range []struct {
		method, url, body string
		status            int
		want              string
	}{
		{"PUT", "maintenance", `{"mesage": "typo"}`, 400, "no such member"},
		{"PUT", "maintenance", `{"until": "tomorrow"}`, 400, ""},
		{"PUT", "maintenance", `{"message": "` + strings.Repeat("x", maxBody) + `"}`, 413, "more than"},
		{"PUT", "maintenance", `{"until": "2001-01-01T00:00:00Z"}`, 422, ""},
		{"POST", "maintenance", `{}`, 405, "methods"},
		{"POST", "bans", `{"kind":"person","value":"x"}`, 422, "no kind of ban"},
		{"POST", "bans", `{"kind":"user","value":""}`, 422, "empty"},
		{"POST", "bans", `{"kind":"address","value":"here"}`, 422, "neither an address nor a network"},
		{"POST", "bans", `{"kind":"user","value":"x","until":"2001-01-01T00:00:00Z"}`, 422, "over already"},
		{"POST", "bans", `{"kind":"user","value":"x","for":1}`, 400, "no such member"},
		{"POST", "bans", `[]`, 400, "an object"},
		{"DELETE", "ban?kind=user", "", 400, "missing"},
		{"DELETE", "ban?kind=user&value=x&more=y", "", 400, "no such parameter"},
		{"DELETE", "ban?kind=person&value=x", "", 400, "is expected"},
		{"GET", "clients?limit=0", "", 400, "a number from 1 to 1000"},
		{"GET", "clients?sort=name", "", 400, "is expected"},
		{"GET", "clients?page=2", "", 400, "no such parameter"},
		{"GET", "clients?where=address=here", "", 400, "neither an address nor a network"},
		{"GET", "client?id=..", "", 404, "there is no client"},
		{"DELETE", "client?id=nobody", "", 404, "there is no client"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), r.method, "http://picket"+prefix+r.url, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := raw.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var no Problem
		err = json.NewDecoder(res.Body).Decode(&no)
		res.Body.Close()
		if err != nil || res.StatusCode != r.status || !strings.Contains(no.Detail, r.want) || no.Cause == "" {
			t.Errorf("%s %s %.40s: %d %+v, want %d %s", r.method, r.url, r.body, res.StatusCode, no, r.status, r.want)
		}
	}
	if _, closed := a.Broker.Maintenance(); closed || len(a.Broker.Bans()) > 0 {
		t.Error("one of them has changed something")
	}
}

// away has a client of the API's broker connect, with a session that stays when it is gone.
func away(t *testing.T, a *API, id string) {
	t.Helper()
	conn, err := net.Dial("tcp", a.Broker.Status().Listeners[0].Addrs[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	hello := append([]byte{0, 4, 'M', 'Q', 'T', 'T', 4, 0, 0, 60, 0, byte(len(id))}, id...)
	if _, err := conn.Write(append([]byte{0x10, byte(len(hello))}, hello...)); err != nil {
		t.Fatal(err)
	}
	var ack [4]byte
	if _, err := io.ReadFull(conn, ack[:]); err != nil || ack[3] != 0 {
		t.Fatalf("%v: CONNACK %x", err, ack)
	}
	if _, err := conn.Write([]byte{0xe0, 0}); err != nil { // DISCONNECT
		t.Fatal(err)
	}
	testbed.Eventually(t, func() error {
		if one, _, ok := a.Broker.Client(id); !ok || one.Connected {
			return fmt.Errorf("%q is not away", id)
		}
		return nil
	})
}

// A list goes on behind a client in the order of the identifiers, whatever they are, and says how many are left; whoever is asked to go is told why it stays.
func TestClientsAtSocket(t *testing.T) {
	c, a := atSocket(t)
	for _, id := range []string{"b", "a=>b", "\u00fc x"} {
		away(t, a, id)
	}
	if page, err := c.Clients(t.Context(), true, url.Values{"sort": {"id"}}); err != nil || len(page.Items) != 0 || page.Found != 0 || page.Total != 3 {
		t.Errorf("connected are %+v, %v", page, err)
	}
	var ids []string
	for after, left := "", 3; left > 0; {
		page, err := c.Clients(t.Context(), false, url.Values{"sort": {"id"}, "limit": {"1"}, "where": {"id>" + after}})
		if err != nil || len(page.Items) != 1 || page.Found != left || page.Total != 3 || page.Next != "" {
			t.Fatalf("behind %q: %+v, %v", after, page, err)
		}
		after, left = page.Items[0].ID, left-1
		ids = append(ids, after)
	}
	if !slices.IsSorted(ids) || len(slices.Compact(ids)) != 3 {
		t.Errorf("got %q", ids)
	}
	for _, id := range ids {
		if _, err := c.Disconnect(t.Context(), id, "x"); err == nil || !strings.Contains(err.Error(), "is not connected") {
			t.Errorf("%s: got %v", id, err)
		}
		if _, err := c.Disconnect(t.Context(), id, strings.Repeat("x", maxReason+1)); err == nil || !strings.Contains(err.Error(), "may have 1024") {
			t.Errorf("%s: got %v", id, err)
		}
	}
	if _, err := c.Client(t.Context(), ".."); err == nil || err.Error() != `there is no client ".."` {
		t.Errorf("got %v", err)
	}
}
