package mosqconf

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"picket/access"
	"picket/listener"
	"picket/logging"
)

// parse reads a configuration that must have no error.
func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, r := Parse(write(t, text))
	if r.Failed() {
		t.Fatalf("%s\n%v", text, r.Findings)
	}
	return c
}

func TestDefaults(t *testing.T) {
	for _, c := range []*Config{parse(t, ""), LocalOnly()} {
		if c.Security[0].Anonymous != access.AnonymousAlways || !c.Security[0].AllowZeroLengthID || c.Security[0].AutoIDPrefix != "auto-" {
			t.Errorf("security %+v", c.Security)
		}
		for i, l := range c.Listeners {
			if want := []string{"127.0.0.1", "::1"}[i]; l.Address != want || l.Port != 1883 {
				t.Errorf("listener %d: %+v", i, l)
			}
		}
		if len(c.Listeners) == 0 || c.User != "mosquitto" || c.MaxInflightMessages != 20 || c.MaxQueuedMessages != 1000 || c.SysInterval != 10*time.Second ||
			!c.RetainAvailable || c.CheckRetainSource || c.MaxPacketSize != 0 || c.MaxKeepAlive != 0 || !c.ConnectionMessages || !c.TCPNoDelay {
			t.Errorf("%+v", c)
		}
		if c.Log.Types != logging.Default || !c.Log.Timestamp || c.Log.Facility != -1 || len(c.Log.Dest) != 1 || c.Log.Dest[0].Kind != logging.Stderr {
			t.Errorf("log %+v", c.Log)
		}
	}
	c := parse(t, "listener 1884")
	if l := c.Listeners[0]; len(c.Listeners) != 1 || l.Address != "" || l.MaxConnections != -1 || l.MaxQoS != 2 || l.MaxTopicAlias != 10 || l.Protocol != listener.MQTT {
		t.Errorf("listener %+v", l)
	}
	if c.Security[0].Anonymous != access.AnonymousNever {
		t.Error("a listener without allow_anonymous lets everybody in")
	}
	if c := ForPort([]int{1, 2}); c.Listeners[0].Port != 1 || c.Listeners[len(c.Listeners)-1].Port != 2 {
		t.Errorf("%+v", c.Listeners)
	}
	// Without a listener, an explicit allow_anonymous counts.
	if c := parse(t, "allow_anonymous false"); c.Security[0].Anonymous != access.AnonymousNever {
		t.Error("allow_anonymous false lets everybody in")
	}
}

func TestListenerScopes(t *testing.T) {
	c := parse(t, `
max_connections 7
listener 1884 127.0.0.1 # comment
max_qos 1
mount_point a/
listener 0 /run/picket.sock
max_topic_alias 3
protocol auto
proxy_from 10.0.0.1
proxy_from 10.0.0.0/8 10.0.0.1
port 1885
`)
	if len(c.Listeners) != 3 {
		t.Fatalf("%d listeners", len(c.Listeners))
	}
	a, b, d := c.Listeners[0], c.Listeners[1], c.Listeners[2]
	if a.Port != 1884 || a.Address != "127.0.0.1" || a.MaxQoS != 1 || a.MaxConnections != -1 || a.MountPoint != "a/" || a.MaxTopicAlias != 10 {
		t.Errorf("first: %+v", a)
	}
	if b.Port != 0 || b.Path != "/run/picket.sock" || b.MaxTopicAlias != 3 || b.MaxQoS != 2 || b.Protocol != listener.Auto || !slices.Equal(b.ProxyFrom, []string{"10.0.0.1", "10.0.0.0/8"}) {
		t.Errorf("second: %+v", b)
	}
	if d.Port != 1885 || d.MaxConnections != 7 { // the implicit one comes last and has what stood before any listener line
		t.Errorf("default: %+v", d)
	}
	if !strings.HasSuffix(a.Source, "picket.conf:3") || !strings.HasSuffix(d.Source, "picket.conf:11") {
		t.Errorf("sources %s, %s", a.Source, d.Source)
	}
	if c := parse(t, "bind_address 127.0.0.1"); c.Listeners[0].Port != 1883 || c.Listeners[0].Address != "127.0.0.1" || len(c.Listeners) != 1 {
		t.Errorf("bind_address alone: %+v", c.Listeners[0])
	}
}

func TestSecurityScopes(t *testing.T) {
	c := parse(t, "allow_anonymous true\nlistener 1884\npassword_file /p\nclientid_prefixes x\nlistener 1885\n")
	if len(c.Security) != 1 || c.Security[0].PasswordFile != "/p" || c.Security[0].Anonymous != access.AnonymousAlways || c.Listeners[1].Security != 0 {
		t.Errorf("one set of rules: %+v", c.Security)
	}
	c = parse(t, "per_listener_settings true\nclientid_prefixes x\npassword_file /d\nlistener 1884\nallow_anonymous local\nlistener 1885\npassword_file /p\nacl_subscribe_unchecked true\nport 1886\n")
	if len(c.Security) != 4 {
		t.Fatalf("%d sets of rules", len(c.Security))
	}
	rules := func(i int) access.Config { return c.Security[c.Listeners[i].Security] }
	if r := rules(0); r.Anonymous != access.AnonymousLocal || r.PasswordFile != "" || r.ClientIDPrefixes != "x" {
		t.Errorf("first: %+v", r)
	}
	if r := rules(1); r.Anonymous != access.AnonymousNever || r.PasswordFile != "/p" || !r.SubscribeUnchecked || !r.AllowZeroLengthID {
		t.Errorf("second: %+v", r)
	}
	if r := rules(2); r.PasswordFile != "/d" || r.SubscribeUnchecked {
		t.Errorf("default: %+v", r)
	}
}

func TestValues(t *testing.T) {
	c := parse(t, `
max_inflight_messages 65535
max_queued_messages -5
max_packet_size 99999999999
persistent_client_expiration 2m
log_dest stdout
log_dest topic
log_dest stdout
log_dest file /var/log/with blank.log
log_type error
log_type subscribe
listener 1883
certfile /c
keyfile /k
max_connections -3
tls_version tlsv1.3
ciphers ECDHE-RSA-AES128-GCM-SHA256:TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
ciphers_tls1.3 TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256
sni_certificate /c2 /k2
sni_certificate /c3 /k3
tls_keyform pem
websockets_log_level 0
websockets_headers_size 2048
persistence false
include_dir `+t.TempDir())
	if c.MaxInflightMessages != 0 || c.MaxQueuedMessages != 0 || c.MaxPacketSize != longestPacket || c.PersistentExpiration != 60*24*time.Hour {
		t.Errorf("%+v", c)
	}
	want := []logging.Dest{{Kind: logging.Stdout}, {Kind: logging.Topic}, {Kind: logging.File, Path: "/var/log/with blank.log"}}
	if !slices.Equal(c.Log.Dest, want) || c.Log.Types != logging.Error|logging.Subscribe {
		t.Errorf("log %+v", c.Log)
	}
	l := c.Listeners[0]
	if l.MaxConnections != -1 || l.TLS.MinVersion != tls.VersionTLS13 || len(l.TLS.Ciphers) != 2 || len(l.TLS.CiphersTLS13) != 0 || len(l.TLS.SNI) != 2 || l.HeadersSize != 2048 {
		t.Errorf("%+v", l)
	}
	if c := parse(t, "log_dest stdout\nlog_dest none\nlog_type all\nlog_type none"); len(c.Log.Dest) != 0 || c.Log.Types != logging.None {
		t.Errorf("log %+v", c.Log)
	}
	if c := parse(t, "persistent_client_expiration 99999y"); c.PersistentExpiration != math.MaxInt64 {
		t.Errorf("%v", c.PersistentExpiration)
	}
	// Windows line ends, tabs, indented comments and a byte order mark do no harm.
	if c := parse(t, "\ufefflistener\t1884\r\n  # comment\r\n\tmax_qos 1 # one\r\n"); c.Listeners[0].Port != 1884 || c.Listeners[0].MaxQoS != 1 {
		t.Errorf("%+v", c.Listeners[0])
	}
}

// Each text has one error, at its last line, with mosquitto's words where mosquitto has some.
func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, want, hint string }{
		{"listner 1883", `Error: Unknown configuration variable "listner".`, "Did you mean listener?"},
		{"allow_anonymus true", `Error: Unknown configuration variable "allow_anonymus".`, "Did you mean allow_anonymous?"},
		{"allow_anonymous=true", `Error: Unknown configuration variable "allow_anonymous=true".`, "Write it without the equals sign: allow_anonymous true"},
		{"port = 1883", `Error: Invalid port value (=).`, "Ports are"},
		{"[listener]", `Error: Unknown configuration variable "[listener]".`, "no sections"},
		{"xyzzy", `Error: Unknown configuration variable "xyzzy".`, "--help"},
		{"allow_anonymous", "Error: Empty allow_anonymous value in configuration.", "Write: allow_anonymous true|false|local"},
		{"allow_anonymous yes", "Error: Invalid allow_anonymous value (yes).", "true, false, or local"},
		{"retain_available maybe", "Error: Invalid retain_available value (maybe).", "true or false"},
		{"max_packet_size 19", "Error: Invalid max_packet_size value (19).", "at least 20"},
		{"max_packet_size 1M", "Error: Invalid max_packet_size value (1M).", "whole number"},
		{"max_keepalive 65536", "Error: Invalid max_keepalive value (65536).", "from 0 to 65535"},
		{"max_inflight_messages 65536", "Error: max_inflight_messages must be <= 65535.", ""},
		{"memory_limit -1", "Error: Invalid memory_limit value (-1).", ""},
		{"message_size_limit 268435456", "Error: Invalid message_size_limit value (268435456).", ""},
		{"sys_interval -1", "Error: Invalid sys_interval value (-1).", ""},
		{"log_facility 8", "Error: Invalid log_facility value (8).", ""},
		{"log_dest", "Error: Empty log_dest value in configuration.", ""},
		{"log_dest printer", "Error: Invalid log_dest value (printer).", "stdout"},
		{"log_dest dlt", "Error: log_dest dlt is not possible", "syslog"},
		{"log_dest file", `Error: Empty "log_dest file" value in configuration.`, ""},
		{"log_dest file /a\nlog_dest file /b", `Error: Duplicate "log_dest file" value.`, ""},
		{"log_type verbose", "Error: Invalid log_type value (verbose).", "information"},
		{"log_format xml", "Error: Invalid log_format value (xml).", "json"},
		{"pid_file /a\npid_file /b", "Error: Duplicate pid_file value in configuration.", "The first stands at"},
		{"password_file /a\nlistener 1883\npassword_file /b", "Error: Duplicate password_file value in configuration.", ""},
		{"pid_file \xff", "Error: Malformed UTF-8 in configuration.", ""},
		{"pid_file a\ab", "Error: Malformed UTF-8 in configuration.", ""},
		{"persistent_client_expiration 5", "Error: Invalid persistent_client_expiration duration in configuration.", "h, d, w, m or y"},
		{"persistent_client_expiration d", "Error: Invalid persistent_client_expiration duration in configuration.", ""},
		{"include_dir /nonexistent", "Error: Unable to open include_dir '/nonexistent'.", "no such folder"},
		{"listener", "Error: Empty listener value in configuration.", "listener PORT [ADDRESS]"},
		{"listener 65536", "Error: Invalid port value (65536).", ""},
		{"listener 127.0.0.1 1883", "Error: Invalid port value (127.0.0.1).", "listener PORT ADDRESS"},
		{"listener 0", "Error: A listener with port 0 must provide a Unix socket path.", ""},
		{"listener 1883\nlistener 1883", "Error: Address already in use", "The first stands at"},
		{"mount_point x", "Error: You must use create a listener before using the mount_point option in the configuration file.", ""},
		{"listener 1883\nmount_point a/#", "Error: Invalid mount_point 'a/#'. Does it contain a wildcard character?", ""},
		{"listener 1883\nmax_qos 3", "Error: max_qos must be between 0 and 2 inclusive.", ""},
		{"listener 1883\nmax_topic_alias 65536", "Error: Invalid max_topic_alias value (65536).", ""},
		{"listener 1883\nprotocol mqttsn", "Error: Invalid protocol value (mqttsn).", "auto"},
		{"listener 1883\nsocket_domain ipv5", `Error: Invalid socket_domain value "ipv5" in configuration.`, ""},
		{"listener 1883\nproxy_from proxy.example", "Error: Invalid proxy_from value (proxy.example).", "10.0.0.0/8"},
		{"listener 1883\nsni_certificate /c", "Error: Invalid sni_certificate value (/c).", "CERTFILE KEYFILE"},
		{"listener 1883\nkeyfile /k\ncertfile /c\ntls_version tlsv1.1", "Error: tls_version tlsv1.1 is not possible", "tlsv1.2"},
		{"listener 1883\nkeyfile /k\ncertfile /c\nciphers HIGH", `Error: Invalid cipher in ciphers: "HIGH" is a keyword`, ""},
		{"listener 1883\nkeyfile /k\ncertfile /c\nciphers DHE-RSA-AES128-GCM-SHA256", "Error: Invalid cipher in ciphers:", ""},
		{"listener 1883\ntls_keyform der", "Error: Invalid tls_keyform value (der).", ""},
		{"listener 1883\ncertfile /c", "Error: certfile without keyfile", "keyfile"},
		{"listener 1883\nkeyfile /c", "Error: keyfile without certfile", "certfile"},
		{"listener 1883\ncafile /c", "Error: cafile without certfile", ""},
		{"certfile /c\nkeyfile /k\nrequire_certificate true\nlistener 1884\nport 1883", "Error: require_certificate without cafile or capath", ""},
		{"allow_anonymous true\nper_listener_settings true", "Error: per_listener_settings must be set before any other security settings.", "top"},
		{"plugin_opt_x y", "Error: An auth_opt_ option exists in the config file without an auth_plugin.", "plugin"},
		{"threshold 5", "Error: Invalid bridge configuration.", "connection"},
	} {
		path := write(t, c.text)
		config, r := Parse(path)
		r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool { return f.Level < Error })
		if config != nil || len(r.Findings) != 1 {
			t.Errorf("%q: %v", c.text, r.Findings)
			continue
		}
		f := r.Findings[0]
		if !strings.HasPrefix(f.Text, c.want) || !strings.Contains(f.Hint, c.hint) || f.Line != strings.Count(c.text, "\n")+1 || f.File != path || f.Cause == "" {
			t.Errorf("%q: %+v\nwant %s (%s)", c.text, f, c.want, c.hint)
		}
	}
}

// A plugin is refused once and not line by line; what follows is still looked at.
func TestRefusedOnce(t *testing.T) {
	_, r := Parse(write(t, "connection b\naddress h\ntopic # both\nplugin /usr/lib/other.so\nplugin_opt_config_file /x\nlog_type x\n"))
	var lines []int
	for _, f := range r.Findings {
		lines = append(lines, f.Line)
	}
	if !slices.Equal(lines, []int{4, 6}) {
		t.Errorf("errors at lines %v: %v", lines, r.Findings)
	}
}

// Of all plugins there is one, wherever its file is said to be: dynamic security, with its file.
func TestDynamicSecurity(t *testing.T) {
	for text, want := range map[string]string{
		"listener 1883\nplugin /usr/lib/x/mosquitto_dynamic_security.so\nplugin_opt_config_file /x y/z.json\n":                  "/x y/z.json",
		"auth_plugin mosquitto_dynamic_security.dll\nauth_opt_config_file /a\nlistener 1883\n":                                  "/a",
		"per_listener_settings true\nlistener 1\nlistener 2\nplugin mosquitto_dynamic_security.so\nplugin_opt_config_file /a\n": "/a",
		"plugin mosquitto_dynamic_security.so\n":                                                                                                                                                 "has no plugin_opt_config_file",
		"plugin mosquitto_dynamic_security.so\nplugin_opt_config_file /a\nplugin_opt_other b\n":                                                                                                  "plugin_opt_other is no option",
		"plugin mosquitto_dynamic_security.so\nplugin_opt_config_file /a\nplugin mosquitto_dynamic_security.so\n":                                                                                "can only be loaded once",
		"plugin mosquitto_dynamic_security.so\nplugin_opt_config_file /a\nplugin_opt_config_file /b\n":                                                                                           "Duplicate plugin_opt_config_file",
		"per_listener_settings true\nlistener 1\nplugin mosquitto_dynamic_security.so\nplugin_opt_config_file /a\nlistener 2\nplugin mosquitto_dynamic_security.so\nplugin_opt_config_file /b\n": "can only be loaded once",
		"rights_file /a\nplugin mosquitto_dynamic_security.so\nplugin_opt_config_file /b\n":                                                                                                      "cannot be used together",
		"per_listener_settings true\nlistener 1\nrights_file /a\nlistener 2\nrights_file /b\n":                                                                                                   "only be one rights_file",
		"per_listener_settings true\nlistener 1\nrights_file /a\nlistener 2\nplugin mosquitto_dynamic_security.so\nplugin_opt_config_file /a\n":                                                  "cannot be used together",
		"listener 1883\nrights_file /a\n":                                         "/a",
		"plugin other_mosquitto_dynamic_security.so\nplugin_opt_config_file /a\n": "cannot be loaded",
		"plugin_opt_config_file /a\n":                                             "without an auth_plugin",
	} {
		c, r := Parse(write(t, text))
		if c != nil {
			if last := c.Security[len(c.Security)-1]; last.RightsFile != want || len(c.Security) == 3 && c.Security[1].RightsFile != "" {
				t.Errorf("%s: %+v", text, c.Security)
			}
			continue
		}
		if len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Text, want) {
			t.Errorf("%s: %v, want %s", text, r.Findings, want)
		}
	}
}

func TestDebianDefault(t *testing.T) {
	dir := t.TempDir()
	c, r := Parse(write(t, `# Place your local configuration in /etc/mosquitto/conf.d/
pid_file /run/mosquitto/mosquitto.pid

persistence true
persistence_location /var/lib/mosquitto/

log_dest file /var/log/mosquitto/mosquitto.log

include_dir `+dir+"\n"))
	if r.Failed() || len(r.Findings) > 0 {
		t.Fatalf("%v", r.Findings)
	}
	if want := (Persistence{On: true, Location: "/var/lib/mosquitto/"}); c.Persistence != want {
		t.Errorf("%+v, want %+v", c.Persistence, want)
	}
}

func TestIncludeDir(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.conf": "max_qos 1\nlistener 1884\nmax_qos 0\n", // the first line is the default listener's
		"A.conf": "max_queued_messages 5\ninclude_dir /elsewhere\n", "a.conf": "max_queued_messages 6\n", "c.config": "nonsense\n", ".conf": "nonsense\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, r := Parse(write(t, "port 1883\nlistener 1885\ninclude_dir "+dir+"\nmax_connections 3\n"))
	if c == nil {
		t.Fatal(r.Findings)
	}
	if c.MaxQueuedMessages != 6 {
		t.Error("a.conf was not read after A.conf")
	}
	// Each file begins at the default listener; the main file goes on where it was.
	want := []struct {
		port, connections int
		qos               byte
	}{{1885, 3, 2}, {1884, -1, 0}, {1883, -1, 1}}
	for i, l := range c.Listeners {
		if l.Port != want[i].port || l.MaxConnections != want[i].connections || l.MaxQoS != want[i].qos {
			t.Errorf("listener %d: %+v", i, l)
		}
	}
	var loaded []string
	for _, f := range r.Findings {
		if f.Level == Info {
			loaded = append(loaded, strings.TrimPrefix(f.Text, "Loading config file "+dir+"/"))
		}
	}
	if !slices.Equal(loaded, []string{"A.conf", "a.conf", "b.conf"}) || r.Count(Warning) != 1 {
		t.Errorf("loaded %v: %v", loaded, r.Findings)
	}

	os.WriteFile(filepath.Join(dir, "z.conf"), []byte("\nnonsense\n"), 0o600)
	_, r = Parse(write(t, "include_dir "+dir))
	r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool { return f.Level < Error })
	if len(r.Findings) != 1 || r.Findings[0].File != filepath.Join(dir, "z.conf") || r.Findings[0].Line != 2 {
		t.Errorf("%v", r.Findings)
	}
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	big := filepath.Join(dir, "big.conf")
	if err := os.Truncate(write(t, ""), 0); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(big, make([]byte, maxFileSize+1), 0o600)
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"): "Error: Unable to open config file " + filepath.Join(dir, "missing") + ".",
		dir:                           "Error: Config file " + dir + " is a directory.",
		big:                           "Error: Config file " + big + " is too large.",
	} {
		c, r := Parse(path)
		if c != nil || len(r.Findings) != 1 || r.Findings[0].Text != want || r.Findings[0].File != path {
			t.Errorf("%s: %v", path, r.Findings)
		}
	}
}

func TestWarnings(t *testing.T) {
	for text, want := range map[string]string{
		"port 1883\nport 1884":                               "Warning: Default listener port specified multiple times. Only the latest will be used.",
		"max_qos 1":                                          "Warning: max_qos has no effect: it stands before any listener line, and there is no port line.",
		"listener 1883 ::1 more":                             "Warning: \"more\" after the value of listener is not looked at.",
		"pid_file /run/x # here":                             "Warning: \"/run/x # here\" with the # is the value of pid_file.",
		"listener 1883\nhttp_dir /www":                       "Warning: http_dir has no effect on a listener that speaks MQTT only.",
		"listener 0 /s\nsocket_domain ipv4":                  "Warning: bind_interface and socket_domain have no effect on a Unix socket.",
		"listener 1883\ncertfile /c\nkeyfile /k\ncrlfile /l": "crlfile has no effect: clients are not asked for a certificate.",
		"keyfile /k\ncertfile /c\ncafile /a\nuse_subject_as_username true\nport 1883": "Warning: use_subject_as_username without require_certificate",
		"retry_interval 5":                       "Warning: The retry_interval option is no longer available.",
		"allow_duplicate_messages true":          "The 'allow_duplicate_messages' option is now deprecated",
		"clientid_prefixes x":                    "The 'clientid_prefixes' option is now deprecated",
		"message_size_limit 5":                   "Note: It is recommended to replace `message_size_limit` with `max_packet_size`.",
		"port 1884":                              "The 'port' option is now deprecated and will be removed in a future version. Please use 'listener' instead.",
		"bind_address ::1":                       "The 'bind_address' option is now deprecated",
		"persistence false\nautosave_interval 0": "autosave_interval has no effect while persistence is false.",
		"persistence_location /var":              "persistence_location has no effect while persistence is false.",
		"persistence true\nautosave_interval 5":  "autosave_interval has no effect: everything is written at once",
	} {
		_, r := Parse(write(t, text))
		if r.Failed() || !slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.HasPrefix(f.Text, want) && f.Level > Info }) {
			t.Errorf("%q: %v, want %s", text, r.Findings, want)
		}
	}
}

func TestReport(t *testing.T) {
	path := write(t, "port 1883\nlog_type x\n")
	_, r := Parse(path)
	if got, want := r.Findings[1].String(), path+":2: error: Invalid log_type value (x). It is one of "+directives["log_type"].usage+". [config-invalid-value]"; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		File     string
		OK       bool
		Errors   int
		Findings []struct {
			Level, File, Directive, Text, Hint, Cause string
			Line                                      int
		}
	}
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if back.File != path || back.OK || back.Errors != 1 || len(back.Findings) != 2 || back.Findings[1].Level != "error" || back.Findings[1].Line != 2 {
		t.Errorf("%s", data)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("listener 1883\nallow_anonymous true\n")
	f.Add("per_listener_settings true\nport 1\nlistener 0 /s\nciphers A:B\npersistent_client_expiration 9y\n")
	f.Add("connection x\naddress y\nplugin z\nplugin_opt_a b\nlog_dest file x\nlog_dest none\n")
	f.Add("\ufeff\tlistener\t8883 ::\r\nsni_certificate a b\nproxy_from ::/0\nmount_point x\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "include_dir") {
			return // what is in the machine's folders is not for this test
		}
		p := newParser("fuzz.conf")
		p.parse("fuzz.conf", text, 0)
		c := p.finish()
		if p.report.Failed() {
			for _, f := range p.report.Findings {
				if f.Level == Error && (f.Line < 1 || f.Line > strings.Count(text, "\n")+1 || f.Text == "") {
					t.Errorf("%+v", f)
				}
			}
			return
		}
		if len(c.Listeners) == 0 || len(c.Security) == 0 {
			t.Error("a configuration without listeners or rules")
		}
		for _, l := range c.Listeners {
			if l.Security >= len(c.Security) || l.Port == 0 && l.Path == "" || fmt.Sprint(l) == "" || l.TLS.CertFile != "" && l.TLS.KeyFile == "" {
				t.Errorf("%+v", l)
			}
		}
	})
}
