package mosqconf

import (
	"net"
	"path/filepath"
	"strconv"

	"picket/access"
	"picket/audit"
	"picket/backend"
	"picket/ban"
	"picket/cause"
	"picket/listener"
	"picket/token"
)

// finishCluster looks whether what is stored has one place.
func (p *parser) finishCluster() {
	if p.config.Persistence.Cluster == "" {
		for _, l := range p.whenClustered {
			p.find(Notice, l, cause.ConfigNoEffect, "", "%s has no effect without cluster.", l.word)
		}
		return
	}
	if p.config.Persistence.On {
		p.errorf(p.clusterLine, cause.ConfigInvalidValue, "Take one of the two away.",
			"Error: cluster and persistence exclude each other: sessions and messages are stored either in Redis or on this disk, so that there is one truth.")
	}
}

// finishStore says which of two names of the store's place does not count.
func (p *parser) finishStore() {
	if p.config.Persistence.Store == "" {
		return
	}
	for _, l := range p.whenPersisted {
		if l.word == "persistence_location" || l.word == "persistence_file" {
			p.find(Warning, l, cause.ConfigNoEffect, "Leave one of the two out.", "Warning: %s has no effect beside persistence_store, which names the store's folder.", l.word)
		}
	}
}

// finish puts the listeners and the security rules together once every line has been read.
func (p *parser) finish() *Config {
	p.finishCluster()
	p.finishBridges()
	p.finishAutosave()
	p.finishStore()
	if p.config.BansFile == "" && p.config.DataDir != "" {
		p.config.BansFile = filepath.Join(p.config.DataDir, ban.FileName)
	}
	if p.config.TokensFile == "" && p.config.DataDir != "" {
		p.config.TokensFile = filepath.Join(p.config.DataDir, token.FileName)
	}
	if p.config.AuditFile == "" && p.config.DataDir != "" && !p.unaudited {
		p.config.AuditFile = filepath.Join(p.config.DataDir, audit.FileName)
	}
	blocks := p.finishAPI(p.defaultBlock(p.blocks))

	// The broker's own rules are the first, whether or not a listener has others.
	if len(blocks) == 0 {
		if p.perListener {
			p.security = p.defaults.security
		}
		// Local only mode: mosquitto lets everybody in even where the file says allow_anonymous false. Here the file counts.
		if !p.security.anonymousSet {
			p.security.config.Anonymous = access.AnonymousAlways
		}
	}
	p.config.Security = []access.Config{p.security.config}
	p.securities = []*security{p.security}
	for _, b := range blocks {
		p.finishRules(b)
		p.config.Listeners = append(p.config.Listeners, b.config)
		p.checkListener(b)
	}
	if len(blocks) == 0 {
		p.config.Listeners = localListeners(1883)
	}
	p.checkRightsFiles(p.securities)
	p.finishAsked()
	for i := range p.config.Security {
		p.config.Security[i].ClientIDPrefixes = p.prefixes
	}
	for _, l := range p.config.Listeners {
		l.HeadersSize = p.headersSize
	}
	p.blocks = blocks
	return &p.config
}

// finishRules gives a listener the rules for its clients: its own with per_listener_settings, and otherwise the broker's, with what the listener has for itself.
func (p *parser) finishRules(b *block) {
	s := b.security
	if !p.perListener {
		if b.anonymous == nil && b.autoID == nil {
			return
		}
		twin := *p.security
		s = &twin
		s.twin = true
	}
	if s.config.Source == "" {
		s.config.Source = b.place.String()
	}
	if b.anonymous != nil {
		s.config.Anonymous, s.anonymousSet = *b.anonymous, true
	}
	if b.autoID != nil {
		s.config.AutoIDPrefix = *b.autoID
	}
	b.config.Security = len(p.config.Security)
	if b == p.defaults && p.perListener && !s.anonymousSet && len(s.seen) == 0 {
		p.config.OpenInMosquitto = b.config.Security
		p.find(Warning, line{place: b.place, word: "port"}, cause.NoPasswordFile, "Write allow_anonymous true, or allow_anonymous false and a password_file, below the port line.",
			"Warning: Nobody can log in at this listener: it has no rules. mosquitto lets in everybody at a port line without rules when per_listener_settings is true, and so does picket serve --mosquitto.")
	}
	p.config.Security = append(p.config.Security, s.config)
	p.securities = append(p.securities, s)
}

// finishAsked makes sense of who else is asked about users and rights.
func (p *parser) finishAsked() {
	for i, s := range p.securities {
		switch {
		case s.twin:
			s.backends, s.config.Backends, s.config.Tokens = p.security.backends, p.security.config.Backends, p.security.config.Tokens
			if s.backends == nil {
				continue
			}
		case s.tokens != nil:
			p.finishTokens(s)
		case s.backends != nil:
			p.finishBackends(s)
		default:
			continue
		}
		if p.config.Backends == nil {
			p.config.Backends = make(map[int]*backend.Config)
		}
		p.config.Backends[i] = &s.backends.config
		p.config.Security[i].Backends, p.config.Security[i].Tokens = s.config.Backends, s.config.Tokens
	}
}

// finishAutosave says what has no effect of what is about writing to the disk.
func (p *parser) finishAutosave() {
	if p.config.Persistence.On {
		for _, l := range p.autosaves {
			p.find(Notice, l, cause.ConfigNoEffect, "", "%s has no effect: everything is written at once, as persistence_sync says.", l.word)
		}
	} else {
		for _, l := range append(p.whenPersisted, p.autosaves...) {
			p.find(Notice, l, cause.ConfigNoEffect, "", "%s has no effect while persistence is false.", l.word)
		}
	}
}

// defaultBlock adds the listener of the port line to the others, the last as in mosquitto, if there is one.
func (p *parser) defaultBlock(blocks []*block) []*block {
	if p.defaults.named {
		if p.defaults.config.Port == 0 {
			p.defaults.config.Port = 1883
		}
		p.defaults.config.Source = p.defaults.place.String()
		blocks = append(blocks, p.defaults) // last, as in mosquitto
	} else if first := p.defaults.first; first.word != "" {
		p.find(Warning, first, cause.ConfigNoEffect, "Put a listener line before the options of a listener.",
			"Warning: %s has no effect: it stands before any listener line, and there is no port line.", first.word)
	}
	return blocks
}

// finishAPI takes out the listeners that are not for clients. They speak HTTP alone, which leaves most options of a listener without a meaning.
func (p *parser) finishAPI(all []*block) (clients []*block) {
	p.checkTwins(all)
	for _, b := range all {
		if !b.api {
			clients = append(clients, b)
			continue
		}
		if b.broken {
			continue
		}
		for _, l := range b.options {
			switch l.word {
			case "protocol":
			case "certfile", "keyfile", "cafile", "require_certificate":
				p.errorf(l, cause.ConfigUnsupported, "Let it listen on 127.0.0.1, behind a proxy that has a certificate.", "Error: %s is not possible with protocol http_api: it is plain HTTP.", l.word)
			default:
				p.find(Warning, l, cause.ConfigNoEffect, "Leave it out.", "Warning: %s has no effect on a listener with protocol http_api.", l.word)
			}
		}
		if p.perListener && (len(b.security.seen) > 0 || b.security.anonymousSet) {
			p.find(Warning, line{place: b.place, word: "listener"}, cause.ConfigNoEffect, "Put them behind a listener for clients.", "Warning: Security options have no effect on a listener with protocol http_api.")
		}
		if b.config.Path != "" {
			p.errorf(line{place: b.place, word: "listener"}, cause.ConfigUnsupported, "admin_socket PATH is the Unix socket for picket ctl.", "Error: A listener with protocol http_api needs a port.")
			continue
		}
		p.config.API = append(p.config.API, API{b.place.String(), net.JoinHostPort(b.config.Address, strconv.Itoa(b.config.Port))})
	}
	return clients
}

// checkListener looks for options that do not go together. mosquitto starts with most of these and leaves the option out of
// account; where that would serve without the protection that was asked for, it is an error here.
func (p *parser) checkListener(b *block) {
	if b.broken {
		return
	}
	c, t := b.config, &b.config.TLS
	at := line{place: b.place, word: "listener"}
	option := func(name string) line { return line{place: b.seenAt(name), word: name} }
	p.checkListenerTLS(b)
	p.checkProxied(b)
	// A proxy can tell who the client is that it has verified.
	if (c.IdentityAsUsername || c.SubjectAsUsername) && !t.RequireCertificate && len(c.ProxyFrom) == 0 {
		name := "use_identity_as_username"
		if !c.IdentityAsUsername {
			name = "use_subject_as_username"
		}
		p.find(Warning, at, cause.ConfigConflict, "Add require_certificate true, with certfile, keyfile and cafile.", "Warning: %s without require_certificate: no client is asked for a certificate, and all are refused.", name)
	}
	if c.IdentityAsUsername && c.SubjectAsUsername {
		p.find(Warning, at, cause.ConfigNoEffect, "Leave one of the two out.", "Warning: use_subject_as_username has no effect beside use_identity_as_username.")
	}
	if c.HTTPDir != "" && c.Protocol == listener.MQTT {
		p.find(Warning, option("http_dir"), cause.ConfigNoEffect, "Add protocol websockets or protocol auto.", "Warning: http_dir has no effect on a listener that speaks MQTT only.")
	}
	if b.pageLine.word != "" && !c.NoPage {
		switch {
		case c.Protocol == listener.MQTT:
			p.find(Warning, b.pageLine, cause.ConfigNoEffect, "Add protocol websockets or protocol auto.", "Warning: phone_page has no effect on a listener that speaks MQTT only.")
		case c.HTTPDir != "":
			p.find(Warning, b.pageLine, cause.ConfigNoEffect, "Leave one of the two out.", "Warning: phone_page has no effect beside http_dir, whose files are served instead.")
		}
	}
	if b.originLine.word != "" && c.Protocol == listener.MQTT {
		p.find(Warning, b.originLine, cause.ConfigNoEffect, "Add protocol websockets or protocol auto.", "Warning: websockets_origin has no effect on a listener that speaks MQTT only.")
	}
	if c.Path != "" && (c.Interface != "" || c.Domain != "") {
		p.find(Warning, at, cause.ConfigNoEffect, "", "Warning: bind_interface and socket_domain have no effect on a Unix socket.")
	}
}

// checkListenerTLS looks for options of TLS that do not go together.
func (p *parser) checkListenerTLS(b *block) {
	t, at := &b.config.TLS, line{place: b.place, word: "listener"}
	option := func(name string) line { return line{place: b.seenAt(name), word: name} }
	switch {
	case t.CertFile != "" && t.KeyFile == "":
		p.errorf(option("certfile"), cause.ConfigConflict, "Add a keyfile line.", "Error: certfile without keyfile: the listener would not be encrypted.")
	case t.KeyFile != "" && t.CertFile == "":
		p.errorf(option("keyfile"), cause.ConfigConflict, "Add a certfile line.", "Error: keyfile without certfile: the listener would not be encrypted.")
	case t.CertFile == "":
		for _, needs := range []struct {
			name string
			set  bool
		}{
			{"cafile", t.CAFile != ""}, {"capath", t.CAPath != ""}, {"crlfile", t.CRLFile != ""},
			{"require_certificate", t.RequireCertificate}, {"ciphers", len(t.Ciphers) > 0}, {"tls_version", t.MinVersion != 0},
			{"sni_certificate", len(t.SNI) > 0},
		} {
			if needs.set {
				l := at
				if _, ok := b.seen[needs.name]; ok {
					l = option(needs.name)
				}
				p.errorf(l, cause.ConfigConflict, "Add certfile and keyfile lines.", "Error: %s without certfile and keyfile: the listener would not be encrypted.", needs.name)
				break
			}
		}
	case t.RequireCertificate && t.CAFile == "" && t.CAPath == "":
		p.errorf(at, cause.ConfigConflict, "Add a cafile line.", "Error: require_certificate without cafile or capath: no certificate could be verified.")
	case !t.RequireCertificate:
		if _, ok := b.seen["crlfile"]; ok {
			p.find(Notice, option("crlfile"), cause.ConfigNoEffect, "Write require_certificate true if clients must have one.", "crlfile has no effect: clients are not asked for a certificate.")
		}
	}
}

// seenAt returns where a string option of the listener stands, or the listener line.
func (b *block) seenAt(name string) place {
	if at, ok := b.seen[name]; ok {
		return at
	}
	return b.place
}

// checkTwins looks for two listeners of which only one can be opened.
func (p *parser) checkTwins(blocks []*block) {
	type key struct {
		port                       int
		address, net, domain, path string
	}
	first := make(map[key]*block)
	for _, b := range blocks {
		if b.broken {
			continue
		}
		k := key{b.config.Port, b.config.Address, b.config.Interface, b.config.Domain, b.config.Path}
		if a := first[k]; a != nil {
			p.errorf(line{place: b.place, word: "listener"}, cause.PortTaken, "The first stands at "+a.place.String()+".", "Error: Address already in use: the listener is there twice.")
			continue
		}
		first[k] = b
	}
}
