//go:build !windows

package probe

import "net/netip"

// Where systems of the Unix kind have their name servers and their own list of names. macOS keeps the first one up to date too; what it asks for single
// domains, as a VPN may want it to, does not stand there.
const (
	resolverFile = "/etc/resolv.conf"
	hostsFile    = "/etc/hosts"
)

// systemServers are the name servers of the system.
func systemServers() []netip.AddrPort { return serversOf(readLines(resolverFile)) }

// listOfNames is the system's own list of names.
func listOfNames() string { return hostsFile }
