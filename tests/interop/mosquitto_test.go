//go:build unix

package interop

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// mosquittoClients are Debian's mosquitto_pub and mosquitto_sub. A connection is a mosquitto_sub that waits for one message
// to a topic of its own, and one more for each subscription; each batch of messages is a mosquitto_pub. Debian's build of
// them speaks no WebSocket.
func mosquittoClients(t *testing.T) func(options) (connection, error) {
	for _, name := range []string{"mosquitto_pub", "mosquitto_sub"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%s is missing: apt-get install mosquitto-clients", name)
		}
	}
	return func(o options) (connection, error) {
		c := &mosquittoConnection{options: o, messages: make(chan message, queued)}
		var will []string
		if w := o.Will; w != nil {
			will = []string{"--will-topic", w.Topic, "--will-payload", w.Payload, "--will-qos", strconv.Itoa(int(w.QoS))}
			if w.Retain {
				will = append(will, "--will-retain")
			}
		}
		t.Cleanup(func() { c.end(func(cmd *exec.Cmd) error { return cmd.Process.Kill() }) })
		return c, c.subscribe(c.own(), 0, append(will, "-C", "1")...)
	}
}

type mosquittoConnection struct {
	options  options
	messages chan message
	mu       sync.Mutex
	subs     []*exec.Cmd
	count    int
}

// own is the topic whose message ends the connection.
func (c *mosquittoConnection) own() string { return "connections/" + c.options.ClientID }

// arguments are the options of the connection as both programs take them.
func (c *mosquittoConnection) arguments() ([]string, error) {
	u, err := url.Parse(c.options.URL)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.count++
	id := fmt.Sprintf("%s-%d", c.options.ClientID, c.count)
	c.mu.Unlock()
	version := map[byte]string{3: "mqttv31", 4: "mqttv311", 5: "mqttv5"}[c.options.Version]
	args := []string{"-h", u.Hostname(), "-p", u.Port(), "-i", id, "-V", version, "-u", c.options.Username, "-P", c.options.Password}
	if c.options.CA != "" {
		args = append(args, "--cafile", c.options.CA)
	}
	return args, nil
}

// received begins the lines of messages, among those of -d.
const received = "received "

func (c *mosquittoConnection) subscribe(filter string, qos byte, more ...string) error {
	args, err := c.arguments()
	if err != nil {
		return err
	}
	args = append(args, "-d", "-t", filter, "-q", strconv.Itoa(int(qos)), "-F", received+"%q %r %t %p")
	// stdbuf: what -d prints would wait in a buffer of stdio, since stdout is no terminal. It becomes mosquitto_sub by exec.
	cmd := exec.Command("stdbuf", append(append([]string{"-oL", "mosquitto_sub"}, args...), more...)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return err
	}
	c.mu.Lock()
	c.subs = append(c.subs, cmd)
	c.mu.Unlock()
	subscribed := make(chan error, 1)
	go c.read(stdout, qos, subscribed)
	select {
	case err := <-subscribed:
		return err
	case <-time.After(timeout):
		return fmt.Errorf("no answer of mosquitto_sub in %v", timeout)
	}
}

// read takes in what a mosquitto_sub prints until it ends.
func (c *mosquittoConnection) read(r io.Reader, qos byte, subscribed chan<- error) {
	var said []string
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if m, ok := strings.CutPrefix(line, received); ok {
			f := strings.SplitN(m, " ", 4)
			if len(f) == 4 && f[2] != c.own() {
				c.messages <- message{QoS: f[0][0] - '0', Retain: f[1] == "1", Topic: f[2], Payload: f[3]}
			}
			continue
		}
		said = append(said, line)
		if granted, ok := strings.CutPrefix(line, "Subscribed (mid: 1): "); ok {
			if granted != strconv.Itoa(int(qos)) {
				subscribed <- fmt.Errorf("granted %s", granted)
				return
			}
			subscribed <- nil
			subscribed = make(chan error, 1)
		}
	}
	subscribed <- fmt.Errorf("mosquitto_sub has ended: %s", strings.Join(said, "; "))
}

func (c *mosquittoConnection) Subscribe(filter string, qos byte) error {
	return c.subscribe(filter, qos)
}

// Publish runs one mosquitto_pub for each row of messages to the same topic.
func (c *mosquittoConnection) Publish(messages ...message) error {
	for len(messages) > 0 {
		first := messages[0]
		n := 1
		for n < len(messages) && messages[n].Topic == first.Topic && messages[n].QoS == first.QoS && messages[n].Retain == first.Retain {
			n++
		}
		args, err := c.arguments()
		if err != nil {
			return err
		}
		args = append(args, "-t", first.Topic, "-q", strconv.Itoa(int(first.QoS)))
		if first.Retain {
			args = append(args, "-r")
		}
		var input bytes.Buffer
		switch {
		case n == 1 && first.Payload == "":
			args = append(args, "-n")
		case n == 1:
			args = append(args, "-s")
			input.WriteString(first.Payload)
		default:
			args = append(args, "-l")
			for _, m := range messages[:n] {
				input.WriteString(m.Payload + "\n")
			}
		}
		cmd := exec.Command("mosquitto_pub", args...)
		cmd.Stdin = &input
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			return fmt.Errorf("mosquitto_pub: %w: %s", err, out)
		}
		messages = messages[n:]
	}
	return nil
}

func (c *mosquittoConnection) Messages() <-chan message { return c.messages }

func (c *mosquittoConnection) Drop() error {
	return c.end(func(cmd *exec.Cmd) error { return cmd.Process.Kill() })
}

// Close ends the first mosquitto_sub by the message that it waits for, so that it says goodbye: ended by a signal, it asks
// with MQTT 5 for its will to be sent. The others have none.
func (c *mosquittoConnection) Close() error {
	c.mu.Lock()
	var first *exec.Cmd
	if len(c.subs) > 0 {
		first = c.subs[0]
	}
	c.mu.Unlock()
	if first == nil {
		return nil
	}
	if err := c.Publish(message{Topic: c.own(), Payload: "end", QoS: 1}); err != nil {
		return errors.Join(err, c.Drop())
	}
	return c.end(func(cmd *exec.Cmd) error {
		if cmd == first {
			return nil
		}
		return cmd.Process.Signal(os.Interrupt)
	})
}

// end ends all processes of the connection and waits for them.
func (c *mosquittoConnection) end(how func(*exec.Cmd) error) error {
	c.mu.Lock()
	subs := c.subs
	c.subs = nil
	c.mu.Unlock()
	var errs []error
	for _, cmd := range subs {
		errs = append(errs, how(cmd))
		cmd.Wait() // its status says only that it was ended
	}
	return errors.Join(errs...)
}
