package doctor

import (
	"fmt"
	"strings"

	"picket/cause"
)

// Milliseconds is a span of time. It is a number in JSON.
type Milliseconds float64

// String is for people: "4 ms", "1.2 s".
func (ms Milliseconds) String() string {
	switch {
	case ms < 0.95:
		return "<1 ms"
	case ms < 999.5:
		return fmt.Sprintf("%.0f ms", float64(ms))
	case ms < 9995:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(ms)/1000), ".0") + " s"
	default:
		return fmt.Sprintf("%.0f s", float64(ms)/1000)
	}
}

// Say is a text whose two languages take the same arguments, in the same order.
func Say(en, zh string, args ...any) cause.Text {
	if len(args) == 0 {
		return cause.Text{EN: en, ZH: zh}
	}
	return cause.Text{EN: fmt.Sprintf(en, args...), ZH: fmt.Sprintf(zh, args...)}
}

// Mistake is something in a typed address that an app's form would not have understood.
type Mistake string

// The mistakes that [ParseTarget] corrects.
const (
	FullWidth   Mistake = "full-width"    // full-width signs: ： ／ 。 and digits
	Spaces      Mistake = "spaces"        // spaces, also in the middle
	Invisible   Mistake = "invisible"     // zero-width and other signs that cannot be seen
	Quotes      Mistake = "quotes"        // quotation marks or brackets around the address
	SchemeTwice Mistake = "scheme-twice"  // mqtt://mqtt://host
	Slashes     Mistake = "slashes"       // mqtt:/host, mqtt//host or backslashes
	WebScheme   Mistake = "web-scheme"    // http:// in place of mqtt:// or ws://
	EmptyPort   Mistake = "empty-port"    // host: without a port
	Separator   Mistake = "separator"     // host 1883 or host,1883
	NeedlessEnd Mistake = "needless-path" // a path behind an address without WebSocket
	EndMark     Mistake = "trailing-mark" // a full stop or a comma behind the address
	NoBrackets  Mistake = "no-brackets"   // an IPv6 address with a port and without brackets
	Commas      Mistake = "commas"        // 192,168,1,5
	Unescaped   Mistake = "unescaped"     // USER:PASS#WORD@HOST
	Letters     Mistake = "letters"       // 2O3.O.113.1O: letters that look like digits
)

var mistakeTexts = map[Mistake]cause.Text{
	FullWidth:   {EN: "full-width characters such as ： or 。", ZH: "全角字符，如 ： 或 。"},
	Spaces:      {EN: "spaces", ZH: "空格"},
	Invisible:   {EN: "invisible characters", ZH: "看不见的字符"},
	Quotes:      {EN: "quotation marks or brackets", ZH: "引号或括号"},
	SchemeTwice: {EN: "the scheme twice", ZH: "协议头写了两次"},
	Slashes:     {EN: "wrong slashes after the scheme", ZH: "协议头后面的斜杠不对"},
	WebScheme:   {EN: "http instead of mqtt or ws", ZH: "把 mqtt 或 ws 误写成了 http"},
	EmptyPort:   {EN: "a colon without a port", ZH: "冒号后面没有端口"},
	Separator:   {EN: "no colon before the port", ZH: "端口前面没有冒号"},
	NeedlessEnd: {EN: "a path, which only WebSocket has", ZH: "多余的路径（只有 WebSocket 才有路径）"},
	EndMark:     {EN: "a punctuation mark at the end", ZH: "末尾多了标点"},
	NoBrackets:  {EN: "no brackets around an IPv6 address", ZH: "IPv6 地址没有加方括号"},
	Commas:      {EN: "commas in place of dots", ZH: "把点误写成了逗号"},
	Unescaped:   {EN: "signs in the user or password that have to be written otherwise in an address (# as %23, / as %2F, ? as %3F)", ZH: "用户名或密码中有需要转义的字符（# 写作 %23，/ 写作 %2F，? 写作 %3F）"},
	Letters:     {EN: "letters in place of digits (O for 0, l or I for 1)", ZH: "把数字误写成了字母（O 当作 0，l 或 I 当作 1）"},
}

// Entered is the address as it was typed and as it was understood.
type Entered struct {
	Given    string    `json:"given"` // without a password
	URL      string    `json:"url"`
	Scheme   string    `json:"scheme"` // mqtt, mqtts, ws or wss
	Host     string    `json:"host"`
	Port     int       `json:"port"`
	Path     string    `json:"path,omitempty"` // of ws and wss
	Mistakes []Mistake `json:"mistakes,omitempty"`
}

func (Entered) Kind() string { return "entered" }

func (Entered) Stage() cause.Stage { return cause.Name }

func (e Entered) Outcome() Outcome {
	if len(e.Mistakes) > 0 {
		return Bad
	}
	return Note
}

func (e Entered) Text() cause.Text {
	if len(e.Mistakes) == 0 {
		return Say("the address is %s", "地址为 %s", e.URL)
	}
	var en, zh []string
	for _, m := range e.Mistakes {
		t, known := mistakeTexts[m]
		if !known {
			t = cause.Text{EN: string(m), ZH: string(m)}
		}
		en, zh = append(en, t.EN), append(zh, t.ZH)
	}
	return cause.Text{
		EN: fmt.Sprintf("%q has %s; read as %s", e.Given, strings.Join(en, " and "), e.URL),
		ZH: fmt.Sprintf("地址 “%s” 有误：%s；按 %s 理解", e.Given, strings.Join(zh, "、"), e.URL),
	}
}

// Client is what this machine has to connect with.
type Client struct {
	IPv4 bool `json:"ipv4"` // it has a route for IPv4 beyond itself
	IPv6 bool `json:"ipv6"`
	// Docker: it has a network of Docker's, so that a proxy of Docker's may stand before a broker here.
	Docker bool  `json:"docker,omitempty"`
	Time   int64 `json:"time"` // its clock, Unix seconds
	// Built is when this program was built, if that is known: a clock that shows an earlier time is wrong.
	Built int64 `json:"built,omitempty"`
}

func (Client) Kind() string { return "client" }

func (Client) Stage() cause.Stage { return cause.Name }

func (c Client) Outcome() Outcome {
	if !c.IPv4 && !c.IPv6 || c.Time < c.Built {
		return Bad
	}
	return Note
}

func (c Client) Text() cause.Text {
	var t cause.Text
	switch {
	case c.IPv4 && c.IPv6:
		t = cause.Text{EN: "this machine has IPv4 and IPv6", ZH: "本机有 IPv4 和 IPv6"}
	case c.IPv4:
		t = cause.Text{EN: "this machine has IPv4 and no IPv6", ZH: "本机只有 IPv4，没有 IPv6"}
	case c.IPv6:
		t = cause.Text{EN: "this machine has IPv6 and no IPv4", ZH: "本机只有 IPv6，没有 IPv4"}
	default:
		t = cause.Text{EN: "this machine has no network", ZH: "本机没有网络"}
	}
	if c.Time < c.Built {
		t.EN += "; its clock shows a time before this program was made"
		t.ZH += "；本机时钟早于本程序的编译时间"
	}
	return t
}

// Unfinished is that the time for the whole examination was over before everything had been tried.
type Unfinished struct {
	Seconds int        `json:"seconds"`
	During  cause.Text `json:"during"` // what was being tried
}

func (Unfinished) Kind() string       { return "unfinished" }
func (Unfinished) Stage() cause.Stage { return cause.Stay }
func (Unfinished) Outcome() Outcome   { return Note }

func (u Unfinished) Text() cause.Text {
	return cause.Text{
		EN: fmt.Sprintf("the %d seconds for all tests are over (%s); what was not tried by then is left out. --limit 2m gives more time", u.Seconds, u.During.EN),
		ZH: fmt.Sprintf("全部测试的 %d 秒时限已到（%s）；尚未进行的测试已略过。用 --limit 2m 可延长", u.Seconds, u.During.ZH),
	}
}

// What an Unseen may name.
const (
	UnseenICMP     = "icmp"
	UnseenPing     = "ping"
	UnseenDistance = "distance"
	UnseenFigures  = "tcp-figures"
	UnseenServers  = "name-servers"
)

// Unseen is what this system does not show, or not to this user, that tells causes apart. It is noted where the way ends.
type Unseen struct {
	System string   `json:"system"` // as Go calls it: linux, darwin, windows, …
	What   []string `json:"what"`
}

func (Unseen) Kind() string       { return "unseen" }
func (Unseen) Stage() cause.Stage { return cause.Stay }
func (Unseen) Outcome() Outcome   { return Note }

var unseenTexts = map[string]cause.Text{
	UnseenICMP:     {EN: "who rejects connections (ICMP messages; root or an administrator may see them)", ZH: "是谁拒绝了连接（ICMP 报文，root 或管理员才能看到）"},
	UnseenPing:     {EN: "whether the machine answers pings (root or an administrator may try)", ZH: "机器是否应答 ping（root 或管理员才能测试）"},
	UnseenDistance: {EN: "from how far away a refusal comes (root on Linux may see it)", ZH: "拒绝来自多远的地方（Linux 上 root 才能看到）"},
	UnseenFigures:  {EN: "what was acknowledged and sent again (Linux tells)", ZH: "哪些数据得到确认、哪些被重传（Linux 才提供）"},
	UnseenServers:  {EN: "what each name server says by itself", ZH: "每个 DNS 各自的回答"},
}

func (u Unseen) Text() cause.Text {
	var en, zh []string
	for _, w := range u.What {
		t, known := unseenTexts[w]
		if !known {
			t = same(w)
		}
		en, zh = append(en, t.EN), append(zh, t.ZH)
	}
	return cause.Text{EN: "not to be seen here: " + strings.Join(en, "; "), ZH: "在本机无法看到：" + strings.Join(zh, "；")}
}

// Results of a Lookup.
const (
	Found    = "found"
	None     = "none"    // the name exists without an address of this family, or does not exist
	TimedOut = "timeout" // no answer came in time
	Failed   = "failed"  // the resolver says that it cannot tell
)

// Lookup is a question to the name servers.
type Lookup struct {
	Host      string       `json:"host"`
	Record    string       `json:"record"` // A or AAAA
	Result    string       `json:"result"` // found, none, timeout, failed
	Addresses []string     `json:"addresses,omitempty"`
	Error     string       `json:"error,omitempty"`
	Ms        Milliseconds `json:"ms"`
}

func (Lookup) Kind() string { return "lookup" }

func (Lookup) Stage() cause.Stage { return cause.Name }

func (l Lookup) Outcome() Outcome {
	switch l.Result {
	case Found:
		return Good
	case None:
		return Note
	}
	return Bad
}

func (l Lookup) Text() cause.Text {
	family := map[string]string{"A": "IPv4", "AAAA": "IPv6"}[l.Record]
	switch l.Result {
	case Found:
		return Say("%s (%s): %s, after %v", "%s（%s）：%s，用时 %v", l.Host, l.Record, strings.Join(l.Addresses, ", "), l.Ms)
	case None:
		return Say("%s has no %s address (no %s record)", "%s 没有 %s 地址（没有 %s 记录）", l.Host, family, l.Record)
	case TimedOut:
		return Say("the name server has not answered about %s (%s) within %v", "名称服务器没有回答 %s（%s），已等待 %v", l.Host, l.Record, l.Ms)
	}
	return Say("the name server cannot tell about %s (%s): %s", "名称服务器无法解析 %s（%s）：%s", l.Host, l.Record, l.Error)
}

// NameServer is what one name server of the system says of a name's IPv4 addresses.
type NameServer struct {
	Server    string       `json:"server"`
	Host      string       `json:"host"`
	Result    string       `json:"result"` // as of Lookup
	Addresses []string     `json:"addresses,omitempty"`
	TTL       int          `json:"ttl,omitempty"` // for how many seconds the answer holds
	Ms        Milliseconds `json:"ms"`
}

func (NameServer) Kind() string       { return "name-server" }
func (NameServer) Stage() cause.Stage { return cause.Name }
func (NameServer) Outcome() Outcome   { return Note }

func (n NameServer) Text() cause.Text {
	switch n.Result {
	case Found:
		return Say("the name server %s says %s after %v, to be kept for %d s", "名称服务器 %s 回答 %s，用时 %v，可缓存 %d 秒", n.Server, strings.Join(n.Addresses, ", "), n.Ms, n.TTL)
	case None:
		return Say("the name server %s knows no IPv4 address of %s", "名称服务器 %s 没有 %s 的 IPv4 地址", n.Server, n.Host)
	case TimedOut:
		return Say("the name server %s does not answer within %v", "名称服务器 %s 在 %v 内没有应答", n.Server, n.Ms)
	}
	return Say("the name server %s cannot tell", "名称服务器 %s 无法回答", n.Server)
}

// Completed is that the name as it was entered does not exist, and was found with an ending that this machine puts behind names (search in
// /etc/resolv.conf).
type Completed struct {
	Host string `json:"host"`
}

func (Completed) Kind() string       { return "completed-name" }
func (Completed) Stage() cause.Stage { return cause.Name }
func (Completed) Outcome() Outcome   { return Note }

func (c Completed) Text() cause.Text {
	return Say("the name %s itself does not exist: it was found with an ending that this machine puts behind names (search domain)", "名称 %s 本身不存在：是加上本机的搜索域后缀（search）才找到的", c.Host)
}

// AnyName is that a name which was made up leads to an address that the target's name leads to.
type AnyName struct {
	Host    string `json:"host"`
	Address string `json:"address"`
}

func (AnyName) Kind() string       { return "any-name" }
func (AnyName) Stage() cause.Stage { return cause.Name }
func (AnyName) Outcome() Outcome   { return Note }

func (a AnyName) Text() cause.Text {
	return Say("%s, a name that was made up, leads to %s as well", "随意编造的名称 %s 也解析到 %s", a.Host, a.Address)
}

// HostsFile is that this machine has the name in a list of its own, which comes before the name servers.
type HostsFile struct {
	Host      string   `json:"host"`
	File      string   `json:"file"`
	Addresses []string `json:"addresses"`
}

func (HostsFile) Kind() string       { return "hosts-file" }
func (HostsFile) Stage() cause.Stage { return cause.Name }
func (HostsFile) Outcome() Outcome   { return Note }

func (h HostsFile) Text() cause.Text {
	return Say("%s on this machine says that %s is %s", "本机的 %s 写着 %s 是 %s", h.File, h.Host, strings.Join(h.Addresses, ", "))
}

// Route is by which interface this machine sends to an address.
type Route struct {
	Address   string `json:"address"`
	Source    string `json:"source"` // this machine's own address for it
	Interface string `json:"interface"`
	VPN       bool   `json:"vpn,omitempty"` // the interface is a tunnel's
	// Denied says that there is none, since a rule of this machine's own routing forbids it: no packet leaves.
	Denied bool `json:"denied,omitempty"`
}

func (Route) Kind() string       { return "route" }
func (Route) Stage() cause.Stage { return cause.Name }
func (Route) Outcome() Outcome   { return Note }

func (r Route) Text() cause.Text {
	if r.Denied {
		return Say("this machine's own routing forbids the way to %s", "本机的路由规则禁止访问 %s", r.Address)
	}
	if r.VPN {
		return Say("the way to %s leads through a VPN (%s)", "到 %s 的流量走 VPN（%s）", r.Address, r.Interface)
	}
	return Say("the way to %s leads over %s", "到 %s 的流量走 %s", r.Address, r.Interface)
}

// Classes of addresses.
const (
	Public    = "public"
	Private   = "private"    // RFC 1918 and unique local IPv6
	Shared    = "shared"     // 100.64.0.0/10, of carrier-grade NAT
	Loopback  = "loopback"   // this machine
	LinkLocal = "link-local" // 169.254.0.0/16, fe80::/10
	Example   = "example"    // reserved for documentation
	MadeUp    = "made-up"    // 198.18.0.0/15: proxy programs hand such addresses out in place of real ones ("fake IP")
)

// Address is what is known about an address without asking anyone.
type Address struct {
	Address string `json:"address"`
	Class   string `json:"class"`
	// Own: it belongs to this machine. Near: it is in a network that this machine is connected to, the one of the interface Near.
	Own  bool   `json:"own,omitempty"`
	Near string `json:"near,omitempty"`
	// CDN is the name of the content delivery network that the address belongs to.
	CDN string `json:"cdn,omitempty"`
}

func (Address) Kind() string { return "address" }

func (Address) Stage() cause.Stage { return cause.Name }

func (Address) Outcome() Outcome { return Note }

func (a Address) Text() cause.Text {
	class := map[string]cause.Text{
		Public: {EN: "a public address", ZH: "公网地址"}, Private: {EN: "a private address", ZH: "私有（内网）地址"},
		Shared: {EN: "an address of a provider's NAT", ZH: "运营商 NAT 地址"}, Loopback: {EN: "this machine itself", ZH: "本机回环地址"},
		LinkLocal: {EN: "an address that is valid on one cable or Wi-Fi only", ZH: "链路本地地址"}, Example: {EN: "an address for examples", ZH: "文档示例地址"},
		MadeUp: {EN: "an address as proxy programs make up (fake IP)", ZH: "代理软件虚构的地址（fake-ip）"},
	}[a.Class]
	t := cause.Text{EN: a.Address + " is " + class.EN, ZH: a.Address + " 是" + class.ZH}
	switch {
	case a.CDN != "":
		t.EN += " of the content delivery network " + a.CDN
		t.ZH += "，属于 CDN " + a.CDN
	case a.Own && a.Class != Loopback:
		t.EN += ", one of this machine's own"
		t.ZH += "，就是本机自己的地址"
	case a.Near != "":
		t.EN += " in this machine's own network (" + a.Near + ")"
		t.ZH += "，与本机在同一网络（" + a.Near + "）"
	case a.Class == Private:
		t.EN += " outside of this machine's own networks"
		t.ZH += "，不在本机所在的网络里"
	}
	return t
}
