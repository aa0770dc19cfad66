package mosqconf

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"picket/ban"
	"picket/cause"
	"picket/logging"
	"picket/store/redis"
)

func (p *parser) allowDuplicateMessages(_ *fileState, l line) {
	p.find(Notice, l, cause.ConfigDeprecated, "", "The 'allow_duplicate_messages' option is now deprecated and will be removed in a future version. The behaviour will default to true.")
	p.bool(l, &p.config.AllowDuplicateMessages)
}

func (p *parser) connectTimeout(_ *fileState, l line) {
	if n, ok := p.int(l, 1, 3600); ok {
		p.config.ConnectTimeout = time.Duration(n) * time.Second
	}
}

func (p *parser) adminSocket(_ *fileState, l line) {
	if s, ok := p.string(l, p.seen); ok {
		if p.config.AdminSocket = s; s == "none" {
			p.config.AdminSocket = ""
		}
	}
}

func (p *parser) auditFile(_ *fileState, l line) {
	if s, ok := p.string(l, p.seen); ok {
		p.config.AuditFile, p.unaudited = s, s == "none"
		if p.unaudited {
			p.config.AuditFile = ""
		}
	}
}

// failures are what ban_after may count: what a stranger does wrong before it is a client, or with broken packets.
var failures = []cause.ID{cause.BadCredentials, cause.JWTRefused, cause.ClientIDPrefix, cause.AnonymousRefused, cause.MalformedPacket, cause.ProtocolViolation, cause.ProtocolVersion}

func (p *parser) banAfter(_ *fileState, l line) {
	text, ok := p.string(l, p.seen)
	if !ok {
		return
	}
	rule, err := ban.ParseRule(text, []string{string(cause.BadCredentials)})
	if err != nil {
		p.errorf(l, cause.ConfigInvalidValue, "For example: ban_after 20/10m 15m", "Error: ban_after: %v.", err)
		return
	}
	for _, id := range rule.Causes {
		if !slices.Contains(failures, cause.ID(id)) {
			var all []string
			for _, f := range failures {
				all = append(all, string(f))
			}
			p.errorf(l, cause.ConfigInvalidValue, "These can be: "+strings.Join(all, " "), "Error: ban_after cannot count %s.", id)
			return
		}
	}
	p.config.BanAfter = rule
}

func (p *parser) metricsAccess(_ *fileState, l line) {
	choose(p, l, &p.config.MetricsForAll, map[string]bool{"local": false, "everyone": true}, "It is local or everyone.")
}

func (p *parser) apiAccess(_ *fileState, l line) {
	choose(p, l, &p.config.APIForAll, map[string]bool{"local": false, "everyone": true}, "It is local or everyone.")
}

func (p *parser) dataDir(_ *fileState, l line) {
	if s, ok := p.string(l, p.seen); ok {
		if !filepath.IsAbs(s) {
			p.errorf(l, cause.ConfigInvalidValue, "Write the whole path, such as /var/lib/picket.", "Error: data_dir %s does not begin with /.", s)
			return
		}
		p.config.DataDir = filepath.Clean(s)
	}
}

func (p *parser) acmeName(_ *fileState, l line) {
	s, ok := p.string(l, p.seen)
	if !ok || s == "auto" {
		p.config.ACME.Name = s
		return
	}
	if p.config.ACME.Name, ok = ServerName(s); !ok {
		p.errorf(l, cause.ConfigInvalidValue, "Write mqtt.example.com, 203.0.113.7 or auto.", "Error: acme_name %s is neither a host name nor an address.", s)
	}
}

// globalString and globalPort make the functions of options that are stored as they are.
func globalString(field func(*parser) *string) func(*parser, *fileState, line) {
	return func(p *parser, _ *fileState, l line) {
		if s, ok := p.string(l, p.seen); ok {
			*field(p) = s
		}
	}
}

func globalPort(field func(*parser) *int) func(*parser, *fileState, line) {
	return func(p *parser, _ *fileState, l line) {
		if n, ok := p.int(l, 1, 65535); ok {
			*field(p) = int(n)
		}
	}
}

func (p *parser) serverName(_ *fileState, l line) {
	words := l.words()
	if len(words) == 0 {
		p.empty(l)
		return
	}
	for _, w := range words {
		name, ok := ServerName(w)
		if !ok {
			p.errorf(l, cause.ConfigInvalidValue, "Write mqtt.example.com or 192.0.2.1, without a port.", "Error: server_name %s is neither a host name nor an address.", w)
			continue
		}
		p.config.Names = append(p.config.Names, name)
	}
}

// ServerName is a host name in lower case, or an address, as a certificate can have it; false for anything else.
func ServerName(s string) (string, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone("").String(), !a.IsUnspecified()
	}
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(s, "."))
	return ascii, err == nil && ascii != "" && !strings.ContainsAny(ascii, "*_ /:@")
}

func (p *parser) eventLoops(_ *fileState, l line) {
	if n, ok := p.int(l, 0, 1024); ok {
		p.config.Loops = int(n)
	}
}

// logDest adds a destination. The first line takes the place of the default.
func (p *parser) logDest(_ *fileState, l line) {
	words := l.words()
	if len(words) == 0 {
		p.empty(l)
		return
	}
	if !p.logDestSet {
		p.logDestSet = true
		p.config.Log.Dest = nil
	}
	d := logging.Dest{}
	switch words[0] {
	case "none":
		p.config.Log.Dest = nil
		p.noMore(l, words[1:])
		return
	case "stdout":
		d.Kind = logging.Stdout
	case "stderr":
		d.Kind = logging.Stderr
	case "syslog":
		d.Kind = logging.Syslog
	case "topic":
		d.Kind = logging.Topic
	case "file":
		d.Kind = logging.File
		d.Path = strings.TrimSpace(strings.TrimPrefix(l.rest, "file"))
		switch {
		case p.logFile:
			p.errorf(l, cause.ConfigInvalidValue, "There can be one file.", "Error: Duplicate \"log_dest file\" value.")
		case d.Path == "":
			p.errorf(l, cause.ConfigInvalidValue, "Write: log_dest file PATH", "Error: Empty \"log_dest file\" value in configuration.")
		default:
			p.logFile = true
			p.config.Log.Dest = append(p.config.Log.Dest, d)
		}
		return
	case "dlt":
		p.errorf(l, cause.ConfigUnsupported, "Use syslog, or a file.", "Error: log_dest dlt is not possible: Picket does not speak Diagnostic Log and Trace.")
		return
	default:
		p.invalid(l, words[0], "It is none, stdout, stderr, syslog, topic or file PATH.")
		return
	}
	p.noMore(l, words[1:])
	if !slices.Contains(p.config.Log.Dest, d) {
		p.config.Log.Dest = append(p.config.Log.Dest, d)
	}
}

func (p *parser) logFacility(_ *fileState, l line) {
	if n, ok := p.int(l, 0, 7); ok {
		p.config.Log.Facility = int(n)
	}
}

func (p *parser) logFormat(_ *fileState, l line) {
	choose(p, l, &p.config.Log.Format, map[string]logging.Format{"mosquitto": logging.Mosquitto, "text": logging.Text, "json": logging.JSON}, "It is mosquitto, text or json.")
}

func (p *parser) logTimestampFormat(_ *fileState, l line) {
	if s, ok := p.string(l, p.seen); ok {
		p.config.Log.TimestampFormat = s
	}
}

var logTypes = map[string]logging.Type{
	"information": logging.Info, "notice": logging.Notice, "warning": logging.Warning, "error": logging.Error,
	"debug": logging.Debug, "subscribe": logging.Subscribe, "unsubscribe": logging.Unsubscribe, "internal": logging.Internal,
	"websockets": logging.WebSockets, "all": logging.All,
}

// logType adds a kind of line. The first one takes the place of the default.
func (p *parser) logType(_ *fileState, l line) {
	value, ok := p.word(l)
	if !ok {
		return
	}
	if !p.logTypeSet {
		p.logTypeSet = true
		p.config.Log.Types = logging.None
	}
	switch t, known := logTypes[value]; {
	case value == "none":
		p.config.Log.Types = logging.None
	case known:
		p.config.Log.Types |= t
	default:
		p.invalid(l, value, "It is one of "+directives["log_type"].usage+".")
	}
}

// maxInflightMessages: 0 is no limit, and so are negative numbers and 65535, the most that the protocol has.
func (p *parser) maxInflightMessages(_ *fileState, l line) {
	n, ok := p.atLeastZero(l)
	switch {
	case !ok:
	case n > math.MaxUint16:
		p.errorf(l, cause.ConfigInvalidValue, "There are no more packet identifiers; 0 is no limit.", "Error: max_inflight_messages must be <= 65535.")
	case n == math.MaxUint16:
		p.config.MaxInflightMessages, p.config.ReceiveMaximum = 0, 0
	default:
		p.config.MaxInflightMessages, p.config.ReceiveMaximum = int(n), int(n)
	}
}

func (p *parser) maxKeepAlive(_ *fileState, l line) {
	if n, ok := p.int(l, 0, math.MaxUint16); ok {
		p.config.MaxKeepAlive = uint16(n)
	}
}

func (p *parser) maxOutputBytes(_ *fileState, l line) {
	if n, ok := p.int(l, 64<<10, math.MaxInt32); ok {
		p.config.MaxOutputBytes = int(n)
	}
}

func (p *parser) maxTotalOutputBytes(_ *fileState, l line) {
	if n, ok := p.int(l, 1<<20, math.MaxInt64); ok {
		p.config.MaxTotalOutputBytes = n
	}
}

// The longest packet is one byte for its type, four for its length, and what four bytes can count.
const longestPacket = 268_435_455 + 5

func (p *parser) maxPacketSize(_ *fileState, l line) {
	n, ok := p.int(l, 20, math.MaxInt64)
	if ok {
		p.config.MaxPacketSize = uint32(min(n, longestPacket))
	}
}

func (p *parser) memoryLimit(_ *fileState, l line) {
	if n, ok := p.int(l, 0, math.MaxInt64); ok {
		p.config.MemoryLimit = n
	}
}

func (p *parser) messageSizeLimit(_ *fileState, l line) {
	p.find(Notice, l, cause.ConfigDeprecated, "", "Note: It is recommended to replace `message_size_limit` with `max_packet_size`.")
	if n, ok := p.int(l, 0, 268_435_455); ok {
		p.config.MessageSizeLimit = int(n)
	}
}

func (p *parser) persistentClientExpiration(_ *fileState, l line) {
	value, ok := p.word(l)
	if !ok {
		return
	}
	const day = 24 * time.Hour
	units := map[byte]time.Duration{'h': time.Hour, 'd': day, 'w': 7 * day, 'm': 30 * day, 'y': 365 * day}
	unit := units[value[len(value)-1]]
	n, err := strconv.ParseInt(value[:len(value)-1], 10, 64)
	switch {
	case unit == 0, err != nil, n <= 0:
		p.errorf(l, cause.ConfigInvalidValue, "Write: "+directives.usage(l.word), "Error: Invalid persistent_client_expiration duration in configuration.")
	case n > int64(math.MaxInt64/unit):
		p.config.PersistentExpiration = math.MaxInt64 // 292 years
	default:
		p.config.PersistentExpiration = time.Duration(n) * unit
	}
}

func (p *parser) pidFile(_ *fileState, l line) {
	if s, ok := p.string(l, p.seen); ok {
		p.config.PIDFile = s
	}
}

func (p *parser) retryInterval(_ *fileState, l line) {
	p.find(Warning, l, cause.ConfigNoEffect, "Messages are sent again when a client reconnects; leave the line out.", "Warning: The retry_interval option is no longer available.")
}

func (p *parser) sysInterval(_ *fileState, l line) {
	if n, ok := p.int(l, 0, math.MaxUint16); ok {
		p.config.SysInterval = time.Duration(n) * time.Second
	}
}

// user: root means to stay root.
func (p *parser) user(_ *fileState, l line) {
	if s, ok := p.string(l, p.seen); ok {
		p.config.User = s
		if s == "root" {
			p.config.User = ""
		}
	}
}

// websocketsHeadersSize is about all listeners.
func (p *parser) websocketsHeadersSize(_ *fileState, l line) {
	if n, ok := p.int(l, 0, math.MaxUint16); ok {
		p.headersSize = int(n)
	}
}

func (p *parser) websocketsLogLevel(_ *fileState, l line) {
	if n, ok := p.int(l, math.MinInt64, math.MaxInt64); ok && n != 0 {
		p.find(Warning, l, cause.ConfigNoEffect, "Leave the line out; log_type websockets and log_type debug show what WebSocket clients do.",
			"Warning: websockets_log_level has no effect: it is the log mask of a library that Picket does not use.")
	}
}

// persistenceSwitch takes persistence and its alias.
func (p *parser) persistenceSwitch(_ *fileState, l line) {
	p.bool(l, &p.config.Persistence.On)
}

// autosave takes the options that say how often mosquitto writes its file. Here nothing that has been acknowledged is ever older than on the disk.
func (p *parser) autosave(_ *fileState, l line) {
	if l.word == "autosave_interval" {
		if _, ok := p.atLeastZero(l); !ok {
			return
		}
	} else {
		p.bool(l, new(bool))
	}
	p.autosaves = append(p.autosaves, l)
}

func (p *parser) persistenceFile(_ *fileState, l line) {
	if s, ok := p.string(l, p.seen); ok {
		p.config.Persistence.File = s
		p.whenPersisted = append(p.whenPersisted, l)
	}
}

func (p *parser) persistenceLocation(_ *fileState, l line) {
	if s, ok := p.string(l, p.seen); ok {
		p.config.Persistence.Location = s
		p.whenPersisted = append(p.whenPersisted, l)
	}
}

// persistenceStore takes the store's own folder, such as that of a start without a configuration.
func (p *parser) persistenceStore(_ *fileState, l line) {
	if s, ok := p.string(l, p.seen); ok {
		p.config.Persistence.Store = s
		p.whenPersisted = append(p.whenPersisted, l)
	}
}

func (p *parser) persistenceSync(_ *fileState, l line) {
	value, ok := p.word(l)
	if !ok {
		return
	}
	switch value {
	case "always", "interval", "never":
		p.config.Persistence.Sync = value
		p.whenPersisted = append(p.whenPersisted, l)
	default:
		p.invalid(l, value, "It is always, interval or never.")
	}
}

// cluster takes where Redis is. What is wrong with it is said without the password that it may hold.
func (p *parser) cluster(_ *fileState, l line) {
	value, ok := p.string(l, p.seen)
	if !ok {
		return
	}
	if _, err := redis.ParseAddress(value); err != nil {
		p.errorf(l, cause.ConfigInvalidValue, "", "Error: Invalid cluster value: %v.", err)
		return
	}
	p.config.Persistence.Cluster = value
	p.clusterLine = l
}

// clusterAddress takes where other nodes reach this one.
func (p *parser) clusterAddress(_ *fileState, l line) {
	value, ok := p.string(l, p.seen)
	if !ok {
		return
	}
	if err := CheckClusterAddress(value); err != nil {
		p.invalid(l, value, "It is HOST:PORT, by which the other nodes reach this one.")
		return
	}
	p.config.Persistence.Address = value
	p.whenClustered = append(p.whenClustered, l)
}

// CheckClusterAddress tells what is wrong with an address by which other nodes are to reach this one.
func CheckClusterAddress(value string) error {
	host, port, err := net.SplitHostPort(value)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil || n == 0 || len(value) > 64 {
		return fmt.Errorf("%s is not HOST:PORT", value)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("%s is no address that other machines can reach", value)
	}
	return nil
}

func (p *parser) clusterAcknowledge(_ *fileState, l line) {
	value, ok := p.string(l, p.seen)
	if !ok {
		return
	}
	if _, err := redis.ParseAcknowledge(value); err != nil {
		p.invalid(l, value, "It is auto, master, or replicas NUMBER.")
		return
	}
	p.config.Persistence.Acknowledge = value
	p.whenClustered = append(p.whenClustered, l)
}

// retainExpiryInterval is every how many minutes mosquitto looks for retained messages whose Message Expiry Interval is over.
func (p *parser) retainExpiryInterval(_ *fileState, l line) {
	if n, ok := p.atLeastZero(l); ok && n == 0 {
		p.invalid(l, "0", "It is a number of minutes, at least 1.")
	} else if ok {
		ineffective("It is of mosquitto 2.1. Retained messages go within seconds when their Message Expiry Interval is over: leave it out.")(p, nil, l)
	}
}
