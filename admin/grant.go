package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"picket/rights"
)

// Everything is the role of users whom nothing limits. It is asked behind all others, so that a denial counts.
const (
	Everything         = "everything"
	everythingPriority = -1
)

// userRole is the role that holds the rules of one user, and their priorities: a denial is asked before what is allowed, as in an ACL file.
func userRole(name string) string { return "user:" + name }

const denialPriority = 100

// User is a user of the file of users and rights, as dynamic security tells of one.
type User struct {
	Name     string `json:"username"`
	ClientID string `json:"clientid,omitempty"` // the only one that it may use; empty: any
	Disabled bool   `json:"disabled,omitempty"`
	Roles    []struct {
		Name     string `json:"rolename"`
		Priority int    `json:"priority"`
	} `json:"roles"`
	Groups []struct {
		Name string `json:"groupname"`
	} `json:"groups,omitempty"`
}

// Has tells whether the user has a role itself.
func (u *User) Has(role string) bool {
	for _, r := range u.Roles {
		if r.Name == role {
			return true
		}
	}
	return false
}

// Rule is a rule of a role.
type Rule struct {
	Kind     string `json:"acltype"`
	Filter   string `json:"topic"`
	Priority int    `json:"priority"`
	Allow    bool   `json:"allow"`
}

// Managed returns the users of the file of users and rights, in alphabetical order.
func (m *Manager) Managed(ctx context.Context) ([]User, error) {
	data, err := m.Do(ctx, Command{"command": "listClients", "verbose": true})
	if err != nil {
		return nil, err
	}
	var list struct{ Clients []User }
	err = json.Unmarshal(data[0], &list)
	return list.Clients, err
}

// Rules returns the rules of each role.
func (m *Manager) Rules(ctx context.Context) (map[string][]Rule, error) {
	data, err := m.Do(ctx, Command{"command": "listRoles", "verbose": true})
	if err != nil {
		return nil, err
	}
	var list struct {
		Roles []struct {
			Name  string `json:"rolename"`
			Rules []Rule `json:"acls"`
		}
	}
	err = json.Unmarshal(data[0], &list)
	roles := make(map[string][]Rule)
	for _, r := range list.Roles {
		roles[r.Name] = r.Rules
	}
	return roles, err
}

// NewUser is a user to be made.
type NewUser struct {
	Name, Password string
	ClientID       string // the only one that it may use; empty: any
	Limited        bool   // it may do nothing until something is allowed
}

// AddUser makes a user.
func (m *Manager) AddUser(ctx context.Context, u NewUser) error {
	create := Command{"command": "createClient", "username": u.Name, "password": u.Password}
	if u.ClientID != "" {
		create["clientid"] = u.ClientID
	}
	if u.Limited {
		_, err := m.Do(ctx, create)
		return err
	}
	roles, err := m.Rules(ctx)
	if err != nil {
		return err
	}
	create["roles"] = []Command{{"rolename": Everything, "priority": everythingPriority}}
	commands := []Command{create}
	if _, is := roles[Everything]; !is {
		commands = []Command{everythingRole(), create}
	}
	_, err = m.Do(ctx, commands...)
	return err
}

// everythingRole makes the role [Everything].
func everythingRole() Command {
	var all []Command
	for _, k := range []rights.Kind{rights.PublishSend, rights.PublishReceive, rights.SubscribePattern, rights.UnsubscribePattern} {
		all = append(all, Command{"acltype": k.String(), "topic": "#", "priority": 0, "allow": true})
	}
	return Command{"command": "createRole", "rolename": Everything, "acls": all}
}

// Grant is what is allowed to a user, or denied.
type Grant struct {
	User   string
	Action string // publish, subscribe or all
	Filter string
	Allow  bool
	Only   bool // the user may do what is allowed by name, and nothing else
}

// kinds are those of the rules that a grant consists of. Whoever may subscribe may receive.
func (g *Grant) kinds() (kinds []rights.Kind) {
	if g.Action != "subscribe" {
		kinds = append(kinds, rights.PublishSend)
	}
	if g.Action != "publish" {
		kinds = append(kinds, rights.SubscribePattern, rights.PublishReceive)
	}
	return kinds
}

// rule is the one of a kind.
func (g *Grant) rule(k rights.Kind) Rule {
	r := Rule{Kind: k.String(), Filter: g.Filter, Allow: g.Allow}
	if !g.Allow {
		r.Priority = denialPriority
	}
	return r
}

// NotManagedError: the file of users and rights does not have the user.
type NotManagedError struct{ Name string }

func (e *NotManagedError) Error() string { return fmt.Sprintf("there is no user %q", e.Name) }

// find returns a user and the rules of its own role.
func (m *Manager) find(ctx context.Context, name string) (*User, map[string][]Rule, error) {
	all, err := m.Managed(ctx)
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(all, func(u User) bool { return u.Name == name })
	if i < 0 {
		return nil, nil, &NotManagedError{name}
	}
	roles, err := m.Rules(ctx)
	return &all[i], roles, err
}

// One returns a user, with the rules of its own role; a *[NotManagedError] where there is none of that name.
func (m *Manager) One(ctx context.Context, name string) (*User, []Rule, error) {
	u, roles, err := m.find(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	return u, roles[userRole(name)], nil
}

// Give puts a grant in force. A rule about the same filter that says otherwise is replaced. changed is false when all of it was in force.
func (m *Manager) Give(ctx context.Context, g Grant) (u *User, changed bool, err error) {
	u, roles, err := m.find(ctx, g.User)
	if err != nil {
		return u, false, err
	}
	role := userRole(g.User)
	rules, is := roles[role]
	var commands []Command
	if !is {
		commands = append(commands, Command{"command": "createRole", "rolename": role})
	}
	for _, k := range g.kinds() {
		want := g.rule(k)
		was := slices.IndexFunc(rules, func(r Rule) bool { return r.Kind == want.Kind && r.Filter == want.Filter })
		if was >= 0 && rules[was] == want {
			continue
		}
		if was >= 0 {
			commands = append(commands, Command{"command": "removeRoleACL", "rolename": role, "acltype": want.Kind, "topic": want.Filter})
		}
		commands = append(commands, Command{"command": "addRoleACL", "rolename": role, "acltype": want.Kind, "topic": want.Filter, "priority": want.Priority, "allow": want.Allow})
	}
	if !u.Has(role) {
		commands = append(commands, Command{"command": "addClientRole", "username": g.User, "rolename": role, "priority": 0})
	}
	if g.Only && u.Has(Everything) {
		commands = append(commands, Command{"command": "removeClientRole", "username": g.User, "rolename": Everything})
	}
	if len(commands) == 0 {
		return u, false, nil
	}
	_, err = m.Do(ctx, commands...)
	return u, true, err
}

// Take removes the rules that a grant consists of. changed is false when there was none of them.
func (m *Manager) Take(ctx context.Context, g Grant) (u *User, changed bool, err error) {
	u, roles, err := m.find(ctx, g.User)
	if err != nil {
		return u, false, err
	}
	var commands []Command
	for _, k := range g.kinds() {
		if want := g.rule(k); slices.Contains(roles[userRole(g.User)], want) {
			commands = append(commands, Command{"command": "removeRoleACL", "rolename": userRole(g.User), "acltype": want.Kind, "topic": want.Filter})
		}
	}
	if len(commands) == 0 {
		return u, false, nil
	}
	_, err = m.Do(ctx, commands...)
	return u, true, err
}

// RemoveUser deletes a user, and the role of its own.
func (m *Manager) RemoveUser(ctx context.Context, name string) error {
	roles, err := m.Rules(ctx)
	if err != nil {
		return err
	}
	commands := []Command{{"command": "deleteClient", "username": name}}
	if _, is := roles[userRole(name)]; is {
		commands = append(commands, Command{"command": "deleteRole", "rolename": userRole(name)})
	}
	_, err = m.Do(ctx, commands...)
	return err
}

// UserChange is what is to become of a user; what is nil stays.
type UserChange struct {
	Password *string // its connections end
	Disabled *bool   // true: it may not log in, and its connections end
}

// ChangeUser changes a user.
func (m *Manager) ChangeUser(ctx context.Context, name string, to UserChange) error {
	var commands []Command
	if to.Password != nil {
		commands = append(commands, Command{"command": "setClientPassword", "username": name, "password": *to.Password})
	}
	switch {
	case to.Disabled == nil:
	case *to.Disabled:
		commands = append(commands, Command{"command": "disableClient", "username": name})
	default:
		commands = append(commands, Command{"command": "enableClient", "username": name})
	}
	_, err := m.Do(ctx, commands...)
	return err
}
