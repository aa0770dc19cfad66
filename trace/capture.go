package trace

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"

	"picket/cause"
)

// Capture writes events as a pcapng capture (draft-ietf-opsawg-pcapng) whose packets are MQTT whatever was around them on the wire: link type 252, Wireshark's exported PDU,
// which names the dissector and the addresses before each. So a trace of TLS or WebSocket, or on any port, opens as MQTT, and comments carry cause and remedy.
type Capture struct{ lang cause.Lang }

// NewCapture makes a capture whose comments are in a language.
func NewCapture(lang cause.Lang) *Capture { return &Capture{lang} }

// Types of blocks and options of pcapng, and tags of exported PDUs.
const (
	blockSection   = 0x0A0D0D0A
	blockInterface = 1
	blockPacket    = 6

	linkExported = 252

	optionEnd         = 0
	optionComment     = 1
	optionApplication = 4 // of a section
	optionName        = 2 // of an interface
	optionResolution  = 9 // of an interface
	optionFlags       = 2 // of a packet

	tagDissector  = 12
	tagFrom4      = 20
	tagTo4        = 21
	tagFrom6      = 22
	tagTo6        = 23
	tagPortType   = 24
	tagFromPort   = 25
	tagToPort     = 26
	portTypeTCP   = 2
	maxComment    = 8 << 10
	nanoseconds   = 9 // 10^-9 s
	flagInbound   = 1
	flagOutbound  = 2
	usualMQTTPort = 1883
)

var order = binary.LittleEndian

// Begin is the beginning of the capture.
func (c *Capture) Begin(application string) []byte {
	section := order.AppendUint32(nil, 0x1A2B3C4D) // by which readers know the order of bytes
	section = order.AppendUint16(section, 1)
	section = order.AppendUint16(section, 0)
	section = order.AppendUint64(section, ^uint64(0)) // its length is not known
	section = option(section, optionApplication, []byte(application))
	section = option(section, optionEnd, nil)

	iface := order.AppendUint16(nil, linkExported)
	iface = order.AppendUint16(iface, 0)
	iface = order.AppendUint32(iface, 0) // no limit to packets
	iface = option(iface, optionName, []byte("picket"))
	iface = option(iface, optionResolution, []byte{nanoseconds})
	iface = option(iface, optionEnd, nil)
	return append(block(blockSection, section), block(blockInterface, iface)...)
}

// Append adds an event: a packet with its comments, and everything else as a line of text.
func (c *Capture) Append(dst []byte, e *Event) []byte {
	data, size, dissector := e.Data, e.whole(), "mqtt"
	comment := string(c.comment(e))
	if e.Kind != Packet {
		data, dissector = []byte(comment), "data-text-lines"
		size = len(data)
	}
	before := tag(nil, tagDissector, []byte(dissector))
	if e.Peer != nil {
		before = addresses(before, e)
	}
	before = append(before, 0, 0, 0, 0) // the end of the tags
	body := order.AppendUint32(nil, 0)  // the interface
	body = order.AppendUint32(body, uint32(uint64(e.At)>>32))
	body = order.AppendUint32(body, uint32(uint64(e.At)))
	body = order.AppendUint32(body, uint32(len(before)+len(data)))
	body = order.AppendUint32(body, uint32(len(before)+size))
	body = pad(append(append(body, before...), data...))
	flags := uint32(flagInbound)
	if e.Out {
		flags = flagOutbound
	}
	body = option(body, optionFlags, order.AppendUint32(nil, flags))
	if comment != "" {
		body = option(body, optionComment, []byte(strings.ToValidUTF8(comment[:min(len(comment), maxComment)], "")))
	}
	return append(dst, block(blockPacket, option(body, optionEnd, nil))...)
}

// comment is what is to be said of an event beside its packet.
func (c *Capture) comment(e *Event) []byte {
	var text []byte
	add := func(s string) {
		if len(text) > 0 {
			text = append(text, '\n')
		}
		text = append(text, s...)
	}
	if e.Kind == Lost {
		add(fmt.Sprintf(texts.lost.In(c.lang), e.Lost))
	}
	if e.Kind == End {
		add(texts.ended.In(c.lang))
	}
	for _, remark := range e.remarks(c.lang) {
		add(remark)
	}
	if e.Text != "" {
		add(e.Text)
	}
	if about, ok := cause.Lookup(e.Cause); ok {
		add(fmt.Sprintf("%s [%s]", about.Title.In(c.lang), e.Cause))
		remedy, _ := about.Remedy.Render(c.lang, nil)
		add(fmt.Sprintf(texts.remedy.In(c.lang), remedy))
	}
	return text
}

// addresses adds where a packet comes from and goes to. A Unix socket has none: its two ends stand for this machine, with a port that tells its connection from others.
func addresses(dst []byte, e *Event) []byte {
	from, to := e.Peer.Remote, e.Peer.Local
	if !from.IsValid() {
		from = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(e.Peer.Number))
	}
	if !to.IsValid() {
		to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), usualMQTTPort)
	}
	if e.Out {
		from, to = to, from
	}
	dst = address(dst, from, tagFrom4, tagFrom6)
	dst = address(dst, to, tagTo4, tagTo6)
	dst = tag(dst, tagPortType, binary.BigEndian.AppendUint32(nil, portTypeTCP))
	dst = tag(dst, tagFromPort, binary.BigEndian.AppendUint32(nil, uint32(from.Port())))
	return tag(dst, tagToPort, binary.BigEndian.AppendUint32(nil, uint32(to.Port())))
}

func address(dst []byte, a netip.AddrPort, tag4, tag6 uint16) []byte {
	ip := a.Addr().Unmap()
	if ip.Is4() {
		return tag(dst, tag4, ip.AsSlice())
	}
	return tag(dst, tag6, ip.AsSlice())
}

// tag adds a tag of an exported PDU; its numbers are big-endian, and its length counts the padding.
func tag(dst []byte, id uint16, value []byte) []byte {
	value = pad(value)
	dst = binary.BigEndian.AppendUint16(dst, id)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(value)))
	return append(dst, value...)
}

func option(dst []byte, code uint16, value []byte) []byte {
	dst = order.AppendUint16(dst, code)
	dst = order.AppendUint16(dst, uint16(len(value)))
	return append(dst, pad(value)...)
}

func block(kind uint32, body []byte) []byte {
	size := uint32(len(body) + 12)
	dst := order.AppendUint32(nil, kind)
	dst = order.AppendUint32(dst, size)
	return order.AppendUint32(append(dst, body...), size)
}

// pad adds zeros up to a multiple of four bytes.
func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
