package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"picket/admin"
	"picket/broker"
	"picket/cause"
	"picket/token"
)

// Kinds of events that one can choose.
const (
	aboutClients = "clients"
	aboutRefused = "attempts"
	aboutHealth  = "health"
	aboutFigures = "figures"
)

const (
	beat      = time.Second            // between two figures, and two looks at the health
	gathering = 100 * time.Millisecond // what happens within it is sent together
)

// Health is whether clients are taken and served as they should be.
type Health struct {
	Alive   bool       `json:"alive"`   // false: only a restart would help
	Unready []cause.ID `json:"unready"` // what is in the way; empty: nothing
}

// Moment is the broker's figures at one moment.
type Moment struct {
	At      time.Time          `json:"at"`
	Status  admin.Status       `json:"status"`
	Figures map[string]float64 `json:"figures"` // the metrics without labels, by their names without picket_
}

// EventLost says that events are missing where it stands.
type EventLost struct {
	Count int `json:"count"`
}

// eventRoutes are those about what happens.
func (a *API) eventRoutes() []*route {
	return []*route{{method: "GET", path: "events", role: token.Viewer, media: "text/event-stream", stream: true, do: a.events,
		about: "What happens, as it happens, as server-sent events until the reader leaves: connected, disconnected and refused (broker.Happening), health (Health) at the beginning and when it changes, figures (Moment) once a second, lost (EventLost) where the reader was too slow, end (Problem) when the login or the token has ended or the broker stops.",
		params: []param{{name: "about", kind: text, repeated: true, words: []string{aboutClients, aboutRefused, aboutHealth, aboutFigures},
			about: "Only these; absent: all that the caller may see. attempts takes the role operator."}, forParam()}}}
}

// wants are the kinds of events that a caller has chosen, or may see.
func wants(c *call) ([]string, error) {
	may := c.caller().role.Includes(token.Operator)
	wanted := c.params["about"]
	switch {
	case wanted == nil && may:
		return []string{aboutClients, aboutRefused, aboutHealth, aboutFigures}, nil
	case wanted == nil:
		return []string{aboutClients, aboutHealth, aboutFigures}, nil
	case slices.Contains(wanted, aboutRefused) && !may:
		return nil, roleMissing(c.caller(), token.Operator)
	}
	return wanted, nil
}

// events streams what happens.
func (a *API) events(c *call) (any, error) {
	about, err := wants(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel, err := c.lasting()
	if err != nil {
		return nil, err
	}
	defer cancel()
	out, err := c.stream("text/event-stream")
	if err != nil {
		return nil, err
	}
	watch := a.Broker.Watch(slices.Contains(about, aboutClients), slices.Contains(about, aboutRefused))
	defer watch.Close()
	told := ""
	for err == nil && ctx.Err() == nil {
		until := time.Now().Add(beat)
		var together []byte
		together, told = a.moment(about, told)
		if err = out.send(together); err == nil {
			err = a.happenings(ctx, watch, until, c.lang(), out)
		}
	}
	if no := (*refusal)(nil); errors.As(context.Cause(ctx), &no) {
		_ = out.send(event("end", no.problem(c.lang()))) // the reader may be gone
	}
	return nil, nil
}

// moment is what is told once a second: the health if it is another one than was told, and the figures; at least a line that says nothing, by which both sides see that
// the other is there.
func (a *API) moment(about []string, told string) (together []byte, health string) {
	together = []byte(":\n\n")
	if slices.Contains(about, aboutHealth) {
		h := event(aboutHealth, Health{a.Broker.Alive(), append([]cause.ID{}, a.Broker.Unready()...)})
		if health = string(h); health != told {
			together = append(together, h...)
		}
	}
	if slices.Contains(about, aboutFigures) {
		together = append(together, a.figures.read(a)...)
	}
	return together, health
}

// happenings sends what happens until a time.
func (a *API) happenings(ctx context.Context, watch *broker.Watch, until time.Time, lang cause.Lang, out *stream) error {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	for {
		all := watch.Next(ctx)
		if len(all) == 0 {
			return nil
		}
		var together []byte
		for _, h := range all {
			together = append(together, happened(h, lang)...)
		}
		if err := out.send(together); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(gathering):
		}
	}
}

// happened makes an event of something that has happened.
func happened(h broker.Happening, lang cause.Lang) []byte {
	if h.Kind == broker.HappenedLost {
		return event(string(h.Kind), EventLost{h.Lost})
	}
	one := struct {
		broker.Happening
		Title  string `json:"title,omitempty"`
		Remedy string `json:"remedy,omitempty"`
	}{Happening: h}
	if about, ok := cause.Lookup(h.Cause); ok {
		one.Title = about.Title.In(lang)
		one.Remedy, _ = about.Remedy.Render(lang, nil)
	}
	return event(string(h.Kind), one)
}

// event makes one as the HTML standard has it. JSON has no line breaks.
func event(kind string, data any) []byte {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // a type that JSON does not know
	}
	return bytes.Join([][]byte{[]byte("event: " + kind), []byte("data: " + string(text)), nil, nil}, []byte("\n"))
}

// figures makes the event of the figures, once for all who want it.
type figures struct {
	mu    sync.Mutex
	made  time.Time
	event []byte
}

func (f *figures) read(a *API) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := time.Now(); now.Sub(f.made) >= beat/2 {
		m := Moment{At: now.UTC(), Status: a.state(), Figures: make(map[string]float64)}
		a.Broker.Figures(func(of *broker.Figure, label string, value float64) {
			if of.Name != "" && label == "" {
				m.Figures[of.Name] = value
			}
		})
		f.made, f.event = now, event(aboutFigures, m)
	}
	return f.event
}

// errStopping is why streams end when the broker does.
var errStopping = &refusal{status: http.StatusServiceUnavailable, id: cause.ServerShuttingDown, detail: "the broker stops"}

// bounded ends a stream when its caller is not let in any more, because its token has been removed or its login has ended, and by [API.Stop]. [context.Cause] says why.
func (a *API) bounded(outer context.Context, who caller) (ctx context.Context, leave func()) {
	ctx, cancel := context.WithCancelCause(outer)
	stop := context.AfterFunc(a.going, func() { cancel(errStopping) })
	if who.still != nil {
		go func() {
			look := time.NewTicker(beat)
			defer look.Stop()
			for ctx.Err() == nil {
				select {
				case <-ctx.Done():
				case <-look.C:
					if err := who.still(); err != nil {
						cancel(err)
					}
				}
			}
		}()
	}
	return ctx, func() { stop(); cancel(nil) }
}

// farewellTime is how long the readers of streams may take for what they are told at the end.
const farewellTime = time.Second

// Stop ends all streams, tells their readers why, and lets none begin any more.
func (a *API) Stop() {
	a.stop()
	late := time.After(farewellTime)
	for range streamsAtOnce {
		select {
		case a.streams <- struct{}{}:
		case <-late: // of a reader who takes nothing; the server's end is his
			return
		}
	}
}

// ended says in the log how a stream has ended.
func ended(ctx context.Context) string {
	if no := (*refusal)(nil); errors.As(context.Cause(ctx), &no) {
		return "ended: " + no.detail
	}
	return "done"
}
