package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"picket/cause"
)

// Target is an address that somebody wants to connect to.
type Target struct {
	Given    string // as it was typed, without a password
	Scheme   string // mqtt, mqtts, ws, wss, or empty: not said
	Host     string // a name in its ASCII form, or an address without brackets
	Port     int    // 0: not said
	Path     string // of ws and wss, beginning with a slash; "/" when none was given
	User     string
	Password string // empty also when none was given
	Mistakes []Mistake
}

// schemes are the words for the four ways to reach a broker, as apps and libraries spell them.
var schemes = map[string]string{
	"mqtt": "mqtt", "tcp": "mqtt", "mqtt+tcp": "mqtt",
	"mqtts": "mqtts", "ssl": "mqtts", "tls": "mqtts", "mqtt+ssl": "mqtts", "mqtt+tls": "mqtts",
	"ws": "ws", "mqtt+ws": "ws", "http": "ws",
	"wss": "wss", "mqtt+wss": "wss", "https": "wss",
}

// DefaultPort is the port of a scheme: 1883, 8883, 80 or 443.
func DefaultPort(scheme string) int {
	return map[string]int{"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}[scheme]
}

// usualSchemes are what brokers have on their usual ports: Appendix C of nobody's standard, but of every tutorial.
var usualSchemes = map[int]string{1883: "mqtt", 8883: "mqtts", 80: "ws", 443: "wss", 8080: "ws", 8081: "wss", 8083: "ws", 8084: "wss", 9001: "ws", 9883: "wss"}

// UsualScheme is what a port most likely speaks; mqtt for ports about which there is no custom.
func UsualScheme(port int) string {
	if s, known := usualSchemes[port]; known {
		return s
	}
	return "mqtt"
}

// webPort tells whether a port is one for WebSocket, or none that says anything.
func webPort(port int) bool {
	s, known := usualSchemes[port]
	return !known || s == "ws" || s == "wss"
}

// maxTarget bounds a target in bytes: enough for a long name and path.
const maxTarget = 2048

// errTarget is the error of a target that says too little.
var errTarget = errors.New("expected mqtt://HOST[:PORT], mqtts://, ws:// or wss://HOST[:PORT]/PATH, HOST or HOST:PORT")

// ParseTarget reads what somebody has typed into an app's form. What is certain to be meant otherwise is corrected, and listed in
// Mistakes; what is not is an error that says what was expected.
func ParseTarget(given string) (Target, error) {
	if len(given) > maxTarget {
		return Target{}, fmt.Errorf("the address has more than %d bytes; %w", maxTarget, errTarget)
	}
	var t Target
	before, user, rest := splitUser(given)
	t.credentials(user)
	t.Given = t.masked(given, user)
	s := t.tidy(before + rest)

	s = t.scheme(s)
	if unknown, _, found := strings.Cut(s, "://"); found && !strings.Contains(unknown, "/") {
		return Target{}, fmt.Errorf("unknown scheme %q; %w", unknown, errTarget)
	}
	s, _, _ = strings.Cut(s, "#") // a fragment is not sent to anyone
	authority, path := s[:end(s)], s[end(s):]
	if err := t.hostAndPort(authority); err != nil {
		return Target{}, err
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if slices.Contains(t.Mistakes, WebScheme) && path == "/" && !webPort(t.Port) {
		t.Scheme = UsualScheme(t.Port) // the port says more than a word that people put before every address
	}
	switch {
	case t.Scheme == "ws" || t.Scheme == "wss":
		t.Path = path
	case path != "/" && t.Scheme == "":
		t.Scheme, t.Path = UsualScheme(t.Port), path // a path says WebSocket
		switch t.Scheme {
		case "mqtt":
			t.Scheme = "ws"
		case "mqtts":
			t.Scheme = "wss"
		}
	case path != "/":
		t.mistake(NeedlessEnd)
	}
	if strings.ContainsAny(t.Path, "\x00\r\n\t ") {
		return Target{}, fmt.Errorf("the path %q has characters that no path may have", t.Path)
	}
	return t, nil
}

// splitUser takes USER:PASSWORD@ out, which is left as it is: passwords may have any character.
func splitUser(s string) (before, user, rest string) {
	at := strings.LastIndexAny(s, "@＠")
	if at < 0 {
		return "", "", s
	}
	start := 0
	for _, sep := range []string{"://", "：//", "：／／", ":／／"} {
		if i := strings.Index(s[:at], sep); i >= 0 {
			start = i + len(sep)
			break
		}
	}
	_, size := decodeRune(s[at:])
	return s[:start], s[start:at], s[at+size:]
}

func decodeRune(s string) (rune, int) {
	for _, r := range s {
		return r, len(string(r))
	}
	return 0, 0
}

// credentials takes the user and the password, percent-encoded or as they are.
func (t *Target) credentials(user string) {
	name, password, _ := strings.Cut(user, ":")
	if strings.ContainsAny(user, "#/?") { // these end the host for whoever reads a URL; the last @ is found by all
		t.mistake(Unescaped)
	}
	plain := func(s string) string {
		if decoded, err := url.PathUnescape(s); err == nil {
			return decoded
		}
		return s
	}
	t.User, t.Password = plain(name), plain(password)
}

// masked is what was typed without the password.
func (t *Target) masked(given, user string) string {
	if name, _, has := strings.Cut(user, ":"); has {
		return strings.Replace(given, user+"@", name+":***@", 1)
	}
	return given
}

func (t *Target) mistake(m Mistake) {
	if !slices.Contains(t.Mistakes, m) {
		t.Mistakes = append(t.Mistakes, m)
	}
}

// tidy makes ASCII signs of their look-alikes, and takes out what cannot belong to an address.
func (t *Target) tidy(s string) string {
	s = strings.ToValidUTF8(s, "")
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= 0xFF01 && r <= 0xFF5E: // the full-width forms of ASCII
			t.mistake(FullWidth)
			b.WriteRune(r - 0xFEE0)
		case r == '。' || r == '｡':
			t.mistake(FullWidth)
			b.WriteByte('.')
		case r == '、':
			t.mistake(FullWidth)
			b.WriteByte(',')
		case r == 0x3000 || r == 0xA0 || r >= 0x2000 && r <= 0x200A || r == '\t' || r == '\n' || r == '\r':
			b.WriteByte(' ')
		case r >= 0x200B && r <= 0x200F || r >= 0x202A && r <= 0x202E || r >= 0x2060 && r <= 0x2069 || r >= 0xFE00 && r <= 0xFE0F || r == 0xFEFF || r == 0xAD || r < 0x20 || r == 0x7F:
			t.mistake(Invisible)
		case strings.ContainsRune("“”‘’「」『』《》〈〉", r):
			t.mistake(Quotes)
		case r == '\\':
			t.mistake(Slashes)
			b.WriteByte('/')
		default:
			b.WriteRune(r)
		}
	}
	s = b.String()
	if trimmed := strings.Trim(s, " "); trimmed != s {
		t.mistake(Spaces)
		s = trimmed
	}
	if trimmed := strings.Trim(s, "\"'`<>() "); trimmed != s {
		t.mistake(Quotes)
		s = trimmed
	}
	if trimmed := strings.TrimRight(s, ",;!"); trimmed != s {
		t.mistake(EndMark)
		s = trimmed
	}
	if m := looseSeparator.FindStringSubmatch(s); m != nil && isPort(m[3]) && !strings.ContainsAny(m[1], ",;") {
		if strings.Contains(m[2], ":") {
			t.mistake(Spaces)
		} else {
			t.mistake(Separator)
		}
		return strings.ReplaceAll(m[1], " ", "") + ":" + m[3]
	}
	if strings.Contains(s, " ") {
		t.mistake(Spaces)
		s = strings.ReplaceAll(s, " ", "")
	}
	return s
}

// looseSeparator is what people write between a host and a port: a space, a comma, a semicolon, or a colon among spaces.
var looseSeparator = regexp.MustCompile(`^(.*[^ ,;:])([ ,;:]*[ ,;][ ,;:]*)([0-9]{1,5})$`)

func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n > 0 && n < 65536 && s[0] != '+'
}

// scheme takes the scheme off, in whatever form.
func (t *Target) scheme(s string) string {
	for {
		name, rest, found := t.cutScheme(s)
		if !found {
			return s
		}
		if t.Scheme != "" {
			t.mistake(SchemeTwice)
		}
		if strings.HasPrefix(name, "http") {
			t.mistake(WebScheme)
		}
		t.Scheme, s = schemes[name], rest
	}
}

// cutScheme finds a scheme that is known at the start of s.
func (t *Target) cutScheme(s string) (name, rest string, found bool) {
	i := 0
	for i < len(s) && (s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z' || s[i] == '+') {
		i++
	}
	name = strings.ToLower(s[:i])
	if schemes[name] == "" {
		return "", s, false
	}
	rest = s[i:]
	after := strings.TrimLeft(strings.TrimPrefix(rest, ":"), "/")
	switch {
	case strings.HasPrefix(rest, "://") && !strings.HasPrefix(rest, ":///"):
	case strings.HasPrefix(rest, "//"), strings.HasPrefix(rest, ":/"):
		t.mistake(Slashes)
	case strings.HasPrefix(rest, ":") && after != "" && !isPort(after[:end(after)]):
		t.mistake(Slashes)
	default:
		return "", s, false // a host that happens to be called so
	}
	return name, after, true
}

// end is where a host and port end, and a path begins.
func end(s string) int {
	if i := strings.IndexAny(s, "/?#"); i >= 0 {
		return i
	}
	return len(s)
}

func (t *Target) hostAndPort(s string) error {
	host, port := s, ""
	switch n := strings.Count(s, ":"); {
	case strings.HasPrefix(s, "["):
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return fmt.Errorf("%q has no closing bracket; %w", s, errTarget)
		}
		host, port = s[1:end], s[end+1:]
		if port != "" && port[0] != ':' {
			return fmt.Errorf("%q behind the brackets is no port; %w", port, errTarget)
		}
		if port == ":" {
			t.mistake(EmptyPort)
		}
		port = strings.TrimPrefix(port, ":")
	case n == 1:
		host, port, _ = strings.Cut(s, ":")
		if port == "" {
			t.mistake(EmptyPort)
		}
	case n > 1:
		last := strings.LastIndexByte(s, ':')
		_, whole := netip.ParseAddr(s)
		_, usual := usualSchemes[atoi(s[last+1:])]
		if _, err := netip.ParseAddr(s[:last]); err == nil && isPort(s[last+1:]) && (whole != nil || usual) {
			t.mistake(NoBrackets)
			host, port = s[:last], s[last+1:]
		}
	}
	if port != "" {
		if !isPort(port) {
			return fmt.Errorf("the port %q is not a number from 1 to 65535", port)
		}
		t.Port = atoi(port)
	}
	return t.setHost(host)
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// lookalikes makes digits of letters that look like them.
var lookalikes = strings.NewReplacer("O", "0", "o", "0", "I", "1", "l", "1")

// setHost checks a name or an address.
func (t *Target) setHost(host string) error {
	if trimmed := strings.TrimRight(host, "."); trimmed != host {
		if trimmed+"." != host || !strings.ContainsAny(trimmed, ".") || strings.Trim(trimmed, "0123456789.") == "" {
			t.mistake(EndMark) // behind a name of several words one full stop belongs there, if nobody writes it (RFC 1034, 3.1)
		}
		host = trimmed
	}
	if strings.Contains(host, ",") {
		if a, err := netip.ParseAddr(strings.ReplaceAll(host, ",", ".")); err == nil {
			t.mistake(Commas)
			host = a.String()
		}
	}
	if host == "" {
		return fmt.Errorf("there is no host; %w", errTarget)
	}
	if digits := lookalikes.Replace(host); digits != host && !strings.ContainsAny(digits, "abcdefghijklmnopqrstuvwxyz") {
		if a, err := netip.ParseAddr(digits); err == nil && a.Is4() {
			t.mistake(Letters)
			host = digits
		}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		t.Host = a.Unmap().String()
		return nil
	}
	if strings.Contains(host, ":") {
		return fmt.Errorf("%q is not an IPv6 address; %w", host, errTarget)
	}
	if len(host) > 1000 { // 253 in ASCII; a bound before the work
		return fmt.Errorf("a host name of %d bytes is too long", len(host))
	}
	ascii, err := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false)).ToASCII(host)
	if err != nil || len(ascii) > 253 {
		return fmt.Errorf("%q is not a host name", host)
	}
	labels := strings.Split(ascii, ".")
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return fmt.Errorf("%q is not an IPv4 address: that is four numbers from 0 to 255, such as 192.168.1.5", host)
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return fmt.Errorf("%q is not a host name: between dots are 1 to 63 letters, digits, - and _", host)
		}
	}
	t.Host = ascii
	return nil
}

// URL is the target in full, without user and password. A scheme or a port that was not given must have been chosen before.
func (t *Target) URL() string {
	s := t.Scheme + "://" + HostPort(t.Host, t.Port)
	if t.Scheme == "ws" || t.Scheme == "wss" {
		s += t.Path
	}
	return s
}

// Form are the fields of an app's form that this target is entered into.
func (t *Target) Form() cause.Text {
	tls := cause.Text{EN: "off", ZH: "关闭"}
	if t.Scheme == "mqtts" || t.Scheme == "wss" {
		tls = cause.Text{EN: "on", ZH: "打开"}
	}
	text := cause.Text{
		EN: fmt.Sprintf("host: %s\nport: %d\nTLS:  %s", t.Host, t.Port, tls.EN),
		ZH: fmt.Sprintf("主机：%s\n端口：%d\nTLS：%s", t.Host, t.Port, tls.ZH),
	}
	if t.Scheme == "ws" || t.Scheme == "wss" {
		text.EN += "\nWebSocket path: " + t.Path
		text.ZH += "\nWebSocket 路径：" + t.Path
	}
	return text
}

// Entered is the fact about what was typed.
func (t *Target) Entered() Entered {
	return Entered{Given: t.Given, URL: t.URL(), Scheme: t.Scheme, Host: t.Host, Port: t.Port, Path: t.Path, Mistakes: t.Mistakes}
}
