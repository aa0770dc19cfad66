package sentinel

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"picket/sentinel/machine"
)

// TestConfigCases reads configuration files as they stand in testdata/config and prints what came of them: after "load" the state,
// after "rewrite" the file as it is written, after "change" the file after some changes of the state. Run with -rewrite to write
// what came out into the files.
func TestConfigCases(t *testing.T) {
	datadriven.Walk(t, "testdata/config", func(t *testing.T, path string) {
		dir := t.TempDir()
		file := filepath.Join(dir, "sentinel.conf")
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			clean := func(s string) string { return strings.ReplaceAll(strings.TrimRight(s, "\n"), dir, "DIR") }
			input := strings.ReplaceAll(d.Input, "DIR", dir)
			var args []string
			for _, a := range d.CmdArgs {
				args = append(args, a.Key)
			}
			if d.Cmd != "change" {
				if err := os.WriteFile(file, []byte(input+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c, err := LoadConfig(file, args, nil)
			if err != nil {
				return clean(err.Error())
			}
			if c.State.MyID == "" {
				c.State.MyID = strings.Repeat("a", 40)
			}
			st := c.State
			switch d.Cmd {
			case "load":
				return "ok"
			case "change": // the words of the input name what happens
				for what := range strings.FieldsSeq(input) {
					m := &st.Masters[0]
					switch what {
					case "epoch":
						st.CurrentEpoch, m.ConfigEpoch, m.LeaderEpoch = 7, 6, 7
					case "replica":
						m.Replicas = append(m.Replicas, machine.HostPort{Host: "10.0.0.8", Port: 6379})
					case "sentinel":
						m.Sentinels = append(m.Sentinels, machine.PeerState{Host: "10.0.0.9", Port: 26379, RunID: strings.Repeat("b", 40)})
					case "forget":
						m.Replicas, m.Sentinels = nil, nil
					case "default":
						m.DownAfter = 30000
					case "password":
						m.AuthPass = `with "quotes" and spaces`
					default:
						t.Fatalf("unknown change %s", what)
					}
				}
			}
			if err := c.write(st, []string{"user default on nopass ~* &* +@all"}); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			// What was written says the same when it is read again, and is not changed by being written again.
			again, err := LoadConfig(file, nil, nil)
			if err != nil {
				t.Fatalf("%s: what was written cannot be read: %v\n%s", d.Pos, err, data)
			}
			if again.State.CurrentEpoch != st.CurrentEpoch || len(again.State.Masters) != len(st.Masters) || len(st.Masters) > 0 && again.State.Masters[0].AuthPass != st.Masters[0].AuthPass {
				t.Errorf("%s: read again it says %+v, want %+v", d.Pos, again.State, st)
			}
			if err := again.write(again.State, []string{"user default on nopass ~* &* +@all"}); err != nil {
				t.Fatal(err)
			}
			if twice, _ := os.ReadFile(file); string(twice) != string(data) {
				t.Errorf("%s: written again it differs:\n%s", d.Pos, twice)
			}
			return clean(string(data))
		})
	})
}

// TestWriteKeepsTheOldFile: a folder in place of the file, as the suite of Redis does it, fails and leaves nothing behind.
func TestWriteKeepsTheOldFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sentinel.conf")
	if err := os.WriteFile(file, []byte("port 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(file, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.write(c.State, nil); err == nil {
		t.Fatal("writing over a folder succeeded")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestModeOfTheFile: whoever kept others from reading the passwords in it does so still.
func TestModeOfTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	if err := os.WriteFile(file, []byte("port 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(file, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.write(c.State, nil); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(file)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600 (%v)", st.Mode(), err)
	}
}

// FuzzLoadConfig: whatever stands in a file, it is refused with file and line or understood; what is then written is read alike.
func FuzzLoadConfig(f *testing.F) {
	f.Add("port 26379\nsentinel monitor m 127.0.0.1 6379 2\nsentinel known-replica m 127.0.0.1 6380\n")
	f.Add("sentinel monitor m 127.0.0.1 6379 2\nsentinel auth-pass m \"a \\\"b\\xff\"\nsentinel rename-command m CONFIG x\n")
	f.Add("sentinel resolve-hostnames yes\nsentinel monitor m \"a\\nsentinel monitor n 127.0.0.1 1 1\" 6379 2\nsentinel announce-ip \"1\\r2\"\n")
	f.Add("# comment\n\n\nuser bob on nopass (+ping &*)\nsentinel myid aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(strings.ToLower(text), "include") {
			return // would read other files
		}
		file := filepath.Join(dir, "fuzz.conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := LoadConfig(file, nil, nil)
		if err != nil {
			var bad *ConfigError
			if errors.As(err, &bad) && (bad.Line == 0 || bad.Reason == "") {
				t.Errorf("an error without line or reason: %v", err)
			}
			return
		}
		if c.State.MyID == "" {
			c.State.MyID = strings.Repeat("a", 40)
		}
		if err := c.write(c.State, nil); err != nil {
			t.Fatal(err)
		}
		again, err := LoadConfig(file, nil, nil)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		normal := func(s machine.State) machine.State {
			for i := range s.Masters {
				m := &s.Masters[i]
				if m.DownAfter == 0 {
					m.DownAfter = 30000
				}
				if m.FailoverTimeout == 0 {
					m.FailoverTimeout = 180000
				}
				m.ParallelSyncs = max(m.ParallelSyncs, 1)
			}
			return s
		}
		if a, b := normal(c.State), normal(again.State); !reflect.DeepEqual(a, b) {
			t.Errorf("written and read again:\n%+v\nwant\n%+v", b, a)
		}
	})
}
