package probe

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"picket/cause"
)

// The wire protocol, in docs/echo.md at length. Numbers are big-endian.
//
//	client  magic, version, nonce
//	server  magic, version, nonce    or magic, 0, length, a cause's id: a refusal
//	both    frames: length, kind, body, MAC    length 0 is followed by length, a cause's id: a refusal
//
// A MAC is HMAC-SHA256 with a key made of the token and both nonces, over direction, number, kind and body. Both sides thereby prove that
// they hold the token, and nothing that was recorded can be used again, nor left out or reordered.
const (
	magic     = "PKPB"
	version   = 1
	nonceSize = 32
	macSize   = sha256.Size

	// maxBody is the largest body: sixteen TCP segments.
	maxBody = 16 << 10
)

// kind is the kind of a frame. An answer has the request's kind and the answer bit.
type kind byte

const (
	login    kind = 1 // → the server's time, and the client's address as it sees it
	reach    kind = 2 // ports → an outcome for each
	ping     kind = 3 // a body → the same body
	bulk     kind = 4 // a body of any size that counts; no answer
	bulkEnd  kind = 5 // → how many bytes came in bulk frames
	sendBulk kind = 6 // a number of bytes → bulk answers with so many, then this answer
	openUDP  kind = 7 // → the id for datagrams
	statsUDP kind = 8 // → which datagrams came
	sendUDP  kind = 9 // a list of sizes → datagrams of these sizes, then this answer
	tcpInfo  kind = 10

	answer kind = 0x80
)

// The directions, as they stand in a MAC.
const (
	fromClient byte = 'C'
	fromServer byte = 'S'
)

var (
	errMAC       = errors.New("a frame's authentication code is wrong")
	errMalformed = errors.New("malformed frame")
)

// sessionKey is the key of one connection.
func sessionKey(token, client, server []byte) []byte {
	h := hmac.New(sha256.New, token)
	h.Write([]byte("picket probe 1\x00"))
	h.Write(client)
	h.Write(server)
	return h.Sum(nil)
}

// codec reads and writes frames.
type codec struct {
	key            []byte
	sends, expects byte // directions
	sent, received uint64
	r              *bufio.Reader
	w              io.Writer
}

func (c *codec) mac(direction byte, number uint64, k kind, body []byte) []byte {
	h := hmac.New(sha256.New, c.key)
	h.Write(append(binary.BigEndian.AppendUint64([]byte{direction}, number), byte(k)))
	h.Write(body)
	return h.Sum(nil)
}

// write writes one frame at once.
func (c *codec) write(k kind, body []byte) error {
	if len(body) > maxBody {
		return fmt.Errorf("a body of %d bytes is too long", len(body))
	}
	frame := binary.BigEndian.AppendUint16(make([]byte, 0, 3+len(body)+macSize), uint16(1+len(body)+macSize))
	frame = append(frame, byte(k))
	frame = append(frame, body...)
	frame = append(frame, c.mac(c.sends, c.sent, k, body)...)
	c.sent++
	_, err := c.w.Write(frame)
	return err
}

// read reads one frame. The error is a *refusedError when the other side refuses, and errMAC when it does not hold the key.
func (c *codec) read() (kind, []byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return 0, nil, err
	}
	size := int(binary.BigEndian.Uint16(head[:]))
	switch {
	case size == 0:
		return 0, nil, readRefusal(c.r)
	case size < 1+macSize || size > 1+maxBody+macSize:
		return 0, nil, errMalformed
	}
	frame := make([]byte, size)
	if _, err := io.ReadFull(c.r, frame); err != nil {
		return 0, nil, unexpected(err)
	}
	k, body, mac := kind(frame[0]), frame[1:size-macSize], frame[size-macSize:]
	if !hmac.Equal(mac, c.mac(c.expects, c.received, k, body)) {
		return 0, nil, errMAC
	}
	c.received++
	return k, body, nil
}

// unexpected is the error of an end in the middle of something.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// refusedError is a refusal of the other side. It is not authenticated: who does not hold the token gets one too.
type refusedError struct{ cause cause.ID }

func (e *refusedError) Error() string { return "refused [" + string(e.cause) + "]" }

// refusals are the causes that a server may name. Others are no refusal.
var refusals = []cause.ID{cause.ProbeTokenWrong, cause.ProbeTooOften, cause.ProbeMalformed, cause.ServerShuttingDown, cause.EchoTimeLimit}

func appendRefusal(dst []byte, id cause.ID) []byte {
	return append(append(dst, byte(len(id))), id...)
}

func readRefusal(r *bufio.Reader) error {
	n, err := r.ReadByte()
	if err != nil {
		return unexpected(err)
	}
	id := make([]byte, n)
	if _, err := io.ReadFull(r, id); err != nil {
		return unexpected(err)
	}
	for _, known := range refusals {
		if string(id) == string(known) {
			return &refusedError{known}
		}
	}
	return errMalformed
}

// appendHello is the first thing that each side sends.
func appendHello(dst, nonce []byte) []byte {
	return append(append(append(dst, magic...), version), nonce...)
}

// readHello reads the other side's nonce. A server that refuses sends version 0.
func readHello(r *bufio.Reader) (nonce []byte, err error) {
	head := make([]byte, len(magic)+1)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	switch v := head[len(magic)]; {
	case string(head[:len(magic)]) != magic:
		return nil, errMalformed
	case v == 0:
		return nil, readRefusal(r)
	case v != version:
		return nil, fmt.Errorf("it speaks version %d of the probe's protocol, and this is version %d", v, version)
	}
	nonce = make([]byte, nonceSize)
	if _, err := io.ReadFull(r, nonce); err != nil {
		return nil, unexpected(err)
	}
	return nonce, nil
}

// Outcome is how an attempt to connect ended.
type Outcome byte

// The outcomes of an attempt to connect.
const (
	Open        Outcome = iota + 1 // a connection came about and stayed for a moment
	Refused                        // a reset, or an ICMP message that the port is closed: at once
	Timeout                        // no answer
	Unreachable                    // an ICMP message: no route, or prohibited by a firewall
	Closed                         // a connection came about, and was closed or reset at once
	Failed                         // the prober itself could not try
)

// String gives "open", "refused", "timeout", "unreachable", "closed" or "failed".
func (o Outcome) String() string {
	names := [...]string{"", "open", "refused", "timeout", "unreachable", "closed", "failed"}
	if o >= Open && int(o) < len(names) {
		return names[o]
	}
	return fmt.Sprintf("Outcome(%d)", o)
}

// Reached is the outcome for one port.
type Reached struct {
	Port    uint16
	Outcome Outcome
	Took    time.Duration
}

// maxPorts is how many ports one request may name.
const maxPorts = 16

func appendPorts(dst []byte, ports []uint16) []byte {
	for _, p := range ports {
		dst = binary.BigEndian.AppendUint16(dst, p)
	}
	return dst
}

// parsePorts reads a list of ports or sizes, of at most most.
func parsePorts(b []byte, most int) ([]uint16, error) {
	if len(b)%2 != 0 || len(b) == 0 || len(b)/2 > most {
		return nil, errMalformed
	}
	all := make([]uint16, 0, len(b)/2)
	for ; len(b) > 0; b = b[2:] {
		p := binary.BigEndian.Uint16(b)
		if p == 0 {
			return nil, errMalformed
		}
		all = append(all, p)
	}
	return all, nil
}

const reachedSize = 7

func appendReached(dst []byte, all []Reached) []byte {
	for _, r := range all {
		dst = append(binary.BigEndian.AppendUint16(dst, r.Port), byte(r.Outcome))
		dst = binary.BigEndian.AppendUint32(dst, uint32(r.Took.Microseconds()))
	}
	return dst
}

func parseReached(b []byte) (all []Reached, err error) {
	if len(b)%reachedSize != 0 || len(b)/reachedSize > maxPorts {
		return nil, errMalformed
	}
	for ; len(b) > 0; b = b[reachedSize:] {
		r := Reached{binary.BigEndian.Uint16(b), Outcome(b[2]), time.Duration(binary.BigEndian.Uint32(b[3:])) * time.Microsecond}
		if r.Outcome < Open || r.Outcome > Failed {
			return nil, errMalformed
		}
		all = append(all, r)
	}
	return all, nil
}

// appendWelcome is the answer to a login.
func appendWelcome(dst []byte, now time.Time, client netip.AddrPort) []byte {
	return appendAddress(binary.BigEndian.AppendUint64(dst, uint64(now.UnixMilli())), client)
}

func parseWelcome(b []byte) (now time.Time, client netip.AddrPort, err error) {
	if len(b) < 8 {
		return now, client, errMalformed
	}
	client, err = parseAddress(b[8:])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(b))), client, err
}

func appendAddress(dst []byte, a netip.AddrPort) []byte {
	return append(binary.BigEndian.AppendUint16(dst, a.Port()), a.Addr().Unmap().WithZone("").AsSlice()...)
}

func parseAddress(b []byte) (netip.AddrPort, error) {
	if len(b) < 2 {
		return netip.AddrPort{}, errMalformed
	}
	a, ok := netip.AddrFromSlice(b[2:])
	if !ok || a.Is4In6() {
		return netip.AddrPort{}, errMalformed
	}
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(b)), nil
}

// TCP is what the kernel knows of one side's half of the connection.
type TCP struct {
	RTT, RTTVar time.Duration
	Segments    uint32 // with data that were sent
	Repeated    uint32 // of them, that were sent again
	PathMTU     uint32 // of the way out, as this side believes; bytes of an IP packet
	SegmentSize uint32 // the largest that is sent; bytes
}

const tcpSize = 24

func appendTCP(dst []byte, t *TCP) []byte {
	if t == nil { // this system does not tell
		return dst
	}
	for _, n := range []uint32{uint32(t.RTT.Microseconds()), uint32(t.RTTVar.Microseconds()), t.Segments, t.Repeated, t.PathMTU, t.SegmentSize} {
		dst = binary.BigEndian.AppendUint32(dst, n)
	}
	return dst
}

func parseTCP(b []byte) (*TCP, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if len(b) != tcpSize {
		return nil, errMalformed
	}
	at := func(i int) uint32 { return binary.BigEndian.Uint32(b[4*i:]) }
	return &TCP{time.Duration(at(0)) * time.Microsecond, time.Duration(at(1)) * time.Microsecond, at(2), at(3), at(4), at(5)}, nil
}
