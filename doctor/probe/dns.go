package probe

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"picket/doctor"
)

// maxServers bounds how many name servers are asked one by one; systems use no more than three.
const maxServers = 3

// serverLimit is how long one name server may take to answer; programs give up on a name after some five seconds.
const serverLimit = 3 * time.Second

// names asks each name server of the system by itself, for what the system's own answer does not tell: how long it holds, which of several servers is
// slow, and whether the machine's own list of names says something else.
func (p *prober) names(ctx context.Context) {
	if p.Resolver != net.DefaultResolver {
		return
	}
	file := listOfNames()
	if own := hostsOf(readLines(file), p.target.Host); len(own) > 0 {
		p.add(doctor.HostsFile{Host: p.target.Host, File: file, Addresses: own})
	}
	servers := systemServers()
	p.noServers = len(servers) == 0
	facts := make([]doctor.NameServer, len(servers))
	var wait sync.WaitGroup
	for i, s := range servers {
		wait.Go(func() { facts[i] = askServer(ctx, s, p.target.Host) })
	}
	wait.Wait()
	for _, f := range facts {
		p.add(f)
	}
}

// readLines reads a small file; nothing where there is none.
func readLines(file string) (lines []string) {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	for in.Scan() && len(lines) < 10_000 {
		lines = append(lines, in.Text())
	}
	return lines
}

// serversOf finds the name servers in a resolv.conf.
func serversOf(lines []string) []netip.AddrPort {
	var all []netip.Addr
	for _, line := range lines {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(fields[1]); err == nil {
			all = append(all, a)
		}
	}
	return usableServers(all)
}

// unusedServers are those that Windows lists for adapters of IPv6 that nobody has told of any.
var unusedServers = netip.MustParsePrefix("fec0::/10")

// usableServers are the name servers to ask one by one: each once, and not more than systems use.
func usableServers(all []netip.Addr) (servers []netip.AddrPort) {
	for _, a := range all {
		s := netip.AddrPortFrom(a, 53)
		if !unusedServers.Contains(a.WithZone("")) && !slices.Contains(servers, s) && len(servers) < maxServers {
			servers = append(servers, s)
		}
	}
	return servers
}

// hostsOf finds the addresses of a name in a hosts file.
func hostsOf(lines []string, name string) (addresses []string) {
	for _, line := range lines {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		for i := 1; i < len(fields); i++ {
			if strings.EqualFold(strings.TrimSuffix(fields[i], "."), strings.TrimSuffix(name, ".")) {
				if a, err := netip.ParseAddr(fields[0]); err == nil {
					addresses = append(addresses, a.String())
				}
			}
		}
	}
	return addresses
}

// askServer asks one server for the IPv4 addresses of a name.
func askServer(ctx context.Context, server netip.AddrPort, name string) doctor.NameServer {
	f := doctor.NameServer{Server: server.Addr().String(), Host: name, Result: doctor.TimedOut}
	ctx, cancel := context.WithTimeout(ctx, serverLimit)
	defer cancel()
	start := time.Now()
	defer func() { f.Ms = since(start) }()
	question, id, err := question(name)
	if err != nil {
		f.Result, f.Ms = doctor.Failed, since(start)
		return f
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", server.String())
	if err != nil {
		f.Result, f.Ms = doctor.Failed, since(start)
		return f
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	buf := make([]byte, 4096)
	for _, wait := range []time.Duration{serverLimit / 3, serverLimit} { // what was lost is asked again once
		if _, err := conn.Write(question); err != nil {
			continue
		}
		if at := time.Now().Add(wait); at.Before(deadline) {
			_ = conn.SetReadDeadline(at)
		} else {
			_ = conn.SetReadDeadline(deadline)
		}
		for {
			n, err := conn.Read(buf)
			if err != nil {
				break
			}
			if readNames(&f, buf[:n], id) {
				f.Ms = since(start)
				return f
			}
		}
	}
	f.Ms = since(start)
	return f
}

// question is a query for A records.
func question(name string) (query []byte, id uint16, err error) {
	full, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return nil, 0, err
	}
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails
	id = binary.BigEndian.Uint16(b[:])
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: full, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}}}
	query, err = m.Pack()
	return query, id, err
}

// readNames reads an answer, and tells whether it is one to the question.
func readNames(f *doctor.NameServer, answer []byte, id uint16) bool {
	var m dnsmessage.Message
	if m.Unpack(answer) != nil || m.ID != id || !m.Response {
		return false
	}
	switch m.RCode {
	case dnsmessage.RCodeSuccess:
		f.Result = doctor.None
	case dnsmessage.RCodeNameError:
		f.Result = doctor.None
		return true
	default:
		f.Result = doctor.Failed
		return true
	}
	for _, r := range m.Answers[:min(len(m.Answers), 32)] {
		if a, is := r.Body.(*dnsmessage.AResource); is {
			f.Result = doctor.Found
			f.Addresses = append(f.Addresses, netip.AddrFrom4(a.A).String())
			if f.TTL == 0 || int(r.Header.TTL) < f.TTL {
				f.TTL = int(r.Header.TTL)
			}
		}
	}
	return true
}
