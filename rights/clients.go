package rights

import "strings"

// user reads the name of a user that there is.
func (t *transaction) user(o object) (*client, error) {
	name, err := named(o, "username")
	if err != nil {
		return nil, err
	}
	c := t.s.clients[name]
	if c == nil {
		return nil, errNoClient
	}
	return c, nil
}

// set puts a user in the place of the one of that name, whose connections end.
func (t *transaction) set(c *client) {
	t.edit().clients[c.name] = c
	t.ends.user(c.name)
}

// clientID reads the client identifier that a user is bound to; empty for none. given is false where the command does not speak of it.
func clientID(o object, wrong string) (id string, given bool, err error) {
	s, ok := o.text("clientid")
	switch {
	case !ok:
		return "", false, answer(wrong)
	case s == nil:
		return "", false, nil
	case !carries(*s):
		return "", false, answer("Client ID not valid UTF-8")
	}
	return *s, true, nil
}

// memberships reads the groups that a command lists.
func (t *transaction) memberships(o object, missing, wrong error) ([]member, bool, error) {
	if _, isList, _ := o.list("groups"); !isList {
		return nil, false, nil
	}
	return listed(o, "groups", "groupname", func(n string) bool { return t.s.groups[n] != nil }, missing, wrong)
}

func (t *transaction) createClient(o object) error {
	name, err := named(o, "username")
	if err != nil {
		return err
	}
	c := &client{name: name}
	secret, ok := o.text("password")
	if !ok || secret != nil && len(*secret) > maxName {
		return errPassword
	}
	if c.id, _, err = clientID(o, "Invalid/missing client id"); err != nil {
		return err
	}
	if c.about, err = described(o, about{}); err != nil {
		return err
	}
	if t.s.clients[name] != nil {
		return answer("Client already exists")
	}
	if c.roles, _, err = t.rolesIn(o); err != nil {
		return err
	}
	groups, _, err := t.memberships(o, errNoGroup, errNoGroup)
	if err != nil {
		return err
	}
	shown := passwordMissing
	if secret != nil {
		shown = passwordHidden
		if c.password, err = t.hash(*secret); err != nil {
			return err
		}
	}
	t.edit().clients[name] = c
	for _, m := range groups {
		t.s.join(name, m.name, m.priority)
	}
	t.note("createClient | username=%s | password=%s", name, shown)
	return nil
}

func (t *transaction) deleteClient(o object) error {
	c, err := t.user(o)
	if err != nil {
		return err
	}
	s := t.edit()
	s.leaveAll(c.name)
	delete(s.clients, c.name)
	t.ends.user(c.name)
	t.note("deleteClient | username=%s", c.name)
	return nil
}

func (t *transaction) getClient(o object) (any, error) {
	c, err := t.user(o)
	if err != nil {
		return nil, err
	}
	t.note("getClient | username=%s", c.name)
	return map[string]any{"client": c.json()}, nil
}

func (t *transaction) listClients(o object) (any, error) {
	verbose := o.truth("verbose", false)
	t.notePage("listClients", o)
	return struct {
		Total   int   `json:"totalCount"`
		Clients []any `json:"clients"`
	}{len(t.s.clients), page(o, t.s.Names(), func(name string) any {
		if verbose {
			return t.s.clients[name].json()
		}
		return name
	})}, nil
}

func (t *transaction) modifyClient(o object) error {
	was, err := t.user(o)
	if err != nil {
		return err
	}
	c := *was
	if id, given, err := clientID(o, "Invalid/missing client id"); err != nil {
		return err
	} else if given {
		c.id = id
	}
	if c.about, err = described(o, was.about); err != nil {
		return err
	}
	if roles, given, err := t.rolesIn(o); err != nil {
		return err
	} else if given {
		c.roles = roles
	}
	groups, regroup, err := t.memberships(o, answer("'groups' contains an object with a 'groupname' that does not exist"), answer("'groups' contains an object with an invalid 'groupname'"))
	if err != nil {
		return err
	}
	secret, ok := o.text("password")
	switch {
	case !ok || secret != nil && len(*secret) > maxName:
		return errPassword
	case secret != nil && *secret != "": // an empty one leaves it as it is, as in mosquitto
		if c.password, err = t.hash(*secret); err != nil {
			return err
		}
	}
	t.set(&c)
	if regroup {
		t.s.leaveAll(c.name)
		for _, m := range groups {
			t.s.join(c.name, m.name, m.priority)
		}
	}
	t.note("modifyClient | username=%s", c.name)
	return nil
}

func (t *transaction) setPassword(o object) error {
	name, err := named(o, "username")
	if err != nil {
		return err
	}
	secret, ok := o.text("password")
	switch {
	case !ok || secret == nil || len(*secret) > maxName:
		return errPassword
	case *secret == "":
		return answer("Empty password is not allowed")
	}
	was := t.s.clients[name]
	if was == nil {
		return errNoClient
	}
	c := *was
	if c.password, err = t.hash(*secret); err != nil {
		return err
	}
	t.set(&c)
	t.note("setClientPassword | username=%s | password=%s", name, passwordHidden)
	return nil
}

func (t *transaction) setClientID(o object) error {
	name, err := named(o, "username")
	if err != nil {
		return err
	}
	id, _, err := clientID(o, "Invalid/missing client ID")
	if err != nil {
		return err
	}
	was := t.s.clients[name]
	if was == nil {
		return errNoClient
	}
	c := *was
	c.id = id
	t.set(&c)
	t.note("setClientId | username=%s | clientid=%s", name, id)
	return nil
}

func (t *transaction) enableClient(o object) error { return t.able(o, "enableClient", false) }
func (t *transaction) disableClient(o object) error {
	return t.able(o, "disableClient", true)
}

func (t *transaction) able(o object, command string, disabled bool) error {
	was, err := t.user(o)
	if err != nil {
		return err
	}
	c := *was
	c.disabled = disabled
	t.edit().clients[c.name] = &c
	if disabled {
		t.ends.user(c.name)
	}
	t.note("%s | username=%s", command, c.name)
	return nil
}

// userAndRole reads the names of a user and a role that there are.
func (t *transaction) userAndRole(o object) (*client, string, error) {
	both, err := names(o, "username", "rolename")
	switch {
	case err != nil:
		return nil, "", err
	case t.s.clients[both[0]] == nil:
		return nil, "", errNoClient
	case t.s.roles[both[1]] == nil:
		return nil, "", errNoRole
	}
	return t.s.clients[both[0]], both[1], nil
}

func (t *transaction) addClientRole(o object) error {
	was, role, err := t.userAndRole(o)
	if err != nil {
		return err
	}
	c, priority, added := *was, o.number("priority", noPriority), false
	if c.roles, added = with(was.roles, member{role, priority}); !added {
		return answer("Client already has this role")
	}
	t.set(&c)
	t.note("addClientRole | username=%s | rolename=%s | priority=%d", c.name, role, priority)
	return nil
}

func (t *transaction) removeClientRole(o object) error {
	was, role, err := t.userAndRole(o)
	if err != nil {
		return err
	}
	c := *was
	c.roles = without(was.roles, role)
	t.set(&c)
	t.note("removeClientRole | username=%s | rolename=%s", c.name, role)
	return nil
}

// By names who has sent commands, for the log.
func By(clientID, username string) string {
	clean := func(s string) string { return strings.Map(printing, s) }
	return clean(clientID) + "/" + clean(username)
}

// printing keeps what could break a line of the log, or be taken for another part of it, out of it.
func printing(r rune) rune {
	if r < ' ' || r == '|' || r == 0x7f {
		return '?'
	}
	return r
}
