package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"picket/internal/testbed"
	"picket/packet"
)

func TestMain(m *testing.M) { testbed.Main(m) }

// mosquitto is a broker that this project has not written.
type mosquitto struct {
	tcp, tls, ws, unix string // server addresses
	roots              *x509.CertPool
}

// startMosquitto runs Debian's broker until the test ends, with a listener of each kind. The user ada has the password
// "countess"; others come in without one.
func startMosquitto(t *testing.T) *mosquitto {
	t.Helper()
	dir := t.TempDir()
	pool := certificate(t, dir)
	ports := []int{testbed.Port(t), testbed.Port(t), testbed.Port(t)}
	conf := fmt.Sprintf(`allow_anonymous true
password_file %[1]s/passwords
listener %[2]d 127.0.0.1
listener %[3]d 127.0.0.1
certfile %[1]s/cert.pem
keyfile %[1]s/key.pem
listener %[4]d 127.0.0.1
protocol websockets
listener 0 %[1]s/socket
`, dir, ports[0], ports[1], ports[2])
	write(t, filepath.Join(dir, "conf"), conf)
	// PBKDF2-HMAC-SHA512 of "countess"
	out, err := exec.Command("mosquitto_passwd", "-b", "-c", filepath.Join(dir, "passwords"), "ada", "countess").CombinedOutput()
	if err != nil {
		t.Fatalf("mosquitto_passwd: %v: %s", err, out)
	}
	for _, name := range []string{"", "passwords", "key.pem"} { // mosquitto gives up root's rights
		if err := os.Chmod(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	broker := exec.Command("/usr/sbin/mosquitto", "-c", filepath.Join(dir, "conf"))
	var log strings.Builder
	broker.Stderr = &log
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = broker.Process.Kill()
		_ = broker.Wait()
		if t.Failed() {
			t.Logf("broker's log:\n%s", log.String())
		}
	})
	for _, port := range ports {
		await(t, "tcp", "127.0.0.1:"+strconv.Itoa(port))
	}
	await(t, "unix", dir+"/socket")
	at := func(scheme string, port int) string { return scheme + "://127.0.0.1:" + strconv.Itoa(port) }
	return &mosquitto{tcp: at("mqtt", ports[0]), tls: at("mqtts", ports[1]), ws: at("ws", ports[2]) + "/mqtt", unix: "unix://" + dir + "/socket", roots: pool}
}

// certificate writes a self-signed certificate for 127.0.0.1 and its key.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	write(t, filepath.Join(dir, "cert.pem"), string(cert))
	write(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return pool
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, network, address string) {
	t.Helper()
	for end := time.Now().Add(testbed.Patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial(network, address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the broker does not listen: %v", err)
		}
	}
}

// deadline bounds every wait of a test.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := Dial(deadline(t), o)
	if err != nil {
		t.Fatalf("Dial(%s): %v", o.URL, err)
	}
	t.Cleanup(c.Close)
	return c
}

func subscribe(t *testing.T, c *Client, filter string, qos byte) {
	t.Helper()
	filters := []packet.Subscription{{Filter: filter, QoS: qos}}
	answer, err := c.Subscribe(deadline(t), &packet.Subscribe{Filters: filters})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range Refusals(filters, answer) {
		t.Fatal(err)
	}
}

func receive(t *testing.T, from <-chan *Message) *Message {
	t.Helper()
	select {
	case m := <-from:
		return m
	case <-deadline(t).Done():
		t.Fatal("no message came")
		return nil
	}
}

// TestEveryTransport sends messages of every QoS in every version over every kind of connection.
func TestEveryTransport(t *testing.T) {
	broker := startMosquitto(t)
	for name, url := range map[string]string{"tcp": broker.tcp, "tls": broker.tls, "websocket": broker.ws, "unix": broker.unix} {
		for _, version := range []packet.Version{packet.V31, packet.V311, packet.V5} {
			t.Run(fmt.Sprintf("%s/%d", name, version), func(t *testing.T) {
				messages := make(chan *Message, 1)
				c := dial(t, Options{
					Transport: Transport{URL: url, TLS: &tls.Config{RootCAs: broker.roots}},
					Connect:   packet.Connect{Version: version, ClientID: "echo", CleanStart: true, KeepAlive: 60},
					Messages:  messages,
				})
				subscribe(t, c, "garden/#", 2)
				for qos := range byte(3) {
					payload := strings.Repeat("water ", 500)
					if _, err := c.Publish(deadline(t), &Message{Topic: "garden/fountain", Payload: []byte(payload), QoS: qos}); err != nil {
						t.Fatal(err)
					}
					if m := receive(t, messages); m.Topic != "garden/fountain" || string(m.Payload) != payload || m.QoS != qos || m.Retain {
						t.Errorf("QoS %d came back as topic %q, QoS %d, retain %v, %d bytes", qos, m.Topic, m.QoS, m.Retain, len(m.Payload))
					}
				}
				if _, err := c.Unsubscribe(deadline(t), &packet.Unsubscribe{Filters: []string{"garden/#"}}); err != nil {
					t.Fatal(err)
				}
				c.Disconnect(packet.NormalDisconnection, nil)
				if err := c.Err(); err != nil {
					t.Errorf("after Disconnect, Err is %v", err)
				}
				if _, err := c.Publish(deadline(t), &Message{Topic: "garden"}); !errors.Is(err, ErrClosed) {
					t.Errorf("Publish after Disconnect: %v, want ErrClosed", err)
				}
			})
		}
	}
}

// TestRefused keeps the code of a CONNACK that refuses, as it was on the wire.
func TestRefused(t *testing.T) {
	broker := startMosquitto(t)
	for version, want := range map[packet.Version]int{packet.V31: 5, packet.V311: 5, packet.V5: 0x87} {
		_, err := Dial(deadline(t), Options{
			Transport: Transport{URL: broker.tcp},
			Connect:   packet.Connect{Version: version, ClientID: "a", CleanStart: true, HasUsername: true, Username: "ada", HasPassword: true, Password: []byte("wrong")},
		})
		var refused *RefusedError
		if !errors.As(err, &refused) || refused.Return() != want {
			t.Errorf("version %d: %v, want a refusal with code %d", version, err, want)
		}
	}
	dial(t, Options{
		Transport: Transport{URL: broker.tcp},
		Connect:   packet.Connect{ClientID: "a", CleanStart: true, HasUsername: true, Username: "ada", HasPassword: true, Password: []byte("countess")},
	})
}

// TestUntrusted does not connect to a server whose certificate nobody vouches for.
func TestUntrusted(t *testing.T) {
	broker := startMosquitto(t)
	_, err := Dial(deadline(t), Options{Transport: Transport{URL: broker.tls}, Connect: packet.Connect{CleanStart: true}})
	var untrusted x509.UnknownAuthorityError
	var handshake *TLSError
	if !errors.As(err, &untrusted) || !errors.As(err, &handshake) {
		t.Errorf("Dial: %v, want a TLS error about an unknown authority", err)
	}
}

// TestWill is published when a client closes without DISCONNECT.
func TestWill(t *testing.T) {
	broker := startMosquitto(t)
	messages := make(chan *Message, 1)
	watcher := dial(t, Options{Transport: Transport{URL: broker.tcp}, Connect: packet.Connect{ClientID: "watcher", CleanStart: true}, Messages: messages})
	subscribe(t, watcher, "wills/+", 1)
	will := &packet.Will{Topic: "wills/gone", Payload: []byte("farewell"), QoS: 1, Props: (&packet.Properties{ContentType: "text/plain"}).Set(packet.ContentType)}
	dial(t, Options{Transport: Transport{URL: broker.tcp}, Connect: packet.Connect{Version: packet.V5, ClientID: "leaver", CleanStart: true, Will: will}}).Close()
	if m := receive(t, messages); m.Topic != "wills/gone" || string(m.Payload) != "farewell" {
		t.Errorf("got %q on %q", m.Payload, m.Topic)
	}
}

// TestProperties come through unchanged.
func TestProperties(t *testing.T) {
	broker := startMosquitto(t)
	messages := make(chan *Message, 1)
	c := dial(t, Options{
		Transport: Transport{URL: broker.tcp}, Messages: messages,
		Connect: packet.Connect{Version: packet.V5, CleanStart: true, Props: (&packet.Properties{TopicAliasMaximum: 10}).Set(packet.TopicAliasMaximum)},
	})
	if c.ID() == "" {
		t.Error("the identifier that the server assigned is not known")
	}
	sub := &packet.Subscribe{Filters: []packet.Subscription{{Filter: "props"}}, Props: (&packet.Properties{SubscriptionIDs: []uint32{7}}).Set(packet.SubscriptionIdentifier)}
	if _, err := c.Subscribe(deadline(t), sub); err != nil {
		t.Fatal(err)
	}
	props := &packet.Properties{ContentType: "a/b", ResponseTopic: "answers", CorrelationData: []byte{1, 0, 2}, TopicAlias: 3}
	props.Set(packet.ContentType).Set(packet.ResponseTopic).Set(packet.CorrelationData).Set(packet.TopicAlias)
	props.AddUser("colour", "green")
	for _, topic := range []string{"props", ""} { // the second goes by its alias
		if _, err := c.Publish(deadline(t), &Message{Topic: topic, Payload: []byte("x"), Props: props}); err != nil {
			t.Fatal(err)
		}
		m := receive(t, messages)
		p := m.Props
		if m.Topic != "props" || p.ContentType != "a/b" || p.ResponseTopic != "answers" || string(p.CorrelationData) != "\x01\x00\x02" ||
			len(p.User) != 1 || p.User[0] != (packet.UserProperty{Key: "colour", Value: "green"}) || len(p.SubscriptionIDs) != 1 || p.SubscriptionIDs[0] != 7 {
			t.Errorf("topic %q, properties %+v", m.Topic, p)
		}
	}
	props.TopicAlias = 60000
	if _, err := c.Publish(deadline(t), &Message{Topic: "props", Props: props}); !errors.Is(err, ErrTopicAlias) {
		t.Errorf("a topic alias above the maximum: %v", err)
	}
}

// TestDone ends the connection behind the last message that is wanted, and leaves the others with the server.
func TestDone(t *testing.T) {
	broker := startMosquitto(t)
	o := Options{Transport: Transport{URL: broker.tcp}, Connect: packet.Connect{Version: packet.V311, ClientID: "taker"}}
	first := dial(t, o)
	subscribe(t, first, "orders", 1)
	first.Disconnect(packet.NormalDisconnection, nil)
	sender := dial(t, Options{Transport: Transport{URL: broker.tcp}, Connect: packet.Connect{ClientID: "sender", CleanStart: true}})
	for i := range 10 {
		if _, err := sender.Publish(deadline(t), &Message{Topic: "orders", Payload: []byte{byte('0' + i)}, QoS: 1}); err != nil {
			t.Fatal(err)
		}
	}
	var got []byte
	for len(got) < 10 {
		o.Handler = func(m *Message) error {
			if m.Dup && len(got) > int(m.Payload[0]-'0') {
				t.Errorf("message %s came again after it was acknowledged", m.Payload)
			}
			got = append(got, m.Payload...)
			if len(got)%4 == 0 || len(got) == 10 {
				return ErrDone
			}
			return nil
		}
		c := dial(t, o)
		select {
		case <-c.Done():
		case <-deadline(t).Done():
			t.Fatalf("only %q came", got)
		}
		if c.Err() != nil {
			t.Fatal(c.Err())
		}
	}
	if string(got) != "0123456789" {
		t.Errorf("got %q", got)
	}
}

// TestLeave leaves the message at hand with the server.
func TestLeave(t *testing.T) {
	broker := startMosquitto(t)
	o := Options{Transport: Transport{URL: broker.tcp}, Connect: packet.Connect{Version: packet.V311, ClientID: "leaver"}}
	first := dial(t, o)
	subscribe(t, first, "orders", 1)
	o.Handler = func(*Message) error { return ErrLeave }
	first.Disconnect(packet.NormalDisconnection, nil)
	sender := dial(t, Options{Transport: Transport{URL: broker.tcp}, Connect: packet.Connect{ClientID: "sender", CleanStart: true}})
	if _, err := sender.Publish(deadline(t), &Message{Topic: "orders", Payload: []byte("tea"), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	leaver := dial(t, o)
	<-leaver.Done()
	if leaver.Err() != nil {
		t.Error(leaver.Err())
	}
	messages := make(chan *Message, 1)
	o.Handler, o.Messages = nil, messages
	dial(t, o)
	if m := receive(t, messages); string(m.Payload) != "tea" || !m.Dup {
		t.Errorf("then %q came, dup %v", m.Payload, m.Dup)
	}
}

// TestBackPressure loses nothing when the application is slower than the server.
func TestBackPressure(t *testing.T) {
	broker := startMosquitto(t)
	messages := make(chan *Message)
	c := dial(t, Options{Transport: Transport{URL: broker.tcp}, Connect: packet.Connect{ClientID: "slow", CleanStart: true}, Messages: messages})
	subscribe(t, c, "flood", 2)
	sender := dial(t, Options{Transport: Transport{URL: broker.tcp}, Connect: packet.Connect{ClientID: "fast", CleanStart: true}, MaxInflight: 10})
	const n = 500
	for i := range n {
		if _, err := sender.Send(deadline(t), &Message{Topic: "flood", Payload: []byte(strconv.Itoa(i)), QoS: byte(1 + i%2)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for range n {
		seen[string(receive(t, messages).Payload)] = true
	}
	if len(seen) != n {
		t.Errorf("%d different messages came, want %d", len(seen), n)
	}
	// Nobody takes the next one; the end must not wait for that.
	if _, err := sender.Publish(deadline(t), &Message{Topic: "flood", QoS: 1}); err != nil {
		t.Fatal(err)
	}
	c.Disconnect(packet.NormalDisconnection, nil)
}
