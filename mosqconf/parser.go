package mosqconf

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"picket/access"
	"picket/broker"
	"picket/cause"
)

// Bounds on what is read: a file that is named by mistake must not fill the memory.
const (
	maxFileSize = 4 << 20
	maxIncluded = 1000 // files of one include_dir
)

// place is where something stands.
type place struct {
	file string
	line int
}

// line is one directive.
type line struct {
	place
	word string // the directive's name
	rest string // what follows it, without blanks around
}

// words returns the line's values up to one that begins a comment.
func (l line) words() []string {
	words := strings.Fields(l.rest)
	if i := slices.IndexFunc(words, func(w string) bool { return w[0] == '#' }); i >= 0 {
		words = words[:i]
	}
	return words
}

// block is a listener while its lines are read.
type block struct {
	place
	config     *broker.Listener
	security   *security
	seen       map[string]place // the string options that it has
	named      bool             // by a listener line; false for the default listener
	broken     bool             // its listener line had an error
	first      line             // the first option
	options    []line           // all of them
	api        bool             // protocol http_api: it is for whoever runs the broker
	pageLine   line             // phone_page
	originLine line             // the last websockets_origin

	proxied   int64             // what enable_proxy_protocol says; 0: nothing
	anonymous *access.Anonymous // listener_allow_anonymous; nil: the rules say
	autoID    *string           // listener_auto_id_prefix; nil: the rules say
}

// security is a set of security rules while its lines are read.
type security struct {
	config       access.Config
	anonymousSet bool
	seen         map[string]place
	dynamic      place     // of the line of the dynamic security plugin; the zero place: none
	backends     *backends // nil: none are asked
	tokens       *tokens   // nil: none are taken
	twin         bool      // they are the broker's own but for what a listener has for itself
}

func newSecurity() *security {
	return &security{config: broker.Defaults().Security[0], seen: make(map[string]place)}
}

// parser reads a configuration. It has one state for the whole of it; each file has a state of its own beside (see fileState).
type parser struct {
	report   *Report
	config   Config
	security *security // the broker's own
	seen     map[string]place

	perListener   bool
	unaudited     bool     // audit_file none
	securityUsed  bool     // a security option was met: too late for per_listener_settings
	prefixes      string   // clientid_prefixes
	headersSize   int      // websockets_headers_size
	blocks        []*block // of listener lines; once finished, with the default listener
	defaults      *block   // of the default listener
	bridges       []*bridgeBlock
	securities    []*security // once finished: where those of config.Security come from
	whenPersisted []line      // options that only matter with persistence
	whenClustered []line      // options that count with cluster only
	clusterLine   line
	autosaves     []line // options that say when mosquitto writes its file
	logFile       bool   // a "log_dest file" was met
	logDestSet    bool
	logTypeSet    bool
}

// fileState is what begins anew with every file: options before its first listener line belong to the default listener, as in mosquitto.
type fileState struct {
	level   int // 1 in files of an include_dir
	current *block
	bridge  *bridgeBlock // of the last connection line, to which bridge options belong; nil: there was none
	plugin  plugin
}

// plugin is what the last plugin line of a file was about, whose options follow it.
type plugin byte

const (
	noPlugin plugin = iota
	refusedPlugin
	ownPlugin    // dynamic security
	askingPlugin // go-auth or auth-plug: back ends are asked
)

func newParser(path string) *parser {
	p := &parser{
		report:   &Report{Path: path},
		config:   defaults(),
		security: newSecurity(),
		seen:     make(map[string]place),
		defaults: &block{config: newListener(0, "", ""), security: newSecurity(), seen: make(map[string]place)},
	}
	p.config.User = defaultUser
	return p
}

// errorf records an error at a line.
func (p *parser) errorf(l line, id cause.ID, hint, format string, args ...any) {
	p.find(Error, l, id, hint, format, args...)
}

func (p *parser) find(level Level, l line, id cause.ID, hint, format string, args ...any) {
	p.report.add(Finding{Level: level, File: l.file, Line: l.place.line, Directive: l.word, Cause: id, Hint: hint, Text: fmt.Sprintf(format, args...)})
}

// readFile reads one file. from is the include_dir line that named it.
func (p *parser) readFile(path string, level int, from place) {
	unreadable := func(hint string, format string, args ...any) {
		p.find(Error, line{place: from}, cause.ConfigUnreadable, hint, format, args...)
		if from.file == "" {
			p.report.Findings[len(p.report.Findings)-1].File = path
		}
	}
	f, err := os.Open(path)
	if err != nil {
		hint := err.Error() + "."
		switch {
		case errors.Is(err, fs.ErrNotExist):
			hint = "There is no such file."
		case errors.Is(err, fs.ErrPermission):
			hint = "The user who runs picket may not read it."
		}
		unreadable(hint, "Error: Unable to open config file %s.", path)
		return
	}
	defer f.Close()
	p.config.Files = append(p.config.Files, path)
	info, err := f.Stat()
	switch {
	case err != nil:
		unreadable(err.Error()+".", "Error: Unable to open config file %s.", path)
		return
	case info.IsDir():
		unreadable("Name the file in it.", "Error: Config file %s is a directory.", path)
		return
	case !info.Mode().IsRegular() && info.Mode()&fs.ModeNamedPipe == 0 && info.Mode()&fs.ModeCharDevice == 0:
		unreadable("", "Error: %s is not a file.", path)
		return
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		unreadable(err.Error()+".", "Error: Unable to read config file %s.", path)
		return
	}
	if len(data) > maxFileSize {
		unreadable(fmt.Sprintf("A configuration has at most %d bytes. Is it the right file?", maxFileSize), "Error: Config file %s is too large.", path)
		return
	}
	p.report.Files = append(p.report.Files, path)
	p.parse(path, string(data), level)
}

// parse reads the text of one file.
func (p *parser) parse(path, text string, level int) {
	f := &fileState{level: level, current: p.defaults}
	text = strings.TrimPrefix(text, "\ufeff") // some editors put a byte order mark in front
	for i, s := range strings.Split(text, "\n") {
		s = strings.TrimSpace(s)
		if s == "" || s[0] == '#' {
			continue
		}
		l := line{place: place{path, i + 1}, word: s}
		if end := strings.IndexAny(s, " \t"); end >= 0 {
			l.word, l.rest = s[:end], strings.TrimSpace(s[end:])
		}
		if !utf8.ValidString(s) || strings.ContainsFunc(strings.ReplaceAll(s, "\t", " "), unicode.IsControl) {
			l.word = ""
			p.errorf(l, cause.ConfigInvalidValue, "The file is UTF-8 text, without control characters.", "Error: Malformed UTF-8 in configuration.")
			continue
		}
		p.directive(f, l)
	}
}

// directive carries out one line.
func (p *parser) directive(f *fileState, l line) {
	if d, ok := directives[l.word]; ok {
		d.apply(p, f, l)
		return
	}
	for prefix, apply := range families {
		if strings.HasPrefix(l.word, prefix) {
			apply(p, f, l)
			return
		}
	}
	p.errorf(l, cause.ConfigUnknownDirective, suggestion(l), "Error: Unknown configuration variable \"%s\".", l.word)
}

// includeDir reads the files of a folder whose names end in .conf.
func (p *parser) includeDir(f *fileState, l line) {
	if l.rest == "" {
		p.empty(l)
		return
	}
	if f.level > 0 {
		p.find(Warning, l, cause.ConfigNoEffect, "Name the folder in the main file.", "Warning: include_dir has no effect in a file that is itself included.")
		return
	}
	entries, err := os.ReadDir(l.rest)
	if err != nil {
		hint := ""
		if errors.Is(err, fs.ErrNotExist) {
			hint = "There is no such folder."
		} else {
			hint = err.Error() + "."
		}
		p.errorf(l, cause.ConfigUnreadable, hint, "Error: Unable to open include_dir '%s'.", l.rest)
		return
	}
	var names []string
	for _, e := range entries {
		if name := e.Name(); len(name) > len(".conf") && strings.HasSuffix(name, ".conf") {
			names = append(names, name)
		}
	}
	if len(names) > maxIncluded {
		p.errorf(l, cause.ConfigUnreadable, fmt.Sprintf("At most %d are read.", maxIncluded), "Error: There are %d files in include_dir '%s'.", len(names), l.rest)
		return
	}
	slices.SortFunc(names, compareNames)
	for _, name := range names {
		path := filepath.Join(l.rest, name)
		p.report.add(Finding{Level: Info, Text: "Loading config file " + path})
		p.readFile(path, f.level+1, l.place)
	}
}

// compareNames orders the files of an include_dir as mosquitto does: upper and lower case count only between names that are
// the same otherwise, byte by byte.
func compareNames(a, b string) int {
	upper := func(c byte) int {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		return int(c)
	}
	for i := 0; i < len(a) && i < len(b); i++ {
		if d := upper(a[i]) - upper(b[i]); d != 0 {
			return d
		}
		if d := int(a[i]) - int(b[i]); d != 0 {
			return d
		}
	}
	return len(a) - len(b)
}
