package admin

import (
	"fmt"
	"strings"
	"time"

	"picket/broker"
	"picket/cause"
	"picket/printable"
)

// OneClient is a client with the filters it has subscribed to.
type OneClient struct {
	broker.ClientState
	Filters []string `json:"filters,omitempty"`
}

// Clients is a part of a list of clients.
type Clients struct {
	Items    []broker.ClientState `json:"items"`
	Next     string               `json:"next,omitempty"`  // the cursor of the next part, which may be there although this one is empty; absent: there is none
	Found    int                  `json:"found,omitempty"` // how many there are for whom the conditions hold, of a list that is sorted
	Examined int                  `json:"examined"`        // sessions that were looked at
	Total    int                  `json:"total"`           // sessions that there are
}

// clientWords are the texts about clients in one language.
type clientWords struct {
	none, more, disconnected                      string
	online, offline, inside, anonymous, user, tls string
	counts, queued, idle, subscribed              string
}

var clientTexts = map[cause.Lang]clientWords{
	cause.English: {
		none: "There is no such client.\n", more: "%d more: --after %s\n",
		online: "connected", offline: "offline", anonymous: "no user name", user: "user %s", tls: "TLS", inside: "inside the broker",
		counts: "%d subscriptions, %d in flight", queued: "%d queued (%s)", idle: "silent for %s", subscribed: "  subscribed to %s\n",
		disconnected: "%s has been disconnected. It may connect again.\n",
	},
	cause.Chinese: {
		none: "没有这样的客户端。\n", more: "还有 %d 个：--after %s\n",
		online: "已连接", offline: "离线", anonymous: "无用户名", user: "用户 %s", tls: "TLS", inside: "服务端内部",
		counts: "订阅 %d，未确认 %d", queued: "排队 %d（%s）", idle: "已静默 %s", subscribed: "  订阅了 %s\n",
		disconnected: "已断开 %s。它可以重新连接。\n",
	},
}

// Text lists clients for a person, one to a line; byID: they are in the order of their identifiers, and it says how the list goes on.
func (p *Clients) Text(byID bool, lang cause.Lang) string {
	w := clientTexts[lang]
	if len(p.Items) == 0 {
		return w.none
	}
	var b strings.Builder
	for i := range p.Items {
		b.WriteString(w.line(&p.Items[i]))
	}
	if byID && p.Found > len(p.Items) {
		fmt.Fprintf(&b, w.more, p.Found-len(p.Items), printable.ShellWord(printable.Text(p.Items[len(p.Items)-1].ID)))
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
