package trace

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"picket/cause"
	"picket/packet"
	"picket/printable"
)

// shownPayload is how many bytes of a payload a line shows.
const shownPayload = 256

// Text is an event as a line for people, with further lines for a cause: what it means and what to do.
func Text(e *Event, lang cause.Lang) []byte {
	var b strings.Builder
	if e.Kind == Lost {
		fmt.Fprintf(&b, "... "+texts.lost.In(lang)+"\n", e.Lost)
		return []byte(b.String())
	}
	fmt.Fprintf(&b, "%s %s ", time.Unix(0, e.At).Format("15:04:05.000000"), e.Peer.name())
	switch e.Kind {
	case Packet:
		arrow := "→ "
		if e.Out {
			arrow = "← "
		}
		b.WriteString(arrow + e.describe())
	case End:
		b.WriteString("✕ " + texts.ended.In(lang))
	case Note:
		b.WriteString("!")
	}
	for _, remark := range e.remarks(lang) {
		b.WriteString("  (" + remark + ")")
	}
	if e.Text != "" {
		b.WriteString("  " + printable.Text(e.Text))
	}
	b.WriteByte('\n')
	if about, ok := cause.Lookup(e.Cause); ok {
		fmt.Fprintf(&b, "    %s  [%s]\n", about.Title.In(lang), e.Cause)
		remedy, _ := about.Remedy.Render(lang, nil)
		fmt.Fprintf(&b, "    "+texts.remedy.In(lang)+"\n", remedy)
	}
	return []byte(b.String())
}

// remarks are what has to be known of a packet that is not as it was sent.
func (e *Event) remarks(lang cause.Lang) (all []string) {
	if e.MadeUp {
		all = append(all, texts.madeUp.In(lang))
	}
	if e.Hidden {
		all = append(all, texts.hidden.In(lang))
	}
	if e.Kind == Packet && e.Cut() {
		all = append(all, fmt.Sprintf(texts.cut.In(lang), len(e.Data), e.whole()))
	}
	return all
}

// name is how a line calls the client: its identifier, or its address as long as it has none.
func (p *Peer) name() string {
	switch {
	case p.Client != "":
		return printable.Text(p.Client)
	case p.Remote.IsValid():
		return plain(p.Remote).String()
	}
	return p.Transport
}

func plain(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// describe words the packet in MQTT's own names, which are the same in every language.
func (e *Event) describe() string {
	kind := e.Type().String()
	switch p := e.decode().(type) {
	case nil:
		return fmt.Sprintf("%s %d bytes", kind, e.Size)
	case *packet.Connect:
		s := fmt.Sprintf("%s MQTT %s, id %q, clean %t, keep alive %d", kind, p.Version, p.ClientID, p.CleanStart, p.KeepAlive)
		if p.HasUsername {
			s += fmt.Sprintf(", user %q", p.Username)
		}
		if p.HasPassword {
			s += ", password"
		}
		if p.Will != nil {
			s += fmt.Sprintf(", will %q q%d r%d", p.Will.Topic, p.Will.QoS, bit(p.Will.Retain))
		}
		return s + properties(p.Props)
	case *packet.Connack:
		return fmt.Sprintf("%s %s, session present %t%s", kind, p.Code, p.SessionPresent, properties(p.Props))
	case *packet.Publish:
		return e.publish(p)
	case *packet.Ack:
		return fmt.Sprintf("%s m%d%s%s", kind, p.ID, e.code(p.Code), properties(p.Props))
	case *packet.Subscribe:
		var all []string
		for _, f := range p.Filters {
			all = append(all, fmt.Sprintf("%q q%d", f.Filter, f.QoS))
		}
		return fmt.Sprintf("%s m%d %s%s", kind, p.ID, strings.Join(all, ", "), properties(p.Props))
	case *packet.Suback:
		return fmt.Sprintf("%s m%d %s%s", kind, p.ID, codes(p.Codes), properties(p.Props))
	case *packet.Unsubscribe:
		return fmt.Sprintf("%s m%d %q%s", kind, p.ID, p.Filters, properties(p.Props))
	case *packet.Unsuback:
		return strings.TrimRight(fmt.Sprintf("%s m%d %s%s", kind, p.ID, codes(p.Codes), properties(p.Props)), " ")
	case *packet.Disconnect:
		return kind + e.code(p.Code) + properties(p.Props)
	case *packet.Auth:
		return kind + " " + p.Code.String() + properties(p.Props)
	}
	return kind
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// code words a reason code where there are any.
func (e *Event) code(c packet.Code) string {
	if e.Peer.Version != packet.V5 || c == packet.Success {
		return ""
	}
	return " " + c.String()
}

func codes(all []packet.Code) string {
	var words []string
	for _, c := range all {
		words = append(words, c.String())
	}
	return strings.Join(words, ", ")
}

// publish words a PUBLISH: the payload as text where it is that, else in hexadecimal digits.
func (e *Event) publish(p *packet.Publish) string {
	s := fmt.Sprintf("PUBLISH q%d r%d d%d", p.QoS, bit(p.Retain), bit(p.Dup))
	if p.QoS > 0 {
		s += fmt.Sprintf(" m%d", p.ID)
	}
	s += fmt.Sprintf(" %q %d bytes", e.Topic, e.Payload)
	if props, err := p.Properties(); err == nil {
		s += properties(props)
	}
	if shown := p.Payload[:min(len(p.Payload), shownPayload)]; len(shown) > 0 {
		s += ": " + payload(shown)
	}
	return s
}

// payload shows a payload, or its beginning.
func payload(b []byte) string {
	if whole := wholeText(b, true); whole != "" {
		return printable.Text(whole)
	}
	return "0x" + hex.EncodeToString(b)
}

// wholeText is a payload as text, without the beginning of a character that it was cut within; empty if it is no text.
func wholeText(b []byte, cut bool) string {
	for n := 1; cut && n < utf8.UTFMax && len(b) > 1 && !utf8.Valid(b); n++ {
		b = b[:len(b)-1]
	}
	if !utf8.Valid(b) {
		return ""
	}
	return string(b)
}

// properties words the properties of a packet.
func properties(p *packet.Properties) string {
	if p == nil {
		return ""
	}
	var all []string
	for id := range packet.PropertyID(64) {
		if !p.Has(id) || id == packet.UserProperties {
			continue
		}
		switch value := p.Value(id).(type) {
		case string:
			all = append(all, fmt.Sprintf("%s %q", id, value))
		case []byte:
			all = append(all, fmt.Sprintf("%s 0x%x", id, value))
		default:
			all = append(all, fmt.Sprintf("%s %v", id, value))
		}
	}
	for _, u := range p.User {
		all = append(all, fmt.Sprintf("%q: %q", u.Key, u.Value))
	}
	if len(all) == 0 {
		return ""
	}
	return " {" + strings.Join(all, ", ") + "}"
}
