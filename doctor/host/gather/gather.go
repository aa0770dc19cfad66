// Package gather looks at the machine that a broker runs on and says what it sees as facts of package doctor/host. It reads files
// below /proc, /sys and /etc, asks the programs that know (nft, iptables-save, systemctl, docker, journalctl), connects to the broker's ports
// from the machine itself and, if it is given a probe, has them tried from outside. It changes nothing.
//
// What cannot be read, for lack of rights or because the system is another one, is a fact too.
package gather

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/procfs"

	"picket/cause"
	"picket/doctor"
	"picket/doctor/host"
	"picket/doctor/host/firewall"
	"picket/echo/probe"
	"picket/mosqconf"
)

// Options say what to look at. The zero value is this machine.
type Options struct {
	Ports  []int  // to look at; none: those of the broker's sockets and configuration, or 1883
	Config string // of the broker; empty: the one that it was started with
	Name   string // that clients use for this machine; may be empty
	Probe  *Probe // another machine that looks at this one; may be nil

	// Fact is told of each fact as it becomes known, and Doing of what takes a while. Either may be nil.
	Fact  func(doctor.Fact)
	Doing func(cause.Text)

	Root     string                                                                 // before all paths; for tests
	Run      func(ctx context.Context, name string, args ...string) ([]byte, error) // runs a program; for tests
	Metadata string                                                                 // URL in place of the clouds' metadata services; for tests
}

// Probe is a probe server.
type Probe struct {
	Host  string
	Port  int
	Token []byte
}

// Gather collects the facts, those of one stage together. The error is that ctx is done.
func Gather(ctx context.Context, o Options) ([]doctor.Fact, error) {
	whole, cancel := context.WithTimeout(ctx, wholeLimit)
	defer cancel()
	g := &gatherer{Options: o, ctx: whole, now: time.Now(), unreadable: make(map[string]bool)}
	if g.Run == nil {
		g.Run = run
	}
	for _, look := range []func(){
		g.processes, g.services, g.units, g.configurations, g.sockets, g.docker, g.log, g.limits, g.throttled, g.resources, g.clock, g.denials, // the broker and its machine
		g.addresses, g.conflicts, g.deadRoutes, g.cloud, g.publicKnown, g.name,
		g.wrappers, g.kernel, g.fronts, g.dials, g.firewall, g.forwarding, g.led, g.outside,
		g.certificates,
	} {
		if err := ctx.Err(); err != nil {
			return g.facts, err
		}
		if whole.Err() != nil {
			g.unread("rest", fmt.Errorf("the %v for the whole examination are over", wholeLimit))
			break
		}
		look()
	}
	return g.facts, ctx.Err()
}

// wholeLimit bounds the whole examination: a program that hangs must not keep the rest from being told.
const wholeLimit = 30 * time.Second

// gatherer is the state of [Gather].
type gatherer struct {
	Options
	ctx   context.Context
	now   time.Time
	facts []doctor.Fact

	unreadable map[string]bool // what an Unread fact has told of
	running    procfs.Procs    // every process
	brokers    []process
	listens    []host.Listen
	management map[int]bool // ports of brokers that take no clients: protocol http_api
	configs    []configuration
	own        host.Addresses
	interfaces []firewall.Interface
	outward    []outward       // addresses that others use
	vpns       map[string]bool // interfaces
	routed     bool            // there is a way to the internet by IPv4
	public     []string        // addresses outside of the machine that lead to it
	probes     []*probe.Client
	ports      []int
}

// configuration is a configuration file with what it means.
type configuration struct {
	fact   host.Config
	config *mosqconf.Config
	root   string // before the paths in it: a container's files
	user   string // who the broker becomes
	pid    int
	data   string // the folder for what is kept; empty: not known
}

func (g *gatherer) add(f doctor.Fact) {
	g.facts = append(g.facts, f)
	if g.Fact != nil {
		g.Fact(f)
	}
}

func (g *gatherer) doing(en, zh string) {
	if g.Doing != nil {
		g.Doing(cause.Text{EN: en, ZH: zh})
	}
}

// unread tells, once, that something cannot be read.
func (g *gatherer) unread(what string, err error) {
	if g.unreadable[what] {
		return
	}
	g.unreadable[what] = true
	g.add(host.Unread{What: what, Why: bare(err), Root: os.Geteuid() > 0 && (errors.Is(err, os.ErrPermission) || strings.Contains(strings.ToLower(err.Error()), "permi"))})
}

// bare is an error in the system's words, on one line.
func bare(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		err = fmt.Errorf("%s: %w", path.Path, path.Err)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return line
}

// path is a path of the machine.
func (g *gatherer) path(p string) string {
	if g.Root == "" {
		return p
	}
	return filepath.Join(g.Root, p)
}

// maxRead bounds what is read of a file.
const maxRead = 1 << 20

// read reads a small file of the machine.
func (g *gatherer) read(p string) (string, error) {
	f, err := os.Open(g.path(p))
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRead))
	return string(data), err
}

// word reads a file with one word or line.
func (g *gatherer) word(p string) string {
	s, err := g.read(p)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(s)
}

func (g *gatherer) exists(p string) bool {
	_, err := os.Stat(g.path(p))
	return err == nil
}

// tail reads the end of a file.
func (g *gatherer) tail(p string, n int64) (string, error) {
	f, err := os.Open(p)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is not a file", p)
	}
	if info.Size() > n {
		if _, err := f.Seek(-n, io.SeekEnd); err != nil {
			return "", err
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, n))
	if info.Size() > n {
		_, data, _ = bytes.Cut(data, []byte("\n")) // the first line is half a one
	}
	return string(data), err
}

// programLimit is how long a program may take: docker or systemctl may wait for a service that hangs.
const programLimit = 10 * time.Second

// errMissing is that a program is not installed.
var errMissing = exec.ErrNotFound

// run runs a program of the machine. Programs for root's use are found too.
func run(ctx context.Context, name string, args ...string) ([]byte, error) {
	file, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err == nil {
			break
		}
		file, err = exec.LookPath(filepath.Join(dir, name))
	}
	if err != nil {
		return nil, errMissing
	}
	ctx, cancel := context.WithTimeout(ctx, programLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PAGER=cat")
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if said := strings.TrimSpace(stderr.String()); said != "" {
			return out, fmt.Errorf("%s: %s", name, said)
		}
		return out, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// portsOf are the ports to look at: those asked for, or those of the broker, or MQTT's own.
func (g *gatherer) portsOf() []int {
	if len(g.Ports) > 0 {
		return g.Ports
	}
	if len(g.ports) > 0 {
		return g.ports
	}
	return []int{1883}
}

// interested says whether sockets at a port are worth a fact.
func (g *gatherer) interested(port int) bool {
	if len(g.Ports) > 0 {
		return slices.Contains(g.Ports, port)
	}
	return slices.Contains(usualPorts, port) || slices.Contains(g.ports, port)
}

// usualPorts are where people look for a broker: MQTT, MQTT over TLS, and WebSocket of mosquitto and of EMQX.
var usualPorts = []int{1883, 8883, 8083, 8084, 9001}
