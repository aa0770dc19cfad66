package mosqconf

import (
	"cmp"
	"path/filepath"
	"strings"

	"picket/cause"
)

// dynamicSecurity is the file of mosquitto's dynamic security plugin, wherever it stands. Picket has its own in that place.
const dynamicSecurity = "mosquitto_dynamic_security"

// pluginName is what a plugin's file is called, without its folder and ending.
func pluginName(path string) string {
	return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
}

// pluginFile takes the line of a plugin that Picket has its own of, and refuses all others.
func (p *parser) pluginFile(f *fileState, l line) {
	f.plugin = refusedPlugin
	path, ok := p.word(l)
	if ok && pluginName(path) == dynamicSecurity {
		f.plugin = ownPlugin
		s := p.rules(f, l)
		if s.dynamic.file != "" {
			p.errorf(l, cause.ConfigConflict, "The other one is in "+s.dynamic.String()+".", "Error: The dynamic security plugin can only be loaded once.")
		}
		s.dynamic = l.place
		return
	}
	if ok && askingPlugins[pluginName(path)] {
		p.backendsPlugin(f, l, pluginName(path))
		return
	}
	p.securityUsed = true
	p.errorf(l, cause.ConfigUnsupported, "Users and rights can come from password_file and acl_file, from "+dynamicSecurity+".so or go-auth.so (Picket has its own in their places), from certificates (use_identity_as_username) or by SCRAM-SHA-256.",
		"Error: %s is not possible: plugins are compiled for mosquitto and cannot be loaded.", l.word)
}

// globalPlugin is mosquitto 2.1's way to have a plugin for all listeners.
func (p *parser) globalPlugin(f *fileState, l line) {
	if p.perListener {
		f.plugin = refusedPlugin
		p.errorf(l, cause.ConfigUnsupported, "Write a plugin line behind each listener, or leave per_listener_settings out and write listener_allow_anonymous behind the listeners.",
			"Error: global_plugin is not possible with per_listener_settings.")
		return
	}
	p.pluginFile(f, l)
}

// pluginOption takes a line that belongs to a plugin: config_file for dynamic security. What belongs to a refused plugin is passed over.
func (p *parser) pluginOption(f *fileState, l line) {
	_, option, _ := strings.Cut(l.word, "_opt_")
	switch {
	case f.plugin == refusedPlugin:
		return
	case f.plugin == askingPlugin:
		p.backendOption(f, l, option)
		return
	case f.plugin == ownPlugin && option == "config_file":
		s := p.rules(f, l)
		if path, ok := p.string(l, s.seen); ok {
			s.config.RightsFile, s.config.RightsBeside = path, false
		}
		return
	case f.plugin == ownPlugin:
		p.errorf(l, cause.ConfigUnsupported, "It has plugin_opt_config_file FILE.", "Error: %s is no option of the dynamic security that Picket has.", l.word)
		return
	}
	word := "An " + l.word + " option"
	if strings.HasPrefix(l.word, "auth_opt_") || strings.HasPrefix(l.word, "plugin_opt_") {
		word = "An auth_opt_ option"
	}
	p.errorf(l, cause.ConfigConflict, l.word+" belongs to a plugin line, and none stands before it in this file.", "Error: %s exists in the config file without an auth_plugin.", word)
}

// checkRightsFiles looks whether dynamic security has all that it needs: without its file the rules would be others than were meant. There is one file of users and rights
// for all listeners, and one kind of it.
func (p *parser) checkRightsFiles(all []*security) {
	used, dynamic := "", false
	var beside line // of a rights_file
	for _, s := range all {
		if s.twin {
			continue
		}
		plugin, own := line{place: s.dynamic, word: "plugin"}, line{place: s.seen["rights_file"], word: "rights_file"}
		other := used != "" && used != s.config.RightsFile
		switch {
		case plugin.place.file != "" && s.config.RightsFile == "":
			p.errorf(plugin, cause.ConfigConflict, "Write behind it: plugin_opt_config_file FILE", "Error: Dynamic security plugin has no plugin_opt_config_file defined.")
		case plugin.place.file != "" && other:
			p.errorf(plugin, cause.ConfigConflict, "Give all listeners the same plugin_opt_config_file: commands come on one topic, which says nothing of a file.", "Error: The dynamic security plugin can only be loaded once.")
		case own.place.file != "" && other:
			p.errorf(own, cause.ConfigConflict, "Give all listeners the same rights_file.", "Error: There can only be one rights_file.")
		}
		dynamic = dynamic || plugin.place.file != ""
		if own.place.file != "" {
			beside = own
		}
		used = cmp.Or(s.config.RightsFile, used)
	}
	if dynamic && beside.place.file != "" {
		p.errorf(beside, cause.ConfigConflict, "Leave out one of the two: dynamic security has its file in plugin_opt_config_file.",
			"Error: rights_file and the dynamic security plugin cannot be used together.")
	}
}
