package reach

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"picket/access"
	"picket/cause"
	"picket/listener"
)

// home is a machine with everything: Wi-Fi, containers, a VPN and a global IPv6 address.
var home = Host{
	Interfaces: []Interface{
		{Name: "lo", Kind: Loopback, Addrs: addrs("127.0.0.1", "::1")},
		{Name: "docker0", Kind: GuestBridge, Addrs: addrs("172.17.0.1", "fe80::42")},
		{Name: "eth0", Addrs: addrs("10.0.0.7")},
		{Name: "wlan0", Addrs: addrs("192.168.1.20", "fe80::1", "fd00::20", "2a02:8071::20")},
		{Name: "tailscale0", Kind: Tunnel, Addrs: addrs("100.100.1.2")},
	},
	Outbound4: netip.MustParseAddr("192.168.1.20"),
	Outbound6: netip.MustParseAddr("2a02:8071::20"),
}

func addrs(s ...string) (a []netip.Addr) {
	for _, text := range s {
		a = append(a, netip.MustParseAddr(text))
	}
	return a
}

func TestWhichAddressesAListenerAnswersAt(t *testing.T) {
	for _, c := range []struct {
		name  string
		l     listener.Config
		want  string
		scope Scope
	}{
		{"all", listener.Config{Port: 1883}, "192.168.1.20 10.0.0.7 fd00::20 2a02:8071::20 100.100.1.2 172.17.0.1 127.0.0.1 ::1", Internet},
		{"IPv4 by socket_domain", listener.Config{Port: 1883, Domain: "ipv4"}, "192.168.1.20 10.0.0.7 100.100.1.2 172.17.0.1 127.0.0.1", Network},
		{"IPv6 by socket_domain", listener.Config{Port: 1883, Domain: "ipv6"}, "fd00::20 2a02:8071::20 ::1", Internet},
		{"0.0.0.0", listener.Config{Port: 1883, Address: "0.0.0.0"}, "192.168.1.20 10.0.0.7 100.100.1.2 172.17.0.1 127.0.0.1", Network},
		{"::", listener.Config{Port: 1883, Address: "::"}, "fd00::20 2a02:8071::20 ::1", Internet},
		{"loopback", listener.Config{Port: 1883, Address: "127.0.0.1"}, "127.0.0.1", Machine},
		{"localhost", listener.Config{Port: 1883, Address: "localhost"}, "127.0.0.1 ::1", Machine},
		{"one address", listener.Config{Port: 1883, Address: "10.0.0.7"}, "10.0.0.7", Network},
		{"containers' bridge", listener.Config{Port: 1883, Address: "172.17.0.1"}, "172.17.0.1", Guests},
		{"bind_interface", listener.Config{Port: 1883, Interface: "tailscale0"}, "100.100.1.2", VPN},
		{"an address of another machine", listener.Config{Port: 1883, Address: "10.9.9.9"}, "", Machine},
		{"a name", listener.Config{Port: 1883, Address: "mqtt.example.com"}, "", Machine},
		{"a socket", listener.Config{Path: "/run/picket.sock"}, "", Machine},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Of([]Door{{Listener: &c.l}}, home).Openings[0]
			var got []string
			for _, a := range o.Addresses {
				got = append(got, a.Addr.String())
			}
			if strings.Join(got, " ") != c.want || o.Scope != c.scope {
				t.Errorf("got %v up to scope %d, want %s up to scope %d", got, o.Scope, c.want, c.scope)
			}
		})
	}
}

func TestScopesOfAddresses(t *testing.T) {
	for addr, want := range map[string]Scope{
		"127.0.0.1": Machine, "::1": Machine,
		"10.1.2.3": Network, "172.31.0.1": Network, "192.168.0.1": Network, "fd12::1": Network,
		"100.64.0.1": Network, "192.0.2.2": Network, "2001:db8::1": Network,
		"8.8.8.8": Internet, "172.32.0.1": Internet, "2a02::1": Internet,
	} {
		if got := ScopeOf(Interface{Name: "eth0"}, netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got scope %d, want %d", addr, got, want)
		}
	}
}

func TestLines(t *testing.T) {
	doors := []Door{
		{Listener: &listener.Config{Port: 1883, Protocol: listener.Auto, TLS: listener.TLS{CertFile: "server.pem"}}, Anonymous: access.AnonymousLocal},
		{Listener: &listener.Config{Port: 1884, Address: "127.0.0.1"}, Anonymous: access.AnonymousAlways},
		{Listener: &listener.Config{Port: 1885, Address: "10.0.0.7"}, Anonymous: access.AnonymousAlways},
		{Listener: &listener.Config{Port: 1886, Address: "10.0.0.7", Protocol: listener.WebSocket}, Anonymous: access.AnonymousAlways, Limited: true},
		{Listener: &listener.Config{Port: 8883, Address: "10.0.0.7", TLS: listener.TLS{CertFile: "server.pem"}}, Anonymous: access.AnonymousAlways, Named: true},
		{Listener: &listener.Config{Port: 1887, Address: "mqtt.example.com"}},
		{Listener: &listener.Config{Port: 1888, Address: "10.9.9.9"}},
		{Listener: &listener.Config{Path: "/run/picket.sock"}},
		{Listener: &listener.Config{Path: "/run/empty.sock"}, NoUsers: true},
		{Listener: &listener.Config{Path: "/run/local.sock"}, Anonymous: access.AnonymousLocal, NoUsers: true},
	}
	for lang, want := range map[cause.Lang]string{
		cause.English: `
Port 1883 (MQTT, WebSocket, TLS) can be reached from this machine (127.0.0.1, ::1), containers and virtual machines on it (172.17.0.1 on docker0), the VPN (100.100.1.2 on tailscale0), this network (192.168.1.20 on wlan0, 10.0.0.7 on eth0, fd00::20 on wlan0), the whole internet (2a02:8071::20 on wlan0). Only clients on this machine need no password.
Port 1884 (MQTT) can be reached from this machine (127.0.0.1). Nobody needs a password. [loopback-only]
Port 1885 (MQTT) can be reached from this network (10.0.0.7 on eth0). Nobody needs a password. [open-to-everyone]
Port 1886 (WebSocket) can be reached from this network (10.0.0.7 on eth0). Clients without a password may do what the ACL file allows them.
Port 8883 (MQTT, TLS) can be reached from this network (10.0.0.7 on eth0). Every client needs a certificate, which says who it is; nobody needs a password.
Port 1887 (MQTT) can be reached from wherever the name mqtt.example.com leads to. Every client needs a password.
Port 1888 (MQTT) is bound to an address that this machine does not have. Every client needs a password.
The socket /run/picket.sock can be reached from this machine. Every client needs a password.
The socket /run/empty.sock can be reached from this machine. Nobody can log in: there are no users. [no-password-file]
The socket /run/local.sock can be reached from this machine. Only clients on this machine can log in, without a password: there are no users.
Whoever comes through a proxy or tunnel on this machine that leaves no trace (ssh -L, a plain TCP forwarder) counts as a client on this machine and needs no password; proxy_from or allow_anonymous false prevents that.
Not known from here: firewalls and security groups that close these ports, and routers that open them to the internet.
`,
		cause.Chinese: `
端口 1883（MQTT、WebSocket、TLS）可从以下位置访问：本机（127.0.0.1、::1）、本机上的容器和虚拟机（网卡 docker0 的 172.17.0.1）、VPN（网卡 tailscale0 的 100.100.1.2）、本地网络（网卡 wlan0 的 192.168.1.20、网卡 eth0 的 10.0.0.7、网卡 wlan0 的 fd00::20）、整个互联网（网卡 wlan0 的 2a02:8071::20）。只有本机客户端可以免密码。
端口 1884（MQTT）可从以下位置访问：本机（127.0.0.1）。任何人都不需要密码。 [loopback-only]
端口 1885（MQTT）可从以下位置访问：本地网络（网卡 eth0 的 10.0.0.7）。任何人都不需要密码。 [open-to-everyone]
端口 1886（WebSocket）可从以下位置访问：本地网络（网卡 eth0 的 10.0.0.7）。没有密码的客户端只能做 ACL 文件允许的事。
端口 8883（MQTT、TLS）可从以下位置访问：本地网络（网卡 eth0 的 10.0.0.7）。所有客户端都需要证书，身份以证书为准，不需要密码。
端口 1887（MQTT）可从域名 mqtt.example.com 指向的位置访问。所有客户端都需要密码。
端口 1888（MQTT）绑定的地址不在本机上。所有客户端都需要密码。
套接字 /run/picket.sock 仅本机可访问。所有客户端都需要密码。
套接字 /run/empty.sock 仅本机可访问。没有任何用户，谁都无法登录。 [no-password-file]
套接字 /run/local.sock 仅本机可访问。没有任何用户，只有本机客户端可以免密码登录。
经本机上不留痕迹的代理或隧道（ssh -L、普通 TCP 转发）进来的连接会被当作本机客户端，不需要密码；用 proxy_from 或 allow_anonymous false 可以避免。
从本机无法得知：防火墙、安全组是否拦截这些端口，路由器是否把它们开放到公网。
`,
	} {
		got := "\n"
		for _, line := range Of(doors, home).Lines(lang) {
			got += line.Text
			if line.Cause != "" {
				got += fmt.Sprintf(" [%s]", line.Cause)
			}
			got += "\n"
		}
		if got != want {
			t.Errorf("%s: got %swant %s", lang, got, want)
		}
	}
}

func TestBoundToAMissingAddressIsNotCalledLoopback(t *testing.T) {
	o := Of([]Door{{Listener: &listener.Config{Port: 1888, Address: "10.9.9.9"}}}, home).Openings[0]
	if got := o.Cause(); got != "" {
		t.Errorf("the cause is %q", got)
	}
}

func TestContainer(t *testing.T) {
	m := home
	m.Container = true
	lines := Of([]Door{{Listener: &listener.Config{Port: 1883}}}, m).Lines(cause.English)
	if last := lines[len(lines)-1].Text; !strings.HasPrefix(last, "This is a container") {
		t.Errorf("the last line is %q", last)
	}
}

func TestPhone(t *testing.T) {
	local := Door{Listener: &listener.Config{Port: 1884, Address: "127.0.0.1"}}
	if _, _, ok := Of([]Door{local}, home).Phone(); ok {
		t.Error("a phone was sent to the loopback address")
	}
	for _, c := range []struct {
		l        listener.Config
		userinfo string
		want     string
	}{
		{listener.Config{Port: 1883}, "picket", "mqtt://picket@192.168.1.20:1883"},
		{listener.Config{Port: 8883, TLS: listener.TLS{CertFile: "x"}}, "", "mqtts://192.168.1.20:8883"},
		{listener.Config{Port: 9001, Protocol: listener.WebSocket}, "", "ws://192.168.1.20:9001"},
		{listener.Config{Port: 443, Protocol: listener.WebSocket, TLS: listener.TLS{CertFile: "x"}}, "", "wss://192.168.1.20:443"},
		{listener.Config{Port: 1883, Domain: "ipv6", Protocol: listener.Auto, TLS: listener.TLS{CertFile: "x"}}, "", "mqtt://[fd00::20]:1883"},
	} {
		o, addr, ok := Of([]Door{local, {Listener: &c.l}}, home).Phone()
		if !ok {
			t.Fatalf("%+v: no address for a phone", c.l)
		}
		if got := o.URL(addr, c.userinfo); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestKindsOfInterfaces(t *testing.T) {
	for name, want := range map[string]Kind{
		"eth0": Ordinary, "enp3s0": Ordinary, "wlan0": Ordinary, "ppp0": Ordinary, "br0": Ordinary, "br-lan": Ordinary,
		"docker0": GuestBridge, "br-0123456789ab": GuestBridge, "virbr0": GuestBridge, "vethab12": GuestBridge,
		"wg0": Tunnel, "tun0": Tunnel, "tailscale0": Tunnel,
	} {
		if got := kind(name, net.FlagUp); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	if got := kind("lo0", net.FlagUp|net.FlagLoopback); got != Loopback {
		t.Errorf("lo0: got %d", got)
	}
}

// The machine that runs the test: it has a loopback interface, and everything that is found can be bound to.
func TestThisHost(t *testing.T) {
	h, err := ThisHost()
	if err != nil {
		t.Fatal(err)
	}
	loopback := false
	for _, i := range h.Interfaces {
		loopback = loopback || i.Kind == Loopback
	}
	if !loopback {
		t.Errorf("no loopback interface among %+v", h.Interfaces)
	}
	for _, a := range h.Addrs() {
		l, err := net.Listen("tcp", netip.AddrPortFrom(a, 0).String())
		if err != nil {
			t.Errorf("%s is not an address of this machine: %v", a, err)
			continue
		}
		l.Close()
	}
	lines := Of([]Door{{Listener: &listener.Config{Port: 1883}}}, h).Lines(cause.English)
	if !regexp.MustCompile(`^Port 1883 \(MQTT\) can be reached from this machine \(127\.0\.0\.1`).MatchString(lines[0].Text) {
		t.Errorf("the first line is %q", lines[0].Text)
	}
}
