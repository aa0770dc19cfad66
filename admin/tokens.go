package admin

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"picket/cause"
	"picket/printable"
	"picket/token"
)

// NewToken is a token that somebody asks for.
type NewToken struct {
	Name    string     `json:"name"`
	Role    token.Role `json:"role"`
	Expires int64      `json:"expires_seconds,omitempty"` // after which it is not valid any more; absent: never
}

// MadeToken is a token that has been made.
type MadeToken struct {
	token.Token
	Secret string `json:"token"` // it is told once
}

// Tokens are the tokens there are, without what is secret of them.
type Tokens struct {
	Items []token.Token `json:"items"`
}

// AddToken makes a token.
func (c *Client) AddToken(ctx context.Context, n NewToken) (*MadeToken, error) {
	return ask[MadeToken](ctx, c, http.MethodPost, "/api/v1/tokens", n)
}

// Tokens asks for the tokens.
func (c *Client) Tokens(ctx context.Context) (*Tokens, error) {
	return ask[Tokens](ctx, c, http.MethodGet, "/api/v1/tokens", nil)
}

// RemoveToken removes a token: when it returns the token is refused.
func (c *Client) RemoveToken(ctx context.Context, name string) error {
	_, err := ask[struct{}](ctx, c, http.MethodDelete, "/api/v1/token?"+url.Values{"name": {name}}.Encode(), nil)
	return err
}

// tokenTexts are what is said about tokens.
var tokenTexts = struct{ none, made, never, until, once, removed cause.Text }{
	none:    cause.Text{EN: "There are no tokens.\n", ZH: "没有令牌。\n"},
	made:    cause.Text{EN: "made %s", ZH: "创建于 %s"},
	never:   cause.Text{EN: "for good", ZH: "长期有效"},
	until:   cause.Text{EN: "until %s", ZH: "有效期到 %s"},
	once:    cause.Text{EN: "%s\nKeep it safe: it is shown this once. (%s, role %s, %s)\n", ZH: "%s\n请妥善保管：它只显示这一次。（%s，角色 %s，%s）\n"},
	removed: cause.Text{EN: "The token %s is not valid any more.\n", ZH: "令牌 %s 已失效。\n"},
}

// validity says until when a token is valid.
func validity(t *token.Token, lang cause.Lang) string {
	if t.Expires.IsZero() {
		return tokenTexts.never.In(lang)
	}
	return fmt.Sprintf(tokenTexts.until.In(lang), localTime(t.Expires))
}

// Text shows a person the token that has been made.
func (m *MadeToken) Text(lang cause.Lang) string {
	return fmt.Sprintf(tokenTexts.once.In(lang), m.Secret, printable.Text(m.Name), m.Role, validity(&m.Token, lang))
}

// Text lists tokens for a person, one to a line.
func (t *Tokens) Text(lang cause.Lang) string {
	if len(t.Items) == 0 {
		return tokenTexts.none.In(lang)
	}
	var b strings.Builder
	for i := range t.Items {
		one := &t.Items[i]
		fmt.Fprintf(&b, "%s  %s  %s  %s\n", printable.Text(one.Name), one.Role, validity(one, lang), fmt.Sprintf(tokenTexts.made.In(lang), localTime(one.Made)))
	}
	return b.String()
}

// TokenRemoved says that a token has been removed.
func TokenRemoved(name string, lang cause.Lang) string {
	return fmt.Sprintf(tokenTexts.removed.In(lang), printable.Text(name))
}
