package mosqconf

import (
	"slices"
	"strings"
	"testing"

	"picket/access"
	"picket/cause"
	"picket/packet"
)

// laterDirectives are the words that mosquitto 2.1 has and 2.0.20 has not.
const laterDirectives = `
accept_protocol_versions bridge_ciphers bridge_ciphers_tls1.3 bridge_max_topic_alias bridge_receive_maximum bridge_reload_type bridge_session_expiry_interval
bridge_tcp_keepalive bridge_tcp_user_timeout bridge_tls_use_os_certs disable_client_cert_date_checks enable_control_api enable_proxy_protocol global_max_clients
global_max_connections global_plugin listener_allow_anonymous listener_auto_id_prefix max_topic_alias_broker packet_buffer_size plugin_load plugin_use
proxy_protocol_v2_require_tls retain_expiry_interval websockets_origin `

// Each of them is in force or has no effect, with a reason, or is refused as of mosquitto 2.1 and says what to do instead.
func TestLaterDirectives(t *testing.T) {
	refused := 0
	for name := range strings.FieldsSeq(laterDirectives) {
		_, known := directives[name]
		why := formerly[name]
		if known == (why != "") {
			t.Errorf("%s is in force: %v, and refused: %q", name, known, why)
		}
		if known {
			continue
		}
		refused++
		config, r := Parse(write(t, "listener 1883\n"+name+" 1\n"))
		if config != nil || len(r.Findings) != 1 || !strings.HasPrefix(r.Findings[0].Hint, "It is of mosquitto 2.1. ") || r.Findings[0].Line != 2 {
			t.Errorf("%s: %v", name, r.Findings)
		}
	}
	for name, why := range formerly {
		if strings.HasPrefix(why, "It is of mosquitto 2.1.") && !strings.Contains(laterDirectives, name+" ") && !strings.Contains(laterDirectives, name+"\n") {
			t.Errorf("%s is in no test", name)
		}
	}
	if refused == 0 {
		t.Error("none was refused")
	}
}

// What a listener has for itself counts at that listener, with and without per_listener_settings; the other rules stay the broker's.
func TestListenerHasForItself(t *testing.T) {
	c, r := Parse(write(t, "password_file /p\nallow_anonymous false\nlistener 1\nlistener 2\nlistener_allow_anonymous true\nlistener 3\nlistener_auto_id_prefix x-\n"))
	if c == nil {
		t.Fatal(r.Findings)
	}
	for i, want := range []access.Config{{Anonymous: access.AnonymousNever, AutoIDPrefix: "auto-"}, {Anonymous: access.AnonymousAlways, AutoIDPrefix: "auto-"}, {Anonymous: access.AnonymousNever, AutoIDPrefix: "x-"}} {
		if is := c.Security[c.Listeners[i].Security]; is.Anonymous != want.Anonymous || is.AutoIDPrefix != want.AutoIDPrefix || is.PasswordFile != "/p" {
			t.Errorf("listener %d: %+v", i+1, is)
		}
	}
	c, r = Parse(write(t, "per_listener_settings true\nlistener 1\nallow_anonymous true\nlistener_allow_anonymous false\nlistener 2\nallow_anonymous true\n"))
	if c == nil || c.Security[1].Anonymous != access.AnonymousNever || c.Security[2].Anonymous != access.AnonymousAlways {
		t.Errorf("%+v %v", c, r.Findings)
	}
	c, r = Parse(write(t, "jwt_keys /k\nlistener 1\nlistener 2\nlistener_allow_anonymous true\n"))
	if c == nil || c.Backends[0] == nil || c.Backends[1] == nil || c.Security[1].Tokens != access.TokensInPassword || c.Security[1].Backends != "jwt" {
		t.Errorf("%+v %v", c, r.Findings)
	}
	c, r = Parse(write(t, "global_plugin /x/go-auth.so\nplugin_opt_backends files\nplugin_opt_files_password_path /p\nlistener 1\nlistener 2\nlistener_allow_anonymous true\n"))
	if c == nil || len(r.Findings) != 0 || len(c.Backends) != 2 || len(c.Backends[1].Sources) != 1 {
		t.Errorf("%+v %v", c, r.Findings)
	}
	if c, r = Parse(write(t, "per_listener_settings true\nglobal_plugin /x/go-auth.so\nlistener 1\n")); c != nil || len(r.Findings) != 1 {
		t.Errorf("%v", r.Findings)
	}
}

func TestAcceptVersions(t *testing.T) {
	for value, want := range map[string][]packet.Version{
		"5": {packet.V5}, "3, 4": {packet.V31, packet.V311}, "5 4,3": {packet.V5, packet.V311, packet.V31}, "4\naccept_protocol_versions 5": {packet.V5},
		"": nil, ",": nil, "6": nil, "4,mqttv5": nil, "0": nil,
	} {
		c, r := Parse(write(t, "listener 1883\nlistener 1884\naccept_protocol_versions "+value+"\n"))
		if want == nil {
			if c != nil || len(r.Findings) != 1 || r.Findings[0].Line != 3 {
				t.Errorf("%q: %v", value, r.Findings)
			}
			continue
		}
		if c == nil || len(r.Findings) != 0 || c.Listeners[0].Versions != nil || !slices.Equal(c.Listeners[1].Versions, want) {
			t.Errorf("%q: %v", value, r.Findings)
		}
	}
}

func TestWebsocketsOrigin(t *testing.T) {
	c, r := Parse(write(t, "listener 1883\nprotocol websockets\nwebsockets_origin HTTPS://A.example:8443\nwebsockets_origin null\nwebsockets_origin capacitor://localhost\nwebsockets_origin null\nlistener 1884\nprotocol auto\n"))
	if c == nil || len(r.Findings) != 0 || !slices.Equal(c.Listeners[0].Origins, []string{"https://a.example:8443", "null", "capacitor://localhost"}) || c.Listeners[1].Origins != nil {
		t.Errorf("%+v %v", c, r.Findings)
	}
	for _, value := range []string{"", "*", "a.example", "https://a.example/", "https://a.example/path", "https://u@a.example", "https://", "https://a.example?x", "https://a.example https://b.example"} {
		if c, r := Parse(write(t, "listener 1883\nprotocol websockets\nwebsockets_origin "+value+"\n")); c != nil && len(r.Findings) == 0 {
			t.Errorf("%q is taken: %v", value, c.Listeners[0].Origins)
		}
	}
	c, r = Parse(write(t, "listener 1883\nwebsockets_origin null\n"))
	if c == nil || len(r.Findings) != 1 || r.Findings[0].Line != 2 || r.Findings[0].Level != Warning {
		t.Errorf("%v", r.Findings)
	}
}

// mosquitto forgets its default at a port line without rules when each listener has its own. Nobody else lets in everybody for that.
func TestOpenInMosquitto(t *testing.T) {
	for text, open := range map[string]bool{
		"per_listener_settings true\nport 1883\nlistener 1884\nallow_anonymous true\n":     true,
		"per_listener_settings true\nport 1883\nallow_anonymous false\nlistener 1884\n":    false,
		"per_listener_settings true\npassword_file /p\nport 1883\nlistener 1884\n":         false,
		"per_listener_settings true\nlistener 1883\nlistener 1884\nallow_anonymous true\n": false,
		"port 1883\nlistener 1884\n": false,
	} {
		c, r := Parse(write(t, text))
		if c == nil {
			t.Fatalf("%q: %v", text, r.Findings)
		}
		warned := slices.ContainsFunc(r.Findings, func(f Finding) bool {
			return f.Cause == cause.NoPasswordFile && strings.Contains(f.Text, "--mosquitto")
		})
		before := slices.Clone(c.Security)
		c.LetInAsMosquitto()
		for i, was := range before {
			if is := c.Security[i].Anonymous; was.Anonymous != is && (was.Anonymous != access.AnonymousNever || !open) {
				t.Errorf("%q: rules %d: %v, as mosquitto %v", text, i, was.Anonymous, is)
			}
		}
		if warned != open || (c.OpenInMosquitto > 0) != open {
			t.Errorf("%q: warned: %v, open: %d, want %v", text, warned, c.OpenInMosquitto, open)
		}
	}
}

// Whoever reaches the listener is believed as in mosquitto 2.1, but nobody takes a name by that.
func TestEnableProxyProtocol(t *testing.T) {
	for text, want := range map[string]string{
		"listener 1\nenable_proxy_protocol 2\n":                                                     "0.0.0.0/0 ::/0 Warning: With enable_proxy_protocol everybody",
		"listener 1\nenable_proxy_protocol 1\ncertfile /c\nkeyfile /k\n":                            "0.0.0.0/0 ::/0 Warning: With enable_proxy_protocol everybody",
		"port 1\nenable_proxy_protocol 1\n":                                                         "0.0.0.0/0 ::/0 Warning: With enable_proxy_protocol everybody",
		"listener 1\nenable_proxy_protocol 2\nproxy_from 10.0.0.1\n":                                "10.0.0.1 ",
		"listener 1\nproxy_from 10.0.0.1\nenable_proxy_protocol 2\nuse_identity_as_username true\n": "10.0.0.1 ",
		"listener 1\nenable_proxy_protocol 2\nuse_identity_as_username true\n":                      "Error: enable_proxy_protocol without proxy_from would let everybody",
		"listener 1\nenable_proxy_protocol 1\nuse_identity_as_username true\n":                      "Error: enable_proxy_protocol without proxy_from would let everybody",
		"listener 1\nenable_proxy_protocol 2\ncertfile /c\nkeyfile /k\nproxy_from 10.0.0.1\n":       "Error: certfile and keyfile cannot be used",
		"listener 1\nenable_proxy_protocol 2\nuse_subject_as_username true\nproxy_from 10.0.0.1\n":  "Error: use_subject_as_username cannot be used",
		"listener 0 /s\nenable_proxy_protocol 2\n":                                                  "Error: enable_proxy_protocol is not possible on a Unix socket.",
		"listener 1\nenable_proxy_protocol 3\n":                                                     "Error: Invalid enable_proxy_protocol value (3).",
	} {
		c, r := Parse(write(t, text))
		got := ""
		if c != nil {
			got = strings.Join(c.Listeners[0].ProxyFrom, " ") + " "
		}
		for _, f := range r.Findings {
			if strings.Contains(f.Text, "proxy") || strings.Contains(f.Text, "used with") {
				got += f.Text
			}
		}
		if !strings.HasPrefix(got, want) || strings.HasSuffix(want, " ") && got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
