package api

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"picket/admin"
	"picket/cause"
	"picket/login"
	"picket/token"
)

// background is a header of requests that the dashboard makes without anybody doing anything: they do not keep a session alive.
const background = "Picket-Background"

// Code is what a link has brought.
type Code struct {
	Code string `json:"code"`
}

// Who is whoever makes a request.
type Who struct {
	Name  string     `json:"name"`
	Role  token.Role `json:"role"`
	Until time.Time  `json:"until,omitzero"` // the end of the login; absent: there is none
}

// Logins are the people who are logged in.
type Logins struct {
	Items []login.Session `json:"items"`
}

// Ended says how many have been logged out.
type Ended struct {
	Count int `json:"count"`
}

// loginRoutes are those about people in front of a browser.
func (a *API) loginRoutes() []*route {
	who := reflect.TypeFor[Who]()
	return []*route{
		{method: "POST", path: "logins", role: token.Admin, about: "Makes a link to the dashboard, which lets in once.", in: reflect.TypeFor[admin.NewLogin](), needs: []string{"role"},
			out: reflect.TypeFor[admin.MadeLogin](), status: http.StatusCreated, do: a.makeLogin},
		{method: "GET", path: "logins", role: token.Admin, about: "Who is logged in at the dashboard.", out: reflect.TypeFor[Logins](),
			do: func(*call) (any, error) { return Logins{a.logins.All(a.Now())}, nil }},
		{method: "DELETE", path: "logins", role: token.Admin, about: "Logs everybody out, and takes back the links that have not been followed.", out: reflect.TypeFor[Ended](),
			do: func(*call) (any, error) { return Ended{a.logins.LeaveAll(a.Now())}, nil }},
		{method: "POST", path: "login", open: true, about: "Follows a link: its code is exchanged for a cookie, once.", in: reflect.TypeFor[Code](), needs: []string{"code"}, out: who, do: a.enter},
		{method: "GET", path: "login", role: token.Viewer, about: "Who is asking, and with which role.", out: who, do: a.whoAsks},
		{method: "DELETE", path: "login", role: token.Viewer, about: "Logs out whoever is asking.", out: reflect.TypeFor[Ended](), do: a.leave},
	}
}

func (a *API) makeLogin(c *call) (any, error) {
	n := c.in.(*admin.NewLogin)
	c.note = "role=" + string(n.Role)
	role, err := token.ParseRole(string(n.Role))
	if err == nil && !role.Includes(token.Viewer) {
		err = errors.New("the dashboard is for the roles viewer, operator and admin")
	}
	if err != nil {
		return nil, unfit(err)
	}
	var at []string
	if a.About.Dashboards != nil {
		at = a.About.Dashboards()
	}
	if len(at) == 0 {
		return nil, conflict(errors.New("there is no listener for the dashboard: one with protocol http_api in the configuration, or --admin-listen without one"))
	}
	made := admin.MadeLogin{Role: role, Expires: int64(login.LinkFor.Seconds())}
	code := a.logins.Link(c.caller().String(), role, a.Now())
	for _, base := range at {
		made.Links = append(made.Links, base+"#login="+code) // what is behind # is in no request, and so in no log
	}
	return made, nil
}

// enter exchanges the code of a link for a session.
func (a *API) enter(c *call) (any, error) {
	from := remote(c.request)
	if !from.IsLoopback() && !secure(c.request) {
		a.Broker.ReportCaller(cause.LoginNeedsTLS, "Denied a login from %s: it is not encrypted.", from)
		return nil, &refusal{status: http.StatusForbidden, id: cause.LoginNeedsTLS, detail: "a login from another machine has to be encrypted"}
	}
	secret, s, ok := a.logins.Enter(c.in.(*Code).Code, from, a.Now())
	if !ok {
		return nil, a.wrong(from, cause.LoginRefused, "the link is not valid any more")
	}
	c.note = "as " + string(s.Role) + ", link of " + s.Name
	http.SetCookie(c.writer, a.cookie(c.request, secret))
	return Who{Name: s.Name, Role: s.Role, Until: s.Until}, nil
}

func (a *API) whoAsks(c *call) (any, error) {
	who := c.caller()
	return Who{Name: who.String(), Role: who.role, Until: who.until}, nil
}

func (a *API) leave(c *call) (any, error) {
	secret := a.session(c.request)
	if secret == "" {
		return nil, conflict(errors.New("this request does not come from somebody who is logged in"))
	}
	a.logins.Leave(secret)
	a.forget(c.writer, c.request)
	return Ended{1}, nil
}

// byCookie finds out who is logged in.
func (a *API) byCookie(r *http.Request, secret string) (caller, error) {
	byItself := r.Header.Get(background) != "" || r.URL.Path == prefix+"events" // which a browser opens again when it has broken, and sends no header of ours
	s, ok := a.logins.Check(secret, !byItself, a.Now())
	if !ok {
		return caller{}, a.wrong(remote(r), cause.LoginEnded, "the login has ended")
	}
	return caller{name: "login of " + s.Name, from: remote(r).String(), role: s.Role, until: s.Until, still: a.stillIn(secret)}, nil
}

// stillIn says why whoever was logged in is not any more.
func (a *API) stillIn(secret string) func() error {
	return func() error {
		if _, ok := a.logins.Check(secret, false, a.Now()); !ok {
			return &refusal{status: http.StatusUnauthorized, id: cause.LoginEnded, detail: "the login has ended"}
		}
		return nil
	}
}

// secure tells whether a browser has sent a request by TLS. The listener speaks plain HTTP, so that is what a proxy in front of it says; whoever says so falsely
// only has his own browser keep a cookie for TLS alone.
func secure(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// remote is where a request comes from.
func remote(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	return at.Addr().Unmap()
}

// cookie is one with a session's secret. Cookies of all ports of a host are in one jar, so the port is in its name.
func (a *API) cookie(r *http.Request, secret string) *http.Cookie {
	c := &http.Cookie{Name: cookieName(r), Value: secret, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode}
	if secure(r) {
		c.Secure = true
	}
	return c
}

func cookieName(r *http.Request) string {
	name := "picket"
	if at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if _, port, err := net.SplitHostPort(at.String()); err == nil {
			name += "-" + port
		}
	}
	if secure(r) {
		return "__Host-" + name
	}
	return name
}

// session returns the secret of the session that a request belongs to; empty: to none.
func (a *API) session(r *http.Request) string {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return ""
	}
	return c.Value
}

// forget has a browser throw the cookie away.
func (a *API) forget(w http.ResponseWriter, r *http.Request) {
	c := a.cookie(r, "")
	c.MaxAge = -1
	http.SetCookie(w, c)
}
