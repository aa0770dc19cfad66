package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"picket/ban"
	"picket/cause"
	"picket/printable"
)

// NewBan is a ban that somebody asks for.
type NewBan struct {
	Kind  ban.Kind  `json:"kind"`
	Value string    `json:"value"`
	Until time.Time `json:"until,omitzero"` // absent: until it is lifted
	Why   string    `json:"why,omitempty"`
	// Force bans also addresses of this machine, which its own clients have.
	Force bool `json:"force,omitempty"`
}

// Banned is a ban that has been made.
type Banned struct {
	ban.Ban
	Disconnected int `json:"disconnected"` // those who were connected
}

// Bans are the bans in force.
type Bans struct {
	Items []ban.State `json:"items"`
}

// Lifted says whether there was a ban to lift.
type Lifted struct {
	Lifted bool `json:"lifted"`
}

// errOwnMachine refuses a ban that would keep out what runs beside the broker.
var errOwnMachine = errors.New("clients on this machine have that address: --force (in the API force) bans it all the same")

// Wanted is the ban as the broker takes it. An error says what is wrong with it.
func (n *NewBan) Wanted() (ban.Ban, error) {
	b, err := ban.Parse(n.Kind, n.Value)
	if err == nil && !n.Force && coversLoopback(b) {
		err = errOwnMachine
	}
	b.Until, b.Why = n.Until, n.Why
	return b, err
}

// coversLoopback tells whether a ban is about addresses that clients on this machine have.
func coversLoopback(b ban.Ban) bool {
	return b.Kind == ban.Address && (b.Covers(netip.AddrFrom4([4]byte{127, 0, 0, 1})) || b.Covers(netip.IPv6Loopback()))
}

// Bans asks for the bans in force.
func (c *Client) Bans(ctx context.Context) ([]ban.State, error) {
	all, err := ask[Bans](ctx, c, http.MethodGet, "/api/v1/bans", nil)
	if err != nil {
		return nil, err
	}
	return all.Items, nil
}

// Ban keeps somebody out. When it returns the ban is on the disk, if the broker keeps bans, and nobody whom it is about is connected.
func (c *Client) Ban(ctx context.Context, n NewBan) (*Banned, error) {
	return ask[Banned](ctx, c, http.MethodPost, "/api/v1/bans", n)
}

// Unban lifts a ban, and reports whether there was one.
func (c *Client) Unban(ctx context.Context, kind ban.Kind, value string) (bool, error) {
	_, err := ask[Lifted](ctx, c, http.MethodDelete, "/api/v1/ban?"+url.Values{"kind": {string(kind)}, "value": {value}}.Encode(), nil)
	if none := (*AnsweredError)(nil); errors.As(err, &none) && none.Status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// banTexts are what is said about bans.
var banTexts = struct{ none, forever, until, refused, never, rule cause.Text }{
	none:    cause.Text{EN: "Nobody is banned.\n", ZH: "没有封禁。\n"},
	forever: cause.Text{EN: "until it is lifted", ZH: "直到解除"},
	until:   cause.Text{EN: "until %s", ZH: "到 %s 为止"},
	refused: cause.Text{EN: "refused %d, last %s", ZH: "已拒绝 %d 次，最近一次 %s"},
	rule:    cause.Text{EN: "by ban_after", ZH: "ban_after 自动封禁"},
	never:   cause.Text{EN: "nobody refused", ZH: "尚未拒绝过"},
}

// localTime is how a time is shown to people.
func localTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// BanEnd says until when a ban lasts.
func BanEnd(b ban.Ban, lang cause.Lang) string {
	if b.Until.IsZero() {
		return banTexts.forever.In(lang)
	}
	return fmt.Sprintf(banTexts.until.In(lang), localTime(b.Until))
}

// BansText lists bans for a person, one to a line.
func BansText(all []ban.State, lang cause.Lang) string {
	if len(all) == 0 {
		return banTexts.none.In(lang)
	}
	var out strings.Builder
	for _, s := range all {
		parts := []string{string(s.Kind), printable.Text(s.Value), BanEnd(s.Ban, lang)}
		if s.Last.IsZero() {
			parts = append(parts, banTexts.never.In(lang))
		} else {
			parts = append(parts, fmt.Sprintf(banTexts.refused.In(lang), s.Refused, localTime(s.Last)))
		}
		if s.Rule {
			parts = append(parts, banTexts.rule.In(lang))
		}
		if s.Why != "" {
			parts = append(parts, printable.Text(s.Why))
		}
		out.WriteString(strings.Join(parts, "  ") + "\n")
	}
	return out.String()
}
