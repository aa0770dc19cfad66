package api

import (
	"context"
	"encoding/json"
	"fmt"

	"picket/admin"
	"picket/rights"
)

// maxImport bounds an import, in bytes.
const maxImport = 16 << 20

func (a *API) exportRights(c *call) (any, error) {
	if a.About.Rights == nil {
		return nil, conflict(errNoRights)
	}
	s := a.About.Rights.State()
	data, err := s.Encode()
	c.etag = s.Revision()
	return json.RawMessage(data), err
}

func (a *API) importRights(c *call) (any, error) {
	if a.About.Rights == nil {
		return nil, conflict(errNoRights)
	}
	i := c.in.(*admin.Import)
	from, about, err := i.State()
	if err != nil {
		return nil, unfit(err)
	}
	d, err := a.About.Rights.Do(c.request.Context(), rights.Order{By: c.caller().String(), Import: from, Replace: i.Replace, If: c.revision, DryRun: c.dry})
	if err != nil {
		return nil, err
	}
	var said admin.Responses
	if err := json.Unmarshal(d.Answer, &said); err != nil {
		return nil, err
	}
	one := said.Responses[0]
	if one.Error != "" {
		return nil, unfit(&admin.RefusedError{Command: one.Command, Text: one.Error})
	}
	if err := json.Unmarshal(one.Data, &about.Imported); err != nil {
		return nil, err
	}
	a.became(c, d)
	c.note = fmt.Sprintf("users=%d groups=%d roles=%d replace=%t", len(about.Users), len(about.Groups), len(about.Roles), i.Replace)
	if effect := c.foresee; effect != nil {
		c.foresee = func(ctx context.Context) (admin.Preview, error) {
			p, err := effect(ctx)
			p.Imported = &about
			return p, err
		}
	}
	return about, nil
}
