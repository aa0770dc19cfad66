package backend

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Bounds on keys: what is larger is none, and what is smaller is not safe.
const (
	maxKeys    = 100
	minRSABits = 2048
	maxRSABits = 8192
	minSecret  = 32 // bytes (RFC 7518, 3.2, for HS256)
)

// signer is a key that tokens may be signed with.
type signer struct {
	id         string // kid; empty: it has none
	algorithms []string
	key        any    // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, or []byte for a secret
	print      string // stands for the key in what is noted about a client
}

// signers are the keys of a file or an address, in their order.
type signers []signer

// The algorithms of a kind of key. A token can choose among those of a key and no others, so that no public key is taken for a secret.
var (
	rsaAlgorithms    = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	secretAlgorithms = []string{"HS256", "HS384", "HS512"}
	curveAlgorithms  = map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
)

// newSigner makes a key of a kind that can be used, or says why it cannot.
func newSigner(key any) (signer, error) {
	s := signer{key: key}
	var encoded []byte
	switch k := key.(type) {
	case []byte:
		s.algorithms, encoded = secretAlgorithms, k
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSABits || n > maxRSABits {
			return s, fmt.Errorf("an RSA key has %d to %d bits, and this one %d", minRSABits, maxRSABits, n)
		}
		if k.E < 3 || k.E%2 == 0 {
			return s, errors.New("the exponent of an RSA key is odd and at least 3")
		}
		s.algorithms = rsaAlgorithms
	case *ecdsa.PublicKey:
		algorithm, ok := curveAlgorithms[k.Curve.Params().Name]
		if !ok {
			return s, errors.New("a key on a curve is on P-256, P-384 or P-521")
		}
		s.algorithms = []string{algorithm}
	case ed25519.PublicKey:
		s.algorithms = []string{"EdDSA"}
	default:
		return s, fmt.Errorf("a key of the kind %T signs no tokens", key)
	}
	if encoded == nil {
		var err error
		if encoded, err = x509.MarshalPKIXPublicKey(key); err != nil {
			return s, err
		}
	}
	sum := sha256.Sum256(encoded)
	s.print = string(sum[:])
	return s, nil
}

// find returns the keys that a token with an algorithm and a key identifier may be signed with. Where the token names none, or a key has none, the algorithm decides.
func (all signers) find(algorithm, id string) (some []signer) {
	for _, s := range all {
		if slices.Contains(s.algorithms, algorithm) && (s.id == id || s.id == "" || id == "") {
			some = append(some, s)
		}
	}
	return some
}

// errNoKeys says that there is nothing to use.
var errNoKeys = errors.New("there is no key in it: it is a JSON Web Key Set, or public keys or certificates in PEM")

// parseKeys reads the keys of a file: a JSON Web Key Set, one JSON Web Key, or public keys and certificates in PEM.
func parseKeys(data []byte) (signers, error) {
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseKeySet(trimmed, true)
	}
	var all signers
	for rest := data; len(all) <= maxKeys; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		key, err := publicKey(block)
		if err != nil {
			return nil, err
		}
		s, err := newSigner(key)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, bounded(all)
}

// bounded says what is wrong with the number of keys.
func bounded(all signers) error {
	switch {
	case len(all) == 0:
		return errNoKeys
	case len(all) > maxKeys:
		return fmt.Errorf("there are more than %d keys", maxKeys)
	}
	return nil
}

func publicKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return c.PublicKey, nil
	}
	return nil, fmt.Errorf("%s is no public key", block.Type)
}

// jwk is a JSON Web Key (RFC 7517), as far as it matters for checking signatures.
type jwk struct {
	Kind      string `json:"kty"`
	ID        string `json:"kid"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	Curve     string `json:"crv"`
	N         string `json:"n"`
	E         string `json:"e"`
	X         string `json:"x"`
	Y         string `json:"y"`
	K         string `json:"k"`
}

// parseKeySet reads a JSON Web Key Set, or one key. Keys that are for something else, or that nobody here knows how to use, are passed over, as RFC 7517 (5) has it.
// secrets tells whether there may be secrets: not in what everybody can read.
func parseKeySet(data []byte, secrets bool) (signers, error) {
	var set struct {
		Keys []jwk `json:"keys"`
		jwk
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("it is no JSON Web Key Set: %w", err)
	}
	if set.Keys == nil && set.Kind != "" {
		set.Keys = []jwk{set.jwk}
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("there are more than %d keys", maxKeys)
	}
	var all signers
	var why error
	for _, k := range set.Keys {
		if k.Use != "" && k.Use != "sig" || k.Kind == "oct" && !secrets {
			continue
		}
		s, err := k.signer()
		if err != nil {
			why = err
			continue
		}
		all = append(all, s)
	}
	if len(all) == 0 && why != nil {
		return nil, why
	}
	return all, bounded(all)
}

func (k jwk) signer() (signer, error) {
	key, err := k.key()
	if err != nil {
		return signer{}, err
	}
	s, err := newSigner(key)
	if err != nil {
		return s, err
	}
	if s.id = k.ID; k.Algorithm != "" {
		if !slices.Contains(s.algorithms, k.Algorithm) {
			return s, fmt.Errorf("a key of the kind %s does not go with %q", k.Kind, k.Algorithm)
		}
		s.algorithms = []string{k.Algorithm}
	}
	return s, nil
}

func (k jwk) key() (any, error) {
	parts, err := decoded(k.N, k.E, k.X, k.Y, k.K)
	if err != nil {
		return nil, err
	}
	n, e, x, y, secret := parts[0], parts[1], parts[2], parts[3], parts[4]
	switch k.Kind {
	case "RSA":
		if len(n) == 0 || len(n) > maxRSABits/8 || len(e) == 0 || len(e) > 4 {
			return nil, errors.New("an RSA key has n and e")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
	case "EC":
		return pointOf(k.Curve, x, y)
	case "OKP":
		if k.Curve != "Ed25519" || len(x) != ed25519.PublicKeySize {
			return nil, errors.New("a key of the kind OKP is of Ed25519")
		}
		return ed25519.PublicKey(x), nil
	case "oct":
		if len(secret) < minSecret {
			return nil, fmt.Errorf("a secret has at least %d bytes", minSecret)
		}
		return secret, nil
	}
	return nil, fmt.Errorf("keys of the kind %q are not known", k.Kind)
}

// pointOf is a key on a curve, and none that is not on it.
func pointOf(name string, x, y []byte) (*ecdsa.PublicKey, error) {
	curve, ok := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[name]
	if !ok {
		return nil, errors.New("a key of the kind EC is on P-256, P-384 or P-521")
	}
	size := (curve.Params().BitSize + 7) / 8
	if len(x) != size || len(y) != size {
		return nil, fmt.Errorf("x and y of a key on %s have %d bytes", name, size)
	}
	return ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y))
}

// decoded decodes base64url without padding.
func decoded(all ...string) (parts [][]byte, err error) {
	for _, one := range all {
		b, err := base64.RawURLEncoding.DecodeString(one)
		if err != nil {
			return nil, fmt.Errorf("a part of a key is not base64url: %w", err)
		}
		parts = append(parts, b)
	}
	return parts, nil
}
