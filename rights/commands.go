package rights

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Bounds of one message with commands and of its answer, in bytes.
const (
	MaxCommands = 1 << 20
	MaxAnswer   = 8 << 20
)

// Hash makes what is kept of a password. It takes a processor some milliseconds.
type Hash func(password string) (*Password, error)

// answer is what a command is refused with, in mosquitto's words where it has some.
type answer string

func (a answer) Error() string { return string(a) }

// Why commands are refused.
const (
	errNoClient     = answer("Client not found")
	errNoGroup      = answer("Group not found")
	errNoRole       = answer("Role not found")
	errRoles        = answer("'roles' not an array or missing/invalid rolename")
	errPassword     = answer("Invalid/missing password")
	errTooLarge     = answer("The answer would be too large: ask with count and offset, or for less at once")
	errNoCommands   = answer("Invalid/missing commands")
	errNotJSON      = answer("Payload not valid JSON")
	errMuch         = answer("The message has more than 1048576 bytes: send fewer commands at once")
	errCorrelation  = answer("Invalid correlationData data type.")
	errNoCommand    = answer("Missing command")
	errNotAnObject  = answer("Command not an object")
	errUnknown      = answer("Unknown command")
	unnamedCommand  = "Unknown command" // in place of the name of one that has none
	passwordHidden  = "*****"
	passwordMissing = "no password"
)

// Ends says whose connections have to end after a change, as those in mosquitto do: they log in again under the new rules.
type Ends struct {
	Users     map[string]bool
	Anonymous bool // those without a user name
}

// Empty tells that nobody's connection has to end.
func (e *Ends) Empty() bool { return len(e.Users) == 0 && !e.Anonymous }

// Include tells whether a client's connection has to end.
func (e *Ends) Include(username string, anonymous bool) bool {
	if anonymous {
		return e.Anonymous
	}
	return e.Users[username]
}

func (e *Ends) user(name string) {
	if e.Users == nil {
		e.Users = make(map[string]bool)
	}
	e.Users[name] = true
}

// Order is a message with commands, and on what terms they are carried out.
type Order struct {
	By       string // who sent them, for the log
	Commands []byte
	Import   *State // in place of commands: what is added by [State.Import]
	Replace  bool   // … and takes the place of what is there under the same name
	If       string // the revision that the state must have for them; empty: any
	DryRun   bool   // nothing changes, and nothing is logged
}

// Done is what has become of an order, or would have.
type Done struct {
	Answer        []byte
	Before, After *State
	Ends          Ends
}

// ErrRevision refuses an order that is for a state of another revision.
var ErrRevision = errors.New("users and rights have changed since that revision was read")

// Outcome is what commands have led to.
type Outcome struct {
	State *State   // after all of them; the one before if they have changed nothing
	Ends  Ends     // whose connections end once the state is in force
	Log   []string // a line for each command that was carried out; never a password

	responses []response
}

type response struct {
	Command     string  `json:"command"`
	Error       string  `json:"error,omitempty"`
	Data        any     `json:"data,omitempty"`
	Correlation *string `json:"correlationData,omitempty"`

	changes bool
}

// Answer returns what is answered: a JSON object with a response for each command. not is empty, or says why the state could not be put in force: those that
// would have changed something are answered with that.
func (o *Outcome) Answer(not string) []byte {
	all := o.responses
	if not != "" {
		all = make([]response, len(o.responses))
		for i, r := range o.responses {
			if r.changes && r.Error == "" {
				r.Error = not
			}
			all[i] = r
		}
	}
	if all == nil {
		all = []response{}
	}
	data, err := json.Marshal(struct {
		Responses []response `json:"responses"`
	}{all})
	if err != nil { // there is nothing in it that cannot be written
		panic(err)
	}
	return data
}

// transaction carries out the commands of one message.
type transaction struct {
	s     *State
	own   bool // s may be changed
	by    string
	hash  Hash
	ends  Ends
	log   []string
	bytes int // of answers so far
}

// edit returns the state to be changed.
func (t *transaction) edit() *State {
	if !t.own {
		t.s, t.own = t.s.clone(), true
	}
	return t.s
}

func (t *transaction) note(format string, args ...any) {
	t.log = append(t.log, "dynsec: "+t.by+" | "+fmt.Sprintf(format, args...))
}

// command is one of mosquitto's commands.
type command struct {
	name string
	// One of the two. change checks everything before it changes the state, so that a command that is refused has changed nothing.
	change func(t *transaction, o object) error
	ask    func(t *transaction, o object) (data any, err error)
}

var commands map[string]command

func init() {
	commands = make(map[string]command)
	for _, c := range []command{
		{name: "setDefaultACLAccess", change: (*transaction).setDefaults},
		{name: "getDefaultACLAccess", ask: (*transaction).getDefaults},

		{name: "createClient", change: (*transaction).createClient},
		{name: "deleteClient", change: (*transaction).deleteClient},
		{name: "getClient", ask: (*transaction).getClient},
		{name: "listClients", ask: (*transaction).listClients},
		{name: "modifyClient", change: (*transaction).modifyClient},
		{name: "setClientPassword", change: (*transaction).setPassword},
		{name: "setClientId", change: (*transaction).setClientID},
		{name: "addClientRole", change: (*transaction).addClientRole},
		{name: "removeClientRole", change: (*transaction).removeClientRole},
		{name: "enableClient", change: (*transaction).enableClient},
		{name: "disableClient", change: (*transaction).disableClient},

		{name: "createGroup", change: (*transaction).createGroup},
		{name: "deleteGroup", change: (*transaction).deleteGroup},
		{name: "getGroup", ask: (*transaction).getGroup},
		{name: "listGroups", ask: (*transaction).listGroups},
		{name: "modifyGroup", change: (*transaction).modifyGroup},
		{name: "addGroupClient", change: (*transaction).addGroupClient},
		{name: "removeGroupClient", change: (*transaction).removeGroupClient},
		{name: "addGroupRole", change: (*transaction).addGroupRole},
		{name: "removeGroupRole", change: (*transaction).removeGroupRole},
		{name: "setAnonymousGroup", change: (*transaction).setAnonymous},
		{name: "getAnonymousGroup", ask: (*transaction).getAnonymous},

		{name: "createRole", change: (*transaction).createRole},
		{name: "deleteRole", change: (*transaction).deleteRole},
		{name: "getRole", ask: (*transaction).getRole},
		{name: "listRoles", ask: (*transaction).listRoles},
		{name: "modifyRole", change: (*transaction).modifyRole},
		{name: "addRoleACL", change: (*transaction).addRule},
		{name: "removeRoleACL", change: (*transaction).removeRule},
	} {
		commands[strings.ToLower(c.name)] = c
	}
}

// Apply carries out the commands of a message, in their order: a JSON object with a list of commands, as mosquitto's dynamic security takes them. The state itself is
// not changed. by is who sent it, for the lines of the log: CLIENT-ID/USER.
func (s *State) Apply(payload []byte, by string, hash Hash) *Outcome {
	if len(payload) > MaxCommands {
		return s.Refused(errMuch.Error())
	}
	v, err := parse(payload)
	if err != nil {
		return s.Refused(errNotJSON.Error())
	}
	m, _ := v.(map[string]any)
	all, isList, _ := object(m).list("commands")
	if !isList {
		return s.Refused(errNoCommands.Error())
	}
	o := &Outcome{}
	t := &transaction{s: s, by: by, hash: hash}
	for _, one := range all {
		r, goesOn := t.carryOut(one)
		o.responses = append(o.responses, r)
		if !goesOn {
			break
		}
	}
	o.State, o.Ends, o.Log = t.s, t.ends, t.log
	return o
}

// carryOut carries out one command, and reports whether the next ones are looked at.
func (t *transaction) carryOut(v any) (r response, goesOn bool) {
	m, ok := v.(map[string]any)
	if !ok {
		return response{Command: unnamedCommand, Error: errNotAnObject.Error()}, true
	}
	o := object(m)
	name, ok := o.text("command")
	if !ok || name == nil {
		return response{Command: unnamedCommand, Error: errNoCommand.Error()}, true
	}
	r.Command = *name
	if r.Correlation, ok = o.text("correlationData"); !ok {
		r.Error = errCorrelation.Error()
		return r, false
	}
	c, known := commands[strings.ToLower(*name)]
	if !known {
		r.Error = errUnknown.Error()
		return r, true
	}
	r.Command, r.changes = c.name, c.change != nil
	var err error
	if r.changes {
		err = c.change(t, o)
	} else if r.Data, err = c.ask(t, o); err == nil {
		r.Data, err = t.fits(r.Data)
	}
	if err != nil {
		r.Error, r.Data = err.Error(), nil
		if _, said := errors.AsType[answer](err); !said {
			r.Error = "Internal error"
		}
	}
	return r, true
}

// fits makes the data of an answer, unless it is too much for one message.
func (t *transaction) fits(data any) (any, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	if t.bytes+len(raw) > MaxAnswer {
		return nil, errTooLarge
	}
	t.bytes += len(raw)
	return json.RawMessage(raw), nil
}

// named reads a name that a command has to have: of a client, a group or a role.
func named(o object, member string) (string, error) {
	s, ok := o.text(member)
	if !ok || s == nil || *s == "" {
		return "", answer("Invalid/missing " + member)
	}
	if !carries(*s) {
		return "", answer(map[string]string{"username": "Username", "groupname": "Group name", "rolename": "Role name"}[member] + " not valid UTF-8")
	}
	return *s, nil
}

// names reads several names.
func names(o object, members ...string) ([]string, error) {
	all := make([]string, len(members))
	for i, m := range members {
		var err error
		if all[i], err = named(o, m); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// described reads what a command says about something, and leaves what it does not speak of.
func described(o object, was about) (about, error) {
	for member, into := range map[string]**string{"textname": &was.name, "textdescription": &was.description} {
		s, ok := o.text(member)
		if !ok || s != nil && len(*s) > maxName {
			return was, answer("Invalid/missing " + member)
		}
		if s != nil {
			*into = s
		}
	}
	return was, nil
}

// listed reads the roles, groups or clients that a command lists. given is false where it has no such list.
func listed(o object, list, name string, exists func(string) bool, missing, wrong error) (found []member, given bool, err error) {
	all, isList, there := o.list(list)
	if !there {
		return nil, false, nil
	}
	if !isList {
		return nil, false, wrong
	}
	for _, v := range all {
		m, _ := v.(map[string]any)
		s, ok := object(m).text(name)
		switch {
		case !ok || s == nil:
			return nil, false, wrong
		case !exists(*s):
			return nil, false, missing
		}
		found, _ = with(found, member{*s, object(m).number("priority", noPriority)})
	}
	return found, true, nil
}

func (t *transaction) rolesIn(o object) ([]member, bool, error) {
	return listed(o, "roles", "rolename", func(n string) bool { return t.s.roles[n] != nil }, errNoRole, errRoles)
}

// page is a part of a list: all names, or from an offset a number of them.
func page[T any](o object, all []string, each func(name string) T) []T {
	count, offset := o.number("count", -1), max(o.number("offset", 0), 0)
	all = all[min(offset, len(all)):]
	if count >= 0 { // no entry at all cannot be asked for, as in mosquitto
		all = all[:min(max(count, 1), len(all))]
	}
	out := make([]T, len(all))
	for i, name := range all {
		out[i] = each(name)
	}
	return out
}

// notePage notes a list that was asked for.
func (t *transaction) notePage(command string, o object) {
	t.note("%s | verbose=%t | count=%d | offset=%d", command, o.truth("verbose", false), o.number("count", -1), o.number("offset", 0))
}

// defaultAccess is one of what holds without a rule.
type defaultAccess struct {
	Kind  string `json:"acltype"`
	Allow bool   `json:"allow"`
}

func (t *transaction) getDefaults(object) (any, error) {
	all := make([]defaultAccess, actions)
	for a, name := range defaultNames {
		all[a] = defaultAccess{name, t.s.defaults[a]}
	}
	t.note("getDefaultACLAccess")
	return map[string]any{"acls": all}, nil
}

func (t *transaction) setDefaults(o object) error {
	all, isList, _ := o.list("acls")
	if !isList {
		return answer("Missing/invalid actions array")
	}
	fresh := t.s.defaults
	for _, v := range all {
		m, _ := v.(map[string]any)
		word, allow, ok := object(m).texts("acltype"), false, false
		if allow, ok = object(m).boolean("allow"); !ok {
			continue // as in mosquitto, and nothing is changed by it
		}
		for a, name := range defaultNames {
			if strings.EqualFold(name, word) {
				fresh[a] = allow
				t.note("setDefaultACLAccess | acltype=%s | allow=%t", name, allow)
			}
		}
	}
	t.edit().defaults = fresh
	return nil
}

// Carry carries out an order, whatever its terms are.
func (s *State) Carry(o *Order, hash Hash) *Outcome {
	if o.Import != nil {
		return s.Import(o.Import, o.Replace, o.By)
	}
	return s.Apply(o.Commands, o.By, hash)
}

// Refused is the outcome of a message that is not looked at.
func (s *State) Refused(why string) *Outcome {
	return &Outcome{State: s, responses: []response{{Command: unnamedCommand, Error: why}}}
}
