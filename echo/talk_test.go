package echo

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"picket/cause"
	"picket/internal/testbed"
)

func TestTalk(t *testing.T) {
	whole := strings.Repeat("the quick brown fox\n", 100_000)
	for _, same := range []bool{false, true} {
		text := whole
		if same {
			// It all fits into the server's window. Linux 6.18 at times drops what comes beyond a full one with the acknowledgements in it, and both sides
			// then wait for ever: the server in write, the client in read.
			text = whole[:100_000]
		}
		s, port, _, _ := serve(t, func(c *Config) { c.SameConnection = same })
		var out bytes.Buffer
		sum, err := Talk(t.Context(), TalkConfig{Host: "127.0.0.1", Port: port, BackPort: s.config.BackPort, SameConnection: same}, strings.NewReader(text), &out)
		if err != nil || out.String() != text || sum.Sent != int64(len(text)) || sum.Returned != sum.Sent {
			t.Errorf("same connection %t: %+v, %v; the text is the same: %t", same, sum, err, out.String() == text)
		}
	}
}

// What is typed returns while more may be typed.
func TestTalkInteractively(t *testing.T) {
	s, port, _, _ := serve(t, nil)
	typed, typing := io.Pipe()
	shown, showing := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := Talk(t.Context(), TalkConfig{Host: "127.0.0.1", Port: port, BackPort: s.config.BackPort}, typed, showing)
		done <- err
	}()
	for _, line := range []string{"one\n", "two\n"} {
		io.WriteString(typing, line)
		got := make([]byte, len(line))
		if _, err := io.ReadFull(shown, got); err != nil || string(got) != line {
			t.Fatalf("got %q, %v, want %q", got, err, line)
		}
	}
	typing.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTalkIsTold(t *testing.T) {
	short := TalkConfig{Wait: 500 * time.Millisecond}
	talk := func(t *testing.T, c TalkConfig, in io.Reader) error {
		t.Helper()
		c.Host = "127.0.0.1"
		_, err := Talk(t.Context(), c, in, io.Discard)
		return err
	}
	t.Run("the server is full", func(t *testing.T) {
		s, port, _, _ := serve(t, func(c *Config) { c.Limits.Connections = 1 })
		connect(t, "127.0.0.2", s)
		wantCause(t, talk(t, TalkConfig{Port: port, BackPort: s.config.BackPort}, strings.NewReader("x")), cause.EchoServerFull)
	})
	t.Run("a limit is met", func(t *testing.T) {
		s, port, _, _ := serve(t, func(c *Config) { c.Limits.Bytes = 10 })
		typed, typing := io.Pipe()
		defer typing.Close()
		go io.WriteString(typing, "more than ten bytes")
		wantCause(t, talk(t, TalkConfig{Port: port, BackPort: s.config.BackPort}, typed), cause.EchoClientBytes)
	})
	t.Run("the server is full, same connection", func(t *testing.T) {
		s, port, _, _ := serve(t, func(c *Config) { c.Limits.Connections = 1; c.SameConnection = true })
		first := dial(t, "127.0.0.2", s)
		first.Write([]byte("x"))
		first.Read(make([]byte, 1)) // it has been accepted
		typed, typing := io.Pipe()
		defer typing.Close()
		wantCause(t, talk(t, TalkConfig{Port: port, SameConnection: true}, typed), cause.EchoServerFull)
	})
	t.Run("the server ends, same connection", func(t *testing.T) {
		_, port, _, _ := serve(t, func(c *Config) { c.Limits.Idle = 100 * time.Millisecond; c.SameConnection = true })
		typed, typing := io.Pipe()
		defer typing.Close()
		if err := talk(t, TalkConfig{Port: port, SameConnection: true}, typed); err == nil || !strings.Contains(err.Error(), "the server ended the connection after 0 bytes") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the client does not listen", func(t *testing.T) {
		_, port, _, _ := serve(t, nil)
		typed, typing := io.Pipe()
		defer typing.Close()
		wantCause(t, talk(t, TalkConfig{Port: port, SameConnection: true}, typed), cause.EchoNoWayBack)
	})
	t.Run("the client listens and nothing comes there", func(t *testing.T) {
		_, port, _, _ := serve(t, func(c *Config) { c.SameConnection = true })
		typed, typing := io.Pipe()
		defer typing.Close()
		c := short
		c.Port, c.BackPort = port, testbed.Port(t)
		wantCause(t, talk(t, c, typed), cause.EchoNoWayBack)
	})
	t.Run("the client listens and the server answers on the connection", func(t *testing.T) {
		_, port, _, _ := serve(t, func(c *Config) { c.SameConnection = true })
		typed, typing := io.Pipe()
		defer typing.Close()
		go io.WriteString(typing, "hello\n")
		err := talk(t, TalkConfig{Port: port, BackPort: testbed.Port(t)}, typed)
		wantCause(t, err, cause.EchoAltered)
	})
	t.Run("the port is taken", func(t *testing.T) {
		s, port, _, _ := serve(t, nil)
		l, err := net.Listen("tcp", net.JoinHostPort("", (&net.TCPAddr{Port: s.config.BackPort}).String()[1:]))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		wantCause(t, talk(t, TalkConfig{Port: port, BackPort: s.config.BackPort}, strings.NewReader("")), cause.PortTaken)
	})
	t.Run("no server", func(t *testing.T) {
		if err := talk(t, TalkConfig{Port: testbed.Port(t), BackPort: testbed.Port(t)}, strings.NewReader("")); err == nil {
			t.Error("it was talked to")
		}
	})
	t.Run("the user interrupts", func(t *testing.T) {
		s, port, _, _ := serve(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		typed, typing := io.Pipe()
		defer typing.Close()
		shown, showing := io.Pipe()
		go func() { io.WriteString(typing, "x"); shown.Read(make([]byte, 1)); cancel() }()
		_, err := Talk(ctx, TalkConfig{Host: "127.0.0.1", Port: port, BackPort: s.config.BackPort}, typed, showing)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

// fake is a server that connects back as ours does, and then does what answer does.
func fake(t *testing.T, backPort int, answer func(in, back net.Conn)) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		in, err := l.Accept()
		if err != nil {
			return
		}
		defer in.Close()
		back, err := net.Dial("tcp", (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: backPort}).String())
		if err != nil {
			t.Error(err)
			return
		}
		defer back.Close()
		answer(in, back)
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return l.Addr().(*net.TCPAddr).Port
}

func TestTalkNoticesWhatIsAltered(t *testing.T) {
	for name, answer := range map[string]func(in, back net.Conn){
		"a byte is changed": func(in, back net.Conn) { io.ReadAll(in); io.WriteString(back, "hellO") },
		"a byte is missing": func(in, back net.Conn) { io.ReadAll(in); io.WriteString(back, "hell") },
		"a byte too many":   func(in, back net.Conn) { io.ReadAll(in); io.WriteString(back, "hello!") },
	} {
		t.Run(name, func(t *testing.T) {
			backPort := testbed.Port(t)
			port := fake(t, backPort, answer)
			_, err := Talk(t.Context(), TalkConfig{Host: "127.0.0.1", Port: port, BackPort: backPort}, strings.NewReader("hello"), io.Discard)
			wantCause(t, err, cause.EchoAltered)
		})
	}
}

// Nobody but the server puts words into what returns.
func TestTalkRefusesStrangers(t *testing.T) {
	backPort := testbed.Port(t)
	stranger := make(chan error, 1)
	port := fake(t, backPort, func(in, back net.Conn) { io.Copy(back, in) })
	typed, typing := io.Pipe()
	var notes []cause.ID
	go func() {
		// From an address of its own, as soon as the talk listens.
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
		for {
			conn, err := dialer.Dial("tcp", (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: backPort}).String())
			if err != nil {
				time.Sleep(time.Millisecond)
				continue
			}
			io.WriteString(conn, "evil")
			_, err = io.ReadAll(conn)
			conn.Close()
			stranger <- err
			break
		}
		io.WriteString(typing, "hello")
		typing.Close()
	}()
	var out bytes.Buffer
	_, err := Talk(t.Context(), TalkConfig{Host: "127.0.0.1", Port: delayed(t, port, stranger), BackPort: backPort,
		Note: func(_ string, id cause.ID) { notes = append(notes, id) }}, typed, &out)
	if err != nil || out.String() != "hello" || len(notes) != 1 || notes[0] != cause.EchoStranger {
		t.Errorf("got %q, %v, notes %v", out.String(), err, notes)
	}
}

// delayed is a port that leads to another one once the stranger has been there.
func delayed(t *testing.T, port int, stranger <-chan error) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		in, err := l.Accept()
		if err != nil {
			return
		}
		defer in.Close()
		<-stranger
		out, err := net.Dial("tcp", (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}).String())
		if err != nil {
			t.Error(err)
			return
		}
		defer out.Close()
		io.Copy(out, in)
		out.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, out)
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return l.Addr().(*net.TCPAddr).Port
}

func TestNotices(t *testing.T) {
	for line, want := range map[string]string{
		"picket echo: there are 3 connections already [echo-server-full]\n": "there are 3 connections already [echo-server-full]",
		"picket echo: a [b] [echo-idle]":                                    "a [b] [echo-idle]",
		"picket echo: evil \x1b[2J [echo-idle]\n":                           "",
		"picket echo: something else [no-such-cause]\n":                     "",
		"picket echo: something else\n":                                     "",
		"hello\n":                                                           "",
		"":                                                                  "",
	} {
		got := ""
		if why, ok := parseNotice(line); ok {
			got = why.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func FuzzNotice(f *testing.F) {
	f.Add("picket echo: there are 3 connections already [echo-server-full]\n")
	f.Add("picket echo: a [b] [echo-idle]")
	f.Add("picket echo:  []")
	f.Fuzz(func(t *testing.T, line string) {
		why, ok := parseNotice(line)
		if !ok {
			return
		}
		if again, ok := parseNotice(noticePrefix + why.Error() + "\n"); !ok || *again != *why {
			t.Errorf("%q became %v, and that %v", line, why, again)
		}
	})
}
