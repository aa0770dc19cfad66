package listener

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"picket/cause"
	"picket/packet"
)

// refusals collects what a set refuses.
type refusals chan Refusal

func (r refusals) option() func(Refusal) { return func(x Refusal) { r <- x } }

func connectPacket(v packet.Version) []byte {
	return (&packet.Connect{Version: v, CleanStart: true, KeepAlive: 60, ClientID: "abc"}).Append(nil, v)
}

// hello is what a TLS client sends first.
func hello(t testing.TB) []byte {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	go tls.Client(a, &tls.Config{ServerName: "localhost"}).Handshake()
	buf := make([]byte, 4096)
	n, err := b.Read(buf)
	b.Close()
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// Whoever speaks the wrong protocol gets an answer in its own, and the log the cause.
func TestMismatch(t *testing.T) {
	a := newAuthority(t, "Test CA")
	autoPlain := configured(func(c *Config, _ func() TLS) { c.Protocol = Auto })
	from := func(origin string) func(testing.TB, *authority) *Config {
		return configured(func(c *Config, _ func() TLS) { c.Protocol, c.Origins = WebSocket, []string{origin} })
	}
	get := "GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n"
	tests := []struct {
		name   string
		cfg    func(testing.TB, *authority) *Config
		tls    bool // speak inside TLS
		send   string
		cause  cause.ID
		answer string // part of it, or a whole one when it begins with an alert or a CONNACK
	}{
		{"TLS to plain", mqtt, false, string(hello(t)), cause.TLSToPlainPort, "\x15\x03\x01\x00\x02\x02\x46"},
		{"TLS to WebSocket", webs, false, string(hello(t)), cause.TLSToPlainPort, "\x15\x03\x01\x00\x02\x02\x46"},
		{"TLS to auto without certificate", autoPlain, false, string(hello(t)), cause.TLSWithoutCertificate, "\x15\x03\x01\x00\x02\x02\x46"},
		{"HTTP to plain", mqtt, false, get, cause.WSToTCPPort, "This port speaks MQTT, not HTTP"},
		{"HTTP to TLS", mqtts, false, get, cause.WSToTCPPort, "This port speaks MQTT with TLS, not HTTP"},
		{"HTTPS to MQTT with TLS", mqtts, true, get, cause.WSToTCPPort, "This port speaks MQTT, not HTTP"},
		{"HTTP to secure WebSocket", wss, false, get, cause.PlainToTLSPort, "https:// or wss://"},
		{"MQTT 3.1.1 to TLS", mqtts, false, string(connectPacket(packet.V311)), cause.PlainToTLSPort, "\x20\x02\x00\x03"},
		{"MQTT 5 to TLS", mqtts, false, string(connectPacket(packet.V5)), cause.PlainToTLSPort, "plain-to-tls-port: the client speaks MQTT without TLS"},
		{"half a CONNECT to TLS", mqtts, false, "\x10\x0c\x00\x04MQ", "", ""},
		{"MQTT to secure WebSocket", wss, false, string(connectPacket(packet.V5)), cause.PlainToTLSPort, "MQTT over WebSocket with TLS"},
		{"MQTT 3.1 to WebSocket", webs, false, string(connectPacket(packet.V31)), cause.TCPToWSPort, "\x20\x02\x00\x03"},
		{"MQTT 5 to WebSocket", webs, false, string(connectPacket(packet.V5)), cause.TCPToWSPort, "connect with ws://"},
		{"MQTT 5 inside TLS to WebSocket", wss, true, string(connectPacket(packet.V5)), cause.TCPToWSPort, "connect with ws"},
		{"PROXY 1 to plain", mqtt, false, "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", cause.ProxyHeaderUnexpected, ""},
		{"PROXY 2 to plain", mqtt, false, proxySignature2 + "\x21\x11\x00\x0c", cause.ProxyHeaderUnexpected, ""},
		{"PROXY to TLS", mqtts, false, "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", cause.ProxyHeaderUnexpected, ""},
		{"PROXY to auto", auto, false, "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", cause.ProxyHeaderUnexpected, ""},
		{"no PROXY header", trusted, false, string(connectPacket(packet.V5)), cause.ProxyHeaderMissing, ""},
		{"no PROXY header with TLS", trustTL, false, string(hello(t)), cause.ProxyHeaderMissing, ""},
		{"bad PROXY header", trusted, false, "PROXY TCP4 1.2.3.4 nonsense\r\n", cause.ProxyHeaderMalformed, ""},
		{"endless PROXY header", trusted, false, "PROXY " + strings.Repeat("x", 200), cause.ProxyHeaderMalformed, ""},
		{"huge PROXY header", trustTL, false, proxySignature2 + "\x21\x11\xff\xff", cause.ProxyHeaderMalformed, ""},
		{"SSH to plain", mqtt, false, "SSH-2.0-OpenSSH_9.2\r\n", cause.UnknownProtocol, "This port speaks MQTT, not SSH.\r\n"},
		{"SSH to TLS", mqtts, false, "SSH-2.0-OpenSSH_9.2\r\n", cause.UnknownProtocol, "not SSH"},
		{"noise to auto", auto, false, "\xff\xff\xff", cause.UnknownProtocol, ""},
		{"noise to TLS", mqtts, false, "\xff\xff\xff", cause.UnknownProtocol, ""},
		{"noise to WebSocket", webs, false, "\xff\xff\xff", cause.UnknownProtocol, ""},
		{"bad HTTP", webs, false, "GET / HTTP/1.1\r\nHost: x\r\n bad\x00\r\n\r\n", cause.WSUpgradeInvalid, "400 Bad Request"},
		{"wrong subprotocol", webs, false, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
			cause.WSSubprotocol, "Offer \"mqtt\""},
		{"foreign page", from("https://a.example"), false, "GET / HTTP/1.1\r\nHost: x\r\nOrigin: https://a.exampl\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
			cause.WSOrigin, "403 Forbidden"},
		{"bad upgrade", webs, false, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n",
			cause.WSUpgradeInvalid, "400 Bad Request"},
	}
	for _, goroutines := range []bool{false, true} {
		for _, tt := range tests {
			name := tt.name
			if goroutines {
				name += "/goroutines"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				refused := make(refusals, 10)
				s := opened(t, newEcho(t), Options{Goroutines: goroutines, Refused: refused.option()}, tt.cfg(t, a))
				c := plainTCP(t, s, a)
				if tt.tls {
					c = startTLS(t, c, a.client(t))
				}
				// One byte first: the decision waits for what it needs.
				io.WriteString(c, tt.send[:1])
				time.Sleep(5 * time.Millisecond)
				io.WriteString(c, tt.send[1:])
				if tt.cause == "" {
					c.Close()
					if r := next(t, refused); r.Cause != cause.PlainToTLSPort {
						t.Errorf("refused: %+v", r)
					}
					return
				}
				got, err := io.ReadAll(c)
				if err != nil {
					t.Errorf("the client got an error instead of an orderly end: %v", err)
				}
				if !bytes.Contains(got, []byte(tt.answer)) {
					t.Errorf("answer %q, want %q", got, tt.answer)
				}
				r := next(t, refused)
				if r.Cause != tt.cause || r.Text == "" || r.Remote.String() != c.LocalAddr().String() || r.Listener != s.Sockets()[0].Listener {
					t.Errorf("refused: %+v, want %s", r, tt.cause)
				}
				select {
				case r := <-refused:
					t.Errorf("refused again: %+v", r)
				default:
				}
			})
		}
	}
}

// A person with a browser is told what the port is.
func TestPlainGet(t *testing.T) {
	s := opened(t, newEcho(t), Options{}, webs(t, nil))
	res, err := http.Get("http://" + addrOf(t, s).String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusUpgradeRequired || !strings.Contains(string(body), "MQTT over WebSocket") {
		t.Errorf("%s: %s", res.Status, body)
	}
}
