package reach

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// Kind is a kind of network interface.
type Kind byte

// The kinds of network interfaces.
const (
	Ordinary    Kind = iota // a card, Wi-Fi, or whatever else leads out
	Loopback                // the machine to itself
	GuestBridge             // the near end of containers or virtual machines
	Tunnel                  // a virtual private network
)

// Interface is a network interface that is up.
type Interface struct {
	Name  string
	Kind  Kind
	Addrs []netip.Addr // without the zone
}

// Host is what this package needs to know of a machine's network.
type Host struct {
	Interfaces           []Interface
	Outbound4, Outbound6 netip.Addr // the source addresses towards the internet; zero when there is no route
	Container            bool
}

// ThisHost looks at the machine it runs on. No packet is sent.
func ThisHost() (Host, error) {
	h := Host{
		// The kernel chooses the source address when a UDP socket is connected; nothing is sent by that. The destinations
		// belong to root name servers, so that the default route is the one that is asked about.
		Outbound4: source("udp4", "198.41.0.4:53"),
		Outbound6: source("udp6", "[2001:503:ba3e::2:30]:53"),
	}
	// Virtual machines are made from container images too and then carry the mark without being one.
	marked := exists("/.dockerenv") || exists("/run/.containerenv")
	all, err := net.Interfaces()
	if err != nil {
		return Host{}, fmt.Errorf("listing network interfaces: %w", err)
	}
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return Host{}, fmt.Errorf("listing the addresses of %s: %w", i.Name, err)
		}
		found := Interface{Name: i.Name, Kind: kind(i.Name, i.Flags)}
		for _, a := range addrs {
			if network, ok := a.(*net.IPNet); ok {
				if addr, ok := netip.AddrFromSlice(network.IP); ok {
					found.Addrs = append(found.Addrs, addr.Unmap())
				}
			}
		}
		h.Interfaces = append(h.Interfaces, found)
		h.Container = h.Container || marked && found.Kind == Ordinary && hasPeer(i)
	}
	return h, nil
}

// Addrs gives all addresses of the machine except the link-local ones.
func (h Host) Addrs() (addrs []netip.Addr) {
	for _, i := range h.Interfaces {
		for _, a := range i.Addrs {
			if !a.IsLinkLocalUnicast() {
				addrs = append(addrs, a)
			}
		}
	}
	return addrs
}

// The names that Docker, Podman, libvirt, LXC, Incus, VMware, VirtualBox, Kubernetes and Hyper-V give to the near end of their
// networks, and those of WireGuard, OpenVPN, Tailscale and ZeroTier. PPP is not among them: it is how a DSL line comes in.
var (
	guestNames  = regexp.MustCompile(`^(docker|podman|virbr|lxcbr|lxdbr|incusbr|vmnet|vboxnet|cni|flannel|cali|veth|br-[0-9a-f]{12}$|vEthernet)`)
	tunnelNames = regexp.MustCompile(`^(wg|tun|tap|tailscale|zt|utun)`)
)

func kind(name string, flags net.Flags) Kind {
	switch {
	case flags&net.FlagLoopback != 0:
		return Loopback
	case guestNames.MatchString(name):
		return GuestBridge
	case tunnelNames.MatchString(name):
		return Tunnel
	}
	return Ordinary
}

// hasPeer says whether an interface is one end of a pair whose other end lies in another network namespace, as the one that a
// container engine gives to a container. Linux only; elsewhere containers run in Linux machines of their own.
func hasPeer(i net.Interface) bool {
	link, err := os.ReadFile("/sys/class/net/" + i.Name + "/iflink")
	return err == nil && strings.TrimSpace(string(link)) != strconv.Itoa(i.Index)
}

func source(network, destination string) netip.Addr {
	c, err := net.Dial(network, destination)
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
