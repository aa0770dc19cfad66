// Package api is the HTTP API of a broker under /api/v1, for whoever runs it: at the admin socket for those whom the socket lets in, and over HTTP for those who have a
// token (package token) or are logged in at the dashboard (package login).
//
// Everything that can be asked is in one table ([routes]), from which the mux, the checks of parameters and bodies, the roles and the OpenAPI document are made. A
// handler sees only what has been checked. An answer that says no is a problem of RFC 9457 with a cause of the catalogue.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"picket/admin"
	"picket/audit"
	"picket/broker"
	"picket/login"
	"picket/printable"
	"picket/token"
)

// Bounds of requests.
const (
	atOnce   = 32               // requests that are carried out at once
	maxBody  = 1 << 20          // of a request, in bytes
	deadline = 10 * time.Second // of all but backups
)

// Config is what the API serves.
type Config struct {
	Broker *broker.Broker
	About  admin.About
	Socket string // the admin socket; empty: there is none
	Tokens *token.List
	Now    func() time.Time // nil: the machine's clock
}

// API serves requests. Safe for concurrent use.
type API struct {
	Config
	free    chan struct{} // holds a token for each request that is being carried out
	streams chan struct{} // and for each stream
	guesses token.Guesses
	logins  login.Book
	figures figures
	going   context.Context // ends with [API.Stop]
	stop    context.CancelFunc
	origin  http.CrossOriginProtection
	mux     *http.ServeMux
	table   []*route
}

// New makes the API of a broker.
func New(c Config) *API {
	if c.Now == nil {
		c.Now = time.Now
	}
	a := &API{Config: c, free: make(chan struct{}, atOnce), streams: make(chan struct{}, streamsAtOnce), mux: http.NewServeMux()}
	a.going, a.stop = context.WithCancel(context.Background())
	a.table = a.routes()
	for path, methods := range a.byPath() {
		a.mux.HandleFunc(prefix+path, func(w http.ResponseWriter, r *http.Request) { a.dispatch(w, r, methods) })
	}
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if _, err := a.admit(w, r, nil); err != nil {
			a.refuse(w, r, err)
			return
		}
		a.refuse(w, r, notFound("there is nothing at %s", printable.Text(r.URL.Path)))
	})
	return a
}

// prefix is what every path begins with.
const prefix = "/api/v1/"

// byPath returns the routes of each path by their methods.
func (a *API) byPath() map[string]map[string]*route {
	all := make(map[string]map[string]*route)
	for _, r := range a.table {
		if all[r.path] == nil {
			all[r.path] = make(map[string]*route)
		}
		all[r.path][r.method] = r
	}
	return all
}

// Socket serves the API at the admin socket.
func (a *API) Socket() http.Handler { return a.serve(way{socket: true}) }

// Web serves the API over HTTP; everyone: also to other machines.
func (a *API) Web(everyone bool) http.Handler { return a.serve(way{everyone: everyone}) }

// Metrics tells whether a request has a token that lets it read the metrics; everyone: also from other machines.
func (a *API) Metrics(everyone bool) func(r *http.Request) bool {
	return func(r *http.Request) bool {
		by := way{everyone: everyone}
		if a.fromHere(r, by) != nil {
			return false
		}
		who, err := a.identify(r, by)
		return err == nil && who.role.Includes(token.Metrics)
	}
}

// serve bounds how much is done at once, and for how long.
func (a *API) serve(by way) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		leave := sync.OnceFunc(func() { <-a.free })
		select {
		case a.free <- struct{}{}:
			defer leave()
		default:
			a.refuse(w, r, busy())
			return
		}
		ctx := context.WithValue(context.WithValue(r.Context(), wayKey{}, by), leaveKey{}, leave)
		a.mux.ServeHTTP(w, r.WithContext(ctx))
	})
}

// dispatch carries out a request whose path is known.
func (a *API) dispatch(w http.ResponseWriter, r *http.Request, methods map[string]*route) {
	of := methods[r.Method]
	if get := methods[http.MethodGet]; of == nil && r.Method == http.MethodHead && get != nil && !get.stream {
		of = get
	}
	who, err := a.admit(w, r, of)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), callerKey{}, who))
	if of == nil {
		w.Header().Set("Allow", strings.Join(allowed(methods), ", "))
		a.refuse(w, r, &refusal{status: http.StatusMethodNotAllowed, id: invalidID, detail: "the methods of this resource are " + strings.Join(allowed(methods), ", ")})
		return
	}
	if !of.open && !who.role.Includes(of.role) {
		a.refuse(w, r, roleMissing(who, of.role))
		return
	}
	switch {
	case of.stream:
		leave, err := a.place(r.Context())
		if err != nil {
			a.refuse(w, r, err)
			return
		}
		defer leave()
		ctx, end := a.bounded(r.Context(), who)
		defer end()
		r = r.WithContext(ctx)
	case !of.long:
		ctx, cancel := context.WithTimeout(r.Context(), deadline)
		defer cancel()
		r = r.WithContext(ctx)
	}
	c, err := a.read(w, r, of)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	answer, err := c.do()
	a.audit(c, who, ended(r.Context()), err)
	switch {
	case err != nil:
		a.refuse(w, r, err)
	case answer != nil:
		if c.etag != "" {
			w.Header().Set("ETag", strconv.Quote(c.etag))
		}
		a.answer(w, of, answer)
	}
}

// do carries out a call; of a dry run the answer is what would have been.
func (c *call) do() (any, error) {
	answer, err := c.route.do(c)
	if err != nil || !c.dry {
		return answer, err
	}
	p, err := c.foresee(c.request.Context())
	p.DryRun = true
	return p, err
}

// answer writes what a handler has returned.
func (a *API) answer(w http.ResponseWriter, of *route, answer any) {
	if text, ok := answer.(string); ok {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(text)) // the caller may be gone
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, dry := answer.(admin.Preview); !dry && of.status != 0 {
		w.WriteHeader(of.status)
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	_ = out.Encode(answer) // likewise
}

// audit records a request that changes something, or that hands out what only an admin may have, whether it was carried out or not.
func (a *API) audit(c *call, who caller, result string, err error) {
	if c.quiet || c.route.method == http.MethodGet && c.route.role != token.Admin && !c.route.audited || c.route.open && err != nil {
		return // a stranger who is refused has been reported, and may not fill the log
	}
	e := who.entry()
	e.Time, e.Request, e.Result, e.Why = a.Now(), c.route.method+" "+printable.Text(c.request.URL.Path), result, c.failed
	e.What = strings.TrimSpace(audit.Params(c.params) + " " + c.note)
	if c.result != "" {
		e.Result = c.result
	}
	if err != nil {
		e.Result, e.Why = "not done", asRefusal(err).detail
	}
	a.About.Audit.Record(e)
}

// begun writes the line of a stream that begins; the one of its end follows.
func (a *API) begun(c *call) {
	a.audit(c, c.caller(), "begun", nil)
}

// errStopped is why a request is ended that has not been carried out in time.
var errStopped = errors.New("it was not carried out within ten seconds")
