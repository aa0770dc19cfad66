package api

import (
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"picket/admin"
)

// object is an object in JSON.
type object = map[string]any

// document describes the table of routes as OpenAPI 3.1.
func (a *API) document() object {
	s := schemas{all: make(object)}
	paths := make(object)
	for path, methods := range a.byPath() {
		item := make(object)
		for method, r := range methods {
			item[strings.ToLower(method)] = s.operation(r)
		}
		paths["/"+path] = item
	}
	s.of(reflect.TypeFor[Problem](), answered)
	return object{
		"openapi": "3.1.0",
		"info": object{"title": "Picket", "version": a.About.Version,
			"description": "Asking and steering a running broker. At the admin socket whoever may connect may do everything; over HTTP a token is needed, whose role stands at each operation. Names, topics and identifiers stand in the query.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"servers": []object{{"url": strings.TrimSuffix(prefix, "/")}},
		"paths":   paths, "security": []object{{"token": []string{}}, {"login": []string{}}},
		"components": object{"schemas": s.all, "securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "picket ctl token add makes one."},
			"login": object{"type": "apiKey", "in": "cookie", "name": "picket-9883", "description": "What a browser has after following a link of picket ctl login. The name has the listener's port."}},
			"responses": object{"Problem": object{"description": "The request was not carried out (RFC 9457).", "content": object{"application/problem+json": object{"schema": ref("Problem")}}}}},
	}
}

// operation describes a route.
func (s *schemas) operation(r *route) object {
	answer := object{"description": r.about}
	if r.out != nil {
		answer["content"] = object{"application/json": object{"schema": s.of(r.out, answered)}}
	} else {
		content := make(object)
		for media := range strings.SplitSeq(r.media, ", ") {
			content[media] = object{}
		}
		answer["content"] = content
	}
	status := strconv.Itoa(cmp.Or(r.status, http.StatusOK))
	op := object{"operationId": operationID(r), "summary": r.about, "description": fmt.Sprintf("Role: %s.", orNone(r.role)), "x-picket-role": orNone(r.role),
		"responses": object{status: answer, "default": object{"$ref": "#/components/responses/Problem"}}}
	if r.revised {
		s.revise(r, op, answer)
	}
	if r.open {
		op["security"] = []object{}
	}
	var params []object
	for i := range r.params {
		params = append(params, r.params[i].describe())
	}
	if r.changes() {
		params = append(params, object{"name": "If-Match", "in": "header", "required": false, "schema": object{"type": "string"},
			"description": "An ETag: with another revision by now nothing is changed (412, api-revision)."})
	}
	if params != nil {
		op["parameters"] = params
	}
	if r.in != nil {
		schema := s.of(r.in, asked)
		if len(r.needs) > 0 {
			s.all[schemaName(r.in)+string(asked)].(object)["required"] = r.needs
		}
		op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": schema}}}
	}
	return op
}

// revise describes the answers of a route about what has a revision.
func (s *schemas) revise(r *route, op, answer object) {
	answer["headers"] = object{"ETag": object{"description": "The revision of all that is changed by such requests, for If-Match.", "schema": object{"type": "string"}}}
	if !r.changes() {
		return
	}
	preview := s.of(reflect.TypeFor[admin.Preview](), answered)
	if answers := op["responses"].(object); r.status == 0 {
		answer["content"] = object{"application/json": object{"schema": object{"anyOf": []object{s.of(r.out, answered), preview}}}}
	} else {
		answers["200"] = object{"description": "What a dry run has found.", "content": object{"application/json": object{"schema": preview}}}
	}
}

// operationID is a name for programs that are made from the document: getClientSubscriptions.
func operationID(r *route) string {
	id := strings.ToLower(r.method)
	for word := range strings.FieldsFuncSeq(r.path, func(c rune) bool { return c == '/' || c == '.' }) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

func (p *param) describe() object {
	schema := object{"type": string(p.kind)}
	if p.words != nil {
		schema["enum"] = p.words
	}
	if p.kind == number {
		schema["minimum"], schema["maximum"] = p.min, p.max
		if p.absent != 0 {
			schema["default"] = p.absent
		}
	}
	if p.repeated {
		schema = object{"type": "array", "items": schema}
	}
	return object{"name": p.name, "in": "query", "required": p.required, "description": p.about, "schema": schema}
}

// schemas are those of the types that have names, as they are met.
type schemas struct{ all object }

// side says whether a type is asked with or answered with: in a question no unknown member is taken, in an answer those are there that are never left out.
type side string

const (
	answered side = ""
	asked    side = "Request"
)

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }

// of describes a type as encoding/json writes and reads it.
func (s *schemas) of(t reflect.Type, as side) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]():
		return object{}
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem(), as)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Interface:
		return object{}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.of(t.Elem(), as)}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": []string{"array", "null"}, "items": s.of(t.Elem(), as)}
	case reflect.Struct:
		return s.named(t, as)
	}
	return object{"type": "integer"}
}

// named describes a struct among the schemas, once, and refers to it.
func (s *schemas) named(t reflect.Type, as side) object {
	name := cmp.Or(schemaName(t), "Anonymous") + string(as)
	if t.Name() == "" {
		return s.body(t, as)
	}
	if s.all[name] == nil {
		s.all[name] = object{} // for types that have themselves inside
		s.all[name] = s.body(t, as)
	}
	return ref(name)
}

// schemaName is a type's name; one of package api goes before others of the same name.
func schemaName(t reflect.Type) string {
	if name := t.Name(); name == "" || strings.HasSuffix(t.PkgPath(), "/api") {
		return name
	}
	pkg := t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]
	return strings.ToUpper(pkg[:1]) + pkg[1:] + t.Name()
}

// body describes the members of a struct.
func (s *schemas) body(t reflect.Type, as side) object {
	properties, required := make(object), []string{}
	s.members(t, as, properties, &required)
	schema := object{"type": "object", "properties": properties}
	if as == asked {
		schema["additionalProperties"] = false
	} else if len(required) > 0 {
		schema["required"] = required
	}
	return schema
}

// members adds those of a struct, its embedded ones first: a member of its own goes before one of theirs.
func (s *schemas) members(t reflect.Type, as side, properties object, required *[]string) {
	for _, embedded := range []bool{true, false} {
		for i := range t.NumField() {
			f := t.Field(i)
			tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous != embedded || tag == "-" || !f.IsExported():
				continue
			case embedded:
				s.members(f.Type, as, properties, required)
				continue
			}
			if _, again := properties[tag]; !again && !strings.Contains(options, "omit") {
				*required = append(*required, tag)
			}
			properties[tag] = s.of(f.Type, as)
		}
	}
}
