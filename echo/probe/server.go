package probe

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"picket/cause"
	"picket/echo/door"
	"picket/logging"
)

const (
	// helloLimit is how long a stranger may take to prove that it holds the token: four packets.
	helloLimit = 10 * time.Second

	// sessionLimit bounds a session: sixteen ports that do not answer, then losses and sizes, take less than a minute.
	sessionLimit = 2 * time.Minute

	// reachLimit is how long an attempt to connect may take. Linux repeats a SYN after one and three seconds, so that two losses are
	// survived.
	reachLimit = 5 * time.Second

	// closedWait is how long a connection that came about is watched: a proxy with nothing behind it closes at once, a broker waits for
	// the client to speak.
	closedWait = 300 * time.Millisecond

	// refuseLimit is how long a client may take to hear why it is refused.
	refuseLimit = time.Second
)

// What one session may ask for.
const (
	maxRequests = 500
	maxPing     = 64        // bytes of a ping
	maxSent     = 4 << 20   // bytes that the server sends in bulk frames, and as much in datagrams
	maxSizes    = 64        // of one sendUDP
	maxBulk     = 256 << 10 // bytes of one sendBulk
)

// Config says how to serve the probe.
type Config struct {
	Addresses []string // to listen on; none: all of the machine, both families
	Port      int      // for TCP and UDP; 0: one that is free
	Token     []byte   // see [CheckToken]
	Log       *logging.Logger
}

// limits are for one server. A diagnosis has a session for each address family.
var limits = door.Limits{Connections: 64, PerClient: 4, PerMinute: 20, Bytes: 64 << 20}

// Server answers what the machines of those who hold the token look like from here.
type Server struct {
	config     Config
	door       *door.Door
	closedWait time.Duration // see the constant

	mu       sync.Mutex
	sockets  map[netip.AddrPort]*socket // open while a session uses them
	sessions map[uint64]*session        // by the id in datagrams
}

// Listen opens the TCP port. UDP sockets are open while there are sessions that use them.
func Listen(ctx context.Context, c Config) (*Server, error) {
	if err := CheckToken(c.Token); err != nil {
		return nil, err
	}
	s := &Server{config: c, closedWait: closedWait, sockets: make(map[netip.AddrPort]*socket), sessions: make(map[uint64]*session)}
	var err error
	s.door, err = door.Listen(ctx, door.Config{
		Addresses: c.Addresses, Port: c.Port, Limits: limits, Log: c.Log,
		Causes: map[door.Reason]cause.ID{
			door.Full: cause.ProbeTooOften, door.TooMany: cause.ProbeTooOften, door.TooFast: cause.ProbeTooOften, door.TooMuch: cause.ProbeTooOften,
		},
		Handle: s.handle,
		Refuse: func(conn *net.TCPConn, why *cause.Failure) { part(conn, append([]byte(magic), 0), why.Cause) },
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// minToken is long enough that nobody guesses the token from a recorded session, if it is as random as it is long.
const minToken = 16

// CheckToken says what is wrong with a token.
func CheckToken(token []byte) error {
	if len(token) < minToken {
		return fmt.Errorf("the probe's token has %d characters; it has to have at least %d, by chance: openssl rand -base64 24", len(token), minToken)
	}
	return nil
}

// Addrs gives the addresses that the server listens on.
func (s *Server) Addrs() []net.Addr { return s.door.Addrs() }

// Serve serves until ctx is done. The error is that of a listener that cannot go on.
func (s *Server) Serve(ctx context.Context) error {
	for _, a := range s.Addrs() {
		s.config.Log.Printf(logging.Info, "Opening probe listen socket on %s.", a)
	}
	return s.door.Serve(ctx)
}

// session is one client's connection.
type session struct {
	server  *Server
	conn    *net.TCPConn
	codec   *codec
	from    netip.AddrPort
	account *door.Client
	seen    []string // what was found out, for the log

	bulkGot, bulkSent int

	// Of datagrams.
	id      uint64
	socket  *socket
	mu      sync.Mutex
	udpFrom netip.AddrPort // where the client's datagrams come from
	got     seen
	udpSent int // bytes
}

// handle serves one client.
func (s *Server) handle(ctx context.Context, conn *net.TCPConn, from netip.AddrPort, account *door.Client) {
	_ = conn.SetDeadline(time.Now().Add(helloLimit)) // fails on a closed connection, as the next step does
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	c := &session{server: s, conn: conn, from: from, account: account}
	err := c.run(ctx)
	c.closeUDP()
	id, text := c.verdict(ctx, err)
	switch {
	case id == "":
		found := "nothing was asked"
		if len(c.seen) > 0 {
			found = strings.Join(c.seen, ", ")
		}
		s.config.Log.Printf(logging.Notice, "Probe for %s ended: %s.", from, found)
		return
	case id == cause.ProbeTokenWrong:
		s.config.Log.Cause(logging.Warning, id, "Probe for %s refused: %s.", from, text)
	default:
		s.config.Log.Cause(logging.Notice, id, "Probe for %s ended early: %s.", from, text)
	}
	part(conn, []byte{0, 0}, id)
}

// verdict is the cause of an end that the client is told of.
func (c *session) verdict(ctx context.Context, err error) (id cause.ID, text string) {
	var refused *refusedError
	switch {
	case err == nil || err == io.EOF:
		return "", ""
	case ctx.Err() != nil:
		return cause.ServerShuttingDown, "the server is shutting down"
	case errors.As(err, &refused):
		return refused.cause, "it asks for more than a diagnosis needs"
	case errors.Is(err, errMAC) && c.codec.received == 0:
		return cause.ProbeTokenWrong, "it does not hold the token"
	case door.IsTimeout(err):
		return cause.EchoTimeLimit, "it took too long"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "", ""
	}
	return cause.ProbeMalformed, err.Error()
}

// part tells why and closes; what is unread meanwhile must not reset the connection before the client has heard.
func part(conn *net.TCPConn, before []byte, id cause.ID) {
	_ = conn.SetDeadline(time.Now().Add(refuseLimit))
	if _, err := conn.Write(appendRefusal(before, id)); err != nil || conn.CloseWrite() != nil {
		return
	}
	_, _ = io.Copy(io.Discard, conn)
}

// run greets, and answers requests until there are no more.
func (c *session) run(ctx context.Context) error {
	r := bufio.NewReader(c.conn)
	client, err := readHello(r)
	if err != nil {
		return err
	}
	nonce := make([]byte, nonceSize)
	_, _ = rand.Read(nonce) // never fails
	c.codec = &codec{key: sessionKey(c.server.config.Token, client, nonce), sends: fromServer, expects: fromClient, r: r, w: c.conn}
	if _, err := c.conn.Write(appendHello(nil, nonce)); err != nil {
		return err
	}
	k, _, err := c.codec.read()
	if err != nil {
		return err
	}
	if k != login {
		return errMalformed
	}
	c.server.config.Log.Printf(logging.Notice, "Probe for %s began.", c.from)
	_ = c.conn.SetDeadline(time.Now().Add(sessionLimit))
	if err := c.codec.write(login|answer, appendWelcome(nil, time.Now(), c.from)); err != nil {
		return err
	}
	for range maxRequests {
		k, body, err := c.codec.read()
		if err != nil {
			return err
		}
		if !c.server.door.Spend(c.account, len(body), time.Now()) {
			return &refusedError{cause.ProbeTooOften}
		}
		if err := c.answer(ctx, k, body); err != nil {
			return err
		}
	}
	return &refusedError{cause.ProbeTooOften}
}

// answer answers one request.
func (c *session) answer(ctx context.Context, k kind, body []byte) error {
	var reply []byte
	switch k {
	case reach:
		ports, err := parsePorts(body, maxPorts)
		if err != nil {
			return err
		}
		reply = appendReached(nil, c.reach(ctx, ports))
	case ping:
		if len(body) > maxPing {
			return errMalformed
		}
		reply = body
	case bulk:
		c.bulkGot += len(body)
		return nil
	case bulkEnd:
		reply = binary.BigEndian.AppendUint32(nil, uint32(c.bulkGot))
		c.bulkGot = 0
	case sendBulk:
		if err := c.sendBulk(body); err != nil {
			return err
		}
	case openUDP:
		// Where UDP cannot be opened the answer is empty; the client then does without.
		reply = c.openUDP()
	case statsUDP:
		c.mu.Lock()
		reply = c.got.bytes()
		c.mu.Unlock()
	case sendUDP:
		sizes, err := parsePorts(body, maxSizes)
		if err != nil {
			return err
		}
		if err := c.sendUDP(sizes); err != nil {
			return err
		}
	case tcpInfo:
		reply = appendTCP(nil, tcpOf(c.conn))
	default:
		return errMalformed
	}
	return c.codec.write(k|answer, reply)
}

// reach tries to connect to ports of the client's own address, all at once.
func (c *session) reach(ctx context.Context, ports []uint16) []Reached {
	all := make([]Reached, len(ports))
	var trying sync.WaitGroup
	for i, port := range ports {
		trying.Go(func() { all[i] = c.try(ctx, port) })
	}
	trying.Wait()
	for _, r := range all {
		c.seen = append(c.seen, fmt.Sprintf("port %d %s", r.Port, r.Outcome))
	}
	return all
}

func (c *session) try(ctx context.Context, port uint16) Reached {
	began := time.Now()
	conn, err := door.DialBack(ctx, c.conn, port, reachLimit)
	r := Reached{Port: port, Outcome: outcome(err), Took: time.Since(began)}
	if err != nil {
		if r.Outcome == Failed {
			c.server.config.Log.Printf(logging.Warning, "Warning: Connecting to %s port %d: %v.", c.from.Addr(), port, err)
		}
		return r
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(c.server.closedWait))
	var b [1]byte
	if n, err := conn.Read(b[:]); n == 0 && !errors.Is(err, os.ErrDeadlineExceeded) {
		r.Outcome = Closed
	}
	return r
}

func outcome(err error) Outcome {
	switch {
	case err == nil:
		return Open
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return Refused
	case door.IsTimeout(err):
		return Timeout
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTDOWN):
		return Unreachable
	}
	return Failed
}

func (c *session) sendBulk(body []byte) error {
	if len(body) != 4 {
		return errMalformed
	}
	n := binary.BigEndian.Uint32(body)
	if n > maxBulk {
		return errMalformed
	}
	if c.bulkSent += int(n); c.bulkSent > maxSent {
		return &refusedError{cause.ProbeTooOften}
	}
	for left := int(n); left > 0; left -= min(left, maxBody) {
		if err := c.codec.write(bulk|answer, make([]byte, min(left, maxBody))); err != nil {
			return err
		}
	}
	return nil
}
