package mosqconf

import (
	"crypto/tls"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"picket/bridge"
	"picket/bridge/relay"
	"picket/cause"
	"picket/packet"
	"picket/topic"
)

// bridgeBlock is a bridge while its lines are read.
type bridgeBlock struct {
	line
	config        *bridge.Config
	seen          map[string]place // its options
	localCleanSet bool             // local_cleansession
	localClean    bool
	tls           bridge.TLS
}

// option is where an option of the bridge stands, or its connection line.
func (b *bridgeBlock) option(name string) line {
	if at, ok := b.seen[name]; ok {
		return line{place: at, word: name}
	}
	return b.line
}

// bridgeOptions are the directives after a connection line (bridges.go).
var bridgeOptions = directiveTable{
	"address":   {"HOST[:PORT] ...", ofBridge((*parser).bridgeAddress)},
	"addresses": {"HOST[:PORT] ...", ofBridge((*parser).bridgeAddress)},
	"topic":     {"PATTERN [out|in|both [QOS [LOCAL-PREFIX [REMOTE-PREFIX]]]]", ofBridge((*parser).bridgeTopic)},

	"bridge_protocol_version":    {"mqttv31|mqttv311|mqttv50", ofBridge((*parser).bridgeVersion)},
	"try_private":                {boolean, bridgeBool(func(b *bridgeBlock) *bool { return &b.config.Private })},
	"bridge_attempt_unsubscribe": {boolean, bridgeBool(func(b *bridgeBlock) *bool { return &b.config.Unsubscribe })},
	"bridge_outgoing_retain":     {boolean, bridgeBool(func(b *bridgeBlock) *bool { return &b.config.OutgoingRetain })},
	"bridge_max_packet_size":     {number, bridgeInt(0, math.MaxInt32, func(c *bridge.Config, n int64) { c.MaxPacketSize = int(n) })},
	"bridge_max_topic_alias":     {number, bridgeInt(0, math.MaxUint16, func(c *bridge.Config, n int64) { c.MaxTopicAlias = uint16(n) })},
	"bridge_receive_maximum":     {number, bridgeInt(1, math.MaxUint16, func(c *bridge.Config, n int64) { c.ReceiveMaximum = uint16(n) })},
	"bridge_reload_type":         {"immediate|lazy", ofBridge((*parser).bridgeReloadType)},
	"bridge_bind_address":        {"ADDRESS", ofBridge((*parser).bridgeBindAddress)},
	"bridge_tcp_keepalive":       {"IDLE INTERVAL COUNT", ofBridge((*parser).bridgeTCPKeepAlive)},

	"cleansession":       {boolean, bridgeBool(func(b *bridgeBlock) *bool { return &b.config.Clean })},
	"local_cleansession": {boolean, ofBridge((*parser).localCleanSession)},
	"start_type":         {"automatic|lazy|once", ofBridge((*parser).bridgeStart)},
	"threshold":          {number, bridgeInt(1, math.MaxInt32, func(c *bridge.Config, n int64) { c.Threshold = int(n) })},
	"idle_timeout":       {seconds, bridgeInt(1, math.MaxInt32, func(c *bridge.Config, n int64) { c.IdleTimeout = time.Duration(n) * time.Second })},
	"keepalive_interval": {seconds, ofBridge((*parser).bridgeKeepAlive)},
	"restart_timeout":    {"SECONDS, or: restart_timeout BASE CAP", ofBridge((*parser).restartTimeout)},
	"round_robin":        {boolean, bridgeBool(func(b *bridgeBlock) *bool { return &b.config.RoundRobin })},

	"local_clientid":  {text, bridgeString(func(b *bridgeBlock) *string { return &b.config.LocalID })},
	"local_username":  {text, bridgeString(func(b *bridgeBlock) *string { return &b.config.LocalUser })},
	"local_password":  {text, bridgeString(func(b *bridgeBlock) *string { b.config.HasLocalPassword = true; return &b.config.LocalPassword })},
	"remote_clientid": {text, bridgeString(func(b *bridgeBlock) *string { return &b.config.RemoteID })},
	"clientid":        {text, bridgeString(func(b *bridgeBlock) *string { return &b.config.RemoteID })},
	"remote_username": {text, bridgeString(func(b *bridgeBlock) *string { return &b.config.RemoteUser })},
	"username":        {text, bridgeString(func(b *bridgeBlock) *string { return &b.config.RemoteUser })},
	"remote_password": {text, bridgeString(func(b *bridgeBlock) *string { b.config.HasRemotePassword = true; return &b.config.RemotePassword })},
	"password":        {text, bridgeString(func(b *bridgeBlock) *string { b.config.HasRemotePassword = true; return &b.config.RemotePassword })},

	"notifications":            {boolean, bridgeBool(func(b *bridgeBlock) *bool { return &b.config.Notify })},
	"notifications_local_only": {boolean, bridgeBool(func(b *bridgeBlock) *bool { return &b.config.NotifyLocalOnly })},
	"notification_topic":       {"TOPIC", ofBridge((*parser).notificationTopic)},

	"bridge_cafile":       {path, bridgeString(func(b *bridgeBlock) *string { return &b.tls.CAFile })},
	"bridge_capath":       {folder, bridgeString(func(b *bridgeBlock) *string { return &b.tls.CAPath })},
	"bridge_certfile":     {path, bridgeString(func(b *bridgeBlock) *string { return &b.tls.CertFile })},
	"bridge_keyfile":      {path, bridgeString(func(b *bridgeBlock) *string { return &b.tls.KeyFile })},
	"bridge_alpn":         {text, bridgeString(func(b *bridgeBlock) *string { return &b.tls.ALPN })},
	"bridge_insecure":     {boolean, bridgeBool(func(b *bridgeBlock) *bool { return &b.tls.Insecure })},
	"bridge_require_ocsp": {boolean, bridgeBool(func(b *bridgeBlock) *bool { return &b.tls.RequireOCSP })},
	"bridge_tls_version":  {"tlsv1.2|tlsv1.3", ofBridge((*parser).bridgeTLSVersion)},
	"bridge_identity":     {text, ofBridge((*parser).bridgePSK)},
	"bridge_psk":          {"HEX", ofBridge((*parser).bridgePSK)},
}

// ofBridge gives a line to the bridge that it belongs to.
func ofBridge(apply func(p *parser, b *bridgeBlock, l line)) func(*parser, *fileState, line) {
	return func(p *parser, f *fileState, l line) {
		if f.bridge == nil {
			p.errorf(l, cause.ConfigConflict, l.word+" belongs to a bridge, and no connection line stands before it in this file.", "Error: Invalid bridge configuration.")
			return
		}
		apply(p, f.bridge, l)
		f.bridge.seen[l.word] = l.place
	}
}

func bridgeBool(to func(*bridgeBlock) *bool) func(*parser, *fileState, line) {
	return ofBridge(func(p *parser, b *bridgeBlock, l line) { p.bool(l, to(b)) })
}

func bridgeInt(low, high int64, to func(*bridge.Config, int64)) func(*parser, *fileState, line) {
	return ofBridge(func(p *parser, b *bridgeBlock, l line) {
		if n, ok := p.int(l, low, high); ok {
			to(b.config, n)
		}
	})
}

func bridgeString(to func(*bridgeBlock) *string) func(*parser, *fileState, line) {
	return ofBridge(func(p *parser, b *bridgeBlock, l line) {
		if s, ok := p.string(l, b.seen); ok {
			*to(b) = s
		}
	})
}

// connection begins a bridge.
func (p *parser) connection(f *fileState, l line) {
	b := &bridgeBlock{line: l, seen: make(map[string]place), config: bridge.New(l.rest)}
	b.config.Source = l.place.String()
	f.bridge = b // its options go to no other, also when the line is wrong
	if l.rest == "" {
		p.empty(l)
		return
	}
	for _, other := range p.bridges {
		if other.config.Name == l.rest {
			p.errorf(l, cause.ConfigConflict, "The first stands at "+other.place.String()+".", "Error: Duplicate bridge name \"%s\".", l.rest)
			return
		}
	}
	p.bridges = append(p.bridges, b)
}

// bridgeAddress adds the addresses of a line, of which mosquitto takes one in a bridge.
func (p *parser) bridgeAddress(b *bridgeBlock, l line) {
	if len(b.config.Addresses) > 0 {
		p.errorf(l, cause.ConfigConflict, "Write all of them into one line, with blanks between.", "Error: Duplicate %s value in configuration.", l.word)
		return
	}
	words := l.words()
	if len(words) == 0 {
		p.empty(l)
		return
	}
	for _, w := range words {
		address, ok := hostPort(w)
		if !ok {
			p.invalid(l, w, "It is HOST or HOST:PORT, with a port from 1 to 65535.")
			return
		}
		b.config.Addresses = append(b.config.Addresses, address)
	}
}

// hostPort reads HOST, HOST:PORT or [ADDRESS]:PORT. Behind the last of several colons stands a port, too, as in mosquitto.
func hostPort(s string) (address string, ok bool) {
	host, port := s, "1883"
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		host = s[1 : len(s)-1]
	} else if i := strings.LastIndexByte(s, ':'); i >= 0 {
		host, port = strings.Trim(s[:i], "[]"), s[i+1:]
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return net.JoinHostPort(host, port), host != "" && err == nil && n > 0
}

// bridgeTopic adds a topic.
func (p *parser) bridgeTopic(b *bridgeBlock, l line) {
	words := strings.Fields(l.rest) // a # is the commonest pattern, and no comment
	if len(words) == 0 {
		p.empty(l)
		return
	}
	for i := 1; i < len(words); i++ {
		if strings.HasPrefix(words[i], "#") {
			words = words[:i]
		}
	}
	if len(words) > 5 {
		p.noMore(l, words[5:])
	}
	word := func(i int, otherwise string) string {
		switch {
		case i >= len(words):
			return otherwise
		case words[i] == `""`:
			return ""
		}
		return words[i]
	}
	t := relay.Topic{Pattern: word(0, ""), Local: word(3, ""), Remote: word(4, "")}
	switch way := word(1, "out"); way {
	case "out":
		t.Direction = relay.Out
	case "in":
		t.Direction = relay.In
	case "both":
		t.Direction = relay.Both
	default:
		p.errorf(l, cause.ConfigInvalidValue, "It is out, in or both.", "Error: Invalid bridge topic direction '%s'.", way)
		return
	}
	switch qos := word(2, "0"); qos {
	case "0", "1", "2":
		t.QoS = qos[0] - '0'
	case "": // `topic T in "" ""`: who leaves the QoS out gets 0 in mosquitto, and a local prefix of ""
		p.find(Warning, l, cause.ConfigInvalidValue, `Write the QoS before the prefixes: topic a/# in 0 "" ""`, "Warning: The bridge topic has no QoS: 0 is taken.")
	default:
		p.errorf(l, cause.ConfigInvalidValue, "It is 0, 1 or 2.", "Error: Invalid bridge QoS level '%s'.", qos)
		return
	}
	for _, prefix := range []string{t.Local, t.Remote} {
		if strings.ContainsAny(prefix, "+#") {
			p.errorf(l, cause.ConfigInvalidValue, "Wildcards may stand in the pattern alone.", "Error: Invalid bridge topic prefix '%s'.", prefix)
			return
		}
	}
	for _, filter := range []string{t.LocalFilter(), t.RemoteFilter()} {
		if err := topic.CheckFilter(filter); err != nil {
			p.errorf(l, cause.ConfigInvalidValue, err.Error()+".", "Error: Invalid bridge topic pattern '%s'.", filter)
			return
		}
	}
	b.config.Topics = append(b.config.Topics, t)
}

func (p *parser) bridgeVersion(b *bridgeBlock, l line) {
	choose(p, l, &b.config.Version, map[string]packet.Version{"mqttv31": packet.V31, "mqttv311": packet.V311, "mqttv50": packet.V5}, "It is mqttv31, mqttv311 or mqttv50.")
}

func (p *parser) bridgeReloadType(b *bridgeBlock, l line) {
	choose(p, l, &b.config.ReloadNow, map[string]bool{"immediate": true, "lazy": false}, "It is immediate or lazy.")
}

func (p *parser) bridgeBindAddress(b *bridgeBlock, l line) {
	value, ok := p.string(l, b.seen)
	switch {
	case !ok:
	case net.ParseIP(value) == nil:
		p.invalid(l, value, "It is an IP address of this machine.")
	default:
		b.config.BindAddress = value
	}
}

func (p *parser) bridgeTCPKeepAlive(b *bridgeBlock, l line) {
	words := l.words()
	numbers := make([]int, 0, 3)
	for _, w := range words {
		if n, err := strconv.Atoi(w); err == nil && n > 0 && n <= math.MaxInt16 {
			numbers = append(numbers, n)
		}
	}
	if len(words) != 3 || len(numbers) != 3 {
		p.invalid(l, l.rest, "Write: "+directives.usage(l.word)+", with seconds, seconds and a number from 1 to 32767.")
		return
	}
	b.config.TCPKeepAlive = bridge.TCPKeepAlive{Idle: time.Duration(numbers[0]) * time.Second, Interval: time.Duration(numbers[1]) * time.Second, Count: numbers[2]}
}

func (p *parser) localCleanSession(b *bridgeBlock, l line) {
	b.localCleanSet = true
	p.bool(l, &b.localClean)
}

func (p *parser) bridgeStart(b *bridgeBlock, l line) {
	choose(p, l, &b.config.Start, map[string]relay.Start{"automatic": relay.Automatic, "lazy": relay.Lazy, "once": relay.Once},
		"It is automatic, lazy or once; mosquitto has manual no more.")
}

func (p *parser) bridgeKeepAlive(b *bridgeBlock, l line) {
	n, ok := p.int(l, 0, math.MaxUint16)
	if !ok {
		return
	}
	if n < 5 {
		p.find(Notice, l, cause.ConfigNoEffect, "It is from 5 to 65535.", "keepalive_interval %d is too short: it is 5.", n)
		n = 5
	}
	b.config.KeepAlive = time.Duration(n) * time.Second
}

func (p *parser) restartTimeout(b *bridgeBlock, l line) {
	words := l.words()
	if len(words) == 0 {
		p.empty(l)
		return
	}
	if len(words) > 2 {
		p.noMore(l, words[2:])
		words = words[:2]
	}
	var n [2]int
	for i, w := range words {
		var err error
		if n[i], err = strconv.Atoi(w); err != nil || n[i] > math.MaxInt32 {
			p.invalid(l, w, "It is a whole number of seconds.")
			return
		}
		n[i] = max(n[i], 1)
	}
	if len(words) == 2 && n[1] < n[0] {
		p.errorf(l, cause.ConfigInvalidValue, "The first number is the shortest wait, the second one the longest.", "Error: Invalid restart_timeout value (%s).", l.rest)
		return
	}
	b.config.RestartBase, b.config.RestartCap = time.Duration(n[0])*time.Second, time.Duration(n[1])*time.Second
}

func (p *parser) notificationTopic(b *bridgeBlock, l line) {
	value, ok := p.string(l, b.seen)
	if !ok {
		return
	}
	if err := topic.CheckName([]byte(value)); err != nil {
		p.invalid(l, value, err.Error()+".")
		return
	}
	b.config.NotificationTopic = value
}

func (p *parser) bridgeTLSVersion(b *bridgeBlock, l line) {
	value, ok := p.word(l)
	if !ok {
		return
	}
	switch value {
	case "tlsv1.2":
		b.tls.MinVersion = tls.VersionTLS12
	case "tlsv1.3":
		b.tls.MinVersion = tls.VersionTLS13
	case "tlsv1.1":
		p.errorf(l, cause.ConfigUnsupported, "Write tlsv1.2, or leave the line out.", "Error: bridge_tls_version tlsv1.1 is not possible: it has not been safe for years.")
	default:
		p.invalid(l, value, "It is tlsv1.2 or tlsv1.3.")
	}
}

// bridgePSK refuses a bridge with a pre-shared key.
func (p *parser) bridgePSK(_ *bridgeBlock, l line) {
	p.errorf(l, cause.ConfigUnsupported, "Use certificates (bridge_cafile, bridge_certfile, bridge_keyfile) or a password over TLS.", "Error: %s is not possible: Go's TLS has no pre-shared keys.", l.word)
}

// finishBridges puts the bridges together once every line has been read.
func (p *parser) finishBridges() {
	host, err := os.Hostname()
	if err != nil {
		host = "picket"
	}
	local := make(map[string]*bridgeBlock)
	for _, b := range p.bridges {
		c := b.config
		if p.config.Persistence.Cluster != "" {
			p.errorf(b.line, cause.ConfigUnsupported, "Give the bridge to a broker without cluster, which may be a client of this one.", "Error: connection is not possible with cluster: each node would have the bridge.")
		}
		switch {
		case len(c.Addresses) == 0 && !b.has("address", "addresses"):
			p.errorf(b.line, cause.ConfigConflict, "Add a line: address HOST:PORT", "Error: Invalid bridge configuration: the bridge has no address.")
		case len(c.Topics) == 0 && !b.has("topic"):
			p.errorf(b.line, cause.ConfigConflict, "Add a line such as: topic # both 1", "Error: Invalid bridge configuration: the bridge has no topic.")
		}
		if c.LocalClean = c.Clean; b.localCleanSet {
			c.LocalClean = b.localClean
		}
		if c.HasLocalPassword && c.LocalUser == "" {
			p.errorf(b.option("local_password"), cause.ConfigConflict, "Add a local_username line.", "Error: local_password without local_username.")
		}
		p.finishBridgeTLS(b)
		c.Finish(host)
		if other := local[c.LocalID]; other != nil {
			p.errorf(b.line, cause.ConfigConflict, "Give one of the two a local_clientid of its own.", "Error: The bridges %s and %s have the same local_clientid %s.", other.config.Name, c.Name, c.LocalID)
		}
		local[c.LocalID] = b
		p.config.Bridges = append(p.config.Bridges, c)
	}
}

// has tells whether one of the options was given, even if it was wrong.
func (b *bridgeBlock) has(options ...string) bool {
	for _, o := range options {
		if _, ok := b.seen[o]; ok {
			return true
		}
	}
	return false
}

// finishBridgeTLS looks whether a bridge's options of TLS go together. mosquitto leaves TLS out where the authorities are missing; here that is an error.
func (p *parser) finishBridgeTLS(b *bridgeBlock) {
	t := &b.tls
	if *t == (bridge.TLS{}) {
		return
	}
	if t.CAFile == "" && t.CAPath == "" {
		for _, name := range []string{"bridge_certfile", "bridge_keyfile", "bridge_alpn", "bridge_insecure", "bridge_require_ocsp", "bridge_tls_version"} {
			if b.has(name) {
				p.errorf(b.option(name), cause.ConfigConflict, "Add a bridge_cafile line; /etc/ssl/certs/ca-certificates.crt has the public authorities on Debian.",
					"Error: %s without bridge_cafile or bridge_capath: the bridge would not be encrypted.", name)
				return
			}
		}
	}
	switch {
	case t.CertFile != "" && t.KeyFile == "":
		p.errorf(b.option("bridge_certfile"), cause.ConfigConflict, "Add a bridge_keyfile line.", "Error: bridge_certfile without bridge_keyfile.")
	case t.KeyFile != "" && t.CertFile == "":
		p.errorf(b.option("bridge_keyfile"), cause.ConfigConflict, "Add a bridge_certfile line.", "Error: bridge_keyfile without bridge_certfile.")
	}
	if t.Insecure {
		p.find(Warning, b.option("bridge_insecure"), cause.ConfigConflict, "Write the host name that stands in the certificate into the address line, and leave bridge_insecure out.",
			"Warning: Bridge %s using insecure mode.", b.config.Name)
	}
	b.config.TLS = t
}

// checkBridges looks at the files of the bridges.
func (p *parser) checkBridges() {
	for _, b := range p.bridges {
		t := b.config.TLS
		if t == nil {
			continue
		}
		p.checkCAs(b.option("bridge_cafile"), t.CAFile, b.option("bridge_capath"), t.CAPath)
		if t.CertFile != "" && t.KeyFile != "" {
			p.checkKeyPair(b.option("bridge_certfile"), b.option("bridge_keyfile"), t.CertFile, t.KeyFile)
		}
	}
}
