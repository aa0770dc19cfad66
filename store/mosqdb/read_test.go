package mosqdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

func sample(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/1.6.9.db")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestCutFile cuts a file at every byte: before its configuration is there it is refused, and after that it is read as far as it goes. Where it does not end
// between two chunks, it says that something is lost.
func TestCutFile(t *testing.T) {
	data := sample(t)
	whole, refused, before := 0, 0, 0
	for n := range data {
		file, err := Read(bytes.NewReader(data[:n]), nil)
		var at *Error
		switch {
		case err != nil:
			refused++
			if !errors.As(err, &at) || at.Offset > int64(n) {
				t.Fatalf("cut at %d: %v", n, err)
			}
			continue
		case len(file.Lost) == 0:
			whole++
		case len(file.Lost) > 1 || !strings.Contains(file.Lost[0], "the end of the file: everything from there on is missing"):
			t.Fatalf("cut at %d: %q", n, file.Lost)
		}
		if held := len(file.Clients) + len(file.Retained) + len(file.messages); held < before {
			t.Fatalf("cut at %d there is less than before: %d", n, held)
		} else {
			before = held
		}
	}
	if whole == 0 || whole > 40 || refused > 60 {
		t.Errorf("%d beginnings of the file are whole, %d are refused", whole, refused)
	}
}

// TestDamagedChunks spoils every chunk behind the first in turn: the others are read.
func TestDamagedChunks(t *testing.T) {
	data := sample(t)
	want, err := Read(bytes.NewReader(data), nil)
	if err != nil || len(want.Lost) > 0 {
		t.Fatal(err, want.Lost)
	}
	first := true
	for at := 23; at < len(data); at += 8 + int(binary.BigEndian.Uint32(data[at+4:])) {
		if first {
			first = false
			continue
		}
		spoiled := bytes.Clone(data)
		spoiled[at] = 0xEE // a kind that there is not
		file, err := Read(bytes.NewReader(spoiled), nil)
		if err != nil || len(file.Lost) == 0 || !strings.HasPrefix(file.Lost[0], fmt.Sprintf("byte %d: expected the number of a kind of chunk, found", at)) {
			t.Fatalf("chunk at %d: %v, %q", at, err, file.Lost)
		}
		if n := len(file.Clients) + len(file.Retained); n < len(want.Clients)+len(want.Retained)-2 {
			t.Errorf("chunk at %d: only %d clients and retained messages are left", at, n)
		}
	}
}

func TestErrorsSayWhereAndWhat(t *testing.T) {
	data := sample(t)
	for _, test := range []struct {
		want  string
		spoil func([]byte) []byte
	}{
		{"byte 0: expected a mosquitto.db, found an empty file", func([]byte) []byte { return nil }},
		{"byte 0: expected a mosquitto.db, which begins with", func(b []byte) []byte { b[3] = 'X'; return b }},
		{"byte 19: expected version 3, 4, 5 or 6, found 2, which is not known", func(b []byte) []byte { b[22] = 2; return b }},
		{"byte 19: expected version 3, 4, 5 or 6, found 7, which is not known", func(b []byte) []byte { b[22] = 7; return b }},
		{"byte 23: expected a configuration chunk first, found 2", func(b []byte) []byte { b[26] = 2; return b }},
		{"byte 40: expected message numbers of 8 bytes, found 4", func(b []byte) []byte { b[40] = 4; return b }},
		{"byte 27: expected the length of a chunk, found 4294967295", func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[27:], 1<<32-1)
			return b
		}},
		{"byte 31: expected a chunk of 268435456 bytes, found", func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[27:], 1<<28)
			return b
		}},
	} {
		_, err := Read(bytes.NewReader(test.spoil(bytes.Clone(data))), nil)
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
}

// TestBigEndian turns the byte order of a file's own numbers around, as a machine with the other order writes them.
func TestBigEndian(t *testing.T) {
	data := sample(t)
	turn := func(at int) {
		binary.BigEndian.PutUint64(data[at:], binary.LittleEndian.Uint64(data[at:]))
	}
	for at := 23; at < len(data); {
		kind, length := binary.BigEndian.Uint32(data[at:]), int(binary.BigEndian.Uint32(data[at+4:]))
		at += 8
		switch kind {
		case chunkMessage:
			turn(at + 8)
		case chunkSub:
			at += length
			continue
		}
		turn(at)
		at += length
	}
	want, err := Read(bytes.NewReader(sample(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Read(bytes.NewReader(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Retained) != len(want.Retained) || len(got.Clients) != len(want.Clients) || len(got.Skipped) > 0 {
		t.Fatalf("%+v", got)
	}
	for i, c := range got.Clients {
		if w := want.Clients[i]; c.ID != w.ID || c.Ends != w.Ends || len(c.Out) != len(w.Out) {
			t.Errorf("%+v, want %+v", c, w)
		}
	}
}

// FuzzRead reads any bytes. Whatever is accepted has been checked so far that it can be delivered.
func FuzzRead(f *testing.F) {
	data := sample(f)
	f.Add(data)
	f.Add(data[:200])
	six := bytes.Clone(data)
	six[22] = 6
	f.Add(six)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read(bytes.NewReader(data), nil)
		if err != nil {
			return
		}
		for _, c := range file.Clients {
			if c.ID == "" && len(c.Out)+len(c.In)+len(c.Subscriptions) == 0 {
				t.Error("a client without an identifier and without anything")
			}
			for _, q := range append(c.Out, c.In...) {
				if q.Message == nil || q.QoS > 2 || q.Message.Topic == "" {
					t.Errorf("%+v", q)
				}
			}
		}
	})
}

func TestFollowing(t *testing.T) {
	for _, test := range []struct {
		next uint64
		id   uint16
		want uint64
	}{{1, 1, 1}, {1, 65535, 65535}, {65535, 65535, 65535}, {65536, 1, 65536}, {65536, 65535, 131070}, {6, 3, 65538}} {
		if got := following(test.next, test.id); got != test.want {
			t.Errorf("from %d, identifier %d: %d, want %d", test.next, test.id, got, test.want)
		}
	}
}
