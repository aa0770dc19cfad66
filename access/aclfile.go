package access

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"picket/logging"
	"picket/topic"
)

// parseRules reads an ACL file in mosquitto's format. Unlike a bad password entry, a mistake here stops the start: a rule that is
// left out could be the one that denies.
func parseRules(path string, data []byte) (*rules, []Warning, error) {
	p := &ruleParser{path: path, rules: &rules{anonymous: new(ruleset), users: make(map[string]*ruleset)}}
	p.set = p.rules.anonymous
	for line := range strings.SplitSeq(strings.TrimPrefix(string(data), byteOrderMark), "\n") {
		p.number++
		if err := p.line(line); err != nil {
			return nil, p.warnings, err
		}
	}
	p.rules.anonymous.makeIndex()
	for _, s := range p.rules.users {
		s.makeIndex()
	}
	return p.rules, p.warnings, nil
}

// ruleParser is an ACL file that is being read.
type ruleParser struct {
	path     string
	number   int // of the line
	rules    *rules
	set      *ruleset // where topic lines go: after a user line, that user's
	warnings []Warning
}

func (p *ruleParser) fail(hint, format string, args ...any) error {
	return &FileError{Directive: "acl_file", File: p.path, Line: p.number, Text: fmt.Sprintf(format, args...), Hint: hint}
}

func (p *ruleParser) warn(format string, args ...any) {
	p.warnings = append(p.warnings, Warning{logging.Warning, fmt.Sprintf(format, args...), p.path, p.number})
}

func (p *ruleParser) line(line string) error {
	if !utf8.ValidString(line) {
		return p.fail("Topics and user names are UTF-8.", "Error: Malformed UTF-8 in acl_file \"%s\".", p.path)
	}
	line = strings.TrimRight(line, " \t\r\n\v\f")
	line = strings.TrimLeft(line, " ")
	if line == "" || line[0] == '#' {
		return nil
	}
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimLeft(rest, " ")
	switch word {
	case "user":
		return p.user(strings.TrimSpace(rest))
	case "topic", "pattern":
		return p.rule(word, rest)
	}
	hint := "A line begins with user, topic or pattern."
	if strings.ContainsRune(word, '\t') {
		hint = "Words are separated by spaces, not tabs."
	}
	return p.fail(hint, "Error: Invalid line in acl_file \"%s\": %s.", p.path, line)
}

func (p *ruleParser) user(name string) error {
	if name == "" {
		return p.fail("Write: user NAME", "Error: Missing username in acl_file \"%s\".", p.path)
	}
	if p.set = p.rules.users[name]; p.set == nil {
		p.set = new(ruleset)
		p.rules.users[name] = p.set
	}
	return nil
}

// rule takes what follows topic or pattern.
func (p *ruleParser) rule(word, rest string) error {
	if rest == "" {
		return p.fail("Write: "+word+" [read|write|readwrite|deny] FILTER", "Error: Empty topic in acl_file \"%s\".", p.path)
	}
	ru := rule{filter: rest, right: read | write}
	if kind, filter, ok := strings.Cut(rest, " "); ok {
		ru.filter = strings.TrimSpace(filter)
		switch kind {
		case "read":
			ru.right = read
		case "write":
			ru.right = write
		case "readwrite":
		case "deny":
			ru.right = denied
		default:
			return p.fail("It is read, write, readwrite or deny, and must stand before a topic that has a space.",
				"Error: Invalid topic access type \"%s\" in acl_file \"%s\".", kind, p.path)
		}
	}
	if err := topic.CheckFilter(ru.filter); err != nil {
		return p.fail(err.Error()+".", "Error: Invalid ACL topic \"%s\" in acl_file \"%s\".", ru.filter, p.path)
	}
	switch ru.filter {
	case "read", "write", "readwrite", "deny":
		p.warn("Warning: '%s %s' in acl_file \"%s\" is a rule for a topic with the name '%s'. Is the topic missing?", word, rest, p.path, ru.filter)
	}
	if word == "topic" {
		p.set.add(ru)
		return nil
	}
	if !strings.Contains(ru.filter, "%c") && !strings.Contains(ru.filter, "%u") {
		p.warn("Warning: ACL pattern '%s' does not contain '%%c' or '%%u'.", ru.filter)
	}
	if p.rules.patterns == nil {
		p.rules.patterns = new(ruleset)
	}
	p.rules.patterns.add(ru)
	return nil
}
