package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"picket/ban"
	"picket/broker"
	"picket/cause"
	"picket/printable"
)

// Preview is the answer to a dry run. Nothing has changed.
type Preview struct {
	DryRun  bool `json:"dry_run"` // true
	Changed bool `json:"changed"` // something would change
	broker.Effect
	Responses []Response `json:"responses,omitempty"` // what commands would be answered with
	Imported  *Imported  `json:"imported,omitempty"`  // what an import would add
}

// DryRun has the client change no users and rights from now on. It returns where what the last change would have done is found.
func (c *Client) DryRun() *Preview {
	last := new(Preview)
	c.send = func(ctx context.Context, commands []byte) (*Responses, error) {
		got, err := ask[Preview](ctx, c, http.MethodPost, "/api/v1/rights?dry_run=true", json.RawMessage(commands))
		if err != nil {
			return nil, err
		}
		*last = *got
		return &Responses{got.Responses}, nil
	}
	return last
}

// TryBan asks what a ban would do.
func (c *Client) TryBan(ctx context.Context, n NewBan) (*Preview, error) {
	return ask[Preview](ctx, c, http.MethodPost, "/api/v1/bans?dry_run=true", n)
}

// TryUnban asks what lifting a ban would do.
func (c *Client) TryUnban(ctx context.Context, kind ban.Kind, value string) (*Preview, error) {
	return ask[Preview](ctx, c, http.MethodDelete, "/api/v1/ban?"+url.Values{"kind": {string(kind)}, "value": {value}, "dry_run": {"true"}}.Encode(), nil)
}

// previewTexts are what is said about dry runs.
var previewTexts = struct{ nothing, would, ends, lost, lostOne, more cause.Text }{
	nothing: cause.Text{EN: "Nothing would change.\n", ZH: "不会有任何改变。\n"},
	would:   cause.Text{EN: "This was a dry run: nothing is changed.\n", ZH: "这是试运行，没有做任何修改。\n"},
	ends:    cause.Text{EN: "Clients that would be disconnected: %d\n", ZH: "会被断开的客户端：%d 个\n"},
	lost:    cause.Text{EN: "Subscriptions that would not be allowed any more: %d\n", ZH: "不再被允许的订阅：%d 个\n"},
	lostOne: cause.Text{EN: "  %s: %s\n", ZH: "  %s：%s\n"},
	more:    cause.Text{EN: "  and %d more\n", ZH: "  另有 %d 个\n"},
}

// PreviewText says for people what a dry run has found.
func PreviewText(p *Preview, lang cause.Lang) string {
	if !p.Changed {
		return previewTexts.nothing.In(lang)
	}
	var b strings.Builder
	b.WriteString(previewTexts.would.In(lang))
	rest := func(n, shown int) {
		if n > shown {
			fmt.Fprintf(&b, previewTexts.more.In(lang), n-shown)
		}
	}
	fmt.Fprintf(&b, previewTexts.ends.In(lang), p.Disconnected)
	for _, id := range p.Clients {
		b.WriteString("  " + printable.Text(id) + "\n")
	}
	rest(p.Disconnected, len(p.Clients))
	fmt.Fprintf(&b, previewTexts.lost.In(lang), p.Lost)
	for _, s := range p.Subscriptions {
		fmt.Fprintf(&b, previewTexts.lostOne.In(lang), printable.Text(s.ClientID), printable.Text(s.Filter))
	}
	rest(p.Lost, len(p.Subscriptions))
	return b.String()
}
