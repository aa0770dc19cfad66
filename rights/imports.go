package rights

import (
	"maps"
	"slices"
)

// Imported says what an import has added, by name and in alphabetical order. What was there stayed as it was, unless it was to be replaced.
type Imported struct {
	Users  []string `json:"users"`
	Groups []string `json:"groups"`
	Roles  []string `json:"roles"`
	Kept   []string `json:"kept"` // "user NAME", "group NAME" or "role NAME" that was there, and stays as it was
}

// Import adds the users, groups and roles of another state; what is there under the same name stays, or is replaced. What holds without a rule, and who the anonymous are,
// stays as it is. by is who has it done, for the log.
func (s *State) Import(from *State, replace bool, by string) *Outcome {
	t := &transaction{s: s, by: by}
	i := importing{transaction: t, from: from, replace: replace, done: Imported{Users: []string{}, Groups: []string{}, Roles: []string{}, Kept: []string{}}}
	i.roles()
	users := i.users()
	i.groups()
	for _, name := range slices.Sorted(maps.Keys(from.groups)) {
		for _, m := range from.groups[name].clients {
			if users[m.name] {
				t.edit().join(m.name, name, m.priority)
			}
		}
	}
	t.note("import | users=%d | groups=%d | roles=%d | kept=%d", len(i.done.Users), len(i.done.Groups), len(i.done.Roles), len(i.done.Kept))
	r := response{Command: "import", Data: i.done, changes: true}
	return &Outcome{State: t.s, Ends: t.ends, Log: t.log, responses: []response{r}}
}

// importing is an import on its way.
type importing struct {
	*transaction
	from    *State
	replace bool
	done    Imported
}

// takes tells whether something is taken that is there already, or not.
func (i *importing) takes(kind, name string, there bool, into *[]string) bool {
	if there && !i.replace {
		i.done.Kept = append(i.done.Kept, kind+" "+name)
		return false
	}
	*into = append(*into, name)
	return true
}

func (i *importing) roles() {
	for _, name := range slices.Sorted(maps.Keys(i.from.roles)) {
		there := i.s.roles[name] != nil
		if !i.takes("role", name, there, &i.done.Roles) {
			continue
		}
		if there {
			i.endRole(name)
		}
		i.edit().roles[name] = i.from.roles[name]
	}
}

// users takes users, who are in no group yet, and returns which.
func (i *importing) users() map[string]bool {
	taken := make(map[string]bool)
	for _, name := range slices.Sorted(maps.Keys(i.from.clients)) {
		there := i.s.clients[name] != nil
		if !i.takes("user", name, there, &i.done.Users) {
			continue
		}
		taken[name] = true
		if there {
			i.ends.user(name)
			i.edit().leaveAll(name)
		}
		c := *i.from.clients[name]
		c.groups = nil
		i.edit().clients[name] = &c
	}
	return taken
}

// groups takes groups, without their members.
func (i *importing) groups() {
	for _, name := range slices.Sorted(maps.Keys(i.from.groups)) {
		was := i.s.groups[name]
		if !i.takes("group", name, was != nil, &i.done.Groups) {
			continue
		}
		if was != nil {
			i.endGroup(name)
			for _, m := range was.clients {
				i.edit().leave(m.name, name)
			}
		}
		g := *i.from.groups[name]
		g.clients = nil
		i.edit().groups[name] = &g
	}
}

// AddHashed adds users by their passwords, with a role that there is, and its priority; an empty one is none. A name that cannot be one is left out, and returned. It is for a
// state that nobody else has.
func (s *State) AddHashed(passwords map[string]*Password, role string, priority int) (left []string) {
	for _, name := range slices.Sorted(maps.Keys(passwords)) {
		p := passwords[name]
		if name == "" || !carries(name) || len(p.Salt) != SaltSize || len(p.Hash) != HashSize {
			left = append(left, name)
			continue
		}
		c := &client{name: name, password: p}
		if role != "" {
			c.roles = []member{{role, priority}}
		}
		s.clients[name] = c
	}
	return left
}
