package mosqconf

import (
	"crypto/tls"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"picket/cause"
	"picket/listener"
	"picket/topic"
)

// listener begins a listener. One whose line is wrong is begun all the same, so that its options do not go to another.
func (p *parser) listener(f *fileState, l line) {
	b := &block{place: l.place, named: true, security: newSecurity(), seen: make(map[string]place)}
	b.security.config.Source = l.place.String()
	b.config = newListener(0, "", l.place.String())
	f.current = b
	p.blocks = append(p.blocks, b)
	b.broken = true
	words := l.words()
	if len(words) == 0 {
		p.empty(l)
		return
	}
	port, err := strconv.Atoi(words[0])
	switch {
	case err != nil || port < 0 || port > math.MaxUint16:
		hint := "Ports are from 1 to 65535."
		if err != nil {
			hint = "The port comes first: listener PORT ADDRESS"
		}
		p.errorf(l, cause.ConfigInvalidValue, hint, "Error: Invalid port value (%s).", words[0])
		return
	case port == 0 && len(words) == 1:
		p.errorf(l, cause.ConfigInvalidValue, "Write: listener 0 PATH", "Error: A listener with port 0 must provide a Unix socket path.")
		return
	case port == 0:
		b.config.Path = words[1]
	default:
		b.config.Port = port
		if len(words) > 1 {
			b.config.Address = words[1]
		}
	}
	if len(words) > 2 {
		p.noMore(l, words[2:])
	}
	b.broken = false
}

func (p *parser) port(_ *fileState, l line) {
	p.find(Notice, l, cause.ConfigDeprecated, "", "The 'port' option is now deprecated and will be removed in a future version. Please use 'listener' instead.")
	if p.defaults.config.Port != 0 {
		p.find(Warning, l, cause.ConfigNoEffect, "Use listener lines for several ports.", "Warning: Default listener port specified multiple times. Only the latest will be used.")
	}
	value, ok := p.word(l)
	if !ok {
		return
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > math.MaxUint16 {
		p.errorf(l, cause.ConfigInvalidValue, "Ports are from 1 to 65535.", "Error: Invalid port value (%s).", value)
		return
	}
	p.defaults.config.Port = n
	p.defaults.place = l.place
	p.defaults.named = true
}

func (p *parser) bindAddress(_ *fileState, l line) {
	p.find(Notice, l, cause.ConfigDeprecated, "Please use 'listener' instead.", "The 'bind_address' option is now deprecated and will be removed in a future version.")
	if s, ok := p.string(l, p.defaults.seen); ok {
		p.defaults.config.Address = s
		if !p.defaults.named {
			p.defaults.place = l.place
			p.defaults.named = true
		}
	}
}

// maxConnections: a negative number is no limit.
func (p *parser) maxConnections(f *fileState, l line) {
	b := f.option(l)
	if n, ok := p.int(l, math.MinInt64, math.MaxInt32); ok {
		b.config.MaxConnections = int(max(n, -1))
	}
}

func (p *parser) maxQoS(f *fileState, l line) {
	b := f.option(l)
	value, ok := p.word(l)
	switch {
	case !ok:
	case value == "0" || value == "1" || value == "2":
		b.config.MaxQoS = value[0] - '0'
	default:
		p.errorf(l, cause.ConfigInvalidValue, "", "Error: max_qos must be between 0 and 2 inclusive.")
	}
}

func (p *parser) maxTopicAlias(f *fileState, l line) {
	b := f.option(l)
	if n, ok := p.int(l, 0, math.MaxUint16); ok {
		b.config.MaxTopicAlias = uint16(n)
	}
}

func (p *parser) mountPoint(f *fileState, l line) {
	if len(p.blocks) == 0 {
		p.errorf(l, cause.ConfigConflict, "", "Error: You must use create a listener before using the mount_point option in the configuration file.")
		return
	}
	b := f.option(l)
	s, ok := p.string(l, b.seen)
	if !ok {
		return
	}
	if err := topic.CheckName([]byte(s)); err != nil {
		p.errorf(l, cause.ConfigInvalidValue, "It is the beginning of a topic name, such as home/", "Error: Invalid mount_point '%s'. Does it contain a wildcard character?", s)
		return
	}
	b.config.MountPoint = s
}

func (p *parser) protocol(f *fileState, l line) {
	b := f.option(l)
	value, ok := p.word(l)
	if !ok {
		return
	}
	b.api = value == "http_api"
	switch value {
	case "mqtt":
		b.config.Protocol = listener.MQTT
	case "websockets":
		b.config.Protocol = listener.WebSocket
	case "auto":
		b.config.Protocol = listener.Auto
	case "mqttsn":
		p.errorf(l, cause.ConfigUnsupported, "It is mqtt, websockets or auto.", "Error: Invalid protocol value (mqttsn).")
	case "http_api":
	default:
		p.invalid(l, value, "It is mqtt, websockets, auto or http_api.")
	}
}

// proxyFrom may be given several times: the lists add up.
func (p *parser) proxyFrom(f *fileState, l line) {
	b := f.option(l)
	words := l.words()
	if len(words) == 0 {
		p.empty(l)
	}
	for _, w := range words {
		_, err := netip.ParsePrefix(w)
		if err != nil {
			_, err = netip.ParseAddr(w)
		}
		if err != nil {
			p.invalid(l, w, "It is addresses and networks of the proxies, such as 10.0.0.0/8.")
			continue
		}
		if !slices.Contains(b.config.ProxyFrom, w) {
			b.config.ProxyFrom = append(b.config.ProxyFrom, w)
		}
	}
}

// enableProxyProtocol is of mosquitto 2.1. There is nothing to choose: headers of both versions are read.
func (p *parser) enableProxyProtocol(f *fileState, l line) {
	b := f.option(l)
	if n, ok := p.int(l, 1, 2); ok {
		b.proxied = n
	}
}

// checkProxied has everybody's PROXY header believed at a listener with enable_proxy_protocol and without proxy_from, as mosquitto 2.1 does, unless anybody could
// then say to be any user.
func (p *parser) checkProxied(b *block) {
	if b.proxied == 0 {
		return
	}
	l := line{place: b.seenAt("enable_proxy_protocol"), word: "enable_proxy_protocol"}
	c := b.config
	switch {
	case c.Path != "":
		p.errorf(l, cause.ConfigUnsupported, "Have the proxy connect to a port on 127.0.0.1.", "Error: enable_proxy_protocol is not possible on a Unix socket.")
	case b.proxied == 2 && c.TLS.CertFile != "":
		p.errorf(l, cause.ConfigConflict, "Let either the proxy or this listener speak TLS with clients.", "Error: certfile and keyfile cannot be used with `enable_proxy_protocol 2`.")
	case b.proxied == 2 && c.SubjectAsUsername:
		p.errorf(l, cause.ConfigConflict, "Write use_identity_as_username: a header has no other name of the certificate.", "Error: use_subject_as_username cannot be used with `enable_proxy_protocol 2`.")
	case len(c.ProxyFrom) > 0:
	case c.IdentityAsUsername || c.SubjectAsUsername:
		p.errorf(l, cause.ConfigConflict, "Write proxy_from ADDRESS, with the address of the proxy: only its headers are believed.",
			"Error: enable_proxy_protocol without proxy_from would let everybody who reaches this listener log in under any name.")
	default:
		c.ProxyFrom = []string{"0.0.0.0/0", "::/0"}
		p.find(Warning, l, cause.ConfigConflict, "Write proxy_from ADDRESS, with the address of the proxy: only its headers are believed.",
			"Warning: With enable_proxy_protocol everybody who reaches this listener can claim any address, which bans and limits then count for.")
	}
}

// phonePage: the page is served unless the line says false.
func (p *parser) phonePage(f *fileState, l line) {
	b := f.option(l)
	on := true
	p.bool(l, &on)
	b.config.NoPage = !on
	b.pageLine = l
}

func (p *parser) socketDomain(f *fileState, l line) {
	b := f.option(l)
	value, ok := p.word(l)
	switch {
	case !ok:
	case value == "ipv4" || value == "ipv6":
		b.config.Domain = value
	default:
		p.errorf(l, cause.ConfigInvalidValue, "It is ipv4 or ipv6; leave the line out for both.", "Error: Invalid socket_domain value \"%s\" in configuration.", value)
	}
}

func (p *parser) tlsVersion(f *fileState, l line) {
	b := f.option(l)
	s, ok := p.string(l, b.seen)
	if !ok {
		return
	}
	switch s {
	case "tlsv1.3":
		b.config.TLS.MinVersion = tls.VersionTLS13
	case "tlsv1.2":
		b.config.TLS.MinVersion = tls.VersionTLS12
	case "tlsv1", "tlsv1.0", "tlsv1.1":
		p.errorf(l, cause.ConfigUnsupported, "Write tls_version tlsv1.2, which is the default, or update the clients that know nothing newer.",
			"Error: tls_version %s is not possible: RFC 8996 forbids TLS before 1.2 because it is broken.", s)
	default:
		p.invalid(l, s, "It is tlsv1.2 or tlsv1.3.")
	}
}

func (p *parser) tlsKeyform(f *fileState, l line) {
	b := f.option(l)
	s, ok := p.string(l, b.seen)
	switch {
	case !ok, s == "pem":
	case s == "engine":
		p.errorf(l, cause.ConfigUnsupported, "Keep the key in a file that only picket may read (keyfile).", "Error: tls_keyform engine is not possible: OpenSSL's engines cannot be used from Go.")
	default:
		p.invalid(l, s, "It is pem.")
	}
}

// cipherNames takes an OpenSSL list apart.
func cipherNames(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ':' || r == ',' || r == ' ' })
}

func (p *parser) ciphers(f *fileState, l line) {
	b := f.option(l)
	s, ok := p.string(l, b.seen)
	if !ok {
		return
	}
	names := cipherNames(s)
	if len(names) == 0 {
		p.empty(l)
	}
	var unknown []string
	for _, name := range names {
		if _, err := listener.CipherSuite(name); err != nil {
			unknown = append(unknown, err.Error())
			continue
		}
		b.config.TLS.Ciphers = append(b.config.TLS.Ciphers, name)
	}
	if len(unknown) > 0 {
		p.errorf(l, cause.ConfigUnsupported, "Name the ciphers one by one, or leave the line out: what is on without it is strong.", "Error: Invalid cipher in ciphers: %s.", strings.Join(unknown, "; "))
	}
}

// dhParamFile is passed over: nothing that clients of today know needs it.
func (p *parser) dhParamFile(f *fileState, l line) {
	b := f.option(l)
	if _, ok := p.string(l, b.seen); ok {
		p.find(Warning, l, cause.ConfigNoEffect, "Leave the line out: clients that know TLS 1.2 know elliptic curves too.",
			"Warning: dhparamfile has no effect: Go's TLS exchanges keys by elliptic curves only.")
	}
}

// ciphersTLS13 accepts what is in force anyway: Go's TLS has no choice of TLS 1.3 ciphers.
func (p *parser) ciphersTLS13(f *fileState, l line) {
	b := f.option(l)
	s, ok := p.string(l, b.seen)
	if !ok {
		return
	}
	names := cipherNames(s)
	for _, suite := range tls.CipherSuites() {
		if suite.SupportedVersions[0] == tls.VersionTLS13 && !slices.Contains(names, suite.Name) {
			p.errorf(l, cause.ConfigUnsupported, "Leave the line out: its three ciphers (TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256) are all strong and always on.",
				"Error: A choice by ciphers_tls1.3 is not possible with Go's TLS.")
			return
		}
	}
}

// sniCertificate may be given several times.
func (p *parser) sniCertificate(f *fileState, l line) {
	b := f.option(l)
	words := strings.Fields(l.rest)
	if len(words) != 2 {
		p.errorf(l, cause.ConfigInvalidValue, "Write: "+directives.usage(l.word)+" (paths without blanks)", "Error: Invalid sni_certificate value (%s).", l.rest)
		return
	}
	b.config.TLS.SNI = append(b.config.TLS.SNI, listener.SNI{CertFile: words[0], KeyFile: words[1]})
}
