package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"picket/access"
	"picket/broker"
	"picket/cause"
	"picket/printable"
	"picket/rights"
)

// Rights is users and rights that change while the broker runs.
type Rights interface {
	// Path is the file that keeps them.
	Path() string
	// Do carries out commands of mosquitto's dynamic security in JSON, and returns what they are answered with. by is who sent them, for the log.
	Do(ctx context.Context, by string, commands []byte) (answer []byte, err error)
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

func (s *Server) users(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, s.about.Where(s.broker))
}

// rights carries out commands.
func (s *Server) rights(w http.ResponseWriter, r *http.Request) {
	if s.about.Rights == nil {
		refuse(w, http.StatusConflict, errors.New("this broker has no rights_file, in which users and rights can be changed while it runs"))
		return
	}
	commands, err := io.ReadAll(http.MaxBytesReader(w, r.Body, rights.MaxCommands))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, err)
		return
	}
	var asked struct{ Commands []Command }
	told := w.(*told)
	if json.Unmarshal(commands, &asked) == nil { // what cannot be read is refused below
		what, changes := Told(asked.Commands)
		told.What, told.quiet = what, !changes
	}
	by, _ := PeerOf(r.Context())
	said, err := s.about.Rights.Do(r.Context(), by+" at the admin socket", commands)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	var answers Responses
	if json.Unmarshal(said, &answers) == nil {
		told.Result, told.Why = answers.Result()
	}
	answer(w, http.StatusOK, json.RawMessage(said))
}

// Questions are the actions that can be asked about.
var Questions = map[string]access.Action{"publish": access.Publish, "subscribe": access.Subscribe, "receive": access.Deliver}

func (s *Server) may(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	for name := range v {
		if !slices.Contains([]string{"user", "id", "action", "topic", "port"}, name) {
			refuse(w, http.StatusBadRequest, fmt.Errorf("%s: there is no such parameter", printable.Text(name)))
			return
		}
	}
	q := broker.Question{User: v.Get("user"), ClientID: v.Get("id"), Action: Questions[v.Get("action")], Topic: v.Get("topic")}
	var err error
	if port := v.Get("port"); port != "" {
		q.Port, err = strconv.Atoi(port)
	}
	if q.Action == 0 {
		err = errors.New("action: publish, subscribe or receive is expected")
	}
	var m May
	if err == nil {
		m, err = s.about.May(s.broker, q)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	answer(w, http.StatusOK, m)
}

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
	return ask[Users](ctx, c, http.MethodGet, "/v1/users", nil)
}

// May asks whether somebody may do something. action is publish, subscribe or receive; port 0 stands for the rules of all listeners.
func (c *Client) May(ctx context.Context, user, clientID, action, topic string, port int) (*May, error) {
	v := url.Values{"user": {user}, "id": {clientID}, "action": {action}, "topic": {topic}}
	if port != 0 {
		v.Set("port", strconv.Itoa(port))
	}
	return ask[May](ctx, c, http.MethodGet, "/v1/may?"+v.Encode(), nil)
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

// NewManager has commands carried out by rights in this program. by is who sends them, for the log.
func NewManager(r Rights, by string) *Manager {
	return &Manager{func(ctx context.Context, commands []byte) (*Responses, error) {
		data, err := r.Do(ctx, by, commands)
		if err != nil {
			return nil, err
		}
		got := new(Responses)
		return got, json.Unmarshal(data, got)
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
