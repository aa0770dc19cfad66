//go:build unix

package rights

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"picket/internal/testbed"
	"picket/packet"
)

// issuer signs tokens.
type issuer struct{ key ed25519.PrivateKey }

func newIssuer(t *testing.T) issuer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{key}
}

// public is the key as a file.
func (i issuer) public(t *testing.T) string {
	data, err := x509.MarshalPKIXPublicKey(i.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: data}))
}

// token makes one for a user that ends at a time, with further claims.
func (i issuer) token(t *testing.T, user string, end time.Time, more jwt.MapClaims) string {
	claims := jwt.MapClaims{"sub": user, "exp": end.Unix()}
	for k, v := range more {
		claims[k] = v
	}
	s, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims).SignedString(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// takesTokens starts a broker that takes the tokens of an issuer.
func takesTokens(t *testing.T, i issuer, more string) *testbed.Broker {
	return testbed.Start(t, testbed.Options{
		Conf:    "user root\nlog_dest stdout\nlog_type all\nreason_strings true\njwt_keys ${DIR}/key.pem\njwt_leeway 0\n" + more + "listener ${PORT} 127.0.0.1\n",
		Prepare: func(b *testbed.Broker) { b.Write(t, "key.pem", i.public(t)) },
	})
}

// tokenConnect is a CONNECT with a token as its password.
func tokenConnect(id, token string) *packet.Connect {
	return &packet.Connect{CleanStart: true, ClientID: id, HasUsername: true, Username: "whoever", HasPassword: true, Password: []byte(token)}
}

// mosquitto's clients log in with a token, in all versions, and may do what it says.
func TestTokenWithMosquitto(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	b := takesTokens(t, i, "")
	port := strconv.Itoa(b.Port(t, "PORT"))
	hour := time.Now().Add(time.Hour)
	token := i.token(t, "ada", hour, jwt.MapClaims{"publ": []string{"up/%u/%c"}, "subs": []string{"down/%u/#"}})
	run := func(program string, args ...string) (string, error) {
		out, err := exec.Command(testbed.Program(t, program, "mosquitto-clients"), append([]string{"-h", "127.0.0.1", "-p", port, "-u", "x", "-i", "one"}, args...)...).CombinedOutput()
		return string(out), err
	}
	for _, version := range []string{"31", "311", "5"} {
		if out, err := run("mosquitto_pub", "-V", version, "-P", token, "-q", "1", "-t", "up/ada/one", "-m", "on"); err != nil {
			t.Errorf("%s: %v\n%s", version, err, out)
		}
		if out, err := run("mosquitto_sub", "-V", version, "-P", token, "-t", "down/ada/#", "-E"); err != nil {
			t.Errorf("%s: %v\n%s", version, err, out)
		}
		if out, err := run("mosquitto_sub", "-V", version, "-P", token, "-t", "down/bob/#", "-E"); version != "31" && !strings.Contains(out, "denied") { // 3.1 has no way to say so
			t.Errorf("%s may subscribe: %v\n%s", version, err, out)
		}
		for _, wrong := range []string{token[:len(token)-2], newIssuer(t).token(t, "ada", hour, nil), i.token(t, "ada", time.Now().Add(-time.Hour), nil)} {
			if out, err := run("mosquitto_pub", "-V", version, "-P", wrong, "-t", "up/ada/one", "-m", "on"); err == nil {
				t.Errorf("%s was let in:\n%s", version, out)
			}
		}
	}
	logs(t, b, "[jwt-expired]")
	logs(t, b, "[jwt-refused]")
	if strings.Contains(b.Said(), token) {
		t.Error("the log has a token")
	}
}

// A client is cut off when its token ends, whatever its keep alive and its version are, and its will is published; others are not.
func TestTokenEnds(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	b := takesTokens(t, i, "")
	watch := testbed.Dial(t, b.Addr(t, "PORT"), packet.V5)
	if _, err := watch.Connect(tokenConnect("watch", i.token(t, "watch", time.Now().Add(time.Hour), nil))); err != nil {
		t.Fatal(err)
	}
	if err := watch.Send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "will/#"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Next(); err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(2 * time.Second)
	clients := make(map[string]*testbed.Client)
	for id, v := range map[string]packet.Version{"three": packet.V31, "four": packet.V311, "five": packet.V5} {
		for _, keepAlive := range []uint16{0, 600} {
			id := id + strconv.Itoa(int(keepAlive))
			p := tokenConnect(id, i.token(t, "ada", end, nil))
			p.KeepAlive, p.Will = keepAlive, &packet.Will{Topic: "will/" + id, Payload: []byte("gone")}
			c := testbed.Dial(t, b.Addr(t, "PORT"), v)
			if _, err := c.Connect(p); err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			clients[id] = c
		}
	}
	for id, c := range clients {
		p, err := c.Next()
		if strings.HasPrefix(id, "five") {
			if d, ok := p.(*packet.Disconnect); !ok || d.Code != packet.MaximumConnectTime || !strings.Contains(d.Props.ReasonString, "jwt-expired") {
				t.Errorf("%s: %+v, %v", id, p, err)
			}
		} else if err == nil {
			t.Errorf("%s: %+v", id, p)
		}
		if time.Now().Before(time.Unix(end.Unix(), 0)) {
			t.Errorf("%s was cut off before its token ended", id)
		}
	}
	gone := make(map[string]bool)
	for len(gone) < len(clients) {
		p, err := watch.Next()
		if err != nil {
			t.Fatalf("%v; %d wills came", err, len(gone))
		}
		if m, ok := p.(*packet.Publish); ok {
			gone[string(m.Topic)] = true
		}
	}
}

// An MQTT 5 client renews its token within the connection, gets the rights of the new one, and is cut off when that ends; another user's token, and a wrong one, end it.
func TestTokenIsRenewed(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	b := takesTokens(t, i, "")
	method := func(token string) *packet.Properties {
		props := new(packet.Properties).Set(packet.AuthenticationMethod).Set(packet.AuthenticationData)
		props.AuthMethod, props.AuthData = "OAUTH2-JWT", []byte(token)
		return props
	}
	begin := func(id string, end time.Time) *testbed.Client {
		c := testbed.Dial(t, b.Addr(t, "PORT"), packet.V5)
		p := &packet.Connect{CleanStart: true, ClientID: id, Props: method(i.token(t, "ada", end, jwt.MapClaims{"publ": []string{"a"}}))}
		ack, err := c.Connect(p)
		if err != nil || ack.Props.AuthMethod != "OAUTH2-JWT" {
			t.Fatalf("%+v, %v", ack, err)
		}
		return c
	}
	renew := func(c *testbed.Client, token string) packet.Packet {
		if err := c.Send(&packet.Auth{Code: packet.Reauthenticate, Props: method(token)}); err != nil {
			t.Fatal(err)
		}
		p, err := c.Next()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	publish := func(c *testbed.Client, topic string) packet.Code {
		if err := c.Send(&packet.Publish{QoS: 1, ID: 1, Topic: []byte(topic)}); err != nil {
			t.Fatal(err)
		}
		p, err := c.Next()
		ack, ok := p.(*packet.Ack)
		if err != nil || !ok {
			t.Fatalf("%+v, %v", p, err)
		}
		return ack.Code
	}
	first, second := time.Now().Add(3*time.Second), time.Now().Add(6*time.Second)
	c := begin("one", first)
	if code := publish(c, "b"); code != packet.NotAuthorized {
		t.Errorf("the first token lets it publish to b: %v", code)
	}
	if p, ok := renew(c, i.token(t, "ada", second, jwt.MapClaims{"publ": []string{"b"}})).(*packet.Auth); !ok || p.Code != packet.Success {
		t.Fatalf("%+v", p)
	}
	if code := publish(c, "a"); code != packet.NotAuthorized {
		t.Errorf("the second token lets it publish to a: %v", code)
	}
	if code := publish(c, "b"); code == packet.NotAuthorized {
		t.Error("the second token does not let it publish to b")
	}
	p, err := c.Next()
	if d, ok := p.(*packet.Disconnect); !ok || d.Code != packet.MaximumConnectTime {
		t.Errorf("%+v, %v", p, err)
	}
	if time.Now().Before(time.Unix(second.Unix(), 0)) {
		t.Error("it was cut off before the second token ended")
	}
	hour := time.Now().Add(time.Hour)
	for name, token := range map[string]string{"another user's": i.token(t, "bob", hour, nil), "ended": i.token(t, "ada", time.Now().Add(-time.Hour), nil), "of another key": newIssuer(t).token(t, "ada", hour, nil), "none": ""} {
		if d, ok := renew(begin("two", hour), token).(*packet.Disconnect); !ok || d.Code != packet.NotAuthorized {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

// The token may be the user name, which the log then never has; a reload with another key ends the connection.
func TestTokenAsUserName(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	b := takesTokens(t, i, "jwt_place username\nuse_username_as_clientid true\n")
	token := i.token(t, "ada", time.Now().Add(time.Hour), nil)
	wrong := newIssuer(t).token(t, "ada", time.Now().Add(time.Hour), nil)
	connect := func(token string) (*testbed.Client, error) {
		c := testbed.Dial(t, b.Addr(t, "PORT"), packet.V311)
		_, err := c.Connect(&packet.Connect{CleanStart: true, ClientID: "x", HasUsername: true, Username: token, HasPassword: true, Password: []byte("any")})
		return c, err
	}
	if _, err := connect(wrong); err == nil {
		t.Error("a wrong token lets in")
	}
	c, err := connect(token)
	if err != nil {
		t.Fatal(err)
	}
	logs(t, b, "u'ada'")
	if log := b.Said(); strings.Contains(log, token) || strings.Contains(log, wrong) {
		t.Error("the log has a token")
	}
	b.Write(t, "key.pem", newIssuer(t).public(t))
	b.Signal(syscall.SIGHUP)
	if p, err := c.Next(); err == nil {
		t.Errorf("%+v", p)
	}
	logs(t, b, "[no-longer-allowed]")
}
