package broker

import "picket/packet"

// encodings are the forms in which receivers get a run: most of them get the same one. All memory in it is kept for the next run.
type encodings struct {
	variants [6]variant
	made     int // variants that hold this run
	props    []byte
}

// variant is the run encoded for one kind of receiver. When a receiver's packets are byte for byte what came in (but for the packet identifiers), buf is
// the reading buffer itself.
type variant struct {
	key    variantKey
	buf    []byte
	own    []byte  // memory for buf, kept between runs
	start  []int32 // where each packet starts, and where the last one ends
	starts []int32 // memory for start
	id     []int32 // where each packet identifier is, at QoS 1 and 2
}

type variantKey struct {
	v5     bool
	qos    byte
	retain bool
	prefix int // length of the receiver's mount point
}

// as returns the run in the form that key describes.
func (r *run) as(key variantKey) *variant {
	e := r.encodings
	for i := range e.made {
		if e.variants[i].key == key {
			return &e.variants[i]
		}
	}
	if e.made == len(e.variants) {
		e.made-- // more kinds of receivers than anyone has: the last place is used again and again
	}
	v := &e.variants[e.made]
	e.made++
	v.key, v.id = key, v.id[:0]
	if r.raw == nil || r.origin != nil || !r.plain || key.v5 != (r.version == packet.V5) || key.prefix != r.prefix || r.first != byte(packet.PUBLISH)<<4|key.qos<<1|bit(key.retain) {
		r.encode(v)
		return v
	}
	v.buf, v.start = r.raw, r.start
	if key.qos > 0 {
		back := int32(r.behindName()) // the identifier stands right behind the name
		for _, p := range r.payload {
			v.id = append(v.id, p-back)
		}
	}
	return v
}

// encode writes the run's packets as v.key says.
func (r *run) encode(v *variant) {
	v.own, v.starts = v.own[:0], v.starts[:0]
	version, behind := packet.V311, 2
	var props []byte
	if v.key.v5 {
		props = appendProperties(r.encodings.props[:0], r.props, r.expires, r.expiry, nil)
		r.encodings.props = props
		version, behind = packet.V5, 2+propertyLength(props)
	}
	for i := range r.n {
		p := packet.Publish{QoS: v.key.qos, Retain: v.key.retain, Topic: r.topic(i)[v.key.prefix:], ID: 1, Props: props, Payload: r.body(i)}
		v.starts = append(v.starts, int32(len(v.own)))
		v.own = p.Append(v.own, version)
		if v.key.qos > 0 {
			v.id = append(v.id, int32(len(v.own)-len(p.Payload)-behind))
		}
	}
	v.starts = append(v.starts, int32(len(v.own)))
	v.buf, v.start = v.own, v.starts
}

// appendProperties appends the properties of a PUBLISH to a receiver: those that are forwarded of the publisher's, the rest of the expiry interval, and the
// identifiers of the subscriptions that matched.
func appendProperties(dst, published []byte, expires bool, expiry uint32, ids []uint32) []byte {
	dst = packet.AppendForward(dst, published)
	if expires {
		dst = packet.AppendExpiry(dst, expiry)
	}
	for _, id := range ids {
		dst = packet.AppendSubscriptionID(dst, id)
	}
	return dst
}

// propertyLength is what properties take up in a packet, their length prefix included.
func propertyLength(props []byte) int { return packet.SizeVarint(len(props)) + len(props) }
