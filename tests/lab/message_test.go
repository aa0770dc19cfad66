//go:build linux

package lab

import (
	"bytes"
	endian "encoding/binary"
	"strings"

	"picket/cause"
)

// publish is a PUBLISH of the doctor's, in its parts.
type publish struct {
	head    byte
	topic   string
	between []byte // packet identifier and properties
	payload []byte
}

// rewritten has packets that are PUBLISH of the doctor's changed; all others pass as they are. nil: it vanishes.
func rewritten(change func(*publish) []publish) func([]byte) []byte {
	return func(b []byte) []byte {
		at := bytes.Index(b, []byte("picket doctor "))
		if b[0]&0xF0 != 0x30 || at < 0 {
			return b
		}
		_, n := endian.Uvarint(b[1:])
		topic := 1 + n
		end := topic + 2 + int(endian.BigEndian.Uint16(b[topic:]))
		var all []byte
		for _, p := range change(&publish{b[0], string(b[topic+2 : end]), b[end:at], b[at:]}) {
			rest := endian.BigEndian.AppendUint16(nil, uint16(len(p.topic)))
			rest = append(append(append(rest, p.topic...), p.between...), p.payload...)
			all = append(endian.AppendUvarint(append(all, p.head), uint64(len(rest))), rest...)
		}
		return all
	}
}

// messages are faults of what becomes of messages: each is a mosquitto behind something that looks into MQTT.
func messages() []fault {
	toClient := func(change func(*publish) []publish) func(*world) []string { return filtered(rewritten(change), nil) }
	toBroker := func(change func(*publish) []publish) func(*world) []string { return filtered(nil, rewritten(change)) }
	payload := func(change func([]byte) []byte) func(*publish) []publish {
		return func(p *publish) []publish { p.payload = change(p.payload); return []publish{*p} }
	}
	topic := func(change func(string) string) func(*publish) []publish {
		return func(p *publish) []publish { p.topic = change(p.topic); return []publish{*p} }
	}
	lowered := func(p *publish) []publish { // to QoS 0
		if p.head&6 != 0 {
			p.head, p.between = p.head&^0x0E, p.between[2:]
		}
		return []publish{*p}
	}
	return []fault{
		{name: "every message comes twice", want: cause.MessageDoubled, make: toClient(func(p *publish) []publish { return []publish{*p, *p} })},
		{name: "messages of QoS 0 come three times", want: cause.MessageDoubled, make: toBroker(func(p *publish) []publish {
			if p.head&6 == 0 {
				return []publish{*p, *p, *p}
			}
			return []publish{*p}
		})},
		{name: "payloads are turned into capital letters", want: cause.MessageAltered, make: toClient(payload(bytes.ToUpper))},
		{name: "payloads are wrapped in JSON on their way to the broker", want: cause.MessageAltered, make: toBroker(payload(func(b []byte) []byte { return []byte(`{"data":"` + string(b) + `"}`) }))},
		{name: "payloads are cut after 20 bytes", want: cause.MessageAltered, make: toClient(payload(func(b []byte) []byte { return b[:20] }))},
		{name: "large payloads are cut after 1 KiB", want: cause.MessageAltered, make: toClient(payload(func(b []byte) []byte { return b[:min(len(b), 1024)] }))},
		{name: "payloads are encrypted on the way", want: cause.MessageAltered, make: toClient(payload(func(b []byte) []byte {
			for i := range b {
				b[i] ^= 0x5A
			}
			return b
		}))},
		{name: "topics get a prefix on their way to subscribers", want: cause.MessageAltered, make: toClient(topic(func(t string) string { return "site-7/" + t }))},
		{name: "topics get a prefix on their way to the broker", want: cause.MessageAltered, make: toBroker(topic(func(t string) string { return "site-7/" + t }))},
		{name: "topics get capital letters on their way to the broker, and one is named", want: cause.MessageAltered, make: filtered(nil, rewritten(topic(strings.ToUpper)), "--topic", "garden/fountain")},
		{name: "messages arrive with QoS 0, whatever they were published with", want: cause.QoSNotSupported, twin: cause.MessageAltered, make: toClient(lowered)},
		{name: "everything is retained, whether it should be or not", want: cause.MessageAltered, make: toBroker(func(p *publish) []publish { p.head |= 1; return []publish{*p} })},
		{name: "retained messages come without the flag", want: cause.MessageAltered, make: toClient(func(p *publish) []publish { p.head &^= 1; return []publish{*p} })},
		{name: "messages of QoS 0 are thrown away", want: cause.MessageLost, make: toBroker(func(p *publish) []publish {
			if p.head&6 == 0 {
				return nil
			}
			return []publish{*p}
		})},
	}
}
