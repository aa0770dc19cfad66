package host

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"picket/cause"
)

// ReadLog finds the causes in the newest lines of a broker's log: those of Picket by the ids at their ends, in any of its forms, and those of
// mosquitto by their words. Lines with a time before since (Unix seconds) do not count. What kept an earlier start from succeeding does not count
// once a broker has started. unix reads a time in RFC 3339's form, which logs as text and JSON have.
func ReadLog(source, log string, since int64, unix func(string) (int64, bool)) Log {
	l := Log{Source: source}
	found := make(map[cause.ID]*Entry)
	thrown := make(map[string]int) // by mosquitto's line, which has the client or the bridge
	var before string
	for line := range strings.Lines(log) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		when, text := timeOf(line, unix)
		if when != 0 && when < since {
			continue
		}
		l.Lines++
		switch {
		case started.MatchString(text):
			maps.DeleteFunc(found, func(_ cause.ID, e *Entry) bool { return e.Start })
		case strings.Contains(text, "There is a certificate of a public authority"):
			maps.DeleteFunc(found, func(id cause.ID, _ *Entry) bool { return ofAuthority(id) }) // what kept it from giving one is over
		case strings.Contains(text, "Reloading config"), strings.Contains(text, "The new configuration is in force"):
			if when != 0 {
				l.Reloaded = when
			}
		}
		l.Unmade = unmade(l.Unmade, text)
		id, start := causeOf(text)
		if strings.HasPrefix(text, "Error opening ") && before != "" {
			if reason, known := causeOf(before); known && reason != id {
				before = text
				continue // mosquitto says so after whatever is wrong within the file, too
			}
		}
		if m := opening.FindStringSubmatch(before); m != nil && (strings.HasPrefix(text, "Error: Permission denied") || strings.HasPrefix(text, "If you are trying to bind to a privileged port")) {
			id, start = cause.PrivilegedPort, true
			text += " (" + before + ")"
		}
		if strings.Contains(before, "Connecting bridge (step 2)") && (strings.HasPrefix(text, "OpenSSL Error") || strings.HasPrefix(text, "Error creating bridge: Protocol error") || strings.HasPrefix(text, "Error creating bridge: A TLS error")) {
			id = cause.BridgeTLSFailed // the bridge is the one that speaks TLS here, not a client
		}
		id = repeated(id, text, thrown)
		if id != "" && !slices.Contains(remarks, id) {
			e := found[id]
			if e == nil {
				e = &Entry{Cause: id, Start: start}
				found[id] = e
			}
			e.Count++
			e.Last, e.When = text, when
			if id == cause.ConfigErrorExit && before != "" {
				e.Last = before + " " + text // the reason stands in a line of its own
			}
		}
		before = text
	}
	l.Entry = entries(found)
	return l
}

// unmade counts a bridge's connections that did not come about, until somebody takes one, and ends it.
func unmade(before int, text string) int {
	switch {
	case strings.HasPrefix(text, "Error creating bridge: "):
		return before + 1
	case strings.Contains(text, "lient local.") && (strings.Contains(text, "closed its connection") || strings.Contains(text, "disconnecting")):
		return 0
	}
	return before
}

// repeated is the cause of a line of which it matters how often it comes.
func repeated(id cause.ID, text string, times map[string]int) cause.ID {
	switch id {
	case cause.BridgeUnreachable:
		if times[text]++; times[text] < takeovers {
			return "" // one that reaches its broker tries once
		}
	case cause.SessionTakenOver:
		if times[text]++; times[text] >= takeovers {
			return cause.IDTakeoverLoop
		}
	}
	return id
}

// entries are what was found, what concerns the start first, then what came most often. Takeovers that make a loop are told as that alone.
func entries(found map[cause.ID]*Entry) (all []Entry) {
	if loop, once := found[cause.IDTakeoverLoop], found[cause.SessionTakenOver]; loop != nil && once != nil {
		loop.Count += once.Count
		delete(found, cause.SessionTakenOver)
	}
	if found[cause.BridgeRefused] != nil || found[cause.BridgeTLSFailed] != nil {
		delete(found, cause.BridgeUnreachable) // it reaches somebody
	}
	for _, e := range found {
		all = append(all, *e)
	}
	slices.SortFunc(all, func(a, b Entry) int {
		if a.Start != b.Start {
			if a.Start {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(string(a.Cause), string(b.Cause)))
	})
	return all
}

// takeovers is how often the same client has to be thrown out by one of its own identifier before it is two of them.
const takeovers = 3

// ofAuthority tells whether a cause is why a public authority gives no certificate (ACME).
func ofAuthority(id cause.ID) bool { return strings.HasPrefix(string(id), "acme-") }

// opening is what mosquitto says before it opens a port; the error that may follow does not name it.
var opening = regexp.MustCompile(`Opening (?:ipv4|ipv6|websockets) listen socket on port (\d{1,3})\.`)

// remarks are told at every start, and refuse nothing.
var remarks = []cause.ID{cause.LoopbackOnly, cause.OpenToEveryone, cause.PageNotBuilt}

// started is the line of a broker that has opened everything.
var started = regexp.MustCompile(`(mosquitto|picket) version \S+ running`)

var (
	stamped = regexp.MustCompile(`^(\d{9,11}): `)
	// journal is what journalctl -o short-unix puts in front: seconds, host, program[pid].
	journal = regexp.MustCompile(`^(\d{9,11})\.\d+ \S+ \S+: `)
)

// record is the time in a log as text or JSON.
var record = regexp.MustCompile(`^(?:time=|\{"time":")([0-9T:.+Z-]+)`)

// timeOf takes the time off a line: mosquitto's seconds, or the journal's with or without mosquitto's behind it. In a record it stays.
func timeOf(line string, unix func(string) (int64, bool)) (when int64, text string) {
	text = line
	if m := record.FindStringSubmatch(line); m != nil {
		when, _ = unix(m[1]) // 0 when it is none
		return when, text
	}
	for _, form := range []*regexp.Regexp{journal, stamped} {
		if m := form.FindStringSubmatch(text); m != nil {
			when, _ = strconv.ParseInt(m[1], 10, 64) // at most eleven digits
			text = text[len(m[0]):]
		}
	}
	return when, text
}

var (
	endingID  = regexp.MustCompile(`\[([a-z0-9]+(?:-[a-z0-9]+)*)\]$`)
	attribute = regexp.MustCompile(`(?:"cause":"|\bcause=)([a-z0-9-]+)`)
)

// causeOf is the cause that a line speaks of, and whether it is about starting.
func causeOf(text string) (id cause.ID, start bool) {
	for _, form := range []*regexp.Regexp{endingID, attribute} {
		if m := form.FindStringSubmatch(text); m != nil {
			if _, known := cause.Lookup(cause.ID(m[1])); known {
				id = cause.ID(m[1])
				return id, slices.Contains(startFailures, id) && strings.Contains(text, "rror")
			}
		}
	}
	for _, w := range mosquittoWords {
		if strings.Contains(text, w.words) {
			return w.cause, w.start
		}
	}
	return "", false
}

// mosquittoWords are parts of mosquitto's lines, versions 1.6 to 2.1, the more particular ones first.
var mosquittoWords = []struct {
	words string
	cause cause.ID
	start bool
}{
	{"killed by the OOM killer", cause.MemoryLimitOOM, true}, // of systemd
	{"No space left on device", cause.DiskFull, false},
	{"Error saving in-memory database, unable to open", cause.StoreFailed, false},
	{"Too many open files", cause.FDLimit, false},
	{"Error found at ", cause.ConfigErrorExit, true},
	{" in acl_file \"", cause.ConfigInvalidValue, true}, // which line of it, and what is wrong there
	{"Invalid password hash", cause.BadCredentials, false},
	{"Unable to load auth plugin", cause.ConfigErrorExit, true},
	{"Unable to load plugin function", cause.ConfigErrorExit, true},
	{"Unsupported auth plugin version", cause.ConfigErrorExit, true},
	{"lugin returned ", cause.ConfigErrorExit, true},
	{"Unable to open log file", cause.ConfigErrorExit, true},
	{"Unable to write pid file", cause.ConfigErrorExit, true},
	{"Error: Unable to drop privileges", cause.ConfigInvalidValue, true},
	{"Unable to set TLS ciphers", cause.ConfigInvalidValue, true},
	{"Unsupported tls_version", cause.ConfigInvalidValue, true},
	{"Unable to open include_dir", cause.ConfigUnreadable, true},
	{"Error opening password file", cause.ConfigUnreadable, true},
	{"Error opening acl file", cause.ConfigUnreadable, true},
	{"Error opening psk file", cause.ConfigUnreadable, true},
	{"Address in use", cause.PortTaken, true}, // of systems with musl, such as Alpine in containers
	{"Address not available", cause.BindBeforeNetwork, true},
	{"certificate/key are inconsistent", cause.KeyUnreadable, true},
	{"Unable to load certificate revocation file", cause.KeyUnreadable, true},
	{"Unsupported persistent database format", cause.PersistenceCorrupt, true},
	{"Incompatible database configuration", cause.PersistenceCorrupt, true},
	{"Couldn't open database", cause.PersistenceCorrupt, true},
	{"Unable to open config file", cause.ConfigUnreadable, true},
	{"Address already in use", cause.PortTaken, true},
	{"Cannot assign requested address", cause.BindBeforeNetwork, true},
	{"Error creating listener: ", cause.BindBeforeNetwork, true}, // a name that leads nowhere, in the words of the resolver
	{"does not support IPv4 configuration", cause.BindBeforeNetwork, true},
	{"does not support IPv6 configuration", cause.BindBeforeNetwork, true},
	{"Unable to load server key", cause.KeyUnreadable, true},
	{"Unable to load server certificate", cause.KeyUnreadable, true},
	{"Unable to load CA certificates", cause.KeyUnreadable, true},
	{"Unable to open pwfile", cause.ConfigUnreadable, true},
	{"Unable to open acl_file", cause.ConfigUnreadable, true},
	{"restoring persistent database", cause.PersistenceCorrupt, true},
	{"Unable to restore persistent database", cause.PersistenceCorrupt, true},
	{"system socket count has been exceeded", cause.FDLimit, false},
	{"max_connections exceeded", cause.MaxConnections, false},
	{"disconnected, not authorised", cause.BadCredentials, false},
	{"has exceeded timeout, disconnecting", cause.KeepaliveMissed, false},
	{"already connected, closing old connection", cause.SessionTakenOver, false},
	{"due to oversize packet", cause.PacketTooLarge, false},
	{"due to protocol error", cause.ProtocolViolation, false},
	{"due to malformed packet", cause.MalformedPacket, false},
	{"Invalid protocol version", cause.ProtocolVersion, false},
	{"Denied PUBLISH", cause.ACLPublishDenied, false},
	{"Denied SUBSCRIBE", cause.ACLSubscribeDenied, false},
	{"wrong version number", cause.PlainToTLSPort, false},
	{"http request", cause.PlainToTLSPort, false},
	{"peer did not return a certificate", cause.ClientCertRequired, false},
	{"certificate verify failed", cause.ClientCertRefused, false},
	{"alert unknown ca", cause.TLSClientRejectedCertificate, false},
	{"alert bad certificate", cause.TLSClientRejectedCertificate, false},
	{"alert certificate unknown", cause.TLSClientRejectedCertificate, false},
	{"alert certificate expired", cause.TLSClientRejectedCertificate, false},
	{"Connection Refused: ", cause.BridgeRefused, false}, // what the other broker says to a bridge
	{"Error resolving bridge address", cause.BridgeUnreachable, false},
	{"Connecting bridge (step 1)", cause.BridgeUnreachable, false},
	{"no shared cipher", cause.TLSCiphers, false},
	{"unsupported protocol", cause.TLSVersion, false},
}
