package mosqconf

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"picket/access"
	"picket/backend"
)

// homeAssistant is what the add-on of Home Assistant makes of its template.
const homeAssistant = `user root
log_dest stdout
log_type error
log_type warning
log_timestamp_format %%Y-%%m-%%d %%H:%%M:%%S
persistence true
persistence_location %[1]s/
max_queued_messages 8192
auth_plugin /usr/share/mosquitto/go-auth.so
auth_plugin_deny_special_chars false
auth_opt_backends files,http
auth_opt_hasher pbkdf2
auth_opt_cache true
auth_opt_auth_cache_seconds 300
auth_opt_auth_jitter_seconds 30
auth_opt_acl_cache_seconds 300
auth_opt_acl_jitter_seconds 30
auth_opt_log_level error
auth_opt_files_password_path %[1]s/pw
auth_opt_files_acl_path %[1]s/acl
auth_opt_http_host 127.0.0.1
auth_opt_http_port 80
auth_opt_http_getuser_uri /authentication
auth_opt_http_superuser_uri /superuser
auth_opt_http_aclcheck_uri /acl
include_dir %[1]s/share
listener 1883
protocol mqtt
listener 1884
protocol websockets
`

func TestBackendsOfHomeAssistant(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "share"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, r := Parse(write(t, fmt.Sprintf(homeAssistant, dir)))
	if c == nil || len(r.Findings) != 1 || r.Findings[0].Level != Notice || r.Findings[0].Directive != "auth_opt_log_level" {
		t.Fatalf("%v", r.Findings)
	}
	b := c.Backends[0]
	want := backend.Web{Host: "127.0.0.1", Port: 80, UserPath: "/authentication", SuperPath: "/superuser", RulesPath: "/acl", Method: "POST", Timeout: 5 * time.Second, UserAgent: "mosquitto"}
	if len(b.Sources) != 2 || *b.Sources[0].Files != (backend.Files{PasswordFile: dir + "/pw", ACLFile: dir + "/acl"}) || *b.Sources[1].Web != want {
		t.Errorf("%+v %+v", b.Sources[0].Files, b.Sources[1].Web)
	}
	if b.DenySpecial || b.LoginTTL != 5*time.Minute || b.LoginJitter != 30*time.Second || b.RightsTTL != 5*time.Minute || b.RightsJitter != 30*time.Second || !b.Sources[1].Superuser || b.Sources[0].Superuser {
		t.Errorf("%+v", b)
	}
	if c.Security[0].Backends != "files, http" {
		t.Errorf("%+v", c.Security[0])
	}
}

// Each option is in force, or says why not and what to do.
func TestBackendOptions(t *testing.T) {
	const head = "auth_plugin /usr/lib/go-auth.so\n"
	const web = "auth_opt_backends http\nauth_opt_http_host h\nauth_opt_http_port 8080\nauth_opt_http_getuser_uri /u\nauth_opt_http_aclcheck_uri /a\n"
	const file = "auth_opt_backends files\nauth_opt_files_password_path /p\n"
	source := func(c *Config) backend.Source { return c.Backends[0].Sources[0] }
	for _, c := range []struct {
		text string
		want func(c *Config) bool // nil: it is refused
		says string               // of the one finding; empty: none
	}{
		{head + web, func(c *Config) bool {
			b := c.Backends[0]
			return b.LoginTTL == 0 && b.RightsTTL == 0 && b.DenySpecial && !source(c).Superuser
		}, ""},
		{head + web + "auth_opt_cache true\nauth_opt_cache_refresh true\n", func(c *Config) bool { b := c.Backends[0]; return b.LoginTTL == 30*time.Second && b.Refresh }, ""},
		{head + web + "auth_opt_http_superuser_uri /s\nauth_opt_disable_superuser true\n", func(c *Config) bool { return !source(c).Superuser }, ""},
		{head + web + "auth_opt_http_superuser_uri /s\nauth_opt_http_register user, acl\n", func(c *Config) bool { return !source(c).Superuser && source(c).Users && source(c).Rules }, ""},
		{head + web + "auth_opt_http_register users\n", nil, "(users)"},
		{head + web + "auth_opt_http_with_tls true\n", func(c *Config) bool { return source(c).Web.TLS && !source(c).Web.Unverified }, ""},
		{head + web + "auth_opt_http_with_tls true\nauth_opt_http_verify_peer false\n", func(c *Config) bool { return source(c).Web.Unverified }, "is not verified"},
		{head + web + "auth_opt_http_params_mode form\nauth_opt_http_response_mode text\nauth_opt_http_timeout 2\nauth_opt_http_method PUT\nauth_opt_http_user_agent x\n",
			func(c *Config) bool {
				w := source(c).Web
				return w.Form && w.Answer == backend.AnswerText && w.Timeout == 2*time.Second && w.Method == http.MethodPut && w.UserAgent == "x"
			}, ""},
		{head + web + "auth_opt_http_params_mode form\nauth_opt_http_method GET\n", nil, "by GET"},
		{head + web + "auth_opt_http_response_mode xml\n", nil, "(xml)"},
		{head + web + "auth_opt_retry_count 2\nauth_opt_exhaust_backend_first true\nauth_opt_use_clientid_as_username true\nauth_opt_when_down last\n",
			func(c *Config) bool {
				b := c.Backends[0]
				return b.Retries == 2 && b.Exhaust && b.ClientIDAsUser && b.KeepLast
			}, ""},
		{head + web + "auth_opt_cache_type redis\n", func(*Config) bool { return true }, "auth_opt_cache_type has no effect"},
		{head + web + "auth_opt_hasher_iterations 3\n", func(*Config) bool { return true }, "auth_opt_hasher_iterations has no effect"},
		{head + web + "auth_opt_hasher md5\n", nil, "(md5)"},
		{head + web + "auth_opt_files_acl_path /x\n", func(*Config) bool { return true }, "while files is not in auth_opt_backends"},
		{head + web + "auth_opt_http_getusr_uri /x\n", func(*Config) bool { return true }, "auth_opt_http_getusr_uri has no effect"},
		{head + web + "auth_opt_http_hostname login.example\n", func(c *Config) bool { return source(c).Web.HostHeader == "login.example" }, ""},
		{head + web + "auth_opt_http_getuser_params tenant=1\n", nil, "auth_opt_http_getuser_params is no option"},
		{head + web + "auth_opt_superusers admin*\n", nil, "auth_opt_superusers is no option"},
		{head + web + "auth_opt_log_quiet true\n", func(*Config) bool { return true }, "auth_opt_log_quiet has no effect"},
		{head + web + "auth_opt_cache true\nauth_opt_auth_cachejitter 3\nauth_opt_acl_cachejitter 4\n", func(c *Config) bool {
			return c.Backends[0].LoginJitter == 3*time.Second && c.Backends[0].RightsJitter == 4*time.Second
		}, ""},
		{head + "auth_opt_backends ldap\nauth_opt_binddn cn=x\nauth_opt_bindpw y\nauth_opt_ldap_uri ldap://h/\n", nil, "The back end ldap is not there"},
		{head + "auth_opt_backends mysql\nauth_opt_host h\nauth_opt_pass y\nauth_opt_userquery select 1\n", nil, "The back end mysql is not there"},
		{head + web + "auth_opt_check_prefix true\nauth_opt_prefixes a, b\n", nil, "1 back ends and 2 prefixes"},
		{head + web + "auth_opt_check_prefix true\nauth_opt_strip_prefix true\nauth_opt_prefixes web\n", func(c *Config) bool { b := c.Backends[0]; return b.Strip && b.Prefixes[0] == "web" }, ""},
		{head + strings.Replace(web, "/u", "http://elsewhere/u", 1), nil, "(http://elsewhere/u)"},
		{head + strings.Replace(web, "host h", "host http://h", 1), nil, "(http://h)"},
		{head + "auth_opt_backends http\nauth_opt_http_host h\nauth_opt_http_port 8080\nauth_opt_http_getuser_uri /u\n", nil, "no auth_opt_http_aclcheck_uri"},
		{head + file, func(c *Config) bool { return source(c).Files.PasswordFile == "/p" }, ""},
		{head + file + "auth_opt_hasher_salt_encoding utf-8\nauth_opt_hasher pbkdf2\n", func(c *Config) bool { return source(c).Files.PlainSalt }, ""},
		{head + "auth_opt_backends files\nauth_opt_password_path /p\nauth_opt_acl_path /a\n", func(c *Config) bool { return source(c).Files.PasswordFile == "/p" && source(c).Files.ACLFile == "/a" }, ""},
		{head + "auth_opt_backends redis\nauth_opt_redis_password a #b\nauth_opt_redis_port 7000\n", func(c *Config) bool {
			return *source(c).Redis == backend.Redis{Host: "localhost", Port: 7000, DB: 2, Password: "a #b"} && source(c).Superuser
		}, ""},
		{head + "auth_opt_backends redis\nauth_opt_redis_disable_superuser true\nauth_opt_redis_db 0\n", func(c *Config) bool { return source(c).Redis.DB == 0 && !source(c).Superuser }, ""},
		{head + "auth_opt_backends redis\nauth_opt_redis_mode cluster\n", nil, "A Redis Cluster is not asked"},
		{head + "auth_opt_backends jwt\nauth_opt_jwt_mode remote\nauth_opt_jwt_host h\n", nil, "auth_opt_jwt_mode remote is not possible"},
		{head + "auth_opt_backends jwt\nauth_opt_jwt_secret s\nauth_opt_jwt_userquery select 1\n", nil, "asks a database"},
		{head + "auth_opt_backends jwt\nauth_opt_jwt_mode files\n", nil, "no auth_opt_jwt_secret"},
		{head + "auth_opt_backends jwt\nauth_opt_jwt_mode files\nauth_opt_jwt_secret short\n", func(c *Config) bool { return source(c).JWT.Secret == "short" }, "secret of the tokens is short"},
		{head + "auth_opt_backends jwt, files\nauth_opt_files_acl_path /f\nauth_opt_jwt_mode files\nauth_opt_jwt_secret 0123456789 #23456789012345678901\nauth_opt_jwt_acl_path /a\nauth_opt_jwt_userfield Username\n", func(c *Config) bool {
			return *source(c).JWT == backend.JWT{Secret: "0123456789 #23456789012345678901", InName: true, User: "username", NoExpiry: true, ACLFile: "/a"} && c.Security[0].Tokens == access.TokensInName
		}, ""},
		{head + "auth_opt_backends jwt\nauth_opt_jwt_mode files\nauth_opt_jwt_secret 01234567890123456789012345678901\nauth_opt_jwt_skip_acl_expiration true\n", nil, "a token ends when it says so"},
		{"jwt_secret_file /s\n", func(c *Config) bool {
			return *source(c).JWT == backend.JWT{SecretFile: "/s", User: "sub", Leeway: 5 * time.Second} && c.Security[0].Tokens == access.TokensInPassword && c.Security[0].Backends == "jwt"
		}, ""},
		{"jwt_keys /k\njwt_secret_file /s\n", nil, "cannot be used together"},
		{"jwt_issuer us\n", nil, "without the keys that tokens are signed with"},
		{"jwt_keys https://h/k\n", func(c *Config) bool { return source(c).JWT.KeysURL == "https://h/k" }, "there is no jwt_audience"},
		{"jwt_keys http://h/k\njwt_audience a\n", nil, "by plain HTTP"},
		{"jwt_keys http://127.0.0.1:8080/k\njwt_audience a\n", func(c *Config) bool { return source(c).JWT.KeysURL != "" }, ""},
		{"jwt_keys ftp://h/k\njwt_audience a\n", nil, "Invalid jwt_keys value"},
		{"jwt_keys /k\njwt_keys_cafile /c\n", func(c *Config) bool { return source(c).JWT.KeysFile == "/k" }, "has no effect without jwt_keys https"},
		{"jwt_keys /k\njwt_place header\n", nil, "(header)"},
		{"jwt_keys /k\nrights_file /r\n", nil, "cannot be used together"},
		{"jwt_keys /k\n" + head + file, nil, "beside a plugin"},
		{"per_listener_settings true\nlistener 1\njwt_keys /k\nlistener 2\npassword_file /q\n", func(c *Config) bool {
			return c.Backends[1].Sources[0].JWT.KeysFile == "/k" && c.Backends[2] == nil && c.Security[2].Tokens == access.NoTokens
		}, ""},
		{head, nil, "has no auth_opt_backends"},
		{head + "auth_opt_backends postgres\nauth_opt_pg_host x\n", nil, "The back end postgres is not there"},
		{head + "auth_opt_backends lldap\n", nil, "(lldap)"},
		{head + file + "auth_plugin /x/go-auth.so\n", nil, "can only be loaded once"},
		{"rights_file /r\n" + head + file, nil, "cannot be used together"},
		{"auth_plugin auth-plug.so\nauth_opt_backends http\nauth_opt_http_ip 127.0.0.1\nauth_opt_http_port 80\nauth_opt_http_getuser_uri /u\nauth_opt_http_aclcheck_uri /a\nauth_opt_acl_cacheseconds 10\n",
			func(c *Config) bool {
				return source(c).Web.Form && source(c).Web.Host == "127.0.0.1" && c.Backends[0].RightsTTL == 10*time.Second
			}, ""},
		{"per_listener_settings true\nlistener 1\nplugin go-auth.so\nplugin_opt_backends files\nplugin_opt_files_password_path /p\nlistener 2\npassword_file /q\n",
			func(c *Config) bool {
				return c.Backends[1].Sources[0].Files.PasswordFile == "/p" && c.Backends[2] == nil
			}, ""},
		{"per_listener_settings true\nlistener 1\nplugin go-auth.so\nplugin_opt_backends files\nplugin_opt_files_password_path /p\nlistener 2\nplugin_opt_files_acl_path /q\n", nil, "without an auth_plugin"},
	} {
		is, r := Parse(write(t, c.text))
		switch {
		case c.want == nil && is != nil || c.want != nil && (is == nil || !c.want(is)):
			t.Errorf("%s\n%v", c.text, r.Findings)
		case c.says == "" && len(r.Findings) > 0 || c.says != "" && (len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Text, c.says)):
			t.Errorf("%s\n%v, want %s", c.text, r.Findings, c.says)
		}
	}
}
