//go:build unix

package api

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"picket/internal/testbed"
	"picket/packet"
)

// told is an event as a browser has it.
type told struct {
	kind string
	data map[string]any
}

// events reads the stream of events for a token until the test is over; the channel is closed where the stream ends.
func (w *world) events(secret, query string) <-chan told {
	w.t.Helper()
	r := w.request("GET", "/api/v1/events"+query, secret, "")
	r.Header.Set("Accept-Language", "zh")
	res, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = res.Body.Close() })
	if media := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || media != "text/event-stream" {
		w.t.Fatalf("events%s: %s %s", query, res.Status, media)
	}
	all := make(chan told, 10000)
	go func() {
		defer close(all)
		var one told
		for lines := bufio.NewReader(res.Body); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch name {
			case "event":
				one = told{kind: value}
			case "data":
				if json.Unmarshal([]byte(value), &one.data) == nil {
					all <- one
				}
			}
		}
	}()
	return all
}

// next waits for an event of a kind that fits.
func (w *world) next(all <-chan told, kind string, fits func(map[string]any) bool) map[string]any {
	w.t.Helper()
	for late := time.After(time.Minute); ; {
		select {
		case one, open := <-all:
			switch {
			case !open:
				w.t.Fatalf("the stream has ended, and %s was expected", kind)
			case one.kind == kind && (fits == nil || fits(one.data)):
				return one.data
			}
		case <-late:
			w.t.Fatalf("no event %s comes", kind)
		}
	}
}

// over waits until a stream has ended, and returns its last event.
func (w *world) over(all <-chan told) (last told) {
	w.t.Helper()
	for late := time.After(time.Minute); ; {
		select {
		case one, open := <-all:
			if !open {
				return last
			}
			last = one
		case <-late:
			w.t.Fatal("the stream goes on")
		}
	}
}

func is(name, value string) func(map[string]any) bool {
	return func(data map[string]any) bool { return data[name] == value }
}

// What happens is told as it happens: who comes, in each version and by TLS, who goes and why, who is refused, what becomes of the health, and the figures.
func TestEvents(t *testing.T) {
	w := newWorld(t)
	all := w.events(w.tokens["operator"], "")
	if h := w.next(all, "health", nil); h["alive"] != true || len(h["unready"].([]any)) != 0 {
		t.Errorf("health: %v", h)
	}
	w.ask(201, "POST", "users", joe, nil)
	for _, version := range []string{"31", "311", "5"} {
		for _, port := range []string{"PORT", "PORT_TLS"} {
			w.mosquitto("mosquitto_pub", port, "-V", version, "-i", "v"+version+port, "-t", "home/lamp", "-m", "x", "-q", "1")
			came := w.next(all, "connected", is("client", "v"+version+port))
			if secure, _ := came["tls"].(bool); came["user"] != "joe" || secure != (port == "PORT_TLS") || came["transport"] != "tcp" || came["listener"] == nil {
				t.Errorf("connected: %v", came)
			}
			if left := w.next(all, "disconnected", is("client", "v"+version+port)); left["cause"] != nil || left["user"] != "joe" {
				t.Errorf("disconnected: %v", left)
			}
		}
	}
	first := w.connect("twice", false)
	w.connect("twice", false)
	if left := w.next(all, "disconnected", is("client", "twice")); left["cause"] != "session-taken-over" || left["title"] == "" {
		t.Errorf("taken over: %v", left)
	}
	_ = first.Close()
	w.ask(200, "DELETE", "client?id=twice&reason=x", "", nil)
	if left := w.next(all, "disconnected", is("client", "twice")); left["cause"] != "disconnected-by-admin" {
		t.Errorf("sent away: %v", left)
	}
	lost := w.connect("lost", false)
	_ = lost.Close()
	if left := w.next(all, "disconnected", is("client", "lost")); left["cause"] != "connection-lost" {
		t.Errorf("lost: %v", left)
	}
	w.ask(201, "POST", "bans", `{"kind": "client", "value": "mallory"}`, nil)
	refused := testbed.Dial(t, w.Addr(t, "PORT"), packet.V5)
	if _, err := refused.Connect(&packet.Connect{ClientID: "mallory"}); err == nil {
		t.Error("who is banned is let in")
	}
	if no := w.next(all, "refused", is("client", "mallory")); no["cause"] != "banned" || !strings.ContainsAny(no["remedy"].(string), "封禁") {
		t.Errorf("refused: %v", no)
	}
	w.ask(200, "PUT", "maintenance", `{"except_local": true}`, nil)
	w.next(all, "health", func(h map[string]any) bool {
		unready := h["unready"].([]any)
		return len(unready) == 1 && unready[0] == "maintenance"
	})
	w.ask(200, "DELETE", "maintenance", "", nil)
	w.next(all, "health", func(h map[string]any) bool { return len(h["unready"].([]any)) == 0 })
	w.next(all, "figures", func(m map[string]any) bool {
		return m["figures"].(map[string]any)["publish_received_total"].(float64) >= 6 && m["status"].(map[string]any)["pid"].(float64) > 0
	})
}

// A viewer is told nothing of refused attempts, and may not ask for them; what is not asked for does not come.
func TestEventsByRole(t *testing.T) {
	w := newWorld(t)
	if res, _ := w.do(w.request("GET", "/api/v1/events?about=attempts", w.tokens["viewer"], "")); res.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer gets %s", res.Status)
	}
	if res, _ := w.do(w.request("GET", "/api/v1/events?about=x", w.tokens["viewer"], "")); res.StatusCode != http.StatusBadRequest {
		t.Errorf("about=x: %s", res.Status)
	}
	some, viewer := w.events(w.tokens["admin"], "?about=clients"), w.events(w.tokens["viewer"], "")
	w.ask(201, "POST", "bans", `{"kind": "client", "value": "mallory"}`, nil)
	_, _ = testbed.Dial(t, w.Addr(t, "PORT"), packet.V5).Connect(&packet.Connect{ClientID: "mallory"})
	w.connect("last", false)
	for name, all := range map[string]<-chan told{"about=clients": some, "a viewer": viewer} {
		w.next(all, "connected", func(data map[string]any) bool {
			if data["client"] != "last" {
				t.Errorf("%s is told of %v", name, data)
			}
			return data["client"] == "last"
		})
	}
	for len(some) > 0 {
		if one := <-some; one.kind != "connected" && one.kind != "disconnected" {
			t.Errorf("about=clients: %v", one)
		}
	}
	for len(viewer) > 0 {
		if one := <-viewer; one.kind == "refused" {
			t.Errorf("a viewer is told of %v", one)
		}
	}
}

// A stream ends with what has let its reader in: its token when it is removed, its login at the logout; and with the broker.
func TestStreamsEnd(t *testing.T) {
	w := newWorld(t)
	removed, trace := w.events(w.tokens["operator"], ""), w.traced(w.tokens["operator"])
	w.ask(200, "DELETE", "token?name=operator", "", nil)
	if last := w.over(removed); last.kind != "end" || last.data["cause"] != "token-refused" || last.data["status"] != 401.0 {
		t.Errorf("for a token that was removed the last event is %v", last)
	}
	<-trace
	w.said(w.Process, "GET /api/v1/trace client=\"ann\" events=0 lost=0: ended: the token is not valid any more.")

	res, _ := w.follow(w.link("operator"))
	r := w.request("GET", "/api/v1/trace?client=ann", "", "")
	for _, c := range res.Cookies() {
		r.AddCookie(c)
	}
	going, err := w.client.Do(r)
	if err != nil || going.StatusCode != http.StatusOK {
		t.Fatal(going, err)
	}
	defer going.Body.Close()
	if out, _ := w.browse("DELETE", "login", "", res.Cookies()); out.StatusCode != http.StatusOK {
		t.Fatal(out.Status)
	}
	<-drained(going)
	w.said(w.Process, "ended: the login has ended.")

	last := w.events(w.tokens["admin"], "")
	w.next(last, "health", nil)
	if err := w.Stop(); err != nil {
		t.Fatal(err)
	}
	if one := w.over(last); one.kind != "end" || one.data["cause"] != "server-shutting-down" {
		t.Errorf("at the broker's end the last event is %v", one)
	}
	w.Run(t)
}

// traced begins a trace by token; the channel is closed when it has ended.
func (w *world) traced(secret string) <-chan struct{} {
	w.t.Helper()
	res, err := w.client.Do(w.request("GET", "/api/v1/trace?client=ann", secret, ""))
	if err != nil || res.StatusCode != http.StatusOK {
		w.t.Fatal(res, err)
	}
	return drained(res)
}

// drained reads an answer to its end.
func drained(res *http.Response) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}()
	return done
}
