package backend

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/golang-jwt/jwt/v5"

	"picket/access"
	"picket/cause"
	"picket/topic"
)

// JWT is the back end of JSON Web Tokens (RFC 7519): who shows one that is signed with a key of the configuration is who the token says, and may do what it says.
// Exactly one of KeysFile, KeysURL, SecretFile and Secret is set.
type JWT struct {
	KeysFile   string // of public keys and certificates in PEM, or a JSON Web Key Set, which may have secrets
	KeysURL    string // of a JSON Web Key Set
	CAFile     string // of certificates that the address is believed by; empty: the system's
	SecretFile string // of one secret, without the line break at its end
	Secret     string

	Issuer, Audience string // what iss is, and what aud has; empty: anything
	User             string // the claim with the user name. Default sub
	Leeway           time.Duration
	NoExpiry         bool   // a token may be without exp
	InName           bool   // the token is the user name, and not the password
	ACLFile          string // decides about clients whose token has no list of topics, as the one of [Files]; empty: none
}

// The directives that name files of [JWT].
const (
	KeysDirective   = "jwt_keys"
	SecretDirective = "jwt_secret_file"
	CADirective     = "jwt_keys_cafile"
)

// tokens are the keys as they were read, with what a token has to be like. It never changes.
type tokens struct {
	config *JWT
	alone  bool
	keys   signers  // nil with ring
	ring   *keyring // nil with keys
	acl    *files   // nil: none
	now    func() time.Time
}

// decoder takes tokens apart. What they say is checked by [tokens.signed] and [tokens.current], not by the library: its validator calls a method Validate by an
// interface, for which the linker keeps the one of the command line's parser, with that reflect.MethodByName, and with that every exported method of the program.
var decoder = jwt.NewParser(jwt.WithStrictDecoding())

func (c *JWT) open(alone bool) (source, []access.Warning, error) {
	t := &tokens{config: c, alone: alone, now: time.Now}
	var warnings []access.Warning
	if c.ACLFile != "" {
		opened, w, err := (&Files{ACLFile: c.ACLFile}).open(true)
		if warnings = w; err != nil {
			return nil, warnings, err
		}
		t.acl = opened.(*files)
	}
	return t, warnings, t.readKeys()
}

// readKeys reads the keys, or makes ready to ask for them. Errors are of type [*access.FileError].
func (t *tokens) readKeys() (err error) {
	c := t.config
	fail := func(directive, file string, err error, cause error) error {
		return &access.FileError{Directive: directive, File: file, Text: fmt.Sprintf("Error: Unable to load keys from %s.", file), Hint: err.Error() + ".", Err: cause}
	}
	switch {
	case c.KeysURL != "":
		at, err := url.Parse(c.KeysURL)
		if err != nil {
			return err
		}
		pool, err := readPool(CADirective, c.CAFile)
		if err != nil {
			return err
		}
		t.ring = newKeyring(at, &tls.Config{RootCAs: pool})
	case c.KeysFile != "":
		data, _, err := access.ReadBounded(c.KeysFile, maxKeysFile)
		if err != nil {
			return fail(KeysDirective, c.KeysFile, err, err)
		}
		if t.keys, err = parseKeys(data); err != nil {
			return fail(KeysDirective, c.KeysFile, err, nil)
		}
	case c.SecretFile != "":
		data, _, err := access.ReadBounded(c.SecretFile, maxKeysFile)
		if err != nil {
			return fail(SecretDirective, c.SecretFile, err, err)
		}
		data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
		switch {
		case bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN")): // whoever knows the public key could make tokens
			return fail(SecretDirective, c.SecretFile, errors.New("it is a key in PEM and no secret: name it with jwt_keys"), nil)
		case len(data) < minSecret:
			return fail(SecretDirective, c.SecretFile, fmt.Errorf("a secret has at least %d bytes", minSecret), nil)
		}
		t.keys, err = secretKeys(data)
		return err
	default:
		t.keys, err = secretKeys([]byte(c.Secret))
	}
	return err
}

func secretKeys(secret []byte) (signers, error) {
	s, err := newSigner(secret)
	return signers{s}, err
}

// instant: what a token allows is known since it was shown.
func (t *tokens) instant() bool { return true }

func (t *tokens) where() string {
	if t.ring != nil {
		return t.ring.url.Redacted()
	}
	return t.config.KeysFile + t.config.SecretFile
}

func (t *tokens) close() {
	if t.ring != nil {
		t.ring.close()
	}
}

// shown is the token of a login; empty: it has none.
func (t *tokens) shown(w who) string {
	token := string(w.password)
	if t.config.InName && !w.bearer {
		token = w.given
	}
	if strings.Count(token, ".") != 2 || !strings.HasPrefix(token, "ey") { // the base64url of {"
		return ""
	}
	return token
}

// waits: checking a signature takes too long for an event loop, and its key may have to be asked for.
func (t *tokens) waits(w who) bool { return t.shown(w) != "" }

// Why a token cannot be believed.
var (
	errNoSigner = errors.New("none of the keys goes with its alg and kid")
	errCritical = errors.New("its header has crit")
	errUser     = errors.New("it has no user name")
	errRights   = errors.New("its lists of topics are none")
	errTime     = errors.New("its exp or nbf is no time")
)

// login checks a token.
func (t *tokens) login(ctx context.Context, w who) (proof, error) {
	shown := t.shown(w)
	if shown == "" {
		return proof{}, nil
	}
	claims := make(jwt.MapClaims)
	parsed, _, err := decoder.ParseUnverified(shown, claims)
	if err != nil {
		return refusedToken(err), nil
	}
	by, unknown, err := t.signed(ctx, parsed)
	if unknown != nil {
		return proof{}, unknown
	}
	if err == nil {
		err = t.current(claims)
	}
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return proof{why: access.Decision{Cause: cause.JWTExpired, Text: "the token has ended"}}, nil
	case err != nil:
		return refusedToken(err), nil
	}
	p, err := t.read(claims)
	if err != nil {
		return refusedToken(err), nil
	}
	p.credential = by.print
	return p, nil
}

// signed finds the key that a token is signed with. unknown is why the keys cannot be had, err why the token is not believed.
func (t *tokens) signed(ctx context.Context, token *jwt.Token) (by signer, unknown, err error) {
	id, _ := token.Header["kid"].(string)
	if _, critical := token.Header["crit"]; critical {
		return signer{}, nil, errCritical
	}
	if token.Method == jwt.SigningMethodNone {
		return signer{}, nil, jwt.ErrTokenSignatureInvalid
	}
	all := t.keys.find(token.Method.Alg(), id)
	if t.ring != nil {
		if all, unknown = t.ring.find(ctx, token.Method.Alg(), id); unknown != nil {
			return signer{}, unknown, nil
		}
	}
	text := token.Raw[:strings.LastIndexByte(token.Raw, '.')]
	for _, by := range all {
		if token.Method.Verify(text, token.Signature, by.key) == nil {
			return by, nil, nil
		}
	}
	if len(all) > 0 {
		return signer{}, nil, jwt.ErrTokenSignatureInvalid
	}
	return signer{}, nil, errNoSigner
}

// current says why a token with a right signature does not count here and now (RFC 7519, 4.1); nil: it does. A claim of the wrong type is none that fits.
func (t *tokens) current(claims jwt.MapClaims) error {
	c := t.config
	if c.Issuer != "" {
		if is, err := claims.GetIssuer(); err != nil || is == "" {
			return jwt.ErrTokenRequiredClaimMissing
		} else if is != c.Issuer {
			return jwt.ErrTokenInvalidIssuer
		}
	}
	if c.Audience != "" {
		if is, err := claims.GetAudience(); err != nil || len(is) == 0 {
			return jwt.ErrTokenRequiredClaimMissing
		} else if !slices.Contains(is, c.Audience) {
			return jwt.ErrTokenInvalidAudience
		}
	}
	begin, err := claims.GetNotBefore()
	end, endErr := claims.GetExpirationTime()
	switch now := t.now(); {
	case err != nil || endErr != nil:
		return errTime
	case end == nil && !c.NoExpiry:
		return jwt.ErrTokenRequiredClaimMissing
	case end != nil && !now.Before(end.Add(c.Leeway)):
		return jwt.ErrTokenExpired
	case begin != nil && now.Before(begin.Add(-c.Leeway)):
		return jwt.ErrTokenNotValidYet
	}
	return nil
}

// reasons are what is said of tokens that are refused, in the order in which it is looked for.
var reasons = []struct {
	err  error
	text string
}{
	{errNoSigner, "none of the keys goes with the token's alg and kid"}, {errCritical, "the token's header has crit, which asks for something unknown"},
	{errUser, "the token has no user name that can be one in the claim that it is taken from"}, {errRights, "a list of topics in the token is no list of topic filters"},
	{errTime, "the token's exp or nbf is no time"}, {jwt.ErrTokenMalformed, "the password is no JSON Web Token"},
	{jwt.ErrTokenSignatureInvalid, "the token's signature is wrong, or its algorithm is none that counts"}, {jwt.ErrTokenRequiredClaimMissing, "the token lacks exp, iss or aud"},
	{jwt.ErrTokenNotValidYet, "the token is not valid yet (nbf); are the clocks right?"}, {jwt.ErrTokenInvalidAudience, "the token is for somebody else (aud)"},
	{jwt.ErrTokenInvalidIssuer, "the token is from somebody else (iss)"},
}

// refusedToken is a no to what looks like a token. It says what is wrong, which helps nobody to make a signature.
func refusedToken(err error) proof {
	text := "the token cannot be used"
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			text = r.text
			break
		}
	}
	return proof{why: access.Decision{Cause: cause.JWTRefused, Text: text}}
}

// lastTime is the end of the year 9999: later times are mistakes.
const lastTime = 253402300799

// read makes sense of what a token says.
func (t *tokens) read(claims jwt.MapClaims) (p proof, err error) {
	user, _ := claims[t.config.User].(string)
	if user == "" || len(user) > 1<<16-1 || strings.ContainsFunc(user, unicode.IsControl) {
		return p, errUser
	}
	p = proof{ok: true, user: user}
	if end, err := claims.GetExpirationTime(); err == nil && end != nil {
		if end.Unix() <= 0 || end.Unix() > lastTime {
			return p, errTime
		}
		p.until = end.Add(t.config.Leeway)
	}
	p.rules, err = rulesOf(claims)
	return p, err
}

// granting are the claims with lists of topics, and what they grant. They stand in the token or, with names of their own, in an object acl.
var granting = []struct {
	name, inACL string
	rights      rights
}{
	{"publ", "pub", mayWrite}, {"subs", "sub", mayRead | maySubscribe}, {"pubsub", "all", mayRead | mayWrite | maySubscribe},
}

// rulesOf reads the lists of topics in a token; nil: there is none.
func rulesOf(claims jwt.MapClaims) (all []rule, err error) {
	acl, isObject := claims["acl"].(map[string]any)
	if _, there := claims["acl"]; there && !isObject {
		return nil, errRights
	}
	for _, g := range granting {
		for _, list := range []any{claims[g.name], acl[g.inACL]} {
			if list == nil {
				continue
			}
			if all == nil {
				all = []rule{}
			}
			filters, ok := list.([]any)
			if !ok {
				return nil, errRights
			}
			for _, f := range filters {
				filter, ok := f.(string)
				if !ok || topic.CheckFilter(filter) != nil {
					return nil, errRights
				}
				all = append(all, rule{filter, g.rights})
			}
		}
	}
	if isObject && all == nil {
		all = []rule{} // an object without a list allows nothing
	}
	return all, nil
}

// may decides by the token that the client was let in with, and otherwise by the file; a token without either allows everything where nobody else is asked.
func (t *tokens) may(_ context.Context, r right) (bool, error) {
	switch {
	case r.action == 0:
		return false, nil
	case r.token == nil: // from before a restart: what it has subscribed to, it was allowed to subscribe to
		return r.restored && r.action == access.Deliver, nil
	case r.token.rules != nil:
		return decide(r, r.token.rules), nil
	case t.acl != nil:
		return decide(r, t.acl.rules[r.user], t.acl.general), nil
	}
	return t.alone, nil
}

// still tells whether the key that a client was let in with is one of those that count. What an address says now, nobody knows at once: its tokens end by themselves.
func (t *tokens) still(credential string) bool {
	if t.ring != nil {
		return true
	}
	for _, s := range t.keys {
		if s.print == credential {
			return true
		}
	}
	return false
}
