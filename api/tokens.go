package api

import (
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"picket/admin"
	"picket/token"
)

// tokenRoutes are those about tokens.
func (a *API) tokenRoutes() []*route {
	return []*route{
		{method: "GET", path: "tokens", role: token.Admin, about: "The tokens, without what is secret of them.", out: reflect.TypeFor[admin.Tokens](),
			do: func(*call) (any, error) { return admin.Tokens{Items: a.Tokens.All()}, nil }},
		{method: "POST", path: "tokens", role: token.Admin, about: "Makes a token. It is told once: only a hash of it is kept.", in: reflect.TypeFor[admin.NewToken](), needs: []string{"name", "role"},
			out: reflect.TypeFor[admin.MadeToken](), status: http.StatusCreated, do: a.addToken},
		{method: "DELETE", path: "token", role: token.Admin, about: "Removes a token; from then on it is refused.", params: []param{{name: "name", kind: text, about: "Its name.", required: true}},
			out: reflect.TypeFor[Changed](), do: a.removeToken},
	}
}

func (a *API) addToken(c *call) (any, error) {
	n := c.in.(*admin.NewToken)
	c.note = "name=" + strconv.Quote(n.Name) + " role=" + string(n.Role)
	var until time.Time
	if n.Expires > 0 {
		until = a.Now().Add(time.Duration(n.Expires) * time.Second)
	}
	t, secret, err := a.Tokens.Add(n.Name, n.Role, until, a.Now())
	if errors.Is(err, token.ErrNoFile) || errors.Is(err, token.ErrExists) {
		return nil, conflict(err)
	}
	if err != nil {
		return nil, unfit(err)
	}
	return admin.MadeToken{Token: t, Secret: secret}, nil
}

func (a *API) removeToken(c *call) (any, error) {
	found, err := a.Tokens.Remove(c.text("name"))
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, notFound("there is no token %q", c.text("name"))
	}
	return Changed{true}, nil
}
