package rights

import (
	"errors"
	"maps"
	"slices"
)

// roleOf reads the name of a role that there is.
func (t *transaction) roleOf(o object) (*role, error) {
	name, err := named(o, "rolename")
	if err != nil {
		return nil, err
	}
	r := t.s.roles[name]
	if r == nil {
		return nil, errNoRole
	}
	return r, nil
}

// endRole ends the connections of all who have a role, by themselves or in a group.
func (t *transaction) endRole(name string) {
	for _, c := range t.s.clients {
		if has(c.roles, name) {
			t.ends.user(c.name)
		}
	}
	for _, g := range t.s.groups {
		if has(g.roles, name) {
			t.endGroup(g.name)
		}
	}
}

// rulesIn reads the rules that a command lists.
func rulesIn(o object) (rules [kinds][]rule, given bool, err error) {
	all, isList, _ := o.list("acls")
	if !isList {
		return rules, false, nil
	}
	rules, err = rulesOf(all)
	if said, ok := errors.AsType[answer](err); ok {
		return rules, false, said
	}
	return rules, true, err
}

func (t *transaction) createRole(o object) error {
	name, err := named(o, "rolename")
	if err != nil {
		return err
	}
	r := &role{name: name}
	if r.about, err = described(o, about{}); err != nil {
		return err
	}
	if t.s.roles[name] != nil {
		return answer("Role already exists")
	}
	if r.rules, _, err = rulesIn(o); err != nil {
		return err
	}
	t.edit().roles[name] = r
	t.note("createRole | rolename=%s", name)
	return nil
}

func (t *transaction) deleteRole(o object) error {
	r, err := t.roleOf(o)
	if err != nil {
		return err
	}
	t.endRole(r.name)
	s := t.edit()
	for name, c := range s.clients {
		if has(c.roles, r.name) {
			fresh := *c
			fresh.roles = without(c.roles, r.name)
			s.clients[name] = &fresh
		}
	}
	for name, g := range s.groups {
		if has(g.roles, r.name) {
			fresh := *g
			fresh.roles = without(g.roles, r.name)
			s.groups[name] = &fresh
		}
	}
	delete(s.roles, r.name)
	t.note("deleteRole | rolename=%s", r.name)
	return nil
}

func (t *transaction) getRole(o object) (any, error) {
	r, err := t.roleOf(o)
	if err != nil {
		return nil, err
	}
	t.note("getRole | rolename=%s", r.name)
	return map[string]any{"role": r.json()}, nil
}

func (t *transaction) listRoles(o object) (any, error) {
	verbose := o.truth("verbose", false)
	t.notePage("listRoles", o)
	return struct {
		Total int   `json:"totalCount"`
		Roles []any `json:"roles"`
	}{len(t.s.roles), page(o, slices.Sorted(maps.Keys(t.s.roles)), func(name string) any {
		if verbose {
			return t.s.roles[name].json()
		}
		return name
	})}, nil
}

// modifyRole ends connections where it changes rules; mosquitto's does not, and leaves those who are connected what they had subscribed to.
func (t *transaction) modifyRole(o object) error {
	was, err := t.roleOf(o)
	if errors.Is(err, errNoRole) {
		return answer("Role does not exist") // mosquitto has its own words here
	}
	if err != nil {
		return err
	}
	r := *was
	if r.about, err = described(o, was.about); err != nil {
		return err
	}
	rules, given, err := rulesIn(o)
	if err != nil {
		return err
	}
	if given {
		r.rules = rules
		t.endRole(r.name)
	}
	t.edit().roles[r.name] = &r
	t.note("modifyRole | rolename=%s", r.name)
	return nil
}

// roleAndRule reads a role that there is, and which of its rules a command is about.
func (t *transaction) roleAndRule(o object) (r *role, k Kind, filter string, err error) {
	if r, err = t.roleOf(o); err != nil {
		return nil, 0, "", err
	}
	k, filter, err = ruleOf(o)
	return r, k, filter, err
}

func (t *transaction) addRule(o object) error {
	was, k, filter, err := t.roleAndRule(o)
	if err != nil {
		return err
	}
	if hasRule(was.rules[k], filter) {
		return answer("ACL with this topic already exists")
	}
	one := rule{filter, o.number("priority", 0), o.truth("allow", false)}
	r := *was
	r.rules[k] = withRule(was.rules[k], one)
	t.edit().roles[r.name] = &r
	t.endRole(r.name)
	t.note("addRoleACL | rolename=%s | acltype=%s | topic=%s | priority=%d | allow=%t", r.name, k, filter, one.priority, one.allow)
	return nil
}

func (t *transaction) removeRule(o object) error {
	was, k, filter, err := t.roleAndRule(o)
	if err != nil {
		return err
	}
	if !hasRule(was.rules[k], filter) {
		return answer("ACL not found")
	}
	r := *was
	r.rules[k] = slices.DeleteFunc(slices.Clone(was.rules[k]), func(one rule) bool { return one.filter == filter })
	t.edit().roles[r.name] = &r
	t.endRole(r.name)
	t.note("removeRoleACL | rolename=%s | acltype=%s | topic=%s", r.name, k, filter)
	return nil
}
