// Package proto stands in for google.golang.org/protobuf/proto, through a replace directive in the repository's go.mod: it has what the client of
// Prometheus calls of it where figures are shown as text.
//
// The original brings along reflection over messages, descriptors and encoders, some one and a half megabytes of every program that links them, for
// a format that no page of figures here offers.
package proto

import "errors"

// Message is what could be encoded with the original.
type Message interface{ ProtoMessage() }

// ErrLeftOut says that this program neither writes nor reads protocol buffers.
var ErrLeftOut = errors.New("protocol buffers are left out of this program: ask for the figures as text")

// String makes a pointer to a copy of v.
func String(v string) *string { return &v }

// Float64 makes a pointer to a copy of v.
func Float64(v float64) *float64 { return &v }

// Int32 makes a pointer to a copy of v.
func Int32(v int32) *int32 { return &v }

// Int64 makes a pointer to a copy of v.
func Int64(v int64) *int64 { return &v }

// Uint32 makes a pointer to a copy of v.
func Uint32(v uint32) *uint32 { return &v }

// Uint64 makes a pointer to a copy of v.
func Uint64(v uint64) *uint64 { return &v }
