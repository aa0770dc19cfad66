// Package trace says what passed between clients and the broker, for people ([Text]), for programs ([Lines]) and for Wireshark ([Capture]). It does no input or output of
// its own, and what is secret does not come to it: the broker takes passwords out before.
package trace

import (
	"net/netip"

	"picket/cause"
	"picket/packet"
)

// MaxPacket is how many bytes of a packet that is no PUBLISH are kept.
const MaxPacket = 64 << 10

// Peer is a connection. It does not change.
type Peer struct {
	Number    uint64         // tells connections apart
	Remote    netip.AddrPort // not valid: a Unix socket
	Local     netip.AddrPort
	Transport string // tcp, websocket or unix
	TLS       bool
	Client    string // the client identifier; empty: not known yet
	User      string
	Version   packet.Version // 0: not known yet
}

// Kind is what an event is.
type Kind string

// The kinds of events.
const (
	Packet Kind = "packet" // passed
	Note   Kind = "note"   // something was refused or dropped
	End    Kind = "end"    // of a connection
	Lost   Kind = "lost"   // events that the reader was too slow for
)

// Event is one thing that has happened. Nobody changes it.
type Event struct {
	Kind Kind
	At   int64 // nanoseconds since 1970
	Peer *Peer // nil only for [Lost]

	Out     bool   // from the broker to the client
	Data    []byte // the packet, as much of it as is kept
	Size    int    // of the packet on its connection, in bytes
	Payload int    // of a PUBLISH, in bytes; -1: it is none
	Topic   string // of a PUBLISH, also where the packet has an alias
	MadeUp  bool   // the packet was not sent: it says what was agreed on before the trace began
	Hidden  bool   // something secret has been taken out

	Cause cause.ID // why the packet says no, or what a note or an end is about; may be empty
	Text  string   // what was seen, in English
	Lost  int
}

// Cut tells whether not all of the packet has been kept.
func (e *Event) Cut() bool { return len(e.Data) < e.whole() }

// whole is how long the packet is by its own header; one that something secret was taken out of is shorter than what was sent.
func (e *Event) whole() int {
	head, remaining, err := packet.Header(e.Data)
	if err != nil || head == 0 {
		return e.Size
	}
	return head + remaining
}

// Bytes is near enough what the event takes in memory.
func (e *Event) Bytes() int { return 200 + len(e.Data) + len(e.Topic) + len(e.Text) }

// Type is the type of the packet.
func (e *Event) Type() packet.Type { return packet.Type(e.Data[0] >> 4) }

// decode reads what is kept of the packet; nil where that is too little.
func (e *Event) decode() packet.Packet {
	head, _, err := packet.Header(e.Data)
	if err != nil || head == 0 {
		return nil
	}
	version := e.Peer.Version
	if version == 0 {
		version = packet.V311
	}
	p, err := packet.Decode(version, e.Data[0], e.Data[head:])
	if err != nil {
		return nil
	}
	return p
}

// texts are what is said beside the packets.
var texts = struct{ madeUp, hidden, cut, ended, lost, remedy cause.Text }{
	madeUp: cause.Text{EN: "made up: the client was connected before the trace began", ZH: "补写的：跟踪开始前客户端已经连接"},
	hidden: cause.Text{EN: "what is secret has been left out", ZH: "机密内容已略去"},
	cut:    cause.Text{EN: "%d of %d bytes", ZH: "前 %d 字节，共 %d 字节"},
	ended:  cause.Text{EN: "the connection has ended", ZH: "连接已结束"},
	lost:   cause.Text{EN: "%d events are missing here: the reader was too slow", ZH: "此处缺少 %d 条：读取太慢"},
	remedy: cause.Text{EN: "What to do: %s", ZH: "处理办法：%s"},
}

// Named is the connection when it is known whose it is.
func (p *Peer) Named(client, user string, v packet.Version) *Peer {
	named := *p
	named.Client, named.User, named.Version = client, user, v
	return &named
}
