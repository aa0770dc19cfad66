package gather

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"picket/doctor/host"
)

// frontPorts are where proxies stand that lead to a broker, beside the usual ports.
var frontPorts = []int{80, 443}

// enclosed tells whether all brokers of this machine's own network listen for it alone, so that others come by something in front of them, or not at all.
func (g *gatherer) enclosed() bool {
	own := 0
	for _, l := range g.listens {
		if !l.Broker || l.Container {
			continue
		}
		if own++; l.Scope != host.LoopbackScope {
			return false
		}
	}
	return own > 0
}

// fronts asks the programs that listen for others, where the brokers do not, whether they lead to a broker. Where it was not asked about the port, only one that does is
// worth a word.
func (g *gatherer) fronts() {
	if !g.enclosed() {
		return
	}
	var found []host.Front
	for _, l := range g.listens {
		if l.Broker || l.Container || l.Program == "" || l.Scope == host.LoopbackScope || slices.ContainsFunc(found, func(f host.Front) bool { return f.Port == l.Port }) {
			continue
		}
		found = append(found, host.Front{Program: l.Program, PID: l.PID, Port: l.Port})
	}
	var all sync.WaitGroup
	for i := range found {
		all.Go(func() { g.through(&found[i], addressOf(g.listens, found[i].Port)) })
	}
	all.Wait()
	for _, f := range found {
		if f.Heard == host.SaidMQTT {
			g.look(f.Port)
		}
		if f.Heard == host.SaidMQTT || slices.Contains(g.Ports, f.Port) {
			g.add(f)
		}
	}
}

// addressOf is where a port of this machine is reached from it.
func addressOf(listens []host.Listen, port int) string {
	for _, l := range listens {
		if a, err := netip.ParseAddr(l.Address); l.Port == port && !l.Container && err == nil && !a.IsUnspecified() {
			return l.Address
		}
	}
	return "127.0.0.1"
}

// through looks for a broker behind a port: with TLS and without, by MQTT and by WebSocket.
func (g *gatherer) through(f *host.Front, address string) {
	f.Heard = host.HungUp
	for _, secure := range []bool{true, false} {
		for _, path := range []string{"", "/mqtt", "/"} {
			if g.leads(net.JoinHostPort(address, itoa(f.Port)), secure, path) {
				f.Heard, f.TLS, f.Path = host.SaidMQTT, secure, path
				return
			}
		}
	}
}

// frontLimit is how long one try may take: it is within the machine.
const frontLimit = time.Second

// leads tells whether a broker answers at an address in one way. By WebSocket it is one where the server takes the subprotocol.
func (g *gatherer) leads(address string, secure bool, path string) bool {
	ctx, cancel := context.WithTimeout(g.ctx, frontLimit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if secure {
		// Nothing is believed: it is only looked at.
		with := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, ServerName: g.Name})
		if err := with.HandshakeContext(ctx); err != nil {
			return false
		}
		conn = with
	}
	if path == "" {
		first := make([]byte, 1)
		if _, err = conn.Write([]byte(hello)); err == nil {
			_, err = conn.Read(first)
		}
		return err == nil && first[0] == 0x20
	}
	return g.upgrades(ctx, conn, path)
}

// upgrades tells whether a path is one of MQTT over WebSocket (RFC 6455, 4.1).
func (g *gatherer) upgrades(ctx context.Context, conn net.Conn, path string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+cmp.Or(g.Name, "localhost")+path, http.NoBody)
	if err != nil {
		return false
	}
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "cGlja2V0IGRvY3RvciE9PQ==", "Sec-WebSocket-Protocol": "mqtt"} {
		request.Header.Set(name, value)
	}
	if err := request.Write(conn); err != nil {
		return false
	}
	answer, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, answerSize)), request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusSwitchingProtocols && answer.Header.Get("Sec-WebSocket-Protocol") == "mqtt"
}

// answerSize is how much of an answer in HTTP is looked at.
const answerSize = 16 << 10
