// Package record puts binary records together and takes them apart: what stores keep and what nodes send one another. A number has the one shortest form of
// a varint, and text and bytes come behind their length, so that a record has one form only.
package record

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Error says where a record does not have its form.
type Error struct {
	Record string // which kind
	Offset int    // where, in bytes
	Want   string // what was expected there
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s, byte %d: expected %s", e.Record, e.Offset, e.Want)
}

// Reader takes a record apart. The first error stays, and everything read after it is zero. What it reads are parts of the record; nothing is copied or allocated.
type Reader struct {
	kind string
	data []byte
	at   int
	err  error
}

// NewReader reads a record; kind is what errors call it.
func NewReader(kind string, data []byte) Reader { return Reader{kind: kind, data: data} }

// Fail says that something else was expected at some byte. Nothing is read after it.
func (r *Reader) Fail(at int, want string) { r.Give(&Error{Record: r.kind, Offset: at, Want: want}) }

// Give is Fail with an error of the caller's.
func (r *Reader) Give(err error) {
	if r.err == nil {
		r.err = err
	}
	r.data, r.at = nil, 0
}

// Kind is what errors call the record.
func (r *Reader) Kind() string { return r.kind }

// At is how many bytes have been read.
func (r *Reader) At() int { return r.at }

// Left is how many bytes have not been read.
func (r *Reader) Left() int { return len(r.data) - r.at }

// Err is the first error.
func (r *Reader) Err() error { return r.err }

// Byte reads a byte.
func (r *Reader) Byte(want string) byte {
	if r.at >= len(r.data) {
		r.Fail(len(r.data), want)
		return 0
	}
	b := r.data[r.at]
	r.at++
	return b
}

// Flags reads a byte of which only the bits of mask may be set.
func (r *Reader) Flags(mask byte) byte {
	b := r.Byte("flags")
	if b&^mask != 0 {
		r.Fail(r.at-1, "flags that are known")
		return 0
	}
	return b
}

// Number reads a varint in its shortest form, up to limit.
func (r *Reader) Number(limit uint64, want string) uint64 {
	n, ok := r.number(limit)
	if !ok {
		r.Fail(r.at, want)
	}
	return n
}

func (r *Reader) number(limit uint64) (n uint64, ok bool) {
	n, size := binary.Uvarint(r.data[r.at:])
	if size <= 0 || n > limit || size != Size(n) {
		return 0, false
	}
	r.at += size
	return n, true
}

// Count reads how many things follow, up to limit, each of which takes up least bytes or more.
func (r *Reader) Count(limit uint64, least int, want string) int {
	n, ok := r.number(min(limit, uint64(r.Left()/least)))
	if !ok {
		r.Fail(r.at, "how many "+want+" follow")
	}
	return int(n)
}

// Bytes reads a length of up to limit and as many bytes, which are a part of the record.
func (r *Reader) Bytes(limit uint64, want string) []byte {
	n, ok := r.number(limit)
	if !ok {
		r.Fail(r.at, "the length of "+want)
		return nil
	}
	if n > uint64(r.Left()) {
		r.Fail(r.at, want)
		return nil
	}
	b := r.data[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

// End checks that nothing is left.
func (r *Reader) End() error {
	if r.err == nil && r.at != len(r.data) {
		r.Fail(r.at, "the end of the record")
	}
	return r.err
}

// Size is how many bytes a number takes up.
func Size(n uint64) int { return max(1, (bits.Len64(n)+6)/7) }

// copyLong is copy for what may be long: atOnce bytes at a time.
func copyLong[T string | []byte](dst []byte, src T) {
	for at := 0; at < len(src); at += atOnce {
		copy(dst[at:], src[at:min(at+atOnce, len(src))])
	}
}

// atOnce is how many bytes are copied at a time. Go cannot interrupt a copy, and its garbage collector, and with it the whole program, waits for the end of it:
// of one of 255 MiB for a second, where memory is new and slow.
const atOnce = 1 << 20

// Append adds a length and as many bytes.
func Append[T string | []byte](dst []byte, b T) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	if len(b) <= atOnce {
		return append(dst, b...)
	}
	at := len(dst)
	both := make([]byte, at+len(b)) // append clears it in one go
	copy(both, dst)
	copyLong(both[at:], b)
	return both
}

// Clone returns a copy of head, and one of tail, in one piece of memory.
func Clone(head, tail []byte) (headCopy, tailCopy []byte) {
	both := make([]byte, len(head)+len(tail))
	copy(both, head)
	headCopy, tailCopy = both[:len(head):len(head)], both[len(head):]
	copyLong(tailCopy, tail)
	return headCopy, tailCopy
}

// Bit is a flag if b is set, and otherwise 0.
func Bit(b bool, flag byte) byte {
	if b {
		return flag
	}
	return 0
}
