// Package prototext says that the text form of messages is left out: see package proto.
package prototext

import "google.golang.org/protobuf/proto"

// Format gives the words of [proto.ErrLeftOut], as a comment.
func Format(proto.Message) string { return "# " + proto.ErrLeftOut.Error() }
