package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"picket/access"
	"picket/audit"
	"picket/backend"
	"picket/bridge"
	"picket/broker"
	"picket/cause"
	"picket/cluster"
	"picket/listener"
)

const (
	maxProblem = 64 << 10 // bytes of an answer that says no
	// requestLimit bounds a request: the caller is a program on this machine.
	requestLimit = 10 * time.Second
	// maxCallers bounds the connections that are served at once.
	maxCallers = 48
)

// About is what the server tells of the program around the broker.
type About struct {
	Version string
	Data    string // the data directory; empty: none
	Config  string // path of the configuration file; empty: none
	Page    bool   // this build has the phone's page

	Place     string // of the store: its directory, or Redis' address without passwords; empty: persistence is off
	ACMEName  string // what a certificate of a public authority is asked for, as it was said; empty: none is wanted
	ACMEEmail string

	LogFiles func() []string // whole paths of the files that the log is written to
	Journal  bool            // standard error is systemd's journal

	// Reload reads the configuration again; its error says why the old one stays in force. It returns early when the context ends.
	Reload func(context.Context) error

	// Backup writes a backup; keys: with private keys.
	Backup func(ctx context.Context, w io.Writer, keys bool) error

	Bridges func() []bridge.State // nil: there are none, ever
	Cluster func() *cluster.State // nil: the broker is no node of several
	// Backends tell how the services answer that are asked about users and rights; nil: there are none, ever.
	Backends func() []backend.Status
	Rights   Rights // nil: users and rights come from files that people edit

	Dashboards func() []string // the URLs of the dashboard for this machine; nil: it is served nowhere

	Audit *audit.Journal // takes every change; nil: none does
}

// Server is the admin socket.
type Server struct {
	http *http.Server
	path string
	done chan struct{}
}

// Serve opens the socket, and has api answer those whom it lets in, until [Server.Close].
func Serve(path string, api http.Handler) (*Server, error) {
	ln, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("admin socket %s: %w", path, err)
	}
	s := &Server{path: path, done: make(chan struct{})}
	s.http = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !r.Context().Value(peerKey{}).(peer).trusted {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(problem{"the admin socket is for the broker's user and root only"}) // the caller may be gone
			return
		}
		api.ServeHTTP(w, r)
	}),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, peerKey{}, peerOf(c.(*caller).Conn))
		},
		ReadTimeout: requestLimit, WriteTimeout: requestLimit, MaxHeaderBytes: 8 << 10,
		ErrorLog: log.New(io.Discard, "", 0)} // what it has to say is said to the caller too
	go func() {
		defer close(s.done)
		_ = s.http.Serve(&door{Listener: ln, free: make(chan struct{}, maxCallers)}) // it ends by Close only
	}()
	return s, nil
}

// peer is who has connected to the socket.
type peer struct {
	trusted bool
	name    string
}

// peerKey is the key of the peer, in a request's context.
type peerKey struct{}

// PeerOf says who has made a request at the admin socket, and may: a user's number where the system tells. ok is false for one that came another way.
func PeerOf(ctx context.Context) (name string, ok bool) {
	p, ok := ctx.Value(peerKey{}).(peer)
	return p.name, ok && p.trusted
}

// listen opens a socket that only the owner may connect to, from its first moment on.
func listen(path string) (net.Listener, error) {
	defer narrow()()
	ln, err := listener.ListenUnix(path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = ln.Close() // it is the failure of Chmod that counts
		os.Remove(path)
		return nil, err
	}
	return ln, nil
}

// Close closes the socket, ends what is under way, and removes the path.
func (s *Server) Close() {
	_ = s.http.Close()
	<-s.done
	os.Remove(s.path)
}

// door lets callers in, some at a time.
type door struct {
	net.Listener
	free chan struct{}
}

func (d *door) Accept() (net.Conn, error) {
	d.free <- struct{}{}
	c, err := d.Listener.Accept()
	if err != nil {
		<-d.free
		return nil, err
	}
	return &caller{Conn: c, leave: sync.OnceFunc(func() { <-d.free })}, nil
}

type caller struct {
	net.Conn
	leave func()
}

func (c *caller) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// Status asks the broker. socket is the admin socket; empty: there is none.
func (a *About) Status(of *broker.Broker, socket string) Status {
	b := of.Status()
	st := Status{
		Version: a.Version, PID: os.Getpid(), Config: a.Config, Data: a.Data, Socket: socket, LogFiles: a.LogFiles(), Journal: a.Journal, Started: b.Started, Uptime: int64(time.Since(b.Started).Seconds()), Page: a.Page,
		Place: a.Place, ACMEName: a.ACMEName, ACMEEmail: a.ACMEEmail,
		GlobalMax: b.GlobalMax, Load: Load{Short: append([]string{}, b.Short...)}, Causes: map[cause.ID]uint64{},
	}
	if a.Bridges != nil {
		st.Bridges = a.Bridges()
	}
	if a.Cluster != nil {
		st.Cluster = a.Cluster()
	}
	if a.Backends != nil {
		st.Backends = a.Backends()
	}
	if a.Dashboards != nil {
		st.Dashboards = a.Dashboards()
	}
	st.fill(of.StatusFigures())
	if st.Store != nil {
		st.Store.Failing = b.Ailing
	}
	for _, l := range b.Listeners {
		c := l.Config
		st.Listeners = append(st.Listeners, Listener{Source: c.Source, Addresses: l.Addrs, Path: c.Path, Port: c.Port, Address: c.Address, Interface: c.Interface,
			Domain: c.Domain, Protocol: protocols[c.Protocol], TLS: c.TLS.CertFile != "", CertFile: c.TLS.CertFile, Page: l.Page && a.Page, Anonymous: anonymous[l.Anonymous], Limited: l.Limited, NoUsers: l.NoUsers,
			Connections: l.Connections, MaxConnections: c.MaxConnections})
	}
	if m, ok := of.Maintenance(); ok {
		st.Maintenance = &Maintenance{Since: m.Since, Until: m.Until, Message: m.Message, ServerReference: m.ServerReference, Moved: m.Moved,
			Grace: m.Grace.Seconds(), ExceptLocal: m.ExceptLocal, Allow: m.Allow}
	}
	return st
}

// fill puts the broker's figures where they belong: a place such as load.connections names the members of the status on the way to it.
func (s *Status) fill(figures map[string]int64) {
	tree := make(map[string]any)
	for place, value := range figures {
		node, names := tree, strings.Split(place, ".")
		for _, name := range names[:len(names)-1] {
			if node[name] == nil {
				node[name] = make(map[string]any)
			}
			node = node[name].(map[string]any)
		}
		node[names[len(names)-1]] = value
	}
	data, err := json.Marshal(tree)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		err = d.Decode(s)
	}
	if err != nil {
		panic(err) // the table of figures names a member that Status does not have; a test looks
	}
}

var protocols = map[listener.Protocol]string{listener.MQTT: "mqtt", listener.WebSocket: "websockets", listener.Auto: "auto"}

var anonymous = map[access.Anonymous]string{access.AnonymousNever: "false", access.AnonymousLocal: "local", access.AnonymousAlways: "true"}

// Wanted is the maintenance as the broker takes it.
func (m *Maintenance) Wanted() broker.Maintenance {
	return broker.Maintenance{Until: m.Until, Message: m.Message, ServerReference: m.ServerReference, Moved: m.Moved,
		Grace: time.Duration(m.Grace * float64(time.Second)), ExceptLocal: m.ExceptLocal, Allow: m.Allow}
}

// problem is the body of an answer that says no, as much of it as is told at a terminal.
type problem struct {
	Detail string `json:"detail"`
}
