package probe

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// A datagram is id, number, purpose, as many zeros as its size asks for, and a MAC of 16 bytes.
const (
	headSize     = 8 + 4 + 1
	tagSize      = 16
	minDatagram  = headSize + tagSize
	maxDatagram  = 9000
	maxDatagrams = 4096 // that a session may send; the numbers are below it
)

// purpose says what a datagram is for.
type purpose byte

const (
	loss purpose = 1 // is answered by one of the same size
	size purpose = 2 // is answered by the smallest, so that the way back cannot be too narrow
	down purpose = 3 // was asked for by sendUDP
)

// datagram is one datagram of the probe.
type datagram struct {
	id      uint64
	number  uint32
	purpose purpose
}

// appendDatagram makes a datagram of n bytes in all, at least minDatagram.
func appendDatagram(dst, key []byte, direction byte, d datagram, n int) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint64(dst, d.id)
	dst = binary.BigEndian.AppendUint32(dst, d.number)
	dst = append(dst, byte(d.purpose))
	dst = append(dst, make([]byte, max(0, n-minDatagram))...)
	return append(dst, tag(key, direction, dst[start:])...)
}

func tag(key []byte, direction byte, b []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte{'U', direction})
	h.Write(b)
	return h.Sum(nil)[:tagSize]
}

// idOf is the session that a datagram says it belongs to; whether it does, parseDatagram tells.
func idOf(b []byte) (id uint64, ok bool) {
	if len(b) < minDatagram {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

// parseDatagram reads a datagram that was made with the key.
func parseDatagram(b, key []byte, direction byte) (d datagram, ok bool) {
	if len(b) < minDatagram || !hmac.Equal(tag(key, direction, b[:len(b)-tagSize]), b[len(b)-tagSize:]) {
		return datagram{}, false
	}
	d = datagram{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), purpose(b[12])}
	if d.number >= maxDatagrams || d.purpose < loss || d.purpose > down {
		return datagram{}, false
	}
	return d, true
}

// seen is a set of datagrams' numbers.
type seen [maxDatagrams / 64]uint64

// add puts a number in, and says whether it was new.
func (s *seen) add(n uint32) bool {
	word, bit := n/64, uint64(1)<<(n%64)
	was := s[word]&bit != 0
	s[word] |= bit
	return !was
}

func (s *seen) has(n uint32) bool { return s[n/64]&(1<<(n%64)) != 0 }

// bytes is the set as it crosses the wire.
func (s *seen) bytes() (b []byte) {
	for _, word := range s {
		b = binary.BigEndian.AppendUint64(b, word)
	}
	return b
}

func parseSeen(b []byte) (s seen, err error) {
	if len(b) != maxDatagrams/8 {
		return seen{}, errMalformed
	}
	for i := range s {
		s[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return s, nil
}
