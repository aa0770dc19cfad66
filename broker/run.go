package broker

import (
	"bytes"

	"picket/cluster/wire"
	"picket/listener"
	"picket/packet"
	"picket/session"
	"picket/topic"
)

// maxRun is how many packets are routed together at most.
const maxRun = 16384

// run is what a worker routes at once: consecutive PUBLISH packets of one client that go to the same receivers in the same way, or one message that no
// connection brings (a will, the broker's own). The packets have the same first byte and the same properties; payloads and packet identifiers differ, and names
// may, as long as the routes of all of them lead to the same receivers. So the work for a receiver (its lock, its window, its place among those to be
// written to) is done once for all of them, and where it gets them as they came, with one copy.
//
// A run lives from when its first packet is read until the last receiver has been served. It belongs to its worker and is used again for the next one; raw, name and
// props lie in the reading buffer, which is read into again afterwards. Whoever has to keep something takes a message ([run.message]) or a copy ([run.keep]).
type run struct {
	from    *connection // nil: the broker itself
	s       *Session    // from's
	version packet.Version
	first   byte // first byte of every packet
	qos     byte
	retain  bool
	name    []byte // topic name of the first packet, mount point included
	prefix  int    // length of the publisher's mount point
	props   []byte // MQTT 5 properties as received, or as kept in a message
	plain   bool   // props may be forwarded as they are
	expiry  uint32
	expires bool // there is an expiry interval

	raw      []byte             // the packets as they came; nil: messages holds the only one
	start    []int32            // where each packet starts in raw, and where the last one ends
	payload  []int32            // where each payload starts in raw
	ids      []uint16           // packet identifiers, at QoS 1 and 2
	has      *identifiers       // the same at QoS 2, where none may come twice; empty between runs
	route    *route             // who gets it
	routes   []*route           // the route of each packet where their names differ; empty: name is that of all
	passing  int                // how many of the worker's passing routes it has
	messages []*session.Message // the packets as messages, made when somebody has to keep one
	n        int
	bytes    int // of payloads

	encodings *encodings
	single    bool   // one session alone wants it
	forwarded []byte // the properties that messages have, when one has been made
	kept      []byte // payload keptAt, copied
	keptAt    int
	origin    *wire.Run // it comes from another node, and raw holds payloads without packets around them; nil: it was published here
	stand     stand     // which sessions get it
	own       bool      // raw is ours: a large packet that came alone
}

func (r *run) body(i int) []byte {
	if r.raw == nil {
		return r.messages[i].Payload
	}
	return r.raw[r.payload[i]:r.start[i+1]]
}

// topic is the name that packet i was published to, mount point included.
func (r *run) topic(i int) []byte {
	if len(r.routes) == 0 {
		return r.name
	}
	end := int(r.payload[i]) - r.behindName()
	return r.raw[end-len(r.routes[i].name) : end]
}

// behindName is how many bytes of each packet are between its name and its payload.
func (r *run) behindName() int {
	n := 0
	if r.qos > 0 {
		n = 2
	}
	if r.version == packet.V5 {
		n += propertyLength(r.props)
	}
	return n
}

// id is the packet identifier of packet i; 0 at QoS 0.
func (r *run) id(i int) uint16 {
	if len(r.ids) == 0 {
		return 0
	}
	return r.ids[i]
}

// bodies is the sum of the payloads of packets i to j.
func (r *run) bodies(i, j int) int {
	if i == 0 && j == r.n {
		return r.bytes
	}
	n := 0
	for ; i < j; i++ {
		n += len(r.body(i))
	}
	return n
}

// keep returns the payload of packet i in memory that is not written to again.
func (r *run) keep(i int) []byte {
	switch {
	case r.own || r.raw == nil:
		return r.body(i)
	case i < len(r.messages) && r.messages[i] != nil:
		return r.messages[i].Payload
	case r.kept == nil || r.keptAt != i:
		r.kept, r.keptAt = bytes.Clone(r.body(i)), i
	}
	return r.kept
}

// message is packet i as something to keep.
func (r *run) message(b *Broker, i int) *session.Message {
	if r.raw == nil {
		return r.messages[i]
	}
	for len(r.messages) < r.n {
		r.messages = append(r.messages, nil)
	}
	if r.messages[i] == nil {
		r.messages[i] = r.build(b, i)
	}
	return r.messages[i]
}

// build makes the message of packet i.
func (r *run) build(b *Broker, i int) *session.Message {
	m := &session.Message{Payload: r.keep(i), QoS: r.qos, Retain: r.retain}
	if r.origin != nil {
		m.From, m.User, m.Door = r.origin.From, r.origin.User, r.origin.Door
	} else {
		m.From, m.User = r.s.id, r.s.rules.Load().Username
	}
	if r.retain && b.settings.Load().CheckRetainSource {
		m.Door = listenerKey(r.from.from)
	}
	m.ID, m.Single = b.store.NewMessageID(), r.single
	if m.Topic = r.route.name; len(r.routes) > 0 {
		m.Topic = r.routes[i].name
	}
	if r.forwarded == nil && len(r.props) > 0 {
		r.forwarded = packet.AppendForward(nil, r.props)
	}
	m.Props = r.forwarded
	if r.expires {
		m.Expires = b.seconds() + int64(r.expiry)
	}
	return m
}

// begin makes the run an empty one, for the sessions that stand somewhere. What follows is set by whoever begins it: everything up to expires.
func (r *run) begin(at stand) {
	r.stand = at
	r.start, r.payload, r.ids = r.start[:0], r.payload[:0], r.ids[:0]
	r.route, r.routes, r.raw = nil, r.routes[:0], nil
	r.n, r.bytes, r.passing = 0, 0, 0
	if r.encodings == nil {
		r.encodings = new(encodings)
	}
	r.encodings.made = 0
}

// drop lets go of what the run refers to.
func (r *run) drop() {
	if r.qos == 2 {
		for _, id := range r.ids {
			r.has[id>>6] = 0
		}
	}
	r.raw, r.name, r.props, r.from, r.s, r.route = nil, nil, nil, nil, nil, nil
	if len(r.messages) > 0 {
		clear(r.messages)
		r.messages = r.messages[:0]
	}
	r.kept, r.forwarded, r.origin, r.own, r.single = nil, nil, nil, false, false
}

func (r *run) add(start, payload, end int, id uint16) {
	r.start = append(r.start, int32(start))
	r.payload = append(r.payload, int32(payload))
	r.bytes += end - payload
	if r.qos > 0 {
		r.ids = append(r.ids, id)
	}
	if r.qos == 2 {
		if r.has == nil {
			r.has = new(identifiers)
		}
		r.has[id>>6] |= 1 << (id & 63)
	}
	r.n++
}

// identifiers is a set of packet identifiers.
type identifiers [1 << 10]uint64

func (s *identifiers) contains(id uint16) bool { return s[id>>6]&(1<<(id&63)) != 0 }

// gather makes the run of the PUBLISH packet at the start of in, whole, and of those after it that can go with it. p is the first of them.
func (w *worker) gather(c *connection, in []byte, p *packet.Publish) error {
	r, t := &w.run, c.b.settings.Load()
	r.begin(c.b.standing())
	head, remaining, _ := packet.Header(in)
	if err := p.Decode(c.version, in[0], in[head:head+remaining]); err != nil {
		if e, ok := err.(*packet.Error); ok && len(p.Topic) == 0 && e.Code == packet.ProtocolError && t.Compat.AliasErrorMalformed {
			e.Code = packet.MalformedPacket
		}
		return err
	}
	if err := c.allowedToPublish(p, t); err != nil {
		return err
	}
	name, err := c.resolveAlias(p)
	if err != nil {
		return err
	}
	mount := c.s.mount
	if mount != "" {
		w.name = append(append(w.name[:0], mount...), name...)
		name = w.name
	}
	if r.route = w.cached(name); r.route == nil { // else it has been checked before
		if err := topic.CheckName(name[len(mount):]); err != nil {
			return nameError(err)
		}
		r.route = w.lookup(name)
	}
	r.from, r.s, r.version, r.first = c, c.s, c.version, in[0]
	r.qos, r.retain, r.name, r.prefix = p.QoS, p.Retain, name, len(mount)
	r.props, r.plain, r.expiry, r.expires = p.Props, p.Alias == 0, p.Expiry, p.HasExpiry
	taken := head + remaining
	r.add(0, taken-len(p.Payload), taken, p.ID)
	if p.QoS == 2 {
		c.s.mu.Lock() // a connection that takes the session over may be at it already
	}
	// DUP, and QoS 2 packets that were seen before, are looked at one by one.
	if !p.Dup && !p.PayloadUTF8 && (p.QoS < 2 || !c.s.in.Has(p.ID)) && (t.MessageSizeLimit == 0 || len(p.Payload) <= t.MessageSizeLimit) {
		taken = w.extend(c, in, taken, head, head+2+len(p.Topic), t)
	}
	if p.QoS == 2 {
		c.s.mu.Unlock()
	}
	r.raw = in[:taken]
	r.own = taken == len(in) && taken >= listener.OwnedFrom
	r.start = append(r.start, int32(taken))
	return nil
}

// extend adds the packets from at on that can go with the first, and returns where the next one begins. The first one's name, with its length before it, lies from head
// to end. Most clients send the same name and the same size over and over: all that is before the name's end is then compared as one.
func (w *worker) extend(c *connection, in []byte, at, head, end int, t *settings) int {
	r, limit, now := &w.run, c.b.packetLimit(c, connected, nil), w.b.index.Changes()
	mixed := r.plain && !r.retain && r.prefix == 0 && r.route.name[0] != '$' && c.mayPublish(r.route).Allow // names may differ
	bare := r.qos == 0 && r.version != packet.V5                                                            // the payload follows the name
	last, size, front, name := r.route, at, in[:end], in[head:end]                                          // those of the packet before
	for r.n < maxRun {
		rest := in[at:]
		if len(r.routes) > 0 || len(rest) < size || !bytes.Equal(rest[:len(front)], front) {
			end := 0
			if head, end, size = r.front(rest, limit); end == 0 {
				break
			}
			if next := rest[head:end]; len(r.routes) > 0 || !bytes.Equal(next, name) {
				if !mixed {
					break
				}
				if last = w.follow(c, last, next[2:], now); last == nil {
					break
				}
				for len(r.routes) < r.n {
					r.routes = append(r.routes, r.route)
				}
			}
			front, name = rest[:end], rest[head:end]
		}
		payload, id := len(front), uint16(0)
		if !bare {
			if payload, id = r.behind(c, rest[:size], payload); payload == 0 {
				break
			}
		}
		if t.MessageSizeLimit > 0 && size-payload > t.MessageSizeLimit {
			break
		}
		r.add(at, at+payload, at+size, id)
		if len(r.routes) > 0 {
			r.routes = append(r.routes, last)
		}
		at += size
	}
	return at
}

// front tells where the name of the packet at the start of b lies, with its length before it, and how long the packet is. The name ends at 0 where the packet does not
// begin as the run's first one does, is not whole or is too long.
func (r *run) front(b []byte, limit int) (head, end, size int) {
	if len(b) < 2 || b[0] != r.first {
		return 0, 0, 0
	}
	head, remaining, err := packet.Header(b)
	size = head + remaining
	if err != nil || head == 0 || size > min(len(b), limit) || remaining < 2 {
		return 0, 0, 0
	}
	end = head + 2 + int(b[head])<<8 + int(b[head+1])
	if end > size {
		return 0, 0, 0
	}
	return head, end, size
}

// behind reads what stands in body behind the name, which ends at name, and returns where the payload begins and the packet identifier. The payload begins at 0 when
// the packet cannot go along.
func (r *run) behind(c *connection, body []byte, name int) (payload int, id uint16) {
	payload = name
	if r.qos > 0 {
		if len(body) < payload+2 {
			return 0, 0
		}
		id = uint16(body[payload])<<8 | uint16(body[payload+1])
		payload += 2
		if id == 0 || r.qos == 2 && (c.s.in.Has(id) || r.has.contains(id)) {
			return 0, 0
		}
	}
	if r.version == packet.V5 {
		// One byte of length: runs with longer properties are rare, and end here.
		n := len(r.props)
		if n > 127 || len(body) < payload+1+n || int(body[payload]) != n || !bytes.Equal(body[payload+1:payload+1+n], r.props) {
			return 0, 0
		}
		payload += 1 + n
	}
	return payload, id
}

// carry makes the run one message that no connection brings.
func (w *worker) carry(m *session.Message, expiry uint32, expires bool) {
	r := &w.run
	r.begin(w.b.standing())
	w.name = append(w.name[:0], m.Topic...)
	r.version, r.qos, r.retain, r.name, r.prefix = packet.V5, m.QoS, m.Retain, w.name, 0
	r.first = byte(packet.PUBLISH)<<4 | m.QoS<<1 | bit(m.Retain)
	r.props, r.plain, r.expiry, r.expires = m.Props, true, expiry, expires
	if m.ID == 0 {
		m.ID = w.b.store.NewMessageID()
	}
	r.messages = append(r.messages, m)
	r.n, r.bytes = 1, len(m.Payload)
}
