package mosqconf

import (
	"picket/access"
	"picket/cause"
)

// rules returns the security rules that an option belongs to: with per_listener_settings those of the listener.
func (p *parser) rules(f *fileState, l line) *security {
	p.securityUsed = true
	s := p.security
	if p.perListener {
		s = f.current.security
	}
	if s.config.Source == "" {
		s.config.Source = l.place.String()
	}
	return s
}

func (p *parser) perListenerSettings(_ *fileState, l line) {
	p.bool(l, &p.perListener)
	if p.securityUsed && p.perListener {
		p.errorf(l, cause.ConfigConflict, "Put the line at the top of the file.", "Error: per_listener_settings must be set before any other security settings.")
	}
}

func (p *parser) allowAnonymous(f *fileState, l line) {
	s := p.rules(f, l)
	who, ok := p.anonymousOf(l)
	if !ok {
		return
	}
	if who == access.AnonymousLocal {
		s.seen[l.word] = l.place
	}
	s.config.Anonymous, s.anonymousSet = who, true
}

// anonymousOf reads who may connect without a user name.
func (p *parser) anonymousOf(l line) (who access.Anonymous, ok bool) {
	value, ok := p.word(l)
	if !ok {
		return who, false
	}
	switch value {
	case "true", "1":
		return access.AnonymousAlways, true
	case "false", "0":
		return access.AnonymousNever, true
	case "local":
		return access.AnonymousLocal, true
	}
	p.invalid(l, value, "It is true, false, or local for clients on the same machine only.")
	return who, false
}

// listenerAllowAnonymous and listenerAutoIDPrefix are of mosquitto 2.1: what one listener has for itself, whatever the rules say.
func (p *parser) listenerAllowAnonymous(f *fileState, l line) {
	b := f.option(l)
	if who, ok := p.anonymousOf(l); ok {
		b.anonymous = &who
	}
}

func (p *parser) listenerAutoIDPrefix(f *fileState, l line) {
	b := f.option(l)
	if prefix, ok := p.string(l, b.seen); ok {
		b.autoID = &prefix
	}
}

func (p *parser) passwordFile(f *fileState, l line) {
	s := p.rules(f, l)
	if path, ok := p.string(l, s.seen); ok {
		s.config.PasswordFile = path
	}
}

func (p *parser) aclFile(f *fileState, l line) {
	s := p.rules(f, l)
	if path, ok := p.string(l, s.seen); ok {
		s.config.ACLFile = path
	}
}

// rightsFile names the file of users who are managed while the broker runs, beside those of the other files.
func (p *parser) rightsFile(f *fileState, l line) {
	s := p.rules(f, l)
	if path, ok := p.string(l, s.seen); ok {
		s.config.RightsFile, s.config.RightsBeside = path, true
	}
}

func (p *parser) aclSubscribeUnchecked(f *fileState, l line) {
	p.bool(l, &p.rules(f, l).config.SubscribeUnchecked)
}

func (p *parser) allowZeroLengthClientID(f *fileState, l line) {
	p.bool(l, &p.rules(f, l).config.AllowZeroLengthID)
}

func (p *parser) autoIDPrefix(f *fileState, l line) {
	s := p.rules(f, l)
	if prefix, ok := p.string(l, s.seen); ok {
		s.config.AutoIDPrefix = prefix
	}
}

// clientIDPrefixes is about all listeners, with per_listener_settings too.
func (p *parser) clientIDPrefixes(_ *fileState, l line) {
	p.find(Notice, l, cause.ConfigDeprecated, "", "The 'clientid_prefixes' option is now deprecated and will be removed in a future version.")
	if prefix, ok := p.string(l, p.seen); ok {
		p.prefixes = prefix
	}
}
