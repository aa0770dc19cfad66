package api

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"time"

	"picket/admin"
	"picket/ban"
	"picket/broker"
	"picket/cause"
	"picket/token"
)

// Cause is a cause of the catalogue, with how often it has happened since the broker was started.
type Cause struct {
	ID       cause.ID    `json:"id"`
	Stage    cause.Stage `json:"stage"`
	Severity string      `json:"severity"` // info, warning or error
	Count    uint64      `json:"count"`
	Title    string      `json:"title"` // these in the language of Accept-Language: English or Chinese
	Explain  string      `json:"explain"`
	Remedy   string      `json:"remedy"`
}

// Causes are causes of the catalogue.
type Causes struct {
	Items []Cause `json:"items"`
}

// Listeners are the listeners for clients.
type Listeners struct {
	Listeners []Listener `json:"listeners"`
}

// Listener is a listener with the members that mosquitto 2.1 has.
type Listener struct {
	admin.Listener
	AllowAnonymous bool         `json:"allow_anonymous"` // to somebody at least
	Anonymous      string       `json:"anonymous"`       // false, local or true
	MTLS           bool         `json:"mtls"`            // a certificate of the client is asked for
	Certificate    *Certificate `json:"certificate,omitempty"`
}

// Certificate is what the file of a listener's certificate has at the moment.
type Certificate struct {
	Names    []string  `json:"names"`
	Issuer   string    `json:"issuer"`
	From     time.Time `json:"not_before,omitzero"`
	Until    time.Time `json:"not_after,omitzero"`
	DaysLeft int       `json:"days_left"` // negative: its time is over
	Error    string    `json:"error,omitempty"`
}

// Attempts are what clients have done wrong lately.
type Attempts struct {
	Items []Attempt `json:"items"` // the newest first
}

// Attempt is one of them, with what its cause means.
type Attempt struct {
	broker.Refused
	Title  string `json:"title"` // in the language of Accept-Language: English or Chinese
	Remedy string `json:"remedy"`
}

// serverRoutes are those about the broker itself.
func (a *API) serverRoutes() []*route {
	status, in := reflect.TypeFor[admin.Status](), reflect.TypeFor[admin.Maintenance]()
	return []*route{
		{method: "GET", path: "version", role: token.Viewer, about: "The version, as text.", media: "text/plain", do: func(*call) (any, error) { return a.About.Version, nil }},
		{method: "GET", path: "systree", role: token.Viewer, about: "What stands below $SYS, by topic; nothing while sys_interval is 0.", out: reflect.TypeFor[map[string]any](), do: a.sysTree},
		{method: "GET", path: "status", role: token.Viewer, about: "What the broker does.", out: status, do: a.status},
		{method: "GET", path: "causes", role: token.Viewer, about: "The catalogue of everything that can be refused, dropped or go wrong, with counts.", out: reflect.TypeFor[Causes](),
			params: []param{{name: "id", kind: text, about: "Only this cause."}, {name: "counted", kind: flag, about: "true: only those that have happened."}}, do: a.causes},
		{method: "GET", path: "listeners", role: token.Viewer, about: "The listeners for clients, and their certificates.", out: reflect.TypeFor[Listeners](), do: a.listeners},
		{method: "GET", path: "attempts", role: token.Operator, about: "What clients have done wrong lately: of each of the last 1024 addresses the last ten.", out: reflect.TypeFor[Attempts](), do: a.attempts},
		{method: "PUT", path: "maintenance", role: token.Operator, about: "Closes the broker to clients.", in: in, out: status, do: a.beginMaintenance},
		{method: "DELETE", path: "maintenance", role: token.Operator, about: "Opens the broker again.", out: status, do: a.endMaintenance},
		{method: "POST", path: "reload", role: token.Operator, about: "Reads the configuration again, and answers when it is in force or refused.", out: status, do: a.reload},
		{method: "GET", path: "backup", role: token.Admin, about: "A backup, which picket store restore makes a data directory of again. It is whole if its end says so.", media: "application/x-tar", long: true,
			params: []param{{name: "keys", kind: flag, about: "true: with private keys."}}, do: a.backup},
		{method: "GET", path: "bans", revised: true, role: token.Viewer, about: "The bans in force.", out: reflect.TypeFor[admin.Bans](), do: a.bans},
		{method: "POST", path: "bans", revised: true, role: token.Operator, about: "Keeps somebody out, and ends the connections of those whom it is about.", in: reflect.TypeFor[admin.NewBan](),
			needs: []string{"kind", "value"}, out: reflect.TypeFor[admin.Banned](), status: http.StatusCreated, do: a.ban},
		{method: "DELETE", path: "ban", revised: true, role: token.Operator, about: "Lifts a ban.", out: reflect.TypeFor[admin.Lifted](), do: a.unban,
			params: []param{{name: "kind", kind: text, words: kinds(), about: "What is banned.", required: true}, {name: "value", kind: text, about: "Who is banned, as the list has it.", required: true}}},
	}
}

// kinds are the kinds of bans.
func kinds() (all []string) {
	for _, k := range []ban.Kind{ban.Address, ban.User, ban.Client, ban.Prefix} {
		all = append(all, string(k))
	}
	return all
}

func (a *API) state() admin.Status { return a.About.Status(a.Broker, a.Config.Socket) }

func (a *API) status(*call) (any, error) { return a.state(), nil }

// sysTree has numbers where mosquitto 2.1 has them.
func (a *API) sysTree(*call) (any, error) {
	tree := make(map[string]any)
	for topic, value := range a.Broker.SysTree() {
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			tree[topic] = n
		} else if f, err := strconv.ParseFloat(value, 64); err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			tree[topic] = f
		} else {
			tree[topic] = value
		}
	}
	return tree, nil
}

func (a *API) causes(c *call) (any, error) {
	counts, all := a.Broker.Causes(), Causes{Items: []Cause{}}
	for _, about := range cause.All() {
		if c.params.Has("id") && c.text("id") != string(about.ID) || c.flag("counted") && counts[about.ID] == 0 {
			continue
		}
		one := Cause{ID: about.ID, Stage: about.Stage, Severity: about.Severity.String(), Count: counts[about.ID], Title: about.Title.In(c.lang())}
		one.Explain, _ = about.Explain.Render(c.lang(), nil)
		one.Remedy, _ = about.Remedy.Render(c.lang(), nil)
		all.Items = append(all.Items, one)
	}
	if c.params.Has("id") && len(all.Items) == 0 && !c.flag("counted") {
		return nil, notFound("there is no cause %q", c.text("id"))
	}
	return all, nil
}

func (a *API) listeners(*call) (any, error) {
	all := Listeners{Listeners: []Listener{}}
	configured := a.Broker.Status().Listeners
	for i, l := range a.state().Listeners {
		one := Listener{Listener: l, Anonymous: l.Anonymous, AllowAnonymous: l.Anonymous != "false"}
		if i < len(configured) {
			one.MTLS = configured[i].Config.TLS.RequireCertificate
		}
		if l.CertFile != "" {
			one.Certificate = readCertificate(l.CertFile, a.Now())
		}
		all.Listeners = append(all.Listeners, one)
	}
	return all, nil
}

// readCertificate reads the first certificate of a file.
func readCertificate(path string, now time.Time) *Certificate {
	c := &Certificate{Names: []string{}}
	data, err := os.ReadFile(path)
	var parsed *x509.Certificate
	if err == nil {
		block, _ := pem.Decode(data)
		if block == nil {
			err = errors.New("there is no certificate in the file")
		} else {
			parsed, err = x509.ParseCertificate(block.Bytes)
		}
	}
	if err != nil {
		c.Error = err.Error()
		return c
	}
	for _, ip := range parsed.IPAddresses {
		c.Names = append(c.Names, ip.String())
	}
	if c.Names = slices.Concat(parsed.DNSNames, c.Names); len(c.Names) == 0 {
		c.Names = []string{parsed.Subject.CommonName}
	}
	c.Issuer, c.From, c.Until = parsed.Issuer.String(), parsed.NotBefore.UTC(), parsed.NotAfter.UTC()
	c.DaysLeft = int(math.Floor(parsed.NotAfter.Sub(now).Hours() / 24))
	return c
}

func (a *API) attempts(c *call) (any, error) {
	all := Attempts{Items: []Attempt{}}
	for _, r := range a.Broker.Refusals() {
		one := Attempt{Refused: r}
		if about, ok := cause.Lookup(r.Cause); ok {
			one.Title = about.Title.In(c.lang())
			one.Remedy, _ = about.Remedy.Render(c.lang(), nil)
		}
		all.Items = append(all.Items, one)
	}
	return all, nil
}

func (a *API) beginMaintenance(c *call) (any, error) {
	if err := a.Broker.BeginMaintenance(c.in.(*admin.Maintenance).Wanted()); err != nil {
		return nil, unfit(err)
	}
	return a.state(), nil
}

func (a *API) endMaintenance(*call) (any, error) {
	a.Broker.EndMaintenance()
	return a.state(), nil
}

// unfit refuses what is well formed and yet cannot be.
func unfit(err error) *refusal {
	return &refusal{status: http.StatusUnprocessableEntity, id: cause.APIConflict, detail: err.Error()}
}

func (a *API) reload(c *call) (any, error) {
	if err := a.About.Reload(c.request.Context()); err != nil {
		if c.request.Context().Err() != nil {
			return nil, err
		}
		return nil, unfit(err)
	}
	return a.state(), nil
}

func (a *API) backup(c *call) (any, error) {
	switch err := a.About.ServeBackup(c.writer, c.request, c.flag("keys")); {
	case errors.Is(err, admin.ErrNoBackup):
		return nil, conflict(err)
	default:
		return nil, err
	}
}

func (a *API) bans(c *call) (any, error) {
	c.etag = a.Broker.BanRevision()
	return admin.Bans{Items: append([]ban.State{}, a.Broker.Bans()...)}, nil
}

func (a *API) ban(c *call) (any, error) {
	n := c.in.(*admin.NewBan)
	c.note = "kind=" + strconv.Quote(string(n.Kind)) + " value=" + strconv.Quote(n.Value)
	wanted, err := n.Wanted()
	if err != nil {
		return nil, unfit(err)
	}
	if c.dry {
		c.etag = a.Broker.BanRevision()
		effect, err := a.Broker.BanEffect(c.request.Context(), wanted, c.revision)
		c.foresee = func(context.Context) (admin.Preview, error) { return admin.Preview{Changed: true, Effect: effect}, nil }
		return nil, unfitBan(c, err)
	}
	kept, gone, err := a.Broker.Ban(wanted, c.revision)
	if err != nil {
		return nil, unfitBan(c, err)
	}
	c.etag = a.Broker.BanRevision()
	return admin.Banned{Ban: kept, Disconnected: gone}, nil
}

// unfitBan refuses a ban, unless there is nothing wrong with it.
func unfitBan(c *call, err error) error {
	if err == nil || errors.Is(err, ban.ErrRevision) || c.request.Context().Err() != nil {
		return err
	}
	return unfit(err)
}

func (a *API) unban(c *call) (any, error) {
	lift := a.Broker.Unban
	if c.dry {
		lift = a.Broker.Banned
		c.foresee = func(context.Context) (admin.Preview, error) {
			return admin.Preview{Changed: true, Effect: broker.NoEffect()}, nil
		}
	}
	found, err := lift(ban.Kind(c.text("kind")), c.text("value"), c.revision)
	switch {
	case err != nil:
		return nil, unfitBan(c, err)
	case !found:
		return nil, notFound("there is no such ban")
	}
	c.etag = a.Broker.BanRevision()
	return admin.Lifted{Lifted: true}, nil
}
