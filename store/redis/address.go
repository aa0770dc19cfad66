package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Address says where Redis is: what stands behind "cluster" in the configuration.
type Address struct {
	Servers  []string // HOST:PORT: one server, the sentinels, or some nodes of a Redis Cluster
	Master   string   // what the sentinels call the master; empty: no sentinels
	Cluster  bool     // a Redis Cluster
	TLS      bool
	User     string
	Password string
	Prefix   string // of all keys, in braces

	SentinelUser     string
	SentinelPassword string // empty: the sentinels want none

	roots *x509.CertPool // authorities of the servers' certificates; nil: the system's
}

// ParseAddress reads redis://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/MASTER][?OPTION[&OPTION]…], or the same with rediss:// for TLS. The options are cluster,
// prefix=WORD, ca=FILE, sentinel_user=NAME and sentinel_password=PASSWORD. It reads the file with the authorities.
func ParseAddress(s string) (a Address, err error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if a.TLS = scheme == "rediss"; !ok || scheme != "redis" && !a.TLS {
		return a, errors.New("expected redis://HOST:PORT, or rediss:// for TLS")
	}
	rest, query, _ := strings.Cut(rest, "?")
	rest, a.Master, _ = strings.Cut(rest, "/")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, password, _ := strings.Cut(rest[:at], ":")
		if a.User, err = url.PathUnescape(user); err == nil {
			a.Password, err = url.PathUnescape(password)
		}
		if err != nil {
			return a, fmt.Errorf("the user name or the password has a percent sign that begins no encoded byte: write %% itself as %%25")
		}
		rest = rest[at+1:]
	}
	if err := a.parseQuery(query); err != nil {
		return a, err
	}
	if err := a.parseServers(rest); err != nil {
		return a, err
	}
	if len(a.Servers) > 1 && a.Master == "" && !a.Cluster {
		return a, errors.New("several servers are sentinels, and the name of their master is missing (redis://HOST,HOST/MASTER), or nodes of a Redis Cluster (?cluster)")
	}
	if a.Master != "" && a.Cluster {
		return a, errors.New("sentinels and a Redis Cluster exclude each other: either /MASTER or ?cluster")
	}
	if a.Master == "" && (a.SentinelUser != "" || a.SentinelPassword != "") {
		return a, errors.New("sentinel_user and sentinel_password are for sentinels: the name of their master is missing (redis://HOST,HOST/MASTER)")
	}
	if a.SentinelUser != "" && a.SentinelPassword == "" {
		return a, errors.New("sentinel_user without sentinel_password")
	}
	if a.roots != nil && !a.TLS {
		return a, errors.New("ca=FILE is for TLS: write rediss:// in place of redis://")
	}
	return a, nil
}

// parseQuery reads what stands behind the question mark.
func (a *Address) parseQuery(query string) error {
	q, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("behind the question mark: %w", err)
	}
	a.Prefix = "{picket}"
	for name, values := range q {
		switch {
		case name == "cluster" && values[0] == "":
			a.Cluster = true
		case name == "prefix" && values[0] != "" && !strings.ContainsAny(values[0], "{}"):
			a.Prefix = "{" + values[0] + "}"
		case name == "sentinel_user" && values[0] != "":
			a.SentinelUser = values[0]
		case name == "sentinel_password" && values[0] != "":
			a.SentinelPassword = values[0]
		case name == "ca" && values[0] != "":
			if err := a.trust(values[0]); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%q behind the question mark: expected cluster, prefix=WORD, ca=FILE, sentinel_user=NAME or sentinel_password=PASSWORD", name)
		}
	}
	return nil
}

// trust reads the certificates of the authorities that the servers' certificates come from.
func (a *Address) trust(file string) error {
	certificates, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("ca=FILE: %w", err)
	}
	a.roots = x509.NewCertPool()
	if !a.roots.AppendCertsFromPEM(certificates) {
		return fmt.Errorf("ca=FILE: %s holds no certificate (PEM)", file)
	}
	return nil
}

// parseServers reads the servers, with the port that is usual for what they are.
func (a *Address) parseServers(rest string) error {
	port := "6379"
	if a.Master != "" {
		port = "26379"
	}
	for _, server := range strings.Split(rest, ",") {
		host, p, err := net.SplitHostPort(server)
		if err != nil {
			host, p = strings.Trim(server, "[]"), port
		}
		if host == "" {
			return fmt.Errorf("%q: expected HOST:PORT", server)
		}
		a.Servers = append(a.Servers, net.JoinHostPort(host, p))
	}
	return nil
}

// String gives the address without its password, for logs.
func (a Address) String() string {
	s := strings.Join(a.Servers, ",")
	if a.Master != "" {
		s += "/" + a.Master
	}
	return s
}

// options are what the address means to the client. Retrying is off: the store knows which groups have been answered, and the client does not.
func (a Address) options() rueidis.ClientOption {
	o := rueidis.ClientOption{InitAddress: a.Servers, Username: a.User, Password: a.Password, ClientName: "picket", DisableRetry: true, DisableCache: true,
		ConnWriteTimeout: 10 * time.Second, Dialer: net.Dialer{Timeout: 2 * time.Second, KeepAlive: time.Second}}
	o.ForceSingleClient = a.Master == "" && !a.Cluster
	if a.TLS {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: a.roots}
	}
	if a.Master != "" {
		// An announcement of a new master can be missed: the sentinels are asked again, too.
		o.Sentinel = rueidis.SentinelOption{MasterSet: a.Master, Username: a.SentinelUser, Password: a.SentinelPassword, TLSConfig: o.TLSConfig, Dialer: o.Dialer, TopologyRefreshInterval: 2 * time.Second}
	}
	if a.Cluster {
		o.ClusterOption.ShardsRefreshInterval = 5 * time.Second
	}
	return o
}
