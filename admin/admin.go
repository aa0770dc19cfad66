// Package admin is the broker's door for whoever runs it: a Unix socket at which package api answers, the client that "picket ctl" asks there, and the HTTP listeners for
// metrics, health and the dashboard.
//
// The socket has mode 0600, and where the system tells who is calling, only the user that the broker runs as and root are served.
package admin

import (
	"net/netip"
	"time"

	"picket/backend"
	"picket/bridge"
	"picket/cause"
	"picket/cluster"
)

// SocketName is the name of the socket in a data directory, and in /run/picket.
const SocketName = "admin.sock"

// SystemSocket is where "picket ctl" looks first.
const SystemSocket = "/run/picket/" + SocketName

// Status is what a broker does.
type Status struct {
	Version       string              `json:"version"`
	PID           int                 `json:"pid"`
	Config        string              `json:"config,omitempty"`      // path of the configuration file; empty: none
	Data          string              `json:"data,omitempty"`        // the data directory; empty: none
	Socket        string              `json:"socket"`                // the admin socket
	Place         string              `json:"store_place,omitempty"` // the store's directory, or Redis' address without passwords; empty: persistence is off
	ACMEName      string              `json:"acme_name,omitempty"`   // what a certificate of a public authority is asked for, as it was said
	ACMEEmail     string              `json:"acme_email,omitempty"`
	LogFiles      []string            `json:"log_files,omitempty"`
	Journal       bool                `json:"journal,omitempty"` // standard error is systemd's journal
	Started       time.Time           `json:"started"`
	Uptime        int64               `json:"uptime_seconds"`
	Page          bool                `json:"page"`                 // this build has the phone's page
	Dashboards    []string            `json:"dashboards,omitempty"` // the URLs of the dashboard for this machine
	Clients       int64               `json:"clients"`
	Sessions      int64               `json:"sessions"`
	Subscriptions int                 `json:"subscriptions"`
	Retained      int                 `json:"retained_messages"`
	Waiting       int64               `json:"waiting_bytes"`
	Load          Load                `json:"load"`
	GlobalMax     int                 `json:"global_max_connections,omitempty"`
	Listeners     []Listener          `json:"listeners"`
	Store         *Store              `json:"store,omitempty"`       // absent: persistence is off
	Maintenance   *Maintenance        `json:"maintenance,omitempty"` // absent: the broker is open
	Bridges       []bridge.State      `json:"bridges,omitempty"`
	Cluster       *cluster.State      `json:"cluster,omitempty"`  // absent: the broker is no node of several
	Backends      []backend.Status    `json:"backends,omitempty"` // services that are asked about users and rights
	Causes        map[cause.ID]uint64 `json:"causes"`
}

// Store is what the broker keeps beyond its life.
type Store struct {
	Messages int64    `json:"messages"` // in the queues of sessions
	Disk     int64    `json:"disk_bytes"`
	Waiting  int64    `json:"waiting_bytes"` // to be written
	Syncs    uint64   `json:"fsyncs"`
	Failing  cause.ID `json:"failing,omitempty"` // why nothing can be stored; absent: it can
}

// Load is how busy the broker is.
type Load struct {
	Short           []string `json:"short"` // what is short: cpu, memory, descriptors
	Lag             int64    `json:"lag_milliseconds"`
	PasswordWait    int64    `json:"password_wait_milliseconds"`
	Memory          int64    `json:"memory_bytes"`
	MemoryLimit     int64    `json:"memory_limit_bytes"`
	Connections     int64    `json:"connections"`
	ConnectionLimit int64    `json:"connection_limit"`
}

// Listener is one listener.
type Listener struct {
	Source         string           `json:"source"`
	Addresses      []netip.AddrPort `json:"addresses,omitempty"`
	Path           string           `json:"path,omitempty"` // of a Unix socket
	Port           int              `json:"port,omitempty"`
	Address        string           `json:"address,omitempty"` // as configured; empty: all
	Interface      string           `json:"interface,omitempty"`
	Domain         string           `json:"socket_domain,omitempty"`
	Protocol       string           `json:"protocol"` // mqtt, websockets or auto
	TLS            bool             `json:"tls"`
	CertFile       string           `json:"certfile,omitempty"`
	Page           bool             `json:"page"`
	Anonymous      string           `json:"allow_anonymous"` // false, local or true
	Limited        bool             `json:"acl_file"`
	NoUsers        bool             `json:"no_users,omitempty"` // nobody has a password that would be right
	Connections    int64            `json:"connections"`
	MaxConnections int              `json:"max_connections"` // -1: no limit
}

// Maintenance is a time in which the broker takes no clients but those it excepts.
type Maintenance struct {
	Since           time.Time      `json:"since,omitzero"` // set by the broker
	Until           time.Time      `json:"until,omitzero"` // absent: until it is ended
	Message         string         `json:"message,omitempty"`
	ServerReference string         `json:"server_reference,omitempty"`
	Moved           bool           `json:"moved,omitempty"`
	Grace           float64        `json:"grace_seconds,omitempty"`
	ExceptLocal     bool           `json:"except_local,omitempty"`
	Allow           []netip.Prefix `json:"allow,omitempty"`
}
