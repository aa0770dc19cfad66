package api

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"reflect"
	"strings"

	"picket/admin"
	"picket/broker"
	"picket/printable"
	"picket/rights"
	"picket/token"
)

// Users are a broker's users.
type Users struct {
	admin.Users
	Items []admin.User `json:"items"` // those of the file of users and rights
}

// User is a user of the file of users and rights, with the rules of its own role.
type User struct {
	admin.User
	Rules []admin.Rule `json:"rules"`
}

// NewUser is a user to be made.
type NewUser struct {
	Name     string `json:"name"`
	Password string `json:"password,omitempty"`  // absent: one is made, and told once
	ClientID string `json:"client_id,omitempty"` // the only one that it may use
	Limited  bool   `json:"limited,omitempty"`   // it may do nothing until something is allowed
}

// Made is a user that has been made.
type Made struct {
	Name     string `json:"name"`
	Password string `json:"password,omitempty"` // if it was made by the broker; it is told once
}

// UserChange is what is to become of a user; what is absent stays.
type UserChange struct {
	Password *string `json:"password,omitempty"` // its connections end
	Disabled *bool   `json:"disabled,omitempty"` // true: it may not log in, and its connections end
}

// Grant is something that is allowed to a user, or denied.
type Grant struct {
	User   string `json:"user"`
	Action string `json:"action"` // publish, subscribe or all
	Filter string `json:"filter"`
	Allow  bool   `json:"allow"`          // false: denied, whatever else allows it
	Only   bool   `json:"only,omitempty"` // the user may do what is allowed by name, and nothing else
}

// Changed says whether a request has changed something.
type Changed struct {
	Changed bool `json:"changed"`
}

// Commands are commands of mosquitto's dynamic security.
type Commands struct {
	Commands []admin.Command `json:"commands"`
}

// userRoutes are those about users and rights.
func (a *API) userRoutes() []*route {
	name := param{name: "name", kind: text, about: "The user name.", required: true}
	changed := reflect.TypeFor[Changed]()
	actions := []string{"publish", "subscribe", "all"}
	return []*route{
		{method: "GET", path: "users", revised: true, role: token.Viewer, about: "The users of password files, by name, and those of the file of users and rights.", out: reflect.TypeFor[Users](), do: a.users},
		{method: "POST", path: "users", revised: true, role: token.Admin, about: "Makes a user in the file of users and rights.", in: reflect.TypeFor[NewUser](), needs: []string{"name"},
			out: reflect.TypeFor[Made](), status: http.StatusCreated, do: a.addUser},
		{method: "GET", path: "user", revised: true, role: token.Viewer, about: "One user of the file of users and rights, with its own rules.", params: []param{name}, out: reflect.TypeFor[User](), do: a.user},
		{method: "PATCH", path: "user", revised: true, role: token.Admin, about: "Gives a user another password, disables or enables it.", params: []param{name}, in: reflect.TypeFor[UserChange](), out: changed, do: a.changeUser},
		{method: "DELETE", path: "user", revised: true, role: token.Admin, about: "Deletes a user and its own rules, and ends its connections.", params: []param{name}, out: changed, do: a.removeUser},
		{method: "POST", path: "rules", revised: true, role: token.Admin, about: "Allows something to a user, or denies it. A rule about the same filter that says otherwise is replaced.", in: reflect.TypeFor[Grant](),
			needs: []string{"user", "action", "filter", "allow"}, out: changed, do: a.grant},
		{method: "DELETE", path: "rules", revised: true, role: token.Admin, about: "Takes back what was allowed to a user, or denied.", out: changed, do: a.ungrant,
			params: []param{{name: "user", kind: text, about: "The user name.", required: true}, {name: "action", kind: text, words: actions, about: "What the rule is about.", required: true},
				{name: "filter", kind: text, about: "The topic filter of the rule.", required: true}, {name: "allow", kind: flag, about: "Whether the rule allows.", required: true}}},
		{method: "GET", path: "rules/check", role: token.Viewer, about: "Whether somebody may do something, and which rule decides. Nothing is changed.", out: reflect.TypeFor[admin.May](), do: a.may,
			params: []param{{name: "user", kind: text, about: "The user name; absent: a client without one."}, {name: "client_id", kind: text, about: "The client identifier."},
				{name: "action", kind: text, words: []string{"publish", "subscribe", "receive"}, about: "What is to be done.", required: true},
				{name: "topic", kind: text, about: "A topic, or a filter for subscribe; with the listener's mount point.", required: true},
				{name: "port", kind: number, about: "The port of the listener, where the listeners have rules of their own.", min: 1, max: 65535}}},
		{method: "POST", path: "rights", revised: true, role: token.Admin, about: "Carries out commands of mosquitto's dynamic security, as on $CONTROL/dynamic-security/v1.", in: reflect.TypeFor[Commands](), needs: []string{"commands"},
			out: reflect.TypeFor[admin.Responses](), do: a.commands},
		{method: "GET", path: "rights/file", revised: true, role: token.Admin, about: "All users and rights as mosquitto's dynamic security keeps them, with the hashes of the passwords.", out: reflect.TypeFor[map[string]any](), do: a.exportRights},
		{method: "POST", path: "rights/file", revised: true, role: token.Admin, about: "Adds users, groups and roles from such a file, or users from a password file, of at most 16 MiB. What is there under the same name stays, unless it is to be replaced.",
			in: reflect.TypeFor[admin.Import](), body: maxImport, out: reflect.TypeFor[admin.Imported](), do: a.importRights},
	}
}

// errNoRights: users cannot be changed here.
var errNoRights = errors.New("this broker has no rights_file, in which users and rights can be changed while it runs")

// manager changes users and rights for a call.
func (a *API) manager(c *call) (*admin.Manager, error) {
	if a.About.Rights == nil {
		return nil, conflict(errNoRights)
	}
	terms := rights.Order{By: c.caller().String(), If: c.revision, DryRun: c.dry}
	return admin.NewManager(a.About.Rights, terms, func(d *rights.Done) { a.became(c, d) }), nil
}

// became notes what has become of an order, or would have.
func (a *API) became(c *call, d *rights.Done) {
	c.etag = d.After.Revision()
	if !c.dry {
		return
	}
	c.etag = d.Before.Revision()
	c.foresee = func(ctx context.Context) (p admin.Preview, err error) {
		p.Changed = d.Before.Revision() != d.After.Revision()
		p.Effect, err = a.About.Rights.Effect(ctx, a.Broker, d)
		return p, err
	}
}

// outcome is the answer to a change.
func outcome(changed bool, err error) (any, error) {
	var refused *admin.RefusedError
	var unknown *admin.NotManagedError
	switch {
	case errors.As(err, &unknown):
		return nil, notFound("the file of users and rights has no user %q", printable.Text(unknown.Name))
	case errors.As(err, &refused):
		return nil, unfit(err)
	case err != nil:
		return nil, err
	}
	return Changed{changed}, nil
}

func (a *API) users(c *call) (any, error) {
	all := Users{Users: a.About.Where(a.Broker), Items: []admin.User{}}
	if a.About.Rights == nil {
		return all, nil
	}
	m, err := a.manager(c)
	if err != nil {
		return nil, err
	}
	items, err := m.Managed(c.request.Context())
	all.Items = append(all.Items, items...)
	return all, err
}

func (a *API) user(c *call) (any, error) {
	m, err := a.manager(c)
	if err != nil {
		return nil, err
	}
	u, rules, err := m.One(c.request.Context(), c.text("name"))
	if err != nil {
		_, err = outcome(false, err)
		return nil, err
	}
	return User{*u, append([]admin.Rule{}, rules...)}, nil
}

func (a *API) addUser(c *call) (any, error) {
	n := c.in.(*NewUser)
	c.note = "name=" + printable.ShellWord(printable.Text(n.Name))
	m, err := a.manager(c)
	if err != nil {
		return nil, err
	}
	where := a.About.Where(a.Broker)
	if path := where.FileOf(n.Name); path != "" {
		return nil, conflict(errors.New("the password file " + path + " has that user already"))
	}
	made := Made{Name: n.Name}
	if n.Password == "" {
		made.Password = rand.Text()
		n.Password = made.Password
	}
	if _, err := outcome(true, m.AddUser(c.request.Context(), admin.NewUser{Name: n.Name, Password: n.Password, ClientID: n.ClientID, Limited: n.Limited})); err != nil {
		return nil, err
	}
	return made, nil
}

func (a *API) changeUser(c *call) (any, error) {
	n, name, ctx := c.in.(*UserChange), c.text("name"), c.request.Context()
	if n.Password == nil && n.Disabled == nil {
		return nil, wrongMember("", "password or disabled is expected")
	}
	m, err := a.manager(c)
	if err != nil {
		return nil, err
	}
	if _, _, err := m.One(ctx, name); err != nil {
		return outcome(false, err)
	}
	var said []string
	if n.Password != nil {
		said = append(said, "password")
	}
	if n.Disabled != nil {
		said = append(said, map[bool]string{true: "disabled", false: "enabled"}[*n.Disabled])
	}
	c.note = strings.Join(said, " ")
	return outcome(true, m.ChangeUser(ctx, name, admin.UserChange(*n)))
}

func (a *API) removeUser(c *call) (any, error) {
	m, err := a.manager(c)
	if err != nil {
		return nil, err
	}
	if _, _, err := m.One(c.request.Context(), c.text("name")); err != nil {
		return outcome(false, err)
	}
	return outcome(true, m.RemoveUser(c.request.Context(), c.text("name")))
}

func (a *API) grant(c *call) (any, error) {
	g := c.in.(*Grant)
	if g.Action != "publish" && g.Action != "subscribe" && g.Action != "all" {
		return nil, wrongMember("action", "publish, subscribe or all is expected")
	}
	m, err := a.manager(c)
	if err != nil {
		return nil, err
	}
	c.note = "user=" + printable.ShellWord(printable.Text(g.User)) + " action=" + g.Action + " filter=" + printable.ShellWord(printable.Text(g.Filter))
	if g.Allow {
		c.note += " allow"
	} else {
		c.note += " deny"
	}
	_, changed, err := m.Give(c.request.Context(), admin.Grant(*g))
	return outcome(changed, err)
}

func (a *API) ungrant(c *call) (any, error) {
	m, err := a.manager(c)
	if err != nil {
		return nil, err
	}
	_, changed, err := m.Take(c.request.Context(), admin.Grant{User: c.text("user"), Action: c.text("action"), Filter: c.text("filter"), Allow: c.flag("allow")})
	return outcome(changed, err)
}

func (a *API) may(c *call) (any, error) {
	m, err := a.About.May(a.Broker, broker.Question{Port: c.number("port"), User: c.text("user"), ClientID: c.text("client_id"), Action: admin.Questions[c.text("action")], Topic: c.text("topic")})
	if err != nil {
		return nil, unfit(err)
	}
	return m, nil
}

func (a *API) commands(c *call) (any, error) {
	m, err := a.manager(c)
	if err != nil {
		return nil, err
	}
	note, changes := admin.Told(c.in.(*Commands).Commands)
	c.note, c.quiet = note, c.dry || !changes
	answers, err := m.Raw(c.request.Context(), c.in.(*Commands).Commands)
	if err != nil {
		return nil, err
	}
	c.result, c.failed = answers.Result()
	if effect := c.foresee; effect != nil {
		c.foresee = func(ctx context.Context) (admin.Preview, error) {
			p, err := effect(ctx)
			p.Responses = answers.Responses
			return p, err
		}
	}
	return answers, nil
}
