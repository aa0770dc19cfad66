package mosqdb

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"picket/internal/testbed"
	"picket/logging"
	"picket/packet"
	"picket/session"
	"picket/store"
	"picket/store/local"
)

var (
	program  = flag.String("mosquitto", "", "make the file with this mosquitto, not with the system's")
	keep     = flag.String("keep", "", "keep the file made under this name")
	before16 = flag.Bool("before16", false, "the mosquitto is older than 1.6 and does not know MQTT 5")
)

// link is a client that does only what it is told to.
type link struct {
	t  *testing.T
	c  net.Conn
	r  *bufio.Reader
	v5 bool
}

func dial(t *testing.T, addr string, p *packet.Connect) *link {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	// Long enough for any machine; the broker answers at once.
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	l := &link{t: t, c: c, r: bufio.NewReader(c), v5: p.Version == packet.V5}
	l.send(p)
	if ack := l.expect(packet.CONNACK).(*packet.Connack); ack.Code != packet.Success {
		t.Fatalf("CONNACK %v", ack.Code)
	}
	return l
}

func (l *link) version() packet.Version {
	if l.v5 {
		return packet.V5
	}
	return packet.V311
}

func (l *link) send(p packet.Packet) {
	l.t.Helper()
	if _, err := l.c.Write(p.Append(nil, l.version())); err != nil {
		l.t.Fatal(err)
	}
}

// expect reads packets until one of a type.
func (l *link) expect(kind packet.Type) packet.Packet {
	l.t.Helper()
	for {
		first, err := l.r.ReadByte()
		if err != nil {
			l.t.Fatal(err)
		}
		length := 0
		for shift := 0; ; shift += 7 {
			b, err := l.r.ReadByte()
			if err != nil {
				l.t.Fatal(err)
			}
			if length |= int(b&0x7F) << shift; b < 0x80 {
				break
			}
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(l.r, body); err != nil {
			l.t.Fatal(err)
		}
		p, err := packet.Decode(l.version(), first, body)
		if err != nil {
			l.t.Fatal(err)
		}
		if packet.Type(first>>4) == kind {
			return p
		}
	}
}

func (l *link) ack(kind packet.Type, id uint16) { l.send(&packet.Ack{Kind: kind, ID: id}) }

func (l *link) publish(topic, payload string, qos byte, retain bool, id uint16, props *packet.Properties) {
	l.t.Helper()
	p := &packet.Publish{Topic: []byte(topic), Payload: []byte(payload), QoS: qos, Retain: retain, ID: id}
	if props != nil {
		p.Props = props.AppendRaw(nil)
	}
	l.send(p)
	switch qos {
	case 1:
		l.expect(packet.PUBACK)
	case 2:
		l.expect(packet.PUBREC)
	}
}

func (l *link) leave() {
	l.send(&packet.Disconnect{})
	_, _ = io.Copy(io.Discard, l.r) // until the broker has closed it
	_ = l.c.Close()
}

// breakOff ends the connection without a word.
func (l *link) breakOff() { _ = l.c.Close() }

// fill makes state of every kind in a broker that knows MQTT up to a version.
func fill(t *testing.T, addr string, upTo packet.Version) {
	old := func(id string, clean bool) *packet.Connect {
		return &packet.Connect{Version: packet.V311, ClientID: id, CleanStart: clean}
	}
	// A client that is away, and gets everything under a/.
	away := dial(t, addr, old("away", false))
	away.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "a/#", QoS: 2}, {Filter: "b/+", QoS: 1}}})
	away.expect(packet.SUBACK)
	away.leave()
	// The same with what MQTT 5 adds.
	five := &packet.Connect{Version: packet.V5, ClientID: "five", HasUsername: true, Username: "fiona", Props: new(packet.Properties).Set(packet.SessionExpiryInterval)}
	five.Props.SessionExpiry = 3600
	publisher := &packet.Connect{Version: upTo, ClientID: "publisher", CleanStart: true}
	if upTo < packet.V5 {
		five.Version, five.Props = upTo, nil
	}
	l := dial(t, addr, five)
	sub := &packet.Subscribe{ID: 1, Props: new(packet.Properties).Set(packet.SubscriptionIdentifier), Filters: []packet.Subscription{{Filter: "a/5", QoS: 1, NoLocal: true, RetainAsPublished: true}}}
	sub.Props.SubscriptionIDs = []uint32{300}
	l.send(sub)
	l.expect(packet.SUBACK)
	l.leave()
	// One that has got some of three QoS 2 messages.
	half := dial(t, addr, old("half", false))
	half.send(&packet.Subscribe{ID: 1, Filters: []packet.Subscription{{Filter: "h", QoS: 2}}})
	half.expect(packet.SUBACK)

	p := dial(t, addr, publisher)
	for i := range 3 {
		p.publish("h", fmt.Sprint("half ", i), 2, false, uint16(i+1), nil)
		p.ack(packet.PUBREL, uint16(i+1))
		p.expect(packet.PUBCOMP)
	}
	for range 3 {
		half.expect(packet.PUBLISH)
	}
	half.ack(packet.PUBREC, 1)
	half.expect(packet.PUBREL)
	half.ack(packet.PUBREC, 2)
	half.expect(packet.PUBREL)
	half.ack(packet.PUBCOMP, 2)
	half.breakOff()

	p.publish("a/1", "one", 1, false, 11, nil)
	p.publish("a/2", "two", 2, false, 12, nil)
	p.ack(packet.PUBREL, 12)
	p.expect(packet.PUBCOMP)
	props := new(packet.Properties).Set(packet.ContentType).Set(packet.MessageExpiryInterval)
	props.ContentType, props.MessageExpiry = "text/plain", 86400
	p.publish("a/5", "five", 2, true, 13, props)
	p.ack(packet.PUBREL, 13)
	p.expect(packet.PUBCOMP)
	p.publish("r/1", "retained", 1, true, 14, nil)
	p.publish("r/2", string(make([]byte, 300)), 0, true, 0, nil)
	p.leave()
	// One whose QoS 2 message was received and not released.
	in := dial(t, addr, old("in", false))
	in.publish("a/in", "waits for PUBREL", 2, true, 77, nil)
	in.breakOff()
}

// mosquitto starts one whose file is in a folder, and returns how to stop it, so that it writes that file.
func mosquitto(t *testing.T, dir, port string) (addr string, stop func()) {
	t.Helper()
	name := *program
	if name == "" {
		var err error
		if name, err = exec.LookPath("mosquitto"); err != nil {
			name = "/usr/sbin/mosquitto"
		}
	}
	addr = net.JoinHostPort("127.0.0.1", port)
	conf := filepath.Join(dir, "conf")
	text := fmt.Sprintf("user root\nallow_anonymous true\npersistence true\npersistence_location %s/\n", dir)
	if *program == "" {
		text += "listener " + port + " 127.0.0.1\n"
	} else {
		text += "bind_address 127.0.0.1\nport " + port + "\n"
	}
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil { //nolint:gosec // for mosquitto
		t.Fatal(err)
	}
	cmd := exec.Command(name, "-c", conf)
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, unless the test has failed
	for i := 0; ; i++ {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
			break
		}
		if i == 600 { // a minute
			t.Fatalf("%v; mosquitto's log:\n%s", err, log.String())
		}
		time.Sleep(100 * time.Millisecond)
	}
	return addr, func() {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(log.String(), "Error") {
			t.Errorf("mosquitto's log:\n%s", log.String())
		}
	}
}

// makeFile starts a mosquitto, fills it, stops it, and returns its file.
func makeFile(t *testing.T, port string, newest packet.Version) string {
	t.Helper()
	dir := mosquittoDir(t)
	addr, stop := mosquitto(t, dir, port)
	fill(t, addr, newest)
	stop()
	return filepath.Join(dir, "mosquitto.db")
}

// mosquittoDir is a folder that mosquitto writes to as another user.
func mosquittoDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	return dir
}

func TestFileOfMosquitto(t *testing.T) {
	newest := packet.V5
	if *before16 {
		newest = packet.V311
	}
	file := makeFile(t, strconv.Itoa(testbed.Port(t)), newest)
	if *keep != "" {
		data, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(*keep, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	checkFile(t, file, time.Now().Unix(), true)
}

// TestOldFile reads a file of version 5. It was made by a mosquitto 1.6.9 on a 64-bit machine:
//
//	go test ./store/mosqdb -run TestFileOfMosquitto -mosquitto PATH -keep testdata/1.6.9.db
func TestOldFile(t *testing.T) { checkFile(t, "testdata/1.6.9.db", madeOld, true) }

// TestOlderFiles reads files of versions 3 and 4, made by mosquitto 1.4.15 and 1.5.11 on a 64-bit machine, as the other was, with -before16.
func TestOlderFiles(t *testing.T) {
	for _, name := range []string{"1.4.15", "1.5.11"} {
		t.Run(name, func(t *testing.T) { checkFile(t, "testdata/"+name+".db", time.Now().Unix(), true) })
	}
}

// madeOld is when the file was made, in Unix seconds: messages and sessions in it expire later.
const madeOld = 1795570815

// memory is a broker that only remembers.
type memory struct {
	sessions map[string]*store.Session
	states   map[string]store.State
	retained map[string]string
}

func (m *memory) Session(s *store.Session, st store.State) {
	m.sessions[s.ClientID], m.states[s.ClientID] = s, st
}
func (m *memory) Retained(_ string, r *session.Message) { m.retained[r.Topic] = string(r.Payload) }
func (*memory) Failed(*store.Batch, error)              {}
func (*memory) Room()                                   {}
func (*memory) Health(error)                            {}

// quiet is a log that nobody reads.
func quiet(t *testing.T) *logging.Logger {
	t.Helper()
	log, err := logging.New(logging.Config{}, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	return log
}

func open(t *testing.T, fs vfs.FS) (*local.Store, *memory) {
	t.Helper()
	s, err := local.Open("/store", local.Options{FS: fs, Log: quiet(t)})
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{map[string]*store.Session{}, map[string]store.State{}, map[string]string{}}
	if err := s.Start(context.Background(), m); err != nil {
		t.Fatal(err)
	}
	return s, m
}

// checkFile reads a file, puts it into a store, and looks what is there. With first, it is as mosquitto's clients have made it:
// what "in" has not released is there, and which listener "five" came in by.
func checkFile(t *testing.T, name string, now int64, first bool) vfs.FS {
	t.Helper()
	in, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	f, err := Read(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	fs := vfs.NewMem()
	s, _ := open(t, fs)
	sum, err := Fill(context.Background(), f, s, now, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want := Summary{Sessions: 4, Subscriptions: 4, Retained: 4, Queued: 7, InFlight: 2}
	var received []uint16
	if first {
		want.Received, received = 1, []uint16{77}
	}
	if sum != want || len(f.Skipped) > 0 {
		t.Errorf("%+v, want %+v; skipped %q", sum, want, f.Skipped)
	}
	s, m := open(t, fs)
	defer s.Close()
	if got := fmt.Sprint(len(m.retained), m.retained["a/5"], m.retained["r/1"], len(m.retained["r/2"]), m.retained["a/in"]); got != "4fiveretained300waits for PUBREL" {
		t.Errorf("retained: %s", got)
	}
	queue := func(id string) (lines []string) {
		entries, _, err := s.Read(context.Background(), m.sessions[id], 0, store.Limit{Entries: 100, Bytes: 1 << 20}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			line := fmt.Sprintf("%d q%d", session.PacketID(e.Seq), e.QoS)
			if e.Released {
				line += " released"
			} else {
				line += fmt.Sprintf(" %s %s from %s", e.Message.Topic, e.Message.Payload, e.Message.From)
			}
			lines = append(lines, line)
		}
		return lines
	}
	for id, want := range map[string][]string{
		"away": {"1 q1 a/1 one from publisher", "2 q2 a/2 two from publisher", "3 q2 a/5 five from publisher", "4 q2 a/in waits for PUBREL from in"},
		"five": {"1 q1 a/5 five from publisher"},
		"half": {"1 q2 released", "3 q2 h half 2 from publisher"},
		"in":   nil,
	} {
		if got := queue(id); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}
	for id, st := range m.states {
		if user := st.Record.User; user != "" && user != "fiona" {
			t.Errorf("%s has user %q", id, user)
		}
	}
	if st := m.states["half"]; st.Record.Sent != 4 || st.Record.Next != 4 {
		t.Errorf("half: %+v", st.Record)
	}
	if got := m.states["in"].Received; !slices.Equal(got, received) {
		t.Errorf("received: %v", got)
	}
	if subs := m.states["away"].Subscriptions; len(subs) != 2 || subs["a/#"].QoS != 2 || subs["b/+"].QoS != 1 {
		t.Errorf("away: %+v", subs)
	}
	st := m.states["five"]
	if f.Version < 5 { // nothing of MQTT 5 is in it
		if st.Record.Expiry != forEver || st.Subscriptions["a/5"].QoS != 1 {
			t.Errorf("five: %+v", st)
		}
		return fs
	}
	o := st.Subscriptions["a/5"]
	if !o.NoLocal || !o.RetainAsPublished || o.Identifier != 300 || st.Record.Expiry != 3600 || st.Record.Offline < now-3600 || st.Record.Offline > now+60 {
		t.Errorf("five: %+v", st)
	}
	if f.Version == 6 && (st.Record.User != "fiona" || st.Record.Listener == "" && first) {
		t.Errorf("five: %+v", st.Record)
	}
	entries, _, err := s.Read(context.Background(), m.sessions["five"], 0, store.Limit{Entries: 1, Bytes: 1}, nil)
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	e := entries[0]
	if !e.Retain || !slices.Equal(e.IDs, []uint32{300}) || e.Message.Expires < now || len(e.Message.Props) == 0 {
		t.Errorf("five: %+v %+v", e, e.Message)
	}
	return fs
}
