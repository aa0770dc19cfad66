package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"picket/access"
	"picket/broker"
	"picket/cause"
	"picket/rights"
)

// Rights is users and rights that change while the broker runs.
type Rights interface {
	// Path is the file that keeps them.
	Path() string
	// Do carries out commands of mosquitto's dynamic security in JSON, or says what they would lead to. It fails with [rights.ErrRevision].
	Do(context.Context, rights.Order) (*rights.Done, error)
	// Effect says what an order would do to those who are there.
	Effect(context.Context, *broker.Broker, *rights.Done) (broker.Effect, error)
	// State is what is in force.
	State() *rights.State
	// Rule names, for people, the rule that decides about a user; empty: there is none.
	Rule(username, clientID string, a access.Action, topic string) string
}

// Users says where a broker's users are.
type Users struct {
	Files  map[string][]string `json:"files"`            // the users of each password file
	Rights string              `json:"rights,omitempty"` // path of the file of those that can be changed while the broker runs; empty: there is none
}

// FileOf returns the password file that has a user; empty: none has.
func (u *Users) FileOf(name string) string {
	for path, names := range u.Files {
		if slices.Contains(names, name) {
			return path
		}
	}
	return ""
}

// May is the answer to whether somebody may do something.
type May struct {
	Allow bool     `json:"allow"`
	Cause cause.ID `json:"cause,omitempty"` // of a no
	Rule  string   `json:"rule,omitempty"`  // what decides, where that is known
	Known bool     `json:"known"`           // a password file or the file of users and rights has the user
}

// Questions are the actions that can be asked about.
var Questions = map[string]access.Action{"publish": access.Publish, "subscribe": access.Subscribe, "receive": access.Deliver}

// May decides a question. An error says what is wrong with it.
func (a *About) May(of *broker.Broker, q broker.Question) (m May, err error) {
	var d access.Decision
	if d, m.Known, err = of.May(q); err != nil {
		return m, err
	}
	m.Allow, m.Cause, m.Rule = d.Allow, d.Cause, d.Text
	if m.Allow && a.Rights != nil && q.User != "" {
		if rule := a.Rights.Rule(q.User, q.ClientID, q.Action, q.Topic); rule != "" {
			m.Rule = rule
		}
	}
	return m, nil
}

// Where says where the users are.
func (a *About) Where(of *broker.Broker) Users {
	u := Users{Files: of.PasswordFiles()}
	if a.Rights != nil {
		u.Rights = a.Rights.Path()
	}
	return u
}

// Users asks where the users are.
func (c *Client) Users(ctx context.Context) (*Users, error) {
	return ask[Users](ctx, c, http.MethodGet, "/api/v1/users", nil)
}

// May asks whether somebody may do something. action is publish, subscribe or receive; port 0 stands for the rules of all listeners.
func (c *Client) May(ctx context.Context, user, clientID, action, topic string, port int) (*May, error) {
	v := url.Values{"user": {user}, "client_id": {clientID}, "action": {action}, "topic": {topic}}
	if port != 0 {
		v.Set("port", strconv.Itoa(port))
	}
	return ask[May](ctx, c, http.MethodGet, "/api/v1/rules/check?"+v.Encode(), nil)
}

// Command is a command of mosquitto's dynamic security.
type Command map[string]any

// Manager changes users and rights by commands, which it sends to whoever carries them out: [Client] to a broker's admin socket.
type Manager struct {
	send func(ctx context.Context, commands []byte) (*Responses, error)
}

// Responses are the answers to commands, in their order.
type Responses struct {
	Responses []Response `json:"responses"`
}

// Response is the answer to a command.
type Response struct {
	Command string          `json:"command,omitempty"`
	Error   string          `json:"error,omitempty"` // why it was refused; absent: it was carried out
	Data    json.RawMessage `json:"data,omitempty"`
}

// NewManager has commands carried out by rights in this program, on terms: who sends them, for which revision, in earnest or not. done is told what has become of each message.
func NewManager(r Rights, terms rights.Order, done func(*rights.Done)) *Manager {
	return &Manager{func(ctx context.Context, commands []byte) (*Responses, error) {
		terms.Commands = commands
		d, err := r.Do(ctx, terms)
		if err != nil {
			return nil, err
		}
		done(d)
		got := new(Responses)
		return got, json.Unmarshal(d.Answer, got)
	}}
}

// RefusedError is a command that was refused.
type RefusedError struct{ Command, Text string }

func (e *RefusedError) Error() string { return e.Command + ": " + e.Text }

// Raw has commands carried out, in their order, and returns what each is answered with.
func (m *Manager) Raw(ctx context.Context, commands []Command) (*Responses, error) {
	body, err := json.Marshal(map[string]any{"commands": commands})
	if err != nil {
		return nil, err
	}
	return m.send(ctx, body)
}

// Do has commands carried out, in their order, and returns the data of each answer. The first that was refused is a *[RefusedError]; those before it are in force.
func (m *Manager) Do(ctx context.Context, commands ...Command) ([]json.RawMessage, error) {
	got, err := m.Raw(ctx, commands)
	if err != nil {
		return nil, err
	}
	var data []json.RawMessage
	for _, r := range got.Responses {
		if r.Error != "" {
			return nil, &RefusedError{r.Command, r.Error}
		}
		data = append(data, r.Data)
	}
	return data, nil
}
