// Package page serves the phone's page: a few files for the browser of a phone, which takes the steps that an MQTT app takes and says at
// which one it fails, why, and what to do.
//
// The files are made of those in web, by npm and esbuild (build.mjs), when "make build" runs on a machine that has node and npm. A
// program that was built without them has no page, says so ([Built]), and lacks nothing else.
package page

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"sync"

	"picket/cause"
	"picket/packed"
)

//go:embed all:dist
var dist embed.FS

// files are those of the build, by their paths in a URL; empty when there was none.
var files = sync.OnceValue(func() map[string]*packed.File {
	all := make(map[string]*packed.File)
	if !Built() {
		return all
	}
	for _, name := range []string{"index.html", "page.js", "page.css", "licenses.txt"} {
		data, err := dist.ReadFile("dist/" + name)
		if err != nil {
			panic(err) // build.mjs makes all of them
		}
		all["/"+name] = packed.New(name, data)
	}
	all["/"] = all["/index.html"]
	for _, l := range []cause.Lang{cause.English, cause.Chinese} {
		all["/causes.json?"+l.String()] = packed.New("causes.json", causes(l, expected))
	}
	return all
})

// Built tells whether this program has the page.
func Built() bool {
	_, err := dist.ReadFile("dist/index.html")
	return err == nil
}

// Size is how many bytes a browser loads that accepts gzip, without the headers: the page, its script and style, and the causes in one language.
func Size() (n int) {
	for _, name := range []string{"/", "/page.js", "/page.css", "/causes.json?zh"} {
		if f := files()[name]; f != nil {
			n += f.Size()
		}
	}
	return n
}

// expected are the causes that the page is likely to need. They are loaded with it: when the broker is gone they cannot be had any more.
var expected = []cause.ID{
	cause.BrokerNotRunning, cause.WiFiCellSwitch, cause.ProxyNoUpgrade, cause.BadCredentials, cause.AnonymousRefused, cause.AnonymousLocalOnly,
	cause.Maintenance, cause.ServerFull, cause.Overloaded, cause.OverloadOrStorm, cause.ConnectionLost, cause.ServerShuttingDown,
	cause.ACLSubscribeDenied, cause.ACLPublishDenied, cause.ACLReadDenied, cause.KeepaliveMissed, cause.NoLongerAllowed,
	cause.TLSWithoutCertificate, cause.TLSToPlainPort, cause.TLSClientRejectedCertificate, cause.PlainToTLSPort,
}

// filled are the places that the page fills itself.
var filled = cause.Values{"host": "{host}", "port": "{port}", "user": "{user}", "topic": "{topic}"}

// text is a cause as the page gets it.
type text struct {
	Title   string `json:"title"`
	Explain string `json:"explain"`
	Remedy  string `json:"remedy"`
}

// causes is a JSON object of causes by their ids. Ids that are not in the catalogue are left out.
func causes(l cause.Lang, ids []cause.ID) []byte {
	all := make(map[cause.ID]text)
	for _, id := range ids {
		c, ok := cause.Lookup(id)
		if !ok {
			continue
		}
		render := func(t cause.Text) string {
			s, err := t.Render(l, filled)
			if err != nil {
				panic(err) // the catalogue's tests have rendered all
			}
			return s
		}
		all[id] = text{render(c.Title), render(c.Explain), render(c.Remedy)}
	}
	data, err := json.Marshal(all)
	if err != nil {
		panic(err) // texts only
	}
	return data
}

// Door is the listener that serves the page, as far as the page tells what to type into an app. Of what came by a proxy nothing is known but that WebSocket
// gets through: Door is zero then.
type Door struct {
	MQTT bool `json:"mqtt"` // it takes MQTT without WebSocket
	TLS  bool `json:"tls"`  // it takes TLS
	Port int  `json:"port"` // its own; a browser that came to another one was led here by something
}

// file is /door.json.
func (d Door) file() *packed.File {
	data, err := json.Marshal(d)
	if err != nil {
		panic(err) // a number and truth values only
	}
	return packed.New("door.json", data)
}

// Serve answers a request for one of the page's paths: /, its files, /door.json, and /causes.json?lang=zh or en, with &id=ID for one cause. It reports
// false for every other path, and for all when there is no page.
func Serve(d Door, w http.ResponseWriter, r *http.Request) bool {
	name := r.URL.Path
	switch {
	case !Built():
		return false
	case name == "/favicon.ico":
		protect(w, r)
		w.WriteHeader(http.StatusNoContent) // browsers ask for it unasked
		return true
	case name == "/door.json":
		send(w, r, d.file())
		return true
	}
	l := cause.English
	if name == "/causes.json" {
		query := r.URL.Query()
		l = cause.ParseLang(query.Get("lang"))
		if name += "?" + l.String(); query.Has("id") {
			send(w, r, answer(l, cause.ID(query.Get("id"))))
			return true
		}
	}
	f := files()[name]
	if f == nil {
		return false
	}
	send(w, r, f)
	return true
}

// answers are the causes that somebody has asked for, each of them packed once: what a stranger can have done for him again and again has to be
// cheap. There are no more than causes times languages; an id that is in no catalogue is answered like any other such.
var answers struct {
	sync.Mutex
	files map[string]*packed.File
}

// answer is /causes.json for one cause.
func answer(l cause.Lang, id cause.ID) *packed.File {
	if _, ok := cause.Lookup(id); !ok {
		id = ""
	}
	key := l.String() + " " + string(id)
	answers.Lock()
	defer answers.Unlock()
	f := answers.files[key]
	if f == nil {
		if answers.files == nil {
			answers.files = make(map[string]*packed.File)
		}
		f = packed.New("causes.json", causes(l, []cause.ID{id}))
		answers.files[key] = f
	}
	return f
}

// Missing answers in place of [Serve] in a build without the page: it says so at /, and reports false for every other path.
func Missing(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/" {
		return false
	}
	w.Header().Set("Upgrade", "websocket")
	w.Header().Set("Connection", "close")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusUpgradeRequired)
	_, _ = fmt.Fprintln(w, "This port speaks MQTT over WebSocket. This build of Picket has no page for a phone's browser: it was made without node and npm. [page-not-built]")
	return true
}

// send sends a file, unless the browser has it already.
func send(w http.ResponseWriter, r *http.Request, f *packed.File) {
	protect(w, r)
	f.Send(w, r)
}

// hostPattern is what a Host header may be to be repeated in a header.
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9.\-]+(:[0-9]+)?$|^\[[0-9A-Fa-f:.]+\](:[0-9]+)?$`)

// protect sets the headers that keep the page to itself: no script or style but its own files, no other host, no frame around it.
func protect(w http.ResponseWriter, r *http.Request) {
	connect := "'self'"
	if hostPattern.MatchString(r.Host) {
		connect += " ws://" + r.Host + " wss://" + r.Host // for older Safaris 'self' does not cover WebSocket
	}
	packed.Protect(w, "default-src 'none'; script-src 'self'; style-src 'self'; connect-src "+connect+"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
}
