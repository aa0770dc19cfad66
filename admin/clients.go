package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"picket/ban"
	"picket/broker"
	"picket/cause"
	"picket/printable"
)

// OneClient is a client with the filters it has subscribed to.
type OneClient struct {
	broker.ClientState
	Filters []string `json:"filters,omitempty"`
}

// The parameters of a query for clients. Identifiers and the like stand there and not in the path, where ".." would be another resource.
const (
	paramAfter  = "after"
	paramPrefix = "prefix"
	paramUser   = "user"
	paramFrom   = "from"
	paramOnline = "online"
	paramLimit  = "limit"
	paramSort   = "sort"
	paramID     = "id"
	paramReason = "reason"

	sortQueued = "queued"
)

// maxReason bounds the text that a client is told, in bytes.
const maxReason = 1024

// queryValues writes a query as parameters; readQuery reads them.
func queryValues(q broker.ClientQuery) url.Values {
	v := url.Values{}
	for name, text := range map[string]string{paramAfter: q.After, paramPrefix: q.Prefix, paramUser: q.User} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if q.From.IsValid() {
		v.Set(paramFrom, q.From.String())
	}
	if q.Online {
		v.Set(paramOnline, "true")
	}
	if q.Limit > 0 {
		v.Set(paramLimit, strconv.Itoa(q.Limit))
	}
	if q.ByQueue {
		v.Set(paramSort, sortQueued)
	}
	return v
}

func readQuery(v url.Values) (q broker.ClientQuery, err error) {
	q.Limit = 100
	for name, values := range v {
		value := values[0]
		switch name {
		case paramAfter:
			q.After = value
		case paramPrefix:
			q.Prefix = value
		case paramUser:
			q.User = value
		case paramFrom:
			q.From, err = ban.ParseNetwork(value)
		case paramOnline:
			q.Online, err = strconv.ParseBool(value)
		case paramLimit:
			if q.Limit, err = strconv.Atoi(value); err == nil && (q.Limit < 1 || q.Limit > broker.MaxClients) {
				err = fmt.Errorf("a number from 1 to %d is expected", broker.MaxClients)
			}
		case paramSort:
			if q.ByQueue = value == sortQueued; !q.ByQueue {
				err = errors.New("only sort=queued is there; otherwise the order is that of the identifiers")
			}
		default:
			err = errors.New("there is no such parameter")
		}
		if err == nil && len(values) > 1 {
			err = errors.New("it is given more than once")
		}
		if err != nil {
			return q, fmt.Errorf("%s=%s: %w", printable.Text(name), printable.Text(value), err)
		}
	}
	return q, nil
}

func (s *Server) clients(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(r.URL.Query())
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	answer(w, http.StatusOK, s.broker.Clients(q))
}

// named finds the client that a request is about, or refuses it.
func (s *Server) named(w http.ResponseWriter, r *http.Request, also ...string) (*OneClient, bool) {
	v := r.URL.Query()
	for name := range v {
		if name != paramID && !slices.Contains(also, name) {
			refuse(w, http.StatusBadRequest, fmt.Errorf("%s: there is no such parameter", printable.Text(name)))
			return nil, false
		}
	}
	c := new(OneClient)
	var ok bool
	if c.ClientState, c.Filters, ok = s.broker.Client(v.Get(paramID)); !ok {
		refuse(w, http.StatusNotFound, fmt.Errorf("there is no client %q", v.Get(paramID)))
	}
	return c, ok
}

func (s *Server) client(w http.ResponseWriter, r *http.Request) {
	if c, ok := s.named(w, r); ok {
		answer(w, http.StatusOK, c)
	}
}

func (s *Server) disconnect(w http.ResponseWriter, r *http.Request) {
	c, ok := s.named(w, r, paramReason)
	if !ok {
		return
	}
	reason := r.URL.Query().Get(paramReason)
	switch {
	case len(reason) > maxReason:
		refuse(w, http.StatusBadRequest, fmt.Errorf("the reason has %d bytes, and may have %d", len(reason), maxReason))
		return
	case reason == "":
		reason = "by picket ctl disconnect"
	}
	if !s.broker.Disconnect(c.ID, cause.DisconnectedByAdmin, printable.Text(reason)) {
		refuse(w, http.StatusConflict, fmt.Errorf("the client %q is not connected", c.ID))
		return
	}
	answer(w, http.StatusOK, c)
}

// clientWords are the texts about clients in one language.
type clientWords struct {
	none, more, disconnected                      string
	online, offline, inside, anonymous, user, tls string
	counts, queued, idle, subscribed              string
}

var clientTexts = map[cause.Lang]clientWords{
	cause.English: {
		none: "There is no such client.\n", more: "There are more: --after %s\n",
		online: "connected", offline: "offline", anonymous: "no user name", user: "user %s", tls: "TLS", inside: "inside the broker",
		counts: "%d subscriptions, %d in flight", queued: "%d queued (%s)", idle: "silent for %s", subscribed: "  subscribed to %s\n",
		disconnected: "%s has been disconnected. It may connect again.\n",
	},
	cause.Chinese: {
		none: "没有这样的客户端。\n", more: "还有更多：--after %s\n",
		online: "已连接", offline: "离线", anonymous: "无用户名", user: "用户 %s", tls: "TLS", inside: "服务端内部",
		counts: "订阅 %d，未确认 %d", queued: "排队 %d（%s）", idle: "已静默 %s", subscribed: "  订阅了 %s\n",
		disconnected: "已断开 %s。它可以重新连接。\n",
	},
}

// ClientsText lists clients for a person, one to a line.
func ClientsText(p *broker.ClientPage, lang cause.Lang) string {
	w := clientTexts[lang]
	if len(p.Clients) == 0 {
		return w.none
	}
	var b strings.Builder
	for i := range p.Clients {
		b.WriteString(w.line(&p.Clients[i]))
	}
	if p.Next != "" {
		fmt.Fprintf(&b, w.more, printable.ShellWord(printable.Text(p.Next)))
	}
	return b.String()
}

// Text tells a person of one client and its filters.
func (c *OneClient) Text(lang cause.Lang) string {
	w := clientTexts[lang]
	text := w.line(&c.ClientState)
	for _, filter := range c.Filters {
		text += fmt.Sprintf(w.subscribed, printable.Text(filter))
	}
	return text
}

// Disconnected says that the client has been disconnected.
func (c *OneClient) Disconnected(lang cause.Lang) string {
	return fmt.Sprintf(clientTexts[lang].disconnected, printable.Text(c.ID))
}

func (w clientWords) line(c *broker.ClientState) string {
	parts := []string{printable.Text(c.ID)}
	switch {
	case c.Transport == "inside":
		parts = append(parts, w.inside)
	case c.Connected:
		parts = append(parts, w.online)
		if c.Address.IsValid() {
			parts = append(parts, c.Address.String())
		}
		how := c.Transport
		if c.TLS {
			how += "+" + w.tls
		}
		parts = append(parts, how, "MQTT "+c.Version)
	default:
		parts = append(parts, w.offline)
	}
	if c.User != "" {
		parts = append(parts, fmt.Sprintf(w.user, printable.Text(c.User)))
	} else if c.Connected && c.Transport != "inside" {
		parts = append(parts, w.anonymous)
	}
	parts = append(parts, fmt.Sprintf(w.counts, c.Subscriptions, c.Inflight))
	if c.Queued > 0 {
		parts = append(parts, fmt.Sprintf(w.queued, c.Queued, size(int64(c.QueuedBytes))))
	}
	if c.Idle > int64(c.KeepAlive) && c.Connected && c.Idle > 60 {
		parts = append(parts, fmt.Sprintf(w.idle, time.Duration(c.Idle)*time.Second))
	}
	return strings.Join(parts, "  ") + "\n"
}
