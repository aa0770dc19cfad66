package client

import (
	"errors"
	"fmt"
	"net"

	"picket/packet"
)

var (
	// ErrDone is what a Handler returns to have the message acknowledged and the connection ended in good order.
	ErrDone = errors.New("done")
	// ErrLeave is what a Handler returns to have the connection ended in good order without the message being acknowledged: the
	// server keeps it for the session's next connection.
	ErrLeave = errors.New("leave")
	// ErrConnectionLost is wrapped by the errors of a connection that ended without a word.
	ErrConnectionLost = errors.New("connection lost")
	// ErrKeepAlive is the end of a connection whose server did not answer a PINGREQ within a keep alive interval.
	ErrKeepAlive = errors.New("no answer to a ping within the keep alive time")
	// ErrClosed is returned by what is asked of a connection that has ended in good order.
	ErrClosed = errors.New("client is closed")
	// ErrPacketTooLarge is a packet above the server's Maximum Packet Size (MQTT-3.2.2-15). It has not been sent.
	ErrPacketTooLarge = errors.New("packet is larger than the server takes")
	// ErrQoSNotSupported is a message above the server's Maximum QoS (MQTT-3.2.2-11). It has not been sent.
	ErrQoSNotSupported = errors.New("server does not support this QoS")
	// ErrRetainNotSupported is a retained message for a server that keeps none (MQTT-3.2.2-14). It has not been sent.
	ErrRetainNotSupported = errors.New("server does not support retained messages")
	// ErrTopicAlias is a topic alias above the server's Topic Alias Maximum (MQTT-3.3.2-9). The message has not been sent.
	ErrTopicAlias = errors.New("topic alias is above what the server allows")
)

// RefusedError is a CONNACK that refuses the connection.
type RefusedError struct {
	Version packet.Version
	Code    packet.Code        // for MQTT 3.x: the reason code nearest to the return code
	Props   *packet.Properties // MQTT 5 only
}

// Return is the code as it came over the wire: the reason code of MQTT 5, the return code (1 to 5) of 3.x.
func (e *RefusedError) Return() int {
	if e.Version == packet.V5 {
		return int(e.Code)
	}
	return int(e.Code.Return3())
}

func (e *RefusedError) Error() string {
	return "connection refused: " + e.Code.String() + reason(e.Props)
}

// DisconnectError is a DISCONNECT that the server has sent.
type DisconnectError struct {
	Code  packet.Code
	Props *packet.Properties
}

func (e *DisconnectError) Error() string {
	return "disconnected by the server: " + e.Code.String() + reason(e.Props)
}

// ReasonError is the server's refusal of one message, subscription or unsubscription.
type ReasonError struct {
	Type  packet.Type // of the packet that was refused
	Topic string
	Code  packet.Code
	Props *packet.Properties
}

func (e *ReasonError) Error() string {
	what := map[packet.Type]string{packet.PUBLISH: "publish to", packet.SUBSCRIBE: "subscription to", packet.UNSUBSCRIBE: "unsubscription from"}[e.Type]
	return fmt.Sprintf("%s %q refused: %v%s", what, e.Topic, e.Code, reason(e.Props))
}

// reason is what the server gave as its reason, ready to stand behind a code's name.
func reason(p *packet.Properties) string {
	if !p.Has(packet.ReasonString) {
		return ""
	}
	return fmt.Sprintf(" (%q)", p.ReasonString)
}

// lost is the error of a connection whose reading or writing has failed. With TLS 1.3 a server refuses a client's certificate, or the lack of
// one, only after the client's side of the handshake: that is a [*TLSError], too.
func lost(err error) error {
	var alert *net.OpError
	if errors.As(err, &alert) && alert.Op == "remote error" {
		return &TLSError{err}
	}
	return fmt.Errorf("%w: %w", ErrConnectionLost, err)
}
