//go:build unix

package corpus

import "strings"

// Parts that configurations are made of. WebSocket has no address: with one, the library in Debian's mosquitto finds no interface; and mosquitto 2.0.11
// does not start where it is alone.
const (
	listen    = "listener ${PORT} 127.0.0.1\n"
	second    = "listener ${PORT_2} 127.0.0.1\n"
	anonymous = "allow_anonymous true\n"
	refused   = "allow_anonymous false\n"
	acl       = "acl_file ${DIR}/acl\n"
	kept      = "persistence true\npersistence_location ${DIR}/\n"
	web       = "listener ${PORT_W}\nprotocol websockets\n"
	secure    = "listener ${PORT_S} 127.0.0.1\ncertfile ${CERT}\nkeyfile ${KEY}\n"
	each      = "per_listener_settings true\n"
)

// unmounted is what mosquitto 2.0.11 does wrong with a mount point.
func unmounted(prefix string) []difference {
	return []difference{{"", "gets " + prefix, "gets ", "it leaves the mount point on what it sends; mended in 2.0.12"}}
}

// examples are after what stands in tutorials, compose files, packages and forums.
var examples = []example{
	{name: "the line of every tutorial", conf: listen + anonymous},
	{name: "the other way round", conf: anonymous + listen},
	{name: "a listener and nothing else", conf: listen},
	{name: "port of old", conf: "port ${PORT}\nbind_address 127.0.0.1\nallow_anonymous true\n"},
	{name: "port of old, nobody", conf: "port ${PORT}\nbind_address 127.0.0.1\n"},
	{name: "passwords", conf: listen + refused + users},
	{name: "passwords, and anybody", conf: listen + anonymous + users},
	{name: "passwords, anonymous not said", conf: listen + users},
	{name: "passwords and rules", conf: listen + refused + users + acl},
	{name: "rules for anybody", conf: listen + anonymous + acl},
	{name: "passwords, rules, and anybody", conf: listen + anonymous + users + acl},
	{name: "compose file", conf: kept + "log_dest file ${DIR}/mosquitto.log\n" + listen + users + refused},
	{name: "compose file with WebSocket", conf: kept + listen + web + anonymous},
	{name: "Debian's own, with conf.d", conf: "pid_file ${DIR}/mosquitto.pid\n" + kept + "log_dest file ${DIR}/mosquitto.log\ninclude_dir ${DIR}/conf.d\n", more: map[string]string{"conf.d/local.conf": listen + anonymous}},
	{name: "conf.d in two files", conf: "include_dir ${DIR}/conf.d\n", more: map[string]string{"conf.d/10-listener.conf": listen, "conf.d/20-users.conf": users + refused}},
	{name: "conf.d with other files in it", conf: listen + anonymous + "include_dir ${DIR}/conf.d\n", more: map[string]string{"conf.d/README": "not a configuration\n", "conf.d/old.conf.bak": "nonsense\n"}},
	{name: "two listeners", conf: listen + second + anonymous},
	{name: "each its own: inside anybody, outside users", conf: each + listen + anonymous + second + refused + users},
	{name: "each its own: rules on one", conf: each + listen + anonymous + second + users + refused + acl},
	{name: "each its own: rules on both", conf: each + listen + users + refused + acl + second + anonymous + acl},
	{name: "each its own: WebSocket for anybody", conf: each + listen + users + refused + web + anonymous},
	{name: "each its own: TLS with users", conf: each + listen + anonymous + secure + users + refused},
	{name: "TLS", conf: secure + anonymous},
	{name: "TLS with users", conf: secure + users + refused},
	{name: "TLS beside plain", conf: listen + secure + users + refused},
	{name: "TLS 1.3", conf: secure + "tls_version tlsv1.3\n" + anonymous},
	{name: "TLS 1.2 and above", conf: secure + "tls_version tlsv1.2\n" + anonymous},
	{name: "TLS with an authority that nobody is asked about", conf: secure + "cafile ${CA}\nrequire_certificate false\n" + anonymous},
	{name: "TLS with client certificates", conf: secure + "cafile ${CA}\nrequire_certificate true\n" + anonymous},
	{name: "TLS with names from certificates", conf: secure + "cafile ${CA}\nrequire_certificate true\nuse_identity_as_username true\n" + refused},
	{name: "TLS with subjects as names", conf: secure + "cafile ${CA}\nrequire_certificate true\nuse_subject_as_username true\n" + refused},
	{name: "ciphers", conf: secure + "ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256\n" + anonymous},
	{name: "a mount point", conf: listen + "mount_point tenant/\n" + anonymous, differs: unmounted("tenant/")},
	{name: "a mount point with rules", conf: listen + "mount_point home/\n" + users + refused + acl, differs: unmounted("home/")},
	{name: "the name as the identifier", conf: listen + "use_username_as_clientid true\n" + users + refused},
	{name: "the name as the identifier, and anybody", conf: listen + "use_username_as_clientid true\n" + anonymous},
	{name: "prefixes of identifiers", conf: listen + "clientid_prefixes dev-\n" + anonymous},
	{name: "no empty identifiers", conf: listen + "allow_zero_length_clientid false\n" + anonymous},
	{name: "identifiers that are made", conf: listen + "auto_id_prefix made-\n" + anonymous},
	{name: "a bound on connections", conf: listen + "max_connections 50\n" + anonymous},
	{name: "no QoS 2", conf: listen + "max_qos 1\n" + anonymous},
	{name: "small messages", conf: listen + "message_size_limit 1000\n" + anonymous},
	{name: "small packets", conf: listen + "max_packet_size 1000\n" + anonymous},
	{name: "few in flight", conf: listen + "max_inflight_messages 1\n" + anonymous},
	{name: "queues", conf: listen + "max_queued_messages 10\nqueue_qos0_messages true\n" + anonymous},
	{name: "queues in bytes", conf: listen + "max_queued_bytes 100000\nmax_inflight_bytes 0\n" + anonymous},
	{name: "short keep alive", conf: listen + "max_keepalive 600\n" + anonymous},
	{name: "no aliases", conf: listen + "max_topic_alias 0\n" + anonymous},
	{name: "higher QoS", conf: listen + "upgrade_outgoing_qos true\n" + anonymous},
	{name: "duplicates", conf: listen + "allow_duplicate_messages true\n" + anonymous},
	{name: "sources of retained messages", conf: listen + "check_retain_source true\n" + users + acl},
	{name: "sessions that go", conf: kept + listen + "persistent_client_expiration 1h\n" + anonymous},
	{name: "$SYS often", conf: listen + "sys_interval 1\n" + anonymous},
	{name: "no $SYS", conf: listen + "sys_interval 0\n" + anonymous},
	{name: "logs", conf: listen + "log_type all\nlog_timestamp true\nlog_timestamp_format %Y-%m-%dT%H:%M:%S\nconnection_messages true\n" + anonymous},
	{name: "logs to topics", conf: listen + "log_dest topic\nlog_type error\n" + anonymous},
	{name: "autosave", conf: kept + "autosave_interval 30\nautosave_on_changes false\npersistence_file m.db\n" + listen + anonymous},
	{name: "memory", conf: listen + "memory_limit 0\nset_tcp_nodelay true\n" + anonymous},
	{name: "a bridge to a cloud that is not there", conf: listen + anonymous + "connection cloud\naddress 127.0.0.1:9\nremote_clientid us\nremote_username u\nremote_password p\ntopic home/# out 1 \"\" site/\nbridge_protocol_version mqttv311\nnotifications false\ntry_private false\n"},
	{name: "a bridge to AWS's form", conf: listen + users + refused + "connection aws\naddress 127.0.0.1:9\nbridge_protocol_version mqttv311\nbridge_insecure false\ncleansession true\nclientid bridge\nstart_type automatic\nnotifications false\nlog_type all\nbridge_cafile ${CA}\nbridge_certfile ${CERT}\nbridge_keyfile ${KEY}\ntopic from_aws/# in 1\ntopic home/# out 1\n"},
	{name: "comments and blanks", conf: "# ours\n\n   \n" + listen + "#allow_anonymous false\n" + anonymous},
	{name: "lines of Windows", conf: strings.ReplaceAll(listen+anonymous+users, "\n", "\r\n")},
	{name: "WebSocket first", conf: web + listen + anonymous},
	{name: "WebSocket with users and rules", conf: listen + web + users + refused + acl},
}
