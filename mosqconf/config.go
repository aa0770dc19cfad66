package mosqconf

import (
	"errors"
	"fmt"

	"picket/access"
	"picket/backend"
	"picket/bridge"
	"picket/broker"
	"picket/logging"
	"picket/process"
	where "picket/store/place" // place is a line of a file here
)

// Config is what a configuration says: the broker's part, and what is the program's around it.
type Config struct {
	broker.Config

	Log         logging.Config
	User        string // to become when started as root; empty: stay
	PIDFile     string // empty: none
	AdminSocket string // path of the Unix socket that "picket ctl" speaks to; empty: none
	// Files are those that were read: the configuration file and those of its include_dir.
	Files []string
	// BansFile keeps who is banned (picket ban); bans.json in DataDir where nothing is said; empty: bans are forgotten when the broker ends.
	BansFile string
	// API are the listeners for whoever runs the broker (protocol http_api); MetricsForAll lets everyone who reaches them read the metrics (metrics_access).
	API           []API
	MetricsForAll bool
	// APIForAll lets those with a token use the HTTP API from other machines, too (api_access).
	APIForAll bool
	// TokensFile keeps the tokens of the HTTP API (picket ctl token); tokens.json in DataDir where nothing is said; empty: there can be none.
	TokensFile string
	// AuditFile takes a line for every change that somebody makes (package audit); audit.jsonl in DataDir where nothing is said; empty: there is none.
	AuditFile string
	// DataDir is the folder whose user, password and certificates are made when they are missing; empty: none. Names are what clients call this machine
	// beside its own name and addresses, for its certificate.
	DataDir string
	Names   []string
	// ACME says how a public authority is asked for a certificate, in place of the one in DataDir.
	ACME        ACME
	Persistence Persistence
	Bridges     []*bridge.Config
	// OpenInMosquitto is the place in Security of rules by which mosquitto lets in everybody, although nothing says so: none at all below a port
	// line, with per_listener_settings true. 0: there are none such.
	OpenInMosquitto int
	// Backends are asked about users and rights, by the place in Security of the rules that they belong to.
	Backends map[int]*backend.Config
}

// API is a listener for whoever runs the broker.
type API struct {
	Source  string // its place in the configuration
	Address string // HOST:PORT; an empty host is all addresses
}

// Persistence is what a configuration says of the store.
type Persistence struct {
	On       bool
	Store    string // directory of the store (persistence_store); empty: it stands beside mosquitto's file
	Location string // directory of mosquitto's file; empty: the working directory
	File     string // name of mosquitto's file. Default mosquitto.db
	Sync     string // always, interval or never. Default always

	Cluster     string // where Redis is, as redis://…; not empty: everything is stored there, and On is false
	Acknowledge string // what cluster_acknowledge says. Default auto
	Address     string // where other nodes reach this one, HOST:PORT (cluster_address); empty: it is none of several
}

// ACME is how a certificate of a public authority is got.
type ACME struct {
	Name  string // the host name or public address that it is for; "auto": this machine's public address; empty: none is wanted
	Email string // of the person to write to
	CA    string // URL of the authority's directory; empty: Let's Encrypt's
	Roots string // file of the certificates that the authority's own server is trusted by; empty: the system's
	// HTTPPort and TLSPort are where connections to ports 80 and 443 arrive; 0: there.
	HTTPPort, TLSPort int
}

// LetInAsMosquitto lets in whom mosquitto lets in by the rules of OpenInMosquitto.
func (c *Config) LetInAsMosquitto() {
	if c.OpenInMosquitto > 0 {
		c.Security[c.OpenInMosquitto].Anonymous = access.AnonymousAlways
	}
}

// Place is where the store lies.
func (p Persistence) Place() (where.Place, error) {
	if p.Store != "" {
		return where.Own(p.Store)
	}
	return where.OfMosquitto(p.Location, p.File)
}

// defaults is a configuration of which nothing has been said.
func defaults() Config {
	return Config{
		Config: broker.Defaults(),
		Log:    logging.Config{Dest: []logging.Dest{{Kind: logging.Stderr}}, Types: logging.Default, Timestamp: true, Facility: -1},
	}
}

// defaultUser is who the broker becomes when root starts it; mosquitto's fallback is nobody where there is no such user.
const defaultUser = "mosquitto"

// errNoUser is a user to become who does not exist.
var errNoUser = errors.New("this user does not exist")

// Becomes is the user that root becomes; nil: it stays root. instead says that the default user does not exist, so that it is nobody.
func (c *Config) Becomes() (user *process.User, instead bool, err error) {
	if c.User == "" || c.User == "root" {
		return nil, false, nil
	}
	user, err = process.LookupUser(c.User)
	if err != nil && c.User == defaultUser {
		user, err = process.LookupUser("nobody")
		instead = true
	}
	if err != nil {
		return nil, false, fmt.Errorf("Unable to drop privileges to '%s' because %w", c.User, errNoUser) //nolint:staticcheck // mosquitto's words
	}
	return user, instead, nil
}
