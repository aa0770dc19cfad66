//go:build unix

package corpus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"picket/internal/testbed"
	"picket/packet"
)

func TestMain(m *testing.M) {
	testbed.SideBySide(6)
	os.Exit(m.Run())
}

// person is who connects: anonymous without a name.
type person struct{ name, password, id string }

// people are tried at every listener of every configuration.
var people = []person{
	{"", "", "nobody"}, {"", "", ""},
	{"ada", "right", "ada-1"}, {"ada", "wrong", "ada-1"}, {"ada", "", "ada-1"},
	{"bob", "right", "dev-7"}, {"eve", "right", "eve-1"}, {"a+b", "right", "plus"},
}

// topics are subscribed to, published to and waited for by each.
var topics = []string{"home/lamp", "home/ada/in", "dev/dev-7/up", "secret/x", "$SYS/x", "other"}

// filters are subscribed to before.
var filters = []string{"home/#", "dev/+/up", "secret/#", "other"}

// example is one configuration.
type example struct {
	name    string
	conf    string            // with the variables of testbed.Options; its listeners are those with a ${PORT...}: TLS with an S, WebSocket with a W in it
	more    map[string]string // further files, in its folder
	differs []difference
}

// difference is what Picket does in another way than mosquitto 2.0.11: in the answers to questions that contain about, it says is where mosquitto says was.
type difference struct{ about, was, is, why string }

// users is what most of those have who let in those only whom they know; their names and passwords are in people.
const users = "password_file ${DIR}/passwd\n"

// rules are the ACL file of all that have one.
const rules = `topic read home/lamp
user ada
topic home/#
topic read secret/#
topic deny secret/x
user bob
topic write home/lamp
pattern readwrite dev/%c/#
pattern read home/%u/#
`

// prepare makes the files that configurations name.
func (e example) prepare(t *testing.T) func(*testbed.Broker) {
	return func(b *testbed.Broker) {
		b.Write(t, "passwd", "ada:right\nbob:right\na+b:right\n")
		if out, err := exec.Command(testbed.Program(t, "mosquitto_passwd", "mosquitto"), "-U", b.Path("passwd")).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		b.Write(t, "acl", rules)
		for name, text := range e.more {
			if err := os.MkdirAll(filepath.Dir(b.Path(name)), 0o700); err != nil {
				t.Fatal(err)
			}
			b.Write(t, name, text)
		}
	}
}

var listening = regexp.MustCompile(`\$\{(PORT\w*)\}`)

// ports are the variables of the listeners.
func (e example) ports() (all []string) {
	text := e.conf
	for _, more := range e.more {
		text += more
	}
	for _, m := range listening.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// start starts a broker with the configuration and waits for all of its listeners.
func (e example) start(t *testing.T, program ...string) *testbed.Broker {
	b := testbed.Start(t, testbed.Options{Conf: "user root\nlog_dest stdout\n" + e.conf, Prepare: e.prepare(t), Program: program})
	var addrs []string
	for _, port := range e.ports() {
		addrs = append(addrs, b.Addr(t, port))
	}
	if err := b.Listening(addrs...); err != nil {
		t.Fatal(err)
	}
	return b
}

// dial connects somebody to a listener.
func dial(t *testing.T, b *testbed.Broker, port string, v packet.Version, who person) (*testbed.Client, error) {
	addr := b.Addr(t, port)
	var conn net.Conn
	var err error
	switch {
	case strings.Contains(port, "S"):
		conn, err = tls.Dial("tcp", addr, &tls.Config{RootCAs: b.Certificate(t).CA.Pool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return who.certificate(t, b), nil
		}})
	case strings.Contains(port, "W"):
		if conn, err = net.Dial("tcp", addr); err == nil {
			_, _, err = ws.Dialer{Protocols: []string{"mqtt"}}.Upgrade(conn, &url.URL{Scheme: "ws", Host: addr, Path: "/mqtt"})
			conn = &framed{Conn: conn}
		}
	default:
		conn, err = net.Dial("tcp", addr)
	}
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { conn.Close() })
	return testbed.NewClient(conn, v), nil
}

// certificate is one of the broker's authority with the person's name, but for two: who has no name has none, and eve has made an authority of her own.
func (p person) certificate(t *testing.T, b *testbed.Broker) *tls.Certificate {
	if p.name == "" {
		return &tls.Certificate{}
	}
	ca := b.Certificate(t).CA
	if p.name == "eve" {
		ca = testbed.NewCA(t, b.Path("eve-ca.pem"))
	}
	pair := ca.Issue(t, b.Path("client"), func(c *x509.Certificate) { c.Subject.CommonName = p.name })
	return &pair.Certificate
}

// framed is MQTT in the frames of a WebSocket.
type framed struct {
	net.Conn
	rest []byte
}

func (f *framed) Write(b []byte) (int, error) {
	if err := wsutil.WriteClientBinary(f.Conn, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (f *framed) Read(b []byte) (n int, err error) {
	for len(f.rest) == 0 {
		if f.rest, err = wsutil.ReadServerBinary(f.Conn); err != nil {
			return 0, err
		}
	}
	n = copy(b, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// answers are what a client sees, by question.
type answers map[string]string

// ask tries everything at one listener in one version.
func ask(t *testing.T, b *testbed.Broker, port string, v packet.Version, to answers) {
	for _, who := range people {
		at := fmt.Sprintf("%s MQTT %d %s/%s/%s", port, v, who.name, who.password, who.id)
		c, err := dial(t, b, port, v, who)
		if err != nil {
			to[at+" dials"] = "is hung up on"
			continue
		}
		ack, err := connect(c, &packet.Connect{Version: v, CleanStart: true, ClientID: who.id, KeepAlive: 60, HasUsername: who.name != "", Username: who.name,
			HasPassword: who.password != "", Password: []byte(who.password), Will: &packet.Will{Topic: "home/will", Payload: []byte("gone")}})
		to[at+" connects"] = outcome(ack, err)
		if err == nil && ack.Code == packet.Success && use(c, at, to) {
			to[at+" leaves"] = leave(c)
		}
		c.Close()
	}
}

// leave ends a session properly, so that no will comes to those who follow, and waits until the broker has seen it.
func leave(c *testbed.Client) string {
	err := c.Send(&packet.Disconnect{})
	if err == nil {
		err = c.Rest(testbed.Patience)
	}
	return hungUp(err)
}

func connect(c *testbed.Client, p *packet.Connect) (*packet.Connack, error) {
	if err := c.Send(p); err != nil {
		return nil, err
	}
	return testbed.Until[*packet.Connack](c)
}

func outcome(ack *packet.Connack, err error) string {
	if err != nil {
		return hungUp(err)
	}
	return fmt.Sprintf("code %d", ack.Code)
}

// use subscribes and publishes, notes what comes back, and tells whether the connection still stands.
func use(c *testbed.Client, at string, to answers) bool {
	for i, filter := range filters {
		err := c.Send(&packet.Subscribe{ID: uint16(i + 1), Filters: []packet.Subscription{{Filter: filter, QoS: 1}}})
		var ack *packet.Suback
		if err == nil {
			ack, err = testbed.Until[*packet.Suback](c)
		}
		if err != nil {
			to[at+" subscribes "+filter] = hungUp(err)
			return false
		}
		to[at+" subscribes "+filter] = fmt.Sprintf("codes %d", ack.Codes)
	}
	for i, topic := range topics {
		seen, alive := publish(c, &packet.Publish{QoS: 1, ID: uint16(i + 100), Topic: []byte(topic), Payload: []byte("on"), Retain: topic == "home/lamp"})
		to[at+" publishes "+topic] = seen
		if !alive {
			return false
		}
	}
	seen, alive := publish(c, &packet.Publish{QoS: 1, ID: 200, Topic: []byte("home/lamp"), Retain: true})
	to[at+" takes back what is retained in home/lamp"] = seen
	return alive
}

// publish sends a message and returns what comes of it, in alphabetical order, and whether the connection still stands. Nothing more comes once a PINGREQ
// that follows the acknowledgement is answered.
func publish(c *testbed.Client, p *packet.Publish) (seen string, alive bool) {
	var all []string
	err := c.Send(p)
	for err == nil {
		var got packet.Packet
		if got, err = c.Next(); err != nil {
			break
		}
		switch got := got.(type) {
		case *packet.Publish:
			all = append(all, fmt.Sprintf("gets %s q%d r%v", got.Topic, got.QoS, got.Retain))
			if got.QoS > 0 {
				err = c.Send(&packet.Ack{Kind: packet.PUBACK, ID: got.ID})
			}
		case *packet.Ack:
			all = append(all, fmt.Sprintf("acknowledged %d", got.Code))
			err = c.Send(packet.Pingreq{})
		case packet.Pingresp:
			slices.Sort(all)
			return strings.Join(all, ", "), true
		default:
			all = append(all, fmt.Sprintf("gets a %T", got))
		}
	}
	slices.Sort(all)
	return strings.Join(append(all, hungUp(err)), ", "), false
}

// hungUp is what becomes of a connection that err ends: a minute of silence is something else than an end.
func hungUp(err error) string {
	var end net.Error
	if errors.As(err, &end) && end.Timeout() {
		return "hears nothing"
	}
	return "is hung up on"
}

// Each configuration starts in both, and clients see the same.
func TestSame(t *testing.T) {
	if len(examples) < 60 {
		t.Errorf("there are only %d configurations", len(examples))
	}
	for _, e := range examples {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			theirs := e.start(t, testbed.Program(t, "mosquitto", "mosquitto"), "-c", "${CONF}")
			ours := e.start(t, testbed.Picket(t), "serve", "--mosquitto", "-c", "${CONF}")
			was, is := make(answers), make(answers)
			for _, port := range e.ports() {
				for _, v := range []packet.Version{packet.V31, packet.V311, packet.V5} {
					ask(t, theirs, port, v, was)
					ask(t, ours, port, v, is)
				}
			}
			e.compare(t, was, is)
		})
	}
}

// compare holds the answers of mosquitto and of Picket against one another.
func (e example) compare(t *testing.T, was, is answers) {
	met := make(map[difference]bool)
	for question, want := range was {
		for _, d := range e.differs {
			if strings.Contains(question, d.about) && strings.Contains(want, d.was) {
				want, met[d] = strings.ReplaceAll(want, d.was, d.is), true
			}
		}
		if got, asked := is[question]; !asked {
			t.Errorf("%s: mosquitto %q, Picket does not come as far", question, want)
		} else if got != want {
			t.Errorf("%s: Picket %q, mosquitto %q", question, got, want)
		}
	}
	for question, got := range is {
		if _, asked := was[question]; !asked {
			t.Errorf("%s: Picket %q, mosquitto does not come as far", question, got)
		}
	}
	for _, d := range e.differs {
		if !met[d] {
			t.Errorf("mosquitto does not say %q any more (%s)", d.was, d.why)
		}
	}
}
