package api

import (
	"errors"
	"reflect"

	"picket/audit"
	"picket/token"
)

// auditRoutes are those about who has changed what.
func (a *API) auditRoutes() []*route {
	return []*route{{method: "GET", path: "audit", role: token.Admin, about: "Who has changed what, or asked for what only an admin may have, from the audit file, the newest first. A page may be empty and yet have a next one.",
		out: reflect.TypeFor[audit.Page](), do: a.audits,
		params: []param{{name: "limit", kind: number, about: "How many at most.", min: 1, max: 1000, absent: 100}, {name: "cursor", kind: text, about: "next of the page before."}}}}
}

func (a *API) audits(c *call) (any, error) {
	c.quiet = true // a page that is looked at again and again would fill the file with itself
	page, err := a.About.Audit.Read(c.text("cursor"), c.number("limit"))
	switch {
	case errors.Is(err, audit.ErrCursor):
		return nil, wrongParam("cursor", "%s", err)
	case errors.Is(err, audit.ErrMoved), errors.Is(err, audit.ErrNoFile):
		return nil, conflict(err)
	case err != nil:
		return nil, err
	}
	return page, nil
}
