package broker

import (
	"picket/access"
	"picket/cause"
	"picket/logging"
	"picket/packet"
)

// refusal is why a CONNECT is not accepted.
type refusal struct {
	code packet.Code
	id   cause.ID
	text string // for the log and the reason string; never a secret

	level     logging.Type // of the line in the log; 0 stands for a notice
	by        *connection  // whose failed attempt it is; nil: nobody's
	silent    bool         // a client that is connected gets no DISCONNECT
	reference string       // the server to use instead; may be empty
	told      bool         // the reason string is sent whatever reason_strings says
}

func (r *refusal) incident() incident {
	return incident{cause: r.id, seen: r.text, level: r.level, by: r.by}
}

// properties are those of the CONNACK or DISCONNECT that says no, with its reason string: nil for none.
func (c *connection) properties(r refusal, reason string) *packet.Properties {
	var p *packet.Properties
	if c.explains(r.told) {
		p = new(packet.Properties).Set(packet.ReasonString)
		p.ReasonString = reason
	}
	if r.reference != "" && c.v5() {
		if p == nil {
			p = new(packet.Properties)
		}
		p.Set(packet.ServerReference).ServerReference = r.reference
	}
	return p
}

// badConnect answers a CONNECT that could not be decoded, where there is an answer.
func (c *connection) badConnect(w *worker, err error) error {
	e, ok := err.(*packet.Error)
	if !ok {
		return err
	}
	switch {
	case e.Code == packet.UnsupportedProtocolVersion && e.Clause == "MQTT-3.1.2-1":
		c.showDenied(cause.ProtocolVersion, e.Text, true)
		c.b.report(incident{cause: cause.ProtocolVersion, level: logging.Info, by: c}, "Invalid protocol in CONNECT from %s: %v.", c.host(), e)
		c.end(w)
	case e.Code == packet.UnsupportedProtocolVersion:
		c.showDenied(cause.ProtocolVersion, e.Text, true)
		// Nobody knows the form of an answer in a version to come; the one of 3.1.1 is what everyone expects.
		c.b.report(incident{cause: cause.ProtocolVersion, level: logging.Info, by: c}, "Invalid protocol version in CONNECT from %s: %v.", c.host(), e)
		c.answerNo(w, packet.V311, &packet.Connack{Code: e.Code})
	case e.Code == packet.ClientIdentifierNotValid:
		c.showDenied(cause.EmptyClientID, e.Text, true)
		c.b.report(incident{cause: cause.EmptyClientID, by: c}, "Client from %s refused: %v.", c.address(), e)
		c.answerNo(w, packet.V311, &packet.Connack{Code: e.Code})
	default:
		return err
	}
	return nil
}

// no makes the CONNACK that refuses a client.
func (c *connection) no(r refusal, why string) *packet.Connack {
	ack := &packet.Connack{Code: r.code, Props: c.properties(r, why)}
	switch r.code {
	case packet.SessionTakenOver, packet.AdministrativeAction, packet.ServerShuttingDown, packet.KeepAliveTimeout:
		ack.Code = packet.ServerUnavailable // those are DISCONNECT's (MQTT-3.2.2-8)
	}
	if len(ack.Append(nil, c.version)) > c.maxPacket() {
		ack.Props = nil // MQTT-3.2.2-19
	}
	return ack
}

// answerNo sends a CONNACK in a version's form and closes.
func (c *connection) answerNo(w *worker, v packet.Version, ack *packet.Connack) {
	c.version = v
	code := byte(ack.Code)
	if !c.v5() {
		code = ack.Code.Return3()
	}
	c.b.debugf("Sending CONNACK to %s (0, %d)", c.host(), code)
	c.send(w, ack)
	c.end(w)
}

// refuse answers CONNECT with a failure and closes.
func (c *connection) refuse(w *worker, r refusal) {
	name, user := c.name(), ""
	if a := c.attempt; a != nil {
		if a.login.ClientID != "" {
			name = a.login.ClientID
		}
		if a.login.Username != "" && (a.client != nil || a.policy == nil || a.policy.Config().Tokens != access.TokensInName) { // which would be a secret
			user = ", u'" + a.login.Username + "'"
		}
	}
	line := "Client %s from %s refused (p%d%s): %s."
	if r.code == packet.NotAuthorized || r.code == packet.BadUserNameOrPassword {
		line = "Client %s from %s disconnected, not authorised (p%d%s): %s."
	}
	r.by = c
	c.showDenied(r.id, r.text, true)
	why := c.b.report(r.incident(), line, name, c.address(), c.version, user, r.text)
	c.answerNo(w, c.version, c.no(r, why))
}
