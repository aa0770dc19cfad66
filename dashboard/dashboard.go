// Package dashboard serves the dashboard: a few files for the browser of whoever runs the broker, which ask the API (package api) for everything that they show. There are no data in
// them, so everybody may have them.
//
// The files are made of those in web, by npm and esbuild (build.mjs), when "make build" runs on a machine that has node and npm. A program that was built without them has no
// dashboard, says so at its address, and lacks nothing else.
package dashboard

import (
	"embed"
	"net/http"
	"sync"

	"picket/packed"
)

//go:embed all:dist
var dist embed.FS

// names are the files of the build.
var names = []string{"index.html", "dashboard.js", "dashboard.css", "licenses.txt"}

// files are those of the build, by their paths in a URL; empty when there was none.
var files = sync.OnceValue(func() map[string]*packed.File {
	all := make(map[string]*packed.File)
	if !Built() {
		return all
	}
	for _, name := range names {
		data, err := dist.ReadFile("dist/" + name)
		if err != nil {
			panic(err) // build.mjs makes all of them
		}
		all["/"+name] = packed.New(name, data)
	}
	all["/"] = all["/index.html"]
	return all
})

// Built tells whether this program has the dashboard.
func Built() bool {
	_, err := dist.ReadFile("dist/index.html")
	return err == nil
}

// Size is how many bytes a browser loads that accepts gzip, without the headers.
func Size() (n int) {
	for _, name := range []string{"/", "/dashboard.js", "/dashboard.css"} {
		if f := files()[name]; f != nil {
			n += f.Size()
		}
	}
	return n
}

// policy lets the page run its own script and style and ask its own server, and nothing else; text becomes HTML nowhere (Trusted Types).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// Serve answers a request for one of the dashboard's paths, and reports false for every other one. In a build without the dashboard it says so at /.
func Serve(w http.ResponseWriter, r *http.Request) bool {
	name := r.URL.Path
	switch f := files()[name]; {
	case f != nil:
		packed.Protect(w, policy)
		f.Send(w, r)
	case name == "/favicon.ico":
		packed.Protect(w, policy)
		w.WriteHeader(http.StatusNoContent) // browsers ask for it unasked
	case name == "/" && !Built():
		http.Error(w, "This build of Picket has no dashboard: it was made without node and npm. GET /metrics, /healthz, /readyz and /api/v1/openapi.json are served.", http.StatusNotFound)
	default:
		return false
	}
	return true
}
