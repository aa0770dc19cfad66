// Package resp speaks the Redis protocol, versions 2 and 3, on both sides of a connection: commands in and replies out for a
// server, commands out and replies in for a client. It never allocates for a length before the bytes of that length have come.
package resp

import (
	"strconv"
	"strings"
)

// Kind is the first byte of a value on the wire.
type Kind byte

// The kinds of values. Those from Null on exist in version 3 only.
const (
	Simple    Kind = '+'
	Error     Kind = '-'
	Integer   Kind = ':'
	Bulk      Kind = '$'
	Array     Kind = '*'
	Null      Kind = '_'
	Boolean   Kind = '#'
	Double    Kind = ','
	BigNumber Kind = '('
	BulkError Kind = '!'
	Verbatim  Kind = '='
	Map       Kind = '%'
	Set       Kind = '~'
	Push      Kind = '>'
	Attribute Kind = '|'
)

// Value is one reply. Maps hold their keys and values in turn in Elems. The null bulk string and the null array of version 2
// are of kind Null, like version 3's null. A BulkError becomes an Error, a Verbatim string a Bulk without its three letters of
// format; attributes are read and dropped.
type Value struct {
	Kind  Kind
	Str   string  // Simple, Error, Bulk, Double, BigNumber
	Int   int64   // Integer; Boolean: 0 or 1
	Elems []Value // Array, Map, Set, Push
}

// Str makes a bulk string.
func Str(s string) Value { return Value{Kind: Bulk, Str: s} }

// Int makes an integer.
func Int(n int64) Value { return Value{Kind: Integer, Int: n} }

// Strs makes an array of bulk strings.
func Strs(ss ...string) Value {
	v := Value{Kind: Array, Elems: make([]Value, len(ss))}
	for i, s := range ss {
		v.Elems[i] = Str(s)
	}
	return v
}

// OK is the simple string OK.
var OK = Value{Kind: Simple, Str: "OK"}

// Err makes an error reply; its text begins with a code such as ERR.
func Err(text string) Value { return Value{Kind: Error, Str: text} }

// IsError reports whether v is an error whose code, the first word, is code. An empty code matches any error.
func (v Value) IsError(code string) bool {
	if v.Kind != Error {
		return false
	}
	first, _, _ := strings.Cut(v.Str, " ")
	return code == "" || first == code
}

// AsInt returns v as a number: an integer, or a string of digits.
func (v Value) AsInt() (int64, bool) {
	switch v.Kind {
	case Integer, Boolean:
		return v.Int, true
	case Bulk, Simple, BigNumber:
		n, err := strconv.ParseInt(v.Str, 10, 64)
		return n, err == nil
	}
	return 0, false
}
