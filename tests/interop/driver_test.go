//go:build unix

package interop

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// timeout bounds everything that a client is asked to do and every message that is waited for. It is long, since it says
// only when to give up.
const timeout = time.Minute

// message is a message as a client sees it.
type message struct {
	Topic   string `json:"topic"`
	Payload string `json:"payload"`
	QoS     byte   `json:"qos"`
	Retain  bool   `json:"retain"`
}

// options are those of one connection.
type options struct {
	URL      string   `json:"url"` // mqtt, mqtts, ws or wss
	ClientID string   `json:"clientID"`
	Username string   `json:"username"`
	Password string   `json:"password"`
	Version  byte     `json:"version"` // 3 (MQTT 3.1), 4 (3.1.1) or 5
	CA       string   `json:"ca,omitempty"`
	Will     *message `json:"will,omitempty"`
}

// connection is one connection of a client. Everything returns when the broker has answered.
type connection interface {
	Subscribe(filter string, qos byte) error
	Publish(messages ...message) error
	Messages() <-chan message
	Drop() error  // ends the connection without DISCONNECT
	Close() error // ends it with DISCONNECT
}

// driver makes connections with one client program or library.
type driver struct {
	name      string
	versions  []byte
	schemes   []string // beside mqtt
	connector func(t *testing.T) func(options) (connection, error)
}

// queued is the capacity of a connection's messages: no step of the scenario sends more.
const queued = 8192

// program is a client that runs in a process of its own, a script in the folder clients.
type program struct {
	stdin   io.WriteCloser
	mu      sync.Mutex
	next    int
	waiting map[int]chan error
	conns   map[string]*programConnection
	ended   error
}

// startProgram starts a script and ends it with the test.
func startProgram(t *testing.T, name string, args ...string) *program {
	t.Helper()
	cmd := exec.Command(name, args...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &program{stdin: stdin, waiting: map[int]chan error{}, conns: map[string]*programConnection{}}
	done := make(chan struct{})
	go func() { defer close(done); p.read(stdout) }()
	t.Cleanup(func() {
		stdin.Close()
		select {
		case <-done:
		case <-time.After(timeout):
			cmd.Process.Kill()
		}
		cmd.Wait()
	})
	return p
}

// read takes answers and messages until the program ends.
func (p *program) read(r io.Reader) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		var a struct {
			ID      int
			Error   string
			Client  string
			Message *message
		}
		if err == nil {
			err = json.Unmarshal(line, &a)
		}
		p.mu.Lock()
		if err != nil {
			p.ended = fmt.Errorf("the client's program has ended: %w", err)
			for _, c := range p.waiting {
				c <- p.ended
			}
			p.mu.Unlock()
			return
		}
		if a.Message != nil {
			p.conns[a.Client].messages <- *a.Message
		} else if c := p.waiting[a.ID]; c != nil {
			delete(p.waiting, a.ID)
			if a.Error != "" {
				c <- errors.New(a.Error)
			}
			close(c)
		}
		p.mu.Unlock()
	}
}

// request asks the program for an operation and waits for its answer.
func (p *program) request(fields map[string]any) error {
	p.mu.Lock()
	if p.ended != nil {
		p.mu.Unlock()
		return p.ended
	}
	p.next++
	answer := make(chan error, 1)
	p.waiting[p.next] = answer
	fields["id"] = p.next
	line, err := json.Marshal(fields)
	if err == nil {
		_, err = p.stdin.Write(append(line, '\n'))
	}
	p.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case err := <-answer:
		return err
	case <-time.After(timeout):
		return fmt.Errorf("no answer to %v in %v", fields["op"], timeout)
	}
}

func (p *program) connect(o options) (connection, error) {
	c := &programConnection{program: p, name: o.ClientID, messages: make(chan message, queued)}
	p.mu.Lock()
	p.conns[c.name] = c
	p.mu.Unlock()
	fields := map[string]any{}
	b, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, err
	}
	return c, c.do("connect", fields)
}

// programConnection is a connection of a program.
type programConnection struct {
	*program
	name     string
	messages chan message
}

func (c *programConnection) do(op string, fields map[string]any) error {
	fields["op"], fields["client"] = op, c.name
	return c.request(fields)
}

func (c *programConnection) Subscribe(filter string, qos byte) error {
	return c.do("subscribe", map[string]any{"filter": filter, "qos": qos})
}

func (c *programConnection) Publish(messages ...message) error {
	return c.do("publish", map[string]any{"messages": messages})
}

func (c *programConnection) Messages() <-chan message { return c.messages }
func (c *programConnection) Drop() error              { return c.do("drop", map[string]any{}) }
func (c *programConnection) Close() error             { return c.do("close", map[string]any{}) }
