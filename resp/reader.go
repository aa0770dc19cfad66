package resp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Limits bound what a stranger can make the reader hold.
type Limits struct {
	Inline int // bytes of one line, of an inline command or of a header
	Args   int // words of one command, elements of one array
	Bulk   int // bytes of one bulk string
}

// DefaultLimits are those of Redis for an authenticated client, with a bulk string of 16 MiB in place of 512 MiB: no
// command or reply that a sentinel reads comes near it.
var DefaultLimits = Limits{Inline: 64 << 10, Args: 1 << 20, Bulk: 16 << 20}

// StrangerLimits are those of Redis for a client that has not authenticated yet where a password is set.
var StrangerLimits = Limits{Inline: 64 << 10, Args: 10, Bulk: 16 << 10}

// maxDepth is how deeply replies may be nested; a sentinel's own are three deep.
const maxDepth = 16

// ProtocolError says what a peer sent that is not the protocol. Its text is what Redis answers.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string { return "Protocol error: " + e.Reason }

func protocolError(format string, args ...any) error {
	return &ProtocolError{fmt.Sprintf(format, args...)}
}

// Reader reads commands or replies from a stream. It is not for use by several goroutines at once.
type Reader struct {
	Limits Limits
	br     *bufio.Reader
}

// NewReader returns a Reader with DefaultLimits.
func NewReader(r io.Reader) *Reader {
	return &Reader{Limits: DefaultLimits, br: bufio.NewReaderSize(r, 4096)}
}

// Buffered reports how many bytes have arrived and were not read yet: zero at the end of a pipeline.
func (r *Reader) Buffered() int { return r.br.Buffered() }

var errLongLine = errors.New("line too long")

// line reads up to LF and cuts CR LF. The result holds until the next read.
func (r *Reader) line() ([]byte, error) {
	var long []byte
	for {
		part, err := r.br.ReadSlice('\n')
		if len(long)+len(part) > r.Limits.Inline {
			return nil, errLongLine
		}
		if err == bufio.ErrBufferFull {
			long = append(long, part...)
			continue
		}
		if err != nil {
			if err == io.EOF && len(long)+len(part) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if long != nil {
			part = append(long, part...)
		}
		part = part[:len(part)-1]
		if n := len(part); n > 0 && part[n-1] == '\r' {
			part = part[:n-1]
		}
		return part, nil
	}
}

// bulk reads n bytes and the CR LF behind them. Memory grows with what arrives, not with what was promised.
func (r *Reader) bulk(n int) (string, error) {
	const step = 32 << 10
	buf := make([]byte, 0, min(n+2, step))
	for want := n + 2; len(buf) < want; {
		k := min(want-len(buf), step)
		at := len(buf)
		buf = append(buf, make([]byte, k)...)
		if _, err := io.ReadFull(r.br, buf[at:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
	}
	return string(buf[:n]), nil
}

// Command reads one command: an array of bulk strings, or an inline line of words. An empty line or an empty array gives no
// words and no error. A *ProtocolError means that the stream cannot be read further.
func (r *Reader) Command() ([]string, error) {
	line, err := r.line()
	if err == errLongLine {
		return nil, protocolError("too big inline request")
	}
	if err != nil {
		return nil, err
	}
	if len(line) == 0 {
		return nil, nil
	}
	if line[0] != '*' {
		args, err := SplitArgs(string(line))
		if err != nil {
			return nil, protocolError("unbalanced quotes in request")
		}
		return args, nil
	}
	n, err := strconv.Atoi(string(line[1:]))
	if err != nil || n > 1<<20 {
		return nil, protocolError("invalid multibulk length")
	}
	if n > r.Limits.Args {
		return nil, protocolError("unauthenticated multibulk length")
	}
	if n <= 0 {
		return nil, nil
	}
	args := make([]string, 0, min(n, 64))
	for range n {
		arg, err := r.argument()
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	return args, nil
}

// argument reads one argument of a command.
func (r *Reader) argument() (string, error) {
	line, err := r.line()
	if err == errLongLine {
		return "", protocolError("too big bulk count string")
	}
	if err != nil {
		return "", unexpected(err)
	}
	if len(line) == 0 || line[0] != '$' {
		got := byte(' ')
		if len(line) > 0 {
			got = line[0]
		}
		return "", protocolError("expected '$', got '%c'", got)
	}
	size, err := strconv.Atoi(string(line[1:]))
	if err != nil || size < 0 || size > 512<<20 {
		return "", protocolError("invalid bulk length")
	}
	if size > r.Limits.Bulk {
		if r.Limits.Bulk == StrangerLimits.Bulk {
			return "", protocolError("unauthenticated bulk length")
		}
		return "", protocolError("invalid bulk length")
	}
	return r.bulk(size)
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Value reads one reply of either version.
func (r *Reader) Value() (Value, error) { return r.value(0) }

func (r *Reader) value(depth int) (Value, error) {
	if depth > maxDepth {
		return Value{}, protocolError("reply nested deeper than %d", maxDepth)
	}
	line, err := r.line()
	if err == errLongLine {
		return Value{}, protocolError("line longer than %d bytes", r.Limits.Inline)
	}
	if err != nil {
		if depth > 0 {
			err = unexpected(err)
		}
		return Value{}, err
	}
	if len(line) == 0 {
		return Value{}, protocolError("empty line where a reply should begin")
	}
	kind, rest := Kind(line[0]), string(line[1:])
	switch kind {
	case Simple, Error, Double, BigNumber:
		return Value{Kind: kind, Str: rest}, nil
	case Integer:
		n, err := strconv.ParseInt(rest, 10, 64)
		if err != nil {
			return Value{}, protocolError("invalid integer %q", rest)
		}
		return Value{Kind: Integer, Int: n}, nil
	case Null:
		return Value{Kind: Null}, nil
	case Boolean:
		if rest != "t" && rest != "f" {
			return Value{}, protocolError("invalid boolean %q", rest)
		}
		v := Value{Kind: Boolean}
		if rest == "t" {
			v.Int = 1
		}
		return v, nil
	case Bulk, BulkError, Verbatim:
		return r.text(kind, rest)
	case Array, Set, Push, Map, Attribute:
		return r.aggregate(kind, rest, depth)
	}
	return Value{}, protocolError("unknown kind of reply %q", line[0])
}

// text reads what follows the length of a text.
func (r *Reader) text(kind Kind, length string) (Value, error) {
	n, err := strconv.Atoi(length)
	if err != nil || n < -1 || n > r.Limits.Bulk {
		return Value{}, protocolError("invalid bulk length %q", length)
	}
	if n == -1 {
		return Value{Kind: Null}, nil
	}
	s, err := r.bulk(n)
	if err != nil {
		return Value{}, err
	}
	switch {
	case kind == BulkError:
		return Value{Kind: Error, Str: s}, nil
	case kind == Verbatim && len(s) >= 4:
		s = s[4:]
	}
	return Value{Kind: Bulk, Str: s}, nil
}

// aggregate reads what follows the length of a value of several. An attribute is passed over.
func (r *Reader) aggregate(kind Kind, length string, depth int) (Value, error) {
	n, err := strconv.Atoi(length)
	if err != nil || n < -1 || n > r.Limits.Args {
		return Value{}, protocolError("invalid length of an array %q", length)
	}
	if n == -1 {
		return Value{Kind: Null}, nil
	}
	if kind == Map || kind == Attribute {
		n *= 2
	}
	v := Value{Kind: kind, Elems: make([]Value, 0, min(n, 64))}
	for range n {
		e, err := r.value(depth + 1)
		if err != nil {
			return Value{}, err
		}
		v.Elems = append(v.Elems, e)
	}
	if kind == Attribute {
		return r.value(depth + 1)
	}
	return v, nil
}
