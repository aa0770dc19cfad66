package gather

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"picket/cause"
	"picket/doctor/host"
	"picket/doctor/host/firewall"
)

// unbound are the listeners of mosquitto's that it cannot open on this machine: at an address that no interface has, or at a port for which its user lacks the right. It
// becomes that user before it opens them.
func (g *gatherer) unbound(c *configuration) (all []host.Problem) {
	if c.root != "" {
		return nil // another network, or a recorded one
	}
	own := networks()
	for _, l := range c.config.Listeners {
		file, line, _ := strings.Cut(l.Source, ":")
		n, err := strconv.Atoi(line)
		if err != nil {
			continue // no line of the file
		}
		if a, err := netip.ParseAddr(l.Address); err == nil && !a.IsUnspecified() && !a.IsLoopback() && g.word("/proc/sys/net/ipv4/ip_nonlocal_bind") != "1" {
			has := false
			for _, i := range own {
				has = has || slices.ContainsFunc(i.Networks, func(p netip.Prefix) bool { return p.Addr().Unmap() == a.Unmap().WithZone("") })
			}
			if !has {
				all = append(all, host.Problem{File: file, Line: n, Value: l.Address, Cause: cause.BindBeforeNetwork,
					Text:    fmt.Sprintf("no interface of this machine has the address %s now: it may have got another one (DHCP), or the network is not up.", l.Address),
					Chinese: fmt.Sprintf("本机现在没有任何网卡使用地址 %s：可能已换成别的地址（DHCP），或网络还没有就绪。", l.Address)})
			}
		}
		all = append(all, unnamed(l.Address, file, n)...)
		if l.Interface != "" && !slices.ContainsFunc(own, func(i firewall.Interface) bool { return i.Name == l.Interface }) {
			all = append(all, host.Problem{File: file, Line: n, Value: l.Interface, Cause: cause.BindBeforeNetwork,
				Text:    fmt.Sprintf("this machine has no network interface %s now (bind_interface): it is named otherwise, or not there yet. ip -br link shows the names.", l.Interface),
				Chinese: fmt.Sprintf("本机现在没有网卡 %s（bind_interface）：名称不同，或尚未就绪。ip -br link 可列出名称。", l.Interface)})
		}
		if l.Port > 0 && g.privileged(c, l.Port) {
			all = append(all, host.Problem{File: file, Line: n, Value: strconv.Itoa(l.Port), Cause: cause.PrivilegedPort,
				Text:    fmt.Sprintf("mosquitto becomes the user %s before it opens port %d, who may not open ports below 1024.", c.user, l.Port),
				Chinese: fmt.Sprintf("mosquitto 在打开端口 %[2]d 之前会切换为用户 %[1]s，而该用户无权打开 1024 以下的端口。", c.user, l.Port)})
		}
	}
	return all
}

// unnamed is a listener's address that is neither an address nor a name that leads to one.
func unnamed(address, file string, line int) []host.Problem {
	if strings.HasPrefix(address, "[") {
		return []host.Problem{{File: file, Line: line, Value: address, Cause: cause.BindBeforeNetwork,
			Text:    fmt.Sprintf("mosquitto takes addresses of IPv6 without brackets: write %s.", strings.Trim(address, "[]")),
			Chinese: fmt.Sprintf("mosquitto 的 IPv6 地址不加方括号：请写 %s。", strings.Trim(address, "[]"))}}
	}
	if _, err := netip.ParseAddr(address); address == "" || err == nil || strings.HasPrefix(address, "/") {
		return nil
	}
	var none *net.DNSError
	if _, err := net.LookupHost(address); errors.As(err, &none) && none.IsNotFound {
		return []host.Problem{{File: file, Line: line, Value: address, Cause: cause.BindBeforeNetwork,
			Text:    fmt.Sprintf("%s is no address, and no name that leads to one: behind the port there may stand an address of this machine, or nothing.", address),
			Chinese: fmt.Sprintf("%s 不是地址，也不是能解析的名称：端口后面只能写本机的地址，或什么都不写。", address)}}
	}
	return nil
}

// privileged tells whether mosquitto lacks the right to open a port.
func (g *gatherer) privileged(c *configuration, port int) bool {
	first, err := strconv.Atoi(g.word("/proc/sys/net/ipv4/ip_unprivileged_port_start"))
	if r, known := g.readerOf(c); err != nil || port >= first || !known || r.uid == 0 {
		return false
	}
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		program = "/usr/sbin/mosquitto"
	}
	if _, err := os.Stat(program); err != nil {
		return false // it is somewhere else, with rights that are not known
	}
	if capable(program) {
		return false
	}
	for _, f := range g.facts {
		u, is := f.(host.Unit)
		if is && slices.ContainsFunc(u.Files, func(file string) bool {
			text, err := g.read(file)
			return err == nil && strings.Contains(text, "CAP_NET_BIND_SERVICE") || err == nil && strings.Contains(text, "ListenStream")
		}) {
			return false
		}
	}
	return true
}
