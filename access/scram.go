package access

import (
	"errors"

	"github.com/xdg-go/scram"
)

// The authentication methods of MQTT 5.0, section 4.12, that are served.
const (
	ScramSHA256 = "SCRAM-SHA-256"
	// TokenMethod has a token as its data, in CONNECT and in an AUTH that renews it: a login with [Login.Bearer] and no [Exchange].
	TokenMethod = "OAUTH2-JWT"
)

// Exchange is one run of enhanced authentication (MQTT 5.0, section 4.12), made by [Policy.Begin]. Not safe for concurrent use.
// It computes a few hashes at most, so it may run on an event loop.
type Exchange interface {
	// Step takes the Authentication Data of the client's CONNECT or AUTH packet and returns the data of the answer: of an AUTH
	// packet with 0x18 (continue authentication) while done is false, and of the CONNACK (or the AUTH with 0x00 that ends a
	// re-authentication) when it is true. username is who the client says it is, as far as that is known, and has shown to be when done is true. After
	// an error the client is to be refused with 0x87 and cause bad-credentials; wrong proofs are to make the next ones wait, as wrong passwords do.
	Step(data []byte) (reply []byte, done bool, username string, err error)
}

// Begin starts an exchange. It returns false for a method that is not served (0x8C, bad authentication method), which is every
// method when there is no password file. The caller asks [Policy.ClientID] too.
func (p *Policy) Begin(method string) (Exchange, bool) {
	if method != ScramSHA256 || p.users == nil {
		return nil, false
	}
	return &scramExchange{p.scram.NewConversation()}, true
}

type scramExchange struct{ conversation *scram.ServerConversation }

// maxScramMessage bounds what a stranger can make the parser look at; real messages are some hundred bytes.
const maxScramMessage = 8192

func (x *scramExchange) Step(data []byte) (reply []byte, done bool, username string, err error) {
	if len(data) > maxScramMessage {
		return nil, false, "", errors.New("SCRAM message too long")
	}
	s, err := x.conversation.Step(string(data))
	username = x.conversation.Username()
	if err != nil {
		return nil, false, username, err
	}
	if !x.conversation.Done() {
		return []byte(s), false, username, nil
	}
	if !x.conversation.Valid() {
		return nil, false, username, errors.New("SCRAM exchange ended without proof")
	}
	// An authorization identity asks to act as somebody else, which nobody may.
	if id := x.conversation.AuthzID(); id != "" && id != username {
		return nil, false, username, errors.New("SCRAM authorization identity differs from the user name")
	}
	return []byte(s), true, username, nil
}

// scramCredentials finds the keys of a user. An unknown one, and one whose entry is of another kind, gets a salt that is always
// the same for the name and keys that no proof fits, so that strangers cannot find out who has an account (RFC 5802, section 9).
func (p *Policy) scramCredentials(username string) (scram.StoredCredentials, error) {
	c := p.users[username]
	if c == nil || c.kind != SCRAM {
		c = &credential{
			iterations: p.decoy(p.scramDecoys, username).iterations,
			salt:       p.keyed("scram salt", username)[:saltSize],
			hash:       p.keyed("scram stored key", username),
			serverKey:  p.keyed("scram server key", username),
		}
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(c.salt), Iters: c.iterations},
		StoredKey:  c.hash,
		ServerKey:  c.serverKey,
	}, nil
}
