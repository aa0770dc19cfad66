package mosqconf

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"picket/backend"
	"picket/cause"
)

// askingPlugins are the files of mosquitto's plugins that ask others about users and rights. Picket has its own in their place.
var askingPlugins = map[string]bool{"go-auth": true, "mosquitto-go-auth": true, "auth-plug": true, "mosquitto-auth-plug": true}

// backends are the lines about back ends of one set of rules.
type backends struct {
	line     line // of the plugin
	authPlug bool // it is the older auth-plug, which asks a web service by forms
	config   backend.Config
	options  map[string]line // those of back ends, by name
	values   map[string]string
}

// backendsPlugin takes the line of a plugin that asks.
func (p *parser) backendsPlugin(f *fileState, l line, name string) {
	f.plugin = askingPlugin
	s := p.rules(f, l)
	if s.backends != nil {
		p.errorf(l, cause.ConfigConflict, "The other one is in "+s.backends.line.String()+".", "Error: A plugin that asks back ends can only be loaded once.")
		return
	}
	s.backends = &backends{line: l, authPlug: strings.HasSuffix(name, "auth-plug"), options: make(map[string]line), values: make(map[string]string),
		config: backend.Config{Source: l.place.String(), DenySpecial: true, LoginTTL: 30 * time.Second, RightsTTL: 30 * time.Second}}
}

// generalOptions are those that are of no back end.
var generalOptions = []string{"backends", "check_prefix", "strip_prefix", "prefixes", "use_clientid_as_username", "exhaust_backend_first", "retry_count", "disable_superuser",
	"cache", "cache_refresh", "auth_cache_seconds", "auth_jitter_seconds", "acl_cache_seconds", "acl_jitter_seconds", "when_down",
	"hasher", "hasher_salt_encoding"}

// optionsOf are those of each back end that there is. Each also has register, disable_superuser and, with passwords, hasher.
var optionsOf = map[string][]string{
	"files": {"password_path", "acl_path", "hasher", "hasher_salt_encoding"},
	"http": {"host", "port", "getuser_uri", "superuser_uri", "aclcheck_uri", "with_tls", "verify_peer", "cafile", "method", "params_mode", "response_mode", "timeout",
		"user_agent", "hostname"},
	"redis": {"host", "port", "db", "password", "mode", "hasher", "hasher_salt_encoding"},
	"jwt":   {"mode", "secret", "userfield", "acl_path", "skip_user_expiration", "skip_acl_expiration"},
}

// olderNames are what auth-plug, and go-auth before, have for the same.
var olderNames = map[string]string{"http_ip": "http_host", "auth_cacheseconds": "auth_cache_seconds", "acl_cacheseconds": "acl_cache_seconds", "password_path": "files_password_path",
	"acl_path": "files_acl_path", "http_retry_count": "retry_count", "auth_cachejitter": "auth_jitter_seconds", "acl_cachejitter": "acl_jitter_seconds",
	"binddn": "ldap_binddn", "bindpw": "ldap_bindpw", "host": "mysql_host", "port": "mysql_port", "dbname": "mysql_dbname", "user": "mysql_user", "pass": "mysql_pass",
	"userquery": "mysql_userquery", "superquery": "mysql_superquery", "aclquery": "mysql_aclquery", "anonusername": "mysql_anonusername"}

// withoutOptions have no effect, for a reason.
var withoutOptions = map[string]string{
	"log_level": inLog, "log_dest": inLog, "log_file": inLog, "log_quiet": inLog,
	"cache_type": inMemory, "cache_reset": inMemory, "cache_host": inMemory,
	"cache_port": inMemory, "cache_password": inMemory, "cache_db": inMemory,
	"cache_mode": inMemory, "cache_addresses": inMemory,
	"hasher_salt_size": hashesSay, "hasher_iterations": hashesSay, "hasher_keylen": hashesSay, "hasher_algorithm": hashesSay, "hasher_cost": hashesSay, "hasher_memory": hashesSay,
	"hasher_parallelism": hashesSay,
}

const inLog = "What back ends do is in the broker's own log (log_type, log_dest), and no password ever is."

const inMemory = "Answers are remembered in the broker itself, until it starts anew or reloads its configuration."

const hashesSay = "Each hash says itself how it was made."

// refusedOptions are those of the plugins that change what is asked or who may do what, and are not there.
var refusedOptions = map[string]string{
	"superusers":            "Give these users all rights in the file of auth_opt_files_acl_path, or let the service of auth_opt_http_superuser_uri name them.",
	"http_basic_auth_key":   "Write a secret of the service behind its paths instead: auth_opt_http_getuser_uri /user?key=SECRET",
	"http_getuser_params":   sameParameters,
	"http_superuser_params": sameParameters,
	"http_aclcheck_params":  sameParameters,
}

const sameParameters = "The service is told username, password, clientid, topic and acc. What is always the same can stand behind its path: /user?tenant=NAME"

// otherBackends are those that are not there, with a way around.
var otherBackends = map[string]string{
	"postgres": database, "mysql": database, "sqlite": database, "mongo": database, "cdb": database,
	"ldap": "Let a web service ask the directory (auth_opt_backends http).", "grpc": "Let the service answer over HTTP (auth_opt_backends http).",
	"custom": "Plugins cannot be loaded: let a web service answer (auth_opt_backends http).", "js": "Let a web service answer (auth_opt_backends http).",
	"psk": "Go's TLS has no pre-shared keys: use certificates.",
}

const database = "Let a web service ask the database (auth_opt_backends http), or write its users to a file (auth_opt_backends files)."

// backendOption takes a line auth_opt_NAME of a plugin that asks.
func (p *parser) backendOption(f *fileState, l line, option string) {
	b := p.rules(f, l).backends
	if b == nil { // it stands behind the plugin's line of another listener
		p.errorf(l, cause.ConfigConflict, l.word+" belongs to a plugin line, and none stands before it for this listener.", "Error: An auth_opt_ option exists in the config file without an auth_plugin.")
		return
	}
	if l.word == "auth_plugin_deny_special_chars" {
		p.bool(l, &b.config.DenySpecial)
		return
	}
	option = cmp.Or(olderNames[option], option)
	name, rest, _ := strings.Cut(option, "_")
	why, refused := withoutOptions[option], refusedOptions[option]
	if _, ok := optionsOf[name]; ok && why == "" && strings.HasPrefix(rest, "hasher_") {
		why = withoutOptions[rest]
	}
	known := slices.Contains(generalOptions, option) || slices.Contains(optionsOf[name], rest) || optionsOf[name] != nil && (rest == "register" || rest == "disable_superuser")
	switch {
	case why != "":
		p.find(Notice, l, cause.ConfigNoEffect, why, "%s has no effect.", l.word)
	case option == "redis_password" || option == "jwt_secret": // which no finding may show
		b.options[option], b.values[option] = l, l.rest
	case known:
		if value, ok := p.string(l, p.rules(f, l).seen); ok {
			b.options[option], b.values[option] = l, value
		}
	case refused != "":
		p.errorf(l, cause.ConfigUnsupported, refused, "Error: %s is no option of the back ends that Picket has.", l.word)
	case otherBackends[name] != "" || name == "pg" || name == "jwt": // those of jwt are of the modes that are refused
		return // the line of backends, where it is named, says what to do
	default: // the plugins, too, pass over what they do not know
		p.find(Warning, l, cause.ConfigNoEffect, "It may be misspelled; else leave it out. docs/backends.md has the options that there are.", "Warning: %s has no effect: it is no option of the back ends.", l.word)
	}
}

// finishBackends makes sense of the lines about back ends.
func (p *parser) finishBackends(s *security) {
	b := s.backends
	if s.config.RightsFile != "" {
		p.errorf(b.line, cause.ConfigConflict, "Leave one of the two out.", "Error: Back ends and a file of users and rights cannot be used together.")
	}
	r := &optionReader{p, b}
	c := &b.config
	r.general(c)
	// What is missing is unsupported and no conflict: it is said of what Picket has in the plugin's place, and nobody knows whether the plugin would do without.
	names := strings.FieldsFunc(b.values["backends"], func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	if len(names) == 0 {
		p.errorf(b.line, cause.ConfigUnsupported, "Write behind it: auth_opt_backends files, http", "Error: The plugin has no auth_opt_backends.")
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			p.invalid(b.options["backends"], name, "Name each back end once.")
			continue
		}
		r.source(name)
	}
	r.prefixes(c, len(names))
	s.config.Backends = strings.Join(names, ", ")
	for _, one := range c.Sources {
		if one.JWT != nil {
			s.config.Tokens = placeOf(one.JWT)
		}
	}
	for _, option := range slices.Sorted(maps.Keys(b.options)) {
		if name, _, _ := strings.Cut(option, "_"); optionsOf[name] != nil && !slices.Contains(names, name) {
			p.find(Notice, b.options[option], cause.ConfigNoEffect, "", "%s has no effect while %s is not in auth_opt_backends.", b.options[option].word, name)
		}
	}
}

// optionReader reads the values of options.
type optionReader struct {
	p *parser
	b *backends
}

// lineOf is an option as a line with its value.
func (r *optionReader) lineOf(option string) (line, bool) {
	l, ok := r.b.options[option]
	return l, ok
}

func (r *optionReader) bool(option string, to *bool) {
	if l, ok := r.lineOf(option); ok {
		r.p.bool(l, to)
	}
}

func (r *optionReader) number(option string, low, high int64, to *int) {
	if l, ok := r.lineOf(option); ok {
		if n, ok := r.p.int(l, low, high); ok {
			*to = int(n)
		}
	}
}

func (r *optionReader) seconds(option string, low int64, to *time.Duration) {
	n := int(*to / time.Second)
	r.number(option, low, 365*24*3600, &n)
	*to = time.Duration(n) * time.Second
}

func (r *optionReader) word(option string, to *string) {
	if l, ok := r.lineOf(option); ok {
		if value, ok := r.p.word(l); ok {
			*to = value
		}
	}
}

// one reads one of several words.
func (r *optionReader) one(option, expected string, words ...string) string {
	value := ""
	if r.word(option, &value); value != "" && !slices.Contains(words, value) {
		r.p.invalid(r.b.options[option], value, expected)
	}
	return value
}

// general reads what is of no back end.
func (r *optionReader) general(c *backend.Config) {
	r.bool("use_clientid_as_username", &c.ClientIDAsUser)
	r.bool("exhaust_backend_first", &c.Exhaust)
	r.bool("strip_prefix", &c.Strip)
	r.number("retry_count", 0, 10, &c.Retries)
	cache := r.b.authPlug // which remembers by itself
	if r.b.authPlug {
		c.LoginTTL, c.RightsTTL = 0, 5*time.Minute
	}
	r.bool("cache", &cache)
	r.bool("cache_refresh", &c.Refresh)
	r.seconds("auth_cache_seconds", 0, &c.LoginTTL)
	r.seconds("acl_cache_seconds", 0, &c.RightsTTL)
	r.seconds("auth_jitter_seconds", 0, &c.LoginJitter)
	r.seconds("acl_jitter_seconds", 0, &c.RightsJitter)
	if !cache {
		c.LoginTTL, c.RightsTTL, c.LoginJitter, c.RightsJitter = 0, 0, 0, 0
	}
	c.KeepLast = r.one("when_down", "It is refuse, or last: the last answer counts while a back end is down.", "refuse", "last") == "last"
	r.hasher("hasher")
}

// hasher looks at the name of a hash, of which each entry says itself what it is.
func (r *optionReader) hasher(option string) {
	r.one(option, "It is pbkdf2, bcrypt or argon2id.", "pbkdf2", "bcrypt", "argon2id")
}

// prefixes reads which source users are sent to. As in go-auth, the names alone do nothing.
func (r *optionReader) prefixes(c *backend.Config, sources int) {
	check := false
	r.bool("check_prefix", &check)
	l, ok := r.lineOf("prefixes")
	switch {
	case !check && ok:
		r.p.find(Notice, l, cause.ConfigNoEffect, "", "%s has no effect without auth_opt_check_prefix true.", l.word)
		return
	case !check:
		return
	case !ok:
		r.p.errorf(r.b.options["check_prefix"], cause.ConfigConflict, "Add auth_opt_prefixes, one for each back end.", "Error: auth_opt_check_prefix without auth_opt_prefixes.")
		return
	}
	for one := range strings.SplitSeq(r.b.values["prefixes"], ",") {
		one = strings.TrimSpace(one)
		if one == "" || strings.Contains(one, "_") || slices.Contains(c.Prefixes, one) {
			r.p.invalid(l, one, "A prefix is a word of its own without _.")
			return
		}
		c.Prefixes = append(c.Prefixes, one)
	}
	if len(c.Prefixes) != sources {
		r.p.errorf(l, cause.ConfigInvalidValue, "Write one for each back end, in their order.", "Error: There are %d back ends and %d prefixes.", sources, len(c.Prefixes))
	}
}

// source reads what is said of one back end.
func (r *optionReader) source(name string) {
	one := backend.Source{Name: name, Users: true, Superuser: true, Rules: true}
	switch name {
	case "files":
		one.Files = r.files()
	case "http":
		one.Web = r.web()
	case "redis":
		one.Redis = r.redis()
	case "jwt":
		one.JWT = r.jwt()
	default:
		l := r.b.options["backends"]
		if around, known := otherBackends[name]; known {
			r.p.errorf(l, cause.ConfigUnsupported, around, "Error: The back end %s is not there.", name)
		} else {
			r.p.invalid(l, name, "The back ends are files, http, redis and jwt.")
		}
		return
	}
	r.register(&one)
	r.b.config.Sources = append(r.b.config.Sources, one)
}

// register reads what a back end is asked about.
func (r *optionReader) register(one *backend.Source) {
	option := one.Name + "_register"
	if l, ok := r.lineOf(option); ok {
		one.Users, one.Superuser, one.Rules = false, false, false
		for word := range strings.SplitSeq(r.b.values[option], ",") {
			switch word = strings.TrimSpace(word); word {
			case "user":
				one.Users = true
			case "superuser":
				one.Superuser = true
			case "acl":
				one.Rules = true
			default:
				r.p.invalid(l, word, "It is a list of user, superuser and acl.")
			}
		}
	}
	for _, option := range []string{"disable_superuser", one.Name + "_disable_superuser"} {
		off := false
		if r.bool(option, &off); off {
			one.Superuser = false
		}
	}
	one.Superuser = one.Superuser && one.Files == nil && one.JWT == nil && (one.Web == nil || one.Web.SuperPath != "")
}

func (r *optionReader) files() *backend.Files {
	v := r.b.values
	c := &backend.Files{PasswordFile: v["files_password_path"], ACLFile: v["files_acl_path"]}
	if c.PasswordFile == "" && c.ACLFile == "" {
		r.p.errorf(r.b.line, cause.ConfigUnsupported, "Write behind it: auth_opt_files_password_path FILE", "Error: The back end files has no auth_opt_files_password_path.")
	}
	c.PlainSalt = r.hashes("files")
	return c
}

// hashes reads what is said of the hashes of a back end, and tells whether the salt of PBKDF2 is no base64.
func (r *optionReader) hashes(name string) (plainSalt bool) {
	r.hasher(name + "_hasher")
	for _, option := range []string{"hasher_salt_encoding", name + "_hasher_salt_encoding"} {
		if said := r.one(option, "It is base64 or utf-8.", "base64", "utf-8"); said != "" {
			plainSalt = said == "utf-8"
		}
	}
	return plainSalt
}

func (r *optionReader) redis() *backend.Redis {
	c := &backend.Redis{Host: "localhost", Port: 6379, DB: 2, Password: r.b.values["redis_password"], PlainSalt: r.hashes("redis")}
	r.word("redis_host", &c.Host)
	r.number("redis_port", 1, 65535, &c.Port)
	r.number("redis_db", 0, 1<<20, &c.DB)
	if l, ok := r.lineOf("redis_mode"); ok {
		mode := ""
		if r.word("redis_mode", &mode); mode == "cluster" {
			r.p.errorf(l, cause.ConfigUnsupported, "Name one server, without cluster mode: auth_opt_redis_host", "Error: A Redis Cluster is not asked.")
		}
	}
	return c
}

func (r *optionReader) web() *backend.Web {
	v := r.b.values
	c := &backend.Web{UserPath: v["http_getuser_uri"], SuperPath: v["http_superuser_uri"], RulesPath: v["http_aclcheck_uri"], Method: "POST", Form: r.b.authPlug,
		Timeout: 5 * time.Second, UserAgent: cmp.Or(v["http_user_agent"], "mosquitto")}
	for _, needed := range []string{"http_host", "http_port", "http_getuser_uri", "http_aclcheck_uri"} {
		if v[needed] == "" {
			r.p.errorf(r.b.line, cause.ConfigUnsupported, "Write behind it, for example: auth_opt_"+needed+" "+map[string]string{"http_host": "127.0.0.1", "http_port": "80", "http_getuser_uri": "/user", "http_aclcheck_uri": "/acl"}[needed],
				"Error: The back end http has no auth_opt_%s.", needed)
		}
	}
	for _, option := range []string{"http_getuser_uri", "http_superuser_uri", "http_aclcheck_uri"} {
		if l, ok := r.lineOf(option); ok && (!strings.HasPrefix(v[option], "/") || strings.HasPrefix(v[option], "//") || strings.ContainsAny(v[option], " #")) {
			r.p.invalid(l, v[option], "It is the path of a URL, and begins with one slash: /user")
		}
	}
	r.word("http_host", &c.Host)
	if strings.ContainsAny(c.Host, "/@ ") || strings.Contains(c.Host, ":") && strings.Count(c.Host, ":") < 2 {
		r.p.invalid(r.b.options["http_host"], c.Host, "It is a name or an address. The port stands in auth_opt_http_port, and auth_opt_http_with_tls true is for https.")
	}
	r.number("http_port", 1, 65535, &c.Port)
	r.bool("http_with_tls", &c.TLS)
	r.word("http_cafile", &c.CAFile)
	verify := true
	if r.bool("http_verify_peer", &verify); !verify && c.TLS {
		c.Unverified = true
		r.p.find(Warning, r.b.options["http_verify_peer"], cause.ConfigConflict, "Leave it out, and name the service's authority in auth_opt_http_cafile if it is none that the system knows.",
			"Warning: The certificate of the back end http is not verified: whoever is on the way can read passwords and let anybody in.")
	}
	r.word("http_hostname", &c.HostHeader)
	r.seconds("http_timeout", 1, &c.Timeout)
	c.Method = cmp.Or(r.one("http_method", "It is POST, PUT or GET.", "POST", "PUT", "GET"), "POST")
	if mode := r.one("http_params_mode", "It is json or form.", "json", "form"); mode != "" {
		c.Form = mode == "form"
	}
	if c.Form && c.Method == http.MethodGet {
		r.p.errorf(r.b.options["http_method"], cause.ConfigConflict, "Take POST.", "Error: A form cannot be sent by GET.")
	}
	c.Answer = map[string]backend.Answer{"json": backend.AnswerJSON, "text": backend.AnswerText}[r.one("http_response_mode", "It is status, json or text.", "status", "json", "text")]
	return c
}

// place is where a directive about back ends stands, or the plugin's line.
func (b *backends) place(directive string) line {
	if l, ok := b.options[strings.TrimPrefix(directive, "auth_opt_")]; ok {
		return l
	}
	return b.line
}

// checkBackends reads the files of back ends as the start does.
func (p *parser) checkBackends(s *security) {
	if s.backends == nil {
		return
	}
	warnings, err := s.backends.config.Check()
	for _, w := range warnings {
		p.takeWarning(w)
	}
	if err != nil {
		p.badFile(err, s.backends.place)
	}
}
