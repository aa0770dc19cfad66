package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"picket/admin"
	"picket/audit"
	"picket/cause"
	"picket/logging"
	"picket/printable"
	"picket/token"
)

// way is by which one requests come.
type way struct {
	socket   bool // the admin socket, which knows whom it lets in
	everyone bool // also from other machines
}

// caller is who makes a request.
type caller struct {
	name  string // for the log: a token, a login, or a user at the socket
	from  string // the address; empty: the socket
	role  token.Role
	until time.Time    // the end of a login; zero: there is none
	still func() error // says why the caller is not let in any more; nil: whoever is let in stays so
}

func (c caller) String() string { e := c.entry(); return e.Who() }

// entry begins an entry of the audit journal.
func (c caller) entry() audit.Entry {
	if c.from == "" {
		return audit.Entry{By: c.name} // the socket has no roles
	}
	return audit.Entry{By: c.name, Role: string(c.role), From: c.from}
}

// callerKey is the key of the caller in a request's context.
type callerKey struct{}

// wayKey is the key of the way by which a request has come, in its context.
type wayKey struct{}

// admit finds out who makes a request, for a route or nil. A route that is open to everybody takes a stranger, too.
func (a *API) admit(w http.ResponseWriter, r *http.Request, of *route) (caller, error) {
	by := r.Context().Value(wayKey{}).(way)
	if !by.socket {
		if err := a.fromHere(r, by); err != nil {
			return caller{}, err
		}
	}
	if of != nil && of.open {
		return caller{name: "a browser", from: remote(r).String()}, nil
	}
	who, err := a.identify(r, by)
	if no := (*refusal)(nil); errors.As(err, &no) && no.id == cause.LoginEnded {
		a.forget(w, r)
	}
	return who, err
}

// fromHere refuses requests from other machines, unless they may come, and those that a page of another site has a browser make.
func (a *API) fromHere(r *http.Request, by way) error {
	if from := remote(r); !by.everyone && !from.IsLoopback() {
		a.Broker.ReportCaller(cause.APINotLocal, "Denied a request to the API from %s: it is for this machine.", from)
		return &refusal{status: http.StatusForbidden, id: cause.APINotLocal, detail: "requests from other machines are refused here"}
	}
	if err := a.origin.Check(r); err != nil {
		a.Broker.ReportCaller(cause.APICrossOrigin, "Denied a request to the API from %s: a page of another site has made it.", remote(r))
		return &refusal{status: http.StatusForbidden, id: cause.APICrossOrigin, detail: "a page of another site has made this request"}
	}
	return nil
}

// identify finds out who makes a request. Whoever the admin socket lets in may do everything; others need a token or a login, and not both.
func (a *API) identify(r *http.Request, by way) (caller, error) {
	if by.socket {
		name, ok := admin.PeerOf(r.Context())
		if !ok {
			return caller{}, roleMissing(caller{name: "somebody at the socket"}, token.Admin)
		}
		return caller{name: name + " at the admin socket", role: token.Admin}, nil
	}
	if secret := a.session(r); secret != "" && r.Header.Values("Authorization") == nil {
		return a.byCookie(r, secret)
	} else if secret != "" {
		return caller{}, &refusal{status: http.StatusBadRequest, id: invalidID, detail: "either a token or a login is expected, not both"}
	}
	secret, err := bearer(r)
	if err != nil {
		return caller{}, err
	}
	t, ok := a.Tokens.Check(secret, a.Now())
	if !ok {
		return caller{}, a.wrong(remote(r), cause.TokenRefused, "the token is not valid")
	}
	return caller{name: "token " + printable.Text(t.Name), from: remote(r).String(), role: t.Role, still: a.stillHas(secret, t.Role)}, nil
}

// stillHas says why a token that has let somebody in would not any more, with its role.
func (a *API) stillHas(secret string, role token.Role) func() error {
	return func() error {
		if now, ok := a.Tokens.Check(secret, a.Now()); !ok || now.Role != role {
			return &refusal{status: http.StatusUnauthorized, id: cause.TokenRefused, detail: "the token is not valid any more"}
		}
		return nil
	}
}

// wrong refuses a request with a secret that is not valid, and counts it. A right one is let in whatever others at its address send: 128 random bits and more are not
// guessed, and nobody may lock out who shares an address with him.
func (a *API) wrong(from netip.Addr, id cause.ID, detail string) error {
	now := a.Now()
	if wait := a.guesses.Wait(from, now); wait > 0 {
		a.Broker.ReportCaller(cause.TokenGuessed, "Denied a request to the API from %s: too many wrong tokens.", from)
		return &refusal{status: http.StatusTooManyRequests, id: cause.TokenGuessed, wait: wait, detail: "too many wrong tokens or links came from this address"}
	}
	a.guesses.Wrong(from, now)
	switch id {
	case cause.TokenRefused:
		a.Broker.ReportCaller(id, "Denied a request to the API from %s: wrong token.", from)
	default:
		a.Broker.ReportCaller(id, "Denied a request to the API from %s: %s.", from, detail)
	}
	return &refusal{status: http.StatusUnauthorized, id: id, detail: detail}
}

// bearer returns the token of a request.
func bearer(r *http.Request) (string, error) {
	all := r.Header.Values("Authorization")
	missing := &refusal{status: http.StatusUnauthorized, id: cause.TokenMissing, detail: "the header Authorization: Bearer TOKEN is expected, once"}
	if len(all) != 1 {
		return "", missing
	}
	scheme, secret, ok := strings.Cut(all[0], " ")
	if secret = strings.TrimSpace(secret); !ok || !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return "", missing
	}
	return secret, nil
}

// roleMissing refuses what a caller may not do.
func roleMissing(who caller, needed token.Role) *refusal {
	return &refusal{status: http.StatusForbidden, id: cause.RoleMissing, who: who.String(),
		detail: fmt.Sprintf("the role %s is needed, and the caller has %s", needed, orNone(who.role))}
}

func orNone(r token.Role) token.Role {
	if r == "" {
		return "none"
	}
	return r
}

// report counts and logs a refusal that is about who is asking, or how much.
func (a *API) report(no *refusal) {
	switch no.id {
	case cause.RoleMissing:
		a.Broker.ReportCaller(no.id, "Denied a request to the API by %s: %s.", no.who, no.detail)
	case cause.APIBusy:
		a.Broker.ReportCaller(no.id, "Denied a request to the API: %d are being carried out.", atOnce)
	case cause.APIFailed:
		a.Broker.Report(logging.Warning, no.id, "A request to the API failed: %s.", no.detail)
	}
}
