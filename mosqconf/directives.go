package mosqconf

import (
	"maps"

	"picket/cause"
)

// A directive is one name that may begin a line.
type directive struct {
	usage string // what follows the name
	apply func(p *parser, f *fileState, l line)
}

type directiveTable map[string]directive

// usage returns how a directive is written.
func (t directiveTable) usage(name string) string { return name + " " + t[name].usage }

// directives is every directive that is known, whether in force or refused. It is filled below, because the functions in it refer to it.
var directives directiveTable

// families are directives of which a part of the name is free.
var families map[string]func(p *parser, f *fileState, l line)

// formerly are names that other brokers, or older versions of mosquitto, have for something.
var formerly = map[string]string{
	"ssl_certfile": "Did you mean certfile?", "ssl_keyfile": "Did you mean keyfile?", "cert": "Did you mean certfile?", "key": "Did you mean keyfile?",
	"tls_certfile": "Did you mean certfile?", "tls_keyfile": "Did you mean keyfile?", "tls_cafile": "Did you mean cafile?",
	"mount": "Did you mean mount_point?", "anonymous": "Did you mean allow_anonymous?", "passwd_file": "Did you mean password_file?",
	"max_clients": "Did you mean max_connections?", "bind": "The address follows the port: listener PORT ADDRESS", "host": "The address follows the port: listener PORT ADDRESS",
	"websockets":           "Write protocol websockets after a listener line.",
	"store_clean_interval": "mosquitto 1.5 removed it: leave it out.",
	"max_queued":           "Did you mean max_queued_messages?",

	"plugin_load":                     "It is of mosquitto 2.1. Plugins are compiled for mosquitto and cannot be loaded.",
	"plugin_use":                      "It is of mosquitto 2.1. Plugins are compiled for mosquitto and cannot be loaded.",
	"disable_client_cert_date_checks": "It is of mosquitto 2.1. Certificates that have expired are refused: renew them, and leave it out.",
	"proxy_protocol_v2_require_tls":   "It is of mosquitto 2.1. Write proxy_from ADDRESS, with the address of the proxy.",
	"bridge_ciphers":                  "It is of mosquitto 2.1. The ciphers of bridges are those that Go's TLS holds to be secure: leave it out.",
	"bridge_ciphers_tls1.3":           "It is of mosquitto 2.1. The ciphers of bridges are those that Go's TLS holds to be secure: leave it out.",
	"bridge_session_expiry_interval":  "It is of mosquitto 2.1. The session of a bridge stays at the other broker for as long as that keeps it, unless cleansession true: leave it out.",
	"bridge_tcp_user_timeout":         "It is of mosquitto 2.1. A dead connection of a bridge is noticed by keepalive_interval and bridge_tcp_keepalive: leave it out.",
	"bridge_tls_use_os_certs":         "It is of mosquitto 2.1. Name the system's authorities: bridge_capath /etc/ssl/certs",
	"max_topic_alias_broker":          "It is of mosquitto 2.1. Picket sends whole topic names to clients: leave it out.",
}

const (
	boolean = "true|false"
	number  = "NUMBER"
	seconds = "SECONDS"
	path    = "PATH"
	folder  = "FOLDER"
	text    = "TEXT"
)

// securityDirectives say who may connect, and what they may do (security.go).
var securityDirectives = directiveTable{
	"per_listener_settings":      {boolean, (*parser).perListenerSettings},
	"allow_anonymous":            {"true|false|local", (*parser).allowAnonymous},
	"password_file":              {path, (*parser).passwordFile},
	"rights_file":                {path, (*parser).rightsFile},
	"acl_file":                   {path, (*parser).aclFile},
	"acl_subscribe_unchecked":    {boolean, (*parser).aclSubscribeUnchecked},
	"allow_zero_length_clientid": {boolean, (*parser).allowZeroLengthClientID},
	"auto_id_prefix":             {text, (*parser).autoIDPrefix},
	"clientid_prefixes":          {text, (*parser).clientIDPrefixes},
}

// globalDirectives are about the broker (global.go).
var globalDirectives = directiveTable{
	"allow_duplicate_messages":     {boolean, (*parser).allowDuplicateMessages},
	"check_retain_source":          {boolean, globalBool(func(p *parser) *bool { return &p.config.CheckRetainSource })},
	"connection_messages":          {boolean, globalBool(func(p *parser) *bool { return &p.config.ConnectionMessages })},
	"connect_timeout":              {seconds, (*parser).connectTimeout},
	"bans_file":                    {path, globalString(func(p *parser) *string { return &p.config.BansFile })},
	"ban_after":                    {"COUNT/TIME TIME [CAUSE …]", (*parser).banAfter},
	"metrics_access":               {"local|everyone", (*parser).metricsAccess},
	"api_access":                   {"local|everyone", (*parser).apiAccess},
	"tokens_file":                  {path, globalString(func(p *parser) *string { return &p.config.TokensFile })},
	"audit_file":                   {"PATH|none", (*parser).auditFile},
	"admin_socket":                 {"PATH|none", (*parser).adminSocket},
	"acme_name":                    {"NAME|ADDRESS|auto", (*parser).acmeName},
	"acme_email":                   {"ADDRESS", globalString(func(p *parser) *string { return &p.config.ACME.Email })},
	"acme_ca":                      {"URL", globalString(func(p *parser) *string { return &p.config.ACME.CA })},
	"acme_ca_roots":                {path, globalString(func(p *parser) *string { return &p.config.ACME.Roots })},
	"acme_http_port":               {"PORT", globalPort(func(p *parser) *int { return &p.config.ACME.HTTPPort })},
	"acme_tls_port":                {"PORT", globalPort(func(p *parser) *int { return &p.config.ACME.TLSPort })},
	"data_dir":                     {folder, (*parser).dataDir},
	"server_name":                  {"NAME|ADDRESS ...", (*parser).serverName},
	"event_loops":                  {number, (*parser).eventLoops},
	"global_max_clients":           {number, globalInt(func(p *parser) *int { return &p.config.GlobalMaxClients })},
	"global_max_connections":       {number, globalInt(func(p *parser) *int { return &p.config.GlobalMaxConnections })},
	"log_dest":                     {"none|stdout|stderr|syslog|topic|file PATH", (*parser).logDest},
	"log_facility":                 {"0 to 7", (*parser).logFacility},
	"log_format":                   {"mosquitto|text|json", (*parser).logFormat},
	"log_timestamp":                {boolean, globalBool(func(p *parser) *bool { return &p.config.Log.Timestamp })},
	"log_timestamp_format":         {"FORMAT", (*parser).logTimestampFormat},
	"log_type":                     {"none|information|notice|warning|error|debug|subscribe|unsubscribe|internal|websockets|all", (*parser).logType},
	"max_inflight_bytes":           {number, globalInt(func(p *parser) *int { return &p.config.MaxInflightBytes })},
	"max_inflight_messages":        {number, (*parser).maxInflightMessages},
	"max_keepalive":                {seconds, (*parser).maxKeepAlive},
	"max_output_bytes":             {number, (*parser).maxOutputBytes},
	"max_packet_size":              {number, (*parser).maxPacketSize},
	"max_queued_bytes":             {number, globalInt(func(p *parser) *int { return &p.config.MaxQueuedBytes })},
	"max_queued_messages":          {number, globalInt(func(p *parser) *int { return &p.config.MaxQueuedMessages })},
	"max_total_output_bytes":       {number, (*parser).maxTotalOutputBytes},
	"memory_limit":                 {number, (*parser).memoryLimit},
	"message_size_limit":           {number, (*parser).messageSizeLimit},
	"persistent_client_expiration": {"NUMBER followed by h, d, w, m or y", (*parser).persistentClientExpiration},
	"pid_file":                     {path, (*parser).pidFile},
	"queue_qos0_messages":          {boolean, globalBool(func(p *parser) *bool { return &p.config.QueueQoS0 })},
	"reason_strings":               {boolean, globalBool(func(p *parser) *bool { return &p.config.ReasonStrings })},
	"retain_available":             {boolean, globalBool(func(p *parser) *bool { return &p.config.RetainAvailable })},
	"retry_interval":               {seconds, (*parser).retryInterval},
	"set_tcp_nodelay":              {boolean, globalBool(func(p *parser) *bool { return &p.config.TCPNoDelay })},
	"sys_interval":                 {seconds, (*parser).sysInterval},
	"upgrade_outgoing_qos":         {boolean, globalBool(func(p *parser) *bool { return &p.config.UpgradeOutgoingQoS })},
	"user":                         {"NAME", (*parser).user},
	"websockets_headers_size":      {number, (*parser).websocketsHeadersSize},
	"websockets_log_level":         {number, (*parser).websocketsLogLevel},
}

// persistenceDirectives are about what is kept (global.go).
var persistenceDirectives = directiveTable{
	"persistence":          {boolean, (*parser).persistenceSwitch},
	"retained_persistence": {boolean, (*parser).persistenceSwitch},
	"autosave_interval":    {seconds, (*parser).autosave},
	"autosave_on_changes":  {boolean, (*parser).autosave},
	"persistence_file":     {"NAME", (*parser).persistenceFile},
	"persistence_location": {folder, (*parser).persistenceLocation},
	"persistence_store":    {folder, (*parser).persistenceStore},
	"persistence_sync":     {"always|interval|never", (*parser).persistenceSync},
	"cluster":              {"redis://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT] ...][/MASTER]", (*parser).cluster},
	"cluster_address":      {"HOST:PORT", (*parser).clusterAddress},
	"cluster_acknowledge":  {"auto|master|replicas NUMBER", (*parser).clusterAcknowledge},
}

// listenerDirectives are about listeners (listeners.go).
var listenerDirectives = directiveTable{
	"listener_allow_anonymous": {"true|false|local", (*parser).listenerAllowAnonymous},
	"listener_auto_id_prefix":  {text, (*parser).listenerAutoIDPrefix},
	"listener":                 {"PORT [ADDRESS], or: listener 0 PATH", (*parser).listener},
	"port":                     {"PORT", (*parser).port},
	"bind_address":             {"ADDRESS", (*parser).bindAddress},
	"bind_interface":           {"NAME", listenerString(func(b *block) *string { return &b.config.Interface })},
	"http_dir":                 {folder, listenerString(func(b *block) *string { return &b.config.HTTPDir })},
	"max_connections":          {number, (*parser).maxConnections},
	"max_qos":                  {"0|1|2", (*parser).maxQoS},
	"phone_page":               {boolean, (*parser).phonePage},
	"maximum_qos":              {"0|1|2", (*parser).maxQoS},
	"max_topic_alias":          {number, (*parser).maxTopicAlias},
	"mount_point":              {"TOPIC", (*parser).mountPoint},
	"protocol":                 {"mqtt|websockets|auto|http_api", (*parser).protocol},
	"proxy_from":               {"ADDRESS|NETWORK ...", (*parser).proxyFrom},
	"enable_proxy_protocol":    {"1|2", (*parser).enableProxyProtocol},
	"socket_domain":            {"ipv4|ipv6", (*parser).socketDomain},
	"accept_protocol_versions": {"3|4|5, ...", (*parser).acceptVersions},
	"websockets_origin":        {"ORIGIN", (*parser).websocketsOrigin},
	"use_username_as_clientid": {boolean, listenerBool(func(b *block) *bool { return &b.config.UseUsernameAsClientID })},
}

// tlsDirectives are about TLS (listeners.go).
var tlsDirectives = directiveTable{
	"cafile":                   {path, listenerString(func(b *block) *string { return &b.config.TLS.CAFile })},
	"capath":                   {folder, listenerString(func(b *block) *string { return &b.config.TLS.CAPath })},
	"certfile":                 {path, listenerString(func(b *block) *string { return &b.config.TLS.CertFile })},
	"keyfile":                  {path, listenerString(func(b *block) *string { return &b.config.TLS.KeyFile })},
	"crlfile":                  {path, listenerString(func(b *block) *string { return &b.config.TLS.CRLFile })},
	"ciphers":                  {"NAME:NAME:...", (*parser).ciphers},
	"ciphers_tls1.3":           {"NAME:NAME:...", (*parser).ciphersTLS13},
	"require_certificate":      {boolean, listenerBool(func(b *block) *bool { return &b.config.TLS.RequireCertificate })},
	"sni_certificate":          {"CERTFILE KEYFILE", (*parser).sniCertificate},
	"tls_keyform":              {"pem", (*parser).tlsKeyform},
	"tls_version":              {"tlsv1.2|tlsv1.3", (*parser).tlsVersion},
	"use_identity_as_username": {boolean, listenerBool(func(b *block) *bool { return &b.config.IdentityAsUsername })},
	"use_subject_as_username":  {boolean, listenerBool(func(b *block) *bool { return &b.config.SubjectAsUsername })},
}

// otherDirectives are what Picket does not have, or has in another form (refused.go), and what belongs nowhere else.
var otherDirectives = directiveTable{
	"include_dir": {folder, (*parser).includeDir},

	"enable_control_api":     {boolean, ineffective("It is of mosquitto 2.1. picket ctl shows what the broker does: leave it out.")},
	"retain_expiry_interval": {"MINUTES", (*parser).retainExpiryInterval},
	"packet_buffer_size":     {number, ineffective("It is of mosquitto 2.1. Buffers grow and shrink by themselves: leave it out.")},

	"plugin":                         {path, (*parser).pluginFile},
	"global_plugin":                  {path, (*parser).globalPlugin},
	"auth_plugin":                    {path, (*parser).pluginFile},
	"auth_plugin_deny_special_chars": {boolean, (*parser).pluginOption},

	"dhparamfile": {path, (*parser).dhParamFile},
	"psk_file": {path, refused("Go's TLS has no pre-shared keys.",
		"Use certificates (certfile, keyfile, cafile) or passwords over TLS.")},
	"psk_hint": {text, refused("Go's TLS has no pre-shared keys.",
		"Use certificates (certfile, keyfile, cafile) or passwords over TLS.")},
	"tls_engine": {"NAME", refused("OpenSSL's engines cannot be used from Go.",
		"Keep the key in a file that only picket may read (keyfile).")},
	"tls_engine_kpass_sha1": {"HASH", refused("OpenSSL's engines cannot be used from Go.",
		"Keep the key in a file that only picket may read (keyfile).")},
}

func init() {
	directives = directiveTable{"connection": {"NAME", (*parser).connection}}
	for _, some := range []directiveTable{securityDirectives, tokenDirectives, globalDirectives, persistenceDirectives, listenerDirectives, tlsDirectives, bridgeOptions, otherDirectives} {
		maps.Copy(directives, some)
	}
	families = map[string]func(*parser, *fileState, line){
		"plugin_opt_": (*parser).pluginOption,
		"auth_opt_":   (*parser).pluginOption,
	}
}

func globalBool(to func(*parser) *bool) func(*parser, *fileState, line) {
	return func(p *parser, _ *fileState, l line) { p.bool(l, to(p)) }
}

// globalInt is for limits of which 0 means none, and a negative number as well.
func globalInt(to func(*parser) *int) func(*parser, *fileState, line) {
	return func(p *parser, _ *fileState, l line) {
		if n, ok := p.atLeastZero(l); ok {
			*to(p) = int(n)
		}
	}
}

func listenerBool(to func(*block) *bool) func(*parser, *fileState, line) {
	return func(p *parser, f *fileState, l line) { p.bool(l, to(f.option(l))) }
}

func listenerString(to func(*block) *string) func(*parser, *fileState, line) {
	return func(p *parser, f *fileState, l line) {
		b := f.option(l)
		if s, ok := p.string(l, b.seen); ok {
			*to(b) = s
		}
	}
}

// refused is a directive that cannot be had.
func refused(why, instead string) func(*parser, *fileState, line) {
	return func(p *parser, _ *fileState, l line) {
		p.errorf(l, cause.ConfigUnsupported, instead, "Error: %s is not possible: %s", l.word, why)
	}
}

// ineffective is a directive that changes nothing here, for a reason.
func ineffective(why string) func(*parser, *fileState, line) {
	return func(p *parser, _ *fileState, l line) {
		p.find(Notice, l, cause.ConfigNoEffect, why, "%s has no effect.", l.word)
	}
}

// option returns the listener that an option belongs to.
func (f *fileState) option(l line) *block {
	if f.current.first.word == "" {
		f.current.first = l
	}
	f.current.options = append(f.current.options, l)
	return f.current
}
