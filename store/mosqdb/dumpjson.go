package mosqdb

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"picket/packet"
	"picket/printable"
)

// lists are those of FormJSON, in their order.
var lists = []string{"base-messages", "clients", "client-messages", "retained-messages", "subscriptions"}

// listOf is the list that a chunk belongs to; empty: none.
func listOf(c any) string {
	switch c.(type) {
	case messageChunk:
		return lists[0]
	case clientChunk:
		return lists[1]
	case queuedChunk:
		return lists[2]
	case uint64:
		return lists[3]
	case subChunk:
		return lists[4]
	}
	return ""
}

func (d Dump) json(out *bufio.Writer, in io.ReadSeeker) error {
	// Once to see whether it can be read: there is no half an object.
	if err := d.each(in, func(r *chunks, c any) error { _, err := d.object(r, c); return err }); err != nil {
		return err
	}
	d.Warn = func(string) {} // it has been told
	for i, list := range lists {
		if _, err := in.Seek(0, io.SeekStart); err != nil {
			return err
		}
		begin := "{\n"
		if i > 0 {
			begin = ",\n"
		}
		fmt.Fprintf(out, "%s\t%q:\t[", begin, list)
		n := 0
		err := d.each(in, func(r *chunks, c any) error {
			if listOf(c) != list {
				return nil
			}
			if n++; n > 1 {
				_, _ = out.WriteString(", ") // the error stays and comes with Flush
			}
			o, err := d.object(r, c)
			if err == nil {
				err = o.write(out, 2)
			}
			return err
		})
		if err != nil {
			return err
		}
		_ = out.WriteByte(']')
	}
	_, err := out.WriteString("\n}\n")
	return err
}

// object is one of JSON, whose fields keep their order.
type object []field

type field struct {
	name  string
	value any // a string, a number, or []object
}

// write writes an object as mosquitto does, with tabs. depth is how far what stands around it is set off.
func (o object) write(out *bufio.Writer, depth int) error {
	_, _ = out.WriteString("{\n")
	for i, f := range o {
		fmt.Fprintf(out, "%s%q:\t", strings.Repeat("\t", depth+1), f.name)
		switch v := f.value.(type) {
		case string:
			_, _ = out.Write(quoted(v))
		case []object:
			_ = out.WriteByte('[')
			for n, one := range v {
				if n > 0 {
					_, _ = out.WriteString(", ")
				}
				if err := one.write(out, depth+2); err != nil {
					return err
				}
			}
			_ = out.WriteByte(']')
		default:
			fmt.Fprint(out, v)
		}
		if i < len(o)-1 {
			_ = out.WriteByte(',')
		}
		_ = out.WriteByte('\n')
	}
	_, err := out.WriteString(strings.Repeat("\t", depth) + "}")
	return err
}

func quoted(s string) []byte {
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string can always be encoded, and a buffer takes it
	return printable.JSON(bytes.TrimSuffix(line.Bytes(), []byte("\n")), 0)
}

// object makes one of a chunk; of a configuration chunk, which JSON leaves out, an empty one.
func (d Dump) object(r *chunks, c any) (object, error) {
	switch c := c.(type) {
	case messageChunk:
		return d.messageObject(r, &c)
	case clientChunk:
		o := object{{"clientid", c.id}}
		if c.user != "" {
			o = append(o, field{"username", c.user})
		}
		return append(o, field{"session-expiry-time", c.ends}, field{"session-expiry-interval", c.expiry}, field{"last-mid", c.lastMID}, field{"listener-port", c.port}), nil
	case queuedChunk:
		_, ids, err := r.properties(c.propertyList)
		id := uint32(0)
		if len(ids) > 0 {
			id = ids[len(ids)-1]
		}
		// mosquitto 2.1 has the subscription identifier for storeid, too.
		return object{{"clientid", c.client}, {"storeid", c.id}, {"mid", c.mid}, {"qos", c.qos}, {"state", c.state}, {"retain-dup", c.retain<<4 | c.dup&0x0F},
			{"direction", c.direction}, {"subscription-identifier", id}}, err
	case uint64:
		return object{{"storeid", c}}, nil
	case subChunk:
		return object{{"clientid", c.client}, {"topic", c.filter}, {"qos", c.qos}, {"options", c.options}, {"identifier", c.identifier}}, nil
	}
	return nil, nil
}

func (d Dump) messageObject(r *chunks, m *messageChunk) (object, error) {
	o := object{{"storeid", m.id}, {"expiry-time", m.expires}, {"source-mid", m.fromMID}, {"source-port", m.port}, {"qos", m.qos}, {"retain", m.retain}, {"topic", m.topic}}
	if m.from != "" {
		o = append(o, field{"clientid", m.from})
	}
	if m.user != "" {
		o = append(o, field{"username", m.user})
	}
	if len(m.payload) > 0 && d.Payloads {
		o = append(o, field{"payload", base64.StdEncoding.EncodeToString(m.payload)})
	}
	list, err := r.propertiesOf(m.propertyList)
	if err != nil || len(list) == 0 {
		return o, err
	}
	var properties []object
	for _, q := range list {
		one := object{{"identifier", q.name}}
		switch {
		case q.name == "": // a message does not keep it
			one = object{{"identifier", q.id.String()}}
		case q.id == packet.UserProperties:
			one = append(one, field{"name", q.key}, field{"value", q.value})
		case q.number:
			one = append(one, field{"value", json.Number(q.value)})
		default:
			one = append(one, field{"value", q.value})
		}
		properties = append(properties, one)
	}
	return append(o, field{"properties", properties}), nil
}
