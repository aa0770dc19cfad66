package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"picket/admin"
	"picket/cause"
	"picket/printable"
	"picket/token"
)

// kind is what a parameter is.
type kind string

const (
	text   kind = "string"
	number kind = "integer"
	flag   kind = "boolean"
)

// param is a parameter of the query. Free texts stand there and not in the path, where ".." would be another resource.
type param struct {
	name     string
	kind     kind
	about    string
	required bool
	repeated bool
	words    []string // the only ones; nil: any text
	min, max int      // of a number
	absent   int      // what a number is that is not given
}

// route is one thing that can be asked.
type route struct {
	method, path string // below prefix
	role         token.Role
	open         bool // to everybody
	about        string
	params       []param
	in           reflect.Type // of the body; nil: there is none
	needs        []string     // members that the body must have
	out          reflect.Type // of the answer in JSON; nil: see media
	media        string       // of an answer that is no JSON
	status       int          // of the answer; 0: 200
	long         bool         // it may take as long as it takes
	stream       bool         // the handler answers by [call.stream]
	audited      bool         // a line is logged although nothing changes
	body         int          // its most bytes; 0: maxBody
	revised      bool         // it answers with an ETag; one that changes something takes If-Match and dry_run, too
	do           func(*call) (any, error)
}

// call is a request that has been checked against its route.
type call struct {
	route   *route
	request *http.Request
	writer  http.ResponseWriter // for a handler that answers itself, and then returns nil
	params  url.Values
	in      any    // a pointer to route.in
	note    string // what it is about, beside its parameters, for the audit journal; without secrets
	quiet   bool   // it has turned out to change nothing, and is not in the journal
	result  string // for the journal, where a part was not done
	failed  string // … and why

	revision string                                       // what is to be changed must have this one; empty: any
	etag     string                                       // the revision of what there is now
	dry      bool                                         // nothing is to be changed
	foresee  func(context.Context) (admin.Preview, error) // says what would have been
}

// most is how many bytes a body may have.
func (r *route) most() int { return cmp.Or(r.body, maxBody) }

// changes tells whether a route changes something that has a revision.
func (r *route) changes() bool { return r.revised && r.method != http.MethodGet }

// dryRun is a parameter of all routes that change something that has a revision.
var dryRun = param{name: "dry_run", kind: flag, about: "true: nothing is changed, and the answer says what would be."}

func (c *call) text(name string) string { return c.params.Get(name) }
func (c *call) flag(name string) bool   { return c.params.Get(name) == "true" }
func (c *call) caller() caller          { return c.request.Context().Value(callerKey{}).(caller) }
func (c *call) lang() cause.Lang        { return language(c.request) }

// number is the value of a number, or what it is when it is not given.
func (c *call) number(name string) int {
	if n, err := strconv.Atoi(c.params.Get(name)); err == nil {
		return n
	}
	i := slices.IndexFunc(c.route.params, func(p param) bool { return p.name == name })
	return c.route.params[i].absent
}

// allowed are the methods of a resource.
func allowed(methods map[string]*route) []string {
	all := slices.Collect(maps.Keys(methods))
	if get := methods[http.MethodGet]; get != nil && !get.stream {
		all = append(all, http.MethodHead)
	}
	slices.Sort(all)
	return all
}

// read checks a request against its route.
func (a *API) read(w http.ResponseWriter, r *http.Request, of *route) (*call, error) {
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, id: invalidID, detail: "the query cannot be read: " + printable.Text(err.Error())}
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		i := slices.IndexFunc(of.params, func(p param) bool { return p.name == name })
		if i < 0 {
			return nil, wrongParam(printable.Text(name), "there is no such parameter")
		}
		if err := of.params[i].check(params[name]); err != nil {
			return nil, err
		}
	}
	for _, p := range of.params {
		if p.required && !params.Has(p.name) {
			return nil, wrongParam(p.name, "it is missing")
		}
	}
	c := &call{route: of, request: r, writer: w, params: params, dry: params.Get(dryRun.name) == "true"}
	c.quiet = c.dry
	if c.revision, err = ifMatch(r, of); err != nil {
		return nil, err
	}
	return c, c.readBody(w, r)
}

// ifMatch reads the revision that a request is for; empty: any.
func ifMatch(r *http.Request, of *route) (string, error) {
	wrong := &refusal{status: http.StatusBadRequest, id: invalidID}
	given := r.Header.Values("If-Match")
	switch {
	case len(given) == 0:
		return "", nil
	case !of.changes():
		wrong.detail = "If-Match is for what has a revision and is to be changed"
		return "", wrong
	case len(given) == 1 && given[0] == "*":
		return "", nil
	}
	inner, quoted := strings.CutPrefix(given[0], `"`)
	inner, closed := strings.CutSuffix(inner, `"`)
	if len(given) > 1 || !quoted || !closed || inner == "" || strings.ContainsAny(inner, `", `) {
		wrong.detail = `If-Match: "REVISION" is expected, as an ETag has it, or *`
		return "", wrong
	}
	return inner, nil
}

// check looks at the values of a parameter.
func (p *param) check(values []string) error {
	if len(values) > 1 && !p.repeated {
		return wrongParam(p.name, "it is given more than once")
	}
	for _, v := range values {
		n, err := strconv.Atoi(v)
		switch {
		case !utf8.ValidString(v):
			return wrongParam(p.name, "it is no UTF-8")
		case p.words != nil && !slices.Contains(p.words, v):
			return wrongParam(p.name, "one of %s is expected", strings.Join(p.words, ", "))
		case p.kind == number && (err != nil || n < p.min || n > p.max):
			return wrongParam(p.name, "a number from %d to %d is expected", p.min, p.max)
		case p.kind == flag && v != "true" && v != "false":
			return wrongParam(p.name, "true or false is expected")
		}
	}
	return nil
}

// readBody reads the body, or refuses one that is not wanted.
func (c *call) readBody(w http.ResponseWriter, r *http.Request) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(c.route.most())))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return &refusal{status: http.StatusRequestEntityTooLarge, id: invalidID, detail: fmt.Sprintf("the body has more than %d bytes", c.route.most())}
	case err != nil:
		return &refusal{status: http.StatusBadRequest, id: invalidID, detail: "the body could not be read"}
	case c.route.in == nil && len(data) > 0:
		return wrongMember("", "there is none in this request")
	case c.route.in == nil:
		return nil
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return &refusal{status: http.StatusUnsupportedMediaType, id: invalidID, detail: "Content-Type: application/json is expected"}
	}
	c.in = reflect.New(c.route.in).Interface()
	return decode(data, c.in, c.route.needs)
}

// decode reads a body strictly: what is unknown, missing or behind it is refused.
func decode(data []byte, into any, needs []string) error {
	if !utf8.Valid(data) {
		return wrongMember("", "it is no UTF-8")
	}
	members, err := membersOf(data, reflect.TypeOf(into).Elem())
	if err != nil {
		return err
	}
	for _, name := range needs {
		if value, ok := members[name]; !ok || string(value) == "null" {
			return wrongMember(name, "it is missing")
		}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err = d.Decode(into)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return wrongMember(wrong.Field, "%s is not expected here", wrong.Value)
	case err != nil:
		text, _ := strings.CutPrefix(err.Error(), "json: ")
		return wrongMember("", "%s", printable.Text(text))
	}
	return nil
}

// membersOf returns the members of an object that are known to a type, each by its very name and once: encoding/json would take the last of two, and "TOPIC" for "topic".
func membersOf(data []byte, of reflect.Type) (map[string]json.RawMessage, error) {
	known, required := make(object), []string{}
	(&schemas{all: make(object)}).members(of, asked, known, &required)
	d := json.NewDecoder(bytes.NewReader(data))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return nil, wrongMember("", "an object in JSON is expected")
	}
	all := make(map[string]json.RawMessage)
	for d.More() {
		name, err := d.Token()
		key, _ := name.(string)
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		switch {
		case err != nil:
			return nil, wrongMember("", "an object in JSON is expected")
		case known[key] == nil:
			return nil, wrongMember(printable.Text(key), "there is no such member")
		case all[key] != nil:
			return nil, wrongMember(key, "it is given more than once")
		}
		all[key] = value
	}
	_, _ = d.Token() // the end of the object, or an error that comes again
	if _, err := d.Token(); err != io.EOF {
		return nil, wrongMember("", "an object in JSON is expected, and nothing behind it")
	}
	return all, nil
}

// duration reads a parameter that says how long from now something lasts, at most a year; absent: ok is false.
func (c *call) duration(name string) (d time.Duration, ok bool, err error) {
	if !c.params.Has(name) {
		return 0, false, nil
	}
	d, err = time.ParseDuration(c.text(name))
	if err != nil || d < time.Second || d > 366*24*time.Hour {
		return 0, false, wrongParam(name, "a time from 1s to 8784h such as 90s, 10m or 2h is expected")
	}
	return d, true, nil
}
