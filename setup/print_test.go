package setup

import (
	"net/netip"
	"strings"
	"testing"

	"rsc.io/qr"

	"picket/access"
	"picket/cause"
	"picket/cloud"
	"picket/listener"
	"picket/reach"
)

var network = reach.Host{
	Interfaces: []reach.Interface{
		{Name: "lo", Kind: reach.Loopback, Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}},
		{Name: "docker0", Kind: reach.GuestBridge, Addrs: []netip.Addr{netip.MustParseAddr("172.17.0.1")}},
		{Name: "wlan0", Addrs: []netip.Addr{netip.MustParseAddr("192.168.1.20"), netip.MustParseAddr("fd00::20")}},
	},
	Outbound4: netip.MustParseAddr("192.168.1.20"),
}

func report(l listener.Config, h reach.Host) reach.Report {
	return reach.Of([]reach.Door{{Listener: &l, Anonymous: access.AnonymousLocal}}, h)
}

func TestPrint(t *testing.T) {
	r := &Result{Password: "abcdef-ghjkmn-pqrstu", PasswordFile: "/data/passwords", CAFile: "/data/ca.crt", NoteFile: "/data/first-password"}
	all := listener.Config{Port: 1883, Protocol: listener.Auto, TLS: listener.TLS{CertFile: "/data/server.pem"}}
	for lang, want := range map[cause.Lang]string{
		cause.English: `
Picket has made a user for clients on other machines. Clients on this machine need none.

    user      picket
    password  in the file /data/first-password

Note the password down and remove the file: apart from it only a hash is kept.
For another password: picket passwd /data/passwords picket

On a phone in the same network, enter in any MQTT app:

    host      192.168.1.20
    port      1883
    TLS       off; or on, once /data/ca.crt is installed on the phone

Other addresses, if that one does not work: fd00::20 (wlan0)

Port 1883 (MQTT, WebSocket, TLS) can be reached from this machine (127.0.0.1), containers and virtual machines on it (172.17.0.1 on docker0), this network (192.168.1.20 on wlan0, fd00::20 on wlan0). Only clients on this machine need no password.
Whoever comes through a proxy or tunnel on this machine that leaves no trace (ssh -L, a plain TCP forwarder) counts as a client on this machine and needs no password; proxy_from or allow_anonymous false prevents that.
Not known from here: firewalls and security groups that close these ports, and routers that open them to the internet.
`,
		cause.Chinese: `
Picket 已为其他机器上的客户端创建了用户，本机客户端不需要密码。

    用户    picket
    密码    保存在文件 /data/first-password 中

请记下密码后删除该文件：除此之外系统只保存哈希。
需要更换时运行：picket passwd /data/passwords picket

让手机连到同一网络，在任意 MQTT 应用中填写：

    主机    192.168.1.20
    端口    1883
    TLS     关闭；若要打开，先在手机上安装 /data/ca.crt

如果上面的地址不通，可以试试：fd00::20 (wlan0)

端口 1883（MQTT、WebSocket、TLS）可从以下位置访问：本机（127.0.0.1）、本机上的容器和虚拟机（网卡 docker0 的 172.17.0.1）、本地网络（网卡 wlan0 的 192.168.1.20、网卡 wlan0 的 fd00::20）。只有本机客户端可以免密码。
经本机上不留痕迹的代理或隧道（ssh -L、普通 TCP 转发）进来的连接会被当作本机客户端，不需要密码；用 proxy_from 或 allow_anonymous false 可以避免。
从本机无法得知：防火墙、安全组是否拦截这些端口，路由器是否把它们开放到公网。
`,
	} {
		var out strings.Builder
		if err := r.Print(&out, Shown{Lang: lang}, report(all, network), &Place{}); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%s: got\n%s\nwant\n%s", lang, &out, want)
		}
	}
}

func TestPrintOnATerminalEndsWithTheCode(t *testing.T) {
	r := &Result{Password: "abcdef-ghjkmn-pqrstu"}
	var out strings.Builder
	if err := r.Print(&out, Shown{Lang: cause.English, Terminal: true}, report(listener.Config{Port: 1883}, network), &Place{}); err != nil {
		t.Fatal(err)
	}
	code, err := QRCode("mqtt://picket:abcdef-ghjkmn-pqrstu@192.168.1.20:1883")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(out.String(), code+"\n") {
		t.Error("the QR code of the address with user and password is missing")
	}
}

// The page's code comes first: a phone's camera opens it. No secret is in it.
func TestPrintNamesThePage(t *testing.T) {
	r := &Result{Password: "abcdef-ghjkmn-pqrstu"}
	l := listener.Config{Port: 1883, Protocol: listener.Auto, TLS: listener.TLS{CertFile: "x"}}
	doors := reach.Of([]reach.Door{{Listener: &l, Page: true}}, network)
	code, err := QRCode("http://192.168.1.20:1883/")
	if err != nil {
		t.Fatal(err)
	}
	for lang, want := range map[cause.Lang]string{
		cause.English: "The phone's browser can test it: http://192.168.1.20:1883/\n",
		cause.Chinese: "也可以用手机浏览器测试：http://192.168.1.20:1883/\n",
	} {
		for _, terminal := range []bool{false, true} {
			var out strings.Builder
			if err := r.Print(&out, Shown{Lang: lang, Terminal: terminal}, doors, &Place{}); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), want) || strings.Contains(out.String(), code) != terminal {
				t.Errorf("%s: %s", lang, &out)
			}
		}
	}
}

func TestPrintWhereNoPhoneCanReach(t *testing.T) {
	r := &Result{Password: "abcdef-ghjkmn-pqrstu"}
	inside := network
	inside.Container = true
	for name, c := range map[string]struct {
		report reach.Report
		want   string
	}{
		"loopback":  {report(listener.Config{Port: 1883, Address: "127.0.0.1"}, network), "No phone can reach the broker"},
		"container": {report(listener.Config{Port: 1883}, inside), "the address of the machine that runs this container, and the port that it publishes for port 1883"},
	} {
		var out strings.Builder
		if err := r.Print(&out, Shown{Lang: cause.English, Terminal: true}, c.report, &Place{}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), c.want) || strings.Contains(out.String(), "█") || strings.Contains(out.String(), "host ") {
			t.Errorf("%s: got\n%s", name, &out)
		}
	}
}

// On a cloud server the address is the public one, the ports to open are named with their place in the console, and TLS comes first.
func TestPrintInACloud(t *testing.T) {
	private := reach.Host{
		Interfaces: []reach.Interface{{Name: "eth0", Addrs: []netip.Addr{netip.MustParseAddr("10.0.4.12")}}},
		Outbound4:  netip.MustParseAddr("10.0.4.12"),
	}
	alibaba, _ := cloud.Lookup("alibaba")
	all := listener.Config{Port: 1883, Protocol: listener.Auto, TLS: listener.TLS{CertFile: "/data/server.pem"}}
	doors := reach.Of([]reach.Door{{Listener: &all, Anonymous: access.AnonymousLocal, Page: true}}, private)
	r := &Result{Password: "abcdef-ghjkmn-pqrstu", PasswordFile: "/data/passwords", CAFile: "/data/ca.crt"}
	public := []netip.Addr{netip.MustParseAddr("203.0.113.7")}
	for name, c := range map[string]struct {
		show   Shown
		place  Place
		want   []string
		absent []string
	}{
		"public": {
			Shown{Lang: cause.English, Terminal: true, Hint: true}, Place{Cloud: &alibaba, Public: public, Asked: true},
			[]string{"host      203.0.113.7\n", "port      1883\n", "TLS       on, once /data/ca.crt is installed", "open TCP port 1883 to the internet in the console of Alibaba Cloud", alibaba.Console.EN,
				"http://203.0.113.7:1883/", "picket show --lang zh"},
			[]string{"same network", "10.0.4.12/", "host      10."},
		},
		"in Chinese": {
			Shown{Lang: cause.Chinese, Hint: true}, Place{Cloud: &alibaba, Public: public, Asked: true},
			[]string{"主机    203.0.113.7\n", "在阿里云控制台对公网放行 TCP 端口 1883", alibaba.Console.ZH},
			[]string{"同一网络", "In Chinese"},
		},
		"public, with a file": {
			Shown{Lang: cause.English, Config: "/etc/p.conf"}, Place{Cloud: &alibaba, Public: public, Asked: true},
			[]string{"open TCP port 80 as well, add the line \"acme_name auto\"", "\n/etc/p.conf, and restart the broker"}, []string{"picket serve", "%"},
		},
		"public, with a file, in Chinese": {
			Shown{Lang: cause.Chinese, Config: "/etc/p.conf"}, Place{Cloud: &alibaba, Public: public, Asked: true},
			[]string{"在 /etc/p.conf 中加一行 acme_name auto"}, []string{"picket serve", "%"},
		},
		"nobody tells, with a file": {
			Shown{Lang: cause.English, Config: "/etc/p.conf"}, Place{Cloud: &alibaba},
			[]string{"within Alibaba Cloud.", "add the line \"server_name ADDRESS\" to /etc/p.conf, then: sudo picket ctl reload"}, []string{"picket serve", "%"},
		},
		"nobody tells, with a file, in Chinese": {
			Shown{Lang: cause.Chinese, Config: "/etc/p.conf"}, Place{Cloud: &alibaba},
			[]string{"上面是阿里云的内网地址", "在 /etc/p.conf 中加一行 server_name 公网地址，然后运行 sudo picket ctl reload"}, []string{"picket serve", "%"},
		},
		"nobody tells": {
			Shown{Lang: cause.English}, Place{Cloud: &alibaba},
			[]string{"host      10.0.4.12\n", "That is an address within Alibaba Cloud.", "picket serve --name ADDRESS"}, nil,
		},
		"named": {
			Shown{Lang: cause.English}, Place{Cloud: &alibaba, Names: []string{"mqtt.example.com"}, Public: public},
			[]string{"host      mqtt.example.com\n", "http://mqtt.example.com:1883/"}, []string{"That is an address within"},
		},
	} {
		var out strings.Builder
		if err := r.Print(&out, c.show, doors, &c.place); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: no %q in\n%s", name, want, &out)
			}
		}
		for _, absent := range c.absent {
			if strings.Contains(out.String(), absent) {
				t.Errorf("%s: %q in\n%s", name, absent, &out)
			}
		}
	}
	target, _ := (&Place{Public: public}).Target(doors)
	if got := target.URL("u:p"); got != "mqtts://u:p@203.0.113.7:1883" {
		t.Errorf("for an app: %s", got)
	}
}

// Once the password has been seen, it is not shown; what to enter still is.
func TestPrintLater(t *testing.T) {
	var out strings.Builder
	r := &Result{PasswordFile: "/data/passwords"}
	if err := r.Print(&out, Shown{Terminal: true}, report(listener.Config{Port: 1883, Protocol: listener.Auto}, network), &Place{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "host      192.168.1.20\n") || strings.Contains(out.String(), "password  ") || strings.Contains(out.String(), "\u2588") {
		t.Errorf("printed\n%s", &out)
	}
}

// The drawing is read back as a scanner sees it: colours set, every module in its place, the quiet zone white.
func TestQRCode(t *testing.T) {
	const text = "mqtt://picket:abcdef-ghjkmn-pqrstu@192.168.1.20:1883"
	drawn, err := QRCode(text)
	if err != nil {
		t.Fatal(err)
	}
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]bool
	for line := range strings.Lines(drawn) {
		line, ok := strings.CutPrefix(line, "\x1b[38;5;16;48;5;231m")
		if !ok {
			t.Fatalf("a line does not set its colours: %q", line)
		}
		line, ok = strings.CutSuffix(line, "\x1b[0m\n")
		if !ok {
			t.Fatalf("a line does not reset its colours: %q", line)
		}
		var upper, lower []bool
		for _, r := range line {
			upper = append(upper, r == '█' || r == '▀')
			lower = append(lower, r == '█' || r == '▄')
		}
		rows = append(rows, upper, lower)
	}
	if len(rows) < code.Size+2*quietZone || len(rows[0]) != code.Size+2*quietZone {
		t.Fatalf("%d rows of %d, want %d", len(rows), len(rows[0]), code.Size+2*quietZone)
	}
	for y, row := range rows {
		for x, black := range row {
			inside := x >= quietZone && y >= quietZone && x < code.Size+quietZone && y < code.Size+quietZone
			if want := inside && code.Black(x-quietZone, y-quietZone); black != want {
				t.Fatalf("the module at %d, %d is black: %t, want %t", x, y, black, want)
			}
		}
	}
	if len(rows[0]) > 80 {
		t.Errorf("the code is %d columns wide", len(rows[0]))
	}
}
