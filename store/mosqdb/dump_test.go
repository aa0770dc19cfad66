package mosqdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"picket/internal/testbed"
	"picket/packet"
)

// files are one of each version; that of version 6 is made by the system's mosquitto.
func files(t *testing.T) map[string]int {
	return map[string]int{"testdata/1.4.15.db": 3, "testdata/1.5.11.db": 4, "testdata/1.6.9.db": 5, makeFile(t, strconv.Itoa(testbed.Port(t)), packet.V5): 6}
}

func dumped(t testing.TB, d Dump, name string) string {
	t.Helper()
	in, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out strings.Builder
	d.Warn = func(text string) { t.Errorf("%s: %s", name, text) }
	if err := d.Write(&out, in); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// What is in files of all versions is shown, in all forms.
func TestDump(t *testing.T) {
	for name, version := range files(t) {
		text := dumped(t, Dump{Payloads: true}, name)
		for _, want := range []string{
			"Mosquitto DB dump\nCRC: 0\nDB version: " + strconv.Itoa(version) + "\nDB_CHUNK_CFG:\n\tLength: ", "\tShutdown: 1\n\tDB ID size: 8\n\tLast DB ID: ",
			"\tTopic: a/in\n\tQoS: 2\n\tRetain: 1\n\tPayload Length: 16\n\tExpiry Time: 0\n\tPayload: waits for PUBREL\nDB_CHUNK_",
			"\tTopic: r/2\n\tQoS: 0\n\tRetain: 1\n\tPayload Length: 300\n\tExpiry Time: 0\nDB_CHUNK_",
			"\tClient ID: away\n\tTopic: b/+\n\tQoS: 1\n", "\tDirection: 0\n\tState: 7\n\tDup: ", "\tClient ID: in\n", "DB_CHUNK_RETAIN:\n\tLength: 8\n\tStore ID: ",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: there is no %q in\n%s", name, want, text)
			}
		}
		if five := "\tProperties:\n\t\tContent type: text/plain\n"; strings.Contains(text, five) != (version > 4) {
			t.Errorf("%s: %s", name, text)
		}
		if strings.Contains(dumped(t, Dump{}, name), "waits for") || strings.Contains(dumped(t, Dump{Form: FormJSON}, name), "payload\"") {
			t.Errorf("%s: payloads are shown that nobody has asked for", name)
		}
		if got := dumped(t, Dump{Form: FormStats}, name); !strings.HasPrefix(got, "DB_CHUNK_CFG:        1\nDB_CHUNK_BASE_MSG:   ") || !strings.HasSuffix(got, "DB_CHUNK_RETAIN:     3\nDB_CHUNK_SUB:        4\nDB_CHUNK_CLIENT:     4\n") {
			t.Errorf("%s: %s", name, got)
		}
		if got := dumped(t, Dump{Form: FormClientStats}, name); strings.Count(got, "\n") != 4 || !strings.Contains(got, "SC: 2 SS: ") || !strings.Contains(got, "   away\n") || !strings.Contains(got, "SC: 0 SS: 0 MC: 1 MS: ") {
			t.Errorf("%s: %s", name, got)
		}
		checkJSON(t, name, version)
	}
}

func checkJSON(t *testing.T, name string, version int) {
	var got map[string][]map[string]any
	if err := json.Unmarshal([]byte(dumped(t, Dump{Form: FormJSON, Payloads: true}, name)), &got); err != nil {
		t.Fatal(err)
	}
	topics := make(map[any]any)
	for _, m := range got["base-messages"] {
		topics[m["storeid"]] = m["topic"]
		if p, has := m["properties"].([]any); has != (version > 4 && m["topic"] == "a/5") || has && p[0].(map[string]any)["value"] != "text/plain" {
			t.Errorf("%s: %v", name, m)
		}
		if m["topic"] == "r/1" && m["payload"] != "cmV0YWluZWQ=" {
			t.Errorf("%s: %v", name, m)
		}
	}
	if len(got) != 5 || len(got["clients"]) != 4 || len(got["subscriptions"]) != 4 || len(got["retained-messages"]) != 3 || len(got["client-messages"]) < 7 {
		t.Errorf("%s: %v", name, got)
	}
	for _, m := range append(got["client-messages"], got["retained-messages"]...) {
		if topics[m["storeid"]] == nil {
			t.Errorf("%s: %v is of no message", name, m)
		}
	}
}

// A dump is exactly so; JSON is set off by tabs as mosquitto's.
func TestDumpToTheLetter(t *testing.T) {
	for form, name := range map[Form]string{FormText: "text", FormStats: "stats", FormClientStats: "client-stats", FormJSON: "json"} {
		want, err := os.ReadFile("testdata/1.6.9." + name)
		if err != nil {
			t.Fatal(err)
		}
		if got := dumped(t, Dump{Form: form, Payloads: true}, "testdata/1.6.9.db"); got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

// A file is shown as far as it goes, wherever it is cut, and chunks that are not known are passed over.
func TestDumpOfDamaged(t *testing.T) {
	data := sample(t)
	cut := 0
	for n := range data {
		var out strings.Builder
		err := Dump{}.Write(&out, bytes.NewReader(data[:n]))
		var at *Error
		switch {
		case n >= len(Magic)+8 && !strings.HasPrefix(out.String(), "Mosquitto DB dump\n"):
			t.Fatalf("cut at %d: %q", n, out.String())
		case err == nil:
			cut++
		case !errors.As(err, &at):
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	if cut == 0 || cut > 300 {
		t.Errorf("of %d beginnings %d are whole", len(data), cut)
	}
	spoiled := bytes.Clone(data)
	spoiled[47] = 0xEE // the second chunk
	for _, form := range []Form{FormText, FormStats, FormClientStats, FormJSON} {
		var warned []string
		if err := (Dump{Form: form, Warn: func(text string) { warned = append(warned, text) }}).Write(io.Discard, bytes.NewReader(spoiled)); err != nil || len(warned) != 1 ||
			!strings.HasPrefix(warned[0], `Unsupported chunk "3992977410" of length `) || !strings.HasSuffix(warned[0], " at position 55. Ignoring.") {
			t.Errorf("form %d: %v %q", form, err, warned)
		}
	}
	spoiled = bytes.Clone(data)
	spoiled[40] = 4
	var out strings.Builder
	if err := (Dump{}).Write(&out, bytes.NewReader(spoiled)); !errors.As(err, new(ErrIDSize)) || !strings.HasSuffix(out.String(), "\tDB ID size: 4\n") {
		t.Errorf("%v, %s", err, out.String())
	}
}

// A list of no properties is one, at a message and at a client's.
func TestEmptyPropertyList(t *testing.T) {
	message := append(make([]byte, 27), 1, 0, 0, 0, 0, 't', 0)
	message[0] = 9
	queued := []byte{9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, byte(InQueue), 0, 1, 'c', 0}
	file := []byte(Magic + "\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x01\x00\x00\x00\x10\x09\x00\x00\x00\x00\x00\x00\x00\x01\x08\x00\x00\x00\x00\x00\x00")
	file = append(append(file, 0, 0, 0, 2, 0, 0, 0, byte(len(message))), message...)
	file = append(append(file, 0, 0, 0, 3, 0, 0, 0, byte(len(queued))), queued...)
	for _, form := range []Form{FormText, FormStats, FormClientStats, FormJSON} {
		var out strings.Builder
		if err := (Dump{Form: form}).Write(&out, bytes.NewReader(file)); err != nil || strings.Contains(strings.ToLower(out.String()), "properties") {
			t.Errorf("form %d: %v %s", form, err, out.String())
		}
	}
	if f, err := Read(bytes.NewReader(file), nil); err != nil || len(f.Lost)+len(f.Skipped) > 0 || len(f.Clients) != 1 || len(f.Clients[0].Out) != 1 {
		t.Errorf("%v %+v", err, f)
	}
}

// FuzzDump shows any bytes in all forms, and what it shows of them a terminal does not obey.
func FuzzDump(f *testing.F) {
	all, err := filepath.Glob("testdata/*.db")
	if err != nil || len(all) < 3 {
		f.Fatal(all, err)
	}
	for _, name := range all {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		six := bytes.Clone(data)
		six[22] = 6
		f.Add(six)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, form := range []Form{FormText, FormStats, FormClientStats, FormJSON} {
			var out bytes.Buffer
			err := Dump{Form: form, Payloads: true, Warn: func(string) {}}.Write(&out, bytes.NewReader(data))
			if form == FormJSON && err == nil && !json.Valid(out.Bytes()) {
				t.Errorf("not JSON: %s", out.Bytes())
			}
			if bytes.ContainsFunc(out.Bytes(), func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f }) {
				t.Errorf("control characters: %q", out.Bytes())
			}
		}
	})
}
