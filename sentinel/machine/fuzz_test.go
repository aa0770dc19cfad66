package machine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"

	"picket/resp"
)

// FuzzStrangers has everyone say anything: hellos, replies to what the machine sends, vote requests. The input is a list of lines; the
// first byte of each says what it is. Epochs never go back, and what is to be kept can be read again.
func FuzzStrangers(f *testing.F) {
	const peer = "0123456789012345678901234567890123456789"
	f.Add([]byte("b# Server\\r\\nrun_id:" + peer + "\\r\\nrole:master\\r\\nslave0:ip=127.0.0.1,port=2,state=online\\r\\nslave1:127.0.0.1,3,online\nh127.0.0.1,26379," + peer + ",1,m,127.0.0.1,1,0\nt4"))
	f.Add([]byte("h127.0.0.1,26379," + peer + ",9223372036854775807,m,127.0.0.1,7,9223372036854775807\nt9\nv9223372036854775807 x\nt90\nh127.0.0.1,26379," + peer + ",9223372036854775807,m,127.0.0.1,1,9223372036854775806\nt90"))
	f.Add([]byte("r-NOAUTH Authentication required.\nr-BUSY\nt4\nr+PONG\nr*3\\r\\n:1\\r\\n$1\\r\\nx\\r\\n:5\nd\nt2"))
	f.Add([]byte("bmaster_link_down_since_seconds:9223372036854775807\\r\\nslave_repl_offset:-1\nbrole:slave\nt120\nbrole:master\nt120"))
	f.Fuzz(func(t *testing.T, data []byte) {
		state := State{MyID: "ffffffffffffffffffffffffffffffffffffffff", Masters: []MasterState{{
			Name: "m", Host: "127.0.0.1", Port: 1, Quorum: 1, DownAfter: 1000, Replicas: []HostPort{{"127.0.0.1", 2}},
		}}}
		options := Options{Rand: rand.New(rand.NewPCG(1, 1)), Port: 26379} //nolint:gosec // repeatable
		var now Clock
		m, err := New(state, options, now)
		if err != nil {
			t.Fatal(err)
		}
		var sent []LinkID // those from which a reply is awaited, in the order of the commands
		epoch := int64(0)
		run := func() {
			m.SetClock(now)
			if m.Due() <= now.Mono {
				m.Tick()
			}
			for outputs := m.Take(); len(outputs) > 0; outputs = m.Take() {
				for _, o := range outputs {
					switch o := o.(type) {
					case Connect:
						m.Connected(o.Link, "127.0.0.1", "127.0.0.1")
					case Send:
						sent = append(sent, o.Link)
					case Save:
						m.Saved(o.Seq, nil)
					}
				}
			}
			if m.Epoch() < epoch {
				t.Fatalf("epoch %d after %d", m.Epoch(), epoch)
			}
			epoch = m.Epoch()
		}
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			run()
			if len(line) == 0 {
				continue
			}
			rest := bytes.ReplaceAll(line[1:], []byte(`\r\n`), []byte("\r\n"))
			next := func() (id LinkID) {
				if len(sent) > 0 {
					id, sent = sent[0], sent[1:]
				}
				return id
			}
			switch line[0] {
			case 'h':
				m.Hello(string(rest))
			case 'b':
				m.Reply(next(), resp.Str(string(rest)))
			case 'r':
				if v, err := resp.NewReader(bytes.NewReader(append(rest, "\r\n"...))).Value(); err == nil {
					m.Reply(next(), v)
				}
			case 'd':
				m.Disconnected(next(), Loss(len(rest)%3), "gone")
			case 'v':
				var e int64
				var id string
				_, _ = fmt.Sscan(string(rest), &e, &id) // what cannot be read is 0 and nobody
				m.Confirm(m.IsMasterDown("127.0.0.1", 1, e, id))
			case 't':
				var steps uint8 // of less than what makes the clock suspect
				_, _ = fmt.Sscan(string(rest), &steps)
				for range steps {
					now.Mono += 500
					now.Wall += 500
					run()
				}
			}
		}
		if _, err := New(m.State(), options, now); err != nil {
			t.Fatalf("what is kept cannot be read: %v", err)
		}
		m.Gates("m")
		m.ReplicaFields("m")
		m.SentinelFields("m")
	})
}

// FuzzWords: whatever words clients and other sentinels give us, none that would break a line is kept, announced, or stands in an event.
func FuzzWords(f *testing.F) {
	f.Add("m2", "redis.test", "secret", 6379)
	f.Add("a\nsentinel", "10.0.0.1\r\n", "x\x00y", 1)
	f.Add("a,b", "fe80::1%a\nb", "\u2028\x7f", 65535)
	f.Fuzz(func(t *testing.T, name, host, value string, port int) {
		m, err := New(State{
			MyID: strings.Repeat("f", 40), Settings: Settings{ResolveHostnames: true},
			Masters: []MasterState{{Name: "m", Host: "127.0.0.1", Port: 1, Quorum: 1}},
		}, Options{Rand: rand.New(rand.NewPCG(1, 1)), Port: 26379}, Clock{}) //nolint:gosec // repeatable
		if err != nil {
			t.Fatal(err)
		}
		// Each may be refused.
		_ = m.Monitor(name, host, port, 1)
		for _, option := range []string{"auth-pass", "auth-user", "notification-script", "client-reconfig-script", "quorum", "picket-adopt"} {
			_ = m.Set("m", []string{option, value})
		}
		_ = m.Set("m", []string{"rename-command", name, value})
		_ = m.SetSettings(Settings{ResolveHostnames: true, AnnounceIP: host})
		_ = m.SetSettings(Settings{ResolveHostnames: true, AnnounceIP: m.Settings().AnnounceIP, SentinelUser: value, SentinelPass: name})
		m.Hello(strings.Join([]string{host, "26379", name, "1", "m", value, "6379", "1"}, ","))
		m.Confirm(m.IsMasterDown(host, port, 2, name))
		for _, o := range m.Take() {
			if e, ok := o.(Event); ok && strings.ContainsFunc(e.Payload, unicode.IsControl) {
				t.Errorf("a control character in the event %s %q", e.Name, e.Payload)
			}
		}
		kept := fmt.Sprintf("%v", m.State())
		if strings.ContainsFunc(kept, unicode.IsControl) {
			t.Errorf("a control character is kept: %q", kept)
		}
		if ip := m.Settings().AnnounceIP; strings.ContainsAny(ip, ", ") {
			t.Errorf("announced as %q", ip)
		}
	})
}
