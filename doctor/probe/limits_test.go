package probe

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"picket/cause"
	"picket/doctor"
)

// TestWhole: all tests together have a limit, whatever the steps have; what was left out is said, and nothing is called healthy.
func TestWhole(t *testing.T) {
	t.Parallel()
	address := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	for _, scheme := range []string{"mqtt", "mqtts", "ws", ""} {
		given := strings.TrimPrefix(scheme+"://"+address, "://")
		target, err := doctor.ParseTarget(given)
		if err != nil {
			t.Fatal(err)
		}
		facts, err := Run(t.Context(), Options{Target: target, Ports: []int{}, Limit: patience, Whole: 300 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		last, is := facts[len(facts)-1].(doctor.Unfinished)
		if !is || last.During == (cause.Text{}) {
			t.Errorf("%s: the last fact is %v, want what was left out", given, facts[len(facts)-1])
		}
		if r := doctor.NewReport(target, facts); r.ExitStatus() == doctor.ExitHealthy {
			t.Errorf("%s: the status is 0 although not everything was tried", given)
		}
	}
}

// flood is the most that a stranger may make the doctor read, in bytes.
const flood = 64 << 20

// TestFloods: strangers who never stop are read no further than the test needs.
func TestFloods(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ scheme, head string }{
		"a CONNACK of 256 MB":        {"mqtt", "\x20\xff\xff\xff\x7f\x00\x00"},
		"a PUBLISH after CONNACK":    {"mqtt", "\x20\x02\x00\x00\x30\xff\xff\xff\x7f\x00\x01a"},
		"a page without end":         {"ws", "HTTP/1.1 200 OK\r\n\r\n"},
		"a head without end":         {"ws", "HTTP/1.1 101 Switching Protocols\r\nX: "},
		"a redirect without end":     {"ws", "HTTP/1.1 302 Found\r\nLocation: /"},
		"a record of TLS, and more":  {"mqtts", "\x16\x03\x03\xff\xff"},
		"an alert of TLS, and more":  {"mqtts", "\x15\x03\x03\x00\x02\x02\x28"},
		"a greeting without an end":  {"", "220 "},
		"nothing that anybody knows": {"", "\x00\x00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var most atomic.Int64
			address := listen(t, func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, c.head)
				block := bytes.Repeat([]byte("x"), 64<<10)
				for sent := int64(0); sent < 2*flood; sent += int64(len(block)) {
					if _, err := conn.Write(block); err != nil {
						return
					}
					for old := most.Load(); sent > old && !most.CompareAndSwap(old, sent); old = most.Load() {
					}
				}
			})
			target, err := doctor.ParseTarget(strings.TrimPrefix(c.scheme+"://"+address, "://"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Run(t.Context(), Options{Target: target, Ports: []int{}, Limit: 500 * time.Millisecond, Whole: 4 * time.Second}); err != nil {
				t.Fatal(err)
			}
			if n := most.Load(); n > flood {
				t.Errorf("the doctor has read %d bytes of a stranger's on one connection, want %d at most", n, flood)
			}
		})
	}
}

// TestStrangersCharacters: what strangers send reaches the report without characters that a terminal obeys, or that turn the direction of text.
func TestStrangersCharacters(t *testing.T) {
	t.Parallel()
	const evil = "x\x1b[2Jy\u202Ez\u2066w\u200B\u0085\x07"
	for name, c := range map[string]struct{ scheme, answer string }{
		"a page":            {"ws", "HTTP/1.1 403 Forbidden\r\nServer: " + evil + "\r\n\r\n" + evil},
		"a redirect":        {"ws", "HTTP/1.1 302 Found\r\nLocation: http://a.test/" + evil + "\r\nContent-Length: 0\r\n\r\n"},
		"a subprotocol":     {"ws", "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: " + evil + "\r\n\r\n"},
		"a version":         {"ws", "HTTP/1.1 400 Bad\r\nSec-WebSocket-Version: " + evil + "\r\nContent-Length: 0\r\n\r\n"},
		"a greeting":        {"", "SSH-2.0-" + evil + "\r\n"},
		"bytes":             {"mqtt", evil},
		"a reason":          {"mqtt", "\x20" + string(rune(6+len(evil))) + "\x00\x87" + string(rune(3+len(evil))) + "\x1f\x00" + string(rune(len(evil))) + evil},
		"a reference":       {"mqtt", "\x20" + string(rune(6+len(evil))) + "\x00\x9d" + string(rune(3+len(evil))) + "\x1c\x00" + string(rune(len(evil))) + evil},
		"no HTTP, and evil": {"ws", evil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := listen(t, func(conn net.Conn) {
				_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond)) // some speak first
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, c.answer)
				_, _ = io.Copy(io.Discard, conn)
			})
			target, err := doctor.ParseTarget(strings.TrimPrefix(c.scheme+"://"+address, "://"))
			if err != nil {
				t.Fatal(err)
			}
			facts, err := Run(t.Context(), Options{Target: target, Ports: []int{}, Limit: time.Second, Whole: 10 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			r := doctor.NewReport(target, facts)
			for _, lang := range []cause.Lang{cause.English, cause.Chinese} {
				data, err := r.JSON(lang)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range facts {
					data = append(data, f.Text().In(lang)...)
				}
				if i := strings.IndexFunc(string(data), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
					t.Errorf("%s: %q stands in the report", lang, string(data)[max(0, i-30):min(len(data), i+30)])
				}
			}
		})
	}
}
