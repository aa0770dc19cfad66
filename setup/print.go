package setup

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"

	"picket/cause"
	"picket/reach"
)

// Shown says what [Result.Print] is for.
type Shown struct {
	Lang     cause.Lang
	Terminal bool   // codes are drawn, and the password is shown
	Config   string // path of the configuration file that the broker runs with; empty: none
	// Hint: nothing tells the person's language, so that people of a Chinese cloud are told how to get Chinese.
	Hint bool
	// Trusted: a public authority certifies the server, so that a phone needs nothing installed.
	Trusted bool
}

// Print shows what to enter on a phone: user, password, address and port; on a cloud server also which port to open and where; who can reach the
// broker; and on a terminal two QR codes, of the page for the phone's browser and of the address for an app. The password is shown while nobody has
// seen it yet: what does not go to a terminal stays in journals and log files, so there the file is named that it is noted in.
func (r *Result) Print(w io.Writer, show Shown, report reach.Report, place *Place) error {
	t := welcome[show.Lang]
	var b strings.Builder
	r.printUser(&b, show, &t)
	target, ok := place.Target(report)
	switch {
	case ok && report.Container && len(place.Names) == 0:
		// The addresses in here are not those that a phone can reach.
		ok = false
		fmt.Fprintf(&b, t.container, target.Opening.Listener.Port)
	case ok:
		r.printTarget(&b, show, &t, target, report, place)
	default:
		b.WriteString(t.nophone)
	}
	b.WriteString("\n")
	for _, line := range report.Lines(show.Lang) {
		b.WriteString(line.Text + "\n")
	}
	if err := r.printCodes(&b, show, &t, target, ok, report, place); err != nil {
		return err
	}
	if show.Hint && place.Cloud != nil && place.Cloud.Chinese && show.Lang == cause.English {
		b.WriteString("\n中文说明：picket show --lang zh\nIn Chinese: picket show --lang zh\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Result) printUser(b *strings.Builder, show Shown, t *welcomeText) {
	switch {
	case r.Password == "":
		fmt.Fprintf(b, t.known, User, r.PasswordFile)
	case show.Terminal:
		fmt.Fprintf(b, t.user, User, r.Password, r.PasswordFile)
	default:
		fmt.Fprintf(b, t.noted, User, r.NoteFile, r.PasswordFile)
	}
}

// printTarget says what to enter, and what has to be done before.
func (r *Result) printTarget(b *strings.Builder, show Shown, t *welcomeText, target Target, report reach.Report, place *Place) {
	port := target.Opening.Listener.Port
	tls := fmt.Sprintf(t.tlsLater, r.CAFile)
	switch {
	case show.Trusted:
		tls = t.tlsTrusted
	case target.Internet:
		tls = fmt.Sprintf(t.tlsFirst, r.CAFile)
	}
	intro := t.near
	if target.Internet {
		intro = t.far
	}
	fmt.Fprintf(b, t.phone, intro, target.Host, port, tls)
	_, addr, _ := report.Phone()
	switch others := others(target, addr); {
	case place.Lost(target):
		fmt.Fprintf(b, t.lost, place.Cloud.Name.In(show.Lang), t.way(show.Config, t.name, t.nameFile))
	case len(others) > 0 && !target.Internet:
		fmt.Fprintf(b, t.others, strings.Join(others, t.comma))
	}
	if target.Internet && !show.Trusted {
		fmt.Fprintf(b, t.offer, t.way(show.Config, t.acme, t.acmeFile))
	}
	if place.Cloud != nil {
		fmt.Fprintf(b, t.open, port, place.Cloud.Name.In(show.Lang), place.Cloud.Console.In(show.Lang))
	}
}

func (r *Result) printCodes(b *strings.Builder, show Shown, t *welcomeText, target Target, ok bool, report reach.Report, place *Place) error {
	if link := place.PageURL(report); link != "" && ok {
		if show.Trusted {
			link = "https" + strings.TrimPrefix(link, "http")
		}
		fmt.Fprintf(b, t.page, link)
		if show.Terminal {
			code, err := QRCode(link)
			if err != nil {
				return fmt.Errorf("QR code of %d characters: %w", len(link), err)
			}
			b.WriteString("\n" + code)
		}
	}
	if !ok || !show.Terminal || r.Password == "" {
		return nil
	}
	address := target.URL(url.UserPassword(User, r.Password).String())
	code, err := QRCode(address)
	if err != nil {
		return fmt.Errorf("QR code of %d characters: %w", len(address), err)
	}
	fmt.Fprintf(b, t.qr, code)
	return nil
}

// URL is what an app can read from a code: over the internet with TLS where the listener has it.
func (t Target) URL(userinfo string) string {
	address := t.Opening.URL(t.Opening.Addresses[0], userinfo)
	scheme, _, _ := strings.Cut(address, "://")
	if t.Internet && scheme == "mqtt" && t.Opening.Listener.TLS.CertFile != "" {
		scheme = "mqtts"
	}
	if userinfo != "" {
		userinfo += "@"
	}
	return scheme + "://" + userinfo + net.JoinHostPort(t.Host, strconv.Itoa(t.Opening.Listener.Port))
}

// others are the further addresses that a phone may try, with the interface each belongs to.
func others(t Target, best reach.Address) (list []string) {
	for _, a := range t.Opening.Addresses {
		if (a != best || t.Host != best.Addr.String()) && a.Scope > reach.Guests {
			list = append(list, fmt.Sprintf("%s (%s)", a.Addr, a.Interface))
		}
	}
	return list
}

// way says how something is told to the broker: on the command line, or in the configuration file that it runs with.
func (t *welcomeText) way(config, command, line string) string {
	if config == "" {
		return command
	}
	return fmt.Sprintf(line, config)
}

type welcomeText struct {
	user, noted, known                                  string
	phone, near, far, tlsLater, tlsFirst, tlsTrusted    string
	page, others, lost, offer, open, container, nophone string
	name, nameFile, acme, acmeFile                      string
	qr, comma                                           string
}

var welcome = map[cause.Lang]welcomeText{
	cause.English: {
		user: `
Picket has made a user for clients on other machines. Clients on this machine need none.

    user      %s
    password  %s

Note the password down: only a hash of it is kept, and it is not shown again.
For another one: picket passwd %s picket
`,
		noted: `
Picket has made a user for clients on other machines. Clients on this machine need none.

    user      %s
    password  in the file %s

Note the password down and remove the file: apart from it only a hash is kept.
For another password: picket passwd %s picket
`,
		known: `
Clients on other machines need a user and a password. The first start made the user %s; all users are in
%s. For a new password: picket show --new-password
`,
		phone: `
%s

    host      %s
    port      %d
    TLS       %s
`,
		near:       "On a phone in the same network, enter in any MQTT app:",
		far:        "On a phone, in any network, enter in any MQTT app:",
		tlsLater:   "off; or on, once %s is installed on the phone",
		tlsFirst:   "on, once %s is installed on the phone\n              (without TLS everybody on the way can read user and password)",
		tlsTrusted: "on",
		page:       "\nThe phone's browser can test it: %s\n",
		others:     "\nOther addresses, if that one does not work: %s\n",
		lost:       "\nThat is an address within %[1]s. Phones need the public one, which the console shows; say it once:%[2]s\n",
		name:       " picket serve --name ADDRESS",
		nameFile:   "\nadd the line \"server_name ADDRESS\" to %s, then: sudo picket ctl reload",
		offer:      "\nFor a certificate that phones trust by themselves, open TCP port 80 as well%s\n",
		acme:       ": picket serve --acme (or --domain NAME)",
		acmeFile:   ", add the line \"acme_name auto\" (or acme_name and a name) to\n%s, and restart the broker; as a service: sudo systemctl restart picket",
		open:       "\nBefore that, open TCP port %d to the internet in the console of %s:\n\n    %s\n",
		container:  "\nOn a phone, enter the address of the machine that runs this container, and the port that it publishes for port %d.\n",
		nophone:    "\nNo phone can reach the broker: it listens on this machine only.\n",
		qr:         "\nFor an app, the address with user and password, to scan rather than type:\n\n%s\n",
		comma:      ", ",
	},
	cause.Chinese: {
		user: `
Picket 已为其他机器上的客户端创建了用户，本机客户端不需要密码。

    用户    %s
    密码    %s

请记下密码：系统只保存哈希，以后不会再显示。
需要更换时运行：picket passwd %s picket
`,
		noted: `
Picket 已为其他机器上的客户端创建了用户，本机客户端不需要密码。

    用户    %s
    密码    保存在文件 %s 中

请记下密码后删除该文件：除此之外系统只保存哈希。
需要更换时运行：picket passwd %s picket
`,
		known: `
其他机器上的客户端需要用户名和密码。首次启动创建的用户是 %s，所有用户保存在
%s。需要新密码时运行：picket show --new-password
`,
		phone: `
%s

    主机    %s
    端口    %d
    TLS     %s
`,
		near:       "让手机连到同一网络，在任意 MQTT 应用中填写：",
		far:        "手机用任何网络都可以，在任意 MQTT 应用中填写：",
		tlsLater:   "关闭；若要打开，先在手机上安装 %s",
		tlsFirst:   "打开，先在手机上安装 %s\n            （不用 TLS 时，用户名和密码在网络上是明文）",
		tlsTrusted: "打开",
		page:       "\n也可以用手机浏览器测试：%s\n",
		others:     "\n如果上面的地址不通，可以试试：%s\n",
		lost:       "\n上面是%[1]s的内网地址。手机需要公网地址，可在控制台查到，告诉 Picket 一次即可：%[2]s\n",
		name:       "picket serve --name 公网地址",
		nameFile:   "\n在 %s 中加一行 server_name 公网地址，然后运行 sudo picket ctl reload",
		offer:      "\n想让手机直接信任证书，请同时放行 TCP 80 端口，%s\n",
		acme:       "然后运行：picket serve --acme（有域名时用 --domain 域名）",
		acmeFile:   "在 %s 中加一行 acme_name auto（有域名时写 acme_name 域名），\n然后重启服务端；作为系统服务运行时：sudo systemctl restart picket",
		open:       "\n在此之前，请在%[2]s控制台对公网放行 TCP 端口 %[1]d：\n\n    %[3]s\n",
		container:  "\n在手机上填写运行本容器的宿主机地址，以及它为端口 %d 映射的端口。\n",
		nophone:    "\n手机无法连接：服务端只监听本机。\n",
		qr:         "\n供 MQTT 应用扫描的二维码，内含地址、用户名和密码，不必手动输入：\n\n%s\n",
		comma:      "、",
	},
}
