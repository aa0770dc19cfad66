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
	"per_listener_settings": "true", "acl_file": "/a b", "password_file": "/p", "allow_anonymous": "true",
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
	"admin_socket": "/run/picket/admin.sock", "metrics_access": "everyone", "data_dir": "/var/lib/picket", "acme_name": "auto", "acme_email": "ada@example.com", "acme_ca": "https://ca.example/dir", "acme_ca_roots": "/ca.pem",
	"acme_http_port": "8080", "acme_tls_port": "8443", "server_name": "mqtt.example 192.0.2.1", "global_max_connections": "9", "phone_page": "false",
	"acl_subscribe_unchecked": "true", "connect_timeout": "3", "event_loops": "2", "log_format": "json", "max_output_bytes": "100000", "reason_strings": "true",
	"persistence": "true", "retained_persistence": "1", "persistence_file": "x.db", "persistence_location": "/var/lib/x/", "persistence_store": "/var/lib/x/store", "persistence_sync": "never",
	"cluster": "redis://10.0.0.1:26379,10.0.0.2/mymaster", "cluster_acknowledge": "replicas 2",
	"max_total_output_bytes": "10000000", "proxy_from": "10.0.0.0/8 ::1", "sni_certificate": "/c3 /k3",
}

// What has to stand before a directive for it to make sense.
var before = map[string]string{
	"crlfile": "cafile /ca\nrequire_certificate true\n", "require_certificate": "cafile /ca\n",
	"use_identity_as_username": "cafile /ca\nrequire_certificate true\n", "use_subject_as_username": "cafile /ca\nrequire_certificate true\n", "http_dir": "protocol auto\n",
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
	"connection": "b", "address": "h", "addresses": "h", "topic": "# both", "bridge_attempt_unsubscribe": "true",
	"bridge_bind_address": "::1", "bridge_max_packet_size": "1", "bridge_outgoing_retain": "true", "bridge_protocol_version": "mqttv50",
	"cleansession": "true", "local_cleansession": "true", "idle_timeout": "1", "keepalive_interval": "60", "local_clientid": "x",
	"local_username": "x", "local_password": "x", "remote_clientid": "x", "clientid": "x", "remote_username": "x", "username": "x",
	"remote_password": "x", "password": "x", "notifications": "true", "notifications_local_only": "true", "notification_topic": "x",
	"restart_timeout": "5", "round_robin": "true", "start_type": "once", "threshold": "1", "try_private": "true", "bridge_alpn": "x",
	"bridge_cafile": "/c", "bridge_capath": "/c", "bridge_certfile": "/c", "bridge_keyfile": "/c", "bridge_identity": "x",
	"bridge_psk": "00", "bridge_insecure": "true", "bridge_require_ocsp": "true", "bridge_tls_version": "tlsv1.2",
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

func TestTableIsComplete(t *testing.T) {
	for name := range directives {
		_, a := inForce[name]
		_, b := notInForce[name]
		_, c := withoutEffect[name]
		if !a && !b && !c && name != "include_dir" {
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
