package probe

import (
	"net/netip"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"
)

// adapterRoom is how much room the list of adapters gets at first, in bytes; the system says when it takes more.
const adapterRoom = 16 << 10

// systemServers are the name servers of the network adapters that are up. Windows has them in no file, and what its programs print of them is in the
// user's language.
func systemServers() []netip.AddrPort {
	size := uint32(adapterRoom)
	for range 3 {
		room := make([]byte, size)
		first := (*windows.IpAdapterAddresses)(unsafe.Pointer(&room[0])) //nolint:gosec // the system's own structure
		err := windows.GetAdaptersAddresses(windows.AF_UNSPEC, windows.GAA_FLAG_SKIP_ANYCAST|windows.GAA_FLAG_SKIP_MULTICAST, 0, first, &size)
		if err == windows.ERROR_BUFFER_OVERFLOW {
			continue // size says how much it takes
		}
		if err != nil {
			return nil
		}
		var all []netip.Addr
		for a := first; a != nil; a = a.Next {
			if a.OperStatus != windows.IfOperStatusUp {
				continue
			}
			for d := a.FirstDnsServerAddress; d != nil; d = d.Next {
				if ip, ok := netip.AddrFromSlice(d.Address.IP()); ok {
					all = append(all, ip.Unmap())
				}
			}
		}
		return usableServers(all)
	}
	return nil
}

// listOfNames is the system's own list of names.
func listOfNames() string {
	return filepath.Join(os.Getenv("SystemRoot"), "System32", "drivers", "etc", "hosts")
}
