package packet

import (
	"bytes"
	"testing"
	"unicode"
	"unicode/utf8"
)

func addSeeds(f *testing.F) {
	for _, v := range []Version{V31, V311, V5} {
		for _, p := range every(v) {
			if b := p.Append(nil, v); len(b) < 1024 {
				f.Add(byte(v), b)
			}
		}
	}
	for _, c := range bad {
		f.Add(byte(c.v), c.packet)
	}
}

// cut takes one whole packet off the front of b.
func cut(b []byte) (first byte, body []byte, ok bool) {
	head, remaining, err := Header(b)
	if err != nil || head == 0 || len(b)-head < remaining {
		return 0, nil, false
	}
	return b[0], b[head : head+remaining], true
}

// FuzzDecode: whatever arrives, decoding does not panic, fails with an *Error, and strings that it lets through are valid.
func FuzzDecode(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, version byte, b []byte) {
		first, body, ok := cut(b)
		if !ok {
			return
		}
		v := Version(version)
		p, err := Decode(v, first, body)
		if err != nil {
			if e, ok := err.(*Error); !ok || !e.Code.Failed() || e.Text == "" {
				t.Fatalf("% x: bad error %#v", b, err)
			}
			return
		}
		if c, ok := p.(*Connect); ok && (!utf8.ValidString(c.ClientID) || !utf8.ValidString(c.Username)) {
			t.Fatalf("% x: %+v", b, c)
		}
		if p, ok := p.(*Publish); ok {
			if checkName(p.Topic) != textOK || !utf8.Valid(p.Topic) || bytes.ContainsAny(p.Topic, "#+\x00") {
				t.Fatalf("% x: topic %q", b, p.Topic)
			}
			AppendForward(nil, p.Props)
			if _, err := p.Properties(); err != nil {
				t.Fatalf("% x: in place the properties are valid, by themselves: %v", b, err)
			}
		}
	})
}

// FuzzDecodeEncodeDecode: what was decoded and is written again decodes to the same; written a third time it has the same bytes.
func FuzzDecodeEncodeDecode(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, version byte, b []byte) {
		first, body, ok := cut(b)
		v := Version(version)
		if !ok || v < V31 || v > V5 {
			return
		}
		p, err := Decode(v, first, body)
		if err != nil {
			return
		}
		if c, ok := p.(*Connect); ok {
			v = c.Version
		}
		again := p.Append(nil, v)
		first, body, ok = cut(again)
		if !ok {
			t.Fatalf("% x is not one packet", again)
		}
		p2, err := Decode(v, first, body)
		if err != nil {
			t.Fatalf("% x was accepted, but not % x: %v", b, again, err)
		}
		if third := p2.Append(nil, v); !bytes.Equal(third, again) {
			t.Fatalf("% x and then % x", again, third)
		}
	})
}

// FuzzText: the fast path agrees with the plain definition.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "a/b", "abcdefgh", "abcdefg\x00", "abcdefghijk\x80", "a/+/b", "abcdefgh#", "\x01\x7f", "köln", "\xed\xa0\x80"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		want := textOK
		switch {
		case !utf8.Valid(s):
			want = textBroken
		case bytes.IndexByte(s, 0) >= 0:
			want = textNUL
		}
		if got := checkText(s); got != want {
			t.Errorf("checkText(%q) = %d, want %d", s, got, want)
		}
		if want == textOK && bytes.ContainsFunc(s, unicode.IsControl) {
			want = textControl
		}
		if want == textOK && bytes.ContainsAny(s, "#+") {
			want = textWildcard
		}
		if got := checkName(s); got != want {
			t.Errorf("checkName(%q) = %d, want %d", s, got, want)
		}
	})
}
