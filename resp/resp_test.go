package resp

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

func TestCommand(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
		err  string
	}{
		{in: "*2\r\n$4\r\nPING\r\n$2\r\nhi\r\n", want: []string{"PING", "hi"}},
		{in: "PING\r\n", want: []string{"PING"}},
		{in: "PING\n", want: []string{"PING"}},
		{in: "\r\n"},
		{in: "*0\r\n"},
		{in: "*-1\r\n"},
		{in: "SET \"a b\\x41\" 'c\\'d'\r\n", want: []string{"SET", "a bA", "c'd"}},
		{in: "SET \"a\r\n", err: "Protocol error: unbalanced quotes in request"},
		{in: "*x\r\n", err: "Protocol error: invalid multibulk length"},
		{in: "*99999999\r\n", err: "Protocol error: invalid multibulk length"},
		{in: "*1\r\n:1\r\n", err: "Protocol error: expected '$', got ':'"},
		{in: "*1\r\n$-1\r\n", err: "Protocol error: invalid bulk length"},
		{in: "*1\r\n$999999999999\r\n", err: "Protocol error: invalid bulk length"},
		{in: "*1\r\n$4\r\nPI", err: "unexpected EOF"},
		{in: "", err: "EOF"},
		{in: strings.Repeat("x", 70000) + "\r\n", err: "Protocol error: too big inline request"},
	} {
		got, err := NewReader(strings.NewReader(c.in)).Command()
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("%.40q: error %v, want %s", c.in, err, c.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%.40q: %q, %v, want %q", c.in, got, err, c.want)
		}
	}
}

func TestStrangersAreLimited(t *testing.T) {
	for in, want := range map[string]string{
		"*11\r\n":            "Protocol error: unauthenticated multibulk length",
		"*1\r\n$20000\r\nxx": "Protocol error: unauthenticated bulk length",
	} {
		r := NewReader(strings.NewReader(in))
		r.Limits = StrangerLimits
		if _, err := r.Command(); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", in, err, want)
		}
	}
}

// TestPromisedLengths: memory is taken for what has come, not for what was promised.
func TestPromisedLengths(t *testing.T) {
	for _, in := range []string{"$16000000\r\nabc", "*1000000\r\n", "%500000\r\n"} {
		allocated := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if _, err := NewReader(strings.NewReader(in)).Value(); err == nil {
					b.Fatal("half a reply was read")
				}
			}
		}).AllocedBytesPerOp()
		if allocated > 256<<10 {
			t.Errorf("%q: %d bytes allocated for %d that came", in, allocated, len(in))
		}
	}
}

func TestValue(t *testing.T) {
	for in, want := range map[string]Value{
		"+OK\r\n":                          OK,
		"-ERR no\r\n":                      Err("ERR no"),
		":-7\r\n":                          Int(-7),
		"$2\r\nhi\r\n":                     Str("hi"),
		"$-1\r\n":                          {Kind: Null},
		"*-1\r\n":                          {Kind: Null},
		"_\r\n":                            {Kind: Null},
		"#t\r\n":                           {Kind: Boolean, Int: 1},
		",1.5\r\n":                         {Kind: Double, Str: "1.5"},
		"*2\r\n:1\r\n$1\r\nx\r\n":          {Kind: Array, Elems: []Value{Int(1), Str("x")}},
		"%1\r\n+k\r\n:1\r\n":               {Kind: Map, Elems: []Value{{Kind: Simple, Str: "k"}, Int(1)}},
		"=6\r\ntxt:hi\r\n":                 Str("hi"),
		"!6\r\nERR no\r\n":                 Err("ERR no"),
		"|1\r\n+ttl\r\n:1\r\n$2\r\nhi\r\n": Str("hi"),
		">1\r\n+x\r\n":                     {Kind: Push, Elems: []Value{{Kind: Simple, Str: "x"}}},
	} {
		got, err := NewReader(strings.NewReader(in)).Value()
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v, want %+v", in, got, err, want)
		}
	}
	deep := strings.Repeat("*1\r\n", 1000)
	if _, err := NewReader(strings.NewReader(deep)).Value(); !errors.As(err, new(*ProtocolError)) {
		t.Errorf("a reply nested 1000 deep: %v", err)
	}
}

// TestVersionTwo: what version 2 has no kind for is written as the nearest that it has.
func TestVersionTwo(t *testing.T) {
	for _, c := range []struct {
		v          Value
		two, three string
	}{
		{Value{Kind: Map, Elems: []Value{Str("a"), Int(1)}}, "*2\r\n$1\r\na\r\n:1\r\n", "%1\r\n$1\r\na\r\n:1\r\n"},
		{Value{Kind: Null}, "$-1\r\n", "_\r\n"},
		{NullArray, "*-1\r\n", "_\r\n"},
		{Value{Kind: Boolean, Int: 1}, ":1\r\n", "#t\r\n"},
		{Value{Kind: Double, Str: "1.5"}, "$3\r\n1.5\r\n", ",1.5\r\n"},
		{Value{Kind: Push, Elems: []Value{Int(1)}}, "*1\r\n:1\r\n", ">1\r\n:1\r\n"},
		{Value{Kind: Verbatim, Str: "hi"}, "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"},
		{Err("ERR a\r\n+OK"), "-ERR a  +OK\r\n", "-ERR a  +OK\r\n"},
	} {
		if got := string(Append(nil, 2, c.v)); got != c.two {
			t.Errorf("version 2 of %+v: %q, want %q", c.v, got, c.two)
		}
		if got := string(Append(nil, 3, c.v)); got != c.three {
			t.Errorf("version 3 of %+v: %q, want %q", c.v, got, c.three)
		}
	}
}

// FuzzCommand: nothing that a stranger sends panics, and what is understood is understood alike when it is written again.
func FuzzCommand(f *testing.F) {
	f.Add([]byte("*2\r\n$4\r\nPING\r\n$2\r\nhi\r\n"))
	f.Add([]byte("SET \"a b\" 'c'\r\nPING\r\n"))
	f.Add([]byte("*1\r\n$-5\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data))
		for {
			args, err := r.Command()
			if err != nil {
				return
			}
			if len(args) == 0 {
				continue
			}
			again, err := NewReader(bytes.NewReader(AppendCommand(nil, args...))).Command()
			if err != nil || !reflect.DeepEqual(again, args) {
				t.Fatalf("%q written and read: %q, %v", args, again, err)
			}
		}
	})
}

// FuzzValue is the same for replies.
func FuzzValue(f *testing.F) {
	for _, s := range []string{"*2\r\n:1\r\n$1\r\nx\r\n", "%1\r\n+k\r\n:1\r\n", "|1\r\n+a\r\n:1\r\n+OK\r\n", "$-1\r\n", "=5\r\ntxt:x\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := NewReader(bytes.NewReader(data)).Value()
		if err != nil {
			var p *ProtocolError
			if !errors.As(err, &p) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("an error of no known kind: %v", err)
			}
			return
		}
		// A lone CR in a line becomes a space when it is written; from then on nothing changes.
		written := Append(nil, 3, v)
		again, err := NewReader(bytes.NewReader(written)).Value()
		if err != nil || !bytes.Equal(Append(nil, 3, again), written) {
			t.Fatalf("%+v written and read: %+v, %v", v, again, err)
		}
	})
}

// FuzzSplitArgs: a quoted word comes back as it was.
func FuzzSplitArgs(f *testing.F) {
	f.Add("a b", "it's \"x\"\\")
	f.Fuzz(func(t *testing.T, a, b string) {
		got, err := SplitArgs(Quote(a) + " " + QuoteIfNeeded(b))
		if err != nil || !reflect.DeepEqual(got, []string{a, b}) {
			t.Errorf("%q %q: %q, %v", a, b, got, err)
		}
		_, _ = SplitArgs(a)
	})
}
