package mosqconf

import (
	"cmp"
	"net"
	"net/url"
	"strings"
	"time"

	"picket/access"
	"picket/backend"
	"picket/cause"
)

// tokenDirectives say whose tokens let clients in (backend.JWT).
var tokenDirectives = directiveTable{
	"jwt_keys":              {"PATH|URL", (*parser).jwtKeys},
	backend.CADirective:     {path, tokenString(func(j *backend.JWT) *string { return &j.CAFile })},
	backend.SecretDirective: {path, tokenString(func(j *backend.JWT) *string { return &j.SecretFile })},
	"jwt_issuer":            {text, tokenString(func(j *backend.JWT) *string { return &j.Issuer })},
	"jwt_audience":          {text, tokenString(func(j *backend.JWT) *string { return &j.Audience })},
	"jwt_user":              {"CLAIM", tokenString(func(j *backend.JWT) *string { return &j.User })},
	"jwt_leeway":            {seconds, (*parser).jwtLeeway},
	"jwt_expiry":            {"required|optional", (*parser).jwtExpiry},
	"jwt_place":             {"password|username", (*parser).jwtPlace},
}

// defaultLeeway is how much the clocks of who issues tokens and of the broker may differ.
const defaultLeeway = 5 * time.Second

// tokens are the lines about tokens of one set of rules.
type tokens struct {
	config backend.JWT
	lines  map[string]line
	first  line
}

// tokensOf returns those of the rules that a line belongs to.
func (p *parser) tokensOf(f *fileState, l line) *tokens {
	s := p.rules(f, l)
	if s.tokens == nil {
		s.tokens = &tokens{config: backend.JWT{User: "sub", Leeway: defaultLeeway}, lines: make(map[string]line), first: l}
	}
	s.tokens.lines[l.word] = l
	return s.tokens
}

func tokenString(to func(*backend.JWT) *string) func(*parser, *fileState, line) {
	return func(p *parser, f *fileState, l line) {
		t := p.tokensOf(f, l)
		if value, ok := p.string(l, p.rules(f, l).seen); ok {
			*to(&t.config) = value
		}
	}
}

func (p *parser) jwtKeys(f *fileState, l line) {
	t := p.tokensOf(f, l)
	value, ok := p.string(l, p.rules(f, l).seen)
	if !ok {
		return
	}
	if !strings.Contains(value, "://") {
		t.config.KeysFile = value
		return
	}
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		p.invalid(l, "...", "It is a file, or the address of a JSON Web Key Set: https://HOST/PATH")
		return
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		p.errorf(l, cause.ConfigInvalidValue, "Write https://, and name its authority in jwt_keys_cafile if it is none that the system knows.",
			"Error: The keys of tokens cannot come from another machine by plain HTTP: whoever is on the way could let anybody in.")
		return
	}
	t.config.KeysURL = value
}

func (p *parser) jwtLeeway(f *fileState, l line) {
	t := p.tokensOf(f, l)
	if n, ok := p.int(l, 0, 3600); ok {
		t.config.Leeway = time.Duration(n) * time.Second
	}
}

func (p *parser) jwtExpiry(f *fileState, l line) {
	choose(p, l, &p.tokensOf(f, l).config.NoExpiry, map[string]bool{"required": false, "optional": true}, "It is required or optional.")
}

func (p *parser) jwtPlace(f *fileState, l line) {
	choose(p, l, &p.tokensOf(f, l).config.InName, map[string]bool{"password": false, "username": true}, "It is password or username.")
}

// finishTokens makes sense of the lines about tokens.
func (p *parser) finishTokens(s *security) {
	t := s.tokens
	c := &t.config
	_, keys := t.lines["jwt_keys"]
	_, secret := t.lines[backend.SecretDirective]
	switch {
	case s.backends != nil:
		p.errorf(t.first, cause.ConfigConflict, "Name jwt in auth_opt_backends, with its options, or leave the plugin's lines out.", "Error: %s cannot be used beside a plugin that asks back ends.", t.first.word)
		return
	case s.config.RightsFile != "":
		p.errorf(t.first, cause.ConfigConflict, "Leave one of the two out.", "Error: Tokens and a file of users and rights cannot be used together.")
	case keys && secret:
		p.errorf(t.lines[backend.SecretDirective], cause.ConfigConflict, "Leave one of the two out; a JSON Web Key Set can have both kinds of keys.", "Error: jwt_keys and jwt_secret_file cannot be used together.")
	case !keys && !secret:
		p.errorf(t.first, cause.ConfigConflict, "Add jwt_keys PATH|URL, or jwt_secret_file PATH.", "Error: %s without the keys that tokens are signed with.", t.first.word)
	}
	if l, ok := t.lines[backend.CADirective]; ok && !strings.HasPrefix(c.KeysURL, "https:") {
		p.find(Notice, l, cause.ConfigNoEffect, "", "%s has no effect without jwt_keys https://...", l.word)
	}
	if c.KeysURL != "" && c.Audience == "" {
		p.find(Warning, t.lines["jwt_keys"], cause.ConfigConflict, "Add jwt_audience, with what stands in aud of the tokens that are for this broker.",
			"Warning: Every token that is signed with these keys lets in, also one for another service: there is no jwt_audience.")
	}
	s.backends = &backends{line: t.first, options: t.lines, config: backend.Config{Source: t.first.place.String(), DenySpecial: true,
		Sources: []backend.Source{{Name: "jwt", Users: true, Rules: true, JWT: c}}}}
	s.config.Backends, s.config.Tokens = "jwt", placeOf(c)
}

func placeOf(c *backend.JWT) access.Tokens {
	if c.InName {
		return access.TokensInName
	}
	return access.TokensInPassword
}

// jwt reads what go-auth has for tokens: a secret in the configuration, the token as the user name, and rights from a file.
func (r *optionReader) jwt() *backend.JWT {
	v := r.b.values
	c := &backend.JWT{Secret: v["jwt_secret"], InName: true, User: "sub", NoExpiry: true, ACLFile: v["jwt_acl_path"]}
	mode := cmp.Or(r.one("jwt_mode", "It is files.", "files", "local", "remote", "js"), "local")
	at, ok := r.lineOf("jwt_mode")
	if !ok {
		at = r.b.line
	}
	switch mode {
	case "local":
		r.p.errorf(at, cause.ConfigUnsupported, "Write auth_opt_jwt_mode files, with auth_opt_jwt_acl_path FILE for the rights: whoever has a token of the secret is a user. Or leave the plugin out: jwt_secret_file, jwt_keys.",
			"Error: auth_opt_jwt_mode local asks a database, which is not possible.")
	case "remote", "js":
		r.p.errorf(at, cause.ConfigUnsupported, "Let the broker look at the token (jwt_keys, jwt_secret_file), or a web service, as the user name (auth_opt_backends http).", "Error: auth_opt_jwt_mode %s is not possible.", mode)
	case "files":
		if c.Secret == "" {
			r.p.errorf(r.b.line, cause.ConfigUnsupported, "Write behind it: auth_opt_jwt_secret SECRET", "Error: The back end jwt has no auth_opt_jwt_secret.")
		} else if len(c.Secret) < 32 {
			r.p.find(Warning, r.b.options["jwt_secret"], cause.ConfigConflict, "Take 32 random bytes or more: openssl rand -hex 32", "Warning: The secret of the tokens is short: whoever has a token can find it by trying.")
		}
	}
	if field := r.one("jwt_userfield", "It is Subject or Username.", "Subject", "Username"); field == "Username" {
		c.User = "username"
	}
	for _, option := range []string{"jwt_skip_user_expiration", "jwt_skip_acl_expiration"} {
		skip := false
		if r.bool(option, &skip); skip {
			r.p.errorf(r.b.options[option], cause.ConfigUnsupported, "Leave it out, and let tokens end later.", "Error: %s is not possible: a token ends when it says so.", r.b.options[option].word)
		}
	}
	return c
}
