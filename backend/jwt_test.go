package backend

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"picket/access"
	"picket/cause"
)

// secretText is a secret that is long enough.
const secretText = "0123456789abcdef0123456789abcdef"

// keysOfAllKinds are private keys, made once.
var keysOfAllKinds = func() map[string]crypto.Signer {
	all := make(map[string]crypto.Signer)
	all["rsa"], _ = rsa.GenerateKey(rand.Reader, 2048)
	all["p256"], _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	all["p384"], _ = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	all["p521"], _ = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	_, all["ed25519"], _ = ed25519.GenerateKey(rand.Reader)
	return all
}()

// pemOf is the public key of one.
func pemOf(t testing.TB, key crypto.Signer) string {
	data, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: data}))
}

// jwkOf is the public key of one as JSON.
func jwkOf(t testing.TB, id string, key crypto.Signer) map[string]string {
	b64 := base64.RawURLEncoding.EncodeToString
	switch k := key.Public().(type) {
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "kid": id, "n": b64(k.N.Bytes()), "e": "AQAB"}
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		size := (len(point) - 1) / 2
		return map[string]string{"kty": "EC", "kid": id, "crv": k.Params().Name, "x": b64(point[1 : 1+size]), "y": b64(point[1+size:])}
	case ed25519.PublicKey:
		return map[string]string{"kty": "OKP", "kid": id, "crv": "Ed25519", "x": b64(k)}
	}
	t.Fatal("a key of another kind")
	return nil
}

func keySet(t testing.TB, keys ...map[string]string) string {
	data, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// sign makes a token; id may be empty.
func sign(t testing.TB, algorithm, id string, key any, claims jwt.MapClaims) string {
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims)
	if id != "" {
		token.Header["kid"] = id
	}
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// lasting are claims of a token that lasts an hour, with others.
func lasting(more jwt.MapClaims) jwt.MapClaims {
	claims := jwt.MapClaims{"sub": "ada", "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range more {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	return claims
}

// openTokens opens tokens as the only back end.
func openTokens(t testing.TB, c *JWT) (*Set, *access.Policy) {
	if c.User == "" {
		c.User = "sub"
	}
	s := openSet(t, Config{DenySpecial: true, Sources: []Source{{Name: "jwt", Users: true, Rules: true, JWT: c}}})
	place := access.TokensInPassword
	if c.InName {
		place = access.TokensInName
	}
	p, _, err := access.Load(access.Config{Backends: "test", Authority: s, Tokens: place})
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

func withToken(token string) access.Login {
	return access.Login{ClientID: "id", HasPassword: true, Password: []byte(token)}
}

func TestTokensOfAllAlgorithms(t *testing.T) {
	var pems strings.Builder
	var set []map[string]string
	for name, key := range keysOfAllKinds {
		pems.WriteString(pemOf(t, key))
		set = append(set, jwkOf(t, name, key))
	}
	set = append(set, map[string]string{"kty": "oct", "kid": "secret", "k": base64.RawURLEncoding.EncodeToString([]byte(secretText))},
		map[string]string{"kty": "oct", "kid": "for encryption", "use": "enc", "k": "AA"}, map[string]string{"kty": "of the future", "kid": "x"})
	algorithms := map[string][]string{"rsa": rsaAlgorithms, "p256": {"ES256"}, "p384": {"ES384"}, "p521": {"ES512"}, "ed25519": {"EdDSA"}}
	for form, text := range map[string]string{"pem": pems.String(), "jwks": keySet(t, set...)} {
		_, p := openTokens(t, &JWT{KeysFile: write(t, "keys", text)})
		for name, key := range keysOfAllKinds {
			for _, algorithm := range algorithms[name] {
				for _, id := range []string{"", name} {
					d, fetched, _ := resolve(p.Connect(withToken(sign(t, algorithm, id, key, lasting(nil)))))
					if !d.Allow || d.User != "ada" || !fetched {
						t.Errorf("%s %s kid %q: %+v, fetched %v", form, algorithm, id, d, fetched)
					}
				}
			}
		}
		for _, algorithm := range secretAlgorithms {
			d, _, _ := resolve(p.Connect(withToken(sign(t, algorithm, "", []byte(secretText), lasting(nil)))))
			if d.Allow != (form == "jwks") {
				t.Errorf("%s %s: %+v", form, algorithm, d)
			}
		}
	}
}

// What is no token of the configuration's keys lets nobody in, and says why.
func TestTokensRefused(t *testing.T) {
	rsaKey, ec := keysOfAllKinds["rsa"], keysOfAllKinds["p256"]
	public := pemOf(t, rsaKey)
	none := sign(t, "none", "", jwt.UnsafeAllowNoneSignatureType, lasting(nil))
	right := sign(t, "ES256", "a", ec, lasting(jwt.MapClaims{"iss": "us", "aud": []string{"x", "broker"}}))
	other, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	critical := jwt.NewWithClaims(jwt.SigningMethodES256, lasting(jwt.MapClaims{"iss": "us", "aud": "broker"}))
	critical.Header["crit"] = []string{"b64"}
	withCrit, err := critical.SignedString(ec)
	if err != nil {
		t.Fatal(err)
	}
	text := keySet(t, jwkOf(t, "r", rsaKey), jwkOf(t, "a", ec))
	_, p := openTokens(t, &JWT{KeysFile: write(t, "keys", text), Issuer: "us", Audience: "broker", Leeway: 5 * time.Second})
	claims := func(more jwt.MapClaims) string {
		all := jwt.MapClaims{"iss": "us", "aud": "broker"}
		for k, v := range more {
			all[k] = v
		}
		return sign(t, "ES256", "a", ec, lasting(all))
	}
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).Unix() }
	for name, c := range map[string]struct {
		token, says string
		id          cause.ID
	}{
		"right":                 {right, "", ""},
		"none":                  {none, "algorithm", cause.JWTRefused},
		"public key as secret":  {sign(t, "HS256", "", []byte(public), lasting(jwt.MapClaims{"iss": "us", "aud": "broker"})), "none of the keys", cause.JWTRefused},
		"the same with kid":     {sign(t, "HS256", "r", []byte(public), lasting(jwt.MapClaims{"iss": "us", "aud": "broker"})), "none of the keys", cause.JWTRefused},
		"another key":           {sign(t, "ES256", "a", other, lasting(jwt.MapClaims{"iss": "us", "aud": "broker"})), "signature is wrong", cause.JWTRefused},
		"another kid":           {sign(t, "ES256", "b", ec, lasting(jwt.MapClaims{"iss": "us", "aud": "broker"})), "none of the keys", cause.JWTRefused},
		"cut":                   {right[:len(right)-4], "", cause.JWTRefused},
		"altered":               {right[:60] + string(right[60]^1) + right[61:], "", cause.JWTRefused},
		"crit":                  {withCrit, "crit", cause.JWTRefused},
		"expired":               {claims(jwt.MapClaims{"exp": ago(time.Minute)}), "has ended", cause.JWTExpired},
		"expired within leeway": {claims(jwt.MapClaims{"exp": ago(0)}), "", ""},
		"no exp":                {claims(jwt.MapClaims{"exp": nil}), "lacks exp", cause.JWTRefused},
		"exp of no time":        {claims(jwt.MapClaims{"exp": "tomorrow"}), "", cause.JWTRefused},
		"exp far away":          {claims(jwt.MapClaims{"exp": 1e18}), "exp or nbf is no time", cause.JWTRefused},
		"not yet":               {claims(jwt.MapClaims{"nbf": ago(-time.Hour)}), "nbf", cause.JWTRefused},
		"no issuer":             {claims(jwt.MapClaims{"iss": nil}), "lacks exp, iss or aud", cause.JWTRefused},
		"other issuer":          {claims(jwt.MapClaims{"iss": "them"}), "iss", cause.JWTRefused},
		"other audience":        {claims(jwt.MapClaims{"aud": []string{"web"}}), "aud", cause.JWTRefused},
		"no user":               {claims(jwt.MapClaims{"sub": nil}), "no user name", cause.JWTRefused},
		"user of no text":       {claims(jwt.MapClaims{"sub": 7}), "no user name", cause.JWTRefused},
		"user with NUL":         {claims(jwt.MapClaims{"sub": "a\x00b"}), "no user name", cause.JWTRefused},
		"acl of no object":      {claims(jwt.MapClaims{"acl": []string{"a"}}), "topic filters", cause.JWTRefused},
		"publ of no list":       {claims(jwt.MapClaims{"publ": "a"}), "topic filters", cause.JWTRefused},
		"a wrong filter":        {claims(jwt.MapClaims{"subs": []string{"a#"}}), "topic filters", cause.JWTRefused},
		"no token":              {"secret", "unknown user or wrong password", cause.BadCredentials},
		"garbage":               {"ey.ey.ey", "", cause.JWTRefused},
		"dots":                  {"..", "", cause.BadCredentials},
	} {
		d, _, _ := resolve(p.Connect(withToken(c.token)))
		if d.Cause != c.id || !strings.Contains(d.Text, c.says) || d.Allow != (c.id == "") {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// What a token says about topics counts, with %u and %c, in both forms; without a word about them everything is allowed where nobody else decides.
func TestTokenRights(t *testing.T) {
	_, p := openTokens(t, &JWT{Secret: secretText})
	for name, c := range map[string]struct {
		claims jwt.MapClaims
		can    string // of p s r and a topic
		cannot string
	}{
		"lists":       {jwt.MapClaims{"publ": []string{"up/%u/%c"}, "subs": []string{"down/%u/#"}, "pubsub": []string{"both/+"}}, "p up/ada/id, s down/ada/#, r down/ada/x, p both/x, s both/x, r both/x", "p up/bob/id, p down/ada/x, s up/ada/id, r up/ada/id, s #, s down/#, p other"},
		"object":      {jwt.MapClaims{"acl": map[string]any{"pub": []string{"up"}, "sub": []string{"down"}, "all": []string{"both/#"}}}, "p up, s down, p both/a/b, r both/a/b", "p down, s up"},
		"empty list":  {jwt.MapClaims{"publ": []string{}}, "", "p a, s a, r a"},
		"empty acl":   {jwt.MapClaims{"acl": map[string]any{}}, "", "p a, s a, r a"},
		"not a word":  {nil, "p a, s #, r a/b", "p $SYS/x"},
		"shared":      {jwt.MapClaims{"subs": []string{"a/#"}}, "s $share/g/a/b", "s $share/g/b"},
		"wild in one": {jwt.MapClaims{"sub": "a+b", "publ": []string{"x/%u"}}, "", "p x/a+b, p x/b"},
	} {
		l := withToken(sign(t, "HS256", "", []byte(secretText), lasting(c.claims)))
		d, _, _ := resolve(p.Connect(l))
		if !d.Allow {
			t.Errorf("%s: %+v", name, d)
			continue
		}
		l.HasUsername, l.Username = true, d.User
		client := p.Client(l, d)
		for want, questions := range map[bool]string{true: c.can, false: c.cannot} {
			for q := range strings.SplitSeq(questions, ", ") {
				if q == "" {
					continue
				}
				var is bool
				switch on := q[2:]; q[0] {
				case 'p':
					is = client.Publish(on).Allow
				case 's':
					is = client.Subscribe(on).Allow
				case 'r':
					is = client.Deliver(on)
				}
				if is != want {
					t.Errorf("%s: %s is %v", name, q, is)
				}
			}
		}
		if until := client.Until(); until.Before(time.Now().Add(50*time.Minute)) || until.After(time.Now().Add(2*time.Hour)) {
			t.Errorf("%s: it ends at %v", name, until)
		}
	}
}

// Nobody knows after a restart what a token has said: what was subscribed to is delivered, what was published stays, and nothing new is allowed.
func TestTokenAfterRestart(t *testing.T) {
	_, p := openTokens(t, &JWT{Secret: secretText})
	back := p.Client(access.Login{ClientID: "id", HasUsername: true, Username: "ada"}, access.Decision{})
	if !back.Deliver("a") {
		t.Error("what it has subscribed to is not delivered")
	}
	if d, _, _ := resolve(back.Publish("a")); d.Allow {
		t.Error("it may publish")
	}
	if d := p.MayStillPublish("ada", "id", "a"); !d.Allow {
		t.Errorf("what it has published is taken away: %+v", d)
	}
	if d, _, _ := resolve(back.Subscribe("a")); d.Allow {
		t.Error("it may subscribe")
	}
}

// The token may be the user name; a token by AUTH is one whatever the place is. A user of the password file is no matter of tokens.
func TestTokenPlaces(t *testing.T) {
	token := sign(t, "HS256", "", []byte(secretText), lasting(nil))
	_, inName := openTokens(t, &JWT{Secret: secretText, InName: true})
	_, inPassword := openTokens(t, &JWT{Secret: secretText})
	for _, c := range []struct {
		p    *access.Policy
		l    access.Login
		want bool
	}{
		{inName, access.Login{ClientID: "id", HasUsername: true, Username: token}, true},
		{inName, access.Login{ClientID: "id", HasUsername: true, Username: token, HasPassword: true, Password: []byte("any")}, true},
		{inName, access.Login{ClientID: "id", HasUsername: true, Username: "ada", HasPassword: true, Password: []byte(token)}, false},
		{inName, access.Login{ClientID: "id", HasPassword: true, Password: []byte(token), Bearer: true}, true},
		{inPassword, access.Login{ClientID: "id", HasUsername: true, Username: token, HasPassword: true, Password: []byte("any")}, false},
		{inPassword, access.Login{ClientID: "id", HasUsername: true, Username: "somebody", HasPassword: true, Password: []byte(token)}, true},
		{inPassword, access.Login{ClientID: "id", HasPassword: true, Password: []byte(token), Bearer: true}, true},
		{inPassword, access.Login{ClientID: "id", Bearer: true}, false},
		{inPassword, access.Login{ClientID: "id"}, false},
	} {
		if d, _, _ := resolve(c.p.Connect(c.l)); d.Allow != c.want || c.want && d.User != "ada" {
			t.Errorf("%+v: %+v", c.l, d)
		}
	}
}

// A reload with other keys ends the connections of those whose key is gone.
func TestTokenKeyWithdrawn(t *testing.T) {
	both := keySet(t, jwkOf(t, "a", keysOfAllKinds["p256"]), jwkOf(t, "b", keysOfAllKinds["ed25519"]))
	_, before := openTokens(t, &JWT{KeysFile: write(t, "keys", both)})
	_, after := openTokens(t, &JWT{KeysFile: write(t, "keys", keySet(t, jwkOf(t, "b", keysOfAllKinds["ed25519"])))})
	for id, algorithm := range map[string]string{"a": "ES256", "b": "EdDSA"} {
		key := keysOfAllKinds[map[string]string{"a": "p256", "b": "ed25519"}[id]]
		l := withToken(sign(t, algorithm, id, key, lasting(nil)))
		d, _, _ := resolve(before.Connect(l))
		l.HasUsername, l.Username = true, d.User
		c := before.Client(l, d)
		if d := before.Recheck(c, false); !d.Allow {
			t.Errorf("the same keys: %+v", d)
		}
		if d := after.Recheck(c, false); d.Allow != (id == "b") || id == "a" && d.Cause != cause.NoLongerAllowed {
			t.Errorf("%s: %+v", id, d)
		}
		if after.Client(l, access.Decision{}).Under(before).Until() != (time.Time{}) || c.Under(after).Until().IsZero() {
			t.Error("a reload changes when the token ends")
		}
	}
}

// Files of keys that must not be used are refused before the start.
func TestKeyFiles(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip(err) // a Go that makes none
	}
	private, _ := x509.MarshalPKCS8PrivateKey(keysOfAllKinds["p256"])
	offCurve := jwkOf(t, "a", keysOfAllKinds["p256"])
	offCurve["y"] = offCurve["x"]
	for name, c := range map[string]struct {
		config JWT
		says   string
	}{
		"missing":           {JWT{KeysFile: "/nowhere/keys"}, "no such file"},
		"empty":             {JWT{KeysFile: write(t, "keys", "")}, "no key in it"},
		"text":              {JWT{KeysFile: write(t, "keys", "secret\n")}, "no key in it"},
		"private":           {JWT{KeysFile: write(t, "keys", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))}, "is no public key"},
		"small RSA":         {JWT{KeysFile: write(t, "keys", pemOf(t, small))}, "2048 to 8192 bits"},
		"no set":            {JWT{KeysFile: write(t, "keys", "{]")}, "no JSON Web Key Set"},
		"no keys":           {JWT{KeysFile: write(t, "keys", `{"keys":[]}`)}, "no key in it"},
		"off the curve":     {JWT{KeysFile: write(t, "keys", keySet(t, offCurve))}, "curve"},
		"short secret":      {JWT{SecretFile: write(t, "secret", "short\n")}, "at least 32 bytes"},
		"public as secret":  {JWT{SecretFile: write(t, "secret", pemOf(t, keysOfAllKinds["rsa"]))}, "no secret"},
		"algorithm of else": {JWT{KeysFile: write(t, "keys", `{"kty":"oct","alg":"RS256","k":"`+base64.RawURLEncoding.EncodeToString([]byte(secretText))+`"}`)}, "does not go with"},
	} {
		_, err := (Config{Sources: []Source{{Name: "jwt", JWT: &c.config}}}).Check()
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// keyServer is an address of keys.
type keyServer struct {
	*httptest.Server
	asked atomic.Int32
	says  atomic.Value // string; empty: it fails
}

func serveKeys(t *testing.T) *keyServer {
	k := new(keyServer)
	k.says.Store("")
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		k.asked.Add(1)
		said := k.says.Load().(string)
		if said == "" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		fmt.Fprint(w, said)
	}))
	t.Cleanup(k.Close)
	return k
}

// Keys of an address are asked for when they are needed, when they are old, and when a token names another one, but not at anybody's will.
func TestKeysOfAnAddress(t *testing.T) {
	k := serveKeys(t)
	s, p := openTokens(t, &JWT{KeysURL: k.URL})
	ring := s.all[0].source.(*tokens).ring
	var shift atomic.Int64
	ring.now = func() time.Time { return time.Now().Add(time.Duration(shift.Load())) }
	later := func(d time.Duration) { shift.Add(int64(d)) }
	a, b := keysOfAllKinds["p256"], keysOfAllKinds["ed25519"]
	tokenA, tokenB := sign(t, "ES256", "a", a, lasting(nil)), sign(t, "EdDSA", "b", b, lasting(nil))
	login := func(token string) access.Decision {
		d, _, _ := resolve(p.Connect(withToken(token)))
		return d
	}
	expect := func(what string, d access.Decision, id cause.ID, asked int32) {
		t.Helper()
		if d.Cause != id || k.asked.Load() != asked {
			t.Fatalf("%s: %+v, and it was asked %d times, not %d", what, d, k.asked.Load(), asked)
		}
	}
	expect("the address fails", login(tokenA), cause.AuthBackendDown, 1)
	if st := s.Status(); len(st) != 1 || st[0].Error == "" || st[0].Since.IsZero() || st[0].Where != k.URL {
		t.Errorf("%+v", st)
	}
	expect("it is not asked again at once", login(tokenA), cause.AuthBackendDown, 1)
	k.says.Store(keySet(t, jwkOf(t, "a", a), map[string]string{"kty": "oct", "kid": "s", "k": base64.RawURLEncoding.EncodeToString([]byte(secretText))}))
	later(2 * time.Second)
	expect("it is back", login(tokenA), "", 2)
	expect("its keys are known", login(tokenA), "", 2)
	if st := s.Status(); st[0].Error != "" || st[0].Asked != 2 || st[0].Failed != 1 {
		t.Errorf("%+v", st)
	}
	expect("an unknown kid", login(tokenB), cause.JWTRefused, 2)
	later(6 * time.Second)
	expect("an unknown kid, later", login(tokenB), cause.JWTRefused, 3)
	expect("secrets from an address", login(sign(t, "HS256", "s", []byte(secretText), lasting(nil))), cause.JWTRefused, 3)
	k.says.Store(keySet(t, jwkOf(t, "b", b)))
	later(6 * time.Second)
	expect("a new key", login(tokenB), "", 4)
	expect("the old key is gone", login(tokenA), cause.JWTRefused, 4)
	k.says.Store("")
	later(6 * time.Minute)
	expect("old keys count while they are asked for beside that", login(tokenB), "", func() int32 {
		for k.asked.Load() < 5 {
			time.Sleep(time.Millisecond)
		}
		return 5
	}())
	for len(s.Status()[0].Error) == 0 {
		time.Sleep(time.Millisecond)
	}
	later(25 * time.Hour)
	if d := login(tokenB); d.Cause != cause.AuthBackendDown {
		t.Errorf("keys of yesterday: %+v", d)
	}
	k.says.Store(keySet(t, jwkOf(t, "b", b)))
	later(2 * time.Second)
	if d := login(tokenB); !d.Allow {
		t.Errorf("it is back again: %+v", d)
	}
}

// However many come at once, an address is asked once.
func TestKeysAreAskedOnce(t *testing.T) {
	k := serveKeys(t)
	key := keysOfAllKinds["ed25519"]
	k.says.Store(keySet(t, jwkOf(t, "a", key)))
	_, p := openTokens(t, &JWT{KeysURL: k.URL})
	answers := make(chan access.Decision)
	const many = 50
	for range many {
		token := sign(t, "EdDSA", "a", key, lasting(nil))
		go func() {
			d, _, _ := resolve(p.Connect(withToken(token)))
			answers <- d
		}()
	}
	for range many {
		if d := <-answers; !d.Allow {
			t.Errorf("%+v", d)
		}
	}
	if n := k.asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
}

// FuzzToken looks whether anything but the tokens of the keys lets in.
func FuzzToken(f *testing.F) {
	key := keysOfAllKinds["ed25519"]
	good := sign(f, "EdDSA", "a", key, lasting(jwt.MapClaims{"publ": []string{"a/%u"}}))
	for _, seed := range []string{good, good + "x", "ey.ey.ey", "..", strings.Repeat("ey", 1000) + "..", sign(f, "none", "", jwt.UnsafeAllowNoneSignatureType, lasting(nil)),
		sign(f, "HS256", "a", []byte(pemOf(f, key)), lasting(nil))} {
		f.Add(seed)
	}
	t := &tokens{config: &JWT{User: "sub"}, now: time.Now}
	keys, err := parseKeySet([]byte(keySet(f, jwkOf(f, "a", key))), false)
	if err != nil {
		f.Fatal(err)
	}
	t.keys = keys
	f.Fuzz(func(test *testing.T, token string) {
		p, err := t.login(context.Background(), who{password: []byte(token)})
		if err != nil || p.ok && token != good {
			test.Errorf("%q: %+v, %v", token, p, err)
		}
	})
}

// FuzzKeys looks whether what is no key stops the program.
func FuzzKeys(f *testing.F) {
	for _, key := range keysOfAllKinds {
		f.Add([]byte(pemOf(f, key)))
		f.Add([]byte(keySet(f, jwkOf(f, "a", key))))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := parseKeys(data)
		if err == nil && (len(all) == 0 || len(all) > maxKeys) {
			t.Errorf("%d keys", len(all))
		}
		for _, s := range all {
			if len(s.algorithms) == 0 || s.print == "" {
				t.Errorf("%+v", s)
			}
		}
	})
}
