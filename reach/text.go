package reach

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"picket/access"
	"picket/cause"
	"picket/listener"
)

// Line is one sentence of a report for the log.
type Line struct {
	Text  string
	Cause cause.ID // what the line warns of, or empty
}

// Lines says in sentences who can reach the broker from where: one line for each listener, and one for what cannot be known.
func (r Report) Lines(lang cause.Lang) (lines []Line) {
	w := words[lang]
	beyond, local := false, false
	for _, o := range r.Openings {
		var text string
		switch {
		case o.Listener.Path != "":
			text = fmt.Sprintf(w.socket, o.Listener.Path)
		case o.named():
			text = fmt.Sprintf(w.name, o.Listener.Port, strings.Join(o.protocols(), w.comma), o.Listener.Address)
		case len(o.Addresses) == 0:
			text = fmt.Sprintf(w.nowhere, o.Listener.Port, strings.Join(o.protocols(), w.comma))
		default:
			text = fmt.Sprintf(w.port, o.Listener.Port, strings.Join(o.protocols(), w.comma), strings.Join(o.places(w), w.comma))
			beyond = beyond || o.Scope > Guests
		}
		id := o.Cause()
		local = local || o.Anonymous == access.AnonymousLocal && !o.Named
		lines = append(lines, Line{Text: text + o.needs(w), Cause: id})
	}
	if local {
		lines = append(lines, Line{Text: w.traceless})
	}
	switch {
	case r.Container:
		lines = append(lines, Line{Text: w.container})
	case beyond:
		lines = append(lines, Line{Text: w.firewall})
	}
	return lines
}

// needs says what a client needs to pass.
func (o Opening) needs(w *language) string {
	switch {
	case o.Named:
		return w.named
	case o.Anonymous == access.AnonymousAlways && o.Limited:
		return w.limited
	case o.Anonymous == access.AnonymousAlways:
		return w.nobody
	case o.Anonymous == access.AnonymousLocal && o.NoUsers:
		return w.noUsersLocal
	case o.Anonymous == access.AnonymousLocal:
		return w.local
	case o.NoUsers:
		return w.noUsers
	default:
		return w.everyone
	}
}

// places groups the addresses by scope, from near to far.
func (o Opening) places(w *language) (places []string) {
	for s := Machine; s <= Internet; s++ {
		var addrs []string
		for _, a := range o.Addresses {
			switch {
			case a.Scope != s:
			case s == Machine:
				addrs = append(addrs, a.Addr.String())
			default:
				addrs = append(addrs, fmt.Sprintf(w.on, a.Addr, a.Interface))
			}
		}
		if len(addrs) > 0 {
			places = append(places, fmt.Sprintf("%s"+w.brackets, w.scopes[s], strings.Join(addrs, w.comma)))
		}
	}
	return places
}

// protocols names what the listener speaks.
func (o Opening) protocols() []string {
	tls := o.Listener.TLS.CertFile != ""
	switch {
	case o.Listener.Protocol == listener.Auto && tls:
		return []string{"MQTT", "WebSocket", "TLS"}
	case o.Listener.Protocol == listener.Auto:
		return []string{"MQTT", "WebSocket"}
	case o.Listener.Protocol == listener.WebSocket && tls:
		return []string{"WebSocket", "TLS"}
	case o.Listener.Protocol == listener.WebSocket:
		return []string{"WebSocket"}
	case tls:
		return []string{"MQTT", "TLS"}
	}
	return []string{"MQTT"}
}

// URL is the address of the opening as people write it: mqtt://192.168.1.20:1883, with the user's name and password if given.
// A listener that also speaks without TLS is given without, since that needs no certificate in the client.
func (o Opening) URL(addr Address, userinfo string) string {
	scheme := "mqtt"
	tls := o.Listener.TLS.CertFile != "" && o.Listener.Protocol != listener.Auto
	switch {
	case o.Listener.Protocol == listener.WebSocket && tls:
		scheme = "wss"
	case o.Listener.Protocol == listener.WebSocket:
		scheme = "ws"
	case tls:
		scheme = "mqtts"
	}
	if userinfo != "" {
		userinfo += "@"
	}
	return scheme + "://" + userinfo + net.JoinHostPort(addr.Addr.String(), strconv.Itoa(o.Listener.Port))
}

// PageURL is the address of the phone's page, without anybody's name or password.
func (o Opening) PageURL(addr netip.Addr) string {
	scheme := "http"
	if o.Listener.TLS.CertFile != "" && o.Listener.Protocol != listener.Auto {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(addr.String(), strconv.Itoa(o.Listener.Port)) + "/"
}

type language struct {
	port, name, nowhere, socket      string
	named                            string
	everyone, local, limited, nobody string
	noUsers, noUsersLocal, traceless string
	firewall, container              string
	comma, brackets, on              string
	scopes                           [Internet + 1]string
}

var words = map[cause.Lang]*language{
	cause.English: {
		port:     "Port %d (%s) can be reached from %s.",
		name:     "Port %d (%s) can be reached from wherever the name %s leads to.",
		nowhere:  "Port %d (%s) is bound to an address that this machine does not have.",
		socket:   "The socket %s can be reached from this machine.",
		everyone: " Every client needs a password.",
		named:    " Every client needs a certificate, which says who it is; nobody needs a password.",
		local:    " Only clients on this machine need no password.",
		limited:  " Clients without a password may do what the ACL file allows them.",
		nobody:   " Nobody needs a password.",
		noUsers:  " Nobody can log in: there are no users.", noUsersLocal: " Only clients on this machine can log in, without a password: there are no users.",
		traceless: "Whoever comes through a proxy or tunnel on this machine that leaves no trace (ssh -L, a plain TCP forwarder) counts as a client on this machine and needs no password; proxy_from or allow_anonymous false prevents that.",
		firewall:  "Not known from here: firewalls and security groups that close these ports, and routers that open them to the internet.",
		container: "This is a container: from outside, only ports that were published (docker run -p 1883:1883) can be reached, at the addresses of the machine around it.",
		comma:     ", ", brackets: " (%s)", on: "%s on %s",
		scopes: [...]string{Machine: "this machine", Guests: "containers and virtual machines on it", VPN: "the VPN", Network: "this network", Internet: "the whole internet"},
	},
	cause.Chinese: {
		port:     "端口 %d（%s）可从以下位置访问：%s。",
		name:     "端口 %d（%s）可从域名 %s 指向的位置访问。",
		nowhere:  "端口 %d（%s）绑定的地址不在本机上。",
		socket:   "套接字 %s 仅本机可访问。",
		everyone: "所有客户端都需要密码。",
		named:    "所有客户端都需要证书，身份以证书为准，不需要密码。",
		local:    "只有本机客户端可以免密码。",
		limited:  "没有密码的客户端只能做 ACL 文件允许的事。",
		nobody:   "任何人都不需要密码。",
		noUsers:  "没有任何用户，谁都无法登录。", noUsersLocal: "没有任何用户，只有本机客户端可以免密码登录。",
		traceless: "经本机上不留痕迹的代理或隧道（ssh -L、普通 TCP 转发）进来的连接会被当作本机客户端，不需要密码；用 proxy_from 或 allow_anonymous false 可以避免。",
		firewall:  "从本机无法得知：防火墙、安全组是否拦截这些端口，路由器是否把它们开放到公网。",
		container: "当前在容器中运行：外部只能通过宿主机的地址访问已映射的端口（docker run -p 1883:1883）。",
		comma:     "、", brackets: "（%s）", on: "网卡 %[2]s 的 %[1]s",
		scopes: [...]string{Machine: "本机", Guests: "本机上的容器和虚拟机", VPN: "VPN", Network: "本地网络", Internet: "整个互联网"},
	},
}
