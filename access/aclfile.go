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
	r := &rules{anonymous: new(ruleset), users: make(map[string]*ruleset)}
	var warnings []Warning
	set := r.anonymous // where topic lines go
	for i, line := range strings.Split(strings.TrimPrefix(string(data), byteOrderMark), "\n") {
		number := i + 1
		fail := func(hint, format string, args ...any) (*rules, []Warning, error) {
			return nil, warnings, &FileError{Directive: "acl_file", File: path, Line: number, Text: fmt.Sprintf(format, args...), Hint: hint}
		}
		if !utf8.ValidString(line) {
			return fail("Topics and user names are UTF-8.", "Error: Malformed UTF-8 in acl_file \"%s\".", path)
		}
		line = strings.TrimRight(line, " \t\r\n\v\f")
		line = strings.TrimLeft(line, " ")
		if line == "" || line[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		rest = strings.TrimLeft(rest, " ")
		switch word {
		case "user":
			name := strings.TrimSpace(rest)
			if name == "" {
				return fail("Write: user NAME", "Error: Missing username in acl_file \"%s\".", path)
			}
			if set = r.users[name]; set == nil {
				set = new(ruleset)
				r.users[name] = set
			}
		case "topic", "pattern":
			if rest == "" {
				return fail("Write: "+word+" [read|write|readwrite|deny] FILTER", "Error: Empty topic in acl_file \"%s\".", path)
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
					return fail("It is read, write, readwrite or deny, and must stand before a topic that has a space.",
						"Error: Invalid topic access type \"%s\" in acl_file \"%s\".", kind, path)
				}
			}
			if err := topic.CheckFilter(ru.filter); err != nil {
				return fail(err.Error()+".", "Error: Invalid ACL topic \"%s\" in acl_file \"%s\".", ru.filter, path)
			}
			switch ru.filter {
			case "read", "write", "readwrite", "deny":
				warnings = append(warnings, Warning{logging.Warning, fmt.Sprintf("Warning: '%s %s' in acl_file \"%s\" is a rule for a topic with the name '%s'. Is the topic missing?",
					word, rest, path, ru.filter), path, number})
			}
			if word == "topic" {
				set.add(ru)
				continue
			}
			if !strings.Contains(ru.filter, "%c") && !strings.Contains(ru.filter, "%u") {
				warnings = append(warnings, Warning{logging.Warning, fmt.Sprintf("Warning: ACL pattern '%s' does not contain '%%c' or '%%u'.", ru.filter), path, number})
			}
			if r.patterns == nil {
				r.patterns = new(ruleset)
			}
			r.patterns.add(ru)
		default:
			hint := "A line begins with user, topic or pattern."
			if strings.ContainsRune(word, '\t') {
				hint = "Words are separated by spaces, not tabs."
			}
			return fail(hint, "Error: Invalid line in acl_file \"%s\": %s.", path, line)
		}
	}
	r.anonymous.makeIndex()
	for _, s := range r.users {
		s.makeIndex()
	}
	return r, warnings, nil
}
