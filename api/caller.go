package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"picket/admin"
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
	name string // for the log
	role token.Role
}

func (c caller) String() string { return c.name }

// callerKey is the key of the caller in a request's context.
type callerKey struct{}

// identify finds out who makes a request. Whoever the admin socket lets in may do everything; others need a token.
func (a *API) identify(r *http.Request, by way) (caller, error) {
	if by.socket {
		name, ok := admin.PeerOf(r.Context())
		if !ok {
			return caller{}, roleMissing(caller{name: "somebody at the socket"}, token.Admin)
		}
		return caller{name: name + " at the admin socket", role: token.Admin}, nil
	}
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	from := at.Addr().Unmap()
	if !by.everyone && !from.IsLoopback() {
		a.Broker.ReportCaller(cause.APINotLocal, "Denied a request to the API from %s: it is for this machine.", from)
		return caller{}, &refusal{status: http.StatusForbidden, id: cause.APINotLocal, detail: "requests from other machines are refused here"}
	}
	secret, err := bearer(r)
	if err != nil {
		return caller{}, err
	}
	t, ok := a.Tokens.Check(secret, a.Now())
	if !ok {
		return caller{}, a.wrongToken(from)
	}
	return caller{name: fmt.Sprintf("token %s (%s) from %s", printable.Text(t.Name), t.Role, from), role: t.Role}, nil
}

// wrongToken refuses a request, and counts it. A right token is let in whatever others at its address send: 256 random bits are not guessed, and nobody
// may lock out who shares an address with him.
func (a *API) wrongToken(from netip.Addr) error {
	now := a.Now()
	if wait := a.guesses.Wait(from, now); wait > 0 {
		a.Broker.ReportCaller(cause.TokenGuessed, "Denied a request to the API from %s: too many wrong tokens.", from)
		return &refusal{status: http.StatusTooManyRequests, id: cause.TokenGuessed, wait: wait, detail: "too many wrong tokens came from this address"}
	}
	a.guesses.Wrong(from, now)
	a.Broker.ReportCaller(cause.TokenRefused, "Denied a request to the API from %s: wrong token.", from)
	return &refusal{status: http.StatusUnauthorized, id: cause.TokenRefused, detail: "the token is not valid"}
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
	return &refusal{status: http.StatusForbidden, id: cause.RoleMissing, who: who.name,
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
