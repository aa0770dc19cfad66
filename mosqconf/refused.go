package mosqconf

import (
	"strings"

	"picket/cause"
)

// pluginFile refuses a plugin.
func (p *parser) pluginFile(f *fileState, l line) {
	f.plugin = true
	p.securityUsed = true
	hint := "Users and rights can come from password_file and acl_file, from certificates (use_identity_as_username) or by SCRAM-SHA-256."
	if strings.Contains(l.rest, "dynamic_security") {
		hint = "The dynamic security plugin will be a part of Picket; this version has password_file and acl_file."
	}
	p.errorf(l, cause.ConfigUnsupported, hint, "Error: %s is not possible: plugins are compiled for mosquitto and cannot be loaded.", l.word)
}

// pluginOption takes a line that belongs to a refused plugin.
func (p *parser) pluginOption(f *fileState, l line) {
	if f.plugin {
		return
	}
	word := "An " + l.word + " option"
	if strings.HasPrefix(l.word, "auth_opt_") || strings.HasPrefix(l.word, "plugin_opt_") {
		word = "An auth_opt_ option"
	}
	p.errorf(l, cause.ConfigConflict, l.word+" belongs to a plugin line, and none stands before it in this file.", "Error: %s exists in the config file without an auth_plugin.", word)
}
