package backend

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
	"unicode/utf8"

	"picket/access"
)

// Web is the back end http: a web service.
type Web struct {
	Host                           string
	Port                           int
	UserPath, SuperPath, RulesPath string // of the service; SuperPath may be empty: then nobody is a superuser
	TLS                            bool
	Unverified                     bool   // whoever answers is believed, whatever its certificate says
	CAFile                         string // of certificates that are believed; empty: the system's
	Method                         string // POST, PUT or GET
	Form                           bool   // parameters are a form and no JSON
	Answer                         Answer
	Timeout                        time.Duration
	UserAgent                      string
	HostHeader                     string // the name that the service is asked for, where one address has several; empty: Host and Port
}

// Answer is how a web service says yes, beside a status of 2xx.
type Answer byte

// The ways to say yes.
const (
	AnswerStatus Answer = iota // by that alone
	AnswerJSON                 // {"ok": true}
	AnswerText                 // ok
)

// Bounds on what a service can make us read and hold open.
const (
	maxAnswer = 64 << 10
	maxCAFile = 4 << 20
)

// web is a service with the connections to it.
type web struct {
	config *Web
	base   url.URL
	client *http.Client
}

// readPool reads the certificates that a service is believed by, nil for the system's; directive is what names them. Errors are of type [*access.FileError].
func readPool(directive, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	fail := func(hint string, err error) error {
		return &access.FileError{Directive: directive, File: file, Text: fmt.Sprintf("Error: Unable to load CA certificates from %s.", file), Hint: hint, Err: err}
	}
	data, _, err := access.ReadBounded(file, maxCAFile)
	if err != nil {
		return nil, fail(err.Error()+".", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fail("There is no certificate in it: it is a file in PEM format.", nil)
	}
	return pool, nil
}

func (c *Web) open() (source, error) {
	pool, err := readPool("auth_opt_http_cafile", c.CAFile)
	if err != nil {
		return nil, err
	}
	scheme := "http"
	if c.TLS {
		scheme = "https"
	}
	return &web{
		config: c,
		base:   url.URL{Scheme: scheme, Host: net.JoinHostPort(c.Host, strconv.Itoa(c.Port))},
		client: &http.Client{
			Timeout: c.Timeout,
			Transport: &http.Transport{ // and no proxy: the passwords are for the service alone
				MaxConnsPerHost: atOnce, MaxIdleConnsPerHost: atOnce, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: maxAnswer,
				TLSClientConfig: &tls.Config{RootCAs: pool, InsecureSkipVerify: c.Unverified}, //nolint:gosec // only where the configuration says so
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func (w *web) instant() bool { return false }

func (w *web) waits(who) bool { return true }

func (w *web) where() string { return w.base.String() }

func (w *web) close() { w.client.CloseIdleConnections() }

// parameters are what the service is asked with.
type parameters struct {
	Username string  `json:"username"`
	Password *string `json:"password,omitempty"`
	ClientID *string `json:"clientid,omitempty"`
	Topic    *string `json:"topic,omitempty"`
	Access   int     `json:"acc,omitempty"`
}

// form is the same as a form.
func (p parameters) form() url.Values {
	v := url.Values{"username": {p.Username}}
	for name, value := range map[string]*string{"password": p.Password, "clientid": p.ClientID, "topic": p.Topic} {
		if value != nil {
			v.Set(name, *value)
		}
	}
	if p.Access != 0 {
		v.Set("acc", strconv.Itoa(p.Access))
	}
	return v
}

func (w *web) login(ctx context.Context, who who) (proof, error) {
	password := string(who.password)
	if !w.config.Form && !utf8.ValidString(password) { // JSON would make different ones the same
		return proof{}, nil
	}
	ok, err := w.ask(ctx, w.config.UserPath, parameters{Username: who.user, Password: &password, ClientID: &who.clientID})
	return proof{ok: ok}, err
}

// accesses are the numbers that mosquitto's plugins have for actions.
var accesses = map[access.Action]int{access.Deliver: 1, access.Publish: 2, access.Subscribe: 4}

func (w *web) may(ctx context.Context, r right) (bool, error) {
	if r.action != 0 {
		return w.ask(ctx, w.config.RulesPath, parameters{Username: r.user, ClientID: &r.client, Topic: &r.topic, Access: accesses[r.action]})
	}
	if w.config.SuperPath == "" {
		return false, nil
	}
	return w.ask(ctx, w.config.SuperPath, parameters{Username: r.user})
}

// ask asks the service. An error is one of which the answer is unknown: nobody there, a status of 5xx, something that is no answer.
func (w *web) ask(ctx context.Context, path string, p parameters) (bool, error) {
	body, kind := []byte(p.form().Encode()), "application/x-www-form-urlencoded"
	if !w.config.Form {
		var err error
		if body, err = json.Marshal(p); err != nil {
			return false, err
		}
		kind = "application/json"
	}
	at, err := w.base.Parse(path)
	if err != nil {
		return false, err
	}
	at.Scheme, at.Host = w.base.Scheme, w.base.Host
	req, err := http.NewRequestWithContext(ctx, w.config.Method, at.String(), bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Host = w.config.HostHeader
	req.Header.Set("Content-Type", kind)
	req.Header.Set("User-Agent", w.config.UserAgent)
	resp, err := w.client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch status := resp.StatusCode; {
	case status >= 500 || status < 200:
		return false, fmt.Errorf("%s: status %d", path, status)
	case status >= 300 && status < 400:
		return false, fmt.Errorf("%s: status %d, and redirections are not followed", path, status)
	case status >= 400:
		return false, nil
	case w.config.Answer == AnswerStatus:
		return true, nil
	case err != nil:
		return false, err
	case len(said) > maxAnswer:
		return false, fmt.Errorf("%s: an answer of more than %d bytes", path, maxAnswer)
	case w.config.Answer == AnswerText:
		return string(bytes.TrimSpace(said)) == "ok", nil
	}
	var answer struct {
		OK *bool `json:"ok"`
	}
	if json.Unmarshal(said, &answer) != nil || answer.OK == nil {
		return false, errors.New(path + ": the answer is no JSON with \"ok\"")
	}
	return *answer.OK, nil
}
