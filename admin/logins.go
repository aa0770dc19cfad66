package admin

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"picket/cause"
	"picket/token"
)

// NewLogin is a link to the dashboard that somebody asks for.
type NewLogin struct {
	Role token.Role `json:"role"` // viewer, operator or admin
}

// MadeLogin is a link that has been made.
type MadeLogin struct {
	Links   []string   `json:"links"` // for this machine; with several listeners they have the same code
	Role    token.Role `json:"role"`
	Expires int64      `json:"expires_seconds"`
}

// Login makes a link to the dashboard, which lets in once.
func (c *Client) Login(ctx context.Context, role token.Role) (*MadeLogin, error) {
	return ask[MadeLogin](ctx, c, http.MethodPost, "/api/v1/logins", NewLogin{role})
}

var loginText = cause.Text{
	EN: "%s\nOpen it in a browser on this machine: it works once, within %d seconds. (role %s)\n",
	ZH: "%s\n请在本机的浏览器中打开：%[2]d 秒内有效，只能使用一次。（角色 %[3]s）\n",
}

// Text shows a person the link.
func (m *MadeLogin) Text(lang cause.Lang) string {
	return fmt.Sprintf(loginText.In(lang), strings.Join(m.Links, "\n"), m.Expires, m.Role)
}
