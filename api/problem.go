package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"picket/ban"
	"picket/broker"
	"picket/cause"
	"picket/rights"
)

// invalidID is the cause of what cannot be understood.
const invalidID = cause.APIRequestInvalid

// refusal is why a request is not carried out.
type refusal struct {
	status int
	id     cause.ID
	detail string
	at     *Place        // what of the request is wrong; nil: no part of it
	wait   time.Duration // after which it may be tried again; 0: not said
	who    string        // the caller, for the log
}

func (r *refusal) Error() string { return r.detail }

// Place is a part of a request, and what is wrong with it.
type Place struct {
	Parameter string `json:"parameter,omitempty"` // of the query
	Pointer   string `json:"pointer,omitempty"`   // into the body, as RFC 6901 has it
	Detail    string `json:"detail"`
}

// Problem is an answer that says no, as RFC 9457 has it.
type Problem struct {
	Type    string   `json:"type"` // urn:picket:cause: and the cause
	Title   string   `json:"title"`
	Status  int      `json:"status"`
	Detail  string   `json:"detail"`
	Cause   cause.ID `json:"cause"`
	Explain string   `json:"explain"` // in the language of Accept-Language: English or Chinese
	Remedy  string   `json:"remedy"`
	Errors  []Place  `json:"errors,omitempty"`
}

func notFound(format string, args ...any) *refusal {
	return &refusal{status: http.StatusNotFound, id: cause.APINotFound, detail: fmt.Sprintf(format, args...)}
}

// conflict refuses what does not fit what is there.
func conflict(err error) *refusal {
	return &refusal{status: http.StatusConflict, id: cause.APIConflict, detail: err.Error()}
}

// wrongParam refuses a parameter.
func wrongParam(name, format string, args ...any) *refusal {
	text := fmt.Sprintf(format, args...)
	return &refusal{status: http.StatusBadRequest, id: invalidID, detail: name + ": " + text, at: &Place{Parameter: name, Detail: text}}
}

// wrongMember refuses a member of the body; an empty name is the body itself.
func wrongMember(name, format string, args ...any) *refusal {
	text := fmt.Sprintf(format, args...)
	r := &refusal{status: http.StatusBadRequest, id: invalidID, detail: "body: " + text, at: &Place{Detail: text}}
	if name != "" {
		r.detail = name + ": " + text
		r.at.Pointer = "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	}
	return r
}

func busy() *refusal {
	return &refusal{status: http.StatusServiceUnavailable, id: cause.APIBusy, wait: time.Second, detail: fmt.Sprintf("%d requests are being carried out", atOnce)}
}

// asRefusal is an error of a handler as the answer to the request.
func asRefusal(err error) *refusal {
	var no *refusal
	var denied *broker.Denied
	switch {
	case errors.As(err, &no):
		return no
	case errors.As(err, &denied):
		return &refusal{status: http.StatusForbidden, id: denied.Cause, detail: denied.Error()}
	case errors.Is(err, rights.ErrRevision), errors.Is(err, ban.ErrRevision):
		return &refusal{status: http.StatusPreconditionFailed, id: cause.APIRevision, detail: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		err = errStopped
	}
	return &refusal{status: http.StatusInternalServerError, id: cause.APIFailed, detail: err.Error()}
}

// problem says it in a language.
func (r *refusal) problem(lang cause.Lang) Problem {
	about, _ := cause.Lookup(r.id)
	p := Problem{Type: "urn:picket:cause:" + string(r.id), Title: about.Title.In(lang), Status: r.status, Detail: r.detail, Cause: r.id}
	p.Explain, _ = about.Explain.Render(lang, nil)
	p.Remedy, _ = about.Remedy.Render(lang, nil)
	if r.at != nil {
		p.Errors = []Place{*r.at}
	}
	return p
}

// refuse answers with a problem.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	no := asRefusal(err)
	a.report(no)
	if no.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(no.wait.Seconds()))))
	}
	if no.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="picket"`)
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Content-Language", language(r).String())
	w.WriteHeader(no.status)
	_ = json.NewEncoder(w).Encode(no.problem(language(r))) // the caller may be gone
}

// language is the one that a caller reads: the first of Accept-Language that there are texts in.
func language(r *http.Request) cause.Lang {
	for tag := range strings.SplitSeq(r.Header.Get("Accept-Language"), ",") {
		tag, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(tag)), ";")
		switch base, _, _ := strings.Cut(tag, "-"); base {
		case "zh":
			return cause.Chinese
		case "en":
			return cause.English
		}
	}
	return cause.English
}
