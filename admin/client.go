package admin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"picket/cause"
)

// Client asks a broker at its socket.
type Client struct {
	Manager
	Path string
	http http.Client
}

// Dial returns the client of the broker that answers at path. The error says why none does.
func Dial(ctx context.Context, path string) (*Client, error) {
	c, err := dial(ctx, path)
	if err != nil {
		return nil, &NotFoundError{[]Unanswered{{path, err}}}
	}
	return c, nil
}

func dial(ctx context.Context, path string) (*Client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	_ = conn.Close() // it was only to see whether somebody answers
	c := &Client{Path: path}
	c.http.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	c.send = func(ctx context.Context, commands []byte) (*Responses, error) {
		return ask[Responses](ctx, c, http.MethodPost, "/api/v1/rights", json.RawMessage(commands))
	}
	return c, nil
}

// NotFoundError: no broker answers at any of the sockets.
type NotFoundError struct{ Tried []Unanswered }

// Unanswered is a socket at which no broker answers, and why.
type Unanswered struct {
	Path string
	Err  error
}

func (e *NotFoundError) Error() string { return e.In(cause.English) }

// In is the error in a language.
func (e *NotFoundError) In(lang cause.Lang) string {
	var b strings.Builder
	b.WriteString(notFound.none.In(lang))
	for _, t := range e.Tried {
		b.WriteString("\n  " + t.in(lang))
	}
	b.WriteString("\n" + notFound.advice.In(lang))
	return b.String()
}

var notFound = struct{ none, advice, missing, forbidden, ended cause.Text }{
	none: cause.Text{EN: "no running broker was found", ZH: "没有找到正在运行的服务端"},
	advice: cause.Text{
		EN: "Is it running, and are you root or its user? picket ctl --socket PATH names the admin socket of a broker that is not found",
		ZH: "它在运行吗？当前用户是 root 或运行它的用户吗？找不到时可以用 picket ctl --socket 〈路径〉 指定它的管理套接字",
	},
	missing:   cause.Text{EN: "%s does not exist", ZH: "%s 不存在"},
	forbidden: cause.Text{EN: "%s is for the broker's user and root only", ZH: "%s 只有运行服务端的用户和 root 能用"},
	ended:     cause.Text{EN: "%s is there, but the broker that made it is not running any more", ZH: "%s 还在，但创建它的服务端已经停止"},
}

// in words why a socket cannot be used.
func (t Unanswered) in(lang cause.Lang) string {
	switch {
	case errors.Is(t.Err, fs.ErrNotExist):
		return fmt.Sprintf(notFound.missing.In(lang), t.Path)
	case errors.Is(t.Err, fs.ErrPermission):
		return fmt.Sprintf(notFound.forbidden.In(lang), t.Path)
	case errors.Is(t.Err, syscall.ECONNREFUSED):
		return fmt.Sprintf(notFound.ended.In(lang), t.Path)
	}
	return t.Err.Error()
}

// Status asks what the broker does.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	return ask[Status](ctx, c, http.MethodGet, "/api/v1/status", nil)
}

// Reload has the broker read its configuration again, and returns its state when that is in force. The error says why it is not.
func (c *Client) Reload(ctx context.Context) (*Status, error) {
	return ask[Status](ctx, c, http.MethodPost, "/api/v1/reload", nil)
}

// BeginMaintenance closes the broker to clients, and returns its state then.
func (c *Client) BeginMaintenance(ctx context.Context, m Maintenance) (*Status, error) {
	return ask[Status](ctx, c, http.MethodPut, "/api/v1/maintenance", m)
}

// EndMaintenance opens the broker, and returns its state then.
func (c *Client) EndMaintenance(ctx context.Context) (*Status, error) {
	return ask[Status](ctx, c, http.MethodDelete, "/api/v1/maintenance", nil)
}

// Clients asks for sessions; online: only for clients that are connected. query is that of GET /api/v1/sessions.
func (c *Client) Clients(ctx context.Context, online bool, query url.Values) (*Clients, error) {
	path := "/api/v1/sessions?"
	if online {
		path = "/api/v1/clients?"
	}
	return ask[Clients](ctx, c, http.MethodGet, path+query.Encode(), nil)
}

// Client asks for one client.
func (c *Client) Client(ctx context.Context, id string) (*OneClient, error) {
	return ask[OneClient](ctx, c, http.MethodGet, "/api/v1/client?"+url.Values{"id": {id}}.Encode(), nil)
}

// Disconnect has the broker end the connection of a client, and returns what the client was before. reason may be empty.
func (c *Client) Disconnect(ctx context.Context, id, reason string) (*OneClient, error) {
	v := url.Values{"id": {id}}
	if reason != "" {
		v.Set("reason", reason)
	}
	return ask[OneClient](ctx, c, http.MethodDelete, "/api/v1/client?"+v.Encode(), nil)
}

// AnsweredError is an answer that says no.
type AnsweredError struct {
	Status int    // as HTTP has it
	Text   string // for people
}

func (e *AnsweredError) Error() string { return e.Text }

// refusal is what an answer says that says no.
func refusal(res *http.Response) error {
	var p problem
	if err := json.NewDecoder(io.LimitReader(res.Body, maxProblem)).Decode(&p); err != nil {
		p.Detail = ""
	}
	return &AnsweredError{res.StatusCode, cmp.Or(p.Detail, res.Status)}
}

// maxAnswer bounds an answer, in bytes: all users and rights may be in one.
const maxAnswer = 64 << 20

// ask makes a request whose answer is a T; in is its body in JSON, nil for none.
func ask[T any](ctx context.Context, c *Client, method, path string, in any) (*T, error) {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://picket"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return nil, refusal(res)
	}
	answer := new(T)
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(answer); err != nil {
		return nil, fmt.Errorf("%s: %w", c.Path, err)
	}
	return answer, nil
}
