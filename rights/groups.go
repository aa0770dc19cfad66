package rights

import (
	"maps"
	"slices"
)

// groupOf reads the name of a group that there is.
func (t *transaction) groupOf(o object) (*group, error) {
	name, err := named(o, "groupname")
	if err != nil {
		return nil, err
	}
	g := t.s.groups[name]
	if g == nil {
		return nil, errNoGroup
	}
	return g, nil
}

// endGroup ends the connections of all who have the roles of a group.
func (t *transaction) endGroup(name string) {
	for _, m := range t.s.groups[name].clients {
		t.ends.user(m.name)
	}
	t.ends.Anonymous = t.ends.Anonymous || name == t.s.anonymous
}

func (t *transaction) createGroup(o object) error {
	name, err := named(o, "groupname")
	if err != nil {
		return err
	}
	g := &group{name: name}
	if g.about, err = described(o, about{}); err != nil {
		return err
	}
	if t.s.groups[name] != nil {
		return answer("Group already exists")
	}
	if g.roles, _, err = t.rolesIn(o); err != nil {
		return err
	}
	t.edit().groups[name] = g
	t.note("createGroup | groupname=%s", name)
	return nil
}

func (t *transaction) deleteGroup(o object) error {
	g, err := t.groupOf(o)
	if err != nil {
		return err
	}
	if g.name == t.s.anonymous {
		return answer("Deleting the anonymous group is forbidden")
	}
	t.endGroup(g.name)
	s := t.edit()
	for _, m := range g.clients {
		s.leave(m.name, g.name)
	}
	delete(s.groups, g.name)
	t.note("deleteGroup | groupname=%s", g.name)
	return nil
}

func (t *transaction) getGroup(o object) (any, error) {
	g, err := t.groupOf(o)
	if err != nil {
		return nil, err
	}
	t.note("getGroup | groupname=%s", g.name)
	return map[string]any{"group": g.json(false)}, nil
}

func (t *transaction) listGroups(o object) (any, error) {
	verbose := o.truth("verbose", false)
	t.notePage("listGroups", o)
	return struct {
		Total  int   `json:"totalCount"`
		Groups []any `json:"groups"`
	}{len(t.s.groups), page(o, slices.Sorted(maps.Keys(t.s.groups)), func(name string) any {
		if verbose {
			return t.s.groups[name].json(false)
		}
		return name
	})}, nil
}

func (t *transaction) modifyGroup(o object) error {
	was, err := t.groupOf(o)
	if err != nil {
		return err
	}
	g := *was
	if g.about, err = described(o, was.about); err != nil {
		return err
	}
	if roles, given, err := t.rolesIn(o); err != nil {
		return err
	} else if given {
		g.roles = roles
	}
	var users []member
	_, regroup, _ := o.list("clients")
	if regroup {
		if users, _, err = listed(o, "clients", "username", func(n string) bool { return t.s.clients[n] != nil },
			answer("'clients' contains an object with a 'username' that does not exist"), answer("'clients' contains an object with an invalid 'username'")); err != nil {
			return err
		}
	}
	s := t.edit()
	s.groups[g.name] = &g
	t.endGroup(g.name)
	if regroup {
		for _, m := range g.clients {
			s.leave(m.name, g.name)
		}
		for _, m := range users {
			s.join(m.name, g.name, m.priority)
		}
		t.endGroup(g.name)
	}
	t.note("modifyGroup | groupname=%s", g.name)
	return nil
}

// userAndGroup reads the names of a user and a group that there are.
func (t *transaction) userAndGroup(o object) (user, group string, err error) {
	both, err := names(o, "username", "groupname")
	switch {
	case err != nil:
		return "", "", err
	case t.s.clients[both[0]] == nil:
		return "", "", errNoClient
	case t.s.groups[both[1]] == nil:
		return "", "", errNoGroup
	}
	return both[0], both[1], nil
}

func (t *transaction) addGroupClient(o object) error {
	user, group, err := t.userAndGroup(o)
	if err != nil {
		return err
	}
	priority := o.number("priority", noPriority)
	if has(t.s.clients[user].groups, group) {
		return answer("Client is already in this group")
	}
	t.edit().join(user, group, priority)
	t.ends.user(user)
	t.note("addGroupClient | groupname=%s | username=%s | priority=%d", group, user, priority)
	return nil
}

func (t *transaction) removeGroupClient(o object) error {
	user, group, err := t.userAndGroup(o)
	if err != nil {
		return err
	}
	t.edit().leave(user, group)
	t.ends.user(user)
	t.note("removeGroupClient | groupname=%s | username=%s", group, user)
	return nil
}

// groupAndRole reads the names of a group and a role that there are.
func (t *transaction) groupAndRole(o object) (*group, string, error) {
	both, err := names(o, "groupname", "rolename")
	switch {
	case err != nil:
		return nil, "", err
	case t.s.groups[both[0]] == nil:
		return nil, "", errNoGroup
	case t.s.roles[both[1]] == nil:
		return nil, "", errNoRole
	}
	return t.s.groups[both[0]], both[1], nil
}

func (t *transaction) addGroupRole(o object) error {
	was, role, err := t.groupAndRole(o)
	if err != nil {
		return err
	}
	g, priority, added := *was, o.number("priority", noPriority), false
	if g.roles, added = with(was.roles, member{role, priority}); !added {
		return answer("Group is already in this role")
	}
	t.edit().groups[g.name] = &g
	t.endGroup(g.name)
	t.note("addGroupRole | groupname=%s | rolename=%s | priority=%d", g.name, role, priority)
	return nil
}

func (t *transaction) removeGroupRole(o object) error {
	was, role, err := t.groupAndRole(o)
	if err != nil {
		return err
	}
	g := *was
	g.roles = without(was.roles, role)
	t.edit().groups[g.name] = &g
	t.endGroup(g.name)
	t.note("removeGroupRole | groupname=%s | rolename=%s", g.name, role)
	return nil
}

func (t *transaction) setAnonymous(o object) error {
	g, err := t.groupOf(o)
	if err != nil {
		return err
	}
	t.edit().anonymous = g.name
	t.ends.Anonymous = true
	t.note("setAnonymousGroup | groupname=%s", g.name)
	return nil
}

func (t *transaction) getAnonymous(object) (any, error) {
	t.note("getAnonymousGroup")
	return map[string]any{"group": map[string]string{"groupname": t.s.anonymous}}, nil
}
