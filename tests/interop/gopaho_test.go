//go:build unix

package interop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// trust is what a client trusts that is given o.CA.
func (o options) trust() (*tls.Config, error) {
	if o.CA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(o.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", o.CA)
	}
	return &tls.Config{RootCAs: pool}, nil
}

// pahoGo3 is paho.mqtt.golang: MQTT 3.1 and 3.1.1.
func pahoGo3(*testing.T) func(options) (connection, error) {
	return func(o options) (connection, error) {
		trust, err := o.trust()
		if err != nil {
			return nil, err
		}
		c := &pahoGo3Connection{messages: make(chan message, queued)}
		co := mqtt.NewClientOptions().AddBroker(o.URL).SetClientID(o.ClientID).SetUsername(o.Username).SetPassword(o.Password).
			SetProtocolVersion(uint(o.Version)).SetAutoReconnect(false).SetConnectTimeout(timeout).SetTLSConfig(trust).
			SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
				c.messages <- message{Topic: m.Topic(), Payload: string(m.Payload()), QoS: m.Qos(), Retain: m.Retained()}
			})
		if w := o.Will; w != nil {
			co.SetWill(w.Topic, w.Payload, w.QoS, w.Retain)
		}
		if trust == nil && o.scheme() == "mqtt" {
			co.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
				var err error
				c.raw, err = net.DialTimeout("tcp", u.Host, timeout)
				return c.raw, err
			})
		}
		c.client = mqtt.NewClient(co)
		return c, settled(c.client.Connect())
	}
}

func (o options) scheme() string {
	u, err := url.Parse(o.URL)
	if err != nil {
		return ""
	}
	return u.Scheme
}

type pahoGo3Connection struct {
	client   mqtt.Client
	raw      net.Conn
	messages chan message
}

func settled(token mqtt.Token) error {
	if !token.WaitTimeout(timeout) {
		return errors.New("no answer in time")
	}
	return token.Error()
}

func (c *pahoGo3Connection) Subscribe(filter string, qos byte) error {
	token := c.client.Subscribe(filter, qos, nil)
	if err := settled(token); err != nil {
		return err
	}
	// There is one filter in it, less a "$share/group/".
	for _, granted := range token.(*mqtt.SubscribeToken).Result() {
		if granted != qos {
			return fmt.Errorf("granted %d", granted)
		}
	}
	return nil
}

func (c *pahoGo3Connection) Publish(messages ...message) error {
	tokens := make([]mqtt.Token, len(messages))
	for i, m := range messages {
		tokens[i] = c.client.Publish(m.Topic, m.QoS, m.Retain, m.Payload)
	}
	for _, token := range tokens {
		if err := settled(token); err != nil {
			return err
		}
	}
	return nil
}

func (c *pahoGo3Connection) Messages() <-chan message { return c.messages }
func (c *pahoGo3Connection) Drop() error              { return c.raw.Close() }

func (c *pahoGo3Connection) Close() error {
	c.client.Disconnect(250)
	return nil
}

// pahoGo5 is paho.golang with its connection manager: MQTT 5.
func pahoGo5(*testing.T) func(options) (connection, error) {
	return func(o options) (connection, error) {
		trust, err := o.trust()
		if err != nil {
			return nil, err
		}
		u, err := url.Parse(o.URL)
		if err != nil {
			return nil, err
		}
		c := &pahoGo5Connection{messages: make(chan message, queued)}
		refused := make(chan error, 1)
		config := autopaho.ClientConfig{
			ServerUrls: []*url.URL{u}, TlsCfg: trust, KeepAlive: 60, CleanStartOnInitialConnection: true, ConnectTimeout: timeout,
			ConnectUsername: o.Username, ConnectPassword: []byte(o.Password),
			// One attempt: the scenario wants to know how it ends.
			ReconnectBackoff: func(attempt int) time.Duration {
				if attempt > 0 {
					return 24 * time.Hour
				}
				return 0
			},
			OnConnectionDown: func() bool { return false },
			OnConnectError:   func(err error) { refused <- err },
			ClientConfig: paho.ClientConfig{
				ClientID: o.ClientID,
				OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
					p := r.Packet
					c.messages <- message{Topic: p.Topic, Payload: string(p.Payload), QoS: p.QoS, Retain: p.Retain}
					return true, nil
				}},
			},
		}
		if w := o.Will; w != nil {
			config.WillMessage = &paho.WillMessage{Topic: w.Topic, Payload: []byte(w.Payload), QoS: w.QoS, Retain: w.Retain}
		}
		if u.Scheme == "mqtt" {
			config.AttemptConnection = func(ctx context.Context, _ autopaho.ClientConfig, u *url.URL) (net.Conn, error) {
				var d net.Dialer
				conn, err := d.DialContext(ctx, "tcp", u.Host)
				c.raw = conn
				return packets.NewThreadSafeConn(conn), err
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		c.cancel = cancel
		c.manager, err = autopaho.NewConnection(ctx, config)
		if err != nil {
			cancel()
			return nil, err
		}
		up := make(chan error, 1)
		go func() { up <- c.manager.AwaitConnection(ctx) }()
		select {
		case err = <-up:
		case err = <-refused:
		case <-time.After(timeout):
			err = errors.New("no connection in time")
		}
		if err != nil {
			cancel()
		}
		return c, err
	}
}

type pahoGo5Connection struct {
	manager  *autopaho.ConnectionManager
	cancel   context.CancelFunc
	raw      net.Conn
	messages chan message
}

func (c *pahoGo5Connection) Subscribe(filter string, qos byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	ack, err := c.manager.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: qos}}})
	if err == nil && ack.Reasons[0] != qos {
		err = fmt.Errorf("granted %d", ack.Reasons[0])
	}
	return err
}

// Publish sends one message after the other, so that their order is certain.
func (c *pahoGo5Connection) Publish(messages ...message) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	for _, m := range messages {
		_, err := c.manager.Publish(ctx, &paho.Publish{Topic: m.Topic, Payload: []byte(m.Payload), QoS: m.QoS, Retain: m.Retain})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *pahoGo5Connection) Messages() <-chan message { return c.messages }

func (c *pahoGo5Connection) Drop() error {
	err := c.raw.Close()
	c.cancel() // what it would send now goes nowhere
	<-c.manager.Done()
	return err
}

func (c *pahoGo5Connection) Close() error {
	defer c.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return c.manager.Disconnect(ctx)
}
