package sentinel

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	osuser "os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"picket/process"
)

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// resolver looks names up and remembers the answers: the machine asks for a name each time that it compares addresses, and sees from the answers
// that an instance has moved. Connections ask anew.
type resolver struct {
	mu    sync.Mutex
	names map[string]*name
}

type name struct {
	ips   []string
	asked time.Time
	busy  bool
}

const (
	// nameAge is how old an answer may be before it is asked for again, in the background.
	nameAge = 5 * time.Second
	// firstLookup bounds the wait for a name that is new. Nothing else happens meanwhile.
	firstLookup = 500 * time.Millisecond
)

// lookup returns the addresses of a host, IPv4 before IPv6.
func (r *resolver) lookup(host string) []string {
	r.mu.Lock()
	n := r.names[host]
	first := n == nil
	if first {
		n = &name{}
		if r.names == nil {
			r.names = map[string]*name{}
		}
		r.names[host] = n
	}
	refresh := !n.busy && (first || time.Since(n.asked) > nameAge || len(n.ips) == 0 && time.Since(n.asked) > time.Second)
	var done chan struct{}
	if refresh {
		n.busy, n.asked = true, time.Now()
		done = make(chan struct{})
		go func() {
			defer close(done)
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			_, _ = r.ask(ctx, host) // what cannot be found is found out again by whoever connects
			r.mu.Lock()
			n.busy = false
			r.mu.Unlock()
		}()
	}
	r.mu.Unlock()
	if first && done != nil {
		select {
		case <-done:
		case <-time.After(firstLookup):
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return n.ips
}

// ask looks a host up now. An address is its own answer.
func (r *resolver) ask(ctx context.Context, host string) ([]string, error) {
	if isAddress(host) {
		return []string{host}, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(found, func(a, b netip.Addr) int { return a.Unmap().BitLen() - b.Unmap().BitLen() })
	var ips []string
	for _, a := range found {
		ips = append(ips, a.Unmap().String())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.names[host]; n != nil {
		n.ips, n.asked = ips, time.Now()
	}
	return ips, nil
}

// listenUnix opens a Unix socket. mode 0 and no group leave it as the system makes it.
func listenUnix(path string, mode os.FileMode, group string) (net.Listener, error) {
	if st, err := os.Stat(path); err == nil && st.Mode()&os.ModeSocket != 0 {
		os.Remove(path) // of a process that was killed
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if group != "" {
		err = setGroup(path, group)
	}
	if err == nil && mode != 0 {
		err = os.Chmod(path, mode)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func setGroup(path, name string) error {
	g, err := osuser.LookupGroup(name)
	if err != nil {
		return fmt.Errorf("unixsocketgroup: %w", err)
	}
	id, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("unixsocketgroup %s: its id is %q", name, g.Gid)
	}
	return os.Chown(path, -1, id)
}

func writePidFile(c *Config) error {
	if c.PidFile == "" && c.Daemonize {
		c.PidFile = "/var/run/redis.pid"
	}
	if c.PidFile == "" {
		return nil
	}
	abs, err := filepath.Abs(c.PidFile)
	if err != nil {
		return err
	}
	c.PidFile = abs
	return os.WriteFile(abs, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
}

// supervision is who supervises this process, by the setting and the environment.
func supervision(setting string) string {
	switch {
	case (setting == "systemd" || setting == "auto") && os.Getenv("NOTIFY_SOCKET") != "":
		return "systemd"
	case (setting == "upstart" || setting == "auto") && os.Getenv("UPSTART_JOB") != "":
		return "upstart"
	}
	return "no"
}

// notify tells systemd what state the sentinel is in, where that has asked for it.
func notify(setting string, states ...string) {
	if supervision(setting) != "systemd" {
		return
	}
	process.NotifySupervisor(states...)
}

// setLogLevel keeps a level set at run time, as if it stood on the command line.
func (c *Config) setLogLevel(l LogLevel) {
	c.LogLevel = l
	c.fromCommandLine = slices.DeleteFunc(c.fromCommandLine, func(d directive) bool { return strings.EqualFold(d.args[0], "loglevel") })
	c.fromCommandLine = append(c.fromCommandLine, directive{text: "loglevel " + l.String(), args: []string{"loglevel", l.String()}})
}
