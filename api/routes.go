package api

import (
	"reflect"
	"slices"

	"picket/token"
)

// routes is the table of everything that can be asked.
func (a *API) routes() []*route {
	all := slices.Concat(a.serverRoutes(), a.clientRoutes(), a.messageRoutes(), a.userRoutes(), a.tokenRoutes(), a.loginRoutes(), a.traceRoutes(), a.eventRoutes(), a.steerRoutes(), a.rateRoutes(), a.listenRoutes(), a.auditRoutes())
	for _, r := range all {
		if r.changes() {
			r.params = append(r.params, dryRun)
		}
	}
	return append(all, &route{method: "GET", path: "openapi.json", role: token.Viewer, about: "This description, as OpenAPI 3.1.", out: reflect.TypeFor[map[string]any](),
		do: func(*call) (any, error) { return a.document(), nil }})
}
