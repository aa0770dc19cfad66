package probe

import (
	"context"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"picket/doctor"
)

// usualPorts are tried when the asked one does not open: SSH and the web tell whether the machine is there at all, the others are where brokers usually
// listen.
var usualPorts = []int{22, 80, 443, 1883, 8883, 8083, 8084, 9001}

// neighbourLimit bounds each of them. A SYN that was lost is sent again after one second and after three.
const neighbourLimit = 3500 * time.Millisecond

// small is a segment size that passes everywhere: IPv6 demands a path for packets of 1280 bytes, and nothing is narrower than 576 in practice.
const small = 500

// dialer makes connections that say nothing by themselves: keepalive packets would hide that an idle connection is forgotten.
func dialer(smallPackets bool) *net.Dialer {
	d := &net.Dialer{KeepAlive: -1}
	if smallPackets {
		d.Control = func(_, _ string, c syscall.RawConn) error {
			var err error
			if outer := c.Control(func(fd uintptr) { err = setSegmentSize(fd, small) }); outer != nil {
				return outer
			}
			return err
		}
	}
	return d
}

// dial connects once and says what happened.
func (p *prober) dial(ctx context.Context, a netip.Addr, port int, purpose string, limit time.Duration) (net.Conn, doctor.Dial) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	start := time.Now()
	conn, err := dialer(purpose == doctor.SmallSteps).DialContext(ctx, "tcp", netip.AddrPortFrom(a, uint16(port)).String())
	f := doctor.Dial{Address: a.String(), Port: port, Purpose: purpose, Result: dialResult(ctx, err), Ms: since(start)}
	if f.Result == doctor.Failed {
		f.Error = err.Error()
	}
	return conn, f
}

// tcp tries all addresses of the name at the asked port, and looks around when none answers.
func (p *prober) tcp(ctx context.Context) bool {
	ports := []int{p.target.Port}
	if p.target.Port == 0 {
		ports = []int{1883, 8883} // nobody has said anything: the two that are meant for MQTT
	}
	p.doing("connecting", "正在连接")
	watch := watchICMP()
	defer watch.close()
	p.noICMP = len(watch.conns) == 0
	asked := make([]doctor.Dial, len(p.addresses)*len(ports))
	var wait sync.WaitGroup
	for i, a := range p.addresses {
		for j, port := range ports {
			wait.Go(func() {
				conn, f := p.dial(ctx, a, port, doctor.Asked, p.Limit)
				if f.Result == doctor.HostUnreachable { // a router that had to look for the machine may know it now
					before := f.Ms
					conn, f = p.dial(ctx, a, port, doctor.Asked, p.Limit)
					f.Ms = max(f.Ms, before)
				}
				if conn != nil {
					conn.Close()
				} else {
					f.Rejected, f.ResetTTL = watch.rejection(netip.AddrPortFrom(a, uint16(port))), p.hops.refusal(a, f)
				}
				asked[i*len(ports)+j] = f
			})
		}
	}
	wait.Wait()
	asked = p.oneOf(asked, ports)
	open, cut := -1, -1
	for i, f := range asked {
		p.add(f)
		if f.Result == doctor.Open && open < 0 {
			open = i
		}
		if f.Result == doctor.WasReset && cut < 0 { // it was open for a moment: a port that does not open refuses
			cut = i
		}
	}
	if open < 0 {
		open = cut
	}
	if open >= 0 {
		p.address = p.addresses[open]
		p.target.Port = asked[open].Port
		p.others = p.openAddresses(asked)
		p.slow(time.Duration(float64(asked[open].Ms) * float64(time.Millisecond)))
		return true
	}
	if !p.settled {
		p.settle(doctor.UsualScheme(asked[0].Port))
	}
	p.lookAround(ctx)
	p.portal(ctx)
	p.anyName(ctx)
	p.completed(ctx)
	return p.dialAgain(ctx, asked)
}

// nobody is an address that nobody has (RFC 5737).
var nobody = netip.MustParseAddr("192.0.2.1")

// portal finds out whether somebody on the way answers in HTTP for everybody, as the login page of a Wi-Fi does, when a web page has answered at the
// target and the port of the broker has not.
func (p *prober) portal(ctx context.Context) {
	web := slices.ContainsFunc(p.facts, func(f doctor.Fact) bool {
		o, is := f.(doctor.Opening)
		return is && o.Port == 80 && o.Heard == doctor.HearHTTP
	})
	if !web || p.own {
		return
	}
	conn, _ := p.dial(ctx, nobody, 80, doctor.Again, min(p.Limit, time.Second))
	if conn == nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(min(p.Limit, answerLimit)))
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: " + nobody.String() + "\r\nConnection: close\r\n\r\n")); err != nil {
		return
	}
	if o := answer(conn); o.Heard == doctor.HearHTTP {
		p.add(doctor.Portal{Address: nobody.String(), Status: o.Status, Where: o.Where})
	}
}

// dialAgain tries once more what did not answer: what opens now is kept away only from time to time.
func (p *prober) dialAgain(ctx context.Context, asked []doctor.Dial) bool {
	for i, f := range asked {
		if f.Result != doctor.TimedOut {
			continue
		}
		conn, again := p.dial(ctx, p.addresses[i], f.Port, doctor.Again, min(p.Limit, neighbourLimit))
		p.add(again)
		if conn != nil {
			conn.Close()
			p.address, p.target.Port = p.addresses[i], f.Port
			return true
		}
		return false
	}
	return false
}

// oneOf chooses one port for all addresses when several were tried: the first that is open anywhere.
func (p *prober) oneOf(all []doctor.Dial, ports []int) []doctor.Dial {
	chosen := ports[0]
	for _, port := range slices.Backward(ports) {
		if slices.ContainsFunc(all, func(f doctor.Dial) bool { return f.Port == port && f.Result == doctor.Open }) {
			chosen = port
		}
	}
	return slices.DeleteFunc(all, func(f doctor.Dial) bool { return f.Port != chosen })
}

// lookAround finds out what else there is at the addresses: other ports, answers to ping, and on this very machine the same port of the
// loopback addresses.
func (p *prober) lookAround(ctx context.Context) {
	p.doing("looking at the ports around", "正在查看其他端口")
	p.ownFilter(ctx)
	addresses := p.addresses[:min(len(p.addresses), 2)]
	var wait sync.WaitGroup
	around := make([]doctor.Neighbours, len(addresses))
	pings := make([]*doctor.Ping, len(addresses))
	for i, a := range addresses {
		wait.Go(func() { around[i] = p.neighbours(ctx, a, neighbourLimit) })
		wait.Go(func() { pings[i] = ping(ctx, a) })
	}
	var inside []doctor.Dial
	if p.own {
		for _, a := range []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()} {
			if !slices.Contains(p.addresses, a) {
				conn, f := p.dial(ctx, a, p.target.Port, doctor.OnLoopback, neighbourLimit)
				if conn != nil {
					conn.Close()
				}
				inside = append(inside, f)
			}
		}
	}
	wait.Wait()
	for _, f := range inside {
		p.add(f)
	}
	for _, f := range pings {
		if f != nil {
			p.add(*f)
		}
		p.noPing = f == nil
	}
	for i, f := range around {
		if len(p.Ports) > 0 {
			p.add(f)
		}
		p.listenToNeighbours(ctx, addresses[i], f.Open)
	}
}

// The ports among which one is made up: below those that systems give to connections, and with no service of note.
const (
	inventedFrom  = 23000
	inventedRange = 4000
)

// neighbours tries the other ports of an address, and, where all of them are open, one that was made up: where
// that opens too, something on the way takes every connection.
func (p *prober) neighbours(ctx context.Context, a netip.Addr, limit time.Duration) doctor.Neighbours {
	ports := slices.DeleteFunc(slices.Clone(p.Ports), func(port int) bool { return port == p.target.Port })
	dials := make([]doctor.Dial, len(ports))
	var wait sync.WaitGroup
	for i, port := range ports {
		wait.Go(func() {
			conn, f := p.dial(ctx, a, port, doctor.Again, limit)
			if conn != nil {
				conn.Close()
			}
			dials[i] = f
		})
	}
	wait.Wait()
	n := doctor.Neighbours{Address: a.String()}
	for _, d := range dials {
		list := map[string]*[]int{doctor.Open: &n.Open, doctor.Refused: &n.Refused, doctor.TimedOut: &n.Silent}[d.Result]
		if list == nil {
			list = &n.Unreachable
		}
		*list = append(*list, d.Port)
	}
	if len(ports) > 0 && len(n.Open) == len(ports) {
		invented := inventedFrom + mathrand.IntN(inventedRange)
		if conn, _ := p.dial(ctx, a, invented, doctor.Again, limit); conn != nil {
			conn.Close()
			n.Invented = invented
		}
	}
	return n
}

// listenToNeighbours finds out what open neighbours speak, to name the one that was meant.
func (p *prober) listenToNeighbours(ctx context.Context, a netip.Addr, open []int) {
	usual := map[string]string{"mqtt": doctor.SayMQTT, "mqtts": doctor.SayTLS, "ws": doctor.SayHTTP, "wss": doctor.SayTLS}
	var wait sync.WaitGroup
	heard := make([][]doctor.Opening, len(open))
	for i, port := range open {
		if port == 22 {
			continue
		}
		wait.Go(func() {
			first := p.opening(ctx, a, port, usual[doctor.UsualScheme(port)])
			heard[i] = append(heard[i], first)
			if p.secure() && first.Heard == doctor.HearMQTT || p.webSocket() && first.Heard == doctor.HearMQTT { // one port may do more than its number says
				for _, said := range []string{doctor.SayTLS, doctor.SayHTTP} {
					more := p.opening(ctx, a, port, said)
					heard[i] = append(heard[i], more)
					if said == doctor.SayTLS && more.Heard == doctor.HearTLS {
						heard[i] = append(heard[i], p.opening(ctx, a, port, doctor.SayTLSThen+doctor.SayMQTT), p.opening(ctx, a, port, doctor.SayTLSThen+doctor.SayHTTP))
					}
				}
			}
			if first.Heard == doctor.HearTLS {
				inside := map[string]string{"mqtts": doctor.SayMQTT, "wss": doctor.SayHTTP}[doctor.UsualScheme(port)]
				heard[i] = append(heard[i], p.opening(ctx, a, port, doctor.SayTLSThen+inside))
			}
		})
	}
	wait.Wait()
	for _, h := range heard {
		for _, f := range h {
			p.add(f)
		}
	}
}
