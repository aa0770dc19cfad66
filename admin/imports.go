package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"picket/access"
	"picket/cause"
	"picket/printable"
	"picket/rights"
)

// Import is users and rights that are to be added: one of the two forms.
type Import struct {
	File      json.RawMessage `json:"dynamic_security,omitempty"` // the file of mosquitto's dynamic security, which is the one of users and rights, too
	Passwords string          `json:"passwords,omitempty"`        // the text of a password file
	Limited   bool            `json:"limited,omitempty"`          // users of a password file may do nothing until something is allowed
	Replace   bool            `json:"replace,omitempty"`          // what is there under the same name is replaced; otherwise it stays as it is
}

// Imported is what has been added, or would be.
type Imported struct {
	rights.Imported
	Left     []string `json:"left"`     // users of a password file who are left out: their passwords are not kept as PBKDF2
	Warnings []string `json:"warnings"` // what of the file is left out
}

// State reads what is to be added. The error says what is wrong with it.
func (i *Import) State() (s *rights.State, about Imported, err error) {
	about.Left, about.Warnings = []string{}, []string{}
	switch {
	case (len(i.File) > 0) == (i.Passwords != ""):
		return nil, about, errors.New("either dynamic_security or passwords is expected")
	case len(i.File) > 0:
		s, warnings, err := rights.Load(i.File)
		about.Warnings = append(about.Warnings, warnings...)
		return s, about, err
	}
	found, left := access.Hashes([]byte(i.Passwords))
	passwords := make(map[string]*rights.Password)
	for name, h := range found {
		passwords[name] = &rights.Password{Salt: h.Salt, Hash: h.Hash, Iterations: h.Iterations}
	}
	s, role := rights.New(), ""
	if !i.Limited {
		commands, err := json.Marshal(map[string]any{"commands": []Command{everythingRole()}})
		if err != nil {
			return nil, about, err
		}
		s, role = s.Apply(commands, "", nil).State, Everything
	}
	about.Left = append(about.Left, left...)
	about.Left = append(about.Left, s.AddHashed(passwords, role, everythingPriority)...)
	return s, about, nil
}

// Export asks for all users and rights, as the file has them, with the hashes of the passwords.
func (c *Client) Export(ctx context.Context) (json.RawMessage, error) {
	file, err := ask[json.RawMessage](ctx, c, http.MethodGet, "/api/v1/rights/file", nil)
	if err != nil {
		return nil, err
	}
	return *file, nil
}

// Import adds users and rights.
func (c *Client) Import(ctx context.Context, i Import) (*Imported, error) {
	return ask[Imported](ctx, c, http.MethodPost, "/api/v1/rights/file", i)
}

// TryImport asks what that would do.
func (c *Client) TryImport(ctx context.Context, i Import) (*Preview, error) {
	return ask[Preview](ctx, c, http.MethodPost, "/api/v1/rights/file?dry_run=true", i)
}

// importTexts are what is said about imports.
var importTexts = struct{ added, would, kept, left, warning cause.Text }{
	added:   cause.Text{EN: "Imported: %d users, %d groups, %d roles.\n", ZH: "已导入：%d 个用户，%d 个组，%d 个角色。\n"},
	would:   cause.Text{EN: "Would be imported: %d users, %d groups, %d roles.\n", ZH: "将会导入：%d 个用户，%d 个组，%d 个角色。\n"},
	kept:    cause.Text{EN: "There already, and as they were (--replace replaces them): %s\n", ZH: "已存在，保持不变（加上 --replace 才会替换）：%s\n"},
	left:    cause.Text{EN: "Left out, for their passwords are not kept as PBKDF2 ($7$): %s\n", ZH: "未导入，因为密码不是以 PBKDF2（$7$）保存的：%s\n"},
	warning: cause.Text{EN: "Warning: %s\n", ZH: "警告：%s\n"},
}

// ImportedText says for people what has been added, or would be in a dry run.
func ImportedText(i *Imported, dry bool, lang cause.Lang) string {
	var b strings.Builder
	added := importTexts.added
	if dry {
		added = importTexts.would
	}
	fmt.Fprintf(&b, added.In(lang), len(i.Users), len(i.Groups), len(i.Roles))
	for _, one := range []struct {
		text  cause.Text
		names []string
	}{{importTexts.kept, i.Kept}, {importTexts.left, i.Left}} {
		if len(one.names) > 0 {
			fmt.Fprintf(&b, one.text.In(lang), printable.Text(strings.Join(one.names, ", ")))
		}
	}
	for _, w := range i.Warnings {
		fmt.Fprintf(&b, importTexts.warning.In(lang), printable.Text(w))
	}
	return b.String()
}
