package mosqdb

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"

	"picket/packet"
	"picket/session"
	"picket/store"
)

// Exported counts what a [Writer] has written, and what mosquitto's file has no place for.
type Exported struct {
	Sessions, Subscriptions, Queued, Retained int
	Wills                                     int // of sessions: mosquitto keeps none
	Received                                  int // packet identifiers of QoS 2 messages that have been delivered and not released
	Identifiers                               int // subscription identifiers of queued messages that have several
	Damaged                                   int // messages that cannot be read
	Expired                                   int // messages and sessions whose time is over
}

// String says it in words.
func (s Exported) String() string {
	return fmt.Sprintf("%s with %s, %s, %s", counted(s.Sessions, "session"), counted(s.Subscriptions, "subscription"), counted(s.Queued, "queued message"), counted(s.Retained, "retained message"))
}

// Left says what could not be written, a line each.
func (s Exported) Left() (lines []string) {
	for _, l := range []struct {
		n         int
		what, why string
	}{
		{s.Wills, "will", "mosquitto does not keep them"},
		{s.Received, "QoS 2 packet identifier", "the messages have been delivered already; a client that sends one again has it delivered twice"},
		{s.Identifiers, "subscription identifier", "of a message that matches several subscriptions, mosquitto reads one"},
		{s.Damaged, "message", "the store cannot read them"},
		{s.Expired, "session or message", "their time is over"},
	} {
		if l.n > 0 {
			lines = append(lines, counted(l.n, l.what)+": "+l.why)
		}
	}
	return lines
}

// Writer writes a mosquitto.db of version 6, as mosquitto on a little-endian 64-bit machine does. It takes what a store holds in the order in which
// stores list it: each session followed by what belongs to it. The first error of the file is returned by all later calls.
type Writer struct {
	file     io.WriteSeeker
	out      *bufio.Writer // to file
	now      int64
	last     uint64            // number of a message, given out last
	shared   map[uint64]uint64 // numbers in the file, of messages that several queues want, by their numbers in the store
	current  *exporting        // the session that is being written; nil: it is left out
	err      error
	exported Exported
}

// exporting is a session that is being written.
type exporting struct {
	id     string
	record *store.Record
	ends   int64  // Unix seconds; 0: never
	next   uint64 // sequence number that is given out next
}

// NewWriter begins a file, which is empty. now is the time in Unix seconds.
func NewWriter(file io.WriteSeeker, now int64) *Writer {
	w := &Writer{file: file, out: bufio.NewWriterSize(file, 64<<10), now: now, shared: make(map[uint64]uint64)}
	w.begin()
	return w
}

// begin writes what stands before everything else.
func (w *Writer) begin() {
	w.bytes([]byte(Magic))
	w.bytes(binary.BigEndian.AppendUint32(make([]byte, 4), 6)) // a checksum that nobody looks at, and the version
	config := binary.LittleEndian.AppendUint64(nil, w.last)
	w.chunk(chunkConfig, append(config, 1, 8, 0, 0, 0, 0, 0, 0)) // mosquitto ended in good order; numbers have 8 bytes
}

// Add writes one thing of a store.
func (w *Writer) Add(i store.Item) error {
	switch {
	case i.Record != nil:
		w.session(i.ClientID, i.Record)
	case i.Retained != nil:
		w.retained(i.Retained)
	case w.current == nil: // of a session that is over
	case i.Sub != nil:
		w.subscription(i.Sub)
	case i.Entry != nil:
		w.entry(i.Entry)
	default:
		w.exported.Received++
	}
	return w.err
}

// Finish ends the file, which stays open, and says what is in it. Only now it is known which number was given out last, so the beginning is written once more.
func (w *Writer) Finish() (Exported, error) {
	w.endSession()
	w.flush()
	if w.err == nil {
		_, w.err = w.file.Seek(0, io.SeekStart)
	}
	w.begin()
	w.flush()
	return w.exported, w.err
}

func (w *Writer) flush() {
	if w.err == nil {
		w.err = w.out.Flush()
	}
}

func (w *Writer) bytes(b []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(b)
	}
}

// chunk writes a chunk of the parts.
func (w *Writer) chunk(kind uint32, parts ...[]byte) {
	length := 0
	for _, p := range parts {
		length += len(p)
	}
	w.bytes(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, kind), uint32(length)))
	for _, p := range parts {
		w.bytes(p)
	}
}

// session begins a session: its own chunk comes last, when it is known which packet identifier was given out last.
func (w *Writer) session(id string, r *store.Record) {
	w.endSession()
	ends := int64(0)
	if r.Expiry != forEver {
		if ends = w.now; r.Offline != 0 {
			ends = r.Offline
		}
		if ends += int64(r.Expiry); ends <= w.now {
			w.exported.Expired++
			return
		}
	}
	if r.Will != nil {
		w.exported.Wills++
	}
	w.current = &exporting{id: id, record: r, ends: ends, next: max(r.Next, 1)}
}

// endSession writes a session's own chunk.
func (w *Writer) endSession() {
	s := w.current
	if w.current = nil; s == nil {
		return
	}
	last := uint16(0)
	if s.next > 1 {
		last = session.PacketID(s.next - 1)
	}
	f := binary.LittleEndian.AppendUint64(nil, uint64(s.ends))
	f = binary.BigEndian.AppendUint32(f, s.record.Expiry)
	for _, n := range [...]uint16{last, uint16(len(s.id)), port(s.record.Listener), uint16(len(s.record.User)), 0, 0} {
		f = binary.BigEndian.AppendUint16(f, n)
	}
	w.chunk(chunkClient, f, []byte(s.id), []byte(s.record.User))
	w.exported.Sessions++
}

// port is that of a listener's name, which ends in it, and 0 of a Unix socket.
func port(listener string) uint16 {
	n, err := strconv.ParseUint(listener[strings.LastIndexAny(listener, ":|")+1:], 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

func (w *Writer) subscription(s *store.Subscription) {
	o := s.Options.RetainHandling << 4
	if s.Options.NoLocal {
		o |= 1 << 2
	}
	if s.Options.RetainAsPublished {
		o |= 1 << 3
	}
	f := binary.BigEndian.AppendUint32(nil, s.Options.Identifier)
	f = binary.BigEndian.AppendUint16(f, uint16(len(w.current.id)))
	f = binary.BigEndian.AppendUint16(f, uint16(len(s.Filter)))
	w.chunk(chunkSub, append(f, s.Options.QoS, o, 0, 0), []byte(w.current.id), []byte(s.Filter))
	w.exported.Subscriptions++
}

// message writes a message and returns its number in the file.
func (w *Writer) message(m *session.Message) uint64 {
	w.last++
	f := binary.LittleEndian.AppendUint64(nil, w.last)
	f = binary.LittleEndian.AppendUint64(f, uint64(m.Expires))
	f = binary.BigEndian.AppendUint32(f, uint32(len(m.Payload)))
	for _, n := range [...]uint16{0, uint16(len(m.From)), uint16(len(m.User)), uint16(len(m.Topic)), port(m.Door)} {
		f = binary.BigEndian.AppendUint16(f, n)
	}
	f = append(f, m.QoS, 0)
	if m.Retain {
		f[len(f)-1] = 1
	}
	w.chunk(chunkMessage, f, []byte(m.From), []byte(m.User), []byte(m.Topic), m.Payload, properties(m.Props))
	return w.last
}

// properties are those of a chunk: their length and they, or nothing.
func properties(raw []byte) []byte {
	if len(raw) == 0 {
		return nil
	}
	return append(packet.AppendVarint(nil, len(raw)), raw...)
}

// entry writes a message of a session's queue: how far it has got follows from the session's record.
func (w *Writer) entry(e *store.Entry) {
	sent := w.current.record.Sent
	w.current.next = max(w.current.next, e.Seq+1)
	switch {
	case e.Damaged:
		w.exported.Damaged++
		return
	case !e.Released && e.Message.Expired(w.now) && e.Seq >= sent: // onward delivery has not begun (MQTT-3.3.2-5)
		w.exported.Expired++
		return
	}
	mid, state, flags := session.PacketID(e.Seq), InQueue, byte(0)
	switch {
	case e.QoS == 0:
		mid = 0
	case !e.Released && e.Seq >= sent:
	case e.Released:
		state, flags = WaitForPubcomp, 1 // DUP: it may have been sent
	case e.QoS == 1:
		state, flags = WaitForPuback, 1
	default:
		state, flags = WaitForPubrec, 1
	}
	if e.Retain {
		flags |= 1 << 4
	}
	f := binary.LittleEndian.AppendUint64(nil, w.body(e))
	f = binary.BigEndian.AppendUint16(f, mid)
	f = binary.BigEndian.AppendUint16(f, uint16(len(w.current.id)))
	f = append(f, e.QoS, byte(state), flags, 1) // on its way to the client
	var ids packet.Properties
	if len(e.IDs) > 0 { // with a second one mosquitto takes the whole file for damaged
		ids.Set(packet.SubscriptionIdentifier)
		ids.SubscriptionIDs = e.IDs[:1]
		w.exported.Identifiers += len(e.IDs) - 1
	}
	w.chunk(chunkQueued, f, []byte(w.current.id), properties(ids.AppendRaw(nil)))
	w.exported.Queued++
}

// body writes the message of an entry, once where several queues want it. Of one that waits for PUBCOMP only its packet identifier is left, and mosquitto
// wants a message all the same: an empty one, which it never sends.
func (w *Writer) body(e *store.Entry) uint64 {
	if e.Released {
		return w.message(&session.Message{Topic: "released", QoS: 2})
	}
	if n := w.shared[e.Ref.ID]; n != 0 {
		return n
	}
	n := w.message(e.Message)
	if e.Ref.ID != 0 {
		w.shared[e.Ref.ID] = n
	}
	return n
}

func (w *Writer) retained(m *session.Message) {
	if m.Expired(w.now) {
		w.exported.Expired++
		return
	}
	w.chunk(chunkRetain, binary.LittleEndian.AppendUint64(nil, w.message(m)))
	w.exported.Retained++
}
