package admin

import (
	"fmt"
	"strings"

	"picket/printable"
)

// Told words commands of dynamic security without what is secret of them, and tells whether one of them changes something.
func Told(commands []Command) (what string, changes bool) {
	var all []string
	for _, c := range commands {
		name, _ := c["command"].(string)
		changes = changes || !strings.HasPrefix(name, "list") && !strings.HasPrefix(name, "get")
		text := printable.Text(name)
		for _, member := range []string{"username", "clientid", "groupname", "rolename", "acltype", "topic", "allow", "priority"} {
			switch value := c[member].(type) {
			case string:
				text += fmt.Sprintf(" %s=%q", member, value)
			case bool, float64:
				text += fmt.Sprintf(" %s=%v", member, value)
			}
		}
		all = append(all, text)
	}
	return strings.Join(all, "; "), changes
}

// Result says, for an [audit.Entry], what has become of commands, and which were refused and why.
func (r *Responses) Result() (result, why string) {
	var all []string
	for _, one := range r.Responses {
		if one.Error != "" {
			all = append(all, printable.Text(one.Command)+": "+one.Error)
		}
	}
	switch result = "done"; len(all) {
	case 0:
	case len(r.Responses):
		result = "not done"
	default:
		result = "done in part"
	}
	return result, strings.Join(all, "; ")
}
