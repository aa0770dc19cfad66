package sentinel

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"syscall"
	"time"

	"picket/resp"
	"picket/sentinel/machine"
)

const (
	// dialTimeout bounds one attempt at a connection. The machine tries again each second.
	dialTimeout = 2 * time.Second
	// writeTimeout bounds a write. What is written fits a socket's buffer, as few commands may wait for answers, so a write that has to
	// wait means that the other end is gone.
	writeTimeout = 50 * time.Millisecond
)

// peer is one connection to a server or a sentinel. Its fields are the loop's, but for cancel.
type peer struct {
	id     machine.LinkID
	kind   machine.ConnKind
	role   string   // master, replica or sentinel
	conn   net.Conn // nil until it is up
	cancel context.CancelFunc
	out    []byte

	// The round trip of a PING: answers come in the order of the commands.
	sent, got, pingSeq uint64
	pingAt             time.Time
}

// connect dials in the background and then reads replies until the connection ends.
func (s *Sentinel) connect(c machine.Connect) {
	ctx, cancel := context.WithTimeout(s.ctx, dialTimeout)
	p := &peer{id: c.Link, kind: c.Kind, role: metricsRole(c.Peer), cancel: cancel}
	s.links[c.Link] = p
	s.wg.Go(func() {
		conn, err := s.dial(ctx, c)
		cancel()
		if err != nil {
			s.post(func() {
				s.tellHandshake(c, err)
				how := machine.Failed
				if isRefused(err) {
					how = machine.Refused
				}
				s.lost(p, how, connectReason(err))
			})
			return
		}
		defer conn.Close()
		up := make(chan bool, 1)
		s.post(func() {
			if s.links[p.id] != p {
				up <- false
				return
			}
			p.conn = conn
			delete(s.handshakes, c.Peer.String()+" "+hostPort(c.Host, c.Port))
			up <- true
			s.m.Connected(p.id, ipOf(conn.LocalAddr()), ipOf(conn.RemoteAddr()))
		})
		select {
		case ok := <-up:
			if !ok {
				return
			}
		case <-s.done:
			return
		}
		s.read(p, conn)
	})
}

// metricsRole is what is at the other end, in the words of today.
func metricsRole(k machine.Kind) string {
	if k == machine.Replica {
		return "replica"
	}
	return k.String()
}

func (s *Sentinel) dial(ctx context.Context, c machine.Connect) (net.Conn, error) {
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	if s.cfg.BindSource != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(s.cfg.BindSource)}
	}
	// A name is looked up for each connection: whoever has an address today may not be who had it a moment ago.
	ips, err := s.resolve.ask(ctx, c.Host)
	if err != nil {
		return nil, err
	}
	var conn net.Conn
	for _, ip := range ips {
		if conn, err = d.DialContext(ctx, "tcp", net.JoinHostPort(ip, strconv.Itoa(c.Port))); err == nil {
			break
		}
	}
	if err != nil || s.peerTLS == nil {
		return conn, err
	}
	t := tls.Client(conn, s.peerTLS)
	if err := t.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, &handshakeError{err}
	}
	return t, nil
}

// handshakeError is a TLS handshake that failed: somebody answers, but we do not come to an agreement.
type handshakeError struct{ error }

// tellHandshake logs a handshake that failed, once for each server and reason.
func (s *Sentinel) tellHandshake(c machine.Connect, err error) {
	var h *handshakeError
	if !errors.As(err, &h) {
		return
	}
	to := c.Peer.String() + " " + hostPort(c.Host, c.Port)
	if s.handshakes[to] == h.Error() {
		return
	}
	s.handshakes[to] = h.Error()
	s.log.printf(LogWarning, "TLS handshake with %s failed: %v", to, h.error)
}

func ipOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return ""
	}
	return host
}

// read hands replies to the machine, all that have come at once.
func (s *Sentinel) read(p *peer, conn net.Conn) {
	r := resp.NewReader(conn)
	for {
		v, err := r.Value()
		if err != nil {
			s.post(func() { s.lost(p, endOf(err), readReason(err)) })
			return
		}
		batch := []resp.Value{v}
		for r.Buffered() > 0 && len(batch) < 64 {
			if v, err = r.Value(); err != nil {
				break
			}
			batch = append(batch, v)
		}
		s.post(func() {
			for _, v := range batch {
				if s.links[p.id] == p {
					s.answered(p, v)
					s.m.Reply(p.id, v)
				}
			}
		})
		if err != nil {
			s.post(func() { s.lost(p, endOf(err), readReason(err)) })
			return
		}
	}
}

// endOf tells an end that the other side made from any other.
func endOf(err error) machine.Loss {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isReset(err) {
		return machine.Ended
	}
	return machine.Failed
}

func (s *Sentinel) lost(p *peer, how machine.Loss, why string) {
	if s.links[p.id] == p {
		delete(s.links, p.id)
		p.close()
		s.m.Disconnected(p.id, how, why)
	}
}

func (s *Sentinel) answered(p *peer, v resp.Value) {
	if p.kind != machine.Commands || v.Kind == resp.Push {
		return
	}
	p.got++
	if p.got == p.pingSeq {
		s.metrics.roundTrip(p.role, time.Since(p.pingAt))
		p.pingSeq = 0
	}
}

func (p *peer) send(cmd []string) {
	p.sent++
	if cmd[0] == "PING" && p.pingSeq == 0 {
		p.pingSeq, p.pingAt = p.sent, time.Now()
	}
	p.out = resp.AppendCommand(p.out, cmd...)
}

// flush writes what waits. A failed write ends the connection, which its reader then reports.
func (p *peer) flush() {
	if len(p.out) == 0 || p.conn == nil {
		return
	}
	p.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	if _, err := p.conn.Write(p.out); err != nil {
		p.conn.Close()
	}
	p.out = p.out[:0]
	if cap(p.out) > 4096 {
		p.out = nil
	}
}

// abort has the connection end with a reset, so that what is still under way is not delivered.
func (p *peer) abort() {
	conn := p.conn
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if t, ok := conn.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // it is closed in any case
	}
}

func (p *peer) close() {
	p.cancel()
	if p.conn != nil {
		p.conn.Close()
	}
}

func connectReason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	return err.Error()
}

func readReason(err error) string {
	if errors.Is(err, io.EOF) {
		return "Server closed the connection"
	}
	return connectReason(err)
}

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }

func isAddressInUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
