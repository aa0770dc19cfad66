package broker

import (
	"picket/cause"
	"picket/packet"
)

// maxAliasesOut bounds the table of aliases that one client can make us keep.
const maxAliasesOut = 256

// aliasSize is what a topic alias costs in memory, near enough.
func aliasSize[T ~string | ~[]byte](name T) int64 { return int64(len(name)) + 64 }

// resolveAlias returns the topic name of a PUBLISH and keeps the alias it sets (MQTT 5.0, 3.3.2.3.4).
func (c *connection) resolveAlias(p *packet.Publish) ([]byte, error) {
	if p.Alias == 0 {
		return p.Topic, nil
	}
	limit := c.from.MaxTopicAlias
	if p.Alias > limit {
		return nil, &packet.Error{Code: packet.TopicAliasInvalid, Clause: "MQTT-3.3.2-9", Text: "topic alias " + itoa(int(p.Alias)) + " above the maximum of " + itoa(int(limit))}
	}
	at := int(p.Alias) - 1
	if len(p.Topic) == 0 {
		if at >= len(c.aliases) || c.aliases[at] == "" {
			return nil, &packet.Error{Code: packet.ProtocolError, Clause: "MQTT-3.3.2-7", Text: "topic alias " + itoa(int(p.Alias)) + " was never set"}
		}
		return []byte(c.aliases[at]), nil
	}
	for at >= len(c.aliases) {
		c.aliases = append(c.aliases, "")
	}
	if old := c.aliases[at]; old != string(p.Topic) {
		if old != "" {
			c.b.memory.give(heldAliases, aliasSize(old))
			c.aliases[at] = ""
		}
		if !c.b.memory.take(heldAliases, aliasSize(p.Topic)) {
			return nil, &violation{packet: &packet.Error{Code: packet.QuotaExceeded, Text: "there is no memory for another topic alias"}, cause: cause.MemoryLimit}
		}
		c.aliases[at] = string(p.Topic)
	}
	return p.Topic, nil
}

// alias replaces a topic name that was sent before by its alias, and gives one to a new name while there are any left and there is memory for it: the
// client's Topic Alias Maximum is the number of names that are shortened. The session's mutex is held.
func (w *worker) alias(c *connection, p *packet.Publish) {
	m := c.more
	if a, ok := m.aliasOut[string(p.Topic)]; ok {
		p.Topic = nil
		p.Props = packet.AppendTopicAlias(p.Props, a)
		w.props = p.Props
		return
	}
	if len(m.aliasOut) >= int(m.aliasMax) || len(m.aliasOut) >= maxAliasesOut {
		return
	}
	// The alias makes this one packet longer; where that would not fit, the next one may.
	if m.maxPacket > 0 && packet.PublishSize(c.version, len(p.Topic), len(p.Props)+3, len(p.Payload), p.QoS) > int(m.maxPacket) {
		return
	}
	if !w.b.memory.take(heldAliases, aliasSize(p.Topic)) {
		return // the whole name is as good, and longer
	}
	if m.aliasOut == nil {
		m.aliasOut = make(map[string]uint16)
	}
	a := uint16(len(m.aliasOut) + 1)
	m.aliasOut[string(p.Topic)] = a
	p.Props = packet.AppendTopicAlias(p.Props, a)
	w.props = p.Props
}

// forgetAliases lets go of both tables of a connection that has ended. The session's mutex is held.
func (c *connection) forgetAliases() {
	n := int64(0)
	for _, name := range c.aliases {
		if name != "" {
			n += aliasSize(name)
		}
	}
	c.aliases = nil
	if c.more != nil {
		for name := range c.more.aliasOut {
			n += aliasSize(name)
		}
		c.more.aliasOut = nil
	}
	c.b.memory.give(heldAliases, n)
}
