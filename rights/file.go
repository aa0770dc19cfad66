package rights

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"picket/topic"
)

// Sizes of a password as it is kept.
const (
	SaltSize = 12
	HashSize = 64
	// MaxIterations bounds the cost that a file can ask of every login, about 15 s.
	MaxIterations = 10_000_000
)

// loader reads a file, and collects what has to be said about it.
type loader struct {
	s        *State
	warnings []string
}

func (l *loader) warn(format string, args ...any) {
	l.warnings = append(l.warnings, fmt.Sprintf(format, args...))
}

// Load reads what [State.Encode] or mosquitto has written. No bytes at all are nobody. An entry that cannot be used is left out and told of in a warning; but where that
// could give somebody more than was meant, as with a rule, it is an error. Errors say where in the file they are.
func Load(data []byte) (_ *State, warnings []string, err error) {
	l := &loader{s: New()}
	l.s.defaults = [actions]bool{}
	if len(data) == 0 {
		return l.s, nil, nil
	}
	v, err := parse(data)
	if err != nil {
		return nil, nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, nil, fmt.Errorf("a JSON object is expected, with the members clients, groups and roles")
	}
	o := object(m)
	l.s.extra = o.rest("clients", "groups", "roles", "anonymousGroup", "defaultACLAccess")
	if d, ok := o.get("defaultACLAccess"); ok {
		access, _ := d.(map[string]any)
		for a, name := range defaultNames {
			l.s.defaults[a] = object(access).truth(name, false)
		}
	}
	for _, part := range []struct {
		name string
		load func(where string, o object) error
	}{{"roles", l.role}, {"clients", l.client}, {"groups", l.group}} {
		if err := l.each(part.name, o, part.load); err != nil {
			return nil, nil, err
		}
	}
	if name := o.texts("anonymousGroup"); name != "" {
		if l.s.anonymous = name; l.s.groups[name] == nil {
			l.warn("anonymousGroup is %q, and there is no such group", name)
			l.s.anonymous = ""
		}
	}
	return l.s, l.warnings, nil
}

// each loads the objects of a list.
func (l *loader) each(name string, o object, load func(where string, o object) error) error {
	all, isList, there := o.list(name)
	if !there {
		return nil
	}
	if !isList {
		return fmt.Errorf("%s is not a list", name)
	}
	for i, v := range all {
		where := fmt.Sprintf("%s[%d]", name, i)
		m, ok := v.(map[string]any)
		if !ok {
			l.warn("%s is not an object, and is left out", where)
			continue
		}
		if err := load(where, m); err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
	}
	return nil
}

// name returns the name of an entry; empty if it is left out.
func (l *loader) name(where string, o object, member string, taken func(string) bool) string {
	name := o.texts(member)
	switch {
	case name == "" || !carries(name):
		l.warn("%s has no %s that can be used, and is left out", where, member)
		return ""
	case taken(name):
		l.warn("%s: there is a %s %q before it, and it is left out", where, member, name)
		return ""
	}
	return name
}

func aboutOf(o object) (a about) {
	a.name, _ = o.text("textname")
	a.description, _ = o.text("textdescription")
	return a
}

func (l *loader) role(where string, o object) error {
	name := l.name(where, o, "rolename", func(n string) bool { return l.s.roles[n] != nil })
	if name == "" {
		return nil
	}
	r := &role{name: name, about: aboutOf(o), extra: o.rest("rolename", "textname", "textdescription", "acls")}
	all, _, _ := o.list("acls")
	var err error
	if r.rules, err = rulesOf(all); err != nil {
		return fmt.Errorf("role %q: %w", name, err)
	}
	l.s.roles[name] = r
	return nil
}

// Why a rule cannot be used, in mosquitto's words.
var (
	errUnknownKind  = answer("Unknown acltype")
	errNoKind       = answer("Invalid/missing acltype")
	errNoTopic      = answer("Invalid/missing topic")
	errInvalidTopic = answer("Invalid ACL topic")
	errTopicNotUTF8 = answer("Topic not valid UTF-8")
)

// ruleOf reads the kind and the filter of a rule.
func ruleOf(o object) (k Kind, filter string, err error) {
	word, ok := o.text("acltype")
	if !ok || word == nil {
		return 0, "", errNoKind
	}
	if k, ok = kindOf(*word); !ok {
		return 0, "", errUnknownKind
	}
	switch f, ok := o.text("topic"); {
	case !ok || f == nil:
		return 0, "", errNoTopic
	case !carries(*f):
		return 0, "", errTopicNotUTF8
	case topic.CheckFilter(strings.TrimPrefix(*f, "$")) != nil: // $share/+/a is a filter for the filters of shared subscriptions
		return 0, "", errInvalidTopic
	default:
		return k, *f, nil
	}
}

// rulesOf reads a list of rules. Of several about the same filter the first counts, as in mosquitto.
func rulesOf(all []any) (rules [kinds][]rule, err error) {
	for i, v := range all {
		m, _ := v.(map[string]any)
		k, filter, err := ruleOf(m)
		if err != nil {
			return rules, fmt.Errorf("acls[%d]: %w", i, err)
		}
		if !hasRule(rules[k], filter) {
			rules[k] = withRule(rules[k], rule{filter, object(m).number("priority", 0), object(m).truth("allow", false)})
		}
	}
	return rules, nil
}

func hasRule(rules []rule, filter string) bool {
	return slices.ContainsFunc(rules, func(r rule) bool { return r.filter == filter })
}

// withRule puts a rule behind those of its priority.
func withRule(rules []rule, r rule) []rule {
	at := len(rules)
	for at > 0 && rules[at-1].priority < r.priority {
		at--
	}
	return slices.Insert(slices.Clone(rules), at, r)
}

// members reads a list of names with priorities.
func (l *loader) members(where, list, name string, o object, exists func(string) bool) (found []member) {
	all, _, _ := o.list(list)
	for _, v := range all {
		m, _ := v.(map[string]any)
		one := member{object(m).texts(name), object(m).number("priority", noPriority)}
		if !exists(one.name) {
			l.warn("%s: %s has the %s %q, which there is not", where, list, name, one.name)
			continue
		}
		found, _ = with(found, one)
	}
	return found
}

func (l *loader) hasRole(name string) bool { return l.s.roles[name] != nil }

func (l *loader) client(where string, o object) error {
	name := l.name(where, o, "username", func(n string) bool { return l.s.clients[n] != nil })
	if name == "" {
		return nil
	}
	c := &client{name: name, id: o.texts("clientid"), about: aboutOf(o), disabled: o.truth("disabled", false),
		roles: l.members(where, "roles", "rolename", o, l.hasRole),
		extra: o.rest("username", "clientid", "textname", "textdescription", "disabled", "roles", "groups", "password", "salt", "iterations")}
	if _, has := o.get("disabled"); has {
		if _, ok := o.boolean("disabled"); !ok { // it may have been meant to keep the user out
			return fmt.Errorf("user %q: disabled is neither true nor false", name)
		}
	}
	if id, ok := o.text("clientid"); !ok || id != nil && !carries(*id) {
		return fmt.Errorf("user %q: clientid is no client identifier", name)
	}
	if _, has := o.get("password"); has {
		var err error
		if c.password, err = passwordOf(o); err != nil {
			l.warn("%s: the password of user %q cannot be used: %v. Nobody can log in with it; set a new one", where, name, err)
		}
	}
	l.s.clients[name] = c
	return nil
}

// passwordOf reads a password as it is kept.
func passwordOf(o object) (*Password, error) {
	p := &Password{Iterations: o.number("iterations", 0)}
	var err error
	if p.Salt, err = base64.StdEncoding.DecodeString(o.texts("salt")); err != nil || len(p.Salt) != SaltSize {
		return nil, fmt.Errorf("its salt is not %d bytes in base64", SaltSize)
	}
	if p.Hash, err = base64.StdEncoding.DecodeString(o.texts("password")); err != nil || len(p.Hash) != HashSize {
		return nil, fmt.Errorf("its hash is not %d bytes in base64", HashSize)
	}
	if p.Iterations < 1 || p.Iterations > MaxIterations {
		return nil, fmt.Errorf("its iterations are not from 1 to %d", MaxIterations)
	}
	return p, nil
}

func (l *loader) group(where string, o object) error {
	name := l.name(where, o, "groupname", func(n string) bool { return l.s.groups[n] != nil })
	if name == "" {
		return nil
	}
	l.s.groups[name] = &group{name: name, about: aboutOf(o), roles: l.members(where, "roles", "rolename", o, l.hasRole),
		extra: o.rest("groupname", "textname", "textdescription", "roles", "clients")}
	users := l.members(where, "clients", "username", o, func(n string) bool { return l.s.clients[n] != nil })
	slices.SortFunc(users, func(a, b member) int { return strings.Compare(a.name, b.name) })
	l.s.groups[name].clients = users
	for _, m := range users { // the group's list is there already: with thousands of users, one by one would take long
		c := *l.s.clients[m.name]
		c.groups, _ = with(c.groups, member{name, m.priority})
		l.s.clients[m.name] = &c
	}
	return nil
}

// merged is an object in the order of its fields, with the members behind them that nobody here knows.
type merged struct {
	fields any
	extra  object
}

// MarshalJSON writes the fields and then the rest.
func (m merged) MarshalJSON() ([]byte, error) {
	fields, err := json.Marshal(m.fields)
	if err != nil || len(m.extra) == 0 {
		return fields, err
	}
	extra, err := json.Marshal(m.extra)
	if err != nil {
		return nil, err
	}
	if len(fields) > len("{}") {
		fields = append(fields[:len(fields)-1], ',')
		return append(fields, extra[1:]...), nil
	}
	return extra, nil
}

// The objects of the file and of answers, in the order in which mosquitto writes them.
type (
	aboutJSON struct {
		Name        *string `json:"textname,omitempty"`
		Description *string `json:"textdescription,omitempty"`
	}
	memberJSON struct {
		Username string `json:"username,omitempty"`
		Group    string `json:"groupname,omitempty"`
		Role     string `json:"rolename,omitempty"`
		Priority *int   `json:"priority,omitempty"`
	}
	ruleJSON struct {
		Kind     string `json:"acltype"`
		Topic    string `json:"topic"`
		Priority int    `json:"priority"`
		Allow    bool   `json:"allow"`
	}
	roleJSON struct {
		Name string `json:"rolename"`
		aboutJSON
		Rules []ruleJSON `json:"acls"`
	}
	clientJSON struct {
		Username string `json:"username"`
		ClientID string `json:"clientid,omitempty"`
		aboutJSON
		Disabled   bool         `json:"disabled,omitempty"`
		Roles      []memberJSON `json:"roles"`
		Groups     []memberJSON `json:"groups,omitzero"`
		Password   []byte       `json:"password,omitempty"` // of the file only, as all that follows
		Salt       []byte       `json:"salt,omitempty"`
		Iterations int          `json:"iterations,omitempty"`
	}
	groupJSON struct {
		Name string `json:"groupname"`
		aboutJSON
		Roles   []memberJSON `json:"roles"`
		Clients []memberJSON `json:"clients"`
	}
	defaultJSON struct {
		Send        bool `json:"publishClientSend"`
		Receive     bool `json:"publishClientReceive"`
		Subscribe   bool `json:"subscribe"`
		Unsubscribe bool `json:"unsubscribe"`
	}
	fileJSON struct {
		Defaults  defaultJSON `json:"defaultACLAccess"`
		Clients   []merged    `json:"clients"`
		Groups    []merged    `json:"groups"`
		Anonymous string      `json:"anonymousGroup,omitempty"`
		Roles     []merged    `json:"roles"`
	}
)

// Encode returns the state as mosquitto's dynamic security keeps it.
func (s *State) Encode() ([]byte, error) {
	f := fileJSON{
		Defaults:  defaultJSON{s.defaults[Send], s.defaults[Receive], s.defaults[Subscribe], s.defaults[Unsubscribe]},
		Clients:   []merged{},
		Groups:    []merged{},
		Anonymous: s.anonymous,
		Roles:     []merged{},
	}
	for _, name := range s.Names() {
		c := s.clients[name]
		j := c.json()
		j.Groups = nil // the groups say it
		if p := c.password; p != nil {
			j.Password, j.Salt, j.Iterations = p.Hash, p.Salt, p.Iterations
		}
		f.Clients = append(f.Clients, merged{j, c.extra})
	}
	for _, name := range slices.Sorted(maps.Keys(s.groups)) {
		g := s.groups[name]
		f.Groups = append(f.Groups, merged{g.json(true), g.extra})
	}
	for _, name := range slices.Sorted(maps.Keys(s.roles)) {
		r := s.roles[name]
		f.Roles = append(f.Roles, merged{r.json(), r.extra})
	}
	data, err := json.MarshalIndent(merged{f, s.extra}, "", "\t")
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	name := hex.EncodeToString(sum[:16])
	s.revision.Store(&name)
	return append(data, '\n'), nil
}

func (a about) json() aboutJSON { return aboutJSON{a.name, a.description} }

// list makes the list of members of an object, under the right name.
func list(all []member, set func(*memberJSON, string), priorities bool) []memberJSON {
	out := make([]memberJSON, len(all))
	for i, m := range all {
		set(&out[i], m.name)
		if priorities && m.priority != noPriority {
			out[i].Priority = &m.priority
		}
	}
	return out
}

func setUser(m *memberJSON, name string)  { m.Username = name }
func setGroup(m *memberJSON, name string) { m.Group = name }
func setRole(m *memberJSON, name string)  { m.Role = name }

// json returns a user as answers have it: without a password.
func (c *client) json() clientJSON {
	return clientJSON{Username: c.name, ClientID: c.id, aboutJSON: c.about.json(), Disabled: c.disabled,
		Roles: list(c.roles, setRole, true), Groups: list(c.groups, setGroup, true)}
}

// json returns a group; the priorities of its clients are in the file only.
func (g *group) json(file bool) groupJSON {
	return groupJSON{Name: g.name, aboutJSON: g.about.json(), Roles: list(g.roles, setRole, true), Clients: list(g.clients, setUser, file)}
}

func (r *role) json() roleJSON {
	j := roleJSON{Name: r.name, aboutJSON: r.about.json(), Rules: []ruleJSON{}}
	for k, rules := range r.rules {
		for _, one := range rules {
			j.Rules = append(j.Rules, ruleJSON{Kind(k).String(), one.filter, one.priority, one.allow})
		}
	}
	return j
}
