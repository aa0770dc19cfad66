package mosqconf

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"picket/cause"
)

// write puts a configuration file into a new folder and returns its path.
func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "picket.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// forget clears what says where something stands, so that configurations from different files can be compared.
func forget(c *Config) *Config {
	for i := range c.Security {
		c.Security[i].Source = ""
	}
	for _, l := range c.Listeners {
		l.Source = ""
	}
	return c
}

// Every directive of mosquitto 2.0.20, and of Picket's own, either changes the configuration or stops the start. This list is
// independent of the package's table: a directive that is missing there is found here.
var inForce = map[string]string{
	"per_listener_settings": "true", "acl_file": "/a b", "password_file": "/p", "rights_file": "/r", "allow_anonymous": "true",
	"allow_zero_length_clientid": "false", "auto_id_prefix": "x", "allow_duplicate_messages": "true", "check_retain_source": "true",
	"clientid_prefixes": "dev-", "connection_messages": "false", "log_dest": "stdout", "log_facility": "3",
	"log_timestamp": "false", "log_timestamp_format": "%H:%M", "log_type": "debug", "max_inflight_bytes": "10",
	"max_inflight_messages": "10", "max_keepalive": "10", "max_packet_size": "100", "max_queued_bytes": "10",
	"max_queued_messages": "10", "memory_limit": "10", "message_size_limit": "10", "persistent_client_expiration": "2h",
	"pid_file": "/run/x.pid", "queue_qos0_messages": "true", "retain_available": "false", "set_tcp_nodelay": "false",
	"sys_interval": "0", "upgrade_outgoing_qos": "true", "user": "root", "websockets_headers_size": "4096",
	"listener": "1884 127.0.0.1", "port": "1884", "bind_address": "127.0.0.1", "bind_interface": "lo", "http_dir": "/www",
	"max_connections": "5", "max_qos": "1", "maximum_qos": "0", "max_topic_alias": "0", "mount_point": "m/",
	"protocol": "websockets", "socket_domain": "ipv4", "use_username_as_clientid": "true", "cafile": "/ca", "capath": "/cas",
	"certfile": "/c2", "keyfile": "/k2", "ciphers": "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256", "crlfile": "/crl",
	"require_certificate": "true", "tls_version": "tlsv1.3", "use_identity_as_username": "true", "use_subject_as_username": "true",
	// Picket's own.
	"admin_socket": "/run/picket/admin.sock", "bans_file": "/var/lib/x/bans.json", "ban_after": "20/10m 15m bad-credentials malformed-packet", "metrics_access": "everyone", "api_access": "everyone", "tokens_file": "/var/lib/x/tokens.json", "audit_file": "/var/lib/x/audit.jsonl", "data_dir": "/var/lib/picket", "acme_name": "auto", "acme_email": "ada@example.com", "acme_ca": "https://ca.example/dir", "acme_ca_roots": "/ca.pem",
	"acme_http_port": "8080", "acme_tls_port": "8443", "server_name": "mqtt.example 192.0.2.1", "global_max_connections": "9", "phone_page": "false",
	"acl_subscribe_unchecked": "true", "connect_timeout": "3", "event_loops": "2", "log_format": "json", "max_output_bytes": "100000", "reason_strings": "true",
	"persistence": "true", "retained_persistence": "1", "persistence_file": "x.db", "persistence_location": "/var/lib/x/", "persistence_store": "/var/lib/x/store", "persistence_sync": "never",
	"cluster": "redis://10.0.0.1:26379,10.0.0.2/mymaster", "cluster_acknowledge": "replicas 2", "cluster_address": "10.0.0.11:7883",
	"global_max_clients": "9", "accept_protocol_versions": "3, 5", "websockets_origin": "https://www.example.com:8080", "listener_allow_anonymous": "true", "listener_auto_id_prefix": "x", // of mosquitto 2.1
	"jwt_keys": "https://id.example/keys", "jwt_keys_cafile": "/ca.pem", "jwt_secret_file": "/s", "jwt_issuer": "i", "jwt_audience": "a", "jwt_user": "name", "jwt_leeway": "1", "jwt_expiry": "optional", "jwt_place": "username",
	"max_total_output_bytes": "10000000", "proxy_from": "10.0.0.0/8 ::1", "enable_proxy_protocol": "1", "sni_certificate": "/c3 /k3",
}

const tokenHead = "jwt_secret_file /s\n"

// What has to stand before a directive for it to make sense.
var before = map[string]string{
	"jwt_keys_cafile": "jwt_keys https://id.example/keys\n", "jwt_issuer": tokenHead, "jwt_audience": tokenHead, "jwt_user": tokenHead, "jwt_leeway": tokenHead, "jwt_expiry": tokenHead, "jwt_place": tokenHead,
	"crlfile": "cafile /ca\nrequire_certificate true\n", "require_certificate": "cafile /ca\n",
	"use_identity_as_username": "cafile /ca\nrequire_certificate true\n", "use_subject_as_username": "cafile /ca\nrequire_certificate true\n", "http_dir": "protocol auto\n", "websockets_origin": "protocol auto\n",
}

// Those of a bridge, each changing something of one that has an address, a topic and authorities.
var bridgeInForce = map[string]string{
	"bridge_attempt_unsubscribe": "false", "bridge_bind_address": "::1", "bridge_max_packet_size": "1", "bridge_max_topic_alias": "1", "bridge_receive_maximum": "1",
	"bridge_reload_type": "immediate", "bridge_tcp_keepalive": "60 10 5", "bridge_outgoing_retain": "false", "bridge_protocol_version": "mqttv50",
	"cleansession": "true", "local_cleansession": "true", "idle_timeout": "1", "keepalive_interval": "90", "local_clientid": "x", "local_username": "x",
	"remote_clientid": "x", "clientid": "x", "remote_username": "x", "username": "x", "remote_password": "x", "password": "x", "notifications": "false",
	"notifications_local_only": "true", "notification_topic": "x", "restart_timeout": "5", "round_robin": "true", "start_type": "once", "threshold": "1",
	"try_private": "false", "bridge_alpn": "x", "bridge_capath": "/c", "bridge_insecure": "true", "bridge_require_ocsp": "true", "bridge_tls_version": "tlsv1.3",
	"topic": "a/# in 2 b/ c/",
}

func TestBridgeInForce(t *testing.T) {
	const bridge = "listener 1883\nconnection b\naddress h i:1884\ntopic # both\nbridge_cafile /ca\n"
	plain, r := Parse(write(t, bridge))
	if r.Failed() || len(plain.Bridges) != 1 || len(plain.Bridges[0].Addresses) != 2 {
		t.Fatal(r.Findings)
	}
	plain.Bridges[0].Source = ""
	for name, value := range bridgeInForce {
		c, r := Parse(write(t, bridge+name+" "+value+"\n"))
		if r.Failed() {
			t.Errorf("%s %s: %v", name, value, r.Findings)
			continue
		}
		c.Bridges[0].Source = ""
		if reflect.DeepEqual(c.Bridges, plain.Bridges) {
			t.Errorf("%s %s changes nothing", name, value)
		}
	}
}

// TestBridgeTopicWithoutQoS: who writes the prefixes and no QoS gets 0, as in mosquitto, and hears of it.
func TestBridgeTopicWithoutQoS(t *testing.T) {
	c, r := Parse(write(t, "listener 1883\nconnection b\naddress h\ntopic a/# in \"\" \"\"\n"))
	if r.Failed() || len(r.Findings) != 1 || r.Findings[0].Level != Warning || !strings.Contains(r.Findings[0].Text, "has no QoS") {
		t.Fatal(r.Findings)
	}
	if got := c.Bridges[0].Topics; len(got) != 1 || got[0].QoS != 0 || got[0].LocalFilter() != "a/#" || got[0].RemoteFilter() != "a/#" {
		t.Errorf("%+v", got)
	}
}

// What is wrong with a bridge, and at which of its lines.
func TestBridgeMistakes(t *testing.T) {
	for _, c := range []struct {
		text, want string
		line       int
	}{
		{"connection b\ntopic #", "Error: Invalid bridge configuration: the bridge has no address.", 1},
		{"connection b\naddress h", "Error: Invalid bridge configuration: the bridge has no topic.", 1},
		{"connection", "Error: Empty connection value", 1},
		{"connection b\naddress h\ntopic #\nconnection b\naddress h\ntopic #", `Error: Duplicate bridge name "b".`, 4},
		{"connection b\naddress h\naddress i\ntopic #", "Error: Duplicate address value", 3},
		{"connection b\naddress h:0\ntopic #", "Error: Invalid address value (h:0).", 2},
		{"connection b\naddress :1883\ntopic #", "Error: Invalid address value (:1883).", 2},
		{"connection b\naddress h\ntopic # sideways", "Error: Invalid bridge topic direction 'sideways'.", 3},
		{"connection b\naddress h\ntopic # in 3", "Error: Invalid bridge QoS level '3'.", 3},
		{"connection b\naddress h\ntopic # in 0 a/+/ b/", "Error: Invalid bridge topic prefix 'a/+/'.", 3},
		{"connection b\naddress h\ntopic a#", "Error: Invalid bridge topic pattern 'a#'.", 3},
		{`connection b` + "\naddress h\n" + `topic "" both 0 a`, "Error: Invalid bridge topic pattern ''.", 3},
		{"connection b\naddress h\ntopic #\nrestart_timeout 10 5", "Error: Invalid restart_timeout value (10 5).", 4},
		{"connection b\naddress h\ntopic #\nstart_type manual", "Error: Invalid start_type value (manual).", 4},
		{"connection b\naddress h\ntopic #\nbridge_certfile /c\nbridge_keyfile /k", "Error: bridge_certfile without bridge_cafile or bridge_capath", 4},
		{"connection b\naddress h\ntopic #\nbridge_cafile /a\nbridge_keyfile /k", "Error: bridge_keyfile without bridge_certfile.", 5},
		{"connection b\naddress h\ntopic #\nbridge_psk 00", "Error: bridge_psk is not possible", 4},
		{"connection b\naddress h\ntopic #\nlocal_password x", "Error: local_password without local_username.", 4},
		{"connection b\naddress h\ntopic #\nbridge_bind_address eth0", "Error: Invalid bridge_bind_address value (eth0).", 4},
		{"connection b\naddress h\ntopic #\nbridge_tls_version tlsv1.1", "Error: bridge_tls_version tlsv1.1 is not possible", 4},
		{"connection b\naddress h\ntopic #\nlocal_clientid x\nconnection c\naddress h\ntopic #\nlocal_clientid x", "Error: The bridges b and c have the same local_clientid x.", 5},
		{"cluster redis://h\nconnection b\naddress h\ntopic #", "Error: connection is not possible with cluster", 2},
	} {
		config, r := Parse(write(t, c.text+"\n"))
		r.Findings = slices.DeleteFunc(r.Findings, func(f Finding) bool { return f.Level < Error })
		if config != nil || len(r.Findings) != 1 {
			t.Errorf("%q: %v", c.text, r.Findings)
			continue
		}
		if f := r.Findings[0]; !strings.HasPrefix(f.Text, c.want) || f.Line != c.line || f.Hint == "" || f.Cause == "" {
			t.Errorf("%q: %+v\nwant %s at line %d", c.text, f, c.want, c.line)
		}
	}
}

func TestBridgeAddresses(t *testing.T) {
	for given, want := range map[string]string{"h": "h:1883", "h:8883": "h:8883", "[::1]": "[::1]:1883", "[::1]:1884": "[::1]:1884", "::1:1884": "[::1]:1884"} {
		if got, ok := hostPort(given); !ok || got != want {
			t.Errorf("%s is %s, %v; want %s", given, got, ok, want)
		}
	}
}

func TestInForce(t *testing.T) {
	for name, value := range inForce {
		head := "listener 1883\ncertfile /c\nkeyfile /k\n" + before[name]
		tail := ""
		switch name {
		case "certfile":
			head, tail = "listener 1883\n", "keyfile /k\n"
		case "keyfile":
			head, tail = "listener 1883\n", "certfile /c\n"
		case "per_listener_settings":
			head, tail = "", "listener 1883\n"
		}
		with, r := Parse(write(t, head+name+" "+value+"\n"+tail))
		if r.Failed() {
			t.Errorf("%s %s: %v", name, value, r.Findings)
			continue
		}
		without := strings.NewReplacer("keyfile /k\n", "", "certfile /c\n", "").Replace
		if name != "certfile" && name != "keyfile" {
			without = func(s string) string { return s }
		}
		plain, r := Parse(write(t, without(head+tail)))
		if r.Failed() {
			t.Errorf("without %s: %v", name, r.Findings)
			continue
		}
		if reflect.DeepEqual(forget(with), forget(plain)) {
			t.Errorf("%s %s changes nothing", name, value)
		}
	}
}

// These stop the start, each with a reason and a way out.
var notInForce = map[string]string{
	"psk_file": "/p", "psk_hint": "h", "plugin": "/p.so", "auth_plugin": "/p.so",
	"plugin_opt_file": "/x", "auth_opt_file": "/x", "auth_plugin_deny_special_chars": "true",
	"tls_engine": "e", "tls_engine_kpass_sha1": "00", "tls_keyform": "engine",
	"bridge_identity": "x", "bridge_psk": "00",
	"ciphers_tls1.3": "TLS_AES_256_GCM_SHA384",
}

func TestNotInForce(t *testing.T) {
	for name, value := range notInForce {
		path := write(t, "listener 1883\n"+name+" "+value+"\n")
		c, r := Parse(path)
		if c != nil || !r.Failed() || len(r.Findings) != 1 {
			t.Errorf("%s %s: %v", name, value, r.Findings)
			continue
		}
		f := r.Findings[0]
		if f.File != path || f.Line != 2 || f.Directive != name || f.Hint == "" || f.Cause == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// The rest say by a notice or a warning that they change nothing, each for a reason of its own.
var withoutEffect = map[string]string{
	"enable_control_api": "true", "packet_buffer_size": "4096", "retain_expiry_interval": "5",
	"autosave_interval": "10", "autosave_on_changes": "true",
	"retry_interval": "20", "dhparamfile": "/dh", "websockets_log_level": "255",
}

func TestWithoutEffect(t *testing.T) {
	for name, value := range withoutEffect {
		c, r := Parse(write(t, "listener 1883\n"+name+" "+value+"\n"))
		if c == nil || len(r.Findings) != 1 || r.Findings[0].Directive != name || r.Findings[0].Level < Notice || r.Findings[0].Cause != cause.ConfigNoEffect {
			t.Errorf("%s %s: %v", name, value, r.Findings)
		}
	}
}

// beside are directives with tests of their own.
var beside = []string{"include_dir", "global_plugin", "connection", "address", "addresses", "local_password", "bridge_cafile", "bridge_certfile", "bridge_keyfile"}

func TestTableIsComplete(t *testing.T) {
	for name := range directives {
		_, a := inForce[name]
		_, b := notInForce[name]
		_, c := withoutEffect[name]
		_, d := bridgeInForce[name]
		if !a && !b && !c && !d && !slices.Contains(beside, name) {
			t.Errorf("%s is in the table but in no test", name)
		}
	}
	// The names in the manual and the code of mosquitto 2.0.20.
	for name := range strings.FieldsSeq(mosquittoDirectives) {
		if _, ok := directives[name]; !ok {
			t.Errorf("%s is not in the table", name)
		}
	}
}

// The documentation has a row for each directive, in both languages.
func TestDocumentation(t *testing.T) {
	for _, page := range []string{"docs/configuration.md", "docs/configuration.zh-CN.md"} {
		data, err := os.ReadFile("../" + page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Concat(directiveNames, []string{"plugin_opt_*", "auth_opt_*"}) {
			if !strings.Contains(string(data), "`"+name+"`") {
				t.Errorf("%s says nothing about %s", page, name)
			}
		}
	}
}

const mosquittoDirectives = `
per_listener_settings acl_file password_file psk_file allow_anonymous allow_zero_length_clientid auto_id_prefix plugin auth_plugin
auth_plugin_deny_special_chars allow_duplicate_messages autosave_interval autosave_on_changes check_retain_source clientid_prefixes
connection_messages include_dir log_dest log_facility log_timestamp log_timestamp_format log_type max_inflight_bytes max_inflight_messages
max_keepalive max_packet_size max_queued_bytes max_queued_messages memory_limit message_size_limit persistence retained_persistence
persistence_file persistence_location persistent_client_expiration pid_file queue_qos0_messages retain_available set_tcp_nodelay
sys_interval upgrade_outgoing_qos user websockets_log_level websockets_headers_size retry_interval listener port bind_address
bind_interface http_dir max_connections max_qos maximum_qos max_topic_alias mount_point protocol socket_domain use_username_as_clientid
cafile capath certfile keyfile ciphers ciphers_tls1.3 crlfile dhparamfile require_certificate tls_version tls_engine tls_engine_kpass_sha1
tls_keyform use_identity_as_username use_subject_as_username psk_hint connection address addresses topic bridge_attempt_unsubscribe
bridge_bind_address bridge_max_packet_size bridge_outgoing_retain bridge_protocol_version cleansession local_cleansession idle_timeout
keepalive_interval local_clientid local_username local_password remote_clientid clientid remote_username username remote_password password
notifications notifications_local_only notification_topic restart_timeout round_robin start_type threshold try_private bridge_alpn
bridge_cafile bridge_capath bridge_certfile bridge_keyfile bridge_identity bridge_psk bridge_insecure bridge_require_ocsp
bridge_tls_version `
