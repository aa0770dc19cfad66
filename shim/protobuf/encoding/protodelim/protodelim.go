// Package protodelim refuses to write and to read messages one after the other: see package proto.
package protodelim

import (
	"io"

	"google.golang.org/protobuf/proto"
)

// Reader is what messages would be read from.
type Reader interface {
	io.Reader
	io.ByteReader
}

// UnmarshalOptions has the bound that the original knows.
type UnmarshalOptions struct {
	MaxSize int64 // in bytes
}

// UnmarshalFrom gives [proto.ErrLeftOut].
func (UnmarshalOptions) UnmarshalFrom(Reader, proto.Message) error { return proto.ErrLeftOut }

// MarshalTo writes nothing and gives [proto.ErrLeftOut].
func MarshalTo(io.Writer, proto.Message) (int, error) { return 0, proto.ErrLeftOut }
