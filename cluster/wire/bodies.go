package wire

import (
	"encoding/binary"

	"picket/record"
)

// Hello is the first frame in each direction of a link.
//
//	cluster, node    names
//	incarnation      the sender's
//	to               that which the sender takes the receiver to have: another one ends the link
//	lowest, highest  versions of frames that the sender speaks
//	level            what the sender writes into Redis
//	have             number up to which it has had the receiver's frames, whichever way they came
type Hello struct {
	Cluster, Node   string
	Incarnation, To uint64
	Lowest, Highest uint64
	Level           uint64
	Have            uint64
}

// Kind implements [Body].
func (*Hello) Kind() Kind { return KindHello }

func (h *Hello) append(dst []byte) []byte {
	dst = record.Append(dst, h.Cluster)
	dst = record.Append(dst, h.Node)
	for _, n := range [...]uint64{h.Incarnation, h.To, h.Lowest, h.Highest, h.Level, h.Have} {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

func readHello(r *reader) Body {
	h := &Hello{Cluster: r.text(MaxName, "the cluster's name"), Node: r.text(MaxName, "the node's name")}
	h.Incarnation = r.Number(anything, "the sender's incarnation")
	h.To = r.Number(anything, "the receiver's incarnation")
	h.Lowest = r.Number(anything, "the lowest version")
	h.Highest = r.Number(anything, "the highest version")
	h.Level = r.Number(anything, "the level")
	h.Have = r.Number(anything, "the number up to which frames have come")
	return h
}

// Beat shows that a link carries something, and acknowledges.
//
//	have  number up to which the sender has had the receiver's frames
type Beat struct{ Have uint64 }

// Kind implements [Body].
func (*Beat) Kind() Kind { return KindBeat }

func (b *Beat) append(dst []byte) []byte { return binary.AppendUvarint(dst, b.Have) }

func readBeat(r *reader) Body {
	return &Beat{r.Number(anything, "the number up to which frames have come")}
}

// Gauges is how a node is, for the others' $SYS topics and for where clients are sent.
//
//	flags     1: overloaded, 2: it gives its sessions away
//	clients   connected
//	sessions  that it owns
//	routes    that it has announced
type Gauges struct {
	Overloaded, Draining      bool
	Clients, Sessions, Routes uint64
}

const (
	flagOverloaded = 1 << iota
	flagDraining
)

// Kind implements [Body].
func (*Gauges) Kind() Kind { return KindGauges }

func (g *Gauges) append(dst []byte) []byte {
	dst = append(dst, record.Bit(g.Overloaded, flagOverloaded)|record.Bit(g.Draining, flagDraining))
	for _, n := range [...]uint64{g.Clients, g.Sessions, g.Routes} {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

func readGauges(r *reader) Body {
	f := r.Flags(flagOverloaded | flagDraining)
	g := &Gauges{Overloaded: f&flagOverloaded != 0, Draining: f&flagDraining != 0}
	g.Clients = r.Number(anything, "how many clients there are")
	g.Sessions = r.Number(anything, "how many sessions there are")
	g.Routes = r.Number(anything, "how many routes there are")
	return g
}

// Routes tells for which topic filters a node wants messages. The first of an incarnation to another are a whole list, which may be cut into several frames; what was known before
// holds until the last of them has come.
//
//	routes  number of the last change: all up to it are in force with this frame
//	flags   1: a whole list begins, 2: a whole list ends
//	count, then of each change
//	  flags   1: the filter is not wanted any more
//	  filter
//	  online  of a shared subscription: how many members are connected; else 0
//	  away    … and how many are not
type Routes struct {
	Routes      uint64
	First, Last bool
	Changes     []Change
}

// Change is one of [Routes].
type Change struct {
	Filter       string
	Gone         bool
	Online, Away uint32
}

const (
	flagFirst = 1 << iota
	flagLast

	flagGone = 1
)

// Kind implements [Body].
func (*Routes) Kind() Kind { return KindRoutes }

func (b *Routes) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, b.Routes)
	dst = append(dst, record.Bit(b.First, flagFirst)|record.Bit(b.Last, flagLast))
	dst = binary.AppendUvarint(dst, uint64(len(b.Changes)))
	for i := range b.Changes {
		c := &b.Changes[i]
		dst = append(dst, record.Bit(c.Gone, flagGone))
		dst = record.Append(dst, c.Filter)
		dst = binary.AppendUvarint(dst, uint64(c.Online))
		dst = binary.AppendUvarint(dst, uint64(c.Away))
	}
	return dst
}

func readRoutes(r *reader) Body {
	b := &Routes{Routes: r.Number(anything, "the number of the last change")}
	f := r.Flags(flagFirst | flagLast)
	b.First, b.Last = f&flagFirst != 0, f&flagLast != 0
	for range r.Count(MaxItems, 4, "changes") {
		c := Change{Gone: r.Flags(flagGone) != 0}
		c.Filter = r.text(MaxText, "the topic filter")
		c.Online = uint32(r.Number(1<<32-1, "how many members are connected"))
		c.Away = uint32(r.Number(1<<32-1, "how many members are not connected"))
		if r.Err() != nil {
			break
		}
		b.Changes = append(b.Changes, c)
	}
	return b
}

// Seen answers Routes: they are in force at the sender.
//
//	routes  number of the last change
type Seen struct{ Routes uint64 }

// Kind implements [Body].
func (*Seen) Kind() Kind { return KindSeen }

func (b *Seen) append(dst []byte) []byte { return binary.AppendUvarint(dst, b.Routes) }

func readSeen(r *reader) Body { return &Seen{r.Number(anything, "the number of the last change")} }

// Run is a run of messages of one publisher to one topic, as it was routed.
//
//	id        the sender gives them out from 1 on, one to each run, for all that it sends it to, and when it sends it again
//	oldest    the lowest that is not settled everywhere: those below are not sent any more
//	flags     bits 0 and 1: QoS, 4: retain, 8: for plain subscriptions
//	expires   Unix seconds after which it is not sent any more; 0: never
//	topic
//	from      the publisher's client identifier; user, door: its user name and the listener that it came in by
//	props     MQTT 5 properties that are forwarded
//	count, then the names of the shared subscriptions ("$share/NAME/FILTER") for which the receiver picks a member; it is not for plain subscriptions then
//	count, then the payloads
type Run struct {
	ID, Oldest       uint64
	QoS              byte
	Retain, Plain    bool
	Expires          int64
	Topic            string
	From, User, Door string
	Props            []byte
	Groups           []string
	Payloads         [][]byte
}

const (
	flagQoS    = 0b11
	flagRetain = 1 << 2
	flagPlain  = 1 << 3
)

// Kind implements [Body].
func (*Run) Kind() Kind { return KindRun }

func (b *Run) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, b.ID)
	dst = binary.AppendUvarint(dst, b.Oldest)
	dst = append(dst, b.QoS&flagQoS|record.Bit(b.Retain, flagRetain)|record.Bit(b.Plain, flagPlain))
	dst = binary.AppendUvarint(dst, uint64(max(b.Expires, 0)))
	for _, text := range [...]string{b.Topic, b.From, b.User, b.Door} {
		dst = record.Append(dst, text)
	}
	dst = record.Append(dst, b.Props)
	dst = binary.AppendUvarint(dst, uint64(len(b.Groups)))
	for _, g := range b.Groups {
		dst = record.Append(dst, g)
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.Payloads)))
	for _, p := range b.Payloads {
		dst = record.Append(dst, p)
	}
	return dst
}

func readRun(r *reader) Body {
	b := &Run{ID: r.Number(anything, "the run's number"), Oldest: r.Number(anything, "the lowest number that is not settled")}
	f := r.Flags(flagQoS | flagRetain | flagPlain)
	if b.QoS = f & flagQoS; b.QoS == 3 {
		r.Fail(r.At()-1, "a QoS of 0 to 2")
	}
	b.Retain, b.Plain = f&flagRetain != 0, f&flagPlain != 0
	b.Expires = int64(r.Number(1<<63-1, "the expiry in Unix seconds"))
	b.Topic = r.text(MaxText, "the topic name")
	b.From = r.text(MaxText, "the publisher's client identifier")
	b.User = r.text(MaxText, "the publisher's user name")
	b.Door = r.text(MaxText, "the publisher's listener")
	b.Props = r.bytes("the properties")
	for range r.Count(MaxItems, 1, "shared subscriptions") {
		g := r.text(2*MaxText, "the name of a shared subscription")
		if r.Err() != nil {
			break
		}
		b.Groups = append(b.Groups, g)
	}
	for range r.Count(MaxItems, 1, "payloads") {
		p := r.bytes("a payload")
		if r.Err() != nil {
			break
		}
		b.Payloads = append(b.Payloads, p)
	}
	return b
}

// Loose is a run of QoS 0: nobody waits to hear what has become of it, so it has no number in its channel, and both of its own are 0. It has the form of [Run].
type Loose struct{ Run }

// Kind implements [Body].
func (*Loose) Kind() Kind { return KindLoose }

func readLoose(r *reader) Body {
	at := r.At()
	b := readRun(r).(*Run)
	if r.Err() == nil && (b.ID != 0 || b.Oldest != 0 || b.QoS != 0) {
		r.Fail(at, "a run of QoS 0 without numbers")
	}
	return &Loose{*b}
}
