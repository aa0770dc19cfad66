// Package zstd stands in for github.com/klauspost/compress/zstd, through a replace directive in the repository's go.mod: the storage engine can
// compress in several ways, and the tables of Picket's store have always been compressed with Snappy alone. The original would be half a megabyte of
// the program.
package zstd

import (
	"errors"
	"io"
)

// ErrLeftOut says that this program neither compresses with Zstandard nor reads what somebody else has compressed with it.
var ErrLeftOut = errors.New("compression with Zstandard is left out of this program")

// Encoder is none.
type Encoder struct{}

// Decoder is none.
type Decoder struct{}

// EOption is none.
type EOption struct{}

// DOption is none.
type DOption struct{}

// EncoderLevelFromZstd takes a level as zstd numbers it.
func EncoderLevelFromZstd(int) int { return 0 }

// WithEncoderLevel takes what [EncoderLevelFromZstd] gives.
func WithEncoderLevel(int) EOption { return EOption{} }

// NewWriter gives [ErrLeftOut].
func NewWriter(io.Writer, ...EOption) (*Encoder, error) { return nil, ErrLeftOut }

// EncodeAll cannot be reached: there is no encoder.
func (*Encoder) EncodeAll([]byte, []byte) []byte { panic(ErrLeftOut) }

// Close does nothing.
func (*Encoder) Close() error { return nil }

// NewReader makes a decoder that refuses.
func NewReader(io.Reader, ...DOption) (*Decoder, error) { return &Decoder{}, nil }

// DecodeAll gives [ErrLeftOut].
func (*Decoder) DecodeAll([]byte, []byte) ([]byte, error) { return nil, ErrLeftOut }

// Close does nothing.
func (*Decoder) Close() {}
