// Package cause is the catalogue of causes: every way in which Picket says no, drops, denies, truncates, takes over or gives up
// has an id here, and so has every reason the doctor knows why a client cannot connect, or connects and drops. Log lines, MQTT 5
// reason strings, metrics labels, the API, the pages and the doctor all speak these ids.
//
// A cause is explained in English and in Chinese, and has a remedy. The texts have places such as {port}, which the one who
// tells the cause fills with what it knows ([Text.Render]).
package cause

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ID names one cause, such as "bad-credentials". Ids never change their meaning.
type ID string

// Severity says how much a cause matters to the one it happens to.
type Severity byte

const (
	// Info: nothing is wrong in itself; the cause is named so that nothing happens in silence.
	Info Severity = iota
	// Warning: something was refused, dropped or will break, while the rest goes on.
	Warning
	// Error: a client cannot connect or work, or the broker cannot start.
	Error
)

// String gives "info", "warning" or "error".
func (s Severity) String() string {
	names := [...]string{"info", "warning", "error"}
	if int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("Severity(%d)", s)
}

// Stage is the step on a client's way at which a cause shows. The first stage that fails names the suspects.
type Stage string

// The stages, in the order in which a client goes through them. Six lie beside the way: Server is what keeps the broker
// itself from working, App what happens inside the phone or the app, API what a request to the HTTP API is refused for, Bridge what keeps messages from other brokers, Echo what ends an echo or a probe, and Sentinel what keeps a
// Redis from being failed over.
const (
	Name       Stage = "name"        // from a host name to an address
	TCP        Stage = "tcp"         // a connection to the port
	FirstBytes Stage = "first-bytes" // both sides speak the same protocol
	TLS        Stage = "tls"         // the TLS handshake
	Upgrade    Stage = "upgrade"     // HTTP becomes WebSocket
	Connect    Stage = "connect"     // CONNECT and its answer
	Use        Stage = "use"         // SUBSCRIBE, PUBLISH, delivery
	Stay       Stage = "stay"        // the connection lasts
	Server     Stage = "server"      // the broker and its machine
	App        Stage = "app"         // the phone, the app, the page
	Echo       Stage = "echo"        // the echo service and the doctor's probe
	API        Stage = "api"         // a request of whoever runs the broker
	Bridge     Stage = "bridge"      // a bridge to another broker
	Sentinel   Stage = "sentinel"    // watching over Redis, and failing over
)

// Stages lists the stages in the order of the catalogue.
func Stages() []Stage {
	return []Stage{Server, Name, TCP, FirstBytes, TLS, Upgrade, Connect, Use, Stay, App, API, Bridge, Echo, Sentinel}
}

// Title names the stage for people.
func (s Stage) Title() Text {
	return map[Stage]Text{
		Server:     {"The broker and its machine", "服务端与主机"},
		Name:       {"Name and address", "域名与地址"},
		TCP:        {"The way to the port", "网络到端口"},
		FirstBytes: {"The first bytes", "协议识别"},
		TLS:        {"TLS", "TLS"},
		Upgrade:    {"WebSocket", "WebSocket 升级"},
		Connect:    {"CONNECT", "CONNECT 登录"},
		Use:        {"Publishing and subscribing", "发布与订阅"},
		Stay:       {"Staying connected", "保持连接"},
		App:        {"The phone and the app", "手机与应用"},
		Echo:       {"The echo service", "回声服务"},
		API:        {"The HTTP API", "HTTP 管理接口"},
		Bridge:     {"Bridges", "桥接"},
		Sentinel:   {"The sentinel", "哨兵"},
	}[s]
}

// Lang is a language of the texts.
type Lang byte

// The languages of the texts.
const (
	English Lang = iota
	Chinese
)

// String gives the language's tag: "en" or "zh".
func (l Lang) String() string {
	if l == Chinese {
		return "zh"
	}
	return "en"
}

// Locale chooses the language from the environment as POSIX has it: LC_ALL comes before LC_MESSAGES and LANG. Every language
// other than Chinese is English.
func Locale(getenv func(string) string) Lang {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := getenv(name); value != "" {
			return ParseLang(value)
		}
	}
	return English
}

// ParseLang reads a locale or a language tag: "zh_CN.UTF-8", "zh-Hans" and "zh" are Chinese, all else is English.
func ParseLang(s string) Lang {
	if language, _, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(s), "-", "_"), "_"); language == "zh" {
		return Chinese
	}
	return English
}

// Text is one text in both languages.
type Text struct{ EN, ZH string }

// In gives the text in one language, its places not filled in.
func (t Text) In(l Lang) string {
	if l == Chinese {
		return t.ZH
	}
	return t.EN
}

// Values fill the places of a text: "port" fills {port}.
type Values map[string]string

// places are all places that texts may have, each with what stands in it while its value is not known.
var places = map[string]string{
	"address": "ADDRESS",
	"host":    "HOST",
	"port":    "PORT",
	"user":    "USER",
	"client":  "CLIENT-ID",
	"topic":   "TOPIC",
	"file":    "FILE",
	"line":    "LINE",
	"limit":   "N",
	"days":    "N",
	"seconds": "N",
}

// stands says in Chinese what the word in capitals says that stands for what belongs there: in places whose value is not known, and in commands.
var stands = map[string]string{
	"ACKS":      "〈确认数〉",
	"ADDRESS":   "〈地址〉",
	"CLIENT-ID": "〈客户端标识〉",
	"COMMAND":   "〈命令〉",
	"DIR":       "〈目录〉",
	"FILE":      "〈文件〉",
	"FILTER":    "〈过滤器〉",
	"GROUP":     "〈组名〉",
	"HOST":      "〈主机〉",
	"LINE":      "〈行号〉",
	"N":         "〈数值〉",
	"NAME":      "〈名称〉",
	"PASSWORD":  "〈密码〉",
	"PORT":      "〈端口〉",
	"ROLE":      "〈角色〉",
	"SENTINEL1": "〈哨兵1〉",
	"SENTINEL2": "〈哨兵2〉",
	"SENTINEL3": "〈哨兵3〉",
	"TOPIC":     "〈主题〉",
	"TYPE":      "〈类型〉",
	"USER":      "〈用户〉",
}

var placePattern = regexp.MustCompile(`\{[a-z]+\}`)

// Render gives the text in one language with its places filled in. A place that values says nothing about reads as a word in
// capitals, such as PORT, in Chinese as 〈端口〉; values for places that the text does not have are left out. The error names a place that no text
// may have, in the text or in values.
func (t Text) Render(l Lang, values Values) (string, error) {
	for name := range values {
		if _, known := places[name]; !known {
			return "", fmt.Errorf("cause: no text has a place {%s}", name)
		}
	}
	var unknown string
	s := placePattern.ReplaceAllStringFunc(t.In(l), func(place string) string {
		name := place[1 : len(place)-1]
		if value, given := values[name]; given {
			return value
		}
		sample, known := places[name]
		if !known {
			unknown = place
		}
		if l == Chinese {
			return stands[sample]
		}
		return sample
	})
	if unknown != "" {
		return "", fmt.Errorf("cause: unknown place %s in %q", unknown, t.In(l))
	}
	return s, nil
}

// Cause is an entry of the catalogue.
type Cause struct {
	ID       ID
	Severity Severity
	Stage    Stage
	Title    Text // a short sentence without places or a full stop
	Explain  Text // what happens, what the client sees, and how the server's side proves it
	Remedy   Text // what to do

	// ConsequenceOf names causes that bring this one about: when one of them is found too, it is the one to tell.
	ConsequenceOf []ID

	// Recipes names step-by-step instructions that belong to the remedy; see [LookupRecipe].
	Recipes []string
}

// Reason is the reason string of an MQTT 5 packet: "bad-credentials: the user name or the password is wrong". It says nothing
// that depends on the case, and so nothing that a stranger should not learn.
func (c Cause) Reason() string { return string(c.ID) + ": " + c.Title.EN }

var catalogue = func() map[ID]Cause {
	m := make(map[ID]Cause)
	for _, c := range entries() {
		if _, twice := m[c.ID]; twice {
			panic("cause: " + c.ID + " is in the catalogue twice")
		}
		m[c.ID] = c
	}
	return m
}()

func entries() []Cause {
	return slices.Concat(serverCauses, nameCauses, tcpCauses, firstBytesCauses, tlsCauses, acmeCauses, upgradeCauses, connectCauses, useCauses,
		stayCauses, appCauses, apiCauses, bridgeCauses, echoCauses, sentinelCauses)
}

// Lookup finds a cause by its id.
func Lookup(id ID) (Cause, bool) {
	c, ok := catalogue[id]
	return c, ok
}

// All gives the whole catalogue, ordered by stage and within a stage from the more to the less frequent.
func All() []Cause { return entries() }

// Reason is the reason string for id, see [Cause.Reason]; for an id that is not in the catalogue, the id itself.
func (id ID) Reason() string {
	if c, ok := catalogue[id]; ok {
		return c.Reason()
	}
	return string(id)
}

// Recipe is an instruction that several remedies share, such as how to open a port in one cloud's console.
type Recipe struct {
	Name  string
	Title Text
	Steps Text
}

// LookupRecipe finds a recipe by its name.
func LookupRecipe(name string) (Recipe, bool) {
	i := slices.IndexFunc(recipes, func(r Recipe) bool { return r.Name == name })
	if i < 0 {
		return Recipe{}, false
	}
	return recipes[i], true
}

// Recipes gives all recipes.
func Recipes() []Recipe { return slices.Clone(recipes) }

// Places gives the names of all places that texts may have, sorted.
func Places() []string { return slices.Sorted(maps.Keys(places)) }
